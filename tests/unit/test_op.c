/* SPDX-License-Identifier: MIT */
/*
 * Operations on a driver that does its worst: completions in every order, several for one
 * operation, for nobody, cancels that win, lose, or are answered late.
 *
 * Almost all run on the fake driver, stepped by hand; the last few show that the kernel agrees.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <string.h>
#include <unistd.h>

#include <ouro/uring.h>

TestSuite(op, .timeout = 60);

static struct io_uring_sqe entry(uint8_t opcode, int fd, void *buf, unsigned len)
{
    return (struct io_uring_sqe){
        .opcode = opcode, .fd = fd, .addr = (uintptr_t)buf, .len = len, .off = (uint64_t)-1};
}

static ouro_future *start(uint8_t opcode, const ouro_uring_options *opts)
{
    struct io_uring_sqe sqe = entry(opcode, 3, NULL, 0);
    return ouro_uring_op(&sqe, opts);
}

static ouro_future *start_read(int fd, void *buf, unsigned len)
{
    struct io_uring_sqe sqe = entry(IORING_OP_READ, fd, buf, len);
    return ouro_uring_op(&sqe, NULL);
}

static void check_settled(ouro_future *f, ouro_state state, int64_t n)
{
    check_eq(ouro_future_state(f), state);
    check_eq(ouro_future_result(f).n, n);
}

/* ---- Plain results --------------------------------------------------------------------------- */

Test(op, its_result_is_the_one_of_its_completion)
{
    char buf[8] = "";
    struct fake *fake = begin_fake();
    ouro_future *read = start_read(5, buf, 8);
    ouro_future *bad = start_read(6, NULL, 8);
    turn();
    check_eq(fake_count(fake, IORING_OP_READ), 2);
    const struct io_uring_sqe *sqe = fake_find(fake, IORING_OP_READ);
    check_eq(sqe->fd, 5);
    check_eq(sqe->len, 8);
    check_eq(stats().kernel_operations, 2);
    fake_finish(fake, IORING_OP_READ, 3, 0);
    fake_finish(fake, IORING_OP_READ, -EBADF, 0);
    turn();
    check_settled(read, OURO_VALUE, 3);
    check_settled(bad, OURO_ERROR, -EBADF);
    ouro_unref(read);
    ouro_unref(bad);
    end();
}

Test(op, one_turn_submits_everything_in_one_call_and_in_order)
{
    struct fake *fake = begin_fake();
    ouro_future *f[50];
    turn();
    for (int i = 0; i < 50; i++)
        f[i] = start_read(100 + i, NULL, 1);
    check_eq(fake_log_count(fake), 0);
    turn();
    check_eq(fake_log_count(fake), 50);
    for (size_t i = 0; i < 50; i++) {
        check_eq(fake_log(fake, i)->sqe.fd, 100 + (int)i);
        check_eq(fake_log(fake, i)->batch, fake_log(fake, 0)->batch);
        fake_finish(fake, IORING_OP_READ, 0, 0);
    }
    turn();
    for (int i = 0; i < 50; i++) {
        check_settled(f[i], OURO_VALUE, 0);
        ouro_unref(f[i]);
    }
    end();
}

TaskTest(op, a_turn_of_a_running_loop_makes_one_call_of_the_driver)
{
    check_eq(ouro_yield(), 0);
    ouro_loop_stats before = stats();
    for (int i = 0; i < 100; i++)
        check_eq(ouro_await(start(IORING_OP_NOP, NULL)), 0);
    ouro_loop_stats after = stats();
    check(after.turns - before.turns >= 100);
    check(after.enters - before.enters <= after.turns - before.turns);
    check_eq(after.submitted - before.submitted, 100);
    return 0;
}

Test(op, a_completion_never_settles_inside_the_call_that_starts_it)
{
    begin_fake();
    ouro_future *f = start(IORING_OP_NOP, NULL);
    check_eq(ouro_future_state(f), OURO_PENDING);
    turns(2);
    check_settled(f, OURO_VALUE, 0);
    ouro_unref(f);
    end();
}

