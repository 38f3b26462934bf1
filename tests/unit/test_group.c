/* SPDX-License-Identifier: MIT */
/*
 * Groups: no child outlives its group, whoever cancels what.
 */
#include "group_test.h"

#include <pthread.h>

TestSuite(group, .timeout = 60);

/* ---- Success --------------------------------------------------------------------------------- */

FakeTest(group, leaving_waits_for_all_children)
{
    struct child c[3] = {{.delay = OURO_SEC(2)}, {.delay = OURO_SEC(5)}, {.delay = OURO_SEC(1)}};
    ouro_group group;
    ouro_ns start = ouro_now();
    enter(&group);
    spawn_all(&group, c, 3);
    check_eq(ouro_group_live(&group), 3);
    check_eq(ouro_group_exit(&group, 7), 7);
    check_eq(ouro_now() - start, OURO_SEC(5));
    for (int i = 0; i < 3; i++)
        check_eq(c[i].ended, 1);
    return 0;
}

TaskTest(group, of_nobody_is_left_at_once)
{
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_live(&group), 0);
    check_eq(ouro_group_join(&group), 0);
    check_eq(ouro_group_exit(&group, 3), 3);
    return 0;
}

FakeTest(group, join_waits_for_all_and_leaves_the_group_open)
{
    struct child c[2] = {{.delay = OURO_SEC(1)}, {.delay = OURO_SEC(2)}};
    ouro_group group;
    enter(&group);
    spawn_all(&group, c, 1);
    check_eq(ouro_group_join(&group), 0);
    check_eq(c[0].ended, 1);
    spawn_all(&group, c + 1, 1);
    check_eq(ouro_group_join(&group), 0);
    check_eq(c[1].ended, 1);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

TaskTest(group, of_a_thousand)
{
    static struct child c[1000];
    ouro_group group;
    enter(&group);
    for (int i = 0; i < 1000; i++)
        c[i] = (struct child){.delay = OURO_US((i * 7919) % 1000)};
    spawn_all(&group, c, 1000);
    check_eq(ouro_group_exit(&group, 0), 0);
    for (int i = 0; i < 1000; i++)
        check_eq(c[i].ended, 1);
    return 0;
}

TaskTest(group, a_child_can_be_awaited_by_the_body)
{
    struct child c = {.delay = OURO_MS(1), .rc = 5};
    ouro_future *task;
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn_with(&group, be_child, &c, NULL, &task), 0);
    check_eq(ouro_await(task), 5);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

static int64_t spawn_more(void *arg)
{
    ouro_group *group = arg;
    static struct child c;
    c = (struct child){.delay = OURO_SEC(3)};
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_group_spawn(group, be_child, &c), 0); /* while the body waits to leave */
    return 0;
}

FakeTest(group, a_child_may_spawn_while_the_body_waits_to_leave)
{
    ouro_ns start = ouro_now();
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn(&group, spawn_more, &group), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_now() - start, OURO_SEC(4));
    return 0;
}

static int64_t spawn_tree(void *arg)
{
    ouro_group *outer = arg;
    struct child c[2] = {{.delay = OURO_SEC(1)}, {.delay = OURO_SEC(2)}};
    ouro_group group;
    enter(&group);
    spawn_all(&group, c, 2);
    if (outer)
        check_eq(ouro_group_spawn(outer, spawn_tree, NULL), 0);
    int64_t rc = ouro_group_exit(&group, 0);
    check_eq(c[0].ended + c[1].ended, 2);
    return rc;
}

TaskTest(group, can_be_nested_in_one_task_and_in_its_children)
{
    ouro_group outer, inner;
    enter(&outer);
    enter(&inner);
    struct child c[2] = {{.delay = OURO_MS(1)}, {.delay = OURO_MS(2)}};
    spawn_all(&inner, c, 1);
    spawn_all(&outer, c + 1, 1);
    check_eq(ouro_group_exit(&outer, 0), -EINVAL); /* not the innermost */
    check_eq(ouro_group_exit(&inner, 1), 1);
    check_eq(c[0].ended, 1);
    check_eq(ouro_group_exit(&outer, 2), 2);
    return 0;
}

