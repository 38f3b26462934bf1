/* SPDX-License-Identifier: MIT */
/*
 * The producer's end: resolve, fail, break, and the hook that is asked when the consumer cancels.
 */
#include "harness.h"

#include <errno.h>

TestSuite(promise, .timeout = 30);

struct pair {
    ouro_promise *p;
    ouro_future *f;
};

static struct pair new_pair(void)
{
    struct pair pair = {NULL, NULL};
    check_eq(ouro_promise_new(&pair.p, &pair.f), 0);
    check(pair.p && pair.f);
    return pair;
}

static void drop_pair(struct pair *pair)
{
    ouro_promise_free(pair->p);
    ouro_unref(pair->f);
}

static int resolve(ouro_promise *p, int64_t n)
{
    return ouro_promise_resolve(p, (ouro_result){n, NULL}, NULL);
}

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

/* ---- Resolving ------------------------------------------------------------------------------- */

Test(promise, resolve_settles_with_the_value)
{
    begin_fake();
    struct pair a = new_pair();
    check_eq(resolve(a.p, 42), 0);
    check_eq(ouro_future_state(a.f), OURO_VALUE);
    check_eq(ouro_future_result(a.f).n, 42);
    drop_pair(&a);
    end();
}

Test(promise, fail_settles_with_the_error)
{
    begin_fake();
    struct pair a = new_pair();
    check_eq(ouro_promise_fail(a.p, -ENOENT), 0);
    check_eq(ouro_future_state(a.f), OURO_ERROR);
    check_eq(ouro_future_result(a.f).n, -ENOENT);
    drop_pair(&a);
    end();
}

Test(promise, second_resolve_says_ealready_and_the_value_stays_yours)
{
    int freed = 0;
    begin_fake();
    struct pair a = new_pair();
    check_eq(resolve(a.p, 1), 0);
    check_eq(ouro_promise_resolve(a.p, (ouro_result){2, &freed}, count_free), -EALREADY);
    check_eq(ouro_promise_fail(a.p, -EIO), -EALREADY);
    check_eq(ouro_future_result(a.f).n, 1);
    drop_pair(&a);
    turns(3);
    check_eq(freed, 0);
    end();
    check_eq(freed, 0);
}

Test(promise, resolve_after_cancel_says_ecanceled_and_the_value_stays_yours)
{
    int freed = 0;
    begin_fake();
    struct pair a = new_pair();
    check_eq(ouro_cancel(a.f), 1);
    turns(2);
    check_eq(ouro_promise_resolve(a.p, (ouro_result){2, &freed}, count_free), -ECANCELED);
    check_eq(ouro_promise_fail(a.p, -EIO), -ECANCELED);
    check_eq(ouro_future_state(a.f), OURO_CANCELLED);
    drop_pair(&a);
    turns(3);
    check_eq(freed, 0);
    end();
}

Test(promise, a_value_must_not_be_negative_and_an_error_must)
{
    begin_fake();
    struct pair a = new_pair();
    check_eq(resolve(a.p, -1), -EINVAL);
    check_eq(ouro_promise_fail(a.p, 0), -EINVAL);
    check_eq(ouro_promise_fail(a.p, 1), -EINVAL);
    check_eq(ouro_future_state(a.f), OURO_PENDING);
    check_eq(resolve(a.p, 0), 0);
    drop_pair(&a);
    end();
}

Test(promise, a_value_nobody_is_left_to_take_is_destroyed_once)
{
    int freed = 0;
    begin_fake();
    struct pair a = new_pair();
    ouro_unref(a.f);
    turns(2);
    check_eq(ouro_promise_resolve(a.p, (ouro_result){2, &freed}, count_free), 0);
    check_eq(freed, 0);
    ouro_promise_free(a.p);
    turns(3);
    check_eq(freed, 1);
    end();
    check_eq(freed, 1);
}

/* ---- Breaking -------------------------------------------------------------------------------- */

Test(promise, freed_unresolved_it_breaks_and_its_future_fails_with_epipe)
{
    begin_fake();
    struct pair a = new_pair();
    ouro_promise_free(a.p);
    turns(2);
    check_eq(ouro_future_state(a.f), OURO_ERROR);
    check_eq(ouro_future_result(a.f).n, -EPIPE);
    check_eq(take_reports(OURO_REPORT_BROKEN_PROMISE), 1);
    ouro_unref(a.f);
    end();
}

