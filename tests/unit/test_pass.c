/* SPDX-License-Identifier: MIT */
/*
 * Passing descriptors, with messages and over streams: who owns them, and that none leaks.
 */
#define _GNU_SOURCE
#include "datagram_test.h"

TestSuite(pass, .timeout = 120);

/* Both ends of @n pipes: 2 * @n descriptors. */
static void open_pipes(int *fds, int n)
{
    for (int i = 0; i < n; i++)
        check_eq(pipe2(&fds[2 * i], O_CLOEXEC), 0);
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* That @fd is the reading end of what @other writes to. */
static void check_pipe(int fd, int other)
{
    char c = 0;
    check_eq(write(other, "p", 1), 1);
    check_eq(read(fd, &c, 1), 1);
    check_eq(c, 'p');
}

/* ---- With messages --------------------------------------------------------------------------- */

static void pass_with(struct two t)
{
    int fds[4];
    ouro_message m;
    open_pipes(fds, 2);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "two", 3, fds, 4, NULL)), 3);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    check_eq(m.size, 3);
    check_eq(m.fd_count, 4);
    check(!m.fds_cut);
    for (int i = 0; i < 4; i++) {
        check(m.fds[i] != fds[i]);
        check_eq(fcntl(m.fds[i], F_GETFD), FD_CLOEXEC);
    }
    check_pipe(m.fds[0], fds[1]);
    int kept = m.fds[2], lost = m.fds[0];
    m.fds[2] = -1;
    ouro_datagram_done(t.to);
    check_eq(fcntl(lost, F_GETFD), -1);
    check_pipe(kept, fds[3]);
    close(kept);
    close_all(fds, 4);
    free_two(&t);
}

KernelTest(pass, descriptors_come_with_a_message_and_those_not_kept_are_closed)
{
    int before = open_fds();
    pass_with(open_pair(SOCK_DGRAM, NULL));
    pass_with(open_pair(SOCK_SEQPACKET, NULL));
    pass_with(
        open_pair(SOCK_SEQPACKET, &(ouro_datagram_options){.timestamps = 1, .credentials = 1}));
    check_eq(open_fds(), before);
    return 0;
}

KernelTest(pass, as_many_as_a_message_can_carry_come_whole)
{
    struct two t = open_pair(SOCK_DGRAM,
                             &(ouro_datagram_options){.timestamps = 1, .credentials = 1});
    int fds[OURO_FDS_MAX + 1];
    ouro_message m;
    char buf[8];
    for (int i = 0; i <= OURO_FDS_MAX; i++)
        fds[i] = dup(0);
    int before = open_fds();
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "", 0, fds, OURO_FDS_MAX, NULL)), 0);
    check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, &m)), 0);
    check_eq(m.fd_count, OURO_FDS_MAX);
    check(!m.fds_cut);
    check_eq(open_fds(), before + OURO_FDS_MAX);
    ouro_datagram_done(t.to);
    check_eq(open_fds(), before);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "x", 1, fds, OURO_FDS_MAX + 1, NULL)),
             -EINVAL);
    close_all(fds, OURO_FDS_MAX + 1);
    free_two(&t);
    return 0;
}

KernelTest(pass, descriptors_of_a_message_that_is_cut_off_or_not_wanted_do_not_leak)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    int fds[2];
    char buf[2];
    ouro_message m;
    open_pipes(fds, 1);
    int before = open_fds();
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "long", 4, fds, 2, NULL)), 4);
    check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, NULL)), 2);
    check_eq(open_fds(), before);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "long", 4, fds, 2, NULL)), 4);
    check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, &m)), 2);
    check_eq(m.fd_count, 2);
    check_eq(open_fds(), before + 2);
    send_text(t.from, "x");
    expect(t.to, "x"); /* the next call ends the loan */
    check_eq(open_fds(), before);
    close_all(fds, 2);
    free_two(&t);
    return 0;
}

