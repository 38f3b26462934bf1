/* SPDX-License-Identifier: MIT */

/*
 * The echo benchmark's load: one thread that keeps every connection of a server full.
 *
 * The loop is closed: a connection has DEPTH messages under way, and each that is back sends one
 * more. What comes back is compared with what was sent while warming up, and taken as right after
 * that. Times are taken once a receive, so a message's latency is from the send that carried it to
 * the receive that completed it.
 *
 * Whatever fails ends the program with a message and status 1.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"

#define WARM_UP   50000000u /* ns */
#define RECV_SIZE (256u * 1024)
#define EVENTS    512

struct connection {
    int fd;
    size_t sent;       /* offset in the stream of messages, modulo a message */
    size_t unsent;     /* bytes that the socket had no room for */
    size_t received;   /* of the message that is coming back */
    unsigned oldest;   /* of the send times */
    unsigned newest;   /* where the next goes */
    uint64_t *sent_at; /* of each message under way */
};

static struct {
    unsigned connections;
    size_t size;
    unsigned depth;
    uint64_t length; /* ns */
    pid_t server;
} load;

static char *messages; /* enough of them, one after the other, for any send */
static char received[RECV_SIZE];
static struct latencies latencies;
static int checking = 1;

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
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- One connection -------------------------------------------------------------------------- */

static void transmit(struct connection *c)
{
    while (c->unsent) {
        ssize_t n = send(c->fd, messages + c->sent, c->unsent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            fail("send");
        c->unsent -= (size_t)n;
        c->sent = (c->sent + (size_t)n) % load.size;
    }
}

static void send_messages(struct connection *c, unsigned n, uint64_t time)
{
    for (unsigned i = 0; i < n; i++) {
        c->sent_at[c->newest] = time;
        c->newest = c->newest + 1 == load.depth ? 0 : c->newest + 1;
    }
    c->unsent += n * load.size;
    transmit(c);
}

/* Count the messages that are back, now that @n bytes more are. */
static unsigned take(struct connection *c, size_t n, uint64_t time)
{
    size_t bytes = c->received + n;
    unsigned whole = (unsigned)(bytes / load.size);
    c->received = bytes % load.size;
    for (unsigned i = 0; i < whole; i++) {
        latency_add(&latencies, time - c->sent_at[c->oldest]);
        c->oldest = c->oldest + 1 == load.depth ? 0 : c->oldest + 1;
    }
    return whole;
}

static void receive(struct connection *c)
{
    ssize_t n = recv(c->fd, received, sizeof received, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    errno = n == 0 ? ECONNRESET : errno;
    if (n <= 0)
        fail("recv");
    if (checking && ((size_t)n > load.size * load.depth ||
                     memcmp(received, messages + c->received, (size_t)n) != 0)) {
        errno = 0;
        fail("echo");
    }
    uint64_t time = now(CLOCK_MONOTONIC);
    unsigned whole = take(c, (size_t)n, time);
    if (whole)
        send_messages(c, whole, time);
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* The address of "tcp:PORT" at 127.0.0.1 or of "unix:NAME", an abstract one. Its length. */
static socklen_t parse_address(const char *text, struct sockaddr_storage *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (strncmp(text, "tcp:", 4) == 0) {
        struct sockaddr_in *in = (struct sockaddr_in *)ret_address;
        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        in->sin_port = htons((uint16_t)atoi(text + 4));
        return sizeof *in;
    }
    struct sockaddr_un *un = (struct sockaddr_un *)ret_address;
    un->sun_family = AF_UNIX;
    snprintf(un->sun_path + 1, sizeof un->sun_path - 1, "%s", text + strlen("unix:"));
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(un->sun_path + 1));
}

static void open_connection(struct connection *c, const char *address, int epoll)
{
    struct sockaddr_storage peer;
    socklen_t length = parse_address(address, &peer);
    c->fd = socket(peer.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer.ss_family == AF_INET) {
        setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    }
    if (connect(c->fd, (struct sockaddr *)&peer, length) != 0)
        fail("connect");
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        fail("epoll_ctl");
    c->sent_at = calloc(load.depth, sizeof *c->sent_at);
    if (!c->sent_at)
        fail("calloc");
}

static void serve_until(int epoll, uint64_t end)
{
    struct epoll_event events[EVENTS];
    while (now(CLOCK_MONOTONIC) < end) {
        int n = epoll_wait(epoll, events, EVENTS, 2000);
        if (n <= 0)
            fail(n == 0 ? "server is silent" : "epoll_wait");
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                transmit(c);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(c);
        }
    }
}

static void make_messages(void)
{
    size_t bytes = load.size * (load.depth + 2u);
    messages = malloc(bytes);
    if (!messages)
        fail("malloc");
    for (size_t i = 0; i < bytes; i++)
        messages[i] = (char)(i % load.size * 7 % 251);
}

/* Wait for the first answer, which the server may still have to start for, warm up, then measure and
 * print the figures of race.h. */
static void measure(int epoll)
{
    clockid_t server_clock;
    if (clock_getcpuclockid(load.server, &server_clock) != 0)
        fail("the server's clock");
    serve_until(epoll, now(CLOCK_MONOTONIC) + 1);
    serve_until(epoll, now(CLOCK_MONOTONIC) + WARM_UP);
    checking = 0;
    memset(&latencies, 0, sizeof latencies);
    uint64_t cpu = now(server_clock), start = now(CLOCK_MONOTONIC);
    serve_until(epoll, start + load.length);
    cpu = now(server_clock) - cpu;
    double seconds = (double)(now(CLOCK_MONOTONIC) - start) / 1e9;
    if (latencies.count == 0)
        fail("no message came back");
    printf("%.0f %.1f %.1f %.1f %.1f %.1f %.3f\n", (double)latencies.count / seconds,
           latency_quantile(&latencies, 0.5), latency_quantile(&latencies, 0.9),
           latency_quantile(&latencies, 0.99), latency_quantile(&latencies, 0.999),
           (double)cpu / (double)latencies.count, (double)cpu / 1e9 / seconds);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: load tcp:PORT|unix:NAME CONNECTIONS SIZE DEPTH MS SERVER-PID\n");
        return 2;
    }
    load.connections = (unsigned)atoi(argv[2]);
    load.size = (size_t)atol(argv[3]);
    load.depth = (unsigned)atoi(argv[4]);
    load.length = (uint64_t)atol(argv[5]) * 1000000u;
    load.server = (pid_t)atoi(argv[6]);
    make_messages();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection *connections = calloc(load.connections, sizeof *connections);
    if (!connections)
        fail("calloc");
    for (unsigned i = 0; i < load.connections; i++)
        open_connection(&connections[i], argv[1], epoll);
    for (unsigned i = 0; i < load.connections; i++) {
        if (fcntl(connections[i].fd, F_SETFL, O_NONBLOCK) != 0)
            fail("fcntl");
        send_messages(&connections[i], load.depth, now(CLOCK_MONOTONIC));
    }
    measure(epoll);
    return 0;
}
