/* SPDX-License-Identifier: MIT */
/*
 * Sockets of messages at their edges: cancels, closes, buffers that run out, memory that does,
 * forks, bad input, kernels that lack a feature.
 */
#define _GNU_SOURCE
#include "datagram_test.h"
#include "refuse.h"

#include <limits.h>
#include <linux/io_uring.h>

TestSuite(datagram, .timeout = 60);

/* ---- Cancels --------------------------------------------------------------------------------- */

KernelTest(datagram, a_cancelled_receive_loses_nothing)
{
    struct two t = open_two(NULL);
    char buf[16] = "";
    ouro_message m[4];
    ouro_future *f = ouro_spawn(task_receive, t.to); /* before it is submitted */
    ouro_yield();
    ouro_cancel(f);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    f = ouro_spawn(task_receive, t.to); /* in flight */
    ouro_await(ouro_sleep(OURO_MS(1)));
    ouro_cancel(f);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    send_text(t.from, "kept");
    ouro_await(ouro_sleep(OURO_MS(1)));
    f = ouro_datagram_receive(t.to, buf, sizeof buf, NULL); /* has its result */
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_await(f), 4);
    check_eq(ouro_await(ouro_timeout(ouro_datagram_next(t.to, m, 4), OURO_MS(2))), -ETIMEDOUT);
    send_text(t.from, "next");
    expect(t.to, "next");
    free_two(&t);
    return 0;
}

KernelTest(datagram, a_cancelled_send_of_one_that_waits_for_room_was_not_sent)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    int sent = 0;
    while (ouro_await(ouro_timeout(ouro_datagram_send(t.from, "x", 1), OURO_MS(10))) == 1)
        sent++;
    check(sent > 0 && sent < 10000);
    ouro_future *f = ouro_datagram_send(t.from, "y", 1); /* before it is submitted */
    ouro_cancel(f);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    ouro_message m[16];
    int got = 0;
    for (int64_t n;
         (n = ouro_await(ouro_timeout(ouro_datagram_next(t.to, m, 16), OURO_MS(20)))) > 0;)
        got += (int)n;
    check_eq(got, sent);
    free_two(&t);
    return 0;
}

/* ---- Close by another ------------------------------------------------------------------------ */

KernelTest(datagram, closing_ends_what_is_pending_with_ebadf)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    static ouro_outgoing out[2000];
    char buf[8];
    for (int i = 0; i < 2000; i++)
        out[i] = (ouro_outgoing){.bytes = "x", .size = 1};
    while (ouro_await(ouro_timeout(ouro_datagram_send(t.from, "x", 1), OURO_MS(20))) == 1)
        continue; /* until there is no room */
    ouro_future *many = ouro_datagram_send_many(t.from, out, 2000);
    ouro_future *one = ouro_datagram_send(t.from, "x", 1);
    ouro_future *in = ouro_datagram_receive(t.from, buf, sizeof buf, NULL);
    ouro_await(ouro_sleep(OURO_MS(1)));
    ouro_future *fresh = ouro_datagram_send(t.from, "x", 1); /* not submitted */
    ouro_future *done = ouro_datagram_close(t.from), *again = ouro_datagram_close(t.from);
    check_eq(ouro_await(in), -EBADF);
    check_eq(ouro_await(one), -EBADF);
    check_eq(ouro_await(fresh), -EBADF);
    check_eq(ouro_await(many), -EBADF);
    check_eq(out[1999].result, -ECANCELED);
    check_eq(ouro_await(done), 0);
    check_eq(ouro_await(again), 0);
    check_eq(ouro_await(ouro_datagram_close(t.from)), 0);
    check_eq(ouro_await(ouro_datagram_send(t.from, "x", 1)), -EBADF);
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, 1)), -EBADF);
    check_eq(ouro_await(ouro_datagram_receive(t.from, buf, sizeof buf, NULL)), -EBADF);
    check_eq(ouro_datagram_fd(t.from), -EBADF);
    check_eq(ouro_datagram_connect(t.from, NULL), -EBADF);
    free_two(&t);
    return 0;
}

KernelTest(datagram, a_handle_can_be_freed_with_work_under_way)
{
    struct two t = open_two(NULL);
    char buf[8];
    ouro_future *in = ouro_datagram_receive(t.to, buf, sizeof buf, NULL);
    ouro_future *out = ouro_datagram_send(t.from, "x", 1);
    ouro_datagram_free(t.from);
    ouro_datagram_free(t.to);
    check_eq(ouro_await(in), -EBADF);
    int64_t rc = ouro_await(out);
    check(rc == 1 || rc == -EBADF);
    return 0;
}

