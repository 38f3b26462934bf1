/* SPDX-License-Identifier: MIT */
/*
 * Readings of requests. Each piece of a request lies in memory of exactly its size, at another place
 * than the one before, so that AddressSanitizer sees a step too far and nothing kept from before.
 */
#include "http_reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 100

const struct http_limits http_usual_limits = {8192, 65536, COUNT_MAX};

#define must(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *condition, int line)
{
    fprintf(stderr, "http_reading.c:%d: does not hold: %s\n", line, condition);
    abort();
}

/* ---- The text -------------------------------------------------------------------------------- */

void http_reading_begin(struct http_reading *r, size_t size)
{
    *r = (struct http_reading){.status = HTTP_MORE};
    r->text = malloc(2 * size + 64);
    must(r->text);
    r->text[0] = '\0';
}

void http_reading_add(struct http_reading *r, const char *text, size_t size)
{
    if (size)
        memcpy(r->text + r->size, text, size);
    r->size += size;
    r->text[r->size] = '\0';
}

void http_reading_free(struct http_reading *r)
{
    free(r->text);
    r->text = NULL;
}

bool http_reading_same(const struct http_reading *a, const struct http_reading *b)
{
    return a->status == b->status && a->used == b->used && a->size == b->size &&
           memcmp(a->text, b->text, a->size) == 0 && strcmp(a->about, b->about) == 0;
}

static void add(struct http_reading *r, struct http_text t, const char *behind)
{
    http_reading_add(r, t.at, t.size);
    http_reading_add(r, behind, strlen(behind));
}

static void describe(struct http_reading *r, const struct http_head *head)
{
    add(r, head->method, " ");
    add(r, head->target, "\n");
    for (size_t i = 0; i < head->count; i++) {
        add(r, head->fields[i].name, ": ");
        add(r, head->fields[i].value, "\n");
    }
    add(r, (struct http_text){"", 0}, "\n");
    char body[40] = "";
    if (head->body == HTTP_SIZED)
        snprintf(body, sizeof(body), " sized %llu", (unsigned long long)head->size);
    snprintf(r->about, sizeof(r->about), "1.%d %s %.*s%s%s", head->minor,
             head->keep_alive ? "keep" : "close",
             head->host.size < 200 ? (int)head->host.size : 200, head->host.at ? head->host.at : "",
             head->body == HTTP_CHUNKED ? " chunked" : body,
             head->expect_continue ? " expect" : "");
}

/* ---- The request ----------------------------------------------------------------------------- */

static bool inside(struct http_text t, const char *bytes, size_t size)
{
    return t.size == 0 ||
           (t.at >= bytes && t.size <= size && t.at - bytes <= (long)(size - t.size));
}

static void check_head(const struct http_head *head, const char *bytes, size_t size)
{
    must(ouro__http_parser_is_token(head->method.at, head->method.size));
    must(head->target.size > 0);
    must(head->target.at[0] == '/' || head->target.at[0] == '?' || head->target.at[0] == '*');
    must(inside(head->method, bytes, size) && inside(head->host, bytes, size));
    must(head->minor == 0 || head->minor == 1);
    must((head->body == HTTP_SIZED) == (head->size > 0));
    for (size_t i = 0; i < head->count; i++) {
        const struct http_field *f = &head->fields[i];
        must(inside(f->name, bytes, size) && inside(f->value, bytes, size));
        must(ouro__http_parser_is_token(f->name.at, f->name.size));
        must(ouro__http_parser_is_value(f->value.at, f->value.size));
    }
}

