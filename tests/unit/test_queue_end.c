/* SPDX-License-Identifier: MIT */
/*
 * Queues: joining them, shutting them down, giving them back; and who may use them at all.
 */
#define _GNU_SOURCE
#include "queue_test.h"

#include <pthread.h>
#include <string.h>

TestSuite(queue_end, .timeout = 60);

#define ITEMS 64

static int freed[ITEMS];
static bool in_call; /* of ours to the queue: no destructor may run */

static void note_free(void *ptr)
{
    check(!in_call);
    freed[number(ptr)]++;
}

/* With the items 1 to @n in it. */
static ouro_queue *queue_with(int64_t capacity, int n)
{
    ouro_queue *q;
    check_eq(ouro_queue_new(capacity, &(ouro_queue_options){.item_free = note_free}, &q), 0);
    for (int i = 0; i < ITEMS; i++)
        freed[i] = 0;
    for (int i = 1; i <= n; i++)
        put_now(q, i);
    return q;
}

static int count_freed(void)
{
    int n = 0;
    for (int i = 0; i < ITEMS; i++) {
        check(freed[i] <= 1);
        n += freed[i];
    }
    return n;
}

/* ---- Joining --------------------------------------------------------------------------------- */

TaskTest(queue_end, a_join_waits_until_every_item_has_been_dealt_with)
{
    ouro_queue *q = queue_with(9, 2);
    struct user u[2] = {{.q = q}, {.q = q}};
    ouro_future *f[2] = {start(be_joiner, &u[0]), start(be_joiner, &u[1])};
    check_eq(get_now(q), 1);
    check_eq(get_now(q), 2);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_yield(), 0);
    check(!u[0].ended);
    check_eq(ouro_queue_unfinished(q), 1);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_await(f[0]), 0);
    check_eq(ouro_await(f[1]), 0);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_end, a_join_with_nothing_unfinished_returns_at_once)
{
    ouro_queue *q = queue_with(9, 0);
    uint64_t turns_before = stats().turns;
    check_eq(ouro_queue_join(q), 0);
    put_now(q, 1);
    check_eq(get_now(q), 1);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_queue_join(q), 0);
    check_eq(stats().turns, turns_before);
    ouro_queue_free(q);
    return 0;
}

/* Whoever waited has what it waited for, even if more was put in before it ran. */
TaskTest(queue_end, a_join_that_was_served_is_not_undone_by_a_later_put)
{
    ouro_queue *q = queue_with(9, 1);
    struct user u = {.q = q};
    ouro_future *f = start(be_joiner, &u);
    check_eq(ouro_queue_task_done(q), 0);
    put_now(q, 2);
    check_eq(ouro_await(f), 0);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_end, a_cancelled_join_waits_no_more)
{
    ouro_queue *q = queue_with(9, 1);
    struct user u = {.q = q};
    ouro_future *f = start(be_joiner, &u);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check_eq(u.rc, -ECANCELED);
    check_eq(ouro_queue_unfinished(q), 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_end, task_done_more_often_than_items_were_put_is_einval)
{
    ouro_queue *q = queue_with(9, 1);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_queue_task_done(q), -EINVAL);
    check_eq(ouro_queue_unfinished(q), 0);
    put_now(q, 2);
    check_eq(ouro_queue_unfinished(q), 1);
    ouro_queue_free(q);
    return 0;
}

/* ---- Shutting down --------------------------------------------------------------------------- */

TaskTest(queue_end, drain_refuses_puts_and_gives_out_what_is_there)
{
    ouro_queue *q = queue_with(2, 2);
    struct user u = {.q = q, .item = 3};
    ouro_future *f = start(be_putter, &u);
    void *got = q;
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_DRAIN), 0);
    check_eq(ouro_await(f), -EPIPE);
    check_eq(ouro_queue_put(q, item(4)), -EPIPE);
    check_eq(ouro_queue_try_put(q, item(4)), -EPIPE);
    check_eq(ouro_queue_size(q), 2);
    check_eq(ouro_queue_get(q, &got), 0);
    check_eq(number(got), 1);
    check_eq(ouro_queue_try_get(q, &got), 0);
    check_eq(number(got), 2);
    check_eq(ouro_queue_get(q, &got), -EPIPE);
    check_eq(ouro_queue_try_get(q, &got), -EPIPE);
    check_eq(number(got), 2);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_queue_join(q), 0);
    ouro_queue_free(q);
    check_eq(count_freed(), 0);
    return 0;
}

