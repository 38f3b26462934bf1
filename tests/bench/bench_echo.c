/* SPDX-License-Identifier: MIT */

/*
 * Echo servers, ours and its rivals: what one core serves when another keeps it busy.
 *
 * A round starts a server on the first processor with a listening socket of its own, drives it from
 * another processor for a moment and kills it. More is better in messages a second; less is better
 * in the processor time that the server takes for a message (the cases NAME.cpu), which is what to
 * go by when the machine is not quiet.
 */

#define _GNU_SOURCE 1

#include <stdio.h>
#include <sys/socket.h>

#include "race.h"

struct load {
    const char *name;
    int family;
    unsigned connections;
    unsigned size;
    unsigned depth;
};

static struct bench_server servers[] = {
    {.name = "ouro", .file = "server_ouro", .missing = "ouro: its echo server was not built"},
    {.name = "raw liburing", .file = "server_raw", .missing = "liburing: was not built"},
    {.name = "epoll", .file = "server_epoll", .missing = "epoll: was not built"},
    {.name = "libuv", .file = "server_uv", .missing = "libuv: libuv1-dev"},
    {.name = "uvloop",
     .file = "server.py",
     .args = {"uvloop"},
     .imports = "uvloop",
     .missing = "uvloop: python3-uvloop"},
    {.name = "asyncio",
     .file = "server.py",
     .args = {"asyncio"},
     .imports = "asyncio",
     .missing = "asyncio: python3"},
    {.name = "Go", .file = "server.go", .missing = "Go: golang-go"},
};

static const struct load loads[] = {
    {"tcp.1x64x1", AF_INET, 1, 64, 1},          {"tcp.1x64x16", AF_INET, 1, 64, 16},
    {"tcp.1x4096x1", AF_INET, 1, 4096, 1},      {"tcp.1x4096x16", AF_INET, 1, 4096, 16},
    {"tcp.50x64x1", AF_INET, 50, 64, 1},        {"tcp.50x64x16", AF_INET, 50, 64, 16},
    {"tcp.50x4096x1", AF_INET, 50, 4096, 1},    {"tcp.50x4096x16", AF_INET, 50, 4096, 16},
    {"tcp.500x64x1", AF_INET, 500, 64, 1},      {"tcp.500x64x16", AF_INET, 500, 64, 16},
    {"tcp.500x4096x1", AF_INET, 500, 4096, 1},  {"tcp.500x4096x16", AF_INET, 500, 4096, 16},
    {"unix.50x64x1", AF_UNIX, 50, 64, 1},       {"unix.50x64x16", AF_UNIX, 50, 64, 16},
    {"unix.50x4096x16", AF_UNIX, 50, 4096, 16}, {"unix.500x64x1", AF_UNIX, 500, 64, 1},
};

static const char *case_name(size_t which)
{
    return loads[which].name;
}

static void run_load(const struct load *l, const char *place, pid_t server, double *ret_figures)
{
    char numbers[5][16], text[256];
    snprintf(numbers[0], sizeof numbers[0], "%u", l->connections);
    snprintf(numbers[1], sizeof numbers[1], "%u", l->size);
    snprintf(numbers[2], sizeof numbers[2], "%u", l->depth);
    snprintf(numbers[3], sizeof numbers[3], "%d", bench_race_ms());
    snprintf(numbers[4], sizeof numbers[4], "%d", (int)server);
    const char *argv[] = {BENCH_ECHO_PROGRAMS "/load",
                          place,
                          numbers[0],
                          numbers[1],
                          numbers[2],
                          numbers[3],
                          numbers[4],
                          NULL};
    int status = bench_program(argv, text, sizeof text);
    if (status != 0 || bench_read_figures(text, ret_figures) != 0)
        bench_fail("%s: the load ended with status %d and printed \"%s\"", l->name, status, text);
}

static void measure(struct bench_server *s, size_t which, double *ret_figures)
{
    char place[128];
    const struct load *l = &loads[which];
    int listener = bench_listen(l->family, place, sizeof place);
    bench_server_start(s, listener, bench_race_cpu());
    run_load(l, place, s->pid, ret_figures);
    bench_server_stop(s);
}

int main(int argc, char **argv)
{
    static const struct bench_race race = {
        .title = "Echo servers on one processor, their load on another",
        .name = "echo",
        .unit = "messages/s",
        .note = "socket, connections x bytes x messages under way on each of them",
        .programs = BENCH_ECHO_PROGRAMS,
        .sources = BENCH_ECHO_SOURCES,
        .ms = 400,
        .servers = servers,
        .server_count = BENCH_COUNT(servers),
        .case_name = case_name,
        .case_count = BENCH_COUNT(loads),
        .measure = measure,
    };
    return bench_race_main(argc, argv, &race);
}
