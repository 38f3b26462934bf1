/* SPDX-License-Identifier: MIT */
/*
 * Groups: who may spawn, when, and how many.
 */
#include "group_test.h"

TestSuite(group_spawn, .timeout = 60);

/* ---- Who may spawn --------------------------------------------------------------------------- */

TaskTest(group_spawn, left_it_is_over_and_says_so)
{
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_group_spawn(&group, return_0, NULL), -ESHUTDOWN);
    check_eq(ouro_group_try_spawn(&group, return_0, NULL, NULL, NULL), -ESHUTDOWN);
    check_eq(ouro_group_exit(&group, 0), -EINVAL);
    check_eq(ouro_group_join(&group), -EINVAL);
    check_eq(ouro_group_cancel(&group, NULL), -EINVAL);
    check_eq(ouro_group_live(&group), -EINVAL);
    check_eq(ouro_group_error_count(&group), -EINVAL);
    check(ouro_group_error_at(&group, 0) == NULL);
    return 0;
}

static void count_free(void *arg)
{
    ++*(int *)arg;
}

TaskTest(group_spawn, the_argument_is_the_childs_only_once_there_is_a_child)
{
    int freed = 0;
    ouro_spawn_options opts = {.arg_free = count_free};
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn_with(&group, return_0, &freed, &opts, NULL), 0);
    check_eq(ouro_group_spawn_with(
                 &group, return_0, &freed,
                 &(ouro_spawn_options){.arg_free = count_free, .stack_size = SIZE_MAX}, NULL),
             -EINVAL);
    check_eq(ouro_group_live(&group), 1);
    ouro_group_cancel(&group, NULL);
    check_eq(ouro_group_spawn_with(&group, return_0, &freed, &opts, NULL), -ECANCELED);
    check_eq(freed, 1); /* of the first, which was cancelled before it began */
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_group_spawn_with(&group, return_0, &freed, &opts, NULL), -ESHUTDOWN);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 1);
    return 0;
}

static int64_t spawn_cancelled(void *arg)
{
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    check_eq(ouro_group_spawn(arg, return_0, NULL), -ECANCELED);
    return -ECANCELED;
}

TaskTest(group_spawn, a_cancelled_task_may_not_spawn_although_the_group_goes_on)
{
    ouro_future *task;
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn_with(&group, spawn_cancelled, &group, NULL, &task), 0);
    check_eq(ouro_yield(), 0);
    ouro_cancel(task);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_group_spawn(&group, return_0, NULL), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

struct late {
    ouro_group *group;
    ouro_future *child;
    int rc;
};

/* Runs when the last child has ended and the body does not know it yet. */
static int64_t spawn_late(void *arg)
{
    struct late *late = arg;
    check_eq(ouro_join(late->child), 0);
    late->rc = ouro_group_spawn(late->group, return_0, NULL);
    return 0;
}

TaskTest(group_spawn, it_is_over_as_soon_as_the_last_child_has_ended)
{
    struct child c = {.delay = OURO_MS(1)};
    struct late late = {0};
    ouro_group group, others;
    enter(&others);
    enter(&group);
    check_eq(ouro_group_spawn_with(&group, be_child, &c, NULL, &late.child), 0);
    late.group = &group;
    check_eq(ouro_group_spawn(&others, spawn_late, &late), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_group_exit(&others, 0), 0);
    check_eq(late.rc, -ESHUTDOWN);
    ouro_unref(late.child);
    return 0;
}

/* ---- Limits ---------------------------------------------------------------------------------- */

FakeTest(group_spawn, at_its_limit_spawning_waits_for_room)
{
    struct child c[5] = {{.delay = OURO_SEC(1)},
                         {.delay = OURO_SEC(1)},
                         {.delay = OURO_SEC(1)},
                         {.delay = OURO_SEC(1)},
                         {.delay = OURO_SEC(1)}};
    ouro_ns start = ouro_now();
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = 2}), 0);
    for (int i = 0; i < 5; i++) {
        check_eq(ouro_group_spawn(&group, be_child, &c[i]), 0);
        check(ouro_group_live(&group) <= 2);
        check_eq(ouro_now() - start, OURO_SEC(i / 2));
    }
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_now() - start, OURO_SEC(3));
    return 0;
}

TaskTest(group_spawn, at_its_limit_try_spawn_says_eagain)
{
    struct child c = {.delay = OURO_MS(1)};
    ouro_group group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = 1}), 0);
    check_eq(ouro_group_try_spawn(&group, be_child, &c, NULL, NULL), 0);
    check_eq(ouro_group_try_spawn(&group, return_0, NULL, NULL, NULL), -EAGAIN);
    check_eq(ouro_group_join(&group), 0);
    check_eq(ouro_group_try_spawn(&group, return_0, NULL, NULL, NULL), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    return 0;
}