Test(op, completions_may_come_in_any_order)
{
    enum { N = 200 };
    struct fake *fake = begin_fake();
    ouro_future *f[N];
    fake->shuffle = 4711;
    for (int i = 0; i < N; i++)
        f[i] = start_read(i, NULL, 1);
    turn();
    check_eq(fake_pending_count(fake), N);
    while (fake_pending_count(fake) > 0) {
        const struct io_uring_sqe *sqe = fake_pending(fake, 0);
        fake_complete(fake, sqe->user_data, sqe->fd * 2, 0);
    }
    turns(3);
    for (int i = 0; i < N; i++) {
        check_settled(f[i], OURO_VALUE, i * 2);
        ouro_unref(f[i]);
    }
    end();
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

/* A read in flight, cancelled while the driver cancels in the given way; one more turn. */
static ouro_future *cancelled_read(struct fake *fake, enum fake_cancel way, int32_t late_res)
{
    fake->on_cancel = way;
    fake->late_res = late_res;
    ouro_future *f = start_read(3, NULL, 8);
    turn();
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    turn();
    return f;
}

Test(op, cancel_before_data_ends_it_cancelled)
{
    struct fake *fake = begin_fake();
    ouro_future *f = cancelled_read(fake, FAKE_CANCEL_OBEY, 0);
    turns(2);
    check_settled(f, OURO_CANCELLED, -ECANCELED);
    check_eq(fake_logged(fake, IORING_OP_ASYNC_CANCEL), 1);
    ouro_unref(f);
    end();
}

Test(op, the_targets_completion_before_the_cancels_ends_it_cancelled_too)
{
    struct fake *fake = begin_fake();
    ouro_future *f = cancelled_read(fake, FAKE_CANCEL_TARGET_FIRST, 0);
    turns(2);
    check_settled(f, OURO_CANCELLED, -ECANCELED);
    ouro_unref(f);
    end();
}

Test(op, interrupted_by_its_cancel_it_is_cancelled_as_well)
{
    struct fake *fake = begin_fake();
    ouro_future *f = cancelled_read(fake, FAKE_CANCEL_DATA_FIRST, -EINTR);
    turns(2);
    check(ouro_future_state(f) != OURO_PENDING);
    check(ouro_future_result(f).n == -ECANCELED || ouro_future_result(f).n == -EINTR);
    ouro_unref(f);
    end();
}

Test(op, data_before_cancel_is_its_result)
{
    struct fake *fake = begin_fake();
    ouro_future *f = cancelled_read(fake, FAKE_CANCEL_DATA_FIRST, 5);
    turns(2);
    check_settled(f, OURO_VALUE, 5);
    ouro_unref(f);
    end();
}

Test(op, a_cancel_that_comes_too_late_leaves_it_pending_until_its_own_completion)
{
    struct fake *fake = begin_fake();
    ouro_future *f = cancelled_read(fake, FAKE_CANCEL_BUSY, 0);
    turns(5);
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(stats().live_operations, 1);
    fake_finish(fake, IORING_OP_READ, 8, 0);
    turns(2);
    check_settled(f, OURO_VALUE, 8);
    ouro_unref(f);
    end();
}

Test(op, the_cancels_own_answer_may_come_long_after_and_changes_nothing)
{
    struct fake *fake = begin_fake();
    ouro_future *f = cancelled_read(fake, FAKE_CANCEL_HOLD, 0);
    fake_finish(fake, IORING_OP_READ, -ECANCELED, 0);
    turns(2);
    check_settled(f, OURO_CANCELLED, -ECANCELED);
    ouro_unref(f);
    ouro_future *next = start_read(4, NULL, 8); /* may be given the memory of the first */
    turns(2);
    fake_finish(fake, IORING_OP_ASYNC_CANCEL, 0, 0);
    turns(2);
    check_eq(ouro_future_state(next), OURO_PENDING);
    fake_finish(fake, IORING_OP_READ, 1, 0);
    turns(2);
    check_settled(next, OURO_VALUE, 1);
    ouro_unref(next);
    end();
}

Test(op, the_cancels_answer_alone_never_settles_it)
{
    struct fake *fake = begin_fake();
    ouro_future *f = cancelled_read(fake, FAKE_CANCEL_HOLD, 0);
    fake_finish(fake, IORING_OP_ASYNC_CANCEL, 0, 0);
    turns(5);
    check_eq(ouro_future_state(f), OURO_PENDING);
    fake_finish(fake, IORING_OP_READ, 2, 0);
    turns(2);
    check_settled(f, OURO_VALUE, 2);
    ouro_unref(f);
    end();
}

Test(op, a_partial_count_after_a_cancel_is_a_result)
{
    struct fake *fake = begin_fake();
    fake->on_cancel = FAKE_CANCEL_HOLD;
    ouro_future *f = start(IORING_OP_SEND, NULL);
    turn();
    check_eq(ouro_cancel(f), 1);
    turn();
    fake_finish(fake, IORING_OP_ASYNC_CANCEL, 0, 0);
    fake_finish(fake, IORING_OP_SEND, 219264, 0);
    turns(2);
    check_settled(f, OURO_VALUE, 219264);
    ouro_unref(f);
    end();
}

Test(op, ecanceled_without_our_request_is_an_error_not_a_cancel)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start_read(3, NULL, 8);
    turn();
    fake_finish(fake, IORING_OP_READ, -ECANCELED, 0);
    turns(2);
    check_settled(f, OURO_ERROR, -ECANCELED);
    ouro_unref(f);
    end();
}

