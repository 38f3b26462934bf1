/* SPDX-License-Identifier: MIT */

/*
 * What waiting costs in memory: resident bytes of a sleeping future and of a sleeping task, and the
 * sizes of the objects themselves.
 *
 * A round is a process of its own that makes its objects and compares VmRSS of /proc/self/status
 * before and after. What the kernel keeps for its own part, such as page tables or a thread's
 * kernel stack, is in nobody's figure.
 */

#define _GNU_SOURCE 1

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "future_int.h"

#ifdef BENCH_HAVE_UV
#    include <uv.h>
#endif

#define MANY    100000u
#define THREADS 1000u
#define ASLEEP  OURO_SEC(100000)

/* ---- ouro ------------------------------------------------------------------------------------ */

/* Sleeping objects are simply left behind: the process ends after the round. */
static double grow(ouro_future *(*make)(void))
{
    ouro_loop *loop;
    ouro_loop_options opts = {.debug = -1};
    bench_check(ouro_loop_new(&opts, &loop), "ouro_loop_new");
    ouro_detach(make());
    ouro_loop_step(loop, 0);
    double before = bench_resident();
    for (unsigned i = 0; i < MANY; i++)
        ouro_detach(make());
    ouro_loop_step(loop, 0); /* tasks run up to their sleep */
    return (bench_resident() - before) / MANY;
}

static int64_t sleep_in_task(void *arg)
{
    (void)arg;
    return ouro_await(ouro_sleep(ASLEEP));
}

static ouro_future *make_sleep(void)
{
    return ouro_sleep(ASLEEP);
}

static ouro_future *make_task(void)
{
    return ouro_spawn(sleep_in_task, NULL);
}

static double grow_sleeps(const void *arg)
{
    (void)arg;
    return grow(make_sleep);
}

static double grow_tasks(const void *arg)
{
    (void)arg;
    return grow(make_task);
}

static double ouro_sleeping(const void *arg)
{
    return bench_in_child(grow_sleeps, arg);
}

static double ouro_tasks(const void *arg)
{
    return bench_in_child(grow_tasks, arg);
}

/* ---- Rivals ---------------------------------------------------------------------------------- */

#ifdef BENCH_HAVE_UV
static void never(uv_timer_t *timer)
{
    (void)timer;
    bench_fail("a timer of 100 000 s fired");
}

static double grow_uv(const void *arg)
{
    (void)arg;
    uv_loop_t loop;
    bench_check(uv_loop_init(&loop), "uv_loop_init");
    double before = bench_resident();
    for (unsigned i = 0; i < MANY; i++) {
        uv_timer_t *timer = bench_alloc(sizeof *timer);
        uv_timer_init(&loop, timer);
        uv_timer_start(timer, never, ASLEEP / OURO_MS(1), 0);
    }
    return (bench_resident() - before) / MANY;
}

static double uv_sleeping(const void *arg)
{
    return bench_in_child(grow_uv, arg);
}
#endif

static pthread_barrier_t started;

static void *sleep_in_thread(void *arg)
{
    pthread_barrier_wait(&started);
    pause();
    return arg;
}

static double grow_threads(const void *arg)
{
    (void)arg;
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    pthread_barrier_init(&started, NULL, THREADS + 1);
    double before = bench_resident();
    for (unsigned i = 0; i < THREADS; i++)
        if (pthread_create(&thread, &attr, sleep_in_thread, NULL) != 0)
            bench_fail("no %u threads", THREADS);
    pthread_barrier_wait(&started);
    return (bench_resident() - before) / THREADS;
}

static double threads(const void *arg)
{
    return bench_in_child(grow_threads, arg);
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

static double size_of(ouro_future *f)
{
    double size = (double)f->kind->size;
    ouro_cancel(f);
    ouro_unref(f);
    return size;
}

static int64_t read_sizes(void *arg)
{
    double *sizes = arg;
    sizes[0] = size_of(ouro_sleep(ASLEEP));
    sizes[1] = size_of(bench_nop());
    sizes[2] = size_of(ouro_spawn(sleep_in_task, NULL));
    return 0;
}

static double size_round(const void *arg)
{
    double sizes[3];
    bench_run(read_sizes, sizes, 0);
    return sizes[*(const unsigned *)arg];
}

static double size_base(const void *arg)
{
    (void)arg;
    return sizeof(struct ouro_future);
}

int main(int argc, char **argv)
{
    static const unsigned sleep = 0, op = 1, task = 2;
    static const struct bench_case cases[] = {
        {"memory.sleep", "B", ouro_sleeping, "libuv uv_timer_t, malloc", BENCH_UV(uv_sleeping),
         BENCH_BUDGET(160), .note = "resident, for each of 100 000 sleeping futures"},
        {"memory.task", "B", ouro_tasks, "pthread, 64 KiB stack", .rival = threads,
         BENCH_BUDGET(4.4 * 1024),
         .note = "resident, for each of 100 000 sleeping tasks (1000 threads)"},
        {"size.future", "B", size_base, .rival_name = NULL, BENCH_BUDGET(128),
         .note = "what every future has"},
        {"size.sleep", "B", size_round, .arg = &sleep, BENCH_BUDGET(128)},
        {"size.operation", "B", size_round, .arg = &op},
        {"size.task", "B", size_round, .arg = &task, .note = "without its stack"},
    };
    return bench_main(argc, argv, "Memory", cases, BENCH_COUNT(cases));
}
