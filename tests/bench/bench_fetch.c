/* SPDX-License-Identifier: MIT */

/*
 * HTTP: what a GET costs through the client and coroutines, beside libcurl driven by hand in an
 * epoll loop, Go's net/http, aiohttp and httpx.
 *
 * The program and its rival run on one processor, nginx, which answers by itself, on another. Each
 * case is measured twice: by the clock, and by the processor time that the client takes, since the
 * server is part of the former. Requests are made by as many tasks, or handles, as are in flight;
 * both read the answer's body into memory of their own. The rival sets a handle up once, and does
 * no more for each request than to add it again. Clients in other languages are programs of their
 * own; httpx, being slow, makes fewer requests.
 */

#define _GNU_SOURCE 1

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ouro/http_client.h>

#include "nginx.h"
#include "peers.h"

#define REQUESTS   20000u
#define WARM       2000u
#define FLIGHT_MAX 100u

enum what { BY_CLOCK, BY_CPU };

struct job {
    enum what what;
    unsigned flight;
    unsigned requests;
    double figure;
};

static uint64_t begin(enum what what)
{
    return what == BY_CLOCK ? bench_now() : bench_cpu();
}

static double end(enum what what, uint64_t start, double n)
{
    return what == BY_CLOCK ? bench_per(start, n) : bench_cpu_per(start, n);
}

/* The server, which all rounds share. NULL: there is none. */
static const char *server(void)
{
    static char url[256];
    static int done;
    if (!done++) {
        struct nginx *n = nginx_start(bench_other_cpu());
        if (n)
            nginx_url(n, "/", url);
    }
    return *url ? url : NULL;
}

/* ---- ouro ------------------------------------------------------------------------------------ */

struct getter {
    ouro_http_client *client;
    const char *url;
    unsigned left;
};

static int64_t get(void *arg)
{
    struct getter *g = arg;
    while (g->left) {
        int64_t rc;
        g->left--;
        ouro_http_response *r = ouro_await_ptr(ouro_http_get(g->client, g->url, NULL), &rc);
        bench_check(rc == 200 && r->size == 6 ? 0 : rc < 0 ? rc : -EIO, g->url);
        ouro_http_response_free(r);
    }
    return 0;
}

static void get_all(struct getter *g, unsigned flight, unsigned requests)
{
    ouro_future *f[FLIGHT_MAX];
    g->left = requests;
    for (unsigned i = 0; i < flight; i++)
        f[i] = ouro_spawn(get, g);
    bench_check(ouro_await(ouro_gather(f, flight, OURO_GATHER_ALL, NULL)), "requests");
}

static int64_t fetch(void *arg)
{
    struct job *job = arg;
    struct getter g = {.url = server()};
    bench_check(ouro_http_client_new(&(ouro_http_client_options){.proxy = ""}, &g.client),
                "client");
    get_all(&g, job->flight, WARM);
    uint64_t start = begin(job->what);
    get_all(&g, job->flight, job->requests);
    job->figure = end(job->what, start, job->requests);
    ouro_http_client_free(g.client);
    return 0;
}

static double ouro_gets(const void *arg)
{
    struct job job = *(const struct job *)arg;
    if (!server())
        return bench_skip("nginx is not installed: package nginx-light");
    bench_run(fetch, &job, 0);
    return job.figure;
}

/* ---- libcurl by hand ------------------------------------------------------------------------- */

