/* SPDX-License-Identifier: MIT */

/*
 * Servers as child processes, each with a listening socket of its own.
 *
 * Nothing here returns an error: a program that is not there is said so once, what should never fail
 * ends the benchmark.
 */

#define _GNU_SOURCE 1

#include "servers.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

/* ---- Programs -------------------------------------------------------------------------------- */

static int has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static int can_import(const char *modules)
{
    char text[64], program[128];
    snprintf(program, sizeof program, "import %s", modules);
    return bench_program((const char *[]){BENCH_PYTHON, "-I", "-c", program, NULL}, text,
                         sizeof text) == 0;
}

static int find(struct bench_server *s, const char *programs, const char *sources)
{
    char source[PATH_MAX];
    snprintf(source, sizeof source, "%s/%s", sources, s->file);
    if (has_suffix(s->file, ".go"))
        return bench_build_go(source, s->path) == 0;
    if (has_suffix(s->file, ".py")) {
        strcpy(s->path, source);
        return can_import(s->imports);
    }
    if (s->file[0] == '/')
        snprintf(s->path, sizeof s->path, "%s", s->file);
    else
        snprintf(s->path, sizeof s->path, "%s/%s", programs, s->file);
    return access(s->path, X_OK) == 0;
}

int bench_server_find(struct bench_server *s, const char *programs, const char *sources)
{
    if (find(s, programs, sources))
        return 1;
    (void)bench_skip(s->missing);
    s->path[0] = '\0';
    return 0;
}

static void command(const struct bench_server *s, const char **argv)
{
    size_t n = 0;
    if (has_suffix(s->path, ".py")) {
        argv[n++] = BENCH_PYTHON;
        argv[n++] = "-I";
    }
    argv[n++] = s->path;
    for (size_t i = 0; i < BENCH_COUNT(s->args) && s->args[i]; i++)
        argv[n++] = s->args[i];
    argv[n] = NULL;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static void set(int fd, int level, int name, const void *value, socklen_t size)
{
    if (setsockopt(fd, level, name, value, size) != 0)
        bench_fail("setsockopt: %s", strerror(errno));
}

int bench_listen(int family, char *ret_place, size_t size)
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

/* ---- Processes ------------------------------------------------------------------------------- */

void bench_server_start(struct bench_server *s, int listener, int cpu)
{
    const char *argv[BENCH_COUNT(s->args) + 4];
    command(s, argv);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, s->signal ? s->signal : SIGKILL);
        if (bench_pin(cpu) != 0)
            bench_fail("cannot run on processor %d", cpu);
        if (listener == BENCH_LISTENER)
            fcntl(listener, F_SETFD, 0);
        else
            dup2(listener, BENCH_LISTENER);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(BENCH_NO_PROGRAM);
    }
    if (pid < 0)
        bench_fail("fork: %s", strerror(errno));
    close(listener);
    s->pid = pid;
}

void bench_server_stop(struct bench_server *s)
{
    struct rusage usage;
    kill(s->pid, s->signal ? s->signal : SIGKILL);
    wait4(s->pid, NULL, 0, &usage);
    bench_process(&usage);
    s->pid = 0;
}

/* The sum of what @read says of a process and of each of its children. */
static double sum(pid_t pid, double (*read)(pid_t pid))
{
    char path[64];
    int child;
    double all = read(pid);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *children = fopen(path, "re");
    while (children && fscanf(children, "%d", &child) == 1)
        all += read(child);
    if (children)
        fclose(children);
    return all;
}

static double own_peak(pid_t pid)
{
    char path[64], line[128];
    double kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lf", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib * 1024;
}

double bench_process_peak(pid_t pid)
{
    return sum(pid, own_peak);
}

static double own_cpu(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        bench_fail("the processor time of process %d: has it ended?", (int)pid);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

uint64_t bench_process_cpu(pid_t pid)
{
    return (uint64_t)sum(pid, own_cpu);
}
