/* SPDX-License-Identifier: MIT */
/*
 * A computation in parts, on two processes, while a ticker shows that the loop lives. What crashes
 * there, or never ends, costs no more than its own job.
 */
#include <ouro/ouro.h>

#include <stdio.h>
#include <stdlib.h>

#define MODULUS 1000000007
#define JOBS    4

struct range {
    int64_t from, to;
};

/* Runs in a worker, with its own copy of the input. */
static int64_t sum_of_squares(const void *input, size_t size, ouro_reply *reply)
{
    (void)size;
    (void)reply; /* for results that are more than a number */
    const struct range *r = input;
    int64_t sum = 0;
    for (int64_t i = r->from; i < r->to; i++)
        sum = (sum + i * i) % MODULUS;
    return sum;
}

static int64_t crash(const void *input, size_t size, ouro_reply *reply)
{
    (void)input, (void)size, (void)reply;
    abort();
}

static int64_t run_for_ever(const void *input, size_t size, ouro_reply *reply)
{
    (void)input, (void)size, (void)reply;
    for (volatile int i = 0;;)
        i = 1 - i;
    return 0;
}

static int64_t tick(void *arg)
{
    int *ticks = arg;
    int64_t rc;
    while ((rc = ouro_await(ouro_sleep(OURO_MS(1)))) == 0)
        ++*ticks;
    return rc;
}

static int64_t sum_in_parts(ouro_procpool *pool, int64_t n)
{
    struct range ranges[JOBS];
    ouro_future *parts[JOBS];
    ouro_result results[JOBS];
    for (int i = 0; i < JOBS; i++) {
        ranges[i] = (struct range){n * i / JOBS, n * (i + 1) / JOBS};
        parts[i] = ouro_procpool_submit(pool, sum_of_squares, &ranges[i], sizeof ranges[i]);
    }
    int64_t rc = ouro_await(ouro_gather(parts, JOBS, OURO_GATHER_ALL, results));
    for (int i = 0; i < JOBS && rc >= 0; i++) {
        rc = (rc + results[i].n) % MODULUS;
        ouro_bytes_free(results[i].ptr);
    }
    return rc;
}

static int64_t main_task(void *arg)
{
    ouro_procpool *pool = arg;
    int ticks = 0;
    ouro_future *ticker = ouro_spawn(tick, &ticks);
    int64_t sum = sum_in_parts(pool, 10000000);
    printf("sum of squares below 10^7, modulo %d: %lld\n", MODULUS, (long long)sum);
    printf("meanwhile the ticker %s\n", ticks > 2 ? "ticked on" : "stood still");
    ouro_cancel(ticker);
    ouro_await(ticker);

    int64_t rc = ouro_await(ouro_procpool_submit(pool, crash, NULL, 0));
    printf("a job that crashes: %s\n", ouro_strerror(rc));
    rc = ouro_await(ouro_timeout(ouro_procpool_submit(pool, run_for_ever, NULL, 0), OURO_MS(50)));
    printf("a job that never ends: %s\n", ouro_strerror(rc));
    printf("workers replaced: %lld\n", (long long)ouro_procpool_replaced(pool));
    return sum < 0 ? sum : 0;
}

/* The pool comes first: its processes are forked, and that is safe while nothing runs. */
int main(void)
{
    ouro_procpool *pool;
    int rc = ouro_procpool_new(2, NULL, &pool);
    if (rc < 0) {
        fprintf(stderr, "no pool: %s\n", ouro_strerror(rc));
        return 1;
    }
    int64_t result = ouro_run(main_task, pool, NULL);
    ouro_procpool_free(pool);
    return ouro_exit_code(result);
}