TaskTest(queue_end, drain_sends_away_getters_that_wait)
{
    for (int capacity = 0; capacity < 2; capacity++) {
        ouro_queue *q = queue_with(capacity, 0);
        struct user u[2] = {{.q = q}, {.q = q}};
        ouro_future *f[2] = {start(be_getter, &u[0]), start(be_getter, &u[1])};
        check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_DRAIN), 0);
        check_eq(ouro_await(f[0]), -EPIPE);
        check_eq(ouro_await(f[1]), -EPIPE);
        check_eq(u[0].item, -1);
        ouro_queue_free(q);
    }
    return 0;
}

TaskTest(queue_end, with_capacity_0_drain_leaves_putters_their_items)
{
    ouro_queue *q = queue_with(0, 0);
    struct user u = {.q = q, .item = 1};
    ouro_future *f = start(be_putter, &u);
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_DRAIN), 0);
    void *got;
    check_eq(ouro_queue_try_get(q, &got), -EPIPE);
    check_eq(ouro_await(f), -EPIPE);
    check_eq(ouro_queue_unfinished(q), 0);
    ouro_queue_free(q);
    check_eq(count_freed(), 0);
    return 0;
}

TaskTest(queue_end, now_destroys_what_is_there_in_the_next_turn_and_counts_it_as_dealt_with)
{
    ouro_queue *q = queue_with(3, 3);
    struct user u[2] = {{.q = q, .item = 9}, {.q = q}};
    ouro_future *putter = start(be_putter, &u[0]), *joiner = start(be_joiner, &u[1]);
    void *got;
    in_call = true;
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_NOW), 0);
    in_call = false;
    check_eq(count_freed(), 0);
    check_eq(ouro_queue_size(q), 0);
    check_eq(ouro_queue_unfinished(q), 0);
    check_eq(ouro_queue_try_get(q, &got), -EPIPE);
    check_eq(ouro_queue_get(q, &got), -EPIPE);
    check_eq(ouro_queue_put(q, item(4)), -EPIPE);
    check_eq(ouro_await(putter), -EPIPE); /* whose item stays its own */
    check_eq(ouro_await(joiner), 0);
    check_eq(count_freed(), 3);
    check_eq(freed[9], 0);
    ouro_queue_free(q);
    check_eq(ouro_yield(), 0);
    check_eq(count_freed(), 3);
    return 0;
}

TaskTest(queue_end, now_does_not_count_items_that_were_got_as_dealt_with)
{
    ouro_queue *q = queue_with(3, 3);
    check_eq(get_now(q), 1);
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_NOW), 0);
    check_eq(ouro_queue_unfinished(q), 1);
    struct user u = {.q = q};
    ouro_future *f = start(be_joiner, &u);
    check(!u.ended);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_await(f), 0);
    check_eq(freed[1], 0);
    check_eq(count_freed(), 2);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_end, now_after_early_task_dones_counts_nothing_twice)
{
    ouro_queue *q = queue_with(3, 3);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_NOW), 0);
    check_eq(ouro_queue_unfinished(q), 0);
    check_eq(ouro_queue_join(q), 0);
    ouro_queue_free(q);
    check_eq(ouro_yield(), 0);
    check_eq(count_freed(), 3);
    return 0;
}

TaskTest(queue_end, a_second_shutdown_changes_nothing_but_for_now_after_drain)
{
    ouro_queue *q = queue_with(3, 3);
    for (int i = 0; i < 2; i++)
        check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_DRAIN), 0);
    check_eq(get_now(q), 1);
    for (int i = 0; i < 2; i++)
        check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_NOW), 0);
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_DRAIN), 0);
    void *got;
    check_eq(ouro_queue_try_get(q, &got), -EPIPE);
    check_eq(ouro_queue_unfinished(q), 1);
    check_eq(ouro_yield(), 0);
    check_eq(count_freed(), 2);
    ouro_queue_free(q);
    return 0;
}

