/* SPDX-License-Identifier: MIT */
/*
 * Remotes: a thread without a loop starts work on one, waits for it, stops it, and takes what it
 * made.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "other.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

TestSuite(remote, .timeout = 60);

static struct other other; /* whose loop the test, a thread without one, has its work done on */

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

static ouro_remote *start(ouro_task_fn *fn, void *arg)
{
    ouro_remote *r = NULL;
    check_eq(ouro_remote_spawn(other.loop, fn, arg, NULL, &r), 0);
    check(r != NULL);
    return r;
}

static int64_t wait_for(ouro_remote *r)
{
    return ouro_remote_wait(r, OURO_FOREVER);
}

/* ---- Values ---------------------------------------------------------------------------------- */

static int64_t give(void *arg)
{
    return *(int *)arg;
}

static int64_t give_later(void *arg)
{
    check(pthread_equal(pthread_self(), other.thread));
    check_eq(nap(OURO_MS(5)), 0);
    return *(int *)arg;
}

Test(remote, runs_a_task_and_has_its_value_for_ever)
{
    int n = 41;
    other_begin(&other);
    ouro_remote *r = start(give_later, &n);
    for (int i = 0; i < 3; i++)
        check_eq(wait_for(r), 41);
    check_eq(ouro_remote_wait(r, 0), 41);
    check(ouro_remote_free(r) == NULL);
    other_finish(&other);
}

Test(remote, an_error_comes_back_as_it_is)
{
    int codes[] = {-EIO, -ENOMEM, -OURO_EWORKEREXIT};
    other_begin(&other);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        ouro_remote *r = start(give, &codes[i]);
        check_eq(wait_for(r), codes[i]);
        check_eq(wait_for(r), codes[i]);
        ouro_remote_free(r);
    }
    other_finish(&other);
}

static atomic_int waiting, cleaned, runs;

static int64_t wait_long(void *arg)
{
    (void)arg;
    atomic_fetch_add(&waiting, 1);
    return nap(OURO_SEC(1000));
}

static void wait_until_it_waits(void)
{
    while (!atomic_load(&waiting))
        usleep(1000);
}

static ouro_ns clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return OURO_SEC(t.tv_sec) + (ouro_ns)t.tv_nsec;
}

Test(remote, a_wait_ends_at_its_limit_and_never_early)
{
    other_begin(&other);
    ouro_remote *r = start(wait_long, NULL);
    ouro_ns begin = clock_now();
    check_eq(ouro_remote_wait(r, OURO_MS(20)), -EAGAIN);
    ouro_ns took = clock_now() - begin;
    check(took >= OURO_MS(20));
    check(took < OURO_SEC(10));
    check_eq(ouro_remote_wait(r, 0), -EAGAIN);
    check_eq(ouro_remote_cancel(r), 1);
    check_eq(ouro_remote_wait(r, OURO_FOREVER - 1), -ECANCELED);
    ouro_remote_free(r);
    other_finish(&other);
}

static void *wait_too(void *arg)
{
    ouro_remote *r = arg;
    int64_t n = wait_for(r);
    ouro_remote_free(r);
    return (void *)(intptr_t)n;
}

Test(remote, several_threads_may_wait_for_one)
{
    int n = 7;
    pthread_t threads[4];
    other_begin(&other);
    other_hold(&other);
    ouro_remote *r = start(give_later, &n);
    for (int i = 0; i < 4; i++)
        check_eq(pthread_create(&threads[i], NULL, wait_too, ouro_remote_ref(r)), 0);
    ouro_remote_free(r);
    other_go_on(&other);
    for (int i = 0; i < 4; i++) {
        void *got;
        check_eq(pthread_join(threads[i], &got), 0);
        check_eq((intptr_t)got, 7);
    }
    other_finish(&other);
}

static ouro_remote *mine;

static int64_t wait_for_myself(void *arg)
{
    (void)arg;
    check_eq(ouro_remote_wait(mine, OURO_SEC(1)), -EDEADLK);
    check_eq(ouro_remote_wait(mine, OURO_FOREVER), -EDEADLK);
    check_eq(ouro_remote_wait(mine, 0), -EAGAIN);
    return 5;
}

Test(remote, the_loops_own_thread_cannot_wait_but_look)
{
    other_begin(&other);
    other_hold(&other);
    mine = start(wait_for_myself, NULL);
    other_go_on(&other);
    check_eq(wait_for(mine), 5);
    ouro_remote_free(mine);
    other_finish(&other);
}

static const ouro_local key;
static char name_seen[32];

