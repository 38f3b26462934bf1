/* SPDX-License-Identifier: MIT */
/*
 * Groups whose children fail: what leaving returns, who else is cancelled, and the list of errors.
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

TestSuite(group_errors, .timeout = 60);

/* A child: sleeps, then returns; cancelled, it returns what cleaning up came to. */
struct child {
    ouro_ns delay;
    int64_t rc;
    int64_t cleanup; /* 0: it passes the cancel on */
    int ended;
    const char *reason;
};

static int64_t be_child(void *arg)
{
    struct child *c = arg;
    int64_t rc = ouro_await(ouro_sleep(c->delay));
    c->reason = ouro_cancel_reason();
    c->ended++;
    if (rc < 0)
        return c->cleanup ? c->cleanup : rc;
    return c->rc;
}

static void enter(ouro_group *group)
{
    check_eq(ouro_group_enter(group, NULL), 0);
}

static void spawn_all(ouro_group *group, struct child *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_eq(ouro_group_spawn(group, be_child, &c[i]), 0);
}

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

static int64_t error_at(const ouro_group *group, int64_t i)
{
    const ouro_group_error *e = ouro_group_error_at(group, i);
    return e ? e->error : 0;
}

/* ---- The first error ------------------------------------------------------------------------- */

FakeTest(group_errors, the_first_cancels_body_and_children_and_is_what_leaving_returns)
{
    struct child c[3] = {{.delay = OURO_SEC(100)},
                         {.delay = OURO_SEC(2), .rc = -EIO},
                         {.delay = OURO_SEC(1), .rc = 1}};
    ouro_ns start = ouro_now();
    ouro_group group;
    enter(&group);
    spawn_all(&group, c, 3);
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    check_text(ouro_cancel_reason(), "a child failed");
    check_eq(ouro_now() - start, OURO_SEC(2));
    check_eq(ouro_group_exit(&group, -ECANCELED), -EIO);
    check_text(c[0].reason, "a child failed");
    check_eq(c[2].ended, 1);
    check_eq(ouro_now() - start, OURO_SEC(2));
    check_eq(nap(OURO_MS(1)), 0);
    return 0;
}

FakeTest(group_errors, the_first_to_come_is_returned_however_many_follow)
{
    for (int n = 2; n < 6; n++) {
        struct child c[6];
        for (int i = 0; i < n; i++)
            c[i] = (struct child){.delay = OURO_SEC(10 - i), .rc = -(i + 1), .cleanup = -(i + 1)};
        ouro_group group;
        enter(&group);
        spawn_all(&group, c, (size_t)n);
        check_eq(ouro_group_join(&group), -n); /* the last spawned sleeps least */
        check_eq(ouro_group_error_count(&group), n);
        check_eq(ouro_group_exit(&group, 0), -n);
    }
    return 0;
}

FakeTest(group_errors, one_in_cleaning_up_is_listed_too)
{
    struct child c[3] = {{.delay = OURO_SEC(100), .cleanup = -ENOSPC},
                         {.delay = OURO_SEC(1), .rc = -EIO},
                         {.delay = OURO_SEC(100)}};
    ouro_group group;
    enter(&group);
    spawn_all(&group, c, 3);
    check_eq(ouro_group_join(&group), -EIO);
    check_eq(ouro_group_error_count(&group), 2); /* the third was cancelled, which is no error */
    check_eq(error_at(&group, 0), -EIO);
    check_eq(error_at(&group, 1), -ENOSPC);
    check(ouro_group_error_at(&group, 2) == NULL);
    check_eq(error_at(&group, 0), -EIO); /* and again from the start */
    check_eq(ouro_group_exit(&group, 0), -EIO);
    return 0;
}

FakeTest(group_errors, one_of_a_group_that_is_cancelled_by_hand_counts)
{
    struct child c = {.delay = OURO_SEC(100), .cleanup = -EIO};
    ouro_group group;
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(ouro_yield(), 0);
    ouro_group_cancel(&group, NULL);
    check_eq(ouro_group_exit(&group, -ECANCELED), -EIO);
    return 0;
}

FakeTest(group_errors, a_child_whose_own_child_was_cancelled_has_failed)
{
    struct child c = {.delay = OURO_SEC(1), .rc = -OURO_ECHILDCANCELLED};
    ouro_group group;
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(ouro_group_exit(&group, 0), -OURO_ECHILDCANCELLED);
    return 0;
}

