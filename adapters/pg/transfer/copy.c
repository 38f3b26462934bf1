/* SPDX-License-Identifier: MIT */
/*
 * COPY: what both directions have in common, from the beginning to the end.
 *
 * Happy path: the server says which way it goes, and from then on data moves (copy_in.c,
 * copy_out.c) in place of results. When all was sent, or has come, there is one result more, which
 * says how many rows there were.
 *
 * It is sent by the simple protocol. By the other one libpq sends a Sync with the statement, which
 * a server that copies passes over, and one more at the end; a server that fails before it has
 * taken any data answers to both, and the second answer would be taken for the next statement's.
 *
 * How it fails: a statement that is no such COPY has been done when that is known. One that is
 * given back before its end leaves a command behind, which is broken off: FROM STDIN by the message
 * that there is for that, since a server that waits for data hears of no cancel; and by a cancel,
 * since one that is busy with data does not read. The server's answer to the former looks as if it
 * were to the latter, so it is not looked at, and a fence follows.
 */
#include <ouro/memory.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "copy_int.h"

/* ---- The object ------------------------------------------------------------------------------ */

static ouro_pg_copy *copy_new(struct copying *from)
{
    ouro_pg_copy *k = ouro_memory_alloc(sizeof(*k));
    if (k)
        *k = (ouro_pg_copy){.from = from, .home = ouro__pg_home_here()};
    return k;
}

static void copy_destroy(ouro_pg_copy *k)
{
    PQfreemem(k->row);
    ouro_memory_release(k);
}

/* Neither knows the other from now on. */
static void part(ouro_pg_copy *k)
{
    if (k->from)
        k->from->copy = NULL;
    k->from = NULL;
}

static void free_copy(void *k)
{
    ouro_pg_copy_free(k);
}

int ouro__pg_copy_check(const ouro_pg_copy *k, bool in)
{
    if (!k)
        return -EINVAL;
    if (k->home.loop != ouro_loop_current())
        return -EXDEV;
    if (k->in != in)
        return -EBADMSG;
    if (k->from && k->from->c.promise)
        return -EBUSY;
    return k->spoiled ? -ECANCELED : 0;
}

int64_t ouro_pg_copy_rows(const ouro_pg_copy *k)
{
    return k ? k->rows : -EINVAL;
}

/* ---- The command ----------------------------------------------------------------------------- */

static int copy_send(struct pg_command *c, PGconn *db)
{
    return PQsendQuery(db, ((struct copying *)c)->sql) ? 0 : ouro__pg_command_refused(c);
}

void ouro__pg_copy_break_off(struct copying *q)
{
    q->c.feeding = false;
    if (!q->in || !q->c.copying)
        return;
    q->c.copying = false;
    q->broken = true;
    PQputCopyEnd(q->c.session->db, "the client has broken it off"); /* an error shows when read */
}

/* It has begun. Nothing is read TO STDOUT before somebody asks. */
static void open_up(struct copying *q, bool in)
{
    struct pg_command *c = &q->c;
    q->in = in;
    q->begun = true;
    c->copying = true;
    if (c->cancelled || !c->promise) {
        ouro__pg_copy_break_off(q);
        return;
    }
    q->opened = true;
    q->copy->in = in;
    c->held = !in;
    ouro__pg_command_give(c, (ouro_result){0, q->copy}, free_copy);
}

static void copy_result(struct pg_command *c, PGresult *r)
{
    struct copying *q = (void *)c;
    ExecStatusType status = PQresultStatus(r);
    if ((status == PGRES_COPY_IN || status == PGRES_COPY_OUT) && !q->begun) {
        PQclear(r);
        open_up(q, status == PGRES_COPY_IN);
        return;
    }
    if (status == PGRES_COMMAND_OK && q->copy)
        q->copy->rows = strtoll(PQcmdTuples(r), NULL, 10);
    if (q->broken)
        PQclear(r);
    else
        ouro__pg_command_check(c, r);
}

