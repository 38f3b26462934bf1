/* SPDX-License-Identifier: MIT */
/*
 * Queues by futures: what they hold, and where an item goes that nobody takes from one.
 */
#include "queue_test.h"

TestSuite(queue_future, .timeout = 60);

static ouro_queue *queue_of_two(ouro_queue_order order)
{
    ouro_queue *q = queue(9, order);
    put_now(q, 1);
    put_now(q, 2);
    return q;
}

static int await_item(ouro_future *f)
{
    int64_t n = -1;
    void *got = ouro_await_ptr(f, &n);
    check_eq(n, 0);
    return number(got);
}

/* ---- What they come to ----------------------------------------------------------------------- */

TaskTest(queue_future, a_put_settles_when_the_item_is_in)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    ouro_future *first = ouro_queue_put_future(q, item(1));
    ouro_future *second = ouro_queue_put_future(q, item(2));
    check_eq(ouro_future_state(first), OURO_VALUE);
    check_eq(ouro_future_state(second), OURO_PENDING);
    check_eq(get_now(q), 1);
    check_eq(ouro_future_state(second), OURO_VALUE);
    check_eq(ouro_await(first), 0);
    check_eq(ouro_await(second), 0);
    check_eq(get_now(q), 2);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, a_get_has_the_item_in_ptr)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    ouro_future *first = ouro_queue_get_future(q);
    ouro_future *second = ouro_queue_get_future(q);
    check_eq(ouro_future_state(first), OURO_VALUE);
    check_eq(ouro_future_state(second), OURO_PENDING);
    put_now(q, 2);
    check_eq(ouro_queue_size(q), 0);
    check_eq(await_item(second), 2);
    check_eq(await_item(first), 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, tasks_and_futures_stand_in_one_line)
{
    ouro_queue *q = queue(0, OURO_QUEUE_FIFO);
    struct user u = {.q = q};
    ouro_future *first = ouro_queue_get_future(q);
    ouro_future *task = start(be_getter, &u);
    ouro_future *last = ouro_queue_get_future(q);
    for (int i = 1; i <= 3; i++)
        put_now(q, i);
    check_eq(await_item(first), 1);
    check_eq(ouro_await(task), 0);
    check_eq(u.item, 2);
    check_eq(await_item(last), 3);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, with_capacity_0_futures_meet)
{
    ouro_queue *q = queue(0, OURO_QUEUE_FIFO);
    ouro_future *put = ouro_queue_put_future(q, item(1));
    check_eq(ouro_future_state(put), OURO_PENDING);
    ouro_future *get = ouro_queue_get_future(q);
    check_eq(ouro_future_state(put), OURO_VALUE);
    check_eq(await_item(get), 1);
    check_eq(ouro_await(put), 0);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, of_a_queue_that_was_shut_down_is_epipe)
{
    ouro_queue *q = queue_of_two(OURO_QUEUE_FIFO);
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_DRAIN), 0);
    check_eq(ouro_await(ouro_queue_put_future(q, item(3))), -EPIPE);
    check_eq(await_item(ouro_queue_get_future(q)), 1);
    check_eq(await_item(ouro_queue_get_future(q)), 2);
    check_eq(ouro_await(ouro_queue_get_future(q)), -EPIPE);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, waits_end_with_epipe_when_the_queue_is_freed)
{
    ouro_queue *q = queue(0, OURO_QUEUE_FIFO);
    ouro_future *put = ouro_queue_put_future(q, item(3));
    ouro_queue *other = queue(1, OURO_QUEUE_FIFO);
    ouro_future *get = ouro_queue_get_future(other);
    put_now(other, 1);
    ouro_future *late = ouro_queue_get_future(other);
    ouro_future *join = ouro_queue_join_future(other);
    ouro_queue_free(q);
    ouro_queue_free(other);
    check_eq(ouro_await(put), -EPIPE);
    check_eq(ouro_await(late), -EPIPE);
    check_eq(ouro_await(join), -EPIPE);
    check_eq(await_item(get), 1); /* what was handed over stays so */
    return 0;
}

