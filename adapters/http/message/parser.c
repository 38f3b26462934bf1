/* SPDX-License-Identifier: MIT */
/*
 * The header of a request, by RFC 9112, strictly.
 *
 * Lines end in CR LF and in nothing else: a bare LF or CR anywhere is refused, since others take it
 * for something else. Names are tokens with the colon directly behind. Lines are not folded.
 * Exactly one Host in HTTP/1.1. A body has one length: one Content-Length of digits alone, or one
 * Transfer-Encoding that says chunked, and never both; HTTP/1.0 has no chunks.
 *
 * Happy path: the end is looked for as bytes come, then the whole is parsed in one pass. How it
 * fails: with the status that the answer has; the connection is then closed.
 */
#include "tables.h"

#include <string.h>
#include <strings.h>

#define BLANK_LINES_MAX 4 /* before a request: RFC 9112, 2.2, has a server ignore at least one */

/* ---- Where it ends --------------------------------------------------------------------------- */

/* Blank lines before the request. < 0: too many, or half of one that is something else. */
static int64_t skip_blank_lines(const char *bytes, size_t size)
{
    size_t at = 0;
    while (at + 1 < size && bytes[at] == '\r' && bytes[at + 1] == '\n')
        at += 2;
    return at <= 2 * BLANK_LINES_MAX ? (int64_t)at : -400;
}

/* What is wrong with a header whose end has not come. */
static int too_long(const char *bytes, size_t size, const struct http_limits *limits)
{
    const char *line_end = memchr(bytes, '\n', size);
    size_t line = line_end ? (size_t)(line_end - bytes) + 1 : size;
    if (line > limits->line_max + 2)
        return -414;
    return size - line > limits->headers_max + 2 ? -431 : 0;
}

int64_t http_header_find(const char *bytes, size_t size, size_t seen,
                         const struct http_limits *limits)
{
    int64_t blank = skip_blank_lines(bytes, size);
    if (blank < 0)
        return blank;
    size_t from = seen > 3 ? seen - 3 : 0; /* the end may have begun there */
    if (from < (size_t)blank)
        from = (size_t)blank;
    const char *end = size > from ? memmem(bytes + from, size - from, "\r\n\r\n", 4) : NULL;
    size_t whole = end ? (size_t)(end - bytes) + 4 : size;
    int rc = too_long(bytes + blank, whole - (size_t)blank, limits);
    if (rc < 0)
        return rc;
    return end ? (int64_t)whole : 0;
}

/* ---- The first line -------------------------------------------------------------------------- */

static bool is(struct http_text t, const char *text)
{
    return t.size == strlen(text) && memcmp(t.at, text, t.size) == 0;
}

static bool is_word(struct http_text t, const char *word)
{
    return t.size == strlen(word) && strncasecmp(t.at, word, t.size) == 0;
}

/* "HTTP/1.1". Other versions that look like one are 505. */
static int parse_version(struct http_text t, struct http_head *head)
{
    if (is(t, "HTTP/1.1"))
        head->minor = 1;
    else if (is(t, "HTTP/1.0"))
        head->minor = 0;
    else if (t.size == 8 && memcmp(t.at, "HTTP/", 5) == 0 && t.at[5] >= '0' && t.at[5] <= '9' &&
             t.at[6] == '.' && t.at[7] >= '0' && t.at[7] <= '9')
        return -505;
    else
        return -400;
    return 0;
}

/* A path, or * for OPTIONS, or a whole URL, whose host then counts (RFC 9112, 3.2.2). */
static int check_target(struct http_head *head)
{
    struct http_text *t = &head->target;
    if (!http__is_target(t->at, t->size))
        return -400;
    if (t->at[0] == '/' || (is(*t, "*") && is(head->method, "OPTIONS")))
        return 0;
    if (is(head->method, "CONNECT"))
        return -501; /* a tunnel is for proxies */
    if (t->size > 7 && strncasecmp(t->at, "http://", 7) == 0) {
        const char *path = memchr(t->at + 7, '/', t->size - 7);
        head->host.at = t->at + 7;
        head->host.size = path ? (size_t)(path - head->host.at) : t->size - 7;
        t->size -= 7 + head->host.size;
        t->at = path ? path : "/";
        t->size = path ? t->size : 1;
        return head->host.size ? 0 : -400;
    }
    return -400;
}

