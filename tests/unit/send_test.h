/* SPDX-License-Identifier: MIT */
#ifndef SEND_TEST_H
#define SEND_TEST_H

/*
 * A stream that sends, and a peer that the test reads with plain recv(2).
 */

#include "descriptors.h"
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <ouro/stream.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the peers of these tests are. */
enum peer { UNIX_PEER, TCP_PEER };

static ouro_stream *out; /* of the running test, which is a process of its own */
static int peer;

/* `out` and `peer`; a small buffer has the kernel take only some KiB at a time. */
static inline void connect_out(enum peer kind, const ouro_stream_options *opts, bool small)
{
    int fds[2];
    int size = kind == TCP_PEER ? 128 * 1024 : 8192; /* a tiny window would be slow */
    if (kind == TCP_PEER) {
        tcp_ends(fds);
        setsockopt(fds[0], IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    } else {
        check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    }
    if (small) {
        setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    check_eq(ouro_stream_new(fds[0], opts, &out), 0);
    peer = fds[1];
}

static inline void close_peer(void)
{
    if (peer >= 0)
        close(peer);
    peer = -1;
}

static inline void disconnect(void)
{
    close_peer();
    out = ouro_stream_free(out);
}

/* The peer vanishes with a reset. */
static inline void reset_peer(void)
{
    struct linger none = {.l_onoff = 1};
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    close_peer();
}

/* Bytes that differ from place to place. */
static inline void fill(char *bytes, size_t size, size_t from)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)((from + i) * 2654435761u >> 24);
}

static inline char *pattern(size_t size)
{
    char *bytes = malloc(size + 1);
    check(bytes != NULL);
    fill(bytes, size, 0);
    return bytes;
}

/* What the peer has received and not read: all of it, now, or 0. */
static inline size_t take(void *buf, size_t size)
{
    size_t got = 0;
    ssize_t n;
    while (got < size && (n = recv(peer, (char *)buf + got, size - got, MSG_DONTWAIT)) > 0)
        got += (size_t)n;
    return got;
}

/* Read exactly so much, while the loop sends it. */
static inline void take_all(void *buf, size_t size)
{
    size_t got = 0;
    for (int i = 0; got < size && i < 20000; i++) {
        size_t n = take((char *)buf + got, size - got);
        got += n;
        if (n == 0)
            ouro_await(ouro_sleep(OURO_US(200)));
    }
    check_eq(got, size);
}

/* The peer reads these words and nothing more. */
static inline void check_peer_reads(const char *text)
{
    char got[256] = "";
    take_all(got, strlen(text));
    check_text(got, text);
    check_eq(take(got, sizeof(got)), 0);
}

static inline int64_t write_text(const char *text)
{
    return ouro_await(ouro_stream_write(out, text, strlen(text)));
}

/* Fill what the kernel takes, until a write has to wait. Returns that write, of @size bytes. */
static inline ouro_future *stuck_write(const char *bytes, size_t size)
{
    ouro_future *f = ouro_stream_write(out, bytes, size);
    for (int i = 0; i < 5; i++)
        ouro_await(ouro_sleep(OURO_MS(2)));
    check_eq(ouro_future_state(f), OURO_PENDING);
    return f;
}

#endif
