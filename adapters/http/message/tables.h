/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_TABLES_H
#define OURO_HTTP_TABLES_H

#include "parser.h"

/* What a byte may be part of. */
enum {
    HTTP_TOKEN = 1 << 0,  /* a method, a field's name */
    HTTP_VALUE = 1 << 1,  /* a field's value */
    HTTP_TARGET = 1 << 2, /* a request's target */
};

extern const unsigned char http__class[128];

/* Whether a byte may be part of that. Bytes of 0x80 and up are in values alone: obs-text. */
static inline bool http__is(char c, unsigned char class)
{
    unsigned char byte = (unsigned char)c;
    return (byte < 128 ? http__class[byte] : HTTP_VALUE) & class;
}

bool http__is_target(const char *text, size_t size);

/* Value of a hexadecimal digit; -1: it is none. */
int http__hex(char c);

#endif
