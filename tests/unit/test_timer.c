/* SPDX-License-Identifier: MIT */
/*
 * Timers: never early, in order of deadline and then of arming, gone when cancelled.
 */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>

TestSuite(timer, .timeout = 60);

enum { MANY = 20000 };

static int fired[MANY];
static size_t fired_count;

static void note(void *arg)
{
    fired[fired_count++] = (int)(intptr_t)arg;
}

static void note_done(ouro_future *f, void *arg)
{
    check_eq(ouro_future_result(f).n, 0);
    note(arg);
}

FakeTest(timer, a_sleep_ends_when_its_time_has_come)
{
    ouro_ns delays[] = {1, 999, OURO_US(1), OURO_MS(1), OURO_SEC(3600)};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        ouro_ns start = ouro_now();
        check_eq(ouro_await(ouro_sleep(delays[i])), 0);
        check_eq(ouro_now() - start, delays[i]);
    }
    return 0;
}

TaskTest(timer, a_sleep_never_ends_early)
{
    for (unsigned i = 0; i < 50; i++) {
        ouro_ns delay = OURO_US(i * 17);
        ouro_ns start = ouro_now();
        check_eq(ouro_await(ouro_sleep(delay)), 0);
        check(ouro_now() - start >= delay);
    }
    return 0;
}

TaskTest(timer, sleep_until_never_ends_early)
{
    for (unsigned i = 0; i < 20; i++) {
        ouro_ns when = ouro_now() + OURO_US(i * 31);
        check_eq(ouro_await(ouro_sleep_until(when)), 0);
        check(ouro_now() >= when);
    }
    return 0;
}

Test(timer, a_nanosecond_before_its_deadline_it_has_not_fired)
{
    struct fake *fake = begin_fake();
    ouro_future *f = ouro_sleep(OURO_US(10));
    fake_advance(fake, OURO_US(10) - 1);
    turns(3);
    check_eq(ouro_future_state(f), OURO_PENDING);
    fake_advance(fake, 1);
    turn();
    check_eq(ouro_future_state(f), OURO_VALUE);
    ouro_unref(f);
    end();
}

Test(timer, equal_deadlines_fire_in_the_order_in_which_they_were_set)
{
    struct fake *fake = begin_fake();
    ouro_ns when = fake->clock + OURO_MS(5);
    for (int i = 0; i < 20; i++)
        check_eq(ouro_call_at(when, note, (void *)(intptr_t)i, NULL, NULL), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(fired_count, 20);
    for (int i = 0; i < 20; i++)
        check_eq(fired[i], i);
    end();
}

Test(timer, sleeps_and_calls_of_one_deadline_share_one_order)
{
    struct fake *fake = begin_fake();
    ouro_ns when = fake->clock + OURO_MS(5);
    ouro_future *f[10];
    for (int i = 0; i < 10; i++) {
        f[i] = ouro_sleep_until(when);
        check_eq(ouro_on_done(f[i], note_done, (void *)(intptr_t)i), 0);
    }
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    for (int i = 0; i < 10; i++) {
        check_eq(fired[i], i);
        ouro_unref(f[i]);
    }
    end();
}

static ouro_ns deadlines[MANY];

/* A permutation's worth of deadlines with many equal ones. */
static void set_many(struct fake *fake, ouro_call **calls)
{
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < MANY; i++) {
        deadlines[i] = fake->clock + fake_random(&random) % (MANY / 4);
        check_eq(
            ouro_call_at(deadlines[i], note, (void *)(intptr_t)i, NULL, calls ? &calls[i] : NULL),
            0);
    }
}

static void check_order(void)
{
    for (size_t i = 1; i < fired_count; i++) {
        int before = fired[i - 1], after = fired[i];
        check(deadlines[before] <= deadlines[after]);
        if (deadlines[before] == deadlines[after])
            check(before < after);
    }
}

Test(timer, many_at_random_fire_sorted_by_deadline_and_then_by_arming)
{
    struct fake *fake = begin_fake();
    set_many(fake, NULL);
    check_eq(stats().live_timers, MANY);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(fired_count, MANY);
    check_order();
    end();
}

