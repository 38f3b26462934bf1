/* SPDX-License-Identifier: MIT */
/*
 * Barriers: all go on or none does, each with an index of its own, and rounds do not mix.
 */
#include "sync_test.h"

TestSuite(barrier, .timeout = 30);

static ouro_barrier b;

static void begin_with(int64_t parties)
{
    check_eq(ouro_barrier_init(&b, parties), 0);
}

static int64_t meet(void *arg)
{
    int64_t n = ouro_barrier_wait(&b);
    note_outcome(arg, n);
    return n;
}

static int64_t meet_and_wait_on(void *arg)
{
    int64_t n = meet(arg);
    note_outcome(arg, ouro_yield());
    return n;
}

TaskTest(barrier, all_go_on_when_the_last_has_come_with_indices_in_order_of_arrival)
{
    begin_with(4);
    ouro_future *tasks[3];
    for (int i = 0; i < 3; i++)
        tasks[i] = spawn_letter(meet, (char)('a' + i));
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_barrier_wait(&b), 3);
    for (int i = 0; i < 3; i++)
        check_eq(ouro_await(tasks[i]), i);
    check_text(take_notes(), "abc");
    return 0;
}

TaskTest(barrier, one_party_never_waits)
{
    begin_with(1);
    uint64_t before = stats().turns;
    check_eq(ouro_barrier_wait(&b), 0);
    check_eq(ouro_barrier_wait(&b), 0);
    check_eq(stats().turns, before);
    return 0;
}

static void come_alone(void)
{
    check_eq(ouro_barrier_wait(&b), 0);
}

TaskTest(barrier, one_party_lets_others_run_now_and_then)
{
    begin_with(1);
    check_others_run_beside(come_alone);
    return 0;
}

/* The last to come of one round runs on, and comes again before the others have run. */
TaskTest(barrier, a_fast_task_begins_the_next_round_and_does_not_join_this_one)
{
    begin_with(2);
    ouro_future *a = spawn_letter(meet, 'a');
    let_others_run();
    check_eq(ouro_barrier_wait(&b), 1);
    ouro_future *again = ouro_barrier_wait_future(&b);
    check_eq(ouro_future_state(again), OURO_PENDING);
    check_eq(ouro_await(a), 0);
    check_eq(ouro_barrier_wait(&b), 1);
    check_eq(ouro_await(again), 0);
    check_text(take_notes(), "a");
    return 0;
}

struct walker {
    int steps;
    int *rounds; /* how far the walkers have come, together */
};

static int64_t walk(void *arg)
{
    struct walker *w = arg;
    for (w->steps = 0; w->steps < 50; w->steps++) {
        check(*w->rounds / 3 == w->steps); /* nobody is ahead or behind */
        ++*w->rounds;
        check(ouro_barrier_wait(&b) >= 0);
    }
    return 0;
}

TaskTest(barrier, tasks_go_round_in_step)
{
    int rounds = 0;
    struct walker walkers[3];
    ouro_future *tasks[3];
    begin_with(3);
    for (int i = 0; i < 3; i++) {
        walkers[i].rounds = &rounds;
        tasks[i] = ouro_spawn(walk, &walkers[i]);
    }
    check_eq(ouro_await(ouro_gather(tasks, 3, OURO_GATHER_ALL, NULL)), 0);
    check_eq(rounds, 150);
    return 0;
}

/* ---- Cancelled waiters ----------------------------------------------------------------------- */

TaskTest(barrier, a_cancelled_waiter_has_not_come_and_leaves_no_gap)
{
    begin_with(3);
    ouro_future *x = spawn_letter(meet, 'x');
    ouro_future *y = spawn_letter(meet, 'y');
    let_others_run();
    check_eq(ouro_cancel(x), 1);
    check_eq(ouro_await(x), -OURO_ECHILDCANCELLED);
    ouro_future *z = spawn_letter(meet, 'z');
    let_others_run();
    check_text(take_notes(), "X");
    check_eq(ouro_barrier_wait(&b), 2);
    check_eq(ouro_await(y), 0);
    check_eq(ouro_await(z), 1);
    check_text(take_notes(), "yz");
    return 0;
}

