/* SPDX-License-Identifier: MIT */
/*
 * From one stream to another: everything arrives, ends are passed on, errors and cancels end it.
 */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

TestSuite(relay, .timeout = 60);

#define MANY ((size_t)64 << 20)
#define SLAB ((size_t)128 << 10)

/* Client and server, and between them the two streams of a proxy. */
struct chain {
    ouro_stream *client;
    ouro_stream *a;
    ouro_stream *b;
    ouro_stream *server;
};

static void make_pair(ouro_stream **ret_left, ouro_stream **ret_right)
{
    int fds[2];
    check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    check_eq(ouro_stream_new(fds[0], NULL, ret_left), 0);
    check_eq(ouro_stream_new(fds[1], NULL, ret_right), 0);
}

static void make_chain(struct chain *c)
{
    make_pair(&c->client, &c->a);
    make_pair(&c->b, &c->server);
}

static void free_chain(struct chain *c)
{
    ouro_stream_free(c->client);
    ouro_stream_free(c->a);
    ouro_stream_free(c->b);
    ouro_stream_free(c->server);
}

/* ---- A lot, both ways at once ---------------------------------------------------------------- */

/* One end of one direction: what is sent is a sequence that a seed decides, so that every byte can
 * be checked where it arrives. */
struct flow {
    ouro_stream *stream;
    uint64_t seed;
    size_t size;
};

