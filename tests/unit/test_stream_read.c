/* SPDX-License-Identifier: MIT */
/*
 * Reads of a stream: what each kind takes, what it leaves, and how bytes that come in pieces of any
 * size make no difference.
 */
#define _GNU_SOURCE
#include "stream_test.h"

#include <fcntl.h>
#include <stdlib.h>

TestSuite(stream_read, .timeout = 20);

KernelTest(stream_read, gives_what_is_there)
{
    int peer;
    char buf[16];
    ouro_stream *s = pair(&peer);
    say(peer, "hello");
    check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 5);
    check_eq(memcmp(buf, "hello", 5), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, waits_until_something_is_there)
{
    int peer;
    char buf[16];
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_read(s, buf, sizeof buf);
    settle_down();
    check_eq(ouro_future_state(f), OURO_PENDING);
    say(peer, "late");
    check_eq(ouro_await(f), 4);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, takes_no_more_than_there_is_room_for)
{
    int peer;
    char buf[16];
    ouro_stream *s = pair(&peer);
    say(peer, "abcdefg");
    check_eq(ouro_await(ouro_stream_read(s, buf, 3)), 3);
    check_eq(ouro_await(ouro_stream_read(s, buf + 3, 3)), 3);
    check_eq(ouro_await(ouro_stream_read(s, buf + 6, 3)), 1);
    check_eq(memcmp(buf, "abcdefg", 7), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, of_no_bytes_is_0_at_once)
{
    int peer;
    ouro_stream *s = pair(&peer);
    check_eq(ouro_await(ouro_stream_read(s, NULL, 0)), 0);
    check_eq(ouro_await(ouro_stream_read_exact(s, NULL, 0)), 0);
    check_eq(ouro_await(ouro_stream_peek(s, NULL, 0)), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, what_came_early_settles_without_a_wait)
{
    int peer;
    char buf[4];
    ouro_stream *s = pair(&peer);
    say(peer, "12345678");
    check_eq(ouro_await(ouro_stream_read(s, buf, 4)), 4);
    ouro_future *f = ouro_stream_read(s, buf, 4);
    check_eq(ouro_future_state(f), OURO_VALUE);
    check_eq(ouro_await(f), 4);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- Exactly so much ------------------------------------------------------------------------- */

KernelTest(stream_read, exact_waits_for_all_of_it)
{
    int peer;
    char buf[8] = "";
    ouro_stream *s = pair(&peer);
    say(peer, "abc");
    ouro_future *f = ouro_stream_read_exact(s, buf, 6);
    settle_down();
    check_eq(ouro_future_state(f), OURO_PENDING);
    say(peer, "defgh");
    check_eq(ouro_await(f), 6);
    check_text(buf, "abcdef");
    check_eq(ouro_await(ouro_stream_read(s, buf, 8)), 2);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, exact_that_is_cancelled_leaves_the_stream_as_it_was)
{
    int peer;
    char buf[8] = "";
    ouro_stream *s = pair(&peer);
    say(peer, "abc");
    check_eq(ouro_await(ouro_timeout(ouro_stream_read_exact(s, buf, 6), OURO_MS(5))), -ETIMEDOUT);
    check_eq(ouro_stream_got(s), 0);
    say(peer, "def");
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 6)), 6);
    check_text(buf, "abcdef");
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, exact_of_more_than_the_stream_may_hold_fills_the_buffer_as_it_comes)
{
    enum { SIZE = 300 * 1000 };
    static unsigned char sent[SIZE], buf[SIZE];
    int peer;
    ouro_stream *s = pair(&peer);
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (unsigned char)(i * 7 / 3);
    ouro_future *f = ouro_stream_read_exact(s, buf, SIZE);
    for (size_t at = 0; at < SIZE;) {
        ssize_t n = send(peer, sent + at, SIZE - at, MSG_DONTWAIT);
        at += n > 0 ? (size_t)n : 0;
        check_eq(ouro_yield(), 0);
    }
    check_eq(ouro_await(f), SIZE);
    check_eq(memcmp(buf, sent, SIZE), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, exact_that_breaks_off_says_how_much_it_got)
{
    enum { SIZE = 300 * 1000 };
    static unsigned char buf[SIZE];
    int peer;
    ouro_stream *s = pair(&peer);
    check_eq(ouro_stream_got(s), 0);
    say(peer, "some");
    check_eq(ouro_await(ouro_timeout(ouro_stream_read_exact(s, buf, SIZE), OURO_MS(5))),
             -ETIMEDOUT);
    check_eq(ouro_stream_got(s), 4);
    check_eq(memcmp(buf, "some", 4), 0);
    ouro_future *f = ouro_stream_read_exact(s, buf, SIZE);
    settle_down();
    say(peer, "thing");
    settle_down();
    close(peer);
    check_eq(ouro_await(f), -ENODATA);
    check_eq(ouro_stream_got(s), 5);
    check_eq(memcmp(buf, "thing", 5), 0);
    ouro_stream_free(s);
    return 0;
}

/* ---- Up to a delimiter ----------------------------------------------------------------------- */

KernelTest(stream_read, until_takes_the_delimiter_and_no_more)
{
    int peer;
    char buf[32] = "";
    ouro_stream *s = pair(&peer);
    say(peer, "GET /\r\n\r\nrest");
    check_eq(ouro_await(ouro_stream_read_until(s, buf, sizeof buf, "\r\n\r\n", 4)), 9);
    check_eq(memcmp(buf, "GET /\r\n\r\n", 9), 0);
    check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 4);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, until_is_not_taken_in_by_half_a_delimiter)
{
    int peer;
    char buf[32] = "";
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_read_until(s, buf, sizeof buf, "aab", 3);
    const char *text = "aaxaaab!";
    for (const char *c = text; *c; c++) {
        check_eq(ouro_future_state(f), c - text < 7 ? OURO_PENDING : OURO_VALUE);
        say_bytes(peer, c, 1);
        settle_down();
    }
    check_eq(ouro_await(f), 7);
    check_eq(memcmp(buf, "aaxaaab", 7), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, until_finds_a_delimiter_that_spans_buffers)
{
    const ouro_stream_buffers small = {.count = 16, .size = 64, .share = 4};
    check_eq(ouro_stream_buffers_set(&small), 0);
    for (size_t before = 58; before <= 66; before++) {
        int peer;
        char text[80], buf[80];
        ouro_stream *s = pair(&peer);
        memset(text, '-', sizeof text);
        memcpy(text + before, "<end>", 5);
        say_bytes(peer, text, sizeof text);
        check_eq(ouro_await(ouro_stream_read_until(s, buf, sizeof buf, "<end>", 5)), before + 5);
        check_eq(memcmp(buf, text, before + 5), 0);
        check_eq(ouro_await(ouro_stream_read_exact(s, buf, 75 - before)), 75 - before);
        ouro_stream_free(s);
        close(peer);
    }
    return 0;
}

KernelTest(stream_read, until_without_a_delimiter_leaves_all_in_the_stream)
{
    int peer;
    char buf[16] = "";
    ouro_stream *s = pair(&peer);
    say(peer, "0123456789");
    check_eq(ouro_await(ouro_stream_read_until(s, buf, 8, ";", 1)), -EMSGSIZE);
    check_eq(buf[0], 0);
    say(peer, "ab;");
    check_eq(ouro_await(ouro_stream_read_until(s, buf, 12, ";", 1)), -EMSGSIZE);
    check_eq(ouro_await(ouro_stream_read_until(s, buf, 13, ";", 1)), 13);
    check_eq(memcmp(buf, "0123456789ab;", 13), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, until_fails_when_the_stream_holds_its_share_without_a_delimiter)
{
    const ouro_stream_buffers small = {.count = 16, .size = 64, .share = 4};
    check_eq(ouro_stream_buffers_set(&small), 0);
    int peer;
    static char text[1000], buf[1000];
    ouro_stream *s = pair(&peer);
    memset(text, 'x', sizeof text);
    say_bytes(peer, text, sizeof text);
    check_eq(ouro_await(ouro_stream_read_until(s, buf, sizeof buf, "\n", 1)), -EMSGSIZE);
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, sizeof buf)), sizeof buf);
    check_eq(memcmp(buf, text, sizeof buf), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, until_that_meets_the_end_leaves_what_came_before)
{
    int peer;
    char buf[16] = "";
    ouro_stream *s = pair(&peer);
    say(peer, "abc");
    close(peer);
    check_eq(ouro_await(ouro_stream_read_until(s, buf, 8, ";", 1)), -ENODATA);
    check_eq(ouro_await(ouro_stream_read(s, buf, 8)), 3);
    check_eq(ouro_await(ouro_stream_read(s, buf, 8)), 0);
    ouro_stream_free(s);
    return 0;
}

