/* SPDX-License-Identifier: MIT */

/*
 * A million tasks: what each costs to spawn, run and gather, and what it weighs while it sleeps.
 *
 * Rounds are processes of their own, so that no earlier one has left memory behind. Spawning is
 * measured the second time, for us and for Go: the first is mostly the kernel's work, which makes
 * 70 000 pages.
 */

#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "peers.h"

#define MANY   1000000u
#define ASLEEP OURO_SEC(100000)

static int64_t one(void *arg)
{
    (void)arg;
    return 1;
}

static int64_t sleep_long(void *arg)
{
    (void)arg;
    return ouro_await(ouro_sleep(ASLEEP));
}

/* ---- Spawn and gather ------------------------------------------------------------------------ */

static double spawn_and_gather(ouro_future **tasks, ouro_result *results, unsigned n)
{
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < n; i++)
        tasks[i] = ouro_spawn(one, NULL);
    bench_check(ouro_await(ouro_gather(tasks, n, OURO_GATHER_ALL, results)), "ouro_gather");
    return bench_cpu_per(start, n);
}

static int64_t spawn_many(void *arg)
{
    double *ret_figure = arg;
    ouro_future **tasks = bench_alloc(MANY * sizeof *tasks);
    ouro_result *results = bench_alloc(MANY * sizeof *results);
    int64_t sum = 0;
    spawn_and_gather(tasks, results, MANY); /* the kernel makes pages only once */
    *ret_figure = spawn_and_gather(tasks, results, MANY);
    for (unsigned i = 0; i < MANY; i++)
        sum += results[i].n;
    free(tasks);
    free(results);
    return sum == MANY ? 0 : -1;
}

static double spawn_round(const void *arg)
{
    double figure = NAN;
    (void)arg;
    bench_run(spawn_many, &figure, 0);
    return figure;
}

static double ouro_spawning(const void *arg)
{
    return bench_in_child(spawn_round, arg);
}

/* ---- Asleep ---------------------------------------------------------------------------------- */

/* The process ends after the round, and the sleepers with it. */
static double sleep_round(const void *arg)
{
    (void)arg;
    ouro_loop *loop;
    ouro_loop_options opts = {.debug = -1};
    bench_check(ouro_loop_new(&opts, &loop), "ouro_loop_new");
    ouro_detach(ouro_spawn(sleep_long, NULL));
    ouro_loop_step(loop, 0);
    double before = bench_resident();
    for (unsigned i = 0; i < MANY; i++)
        ouro_detach(ouro_spawn(sleep_long, NULL));
    ouro_loop_step(loop, 0);
    return (bench_resident() - before) / MANY;
}

static double ouro_sleeping(const void *arg)
{
    return bench_in_child(sleep_round, arg);
}

int main(int argc, char **argv)
{
    static const struct bench_peer
        go_spawn = {"many.go", {"spawn", "1000000"}, "Go: golang-go"},
        go_sleep = {"many.go", {"sleep", "1000000"}, "Go: golang-go"},
        py_spawn = {"many.py", {"spawn", "100000", "asyncio"}, "asyncio: python3"},
        uv_spawn = {"many.py", {"spawn", "100000", "uvloop"}, "uvloop: python3-uvloop"},
        py_sleep = {"many.py", {"sleep", "100000", "asyncio"}, "asyncio: python3"};
    static const struct bench_case cases[] = {
        {"many.spawn", "ns", ouro_spawning, "goroutine", .rival = bench_peer, .arg = &go_spawn,
         .note = "each of 1 000 000 tasks: spawned, run, gathered; Go on one thread, WaitGroup",
         .more = {{"asyncio, 100 000", bench_peer, &py_spawn, NULL},
                  {"uvloop, 100 000", bench_peer, &uv_spawn, NULL}}},
        {"many.sleepers", "B", ouro_sleeping, "goroutine", .rival = bench_peer, .arg = &go_sleep,
         BENCH_BUDGET(4.4 * 1024), .note = "resident, for each of 1 000 000 sleeping tasks",
         .more = {{"asyncio, 100 000", bench_peer, &py_sleep, NULL}}},
    };
    return bench_main(argc, argv, "A million tasks", cases, BENCH_COUNT(cases));
}
