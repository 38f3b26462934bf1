/* SPDX-License-Identifier: MIT */
/* What a server refuses, and with which status; and clients that are slow on purpose. */
#define _GNU_SOURCE
#include "server_test.h"

#include <unistd.h>

static int64_t hello(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_text(r, 200, "hello");
}

static const struct {
    const char *request;
    int status;
} refused[] = {
    {"BAD\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", 400},
    {"GET / HTTP/1.1\nHost: a\n\r\n\r\n", 400},
    {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /a/%2e%2e/%2e%2E/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 200-ok\r\n\r\n", 417},
};

KernelTest(limits, refuse_what_cannot_be_read)
{
    site_new(NULL);
    site_route("*", "/{all...}", hello);
    site_open(NULL);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char *a = ask(refused[i].request);
        check_eq(status_of(a), refused[i].status);
        check_has(a, "Connection: close\r\n");
        free(a);
    }
    check_eq(site_stats().refused, sizeof(refused) / sizeof(refused[0]));
    check_eq(site_stats().requests, 0);
    site_close();
    return 0;
}

/* A request line or header of this size, all there or with its end missing. */
static char *long_request(size_t line, size_t field, int count, const char *end)
{
    static char text[65536];
    char *to = text + sprintf(text, "GET /");
    memset(to, 'a', line);
    to += line;
    to += sprintf(to, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
    for (int i = 0; i < count; i++) {
        to += sprintf(to, "X-%d: ", i);
        memset(to, 'b', field);
        to += field;
        to += sprintf(to, "\r\n");
    }
    sprintf(to, "%s", end);
    return text;
}

KernelTest(limits, hold_for_lines_and_headers)
{
    site_new(
        &(ouro_http_server_options){.line_max = 200, .headers_max = 30000, .header_count_max = 10});
    site_route("*", "/{all...}", hello);
    site_open(NULL);
    check_status(ask(long_request(150, 10, 1, "\r\n")), 200);
    check_status(ask(long_request(200, 10, 1, "\r\n")), 414);
    check_status(ask(long_request(4000, 10, 0, "")), 414);
    check_status(ask(long_request(10, 29000, 1, "\r\n")), 200);
    check_status(ask(long_request(10, 30000, 1, "\r\n")), 431);
    check_status(ask(long_request(10, 30000, 1, "")), 431);
    check_status(ask(long_request(10, 10, 8, "\r\n")), 200);
    check_status(ask(long_request(10, 10, 9, "\r\n")), 431);
    site_close();
    return 0;
}

KernelTest(limits, hold_for_time)
{
    site_new(&(ouro_http_server_options){
        .header_limit = OURO_MS(150), .body_limit = OURO_MS(100), .idle_limit = OURO_MS(300)});
    site_route("GET", "/", hello);
    site_open(NULL);
    ouro_ns before = ouro_now();
    ouro_stream *s = dial(), *idle = dial();
    const char *dribble =
        "GET / HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (size_t i = 0; i < 40 && ouro_now() - before < OURO_MS(250); i++) {
        if (ouro_await(ouro_stream_write(s, dribble + i, 1)) < 0)
            break;
        pause_ms(10);
    }
    char *a = hear(s);
    check_eq(status_of(a), 408);
    free(a);
    check_eq(site_stats().refused, 1);
    ouro_stream_free(s);
    check_body(hear(idle), "");
    ouro_ns passed = ouro_now() - before;
    check(passed >= OURO_MS(299));
    check(passed < OURO_MS(2000));
    ouro_stream_free(idle);
    site_close();
    return 0;
}

static int64_t reads(ouro_http_request *r, void *arg)
{
    int64_t n;
    (void)arg;
    const char *body = ouro_await_ptr(ouro_http_body(r), &n);
    if (n < 0)
        return n;
    check_eq(strlen(body), n);
    return ouro_http_reply(r, 200, NULL, body, (size_t)n);
}

