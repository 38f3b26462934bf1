/* SPDX-License-Identifier: MIT */
/*
 * Queues: which item comes out next, who waits for what, and what a cancel takes and leaves.
 */
#include "queue_test.h"

TestSuite(queue, .timeout = 60);

/* ---- Order ----------------------------------------------------------------------------------- */

TaskTest(queue, fifo_gives_the_oldest_first)
{
    ouro_queue *q = queue(OURO_UNBOUNDED, OURO_QUEUE_FIFO);
    for (int i = 1; i <= 100; i++)
        put_now(q, i);
    for (int i = 1; i <= 100; i++)
        check_eq(get_now(q), i);
    check_eq(get_now(q), -1);
    ouro_queue_free(q);
    return 0;
}

/* Wherever in the ring its oldest item is. */
TaskTest(queue, fifo_keeps_its_order_while_it_grows)
{
    for (int gone = 0; gone < 40; gone++) {
        ouro_queue *q = queue(OURO_UNBOUNDED, OURO_QUEUE_FIFO);
        for (int i = 0; i < gone; i++) {
            put_now(q, i);
            check_eq(get_now(q), i);
        }
        for (int i = 0; i < 100; i++)
            put_now(q, i);
        for (int i = 0; i < 100; i++)
            check_eq(get_now(q), i);
        ouro_queue_free(q);
    }
    return 0;
}

TaskTest(queue, lifo_gives_the_youngest_first)
{
    ouro_queue *q = queue(OURO_UNBOUNDED, OURO_QUEUE_LIFO);
    for (int i = 1; i <= 40; i++)
        put_now(q, i);
    for (int i = 40; i > 20; i--)
        check_eq(get_now(q), i);
    put_now(q, 99);
    check_eq(get_now(q), 99);
    for (int i = 20; i > 0; i--)
        check_eq(get_now(q), i);
    ouro_queue_free(q);
    return 0;
}

/* By the tens; the ones tell equals apart. */
static int by_tens(const void *a, const void *b, void *arg)
{
    ++*(int *)arg;
    return number(a) / 10 - number(b) / 10;
}

static ouro_queue *by_priority(int64_t capacity)
{
    static int compared;
    ouro_queue *q = NULL;
    ouro_queue_options opts = {
        .order = OURO_QUEUE_PRIORITY, .compare = by_tens, .compare_arg = &compared};
    check_eq(ouro_queue_new(capacity, &opts, &q), 0);
    return q;
}

TaskTest(queue, priority_gives_the_least_first)
{
    ouro_queue *q = by_priority(OURO_UNBOUNDED);
    for (int i = 0; i < 101; i++)
        put_now(q, i * 37 % 101 * 10);
    for (int i = 0; i < 101; i++)
        check_eq(get_now(q), i * 10);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, of_equal_priority_the_oldest_comes_first)
{
    ouro_queue *q = by_priority(OURO_UNBOUNDED);
    for (int i = 0; i < 10; i++) {
        put_now(q, 20 + i);
        put_now(q, 10 + i);
        put_now(q, 30 + i);
    }
    for (int i = 0; i < 30; i++)
        check_eq(get_now(q), 10 + i);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, null_is_an_item)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    void *got = q;
    check_eq(ouro_queue_put(q, NULL), 0);
    check_eq(ouro_queue_size(q), 1);
    check_eq(ouro_queue_get(q, &got), 0);
    check(got == NULL);
    ouro_queue_free(q);
    return 0;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

