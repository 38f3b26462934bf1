/* SPDX-License-Identifier: MIT */
/*
 * Options that every socket has, and those that a new one is given.
 *
 * Each is a check of the value and one system call. The kernel says ENOPROTOOPT for an option that
 * a socket does not have, and for some families other things; all of them are -EOPNOTSUPP here.
 */
#include "sockopt_int.h"

#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BUFFER_MAX  (1 << 30) /* doubled by the kernel, it still fits */
#define SECONDS_MAX 32767     /* what the kernel takes for linger and keepalive */
#define NAME_SIZE   16        /* of an interface or a congestion control, its zero included */

/* ---- The system calls ------------------------------------------------------------------------ */

static int code(int error)
{
    return error == ENOPROTOOPT ? -EOPNOTSUPP : -error;
}

int ouro__opt_set(int fd, int level, int name, const void *value, size_t size)
{
    return setsockopt(fd, level, name, value, (socklen_t)size) < 0 ? code(errno) : 0;
}

int ouro__opt_get(int fd, int level, int name, void *value, size_t *size)
{
    socklen_t length = (socklen_t)*size;
    if (getsockopt(fd, level, name, value, &length) < 0)
        return code(errno);
    *size = length;
    return 0;
}

int ouro__opt_set_int(int fd, int level, int name, int64_t value, int64_t min, int64_t max)
{
    if (value < min || value > max)
        return -EINVAL;
    int n = (int)value;
    return ouro__opt_set(fd, level, name, &n, sizeof n);
}

int ouro__opt_int(int fd, int level, int name)
{
    int n = 0;
    size_t size = sizeof n;
    int rc = ouro__opt_get(fd, level, name, &n, &size);
    return rc < 0 ? rc : n;
}

int ouro__opt_set_flag(int fd, int level, int name, int on)
{
    return ouro__opt_set_int(fd, level, name, on != 0, 0, 1);
}

int ouro__opt_flag(int fd, int level, int name)
{
    int n = ouro__opt_int(fd, level, name);
    return n > 0 ? 1 : n;
}

int ouro__opt_set_text(int fd, int level, int name, const char *text)
{
    size_t size = strnlen(text, NAME_SIZE) + 1;
    return size > NAME_SIZE ? -EINVAL : ouro__opt_set(fd, level, name, text, size);
}

int ouro__opt_text(int fd, int level, int name, char *buf, size_t size)
{
    char text[NAME_SIZE + 1] = "";
    size_t length = NAME_SIZE;
    if (!buf || size == 0)
        return -EINVAL;
    int rc = ouro__opt_get(fd, level, name, text, &length);
    if (rc < 0)
        return rc;
    if (strlen(text) >= size)
        return -EINVAL;
    memcpy(buf, text, strlen(text) + 1);
    return 0;
}

int ouro__opt_family(int fd)
{
    return ouro__opt_int(fd, SOL_SOCKET, SO_DOMAIN);
}

/* ---- Addresses ------------------------------------------------------------------------------- */

int ouro_sockopt_set_reuse_address(int fd, int on)
{
    return ouro__opt_set_flag(fd, SOL_SOCKET, SO_REUSEADDR, on);
}

int ouro_sockopt_reuse_address(int fd)
{
    return ouro__opt_flag(fd, SOL_SOCKET, SO_REUSEADDR);
}

int ouro_sockopt_set_reuse_port(int fd, int on)
{
    return ouro__opt_set_flag(fd, SOL_SOCKET, SO_REUSEPORT, on);
}

int ouro_sockopt_reuse_port(int fd)
{
    return ouro__opt_flag(fd, SOL_SOCKET, SO_REUSEPORT);
}

int ouro_sockopt_address(int fd, ouro_address *ret_address)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    if (getsockname(fd, (struct sockaddr *)&from, &size) < 0)
        return -errno;
    return ouro_address_of_sockaddr((struct sockaddr *)&from, size, ret_address);
}