Test(op, cancelled_while_it_is_queued_it_never_reaches_the_driver)
{
    struct fake *fake = begin_fake();
    turn();
    ouro_future *f = start_read(3, NULL, 8);
    check_eq(ouro_cancel(f), 1);
    turns(3);
    check_settled(f, OURO_CANCELLED, -ECANCELED);
    check_eq(fake_logged(fake, IORING_OP_READ), 0);
    check_eq(fake_logged(fake, IORING_OP_ASYNC_CANCEL), 0);
    ouro_unref(f);
    end();
}

Test(op, a_cancel_names_its_target_by_the_user_data_it_was_submitted_with)
{
    struct fake *fake = begin_fake();
    ouro_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = start_read(10 + i, NULL, 1);
    turn();
    check_eq(ouro_cancel(f[1]), 1);
    turns(2);
    check_settled(f[1], OURO_CANCELLED, -ECANCELED);
    check_eq(fake_pending(fake, 0)->fd, 10);
    check_eq(fake_pending(fake, 1)->fd, 12);
    check_eq(ouro_future_state(f[0]), OURO_PENDING);
    for (int i = 0; i < 3; i++) {
        ouro_cancel(f[i]);
        ouro_unref(f[i]);
    }
    end();
}

Test(op, one_that_nobody_holds_keeps_itself_until_its_completion)
{
    char buf[8] = "";
    struct fake *fake = begin_fake();
    ouro_detach(start_read(3, buf, 8));
    turns(3);
    check_eq(stats().live_operations, 1);
    check_eq(stats().kernel_operations, 1);
    fake_finish(fake, IORING_OP_READ, 4, 0);
    turns(2);
    check_eq(stats().live_operations, 0);
    check_eq(memcmp(buf, "kkkk", 5), 0);
    end();
}

/* ---- Several completions --------------------------------------------------------------------- */

struct heard {
    int count;
    int32_t res[16];
    uint32_t flags[16];
};

static void hear(int32_t res, uint32_t flags, void *arg)
{
    struct heard *h = arg;
    h->res[h->count] = res;
    h->flags[h->count++] = flags;
}

Test(op, a_multishot_one_lives_to_its_last_completion_and_shows_each)
{
    struct heard heard = {0};
    struct fake *fake = begin_fake();
    ouro_future *f = start(IORING_OP_RECV, &(ouro_uring_options){.on_cqe = hear, .arg = &heard});
    turn();
    for (int i = 1; i <= 3; i++) {
        fake_finish(fake, IORING_OP_RECV, i * 10, IORING_CQE_F_MORE | IORING_CQE_F_BUFFER);
        turn();
    }
    check_eq(heard.count, 3);
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(stats().kernel_operations, 1);
    fake_finish(fake, IORING_OP_RECV, 40, 0);
    turns(2);
    check_settled(f, OURO_VALUE, 40);
    check_eq(heard.count, 4);
    check_eq(heard.res[3], 40);
    for (int i = 0; i < 3; i++) {
        check_eq(heard.res[i], (i + 1) * 10);
        check(heard.flags[i] & IORING_CQE_F_BUFFER);
    }
    ouro_unref(f);
    end();
}

