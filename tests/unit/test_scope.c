/* SPDX-License-Identifier: MIT */
/*
 * Scopes: cancellation that stays, who answers for it at the exit, and what a shield keeps out.
 */
#include "harness.h"

#include <errno.h>

TestSuite(scope, .timeout = 30);

static void enter(ouro_scope *scope, ouro_scope_options opts)
{
    check_eq(ouro_scope_enter(scope, &opts), 0);
}

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

static int64_t count_up(void *arg)
{
    int *counter = arg;
    for (;;) {
        ++*counter;
        int rc = ouro_yield();
        if (rc < 0)
            return rc;
    }
}

static void end_task(ouro_future *task)
{
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    ouro_unref(task);
}

/* ---- Who answers for it ---------------------------------------------------------------------- */

TaskTest(scope, at_the_exit_its_deadline_becomes_etimedout)
{
    ouro_scope s;
    ouro_ns start = ouro_now();
    enter(&s, (ouro_scope_options){.timeout = OURO_MS(2)});
    int64_t rc = nap(OURO_SEC(100));
    check_eq(rc, -ECANCELED);
    check(ouro_now() - start >= OURO_MS(2));
    check_eq(ouro_scope_exit(&s, rc), -ETIMEDOUT);
    check_eq(ouro_scope_cancelled(&s), 1);
    check_eq(nap(0), 0); /* out of it, waits work again */
    return 0;
}

TaskTest(scope, with_move_on_its_deadline_becomes_success)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){.timeout = OURO_MS(1), .move_on = 1});
    check_eq(ouro_scope_exit(&s, nap(OURO_SEC(100))), 0);
    check_eq(ouro_scope_cancelled(&s), 1);
    return 0;
}

TaskTest(scope, one_that_is_not_cancelled_passes_everything_on)
{
    ouro_scope s;
    int64_t codes[] = {0, 17, -EIO, -ECANCELED, -ETIMEDOUT};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        enter(&s, (ouro_scope_options){.timeout = OURO_SEC(100), .move_on = 1});
        check_eq(ouro_scope_exit(&s, codes[i]), codes[i]);
        check_eq(ouro_scope_cancelled(&s), 0);
    }
    check_eq(stats().live_timers, 0);
    return 0;
}

TaskTest(scope, a_body_that_succeeded_although_it_expired_has_succeeded)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){.timeout = OURO_MS(1)});
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    check_eq(ouro_scope_exit(&s, 5), 5);
    return 0;
}

TaskTest(scope, an_error_other_than_ecanceled_passes_unchanged)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){.timeout = OURO_MS(1), .move_on = 1});
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    check_eq(ouro_scope_exit(&s, -EIO), -EIO);
    return 0;
}

TaskTest(scope, cancelled_by_hand_it_stays_ecanceled_or_with_move_on_is_success)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){0});
    check_eq(ouro_scope_cancel(&s, NULL), 1);
    check_eq(ouro_scope_exit(&s, nap(OURO_SEC(100))), -ECANCELED);
    enter(&s, (ouro_scope_options){.move_on = 1});
    check_eq(ouro_scope_cancel(&s, NULL), 1);
    check_eq(ouro_scope_exit(&s, nap(OURO_SEC(100))), 0);
    check_eq(nap(0), 0);
    return 0;
}

TaskTest(scope, the_inner_one_answers_when_only_it_expired)
{
    ouro_scope outer, inner;
    enter(&outer, (ouro_scope_options){.timeout = OURO_SEC(100)});
    enter(&inner, (ouro_scope_options){.timeout = OURO_MS(1)});
    check_eq(ouro_scope_exit(&inner, nap(OURO_SEC(200))), -ETIMEDOUT);
    check_eq(nap(OURO_MS(1)), 0);
    check_eq(ouro_scope_cancelled(&outer), 0);
    check_eq(ouro_scope_exit(&outer, 0), 0);
    return 0;
}

