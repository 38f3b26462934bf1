/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_ERROR_H
#define OURO_PG_ERROR_H

#include <ouro/base.h>
#include <ouro/error.h>

/**
 * @file pg_error.h
 * What the server has to say about an error.
 *
 * The code of a failed call is enough to act on: -OURO_ESQL_UNIQUE_VIOLATION and its like, for any
 * other SQLSTATE ouro_sqlstate(). For people there is ouro_future_detail(), a sentence; and for
 * programs that show single fields the struct below, filled where the call's options name one, and
 * kept on the connection for ouro_pg_error_get().
 */

/** The fields of an error or a notice, as the server gave them: empty when it gave none, cut where
 *  they are longer than there is room. */
typedef struct ouro_pg_error {
    int64_t code;        /**< what the call failed with, < 0; 0 of a notice */
    int64_t position;    /**< of the error in the statement, in characters from 1; 0: nowhere. Of a
                               statement with :names, in what was written, not in what was sent */
    char sqlstate[6];    /**< five characters; empty if the server did not say it */
    char severity[12];   /**< "ERROR", "FATAL", "NOTICE", ...; never translated */
    char message[256];   /**< the primary message */
    char detail[256];    /**< more about it: which key, which value */
    char hint[256];      /**< what might help */
    char context[256];   /**< where in functions and triggers it happened */
    char schema[64];     /**< of the table, type or constraint concerned */
    char table[64];      /**< its name */
    char column[64];     /**< its name */
    char type[64];       /**< its name */
    char constraint[64]; /**< its name */
} ouro_pg_error;

#endif
