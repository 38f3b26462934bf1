/* SPDX-License-Identifier: MIT */
/*
 * A lock: ten tasks increment a counter, and wait in the midst of it. Without the lock they all
 * read the same number, and nine increments are lost; with it each sees what the one before has
 * written.
 */
#include <ouro/ouro.h>

#include <stdio.h>

enum { TASKS = 10 };

static ouro_mutex lock; /* all zero is unlocked */
static int counter;

static int64_t increment(void *arg)
{
    (void)arg;
    int seen = counter;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(5)));
    counter = seen + 1;
    return rc;
}

static int64_t increment_locked(void *arg)
{
    int64_t rc = ouro_mutex_lock(&lock);
    if (rc < 0)
        return rc;
    rc = increment(arg);
    ouro_mutex_unlock(&lock);
    return rc;
}

static int64_t count(const char *how, ouro_task_fn *fn)
{
    ouro_future *tasks[TASKS];
    counter = 0;
    for (int i = 0; i < TASKS; i++)
        tasks[i] = ouro_spawn(fn, NULL);
    int64_t rc = ouro_await(ouro_gather(tasks, TASKS, OURO_GATHER_ALL, NULL));
    printf("%s the lock: %d\n", how, counter);
    return rc;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc = count("without", increment);
    return rc < 0 ? rc : count("with", increment_locked);
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
