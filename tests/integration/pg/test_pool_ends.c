/* SPDX-License-Identifier: MIT */
/*
 * Pools: connections that are lost, that cannot be made, that get old, and the end.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool_test.h"

/* ---- Lost ------------------------------------------------------------------------------------ */

KernelTest(pool_ends, killed_while_idle)
{
    ouro_pg_pool *pool = pool_of(2);
    ouro_pg *a = leased(pool), *b = leased(pool);
    int64_t backend = ouro_pg_backend(a);
    ouro_pg_free(a);
    ouro_pg_free(b);
    check_eq(pool_stats(pool).idle, 2);
    kill_backend(backend);
    until(pool_stats(pool).lost == 1); /* at once, by itself */
    check_eq(pool_stats(pool).idle, 1);
    until(pool_stats(pool).total == 1); /* its poll has ended by then */
    check_eq(pool_run(pool, "SELECT 1"), 1);
    pool_over(pool);
    return 0;
}

KernelTest(pool_ends, killed_while_leased)
{
    ouro_pg_pool *pool = pool_of(1);
    ouro_pg *pg = leased(pool);
    ouro_pg *tx = begun(pg);
    ouro_future *f = ouro_pg_query(tx, "SELECT pg_sleep(30)", NULL, 0, NULL);
    ouro_future *waits = ouro_pg_pool_acquire(pool);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    kill_backend(ouro_pg_backend(pg));
    check_eq(ouro_await(f), -OURO_ESQL_ADMIN_SHUTDOWN);
    int64_t rc;
    ouro_pg *next = ouro_await_ptr(waits, &rc); /* though nobody has given back */
    check_eq(rc, 0);
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
    check(run(pg, "SELECT 1") < 0);
    check_eq(number(next, "SELECT 7"), 7);
    check_eq(pool_stats(pool).total, 1);
    ouro_pg_free(tx);
    ouro_pg_free(pg);
    ouro_pg_free(pg);
    ouro_pg_free(next);
    check_eq(pool_stats(pool).idle, 1);
    check_eq(pool_stats(pool).lost, 1);
    pool_over(pool);
    return 0;
}

KernelTest(pool_ends, a_minimum_is_kept)
{
    ouro_pg_pool *pool = pool_at(pg_conninfo(), &(ouro_pg_pool_options){.min = 3});
    check_eq(ouro_await(ouro_pg_pool_ready(pool)), 0);
    check_eq(pool_stats(pool).idle, 3);
    check_eq(ouro_await(ouro_pg_pool_ready(pool)), 0);
    ouro_pg *pg = leased(pool);
    kill_backend(ouro_pg_backend(pg));
    until(pool_stats(pool).made == 4 && pool_stats(pool).idle == 3);
    ouro_pg_free(pg);
    pool_over(pool);
    return 0;
}

/* ---- Not to be had --------------------------------------------------------------------------- */

KernelTest(pool_ends, nobody_there)
{
    ouro_pg_pool *pool = pool_at("host=127.0.0.1 port=1", NULL);
    check_eq(words_of(ouro_pg_pool_acquire(pool), "refused"), -ECONNREFUSED);
    ouro_ns begun_at = ouro_now();
    check_eq(words_of(ouro_pg_pool_acquire(pool), "refused"), -ECONNREFUSED);
    check_eq(words_of(ouro_pg_pool_query(pool, "SELECT 1", NULL, 0, NULL), "refused"),
             -ECONNREFUSED);
    check_eq(words_of(ouro_pg_pool_ready(pool), "refused"), -ECONNREFUSED);
    check_eq(ouro_await(ouro_pg_pool_transact(pool, (ouro_pg_transaction_fn *)abort, NULL, NULL)),
             -ECONNREFUSED);
    check(ouro_now() - begun_at < OURO_MS(20) || pool_stats(pool).failures > 1);
    check(pool_stats(pool).failures >= 1);
    check_eq(pool_stats(pool).total, 0);
    pool_over(pool);
    return 0;
}

KernelTest(pool_ends, tried_ever_more_rarely)
{
    ouro_pg_pool *pool = pool_at("host=127.0.0.1 port=1", &(ouro_pg_pool_options){.min = 1});
    check_eq(ouro_await(ouro_sleep(OURO_MS(1000))), 0);
    uint64_t n = pool_stats(pool).failures; /* 25-50, 50-100, 100-200, 200-400, 400-800 */
    check(n >= 3 && n <= 7);
    pool_over(pool);
    return 0;
}