int ouro_sockopt_peer_address(int fd, ouro_address *ret_address)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    if (getpeername(fd, (struct sockaddr *)&from, &size) < 0)
        return -errno;
    return ouro_address_of_sockaddr((struct sockaddr *)&from, size, ret_address);
}

int ouro_sockopt_peer(int fd, ouro_peer *ret_peer)
{
    struct ucred cred;
    size_t size = sizeof cred;
    if (!ret_peer)
        return -EINVAL;
    int family = ouro__opt_family(fd);
    if (family < 0)
        return family;
    if (family != AF_UNIX)
        return -EOPNOTSUPP;
    int rc = ouro__opt_get(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size);
    if (rc < 0)
        return rc;
    /* Of a socket that is not connected, the kernel tells nobody's. */
    if (cred.pid == 0 && cred.uid == (uid_t)-1)
        return -ENOTCONN;
    *ret_peer = (ouro_peer){cred.pid, cred.uid, cred.gid};
    return 0;
}

/* ---- Buffers and packets --------------------------------------------------------------------- */

int ouro_sockopt_set_send_buffer(int fd, int bytes)
{
    return ouro__opt_set_int(fd, SOL_SOCKET, SO_SNDBUF, bytes, 1, BUFFER_MAX);
}

int ouro_sockopt_send_buffer(int fd)
{
    return ouro__opt_int(fd, SOL_SOCKET, SO_SNDBUF);
}

int ouro_sockopt_set_receive_buffer(int fd, int bytes)
{
    return ouro__opt_set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes, 1, BUFFER_MAX);
}

int ouro_sockopt_receive_buffer(int fd)
{
    return ouro__opt_int(fd, SOL_SOCKET, SO_RCVBUF);
}

