/* SPDX-License-Identifier: MIT */

/*
 * What is counted, not timed: visits to the kernel for each turn of the loop, and calls of the
 * allocator for each operation once the pools are warm.
 *
 * The loop counts both itself. strace(1) counts the first once more, from outside: this program
 * runs itself under it with the word "traced" and compares.
 */

#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define TIMES 2000u

/* ---- Workloads: one operation each ----------------------------------------------------------- */

static int64_t end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static void ignore_done(ouro_future *f, void *arg)
{
    (void)f;
    (void)arg;
}

static void ignore_call(void *arg)
{
    (void)arg;
}

static ouro_future *pass_on(ouro_future *done, void *arg)
{
    (void)done;
    (void)arg;
    return NULL;
}

static void do_nop(void)
{
    bench_check(ouro_await(bench_nop()), "NOP");
}

static void do_32_nops(void)
{
    ouro_future *fs[32];
    for (unsigned i = 0; i < BENCH_COUNT(fs); i++)
        fs[i] = bench_nop();
    for (unsigned i = 0; i < BENCH_COUNT(fs); i++)
        bench_check(ouro_await(fs[i]), "NOP");
}

static void do_spawn(void)
{
    ouro_await(ouro_spawn(end_at_once, NULL));
}

static void do_promise(void)
{
    ouro_promise *p;
    ouro_future *f;
    bench_check(ouro_promise_new(&p, &f), "ouro_promise_new");
    ouro_on_done(f, ignore_done, NULL);
    ouro_promise_resolve(p, (ouro_result){.n = 1}, NULL);
    ouro_promise_free(p);
    ouro_await(f);
    ouro_yield();
}

static void do_sleep(void)
{
    ouro_await(ouro_sleep(1));
}

/* Long enough to be waited for. */
static void do_wait(void)
{
    ouro_await(ouro_sleep(OURO_US(20)));
}

static void do_cancel(void)
{
    ouro_future *f = ouro_sleep(OURO_SEC(1));
    ouro_cancel(f);
    ouro_await(f);
}

static void do_call(void)
{
    ouro_call_soon(ignore_call, NULL, NULL, NULL);
    ouro_yield();
}

static void do_post(void)
{
    ouro_loop_post(ouro_loop_current(), ignore_call, NULL, NULL);
    ouro_yield();
}

static void do_then(void)
{
    ouro_await(ouro_then(bench_nop(), pass_on, NULL));
}

static void do_timeout(void)
{
    ouro_await(ouro_timeout(bench_nop(), OURO_SEC(1)));
}

static void do_gather(void)
{
    ouro_future *fs[8];
    for (unsigned i = 0; i < BENCH_COUNT(fs); i++)
        fs[i] = bench_nop();
    ouro_await(ouro_gather(fs, BENCH_COUNT(fs), OURO_GATHER_ALL, NULL));
}

static void do_scope(void)
{
    ouro_scope scope;
    ouro_scope_options opts = {.timeout = OURO_SEC(1)};
    bench_check(ouro_scope_enter(&scope, &opts), "ouro_scope_enter");
    ouro_scope_exit(&scope, ouro_await(bench_nop()));
}

static void do_yield(void)
{
    ouro_yield();
}

/* ---- Counting -------------------------------------------------------------------------------- */

struct operation {
    const char *name;
    const char *unit;
    double budget;
    bench_round *counter;
    void (*run)(void);
};

struct job {
    void (*run)(void);
    ouro_loop_stats before, after;
};

static int64_t repeat(void *arg)
{
    struct job *job = arg;
    ouro_loop *loop = ouro_loop_current();
    for (unsigned i = 0; i < TIMES; i++)
        job->run();
    bench_check(ouro_loop_stats_get(loop, &job->before), "ouro_loop_stats_get");
    for (unsigned i = 0; i < TIMES; i++)
        job->run();
    bench_check(ouro_loop_stats_get(loop, &job->after), "ouro_loop_stats_get");
    return 0;
}

static struct job count(const struct operation *operation)
{
    struct job job = {.run = operation->run};
    bench_run(repeat, &job, 0);
    return job;
}

