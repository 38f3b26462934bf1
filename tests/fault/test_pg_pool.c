/* SPDX-License-Identifier: MIT */
/*
 * No memory, at every single place where a pool and what runs on it ask for it.
 *
 * The scenario runs again and again, each time with one allocation more granted before one is
 * refused, until a run needs no more. What a call comes to is what it comes to with memory, or
 * -ENOMEM; the pool goes on, and nothing is left of it.
 */
#include "../integration/pg/pool_test.h"

#include "ration.h"

TestSuite(pg_pool_no_memory, .timeout = 280);

static bool came_to(int64_t n, int64_t wanted)
{
    if (n != wanted)
        check_eq(n, -ENOMEM);
    return n == wanted;
}

static int64_t body(ouro_pg *tx, void *arg)
{
    (void)arg;
    return run(tx, "SELECT 1");
}

static void leave_much_behind(ouro_pg_pool *pool)
{
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_pool_acquire(pool), &rc);
    came_to(rc, 0);
    if (!pg)
        return;
    came_to(ouro_await(ouro_pg_listen(pg, "x")), 0);
    ouro_pg *tx = ouro_await_ptr(ouro_pg_begin(pg, NULL), &rc);
    came_to(rc, 0);
    ouro_future *f = ouro_pg_query(tx ? tx : pg, "SELECT pg_sleep(9)", NULL, 0, NULL);
    ouro_pg_free(pg);
    came_to(ouro_await(f), -EBADF);
    ouro_pg_free(tx);
}

static int64_t scenario(void *unused)
{
    ouro_pg_pool *pool;
    ouro_future *fs[6];
    ouro_result results[6];
    (void)unused;
    int rc = ouro_pg_pool_new(pg_conninfo(), &(ouro_pg_pool_options){.min = 1, .max = 2}, &pool);
    if (!came_to(rc, 0))
        return 0;
    came_to(ouro_await(ouro_pg_pool_ready(pool)), 0);
    for (int i = 0; i < 6; i++)
        fs[i] = ouro_pg_pool_query(pool, "SELECT 1", NULL, 0, NULL);
    rc = (int)ouro_await(ouro_gather(fs, 6, OURO_GATHER_COLLECT, results));
    if (came_to(rc, 0))
        for (int i = 0; i < 6; i++) {
            came_to(results[i].n, 1);
            ouro_pg_result_free(results[i].ptr);
        }
    came_to(ouro_await(ouro_pg_pool_transact(pool, body, NULL, NULL)), 1);
    leave_much_behind(pool);
    bool refused_before = refused;
    for (int i = 0; i < 100 && pool_run(pool, "SELECT 1") != 1; i++) {
        int64_t slept = ouro_await(ouro_sleep(OURO_MS(20)));
        check(slept == 0 || slept == -ENOMEM);
    }
    if (refused_before)
        check_eq(pool_run(pool, "SELECT 1"), 1); /* it has healed */
    came_to(ouro_await(ouro_pg_pool_close(pool, OURO_SEC(1))), 0);
    ouro_pg_pool_free(pool);
    return 0;
}

Test(pg_pool_no_memory, everywhere)
{
    check_eq(ouro_set_allocator(&rationed), 0);
    unsigned at;
    for (at = 1; at < 10000; at++) {
        asked = refused = 0;
        begin_kernel();
        atomic_store(&asked, 0);
        fail_at = at;
        int64_t n = ouro_loop_run_until(ouro_loop_current(), ouro_spawn(scenario, NULL));
        fail_at = 0;
        check(n == 0 || n == -ENOMEM);
        end();
        check_eq(blocks, 0);
        if (!refused)
            break;
    }
    check_eq(refused, 0);
    check(at > 100);
}