KernelTest(limits, hold_for_bodies)
{
    site_new(&(ouro_http_server_options){.body_max = 10, .body_limit = OURO_MS(80)});
    site_route("POST", "/", reads);
    site_open(NULL);
    check_status(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n12345678901"), 413);
    check_status(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000000\r\n\r\n1"), 413);
    check_status(ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "6\r\n123456\r\n5\r\n12345\r\n0\r\n\r\n"),
                 413);
    check_status(ask("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"), 400);
    check_status(ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123"), 408);
    char *a = ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890"
                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    check_has(a, "1234567890HTTP/1.1 200 OK");
    free(a);
    site_close();
    return 0;
}

static int64_t large(ouro_http_request *r, void *arg)
{
    enum { SIZE = 8 << 20 };
    (void)arg;
    char *data = calloc(1, SIZE);
    int64_t n = ouro_http_reply(r, 200, NULL, data, SIZE);
    free(data);
    return n;
}

/* The connection has to end soon. */
static void ask_and_take_nothing(void)
{
    ouro_stream *s = dial();
    int small = 4096;
    setsockopt(ouro_stream_fd(s), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 200 && (i < 5 || site_stats().live); i++)
        pause_ms(10);
    check_eq(site_stats().live, 0);
    ouro_stream_free(s);
}

KernelTest(limits, cut_off_a_client_that_takes_nothing)
{
    site_new(&(ouro_http_server_options){.write_limit = OURO_MS(150)});
    site_route("GET", "/", large);
    site_open(NULL);
    ask_and_take_nothing();

    ouro_stream *s = dial(); /* who is slow, but takes some, gets all */
    say(s, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    static char bytes[16 << 10];
    size_t size = 0;
    int64_t n;
    while ((n = ouro_await(ouro_stream_read(s, bytes, sizeof(bytes)))) > 0) {
        size += (size_t)n;
        if (size < 2 << 20)
            pause_ms(2);
    }
    check_eq(n, 0);
    check(size > 8 << 20);
    ouro_stream_free(s);
    site_close();
    return 0;
}

static int64_t hear_all(void *arg)
{
    free(hear(arg));
    return 0;
}

/* Reads the body while it sends, and says how the body ended. */
static int64_t sends_while_it_reads(ouro_http_request *r, void *arg)
{
    static char bytes[3 << 20];
    const void *piece;
    int64_t n, *ret = arg;
    check_eq(ouro_http_reply_begin(r, 200, NULL), 0);
    ouro_future *read = ouro_http_body_next(r, &piece);
    ouro_future *sent = ouro_http_send(r, bytes, sizeof(bytes));
    ouro_await(sent);
    n = ouro_await(read);
    *ret = n;
    return n < 0 ? n : 0;
}

KernelTest(limits, of_a_body_and_of_an_answer_do_not_disturb_each_other)
{
    static int64_t ended;
    site_new(&(ouro_http_server_options){.body_limit = OURO_MS(600), .write_limit = OURO_MS(200)});
    check_eq(ouro_http_route(site.http, "POST", "/", sends_while_it_reads, &ended), 0);
    site_open(NULL);
    ouro_stream *s = dial(); /* the body comes late, but in time */
    say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    ouro_future *heard = ouro_spawn(hear_all, s);
    pause_ms(350);
    say(s, "12345");
    check_eq(ouro_await(heard), 0);
    check_eq(ended, 5);
    ouro_stream_free(s);

    s = dial(); /* it does not come, and that takes no longer than it may */
    ouro_ns before = ouro_now();
    say(s, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    heard = ouro_spawn(hear_all, s);
    ouro_await(heard);
    check_eq(ended, -OURO_EHTTP(408));
    check(ouro_now() - before >= OURO_MS(599));
    ouro_stream_free(s);
    site_close();
    return 0;
}

static int64_t sends_a_file(ouro_http_request *r, void *arg)
{
    return ouro_http_reply_file(r, arg, NULL);
}

KernelTest(limits, cut_off_a_client_that_takes_nothing_of_a_file)
{
    char path[] = "/tmp/ouro-http.XXXXXX";
    int fd = mkstemp(path);
    check(fd >= 0);
    check_eq(ftruncate(fd, 64 << 20), 0);
    close(fd);
    site_new(&(ouro_http_server_options){.write_limit = OURO_MS(150)});
    check_eq(ouro_http_route(site.http, "GET", "/", sends_a_file, path), 0);
    site_open(NULL);
    ask_and_take_nothing();
    unlink(path);
    site_close();
    return 0;
}