static uint64_t step(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static int64_t send_flow(void *arg)
{
    struct flow flow = *(struct flow *)arg;
    uint64_t *slab = malloc(SLAB);
    int64_t rc = 0;
    for (size_t sent = 0; rc >= 0 && sent < flow.size; sent += SLAB) {
        for (size_t i = 0; i < SLAB / sizeof(*slab); i++)
            slab[i] = step(&flow.seed);
        rc = ouro_await(ouro_stream_write(flow.stream, slab, SLAB));
    }
    free(slab);
    check(rc > 0);
    return ouro_await(ouro_stream_shutdown(flow.stream, SHUT_WR));
}

static int64_t receive_flow(void *arg)
{
    struct flow flow = *(struct flow *)arg;
    uint64_t *slab = malloc(SLAB);
    uint64_t wrong = 0;
    int64_t rc = 0;
    for (size_t got = 0; rc >= 0 && got < flow.size; got += SLAB) {
        rc = ouro_await(ouro_stream_read_exact(flow.stream, slab, SLAB));
        for (size_t i = 0; rc > 0 && i < SLAB / sizeof(*slab); i++)
            wrong += slab[i] != step(&flow.seed);
    }
    char more;
    if (rc >= 0)
        rc = ouro_await(ouro_stream_read(flow.stream, &more, 1));
    free(slab);
    check_eq(wrong, 0);
    return rc;
}

KernelTest(relay, carries_64_mib_both_ways_at_once)
{
    struct chain c;
    make_chain(&c);
    struct flow there = {c.client, 11, MANY}, arrives = {c.server, 11, MANY};
    struct flow back = {c.server, 77, MANY}, returns = {c.client, 77, MANY};
    ouro_future *all[] = {
        ouro_stream_relay(c.a, c.b),        ouro_spawn(send_flow, &there),
        ouro_spawn(receive_flow, &arrives), ouro_spawn(send_flow, &back),
        ouro_spawn(receive_flow, &returns),
    };
    check_eq(ouro_await(ouro_gather(all, 5, OURO_GATHER_ALL, NULL)), 0);
    ouro_stream_stats stats;
    check_eq(ouro_stream_stats_get(c.a, &stats), 0);
    check_eq(stats.bytes_in, MANY);
    check_eq(stats.bytes_out, MANY);
    free_chain(&c);
    return 0;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

KernelTest(relay, the_end_of_one_side_is_passed_on_while_the_other_goes_on)
{
    struct chain c;
    char buf[16];
    make_chain(&c);
    ouro_future *relay = ouro_stream_relay(c.a, c.b);
    check_eq(ouro_await(ouro_stream_write(c.client, "ask", 3)), 3);
    check_eq(ouro_await(ouro_stream_shutdown(c.client, SHUT_WR)), 0);
    check_eq(ouro_await(ouro_stream_read_exact(c.server, buf, 3)), 3);
    check_eq(ouro_await(ouro_stream_read(c.server, buf, sizeof(buf))), 0);
    check_eq(ouro_await(ouro_stream_write(c.server, "answer", 6)), 6);
    check_eq(ouro_await(ouro_stream_read_exact(c.client, buf, 6)), 6);
    check_eq(memcmp(buf, "answer", 6), 0);
    check_eq(ouro_future_state(relay), OURO_PENDING);
    check_eq(ouro_await(ouro_stream_shutdown(c.server, SHUT_WR)), 0);
    check_eq(ouro_await(relay), 0);
    check_eq(ouro_await(ouro_stream_read(c.client, buf, sizeof(buf))), 0);
    free_chain(&c);
    return 0;
}

KernelTest(relay, a_copy_tells_how_much_it_wrote_and_leaves_the_other_side_open)
{
    struct chain c;
    char buf[16];
    make_chain(&c);
    ouro_future *copy = ouro_stream_copy(c.a, c.b);
    check_eq(ouro_await(ouro_stream_write(c.client, "twelve bytes", 12)), 12);
    check_eq(ouro_await(ouro_stream_shutdown(c.client, SHUT_WR)), 0);
    check_eq(ouro_await(copy), 12);
    check_eq(ouro_await(ouro_stream_write(c.b, ", more", 6)), 6);
    check_eq(ouro_await(ouro_stream_read_exact(c.server, buf, 16)), 16);
    check_eq(memcmp(buf, "twelve bytes, mo", 16), 0);
    free_chain(&c);
    return 0;
}

KernelTest(relay, a_cancelled_copy_leaves_both_streams_usable)
{
    struct chain c;
    char buf[16];
    make_chain(&c);
    ouro_future *copy = ouro_stream_copy(c.a, c.b);
    ouro_await(ouro_sleep(OURO_MS(1)));
    check_eq(ouro_cancel(copy), 1);
    ouro_await(ouro_sleep(OURO_MS(1)));
    check_eq(ouro_future_state(copy), OURO_CANCELLED);
    ouro_unref(copy);
    check_eq(ouro_await(ouro_stream_write(c.client, "later", 5)), 5);
    check_eq(ouro_await(ouro_stream_read_exact(c.a, buf, 5)), 5);
    check_eq(ouro_await(ouro_stream_write(c.b, buf, 5)), 5);
    check_eq(ouro_await(ouro_stream_read_exact(c.server, buf, 5)), 5);
    free_chain(&c);
    return 0;
}

KernelTest(relay, a_side_that_breaks_ends_the_other_direction)
{
    struct chain c;
    make_chain(&c);
    ouro_future *relay = ouro_stream_relay(c.a, c.b);
    c.server = ouro_stream_free(c.server);
    ouro_await(ouro_sleep(OURO_MS(1)));
    /* The end of the server was passed on; what the client says after it has nowhere to go. */
    check_eq(ouro_await(ouro_stream_write(c.client, "hello?", 6)), 6);
    check_eq(ouro_await(relay), -EPIPE);
    free_chain(&c);
    return 0;
}

KernelTest(relay, closing_a_stream_ends_it)
{
    struct chain c;
    make_chain(&c);
    ouro_future *relay = ouro_stream_relay(c.a, c.b);
    ouro_await(ouro_sleep(OURO_MS(1)));
    check_eq(ouro_await(ouro_stream_close(c.a)), 0);
    check_eq(ouro_await(relay), -EBADF);
    free_chain(&c);
    return 0;
}

/* What another stream receives goes to the next buffer that is free. */
static void receive_over(char c, size_t n)
{
    ouro_stream *left, *right;
    char *bytes = malloc(n);
    const void *seen;
    memset(bytes, c, n);
    make_pair(&left, &right);
    ouro_future *write = ouro_stream_write(left, bytes, n);
    check(ouro_await(ouro_stream_next(right, &seen)) > 0);
    check_eq(*(const char *)seen, c);
    ouro_stream_free(right);
    ouro_await(write);
    ouro_stream_free(left);
    free(bytes);
}

KernelTest(relay, a_piece_on_its_way_stays_what_it_is_when_its_source_is_closed)
{
    enum { PIECE = 60000, FULL = 1 << 20 };
    struct chain c;
    char *bytes = calloc(1, FULL), got;
    make_chain(&c);
    ouro_future *full = ouro_stream_write(c.b, bytes, FULL); /* more than the kernel takes */
    ouro_future *copy = ouro_stream_copy(c.a, c.b);
    char *piece = malloc(PIECE);
    memset(piece, 'a', PIECE);
    check_eq(ouro_await(ouro_stream_write(c.client, piece, PIECE)), PIECE);
    ouro_await(ouro_sleep(OURO_MS(5)));
    check_eq(ouro_await(ouro_stream_close(c.a)), 0);
    receive_over('z', PIECE);
    check_eq(ouro_await(ouro_stream_read_exact(c.server, bytes, FULL)), FULL);
    check_eq(ouro_await(full), FULL);
    check_eq(ouro_await(ouro_stream_read(c.server, &got, 1)), 1);
    check_eq(got, 'a');
    check_eq(ouro_await(copy), -EBADF);
    free_chain(&c);
    free(bytes);
    free(piece);
    return 0;
}

KernelTest(relay, refuses_what_makes_no_sense)
{
    struct chain c;
    make_chain(&c);
    check_eq(ouro_await(ouro_stream_copy(NULL, c.a)), -EINVAL);
    check_eq(ouro_await(ouro_stream_copy(c.a, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_stream_copy(c.a, c.a)), -EINVAL);
    check_eq(ouro_await(ouro_stream_relay(c.a, NULL)), -EINVAL);
    free_chain(&c);
    return 0;
}