KernelTest(pass, descriptors_that_nobody_reads_or_keeps_are_closed_with_the_socket)
{
    int before = open_fds();
    struct two t = open_pair(SOCK_SEQPACKET, NULL);
    int fds[2];
    ouro_message m;
    open_pipes(fds, 1);
    for (int i = 0; i < 5; i++)
        check_eq(ouro_await(ouro_datagram_send_fds(t.from, "x", 1, fds, 2, NULL)), 1);
    close_all(fds, 2);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    ouro_await(ouro_sleep(OURO_MS(2))); /* the others have come in, too */
    free_two(&t);
    check_eq(open_fds(), before);
    return 0;
}

KernelTest(pass, without_a_descriptor_to_spare_the_message_comes_and_says_so)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    int fds[2];
    ouro_message m;
    struct rlimit old, tight;
    open_pipes(fds, 1);
    int top = dup(0);
    close(top);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "x", 1, fds, 2, NULL)), 1);
    check_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)top + 1; /* room for one */
    check_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    int64_t n = ouro_await(ouro_datagram_next(t.to, &m, 1));
    check_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    check_eq(n, 1);
    check_eq(m.size, 1);
    check_eq(m.fd_count, 1);
    check(m.fds_cut);
    close_all(fds, 2);
    free_two(&t);
    return 0;
}

KernelTest(pass, what_cannot_be_passed_is_refused)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    int bad = 4000, good = 0;
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "x", 1, &bad, 1, NULL)), -EBADF);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "x", 1, NULL, 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, NULL, 1, &good, 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send_fds(NULL, "x", 1, &good, 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "y", 1, NULL, 0, NULL)), 1);
    expect(t.to, "y");
    free_two(&t);
    t = open_two(NULL);
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "x", 1, &good, 1, NULL)), -EOPNOTSUPP);
    free_two(&t);
    return 0;
}

/* 10^4 descriptors, their sends and receives cancelled at all times. */
KernelTest(pass, a_storm_of_descriptors_and_cancels_leaves_none_behind)
{
    int before = open_fds();
    struct two t = open_pair(SOCK_SEQPACKET, &(ouro_datagram_options){.message_size = 64});
    uint64_t random = 42;
    int fds[2], passed = 0;
    unsigned kept = 0;
    open_pipes(fds, 1);
    for (int i = 0; passed < 10000; i++) {
        uint64_t r = fake_random(&random);
        ouro_message m[3];
        ouro_future *s = ouro_datagram_send_fds(t.from, "x", 1, fds, 1 + r % 2, NULL);
        ouro_future *f = ouro_datagram_next(t.to, m, 1 + r / 2 % 3);
        if (r / 8 % 3 == 0)
            ouro_yield();
        if (r / 32 % 3 == 0)
            ouro_cancel(s);
        if (r / 128 % 3 == 0)
            ouro_cancel(f);
        passed += ouro_await(s) == 1 ? 1 + (int)(r % 2) : 0;
        int64_t n = ouro_await(ouro_timeout(f, OURO_MS(1)));
        for (int64_t k = 0; k < n; k++)
            if (r / 512 % 4 == 0) {
                close(m[k].fds[0]);
                m[k].fds[0] = -1;
                kept++;
            }
    }
    check(kept > 100);
    close_all(fds, 2);
    free_two(&t);
    check_eq(open_fds(), before);
    return 0;
}

/* ---- Over streams ---------------------------------------------------------------------------- */

struct streams {
    ouro_stream *to;
    ouro_stream *from;
};

static struct streams open_streams(void)
{
    struct streams s = {NULL, NULL};
    int fds[2];
    const ouro_stream_options opts = {.no_read_ahead = 1};
    check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    check_eq(ouro_stream_new(fds[0], &opts, &s.to), 0);
    check_eq(ouro_stream_new(fds[1], &opts, &s.from), 0);
    return s;
}

static void free_streams(struct streams *s)
{
    check_eq(ouro_await(ouro_stream_close(s->to)), 0);
    check_eq(ouro_await(ouro_stream_close(s->from)), 0);
    ouro_stream_free(s->to);
    ouro_stream_free(s->from);
}

