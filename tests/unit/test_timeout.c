/* SPDX-License-Identifier: MIT */
/*
 * A bound on a wait: a result beats it, an outside cancel beats it, and it never returns before
 * what it bounds has let go.
 */
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>

#include <ouro/uring.h>

TestSuite(timeout, .timeout = 30);

static int64_t seven_after_a_second(void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_SEC(1)));
    return rc < 0 ? rc : 7;
}

FakeTest(timeout, in_time_gives_the_result_and_leaves_no_timer)
{
    ouro_ns start = ouro_now();
    check_eq(ouro_await(ouro_timeout(ouro_spawn(seven_after_a_second, NULL), OURO_SEC(5))), 7);
    check_eq(ouro_now() - start, OURO_SEC(1));
    check_eq(stats().live_timers, 0);
    return 0;
}

FakeTest(timeout, the_limit_cancels_and_says_etimedout)
{
    ouro_ns start = ouro_now();
    ouro_future *task = ouro_spawn(seven_after_a_second, NULL);
    check_eq(ouro_await(ouro_timeout(ouro_ref(task), OURO_MS(300))), -ETIMEDOUT);
    check_eq(ouro_now() - start, OURO_MS(300));
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    ouro_unref(task);
    return 0;
}

TaskTest(timeout, is_never_early)
{
    ouro_ns start = ouro_now();
    check_eq(ouro_await(ouro_timeout(ouro_sleep(OURO_SEC(100)), OURO_MS(3))), -ETIMEDOUT);
    check(ouro_now() - start >= OURO_MS(3));
    return 0;
}

static int64_t insist(void *arg)
{
    (void)arg;
    check_eq(ouro_await(ouro_sleep(OURO_SEC(100))), -ECANCELED);
    return 5;
}

TaskTest(timeout, a_value_that_comes_in_spite_of_the_cancel_is_returned)
{
    check_eq(ouro_await(ouro_timeout(ouro_spawn(insist, NULL), OURO_MS(1))), 5);
    return 0;
}

static int64_t fail_otherwise(void *arg)
{
    (void)arg;
    check_eq(ouro_await(ouro_sleep(OURO_SEC(100))), -ECANCELED);
    return -EIO;
}

TaskTest(timeout, an_error_of_its_own_after_the_cancel_is_returned)
{
    check_eq(ouro_await(ouro_timeout(ouro_spawn(fail_otherwise, NULL), OURO_MS(1))), -EIO);
    return 0;
}

/* Needs a second to clean up, whatever happens. */
static int64_t slow_to_end(void *arg)
{
    ouro_scope scope;
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_SEC(100)));
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(ouro_await(ouro_sleep(OURO_SEC(1))), 0);
    check_eq(ouro_scope_exit(&scope, 0), 0);
    return rc;
}

FakeTest(timeout, waits_until_what_it_cancelled_has_ended)
{
    ouro_ns start = ouro_now();
    ouro_future *task = ouro_spawn(slow_to_end, NULL);
    check_eq(ouro_await(ouro_timeout(ouro_ref(task), OURO_MS(100))), -ETIMEDOUT);
    check(ouro_future_state(task) != OURO_PENDING);
    check_eq(ouro_now() - start, OURO_MS(1100));
    ouro_unref(task);
    return 0;
}

FakeTest(timeout, a_cancel_from_outside_beats_the_limit)
{
    ouro_future *bounded = ouro_timeout(ouro_spawn(slow_to_end, NULL), OURO_SEC(50));
    check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(ouro_cancel(bounded), 1);
    check_eq(ouro_join(bounded), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(bounded), OURO_CANCELLED);
    ouro_unref(bounded);
    return 0;
}

FakeTest(timeout, a_cancel_from_outside_beats_a_limit_that_has_passed)
{
    ouro_future *bounded = ouro_timeout(ouro_spawn(slow_to_end, NULL), OURO_MS(100));
    check_eq(ouro_await(ouro_sleep(OURO_MS(600))), 0); /* cancelled at 100, ends at 1100 */
    check_eq(ouro_future_state(bounded), OURO_PENDING);
    check_eq(ouro_cancel(bounded), 1);
    check_eq(ouro_join(bounded), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(bounded), OURO_CANCELLED);
    ouro_unref(bounded);
    return 0;
}

static int64_t bounded_wait(void *arg)
{
    (void)arg;
    return ouro_await(ouro_timeout(ouro_sleep(OURO_SEC(100)), OURO_SEC(50)));
}

TaskTest(timeout, a_cancelled_task_inside_a_bounded_wait_gets_ecanceled)
{
    ouro_future *task = ouro_spawn(bounded_wait, NULL);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    check_eq(stats().live_timers, 0);
    ouro_unref(task);
    return 0;
}

static ouro_future *read_op(char *buf)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_READ, .fd = 3, .addr = (uintptr_t)buf, .len = 8};
    return ouro_uring_op(&sqe, NULL);
}

