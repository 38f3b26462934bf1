/* SPDX-License-Identifier: MIT */
/*
 * Looking for an error of the server in the socket.
 *
 * In mid-copy there are few messages that a server sends: remarks and changed parameters, which
 * libpq deals with, and the error that ends the copy, which it leaves alone until the copy is
 * ended. Nothing in its interface tells the difference, so the bytes are looked at while they are
 * in the kernel.
 *
 * Each message is a letter, four bytes of length, and fields: a letter and a text each, and a zero.
 * libpq may have read the beginning of a message before, so what lies here need not begin with one.
 * What is taken for an error is therefore all of one: its letter, a length to the last byte, and
 * the field V, which only errors have with these words. The inside of another message has no two
 * zeros in a row, as such a length does. What is overlooked is told at the end of the copy.
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "copy_int.h"

#define LOOK 2048 /* bytes */

static uint32_t length_at(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Whether the fields of an error or a remark say that it is an error. */
static bool is_error(const char *fields, size_t size)
{
    while (size > 1 && *fields) {
        size_t n = strnlen(fields, size);
        if (n == size)
            return false;
        if (*fields == 'V')
            return strcmp(fields + 1, "ERROR") == 0 || strcmp(fields + 1, "FATAL") == 0 ||
                   strcmp(fields + 1, "PANIC") == 0;
        fields += n + 1;
        size -= n + 1;
    }
    return false;
}

bool ouro__pg_copy_peek(PGconn *db)
{
    unsigned char bytes[LOOK];
    if (PQsslInUse(db) || PQgssEncInUse(db))
        return false;
    ssize_t got = recv(PQsocket(db), bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    size_t left = got > 0 ? (size_t)got : 0;
    for (const unsigned char *p = bytes; left > 5;) {
        size_t size = (size_t)length_at(p + 1) + 1;
        if (size < 6 || size > left)
            return false;
        if (*p == 'E')
            return is_error((const char *)p + 5, size - 5);
        p += size;
        left -= size;
    }
    return false;
}
