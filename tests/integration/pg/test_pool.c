/* SPDX-License-Identifier: MIT */
/*
 * Pools: the line, what a lease leaves behind, and the numbers.
 */
#include "pool_test.h"

/* ---- Using one ------------------------------------------------------------------------------- */

KernelTest(pool, runs_a_statement)
{
    ouro_pg_pool *pool = pool_of(2);
    int64_t rc, n;
    check_eq(pool_stats(pool).total, 0); /* nothing before it is wanted */
    for (int i = 0; i < 5; i++) {
        ouro_pg_result *r = ouro_await_ptr(
            ouro_pg_pool_query(pool, "SELECT $1::int + 1", OURO_PG_PARAMS(ouro_pg_int(i)), NULL),
            &rc);
        check_eq(rc, 1);
        check_eq(ouro_pg_int_at(r, 0, 0, &n), 0);
        check_eq(n, i + 1);
        ouro_pg_result_free(r);
    }
    ouro_pg_pool_stats st = pool_stats(pool);
    check_eq(st.made, 1); /* the same one, over and over */
    check_eq(st.idle, 1);
    check_eq(st.acquires, 5);
    check_eq(st.waits, 1);
    ouro_pg_error error;
    rc = ouro_await(
        ouro_pg_pool_query(pool, "SELECT 1/0", NULL, 0, &(ouro_pg_query_options){.error = &error}));
    check_eq(rc, -OURO_ESQL('2', '2', '0', '1', '2'));
    check_eq(error.code, rc);
    rc = ouro_await(ouro_pg_pool_query(pool, "SELECT :a",
                                       OURO_PG_PARAMS(ouro_pg_named("b", ouro_pg_int(1))),
                                       &(ouro_pg_query_options){.error = &error}));
    check_eq(rc, -ENOKEY);
    check_eq(error.code, -ENOKEY);
    check_eq(pool_run(pool, NULL), -EINVAL);
    check_eq(pool_stats(pool).idle, 1);
    pool_over(pool);
    return 0;
}

KernelTest(pool, many_statements_at_once)
{
    ouro_pg_pool *pool = pool_of(4);
    ouro_future *fs[300];
    ouro_result results[300];
    for (int i = 0; i < 300; i++)
        fs[i] = ouro_pg_pool_query(pool, "SELECT $1::int, pg_sleep(0.001)",
                                   OURO_PG_PARAMS(ouro_pg_int(i)), NULL);
    check_eq(pool_stats(pool).waiting, 300);
    check_eq(pool_stats(pool).connecting, 2); /* at most at once */
    check_eq(ouro_await(ouro_gather(fs, 300, OURO_GATHER_ALL, results)), 0);
    for (int i = 0; i < 300; i++) {
        int64_t n = -1;
        check_eq(ouro_pg_int_at(results[i].ptr, 0, 0, &n), 0);
        check_eq(n, i);
        ouro_pg_result_free(results[i].ptr);
    }
    ouro_pg_pool_stats st = pool_stats(pool);
    check_eq(st.idle, 4);
    check_eq(st.made, 4);
    check_eq(st.acquires, 300);
    check_eq(st.waits, 300);
    check(st.waited > 0);
    pool_over(pool);
    return 0;
}

static int64_t bump(ouro_pg *tx, void *arg)
{
    int64_t n = number(tx, "SELECT n FROM pool_counter FOR UPDATE");
    char sql[80];
    (void)arg;
    if (n < 0)
        return n;
    snprintf(sql, sizeof sql, "UPDATE pool_counter SET n = %lld", (long long)n + 1);
    int64_t rc = run(tx, sql);
    return rc < 0 ? rc : n;
}

KernelTest(pool, transactions)
{
    ouro_pg_pool *pool = pool_of(5);
    ouro_future *fs[40];
    pg_admin("DROP TABLE IF EXISTS pool_counter; CREATE TABLE pool_counter (n int);"
             "INSERT INTO pool_counter VALUES (0)");
    for (int i = 0; i < 40; i++)
        fs[i] = ouro_pg_pool_transact(pool, bump, NULL, NULL);
    check_eq(ouro_await(ouro_gather(fs, 40, OURO_GATHER_ALL, NULL)), 0);
    check_eq(pg_admin("SELECT n FROM pool_counter"), 40);
    check_eq(ouro_await(ouro_pg_pool_transact(pool, NULL, NULL, NULL)), -EINVAL);
    pg_admin("DROP TABLE pool_counter");
    pool_over(pool);
    return 0;
}

