/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_CELL_H
#define OURO_PG_CELL_H

#include "result_int.h"

#include <stdbool.h>

/* Single values of a result, and what was done to them in place. */

/* Numbers of types in pg_type, which never change. */
enum {
    PG_TYPE_BOOL = 16,
    PG_TYPE_BYTEA = 17,
    PG_TYPE_CHAR = 18,
    PG_TYPE_NAME = 19,
    PG_TYPE_INT8 = 20,
    PG_TYPE_INT2 = 21,
    PG_TYPE_INT4 = 23,
    PG_TYPE_TEXT = 25,
    PG_TYPE_OID = 26,
    PG_TYPE_XID = 28,
    PG_TYPE_CID = 29,
    PG_TYPE_JSON = 114,
    PG_TYPE_XML = 142,
    PG_TYPE_FLOAT4 = 700,
    PG_TYPE_FLOAT8 = 701,
    PG_TYPE_UNKNOWN = 705,
    PG_TYPE_BOXES = 1020,
    PG_TYPE_BPCHAR = 1042,
    PG_TYPE_VARCHAR = 1043,
    PG_TYPE_DATE = 1082,
    PG_TYPE_TIMESTAMP = 1114,
    PG_TYPE_TIMESTAMPTZ = 1184,
    PG_TYPE_NUMERIC = 1700,
    PG_TYPE_UUID = 2950
};

struct pg_items;

/* What the getters want to know of a column, so that they need not ask libpq. */
struct pg_column {
    Oid type;
    bool binary;
    struct pg_items **items; /* one for each row; NULL: nobody has asked for any */
};

struct ouro_pg_result {
    int64_t rows;
    int columns;
    size_t count; /* of parts */
    struct pg_column *column;
    PGresult *parts[]; /* the columns are behind them */
};

/* What became of a value in place. Text has a zero behind it, in a byte that is ours to use: */
enum {
    PG_PLAIN = 0, /* nothing, as libpq left it */
    PG_HEX = 1,   /* bytes, from the hexadecimal form: (size - 2) / 2 */
    PG_FEWER = 2, /* bytes, this minus PG_HEX fewer than there were, up to PG_FEWER_MAX */
    PG_FEWER_MAX = 253,
    PG_FEWER_FAR = 254, /* bytes, as many fewer as the size_t before says */
    PG_APART = 255      /* taken apart into items */
};

/* A value. @data is NULL for the SQL NULL. */
struct pg_cell {
    char *data;
    size_t size;
    Oid type;
    bool binary;
    bool decoded; /* bytes, whatever the result is in */
};

/* Find a value: 0, -EINVAL, -ENOENT, -ENODATA, -EBADMSG (it was taken apart). */
int ouro__pg_cell_find(const ouro_pg_result *r, int64_t row, int column, struct pg_cell *ret);

/* Whether its data is text to be read: it came in text form and is no bytea, or is of a type that is
 * text anyway. */
bool ouro__pg_cell_is_text(const struct pg_cell *cell);

/* Note that the @size bytes of text at @data are but @now bytes of data by now. */
void ouro__pg_cell_shorten(char *data, size_t size, size_t now);

/* Free what ouro_pg_items_at() has left. */
void ouro__pg_items_free(ouro_pg_result *r);

/* Binary integers, in the order of the network. */
static inline uint64_t pg_unsigned_of(const char *data, size_t size)
{
    uint64_t n = 0;
    for (size_t i = 0; i < size; i++)
        n = n << 8 | (unsigned char)data[i];
    return n;
}

static inline int64_t pg_signed_of(const char *data, size_t size)
{
    uint64_t n = pg_unsigned_of(data, size);
    uint64_t sign = (uint64_t)1 << (8 * size - 1);
    return (int64_t)((n ^ sign) - sign);
}

#endif
