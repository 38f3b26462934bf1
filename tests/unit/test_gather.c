/* SPDX-License-Identifier: MIT */
/*
 * Waiting for several at once: the three modes, who is cancelled when, and whose the results are.
 */
#include "harness.h"

#include <errno.h>

TestSuite(gather, .timeout = 60);

/* A child: sleeps, then returns. With stubborn it takes no notice of being cancelled, but in
 * time. */
struct child {
    ouro_ns delay;
    int64_t rc;
    int stubborn;
    int ended;
};

static int64_t be_child(void *arg)
{
    struct child *c = arg;
    int64_t rc = ouro_await(ouro_sleep(c->delay));
    if (rc < 0 && c->stubborn) {
        ouro_scope scope;
        check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
        check_eq(ouro_await(ouro_sleep(OURO_SEC(1))), 0);
        rc = ouro_scope_exit(&scope, 0);
    }
    c->ended++;
    return rc < 0 ? rc : c->rc;
}

static void spawn_all(struct child *c, ouro_future **f, size_t n)
{
    for (size_t i = 0; i < n; i++)
        f[i] = ouro_spawn(be_child, &c[i]);
}

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static int64_t return_object(void *arg)
{
    return ouro_task_return(arg, count_free);
}

static const ouro_gather_mode all_modes[] = {OURO_GATHER_ALL, OURO_GATHER_COLLECT,
                                             OURO_GATHER_FIRST_ERROR};

/* ---- Success --------------------------------------------------------------------------------- */

FakeTest(gather, takes_as_long_as_the_longest_not_the_sum)
{
    struct child c[3] = {{.delay = OURO_SEC(2)}, {.delay = OURO_SEC(2)}, {.delay = OURO_SEC(2)}};
    ouro_future *f[3];
    ouro_ns start = ouro_now();
    spawn_all(c, f, 3);
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_ALL, NULL)), 0);
    check_eq(ouro_now() - start, OURO_SEC(2));
    return 0;
}

TaskTest(gather, results_are_in_the_order_of_the_arguments)
{
    for (size_t m = 0; m < 3; m++) {
        struct child c[3] = {{.delay = OURO_MS(3), .rc = 30},
                             {.delay = OURO_MS(1), .rc = 10},
                             {.delay = OURO_MS(2), .rc = 20}};
        ouro_future *f[3];
        ouro_result r[3];
        spawn_all(c, f, 3);
        check_eq(ouro_await(ouro_gather(f, 3, all_modes[m], r)), 0);
        check_eq(r[0].n, 30);
        check_eq(r[1].n, 10);
        check_eq(r[2].n, 20);
    }
    return 0;
}

Test(gather, of_nothing_is_success_at_once)
{
    begin_fake();
    for (size_t m = 0; m < 3; m++) {
        ouro_future *g = ouro_gather(NULL, 0, all_modes[m], NULL);
        check_eq(ouro_future_state(g), OURO_VALUE);
        check_eq(ouro_future_result(g).n, 0);
        ouro_unref(g);
    }
    end();
}

TaskTest(gather, the_same_future_twice_is_waited_for_once_and_has_two_results)
{
    for (size_t m = 0; m < 3; m++) {
        struct child c = {.delay = OURO_MS(1), .rc = 4};
        ouro_future *task = ouro_spawn(be_child, &c);
        ouro_future *f[3] = {task, ouro_ready(1), task};
        ouro_result r[3];
        check_eq(ouro_await(ouro_gather(f, 3, all_modes[m], r)), 0);
        check_eq(r[0].n, 4);
        check_eq(r[1].n, 1);
        check_eq(r[2].n, 4);
        check_eq(c.ended, 1);
    }
    return 0;
}

TaskTest(gather, of_what_has_settled_already)
{
    ouro_future *f[2] = {ouro_ready(1), ouro_ready(2)};
    ouro_result r[2];
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, r)), 0);
    check_eq(r[0].n, 1);
    check_eq(r[1].n, 2);
    return 0;
}

TaskTest(gather, the_array_is_free_again_when_the_call_returns)
{
    ouro_future *f[2] = {ouro_sleep(OURO_MS(1)), ouro_sleep(OURO_MS(1))};
    ouro_future *g = ouro_gather(f, 2, OURO_GATHER_ALL, NULL);
    f[0] = f[1] = NULL;
    check_eq(ouro_await(g), 0);
    return 0;
}

