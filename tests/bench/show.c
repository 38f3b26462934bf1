/* SPDX-License-Identifier: MIT */

/*
 * How a measured case is shown: rows of a table for who looks on, and a JSON object a line for the
 * program that makes the document of a whole run (run.py).
 *
 * A case whose rounds have told their processor time for each thing done is shown twice, the second
 * time as NAME.cpu with that figure. Ratios are ouro's figure to the rival's, round by round.
 */

#define _GNU_SOURCE 1

#include <stddef.h>
#include <string.h>

#include "rounds.h"

/* Which of the figures of a sample a view shows. */
struct view {
    const struct measured *m;
    const char *name, *unit, *title;
    size_t figure; /* its offset in struct sample */
    int higher;
    int is_first; /* and so the one with budget, latencies and all that */
};

/* ---- Figures --------------------------------------------------------------------------------- */

static double at(const struct sample *s, size_t figure)
{
    double value;
    memcpy(&value, (const char *)s + figure, sizeof value);
    return value;
}

static struct summary summarise(double *values, size_t n)
{
    return (struct summary){bench_quantile(values, n, 0), bench_quantile(values, n, 0.25),
                            bench_quantile(values, n, 0.5), bench_quantile(values, n, 0.75),
                            bench_quantile(values, n, 1)};
}

static struct summary summary_of(const struct measured *m, size_t who, size_t figure)
{
    static double values[MAX_ROUNDS];
    size_t n = 0;
    for (size_t i = 0; m->contestants[who].run && i < m->rounds; i++) {
        double v = at(&m->contestants[who].samples[i], figure);
        if (!isnan(v))
            values[n++] = v;
    }
    return summarise(values, n);
}

static double median_of(const struct measured *m, size_t who, size_t figure)
{
    return summary_of(m, who, figure).median;
}

/* Of ouro's figure to that of @who. */
static struct summary ratios_to(const struct view *v, size_t who)
{
    static double ratios[MAX_ROUNDS];
    const struct contestant *all = v->m->contestants;
    size_t n = 0;
    for (size_t i = 0; who > 0 && all[who].run && i < v->m->rounds; i++) {
        double ours = at(&all[0].samples[i], v->figure), its = at(&all[who].samples[i], v->figure);
        if (its > 0 && !isnan(ours))
            ratios[n++] = ours / its;
    }
    return summarise(ratios, n);
}

/* ouro is ahead or behind if three of four rounds say so, and by more than 2 percent. */
static const char *verdict(const struct view *v, struct summary ratio)
{
    double low = v->higher ? 1 / ratio.high : ratio.low;
    double high = v->higher ? 1 / ratio.low : ratio.high;
    double median = v->higher ? 1 / ratio.median : ratio.median;
    if (isnan(ratio.median))
        return NULL;
    if (high < 1 && median < 0.98)
        return "ahead";
    return low > 1 && median > 1.02 ? "behind" : "even";
}

/* -1: there is no budget, or no figure. */
static int meets_budget(const struct view *v)
{
    const struct bench_case *c = v->m->c;
    double median = median_of(v->m, 0, v->figure);
    if (!v->is_first || !c->budgeted || isnan(median))
        return -1;
    return v->higher ? median >= c->budget : median <= c->budget;
}

/* Whether a rival takes part at all: it has a figure, or a reason for having none. */
static int takes_part(const struct measured *m, size_t who)
{
    return who == 0 || m->contestants[who].why ||
           !isnan(median_of(m, who, offsetof(struct sample, figure)));
}

/* ---- Rows ------------------------------------------------------------------------------------ */

#define ROW "%-24s %-26s %9s %19s %7s %-7s %8s %8s %7s  %s\n"

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

void bench_show_head(const char *title)
{
    printf("\n%s\n", title);
    printf(ROW, "case", "contestant", "median", "quartiles", "ouro/it", "", "seconds", "CPU s",
           "MiB", "");
}

static void print_row(const struct view *v, size_t who)
{
    const struct measured *m = v->m;
    struct summary s = summary_of(m, who, v->figure), ratio = ratios_to(v, who);
    const char *word = verdict(v, ratio), *why = m->contestants[who].why;
    char spread[48] = "-", last[96] = "";
    int met = meets_budget(v);
    if (!isnan(s.median))
        snprintf(spread, sizeof spread, "%s .. %s", digits(s.low), digits(s.high));
    if (who == 0 && met >= 0)
        snprintf(last, sizeof last, "budget %s %s", digits(m->c->budget), met ? "ok" : "MISS");
    else if (why)
        snprintf(last, sizeof last, "missing: %s", why);
    else if (median_of(m, who, offsetof(struct sample, busy)) < 0.9)
        snprintf(last, sizeof last, "busy %s",
                 digits(median_of(m, who, offsetof(struct sample, busy))));
    printf(ROW,
           who == 0   ? v->name
           : who == 1 ? v->unit
                      : "",
           m->contestants[who].name, digits(s.median), spread, digits(ratio.median),
           word ? word : "", digits(median_of(m, who, offsetof(struct sample, seconds))),
           digits(median_of(m, who, offsetof(struct sample, cpu))),
           digits(median_of(m, who, offsetof(struct sample, memory)) / 1048576.0), last);
}

