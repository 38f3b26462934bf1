/* SPDX-License-Identifier: MIT */

/*
 * Servers under the same load, in turns: rounds, the table, JSON lines, the command line.
 *
 * A server that is not there is left out of the table. One that has no part in a case gives figures
 * that are no numbers, and is left out of that case.
 */

#define _GNU_SOURCE 1

#include "race.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS_MAX = 8, MAX_ROUNDS = 1001 };

struct summary {
    double median[BENCH_COLUMNS_MAX];
    double low[BENCH_COLUMNS_MAX];
    double high[BENCH_COLUMNS_MAX];
    double ratio[BENCH_COLUMNS_MAX]; /* of the server that is compared to this one */
};

static struct {
    int rounds;
    int ms;
    int cpu;
    int list;
    const char *only;
    const char *server;
    FILE *json;
} options = {.rounds = 9, .server = "ouro"};

static const struct bench_race *race;
static double samples[SERVERS_MAX][BENCH_COLUMNS_MAX][MAX_ROUNDS];

int bench_race_ms(void)
{
    return options.ms;
}

int bench_race_cpu(void)
{
    return options.cpu;
}

/* ---- Figures --------------------------------------------------------------------------------- */

static double median_ratio(size_t a, size_t b, size_t column)
{
    static double ratios[MAX_ROUNDS];
    size_t n = (size_t)options.rounds;
    for (size_t r = 0; r < n; r++)
        ratios[r] = samples[a][column][r] / samples[b][column][r];
    return bench_quantile(ratios, n, 0.5);
}

/* Ratios first: taking a median sorts. */
static void summarise(size_t compared, struct summary *ret)
{
    size_t n = (size_t)options.rounds;
    for (size_t i = 0; i < race->server_count; i++)
        for (size_t c = 0; c < race->column_count; c++)
            ret[i].ratio[c] = median_ratio(compared, i, c);
    for (size_t i = 0; i < race->server_count; i++)
        for (size_t c = 0; c < race->column_count; c++) {
            ret[i].median[c] = bench_quantile(samples[i][c], n, 0.5);
            ret[i].low[c] = samples[i][c][0];
            ret[i].high[c] = samples[i][c][n - 1];
        }
}

/* ---- Table and JSON lines -------------------------------------------------------------------- */

static void print_head(const char *name)
{
    printf("\n%-16s", name);
    for (size_t c = 0; c < race->column_count; c++)
        printf(" %10s", race->columns[c].head);
    printf(" %21s  %s to it in\n%*s", "min .. max", options.server,
           (int)(16 + 11 * race->column_count + 22), "");
    for (size_t c = 0; c < race->column_count; c++)
        if (race->columns[c].ratio)
            printf(" %9s", race->columns[c].ratio);
    putchar('\n');
}

static void print_row(const struct bench_server *s, const struct summary *m, int is_compared)
{
    char range[48];
    printf("  %-14s", s->name);
    for (size_t c = 0; c < race->column_count; c++)
        printf(" %10.*f", m->median[c] < 10 ? 2 : 0, m->median[c]);
    snprintf(range, sizeof range, "%.0f .. %.0f", m->low[0], m->high[0]);
    printf(" %21s", range);
    for (size_t c = 0; c < race->column_count; c++) {
        if (!race->columns[c].ratio)
            continue;
        if (is_compared || isnan(m->ratio[c]))
            printf(" %9s", "-");
        else
            printf(" %9.2f", m->ratio[c]);
    }
    putchar('\n');
}

static void json_row(const char *name, const struct bench_server *s, const struct summary *m)
{
    fprintf(options.json, "{\"case\":\"%s.%s\",\"server\":\"%s\",\"compared\":\"%s\"", race->name,
            name, s->name, options.server);
    for (size_t c = 0; c < race->column_count; c++)
        fprintf(options.json, ",\"%s\":%.6g", race->columns[c].key, m->median[c]);
    for (size_t c = 0; c < race->column_count; c++)
        if (race->columns[c].ratio && !isnan(m->ratio[c]))
            fprintf(options.json, ",\"%s_ratio\":%.4g", race->columns[c].key, m->ratio[c]);
    fprintf(options.json, ",\"rounds\":%d}\n", options.rounds);
    fflush(options.json);
}

