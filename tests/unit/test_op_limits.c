/* SPDX-License-Identifier: MIT */
/*
 * Operations when the machine is full: queues that hold less than is asked for, submits that are
 * refused, more completions than one turn should take.
 */
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>

#include <ouro/uring.h>

TestSuite(op_limits, .timeout = 60);

static ouro_future *start_nop(void)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .fd = -1};
    return ouro_uring_op(&sqe, NULL);
}

static ouro_future *start_read(int fd, void *buf, unsigned len)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buf, .len = len};
    return ouro_uring_op(&sqe, NULL);
}

static void check_settled(ouro_future *f, ouro_state state, int64_t n)
{
    check_eq(ouro_future_state(f), state);
    check_eq(ouro_future_result(f).n, n);
}

/* ---- Full queues and refusals ---------------------------------------------------------------- */

Test(op_limits, a_full_queue_parks_what_does_not_fit_and_nothing_is_lost_or_overtakes)
{
    enum { N = 300 };
    struct fake *fake = begin_fake_with(16, NULL);
    static ouro_future *f[N];
    for (int i = 0; i < N; i++) {
        f[i] = start_read(i, NULL, 1);
        check_eq(ouro_future_state(f[i]), OURO_PENDING);
    }
    for (int i = 0; i < 100 && fake_log_count(fake) < N; i++)
        turn();
    check_eq(fake_log_count(fake), N);
    check(stats().parked > 0);
    for (int i = 0; i < N; i++) {
        check_eq(fake_log(fake, (size_t)i)->sqe.fd, i);
        fake_finish(fake, IORING_OP_READ, i, 0);
    }
    turns(5);
    for (int i = 0; i < N; i++) {
        check_settled(f[i], OURO_VALUE, i);
        ouro_unref(f[i]);
    }
    end();
}

Test(op_limits, a_full_queue_still_lets_cancels_out_ahead_of_what_is_parked)
{
    enum { N = 100 };
    struct fake *fake = begin_fake_with(16, NULL);
    ouro_future *f[N];
    ouro_future *old = start_read(1000, NULL, 1);
    turn();
    for (int i = 0; i < N; i++)
        f[i] = start_read(i, NULL, 1);
    check_eq(ouro_cancel(old), 1);
    turn();
    check_eq(fake_logged(fake, IORING_OP_ASYNC_CANCEL), 1);
    check(fake_log_count(fake) < N);
    turn();
    check_settled(old, OURO_CANCELLED, -ECANCELED);
    ouro_unref(old);
    for (int i = 0; i < N; i++) {
        ouro_cancel(f[i]);
        ouro_unref(f[i]);
    }
    end();
}

Test(op_limits, more_cancels_than_the_queue_holds_all_go_out)
{
    enum { N = 100 };
    struct fake *fake = begin_fake_with(16, NULL);
    ouro_future *f[N];
    for (int i = 0; i < N; i++)
        f[i] = start_read(i, NULL, 1);
    turns(20);
    check_eq(fake_pending_count(fake), N);
    for (int i = 0; i < N; i++)
        check_eq(ouro_cancel(f[i]), 1);
    turns(30);
    check_eq(fake_pending_count(fake), 0);
    for (int i = 0; i < N; i++) {
        check_settled(f[i], OURO_CANCELLED, -ECANCELED);
        ouro_unref(f[i]);
    }
    end();
}

Test(op_limits, cancelled_while_it_is_parked_it_never_reaches_the_driver)
{
    enum { N = 100 };
    struct fake *fake = begin_fake_with(16, NULL);
    ouro_future *f[N];
    for (int i = 0; i < N; i++)
        f[i] = start_read(i, NULL, 1);
    turn();
    check(fake_log_count(fake) < N);
    check_eq(ouro_cancel(f[N - 1]), 1);
    turns(20);
    check_eq(fake_log_count(fake), N - 1);
    check_settled(f[N - 1], OURO_CANCELLED, -ECANCELED);
    for (int i = 0; i < N; i++) {
        ouro_cancel(f[i]);
        ouro_unref(f[i]);
    }
    end();
}