static void check_path(const struct http_head *head)
{
    char *path = malloc(head->target.size + 1);
    size_t query;
    must(path);
    int64_t n = ouro__http_path_decode(head->target.at, head->target.size, path, &query);
    if (n >= 0) {
        must(n > 0 && (size_t)n <= head->target.size && path[0] == '/' && path[n] == '\0');
        must(strlen(path) == (size_t)n);
        must(!strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../"));
        must(query == head->target.size || head->target.at[query] == '?');
        must(n < 2 || strcmp(path + n - 2, "/.") != 0);
        must(n < 3 || strcmp(path + n - 3, "/..") != 0);
    }
    free(path);
}

/* The bytes that have come so far, in a place of their own. */
static char *come(const char *bytes, size_t size)
{
    char *copy = malloc(size ? size : 1);
    must(copy);
    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

static size_t more(size_t there, size_t step, size_t size)
{
    return size - there < step ? size : there + step;
}

/* The header. How many bytes are there then, of @size. */
static size_t read_head(const char *bytes, size_t size, size_t first, size_t step,
                        const struct http_limits *limits, struct http_reading *r,
                        struct http_head *head)
{
    size_t there = first < size ? first : size, seen = 0;
    for (;;) {
        char *copy = come(bytes, there);
        int64_t n = ouro__http_header_find(copy, there, seen, limits);
        r->status = n > 0 ? 0 : n < 0 ? (int)n : HTTP_MORE;
        if (n > 0) {
            must((size_t)n <= there);
            char *exact = come(bytes, (size_t)n);
            r->used = (size_t)n;
            r->status = ouro__http_header_parse(exact, (size_t)n, limits, head);
            if (r->status == 0) {
                check_head(head, exact, (size_t)n);
                check_path(head);
                describe(r, head);
            }
            free(exact);
        }
        free(copy);
        if (n != 0 || there == size)
            return there;
        seen = there;
        there = more(there, step, size);
    }
}

/* What is there of the body, until it is over or there is no more: as
 * ouro__http_parser_body_take(). */
static int take_all(struct http_body *b, const char *bytes, size_t size, struct http_reading *r)
{
    size_t at = 0;
    for (;;) {
        size_t used;
        struct http_text data;
        int rc = ouro__http_parser_body_take(b, bytes + at, size - at, &used, &data);
        must(used <= size - at && data.size <= used);
        must(inside(data, bytes + at, used));
        http_reading_add(r, data.at, data.size);
        at += used;
        r->used += used;
        if (rc < 0)
            must(ouro__http_parser_body_take(b, "0\r\n\r\n", 5, &used, &data) == rc && used == 0);
        if (rc != 0 || at == size)
            return rc;
        must(used > 0);
    }
}

static void read_body(const char *bytes, size_t size, size_t there, size_t step,
                      const struct http_head *head, struct http_reading *r)
{
    struct http_body b;
    ouro__http_parser_body_begin(&b, head);
    for (;;) {
        char *copy = come(bytes + r->used, there - r->used);
        int rc = take_all(&b, copy, there - r->used, r);
        free(copy);
        r->status = rc < 0 ? rc : rc == 0 ? HTTP_MORE : 0;
        if (rc != 0 || there == size)
            return;
        must(r->used == there);
        there = more(there, step, size);
    }
}

void http_read(const char *bytes, size_t size, size_t first, size_t step,
               const struct http_limits *limits, struct http_reading *r)
{
    struct http_field fields[COUNT_MAX];
    struct http_head head = {.fields = fields};
    http_reading_begin(r, size);
    size_t there = read_head(bytes, size, first, step, limits, r, &head);
    if (r->status == 0)
        read_body(bytes, size, there, step, &head, r);
}

void http_read_any(const char *bytes, size_t size, size_t split)
{
    /* Narrow ones, too, which a small input reaches. */
    static const struct http_limits narrow = {24, 48, 3};
    for (int i = 0; i < 2; i++) {
        const struct http_limits *limits = i ? &narrow : &http_usual_limits;
        struct http_reading whole, halves;
        http_read(bytes, size, size, size ? size : 1, limits, &whole);
        http_read(bytes, size, split, size ? size : 1, limits, &halves);
        must(http_reading_same(&whole, &halves));
        http_reading_free(&whole);
        http_reading_free(&halves);
    }
    char *decoded = malloc(size + 1);
    must(decoded);
    int64_t n = ouro__http_percent_decode(bytes, size, split % 2, decoded);
    must(n <= (int64_t)size && (n < 0 || !memchr(decoded, '\0', (size_t)n)));
    free(decoded);
}