FakeTest(group, of_groups)
{
    ouro_group group;
    enter(&group);
    for (int i = 0; i < 5; i++)
        check_eq(ouro_group_spawn(&group, spawn_tree, &group), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

/* ---- Cancelling by hand ---------------------------------------------------------------------- */

TaskTest(group, cancelled_by_hand_it_is_left_with_0)
{
    struct child c[2] = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100)}};
    ouro_group group;
    enter(&group);
    spawn_all(&group, c, 2);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_group_cancel(&group, "enough"), 1);
    check_eq(ouro_group_cancel(&group, "again"), 0);
    check_text(ouro_cancel_reason(), "enough");
    check_eq(ouro_group_spawn(&group, be_child, &c[0]), -ECANCELED);
    check_eq(ouro_group_try_spawn(&group, be_child, &c[0], NULL, NULL), -ECANCELED);
    int64_t rc = nap(OURO_SEC(100));
    check_eq(rc, -ECANCELED);
    check_eq(ouro_group_exit(&group, rc), 0);
    check_text(c[0].reason, "enough");
    check_eq(c[0].ended + c[1].ended, 2);
    check_eq(nap(OURO_MS(1)), 0); /* nothing is left of it */
    return 0;
}

TaskTest(group, cancelled_by_hand_it_keeps_what_its_body_came_to)
{
    struct child c = {.delay = OURO_SEC(100)};
    ouro_group group;
    enter(&group);
    spawn_all(&group, &c, 1);
    ouro_group_cancel(&group, NULL);
    check_eq(ouro_group_exit(&group, 4), 4);
    check_eq(c.started, 0); /* it had not begun */
    return 0;
}

static int64_t cancel_it(void *arg)
{
    check_eq(nap(OURO_MS(1)), 0);
    check_eq(ouro_group_cancel(arg, "found"), 1);
    return 0;
}

TaskTest(group, can_be_cancelled_by_a_child)
{
    struct child c = {.delay = OURO_SEC(100)};
    ouro_group group;
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(ouro_group_spawn(&group, cancel_it, &group), 0);
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    check_eq(ouro_group_exit(&group, -ECANCELED), 0);
    check_text(c.reason, "found");
    return 0;
}

TaskTest(group, a_cancelled_group_says_no_to_join)
{
    struct child c = {.delay = OURO_SEC(100)};
    ouro_group group;
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(ouro_yield(), 0);
    ouro_group_cancel(&group, NULL);
    check_eq(ouro_group_join(&group), -ECANCELED);
    check_eq(c.ended, 1);
    check_eq(ouro_group_exit(&group, -ECANCELED), 0);
    return 0;
}

FakeTest(group, a_child_cancelled_alone_is_no_failure_and_leaves_the_others)
{
    struct child c[2] = {{.delay = OURO_SEC(9)}, {.delay = OURO_SEC(2)}};
    ouro_future *task;
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn_with(&group, be_child, &c[0], NULL, &task), 0);
    spawn_all(&group, c + 1, 1);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(c[1].ended, 1);
    return 0;
}

/* ---- Cancelling from outside ----------------------------------------------------------------- */

/* A task with a group of two children, of which one may be stubborn. */
struct family {
    struct child c[2];
    int nap; /* the body sleeps before it leaves */
    int64_t rc;
    int64_t left_with;
    const char *reason;
};

static int64_t be_family(void *arg)
{
    struct family *f = arg;
    ouro_group group;
    enter(&group);
    spawn_all(&group, f->c, 2);
    int64_t rc = f->nap ? nap(OURO_SEC(100)) : 0;
    f->left_with = ouro_group_exit(&group, rc < 0 ? rc : f->rc);
    f->reason = ouro_cancel_reason();
    for (int i = 0; i < 2; i++)
        check_eq(f->c[i].started, f->c[i].ended);
    return f->left_with;
}

static void cancel_family(struct family *f)
{
    ouro_future *task = ouro_spawn(be_family, f);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_cancel(task), 1);
    ouro_join(task);
    check_text(f->reason, "cancelled");
    check_eq(f->c[0].ended + f->c[1].ended, 2);
    ouro_unref(task);
}

