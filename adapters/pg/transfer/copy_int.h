/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_COPY_INT_H
#define OURO_PG_COPY_INT_H

#include <ouro/pg_stream.h>

#include "taken.h"

struct copying {
    struct pg_command c;
    ouro_pg_copy *copy; /* NULL: given back */
    bool begun;         /* the server has said which way it goes */
    bool opened;        /* its user has it */
    bool in;            /* FROM STDIN */
    bool broken;        /* broken off by us: what the server says to that is nobody's error */
    bool refused;       /* the server has said that it failed, and libpq has not read that yet */
    char sql[];
};

struct ouro_pg_copy {
    struct copying *from; /* NULL: it has ended */
    struct pg_home home;
    struct pg_outcome outcome; /* when it has */
    bool in;
    bool spoiled; /* a write was cancelled: nobody knows what was sent */
    bool ending;
    int64_t rows;

    /* FROM STDIN. */
    const char *data; /* what is being written: lent, the rest of it */
    size_t left;
    size_t size;
    size_t unflushed; /* bytes that libpq got since it was last asked to send */

    /* TO STDOUT. */
    char *row; /* libpq's, lent to the user */
    const void **ret_data;
};

/* 0, or why a call on @k in the direction @in is refused. */
int ouro__pg_copy_check(const ouro_pg_copy *k, bool in);

/* Have the server end it in failure, if it still takes data. */
void ouro__pg_copy_break_off(struct copying *q);

bool ouro__pg_copy_in_feed(struct pg_command *c, PGconn *db);
void ouro__pg_copy_in_look(struct pg_command *c, PGconn *db);
bool ouro__pg_copy_out_move(struct copying *q, PGconn *db);

/* Whether a refusal of the server lies in the socket. */
bool ouro__pg_copy_peek(PGconn *db);

#endif
