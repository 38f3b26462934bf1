/* SPDX-License-Identifier: MIT */
/*
 * Batches: what comes.
 *
 * Happy path: each statement has one answer, a second one before it if it was prepared on the way,
 * and each Sync has one. Behind the last Sync pipeline mode is left.
 *
 * How it fails: one error, then answers that the rest was skipped, up to the next Sync. An error
 * that answers a Sync is of the commit: of what the Sync ends. What was prepared and does not fit
 * any more is prepared anew, in a second round, of those that have failed for it: all, or single
 * ones; but not inside a transaction, which has failed by then. COPY cannot be got out of, and
 * costs the session.
 */
#include <errno.h>
#include <string.h>

#include "batch_int.h"

/* ---- Answers --------------------------------------------------------------------------------- */

/* Keep the error for the call, if it is the first, and give its code. */
static int64_t note_error(struct batch *b, struct batch_item *item, const PGresult *r)
{
    struct pg_command *c = &b->c;
    int64_t first = c->code;
    ouro_pg_error *error = c->error;
    if (first) {
        c->code = 0;
        c->error = NULL;
        c->session->stats.errors++;
    }
    ouro__pg_command_failed(c, r);
    if (item)
        ouro__pg_command_position(c, &item->statement);
    int64_t code = c->code;
    if (first) {
        c->code = first;
        c->error = error;
    }
    return code;
}

/* The one whose answer is the next. */
static struct batch_item *next_to_come(struct batch *b)
{
    while (b->at < b->n && b->items[b->at].state != BATCH_SENT)
        b->at++;
    return b->at < b->n ? &b->items[b->at] : NULL;
}

void ouro__pg_batch_end_item(struct batch *b, struct batch_item *item, int64_t code)
{
    item->code = code;
    item->state = BATCH_DONE;
    b->last = item;
}

/* One that will be sent again has not failed yet. */
static void take_error(struct batch *b, struct batch_item *item, const PGresult *r)
{
    item->stale = item->prepared && ouro__pg_error_is_stale(r);
    b->stale |= item->stale;
    bool again = item->stale && b->round == 1 && !b->in_transaction;
    int64_t code = again && b->independent ? ouro__pg_code(PQresultErrorField(r, PG_DIAG_SQLSTATE))
                                           : note_error(b, item, r);
    ouro__pg_batch_end_item(b, item, code);
}

/* The Sync has failed: what it ends has not been done. */
static void take_late_error(struct batch *b, const PGresult *r)
{
    int64_t code = note_error(b, NULL, r);
    if (!b->independent || !b->last || b->last->code)
        return;
    PQclear(b->last->got);
    b->last->got = NULL;
    b->last->code = code;
}

static void take_copy(struct batch *b, PGresult *r)
{
    struct batch_item *item = next_to_come(b);
    if (item)
        ouro__pg_batch_end_item(b, item, -OURO_ECOPY);
    ouro__pg_command_check(&b->c, r);
}

/* An answer to its preparing. What fails in that is skipped next. */
static void take_prepared(struct batch *b, struct batch_item *item, const PGresult *r)
{
    item->prepares = false;
    if (PQresultStatus(r) == PGRES_COMMAND_OK) {
        item->prepared->prepared = true;
        b->c.session->stats.known++;
    } else if (PQresultStatus(r) == PGRES_FATAL_ERROR) {
        item->code = note_error(b, item, r);
    }
}

/* The answer to a statement. */
static void take_answer(struct batch *b, struct batch_item *item, PGresult *r)
{
    switch (PQresultStatus(r)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY:
        item->got = b->results ? r : NULL;
        ouro__pg_batch_end_item(b, item, 0);
        break;
    case PGRES_PIPELINE_ABORTED:
        ouro__pg_batch_end_item(b, item, item->code ? item->code : -OURO_EROLLEDBACK);
        break;
    default:
        take_error(b, item, r);
    }
}

/* Whether all that stands before the next Sync has been answered. */
static bool is_at_sync(struct batch *b)
{
    struct batch_item *item = next_to_come(b);
    return !item || (b->independent && b->at_sync);
}

void ouro__pg_batch_result(struct pg_command *c, PGresult *r)
{
    struct batch *b = (void *)c;
    switch (PQresultStatus(r)) {
    case PGRES_PIPELINE_SYNC:
        b->synced++;
        b->at_sync = false;
        PQclear(r);
        return;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        take_copy(b, r);
        return;
    default:
        break;
    }
    if (is_at_sync(b)) {
        take_late_error(b, r);
        PQclear(r);
        return;
    }
    struct batch_item *item = &b->items[b->at];
    if (item->prepares)
        take_prepared(b, item, r);
    else
        take_answer(b, item, r);
    b->at_sync = item->state == BATCH_DONE;
    if (!item->got)
        PQclear(r);
}

/* ---- A second round -------------------------------------------------------------------------- */

void ouro__pg_batch_let_go(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct pg_prepared *p = b->items[i].prepared;
        if (p)
            p->busy = p->asked = false;
        b->items[i].prepared = NULL;
    }
}

/* Where all was rolled back for one, nobody knows which others have gone. */
static void forget_stale(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct batch_item *item = &b->items[i];
        bool stale = b->independent ? item->stale : b->stale;
        if (stale && item->prepared && item->prepared->prepared)
            ouro__pg_cache_renew(b->c.session, item->prepared);
    }
}

/* What was rolled back, or skipped, for the sake of stale ones is sent again. */
static void rewind_items(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct batch_item *item = &b->items[i];
        if (b->independent && !item->stale)
            continue;
        PQclear(item->got);
        item->got = NULL;
        item->code = 0;
        item->stale = item->prepares = false;
        item->state = BATCH_TO_SEND;
    }
    b->stale = b->at_sync = false;
    b->last = NULL;
    if (b->independent)
        return;
    b->c.code = 0;
    if (b->c.error)
        memset(b->c.error, 0, sizeof(*b->c.error));
}

enum pg_next ouro__pg_batch_done(struct pg_command *c)
{
    struct batch *b = (void *)c;
    PGconn *db = c->session->db;
    if (PQstatus(db) == CONNECTION_BAD)
        return PG_OVER;
    if (c->feeding || b->synced < b->syncs)
        return PG_STAY;
    if (!PQexitPipelineMode(db)) {
        ouro__pg_command_fail(c, -EPROTO);
        ouro__pg_session_lose(c->session, -EPROTO, PQerrorMessage(db));
        return PG_OVER;
    }
    bool again = b->stale && b->round == 1 && !b->in_transaction && !c->cancelled;
    forget_stale(b);
    ouro__pg_batch_let_go(b);
    if (!again)
        return PG_OVER;
    rewind_items(b);
    return PG_SEND;
}
