/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_PARAMS_H
#define OURO_PG_PARAMS_H

/*
 * Statements and values in the form that libpq takes.
 *
 * A statement is one piece of memory, which its command carries: the text with $1, $2, ..., and
 * arrays with the values. So nothing of the caller's is borrowed once this is made.
 */

#include <ouro/pg_value.h>

/* What PQsendQueryParams() and its like want to have. All of it is in one block. */
struct pg_statement {
    const char *sql;   /* rewritten, if the values have names */
    size_t sql_size;   /* bytes, without the zero */
    const char *given; /* as it was written; the same if nothing had to be rewritten */
    int count;
    const char *const *values; /* `count` each; NULL is the SQL NULL */
    const int *lengths;
    const int *formats; /* 0 text, 1 binary */
};

/* What was wrong, in words: empty if the code says it all. */
struct pg_complaint {
    char text[160];
};

/* How much memory pg_statement_fill() needs for these: bytes, or what is wrong (-EINVAL, -E2BIG,
 * -EILSEQ, -ENOKEY, -ENOTUNIQ, -EBADSLT; -EOVERFLOW: more than libpq can count). */
int64_t ouro__pg_statement_size(const char *sql, const ouro_pg_value *params, size_t count,
                                struct pg_complaint *complaint);

/* Fill @ret, and the @place of that many bytes, which is aligned for anything. */
void ouro__pg_statement_fill(const char *sql, const ouro_pg_value *params, size_t count,
                             void *place, struct pg_statement *ret);

/* Where a @position of the text that was sent, in characters from 1, is in the one that was
 * given. */
int64_t ouro__pg_statement_position(const struct pg_statement *s, int64_t position);

#endif
