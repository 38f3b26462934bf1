/* SPDX-License-Identifier: MIT */
/*
 * Chains: one link after another, for every outcome, and a cancel that finds the part under way.
 */
#include "harness.h"

#include <errno.h>

TestSuite(then, .timeout = 30);

/* What a link does, and what it saw. */
struct link {
    ouro_future *next; /* what it returns; NULL passes the outcome on */
    int calls;
    ouro_state state;
    int64_t n;
};

static ouro_future *go_on(ouro_future *done, void *arg)
{
    struct link *link = arg;
    link->calls++;
    link->state = ouro_future_state(done);
    link->n = ouro_future_result(done).n;
    return link->next;
}

static ouro_future *add_one(ouro_future *done, void *arg)
{
    (void)arg;
    return ouro_ready(ouro_future_result(done).n + 1);
}

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static ouro_future *with_object(int *freed)
{
    ouro_promise *p = NULL;
    ouro_future *f = NULL;
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_promise_resolve(p, (ouro_result){1, freed}, count_free), 0);
    ouro_promise_free(p);
    return f;
}

/* ---- Outcomes -------------------------------------------------------------------------------- */

Test(then, a_chain_settles_as_the_future_its_link_returns)
{
    begin_fake();
    struct link link = {.next = ouro_ready(20)};
    ouro_future *chain = ouro_then(ouro_ready(10), go_on, &link);
    turns(4);
    check_eq(link.calls, 1);
    check_eq(link.n, 10);
    check_eq(ouro_future_state(chain), OURO_VALUE);
    check_eq(ouro_future_result(chain).n, 20);
    ouro_unref(chain);
    end();
}

Test(then, a_link_never_runs_inside_the_call_that_adds_it)
{
    struct link link = {0};
    begin_fake();
    ouro_future *chain = ouro_then(ouro_ready(1), go_on, &link);
    check_eq(link.calls, 0);
    check_eq(ouro_future_state(chain), OURO_PENDING);
    turns(3);
    check_eq(link.calls, 1);
    ouro_unref(chain);
    end();
}

Test(then, null_passes_the_outcome_on_object_included)
{
    int freed = 0;
    struct link link = {0};
    begin_fake();
    ouro_future *chain = ouro_then(with_object(&freed), go_on, &link);
    turns(4);
    check_eq(freed, 0);
    ouro_result r = ouro_future_take(chain);
    check_eq(r.n, 1);
    check(r.ptr == &freed);
    ouro_unref(chain);
    turns(2);
    check_eq(freed, 0);
    end();
}

Test(then, an_object_passed_on_and_not_taken_is_destroyed_once)
{
    int freed = 0;
    struct link link = {0};
    begin_fake();
    ouro_unref(ouro_then(with_object(&freed), go_on, &link));
    turns(6);
    check_eq(link.calls, 1);
    check_eq(freed, 1);
    end();
    check_eq(freed, 1);
}

Test(then, an_object_the_link_does_not_pass_on_is_destroyed)
{
    int freed = 0;
    begin_fake();
    struct link link = {.next = ouro_ready(2)};
    ouro_future *chain = ouro_then(with_object(&freed), go_on, &link);
    turns(5);
    check_eq(freed, 1);
    check_eq(ouro_future_result(chain).n, 2);
    check(ouro_future_result(chain).ptr == NULL);
    ouro_unref(chain);
    end();
}

Test(then, a_link_runs_for_an_error_and_null_passes_it_on)
{
    struct link link = {0};
    begin_fake();
    ouro_future *chain = ouro_then(ouro_ready(-EIO), go_on, &link);
    turns(4);
    check_eq(link.calls, 1);
    check_eq(link.state, OURO_ERROR);
    check_eq(link.n, -EIO);
    check_eq(ouro_future_state(chain), OURO_ERROR);
    check_eq(ouro_future_result(chain).n, -EIO);
    ouro_unref(chain);
    end();
}

Test(then, a_link_can_turn_an_error_into_a_value)
{
    begin_fake();
    struct link link = {.next = ouro_ready(0)};
    ouro_future *chain = ouro_then(ouro_ready(-EIO), go_on, &link);
    turns(4);
    check_eq(ouro_future_state(chain), OURO_VALUE);
    ouro_unref(chain);
    end();
}

Test(then, an_error_passed_on_and_never_read_is_reported_once)
{
    struct link link = {0};
    begin_fake();
    ouro_unref(ouro_then(ouro_ready(-EIO), go_on, &link));
    turns(6);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    end();
}

TaskTest(then, chains_of_many_links_run_them_in_order)
{
    ouro_future *f = ouro_ready(0);
    for (int i = 0; i < 1000; i++)
        f = ouro_then(f, add_one, NULL);
    check_eq(ouro_await(f), 1000);
    return 0;
}

