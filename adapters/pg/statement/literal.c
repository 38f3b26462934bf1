/* SPDX-License-Identifier: MIT */
/*
 * Values in the form in which the server reads them: text, but bytes as they are.
 *
 * Sizes are exact for whatever can be large, and an upper bound for floating-point numbers, which
 * would have to be printed to be measured. Nothing depends on the process's locale.
 *
 * Happy path: measure, which also checks; then write. Fails when measured: a type that is none, a
 * pointer that is missing, a zero byte in a text, more bytes than an int can count.
 */
#include "literal.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the longest, -2.2250738585072014e-308. */
#define DOUBLE_SIZE 24

/* ---- Numbers --------------------------------------------------------------------------------- */

static int64_t int_size(int64_t n)
{
    return (n < 0) + pg_digits(n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

static char *put(const char *text, char *to)
{
    size_t size = strlen(text);
    memcpy(to, text, size);
    return to + size;
}

/* As few digits as bring the same number back, with a point whatever the locale has there. */
static char *put_digits(double number, char *to)
{
    char text[64];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    for (const char *p = text; *p;) {
        size_t known = strspn(p, "0123456789+-e");
        memcpy(to, p, known);
        to += known;
        p += known;
        if (*p)
            *to++ = '.';
        p += strcspn(p, "0123456789+-e");
    }
    return to;
}

static char *put_double(double number, char *to)
{
    if (isnan(number))
        return put("NaN", to);
    if (isinf(number))
        return put(number < 0 ? "-Infinity" : "Infinity", to);
    if (fabs(number) < 1e15 && number == (double)(int64_t)number &&
        !(number == 0 && signbit(number)))
        return pg_write_int((int64_t)number, to);
    return put_digits(number, to);
}

/* ---- Texts and arrays ------------------------------------------------------------------------ */

/* A text in an array, in quotes. */
static char *put_quoted(const char *text, char *to)
{
    *to++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            *to++ = '\\';
        *to++ = *text;
    }
    *to++ = '"';
    return to;
}

static int64_t quoted_size(const char *text)
{
    int64_t size = 2;
    for (; *text; text++)
        size += 1 + (*text == '"' || *text == '\\');
    return size;
}

static int64_t item_size(ouro_pg_type type, const void *items, size_t i)
{
    const char *text;
    switch (type) {
    case OURO_PG_BOOLS:
        return 1;
    case OURO_PG_INTS:
        return int_size(((const int64_t *)items)[i]);
    case OURO_PG_DOUBLES:
        return DOUBLE_SIZE;
    default:
        text = ((const char *const *)items)[i];
        return text ? quoted_size(text) : 4;
    }
}

static char *put_item(ouro_pg_type type, const void *items, size_t i, char *to)
{
    const char *text;
    switch (type) {
    case OURO_PG_BOOLS:
        *to = ((const int *)items)[i] ? 't' : 'f';
        return to + 1;
    case OURO_PG_INTS:
        return pg_write_int(((const int64_t *)items)[i], to);
    case OURO_PG_DOUBLES:
        return put_double(((const double *)items)[i], to);
    default:
        text = ((const char *const *)items)[i];
        return text ? put_quoted(text, to) : put("NULL", to);
    }
}

static int64_t array_size(const ouro_pg_value *v)
{
    size_t count = v->as.array.count;
    if (count && !v->as.array.items)
        return -EINVAL;
    if (count > INT_MAX / 2) /* an item and a comma each: looking at them would take long */
        return -EOVERFLOW;
    int64_t size = 2 + (int64_t)count; /* braces, commas, zero */
    size += count == 0;
    for (size_t i = 0; i < count && size <= INT_MAX; i++)
        size += item_size(v->type, v->as.array.items, i);
    return size > INT_MAX ? -EOVERFLOW : size;
}

static char *put_array(const ouro_pg_value *v, char *to)
{
    *to++ = '{';
    for (size_t i = 0; i < v->as.array.count; i++) {
        if (i)
            *to++ = ',';
        to = put_item(v->type, v->as.array.items, i, to);
    }
    *to++ = '}';
    return to;
}

static int64_t bytes_size(const ouro_pg_value *v)
{
    size_t size = v->as.bytes.size;
    if (!v->as.bytes.data)
        return -EINVAL;
    if (size >= INT_MAX)
        return -EOVERFLOW;
    if (v->type == OURO_PG_TEXT && memchr(v->as.bytes.data, 0, size))
        return -EILSEQ;
    return (int64_t)size + 1;
}

/* ---- Values ---------------------------------------------------------------------------------- */

int64_t ouro__pg_literal_size(const ouro_pg_value *v)
{
    switch (v->type) {
    case OURO_PG_NULL:
        return 0;
    case OURO_PG_BOOL:
        return 2;
    case OURO_PG_INT:
        return int_size(v->as.integer) + 1;
    case OURO_PG_DOUBLE:
        return DOUBLE_SIZE + 1;
    case OURO_PG_TEXT:
    case OURO_PG_BYTES:
        return bytes_size(v);
    case OURO_PG_BOOLS:
    case OURO_PG_INTS:
    case OURO_PG_DOUBLES:
    case OURO_PG_TEXTS:
        return array_size(v);
    }
    return -EINVAL;
}

static char *put_value(const ouro_pg_value *v, char *to)
{
    switch (v->type) {
    case OURO_PG_NULL:
        break;
    case OURO_PG_BOOL:
        return put(v->as.integer ? "t" : "f", to);
    case OURO_PG_INT:
        return pg_write_int(v->as.integer, to);
    case OURO_PG_DOUBLE:
        return put_double(v->as.number, to);
    case OURO_PG_TEXT:
    case OURO_PG_BYTES:
        memcpy(to, v->as.bytes.data, v->as.bytes.size);
        return to + v->as.bytes.size;
    case OURO_PG_BOOLS:
    case OURO_PG_INTS:
    case OURO_PG_DOUBLES:
    case OURO_PG_TEXTS:
        return put_array(v, to);
    }
    return to;
}

size_t ouro__pg_literal_write(const ouro_pg_value *v, char *to)
{
    char *end = put_value(v, to);
    *end = '\0';
    return (size_t)(end - to);
}
