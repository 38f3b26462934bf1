/* SPDX-License-Identifier: MIT */

/*
 * The adaptive look at the ring before a sleep, on and off: what a round trip of one connection
 * gains by it, and what processor time it takes from a loop that is idle.
 *
 * The other end of the connection is a thread on another processor that blocks in read(2) and sends
 * back what it got. Each round is a loop of its own, so that each learns its waits anew.
 */

#define _GNU_SOURCE 1

#include <liburing.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ouro/uring.h>

#include "bench.h"

#define TRIPS   3000u
#define MESSAGE 64u
#define IDLE    OURO_MS(200)

/* ---- Round trips ----------------------------------------------------------------------------- */

struct trips {
    int fd;
    double took[TRIPS]; /* us */
    double cpu_us;      /* of the loop's thread, for each trip */
};

static void *echo(void *arg)
{
    int fd = *(const int *)arg;
    char buf[MESSAGE];
    bench_pin(bench_other_cpu());
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;)
        if (write(fd, buf, (size_t)n) != n)
            break;
    return NULL;
}

static void one_trip(int fd)
{
    char buf[MESSAGE] = "";
    struct io_uring_sqe sqe;
    memset(&sqe, 0, sizeof sqe);
    io_uring_prep_send(&sqe, fd, buf, sizeof buf, 0);
    bench_check(ouro_await(ouro_uring_op(&sqe, NULL)), "send");
    memset(&sqe, 0, sizeof sqe);
    io_uring_prep_recv(&sqe, fd, buf, sizeof buf, 0);
    bench_check(ouro_await(ouro_uring_op(&sqe, NULL)), "recv");
}

static int64_t go_round(void *arg)
{
    struct trips *trips = arg;
    uint64_t cpu = bench_thread_cpu();
    for (unsigned i = 0; i < TRIPS; i++) {
        uint64_t start = bench_now();
        one_trip(trips->fd);
        trips->took[i] = bench_per(start, 1000.0);
    }
    trips->cpu_us = (double)(bench_thread_cpu() - cpu) / 1000.0 / TRIPS;
    shutdown(trips->fd, SHUT_RDWR);
    return 0;
}

static struct trips *round_trips(ouro_ns spin)
{
    static struct trips trips;
    int fds[2];
    pthread_t thread;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0 ||
        pthread_create(&thread, NULL, echo, &fds[1]) != 0)
        bench_fail("no socket pair or no thread");
    trips.fd = fds[0];
    bench_run(go_round, &trips, spin);
    pthread_join(thread, NULL);
    close(fds[0]);
    close(fds[1]);
    return &trips;
}

static double trip_median(ouro_ns spin)
{
    if (bench_other_cpu() < 0)
        return bench_skip("round trips: they need a second processor");
    return bench_quantile(round_trips(spin)->took, TRIPS, 0.5);
}

static double trip_cpu(ouro_ns spin)
{
    return bench_other_cpu() < 0 ? NAN : round_trips(spin)->cpu_us;
}

/* ---- Doing nothing --------------------------------------------------------------------------- */

struct nap {
    ouro_ns each;
    double cpu_percent;
};

static int64_t doze(void *arg)
{
    struct nap *nap = arg;
    uint64_t start = bench_now(), cpu = bench_thread_cpu();
    for (ouro_ns slept = 0; slept < IDLE; slept += nap->each)
        bench_check(ouro_await(ouro_sleep(nap->each)), "ouro_sleep");
    nap->cpu_percent = 100.0 * (double)(bench_thread_cpu() - cpu) / bench_per(start, 1);
    return 0;
}

static double idle_cpu(ouro_ns each, ouro_ns spin)
{
    struct nap nap = {.each = each};
    bench_run(doze, &nap, spin);
    return nap.cpu_percent;
}

/* ---- Table ----------------------------------------------------------------------------------- */

#define ON_AND_OFF(name, figure)            \
    static double name##_on(const void *a)  \
    {                                       \
        const ouro_ns spin = 0;             \
        (void)a;                            \
        return figure;                      \
    }                                       \
    static double name##_off(const void *a) \
    {                                       \
        const ouro_ns spin = OURO_FOREVER;  \
        (void)a;                            \
        return figure;                      \
    }

ON_AND_OFF(trip, trip_median(spin))
ON_AND_OFF(cpu, trip_cpu(spin))
ON_AND_OFF(timers, idle_cpu(OURO_MS(1), spin))
ON_AND_OFF(nothing, idle_cpu(IDLE, spin))

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
        {"spin.round-trip", "us", trip_on, "ouro, spin off", .rival = trip_off,
         .note = "median of 3000, 64 bytes over a UNIX socket pair, echoed by another processor"},
        {"spin.round-trip-cpu", "us", cpu_on, "ouro, spin off", .rival = cpu_off,
         .note = "processor time of the loop's thread, for each round trip"},
        {"spin.idle-timers", "% cpu", timers_on, "ouro, spin off", .rival = timers_off,
         .note = "a task that sleeps 1 ms at a time; sleeping is no reason to spin"},
        {"spin.idle", "% cpu", nothing_on, "ouro, spin off", .rival = nothing_off,
         .note = "one sleep of 200 ms"},
    };
    return bench_main(argc, argv, "The spin before a sleep, on and off", cases, BENCH_COUNT(cases));
}
