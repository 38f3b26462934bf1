/* SPDX-License-Identifier: MIT */

/*
 * The benchmark harness: rounds of ouro and of its rival take turns, so that a machine that changes
 * speed changes it for both, and the ratio is taken round by round before the median.
 *
 * Each side runs once before it counts. A case that cannot be measured prints "-" and null; a
 * budget that is missed is shown and changes nothing, since this program compares and does not
 * judge.
 */

#define _GNU_SOURCE 1

#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ROUNDS 1001

struct summary {
    double median;
    double min;
    double max;
};

struct outcome {
    struct summary ouro;
    struct summary rival;
    double ratio;
};

static struct {
    int rounds;
    int list;
    int cpu;
    const char *only;
    FILE *json;
} options = {.rounds = 9};

/* ---- Rounds ---------------------------------------------------------------------------------- */

static struct summary summarise(double *values, size_t n)
{
    struct summary s;
    s.median = bench_quantile(values, n, 0.5);
    s.min = values[0];
    s.max = values[n - 1];
    return s;
}

static struct outcome measure(const struct bench_case *c)
{
    static double ouro[MAX_ROUNDS], rival[MAX_ROUNDS], ratio[MAX_ROUNDS];
    size_t n = (size_t)options.rounds;
    (void)c->ouro(c->arg);
    if (c->rival)
        (void)c->rival(c->arg);
    for (size_t i = 0; i < n; i++) {
        ouro[i] = c->ouro(c->arg);
        rival[i] = c->rival ? c->rival(c->arg) : NAN;
        ratio[i] = rival[i] > 0 ? ouro[i] / rival[i] : NAN;
    }
    struct outcome o = {.ouro = summarise(ouro, n), .rival = summarise(rival, n)};
    o.ratio = summarise(ratio, n).median;
    return o;
}

/* ---- Table and JSON lines -------------------------------------------------------------------- */

#define ROW "%-24s %-9s %9s %21s  %-30s %9s %21s %7s %9s %s\n"

/* Three digits that matter; '-' for what was not measured. Each call has its own buffer in turn. */
static const char *digits(double v)
{
    static char buffers[8][24];
    static unsigned next;
    char *text = buffers[next++ % BENCH_COUNT(buffers)];
    if (isnan(v))
        return "-";
    double size = fabs(v);
    snprintf(text, sizeof buffers[0], "%.*f", size >= 100 ? 0 : size >= 10 ? 1 : 2, v);
    return text;
}

static void range(char *text, size_t size, struct summary s)
{
    if (isnan(s.median))
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%s .. %s", digits(s.min), digits(s.max));
}

static const char *verdict(const struct bench_case *c, double figure)
{
    if (!c->budgeted || isnan(figure))
        return "";
    return figure <= c->budget ? "ok" : "MISS";
}

static void print_head(const char *title)
{
    printf("\n%s\n", title);
    printf(ROW, "case", "unit", "ouro", "min .. max", "rival", "median", "min .. max", "ratio",
           "budget", "");
}

static void print_row(const struct bench_case *c, const struct outcome *o)
{
    char ouro[48], rival[48];
    range(ouro, sizeof ouro, o->ouro);
    range(rival, sizeof rival, o->rival);
    printf(ROW, c->name, c->unit, digits(o->ouro.median), ouro, c->rival_name ? c->rival_name : "-",
           digits(o->rival.median), rival, digits(o->ratio), c->budgeted ? digits(c->budget) : "-",
           verdict(c, o->ouro.median));
    fflush(stdout);
}

static void json_number(const char *key, double v)
{
    fprintf(options.json, ",\"%s\":", key);
    if (isfinite(v))
        fprintf(options.json, "%.6g", v);
    else
        fputs("null", options.json);
}

/* Texts are this program's own: quotes and backslashes do not occur in them. */
static void json_text(const char *key, const char *text)
{
    if (text)
        fprintf(options.json, ",\"%s\":\"%s\"", key, text);
    else
        fprintf(options.json, ",\"%s\":null", key);
}

static void json_row(const struct bench_case *c, const struct outcome *o)
{
    fprintf(options.json, "{\"case\":\"%s\",\"unit\":\"%s\"", c->name, c->unit);
    json_number("ouro", o->ouro.median);
    json_number("ouro_min", o->ouro.min);
    json_number("ouro_max", o->ouro.max);
    json_text("rival_name", c->rival_name);
    json_number("rival", o->rival.median);
    json_number("rival_min", o->rival.min);
    json_number("rival_max", o->rival.max);
    json_number("ratio", o->ratio);
    json_number("budget", c->budgeted ? c->budget : NAN);
    json_text("verdict", *verdict(c, o->ouro.median) ? verdict(c, o->ouro.median) : NULL);
    fprintf(options.json, ",\"rounds\":%d", options.rounds);
    json_text("missing", c->rival_name && !c->rival ? c->package : NULL);
    json_text("note", c->note);
    fputs("}\n", options.json);
    fflush(options.json);
}

/* ---- Command line ---------------------------------------------------------------------------- */

static void usage(FILE *out, const char *program)
{
    fprintf(out,
            "usage: %s [--rounds N] [--case NAME] [--cpu N] [--json FILE] [--list]\n"
            "  --rounds N   rounds of each case, 1 to %d (default 9)\n"
            "  --case NAME  only the cases whose name begins with NAME\n"
            "  --cpu N      processor to run on (default 0)\n"
            "  --json FILE  append a JSON object a line to FILE\n"
            "  --list       print the names of the cases\n",
            program, MAX_ROUNDS);
}

static int number(const char *text, int low, int high)
{
    char *end;
    errno = 0;
    long v = strtol(text, &end, 10);
    if (errno || end == text || *end || v < low || v > high)
        bench_fail("'%s' is not a number from %d to %d", text, low, high);
    return (int)v;
}

/* -1: go on. Else the exit status. */
static int parse(int argc, char **argv)
{
    static const struct option known[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"case", required_argument, NULL, 'c'},
                                          {"cpu", required_argument, NULL, 'p'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (o == 'r')
            options.rounds = number(optarg, 1, MAX_ROUNDS);
        else if (o == 'c')
            options.only = optarg;
        else if (o == 'p')
            options.cpu = number(optarg, 0, CPU_SETSIZE - 1);
        else if (o == 'l')
            options.list = 1;
        else if (o == 'j' && !(options.json = fopen(optarg, "a")))
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

static int chosen(const struct bench_case *c)
{
    return !options.only || strncmp(c->name, options.only, strlen(options.only)) == 0;
}

static void run_case(const struct bench_case *c)
{
    if (c->rival_name && !c->rival)
        fprintf(stderr, "bench: %s: built without its rival (package %s)\n", c->name, c->package);
    struct outcome o = measure(c);
    print_row(c, &o);
    if (options.json)
        json_row(c, &o);
}

int bench_main(int argc, char **argv, const char *title, const struct bench_case *cases, size_t n)
{
    int status = parse(argc, argv);
    size_t found = 0;
    if (status >= 0)
        return status;
    if (!options.list)
        bench_pin_process(options.cpu);
    for (size_t i = 0; i < n; i++) {
        if (!chosen(&cases[i]))
            continue;
        if (options.list) {
            puts(cases[i].name);
            continue;
        }
        if (!found++)
            print_head(title);
        run_case(&cases[i]);
    }
    for (size_t i = 0; found && i < n; i++)
        if (chosen(&cases[i]) && cases[i].note)
            printf("  %s: %s\n", cases[i].name, cases[i].note);
    return options.json && fclose(options.json) != 0;
}