FakeTest(group, cancelling_its_task_cancels_body_and_children)
{
    struct family f = {.c = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100)}}, .nap = 1};
    ouro_ns start = ouro_now();
    cancel_family(&f);
    check_eq(f.left_with, -ECANCELED);
    check_text(f.c[0].reason, "cancelled");
    check_eq(ouro_now() - start, OURO_SEC(1));
    return 0;
}

FakeTest(group, a_cancel_while_it_waits_to_leave_reaches_the_children_and_is_waited_for)
{
    struct family f = {.c = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100), .stubborn = 1}},
                       .rc = 5};
    ouro_ns start = ouro_now();
    cancel_family(&f);
    check_eq(f.left_with, -ECANCELED);
    check_eq(ouro_now() - start, OURO_SEC(2)); /* the stubborn one takes a second longer */
    return 0;
}

FakeTest(group, a_cancel_that_stops_nobody_takes_no_result_away)
{
    struct family f = {
        .c = {{.delay = OURO_MS(1)}, {.delay = OURO_SEC(100), .stubborn = 1, .rc = 1}}, .rc = 5};
    cancel_family(&f);
    check_eq(f.left_with, 5);
    return 0;
}

/* The deadline of a scope around a group, in which the body sleeps or waits to leave. */
static void expire(struct family *f)
{
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_SEC(1)}), 0);
    int64_t rc = be_family(f);
    check_eq(rc, -ECANCELED);
    check_text(f->reason, "deadline");
    check_eq(ouro_scope_exit(&scope, rc), -ETIMEDOUT);
    check_eq(f->c[0].ended + f->c[1].ended, 2);
    check_text(f->c[0].reason, "deadline");
    check_eq(nap(OURO_MS(1)), 0);
}

FakeTest(group, a_deadline_around_it_cancels_the_children)
{
    for (int body_sleeps = 0; body_sleeps < 2; body_sleeps++) {
        struct family f = {.c = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100)}},
                           .nap = body_sleeps};
        ouro_ns start = ouro_now();
        expire(&f);
        check_eq(ouro_now() - start, OURO_SEC(1) + OURO_MS(1));
    }
    return 0;
}

FakeTest(group, a_deadline_inside_it_is_the_bodys_own_affair)
{
    struct child c = {.delay = OURO_SEC(5), .rc = 1};
    ouro_group group;
    ouro_scope scope;
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_SEC(1)}), 0);
    int64_t rc = ouro_scope_exit(&scope, nap(OURO_SEC(100)));
    check_eq(rc, -ETIMEDOUT);
    check_eq(ouro_group_live(&group), 1);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(c.reason == NULL, 1);
    return 0;
}

FakeTest(group, a_deadline_around_a_join_cancels_the_children_and_is_told_as_one)
{
    struct child c = {.delay = OURO_SEC(100), .stubborn = 1};
    ouro_group group;
    ouro_scope scope;
    ouro_ns start = ouro_now();
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_SEC(1)}), 0);
    int64_t rc = ouro_group_join(&group);
    check_eq(rc, -ECANCELED);
    check_eq(c.ended, 1);
    check_text(c.reason, "deadline");
    rc = ouro_scope_exit(&scope, rc);
    check_eq(rc, -ETIMEDOUT);
    check_eq(ouro_group_spawn(&group, be_child, &c), -ECANCELED);
    check_eq(ouro_group_exit(&group, rc), -ETIMEDOUT);
    check_eq(ouro_now() - start, OURO_SEC(2));
    return 0;
}

/* A group in a shielded region: what comes from outside waits until that is left. */
static int64_t shielded_family(void *arg)
{
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(be_family(arg), 5);
    check_eq(ouro_scope_exit(&scope, 0), 0);
    check_eq(nap(OURO_SEC(1)), -ECANCELED);
    return 0;
}

FakeTest(group, a_shield_around_it_shields_the_children)
{
    struct family f = {.c = {{.delay = OURO_SEC(3)}, {.delay = OURO_SEC(4)}}, .rc = 5};
    ouro_future *task = ouro_spawn(shielded_family, &f);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), 0);
    check_eq(f.c[0].ended + f.c[1].ended, 2);
    check_eq(f.c[0].reason == NULL, 1);
    return 0;
}