KernelTest(pool_ends, wrong_password)
{
    char conninfo[512];
    snprintf(conninfo, sizeof conninfo, "%s password=wrong", pg_conninfo_tls());
    ouro_pg_pool *pool = pool_at(conninfo, NULL);
    check_eq(words_of(ouro_pg_pool_acquire(pool), "password"), -OURO_ESQL_INVALID_PASSWORD);
    pool_over(pool);
    pool = pool_at(pg_conninfo_tls(), NULL);
    check_eq(pool_run(pool, "SELECT 1"), 1);
    pool_over(pool);
    return 0;
}

KernelTest(pool_ends, connecting_has_a_limit)
{
    ouro_listener *silent;
    char conninfo[80];
    ouro_address at;
    check_eq(ouro_listen("127.0.0.1:0", NULL, &silent), 0);
    check_eq(ouro_listener_address(silent, &at), 0);
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%d", ouro_address_port(&at));
    ouro_pg_pool *pool = pool_at(conninfo,
                                 &(ouro_pg_pool_options){.connect_limit = OURO_MS(50), .max = 1});
    ouro_ns begun_at = ouro_now();
    check_eq(words_of(ouro_pg_pool_acquire(pool), "too long"), -ETIMEDOUT);
    check(ouro_now() - begun_at >= OURO_MS(50));
    pool_over(pool);
    ouro_listener_free(silent);
    return 0;
}

struct load {
    ouro_pg_pool *pool;
    bool stop;
    int done;
    int failed;
};

static int64_t loads(void *arg)
{
    struct load *l = arg;
    while (!l->stop) {
        int64_t rc = pool_run(l->pool, "SELECT pg_sleep(0.002)");
        l->done += rc == 1;
        l->failed += rc < 0;
        if (rc < 0)
            ouro_await(ouro_sleep(OURO_MS(5)));
        check(pool_stats(l->pool).total <= 3);
    }
    return 0;
}

KernelTest(pool_ends, a_server_that_restarts_under_load)
{
    struct pg_private *server = pg_private_start();
    ouro_pg_pool_options opts = {.max = 3};
    struct load load = {.pool = pool_at(pg_private_conninfo(server), &opts)};
    ouro_future *fs[8];
    for (int i = 0; i < 8; i++)
        fs[i] = ouro_spawn(loads, &load);
    until(load.done > 50);
    check_eq(load.failed, 0);
    for (int i = 0; i < 2; i++) {
        pg_private_halt(server);
        until(load.failed > 8 * (i + 1));
        pg_private_restart(server);
        int done = load.done;
        until(load.done > done + 50); /* by itself */
    }
    load.stop = true;
    check_eq(ouro_await(ouro_gather(fs, 8, OURO_GATHER_ALL, NULL)), 0);
    check(pool_stats(load.pool).lost >= 3);
    check(pool_stats(load.pool).failures >= 1);
    pool_over(load.pool);
    pg_private_stop(server);
    return 0;
}

/* ---- Age ------------------------------------------------------------------------------------- */

KernelTest(pool_ends, the_old_are_replaced)
{
    ouro_pg_pool *pool = pool_at(pg_conninfo(),
                                 &(ouro_pg_pool_options){.min = 1, .max = 2, .life = OURO_MS(100)});
    ouro_pg *pg = leased(pool);
    int64_t backend = ouro_pg_backend(pg);
    check_eq(ouro_await(ouro_sleep(OURO_MS(130))), 0);
    check_eq(number(pg, "SELECT 7"), 7); /* not while it is in use */
    ouro_pg_free(pg);
    check_eq(pool_stats(pool).retired, 1);
    until(pool_stats(pool).idle == 1);
    pg = leased(pool);
    check(ouro_pg_backend(pg) != backend);
    ouro_pg_free(pg);
    uint64_t made = pool_stats(pool).made;
    check_eq(ouro_await(ouro_sleep(OURO_MS(300))), 0); /* by itself, when nobody asks */
    check(pool_stats(pool).made >= made + 2);
    until(pool_stats(pool).idle == 1);
    check_eq(pool_stats(pool).lost, 0);
    pool_over(pool);
    return 0;
}

