/* SPDX-License-Identifier: MIT */
#ifndef OURO_SERVER_TEST_H
#define OURO_SERVER_TEST_H

/*
 * What the tests of listeners and servers share: something that listens, and clients that are plain
 * descriptors.
 */

#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static inline ouro_listener *listen_with(const char *where, ouro_listener_options opts)
{
    ouro_listener *l = NULL;
    check_eq(ouro_listen(where, &opts, &l), 0);
    check(l != NULL);
    return l;
}

static inline ouro_listener *listen_at(const char *where)
{
    return listen_with(where, (ouro_listener_options){0});
}

static inline ouro_listener *listen_here(void)
{
    return listen_at("127.0.0.1:0");
}

static inline ouro_listener_stats listener_stats(const ouro_listener *l)
{
    ouro_listener_stats s;
    check_eq(ouro_listener_stats_get(l, &s), 0);
    return s;
}

static inline ouro_address address_of(const ouro_listener *l)
{
    ouro_address a;
    check_eq(ouro_listener_address(l, &a), 0);
    return a;
}

/* A client of whatever listens at @a, for which there is room in its queue; -errno if there is
 * nobody. */
static inline int try_dial(const ouro_address *a)
{
    int fd = socket(a->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    if (connect(fd, &a->as.any, a->size) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

static inline int dial(const ouro_listener *l)
{
    ouro_address a = address_of(l);
    int fd = try_dial(&a);
    check(fd >= 0);
    return fd;
}

/* Whether @fd has been closed or reset at the other end. */
static inline bool is_hung_up(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

static inline void nap(ouro_ns delay)
{
    check_eq(ouro_await(ouro_sleep(delay)), 0);
}

/* The stream that an accept comes to. */
static inline ouro_stream *take_stream(ouro_future *f)
{
    int64_t n = -1;
    ouro_stream *s = ouro_await_ptr(f, &n);
    check_eq(n, 0);
    check(s != NULL);
    return s;
}

static inline ouro_stream *accept_now(ouro_listener *l)
{
    return take_stream(ouro_listener_accept(l));
}

/* Whether @s is the other end of @client, by their addresses. */
static inline bool are_connected(const ouro_stream *s, int client)
{
    ouro_address peer, own;
    check_eq(ouro_stream_peer(s, &peer), 0);
    check_eq(ouro_sockopt_address(client, &own), 0);
    return ouro_address_compare(&peer, &own) == 0;
}

/* It must be; then both are closed. */
static inline void expect_stream(ouro_stream *s, int client)
{
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
}

static inline unsigned open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;
    check(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

#endif