TaskTest(gather, of_a_thousand)
{
    static struct child c[1000];
    static ouro_future *f[1000];
    static ouro_result r[1000];
    for (int i = 0; i < 1000; i++)
        c[i] = (struct child){.delay = OURO_US((i * 7919) % 1000), .rc = i};
    spawn_all(c, f, 1000);
    check_eq(ouro_await(ouro_gather(f, 1000, OURO_GATHER_ALL, r)), 0);
    for (int i = 0; i < 1000; i++)
        check_eq(r[i].n, i);
    return 0;
}

TaskTest(gather, can_be_nested)
{
    ouro_result inner[2], outer[2];
    ouro_future *f[2] = {ouro_ready(1), ouro_ready(2)};
    ouro_future *g[2] = {ouro_gather(f, 2, OURO_GATHER_ALL, inner), ouro_sleep(OURO_MS(1))};
    check_eq(ouro_await(ouro_gather(g, 2, OURO_GATHER_ALL, outer)), 0);
    check_eq(inner[1].n, 2);
    check_eq(outer[0].n, 0);
    return 0;
}

/* ---- ALL ------------------------------------------------------------------------------------- */

FakeTest(gather, all_cancels_the_rest_at_the_first_error_and_waits_for_it)
{
    struct child c[3] = {{.delay = OURO_SEC(50), .rc = 1},
                         {.delay = OURO_SEC(2), .rc = -EIO},
                         {.delay = OURO_SEC(50), .rc = 3, .stubborn = 1}};
    ouro_future *f[3];
    ouro_result r[3];
    ouro_ns start = ouro_now();
    spawn_all(c, f, 3);
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_ALL, r)), -EIO);
    check_eq(ouro_now() - start, OURO_SEC(3)); /* the stubborn one takes a second longer */
    for (int i = 0; i < 3; i++)
        check_eq(c[i].ended, 1);
    check_eq(r[0].n, -ECANCELED);
    check_eq(r[1].n, -EIO);
    check_eq(r[2].n, 3);
    return 0;
}

FakeTest(gather, all_returns_the_first_error_in_order_of_completion)
{
    struct child c[2] = {{.delay = OURO_SEC(2), .rc = -EIO}, {.delay = OURO_SEC(1), .rc = -ENOENT}};
    ouro_future *f[2];
    spawn_all(c, f, 2);
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, NULL)), -ENOENT);
    return 0;
}

static int64_t fail_when_cancelled(void *arg)
{
    (void)arg;
    check_eq(ouro_await(ouro_sleep(OURO_SEC(100))), -ECANCELED);
    return -EIO;
}

TaskTest(gather, all_prefers_a_real_error_to_a_cancelled_child)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_spawn(fail_when_cancelled, NULL)};
    ouro_future *sleep = ouro_ref(f[0]);
    ouro_future *g = ouro_gather(f, 2, OURO_GATHER_ALL, NULL);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(sleep), 1);
    ouro_unref(sleep);
    check_eq(ouro_await(g), -EIO);
    return 0;
}

/* ---- COLLECT --------------------------------------------------------------------------------- */

FakeTest(gather, collect_takes_errors_for_results_and_cancels_nobody)
{
    struct child c[3] = {{.delay = OURO_SEC(1), .rc = -EIO},
                         {.delay = OURO_SEC(5), .rc = 5},
                         {.delay = OURO_SEC(3), .rc = -ENOENT}};
    ouro_future *f[3];
    ouro_result r[3];
    ouro_ns start = ouro_now();
    spawn_all(c, f, 3);
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_COLLECT, r)), 0);
    check_eq(ouro_now() - start, OURO_SEC(5));
    check_eq(r[0].n, -EIO);
    check_eq(r[1].n, 5);
    check_eq(r[2].n, -ENOENT);
    return 0;
}

/* ---- FIRST_ERROR ----------------------------------------------------------------------------- */

FakeTest(gather, first_error_settles_at_once_and_the_rest_runs_on)
{
    static struct child c[3];
    c[0] = (struct child){.delay = OURO_SEC(5), .rc = 1};
    c[1] = (struct child){.delay = OURO_SEC(1), .rc = -EIO};
    c[2] = (struct child){.delay = OURO_MS(500), .rc = 2};
    ouro_future *f[3];
    ouro_result r[3];
    ouro_ns start = ouro_now();
    spawn_all(c, f, 3);
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_FIRST_ERROR, r)), -EIO);
    check_eq(ouro_now() - start, OURO_SEC(1));
    check_eq(r[0].n, -EAGAIN);
    check_eq(r[1].n, -EIO);
    check_eq(r[2].n, 2);
    check_eq(c[0].ended, 0);
    check_eq(ouro_await(ouro_sleep(OURO_SEC(10))), 0);
    check_eq(c[0].ended, 1);
    return 0;
}