static int64_t group_around_shield(void *arg)
{
    struct child *c = arg;
    ouro_group group;
    ouro_scope scope;
    enter(&group);
    spawn_all(&group, c, 1);
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(nap(OURO_SEC(5)), 0);
    check_eq(c->ended, 1); /* the children are not in the shield */
    check_eq(ouro_group_spawn(&group, be_child, c), -ECANCELED);
    ouro_scope_exit(&scope, 0);
    return ouro_group_exit(&group, nap(1));
}

FakeTest(group, a_shield_inside_it_shields_the_body_alone)
{
    struct child c = {.delay = OURO_SEC(100)};
    ouro_future *task = ouro_spawn(group_around_shield, &c);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    return 0;
}

FakeTest(group, entered_in_a_cancelled_scope_it_takes_nobody)
{
    struct child c = {0};
    ouro_scope scope;
    ouro_group group;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_scope_cancel(&scope, "no");
    enter(&group);
    check_eq(ouro_group_spawn(&group, be_child, &c), -ECANCELED);
    check_eq(ouro_group_try_spawn(&group, be_child, &c, NULL, NULL), -ECANCELED);
    check_eq(ouro_group_exit(&group, -ECANCELED), -ECANCELED);
    check_eq(ouro_scope_exit(&scope, -ECANCELED), -ECANCELED);
    check_eq(c.started, 0);
    return 0;
}

/* ---- Bodies that do not leave ---------------------------------------------------------------- */

static int64_t forget(void *arg)
{
    ouro_group group;
    enter(&group);
    spawn_all(&group, arg, 2);
    return nap(OURO_SEC(1));
}

FakeTest(group, a_forgotten_group_is_cancelled_and_reported)
{
    static struct child c[2];
    c[0] = (struct child){.delay = OURO_SEC(100)};
    c[1] = (struct child){.delay = OURO_SEC(100), .stubborn = 1, .rc = -EIO};
    check_eq(ouro_await(ouro_spawn(forget, c)), 0);
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    check_eq(nap(OURO_SEC(3)), 0);
    check_eq(c[0].ended, 1);
    check_eq(c[1].ended, 1);
    check_text(c[0].reason, "its group was forgotten");
    return 0;
}

static void never(ouro_future *child, int64_t result, void *arg)
{
    (void)child;
    (void)result;
    (void)arg;
    cr_assert_fail("on_child after the group was forgotten");
}

static int64_t spawn_into(void *arg)
{
    int64_t rc = ouro_group_spawn(arg, return_0, NULL);
    check_eq(rc, -ECANCELED);
    return 0;
}

static int64_t forget_with_spawner(void *arg)
{
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = 1, .on_child = never}), 0);
    spawn_all(&group, arg, 1);
    ouro_detach(ouro_spawn(spawn_into, &group)); /* stands in line when the group goes */
    return nap(OURO_SEC(1));
}

FakeTest(group, a_forgotten_group_refuses_who_waits_to_spawn)
{
    static struct child c;
    c = (struct child){.delay = OURO_SEC(100)};
    check_eq(ouro_await(ouro_spawn(forget_with_spawner, &c)), 0);
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(c.ended, 1);
    return 0;
}

static int64_t leave_as_scope(void *arg)
{
    struct child *c = arg;
    ouro_group group;
    enter(&group);
    spawn_all(&group, c, 1);
    check_eq(ouro_scope_exit(&group.scope, 0), 0);
    check_eq(c->ended, 1);
    return 0;
}

TaskTest(group, left_as_a_mere_scope_it_still_waits)
{
    struct child c = {.delay = OURO_MS(2)};
    return leave_as_scope(&c);
}

/* ---- Shutdown -------------------------------------------------------------------------------- */

/* Shut down while a family is in the middle of its life. */
static void shut_down(ouro_task_fn *body, struct family *f, ouro_ns grace, int want)
{
    begin_fake();
    ouro_future *task = ouro_spawn(body, f);
    turns(5);
    check_eq(f->c[0].started + f->c[1].started, 2);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), grace), want);
    ouro_unref(task);
    end();
}

Test(group, shutdown_cancels_the_body_which_waits_for_its_children)
{
    for (int body_sleeps = 0; body_sleeps < 2; body_sleeps++) {
        struct family f = {.c = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100), .stubborn = 1}},
                           .nap = body_sleeps};
        shut_down(be_family, &f, OURO_SEC(5), 0);
        check_eq(f.left_with, -ECANCELED);
        check_eq(f.c[0].ended + f.c[1].ended, 2);
        check_text(f.c[0].reason, "shutdown");
    }
}

