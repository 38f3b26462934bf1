/* SPDX-License-Identifier: MIT */
/*
 * What callbacks, destructors and eager tasks do from inside the library: spawn, close, run,
 * replace.
 *
 * Nothing they may call can run somebody else's code in the middle of theirs, and nothing they may
 * not call does more than refuse.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>

#include <ouro/uring.h>

TestSuite(reentry, .timeout = 30);

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static void nothing(void *arg)
{
    (void)arg;
}

static int64_t outcome(ouro_future *f)
{
    int64_t n = ouro_future_result(f).n;
    ouro_unref(f);
    return n;
}

/* ---- Eager tasks in callbacks ---------------------------------------------------------------- */

static int others_ran;
static int spawned_inside;

static int64_t yield_twice(void *arg)
{
    (void)arg;
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    return 0;
}

static int64_t spawn_another_and_yield(void *arg)
{
    ouro_spawn_options eager = {.eager = 1};
    ouro_future *me = ouro_task_current();
    int before = others_ran;
    ouro_detach(ouro_spawn_with(yield_twice, arg, &eager));
    check(ouro_task_current() == me);
    check_eq(others_ran, before);
    return ouro_yield();
}

static int64_t run_often(void *arg)
{
    for (int i = *(int *)arg; i > 0; i--) {
        others_ran++;
        check_eq(ouro_yield(), 0);
    }
    return 0;
}

/* The callback under test: two tasks begin and suspend in it, and nobody else gets a turn. */
static void spawn_eagerly(void)
{
    ouro_spawn_options eager = {.eager = 1};
    ouro_future *outside = ouro_task_current();
    int before = others_ran;
    ouro_detach(ouro_spawn_with(yield_twice, NULL, &eager));
    ouro_detach(ouro_spawn_with(spawn_another_and_yield, NULL, &eager));
    check_eq(others_ran, before);
    check(ouro_task_current() == outside);
    spawned_inside++;
}

static void spawn_in_call(void *arg)
{
    (void)arg;
    spawn_eagerly();
}

static void spawn_in_observer(ouro_future *f, void *arg)
{
    (void)f;
    (void)arg;
    spawn_eagerly();
}

static ouro_future *spawn_in_link(ouro_future *done, void *arg)
{
    (void)done;
    (void)arg;
    spawn_eagerly();
    return NULL;
}

static ouro_cancel_answer spawn_in_hook(ouro_promise *p, void *arg)
{
    (void)p;
    (void)arg;
    spawn_eagerly();
    return OURO_ABORTED;
}

static void spawn_in_cqe(int32_t res, uint32_t flags, void *arg)
{
    (void)res;
    (void)flags;
    (void)arg;
    spawn_eagerly();
}

/* All of these happen in the same turns as others that are ready all the time. */
static int64_t among_busy_others(void (*provoke)(void))
{
    int times = 20;
    ouro_future *others[3];
    others_ran = 0;
    spawned_inside = 0;
    for (int i = 0; i < 3; i++)
        others[i] = ouro_spawn(run_often, &times);
    check_eq(ouro_yield(), 0);
    provoke();
    check_eq(ouro_await(ouro_gather(others, 3, OURO_GATHER_ALL, NULL)), 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(2))), 0);
    check_eq(spawned_inside, 1);
    check_eq(others_ran, 60);
    return 0;
}

static void provoke_call(void)
{
    check_eq(ouro_call_soon(spawn_in_call, NULL, NULL, NULL), 0);
}

static void provoke_timed_call(void)
{
    check_eq(ouro_call_later(1, spawn_in_call, NULL, NULL, NULL), 0);
}

static void provoke_post(void)
{
    check_eq(ouro_loop_post(ouro_loop_current(), spawn_in_call, NULL, NULL), 0);
}

static void provoke_arg_free(void)
{
    check_eq(ouro_call_soon(nothing, NULL, spawn_in_call, NULL), 0);
}

static void provoke_observer(void)
{
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_on_done(f, spawn_in_observer, NULL), 0);
    ouro_unref(f);
}

static void provoke_link(void)
{
    ouro_detach(ouro_then(ouro_ready(1), spawn_in_link, NULL));
}

static void provoke_hook(void)
{
    ouro_promise *p;
    ouro_future *f;
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_promise_on_cancel(p, spawn_in_hook, NULL), 0);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    ouro_promise_free(p);
}

static void provoke_cqe(void)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP};
    ouro_detach(ouro_uring_op(&sqe, &(ouro_uring_options){.on_cqe = spawn_in_cqe}));
}

static void provoke_destructor(void)
{
    static int object;
    ouro_promise *p;
    ouro_future *f;
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_promise_resolve(p, (ouro_result){1, &object}, spawn_in_call), 0);
    ouro_promise_free(p);
    ouro_unref(f);
}