struct order {
    ouro_group *group;
    int next;
    int got[4];
    int tried;
    ouro_ns at;
};

static int64_t note_order(void *arg)
{
    struct order *o = arg;
    o->next++;
    return 0;
}

static int64_t spawn_in_turn(void *arg)
{
    struct order *o = arg;
    int i = o->next++;
    int64_t rc = ouro_group_spawn(o->group, note_order, o);
    o->got[i] = (int)rc;
    return 0;
}

static int64_t try_in_between(void *arg)
{
    struct order *o = arg;
    check_eq(ouro_group_try_spawn(o->group, note_order, o, NULL, NULL), -EAGAIN);
    return 0;
}

FakeTest(group_spawn, room_is_handed_over_in_line_and_nobody_overtakes)
{
    struct child c = {.delay = OURO_SEC(1)};
    struct order o = {.got = {9, 9, 9, 9}};
    ouro_group group, others;
    o.group = &group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = 1}), 0);
    spawn_all(&group, &c, 1);
    enter(&others);
    for (int i = 0; i < 2; i++)
        check_eq(ouro_group_spawn(&others, spawn_in_turn, &o), 0);
    check_eq(ouro_yield(), 0);
    check_eq(o.got[0], 9); /* both wait */
    check_eq(ouro_group_spawn(&others, try_in_between, &o), 0);
    check_eq(ouro_group_exit(&others, 0), 0);
    check_eq(o.got[0], 0);
    check_eq(o.got[1], 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(o.next, 4);
    return 0;
}

FakeTest(group_spawn, a_spawner_cancelled_in_line_has_taken_nothing)
{
    struct child c = {.delay = OURO_SEC(1)};
    struct order o = {.got = {9, 9, 9, 9}};
    ouro_future *waiting;
    ouro_group group, others;
    o.group = &group;
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = 1}), 0);
    spawn_all(&group, &c, 1);
    enter(&others);
    check_eq(ouro_group_spawn_with(&others, spawn_in_turn, &o, NULL, &waiting), 0);
    check_eq(ouro_group_spawn(&others, spawn_in_turn, &o), 0);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(waiting), 1);
    ouro_unref(waiting);
    check_eq(ouro_group_exit(&others, 0), 0);
    check_eq(o.got[0], -ECANCELED);
    check_eq(o.got[1], 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(o.next, 3);
    return 0;
}

static int64_t cancel_both(void *arg)
{
    check_eq(nap(OURO_SEC(1)), 0);
    ouro_group_cancel(arg, "both");
    return 0;
}

FakeTest(group_spawn, a_spawner_in_line_is_refused_when_the_group_is_cancelled)
{
    struct child c = {.delay = OURO_SEC(100)};
    struct order o = {.got = {9, 9, 9, 9}};
    ouro_group group, others;
    enter(&others); /* around it, so not cancelled with it */
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = 1}), 0);
    o.group = &group;
    spawn_all(&group, &c, 1);
    check_eq(ouro_group_spawn(&others, spawn_in_turn, &o), 0);
    check_eq(ouro_group_spawn(&others, cancel_both, &group), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_group_exit(&others, 0), 0);
    check_eq(o.got[0], -ECANCELED);
    check_eq(o.next, 1);
    return 0;
}

static void cancel_shared(void *arg)
{
    (void)arg;
    ouro_group_cancel(shared, NULL);
}

static void cancel_soon(ouro_future *child, int64_t result, void *arg)
{
    (void)child;
    (void)result;
    (void)arg;
    check_eq(ouro_call_soon(cancel_shared, NULL, NULL, NULL), 0);
}

FakeTest(group_spawn, a_spawner_given_room_and_then_cancelled_with_the_group_is_refused)
{
    struct child c = {.delay = OURO_SEC(1)};
    struct order o = {.got = {9, 9, 9, 9}};
    ouro_group group, others;
    enter(&others);
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = 1, .on_child = cancel_soon}),
             0);
    o.group = shared = &group;
    spawn_all(&group, &c, 1);
    check_eq(ouro_group_spawn(&others, spawn_in_turn, &o), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_group_exit(&others, 0), 0);
    check_eq(o.got[0], -ECANCELED);
    check_eq(o.next, 1);
    return 0;
}

/* A child that is cancelled but stays: its place is not free, and nobody waits for that. */
static int64_t spawn_and_note_time(void *arg)
{
    struct order *o = arg;
    spawn_in_turn(o);
    o->at = ouro_now();
    return 0;
}

