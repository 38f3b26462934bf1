/* SPDX-License-Identifier: MIT */
#ifndef OURO_POOL_TEST_H
#define OURO_POOL_TEST_H

/*
 * What the tests of pools share: jobs that stop where a test wants them, and a census of threads.
 *
 * Threads are real, so these tests run on the kernel. No job calls check(): Criterion's own
 * checks are for the test's thread.
 */

#define _GNU_SOURCE
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

/* A test whose body is a task of a loop on the kernel. */
#define PoolTest(suite, name)                        \
    static int64_t suite##_##name(void *unused);     \
    Test(suite, name)                                \
    {                                                \
        begin_kernel();                              \
        check_eq(run_main(suite##_##name, NULL), 0); \
        end();                                       \
        await_threads(0);                            \
    }                                                \
    static int64_t suite##_##name(void *unused __attribute__((unused)))

static inline void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---- A job that stops at a gate -------------------------------------------------------------- */

struct gate {
    atomic_int entered; /* jobs that have come to it */
    atomic_int open;    /* not 0: go on */
    int64_t n;          /* what the job returns; with OBEY, -ECANCELED if it was told to stop */
    atomic_int saw_cancel;
    atomic_int returned;
    bool obey;
    void *object; /* for ouro_task_return() */
    ouro_free_fn *object_free;
    pthread_t thread; /* that it ran on */
};

static inline int64_t pass_gate(void *arg)
{
    struct gate *g = arg;
    g->thread = pthread_self();
    atomic_fetch_add(&g->entered, 1);
    while (!atomic_load(&g->open) && !(g->obey && ouro_job_cancelled()))
        pause_ms(1);
    atomic_store(&g->saw_cancel, ouro_job_cancelled());
    if (g->object)
        ouro_task_return(g->object, g->object_free);
    int64_t n = g->obey && ouro_job_cancelled() ? -ECANCELED : g->n;
    atomic_fetch_add(&g->returned, 1);
    return n;
}

/* Wait, in a task, until @counter is @n or more: the loop goes on meanwhile. */
static inline void await_count(atomic_int *counter, int n)
{
    for (int i = 0; i < 20000 && atomic_load(counter) < n; i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check(atomic_load(counter) >= n);
}

/* The same by blocking the thread. */
static inline void block_until(atomic_int *counter, int n)
{
    for (int i = 0; i < 20000 && atomic_load(counter) < n; i++)
        pause_ms(1);
    check(atomic_load(counter) >= n);
}

/* ---- What is destroyed, and where ------------------------------------------------------------ */

struct fate {
    atomic_int freed;
    pthread_t thread; /* that did it */
};

static inline void meet_fate(void *ptr)
{
    struct fate *fate = ptr;
    fate->thread = pthread_self();
    atomic_fetch_add(&fate->freed, 1);
}

/* Once, on this thread. */
static inline void check_freed_here(struct fate *fate)
{
    check_eq(atomic_load(&fate->freed), 1);
    check(pthread_equal(fate->thread, pthread_self()));
}

/* ---- Threads of the process ------------------------------------------------------------------ */

static inline unsigned list_threads(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* Criterion has threads as well, but not in a child of ours. */
static unsigned threads_before;
static pid_t counted_in;

static inline void count_threads_before(void)
{
    threads_before = list_threads();
    counted_in = getpid();
}

/* Threads beside this one that are none of Criterion's. */
static inline unsigned count_threads(void)
{
    return list_threads() - (getpid() == counted_in ? threads_before : 1);
}

/* A thread that was joined may be listed for a moment longer. */
static inline bool threads_become(unsigned n)
{
    for (int i = 0; i < 5000 && count_threads() != n; i++)
        pause_ms(1);
    return count_threads() == n;
}

static inline void await_threads(unsigned n)
{
    if (!threads_become(n))
        cr_assert_fail("there are %u threads, not %u", count_threads(), n);
}

static inline int64_t fail(void *arg)
{
    (void)arg;
    return -EIO;
}

struct owned {
    struct fate fate;
    struct gate gate;
};

static inline int64_t pass_owned_gate(void *arg)
{
    return pass_gate(&((struct owned *)arg)->gate);
}

static inline int64_t offload_one(void *arg)
{
    struct gate g = {.open = 1};
    (void)arg;
    return ouro_await(ouro_offload(pass_gate, &g));
}

#endif
