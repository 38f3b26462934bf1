/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_RIVAL_H
#define OURO_HTTP_RIVAL_H

/*
 * Other parsers of HTTP/1.1, where they are installed: what they make of the same bytes, and how
 * long that takes them.
 */

#include <stdbool.h>
#include <stddef.h>

struct http_reading;

struct http_rival {
    const char *name;
    unsigned bit; /* as in http_examples.h */
    bool newer;   /* than the version that the examples are about, and may have come closer to us */

    /* Whether the bytes begin with a whole request; then what it says, without used and about. */
    bool (*read)(const char *bytes, size_t size, struct http_reading *r);

    /* Parse it @n times, with its fields in an array. How many fields that were. */
    size_t (*parse)(const char *bytes, size_t size, unsigned n);
};

extern const struct http_rival http_rival_llhttp, http_rival_http_parser;

#endif
