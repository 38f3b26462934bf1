/* SPDX-License-Identifier: MIT */
/*
 * Waiting for some of several futures, which cancels none of them.
 */
#include "harness.h"

#include <errno.h>
#include <pthread.h>

TestSuite(wait, .timeout = 60);

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

static void unref_all(ouro_future **f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ouro_cancel(f[i]);
        ouro_unref(f[i]);
    }
}

/* Fails after a while. */
static int64_t fail(void *arg)
{
    int64_t rc = nap(*(ouro_ns *)arg);
    return rc < 0 ? rc : -EIO;
}

/* ---- Until when ------------------------------------------------------------------------------ */

FakeTest(wait, all_waits_for_all)
{
    ouro_future *f[3] = {ouro_sleep(OURO_SEC(1)), ouro_sleep(OURO_SEC(3)), ouro_sleep(OURO_SEC(2))};
    ouro_ns start = ouro_now();
    check_eq(ouro_await(ouro_wait(f, 3, OURO_WAIT_ALL, OURO_FOREVER)), 3);
    check_eq(ouro_now() - start, OURO_SEC(3));
    unref_all(f, 3);
    return 0;
}

FakeTest(wait, first_waits_for_one_and_cancels_none)
{
    ouro_future *f[3] = {ouro_sleep(OURO_SEC(5)), ouro_sleep(OURO_SEC(3)), ouro_sleep(OURO_SEC(4))};
    ouro_ns start = ouro_now();
    check_eq(ouro_await(ouro_wait(f, 3, OURO_WAIT_FIRST, OURO_FOREVER)), 1);
    check_eq(ouro_now() - start, OURO_SEC(3));
    check_eq(ouro_future_state(f[0]), OURO_PENDING);
    check_eq(ouro_future_state(f[1]), OURO_VALUE);
    check_eq(ouro_future_state(f[2]), OURO_PENDING);
    check_eq(ouro_await(ouro_wait(f, 3, OURO_WAIT_ALL, OURO_FOREVER)), 3);
    unref_all(f, 3);
    return 0;
}

FakeTest(wait, error_waits_for_a_failure_or_a_cancel_or_for_all)
{
    ouro_ns late = OURO_SEC(2);
    ouro_ns start = ouro_now();
    ouro_future *f[3] = {ouro_sleep(OURO_SEC(1)), ouro_spawn(fail, &late), ouro_sleep(OURO_SEC(4))};
    check_eq(ouro_await(ouro_wait(f, 3, OURO_WAIT_ERROR, OURO_FOREVER)), 2);
    check_eq(ouro_now() - start, OURO_SEC(2));
    check_eq(ouro_future_result(f[1]).n, -EIO);
    unref_all(f, 3);

    f[0] = ouro_sleep(OURO_SEC(1));
    f[1] = ouro_sleep(OURO_SEC(9));
    check_eq(ouro_cancel(f[1]), 1);
    check_eq(ouro_await(ouro_wait(f, 2, OURO_WAIT_ERROR, OURO_FOREVER)), 1);
    unref_all(f, 2);

    f[0] = ouro_sleep(OURO_SEC(1));
    f[1] = ouro_sleep(OURO_SEC(2));
    check_eq(ouro_await(ouro_wait(f, 2, OURO_WAIT_ERROR, OURO_FOREVER)), 2);
    unref_all(f, 2);
    return 0;
}

TaskTest(wait, more_than_one_may_have_settled)
{
    ouro_promise *p[2];
    ouro_future *f[3];
    for (int i = 0; i < 2; i++)
        check_eq(ouro_promise_new(&p[i], &f[i]), 0);
    f[2] = ouro_sleep(OURO_SEC(100));
    ouro_future *w = ouro_wait(f, 3, OURO_WAIT_FIRST, OURO_FOREVER);
    for (int i = 0; i < 2; i++) {
        check_eq(ouro_promise_resolve(p[i], (ouro_result){0, NULL}, NULL), 0);
        ouro_promise_free(p[i]);
    }
    check_eq(ouro_await(w), 2);
    unref_all(f, 3);
    return 0;
}

