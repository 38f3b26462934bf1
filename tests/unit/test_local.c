/* SPDX-License-Identifier: MIT */
/*
 * Task-local values: seen as they were at the spawn or the registration, changed for oneself only,
 * freed when nobody can see them.
 */
#include "harness.h"

#include <errno.h>

TestSuite(local, .timeout = 30);

static const ouro_local colour = {"colour"};
static const ouro_local size = {"size"};

static int red, green, blue;

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static void set(const ouro_local *key, void *value)
{
    check_eq(ouro_local_set(key, value, NULL), 0);
}

static int64_t see_red(void *arg)
{
    (void)arg;
    check(ouro_local_get(&colour) == &red);
    return 0;
}

TaskTest(local, one_that_was_never_set_is_null)
{
    check(ouro_local_get(&colour) == NULL);
    set(&colour, &red);
    check(ouro_local_get(&size) == NULL);
    set(&size, NULL);
    check(ouro_local_get(&size) == NULL);
    return 0;
}

TaskTest(local, a_child_sees_the_values_that_held_at_its_spawn)
{
    set(&colour, &red);
    ouro_future *child = ouro_spawn(see_red, NULL);
    set(&colour, &green);
    check_eq(ouro_await(child), 0);
    check(ouro_local_get(&colour) == &green);
    return 0;
}

static int64_t turn_blue(void *arg)
{
    (void)arg;
    set(&colour, &blue);
    check_eq(ouro_yield(), 0);
    check(ouro_local_get(&colour) == &blue);
    return 0;
}

TaskTest(local, a_child_cannot_change_its_parent_or_its_siblings)
{
    set(&colour, &red);
    ouro_future *f[3] = {ouro_spawn(turn_blue, NULL), ouro_spawn(see_red, NULL), NULL};
    f[2] = ouro_spawn_with(turn_blue, NULL, &(ouro_spawn_options){.eager = 1});
    check(ouro_local_get(&colour) == &red);
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_ALL, NULL)), 0);
    check(ouro_local_get(&colour) == &red);
    return 0;
}

static int64_t spawn_grandchild(void *arg)
{
    (void)arg;
    set(&size, &blue);
    return ouro_await(ouro_spawn(see_red, NULL));
}

TaskTest(local, values_go_down_to_grandchildren)
{
    set(&colour, &red);
    check_eq(ouro_await(ouro_spawn(spawn_grandchild, NULL)), 0);
    return 0;
}

TaskTest(local, a_wait_in_another_task_does_not_mix_them)
{
    set(&colour, &green);
    ouro_future *child = ouro_spawn(turn_blue, NULL);
    for (int i = 0; i < 4; i++) {
        check_eq(ouro_yield(), 0);
        check(ouro_local_get(&colour) == &green);
    }
    check_eq(ouro_await(child), 0);
    return 0;
}

/* ---- Callbacks ------------------------------------------------------------------------------- */

static int seen_red;

static void call_sees_red(void *arg)
{
    (void)arg;
    check(ouro_local_get(&colour) == &red);
    set(&colour, &blue); /* stays its own */
    seen_red++;
}

static void done_sees_red(ouro_future *f, void *arg)
{
    (void)f;
    call_sees_red(arg);
}

static ouro_future *then_sees_red(ouro_future *f, void *arg)
{
    (void)f;
    call_sees_red(arg);
    return NULL;
}

TaskTest(local, callbacks_see_the_values_that_held_at_their_registration)
{
    seen_red = 0;
    set(&colour, &red);
    ouro_future *f = ouro_ready(0);
    check_eq(ouro_on_done(f, done_sees_red, NULL), 0);
    ouro_future *chain = ouro_then(f, then_sees_red, NULL);
    check_eq(ouro_call_soon(call_sees_red, NULL, NULL, NULL), 0);
    check_eq(ouro_call_later(1, call_sees_red, NULL, NULL, NULL), 0);
    set(&colour, &green);
    check_eq(ouro_await(chain), 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(seen_red, 4);
    check(ouro_local_get(&colour) == &green);
    return 0;
}

Test(local, those_set_outside_tasks_are_seen_by_tasks_spawned_from_there)
{
    begin_fake();
    set(&colour, &red);
    check(ouro_local_get(&colour) == &red);
    ouro_future *task = ouro_spawn(see_red, NULL);
    set(&colour, &blue);
    check_eq(ouro_loop_run_until(ouro_loop_current(), task), 0);
    check(ouro_local_get(&colour) == &blue);
    end();
}

Test(local, what_a_callback_sets_does_not_stay_behind)
{
    begin_fake();
    seen_red = 0;
    set(&colour, &red);
    for (int i = 0; i < 3; i++)
        check_eq(ouro_call_soon(call_sees_red, NULL, NULL, NULL), 0);
    turns(2);
    check_eq(seen_red, 3);
    check(ouro_local_get(&colour) == &red);
    end();
}

/* ---- Freeing --------------------------------------------------------------------------------- */

static int64_t hold_for_a_while(void *arg)
{
    check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check(ouro_local_get(&colour) == arg);
    check_eq(*(int *)arg, 0);
    return 0;
}

static int64_t set_and_spawn(void *arg)
{
    int *freed = arg;
    check_eq(ouro_local_set(&colour, freed, count_free), 0);
    ouro_detach(ouro_spawn(hold_for_a_while, freed));
    check_eq(ouro_local_set(&colour, NULL, NULL), 0);
    check_eq(ouro_yield(), 0);
    check_eq(*freed, 0); /* the child still sees it */
    return 0;
}

TaskTest(local, a_value_is_freed_once_when_nobody_can_see_it_any_more)
{
    int freed = 0;
    check_eq(ouro_await(ouro_spawn(set_and_spawn, &freed)), 0);
    check_eq(freed, 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(3))), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed, 1);
    return 0;
}

TaskTest(local, a_value_that_is_replaced_is_freed_if_only_the_task_saw_it)
{
    int freed[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++)
        check_eq(ouro_local_set(&colour, &freed[i], count_free), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed[0], 1);
    check_eq(freed[1], 1);
    check_eq(freed[2], 0);
    check_eq(ouro_local_set(&colour, NULL, NULL), 0);
    check_eq(ouro_yield(), 0);
    check_eq(freed[2], 1);
    return 0;
}

Test(local, the_loops_own_values_are_freed_when_it_closes)
{
    int freed = 0;
    begin_fake();
    check_eq(ouro_local_set(&colour, &freed, count_free), 0);
    turns(3);
    check_eq(freed, 0);
    end();
    check_eq(freed, 1);
}

Test(local, many_keys_are_kept_apart)
{
    static ouro_local keys[50];
    begin_fake();
    for (int i = 0; i < 50; i++)
        set(&keys[i], &keys[49 - i]);
    for (int i = 0; i < 50; i++)
        check(ouro_local_get(&keys[i]) == &keys[49 - i]);
    end();
}

Test(local, a_value_that_was_refused_stays_yours)
{
    int freed = 0;
    check_eq(ouro_local_set(&colour, &freed, count_free), -EPERM);
    check(ouro_local_get(&colour) == NULL);
    begin_fake();
    check_eq(ouro_local_set(NULL, &freed, count_free), -EINVAL);
    check(ouro_local_get(NULL) == NULL);
    end();
    check_eq(freed, 0);
}