/* ---- The line -------------------------------------------------------------------------------- */

struct in_turn {
    ouro_pg_pool *pool;
    int number;
    int *next;
    int *using;
    int *most;
};

static int64_t takes_a_turn(void *arg)
{
    struct in_turn *t = arg;
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_pool_acquire(t->pool), &rc);
    if (!pg)
        return rc;
    check_eq(t->number, (*t->next)++);
    if (++*t->using > *t->most)
        *t->most = *t->using;
    rc = run(pg, "SELECT pg_sleep(0.001)");
    --*t->using;
    ouro_pg_free(pg);
    return rc < 0 ? rc : 0;
}

KernelTest(pool, first_come_first_served_and_never_more_than_the_maximum)
{
    struct in_turn turns_[100];
    ouro_future *fs[100];
    int next = 0, using = 0, most = 0;
    ouro_pg_pool *pool = pool_of(3);
    for (int i = 0; i < 100; i++) {
        turns_[i] = (struct in_turn){pool, i, &next, &using, &most};
        fs[i] = ouro_spawn(takes_a_turn, &turns_[i]);
    }
    check_eq(ouro_await(ouro_gather(fs, 100, OURO_GATHER_ALL, NULL)), 0);
    check_eq(next, 100);
    check_eq(most, 3);
    check_eq(pool_stats(pool).made, 3);
    pool_over(pool);
    return 0;
}

KernelTest(pool, handed_over_directly)
{
    ouro_pg_pool *pool = pool_of(1);
    ouro_pg *first = leased(pool);
    int64_t backend = ouro_pg_backend(first), rc;
    ouro_future *waits = ouro_pg_pool_acquire(pool);
    ouro_pg_free(first);
    ouro_future *later = ouro_pg_pool_acquire(pool); /* cannot get in between */
    check_eq(ouro_future_state(waits), OURO_VALUE);
    check_eq(ouro_future_state(later), OURO_PENDING);
    ouro_pg *second = ouro_await_ptr(waits, &rc);
    check_eq(ouro_pg_backend(second), backend);
    ouro_pg_free(second);
    ouro_pg_free(ouro_await_ptr(later, &rc));
    check_eq(rc, 0);
    pool_over(pool);
    return 0;
}

KernelTest(pool, a_wait_has_a_limit)
{
    ouro_pg_pool *pool = pool_at(pg_conninfo(),
                                 &(ouro_pg_pool_options){.max = 1, .acquire_limit = OURO_MS(60)});
    ouro_pg *pg = leased(pool);
    ouro_ns begun_at = ouro_now();
    ouro_future *a = ouro_pg_pool_acquire(pool);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    ouro_future *b = ouro_pg_pool_query(pool, "SELECT 1", NULL, 0, NULL);
    check_eq(words_of(a, "no connection was free in time"), -ETIMEDOUT);
    ouro_ns took = ouro_now() - begun_at;
    check(took >= OURO_MS(60) && took < OURO_MS(2000));
    check_eq(ouro_future_state(b), OURO_PENDING);
    check_eq(ouro_await(b), -ETIMEDOUT);
    check(ouro_now() - begun_at >= OURO_MS(80));
    check_eq(pool_stats(pool).timeouts, 2);
    check_eq(pool_stats(pool).waiting, 0);
    ouro_pg_free(pg);
    check_eq(pool_run(pool, "SELECT 1"), 1);
    pool_over(pool);
    return 0;
}