TaskTest(scope, the_outer_one_answers_when_it_expired_first)
{
    ouro_scope outer, inner;
    enter(&outer, (ouro_scope_options){.timeout = OURO_MS(1)});
    enter(&inner, (ouro_scope_options){.timeout = OURO_SEC(100), .move_on = 1});
    int64_t rc = ouro_scope_exit(&inner, nap(OURO_SEC(200)));
    check_eq(rc, -ECANCELED);
    check_eq(ouro_scope_cancelled(&inner), 0);
    check_eq(ouro_scope_exit(&outer, rc), -ETIMEDOUT);
    return 0;
}

FakeTest(scope, the_outer_one_answers_when_both_expired)
{
    ouro_scope outer, inner;
    enter(&outer, (ouro_scope_options){.timeout = OURO_SEC(2)});
    enter(&inner, (ouro_scope_options){.timeout = OURO_SEC(1), .move_on = 1});
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    fake_advance(the_fake(), OURO_SEC(5));
    check_eq(ouro_yield(), -ECANCELED); /* lets the loop see the outer deadline */
    check_eq(ouro_scope_cancelled(&outer), 1);
    int64_t rc = ouro_scope_exit(&inner, -ECANCELED);
    check_eq(rc, -ECANCELED);
    check_eq(ouro_scope_exit(&outer, rc), -ETIMEDOUT);
    return 0;
}

TaskTest(scope, the_task_answers_when_the_task_itself_was_cancelled)
{
    ouro_scope s;
    check_eq(ouro_cancel(ouro_task_current()), 1);
    enter(&s, (ouro_scope_options){.move_on = 1});
    check_eq(ouro_scope_cancel(&s, NULL), 1);
    check_eq(ouro_scope_exit(&s, nap(OURO_SEC(100))), -ECANCELED);
    return 0;
}

/* ---- Cancellation stays ---------------------------------------------------------------------- */

TaskTest(scope, every_wait_in_a_cancelled_one_fails_having_started_nothing)
{
    int runs = 0;
    ouro_scope s;
    enter(&s, (ouro_scope_options){0});
    check_eq(ouro_scope_cancel(&s, NULL), 1);
    for (int i = 0; i < 3; i++) {
        ouro_ns start = ouro_now();
        check_eq(nap(OURO_SEC(100)), -ECANCELED);
        check(ouro_now() - start < OURO_SEC(50));
        check_eq(ouro_await(ouro_spawn(count_up, &runs)), -ECANCELED);
        check_eq(ouro_yield(), -ECANCELED);
    }
    check_eq(runs, 0);
    check_eq(stats().live_timers, 0);
    check_eq(ouro_scope_exit(&s, -ECANCELED), -ECANCELED);
    return 0;
}

TaskTest(scope, what_has_settled_is_still_delivered_in_a_cancelled_one)
{
    ouro_scope s;
    ouro_future *done = ouro_sleep(0);
    check_eq(ouro_join(done), 0);
    enter(&s, (ouro_scope_options){0});
    check_eq(ouro_scope_cancel(&s, NULL), 1);
    check_eq(ouro_await(ouro_ready(31)), 31);
    check_eq(ouro_join(done), 0);
    check_eq(ouro_await(done), 0);
    check_eq(ouro_await(ouro_ready(-EIO)), -EIO);
    check_eq(ouro_scope_exit(&s, 0), 0);
    return 0;
}

TaskTest(scope, a_join_in_a_cancelled_one_fails_and_leaves_the_future_alone)
{
    ouro_scope s;
    ouro_future *sleep = ouro_sleep(OURO_MS(1));
    enter(&s, (ouro_scope_options){0});
    check_eq(ouro_scope_cancel(&s, NULL), 1);
    check_eq(ouro_join(sleep), -ECANCELED);
    check_eq(ouro_scope_exit(&s, 0), 0);
    check_eq(ouro_future_state(sleep), OURO_PENDING);
    check_eq(ouro_await(sleep), 0);
    return 0;
}

TaskTest(scope, a_loop_that_ignores_cancellation_still_lets_others_run)
{
    int others = 0;
    ouro_scope s;
    ouro_future *other = ouro_spawn(count_up, &others);
    check_eq(ouro_yield(), 0);
    enter(&s, (ouro_scope_options){0});
    check_eq(ouro_scope_cancel(&s, NULL), 1);
    int before = others;
    for (int i = 0; i < 20; i++)
        check_eq(nap(OURO_SEC(1)), -ECANCELED);
    check(others >= before + 20);
    before = others;
    for (int i = 0; i < 20; i++)
        check_eq(ouro_yield(), -ECANCELED);
    check(others >= before + 20);
    check_eq(ouro_scope_exit(&s, 0), 0);
    end_task(other);
    return 0;
}

