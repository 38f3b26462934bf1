/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_RACE_H
#define OURO_BENCH_RACE_H

/*
 * Servers, ours and its rivals, under the same load: what several benchmarks share.
 *
 * The servers take turns within a round, and ratios are taken round by round. The table has a row
 * for each server, and the ratios of the one that is compared to it.
 */

#include "servers.h"

enum { BENCH_COLUMNS_MAX = 6 };

struct bench_column {
    const char *head;  /* in the table */
    const char *key;   /* in JSON */
    const char *ratio; /* heading of its ratios; NULL: it has none */
};

struct bench_race {
    const char *name;     /* what names of cases begin with in JSON */
    const char *programs; /* folder of the servers that were built */
    const char *sources;  /* and of the sources of the others */
    const char *help;     /* a sentence on the cases, and on the length of measurements */
    int ms;               /* default length of a measurement */
    struct bench_server *servers;
    size_t server_count;
    const struct bench_column *columns;
    size_t column_count;
    const char *(*case_name)(size_t which);
    size_t case_count;
    /* One round of one server: a figure for each column. */
    void (*measure)(struct bench_server *s, size_t which, double *ret_figures);
};

/* Run the cases that the command line asks for. The program's exit status. */
int bench_race_main(int argc, char **argv, const struct bench_race *race);

/* What the command line says: the length of a measurement, the processor of the servers. */
int bench_race_ms(void);
int bench_race_cpu(void);

#endif
