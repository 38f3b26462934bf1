/* SPDX-License-Identifier: MIT */
/*
 * Connecting one socket to one address.
 *
 * The socket is made, given its options and bound by plain system calls, none of which waits; only
 * the connecting is an operation of the ring. A blocking socket on purpose: the ring does not block
 * on it, and waits for room in the queue of a unix listener where a non-blocking one would fail.
 *
 * TCP has it that a socket which connects to a free port of its own machine may be given that very
 * port, and is then connected to itself. Nobody wants that, so it counts as refused.
 */
#include "connect_int.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static bool is_ip(const ouro_address *a)
{
    return a->as.any.sa_family != AF_UNIX;
}

/* A port is chosen when it is connected, and then only has to differ for the same peer. The hint is
 * as good as it is old: without it, ports are scarcer. */
static void choose_port_late(int fd)
{
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
}

static int bind_it(struct ouro__attempt *a, const ouro_address *from)
{
    if (!from)
        return 0;
    a->step = "bind";
    if (is_ip(from) && ouro_address_port(from) == 0)
        choose_port_late(a->fd);
    return bind(a->fd, &from->as.any, from->size) < 0 ? -errno : 0;
}

static int set_fast_open(struct ouro__attempt *a)
{
    a->step = "fast_open";
    int rc = setsockopt(a->fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int));
    return rc < 0 ? -errno : 0;
}

static int prepare(struct ouro__attempt *a, const ouro_connect_options *opts)
{
    int rc = ouro_sockopt_apply(a->fd, &opts->socket, &a->step);
    if (rc == 0 && opts->fast_open && is_ip(&a->to))
        rc = set_fast_open(a);
    if (rc == 0)
        rc = bind_it(a, opts->bind);
    if (rc == 0)
        a->step = NULL;
    return rc;
}

int ouro__attempt_begin(struct ouro__attempt *a, const ouro_connect_options *opts)
{
    a->fd = socket(a->to.as.any.sa_family, opts->type | SOCK_CLOEXEC, 0);
    if (a->fd < 0)
        return -errno;
    int rc = prepare(a, opts);
    if (rc < 0) {
        close(a->fd);
        a->fd = -1;
        return rc;
    }
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_CONNECT,
        .fd = a->fd,
        .addr = (uint64_t)(uintptr_t)&a->to.as,
        .off = a->to.size,
    };
    a->op = ouro_uring_op(&sqe, NULL);
    ouro__watch(a->op, &a->job);
    return 0;
}

static bool is_connected_to_itself(const struct ouro__attempt *a)
{
    ouro_address own;
    return ouro_sockopt_address(a->fd, &own) == 0 && ouro_address_compare(&own, &a->to) == 0;
}

void ouro__attempt_close(struct ouro__attempt *a, ouro_loop *loop)
{
    if (a->fd >= 0)
        loop->driver->ops->close_fd(loop->driver, a->fd);
    a->fd = -1;
}

int ouro__attempt_end(struct ouro__attempt *a, ouro_loop *loop, int type)
{
    int rc = (int)ouro_future_result(a->op).n;
    ouro__unref(a->op);
    a->op = NULL;
    if (rc == 0 && type == SOCK_STREAM && is_ip(&a->to) && is_connected_to_itself(a))
        rc = -ECONNREFUSED;
    if (rc < 0)
        ouro__attempt_close(a, loop);
    return rc;
}
