/* SPDX-License-Identifier: MIT */
/*
 * The one timer of a pool, for all of its deadlines: of those who wait, of idle and of old
 * connections, of chores, of the next attempt at a connection, of a close.
 *
 * It is an operation in the background, since an idle pool must not keep its loop running, as a
 * callback would; the promises of those who wait do that.
 *
 * Happy path: it is set to the earliest of the deadlines, and rings; then all are looked at, and it
 * is set to the earliest of those that are left. A later deadline does not touch it, so that
 * setting it costs nothing: it may ring in vain, about once in an idle limit. For an earlier one it
 * is cancelled, and set again when it has ended, since the kernel may still read its time.
 *
 * How it fails: without memory it is not set; whatever happens next in the pool tries again.
 */
#include "pg_pool_int.h"

#include <errno.h>

#include <ouro/time.h>

static void rang(void *arg, int64_t n);

static void arm(ouro_pg_pool *pool, ouro_ns now)
{
    ouro_ns delay = pool->alarm_at > now ? pool->alarm_at - now : 0;
    pool->alarm.ready = rang;
    pool->alarm.arg = pool;
    if (ouro__pg_wait_time(&pool->alarm, delay) == 0)
        ouro__pg_pool_ref(pool);
    else
        pool->alarm_at = OURO_FOREVER;
}

static void cancel(ouro_pg_pool *pool)
{
    if (!pool->alarm.poll || pool->alarm_moved)
        return;
    pool->alarm_moved = true;
    if (ouro__pg_wait_cancel(&pool->alarm))
        return;
    pool->alarm_moved = false; /* its loop is gone */
    ouro__pg_pool_unref(pool);
}

void ouro__pg_alarm_set(ouro_pg_pool *pool, ouro_ns when)
{
    if (when >= pool->alarm_at || pool->shutdown || pool->closed)
        return;
    pool->alarm_at = when;
    if (pool->alarm.poll)
        cancel(pool);
    else
        arm(pool, ouro_now());
}

void ouro__pg_alarm_stop(ouro_pg_pool *pool)
{
    pool->alarm_at = OURO_FOREVER;
    cancel(pool);
}

static ouro_ns earlier(ouro_ns a, ouro_ns b)
{
    return a < b ? a : b;
}

/* Look at everything. */
static void look(ouro_pg_pool *pool, ouro_ns now)
{
    ouro__pg_pool_hold(pool);
    if (pool->grace_at <= now)
        ouro__pg_leases_take_away(pool);
    ouro_ns next = ouro__pg_line_expire(pool, now);
    next = earlier(next, ouro__pg_members_sweep(pool, now));
    ouro__pg_alarm_set(pool, earlier(next, pool->grace_at));
    pool->serve = true;
    ouro__pg_pool_let_go(pool);
}

static void rang(void *arg, int64_t n)
{
    ouro_pg_pool *pool = arg;
    bool moved = pool->alarm_moved;
    pool->alarm_moved = false;
    ouro_ns now = ouro_now();
    if (n == -ESHUTDOWN || (n == -ECANCELED && !moved)) {
        pool->alarm_at = OURO_FOREVER;
        ouro__pg_pool_shut_down(pool);
    } else if (pool->alarm_at > now) {
        if (pool->alarm_at != OURO_FOREVER)
            arm(pool, now);
    } else {
        pool->alarm_at = OURO_FOREVER;
        look(pool, now);
    }
    ouro__pg_pool_unref(pool);
}
