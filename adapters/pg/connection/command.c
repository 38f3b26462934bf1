/* SPDX-License-Identifier: MIT */
/*
 * Commands: how they are made, queued, cancelled and told what they came to.
 *
 * A command is one piece of memory with whatever its kind needs, the statement included; so when it
 * is made, nothing can be missing later. It ends by its kind's end(), wherever it is then: in line,
 * running, or broken off.
 */
#include "session.h"

#include <ouro/memory.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "query_int.h"

/* ---- Cancelling ------------------------------------------------------------------------------ */

void ouro__pg_command_cancel(struct pg_command *c)
{
    if (!c->running) {
        ouro__pg_command_drop(c, -ECANCELED, NULL);
        return;
    }
    c->cancelled = true;
    ouro__pg_cancel_begin(c->session);
}

static ouro_cancel_answer asked_to_stop(ouro_promise *p, void *arg)
{
    struct pg_command *c = arg;
    (void)p;
    if (c->kind->cancel)
        c->kind->cancel(c);
    else
        ouro__pg_command_cancel(c);
    return OURO_LATER; /* what it comes to is said by its end() */
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* Whether the running task has begun a transaction on @h that is still open: it would wait for
 * itself. */
static bool waits_for_itself(const ouro_pg *h)
{
    ouro_future *me = ouro_task_current();
    if (!me)
        return false;
    for (const ouro_pg *inner = h->session->top; inner && inner != h; inner = inner->outer)
        if (inner->task == me)
            return true;
    return false;
}

static ouro_future *refusal(const ouro_pg *h)
{
    int rc = ouro__pg_check(h);
    if (rc < 0)
        return ouro_ready(rc);
    if (h->session->lost)
        return ouro_failed(h->session->lost, "%s", h->session->why);
    if (h->ending)
        return ouro_ready(-EBADF);
    if (waits_for_itself(h))
        return ouro_failed(-EDEADLK, "this task has a transaction open on the connection");
    return NULL;
}

static void init(struct pg_command *c, struct pg_session *s, const struct pg_command_kind *kind)
{
    *c = (struct pg_command){.kind = kind, .session = s};
}

void *ouro__pg_command_new(ouro_pg *h, size_t size, const struct pg_command_kind *kind,
                           ouro_future **ret)
{
    *ret = refusal(h);
    if (*ret)
        return NULL;
    struct pg_command *c = ouro_memory_alloc(size);
    if (!c) {
        *ret = ouro_ready(-ENOMEM);
        return NULL;
    }
    init(c, h->session, kind);
    c->handle = h;
    int rc = ouro__pg_command_promise(c, ret);
    if (rc < 0) {
        ouro_memory_release(c);
        *ret = ouro_ready(rc);
        return NULL;
    }
    return c;
}

void *ouro__pg_command_loose(size_t size, const struct pg_command_kind *kind, ouro_future **ret)
{
    struct pg_command *c = ouro_memory_alloc(size);
    if (c)
        init(c, NULL, kind);
    int rc = c ? ouro__pg_command_promise(c, ret) : -ENOMEM;
    if (rc == 0)
        return c;
    ouro_memory_release(c);
    *ret = ouro_ready(rc);
    return NULL;
}

void ouro__pg_command_bind(struct pg_command *c, ouro_pg *h)
{
    c->session = h->session;
    c->handle = h;
    ouro_promise_on_cancel(c->promise, asked_to_stop, c);
    ouro__pg_command_queue(c);
}

int ouro__pg_command_promise(struct pg_command *c, ouro_future **ret)
{
    int rc = ouro_promise_new(&c->promise, ret);
    if (rc < 0)
        return rc;
    ouro_promise_on_cancel(c->promise, asked_to_stop, c);
    ouro_promise_set_name(c->promise, c->kind->name);
    return 0;
}

void ouro__pg_command_unmake(struct pg_command *c, int64_t rc)
{
    ouro__pg_command_break(c, rc, NULL);
}

void ouro__pg_command_break(struct pg_command *c, int64_t rc, const char *why)
{
    c->kind->end(c, rc, why);
    ouro_promise_free(c->promise);
    c->promise = NULL;
    if (!c->embedded)
        ouro_memory_release(c);
}

void *ouro__pg_command_own(struct pg_session *s, size_t size, const struct pg_command_kind *kind)
{
    struct pg_command *c = ouro_memory_alloc(size);
    if (c)
        init(c, s, kind);
    return c;
}

void ouro__pg_command_queue(struct pg_command *c)
{
    struct pg_session *s = c->session;
    TAILQ_INSERT_TAIL(c->handle ? &c->handle->line : &s->own, c, link);
    s->stats.waiting++;
    if (ouro__pg_session_over(s) && !s->pumping) /* nobody comes by any more */
        ouro__pg_command_drop(c, s->lost ? s->lost : -EBADF, NULL);
    else
        ouro__pg_session_pump(s);
}

/* ---- Failures -------------------------------------------------------------------------------- */

static void keep_error(struct pg_command *c)
{
    const ouro_pg_error *e = &c->session->error;
    c->code = e->code;
    if (c->error)
        *c->error = *e;
}

void ouro__pg_command_failed(struct pg_command *c, const PGresult *r)
{
    struct pg_session *s = c->session;
    if (c->code)
        return;
    bool bad = PQstatus(s->db) == CONNECTION_BAD;
    ouro__pg_error_fill(&s->error, r, bad ? -ECONNRESET : -EPROTO);
    keep_error(c);
    if (strcmp(s->error.severity, "FATAL") == 0 || strcmp(s->error.severity, "PANIC") == 0)
        s->fatal = s->error.code;
}

static void describe(ouro_pg_error *e, int64_t code, const char *message)
{
    memset(e, 0, sizeof(*e));
    e->code = code;
    snprintf(e->message, sizeof e->message, "%s", message ? message : ouro_strerror(code));
}

void ouro__pg_command_fail(struct pg_command *c, int64_t code)
{
    struct pg_session *s = c->session;
    if (c->code)
        return;
    const char *message = s->db ? PQerrorMessage(s->db) : "";
    describe(&s->error, code, code == -ECONNRESET && *message ? message : NULL);
    keep_error(c);
}

int ouro__pg_command_refused(struct pg_command *c)
{
    return PQstatus(c->session->db) == CONNECTION_BAD ? -ECONNRESET : -ENOMEM;
}

int64_t ouro__pg_command_outcome(struct pg_command *c, int64_t rc, const char *why, char *text,
                                 size_t size)
{
    *text = '\0';
    if (c->cancelled && (rc < 0 || c->code == -OURO_ESQL_QUERY_CANCELED))
        return -ECANCELED;
    if (rc == 0) {
        ouro__pg_error_print(&c->session->error, text, size);
        return c->code;
    }
    if (c->error && rc != -ECANCELED)
        describe(c->error, rc, why);
    if (why)
        snprintf(text, size, "%s", why);
    return rc;
}

void ouro__pg_command_settle(struct pg_command *c, int64_t rc, const char *why)
{
    char text[1024];
    if (!c->promise)
        return;
    int64_t code = ouro__pg_command_outcome(c, rc, why, text, sizeof text);
    if (*text)
        ouro_promise_fail_with(c->promise, code, "%s", text);
    else
        ouro_promise_fail(c->promise, code);
}

ouro_future *ouro__pg_complain(ouro_pg *pg, int64_t rc, const struct pg_complaint *complaint,
                               ouro_pg_error *error)
{
    ouro_future *refused = refusal(pg);
    return refused ? refused : ouro__pg_complain_loosely(rc, complaint, error);
}

ouro_future *ouro__pg_complain_loosely(int64_t rc, const struct pg_complaint *complaint,
                                       ouro_pg_error *error)
{
    const char *words = *complaint->text ? complaint->text : NULL;
    if (error)
        describe(error, rc, words);
    return words ? ouro_failed(rc, "%s", words) : ouro_ready(rc);
}

void ouro__pg_command_drop(struct pg_command *c, int64_t rc, const char *why)
{
    struct pg_session *s = c->session;
    TAILQ_REMOVE(c->handle ? &c->handle->line : &s->own, c, link);
    s->stats.waiting--;
    ouro__pg_command_break(c, rc, why);
}

/* ---- Commands that only succeed or fail ------------------------------------------------------ */

bool ouro__pg_command_check(struct pg_command *c, PGresult *r)
{
    bool good = false;
    switch (PQresultStatus(r)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
    case PGRES_SINGLE_TUPLE:
        good = true;
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH: /* libpq would go on to say so for ever */
        ouro__pg_command_fail(c, -OURO_ECOPY);
        ouro__pg_session_lose(c->session, -OURO_ECOPY, NULL);
        break;
    default:
        ouro__pg_command_failed(c, r);
    }
    PQclear(r);
    return good;
}

struct simple {
    struct pg_command c;
    char sql[];
};

static int simple_send(struct pg_command *c, PGconn *db)
{
    return PQsendQuery(db, ((struct simple *)c)->sql) ? 0 : ouro__pg_command_refused(c);
}

static void simple_result(struct pg_command *c, PGresult *r)
{
    ouro__pg_command_check(c, r);
}

static void simple_end(struct pg_command *c, int64_t rc, const char *why)
{
    if (!ouro__pg_command_succeeded(c, rc))
        ouro__pg_command_settle(c, rc, why);
    else if (c->promise)
        ouro_promise_resolve(c->promise, (ouro_result){0, NULL}, NULL);
}

static const struct pg_command_kind simple_kind = {
    .name = "PostgreSQL statement",
    .send = simple_send,
    .result = simple_result,
    .end = simple_end,
};

ouro_future *ouro__pg_simple(ouro_pg *h, const char *sql)
{
    ouro_future *f;
    size_t size = strlen(sql) + 1;
    struct simple *q = ouro__pg_command_new(h, sizeof(*q) + size, &simple_kind, &f);
    if (q) {
        memcpy(q->sql, sql, size);
        ouro__pg_command_queue(&q->c);
    }
    return f;
}

int ouro__pg_simple_own(struct pg_session *s, const char *sql)
{
    size_t size = strlen(sql) + 1;
    struct simple *q = ouro__pg_command_own(s, sizeof(*q) + size, &simple_kind);
    if (!q)
        return -ENOMEM;
    memcpy(q->sql, sql, size);
    ouro__pg_command_queue(&q->c);
    return 0;
}
