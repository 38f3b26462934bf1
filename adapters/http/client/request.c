/* SPDX-License-Identifier: MIT */
/*
 * Requests: checked, and laid out as libcurl wants them.
 *
 * A request is one block: the fetch, the nodes of its list of header fields, and all texts. It is
 * written twice, first to nowhere, which tells how large it is.
 *
 * How it fails: with -EINVAL and what is wrong in words. Nothing that could end a header field, or
 * begin another, gets past the checks.
 */
#include "client_int.h"

#include <ouro/memory.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_BODY_MAX  ((size_t)64 * 1024 * 1024)
#define DEFAULT_REDIRECTS 10

/* ---- Checks ---------------------------------------------------------------------------------- */

static int wrong(char *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int wrong(char *why, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, HTTP_WHY, format, args);
    va_end(args);
    return -EINVAL;
}

/* What libcurl writes itself; two of them would let others read the request in two ways. */
static bool is_ours(const char *name)
{
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0;
}

static int check_header(const ouro_http_field *f, char *why)
{
    char name[64];
    if (!f->name || !f->value)
        return wrong(why, "a header field is NULL");
    ouro__http_show(f->name, name, sizeof name);
    if (!ouro__http_is_token(f->name))
        return wrong(why, "\"%s\" is no name of a header field", name);
    if (is_ours(f->name))
        return wrong(why, "the header field %s is the client's own", name);
    if (!ouro__http_is_value(f->value))
        return wrong(why, "the header field %s has a control character in its value", name);
    return 0;
}

static int check_fields(const ouro_http_field *fields, size_t count, const char *what, char *why)
{
    if (count && !fields)
        return wrong(why, "%s is NULL", what);
    for (size_t i = 0; i < count; i++)
        if (!fields[i].name || !fields[i].value)
            return wrong(why, "a field of %s is NULL", what);
    return 0;
}

static int check_body(const ouro_http_options *o, char *why)
{
    int bodies = (o->form || o->form_count) + (o->json != NULL) + (o->data || o->size) +
                 (o->source != NULL);
    if (bodies > 1)
        return wrong(why, "it has several bodies");
    if (o->size && !o->data)
        return wrong(why, "data is NULL");
    if (o->type && !ouro__http_is_value(o->type))
        return wrong(why, "its type has a control character in it");
    return check_fields(o->form, o->form_count, "the form", why);
}

static bool has_body(const ouro_http_options *o)
{
    return o->form || o->form_count || o->json || o->data || o->size || o->source;
}

static int check(const char *method, const char *url, const ouro_http_options *o, char *why)
{
    if (!ouro__http_is_token(method) || strcmp(method, "CONNECT") == 0)
        return wrong(why, "no method that can be used");
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == '\x7f')
            return wrong(why, "the URL has a blank or a control character in it");
    if (o->header_count && !o->headers)
        return wrong(why, "headers is NULL");
    if (o->redirects_max < -1)
        return wrong(why, "redirects_max is %d", o->redirects_max);
    if (strcmp(method, "HEAD") == 0 && has_body(o))
        return wrong(why, "HEAD has no body"); /* libcurl would wait for one of the answer */
    int rc = 0;
    for (size_t i = 0; i < o->header_count && rc == 0; i++)
        rc = check_header(&o->headers[i], why);
    if (rc == 0)
        rc = check_fields(o->query, o->query_count, "the query", why);
    return rc == 0 ? check_body(o, why) : rc;
}

/* ---- Layout ---------------------------------------------------------------------------------- */

/* Writes a request, or measures it. */
struct writer {
    struct http_fetch *fetch; /* NULL: it is measured */
    struct http_ink ink;
    size_t nodes;
};

static const char *write_text(struct writer *w, const char *text)
{
    const char *begin = w->ink.at;
    ouro__http_ink(&w->ink, text, strlen(text) + 1);
    return begin;
}

static void write_pairs(struct http_ink *ink, const ouro_http_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            ouro__http_ink_text(ink, "&");
        ouro__http_ink_encoded(ink, fields[i].name);
        ouro__http_ink_text(ink, "=");
        ouro__http_ink_encoded(ink, fields[i].value);
    }
}

/* With the query behind the one that is there, and without the fragment, which is nobody's business
 * but ours. */
static const char *write_url(struct writer *w, const char *url, const ouro_http_options *o)
{
    const char *begin = w->ink.at;
    size_t size = strcspn(url, "#"), before = strcspn(url, "?#");
    ouro__http_ink(&w->ink, url, size);
    if (o->query_count) {
        bool follows = before < size && url[size - 1] != '?' && url[size - 1] != '&';
        if (before == size)
            ouro__http_ink_text(&w->ink, "?");
        else if (follows)
            ouro__http_ink_text(&w->ink, "&");
        write_pairs(&w->ink, o->query, o->query_count);
    }
    ouro__http_ink(&w->ink, "", 1);
    return begin;
}

/* A line for libcurl, for which "name:" is none and "name;" one that is empty. */
static void write_line(struct writer *w, const char *name, const char *value)
{
    struct http_fetch *f = w->fetch;
    char *begin = w->ink.at;
    value += strspn(value, " \t");
    ouro__http_ink_text(&w->ink, name);
    ouro__http_ink_text(&w->ink, *value ? ": " : ";");
    ouro__http_ink(&w->ink, value, strlen(value) + 1);
    if (f) {
        f->nodes[w->nodes] = (struct curl_slist){begin, NULL};
        if (w->nodes)
            f->nodes[w->nodes - 1].next = &f->nodes[w->nodes];
        f->headers = f->nodes;
    }
    w->nodes++;
}

