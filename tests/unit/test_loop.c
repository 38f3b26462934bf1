/* SPDX-License-Identifier: MIT */
/*
 * The loop itself: making, running, stopping and stepping it, embedding it, shutting it down.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <ouro/uring.h>

#include "loop_int.h"

TestSuite(loop, .timeout = 60);

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

static int64_t nap_a_second(void *arg)
{
    (void)arg;
    return nap(OURO_SEC(1)) < 0 ? -EIO : 5;
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static ouro_future *start_read_into(void *buf, unsigned len)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_READ, .fd = 3, .addr = (uintptr_t)buf, .len = len};
    return ouro_uring_op(&sqe, NULL);
}

static ouro_future *start_read(void)
{
    return start_read_into(NULL, 0);
}

/* ---- Making ---------------------------------------------------------------------------------- */

Test(loop, a_thread_has_one_at_a_time)
{
    ouro_loop *first = NULL, *second = NULL;
    check(ouro_loop_current() == NULL);
    check_eq(ouro_loop_new(NULL, &first), 0);
    check(ouro_loop_current() == first);
    check_eq(ouro_loop_new(NULL, &second), -EBUSY);
    check(second == NULL);
    check_eq(ouro_loop_close(first), 0);
    check(ouro_loop_current() == NULL);
    check_eq(ouro_loop_new(NULL, &second), 0);
    check_eq(ouro_loop_close(second), 0);
}

Test(loop, options_beyond_their_limits_are_einval)
{
    ouro_loop *loop = NULL;
    check_eq(ouro_loop_new(&(ouro_loop_options){.entries = 32769}, &loop), -EINVAL);
    check_eq(ouro_loop_new(&(ouro_loop_options){.entries = UINT32_MAX}, &loop), -EINVAL);
    check_eq(ouro_loop_new(NULL, NULL), -EINVAL);
    check(loop == NULL);
    check_eq(ouro_loop_new(&(ouro_loop_options){.entries = 1}, &loop), 0);
    check_eq(ouro_loop_close(loop), 0);
    check_eq(ouro_loop_new(&(ouro_loop_options){.spin = OURO_FOREVER, .entries = 3}, &loop), 0);
    check_eq(ouro_loop_close(loop), 0);
}

Test(loop, on_a_driver_that_is_refused_leaves_the_driver_to_the_caller)
{
    ouro_loop *loop = NULL;
    begin_fake();
    struct fake *other = fake_new(8);
    check_eq(ouro__loop_new_on(&other->driver, NULL, &loop), -EBUSY);
    check(!other->is_closed && !other->is_freed);
    fake_destroy(other);
    end();
}

static void *run_one_here(void *arg)
{
    *(int64_t *)arg = ouro_run(nap_a_second, NULL, NULL);
    return NULL;
}

Test(loop, two_threads_have_two_that_know_nothing_of_each_other)
{
    int64_t theirs = 0;
    pthread_t thread;
    begin_kernel();
    check_eq(pthread_create(&thread, NULL, run_one_here, &theirs), 0);
    check_eq(run_main(nap_a_second, NULL), 5);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(theirs, 5);
    end();
}

/* ---- Running --------------------------------------------------------------------------------- */

Test(loop, run_returns_0_when_nothing_is_left)
{
    int calls = 0;
    begin_fake();
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(ouro_call_later(OURO_SEC(1), count, &calls, NULL, NULL), 0);
    ouro_detach(ouro_spawn(nap_a_second, NULL));
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(calls, 1);
    check_eq(stats().live_tasks, 0);
    end();
}

static void stop_here(void *arg)
{
    (void)arg;
    check_eq(ouro_loop_stop(ouro_loop_current()), 0);
}

Test(loop, run_returns_1_when_stopped_and_the_next_run_goes_on)
{
    int calls = 0;
    struct fake *fake = begin_fake();
    ouro_ns start = fake->clock;
    check_eq(ouro_call_later(OURO_SEC(1), stop_here, NULL, NULL, NULL), 0);
    check_eq(ouro_call_later(OURO_SEC(2), count, &calls, NULL, NULL), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 1);
    check_eq(calls, 0);
    check(fake->clock - start < OURO_SEC(2));
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(calls, 1);
    end();
}