static int64_t never_listens(void *arg)
{
    int rounds = *(int *)arg;
    while (rounds-- > 0)
        check_eq(nap(OURO_SEC(1)), -ECANCELED);
    return 1;
}

Test(scope, a_task_that_ignores_cancellation_a_hundred_times_is_reported_in_debug_mode)
{
    int rounds = 150;
    begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    ouro_future *task = ouro_spawn_with(never_listens, &rounds,
                                        &(ouro_spawn_options){.name = "deaf", .eager = 1});
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    const struct kept_report *r = first_report(OURO_REPORT_CANCEL_IGNORED);
    check(r != NULL);
    check_text(r->name, "deaf");
    check(take_reports(OURO_REPORT_CANCEL_IGNORED) >= 1);
    check_eq(ouro_future_result(task).n, 1);
    ouro_unref(task);
    end();
}

static int64_t try_to_recover(void *arg)
{
    (void)arg;
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    ouro_scope s;
    enter(&s, (ouro_scope_options){.move_on = 1});
    check_eq(nap(OURO_MS(1)), -ECANCELED); /* nothing undoes the cancel of a task */
    check_eq(ouro_scope_exit(&s, -ECANCELED), -ECANCELED);
    check_eq(nap(OURO_MS(1)), -ECANCELED);
    return 9;
}

TaskTest(scope, a_cancelled_task_stays_cancelled_to_its_end)
{
    ouro_future *task = ouro_spawn(try_to_recover, NULL);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), 9);
    return 0;
}

/* ---- Shields --------------------------------------------------------------------------------- */

static int64_t shielded_nap(void *arg)
{
    int *inside_ended = arg;
    ouro_scope s;
    enter(&s, (ouro_scope_options){.shield = 1});
    check(ouro_cancel_reason() == NULL);
    check_eq(nap(OURO_MS(3)), 0);
    check(ouro_cancel_reason() == NULL);
    *inside_ended = 1;
    check_eq(ouro_scope_exit(&s, 0), 0);
    check_text(ouro_cancel_reason(), "cancelled");
    return nap(OURO_SEC(100));
}

TaskTest(scope, a_shield_holds_a_cancel_back_until_it_is_left)
{
    int inside_ended = 0;
    ouro_future *task = ouro_spawn(shielded_nap, &inside_ended);
    check_eq(nap(OURO_MS(1)), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    check_eq(inside_ended, 1);
    ouro_unref(task);
    return 0;
}

TaskTest(scope, a_shield_keeps_out_a_cancel_that_was_there_before)
{
    ouro_scope outer, shield;
    enter(&outer, (ouro_scope_options){0});
    check_eq(ouro_scope_cancel(&outer, NULL), 1);
    check_eq(nap(0), -ECANCELED);
    enter(&shield, (ouro_scope_options){.shield = 1});
    check_eq(nap(OURO_MS(1)), 0);
    check_eq(ouro_scope_exit(&shield, 0), 0);
    check_eq(nap(0), -ECANCELED);
    check_eq(ouro_scope_exit(&outer, -ECANCELED), -ECANCELED);
    return 0;
}

TaskTest(scope, a_shield_has_a_deadline_of_its_own)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){.shield = 1, .timeout = OURO_MS(1)});
    check_eq(ouro_scope_exit(&s, nap(OURO_SEC(100))), -ETIMEDOUT);
    return 0;
}

TaskTest(scope, a_shield_keeps_out_nothing_from_a_scope_inside_it)
{
    ouro_scope shield, inner;
    enter(&shield, (ouro_scope_options){.shield = 1});
    enter(&inner, (ouro_scope_options){.timeout = OURO_MS(1)});
    check_eq(ouro_scope_exit(&inner, nap(OURO_SEC(100))), -ETIMEDOUT);
    check_eq(ouro_scope_exit(&shield, 0), 0);
    return 0;
}

