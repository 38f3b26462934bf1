/* SPDX-License-Identifier: MIT */
/*
 * Leases: the handles by which users have a connection of a pool.
 *
 * Happy path: a lease is made when somebody asks for one, so that handing over needs no memory;
 * when a connection is there, its handle is put on top of the session and into the promise. When
 * the lease is over, whatever is on top of it and itself is taken off the session, which the pool
 * tidies up.
 *
 * A handle that was freed has no session: who uses it is told -EBADF, and freeing it again does
 * nothing. That holds as long as nobody else gets it: so the one that is free for longest is taken,
 * and none while few are free.
 */
#include "pg_pool_int.h"

#include <ouro/memory.h>

#include <string.h>
#include <unistd.h>

#define KEPT_AT_LEAST 64 /* handles, before one is used again */

struct pg_lease *ouro__pg_lease_new(ouro_pg_pool *pool)
{
    struct pg_lease *l = TAILQ_FIRST(&pool->leases);
    if (pool->free_leases >= KEPT_AT_LEAST) {
        TAILQ_REMOVE(&pool->leases, l, link);
        pool->free_leases--;
    } else {
        l = ouro_memory_alloc(sizeof(*l));
    }
    if (!l)
        return NULL;
    *l = (struct pg_lease){.pool = pool};
    l->waiter.lease = l;
    l->handle.lease = l;
    TAILQ_INIT(&l->handle.line);
    return l;
}

void ouro__pg_lease_unmake(struct pg_lease *l)
{
    ouro_memory_release(l);
}

static void nobody_took_it(void *lease)
{
    ouro_pg_free(lease);
}

void ouro__pg_lease_give(struct pg_lease *l, struct pg_member *m)
{
    struct pg_session *s = m->base->session;
    ouro_promise *p = l->waiter.promise;
    l->handle.session = ouro__pg_session_ref(s);
    l->member = m;
    l->out = true;
    ouro__pg_pool_ref(l->pool);
    m->lease = l;
    s->top = &l->handle;
    memset(&s->error, 0, sizeof s->error); /* of whoever had it before */
    l->waiter.promise = NULL;
    if (ouro_promise_resolve(p, (ouro_result){0, &l->handle}, nobody_took_it) < 0)
        ouro_pg_free(&l->handle);
    ouro_promise_free(p);
}

/* Take everything of the lease off the session. */
static void take_off(struct pg_lease *l, struct pg_session *s)
{
    while (s->top && s->top != &l->handle) {
        ouro_pg *tx = s->top;
        s->top = tx->outer;
        ouro__pg_handle_detach(tx);
    }
    s->top = l->member ? l->member->base : NULL;
    ouro__pg_handle_detach(&l->handle);
}

void ouro__pg_lease_end(ouro_pg *lease)
{
    struct pg_lease *l = lease->lease;
    ouro_pg_pool *pool = l->pool;
    struct pg_session *s = lease->session;
    if (!s || pool->pid != getpid())
        return;
    ouro__pg_pool_hold(pool);
    ouro__pg_session_ref(s);
    struct pg_member *m = l->member;
    take_off(l, s);
    l->member = NULL;
    if (m && m->lease == l)
        ouro__pg_member_give_back(m);
    ouro__pg_session_unref(s);
    ouro__pg_pool_let_go(pool);
}

void ouro__pg_lease_free(ouro_pg *lease)
{
    struct pg_lease *l = lease->lease;
    ouro__pg_lease_end(lease);
    if (!l->out)
        return;
    l->out = false;
    TAILQ_INSERT_TAIL(&l->pool->leases, l, link);
    l->pool->free_leases++;
    ouro__pg_pool_unref(l->pool);
}

void ouro__pg_leases_take_away(ouro_pg_pool *pool)
{
    struct pg_member *next;
    pool->grace_at = OURO_FOREVER;
    for (struct pg_member *m = TAILQ_FIRST(&pool->members); m; m = next) {
        next = TAILQ_NEXT(m, all);
        if (m->state != PG_LEASED)
            continue;
        pool->taken_away = true;
        if (m->lease) {
            ouro__pg_lease_end(&m->lease->handle);
        } else {
            ouro__pg_handle_clear(m->base);
            ouro__pg_member_give_back(m);
        }
    }
}

void ouro__pg_leases_free(ouro_pg_pool *pool)
{
    struct pg_lease *l;
    while ((l = TAILQ_FIRST(&pool->leases))) {
        TAILQ_REMOVE(&pool->leases, l, link);
        ouro_memory_release(l);
    }
}