TaskTest(queue, a_put_into_a_full_queue_waits_for_room)
{
    ouro_queue *q = queue(2, OURO_QUEUE_FIFO);
    put_now(q, 1);
    put_now(q, 2);
    struct user u = {.q = q, .item = 3};
    ouro_future *f = start(be_putter, &u);
    check(!u.ended);
    check_eq(ouro_queue_size(q), 2);
    check_eq(get_now(q), 1);
    check_eq(ouro_queue_size(q), 2); /* its item is in before its task runs */
    check_eq(ouro_await(f), 0);
    check_eq(get_now(q), 2);
    check_eq(get_now(q), 3);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, a_get_from_an_empty_queue_waits_for_an_item)
{
    ouro_queue *q = queue(2, OURO_QUEUE_FIFO);
    struct user u = {.q = q};
    ouro_future *f = start(be_getter, &u);
    check(!u.ended);
    put_now(q, 7);
    check_eq(ouro_queue_size(q), 0); /* handed over */
    check_eq(ouro_queue_unfinished(q), 1);
    check_eq(ouro_await(f), 0);
    check_eq(u.item, 7);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, getters_are_served_in_the_order_in_which_they_came)
{
    ouro_queue *q = queue(9, OURO_QUEUE_FIFO);
    struct user u[3] = {{.q = q}, {.q = q}, {.q = q}};
    ouro_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = start(be_getter, &u[i]);
    for (int i = 0; i < 3; i++)
        put_now(q, i + 1);
    for (int i = 0; i < 3; i++) {
        check_eq(ouro_await(f[i]), 0);
        check_eq(u[i].item, i + 1);
    }
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, an_item_handed_to_a_getter_cannot_be_had_by_a_later_one)
{
    ouro_queue *q = queue(9, OURO_QUEUE_FIFO);
    struct user u = {.q = q};
    ouro_future *f = start(be_getter, &u);
    put_now(q, 1);
    check_eq(get_now(q), -1);
    check_eq(ouro_await(f), 0);
    check_eq(u.item, 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, items_of_waiting_putters_go_in_in_order_and_ahead_of_a_later_try_put)
{
    ouro_queue *q = queue(2, OURO_QUEUE_FIFO);
    put_now(q, 1);
    put_now(q, 2);
    struct user u[2] = {{.q = q, .item = 3}, {.q = q, .item = 4}};
    ouro_future *f[2] = {start(be_putter, &u[0]), start(be_putter, &u[1])};
    check_eq(get_now(q), 1);
    check_eq(ouro_queue_try_put(q, item(9)), -EAGAIN);
    check_eq(get_now(q), 2);
    check_eq(ouro_queue_try_put(q, item(9)), -EAGAIN);
    for (int i = 0; i < 2; i++)
        check_eq(ouro_await(f[i]), 0);
    check_eq(get_now(q), 3);
    put_now(q, 5);
    check_eq(get_now(q), 4);
    check_eq(get_now(q), 5);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, the_item_of_a_waiting_putter_takes_its_place_by_priority)
{
    ouro_queue *q = by_priority(2);
    put_now(q, 50);
    put_now(q, 60);
    struct user u = {.q = q, .item = 10};
    ouro_future *f = start(be_putter, &u);
    check_eq(get_now(q), 50); /* one that waits outside is not in it */
    check_eq(get_now(q), 10);
    check_eq(get_now(q), 60);
    check_eq(ouro_await(f), 0);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, try_forms_never_wait)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    void *got = q;
    check_eq(ouro_queue_try_get(q, &got), -EAGAIN);
    check(got == q);
    check_eq(ouro_queue_try_put(q, item(1)), 0);
    check_eq(ouro_queue_try_put(q, item(2)), -EAGAIN);
    check_eq(ouro_queue_size(q), 1);
    check_eq(ouro_queue_unfinished(q), 1);
    check_eq(ouro_queue_try_get(q, &got), 0);
    check_eq(number(got), 1);
    ouro_queue_free(q);
    return 0;
}

static int64_t put_many(void *arg)
{
    for (int i = 1; i <= 1000; i++)
        check_eq(ouro_queue_put(arg, item(i)), 0);
    return 0;
}

TaskTest(queue, a_put_that_never_has_to_wait_lets_others_run_all_the_same)
{
    ouro_queue *q = queue(OURO_UNBOUNDED, OURO_QUEUE_FIFO);
    ouro_future *f = ouro_spawn(put_many, q);
    check_eq(ouro_yield(), 0);
    check(ouro_queue_size(q) > 0);
    check(ouro_queue_size(q) < 1000);
    check_eq(ouro_await(f), 0);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, a_bounded_queue_in_steady_use_asks_for_no_memory)
{
    ouro_queue *q = queue(7, OURO_QUEUE_FIFO);
    ouro_future *f = ouro_spawn(put_many, q);
    void *got;
    for (int i = 1; i <= 100; i++)
        check_eq(ouro_queue_get(q, &got), 0);
    uint64_t before = stats().allocations;
    for (int i = 101; i <= 1000; i++) {
        check_eq(ouro_queue_get(q, &got), 0);
        check_eq(number(got), i);
    }
    check_eq(stats().allocations, before);
    check_eq(ouro_await(f), 0);
    ouro_queue_free(q);
    return 0;
}

