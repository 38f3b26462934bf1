/* SPDX-License-Identifier: MIT */
/*
 * A storm of reads: many streams on few buffers, read in every way, limited, closed and abandoned
 * at random, while their peers send in pieces of any size.
 *
 * A round is a loop with a number of buffers of its own, and streams of every kind. What a peer
 * sends is a function of the place in the stream, so that each byte that is read is known. Readers
 * hold what they borrow for a while, which lets the others run out of buffers; now and then a
 * stream is closed under its reader, or the loop is shut down under all.
 *
 * Invariants: what is read is what was sent, each byte once and in order, whatever was cancelled in
 * between; a stream ends when all of it was read; every buffer is back at the end. A hang is a
 * fault too: peers always send all they have.
 *
 * Kernel only, and the seed gives the choices, not the run.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ouro/ouro.h>

#include "storm.h"

enum { LINES = 24, MOST = 20000, PIECE = 4000 };

/* One stream and its peer. */
struct line {
    ouro_stream *s;
    int peer;
    uint64_t key;
    size_t size;
    size_t sent;
    size_t got;
    bool closed; /* by us, early */
};

static struct line lines[LINES];
static uint64_t rounds, bytes_read, failures, waits_for_buffers;

/* Newlines are frequent enough for lines. */
static unsigned char byte_at(uint64_t key, uint64_t i)
{
    uint64_t x = (i + key) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
    return (x >> 40) % 40 ? (unsigned char)(x >> 56) : '\n';
}

/* ---- Sending --------------------------------------------------------------------------------- */

static bool pause_a_moment(void)
{
    return (pick(2) ? ouro_yield() : ouro_await(ouro_sleep(pick(OURO_US(100))))) == 0;
}

