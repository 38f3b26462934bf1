/* SPDX-License-Identifier: MIT */
/*
 * Coroutine tasks: when they start, what they wait for, whose turn it is, and what they run on.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

TestSuite(task, .timeout = 60);

static int runs;

static int64_t count_run(void *arg)
{
    runs++;
    return (int64_t)(intptr_t)arg;
}

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static void see_done(ouro_future *f, void *arg)
{
    (void)f;
    ++*(int *)arg;
}

/* ---- Starting -------------------------------------------------------------------------------- */

TaskTest(task, runs_in_the_next_turn_not_inside_spawn)
{
    runs = 0;
    ouro_future *task = ouro_spawn(count_run, (void *)(intptr_t)12);
    check_eq(runs, 0);
    check_eq(ouro_future_state(task), OURO_PENDING);
    check_eq(ouro_await(task), 12);
    check_eq(runs, 1);
    return 0;
}

TaskTest(task, its_return_is_its_result)
{
    check_eq(ouro_await(ouro_spawn(count_run, (void *)(intptr_t)0)), 0);
    check_eq(ouro_await(ouro_spawn(count_run, (void *)(intptr_t)99)), 99);
    check_eq(ouro_await(ouro_spawn(count_run, (void *)(intptr_t)-EIO)), -EIO);
    return 0;
}

TaskTest(task, cancelled_before_it_started_never_runs_and_frees_its_argument_once)
{
    int freed = 0;
    runs = 0;
    ouro_future *task = ouro_spawn_with(count_run, &freed,
                                        &(ouro_spawn_options){.arg_free = count_free});
    check_eq(ouro_cancel(task), 1);
    check_eq(freed, 0);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    ouro_unref(task);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(runs, 0);
    check_eq(freed, 1);
    return 0;
}

static int64_t look_at_freed(void *arg)
{
    check_eq(*(int *)arg, 0);
    check_eq(ouro_yield(), 0);
    check_eq(*(int *)arg, 0);
    return 0;
}

TaskTest(task, its_argument_is_freed_once_after_the_body_returned)
{
    int freed = 0;
    ouro_future *task = ouro_spawn_with(look_at_freed, &freed,
                                        &(ouro_spawn_options){.arg_free = count_free});
    check_eq(ouro_await(task), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 1);
    return 0;
}

TaskTest(task, a_spawn_that_fails_frees_the_argument_before_it_returns)
{
    int freed = 0;
    ouro_spawn_options absurd = {.stack_size = (size_t)1 << 40, .arg_free = count_free};
    ouro_future *task = ouro_spawn_with(count_run, &freed, &absurd);
    check_eq(freed, 1);
    check_eq(ouro_await(task), -EINVAL);
    check_eq(freed, 1);
    return 0;
}

static int64_t end_later(void *arg)
{
    check_eq(ouro_await(ouro_sleep(OURO_MS(2))), 0);
    ++*(int *)arg;
    return 0;
}

TaskTest(task, one_that_nobody_holds_runs_to_its_end)
{
    int ended = 0;
    ouro_detach(ouro_spawn(end_later, &ended));
    check_eq(ouro_await(ouro_sleep(OURO_MS(4))), 0);
    check_eq(ended, 1);
    return 0;
}

/* ---- Eager ----------------------------------------------------------------------------------- */

static int64_t two_steps(void *arg)
{
    int *step = arg;
    *step = 1;
    check_eq(ouro_yield(), 0);
    *step = 2;
    return 3;
}

TaskTest(task, an_eager_one_runs_to_its_first_wait_before_spawn_returns)
{
    int step = 0;
    ouro_future *me = ouro_task_current();
    ouro_future *task = ouro_spawn_with(two_steps, &step, &(ouro_spawn_options){.eager = 1});
    check_eq(step, 1);
    check(ouro_task_current() == me);
    check_eq(ouro_future_state(task), OURO_PENDING);
    check_eq(ouro_await(task), 3);
    check_eq(step, 2);
    return 0;
}

