/* SPDX-License-Identifier: MIT */
/*
 * What the tree of tasks says of locks, queues, signals and work on other threads.
 */
#define _GNU_SOURCE
#include "inspect_test.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

TestSuite(inspect_waits, .timeout = 30);

static int64_t hold_and_want(void *arg)
{
    ouro_mutex **m = arg;
    int rc = ouro_mutex_lock(m[0]);
    check_eq(rc, 0);
    check_eq(ouro_yield(), 0);
    rc = ouro_mutex_lock(m[1]);
    if (rc == 0)
        ouro_mutex_unlock(m[1]);
    ouro_mutex_unlock(m[0]);
    return rc;
}

Test(inspect_waits, a_deadlock_of_two_mutexes_can_be_read_off)
{
    begin_fake();
    ouro_mutex left = {0}, right = {0};
    ouro_mutex *first[] = {&left, &right}, *other[] = {&right, &left};
    ouro_future *a = spawn(hold_and_want, first, "a");
    ouro_future *b = spawn(hold_and_want, other, "b");
    turns(3);
    check_text(tree(2), "2 tasks\n"
                        "a: waits for mutex, held by 'b'\n"
                        "b: waits for mutex, held by 'a'\n");
    ouro_cancel(b);
    ouro_unref(b);
    ouro_cancel(a);
    ouro_unref(a);
    end();
}

static int64_t get_item(void *arg)
{
    void *item;
    return ouro_queue_get(arg, &item);
}

Test(inspect_waits, a_queue_says_how_full_it_is)
{
    begin_fake();
    ouro_queue *q;
    check_eq(ouro_queue_new(4, NULL, &q), 0);
    ouro_future *task = spawn(get_item, q, "consumer");
    turn();
    check_text(tree(1), "1 task\nconsumer: waits for queue get, 0 of 4 in it\n");
    ouro_cancel(task);
    turns(2);
    ouro_queue_free(q);
    ouro_unref(task);
    end();
}

Test(inspect_waits, a_wait_for_signals_names_them)
{
    begin_kernel();
    int numbers[] = {SIGHUP, SIGTERM};
    ouro_signals *signals;
    check_eq(ouro_signals_open(numbers, 2, &signals), 0);
    ouro_future *task = spawn(await, ouro_signals_next(signals), "a");
    turn();
    check_text(tree(1), "1 task\na: waits for signal, HUP or TERM\n");
    ouro_cancel(task);
    ouro_unref(task);
    turns(3);
    ouro_signals_close(signals);
    end();
}

static atomic_int job_runs, job_may_end;

static int64_t hold_on(void *arg)
{
    (void)arg;
    atomic_store(&job_runs, 1);
    while (!atomic_load(&job_may_end))
        usleep(1000);
    return 0;
}

Test(inspect_waits, an_offloaded_job_says_where_it_stands)
{
    begin_kernel();
    ouro_pool *pool;
    check_eq(ouro_pool_new(1, &(ouro_pool_options){.name = "mill"}, &pool), 0);
    ouro_offload_options first = {.pool = pool, .name = "first"}, next = {.pool = pool};
    ouro_future *a = spawn(await, ouro_offload_with(hold_on, NULL, &first), "a");
    while (!atomic_load(&job_runs))
        usleep(1000);
    ouro_future *b = spawn(await, ouro_offload_with(hold_on, NULL, &next), "b");
    turn();
    check_text(tree(2), "2 tasks\n"
                        "a: waits for offload 'first', running, pool mill has 1 in its queue\n"
                        "b: waits for offload 'job', queued, pool mill has 1 in its queue\n");
    atomic_store(&job_may_end, 1);
    check_eq(ouro_loop_run_until(ouro_loop_current(), a), 0);
    check_eq(ouro_loop_run_until(ouro_loop_current(), b), 0);
    ouro_pool_free(pool);
    end();
}
