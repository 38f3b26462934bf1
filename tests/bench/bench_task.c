/* SPDX-License-Identifier: MIT */

/*
 * What tasks cost: awaiting what is there, letting another run, handing a value over, and a whole
 * life from spawn to join.
 *
 * Every round is an ouro_run() of its own; the main task warms the pools up, then measures. The
 * figures are whole, as a program sees them: the loop's turns between two tasks are part of them.
 */

#define _GNU_SOURCE 1

#include <pthread.h>

#include "bench.h"
#include "swap.h"

/* ---- Await of a future that is done ---------------------------------------------------------- */

#define AWAITS 204800u
#define BATCH  4096u

/* Each await gives a reference up; they are taken while the clock does not count. */
static int64_t await_done(void *arg)
{
    double *ret_figure = arg;
    ouro_future *f = ouro_ready(1);
    int64_t sum = 0;
    uint64_t took = 0;
    for (unsigned batch = 0; batch < AWAITS / BATCH; batch++) {
        for (unsigned i = 0; i < BATCH; i++)
            ouro_ref(f);
        uint64_t start = bench_cpu();
        for (unsigned i = 0; i < BATCH; i++)
            sum += ouro_await(f);
        took += bench_cpu() - start;
    }
    *ret_figure = (double)took / AWAITS;
    ouro_unref(f);
    return sum == AWAITS ? 0 : -1;
}

static int64_t join_done(void *arg)
{
    double *ret_figure = arg;
    ouro_future *f = ouro_ready(1);
    int64_t sum = 0;
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < AWAITS; i++)
        sum += ouro_join(f);
    *ret_figure = bench_cpu_per(start, AWAITS);
    ouro_unref(f);
    return sum == AWAITS ? 0 : -1;
}

static int64_t ready_and_await(void *arg)
{
    double *ret_figure = arg;
    int64_t sum = 0;
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < AWAITS; i++)
        sum += ouro_await(ouro_ready(1));
    *ret_figure = bench_cpu_per(start, AWAITS);
    return sum == AWAITS ? 0 : -1;
}

static int64_t one(void *arg)
{
    (void)arg;
    return 1;
}

static double call_pointer(const void *arg)
{
    (void)arg;
    ouro_task_fn *volatile fn = one; /* read each time, so that the compiler cannot know it */
    int64_t sum = 0;
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < AWAITS; i++)
        sum += fn(NULL);
    return sum == AWAITS ? bench_cpu_per(start, AWAITS) : NAN;
}

/* ---- Yield and hand-over --------------------------------------------------------------------- */

#define SWITCHES 50000u

static int64_t yield_often(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < SWITCHES; i++)
        bench_check(ouro_yield(), "ouro_yield");
    return 0;
}

static int64_t two_yield(void *arg)
{
    double *ret_figure = arg;
    ouro_future *other = ouro_spawn(yield_often, NULL);
    ouro_yield();
    uint64_t start = bench_cpu();
    yield_often(NULL);
    *ret_figure = bench_cpu_per(start, SWITCHES);
    return ouro_await(other);
}

/* Where two tasks meet: the promise that the one waiting wants resolved. */
struct meeting {
    ouro_promise *wanted;
};

static int64_t wait_for_other(struct meeting *own)
{
    ouro_future *f;
    bench_check(ouro_promise_new(&own->wanted, &f), "ouro_promise_new");
    return ouro_await(f);
}

static void hand_over(struct meeting *to)
{
    ouro_promise *p = to->wanted;
    bench_check(ouro_promise_resolve(p, (ouro_result){.n = 1}, NULL), "ouro_promise_resolve");
    ouro_promise_free(p);
}

static int64_t answer_each(void *arg)
{
    struct meeting *both = arg;
    int64_t got = wait_for_other(&both[1]);
    for (unsigned i = 1; i < SWITCHES; i++) {
        hand_over(&both[0]);
        got += wait_for_other(&both[1]);
    }
    return got;
}

