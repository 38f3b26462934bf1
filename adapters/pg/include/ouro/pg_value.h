/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_VALUE_H
#define OURO_PG_VALUE_H

#include <ouro/base.h>

#include <string.h>

/**
 * @file pg_value.h
 * Values that go into statements, for $1, $2, ... or, by name, for :id and the like.
 *
 *     OURO_PG_PARAMS(ouro_pg_int(7), ouro_pg_text("Ann"))
 *     OURO_PG_PARAMS(ouro_pg_named("id", ouro_pg_int(7)))
 *
 * A value is sent beside the statement, never as a part of it, so no text can be taken for SQL. The
 * server finds out the type from the statement: ouro_pg_int() does for int2, int4, int8, numeric;
 * text for dates, json, uuid and whatever else can be written.
 *
 * What a value points to is borrowed for the call that takes it, which copies.
 */

/** What a value is. */
typedef enum ouro_pg_type {
    OURO_PG_NULL = 0, /**< the SQL NULL */
    OURO_PG_BOOL,     /**< as.integer, 0 or not */
    OURO_PG_INT,      /**< as.integer */
    OURO_PG_DOUBLE,   /**< as.number */
    OURO_PG_TEXT,     /**< as.bytes, without a zero byte in it */
    OURO_PG_BYTES,    /**< as.bytes, for bytea */
    OURO_PG_BOOLS,    /**< as.array of int, each 0 or not */
    OURO_PG_INTS,     /**< as.array of int64_t */
    OURO_PG_DOUBLES,  /**< as.array of double */
    OURO_PG_TEXTS     /**< as.array of const char *; NULL is a NULL in the array */
} ouro_pg_type;

/** A value. Made by the functions below. */
typedef struct ouro_pg_value {
    const char *name;  /**< without the colon; NULL: it stands for the next $n */
    ouro_pg_type type; /**< which member of as counts */
    union {
        int64_t integer; /**< BOOL, INT */
        double number;   /**< DOUBLE */
        struct {
            const void *data; /**< borrowed */
            size_t size;      /**< bytes */
        } bytes;              /**< TEXT, BYTES */
        struct {
            const void *items; /**< borrowed */
            size_t count;      /**< how many */
        } array;               /**< BOOLS to TEXTS */
    } as;                      /**< the value itself */
} ouro_pg_value;

/** So many parameters may a statement have: the protocol counts them in 16 bits. */
#define OURO_PG_PARAMS_MAX 65535

/** Parameters and their number, for the two arguments of every call that takes them; in C alone. */
#define OURO_PG_PARAMS(...)                 \
    ((const ouro_pg_value[]){__VA_ARGS__}), \
        (sizeof((const ouro_pg_value[]){__VA_ARGS__}) / sizeof(ouro_pg_value))

/**
 * The SQL NULL.
 *
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_null(void)
{
    ouro_pg_value v;
    memset(&v, 0, sizeof v);
    return v;
}

/**
 * A boolean.
 *
 * @param truth  0 is false.
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_bool(int truth)
{
    ouro_pg_value v = ouro_pg_null();
    v.type = OURO_PG_BOOL;
    v.as.integer = truth != 0;
    return v;
}

/**
 * A whole number.
 *
 * @param number  The number. The server refuses what the type of the parameter cannot hold.
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_int(int64_t number)
{
    ouro_pg_value v = ouro_pg_null();
    v.type = OURO_PG_INT;
    v.as.integer = number;
    return v;
}

/**
 * A floating-point number, infinities and not-a-number included; sent with all its digits.
 *
 * @param number  The number.
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_double(double number)
{
    ouro_pg_value v = ouro_pg_null();
    v.type = OURO_PG_DOUBLE;
    v.as.number = number;
    return v;
}

/**
 * Text, in the encoding of the connection: UTF-8.
 *
 * @param text  Borrowed until a call has taken the value; NULL is the SQL NULL.
 * @param size  Bytes. A zero byte among them is refused by the call (-EILSEQ): no SQL text has one.
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_text_of(const char *text, size_t size)
{
    ouro_pg_value v = ouro_pg_null();
    v.type = text ? OURO_PG_TEXT : OURO_PG_NULL;
    v.as.bytes.data = text;
    v.as.bytes.size = size;
    return v;
}

/**
 * Text that ends with a zero.
 *
 * @param text  Borrowed until a call has taken the value; NULL is the SQL NULL.
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_text(const char *text)
{
    return ouro_pg_text_of(text, text ? strlen(text) : 0);
}

/**
 * Bytes, for a bytea. Sent as they are.
 *
 * @param data  Borrowed until a call has taken the value; NULL is the SQL NULL.
 * @param size  How many. The server takes 1 GiB at most.
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_bytes(const void *data, size_t size)
{
    ouro_pg_value v = ouro_pg_null();
    v.type = data ? OURO_PG_BYTES : OURO_PG_NULL;
    v.as.bytes.data = data;
    v.as.bytes.size = size;
    return v;
}

/**
 * An array, as `= ANY($1)` takes it. Of one dimension.
 *
 * @param type   OURO_PG_BOOLS to OURO_PG_TEXTS: says what @p items are.
 * @param items  Borrowed until a call has taken the value; NULL is the SQL NULL, unless @p count is
 *               0: that is an empty array.
 * @param count  How many.
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_array(ouro_pg_type type, const void *items, size_t count)
{
    ouro_pg_value v = ouro_pg_null();
    v.type = items || count == 0 ? type : OURO_PG_NULL;
    v.as.array.items = items;
    v.as.array.count = count;
    return v;
}

/**
 * An array of whole numbers. Else as ouro_pg_array().
 *
 * @param items  See ouro_pg_array().
 * @param count  See ouro_pg_array().
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_ints(const int64_t *items, size_t count)
{
    return ouro_pg_array(OURO_PG_INTS, items, count);
}

/**
 * An array of texts, each of which ends with a zero. Else as ouro_pg_array().
 *
 * @param items  See ouro_pg_array(); what they point to is borrowed likewise.
 * @param count  See ouro_pg_array().
 * @return The value.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_texts(const char *const *items, size_t count)
{
    return ouro_pg_array(OURO_PG_TEXTS, items, count);
}

/**
 * A value for :name. A call has names for all its values, or for none.
 *
 * @param name   Without the colon: letters, digits and underscores, not beginning with a digit.
 *               Borrowed until a call has taken the value.
 * @param value  The value.
 * @return The value with its name.   @thread Any.
 */
static inline ouro_pg_value ouro_pg_named(const char *name, ouro_pg_value value)
{
    value.name = name;
    return value;
}

#endif