static int64_t open_and_go(void *ret)
{
    ouro_message m;
    check_eq(ouro_udp_open("127.0.0.1:0", NULL, NULL, ret), 0);
    check_eq(
        ouro_await(ouro_timeout(ouro_datagram_next(*(ouro_datagram **)ret, &m, 1), OURO_MS(1))),
        -ETIMEDOUT);
    return 0;
}

Test(datagram, an_idle_socket_lets_the_loop_end_and_can_be_freed_after_its_close)
{
    ouro_datagram *d = NULL;
    begin_kernel();
    check_eq(run_main(open_and_go, &d), 0); /* the receive stays armed */
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_datagram_stats s;
    check_eq(ouro_datagram_stats_get(d, &s), 0);
    check_eq(ouro_datagram_fd(d), -EBADF);
    ouro_datagram_free(d);
    end_closed();
}

/* ---- Buffers --------------------------------------------------------------------------------- */

static void all_buffers_lent(const ouro_datagram_options *opts)
{
    struct two t = open_two(opts);
    ouro_message m[8];
    char text[16];
    for (int i = 0; i < 12; i++) {
        snprintf(text, sizeof text, "m%02d", i);
        send_text(t.from, text);
    }
    int next = 0;
    while (next < 12) {
        int64_t n = ouro_await(ouro_timeout(ouro_datagram_next(t.to, m, 8), OURO_SEC(5)));
        check(n >= 1 && n <= 4); /* no more than there are buffers */
        ouro_await(ouro_sleep(OURO_MS(2)));
        for (int64_t i = 0; i < n; i++, next++) {
            snprintf(text, sizeof text, "m%02d", next);
            check_eq(memcmp(m[i].bytes, text, 3), 0);
        }
        if (n <= 0)
            break;
    }
    check_eq(stats_of(t.to).waiting, 0);
    check_eq(stats_of(t.to).dropped, 0);
    free_two(&t);
}

KernelTest(datagram, with_all_buffers_lent_the_rest_waits_in_the_kernel)
{
    all_buffers_lent(&(ouro_datagram_options){.buffers = 3, .no_gro = 1}); /* 4 */
    return 0;
}

KernelTest(datagram, one_buffer_is_enough)
{
    struct two t = open_two(&(ouro_datagram_options){.buffers = 1});
    for (int i = 0; i < 20; i++) {
        send_text(t.from, "a");
        send_text(t.from, "b");
        expect(t.to, "a");
        expect(t.to, "b");
    }
    check(stats_of(t.to).paused > 0);
    free_two(&t);
    return 0;
}

KernelTest(datagram, what_is_lent_stays_until_it_is_given_back)
{
    struct two t = open_two(&(ouro_datagram_options){.buffers = 2, .no_gro = 1});
    ouro_message m[2];
    send_text(t.from, "first");
    check_eq(ouro_await(ouro_datagram_next(t.to, m, 1)), 1);
    for (int i = 0; i < 10; i++)
        send_text(t.from, "other");
    ouro_await(ouro_sleep(OURO_MS(2)));
    check_eq(memcmp(m[0].bytes, "first", 5), 0);
    ouro_datagram_done(t.to);
    ouro_datagram_done(t.to);
    for (int i = 0; i < 10; i++)
        expect(t.to, "other");
    free_two(&t);
    return 0;
}

/* ---- Two at once, and bad input -------------------------------------------------------------- */

KernelTest(datagram, a_second_receive_at_once_is_busy)
{
    struct two t = open_two(NULL);
    ouro_message m;
    char buf[8];
    ouro_future *f = ouro_datagram_next(t.to, &m, 1);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), -EBUSY);
    check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, NULL)), -EBUSY);
    ouro_datagram_done(t.to);
    send_text(t.from, "x");
    check_eq(ouro_await(f), 1);
    free_two(&t);
    return 0;
}

