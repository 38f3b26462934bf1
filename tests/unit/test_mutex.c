/* SPDX-License-Identifier: MIT */
/*
 * Locks: who has one, who has it next, and what becomes of it when a waiter goes away.
 */
#include "sync_test.h"

TestSuite(mutex, .timeout = 30);

static ouro_mutex m;

/* Lock, note it, let others run, unlock. */
static int64_t lock_and_note(void *arg)
{
    int rc = ouro_mutex_lock(&m);
    note_outcome(arg, rc);
    if (rc < 0)
        return rc;
    ouro_yield();
    check_eq(ouro_mutex_unlock(&m), 0);
    return 0;
}

/* Lock, note it, and note what the next wait says. */
static int64_t lock_and_wait_on(void *arg)
{
    int rc = ouro_mutex_lock(&m);
    note_outcome(arg, rc);
    note_outcome(arg, ouro_yield());
    if (rc == 0)
        check_eq(ouro_mutex_unlock(&m), 0);
    return rc;
}

static int64_t end_with_the_lock(void *arg)
{
    (void)arg;
    return ouro_mutex_lock(&m);
}

/* ---- Taking and giving ----------------------------------------------------------------------- */

TaskTest(mutex, a_free_lock_is_taken_without_a_switch)
{
    uint64_t before = stats().turns;
    check_eq(ouro_mutex_locked(&m), 0);
    check_eq(ouro_mutex_lock(&m), 0);
    check_eq(ouro_mutex_locked(&m), 1);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_mutex_locked(&m), 0);
    check_eq(stats().turns, before);
    return 0;
}

TaskTest(mutex, is_handed_over_in_the_order_of_arrival)
{
    ouro_future *tasks[3];
    check_eq(ouro_mutex_lock(&m), 0);
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn_letter(lock_and_note, (char)('a' + i));
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_await(ouro_gather(tasks, 3, OURO_GATHER_ALL, NULL)), 0);
    check_text(take_notes(), "abc");
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

TaskTest(mutex, belongs_to_the_next_in_line_from_the_unlock_on)
{
    check_eq(ouro_mutex_lock(&m), 0);
    ouro_future *task = spawn_letter(lock_and_note, 'a');
    let_others_run();
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_mutex_locked(&m), 1);
    check_eq(ouro_mutex_try_lock(&m), -EAGAIN);
    check_eq(ouro_mutex_unlock(&m), -EPERM);
    check_eq(ouro_mutex_lock(&m), 0);
    check_text(take_notes(), "a");
    check_eq(ouro_mutex_unlock(&m), 0);
    return ouro_await(task);
}

TaskTest(mutex, try_lock_takes_a_free_lock_and_never_waits)
{
    check_eq(ouro_mutex_try_lock(&m), 0);
    ouro_future *task = spawn_letter(lock_and_note, 'a');
    let_others_run();
    check_eq(ouro_mutex_try_lock(&m), -EDEADLK);
    check_eq(ouro_mutex_unlock(&m), 0);
    return ouro_await(task);
}

static void lock_and_unlock(void)
{
    check_eq(ouro_mutex_lock(&m), 0);
    check_eq(ouro_mutex_unlock(&m), 0);
}

TaskTest(mutex, a_lock_that_is_always_free_lets_others_run_now_and_then)
{
    check_others_run_beside(lock_and_unlock);
    return 0;
}

static int64_t start_and_lock(void *arg)
{
    check_eq(ouro_yield(), 0);
    return lock_and_note(arg);
}

static int64_t contend(void *arg)
{
    (void)arg;
    check_eq(ouro_mutex_lock(&m), 0);
    ouro_future *a = spawn_letter(start_and_lock, 'a');
    ouro_future *b = spawn_letter(start_and_lock, 'b');
    ouro_future *c = spawn_letter(start_and_lock, 'c');
    check_eq(ouro_yield(), 0);
    refusing = true;
    let_others_run();
    check_eq(outcome(ouro_mutex_lock_future(&m)), -ENOMEM);
    check_eq(ouro_cancel(b), 1);
    check_eq(ouro_mutex_unlock(&m), 0);
    let_others_run();
    check_text(take_notes(), "Bac");
    check_eq(outcome(ouro_mutex_lock_future(&m)), -ENOMEM);
    check_eq(ouro_mutex_locked(&m), 0);
    refusing = false;
    check_eq(ouro_await(a), 0);
    check_eq(ouro_await(b), -OURO_ECHILDCANCELLED);
    return ouro_await(c);
}

Test(mutex, waiting_and_handing_over_need_no_memory)
{
    run_with_little_memory(contend);
}