/* ---- Cancelled ------------------------------------------------------------------------------- */

TaskTest(queue_future, a_cancelled_put_has_put_nothing_in)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    ouro_future *f = ouro_queue_put_future(q, item(2));
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    check_eq(get_now(q), 1);
    check_eq(get_now(q), -1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, a_cancelled_get_has_taken_nothing)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    ouro_future *f = ouro_queue_get_future(q);
    check_eq(ouro_cancel(f), 1);
    put_now(q, 1);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, a_get_whose_time_is_up_has_taken_nothing)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    check_eq(ouro_await(ouro_timeout(ouro_queue_get_future(q), OURO_MS(1))), -ETIMEDOUT);
    put_now(q, 1);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, a_join_that_is_cancelled_leaves_the_queue_alone)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    ouro_future *f = ouro_queue_join_future(q);
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    check_eq(ouro_queue_unfinished(q), 1);
    f = ouro_queue_join_future(q);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_await(f), 0);
    check_eq(ouro_await(ouro_queue_join_future(q)), 0); /* at once */
    ouro_queue_free(q);
    return 0;
}

/* ---- Items that nobody takes ----------------------------------------------------------------- */

TaskTest(queue_future, an_item_that_nobody_takes_comes_out_next)
{
    static const int next[2][2] = {
        [OURO_QUEUE_FIFO] = {1, 2},
        [OURO_QUEUE_LIFO] = {2, 1},
    };
    for (int order = 0; order < 2; order++) {
        ouro_queue *q = queue_of_two((ouro_queue_order)order);
        ouro_unref(ouro_queue_get_future(q));
        check_eq(ouro_yield(), 0);
        check_eq(ouro_queue_size(q), 2);
        check_eq(ouro_queue_unfinished(q), 2);
        check_eq(get_now(q), next[order][0]);
        check_eq(get_now(q), next[order][1]);
        ouro_queue_free(q);
    }
    return 0;
}

static int by_tens(const void *a, const void *b, void *arg)
{
    (void)arg;
    return number(a) / 10 - number(b) / 10;
}

TaskTest(queue_future, an_item_that_nobody_takes_is_the_first_of_its_equals_again)
{
    ouro_queue *q;
    ouro_queue_options opts = {.order = OURO_QUEUE_PRIORITY, .compare = by_tens};
    check_eq(ouro_queue_new(OURO_UNBOUNDED, &opts, &q), 0);
    for (int i = 0; i < 3; i++)
        put_now(q, 20 + i);
    ouro_future *f = ouro_queue_get_future(q);
    put_now(q, 10);
    ouro_unref(f);
    check_eq(ouro_yield(), 0);
    check_eq(get_now(q), 10);
    for (int i = 0; i < 3; i++)
        check_eq(get_now(q), 20 + i);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, an_item_that_goes_back_may_exceed_the_capacity)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    ouro_future *f = ouro_queue_get_future(q);
    put_now(q, 2);
    struct user u = {.q = q, .item = 3};
    ouro_future *putter = start(be_putter, &u);
    ouro_unref(f);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_queue_size(q), 2);
    check_eq(get_now(q), 1);
    check(!u.ended);
    check_eq(ouro_queue_size(q), 1); /* still no room */
    check_eq(get_now(q), 2);
    check_eq(ouro_await(putter), 0);
    check_eq(get_now(q), 3);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, an_item_that_goes_back_is_handed_to_who_waits)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    ouro_future *f = ouro_queue_get_future(q);
    struct user u = {.q = q};
    ouro_future *task = start(be_getter, &u);
    ouro_unref(f);
    check_eq(ouro_await(task), 0);
    check_eq(u.item, 1);

    put_now(q, 2);
    f = ouro_queue_get_future(q);
    ouro_future *next = ouro_queue_get_future(q);
    ouro_unref(f);
    check_eq(await_item(next), 2);
    check_eq(ouro_queue_unfinished(q), 2);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, with_capacity_0_an_item_goes_back_too)
{
    ouro_queue *q = queue(0, OURO_QUEUE_FIFO);
    ouro_future *f = ouro_queue_get_future(q);
    put_now(q, 1);
    ouro_unref(f);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_queue_size(q), 1);
    check_eq(ouro_queue_try_put(q, item(2)), -EAGAIN);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, a_detached_get_passes_its_item_back)
{
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO);
    ouro_detach(ouro_queue_get_future(q));
    put_now(q, 1);
    check_eq(get_now(q), -1);
    check_eq(ouro_yield(), 0);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, an_await_that_cannot_take_the_item_leaves_it)
{
    ouro_queue *q = queue_of_two(OURO_QUEUE_FIFO);
    check_eq(ouro_await(ouro_queue_get_future(q)), 0);
    check_eq(ouro_yield(), 0);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, a_gather_that_fails_gives_its_items_back)
{
    ouro_queue *q = queue_of_two(OURO_QUEUE_FIFO);
    ouro_result r[3];
    ouro_future *f[3] = {ouro_queue_get_future(q), ouro_ready(-EIO), ouro_queue_get_future(q)};
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_ALL, r)), -EIO);
    check(r[0].ptr == NULL);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_queue_size(q), 2);
    f[0] = ouro_queue_get_future(q);
    f[1] = ouro_queue_get_future(q);
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, r)), 0);
    check_eq(number(r[0].ptr) + number(r[1].ptr), 3);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_queue_size(q), 0);
    ouro_queue_free(q);
    return 0;
}

