/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_ECHO_SERVER_H
#define OURO_BENCH_ECHO_SERVER_H

/*
 * What the echo servers in C share: the listening socket is theirs from the start, as a descriptor
 * with a fixed number. Accepted sockets have its options: TCP_NODELAY and the congestion control.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_LISTENER 3

_Noreturn static inline void server_fail(const char *what)
{
    fprintf(stderr, "echo server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static inline void server_listener_nonblocking(void)
{
    if (fcntl(SERVER_LISTENER, F_SETFL, O_NONBLOCK) != 0)
        server_fail("fcntl");
}

#endif
