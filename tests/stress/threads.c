/* SPDX-License-Identifier: MIT */
/*
 * Workers that call each other, and plain threads that have work done on them, while all of it is
 * cancelled at random and loops close under the load.
 *
 * A round is one ouro_run_workers(). Each worker runs tasks that call random workers, whose tasks
 * may call on; they await, bound, cancel, gather or detach. Two threads without a loop start work
 * by remotes all the while, and go on until every loop has refused them. Workers end when their own
 * tasks have, one after the other; in every third round one fails in the middle, which cancels the
 * rest.
 *
 * Invariants: every call and every remote settles, with one of the results it may have; every
 * object and argument is freed exactly once, on a thread that may; nothing is accepted after a
 * refusal. A hang is a fault too.
 *
 * Exits with 0, or prints what went wrong and exits with 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ouro/ouro.h>

#include "stress.h"

enum { WORKERS = 4, TASKS = 4, STRANGERS = 2 };

static struct {
    uint64_t seed;
    int calls;   /* of each task */
    int failing; /* the worker that fails; -1: none */
    ouro_loop *loops[WORKERS];
    atomic_int up;
    atomic_long objects, args; /* made and not freed */
} round_;

static atomic_long calls_made, remotes_made, outcomes[4];

enum { VALUE, CANCELLED, SHUT, OTHER };

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static unsigned pick(uint64_t *seed, unsigned n)
{
    return (unsigned)(next(seed) >> 20) % n;
}

static void note(int64_t n)
{
    int kind = n >= 0 ? VALUE : n == -ECANCELED ? CANCELLED : n == -ESHUTDOWN ? SHUT : OTHER;
    atomic_fetch_add(&outcomes[kind], 1);
    must(n >= 0 || n == -ECANCELED || n == -ESHUTDOWN || n == -EIO || n == -ETIMEDOUT ||
         n == -OURO_ECHILDCANCELLED);
}

/* ---- Objects --------------------------------------------------------------------------------- */

static void *make(atomic_long *count)
{
    int *object = malloc(sizeof *object);
    must(object != NULL);
    *object = 42;
    atomic_fetch_add(count, 1);
    return object;
}

static void unmake(void *object, atomic_long *count)
{
    must(*(int *)object == 42);
    *(int *)object = 0;
    free(object);
    atomic_fetch_sub(count, 1);
}

static void free_object(void *object)
{
    unmake(object, &round_.objects);
}

static void free_arg(void *arg)
{
    unmake(arg, &round_.args);
}

/* ---- Workers --------------------------------------------------------------------------------- */

static int64_t work(void *arg);

/* A number that says all that a piece of work needs to know; the low bits are how deep it is. */
static void *order(uint64_t *seed, unsigned depth)
{
    return (void *)(uintptr_t)((next(seed) & ~UINT64_C(3)) | depth);
}

static ouro_future *call(uint64_t *seed, unsigned depth)
{
    atomic_fetch_add(&calls_made, 1);
    return ouro_loop_call(ouro_worker_loop((int)pick(seed, WORKERS)), work, order(seed, depth));
}

static int64_t await_object(ouro_future *f)
{
    int64_t n;
    void *object = ouro_await_ptr(f, &n);
    if (object)
        free_object(object);
    return n;
}

static int64_t await_several(uint64_t *seed, unsigned depth)
{
    ouro_future *calls[4];
    for (int i = 0; i < 4; i++)
        calls[i] = call(seed, depth);
    return ouro_await(ouro_gather(calls, 4, OURO_GATHER_ALL, NULL));
}

static int64_t cancel_and_await(uint64_t *seed, unsigned depth)
{
    ouro_future *f = call(seed, depth);
    for (unsigned i = pick(seed, 4); i > 0; i--)
        if (ouro_yield() < 0)
            break;
    ouro_cancel(f);
    return await_object(f);
}

/* One call in one of the ways there are. What it comes to is noted. */
static void call_somehow(uint64_t *seed, unsigned depth)
{
    switch (pick(seed, 6)) {
    case 0:
        note(ouro_await(call(seed, depth)));
        break;
    case 1:
        note(await_object(call(seed, depth)));
        break;
    case 2:
        note(ouro_await(ouro_timeout(call(seed, depth), OURO_US(pick(seed, 300)))));
        break;
    case 3:
        note(cancel_and_await(seed, depth));
        break;
    case 4:
        note(await_several(seed, depth));
        break;
    default:
        ouro_detach(call(seed, depth));
    }
}

/* What is done on another loop. */
static int64_t work(void *arg)
{
    uint64_t seed = (uintptr_t)arg | 4;
    unsigned depth = (uintptr_t)arg & 3;
    switch (pick(&seed, 7)) {
    case 0:
        return 1;
    case 1:
        return ouro_yield();
    case 2:
        return ouro_await(ouro_sleep(OURO_US(pick(&seed, 300))));
    case 3:
        return ouro_task_return(make(&round_.objects), free_object);
    case 4:
        ouro_await(ouro_sleep(OURO_US(pick(&seed, 300))));
        return ouro_task_return(make(&round_.objects), free_object);
    case 5:
        return -EIO;
    default:
        if (depth > 0)
            call_somehow(&seed, depth - 1);
        return 2;
    }
}

