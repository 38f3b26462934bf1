/* SPDX-License-Identifier: MIT */

/*
 * HTTP servers that say hello: ours beside nginx's `return 200`, Go's net/http, FastAPI and
 * aiohttp.
 *
 * Each has one processor, and wrk another. nginx has one worker, Go on one thread, the Python
 * servers on uvloop, so that each can use one processor and no more.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "web.h"

struct load {
    const char *name;
    unsigned connections;
};

static char folder[] = "/tmp/ouro-bench-nginx-XXXXXX"; /* of nginx */

static struct bench_server servers[] = {
    {.name = "ouro", .file = "server_ouro", .args = {"hello"}, .missing = "ouro: was not built"},
    {.name = "nginx",
     .file = "/usr/sbin/nginx",
     .args = {"-e", "stderr", "-p", folder, "-c", "nginx.conf"},
     .signal = SIGTERM,
     .missing = "nginx: nginx-light"},
    {.name = "Go", .file = "server.go", .args = {"hello"}, .missing = "Go: golang-go"},
    {.name = "FastAPI",
     .file = "server.py",
     .args = {"fastapi", "hello"},
     .imports = "uvloop, fastapi, uvicorn, httpx",
     .missing = "FastAPI: python3-fastapi, python3-uvicorn, python3-uvloop, python3-httpx"},
    {.name = "aiohttp",
     .file = "server.py",
     .args = {"aiohttp", "hello"},
     .imports = "uvloop, aiohttp",
     .missing = "aiohttp: python3-aiohttp, python3-uvloop"},
};

static const struct load loads[] = {{"hello.50", 50}, {"hello.500", 500}};

static const char *case_name(size_t which)
{
    return loads[which].name;
}

/* ---- nginx ----------------------------------------------------------------------------------- */

static struct bench_server *nginx;

/* It takes its file with the process id away itself. */
static void end_nginx(void)
{
    char path[64];
    bench_server_stop(nginx);
    snprintf(path, sizeof path, "%s/nginx.conf", folder);
    unlink(path);
    rmdir(folder);
}

static const char config[] =
    "%s daemon off; worker_processes 1; pid pid; error_log stderr crit;\n"
    "events { worker_connections 2048; }\n"
    "http { access_log off; keepalive_requests 1000000000; default_type text/plain;\n"
    "client_body_temp_path .; proxy_temp_path .; fastcgi_temp_path .; uwsgi_temp_path .;\n"
    "scgi_temp_path .;\n"
    "server { listen 127.0.0.1:%d; location / { return 200 \"hello world\\n\"; } } }\n";

/* It takes a listening socket that it was given, if its place is in the configuration, and if it
 * has a worker (1.22 crashes else). */
static void configure(const struct bench_server *s)
{
    char path[64];
    FILE *f = NULL;
    if (strcmp(s->name, "nginx") != 0)
        return;
    if (mkdtemp(folder)) {
        snprintf(path, sizeof path, "%s/nginx.conf", folder);
        f = fopen(path, "we");
    }
    if (!f)
        bench_fail("%s: %s", folder, strerror(errno));
    fprintf(f, config, getuid() == 0 ? "user root;" : "", s->port);
    fclose(f);
    setenv("NGINX", "3;", 1);
}

/* ---------------------------------------------------------------------------------------------- */

static void measure(struct bench_server *s, size_t which, double *ret_figures)
{
    if (!web_has_wrk())
        return;
    if (!s->pid) {
        web_start(s, bench_race_cpu(), configure);
        if (strcmp(s->name, "nginx") == 0) {
            nginx = s;
            atexit(end_nginx);
        }
        web_wrk(s, "/", loads[which].connections, ret_figures); /* warms it up */
    }
    web_wrk(s, "/", loads[which].connections, ret_figures);
}

int main(int argc, char **argv)
{
    static const struct bench_race race = {
        .title = "HTTP servers that say hello, on one processor, their load on another",
        .name = "http",
        .unit = "requests/s",
        .note = "the number: connections, each with one request at a time",
        .programs = BENCH_HTTP_PROGRAMS,
        .sources = BENCH_HTTP_SOURCES,
        .ms = 1000,
        .servers = servers,
        .server_count = BENCH_COUNT(servers),
        .case_name = case_name,
        .case_count = BENCH_COUNT(loads),
        .measure = measure,
    };
    return bench_race_main(argc, argv, &race);
}
