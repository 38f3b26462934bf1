/* SPDX-License-Identifier: MIT */
/*
 * Handles: what users hold, look at, close and free.
 *
 * A handle refers to its session until it is closed; a closed one answers -EBADF. What a handle is
 * to be closed as, a connection, a lease or a transaction, is decided here and nowhere else.
 */
#include "session.h"

#include <ouro/memory.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pg_pool_int.h"
#include "transaction_int.h"

struct pg_closer {
    TAILQ_ENTRY(pg_closer) link;
    struct pg_session *session;
    ouro_promise *promise;
};

/* ---- Inside ---------------------------------------------------------------------------------- */

/* In the child of a fork the session is the parent's. */
static bool is_parents(const struct pg_session *s)
{
    return s->pid != getpid();
}

/* 0 where @s may be used: -ECHILD, -EXDEV. */
static int check_place(const struct pg_session *s)
{
    if (is_parents(s))
        return -ECHILD;
    return s->loop == ouro_loop_current() ? 0 : -EXDEV;
}

int ouro__pg_check(const ouro_pg *h)
{
    if (!h)
        return -EINVAL;
    if (!h->session)
        return -EBADF;
    int rc = check_place(h->session);
    return rc == 0 && h->session->closing ? -EBADF : rc;
}

ouro_pg *ouro__pg_handle_new(struct pg_session *s, ouro_pg *outer)
{
    ouro_pg *h = ouro_memory_alloc(sizeof(*h));
    if (!h)
        return NULL;
    *h = (ouro_pg){
        .session = ouro__pg_session_ref(s),
        .outer = outer,
        .depth = outer ? outer->depth + 1 : 0,
    };
    TAILQ_INIT(&h->line);
    return h;
}

void ouro__pg_handle_discard(ouro_pg *h)
{
    h->unwanted = true;
    if (h->holds == 0)
        ouro_memory_release(h);
}

void ouro__pg_handle_let_go(ouro_pg *h)
{
    if (--h->holds == 0 && h->unwanted)
        ouro_memory_release(h);
}

/* What runs on its behalf is for nobody any more. */
static void disown_current(struct pg_session *s)
{
    struct pg_command *c = s->current;
    if (c->kind->disown)
        c->kind->disown(c);
    if (c->promise)
        ouro_promise_fail(c->promise, -EBADF);
    ouro_promise_free(c->promise);
    c->promise = NULL;
    c->handle = NULL;
    c->error = NULL;
    ouro__pg_cancel_begin(s);
}

static void clear(struct pg_session *s, ouro_pg *h)
{
    struct pg_command *c;
    ouro__pg_handle_hold(h);
    while ((c = TAILQ_FIRST(&h->line)))
        ouro__pg_command_drop(c, -EBADF, NULL);
    if (s->current && s->current->handle == h)
        disown_current(s);
    ouro__pg_handle_let_go(h);
}

void ouro__pg_handle_clear(ouro_pg *h)
{
    clear(h->session, h);
}

void ouro__pg_handle_pop(ouro_pg *tx)
{
    struct pg_session *s = tx->session;
    ouro_pg *end = tx->outer, *h = s->top;
    s->top = end; /* at once: what follows may break the session off, and all that is on it */
    while (h != end) {
        ouro_pg *outer = h->outer;
        ouro__pg_handle_detach(h);
        h = outer;
    }
}

void ouro__pg_handle_detach(ouro_pg *h)
{
    struct pg_session *s = h->session;
    if (!s)
        return;
    h->session = NULL; /* so that nothing of what follows comes here again */
    ouro__pg_handle_hold(h);
    clear(s, h);
    ouro__pg_transaction_forget_task(h);
    ouro__pg_handle_let_go(h);
    ouro__pg_session_unref(s);
}

/* ---- Closing --------------------------------------------------------------------------------- */