int ouro_sockopt_set_linger(int fd, ouro_ns limit)
{
    struct linger linger = {.l_onoff = limit != OURO_FOREVER};
    if (limit != OURO_FOREVER) {
        ouro_ns seconds = limit / OURO_SEC(1) + (limit % OURO_SEC(1) != 0);
        if (seconds > SECONDS_MAX)
            return -EINVAL;
        linger.l_linger = (int)seconds;
    }
    return ouro__opt_set(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

int ouro_sockopt_linger(int fd, ouro_ns *ret_limit)
{
    struct linger linger;
    size_t size = sizeof linger;
    int rc = ret_limit ? ouro__opt_get(fd, SOL_SOCKET, SO_LINGER, &linger, &size) : -EINVAL;
    if (rc == 0)
        *ret_limit = linger.l_onoff ? OURO_SEC(linger.l_linger) : OURO_FOREVER;
    return rc;
}

int ouro_sockopt_set_priority(int fd, int priority)
{
    return ouro__opt_set_int(fd, SOL_SOCKET, SO_PRIORITY, priority, 0, INT32_MAX);
}

int ouro_sockopt_priority(int fd)
{
    return ouro__opt_int(fd, SOL_SOCKET, SO_PRIORITY);
}

int ouro_sockopt_set_mark(int fd, uint32_t mark)
{
    return ouro__opt_set(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
}

int ouro_sockopt_mark(int fd, uint32_t *ret_mark)
{
    size_t size = sizeof *ret_mark;
    return ret_mark ? ouro__opt_get(fd, SOL_SOCKET, SO_MARK, ret_mark, &size) : -EINVAL;
}

int ouro_sockopt_set_device(int fd, const char *name)
{
    return ouro__opt_set_text(fd, SOL_SOCKET, SO_BINDTODEVICE, name ? name : "");
}

int ouro_sockopt_device(int fd, char *buf, size_t size)
{
    return ouro__opt_text(fd, SOL_SOCKET, SO_BINDTODEVICE, buf, size);
}

int ouro_sockopt_set_incoming_cpu(int fd, int cpu)
{
    return ouro__opt_set_int(fd, SOL_SOCKET, SO_INCOMING_CPU, cpu, 0, INT32_MAX);
}

/* The kernel says -1 for none, which is no errno. */
int ouro_sockopt_incoming_cpu(int fd)
{
    int cpu = -1;
    size_t size = sizeof cpu;
    int rc = ouro__opt_get(fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &size);
    return rc < 0 ? rc : cpu < 0 ? -EAGAIN : cpu;
}

int ouro_sockopt_take_error(int fd)
{
    int error = ouro__opt_int(fd, SOL_SOCKET, SO_ERROR);
    return error > 0 ? -error : error;
}

/* ---- All that a new socket is given ---------------------------------------------------------- */

/* What is being set; nothing more is after the first error. */
struct applying {
    int fd;
    int rc;
    const char *failed;
};

static bool goes_on(const struct applying *a, bool wanted)
{
    return wanted && a->rc == 0;
}

static void note(struct applying *a, const char *name, int rc)
{
    a->rc = rc;
    a->failed = name;
}

static void apply_general(struct applying *a, const ouro_socket_options *o)
{
    if (goes_on(a, o->reuse_address))
        note(a, "reuse_address", ouro_sockopt_set_reuse_address(a->fd, 1));
    if (goes_on(a, o->send_buffer))
        note(a, "send_buffer", ouro_sockopt_set_send_buffer(a->fd, o->send_buffer));
    if (goes_on(a, o->receive_buffer))
        note(a, "receive_buffer", ouro_sockopt_set_receive_buffer(a->fd, o->receive_buffer));
}

static void apply_ip(struct applying *a, const ouro_socket_options *o, int family)
{
    if (goes_on(a, o->reuse_port))
        note(a, "reuse_port", ouro_sockopt_set_reuse_port(a->fd, 1));
    if (goes_on(a, o->v6only && family == AF_INET6))
        note(a, "v6only", ouro_sockopt_set_v6only(a->fd, 1));
    if (goes_on(a, o->tos))
        note(a, "tos", ouro_sockopt_set_tos(a->fd, o->tos));
    if (goes_on(a, o->mark))
        note(a, "mark", ouro_sockopt_set_mark(a->fd, o->mark));
    if (goes_on(a, o->device && o->device[0]))
        note(a, "device", ouro_sockopt_set_device(a->fd, o->device));
}

static void apply_tcp(struct applying *a, const ouro_socket_options *o)
{
    if (goes_on(a, !o->nagle))
        note(a, "nagle", ouro_sockopt_set_nodelay(a->fd, 1));
    if (goes_on(a, o->keep_alive))
        note(a, "keepalive", ouro_sockopt_set_keepalive(a->fd, &o->keepalive));
    if (goes_on(a, o->user_timeout))
        note(a, "user_timeout", ouro_sockopt_set_user_timeout(a->fd, o->user_timeout));
    if (goes_on(a, o->congestion && o->congestion[0]))
        note(a, "congestion", ouro_sockopt_set_congestion(a->fd, o->congestion));
}

int ouro_sockopt_apply(int fd, const ouro_socket_options *opts, const char **ret_failed)
{
    static const ouro_socket_options defaults;
    const ouro_socket_options *o = opts ? opts : &defaults;
    struct applying a = {.fd = fd};
    int family = ouro__opt_family(fd);
    int protocol = family < 0 ? family : ouro__opt_int(fd, SOL_SOCKET, SO_PROTOCOL);
    if (protocol < 0)
        note(&a, "socket", protocol);
    apply_general(&a, o);
    if (family == AF_INET || family == AF_INET6)
        apply_ip(&a, o, family);
    if (protocol == IPPROTO_TCP && family != AF_UNIX)
        apply_tcp(&a, o);
    if (a.rc < 0 && ret_failed)
        *ret_failed = a.failed;
    return a.rc;
}