FakeTest(group_spawn, a_spawner_in_line_is_refused_at_once)
{
    struct child c = {.delay = OURO_SEC(100), .stubborn = 1};
    struct order o = {.got = {9, 9, 9, 9}};
    ouro_ns start = ouro_now();
    ouro_group group, others;
    enter(&others);
    check_eq(ouro_group_enter(&group, &(ouro_group_options){.limit = 1}), 0);
    o.group = &group;
    spawn_all(&group, &c, 1);
    check_eq(ouro_group_spawn(&others, spawn_and_note_time, &o), 0);
    check_eq(ouro_group_spawn(&others, cancel_both, &group), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_now() - start, OURO_SEC(2));
    check_eq(ouro_group_exit(&others, 0), 0);
    check_eq(o.got[0], -ECANCELED);
    check_eq(o.at - start, OURO_SEC(1));
    return 0;
}

static void overtake(ouro_future *child, int64_t result, void *arg)
{
    (void)child;
    (void)result;
    struct order *o = arg;
    if (!o->tried)
        o->tried = ouro_group_try_spawn(o->group, note_order, o, NULL, NULL);
}

FakeTest(group_spawn, on_child_may_not_overtake_who_waits_in_line)
{
    struct child c = {.delay = OURO_SEC(1)};
    struct order o = {.got = {9, 9, 9, 9}};
    ouro_group group, others;
    ouro_group_options opts = {.limit = 1, .on_child = overtake, .arg = &o};
    enter(&others);
    check_eq(ouro_group_enter(&group, &opts), 0);
    o.group = &group;
    spawn_all(&group, &c, 1);
    check_eq(ouro_group_spawn(&others, spawn_in_turn, &o), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_group_exit(&others, 0), 0);
    check_eq(o.tried, -EAGAIN);
    check_eq(o.got[0], 0);
    return 0;
}

static ouro_future *spawner;

static void cancel_spawner(void *arg)
{
    (void)arg;
    check_eq(ouro_cancel(spawner), 1);
}

static void cancel_spawner_soon(ouro_future *child, int64_t result, void *arg)
{
    if (!*(int *)arg)
        check_eq(ouro_call_soon(cancel_spawner, NULL, NULL, NULL), 0);
    *(int *)arg = 1;
    check(ouro_future_state(child) == OURO_VALUE);
    check_eq(result, 0);
}

FakeTest(group_spawn, a_spawner_given_room_and_then_cancelled_alone_has_its_child)
{
    int once = 0;
    struct child c = {.delay = OURO_SEC(1)};
    struct order o = {.got = {9, 9, 9, 9}};
    ouro_group group, others;
    ouro_group_options opts = {.limit = 1, .on_child = cancel_spawner_soon, .arg = &once};
    enter(&others);
    check_eq(ouro_group_enter(&group, &opts), 0);
    o.group = &group;
    spawn_all(&group, &c, 1);
    check_eq(ouro_group_spawn_with(&others, spawn_in_turn, &o, NULL, &spawner), 0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_group_exit(&others, 0), 0);
    check_eq(o.got[0], 0);
    check_eq(o.next, 2);
    ouro_unref(spawner);
    return 0;
}

/* ---- Eager children -------------------------------------------------------------------------- */

static int64_t fail_now(void *arg)
{
    (void)arg;
    return -EIO;
}

TaskTest(group_spawn, the_reaction_to_an_eager_child_comes_later)
{
    ouro_group group;
    enter(&group);
    check_eq(ouro_group_spawn_with(&group, fail_now, NULL, &(ouro_spawn_options){.eager = 1}, NULL),
             0);
    check(ouro_cancel_reason() == NULL);
    check_eq(ouro_group_error_count(&group), 0);
    check_eq(ouro_group_live(&group), 1);
    check_eq(ouro_yield(), -ECANCELED);
    check_eq(ouro_group_exit(&group, -ECANCELED), -EIO);
    return 0;
}

static int64_t cancel_own_group(void *arg)
{
    check_eq(ouro_group_cancel(arg, "me too"), 1);
    check(ouro_cancel_reason() == NULL); /* not told yet: its spawner has not returned */
    check_eq(nap(OURO_SEC(100)), -ECANCELED);
    return 0;
}

FakeTest(group_spawn, an_eager_child_that_cancels_its_group_is_cancelled_with_it)
{
    ouro_group group;
    enter(&group);
    ouro_ns start = ouro_now();
    check_eq(ouro_group_spawn_with(&group, cancel_own_group, &group,
                                   &(ouro_spawn_options){.eager = 1}, NULL),
             0);
    check_eq(ouro_group_exit(&group, 0), 0);
    check_eq(ouro_now() - start, 0);
    return 0;
}
