/* SPDX-License-Identifier: MIT */
/*
 * Semaphores: permits are conserved, and come in the order in which they were asked for.
 */
#include "sync_test.h"

TestSuite(sem, .timeout = 30);

static ouro_sem s;

static void begin_with(int64_t permits, int64_t bound)
{
    check_eq(ouro_sem_init(&s, permits, bound), 0);
}

/* Take as many as the letter says, 1 for a, and note it. */
static int64_t take_some(void *arg)
{
    int rc = ouro_sem_acquire(&s, letter_of(arg) - 'a' + 1);
    note_outcome(arg, rc);
    return rc;
}

static int64_t take_one(void *arg)
{
    int rc = ouro_sem_acquire(&s, 1);
    note_outcome(arg, rc);
    return rc;
}

static int64_t take_one_and_wait_on(void *arg)
{
    int64_t rc = take_one(arg);
    note_outcome(arg, ouro_yield());
    return rc;
}

/* ---- Taking and giving ----------------------------------------------------------------------- */

TaskTest(sem, free_permits_are_taken_without_a_switch)
{
    begin_with(3, 3);
    uint64_t before = stats().turns;
    check_eq(ouro_sem_acquire(&s, 2), 0);
    check_eq(ouro_sem_permits(&s), 1);
    check_eq(ouro_sem_acquire(&s, 1), 0);
    check_eq(ouro_sem_permits(&s), 0);
    check_eq(ouro_sem_release(&s, 3), 0);
    check_eq(ouro_sem_permits(&s), 3);
    check_eq(stats().turns, before);
    return 0;
}

TaskTest(sem, permits_are_handed_over_in_the_order_of_arrival)
{
    ouro_future *tasks[3];
    begin_with(0, 3);
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn_letter(take_one, (char)('a' + i));
    let_others_run();
    check_eq(ouro_sem_release(&s, 2), 0);
    check_eq(ouro_sem_permits(&s), 0); /* they are somebody's already */
    check_eq(ouro_sem_try_acquire(&s, 1), -EAGAIN);
    let_others_run();
    check_text(take_notes(), "ab");
    check_eq(ouro_sem_release(&s, 1), 0);
    check_eq(ouro_await(ouro_gather(tasks, 3, OURO_GATHER_ALL, NULL)), 0);
    check_text(take_notes(), "c");
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

TaskTest(sem, who_asks_for_many_holds_up_those_behind)
{
    begin_with(1, 8);
    ouro_future *c = spawn_letter(take_some, 'c');
    let_others_run();
    ouro_future *a = spawn_letter(take_some, 'a');
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_sem_permits(&s), 1);
    check_eq(ouro_sem_try_acquire(&s, 1), -EAGAIN); /* one is free, but others wait */
    check_eq(ouro_sem_release(&s, 1), 0);
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_sem_release(&s, 2), 0);
    check_eq(ouro_await(c), 0);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "ca");
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

TaskTest(sem, one_release_may_serve_many)
{
    begin_with(0, OURO_UNBOUNDED);
    ouro_future *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = spawn_letter(take_some, (char)('a' + i));
    let_others_run();
    check_eq(ouro_sem_release(&s, 1 + 2 + 3), 0);
    let_others_run();
    check_text(take_notes(), "abc");
    check_eq(ouro_sem_release(&s, 10), 0);
    check_eq(ouro_sem_permits(&s), 6);
    check_eq(ouro_await(ouro_gather(tasks, 4, OURO_GATHER_ALL, NULL)), 0);
    check_text(take_notes(), "d");
    return 0;
}

static void take_and_give(void)
{
    check_eq(ouro_sem_acquire(&s, 1), 0);
    check_eq(ouro_sem_release(&s, 1), 0);
}

TaskTest(sem, permits_that_are_always_free_let_others_run_now_and_then)
{
    begin_with(1, 1);
    check_others_run_beside(take_and_give);
    return 0;
}

static int64_t start_and_take(void *arg)
{
    check_eq(ouro_yield(), 0);
    return take_one(arg);
}