KernelTest(stream_read, a_timeout_between_two_pieces_of_a_line_loses_nothing)
{
    int peer;
    char buf[16] = "";
    ouro_stream *s = pair(&peer);
    say(peer, "first ");
    check_eq(ouro_await(ouro_timeout(ouro_stream_read_line(s, buf, 16), OURO_MS(5))), -ETIMEDOUT);
    say(peer, "half\n");
    check_eq(ouro_await(ouro_stream_read_line(s, buf, 16)), 11);
    check_text(buf, "first half\n");
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

KernelTest(stream_read, lines_come_one_by_one_and_the_last_may_have_no_newline)
{
    int peer;
    char buf[16];
    ouro_stream *s = pair(&peer);
    say(peer, "one\n\ntwo\nthree");
    close(peer);
    check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), 4);
    check_text(buf, "one\n");
    check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), 1);
    check_text(buf, "\n");
    check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), 4);
    check_text(buf, "two\n");
    check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), 5);
    check_text(buf, "three");
    check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), 0);
    check_text(buf, "");
    ouro_stream_free(s);
    return 0;
}

KernelTest(stream_read, a_line_fits_with_its_zero_or_stays)
{
    int peer;
    char buf[16];
    ouro_stream *s = pair(&peer);
    say(peer, "1234\n");
    check_eq(ouro_await(ouro_stream_read_line(s, buf, 5)), -EMSGSIZE);
    check_eq(ouro_await(ouro_stream_read_line(s, buf, 6)), 5);
    check_text(buf, "1234\n");
    say(peer, "12345");
    check_eq(ouro_await(ouro_stream_read_line(s, buf, 5)), -EMSGSIZE);
    close(peer);
    check_eq(ouro_await(ouro_stream_read_line(s, buf, 5)), -EMSGSIZE);
    check_eq(ouro_await(ouro_stream_read_line(s, buf, 6)), 5);
    ouro_stream_free(s);
    return 0;
}

