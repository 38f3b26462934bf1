/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_TEST_H
#define OURO_PG_TEST_H

/* What the tests of ouro_pg share: a connection, and statements of which only one thing matters. */

#include <ouro/pg.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "pg.h"

/* A connection with these options; it must come about. */
static inline ouro_pg *connect_with(const ouro_pg_options *opts)
{
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(pg_conninfo(), opts), &rc);
    check_eq(rc, 0);
    return pg;
}

static inline ouro_pg *connected(void)
{
    return connect_with(NULL);
}

/* Run a statement: what ouro_await() says of it. */
static inline int64_t run(ouro_pg *pg, const char *sql)
{
    return ouro_await(ouro_pg_query(pg, sql, NULL, 0, NULL));
}

/* The first value of the first row as a number; the error of the statement; -ENODATA: no row. */
static inline int64_t number(ouro_pg *pg, const char *sql)
{
    int64_t rc, value = -ENODATA;
    ouro_pg_result *r = ouro_await_ptr(ouro_pg_query(pg, sql, NULL, 0, NULL), &rc);
    if (rc > 0)
        rc = ouro_pg_int_at(r, 0, 0, &value);
    ouro_pg_result_free(r);
    return rc < 0 ? rc : value;
}

/* Begin a transaction, which must succeed. */
static inline ouro_pg *begun(ouro_pg *pg)
{
    int64_t rc;
    ouro_pg *tx = ouro_await_ptr(ouro_pg_begin(pg, NULL), &rc);
    check_eq(rc, 0);
    return tx;
}

/* What a future came to, and the words for it, which must contain @part. */
static inline int64_t words_of(ouro_future *f, const char *part)
{
    ouro_ref(f);
    int64_t rc = ouro_await(f);
    const char *words = ouro_future_detail(f);
    if (!words || !strstr(words, part))
        check_text(words ? words : "(none)", part);
    ouro_unref(f);
    return rc;
}

#endif