static int64_t all_provocations(void *unused)
{
    (void)unused;
    static void (*const provocations[])(void) = {
        provoke_call, provoke_timed_call, provoke_post, provoke_arg_free,  provoke_observer,
        provoke_link, provoke_hook,       provoke_cqe,  provoke_destructor};
    for (size_t i = 0; i < sizeof provocations / sizeof provocations[0]; i++)
        check_eq(among_busy_others(provocations[i]), 0);
    return 0;
}

/* Debug mode never goes straight from task to task, so it is tested apart. */
Test(reentry, an_eager_task_that_suspends_in_a_callback_lets_nobody_else_run_there)
{
    for (int debug = -1; debug <= 1; debug += 2) {
        ouro_loop_options opts = {.debug = debug};
        begin_fake_with(64, &opts);
        check_eq(run_main(all_provocations, NULL), 0);
        end();
        begin_kernel_with(&opts);
        check_eq(run_main(all_provocations, NULL), 0);
        take_reports(OURO_REPORT_SLOW_STEP); /* of a busy machine */
        end();
    }
}

/* ---- Eager tasks outside a run --------------------------------------------------------------- */

static int64_t drive_the_loop(void *arg)
{
    ouro_loop *loop = arg;
    check_eq(ouro_loop_run(loop), -EBUSY);
    check_eq(ouro_loop_step(loop, 0), -EBUSY);
    check_eq(ouro_loop_run_until(loop, ouro_sleep(OURO_MS(1))), -EBUSY);
    check_eq(ouro_loop_shutdown(loop, 0), -EBUSY);
    check_eq(ouro_loop_close(loop), -EBUSY);
    return 6;
}

static int64_t drive_the_loop_twice(void *arg)
{
    check_eq(drive_the_loop(arg), 6);
    check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    return drive_the_loop(arg);
}

Test(reentry, an_eager_task_outside_a_run_cannot_drive_the_loop)
{
    begin_fake();
    ouro_loop *loop = ouro_loop_current();
    ouro_spawn_options eager = {.eager = 1};
    check_eq(outcome(ouro_spawn_with(drive_the_loop, loop, &eager)), 6);
    ouro_future *task = ouro_spawn_with(drive_the_loop_twice, loop, &eager);
    check(ouro_loop_current() == loop);
    check_eq(ouro_future_state(task), OURO_PENDING);
    check_eq(ouro_loop_run_until(loop, task), 6); /* it has not been left in use */
    end();
}

/* ---- Destructors that a close runs ----------------------------------------------------------- */

static ouro_future *holder_of(void *object, ouro_free_fn *object_free)
{
    ouro_promise *p;
    ouro_future *f;
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_promise_resolve(p, (ouro_result){0, object}, object_free), 0);
    ouro_promise_free(p);
    return f;
}

static void drop_future(void *f)
{
    ouro_unref(f);
}

static void close_it(void)
{
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
}

static int never_ran;

static void must_not_run(void *arg)
{
    (void)arg;
    never_ran++;
}

Test(reentry, a_post_that_never_ran_may_drop_a_future_with_an_object_at_close)
{
    for (int debug = -1; debug <= 1; debug += 2) {
        int destroyed = 0;
        begin_fake_with(64, &(ouro_loop_options){.debug = debug});
        ouro_loop *loop = ouro_loop_current();
        ouro_future *f = holder_of(&destroyed, count_free);
        check_eq(ouro_loop_post(loop, must_not_run, f, drop_future), 0);
        check_eq(ouro_loop_close(loop), 0);
        check_eq(destroyed, 1);
        check_eq(never_ran, 0);
        check_eq(take_reports(OURO_REPORT_LEAK), 0);
        end_closed();
    }
}

/* A chain of futures, each of which is the object of the next. */
Test(reentry, at_close_destructors_may_drop_more_and_more)
{
    int destroyed = 0;
    begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    ouro_future *f = holder_of(&destroyed, count_free);
    for (int i = 0; i < 20; i++)
        f = holder_of(f, drop_future);
    check_eq(ouro_loop_post(ouro_loop_current(), must_not_run, f, drop_future), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(destroyed, 1);
    check_eq(take_reports(OURO_REPORT_LEAK), 0);
    end_closed();
}

Test(reentry, an_unread_error_dropped_at_close_is_still_reported)
{
    begin_fake();
    ouro_future *f = ouro_ready(-EIO);
    check_eq(ouro_loop_post(ouro_loop_current(), must_not_run, f, drop_future), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    end_closed();
}

static int64_t idle(void *arg)
{
    (void)arg;
    return 0;
}

static void begin_things(void *arg)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP};
    ouro_promise *p;
    ouro_future *f;
    check_eq(outcome(ouro_sleep(OURO_MS(5))), -ESHUTDOWN);
    check_eq(outcome(ouro_spawn(idle, NULL)), -ESHUTDOWN);
    check_eq(outcome(ouro_uring_op(&sqe, NULL)), -ESHUTDOWN);
    check_eq(ouro_promise_new(&p, &f), -ESHUTDOWN);
    check_eq(ouro_call_soon(must_not_run, NULL, NULL, NULL), -ESHUTDOWN);
    check_eq(ouro_loop_post(ouro_loop_current(), must_not_run, NULL, NULL), -ESHUTDOWN);
    ++*(int *)arg;
}