TaskTest(task, an_eager_one_that_never_waits_has_settled_but_its_callbacks_are_deferred)
{
    int called = 0;
    runs = 0;
    ouro_future *task = ouro_spawn_with(count_run, (void *)(intptr_t)6,
                                        &(ouro_spawn_options){.eager = 1});
    check_eq(runs, 1);
    check_eq(ouro_future_state(task), OURO_VALUE);
    check_eq(ouro_on_done(task, see_done, &called), 0);
    check_eq(called, 0);
    check_eq(ouro_yield(), 0);
    check_eq(called, 1);
    check_eq(ouro_await(task), 6);
    return 0;
}

static int64_t current_is_me(void *arg)
{
    ouro_future **seen = arg;
    seen[0] = ouro_task_current();
    check_eq(ouro_yield(), 0);
    seen[1] = ouro_task_current();
    return 0;
}

TaskTest(task, current_is_the_task_that_runs)
{
    ouro_future *seen[2] = {NULL, NULL};
    ouro_future *me = ouro_task_current();
    check(me != NULL);
    ouro_future *task = ouro_spawn_with(current_is_me, seen, &(ouro_spawn_options){.eager = 1});
    check(ouro_task_current() == me);
    check(seen[0] == task);
    check_eq(ouro_join(task), 0);
    check(seen[1] == task);
    check(ouro_task_current() == me);
    ouro_unref(task);
    return 0;
}

static void no_current(void *arg)
{
    check(ouro_task_current() == NULL);
    ++*(int *)arg;
}

Test(task, there_is_no_current_one_in_callbacks_and_outside_the_loop)
{
    int called = 0;
    check(ouro_task_current() == NULL);
    begin_fake();
    check(ouro_task_current() == NULL);
    check_eq(ouro_call_soon(no_current, &called, NULL, NULL), 0);
    turns(2);
    check_eq(called, 1);
    end();
}

/* ---- Taking turns ---------------------------------------------------------------------------- */

struct counter {
    int steps;
    int stop;
};

static int64_t count_steps(void *arg)
{
    struct counter *c = arg;
    while (!c->stop) {
        c->steps++;
        check_eq(ouro_yield(), 0);
    }
    return c->steps;
}

TaskTest(task, yield_lets_every_other_ready_task_run_once)
{
    struct counter c[3] = {{0}};
    ouro_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = ouro_spawn(count_steps, &c[i]);
    for (int round = 1; round <= 5; round++) {
        check_eq(ouro_yield(), 0);
        for (int i = 0; i < 3; i++)
            check_eq(c[i].steps, round);
    }
    for (int i = 0; i < 3; i++)
        c[i].stop = 1;
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_ALL, NULL)), 0);
    return 0;
}

TaskTest(task, awaiting_what_has_settled_does_not_suspend)
{
    struct counter c = {0};
    ouro_future *other = ouro_spawn(count_steps, &c);
    check_eq(ouro_yield(), 0);
    int before = c.steps;
    for (int i = 0; i < 100; i++)
        check_eq(ouro_await(ouro_ready(i)), i);
    check_eq(c.steps, before);
    c.stop = 1;
    check(ouro_await(other) > 0);
    return 0;
}

TaskTest(task, after_128_waits_in_a_row_that_did_not_suspend_others_run_once)
{
    struct counter c = {0};
    ouro_future *other = ouro_spawn(count_steps, &c);
    check_eq(ouro_yield(), 0);
    int before = c.steps;
    for (int i = 0; i < 126; i++)
        check_eq(ouro_await(ouro_ready(i)), i);
    check_eq(c.steps, before);
    for (int i = 0; i < 4; i++)
        check_eq(ouro_await(ouro_ready(i)), i);
    check_eq(c.steps, before + 1);
    for (int i = 0; i < 1280; i++)
        check_eq(ouro_await(ouro_ready(i)), i);
    check(c.steps >= before + 10);
    c.stop = 1;
    check(ouro_await(other) > 0);
    return 0;
}

static int64_t await_for_ever(void *arg)
{
    const int *stop = arg;
    while (!*stop)
        check_eq(ouro_await(ouro_ready(1)), 1);
    return 0;
}

TaskTest(task, one_that_only_awaits_what_is_there_cannot_stop_timers)
{
    int stop = 0;
    ouro_future *greedy = ouro_spawn(await_for_ever, &stop);
    if (the_fake()) { /* the clock stands still while anybody is ready */
        check_eq(ouro_yield(), 0);
        fake_advance(the_fake(), OURO_MS(5));
    }
    check_eq(ouro_await(ouro_sleep(the_fake() ? 0 : OURO_MS(1))), 0);
    stop = 1;
    check_eq(ouro_await(greedy), 0);
    return 0;
}

