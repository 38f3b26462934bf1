/* SPDX-License-Identifier: MIT */
/*
 * A storm over a pool of processes.
 *
 * First part: tasks submit jobs that answer, fail, crash, exit, hang, obey or ignore a request to
 * stop, under deadlines and cancels at random, in loops of which some are shut down in the middle.
 * Invariants: a job that answers is told right, bytes and all; any other has the one error it can
 * have; each future settles.
 *
 * Second part: two threads with loops of their own use the pool. Invariants: one has it at a time,
 * the other is told -EXDEV, and both get through.
 *
 * At the end no process is left.
 *
 * Exits with 0, or prints what went wrong and exits with 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro/ouro.h>

#include "stress.h"

enum { WORKERS = 3, TASKS = 12, JOBS = 40, ROUNDS = 8, TURNS = 300, SIZE_MAX_SENT = 300000 };

static unsigned roll(unsigned *seed, unsigned sides)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % sides;
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static int64_t echo(const void *input, size_t size, ouro_reply *reply)
{
    return ouro_reply_write(reply, input, size) < 0 ? -1 : (int64_t)size;
}

static int64_t refuse(const void *input, size_t size, ouro_reply *reply)
{
    (void)input, (void)size, (void)reply;
    return -ENOENT;
}

static int64_t crash(const void *input, size_t size, ouro_reply *reply)
{
    (void)input, (void)size, (void)reply;
    return raise(SIGKILL);
}

static int64_t leave(const void *input, size_t size, ouro_reply *reply)
{
    (void)input, (void)size, (void)reply;
    _exit(0);
}

static int64_t hang(const void *input, size_t size, ouro_reply *reply)
{
    (void)input, (void)size, (void)reply;
    for (;;)
        pause();
    return 0;
}

static int64_t obey(const void *input, size_t size, ouro_reply *reply)
{
    (void)input, (void)size, (void)reply;
    while (!ouro_job_cancelled())
        usleep(200);
    return 7;
}

/* ---- The storm ------------------------------------------------------------------------------- */

static ouro_procpool *pool;
static unsigned char data[SIZE_MAX_SENT];
static unsigned long told[8]; /* outcomes, by what comes next */

enum { ANSWERS, ERRORS, CRASHES, EXITS, DEADLINES, CANCELS };

static void check_echo(unsigned *seed)
{
    size_t size = roll(seed, 4) ? roll(seed, 100) : roll(seed, SIZE_MAX_SENT);
    int64_t n;
    ouro_bytes *bytes = ouro_await_ptr(ouro_procpool_submit(pool, echo, data, size), &n);
    if (n == -ECANCELED) {
        told[CANCELS]++;
        return;
    }
    must(n == (int64_t)size);
    must(bytes->size == size);
    must(memcmp(bytes->data, data, size) == 0);
    ouro_bytes_free(bytes);
    told[ANSWERS]++;
}

/* That outcome, or the task was cancelled. */
static void check_fails(ouro_procpool_fn *fn, int64_t want, int kind)
{
    int64_t n = ouro_await(ouro_procpool_submit(pool, fn, NULL, 0));
    must(n == want || n == -ECANCELED);
    told[n == want ? kind : CANCELS]++;
}

static void check_deadline(ouro_procpool_fn *fn, unsigned *seed)
{
    ouro_ns limit = roll(seed, 3) ? OURO_US(roll(seed, 3000)) : 0;
    int64_t n = ouro_await(ouro_timeout(ouro_procpool_submit(pool, fn, NULL, 0), limit));
    must(n == -ETIMEDOUT || n == -ECANCELED || (n == 7 && fn == obey));
    told[n == 7 ? ANSWERS : n == -ETIMEDOUT ? DEADLINES : CANCELS]++;
}

static void check_cancel(unsigned *seed)
{
    ouro_future *f = ouro_procpool_submit(pool, echo, data, 1000);
    ouro_await(ouro_sleep(OURO_US(roll(seed, 200))));
    ouro_cancel(f);
    int64_t n = ouro_await(f);
    must(n == 1000 || n == -OURO_ECHILDCANCELLED || n == -ECANCELED);
    told[n == 1000 ? ANSWERS : CANCELS]++;
}