KernelTest(datagram, bad_input_has_a_clear_code)
{
    struct two t = open_two(NULL);
    ouro_datagram *d = NULL;
    ouro_address none = {0};
    ouro_message m;
    ouro_outgoing wrong[] = {{.bytes = "a", .size = 1}, {.bytes = NULL, .size = 1}};
    check_eq(ouro_udp_open("127.0.0.1:0", NULL, NULL, NULL), -EINVAL);
    check_eq(ouro_udp_open("127.0.0.1", NULL, NULL, &d), -EINVAL);
    check_eq(ouro_udp_open("localhost:1", NULL, NULL, &d), -EINVAL);
    check_eq(ouro_udp_open("127.0.0.1:65536", NULL, NULL, &d), -ERANGE);
    check_eq(ouro_udp_open("unix:/tmp/x", NULL, NULL, &d), -EINVAL);
    check_eq(ouro_udp_open("127.0.0.1:0", "[::1]:1", NULL, &d), -EINVAL);
    check_eq(ouro_udp_open("1.2.3.4:0", NULL, NULL, &d), -EADDRNOTAVAIL);
    check_eq(ouro_udp_open(NULL, NULL, &(ouro_datagram_options){.buffers = 1025}, &d), -EINVAL);
    check_eq(ouro_udp_open(NULL, NULL, &(ouro_datagram_options){.message_size = SIZE_MAX}, &d),
             -EINVAL);
    check_eq(ouro_datagram_open(&none, NULL, NULL, &d), -EINVAL);
    check_eq(ouro_datagram_new(-1, NULL, &d), -EBADF);
    check_eq(ouro_datagram_new(0, NULL, NULL), -EINVAL);
    int fds[2];
    check_eq(pipe(fds), 0);
    check_eq(ouro_datagram_new(fds[0], NULL, &d), -ENOTSOCK);
    close(fds[0]);
    close(fds[1]);
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    check_eq(ouro_datagram_new(tcp, NULL, &d), -EOPNOTSUPP);
    close(tcp);
    check(d == NULL);
    check_eq(ouro_await(ouro_datagram_send(t.from, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send(t.from, "x", (size_t)INT_MAX + 1)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send(t.from, "x", SIZE_MAX)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send(NULL, "x", 1)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send(t.to, "x", 1)), -EDESTADDRREQ);
    check_eq(ouro_await(ouro_datagram_send_to(t.from, "x", 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send_to(t.from, "x", 1, &none)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send_many(t.from, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send_many(t.from, wrong, 2)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_next(t.to, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 0)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_next(NULL, &m, 1)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_receive(t.to, NULL, 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_close(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_seqpacket_accept(NULL)), -EINVAL);
    check_eq(ouro_datagram_connect(NULL, NULL), -EINVAL);
    check_eq(ouro_datagram_fd(NULL), -EINVAL);
    check_eq(ouro_datagram_stats_get(NULL, NULL), -EINVAL);
    check(ouro_datagram_free(NULL) == NULL);
    ouro_datagram_done(NULL);
    free_two(&t);
    return 0;
}

Test(datagram, without_a_loop_nothing_can_be_opened)
{
    ouro_datagram *d;
    check_eq(ouro_udp_open("127.0.0.1:0", NULL, NULL, &d), -EPERM);
    check_eq(ouro_datagram_new(0, NULL, &d), -EPERM);
}

/* ---- Forks ----------------------------------------------------------------------------------- */

static struct two forked;

static int in_the_child(void)
{
    ouro_message m;
    char buf[8];
    ouro_datagram *d;
    child_check(ouro_future_result(ouro_datagram_next(forked.to, &m, 1)).n == -ECHILD);
    child_check(ouro_future_result(ouro_datagram_receive(forked.to, buf, 8, NULL)).n == -ECHILD);
    child_check(ouro_future_result(ouro_datagram_send(forked.from, "x", 1)).n == -ECHILD);
    child_check(ouro_future_result(ouro_datagram_close(forked.to)).n == -ECHILD);
    child_check(ouro_udp_open(NULL, NULL, NULL, &d) == -ECHILD);
    return 0;
}

static int closes_the_loop(void)
{
    int fd = ouro_datagram_fd(forked.to);
    ouro_datagram_free(forked.from);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(fcntl(fd, F_GETFD) < 0);
    ouro_datagram_free(forked.to);
    return 0;
}

static int64_t open_for_fork(void *unused)
{
    (void)unused;
    ouro_message m;
    forked = open_two(NULL);
    send_text(forked.from, "one");
    check_eq(ouro_await(ouro_datagram_next(forked.to, &m, 1)), 1); /* lent, and armed */
    return 0;
}

static int64_t go_on_after_fork(void *unused)
{
    (void)unused;
    send_text(forked.from, "two");
    expect(forked.to, "two");
    free_two(&forked);
    return 0;
}

Test(datagram, in_the_child_of_a_fork_every_call_says_echild_and_the_parent_goes_on)
{
    begin_kernel();
    check_eq(run_main(open_for_fork, NULL), 0);
    check_child(in_the_child, NULL, 0);
    check_child(closes_the_loop, NULL, 0);
    check_eq(run_main(go_on_after_fork, NULL), 0);
    end();
}

/* ---- Kernels that lack something ------------------------------------------------------------- */

static int64_t without_buffer_rings(void *unused)
{
    (void)unused;
    ouro_message m;
    char buf[4];
    struct two t = open_two_at("[::1]:0", &(ouro_datagram_options){.buffers = 4, .timestamps = 1});
    ouro_address client = address_of(t.from);
    send_text(t.from, "first");
    check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, &m)), 4);
    check_eq(m.full_size, 5);
    check(m.time > 0);
    check_eq(ouro_address_compare(&m.from, &client), 0);
    check_eq(ouro_await(ouro_datagram_send(t.from, "", 0)), 0);
    check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, &m)), 0);
    check_eq(m.full_size, 0);
    free_two(&t);
    all_buffers_lent(&(ouro_datagram_options){.buffers = 4, .no_gro = 1});
    t = open_pair(SOCK_SEQPACKET, NULL);
    int fd = 0;
    unsigned before = open_fds();
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "x", 1, &fd, 1, NULL)), 1);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "y", 1, &fd, 1, NULL)), 1);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    check_eq(m.fd_count, 1);
    check_eq(fcntl(m.fds[0], F_GETFD), FD_CLOEXEC);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    ouro_datagram_done(t.to);
    check_eq(open_fds(), before);
    check_eq(ouro_await(ouro_datagram_close(t.from)), 0);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 0);
    free_two(&t);
    return 0;
}

