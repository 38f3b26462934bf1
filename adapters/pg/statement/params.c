/* SPDX-License-Identifier: MIT */
/*
 * Statements and values as libpq takes them, in one piece of memory.
 *
 * From its front: pointers, lengths, formats, scratch for names, the text as it is sent, the text
 * as it was given if that is another, the values. Both functions have to agree on each of them.
 *
 * Happy path: ouro__pg_statement_size() checks everything and measures, the caller finds memory,
 * ouro__pg_statement_fill() cannot fail. Text without names is not looked into.
 */
#include "params.h"

#include "literal.h"
#include "named.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

/* What a message takes besides texts and values: that much for each, and for itself. */
#define OVERHEAD(count) (64 + 16 * (int64_t)(count))

static bool has_names(const ouro_pg_value *params, size_t count)
{
    return count && params[0].name;
}

static size_t arrays_size(size_t count)
{
    return count * (sizeof(const char *) + 2 * sizeof(int));
}

/* Bytes of all values. */
static int64_t values_size(const ouro_pg_value *params, size_t count,
                           struct pg_complaint *complaint)
{
    bool named = has_names(params, count);
    int64_t all = 0;
    for (size_t i = 0; i < count; i++) {
        if (named != (params[i].name != NULL)) {
            strcpy(complaint->text, "some values have names and others have none");
            return -EINVAL;
        }
        int64_t size = ouro__pg_literal_size(&params[i]);
        if (size < 0)
            return size;
        all += size;
    }
    return all;
}

int64_t ouro__pg_statement_size(const char *sql, const ouro_pg_value *params, size_t count,
                                struct pg_complaint *complaint)
{
    complaint->text[0] = '\0';
    if (!sql || (count && !params))
        return -EINVAL;
    if (count > OURO_PG_PARAMS_MAX)
        return -E2BIG;
    int64_t values = values_size(params, count, complaint);
    if (values < 0)
        return values;
    size_t given = strlen(sql);
    if (given > INT_MAX)
        return -EOVERFLOW;
    int64_t texts = (int64_t)given;
    int64_t spare = 0;
    if (has_names(params, count)) {
        texts = ouro__pg_names_size(sql, params, count, complaint);
        spare = (int64_t)(given + 1 + ouro__pg_names_scratch(count));
    }
    if (texts < 0)
        return texts;
    if (texts + values + OVERHEAD(count) > INT_MAX)
        return -EOVERFLOW;
    return (int64_t)arrays_size(count) + texts + 1 + spare + values;
}

/* Write the texts of @ret at @p; returns where they end. */
static char *fill_texts(const char *sql, const ouro_pg_value *params, size_t count, char *p,
                        struct pg_statement *ret)
{
    size_t given = strlen(sql);
    if (!has_names(params, count)) {
        memcpy(p, sql, given + 1);
        ret->sql = ret->given = p;
        ret->sql_size = given;
        return p + given + 1;
    }
    void *scratch = p;
    p += ouro__pg_names_scratch(count);
    ret->sql = p;
    ret->sql_size = ouro__pg_names_rewrite(sql, params, count, scratch, p);
    p += ret->sql_size + 1;
    memcpy(p, sql, given + 1);
    ret->given = p;
    return p + given + 1;
}

void ouro__pg_statement_fill(const char *sql, const ouro_pg_value *params, size_t count,
                             void *place, struct pg_statement *ret)
{
    const char **values = place;
    int *lengths = (int *)(values + count);
    int *formats = lengths + count;
    *ret = (struct pg_statement){
        .count = (int)count, .values = values, .lengths = lengths, .formats = formats};
    char *p = fill_texts(sql, params, count, (char *)(formats + count), ret);
    for (size_t i = 0; i < count; i++) {
        values[i] = params[i].type == OURO_PG_NULL ? NULL : p;
        lengths[i] = 0;
        formats[i] = params[i].type == OURO_PG_BYTES;
        if (values[i]) {
            size_t size = ouro__pg_literal_write(&params[i], p);
            lengths[i] = (int)size;
            p += size + 1;
        }
    }
}
