/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_PARSER_H
#define OURO_HTTP_PARSER_H

/*
 * A parser of HTTP/1.1 requests: bytes in, events out. It does no input or output and allocates
 * nothing; what it names lies in the caller's buffer, or is constant.
 *
 * A request's header is parsed once it is there as a whole: the caller keeps bytes together until
 * ouro__http_header_find() sees its end. Bodies are taken piece by piece.
 *
 * What RFC 9112 lets be read in two ways is refused. After an error the connection can only be
 * closed: nobody knows where the next request would begin.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of the caller's buffer. */
struct http_text {
    const char *at;
    size_t size;
};

struct http_field {
    struct http_text name;
    struct http_text value; /* without the blanks around it */
};

struct http_limits {
    size_t line_max;
    size_t headers_max;
    size_t count_max; /* of fields, at most what http_head.fields has room for */
};

/* How the body is sent. */
enum http_body_kind { HTTP_NO_BODY, HTTP_SIZED, HTTP_CHUNKED };

/* A request's header. */
struct http_head {
    struct http_text method;
    struct http_text target; /* begins with a slash; or is "*", for OPTIONS; or, of a URL without a
                                path, begins with the question mark. Of a URL the rest is host */
    struct http_text host;   /* of the URL, else of the Host field; empty for HTTP/1.0 without */
    int minor;               /* HTTP/1.minor: 0 or 1 */
    enum http_body_kind body;
    uint64_t size;        /* HTTP_SIZED */
    bool keep_alive;      /* what the client wants of the connection */
    bool expect_continue; /* it waits for 100 */
    size_t count;
    struct http_field *fields; /* the caller's array, of limits.count_max */
};

/* Look for the end of a header in @bytes, of which @seen were looked at before without success:
 * the size of the header, blank lines before it and the empty line behind it included; 0: not
 * there yet; < 0: minus the status to refuse it with (400, 414, 431). What this says does not depend
 * on the pieces in which the bytes came. */
int64_t ouro__http_header_find(const char *bytes, size_t size, size_t seen,
                               const struct http_limits *limits);

/* Parse a header that is there as a whole. 0, or minus the status to refuse it with: 400, 414, 417,
 * 431, 501, 505. */
int ouro__http_header_parse(const char *bytes, size_t size, const struct http_limits *limits,
                            struct http_head *head);

/* A body on its way. */
struct http_body {
    enum http_body_kind kind;
    int state;
    uint64_t left;     /* of the body, or of the chunk */
    size_t extensions; /* bytes of chunk extensions and trailers so far */
    unsigned digits;
};

void ouro__http_parser_body_begin(struct http_body *b, const struct http_head *head);

/* Take some of @bytes: *@ret_used of them are dealt with, and *@ret_data of those are part of the
 * body, one piece at a time. 1: the body is over; 0: there is more to come, which may be there
 * already: if *@ret_used is less than @size; < 0: minus a status, and so from then on. */
int ouro__http_parser_body_take(struct http_body *b, const char *bytes, size_t size,
                                size_t *ret_used, struct http_text *ret_data);

/* Whether @name is a token, and @value may be a field's value. */
bool ouro__http_parser_is_token(const char *name, size_t size);
bool ouro__http_parser_is_value(const char *value, size_t size);

/* Decode %XX, and with @plus a plus to a blank, from @text to @to, which may be where it lies. The
 * size, or -1: a malformed escape, or a zero byte. */
int64_t ouro__http_percent_decode(const char *text, size_t size, bool plus, char *to);

/* The path of a target, decoded, with a zero behind it, with empty and dot segments taken out (escaped
 * dots are dots), and where the ? of its query is (@size if there is none). -1: malformed, or it
 * leads above the root, or has a slash that is escaped: such a slash is part of a name, and could not
 * be told from one that divides. "*" is no path, either. @to has room for @size + 1. */
int64_t ouro__http_path_decode(const char *target, size_t size, char *to, size_t *ret_query);

#endif
