/* SPDX-License-Identifier: MIT */
/*
 * Compiled once for llhttp and once for http_parser, whose interfaces are alike, and whose headers
 * can not be included beside each other.
 */
#include "http_rival.h"

#include <stdio.h>
#include <string.h>

#include "http_examples.h"
#include "http_reading.h"

#ifdef RIVAL_LLHTTP
#    include <llhttp.h>
#    define RIVAL http_rival_llhttp
typedef llhttp_t parser;
typedef llhttp_settings_t callbacks;

static void run(parser *p, const callbacks *c, void *data, const char *bytes, size_t size)
{
    llhttp_init(p, HTTP_REQUEST, c);
    p->data = data;
    llhttp_execute(p, bytes, size);
}

static const char *method_name(const parser *p)
{
    return llhttp_method_name((llhttp_method_t)p->method);
}

#    define NAME  "llhttp"
#    define BIT   LLHTTP
#    define NEWER (LLHTTP_VERSION_MAJOR > 8)
#else
#    include <http_parser.h>
#    define RIVAL http_rival_http_parser
typedef http_parser parser;
typedef http_parser_settings callbacks;

static void run(parser *p, const callbacks *c, void *data, const char *bytes, size_t size)
{
    http_parser_init(p, HTTP_REQUEST);
    p->data = data;
    http_parser_execute(p, c, bytes, size);
}

static const char *method_name(const parser *p)
{
    return http_method_str(p->method);
}

#    define NAME  "http_parser"
#    define BIT   HTTP_PARSER
#    define NEWER false
#endif

/* What the callbacks have seen. A piece may come in two, side by side. */
struct seen {
    struct http_text url;
    struct http_field fields[100];
    size_t count;
    bool header;   /* it is over */
    bool complete; /* the request is */
    struct http_reading *r;
};

static void join(struct http_text *t, const char *at, size_t size)
{
    if (!t->at)
        t->at = at;
    t->size += size;
}

static int on_url(parser *p, const char *at, size_t size)
{
    struct seen *seen = p->data;
    join(&seen->url, at, size);
    return 0;
}

static int on_name(parser *p, const char *at, size_t size)
{
    struct seen *seen = p->data;
    if (!seen->header)
        seen->fields[seen->count++] = (struct http_field){.name = {at, size}};
    return 0;
}

static int on_value(parser *p, const char *at, size_t size)
{
    struct seen *seen = p->data;
    if (!seen->header && seen->count)
        join(&seen->fields[seen->count - 1].value, at, size);
    return 0;
}

static int on_header(parser *p)
{
    struct seen *seen = p->data;
    seen->header = true;
    return 0;
}

static int on_complete(parser *p)
{
    struct seen *seen = p->data;
    seen->complete = true;
    return 0;
}

/* ---- For comparing --------------------------------------------------------------------------- */

static void add(struct http_reading *r, struct http_text t, const char *behind)
{
    while (t.size && (t.at[t.size - 1] == ' ' || t.at[t.size - 1] == '\t'))
        t.size--;
    http_reading_add(r, t.at, t.size);
    http_reading_add(r, behind, strlen(behind));
}

static int on_header_to_compare(parser *p)
{
    struct seen *seen = p->data;
    const char *method = method_name(p);
    if (seen->complete)
        return 0;
    add(seen->r, (struct http_text){method, strlen(method)}, " ");
    add(seen->r, seen->url, "\n");
    for (size_t i = 0; i < seen->count; i++) {
        add(seen->r, seen->fields[i].name, ": ");
        add(seen->r, seen->fields[i].value, "\n");
    }
    add(seen->r, (struct http_text){"", 0}, "\n");
    return on_header(p);
}

static int on_body(parser *p, const char *at, size_t size)
{
    struct seen *seen = p->data;
    if (!seen->complete)
        http_reading_add(seen->r, at, size);
    return 0;
}

static bool read_one(const char *bytes, size_t size, struct http_reading *r)
{
    static const callbacks c = {
        .on_url = on_url,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_header_to_compare,
        .on_body = on_body,
        .on_message_complete = on_complete,
    };
    struct seen seen = {.r = r};
    parser p;
    http_reading_begin(r, size);
    run(&p, &c, &seen, bytes, size);
    r->status = seen.complete ? 0 : HTTP_MORE;
    return seen.complete;
}

/* ---- For measuring --------------------------------------------------------------------------- */

static size_t parse(const char *bytes, size_t size, unsigned n)
{
    static const callbacks c = {
        .on_url = on_url,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_header,
        .on_message_complete = on_complete,
    };
    static struct seen seen;
    size_t count = 0;
    for (unsigned i = 0; i < n; i++) {
        parser p;
        seen.url = (struct http_text){NULL, 0};
        seen.count = 0;
        seen.header = seen.complete = false;
        run(&p, &c, &seen, bytes, size);
        count += seen.complete ? seen.count : 0;
    }
    return count;
}

const struct http_rival RIVAL = {
    .name = NAME,
    .bit = BIT,
    .newer = NEWER,
    .read = read_one,
    .parse = parse,
};
