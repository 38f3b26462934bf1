/* SPDX-License-Identifier: MIT */

/*
 * wrk and the load with a constant rate, as child processes that print their figures.
 *
 * The server's processor time is read before and after: a connection that is set up is part of it,
 * the few requests that wrk does not count too. Both are below a thousandth.
 */

#define _GNU_SOURCE 1

#include "web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

void web_start(struct bench_server *s, int cpu, void (*prepare)(const struct bench_server *s))
{
    char place[128];
    if (s->pid)
        return;
    int listener = bench_listen(AF_INET, place, sizeof place);
    s->port = atoi(place + strlen("tcp:"));
    if (prepare)
        prepare(s);
    bench_server_start(s, listener, cpu);
}

/* A load that was given up may still keep the server busy, and it would keep the next from being
 * measured. */
static void wait_till_idle(const struct bench_server *s)
{
    struct timespec pause = {.tv_nsec = 20000000};
    uint64_t before = 0, cpu = bench_process_cpu(s->pid);
    for (int i = 0; i < 1000 && cpu - before > 2000000; i++) {
        before = cpu;
        nanosleep(&pause, NULL);
        cpu = bench_process_cpu(s->pid);
    }
}

/* ---- wrk ------------------------------------------------------------------------------------- */

int web_has_wrk(void)
{
    char text[1024];
    static int has = -1;
    if (has < 0)
        has = bench_program((const char *[]){"wrk", "--version", NULL}, text, sizeof text) !=
              BENCH_NO_PROGRAM;
    if (!has)
        (void)bench_skip("wrk: wrk");
    return has;
}

/* A time as wrk writes it, in microseconds. */
static double microseconds(const char *text)
{
    char *unit;
    double n = strtod(text, &unit);
    return strncmp(unit, "us", 2) == 0 ? n : strncmp(unit, "ms", 2) == 0 ? n * 1e3 : n * 1e6;
}

static const char *find(const char *text, const char *words)
{
    const char *p = strstr(text, words);
    if (!p)
        bench_fail("wrk did not say \"%s\": %s", words, text);
    return p + strlen(words);
}

/* What wrk has printed. The number of requests; @ret_seconds: how long it took. */
static double read_wrk(const char *text, double *ret_seconds, double *ret_figures)
{
    char took[32];
    double requests;
    const char *latencies = find(text, "Latency Distribution"),
               *sum = strstr(text, " requests in ");
    if (strstr(text, "Socket errors") || strstr(text, "Non-2xx"))
        bench_fail("not all went well: %s", text);
    while (sum && sum > text && sum[-1] != '\n')
        sum--;
    if (!sum || sscanf(sum, "%lf requests in %31[^,]", &requests, took) != 2)
        bench_fail("wrk did not say how many requests: %s", text);
    *ret_seconds = microseconds(took) / 1e6;
    ret_figures[BENCH_RATE] = requests / *ret_seconds;
    ret_figures[BENCH_P50] = microseconds(find(latencies, "50%"));
    ret_figures[BENCH_P90] = microseconds(find(latencies, "90%"));
    ret_figures[BENCH_P99] = microseconds(find(latencies, "99%"));
    return requests;
}

void web_wrk(const struct bench_server *s, const char *path, unsigned connections,
             double *ret_figures)
{
    char url[128], number[16], length[16], text[4096];
    double seconds;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", s->port, path);
    snprintf(number, sizeof number, "-c%u", connections);
    snprintf(length, sizeof length, "-d%ds", (bench_race_ms() + 999) / 1000);
    const char *argv[] = {"wrk", "-t1", number, length, "--latency", url, NULL};
    uint64_t cpu = bench_process_cpu(s->pid);
    int status = bench_program(argv, text, sizeof text);
    cpu = bench_process_cpu(s->pid) - cpu;
    if (status != 0)
        bench_fail("%s: wrk ended with status %d: %s", s->name, status, text);
    double requests = read_wrk(text, &seconds, ret_figures);
    ret_figures[BENCH_CPU] = (double)cpu / requests;
    ret_figures[BENCH_BUSY] = (double)cpu / 1e9 / seconds;
    wait_till_idle(s);
}

/* ---- A constant rate ------------------------------------------------------------------------- */

void web_rate(const struct bench_server *s, const char *path, double rate, double *ret_figures)
{
    char port[16], per_second[32], length[16], pid[16], text[256];
    snprintf(port, sizeof port, "%d", s->port);
    snprintf(per_second, sizeof per_second, "%.3f", rate);
    snprintf(length, sizeof length, "%d", bench_race_ms());
    snprintf(pid, sizeof pid, "%d", (int)s->pid);
    const char *argv[] = {BENCH_HTTP_PROGRAMS "/load", port, path, per_second, length, pid, NULL};
    int status = bench_program(argv, text, sizeof text);
    if (status != 0 || bench_read_figures(text, ret_figures) != 0)
        bench_fail("%s: the load ended with status %d and printed \"%s\"", s->name, status, text);
    wait_till_idle(s);
}