void ouro__pg_closers_tell(struct pg_session *s)
{
    struct pg_closer *w;
    while ((w = TAILQ_FIRST(&s->closers))) {
        TAILQ_REMOVE(&s->closers, w, link);
        ouro_promise_resolve(w->promise, (ouro_result){0, NULL}, NULL);
        ouro_promise_free(w->promise);
        ouro_memory_release(w);
    }
}

static ouro_cancel_answer stop_waiting_for_close(ouro_promise *p, void *arg)
{
    struct pg_closer *w = arg;
    TAILQ_REMOVE(&w->session->closers, w, link);
    ouro_promise_fail(p, -ECANCELED);
    ouro_promise_free(p);
    ouro_memory_release(w);
    return OURO_LATER;
}

ouro_future *ouro__pg_session_closed(struct pg_session *s)
{
    ouro_future *f;
    if (!s->db)
        return ouro_ready(0);
    struct pg_closer *w = ouro_memory_alloc(sizeof(*w));
    int rc = w ? ouro_promise_new(&w->promise, &f) : -ENOMEM;
    if (rc < 0) {
        ouro_memory_release(w);
        return ouro_ready(rc);
    }
    w->session = s;
    TAILQ_INSERT_TAIL(&s->closers, w, link);
    ouro_promise_on_cancel(w->promise, stop_waiting_for_close, w);
    return f;
}

/* Close the session that @base was made for, under all of its handles. */
static void close_base(ouro_pg *base)
{
    struct pg_session *s = base->session;
    ouro__pg_session_close(s);
    while (s->top && s->top != base) {
        ouro_pg *tx = s->top;
        s->top = tx->outer;
        ouro__pg_handle_detach(tx);
    }
}

ouro_future *ouro_pg_close(ouro_pg *pg)
{
    int rc = !pg ? -EINVAL : pg->session ? check_place(pg->session) : 0;
    if (rc < 0 || !pg->session)
        return ouro_ready(rc);
    if (pg->lease) {
        ouro__pg_lease_end(pg);
        return ouro_ready(0);
    }
    if (pg->outer)
        return ouro__pg_transaction_end(pg);
    close_base(pg);
    return ouro__pg_session_closed(pg->session);
}

ouro_pg *ouro_pg_free(ouro_pg *pg)
{
    if (!pg || (pg->session && is_parents(pg->session)))
        return NULL;
    if (pg->lease) {
        ouro__pg_lease_free(pg);
        return NULL; /* the pool has the handle, for the time being */
    }
    if (pg->session && pg->outer)
        ouro__pg_transaction_drop(pg);
    if (pg->session) {
        struct pg_session *s = pg->session;
        close_base(pg);
        s->top = NULL;
        ouro__pg_session_unref(s);
    }
    ouro__pg_handle_discard(pg);
    return NULL;
}

/* ---- Looking at it --------------------------------------------------------------------------- */

int ouro_pg_error_get(const ouro_pg *pg, ouro_pg_error *ret_error)
{
    int rc = ret_error ? ouro__pg_check(pg) : -EINVAL;
    if (rc == 0)
        *ret_error = pg->session->error;
    return rc;
}

ouro_pg_state ouro_pg_state_get(const ouro_pg *pg)
{
    if (!pg || !pg->session || pg->session->closing)
        return OURO_PG_CLOSED;
    if (pg->session->lost)
        return OURO_PG_LOST;
    return pg->session->current ? OURO_PG_BUSY : OURO_PG_READY;
}

int ouro_pg_stats_get(const ouro_pg *pg, ouro_pg_stats *ret_stats)
{
    int rc = ret_stats ? ouro__pg_check(pg) : -EINVAL;
    if (rc == 0)
        *ret_stats = pg->session->stats;
    return rc;
}

int64_t ouro_pg_backend(const ouro_pg *pg)
{
    int rc = ouro__pg_check(pg);
    return rc < 0 ? rc : pg->session->backend;
}

const char *ouro_pg_parameter(const ouro_pg *pg, const char *name)
{
    if (!name || ouro__pg_check(pg) < 0 || pg->session->lost)
        return NULL;
    return PQparameterStatus(pg->session->db, name);
}