static int64_t contend(void *arg)
{
    (void)arg;
    begin_with(0, 2);
    ouro_future *a = spawn_letter(start_and_take, 'a');
    ouro_future *b = spawn_letter(start_and_take, 'b');
    check_eq(ouro_yield(), 0);
    refusing = true;
    let_others_run();
    check_eq(outcome(ouro_sem_acquire_future(&s, 1)), -ENOMEM); /* in line */
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_sem_release(&s, 2), 0);
    let_others_run();
    check_text(take_notes(), "Ab");
    check_eq(outcome(ouro_sem_acquire_future(&s, 1)), -ENOMEM); /* at once */
    check_eq(ouro_sem_permits(&s), 1);
    refusing = false;
    check_eq(ouro_await(a), -OURO_ECHILDCANCELLED);
    return ouro_await(b);
}

Test(sem, waiting_and_handing_over_need_no_memory)
{
    run_with_little_memory(contend);
}

/* ---- Cancelled waiters ----------------------------------------------------------------------- */

TaskTest(sem, a_cancelled_waiter_has_taken_nothing)
{
    begin_with(0, 4);
    ouro_future *a = spawn_letter(take_one, 'a');
    ouro_future *b = spawn_letter(take_one, 'b');
    let_others_run();
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_sem_release(&s, 1), 0);
    check_eq(ouro_await(b), 0);
    check_eq(ouro_await(a), -OURO_ECHILDCANCELLED);
    check_text(take_notes(), "Ab");
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

TaskTest(sem, when_who_asked_for_many_leaves_those_behind_are_served)
{
    begin_with(2, 8);
    ouro_future *d = spawn_letter(take_some, 'd');
    let_others_run();
    ouro_future *a = spawn_letter(take_some, 'a');
    ouro_future *b = ouro_sem_acquire_future(&s, 1);
    ouro_future *c = spawn_letter(take_some, 'c');
    let_others_run();
    check_eq(ouro_cancel(d), 1);
    check_eq(ouro_await(a), 0);
    check_eq(ouro_await(b), 1);
    check_text(take_notes(), "aD");
    check_eq(ouro_sem_release(&s, 3), 0);
    check_eq(ouro_await(c), 0);
    check_eq(ouro_sem_permits(&s), 0);
    check_text(take_notes(), "c");
    check_eq(ouro_await(d), -OURO_ECHILDCANCELLED);
    return 0;
}

TaskTest(sem, a_cancel_after_the_hand_over_is_heard_at_the_next_wait)
{
    begin_with(0, 1);
    ouro_future *a = spawn_letter(take_one_and_wait_on, 'a');
    let_others_run();
    check_eq(ouro_sem_release(&s, 1), 0);
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "aA");
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

TaskTest(sem, in_a_cancelled_scope_even_free_permits_are_refused)
{
    ouro_scope scope;
    begin_with(2, 2);
    enter_cancelled(&scope);
    check_eq(ouro_sem_acquire(&s, 1), -ECANCELED);
    check_eq(ouro_sem_permits(&s), 2);
    check_eq(ouro_sem_try_acquire(&s, 2), 0);
    check_eq(ouro_sem_release(&s, 2), 0);
    check_eq(ouro_scope_exit(&scope, 0), 0);
    return 0;
}

TaskTest(sem, a_deadline_ends_the_wait_and_leaves_the_line)
{
    ouro_scope scope;
    begin_with(1, 2);
    enter_timeout(&scope, OURO_MS(2));
    check_eq(ouro_scope_exit(&scope, ouro_sem_acquire(&s, 2)), -ETIMEDOUT);
    check_eq(ouro_sem_try_acquire(&s, 1), 0);
    return 0;
}

