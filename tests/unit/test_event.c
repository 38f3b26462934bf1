/* SPDX-License-Identifier: MIT */
/*
 * Events: everybody who waited goes on, nobody who came too late does.
 */
#include "sync_test.h"

TestSuite(event, .timeout = 30);

static ouro_event e;

static int64_t wait_and_note(void *arg)
{
    int rc = ouro_event_wait(&e);
    note_outcome(arg, rc);
    return rc;
}

static int64_t wait_and_wait_on(void *arg)
{
    int64_t rc = wait_and_note(arg);
    note_outcome(arg, ouro_yield());
    return rc;
}

static void clear(void)
{
    check_eq(ouro_event_clear(&e), 0);
}

TaskTest(event, one_that_is_set_is_waited_for_without_a_switch)
{
    clear();
    check_eq(ouro_event_is_set(&e), 0);
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_event_is_set(&e), 1);
    uint64_t before = stats().turns;
    check_eq(ouro_event_wait(&e), 0);
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_event_wait(&e), 0);
    check_eq(stats().turns, before);
    return 0;
}

static void wait_for_what_is_set(void)
{
    check_eq(ouro_event_wait(&e), 0);
}

TaskTest(event, one_that_is_always_set_lets_others_run_now_and_then)
{
    check_eq(ouro_event_set(&e), 0);
    check_others_run_beside(wait_for_what_is_set);
    return 0;
}

TaskTest(event, setting_it_wakes_all_in_the_order_of_arrival)
{
    ouro_future *tasks[4];
    clear();
    for (int i = 0; i < 4; i++)
        tasks[i] = spawn_letter(wait_and_note, (char)('a' + i));
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_await(ouro_gather(tasks, 4, OURO_GATHER_ALL, NULL)), 0);
    check_text(take_notes(), "abcd");
    return 0;
}

TaskTest(event, all_who_waited_go_on_even_if_it_is_cleared_at_once)
{
    clear();
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    ouro_future *b = ouro_event_wait_future(&e);
    let_others_run();
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_event_clear(&e), 0);
    ouro_future *c = spawn_letter(wait_and_note, 'c'); /* too late */
    let_others_run();
    check_text(take_notes(), "a");
    check_eq(ouro_await(a), 0);
    check_eq(ouro_await(b), 0);
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_await(c), 0);
    check_text(take_notes(), "c");
    return 0;
}

static int64_t wait_twice(void *arg)
{
    check_eq(ouro_event_wait(&e), 0);
    note_outcome(arg, 0);
    clear();
    return wait_and_note(arg);
}

TaskTest(event, who_waits_again_waits_for_the_next_set)
{
    clear();
    ouro_future *a = spawn_letter(wait_twice, 'a');
    let_others_run();
    check_eq(ouro_event_set(&e), 0);
    let_others_run();
    check_text(take_notes(), "a");
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    return 0;
}

/* ---- Cancelled waiters ----------------------------------------------------------------------- */

TaskTest(event, a_cancelled_waiter_is_out_of_the_line)
{
    clear();
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    ouro_future *b = spawn_letter(wait_and_note, 'b');
    let_others_run();
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_await(a), -OURO_ECHILDCANCELLED);
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_await(b), 0);
    check_text(take_notes(), "Ab");
    return 0;
}

TaskTest(event, a_cancel_after_the_set_is_heard_at_the_next_wait)
{
    clear();
    ouro_future *a = spawn_letter(wait_and_wait_on, 'a');
    let_others_run();
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "aA");
    return 0;
}

TaskTest(event, in_a_cancelled_scope_waiting_fails_even_for_one_that_is_set)
{
    ouro_scope scope;
    enter_cancelled(&scope);
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_event_wait(&e), -ECANCELED);
    check_eq(ouro_event_clear(&e), 0);
    check_eq(ouro_scope_exit(&scope, 0), 0);
    return 0;
}

