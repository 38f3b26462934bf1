/* SPDX-License-Identifier: MIT */

/*
 * Rounds of programs in other languages, as child processes.
 *
 * A Go program is built the first time it is asked for, into a folder that goes when we end; Python
 * is the system's own, whose packages a Debian machine can have. A tool or a package that is not
 * there is said once and makes the figure NAN; a program that breaks off ends the benchmark.
 */

#define _GNU_SOURCE 1

#include "peers.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 9 };

extern char **environ;

static char folder[] = "/tmp/ouro-bench-XXXXXX";

int bench_program(const char *const *argv, char *text, size_t size)
{
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0)
        bench_fail("pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    int rc = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    size_t n = 0;
    for (ssize_t got; rc == 0 && n + 1 < size && (got = read(ends[0], text + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(ends[0]);
    int status;
    struct rusage usage;
    if (rc != 0)
        return BENCH_NO_PROGRAM;
    if (wait4(pid, &status, 0, &usage) < 0 || !WIFEXITED(status))
        bench_fail("%s was killed", argv[0]);
    bench_process(&usage);
    return WEXITSTATUS(status);
}

/* ---- Go -------------------------------------------------------------------------------------- */

static void remove_folder(void)
{
    char text[8];
    bench_program((const char *[]){"rm", "-r", folder, NULL}, text, sizeof text);
}

static void make_folder(void)
{
    static int made;
    if (made++)
        return;
    if (!mkdtemp(folder))
        bench_fail("%s: %s", folder, strerror(errno));
    atexit(remove_folder);
}

int bench_build_go(const char *source, char path[PATH_MAX])
{
    char text[256];
    const char *name = strrchr(source, '/') + 1;
    make_folder();
    snprintf(path, PATH_MAX, "%s/%.*s", folder, (int)strcspn(name, "."), name);
    if (access(path, X_OK) == 0)
        return 0;
    return bench_program((const char *[]){"go", "build", "-o", path, source, NULL}, text,
                         sizeof text);
}

/* ---- Any ------------------------------------------------------------------------------------- */

static int is_go(const char *source)
{
    const char *suffix = strrchr(source, '.');
    return suffix && strcmp(suffix, ".go") == 0;
}

/* The figure that @argv prints. */
static double figure(const struct bench_peer *peer, const char *const *argv)
{
    char text[256], *end;
    int status = bench_program(argv, text, sizeof text);
    if (status == BENCH_MISSING || status == BENCH_NO_PROGRAM)
        return bench_skip(peer->missing);
    double value = strtod(text, &end);
    if (status != 0 || end == text)
        bench_fail("%s ended with status %d and printed \"%s\"", peer->source, status, text);
    return value;
}

double bench_peer(const void *arg)
{
    const struct bench_peer *peer = arg;
    char source[PATH_MAX], program[PATH_MAX];
    const char *argv[ARGS_MAX] = {NULL};
    size_t n = 0;
    snprintf(source, sizeof source, "%s/%s", BENCH_PEERS, peer->source);
    if (is_go(source)) {
        int status = bench_build_go(source, program);
        if (status == BENCH_NO_PROGRAM)
            return bench_skip(peer->missing);
        if (status != 0)
            bench_fail("%s cannot be built", peer->source);
        argv[n++] = program;
    } else {
        argv[n++] = BENCH_PYTHON;
        argv[n++] = "-I"; /* else `import queue` would find our queue.py */
        argv[n++] = source;
    }
    for (size_t i = 0; i < BENCH_COUNT(peer->args) && peer->args[i]; i++)
        argv[n++] = peer->args[i];
    return figure(peer, argv);
}