KernelTest(pool, a_line_has_a_limit)
{
    ouro_pg_pool *pool = pool_at(pg_conninfo(),
                                 &(ouro_pg_pool_options){.max = 1, .max_waiting = 2});
    ouro_pg *pg = leased(pool);
    ouro_future *a = ouro_pg_pool_acquire(pool), *b = ouro_pg_pool_acquire(pool);
    check_eq(ouro_await(ouro_pg_pool_acquire(pool)), -EAGAIN);
    check_eq(pool_run(pool, "SELECT 1"), -EAGAIN);
    check_eq(pool_stats(pool).refused, 2);
    ouro_cancel(b);
    check_eq(ouro_await(b), -OURO_ECHILDCANCELLED);
    b = ouro_pg_pool_acquire(pool); /* there is room again */
    ouro_pg_free(pg);
    ouro_detach(a); /* goes back by itself, to b */
    int64_t rc;
    ouro_pg_free(ouro_await_ptr(b, &rc));
    check_eq(rc, 0);
    pool_over(pool);
    return 0;
}

KernelTest(pool, who_leaves_stops_nothing)
{
    ouro_pg_pool *pool = pool_of(2);
    ouro_future *a = ouro_pg_pool_acquire(pool);
    ouro_future *b = ouro_pg_pool_query(pool, "SELECT 1", NULL, 0, NULL);
    ouro_future *c = ouro_timeout(ouro_pg_pool_acquire(pool), 0);
    ouro_cancel(a);
    ouro_cancel(b);
    check_eq(ouro_await(a), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(b), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(c), -ETIMEDOUT);
    check_eq(pool_stats(pool).waiting, 0);
    until(pool_stats(pool).idle == 2); /* the pool's own */
    ouro_pg *pg = leased(pool);
    a = ouro_pg_pool_acquire(pool);
    check_eq(ouro_future_state(a), OURO_VALUE); /* handed out, and then dropped */
    ouro_future *d = ouro_pg_pool_acquire(pool);
    a = ouro_unref(a);
    int64_t rc;
    ouro_pg_free(ouro_await_ptr(d, &rc));
    check_eq(rc, 0);
    ouro_pg_free(pg);
    check_eq(pool_stats(pool).idle, 2);
    pool_over(pool);
    return 0;
}

/* ---- What is left behind --------------------------------------------------------------------- */

KernelTest(pool, an_open_transaction_is_rolled_back)
{
    ouro_pg_pool *pool = pool_of(1);
    pg_admin("DROP TABLE IF EXISTS pool_left; CREATE TABLE pool_left (n int)");
    ouro_pg *pg = leased(pool);
    int64_t backend = ouro_pg_backend(pg);
    ouro_pg *tx = begun(pg), *inner = begun(tx);
    check_eq(run(inner, "INSERT INTO pool_left VALUES (1)"), 1);
    ouro_future *f = ouro_pg_query(inner, "SELECT 1", NULL, 0, NULL);
    ouro_future *g = ouro_pg_query(inner, "SELECT 1", NULL, 0, NULL);
    ouro_pg_free(pg);
    check_eq(pool_stats(pool).draining, 1);
    check_eq(ouro_await(f), -EBADF);
    check_eq(ouro_await(g), -EBADF);
    check_eq(run(inner, "SELECT 1"), -EBADF);
    check_eq(ouro_await(ouro_pg_commit(tx)), -EBADF);
    ouro_pg_free(inner);
    pg = leased(pool);
    check_eq(ouro_pg_backend(pg), backend);
    check_eq(number(pg, "SELECT count(*) FROM pool_left"), 0);
    check_eq(run(pg, "BEGIN"), 0); /* by hand, and failed */
    check_eq(run(pg, "SELECT 1/0"), -OURO_ESQL('2', '2', '0', '1', '2'));
    ouro_pg_free(pg);
    check_eq(pool_run(pool, "SELECT 1"), 1);
    check_eq(pool_run(pool, "BEGIN"), 0); /* of a single statement, too */
    pg = leased(pool);
    check_eq(run(pg, "SAVEPOINT none"), -OURO_ESQL('2', '5', 'P', '0', '1'));
    check_eq(ouro_pg_backend(pg), backend);
    ouro_pg_free(pg);
    pg_admin("DROP TABLE pool_left");
    pool_over(pool);
    return 0;
}