static int64_t wait_for_it(void *arg)
{
    return ouro_await(arg);
}

Test(promise, broken_it_leaves_no_waiter_hanging)
{
    begin_fake();
    struct pair a = new_pair();
    ouro_future *task = ouro_spawn(wait_for_it, a.f);
    turns(2);
    check_eq(ouro_future_state(task), OURO_PENDING);
    ouro_promise_free(a.p);
    turns(3);
    check_eq(ouro_future_result(task).n, -EPIPE);
    check_eq(take_reports(OURO_REPORT_BROKEN_PROMISE), 1);
    ouro_unref(task);
    end();
}

Test(promise, freed_after_a_cancel_it_is_just_cancelled)
{
    begin_fake();
    struct pair a = new_pair();
    check_eq(ouro_cancel(a.f), 1);
    ouro_promise_free(a.p);
    turns(2);
    check_eq(ouro_future_state(a.f), OURO_CANCELLED);
    ouro_unref(a.f);
    end();
}

Test(promise, free_takes_null)
{
    begin_fake();
    ouro_promise_free(NULL);
    end();
}

Test(promise, may_be_freed_after_its_loop_was_closed)
{
    begin_fake();
    struct pair a = new_pair();
    check_eq(resolve(a.p, 1), 0);
    turns(2);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    drop_pair(&a);
    end_closed();
}

/* ---- The cancel hook ------------------------------------------------------------------------- */

struct hooked {
    int calls;
    ouro_cancel_answer answer;
    int64_t resolve_inside; /* >= 0: resolve with it inside the hook */
};

static ouro_cancel_answer hook(ouro_promise *p, void *arg)
{
    struct hooked *h = arg;
    h->calls++;
    if (h->resolve_inside >= 0)
        check_eq(resolve(p, h->resolve_inside), 0);
    return h->answer;
}

static struct pair hooked_pair(struct hooked *h)
{
    struct pair a = new_pair();
    check_eq(ouro_promise_on_cancel(a.p, hook, h), 0);
    return a;
}

Test(promise, without_a_hook_a_cancel_settles_at_once)
{
    begin_fake();
    struct pair a = new_pair();
    check_eq(ouro_cancel(a.f), 1);
    check_eq(ouro_future_state(a.f), OURO_CANCELLED);
    drop_pair(&a);
    end();
}

Test(promise, the_hook_is_asked_on_the_loop_once_and_not_inside_cancel)
{
    struct hooked h = {.answer = OURO_ABORTED, .resolve_inside = -1};
    begin_fake();
    struct pair a = hooked_pair(&h);
    check_eq(ouro_cancel(a.f), 1);
    check_eq(h.calls, 0);
    check_eq(ouro_cancel(a.f), 0);
    turns(2);
    check_eq(h.calls, 1);
    check_eq(ouro_future_state(a.f), OURO_CANCELLED);
    check_eq(ouro_cancel(a.f), 0);
    turns(2);
    check_eq(h.calls, 1);
    drop_pair(&a);
    end();
}

Test(promise, after_later_the_future_stays_pending_and_a_value_wins)
{
    struct hooked h = {.answer = OURO_LATER, .resolve_inside = -1};
    begin_fake();
    struct pair a = hooked_pair(&h);
    check_eq(ouro_cancel(a.f), 1);
    turns(3);
    check_eq(h.calls, 1);
    check_eq(ouro_future_state(a.f), OURO_PENDING);
    check_eq(resolve(a.p, 8), 0);
    check_eq(ouro_future_state(a.f), OURO_VALUE);
    check_eq(ouro_future_result(a.f).n, 8);
    drop_pair(&a);
    end();
}

Test(promise, after_later_failing_with_ecanceled_makes_it_cancelled)
{
    struct hooked h = {.answer = OURO_LATER, .resolve_inside = -1};
    begin_fake();
    struct pair a = hooked_pair(&h);
    check_eq(ouro_cancel(a.f), 1);
    turns(2);
    check_eq(ouro_promise_fail(a.p, -ECANCELED), 0);
    check_eq(ouro_future_state(a.f), OURO_CANCELLED);
    drop_pair(&a);
    end();
}