KernelTest(stream_read, a_line_that_comes_byte_by_byte_is_a_line)
{
    int peer;
    char buf[512];
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_read_line(s, buf, sizeof buf);
    for (int i = 0; i < 300; i++) {
        say_bytes(peer, "x", 1);
        check_eq(ouro_await(ouro_sleep(OURO_US(20))), 0);
    }
    check_eq(ouro_future_state(f), OURO_PENDING);
    check(buffers().held <= 1);
    say(peer, "\n");
    check_eq(ouro_await(f), 301);
    check_eq(strspn(buf, "x"), 300);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- Without a copy -------------------------------------------------------------------------- */

KernelTest(stream_read, next_lends_what_has_come_and_takes_it_back)
{
    int peer;
    const void *bytes = NULL;
    ouro_stream *s = pair(&peer);
    say(peer, "hello");
    check_eq(ouro_await(ouro_stream_next(s, &bytes)), 5);
    check_eq(memcmp(bytes, "hello", 5), 0);
    check_eq(buffers().held, 1);
    say(peer, "again");
    settle_down();
    check_eq(memcmp(bytes, "hello", 5), 0);
    ouro_stream_done(s);
    check_eq(buffers().held, 0);
    check_eq(ouro_await(ouro_stream_next(s, &bytes)), 5);
    check_eq(memcmp(bytes, "again", 5), 0);
    close(peer);
    check_eq(ouro_await(ouro_stream_next(s, &bytes)), 0);
    check_eq(buffers().held, 0);
    ouro_stream_free(s);
    return 0;
}

KernelTest(stream_read, a_loan_ends_with_the_stream)
{
    int peer;
    const void *bytes = NULL;
    ouro_stream *s = pair(&peer);
    say(peer, "hello");
    check_eq(ouro_await(ouro_stream_next(s, &bytes)), 5);
    check_eq(ouro_await(ouro_stream_close(s)), 0);
    check_eq(buffers().held, 0);
    ouro_stream_done(s);
    ouro_stream_done(NULL);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, peek_leaves_what_it_shows)
{
    int peer;
    char buf[8] = "";
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_peek(s, buf, 4);
    say(peer, "ab");
    settle_down();
    check_eq(ouro_future_state(f), OURO_PENDING);
    say(peer, "cdef");
    check_eq(ouro_await(f), 4);
    check_text(buf, "abcd");
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 6)), 6);
    check_text(buf, "abcdef");
    say(peer, "g");
    close(peer);
    check_eq(ouro_await(ouro_stream_peek(s, buf, 4)), 1);
    check_eq(ouro_await(ouro_stream_peek(s, buf, 1 << 20)), -EMSGSIZE);
    check_eq(ouro_await(ouro_stream_read(s, buf, 4)), 1);
    check_eq(ouro_await(ouro_stream_peek(s, buf, 4)), 0);
    ouro_stream_free(s);
    return 0;
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* Bytes @from to @from + @n of a pattern. */
static bool is_pattern(const unsigned char *bytes, size_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != (unsigned char)((from + i) * 31 + (from + i) / 251))
            return false;
    return true;
}

