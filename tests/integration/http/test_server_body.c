/* SPDX-License-Identifier: MIT */
/* Bodies of requests, whole and in pieces, split at every byte; and replies in chunks. */
#include "server_test.h"

#include <jansson.h>

static int64_t echo(ouro_http_request *r, void *arg)
{
    int64_t n;
    (void)arg;
    const char *body = ouro_await_ptr(ouro_http_body(r), &n);
    if (n < 0)
        return n;
    check_eq(strlen(body), n);
    int64_t again;
    check(ouro_await_ptr(ouro_http_body(r), &again) == body);
    check_eq(again, n);
    const void *bytes;
    check_eq(ouro_await(ouro_http_body_next(r, &bytes)), -EBUSY);
    return ouro_http_reply(r, 200, NULL, body, (size_t)n);
}

static int64_t echo_pieces(ouro_http_request *r, void *arg)
{
    const void *bytes;
    int64_t n;
    (void)arg;
    check_eq(ouro_http_reply_begin(r, 200, "text/plain"), 0);
    check_eq(ouro_http_reply_begin(r, 200, "text/plain"), -EALREADY);
    check_eq(ouro_http_reply_header(r, "X-Late", "1"), -EALREADY);
    while ((n = ouro_await(ouro_http_body_next(r, &bytes))) > 0)
        check_eq(ouro_await(ouro_http_send(r, bytes, (size_t)n)), n);
    return n;
}

static const char *const bodies[] = {
    "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world"
    "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;x=y\r\nhello\r\n006\r\n world\r\n0\r\nTrailer: 1\r\n\r\n"
    "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    "2\r\nok\r\n0\r\n\r\n",
};

/* The bodies of chunked answers, one after the other; answers of a size as they are. */
static void dechunk(const char *text, char *to)
{
    *to = '\0';
    while ((text = strstr(text, "\r\n\r\n"))) {
        text += 4;
        for (size_t size; (size = strtoul(text, NULL, 16)); text += size + 2) {
            text = strstr(text, "\r\n") + 2;
            strncat(to, text, size);
        }
        text += 3;
        strcat(to, "|");
    }
}

/* The request, with its two %s. */
static void fill_in(const char *pattern, const char *path, char *to)
{
    const char *first = strstr(pattern, "%s"), *second = strstr(first + 1, "%s");
    to += sprintf(to, "%.*s%s", (int)(first - pattern), pattern, path);
    sprintf(to, "%.*s%s%s", (int)(second - first - 2), first + 2, path, second + 2);
}

static void send_split(const char *request, size_t at, const char *path)
{
    ouro_stream *s = dial();
    say_bytes(s, request, at);
    ouro_await(ouro_yield() == 0 ? ouro_sleep(OURO_US(200)) : NULL);
    if (request[at])
        say(s, request + at);
    char *a = hear(s), text[256];
    if (strcmp(path, "/pieces") == 0) {
        dechunk(a, text);
        check_text(text, "hello world|ok|");
    } else {
        check_has(a, "hello worldHTTP/1.1 200 OK");
        check_text(strstr(a, "\r\n\r\nok"), "\r\n\r\nok");
    }
    free(a);
    ouro_stream_free(s);
}

KernelTest(body, is_the_same_wherever_it_is_split)
{
    site_new(NULL);
    site_route("POST", "/whole", echo);
    site_route("POST", "/pieces", echo_pieces);
    site_open(NULL);
    for (size_t i = 0; i < 4; i++) {
        char request[512];
        const char *path = i % 2 ? "/pieces" : "/whole";
        fill_in(bodies[i / 2], path, request);
        for (size_t at = 1; at <= strlen(request); at++)
            send_split(request, at, path);
    }
    site_close();
    return 0;
}