Test(loop, run_until_takes_the_value)
{
    begin_fake();
    check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_spawn(nap_a_second, NULL)), 5);
    check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_ready(-EIO)), -EIO);
    ouro_future *sleep = ouro_sleep(OURO_SEC(1));
    check_eq(ouro_cancel(sleep), 1);
    check_eq(ouro_loop_run_until(ouro_loop_current(), sleep), -OURO_ECHILDCANCELLED);
    end();
}

Test(loop, run_until_leaves_the_rest_running)
{
    int calls = 0;
    begin_fake();
    check_eq(ouro_call_later(OURO_SEC(9), count, &calls, NULL, NULL), 0);
    check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_spawn(nap_a_second, NULL)), 5);
    check_eq(calls, 0);
    check_eq(stats().live_calls, 1);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(calls, 1);
    end();
}

Test(loop, run_until_stopped_first_says_eintr_and_the_future_goes_on)
{
    begin_fake();
    ouro_future *task = ouro_spawn(nap_a_second, NULL);
    check_eq(ouro_call_soon(stop_here, NULL, NULL, NULL), 0);
    check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_ref(task)), -EINTR);
    check_eq(ouro_future_state(task), OURO_PENDING);
    check_eq(ouro_loop_run_until(ouro_loop_current(), task), 5);
    end();
}

static int64_t run_inside(void *arg)
{
    ouro_loop *loop = ouro_loop_current();
    ouro_loop *other = NULL;
    ouro_future *f = ouro_ready(1);
    (void)arg;
    check_eq(ouro_loop_run(loop), -EBUSY);
    check_eq(ouro_loop_step(loop, 0), -EBUSY);
    check_eq(ouro_loop_run_until(loop, ouro_ref(f)), -EBUSY);
    check_eq(ouro_loop_shutdown(loop, 0), -EBUSY);
    check_eq(ouro_loop_close(loop), -EBUSY);
    check_eq(ouro_loop_new(NULL, &other), -EBUSY);
    check_eq(ouro_run(nap_a_second, NULL, NULL), -EBUSY);
    check_eq(ouro_future_result(f).n, 1);
    ouro_unref(f);
    return 2;
}

static void run_inside_call(void *arg)
{
    check_eq(run_inside(arg), 2);
}

Test(loop, run_inside_run_is_ebusy_in_tasks_and_in_callbacks)
{
    begin_fake();
    check_eq(run_main(run_inside, NULL), 2);
    check_eq(ouro_call_soon(run_inside_call, NULL, NULL, NULL), 0);
    turns(2);
    end();
}

/* ---- Stepping -------------------------------------------------------------------------------- */

Test(loop, step_says_whether_something_is_left)
{
    begin_fake();
    check_eq(ouro_loop_step(ouro_loop_current(), 0), 0);
    ouro_detach(ouro_sleep(OURO_SEC(1)));
    check_eq(ouro_loop_step(ouro_loop_current(), 0), 1);
    check(ouro_loop_step(ouro_loop_current(), OURO_SEC(2)) >= 0);
    turns(2);
    check_eq(ouro_loop_step(ouro_loop_current(), 0), 0);
    ouro_detach(start_read());
    check_eq(ouro_loop_step(ouro_loop_current(), 0), 1);
    fake_finish(the_fake(), IORING_OP_READ, 0, 0);
    turns(2);
    check_eq(ouro_loop_step(ouro_loop_current(), 0), 0);
    end();
}

Test(loop, step_waits_no_longer_than_it_was_told)
{
    struct fake *fake = begin_fake();
    ouro_ns start = fake->clock;
    ouro_detach(ouro_sleep(OURO_SEC(10)));
    turns(3);
    check_eq(fake->clock, start);
    check_eq(ouro_loop_step(ouro_loop_current(), OURO_MS(5)), 1);
    check_eq(fake->clock - start, OURO_MS(5));
    check(ouro_loop_step(ouro_loop_current(), OURO_SEC(100)) >= 0);
    check_eq(fake->clock - start, OURO_SEC(10));
    end();
}

/* A loop that only takes posts is stepped like this, and must not spin. */
Test(loop, step_with_nothing_to_wait_for_waits_its_time)
{
    struct fake *fake = begin_fake();
    turn();
    ouro_ns start = fake->clock;
    check_eq(ouro_loop_step(ouro_loop_current(), OURO_MS(7)), 0);
    check_eq(fake->clock - start, OURO_MS(7));
    end();
}

