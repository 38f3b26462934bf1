/* SPDX-License-Identifier: MIT */
/*
 * The line, and ouro_pg_pool_acquire().
 *
 * Happy path: nobody waits and a connection is idle: it is handed out at once. Else one stands in
 * line, and is handed the next connection directly: it never becomes anybody's who came later.
 * Connections are made by the pool because the line is longer than the attempts, not by any of
 * those who wait: who leaves stops nothing.
 *
 * How it fails: the line is too long, the wait is, or there is no connection and the last attempt
 * at one has failed: then waiting would be in vain, and all are told why.
 */
#include "pg_pool_int.h"

#include <ouro/memory.h>
#include <ouro/time.h>

#include <errno.h>
#include <string.h>

#define ATTEMPTS_AT_ONCE 2 /* each costs the loop some milliseconds with TLS and SCRAM */

/* ---- Leaving --------------------------------------------------------------------------------- */

static void leave(struct pg_waiter *w)
{
    ouro_pg_pool *pool = w->pool;
    if (!w->in_line)
        return;
    w->in_line = false;
    TAILQ_REMOVE(&pool->line, w, link);
    pool->waiting--;
}

/* Fail it, and free it: it is in no line. */
static void refuse(struct pg_waiter *w, int64_t rc, const char *why)
{
    struct pg_lease *l = w->lease;
    if (w->command) {
        ouro__pg_command_break(w->command, rc, why);
        return;
    }
    if (why && *why)
        ouro_promise_fail_with(w->promise, rc, "%s", why);
    else
        ouro_promise_fail(w->promise, rc);
    ouro_promise_free(w->promise);
    ouro__pg_lease_unmake(l);
}

static void send_away(struct pg_waiter *w, int64_t rc, const char *why)
{
    bool copied = w->command;
    leave(w);
    refuse(w, rc, why);
    if (copied)
        ouro_memory_release(w);
}

static ouro_cancel_answer asked_to_stop(ouro_promise *p, void *arg)
{
    struct pg_waiter *w = arg;
    (void)p;
    if (w->command)
        w->command->cancelled = true;
    send_away(w, -ECANCELED, NULL);
    return OURO_LATER;
}

void ouro__pg_line_fail(ouro_pg_pool *pool, int64_t rc, const char *why)
{
    struct pg_waiter *w;
    while ((w = TAILQ_FIRST(&pool->line)))
        send_away(w, rc, why);
}

ouro_ns ouro__pg_line_expire(ouro_pg_pool *pool, ouro_ns now)
{
    struct pg_waiter *w;
    char text[sizeof pool->why + 80];
    while ((w = TAILQ_FIRST(&pool->line))) {
        ouro_ns deadline = ouro__pg_later(w->since, pool->opts.acquire_limit);
        if (deadline > now)
            return deadline;
        snprintf(text, sizeof text, "no connection was free in time%s%s",
                 pool->error ? "; the last attempt at another has failed: " : "",
                 pool->error ? pool->why : "");
        pool->stats.timeouts++;
        pool->stats.waited += now - w->since;
        send_away(w, -ETIMEDOUT, text);
    }
    return OURO_FOREVER;
}

/* ---- Serving --------------------------------------------------------------------------------- */

static void grant(struct pg_waiter *w, struct pg_member *m)
{
    ouro_pg_pool *pool = m->pool;
    bool copied = w->in_line && w->command;
    if (w->in_line) {
        pool->stats.waits++;
        pool->stats.waited += ouro_now() - w->since;
        leave(w);
    }
    pool->stats.acquires++;
    ouro__pg_member_move(m, PG_LEASED);
    if (w->command)
        ouro__pg_command_bind(w->command, m->base);
    else
        ouro__pg_lease_give(w->lease, m);
    if (copied)
        ouro_memory_release(w);
}

/* Whether another connection is wanted; but not when the next may be tried. */
static bool wants_more(const ouro_pg_pool *pool)
{
    int connecting = pool->counts[PG_CONNECTING];
    if (pool->closing || pool->shutdown)
        return false;
    if (connecting >= ATTEMPTS_AT_ONCE || pool->total >= pool->opts.max)
        return false;
    int live = ouro__pg_pool_live(pool);
    bool awaited = !TAILQ_EMPTY(&pool->ready) && live == 0;
    return live < pool->opts.min || connecting < pool->waiting || awaited;
}