static int64_t send_all(void *arg)
{
    struct line *l = arg;
    unsigned char piece[PIECE];
    while (l->sent < l->size) {
        size_t n = 1 + pick(pick(4) ? 40 : PIECE);
        if (n > l->size - l->sent)
            n = l->size - l->sent;
        for (size_t i = 0; i < n; i++)
            piece[i] = byte_at(l->key, l->sent + i);
        ssize_t sent = write(l->peer, piece, n);
        if (sent < 0 && errno != EAGAIN)
            break; /* closed; the reader knows whether that was to be */
        l->sent += sent > 0 ? (size_t)sent : 0;
        if ((sent < (ssize_t)n || pick(3) == 0) && !pause_a_moment())
            break;
    }
    close(l->peer);
    return 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void check_bytes(const struct line *l, const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        must(bytes[i] == byte_at(l->key, l->got + i));
}

static void took(struct line *l, const unsigned char *bytes, size_t n)
{
    check_bytes(l, bytes, n);
    l->got += n;
    bytes_read += n;
    must(l->got <= l->sent);
}

static int64_t await_within_limits(ouro_future *f)
{
    return ouro_await(pick(3) ? f : ouro_timeout(f, pick(OURO_US(300))));
}

static int64_t read_some(struct line *l)
{
    unsigned char buf[PIECE];
    int64_t n = await_within_limits(ouro_stream_read(l->s, buf, 1 + pick(pick(2) ? 60 : PIECE)));
    if (n > 0)
        took(l, buf, (size_t)n);
    return n;
}

static int64_t read_exact(struct line *l)
{
    unsigned char buf[PIECE];
    size_t size = 1 + pick(pick(2) ? 60 : PIECE);
    int64_t n = await_within_limits(ouro_stream_read_exact(l->s, buf, size));
    must(n < 0 || n == (int64_t)size);
    took(l, buf, (size_t)(n < 0 ? ouro_stream_got(l->s) : n));
    return n;
}

static int64_t read_until(struct line *l)
{
    unsigned char buf[PIECE];
    unsigned char delimiter[2] = {byte_at(l->key, l->got + pick(100)), (unsigned char)pick(256)};
    size_t n = 1 + pick(2);
    int64_t rc = await_within_limits(
        ouro_stream_read_until(l->s, buf, 2 + pick(PIECE - 2), delimiter, n));
    if (rc > 0) {
        took(l, buf, (size_t)rc);
        must(memmem(buf, (size_t)rc, delimiter, n) == buf + rc - n);
    }
    return rc;
}

static int64_t read_line(struct line *l)
{
    char buf[PIECE];
    int64_t n = await_within_limits(ouro_stream_read_line(l->s, buf, 2 + pick(PIECE - 2)));
    if (n > 0) {
        must(buf[n] == 0);
        took(l, (unsigned char *)buf, (size_t)n);
        const char *end = memchr(buf, '\n', (size_t)n);
        must(end == buf + n - 1 || (!end && l->got == l->sent));
    }
    return n;
}

static int64_t borrow(struct line *l)
{
    const void *bytes;
    int64_t n = await_within_limits(ouro_stream_next(l->s, &bytes));
    if (n > 0) {
        if (pick(4) == 0)
            pause_a_moment();
        if (!l->closed)
            took(l, bytes, (size_t)n);
        if (pick(2))
            ouro_stream_done(l->s);
    }
    return n;
}

static int64_t look(struct line *l)
{
    unsigned char buf[PIECE];
    int64_t n = await_within_limits(ouro_stream_peek(l->s, buf, 1 + pick(200)));
    if (n > 0)
        check_bytes(l, buf, (size_t)n);
    return n;
}

static int64_t read_once(struct line *l)
{
    static int64_t (*const ways[])(struct line *) = {read_some, read_exact, read_until,
                                                     read_line, borrow,     look};
    steps++;
    return ways[pick(sizeof ways / sizeof *ways)](l);
}

static int64_t read_all(void *arg)
{
    struct line *l = arg;
    int64_t n;
    do {
        n = read_once(l);
        failures += n < 0;
        if (n == -EMSGSIZE || n == -ENODATA)
            n = read_some(l);
        must(n >= 0 || n == -ETIMEDOUT || n == -EMSGSIZE || n == -ENODATA || n == -ECANCELED ||
             (n == -EBADF && l->closed));
        if (n > 0 && pick(20) == 0)
            pause_a_moment();
        if (pick(1000) == 0) {
            l->closed = true;
            ouro_detach(ouro_stream_close(l->s));
        }
    } while (n != 0 && n != -EBADF && n != -ECANCELED);
    if (n == 0)
        must(l->closed || (l->got == l->sent && l->sent == l->size) || ouro_cancel_reason());
    ouro_stream_free(l->s);
    return 0;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static void tcp_pair(int ends[2])
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof addr;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(listener, (struct sockaddr *)&addr, size) == 0 && listen(listener, 1) == 0);
    must(getsockname(listener, (struct sockaddr *)&addr, &size) == 0);
    ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(connect(ends[1], (struct sockaddr *)&addr, size) == 0);
    ends[0] = accept(listener, NULL, NULL);
    close(listener);
    must(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
}

static void open_line(struct line *l)
{
    const ouro_stream_options opts = {.no_read_ahead = pick(4) == 0};
    int ends[2];
    switch (pick(4)) {
    case 0:
        must(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        break;
    case 1:
        tcp_pair(ends);
        break;
    default:
        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    }
    *l = (struct line){.peer = ends[1], .key = pick(UINT32_MAX), .size = pick(MOST)};
    must(ouro_stream_new(ends[0], &opts, &l->s) == 0);
}

static int64_t make_round(void *arg)
{
    bool *cut_short = arg;
    ouro_future *f[2 * LINES];
    const ouro_stream_buffers buffers = {.count = 2 + (unsigned)pick(20),
                                         .size = (size_t)64 << pick(6)};
    must(ouro_stream_buffers_set(&buffers) == 0);
    for (int i = 0; i < LINES; i++) {
        open_line(&lines[i]);
        f[2 * i] = ouro_spawn(send_all, &lines[i]);
        f[2 * i + 1] = ouro_spawn(read_all, &lines[i]);
    }
    for (int i = 0; i < 2 * LINES; i++) {
        if (*cut_short)
            ouro_detach(f[i]);
        else
            must(ouro_await(f[i]) == 0);
    }
    if (*cut_short)
        ouro_await(ouro_sleep(OURO_MS(1)));
    return 0;
}

static void run_round(void)
{
    ouro_loop *loop;
    ouro_loop_stats s;
    ouro_stream_buffers_stats b;
    bool cut_short = pick(4) == 0;
    must(ouro_loop_new(NULL, &loop) == 0);
    must(ouro_loop_run_until(loop, ouro_spawn(make_round, &cut_short)) == 0);
    must(ouro_loop_shutdown(loop, OURO_SEC(10)) == 0);
    must(ouro_loop_stats_get(loop, &s) == 0);
    must(s.live_futures == 0 && s.live_tasks == 0 && s.live_timers == 0 && s.live_stacks == 0);
    must(ouro_stream_buffers_get(&b) == 0);
    must(b.held == 0 && b.waiting == 0);
    waits_for_buffers += b.parked;
    must(ouro_loop_close(loop) == 0);
    rounds++;
}

static void run(bool on_fake)
{
    if (on_fake)
        return;
    state = seed;
    while (steps < goal)
        run_round();
    printf("kernel, seed %llu: %llu reads, %llu failed, %llu rounds, %llu bytes, %llu waits for "
           "buffers\n",
           (unsigned long long)seed, (unsigned long long)steps, (unsigned long long)failures,
           (unsigned long long)rounds, (unsigned long long)bytes_read,
           (unsigned long long)waits_for_buffers);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    return storm_main(argc, argv, STORM_STEPS(200000, 20000), run);
}