Test(datagram, a_kernel_that_does_not_choose_buffers_fills_ours)
{
    begin_kernel();
    refuse(SYS_io_uring_register, ENOSYS, 0);
    check_eq(run_main(without_buffer_rings, NULL), 0);
    end();
}

/* The kernel's part of a one-shot receive. */
static void bring(struct fake *f, const char *text, uint32_t flags)
{
    const struct io_uring_sqe *sqe = fake_find(f, IORING_OP_RECVMSG);
    check(sqe != NULL);
    struct msghdr *msg = (struct msghdr *)(uintptr_t)sqe->addr;
    memcpy(msg->msg_iov[0].iov_base, text, strlen(text));
    msg->msg_namelen = 0;
    msg->msg_controllen = 0;
    msg->msg_flags = (int)flags;
    fake_finish(f, IORING_OP_RECVMSG, (int32_t)strlen(text), 0);
}

FakeTest(datagram, the_receive_is_armed_again_after_each_message_and_not_after_an_error)
{
    struct fake *f = the_fake();
    ouro_datagram *d = open_udp("127.0.0.1:0", NULL, NULL);
    int fd = ouro_datagram_fd(d); /* the driver only says that it closes it */
    char buf[8] = "";
    ouro_future *r = ouro_datagram_receive(d, buf, sizeof buf, NULL);
    ouro_await(ouro_sleep(1));
    bring(f, "one", 0);
    check_eq(ouro_await(r), 3);
    ouro_await(ouro_sleep(1));
    check_eq(fake_count(f, IORING_OP_RECVMSG), 1);
    fake_finish(f, IORING_OP_RECVMSG, -EHOSTUNREACH, 0);
    ouro_await(ouro_sleep(1));
    check_eq(fake_count(f, IORING_OP_RECVMSG), 0);
    check_eq(ouro_await(ouro_datagram_receive(d, buf, sizeof buf, NULL)), -EHOSTUNREACH);
    ouro_await(ouro_sleep(1));
    check_eq(fake_count(f, IORING_OP_RECVMSG), 1);
    ouro_datagram_free(d);
    check_eq(close(fd), 0);
    return 0;
}

static int enroll_anything(struct ouro__driver *d, unsigned opcode, const void *arg, unsigned count)
{
    (void)d;
    (void)opcode;
    (void)arg;
    (void)count;
    return 0;
}

FakeTest(datagram, a_kernel_that_chooses_buffers_but_only_once_fills_ours)
{
    struct fake *f = the_fake();
    struct ouro__driver_ops ops = *f->driver.ops;
    const struct ouro__driver_ops *before = f->driver.ops;
    ops.enroll = enroll_anything;
    f->driver.ops = &ops;
    ouro_datagram *d = open_udp("127.0.0.1:0", NULL, NULL);
    int fd = ouro_datagram_fd(d);
    char buf[8] = "";
    ouro_future *r = ouro_datagram_receive(d, buf, sizeof buf, NULL);
    ouro_await(ouro_sleep(1));
    check_eq(fake_find(f, IORING_OP_RECVMSG)->ioprio, IORING_RECV_MULTISHOT);
    fake_finish(f, IORING_OP_RECVMSG, -EINVAL, 0);
    ouro_await(ouro_sleep(1));
    check_eq(fake_find(f, IORING_OP_RECVMSG)->ioprio, 0);
    bring(f, "one", 0);
    check_eq(ouro_await(r), 3);
    check_eq(memcmp(buf, "one", 3), 0);
    ouro_await(ouro_datagram_close(d));
    ouro_datagram_free(d);
    check_eq(close(fd), 0);
    f->driver.ops = before;
    return 0;
}