FakeTest(group_errors, are_read_by_the_group_and_not_reported)
{
    struct child c = {.delay = OURO_SEC(1), .rc = -EIO};
    ouro_future *task;
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn_with(&group, be_child, &c, NULL, &task), 0);
    check_eq(ouro_group_exit(&group, 0), -EIO);
    ouro_detach(task);
    return 0; /* and end() sees to it that there was no report */
}

/* ---- The body's own -------------------------------------------------------------------------- */

FakeTest(group_errors, the_bodys_cancels_the_children_and_is_returned)
{
    struct child c[2] = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100)}};
    ouro_ns start = ouro_now();
    ouro_group group;
    enter(&group);
    spawn_all(&group, c, 2);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_group_exit(&group, -EPROTO), -EPROTO);
    check_eq(ouro_now() - start, OURO_SEC(1));
    check_text(c[0].reason, "the body failed");
    return 0;
}

FakeTest(group_errors, the_bodys_comes_before_what_it_makes_the_children_fail_with)
{
    struct child c = {.delay = OURO_SEC(100), .cleanup = -EIO};
    ouro_group group;
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_group_exit(&group, -EPROTO), -EPROTO);
    return 0;
}

FakeTest(group_errors, a_childs_comes_before_the_bodys_that_followed)
{
    struct child c = {.delay = OURO_SEC(1), .rc = -EIO};
    ouro_group group;
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    check_eq(ouro_group_exit(&group, -EPROTO), -EIO);
    return 0;
}

/* What a body came to that says it was cancelled, where nobody cancelled the group. */
FakeTest(group_errors, a_cancel_of_a_part_of_the_body_passes_unchanged)
{
    struct child c = {.delay = OURO_SEC(100)};
    ouro_group group;
    ouro_scope scope;
    enter(&group);
    spawn_all(&group, &c, 1);
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_scope_cancel(&scope, NULL);
    int64_t rc = ouro_scope_exit(&scope, nap(1));
    check_eq(rc, -ECANCELED);
    check_eq(ouro_group_exit(&group, rc), -ECANCELED);
    return 0;
}

/* ---- With a cancel from outside -------------------------------------------------------------- */

static int64_t cancelled_and_failed(void *arg)
{
    struct child *c = arg;
    ouro_group group;
    enter(&group);
    spawn_all(&group, c, 1);
    int64_t rc = ouro_group_exit(&group, c->rc);
    check_text(ouro_cancel_reason(), "cancelled"); /* what is around it stays cancelled */
    check_eq(nap(1), -ECANCELED);
    return rc;
}

FakeTest(group_errors, beats_a_cancel_from_outside_which_goes_on)
{
    struct child c = {.delay = OURO_SEC(100), .cleanup = -EIO};
    ouro_future *task = ouro_spawn(cancelled_and_failed, &c);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), -EIO);
    return 0;
}

static int64_t in_deadline(void *arg)
{
    struct child *c = arg;
    ouro_scope scope;
    ouro_group group;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_SEC(1)}), 0);
    enter(&group);
    spawn_all(&group, c, 1);
    return ouro_scope_exit(&scope, ouro_group_exit(&group, 0));
}

FakeTest(group_errors, beats_a_deadline_around_it)
{
    struct child c = {.delay = OURO_SEC(100), .cleanup = -EIO};
    check_eq(in_deadline(&c), -EIO);
    c = (struct child){.delay = OURO_SEC(100)};
    check_eq(in_deadline(&c), -ETIMEDOUT);
    return 0;
}

static int64_t inner_group(void *arg)
{
    ouro_group group;
    enter(&group);
    spawn_all(&group, arg, 2);
    return ouro_group_exit(&group, 0);
}

FakeTest(group_errors, go_up_through_groups_of_groups)
{
    struct child c[2] = {{.delay = OURO_SEC(1), .rc = -EIO}, {.delay = OURO_SEC(100)}};
    struct child uncle = {.delay = OURO_SEC(100)};
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn(&group, inner_group, c), 0);
    spawn_all(&group, &uncle, 1);
    check_eq(ouro_group_exit(&group, 0), -EIO);
    check_eq(c[1].ended, 1);
    check_eq(uncle.ended, 1);
    return 0;
}

FakeTest(group_errors, of_an_inner_group_leave_the_outer_one_alone)
{
    struct child c[2] = {{.delay = OURO_SEC(1), .rc = -EIO}, {.delay = OURO_SEC(100)}};
    struct child other = {.delay = OURO_SEC(5)};
    ouro_group group;
    enter(&group);
    spawn_all(&group, &other, 1);
    check_eq(inner_group(c), -EIO);
    check(ouro_cancel_reason() == NULL);
    check_eq(ouro_group_live(&group), 1);
    check_eq(ouro_group_exit(&group, 0), 0);
    check(other.reason == NULL);
    return 0;
}