static int64_t two_hand_over(void *arg)
{
    double *ret_figure = arg;
    struct meeting both[2];
    ouro_future *other = ouro_spawn(answer_each, both);
    ouro_yield();
    uint64_t start = bench_cpu();
    for (unsigned i = 1; i < SWITCHES; i++) {
        hand_over(&both[1]);
        wait_for_other(&both[0]);
    }
    *ret_figure = bench_cpu_per(start, 2.0 * (SWITCHES - 1));
    hand_over(&both[1]);
    return ouro_await(other) == SWITCHES ? 0 : -1;
}

/* ---- Spawn, run, join ------------------------------------------------------------------------ */

#define SPAWNS 20000u
#define CROWD  100u

static int64_t spawn_one_by_one(void *arg)
{
    double *ret_figure = arg;
    int64_t sum = 0;
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < SPAWNS; i++)
        sum += ouro_await(ouro_spawn(one, NULL));
    *ret_figure = bench_cpu_per(start, SPAWNS);
    return sum == SPAWNS ? 0 : -1;
}

static int64_t spawn_crowd(void)
{
    ouro_future *tasks[CROWD];
    int64_t sum = 0;
    for (unsigned i = 0; i < CROWD; i++)
        tasks[i] = ouro_spawn(one, NULL);
    for (unsigned i = 0; i < CROWD; i++)
        sum += ouro_await(tasks[i]);
    return sum;
}

static int64_t spawn_crowds(void *arg)
{
    double *ret_figure = arg;
    int64_t sum = spawn_crowd();
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < SPAWNS / CROWD; i++)
        sum += spawn_crowd();
    *ret_figure = bench_cpu_per(start, SPAWNS);
    return sum == SPAWNS + CROWD ? 0 : -1;
}

static void *do_nothing(void *arg)
{
    return arg;
}

static double pthread_life(const void *arg)
{
    (void)arg;
    unsigned n = 300;
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < n; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, do_nothing, NULL) != 0)
            bench_fail("no thread");
        pthread_join(thread, NULL);
    }
    return bench_cpu_per(start, n);
}

/* ---- Table ----------------------------------------------------------------------------------- */

#define ROUND(name, body)               \
    static double name(const void *arg) \
    {                                   \
        double figure = NAN;            \
        (void)arg;                      \
        bench_run(body, &figure, 0);    \
        return figure;                  \
    }

ROUND(ouro_await_done, await_done)
ROUND(ouro_join_done, join_done)
ROUND(ouro_ready_await, ready_and_await)
ROUND(ouro_two_yield, two_yield)
ROUND(ouro_two_hand_over, two_hand_over)
ROUND(ouro_spawn_join, spawn_one_by_one)
ROUND(ouro_spawn_crowds, spawn_crowds)

int main(int argc, char **argv)
{
    static const unsigned single = 1;
    static const struct bench_case cases[] = {
        {"await.done", "ns", ouro_await_done, "call through a pointer", .rival = call_pointer,
         BENCH_BUDGET(12), .note = "the rival is a floor: a call, and nothing to wait for"},
        {"await.join-done", "ns", ouro_join_done, "call through a pointer", .rival = call_pointer},
        {"await.ready", "ns", ouro_ready_await, "call through a pointer", .rival = call_pointer,
         .note = "as await.done, with a future made and freed each time"},
        {"task.yield", "ns", ouro_two_yield, "swapcontext pair", .rival = swap_pair, .arg = &single,
         BENCH_BUDGET(40), .note = "from a task to another that is ready, and back"},
        {"task.hand-over", "ns", ouro_two_hand_over, "swapcontext pair", .rival = swap_pair,
         .arg = &single, BENCH_BUDGET(80),
         .note = "one way: promise made, resolved by the other task, awaited, freed"},
        {"task.spawn-join", "ns", ouro_spawn_join, "pthread create + join", .rival = pthread_life,
         BENCH_BUDGET(150), .note = "one at a time",
         .more = {{"swapcontext, pooled stack", swap_spawn, NULL, NULL}}},
        {"task.spawn-join-100", "ns", ouro_spawn_crowds, "swapcontext, pooled stack",
         .rival = swap_spawn, BENCH_BUDGET(150), .note = "100 spawned, then 100 awaited; for each"},
    };
    return bench_main(argc, argv, "Tasks", cases, BENCH_COUNT(cases));
}