static int parse_line(const char *line, size_t size, const struct http_limits *limits,
                      struct http_head *head)
{
    if (size > limits->line_max)
        return -414;
    const char *first = memchr(line, ' ', size);
    const char *second = first ? memchr(first + 1, ' ', size - (size_t)(first + 1 - line)) : NULL;
    if (!second)
        return -400;
    head->method = (struct http_text){line, (size_t)(first - line)};
    head->target = (struct http_text){first + 1, (size_t)(second - first - 1)};
    struct http_text version = {second + 1, size - (size_t)(second + 1 - line)};
    if (!http_is_token(head->method.at, head->method.size))
        return -400;
    int rc = parse_version(version, head);
    return rc < 0 ? rc : check_target(head);
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static struct http_text trimmed(const char *at, size_t size)
{
    while (size && (*at == ' ' || *at == '\t')) {
        at++;
        size--;
    }
    while (size && (at[size - 1] == ' ' || at[size - 1] == '\t'))
        size--;
    return (struct http_text){at, size};
}

/* What the fields that decide have said so far. */
struct seen {
    int hosts;
    int lengths;
    int encodings;
    bool close;
    bool keep_alive;
};

/* A host and a port: RFC 3986, 3.2.2, but for user names. */
static bool is_host(struct http_text t)
{
    if (t.size == 0)
        return true; /* RFC 9110, 7.2: a target without an authority has an empty one */
    size_t i = 0;
    if (t.at[0] == '[') {
        const char *end = memchr(t.at, ']', t.size);
        for (i = 1; end && t.at + i < end; i++)
            if (http__hex(t.at[i]) < 0 && t.at[i] != ':' && t.at[i] != '.')
                return false;
        if (!end || i == 1)
            return false;
        i++;
    } else {
        while (i < t.size && t.at[i] != ':') {
            char c = t.at[i++];
            if (!http__is(c, HTTP_TARGET) || strchr("/?@[]", c))
                return false;
        }
        if (i == 0)
            return false;
    }
    if (i == t.size)
        return true;
    if (t.at[i++] != ':')
        return false;
    for (; i < t.size; i++)
        if (t.at[i] < '0' || t.at[i] > '9')
            return false;
    return true;
}

/* 1 to 18 digits, which fit into 64 bits. */
static int parse_length(struct http_text t, uint64_t *ret)
{
    uint64_t n = 0;
    if (t.size == 0 || t.size > 18)
        return -400;
    for (size_t i = 0; i < t.size; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return -400;
        n = n * 10 + (uint64_t)(t.at[i] - '0');
    }
    *ret = n;
    return 0;
}

static void parse_connection(struct http_text t, struct seen *seen)
{
    while (t.size) {
        const char *comma = memchr(t.at, ',', t.size);
        size_t size = comma ? (size_t)(comma - t.at) : t.size;
        struct http_text word = trimmed(t.at, size);
        seen->close |= is_word(word, "close");
        seen->keep_alive |= is_word(word, "keep-alive");
        t.at += size + (comma != NULL);
        t.size -= size + (comma != NULL);
    }
}

static int parse_encoding(struct http_text value, struct http_head *head, struct seen *seen)
{
    if (seen->encodings++ || head->minor == 0)
        return -400;
    if (!is_word(value, "chunked"))
        return memchr(value.at, ',', value.size) || value.size == 0 ? -400 : -501;
    head->body = HTTP_CHUNKED;
    return 0;
}

/* The few fields that say where the message ends and what becomes of the connection. */
static int take_field(const struct http_field *f, struct http_head *head, struct seen *seen)
{
    switch (f->name.size) {
    case 4:
        if (!is_word(f->name, "host"))
            return 0;
        if (seen->hosts++ || !is_host(f->value))
            return -400;
        if (!head->host.size)
            head->host = f->value; /* that of a whole URL goes before it */
        return 0;
    case 6:
        if (!is_word(f->name, "expect"))
            return 0;
        head->expect_continue = is_word(f->value, "100-continue");
        return head->expect_continue ? 0 : -417;
    case 10:
        if (is_word(f->name, "connection"))
            parse_connection(f->value, seen);
        return 0;
    case 14:
        if (!is_word(f->name, "content-length"))
            return 0;
        if (seen->lengths++)
            return -400;
        return parse_length(f->value, &head->size);
    case 17:
        return is_word(f->name, "transfer-encoding") ? parse_encoding(f->value, head, seen) : 0;
    default:
        return 0;
    }
}

/* One line, without its end. */
static int parse_field(const char *line, size_t size, struct http_field *f)
{
    size_t name = 0;
    while (name < size && http__is(line[name], HTTP_TOKEN))
        name++;
    if (name == 0 || name == size || line[name] != ':')
        return -400;
    f->name = (struct http_text){line, name};
    f->value = trimmed(line + name + 1, size - name - 1);
    return http_is_value(f->value.at, f->value.size) ? 0 : -400;
}

static int parse_fields(const char *at, const char *end, const struct http_limits *limits,
                        struct http_head *head, struct seen *seen)
{
    while (at < end) {
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        if (!stop || stop[1] != '\n')
            return -400;
        if (head->count == limits->count_max)
            return -431;
        struct http_field *f = &head->fields[head->count];
        int rc = parse_field(at, (size_t)(stop - at), f);
        if (rc == 0)
            rc = take_field(f, head, seen);
        if (rc < 0)
            return rc;
        head->count++;
        at = stop + 2;
    }
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* What the fields say together. */
static int conclude(struct http_head *head, const struct seen *seen)
{
    if (head->minor == 1 && seen->hosts == 0)
        return -400;
    if (seen->lengths && seen->encodings)
        return -400;
    if (seen->lengths)
        head->body = head->size ? HTTP_SIZED : HTTP_NO_BODY;
    head->keep_alive = !seen->close && (head->minor == 1 || seen->keep_alive);
    if (head->minor == 0 || head->body == HTTP_NO_BODY)
        head->expect_continue = false; /* RFC 9110, 10.1.1 */
    return 0;
}

int http_header_parse(const char *bytes, size_t size, const struct http_limits *limits,
                      struct http_head *head)
{
    struct seen seen = {0};
    struct http_field *fields = head->fields;
    *head = (struct http_head){.fields = fields};
    int64_t blank = skip_blank_lines(bytes, size);
    if (blank < 0)
        return (int)blank;
    const char *line = bytes + blank, *end = bytes + size - 2; /* the empty line */
    const char *stop = memchr(line, '\r', (size_t)(end - line));
    if (!stop || stop[1] != '\n')
        return -400;
    int rc = parse_line(line, (size_t)(stop - line), limits, head);
    if (rc == 0 && (size_t)(end - stop - 2) > limits->headers_max)
        rc = -431;
    if (rc == 0)
        rc = parse_fields(stop + 2, end, limits, head, &seen);
    return rc < 0 ? rc : conclude(head, &seen);
}