/* ---- Embedding ------------------------------------------------------------------------------- */

Test(loop, timeout_says_how_long_another_loop_may_wait)
{
    struct fake *fake = begin_fake();
    ouro_loop *loop = ouro_loop_current();
    turns(2);
    check_eq(ouro_loop_timeout(loop), OURO_FOREVER);
    ouro_future *sleep = ouro_sleep(OURO_MS(40));
    check_eq(ouro_loop_timeout(loop), OURO_MS(40));
    fake_advance(fake, OURO_MS(15));
    check_eq(ouro_loop_timeout(loop), OURO_MS(25));
    fake_advance(fake, OURO_MS(30));
    check_eq(ouro_loop_timeout(loop), 0);
    turns(2);
    ouro_unref(sleep);
    turns(2);
    int calls = 0;
    check_eq(ouro_call_soon(count, &calls, NULL, NULL), 0);
    check_eq(ouro_loop_timeout(loop), 0);
    turns(2);
    check_eq(ouro_loop_timeout(loop), OURO_FOREVER);
    end();
}

/* What a foreign loop would do, with poll(2). */
static void drive_by_poll(ouro_loop *loop, ouro_future *f)
{
    struct pollfd p = {.fd = ouro_loop_fd(loop), .events = POLLIN};
    ouro_ns start = ouro_now();
    check(p.fd >= 0);
    for (int i = 0; i < 10000 && ouro_future_state(f) == OURO_PENDING; i++) {
        ouro_ns wait = ouro_loop_timeout(loop);
        int ms = wait == OURO_FOREVER ? 5000 : (int)((wait + OURO_MS(1) - 1) / OURO_MS(1));
        check(poll(&p, 1, ms) >= 0);
        check(ouro_loop_step(loop, 0) >= 0);
    }
    check(ouro_now() - start < OURO_SEC(4)); /* it was readable in time, not polled to the end */
}

static int64_t read_then_sleep(void *arg)
{
    char buf[4];
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_READ, .fd = *(int *)arg, .addr = (uintptr_t)buf, .len = sizeof buf};
    int64_t n = ouro_await(ouro_uring_op(&sqe, NULL));
    check_eq(nap(OURO_MS(2)), 0);
    return n;
}

static void *write_later(void *arg)
{
    usleep(5000);
    check_eq(write(*(int *)arg, "abc", 3), 3);
    return NULL;
}

Test(loop, can_be_driven_by_another_loop_through_its_descriptor)
{
    int ends[2];
    pthread_t thread;
    begin_kernel();
    check_eq(pipe(ends), 0);
    ouro_future *task = ouro_spawn(read_then_sleep, &ends[0]);
    check_eq(pthread_create(&thread, NULL, write_later, &ends[1]), 0);
    drive_by_poll(ouro_loop_current(), task);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(ouro_future_result(task).n, 3);
    ouro_unref(task);
    close(ends[0]);
    close(ends[1]);
    end();
}

/* ---- Shutting down --------------------------------------------------------------------------- */

struct cleanup {
    int64_t first;
    int cleaned;
    const char *reason;
    int64_t spawned;
};

static int64_t clean_up_at_the_end(void *arg)
{
    struct cleanup *c = arg;
    ouro_scope s;
    c->first = nap(OURO_SEC(1000));
    c->reason = ouro_cancel_reason();
    check_eq(ouro_scope_enter(&s, &(ouro_scope_options){.shield = 1}), 0);
    ouro_future *pause = ouro_sleep(OURO_SEC(2)); /* the loop still works, and lets go of nothing */
    for (int i = 0; i < 3; i++)
        check_eq(ouro_yield(), 0);
    check_eq(ouro_await(pause), 0);
    c->spawned = ouro_await(ouro_spawn(nap_a_second, NULL));
    check_eq(ouro_scope_exit(&s, 0), 0);
    c->cleaned = 1;
    return c->first;
}

static void close_it(void)
{
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
}

