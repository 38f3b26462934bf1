/* SPDX-License-Identifier: MIT */
#ifndef OURO_SERVER_TEST_H
#define OURO_SERVER_TEST_H

/*
 * A server of the test's, and clients that speak to it byte by byte. All of it is in one loop: what
 * is asked for is waited for in the task of the test.
 */
#include <ouro/http_server.h>
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "harness.h"

static struct {
    ouro_http_server *http;
    ouro_listener *listener;
    ouro_future *serving; /* a reference of ours beside the one that is awaited */
    char where[64];
} site;

static inline void site_new(const ouro_http_server_options *opts)
{
    check_eq(ouro_http_server_new(opts, &site.http), 0);
}

static inline void site_route(const char *method, const char *path, ouro_http_handler *handler)
{
    int rc = ouro_http_route(site.http, method, path, handler, NULL);
    check_text(rc == 0 ? "" : ouro_http_server_error(site.http), "");
    check_eq(rc, 0);
}

static inline void site_open_at(const char *where, const ouro_serve_options *opts)
{
    ouro_address address;
    check_eq(ouro_listen(where, NULL, &site.listener), 0);
    check_eq(ouro_listener_address(site.listener, &address), 0);
    ouro_address_print(&address, site.where, sizeof(site.where));
    site.serving = ouro_http_serve(site.http, site.listener, opts);
}

static inline void site_open(const ouro_serve_options *opts)
{
    site_open_at("127.0.0.1:0", opts);
}

static inline void site_close(void)
{
    ouro_server_stop(site.serving, OURO_SEC(1));
    check_eq(ouro_await(ouro_timeout(site.serving, OURO_SEC(20))), 0);
    site.listener = ouro_listener_free(site.listener);
    site.http = ouro_http_server_free(site.http);
}

static inline ouro_http_server_stats site_stats(void)
{
    ouro_http_server_stats s;
    check_eq(ouro_http_server_stats_get(site.http, &s), 0);
    return s;
}

static inline ouro_stream *dial(void)
{
    int64_t n;
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(site.where, NULL), &n);
    check_eq(n, 0);
    return s;
}

static inline void say_bytes(ouro_stream *s, const char *bytes, size_t size)
{
    check_eq(ouro_await(ouro_stream_write(s, bytes, size)), (int64_t)size);
}

static inline void say(ouro_stream *s, const char *text)
{
    say_bytes(s, text, strlen(text));
}

#define HEARD_MAX ((size_t)4 * 1024 * 1024)

/* All up to the end, or until it has come that far: terminated, the caller's to free. */
static inline char *hear_until(ouro_stream *s, const char *mark, size_t *ret_size)
{
    char *text = malloc(HEARD_MAX);
    size_t size = 0;
    int64_t n = 1;
    text[0] = '\0';
    while (n > 0 && size < HEARD_MAX - 1 && !(mark && strstr(text, mark))) {
        n = ouro_await(
            ouro_timeout(ouro_stream_read(s, text + size, HEARD_MAX - 1 - size), OURO_SEC(10)));
        size += n > 0 ? (size_t)n : 0;
        text[size] = '\0';
    }
    if (n < 0 && n != -ECONNRESET)
        check_eq(n, 0);
    if (ret_size)
        *ret_size = n < 0 ? 0 : size;
    return text;
}

static inline char *hear(ouro_stream *s)
{
    return hear_until(s, NULL, NULL);
}

/* What comes back to a request that closes the connection, or makes the server close it. */
static inline char *ask(const char *request)
{
    ouro_stream *s = dial();
    say(s, request);
    char *answer = hear(s);
    ouro_stream_free(s);
    return answer;
}

/* GET by HTTP/1.1. */
static inline char *get(const char *target)
{
    char request[4096];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
             target);
    return ask(request);
}

static inline const char *body_of(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    return end ? end + 4 : "";
}

static inline int status_of(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : -1;
}

#define check_status(answer, want)          \
    do {                                    \
        char *answer_ = (answer);           \
        check_eq(status_of(answer_), want); \
        free(answer_);                      \
    } while (0)

#define check_body(answer, want)            \
    do {                                    \
        char *answer_ = (answer);           \
        check_text(body_of(answer_), want); \
        free(answer_);                      \
    } while (0)

#define check_has(answer, part)                    \
    do {                                           \
        const char *found_ = strstr(answer, part); \
        check_text(found_ ? part : answer, part);  \
    } while (0)

#define check_hasnt(answer, part) check(!strstr(answer, part))

static inline int count_of(const char *text, const char *part)
{
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        n++;
    return n;
}

static inline void pause_ms(unsigned ms)
{
    check_eq(ouro_await(ouro_sleep(OURO_MS(ms))), 0);
}

#endif
