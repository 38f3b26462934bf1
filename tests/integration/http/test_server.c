/* SPDX-License-Identifier: MIT */
/* A server as its clients see it: replies, connections, clients that go away, and the end. */
#define _GNU_SOURCE
#include "server_test.h"

#include "descriptors.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t hello(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_text(r, 200, "hello");
}

static int64_t nothing(ouro_http_request *r, void *arg)
{
    (void)r;
    (void)arg;
    return 0;
}

static int64_t teapot(ouro_http_request *r, void *arg)
{
    (void)arg;
    ouro_http_reply_header(r, "X-Kept", "1");
    return -OURO_EHTTP(409);
}

static int64_t fails(ouro_http_request *r, void *arg)
{
    (void)arg;
    ouro_http_reply_header(r, "X-Dropped", "1");
    ouro_http_reply_text(r, 200, "never seen");
    return ouro_task_fail(-EIO, "the disk is gone");
}

struct failure {
    int count;
    int64_t error;
    char detail[64];
};

static void note_failure(const ouro_http_request *r, int64_t error, const char *detail, void *arg)
{
    struct failure *f = arg;
    check_text(ouro_http_target(r), "/fails");
    f->count++;
    f->error = error;
    snprintf(f->detail, sizeof(f->detail), "%s", detail ? detail : "");
}

KernelTest(server, tells_what_a_handler_has_come_to)
{
    struct failure failure = {0};
    site_new(&(ouro_http_server_options){.on_error = note_failure, .arg = &failure, .name = "us"});
    site_route("GET", "/", hello);
    site_route("GET", "/nothing", nothing);
    site_route("GET", "/teapot", teapot);
    site_route("GET", "/fails", fails);
    site_open(NULL);
    char *a = get("/");
    check_has(a, "HTTP/1.1 200 OK\r\nDate: ");
    check_has(a, " GMT\r\nServer: us\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
                 "5\r\nConnection: close\r\n\r\nhello");
    free(a);
    a = get("/nothing");
    check_eq(status_of(a), 204);
    check_hasnt(a, "Content-Length");
    free(a);
    a = get("/teapot");
    check_eq(status_of(a), 409);
    check_has(a, "X-Kept: 1\r\n");
    check_text(body_of(a), "409 Conflict\n");
    free(a);
    a = get("/fails");
    check_eq(status_of(a), 500);
    check_hasnt(a, "X-Dropped");
    check_hasnt(a, "never seen");
    free(a);
    check_eq(failure.count, 1);
    check_eq(failure.error, -EIO);
    check_text(failure.detail, "the disk is gone");
    check_status(get("/missing"), 404);
    check_eq(site_stats().failed, 1);
    check_eq(site_stats().requests, 5);
    site_close();
    return 0;
}

