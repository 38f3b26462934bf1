/* SPDX-License-Identifier: MIT */
/*
 * Rows that a statement brought: the object, and what it says of itself as a whole.
 *
 * One block: how many rows, libpq's results, and what the getters need to know of the columns. A
 * whole answer is one PGresult of many rows, a piece of a stream many of one row.
 *
 * Happy path: libpq's results are taken over, looked at, and cleared when this is freed. Only making
 * it can fail, for lack of memory; then nothing was taken over.
 */
#include "cell.h"

#include <ouro/memory.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

static int64_t rows_of(PGresult *const *parts, size_t count)
{
    return count == 1 ? PQntuples(parts[0]) : (int64_t)count;
}

ouro_pg_result *ouro__pg_result_new(PGresult *const *parts, size_t count)
{
    assert(count > 0);
    assert(count == 1 || PQntuples(parts[0]) == 1);
    int columns = PQnfields(parts[0]);
    size_t head = sizeof(ouro_pg_result) + count * sizeof *parts;
    ouro_pg_result *r = ouro_memory_alloc(head + (size_t)columns * sizeof *r->column);
    if (!r)
        return NULL;
    *r = (ouro_pg_result){.rows = rows_of(parts, count), .columns = columns, .count = count};
    memcpy(r->parts, parts, count * sizeof *parts);
    r->column = (struct pg_column *)(r->parts + count);
    for (int i = 0; i < columns; i++)
        r->column[i] = (struct pg_column){.type = PQftype(parts[0], i),
                                          .binary = PQfformat(parts[0], i) == 1};
    return r;
}

ouro_pg_result *ouro_pg_result_free(ouro_pg_result *r)
{
    if (!r)
        return NULL;
    ouro__pg_items_free(r);
    for (size_t i = 0; i < r->count; i++)
        PQclear(r->parts[i]);
    ouro_memory_release(r);
    return NULL;
}

int64_t ouro_pg_rows(const ouro_pg_result *r)
{
    return r ? r->rows : -EINVAL;
}

int ouro_pg_columns(const ouro_pg_result *r)
{
    return r ? r->columns : -EINVAL;
}

int64_t ouro_pg_affected(const ouro_pg_result *r)
{
    if (!r)
        return -EINVAL;
    int64_t n = 0;
    for (const char *p = PQcmdTuples(r->parts[r->count - 1]); *p >= '0' && *p <= '9'; p++)
        n = 10 * n + (*p - '0');
    return n;
}

const char *ouro_pg_tag(const ouro_pg_result *r)
{
    return r ? PQcmdStatus(r->parts[r->count - 1]) : "";
}

int ouro_pg_column(const ouro_pg_result *r, const char *name)
{
    if (!r || !name)
        return -EINVAL;
    for (int i = 0; i < r->columns; i++)
        if (strcmp(PQfname(r->parts[0], i), name) == 0)
            return i;
    return -ENOENT;
}

const char *ouro_pg_column_name(const ouro_pg_result *r, int column)
{
    return r && column >= 0 && column < r->columns ? PQfname(r->parts[0], column) : NULL;
}

uint32_t ouro_pg_column_type(const ouro_pg_result *r, int column)
{
    return r && column >= 0 && column < r->columns ? r->column[column].type : 0;
}
