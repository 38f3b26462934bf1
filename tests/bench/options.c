/* SPDX-License-Identifier: MIT */

/*
 * The command line that all benchmark programs share. A wrong one is an exit status of 2, as the
 * message says why.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "rounds.h"

static void usage(FILE *out, const char *program)
{
    fprintf(
        out,
        "usage: %s [--case PATTERN]... [--rounds N] [--seconds S] [--cpu N]\n"
        "       [--json FILE] [--list]\n"
        "  --case PATTERN  only the cases whose name has PATTERN in it, or is matched by it if\n"
        "                  there is one of *?[ in it\n"
        "  --rounds N      rounds of each case, 1 to %d (default 9)\n"
        "  --seconds S     begin no more rounds of a case when it has taken so long, but for\n"
        "                  the first three (default: all rounds)\n"
        "  --cpu N         processor to run on (default 0)\n"
        "  --json FILE     append a JSON object a line to FILE\n"
        "  --list          print the names of the cases\n",
        program, MAX_ROUNDS);
}

static double number(const char *text, double low, double high)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= low && v <= high)) {
        fprintf(stderr, "bench: '%s' is not a number from %g to %g\n", text, low, high);
        exit(2);
    }
    return v;
}

static void add_pattern(struct options *o, const char *pattern)
{
    if (o->only_count == MAX_CASES)
        bench_fail("more than %d times --case", MAX_CASES);
    o->only[o->only_count++] = pattern;
}

/* Where this program's cases stand in a run of several: "3/24", for what tells how far it is. */
static void place(struct options *o, const char *text)
{
    if (sscanf(text, "%u/%u", &o->first, &o->total) != 2)
        bench_fail("'%s' is no place as 3/24", text);
}

static void take(struct options *o, int option, const char *value)
{
    if (option == 'r')
        o->rounds = (int)number(value, 1, MAX_ROUNDS);
    else if (option == 's')
        o->seconds = number(value, 0.01, 3600);
    else if (option == 'c')
        add_pattern(o, value);
    else if (option == 'p')
        o->cpu = (int)number(value, 0, CPU_SETSIZE - 1);
    else if (option == 'l')
        o->list = 1;
    else if (option == 'f')
        place(o, value);
    else if (option == 'j' && !(o->json = fopen(value, "ae")))
        bench_fail("%s: %s", value, strerror(errno));
}

int bench_options(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"seconds", required_argument, NULL, 's'},
                                          {"case", required_argument, NULL, 'c'},
                                          {"cpu", required_argument, NULL, 'p'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"place", required_argument, NULL, 'f'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    *o = (struct options){.rounds = 9};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (option == 'h' || option == '?') {
            usage(option == 'h' ? stdout : stderr, argv[0]);
            return option == 'h' ? 0 : 2;
        }
        take(o, option, optarg);
    }
    if (optind == argc)
        return -1;
    usage(stderr, argv[0]);
    return 2;
}

int bench_chosen(const struct options *o, const char *name)
{
    for (size_t i = 0; i < o->only_count; i++) {
        const char *pattern = o->only[i];
        if (strpbrk(pattern, "*?[") ? fnmatch(pattern, name, 0) == 0 : !!strstr(name, pattern))
            return 1;
    }
    return o->only_count == 0;
}