struct sending {
    int fd;
    size_t size;
    size_t step;
};

static int64_t send_pattern(void *arg)
{
    struct sending *job = arg;
    unsigned char bytes[8192];
    for (size_t at = 0; at < job->size;) {
        size_t n = job->size - at < job->step ? job->size - at : job->step;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (unsigned char)((at + i) * 31 + (at + i) / 251);
        ssize_t sent = send(job->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += sent > 0 ? (size_t)sent : 0;
        if (sent < (ssize_t)n)
            ouro_await(ouro_sleep(OURO_US(100)));
        else
            ouro_yield();
    }
    close(job->fd);
    return 0;
}

/* Send in pieces of one size, read in pieces of another; nothing is lost, twice, or elsewhere. */
static void pass_through(ouro_stream *s, int peer, size_t all, size_t out, size_t in)
{
    unsigned char buf[20000];
    struct sending job = {peer, all, out};
    ouro_future *sender = ouro_spawn(send_pattern, &job);
    size_t at = 0;
    int64_t n;
    while ((n = ouro_await(ouro_stream_read(s, buf, in))) > 0) {
        check(is_pattern(buf, at, (size_t)n));
        at += (size_t)n;
    }
    check_eq(n, 0);
    check_eq(at, all);
    check_eq(stream_stats(s).bytes_in, all);
    check_eq(ouro_await(sender), 0);
    ouro_stream_free(s);
}

KernelTest(stream_read, bytes_come_in_order_whatever_the_pieces)
{
    static const size_t steps[] = {1, 63, 64, 65, 1000, 4096, 8192};
    static const size_t wants[] = {1, 100, 4096, 20000};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        for (size_t j = 0; j < sizeof wants / sizeof *wants; j++) {
            int peer;
            size_t all = steps[i] * 300 + 17;
            ouro_stream *s = (i + j) % 2 ? pair(&peer) : tcp_pair(&peer);
            pass_through(s, peer, all > 200000 ? 200000 : all, steps[i], wants[j]);
        }
    }
    return 0;
}

KernelTest(stream_read, a_pipe_is_read_too)
{
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int ends[2];
        char buf[16] = "";
        ouro_stream *s = NULL;
        check_eq(pipe2(ends, O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0)), 0);
        check_eq(ouro_stream_new(ends[0], NULL, &s), 0);
        ouro_future *f = ouro_stream_read_line(s, buf, sizeof buf);
        settle_down();
        check_eq(write(ends[1], "a li", 4), 4);
        settle_down();
        check_eq(ouro_future_state(f), OURO_PENDING);
        check_eq(write(ends[1], "ne\nand", 6), 6);
        check_eq(ouro_await(f), 7);
        check_text(buf, "a line\n");
        close(ends[1]);
        check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 3);
        check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 0);
        ouro_stream_free(s);
    }
    return 0;
}

