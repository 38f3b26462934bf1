/* SPDX-License-Identifier: MIT */
/*
 * The HTTP client where things go wrong: servers that are not there, break off, or say too much;
 * requests that make no sense; cancels, frees, forks and shutdowns at any time.
 */
#define _GNU_SOURCE
#include "descriptors.h"
#include "http_test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK "HTTP/1.1 200 OK\r\n"
#define KILO \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define FIELD "X-Long: " KILO KILO KILO KILO KILO KILO KILO KILO KILO KILO "\r\n"

static const struct script scripts[] = {
    {.path = "/short", .bytes = OK "Content-Length: 10\r\n\r\nabc", .then = CLOSE},
    {.path = "/long", .bytes = OK "Content-Length: 3\r\n\r\nabcdefgh", .then = CLOSE},
    {.path = "/cut", .bytes = OK "Transfer-Encoding: chunked\r\n\r\n5\r\nab", .then = CLOSE},
    {.path = "/chunk", .bytes = OK "Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n", .then = CLOSE},
    {.path = "/header", .bytes = OK "Content-Le", .then = CLOSE},
    {.path = "/nothing", .bytes = "", .then = CLOSE},
    {.path = "/reset", .bytes = OK "Content-Length: 10\r\n\r\nabc", .then = RESET},
    {.path = "/garbage", .bytes = "this is no HTTP\r\n\r\n", .then = CLOSE},
    {.path = "/flood", .bytes = "HTTP/1.1 100 Continue\r\n\r\n", .times = 1000000, .then = CLOSE},
    {.path = "/gzip", .bytes = OK "Content-Encoding: gzip\r\nContent-Length: 8\r\n\r\nabcdefgh"},
    {.path = "/stall", .bytes = OK "Content-Length: 10\r\n\r\nabc", .then = STALL},
    {.path = "/silent", .bytes = "", .then = STALL},
    {.path = "/slow", .bytes = OK "Content-Length: 5\r\n\r\nabcde", .pause = OURO_US(200)},
    {.path = "/hop", .bytes = "HTTP/1.1 302 X\r\nLocation: /slow\r\nContent-Length: 0\r\n\r\n"},
    {.path = "/badhop",
     .bytes = "HTTP/1.1 302 X\r\nLocation: http://[x/\r\nContent-Length: 0\r\n\r\n"},
    {0}};

/* ---- Servers that fail ----------------------------------------------------------------------- */