/* Byte by byte, in one go. */
KernelTest(body, comes_byte_by_byte)
{
    site_new(NULL);
    site_route("POST", "/whole", echo);
    site_route("POST", "/pieces", echo_pieces);
    site_open(NULL);
    for (size_t i = 0; i < 4; i++) {
        char request[512], text[256];
        const char *path = i % 2 ? "/pieces" : "/whole";
        fill_in(bodies[i / 2], path, request);
        ouro_stream *s = dial();
        for (const char *at = request; *at; at++) {
            say_bytes(s, at, 1);
            ouro_yield();
        }
        char *a = hear(s);
        if (i % 2) {
            dechunk(a, text);
            check_text(text, "hello world|ok|");
        } else {
            check_has(a, "hello worldHTTP/1.1 200 OK");
        }
        free(a);
        ouro_stream_free(s);
    }
    site_close();
    return 0;
}

static int64_t measure(ouro_http_request *r, void *arg)
{
    const void *bytes;
    int64_t n, sum = 0, wrong = 0;
    char text[64];
    (void)arg;
    if (ouro_http_query(r, "whole")) {
        bytes = ouro_await_ptr(ouro_http_body(r), &n);
        for (int64_t i = 0; i < n; i++)
            wrong += ((const char *)bytes)[i] != (char)(i % 251);
        sum = n;
        n = n < 0 ? n : 0;
    } else {
        while ((n = ouro_await(ouro_http_body_next(r, &bytes))) > 0) {
            for (int64_t i = 0; i < n; i++)
                wrong += ((const char *)bytes)[i] != (char)((sum + i) % 251);
            sum += n;
        }
    }
    if (n < 0)
        return n;
    snprintf(text, sizeof(text), "%lld bytes, %lld wrong", (long long)sum, (long long)wrong);
    return ouro_http_reply_text(r, 200, text);
}

static void send_large(const char *target, size_t size, size_t chunk)
{
    char head[256], want[64];
    char *bytes = malloc(size);
    ouro_stream *s = dial();
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i % 251);
    if (chunk)
        snprintf(head, sizeof(head),
                 "POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", target);
    else
        snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n",
                 target, size);
    say(s, head);
    for (size_t at = 0; chunk && at < size; at += chunk) {
        size_t n = size - at < chunk ? size - at : chunk;
        snprintf(head, sizeof(head), "%zx\r\n", n);
        say(s, head);
        say_bytes(s, bytes + at, n);
        say(s, "\r\n");
    }
    if (chunk)
        say(s, "0\r\n\r\n");
    else
        say_bytes(s, bytes, size);
    say(s, "POST /?whole HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    snprintf(want, sizeof(want), "%zu bytes, 0 wrong", size);
    char *a = hear(s);
    check_has(a, want);
    check_has(a, "0 bytes, 0 wrong");
    free(a);
    free(bytes);
    ouro_stream_free(s);
}

KernelTest(body, may_be_large)
{
    site_new(&(ouro_http_server_options){.body_max = 8 << 20});
    site_route("POST", "/", measure);
    site_open(NULL);
    send_large("/", 3 << 20, 0);
    send_large("/?whole", 3 << 20, 0);
    send_large("/", 2 << 20, 10000);
    send_large("/?whole", 2 << 20, 70000);
    send_large("/?whole", 100000, 7000);
    site_close();
    return 0;
}

static int64_t reads_late(ouro_http_request *r, void *arg)
{
    if (ouro_http_query(r, "refuse"))
        return -OURO_EHTTP(401);
    ouro_await(ouro_sleep(OURO_MS(20)));
    return echo(r, arg);
}

