/* SPDX-License-Identifier: MIT */
/*
 * A clock in the browser: the server sends the time, again and again, as server-sent events.
 *
 *     sse_clock [--port P]              # then open http://localhost:8080/
 *     sse_clock --selftest
 *
 * Each browser that looks is a task that sleeps, sends, and sleeps again. When the page is closed
 * the task is cancelled, in whatever it waits for.
 */
#define _GNU_SOURCE
#include <ouro/http_server.h>
#include <ouro/ouro.h>

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char page[] = "<!doctype html><title>clock</title><h1 id=\"t\">...</h1>\n"
                           "<script>new EventSource('/time').addEventListener('tick', e =>\n"
                           "  document.getElementById('t').textContent = e.data)</script>\n";

static int64_t show_page(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply(r, 200, "text/html; charset=utf-8", page, sizeof page - 1);
}

/* Sends until the client goes. The self-test asks for a few ticks, and counts instead. */
static int64_t tick(ouro_http_request *r, void *arg)
{
    int64_t count = INT64_MAX, pause = 1000, rc = 0;
    char text[64], id[24];
    (void)arg;
    ouro_http_query_int(r, "count", &count);
    ouro_http_query_int(r, "ms", &pause);
    for (int64_t i = 0; rc >= 0 && i < count; i++) {
        time_t now = time(NULL);
        struct tm tm;
        strftime(text, sizeof text, "%H:%M:%S", localtime_r(&now, &tm));
        snprintf(id, sizeof id, "%lld", (long long)i);
        rc = ouro_await(ouro_http_send_event(r, "tick", id, count < INT64_MAX ? id : text));
        if (rc >= 0 && i + 1 < count)
            rc = ouro_await(ouro_sleep(OURO_MS(pause)));
    }
    return rc;
}

/* ---- The self-test --------------------------------------------------------------------------- */

static int64_t listen_to(const char *where)
{
    static const char request[] = "GET /time?count=3&ms=10 HTTP/1.1\r\nHost: x\r\n"
                                  "Connection: close\r\n\r\n";
    char line[256];
    int64_t n;
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(where, NULL), &n);
    if (n == 0)
        n = ouro_await(ouro_stream_write(s, request, sizeof request - 1));
    while (n > 0 && (n = ouro_await(ouro_stream_read_line(s, line, sizeof line))) > 0)
        if (strncmp(line, "data:", 5) == 0 || strncmp(line, "Content-Type", 12) == 0)
            printf("%.*s\n", (int)strcspn(line, "\r\n"), line);
    ouro_stream_free(s);
    return n;
}

/* ---- The program ----------------------------------------------------------------------------- */

struct options {
    const char *port;
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
        printf("listening at http://%s/\n", where);
        fflush(stdout);
        return ouro_await(serving);
    }
    int64_t heard = listen_to(where);
    ouro_server_stop(serving, OURO_SEC(1));
    int64_t stopped = ouro_await(serving);
    return heard < 0 ? heard : stopped;
}

static int64_t run(void *arg)
{
    const struct options *o = arg;
    ouro_http_server *server;
    ouro_listener *l;
    char where[64];
    snprintf(where, sizeof where, o->selftest ? "127.0.0.1:0" : ":%s", o->port);
    int64_t rc = ouro_listen(where, NULL, &l);
    if (rc < 0) {
        fprintf(stderr, "cannot listen at %s: %s\n", where, ouro_strerror(rc));
        return rc;
    }
    rc = ouro_http_server_new(NULL, &server);
    if (rc == 0) {
        rc = ouro_http_route(server, "GET", "/", show_page, NULL);
        if (rc == 0)
            rc = ouro_http_route(server, "GET", "/time", tick, NULL);
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
        {"port", required_argument, NULL, 'p'},
        {"selftest", no_argument, NULL, 's'},
        {0},
    };
    struct options o = {.port = "8080"};
    for (int c; (c = getopt_long(argc, argv, "p:s", options, NULL)) != -1;) {
        if (c == 'p') {
            o.port = optarg;
        } else if (c == 's') {
            o.selftest = 1;
        } else {
            fprintf(stderr, "usage: %s [--port P] [--selftest]\n", argv[0]);
            return 2;
        }
    }
    return ouro_exit_code(ouro_run(run, &o, NULL));
}
