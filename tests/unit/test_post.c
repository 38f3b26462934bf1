/* SPDX-License-Identifier: MIT */
/*
 * What other threads may do to a loop: post, wake, hold on to it; and what closing makes of that.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "refuse.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>

TestSuite(post, .timeout = 60);

static void join_thread(pthread_t thread)
{
    check_eq(pthread_join(thread, NULL), 0);
}

static pthread_t start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    check_eq(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

/* ---- Posting --------------------------------------------------------------------------------- */

struct resolver {
    ouro_loop *loop;
    ouro_promise *promise;
    pthread_t loop_thread;
    int rc;
};

static void resolve_here(void *arg)
{
    struct resolver *r = arg;
    check(pthread_equal(pthread_self(), r->loop_thread));
    check_eq(ouro_promise_resolve(r->promise, (ouro_result){21, NULL}, NULL), 0);
}

static void *post_resolve(void *arg)
{
    struct resolver *r = arg;
    struct timespec pause = {.tv_nsec = 5000000}; /* so that the loop has gone to sleep */
    nanosleep(&pause, NULL);
    r->rc = ouro_loop_post(r->loop, resolve_here, r, NULL);
    ouro_loop_unref(r->loop);
    return NULL;
}

WakeTest(post, wakes_a_sleeping_loop_and_runs_on_its_thread)
{
    ouro_future *f;
    struct resolver r = {.loop_thread = pthread_self(), .rc = -1};
    begin_kernel();
    check_eq(ouro_promise_new(&r.promise, &f), 0);
    r.loop = ouro_loop_ref(ouro_loop_current());
    pthread_t thread = start_thread(post_resolve, &r);
    check_eq(ouro_loop_run_until(ouro_loop_current(), f), 21);
    join_thread(thread);
    check_eq(r.rc, 0);
    check(stats().wakes >= 1);
    ouro_promise_free(r.promise);
    end();
}

static char order[16];
static size_t order_length;

static void append(void *arg)
{
    order[order_length++] = *(char *)arg;
}

static char names[] = "abcdefgh";

Test(post, posts_of_one_thread_run_in_order_and_never_inside_the_call)
{
    begin_fake();
    for (int i = 0; i < 8; i++)
        check_eq(ouro_loop_post(ouro_loop_current(), append, &names[i], NULL), 0);
    check_eq(order_length, 0);
    turns(2);
    check_text(order, "abcdefgh");
    end();
}

static void post_again(void *arg)
{
    append(arg);
    if (order_length < 3)
        check_eq(ouro_loop_post(ouro_loop_current(), post_again, arg, NULL), 0);
}

Test(post, a_post_made_by_a_post_runs_in_a_later_turn)
{
    begin_fake();
    check_eq(ouro_loop_post(ouro_loop_current(), post_again, names, NULL), 0);
    turn();
    check_eq(order_length, 1);
    turn();
    check_eq(order_length, 2);
    end();
    check_eq(order_length, 3);
}

Test(post, its_argument_is_freed_once_after_it_ran)
{
    struct life life = {0};
    begin_fake();
    check_eq(ouro_loop_post(ouro_loop_current(), live, &life, die), 0);
    turns(3);
    check_eq(life.ran, 1);
    check_eq(life.freed, 1);
    end();
    check_eq(life.freed, 1);
}

static void *post_live(void *arg)
{
    check_eq(ouro_loop_post(((struct resolver *)arg)->loop, resolve_here, arg, NULL), 0);
    return NULL;
}

WakeTest(post, one_made_before_the_loop_runs_is_not_lost)
{
    ouro_future *f;
    struct resolver r = {.loop_thread = pthread_self()};
    begin_kernel();
    check_eq(ouro_promise_new(&r.promise, &f), 0);
    r.loop = ouro_loop_current();
    join_thread(start_thread(post_live, &r));
    check_eq(ouro_loop_run_until(ouro_loop_current(), f), 21);
    ouro_promise_free(r.promise);
    end();
}

static int64_t spawned_by_post(void *arg)
{
    ++*(int *)arg;
    return 0;
}

static void spawn_here(void *arg)
{
    ouro_detach(ouro_spawn(spawned_by_post, arg));
}

