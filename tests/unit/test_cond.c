/* SPDX-License-Identifier: MIT */
/*
 * Conditions: a signal reaches exactly those it is for, and whoever waited has the mutex again,
 * always.
 */
#include "sync_test.h"

TestSuite(cond, .timeout = 30);

static ouro_mutex m;
static ouro_cond c;

static void lock(void)
{
    check_eq(ouro_mutex_lock(&m), 0);
}

static void unlock(void)
{
    check_eq(ouro_mutex_unlock(&m), 0);
}

/* Signal as one does. Returns how many were there. */
static int64_t signal_some(int64_t n)
{
    lock();
    int64_t signalled = ouro_cond_signal(&c, &m, n);
    unlock();
    return signalled;
}

/* Lock, wait, note how it went; the mutex must be ours whatever that was. */
static int64_t wait_and_note(void *arg)
{
    lock();
    int rc = ouro_cond_wait(&c, &m);
    note_outcome(arg, rc);
    unlock();
    return rc;
}

/* As above, but the mutex is kept while others run. */
static int64_t wait_and_keep(void *arg)
{
    lock();
    int rc = ouro_cond_wait(&c, &m);
    note_outcome(arg, rc);
    for (int i = 0; i < 4; i++)
        ouro_yield();
    note('.');
    unlock();
    return rc;
}

static int64_t lock_and_note(void *arg)
{
    int rc = ouro_mutex_lock(&m);
    note_outcome(arg, rc);
    if (rc == 0)
        unlock();
    return rc;
}

/* ---- Signals --------------------------------------------------------------------------------- */

TaskTest(cond, a_wait_gives_the_mutex_up_and_has_it_again)
{
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    let_others_run();
    check_eq(ouro_mutex_locked(&m), 0);
    lock();
    check_eq(ouro_cond_signal(&c, &m, 1), 1);
    let_others_run();
    check_text(take_notes(), ""); /* the signaller still has it */
    unlock();
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    return 0;
}

TaskTest(cond, signals_go_to_those_who_have_waited_longest)
{
    ouro_future *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = spawn_letter(wait_and_note, (char)('a' + i));
    let_others_run();
    check_eq(signal_some(1), 1);
    let_others_run();
    check_text(take_notes(), "a");
    check_eq(signal_some(2), 2);
    let_others_run();
    check_text(take_notes(), "bc");
    check_eq(signal_some(5), 1);
    check_eq(ouro_await(ouro_gather(tasks, 4, OURO_GATHER_ALL, NULL)), 0);
    check_text(take_notes(), "d");
    return 0;
}

TaskTest(cond, all_can_be_signalled_and_go_on_one_by_one)
{
    ouro_future *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn_letter(wait_and_keep, (char)('a' + i));
    let_others_run();
    check_eq(signal_some(OURO_UNBOUNDED), 3);
    check_eq(ouro_await(ouro_gather(tasks, 3, OURO_GATHER_ALL, NULL)), 0);
    check_text(take_notes(), "a.b.c.");
    return 0;
}

TaskTest(cond, a_signal_with_nobody_there_is_forgotten)
{
    check_eq(signal_some(1), 0);
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    let_others_run();
    check_text(take_notes(), "");
    check_eq(signal_some(1), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    return 0;
}

TaskTest(cond, the_signalled_stand_behind_those_who_wait_for_the_mutex_already)
{
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    let_others_run();
    lock();
    ouro_future *b = spawn_letter(lock_and_note, 'b');
    let_others_run();
    check_eq(ouro_cond_signal(&c, &m, 1), 1);
    ouro_future *d = spawn_letter(lock_and_note, 'd');
    let_others_run();
    unlock();
    check_eq(ouro_await(d), 0);
    check_text(take_notes(), "bad");
    check_eq(ouro_await(b), 0);
    return ouro_await(a);
}

/* ---- Cancelled waiters ----------------------------------------------------------------------- */

TaskTest(cond, a_cancelled_waiter_uses_up_no_signal)
{
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    ouro_future *b = spawn_letter(wait_and_note, 'b');
    let_others_run();
    lock();
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_cond_signal(&c, &m, 1), 1);
    unlock();
    check_eq(ouro_await(b), 0);
    check_eq(ouro_await(a), -OURO_ECHILDCANCELLED);
    check_text(take_notes(), "bA");
    return 0;
}

