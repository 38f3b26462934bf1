/* SPDX-License-Identifier: MIT */
/*
 * Members: connections of a pool, from the attempt at them until their socket is closed.
 *
 *     CONNECTING -> IDLE <-> LEASED -> DRAINING -> IDLE, or gone
 *
 * All of them count, so that a server never sees more than the maximum, nor does it when many are
 * closed and made at once. One that has nothing to be tidied up goes from LEASED to IDLE directly.
 *
 * Happy path: the session says that it is quiet: then a single statement has been answered, or a
 * chore is done, and the connection is idle; whoever waits is served in the same breath.
 *
 * How it fails: the session says that it is lost, which takes the member out, wherever it was; and
 * an attempt that fails makes the next one wait, twice as long each time.
 */
#include "pg_pool_int.h"

#include <ouro/memory.h>
#include <ouro/time.h>

#include <assert.h>
#include <errno.h>

#define FIRST_PAUSE OURO_MS(50) /* after an attempt that failed */
#define LAST_PAUSE  OURO_SEC(5)

static void quiet(struct pg_session *s, void *arg);
static void lost(struct pg_session *s, void *arg);
static void gone(struct pg_session *s, void *arg);

static const struct pg_owner owner = {.quiet = quiet, .lost = lost, .gone = gone};

static struct pg_session *session_of(const struct pg_member *m)
{
    return m->base->session;
}

/* ---- Where they are -------------------------------------------------------------------------- */

void ouro__pg_member_move(struct pg_member *m, enum pg_member_state state)
{
    ouro_pg_pool *pool = m->pool;
    if (m->state == PG_IDLE)
        TAILQ_REMOVE(&pool->idle, m, idle);
    pool->counts[m->state]--;
    pool->counts[state]++;
    if (state == PG_IDLE)
        TAILQ_INSERT_HEAD(&pool->idle, m, idle);
    m->state = state;
}

static struct pg_member *member_new(ouro_pg_pool *pool)
{
    struct pg_member *m = ouro_memory_alloc(sizeof(*m));
    if (!m)
        return NULL;
    *m = (struct pg_member){
        .pool = ouro__pg_pool_ref(pool),
        .state = PG_CONNECTING,
        .deadline = OURO_FOREVER,
    };
    TAILQ_INSERT_TAIL(&pool->members, m, all);
    pool->total++;
    pool->counts[PG_CONNECTING]++;
    return m;
}