KernelTest(http_ends, what_breaks_off_or_is_no_http_is_told)
{
    static const struct {
        const char *path;
        int64_t error;
    } cases[] = {{"/short", -EPROTO},       {"/cut", -EPROTO},       {"/chunk", -EPROTO},
                 {"/nothing", -ECONNRESET}, {"/reset", -ECONNRESET}, {"/garbage", -EPROTO},
                 {"/flood", -EMSGSIZE},     {"/gzip", -EPROTO},      {"/badhop", -EPROTO}};
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char part[128];
        snprintf(part, sizeof part, "GET %s: ", wild_url(w, cases[i].path));
        int64_t rc = words_of(ouro_http_get(c, wild_url(w, cases[i].path), NULL), part);
        if (rc != cases[i].error)
            cr_assert_fail("%s: %lld", cases[i].path, (long long)rc);
    }
    check_eq(stats_of(c).failed, sizeof cases / sizeof *cases);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/fine"), NULL)), 200);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_ends, what_comes_behind_a_body_is_not_in_it)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, "/long"), NULL));
    check_text(r->body, "abc");
    ouro_http_response_free(r);
    r = answer(ouro_http_get(c, wild_url(w, "/fine"), NULL));
    check_eq(r->reused, 0);
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_ends, headers_have_a_limit)
{
    static char line[300000], many[350000] = OK;
    for (int i = 0; i < 300; i++)
        strcat(many, FIELD);
    memset(line, 'x', sizeof line - 1);
    memcpy(line, OK "X-Long: ", strlen(OK "X-Long: "));
    const struct script huge[] = {
        {.path = "/fields", .bytes = many, .then = CLOSE},
        {.path = "/line", .bytes = line, .then = CLOSE},
        {.path = "/some", .bytes = OK FIELD FIELD FIELD "Content-Length: 1\r\n\r\nx"},
        {0}};
    struct wild *w = wild_start(huge);
    ouro_http_client *c = client();
    check_eq(words_of(ouro_http_get(c, wild_url(w, "/fields"), NULL), "header is too large"),
             -EMSGSIZE);
    check_eq(words_of(ouro_http_get(c, wild_url(w, "/line"), NULL), "header is too large"),
             -EMSGSIZE);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/some"), NULL)), 200);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* A port that nobody listens at; with a queue that is full, @fd is who keeps it. */
static int port_of(int fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    check(fd >= 0 && bind(fd, (struct sockaddr *)&a, size) == 0);
    check(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
    return ntohs(a.sin_port);
}

KernelTest(http_ends, nobody_there_is_told)
{
    char url[64], part[96];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ouro_http_client *c = client();
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port_of(fd));
    snprintf(part, sizeof part, "GET %s: ", url);
    for (int i = 0; i < 2; i++)
        check_eq(words_of(ouro_http_get(c, url, NULL), part), -ECONNREFUSED);
    close(fd);
    check_eq(stats_of(c).failed, 2);
    ouro_http_client_free(c);
    return 0;
}

KernelTest(http_ends, an_attempt_to_connect_has_a_limit)
{
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM, 0), full[4], port = port_of(fd);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    check_eq(listen(fd, 0), 0);
    for (int i = 0; i < 4; i++) {
        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(full[i], (struct sockaddr *)&a, sizeof a) < 0)
            check_eq(errno, EINPROGRESS);
    }
    ouro_http_client *c = client_with((ouro_http_client_options){.connect_limit = OURO_MS(60)});
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", port);
    check_eq(ouro_await(ouro_http_get(c, url, NULL)), -ETIMEDOUT);
    int others[4]; /* which have the number of the socket that came to nothing */
    for (int i = 0; i < 4; i++)
        others[i] = dup(fd);
    ouro_http_client_free(c);
    check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    for (int i = 0; i < 4; i++)
        check_eq(close(others[i]), 0);
    for (int i = 0; i < 4; i++)
        close(full[i]);
    close(fd);
    return 0;
}

