/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_LEXER_H
#define OURO_PG_LEXER_H

#include <stdbool.h>
#include <stddef.h>

/* A place in a statement that stands for a value: :name, or $1. */
struct pg_reference {
    const char *start; /* the colon, or the dollar */
    size_t size;       /* bytes, that one included */
    bool numbered;     /* it is a $1 */
};

/* The next reference at or behind *@at, which moves behind it; false: there are no more. */
bool ouro__pg_reference_next(const char **at, struct pg_reference *ret);

/* What a name begins with, and what SQL takes for a part of a word. */
static inline bool pg_begins_name(char c)
{
    unsigned char byte = (unsigned char)c;
    return (byte | 32u) - 'a' < 26u || byte == '_' || byte >= 0x80;
}

static inline bool pg_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool pg_in_name(char c)
{
    return pg_begins_name(c) || pg_is_digit(c);
}

static inline bool pg_in_word(char c)
{
    return pg_in_name(c) || c == '$';
}

#endif