Test(promise, after_later_another_error_is_an_error)
{
    struct hooked h = {.answer = OURO_LATER, .resolve_inside = -1};
    begin_fake();
    struct pair a = hooked_pair(&h);
    check_eq(ouro_cancel(a.f), 1);
    turns(2);
    check_eq(ouro_promise_fail(a.p, -EIO), 0);
    check_eq(ouro_future_state(a.f), OURO_ERROR);
    check_eq(ouro_future_result(a.f).n, -EIO);
    drop_pair(&a);
    end();
}

Test(promise, ecanceled_that_nobody_asked_for_is_an_error_not_a_cancel)
{
    begin_fake();
    struct pair a = new_pair();
    check_eq(ouro_promise_fail(a.p, -ECANCELED), 0);
    check_eq(ouro_future_state(a.f), OURO_ERROR);
    check_eq(ouro_future_result(a.f).n, -ECANCELED);
    drop_pair(&a);
    end();
}

Test(promise, after_later_freed_unresolved_it_is_just_cancelled)
{
    struct hooked h = {.answer = OURO_LATER, .resolve_inside = -1};
    begin_fake();
    struct pair a = hooked_pair(&h);
    check_eq(ouro_cancel(a.f), 1);
    turns(2);
    ouro_promise_free(a.p);
    turns(2);
    check_eq(ouro_future_state(a.f), OURO_CANCELLED);
    ouro_unref(a.f);
    end();
}

Test(promise, the_hook_is_never_asked_after_resolve)
{
    struct hooked h = {.answer = OURO_ABORTED, .resolve_inside = -1};
    begin_fake();
    struct pair a = hooked_pair(&h);
    check_eq(ouro_cancel(a.f), 1);
    check_eq(resolve(a.p, 6), 0); /* the request is recorded, the hook not asked yet */
    turns(3);
    check_eq(h.calls, 0);
    check_eq(ouro_future_state(a.f), OURO_VALUE);
    check_eq(ouro_future_result(a.f).n, 6);
    drop_pair(&a);
    end();
}

Test(promise, the_hook_may_resolve_and_its_value_wins_whatever_it_answers)
{
    ouro_cancel_answer answers[2] = {OURO_ABORTED, OURO_LATER};
    begin_fake();
    for (int i = 0; i < 2; i++) {
        struct hooked h = {.answer = answers[i], .resolve_inside = 20 + i};
        struct pair a = hooked_pair(&h);
        check_eq(ouro_cancel(a.f), 1);
        turns(2);
        check_eq(h.calls, 1);
        check_eq(ouro_future_state(a.f), OURO_VALUE);
        check_eq(ouro_future_result(a.f).n, 20 + i);
        drop_pair(&a);
    }
    end();
}

Test(promise, a_hook_can_be_replaced_and_removed)
{
    struct hooked first = {.answer = OURO_LATER, .resolve_inside = -1};
    struct hooked second = {.answer = OURO_ABORTED, .resolve_inside = -1};
    begin_fake();
    struct pair a = hooked_pair(&first);
    check_eq(ouro_promise_on_cancel(a.p, hook, &second), 0);
    check_eq(ouro_cancel(a.f), 1);
    turns(2);
    check_eq(first.calls, 0);
    check_eq(second.calls, 1);
    drop_pair(&a);

    struct pair b = hooked_pair(&first);
    check_eq(ouro_promise_on_cancel(b.p, NULL, NULL), 0);
    check_eq(ouro_cancel(b.f), 1);
    turns(2);
    check_eq(first.calls, 0);
    check_eq(ouro_future_state(b.f), OURO_CANCELLED);
    drop_pair(&b);
    end();
}

Test(promise, a_cancelled_waiter_asks_the_hook_and_waits_for_what_it_says)
{
    struct hooked h = {.answer = OURO_LATER, .resolve_inside = -1};
    begin_fake();
    struct pair a = hooked_pair(&h);
    ouro_future *task = ouro_spawn(wait_for_it, a.f);
    turns(2);
    check_eq(ouro_cancel(task), 1);
    turns(3);
    check_eq(h.calls, 1);
    check_eq(ouro_future_state(task), OURO_PENDING);
    check_eq(resolve(a.p, 77), 0);
    ouro_promise_free(a.p);
    turns(3);
    check_eq(ouro_future_result(task).n, 77);
    ouro_unref(task);
    end();
}
