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

#define BLANK_LINES_MAX 4 /* before a request: RFC 9112, 2.2, has a server ignore at least one */

/* ---- Where it ends --------------------------------------------------------------------------- */

/* Blank lines before the request. < 0: too many. */
static int64_t skip_blank_lines(const char *bytes, size_t size)
{
    size_t at = 0;
    while (at + 1 < size && bytes[at] == '\r' && bytes[at + 1] == '\n')
        if ((at += 2) > 2 * BLANK_LINES_MAX)
            return -400;
    return (int64_t)at;
}

/* Whether it is a method that begins, or one more blank line: whoever speaks something else, as TLS,
 * is told so at once. */
static bool may_begin(const char *at, size_t size)
{
    return ouro__http_is(at[0], HTTP_TOKEN) || (at[0] == '\r' && size == 1);
}

/* @size, or @max and a line end, if that is less. */
static size_t at_most(size_t size, size_t max)
{
    return max < SIZE_MAX - 2 && size > max + 2 ? max + 2 : size;
}

/* Whether there are as many bytes as may be, so that an end that was not among them is too far. */
static bool is_full(size_t size, size_t max)
{
    return max < SIZE_MAX - 2 && size >= max + 2;
}

/* An end that lies beyond what is allowed is not looked for, so that the answer does not depend on
 * how the bytes came. */
int64_t ouro__http_header_find(const char *bytes, size_t size, size_t seen,
                               const struct http_limits *limits)
{
    int64_t blank = skip_blank_lines(bytes, size);
    if (blank < 0 || size == (size_t)blank)
        return blank < 0 ? blank : 0;
    const char *line = bytes + blank;
    size -= (size_t)blank;
    if (!may_begin(line, size))
        return -400;
    const char *lf = memchr(line, '\n', at_most(size, limits->line_max));
    if (!lf)
        return is_full(size, limits->line_max) ? -414 : 0;
    if (lf[-1] != '\r')
        return -400;
    const char *fields = lf + 1, *at = fields;
    size -= (size_t)(fields - line);
    const char *stop = fields + at_most(size, limits->headers_max);
    if (seen > (size_t)(fields - bytes))
        at = bytes + seen < stop ? bytes + seen : stop;
    for (; (lf = memchr(at, '\n', (size_t)(stop - at))); at = lf + 1) {
        if (lf[-1] != '\r')
            return -400;
        if (lf[-2] == '\n')
            return lf + 1 - bytes;
    }
    return is_full(size, limits->headers_max) ? -431 : 0;
}

/* ---- The first line -------------------------------------------------------------------------- */

static bool is(struct http_text t, const char *text)
{
    return t.size == strlen(text) && memcmp(t.at, text, t.size) == 0;
}

/* The same in any case, whatever the locale: @word is of small letters. A bit makes letters small,
 * and of other bytes only of those that stand in no value. */
static bool begins(struct http_text t, const char *word)
{
    size_t size = strlen(word);
    if (t.size < size)
        return false;
    for (size_t i = 0; i < size; i++)
        if ((t.at[i] | 0x20) != word[i])
            return false;
    return true;
}