Test(timeout, completion_and_deadline_in_one_turn_completion_wins)
{
    char buf[8];
    struct fake *fake = begin_fake();
    ouro_future *bounded = ouro_timeout(read_op(buf), OURO_MS(10));
    turns(2);
    fake_finish(fake, IORING_OP_READ, 4, 0);
    fake_advance(fake, OURO_MS(20)); /* now both are due, and the loop sees them together */
    turns(3);
    check_eq(ouro_future_state(bounded), OURO_VALUE);
    check_eq(ouro_future_result(bounded).n, 4);
    check_eq(fake_logged(fake, IORING_OP_ASYNC_CANCEL), 0);
    ouro_unref(bounded);
    end();
}

Test(timeout, data_that_comes_before_the_cancel_is_returned_not_lost)
{
    char buf[8];
    struct fake *fake = begin_fake();
    fake->on_cancel = FAKE_CANCEL_DATA_FIRST;
    fake->late_res = 6;
    ouro_future *bounded = ouro_timeout(read_op(buf), OURO_MS(10));
    turns(2);
    fake_advance(fake, OURO_MS(20));
    turns(4);
    check_eq(fake_logged(fake, IORING_OP_ASYNC_CANCEL), 1);
    check_eq(ouro_future_result(bounded).n, 6);
    ouro_unref(bounded);
    end();
}

/* ---- Limits at the edge ---------------------------------------------------------------------- */

static int started;

static int64_t note_start(void *arg)
{
    (void)arg;
    started++;
    return 1;
}

TaskTest(timeout, zero_gives_the_result_that_is_there)
{
    check_eq(ouro_await(ouro_timeout(ouro_ready(3), 0)), 3);
    check_eq(ouro_await(ouro_timeout(ouro_ready(-EIO), 0)), -EIO);
    return 0;
}

TaskTest(timeout, zero_cancels_what_has_not_settled)
{
    check_eq(ouro_await(ouro_timeout(ouro_sleep(OURO_SEC(100)), 0)), -ETIMEDOUT);
    return 0;
}

TaskTest(timeout, zero_keeps_a_task_from_ever_starting)
{
    started = 0;
    check_eq(ouro_await(ouro_timeout(ouro_spawn(note_start, NULL), 0)), -ETIMEDOUT);
    check_eq(started, 0);
    return 0;
}

FakeTest(timeout, forever_is_no_limit_and_sets_no_timer)
{
    ouro_future *bounded = ouro_timeout(ouro_spawn(seven_after_a_second, NULL), OURO_FOREVER);
    check_eq(ouro_yield(), 0);
    check_eq(stats().live_timers, 1); /* the sleep's own */
    check_eq(ouro_await(bounded), 7);
    return 0;
}

FakeTest(timeout, a_huge_limit_saturates_and_does_not_wrap)
{
    ouro_ns huge[] = {OURO_FOREVER - 1, OURO_FOREVER - OURO_SEC(1), OURO_FOREVER / 2};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++)
        check_eq(ouro_await(ouro_timeout(ouro_spawn(seven_after_a_second, NULL), huge[i])), 7);
    return 0;
}

/* ---- Outcomes passed through ----------------------------------------------------------------- */

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static int64_t return_object(void *arg)
{
    return ouro_task_return(arg, count_free);
}

TaskTest(timeout, passes_an_object_through)
{
    int freed = 0;
    int64_t n = -1;
    void *ptr = ouro_await_ptr(ouro_timeout(ouro_spawn(return_object, &freed), OURO_SEC(9)), &n);
    check_eq(n, 0);
    check(ptr == &freed);
    check_eq(freed, 0);
    check_eq(ouro_await(ouro_timeout(ouro_spawn(return_object, &freed), OURO_SEC(9))), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 1);
    return 0;
}

TaskTest(timeout, passes_errors_through)
{
    check_eq(ouro_await(ouro_timeout(ouro_ready(-ENOENT), OURO_SEC(9))), -ENOENT);
    return 0;
}

TaskTest(timeout, what_somebody_else_cancelled_is_not_my_cancel)
{
    ouro_future *sleep = ouro_sleep(OURO_SEC(100));
    ouro_future *bounded = ouro_timeout(ouro_ref(sleep), OURO_SEC(50));
    check_eq(ouro_cancel(sleep), 1);
    ouro_unref(sleep);
    check_eq(ouro_await(bounded), -OURO_ECHILDCANCELLED);
    return 0;
}

FakeTest(timeout, of_two_nested_the_shorter_one_decides)
{
    ouro_ns start = ouro_now();
    ouro_future *inner = ouro_timeout(ouro_sleep(OURO_SEC(100)), OURO_SEC(1));
    check_eq(ouro_await(ouro_timeout(inner, OURO_SEC(2))), -ETIMEDOUT);
    check_eq(ouro_now() - start, OURO_SEC(1));

    start = ouro_now();
    inner = ouro_timeout(ouro_sleep(OURO_SEC(100)), OURO_SEC(5));
    check_eq(ouro_await(ouro_timeout(inner, OURO_SEC(2))), -ETIMEDOUT);
    check_eq(ouro_now() - start, OURO_SEC(2));
    return 0;
}

TaskTest(timeout, of_null_is_einval)
{
    check_eq(ouro_await(ouro_timeout(NULL, OURO_SEC(1))), -EINVAL);
    return 0;
}
