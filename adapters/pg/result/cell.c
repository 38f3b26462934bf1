/* SPDX-License-Identifier: MIT */
/*
 * Single values of a result.
 *
 * Bytes are decoded in place, and arrays taken apart in place. That this was done is written into
 * the byte behind the value, where libpq puts a zero: so it costs no memory, and nothing to look up.
 *
 * A value that was taken apart is found no more. Every getter starts here, so none of them sees one.
 */
#include "cell.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* How many bytes a decoded value has, whose text had @size. */
static size_t decoded_size(const char *data, size_t size)
{
    unsigned mark = (unsigned char)data[size];
    size_t fewer = mark - PG_HEX;
    if (mark == PG_HEX)
        return (size - 2) / 2;
    if (mark == PG_FEWER_FAR)
        memcpy(&fewer, data + size - sizeof fewer, sizeof fewer);
    return size - fewer;
}

void ouro__pg_cell_shorten(char *data, size_t size, size_t now)
{
    assert(now <= size);
    size_t fewer = size - now;
    if (!fewer)
        return;
    data[now] = '\0';
    unsigned mark = PG_FEWER_FAR;
    if (fewer <= PG_FEWER_MAX - PG_HEX)
        mark = (unsigned)fewer + PG_HEX;
    else
        memcpy(data + size - sizeof fewer, &fewer, sizeof fewer);
    data[size] = (char)mark;
}

int ouro__pg_cell_find(const ouro_pg_result *r, int64_t row, int column, struct pg_cell *ret)
{
    if (!r)
        return -EINVAL;
    if (row < 0 || row >= r->rows || column < 0 || column >= r->columns)
        return -ENOENT;
    const PGresult *part = r->count == 1 ? r->parts[0] : r->parts[row];
    int index = r->count == 1 ? (int)row : 0;
    int size = PQgetlength(part, index, column);
    if (size <= 0 && PQgetisnull(part, index, column))
        return -ENODATA;
    const struct pg_column *c = &r->column[column];
    *ret = (struct pg_cell){.data = PQgetvalue(part, index, column),
                            .size = (size_t)size,
                            .type = c->type,
                            .binary = c->binary};
    if (!ret->data[size])
        return 0;
    if ((unsigned char)ret->data[size] == PG_APART)
        return -EBADMSG;
    ret->size = decoded_size(ret->data, ret->size);
    ret->decoded = true;
    return 0;
}

bool ouro__pg_cell_is_text(const struct pg_cell *cell)
{
    if (!cell->binary)
        return cell->type != PG_TYPE_BYTEA;
    switch (cell->type) {
    case PG_TYPE_CHAR:
    case PG_TYPE_NAME:
    case PG_TYPE_TEXT:
    case PG_TYPE_JSON:
    case PG_TYPE_XML:
    case PG_TYPE_UNKNOWN:
    case PG_TYPE_BPCHAR:
    case PG_TYPE_VARCHAR:
        return true;
    default:
        return false;
    }
}

int ouro_pg_is_null(const ouro_pg_result *r, int64_t row, int column)
{
    struct pg_cell cell;
    int rc = ouro__pg_cell_find(r, row, column, &cell);
    return rc < 0 && rc != -EBADMSG;
}

const char *ouro_pg_text_at(const ouro_pg_result *r, int64_t row, int column, size_t *ret_size)
{
    struct pg_cell cell = {.data = NULL};
    int rc = ouro__pg_cell_find(r, row, column, &cell);
    if (rc < 0)
        cell = (struct pg_cell){.data = NULL};
    if (ret_size)
        *ret_size = cell.size;
    return cell.data;
}
