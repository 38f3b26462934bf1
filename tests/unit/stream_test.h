/* SPDX-License-Identifier: MIT */
#ifndef OURO_STREAM_TEST_H
#define OURO_STREAM_TEST_H

/*
 * What the tests of streams share: a stream, and the other end as a plain descriptor that never
 * blocks.
 */

#include "descriptors.h"
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A stream of one end of a pair of Unix sockets; the other is the test's. */
static inline ouro_stream *pair_with(int *ret_peer, const ouro_stream_options *opts)
{
    int ends[2];
    ouro_stream *s = NULL;
    check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    check_eq(ouro_stream_new(ends[0], opts, &s), 0);
    *ret_peer = ends[1];
    return s;
}

static inline ouro_stream *pair(int *ret_peer)
{
    return pair_with(ret_peer, NULL);
}

/* The same over TCP, by the loopback device. */
static inline ouro_stream *tcp_pair(int *ret_peer)
{
    const int yes = 1;
    int ends[2];
    ouro_stream *s = NULL;
    tcp_ends(ends);
    check_eq(setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), 0);
    check_eq(ouro_stream_new(ends[1], NULL, &s), 0);
    *ret_peer = ends[0];
    return s;
}

/* Have the peer send, which must be possible at once. */
static inline void say_bytes(int peer, const void *bytes, size_t n)
{
    check_eq(send(peer, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL), n);
}

static inline void say(int peer, const char *text)
{
    say_bytes(peer, text, strlen(text));
}

/* Let what was sent arrive. */
static inline void settle_down(void)
{
    check_eq(ouro_await(ouro_sleep(OURO_MS(2))), 0);
}

/* Have @fd broken off by a reset. */
static inline void reset(int fd)
{
    const struct linger none = {.l_onoff = 1};
    check_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(fd);
}

static inline ouro_stream_buffers_stats buffers(void)
{
    ouro_stream_buffers_stats st;
    check_eq(ouro_stream_buffers_get(&st), 0);
    return st;
}

static inline ouro_stream_stats stream_stats(const ouro_stream *s)
{
    ouro_stream_stats st;
    check_eq(ouro_stream_stats_get(s, &st), 0);
    return st;
}

#endif