/* ---- Rendezvous ------------------------------------------------------------------------------ */

TaskTest(queue, with_capacity_0_a_put_waits_for_its_get)
{
    ouro_queue *q = queue(0, OURO_QUEUE_FIFO);
    struct user u = {.q = q, .item = 5};
    ouro_future *f = start(be_putter, &u);
    check(!u.ended);
    check_eq(ouro_queue_size(q), 0);
    check_eq(ouro_queue_unfinished(q), 0);
    check_eq(get_now(q), 5);
    check_eq(ouro_queue_unfinished(q), 1);
    check_eq(ouro_await(f), 0);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, with_capacity_0_a_get_waits_for_its_put)
{
    ouro_queue *q = queue(0, OURO_QUEUE_FIFO);
    struct user u = {.q = q};
    ouro_future *f = start(be_getter, &u);
    check(!u.ended);
    check_eq(ouro_queue_put(q, item(6)), 0);
    check_eq(ouro_queue_unfinished(q), 1);
    check_eq(ouro_await(f), 0);
    check_eq(u.item, 6);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, with_capacity_0_try_put_needs_a_getter_and_try_get_a_putter)
{
    ouro_queue *q = queue(0, OURO_QUEUE_FIFO);
    check_eq(ouro_queue_try_put(q, item(1)), -EAGAIN);
    check_eq(get_now(q), -1);
    struct user u[2] = {{.q = q, .item = 1}, {.q = q, .item = 2}};
    ouro_future *f[2] = {start(be_putter, &u[0]), start(be_putter, &u[1])};
    check_eq(get_now(q), 1);
    check_eq(get_now(q), 2);
    check_eq(get_now(q), -1);
    check_eq(ouro_await(f[0]), 0);
    check_eq(ouro_await(f[1]), 0);
    f[0] = start(be_getter, &u[0]);
    put_now(q, 3);
    check_eq(ouro_await(f[0]), 0);
    check_eq(u[0].item, 3);
    ouro_queue_free(q);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

TaskTest(queue, a_cancelled_put_has_put_nothing_in)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    struct user u[3] = {{.q = q, .item = 2}, {.q = q, .item = 3}, {.q = q, .item = 4}};
    ouro_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = start(be_putter, &u[i]);
    check_eq(ouro_cancel(f[1]), 1);
    check_eq(ouro_await(f[1]), -OURO_ECHILDCANCELLED);
    check_eq(u[1].rc, -ECANCELED);
    check_eq(ouro_queue_unfinished(q), 1);
    check_eq(get_now(q), 1);
    check_eq(get_now(q), 2);
    check_eq(get_now(q), 4);
    check_eq(get_now(q), -1);
    check_eq(ouro_await(f[0]), 0);
    check_eq(ouro_await(f[2]), 0);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, a_cancelled_get_has_taken_nothing)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    struct user u[2] = {{.q = q}, {.q = q}};
    ouro_future *f[2] = {start(be_getter, &u[0]), start(be_getter, &u[1])};
    check_eq(ouro_cancel(f[0]), 1);
    put_now(q, 1);
    check_eq(ouro_await(f[0]), -OURO_ECHILDCANCELLED);
    check_eq(u[0].rc, -ECANCELED);
    check_eq(u[0].item, -1); /* not written */
    check_eq(ouro_await(f[1]), 0);
    check_eq(u[1].item, 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, an_item_that_was_handed_over_wins_over_a_cancel)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    struct user u = {.q = q};
    ouro_future *f = start(be_getter, &u);
    put_now(q, 1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), 0);
    check_eq(u.item, 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, an_item_that_was_let_in_wins_over_a_cancel)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    struct user u = {.q = q, .item = 2};
    ouro_future *f = start(be_putter, &u);
    check_eq(get_now(q), 1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), 0);
    check_eq(get_now(q), 2);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue, in_a_cancelled_scope_nothing_is_put_or_taken_but_by_the_try_forms)
{
    ouro_queue *q = queue(9, OURO_QUEUE_FIFO);
    void *got = q;
    ouro_scope scope;
    put_now(q, 1);
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    check_eq(ouro_scope_cancel(&scope, "test"), 1);
    check_eq(ouro_queue_put(q, item(2)), -ECANCELED);
    check_eq(ouro_queue_get(q, &got), -ECANCELED);
    check_eq(ouro_queue_join(q), -ECANCELED);
    check(got == q);
    check_eq(ouro_queue_size(q), 1);
    check_eq(get_now(q), 1);
    put_now(q, 3);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_DRAIN), 0);
    check_eq(ouro_scope_exit(&scope, -ECANCELED), -ECANCELED);
    check_eq(get_now(q), 3);
    ouro_queue_free(q);
    return 0;
}

