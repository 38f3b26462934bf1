/* SPDX-License-Identifier: MIT */

/*
 * Echo servers, ours and its rivals: what one core serves when another keeps it busy.
 *
 * A round starts a server on the first processor with a listening socket of its own, drives it from
 * another processor for a moment and kills it. More is better in messages a second; less is better
 * in the processor time that the server takes for a message (the cases NAME.cpu), which is what to
 * go by when the machine is not quiet. Time and memory of a round are those of the server.
 *
 * Loopback needs the cubic congestion control: others pace what they send. Accepted sockets have
 * it from the listening one.
 */

#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
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

enum { LISTENER = 3, BACKLOG = 4096 };

#define LENGTH OURO_MS(400) /* of a round */

struct server {
    const char *name;
    const char *file;    /* in echo/: a program that was built in, NAME.go or NAME.py */
    const char *arg;     /* of the program */
    const char *missing; /* why it cannot be measured, if it is not there */
    int found;           /* 0: not looked for, -1: not there */
    char path[PATH_MAX]; /* of the program */
};

struct load {
    const char *name;
    int family;
    unsigned connections;
    unsigned size;
    unsigned depth;
};

/* What the load generator prints. */
enum figure { RATE, P50, P90, P99, P999, CPU, FIGURES };

static struct server servers[] = {
    {.name = "ouro", .file = "server_ouro", .missing = "ouro: its echo server was not built"},
    {.name = "raw liburing", .file = "server_raw", .missing = "liburing: was not built"},
    {.name = "epoll", .file = "server_epoll", .missing = "epoll: was not built"},
    {.name = "libuv", .file = "server_uv", .missing = "libuv: libuv1-dev"},
    {.name = "uvloop", .file = "server.py", .arg = "uvloop", .missing = "uvloop: python3-uvloop"},
    {.name = "asyncio", .file = "server.py", .arg = "asyncio", .missing = "asyncio: python3"},
    {.name = "Go", .file = "server.go", .missing = "Go: golang-go"},
};

static const struct load loads[] = {
    {"echo.tcp.1x64x1", AF_INET, 1, 64, 1},
    {"echo.tcp.1x64x16", AF_INET, 1, 64, 16},
    {"echo.tcp.1x4096x1", AF_INET, 1, 4096, 1},
    {"echo.tcp.1x4096x16", AF_INET, 1, 4096, 16},
    {"echo.tcp.50x64x1", AF_INET, 50, 64, 1},
    {"echo.tcp.50x64x16", AF_INET, 50, 64, 16},
    {"echo.tcp.50x4096x1", AF_INET, 50, 4096, 1},
    {"echo.tcp.50x4096x16", AF_INET, 50, 4096, 16},
    {"echo.tcp.500x64x1", AF_INET, 500, 64, 1},
    {"echo.tcp.500x64x16", AF_INET, 500, 64, 16},
    {"echo.tcp.500x4096x1", AF_INET, 500, 4096, 1},
    {"echo.tcp.500x4096x16", AF_INET, 500, 4096, 16},
    {"echo.unix.50x64x1", AF_UNIX, 50, 64, 1},
    {"echo.unix.50x64x16", AF_UNIX, 50, 64, 16},
    {"echo.unix.50x4096x16", AF_UNIX, 50, 4096, 16},
    {"echo.unix.500x64x1", AF_UNIX, 500, 64, 1},
};

enum { SERVERS = BENCH_COUNT(servers), LOADS = BENCH_COUNT(loads) };

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

/* Looked for once. */
static int is_there(struct server *s)
{
    if (!s->found)
        s->found = find(s) ? 1 : -1;
    return s->found > 0;
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
    snprintf(numbers[3], sizeof numbers[3], "%d", (int)(bench_round_time(LENGTH) / OURO_MS(1)));
    snprintf(numbers[4], sizeof numbers[4], "%d", (int)server);
    const char *argv[] = {BENCH_ECHO_PROGRAMS "/load",
                          place,
                          numbers[0],
                          numbers[1],
                          numbers[2],
                          numbers[3],
                          numbers[4],
                          NULL};
    int own = sched_getcpu();
    if (bench_pin(bench_other_cpu()) != 0)
        bench_fail("the load needs a processor of its own");
    double *f = ret_figures;
    int status = bench_program(argv, text, sizeof text);
    bench_pin(own);
    if (status != 0 ||
        sscanf(text, "%lf %lf %lf %lf %lf %lf", f, f + 1, f + 2, f + 3, f + 4, f + 5) != FIGURES)
        bench_fail("%s: the load ended with status %d and printed \"%s\"", l->name, status, text);
}

static double measure(struct server *s, const struct load *l)
{
    char place[128];
    double figures[FIGURES];
    struct rusage usage;
    if (bench_other_cpu() < 0)
        return bench_skip("echo servers and their load: they need a second processor");
    if (!is_there(s))
        return bench_skip(s->missing);
    int listener = listen_somewhere(l->family, place, sizeof place);
    pid_t pid = start(s, listener);
    run_load(l, place, pid, figures);
    kill(pid, SIGKILL);
    wait4(pid, NULL, 0, &usage);
    bench_process(&usage);
    bench_latencies(&figures[P50]);
    bench_cpu_each(figures[CPU]);
    return figures[RATE];
}

/* ---- Cases ----------------------------------------------------------------------------------- */

struct pair {
    struct server *server;
    const struct load *load;
};

static struct pair pairs[LOADS][SERVERS];
static struct bench_case cases[LOADS];

static double serve(const void *arg)
{
    const struct pair *p = arg;
    return measure(p->server, p->load);
}

static void make_case(size_t l)
{
    struct bench_case *c = &cases[l];
    for (size_t s = 0; s < SERVERS; s++)
        pairs[l][s] = (struct pair){&servers[s], &loads[l]};
    *c = (struct bench_case){.name = loads[l].name,
                             .unit = "messages/s",
                             .ouro = serve,
                             .arg = &pairs[l][0],
                             .higher = 1,
                             .warm = 1};
    for (size_t s = 1; s < SERVERS; s++)
        c->more[s - 1] = (struct bench_rival){servers[s].name, serve, &pairs[l][s], NULL};
}

int main(int argc, char **argv)
{
    for (size_t l = 0; l < LOADS; l++)
        make_case(l);
    cases[0].note = "connections x bytes x messages under way on each of them";
    return bench_main(argc, argv, "Echo servers on one processor, their load on another", cases,
                      LOADS);
}
