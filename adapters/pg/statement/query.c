/* SPDX-License-Identifier: MIT */
/*
 * ouro_pg_query(), and scripts.
 *
 * Happy path: the first time, a statement is sent with its values; the second time it is prepared,
 * then executed; from then on executed alone. A plan that no longer fits its tables, or a prepared
 * statement that somebody has deallocated, is forgotten, and the statement is sent plainly: that is
 * no failure. In a transaction it is, which has failed by then; the next is served.
 *
 * The statement and its values lie behind the command, in one piece.
 */
#include <ouro/memory.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "params.h"
#include "query_int.h"

enum step { PLAIN, PREPARE, EXECUTE };

struct query {
    struct pg_command c;
    struct pg_statement statement;
    enum step step;
    bool begun; /* how it is sent is decided */
    bool binary;
    bool no_prepare;
    struct pg_prepared *prepared; /* while it is about that */
    PGresult *got;
    PGresult *stale; /* the error that says so of what was prepared */
    max_align_t place[];
};

/* ---- Sending --------------------------------------------------------------------------------- */

static void let_go(struct query *q)
{
    if (q->prepared)
        q->prepared->busy = false;
    q->prepared = NULL;
}

/* How it is sent the first time. */
static enum step begin(struct query *q)
{
    bool seen;
    const struct pg_statement *st = &q->statement;
    struct pg_session *s = q->c.session;
    if (q->no_prepare)
        return PLAIN;
    struct pg_prepared *p = ouro__pg_cache_find(s, st->sql, st->sql_size, &seen);
    if (!p || !seen)
        return PLAIN;
    q->prepared = p;
    p->busy = true;
    return p->prepared ? EXECUTE : PREPARE;
}

static int query_send(struct pg_command *c, PGconn *db)
{
    struct query *q = (void *)c;
    const struct pg_statement *st = &q->statement;
    char name[OURO__PG_STATEMENT_NAME];
    int sent = 0;
    if (!q->begun)
        q->step = begin(q);
    q->begun = true;
    if (q->prepared)
        ouro__pg_cache_name(q->prepared, name);
    switch (q->step) {
    case PLAIN:
        sent = PQsendQueryParams(db, st->sql, st->count, NULL, st->values, st->lengths, st->formats,
                                 q->binary);
        break;
    case PREPARE:
        sent = PQsendPrepare(db, name, st->sql, 0, NULL);
        c->session->stats.preparings++;
        break;
    case EXECUTE:
        sent = PQsendQueryPrepared(db, name, st->count, st->values, st->lengths, st->formats,
                                   q->binary);
        c->session->stats.prepared++;
        break;
    }
    return sent ? 0 : ouro__pg_command_refused(c);
}

/* ---- Results --------------------------------------------------------------------------------- */

void ouro__pg_command_position(struct pg_command *c, const struct pg_statement *st)
{
    ouro_pg_error *e = &c->session->error;
    e->position = ouro__pg_statement_position(st, e->position);
    if (c->error)
        c->error->position = e->position;
}

static bool has_state(const PGresult *r, const char *sqlstate)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    return state && strcmp(state, sqlstate) == 0;
}

/* The words of this error may be in any language, so the place in the server's source has to do. */
static bool is_changed(const PGresult *r)
{
    const char *place = PQresultErrorField(r, PG_DIAG_SOURCE_FUNCTION);
    return has_state(r, "0A000") && place && strcmp(place, "RevalidateCachedQuery") == 0;
}

bool ouro__pg_error_is_stale(const PGresult *r)
{
    return has_state(r, "26000") || is_changed(r);
}

static void query_failed(struct query *q, PGresult *r)
{
    bool failed_before = q->c.code;
    if (!ouro__pg_command_check(&q->c, r) && !failed_before)
        ouro__pg_command_position(&q->c, &q->statement);
}

static void query_result(struct pg_command *c, PGresult *r)
{
    struct query *q = (void *)c;
    ExecStatusType status = PQresultStatus(r);
    bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
                status == PGRES_EMPTY_QUERY;
    if (good && q->step != PREPARE) {
        PQclear(q->got);
        q->got = r;
        return;
    }
    if (q->step == EXECUTE && !q->stale && ouro__pg_error_is_stale(r))
        q->stale = r;
    else
        query_failed(q, r);
}

/* What was prepared is of no use any more: send it plainly, if that can be. */
static enum pg_next mend(struct query *q)
{
    struct pg_session *s = q->c.session;
    PGresult *r = q->stale;
    bool idle = PQtransactionStatus(s->db) == PQTRANS_IDLE;
    q->stale = NULL;
    if (idle && is_changed(r))
        ouro__pg_cache_replace(s, q->prepared);
    else
        ouro__pg_cache_renew(s, q->prepared);
    let_go(q);
    q->step = PLAIN;
    if (!idle) {
        query_failed(q, r);
        return PG_OVER;
    }
    PQclear(r);
    return PG_SEND;
}