TaskTest(barrier, a_cancel_after_the_last_has_come_is_heard_at_the_next_wait)
{
    begin_with(2);
    ouro_future *a = spawn_letter(meet_and_wait_on, 'a');
    let_others_run();
    check_eq(ouro_barrier_wait(&b), 1);
    check_eq(ouro_cancel(a), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "aA");
    return 0;
}

TaskTest(barrier, in_a_cancelled_scope_nobody_comes)
{
    ouro_scope scope;
    begin_with(1);
    enter_cancelled(&scope);
    check_eq(ouro_barrier_wait(&b), -ECANCELED);
    check_eq(ouro_barrier_abort(&b), 0);
    check_eq(ouro_barrier_wait(&b), -ECANCELED);
    check_eq(ouro_scope_exit(&scope, 0), 0);
    return 0;
}

TaskTest(barrier, a_deadline_ends_the_wait_and_takes_the_party_away)
{
    ouro_scope scope;
    begin_with(2);
    enter_timeout(&scope, OURO_MS(2));
    check_eq(ouro_scope_exit(&scope, ouro_barrier_wait(&b)), -ETIMEDOUT);
    check_eq(ouro_await(ouro_timeout(ouro_barrier_wait_future(&b), OURO_MS(2))), -ETIMEDOUT);
    ouro_future *a = spawn_letter(meet, 'a');
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_barrier_wait(&b), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    return 0;
}

Test(barrier, shutdown_ends_the_waits)
{
    begin_kernel();
    begin_with(3);
    ouro_future *a = spawn_letter(meet, 'a');
    ouro_future *f = ouro_barrier_wait_future(&b);
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_text(take_notes(), "A");
    check_eq(outcome(a), -ECANCELED);
    check_eq(outcome(f), -ECANCELED);
    check_eq(outcome(ouro_barrier_wait_future(&b)), -ESHUTDOWN);
    end();
}

/* ---- Reset and abort ------------------------------------------------------------------------- */

TaskTest(barrier, a_reset_sends_away_who_waits_and_begins_anew)
{
    begin_with(3);
    ouro_future *x = spawn_letter(meet, 'x');
    ouro_future *y = ouro_barrier_wait_future(&b);
    let_others_run();
    check_eq(ouro_barrier_reset(&b), 0);
    check_eq(ouro_await(x), -EPIPE);
    check_eq(ouro_await(y), -EPIPE);
    ouro_future *a = spawn_letter(meet, 'a');
    ouro_future *c = spawn_letter(meet, 'c');
    let_others_run();
    check_text(take_notes(), "X");
    check_eq(ouro_barrier_wait(&b), 2);
    check_eq(ouro_await(a), 0);
    check_eq(ouro_await(c), 1);
    check_text(take_notes(), "ac");
    return 0;
}

TaskTest(barrier, an_abort_sends_everybody_away_until_the_reset)
{
    begin_with(2);
    ouro_future *x = spawn_letter(meet, 'x');
    let_others_run();
    check_eq(ouro_barrier_abort(&b), 0);
    check_eq(ouro_await(x), -EPIPE);
    check_eq(ouro_barrier_wait(&b), -EPIPE);
    check_eq(outcome(ouro_barrier_wait_future(&b)), -EPIPE);
    check_eq(ouro_barrier_abort(&b), 0);
    check_eq(ouro_barrier_reset(&b), 0);
    ouro_future *a = spawn_letter(meet, 'a');
    let_others_run();
    check_eq(ouro_barrier_wait(&b), 1);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "Xa");
    return 0;
}

TaskTest(barrier, a_reset_after_the_last_has_come_is_for_the_next_round)
{
    begin_with(2);
    ouro_future *a = spawn_letter(meet, 'a');
    let_others_run();
    check_eq(ouro_barrier_wait(&b), 1);
    check_eq(ouro_barrier_reset(&b), 0);
    check_eq(ouro_await(a), 0);
    check_text(take_notes(), "a");
    return 0;
}