KernelTest(pass, descriptors_come_over_a_stream_with_the_bytes_they_were_sent_with)
{
    struct streams s = open_streams();
    int fds[2];
    int64_t n;
    char buf[16];
    open_pipes(fds, 1);
    check_eq(ouro_await(ouro_stream_send_fds(s.from, "abc", 3, fds, 2)), 3);
    ouro_passed *p = ouro_await_ptr(ouro_stream_receive_fds(s.to, buf, sizeof buf), &n);
    check_eq(n, 3);
    check_eq(memcmp(buf, "abc", 3), 0);
    check_eq(p->count, 2);
    check(!p->cut);
    check_eq(fcntl(p->fds[0], F_GETFD), FD_CLOEXEC);
    check_pipe(p->fds[0], fds[1]);
    int kept = p->fds[0], lost = p->fds[1];
    p->fds[0] = -1;
    p = ouro_passed_free(p);
    check(p == NULL);
    check_eq(fcntl(lost, F_GETFD), -1);
    check_pipe(kept, fds[1]);
    close(kept);
    close_all(fds, 2);
    free_streams(&s);
    return 0;
}

KernelTest(pass, a_stream_brings_bytes_alone_and_its_end)
{
    struct streams s = open_streams();
    int64_t n;
    char buf[16];
    check_eq(write(ouro_stream_fd(s.from), "hi", 2), 2);
    ouro_passed *p = ouro_await_ptr(ouro_stream_receive_fds(s.to, buf, sizeof buf), &n);
    check_eq(n, 2);
    check_eq(p->count, 0);
    ouro_passed_free(p);
    check_eq(ouro_await(ouro_stream_close(s.from)), 0);
    p = ouro_await_ptr(ouro_stream_receive_fds(s.to, buf, sizeof buf), &n);
    check_eq(n, 0);
    check(p == NULL);
    int fd = 0;
    check_eq(ouro_await(ouro_stream_send_fds(s.to, "x", 1, &fd, 1)), -EPIPE);
    free_streams(&s);
    return 0;
}

KernelTest(pass, a_pass_over_a_stream_ends_by_cancel_and_by_close_and_leaks_nothing)
{
    int before = open_fds();
    struct streams s = open_streams();
    char buf[16];
    int fd = 0;
    ouro_future *f = ouro_stream_receive_fds(s.to, buf, sizeof buf);
    ouro_cancel(f); /* before it is submitted */
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(ouro_timeout(ouro_stream_receive_fds(s.to, buf, sizeof buf), OURO_MS(2))),
             -ETIMEDOUT);
    f = ouro_stream_receive_fds(s.to, buf, sizeof buf);
    check_eq(ouro_await(ouro_stream_receive_fds(s.to, buf, sizeof buf)), -EBUSY);
    ouro_await(ouro_sleep(OURO_MS(1)));
    ouro_future *done = ouro_stream_close(s.to);
    check_eq(ouro_await(f), -EBADF);
    check_eq(ouro_await(done), 0);
    check_eq(ouro_await(ouro_stream_receive_fds(s.to, buf, sizeof buf)), -EBADF);
    free_streams(&s);
    s = open_streams();
    check_eq(ouro_await(ouro_stream_send_fds(s.from, "x", 1, &fd, 1)), 1);
    ouro_unref(ouro_stream_receive_fds(s.to, buf, sizeof buf)); /* nobody takes what comes */
    ouro_await(ouro_sleep(OURO_MS(2)));
    free_streams(&s);
    check_eq(open_fds(), before);
    return 0;
}

KernelTest(pass, writes_stand_in_line_behind_a_pass_and_reads_are_busy_during_one)
{
    struct streams s = open_streams();
    static char big[1 << 20], got[1 << 20];
    char buf[4];
    int fd = 0;
    int64_t n;
    memset(big, 'b', sizeof big);
    ouro_future *f = ouro_stream_send_fds(s.from, big, sizeof big, &fd, 1);
    ouro_future *w = ouro_stream_write(s.from, "end", 3);
    check_eq(ouro_await(ouro_stream_send_fds(s.from, "x", 1, &fd, 1)), -EBUSY);
    ouro_future *r = ouro_stream_receive_fds(s.to, got, 1000);
    check_eq(ouro_await(ouro_stream_read(s.to, buf, sizeof buf)), -EBUSY);
    ouro_passed *p = ouro_await_ptr(r, &n);
    check(n > 0 && n <= 1000);
    check_eq(p->count, 1);
    ouro_passed_free(p);
    check_eq(ouro_await(ouro_stream_read_exact(s.to, got, sizeof got - (size_t)n)),
             (int64_t)sizeof got - n);
    check_eq(ouro_await(f), sizeof big);
    check_eq(ouro_await(ouro_stream_read_exact(s.to, buf, 3)), 3);
    check_eq(memcmp(buf, "end", 3), 0);
    check_eq(ouro_await(w), 3);
    free_streams(&s);
    return 0;
}