static void member_free(struct pg_member *m)
{
    ouro_pg_pool *pool = m->pool;
    assert(m->state != PG_IDLE && !m->lease);
    TAILQ_REMOVE(&pool->members, m, all);
    pool->total--;
    pool->counts[m->state]--;
    pool->dying -= m->dying;
    pool->asked -= m->asked;
    ouro_memory_release(m);
    if (pool->total == 0)
        ouro__pg_pool_emptied(pool);
    ouro__pg_pool_serve(pool);
    ouro__pg_pool_unref(pool);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void dies(struct pg_member *m)
{
    ouro__pg_member_move(m, PG_DRAINING);
    m->pool->dying += !m->dying;
    m->dying = true;
}

void ouro__pg_member_close(struct pg_member *m)
{
    dies(m);
    ouro__pg_session_close(session_of(m));
}

static void retire(struct pg_member *m)
{
    m->pool->stats.retired++;
    ouro__pg_member_close(m);
}

/* A network that has forgotten one silent connection has forgotten those that were silent for
 * longer. */
static void suspect_the_idle(ouro_pg_pool *pool)
{
    struct pg_member *m;
    ouro_ns now = ouro_now();
    for (m = TAILQ_FIRST(&pool->idle); m; m = TAILQ_NEXT(m, idle))
        if (now - m->idle_since >= pool->opts.check_after)
            m->dies = 0;
}

static void lost(struct pg_session *s, void *arg)
{
    struct pg_member *m = arg;
    ouro_pg_pool *pool = m->pool;
    if (s->lost == -ESHUTDOWN)
        ouro__pg_pool_shut_down(pool);
    else if (!m->dying)
        pool->stats.lost++;
    if (m->asked)
        suspect_the_idle(pool);
    if (m->lease)
        m->lease->member = NULL; /* it keeps the session, which tells why it is lost */
    m->lease = NULL;
    dies(m);
}

/* The socket is closed. */
static void gone(struct pg_session *s, void *arg)
{
    struct pg_member *m = arg;
    s->owner = NULL;
    if (s->top == m->base)
        s->top = NULL;
    ouro__pg_handle_detach(m->base);
    ouro__pg_handle_discard(m->base);
    member_free(m);
}

/* ---- Attempts -------------------------------------------------------------------------------- */

/* 10 % more or less. */
static ouro_ns life_of(ouro_pg_pool *pool)
{
    ouro_ns life = pool->opts.life, tenth = life / 10;
    if (life == OURO_FOREVER || tenth == 0)
        return life;
    return life - tenth + ouro__pg_pool_dice(pool, 2 * tenth);
}

/* It has nothing to do: it is idle from now on. */
static void settled(struct pg_member *m)
{
    ouro_pg_pool *pool = m->pool;
    ouro_ns now = ouro_now();
    m->deadline = OURO_FOREVER;
    pool->asked -= m->asked;
    m->asked = false;
    if (pool->closing) {
        ouro__pg_member_close(m);
        return;
    }
    if (m->dies <= now) {
        retire(m);
        return;
    }
    m->idle_since = now;
    ouro__pg_member_move(m, PG_IDLE);
    ouro_ns idle_end = ouro__pg_later(now, pool->opts.idle);
    ouro__pg_alarm_set(pool, idle_end < m->dies ? idle_end : m->dies);
    ouro__pg_pool_serve(pool);
}

/* What it has to do has to be done by then. */
static void set_deadline(struct pg_member *m, ouro_ns limit)
{
    m->deadline = ouro__pg_later(ouro_now(), limit);
    ouro__pg_alarm_set(m->pool, m->deadline);
}

/* It takes part from now on. */
static void join(struct pg_member *m, ouro_pg *base)
{
    ouro_pg_pool *pool = m->pool;
    struct pg_session *s = base->session;
    pool->stats.made++;
    pool->error = 0;
    pool->failed = 0;
    m->base = base;
    m->dies = ouro__pg_later(ouro_now(), life_of(pool));
    s->owner = &owner;
    s->owner_arg = m;
    ouro__pg_member_move(m, PG_DRAINING); /* there may be a limit to be set */
    set_deadline(m, pool->opts.connect_limit);
    if (s->lost)
        lost(s, m);
    if (s->lost && !s->db)
        gone(s, m);
    else if (!s->lost && pool->closing)
        ouro__pg_member_close(m);
    else if (!s->lost && ouro__pg_session_is_quiet(s))
        settled(m);
}

static void pause_attempts(ouro_pg_pool *pool)
{
    ouro_ns pause = FIRST_PAUSE << (pool->failed < 7 ? pool->failed : 7);
    if (pause > LAST_PAUSE)
        pause = LAST_PAUSE;
    pool->failed++;
    pause = pause / 2 + ouro__pg_pool_dice(pool, pause / 2);
    pool->retry_at = ouro__pg_later(ouro_now(), pause);
}

void ouro__pg_attempt_failed(ouro_pg_pool *pool, int64_t rc, const char *why)
{
    if (pool->closing || pool->shutdown)
        return;
    if (rc == -ESHUTDOWN || rc == -ECANCELED) {
        ouro__pg_pool_shut_down(pool);
        return;
    }
    pool->stats.failures++;
    pool->error = rc;
    snprintf(pool->why, sizeof pool->why, "%s", why ? why : ouro_strerror(rc));
    pause_attempts(pool);
    ouro__pg_watchers_tell(&pool->ready, rc, pool->why);
    if (ouro__pg_pool_live(pool) == 0)
        ouro__pg_line_fail(pool, rc, pool->why);
}

static void failed(struct pg_member *m, int64_t rc, const char *why)
{
    ouro_pg_pool *pool = m->pool;
    ouro__pg_pool_hold(pool);
    member_free(m);
    ouro__pg_attempt_failed(pool, rc, why);
    ouro__pg_pool_let_go(pool);
}

static void attempted(ouro_future *attempt, void *arg)
{
    struct pg_member *m = arg;
    ouro_result r = ouro_future_take(attempt);
    m->attempt = NULL;
    if (r.n >= 0) {
        join(m, r.ptr);
    } else {
        const char *why = ouro_future_detail(attempt);
        if (r.n == -ETIMEDOUT && !why)
            why = "cannot connect to PostgreSQL: it takes too long";
        failed(m, r.n, why);
    }
    ouro_unref(attempt);
}

void ouro__pg_member_connect(ouro_pg_pool *pool)
{
    struct pg_member *m = member_new(pool);
    if (!m) {
        ouro__pg_attempt_failed(pool, -ENOMEM, NULL);
        return;
    }
    m->attempt = ouro_timeout(ouro_pg_connect(pool->conninfo, &pool->opts.connection),
                              pool->opts.connect_limit);
    int rc = ouro_on_done(m->attempt, attempted, m);
    if (rc == 0)
        return;
    ouro_cancel(m->attempt);
    m->attempt = ouro_unref(m->attempt);
    failed(m, rc, NULL);
}

void ouro__pg_member_stop(struct pg_member *m)
{
    if (m->pool->loop == ouro_loop_current()) {
        ouro_cancel(m->attempt); /* attempted() is told */
        return;
    }
    ouro_off_done(m->attempt, attempted, m);
    m->attempt = ouro_unref(m->attempt);
    member_free(m);
}

/* ---- Giving back ----------------------------------------------------------------------------- */

void ouro__pg_member_give_back(struct pg_member *m)
{
    ouro_pg_pool *pool = m->pool;
    struct pg_session *s = session_of(m);
    m->lease = NULL;
    if (m->dying)
        return;
    ouro__pg_notifications_drop(s); /* libpq would keep for ever what nobody asks for */
    if (ouro__pg_is_tidy(m)) {
        settled(m);
        return;
    }
    ouro__pg_member_move(m, PG_DRAINING);
    set_deadline(m, ouro__pg_later(pool->opts.connect_limit, s->opts.cancel_grace));
    if (!pool->closing)
        ouro__pg_tidy(m);
    else if (ouro__pg_session_is_quiet(s))
        settled(m);
}

static void quiet(struct pg_session *s, void *arg)
{
    struct pg_member *m = arg;
    (void)s;
    if (m->dying)
        return;
    if (m->state == PG_DRAINING)
        settled(m);
    else if (m->state == PG_LEASED && !m->lease)
        ouro__pg_member_give_back(m);
}

/* ---- Finding, and sweeping ------------------------------------------------------------------- */

static void ask(struct pg_member *m)
{
    ouro_pg_pool *pool = m->pool;
    ouro__pg_member_move(m, PG_DRAINING);
    m->asked = true;
    pool->asked++;
    set_deadline(m, pool->opts.connect_limit);
    ouro__pg_ask(m);
}

struct pg_member *ouro__pg_member_find(ouro_pg_pool *pool)
{
    struct pg_member *m;
    while ((m = TAILQ_FIRST(&pool->idle))) {
        ouro_ns now = ouro_now();
        if (m->dies <= now)
            retire(m);
        else if (now - m->idle_since < pool->opts.check_after)
            return m;
        else if (pool->asked < pool->waiting)
            ask(m);
        else
            return NULL;
    }
    return NULL;
}

/* What to do with @m at @now, if anything; when to look again. */
static ouro_ns sweep(struct pg_member *m, ouro_ns now)
{
    ouro_pg_pool *pool = m->pool;
    if (m->dying || m->state == PG_CONNECTING)
        return OURO_FOREVER;
    if (m->state == PG_DRAINING && m->deadline <= now)
        ouro__pg_session_lose(session_of(m), -ETIMEDOUT, "the server has not answered in time");
    if (m->state == PG_DRAINING)
        return m->dying ? OURO_FOREVER : m->deadline;
    if (m->state != PG_IDLE)
        return OURO_FOREVER;
    ouro_ns idle_end = ouro__pg_later(m->idle_since, pool->opts.idle);
    bool unwanted = idle_end <= now && ouro__pg_pool_live(pool) > pool->opts.min;
    if (unwanted || m->dies <= now) {
        retire(m);
        return OURO_FOREVER;
    }
    return idle_end > now && idle_end < m->dies ? idle_end : m->dies;
}

ouro_ns ouro__pg_members_sweep(ouro_pg_pool *pool, ouro_ns now)
{
    ouro_ns next = OURO_FOREVER;
    struct pg_member *following;
    for (struct pg_member *m = TAILQ_FIRST(&pool->members); m; m = following) {
        following = TAILQ_NEXT(m, all);
        ouro_ns when = sweep(m, now);
        next = when < next ? when : next;
    }
    return next;
}
