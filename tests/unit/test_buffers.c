/* SPDX-License-Identifier: MIT */
/*
 * Buffers that streams share: what one may hold, and how many get on with few.
 */
#define _GNU_SOURCE
#include "stream_test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/un.h>
#include <sys/wait.h>

TestSuite(buffers, .timeout = 60);

static void set(unsigned count, size_t size, unsigned share)
{
    const ouro_stream_buffers opts = {.count = count, .size = size, .share = share};
    check_eq(ouro_stream_buffers_set(&opts), 0);
}

/* ---- Options --------------------------------------------------------------------------------- */

KernelTest(buffers, are_made_when_the_first_stream_reads)
{
    int peer;
    char c;
    ouro_stream *s = pair(&peer);
    check_eq(buffers().count, 0);
    say(peer, "x");
    check_eq(ouro_await(ouro_stream_read(s, &c, 1)), 1);
    check_eq(buffers().count, 1024);
    check_eq(buffers().size, 65536);
    check_eq(buffers().held, 0);
    check_eq(ouro_stream_buffers_set(NULL), -EBUSY);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(buffers, are_as_they_were_chosen)
{
    const ouro_stream_buffers bad[] = {
        {.count = 32769}, {.size = 63}, {.size = (1 << 20) + 1}, {.share = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_eq(ouro_stream_buffers_set(&bad[i]), -EINVAL);
    set(100, 1000, 0);
    check_eq(buffers().count, 100);
    check_eq(buffers().size, 1024);
    set(2, 64, 2); /* as long as nobody uses them */
    check_eq(buffers().count, 2);
    check_eq(ouro_stream_buffers_get(NULL), -EINVAL);
    return 0;
}

Test(buffers, need_a_loop)
{
    ouro_stream_buffers_stats st;
    check_eq(ouro_stream_buffers_set(NULL), -EPERM);
    check_eq(ouro_stream_buffers_get(&st), -EPERM);
}

/* ---- Shares ---------------------------------------------------------------------------------- */

/* Send as much as the kernel takes. */
static size_t stuff(int peer)
{
    static char bytes[65536];
    size_t all = 0;
    ssize_t n;
    while ((n = send(peer, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        all += (size_t)n;
    return all;
}

KernelTest(buffers, a_slow_reader_holds_no_more_than_its_share)
{
    int slow_peer, peer;
    static char big[65536];
    char buf[64];
    set(64, 1024, 8);
    ouro_stream *slow = tcp_pair(&slow_peer);
    ouro_stream *s = pair(&peer);
    size_t all = stuff(slow_peer);
    for (int i = 0; i < 200; i++) {
        int64_t n = ouro_await(ouro_stream_read_line(slow, big, sizeof big));
        check_eq(n, -EMSGSIZE);
        check_eq(buffers().held, 8);
        check_eq(stream_stats(slow).unread, 8 * 1024);
        all += stuff(slow_peer);
        say(peer, "ping");
        check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 4);
    }
    shutdown(slow_peer, SHUT_WR);
    size_t got = 0;
    int64_t n;
    while ((n = ouro_await(ouro_stream_read(slow, big, sizeof big))) > 0)
        got += (size_t)n;
    check_eq(got, all);
    check_eq(buffers().held, 0);
    ouro_stream_free(slow);
    ouro_stream_free(s);
    close(slow_peer);
    close(peer);
    return 0;
}

KernelTest(buffers, a_stream_nobody_reads_from_holds_none_and_is_left_alone)
{
    int peer;
    char buf[1024];
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_read(s, buf, 1);
    settle_down();
    for (int i = 0; i < 200; i++) {
        say(peer, "abc");
        check_eq(ouro_await(ouro_sleep(OURO_US(20))), 0);
    }
    check_eq(ouro_await(f), 1);
    check_eq(stream_stats(s).paused, 1);
    check(buffers().held <= 1);
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 599)), 599);
    check_eq(ouro_await(ouro_timeout(ouro_stream_read(s, buf, 1), OURO_MS(5))), -ETIMEDOUT);
    say(peer, "!");
    check_eq(ouro_await(ouro_stream_read(s, buf, 1)), 1);
    check_eq(buf[0], '!');
    ouro_stream_free(s);
    close(peer);
    return 0;
}

KernelTest(buffers, small_arrivals_share_one)
{
    int peer;
    char buf[1024];
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_peek(s, buf, 600);
    for (int i = 0; i < 200; i++) {
        check_eq(ouro_future_state(f), OURO_PENDING);
        say(peer, "abc");
        settle_down();
        check_eq(buffers().held, 1);
    }
    check_eq(ouro_await(f), 600);
    check_eq(stream_stats(s).receives, 200);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- Few ------------------------------------------------------------------------------------- */

enum { MANY = 100, ROUNDS = 20 };

struct end {
    ouro_stream *s;
    int peer;
    size_t got;
};

static void check_bytes(struct end *e, const unsigned char *bytes, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        check_eq(bytes[i], (e->got + (size_t)i) % 251);
    e->got += (size_t)n;
}

static int64_t read_all(void *arg)
{
    struct end *e = arg;
    unsigned char buf[100];
    int64_t n;
    while ((n = ouro_await(ouro_stream_read(e->s, buf, 1 + e->got % sizeof buf))) > 0)
        check_bytes(e, buf, n);
    return n;
}

static int64_t borrow_all(void *arg)
{
    struct end *e = arg;
    const void *bytes;
    int64_t n;
    while ((n = ouro_await(ouro_stream_next(e->s, &bytes))) > 0) {
        if (e->got % 3 == 0)
            ouro_yield();
        check_bytes(e, bytes, n);
        ouro_stream_done(e->s);
    }
    return n;
}

/* Many streams on a few buffers: each gets all of its bytes. */
static void crowd(unsigned count, size_t size, size_t message, ouro_task_fn *reader)
{
    static struct end ends[MANY];
    ouro_future *readers[MANY];
    unsigned char bytes[1024];
    set(count, size, 2);
    for (int i = 0; i < MANY; i++) {
        ends[i] = (struct end){0};
        ends[i].s = pair(&ends[i].peer);
        readers[i] = ouro_spawn(reader, &ends[i]);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t j = 0; j < message; j++)
            bytes[j] = (unsigned char)((round * message + j) % 251);
        for (int i = 0; i < MANY; i++)
            say_bytes(ends[i].peer, bytes, message);
        check_eq(ouro_yield(), 0);
    }
    for (int i = 0; i < MANY; i++)
        close(ends[i].peer);
    for (int i = 0; i < MANY; i++) {
        check_eq(ouro_await(readers[i]), 0);
        check_eq(ends[i].got, ROUNDS * message);
        ouro_stream_free(ends[i].s);
    }
    check_eq(buffers().held, 0);
    check_eq(buffers().waiting, 0);
}

KernelTest(buffers, reads_that_bring_their_own_need_none)
{
    crowd(2, 64, 10, read_all);
    check_eq(buffers().parked, 0);
    return 0;
}

KernelTest(buffers, two_are_enough_for_many_that_take_turns)
{
    crowd(2, 64, 10, borrow_all);
    check(buffers().empty > 0 && buffers().parked > 0);
    check(buffers().woken >= buffers().parked);
    return 0;
}

KernelTest(buffers, four_are_enough_for_long_messages)
{
    crowd(4, 64, 1000, borrow_all);
    check(buffers().empty > 0 && buffers().parked > 0);
    return 0;
}

KernelTest(buffers, eight_are_enough_for_some_of_each)
{
    crowd(8, 256, 300, borrow_all);
    check(buffers().empty > 0 && buffers().parked > 0);
    return 0;
}

enum { CROWD = 10000, CROWD_ROUNDS = 4, CROWD_MESSAGE = 5000 };

/* So many connections to another process, which has the other ends: one alone may not have so many
 * descriptors. It sends so many rounds of messages, and then waits to be killed. */
struct crowd {
    pid_t peers;
    struct end *ends;
    ouro_future **readers;
};

static void play_the_peers(const struct sockaddr_un *addr, int rounds)
{
    static int fds[CROWD];
    static char bytes[CROWD_MESSAGE];
    for (int i = 0; i < CROWD; i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(fds[i], (const struct sockaddr *)addr, sizeof *addr) < 0)
            _exit(1);
    }
    for (int round = 0; round < rounds; round++) {
        memset(bytes, 'a' + round, sizeof bytes);
        for (int i = 0; i < CROWD; i++)
            if (write(fds[i], bytes, sizeof bytes) != sizeof bytes)
                _exit(1);
    }
    pause();
    _exit(0);
}

static struct crowd gather_crowd(int rounds)
{
    if (!may_open(CROWD + 100))
        cr_skip_test("no descriptors for %d connections", CROWD);
    struct crowd c = {.ends = malloc(CROWD * sizeof(struct end)),
                      .readers = malloc(CROWD * sizeof(ouro_future *))};
    memset(c.ends, 0, CROWD * sizeof *c.ends); /* our own pages are touched */
    memset(c.readers, 0, CROWD * sizeof *c.readers);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    snprintf(addr.sun_path + 1, sizeof addr.sun_path - 1, "ouro-crowd-%d", (int)getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_eq(bind(listener, (struct sockaddr *)&addr, sizeof addr), 0);
    check_eq(listen(listener, 100), 0);
    c.peers = fork();
    if (c.peers == 0)
        play_the_peers(&addr, rounds);
    check(c.peers > 0);
    for (int i = 0; i < CROWD; i++) {
        c.ends[i].peer = accept(listener, NULL, NULL);
        check(c.ends[i].peer >= 0);
    }
    close(listener);
    return c;
}

static void start_readers(struct crowd *c, ouro_task_fn *reader)
{
    for (int i = 0; i < CROWD; i++) {
        check_eq(ouro_stream_new(c->ends[i].peer, NULL, &c->ends[i].s), 0);
        c->readers[i] = ouro_spawn(reader, &c->ends[i]);
    }
}

static void disperse_crowd(struct crowd *c)
{
    for (int i = 0; i < CROWD; i++) {
        check_eq(ouro_await(c->readers[i]), 0);
        check_eq(ouro_await(ouro_stream_close(c->ends[i].s)), 0);
        ouro_stream_free(c->ends[i].s);
    }
    kill(c->peers, SIGKILL);
    check_eq(waitpid(c->peers, NULL, 0), c->peers);
    free(c->ends);
    free(c->readers);
}

static int64_t read_rounds(void *arg)
{
    struct end *e = arg;
    char buf[CROWD_MESSAGE];
    for (int i = 0; i < CROWD_ROUNDS; i++) {
        check_eq(ouro_await(ouro_stream_read_exact(e->s, buf, sizeof buf)), sizeof buf);
        check_eq(buf[0], 'a' + i);
        check_eq(buf[sizeof buf - 1], 'a' + i);
    }
    return 0;
}

KernelTest(buffers, ten_thousand_connections_get_on_with_1024)
{
    struct crowd c = gather_crowd(CROWD_ROUNDS);
    start_readers(&c, read_rounds);
    disperse_crowd(&c);
    check_eq(buffers().count, 1024);
    check_eq(buffers().held, 0);
    check_eq(buffers().waiting, 0);
    return 0;
}

KernelTest(buffers, beginnings_do_not_keep_each_other_from_the_rest)
{
    enum { HALVES = 3 };
    ouro_stream *s[HALVES];
    int peers[HALVES];
    char buf[HALVES][160], text[64];
    ouro_future *f[HALVES];
    set(HALVES, 64, HALVES);
    memset(text, 'x', sizeof text);
    for (int i = 0; i < HALVES; i++) {
        s[i] = pair(&peers[i]);
        say_bytes(peers[i], text, sizeof text);
        f[i] = ouro_stream_read_line(s[i], buf[i], sizeof buf[i]);
    }
    settle_down();
    check_eq(buffers().held, HALVES);
    for (int i = 0; i < HALVES; i++)
        say_bytes(peers[i], text, sizeof text);
    settle_down();
    check_eq(buffers().held, 2 * HALVES); /* half of them from the allocator */
    for (int i = 0; i < HALVES; i++) {
        say(peers[i], "\n");
        check_eq(ouro_await(f[i]), 129);
        check_eq(strspn(buf[i], "x"), 128);
        ouro_stream_free(s[i]);
        close(peers[i]);
    }
    check_eq(buffers().held, 0);
    return 0;
}

/* ---- Idle ------------------------------------------------------------------------------------ */

static int64_t wait_for_the_end(void *arg)
{
    struct end *e = arg;
    char buf[16];
    return ouro_await(ouro_stream_read(e->s, buf, sizeof buf));
}

static size_t resident(void)
{
    unsigned long all, pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    check_eq(fscanf(f, "%lu %lu", &all, &pages), 2);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

KernelTest(buffers, an_idle_connection_costs_no_more_than_6_kib)
{
    if (HARNESS_ASAN)
        cr_skip_test("a sanitizer has memory of its own");
    struct crowd c = gather_crowd(0);
    size_t before = resident();
    start_readers(&c, wait_for_the_end);
    settle_down();
    size_t each = (resident() - before) / CROWD;
    kill(c.peers, SIGKILL);
    disperse_crowd(&c);
    fprintf(stderr, "%zu bytes for an idle connection and its task\n", each);
    check(each <= 6 * 1024);
    return 0;
}

/* ---- In line --------------------------------------------------------------------------------- */

/* Two streams that hold all there is. */
static void hog(ouro_stream *s[2], int peer[2])
{
    char buf[128];
    for (int i = 0; i < 2; i++) {
        s[i] = pair(&peer[i]);
        stuff(peer[i]);
        check_eq(ouro_await(ouro_stream_peek(s[i], buf, sizeof buf)), sizeof buf);
    }
    check_eq(buffers().held, 4);
}

KernelTest(buffers, streams_are_called_in_the_order_they_came)
{
    ouro_stream *hogs[2], *s[3];
    int hog_peers[2], peers[3];
    char buf[3][8];
    const void *bytes;
    ouro_future *f[3];
    set(4, 64, 2);
    hog(hogs, hog_peers);
    for (int i = 0; i < 3; i++) {
        s[i] = pair(&peers[i]);
        say(peers[i], "waits");
        f[i] = ouro_stream_read_line(s[i], buf[i], sizeof buf[i]);
        settle_down();
    }
    check_eq(buffers().waiting, 3);
    for (int i = 0; i < 3; i++)
        check_eq(ouro_future_state(f[i]), OURO_PENDING);
    check_eq(ouro_cancel(f[1]), 1); /* leaves the line */
    check_eq(ouro_future_state(f[1]), OURO_CANCELLED);
    ouro_unref(f[1]);
    check_eq(buffers().waiting, 2);
    check_eq(ouro_await(ouro_stream_next(hogs[0], &bytes)), 64);
    check_eq(buffers().waiting, 2);
    ouro_stream_done(hogs[0]); /* one comes back */
    settle_down();
    check_eq(buffers().waiting, 1);
    say(peers[0], "\n");
    settle_down();
    check_eq(ouro_future_state(f[0]), OURO_VALUE);
    check_eq(ouro_await(f[0]), 6);
    check_eq(buffers().waiting, 0); /* which gave the next its turn */
    say(peers[2], "\n");
    check_eq(ouro_await(f[2]), 6);
    for (int i = 0; i < 3; i++) {
        ouro_stream_free(s[i]);
        close(peers[i]);
    }
    for (int i = 0; i < 2; i++) {
        ouro_stream_free(hogs[i]);
        close(hog_peers[i]);
    }
    settle_down();
    check_eq(buffers().held, 0);
    return 0;
}

KernelTest(buffers, nobody_gets_in_ahead_of_the_line)
{
    ouro_stream *hogs[2], *s[2];
    int hog_peers[2], peers[2];
    char buf[2][8];
    const void *bytes;
    set(4, 64, 2);
    hog(hogs, hog_peers);
    for (int i = 0; i < 2; i++) {
        s[i] = pair(&peers[i]);
        say(peers[i], "line\n");
    }
    check_eq(ouro_await(ouro_stream_next(hogs[0], &bytes)), 64);
    ouro_future *first = ouro_stream_read_line(s[0], buf[0], sizeof buf[0]);
    ouro_stream_done(hogs[0]); /* for the first, whose turn is in the next pass */
    ouro_future *second = ouro_stream_read_line(s[1], buf[1], sizeof buf[1]);
    check_eq(ouro_future_state(second), OURO_PENDING);
    check_eq(ouro_await(second), 5);
    check_eq(ouro_future_state(first), OURO_VALUE);
    check_eq(ouro_await(first), 5);
    for (int i = 0; i < 2; i++) {
        ouro_stream_free(s[i]);
        close(peers[i]);
        ouro_stream_free(hogs[i]);
        close(hog_peers[i]);
    }
    return 0;
}

KernelTest(buffers, a_stream_in_line_can_be_closed)
{
    ouro_stream *hogs[2];
    int hog_peers[2], peer;
    char buf[8];
    set(4, 64, 2);
    hog(hogs, hog_peers);
    ouro_stream *s = pair(&peer);
    say(peer, "x");
    ouro_future *f = ouro_stream_read_line(s, buf, sizeof buf);
    settle_down();
    check_eq(buffers().waiting, 1);
    check_eq(ouro_await(ouro_stream_close(s)), 0);
    check_eq(ouro_await(f), -EBADF);
    check_eq(buffers().waiting, 0);
    ouro_stream_free(s);
    for (int i = 0; i < 2; i++) {
        ouro_stream_free(hogs[i]);
        close(hog_peers[i]);
    }
    close(peer);
    return 0;
}

/* It has taken nothing, so the next read finds it all, when there is a buffer again. */
KernelTest(buffers, a_wait_in_line_can_be_cancelled_and_bounded)
{
    ouro_stream *hogs[2];
    int hog_peers[2], peer;
    char buf[8];
    set(4, 64, 2);
    hog(hogs, hog_peers);
    ouro_stream *s = pair(&peer);
    say(peer, "x\n");
    ouro_future *f = ouro_stream_read_line(s, buf, sizeof buf);
    settle_down();
    check_eq(buffers().waiting, 1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    ouro_unref(f);
    check_eq(ouro_await(ouro_timeout(ouro_stream_read_line(s, buf, sizeof buf), OURO_MS(2))),
             -ETIMEDOUT);
    for (int i = 0; i < 2; i++) {
        ouro_stream_free(hogs[i]);
        close(hog_peers[i]);
    }
    check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), 2);
    check_eq(buffers().waiting, 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}