KernelTest(stream_read, goes_on_behind_a_descriptor_that_was_passed)
{
    int peer;
    char control[CMSG_SPACE(sizeof(int))] = "", buf[64];
    struct iovec part = {(void *)(uintptr_t) "with", 4};
    struct msghdr msg = {.msg_iov = &part,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof control};
    ouro_stream *s = pair(&peer);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &peer, sizeof peer);
    ouro_future *f = ouro_stream_read_exact(s, buf, 15);
    settle_down();
    check_eq(sendmsg(peer, &msg, MSG_DONTWAIT), 4); /* one wakeup for all */
    say(peer, "without");
    check_eq(sendmsg(peer, &msg, MSG_DONTWAIT), 4);
    check_eq(ouro_await(f), 15);
    check_eq(memcmp(buf, "withwithoutwith", 15), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, goes_on_behind_urgent_data)
{
    int peer;
    char buf[64];
    ouro_stream *s = tcp_pair(&peer);
    ouro_future *f = ouro_stream_read_exact(s, buf, 6);
    settle_down();
    say(peer, "abc");
    check_eq(send(peer, "!", 1, MSG_OOB), 1);
    say(peer, "def");
    check_eq(ouro_await(f), 6);
    check_eq(memcmp(buf, "abcdef", 6), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(stream_read, a_terminal_is_read_too)
{
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        char buf[32];
        ouro_stream *s = NULL;
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        check(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        int fd = open(ptsname(master),
                      O_RDWR | O_NOCTTY | O_CLOEXEC | (nonblocking ? O_NONBLOCK : 0));
        check_eq(ouro_stream_new(fd, NULL, &s), 0);
        check_eq(ouro_await(ouro_timeout(ouro_stream_read(s, buf, 1), OURO_MS(5))), -ETIMEDOUT);
        ouro_future *f = ouro_stream_read_line(s, buf, sizeof buf);
        settle_down();
        check_eq(write(master, "typed\n", 6), 6);
        check_eq(ouro_await(f), 6);
        check_text(buf, "typed\n");
        ouro_stream_free(s);
        settle_down();
        close(master);
    }
    return 0;
}

KernelTest(stream_read, a_device_is_read_too)
{
    char buf[2000] = "x";
    ouro_stream *zero = NULL, *null = NULL;
    check_eq(ouro_stream_new(open("/dev/zero", O_RDONLY | O_CLOEXEC), NULL, &zero), 0);
    check_eq(ouro_stream_new(open("/dev/null", O_RDONLY | O_CLOEXEC), NULL, &null), 0);
    check_eq(ouro_await(ouro_stream_read_exact(zero, buf, sizeof buf)), sizeof buf);
    check_eq(buf[0], 0);
    check_eq(ouro_await(ouro_stream_read(null, buf, sizeof buf)), 0);
    ouro_stream_free(zero);
    ouro_stream_free(null);
    return 0;
}

/* ---- Not ahead ------------------------------------------------------------------------------- */

KernelTest(stream_read, without_reading_ahead_the_rest_stays_in_the_kernel)
{
    const ouro_stream_options opts = {.no_read_ahead = 1};
    int peer;
    char buf[32] = "";
    ouro_stream *s = pair_with(&peer, &opts);
    say(peer, "line\nexactsome;peeklent");
    check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), 5);
    check_text(buf, "line\n");
    check_eq(recv(ouro_stream_fd(s), buf, sizeof buf, MSG_PEEK), 18);
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 5)), 5);
    check_eq(recv(ouro_stream_fd(s), buf, sizeof buf, MSG_PEEK), 13);
    check_eq(ouro_await(ouro_stream_read_until(s, buf, sizeof buf, ";", 1)), 5);
    check_eq(recv(ouro_stream_fd(s), buf, sizeof buf, MSG_PEEK), 8);
    check_eq(ouro_await(ouro_stream_read(s, buf, 4)), 4);
    check_eq(memcmp(buf, "peek", 4), 0);
    check_eq(recv(ouro_stream_fd(s), buf, sizeof buf, MSG_PEEK), 4);
    check_eq(ouro_await(ouro_timeout(ouro_stream_read_exact(s, buf, 5), OURO_MS(5))), -ETIMEDOUT);
    check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 4);
    ouro_stream_free(s);
    close(peer);
    return 0;
}
