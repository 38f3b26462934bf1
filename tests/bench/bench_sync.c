/* SPDX-License-Identifier: MIT */

/*
 * What locks and semaphores cost: taken when free, and handed from one task to another.
 *
 * In a hand-over two tasks take turns: each takes the lock, lets the other run into it, and gives
 * it back, so that every time it goes to a task that waits. The rivals do the same on one
 * processor.
 */

#define _GNU_SOURCE 1

#include <pthread.h>

#include "bench.h"
#include "peers.h"

#define ROUNDS 100000u
#define FREE   1000000u

/* ---- Free ------------------------------------------------------------------------------------ */

static int64_t mutex_free(void *arg)
{
    double *ret_figure = arg;
    ouro_mutex m = {0};
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < FREE; i++) {
        bench_check(ouro_mutex_lock(&m), "ouro_mutex_lock");
        bench_check(ouro_mutex_unlock(&m), "ouro_mutex_unlock");
    }
    *ret_figure = bench_cpu_per(start, FREE);
    return 0;
}

static int64_t sem_free(void *arg)
{
    double *ret_figure = arg;
    ouro_sem s;
    bench_check(ouro_sem_init(&s, 1, 1), "ouro_sem_init");
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < FREE; i++) {
        bench_check(ouro_sem_acquire(&s, 1), "ouro_sem_acquire");
        bench_check(ouro_sem_release(&s, 1), "ouro_sem_release");
    }
    *ret_figure = bench_cpu_per(start, FREE);
    return 0;
}

static double pthread_free(const void *arg)
{
    (void)arg;
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < FREE; i++) {
        pthread_mutex_lock(&m);
        pthread_mutex_unlock(&m);
    }
    return bench_cpu_per(start, FREE);
}

/* ---- Handed over ----------------------------------------------------------------------------- */

static int64_t take_mutex(void *arg)
{
    ouro_mutex *m = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        bench_check(ouro_mutex_lock(m), "ouro_mutex_lock");
        bench_check(ouro_yield(), "ouro_yield");
        bench_check(ouro_mutex_unlock(m), "ouro_mutex_unlock");
    }
    return 0;
}

static int64_t take_sem(void *arg)
{
    ouro_sem *s = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        bench_check(ouro_sem_acquire(s, 1), "ouro_sem_acquire");
        bench_check(ouro_yield(), "ouro_yield");
        bench_check(ouro_sem_release(s, 1), "ouro_sem_release");
    }
    return 0;
}

/* Two tasks that take turns with @arg. */
static double take_turns(ouro_task_fn *take, void *arg)
{
    uint64_t start = bench_cpu();
    ouro_future *other = ouro_spawn(take, arg);
    take(arg);
    bench_check(ouro_await(other), "the other task");
    return bench_cpu_per(start, 2.0 * ROUNDS);
}

static int64_t mutex_turns(void *arg)
{
    ouro_mutex m = {0};
    *(double *)arg = take_turns(take_mutex, &m);
    return 0;
}

static int64_t sem_turns(void *arg)
{
    ouro_sem s;
    bench_check(ouro_sem_init(&s, 1, 1), "ouro_sem_init");
    *(double *)arg = take_turns(take_sem, &s);
    return 0;
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

ROUND(ouro_mutex_free, mutex_free)
ROUND(ouro_sem_free, sem_free)
ROUND(ouro_mutex_turns, mutex_turns)
ROUND(ouro_sem_turns, sem_turns)

int main(int argc, char **argv)
{
    static const struct bench_peer go_mutex = {"sync.go", {"mutex"}, "Go: golang-go"},
                                   go_sem = {"sync.go", {"semaphore"}, "Go: golang-go"},
                                   py_mutex = {"sync.py", {"asyncio", "mutex"}, "asyncio: python3"},
                                   uv_mutex = {"sync.py",
                                               {"uvloop", "mutex"},
                                               "uvloop: python3-uvloop"},
                                   py_sem = {
                                       "sync.py", {"asyncio", "semaphore"}, "asyncio: python3"};
    static const struct bench_case cases[] = {
        {"sync.mutex-free", "ns", ouro_mutex_free, "pthread mutex", .rival = pthread_free,
         .note = "lock and unlock, nobody else wants it"},
        {"sync.sem-free", "ns", ouro_sem_free, "pthread mutex", .rival = pthread_free},
        {"sync.mutex", "ns", ouro_mutex_turns, "Go sync.Mutex", .rival = bench_peer,
         .arg = &go_mutex,
         .note = "lock, let the other task run into it, unlock: handed over each time",
         .more = {{"asyncio.Lock", bench_peer, &py_mutex, NULL},
                  {"asyncio.Lock, uvloop", bench_peer, &uv_mutex, NULL}}},
        {"sync.sem", "ns", ouro_sem_turns, "Go channel of 1", .rival = bench_peer, .arg = &go_sem,
         .more = {{"asyncio.Semaphore", bench_peer, &py_sem, NULL}}},
    };
    return bench_main(argc, argv, "Locks", cases, BENCH_COUNT(cases));
}