Test(sem, shutdown_ends_the_waits_and_what_was_granted_comes_back)
{
    begin_kernel_with(&(ouro_loop_options){.debug = 1});
    begin_with(1, 2);
    ouro_future *granted = ouro_sem_acquire_future(&s, 1);
    ouro_future *pending = ouro_sem_acquire_future(&s, 1);
    ouro_future *a = spawn_letter(take_one, 'a');
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_text(take_notes(), "A");
    check_eq(outcome(a), -ECANCELED);
    check_eq(outcome(pending), -ECANCELED);
    check_eq(outcome(ouro_sem_acquire_future(&s, 1)), -ESHUTDOWN);
    check_eq(ouro_sem_permits(&s), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    ouro_unref(granted);
    check_eq(ouro_sem_permits(&s), 1);
    end_closed();
}

/* ---- As a future ----------------------------------------------------------------------------- */

TaskTest(sem, a_futures_value_is_the_number_of_permits)
{
    begin_with(3, 3);
    check_eq(ouro_await(ouro_sem_acquire_future(&s, 2)), 2);
    check_eq(ouro_sem_permits(&s), 1);
    ouro_future *f = ouro_sem_acquire_future(&s, 3);
    check_eq(ouro_sem_release(&s, 2), 0);
    check_eq(ouro_await(f), 3);
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

TaskTest(sem, permits_that_nobody_takes_go_to_the_next_in_line)
{
    begin_with(2, 2);
    ouro_unref(ouro_sem_acquire_future(&s, 2)); /* had them at once */
    check_eq(ouro_sem_permits(&s), 0);
    let_others_run();
    check_eq(ouro_sem_permits(&s), 2);

    check_eq(ouro_sem_acquire(&s, 2), 0);
    ouro_detach(ouro_sem_acquire_future(&s, 2)); /* will have them */
    ouro_future *a = spawn_letter(take_one, 'a');
    let_others_run();
    check_eq(ouro_sem_release(&s, 2), 0);
    check_eq(ouro_await(a), 0);
    check_eq(ouro_sem_permits(&s), 1);
    check_text(take_notes(), "a");
    return 0;
}

TaskTest(sem, permits_that_come_back_never_exceed_the_bound)
{
    begin_with(2, 2);
    ouro_future *f = ouro_sem_acquire_future(&s, 2);
    check_eq(ouro_sem_release(&s, 1), 0); /* a mistake that cannot be seen yet */
    ouro_unref(f);
    let_others_run();
    check_eq(ouro_sem_permits(&s), 2);
    return 0;
}

TaskTest(sem, a_timeout_takes_its_future_out_of_the_line)
{
    begin_with(1, 4);
    ouro_future *f = ouro_timeout(ouro_sem_acquire_future(&s, 4), OURO_MS(2));
    ouro_future *a = spawn_letter(take_one, 'a'); /* behind */
    check_eq(ouro_await(f), -ETIMEDOUT);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

TaskTest(sem, permits_that_came_before_the_cancel_are_delivered)
{
    begin_with(0, 1);
    ouro_future *f = ouro_timeout(ouro_sem_acquire_future(&s, 1), OURO_SEC(10));
    check_eq(ouro_sem_release(&s, 1), 0);
    ouro_cancel(f);
    check_eq(ouro_await(f), 1);
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

TaskTest(sem, a_gather_that_fails_gives_the_permits_back)
{
    begin_with(3, 3);
    ouro_future *fs[3] = {ouro_sem_acquire_future(&s, 1), ouro_spawn(fail_later, NULL),
                          ouro_sem_acquire_future(&s, 2)};
    ouro_result results[3];
    check_eq(ouro_sem_permits(&s), 0);
    check_eq(ouro_await(ouro_gather(fs, 3, OURO_GATHER_ALL, results)), -EIO);
    let_others_run();
    check_eq(ouro_sem_permits(&s), 3);
    return 0;
}

TaskTest(sem, a_gather_that_succeeds_has_the_permits)
{
    begin_with(3, 3);
    ouro_future *fs[2] = {ouro_sem_acquire_future(&s, 1), ouro_sem_acquire_future(&s, 2)};
    ouro_result results[2];
    check_eq(ouro_await(ouro_gather(fs, 2, OURO_GATHER_ALL, results)), 0);
    let_others_run();
    check_eq(results[0].n + results[1].n, 3);
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

TaskTest(sem, a_select_has_the_permits_that_won_and_gives_back_those_that_lost)
{
    begin_with(3, 3);
    ouro_future *fs[2] = {ouro_sem_acquire_future(&s, 1), ouro_sem_acquire_future(&s, 2)};
    ouro_result winner;
    check_eq(ouro_sem_permits(&s), 0);
    check_eq(ouro_await(ouro_select(fs, 2, &winner)), 0);
    check_eq(winner.n, 1);
    let_others_run();
    check_eq(ouro_sem_permits(&s), 2);
    return 0;
}

TaskTest(sem, a_select_that_another_future_wins_takes_its_place_in_line_away)
{
    begin_with(1, 3);
    ouro_result winner;
    ouro_future *fs[2] = {ouro_sem_acquire_future(&s, 3), ouro_sleep(OURO_MS(2))};
    ouro_future *a = spawn_letter(take_one, 'a'); /* behind */
    check_eq(ouro_await(ouro_select(fs, 2, &winner)), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    check_eq(ouro_sem_permits(&s), 0);
    return 0;
}

static int64_t wait_for_permits(void *arg)
{
    (void)arg;
    return ouro_await(ouro_sem_acquire_future(&s, 2));
}

TaskTest(sem, a_task_cancelled_while_it_awaits_the_future_has_taken_nothing)
{
    begin_with(1, 2);
    ouro_future *task = ouro_spawn(wait_for_permits, NULL);
    let_others_run();
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_sem_try_acquire(&s, 1), 0);
    return 0;
}

/* ---- Where it cannot be used ----------------------------------------------------------------- */

TaskTest(sem, a_release_over_the_bound_is_refused_and_changes_nothing)
{
    begin_with(2, 3);
    check_eq(ouro_sem_release(&s, 2), -EOVERFLOW);
    check_eq(ouro_sem_permits(&s), 2);
    check_eq(ouro_sem_release(&s, 1), 0);
    check_eq(ouro_sem_release(&s, INT64_MAX), -EOVERFLOW);
    check_eq(ouro_sem_permits(&s), 3);
    begin_with(1, OURO_UNBOUNDED);
    check_eq(ouro_sem_release(&s, INT64_MAX), -EOVERFLOW);
    check_eq(ouro_sem_release(&s, INT64_MAX - 1), 0);
    check_eq(ouro_sem_permits(&s), INT64_MAX);
    return 0;
}

TaskTest(sem, numbers_that_make_no_sense_are_refused)
{
    check_eq(ouro_sem_init(NULL, 0, 1), -EINVAL);
    check_eq(ouro_sem_init(&s, -1, 1), -EINVAL);
    check_eq(ouro_sem_init(&s, 2, 1), -EINVAL);
    check_eq(ouro_sem_init(&s, 0, -1), -EINVAL);
    begin_with(2, 2);
    for (int64_t n = -1; n <= 3; n += n == 0 ? 3 : 1) {
        check_eq(ouro_sem_acquire(&s, n), -EINVAL);
        check_eq(ouro_sem_try_acquire(&s, n), -EINVAL);
        check_eq(outcome(ouro_sem_acquire_future(&s, n)), -EINVAL);
    }
    check_eq(ouro_sem_release(&s, 0), -EINVAL);
    check_eq(ouro_sem_release(&s, INT64_MIN), -EINVAL);
    check_eq(ouro_sem_acquire(NULL, 1), -EINVAL);
    check_eq(ouro_sem_try_acquire(NULL, 1), -EINVAL);
    check_eq(outcome(ouro_sem_acquire_future(NULL, 1)), -EINVAL);
    check_eq(ouro_sem_release(NULL, 1), -EINVAL);
    check_eq(ouro_sem_permits(NULL), -EINVAL);
    check_eq(ouro_sem_permits(&s), 2);
    return 0;
}

Test(sem, without_a_loop_nothing_is_taken_and_outside_tasks_nobody_waits)
{
    begin_with(1, 2);
    check_eq(ouro_sem_acquire(&s, 1), -EPERM);
    check_eq(ouro_sem_try_acquire(&s, 1), -EPERM);
    check_eq(ouro_sem_release(&s, 1), -EPERM);
    check_eq(outcome(ouro_sem_acquire_future(&s, 1)), -EPERM);
    begin_fake();
    check_eq(ouro_sem_acquire(&s, 1), -EPERM);
    check_eq(ouro_sem_try_acquire(&s, 1), 0);
    check_eq(ouro_sem_release(&s, 1), 0);
    check_eq(ouro_sem_permits(&s), 1);
    end();
}

static int every_call_says_echild(void)
{
    child_check(ouro_sem_acquire(&s, 1) == -ECHILD);
    child_check(ouro_sem_try_acquire(&s, 1) == -ECHILD);
    child_check(ouro_sem_release(&s, 1) == -ECHILD);
    child_check(outcome(ouro_sem_acquire_future(&s, 1)) == -ECHILD);
    return 0;
}

static int64_t fork_once(void *arg)
{
    (void)arg;
    char text[256];
    begin_with(1, 2);
    check_child(every_call_says_echild, text, sizeof text);
    return 0;
}

Test(sem, in_a_forked_child_every_call_says_echild)
{
    begin_kernel();
    check_eq(run_main(fork_once, NULL), 0);
    end();
}
