/* SPDX-License-Identifier: MIT */
/*
 * A task that blocks holds up all the others: a ticker shows it, and a watchdog says who it is.
 */
#define _GNU_SOURCE
#include <ouro/ouro.h>

#include <stdio.h>
#include <time.h>

/* Called on the watchdog's thread while the task still blocks. */
static void name_it(const ouro_blocked *blocked, void *arg)
{
    (void)arg;
    printf("the watchdog: task '%s' blocks the loop\n", blocked->name);
}

static int64_t tick(void *arg)
{
    int *ticks = arg;
    int64_t rc;
    while ((rc = ouro_await(ouro_sleep(OURO_MS(50)))) == 0)
        ++*ticks;
    return rc;
}

/* The thread sleeps, and with it the loop. */
static int64_t bad(void *arg)
{
    struct timespec left = {.tv_sec = 1};
    while (nanosleep(&left, &left) < 0)
        continue; /* the watchdog's signal has woken it early */
    (void)arg;
    return 0;
}

/* Only the task sleeps. */
static int64_t good(void *arg)
{
    (void)arg;
    return ouro_await(ouro_sleep(OURO_SEC(1)));
}

/* Run @fn beside a ticker, and tell whether that ticked. */
static int64_t try(ouro_task_fn *fn, const char *name)
{
    int ticks = 0;
    ouro_future *ticker = ouro_spawn(tick, &ticks);
    ouro_future *task = ouro_spawn_with(fn, NULL, &(ouro_spawn_options){.name = name});
    int64_t rc = ouro_await(task);
    printf("%s: the ticker %s\n", name, ticks > 2 ? "ticked on" : "stood still");
    ouro_cancel(ticker);
    ouro_await(ticker);
    return rc;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc = ouro_watchdog_start(&(ouro_watchdog_options){.fn = name_it});
    if (rc == 0)
        rc = try(bad, "bad");
    if (rc == 0)
        rc = try(good, "good");
    return rc;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