TaskTest(task, twenty_thousand_sleep_and_wake)
{
    enum { N = 20000 };
    static ouro_future *f[N];
    static int ended;
    ended = 0;
    for (int i = 0; i < N; i++)
        f[i] = ouro_spawn_with(end_later, &ended, &(ouro_spawn_options){.stack_size = 16384});
    check_eq(ouro_await(ouro_gather(f, N, OURO_GATHER_ALL, NULL)), 0);
    check_eq(ended, N);
    check_eq(stats().live_stacks, 1);
    return 0;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static int64_t join_it(void *arg)
{
    return ouro_join(arg);
}

TaskTest(task, many_can_join_one_future_and_leave_it_alive)
{
    ouro_future *f[10];
    ouro_future *shared = ouro_sleep(OURO_MS(1));
    for (int i = 0; i < 10; i++)
        f[i] = ouro_spawn(join_it, shared);
    check_eq(ouro_await(ouro_gather(f, 10, OURO_GATHER_ALL, NULL)), 0);
    check_eq(ouro_future_state(shared), OURO_VALUE);
    check_eq(ouro_await(shared), 0);
    return 0;
}

static int64_t return_object(void *arg)
{
    return ouro_task_return(arg, count_free);
}

TaskTest(task, await_ptr_hands_the_object_out_and_await_destroys_it)
{
    int freed = 0;
    int64_t n = -1;
    check(ouro_await_ptr(ouro_spawn(return_object, &freed), &n) == &freed);
    check_eq(n, 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 0);
    check(ouro_await_ptr(ouro_spawn(return_object, &freed), NULL) == &freed);
    check_eq(ouro_await(ouro_spawn(return_object, &freed)), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 1);
    return 0;
}

TaskTest(task, join_leaves_the_object_where_it_is)
{
    int freed = 0;
    ouro_future *task = ouro_spawn(return_object, &freed);
    check_eq(ouro_join(task), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 0);
    check(ouro_await_ptr(task, NULL) == &freed);
    return 0;
}

TaskTest(task, await_of_what_was_taken_says_ealready)
{
    ouro_future *f = ouro_ready(4);
    check_eq(ouro_future_take(f).n, 4);
    check_eq(ouro_await(f), -EALREADY);
    return 0;
}

/* ---- Returning objects ----------------------------------------------------------------------- */

static int64_t return_object_and_error(void *arg)
{
    check_eq(ouro_task_return(arg, count_free), 0);
    return -EIO;
}

TaskTest(task, an_error_return_destroys_the_object)
{
    int freed = 0;
    int64_t n = 0;
    check(ouro_await_ptr(ouro_spawn(return_object_and_error, &freed), &n) == NULL);
    check_eq(n, -EIO);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 1);
    return 0;
}

static int64_t return_two_objects(void *arg)
{
    int *freed = arg;
    check_eq(ouro_task_return(&freed[0], count_free), 0);
    return ouro_task_return(&freed[1], count_free);
}

TaskTest(task, a_second_object_destroys_the_first)
{
    int freed[2] = {0, 0};
    check(ouro_await_ptr(ouro_spawn(return_two_objects, freed), NULL) == &freed[1]);
    check_eq(ouro_yield(), 0);
    check_eq(freed[0], 1);
    check_eq(freed[1], 0);
    return 0;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static int64_t check_my_name(void *arg)
{
    check_text(ouro_task_name(NULL), arg);
    return 0;
}

TaskTest(task, has_the_name_it_was_given_or_task)
{
    static char given[] = "worker 7", standard[] = "task";
    ouro_future *named = ouro_spawn_with(check_my_name, given,
                                         &(ouro_spawn_options){.name = given});
    check_text(ouro_task_name(named), given);
    check_eq(ouro_await(named), 0);
    check_eq(ouro_await(ouro_spawn(check_my_name, standard)), 0);
    ouro_future *sleep = ouro_ready(0);
    check(ouro_task_name(sleep) == NULL);
    ouro_unref(sleep);
    return 0;
}

/* ---- Stacks ---------------------------------------------------------------------------------- */

static int64_t use_stack(void *arg)
{
    volatile char room[700 * 1024];
    size_t size = *(size_t *)arg;
    for (size_t i = 0; i < size; i += 1024)
        room[i] = (char)i;
    check_eq(ouro_yield(), 0);
    for (size_t i = 0; i < size; i += 1024)
        check_eq(room[i], (char)i);
    return 0;
}

TaskTest(task, has_the_stack_it_asked_for)
{
    size_t size = 700 * 1024;
    ouro_spawn_options opts = {.stack_size = 1000 * 1024}; /* rounded up to 1 MiB */
    ouro_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = ouro_spawn_with(use_stack, &size, &opts);
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_ALL, NULL)), 0);
    return 0;
}

