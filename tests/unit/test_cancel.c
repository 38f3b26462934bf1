/* SPDX-License-Identifier: MIT */
/*
 * Cancellation across futures and tasks: results win, waits pass it down, and the kernel is never
 * left with a buffer that its owner has back.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <unistd.h>

#include <ouro/uring.h>

TestSuite(cancel, .timeout = 60);

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

static ouro_future *read_op(int fd, void *buf, unsigned len)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_READ,
                               .fd = fd,
                               .addr = (uintptr_t)buf,
                               .len = len,
                               .off = (uint64_t)-1};
    return ouro_uring_op(&sqe, NULL);
}

/* ---- Results win ----------------------------------------------------------------------------- */

struct waiting {
    ouro_future *f;
    int64_t first;
    int64_t second;
};

static int64_t wait_twice(void *arg)
{
    struct waiting *w = arg;
    w->first = ouro_await(w->f);
    w->second = nap(OURO_SEC(100));
    return w->first;
}

Test(cancel, a_result_that_was_there_first_is_delivered_and_the_cancel_at_the_next_wait)
{
    ouro_promise *p;
    struct waiting w = {NULL, 0, 0};
    begin_fake();
    check_eq(ouro_promise_new(&p, &w.f), 0);
    ouro_future *task = ouro_spawn(wait_twice, &w);
    turns(2);
    check_eq(ouro_promise_resolve(p, (ouro_result){44, NULL}, NULL), 0);
    check_eq(ouro_cancel(task), 1); /* before the task could run */
    turns(4);
    check_eq(w.first, 44);
    check_eq(w.second, -ECANCELED);
    check_eq(ouro_future_state(task), OURO_VALUE);
    check_eq(ouro_future_result(task).n, 44);
    ouro_promise_free(p);
    ouro_unref(task);
    end();
}

static int64_t cancel_myself_and_return(void *arg)
{
    (void)arg;
    check_eq(ouro_cancel(ouro_task_current()), 1);
    return 6;
}

TaskTest(cancel, of_oneself_leaves_a_body_that_returns_without_waiting_its_value)
{
    ouro_future *task = ouro_spawn(cancel_myself_and_return, NULL);
    check_eq(ouro_join(task), 6);
    check_eq(ouro_future_state(task), OURO_VALUE);
    ouro_unref(task);
    return 0;
}

static int64_t cancel_myself_and_wait(void *arg)
{
    (void)arg;
    check_eq(ouro_cancel(ouro_task_current()), 1);
    check_eq(ouro_await(ouro_ready(3)), 3);
    return nap(OURO_SEC(100));
}

TaskTest(cancel, of_oneself_takes_effect_at_the_next_wait)
{
    ouro_future *task = ouro_spawn(cancel_myself_and_wait, NULL);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    ouro_unref(task);
    return 0;
}

static int64_t swallow(void *arg)
{
    (void)arg;
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    return 2;
}

TaskTest(cancel, of_a_task_that_returns_a_value_all_the_same_leaves_it_that_value)
{
    ouro_future *task = ouro_spawn(swallow, NULL);
    check_eq(nap(OURO_MS(1)), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_join(task), 2);
    check_eq(ouro_future_state(task), OURO_VALUE);
    ouro_unref(task);
    return 0;
}

