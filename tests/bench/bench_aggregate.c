/* SPDX-License-Identifier: MIT */

/*
 * An endpoint that fans out: it asks two upstreams at once and merges their JSON. Ours, Go's
 * net/http, and FastAPI with httpx.
 *
 * The server under test has one processor; upstreams, two servers of ours, and the load share
 * another, so that the table shows by the time that the server was busy whether it was the server
 * that was measured. Saturated: wrk, with upstreams that answer at once, or after 10 ms and with
 * more connections. Half: requests at half the rate that the same server has reached with
 * upstreams that answer at once, evenly, and upstreams that answer after 10 ms: latency above that
 * is the server's, and the load's.
 */

#define _GNU_SOURCE 1

#include <stdio.h>

#include "web.h"

#define AT_ONCE "/aggregate/0"
#define DELAYED "/aggregate/10"

struct load {
    const char *name;
    const char *path;
    unsigned connections; /* 0: at half the rate */
};

static char urls[2][64];

#define PYTHON "FastAPI: python3-fastapi, python3-uvicorn, python3-uvloop, python3-httpx"

static struct bench_server servers[] = {
    {.name = "ouro",
     .file = "server_ouro",
     .args = {"aggregate", urls[0], urls[1]},
     .missing = "ouro: was not built"},
    {.name = "Go",
     .file = "server.go",
     .args = {"aggregate", urls[0], urls[1]},
     .missing = "Go: golang-go"},
    {.name = "FastAPI",
     .file = "server.py",
     .args = {"fastapi", "aggregate", urls[0], urls[1]},
     .imports = "uvloop, fastapi, uvicorn, httpx",
     .missing = PYTHON},
    {.name = "upstream",
     .file = "server_ouro",
     .args = {"upstream"},
     .missing = "ouro: was not built"},
    {.name = "upstream2",
     .file = "server_ouro",
     .args = {"upstream"},
     .missing = "ouro: was not built"},
};

enum { OURO = 0, UPSTREAM = BENCH_COUNT(servers) - 2 };

static const struct load loads[] = {
    {"saturated.50", AT_ONCE, 50},
    {"saturated.10ms.200", DELAYED, 200},
    {"half.10ms", DELAYED, 0},
};

static double rates[BENCH_COUNT(servers)]; /* that were reached last */

static const char *case_name(size_t which)
{
    return loads[which].name;
}

static void start_upstreams(void)
{
    for (int i = 0; i < 2; i++) {
        struct bench_server *s = &servers[UPSTREAM + i];
        web_start(s, bench_other_cpu(), NULL);
        snprintf(urls[i], sizeof urls[i], "http://127.0.0.1:%d", s->port);
    }
}

static void start(struct bench_server *s, double *ret_rate)
{
    double figures[BENCH_FIGURES];
    if (s->pid)
        return;
    web_start(s, bench_race_cpu(), NULL);
    web_wrk(s, AT_ONCE, 50, figures); /* warms it up */
    *ret_rate = figures[BENCH_RATE];
}

static void measure(struct bench_server *s, size_t which, double *ret_figures)
{
    const struct load *l = &loads[which];
    size_t i = (size_t)(s - servers);
    if (!web_has_wrk())
        return;
    start_upstreams();
    if (i >= UPSTREAM) {
        if (i == UPSTREAM && !l->connections && rates[OURO] > 0)
            web_rate(s, "/10", rates[OURO] / 2, ret_figures);
        return;
    }
    start(s, &rates[i]);
    if (l->connections)
        web_wrk(s, l->path, l->connections, ret_figures);
    else
        web_rate(s, l->path, rates[i] / 2, ret_figures);
    if (l->connections == 50)
        rates[i] = ret_figures[BENCH_RATE];
}

int main(int argc, char **argv)
{
    static const struct bench_race race = {
        .title = "An endpoint that asks two upstreams at once",
        .name = "aggregate",
        .unit = "requests/s",
        .note = "saturated: so many connections; half: evenly, at half of what the same server has "
                "reached; upstream: what it takes itself",
        .programs = BENCH_HTTP_PROGRAMS,
        .sources = BENCH_HTTP_SOURCES,
        .ms = 2000,
        .servers = servers,
        .server_count = BENCH_COUNT(servers),
        .case_name = case_name,
        .case_count = BENCH_COUNT(loads),
        .measure = measure,
    };
    return bench_race_main(argc, argv, &race);
}