FakeTest(gather, first_error_counts_later_errors_as_read)
{
    static struct child c[2];
    c[0] = (struct child){.delay = OURO_SEC(1), .rc = -EIO};
    c[1] = (struct child){.delay = OURO_SEC(2), .rc = -ENOENT};
    ouro_future *f[2];
    spawn_all(c, f, 2);
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_FIRST_ERROR, NULL)), -EIO);
    check_eq(ouro_await(ouro_sleep(OURO_SEC(5))), 0);
    check_eq(c[1].ended, 1); /* and end() sees to it that there was no report */
    return 0;
}

/* ---- A child cancelled by somebody else ------------------------------------------------------ */

TaskTest(gather, a_child_cancelled_by_somebody_else_is_a_failure_but_not_my_cancel)
{
    ouro_gather_mode modes[2] = {OURO_GATHER_ALL, OURO_GATHER_FIRST_ERROR};
    for (int i = 0; i < 2; i++) {
        ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_sleep(OURO_SEC(100))};
        ouro_future *first = ouro_ref(f[0]), *second = ouro_ref(f[1]);
        ouro_result r[2];
        ouro_future *g = ouro_gather(f, 2, modes[i], r);
        check_eq(ouro_cancel(first), 1);
        check_eq(ouro_await(g), -OURO_ECHILDCANCELLED);
        check_eq(r[0].n, -OURO_ECHILDCANCELLED);
        ouro_cancel(second);
        ouro_unref(first);
        ouro_unref(second);
        check_eq(ouro_yield(), 0);
    }
    return 0;
}

TaskTest(gather, collect_shows_a_child_cancelled_by_somebody_else_as_that)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_sleep(OURO_MS(1))};
    ouro_future *first = ouro_ref(f[0]);
    ouro_result r[2];
    ouro_future *g = ouro_gather(f, 2, OURO_GATHER_COLLECT, r);
    check_eq(ouro_cancel(first), 1);
    ouro_unref(first);
    check_eq(ouro_await(g), 0);
    check_eq(r[0].n, -OURO_ECHILDCANCELLED);
    check_eq(r[1].n, 0);
    return 0;
}

/* ---- Cancelling the gather ------------------------------------------------------------------- */

FakeTest(gather, cancelled_it_cancels_all_waits_for_all_and_is_cancelled_in_every_mode)
{
    for (size_t m = 0; m < 3; m++) {
        struct child c[3] = {{.delay = OURO_MS(1), .rc = 1},
                             {.delay = OURO_SEC(50), .rc = 2},
                             {.delay = OURO_SEC(50), .rc = 3, .stubborn = 1}};
        ouro_future *f[3];
        ouro_result r[3];
        spawn_all(c, f, 3);
        ouro_future *g = ouro_gather(f, 3, all_modes[m], r);
        check_eq(ouro_await(ouro_sleep(OURO_SEC(1))), 0);
        ouro_ns start = ouro_now();
        check_eq(ouro_cancel(g), 1);
        check_eq(ouro_cancel(g), 0);
        check_eq(ouro_join(g), -OURO_ECHILDCANCELLED);
        check_eq(ouro_future_state(g), OURO_CANCELLED);
        check_eq(ouro_now() - start, OURO_SEC(1));
        for (int i = 0; i < 3; i++)
            check_eq(c[i].ended, 1);
        check_eq(r[0].n, 1);
        check_eq(r[1].n, -ECANCELED);
        check_eq(r[2].n, 3);
        ouro_unref(g);
    }
    return 0;
}

