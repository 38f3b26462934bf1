/* SPDX-License-Identifier: MIT */
/*
 * A task that blocks holds up all the others. A ticker shows it, and a watchdog says who it is.
 */
#include <ouro/ouro.h>

#include <stdio.h>
#include <threads.h>
#include <time.h>

/* Called on the watchdog's thread, while the task still blocks. */
static void name_it(const ouro_blocked *blocked, void *arg)
{
    (void)arg;
    printf("watchdog: task '%s' blocks the loop\n", blocked->name);
}

static int64_t tick(void *arg)
{
    int *ticks = arg;
    int64_t rc;
    while ((rc = ouro_await(ouro_sleep(OURO_MS(50)))) == 0)
        ++*ticks;
    return rc;
}

/* Something that blocks its thread for a second: a computation, an old library. */
static int64_t block(void *arg)
{
    (void)arg;
    struct timespec left = {.tv_sec = 1};
    while (thrd_sleep(&left, &left) == -1)
        continue; /* the watchdog's signal woke it */
    return 0;
}

/* On a thread of its own it blocks nobody. */
static int64_t offload(void *arg)
{
    return ouro_await(ouro_offload(block, arg));
}

static int64_t try(ouro_task_fn *fn, const char *name)
{
    int ticks = 0;
    ouro_future *ticker = ouro_spawn(tick, &ticks);
    int64_t rc = ouro_await(ouro_spawn_with(fn, NULL, &(ouro_spawn_options){.name = name}));
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
        rc = try(block, "bad");
    if (rc == 0)
        rc = try(offload, "good");
    return rc;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
