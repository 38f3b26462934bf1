/* SPDX-License-Identifier: MIT */

/*
 * Small help for the benchmarks' rounds: clocks, processors, loops, child processes.
 *
 * Nothing here returns an error. What should never fail ends the program with a message and status
 * 1; what this machine may lack is said once and becomes a figure that is not a number.
 */

#define _GNU_SOURCE 1

#include "rounds.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <ouro/uring.h>

static cpu_set_t allowed; /* before pinning */
static int pinned = -1;   /* processor, or -1 */

void bench_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static const char *skipped;

double bench_skip(const char *why)
{
    static const char *said[16];
    size_t i = 0;
    skipped = why;
    while (i < BENCH_COUNT(said) && said[i] && strcmp(said[i], why) != 0)
        i++;
    if (i < BENCH_COUNT(said) && !said[i]) {
        said[i] = why;
        fprintf(stderr, "bench: not measured: %s\n", why);
    }
    return NAN;
}

const char *bench_skipped(void)
{
    const char *why = skipped;
    skipped = NULL;
    return why;
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_cpu_per(uint64_t start, double n)
{
    return (double)(bench_cpu() - start) / n;
}

uint64_t bench_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_thread_cpu(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

double bench_per(uint64_t start, double n)
{
    return (double)(bench_now() - start) / n;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_quantile(double *values, size_t n, double q)
{
    qsort(values, n, sizeof *values, ascending);
    return n ? values[(size_t)((double)(n - 1) * q + 0.5)] : NAN;
}

int bench_other_cpu(void)
{
    for (int cpu = 0; pinned >= 0 && cpu < CPU_SETSIZE; cpu++)
        if (cpu != pinned && CPU_ISSET((size_t)cpu, &allowed))
            return cpu;
    return -1;
}

int bench_pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return -1;
    CPU_SET((size_t)cpu, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

void bench_pin_process(int cpu)
{
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof allowed, &allowed);
    if (bench_pin(cpu) == 0)
        pinned = cpu;
    else
        fprintf(stderr, "bench: cannot run on processor %d (%s), going on unpinned\n", cpu,
                strerror(errno));
}

void *bench_alloc(size_t size)
{
    void *p = malloc(size);
    if (!p)
        bench_fail("no memory for %zu bytes", size);
    return p;
}

void bench_check(int64_t rc, const char *what)
{
    if (rc < 0)
        bench_fail("%s: %s (%lld)", what, ouro_strerror(rc), (long long)rc);
}

void bench_run(ouro_task_fn *fn, void *arg, ouro_ns spin)
{
    ouro_run_options opts = {.loop = {.debug = -1, .spin = spin}, .keep_sigint = 1};
    bench_check(ouro_run(fn, arg, &opts), "ouro_run");
}

ouro_future *bench_nop(void)
{
    struct io_uring_sqe sqe;
    memset(&sqe, 0, sizeof sqe);
    io_uring_prep_nop(&sqe);
    return ouro_uring_op(&sqe, NULL);
}

double bench_in_child(bench_round *round, const void *arg)
{
    int fds[2];
    double figure = NAN;
    if (pipe(fds) != 0)
        bench_fail("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        figure = round(arg);
        _exit(write(fds[1], &figure, sizeof figure) != sizeof figure);
    }
    close(fds[1]);
    int status = 1;
    struct rusage usage;
    if (read(fds[0], &figure, sizeof figure) != sizeof figure ||
        wait4(pid, &status, 0, &usage) < 0 || status != 0)
        bench_fail("a round in a child process ended with status %d", status);
    close(fds[0]);
    bench_process(&usage);
    return figure;
}

static double status_bytes(const char *key)
{
    char line[128];
    double kib = NAN;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && isnan(kib) && fgets(line, sizeof line, status))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtod(line + strlen(key), NULL);
    if (status)
        fclose(status);
    if (isnan(kib))
        bench_fail("/proc/self/status has no %s", key);
    return kib * 1024.0;
}

double bench_resident(void)
{
    return status_bytes("VmRSS:");
}

void bench_forget_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1)
        (void)bench_skip("peaks of memory of rounds in this process: no /proc/self/clear_refs");
    if (fd >= 0)
        close(fd);
}

double bench_peak(void)
{
    return status_bytes("VmHWM:");
}
