/* SPDX-License-Identifier: MIT */
/*
 * Servers of several workers under clients that come in crowds and leave as they like, until a
 * signal ends them in the middle of it.
 *
 * A round is one ouro_serve_workers(), at a port of its own or at a unix socket. Threads with plain
 * sockets connect, send a little or nothing, wait for the echo or do not, hang up in good order or
 * by a reset, and go on until nobody listens any more. Handlers echo, fail, or linger. Every other
 * round has a limit of connections; the grace is long, short or none.
 *
 * Invariants: nobody who was connected is left without an answer or an end; the counts add up;
 * every round ends by its signal, and leaves no descriptor behind. A hang is a fault too.
 *
 * Exits with 0, or prints what went wrong and exits with 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <ouro/ouro.h>

#include "descriptors.h"
#include "stress.h"

enum { WORKERS = 3, CROWD = 3, ROUNDS = 12, CALLS = 300 };

struct storm {
    ouro_address address;
    pthread_t crowd[CROWD];
    uint64_t seeds[CROWD];
    atomic_long calls; /* connections that clients have made */
    atomic_long echoes;
    atomic_long begun; /* handlers */
    atomic_long ended;
    atomic_long failed;
};

static atomic_int thread_count;

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static unsigned pick(uint64_t *seed, unsigned n)
{
    return (unsigned)(next(seed) >> 20) % n;
}

/* ---- The server ------------------------------------------------------------------------------ */

/* The first byte says what is wanted: 'e' an echo, 'f' a failure, 'l' to linger. */
static int64_t handle(ouro_stream *s, void *arg)
{
    struct storm *storm = arg;
    char buf[512];
    int64_t n;
    atomic_fetch_add(&storm->begun, 1);
    while ((n = ouro_await(ouro_stream_read(s, buf, sizeof buf))) > 0) {
        if (buf[0] == 'f')
            n = -EPROTO;
        else if (buf[0] == 'l')
            n = ouro_await(ouro_sleep(OURO_MS(3)));
        else
            n = ouro_await(ouro_stream_write(s, buf, (size_t)n));
        if (n < 0)
            break;
    }
    atomic_fetch_add(&storm->ended, 1);
    return n;
}

static void note_failure(ouro_future *task, int64_t error, void *arg)
{
    struct storm *storm = arg;
    must(error < 0);
    must(strncmp(ouro_task_name(task), "connection ", 11) == 0);
    atomic_fetch_add(&storm->failed, 1);
}

/* ---- The clients ----------------------------------------------------------------------------- */

static void hang_up(int fd, uint64_t *seed)
{
    const struct linger none = {.l_onoff = 1};
    if (pick(seed, 3) == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(fd);
}

/* One connection. False: nobody listens. */
static bool call(struct storm *storm, uint64_t *seed)
{
    static const char wishes[] = "eeefl";
    char bytes[128];
    const struct timeval patience = {.tv_sec = 30};
    int fd = socket(storm->address.as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    if (connect(fd, &storm->address.as.any, storm->address.size) < 0) {
        must(errno == ECONNREFUSED || errno == ENOENT || errno == ECONNRESET);
        close(fd);
        return false;
    }
    atomic_fetch_add(&storm->calls, 1);
    memset(bytes, wishes[pick(seed, 5)], sizeof bytes);
    if (pick(seed, 4) > 0 && send(fd, bytes, 1 + pick(seed, 128), MSG_NOSIGNAL) > 0 &&
        bytes[0] != 'l' && pick(seed, 4) > 0) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0); /* or its end, but not nothing for ever */
        must(n >= 0 || errno != EAGAIN);
        if (n > 0)
            atomic_fetch_add(&storm->echoes, 1);
    }
    hang_up(fd, seed);
    return true;
}

static void *make_calls(void *arg)
{
    struct storm *storm = arg;
    uint64_t *seed = &storm->seeds[atomic_fetch_add(&thread_count, 1) % CROWD];
    for (int i = 0; call(storm, seed); i++)
        if (i == CALLS && seed == &storm->seeds[0])
            kill(getpid(), SIGTERM);
    return NULL;
}

static void start_crowd(const ouro_address *address, void *arg)
{
    struct storm *storm = arg;
    sigset_t all, before;
    storm->address = *address;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    for (int i = 0; i < CROWD; i++)
        must(pthread_create(&storm->crowd[i], NULL, make_calls, storm) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static void weather(unsigned round)
{
    static const ouro_ns graces[] = {OURO_SEC(20), OURO_MS(2), 1};
    static struct storm storm;
    memset(&storm, 0, sizeof storm);
    for (unsigned i = 0; i < CROWD; i++)
        storm.seeds[i] = (round + 1) * 7919 + i * 104729 + 1;
    ouro_server_stats stats;
    ouro_serve_workers_options opts = {
        .serve = {.limit = round % 2 ? 4 : 0, .grace = graces[round % 3], .on_error = note_failure},
        .on_listening = start_crowd,
        .ret_stats = &stats,
    };
    const char *where = round % 4 == 3 ? "unix:@ouro-server-storm" : "127.0.0.1:0";
    int fds = open_fds();
    int64_t rc = ouro_serve_workers(WORKERS, where, handle, &storm, &opts);
    for (int i = 0; i < CROWD; i++)
        must(pthread_join(storm.crowd[i], NULL) == 0);
    must(rc == 0);
    must(open_fds() == fds);
    must(storm.begun == storm.ended);
    must((uint64_t)storm.begun <= stats.accepted); /* some were cancelled before they began */
    must((uint64_t)storm.failed == stats.errors);
    must((long)stats.accepted <= storm.calls);
    must(stats.live == 0);
    must(opts.serve.limit == 0 || stats.peak <= WORKERS * opts.serve.limit);
    printf("%-22s %5ld calls, %5llu served, %5ld echoes, %4llu errors, %2llu cut off, peak %lld\n",
           where, storm.calls, (unsigned long long)stats.accepted, storm.echoes,
           (unsigned long long)stats.errors, (unsigned long long)stats.cancelled,
           (long long)stats.peak);
}

int main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++)
        weather(round);
    return 0;
}
