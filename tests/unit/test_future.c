/* SPDX-License-Identifier: MIT */
/*
 * Futures by themselves: their states, their results, who owns these, and who is told.
 *
 * Most tests step the loop by hand, to see what has happened in which turn and what has not.
 */
#include "harness.h"

#include <errno.h>

TestSuite(future, .timeout = 30);

struct seen {
    int calls;
    int64_t n;
    uint64_t turn;
};

static void see(ouro_future *f, void *arg)
{
    struct seen *seen = arg;
    seen->calls++;
    seen->n = ouro_future_result(f).n;
    seen->turn = stats().turns;
}

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

/* A pending future and its promise, which must be there. */
static ouro_future *pending(ouro_promise **p)
{
    ouro_future *f = NULL;
    check_eq(ouro_promise_new(p, &f), 0);
    return f;
}

/* A future that has an object, whose destructor counts in @freed. */
static ouro_future *with_object(int *freed)
{
    ouro_promise *p;
    ouro_future *f = pending(&p);
    check_eq(ouro_promise_resolve(p, (ouro_result){3, freed}, count_free), 0);
    ouro_promise_free(p);
    return f;
}

/* ---- States and results ---------------------------------------------------------------------- */

Test(future, ready_is_settled_at_once_with_its_value)
{
    begin_fake();
    ouro_future *value = ouro_ready(7);
    ouro_future *error = ouro_ready(-EIO);
    check_eq(ouro_future_state(value), OURO_VALUE);
    check_eq(ouro_future_result(value).n, 7);
    check_eq(ouro_future_state(error), OURO_ERROR);
    check_eq(ouro_future_result(error).n, -EIO);
    ouro_unref(value);
    ouro_unref(error);
    end();
}

Test(future, reading_a_pending_one_says_eagain)
{
    ouro_promise *p;
    begin_fake();
    ouro_future *f = pending(&p);
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(ouro_future_result(f).n, -EAGAIN);
    check_eq(ouro_future_take(f).n, -EAGAIN);
    check_eq(ouro_promise_resolve(p, (ouro_result){1, NULL}, NULL), 0);
    check_eq(ouro_future_result(f).n, 1);
    ouro_promise_free(p);
    ouro_unref(f);
    end();
}

Test(future, a_result_is_borrowed_any_number_of_times_and_taken_once)
{
    int freed = 0;
    begin_fake();
    ouro_future *f = with_object(&freed);
    for (int i = 0; i < 3; i++) {
        check(ouro_future_result(f).ptr == &freed);
        check_eq(ouro_future_result(f).n, 3);
    }
    ouro_result mine = ouro_future_take(f);
    check(mine.ptr == &freed);
    check_eq(mine.n, 3);
    check_eq(ouro_future_take(f).n, -EALREADY);
    check_eq(ouro_future_result(f).n, -EALREADY);
    check(ouro_future_result(f).ptr == NULL);
    ouro_unref(f);
    turns(3);
    check_eq(freed, 0);
    end();
}

Test(future, an_object_nobody_takes_is_destroyed_once_after_the_last_reference)
{
    int freed = 0;
    begin_fake();
    ouro_future *f = with_object(&freed);
    ouro_ref(f);
    ouro_unref(f);
    turns(3);
    check_eq(freed, 0);
    ouro_unref(f);
    turns(3);
    check_eq(freed, 1);
    end();
    check_eq(freed, 1);
}

Test(future, a_destructor_never_runs_inside_a_call_of_the_user)
{
    int freed = 0;
    begin_fake();
    ouro_unref(with_object(&freed));
    check_eq(freed, 0);
    turns(2);
    check_eq(freed, 1);
    end();
}

Test(future, references_take_null_and_unref_returns_it)
{
    begin_fake();
    check(ouro_ref(NULL) == NULL);
    check(ouro_unref(NULL) == NULL);
    ouro_detach(NULL);
    ouro_future *f = ouro_ready(0);
    check(ouro_ref(f) == f);
    check(ouro_unref(f) == NULL);
    check_eq(stats().live_futures, 1);
    check(ouro_unref(f) == NULL);
    end();
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

Test(future, cancel_after_resolve_is_a_no_op)
{
    ouro_promise *p;
    begin_fake();
    ouro_future *f = pending(&p);
    check_eq(ouro_promise_resolve(p, (ouro_result){5, NULL}, NULL), 0);
    check_eq(ouro_cancel(f), 0);
    turns(2);
    check_eq(ouro_future_state(f), OURO_VALUE);
    check_eq(ouro_future_result(f).n, 5);
    ouro_promise_free(p);
    ouro_unref(f);
    end();
}

Test(future, cancel_is_recorded_once)
{
    ouro_promise *p;
    begin_fake();
    ouro_future *f = pending(&p);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_cancel(f), 0);
    turns(2);
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    check_eq(ouro_future_result(f).n, -ECANCELED);
    ouro_promise_free(p);
    ouro_unref(f);
    end();
}