TaskTest(event, a_deadline_ends_the_wait)
{
    ouro_scope scope;
    clear();
    enter_timeout(&scope, OURO_MS(2));
    check_eq(ouro_scope_exit(&scope, ouro_event_wait(&e)), -ETIMEDOUT);
    check_eq(ouro_await(ouro_timeout(ouro_event_wait_future(&e), OURO_MS(2))), -ETIMEDOUT);
    check_eq(ouro_event_set(&e), 0);
    return 0;
}

static void set_it(void *arg)
{
    check_eq(ouro_event_set(arg), 0);
}

TaskTest(event, a_callback_may_set_it)
{
    clear();
    check_eq(ouro_call_later(OURO_MS(1), set_it, &e, NULL, NULL), 0);
    return ouro_event_wait(&e);
}

Test(event, shutdown_ends_the_waits)
{
    begin_kernel();
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    ouro_future *f = ouro_event_wait_future(&e);
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_text(take_notes(), "A");
    check_eq(outcome(a), -ECANCELED);
    check_eq(outcome(f), -ECANCELED);
    check_eq(outcome(ouro_event_wait_future(&e)), -ESHUTDOWN);
    end();
}

/* ---- As a future ----------------------------------------------------------------------------- */

TaskTest(event, a_future_settles_when_it_is_set)
{
    clear();
    ouro_future *f = ouro_event_wait_future(&e);
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_await(f), 0);
    check_eq(outcome(ouro_event_wait_future(&e)), 0);
    return 0;
}

TaskTest(event, a_future_that_is_given_up_disturbs_nobody)
{
    clear();
    ouro_detach(ouro_event_wait_future(&e));
    ouro_future *f = ouro_event_wait_future(&e);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    let_others_run();
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    return 0;
}

static int64_t start_and_wait(void *arg)
{
    check_eq(ouro_yield(), 0);
    return wait_and_note(arg);
}

static int64_t wait_for_it(void *arg)
{
    (void)arg;
    ouro_future *a = spawn_letter(start_and_wait, 'a');
    check_eq(ouro_yield(), 0);
    refusing = true;
    let_others_run();
    check_eq(outcome(ouro_event_wait_future(&e)), -ENOMEM);
    check_eq(ouro_event_set(&e), 0);
    check_eq(outcome(ouro_event_wait_future(&e)), -ENOMEM);
    refusing = false;
    return ouro_await(a);
}

Test(event, waiting_and_setting_need_no_memory)
{
    run_with_little_memory(wait_for_it);
    check_text(take_notes(), "a");
}

/* ---- Where it cannot be used ----------------------------------------------------------------- */

Test(event, without_a_loop_or_a_task_nobody_waits)
{
    check_eq(ouro_event_wait(&e), -EPERM);
    check_eq(ouro_event_set(&e), -EPERM);
    check_eq(outcome(ouro_event_wait_future(&e)), -EPERM);
    begin_fake();
    check_eq(ouro_event_wait(&e), -EPERM);
    check_eq(ouro_event_set(&e), 0);
    check_eq(ouro_event_wait(&e), -EPERM);
    end();
}

TaskTest(event, null_is_refused)
{
    check_eq(ouro_event_wait(NULL), -EINVAL);
    check_eq(ouro_event_set(NULL), -EINVAL);
    check_eq(ouro_event_clear(NULL), -EINVAL);
    check_eq(ouro_event_is_set(NULL), 0);
    check_eq(outcome(ouro_event_wait_future(NULL)), -EINVAL);
    return 0;
}

static int every_call_says_echild(void)
{
    child_check(ouro_event_wait(&e) == -ECHILD);
    child_check(ouro_event_set(&e) == -ECHILD);
    child_check(outcome(ouro_event_wait_future(&e)) == -ECHILD);
    return 0;
}

static int64_t fork_once(void *arg)
{
    (void)arg;
    char text[256];
    check_child(every_call_says_echild, text, sizeof text);
    return 0;
}

Test(event, in_a_forked_child_every_call_says_echild)
{
    begin_kernel();
    check_eq(run_main(fork_once, NULL), 0);
    end();
}