Test(reentry, destructors_that_a_close_runs_can_begin_nothing)
{
    int began = 0;
    begin_fake();
    check_eq(ouro_loop_post(ouro_loop_current(), must_not_run, &began, begin_things), 0);
    ouro_future *f = holder_of(&began, begin_things);
    check_eq(ouro_loop_post(ouro_loop_current(), must_not_run, f, drop_future), 0);
    close_it();
    check_eq(began, 2);
    check_eq(never_ran, 0);
}

static void close_inside(void *arg)
{
    ouro_loop *loop = ouro_loop_current();
    check_eq(ouro_loop_close(loop), -EBUSY);
    check_eq(ouro_loop_shutdown(loop, 0), -EBUSY);
    check_eq(ouro_loop_step(loop, 0), -EBUSY);
    check_eq(ouro_loop_run(loop), -EBUSY);
    ++*(int *)arg;
}

Test(reentry, destructors_that_a_close_runs_cannot_close_or_run_the_loop)
{
    int tried = 0;
    begin_kernel();
    check_eq(ouro_loop_post(ouro_loop_current(), must_not_run, &tried, close_inside), 0);
    ouro_future *f = holder_of(&tried, close_inside);
    check_eq(ouro_loop_post(ouro_loop_current(), must_not_run, f, drop_future), 0);
    close_it();
    check_eq(tried, 2);
}

/* ---- A task's object ------------------------------------------------------------------------- */

static int first_freed, second_freed;

static void free_second(void *arg)
{
    (void)arg;
    second_freed++;
}

static void replace_again(void *arg)
{
    static int third;
    ++*(int *)arg;
    if (*(int *)arg == 1) /* destroyed twice, it would go on for ever */
        check_eq(ouro_task_return(&third, count_free), 0);
}

static int64_t return_two(void *arg)
{
    static int second;
    check_eq(ouro_task_return(arg, count_free), 0);
    check_eq(first_freed, 0);
    int64_t n = ouro_task_return(&second, free_second);
    check_eq(first_freed, 1);
    return n;
}

TaskTest(reentry, a_second_object_of_a_task_destroys_the_first_once)
{
    int64_t n;
    first_freed = second_freed = 0;
    check(ouro_await_ptr(ouro_spawn(return_two, &first_freed), &n) != NULL);
    check_eq(n, 0);
    check_eq(first_freed, 1);
    check_eq(second_freed, 0);
    return 0;
}

static int64_t return_two_from_a_destructor(void *arg)
{
    static int second;
    check_eq(ouro_task_return(arg, replace_again), 0);
    return ouro_task_return(&second, free_second);
}

/* What the destructor returns replaces what displaced it. */
TaskTest(reentry, the_destructor_of_a_displaced_object_may_return_one_more)
{
    int64_t n;
    first_freed = second_freed = 0;
    int *last = ouro_await_ptr(ouro_spawn(return_two_from_a_destructor, &first_freed), &n);
    check_eq(n, 0);
    check_eq(first_freed, 1);
    check_eq(second_freed, 1);
    check(last != NULL);
    check_eq(*last, 0);
    return 0;
}

/* ---- Links ----------------------------------------------------------------------------------- */

static ouro_future *pass(ouro_future *done, void *arg)
{
    ++*(int *)arg;
    return done;
}

TaskTest(reentry, a_link_that_returns_what_it_was_given_passes_the_object_on)
{
    int calls = 0, destroyed = 0;
    int64_t n;
    ouro_future *chain = ouro_then(holder_of(&destroyed, count_free), pass, &calls);
    check(ouro_await_ptr(ouro_then(chain, pass, &calls), &n) == &destroyed);
    check_eq(n, 0);
    check_eq(calls, 2);
    ouro_detach(ouro_then(holder_of(&destroyed, count_free), pass, &calls));
    check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(calls, 3);
    check_eq(destroyed, 1); /* ours was not, this one was */
    return 0;
}

TaskTest(reentry, a_link_that_returns_what_it_was_given_passes_failures_on)
{
    int calls = 0;
    check_eq(ouro_await(ouro_then(ouro_ready(-EIO), pass, &calls)), -EIO);
    ouro_future *f = ouro_sleep(OURO_SEC(100));
    ouro_future *chain = ouro_then(ouro_ref(f), pass, &calls);
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    check_eq(ouro_await(chain), -OURO_ECHILDCANCELLED);
    chain = ouro_then(ouro_sleep(OURO_SEC(100)), pass, &calls);
    check_eq(ouro_cancel(chain), 1);
    check_eq(ouro_await(chain), -OURO_ECHILDCANCELLED);
    check_eq(calls, 3);
    return 0;
}
