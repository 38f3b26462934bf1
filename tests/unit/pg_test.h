/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_TEST_H
#define OURO_PG_TEST_H

/*
 * Statements and results without a server. A statement lies in as much memory as it asked for and
 * not a byte more, so that AddressSanitizer sees if that was too little.
 */

#include "harness.h"

#include <ouro/pg.h>

#include "params.h"
#include "result_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct made {
    struct pg_statement s;
    void *place;
};

static inline struct made make(const char *sql, const ouro_pg_value *params, size_t count)
{
    struct made m;
    struct pg_complaint complaint;
    int64_t size = ouro__pg_statement_size(sql, params, count, &complaint);
    check(size > 0);
    check_text(complaint.text, "");
    m.place = malloc((size_t)size);
    memset(m.place, 0x55, (size_t)size);
    ouro__pg_statement_fill(sql, params, count, m.place, &m.s);
    check_eq(m.s.count, count);
    check_eq(m.s.sql_size, strlen(m.s.sql));
    check_text(m.s.given, sql);
    return m;
}

static inline void made_free(struct made *m)
{
    free(m->place);
}

/* What is refused with @code, and with these words. */
static inline void refused(const char *sql, const ouro_pg_value *params, size_t count, int64_t code,
                           const char *words)
{
    struct pg_complaint complaint;
    memset(&complaint, 'x', sizeof complaint);
    check_eq(ouro__pg_statement_size(sql, params, count, &complaint), code);
    check(memchr(complaint.text, 0, sizeof complaint.text) != NULL);
    check_text(complaint.text, words);
}

/* One value in one column, of a server that sends it so; NULL is the SQL NULL. */
static inline ouro_pg_result *one_of(Oid type, int format, const char *data, size_t size)
{
    char name[] = "value";
    PGresAttDesc column = {.name = name, .typid = type, .format = format, .typlen = -1};
    PGresult *part = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    check(PQsetResultAttrs(part, 1, &column));
    char *copy = malloc(size + 1);
    if (data)
        memcpy(copy, data, size);
    check(PQsetvalue(part, 0, 0, data ? copy : NULL, data ? (int)size : -1));
    free(copy);
    ouro_pg_result *r = ouro__pg_result_new(&part, 1);
    check(r != NULL);
    return r;
}

static inline ouro_pg_result *text_of(Oid type, const char *text)
{
    return one_of(type, 0, text, text ? strlen(text) : 0);
}

/* Memory that ends after so many pieces. */
struct pieces {
    int left;
    int live;
};

static inline void *pieces_alloc(size_t size, void *arg)
{
    struct pieces *p = arg;
    if (p->left-- <= 0)
        return NULL;
    p->live++;
    return malloc(size);
}

static inline void *pieces_resize(void *ptr, size_t size, void *arg)
{
    (void)arg;
    return realloc(ptr, size);
}

static inline void pieces_release(void *ptr, void *arg)
{
    struct pieces *p = arg;
    p->live -= ptr != NULL;
    free(ptr);
}

static inline void memory_of(struct pieces *p)
{
    ouro_allocator a = {
        .alloc = pieces_alloc, .resize = pieces_resize, .release = pieces_release, .arg = p};
    check_eq(ouro_set_allocator(&a), 0);
}

#endif