Test(post, can_start_a_task)
{
    int runs = 0;
    begin_fake();
    check_eq(ouro_loop_post(ouro_loop_current(), spawn_here, &runs, NULL), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(runs, 1);
    end();
}

/* ---- Closing --------------------------------------------------------------------------------- */

Test(post, that_has_not_run_when_the_loop_closes_has_its_argument_freed_once)
{
    struct life life = {0};
    begin_fake();
    turns(2);
    check_eq(ouro_loop_post(ouro_loop_current(), live, &life, die), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
    check_eq(life.ran, 0);
    check_eq(life.freed, 1);
}

Test(post, those_that_have_not_run_are_freed_in_the_order_in_which_they_were_made)
{
    begin_fake();
    turns(2);
    for (int i = 0; i < 8; i++)
        check_eq(ouro_loop_post(ouro_loop_current(), live, &names[i], append), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
    check_text(order, "abcdefgh");
}

WakeTest(post, after_close_says_eshutdown_and_the_argument_stays_yours)
{
    struct life life = {0};
    begin_kernel();
    ouro_loop *loop = ouro_loop_ref(ouro_loop_current());
    turns(2);
    check_eq(ouro_loop_close(loop), 0);
    check_eq(ouro_loop_post(loop, live, &life, die), -ESHUTDOWN);
    check_eq(ouro_loop_wake(loop), -ESHUTDOWN);
    check(ouro_loop_unref(loop) == NULL);
    check_eq(life.ran + life.freed, 0);
    end_closed();
}

struct late {
    ouro_loop *loop;
    atomic_int go;
    int rc;
};

static void *post_late(void *arg)
{
    struct late *late = arg;
    static struct life life;
    while (!atomic_load(&late->go))
        sched_yield();
    late->rc = ouro_loop_post(late->loop, live, &life, die);
    ouro_loop_unref(late->loop);
    return NULL;
}

Test(post, a_thread_may_hold_a_loop_beyond_its_close_and_drop_the_last_reference)
{
    struct late late = {.rc = 0};
    begin_kernel();
    late.loop = ouro_loop_ref(ouro_loop_current());
    pthread_t thread = start_thread(post_late, &late);
    turns(2);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    atomic_store(&late.go, 1);
    join_thread(thread);
    check_eq(late.rc, -ESHUTDOWN);
    end_closed();
}

Test(post, references_take_null)
{
    check(ouro_loop_unref(NULL) == NULL);
    begin_fake();
    ouro_loop *loop = ouro_loop_current();
    check(ouro_loop_ref(loop) == loop);
    check(ouro_loop_unref(loop) == NULL);
    end();
}

/* ---- Waking ---------------------------------------------------------------------------------- */

static void *wake_it(void *arg)
{
    struct timespec pause = {.tv_nsec = 5000000};
    nanosleep(&pause, NULL);
    check_eq(ouro_loop_wake(arg), 0);
    return NULL;
}

WakeTest(post, wake_ends_a_wait_with_nothing_done)
{
    begin_kernel();
    ouro_detach(ouro_sleep(OURO_SEC(20)));
    ouro_ns start = ouro_now();
    pthread_t thread = start_thread(wake_it, ouro_loop_current());
    check_eq(ouro_loop_step(ouro_loop_current(), OURO_SEC(10)), 1);
    check(ouro_now() - start < OURO_SEC(9));
    join_thread(thread);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    end();
}

WakeTest(post, a_wake_before_the_wait_is_not_lost)
{
    begin_kernel();
    ouro_detach(ouro_sleep(OURO_SEC(20)));
    turns(2);
    ouro_ns start = ouro_now();
    check_eq(ouro_loop_wake(ouro_loop_current()), 0);
    check_eq(ouro_loop_step(ouro_loop_current(), OURO_SEC(10)), 1);
    check(ouro_now() - start < OURO_SEC(9));
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    end();
}

static void wake_from_handler(int signal)
{
    (void)signal;
    ouro_loop_wake(ouro_loop_current());
}

WakeTest(post, a_signal_handler_may_wake_the_loop)
{
    begin_kernel();
    ouro_detach(ouro_sleep(OURO_SEC(20)));
    turns(2);
    struct sigaction action = {.sa_handler = wake_from_handler, .sa_flags = SA_RESTART};
    check_eq(sigaction(SIGALRM, &action, NULL), 0);
    struct itimerval soon = {.it_value = {.tv_usec = 10000}};
    ouro_ns start = ouro_now();
    check_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
    check_eq(ouro_loop_step(ouro_loop_current(), OURO_SEC(10)), 1);
    check(ouro_now() - start < OURO_SEC(9));
    check(ouro_now() - start >= OURO_MS(10));
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    end();
}

/* ---- One wake for many ----------------------------------------------------------------------- */

static int posted;

static void count_post(void *arg)
{
    (void)arg;
    posted++;
}

struct poster {
    ouro_loop *loop;
    int count;
};

static void *post_many(void *arg)
{
    struct poster *p = arg;
    for (int i = 0; i < p->count; i++)
        check_eq(ouro_loop_post(p->loop, count_post, NULL, NULL), 0);
    return NULL;
}

Test(post, a_loop_that_does_not_sleep_is_woken_once_for_many)
{
    begin_kernel();
    turn();
    struct poster p = {ouro_loop_current(), 1000};
    uint64_t before = stats().wakes;
    join_thread(start_thread(post_many, &p));
    check(stats().wakes - before <= 1);
    turns(2);
    check_eq(posted, 1000);
    end();
}

Test(post, bad_arguments_are_einval)
{
    struct life life = {0};
    check_eq(ouro_loop_post(NULL, live, &life, die), -EINVAL);
    check_eq(ouro_loop_wake(NULL), -EINVAL);
    begin_fake();
    check_eq(ouro_loop_post(ouro_loop_current(), NULL, &life, die), -EINVAL);
    end();
    check_eq(life.ran + life.freed, 0);
}
