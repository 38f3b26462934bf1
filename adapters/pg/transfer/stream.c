/* SPDX-License-Identifier: MIT */
/*
 * Rows piece by piece.
 *
 * libpq gives one row at a time, each in a result of its own of two kilobytes. A piece is a few of
 * them, so few that they are still in the cache when they are read, and handed over when it is full,
 * or when no more have come, if somebody waits. If nobody does, a piece is kept, and then the
 * command is held: what follows stays in libpq's buffer, which is small, in the kernel's, and on the
 * server. Measured: to keep 256 of them takes twice as long, and so nearly does copying the rows
 * together.
 *
 * Happy path: the first row settles the opening; each ouro_pg_stream_next() takes what is there, or
 * leaves its promise with the command. The end of the command is kept in the stream, and told
 * behind the rows.
 *
 * How it fails: a server that goes may leave more rows than a piece in libpq's buffer, and they are
 * handed on, too. A stream that is given back before its end leaves a command behind that is
 * cancelled and drops what comes.
 *
 * It is sent plainly: to parse a statement once is nothing beside its rows.
 */
#include <ouro/memory.h>
#include <ouro/pg_stream.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "query_int.h"
#include "taken.h"

/* What a piece has at most, and about how many bytes are enough for one. */
#define PIECE_ROWS  8
#define PIECE_BYTES ((size_t)256 * 1024)

#define FIRST_ROOM 4 /* for pieces */

struct streaming {
    struct pg_command c;
    ouro_pg_stream *stream; /* NULL: given back */
    bool opened;            /* its user has it */
    bool binary;
    struct pg_statement statement;
    max_align_t place[];
};

/* Rows, each in a result of its own. */
struct piece {
    PGresult *rows[PIECE_ROWS];
    size_t count;
    size_t bytes;
};

struct ouro_pg_stream {
    struct streaming *from; /* NULL: it has ended */
    struct pg_home home;
    struct pg_outcome outcome; /* when it has */
    bool dropped;              /* rows, while the opening was being cancelled */
    size_t room;
    size_t count;
    struct piece *pieces; /* that were not taken yet, in their order; the last one grows */
};

/* ---- The object ------------------------------------------------------------------------------ */

static ouro_pg_stream *stream_new(struct streaming *from)
{
    ouro_pg_stream *s = ouro_memory_alloc(sizeof(*s));
    struct piece *pieces = ouro_memory_alloc(FIRST_ROOM * sizeof(*pieces));
    if (!s || !pieces) {
        ouro_memory_release(s);
        ouro_memory_release(pieces);
        return NULL;
    }
    *s = (ouro_pg_stream){
        .from = from,
        .home = ouro__pg_home_here(),
        .room = FIRST_ROOM,
        .pieces = pieces,
    };
    return s;
}

static void drop_rows(ouro_pg_stream *s)
{
    for (size_t i = 0; i < s->count; i++)
        for (size_t row = 0; row < s->pieces[i].count; row++)
            PQclear(s->pieces[i].rows[row]);
    s->count = 0;
}

static void stream_destroy(ouro_pg_stream *s)
{
    drop_rows(s);
    ouro_memory_release(s->pieces);
    ouro_memory_release(s);
}

/* Neither knows the other from now on. */
static void part(ouro_pg_stream *s)
{
    if (s->from)
        s->from->stream = NULL;
    s->from = NULL;
}

static void free_result(void *r)
{
    ouro_pg_result_free(r);
}

static void free_stream(void *s)
{
    ouro_pg_stream_free(s);
}

/* The rows that are there, a piece at most. NULL: no memory, and they stay. */
static ouro_pg_result *take_piece(ouro_pg_stream *s, int64_t *ret_rows)
{
    ouro_pg_result *r = ouro__pg_result_new(s->pieces[0].rows, s->pieces[0].count);
    if (!r)
        return NULL;
    *ret_rows = (int64_t)s->pieces[0].count;
    if (--s->count)
        memmove(s->pieces, s->pieces + 1, s->count * sizeof(*s->pieces));
    return r;
}

/* ---- Gathering ------------------------------------------------------------------------------- */

static bool is_full(const struct piece *p)
{
    return p->count == PIECE_ROWS || p->bytes >= PIECE_BYTES;
}

/* Whether there is a piece that need not wait for more. */
static bool has_full(const ouro_pg_stream *s)
{
    return s->count > 1 || (s->count == 1 && is_full(&s->pieces[0]));
}