KernelTest(server, keeps_connections_as_the_client_wants)
{
    site_new(&(ouro_http_server_options){.requests_max = 4});
    site_route("GET", "/", hello);
    site_open(NULL);
    ouro_stream *s = dial();
    for (int i = 0; i < 4; i++) {
        say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        char *a = hear_until(s, "hello", NULL);
        check_eq(status_of(a), 200);
        check_eq(strstr(a, "Connection: close") != NULL, i == 3);
        free(a);
    }
    check_body(hear(s), "");
    ouro_stream_free(s);

    s = dial(); /* HTTP/1.0 closes, but for who asks */
    say(s, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    char *a = hear_until(s, "hello", NULL);
    check_has(a, "Connection: keep-alive\r\n");
    free(a);
    say(s, "GET / HTTP/1.0\r\n\r\n");
    a = hear(s);
    check_has(a, "Connection: close\r\n");
    free(a);
    ouro_stream_free(s);
    check_eq(site_stats().connections, 2);
    check_eq(site_stats().live, 0);
    site_close();
    return 0;
}

static int64_t count_up(ouro_http_request *r, void *arg)
{
    char text[64];
    (void)arg;
    if (ouro_http_query(r, "wait"))
        ouro_await(ouro_sleep(OURO_MS(3)));
    snprintf(text, sizeof(text), "<%s>", ouro_http_query(r, "n"));
    return ouro_http_reply_text(r, 200, text);
}

KernelTest(server, answers_fifty_pipelined_requests_in_order)
{
    char requests[8192] = "";
    site_new(NULL);
    site_route("GET", "/", count_up);
    site_open(NULL);
    for (int i = 0; i < 50; i++)
        sprintf(requests + strlen(requests), "GET /?n=%d%s HTTP/1.1\r\nHost: a\r\n%s\r\n", i,
                i % 7 == 3 ? "&wait" : "", i == 49 ? "Connection: close\r\n" : "");
    char *a = ask(requests), *at = a;
    for (int i = 0; i < 50; i++) {
        char want[16];
        snprintf(want, sizeof(want), "<%d>", i);
        at = strstr(at, want);
        check(at);
    }
    check_eq(count_of(a, "HTTP/1.1 200 OK"), 50);
    free(a);
    site_close();
    return 0;
}

static int64_t floods(ouro_http_request *r, void *arg)
{
    static char bytes[20000];
    (void)arg;
    if (!ouro_http_query(r, "stream"))
        return ouro_http_reply(r, 200, NULL, bytes, sizeof(bytes));
    int64_t rc = ouro_http_reply_begin(r, 200, NULL);
    return rc < 0 ? rc : ouro_await(ouro_http_send(r, bytes, sizeof(bytes)));
}

/* More than the sockets hold, and read late. */
KernelTest(server, does_not_pile_up_answers_that_nobody_takes)
{
    enum { MANY = 1000 };
    site_new(NULL);
    site_route("GET", "/", floods);
    site_open(NULL);
    ouro_stream *s = dial();
    char *requests = calloc(MANY, 64);
    for (int i = 0, at = 0; i < MANY; i++)
        at += sprintf(requests + at, "GET /%s HTTP/1.1\r\nHost: a\r\n%s\r\n",
                      i % 2 ? "?stream" : "", i == MANY - 1 ? "Connection: close\r\n" : "");
    ouro_future *said = ouro_stream_write(s, requests, strlen(requests));
    pause_ms(100);
    check(site_stats().requests < MANY);
    size_t size = 0;
    int64_t n;
    static char bytes[65536];
    while ((n = ouro_await(ouro_stream_read(s, bytes, sizeof(bytes)))) > 0)
        size += (size_t)n;
    check_eq(n, 0);
    check(size > (size_t)MANY * 20000);
    check_eq(ouro_await(said), strlen(requests));
    check_eq(site_stats().requests, MANY);
    check_eq(site_stats().failed, 0);
    free(requests);
    ouro_stream_free(s);
    site_close();
    return 0;
}

KernelTest(server, sends_pipelined_answers_together)
{
    site_new(NULL);
    site_route("GET", "/", hello);
    site_open(NULL);
    ouro_stream *s = dial();
    char requests[4096] = "";
    for (int i = 0; i < 20; i++)
        strcat(requests, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    say(s, requests);
    pause_ms(50);
    char bytes[8192];
    int64_t n = ouro_await(ouro_stream_read(s, bytes, sizeof(bytes) - 1));
    check(n > 0);
    bytes[n] = '\0';
    check_eq(count_of(bytes, "hello"), 20);
    ouro_stream_free(s);
    site_close();
    return 0;
}

KernelTest(server, answers_head_without_a_body)
{
    site_new(NULL);
    site_route("GET", "/", hello);
    site_open(NULL);
    char *a = ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
                  "HEAD /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_has(a, "Content-Length: 5\r\n");
    check_hasnt(a, "hello");
    check_hasnt(a, "404 Not Found\n");
    check_eq(count_of(a, "HTTP/1.1 "), 2);
    free(a);
    site_close();
    return 0;
}

/* ---- Middleware ------------------------------------------------------------------------------ */

static char trail[64];

static int64_t outer(ouro_http_request *r, ouro_http_next *next, void *arg)
{
    (void)arg;
    strcat(trail, "(");
    int64_t n = ouro_http_next_run(r, next);
    check_eq(ouro_http_next_run(r, next), -EALREADY);
    check_eq(ouro_http_reply_header(r, "X-Outer", "yes"), 0);
    strcat(trail, ")");
    return n;
}

static int64_t inner(ouro_http_request *r, ouro_http_next *next, void *arg)
{
    (void)arg;
    strcat(trail, "[");
    if (ouro_http_header(r, "X-Stop"))
        return -OURO_EHTTP(403);
    int64_t n = ouro_http_next_run(r, next);
    strcat(trail, "]");
    return n;
}

KernelTest(server, runs_middleware_from_outside_in_around_everything)
{
    site_new(NULL);
    check_eq(ouro_http_use(site.http, outer, NULL), 0);
    check_eq(ouro_http_use(site.http, inner, NULL), 0);
    check_eq(ouro_http_use(site.http, NULL, NULL), -EINVAL);
    site_route("GET", "/", hello);
    site_open(NULL);
    trail[0] = '\0';
    char *a = get("/");
    check_has(a, "X-Outer: yes\r\n");
    check_text(body_of(a), "hello");
    free(a);
    check_text(trail, "([])");
    check_status(get("/none"), 404);
    check_text(trail, "([])([])");
    check_status(ask("GET / HTTP/1.1\r\nHost: a\r\nX-Stop: 1\r\nConnection: close\r\n\r\n"), 403);
    check_text(trail, "([])([])([)");
    site_close();
    return 0;
}

/* ---- What a reply may not have --------------------------------------------------------------- */

static int64_t tries_to_inject(ouro_http_request *r, void *arg)
{
    (void)arg;
    check_eq(ouro_http_reply_header(r, "X-A", "a\r\nSet-Cookie: b"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "X-A", "a\nb"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "X-A", "a\rb"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "X-A", "a\x7f"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "X A", "a"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "X-A:", "a"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "", "a"), -EINVAL);
    check_eq(ouro_http_reply_header(r, NULL, "a"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "content-length", "1"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "Transfer-Encoding", "chunked"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "Connection", "close"), -EINVAL);
    check_eq(ouro_http_reply_header(r, "Date", "now"), -EINVAL);
    check_eq(ouro_http_reply(r, 200, "text/plain\r\nX: y", "", 0), -EINVAL);
    check_eq(ouro_http_reply(r, 199, NULL, "", 0), -EINVAL);
    check_eq(ouro_http_reply(r, 600, NULL, "", 0), -EINVAL);
    check_eq(ouro_http_reply(r, 204, NULL, "x", 1), -EINVAL);
    check_eq(ouro_http_reply(r, 200, NULL, NULL, 1), -EINVAL);
    check_eq(ouro_http_reply(r, 201, NULL, "x", 1), 0);
    check_eq(ouro_http_reply(r, 200, NULL, "y", 1), -EALREADY);
    return 0;
}

KernelTest(server, refuses_what_would_be_another_header)
{
    site_new(NULL);
    site_route("GET", "/", tries_to_inject);
    site_open(NULL);
    char *a = get("/");
    check_eq(status_of(a), 201);
    check_hasnt(a, "X-A");
    check_hasnt(a, "Set-Cookie");
    check_text(body_of(a), "x");
    free(a);
    check_eq(ouro_http_server_new(&(ouro_http_server_options){.name = "a\r\nb"}, &site.http),
             -EINVAL);
    site_close();
    return 0;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static int64_t looks(ouro_http_request *r, void *arg)
{
    int64_t n = 7;
    ouro_address peer;
    (void)arg;
    check_text(ouro_http_method(r), "GET");
    check_text(ouro_http_target(r), "/a%20b//c/./12?x=1+2%21&y&x=3&z=-9223372036854775808&bad=%zz");
    check_text(ouro_http_path(r), "/a b/c/12");
    check_text(ouro_http_param(r, "first"), "a b");
    check_text(ouro_http_param(r, "id"), "12");
    check(!ouro_http_param(r, "none"));
    check_eq(ouro_http_param_int(r, "id", &n), 0);
    check_eq(n, 12);
    check_eq(ouro_http_param_int(r, "first", &n), -EBADMSG);
    check_eq(ouro_http_param_int(r, "none", &n), -ENOENT);
    check_eq(n, 12);
    check_text(ouro_http_query(r, "x"), "1 2!");
    check_text(ouro_http_query(r, "y"), "");
    check(!ouro_http_query(r, "bad"));
    check(!ouro_http_query(r, "w"));
    check_eq(ouro_http_query_int(r, "z", &n), 0);
    check_eq(n, INT64_MIN);
    check_eq(ouro_http_query_int(r, "x", &n), -EBADMSG);
    check_text(ouro_http_header(r, "x-ONE"), "a");
    check_text(ouro_http_header(r, "X-Two"), "b, c");
    check(!ouro_http_header(r, "X-Three"));
    check_eq(ouro_http_peer(r, &peer), 0);
    return ouro_http_reply_text(r, 200, "seen");
}

KernelTest(server, gives_what_the_request_says)
{
    site_new(NULL);
    site_route("GET", "/{first}/c/{id}", looks);
    site_open(NULL);
    check_body(ask("GET /a%20b//c/./12?x=1+2%21&y&x=3&z=-9223372036854775808&bad=%zz HTTP/1.1\r\n"
                   "Host: a\r\nX-One:  a \r\nX-Two: b\r\nConnection: close\r\nx-two:c\r\n\r\n"),
               "seen");
    site_close();
    return 0;
}

/* ---- Clients that go ------------------------------------------------------------------------- */

static int64_t came_to;

static int64_t waits_long(ouro_http_request *r, void *arg)
{
    (void)arg;
    came_to = 1;
    came_to = ouro_await(ouro_sleep(OURO_SEC(5)));
    return came_to < 0 ? came_to : ouro_http_reply_text(r, 200, "late");
}

static void wait_for_the_end(void)
{
    for (int i = 0; i < 200 && came_to == 1; i++)
        pause_ms(5);
    check_eq(came_to, -ECANCELED);
    for (int i = 0; i < 200 && site_stats().live; i++)
        pause_ms(5);
    check_eq(site_stats().live, 0);
}

KernelTest(server, cancels_the_handler_of_a_client_that_goes)
{
    site_new(NULL);
    site_route("GET", "/", waits_long);
    site_open(NULL);
    for (int reset = 0; reset < 2; reset++) {
        ouro_stream *s = dial();
        came_to = 0;
        say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        pause_ms(100);
        check_eq(came_to, 1);
        if (reset)
            ouro_stream_abort(s);
        ouro_stream_free(s);
        wait_for_the_end();
        check_eq(site_stats().gone, 1 + reset);
    }
    site_close();
    return 0;
}

static int64_t waits(ouro_http_request *r, void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(80)));
    return rc < 0 ? rc : ouro_http_reply_text(r, 200, "waited");
}

KernelTest(server, answers_a_client_that_has_shut_down_its_sending_side)
{
    site_new(NULL);
    site_route("GET", "/", waits);
    site_route("GET", "/long", waits_long);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    check_eq(ouro_await(ouro_stream_shutdown(s, SHUT_WR)), 0);
    char *a = hear(s);
    check_eq(count_of(a, "waited"), 2);
    free(a);
    ouro_stream_free(s);
    check_eq(site_stats().gone, 0);

    s = dial(); /* and is reset */
    came_to = 0;
    say(s, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    check_eq(ouro_await(ouro_stream_shutdown(s, SHUT_WR)), 0);
    pause_ms(60);
    check_eq(came_to, 1);
    ouro_stream_abort(s);
    ouro_stream_free(s);
    wait_for_the_end();
    site_close();
    return 0;
}

/* ---- Many, and none -------------------------------------------------------------------------- */

KernelTest(server, holds_a_thousand_idle_connections_and_ends_them_at_once)
{
    enum { MANY = 1000 };
    static ouro_stream *s[MANY];
    if (!may_open(2 * MANY + 100))
        cr_skip_test("no descriptors for %d connections", MANY);
    site_new(NULL);
    site_route("GET", "/", hello);
    site_open(NULL);
    for (int i = 0; i < MANY; i++)
        s[i] = dial();
    for (int i = 0; i < 500 && site_stats().live < MANY; i++)
        pause_ms(2);
    check_eq(site_stats().live, MANY);
    check_body(get("/"), "hello");
    say(s[MANY - 1], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    check_body(hear_until(s[MANY - 1], "hello", NULL), "hello");
    pause_ms(1000); /* none of them is new any more */
    ouro_ns before = ouro_now();
    site_close();
    check(ouro_now() - before < OURO_MS(900));
    for (int i = 0; i < MANY; i++)
        ouro_stream_free(s[i]);
    return 0;
}

KernelTest(server, goes_on_when_descriptors_run_out)
{
    struct rlimit before, tight;
    site_new(NULL);
    site_route("GET", "/", hello);
    site_open(NULL);
    ouro_stream *first = dial();
    say(first, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    check_body(hear_until(first, "hello", NULL), "hello");
    ouro_stream *second = dial();
    pause_ms(20);
    int next = dup(0);
    close(next);
    getrlimit(RLIMIT_NOFILE, &before);
    tight = before;
    tight.rlim_cur = (rlim_t)next + 1; /* for the client's end, and none for the server's */
    setrlimit(RLIMIT_NOFILE, &tight);
    ouro_stream *third = dial();
    say(third, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    pause_ms(30);
    say(first, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    check_body(hear_until(first, "hello", NULL), "hello");
    ouro_stream_free(second);
    setrlimit(RLIMIT_NOFILE, &before);
    check_body(hear(third), "hello");
    take_reports(OURO_REPORT_OVERLOAD);
    ouro_stream_free(first);
    ouro_stream_free(third);
    site_close();
    return 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

KernelTest(server, answers_what_it_works_on_when_it_stops)
{
    site_new(NULL);
    site_route("GET", "/", waits);
    site_open(NULL);
    ouro_stream *busy = dial(), *idle = dial();
    say(idle, "GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    check_status(hear_until(idle, "404 Not Found\n", NULL), 404);
    say(busy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    pause_ms(20);
    check_eq(ouro_server_stop(site.serving, OURO_SEC(5)), 1);
    ouro_ns before = ouro_now();
    check_body(hear(idle), "");
    check(ouro_now() - before < OURO_MS(50));
    char *a = hear(busy);
    check_has(a, "Connection: close\r\n");
    check_text(body_of(a), "waited");
    free(a);
    ouro_stream_free(busy);
    ouro_stream_free(idle);
    site_close();
    return 0;
}

static int64_t never_ends(ouro_http_request *r, void *arg)
{
    (void)arg;
    came_to = 1;
    ouro_await(ouro_sleep(OURO_FOREVER));
    came_to = -ECANCELED;
    return ouro_http_reply_text(r, 200, "too late");
}

KernelTest(server, cancels_a_handler_that_outlives_the_grace)
{
    site_new(NULL);
    site_route("GET", "/", never_ends);
    site_open(NULL);
    ouro_stream *s = dial();
    say(s, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    pause_ms(50);
    check_eq(came_to, 1);
    check_eq(ouro_server_stop(site.serving, OURO_MS(50)), 1);
    site_close();
    check_eq(came_to, -ECANCELED);
    free(hear(s));
    ouro_stream_free(s);
    return 0;
}

KernelTest(server, serves_two_listeners_and_again)
{
    site_new(NULL);
    site_route("GET", "/", hello);
    for (int i = 0; i < 3; i++) {
        ouro_listener *other;
        check_eq(ouro_listen("127.0.0.1:0", NULL, &other), 0);
        ouro_future *f = ouro_http_serve(site.http, other, NULL);
        site_open(NULL);
        check_body(get("/"), "hello");
        ouro_future *both[2] = {f, site.serving};
        ouro_server_stop(f, OURO_SEC(1));
        ouro_server_stop(site.serving, OURO_SEC(1));
        check_eq(ouro_await(ouro_gather(both, 2, OURO_GATHER_ALL, NULL)), 0);
        ouro_listener_free(other);
        site.listener = ouro_listener_free(site.listener);
    }
    check_eq(ouro_await(ouro_http_serve(site.http, NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_http_serve(NULL, NULL, NULL)), -EINVAL);
    site.http = ouro_http_server_free(site.http);
    return 0;
}

static int64_t play(void *arg)
{
    ouro_stream *s = arg;
    say(s,
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    char *a = hear(s);
    check_eq(count_of(a, "hello"), 2);
    free(a);
    return 0;
}

KernelTest(server, serves_one_stream_in_the_calling_task)
{
    int ends[2];
    ouro_stream *ours, *theirs;
    site_new(NULL);
    site_route("GET", "/", hello);
    check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    check_eq(ouro_stream_new(ends[0], NULL, &ours), 0);
    check_eq(ouro_stream_new(ends[1], NULL, &theirs), 0);
    ouro_future *player = ouro_spawn(play, theirs);
    check_eq(ouro_http_serve_stream(site.http, ours), 2);
    ouro_stream_free(ours);
    check_eq(ouro_await(player), 0);
    ouro_stream_free(theirs);
    check_eq(ouro_http_serve_stream(site.http, NULL), -EINVAL);
    site.http = ouro_http_server_free(site.http);
    return 0;
}

/* ---- The log --------------------------------------------------------------------------------- */

static void log_to(const ouro_http_access *line, void *arg)
{
    check_text(line->client, "127.0.0.1");
    ouro_http_log_access(line, arg);
}

KernelTest(server, logs_what_clients_cannot_forge)
{
    char *text = NULL;
    size_t size = 0;
    FILE *fp = open_memstream(&text, &size);
    site_new(&(ouro_http_server_options){.on_access = log_to, .arg = fp});
    site_route("GET", "/", hello);
    site_open(NULL);
    free(ask("GET /?a=%22 HTTP/1.1\r\nHost: a\r\nUser-Agent: x\" \"\\y\xe9\r\n"
             "Referer: http://r/\r\nConnection: close\r\n\r\n"));
    free(ask("GET /old HTTP/1.0\r\n\r\n"));
    free(ask("BAD\r\n\r\n"));
    site_close();
    fclose(fp);
    check_has(text, "127.0.0.1 - - [");
    check_has(text, "] \"GET /?a=%22 HTTP/1.1\" 200 5 \"http://r/\" \"x\\x22 \\x22\\x5Cy\\xE9\" ");
    check_has(text, "] \"GET /old HTTP/1.0\" 404 14 \"-\" \"-\" ");
    check_has(text, "] \"-\" 400 16 \"-\" \"-\" ");
    check_eq(count_of(text, "\n"), 3);
    free(text);
    return 0;
}

KernelTest(server, logs_a_client_by_the_same_address_whatever_the_listener)
{
    char *text = NULL, *port;
    size_t size = 0;
    FILE *fp = open_memstream(&text, &size);
    site_new(&(ouro_http_server_options){.on_access = log_to, .arg = fp});
    site_route("GET", "/", hello);
    site_open_at("[::]:0", NULL); /* whose clients by IPv4 are ::ffff:127.0.0.1 */
    port = strrchr(site.where, ':') + 1;
    memmove(site.where + sizeof "127.0.0.1", port, strlen(port) + 1);
    memcpy(site.where, "127.0.0.1:", sizeof "127.0.0.1:" - 1);
    free(ask("GET / HTTP/1.0\r\n\r\n"));
    site_close();
    fclose(fp);
    check_has(text, "127.0.0.1 - - [");
    free(text);
    return 0;
}

enum { LOGGERS = 4, LINES = 5000 };

static void *log_many(void *fp)
{
    const ouro_http_access line = {.client = "c",
                                   .method = "GET",
                                   .target = "/t",
                                   .version = 11,
                                   .status = 200,
                                   .user_agent = "u",
                                   .referer = "r"};
    for (int i = 0; i < LINES; i++)
        ouro_http_log_access(&line, fp);
    return NULL;
}

Test(server, logs_of_several_threads_have_whole_lines)
{
    pthread_t threads[LOGGERS];
    char line[256];
    int n = 0;
    FILE *fp = tmpfile();
    for (int i = 0; i < LOGGERS; i++)
        check_eq(pthread_create(&threads[i], NULL, log_many, fp), 0);
    for (int i = 0; i < LOGGERS; i++)
        pthread_join(threads[i], NULL);
    rewind(fp);
    for (; fgets(line, sizeof(line), fp); n++) {
        check_eq(strncmp(line, "c - - [", 7), 0);
        check_has(line, "] \"GET /t HTTP/1.1\" 200 0 \"r\" \"u\" 0.000000\n");
    }
    check_eq(n, LOGGERS * LINES);
    fclose(fp);
}