Test(op, several_completions_of_one_turn_are_shown_in_order)
{
    struct heard heard = {0};
    struct fake *fake = begin_fake();
    ouro_future *f = start(IORING_OP_POLL_ADD,
                           &(ouro_uring_options){.on_cqe = hear, .arg = &heard});
    turn();
    for (int i = 0; i < 10; i++)
        fake_finish(fake, IORING_OP_POLL_ADD, i, IORING_CQE_F_MORE);
    fake_finish(fake, IORING_OP_POLL_ADD, -ENOBUFS, 0);
    turns(2);
    check_eq(heard.count, 11);
    for (int i = 0; i < 10; i++)
        check_eq(heard.res[i], i);
    check_eq(heard.res[10], -ENOBUFS);
    check_settled(f, OURO_ERROR, -ENOBUFS);
    ouro_unref(f);
    end();
}

Test(op, without_a_listener_the_completions_before_the_last_are_counted_not_shown)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start(IORING_OP_POLL_ADD, NULL);
    turn();
    uint64_t before = stats().completed;
    fake_finish(fake, IORING_OP_POLL_ADD, 1, IORING_CQE_F_MORE);
    fake_finish(fake, IORING_OP_POLL_ADD, 1, IORING_CQE_F_MORE);
    turn();
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(stats().completed - before, 2);
    fake_finish(fake, IORING_OP_POLL_ADD, 1, 0);
    turns(2);
    check_settled(f, OURO_VALUE, 1);
    ouro_unref(f);
    end();
}

static ouro_future *heard_of;

static void cancel_it(int32_t res, uint32_t flags, void *arg)
{
    (void)arg;
    check_eq(res, 7);
    check_eq(flags, 0);
    check_eq(ouro_cancel(heard_of), 1);
    FILE *nowhere = fopen("/dev/null", "we");
    check(ouro_tasks_print(nowhere) >= 0);
    fclose(nowhere);
}

Test(op, a_callback_may_cancel_at_the_last_completion_which_stands)
{
    struct fake *fake = begin_fake();
    ouro_future *other = start(IORING_OP_POLL_ADD, NULL);
    heard_of = start(IORING_OP_RECV, &(ouro_uring_options){.on_cqe = cancel_it});
    turn();
    fake_finish(fake, IORING_OP_RECV, 7, 0);
    turns(2);
    check_settled(heard_of, OURO_VALUE, 7);
    check_eq(ouro_future_state(other), OURO_PENDING);
    fake_finish(fake, IORING_OP_POLL_ADD, 1, 0);
    turns(2);
    check_settled(other, OURO_VALUE, 1);
    ouro_unref(other);
    ouro_unref(heard_of);
    end();
}

Test(op, a_multishot_one_is_cancelled_at_its_last_completion_not_before)
{
    struct heard heard = {0};
    struct fake *fake = begin_fake();
    fake->on_cancel = FAKE_CANCEL_HOLD;
    ouro_future *f = start(IORING_OP_RECV, &(ouro_uring_options){.on_cqe = hear, .arg = &heard});
    turn();
    fake_finish(fake, IORING_OP_RECV, 1, IORING_CQE_F_MORE);
    check_eq(ouro_cancel(f), 1);
    turn();
    fake_finish(fake, IORING_OP_ASYNC_CANCEL, 0, 0);
    fake_finish(fake, IORING_OP_RECV, 2, IORING_CQE_F_MORE);
    turn();
    check_eq(ouro_future_state(f), OURO_PENDING);
    fake_finish(fake, IORING_OP_RECV, -ECANCELED, 0);
    turns(2);
    check_settled(f, OURO_CANCELLED, -ECANCELED);
    check_eq(heard.count, 3);
    check_eq(heard.res[2], -ECANCELED);
    ouro_unref(f);
    end();
}

Test(op, a_zero_copy_send_settles_with_its_count_when_the_notification_has_come)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start(IORING_OP_SEND_ZC, NULL);
    turn();
    fake_finish(fake, IORING_OP_SEND_ZC, 1000, IORING_CQE_F_MORE);
    turns(3);
    check_eq(ouro_future_state(f), OURO_PENDING); /* the kernel still reads the buffer */
    fake_finish(fake, IORING_OP_SEND_ZC, 0, IORING_CQE_F_NOTIF);
    turns(2);
    check_settled(f, OURO_VALUE, 1000);
    ouro_unref(f);
    end();
}