static int by_number(const void *a, const void *b, void *arg)
{
    (void)arg;
    return number(a) - number(b);
}

TaskTest(queue_end, every_order_destroys_every_item_once)
{
    for (int order = 0; order < 3; order++) {
        ouro_queue_options opts = {
            .order = (ouro_queue_order)order, .compare = by_number, .item_free = note_free};
        ouro_queue *q;
        memset(freed, 0, sizeof freed);
        check_eq(ouro_queue_new(OURO_UNBOUNDED, &opts, &q), 0);
        for (int i = 0; i < ITEMS; i++)
            put_now(q, i * 29 % ITEMS);
        get_now(q);
        ouro_queue_free(q);
        check_eq(count_freed(), 0);
        check_eq(ouro_yield(), 0);
        check_eq(count_freed(), ITEMS - 1);
    }
    return 0;
}

/* ---- Giving it back -------------------------------------------------------------------------- */

TaskTest(queue_end, who_waits_for_a_queue_that_is_freed_gets_epipe)
{
    ouro_queue *full = queue_with(1, 1), *empty = queue_with(1, 0);
    struct user u[4] = {{.q = full, .item = 2}, {.q = empty}, {.q = full}, {.q = full, .item = 3}};
    ouro_future *f[3] = {start(be_putter, &u[0]), start(be_getter, &u[1]), start(be_joiner, &u[2])};
    check_eq(get_now(full), 1); /* lets 2 in, and is unfinished itself */
    ouro_future *putter = start(be_putter, &u[3]);
    ouro_queue_free(full);
    ouro_queue_free(empty);
    check_eq(ouro_await(f[0]), 0);
    check_eq(ouro_await(putter), -EPIPE);
    check_eq(ouro_await(f[1]), -EPIPE);
    check_eq(ouro_await(f[2]), -EPIPE);
    check_eq(freed[2], 1);
    check_eq(count_freed(), 1);
    return 0;
}