KernelTest(pool, a_running_statement_is_cancelled)
{
    ouro_pg_pool *pool = pool_of(1);
    for (int i = 0; i < 20; i++) {
        ouro_pg *pg = leased(pool);
        int64_t backend = ouro_pg_backend(pg);
        ouro_future *f = ouro_pg_query(pg, "SELECT pg_sleep(30)", NULL, 0, NULL);
        ouro_future *g = ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL);
        check_eq(ouro_await(ouro_sleep(OURO_US((unsigned)i * 100))), 0);
        ouro_pg_free(pg);
        check_eq(pool_stats(pool).draining, 1);
        check_eq(pool_stats(pool).idle, 0);
        check_eq(ouro_await(f), -EBADF);
        check_eq(ouro_await(g), -EBADF);
        pg = leased(pool); /* no innocent is hit */
        check_eq(number(pg, "SELECT 7"), 7);
        check_eq(ouro_pg_backend(pg), backend);
        ouro_pg_free(pg);
    }
    check_eq(pool_stats(pool).made, 1);
    check_eq(pool_stats(pool).lost, 0);
    pool_over(pool);
    return 0;
}

KernelTest(pool, a_cancelled_statement_of_the_pool)
{
    ouro_pg_pool *pool = pool_of(1);
    check_eq(pool_run(pool, "SELECT 1"), 1);
    for (int i = 0; i < 20; i++) {
        ouro_future *f = ouro_pg_pool_query(pool, "SELECT pg_sleep(30)", NULL, 0, NULL);
        ouro_future *g = ouro_pg_pool_query(pool, "SELECT 7", NULL, 0, NULL);
        check_eq(ouro_await(ouro_timeout(f, OURO_US((unsigned)i * 100))), -ETIMEDOUT);
        check_eq(ouro_await(g), 1);
    }
    check_eq(pool_stats(pool).made, 1);
    pool_over(pool);
    return 0;
}

KernelTest(pool, listening_ends)
{
    ouro_pg_pool *pool = pool_of(1);
    ouro_pg *pg = leased(pool);
    check_eq(ouro_await(ouro_pg_listen(pg, "pool")), 0);
    pg_admin("SELECT pg_notify('pool', 'kept')");
    check_eq(number(pg, "SELECT count(*) FROM pg_listening_channels()"), 1);
    ouro_future *taken = ouro_pg_notified(pg), *waits = ouro_pg_notified(pg);
    ouro_pg_free(pg);
    int64_t rc;
    ouro_pg_notification_free(ouro_await_ptr(taken, &rc));
    check_eq(rc, 0);
    check_eq(ouro_await(waits), -EPIPE);
    pg = leased(pool);
    check_eq(number(pg, "SELECT count(*) FROM pg_listening_channels()"), 0);
    pg_admin("SELECT pg_notify('pool', 'too late')");
    ouro_future *none = ouro_pg_notified(pg);
    check_eq(number(pg, "SELECT 1"), 1);
    check_eq(ouro_future_state(none), OURO_PENDING); /* nothing of the lease before */
    ouro_cancel(none);
    check_eq(ouro_await(none), -OURO_ECHILDCANCELLED);
    ouro_pg_free(pg);
    check_eq(pool_stats(pool).made, 1);
    pool_over(pool);
    return 0;
}

KernelTest(pool, everything_is_discarded_if_wanted)
{
    ouro_pg_pool_options opts = {
        .max = 1,
        .reset = OURO_PG_RESET_ALL,
        .connection = {.statement_limit = OURO_SEC(20)},
    };
    ouro_pg_pool *pool = pool_at(pg_conninfo(), &opts);
    ouro_pg *pg = leased(pool);
    int64_t backend = ouro_pg_backend(pg);
    check_eq(run(pg, "SET work_mem = '77MB'"), 0);
    check_eq(run(pg, "CREATE TEMP TABLE pool_temp (n int)"), 0);
    ouro_pg *tx = begun(pg);
    for (int i = 0; i < 3; i++) /* prepared by now */
        check_eq(number(tx, "SELECT 4711"), 4711);
    ouro_pg_free(pg);
    check_eq(ouro_await(ouro_pg_commit(tx)), -EBADF);
    pg = leased(pool);
    check_eq(ouro_pg_backend(pg), backend);
    check_eq(number(pg, "SELECT (current_setting('work_mem') = '77MB')::int"), 0);
    check_eq(number(pg, "SELECT (current_setting('statement_timeout') = '20s')::int"), 1);
    check_eq(number(pg, "SELECT count(*) FROM pg_class WHERE relname = 'pool_temp'"), 0);
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, "SELECT 4711"), 4711);
    ouro_pg_free(pg);
    pool_over(pool);
    pool = pool_of(1); /* by default settings stay */
    check_eq(pool_run(pool, "SET work_mem = '77MB'"), 0);
    pg = leased(pool);
    check_eq(number(pg, "SELECT (current_setting('work_mem') = '77MB')::int"), 1);
    ouro_pg_free(pg);
    pool_over(pool);
    return 0;
}

