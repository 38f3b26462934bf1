/* SPDX-License-Identifier: MIT */
/* How connections end: clients that shut down one direction or go, and servers that stop. */
#define _GNU_SOURCE
#include "server_test.h"

#include <unistd.h>

TestSuite(ends, .timeout = 60);

static int64_t hello(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_text(r, 200, "hello");
}

/* ---- A server that stops --------------------------------------------------------------------- */

/* Connected by the kernel alone: the loop has not looked yet. */
static int dial_blindly(void)
{
    ouro_address a;
    check_eq(ouro_listener_address(site.listener, &a), 0);
    int fd = socket(a.as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    check_eq(connect(fd, &a.as.any, a.size), 0);
    return fd;
}

static void ask_blindly(int fd)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    check_eq(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), (int64_t)sizeof(request) - 1);
}

/* @new: it was not given before the stop. */
static void check_last_answer(int fd, bool new)
{
    char text[4096];
    ssize_t n, size = 0;
    while ((n = recv(fd, text + size, sizeof(text) - 1 - (size_t)size, 0)) > 0)
        size += n;
    check_eq(n, 0);
    text[size] = '\0';
    check_eq(status_of(text), 200);
    if (new)
        check_has(text, "Connection: close\r\n");
    check_text(body_of(text), "hello");
    close(fd);
}

KernelTest(ends, who_has_asked_before_a_stop_is_answered)
{
    for (int turns = 0; turns < 6; turns++) {
        int client[20];
        site_new(NULL);
        site_route("GET", "/", hello);
        site_open(NULL);
        pause_ms(1);
        for (int i = 0; i < 20; i++) {
            client[i] = dial_blindly();
            ask_blindly(client[i]);
        }
        for (int i = 0; i < turns; i++)
            ouro_yield();
        site_close();
        for (int i = 0; i < 20; i++)
            check_last_answer(client[i], turns == 0);
    }
    return 0;
}

KernelTest(ends, who_has_connected_before_a_stop_may_ask_a_moment_later)
{
    site_new(NULL);
    site_route("GET", "/", hello);
    site_open(NULL);
    int early = dial_blindly();
    pause_ms(5);
    int late = dial_blindly(), silent = dial_blindly();
    ouro_ns before = ouro_now();
    check_eq(ouro_server_stop(site.serving, OURO_SEC(20)), 1);
    pause_ms(100);
    ask_blindly(early);
    ask_blindly(late);
    pause_ms(20);
    check_last_answer(early, true);
    check_last_answer(late, true);
    site_close();
    check(ouro_now() - before < OURO_SEC(5)); /* nobody waits for the silent one for long */
    close(silent);
    return 0;
}

KernelTest(ends, a_request_that_has_come_just_before_a_stop_is_answered)
{
    site_new(NULL);
    site_route("GET", "/", hello);
    site_open(NULL);
    int fd = dial_blindly();
    char text[4096];
    ask_blindly(fd);
    pause_ms(20);
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    check(n > 0);
    text[n] = '\0';
    check_hasnt(text, "Connection: close");
    ask_blindly(fd);
    check_eq(ouro_server_stop(site.serving, OURO_SEC(20)), 1);
    pause_ms(20);
    check_last_answer(fd, true);
    site_close();
    return 0;
}

/* ---- Clients that send no more --------------------------------------------------------------- */

static int64_t came_to;

/* Waits for as long as it is asked to, after it has kept the loop busy. */
static int64_t waits(ouro_http_request *r, void *arg)
{
    int64_t busy = 0, wait = 0;
    (void)arg;
    ouro_http_query_int(r, "busy", &busy);
    ouro_http_query_int(r, "wait", &wait);
    came_to = 1;
    usleep((useconds_t)busy * 1000);
    came_to = ouro_await(ouro_sleep(OURO_MS(wait)));
    return came_to < 0 ? came_to : ouro_http_reply_text(r, 200, "waited");
}

