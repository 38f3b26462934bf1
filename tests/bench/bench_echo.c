/* SPDX-License-Identifier: MIT */

/*
 * Echo servers, ours and its rivals: what one core serves when another keeps it busy.
 *
 * A round starts a server on the first processor with a listening socket of its own, drives it from
 * another processor for a moment and kills it. The servers take turns within a round, and ratios
 * are taken round by round. More is better in messages a second; less is better in the processor
 * time that the server takes for a message, which is what to go by when the machine is not quiet.
 *
 * Loopback needs the cubic congestion control: others pace what they send. Accepted sockets have
 * it from the listening one.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peers.h"

enum { LISTENER = 3, BACKLOG = 4096, MAX_ROUNDS = 1001 };

struct server {
    const char *name;
    const char *file;    /* in echo/: a program that was built in, NAME.go or NAME.py */
    const char *arg;     /* of the program */
    const char *missing; /* why it cannot be measured, if it is not there */
    char path[PATH_MAX]; /* of the program; empty: not there */
};

struct load {
    const char *name;
    int family;
    unsigned connections;
    unsigned size;
    unsigned depth;
};

/* What the load generator prints. */
enum figure { RATE, P50, P99, P999, CPU, FIGURES };

struct summary {
    double median[FIGURES];
    double rate_ratio; /* of the server that is compared to this one */
    double cpu_ratio;
};

static struct server servers[] = {
    {.name = "ouro", .file = "server_ouro", .missing = "ouro: its echo server was not built"},
    {.name = "liburing", .file = "server_raw", .missing = "liburing: was not built"},
    {.name = "epoll", .file = "server_epoll", .missing = "epoll: was not built"},
    {.name = "libuv", .file = "server_uv", .missing = "libuv: libuv1-dev"},
    {.name = "uvloop", .file = "server.py", .arg = "uvloop", .missing = "uvloop: python3-uvloop"},
    {.name = "asyncio", .file = "server.py", .arg = "asyncio", .missing = "asyncio: python3"},
    {.name = "go", .file = "server.go", .missing = "Go: golang-go"},
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

enum { SERVERS = BENCH_COUNT(servers) };

static struct {
    int rounds;
    int ms;
    int cpu;
    int list;
    const char *only;
    const char *server;
    FILE *json;
} options = {.rounds = 9, .ms = 500, .server = "ouro"};

static double samples[SERVERS][FIGURES][MAX_ROUNDS];

/* ---- Programs -------------------------------------------------------------------------------- */

static int has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static const char *const *command(const struct server *s, const char *argv[5])
{
    size_t n = 0;
    if (has_suffix(s->path, ".py")) {
        argv[n++] = BENCH_PYTHON;
        argv[n++] = "-I";
    }
    argv[n++] = s->path;
    argv[n++] = s->arg;
    argv[n] = NULL;
    return argv;
}

/* Whether the Python packages are there that @s imports. */
static int can_import(const struct server *s)
{
    char text[64];
    char program[64];
    snprintf(program, sizeof program, "import %s", s->arg);
    return bench_program((const char *[]){BENCH_PYTHON, "-I", "-c", program, NULL}, text,
                         sizeof text) == 0;
}

static int find(struct server *s)
{
    char source[PATH_MAX];
    snprintf(source, sizeof source, "%s/%s", BENCH_ECHO_SOURCES, s->file);
    if (has_suffix(s->file, ".go"))
        return bench_build_go(source, s->path) == 0;
    if (has_suffix(s->file, ".py")) {
        strcpy(s->path, source);
        return can_import(s);
    }
    snprintf(s->path, sizeof s->path, "%s/%s", BENCH_ECHO_PROGRAMS, s->file);
    return access(s->path, X_OK) == 0;
}

static void find_all(void)
{
    for (size_t i = 0; i < SERVERS; i++) {
        if (find(&servers[i]))
            continue;
        (void)bench_skip(servers[i].missing);
        servers[i].path[0] = '\0';
    }
}

/* ---- A round --------------------------------------------------------------------------------- */

static void set(int fd, int level, int name, const void *value, socklen_t size)
{
    if (setsockopt(fd, level, name, value, size) != 0)
        bench_fail("setsockopt: %s", strerror(errno));
}

/* A socket that listens where nobody else does, and the place as the load generator takes it. */
static int listen_somewhere(int family, char *ret_place, size_t size)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } at;
    memset(&at, 0, sizeof at);
    at.any.sa_family = (sa_family_t)family;
    socklen_t length = family == AF_INET ? sizeof at.in : sizeof(sa_family_t);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (family == AF_INET) {
        at.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        set(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        set(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    }
    if (bind(fd, &at.any, length) != 0 || listen(fd, BACKLOG) != 0)
        bench_fail("a listening socket: %s", strerror(errno));
    length = sizeof at;
    getsockname(fd, &at.any, &length);
    if (family == AF_INET)
        snprintf(ret_place, size, "tcp:%d", ntohs(at.in.sin_port));
    else
        snprintf(ret_place, size, "unix:%.*s",
                 (int)(length - offsetof(struct sockaddr_un, sun_path) - 1), at.un.sun_path + 1);
    return fd;
}

/* Start a server that accepts from @listener, which becomes its own. */
static pid_t start(const struct server *s, int listener)
{
    const char *argv[5];
    command(s, argv);
    if (bench_pin(options.cpu) != 0)
        bench_fail("cannot run on processor %d", options.cpu);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (listener == LISTENER)
            fcntl(listener, F_SETFD, 0);
        else
            dup2(listener, LISTENER);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(BENCH_NO_PROGRAM);
    }
    if (pid < 0)
        bench_fail("fork: %s", strerror(errno));
    close(listener);
    return pid;
}

