/* SPDX-License-Identifier: MIT */
/*
 * Pools: their life.
 *
 * A pool is kept by references: of its user until ouro_pg_pool_free(), of its members until their
 * sockets are closed, of leases until they are freed. So it can be freed with all of that under
 * way.
 *
 * Happy path: a pool is made and connects nothing, or its minimum; it is closed: nobody is served
 * any more, what is idle is closed, what is leased when it comes back; then who waits for that is
 * told, and it is freed.
 *
 * How it fails: leases that have not come back in time are taken away from their users: their
 * statements are cancelled, and they read -EBADF. When the loop is shut down, the polls of all
 * sessions end, which are lost by that; nothing is connected any more.
 */
#include "pg_pool_int.h"

#include <ouro/memory.h>
#include <ouro/time.h>

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MAX           10
#define DEFAULT_ACQUIRE_LIMIT OURO_SEC(30)
#define DEFAULT_CONNECT_LIMIT OURO_SEC(5)
#define DEFAULT_LIFE          OURO_SEC(3600)
#define DEFAULT_IDLE          OURO_SEC(600)

/* ---- Inside ---------------------------------------------------------------------------------- */

void ouro__pg_pool_unref(ouro_pg_pool *pool)
{
    if (--pool->refs > 0)
        return;
    assert(pool->total == 0 && pool->waiting == 0);
    ouro__pg_leases_free(pool);
    ouro_memory_release(pool->conninfo);
    ouro_memory_release(pool);
}

int ouro__pg_pool_refuses(const ouro_pg_pool *pool)
{
    if (!pool)
        return -EINVAL;
    if (pool->loop != ouro_loop_current())
        return -EXDEV;
    if (pool->closing)
        return -EBADF;
    return pool->shutdown ? -ESHUTDOWN : 0;
}

void ouro__pg_pool_check(const ouro_pg_pool *pool)
{
    (void)pool;
    assert(pool->total <= pool->opts.max);
    assert(pool->total == pool->counts[PG_CONNECTING] + pool->counts[PG_IDLE] +
                              pool->counts[PG_LEASED] + pool->counts[PG_DRAINING]);
    assert(pool->dying <= pool->counts[PG_DRAINING]);
    assert(pool->asked <= pool->counts[PG_DRAINING]);
    assert((pool->waiting == 0) == TAILQ_EMPTY(&pool->line));
    assert((pool->counts[PG_IDLE] == 0) == TAILQ_EMPTY(&pool->idle));
    assert((pool->total == 0) == TAILQ_EMPTY(&pool->members));
    assert(!pool->closing || pool->waiting == 0);
}

/* xorshift64*, https://doi.org/10.1145/2845077 */
uint64_t ouro__pg_pool_dice(ouro_pg_pool *pool, uint64_t n)
{
    pool->dice ^= pool->dice >> 12;
    pool->dice ^= pool->dice << 25;
    pool->dice ^= pool->dice >> 27;
    return pool->dice * 2685821657736338717u % n;
}

void ouro__pg_pool_shut_down(ouro_pg_pool *pool)
{
    if (pool->shutdown)
        return;
    pool->shutdown = true;
    ouro__pg_line_fail(pool, -ESHUTDOWN, NULL);
    ouro__pg_watchers_tell(&pool->ready, -ESHUTDOWN, NULL);
}

/* ---- Watching -------------------------------------------------------------------------------- */

static void watcher_free(struct pg_watcher *w)
{
    TAILQ_REMOVE(w->line, w, link);
    ouro_promise_free(w->promise);
    ouro_memory_release(w);
}

void ouro__pg_watchers_tell(struct pg_watchers *line, int64_t rc, const char *why)
{
    struct pg_watcher *w;
    while ((w = TAILQ_FIRST(line))) {
        if (rc == 0)
            ouro_promise_resolve(w->promise, (ouro_result){0, NULL}, NULL);
        else if (why)
            ouro_promise_fail_with(w->promise, rc, "%s", why);
        else
            ouro_promise_fail(w->promise, rc);
        watcher_free(w);
    }
}

