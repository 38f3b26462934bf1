/* SPDX-License-Identifier: MIT */
/*
 * Bugs that locks, queues, groups and what combines futures once had, or could easily have.
 */
#include "sync_test.h"

#include <ouro/ouro.h>

/* ---- Shutdown walks all futures while its cancels make some of them go ----------------------- */

Test(regress_sync, shutdown_goes_on_where_a_cancel_served_a_detached_future)
{
    begin_fake();
    ouro_sem s;
    check_eq(ouro_sem_init(&s, 1, 2), 0);
    ouro_detach(ouro_sem_acquire_future(&s, 2));
    ouro_detach(ouro_sem_acquire_future(&s, 1));
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_sem_permits(&s), 1);
    end();
}

static int64_t wait_with_the_last_reference(void *unused)
{
    (void)unused;
    ouro_future *fs[] = {ouro_ready(0), ouro_sleep(OURO_SEC(9))};
    ouro_future *w = ouro_wait(fs, 2, OURO_WAIT_ALL, OURO_FOREVER);
    ouro_unref(fs[0]);
    ouro_unref(fs[1]);
    return ouro_await(w);
}

Test(regress_sync, shutdown_goes_on_where_a_cancel_dropped_the_last_reference)
{
    begin_fake();
    ouro_detach(ouro_spawn(wait_with_the_last_reference, NULL));
    turn();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    end();
}

/* ---- A future that was doomed for want of memory --------------------------------------------- */

static ouro_cancel_answer later(ouro_promise *p, void *arg)
{
    (void)p;
    (void)arg;
    return OURO_LATER;
}

static int objects_freed;

static void count_freed(void *object)
{
    (void)object;
    objects_freed++;
}

static ouro_future *pass_on(ouro_future *done, void *arg)
{
    (void)done;
    (void)arg;
    return NULL;
}

static int64_t doom_one_with_an_object(void *unused)
{
    (void)unused;
    static char object[] = "an object, and no words";
    ouro_promise *p;
    ouro_future *f;
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_promise_on_cancel(p, later, NULL), 0);
    refusing = true;
    ouro_future *doomed = ouro_timeout(f, OURO_SEC(1));
    refusing = false;
    check_eq(ouro_promise_resolve(p, (ouro_result){1, object}, count_freed), 0);
    ouro_promise_free(p);
    check_eq(ouro_future_result(doomed).n, -ENOMEM);
    check_text(ouro_future_detail(doomed), NULL);
    ouro_future *next = ouro_then(doomed, pass_on, NULL);
    let_others_run();
    check_eq(ouro_future_result(next).n, -ENOMEM);
    check_text(ouro_future_detail(next), NULL);
    ouro_unref(next);
    let_others_run();
    check_eq(objects_freed, 1);
    return 0;
}

Test(regress_sync, the_object_of_a_future_that_failed_for_want_of_memory_is_not_its_detail)
{
    run_with_little_memory(doom_one_with_an_object);
}

/* ---- What a gather has that settled early ---------------------------------------------------- */

TaskTest(regress_sync, a_gather_that_failed_early_keeps_no_lock_from_others)
{
    ouro_mutex early = {0}, late = {0};
    check_eq(ouro_mutex_lock(&late), 0);
    ouro_promise *p;
    ouro_future *slow;
    check_eq(ouro_promise_new(&p, &slow), 0);
    ouro_future *fs[] = {ouro_mutex_lock_future(&early), ouro_mutex_lock_future(&late),
                         ouro_spawn(fail_later, NULL), slow};
    check_eq(ouro_await(ouro_gather(fs, 4, OURO_GATHER_FIRST_ERROR, NULL)), -EIO);
    check_eq(ouro_mutex_unlock(&late), 0);
    let_others_run();
    check(!ouro_mutex_locked(&early));
    check(!ouro_mutex_locked(&late));
    check_eq(ouro_promise_resolve(p, (ouro_result){0, NULL}, NULL), 0);
    ouro_promise_free(p);
    return 0;
}

/* ---- A deadline around a group's join -------------------------------------------------------- */

static int64_t sleep_long(void *arg)
{
    (void)arg;
    return ouro_await(ouro_sleep(OURO_SEC(60)));
}

TaskTest(regress_sync, a_deadline_around_the_join_of_a_group_is_told_as_one)
{
    ouro_group group;
    ouro_scope limit;
    check_eq(ouro_group_enter(&group, NULL), 0);
    check_eq(ouro_group_spawn(&group, sleep_long, NULL), 0);
    enter_timeout(&limit, OURO_MS(1));
    int64_t rc = ouro_scope_exit(&limit, ouro_group_join(&group));
    check_eq(ouro_group_live(&group), 0);
    check_eq(rc, -ETIMEDOUT);
    check_eq(ouro_group_spawn(&group, sleep_long, NULL), -ECANCELED);
    check_eq(ouro_group_exit(&group, rc), -ETIMEDOUT);
    return 0;
}

/* ---- A lock in a future ---------------------------------------------------------------------- */

TaskTest(regress_sync,
         a_lock_that_nobody_took_from_its_future_cannot_be_unlocked_and_goes_back_once)
{
    ouro_mutex m = {0};
    ouro_future *read = ouro_mutex_lock_future(&m), *taken = ouro_mutex_lock_future(&m);
    check_eq(ouro_future_result(read).n, 0);
    check_eq(ouro_mutex_unlock(&m), -EPERM);
    ouro_unref(read);
    check_eq(ouro_await(taken), 0);
    check(ouro_mutex_locked(&m));
    check_eq(ouro_mutex_unlock(&m), 0);
    check(!ouro_mutex_locked(&m));
    return 0;
}