Test(timer, a_random_half_cancelled_never_fires_and_the_rest_keeps_its_order)
{
    static ouro_call *calls[MANY];
    struct fake *fake = begin_fake();
    uint64_t random = 7;
    size_t left = MANY;
    set_many(fake, calls);
    for (int i = 0; i < MANY; i++) {
        if (fake_random(&random) % 2) {
            check_eq(ouro_call_cancel(calls[i]), 1);
            deadlines[i] = 0; /* a mark: it would break the order if it fired */
            left--;
        }
        calls[i] = ouro_call_unref(calls[i]);
    }
    check_eq(stats().live_timers, left);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(fired_count, left);
    for (size_t i = 0; i < fired_count; i++)
        check(deadlines[fired[i]] != 0);
    check_order();
    end();
}

FakeTest(timer, a_delay_counts_from_a_fresh_reading_of_the_clock)
{
    ouro_future *before = ouro_sleep(OURO_MS(10));
    fake_advance(the_fake(), OURO_MS(5)); /* the task has worked for so long */
    ouro_ns start = ouro_now();
    ouro_future *after = ouro_sleep(OURO_MS(10));
    check_eq(ouro_await(before), 0);
    check_eq(ouro_now() - start, OURO_MS(5));
    check_eq(ouro_await(after), 0);
    check_eq(ouro_now() - start, OURO_MS(10));
    return 0;
}

Test(timer, zero_delay_settles_in_a_later_turn_never_inside)
{
    begin_fake();
    ouro_future *f = ouro_sleep(0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    turns(2);
    check_eq(ouro_future_state(f), OURO_VALUE);
    ouro_unref(f);
    end();
}

Test(timer, a_time_that_has_passed_settles_in_a_later_turn_never_inside)
{
    begin_fake();
    ouro_future *f = ouro_sleep_until(1);
    check_eq(ouro_future_state(f), OURO_PENDING);
    turns(2);
    check_eq(ouro_future_state(f), OURO_VALUE);
    ouro_unref(f);
    f = ouro_sleep_until(0);
    turns(2);
    check_eq(ouro_future_state(f), OURO_VALUE);
    ouro_unref(f);
    end();
}

Test(timer, delays_beyond_the_clock_never_fire_and_do_not_wrap)
{
    ouro_ns huge[] = {OURO_FOREVER, OURO_FOREVER - 1, OURO_FOREVER - OURO_MS(1)};
    struct fake *fake = begin_fake();
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        ouro_future *f = ouro_sleep(huge[i]);
        turns(3);
        fake_advance(fake, OURO_SEC(1000000));
        turns(3);
        check_eq(ouro_future_state(f), OURO_PENDING);
        check_eq(ouro_cancel(f), 1);
        turns(2);
        check_eq(ouro_future_state(f), OURO_CANCELLED);
        ouro_unref(f);
    }
    end();
}

Test(timer, the_clock_is_never_zero_with_a_loop_and_zero_without)
{
    check_eq(ouro_now(), 0);
    begin_kernel();
    ouro_ns first = ouro_now(), second = ouro_now();
    check(first > 0);
    check(second >= first);
    end();
    check_eq(ouro_now(), 0);
}

Test(timer, one_that_was_cancelled_is_gone_at_once)
{
    ouro_future *f[100];
    begin_fake();
    for (int i = 0; i < 100; i++)
        f[i] = ouro_sleep(OURO_SEC((unsigned)i + 1));
    for (int i = 0; i < 100; i++) {
        check_eq(stats().live_timers, 100 - i);
        check_eq(ouro_cancel(f[i]), 1);
    }
    check_eq(stats().live_timers, 0);
    for (int i = 0; i < 100; i++)
        ouro_unref(f[i]);
    end();
}

Test(timer, the_loop_sleeps_exactly_to_the_next_deadline)
{
    struct fake *fake = begin_fake();
    ouro_ns start = fake->clock;
    ouro_detach(ouro_sleep(OURO_MS(30)));
    ouro_detach(ouro_sleep(OURO_MS(10)));
    check_eq(ouro_loop_timeout(ouro_loop_current()), OURO_MS(10));
    check_eq(ouro_loop_step(ouro_loop_current(), OURO_FOREVER), 1);
    check_eq(fake->clock - start, OURO_MS(10));
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(fake->clock - start, OURO_MS(30));
    end();
}