static ouro_cancel_answer stop_watching(ouro_promise *p, void *arg)
{
    ouro_promise_fail(p, -ECANCELED);
    watcher_free(arg);
    return OURO_LATER;
}

static ouro_future *watch(struct pg_watchers *line, const char *name)
{
    ouro_future *f;
    struct pg_watcher *w = ouro_memory_alloc(sizeof(*w));
    int rc = w ? ouro_promise_new(&w->promise, &f) : -ENOMEM;
    if (rc < 0) {
        ouro_memory_release(w);
        return ouro_ready(rc);
    }
    w->line = line;
    TAILQ_INSERT_TAIL(line, w, link);
    ouro_promise_set_name(w->promise, name);
    ouro_promise_on_cancel(w->promise, stop_watching, w);
    return f;
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* Whether anything can be waited for here. */
static int check_loop(void)
{
    ouro_promise *p;
    ouro_future *f;
    int rc = ouro_promise_new(&p, &f);
    if (rc < 0)
        return rc;
    ouro_promise_resolve(p, (ouro_result){0, NULL}, NULL);
    ouro_promise_free(p);
    ouro_unref(f);
    return 0;
}

static int check_conninfo(const char *conninfo)
{
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &error);
    int rc = options ? 0 : error ? -EINVAL : -ENOMEM;
    PQconninfoFree(options);
    PQfreemem(error);
    return rc;
}

/* What was not said. */
static void fill_in(ouro_pg_pool_options *o)
{
    o->max = o->max ? o->max : DEFAULT_MAX;
    o->acquire_limit = o->acquire_limit ? o->acquire_limit : DEFAULT_ACQUIRE_LIMIT;
    o->connect_limit = o->connect_limit ? o->connect_limit : DEFAULT_CONNECT_LIMIT;
    o->life = o->life ? o->life : DEFAULT_LIFE;
    o->idle = o->idle ? o->idle : DEFAULT_IDLE;
    o->check_after = o->check_after ? o->check_after : OURO_FOREVER;
}

static bool options_fit(const ouro_pg_pool_options *o)
{
    if (o->min < 0 || o->max < 0 || o->max_waiting < 0 || o->connection.statements < -1)
        return false;
    if ((unsigned)o->reset > OURO_PG_RESET_NONE || o->connection.names.family > OURO_FAMILY_IP6)
        return false;
    return o->min <= (o->max ? o->max : DEFAULT_MAX);
}

static ouro_pg_pool *make(const char *conninfo, const ouro_pg_pool_options *opts)
{
    size_t size = strlen(conninfo) + 1;
    char *copy = ouro_memory_alloc(size);
    ouro_pg_pool *pool = ouro_memory_alloc(sizeof(*pool));
    if (!pool || !copy) {
        ouro_memory_release(copy);
        ouro_memory_release(pool);
        return NULL;
    }
    *pool = (ouro_pg_pool){
        .refs = 1,
        .loop = ouro_loop_current(),
        .pid = getpid(),
        .conninfo = memcpy(copy, conninfo, size),
        .opts = *opts,
        .alarm_at = OURO_FOREVER,
        .grace_at = OURO_FOREVER,
    };
    pool->dice = (ouro_now() ^ (uint64_t)pool->pid << 40 ^ (uintptr_t)pool) | 1;
    TAILQ_INIT(&pool->members);
    TAILQ_INIT(&pool->idle);
    TAILQ_INIT(&pool->line);
    TAILQ_INIT(&pool->ready);
    TAILQ_INIT(&pool->closers);
    TAILQ_INIT(&pool->leases);
    fill_in(&pool->opts);
    return pool;
}

int ouro_pg_pool_new(const char *conninfo, const ouro_pg_pool_options *opts,
                     ouro_pg_pool **ret_pool)
{
    static const ouro_pg_pool_options defaults;
    opts = opts ? opts : &defaults;
    conninfo = conninfo ? conninfo : "";
    int rc = ret_pool && options_fit(opts) ? check_loop() : -EINVAL;
    if (rc == 0)
        rc = check_conninfo(conninfo);
    if (rc < 0)
        return rc;
    ouro_pg_pool *pool = make(conninfo, opts);
    if (!pool)
        return -ENOMEM;
    *ret_pool = pool;
    ouro__pg_pool_serve(pool);
    return 0;
}

