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
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    LAST_LF,
    OVER,
    REFUSED,
    /* From here on bytes are counted. */
    EXTENSION, /* behind a semicolon */
    EXTENSION_NAME,
    EXTENSION_VALUE,
    EXTENSION_WORD,
    EXTENSION_QUOTED,
    EXTENSION_ESCAPE,
    EXTENSION_END,
    TRAILER, /* at the beginning of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
};

void ouro__http_parser_body_begin(struct http_body *b, const struct http_head *head)
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

static int size_digit(struct http_body *b, char c)
{
    int digit = ouro__http_hex(c);
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

/* Behind the name or the value of an extension. */
static int extension_ends(char c)
{
    return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION : -400;
}

/* ";name=value", with no blanks but in quotes: RFC 9112, 7.1.1. */
static int extension_byte(enum state state, char c)
{
    switch (state) {
    case EXTENSION:
        return ouro__http_is(c, HTTP_TOKEN) ? EXTENSION_NAME : -400;
    case EXTENSION_NAME:
        if (ouro__http_is(c, HTTP_TOKEN))
            return EXTENSION_NAME;
        return c == '=' ? EXTENSION_VALUE : extension_ends(c);
    case EXTENSION_VALUE:
        if (c == '"')
            return EXTENSION_QUOTED;
        return ouro__http_is(c, HTTP_TOKEN) ? EXTENSION_WORD : -400;
    case EXTENSION_WORD:
        return ouro__http_is(c, HTTP_TOKEN) ? EXTENSION_WORD : extension_ends(c);
    case EXTENSION_QUOTED:
        if (c == '"')
            return EXTENSION_END;
        if (c == '\\')
            return EXTENSION_ESCAPE;
        return ouro__http_is(c, HTTP_VALUE) ? EXTENSION_QUOTED : -400;
    case EXTENSION_ESCAPE:
        return ouro__http_is(c, HTTP_VALUE) ? EXTENSION_QUOTED : -400;
    default:
        return extension_ends(c);
    }
}

static int trailer_byte(enum state state, char c)
{
    switch (state) {
    case TRAILER:
        if (c == '\r')
            return LAST_LF;
        return ouro__http_is(c, HTTP_TOKEN) ? TRAILER_NAME : -400;
    case TRAILER_NAME:
        if (c == ':')
            return TRAILER_VALUE;
        return ouro__http_is(c, HTTP_TOKEN) ? TRAILER_NAME : -400;
    case TRAILER_VALUE:
        if (c == '\r')
            return TRAILER_LF;
        return ouro__http_is(c, HTTP_VALUE) ? TRAILER_VALUE : -400;
    default:
        return c == '\n' ? TRAILER : -400;
    }
}

/* One byte that is no data: the next state, or minus a status. */
static int step(struct http_body *b, char c)
{
    enum state state = (enum state)b->state;
    if (state >= EXTENSION) {
        int next = state < TRAILER ? extension_byte(state, c) : trailer_byte(state, c);
        bool wanted = next == SIZE_LF || next == LAST_LF; /* the line's end is no part of them */
        return !wanted && ++b->extensions > EXTENSIONS_MAX ? -400 : next;
    }
    switch (state) {
    case CHUNK_SIZE:
        return size_digit(b, c);
    case SIZE_LF:
        return c == '\n' ? chunk_begins(b) : -400;
    case DATA_CR:
        return c == '\r' ? DATA_LF : -400;
    case DATA_LF:
        return c == '\n' ? CHUNK_SIZE : -400;
    case LAST_LF:
        return c == '\n' ? OVER : -400;
    default:
        return b->state;
    }
}

/* Data, as many as there are. */
static size_t take_data(struct http_body *b, const char *bytes, size_t size,
                        struct http_text *ret_data)
{
    size_t n = size < b->left ? size : (size_t)b->left;
    *ret_data = (struct http_text){bytes, n};
    b->left -= n;
    if (b->left == 0)
        b->state = b->state == SIZED ? OVER : DATA_CR;
    return n;
}

int ouro__http_parser_body_take(struct http_body *b, const char *bytes, size_t size,
                                size_t *ret_used, struct http_text *ret_data)
{
    size_t at = 0;
    *ret_data = (struct http_text){bytes, 0};
    while (b->state != OVER && b->state != REFUSED && at < size) {
        if (b->state == SIZED || b->state == DATA) {
            at += take_data(b, bytes + at, size - at, ret_data);
            break; /* one piece at a time */
        }
        int next = step(b, bytes[at++]);
        b->state = next < 0 ? REFUSED : next;
    }
    *ret_used = at;
    return b->state == REFUSED ? -400 : b->state == OVER;
}