KernelTest(pass, a_pass_that_breaks_off_half_way_says_how_much_went_and_ends_writing)
{
    struct streams s = open_streams();
    static char big[1 << 20];
    int fd = 0;
    ouro_future *f = ouro_stream_send_fds(s.from, big, sizeof big, &fd, 1);
    ouro_future *w = ouro_stream_write(s.from, "behind", 6);
    ouro_await(ouro_sleep(OURO_MS(5)));
    ouro_cancel(f);
    int64_t n = ouro_await(f);
    check(n > 0 && n < (int64_t)sizeof big);
    check_eq(ouro_await(w), -EPIPE);
    check_eq(ouro_await(ouro_stream_write(s.from, "x", 1)), -EPIPE);
    free_streams(&s);
    s = open_streams();
    f = ouro_stream_send_fds(s.from, big, sizeof big, &fd, 1);
    w = ouro_stream_write(s.from, "behind", 6);
    ouro_future *done = ouro_stream_close(s.from); /* before it is submitted */
    check_eq(ouro_await(f), -EBADF);
    check_eq(ouro_await(w), -EBADF);
    check_eq(ouro_await(done), 0);
    free_streams(&s);
    return 0;
}

KernelTest(pass, a_stream_that_cannot_pass_descriptors_says_so)
{
    struct streams s = open_streams();
    int fds[2], fd = 0;
    char buf[4];
    check_eq(ouro_await(ouro_stream_send_fds(s.from, "x", 0, &fd, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_send_fds(s.from, "x", 1, &fd, 0)), -EINVAL);
    check_eq(ouro_await(ouro_stream_send_fds(s.from, "x", 1, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_send_fds(NULL, "x", 1, &fd, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_receive_fds(s.to, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_receive_fds(s.to, buf, 0)), -EINVAL);
    free_streams(&s);
    ouro_stream *ahead, *reader;
    check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    check_eq(ouro_stream_new(fds[0], NULL, &ahead), 0);
    check_eq(ouro_await(ouro_stream_receive_fds(ahead, buf, 1)), -EOPNOTSUPP);
    close(fds[1]);
    ouro_stream_free(ahead);
    check_eq(pipe2(fds, O_CLOEXEC), 0);
    check_eq(ouro_stream_new(fds[0], &(ouro_stream_options){.no_read_ahead = 1}, &reader), 0);
    check_eq(ouro_await(ouro_stream_receive_fds(reader, buf, 1)), -EOPNOTSUPP);
    close(fds[1]);
    ouro_stream_free(reader);
    check(ouro_passed_free(NULL) == NULL);
    return 0;
}

KernelTest(pass, a_storm_over_a_stream_leaves_none_behind)
{
    int before = open_fds();
    struct streams s = open_streams();
    uint64_t random = 7;
    char buf[2];
    int fds[2], passed = 0;
    open_pipes(fds, 1);
    for (int i = 0; passed < 4000; i++) {
        uint64_t r = fake_random(&random);
        ouro_future *w = ouro_stream_send_fds(s.from, "x", 1, fds, 1 + r % 2);
        ouro_future *f = ouro_stream_receive_fds(s.to, buf, sizeof buf);
        if (r / 8 % 2)
            ouro_yield();
        if (r / 32 % 3 == 0)
            ouro_cancel(w);
        if (r / 128 % 3 == 0)
            ouro_cancel(f);
        passed += ouro_await(w) == 1 ? 1 + (int)(r % 2) : 0;
        int64_t n;
        ouro_passed *p = ouro_await_ptr(ouro_timeout(f, OURO_MS(1)), &n);
        ouro_passed_free(p);
    }
    close_all(fds, 2);
    free_streams(&s);
    check_eq(open_fds(), before);
    return 0;
}