FakeTest(gather, cancelled_it_is_cancelled_although_every_child_swallowed_it)
{
    for (size_t m = 0; m < 3; m++) {
        struct child c[2] = {{.delay = OURO_SEC(50), .rc = 2, .stubborn = 1},
                             {.delay = OURO_SEC(50), .rc = 3, .stubborn = 1}};
        ouro_future *f[2];
        spawn_all(c, f, 2);
        ouro_future *kept = ouro_ref(f[0]);
        ouro_future *g = ouro_gather(f, 2, all_modes[m], NULL);
        check_eq(ouro_await(ouro_sleep(OURO_SEC(1))), 0);
        check_eq(ouro_cancel(g), 1);
        check_eq(ouro_join(g), -OURO_ECHILDCANCELLED);
        check_eq(ouro_future_state(g), OURO_CANCELLED);
        check_eq(ouro_future_result(kept).n, 2); /* no value is lost */
        ouro_unref(kept);
        ouro_unref(g);
    }
    return 0;
}

static int64_t gather_two_sleeps(void *arg)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_sleep(OURO_SEC(100))};
    return ouro_await(ouro_gather(f, 2, *(ouro_gather_mode *)arg, NULL));
}

TaskTest(gather, a_cancelled_waiter_cancels_it_and_gets_ecanceled)
{
    for (size_t m = 0; m < 3; m++) {
        ouro_gather_mode mode = all_modes[m];
        ouro_future *task = ouro_spawn(gather_two_sleeps, &mode);
        check_eq(ouro_yield(), 0);
        check_eq(ouro_yield(), 0);
        check_eq(ouro_cancel(task), 1);
        check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
        check_eq(ouro_future_state(task), OURO_CANCELLED);
        check_eq(stats().live_timers, 0);
        ouro_unref(task);
    }
    return 0;
}

TaskTest(gather, a_cancel_after_it_settled_changes_nothing)
{
    ouro_future *f[1] = {ouro_ready(1)};
    ouro_future *g = ouro_gather(f, 1, OURO_GATHER_ALL, NULL);
    check_eq(ouro_join(g), 0);
    check_eq(ouro_cancel(g), 0);
    check_eq(ouro_await(g), 0);
    return 0;
}

/* ---- Objects --------------------------------------------------------------------------------- */

TaskTest(gather, after_success_the_objects_are_the_callers)
{
    int freed[2] = {0, 0};
    ouro_result r[2];
    ouro_future *f[2] = {ouro_spawn(return_object, &freed[0]),
                         ouro_spawn(return_object, &freed[1])};
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, r)), 0);
    check_eq(ouro_yield(), 0);
    for (int i = 0; i < 2; i++) {
        check(r[i].ptr == &freed[i]);
        check_eq(freed[i], 0);
    }
    return 0;
}

TaskTest(gather, after_an_error_the_objects_have_been_destroyed_and_n_still_tells)
{
    int freed = 0;
    ouro_result r[2];
    struct child c = {.delay = OURO_MS(1), .rc = -EIO};
    ouro_future *f[2] = {ouro_spawn(return_object, &freed), ouro_spawn(be_child, &c)};
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, r)), -EIO);
    check(r[0].ptr == NULL);
    check_eq(r[0].n, 0);
    check_eq(r[1].n, -EIO);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 1);
    return 0;
}

TaskTest(gather, without_results_the_objects_are_destroyed)
{
    int freed[2] = {0, 0};
    ouro_future *f[2] = {ouro_spawn(return_object, &freed[0]),
                         ouro_spawn(return_object, &freed[1])};
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, NULL)), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed[0], 1);
    check_eq(freed[1], 1);
    return 0;
}

/* ---- Bad arguments --------------------------------------------------------------------------- */

TaskTest(gather, null_among_the_futures_is_einval_and_the_others_have_settled)
{
    ouro_future *f[3] = {ouro_sleep(OURO_SEC(100)), NULL, ouro_sleep(OURO_SEC(100))};
    ouro_future *first = ouro_ref(f[0]), *last = ouro_ref(f[2]);
    ouro_future *g = ouro_gather(f, 3, OURO_GATHER_ALL, NULL);
    check_eq(ouro_future_state(first), OURO_CANCELLED);
    check_eq(ouro_future_state(last), OURO_CANCELLED);
    check_eq(ouro_await(g), -EINVAL);
    ouro_unref(first);
    ouro_unref(last);
    return 0;
}

TaskTest(gather, no_array_or_an_unknown_mode_is_einval)
{
    check_eq(ouro_await(ouro_gather(NULL, 2, OURO_GATHER_ALL, NULL)), -EINVAL);
    ouro_future *f[1] = {ouro_ready(1)};
    check_eq(ouro_await(ouro_gather(f, 1, (ouro_gather_mode)99, NULL)), -EINVAL);
    return 0;
}
