/* SPDX-License-Identifier: MIT */
/*
 * Remotes: the last reference goes while the loop closes.
 *
 * The loop is on a driver whose wake() takes long, so that a thread is held right where it wakes the loop.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

TestSuite(remote, .timeout = 60);

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
