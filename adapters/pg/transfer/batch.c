/* SPDX-License-Identifier: MIT */
/*
 * ouro_pg_batch(): many statements in one round trip, by libpq's pipeline mode.
 *
 * Every statement is sent (batch_send.c), with a Sync behind each (independent) or one behind all,
 * and the answers come in the same order (batch_answer.c). A text that comes twice in a row, or
 * that the session has seen before, is prepared on the way, once; then its number alone is sent.
 *
 * Happy path: when all is answered, the results are written to where the caller wants them, all at
 * once; until then nothing of the caller's is touched.
 *
 * How it fails: a statement that cannot be sent at all has the whole batch refused before anything
 * is. A cancel hits one statement; if they are independent, those that were not sent never are, and
 * the server is asked again until it is through with the rest.
 */
#include <ouro/memory.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "batch_int.h"

/* ---- The end --------------------------------------------------------------------------------- */

/* The session is over, or its words were: what has no answer has none. */
static void end_items(struct batch *b, int64_t rc)
{
    if (b->c.code && !b->independent)
        rc = -OURO_EROLLEDBACK;
    for (size_t i = 0; i < b->n; i++) {
        struct batch_item *item = &b->items[i];
        if (item->state != BATCH_DONE)
            ouro__pg_batch_end_item(b, item, rc);
    }
}

/* What a statement brought: rows, or how many it has changed. */
static ouro_result bring(PGresult *got)
{
    ouro_pg_result *r = ouro__pg_result_new(&got, 1);
    if (!r) {
        PQclear(got);
        return (ouro_result){-ENOMEM, NULL};
    }
    bool rows = PQresultStatus(got) == PGRES_TUPLES_OK;
    return (ouro_result){rows ? ouro_pg_rows(r) : ouro_pg_affected(r), r};
}

/* @others: what those came to that have not failed themselves; 0: they have succeeded. */
static void write_results(struct batch *b, bool succeeded, int64_t others)
{
    for (size_t i = 0; b->results && i < b->n; i++) {
        struct batch_item *item = &b->items[i];
        ouro_result to = {item->code, NULL};
        if (item->got)
            to = bring(item->got);
        item->got = NULL;
        if (!succeeded)
            to.ptr = ouro_pg_result_free(to.ptr);
        if (to.n >= 0 && others)
            to.n = others;
        b->results[i] = to;
    }
    b->results = NULL;
}

static void drop_results(struct batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        PQclear(b->items[i].got);
        b->items[i].got = NULL;
    }
}

/* Whether a cancel has stopped any of them. */
static bool was_stopped(const struct batch *b)
{
    for (size_t i = 0; b->c.cancelled && i < b->n; i++)
        if (b->items[i].code == -ECANCELED || b->items[i].code == -OURO_ESQL_QUERY_CANCELED)
            return true;
    return false;
}

/* Settle the promise of one that has not succeeded. */
static void settle(struct batch *b, int64_t rc, const char *why)
{
    if (rc == 0 && was_stopped(b))
        ouro_promise_fail(b->c.promise, -ECANCELED);
    else
        ouro__pg_command_settle(&b->c, rc, why);
}

static void batch_end(struct pg_command *c, int64_t rc, const char *why)
{
    struct batch *b = (void *)c;
    bool answered = rc == 0 && (b->n == 0 || (b->round > 0 && b->synced == b->syncs));
    ouro__pg_batch_let_go(b);
    if (rc == 0 && !answered && (b->independent || !c->code))
        rc = c->session->fatal ? c->session->fatal : -ECONNRESET;
    int64_t others = c->code ? -OURO_EROLLEDBACK : rc;
    if (b->independent)
        others = 0;
    end_items(b, rc ? rc : b->independent ? -ECANCELED : -OURO_EROLLEDBACK);
    bool succeeded = answered && (b->independent ? !was_stopped(b) : c->code == 0);
    write_results(b, succeeded, others);
    drop_results(b);
    if (!c->promise)
        return;
    if (succeeded)
        ouro_promise_resolve(c->promise, (ouro_result){0, NULL}, NULL);
    else
        settle(b, rc, why);
}

