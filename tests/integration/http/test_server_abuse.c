/* SPDX-License-Identifier: MIT */
/* Clients that do what no client should, and handlers that answer before they have asked. */
#include "server_test.h"

#include <jansson.h>

static int64_t reads_json(ouro_http_request *r, void *arg)
{
    json_t *json;
    int64_t n = ouro_await(ouro_http_body(r));
    (void)arg;
    if (n < 0)
        return n;
    if (ouro_http_json(r, &json) < 0)
        return ouro_http_reply_text(r, 422, ouro_http_json_error(r));
    return ouro_http_reply_json(r, 200, json);
}

/* Brackets, as many as jansson reads, on the stack that a handler has by default. */
KernelTest(abuse, deep_json_does_not_exhaust_the_stack)
{
    static char request[8192];
    site_new(NULL);
    site_route("POST", "/", reads_json);
    site_open(NULL);
    for (size_t i = 0; i < 4; i++) {
        static const int depths[] = {100, 101, 2000, 3900};
        int depth = depths[i], n = snprintf(request, sizeof(request),
                                            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                            "Content-Length: %d\r\n\r\n",
                                            2 * depth);
        char *at = request + n;
        memset(at, '[', (size_t)depth);
        memset(at + depth, ']', (size_t)depth);
        at[2 * depth] = '\0';
        char *a = ask(request);
        check_eq(status_of(a), depth == 100 ? 200 : 422);
        free(a);
    }
    site_close();
    return 0;
}

/* An array in an array, as deep as the path says. */
static int64_t replies_deeply(ouro_http_request *r, void *arg)
{
    int64_t depth = 0;
    (void)arg;
    check_eq(ouro_http_param_int(r, "depth", &depth), 0);
    json_t *json = json_array();
    for (int64_t i = 0; i < depth; i++)
        json = json_pack("[o]", json);
    int64_t rc = ouro_http_reply_json(r, 200, json);
    return rc == -EINVAL ? ouro_http_reply_text(r, 200, "too deep") : rc;
}