FakeTest(datagram, a_message_that_beats_the_close_is_dropped_and_one_that_beats_a_cancel_is_kept)
{
    struct fake *f = the_fake();
    ouro_datagram *d = open_udp("127.0.0.1:0", NULL, NULL);
    int fd = ouro_datagram_fd(d); /* the driver only says that it closes it */
    char buf[8] = "";
    ouro_future *r = ouro_datagram_receive(d, buf, sizeof buf, NULL);
    ouro_await(ouro_sleep(1));
    ouro_cancel(r);
    check_eq(ouro_await(r), -OURO_ECHILDCANCELLED);
    bring(f, "late", 0);
    ouro_await(ouro_sleep(1));
    check_eq(ouro_await(ouro_datagram_receive(d, buf, sizeof buf, NULL)), 4);
    ouro_await(ouro_sleep(1));
    f->on_cancel = FAKE_CANCEL_BUSY;
    ouro_future *done = ouro_datagram_close(d);
    ouro_await(ouro_sleep(1));
    check_eq(ouro_future_state(done), OURO_PENDING);
    bring(f, "later", 0);
    check_eq(ouro_await(done), 0);
    ouro_datagram_free(d);
    check_eq(close(fd), 0);
    return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static uint64_t asked, fail_at;
static bool refused;

static void *ration(size_t size, void *arg)
{
    (void)arg;
    refused = refused || ++asked == fail_at;
    return asked == fail_at ? NULL : malloc(size);
}

static void *ration_more(void *ptr, size_t size, void *arg)
{
    (void)arg;
    refused = refused || ++asked == fail_at;
    return asked == fail_at ? NULL : realloc(ptr, size);
}

static void give(void *ptr, void *arg)
{
    (void)arg;
    free(ptr);
}

/* All that asks for memory; whatever fails must say -ENOMEM. */
static void all_calls(ouro_datagram *to, ouro_datagram *from)
{
    ouro_outgoing out[3] = {{.bytes = "a", .size = 1}, {.bytes = "b", .size = 1}};
    ouro_message m[4];
    char buf[8];
    int fd = 0;
    int64_t rc[] = {
        ouro_await(ouro_datagram_send(from, "x", 1)),
        ouro_await(ouro_datagram_send_fds(from, "x", 1, &fd, 1, NULL)),
        ouro_await(ouro_datagram_send_many(from, out, 3)),
        ouro_await(ouro_timeout(ouro_datagram_next(to, m, 1), OURO_SEC(1))),
        ouro_await(ouro_timeout(ouro_datagram_receive(to, buf, sizeof buf, m), OURO_MS(1))),
    };
    for (size_t i = 0; i < sizeof rc / sizeof *rc; i++)
        check(rc[i] >= 0 || rc[i] == -ENOMEM || rc[i] == -ETIMEDOUT);
    int64_t closed = ouro_await(ouro_datagram_close(to));
    check(closed == 0 || closed == -ENOMEM);
}

static int64_t on_little_memory(void *unused)
{
    (void)unused;
    int fds[2];
    check_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
    for (fail_at = 1, refused = true; refused && fail_at < 1000; fail_at++) {
        ouro_datagram *to = NULL, *from = NULL;
        refused = false;
        asked = 0;
        int mine = dup(fds[0]), other = dup(fds[1]);
        int rc = ouro_datagram_new(mine, NULL, &to);
        check(rc == 0 || (rc == -ENOMEM && !to));
        if (rc < 0)
            close(mine);
        rc = ouro_datagram_new(other, NULL, &from);
        check(rc == 0 || (rc == -ENOMEM && !from));
        if (rc < 0)
            close(other);
        if (to && from)
            all_calls(to, from);
        ouro_datagram_free(to);
        ouro_datagram_free(from);
    }
    check(fail_at > 10);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

Test(datagram, without_memory_every_call_says_so_and_nothing_leaks)
{
    ouro_allocator a = {ration, ration_more, give, NULL};
    check_eq(ouro_set_allocator(&a), 0);
    begin_kernel();
    check_eq(run_main(on_little_memory, NULL), 0);
    end();
    check_eq(ouro_set_allocator(NULL), 0);
}