static int64_t return_ecanceled(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

TaskTest(cancel, is_not_what_a_task_that_nobody_cancelled_comes_to)
{
    ouro_future *task = ouro_spawn(return_ecanceled, NULL);
    ouro_join(task);
    check_eq(ouro_future_state(task), OURO_ERROR);
    check_eq(ouro_future_result(task).n, -ECANCELED);
    ouro_unref(task);
    return 0;
}

TaskTest(cancel, of_what_has_settled_has_no_effect)
{
    ouro_future *task = ouro_spawn(cancel_myself_and_return, NULL);
    check_eq(ouro_join(task), 6);
    check_eq(ouro_cancel(task), 0);
    check_eq(ouro_await(task), 6);
    return 0;
}

/* ---- Passed down, or not --------------------------------------------------------------------- */

static int64_t await_it(void *arg)
{
    return ouro_await(arg);
}

static int64_t join_it(void *arg)
{
    return ouro_join(arg);
}

/* Start @body on a sleep that others hold too, cancel it, and give the state of the sleep after
 * that. */
static ouro_state cancel_waiter_of_sleep(ouro_task_fn *body, ouro_future *sleep)
{
    ouro_future *task = ouro_spawn(body, sleep);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    ouro_unref(task);
    return ouro_future_state(sleep);
}

TaskTest(cancel, of_a_waiter_is_passed_on_to_what_it_awaits)
{
    ouro_future *sleep = ouro_sleep(OURO_SEC(100));
    ouro_ref(sleep); /* the waiter takes one over */
    check_eq(cancel_waiter_of_sleep(await_it, sleep), OURO_CANCELLED);
    ouro_unref(sleep);
    return 0;
}

TaskTest(cancel, of_a_joiner_leaves_what_it_joins_alone)
{
    ouro_future *sleep = ouro_sleep(OURO_MS(5));
    check_eq(cancel_waiter_of_sleep(join_it, sleep), OURO_PENDING);
    check_eq(ouro_await(sleep), 0);
    return 0;
}

static int64_t slow_cleanup(void *arg)
{
    int *cleaned = arg;
    ouro_scope s;
    int64_t rc = nap(OURO_SEC(100));
    check_eq(ouro_scope_enter(&s, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(nap(OURO_MS(3)), 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    *cleaned = 1;
    return rc;
}

static int64_t await_slow_cleanup(void *arg)
{
    int64_t rc = ouro_await(ouro_spawn(slow_cleanup, arg));
    check_eq(*(int *)arg, 1); /* the wait did not end before what it waits for */
    return rc;
}

TaskTest(cancel, of_a_waiter_lets_it_go_on_waiting_until_the_end)
{
    int cleaned = 0;
    ouro_future *task = ouro_spawn(await_slow_cleanup, &cleaned);
    check_eq(nap(OURO_MS(1)), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    check_eq(cleaned, 1);
    ouro_unref(task);
    return 0;
}

TaskTest(cancel, of_a_child_by_somebody_else_is_not_mine)
{
    ouro_future *sleep = ouro_sleep(OURO_SEC(100));
    ouro_future *task = ouro_spawn(await_it, ouro_ref(sleep));
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(sleep), 1);
    ouro_unref(sleep);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_ERROR); /* it was not cancelled, it got an error */
    ouro_unref(task);
    check(ouro_cancel_reason() == NULL);
    return 0;
}

static int64_t await_down(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return nap(OURO_SEC(100));
    return ouro_await(ouro_spawn(await_down, (void *)(depth - 1)));
}

TaskTest(cancel, goes_down_a_hundred_tasks_that_wait_for_each_other)
{
    ouro_future *top = ouro_spawn(await_down, (void *)(intptr_t)100);
    check_eq(nap(OURO_MS(2)), 0);
    check_eq(ouro_cancel(top), 1);
    check_eq(ouro_join(top), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(top), OURO_CANCELLED);
    check_eq(stats().live_tasks, 1);
    ouro_unref(top);
    return 0;
}

TaskTest(cancel, of_a_sleep_takes_its_timer_away_at_once)
{
    ouro_future *sleep = ouro_sleep(OURO_SEC(100));
    check_eq(stats().live_timers, 1);
    check_eq(ouro_cancel(sleep), 1);
    check_eq(stats().live_timers, 0);
    check_eq(ouro_await(sleep), -OURO_ECHILDCANCELLED);
    return 0;
}

TaskTest(cancel, needs_no_memory)
{
    enum { N = 200 };
    ouro_future *f[N];
    for (int i = 0; i < N; i++)
        f[i] = i % 2 ? ouro_sleep(OURO_SEC(100)) : ouro_spawn(swallow, NULL);
    check_eq(nap(OURO_MS(1)), 0);
    uint64_t before = stats().allocations;
    for (int i = 0; i < N; i++)
        check_eq(ouro_cancel(f[i]), 1);
    check_eq(stats().allocations, before);
    ouro_result r[N];
    check_eq(ouro_await(ouro_gather(f, N, OURO_GATHER_COLLECT, r)), 0);
    for (int i = 0; i < N; i++)
        check_eq(r[i].n, i % 2 ? -OURO_ECHILDCANCELLED : 2);
    return 0;
}

/* ---- The kernel and the buffer --------------------------------------------------------------- */

enum { BUFFER = 64, POISON = 0xa5 };

struct reading {
    int fd;
    unsigned char buf[BUFFER];
};

static int64_t read_into(void *arg)
{
    struct reading *r = arg;
    return ouro_await(read_op(r->fd, r->buf, BUFFER));
}

static void check_poison(const unsigned char *buf)
{
    for (int i = 0; i < BUFFER; i++)
        check_eq(buf[i], POISON);
}

/* Cancel a read, poison its buffer, and only then feed the pipe: the bytes must stay in the
 * pipe. */
static int64_t poison_after_cancel(void *arg)
{
    int *ends = arg;
    char got[BUFFER];
    for (int round = 0; round < 200; round++) {
        struct reading r = {.fd = ends[0]};
        ouro_future *task = ouro_spawn(read_into, &r);
        for (int i = round % 3; i >= 0; i--)
            check_eq(ouro_yield(), 0);
        check_eq(ouro_cancel(task), 1);
        check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
        memset(r.buf, POISON, BUFFER);
        check_eq(write(ends[1], "late data", 9), 9);
        check_eq(nap(round % 20 ? 0 : OURO_MS(1)), 0);
        check_poison(r.buf);
        check_eq(read(ends[0], got, sizeof got), 9);
        check_poison(r.buf);
    }
    return 0;
}

Test(cancel, a_poisoned_buffer_of_a_cancelled_read_is_never_written_late)
{
    int ends[2];
    begin_kernel();
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(run_main(poison_after_cancel, ends), 0);
    close(ends[0]);
    close(ends[1]);
    end();
}

/* The same with the data racing the cancel: either the read has it all, or the pipe has. */
static int64_t race_data_and_cancel(void *arg)
{
    int *ends = arg;
    char got[BUFFER];
    for (int round = 0; round < 200; round++) {
        struct reading r = {.fd = ends[0]};
        ouro_future *task = ouro_spawn(read_into, &r);
        for (int i = round % 4; i > 0; i--)
            check_eq(ouro_yield(), 0);
        check_eq(write(ends[1], "data", 4), 4);
        if (round % 3 == 0)
            check_eq(ouro_yield(), 0);
        ouro_cancel(task);
        int64_t n = ouro_await(task);
        memset(r.buf, POISON, BUFFER);
        check(n == 4 || n == -OURO_ECHILDCANCELLED);
        if (n != 4)
            check_eq(read(ends[0], got, sizeof got), 4);
        check_poison(r.buf);
    }
    return 0;
}

Test(cancel, bytes_that_race_a_cancel_are_read_or_stay_in_the_pipe_never_lost)
{
    int ends[2];
    begin_kernel();
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(run_main(race_data_and_cancel, ends), 0);
    close(ends[0]);
    close(ends[1]);
    end();
}

static int64_t time_out_reads(void *arg)
{
    int *ends = arg;
    for (int round = 0; round < 20; round++) {
        unsigned char buf[BUFFER];
        check_eq(ouro_await(ouro_timeout(read_op(ends[0], buf, BUFFER), OURO_US(200))), -ETIMEDOUT);
        memset(buf, POISON, BUFFER);
        check_eq(write(ends[1], "x", 1), 1);
        check_eq(nap(OURO_US(100)), 0);
        check_poison(buf);
        check_eq(ouro_await(read_op(ends[0], buf, BUFFER)), 1);
        check_eq(buf[0], 'x');
    }
    return 0;
}

Test(cancel, a_read_that_timed_out_has_given_its_stack_buffer_back)
{
    int ends[2];
    begin_kernel();
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(run_main(time_out_reads, ends), 0);
    close(ends[0]);
    close(ends[1]);
    end();
}

/* The fake kernel writes when it completes; whoever settles before that sees the poison go. */
Test(cancel, a_read_stays_unsettled_until_its_own_last_completion)
{
    struct reading r = {.fd = 3};
    struct fake *fake = begin_fake();
    fake->on_cancel = FAKE_CANCEL_BUSY;
    ouro_future *task = ouro_spawn(read_into, &r);
    turns(2);
    check_eq(ouro_cancel(task), 1);
    turns(5);
    check_eq(ouro_future_state(task), OURO_PENDING);
    fake_finish(fake, IORING_OP_READ, 7, 0);
    turns(3);
    check_eq(ouro_future_result(task).n, 7);
    ouro_unref(task);
    end();
}