static bool copy_move(struct pg_command *c, PGconn *db)
{
    struct copying *q = (void *)c;
    if (!q->in)
        return ouro__pg_copy_out_move(q, db);
    if (!q->refused && PQstatus(db) != CONNECTION_BAD)
        return false; /* until it is ended by its user */
    c->feeding = false;
    c->copying = false;
    PQputCopyEnd(db, "nobody listens"); /* so that libpq goes on to read why */
    return true;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void end_unopened(struct copying *q, int64_t rc, const char *why)
{
    struct pg_command *c = &q->c;
    if (ouro__pg_command_succeeded(c, rc) && q->begun)
        rc = -ECANCELED;
    else if (ouro__pg_command_succeeded(c, rc))
        ouro__pg_command_fail(c, -OURO_ECOPY);
    ouro__pg_command_settle(c, rc, why);
    copy_destroy(q->copy);
}

static void copy_end(struct pg_command *c, int64_t rc, const char *why)
{
    struct copying *q = (void *)c;
    ouro_pg_copy *k = q->copy;
    if (!k)
        return;
    if (!q->opened) {
        end_unopened(q, rc, why);
        return;
    }
    if (!ouro__pg_command_succeeded(c, rc))
        k->outcome.code = ouro__pg_command_outcome(c, rc, why, k->outcome.text,
                                                   sizeof k->outcome.text);
    part(k);
    ouro__pg_command_report(c, &k->outcome, k->in ? k->rows : 0);
}

static void copy_cancel(struct pg_command *c)
{
    struct copying *q = (void *)c;
    ouro_pg_copy *k = q->copy;
    if (!q->opened || k->ending) {
        ouro__pg_command_cancel(c);
        return;
    }
    c->feeding = false;
    k->spoiled = k->in;
    ouro__pg_command_refuse(c, -ECANCELED);
}

static void copy_disown(struct pg_command *c)
{
    struct copying *q = (void *)c;
    ouro_pg_copy *k = q->copy;
    ouro__pg_copy_break_off(q);
    if (!k)
        return;
    part(k);
    k->outcome.code = -EBADF;
    if (!q->opened)
        copy_destroy(k);
}

static const struct pg_command_kind copy_kind = {
    .name = "PostgreSQL copy",
    .send = copy_send,
    .result = copy_result,
    .feed = ouro__pg_copy_in_feed,
    .copy = copy_move,
    .look = ouro__pg_copy_in_look,
    .end = copy_end,
    .cancel = copy_cancel,
    .disown = copy_disown,
};

/* ---- Calls ----------------------------------------------------------------------------------- */

ouro_future *ouro_pg_copy_open(ouro_pg *pg, const char *sql, const ouro_pg_query_options *opts)
{
    ouro_future *f;
    if (!sql)
        return ouro_ready(-EINVAL);
    size_t size = strlen(sql) + 1;
    struct copying *q = ouro__pg_command_new(pg, sizeof(*q) + size, &copy_kind, &f);
    if (!q)
        return f;
    *q = (struct copying){.c = q->c};
    q->c.error = opts ? opts->error : NULL;
    q->copy = copy_new(q);
    if (!q->copy) {
        ouro__pg_command_refuse(&q->c, -ENOMEM);
        ouro__pg_command_unmake(&q->c, -ENOMEM);
        return f;
    }
    memcpy(q->sql, sql, size);
    ouro__pg_command_queue(&q->c);
    return f;
}

ouro_pg_copy *ouro_pg_copy_free(ouro_pg_copy *k)
{
    if (!k || ouro__pg_home_is_parents(&k->home))
        return NULL;
    struct copying *q = k->from;
    part(k);
    copy_destroy(k);
    if (!q)
        return NULL;
    struct pg_session *s = ouro__pg_session_ref(q->c.session);
    q->c.error = NULL;
    if (q->c.promise)
        ouro__pg_command_refuse(&q->c, -EBADF);
    ouro__pg_copy_break_off(q);
    ouro__pg_command_cancel(&q->c);
    ouro__pg_session_pump(s);
    ouro__pg_session_unref(s);
    return NULL;
}
