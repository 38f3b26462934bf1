/* SPDX-License-Identifier: MIT */
/*
 * A tiny API whose answers take as long as they are asked to: something to try clients on.
 *
 *     delay_api [--at PLACE]            # then: curl localhost:8080/delay/500
 *     delay_api --selftest
 *
 *     GET /delay/{ms}        answers after so many milliseconds
 *     GET /status/{code}     answers with that status
 *     POST /echo             sends the body back
 *     GET /stats             what the server has done
 *
 * A handler waits in straight-line code, and other requests go on meanwhile. When its client goes
 * away, the wait ends, and the handler with it.
 */
#define _GNU_SOURCE
#include <ouro/http_server.h>
#include <ouro/ouro.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_MS 60000

/* ---- The API --------------------------------------------------------------------------------- */

static int64_t answer_later(ouro_http_request *r, void *arg)
{
    int64_t ms;
    char text[64];
    (void)arg;
    if (ouro_http_param_int(r, "ms", &ms) < 0 || ms < 0 || ms > LONGEST_MS)
        return ouro_http_reply_text(r, 400, "a number of milliseconds up to 60000, please\n");
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(ms)));
    if (rc < 0)
        return rc;
    int size = snprintf(text, sizeof text, "{\"took_ms\": %lld}\n", (long long)ms);
    return ouro_http_reply(r, 200, "application/json", text, (size_t)size);
}

static int64_t answer_status(ouro_http_request *r, void *arg)
{
    int64_t status;
    (void)arg;
    if (ouro_http_param_int(r, "code", &status) < 0 || status < 200 || status > 599)
        return ouro_http_reply_text(r, 400, "a status from 200 to 599, please\n");
    if (status >= 400)
        return -OURO_EHTTP(status);
    return ouro_http_reply(r, (int)status, NULL, NULL, 0);
}

static int64_t echo(ouro_http_request *r, void *arg)
{
    int64_t n;
    (void)arg;
    const void *body = ouro_await_ptr(ouro_http_body(r), &n);
    if (n < 0)
        return n;
    return ouro_http_reply(r, 200, ouro_http_header(r, "Content-Type"), body, (size_t)n);
}

static int64_t show_stats(ouro_http_request *r, void *arg)
{
    ouro_http_server_stats stats;
    char text[256];
    int64_t rc = ouro_http_server_stats_get(arg, &stats);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof text, "connections %llu, requests %llu, gone %llu\n",
             (unsigned long long)stats.connections, (unsigned long long)stats.requests,
             (unsigned long long)stats.gone);
    return ouro_http_reply_text(r, 200, text);
}

/* Says on standard error what each request took. */
static int64_t measure(ouro_http_request *r, ouro_http_next *next, void *arg)
{
    (void)arg;
    ouro_ns before = ouro_now();
    int64_t rc = ouro_http_next_run(r, next);
    fprintf(stderr, "%s %s: %.1f ms%s\n", ouro_http_method(r), ouro_http_target(r),
            (double)(ouro_now() - before) / 1e6, rc == -ECANCELED ? ", and nobody waits" : "");
    return rc;
}

/* 0, or the error of the first route that cannot be, which is told. */
static int add_routes(ouro_http_server *server)
{
    int rc = ouro_http_use(server, measure, NULL);
    if (rc == 0)
        rc = ouro_http_route(server, "GET", "/delay/{ms}", answer_later, NULL);
    if (rc == 0)
        rc = ouro_http_route(server, "GET", "/status/{code}", answer_status, NULL);
    if (rc == 0)
        rc = ouro_http_route(server, "POST", "/echo", echo, NULL);
    if (rc == 0)
        rc = ouro_http_route(server, "GET", "/stats", show_stats, server);
    if (rc < 0)
        fprintf(stderr, "%s\n", ouro_http_server_error(server));
    return rc;
}

/* ---- The self-test --------------------------------------------------------------------------- */

/* Sends a request and prints the first line and the body of what comes back. */
static int64_t ask(const char *where, const char *request)
{
    char answer[4096];
    size_t size = 0;
    int64_t n;
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(where, NULL), &n);
    if (n == 0)
        n = ouro_await(ouro_stream_write(s, request, strlen(request)));
    while (n > 0 && size < sizeof answer - 1) {
        n = ouro_await(ouro_stream_read(s, answer + size, sizeof answer - 1 - size));
        size += n > 0 ? (size_t)n : 0;
    }
    answer[size] = '\0';
    ouro_stream_free(s);
    const char *body = strstr(answer, "\r\n\r\n");
    printf("%.*s | %s", (int)strcspn(answer, "\r"), answer, body && body[4] ? body + 4 : "\n");
    return n;
}

static int64_t ask_slowly(void *where)
{
    return ask(where, "GET /delay/100 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

/* Ten at a time take as long as one. */
static int64_t try_all(const char *where)
{
    enum { TEN = 10 };
    ouro_future *f[TEN];
    ouro_ns before = ouro_now();
    for (int i = 0; i < TEN; i++)
        f[i] = ouro_spawn(ask_slowly, (void *)(uintptr_t)where);
    int64_t rc = ouro_await(ouro_gather(f, TEN, OURO_GATHER_ALL, NULL));
    printf("ten at a time: %s\n", ouro_now() - before < OURO_MS(700) ? "as one" : "one by one");
    if (rc >= 0)
        rc = ask(where, "GET /delay/soon HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    if (rc >= 0)
        rc = ask(where, "GET /status/418 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    if (rc >= 0)
        rc = ask(where, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n"
                        "Connection: close\r\n\r\nhello\n");
    if (rc >= 0)
        rc = ask(where, "GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return rc;
}

/* ---- The program ----------------------------------------------------------------------------- */

struct options {
    const char *place;
    int selftest;
};

static int64_t serve(ouro_http_server *server, ouro_listener *l, int selftest)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_address address;
    int rc = ouro_listener_address(l, &address);
    if (rc < 0)
        return rc;
    ouro_address_print(&address, where, sizeof where);
    ouro_future *serving = ouro_http_serve(server, l, NULL);
    if (!selftest) {
        printf("listening at %s\n", where);
        fflush(stdout);
        return ouro_await(serving);
    }
    int64_t tried = try_all(where);
    ouro_server_stop(serving, OURO_SEC(1));
    int64_t stopped = ouro_await(serving);
    return tried < 0 ? tried : stopped;
}

static int64_t run(void *arg)
{
    const struct options *o = arg;
    ouro_http_server *server;
    ouro_listener *l;
    int64_t rc = ouro_listen(o->place, NULL, &l);
    if (rc < 0) {
        fprintf(stderr, "cannot listen at %s: %s\n", o->place, ouro_strerror(rc));
        return rc;
    }
    rc = ouro_http_server_new(NULL, &server);
    if (rc == 0) {
        rc = add_routes(server);
        if (rc == 0)
            rc = serve(server, l, o->selftest);
        ouro_http_server_free(server);
    }
    ouro_listener_free(l);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"at", required_argument, NULL, 'a'},
        {"selftest", no_argument, NULL, 's'},
        {0},
    };
    struct options o = {.place = ":8080"};
    for (int c; (c = getopt_long(argc, argv, "a:s", options, NULL)) != -1;) {
        if (c == 'a') {
            o.place = optarg;
        } else if (c == 's') {
            o.selftest = 1;
            o.place = "127.0.0.1:0";
        } else {
            fprintf(stderr, "usage: %s [--at PLACE] [--selftest]\n", argv[0]);
            return 2;
        }
    }
    return ouro_exit_code(ouro_run(run, &o, NULL));
}