KernelTest(body, is_asked_for_when_the_client_waits_for_that)
{
    site_new(NULL);
    site_route("POST", "/", reads_late);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    char *a = hear_until(s, "\r\n\r\n", NULL);
    check_text(a, "HTTP/1.1 100 Continue\r\n\r\n");
    free(a);
    say(s, "bodyPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n"
           "Connection: close\r\n\r\nmore");
    a = hear(s); /* who does not wait is not told */
    check_eq(count_of(a, "100 Continue"), 0);
    check_has(a, "bodyHTTP/1.1 200 OK");
    check_text(body_of(strstr(a, "bodyHTTP")), "more");
    free(a);
    ouro_stream_free(s);

    s = dial(); /* nobody knows whether it will be sent: no next request */
    say(s,
        "POST /?refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    a = hear(s);
    check_eq(status_of(a), 401);
    check_has(a, "Connection: close\r\n");
    free(a);
    ouro_stream_free(s);
    site_close();
    return 0;
}

static int64_t ignores(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_text(r, 200, "ignored");
}

KernelTest(body, that_nobody_reads_is_dropped_up_to_a_bound)
{
    static char bytes[1 << 20];
    memset(bytes, 'x', sizeof(bytes));
    site_new(&(ouro_http_server_options){.body_max = SIZE_MAX});
    site_route("POST", "/", ignores);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    say_bytes(s, bytes, 100000);
    say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    ouro_future *rest = ouro_stream_write(s, bytes, 1000000);
    size_t size;
    char *a = hear_until(s, NULL, &size);
    check(size > 0); /* no reset: the rest was read, and an end was sent */
    check_eq(count_of(a, "ignored"), 2);
    check_eq(count_of(a, "Connection: close"), 1);
    free(a);
    ouro_await(rest);
    ouro_stream_free(s);
    site_close();
    return 0;
}

static int64_t aborted;

static int64_t notes_abort(ouro_http_request *r, void *arg)
{
    (void)arg;
    aborted = 1;
    aborted = ouro_await(ouro_http_body(r));
    return aborted;
}

KernelTest(body, that_is_aborted_is_an_error)
{
    site_new(NULL);
    site_route("POST", "/", notes_abort);
    site_open(NULL);
    for (int reset = 0; reset < 2; reset++) {
        ouro_stream *s = dial();
        say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n1234");
        pause_ms(60);
        check_eq(aborted, 1);
        if (reset)
            ouro_stream_abort(s);
        ouro_stream_free(s);
        for (int i = 0; i < 200 && site_stats().live; i++)
            pause_ms(5);
        check(aborted == -ECONNRESET || aborted == -ECANCELED);
        check_eq(site_stats().live, 0);
    }
    site_close();
    return 0;
}

static int64_t form(ouro_http_request *r, void *arg)
{
    char text[256];
    (void)arg;
    check(!ouro_http_form(r, "a"));
    int64_t n = ouro_await(ouro_http_body(r));
    if (n < 0)
        return n;
    const char *a = ouro_http_form(r, "a"), *b = ouro_http_form(r, "b c");
    snprintf(text, sizeof(text), "%s,%s", a ? a : "none", b ? b : "none");
    return ouro_http_reply_text(r, 200, text);
}

static int64_t json(ouro_http_request *r, void *arg)
{
    json_t *value;
    (void)arg;
    check_eq(ouro_http_json(r, &value), -ENODATA);
    int64_t n = ouro_await(ouro_http_body(r));
    if (n < 0)
        return n;
    int rc = ouro_http_json(r, &value);
    if (rc < 0) {
        check_eq(rc, -EBADMSG);
        return ouro_http_reply_text(r, 400, ouro_http_json_error(r));
    }
    check_text(ouro_http_json_error(r), "");
    int64_t reply = ouro_http_reply_json(r, 200, json_pack("{s:O, s:i}", "got", value, "more", 1));
    json_decref(value);
    return reply;
}

static char *post(const char *path, const char *type, const char *body)
{
    char request[1024];
    snprintf(request, sizeof(request),
             "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
             "Connection: close\r\n\r\n%s",
             path, type, strlen(body), body);
    return ask(request);
}

KernelTest(body, may_be_a_form_or_json)
{
    site_new(NULL);
    site_route("POST", "/form", form);
    site_route("POST", "/json", json);
    site_open(NULL);
    const char *type = "application/x-www-form-urlencoded";
    check_body(post("/form", type, "a=1%2B1&b+c=x+y&a=2"), "1+1,x y");
    check_body(post("/form", "application/x-www-form-urlencoded; charset=utf-8", "a="), ",none");
    check_body(post("/form", "text/plain", "a=1"), "none,none");
    check_body(post("/form", type, "&&=&%zz=1&b c"), "none,");
    char *a = post("/json", "application/json", "{\"a\": [1, 2]}");
    check_has(a, "Content-Type: application/json\r\n");
    check_text(body_of(a), "{\"got\":{\"a\":[1,2]},\"more\":1}");
    free(a);
    a = post("/json", "application/json", "{\"a\":\n 1,}");
    check_eq(status_of(a), 400);
    check_has(body_of(a), "line 2, column ");
    free(a);
    check_status(post("/json", "application/json", "{\"a\":1,\"a\":2}"), 400);
    check_status(post("/json", "application/json", ""), 400);
    site_close();
    return 0;
}

/* ---- Replies in pieces ----------------------------------------------------------------------- */

static int64_t streams(ouro_http_request *r, void *arg)
{
    static char big[300000];
    (void)arg;
    check_eq(ouro_await(ouro_http_send(r, "x", 1)), -EBADMSG);
    memset(big, 'b', sizeof(big));
    check_eq(ouro_http_reply_header(r, "X-Early", "1"), 0);
    check_eq(ouro_http_reply_begin(r, 200, "text/plain"), 0);
    if (strcmp(ouro_http_method(r), "HEAD") == 0) {
        check_eq(ouro_await(ouro_http_send(r, "one ", 4)), -EPIPE);
        return -EPIPE;
    }
    check_eq(ouro_await(ouro_http_send(r, "one ", 4)), 4);
    check_eq(ouro_await(ouro_http_send(r, "", 0)), 0);
    check_eq(ouro_await(ouro_http_send(r, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_http_send(r, big, sizeof(big))), sizeof(big));
    ouro_detach(ouro_http_send(r, " two", 4));
    if (ouro_http_query(r, "fail")) {
        ouro_await(ouro_sleep(OURO_MS(10)));
        return -OURO_EHTTP(500);
    }
    return 0;
}

KernelTest(stream, is_sent_in_chunks)
{
    static char text[700000];
    site_new(NULL);
    site_route("GET", "/", streams);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
           "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char *a = hear(s);
    check_eq(count_of(a, "X-Early: 1\r\n"), 3);
    check_eq(count_of(a, "Transfer-Encoding: chunked\r\n"), 2);
    check_hasnt(a, "Content-Length");
    dechunk(a, text);
    check_eq(strlen(text), 300008 * 2 + 3);
    check_has(a, "\r\n0\r\n\r\nHTTP/1.1 200 OK");
    free(a);
    ouro_stream_free(s);
    site_close();
    return 0;
}

/* Without an end of its own: the client's going, or an error, ends it. */
static int64_t never_ends(ouro_http_request *r, void *arg)
{
    int *ended = arg;
    int64_t n = ouro_http_reply_begin(r, 200, "text/plain");
    for (int i = 0; n >= 0 && i < 1000000; i++)
        n = ouro_await(ouro_http_send(r, "more\n", 5));
    *ended += n < 0;
    return n;
}

static int64_t waits_before_it_sends(ouro_http_request *r, void *arg)
{
    int *ended = arg;
    int64_t n = ouro_http_reply_begin(r, 200, "text/plain");
    check_eq(n, 0);
    n = ouro_await(ouro_sleep(OURO_SEC(5)));
    *ended += n < 0;
    return n;
}

KernelTest(stream, without_an_end_ends_all_the_same_when_head_asks_for_it)
{
    static int ended;
    site_new(NULL);
    check_eq(ouro_http_route(site.http, "GET", "/endless", never_ends, &ended), 0);
    check_eq(ouro_http_route(site.http, "GET", "/waits", waits_before_it_sends, &ended), 0);
    site_open(NULL);
    char *a = ask("HEAD /endless HTTP/1.1\r\nHost: a\r\n\r\n" /* the connection goes on */
                  "HEAD /endless HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_eq(count_of(a, "HTTP/1.1 200 OK\r\n"), 2);
    check_hasnt(a, "more");
    free(a);
    check_eq(ended, 2);
    check_eq(site_stats().failed, 0);

    ouro_stream *s = dial(); /* who has its answer has nothing to wait for */
    say(s, "HEAD /waits HTTP/1.1\r\nHost: a\r\n\r\n");
    free(hear_until(s, "\r\n\r\n", NULL));
    ouro_stream_free(s);
    for (int i = 0; i < 200 && site_stats().live; i++)
        pause_ms(5);
    check_eq(site_stats().live, 0);
    check_eq(ended, 3);
    site_close();
    return 0;
}

KernelTest(stream, ends_with_the_connection_in_http_1_0)
{
    site_new(NULL);
    site_route("GET", "/", streams);
    site_open(NULL);
    char *a = ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    check_hasnt(a, "chunked");
    check_has(a, "Connection: close\r\n");
    check_eq(strlen(body_of(a)), 300008);
    check_has(a, "\r\n\r\none bbb");
    free(a);
    site_close();
    return 0;
}

KernelTest(stream, is_cut_off_when_its_handler_fails)
{
    site_new(NULL);
    site_route("GET", "/", streams);
    site_open(NULL);
    size_t size;
    ouro_stream *s = dial();
    say(s, "GET /?fail HTTP/1.1\r\nHost: a\r\n\r\n");
    char *a = hear_until(s, "\r\n0\r\n\r\n", &size);
    check_eq(size, 0); /* a reset */
    check_hasnt(a, "\r\n0\r\n\r\n");
    free(a);
    ouro_stream_free(s);
    site_close();
    return 0;
}

static int64_t ended;

static int64_t ticks(ouro_http_request *r, void *arg)
{
    char id[16];
    int64_t rc = 0;
    (void)arg;
    check_eq(ouro_await(ouro_http_send_event(r, "a\nb", NULL, "x")), -EINVAL);
    check_eq(ouro_await(ouro_http_send_event(r, NULL, "1\r2", "x")), -EINVAL);
    for (int i = 0; rc >= 0 && i < 1000; i++) {
        snprintf(id, sizeof(id), "%d", i);
        rc = ouro_await(ouro_http_send_event(r, i ? "tick" : NULL, id, "first\nsecond\r\nthird"));
        if (rc >= 0)
            rc = ouro_await(ouro_sleep(OURO_MS(10)));
    }
    ended = rc;
    return rc;
}

KernelTest(stream, may_be_of_events)
{
    site_new(NULL);
    site_route("GET", "/", ticks);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    char *a = hear_until(s, "id: 3\n", NULL);
    check_has(a, "Content-Type: text/event-stream\r\n");
    check_has(a, "Cache-Control: no-store\r\n");
    check_has(a, "\r\nid: 0\ndata: first\ndata: second\ndata: third\n\n\r\n");
    check_has(a, "\r\nevent: tick\nid: 1\ndata: first\n");
    free(a);
    pause_ms(40);
    ouro_stream_free(s);
    for (int i = 0; i < 200 && site_stats().live; i++)
        pause_ms(5);
    check_eq(site_stats().live, 0);
    check(ended == -ECANCELED || ended == -EPIPE || ended == -ECONNRESET);
    site_close();
    return 0;
}

static int64_t floods(ouro_http_request *r, void *arg)
{
    static char bytes[10000];
    int64_t rc = 0;
    (void)arg;
    check_eq(ouro_http_reply_begin(r, 200, NULL), 0);
    while (rc >= 0)
        rc = ouro_await(ouro_http_send(r, bytes, sizeof(bytes)));
    ended = rc;
    return rc;
}

KernelTest(stream, waits_for_a_slow_client_and_not_for_ever)
{
    site_new(&(ouro_http_server_options){.write_limit = OURO_MS(150)});
    site_route("GET", "/", floods);
    site_open(NULL);
    ended = 0;
    ouro_stream *s = dial();
    say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    pause_ms(50);
    check_eq(ended, 0);
    for (int i = 0; i < 300 && site_stats().live; i++)
        pause_ms(5);
    check_eq(ended, -ETIMEDOUT);
    ouro_stream_free(s);
    site_close();
    return 0;
}