static int64_t free_queue(void *arg)
{
    struct user *u = arg;
    u->q = ouro_queue_free(u->q);
    return 0;
}

TaskTest(queue, a_cancelled_call_does_not_look_at_a_queue_that_was_freed_while_it_let_others_run)
{
    struct user u = {.q = queue(1, OURO_QUEUE_FIFO)};
    ouro_queue *q = u.q;
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    check_eq(ouro_scope_cancel(&scope, "test"), 1);
    ouro_future *f = ouro_spawn(free_queue, &u);
    check_eq(ouro_queue_put(q, NULL), -ECANCELED);
    check(u.q == NULL);
    check_eq(ouro_scope_exit(&scope, -ECANCELED), -ECANCELED);
    return ouro_await(f);
}

/* A time limit around a get is a scope's. */
TaskTest(queue, a_get_can_have_a_time_limit)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    ouro_scope scope;
    void *got;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_MS(2)}), 0);
    check_eq(ouro_scope_exit(&scope, ouro_queue_get(q, &got)), -ETIMEDOUT);
    put_now(q, 1);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    return 0;
}

/* ---- Bad input ------------------------------------------------------------------------------- */

Test(queue, cannot_be_made_of_nonsense)
{
    ouro_queue *q = NULL;
    check_eq(ouro_queue_new(1, NULL, &q), -EPERM); /* no loop */
    begin_fake();
    check_eq(ouro_queue_new(1, NULL, NULL), -EINVAL);
    check_eq(ouro_queue_new(-1, NULL, &q), -EINVAL);
    check_eq(ouro_queue_new(INT64_MIN, NULL, &q), -EINVAL);
    ouro_queue_options opts = {.order = (ouro_queue_order)3};
    check_eq(ouro_queue_new(1, &opts, &q), -EINVAL);
    opts.order = OURO_QUEUE_PRIORITY; /* without a comparator */
    check_eq(ouro_queue_new(1, &opts, &q), -EINVAL);
    check(q == NULL);
    end();
}

TaskTest(queue, null_for_a_queue_is_einval)
{
    void *got;
    check_eq(ouro_queue_put(NULL, NULL), -EINVAL);
    check_eq(ouro_queue_try_put(NULL, NULL), -EINVAL);
    check_eq(ouro_await(ouro_queue_put_future(NULL, NULL)), -EINVAL);
    check_eq(ouro_queue_get(NULL, &got), -EINVAL);
    check_eq(ouro_queue_try_get(NULL, &got), -EINVAL);
    check_eq(ouro_await(ouro_queue_get_future(NULL)), -EINVAL);
    check_eq(ouro_queue_task_done(NULL), -EINVAL);
    check_eq(ouro_queue_join(NULL), -EINVAL);
    check_eq(ouro_await(ouro_queue_join_future(NULL)), -EINVAL);
    check_eq(ouro_queue_shutdown(NULL, OURO_SHUTDOWN_NOW), -EINVAL);
    check_eq(ouro_queue_size(NULL), -EINVAL);
    check_eq(ouro_queue_unfinished(NULL), -EINVAL);
    check(ouro_queue_free(NULL) == NULL);
    return 0;
}

TaskTest(queue, a_get_to_nowhere_is_einval_and_takes_nothing)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    check_eq(ouro_queue_get(q, NULL), -EINVAL);
    check_eq(ouro_queue_try_get(q, NULL), -EINVAL);
    check_eq(ouro_queue_shutdown(q, (ouro_shutdown_mode)2), -EINVAL);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    return 0;
}

Test(queue, waiting_outside_a_task_is_eperm)
{
    void *got;
    begin_fake();
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    check_eq(ouro_queue_put(q, NULL), -EPERM);
    check_eq(ouro_queue_get(q, &got), -EPERM);
    check_eq(ouro_queue_join(q), -EPERM);
    put_now(q, 1);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    end();
}