/* ---- Handles --------------------------------------------------------------------------------- */

KernelTest(pool, used_after_release)
{
    ouro_pg_pool *pool = pool_of(1);
    ouro_pg_error error;
    ouro_pg *pg = leased(pool);
    check(ouro_pg_free(pg) == NULL);
    check_eq(pool_stats(pool).idle, 1);
    for (int i = 0; i < 60; i++) { /* while others have the connection */
        ouro_pg *other = leased(pool);
        check_eq(run(pg, "SELECT 1"), -EBADF);
        check_eq(ouro_await(ouro_pg_listen(pg, "x")), -EBADF);
        check_eq(ouro_await(ouro_pg_begin(pg, NULL)), -EBADF);
        check_eq(ouro_pg_backend(pg), -EBADF);
        check_eq(ouro_pg_error_get(pg, &error), -EBADF);
        check_eq(ouro_pg_state_get(pg), OURO_PG_CLOSED);
        check_eq(ouro_await(ouro_pg_close(pg)), 0);
        ouro_pg_free(pg); /* twice, and more often */
        check_eq(pool_stats(pool).leased, 1);
        check_eq(number(other, "SELECT 7"), 7);
        ouro_pg_free(other);
    }
    pg = leased(pool);
    check_eq(ouro_await(ouro_pg_close(pg)), 0); /* back already */
    check_eq(pool_stats(pool).idle, 1);
    check_eq(run(pg, "SELECT 1"), -EBADF);
    ouro_pg_free(pg);
    for (int i = 0; i < 500; i++)
        ouro_pg_free(leased(pool));
    pool_over(pool);
    return 0;
}

KernelTest(pool, errors_are_not_inherited)
{
    ouro_pg_pool *pool = pool_of(1);
    ouro_pg_error error;
    ouro_pg *pg = leased(pool);
    check(run(pg, "SELECT 1/0") < 0);
    ouro_pg_free(pg);
    pg = leased(pool);
    check_eq(ouro_pg_error_get(pg, &error), 0);
    check_eq(error.code, 0);
    ouro_pg_free(pg);
    pool_over(pool);
    return 0;
}

/* ---- Calls that are wrong -------------------------------------------------------------------- */

KernelTest(pool, refuses)
{
    ouro_pg_pool *pool = NULL;
    ouro_pg_pool_stats st;
    check_eq(ouro_pg_pool_new("nonsense", NULL, &pool), -EINVAL);
    check_eq(ouro_pg_pool_new("", NULL, NULL), -EINVAL);
    check_eq(ouro_pg_pool_new("", &(ouro_pg_pool_options){.min = 11}, &pool), -EINVAL);
    check_eq(ouro_pg_pool_new("", &(ouro_pg_pool_options){.max = -1}, &pool), -EINVAL);
    check_eq(ouro_pg_pool_new("", &(ouro_pg_pool_options){.max_waiting = -1}, &pool), -EINVAL);
    check_eq(ouro_pg_pool_new("", &(ouro_pg_pool_options){.min = 2, .max = 1}, &pool), -EINVAL);
    check(pool == NULL);
    check_eq(ouro_await(ouro_pg_pool_acquire(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_pool_ready(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_pool_close(NULL, 0)), -EINVAL);
    check_eq(pool_run(NULL, "SELECT 1"), -EINVAL);
    check_eq(ouro_pg_pool_stats_get(NULL, &st), -EINVAL);
    check(ouro_pg_pool_free(NULL) == NULL);
    ouro_pg_pool_free(pool_of(1)); /* unused */
    return 0;
}