KernelTest(abuse, deep_json_is_not_written)
{
    site_new(NULL);
    site_route("GET", "/{depth}", replies_deeply);
    site_open(NULL);
    char *a = ask("GET /100 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check(strstr(a, "[[[") != NULL);
    free(a);
    a = ask("GET /101 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check(strstr(a, "too deep") != NULL);
    free(a);
    site_close();
    return 0;
}

static int64_t answers_first(ouro_http_request *r, void *arg)
{
    const void *bytes;
    int64_t n;
    (void)arg;
    check_eq(ouro_http_reply_begin(r, 200, "text/plain"), 0);
    while ((n = ouro_await(ouro_http_body_next(r, &bytes))) > 0)
        check_eq(ouro_await(ouro_http_send(r, bytes, (size_t)n)), n);
    return n;
}

KernelTest(abuse, nothing_stands_between_an_answer_and_its_chunks)
{
    site_new(NULL);
    site_route("POST", "/", answers_first);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    pause_ms(20);
    say(s, "body");
    char *a = hear_until(s, "\r\n0\r\n\r\n", NULL);
    check_eq(status_of(a), 200);
    check_hasnt(a, "100 Continue");
    check_text(body_of(a), "4\r\nbody\r\n0\r\n\r\n");
    free(a);
    ouro_stream_free(s);
    site_close();
    return 0;
}

static int64_t resets(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_begin(r, 205, NULL);
}

/* Of 205 a client reads a body, unless it is told that there is none: RFC 9112, 6.3. */
KernelTest(abuse, an_answer_without_a_body_says_so)
{
    site_new(NULL);
    site_route("GET", "/", resets);
    site_open(NULL);
    char *a = get("/");
    check_eq(status_of(a), 205);
    check_has(a, "Content-Length: 0\r\n");
    free(a);
    site_close();
    return 0;
}

static int64_t waits(ouro_http_request *r, void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(80)));
    return rc < 0 ? rc : ouro_http_reply_text(r, 200, "waited");
}

KernelTest(abuse, a_half_close_behind_a_header_that_came_slowly_is_one)
{
    site_new(NULL);
    site_route("GET", "/", waits);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "GET / HTTP/1.1\r\n");
    pause_ms(60);
    say(s, "Host: a\r\n\r\n");
    check_eq(ouro_await(ouro_stream_shutdown(s, SHUT_WR)), 0);
    check_body(hear(s), "waited");
    ouro_stream_free(s);
    check_eq(site_stats().gone, 0);
    site_close();
    return 0;
}

/* More than the kernel takes for a client that does not read. */
static char much[24 << 20];
static ouro_future *pouring;

static int64_t pours(ouro_http_request *r, void *arg)
{
    (void)arg;
    check_eq(ouro_http_reply_begin(r, 200, NULL), 0);
    pouring = ouro_http_send(r, much, sizeof(much));
    return 0;
}

static void stop_with_a_client_that_never_reads(void)
{
    ouro_stream *s = dial();
    say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    pause_ms(100);
    check_eq(site_stats().live, 1);
    ouro_ns before = ouro_now();
    ouro_server_stop(site.serving, OURO_MS(100));
    check_eq(ouro_await(ouro_timeout(site.serving, OURO_SEC(8))), 0);
    check(ouro_now() - before < OURO_SEC(4));
    check(ouro_await(pouring) < 0);
    ouro_stream_free(s);
    site.listener = ouro_listener_free(site.listener);
    site.http = ouro_http_server_free(site.http);
}

KernelTest(abuse, a_client_that_never_reads_does_not_outlive_the_grace)
{
    site_new(&(ouro_http_server_options){.write_limit = OURO_SEC(6)});
    site_route("GET", "/", pours);
    site_open(NULL);
    stop_with_a_client_that_never_reads();
    return 0;
}

static int64_t begins(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_begin(r, 200, "text/plain");
}

static int64_t asks_much(void *arg)
{
    static char requests[60 * 2000];
    for (size_t i = 0; i < 2000; i++)
        memcpy(requests + 60 * i,
               "GET /s HTTP/1.1\r\nHost: a\r\nX-To-Make-It-Sixty-Bytes: abcd\r\n\r\n", 60);
    for (int i = 0; i < 100; i++) {
        int64_t n = ouro_await(ouro_stream_write(arg, requests, sizeof(requests)));
        if (n < 0)
            return n;
    }
    return ouro_await(ouro_stream_shutdown(arg, SHUT_WR));
}

KernelTest(abuse, streams_wait_for_a_client_that_asks_more_than_it_reads)
{
    site_new(&(ouro_http_server_options){.requests_max = 1000000});
    site_route("GET", "/s", begins);
    site_open(NULL);
    ouro_stream *s = dial();
    ouro_future *asking = ouro_spawn(asks_much, s);
    pause_ms(1500);
    static char bytes[1 << 16];
    int64_t n;
    while ((n = ouro_await(ouro_stream_read(s, bytes, sizeof(bytes) - 1))) > 0) {
        bytes[n] = '\0';
        check_hasnt(bytes, "500 Internal");
    }
    check_eq(n, 0);
    check_eq(ouro_await(asking), 0);
    check_eq(site_stats().failed, 0);
    check_eq(site_stats().requests, 200000);
    ouro_stream_free(s);
    site_close();
    return 0;
}

static int64_t asks_late(ouro_http_request *r, void *arg)
{
    int64_t n = ouro_await(ouro_sleep(OURO_MS(150)));
    (void)arg;
    if (n == 0)
        n = ouro_await(ouro_http_body(r));
    return n < 0 ? n : ouro_http_reply_text(r, 200, "all there");
}

/* Nobody knows when the end came while the body is not read. */
KernelTest(abuse, a_half_close_behind_a_body_is_one)
{
    site_new(NULL);
    site_route("POST", "/", asks_late);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    pause_ms(60);
    say(s, "body");
    check_eq(ouro_await(ouro_stream_shutdown(s, SHUT_WR)), 0);
    check_body(hear(s), "all there");
    ouro_stream_free(s);
    check_eq(site_stats().gone, 0);
    site_close();
    return 0;
}