static double enters(const void *operation)
{
    struct job job = count(operation);
    return (double)(job.after.enters - job.before.enters) /
           (double)(job.after.turns - job.before.turns);
}

static double allocations(const void *operation)
{
    struct job job = count(operation);
    return (double)(job.after.allocations - job.before.allocations) / TIMES;
}

/* ---- strace ---------------------------------------------------------------------------------- */

/* In the traced process: the loop's own count on stdout, complete since the loop is closed at
 * once. */
static int run_traced(void)
{
    ouro_loop *loop;
    ouro_loop_options opts = {.debug = -1};
    struct job job = {.run = do_nop};
    bench_check(ouro_loop_new(&opts, &loop), "ouro_loop_new");
    bench_check(ouro_loop_run_until(loop, ouro_spawn(repeat, &job)), "ouro_loop_run_until");
    bench_check(ouro_loop_stats_get(loop, &job.after), "ouro_loop_stats_get");
    printf("counted %llu\n", (unsigned long long)job.after.enters);
    ouro_loop_close(loop);
    return 0;
}

/* Lines of `strace -c`: "100.00 0.001234 1 4002 io_uring_enter", after 2>&1 beside our own. */
static double traced(double *ret_counted)
{
    char command[512], self[256] = "", line[256];
    double calls = NAN, skip[3];
    *ret_counted = NAN;
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return NAN;
    snprintf(command, sizeof command,
             "strace -c -f -e trace=io_uring_enter '%s' traced 2>&1 </dev/null", self);
    FILE *pipe = popen(command, "r");
    while (pipe && fgets(line, sizeof line, pipe)) {
        sscanf(line, "counted %lf", ret_counted);
        if (strstr(line, " io_uring_enter"))
            sscanf(line, "%lf %lf %lf %lf", &skip[0], &skip[1], &skip[2], &calls);
    }
    if (pipe)
        pclose(pipe);
    return isnan(calls) ? bench_skip("system calls from outside: strace is missing or not allowed")
                        : calls;
}

static double strace_calls;

static double counted_by_loop(const void *arg)
{
    double counted;
    (void)arg;
    strace_calls = traced(&counted);
    return counted;
}

static double counted_by_strace(const void *arg)
{
    (void)arg;
    return strace_calls; /* of the run that counted_by_loop() has just made */
}

/* ---- Table ----------------------------------------------------------------------------------- */

static const struct operation operations[] = {
    {"enters.nop", "a turn", 1, enters, do_nop},
    {"enters.nop-32", "a turn", 1, enters, do_32_nops},
    {"enters.timer", "a turn", 1, enters, do_wait},
    {"enters.yield", "a turn", 1, enters, do_yield},
    {"malloc.spawn", "each", 0, allocations, do_spawn},
    {"malloc.promise", "each", 0, allocations, do_promise},
    {"malloc.sleep", "each", 0, allocations, do_sleep},
    {"malloc.cancel", "each", 0, allocations, do_cancel},
    {"malloc.operation", "each", 0, allocations, do_nop},
    {"malloc.call-soon", "each", 0, allocations, do_call},
    {"malloc.post", "each", 0, allocations, do_post},
    {"malloc.then", "each", 0, allocations, do_then},
    {"malloc.timeout", "each", 0, allocations, do_timeout},
    {"malloc.scope", "each", 0, allocations, do_scope},
    {"malloc.gather-8", "each", 0, allocations, do_gather},
};

int main(int argc, char **argv)
{
    struct bench_case cases[BENCH_COUNT(operations) + 1] = {
        {"enters.strace", "all", counted_by_loop, "strace -c", .rival = counted_by_strace,
         .note =
             "io_uring_enter(2) for 4000 awaited NOPs: the loop's own count, and from outside"}};
    if (argc == 2 && strcmp(argv[1], "traced") == 0)
        return run_traced();
    for (size_t i = 0; i < BENCH_COUNT(operations); i++) {
        const struct operation *op = &operations[i];
        cases[i + 1] = (struct bench_case){.name = op->name,
                                           .unit = op->unit,
                                           .ouro = op->counter,
                                           .arg = op,
                                           BENCH_BUDGET(op->budget)};
    }
    return bench_main(argc, argv, "Counted", cases, BENCH_COUNT(cases));
}
