/* SPDX-License-Identifier: MIT */
/*
 * Workers: a loop on each of four threads. Worker 0 has the others add up a part each, on their own
 * loops, and a thread that has no loop waits for what it comes to.
 */
#include <ouro/ouro.h>

#include <pthread.h>
#include <stdio.h>

enum { WORKERS = 4, PART = 1000000 };

static ouro_event over[WORKERS]; /* each belongs to the loop of its worker */
static pthread_t outsider;

static int64_t add_part(void *arg)
{
    const int64_t *first = arg;
    int64_t sum = 0;
    for (int64_t i = *first; i < *first + PART; i++)
        sum += i;
    return sum;
}

static int64_t let_go(void *arg)
{
    (void)arg;
    return ouro_event_set(&over[ouro_worker_index()]);
}

static int64_t add_up(void *arg)
{
    (void)arg;
    ouro_future *parts[WORKERS - 1];
    ouro_result sums[WORKERS - 1];
    int64_t first[WORKERS - 1];
    for (int i = 0; i < WORKERS - 1; i++) {
        first[i] = (int64_t)i * PART;
        parts[i] = ouro_loop_call(ouro_worker_loop(i + 1), add_part, &first[i]);
    }
    int64_t rc = ouro_await(ouro_gather(parts, WORKERS - 1, OURO_GATHER_ALL, sums));
    int64_t total = 0;
    for (int i = 0; rc == 0 && i < WORKERS - 1; i++) {
        printf("worker %d added up %lld\n", i + 1, (long long)sums[i].n);
        total += sums[i].n;
    }
    return rc < 0 ? rc : total;
}

static void *wait_outside(void *arg)
{
    ouro_remote *total = arg;
    printf("the thread outside was told %lld\n", (long long)ouro_remote_wait(total, OURO_FOREVER));
    ouro_remote_free(total);
    return NULL;
}

/* What comes to @f is for another thread too. */
static int64_t have_it_watched(ouro_future *f)
{
    ouro_remote *remote;
    int rc = ouro_remote_new(ouro_ref(f), &remote);
    if (rc == 0 && (rc = -pthread_create(&outsider, NULL, wait_outside, remote)) < 0)
        ouro_remote_free(remote);
    return rc;
}

static int64_t lead(void)
{
    ouro_future *total = ouro_spawn(add_up, NULL);
    int64_t rc = have_it_watched(total);
    int64_t n = ouro_await(total);
    for (int i = 1; i < WORKERS; i++)
        ouro_await(ouro_loop_call(ouro_worker_loop(i), let_go, NULL));
    return rc < 0 ? rc : n;
}

static int64_t worker_main(void *arg)
{
    (void)arg;
    if (ouro_worker_index() == 0)
        return lead();
    return ouro_event_wait(&over[ouro_worker_index()]);
}

int main(void)
{
    int64_t rc = ouro_run_workers(WORKERS, worker_main, NULL, NULL);
    if (rc < 0)
        return ouro_exit_code(rc);
    pthread_join(outsider, NULL);
    printf("all workers together returned %lld\n", (long long)rc);
    return 0;
}
