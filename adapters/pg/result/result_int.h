/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_RESULT_INT_H
#define OURO_PG_RESULT_INT_H

#include <ouro/pg_error.h>
#include <ouro/pg_result.h>

#include <libpq-fe.h>

/* Rows of one PGresult, or one row of each of several, as streams get them. */

/* A result of @parts, which are taken over on success. NULL: no memory. @count is 1 or more; of
 * several each has one row, and the same columns. */
ouro_pg_result *ouro__pg_result_new(PGresult *const *parts, size_t count);

/* The code of an error that the server reported; 0 if it has no SQLSTATE. */
int64_t ouro__pg_code(const char *sqlstate);

/* Fill @e from an error or a notice. code is its SQLSTATE, or @otherwise if it has none. */
void ouro__pg_error_fill(ouro_pg_error *e, const PGresult *r, int64_t otherwise);

/* "23505: duplicate key ... (Key (id)=(7) already exists.)": what ouro_future_detail() says. */
void ouro__pg_error_print(const ouro_pg_error *e, char *text, size_t size);

#endif