/* ---- JSON lines ------------------------------------------------------------------------------ */

static void number(FILE *out, const char *key, double v)
{
    fprintf(out, ",\"%s\":", key);
    if (isfinite(v))
        fprintf(out, "%.6g", v);
    else
        fputs("null", out);
}

/* Texts are these programs' own: quotes and backslashes do not occur in them. */
static void text(FILE *out, const char *key, const char *value)
{
    if (value)
        fprintf(out, ",\"%s\":\"%s\"", key, value);
}

static void quartiles(FILE *out, const char *key, struct summary s)
{
    if (isnan(s.median))
        return;
    fprintf(out, ",\"%s\":{\"min\":%.6g,\"low\":%.6g,\"median\":%.6g,\"high\":%.6g,\"max\":%.6g}",
            key, s.min, s.low, s.median, s.high, s.max);
}

static void rounds_of(FILE *out, const struct view *v, size_t who)
{
    const char *comma = "";
    fputs(",\"rounds\":[", out);
    for (size_t i = 0; v->m->contestants[who].run && i < v->m->rounds; i++) {
        double value = at(&v->m->contestants[who].samples[i], v->figure);
        if (isfinite(value)) {
            fprintf(out, "%s%.6g", comma, value);
            comma = ",";
        }
    }
    fputs("]", out);
}

static void latencies(FILE *out, const struct measured *m, size_t who)
{
    static const char *const names[] = {"p50", "p90", "p99", "p99.9"};
    size_t told = 0;
    for (size_t i = 0; i < BENCH_COUNT(names); i++) {
        double us = median_of(m, who, offsetof(struct sample, latency) + i * sizeof(double));
        if (isnan(us))
            continue;
        fprintf(out, "%s\"%s\":%.6g", told++ ? "," : ",\"latency_us\":{", names[i], us);
    }
    if (told)
        fputs("}", out);
}

static void json_contestant(FILE *out, const struct view *v, size_t who)
{
    const struct measured *m = v->m;
    struct summary ratio = ratios_to(v, who);
    fprintf(out, "%s{\"name\":\"%s\"", who ? "," : "", m->contestants[who].name);
    quartiles(out, "figure", summary_of(m, who, v->figure));
    quartiles(out, "ratio", ratio);
    text(out, "verdict", verdict(v, ratio));
    text(out, "missing", m->contestants[who].why);
    rounds_of(out, v, who);
    number(out, "seconds", median_of(m, who, offsetof(struct sample, seconds)));
    number(out, "cpu_seconds", median_of(m, who, offsetof(struct sample, cpu)));
    number(out, "peak_memory", median_of(m, who, offsetof(struct sample, memory)));
    if (v->is_first) {
        number(out, "busy", median_of(m, who, offsetof(struct sample, busy)));
        latencies(out, m, who);
    }
    fputs("}", out);
}

static void json_case(FILE *out, const struct view *v)
{
    const struct bench_case *c = v->m->c;
    int met = meets_budget(v);
    fprintf(out, "{\"case\":\"%s\",\"title\":\"%s\",\"unit\":\"%s\",\"better\":\"%s\"", v->name,
            v->title, v->unit, v->higher ? "higher" : "lower");
    if (v->is_first)
        text(out, "note", c->note);
    if (met >= 0)
        fprintf(out, ",\"budget\":%.6g,\"met\":%s", c->budget, met ? "true" : "false");
    fputs(",\"contestants\":[", out);
    for (size_t i = 0; i < v->m->count; i++)
        if (takes_part(v->m, i))
            json_contestant(out, v, i);
    fputs("]}\n", out);
    fflush(out);
}

/* ---------------------------------------------------------------------------------------------- */

static void show(const struct view *v, FILE *json)
{
    for (size_t i = 0; i < v->m->count; i++)
        if (takes_part(v->m, i))
            print_row(v, i);
    fflush(stdout);
    if (json)
        json_case(json, v);
}

void bench_show(const struct measured *m, const char *title, FILE *json)
{
    size_t cpu_each = offsetof(struct sample, cpu_each);
    struct view v = {
        m, m->c->name, m->c->unit, title, offsetof(struct sample, figure), m->c->higher, 1};
    show(&v, json);
    if (isnan(median_of(m, 0, cpu_each)))
        return;
    char name[96];
    snprintf(name, sizeof name, "%s.cpu", m->c->name);
    v = (struct view){m, name, "ns CPU", title, cpu_each, 0, 0};
    show(&v, json);
}