TaskTest(cond, a_signal_that_came_before_the_cancel_is_not_lost)
{
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    let_others_run();
    lock();
    check_eq(ouro_cond_signal(&c, &m, 1), 1);
    check_eq(ouro_cancel(a), 1); /* it stands in the line of the mutex now */
    let_others_run();
    check_text(take_notes(), "");
    unlock();
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    return 0;
}

TaskTest(cond, a_cancelled_waiter_waits_for_the_mutex_and_no_cancel_ends_that)
{
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    let_others_run();
    lock();
    check_eq(ouro_cancel(a), 1);
    let_others_run();
    check_eq(ouro_cancel(a), 0);
    check_text(take_notes(), "");
    unlock();
    check_eq(ouro_await(a), -OURO_ECHILDCANCELLED);
    check_text(take_notes(), "A");
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

TaskTest(cond, a_cancelled_waiter_takes_a_free_mutex_at_once)
{
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    let_others_run();
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_await(a), -OURO_ECHILDCANCELLED);
    check_text(take_notes(), "A");
    check_eq(ouro_mutex_locked(&m), 0);
    return 0;
}

TaskTest(cond, in_a_cancelled_scope_a_wait_never_gives_the_mutex_up)
{
    ouro_scope scope;
    lock();
    ouro_future *b = spawn_letter(lock_and_note, 'b');
    enter_cancelled(&scope);
    check_eq(ouro_cond_wait(&c, &m), -ECANCELED);
    check_text(take_notes(), ""); /* b ran, and did not get it */
    check_eq(ouro_cond_signal(&c, &m, 1), 0);
    unlock();
    check_eq(ouro_scope_exit(&scope, 0), 0);
    check_eq(ouro_await(b), 0);
    check_text(take_notes(), "b");
    return 0;
}

TaskTest(cond, a_deadline_ends_the_wait_with_the_mutex_locked)
{
    ouro_scope scope;
    lock();
    enter_timeout(&scope, OURO_MS(2));
    check_eq(ouro_scope_exit(&scope, ouro_cond_wait(&c, &m)), -ETIMEDOUT);
    check_eq(ouro_mutex_try_lock(&m), -EDEADLK);
    unlock();
    return 0;
}

static int64_t wait_in_a_short_scope(void *arg)
{
    ouro_scope scope;
    lock();
    enter_timeout(&scope, OURO_MS(2));
    int rc = ouro_cond_wait(&c, &m);
    note_outcome(arg, rc);
    note_outcome(arg, ouro_yield());
    check_eq(ouro_scope_cancelled(&scope), 1);
    check_eq(ouro_scope_exit(&scope, rc), 0);
    unlock();
    return rc;
}

TaskTest(cond, a_deadline_that_passes_after_the_signal_is_heard_at_the_next_wait)
{
    ouro_future *a = spawn_letter(wait_in_a_short_scope, 'a');
    check_eq(ouro_yield(), 0);
    lock();
    check_eq(ouro_cond_signal(&c, &m, 1), 1);
    check_eq(ouro_await(ouro_sleep(OURO_MS(10))), 0);
    check_text(take_notes(), "");
    unlock();
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "aA");
    return 0;
}

static int64_t end_with_the_mutex(void *arg)
{
    (void)arg;
    lock();
    return 0;
}

static int64_t be_told_of_the_dead(void *arg)
{
    (void)arg;
    lock();
    int rc = ouro_cond_wait(&c, &m);
    unlock(); /* it is locked, by the one who has ended */
    return rc;
}

TaskTest(cond, a_cancelled_waiter_is_told_of_an_owner_that_ended)
{
    ouro_future *a = ouro_spawn(be_told_of_the_dead, NULL);
    let_others_run();
    check_eq(ouro_await(ouro_spawn(end_with_the_mutex, NULL)), 0);
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_await(a), -EOWNERDEAD);
    check_eq(ouro_mutex_locked(&m), 0);
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    return 0;
}