static enum pg_next query_done(struct pg_command *c)
{
    struct query *q = (void *)c;
    struct pg_session *s = c->session;
    if (q->step == PREPARE && c->code == 0) {
        q->prepared->prepared = true;
        s->stats.known++;
        q->step = EXECUTE;
        return PG_SEND;
    }
    return q->stale ? mend(q) : PG_OVER;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void destroy(void *r)
{
    ouro_pg_result_free(r);
}

void ouro__pg_command_hand_over(struct pg_command *c, PGresult *got)
{
    if (!c->promise) {
        PQclear(got);
        return;
    }
    ouro_pg_result *r = ouro__pg_result_new(&got, 1);
    if (!r) {
        PQclear(got);
        ouro_promise_fail(c->promise, -ENOMEM);
        return;
    }
    int64_t n = PQresultStatus(got) == PGRES_TUPLES_OK ? ouro_pg_rows(r) : ouro_pg_affected(r);
    if (ouro_promise_resolve(c->promise, (ouro_result){n, r}, destroy) < 0)
        ouro_pg_result_free(r);
}

static void query_end(struct pg_command *c, int64_t rc, const char *why)
{
    struct query *q = (void *)c;
    let_go(q);
    PQclear(q->stale);
    if (ouro__pg_command_succeeded(c, rc) && q->got) {
        ouro__pg_command_hand_over(c, q->got);
        return;
    }
    PQclear(q->got);
    if (ouro__pg_command_succeeded(c, rc))
        ouro__pg_command_fail(c, -EPROTO); /* the server has not answered to it */
    ouro__pg_command_settle(c, rc, why);
}

static const struct pg_command_kind query_kind = {
    .name = "PostgreSQL query",
    .send = query_send,
    .result = query_result,
    .done = query_done,
    .end = query_end,
};

static const ouro_pg_query_options no_options;

static void fill(struct query *q, const char *sql, const ouro_pg_value *params, size_t count,
                 const ouro_pg_query_options *opts)
{
    *q = (struct query){
        .c = q->c,
        .binary = opts->binary,
        .no_prepare = opts->no_prepare,
    };
    q->c.error = opts->error;
    ouro__pg_statement_fill(sql, params, count, q->place, &q->statement);
}

ouro_future *ouro_pg_query(ouro_pg *pg, const char *sql, const ouro_pg_value *params, size_t count,
                           const ouro_pg_query_options *opts)
{
    struct pg_complaint complaint;
    ouro_future *f;
    if (!opts)
        opts = &no_options;
    int64_t size = ouro__pg_statement_size(sql, params, count, &complaint);
    if (size < 0)
        return ouro__pg_complain(pg, size, &complaint, opts->error);
    struct query *q = ouro__pg_command_new(pg, sizeof(*q) + (size_t)size, &query_kind, &f);
    if (!q)
        return f;
    fill(q, sql, params, count, opts);
    ouro__pg_command_queue(&q->c);
    return f;
}

struct pg_command *ouro__pg_query_loose(const char *sql, const ouro_pg_value *params, size_t count,
                                        const ouro_pg_query_options *opts, ouro_future **ret)
{
    struct pg_complaint complaint;
    if (!opts)
        opts = &no_options;
    int64_t size = ouro__pg_statement_size(sql, params, count, &complaint);
    if (size < 0) {
        *ret = ouro__pg_complain_loosely(size, &complaint, opts->error);
        return NULL;
    }
    struct query *q = ouro__pg_command_loose(sizeof(*q) + (size_t)size, &query_kind, ret);
    if (!q)
        return NULL;
    fill(q, sql, params, count, opts);
    return &q->c;
}

/* ---- Scripts --------------------------------------------------------------------------------- */

struct script {
    struct pg_command c;
    PGresult *got; /* of the last statement */
    char sql[];
};

static int script_send(struct pg_command *c, PGconn *db)
{
    return PQsendQuery(db, ((struct script *)c)->sql) ? 0 : ouro__pg_command_refused(c);
}

static void script_result(struct pg_command *c, PGresult *r)
{
    struct script *q = (void *)c;
    switch (PQresultStatus(r)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        PQclear(q->got);
        q->got = r;
        return;
    default:
        ouro__pg_command_check(c, r);
    }
}

static void script_end(struct pg_command *c, int64_t rc, const char *why)
{
    struct script *q = (void *)c;
    if (ouro__pg_command_succeeded(c, rc)) {
        ouro__pg_command_hand_over(c, q->got);
        return;
    }
    PQclear(q->got);
    ouro__pg_command_settle(c, rc, why);
}

static const struct pg_command_kind script_kind = {
    .name = "PostgreSQL script",
    .send = script_send,
    .result = script_result,
    .end = script_end,
};

ouro_future *ouro_pg_script(ouro_pg *pg, const char *sql, const ouro_pg_query_options *opts)
{
    ouro_future *f;
    if (!sql)
        return ouro_ready(-EINVAL);
    size_t size = strlen(sql) + 1;
    struct script *q = ouro__pg_command_new(pg, sizeof(*q) + size, &script_kind, &f);
    if (!q)
        return f;
    q->got = NULL;
    q->c.error = opts ? opts->error : NULL;
    memcpy(q->sql, sql, size);
    ouro__pg_command_queue(&q->c);
    return f;
}