/* ---- Supervising ----------------------------------------------------------------------------- */

FakeTest(group_errors, supervised_are_listed_and_leave_the_others_alone)
{
    struct child c[3] = {{.delay = OURO_SEC(1), .rc = -EIO},
                         {.delay = OURO_SEC(3)},
                         {.delay = OURO_SEC(2), .rc = -ENOENT}};
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.supervise = 1}), 0);
    spawn_all(&group, c, 3);
    check_eq(ouro_group_join(&group), 0);
    check_eq(ouro_group_error_count(&group), 2);
    check_eq(error_at(&group, 0), -EIO);
    check_eq(error_at(&group, 1), -ENOENT);
    check_eq(c[1].ended, 1);
    check(c[1].reason == NULL);
    check_eq(ouro_group_exit(&group, 6), 6);
    return 0;
}

FakeTest(group_errors, supervised_the_bodys_own_is_returned_and_cancels_the_children)
{
    struct child c[2] = {{.delay = OURO_SEC(1), .rc = -EIO}, {.delay = OURO_SEC(100)}};
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.supervise = 1}), 0);
    spawn_all(&group, c, 2);
    check_eq(nap(OURO_SEC(2)), 0);
    check_eq(ouro_group_exit(&group, -EPROTO), -EPROTO);
    check_eq(c[1].ended, 1);
    return 0;
}

/* Errors of no meaning, told apart by a number. */
#define NTH(i) (-6000 - (i))

/* ---- The list -------------------------------------------------------------------------------- */

static int64_t fail(void *arg)
{
    return (int64_t)(intptr_t)arg;
}

static void fail_n(ouro_group *group, int n)
{
    for (int i = 0; i < n; i++)
        check_eq(ouro_group_spawn(group, fail, (void *)(intptr_t)NTH(i)), 0);
    check_eq(ouro_group_join(group), 0);
}

TaskTest(group_errors, names_are_copied_and_cut)
{
    char name[64] = "a name of more than forty-seven bytes, which is cut there";
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.supervise = 1}), 0);
    check_eq(ouro_group_spawn_with(&group, fail, (void *)(intptr_t)-EIO,
                                   &(ouro_spawn_options){.name = name}, NULL),
             0);
    check_eq(ouro_group_spawn(&group, fail, (void *)(intptr_t)-EIO), 0);
    check_eq(ouro_group_join(&group), 0);
    memset(name, 'x', sizeof name - 1);
    check_text(ouro_group_error_at(&group, 0)->name,
               "a name of more than forty-seven bytes, which is");
    check_text(ouro_group_error_at(&group, 1)->name, "task");
    check(ouro_group_error_at(&group, 0)->detail == NULL);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

TaskTest(group_errors, all_are_kept_unless_told_otherwise)
{
    ouro_group group;
    check_eq(
        ouro_group_enter(&group, &(ouro_group_options){.supervise = 1, .errors_kept = INT64_MAX}),
        0);
    fail_n(&group, 1000);
    for (int i = 0; i < 1000; i++)
        check_eq(error_at(&group, i), NTH(i));
    check(ouro_group_error_at(&group, 1000) == NULL);
    check_eq(error_at(&group, 999), NTH(999)); /* the end was not overrun */
    check_eq(error_at(&group, 500), NTH(500));
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

TaskTest(group_errors, a_supervisor_keeps_the_first_64)
{
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.supervise = 1}), 0);
    fail_n(&group, 100);
    check_eq(ouro_group_error_count(&group), 100);
    check_eq(error_at(&group, 63), NTH(63));
    check(ouro_group_error_at(&group, 64) == NULL);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

TaskTest(group_errors, beyond_the_length_of_the_list_are_counted)
{
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.supervise = 1, .errors_kept = 2}), 0);
    fail_n(&group, 5);
    check_eq(ouro_group_error_count(&group), 5);
    check_eq(error_at(&group, 1), NTH(1));
    check(ouro_group_error_at(&group, 2) == NULL);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

static int64_t fail_with_object(void *arg)
{
    ouro_task_return(arg, NULL);
    return -EIO;
}

TaskTest(group_errors, an_object_of_a_failed_child_is_not_taken_for_its_words)
{
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.supervise = 1}), 0);
    check_eq(ouro_group_spawn(&group, fail_with_object, &group), 0);
    check_eq(ouro_group_join(&group), 0);
    check(ouro_group_error_at(&group, 0)->detail == NULL);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

