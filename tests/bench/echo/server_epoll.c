/* SPDX-License-Identifier: MIT */

/*
 * An echo server on epoll, edge-triggered: a rival of the echo benchmark.
 *
 * All connections share one large buffer that stays in the cache: what is received is sent at once,
 * and only what the socket has no room for is kept, in a buffer that the connection then gets. It
 * is not read from until that has gone.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

#define EVENTS 512

struct connection {
    int fd;
    char *kept; /* what could not be sent yet */
    size_t kept_from;
    size_t kept_to;
};

static char buffer[64 * 1024];

static void end(struct connection *c)
{
    close(c->fd);
    free(c->kept);
    free(c);
}

static void keep(struct connection *c, const char *bytes, size_t n)
{
    if (!c->kept && !(c->kept = malloc(sizeof buffer)))
        server_fail("malloc");
    memcpy(c->kept, bytes, n);
    c->kept_from = 0;
    c->kept_to = n;
}

/* Send what is kept. 1: all is gone; 0: not yet; -1: the connection has ended. */
static int send_kept(struct connection *c)
{
    while (c->kept_from < c->kept_to) {
        ssize_t n = send(c->fd, c->kept + c->kept_from, c->kept_to - c->kept_from, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->kept_from += (size_t)n;
    }
    return 1;
}

/* Receive and send until there is no more, or no room. -1: the connection has ended. */
static int echo(struct connection *c)
{
    for (;;) {
        ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? 0 : -1;
        ssize_t sent = send(c->fd, buffer, (size_t)n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return -1;
        if (sent < n) {
            keep(c, buffer + (sent < 0 ? 0 : sent), (size_t)(n - (sent < 0 ? 0 : sent)));
            return 0;
        }
        if ((size_t)n < sizeof buffer) /* all there was: the next bytes are a new edge */
            return 0;
    }
}

static void serve(struct connection *c)
{
    int rc = send_kept(c);
    if (rc > 0)
        rc = echo(c);
    if (rc < 0)
        end(c);
}

static void accept_all(int epoll)
{
    for (int fd; (fd = accept4(SERVER_LISTENER, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            server_fail("calloc");
        c->fd = fd;
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = c};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            server_fail("epoll_ctl");
    }
}

int main(void)
{
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN}};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    server_listener_nonblocking();
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, SERVER_LISTENER, &events[0]) != 0)
        server_fail("epoll_ctl");
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr);
            else
                accept_all(epoll);
        }
    }
}
