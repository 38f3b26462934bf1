/* SPDX-License-Identifier: MIT */
/*
 * Mistakes: each has its code, and none crashes, hangs or takes what stays the caller's.
 */
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <pthread.h>

#include <ouro/uring.h>

TestSuite(bad_input, .timeout = 30);

static int64_t give_five(void *arg)
{
    (void)arg;
    return 5;
}

static void never(void *arg)
{
    (void)arg;
    cr_assert_fail("called what must never be called");
}

static void never_done(ouro_future *f, void *arg)
{
    (void)f;
    never(arg);
}

static ouro_future *never_then(ouro_future *f, void *arg)
{
    (void)f;
    never(arg);
    return NULL;
}

static ouro_cancel_answer never_hook(ouro_promise *p, void *arg)
{
    (void)p;
    never(arg);
    return OURO_ABORTED;
}

/* What it came to, and let go of. */
static int64_t outcome(ouro_future *f)
{
    check(f != NULL);
    int64_t n = ouro_future_result(f).n;
    ouro_unref(f);
    return n;
}

/* ---- No loop --------------------------------------------------------------------------------- */

Test(bad_input, without_a_loop_what_waits_is_a_future_with_eperm)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP};
    check_eq(outcome(ouro_spawn(give_five, NULL)), -EPERM);
    check_eq(outcome(ouro_spawn_with(give_five, NULL, NULL)), -EPERM);
    check_eq(outcome(ouro_sleep(1)), -EPERM);
    check_eq(outcome(ouro_sleep_until(1)), -EPERM);
    check_eq(outcome(ouro_ready(1)), -EPERM);
    check_eq(outcome(ouro_gather(NULL, 0, OURO_GATHER_ALL, NULL)), -EPERM);
    check_eq(outcome(ouro_uring_op(&sqe, NULL)), -EPERM);
}

Test(bad_input, such_a_future_can_be_passed_on_like_any_other)
{
    check_eq(outcome(ouro_timeout(ouro_sleep(1), 1)), -EPERM);
    check_eq(outcome(ouro_then(ouro_sleep(1), never_then, NULL)), -EPERM);
    ouro_future *f[2] = {ouro_sleep(1), ouro_spawn(give_five, NULL)};
    check_eq(outcome(ouro_gather(f, 2, OURO_GATHER_ALL, NULL)), -EPERM);
    f[0] = ouro_sleep(1);
    check_eq(ouro_future_state(f[0]), OURO_ERROR);
    check_eq(ouro_cancel(f[0]), 0);
    ouro_detach(f[0]);
}

Test(bad_input, without_a_loop_calls_say_eperm)
{
    ouro_promise *p = NULL;
    ouro_future *f = NULL;
    ouro_call *call = NULL;
    check_eq(ouro_promise_new(&p, &f), -EPERM);
    check_eq(ouro_call_soon(never, NULL, NULL, &call), -EPERM);
    check_eq(ouro_call_later(1, never, NULL, NULL, &call), -EPERM);
    check_eq(ouro_call_at(1, never, NULL, NULL, &call), -EPERM);
    check_eq(ouro_yield(), -EPERM);
    check(p == NULL && f == NULL && call == NULL);
    check(ouro_task_current() == NULL);
    check(ouro_task_name(NULL) == NULL);
    check(ouro_cancel_reason() == NULL);
}

/* ---- Null ------------------------------------------------------------------------------------ */

TaskTest(bad_input, null_futures_are_einval)
{
    int64_t n = 0;
    check_eq(ouro_await(NULL), -EINVAL);
    check(ouro_await_ptr(NULL, &n) == NULL);
    check_eq(n, -EINVAL);
    check_eq(ouro_join(NULL), -EINVAL);
    check_eq(ouro_cancel(NULL), -EINVAL);
    check_eq(ouro_future_result(NULL).n, -EINVAL);
    check_eq(ouro_future_take(NULL).n, -EINVAL);
    check_eq(ouro_future_state(NULL), OURO_ERROR);
    check_eq(ouro_on_done(NULL, never_done, NULL), -EINVAL);
    check_eq(ouro_off_done(NULL, never_done, NULL), -EINVAL);
    return 0;
}

