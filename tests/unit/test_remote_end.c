/* SPDX-License-Identifier: MIT */
/*
 * Remotes: the last reference goes while the loop closes, or in the child of a fork.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

TestSuite(remote, .timeout = 60);

/* A driver whose wake() takes long: a thread is held right where it wakes the loop. */
static atomic_bool in_wake, closed;
static bool freed_too_early;

static void wake_slowly(struct ouro__driver *d)
{
    const struct fake *fake = (const struct fake *)(void *)d;
    atomic_store(&in_wake, true);
    while (!atomic_load(&closed))
        usleep(100);
    freed_too_early = fake->is_freed;
}

static int destroyed;

static void destroy(void *object)
{
    (void)object;
    destroyed++;
}

static int64_t give_object(void *arg)
{
    return ouro_task_return(arg, destroy);
}

static void *drop(void *r)
{
    return ouro_remote_free(r);
}

Test(remote, a_loop_stays_until_who_drops_the_last_reference_has_woken_it)
{
    pthread_t thread;
    ouro_remote *r;
    struct fake *fake = begin_fake();
    struct ouro__driver_ops slow = *fake->driver.ops;
    slow.wake = wake_slowly;
    check_eq(ouro_remote_new(ouro_spawn(give_object, &thread), &r), 0);
    turns(3);
    check_eq(ouro_remote_wait(r, 0), 0);
    fake->driver.ops = &slow;
    check_eq(pthread_create(&thread, NULL, drop, r), 0);
    while (!atomic_load(&in_wake))
        usleep(100);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(destroyed, 1);
    atomic_store(&closed, true);
    check_eq(pthread_join(thread, NULL), 0);
    check(!freed_too_early);
    check(fake->is_freed);
    end_closed();
}

static _Atomic(ouro_remote *) waited_for;

static void *wait_for_ever(void *loop)
{
    ouro_remote *r;
    check_eq(ouro_remote_spawn(loop, give_object, NULL, NULL, &r), 0);
    atomic_store(&waited_for, r);
    check_eq(ouro_remote_wait(r, OURO_FOREVER), 0);
    return ouro_remote_free(r);
}

static int drop_and_close(void)
{
    alarm(10);
    ouro_remote_free(atomic_load(&waited_for));
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    return 0;
}

/* The thread that waits for it is not there, though it stands in line. */
Test(remote, the_child_of_a_fork_can_drop_what_a_thread_waits_for)
{
    pthread_t thread;
    begin_kernel();
    check_eq(pthread_create(&thread, NULL, wait_for_ever, ouro_loop_current()), 0);
    while (!atomic_load(&waited_for))
        usleep(1000);
    usleep(20000); /* it says so just before it waits */
    check_child(drop_and_close, NULL, 0);
    turns(3);
    check_eq(pthread_join(thread, NULL), 0);
    end();
}