Test(op, a_zero_copy_send_that_fails_at_once_has_no_notification)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start(IORING_OP_SEND_ZC, NULL);
    turn();
    fake_finish(fake, IORING_OP_SEND_ZC, -EPIPE, 0);
    turns(2);
    check_settled(f, OURO_ERROR, -EPIPE);
    ouro_unref(f);
    end();
}

Test(op, a_zero_copy_send_that_fails_with_a_notification_keeps_its_error)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start(IORING_OP_SEND_ZC, NULL);
    turn();
    fake_finish(fake, IORING_OP_SEND_ZC, -ECONNRESET, IORING_CQE_F_MORE);
    fake_finish(fake, IORING_OP_SEND_ZC, 0, IORING_CQE_F_NOTIF);
    turns(2);
    check_settled(f, OURO_ERROR, -ECONNRESET);
    ouro_unref(f);
    end();
}

/* ---- Names that have gone -------------------------------------------------------------------- */

Test(op, a_completion_of_an_earlier_generation_is_counted_and_ignored)
{
    struct fake *fake = begin_fake();
    ouro_future *first = start_read(3, NULL, 1);
    turn();
    uint64_t old = fake_find(fake, IORING_OP_READ)->user_data;
    fake_finish(fake, IORING_OP_READ, 1, 0);
    turns(2);
    ouro_unref(first);
    turn();
    ouro_future *second = start_read(4, NULL, 1); /* in the same place */
    turn();
    check(fake_find(fake, IORING_OP_READ)->user_data != old);
    uint64_t stale = stats().stale;
    fake_inject(fake, old, 99, 0);
    turns(2);
    check_eq(ouro_future_state(second), OURO_PENDING);
    check_eq(stats().stale, stale + 1);
    fake_finish(fake, IORING_OP_READ, 7, 0);
    turns(2);
    check_settled(second, OURO_VALUE, 7);
    ouro_unref(second);
    end();
}

Test(op, a_completion_of_a_name_that_never_was_is_ignored)
{
    struct fake *fake = begin_fake();
    uint64_t strange[] = {0x7fffffffffffffffu, 0x123456789abcdu, 0x7fffffffu, 1u << 30};
    turn();
    uint64_t stale = stats().stale;
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        fake_inject(fake, strange[i], 1, i % 2 ? IORING_CQE_F_MORE : 0);
    turns(2);
    check_eq(stats().stale - stale, sizeof strange / sizeof *strange);
    end();
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static ouro_future *start_accept(void)
{
    return start(IORING_OP_ACCEPT, &(ouro_uring_options){.result_is_fd = 1});
}

Test(op, a_descriptor_nobody_takes_is_closed_once)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start_accept();
    turn();
    fake_finish(fake, IORING_OP_ACCEPT, 77, 0);
    turns(2);
    check_settled(f, OURO_VALUE, 77);
    check_eq(stats().live_fds, 1);
    check_eq(fake->closed[77], 0);
    ouro_unref(f);
    turns(2);
    check_eq(fake->closed[77], 1);
    check_eq(stats().live_fds, 0);
    end();
}

Test(op, a_descriptor_that_was_taken_is_not_closed)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start_accept();
    turn();
    fake_finish(fake, IORING_OP_ACCEPT, 77, 0);
    turns(2);
    check_eq(ouro_future_take(f).n, 77);
    check_eq(stats().live_fds, 0);
    ouro_unref(f);
    turns(2);
    check_eq(fake->closed[77], 0);
    end();
}

static int64_t accept_one(void *arg)
{
    (void)arg;
    return ouro_await(start_accept());
}

Test(op, awaiting_takes_the_descriptor)
{
    struct fake *fake = begin_fake();
    ouro_future *task = ouro_spawn(accept_one, NULL);
    turns(2);
    fake_finish(fake, IORING_OP_ACCEPT, 78, 0);
    turns(3);
    check_settled(task, OURO_VALUE, 78);
    ouro_unref(task);
    turns(2);
    check_eq(fake->closed[78], 0);
    end();
}