KernelTest(pool_ends, the_idle_are_closed_down_to_the_minimum)
{
    ouro_pg_pool *pool = pool_at(pg_conninfo(),
                                 &(ouro_pg_pool_options){.min = 1, .max = 4, .idle = OURO_MS(80)});
    ouro_pg *pgs[4];
    for (int i = 0; i < 4; i++)
        pgs[i] = leased(pool);
    for (int i = 0; i < 4; i++)
        ouro_pg_free(pgs[i]);
    for (int i = 0; i < 16; i++) { /* the last one is used, the others are not */
        check_eq(pool_run(pool, "SELECT 1"), 1);
        check_eq(ouro_await(ouro_sleep(OURO_MS(10))), 0);
    }
    check_eq(pool_stats(pool).idle, 1);
    check_eq(pool_stats(pool).retired, 3);
    check_eq(ouro_await(ouro_sleep(OURO_MS(120))), 0);
    check_eq(pool_stats(pool).idle, 1);
    check_eq(pool_stats(pool).made, 4);
    pool_over(pool);
    return 0;
}

KernelTest(pool_ends, asked_for_a_sign_of_life)
{
    ouro_pg_pool_options opts = {
        .max = 2, .check_after = OURO_MS(30), .connect_limit = OURO_MS(300)};
    ouro_pg_pool *pool = pool_at(pg_conninfo(), &opts);
    ouro_pg *pg = leased(pool);
    ouro_pg_stats before, after;
    check_eq(ouro_pg_stats_get(pg, &before), 0);
    int64_t backend = ouro_pg_backend(pg);
    ouro_pg_free(pg);
    check_eq(ouro_await(ouro_sleep(OURO_MS(50))), 0);
    pg = leased(pool);
    check_eq(ouro_pg_backend(pg), backend);
    check_eq(ouro_pg_stats_get(pg, &after), 0);
    check_eq(after.statements, before.statements + 1);
    ouro_pg_free(pg);
    pg = leased(pool); /* not silent for long: not asked */
    check_eq(ouro_pg_stats_get(pg, &before), 0);
    check_eq(after.statements, before.statements);
    ouro_pg_free(pg);
    pool_over(pool);
    return 0;
}

/* A backend that does not move is like a network that has forgotten a connection. */
KernelTest(pool_ends, the_silent_are_given_up)
{
    ouro_pg_pool_options opts = {
        .max = 2, .check_after = OURO_MS(30), .connect_limit = OURO_MS(300)};
    ouro_pg_pool *pool = pool_at(pg_conninfo(), &opts);
    ouro_pg *a = leased(pool), *b = leased(pool);
    pid_t one = (pid_t)ouro_pg_backend(a), other = (pid_t)ouro_pg_backend(b);
    ouro_pg_free(a);
    ouro_pg_free(b);
    check_eq(kill(one, SIGSTOP), 0);
    check_eq(kill(other, SIGSTOP), 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(50))), 0);
    ouro_ns begun_at = ouro_now();
    a = leased(pool);
    check_eq(number(a, "SELECT 7"), 7);
    check(ouro_now() - begun_at < OURO_MS(600)); /* the other one was not asked as well */
    check_eq(pool_stats(pool).lost, 1);
    check_eq(pool_stats(pool).retired, 1);
    until(pool_stats(pool).total == 1);
    check_eq(kill(one, SIGCONT), 0);
    check_eq(kill(other, SIGCONT), 0);
    ouro_pg_free(a);
    pool_over(pool);
    return 0;
}

