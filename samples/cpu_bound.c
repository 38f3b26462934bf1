/* SPDX-License-Identifier: MIT */
/*
 * What computes for long goes to another thread, or to another process; the loop goes on meanwhile.
 *
 * A thread is cheaper. A process may crash, leak or be killed, and takes nothing with it; it is
 * made first thing in main(), before there are threads.
 */
#include <ouro/ouro.h>

#include <stdio.h>

#define LAST    10000000u
#define MODULUS 1000000007u

static int64_t sum_of_squares(void *arg)
{
    (void)arg;
    uint64_t sum = 0;
    for (uint64_t i = 1; i <= LAST; i++)
        sum = (sum + i * i) % MODULUS;
    return (int64_t)sum;
}

/* The same for a process, where jobs and results are bytes. Its own needs none. */
static int64_t sum_in_process(const void *input, size_t size, ouro_reply *reply)
{
    (void)input;
    (void)size;
    (void)reply;
    return sum_of_squares(NULL);
}

static int64_t tick(void *arg)
{
    int *ticks = arg;
    int64_t rc;
    while ((rc = ouro_await(ouro_sleep(OURO_MS(1)))) == 0)
        ++*ticks;
    return rc;
}

/* Wait for @sum, and show that the loop has other things to do meanwhile. */
static int64_t show(const char *where, ouro_future *sum)
{
    int ticks = 0;
    ouro_future *ticker = ouro_spawn(tick, &ticks);
    int64_t n = ouro_await(sum);
    ouro_cancel(ticker);
    ouro_await(ticker);
    if (n < 0)
        return n;
    printf("in a %s: the sum of squares to %u is %lld modulo %u\n", where, LAST, (long long)n,
           MODULUS);
    printf("the loop ticked while it computed: %s\n", ticks > 0 ? "yes" : "no");
    return 0;
}

static int64_t main_task(void *processes)
{
    int64_t rc = show("thread", ouro_offload(sum_of_squares, NULL));
    if (rc < 0)
        return rc;
    return show("process", ouro_procpool_submit(processes, sum_in_process, NULL, 0));
}

int main(void)
{
    ouro_procpool *processes;
    int64_t rc = ouro_procpool_new(1, NULL, &processes);
    if (rc == 0) {
        rc = ouro_run(main_task, processes, NULL);
        ouro_procpool_free(processes);
    }
    return ouro_exit_code(rc);
}