TaskTest(bad_input, null_functions_are_einval)
{
    ouro_future *f = ouro_sleep(OURO_SEC(10));
    check_eq(ouro_on_done(f, NULL, NULL), -EINVAL);
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    check_eq(ouro_await(ouro_spawn(NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_spawn_with(NULL, NULL, NULL)), -EINVAL);
    return 0;
}

TaskTest(bad_input, null_promises_are_einval)
{
    ouro_promise *p = NULL;
    ouro_future *f = NULL;
    check_eq(ouro_promise_new(NULL, &f), -EINVAL);
    check_eq(ouro_promise_new(&p, NULL), -EINVAL);
    check(p == NULL && f == NULL);
    check_eq(ouro_promise_resolve(NULL, (ouro_result){0, NULL}, NULL), -EINVAL);
    check_eq(ouro_promise_fail(NULL, -EIO), -EINVAL);
    check_eq(ouro_promise_on_cancel(NULL, never_hook, NULL), -EINVAL);
    return 0;
}

Test(bad_input, null_loops_and_calls_are_einval)
{
    ouro_loop_stats s;
    begin_fake();
    check_eq(ouro_loop_run(NULL), -EINVAL);
    check_eq(ouro_loop_step(NULL, 0), -EINVAL);
    check_eq(ouro_loop_stop(NULL), -EINVAL);
    check_eq(ouro_loop_fd(NULL), -EINVAL);
    check_eq(ouro_loop_shutdown(NULL, 0), -EINVAL);
    check_eq(ouro_loop_stats_get(NULL, &s), -EINVAL);
    check_eq(ouro_loop_stats_get(ouro_loop_current(), NULL), -EINVAL);
    check_eq(ouro_loop_run_until(ouro_loop_current(), NULL), -EINVAL);
    check_eq(ouro_call_cancel(NULL), -EINVAL);
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_loop_run_until(NULL, ouro_ref(f)), -EINVAL);
    check_eq(outcome(f), 1);
    end();
}

/* ---- In the wrong place ---------------------------------------------------------------------- */

static int tried;

static void wait_in_a_callback(void *arg)
{
    ouro_future *f = arg;
    int64_t n = 0;
    check_eq(ouro_await(ouro_ref(f)), -EPERM);
    check(ouro_await_ptr(ouro_ref(f), &n) == NULL);
    check_eq(n, -EPERM);
    check_eq(ouro_join(f), -EPERM);
    check_eq(ouro_yield(), -EPERM);
    check_eq(ouro_task_return(&tried, NULL), -EPERM);
    tried++;
}

Test(bad_input, waiting_outside_a_task_is_eperm)
{
    begin_fake();
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_call_soon(wait_in_a_callback, f, NULL, NULL), 0);
    turns(2);
    wait_in_a_callback(f);
    check_eq(tried, 2);
    check_eq(outcome(f), 1);
    end();
}

static int64_t wait_for_myself(void *arg)
{
    (void)arg;
    check_eq(ouro_join(ouro_task_current()), -EDEADLK);
    check_eq(ouro_await(ouro_task_current()), -EDEADLK); /* borrowed, and it stays so */
    return 3;
}

TaskTest(bad_input, waiting_for_oneself_is_edeadlk)
{
    check_eq(ouro_await(ouro_spawn(wait_for_myself, NULL)), 3);
    return 0;
}

/* ---- Another thread's ------------------------------------------------------------------------ */

struct foreign {
    ouro_loop *loop;
    ouro_future *pending;
    ouro_future *done;
    ouro_promise *promise;
    ouro_call *call;
    int rc;
};

static int foreign_calls(struct foreign *o)
{
    ouro_loop_stats s;
    child_check(ouro_cancel(o->pending) == -EXDEV);
    child_check(ouro_future_result(o->done).n == -EXDEV);
    child_check(ouro_future_take(o->done).n == -EXDEV);
    child_check(ouro_on_done(o->pending, never_done, NULL) == -EXDEV);
    child_check(ouro_off_done(o->pending, never_done, NULL) == -EXDEV);
    child_check(ouro_promise_resolve(o->promise, (ouro_result){1, NULL}, NULL) == -EXDEV);
    child_check(ouro_promise_fail(o->promise, -EIO) == -EXDEV);
    child_check(ouro_promise_on_cancel(o->promise, never_hook, NULL) == -EXDEV);
    child_check(ouro_call_cancel(o->call) == -EXDEV);
    child_check(ouro_loop_run(o->loop) == -EXDEV);
    child_check(ouro_loop_run_until(o->loop, o->done) == -EXDEV);
    child_check(ouro_loop_step(o->loop, 0) == -EXDEV);
    child_check(ouro_loop_stop(o->loop) == -EXDEV);
    child_check(ouro_loop_fd(o->loop) == -EXDEV);
    child_check(ouro_loop_shutdown(o->loop, 0) == -EXDEV);
    child_check(ouro_loop_close(o->loop) == -EXDEV);
    child_check(ouro_loop_stats_get(o->loop, &s) == -EXDEV);
    return 0;
}

static int64_t foreign_waits(void *arg)
{
    struct foreign *o = arg;
    ouro_future *f[2] = {ouro_ready(1), o->pending};
    child_check(ouro_await(o->pending) == -EXDEV);
    child_check(ouro_join(o->done) == -EXDEV);
    child_check(ouro_await(ouro_timeout(o->pending, 1)) == -EXDEV);
    child_check(ouro_await(ouro_then(o->pending, never_then, NULL)) == -EXDEV);
    child_check(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, NULL)) == -EXDEV);
    return 0;
}

static void *use_foreign(void *arg)
{
    struct foreign *o = arg;
    ouro_loop *mine = NULL;
    o->rc = foreign_calls(o);
    if (o->rc || ouro_loop_new(NULL, &mine) < 0)
        return NULL;
    o->rc = foreign_calls(o) || ouro_loop_run_until(mine, ouro_spawn(foreign_waits, o)) != 0;
    ouro_loop_shutdown(mine, OURO_SEC(1));
    o->rc = ouro_loop_close(mine) != 0 || o->rc;
    return NULL;
}