Test(loop, shutdown_cancels_tasks_and_lets_them_clean_up_in_a_working_loop)
{
    struct cleanup c = {0};
    begin_fake();
    ouro_detach(ouro_spawn(clean_up_at_the_end, &c));
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_eq(c.first, -ECANCELED);
    check_text(c.reason, "shutdown");
    check_eq(c.spawned, -ESHUTDOWN);
    check_eq(c.cleaned, 1);
    check_eq(stats().live_futures, 0);
    close_it();
}

Test(loop, shutdown_cancels_what_is_no_task_too)
{
    ouro_promise *p;
    ouro_future *f[3];
    begin_fake();
    f[0] = ouro_sleep(OURO_SEC(1000));
    check_eq(ouro_promise_new(&p, &f[1]), 0);
    f[2] = start_read();
    turns(2);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    for (int i = 0; i < 3; i++) {
        check_eq(ouro_future_state(f[i]), OURO_CANCELLED);
        ouro_unref(f[i]);
    }
    check_eq(ouro_promise_resolve(p, (ouro_result){1, NULL}, NULL), -ECANCELED);
    ouro_promise_free(p);
    check_eq(stats().live_timers, 0);
    check_eq(stats().kernel_operations, 0);
    close_it();
}

Test(loop, after_shutdown_nothing_new_can_be_begun)
{
    ouro_promise *p;
    ouro_future *f;
    int calls = 0;
    begin_fake();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    ouro_future *refused[3] = {ouro_spawn(nap_a_second, NULL), ouro_sleep(1), start_read()};
    for (int i = 0; i < 3; i++) {
        check_eq(ouro_future_result(refused[i]).n, -ESHUTDOWN);
        ouro_unref(refused[i]);
    }
    check_eq(ouro_promise_new(&p, &f), -ESHUTDOWN);
    check_eq(ouro_call_soon(count, &calls, NULL, NULL), -ESHUTDOWN);
    check_eq(ouro_call_later(1, count, &calls, NULL, NULL), -ESHUTDOWN);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(calls, 0);
    close_it();
}

static int64_t shielded_for_ever(void *arg)
{
    ouro_scope s;
    char buf[16];
    check_eq(ouro_scope_enter(&s, &(ouro_scope_options){.shield = 1}), 0);
    int64_t rc = ouro_await(start_read_into(buf, sizeof buf));
    ++*(int *)arg;
    return ouro_scope_exit(&s, rc);
}

/* Memory is leaked on purpose here, so this happens in a process of its own. */
static int abandon_a_task(void)
{
    struct fake *fake = fake_new(16);
    ouro_loop *loop;
    int ended = 0;
    child_check(ouro__loop_new_on(&fake->driver, &(ouro_loop_options){.debug = -1}, &loop) == 0);
    fake->on_cancel = FAKE_CANCEL_BUSY;
    ouro_detach(
        ouro_spawn_with(shielded_for_ever, &ended, &(ouro_spawn_options){.name = "bunker"}));
    ouro_ns start = fake->clock;
    ouro_loop_step(loop, 0);
    ouro_loop_step(loop, 0);
    child_check(ouro_loop_shutdown(loop, OURO_SEC(3)) == -ETIMEDOUT);
    child_check(fake->clock - start >= OURO_SEC(3));
    child_check(fake->clock - start < OURO_SEC(60));
    child_check(ouro_loop_close(loop) == 0);
    child_check(ended == 0);
    child_check(fake->is_closed);
    fake_finish(fake, IORING_OP_READ, 16, 0); /* into the stack of the task */
    return 0;
}

Test(loop, shutdown_past_its_deadline_gives_a_task_up_and_says_so)
{
    char text[4096];
    check_child(abandon_a_task, text, sizeof text);
    check(strstr(text, "bunker") != NULL);
}

static int abandoned;

static void count_abandoned(const ouro_report *report, void *arg)
{
    (void)arg;
    abandoned += report->kind == OURO_REPORT_ABANDONED;
}

