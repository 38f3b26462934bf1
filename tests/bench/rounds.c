/* SPDX-License-Identifier: MIT */

/*
 * The rounds of a case: ouro and its rivals take turns, so that a machine that changes speed changes
 * it for all, and ratios are taken round by round before the median.
 *
 * Each contestant runs once before it counts. One that cannot be measured, or gives no figure, is
 * shown with the reason and holds up nobody. A budget that is missed is shown and changes nothing,
 * since this program compares and does not judge.
 */

#define _GNU_SOURCE 1

#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "rounds.h"

static struct options options;

/* ---- One round ------------------------------------------------------------------------------- */

static struct sample *current; /* of the round that runs, or NULL */
static ouro_ns share;          /* of a round, in the time of its case; 0: no limit */

void bench_latencies(const double us[4])
{
    if (current)
        memcpy(current->latency, us, sizeof current->latency);
}

void bench_cpu_each(double ns)
{
    if (current)
        current->cpu_each = ns;
}

void bench_busy(double part)
{
    if (current)
        current->busy = part;
}

/* The last one counts: programs may have to be built before they are run. */
void bench_used(double cpu_seconds, double peak_memory)
{
    if (!current)
        return;
    current->cpu = cpu_seconds;
    current->memory = peak_memory;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void bench_process(const struct rusage *usage)
{
    bench_used(seconds_of(usage->ru_utime) + seconds_of(usage->ru_stime),
               (double)usage->ru_maxrss * 1024.0);
}

ouro_ns bench_round_time(ouro_ns wish)
{
    return share && share < wish ? share : wish;
}

static const struct sample nothing = {NAN, NAN, NAN, NAN, NAN, NAN, {NAN, NAN, NAN, NAN}};

/* The heap is as empty as before any other round, so that none is charged with what others left. */
static void take_sample(const struct contestant *who, struct sample *ret)
{
    malloc_trim(0);
    bench_forget_peak();
    current = ret;
    uint64_t cpu = bench_cpu(), start = bench_now();
    double figure = who->run(who->arg);
    current = NULL;
    ret->figure = figure;
    if (isnan(figure))
        return;
    ret->seconds = bench_per(start, 1e9);
    if (isnan(ret->cpu)) {
        ret->cpu = bench_cpu_per(cpu, 1e9);
        ret->memory = bench_peak();
    }
}

/* ---- A case ---------------------------------------------------------------------------------- */

static void enter(struct measured *m, const char *name, bench_round *run, const void *arg,
                  const char *package)
{
    struct contestant *who = &m->contestants[m->count++];
    who->name = name;
    who->run = run;
    who->arg = arg;
    who->why = run ? NULL : package;
}

static void enter_all(struct measured *m, const struct bench_case *c)
{
    m->c = c;
    m->count = m->rounds = 0;
    enter(m, "ouro", c->ouro, c->arg, NULL);
    if (c->rival_name)
        enter(m, c->rival_name, c->rival, c->arg, c->package);
    for (size_t i = 0; i < BENCH_MORE && c->more[i].name; i++) {
        const struct bench_rival *r = &c->more[i];
        enter(m, r->name, r->run, r->arg ? r->arg : c->arg, r->package);
    }
}

/* On a terminal each round rewrites the line; elsewhere one line a case is enough. */
static void say_how_far(const struct bench_case *c, unsigned index, size_t round)
{
    int is_terminal = isatty(STDERR_FILENO);
    if (round > 0 && !is_terminal)
        return;
    fprintf(stderr, "%s[%u/%u] %s round %zu of %d%s", is_terminal ? "\r\033[K" : "", index,
            options.total, c->name, round + 1, options.rounds, is_terminal ? "" : "\n");
    if (is_terminal && round + 1 == (size_t)options.rounds)
        fputs("\r\033[K", stderr);
}

static void run_once(struct measured *m, size_t round)
{
    for (size_t i = 0; i < m->count; i++) {
        struct contestant *who = &m->contestants[i];
        who->samples[round] = nothing;
        if (!who->run || who->why)
            continue;
        (void)bench_skipped();
        take_sample(who, &who->samples[round]);
        if (isnan(who->samples[round].figure))
            who->why = bench_skipped();
    }
}

static int out_of_time(uint64_t start, size_t rounds)
{
    return options.seconds > 0 && rounds >= 3 && bench_per(start, 1e9) >= options.seconds;
}

static void measure(struct measured *m, unsigned index)
{
    uint64_t start = bench_now();
    double rounds = options.rounds + !m->c->warm;
    share = (ouro_ns)(options.seconds * 1e9 / rounds / (double)m->count);
    if (share && share < OURO_MS(20))
        share = OURO_MS(20);
    if (!m->c->warm)
        run_once(m, 0); /* and the first round that counts overwrites it */
    while (m->rounds < (size_t)options.rounds && !out_of_time(start, m->rounds)) {
        say_how_far(m->c, index, m->rounds);
        run_once(m, m->rounds++);
    }
}

/* ---- All of them ----------------------------------------------------------------------------- */

static unsigned count_chosen(const struct bench_case *cases, size_t n)
{
    unsigned chosen = 0;
    for (size_t i = 0; i < n; i++)
        chosen += bench_chosen(&options, cases[i].name) != 0;
    return chosen;
}

static void run_all(const char *title, const struct bench_case *cases, size_t n)
{
    static struct measured m;
    unsigned index = options.first ? options.first : 1;
    bench_show_head(title);
    for (size_t i = 0; i < n; i++) {
        if (!bench_chosen(&options, cases[i].name))
            continue;
        enter_all(&m, &cases[i]);
        measure(&m, index++);
        bench_show(&m, title, options.json);
    }
    for (size_t i = 0; i < n; i++)
        if (bench_chosen(&options, cases[i].name) && cases[i].note)
            printf("  %s: %s\n", cases[i].name, cases[i].note);
}

int bench_main(int argc, char **argv, const char *title, const struct bench_case *cases, size_t n)
{
    int status = bench_options(&options, argc, argv);
    if (status >= 0)
        return status;
    unsigned chosen = count_chosen(cases, n);
    if (!options.total)
        options.total = chosen;
    for (size_t i = 0; options.list && i < n; i++)
        if (bench_chosen(&options, cases[i].name))
            puts(cases[i].name);
    if (!options.list && chosen) {
        bench_pin_process(options.cpu);
        run_all(title, cases, n);
    }
    return options.json && fclose(options.json) != 0;
}