Test(group, shutdown_leaves_a_shielded_group_alone_for_its_grace)
{
    struct family f = {.c = {{.delay = OURO_SEC(3)}, {.delay = OURO_SEC(4)}}, .rc = 5};
    shut_down(shielded_family, &f, OURO_SEC(10), 0);
    check_eq(f.left_with, 5);
    check(f.c[0].reason == NULL);
}

static int64_t spawn_at_shutdown(void *arg)
{
    struct family *f = arg;
    ouro_scope scope;
    ouro_group group;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
    enter(&group);
    spawn_all(&group, f->c, 2);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_group_spawn(&group, return_0, NULL), -ESHUTDOWN);
    check_eq(ouro_group_live(&group), 2);
    f->left_with = ouro_group_exit(&group, 0);
    return ouro_scope_exit(&scope, 0);
}

Test(group, nobody_is_spawned_into_a_closing_loop)
{
    struct family f = {.c = {{.delay = OURO_SEC(3)}, {.delay = OURO_SEC(4)}}};
    shut_down(spawn_at_shutdown, &f, OURO_SEC(10), 0);
    check_eq(f.left_with, 0);
}

/* ---- Bad input ------------------------------------------------------------------------------- */

static int64_t not_the_body(void *arg)
{
    check_eq(ouro_group_join(arg), -EPERM);
    check_eq(ouro_group_exit(arg, 0), -EINVAL);
    return 0;
}

TaskTest(group, bad_input_is_told)
{
    ouro_group group;
    check_eq(ouro_group_enter(NULL, NULL), -EINVAL);
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = -1}), -EINVAL);
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.errors_kept = -1}), -EINVAL);
    enter(&group);
    check_eq(ouro_group_spawn(NULL, return_0, NULL), -EINVAL);
    check_eq(ouro_group_spawn(&group, NULL, NULL), -EINVAL);
    check_eq(ouro_group_try_spawn(&group, NULL, NULL, NULL, NULL), -EINVAL);
    check_eq(ouro_group_cancel(NULL, NULL), -EINVAL);
    check_eq(ouro_group_live(NULL), -EINVAL);
    check_eq(ouro_group_join(NULL), -EINVAL);
    check_eq(ouro_group_exit(NULL, 0), -EINVAL);
    check(ouro_group_error_at(&group, -1) == NULL);
    check_eq(ouro_group_spawn(&group, not_the_body, &group), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    ouro_group fresh = {0};
    check_eq(ouro_group_spawn(&fresh, return_0, NULL), -EINVAL);
    check_eq(ouro_group_join(&fresh), -EINVAL);
    return 0;
}

static int called;

static void use_in_callback(void *arg)
{
    (void)arg;
    ouro_group group;
    called++;
    check_eq(ouro_group_enter(&group, NULL), -EPERM);
    check_eq(ouro_group_spawn(shared, return_0, NULL), -EPERM);
    check_eq(ouro_group_try_spawn(shared, return_0, NULL, NULL, NULL), 0);
    check_eq(ouro_group_exit(shared, 0), -EINVAL);
}

TaskTest(group, a_callback_may_only_try_to_spawn)
{
    ouro_group group;
    enter(&group);
    shared = &group;
    called = 0;
    check_eq(ouro_call_soon(use_in_callback, NULL, NULL, NULL), 0);
    check_eq(nap(OURO_MS(1)), 0);
    check_eq(called, 1);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

static void *use_from_thread(void *arg)
{
    (void)arg;
    check_eq(ouro_group_spawn(shared, return_0, NULL), -EXDEV);
    check_eq(ouro_group_try_spawn(shared, return_0, NULL, NULL, NULL), -EXDEV);
    check_eq(ouro_group_cancel(shared, NULL), -EXDEV);
    return NULL;
}

TaskTest(group, another_thread_may_not_use_it)
{
    pthread_t thread;
    ouro_group group;
    enter(&group);
    shared = &group;
    check_eq(pthread_create(&thread, NULL, use_from_thread, NULL), 0);
    pthread_join(thread, NULL);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}
