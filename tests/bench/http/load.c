/* SPDX-License-Identifier: MIT */

/*
 * A load with a constant rate, which wrk lacks: requests are due at even distances, whether or not
 * the server keeps up.
 *
 * A request that is due goes out on a connection that is free; if none is, it waits for one. Its
 * latency counts from when it was due, so that a server which stops for a moment pays for all
 * requests that fell into it, not for one a connection.
 *
 * Whatever fails ends the program with a message and status 1; an answer other than 200 does, too.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"

#define CONNECTIONS 1000u
#define WARM_UP     300000000u /* ns */
#define ANSWER_MAX  4096u
#define EVENTS      256
#define SECOND      1000000000u

struct connection {
    int fd;
    uint64_t due; /* of the request that is under way */
    size_t size;  /* of the answer, so far */
    char answer[ANSWER_MAX];
    struct connection *next; /* free ones */
};

static struct connection connections[CONNECTIONS], *unused;
static struct latencies latencies;
static char request[512];
static size_t request_size;

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not what was expected");
    exit(1);
}

static uint64_t now(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0)
        fail("clock_gettime");
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* ---- A connection ---------------------------------------------------------------------------- */

static void release(struct connection *c)
{
    c->next = unused;
    unused = c;
}

static void open_connection(struct connection *c, int port, int epoll)
{
    struct sockaddr_in peer = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(c->fd, (struct sockaddr *)&peer, sizeof peer) != 0 ||
        fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
        fail("connect");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        fail("epoll_ctl");
    release(c);
}

static void ask(uint64_t due)
{
    struct connection *c = unused;
    unused = c->next;
    c->due = due;
    c->size = 0;
    if (send(c->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size)
        fail("send");
}

/* Whether all of the answer is there. */
static int is_whole(const struct connection *c)
{
    const char *body = strstr(c->answer, "\r\n\r\n");
    if (!body)
        return 0;
    const char *length = strcasestr(c->answer, "\r\ncontent-length:");
    errno = 0;
    if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0 || !length || length > body)
        fail(c->answer);
    size_t size = (size_t)(body + 4 - c->answer) + strtoul(length + 17, NULL, 10);
    if (c->size > size || size >= ANSWER_MAX)
        fail("the size of an answer");
    return c->size == size;
}

static void receive(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->size, ANSWER_MAX - 1 - c->size, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    errno = n == 0 ? ECONNRESET : errno;
    if (n <= 0)
        fail("recv");
    c->size += (size_t)n;
    c->answer[c->size] = '\0';
    if (!is_whole(c))
        return;
    latency_add(&latencies, now(CLOCK_MONOTONIC) - c->due);
    release(c);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static void wait_until(int epoll, uint64_t time)
{
    struct epoll_event events[EVENTS];
    uint64_t left = now(CLOCK_MONOTONIC);
    left = left < time ? time - left : 0;
    struct timespec limit = {(time_t)(left / SECOND), (long)(left % SECOND)};
    int n = epoll_pwait2(epoll, events, EVENTS, &limit, NULL);
    if (n < 0)
        fail("epoll_pwait2");
    for (int i = 0; i < n; i++)
        receive(events[i].data.ptr);
}

static void ask_until(int epoll, uint64_t start, uint64_t end, double interval)
{
    uint64_t asked = 0, due = start, time;
    while ((time = now(CLOCK_MONOTONIC)) < end) {
        while (due <= time && unused) {
            ask(due);
            due = start + (uint64_t)((double)++asked * interval);
        }
        /* Without a free connection, the next answer is what to wait for. */
        wait_until(epoll, unused && due < end ? due : end);
    }
}

/* Warm up, then measure and print the figures of race.h. */
static void measure(int epoll, double interval, uint64_t length, pid_t server)
{
    clockid_t clock;
    if (clock_getcpuclockid(server, &clock) != 0)
        fail("the server's clock");
    uint64_t start = now(CLOCK_MONOTONIC);
    ask_until(epoll, start, start + WARM_UP, interval);
    memset(&latencies, 0, sizeof latencies);
    uint64_t cpu = now(clock);
    start = now(CLOCK_MONOTONIC);
    ask_until(epoll, start, start + length, interval);
    cpu = now(clock) - cpu;
    double took = (double)(now(CLOCK_MONOTONIC) - start), count = (double)latencies.count;
    errno = 0;
    if (latencies.count == 0)
        fail("no answer came");
    printf("%.0f %.1f %.1f %.1f %.1f %.1f %.3f\n", count / took * SECOND,
           latency_quantile(&latencies, 0.5), latency_quantile(&latencies, 0.9),
           latency_quantile(&latencies, 0.99), latency_quantile(&latencies, 0.999),
           (double)cpu / count, (double)cpu / took);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: load PORT PATH REQUESTS-PER-SECOND MS SERVER-PID\n");
        return 2;
    }
    double rate = strtod(argv[3], NULL);
    request_size = (size_t)snprintf(request, sizeof request,
                                    "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", argv[2]);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || rate <= 0 || request_size >= sizeof request)
        fail("what was asked for");
    prctl(PR_SET_TIMERSLACK, 1);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        open_connection(&connections[i], atoi(argv[1]), epoll);
    measure(epoll, SECOND / rate, (uint64_t)atol(argv[4]) * 1000000u, (pid_t)atoi(argv[5]));
    return 0;
}
