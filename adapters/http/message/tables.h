/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_TABLES_H
#define OURO_HTTP_TABLES_H

#include "parser.h"

/* What a byte may be part of. */
enum {
    HTTP_TOKEN = 1 << 0,  /* a method, a field's name */
    HTTP_VALUE = 1 << 1,  /* a field's value */
    HTTP_TARGET = 1 << 2, /* a request's target */
    HTTP_HOST = 1 << 3,   /* a host's name */
};

extern const unsigned char ouro__http_class[128];

/* Whether a byte may be part of that. Bytes of 0x80 and up are in values alone: obs-text. */
static inline bool ouro__http_is(char c, unsigned char class)
{
    unsigned char byte = (unsigned char)c;
    return (byte < 128 ? ouro__http_class[byte] : HTTP_VALUE) & class;
}

bool ouro__http_is_target(const char *text, size_t size);

/* How many bytes from @at on may be part of a value. */
size_t ouro__http_value_length(const char *at, size_t size);

/* A host that is not empty, and perhaps a port. */
bool ouro__http_is_host(struct http_text t);

/* Value of a hexadecimal digit; -1: it is none. */
int ouro__http_hex(char c);

#endif
