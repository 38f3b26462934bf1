/* SPDX-License-Identifier: MIT */
/*
 * Everything that sends, at random: what the peer has received in the end is what the calls say
 * they have sent, in their order, and nothing else.
 */
#define _GNU_SOURCE
#include "send_test.h"

#include "send_int.h"

#include <fcntl.h>

TestSuite(storm, .timeout = 100);

enum { CALLS = 60, MOST = 40000 };

struct call {
    char *bytes;
    size_t size;
    ouro_future *f; /* NULL: it was put */
    struct iovec parts[5];
    bool ended;
    int64_t rc;
};

static struct call calls[CALLS];
static char received[CALLS * MOST], expected[CALLS * MOST];
static size_t got;
static unsigned seed;
static int file;

static unsigned dice(unsigned sides)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % sides;
}

static void vector(struct call *c)
{
    size_t at = 0;
    for (int i = 0; i < 5; i++) {
        size_t some = i == 4 ? c->size - at : dice((unsigned)(c->size - at) + 1);
        c->parts[i] = (struct iovec){c->bytes + at, some};
        at += some;
    }
    c->f = ouro_stream_writev(out, c->parts, 5);
}

static void begin(int i)
{
    struct call *c = &calls[i];
    size_t most = dice(3) == 0 ? MOST : 300;
    *c = (struct call){.size = dice((unsigned)most)};
    c->bytes = malloc(c->size + 1);
    memset(c->bytes, 1 + i, c->size);
    switch (dice(5)) {
    case 0:
        c->ended = true;
        c->rc = ouro_stream_put(out, c->bytes, c->size);
        if (c->rc == 0)
            c->rc = (int64_t)c->size;
        return;
    case 1:
        vector(c);
        return;
    case 2:
        check_eq(pwrite(file, c->bytes, c->size, (off_t)i * MOST), c->size);
        c->f = ouro_stream_send_file(out, file, (uint64_t)i * MOST, c->size);
        return;
    default:
        c->f = ouro_stream_write(out, c->bytes, c->size);
    }
}

static void reap(int n)
{
    for (int i = 0; i < n; i++) {
        struct call *c = &calls[i];
        if (c->ended || ouro_future_state(c->f) == OURO_PENDING)
            continue;
        c->rc = ouro_future_result(c->f).n;
        c->ended = true;
        ouro_unref(c->f);
        memset(c->bytes, 0, c->size); /* what is sent later, shows */
    }
}

static bool all_ended(void)
{
    for (int i = 0; i < CALLS; i++)
        if (!calls[i].ended)
            return false;
    return true;
}

static void receive(void)
{
    got += take(received + got, dice(20000));
}

static void check_what_came(void)
{
    size_t want = 0;
    int64_t written = ouro_stream_written(out);
    for (int i = 0; i < CALLS; i++) {
        struct call *c = &calls[i];
        check(c->rc >= 0 || c->rc == -ECANCELED || c->rc == -EPIPE || c->rc == -EAGAIN);
        size_t some = c->rc >= 0 ? c->size : 0;
        if (c->rc == -ECANCELED && written > 0 && want < got && received[want] == 1 + i)
            some = (size_t)written;
        memset(expected + want, 1 + i, some);
        want += some;
    }
    if (written == 0 || want <= got)
        check_eq(got, want);
    check_eq(memcmp(received, expected, got), 0);
}

static void one_round(bool without_copy)
{
    got = 0;
    connect_out(without_copy || dice(2) ? TCP_PEER : UNIX_PEER,
                &(ouro_stream_options){.zero_copy = without_copy ? 10000 : 0}, true);
    if (without_copy)
        out->out.zero_copy = OURO__ZERO_COPY_FORCED;
    for (int i = 0; i < CALLS; i++) {
        begin(i);
        struct call *any = &calls[dice((unsigned)i + 1)];
        if (dice(4) == 0 && !any->ended)
            ouro_cancel(any->f);
        if (dice(3) == 0)
            receive();
        if (dice(3) == 0)
            ouro_yield();
        reap(i + 1);
    }
    for (int turns = 0; !all_ended() && turns < 20000; turns++) {
        receive();
        ouro_await(ouro_sleep(OURO_US(100)));
        reap(CALLS);
    }
    check(all_ended());
    ouro_await(ouro_stream_flush(out));
    for (int quiet = 0; quiet < 3;) {
        size_t before = got;
        receive();
        quiet = got == before ? quiet + 1 : 0;
        ouro_await(ouro_sleep(OURO_US(100)));
    }
    check_what_came();
    disconnect();
    for (int i = 0; i < CALLS; i++)
        free(calls[i].bytes);
}

static void rounds(int n, bool without_copy)
{
    file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    check(file >= 0);
    for (int i = 0; i < n; i++) {
        seed = (unsigned)i;
        one_round(without_copy);
    }
    close(file);
}

KernelTest(storm, what_calls_say_they_sent_is_what_the_peer_received)
{
    rounds(300, false);
    return 0;
}

KernelTest(storm, without_copies_too)
{
    rounds(60, true);
    return 0;
}