ouro_future *ouro_pg_pool_ready(ouro_pg_pool *pool)
{
    int rc = ouro__pg_pool_refuses(pool);
    if (rc < 0)
        return ouro_ready(rc);
    if (ouro__pg_pool_is_ready(pool))
        return ouro_ready(0);
    if (pool->error && pool->retry_at > ouro_now())
        return ouro_failed(pool->error, "%s", pool->why);
    ouro_future *f = watch(&pool->ready, "PostgreSQL pool");
    ouro__pg_pool_serve(pool);
    return f;
}

/* ---- Closing --------------------------------------------------------------------------------- */

static void close_members(ouro_pg_pool *pool)
{
    struct pg_member *next;
    for (struct pg_member *m = TAILQ_FIRST(&pool->members); m; m = next) {
        next = TAILQ_NEXT(m, all);
        if (m->state == PG_CONNECTING)
            ouro__pg_member_stop(m);
        else if (m->state == PG_IDLE)
            ouro__pg_member_close(m);
    }
}

void ouro__pg_pool_emptied(ouro_pg_pool *pool)
{
    if (!pool->closing || pool->closed)
        return;
    ouro__pg_alarm_stop(pool);
    pool->closed = true;
    ouro__pg_watchers_tell(&pool->closers, pool->taken_away ? -ETIMEDOUT : 0, NULL);
}

static void begin_closing(ouro_pg_pool *pool, ouro_ns grace)
{
    ouro_ns grace_at = ouro__pg_later(ouro_now(), grace);
    ouro__pg_pool_hold(pool);
    if (!pool->closing) {
        pool->closing = true;
        ouro__pg_line_fail(pool, -EBADF, NULL);
        ouro__pg_watchers_tell(&pool->ready, -EBADF, NULL);
        close_members(pool);
    }
    if (grace_at < pool->grace_at)
        pool->grace_at = grace_at;
    if (grace == 0)
        ouro__pg_leases_take_away(pool);
    else
        ouro__pg_alarm_set(pool, pool->grace_at);
    if (pool->total == 0)
        ouro__pg_pool_emptied(pool);
    ouro__pg_pool_let_go(pool);
}

ouro_future *ouro_pg_pool_close(ouro_pg_pool *pool, ouro_ns grace)
{
    int rc = pool ? 0 : -EINVAL;
    if (rc == 0 && pool->pid != getpid())
        rc = -ECHILD;
    if (rc == 0 && pool->loop != ouro_loop_current())
        rc = -EXDEV;
    if (rc < 0)
        return ouro_ready(rc);
    begin_closing(pool, grace);
    if (pool->closed)
        return ouro_ready(pool->taken_away ? -ETIMEDOUT : 0);
    return watch(&pool->closers, "PostgreSQL pool's close");
}

ouro_pg_pool *ouro_pg_pool_free(ouro_pg_pool *pool)
{
    if (!pool || pool->pid != getpid())
        return NULL;
    begin_closing(pool, 0);
    ouro__pg_pool_unref(pool);
    return NULL;
}

/* ---- Looking at it --------------------------------------------------------------------------- */

int ouro_pg_pool_stats_get(const ouro_pg_pool *pool, ouro_pg_pool_stats *ret_stats)
{
    if (!pool || !ret_stats)
        return -EINVAL;
    if (pool->pid != getpid())
        return -ECHILD;
    if (pool->loop != ouro_loop_current())
        return -EXDEV;
    *ret_stats = pool->stats;
    ret_stats->total = pool->total;
    ret_stats->idle = pool->counts[PG_IDLE];
    ret_stats->leased = pool->counts[PG_LEASED];
    ret_stats->connecting = pool->counts[PG_CONNECTING];
    ret_stats->draining = pool->counts[PG_DRAINING];
    ret_stats->waiting = pool->waiting;
    return 0;
}