KernelTest(pool_ends, tidying_has_a_limit)
{
    ouro_pg_pool_options opts = {
        .max = 1,
        .connect_limit = OURO_MS(200),
        .connection = {.cancel_grace = OURO_MS(100)},
    };
    ouro_pg_pool *pool = pool_at(pg_conninfo(), &opts);
    ouro_pg *pg = leased(pool);
    ouro_pg *tx = begun(pg);
    pid_t backend = (pid_t)ouro_pg_backend(pg);
    check_eq(kill(backend, SIGSTOP), 0);
    ouro_pg_free(pg);
    ouro_pg_free(tx);
    ouro_ns begun_at = ouro_now();
    pg = leased(pool); /* another */
    check(ouro_now() - begun_at >= OURO_MS(300));
    check(ouro_pg_backend(pg) != backend);
    check_eq(kill(backend, SIGCONT), 0);
    check_eq(pool_stats(pool).lost, 1);
    ouro_pg_free(pg);
    pool_over(pool);
    return 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

KernelTest(pool_ends, a_close_waits_for_leases)
{
    ouro_pg_pool *pool = pool_of(2);
    ouro_pg *a = leased(pool), *b = leased(pool);
    ouro_future *waits = ouro_pg_pool_acquire(pool);
    ouro_future *closing = ouro_pg_pool_close(pool, OURO_SEC(10));
    ouro_future *ready = ouro_pg_pool_ready(pool);
    check_eq(ouro_await(waits), -EBADF);
    check_eq(ouro_await(ready), -EBADF);
    check_eq(ouro_await(ouro_pg_pool_acquire(pool)), -EBADF);
    check_eq(number(a, "SELECT 7"), 7);
    ouro_pg_free(a);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(pool_stats(pool).total, 1);
    check_eq(ouro_future_state(closing), OURO_PENDING);
    ouro_pg_free(b);
    check_eq(ouro_await(closing), 0);
    check_eq(ouro_await(ouro_pg_pool_close(pool, 0)), 0);
    ouro_pg_pool_free(pool);
    return 0;
}

KernelTest(pool_ends, a_close_takes_leases_away)
{
    ouro_pg_pool *pool = pool_of(3);
    ouro_pg *a = leased(pool), *b = leased(pool);
    ouro_future *slow = ouro_pg_query(a, "SELECT pg_sleep(29)", NULL, 0, NULL);
    ouro_future *single = ouro_pg_pool_query(pool, "SELECT pg_sleep(29)", NULL, 0, NULL);
    ouro_pg *tx = begun(b);
    ouro_ns begun_at = ouro_now();
    ouro_future *closing = ouro_pg_pool_close(pool, OURO_MS(100));
    check_eq(ouro_await(slow), -EBADF);
    check(ouro_now() - begun_at >= OURO_MS(100));
    check_eq(ouro_await(single), -EBADF);
    check_eq(run(a, "SELECT 1"), -EBADF);
    check_eq(ouro_await(closing), -ETIMEDOUT);
    check_eq(ouro_await(ouro_pg_pool_close(pool, 0)), -ETIMEDOUT);
    check_eq(pool_stats(pool).total, 0);
    ouro_pg_pool_free(pool);
    check_eq(run(b, "SELECT 1"), -EBADF); /* valid until they are freed */
    ouro_pg_free(a);
    ouro_pg_free(tx);
    ouro_pg_free(b);
    until(pg_admin("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(29)'") ==
          0);
    return 0;
}

KernelTest(pool_ends, freed_with_everything_under_way)
{
    for (unsigned i = 0; i < 20; i++) {
        ouro_pg_pool *pool = pool_of(2);
        if (i % 2)
            check_eq(pool_run(pool, "SELECT 1"), 1);
        ouro_future *lease = ouro_pg_pool_acquire(pool);
        ouro_future *single = ouro_pg_pool_query(pool, "SELECT pg_sleep(30)", NULL, 0, NULL);
        ouro_future *waits = ouro_pg_pool_acquire(pool);
        check_eq(ouro_await(ouro_sleep(OURO_US(i * 200))), 0);
        ouro_pg_pool_free(pool);
        int64_t rc;
        ouro_pg *pg = ouro_await_ptr(lease, &rc);
        check(rc == 0 || rc == -EBADF);
        check_eq(ouro_await(single), -EBADF);
        check_eq(ouro_await(waits), -EBADF);
        if (pg)
            check_eq(run(pg, "SELECT 1"), -EBADF);
        ouro_pg_free(pg);
    }
    return 0;
}

static int64_t leaves_it(void *arg)
{
    ouro_pg_pool **pool = arg;
    *pool = pool_at(pg_conninfo(), &(ouro_pg_pool_options){.min = 2});
    check_eq(pool_run(*pool, "SELECT 1"), 1);
    return 0;
}

Test(pool_ends, an_idle_pool_keeps_no_loop_running)
{
    ouro_pg_pool *pool;
    begin_kernel();
    check_eq(run_main(leaves_it, &pool), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0); /* nothing is left to wait for */
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(pool_stats(pool).total, 0);
    check_eq(pool_stats(pool).lost, 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_pg_pool_free(pool);
    end_closed();
}

struct left {
    ouro_pg_pool *pool;
    ouro_pg *lease;
    ouro_future *slow;
    ouro_future *waits;
};

static int64_t leaves_much(void *arg)
{
    struct left *l = arg;
    l->pool = pool_at(pg_conninfo(), &(ouro_pg_pool_options){.min = 1, .max = 1});
    l->lease = leased(l->pool);
    l->slow = ouro_pg_query(l->lease, "SELECT pg_sleep(30)", NULL, 0, NULL);
    l->waits = ouro_pg_pool_acquire(l->pool);
    return 0;
}

Test(pool_ends, a_loop_is_shut_down_with_everything_under_way)
{
    struct left l;
    begin_kernel();
    check_eq(run_main(leaves_much, &l), 0);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check(ouro_future_result(l.slow).n < 0);
    check(ouro_future_result(l.waits).n < 0);
    ouro_unref(l.slow);
    ouro_unref(l.waits);
    check_eq(pool_stats(l.pool).total, 0);
    ouro_pg_free(l.lease);
    ouro_pg_pool_free(l.pool);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
}

KernelTest(pool_ends, a_child_cannot_use_it)
{
    ouro_pg_pool *pool = pool_of(1);
    ouro_pg *pg = leased(pool);
    pid_t child = fork();
    if (child == 0) {
        ouro_pg_pool_stats st;
        bool good = ouro_pg_pool_stats_get(pool, &st) == -ECHILD;
        ouro_unref(ouro_pg_pool_acquire(pool));
        ouro_unref(ouro_pg_pool_close(pool, 0));
        ouro_pg_free(pg);
        ouro_pg_pool_free(pool);
        _exit(good ? 0 : 1);
    }
    int status;
    check_eq(waitpid(child, &status, 0), child);
    check_eq(status, 0);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    pool_over(pool);
    return 0;
}

/* ---- Races ----------------------------------------------------------------------------------- */

struct race {
    ouro_pg_pool *pool;
    int got;
};

/* https://en.wikipedia.org/wiki/Linear_congruential_generator: the same numbers each time. */
static unsigned dice(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 40);
}

static int64_t races(void *arg)
{
    struct race *r = arg;
    for (int i = 0; i < 500; i++) {
        int64_t rc;
        ouro_ns limit = OURO_US(dice() % 4000);
        ouro_future *f = dice() % 2 ? ouro_pg_pool_acquire(r->pool)
                                    : ouro_pg_pool_query(r->pool, "SELECT 1", NULL, 0, NULL);
        if (dice() % 2) {
            check_eq(ouro_yield(), 0);
            ouro_cancel(f); /* it may have been handed over in this very turn */
            ouro_detach(f);
        } else {
            ouro_pg *pg = ouro_await_ptr(ouro_timeout(ouro_pg_pool_acquire(r->pool), limit), &rc);
            check(rc == 0 || rc == -ETIMEDOUT);
            r->got += pg != NULL;
            if (pg && dice() % 4 == 0)
                check(run(pg, "SELECT 1") == 1);
            ouro_pg_free(pg);
            ouro_unref(f);
        }
        ouro_pg_pool_stats st = pool_stats(r->pool);
        check(st.total <= 4);
    }
    return 0;
}

KernelTest(pool_ends, ten_thousand_races_of_cancel_and_handing_over)
{
    struct race race = {pool_of(4), 0};
    ouro_future *fs[20];
    for (int i = 0; i < 20; i++)
        fs[i] = ouro_spawn(races, &race);
    check_eq(ouro_await(ouro_gather(fs, 20, OURO_GATHER_ALL, NULL)), 0);
    until(pool_stats(race.pool).idle == 4); /* none is missing, none too many */
    ouro_pg_pool_stats st = pool_stats(race.pool);
    check_eq(st.total, 4);
    check_eq(st.made, 4);
    check_eq(st.lost, 0);
    check_eq(st.waiting, 0);
    check(race.got > 100);
    pool_over(race.pool);
    return 0;
}