static int64_t streams(ouro_http_request *r, void *arg)
{
    (void)arg;
    came_to = ouro_http_reply_begin(r, 200, "text/plain");
    check_eq(came_to, 0);
    check_eq(ouro_await(ouro_http_send(r, "first ", 6)), 6);
    came_to = 1;
    came_to = ouro_await(ouro_sleep(OURO_MS(300)));
    return came_to < 0 ? came_to : ouro_await(ouro_http_send(r, "second", 6));
}

static int64_t streams_long(ouro_http_request *r, void *arg)
{
    (void)arg;
    check_eq(ouro_http_reply_begin(r, 200, "text/plain"), 0);
    check_eq(ouro_await(ouro_http_send(r, "first ", 6)), 6);
    came_to = 1;
    came_to = ouro_await(ouro_sleep(OURO_SEC(10)));
    return came_to;
}

static int64_t tells_events(ouro_http_request *r, void *arg)
{
    int64_t wait = 0;
    (void)arg;
    ouro_http_query_int(r, "wait", &wait);
    check_eq(ouro_await(ouro_http_send_event(r, NULL, NULL, "first")), 13);
    came_to = 1;
    came_to = ouro_await(ouro_sleep(OURO_MS(wait)));
    return came_to < 0 ? came_to : ouro_await(ouro_http_send_event(r, NULL, NULL, "second"));
}

static void open_waiting(void)
{
    site_new(NULL);
    site_route("GET", "/", waits);
    site_route("GET", "/stream", streams);
    site_route("GET", "/long", streams_long);
    site_route("GET", "/events", tells_events);
    site_open(NULL);
}

/* The last answer to a client that shuts down its sending side @ms after its request. */
static char *ask_and_shut(const char *request, unsigned ms)
{
    ouro_stream *s = dial();
    say(s, request);
    if (ms)
        pause_ms(ms);
    check_eq(ouro_await(ouro_stream_shutdown(s, SHUT_WR)), 0);
    char *a = hear(s);
    ouro_stream_free(s);
    return a;
}

#define ONE_1(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define ONE_0(target) "GET " target " HTTP/1.0\r\n\r\n"

KernelTest(ends, a_client_that_only_shuts_down_its_sending_side_is_answered)
{
    open_waiting();
    char *a = ask_and_shut(ONE_1("/?wait=20"), 0); /* quickly, with nothing else */
    check_eq(status_of(a), 200);
    check_text(body_of(a), "waited");
    free(a);
    a = ask_and_shut(ONE_1("/?busy=60&wait=20"), 0);
    check_has(a, "waited");
    free(a);
    a = ask_and_shut(ONE_1("/?wait=600"), 60);
    check_has(a, "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n");
    check_has(a, "waited");
    free(a);
    a = ask_and_shut(ONE_0("/?wait=600"), 60);
    check_eq(status_of(a), 200);
    check_hasnt(a, "102");
    check_text(body_of(a), "waited");
    free(a);
    a = ask_and_shut(ONE_1("/stream"), 60);
    check_has(a, "second");
    check_hasnt(a, "102");
    free(a);
    a = ask_and_shut(ONE_1("/events?wait=600"), 60);
    check_has(a, "data: first\n\n\r\n3\r\n:\n\n\r\n");
    check_has(a, "data: second\n\n\r\n0\r\n\r\n");
    free(a);
    check_eq(site_stats().gone, 0);
    site_close();
    return 0;
}

KernelTest(ends, requests_that_came_together_before_that_end_are_all_answered)
{
    char requests[16384] = "";
    open_waiting();
    for (int i = 0; i < 100; i++)
        sprintf(requests + strlen(requests), "GET /?n=%d&wait=%d HTTP/1.1\r\nHost: a\r\n\r\n", i,
                i % 3);
    char *a = ask_and_shut(requests, 0);
    check_eq(count_of(a, "waited"), 100);
    check_eq(count_of(a, "HTTP/1.1 200 OK\r\n"), 100);
    check(count_of(a, "HTTP/1.1 102 Processing\r\n\r\n") <= 1);
    free(a);
    site_close();
    return 0;
}

