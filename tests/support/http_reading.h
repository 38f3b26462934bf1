/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_READING_H
#define OURO_HTTP_READING_H

/*
 * What a parser makes of a request, written down, so that two readings can be compared: of the same
 * bytes in other pieces, or by another parser. What must hold in any case ends the program if it
 * does not, so that a fuzzer notices, too.
 */

#include "parser.h"

struct http_reading {
    int status;      /* 0: a request; HTTP_MORE; < 0: minus the status that refuses it */
    size_t used;     /* bytes of the request */
    size_t size;     /* of the text */
    char *text;      /* "METHOD TARGET\nNAME: VALUE\n...\nBODY", and a zero */
    char about[320]; /* "1.1 keep HOST sized 5 expect" */
};

#define HTTP_MORE 1 /* the bytes end before the request does */

extern const struct http_limits http_usual_limits;

/* Read a request of which @first bytes come first, and then @step at a time. */
void http_read(const char *bytes, size_t size, size_t first, size_t step,
               const struct http_limits *limits, struct http_reading *r);
void http_reading_free(struct http_reading *r);

/* Whether both say the same. */
bool http_reading_same(const struct http_reading *a, const struct http_reading *b);

/* Read @bytes as a whole and in two pieces, decode the target, and end the program unless all of
 * it fits together: what the fuzzer does. */
void http_read_any(const char *bytes, size_t size, size_t split);

/* For other parsers: begin a text that has room, and add to it. */
void http_reading_begin(struct http_reading *r, size_t size);
void http_reading_add(struct http_reading *r, const char *text, size_t size);

#endif
