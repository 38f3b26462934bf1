/* SPDX-License-Identifier: MIT */
/*
 * Plain callbacks on the loop: order, removal that is final, and arguments freed exactly once.
 */
#include "harness.h"

#include <errno.h>

TestSuite(call, .timeout = 30);

static char order[64];
static size_t order_length;

static void append(void *arg)
{
    order[order_length++] = *(char *)arg;
    order[order_length] = '\0';
}

static char names[] = "abcdefghij";

static void count(void *arg)
{
    ++*(int *)arg;
}

/* ---- Order ----------------------------------------------------------------------------------- */

Test(call, soon_runs_in_the_next_turn_in_order)
{
    begin_fake();
    for (int i = 0; i < 5; i++)
        check_eq(ouro_call_soon(append, &names[i], NULL, NULL), 0);
    check_eq(order_length, 0);
    turn();
    check_text(order, "abcde");
    end();
}

static void call_again(void *arg)
{
    append(arg);
    if (order_length < 6)
        check_eq(ouro_call_soon(call_again, arg, NULL, NULL), 0);
}

Test(call, what_a_call_queues_runs_in_the_next_turn_after_a_look_at_the_driver)
{
    struct fake *fake = begin_fake();
    check_eq(ouro_call_soon(call_again, &names[0], NULL, NULL), 0);
    check_eq(ouro_call_soon(append, &names[1], NULL, NULL), 0);
    uint64_t submits = fake->submits;
    turn();
    check_text(order, "ab");
    check(fake->submits > submits);
    turn();
    check_text(order, "aba");
    end();
    check_text(order, "abaaaa");
}

static int stop_calling;

static void call_for_ever(void *arg)
{
    (void)arg;
    if (!stop_calling)
        check_eq(ouro_call_soon(call_for_ever, NULL, NULL, NULL), 0);
}

static void stop_it(void *arg)
{
    (void)arg;
    stop_calling = 1;
}

Test(call, one_that_repeats_itself_for_ever_cannot_stop_timers)
{
    struct fake *fake = begin_fake();
    check_eq(ouro_call_soon(call_for_ever, NULL, NULL, NULL), 0);
    check_eq(ouro_call_later(OURO_MS(1), stop_it, NULL, NULL, NULL), 0);
    turns(5);
    check_eq(stop_calling, 0);
    fake_advance(fake, OURO_MS(1));
    turns(2);
    check_eq(stop_calling, 1);
    end();
}

Test(call, later_and_at_run_when_their_time_has_come)
{
    struct fake *fake = begin_fake();
    ouro_ns start = fake->clock;
    check_eq(ouro_call_later(OURO_MS(20), append, &names[1], NULL, NULL), 0);
    check_eq(ouro_call_at(start + OURO_MS(10), append, &names[0], NULL, NULL), 0);
    turns(3);
    check_eq(order_length, 0);
    check_eq(ouro_loop_step(ouro_loop_current(), OURO_SEC(1)), 1);
    turn();
    check_text(order, "a");
    check_eq(fake->clock - start, OURO_MS(10));
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_text(order, "ab");
    check_eq(fake->clock - start, OURO_MS(20));
    end();
}

Test(call, a_time_that_has_passed_is_still_not_called_inside)
{
    begin_fake();
    check_eq(ouro_call_at(0, append, &names[0], NULL, NULL), 0);
    check_eq(ouro_call_later(0, append, &names[1], NULL, NULL), 0);
    check_eq(order_length, 0);
    turns(3);
    check_eq(order_length, 2);
    end();
}

/* ---- Removal --------------------------------------------------------------------------------- */

Test(call, removal_is_final_and_frees_the_argument_once_in_a_later_turn)
{
    struct life soon = {0}, later = {0};
    ouro_call *call[2];
    begin_fake();
    check_eq(ouro_call_soon(live, &soon, die, &call[0]), 0);
    check_eq(ouro_call_later(OURO_SEC(1), live, &later, die, &call[1]), 0);
    check_eq(stats().live_timers, 1);
    for (int i = 0; i < 2; i++) {
        check_eq(ouro_call_cancel(call[i]), 1);
        check_eq(ouro_call_cancel(call[i]), 0);
    }
    check_eq(stats().live_timers, 0);
    check_eq(soon.freed + later.freed, 0);
    turns(2);
    check_eq(soon.freed, 1);
    check_eq(later.freed, 1);
    check(ouro_call_unref(call[0]) == NULL);
    check(ouro_call_unref(call[1]) == NULL);
    end();
    check_eq(soon.ran + later.ran, 0);
    check_eq(soon.freed + later.freed, 2);
}

