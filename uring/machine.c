/* SPDX-License-Identifier: MIT */
/*
 * Looking at the machine: uname(2), limits, /proc.
 *
 * It allocates nothing and always succeeds: what cannot be read, because /proc is not there or the
 * process has no descriptor left to open it with, is unknown.
 */
#define _GNU_SOURCE 1

#include "machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Not PATH_MAX: this may be the stack of a task. */
#define PATH_SIZE 512

bool ouro__machine_read(const char *root, const char *path, char *buf, size_t size)
{
    char whole[PATH_SIZE];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, buf, size - 1);
    close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0;
}

long long ouro__machine_number(const char *root, const char *path, long long otherwise)
{
    char text[32];
    return ouro__machine_read(root, path, text, sizeof text) ? strtoll(text, NULL, 10) : otherwise;
}

static int read_seccomp(const char *root)
{
    static const char key[] = "\nSeccomp:";
    char status[4096];
    if (!ouro__machine_read(root, "/proc/self/status", status, sizeof status))
        return OURO__UNKNOWN;
    const char *line = strstr(status, key);
    return line ? (int)strtol(line + sizeof key - 1, NULL, 10) : OURO__UNKNOWN;
}

/* The soft limit of what getrlimit() has answered with @rc. */
static uint64_t soft_limit(int rc, const struct rlimit *limit)
{
    return rc < 0 || limit->rlim_cur == RLIM_INFINITY ? OURO__UNLIMITED : limit->rlim_cur;
}

void ouro__machine_look(struct ouro__machine *ret, const char *root)
{
    memset(ret, 0, sizeof *ret);
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(ret->release, sizeof ret->release, "%s", name.release);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    ret->processors = processors > 0 ? (unsigned)processors : 1;
    ret->uring_disabled = (int)ouro__machine_number(root, "/proc/sys/kernel/io_uring_disabled",
                                                    OURO__UNKNOWN);
    ret->uring_group = ouro__machine_number(root, "/proc/sys/kernel/io_uring_group", -1);
    ret->seccomp = read_seccomp(root);
    struct rlimit limit;
    ret->memlock = soft_limit(getrlimit(RLIMIT_MEMLOCK, &limit), &limit);
    ret->descriptors = soft_limit(getrlimit(RLIMIT_NOFILE, &limit), &limit);
    ret->memory_maps = (uint64_t)ouro__machine_number(root, "/proc/sys/vm/max_map_count", 0);
}
