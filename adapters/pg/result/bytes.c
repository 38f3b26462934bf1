/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a bytea: of a binary result as they are; else decoded, in place and once, from
 * "\x00ff" or from the older form, in which \\ is a backslash and \ooo any byte.
 *
 * Happy path: see that the text is right, then write over it. What is malformed stays as it is:
 * -EBADMSG.
 */
#include "cell.h"

#include <errno.h>

/* The value of a hexadecimal digit; 16 and more: it is none. */
static unsigned nibble(char c)
{
    unsigned digit = (unsigned char)c - (unsigned)'0';
    unsigned low = ((unsigned char)c | 32u) - (unsigned)'a';
    return digit < 10 ? digit : low < 6 ? low + 10 : 16;
}

static int decode_hex(char *data, size_t size)
{
    unsigned all = 0;
    for (size_t i = 2; i < size; i++)
        all |= nibble(data[i]);
    if (size % 2 || all > 15)
        return -EBADMSG;
    size_t count = (size - 2) / 2;
    for (size_t i = 0; i < count; i++)
        data[i] = (char)(nibble(data[2 * i + 2]) << 4 | nibble(data[2 * i + 3]));
    data[count] = '\0';
    data[size] = PG_HEX;
    return 0;
}

/* What a backslash at @p stands for: bytes of text, or 0 if it is malformed. */
static size_t escape(const char *p, char *ret)
{
    if (p[1] == '\\') {
        *ret = '\\';
        return 2;
    }
    if (p[1] < '0' || p[1] > '3' || p[2] < '0' || p[2] > '7' || p[3] < '0' || p[3] > '7')
        return 0;
    *ret = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
    return 4;
}

static int decode_escapes(char *data, size_t size)
{
    char c;
    for (size_t i = 0, step; i < size; i += step) {
        step = data[i] == '\\' ? escape(data + i, &c) : 1;
        if (!step)
            return -EBADMSG;
    }
    size_t count = 0;
    for (size_t i = 0, step; i < size; i += step) {
        c = data[i];
        step = c == '\\' ? escape(data + i, &c) : 1;
        data[count++] = c;
    }
    ouro__pg_cell_shorten(data, size, count);
    return 0;
}

int ouro_pg_bytes_at(ouro_pg_result *r, int64_t row, int column, const void **ret_data,
                     size_t *ret_size)
{
    struct pg_cell cell;
    int rc = ret_data && ret_size ? ouro__pg_cell_find(r, row, column, &cell) : -EINVAL;
    if (rc < 0)
        return rc;
    if (cell.type != PG_TYPE_BYTEA)
        return -EBADMSG;
    if (!cell.binary && !cell.decoded && cell.size) {
        bool hex = cell.size >= 2 && cell.data[0] == '\\' && cell.data[1] == 'x';
        rc = hex ? decode_hex(cell.data, cell.size) : decode_escapes(cell.data, cell.size);
        if (rc < 0)
            return rc;
        ouro__pg_cell_find(r, row, column, &cell);
    }
    *ret_data = cell.data;
    *ret_size = cell.size;
    return 0;
}