TaskTest(wait, of_nothing_is_done_at_once)
{
    for (int mode = OURO_WAIT_ALL; mode <= OURO_WAIT_ERROR; mode++) {
        ouro_future *w = ouro_wait(NULL, 0, (ouro_wait_mode)mode, OURO_FOREVER);
        check_eq(ouro_future_state(w), OURO_VALUE);
        check_eq(ouro_await(w), 0);
    }
    return 0;
}

TaskTest(wait, what_is_enough_already_is_done_at_once)
{
    ouro_future *f[3] = {ouro_ready(1), ouro_sleep(OURO_SEC(100)), ouro_ready(-EIO)};
    for (int mode = OURO_WAIT_FIRST; mode <= OURO_WAIT_ERROR; mode++) {
        ouro_future *w = ouro_wait(f, 3, (ouro_wait_mode)mode, OURO_FOREVER);
        check_eq(ouro_future_state(w), OURO_VALUE);
        check_eq(ouro_await(w), 2);
    }
    check_eq(ouro_future_result(f[2]).n, -EIO); /* waiting did not count as reading */
    unref_all(f, 3);
    return 0;
}

TaskTest(wait, the_same_future_twice_counts_twice)
{
    ouro_future *sleep = ouro_sleep(OURO_MS(1));
    ouro_future *f[3] = {sleep, ouro_ready(0), sleep};
    check_eq(ouro_await(ouro_wait(f, 3, OURO_WAIT_ALL, 0)), 1);
    check_eq(ouro_await(ouro_wait(f, 3, OURO_WAIT_ALL, OURO_FOREVER)), 3);
    ouro_unref(f[1]);
    ouro_unref(sleep);
    return 0;
}

/* ---- The time -------------------------------------------------------------------------------- */

FakeTest(wait, the_end_of_the_time_is_an_answer_and_cancels_nothing)
{
    ouro_future *f[3] = {ouro_sleep(OURO_SEC(1)), ouro_sleep(OURO_SEC(3)), ouro_sleep(OURO_SEC(9))};
    ouro_ns start = ouro_now();
    check_eq(ouro_await(ouro_wait(f, 3, OURO_WAIT_ALL, OURO_SEC(5))), 2);
    check_eq(ouro_now() - start, OURO_SEC(5));
    check_eq(ouro_future_state(f[2]), OURO_PENDING);
    check_eq(ouro_await(ouro_wait(f, 3, OURO_WAIT_ALL, OURO_FOREVER)), 3);
    check_eq(ouro_now() - start, OURO_SEC(9));
    unref_all(f, 3);
    return 0;
}

TaskTest(wait, without_time_it_only_looks)
{
    ouro_future *f[2] = {ouro_ready(1), ouro_sleep(OURO_SEC(100))};
    ouro_future *w = ouro_wait(f, 2, OURO_WAIT_ALL, 0);
    check_eq(ouro_future_state(w), OURO_VALUE);
    check_eq(ouro_await(w), 1);
    unref_all(f, 2);
    return 0;
}

FakeTest(wait, what_settles_as_the_time_ends_is_counted)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(1)), ouro_sleep(OURO_SEC(2))};
    check_eq(ouro_await(ouro_wait(f, 2, OURO_WAIT_ALL, OURO_SEC(2))), 2);
    unref_all(f, 2);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

TaskTest(wait, cancelling_it_cancels_nothing)
{
    ouro_future *f[2] = {ouro_sleep(OURO_MS(5)), ouro_sleep(OURO_MS(5))};
    ouro_future *w = ouro_wait(f, 2, OURO_WAIT_ALL, OURO_SEC(100));
    check_eq(ouro_cancel(w), 1);
    check_eq(ouro_future_state(w), OURO_CANCELLED);
    check_eq(ouro_await(w), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(f[0]), 0);
    check_eq(ouro_await(f[1]), 0);
    return 0;
}

TaskTest(wait, cancelled_after_one_of_several_it_forgets_that_too)
{
    ouro_future *f[2] = {ouro_sleep(OURO_MS(1)), ouro_sleep(OURO_SEC(100))};
    ouro_future *w = ouro_wait(f, 2, OURO_WAIT_ALL, OURO_FOREVER);
    check_eq(ouro_join(f[0]), 0);
    check_eq(ouro_cancel(w), 1); /* its job is in the ready list */
    ouro_unref(w);
    unref_all(f, 2);
    return 0;
}