static void run_load(const struct load *l, const char *place, pid_t server, double *ret_figures)
{
    char numbers[5][16], text[256];
    snprintf(numbers[0], sizeof numbers[0], "%u", l->connections);
    snprintf(numbers[1], sizeof numbers[1], "%u", l->size);
    snprintf(numbers[2], sizeof numbers[2], "%u", l->depth);
    snprintf(numbers[3], sizeof numbers[3], "%d", options.ms);
    snprintf(numbers[4], sizeof numbers[4], "%d", (int)server);
    const char *argv[] = {BENCH_ECHO_PROGRAMS "/load",
                          place,
                          numbers[0],
                          numbers[1],
                          numbers[2],
                          numbers[3],
                          numbers[4],
                          NULL};
    if (bench_pin(bench_other_cpu()) != 0)
        bench_fail("the load needs a processor of its own");
    double *f = ret_figures;
    int status = bench_program(argv, text, sizeof text);
    if (status != 0 || sscanf(text, "%lf %lf %lf %lf %lf", f, f + 1, f + 2, f + 3, f + 4) != 5)
        bench_fail("%s: the load ended with status %d and printed \"%s\"", l->name, status, text);
}

static void measure(const struct server *s, const struct load *l, double ret_figures[FIGURES])
{
    char place[128];
    int listener = listen_somewhere(l->family, place, sizeof place);
    pid_t pid = start(s, listener);
    run_load(l, place, pid, ret_figures);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* ---- A case ---------------------------------------------------------------------------------- */

static double median_ratio(size_t a, size_t b, enum figure f)
{
    static double ratios[MAX_ROUNDS];
    size_t n = (size_t)options.rounds;
    for (size_t r = 0; r < n; r++)
        ratios[r] = samples[a][f][r] / samples[b][f][r];
    return bench_quantile(ratios, n, 0.5);
}

/* Ratios first: taking a median sorts. */
static void summarise(size_t compared, struct summary *ret)
{
    for (size_t i = 0; i < SERVERS; i++) {
        ret[i].rate_ratio = median_ratio(compared, i, RATE);
        ret[i].cpu_ratio = median_ratio(compared, i, CPU);
    }
    for (size_t i = 0; i < SERVERS; i++)
        for (size_t f = 0; f < FIGURES; f++)
            ret[i].median[f] = bench_quantile(samples[i][f], (size_t)options.rounds, 0.5);
}

static void print_row(const struct server *s, const struct summary *m, int is_compared)
{
    printf("  %-10s %10.0f %9.0f %9.0f %9.0f %10.0f", s->name, m->median[RATE], m->median[P50],
           m->median[P99], m->median[P999], m->median[CPU]);
    if (is_compared || isnan(m->rate_ratio))
        printf("%9s %9s\n", "-", "-");
    else
        printf("%9.2f %9.2f\n", m->rate_ratio, m->cpu_ratio);
}

static void json_row(const struct load *l, const struct server *s, const struct summary *m)
{
    static const char *const keys[FIGURES] = {"rate", "p50", "p99", "p999", "cpu"};
    fprintf(options.json, "{\"case\":\"echo.%s\",\"server\":\"%s\",\"compared\":\"%s\"", l->name,
            s->name, options.server);
    for (size_t f = 0; f < FIGURES; f++)
        fprintf(options.json, ",\"%s\":%.6g", keys[f], m->median[f]);
    if (!isnan(m->rate_ratio))
        fprintf(options.json, ",\"rate_ratio\":%.4g,\"cpu_ratio\":%.4g", m->rate_ratio,
                m->cpu_ratio);
    fprintf(options.json, ",\"rounds\":%d}\n", options.rounds);
    fflush(options.json);
}

static void show(const struct load *l, size_t compared)
{
    struct summary all[SERVERS];
    summarise(compared, all);
    printf("\n%-12s %10s %9s %9s %9s %10s  %s to it in\n", l->name, "msgs/s", "p50 us", "p99 us",
           "p99.9 us", "CPU ns/msg", options.server);
    printf("%66s %8s %9s\n", "", "msgs/s", "CPU");
    for (size_t i = 0; i < SERVERS; i++) {
        if (!servers[i].path[0])
            continue;
        print_row(&servers[i], &all[i], i == compared);
        if (options.json)
            json_row(l, &servers[i], &all[i]);
    }
    fflush(stdout);
}

static void run_case(const struct load *l, size_t compared)
{
    for (size_t round = 0; round < (size_t)options.rounds; round++)
        for (size_t i = 0; i < SERVERS; i++) {
            double figures[FIGURES] = {NAN, NAN, NAN, NAN, NAN};
            if (servers[i].path[0])
                measure(&servers[i], l, figures);
            for (size_t f = 0; f < FIGURES; f++)
                samples[i][f][round] = figures[f];
        }
    show(l, compared);
}

/* ---- Command line ---------------------------------------------------------------------------- */

static void usage(FILE *out, const char *program)
{
    fprintf(out,
            "usage: %s [--rounds N] [--ms N] [--case NAME] [--server NAME] [--cpu N]\n"
            "       [--json FILE] [--list]\n"
            "  --rounds N     rounds of each case, 1 to %d (default 9)\n"
            "  --ms N         length of each measurement (default 500)\n"
            "  --case NAME    only the cases whose name begins with NAME\n"
            "  --server NAME  the server that is compared with the others (default ouro)\n"
            "  --cpu N        processor of the servers (default 0)\n"
            "  --json FILE    append a JSON object a line to FILE\n"
            "  --list         print the names of the cases\n"
            "A case is SOCKETS.CONNECTIONSxBYTESxMESSAGES-UNDER-WAY.\n",
            program, MAX_ROUNDS);
}

static int number(const char *text, int low, int high)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (end == text || *end || v < low || v > high)
        bench_fail("'%s' is not a number from %d to %d", text, low, high);
    return (int)v;
}

