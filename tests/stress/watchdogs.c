/* SPDX-License-Identifier: MIT */
/*
 * Watchdogs on loops of several threads, started and stopped over and over while steps block and do
 * not.
 *
 * What has to hold: nothing races, each is told of its own task, and all of it ends.
 */
#define _GNU_SOURCE
#include <ouro/ouro.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define THREADS 4
#define ROUNDS  30
#define LIMIT   OURO_MS(4)

static atomic_int told;
static atomic_int strangers;
static atomic_int failures;

static void count(const ouro_blocked *blocked, void *arg)
{
    atomic_fetch_add(&told, 1);
    if (blocked->name && strcmp(blocked->name, arg) != 0)
        atomic_fetch_add(&strangers, 1);
}

static void block_for(long ms)
{
    struct timespec nap = {.tv_nsec = 1000000};
    while (ms-- > 0)
        nanosleep(&nap, NULL);
}

static int64_t block(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        block_for(i * 6);
        ouro_yield();
    }
    return 0;
}

static int one_round(ouro_loop *loop, int round, char *name)
{
    ouro_watchdog_options watch = {.limit = LIMIT, .fn = count, .arg = name};
    ouro_spawn_options spawn = {.name = name};
    int rc = ouro_watchdog_start(&watch);
    if (rc < 0)
        return rc;
    int64_t n = ouro_loop_run_until(loop, ouro_spawn_with(block, NULL, &spawn));
    if (n == 0 && round % 3)
        n = ouro_watchdog_stop() - 1;
    else if (n == 0) /* left to the close */
        n = ouro_watchdog_start(&watch) == -EBUSY ? 0 : -1;
    return (int)n;
}

/* ThreadSanitizer does not see that a ring is unmapped before another is mapped in its place. */
static pthread_mutex_t mapping = PTHREAD_MUTEX_INITIALIZER;

static int open_loop(ouro_loop **ret_loop)
{
    pthread_mutex_lock(&mapping);
    int rc = ouro_loop_new(NULL, ret_loop);
    pthread_mutex_unlock(&mapping);
    return rc;
}

static int close_loop(ouro_loop *loop)
{
    pthread_mutex_lock(&mapping);
    int rc = ouro_loop_close(loop);
    pthread_mutex_unlock(&mapping);
    return rc;
}

static void *work(void *arg)
{
    for (int round = 0; round < ROUNDS; round++) {
        ouro_loop *loop;
        int rc = open_loop(&loop);
        if (rc == 0)
            rc = one_round(loop, round, arg);
        if (rc == 0)
            rc = close_loop(loop);
        if (rc < 0) {
            fprintf(stderr, "round %d: %s\n", round, ouro_strerror(rc));
            atomic_fetch_add(&failures, 1);
            break;
        }
    }
    return NULL;
}

int main(void)
{
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, names[i]) != 0)
            return 1;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("told of %d steps\n", atomic_load(&told));
    return atomic_load(&failures) || atomic_load(&strangers) || !atomic_load(&told);
}
