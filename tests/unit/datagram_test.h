/* SPDX-License-Identifier: MIT */
#ifndef OURO_DATAGRAM_TEST_H
#define OURO_DATAGRAM_TEST_H

/*
 * What tests of messages share: sockets on the loopback, and a look at what has come.
 */

#include "descriptors.h"
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static inline ouro_datagram *open_udp(const char *local, const char *remote,
                                      const ouro_datagram_options *opts)
{
    ouro_datagram *d = NULL;
    check_eq(ouro_udp_open(local, remote, opts, &d), 0);
    return d;
}

static inline ouro_address address_of(const ouro_datagram *d)
{
    ouro_address a;
    check_eq(ouro_sockopt_address(ouro_datagram_fd(d), &a), 0);
    return a;
}

/* A socket that receives on any port of @host, and one that is connected to it. */
struct two {
    ouro_datagram *to;
    ouro_datagram *from;
    ouro_address address; /* of `to` */
};

static inline struct two open_two_at(const char *local, const ouro_datagram_options *opts)
{
    struct two t = {.to = open_udp(local, NULL, opts)};
    t.address = address_of(t.to);
    check_eq(ouro_datagram_open(NULL, &t.address, opts, &t.from), 0);
    return t;
}

static inline struct two open_two(const ouro_datagram_options *opts)
{
    return open_two_at("127.0.0.1:0", opts);
}

static inline void free_two(struct two *t)
{
    check_eq(ouro_await(ouro_datagram_close(t->to)), 0);
    check_eq(ouro_await(ouro_datagram_close(t->from)), 0);
    ouro_datagram_free(t->to);
    ouro_datagram_free(t->from);
}

/* A pair of connected Unix sockets. */
static inline struct two open_pair(int type, const ouro_datagram_options *opts)
{
    struct two t = {0};
    int fds[2];
    check_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
    check_eq(ouro_datagram_new(fds[0], opts, &t.to), 0);
    check_eq(ouro_datagram_new(fds[1], opts, &t.from), 0);
    return t;
}

static inline void send_text(ouro_datagram *d, const char *text)
{
    check_eq(ouro_await(ouro_datagram_send(d, text, strlen(text))), strlen(text));
}

/* The next message must be @text. */
static inline void expect(ouro_datagram *d, const char *text)
{
    char buf[256];
    int64_t n = ouro_await(
        ouro_timeout(ouro_datagram_receive(d, buf, sizeof buf - 1, NULL), OURO_SEC(10)));
    check(n >= 0);
    buf[n < 0 ? 0 : n] = '\0';
    check_text(buf, text);
}

static inline ouro_datagram_stats stats_of(const ouro_datagram *d)
{
    ouro_datagram_stats s;
    check_eq(ouro_datagram_stats_get(d, &s), 0);
    return s;
}

/* Messages that a task waits for, to be looked at while it does. */
static inline int64_t task_receive(void *d)
{
    char buf[64];
    return ouro_await(ouro_datagram_receive(d, buf, sizeof buf, NULL));
}

#endif