static void connect_more(ouro_pg_pool *pool)
{
    while (wants_more(pool)) {
        if (pool->error && pool->retry_at > ouro_now()) {
            ouro__pg_alarm_set(pool, pool->retry_at);
            return;
        }
        ouro__pg_member_connect(pool);
    }
}

bool ouro__pg_pool_is_ready(const ouro_pg_pool *pool)
{
    int there = ouro__pg_pool_live(pool) - pool->counts[PG_CONNECTING];
    return there >= (pool->opts.min > 1 ? pool->opts.min : 1);
}

void ouro__pg_pool_hold(ouro_pg_pool *pool)
{
    ouro__pg_pool_ref(pool);
    pool->holds++;
}

void ouro__pg_pool_let_go(ouro_pg_pool *pool)
{
    struct pg_waiter *w;
    struct pg_member *m;
    while (pool->holds == 1 && pool->serve) {
        pool->serve = false;
        while ((w = TAILQ_FIRST(&pool->line)) && (m = ouro__pg_member_find(pool)))
            grant(w, m);
        connect_more(pool);
        if (ouro__pg_pool_is_ready(pool))
            ouro__pg_watchers_tell(&pool->ready, 0, NULL);
    }
    pool->holds--;
    ouro__pg_pool_check(pool);
    ouro__pg_pool_unref(pool);
}

void ouro__pg_pool_serve(ouro_pg_pool *pool)
{
    pool->serve = true;
    if (pool->holds)
        return;
    ouro__pg_pool_hold(pool);
    ouro__pg_pool_let_go(pool);
}

/* ---- Standing in line ------------------------------------------------------------------------ */

/* A statement waits in a piece of memory of its own. */
static struct pg_waiter *keep(struct pg_waiter *w)
{
    if (!w->command)
        return w;
    struct pg_waiter *copy = ouro_memory_alloc(sizeof(*copy));
    if (copy)
        *copy = *w;
    return copy;
}

static void stand_in_line(ouro_pg_pool *pool, struct pg_waiter *given)
{
    struct pg_waiter *w = keep(given);
    if (!w) {
        refuse(given, -ENOMEM, NULL);
        return;
    }
    w->since = ouro_now();
    w->in_line = true;
    TAILQ_INSERT_TAIL(&pool->line, w, link);
    pool->waiting++;
    ouro_promise_on_cancel(w->promise, asked_to_stop, w);
    ouro__pg_alarm_set(pool, ouro__pg_later(w->since, pool->opts.acquire_limit));
    ouro__pg_pool_serve(pool);
}

/* Whether waiting would be in vain, for the time being. */
static bool is_in_vain(const ouro_pg_pool *pool)
{
    return pool->error && ouro__pg_pool_live(pool) == 0 && pool->retry_at > ouro_now();
}

void ouro__pg_line_enter(ouro_pg_pool *pool, struct pg_waiter *w)
{
    w->pool = pool;
    w->in_line = false;
    ouro__pg_pool_hold(pool);
    struct pg_member *m = TAILQ_EMPTY(&pool->line) ? ouro__pg_member_find(pool) : NULL;
    if (m) {
        grant(w, m);
    } else if (is_in_vain(pool)) {
        refuse(w, pool->error, pool->why);
    } else if (pool->opts.max_waiting && pool->waiting >= pool->opts.max_waiting) {
        pool->stats.refused++;
        refuse(w, -EAGAIN, NULL);
    } else {
        stand_in_line(pool, w);
    }
    ouro__pg_pool_let_go(pool);
}

ouro_future *ouro_pg_pool_acquire(ouro_pg_pool *pool)
{
    ouro_future *f;
    int rc = ouro__pg_pool_refuses(pool);
    if (rc < 0)
        return ouro_ready(rc);
    struct pg_lease *l = ouro__pg_lease_new(pool);
    rc = l ? ouro_promise_new(&l->waiter.promise, &f) : -ENOMEM;
    if (rc < 0) {
        ouro__pg_lease_unmake(l);
        return ouro_ready(rc);
    }
    ouro_promise_set_name(l->waiter.promise, "PostgreSQL lease");
    ouro__pg_line_enter(pool, &l->waiter);
    return f;
}
