/* SPDX-License-Identifier: MIT */
/*
 * Being started with sockets: what the environment says of them, and to whom to say "ready".
 *
 * Variables are inherited by processes that they are not for. systemd's name the process they are
 * for; ours the inode of a socket that only that process has. What is taken is removed, so that no
 * child believes it is meant, and the descriptors are close-on-exec from then on.
 *
 * How it fails: sockets that cannot be what was promised are an error, and nobody's.
 */
#include "restart_int.h"

#include <ouro/address.h>
#include <ouro/restart.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The socket to say it by: not looked for, none, or its descriptor. */
enum { UNKNOWN = -2, NONE = -1 };

static atomic_int ready_fd = UNKNOWN;
static atomic_bool said;
static struct ouro__path path_taken;

static int close_on_exec(int fd)
{
    return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

/* The number that a variable holds; -1: there is none. */
static int number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    if (!text || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    long n = strtol(text, &end, 10);
    return *end || errno || n > INT32_MAX ? -1 : (int)n;
}

/* The descriptor that OURO_READY names, if it is what it was then; NONE. */
static int find_ready(void)
{
    const char *text = getenv(OURO__READY_NAME);
    uintmax_t inode;
    struct stat st;
    int fd;
    if (!text || sscanf(text, "%d:%ju", &fd, &inode) != 2)
        return NONE;
    bool same = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && (uintmax_t)st.st_ino == inode;
    return same && close_on_exec(fd) == 0 ? fd : NONE;
}

/* Whether this process is to take over from another. Looks once. */
static bool take_ready(void)
{
    int unknown = UNKNOWN;
    if (atomic_load(&ready_fd) == UNKNOWN)
        atomic_compare_exchange_strong(&ready_fd, &unknown, find_ready());
    return atomic_load(&ready_fd) >= 0;
}

static void take_path(void)
{
    const char *text = getenv(OURO__PATH_NAME);
    uintmax_t device, inode;
    if (text && sscanf(text, "%ju:%ju", &device, &inode) == 2)
        path_taken = (struct ouro__path){true, (dev_t)device, (ino_t)inode};
}

static int take_sockets(int n)
{
    int rc = n < 0 ? -EINVAL : 0;
    for (int i = 0; rc == 0 && i < n; i++)
        rc = close_on_exec(OURO_LISTEN_FDS_FIRST + i);
    return rc < 0 ? rc : n;
}

int ouro_listen_fds(void)
{
    if (!getenv(OURO__COUNT_NAME) || (!take_ready() && number_of(OURO__PID_NAME) != getpid()))
        return 0;
    int rc = take_sockets(number_of(OURO__COUNT_NAME));
    if (take_ready())
        take_path();
    unsetenv(OURO__COUNT_NAME);
    unsetenv(OURO__PID_NAME);
    unsetenv(OURO__NAMES_NAME);
    unsetenv(OURO__READY_NAME);
    unsetenv(OURO__PATH_NAME);
    return rc;
}

struct ouro__path ouro__path_taken(void)
{
    return path_taken;
}

bool ouro__ready_is_awaited(void)
{
    return atomic_load(&ready_fd) >= 0;
}

/* ---- Ready ----------------------------------------------------------------------------------- */

int ouro__notify_manager(const char *text)
{
    const char *where = getenv("NOTIFY_SOCKET");
    char place[OURO_ADDRESS_TEXT];
    ouro_address a;
    if (!where)
        return 0;
    if (*where != '/' && *where != '@')
        return -EINVAL; /* not of this family */
    int size = snprintf(place, sizeof(place), "unix:%s", where);
    if (size >= (int)sizeof(place) || ouro_address_parse(place, &a) < 0)
        return -EINVAL;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    ssize_t n = sendto(fd, text, strlen(text), MSG_NOSIGNAL, &a.as.any, a.size);
    int rc = n < 0 ? -errno : 1;
    close(fd);
    return rc;
}

int ouro_restart_ready(void)
{
    take_ready();
    if (atomic_exchange(&said, true))
        return 0;
    int fd = atomic_exchange(&ready_fd, NONE);
    if (fd < 0)
        return ouro__notify_manager("READY=1");
    int rc = send(fd, "\n", 1, MSG_NOSIGNAL) < 0 ? -errno : 1;
    close(fd);
    return rc;
}
