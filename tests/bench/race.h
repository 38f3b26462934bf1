/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_RACE_H
#define OURO_BENCH_RACE_H

/*
 * Servers, ours and its rivals, under the same load: what several benchmarks share.
 *
 * A race is cases for bench_main(), with a contestant for each server. Its figure is the rate of
 * answers, of which more is better; latencies and the server's own use of time and memory go with
 * it.
 */

#include "servers.h"

/* What a load finds out, and prints in this order: answers a second, latencies in microseconds, the
 * server's processor time for each in nanoseconds, and the part of the time that its processor was
 * busy. */
enum bench_figure {
    BENCH_RATE,
    BENCH_P50,
    BENCH_P90,
    BENCH_P99,
    BENCH_P999,
    BENCH_CPU,
    BENCH_BUSY,
    BENCH_FIGURES
};

struct bench_race {
    const char *title;
    const char *name;     /* what names of cases begin with */
    const char *unit;     /* of the rate */
    const char *note;     /* on the names of the cases */
    const char *programs; /* folder of the servers that were built */
    const char *sources;  /* and of the sources of the others */
    int ms;               /* length of a measurement, if there is time */
    struct bench_server *servers;
    size_t server_count;
    const char *(*case_name)(size_t which);
    size_t case_count;
    /* One round of one server: its figures, which are NAN until then. It runs on the first
     * processor, the caller on another. */
    void (*measure)(struct bench_server *s, size_t which, double *ret_figures);
};

/* Run the cases that the command line asks for. The program's exit status. */
int bench_race_main(int argc, char **argv, const struct bench_race *race);

/* The length of a measurement, and the processor of the servers. */
int bench_race_ms(void);
int bench_race_cpu(void);

/* The figures that a load has printed; 0, or -1: it has not. */
int bench_read_figures(const char *text, double *ret_figures);

#endif
