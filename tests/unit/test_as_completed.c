/* SPDX-License-Identifier: MIT */
/*
 * Iterating over futures as they settle: each comes once, none is lost, none is cancelled.
 */
#include "harness.h"

#include <errno.h>
#include <pthread.h>

TestSuite(as_completed, .timeout = 60);

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

static ouro_completions *iterate(ouro_future **f, size_t n)
{
    ouro_completions *c;
    check_eq(ouro_as_completed(f, n, &c), 0);
    return c;
}

static int64_t next(ouro_completions *c)
{
    return ouro_await(ouro_completions_next(c));
}

static void unref_all(ouro_future **f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ouro_cancel(f[i]);
        ouro_unref(f[i]);
    }
}

/* ---- The order ------------------------------------------------------------------------------- */

FakeTest(as_completed, each_comes_once_in_the_order_in_which_they_settle)
{
    ouro_future *f[3] = {ouro_sleep(OURO_SEC(3)), ouro_sleep(OURO_SEC(1)), ouro_sleep(OURO_SEC(2))};
    ouro_ns start = ouro_now();
    ouro_completions *c = iterate(f, 3);
    check_eq(next(c), 1);
    check_eq(ouro_now() - start, OURO_SEC(1));
    check_eq(next(c), 2);
    check_eq(next(c), 0);
    check_eq(ouro_now() - start, OURO_SEC(3));
    check_eq(next(c), -ENODATA);
    check_eq(next(c), -ENODATA);
    ouro_completions_free(c);
    unref_all(f, 3);
    return 0;
}

TaskTest(as_completed, what_had_settled_comes_first_in_order)
{
    ouro_future *f[4] = {ouro_sleep(OURO_MS(1)), ouro_ready(0), ouro_ready(-EIO), ouro_ready(1)};
    ouro_completions *c = iterate(f, 4);
    check_eq(next(c), 1);
    check_eq(next(c), 2);
    check_eq(ouro_await(f[2]), -EIO); /* the error is still there to be read */
    check_eq(next(c), 3);
    check_eq(next(c), 0);
    check_eq(next(c), -ENODATA);
    check(ouro_completions_free(c) == NULL);
    ouro_unref(f[0]);
    ouro_unref(f[1]);
    ouro_unref(f[3]);
    return 0;
}

TaskTest(as_completed, what_settled_unwatched_comes_in_order_too)
{
    ouro_future *f[3] = {ouro_sleep(OURO_MS(30)), ouro_sleep(OURO_MS(1)), ouro_sleep(OURO_MS(15))};
    ouro_completions *c = iterate(f, 3);
    check_eq(nap(OURO_MS(60)), 0);
    check_eq(next(c), 1);
    check_eq(next(c), 2);
    check_eq(next(c), 0);
    ouro_completions_free(c);
    unref_all(f, 3);
    return 0;
}

TaskTest(as_completed, of_nothing_has_no_step)
{
    ouro_completions *c = iterate(NULL, 0);
    check_eq(next(c), -ENODATA);
    ouro_completions_free(c);
    return 0;
}

TaskTest(as_completed, the_same_future_twice_comes_at_both_places)
{
    ouro_future *sleep = ouro_sleep(OURO_MS(1));
    ouro_future *f[2] = {sleep, sleep};
    ouro_completions *c = iterate(f, 2);
    check_eq(next(c), 0);
    check_eq(next(c), 1);
    check_eq(next(c), -ENODATA);
    ouro_completions_free(c);
    ouro_unref(sleep);
    return 0;
}

TaskTest(as_completed, of_a_thousand)
{
    static ouro_future *f[1000];
    static int seen[1000];
    for (int i = 0; i < 1000; i++) {
        f[i] = ouro_sleep(OURO_US((i * 7919) % 1000));
        seen[i] = 0;
    }
    ouro_completions *c = iterate(f, 1000);
    for (int i = 0; i < 1000; i++)
        seen[next(c)]++;
    check_eq(next(c), -ENODATA);
    for (int i = 0; i < 1000; i++)
        check_eq(seen[i], 1);
    ouro_completions_free(c);
    unref_all(f, 1000);
    return 0;
}

/* ---- Several who wait ------------------------------------------------------------------------ */

TaskTest(as_completed, several_waits_are_served_in_line_and_the_last_is_told_the_end)
{
    ouro_future *f[2] = {ouro_sleep(OURO_MS(20)), ouro_sleep(OURO_MS(1))};
    ouro_completions *c = iterate(f, 2);
    ouro_future *n[3] = {ouro_completions_next(c), ouro_completions_next(c),
                         ouro_completions_next(c)};
    check_eq(ouro_await(n[2]), -ENODATA);
    check_eq(ouro_await(n[0]), 1);
    check_eq(ouro_await(n[1]), 0);
    ouro_completions_free(c);
    unref_all(f, 2);
    return 0;
}