TaskTest(task, stacks_too_small_are_rounded_up_and_absurd_ones_are_einval)
{
    runs = 0;
    check_eq(ouro_await(ouro_spawn_with(count_run, NULL, &(ouro_spawn_options){.stack_size = 1})),
             0);
    check_eq(runs, 1);
    size_t absurd[] = {SIZE_MAX, SIZE_MAX / 2 + 2, ((size_t)1 << 30) + 1};
    for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
        ouro_spawn_options opts = {.stack_size = absurd[i]};
        check_eq(ouro_await(ouro_spawn_with(count_run, NULL, &opts)), -EINVAL);
    }
    check_eq(runs, 1);
    return 0;
}

static int64_t mixed_arithmetic(void *arg)
{
    int64_t seed = (int64_t)(intptr_t)arg;
    double real = (double)seed;
    int64_t a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, f = seed * 13;
    for (int i = 0; i < 50; i++) {
        a += b, b += c, c += d, d += e, e += f, f += i;
        real = real * 1.5 + 1;
        check_eq(ouro_yield(), 0);
        real /= 1.5;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ (int64_t)real;
}

TaskTest(task, a_switch_keeps_integers_and_reals)
{
    int64_t alone = ouro_await(ouro_spawn(mixed_arithmetic, (void *)(intptr_t)3));
    ouro_future *f[8];
    ouro_result r[8];
    for (int i = 0; i < 8; i++)
        f[i] = ouro_spawn(mixed_arithmetic, (void *)(intptr_t)(i + 1));
    check_eq(ouro_await(ouro_gather(f, 8, OURO_GATHER_COLLECT, r)), 0);
    check_eq(r[2].n, alone);
    return 0;
}

static int64_t spawn_down(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return 0;
    return 1 + ouro_await(ouro_spawn(spawn_down, (void *)(depth - 1)));
}

TaskTest(task, tasks_can_wait_for_tasks_a_thousand_deep)
{
    check_eq(ouro_await(ouro_spawn(spawn_down, (void *)(intptr_t)1000)), 1000);
    return 0;
}

static volatile char sink;

static int recurse(int depth) /* not a leaf, not a loop, whatever the optimiser thinks */
{
    volatile char room[512];
    room[depth % 512] = (char)depth;
    sink = room[(depth * 7) % 512];
    return depth > 0 ? recurse(depth + 1) + room[depth % 512] : 0;
}

static int64_t overflow(void *arg)
{
    (void)arg;
    return recurse(1);
}

static int64_t spawn_overflow(void *arg)
{
    (void)arg;
    return ouro_await(ouro_spawn_with(overflow, NULL, &(ouro_spawn_options){.name = "bottomless"}));
}

static int run_overflow(void)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    return (int)ouro_run(spawn_overflow, NULL, NULL);
}

static int run_overflow_in_debug_mode(void)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    return (int)ouro_run(spawn_overflow, NULL, &(ouro_run_options){.loop = {.debug = 1}});
}

