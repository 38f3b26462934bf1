/* SPDX-License-Identifier: MIT */
/*
 * Texts for people, in fields that may be too small for them, and names for SQL.
 *
 * Nothing fails: what does not fit is cut, between characters.
 */
#include "text.h"

#include <ouro/pg_connection.h>

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

/* How many of @size bytes to keep, so that no character is cut that began within its last three. */
static size_t whole(const char *text, size_t size)
{
    size_t start = size;
    while (start > 0 && size - start < 3 && ((unsigned char)text[start] & 0xC0) == 0x80)
        start--;
    return ((unsigned char)text[start] & 0xC0) == 0xC0 ? start : size;
}

size_t ouro__pg_text_copy(char *to, size_t room, const char *text, size_t size)
{
    assert(room > 0);
    if (size >= room)
        size = whole(text, room - 1);
    memcpy(to, text, size);
    to[size] = '\0';
    return size;
}

/* One byte more of a text, of which @size bytes may be kept. */
static void add(char *buf, size_t size, int64_t *at, char c)
{
    if ((uint64_t)*at + 1 < size)
        buf[*at] = c;
    ++*at;
}

int64_t ouro_pg_quote_name(const char *name, char *buf, size_t size)
{
    if (!name)
        return -EINVAL;
    int64_t at = 0;
    add(buf, size, &at, '"');
    for (; *name; name++) {
        if (*name == '"')
            add(buf, size, &at, '"');
        add(buf, size, &at, *name);
    }
    add(buf, size, &at, '"');
    if (size)
        buf[(uint64_t)at < size ? (size_t)at : size - 1] = '\0';
    return at;
}