static ouro_call *victim;

static void remove_victim(void *arg)
{
    (void)arg;
    check_eq(ouro_call_cancel(victim), 1);
}

Test(call, one_can_remove_another_that_is_due_in_the_same_turn)
{
    struct life life = {0};
    begin_fake();
    check_eq(ouro_call_soon(remove_victim, NULL, NULL, NULL), 0);
    check_eq(ouro_call_soon(live, &life, die, &victim), 0);
    turns(3);
    check_eq(life.ran, 0);
    check_eq(life.freed, 1);
    ouro_call_unref(victim);
    end();
}

Test(call, one_can_remove_another_whose_timer_is_due_in_the_same_turn)
{
    struct life life = {0};
    struct fake *fake = begin_fake();
    ouro_ns when = fake->clock + OURO_MS(1);
    check_eq(ouro_call_at(when, remove_victim, NULL, NULL, NULL), 0);
    check_eq(ouro_call_at(when, live, &life, die, &victim), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    turns(2);
    check_eq(life.ran, 0);
    check_eq(life.freed, 1);
    ouro_call_unref(victim);
    end();
}

static int answer_inside = -1;

static void remove_myself(void *arg)
{
    answer_inside = ouro_call_cancel(*(ouro_call **)arg);
}

Test(call, removal_says_0_while_it_runs_and_after)
{
    ouro_call *call;
    begin_fake();
    check_eq(ouro_call_soon(remove_myself, &call, NULL, &call), 0);
    turns(2);
    check_eq(answer_inside, 0);
    check_eq(ouro_call_cancel(call), 0);
    ouro_call_unref(call);
    end();
}

static void drop_myself(void *arg)
{
    ouro_call **call = arg;
    *call = ouro_call_unref(*call);
}

Test(call, a_handle_may_be_given_back_inside_its_own_callback)
{
    ouro_call *call;
    begin_fake();
    check_eq(ouro_call_soon(drop_myself, &call, NULL, &call), 0);
    turns(2);
    check(call == NULL);
    end();
}

Test(call, giving_the_handle_back_does_not_touch_the_callback)
{
    int ran = 0;
    ouro_call *call;
    begin_fake();
    check_eq(ouro_call_soon(count, &ran, NULL, &call), 0);
    check(ouro_call_unref(call) == NULL);
    check(ouro_call_unref(NULL) == NULL);
    turns(2);
    check_eq(ran, 1);
    end();
}

/* ---- Arguments ------------------------------------------------------------------------------- */

Test(call, the_argument_is_freed_once_after_the_callback)
{
    struct life life = {0};
    begin_fake();
    check_eq(ouro_call_soon(live, &life, die, NULL), 0);
    turns(3);
    check_eq(life.ran, 1);
    check_eq(life.freed, 1);
    end();
    check_eq(life.freed, 1);
}

Test(call, that_was_refused_leaves_the_argument_yours)
{
    struct life life = {0};
    ouro_call *call = NULL;
    check_eq(ouro_call_soon(live, &life, die, &call), -EPERM);
    begin_fake();
    check_eq(ouro_call_soon(NULL, &life, die, &call), -EINVAL);
    check_eq(ouro_call_later(1, NULL, &life, die, &call), -EINVAL);
    check_eq(ouro_call_at(1, NULL, &life, die, &call), -EINVAL);
    turns(2);
    check(call == NULL);
    check_eq(life.freed, 0);
    end();
}

Test(call, shutdown_frees_the_argument_of_one_that_will_never_run)
{
    struct life life = {0};
    begin_fake();
    check_eq(ouro_call_later(OURO_SEC(3600), live, &life, die, NULL), 0);
    turns(2);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(life.ran, 0);
    check_eq(life.freed, 1);
    check_eq(stats().live_calls, 0);
    check_eq(stats().live_timers, 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
    check_eq(life.freed, 1);
}

TaskTest(call, a_task_can_wait_while_calls_run)
{
    int ran = 0;
    for (int i = 0; i < 10; i++)
        check_eq(ouro_call_later(OURO_US(100), count, &ran, NULL, NULL), 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(ran, 10);
    return 0;
}
