/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_TEST_H
#define OURO_HTTP_TEST_H

/*
 * What the tests of the HTTP client share: a client, and a server that misbehaves as it is told.
 *
 * The server lives in the test's own loop. It reads a request, with its body, and answers by its
 * path, from a table: bytes, as they are, and what it does with the connection then. Paths that are
 * in no table are answered with the request itself.
 */

#include <ouro/http_client.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

enum then { KEEP, CLOSE, STALL, RESET };

struct script {
    const char *path;
    const char *bytes;
    enum then then;
    int times;     /* how often the bytes are sent; 0: once */
    ouro_ns pause; /* between two bytes */
};

struct wild {
    const struct script *scripts; /* up to one without a path */
    ouro_listener *listener;
    ouro_future *server;
    int port;
    int live, peak, connections, requests;
    int ends;         /* connections whose end was seen */
    char last[16384]; /* the last request */
    char body[65536]; /* and its body, chunks put together */
    size_t body_size;
    ouro_ns delay; /* before each answer */
};

static inline size_t wild_length(const char *head)
{
    const char *p = strcasestr(head, "\nContent-Length:");
    return p ? strtoul(p + 16, NULL, 10) : 0;
}

static inline int64_t wild_read_chunks(struct wild *w, ouro_stream *s)
{
    char line[128];
    for (;;) {
        int64_t n = ouro_await(ouro_stream_read_line(s, line, sizeof line));
        if (n <= 0)
            return -ECONNRESET;
        size_t size = strtoul(line, NULL, 16);
        check(w->body_size + size < sizeof w->body);
        if (size &&
            ouro_await(ouro_stream_read_exact(s, w->body + w->body_size, size)) != (int64_t)size)
            return -ECONNRESET;
        w->body_size += size;
        if (ouro_await(ouro_stream_read_line(s, line, sizeof line)) < 0)
            return -ECONNRESET;
        if (size == 0)
            return 0;
    }
}

static inline int64_t wild_read(struct wild *w, ouro_stream *s)
{
    char head[sizeof w->last];
    int64_t n = ouro_await(ouro_stream_read_until(s, head, sizeof head - 1, "\r\n\r\n", 4));
    if (n <= 0)
        return n;
    head[n] = '\0';
    size_t size = wild_length(head);
    w->body_size = 0;
    if (strcasestr(head, "\nTransfer-Encoding: chunked"))
        n = wild_read_chunks(w, s) < 0 ? 0 : n;
    else if (size) {
        check(size < sizeof w->body);
        if (ouro_await(ouro_stream_read_exact(s, w->body, size)) != (int64_t)size)
            return 0;
        w->body_size = size;
    }
    w->body[w->body_size] = '\0';
    memcpy(w->last, head, sizeof head);
    w->requests++;
    return n;
}

static inline const struct script *wild_find(const struct wild *w)
{
    const char *path = strchr(w->last, ' ') + 1;
    size_t n = strcspn(path, " ?");
    for (const struct script *x = w->scripts; x && x->path; x++)
        if (strlen(x->path) == n && strncmp(x->path, path, n) == 0)
            return x;
    return NULL;
}

static inline int64_t wild_echo(struct wild *w, ouro_stream *s)
{
    char head[128];
    size_t size = strlen(w->last) + w->body_size;
    int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", size);
    bool is_head = strncmp(w->last, "HEAD ", 5) == 0;
    char all[sizeof w->last + sizeof w->body];
    memcpy(all, w->last, strlen(w->last));
    memcpy(all + strlen(w->last), w->body, w->body_size);
    int64_t rc = ouro_await(ouro_stream_write(s, head, (size_t)n));
    return rc < 0 || is_head ? rc : ouro_await(ouro_stream_write(s, all, size));
}

static inline int64_t wild_play(const struct script *x, ouro_stream *s)
{
    size_t size = strlen(x->bytes), step = x->pause ? 1 : size;
    int64_t rc = 0;
    for (int i = 0; i < (x->times ? x->times : 1) && rc >= 0; i++)
        for (size_t at = 0; at < size && rc >= 0; at += step) {
            rc = ouro_await(ouro_stream_write(s, x->bytes + at, step));
            if (rc >= 0 && x->pause)
                rc = ouro_await(ouro_sleep(x->pause));
        }
    return rc;
}