/* The kernel answers long after the loop has gone: it must find its memory as it was. */
static int abandon_an_operation(void)
{
    static char buf[16];
    struct fake *fake = fake_new(16);
    ouro_loop *loop;
    child_check(ouro__loop_new_on(&fake->driver, &(ouro_loop_options){.debug = -1}, &loop) == 0);
    child_check(ouro_report_set_handler(count_abandoned, NULL) == 0);
    fake->on_cancel = FAKE_CANCEL_BUSY;
    ouro_future *read = start_read_into(buf, sizeof buf);
    ouro_loop_step(loop, 0);
    child_check(ouro_loop_shutdown(loop, OURO_SEC(3)) == -ETIMEDOUT);
    child_check(abandoned >= 1);
    child_check(ouro_future_state(read) == OURO_PENDING);
    child_check(ouro_loop_close(loop) == 0);
    child_check(fake_pending_count(fake) == 1);
    fake_finish(fake, IORING_OP_READ, 16, 0);
    child_check(buf[15] == 'k');
    ouro_unref(read);
    return 0;
}

Test(loop, shutdown_past_its_deadline_gives_an_operation_up_and_does_not_free_it)
{
    char text[4096];
    check_child(abandon_an_operation, text, sizeof text);
}

Test(loop, shutdown_waits_for_an_operation_that_ends_within_its_grace)
{
    struct fake *fake = begin_fake();
    fake->on_cancel = FAKE_CANCEL_BUSY;
    ouro_future *read = start_read();
    turn();
    fake_complete_in(fake, OURO_SEC(2), fake_find(fake, IORING_OP_READ)->user_data, 4);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(3)), 0);
    check_eq(ouro_future_result(read).n, 4);
    ouro_unref(read);
    close_it();
}

/* ---- Closing --------------------------------------------------------------------------------- */

Test(loop, one_that_is_not_quiet_cannot_be_closed)
{
    begin_fake();
    ouro_loop *loop = ouro_loop_current();
    ouro_future *sleep = ouro_sleep(OURO_SEC(1));
    check_eq(ouro_loop_close(loop), -EBUSY);
    check_eq(ouro_cancel(sleep), 1);
    ouro_unref(sleep);
    turns(2);
    ouro_future *task = ouro_spawn(nap_a_second, NULL);
    check_eq(ouro_loop_close(loop), -EBUSY);
    check(ouro_loop_current() == loop);
    check_eq(ouro_loop_run_until(loop, task), 5);
    ouro_future *read = start_read();
    turn();
    check_eq(ouro_loop_close(loop), -EBUSY);
    check_eq(ouro_cancel(read), 1);
    ouro_unref(read);
    turns(2);
    end();
}

Test(loop, close_takes_null)
{
    check_eq(ouro_loop_close(NULL), 0);
}

Test(loop, can_be_made_and_closed_a_hundred_times)
{
    for (int i = 0; i < 100; i++) {
        begin_kernel();
        if (i % 10 == 0)
            check_eq(run_main(run_inside, NULL), 2);
        end();
    }
}

/* ---- A ring that breaks ---------------------------------------------------------------------- */

Test(loop, a_fatal_error_of_the_ring_is_what_run_returns)
{
    struct fake *fake = begin_fake();
    ouro_future *task = ouro_spawn(nap_a_second, NULL);
    turns(2);
    fake->fatal = -EBADF;
    check_eq(ouro_loop_run(ouro_loop_current()), -EBADF);
    check_eq(ouro_loop_step(ouro_loop_current(), 0), -EBADF);
    check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_ref(task)), -EBADF);
    fake->fatal = 0;
    check_eq(ouro_loop_run_until(ouro_loop_current(), task), 5);
    end();
}

/* What the ring still owed is lost, so memory is leaked on purpose here, too. */
static int close_on_a_broken_ring(void)
{
    struct fake *fake = fake_new(16);
    ouro_loop *loop;
    child_check(ouro__loop_new_on(&fake->driver, &(ouro_loop_options){.debug = -1}, &loop) == 0);
    child_check(ouro_report_set_handler(count_abandoned, NULL) == 0);
    ouro_future *read = start_read();
    ouro_loop_step(loop, 0);
    fake->fatal = -EBADF;
    child_check(ouro_loop_close(loop) == -EBUSY);
    child_check(ouro_loop_shutdown(loop, OURO_SEC(1)) < 0);
    child_check(abandoned >= 1);
    child_check(ouro_loop_close(loop) == 0);
    child_check(ouro_loop_current() == NULL);
    ouro_unref(read);
    return 0;
}

Test(loop, one_whose_ring_broke_can_be_shut_down_and_closed)
{
    char text[4096];
    check_child(close_on_a_broken_ring, text, sizeof text);
}
