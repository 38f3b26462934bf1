/* SPDX-License-Identifier: MIT */
/*
 * An HTTP server without memory, at every place where it asks for some.
 *
 * The same few requests are made again and again, each time with one allocation more granted before
 * one is refused, until a run needs no more. Whatever the clients are told, or not: the server has
 * to stop when it is asked to, and every byte has to be back.
 */
#define _GNU_SOURCE
#include <ouro/http_server.h>

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

TestSuite(http_server_without_memory, .timeout = 280);

/* ---- The allocator --------------------------------------------------------------------------- */

static atomic_long asked, held, fail_at;

static bool refused(void)
{
    return atomic_fetch_add(&asked, 1) + 1 == atomic_load(&fail_at);
}

static void *ration_alloc(size_t size, void *arg)
{
    (void)arg;
    void *ptr = refused() ? NULL : malloc(size);
    if (ptr)
        atomic_fetch_add(&held, 1);
    return ptr;
}

static void *ration_resize(void *ptr, size_t size, void *arg)
{
    (void)arg;
    if (refused())
        return NULL;
    if (!ptr)
        atomic_fetch_add(&held, 1);
    return realloc(ptr, size);
}

static void ration_release(void *ptr, void *arg)
{
    (void)arg;
    if (ptr)
        atomic_fetch_sub(&held, 1);
    free(ptr);
}

/* ---- The server ------------------------------------------------------------------------------ */

static int64_t middle(ouro_http_request *r, ouro_http_next *next, void *arg)
{
    (void)arg;
    int rc = ouro_http_reply_header(r, "X-Middle", "1");
    return rc < 0 ? rc : ouro_http_next_run(r, next);
}

static int64_t echo(ouro_http_request *r, void *arg)
{
    int64_t n;
    (void)arg;
    const char *body = ouro_await_ptr(ouro_http_body(r), &n);
    if (n < 0)
        return n;
    ouro_http_query(r, "a");
    ouro_http_form(r, "b");
    return ouro_http_reply(r, 200, NULL, body, (size_t)n);
}

static int64_t pieces(ouro_http_request *r, void *arg)
{
    static char big[70000];
    const void *bytes;
    int64_t n;
    (void)arg;
    while ((n = ouro_await(ouro_http_body_next(r, &bytes))) > 0)
        continue;
    if (n == 0)
        n = ouro_http_reply_begin(r, 200, "text/plain");
    if (n >= 0)
        n = ouro_await(ouro_http_send(r, "small", 5));
    if (n >= 0)
        n = ouro_await(ouro_http_send(r, big, sizeof(big)));
    return n;
}

static int64_t events(ouro_http_request *r, void *arg)
{
    (void)arg;
    int64_t n = ouro_await(ouro_http_send_event(r, "e", "1", "text"));
    if (n >= 0)
        n = ouro_await(ouro_sleep(OURO_MS(1)));
    return n < 0 ? n : ouro_await(ouro_http_send_event(r, NULL, NULL, "more"));
}

static int64_t file(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_file_in(r, "/proc/self", "limits", NULL);
}

static int64_t large(ouro_http_request *r, void *arg)
{
    static char big[300000];
    (void)arg;
    return ouro_http_reply(r, 200, NULL, big, sizeof(big));
}

static void quiet(const ouro_http_request *r, int64_t error, const char *detail, void *arg)
{
    (void)r;
    (void)error;
    (void)detail;
    (void)arg;
}

static void look(const ouro_http_access *line, void *arg)
{
    (void)line;
    (void)arg;
}

static void ignore_report(const ouro_report *report, void *arg)
{
    (void)report;
    (void)arg;
}

static int routes(ouro_http_server *server)
{
    static const struct {
        const char *method;
        const char *path;
        ouro_http_handler *handler;
    } all[] = {
        {"POST", "/echo/{name}", echo}, {"POST", "/pieces", pieces}, {"GET", "/events", events},
        {"GET", "/file", file},         {"GET", "/large", large},
    };
    int rc = ouro_http_use(server, middle, NULL);
    for (size_t i = 0; rc == 0 && i < sizeof(all) / sizeof(all[0]); i++)
        rc = ouro_http_route(server, all[i].method, all[i].path, all[i].handler, NULL);
    return rc;
}

/* ---- The clients, on a thread, without the library ------------------------------------------- */

static const char *const requests[] = {
    "POST /echo/x?a=%20 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: \"\r\nConnection: close\r\n\r\n"
    "b=1",
    "POST /echo/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
    "Connection: close\r\n\r\n~3\r\nb=1\r\n0\r\n\r\n",
    "POST /pieces HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    "1\r\nb~\r\n0\r\n\r\n",
    "GET /events HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /file HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\nConnection: close\r\n\r\n",
    "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "BAD\r\n\r\n",
};

static atomic_int answers;

static void talk(const struct sockaddr_in *where, const char *request)
{
    char bytes[4096];
    ssize_t n, size = 0;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {.tv_usec = 200000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)where, sizeof(*where)) == 0) {
        const char *pause = strchr(request, '~');
        size_t first = pause ? (size_t)(pause - request) : strlen(request);
        send(fd, request, first, MSG_NOSIGNAL);
        if (pause) {
            usleep(2000);
            send(fd, pause + 1, strlen(pause + 1), MSG_NOSIGNAL);
        }
        while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
            size += n;
    }
    close(fd);
    answers += size > 0;
}

static int64_t talk_all(void *arg)
{
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
        talk(arg, requests[i]);
    return 0;
}

/* ---- One run --------------------------------------------------------------------------------- */

static int64_t serve(ouro_http_server *server, ouro_listener *l)
{
    ouro_address address;
    struct sockaddr_in where;
    int64_t rc = routes(server);
    if (rc == 0)
        rc = ouro_listener_address(l, &address);
    if (rc < 0)
        return rc;
    memcpy(&where, &address.as.any, sizeof(where));
    ouro_future *serving = ouro_http_serve(server, l, NULL);
    ouro_await(ouro_offload(talk_all, &where));
    ouro_server_stop(serving, OURO_MS(100));
    return ouro_await(serving);
}

static int64_t body(void *arg)
{
    ouro_http_server_options opts = {.on_error = quiet, .on_access = look};
    ouro_http_server *server;
    ouro_listener *l;
    (void)arg;
    ouro_report_set_handler(ignore_report, NULL);
    int64_t rc = ouro_listen("127.0.0.1:0", NULL, &l);
    if (rc < 0)
        return rc;
    rc = ouro_http_server_new(&opts, &server);
    if (rc == 0) {
        rc = serve(server, l);
        ouro_http_server_free(server);
    }
    ouro_listener_free(l);
    return rc;
}

Test(http_server_without_memory, gives_everything_back_wherever_it_fails)
{
    const ouro_allocator rationed = {ration_alloc, ration_resize, ration_release, NULL};
    check_eq(ouro_set_allocator(&rationed), 0);
    long runs = 0, at = 0;
    do {
        at += HARNESS_ASAN ? 5 : 1;
        atomic_store(&asked, 0);
        atomic_store(&fail_at, at);
        atomic_store(&answers, 0);
        int64_t rc = ouro_run(body, NULL, NULL);
        check(rc <= 0);
        ouro_resolve_flush();
        check_eq(atomic_load(&held), 0);
        runs++;
    } while (atomic_load(&asked) >= at);
    check(runs > 30);
    check_eq(atomic_load(&answers), sizeof(requests) / sizeof(requests[0]));
    check_eq(ouro_set_allocator(NULL), 0);
}