static void check_died_of_it(int status)
{
    if (HARNESS_ASAN)
        check(!(WIFEXITED(status) && WEXITSTATUS(status) == 0));
    else
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

Test(task, stack_overflow_hits_the_guard)
{
    char text[4096];
    check_died_of_it(in_child(run_overflow, text, sizeof text));
}

Test(task, stack_overflow_in_debug_mode_names_the_task)
{
    char text[16384];
    check_died_of_it(in_child(run_overflow_in_debug_mode, text, sizeof text));
    if (!HARNESS_ASAN)
        check(strstr(text, "bottomless") != NULL);
}

/* ---- Debug mode ------------------------------------------------------------------------------ */

static int64_t join_each_other(void *arg)
{
    ouro_future **other = arg;
    check_eq(ouro_yield(), 0);
    int64_t rc = ouro_join(*other);
    check(rc == -EDEADLK || rc == 1); /* or what the other found */
    return rc == -EDEADLK;
}

Test(task, a_ring_of_waits_is_found_in_debug_mode)
{
    ouro_future *f[2];
    begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    f[0] = ouro_spawn(join_each_other, &f[1]);
    f[1] = ouro_spawn(join_each_other, &f[0]);
    turns(6);
    int64_t found = 0;
    for (int i = 0; i < 2; i++) {
        check_eq(ouro_future_state(f[i]), OURO_VALUE);
        found += ouro_future_result(f[i]).n;
        ouro_unref(f[i]);
    }
    check_eq(found, 1);
    check_eq(take_reports(OURO_REPORT_CYCLE), 1);
    end();
}

static int64_t hold_the_loop(void *arg)
{
    fake_advance(arg, OURO_MS(150));
    return 0;
}

Test(task, a_step_that_holds_the_loop_is_reported_in_debug_mode)
{
    struct fake *fake = begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    ouro_future *task = ouro_spawn_with(hold_the_loop, fake,
                                        &(ouro_spawn_options){.name = "glutton"});
    turns(2);
    const struct kept_report *r = first_report(OURO_REPORT_SLOW_STEP);
    check(r != NULL);
    check_text(r->name, "glutton");
    check(r->duration >= OURO_MS(150));
    check_eq(take_reports(OURO_REPORT_SLOW_STEP), 1);
    check_eq(ouro_future_result(task).n, 0);
    ouro_unref(task);
    end();
}

/* ---- The words of an error ------------------------------------------------------------------- */

static int64_t fail_with_words(void *arg)
{
    ouro_task_return(arg, die); /* replaced: destroyed at once */
    return ouro_task_fail(-EIO, "%s: cut short after %d bytes", "letter", 7);
}

TaskTest(task, an_error_can_have_words_which_follow_it)
{
    struct life life = {0};
    ouro_future *task = ouro_spawn(fail_with_words, &life);
    ouro_future *f = ouro_ref(ouro_timeout(task, OURO_SEC(1)));
    check_eq(ouro_await(f), -EIO);
    check_text(ouro_future_detail(f), "letter: cut short after 7 bytes");
    check_eq(ouro_future_result(f).n, -EIO);
    check(ouro_future_result(f).ptr == NULL);
    ouro_unref(f);
    check_eq(life.freed, 1);
    return 0;
}

static int64_t think_better_of_it(void *arg)
{
    ouro_task_fail(-EIO, "never seen");
    return arg ? ouro_task_return(arg, die) : 3;
}

TaskTest(task, words_of_an_error_that_was_not_returned_go)
{
    struct life life = {0};
    int64_t n;
    check(ouro_await_ptr(ouro_spawn(think_better_of_it, NULL), &n) == NULL);
    check_eq(n, 3);
    check(ouro_await_ptr(ouro_spawn(think_better_of_it, &life), &n) == &life);
    check_eq(n, 0);
    check_eq(life.freed, 0);
    return 0;
}

static int64_t fail_in_group(void *arg)
{
    (void)arg;
    ouro_group group;
    check_eq(ouro_group_enter(&group, NULL), 0);
    check_eq(ouro_group_spawn(&group, fail_with_words, arg), 0);
    check_eq(ouro_group_join(&group), -EIO);
    check_text(ouro_group_error_at(&group, 0)->detail, "letter: cut short after 7 bytes");
    return ouro_group_exit(&group, 0);
}

TaskTest(task, a_group_lists_the_words_of_an_error)
{
    struct life life = {0};
    check_eq(ouro_await(ouro_spawn(fail_in_group, &life)), -EIO);
    return 0;
}

Test(task, words_outside_a_task_are_lost_and_the_error_is_not)
{
    check_eq(ouro_task_fail(-EIO, "nobody"), -EIO);
    check_eq(ouro_task_fail(3, "no error"), 3);
    check_eq(ouro_task_fail(-EIO, NULL), -EIO);
}
