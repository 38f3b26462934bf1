/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets: from a place in words to a descriptor that listens.
 *
 * Plain system calls, none of which waits for anybody, and no loop: so a program of several workers
 * can have all its sockets before it starts the first of them.
 *
 * A unix socket's path is a file that outlives its socket. It is removed by whoever bound it, or by
 * the last of those who have taken over from it, if it is still the same file; one that a crash has
 * left is recognised by asking: nobody answers.
 *
 * How it fails: at whichever step it is, and everything before is undone.
 */
#include "listener_int.h"

#include <ctype.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG    4096
#define DEFER_MAX  OURO_SEC(32767)
#define MODE_MASK  0777u
#define ANY_IP4    "0.0.0.0"
#define ANY_IP6    "[::]"
#define PLACE_SIZE 32 /* for either, a colon, and more digits than a port has */

/* ---- Paths ----------------------------------------------------------------------------------- */

/* The path of a unix socket; NULL: it is bound to something else. */
static const char *path_of(const ouro_address *a)
{
    return a->as.any.sa_family == AF_UNIX && a->as.local.sun_path[0] ? a->as.local.sun_path : NULL;
}

/* Whether @a is the path of a socket that nobody listens at. */
static bool is_stale(const ouro_address *a)
{
    struct stat st;
    if (lstat(path_of(a), &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, &a->as.any, a->size) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static void remember_path(struct ouro__listening *l)
{
    struct stat st;
    if (lstat(path_of(&l->address), &st) == 0)
        ouro__listening_own_path(l, st.st_dev, st.st_ino);
}

void ouro__listening_own_path(struct ouro__listening *l, dev_t device, ino_t inode)
{
    l->has_path = path_of(&l->address) != NULL;
    l->device = device;
    l->inode = inode;
}

void ouro__listening_unlink(struct ouro__listening *l)
{
    struct stat st;
    if (!l->has_path || ouro__listening_lives_on(l))
        return;
    l->has_path = false;
    const char *path = path_of(&l->address);
    if (lstat(path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
        unlink(path);
}

/* ---- Binding --------------------------------------------------------------------------------- */

static int set_tcp(int fd, const ouro_listener_options *opts)
{
    int seconds = (int)((opts->defer + OURO_SEC(1) - 1) / OURO_SEC(1));
    if (seconds && setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) < 0)
        return -errno;
    int queue = opts->fast_open;
    if (queue && setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)) < 0)
        return -errno;
    return 0;
}

static int set_options(int fd, const ouro_address *a, const ouro_listener_options *opts)
{
    ouro_socket_options socket = opts->socket;
    socket.reuse_address = !opts->no_reuse_address;
    int rc = ouro_sockopt_apply(fd, &socket, NULL);
    if (rc == 0 && a->as.any.sa_family == AF_INET6)
        rc = ouro_sockopt_set_v6only(fd, socket.v6only);
    if (rc == 0 && a->as.any.sa_family != AF_UNIX)
        rc = set_tcp(fd, opts);
    return rc;
}

static int try_bind(int fd, const ouro_address *a)
{
    return bind(fd, &a->as.any, a->size) < 0 ? -errno : 0;
}

/* The path has @mode when it appears, less the umask, and then that too. */
static int bind_path(struct ouro__listening *l, const ouro_listener_options *opts)
{
    const ouro_address *a = &l->address;
    if (opts->mode && fchmod(l->fd, opts->mode) < 0)
        return -errno;
    int rc = try_bind(l->fd, a);
    if (rc == -EADDRINUSE && opts->unlink_stale && is_stale(a) && unlink(path_of(a)) == 0)
        rc = try_bind(l->fd, a);
    if (rc < 0)
        return rc;
    remember_path(l);
    return opts->mode && chmod(path_of(a), opts->mode) < 0 ? -errno : 0;
}

static int bind_and_listen(struct ouro__listening *l, const ouro_listener_options *opts)
{
    int rc = set_options(l->fd, &l->address, opts);
    if (rc == 0)
        rc = path_of(&l->address) ? bind_path(l, opts) : try_bind(l->fd, &l->address);
    if (rc == 0 && listen(l->fd, opts->backlog ? opts->backlog : BACKLOG) < 0)
        rc = -errno;
    return rc < 0 || path_of(&l->address) ? rc : ouro_sockopt_address(l->fd, &l->address);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static bool are_sane(const ouro_listener_options *opts)
{
    return opts->backlog >= 0 && opts->fast_open >= 0 && opts->defer <= DEFER_MAX &&
           !(opts->mode & ~MODE_MASK);
}

int ouro__listening_on(const ouro_address *address, const ouro_listener_options *opts,
                       struct ouro__listening *ret_listening)
{
    static const ouro_listener_options defaults;
    if (!opts)
        opts = &defaults;
    if (!address || !are_sane(opts))
        return -EINVAL;
    struct ouro__listening l = {.address = *address};
    l.fd = socket(address->as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l.fd < 0)
        return -errno;
    int rc = bind_and_listen(&l, opts);
    if (rc < 0) {
        ouro__listening_unlink(&l);
        close(l.fd);
        return rc;
    }
    *ret_listening = l;
    return 0;
}

/* At @port, with its colon, of all addresses that begin with @host. */
static int open_any(const char *host, const char *port, const ouro_listener_options *opts,
                    struct ouro__listening *ret_listening)
{
    char place[PLACE_SIZE];
    ouro_address a;
    int size = snprintf(place, sizeof(place), "%s%s", host, port);
    int rc = size < PLACE_SIZE ? ouro_address_parse(place, &a) : -EINVAL;
    return rc < 0 ? rc : ouro__listening_on(&a, opts, ret_listening);
}

int ouro__listening_at(const char *where, const ouro_listener_options *opts,
                       struct ouro__listening *ret_listening)
{
    ouro_address a;
    if (where && where[0] == ':' && where[1] != ':') {
        int rc = open_any(ANY_IP6, where, opts, ret_listening);
        bool no_ip6 = rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL;
        return no_ip6 ? open_any(ANY_IP4, where, opts, ret_listening) : rc;
    }
    int rc = where ? ouro_address_parse(where, &a) : -EINVAL;
    return rc < 0 ? rc : ouro__listening_on(&a, opts, ret_listening);
}

/* 0 if @fd listens for streams, or why not. */
static int examine(int fd)
{
    int value = 0;
    socklen_t size = sizeof(value);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) < 0)
        return -errno;
    if (value != SOCK_STREAM)
        return -EOPNOTSUPP;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) < 0)
        return -errno;
    return value ? 0 : -EINVAL;
}

int ouro__listening_from(int fd, struct ouro__listening *ret_listening)
{
    struct ouro__listening l = {.fd = fd};
    int rc = examine(fd);
    if (rc == 0)
        rc = ouro_sockopt_address(fd, &l.address);
    if (rc == 0)
        *ret_listening = l;
    return rc;
}
