/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_QUERY_INT_H
#define OURO_PG_QUERY_INT_H

#include "params.h"
#include "session.h"

/* Settle the promise of @c with the rows of @got, which is taken over. */
void ouro__pg_command_hand_over(struct pg_command *c, PGresult *got);

/* A future of what is wrong with a statement: @rc, in the words of @complaint, which go to @error
 * too. What is wrong with the handle itself comes first. */
ouro_future *ouro__pg_complain(ouro_pg *pg, int64_t rc, const struct pg_complaint *complaint,
                               ouro_pg_error *error);

/* The server counts in the text that it was sent: have the error that was just kept say where that
 * is in the one that was written. */
void ouro__pg_command_position(struct pg_command *c, const struct pg_statement *st);

/* Whether a statement failed since what was prepared is not there, or its plan does not fit, any
 * more. */
bool ouro__pg_error_is_stale(const PGresult *r);

/* The same of one without a handle. */
ouro_future *ouro__pg_complain_loosely(int64_t rc, const struct pg_complaint *complaint,
                                       ouro_pg_error *error);

/* What ouro_pg_query() does, without a connection: see ouro__pg_command_loose(). */
struct pg_command *ouro__pg_query_loose(const char *sql, const ouro_pg_value *params, size_t count,
                                        const ouro_pg_query_options *opts, ouro_future **ret);

#endif