TaskTest(queue_end, a_queue_without_a_destructor_is_just_freed)
{
    ouro_queue *q = queue(OURO_UNBOUNDED, OURO_QUEUE_FIFO);
    for (int i = 0; i < 100; i++)
        put_now(q, i);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_end, destructors_do_not_run_inside_free)
{
    ouro_queue *q = queue_with(9, 3);
    in_call = true;
    check(ouro_queue_free(q) == NULL);
    in_call = false;
    check_eq(count_freed(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(count_freed(), 3);
    return 0;
}

static ouro_queue *to_free;

static void free_all(void *ptr)
{
    void *got;
    freed[number(ptr)]++;
    if (!to_free)
        return;
    check_eq(ouro_queue_try_put(to_free, ptr), -EPIPE);
    check_eq(ouro_queue_try_get(to_free, &got), -EPIPE);
    check_eq(ouro_queue_shutdown(to_free, OURO_SHUTDOWN_NOW), 0);
    to_free = ouro_queue_free(to_free);
}

TaskTest(queue_end, a_destructor_may_use_its_queue_and_free_it)
{
    memset(freed, 0, sizeof freed);
    check_eq(ouro_queue_new(9, &(ouro_queue_options){.item_free = free_all}, &to_free), 0);
    for (int i = 0; i < 5; i++)
        put_now(to_free, i);
    check_eq(ouro_queue_shutdown(to_free, OURO_SHUTDOWN_NOW), 0);
    check_eq(ouro_yield(), 0);
    check_eq(count_freed(), 5);
    check(to_free == NULL);
    return 0;
}

/* ---- The loop's end -------------------------------------------------------------------------- */

Test(queue_end, a_queue_may_be_freed_after_its_loop)
{
    begin_kernel();
    ouro_queue *q = queue_with(9, 3);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    check_eq(count_freed(), 2); /* at once: there is no later */
    end_closed();
}

Test(queue_end, tasks_that_wait_are_cancelled_at_shutdown)
{
    begin_fake();
    ouro_queue *full = queue_with(1, 1), *empty = queue_with(1, 0);
    struct user u[3] = {{.q = full, .item = 2}, {.q = empty}, {.q = full}};
    ouro_detach(ouro_spawn(be_putter, &u[0]));
    ouro_detach(ouro_spawn(be_getter, &u[1]));
    ouro_detach(ouro_spawn(be_joiner, &u[2]));
    turns(3);
    check_eq(ouro_queue_try_put(full, item(3)), -EAGAIN);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    for (int i = 0; i < 3; i++)
        check_eq(u[i].rc, -ECANCELED);
    check_eq(ouro_queue_size(full), 1);
    ouro_queue_free(full);
    ouro_queue_free(empty);
    end();
    check_eq(count_freed(), 1);
}

Test(queue_end, of_a_closed_loop_it_is_exdev_for_tasks_of_the_next)
{
    begin_fake();
    ouro_queue *q = queue_with(9, 1);
    ouro_loop *loop;
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    void *got;
    check_eq(ouro_queue_get(q, &got), -EPERM); /* no loop at all */
    check_eq(ouro_loop_new(NULL, &loop), 0);
    check_eq(ouro_queue_get(q, &got), -EXDEV);
    check_eq(ouro_queue_put(q, item(2)), -EXDEV);
    ouro_future *f = ouro_queue_get_future(q);
    check_eq(ouro_future_result(f).n, -EXDEV);
    ouro_unref(f);
    check_eq(get_now(q), 1);
    check_eq(ouro_loop_close(loop), 0);
    ouro_queue_free(q);
    end_closed();
}

/* ---- Who may not ----------------------------------------------------------------------------- */

static void *use_foreign(void *arg)
{
    ouro_queue *q = arg;
    void *got;
    ouro_loop *own = NULL;
    for (int with_loop = 0; with_loop < 2; with_loop++) {
        if (with_loop)
            check_eq(ouro_loop_new(&(ouro_loop_options){.debug = -1}, &own), 0);
        check_eq(ouro_queue_put(q, item(5)), -EXDEV);
        check_eq(ouro_queue_try_put(q, item(5)), -EXDEV);
        check_eq(ouro_queue_get(q, &got), -EXDEV);
        check_eq(ouro_queue_try_get(q, &got), -EXDEV);
        check_eq(ouro_queue_join(q), -EXDEV);
        check_eq(ouro_queue_task_done(q), -EXDEV);
        check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_NOW), -EXDEV);
        ouro_future *f = ouro_queue_get_future(q);
        check_eq(ouro_future_result(f).n, -EXDEV);
        ouro_unref(f);
        ouro_queue_free(q);
    }
    check_eq(ouro_loop_close(own), 0);
    return NULL;
}

Test(queue_end, another_thread_gets_exdev_and_changes_nothing)
{
    pthread_t thread;
    begin_fake_with(16, &(ouro_loop_options){.debug = -1});
    ouro_queue *q = queue_with(9, 2);
    check_eq(pthread_create(&thread, NULL, use_foreign, q), 0);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(ouro_queue_size(q), 2);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    end();
    check_eq(freed[2], 1);
}

static ouro_queue *inherited;

static int use_in_child(void)
{
    void *got;
    child_check(ouro_queue_try_put(inherited, item(1)) == -ECHILD);
    child_check(ouro_queue_try_get(inherited, &got) == -ECHILD);
    child_check(ouro_queue_put(inherited, item(1)) == -ECHILD);
    child_check(ouro_queue_get(inherited, &got) == -ECHILD);
    child_check(ouro_queue_task_done(inherited) == -ECHILD);
    child_check(ouro_queue_shutdown(inherited, OURO_SHUTDOWN_NOW) == -ECHILD);
    child_check(ouro_queue_new(1, NULL, &inherited) == -ECHILD);
    child_check(ouro_queue_free(inherited) == NULL);
    child_check(freed[1] == 0);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    return 0;
}

Test(queue_end, in_the_child_of_a_fork_it_is_memory_and_nothing_else)
{
    char text[512];
    begin_kernel();
    inherited = queue_with(9, 2);
    check_child(use_in_child, text, sizeof text);
    check_eq(get_now(inherited), 1);
    ouro_queue_free(inherited);
    end();
    check_eq(freed[2], 1);
}
