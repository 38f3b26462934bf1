/* SPDX-License-Identifier: MIT */
/*
 * Servers of several workers whose restarts fail, and which are told to stop while one is under
 * way.
 *
 * A round is one ouro_serve_workers(). Threads with plain sockets connect and are answered, all the
 * time; another asks for restarts as fast as it can, with programs that exit at once, cannot be
 * started, or never get ready; in the end it sends SIGTERM, in the middle of that.
 *
 * Invariants: who was connected is answered, whatever comes of the restarts; every request is told
 * of; every round ends by its signal, and leaves no descriptor behind. A hang is a fault too.
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
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro/ouro.h>
#include <ouro/restart.h>

#include "descriptors.h"
#include "stress.h"

enum { WORKERS = 3, CROWD = 2, ROUNDS = 6, RESTARTS = STORM_STEPS(40, 10) };

struct storm {
    ouro_address address;
    pthread_t crowd[CROWD];
    pthread_t asker;
    atomic_bool stops; /* it has been told to */
    atomic_long answers;
    atomic_long told; /* of restarts that have failed */
    atomic_long refused;
};

static int64_t answer(ouro_stream *s, void *arg)
{
    char byte;
    int64_t n = ouro_await(ouro_stream_read(s, &byte, 1));
    (void)arg;
    return n > 0 ? ouro_await(ouro_stream_write(s, &byte, 1)) : n;
}

/* ---- Those who come -------------------------------------------------------------------------- */

/* One connection. False: nobody listens, or not any more for this one. */
static bool call(struct storm *storm)
{
    const struct timeval patience = {.tv_sec = 30};
    char byte = 'x';
    int fd = socket(storm->address.as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    bool answered = connect(fd, &storm->address.as.any, storm->address.size) == 0 &&
                    send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
    must(answered || storm->stops);
    storm->answers += answered;
    close(fd);
    return answered;
}

static void *make_calls(void *arg)
{
    while (call(arg))
        continue;
    return NULL;
}

static void *ask_for_restarts(void *arg)
{
    struct storm *storm = arg;
    for (long i = 1; i <= RESTARTS; i++) {
        must(kill(getpid(), SIGUSR2) == 0);
        if (i % 4 == 0)
            must(kill(getpid(), SIGUSR2) == 0); /* refused, or the same signal */
        for (int tries = 0; storm->told < i; tries++) {
            must(tries < 60000);
            usleep(1000);
        }
    }
    must(kill(getpid(), SIGUSR2) == 0);
    usleep((useconds_t)(RESTARTS * storm->answers % 3000));
    storm->stops = true;
    must(kill(getpid(), SIGTERM) == 0);
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
    must(pthread_create(&storm->asker, NULL, ask_for_restarts, storm) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void note_restart(int64_t result, const char *why, void *arg)
{
    struct storm *storm = arg;
    must(result < 0 && why);
    if (result == -EALREADY)
        storm->refused++;
    else
        storm->told++;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static void weather(unsigned round)
{
    static const char *const programs[][4] = {
        {"false", NULL}, {"/nowhere", NULL}, {"sleep", "1000", NULL}};
    static struct storm storm;
    memset(&storm, 0, sizeof storm);
    ouro_serve_workers_options opts = {
        .serve.grace = OURO_SEC(20),
        .restart_signal = SIGUSR2,
        .restart = {.argv = programs[round % 3], .limit = round % 3 == 2 ? OURO_MS(5) : 0},
        .on_listening = start_crowd,
        .on_restart = note_restart,
    };
    const char *where = round % 2 ? "unix:@ouro-restarts" : "127.0.0.1:0";
    int fds = open_fds();
    int64_t rc = ouro_serve_workers(WORKERS, where, answer, &storm, &opts);
    for (int i = 0; i < CROWD; i++)
        must(pthread_join(storm.crowd[i], NULL) == 0);
    must(pthread_join(storm.asker, NULL) == 0);
    must(rc == 0);
    while (waitpid(-1, NULL, 0) > 0)
        continue; /* one that was told to end, and not waited for */
    must(open_fds() == fds);
    must(storm.answers > 0);
    printf("%-20s %-8s %5ld answers, %3ld restarts failed, %2ld refused\n", where,
           programs[round % 3][0], storm.answers, storm.told, storm.refused);
}

int main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++)
        weather(round);
    return 0;
}