struct consumer {
    ouro_completions *c;
    int *seen;
};

static int64_t consume(void *arg)
{
    struct consumer *me = arg;
    int64_t i;
    while ((i = next(me->c)) >= 0)
        me->seen[i]++;
    return i == -ENODATA ? 0 : i;
}

TaskTest(as_completed, is_shared_by_several_consumers)
{
    ouro_future *f[20];
    int seen[20] = {0};
    for (int i = 0; i < 20; i++)
        f[i] = ouro_sleep(OURO_US(i * 37 % 20 * 100));
    struct consumer me = {iterate(f, 20), seen};
    ouro_future *consumers[3];
    for (int i = 0; i < 3; i++)
        consumers[i] = ouro_spawn(consume, &me);
    check_eq(ouro_await(ouro_gather(consumers, 3, OURO_GATHER_ALL, NULL)), 0);
    for (int i = 0; i < 20; i++)
        check_eq(seen[i], 1);
    ouro_completions_free(me.c);
    unref_all(f, 20);
    return 0;
}

/* ---- What nobody takes ----------------------------------------------------------------------- */

TaskTest(as_completed, a_wait_that_is_cancelled_takes_none)
{
    ouro_future *f[2] = {ouro_sleep(OURO_MS(5)), ouro_sleep(OURO_MS(1))};
    ouro_completions *c = iterate(f, 2);
    ouro_future *n = ouro_completions_next(c);
    check_eq(ouro_cancel(n), 1);
    check_eq(ouro_await(n), -OURO_ECHILDCANCELLED);
    check_eq(next(c), 1);
    check_eq(next(c), 0);
    ouro_completions_free(c);
    unref_all(f, 2);
    return 0;
}

FakeTest(as_completed, a_timeout_is_an_error_of_the_wait_and_the_iteration_goes_on)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(5)), ouro_sleep(OURO_SEC(1))};
    ouro_completions *c = iterate(f, 2);
    check_eq(next(c), 1);
    check_eq(ouro_await(ouro_timeout(ouro_completions_next(c), OURO_SEC(1))), -ETIMEDOUT);
    check_eq(ouro_future_state(f[0]), OURO_PENDING);
    check_eq(next(c), 0);
    ouro_completions_free(c);
    unref_all(f, 2);
    return 0;
}

TaskTest(as_completed, an_index_that_nobody_took_comes_again_and_first)
{
    ouro_future *f[3] = {ouro_ready(0), ouro_ready(0), ouro_ready(0)};
    ouro_completions *c = iterate(f, 3);
    ouro_future *given = ouro_completions_next(c);
    check_eq(ouro_join(given), 0);
    check_eq(ouro_future_result(given).n, 0); /* looking is not taking */
    ouro_unref(given);
    check_eq(ouro_yield(), 0);
    check_eq(next(c), 0);
    check_eq(next(c), 1);
    check_eq(next(c), 2);
    check_eq(next(c), -ENODATA);
    ouro_completions_free(c);
    unref_all(f, 3);
    return 0;
}

TaskTest(as_completed, an_index_that_nobody_took_goes_to_who_waits)
{
    ouro_future *f[2] = {ouro_ready(0), ouro_sleep(OURO_SEC(100))};
    ouro_completions *c = iterate(f, 2);
    ouro_future *given = ouro_completions_next(c);
    ouro_future *waiting = ouro_completions_next(c);
    check_eq(ouro_join(given), 0);
    ouro_unref(given);
    check_eq(ouro_await(waiting), 0);
    ouro_completions_free(c);
    unref_all(f, 2);
    return 0;
}

TaskTest(as_completed, an_index_that_lost_a_select_comes_again)
{
    ouro_future *f[1] = {ouro_ready(0)};
    ouro_completions *c = iterate(f, 1);
    check_eq(ouro_yield(), 0);
    ouro_future *rivals[2] = {ouro_ready(1), ouro_completions_next(c)};
    check_eq(ouro_await(ouro_select(rivals, 2, NULL)), 0);
    check_eq(next(c), 0);
    check_eq(next(c), -ENODATA);
    ouro_completions_free(c);
    unref_all(f, 1);
    return 0;
}

TaskTest(as_completed, an_index_that_won_a_select_is_in_its_result_or_comes_again)
{
    ouro_future *f[1] = {ouro_ready(0)};
    ouro_completions *c = iterate(f, 1);
    ouro_future *rival = ouro_completions_next(c);
    check_eq(ouro_await(ouro_select(&rival, 1, NULL)), 0);
    ouro_result winner = {9, NULL};
    rival = ouro_completions_next(c);
    check_eq(ouro_await(ouro_select(&rival, 1, &winner)), 0);
    check_eq(winner.n, 0);
    check_eq(next(c), -ENODATA);
    ouro_completions_free(c);
    unref_all(f, 1);
    return 0;
}