/* ---- Cancelled waiters ----------------------------------------------------------------------- */

TaskTest(mutex, a_cancelled_waiter_has_taken_nothing_and_others_keep_their_places)
{
    check_eq(ouro_mutex_lock(&m), 0);
    ouro_future *a = spawn_letter(lock_and_note, 'a');
    ouro_future *b = spawn_letter(lock_and_note, 'b');
    ouro_future *c = spawn_letter(lock_and_note, 'c');
    let_others_run();
    check_eq(ouro_cancel(b), 1);
    let_others_run();
    check_text(take_notes(), "B");
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_await(c), 0);
    check_text(take_notes(), "ac");
    check_eq(ouro_await(b), -OURO_ECHILDCANCELLED);
    return ouro_await(a);
}

TaskTest(mutex, a_waiter_cancelled_just_before_the_unlock_is_passed_over)
{
    check_eq(ouro_mutex_lock(&m), 0);
    ouro_future *a = spawn_letter(lock_and_note, 'a');
    ouro_future *b = spawn_letter(lock_and_note, 'b');
    let_others_run();
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_await(b), 0);
    check_text(take_notes(), "Ab");
    check_eq(ouro_await(a), -OURO_ECHILDCANCELLED);
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

TaskTest(mutex, a_cancel_after_the_hand_over_is_heard_at_the_next_wait)
{
    check_eq(ouro_mutex_lock(&m), 0);
    ouro_future *a = spawn_letter(lock_and_wait_on, 'a');
    let_others_run();
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "aA");
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

TaskTest(mutex, in_a_cancelled_scope_even_a_free_lock_is_refused_and_others_run)
{
    ouro_scope scope;
    ouro_future *other = spawn_letter(lock_and_note, 'o');
    enter_cancelled(&scope);
    check_eq(ouro_mutex_lock(&m), -ECANCELED);
    check_text(take_notes(), "o");
    check_eq(ouro_scope_exit(&scope, 0), 0);
    return ouro_await(other);
}

TaskTest(mutex, try_lock_and_unlock_do_not_look_at_cancels)
{
    ouro_scope scope;
    enter_cancelled(&scope);
    check_eq(ouro_mutex_try_lock(&m), 0);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_scope_exit(&scope, 0), 0);
    return 0;
}