static void refuse_and_recover(int error)
{
    struct fake *fake = begin_fake();
    ouro_future *done = start_read(3, NULL, 1);
    turn();
    fake_finish(fake, IORING_OP_READ, 9, 0);
    ouro_future *next = start_read(4, NULL, 1);
    fake->busy = 3;
    fake->busy_error = error;
    turns(6);
    check_eq(fake->busy, 0);
    check_settled(done, OURO_VALUE, 9);
    check_eq(fake_count(fake, IORING_OP_READ), 1); /* went out once, in the end */
    check_eq(fake_logged(fake, IORING_OP_READ), 2);
    fake_finish(fake, IORING_OP_READ, 1, 0);
    turns(2);
    check_settled(next, OURO_VALUE, 1);
    ouro_unref(done);
    ouro_unref(next);
    end();
}

Test(op_limits, ebusy_means_take_completions_and_try_again)
{
    refuse_and_recover(-EBUSY);
}

Test(op_limits, eagain_means_take_completions_and_try_again)
{
    refuse_and_recover(-EAGAIN);
}

static int64_t read_eight(void *arg)
{
    return ouro_await(start_read(3, arg, 8));
}

Test(op_limits, a_driver_that_stays_busy_for_a_while_does_not_stop_a_waiting_run)
{
    char buf[8];
    struct fake *fake = begin_fake();
    ouro_future *task = ouro_spawn(read_eight, buf);
    turns(2);
    fake->busy = 20;
    fake_complete_in(fake, OURO_MS(5), fake_find(fake, IORING_OP_READ)->user_data, 8);
    check_eq(ouro_loop_run_until(ouro_loop_current(), task), 8);
    end();
}

/* ---- Fairness -------------------------------------------------------------------------------- */

static size_t settled_before_timer;
static size_t settled;

static void count_settled(ouro_future *f, void *arg)
{
    (void)f;
    (void)arg;
    settled++;
}

static void remember_settled(void *arg)
{
    (void)arg;
    settled_before_timer = settled;
}

Test(op_limits, a_flood_of_completions_cannot_starve_a_timer)
{
    enum { N = 20000 };
    struct fake *fake = begin_fake_with(32768, NULL);
    fake->keep_log = false;
    check_eq(ouro_call_later(OURO_MS(1), remember_settled, NULL, NULL, NULL), 0);
    for (int i = 0; i < N; i++) {
        ouro_future *f = start_nop();
        check_eq(ouro_on_done(f, count_settled, NULL), 0);
        ouro_unref(f);
    }
    fake_advance(fake, OURO_MS(1));
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(settled, N);
    check(settled_before_timer < N / 2);
    end();
}

static char marks[4];
static size_t mark_count;

static void mark_done(ouro_future *f, void *arg)
{
    (void)f;
    marks[mark_count++] = *(char *)arg;
}

Test(op_limits, completions_of_a_turn_come_before_its_timers)
{
    static char names[] = "rs";
    struct fake *fake = begin_fake();
    ouro_future *sleep = ouro_sleep(OURO_MS(1));
    ouro_future *read = start_read(3, NULL, 1);
    check_eq(ouro_on_done(sleep, mark_done, &names[1]), 0);
    check_eq(ouro_on_done(read, mark_done, &names[0]), 0);
    turn();
    fake_advance(fake, OURO_SEC(1)); /* the sleep has been due for long when the read completes */
    fake_finish(fake, IORING_OP_READ, 1, 0);
    turns(3);
    check_text(marks, "rs");
    ouro_unref(read);
    ouro_unref(sleep);
    end();
}

/* ---- The kernel agrees ---- */

static int64_t five_thousand_nops(void *arg)
{
    (void)arg;
    enum { N = 5000 };
    static ouro_future *f[N];
    for (int i = 0; i < N; i++)
        f[i] = start_nop();
    return ouro_await(ouro_gather(f, N, OURO_GATHER_ALL, NULL));
}

Test(op_limits, more_at_once_than_the_rings_hold_all_complete_on_the_kernel)
{
    begin_kernel_with(&(ouro_loop_options){.entries = 8});
    check_eq(run_main(five_thousand_nops, NULL), 0);
    check(stats().parked > 0);
    end();
}