/* Both have an item at once; none is lost, and the loser's is there again when the select is
 * told. */
TaskTest(queue_future, a_select_leaves_the_loser_its_item)
{
    ouro_queue *q[2] = {queue(1, OURO_QUEUE_FIFO), queue(1, OURO_QUEUE_FIFO)};
    ouro_future *f[2] = {ouro_queue_get_future(q[0]), ouro_queue_get_future(q[1])};
    ouro_result winner;
    ouro_future *s = ouro_select(f, 2, &winner);
    put_now(q[0], 1);
    put_now(q[1], 2);
    int64_t i = ouro_await(s);
    check(i == 0 || i == 1);
    check_eq(number(winner.ptr), i + 1);
    check_eq(get_now(q[1 - i]), 2 - i);
    check_eq(get_now(q[i]), -1);
    ouro_queue_free(q[0]);
    ouro_queue_free(q[1]);
    return 0;
}

TaskTest(queue_future, an_item_goes_along_with_a_timeout_and_back_through_it)
{
    ouro_queue *q = queue_of_two(OURO_QUEUE_FIFO);
    check_eq(await_item(ouro_timeout(ouro_queue_get_future(q), OURO_SEC(1))), 1);
    check_eq(ouro_await(ouro_timeout(ouro_queue_get_future(q), OURO_SEC(1))), 0);
    check_eq(ouro_yield(), 0);
    check_eq(get_now(q), 2);
    ouro_queue_free(q);
    return 0;
}

static void take_it(ouro_future *done, void *arg)
{
    ouro_result *result = arg;
    *result = ouro_future_take(done);
}

TaskTest(queue_future, a_callback_can_take_the_item)
{
    ouro_queue *q = queue_of_two(OURO_QUEUE_FIFO);
    ouro_result result = {-1, NULL};
    ouro_future *f = ouro_queue_get_future(q);
    check_eq(ouro_on_done(f, take_it, &result), 0);
    ouro_detach(f);
    check_eq(ouro_yield(), 0);
    check_eq(result.n, 0);
    check_eq(number(result.ptr), 1);
    check_eq(get_now(q), 2);
    check_eq(get_now(q), -1);
    ouro_queue_free(q);
    return 0;
}

/* ---- Items of a queue that is over ----------------------------------------------------------- */

static int freed[8];

static void note_free(void *ptr)
{
    freed[number(ptr)]++;
}

static ouro_queue *queue_that_frees(void)
{
    ouro_queue *q;
    check_eq(ouro_queue_new(9, &(ouro_queue_options){.item_free = note_free}, &q), 0);
    for (int i = 1; i <= 3; i++)
        put_now(q, i);
    for (int i = 0; i < 8; i++)
        freed[i] = 0;
    return q;
}

