/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_ROUNDS_H
#define OURO_BENCH_ROUNDS_H

/*
 * Inside of bench_main(): what the command line asks for (options.c), the rounds (rounds.c), and
 * how they are shown (show.c).
 */

#include <stdio.h>

#include "bench.h"

enum { MAX_ROUNDS = 1001, MAX_CASES = 16, MAX_CONTESTANTS = BENCH_MORE + 2 };

struct options {
    int rounds;
    double seconds; /* for a case; 0: as long as it takes */
    int cpu;
    int list;
    const char *only[MAX_CASES]; /* patterns; none: all cases */
    size_t only_count;
    unsigned first, total; /* where the cases stand in a run of several programs; 0: alone */
    FILE *json;
};

/* Read the command line. -1: go on. Else the exit status. */
int bench_options(struct options *o, int argc, char **argv);

/* Whether a case is asked for. */
int bench_chosen(const struct options *o, const char *name);

/* What one round of one contestant was. NAN: not known. */
struct sample {
    double figure;
    double seconds;
    double cpu;    /* seconds of processor time */
    double memory; /* resident bytes at the peak */
    double cpu_each;
    double busy;
    double latency[4];
};

struct contestant {
    const char *name;
    bench_round *run;
    const void *arg;
    const char *why; /* it has no figures, if it has none */
    struct sample samples[MAX_ROUNDS];
};

/* A case with its rounds. The first contestant is ouro. */
struct measured {
    const struct bench_case *c;
    size_t rounds;
    size_t count;
    struct contestant contestants[MAX_CONTESTANTS];
};

/* The quartiles of some figures, those that are NAN left out. */
struct summary {
    double min, low, median, high, max;
};

void bench_show_head(const char *title);

/* Print the rows of a case, and append it to the JSON lines if @json is not NULL. */
void bench_show(const struct measured *m, const char *title, FILE *json);

/* ---- Of a round ------------------------------------------------------------------------------ */

/* Why bench_skip() was called last since this was asked, or NULL. */
const char *bench_skipped(void);

/* Resident bytes at their most since bench_forget_peak(). */
void bench_forget_peak(void);
double bench_peak(void);

#endif