/* Reads whatever comes until the client goes. */
static inline void wild_wait_for_end(struct wild *w, ouro_stream *s)
{
    char buf[1024];
    int64_t n;
    while ((n = ouro_await(ouro_stream_read(s, buf, sizeof buf))) > 0)
        continue;
    w->ends += n != -ECANCELED;
}

static inline int64_t wild_serve(ouro_stream *s, void *arg)
{
    struct wild *w = arg;
    int64_t n;
    w->connections++;
    if (++w->live > w->peak)
        w->peak = w->live;
    while ((n = wild_read(w, s)) > 0) {
        const struct script *x = wild_find(w);
        if (w->delay && ouro_await(ouro_sleep(w->delay)) < 0)
            break;
        int64_t rc = x ? wild_play(x, s) : wild_echo(w, s);
        if (rc < 0 || (x && x->then == CLOSE))
            break;
        if (x && x->then == RESET) {
            ouro_stream_abort(s);
            break;
        }
        if (x && x->then == STALL) {
            wild_wait_for_end(w, s);
            break;
        }
    }
    w->ends += n == 0;
    w->live--;
    return 0;
}

static inline struct wild *wild_start(const struct script *scripts)
{
    struct wild *w = calloc(1, sizeof *w);
    ouro_address a;
    check(w != NULL);
    w->scripts = scripts;
    check_eq(ouro_listen("127.0.0.1:0", NULL, &w->listener), 0);
    check_eq(ouro_listener_address(w->listener, &a), 0);
    w->port = ouro_address_port(&a);
    w->server = ouro_serve(w->listener, wild_serve, w,
                           &(ouro_serve_options){.stack_size = 512 * 1024});
    return w;
}

static inline void wild_stop(struct wild *w)
{
    ouro_server_stop(w->server, 0);
    check_eq(ouro_await(w->server), 0);
    ouro_listener_free(w->listener);
    free(w);
}

/* The URL of a path; the next call but three has the buffer again. */
static inline const char *wild_url(const struct wild *w, const char *path)
{
    static char urls[4][512];
    static int at;
    at = (at + 1) % 4;
    snprintf(urls[at], sizeof urls[at], "http://127.0.0.1:%d%s", w->port, path);
    return urls[at];
}

/* A client that does not look at the environment. */
static inline ouro_http_client *client_with(ouro_http_client_options opts)
{
    ouro_http_client *c = NULL;
    if (!opts.proxy)
        opts.proxy = "";
    check_eq(ouro_http_client_new(&opts, &c), 0);
    return c;
}

static inline ouro_http_client *client(void)
{
    return client_with((ouro_http_client_options){0});
}

/* What a future came to, and the words for it, which must contain @part. */
static inline int64_t words_of(ouro_future *f, const char *part)
{
    ouro_ref(f);
    int64_t rc = ouro_await(f);
    const char *words = ouro_future_detail(f);
    if (part && (!words || !strstr(words, part)))
        cr_assert_fail("%lld, said as \"%s\", has no \"%s\"", (long long)rc, words ? words : "",
                       part);
    ouro_unref(f);
    return rc;
}

/* An answer that must come. */
static inline ouro_http_response *answer(ouro_future *f)
{
    int64_t rc;
    ouro_ref(f);
    ouro_http_response *r = ouro_await_ptr(f, &rc);
    if (!r)
        cr_assert_fail("no answer: %lld, %s", (long long)rc, ouro_future_detail(f));
    check_eq(r->status, rc);
    ouro_unref(f);
    return r;
}

static inline ouro_http_client_stats stats_of(const ouro_http_client *c)
{
    ouro_http_client_stats s;
    check_eq(ouro_http_client_stats_get(c, &s), 0);
    return s;
}

/* Whether an answer's body, which is an echo of the request, has a part. */
static inline bool says(const ouro_http_response *r, const char *part)
{
    return strstr(r->body, part) != NULL;
}

#endif