TaskTest(queue_future, an_item_that_goes_back_to_a_queue_that_is_over_is_destroyed_once)
{
    ouro_queue *q = queue_that_frees();
    ouro_future *dropped = ouro_queue_get_future(q), *taken = ouro_queue_get_future(q);
    check_eq(ouro_queue_shutdown(q, OURO_SHUTDOWN_NOW), 0);
    check_eq(ouro_queue_unfinished(q), 2);
    ouro_future *join = ouro_queue_join_future(q);
    ouro_unref(dropped);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_queue_unfinished(q), 1);
    check_eq(await_item(taken), 2);
    check_eq(ouro_queue_task_done(q), 0);
    check_eq(ouro_await(join), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed[1], 1);
    check_eq(freed[2], 0); /* ours */
    check_eq(freed[3], 1);
    ouro_queue_free(q);
    return 0;
}

TaskTest(queue_future, items_outlive_the_queue_they_came_from)
{
    ouro_queue *q = queue_that_frees();
    ouro_future *dropped = ouro_queue_get_future(q), *taken = ouro_queue_get_future(q);
    ouro_queue_free(q);
    check_eq(await_item(taken), 2);
    ouro_unref(dropped);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed[1], 1);
    check_eq(freed[2], 0);
    check_eq(freed[3], 1);
    return 0;
}

/* A comparator and its argument need not outlive the queue. */
static int must_not_compare(const void *a, const void *b, void *arg)
{
    check(*(bool *)arg);
    return number(a) - number(b);
}

TaskTest(queue_future, an_item_that_outlives_its_queue_is_not_compared)
{
    bool allowed = true;
    ouro_queue *q;
    ouro_queue_options opts = {.order = OURO_QUEUE_PRIORITY,
                               .compare = must_not_compare,
                               .compare_arg = &allowed,
                               .item_free = note_free};
    check_eq(ouro_queue_new(9, &opts, &q), 0);
    for (int i = 1; i <= 6; i++)
        put_now(q, i);
    for (int i = 0; i < 8; i++)
        freed[i] = 0;
    ouro_future *first = ouro_queue_get_future(q), *second = ouro_queue_get_future(q);
    ouro_queue_free(q);
    allowed = false;
    ouro_unref(first);
    ouro_unref(second);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    for (int i = 1; i <= 6; i++)
        check_eq(freed[i], 1);
    return 0;
}

/* ---- The loop's end -------------------------------------------------------------------------- */

Test(queue_future, waits_are_cancelled_at_shutdown_and_items_stay)
{
    begin_fake();
    ouro_queue *q = queue(1, OURO_QUEUE_FIFO), *empty = queue(1, OURO_QUEUE_FIFO);
    put_now(q, 1);
    ouro_future *put = ouro_queue_put_future(q, item(2));
    ouro_future *get = ouro_queue_get_future(empty);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_future_state(put), OURO_CANCELLED);
    check_eq(ouro_future_state(get), OURO_CANCELLED);
    ouro_unref(put);
    ouro_unref(get);
    get = ouro_queue_get_future(q);
    check_eq(ouro_future_result(get).n, -ESHUTDOWN);
    ouro_unref(get);
    check_eq(get_now(q), 1);
    ouro_queue_free(q);
    ouro_queue_free(empty);
    end();
}

Test(queue_future, an_item_still_held_when_the_loop_closes_is_destroyed_with_its_future)
{
    begin_kernel_with(&(ouro_loop_options){.debug = -1}); /* it would tell of leaks */
    ouro_queue *q = queue_that_frees();
    ouro_future *dropped = ouro_queue_get_future(q), *returned = ouro_queue_get_future(q);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_unref(returned);
    check_eq(freed[2], 0); /* the queue is there to go back to */
    ouro_queue_free(q);
    check_eq(freed[2], 1);
    check_eq(freed[3], 1);
    check_eq(freed[1], 0);
    ouro_unref(dropped);
    check_eq(freed[1], 1);
    end_closed();
}