struct bare {
    CURLM *multi;
    CURL *easy[FLIGHT_MAX];
    char body[FLIGHT_MAX][64];
    size_t size[FLIGHT_MAX];
    int epoll;
    long timeout;
};

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    memcpy(arg, data, size < 64 ? size : 64);
    return one * size;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *seen)
{
    struct bare *b = arg;
    struct epoll_event e = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(b->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    e.events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
               (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    epoll_ctl(b->epoll, seen ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
    curl_multi_assign(b->multi, fd, b);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct bare *b = arg;
    (void)multi;
    b->timeout = ms;
    return 0;
}

static void bare_init(struct bare *b, unsigned flight)
{
    *b = (struct bare){.multi = curl_multi_init(), .epoll = epoll_create1(EPOLL_CLOEXEC)};
    curl_multi_setopt(b->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(b->multi, CURLMOPT_SOCKETDATA, b);
    curl_multi_setopt(b->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(b->multi, CURLMOPT_TIMERDATA, b);
    curl_multi_setopt(b->multi, CURLMOPT_MAXCONNECTS, (long)FLIGHT_MAX);
    for (unsigned i = 0; i < flight; i++) {
        b->easy[i] = curl_easy_init();
        curl_easy_setopt(b->easy[i], CURLOPT_URL, server());
        curl_easy_setopt(b->easy[i], CURLOPT_PROXY, "");
        curl_easy_setopt(b->easy[i], CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(b->easy[i], CURLOPT_ACCEPT_ENCODING, "");
        curl_easy_setopt(b->easy[i], CURLOPT_USERAGENT, "bare");
        curl_easy_setopt(b->easy[i], CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(b->easy[i], CURLOPT_WRITEDATA, (void *)b->body[i]);
    }
}

static void bare_finish(struct bare *b, unsigned flight)
{
    for (unsigned i = 0; i < flight; i++)
        curl_easy_cleanup(b->easy[i]);
    curl_multi_cleanup(b->multi);
    close(b->epoll);
}

/* Take what is done, and begin as many anew while there are some left. */
static unsigned bare_take(struct bare *b, unsigned *left)
{
    CURLMsg *m;
    unsigned done = 0;
    int queued;
    while ((m = curl_multi_info_read(b->multi, &queued))) {
        CURL *easy = m->easy_handle;
        long status = 0;
        bench_check(m->data.result == CURLE_OK ? 0 : -EIO, "libcurl");
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        bench_check(status == 200 ? 0 : -EIO, "status");
        curl_multi_remove_handle(b->multi, easy);
        done++;
        if (*left) {
            (*left)--;
            curl_multi_add_handle(b->multi, easy);
        }
    }
    return done;
}

static void bare_run(struct bare *b, unsigned flight, unsigned requests)
{
    struct epoll_event events[FLIGHT_MAX];
    unsigned left = requests - flight, done = 0;
    int running;
    for (unsigned i = 0; i < flight; i++)
        curl_multi_add_handle(b->multi, b->easy[i]);
    while (done < requests) {
        int n = epoll_wait(b->epoll, events, FLIGHT_MAX, (int)b->timeout);
        for (int i = 0; i < n; i++) {
            int bits = (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                       (events[i].events & ~(uint32_t)EPOLLOUT ? CURL_CSELECT_IN : 0);
            curl_multi_socket_action(b->multi, events[i].data.fd, bits, &running);
        }
        if (n == 0 || b->timeout == 0)
            curl_multi_socket_action(b->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        done += bare_take(b, &left);
    }
}

static double bare_gets(const void *arg)
{
    const struct job *job = arg;
    struct bare b;
    if (!server())
        return bench_skip("nginx is not installed: package nginx-light");
    bare_init(&b, job->flight);
    bare_run(&b, job->flight, WARM);
    uint64_t start = begin(job->what);
    bare_run(&b, job->flight, job->requests);
    double figure = end(job->what, start, job->requests);
    bare_finish(&b, job->flight);
    return figure;
}

/* ---- Other languages ------------------------------------------------------------------------- */

static double peer_gets(const struct job *job, const char *which, unsigned requests,
                        const char *missing)
{
    char flight[16], number[16];
    struct bench_peer peer = {.source = "fetch.py", .missing = missing};
    const char **word = peer.args;
    if (!server())
        return bench_skip("nginx is not installed: package nginx-light");
    snprintf(flight, sizeof flight, "%u", job->flight);
    snprintf(number, sizeof number, "%u", requests);
    if (which)
        *word++ = which;
    else
        peer.source = "fetch.go";
    *word++ = server();
    *word++ = flight;
    *word++ = number;
    *word++ = job->what == BY_CLOCK ? "clock" : "cpu";
    return bench_peer(&peer);
}

static double go_gets(const void *arg)
{
    const struct job *job = arg;
    return peer_gets(job, NULL, job->requests, "Go's client: golang-go");
}

static double aiohttp_gets(const void *arg)
{
    const struct job *job = arg;
    return peer_gets(job, "aiohttp", job->requests / 4, "aiohttp: python3-aiohttp, python3-uvloop");
}

static double httpx_gets(const void *arg)
{
    const struct job *job = arg;
    return peer_gets(job, "httpx", job->requests / 40, "httpx: python3-httpx, python3-uvloop");
}

/* ---------------------------------------------------------------------------------------------- */

static const struct job one_clock = {BY_CLOCK, 1, REQUESTS / 10, 0};
static const struct job one_cpu = {BY_CPU, 1, REQUESTS / 10, 0};
static const struct job many_clock = {BY_CLOCK, 100, REQUESTS, 0};
static const struct job many_cpu = {BY_CPU, 100, REQUESTS, 0};

/* Goals are ratios, and so cannot be budgets. */
#define CASE(label, peer_name, peer, which, goal)                                    \
    {                                                                                \
        .name = (label), .unit = "ns", .ouro = ouro_gets, .rival_name = (peer_name), \
        .rival = (peer), .arg = &(which), .package = "nginx-light", .note = (goal)   \
    }
#define BARE "libcurl in an epoll loop"

static const struct bench_case cases[] = {
    CASE("fetch.one.time", BARE, bare_gets, one_clock, NULL),
    CASE("fetch.one.cpu", BARE, bare_gets, one_cpu, NULL),
    CASE("fetch.many.time", BARE, bare_gets, many_clock, "goal: at most 1.05 of the rival"),
    CASE("fetch.many.cpu", BARE, bare_gets, many_cpu, NULL),
    CASE("fetch.many.go.time", "Go net/http", go_gets, many_clock, "goal: less than the rival"),
    CASE("fetch.many.go.cpu", "Go net/http", go_gets, many_cpu, NULL),
    CASE("fetch.many.aiohttp.time", "aiohttp, uvloop", aiohttp_gets, many_clock, NULL),
    CASE("fetch.many.aiohttp.cpu", "aiohttp, uvloop", aiohttp_gets, many_cpu, NULL),
    CASE("fetch.many.httpx.time", "httpx, uvloop", httpx_gets, many_clock, NULL),
    CASE("fetch.many.httpx.cpu", "httpx, uvloop", httpx_gets, many_cpu, NULL),
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, "HTTP client: nanoseconds a request, 1 and 100 in flight", cases,
                      BENCH_COUNT(cases));
}