/* A wait in the line is no attempt to connect. */
KernelTest(http_ends, waiting_for_others_does_not_count_as_connecting)
{
    static const struct script closes[] = {
        {.path = "/", .bytes = OK "Connection: close\r\nContent-Length: 0\r\n\r\n", .then = CLOSE},
        {0}};
    struct wild *w = wild_start(closes);
    ouro_future *f[6];
    ouro_http_client *c = client_with(
        (ouro_http_client_options){.host_max = 1, .connect_limit = OURO_MS(50)});
    w->delay = OURO_MS(40);
    for (int i = 0; i < 6; i++)
        f[i] = ouro_http_get(c, wild_url(w, "/"), NULL);
    check_eq(ouro_await(ouro_gather(f, 6, OURO_GATHER_ALL, NULL)), 0);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(http_ends, a_server_that_stalls_is_cut_off_by_a_timeout)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    const char *const paths[] = {"/stall", "/silent"};
    for (int i = 0; i < 2; i++) {
        ouro_future *f = ouro_http_get(c, wild_url(w, paths[i]), NULL);
        check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
        uint64_t before = stats().turns;
        check_eq(ouro_await(ouro_timeout(f, OURO_MS(30))), -ETIMEDOUT);
        check(stats().turns - before < 20); /* nothing spins meanwhile */
        check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
        check_eq(w->ends, i + 1); /* it has seen us go */
        check_eq(w->live, 0);
    }
    ouro_http_client_stats s = stats_of(c);
    check_eq(s.failed, 2);
    check_eq(s.cancelled, 2);
    check_eq(s.under_way, 0);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* ---- Requests that make no sense -------------------------------------------------------------- */

KernelTest(http_ends, urls_that_are_none_are_refused)
{
    static const struct {
        const char *url;
        int64_t error;
        const char *part;
    } cases[] = {
        {"", -EINVAL, "no scheme"},
        {"example.org", -EINVAL, "no scheme"},
        {"/path", -EINVAL, "no scheme"},
        {"mailto:me@example.org", -EINVAL, "no scheme"},
        {"http:/127.0.0.1/", -EINVAL, "no scheme"},
        {"http://", -EINVAL, "GET http://: "},
        {"http:///path", -EINVAL, "GET http:///path: "},
        {"http://127.0.0.1:99999/", -EINVAL, "Port number"},
        {"http://127.0.0.1:x/", -EINVAL, "Port number"},
        {"http://[::1/", -EINVAL, "GET http://[::1/: "},
        {"http://a b/", -EINVAL, "blank"},
        {"http://127.0.0.1/a b", -EINVAL, "blank"},
        {"http://127.0.0.1/a\r\nX: 1", -EINVAL, "/a??X: 1: "},
        {"http://exa_mple\x7f.org/", -EINVAL, "control"},
        {"ftp://127.0.0.1/", -EPROTONOSUPPORT, "neither http nor https"},
        {"file:///etc/passwd", -EPROTONOSUPPORT, "neither http nor https"},
        {"javascript://127.0.0.1/", -EPROTONOSUPPORT, "neither http nor https"},
        {"http://user:secret@[::1/", -EINVAL, "GET http://[::1/: "},
        {"http://no.such.invalid/", -OURO_ENONAME, "no.such.invalid"},
        {"http://user:secret@no.such.invalid/", -OURO_ENONAME, "GET http://no.such.invalid/: "},
        {"http://127.0.0.256/", -EINVAL, "GET http://127.0.0.256/: "},
    };
    ouro_http_client *c = client();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ouro_future *f = ouro_http_get(c, cases[i].url, NULL);
        int64_t rc = words_of(ouro_ref(f), cases[i].part);
        check(!strstr(ouro_future_detail(f), "secret"));
        ouro_unref(f);
        if (rc != cases[i].error)
            cr_assert_fail("%s: %lld", cases[i].url, (long long)rc);
    }
    ouro_http_client_free(c);
    return 0;
}

static int64_t with_field(ouro_http_client *c, const char *name, const char *value,
                          const char *part)
{
    const ouro_http_field field = {name, value};
    ouro_http_options o = {.headers = &field, .header_count = 1};
    return words_of(ouro_http_get(c, "http://127.0.0.1:1/", &o), part);
}

KernelTest(http_ends, header_fields_cannot_hide_others)
{
    ouro_http_client *c = client();
    check_eq(with_field(c, "X-A", "1\r\nX-B: 2", "X-A has a control"), -EINVAL);
    check_eq(with_field(c, "X-A", "1\n", "X-A has a control"), -EINVAL);
    check_eq(with_field(c, "X-A", "\r", "X-A has a control"), -EINVAL);
    check_eq(with_field(c, "X-A\r\nX-B", "2", "\"X-A??X-B\" is no name"), -EINVAL);
    check_eq(with_field(c, "X-A: 1", "2", "is no name"), -EINVAL);
    check_eq(with_field(c, "X A", "2", "is no name"), -EINVAL);
    check_eq(with_field(c, "", "2", "is no name"), -EINVAL);
    check_eq(with_field(c, NULL, "2", "NULL"), -EINVAL);
    check_eq(with_field(c, "X-A", NULL, "NULL"), -EINVAL);
    check_eq(with_field(c, "Content-Length", "2", "the client's own"), -EINVAL);
    check_eq(with_field(c, "transfer-encoding", "chunked", "the client's own"), -EINVAL);
    check_eq(with_field(c, "X-Tab", "a\tb\xff", NULL), -ECONNREFUSED);
    ouro_http_client_free(c);
    return 0;
}

static int64_t with(ouro_http_client *c, ouro_http_options o, const char *part)
{
    return words_of(ouro_http_post(c, "http://127.0.0.1:1/", &o), part);
}