Test(future, cancel_does_not_run_callbacks_inside_the_call)
{
    ouro_promise *p;
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = pending(&p);
    check_eq(ouro_on_done(f, see, &seen), 0);
    check_eq(ouro_cancel(f), 1);
    check_eq(seen.calls, 0);
    turns(2);
    check_eq(seen.calls, 1);
    check_eq(seen.n, -ECANCELED);
    ouro_promise_free(p);
    ouro_unref(f);
    end();
}

/* ---- Observers ------------------------------------------------------------------------------- */

Test(future, an_observer_of_a_settled_future_is_called_in_the_next_turn_not_inside)
{
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = ouro_ready(9);
    check_eq(ouro_on_done(f, see, &seen), 0);
    check_eq(seen.calls, 0);
    turn();
    check_eq(seen.calls, 1);
    check_eq(seen.n, 9);
    ouro_unref(f);
    end();
    check_eq(seen.calls, 1);
}

Test(future, resolve_does_not_call_observers_inside)
{
    ouro_promise *p;
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = pending(&p);
    check_eq(ouro_on_done(f, see, &seen), 0);
    turns(2);
    check_eq(seen.calls, 0);
    check_eq(ouro_promise_resolve(p, (ouro_result){4, NULL}, NULL), 0);
    check_eq(seen.calls, 0);
    turn();
    check_eq(seen.calls, 1);
    ouro_promise_free(p);
    ouro_unref(f);
    end();
}

static char order[32];
static size_t order_length;

static void append(char c)
{
    order[order_length++] = c;
    order[order_length] = '\0';
}

static void append_arg(ouro_future *f, void *arg)
{
    (void)f;
    append(*(char *)arg);
}

Test(future, several_observers_are_called_in_the_order_of_registration)
{
    static char names[] = "abcdef";
    ouro_promise *p;
    begin_fake();
    ouro_future *f = pending(&p);
    for (int i = 0; i < 6; i++)
        check_eq(ouro_on_done(f, append_arg, &names[i]), 0);
    check_eq(ouro_promise_resolve(p, (ouro_result){0, NULL}, NULL), 0);
    turns(2);
    check_text(order, "abcdef");
    ouro_promise_free(p);
    ouro_unref(f);
    end();
}

Test(future, observers_of_several_futures_are_called_in_the_order_in_which_these_settled)
{
    static char names[] = "abc";
    ouro_promise *p[3];
    ouro_future *f[3];
    begin_fake();
    for (int i = 0; i < 3; i++) {
        f[i] = pending(&p[i]);
        check_eq(ouro_on_done(f[i], append_arg, &names[i]), 0);
    }
    for (int i = 2; i >= 0; i--)
        check_eq(ouro_promise_resolve(p[i], (ouro_result){0, NULL}, NULL), 0);
    turns(2);
    check_text(order, "cba");
    for (int i = 0; i < 3; i++) {
        ouro_promise_free(p[i]);
        ouro_unref(f[i]);
    }
    end();
}

static void watch_another(ouro_future *f, void *arg)
{
    struct seen *seen = arg;
    see(f, &seen[0]);
    ouro_future *next = ouro_ready(1);
    check_eq(ouro_on_done(next, see, &seen[1]), 0);
    ouro_unref(next);
}

Test(future, what_a_callback_queues_runs_in_a_later_turn)
{
    struct seen seen[2] = {{0}};
    begin_fake();
    ouro_future *f = ouro_ready(0);
    check_eq(ouro_on_done(f, watch_another, seen), 0);
    ouro_unref(f);
    turn();
    check_eq(seen[0].calls, 1);
    check_eq(seen[1].calls, 0);
    turn();
    check_eq(seen[1].calls, 1);
    check(seen[1].turn > seen[0].turn);
    end();
}

Test(future, an_observer_keeps_it_alive)
{
    ouro_promise *p;
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = pending(&p);
    check_eq(ouro_on_done(f, see, &seen), 0);
    ouro_unref(f);
    turns(2);
    check_eq(ouro_promise_resolve(p, (ouro_result){11, NULL}, NULL), 0);
    ouro_promise_free(p);
    turns(2);
    check_eq(seen.n, 11);
    end();
}

/* ---- Removal --------------------------------------------------------------------------------- */

Test(future, removal_is_final_although_the_future_has_settled)
{
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_on_done(f, see, &seen), 0);
    check_eq(ouro_off_done(f, see, &seen), 1);
    check_eq(ouro_off_done(f, see, &seen), 0);
    turns(3);
    check_eq(seen.calls, 0);
    ouro_unref(f);
    end();
    check_eq(seen.calls, 0);
}

