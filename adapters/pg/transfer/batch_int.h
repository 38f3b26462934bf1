/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_BATCH_INT_H
#define OURO_PG_BATCH_INT_H

#include <stddef.h>

#include "query_int.h"

enum batch_state { BATCH_TO_SEND, BATCH_SENT, BATCH_DONE };

struct batch_item {
    struct pg_statement statement;
    struct pg_prepared *prepared; /* what it is sent by; NULL: plainly */
    PGresult *got;                /* kept if somebody wants it */
    int64_t code;                 /* < 0: it has failed */
    enum batch_state state;
    bool prepares; /* the next answer is to its preparing */
    bool stale;    /* it has failed since what was prepared does not fit */
};

struct batch {
    struct pg_command c;
    struct batch_item *items;
    size_t n;
    ouro_result *results; /* lent by the caller; NULL: nobody wants them */
    bool independent;
    bool binary;
    bool in_transaction;     /* it was begun in one */
    bool stale;              /* some item is */
    bool at_sync;            /* independent: the next answer is to the Sync of `last` */
    unsigned round;          /* 1, 2 */
    size_t sent;             /* items before it were sent, or need not be */
    size_t at;               /* items before it have been answered */
    struct batch_item *last; /* that was answered */
    size_t syncs;            /* that were sent, */
    size_t synced;           /* and answered */
    size_t unflushed;        /* bytes that libpq got since it was last asked to send */
    max_align_t place[];
};

int ouro__pg_batch_send(struct pg_command *c, PGconn *db);
bool ouro__pg_batch_feed(struct pg_command *c, PGconn *db);
void ouro__pg_batch_result(struct pg_command *c, PGresult *r);
enum pg_next ouro__pg_batch_done(struct pg_command *c);

/* Nothing is about prepared statements any more. */
void ouro__pg_batch_let_go(struct batch *b);

/* The answer to an item is @code. */
void ouro__pg_batch_end_item(struct batch *b, struct batch_item *item, int64_t code);

#endif