TaskTest(then, a_link_may_wait)
{
    struct link link = {.next = ouro_sleep(OURO_MS(2))};
    ouro_ns start = ouro_now();
    check_eq(ouro_await(ouro_then(ouro_sleep(OURO_MS(1)), go_on, &link)), 0);
    check(ouro_now() - start >= OURO_MS(2));
    return 0;
}

static ouro_future *pass_itself(ouro_future *done, void *arg)
{
    (void)arg;
    return done;
}

TaskTest(then, a_link_may_return_what_it_was_given)
{
    check_eq(ouro_await(ouro_then(ouro_ready(5), pass_itself, NULL)), 5);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

Test(then, a_cancel_goes_to_the_first_part_and_the_link_still_runs)
{
    struct link link = {0};
    begin_fake();
    ouro_future *first = ouro_sleep(OURO_SEC(100));
    ouro_future *chain = ouro_then(ouro_ref(first), go_on, &link);
    turn();
    check_eq(ouro_cancel(chain), 1);
    check_eq(ouro_cancel(chain), 0);
    check_eq(link.calls, 0);
    turns(4);
    check_eq(ouro_future_state(first), OURO_CANCELLED);
    check_eq(link.calls, 1);
    check_eq(link.state, OURO_CANCELLED);
    check_eq(ouro_future_state(chain), OURO_CANCELLED);
    check_eq(stats().live_timers, 0);
    ouro_unref(first);
    ouro_unref(chain);
    end();
}

Test(then, a_cancel_goes_to_the_second_part_once_that_is_under_way)
{
    begin_fake();
    ouro_future *second = ouro_sleep(OURO_SEC(100));
    struct link link = {.next = ouro_ref(second)};
    ouro_future *chain = ouro_then(ouro_ready(0), go_on, &link);
    turns(3);
    check_eq(link.calls, 1);
    check_eq(ouro_future_state(chain), OURO_PENDING);
    check_eq(ouro_cancel(chain), 1);
    turns(4);
    check_eq(ouro_future_state(second), OURO_CANCELLED);
    check_eq(ouro_future_state(chain), OURO_CANCELLED);
    ouro_unref(second);
    ouro_unref(chain);
    end();
}

Test(then, a_link_that_goes_on_after_a_cancel_has_its_future_cancelled_too)
{
    begin_fake();
    ouro_future *second = ouro_sleep(OURO_SEC(100));
    struct link link = {.next = ouro_ref(second)};
    ouro_future *chain = ouro_then(ouro_sleep(OURO_SEC(100)), go_on, &link);
    turn();
    check_eq(ouro_cancel(chain), 1);
    turns(6);
    check_eq(link.calls, 1);
    check_eq(ouro_future_state(second), OURO_CANCELLED);
    check_eq(ouro_future_state(chain), OURO_CANCELLED);
    ouro_unref(second);
    ouro_unref(chain);
    end();
}

Test(then, a_result_that_is_there_wins_over_the_cancel_of_its_chain)
{
    begin_fake();
    struct link link = {.next = ouro_ready(4)};
    ouro_future *chain = ouro_then(ouro_ready(3), go_on, &link);
    ouro_cancel(chain); /* the link has not run yet, but both results are there */
    turns(4);
    check_eq(link.calls, 1);
    check_eq(link.n, 3);
    check_eq(ouro_future_state(chain), OURO_VALUE);
    check_eq(ouro_future_result(chain).n, 4);
    ouro_unref(chain);
    end();
}

Test(then, a_first_part_cancelled_by_somebody_else_is_shown_to_the_link)
{
    struct link link = {0};
    begin_fake();
    ouro_future *first = ouro_sleep(OURO_SEC(100));
    ouro_future *chain = ouro_then(ouro_ref(first), go_on, &link);
    check_eq(ouro_cancel(first), 1);
    turns(4);
    check_eq(link.calls, 1);
    check_eq(link.state, OURO_CANCELLED);
    check(ouro_future_state(chain) != OURO_PENDING);
    check(ouro_future_result(chain).n < 0);
    ouro_unref(first);
    ouro_unref(chain);
    end();
}

static ouro_future *own_chain;

static ouro_future *return_own_chain(ouro_future *done, void *arg)
{
    (void)done;
    (void)arg;
    return ouro_ref(own_chain);
}

TaskTest(then, a_link_that_returns_its_own_chain_does_not_wait_for_ever)
{
    own_chain = ouro_then(ouro_ready(1), return_own_chain, NULL);
    check_eq(ouro_await(own_chain), -EDEADLK);
    return 0;
}

/* ---- Bad arguments --------------------------------------------------------------------------- */

TaskTest(then, without_a_link_the_future_is_cancelled_and_einval_comes_back)
{
    ouro_future *first = ouro_sleep(OURO_SEC(100));
    check_eq(ouro_await(ouro_then(ouro_ref(first), NULL, NULL)), -EINVAL);
    check_eq(ouro_await(first), -EINVAL); /* it is what came back */
    check_eq(ouro_await(ouro_then(NULL, add_one, NULL)), -EINVAL);
    return 0;
}
