/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_RESULT_H
#define OURO_PG_RESULT_H

#include <ouro/base.h>

/**
 * @file pg_result.h
 * Rows that a statement brought.
 *
 * Nothing is copied: what the getters give is read from, or lies in, the answer of the server, and
 * is valid until ouro_pg_result_free(). Rows and columns are counted from 0.
 *
 * A result needs no connection and no loop any more: it may outlive both, and be handed to another
 * thread; but only one thread may use it at a time.
 */

/** Rows. */
typedef struct ouro_pg_result ouro_pg_result;

/** Bytes of a text form of a UUID, with the zero. */
#define OURO_PG_UUID_TEXT 37

OURO_BEGIN_DECLS

/**
 * Give a result back.
 *
 * @param r  Consumed; NULL is allowed.
 * @return NULL.   @thread Any.
 */
ouro_pg_result *ouro_pg_result_free(ouro_pg_result *r);

/**
 * How many rows there are.
 *
 * @param r  Borrowed.
 * @return The number; -EINVAL (NULL).   @thread Any.
 */
int64_t ouro_pg_rows(const ouro_pg_result *r);

/**
 * How many columns a row has.
 *
 * @param r  Borrowed.
 * @return The number, 0 of a statement that returns no rows; -EINVAL (NULL).   @thread Any.
 */
int ouro_pg_columns(const ouro_pg_result *r);

/**
 * How many rows the statement has inserted, changed, deleted, selected or copied.
 *
 * @param r  Borrowed.
 * @return The number; 0 if it is no such statement; -EINVAL (NULL).   @thread Any.
 */
int64_t ouro_pg_affected(const ouro_pg_result *r);

/**
 * What the server called it: "SELECT 3", "CREATE TABLE".
 *
 * @param r  Borrowed.
 * @return The tag, borrowed; "" if there is none, or for NULL.   @thread Any.
 */
const char *ouro_pg_tag(const ouro_pg_result *r);

/**
 * The column of a name. Names are compared as they are; the first of several counts.
 *
 * @param r     Borrowed.
 * @param name  Borrowed for the call.
 * @return Its index, -ENOENT (there is none), -EINVAL (NULL).   @thread Any.
 */
int ouro_pg_column(const ouro_pg_result *r, const char *name);

/**
 * The name of a column.
 *
 * @param r       Borrowed.
 * @param column  From 0.
 * @return The name, borrowed; NULL if there is no such column.   @thread Any.
 */
const char *ouro_pg_column_name(const ouro_pg_result *r, int column);

/**
 * The type of a column.
 *
 * @param r       Borrowed.
 * @param column  From 0.
 * @return The object identifier, as in pg_type; 0 if there is no such column.   @thread Any.
 */
uint32_t ouro_pg_column_type(const ouro_pg_result *r, int column);

/**
 * Whether a value is NULL.
 *
 * @param r       Borrowed.
 * @param row     From 0.
 * @param column  From 0.
 * @return 1 or 0; 1 also for what is not there.   @thread Any.
 */
int ouro_pg_is_null(const ouro_pg_result *r, int64_t row, int column);

/**
 * A value as the server wrote it.
 *
 * @param r         Borrowed.
 * @param row       From 0.
 * @param column    From 0.
 * @param ret_size  Receives its bytes, the zero behind them not counted; NULL if unwanted.
 * @return The text, borrowed, with a zero behind it; of a binary result the bytes. NULL for the SQL
 *         NULL, and for what is not there.   @thread Any.
 */
const char *ouro_pg_text_at(const ouro_pg_result *r, int64_t row, int column, size_t *ret_size);

/**
 * A value as a whole number: of an int2, int4, int8, oid, of a boolean, or of text or numeric that
 * is one.
 *
 * @param r          Borrowed.
 * @param row        From 0.
 * @param column     From 0.
 * @param ret_value  Receives it. Written on success alone.
 * @return 0, -ENODATA (NULL), -ENOENT (no such row or column), -ERANGE (beyond 64 bits), -EBADMSG
 *         (it is something else), -EINVAL (a NULL argument).   @thread Any.
 */
int ouro_pg_int_at(const ouro_pg_result *r, int64_t row, int column, int64_t *ret_value);

/**
 * A value as a floating-point number: of a float4, float8, a whole number or a numeric, which may
 * have more digits.
 *
 * @param r          Borrowed.
 * @param row        From 0.
 * @param column     From 0.
 * @param ret_value  Receives it. Written on success alone.
 * @return As ouro_pg_int_at(); -ERANGE: beyond what a double holds.   @thread Any.
 */
int ouro_pg_double_at(const ouro_pg_result *r, int64_t row, int column, double *ret_value);

/**
 * A value as a boolean.
 *
 * @param r          Borrowed.
 * @param row        From 0.
 * @param column     From 0.
 * @param ret_value  Receives 1 or 0. Written on success alone.
 * @return As ouro_pg_int_at().   @thread Any.
 */
int ouro_pg_bool_at(const ouro_pg_result *r, int64_t row, int column, int *ret_value);

/**
 * A point of time: of a timestamptz, a timestamp (taken for UTC) or a date (its midnight, in UTC).
 *
 * @param r             Borrowed.
 * @param row           From 0.
 * @param column        From 0.
 * @param ret_us  Receives microseconds since 1970-01-01 00:00 UTC; of -infinity INT64_MIN, of
 *                infinity INT64_MAX. Written on success alone.
 * @return As ouro_pg_int_at(). -EBADMSG: also when the session's DateStyle is not ISO.
 * @thread Any.
 */
int ouro_pg_time_at(const ouro_pg_result *r, int64_t row, int column, int64_t *ret_us);

/**
 * A UUID in its text form, whichever way it came.
 *
 * @param r         Borrowed.
 * @param row       From 0.
 * @param column    From 0.
 * @param ret_text  Receives it, lower case, and a zero. Written on success alone.
 * @return As ouro_pg_int_at().   @thread Any.
 */
int ouro_pg_uuid_at(const ouro_pg_result *r, int64_t row, int column,
                    char ret_text[OURO_PG_UUID_TEXT]);

/**
 * The bytes of a bytea.
 *
 * Of a text result they are decoded in place, the first time they are asked for; then
 * ouro_pg_text_at() gives them too.
 *
 * @param r         Changed, if they have to be decoded.
 * @param row       From 0.
 * @param column    From 0.
 * @param ret_data  Receives where they lie, borrowed. Written on success alone.
 * @param ret_size  Receives how many there are.
 * @return As ouro_pg_int_at().   @thread Any.
 */
int ouro_pg_bytes_at(ouro_pg_result *r, int64_t row, int column, const void **ret_data,
                     size_t *ret_size);

/** An item of an array; data is NULL for the SQL NULL, else text with a zero behind it. */
typedef struct ouro_pg_item {
    const char *data; /**< borrowed from the result */
    size_t size;      /**< bytes */
} ouro_pg_item;

/**
 * The items of an array of one dimension.
 *
 * They are taken apart in place, the first time they are asked for; the value cannot be read
 * otherwise from then on.
 *
 * @param r          Changed. A text result.
 * @param row        From 0.
 * @param column     From 0.
 * @param ret_items  Receives the items, which are the result's and valid until it is freed. Written
 *                   on success alone.
 * @return How many there are; else as ouro_pg_int_at(), and -EDOM (several dimensions, or an index
 *         that does not begin with 1), -ENOMEM.   @thread Any.
 */
int64_t ouro_pg_items_at(ouro_pg_result *r, int64_t row, int column,
                         const ouro_pg_item **ret_items);

OURO_END_DECLS

#endif