TaskTest(mutex, a_deadline_ends_the_wait_and_leaves_the_line)
{
    ouro_scope scope;
    ouro_future *held = ouro_mutex_lock_future(&m);
    enter_timeout(&scope, OURO_MS(2));
    check_eq(ouro_scope_exit(&scope, ouro_mutex_lock(&m)), -ETIMEDOUT);
    check_eq(ouro_await(held), 0);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

Test(mutex, shutdown_ends_the_waits)
{
    begin_kernel();
    ouro_future *held = ouro_mutex_lock_future(&m);
    ouro_future *pending = ouro_mutex_lock_future(&m);
    ouro_future *a = spawn_letter(lock_and_note, 'a');
    ouro_future *b = spawn_letter(lock_and_note, 'b');
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_text(take_notes(), "AB");
    check_eq(outcome(a), -ECANCELED);
    check_eq(outcome(b), -ECANCELED);
    check_eq(outcome(pending), -ECANCELED);
    check_eq(outcome(ouro_mutex_lock_future(&m)), -ESHUTDOWN);
    ouro_unref(held);
    end();
    check_eq(ouro_mutex_locked(&m), 0);
}

/* ---- Owners ---------------------------------------------------------------------------------- */

TaskTest(mutex, locking_twice_is_a_deadlock)
{
    check_eq(ouro_mutex_lock(&m), 0);
    check_eq(ouro_mutex_lock(&m), -EDEADLK);
    check_eq(ouro_mutex_try_lock(&m), -EDEADLK);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

static int64_t unlock_as_a_stranger(void *arg)
{
    (void)arg;
    return ouro_mutex_unlock(&m);
}

static void unlock_outside_tasks(void *arg)
{
    *(int *)arg = ouro_mutex_unlock(&m);
}

TaskTest(mutex, only_the_owner_unlocks)
{
    int rc = 0;
    check_eq(ouro_mutex_unlock(&m), -EPERM);
    check_eq(ouro_mutex_lock(&m), 0);
    check_eq(ouro_await(ouro_spawn(unlock_as_a_stranger, NULL)), -EPERM);
    check_eq(ouro_call_soon(unlock_outside_tasks, &rc, NULL, NULL), 0);
    let_others_run();
    check_eq(rc, -EPERM);
    check_eq(ouro_mutex_locked(&m), 1);
    check_eq(ouro_mutex_unlock(&m), 0);
    return 0;
}

TaskTest(mutex, an_owner_that_ended_is_told_of_and_anybody_may_unlock)
{
    check_eq(ouro_await(ouro_spawn(end_with_the_lock, NULL)), 0);
    check_eq(ouro_mutex_locked(&m), 1);
    check_eq(ouro_mutex_lock(&m), -EOWNERDEAD);
    check_eq(ouro_mutex_try_lock(&m), -EOWNERDEAD);
    check_eq(outcome(ouro_mutex_lock_future(&m)), -EOWNERDEAD);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_mutex_lock(&m), 0);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    return 0;
}

static int64_t lock_and_end_late(void *arg)
{
    (void)arg;
    check_eq(ouro_mutex_lock(&m), 0);
    let_others_run();
    return 0;
}

TaskTest(mutex, who_waited_for_an_owner_that_ended_is_next)
{
    ouro_future *owner = ouro_spawn(lock_and_end_late, NULL);
    ouro_future *a = spawn_letter(lock_and_note, 'a');
    check_eq(ouro_await(owner), 0);
    check_text(take_notes(), "");
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    return 0;
}

/* A new task gets the memory of the old one, unless the mutex keeps it. */
TaskTest(mutex, an_owner_that_ended_is_not_mistaken_for_a_new_task)
{
    check_eq(ouro_await(ouro_spawn(end_with_the_lock, NULL)), 0);
    check_eq(ouro_await(ouro_spawn(end_with_the_lock, NULL)), -EOWNERDEAD);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    return 0;
}

/* ---- As a future ----------------------------------------------------------------------------- */

TaskTest(mutex, a_future_locks_for_whoever_has_its_result)
{
    check_eq(ouro_await(ouro_mutex_lock_future(&m)), 0);
    check_eq(ouro_mutex_locked(&m), 1);
    check_eq(ouro_mutex_try_lock(&m), -EAGAIN);
    check_eq(ouro_await(ouro_spawn(unlock_as_a_stranger, NULL)), 0);
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

TaskTest(mutex, futures_and_tasks_stand_in_one_line)
{
    check_eq(ouro_mutex_lock(&m), 0);
    ouro_future *a = spawn_letter(lock_and_note, 'a');
    let_others_run();
    ouro_future *f = ouro_mutex_lock_future(&m);
    ouro_future *b = spawn_letter(lock_and_note, 'b');
    let_others_run();
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_await(f), 0);
    check_text(take_notes(), "a");
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_await(a), 0);
    check_eq(ouro_await(b), 0);
    check_text(take_notes(), "b");
    return 0;
}

TaskTest(mutex, a_lock_that_nobody_takes_goes_to_the_next_in_line)
{
    ouro_unref(ouro_mutex_lock_future(&m)); /* had it at once */
    let_others_run();
    check_eq(ouro_mutex_locked(&m), 0);

    check_eq(ouro_mutex_lock(&m), 0);
    ouro_detach(ouro_mutex_lock_future(&m)); /* will have it */
    ouro_future *a = spawn_letter(lock_and_note, 'a');
    let_others_run();
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_await(a), 0);
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

TaskTest(mutex, a_timeout_takes_its_future_out_of_the_line)
{
    check_eq(ouro_mutex_lock(&m), 0);
    check_eq(ouro_await(ouro_timeout(ouro_mutex_lock_future(&m), OURO_MS(2))), -ETIMEDOUT);
    ouro_future *a = spawn_letter(lock_and_note, 'a');
    let_others_run();
    check_eq(ouro_mutex_unlock(&m), 0);
    return ouro_await(a);
}

TaskTest(mutex, a_future_that_has_the_lock_keeps_it_through_a_cancel)
{
    check_eq(ouro_mutex_lock(&m), 0);
    ouro_future *f = ouro_mutex_lock_future(&m);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_await(f), 0);
    check_eq(ouro_mutex_unlock(&m), 0);
    return 0;
}