Test(op, a_descriptor_that_comes_in_spite_of_a_cancel_is_closed_if_nobody_takes_it)
{
    struct fake *fake = begin_fake();
    fake->on_cancel = FAKE_CANCEL_DATA_FIRST;
    fake->late_res = 79;
    ouro_future *f = start_accept();
    turn();
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    turns(4);
    check_eq(fake->closed[79], 1);
    end();
}

Test(op, a_descriptor_that_was_detached_from_is_closed_when_it_comes)
{
    struct fake *fake = begin_fake();
    ouro_detach(start_accept());
    turn();
    fake_finish(fake, IORING_OP_ACCEPT, 80, 0);
    turns(3);
    check_eq(fake->closed[80], 1);
    end();
}

Test(op, a_number_that_is_no_descriptor_is_never_closed)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start_read(3, NULL, 100);
    turn();
    fake_finish(fake, IORING_OP_READ, 81, 0);
    turns(2);
    ouro_unref(f);
    f = start_accept();
    turn();
    fake_finish(fake, IORING_OP_ACCEPT, -EMFILE, 0);
    turns(2);
    check_settled(f, OURO_ERROR, -EMFILE);
    ouro_unref(f);
    turns(2);
    for (int fd = 0; fd < FAKE_FD_MAX; fd++)
        check_eq(fake->closed[fd], 0);
    end();
}

/* ---- Entries that are refused ---------------------------------------------------------------- */

TaskTest(op, links_and_skipped_completions_are_einval)
{
    uint8_t flags[] = {IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_CQE_SKIP_SUCCESS};
    for (size_t i = 0; i < sizeof flags; i++) {
        struct io_uring_sqe sqe = entry(IORING_OP_NOP, -1, NULL, 0);
        sqe.flags = flags[i];
        check_eq(ouro_await(ouro_uring_op(&sqe, NULL)), -EINVAL);
    }
    check_eq(ouro_await(ouro_uring_op(NULL, NULL)), -EINVAL);
    return 0;
}

TaskTest(op, the_entry_is_copied)
{
    struct io_uring_sqe sqe = entry(IORING_OP_NOP, -1, NULL, 0);
    ouro_future *f = ouro_uring_op(&sqe, NULL);
    memset(&sqe, 0xff, sizeof sqe);
    check_eq(ouro_await(f), 0);
    return 0;
}

/* ---- The kernel agrees ----------------------------------------------------------------------- */

static int64_t ping_through_pipe(void *arg)
{
    (void)arg;
    int ends[2];
    char buf[8] = "";
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    ouro_future *read = start_read(ends[0], buf, 8);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_future_state(read), OURO_PENDING);
    struct io_uring_sqe sqe = entry(IORING_OP_WRITE, ends[1], (void *)(uintptr_t) "ping", 4);
    check_eq(ouro_await(ouro_uring_op(&sqe, NULL)), 4);
    check_eq(ouro_await(read), 4);
    check_eq(memcmp(buf, "ping", 5), 0);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

Test(op, a_pipe_carries_bytes_on_the_kernel)
{
    begin_kernel();
    check_eq(run_main(ping_through_pipe, NULL), 0);
    end();
}

static int64_t open_and_drop(void *arg)
{
    (void)arg;
    struct io_uring_sqe sqe = {.opcode = IORING_OP_OPENAT,
                               .fd = AT_FDCWD,
                               .addr = (uintptr_t) "/dev/null",
                               .open_flags = O_RDONLY | O_CLOEXEC};
    ouro_uring_options opts = {.result_is_fd = 1};
    for (int i = 0; i < 10; i++) {
        ouro_future *f = ouro_uring_op(&sqe, &opts);
        check(ouro_join(f) >= 0);
        ouro_unref(f); /* end() counts descriptors */
    }
    int64_t fd = ouro_await(ouro_uring_op(&sqe, &opts));
    check(fd >= 0);
    check_eq(close((int)fd), 0);
    return 0;
}

Test(op, descriptors_nobody_takes_are_closed_on_the_kernel)
{
    begin_kernel();
    check_eq(run_main(open_and_drop, NULL), 0);
    end();
}