static void show(const char *name, size_t compared)
{
    struct summary all[SERVERS_MAX];
    summarise(compared, all);
    print_head(name);
    for (size_t i = 0; i < race->server_count; i++) {
        if (isnan(all[i].median[0]))
            continue;
        print_row(&race->servers[i], &all[i], i == compared);
        if (options.json)
            json_row(name, &race->servers[i], &all[i]);
    }
    fflush(stdout);
}

static void run_case(size_t which, size_t compared)
{
    for (size_t round = 0; round < (size_t)options.rounds; round++)
        for (size_t i = 0; i < race->server_count; i++) {
            double figures[BENCH_COLUMNS_MAX];
            for (size_t c = 0; c < race->column_count; c++)
                figures[c] = NAN;
            if (race->servers[i].path[0])
                race->measure(&race->servers[i], which, figures);
            for (size_t c = 0; c < race->column_count; c++)
                samples[i][c][round] = figures[c];
        }
    show(race->case_name(which), compared);
}

/* ---- Command line ---------------------------------------------------------------------------- */

static void usage(FILE *out, const char *program)
{
    fprintf(out,
            "usage: %s [--rounds N] [--ms N] [--case NAME] [--server NAME] [--cpu N]\n"
            "       [--json FILE] [--list]\n"
            "  --rounds N     rounds of each case, 1 to %d (default 9)\n"
            "  --ms N         length of each measurement (default %d)\n"
            "  --case NAME    only the cases whose name begins with NAME\n"
            "  --server NAME  the server that is compared with the others (default ouro)\n"
            "  --cpu N        processor of the servers (default 0)\n"
            "  --json FILE    append a JSON object a line to FILE\n"
            "  --list         print the names of the cases\n"
            "%s\n",
            program, MAX_ROUNDS, race->ms, race->help);
}

static int number(const char *text, int low, int high)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || *end || v < low || v > high)
        bench_fail("'%s' is not a number from %d to %d", text, low, high);
    return (int)v;
}

/* -1: go on. Else the exit status. */
static int parse(int argc, char **argv)
{
    static const struct option known[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"ms", required_argument, NULL, 'm'},
                                          {"case", required_argument, NULL, 'c'},
                                          {"server", required_argument, NULL, 's'},
                                          {"cpu", required_argument, NULL, 'p'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (o == 'r')
            options.rounds = number(optarg, 1, MAX_ROUNDS);
        else if (o == 'm')
            options.ms = number(optarg, 1, 60000);
        else if (o == 'c')
            options.only = optarg;
        else if (o == 's')
            options.server = optarg;
        else if (o == 'p')
            options.cpu = number(optarg, 0, 1023);
        else if (o == 'l')
            options.list = 1;
        else if (o == 'j' && !(options.json = fopen(optarg, "ae")))
            bench_fail("%s: %s", optarg, strerror(errno));
        else if (o == 'h' || o == '?') {
            usage(o == 'h' ? stdout : stderr, argv[0]);
            return o == 'h' ? 0 : 2;
        }
    }
    if (optind == argc)
        return -1;
    usage(stderr, argv[0]);
    return 2;
}

static size_t compared_server(void)
{
    size_t i = 0;
    while (i < race->server_count && strcmp(race->servers[i].name, options.server) != 0)
        i++;
    if (i == race->server_count)
        bench_fail("there is no server '%s'", options.server);
    return i;
}

int bench_race_main(int argc, char **argv, const struct bench_race *given)
{
    race = given;
    options.ms = race->ms;
    int status = parse(argc, argv);
    if (status >= 0)
        return status;
    size_t compared = compared_server();
    if (!options.list) {
        bench_pin_process(options.cpu);
        /* Loads are started from here, and run where we do. */
        if (bench_pin(bench_other_cpu()) != 0)
            bench_fail("the load needs a processor of its own");
        for (size_t i = 0; i < race->server_count; i++)
            bench_server_find(&race->servers[i], race->programs, race->sources);
    }
    for (size_t i = 0; i < race->case_count; i++) {
        const char *name = race->case_name(i);
        if (options.only && strncmp(name, options.only, strlen(options.only)) != 0)
            continue;
        if (options.list)
            puts(name);
        else
            run_case(i, compared);
    }
    return options.json && fclose(options.json) != 0;
}