/* ---- Who is told ----------------------------------------------------------------------------- */

static const ouro_local key = {"key"};

struct told {
    ouro_group *group;
    int n;
    int64_t results[8];
    void *local;
};

static void note(ouro_future *child, int64_t result, void *arg)
{
    struct told *t = arg;
    check(ouro_future_state(child) != OURO_PENDING);
    check(ouro_task_current() == NULL);
    t->local = ouro_local_get(&key);
    t->results[t->n++] = result;
}

FakeTest(group_errors, on_child_is_told_of_everyone_in_order_and_before_the_rest)
{
    struct told t = {0};
    struct child c[3] = {{.delay = OURO_SEC(1), .rc = 4},
                         {.delay = OURO_SEC(2), .rc = -EIO},
                         {.delay = OURO_SEC(100)}};
    ouro_group group;
    check_eq(ouro_local_set(&key, &t, NULL), 0);
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.on_child = note, .arg = &t}), 0);
    spawn_all(&group, c, 3);
    check_eq(ouro_group_exit(&group, 0), -EIO);
    check_eq(t.n, 3);
    check_eq(t.results[0], 4);
    check_eq(t.results[1], -EIO);
    check_eq(t.results[2], -ECANCELED);
    check(t.local == &t); /* it sees what held where the group was entered */
    return 0;
}

/* A supervisor that starts again what has failed, until it has failed often enough. */
static void restart(ouro_future *child, int64_t result, void *arg)
{
    struct told *t = arg;
    note(child, result, arg);
    if (t->n < 4)
        check_eq(ouro_group_try_spawn(t->group, fail, (void *)(intptr_t)(-1 - t->n), NULL, NULL),
                 0);
}

FakeTest(group_errors, on_child_may_start_another_in_its_place_even_of_the_last)
{
    ouro_group group;
    struct told t = {.group = &group};
    ouro_group_options opts = {.supervise = 1, .limit = 1, .on_child = restart, .arg = &t};
    check_eq(ouro_group_enter(&group, &opts), 0);
    check_eq(ouro_group_spawn(&group, fail, (void *)(intptr_t)-1), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(t.n, 4);
    check_eq(t.results[3], -4);
    return 0;
}

static void cancel_in_callback(ouro_future *child, int64_t result, void *arg)
{
    (void)child;
    if (result == 0)
        check_eq(ouro_group_cancel(arg, "one is enough"), 1);
}

FakeTest(group_errors, on_child_may_cancel_the_group)
{
    struct child c[2] = {{.delay = OURO_SEC(1)}, {.delay = OURO_SEC(100)}};
    ouro_group group;
    check_eq(ouro_group_enter(&group,
                              &(ouro_group_options){.on_child = cancel_in_callback, .arg = &group}),
             0);
    spawn_all(&group, c, 2);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_text(c[1].reason, "one is enough");
    return 0;
}

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static int64_t return_object(void *arg)
{
    return ouro_task_return(arg, count_free);
}

static void take(ouro_future *child, int64_t result, void *arg)
{
    check_eq(result, 0);
    *(void **)arg = ouro_future_take(child).ptr;
}

TaskTest(group_errors, on_child_may_take_the_object_which_else_is_destroyed)
{
    int freed = 0;
    void *object = NULL;
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn(&group, return_object, &freed), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(freed, 1);
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.on_child = take, .arg = &object}), 0);
    check_eq(ouro_group_spawn(&group, return_object, &freed), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_yield(), 0);
    check(object == &freed);
    check_eq(freed, 1);
    return 0;
}

static int64_t fail_at_once(void *arg)
{
    (void)arg;
    return -EIO;
}

static int64_t ask_where_from(void *arg)
{
    size_t *ret_count = arg;
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn(&group, fail_at_once, NULL), 0);
    check_eq(ouro_group_join(&group), -EIO);
    const ouro_group_error *error = ouro_group_error_at(&group, 0);
    check((error->frames != NULL) == (error->frame_count > 0));
    *ret_count = error->frame_count;
    return ouro_group_exit(&group, 0);
}

Test(group_errors, in_debug_mode_an_error_knows_where_its_child_was_spawned)
{
    for (int debug = -1; debug <= 1; debug += 2) {
        size_t count = 99;
        begin_kernel_with(&(ouro_loop_options){.debug = debug});
        check_eq(run_main(ask_where_from, &count), -EIO);
        check_eq(count > 0, debug > 0);
        take_reports(OURO_REPORT_STACK);
        end();
        take_reports(OURO_REPORT_STACK);
    }
}
