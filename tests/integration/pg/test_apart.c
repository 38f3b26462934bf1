/* SPDX-License-Identifier: MIT */
/*
 * Connections in the wrong hands: in the child of a fork, which may do nothing to the parent's
 * session, on another thread, and in a loop that is shut down.
 */
#define _GNU_SOURCE
#include "pg_test.h"

#include <pthread.h>
#include <unistd.h>

static ouro_pg *the_pg, *the_tx;

static int64_t outcome(ouro_future *f)
{
    int64_t n = ouro_future_result(f).n;
    ouro_unref(f);
    return n;
}

/* What every call on a handle comes to that must not be used. */
static int refuses(ouro_pg *pg, ouro_pg *tx, int64_t want)
{
    ouro_pg_error e;
    ouro_pg_stats s;
    child_check(ouro_pg_error_get(pg, &e) == want);
    child_check(ouro_pg_stats_get(pg, &s) == want);
    child_check(ouro_pg_backend(pg) == want);
    child_check(ouro_pg_parameter(pg, "server_version") == NULL);
    child_check(outcome(ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL)) == want);
    child_check(outcome(ouro_pg_script(pg, "SELECT 1", NULL)) == want);
    child_check(outcome(ouro_pg_listen(pg, "c")) == want);
    child_check(outcome(ouro_pg_unlisten(pg, "c")) == want);
    int64_t notified = outcome(ouro_pg_notify(pg, "c", "x"));
    child_check(notified == want || notified == -EAGAIN); /* it takes a turn */
    child_check(outcome(ouro_pg_notified(pg)) == want);
    child_check(outcome(ouro_pg_begin(pg, NULL)) == want);
    child_check(outcome(ouro_pg_commit(tx)) == want);
    child_check(outcome(ouro_pg_rollback(tx)) == want);
    child_check(outcome(ouro_pg_close(tx)) == want);
    child_check(outcome(ouro_pg_close(pg)) == want);
    return 0;
}

static int in_child_of_fork(void)
{
    if (refuses(the_pg, the_tx, -ECHILD))
        return 1;
    child_check(ouro_pg_free(the_tx) == NULL);
    child_check(ouro_pg_free(the_pg) == NULL);
    return 0;
}

KernelTest(pg_apart, a_child_does_not_disturb_the_session)
{
    char text[400];
    the_pg = connected();
    check_eq(run(the_pg, "CREATE TEMP TABLE t (i int)"), 0);
    the_tx = begun(the_pg);
    check_eq(run(the_tx, "INSERT INTO t VALUES (1)"), 1);
    check_child(in_child_of_fork, text, sizeof text);
    check_eq(ouro_await(ouro_sleep(OURO_MS(30))), 0);
    check_eq(ouro_pg_state_get(the_pg), OURO_PG_READY);
    check_eq(run(the_tx, "INSERT INTO t VALUES (2)"), 1);
    check_eq(ouro_await(ouro_pg_commit(the_tx)), 0);
    check_eq(number(the_pg, "SELECT count(*) FROM t"), 2);
    ouro_pg_free(the_pg);
    return 0;
}

static void *other_thread(void *arg)
{
    ouro_loop *loop;
    int *failed = arg;
    check_eq(ouro_loop_new(NULL, &loop), 0);
    *failed = refuses(the_pg, the_tx, -EXDEV);
    check_eq(ouro_loop_shutdown(loop, OURO_SEC(1)), 0);
    check_eq(ouro_loop_close(loop), 0);
    return NULL;
}

KernelTest(pg_apart, another_thread_is_refused)
{
    pthread_t thread;
    int failed = 1;
    the_pg = connected();
    the_tx = begun(the_pg);
    check_eq(pthread_create(&thread, NULL, other_thread, &failed), 0);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(failed, 0);
    check_eq(run(the_tx, "SELECT 1"), 1);
    check_eq(ouro_await(ouro_pg_commit(the_tx)), 0);
    ouro_pg_free(the_pg);
    take_reports(OURO_REPORT_WRONG_THREAD);
    return 0;
}

/* ---- A loop that is shut down ---------------------------------------------------------------- */

static int cleaned_up;

/* Is cancelled in a statement, then tidies up, as tasks do. */
static int64_t with_transaction(void *arg)
{
    int64_t rc;
    ouro_pg *tx = ouro_await_ptr(ouro_pg_begin(arg, NULL), &rc);
    if (tx) {
        rc = run(tx, "SELECT pg_sleep(20)");
        ouro_await(ouro_pg_rollback(tx));
    }
    cleaned_up++;
    return rc;
}

static int64_t in_line(void *pg)
{
    int64_t rc = run(pg, "SELECT 1");
    cleaned_up++;
    return rc;
}

Test(pg_apart, a_loop_is_shut_down_under_everything)
{
    for (unsigned i = 0; i < 12; i++) {
        begin_kernel();
        cleaned_up = 0;
        ouro_future *f = ouro_ref(ouro_pg_connect(pg_conninfo(), NULL));
        check_eq(ouro_loop_run_until(ouro_loop_current(), f), 0);
        ouro_pg *pg = ouro_future_take(f).ptr;
        ouro_unref(f);
        ouro_future *tasks[] = {ouro_spawn(with_transaction, pg), ouro_spawn(in_line, pg),
                                ouro_pg_notified(pg), ouro_pg_connect(pg_conninfo(), NULL)};
        for (unsigned k = 0; k < i; k++)
            turn();
        ouro_ns before = ouro_now();
        check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
        check(ouro_now() - before < OURO_SEC(1));
        for (unsigned k = 0; k < 4; k++) {
            check(ouro_future_state(tasks[k]) != OURO_PENDING);
            ouro_future_result(tasks[k]);
            ouro_unref(tasks[k]);
        }
        check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
        ouro_pg_free(pg);
        end();
    }
}