static bool is_word(struct http_text t, const char *word)
{
    return t.size == strlen(word) && begins(t, word);
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

/* A whole URL: its host counts (RFC 9112, 3.2.2), and what is behind that is the target. */
static int take_url(struct http_head *head)
{
    struct http_text t = head->target;
    size_t at = begins(t, "http://") ? 7 : begins(t, "https://") ? 8 : 0;
    size_t end = at;
    while (end < t.size && t.at[end] != '/' && t.at[end] != '?')
        end++;
    head->host = (struct http_text){t.at + at, end - at};
    if (at == 0 || !ouro__http_is_host(head->host))
        return -400;
    if (end < t.size)
        head->target = (struct http_text){t.at + end, t.size - end};
    else /* OPTIONS means the server then: RFC 9112, 3.2.4 */
        head->target = (struct http_text){is(head->method, "OPTIONS") ? "*" : "/", 1};
    return 0;
}

/* A path, or * for OPTIONS, or a whole URL. */
static int check_target(struct http_head *head)
{
    struct http_text t = head->target;
    if (!ouro__http_is_target(t.at, t.size))
        return -400;
    if (is(head->method, "CONNECT"))
        return -501; /* a tunnel is for proxies */
    if (t.at[0] == '/' || (is(t, "*") && is(head->method, "OPTIONS")))
        return 0;
    return take_url(head);
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
    if (!ouro__http_parser_is_token(head->method.at, head->method.size))
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

/* Take the first of words with commas between. */
static struct http_text next_word(struct http_text *t)
{
    const char *comma = memchr(t->at, ',', t->size);
    size_t size = comma ? (size_t)(comma - t->at) : t->size;
    struct http_text word = trimmed(t->at, size);
    t->at += size + (comma != NULL);
    t->size -= size + (comma != NULL);
    return word;
}

static void parse_connection(struct http_text t, struct seen *seen)
{
    while (t.size) {
        struct http_text word = next_word(&t);
        seen->close |= is_word(word, "close");
        seen->keep_alive |= is_word(word, "keep-alive");
    }
}

/* Chunked and nothing else. Others before it are not understood; if it is not the last, or twice
 * there, nobody knows where the body ends: RFC 9112, 6.1 and 6.3. */
static int parse_encoding(struct http_text t, struct http_head *head, struct seen *seen)
{
    if (seen->encodings++ || head->minor == 0)
        return -400;
    if (is_word(t, "chunked")) {
        head->body = HTTP_CHUNKED;
        return 0;
    }
    bool chunked = false, others = false;
    while (t.size) {
        struct http_text word = next_word(&t);
        if (chunked || word.size == 0)
            return -400;
        chunked = is_word(word, "chunked");
        others |= !chunked;
    }
    return chunked && others ? -501 : -400;
}

/* RFC 9110, 7.2: it is empty if the target has none, as that of a file. */
static int parse_host(struct http_text t, struct http_head *head, struct seen *seen)
{
    if (seen->hosts++ || (t.size && !ouro__http_is_host(t)))
        return -400;
    if (!head->host.size)
        head->host = t; /* that of a whole URL goes before it */
    return 0;
}

/* The few fields that say where the message ends and what becomes of the connection. */
static int take_field(const struct http_field *f, struct http_head *head, struct seen *seen)
{
    switch (f->name.size) {
    case 4:
        return is_word(f->name, "host") ? parse_host(f->value, head, seen) : 0;
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

/* The line at @at, before @end. Where the next begins; NULL: it is malformed. */
static const char *parse_field(const char *at, const char *end, struct http_field *f)
{
    const char *name = at;
    while (ouro__http_is(*at, HTTP_TOKEN)) /* the line end at @end stops it */
        at++;
    if (at == name || *at != ':')
        return NULL;
    f->name = (struct http_text){name, (size_t)(at - name)};
    at++;
    const char *stop = at + ouro__http_value_length(at, (size_t)(end - at));
    if (stop[0] != '\r' || stop[1] != '\n')
        return NULL;
    f->value = trimmed(at, (size_t)(stop - at));
    return stop + 2;
}

/* From @at to the empty line at @end. */
static int parse_fields(const char *at, const char *end, const struct http_limits *limits,
                        struct http_head *head, struct seen *seen)
{
    while (at < end) {
        if (head->count == limits->count_max)
            return -431;
        struct http_field *f = &head->fields[head->count];
        at = parse_field(at, end, f);
        int rc = at ? take_field(f, head, seen) : -400;
        if (rc < 0)
            return rc;
        head->count++;
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

int ouro__http_header_parse(const char *bytes, size_t size, const struct http_limits *limits,
                            struct http_head *head)
{
    struct seen seen = {0};
    struct http_field *fields = head->fields;
    *head = (struct http_head){.fields = fields};
    int64_t blank = skip_blank_lines(bytes, size);
    if (blank < 0)
        return (int)blank;
    if (size < (size_t)blank + 4 || memcmp(bytes + size - 4, "\r\n\r\n", 4) != 0)
        return -400;                                           /* it is not there as a whole */
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