static bool make_room(ouro_pg_stream *s)
{
    if (s->count < s->room)
        return true;
    struct piece *pieces = ouro_memory_resize(s->pieces, 2 * s->room * sizeof(*pieces));
    if (!pieces)
        return false;
    s->pieces = pieces;
    s->room *= 2;
    return true;
}

/* The piece that the next row belongs to. NULL: no memory. */
static struct piece *piece_to_fill(ouro_pg_stream *s)
{
    if (s->count && !is_full(&s->pieces[s->count - 1]))
        return &s->pieces[s->count - 1];
    if (!make_room(s))
        return NULL;
    struct piece *p = &s->pieces[s->count++];
    p->count = p->bytes = 0;
    return p;
}

/* Keep a row, which is taken over. False: no memory. */
static bool gather(ouro_pg_stream *s, PGresult *row)
{
    struct piece *p = piece_to_fill(s);
    if (!p) {
        PQclear(row);
        return false;
    }
    p->rows[p->count++] = row;
    p->bytes += PQresultMemorySize(row);
    return true;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static int stream_send(struct pg_command *c, PGconn *db)
{
    struct streaming *q = (void *)c;
    const struct pg_statement *st = &q->statement;
    if (!PQsendQueryParams(db, st->sql, st->count, NULL, st->values, st->lengths, st->formats,
                           q->binary))
        return ouro__pg_command_refused(c);
    PQsetSingleRowMode(db);
    return 0;
}

/* ---- What comes ------------------------------------------------------------------------------ */

static void open_up(struct streaming *q)
{
    if (q->opened || !q->c.promise)
        return;
    q->opened = true;
    ouro__pg_command_give(&q->c, (ouro_result){0, q->stream}, free_stream);
}

/* Who waits gets what is there. */
static void give_piece(struct streaming *q)
{
    int64_t n;
    ouro_pg_result *r = take_piece(q->stream, &n);
    if (r)
        ouro__pg_command_give(&q->c, (ouro_result){n, r}, free_result);
    else
        ouro__pg_command_refuse(&q->c, -ENOMEM);
}

/* An opening that is being cancelled needs no more than tells that it was done all the same. */
static bool wants(const struct streaming *q)
{
    return q->stream && !(q->c.cancelled && has_full(q->stream)) && !q->c.code;
}

static void give_up(struct streaming *q)
{
    ouro__pg_command_fail(&q->c, -ENOMEM);
    ouro__pg_command_cancel(&q->c);
}

static void take_row(struct streaming *q, PGresult *row)
{
    ouro_pg_stream *s = q->stream;
    bool wanted = wants(q), gathered = wanted && gather(s, row);
    if (!wanted)
        PQclear(row);
    if (s && q->c.cancelled)
        s->dropped |= !gathered;
    else if (wanted && !gathered)
        give_up(q);
    if (!gathered || q->c.cancelled)
        return;
    open_up(q);
    if (!q->stream || !has_full(s))
        return;
    if (q->c.promise)
        give_piece(q);
    else
        q->c.held = true;
}

static void stream_result(struct pg_command *c, PGresult *r)
{
    struct streaming *q = (void *)c;
    if (PQresultStatus(r) == PGRES_SINGLE_TUPLE) {
        take_row(q, r);
        return;
    }
    bool failed_before = c->code;
    if (ouro__pg_command_check(c, r)) {
        if (!c->cancelled)
            open_up(q);
    } else if (!failed_before) {
        ouro__pg_command_position(c, &q->statement);
    }
}

static void stream_drained(struct pg_command *c)
{
    struct streaming *q = (void *)c;
    if (q->opened && c->promise && q->stream && q->stream->count)
        give_piece(q);
}

/* ---- The end --------------------------------------------------------------------------------- */

/* The opening comes to nothing, unless all that there is came before its cancel. */
static void end_unopened(struct streaming *q, int64_t rc, const char *why)
{
    struct pg_command *c = &q->c;
    ouro_pg_stream *s = q->stream;
    if (ouro__pg_command_succeeded(c, rc) && c->promise && !s->dropped) {
        s->from = NULL;
        open_up(q);
        return;
    }
    if (ouro__pg_command_succeeded(c, rc))
        rc = -ECANCELED;
    ouro__pg_command_settle(c, rc, why);
    stream_destroy(s);
}

static void stream_end(struct pg_command *c, int64_t rc, const char *why)
{
    struct streaming *q = (void *)c;
    ouro_pg_stream *s = q->stream;
    if (!s)
        return;
    if (!q->opened) {
        end_unopened(q, rc, why);
        return;
    }
    if (!ouro__pg_command_succeeded(c, rc))
        s->outcome.code = ouro__pg_command_outcome(c, rc, why, s->outcome.text,
                                                   sizeof s->outcome.text);
    if (rc == -EBADF)
        drop_rows(s);
    if (c->promise && s->count)
        give_piece(q);
    part(s);
    ouro__pg_command_report(c, &s->outcome, 0);
}

/* Only the opening is about the server: to wait for rows is to wait. */
static void stream_cancel(struct pg_command *c)
{
    struct streaming *q = (void *)c;
    if (q->opened)
        ouro__pg_command_refuse(c, -ECANCELED);
    else
        ouro__pg_command_cancel(c);
}

static void stream_disown(struct pg_command *c)
{
    struct streaming *q = (void *)c;
    ouro_pg_stream *s = q->stream;
    if (!s)
        return;
    part(s);
    s->outcome.code = -EBADF;
    drop_rows(s);
    if (!q->opened)
        stream_destroy(s);
}

static const struct pg_command_kind stream_kind = {
    .name = "PostgreSQL stream",
    .send = stream_send,
    .result = stream_result,
    .drained = stream_drained,
    .end = stream_end,
    .cancel = stream_cancel,
    .disown = stream_disown,
};

/* ---- Calls ----------------------------------------------------------------------------------- */

ouro_future *ouro_pg_stream_open(ouro_pg *pg, const char *sql, const ouro_pg_value *params,
                                 size_t count, const ouro_pg_query_options *opts)
{
    static const ouro_pg_query_options defaults;
    struct pg_complaint complaint;
    ouro_future *f;
    if (!opts)
        opts = &defaults;
    int64_t size = ouro__pg_statement_size(sql, params, count, &complaint);
    if (size < 0)
        return ouro__pg_complain(pg, size, &complaint, opts->error);
    struct streaming *q = ouro__pg_command_new(pg, sizeof(*q) + (size_t)size, &stream_kind, &f);
    if (!q)
        return f;
    *q = (struct streaming){.c = q->c, .binary = opts->binary};
    q->c.error = opts->error;
    q->stream = stream_new(q);
    if (!q->stream) {
        ouro__pg_command_refuse(&q->c, -ENOMEM);
        ouro__pg_command_unmake(&q->c, -ENOMEM);
        return f;
    }
    ouro__pg_statement_fill(sql, params, count, q->place, &q->statement);
    ouro__pg_command_queue(&q->c);
    return f;
}

/* Rows that are there. */
static ouro_future *ready_piece(ouro_pg_stream *s)
{
    ouro_promise *p;
    ouro_future *f;
    int64_t n;
    int rc = ouro_promise_new(&p, &f);
    if (rc < 0)
        return ouro_ready(rc);
    ouro_pg_result *r = take_piece(s, &n);
    if (r)
        ouro_promise_resolve(p, (ouro_result){n, r}, free_result);
    else
        ouro_promise_fail(p, -ENOMEM);
    ouro_promise_free(p);
    return f;
}

ouro_future *ouro_pg_stream_next(ouro_pg_stream *s)
{
    ouro_future *f;
    if (!s)
        return ouro_ready(-EINVAL);
    if (s->home.loop != ouro_loop_current())
        return ouro_ready(-EXDEV);
    struct pg_command *c = s->from ? &s->from->c : NULL;
    if (c && c->promise)
        return ouro_ready(-EBUSY);
    if (s->count) {
        f = ready_piece(s);
        if (c && c->held && !has_full(s))
            ouro__pg_command_resume(c);
        return f;
    }
    if (!c)
        return ouro__pg_outcome_future(&s->outcome, 0);
    int rc = ouro__pg_command_promise(c, &f);
    return rc < 0 ? ouro_ready(rc) : f;
}

ouro_pg_stream *ouro_pg_stream_free(ouro_pg_stream *s)
{
    if (!s || ouro__pg_home_is_parents(&s->home))
        return NULL;
    struct pg_command *c = s->from ? &s->from->c : NULL;
    part(s);
    stream_destroy(s);
    if (!c)
        return NULL;
    c->error = NULL;
    if (c->promise)
        ouro__pg_command_refuse(c, -EBADF);
    ouro__pg_command_cancel(c);
    return NULL;
}