/* -1: go on. Else the exit status. */
static int parse(int argc, char **argv)
{
    static const struct option known[] = {{"rounds", required_argument, NULL, 'r'},
                                          {"ms", required_argument, NULL, 'm'},
                                          {"case", required_argument, NULL, 'c'},
                                          {"server", required_argument, NULL, 's'},
                                          {"cpu", required_argument, NULL, 'p'},
                                          {"json", required_argument, NULL, 'j'},
                                          {"list", no_argument, NULL, 'l'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    for (int o; (o = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (o == 'r')
            options.rounds = number(optarg, 1, MAX_ROUNDS);
        else if (o == 'm')
            options.ms = number(optarg, 1, 60000);
        else if (o == 'c')
            options.only = optarg;
        else if (o == 's')
            options.server = optarg;
        else if (o == 'p')
            options.cpu = number(optarg, 0, 1023);
        else if (o == 'l')
            options.list = 1;
        else if (o == 'j' && !(options.json = fopen(optarg, "ae")))
            bench_fail("%s: %s", optarg, strerror(errno));
        else if (o == 'h' || o == '?') {
            usage(o == 'h' ? stdout : stderr, argv[0]);
            return o == 'h' ? 0 : 2;
        }
    }
    if (optind == argc)
        return -1;
    usage(stderr, argv[0]);
    return 2;
}

static size_t compared_server(void)
{
    size_t i = 0;
    while (i < SERVERS && strcmp(servers[i].name, options.server) != 0)
        i++;
    if (i == SERVERS)
        bench_fail("there is no server '%s'", options.server);
    return i;
}

int main(int argc, char **argv)
{
    int status = parse(argc, argv);
    if (status >= 0)
        return status;
    size_t compared = compared_server();
    if (!options.list) {
        bench_pin_process(options.cpu);
        find_all();
    }
    for (size_t i = 0; i < BENCH_COUNT(loads); i++) {
        if (options.only && strncmp(loads[i].name, options.only, strlen(options.only)) != 0)
            continue;
        if (options.list)
            puts(loads[i].name);
        else
            run_case(&loads[i], compared);
    }
    return options.json && fclose(options.json) != 0;
}
