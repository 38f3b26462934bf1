/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_EXAMPLES_H
#define OURO_HTTP_EXAMPLES_H

/*
 * Requests, good and bad, by the rules of RFC 9110 and RFC 9112: what tests, fuzzers and other
 * parsers are given.
 */

#include <stddef.h>

/* Other parsers that decide otherwise about a request. */
#define LLHTTP      1u
#define HTTP_PARSER 2u

struct http_example {
    const char *name;
    const char *bytes;
    size_t size;
    int status;        /* 0: it is good; else what it is refused with */
    const char *about; /* of a good one, as in http_reading.h */
    const char *text;
    const char *url;      /* its target as it came, if that is another */
    unsigned differently; /* who refuses the good one, or takes the bad one */
};

extern const struct http_example http_good[], http_bad[];
extern const size_t http_good_count, http_bad_count;

#endif