/* The strangers wait for all loops, so there must be all. */
static int64_t fail(void)
{
    while (atomic_load(&round_.up) < WORKERS)
        ouro_yield();
    return -EIO;
}

static int64_t caller(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    for (int i = 0; i < round_.calls; i++) {
        call_somehow(&seed, 2);
        if (round_.failing == ouro_worker_index() && i == round_.calls / 2)
            return fail();
        if (ouro_cancel_reason())
            return -ECANCELED;
    }
    return 1;
}

static void ignore_report(const ouro_report *report, void *arg)
{
    (void)arg;
    must(report->kind == OURO_REPORT_UNREAD_ERROR);
}

static int64_t worker_main(void *arg)
{
    int me = ouro_worker_index();
    uint64_t seed = round_.seed + (uint64_t)me * 77;
    ouro_future *callers[TASKS];
    (void)arg;
    must(ouro_report_set_handler(ignore_report, NULL) == 0);
    round_.loops[me] = ouro_loop_ref(ouro_loop_current());
    atomic_fetch_add(&round_.up, 1);
    for (int i = 0; i < TASKS; i++)
        callers[i] = ouro_spawn(caller, order(&seed, 1));
    return ouro_await(ouro_gather(callers, TASKS, OURO_GATHER_ALL, NULL));
}

/* ---- Threads without a loop ------------------------------------------------------------------ */

static int64_t work_with_arg(void *arg)
{
    must(*(int *)arg == 42);
    static atomic_uint n;
    return work((void *)(uintptr_t)(atomic_fetch_add(&n, 1) * UINT64_C(0x9e3779b97f4a7c15)));
}

static void use(ouro_remote *r, uint64_t *seed)
{
    unsigned what = pick(seed, 5);
    if (what == 0)
        return;
    if (what == 1)
        ouro_remote_cancel(r);
    if (what == 2 && ouro_remote_wait(r, OURO_US(pick(seed, 200))) == -EAGAIN)
        ouro_remote_cancel(r);
    note(ouro_remote_wait(r, OURO_FOREVER));
    ouro_free_fn *fn;
    void *object = what == 3 ? ouro_remote_take(r, &fn) : NULL;
    if (object)
        fn(object);
}

static void *stranger(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    ouro_spawn_options opts = {.arg_free = free_arg};
    bool refused[WORKERS] = {false};
    int left = WORKERS;
    while (atomic_load(&round_.up) < WORKERS)
        sched_yield();
    while (left > 0) {
        unsigned to = pick(&seed, WORKERS);
        ouro_remote *r = NULL;
        bool blind = pick(&seed, 8) == 0;
        void *order_arg = make(&round_.args);
        int rc = ouro_remote_spawn(round_.loops[to], work_with_arg, order_arg, &opts,
                                   blind ? NULL : &r);
        must(rc == 0 || rc == -ESHUTDOWN);
        must(rc < 0 || !refused[to]);
        if (rc < 0) {
            free_arg(order_arg);
            left -= !refused[to];
            refused[to] = true;
            continue;
        }
        atomic_fetch_add(&remotes_made, 1);
        if (r)
            use(r, &seed);
        ouro_remote_free(r);
    }
    return NULL;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static void play(uint64_t seed, int calls, int failing)
{
    pthread_t strangers[STRANGERS];
    round_.seed = seed;
    round_.calls = calls;
    round_.failing = failing;
    atomic_store(&round_.up, 0);
    for (int i = 0; i < STRANGERS; i++)
        must(pthread_create(&strangers[i], NULL, stranger, order(&seed, 1)) == 0);
    int64_t rc = ouro_run_workers(WORKERS, worker_main, NULL, NULL);
    must(failing < 0 ? rc == 0 : rc == -EIO);
    for (int i = 0; i < STRANGERS; i++)
        must(pthread_join(strangers[i], NULL) == 0);
    for (int i = 0; i < WORKERS; i++)
        ouro_loop_unref(round_.loops[i]);
    must(atomic_load(&round_.objects) == 0);
    must(atomic_load(&round_.args) == 0);
}

int main(int argc, char **argv)
{
    uint64_t seed = 20261;
    int rounds = 30, calls = 150;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--calls") == 0)
            calls = atoi(argv[i + 1]);
    }
    for (int i = 0; i < rounds; i++)
        play(next(&seed), calls, i % 3 == 2 ? i % WORKERS : -1);
    printf("%ld calls, %ld remotes: %ld values, %ld cancelled, %ld refused by a closing loop, %ld "
           "other errors\n",
           atomic_load(&calls_made), atomic_load(&remotes_made), atomic_load(&outcomes[VALUE]),
           atomic_load(&outcomes[CANCELLED]), atomic_load(&outcomes[SHUT]),
           atomic_load(&outcomes[OTHER]));
    return 0;
}