/* ---- Its end --------------------------------------------------------------------------------- */

TaskTest(as_completed, freeing_it_leaves_the_futures_alone)
{
    ouro_future *f[2] = {ouro_sleep(OURO_MS(2)), ouro_sleep(OURO_MS(1))};
    ouro_completions *c = iterate(f, 2);
    check_eq(next(c), 1);
    ouro_completions_free(c);
    check_eq(ouro_await(f[0]), 0);
    ouro_unref(f[1]);
    return 0;
}

TaskTest(as_completed, who_waits_when_it_is_freed_is_told)
{
    ouro_future *f[1] = {ouro_sleep(OURO_SEC(100))};
    ouro_completions *c = iterate(f, 1);
    ouro_future *n = ouro_completions_next(c);
    ouro_completions_free(c);
    check_eq(ouro_await(n), -EPIPE);
    unref_all(f, 1);
    return 0;
}

TaskTest(as_completed, what_it_gave_out_outlives_it)
{
    ouro_future *f[2] = {ouro_ready(0), ouro_ready(0)};
    ouro_completions *c = iterate(f, 2);
    check_eq(ouro_yield(), 0);
    ouro_future *n[2] = {ouro_completions_next(c), ouro_completions_next(c)};
    ouro_completions_free(c);
    check_eq(ouro_await(n[0]), 0);
    ouro_unref(n[1]); /* goes back to what is no more */
    check_eq(ouro_yield(), 0);
    unref_all(f, 2);
    return 0;
}

TaskTest(as_completed, keeps_its_futures_alive)
{
    ouro_future *f[1] = {ouro_sleep(OURO_MS(1))};
    ouro_completions *c = iterate(f, 1);
    ouro_unref(f[0]);
    check_eq(next(c), 0);
    check_eq(ouro_future_result(f[0]).n, 0);
    ouro_completions_free(c);
    return 0;
}

Test(as_completed, may_be_freed_after_its_loop)
{
    begin_kernel();
    ouro_future *f[1] = {ouro_sleep(OURO_MS(1))};
    ouro_completions *c = iterate(f, 1);
    ouro_unref(f[0]);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(ouro_future_result(ouro_completions_next(c)).n, -ESHUTDOWN);
    ouro_completions_free(c);
    end_closed();
}

/* What only an iteration looks at is cancelled by shutdown like what nobody looks at. */
static int64_t sleeper(void *arg)
{
    *(const char **)arg = "started";
    int64_t rc = nap(OURO_SEC(100));
    *(const char **)arg = ouro_cancel_reason();
    return rc;
}

Test(as_completed, shutdown_cancels_what_is_only_looked_at)
{
    begin_fake();
    const char *reason = NULL;
    ouro_future *f = ouro_spawn(sleeper, &reason);
    ouro_completions *c = iterate(&f, 1);
    turns(2);
    ouro_ns start = ouro_now();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_now() - start, 0); /* and not when the grace had passed */
    check_text(reason, "shutdown");
    ouro_completions_free(c);
    ouro_unref(f);
    end();
}

/* ---- Bad input ------------------------------------------------------------------------------- */

static ouro_completions *foreign;

static void *use_in_thread(void *arg)
{
    (void)arg;
    check_eq(ouro_future_result(ouro_completions_next(foreign)).n, -EXDEV);
    check(ouro_completions_free(foreign) == NULL); /* which does nothing */
    return NULL;
}

TaskTest(as_completed, bad_input_is_told)
{
    ouro_completions *c = NULL;
    ouro_future *f[2] = {ouro_sleep(OURO_MS(1)), NULL};
    check_eq(ouro_as_completed(f, 2, &c), -EINVAL);
    check_eq(ouro_as_completed(f, 1, NULL), -EINVAL);
    check_eq(ouro_as_completed(NULL, 1, &c), -EINVAL);
    f[1] = ouro_task_current();
    check_eq(ouro_as_completed(f, 2, &c), -EDEADLK);
    check(c == NULL);
    check_eq(ouro_await(ouro_completions_next(NULL)), -EINVAL);
    check(ouro_completions_free(NULL) == NULL);
    pthread_t thread;
    foreign = c = iterate(f, 1);
    check_eq(pthread_create(&thread, NULL, use_in_thread, NULL), 0);
    pthread_join(thread, NULL);
    check_eq(next(c), 0);
    ouro_completions_free(c);
    ouro_unref(f[0]);
    return 0;
}