/* ---- As a future ----------------------------------------------------------------------------- */

TaskTest(barrier, futures_come_like_tasks)
{
    begin_with(3);
    ouro_future *f = ouro_barrier_wait_future(&b);
    ouro_future *a = spawn_letter(meet, 'a');
    let_others_run();
    check_eq(ouro_await(ouro_barrier_wait_future(&b)), 2);
    check_eq(ouro_await(a), 1);
    check_eq(ouro_await(f), 0);
    check_text(take_notes(), "a");
    return 0;
}

TaskTest(barrier, a_cancelled_future_has_not_come_and_a_detached_one_has)
{
    begin_with(3);
    ouro_future *f = ouro_barrier_wait_future(&b);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    ouro_detach(ouro_barrier_wait_future(&b));
    ouro_future *a = spawn_letter(meet, 'a');
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_barrier_wait(&b), 2);
    check_eq(ouro_await(a), 1);
    check_text(take_notes(), "a");
    return 0;
}

static int64_t start_and_meet(void *arg)
{
    check_eq(ouro_yield(), 0);
    return meet(arg);
}

static int64_t meet_without_memory(void *arg)
{
    (void)arg;
    begin_with(2);
    ouro_future *a = spawn_letter(start_and_meet, 'a');
    check_eq(ouro_yield(), 0);
    refusing = true;
    check_eq(outcome(ouro_barrier_wait_future(&b)), -ENOMEM); /* one who was to wait */
    let_others_run();
    check_eq(outcome(ouro_barrier_wait_future(&b)), -ENOMEM); /* one who would have been the last */
    let_others_run();
    check_text(take_notes(), "");
    check_eq(ouro_barrier_wait(&b), 1);
    refusing = false;
    return ouro_await(a);
}

Test(barrier, waiting_needs_no_memory_and_a_future_that_cannot_be_made_has_not_come)
{
    run_with_little_memory(meet_without_memory);
    check_text(take_notes(), "a");
}

/* ---- Where it cannot be used ----------------------------------------------------------------- */

TaskTest(barrier, null_or_no_parties_are_refused)
{
    ouro_barrier never_made = {0};
    check_eq(ouro_barrier_init(NULL, 1), -EINVAL);
    check_eq(ouro_barrier_init(&b, 0), -EINVAL);
    check_eq(ouro_barrier_init(&b, -1), -EINVAL);
    check_eq(ouro_barrier_wait(NULL), -EINVAL);
    check_eq(ouro_barrier_wait(&never_made), -EINVAL);
    check_eq(outcome(ouro_barrier_wait_future(NULL)), -EINVAL);
    check_eq(ouro_barrier_reset(NULL), -EINVAL);
    check_eq(ouro_barrier_abort(NULL), -EINVAL);
    return 0;
}

Test(barrier, without_a_loop_or_a_task_nobody_comes)
{
    begin_with(1);
    check_eq(ouro_barrier_wait(&b), -EPERM);
    check_eq(outcome(ouro_barrier_wait_future(&b)), -EPERM);
    check_eq(ouro_barrier_reset(&b), -EPERM);
    check_eq(ouro_barrier_abort(&b), -EPERM);
    begin_fake();
    check_eq(ouro_barrier_wait(&b), -EPERM);
    end();
}

static int every_call_says_echild(void)
{
    child_check(ouro_barrier_wait(&b) == -ECHILD);
    child_check(outcome(ouro_barrier_wait_future(&b)) == -ECHILD);
    child_check(ouro_barrier_reset(&b) == -ECHILD);
    child_check(ouro_barrier_abort(&b) == -ECHILD);
    return 0;
}

static int64_t fork_once(void *arg)
{
    (void)arg;
    char text[256];
    begin_with(1);
    check_child(every_call_says_echild, text, sizeof text);
    return 0;
}

Test(barrier, in_a_forked_child_every_call_says_echild)
{
    begin_kernel();
    check_eq(run_main(fork_once, NULL), 0);
    end();
}