static int64_t submit_many(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    for (int i = 0; i < JOBS && !ouro_cancel_reason(); i++) {
        switch (roll(&seed, 20)) {
        case 0:
            check_fails(crash, -OURO_ESIGNALED(SIGKILL), CRASHES);
            break;
        case 1:
            check_fails(leave, -OURO_EWORKEREXIT, EXITS);
            break;
        case 2:
            check_deadline(hang, &seed);
            break;
        case 3:
            check_deadline(obey, &seed);
            break;
        case 4:
        case 5:
            check_cancel(&seed);
            break;
        case 6:
            check_fails(refuse, -ENOENT, ERRORS);
            break;
        default:
            check_echo(&seed);
        }
    }
    return 0;
}

/* Shut down in the middle: main returns, and its loop cancels the others. */
static int64_t storm(void *arg)
{
    int round = *(int *)arg;
    unsigned seeds[TASKS];
    ouro_future *f[TASKS];
    for (int i = 0; i < TASKS; i++) {
        seeds[i] = (unsigned)(round * TASKS + i);
        f[i] = ouro_spawn(submit_many, &seeds[i]);
    }
    int64_t rc = 0;
    if (round & 1) {
        ouro_future *all = ouro_gather(f, TASKS, OURO_GATHER_ALL, NULL);
        rc = ouro_await(ouro_timeout(all, OURO_MS(30)));
        must(rc == 0 || rc == -ETIMEDOUT);
        return 0;
    }
    return ouro_await(ouro_gather(f, TASKS, OURO_GATHER_ALL, NULL));
}

/* A loop that ends with detached jobs under way. */
static int64_t leave_jobs(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2 * WORKERS; i++)
        ouro_detach(ouro_procpool_submit(pool, i & 1 ? hang : echo, data, SIZE_MAX_SENT));
    ouro_await(ouro_sleep(OURO_US(500)));
    return 0;
}

/* ---- Two loops ------------------------------------------------------------------------------- */

static int64_t take_turns(void *seed)
{
    int got = 0;
    while (got < TURNS) {
        int64_t n = ouro_await(ouro_procpool_submit(pool, echo, data, 10));
        must(n == 10 || n == -EXDEV);
        got += n == 10;
        if (n < 0 || roll(seed, 4) == 0)
            ouro_await(ouro_sleep(OURO_US(20)));
    }
    return 0;
}

static void *run_loop(void *seed)
{
    must(ouro_run(take_turns, seed, NULL) == 0);
    return NULL;
}

int main(void)
{
    ouro_procpool_options opts = {.grace = OURO_MS(2)};
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 31 + (i >> 9));
    int rc = ouro_procpool_new(WORKERS, &opts, &pool);
    if (rc < 0) {
        fprintf(stderr, "no pool: %s\n", ouro_strerror(rc));
        return 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        must(ouro_run(storm, &round, NULL) == 0);
        must(ouro_run(leave_jobs, NULL, &(ouro_run_options){.grace = 1}) == 0);
    }
    pthread_t threads[2];
    unsigned seeds[2] = {1, 2};
    for (int i = 0; i < 2; i++)
        must(pthread_create(&threads[i], NULL, run_loop, &seeds[i]) == 0);
    for (int i = 0; i < 2; i++)
        must(pthread_join(threads[i], NULL) == 0);
    printf("%lu answers, %lu errors, %lu crashes, %lu exits, %lu deadlines, %lu cancels; "
           "%lld workers replaced\n",
           told[ANSWERS], told[ERRORS], told[CRASHES], told[EXITS], told[DEADLINES], told[CANCELS],
           (long long)ouro_procpool_replaced(pool));
    must(ouro_procpool_free(pool) == 0);
    must(waitpid(-1, NULL, 0) < 0 && errno == ECHILD);
    return 0;
}