KernelTest(http_ends, options_that_make_no_sense_are_refused)
{
    static const ouro_http_field bad = {NULL, "x"};
    ouro_http_client *c = client();
    ouro_http_options o = {.json = "{}", .data = "x", .size = 1};
    check_eq(with(c, o, "several bodies"), -EINVAL);
    check_eq(with(c, (ouro_http_options){.size = 1}, "data is NULL"), -EINVAL);
    check_eq(with(c, (ouro_http_options){.form_count = 1}, "the form is NULL"), -EINVAL);
    check_eq(with(c, (ouro_http_options){.header_count = 1}, "headers is NULL"), -EINVAL);
    check_eq(with(c, (ouro_http_options){.query = &bad, .query_count = 1}, "query"), -EINVAL);
    check_eq(with(c, (ouro_http_options){.redirects_max = -2}, "redirects_max"), -EINVAL);
    o = (ouro_http_options){.json = "{}", .type = "a\r\nb"};
    check_eq(with(c, o, "its type"), -EINVAL);
    check_eq(ouro_await(ouro_http_fetch(c, NULL, "http://127.0.0.1/", NULL)), -EINVAL);
    check_eq(ouro_await(ouro_http_fetch(NULL, "GET", "http://127.0.0.1/", NULL)), -EINVAL);
    check_eq(ouro_await(ouro_http_get(c, NULL, NULL)), -EINVAL);
    static const char *const methods[] = {"", "GET ", "GE\r\nT", "CONNECT", "G/T"};
    for (size_t i = 0; i < 5; i++)
        check_eq(words_of(ouro_http_fetch(c, methods[i], "http://127.0.0.1:1/", NULL), "no method"),
                 -EINVAL);
    ouro_http_client_free(c);
    ouro_http_client_options opts[] = {{.host_max = -1},        {.total_max = -1},
                                       {.keep_max = -1},        {.user_agent = "a\nb"},
                                       {.proxy = "http://"},    {.proxy = "ftp://127.0.0.1"},
                                       {.names = {.family = 7}}};
    c = NULL;
    for (size_t i = 0; i < sizeof opts / sizeof *opts; i++)
        check_eq(ouro_http_client_new(&opts[i], &c), -EINVAL);
    check_eq(ouro_http_client_new(NULL, NULL), -EINVAL);
    check(c == NULL);
    check(ouro_http_client_free(NULL) == NULL && ouro_http_response_free(NULL) == NULL);
    return 0;
}

/* ---- Cancels --------------------------------------------------------------------------------- */

static int64_t nothing_more(void *buf, size_t size, void *arg)
{
    int *left = arg;
    (void)size;
    memcpy(buf, "x", 1);
    return *left > 0 ? (*left)-- & 1 ? 1 : -EAGAIN : 0;
}

/* After so many turns of a request to a server that sends byte by byte. */
static void cancel_after(struct wild *w, ouro_http_client *c, const char *path, unsigned n)
{
    int left = 6;
    ouro_http_options o = {.source = n % 3 == 2 ? nothing_more : NULL, .arg = &left};
    ouro_future *f = ouro_http_get(c, wild_url(w, path), &o);
    for (unsigned i = 0; i < n && ouro_future_state(f) == OURO_PENDING; i++)
        check_eq(ouro_await(ouro_sleep(OURO_US(20))), 0);
    ouro_cancel(f);
    int64_t rc = ouro_await(f);
    check(rc == 200 || rc == -OURO_ECHILDCANCELLED);
}

KernelTest(http_ends, can_be_cancelled_at_any_point)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *kept = client();
    for (unsigned n = 0; n < 100; n++) {
        ouro_http_client *c = n & 1 ? client() : kept;
        cancel_after(w, c, n & 2 ? "/hop" : "/slow", n);
        check_eq(stats_of(c).under_way, 0);
        if (c != kept)
            ouro_http_client_free(c);
    }
    check(stats_of(kept).cancelled > 0);
    check_eq(ouro_await(ouro_http_get(kept, wild_url(w, "/fine"), NULL)), 200);
    ouro_http_client_free(kept);
    wild_stop(w);
    return 0;
}

