/* SPDX-License-Identifier: MIT */
/*
 * Arrays of one dimension: {1,NULL,"a \"quoted\" one"}, as the server writes them.
 *
 * An item is never longer than what it is written with, quotes or the comma behind it included. So
 * items are unescaped where they stand, each with a zero behind it; only their list takes memory.
 *
 * Happy path: count, which also checks; find memory; take apart, and mark the value so that nobody
 * reads what is left of it. The list is found again by row, in a table that a column gets when the
 * first is asked for.
 *
 * Fails before anything is changed: -EBADMSG (no array), -EDOM (one of several dimensions), -ENOMEM.
 */
#include "cell.h"

#include <ouro/memory.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct pg_items {
    int64_t count;
    ouro_pg_item item[];
};

void ouro__pg_items_free(ouro_pg_result *r)
{
    for (int column = 0; column < r->columns; column++) {
        struct pg_items **items = r->column[column].items;
        for (int64_t row = 0; items && row < r->rows; row++)
            ouro_memory_release(items[row]);
        ouro_memory_release(items);
    }
}

/* ---- Looking --------------------------------------------------------------------------------- */

/* Behind an item at @p; NULL: it is malformed. */
static const char *skip_item(const char *p)
{
    if (*p != '"') {
        const char *start = p;
        p += strcspn(p, ",{}\"\\");
        return p > start ? p : NULL;
    }
    for (p++; *p != '"'; p++) {
        if (*p == '\\')
            p++;
        if (!*p)
            return NULL;
    }
    return p + 1;
}

/* How many items there are; or what is wrong. */
static int64_t count_items(const char *text, size_t size)
{
    const char *end = text + size;
    const char *p = text;
    if (*p == '[')
        return -EDOM;
    if (*p++ != '{')
        return -EBADMSG;
    if (p[0] == '}')
        return p + 1 == end ? 0 : -EBADMSG;
    for (int64_t count = 1;; count++) {
        if (*p == '{')
            return -EDOM;
        p = skip_item(p);
        if (!p)
            return -EBADMSG;
        if (p[0] == '}' && p + 1 == end)
            return count;
        if (*p++ != ',')
            return -EBADMSG;
    }
}

/* ---- Taking apart ---------------------------------------------------------------------------- */

/* Take the item at @p; returns behind it, where a comma or a brace still is. */
static char *take_quoted(char *p, ouro_pg_item *ret)
{
    char *to = p;
    ret->data = to;
    for (p++; *p != '"'; p++) {
        if (*p == '\\')
            p++;
        *to++ = *p;
    }
    *to = '\0';
    ret->size = (size_t)(to - ret->data);
    return p + 1;
}

static char *take_plain(char *p, ouro_pg_item *ret)
{
    size_t size = strcspn(p, ",}");
    bool is_null = size == 4 && strncasecmp(p, "NULL", 4) == 0;
    *ret = (ouro_pg_item){.data = is_null ? NULL : p, .size = is_null ? 0 : size};
    return p + size;
}

static void take_items(char *text, struct pg_items *items)
{
    char *p = text + 1;
    for (int64_t i = 0; i < items->count; i++) {
        p = *p == '"' ? take_quoted(p, &items->item[i]) : take_plain(p, &items->item[i]);
        *p++ = '\0'; /* the comma, or the brace */
    }
}

/* ---- Remembering ----------------------------------------------------------------------------- */

/* Where the items of a value are kept; NULL: no memory. */
static struct pg_items **place_of(ouro_pg_result *r, int64_t row, int column)
{
    struct pg_column *c = &r->column[column];
    if (!c->items) {
        size_t size = (size_t)r->rows * sizeof *c->items;
        c->items = ouro_memory_alloc(size);
        if (c->items)
            memset(c->items, 0, size);
    }
    return c->items ? &c->items[row] : NULL;
}

static struct pg_items *items_new(int64_t count)
{
    struct pg_items *items;
    if ((uint64_t)count > (SIZE_MAX - sizeof *items) / sizeof *items->item)
        return NULL;
    items = ouro_memory_alloc(sizeof *items + (size_t)count * sizeof *items->item);
    if (items)
        items->count = count;
    return items;
}

static int64_t take_apart(ouro_pg_result *r, int64_t row, int column, struct pg_items **ret)
{
    struct pg_cell cell;
    int rc = ouro__pg_cell_find(r, row, column, &cell);
    if (rc < 0)
        return rc;
    /* Corners of boxes have commas between, and boxes something else. */
    if (cell.binary || cell.type == PG_TYPE_BYTEA || cell.type == PG_TYPE_BOXES)
        return -EBADMSG;
    int64_t count = count_items(cell.data, cell.size);
    if (count < 0)
        return count;
    struct pg_items **place = place_of(r, row, column);
    struct pg_items *items = place ? items_new(count) : NULL;
    if (!items)
        return -ENOMEM;
    take_items(cell.data, items);
    cell.data[cell.size] = (char)PG_APART;
    *ret = *place = items;
    return count;
}

static struct pg_items *known(const ouro_pg_result *r, int64_t row, int column)
{
    if (row < 0 || row >= r->rows || column < 0 || column >= r->columns)
        return NULL;
    struct pg_items **items = r->column[column].items;
    return items ? items[row] : NULL;
}

int64_t ouro_pg_items_at(ouro_pg_result *r, int64_t row, int column, const ouro_pg_item **ret_items)
{
    if (!r || !ret_items)
        return -EINVAL;
    struct pg_items *items = known(r, row, column);
    if (!items) {
        int64_t rc = take_apart(r, row, column, &items);
        if (rc < 0)
            return rc;
    }
    *ret_items = items->item;
    return items->count;
}