KernelTest(ends, nobody_who_speaks_http_1_0_is_asked_after_a_request_of_http_1_1)
{
    open_waiting();
    char *a = ask_and_shut(ONE_1("/?wait=100") ONE_0("/?wait=600"), 0);
    check_eq(count_of(a, "HTTP/1.1 200 OK\r\n"), 2);
    check_hasnt(a, "102");
    free(a);
    site_close();
    return 0;
}

static void check_cancelled_within(unsigned ms)
{
    for (unsigned i = 0; i < ms / 5 && came_to == 1; i++)
        pause_ms(5);
    check_eq(came_to, -ECANCELED);
    for (int i = 0; i < 400 && site_stats().live; i++)
        pause_ms(5);
    check_eq(site_stats().live, 0);
}

/* Ask, and go @ms later. */
static void ask_and_go(const char *request, unsigned ms)
{
    came_to = 0;
    ouro_stream *s = dial();
    say(s, request);
    for (int i = 0; i < 1000 && came_to == 0; i++)
        pause_ms(1);
    char bytes[512];
    if (strstr(request, "/events") || strstr(request, "/long"))
        check(ouro_await(ouro_stream_read(s, bytes, sizeof(bytes))) > 0);
    if (ms)
        pause_ms(ms);
    check_eq(came_to, 1);
    ouro_stream_free(s);
}

KernelTest(ends, the_handler_of_a_client_that_goes_is_cancelled_however_soon_it_goes)
{
    open_waiting();
    ask_and_go(ONE_1("/?wait=10000"), 0);
    check_cancelled_within(1000);
    ask_and_go(ONE_1("/?wait=10000"), 100);
    check_cancelled_within(1000);
    ask_and_go(ONE_1("/events?wait=10000"), 0);
    check_cancelled_within(1000);
    check_eq(site_stats().gone, 3);
    site_close();
    return 0;
}

KernelTest(ends, where_the_client_cannot_be_asked_time_tells)
{
    open_waiting();
    ask_and_go(ONE_0("/?wait=10000"), 1100);
    check_cancelled_within(500);
    ask_and_go(ONE_1("/long"), 1100);
    check_cancelled_within(500);
    site_close();
    return 0;
}

/* A second request, and the end right behind it: all of it comes in one turn. */
static void ask_twice_and_go(const char *second, bool reset)
{
    char bytes[512];
    struct linger at_once = {.l_onoff = 1};
    int fd = dial_blindly();
    check(send(fd, ONE_1("/?wait=20"), strlen(ONE_1("/?wait=20")), MSG_NOSIGNAL) > 0);
    pause_ms(100);
    check(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
    came_to = 0;
    check(send(fd, second, strlen(second), MSG_NOSIGNAL) > 0);
    if (reset)
        check_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(fd);
    for (int i = 0; i < 1000 && came_to == 0; i++)
        pause_ms(1);
}

KernelTest(ends, a_client_that_goes_behind_a_later_request_is_noticed_as_well)
{
    open_waiting();
    ask_twice_and_go(ONE_1("/?wait=5000"), false);
    check_cancelled_within(1000);
    ask_twice_and_go(ONE_1("/?wait=5000") ONE_1("/?wait=5000"), false);
    check_cancelled_within(1000);
    check_eq(site_stats().gone, 2);
    site_close();
    return 0;
}

KernelTest(ends, a_reset_behind_a_later_request_is_noticed_as_well)
{
    open_waiting();
    ask_twice_and_go(ONE_1("/?wait=5000"), true);
    if (came_to) /* the kernel has let the request be read */
        check_cancelled_within(200);
    site_close();
    return 0;
}