static void batch_disown(struct pg_command *c)
{
    struct batch *b = (void *)c;
    for (size_t i = 0; b->results && i < b->n; i++)
        b->results[i] = (ouro_result){-EBADF, NULL};
    b->results = NULL;
    drop_results(b);
    c->cancelled = true;
}

static const struct pg_command_kind batch_kind = {
    .name = "PostgreSQL batch",
    .send = ouro__pg_batch_send,
    .feed = ouro__pg_batch_feed,
    .result = ouro__pg_batch_result,
    .done = ouro__pg_batch_done,
    .end = batch_end,
    .disown = batch_disown,
};

/* ---- The call -------------------------------------------------------------------------------- */

static size_t aligned(size_t size)
{
    return (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
}

/* Nothing is sent, for the sake of one statement, or of all (@bad is @n). */
static void write_refusal(ouro_result *results, size_t n, size_t bad, int64_t rc)
{
    for (size_t i = 0; results && i < n; i++)
        results[i] = (ouro_result){bad == n || i == bad ? rc : -OURO_EROLLEDBACK, NULL};
}

/* Bytes behind the command, or what is wrong with the statement @ret_bad. */
static int64_t measure(const ouro_pg_statement *statements, size_t n, size_t *ret_bad,
                       struct pg_complaint *complaint)
{
    size_t total = aligned(n * sizeof(struct batch_item));
    for (size_t i = 0; i < n; i++) {
        const ouro_pg_statement *st = &statements[i];
        int64_t size = ouro__pg_statement_size(st->sql, st->params, st->param_count, complaint);
        *ret_bad = i;
        if (size < 0)
            return size;
        total += aligned((size_t)size);
    }
    return (int64_t)total;
}

static void fill(struct batch *b, const ouro_pg_statement *statements)
{
    char *place = (char *)b->place + aligned(b->n * sizeof(struct batch_item));
    b->items = (struct batch_item *)b->place;
    for (size_t i = 0; i < b->n; i++) {
        const ouro_pg_statement *st = &statements[i];
        struct pg_complaint unused;
        b->items[i] = (struct batch_item){.state = BATCH_TO_SEND};
        ouro__pg_statement_fill(st->sql, st->params, st->param_count, place,
                                &b->items[i].statement);
        place += aligned(
            (size_t)ouro__pg_statement_size(st->sql, st->params, st->param_count, &unused));
    }
}

ouro_future *ouro_pg_batch(ouro_pg *pg, const ouro_pg_statement *statements, size_t n,
                           ouro_result *results, const ouro_pg_batch_options *opts)
{
    static const ouro_pg_batch_options defaults;
    struct pg_complaint complaint;
    ouro_future *f;
    size_t bad = n;
    if (!opts)
        opts = &defaults;
    memset(&complaint, 0, sizeof complaint);
    int64_t size = statements || n == 0 ? 0 : -EINVAL;
    if (size == 0 && n > 0 && n <= SIZE_MAX / 2 / sizeof(struct batch_item))
        size = measure(statements, n, &bad, &complaint);
    if (size < 0) {
        write_refusal(results, n, bad, size);
        return ouro__pg_complain(pg, size, &complaint, opts->error);
    }
    struct batch *b = ouro__pg_command_new(pg, sizeof(*b) + (size_t)size, &batch_kind, &f);
    if (!b) {
        write_refusal(results, n, n, ouro_future_result(f).n);
        return f;
    }
    *b = (struct batch){
        .c = b->c,
        .n = n,
        .results = results,
        .independent = opts->independent,
        .binary = opts->binary,
    };
    b->c.error = opts->error;
    b->c.stubborn = true;
    fill(b, statements);
    ouro__pg_command_queue(&b->c);
    return f;
}