/* ---- From outside, and reasons --------------------------------------------------------------- */

static int64_t cancel_that(void *arg)
{
    check_eq(ouro_scope_cancel(arg, "enough"), 1);
    check_eq(ouro_scope_cancel(arg, "more than enough"), 0);
    return 0;
}

TaskTest(scope, another_task_can_cancel_it_and_the_first_reason_is_kept)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){.move_on = 1});
    ouro_future *other = ouro_spawn(cancel_that, &s);
    int64_t rc = nap(OURO_SEC(100));
    check_eq(rc, -ECANCELED);
    check_text(ouro_cancel_reason(), "enough");
    check_eq(ouro_scope_exit(&s, rc), 0);
    check(ouro_cancel_reason() == NULL);
    check_eq(ouro_await(other), 0);
    return 0;
}

TaskTest(scope, the_reason_says_what_kind_of_cancel_it_was)
{
    ouro_scope s;
    check(ouro_cancel_reason() == NULL);
    enter(&s, (ouro_scope_options){.timeout = OURO_MS(1)});
    check(ouro_cancel_reason() == NULL);
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    check_text(ouro_cancel_reason(), "deadline");
    check_eq(ouro_scope_exit(&s, 0), 0);
    enter(&s, (ouro_scope_options){0});
    check_eq(ouro_scope_cancel(&s, NULL), 1);
    check_text(ouro_cancel_reason(), "cancelled");
    check_eq(ouro_scope_exit(&s, 0), 0);
    return 0;
}

/* ---- Options at the edge and misuse ---------------------------------------------------------- */

TaskTest(scope, no_timeout_and_forever_set_no_timer)
{
    ouro_scope s;
    check_eq(ouro_scope_enter(&s, NULL), 0);
    check_eq(stats().live_timers, 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    enter(&s, (ouro_scope_options){.timeout = OURO_FOREVER});
    check_eq(stats().live_timers, 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    enter(&s, (ouro_scope_options){.timeout = OURO_FOREVER - 1});
    check_eq(nap(OURO_MS(1)), 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    return 0;
}

TaskTest(scope, its_timer_goes_at_the_exit)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){.timeout = OURO_SEC(100)});
    check_eq(stats().live_timers, 1);
    check_eq(ouro_scope_exit(&s, 0), 0);
    check_eq(stats().live_timers, 0);
    return 0;
}

TaskTest(scope, only_the_innermost_one_can_be_left)
{
    ouro_scope outer, inner;
    enter(&outer, (ouro_scope_options){0});
    enter(&inner, (ouro_scope_options){0});
    check_eq(ouro_scope_exit(&outer, 4), -EINVAL);
    check_eq(ouro_scope_exit(&inner, 4), 4); /* nothing was left by the mistake */
    check_eq(ouro_scope_exit(&outer, 4), 4);
    check_eq(ouro_scope_exit(&outer, 4), -EINVAL);
    check_eq(ouro_scope_exit(NULL, 4), -EINVAL);
    return 0;
}

static int64_t leave_that(void *arg)
{
    check_eq(ouro_scope_exit(arg, 0), -EINVAL);
    return 0;
}

TaskTest(scope, another_task_cannot_leave_it)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){0});
    check_eq(ouro_await(ouro_spawn(leave_that, &s)), 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    return 0;
}

TaskTest(scope, one_that_was_left_cannot_be_cancelled)
{
    ouro_scope s;
    enter(&s, (ouro_scope_options){0});
    check_eq(ouro_scope_exit(&s, 0), 0);
    check_eq(ouro_scope_cancel(&s, NULL), -EINVAL);
    check_eq(ouro_scope_cancel(NULL, NULL), -EINVAL);
    check_eq(ouro_scope_cancelled(&s), 0);
    return 0;
}

Test(scope, outside_tasks_there_is_none)
{
    ouro_scope s;
    begin_fake();
    check_eq(ouro_scope_enter(&s, NULL), -EPERM);
    check(ouro_cancel_reason() == NULL);
    end();
}

TaskTest(scope, enter_without_storage_is_einval)
{
    check_eq(ouro_scope_enter(NULL, NULL), -EINVAL);
    return 0;
}