TaskTest(mutex, a_gather_that_fails_gives_the_lock_back)
{
    ouro_future *both[2] = {ouro_mutex_lock_future(&m), ouro_spawn(fail_later, NULL)};
    ouro_result results[2];
    check_eq(ouro_await(ouro_gather(both, 2, OURO_GATHER_ALL, results)), -EIO);
    let_others_run();
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

TaskTest(mutex, a_select_between_two_locks_has_the_first_and_gives_the_other_back)
{
    ouro_mutex other = {0};
    ouro_result winner;
    check_eq(ouro_mutex_lock(&m), 0);
    ouro_future *fs[2] = {ouro_mutex_lock_future(&m), ouro_mutex_lock_future(&other)};
    check_eq(ouro_mutex_unlock(&m), 0); /* both are there now */
    check_eq(ouro_await(ouro_select(fs, 2, &winner)), 0);
    check_eq(winner.n, 0);
    let_others_run();
    check_eq(ouro_mutex_locked(&m), 1);
    check_eq(ouro_mutex_locked(&other), 0);
    check_eq(ouro_mutex_unlock(&m), 0);
    return 0;
}

static void take_the_lock(ouro_future *f, void *arg)
{
    *(int64_t *)arg = ouro_future_take(f).n;
}

TaskTest(mutex, a_callback_takes_the_lock)
{
    int64_t rc = -1;
    ouro_future *f = ouro_mutex_lock_future(&m);
    check_eq(ouro_on_done(f, take_the_lock, &rc), 0);
    ouro_unref(f);
    let_others_run();
    check_eq(rc, 0);
    check_eq(ouro_mutex_locked(&m), 1);
    check_eq(ouro_mutex_unlock(&m), 0);
    return 0;
}

/* ---- Where it cannot be used ----------------------------------------------------------------- */

Test(mutex, without_a_task_or_a_loop_nothing_is_locked)
{
    check_eq(ouro_mutex_lock(&m), -EPERM);
    check_eq(ouro_mutex_try_lock(&m), -EPERM);
    check_eq(ouro_mutex_unlock(&m), -EPERM);
    check_eq(outcome(ouro_mutex_lock_future(&m)), -EPERM);
    begin_fake();
    check_eq(ouro_mutex_lock(&m), -EPERM);
    check_eq(ouro_mutex_try_lock(&m), -EPERM);
    check_eq(ouro_mutex_unlock(&m), -EPERM);
    check_eq(ouro_mutex_locked(&m), 0);
    end();
}

TaskTest(mutex, null_is_refused)
{
    check_eq(ouro_mutex_lock(NULL), -EINVAL);
    check_eq(ouro_mutex_try_lock(NULL), -EINVAL);
    check_eq(ouro_mutex_unlock(NULL), -EINVAL);
    check_eq(outcome(ouro_mutex_lock_future(NULL)), -EINVAL);
    check_eq(ouro_mutex_locked(NULL), 0);
    return 0;
}

static int64_t every_call_is_refused(void *arg)
{
    (void)arg;
    bool all = ouro_mutex_lock(&m) == -EXDEV && ouro_mutex_try_lock(&m) == -EXDEV &&
               ouro_mutex_unlock(&m) == -EXDEV;
    return all && outcome(ouro_mutex_lock_future(&m)) == -EXDEV ? 0 : -1;
}

TaskTest(mutex, another_loops_task_cannot_have_it)
{
    check_eq(ouro_mutex_lock(&m), 0);
    check_elsewhere(every_call_is_refused);
    check_eq(ouro_mutex_unlock(&m), 0);
    check_eq(ouro_await(ouro_mutex_lock_future(&m)), 0);
    check_elsewhere(every_call_is_refused);
    check_eq(ouro_mutex_unlock(&m), 0);
    return 0;
}

static int every_call_says_echild(void)
{
    child_check(ouro_mutex_lock(&m) == -ECHILD);
    child_check(ouro_mutex_try_lock(&m) == -ECHILD);
    child_check(ouro_mutex_unlock(&m) == -ECHILD);
    child_check(outcome(ouro_mutex_lock_future(&m)) == -ECHILD);
    return 0;
}

static int64_t fork_with_the_lock(void *arg)
{
    (void)arg;
    char text[256];
    check_eq(ouro_mutex_lock(&m), 0);
    check_child(every_call_says_echild, text, sizeof text);
    return ouro_mutex_unlock(&m);
}

Test(mutex, in_a_forked_child_every_call_says_echild)
{
    begin_kernel();
    check_eq(run_main(fork_with_the_lock, NULL), 0);
    end();
}

TaskTest(mutex, a_task_that_ends_with_a_lock_is_reported)
{
    ouro_spawn_options opts = {.name = "forgetful"};
    check_eq(ouro_await(ouro_spawn_with(end_with_the_lock, NULL, &opts)), 0);
    const struct kept_report *r = first_report(OURO_REPORT_LEAK);
    check(r != NULL);
    check_text(r->name, "forgetful");
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    check_eq(ouro_mutex_unlock(&m), 0);
    return 0;
}