static int64_t look_around(void *arg)
{
    snprintf(name_seen, sizeof name_seen, "%s", ouro_task_name(NULL));
    live(arg);
    return ouro_local_get(&key) == NULL;
}

Test(remote, options_are_heeded_and_the_argument_freed)
{
    struct life life = {0};
    ouro_spawn_options opts = {.name = "errand", .stack_size = 1 << 18, .arg_free = die};
    ouro_remote *r;
    other_begin(&other);
    check_eq(ouro_remote_spawn(other.loop, look_around, &life, &opts, &r), 0);
    check_eq(wait_for(r), 1);
    check_eq(life.ran, 1);
    check_eq(life.freed, 1);
    check_text(name_seen, "errand");
    ouro_remote_free(r);
    other_finish(&other);
}

static int64_t count_run(void *arg)
{
    (void)arg;
    atomic_fetch_add(&runs, 1);
    return 0;
}

Test(remote, the_task_has_no_locals_not_even_the_loops)
{
    struct life life = {0};
    ouro_remote *r;
    begin_fake();
    check_eq(ouro_local_set(&key, &life, NULL), 0);
    check_eq(ouro_remote_spawn(ouro_loop_current(), look_around, &life, NULL, &r), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(ouro_remote_wait(r, 0), 1);
    check(ouro_local_get(&key) == &life);
    ouro_remote_free(r);
    end();
}

Test(remote, nobody_needs_to_wait)
{
    other_begin(&other);
    check_eq(ouro_remote_spawn(other.loop, count_run, NULL, NULL, NULL), 0);
    ouro_remote_free(start(count_run, NULL));
    ouro_remote *r = start(count_run, NULL);
    check_eq(wait_for(r), 0);
    check_eq(atomic_load(&runs), 3);
    ouro_remote_free(r);
    other_finish(&other);
}

Test(remote, an_error_that_nobody_waits_for_is_reported_by_the_loop)
{
    int n = -EIO;
    other_begin(&other);
    check_eq(ouro_remote_spawn(other.loop, give, &n, NULL, NULL), 0);
    other_hold(&other);
    ouro_remote_free(start(give, &n));
    other_go_on(&other);
    while (atomic_load(&other.reports) < 2)
        usleep(1000);
    atomic_store(&other.reports, 0);
    other_finish(&other);
}

/* ---- Objects --------------------------------------------------------------------------------- */

struct thing {
    pthread_t freed_by;
    atomic_int freed;
};

static void free_thing(void *arg)
{
    struct thing *thing = arg;
    thing->freed_by = pthread_self();
    atomic_fetch_add(&thing->freed, 1);
}

static int64_t give_thing(void *arg)
{
    check_eq(nap(OURO_MS(1)), 0);
    return ouro_task_return(arg, free_thing);
}

Test(remote, an_object_is_taken_once_with_its_destructor)
{
    struct thing thing = {0};
    ouro_free_fn *fn = NULL;
    other_begin(&other);
    other_hold(&other);
    ouro_remote *r = start(give_thing, &thing);
    check(ouro_remote_take(r, &fn) == NULL);
    check(fn == NULL);
    other_go_on(&other);
    check_eq(wait_for(r), 0);
    check(ouro_remote_take(r, &fn) == &thing);
    check(fn == free_thing);
    check(ouro_remote_take(r, &fn) == NULL);
    check(fn == NULL);
    check(ouro_remote_take(r, NULL) == NULL);
    check_eq(wait_for(r), 0);
    ouro_remote_free(r);
    other_finish(&other);
    check_eq(thing.freed, 0);
}

Test(remote, an_object_that_nobody_took_is_destroyed_on_the_loops_thread)
{
    struct thing things[3] = {0};
    other_begin(&other);
    ouro_remote *r = start(give_thing, &things[0]);
    check_eq(wait_for(r), 0);
    ouro_remote_free(r);
    ouro_remote_free(start(give_thing, &things[1]));
    check_eq(ouro_remote_spawn(other.loop, give_thing, &things[2], NULL, NULL), 0);
    other_finish(&other);
    for (int i = 0; i < 3; i++) {
        check_eq(things[i].freed, 1);
        check(pthread_equal(things[i].freed_by, other.thread));
    }
}

Test(remote, an_object_that_outlived_its_loop_is_destroyed_by_the_last_to_go)
{
    struct thing thing = {0};
    other_begin(&other);
    ouro_remote *r = start(give_thing, &thing);
    check_eq(wait_for(r), 0);
    other_finish(&other);
    check_eq(wait_for(r), 0);
    ouro_remote_ref(r);
    ouro_remote_free(r);
    check_eq(thing.freed, 0);
    ouro_remote_free(r);
    check_eq(thing.freed, 1);
    check(pthread_equal(thing.freed_by, pthread_self()));
}

Test(remote, a_result_that_was_taken_before_is_ealready)
{
    struct thing thing = {0};
    ouro_remote *r;
    begin_fake();
    ouro_future *f = ouro_spawn(give_thing, &thing);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check(ouro_future_take(f).ptr == &thing);
    check_eq(ouro_remote_new(f, &r), 0);
    check_eq(ouro_remote_wait(r, 0), -EALREADY);
    check(ouro_remote_take(r, NULL) == NULL);
    ouro_remote_free(r);
    end();
    check_eq(thing.freed, 0);
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

Test(remote, cancelled_before_it_began_it_never_runs)
{
    struct life life = {0};
    ouro_remote *r;
    other_begin(&other);
    other_hold(&other);
    check_eq(
        ouro_remote_spawn(other.loop, count_run, &life, &(ouro_spawn_options){.arg_free = die}, &r),
        0);
    check_eq(ouro_remote_cancel(r), 1);
    check_eq(ouro_remote_cancel(r), 0);
    other_go_on(&other);
    check_eq(wait_for(r), -ECANCELED);
    check_eq(life.freed, 1);
    check_eq(atomic_load(&runs), 0);
    check_eq(ouro_remote_cancel(r), 0);
    ouro_remote_free(r);
    other_finish(&other);
}

static int64_t clean_up(void *arg)
{
    ouro_scope s;
    int64_t rc = wait_long(arg);
    check_eq(ouro_scope_enter(&s, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(nap(OURO_MS(20)), 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    atomic_fetch_add(&cleaned, 1);
    return rc;
}

Test(remote, a_cancel_is_answered_when_the_task_has_cleaned_up)
{
    other_begin(&other);
    ouro_remote *r = start(clean_up, NULL);
    wait_until_it_waits();
    check_eq(ouro_remote_cancel(r), 1);
    check_eq(wait_for(r), -ECANCELED);
    check_eq(atomic_load(&cleaned), 1);
    ouro_remote_free(r);
    other_finish(&other);
}

static int64_t swallow(void *arg)
{
    return wait_long(arg) == -ECANCELED ? 9 : -EIO;
}

Test(remote, a_result_wins_over_a_cancel)
{
    int n = 4;
    other_begin(&other);
    ouro_remote *r = start(swallow, NULL);
    wait_until_it_waits();
    check_eq(ouro_remote_cancel(r), 1);
    check_eq(wait_for(r), 9);
    ouro_remote_free(r);
    r = start(give, &n);
    check_eq(wait_for(r), 4);
    check_eq(ouro_remote_cancel(r), 0);
    check_eq(wait_for(r), 4);
    ouro_remote_free(r);
    other_finish(&other);
}

Test(remote, one_that_was_given_up_can_have_been_cancelled_before)
{
    other_begin(&other);
    ouro_remote *r = start(clean_up, NULL);
    wait_until_it_waits();
    check_eq(ouro_remote_cancel(r), 1);
    ouro_remote_free(r);
    other_finish(&other);
    check_eq(atomic_load(&cleaned), 1);
}

static int64_t cancel_myself(void *arg)
{
    (void)arg;
    check_eq(ouro_cancel(ouro_task_current()), 1);
    return nap(OURO_SEC(1000));
}

Test(remote, cancelled_by_somebody_else_it_says_so)
{
    other_begin(&other);
    ouro_remote *r = start(cancel_myself, NULL);
    check_eq(wait_for(r), -OURO_ECHILDCANCELLED);
    ouro_remote_free(r);
    other_finish(&other);
}

/* ---- The loop closes ------------------------------------------------------------------------- */

Test(remote, work_that_shutdown_cancels_is_eshutdown)
{
    other_begin(&other);
    ouro_remote *r = start(clean_up, NULL);
    wait_until_it_waits();
    other_end(&other, OTHER_SHUTDOWN);
    check_eq(wait_for(r), -ESHUTDOWN);
    check_eq(atomic_load(&cleaned), 1);
    other_join(&other);
    check_eq(other.shutdown_rc, 0);
    check_eq(wait_for(r), -ESHUTDOWN);
    check_eq(ouro_remote_cancel(r), 0);
    ouro_remote_free(r);
}

Test(remote, to_a_closed_loop_nothing_starts_and_the_argument_stays_yours)
{
    struct life life = {0};
    ouro_remote *r = NULL;
    other_begin(&other);
    ouro_loop *closed = ouro_loop_ref(other.loop);
    other_finish(&other);
    check_eq(
        ouro_remote_spawn(closed, count_run, &life, &(ouro_spawn_options){.arg_free = die}, &r),
        -ESHUTDOWN);
    check(r == NULL);
    check_eq(life.freed, 0);
    ouro_loop_unref(closed);
}

static atomic_int stage;
static ouro_loop *never_run;

static void *close_without_a_turn(void *arg)
{
    (void)arg;
    check_eq(ouro_loop_new(NULL, &never_run), 0);
    ouro_loop_ref(never_run);
    atomic_store(&stage, 1);
    while (atomic_load(&stage) < 2)
        usleep(1000);
    check_eq(ouro_loop_close(never_run), 0);
    return NULL;
}

Test(remote, work_that_a_closing_loop_has_not_begun_is_eshutdown_and_its_argument_freed)
{
    struct life life = {0};
    pthread_t thread;
    ouro_remote *r, *stopped;
    ouro_spawn_options opts = {.arg_free = die};
    check_eq(pthread_create(&thread, NULL, close_without_a_turn, NULL), 0);
    while (!atomic_load(&stage))
        usleep(1000);
    check_eq(ouro_remote_spawn(never_run, count_run, &life, &opts, &r), 0);
    check_eq(ouro_remote_spawn(never_run, count_run, &life, &opts, &stopped), 0);
    check_eq(ouro_remote_spawn(never_run, count_run, &life, &opts, NULL), 0);
    check_eq(ouro_remote_cancel(stopped), 1);
    check_eq(ouro_remote_wait(r, OURO_MS(1)), -EAGAIN);
    atomic_store(&stage, 2);
    check_eq(wait_for(r), -ESHUTDOWN);
    check_eq(wait_for(stopped), -ESHUTDOWN);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(life.freed, 3);
    check_eq(atomic_load(&runs), 0);
    ouro_remote_free(r);
    ouro_remote_free(stopped);
    ouro_loop_unref(never_run);
}

static ouro_cancel_answer not_now(ouro_promise *p, void *arg)
{
    (void)p;
    (void)arg;
    return OURO_LATER;
}

static int64_t never_end(void *arg)
{
    ouro_promise *p;
    ouro_future *f;
    (void)arg;
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_promise_on_cancel(p, not_now, NULL), 0);
    atomic_fetch_add(&waiting, 1);
    return ouro_await(f);
}

/* The waiter hears of it before the loop is closed: whoever closes it may wait for the waiter
 * first. */
static int give_up(void)
{
    ouro_loop *loop;
    ouro_remote *r, *late;
    pthread_t thread;
    void *got;
    child_check(ouro_loop_new(NULL, &loop) == 0);
    ouro_future *task = ouro_spawn(never_end, NULL);
    child_check(ouro_remote_new(ouro_ref(task), &r) == 0);
    child_check(pthread_create(&thread, NULL, wait_too, ouro_remote_ref(r)) == 0);
    child_check(ouro_loop_step(loop, 0) == 1);
    child_check(ouro_loop_shutdown(loop, 1) == -ETIMEDOUT);
    child_check(pthread_join(thread, &got) == 0);
    child_check((intptr_t)got == -ESHUTDOWN);
    child_check(ouro_remote_new(task, &late) == 0);
    child_check(ouro_remote_wait(late, 0) == -EAGAIN);
    child_check(ouro_loop_close(loop) == 0);
    child_check(ouro_remote_wait(r, 0) == -ESHUTDOWN);
    child_check(ouro_remote_wait(late, 0) == -ESHUTDOWN);
    ouro_remote_free(r);
    ouro_remote_free(late);
    return 0;
}

Test(remote, work_that_shutdown_gives_up_is_eshutdown)
{
    check_child(give_up, (char[4096]){0}, 4096);
}

Test(remote, a_task_that_a_thread_waits_for_is_cancelled_by_shutdown_like_any)
{
    ouro_remote *r;
    begin_kernel();
    check_eq(ouro_remote_new(ouro_spawn(clean_up, NULL), &r), 0);
    turns(2);
    ouro_ns begin = ouro_now();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(20)), 0);
    check(ouro_now() - begin < OURO_SEC(10));
    check_eq(atomic_load(&cleaned), 1);
    check_eq(ouro_remote_wait(r, 0), -ESHUTDOWN);
    ouro_remote_free(r);
    end();
}

/* ---- Refusals -------------------------------------------------------------------------------- */

Test(remote, bad_arguments_are_einval)
{
    ouro_remote *r = NULL;
    int n = 1;
    ouro_spawn_options huge = {.stack_size = SIZE_MAX};
    check_eq(ouro_remote_wait(NULL, 0), -EINVAL);
    check_eq(ouro_remote_cancel(NULL), -EINVAL);
    check(ouro_remote_take(NULL, NULL) == NULL);
    check(ouro_remote_ref(NULL) == NULL);
    check(ouro_remote_free(NULL) == NULL);
    check_eq(ouro_remote_spawn(NULL, give, &n, NULL, &r), -EINVAL);
    begin_fake();
    check_eq(ouro_remote_spawn(ouro_loop_current(), NULL, &n, NULL, &r), -EINVAL);
    check_eq(ouro_remote_spawn(ouro_loop_current(), give, &n, &huge, &r), -EINVAL);
    check_eq(ouro_remote_new(NULL, &r), -EINVAL);
    check_eq(ouro_remote_new(ouro_ready(1), NULL), -EINVAL);
    check(r == NULL);
    end();
}

static ouro_future *theirs;

static void make_theirs(void *arg)
{
    (void)arg;
    theirs = ouro_ready(1);
}

static void drop_theirs(void *arg)
{
    (void)arg;
    ouro_unref(theirs);
}

Test(remote, another_threads_future_is_exdev_and_stays_theirs)
{
    ouro_remote *r;
    begin_fake();
    other_begin(&other);
    check_eq(ouro_loop_post(other.loop, make_theirs, NULL, NULL), 0);
    other_hold(&other);
    check_eq(ouro_remote_new(theirs, &r), -EXDEV);
    other_go_on(&other);
    check_eq(ouro_loop_post(other.loop, drop_theirs, NULL, NULL), 0);
    other_finish(&other);
    end();
}

static int use_in_child(void)
{
    ouro_remote *r;
    int n = 1;
    child_check(ouro_remote_spawn(other.loop, give, &n, NULL, &r) == -ECHILD);
    child_check(ouro_remote_wait(mine, OURO_FOREVER) == -ECHILD);
    child_check(ouro_remote_cancel(mine) == -ECHILD);
    child_check(ouro_remote_free(mine) == NULL);
    return 0;
}

Test(remote, in_the_child_of_a_fork_it_is_echild)
{
    other_begin(&other);
    mine = start(wait_long, NULL);
    wait_until_it_waits();
    check_child(use_in_child, NULL, 0);
    check_eq(ouro_remote_cancel(mine), 1);
    check_eq(wait_for(mine), -ECANCELED);
    ouro_remote_free(mine);
    other_finish(&other);
}

static struct thing child_thing;

static int free_in_child(void)
{
    ouro_remote_free(mine);
    child_check(child_thing.freed == 0);
    return 0;
}

Test(remote, in_the_child_of_a_fork_no_destructor_runs)
{
    other_begin(&other);
    mine = start(give_thing, &child_thing);
    check_eq(wait_for(mine), 0);
    check_child(free_in_child, NULL, 0);
    ouro_remote_free(mine);
    other_finish(&other);
    check_eq(child_thing.freed, 1);
}

Test(remote, no_memory_is_enomem_and_all_it_needs_is_one_record)
{
    struct life life = {0};
    ouro_spawn_options opts = {.arg_free = die};
    ouro_remote *r = NULL;
    ration_memory();
    other_begin(&other);
    grants = 0;
    check_eq(ouro_remote_spawn(other.loop, wait_long, &life, &opts, &r), -ENOMEM);
    check(r == NULL);
    check_eq(life.freed, 0);
    grants = 1;
    check_eq(ouro_remote_spawn(other.loop, wait_long, &life, &opts, &r), 0);
    check_eq(grants, 0);
    wait_until_it_waits();
    check_eq(ouro_remote_wait(r, OURO_MS(1)), -EAGAIN);
    check_eq(ouro_remote_cancel(r), 1);
    check_eq(wait_for(r), -ECANCELED);
    check_eq(life.freed, 1);
    ouro_remote_free(r);
    grants = -1;
    begin_fake();
    ouro_future *f = ouro_sleep(OURO_MS(1));
    grants = 0;
    check_eq(ouro_remote_new(f, &r), -ENOMEM);
    grants = -1;
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(stats().live_futures, 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    other_finish(&other);
}
