/* SPDX-License-Identifier: MIT */
/*
 * Cancelling: the statement ends on the server, the connection is good afterwards, and nobody else
 * is hit.
 */
#include <stdlib.h>

#include "pg_test.h"

KernelTest(pg_cancel, a_statement_that_runs_ends_on_the_server)
{
    ouro_pg *pg = connected();
    ouro_ns before = ouro_now();
    check_eq(ouro_await(ouro_timeout(ouro_pg_query(pg, "SELECT pg_sleep(31)", NULL, 0, NULL),
                                     OURO_MS(30))),
             -ETIMEDOUT);
    check(ouro_now() - before < OURO_SEC(5));
    check_eq(number(pg, "SELECT 7"), 7);
    check_eq(
        pg_admin("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(31)%'"
                 " AND state = 'active'"),
        0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_cancel, one_in_line_never_runs)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE t (i int)"), 0);
    ouro_future *first = ouro_pg_query(pg, "SELECT pg_sleep(0.05)", NULL, 0, NULL);
    ouro_future *second = ouro_pg_query(pg, "INSERT INTO t VALUES (1)", NULL, 0, NULL);
    check_eq(ouro_cancel(second), 1);
    check_eq(ouro_await(second), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(first), 1);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    ouro_pg_stats s;
    check_eq(ouro_pg_stats_get(pg, &s), 0);
    check_eq(s.cancels, 0);
    check_eq(s.waiting, 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_cancel, a_result_that_is_there_wins)
{
    ouro_pg *pg = connected();
    int done = 0;
    for (int i = 0; i < 40; i++) {
        ouro_future *f = ouro_ref(ouro_pg_query(pg, "SELECT 42", NULL, 0, NULL));
        check_eq(ouro_await(ouro_sleep(OURO_US((unsigned)i * 10))), 0);
        ouro_cancel(f);
        int64_t rc = ouro_await(f);
        check(rc == 1 || rc == -OURO_ECHILDCANCELLED);
        done += rc == 1;
        ouro_unref(f);
    }
    check_eq(number(pg, "SELECT 7"), 7);
    (void)done;
    ouro_pg_free(pg);
    return 0;
}

/* Each round cancels one statement, at another moment, and sends the next at once. */
KernelTest(pg_cancel, never_hits_the_next_statement)
{
    ouro_pg *pg = connected();
    for (int i = 0; i < 300; i++) {
        ouro_future *f = ouro_pg_query(pg, "SELECT pg_sleep(0.002)", NULL, 0, NULL);
        check_eq(ouro_await(ouro_sleep(OURO_US((unsigned)(i * 37) % 3000))), 0);
        ouro_cancel(f);
        ouro_future *next = ouro_pg_query(pg, "SELECT pg_sleep(0.001)", NULL, 0, NULL);
        int64_t rc = ouro_await(f);
        check(rc == 1 || rc == -OURO_ECHILDCANCELLED);
        check_eq(ouro_await(next), 1);
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_cancel, a_server_that_does_not_answer_is_given_up)
{
    ouro_pg *pg = connect_with(&(ouro_pg_options){.cancel_grace = OURO_MS(100)});
    char sql[120];
    /* A server process that is stopped answers nothing. */
    snprintf(sql, sizeof sql, "kill -STOP %lld", (long long)ouro_pg_backend(pg));
    check_eq(system(sql), 0);
    ouro_ns before = ouro_now();
    check_eq(ouro_await(ouro_timeout(ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL), OURO_MS(20))),
             -ETIMEDOUT);
    check(ouro_now() - before < OURO_SEC(2));
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
    check_eq(words_of(ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL), "did not end a statement"),
             -ETIMEDOUT);
    snprintf(sql, sizeof sql, "kill -CONT %lld", (long long)ouro_pg_backend(pg));
    check_eq(system(sql), 0);
    ouro_pg_free(pg);
    return 0;
}

static int64_t sleeper(void *pg)
{
    return run(pg, "SELECT pg_sleep(30)");
}

KernelTest(pg_cancel, a_cancelled_task_gets_to_know)
{
    ouro_pg *pg = connected();
    ouro_future *task = ouro_ref(ouro_spawn(sleeper, pg));
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    ouro_unref(task);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_cancel, close_in_mid_cancel)
{
    for (unsigned i = 0; i < 20; i++) {
        ouro_pg *pg = connected();
        ouro_future *f = ouro_pg_query(pg, "SELECT pg_sleep(30)", NULL, 0, NULL);
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
        ouro_cancel(f);
        check_eq(ouro_await(ouro_sleep(OURO_US(i * 200))), 0);
        ouro_pg_free(pg);
        int64_t rc = ouro_await(f);
        check(rc == -EBADF || rc == -OURO_ECHILDCANCELLED);
    }
    return 0;
}
