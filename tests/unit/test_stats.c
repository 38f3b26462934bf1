/* SPDX-License-Identifier: MIT */
/*
 * The counters of a loop: what is ready, what has fired, how long steps took.
 */
#include "harness.h"

#include <errno.h>

#include "loop_int.h"

TestSuite(stats, .timeout = 30);

static void nothing(void *arg)
{
    (void)arg;
}

static void call(ouro_call_fn *fn, void *arg)
{
    check_eq(ouro_call_soon(fn, arg, NULL, NULL), 0);
}

static int64_t yield_thrice(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        ouro_yield();
    return 0;
}

static uint64_t all_times(void)
{
    ouro_loop_stats s = stats();
    uint64_t n = 0;
    for (int i = 0; i < OURO_STEP_TIMES; i++)
        n += s.step_times[i];
    return n;
}

static struct fake *begin_measured(void)
{
    return begin_fake_with(64, &(ouro_loop_options){.debug = -1, .step_times = 1});
}

Test(stats, ready_is_what_the_next_turn_will_run)
{
    begin_fake();
    check_eq(stats().ready, 0);
    call(nothing, NULL);
    call(nothing, NULL);
    check_eq(stats().ready, 2);
    turn();
    check_eq(stats().ready, 0);
    end();
}

Test(stats, timers_fired_are_those_whose_deadline_passed)
{
    struct fake *fake = begin_fake();
    ouro_future *kept = ouro_sleep(OURO_SEC(1)), *cancelled = ouro_sleep(OURO_SEC(1));
    ouro_cancel(cancelled);
    fake_advance(fake, OURO_SEC(1));
    turn();
    check_eq(stats().timers_fired, 1);
    ouro_unref(kept);
    ouro_unref(cancelled);
    end();
}

static void take_time(void *arg)
{
    fake_advance(the_fake(), *(ouro_ns *)arg);
}

/* The histogram's class of each, by hand. */
static const struct {
    ouro_ns took;
    int class;
} times[] = {
    {0, 0},
    {999, 0},
    {OURO_US(1), 1},
    {1999, 1},
    {OURO_US(2), 2},
    {OURO_US(1000), 10},
    {OURO_US(1 << 19) - 1, 19},
    {OURO_US(1 << 20) - 1, 20},
    {OURO_US(1 << 20), 21},
    {OURO_SEC(1000), 21},
};

Test(stats, a_step_is_in_the_class_of_the_time_it_took)
{
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        begin_measured();
        ouro_ns took = times[i].took;
        call(take_time, &took);
        turn();
        check_eq(stats().steps, 1);
        check_eq(stats().step_longest, took);
        check_eq(stats().step_times[times[i].class], 1);
        check_eq(all_times(), 1);
        end();
    }
}

Test(stats, each_step_of_a_task_is_one)
{
    begin_measured();
    ouro_future *fs[] = {ouro_spawn(yield_thrice, NULL), ouro_spawn(yield_thrice, NULL)};
    for (int i = 0; i < 2; i++)
        check_eq(ouro_loop_run_until(ouro_loop_current(), fs[i]), 0);
    check_eq(stats().steps, 8);
    check_eq(all_times(), 8);
    end();
}

Test(stats, the_peak_is_the_most_that_one_turn_ran)
{
    begin_measured();
    for (int i = 0; i < 5; i++)
        call(nothing, NULL);
    turn();
    call(nothing, NULL);
    turn();
    check_eq(stats().ready_peak, 5);
    end();
}

Test(stats, steps_are_measured_in_debug_mode)
{
    begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    call(nothing, NULL);
    turn();
    check_eq(stats().steps, 1);
    end();
}

Test(stats, otherwise_steps_are_not_measured)
{
    begin_fake_with(64, &(ouro_loop_options){.debug = -1});
    check_eq(run_main(yield_thrice, NULL), 0);
    check_eq(stats().steps, 0);
    check_eq(stats().ready_peak, 0);
    check_eq(stats().step_longest, 0);
    check_eq(all_times(), 0);
    end();
}

static uint64_t clock_reads;
static uint64_t (*true_now)(struct ouro__driver *d);

static uint64_t counting_now(struct ouro__driver *d)
{
    clock_reads++;
    return true_now(d);
}

Test(stats, and_cost_no_look_at_the_clock)
{
    struct fake *fake = begin_fake_with(64, &(ouro_loop_options){.debug = -1});
    struct ouro__driver_ops ops = *fake->driver.ops;
    true_now = ops.now;
    ops.now = counting_now;
    fake->driver.ops = &ops;
    check_eq(run_main(yield_thrice, NULL), 0);
    uint64_t plain = clock_reads;
    for (int i = 0; i < 100; i++)
        check_eq(run_main(yield_thrice, NULL), 0);
    check(clock_reads - plain < 100 * 4);
    end();
}
