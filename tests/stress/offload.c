/* SPDX-License-Identifier: MIT */
/*
 * Several loops on several threads that share a pool and the lanes, and treat their jobs badly.
 *
 * Many rounds; in each, three threads run a loop that starts jobs by the hundred and awaits,
 * cancels, abandons, times out or forgets them, and ends while some of them still run. One of the
 * loops shuts the pool down in the middle; the sizes of lanes change all the time, and threads are
 * idle for microseconds only, so that they come and go.
 *
 * Invariants: a job runs at most once, and never after it was cancelled while it waited; its
 * argument is freed exactly once, also when it was refused, and never while it runs; what it
 * returned is destroyed exactly once; in the end there are as many threads as in the beginning.
 *
 * Exits with 0, or prints what went wrong and exits with 1.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ouro/ouro.h>

#include "stress.h"

enum { LOOPS = 3, JOBS = 150, AT_ONCE = 12 };

/* Belongs to a job; freed by its arg_free. */
struct order {
    unsigned microseconds;
    bool patient; /* does not stop when told to */
    bool object;  /* returns one */
    atomic_bool running;
    atomic_bool ran;
};

struct worker {
    pthread_t thread;
    uint64_t random;
    ouro_pool *pool;
    bool ends_pool;
    int64_t rc;
};

static atomic_llong made, freed, objects_made, objects_freed, ran, cancelled, refused, given_up;

static uint64_t random_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static unsigned below(uint64_t *state, unsigned limit)
{
    return (unsigned)(random_number(state) % limit);
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void free_order(void *arg)
{
    struct order *o = arg;
    must(!atomic_load(&o->running));
    atomic_fetch_add(&freed, 1);
    free(o);
}

static void free_object(void *ptr)
{
    atomic_fetch_add(&objects_freed, 1);
    free(ptr);
}

static int64_t work(void *arg)
{
    struct order *o = arg;
    must(!atomic_exchange(&o->ran, true));
    atomic_store(&o->running, true);
    uint64_t until = clock_ns() + o->microseconds * 1000u;
    while (clock_ns() < until && (o->patient || !ouro_job_cancelled()))
        ;
    if (o->object) {
        void *object = malloc(1);
        must(ouro_task_return(object, free_object) == 0);
        atomic_fetch_add(&objects_made, 1);
    }
    atomic_fetch_add(&ran, 1);
    atomic_store(&o->running, false);
    return o->microseconds % 7 == 0 ? -EIO : (int64_t)o->microseconds;
}

static ouro_future *start(struct worker *w)
{
    struct order *o = calloc(1, sizeof *o);
    must(o != NULL);
    o->microseconds = below(&w->random, 60);
    if (below(&w->random, 40) == 0)
        o->microseconds = 3000;
    o->patient = below(&w->random, 2);
    o->object = below(&w->random, 2);
    atomic_fetch_add(&made, 1);
    ouro_offload_options opts = {
        .arg_free = free_order,
        .abandon = below(&w->random, 3) == 0,
        .pool = below(&w->random, 2) ? w->pool : NULL,
        .lane = (ouro_lane)below(&w->random, 3),
    };
    return ouro_offload_with(work, o, &opts);
}

/* ---- A loop ---------------------------------------------------------------------------------- */

static void count(int64_t n)
{
    must(n >= 0 || n == -EIO || n == -ETIMEDOUT || n == -ESHUTDOWN || n == -OURO_ECHILDCANCELLED);
    atomic_fetch_add(&cancelled, n == -OURO_ECHILDCANCELLED);
    atomic_fetch_add(&refused, n == -ESHUTDOWN);
    atomic_fetch_add(&given_up, n == -ETIMEDOUT);
}

static void treat(struct worker *w, ouro_future *f)
{
    switch (below(&w->random, 6)) {
    case 0:
        ouro_cancel(f);
        ouro_detach(f);
        break;
    case 1:
        ouro_cancel(f);
        count(ouro_await(f));
        break;
    case 2:
        count(ouro_await(ouro_timeout(f, OURO_US(below(&w->random, 100)))));
        break;
    case 3:
        ouro_detach(f);
        break;
    default:
        count(ouro_await(f));
    }
}

static void no_report(const ouro_report *report, void *arg)
{
    (void)arg;
    must(report->kind == OURO_REPORT_UNREAD_ERROR);
}

static int64_t misbehave(void *arg)
{
    struct worker *w = arg;
    ouro_future *jobs[AT_ONCE] = {NULL};
    must(ouro_report_set_handler(no_report, NULL) == 0);
    for (unsigned i = 0; i < JOBS; i++) {
        ouro_future **slot = &jobs[below(&w->random, AT_ONCE)];
        if (*slot)
            treat(w, *slot);
        *slot = start(w);
        if (below(&w->random, 16) == 0)
            must(ouro_lane_set_threads((ouro_lane)below(&w->random, 3),
                                       1 + (int)below(&w->random, 4)) == 0);
        if (w->ends_pool && i == JOBS / 2)
            ouro_detach(ouro_pool_shutdown(w->pool, OURO_US(below(&w->random, 300))));
    }
    for (unsigned i = 0; i < AT_ONCE; i++)
        if (jobs[i])
            ouro_detach(jobs[i]); /* the end of the loop has to cope with them */
    return 0;
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    ouro_run_options opts = {.keep_sigint = 1};
    w->rc = ouro_run(misbehave, w, &opts);
    return NULL;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static unsigned count_threads(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");
    must(dir != NULL);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void *nothing(void *arg)
{
    return arg;
}

/* ThreadSanitizer has a thread of its own as soon as there are two others. */
static unsigned count_threads_before(void)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, nothing, NULL) == 0);
    must(pthread_join(thread, NULL) == 0);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* it may still be listed */
    return count_threads();
}

static void run_round(uint64_t *seed)
{
    struct worker workers[LOOPS];
    ouro_pool *pool;
    ouro_pool_options opts = {.idle = 1 + OURO_US(below(seed, 50))};
    must(ouro_pool_new(1 + (int)below(seed, 3), &opts, &pool) == 0);
    bool ends = below(seed, 2);
    for (int i = 0; i < LOOPS; i++) {
        workers[i] = (struct worker){
            .random = random_number(seed), .pool = pool, .ends_pool = ends && i == 0};
        must(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]) == 0);
    }
    for (int i = 0; i < LOOPS; i++) {
        must(pthread_join(workers[i].thread, NULL) == 0);
        must(workers[i].rc == 0);
    }
    ouro_pool_free(pool);
}

/* Abandoned jobs may outlive all loops, but not for long. */
static void wait_for_all(unsigned threads)
{
    for (int i = 0; i < 10000; i++) {
        if (atomic_load(&freed) == atomic_load(&made) && count_threads() == threads)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    must(freed == made);
    must(objects_freed == objects_made);
    must(count_threads() == threads);
}

int main(int argc, char **argv)
{
    int rounds = 150;
    uint64_t seed = 0x9e3779b97f4a7c15u;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--rounds") == 0)
            rounds = atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10) | 1;
    }
    unsigned threads = count_threads_before();
    for (int i = 0; i < rounds; i++)
        run_round(&seed);
    wait_for_all(threads);
    printf("%lld jobs: %lld ran, %lld cancelled, %lld given up, %lld refused\n", (long long)made,
           (long long)ran, (long long)cancelled, (long long)given_up, (long long)refused);
    return 0;
}
