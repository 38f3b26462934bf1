/* SPDX-License-Identifier: MIT */
/*
 * Bodies: of a given size, or in chunks (RFC 9112, 7.1).
 *
 * What comes in chunks is given out as the pieces lie in the buffer. Extensions and trailers are
 * read by the rules, counted, and dropped: nobody asks for them, and what is counted cannot be used
 * to keep a connection busy for ever.
 */
#include "tables.h"

#define EXTENSIONS_MAX 4096 /* bytes of extensions and trailers of one body */
#define DIGITS_MAX     15   /* of a chunk's size: fits into 60 bits */

enum state {
    SIZED,
    CHUNK_SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the beginning of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    OVER,
};

void http_body_begin(struct http_body *b, const struct http_head *head)
{
    *b = (struct http_body){.kind = head->body};
    switch (head->body) {
    case HTTP_NO_BODY:
        b->state = OVER;
        break;
    case HTTP_SIZED:
        b->state = SIZED;
        b->left = head->size;
        break;
    case HTTP_CHUNKED:
        b->state = CHUNK_SIZE;
        break;
    }
}

/* Whether one more byte that nobody wants may come. */
static bool counted(struct http_body *b)
{
    return ++b->extensions <= EXTENSIONS_MAX;
}

static int size_digit(struct http_body *b, char c)
{
    int digit = http__hex(c);
    if (digit >= 0) {
        b->left = b->left * 16 + (unsigned)digit;
        return ++b->digits <= DIGITS_MAX ? CHUNK_SIZE : -400;
    }
    if (b->digits == 0)
        return -400;
    return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION : -400;
}

/* The state after the end of a line with a chunk's size. */
static int chunk_begins(struct http_body *b)
{
    b->digits = 0;
    return b->left ? DATA : TRAILER;
}

/* One byte that is no data: the next state, or minus a status. */
static int step(struct http_body *b, char c)
{
    switch ((enum state)b->state) {
    case CHUNK_SIZE:
        return size_digit(b, c);
    case EXTENSION:
        if (c == '\r')
            return SIZE_LF;
        return http__is(c, HTTP_VALUE) && counted(b) ? EXTENSION : -400;
    case SIZE_LF:
        return c == '\n' ? chunk_begins(b) : -400;
    case DATA_CR:
        return c == '\r' ? DATA_LF : -400;
    case DATA_LF:
        return c == '\n' ? CHUNK_SIZE : -400;
    case TRAILER:
        if (c == '\r')
            return LAST_LF;
        return http__is(c, HTTP_TOKEN) && counted(b) ? TRAILER_NAME : -400;
    case TRAILER_NAME:
        if (c == ':')
            return TRAILER_VALUE;
        return http__is(c, HTTP_TOKEN) && counted(b) ? TRAILER_NAME : -400;
    case TRAILER_VALUE:
        if (c == '\r')
            return TRAILER_LF;
        return http__is(c, HTTP_VALUE) && counted(b) ? TRAILER_VALUE : -400;
    case TRAILER_LF:
        return c == '\n' ? TRAILER : -400;
    case LAST_LF:
        return c == '\n' ? OVER : -400;
    case SIZED:
    case DATA:
    case OVER:
        break;
    }
    return b->state;
}

int http_body_take(struct http_body *b, const char *bytes, size_t size, size_t *ret_used,
                   struct http_text *ret_data)
{
    size_t at = 0;
    *ret_data = (struct http_text){bytes, 0};
    while (b->state != OVER && at < size) {
        if (b->state == SIZED || b->state == DATA) {
            size_t n = size - at < b->left ? size - at : (size_t)b->left;
            *ret_data = (struct http_text){bytes + at, n};
            b->left -= n;
            at += n;
            if (b->left == 0)
                b->state = b->state == SIZED ? OVER : DATA_CR;
            break; /* one piece at a time */
        }
        int next = step(b, bytes[at++]);
        if (next < 0) {
            *ret_used = at;
            return next;
        }
        b->state = next;
    }
    *ret_used = at;
    return b->state == OVER;
}