/* That libcurl leaves a field of its own out. */
static void write_no(struct writer *w, const char *name_and_colon)
{
    write_line(w, name_and_colon, "");
    if (w->fetch)
        strchr(w->fetch->nodes[w->nodes - 1].data, ':')[1] = '\0';
}

static bool has_header(const ouro_http_options *o, const char *name)
{
    for (size_t i = 0; i < o->header_count; i++)
        if (strcasecmp(o->headers[i].name, name) == 0)
            return true;
    return false;
}

static const char *default_type(const ouro_http_options *o)
{
    if (o->form || o->form_count)
        return "application/x-www-form-urlencoded";
    if (o->json)
        return "application/json";
    return o->data || o->source ? "application/octet-stream" : NULL;
}

/* Methods that say how long their body is even when they have none. */
static bool wants_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
           strcmp(method, "PATCH") == 0;
}

static void write_headers(struct writer *w, const char *method, const ouro_http_options *o)
{
    const char *type = default_type(o);
    for (size_t i = 0; i < o->header_count; i++)
        write_line(w, o->headers[i].name, o->headers[i].value);
    if (!type && !wants_body(method))
        return;
    if (!has_header(o, "Content-Type")) {
        if (type)
            write_line(w, "Content-Type", o->type ? o->type : type);
        else
            write_no(w, "Content-Type:");
    }
    if (!has_header(o, "Expect"))
        write_no(w, "Expect:"); /* it would be waited for an answer to it */
    if (o->source)
        write_line(w, "Transfer-Encoding", "chunked");
}

static void write_body(struct writer *w, const char *method, const ouro_http_options *o)
{
    const char *body = w->ink.at;
    size_t before = w->ink.size;
    if (o->form || o->form_count)
        write_pairs(&w->ink, o->form, o->form_count);
    else if (o->json)
        ouro__http_ink_text(&w->ink, o->json);
    size_t size = w->ink.size - before;
    ouro__http_ink(&w->ink, "", 1);
    if (!w->fetch)
        return;
    if (o->data) {
        w->fetch->body = o->data;
        w->fetch->size = o->size;
    } else if (!o->source && (default_type(o) || wants_body(method))) {
        w->fetch->body = body;
        w->fetch->size = size;
    }
}

static void write_request(struct writer *w, const char *method, const char *url,
                          const ouro_http_options *o)
{
    const char *its_method = write_text(w, method);
    const char *its_url = write_url(w, url, o);
    write_headers(w, method, o);
    write_body(w, method, o);
    if (w->fetch) {
        w->fetch->method = its_method;
        w->fetch->url = its_url;
    }
}

int ouro__http_request_new(const char *method, const char *url, const ouro_http_options *opts,
                           struct http_fetch **ret_fetch, char *why)
{
    struct writer w = {0};
    int rc = check(method, url, opts, why);
    if (rc < 0)
        return rc;
    write_request(&w, method, url, opts);
    size_t nodes = w.nodes;
    struct http_fetch *f = ouro_memory_alloc(sizeof(*f) + nodes * sizeof(struct curl_slist) +
                                             w.ink.size);
    if (!f)
        return -ENOMEM;
    *f = (struct http_fetch){
        .source = opts->source,
        .sink = opts->sink,
        .arg = opts->arg,
        .body_max = opts->body_max ? opts->body_max : DEFAULT_BODY_MAX,
        .redirects_max = opts->redirects_max ? opts->redirects_max : DEFAULT_REDIRECTS,
        .headers_follow = opts->headers_follow,
        .downgrade = opts->downgrade,
    };
    w = (struct writer){.fetch = f, .ink.at = (char *)&f->nodes[nodes]};
    write_request(&w, method, url, opts);
    *ret_fetch = f;
    return 0;
}

/* ---- Redirects ------------------------------------------------------------------------------- */

static bool is_named(const char *line, const char *name)
{
    size_t n = strlen(name);
    return strncasecmp(line, name, n) == 0 && (line[n] == ':' || line[n] == ';');
}

static bool is_one_of(const char *line, const char *const *names)
{
    while (*names && !is_named(line, *names))
        names++;
    return *names;
}

/* Those of @names, or all others. */
static void drop_headers(struct http_fetch *f, const char *const *names, bool others)
{
    struct curl_slist **at = &f->headers;
    while (*at) {
        if (is_one_of((*at)->data, names) != others)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
}

/* Another origin is told what is wanted, and what the body is. All else may be a secret, whatever its
 * name. */
static void drop_secrets(struct http_fetch *f)
{
    static const char *const harmless[] = {"Accept",
                                           "Accept-Charset",
                                           "Accept-Encoding",
                                           "Accept-Language",
                                           "Cache-Control",
                                           "Content-Encoding",
                                           "Content-Language",
                                           "Content-Type",
                                           "Expect",
                                           "Range",
                                           "Transfer-Encoding",
                                           "User-Agent",
                                           NULL};
    static const char *const host[] = {"Host", NULL};
    if (f->headers_follow)
        drop_headers(f, host, false);
    else
        drop_headers(f, harmless, true);
}

void ouro__http_request_redirect(struct http_fetch *f, int status, bool same_origin)
{
    static const char *const of_bodies[] = {"Content-Type",
                                            "Content-Encoding",
                                            "Content-Language",
                                            "Content-Location",
                                            "Transfer-Encoding",
                                            "Expect",
                                            NULL};
    bool is_post = strcmp(f->method, "POST") == 0, is_head = strcmp(f->method, "HEAD") == 0;
    if (!same_origin)
        drop_secrets(f);
    if ((status <= 302 && !is_post) || status >= 307)
        return;
    if (!is_head)
        f->method = "GET";
    f->body = NULL;
    f->source = NULL;
    drop_headers(f, of_bodies, false);
}