static int64_t wait_for_it(void *arg)
{
    ouro_future **f = arg;
    return ouro_await(ouro_wait(f, 1, OURO_WAIT_ALL, OURO_FOREVER));
}

TaskTest(wait, a_task_that_is_cancelled_in_it_leaves_the_futures_alone)
{
    ouro_future *f = ouro_sleep(OURO_MS(5));
    ouro_future *task = ouro_spawn(wait_for_it, &f);
    check_eq(ouro_yield(), 0);
    ouro_cancel(task);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(f), 0);
    return 0;
}

TaskTest(wait, a_timeout_around_it_is_an_error_instead)
{
    ouro_future *f = ouro_sleep(OURO_SEC(100));
    ouro_future *w = ouro_wait(&f, 1, OURO_WAIT_ALL, OURO_FOREVER);
    check_eq(ouro_await(ouro_timeout(w, OURO_MS(1))), -ETIMEDOUT);
    check_eq(ouro_future_state(f), OURO_PENDING);
    unref_all(&f, 1);
    return 0;
}

TaskTest(wait, keeps_alive_what_it_waits_for_and_reads_nothing)
{
    ouro_future *f[2] = {ouro_sleep(OURO_MS(1)), ouro_ready(-EIO)};
    ouro_future *w = ouro_wait(f, 2, OURO_WAIT_ALL, OURO_FOREVER);
    ouro_unref(f[0]);
    ouro_unref(f[1]);
    check_eq(ouro_await(w), 2);
    check_eq(ouro_yield(), 0);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    return 0;
}

static int64_t sleeper(void *arg)
{
    *(const char **)arg = "started";
    int64_t rc = nap(OURO_SEC(100));
    *(const char **)arg = ouro_cancel_reason();
    return rc;
}

static int64_t wait_shielded(void *arg)
{
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(wait_for_it(arg), 1);
    return ouro_scope_exit(&scope, 0);
}

/* Nobody but a wait looks at the task, and that one would not pass a cancel on. */
Test(wait, shutdown_cancels_what_is_only_waited_for)
{
    begin_fake();
    const char *reason = NULL;
    ouro_future *f = ouro_spawn(sleeper, &reason);
    ouro_future *task = ouro_spawn(wait_shielded, &f);
    turns(3);
    ouro_ns start = ouro_now();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_now() - start, 0); /* and not when the grace had passed */
    check_text(reason, "shutdown");
    check_eq(ouro_future_result(task).n, 0);
    ouro_unref(task);
    ouro_unref(f);
    end();
}

Test(wait, shutdown_cancels_it)
{
    begin_fake();
    ouro_future *f = ouro_sleep(OURO_SEC(100));
    ouro_future *w = ouro_wait(&f, 1, OURO_WAIT_ALL, OURO_FOREVER);
    turns(2);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_future_state(w), OURO_CANCELLED);
    ouro_unref(w);
    ouro_unref(f);
    end();
}

/* ---- Bad input ------------------------------------------------------------------------------- */

static ouro_future *foreign;

static void *wait_in_thread(void *arg)
{
    (void)arg;
    ouro_loop *loop;
    check_eq(ouro_future_result(ouro_wait(&foreign, 1, OURO_WAIT_ALL, 0)).n, -EPERM);
    check_eq(ouro_loop_new(NULL, &loop), 0);
    check_eq(ouro_future_result(ouro_wait(&foreign, 1, OURO_WAIT_ALL, 0)).n, -EXDEV);
    ouro_loop_close(loop);
    return NULL;
}

TaskTest(wait, bad_input_is_told)
{
    ouro_future *f[2] = {ouro_sleep(OURO_MS(1)), NULL};
    check_eq(ouro_await(ouro_wait(f, 2, OURO_WAIT_ALL, 0)), -EINVAL);
    check_eq(ouro_await(ouro_wait(NULL, 2, OURO_WAIT_ALL, 0)), -EINVAL);
    check_eq(ouro_await(ouro_wait(f, 1, (ouro_wait_mode)9, 0)), -EINVAL);
    f[1] = ouro_task_current();
    check_eq(ouro_await(ouro_wait(f, 2, OURO_WAIT_ALL, 0)), -EDEADLK);
    pthread_t thread;
    foreign = f[0];
    check_eq(pthread_create(&thread, NULL, wait_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    check_eq(ouro_await(f[0]), 0);
    return 0;
}