Test(future, removal_from_a_pending_one_is_final)
{
    ouro_promise *p;
    struct seen kept = {0}, removed = {0};
    begin_fake();
    ouro_future *f = pending(&p);
    check_eq(ouro_on_done(f, see, &removed), 0);
    check_eq(ouro_on_done(f, see, &kept), 0);
    check_eq(ouro_off_done(f, see, &removed), 1);
    check_eq(ouro_promise_resolve(p, (ouro_result){0, NULL}, NULL), 0);
    turns(3);
    check_eq(removed.calls, 0);
    check_eq(kept.calls, 1);
    ouro_promise_free(p);
    ouro_unref(f);
    end();
}

Test(future, removal_says_0_once_the_observer_ran)
{
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_on_done(f, see, &seen), 0);
    turns(2);
    check_eq(seen.calls, 1);
    check_eq(ouro_off_done(f, see, &seen), 0);
    ouro_unref(f);
    end();
}

static int answer_inside = -1;

static void remove_myself(ouro_future *f, void *arg)
{
    answer_inside = ouro_off_done(f, remove_myself, arg);
}

Test(future, removal_says_0_while_the_observer_runs)
{
    begin_fake();
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_on_done(f, remove_myself, NULL), 0);
    turns(2);
    check_eq(answer_inside, 0);
    ouro_unref(f);
    end();
}

static void remove_the_other(ouro_future *f, void *arg)
{
    check_eq(ouro_off_done(f, see, arg), 1);
}

Test(future, an_observer_can_remove_one_that_is_due_in_the_same_turn)
{
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_on_done(f, remove_the_other, &seen), 0);
    check_eq(ouro_on_done(f, see, &seen), 0);
    turns(3);
    check_eq(seen.calls, 0);
    ouro_unref(f);
    end();
}

Test(future, removal_takes_one_of_two_equal_registrations)
{
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_on_done(f, see, &seen), 0);
    check_eq(ouro_on_done(f, see, &seen), 0);
    check_eq(ouro_off_done(f, see, &seen), 1);
    turns(2);
    check_eq(seen.calls, 1);
    ouro_unref(f);
    end();
}

/* ---- Errors nobody read ---------------------------------------------------------------------- */

Test(future, an_error_nobody_read_is_reported_once_when_its_last_reference_goes)
{
    begin_fake();
    ouro_future *f = ouro_ready(-EIO);
    ouro_ref(f);
    ouro_unref(f);
    turns(2);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 0);
    ouro_unref(f);
    turns(2);
    const struct kept_report *r = first_report(OURO_REPORT_UNREAD_ERROR);
    check(r != NULL);
    check_eq(r->error, -EIO);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    end();
}

static void ignore(ouro_future *f, void *arg)
{
    (void)f;
    (void)arg;
}

Test(future, an_observer_that_does_not_read_the_error_does_not_silence_it)
{
    begin_fake();
    ouro_future *f = ouro_ready(-EIO);
    check_eq(ouro_on_done(f, ignore, NULL), 0);
    ouro_unref(f);
    turns(3);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    end();
}

Test(future, an_error_that_was_read_is_not_reported)
{
    struct seen seen = {0};
    begin_fake();
    ouro_future *f = ouro_ready(-EIO);
    check_eq(ouro_on_done(f, see, &seen), 0);
    ouro_unref(f);
    turns(3);
    check_eq(seen.n, -EIO);
    end();
}

Test(future, a_cancelled_outcome_is_silent)
{
    begin_fake();
    ouro_future *f = ouro_sleep(OURO_SEC(1));
    check_eq(ouro_cancel(f), 1);
    turns(2);
    ouro_unref(f);
    end();
}

/* ---- Dropping -------------------------------------------------------------------------------- */

Test(future, detached_work_goes_on_to_its_end)
{
    struct fake *fake = begin_fake();
    uint64_t start = fake->clock;
    ouro_detach(ouro_sleep(OURO_SEC(3)));
    check_eq(stats().live_timers, 1);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(fake->clock - start, OURO_SEC(3));
    end();
}

Test(future, may_be_released_after_its_loop_was_closed)
{
    int freed = 0;
    begin_fake();
    ouro_future *f = with_object(&freed);
    turns(2);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(freed, 0);
    ouro_unref(f);
    check_eq(freed, 1);
    end_closed();
}

Test(future, a_common_one_costs_no_allocation_in_steady_state)
{
    if (HARNESS_ASAN)
        cr_skip_test("under AddressSanitizer every object is an allocation of its own");
    begin_fake();
    for (int i = 0; i < 100; i++)
        ouro_unref(ouro_ready(i));
    uint64_t before = stats().allocations;
    for (int i = 0; i < 1000; i++)
        ouro_unref(ouro_ready(i));
    turn();
    check_eq(stats().allocations, before);
    end();
}
