/* SPDX-License-Identifier: MIT */

/*
 * Servers under the same load, in turns, as cases of bench_main().
 *
 * Servers are looked for when the first round comes, since one may need others; one that is not there
 * is shown as missing. One that has no part in a case leaves its figures as they are, and is not
 * shown there.
 */

#define _GNU_SOURCE 1

#include "race.h"

#include <sched.h>
#include <stdio.h>

#include "rounds.h"

enum { SERVERS_MAX = BENCH_MORE + 1, CASES_MAX = 32 };

/* The argument of a round. */
struct start {
    struct bench_server *server;
    size_t which;
};

static const struct bench_race *race;
static int cpu; /* of the servers */

int bench_race_ms(void)
{
    return (int)(bench_round_time((ouro_ns)race->ms * OURO_MS(1)) / OURO_MS(1));
}

int bench_race_cpu(void)
{
    return cpu;
}

int bench_read_figures(const char *text, double *f)
{
    return sscanf(text, "%lf %lf %lf %lf %lf %lf %lf", f, f + 1, f + 2, f + 3, f + 4, f + 5,
                  f + 6) == BENCH_FIGURES
               ? 0
               : -1;
}

/* Loads are started from here, and run where we do. */
static void measure(const struct start *r, double *ret_figures)
{
    struct bench_server *s = r->server;
    uint64_t used = s->pid ? bench_process_cpu(s->pid) : 0;
    cpu = sched_getcpu();
    bench_pin(bench_other_cpu());
    race->measure(s, r->which, ret_figures);
    bench_pin(cpu);
    if (s->pid)
        bench_used((double)(bench_process_cpu(s->pid) - used) / 1e9, bench_process_peak(s->pid));
}

static void find_all(void)
{
    static int done;
    for (size_t i = 0; !done && i < race->server_count; i++)
        bench_server_find(&race->servers[i], race->programs, race->sources);
    done = 1;
}

static double round_of(const void *arg)
{
    const struct start *r = arg;
    double figures[BENCH_FIGURES];
    if (bench_other_cpu() < 0)
        return bench_skip("servers and their load: they need a second processor");
    find_all();
    if (!r->server->path[0])
        return bench_skip(r->server->missing);
    (void)bench_skipped(); /* what others lack */
    for (size_t i = 0; i < BENCH_FIGURES; i++)
        figures[i] = NAN;
    measure(r, figures);
    bench_latencies(&figures[BENCH_P50]);
    bench_cpu_each(figures[BENCH_CPU]);
    bench_busy(figures[BENCH_BUSY]);
    return figures[BENCH_RATE];
}

int bench_race_main(int argc, char **argv, const struct bench_race *given)
{
    static struct start starts[CASES_MAX][SERVERS_MAX];
    static struct bench_case cases[CASES_MAX];
    static char names[CASES_MAX][64];
    race = given;
    for (size_t i = 0; i < race->case_count; i++) {
        struct bench_case *c = &cases[i];
        snprintf(names[i], sizeof names[i], "%s.%s", race->name, race->case_name(i));
        for (size_t s = 0; s < race->server_count; s++)
            starts[i][s] = (struct start){&race->servers[s], i};
        *c = (struct bench_case){.name = names[i],
                                 .unit = race->unit,
                                 .ouro = round_of,
                                 .arg = &starts[i][0],
                                 .note = i == 0 ? race->note : NULL,
                                 .higher = 1,
                                 .warm = 1};
        for (size_t s = 1; s < race->server_count; s++)
            c->more[s - 1] = (struct bench_rival){race->servers[s].name, round_of, &starts[i][s],
                                                  NULL};
    }
    return bench_main(argc, argv, race->title, cases, race->case_count);
}
