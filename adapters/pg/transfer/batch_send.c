/* SPDX-License-Identifier: MIT */
/*
 * Batches: what is sent.
 *
 * A round begins in pipeline mode, and goes on a statement at a time while libpq can get rid of
 * what it has. The Sync behind all of an all-or-none batch is sent when all was, or when the server
 * has refused one: in no other case, since it would commit a part.
 *
 * How it fails: libpq refuses for want of memory. What was sent of a pipeline cannot be taken back,
 * so the session is given up.
 */
#include <errno.h>
#include <string.h>

#include "batch_int.h"

#define ENOUGH ((size_t)64 * 1024) /* bytes between looks whether the socket takes them */

static bool same_text(const struct pg_statement *a, const struct pg_statement *b)
{
    return a->sql_size == b->sql_size && memcmp(a->sql, b->sql, a->sql_size) == 0;
}

/* What is, or is to be, prepared for a statement; NULL: nothing. */
static struct pg_prepared *find(struct batch *b, const struct batch_item *item)
{
    bool seen;
    const struct pg_statement *st = &item->statement;
    const struct batch_item *first = b->items, *last = &b->items[b->n - 1];
    if (item > first && item[-1].prepared && same_text(st, &item[-1].statement))
        return item[-1].prepared;
    struct pg_prepared *p = ouro__pg_cache_find(b->c.session, st->sql, st->sql_size, &seen);
    bool comes_again = item < last && same_text(st, &item[1].statement);
    return seen || comes_again ? p : NULL;
}

/* How a statement is sent: plainly, or by what is prepared for it. True: that has to be prepared
 * first. */
static bool choose(struct batch *b, struct batch_item *item)
{
    struct pg_prepared *p = find(b, item);
    if (!p)
        return false;
    item->prepared = p;
    p->busy = true;
    if (p->prepared || p->asked)
        return false;
    p->asked = true;
    return true;
}

static size_t weight(const struct pg_statement *st)
{
    size_t bytes = st->sql_size;
    for (int i = 0; i < st->count; i++)
        bytes += (size_t)st->lengths[i];
    return bytes;
}

static bool send_item(struct batch *b, struct batch_item *item, PGconn *db)
{
    const struct pg_statement *st = &item->statement;
    char name[OURO__PG_STATEMENT_NAME];
    item->prepares = choose(b, item);
    if (item->prepared)
        ouro__pg_cache_name(item->prepared, name);
    if (item->prepares && !PQsendPrepare(db, name, st->sql, 0, NULL))
        return false;
    b->unflushed += weight(st);
    b->c.session->stats.statements++;
    b->c.session->stats.preparings += item->prepares;
    b->c.session->stats.prepared += item->prepared != NULL;
    item->state = BATCH_SENT;
    if (item->prepared)
        return PQsendQueryPrepared(db, name, st->count, st->values, st->lengths, st->formats,
                                   b->binary);
    return PQsendQueryParams(db, st->sql, st->count, NULL, st->values, st->lengths, st->formats,
                             b->binary);
}

/* Whether what was not sent need not be: it would be skipped, or nobody wants it. */
static bool rest_is_useless(const struct batch *b)
{
    return b->independent ? b->c.cancelled : b->c.code != 0;
}

static bool sync(struct batch *b, PGconn *db)
{
    b->syncs++;
    return PQpipelineSync(db);
}

static struct batch_item *next_to_send(struct batch *b)
{
    while (b->sent < b->n && b->items[b->sent].state != BATCH_TO_SEND)
        b->sent++;
    return b->sent < b->n && !rest_is_useless(b) ? &b->items[b->sent] : NULL;
}

/* A pipeline that is half sent has no other end. */
static bool give_up(struct batch *b)
{
    struct pg_command *c = &b->c;
    int rc = ouro__pg_command_refused(c);
    c->feeding = false;
    if (rc != -ECONNRESET) /* that shows when libpq reads, and then with why */
        ouro__pg_session_lose(c->session, rc, NULL);
    return false;
}

bool ouro__pg_batch_feed(struct pg_command *c, PGconn *db)
{
    struct batch *b = (void *)c;
    if (b->unflushed >= ENOUGH) {
        if (PQflush(db) == 1)
            return false;
        b->unflushed = 0;
    }
    struct batch_item *item = next_to_send(b);
    bool good = !item || send_item(b, item, db);
    if (good && item && b->independent)
        good = sync(b, db);
    if (!good)
        return give_up(b);
    if (item)
        return true;
    c->feeding = false;
    if (!b->independent || b->syncs == 0)
        good = sync(b, db);
    return good ? false : give_up(b);
}

int ouro__pg_batch_send(struct pg_command *c, PGconn *db)
{
    struct batch *b = (void *)c;
    if (b->round == 0)
        c->session->stats.statements--; /* they are counted one by one */
    if (b->n == 0)
        return 1;
    if (!PQenterPipelineMode(db))
        return ouro__pg_command_refused(c);
    b->round++;
    b->in_transaction = PQtransactionStatus(db) != PQTRANS_IDLE;
    b->sent = b->at = 0;
    b->syncs = b->synced = 0;
    c->feeding = true;
    return 0;
}