Test(cond, shutdown_ends_the_waits_with_the_mutex_locked)
{
    begin_kernel();
    ouro_future *a = spawn_letter(wait_and_keep, 'a');
    ouro_future *b = spawn_letter(wait_and_note, 'b');
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_text(take_notes(), "A.B");
    check_eq(outcome(a), -ECANCELED);
    check_eq(outcome(b), -ECANCELED);
    check_eq(ouro_mutex_locked(&m), 0);
    end();
}

static int64_t start_and_wait(void *arg)
{
    check_eq(ouro_yield(), 0);
    return wait_and_note(arg);
}

static int64_t signal_one_cancel_one(void *arg)
{
    (void)arg;
    ouro_future *a = spawn_letter(start_and_wait, 'a');
    ouro_future *b = spawn_letter(start_and_wait, 'b');
    check_eq(ouro_yield(), 0);
    refusing = true;
    let_others_run();
    check_eq(signal_some(1), 1);
    check_eq(ouro_cancel(b), 1);
    let_others_run();
    check_text(take_notes(), "aB");
    refusing = false;
    check_eq(ouro_await(b), -OURO_ECHILDCANCELLED);
    return ouro_await(a);
}

Test(cond, waiting_and_signalling_need_no_memory)
{
    run_with_little_memory(signal_one_cancel_one);
}

/* ---- Where it cannot be used ----------------------------------------------------------------- */

TaskTest(cond, without_the_mutex_nobody_waits_or_signals)
{
    check_eq(ouro_cond_wait(&c, &m), -EPERM);
    check_eq(ouro_cond_signal(&c, &m, 1), -EPERM);
    ouro_future *other = ouro_mutex_lock_future(&m); /* a result's, not the task's */
    check_eq(ouro_await(other), 0);
    check_eq(ouro_cond_wait(&c, &m), -EPERM);
    check_eq(ouro_cond_signal(&c, &m, 1), -EPERM);
    unlock();
    return 0;
}

TaskTest(cond, all_who_wait_do_so_with_the_same_mutex)
{
    ouro_mutex other = {0};
    ouro_future *a = spawn_letter(wait_and_note, 'a');
    let_others_run();
    check_eq(ouro_mutex_lock(&other), 0);
    check_eq(ouro_cond_wait(&c, &other), -EPERM);
    check_eq(ouro_cond_signal(&c, &other, 1), -EPERM);
    check_eq(ouro_mutex_unlock(&other), 0);
    check_eq(signal_some(1), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    check_eq(ouro_mutex_lock(&other), 0); /* with nobody there, any will do */
    check_eq(ouro_cond_signal(&c, &other, 1), 0);
    check_eq(ouro_mutex_unlock(&other), 0);
    return 0;
}

TaskTest(cond, null_and_numbers_that_make_no_sense_are_refused)
{
    check_eq(ouro_cond_wait(NULL, &m), -EINVAL);
    check_eq(ouro_cond_wait(&c, NULL), -EINVAL);
    check_eq(ouro_cond_signal(NULL, &m, 1), -EINVAL);
    check_eq(ouro_cond_signal(&c, NULL, 1), -EINVAL);
    lock();
    check_eq(ouro_cond_signal(&c, &m, 0), -EINVAL);
    check_eq(ouro_cond_signal(&c, &m, -1), -EINVAL);
    unlock();
    return 0;
}

Test(cond, outside_tasks_nobody_waits_or_signals)
{
    check_eq(ouro_cond_wait(&c, &m), -EPERM);
    check_eq(ouro_cond_signal(&c, &m, 1), -EPERM);
    begin_fake();
    check_eq(ouro_cond_wait(&c, &m), -EPERM);
    check_eq(ouro_cond_signal(&c, &m, 1), -EPERM);
    end();
}

static int every_call_says_echild(void)
{
    child_check(ouro_cond_wait(&c, &m) == -ECHILD);
    child_check(ouro_cond_signal(&c, &m, 1) == -ECHILD);
    return 0;
}

static int64_t fork_once(void *arg)
{
    (void)arg;
    char text[256];
    lock();
    check_child(every_call_says_echild, text, sizeof text);
    unlock();
    return 0;
}

Test(cond, in_a_forked_child_every_call_says_echild)
{
    begin_kernel();
    check_eq(run_main(fork_once, NULL), 0);
    end();
}
