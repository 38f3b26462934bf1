/* SPDX-License-Identifier: MIT */
/*
 * Values as numbers, booleans and UUIDs, whichever form they came in.
 *
 * Text is read by what is in it, whatever its type is called, but where one text means several
 * things. Binary values are read by their type, and must have its size.
 *
 * Nothing is written but on success; -EBADMSG says that the value is something else.
 */
#include "cell.h"
#include "number.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int bool_of_cell(const struct pg_cell *cell, bool *ret)
{
    if (cell->size != 1)
        return -EBADMSG;
    char c = *cell->data;
    if (c != (cell->binary ? 0 : 'f') && c != (cell->binary ? 1 : 't'))
        return -EBADMSG;
    *ret = c != (cell->binary ? 0 : 'f');
    return 0;
}

/* ---- Whole numbers --------------------------------------------------------------------------- */

/* Bytes of a whole number of this type; 0: it is something else. */
static size_t int_size(Oid type)
{
    switch (type) {
    case PG_TYPE_INT2:
        return 2;
    case PG_TYPE_INT4:
    case PG_TYPE_OID:
    case PG_TYPE_XID:
    case PG_TYPE_CID:
        return 4;
    case PG_TYPE_INT8:
        return 8;
    default:
        return 0;
    }
}

static int int_of_binary(const struct pg_cell *cell, int64_t *ret)
{
    if (cell->type == PG_TYPE_NUMERIC)
        return ouro__pg_int_of_numeric(cell->data, cell->size, ret);
    if (!cell->size || cell->size != int_size(cell->type))
        return -EBADMSG;
    bool is_signed = cell->type == PG_TYPE_INT2 || cell->type == PG_TYPE_INT4 ||
                     cell->type == PG_TYPE_INT8;
    *ret = is_signed ? pg_signed_of(cell->data, cell->size)
                     : (int64_t)pg_unsigned_of(cell->data, cell->size);
    return 0;
}

static int int_of_cell(const struct pg_cell *cell, int64_t *ret)
{
    bool truth;
    int rc;
    switch (cell->type) {
    case PG_TYPE_BOOL:
        rc = bool_of_cell(cell, &truth);
        if (rc == 0)
            *ret = truth;
        return rc;
    case PG_TYPE_FLOAT4:
    case PG_TYPE_FLOAT8: /* some are whole, but no program should find that out in production */
        return -EBADMSG;
    default:
        return ouro__pg_cell_is_text(cell) ? ouro__pg_int_of_text(cell->data, cell->size, ret)
                                           : int_of_binary(cell, ret);
    }
}

int ouro_pg_int_at(const ouro_pg_result *r, int64_t row, int column, int64_t *ret_value)
{
    struct pg_cell cell;
    int rc = ret_value ? ouro__pg_cell_find(r, row, column, &cell) : -EINVAL;
    return rc < 0 ? rc : int_of_cell(&cell, ret_value);
}

/* ---- Floating-point numbers ------------------------------------------------------------------ */

static int double_of_binary(const struct pg_cell *cell, double *ret)
{
    int64_t integer;
    float single;
    uint32_t bits4;
    uint64_t bits8;
    switch (cell->type) {
    case PG_TYPE_FLOAT4:
        if (cell->size != 4)
            return -EBADMSG;
        bits4 = (uint32_t)pg_unsigned_of(cell->data, 4);
        memcpy(&single, &bits4, 4);
        *ret = (double)single;
        return 0;
    case PG_TYPE_FLOAT8:
        if (cell->size != 8)
            return -EBADMSG;
        bits8 = pg_unsigned_of(cell->data, 8);
        memcpy(ret, &bits8, 8);
        return 0;
    case PG_TYPE_NUMERIC:
        return ouro__pg_double_of_numeric(cell->data, cell->size, ret);
    default:
        if (int_of_binary(cell, &integer) < 0)
            return -EBADMSG;
        *ret = (double)integer;
        return 0;
    }
}

int ouro_pg_double_at(const ouro_pg_result *r, int64_t row, int column, double *ret_value)
{
    struct pg_cell cell;
    int rc = ret_value ? ouro__pg_cell_find(r, row, column, &cell) : -EINVAL;
    if (rc < 0)
        return rc;
    return ouro__pg_cell_is_text(&cell) ? ouro__pg_double_of_text(cell.data, cell.size, ret_value)
                                        : double_of_binary(&cell, ret_value);
}

/* ---- Booleans, UUIDs ------------------------------------------------------------------------- */

int ouro_pg_bool_at(const ouro_pg_result *r, int64_t row, int column, int *ret_value)
{
    struct pg_cell cell;
    int rc = ret_value ? ouro__pg_cell_find(r, row, column, &cell) : -EINVAL;
    if (rc < 0)
        return rc;
    bool truth;
    if (cell.type != PG_TYPE_BOOL || bool_of_cell(&cell, &truth) < 0)
        return -EBADMSG;
    *ret_value = truth;
    return 0;
}

static bool is_dash(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'F' ? (char)(c + ('a' - 'A')) : c;
}

static int uuid_of_text(const struct pg_cell *cell, char *ret)
{
    if (cell->size != OURO_PG_UUID_TEXT - 1)
        return -EBADMSG;
    char text[OURO_PG_UUID_TEXT] = {0};
    for (size_t i = 0; i < cell->size; i++) {
        text[i] = lower(cell->data[i]);
        bool right = is_dash(i) ? text[i] == '-' : text[i] && strchr("0123456789abcdef", text[i]);
        if (!right)
            return -EBADMSG;
    }
    memcpy(ret, text, sizeof text);
    return 0;
}

static int uuid_of_binary(const struct pg_cell *cell, char *ret)
{
    if (cell->type != PG_TYPE_UUID || cell->size != 16)
        return -EBADMSG;
    char *p = ret;
    for (size_t i = 0; i < 16; i++) {
        unsigned byte = (unsigned char)cell->data[i];
        if (is_dash((size_t)(p - ret)))
            *p++ = '-';
        *p++ = "0123456789abcdef"[byte >> 4];
        *p++ = "0123456789abcdef"[byte & 15];
    }
    *p = '\0';
    return 0;
}

int ouro_pg_uuid_at(const ouro_pg_result *r, int64_t row, int column,
                    char ret_text[OURO_PG_UUID_TEXT])
{
    struct pg_cell cell;
    int rc = ret_text ? ouro__pg_cell_find(r, row, column, &cell) : -EINVAL;
    if (rc < 0)
        return rc;
    return ouro__pg_cell_is_text(&cell) ? uuid_of_text(&cell, ret_text)
                                        : uuid_of_binary(&cell, ret_text);
}