Test(bad_input, what_belongs_to_another_thread_is_exdev_and_stays_as_it_was)
{
    pthread_t thread;
    struct foreign o = {.rc = -1};
    begin_kernel();
    o.loop = ouro_loop_current();
    o.done = ouro_ready(6);
    check_eq(ouro_promise_new(&o.promise, &o.pending), 0);
    check_eq(ouro_call_later(OURO_SEC(100), never, NULL, NULL, &o.call), 0);
    check_eq(pthread_create(&thread, NULL, use_foreign, &o), 0);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(o.rc, 0);
    check_eq(ouro_future_state(o.pending), OURO_PENDING);
    check_eq(outcome(o.done), 6);
    check_eq(ouro_call_cancel(o.call), 1);
    ouro_call_unref(o.call);
    check_eq(ouro_promise_resolve(o.promise, (ouro_result){2, NULL}, NULL), 0);
    ouro_promise_free(o.promise);
    check_eq(outcome(o.pending), 2);
    end();
}

/* ---- After the close ------------------------------------------------------------------------- */

Test(bad_input, a_closed_loop_says_eshutdown)
{
    ouro_loop_stats s;
    begin_kernel();
    ouro_loop *loop = ouro_loop_ref(ouro_loop_current());
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_loop_close(loop), 0);
    check_eq(ouro_loop_run(loop), -ESHUTDOWN);
    check_eq(ouro_loop_step(loop, 0), -ESHUTDOWN);
    check_eq(ouro_loop_run_until(loop, f), -ESHUTDOWN);
    check_eq(ouro_loop_stop(loop), -ESHUTDOWN);
    check_eq(ouro_loop_fd(loop), -ESHUTDOWN);
    check_eq(ouro_loop_shutdown(loop, 0), -ESHUTDOWN);
    check_eq(ouro_loop_close(loop), -ESHUTDOWN);
    check(ouro_loop_stats_get(loop, &s) < 0);
    check_eq(ouro_on_done(f, never_done, NULL), -EPERM);
    ouro_unref(f);
    ouro_loop_unref(loop);
    end_closed();
}

Test(bad_input, a_promise_and_a_call_of_a_closed_loop_can_be_asked_and_released)
{
    ouro_promise *p;
    ouro_future *f;
    ouro_call *call;
    begin_kernel();
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_call_later(OURO_SEC(100), never, NULL, NULL, &call), 0);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check(ouro_promise_resolve(p, (ouro_result){1, NULL}, NULL) < 0);
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_call_cancel(call), 0);
    ouro_promise_free(p);
    ouro_unref(f);
    ouro_call_unref(call);
    end_closed();
}

/* ---- Strange numbers ------------------------------------------------------------------------- */

TaskTest(bad_input, durations_of_zero_and_beyond_the_clock_neither_crash_nor_wrap)
{
    check_eq(ouro_await(ouro_sleep(0)), 0);
    check_eq(ouro_await(ouro_timeout(ouro_sleep(0), OURO_FOREVER)), 0);
    check_eq(ouro_await(ouro_timeout(ouro_sleep(OURO_FOREVER), OURO_US(10))), -ETIMEDOUT);
    check_eq(ouro_await(ouro_timeout(ouro_sleep_until(OURO_FOREVER), OURO_US(10))), -ETIMEDOUT);
    return 0;
}

TaskTest(bad_input, a_gather_of_absurdly_many_fails_and_touches_nothing)
{
    ouro_future *f[1] = {NULL};
    check(ouro_await(ouro_gather(f, 1, OURO_GATHER_ALL, NULL)) == -EINVAL);
    check(ouro_await(ouro_gather(NULL, SIZE_MAX, OURO_GATHER_ALL, NULL)) == -EINVAL);
    return 0;
}

TaskTest(bad_input, spawn_options_of_zero_are_the_defaults)
{
    ouro_spawn_options zero = {0};
    check_eq(ouro_await(ouro_spawn_with(give_five, NULL, &zero)), 5);
    check_eq(ouro_await(ouro_spawn_with(give_five, NULL, NULL)), 5);
    return 0;
}

/* ---- The allocator --------------------------------------------------------------------------- */

static void *no_alloc(size_t size, void *arg)
{
    (void)size;
    (void)arg;
    return NULL;
}

static void no_release(void *ptr, void *arg)
{
    (void)ptr;
    (void)arg;
}

Test(bad_input, an_allocator_must_be_whole_and_come_before_the_first_loop)
{
    ouro_allocator half = {.alloc = no_alloc, .release = no_release};
    check_eq(ouro_set_allocator(&half), -EINVAL);
    begin_fake();
    check_eq(ouro_set_allocator(NULL), -EBUSY);
    end();
    check_eq(ouro_set_allocator(NULL), 0);
}