KernelTest(http_ends, can_be_cancelled_in_the_line_and_while_it_is_looked_up)
{
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client_with((ouro_http_client_options){.host_max = 1});
    ouro_future *f[5];
    for (int i = 0; i < 4; i++)
        f[i] = ouro_http_get(c, wild_url(w, i ? "/fine" : "/silent"), NULL);
    f[4] = ouro_http_get(c, "http://no.such.host.invalid/", NULL);
    ouro_yield();
    ouro_cancel(f[4]);
    ouro_cancel(f[2]);
    check_eq(ouro_await(f[4]), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(f[2]), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(w->requests, 1);
    ouro_cancel(f[0]);
    check_eq(ouro_await(f[0]), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(f[1]), 200);
    check_eq(ouro_await(f[3]), 200);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* ---- Clients that go ------------------------------------------------------------------------- */

KernelTest(http_ends, a_client_is_freed_at_any_point)
{
    struct wild *w = wild_start(scripts);
    for (unsigned n = 0; n < 60; n++) {
        ouro_http_client *c = client();
        ouro_future *f = ouro_http_get(c, wild_url(w, n & 1 ? "/slow" : "/silent"), NULL);
        for (unsigned i = 0; i < n && ouro_future_state(f) == OURO_PENDING; i++)
            check_eq(ouro_await(ouro_sleep(OURO_US(20))), 0);
        bool was_pending = ouro_future_state(f) == OURO_PENDING;
        ouro_http_client_free(c);
        check_eq(was_pending ? words_of(f, "the client was freed") : ouro_await(f),
                 was_pending ? -EBADF : 200);
    }
    wild_stop(w);
    return 0;
}

struct meddler {
    ouro_http_client *client;
    const char *url;
    ouro_future *more;
    ouro_future *other;
    int calls;
};

static int free_client(const void *data, size_t size, int status, void *arg)
{
    struct meddler *m = arg;
    (void)data;
    (void)size;
    (void)status;
    m->calls++;
    ouro_http_client_free(m->client);
    return 0;
}

KernelTest(http_ends, a_sink_may_free_the_client)
{
    struct wild *w = wild_start(scripts);
    struct meddler m = {.client = client()};
    ouro_http_options o = {.sink = free_client, .arg = &m};
    ouro_future *other = ouro_http_get(m.client, wild_url(w, "/silent"), NULL);
    ouro_future *queued = ouro_http_get(m.client, "http://no.such.invalid/", NULL);
    check_eq(ouro_await(ouro_http_get(m.client, wild_url(w, "/slow"), &o)), -EBADF);
    check_eq(ouro_await(other), -EBADF);
    int64_t rc = ouro_await(queued);
    check(rc == -EBADF || rc == -OURO_ENONAME);
    check_eq(m.calls, 1);
    wild_stop(w);
    return 0;
}

static int ask_more(const void *data, size_t size, int status, void *arg)
{
    struct meddler *m = arg;
    (void)data;
    (void)size;
    (void)status;
    if (m->calls++ == 0) {
        m->more = ouro_http_get(m->client, m->url, NULL);
        ouro_cancel(m->other);
    }
    return 0;
}

KernelTest(http_ends, a_sink_may_make_and_cancel_requests)
{
    struct wild *w = wild_start(scripts);
    struct meddler m = {.client = client(), .url = wild_url(w, "/fine")};
    ouro_http_options o = {.sink = ask_more, .arg = &m};
    m.other = ouro_http_get(m.client, wild_url(w, "/silent"), NULL);
    check_eq(ouro_await(ouro_http_get(m.client, wild_url(w, "/slow"), &o)), 200);
    check_eq(ouro_await(m.more), 200);
    check_eq(ouro_await(m.other), -OURO_ECHILDCANCELLED);
    check_eq(m.calls, 5);
    ouro_http_client_free(m.client);
    wild_stop(w);
    return 0;
}

/* ---- Loops, threads, processes --------------------------------------------------------------- */

/* A peer that is no part of the loop: it accepts, in the kernel, and says nothing. */
static int silent_peer(char url[64])
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(url, 64, "http://127.0.0.1:%d/", port_of(fd));
    check_eq(listen(fd, 64), 0);
    return fd;
}

static void shut_down_after(unsigned n, bool frees_first)
{
    char url[64];
    int fd = silent_peer(url), before = open_fds();
    begin_kernel();
    ouro_http_client *c = client();
    ouro_future *f = ouro_http_get(c, url, NULL);
    ouro_future *g = ouro_http_get(c, "http://no.such.invalid/", NULL);
    turns(n);
    if (frees_first)
        ouro_http_client_free(c);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check(ouro_future_state(f) != OURO_PENDING);
    check(ouro_future_state(g) != OURO_PENDING);
    ouro_future *late = ouro_http_get(frees_first ? NULL : c, url, NULL);
    check(ouro_future_result(late).n < 0);
    check(ouro_future_result(f).n < 0);
    check(ouro_future_result(g).n < 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_unref(late);
    ouro_unref(f);
    ouro_unref(g);
    if (!frees_first)
        ouro_http_client_free(c);
    while (ouro_resolve_counts().under_way)
        usleep(1000);
    for (int i = 0; i < 1000 && open_fds() != before; i++)
        usleep(1000); /* a lookup that was abandoned has a socket, and wakes the loop */
    end_closed();
    close(fd);
}

Test(http_ends, a_loop_is_shut_down_with_requests_under_way)
{
    for (unsigned n = 0; n < 8; n++) {
        shut_down_after(n, false);
        shut_down_after(n, true);
    }
}

static ouro_http_client *shared;
static ouro_future *shared_request;

static int in_the_child(void)
{
    ouro_http_client_stats s;
    ouro_http_client *other = NULL;
    child_check(ouro_http_client_stats_get(shared, &s) == -ECHILD);
    child_check(ouro_http_client_new(NULL, &other) == -ECHILD);
    ouro_future *f = ouro_http_get(shared, "http://127.0.0.1:1/", NULL);
    child_check(ouro_future_result(f).n == -ECHILD);
    child_check(ouro_http_request_continue(shared_request) == -ECHILD);
    child_check(ouro_http_client_free(shared) == NULL);
    return 0;
}

static int64_t give_none(void *buf, size_t size, void *arg)
{
    (void)buf;
    (void)size;
    (void)arg;
    return -EAGAIN;
}

KernelTest(http_ends, a_child_leaves_the_connections_alone)
{
    struct wild *w = wild_start(scripts);
    ouro_http_options o = {.source = give_none};
    shared = client();
    check_eq(ouro_await(ouro_http_get(shared, wild_url(w, "/fine"), NULL)), 200);
    shared_request = ouro_http_post(shared, wild_url(w, "/fine"), &o);
    check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    check_child(in_the_child, NULL, 0);
    ouro_cancel(shared_request);
    check_eq(ouro_await(shared_request), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(ouro_http_get(shared, wild_url(w, "/fine"), NULL)), 200);
    ouro_http_client_free(shared);
    wild_stop(w);
    return 0;
}

static void *elsewhere(void *arg)
{
    ouro_http_client *c = arg, *other = NULL;
    ouro_http_client_stats s;
    ouro_loop *loop;
    check_eq(ouro_http_client_new(NULL, &other), -EPERM);
    check_eq(ouro_http_client_stats_get(c, &s), -EXDEV);
    check_eq(ouro_loop_new(NULL, &loop), 0);
    ouro_future *f = ouro_http_get(c, "http://127.0.0.1:1/", NULL);
    check_eq(ouro_future_result(f).n, -EXDEV);
    ouro_unref(f);
    check(ouro_http_client_free(c) == NULL); /* and does nothing */
    check_eq(ouro_loop_close(loop), 0);
    return NULL;
}

KernelTest(http_ends, other_threads_are_refused)
{
    pthread_t t;
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    check_eq(pthread_create(&t, NULL, elsewhere, c), 0);
    check_eq(pthread_join(t, NULL), 0);
    check_eq(ouro_await(ouro_http_get(c, wild_url(w, "/fine"), NULL)), 200);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}
