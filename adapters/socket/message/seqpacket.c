/* SPDX-License-Identifier: MIT */
/*
 * Connections of messages: listening, accepting, connecting.
 *
 * Happy path: one ACCEPT or one CONNECT, and a handle for what it brings. A listener is a handle
 * that does nothing else.
 *
 * How it fails: as the kernel says. A descriptor for which there is no memory is closed.
 */
#include "datagram_int.h"

#include <limits.h>
#include <unistd.h>

#define BACKLOG 4096

/* The beginning of a handle in a future: both kinds of it. */
static void settle_with(ouro_future *f, ouro_datagram *d)
{
    f->result.ptr = d;
    f->ptr_free = ouro__datagram_drop;
}

/* ---- Listening ------------------------------------------------------------------------------- */

int ouro_seqpacket_listen(const ouro_address *local, int backlog, const ouro_datagram_options *opts,
                          ouro_datagram **ret)
{
    ouro_loop *loop = NULL;
    ouro_datagram_options all;
    bool sane = local && local->as.any.sa_family == AF_UNIX && backlog >= 0 && ret;
    int rc = sane ? ouro__datagram_options(opts, &all) : -EINVAL;
    if (rc == 0)
        rc = ouro__loop_for_wait(&loop);
    if (rc < 0)
        return rc;
    int fd = ouro__datagram_socket(AF_UNIX, SOCK_SEQPACKET, &all);
    if (fd < 0)
        return fd;
    if (bind(fd, &local->as.any, local->size) < 0 || listen(fd, backlog ? backlog : BACKLOG) < 0)
        rc = -errno;
    if (rc == 0)
        rc = ouro__datagram_make(loop, fd, AF_UNIX, SOCK_SEQPACKET, &all, ret);
    if (rc < 0)
        close(fd);
    else
        (*ret)->listens = true;
    return rc;
}

/* ---- Accepting ------------------------------------------------------------------------------- */

struct accept {
    struct ouro__call c;
    struct ouro__op op;
};

static void accepted(struct accept *a, int32_t res)
{
    ouro_datagram *listener = a->c.d, *d;
    int rc = res;
    if (res >= 0) {
        rc = ouro__datagram_make(listener->loop, res, AF_UNIX, SOCK_SEQPACKET, &listener->opts, &d);
        if (rc == 0)
            settle_with(&a->c.f, d);
        else
            listener->loop->driver->ops->close_fd(listener->loop->driver, res);
    }
    ouro__call_end(&a->c, rc);
}

static void on_accept(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    accepted(OURO__CONTAINER(op, struct accept, op), res);
}

static ouro_future *accept_cancel(ouro_future *f)
{
    struct accept *a = OURO__CONTAINER(f, struct accept, c.f);
    if (ouro__op_cancel(f->loop, &a->op))
        accepted(a, -ECANCELED);
    return NULL;
}

static const struct ouro__kind accept_kind = {
    .name = "accept of a connection of messages",
    .size = sizeof(struct accept),
    .cancel = accept_cancel,
};

ouro_future *ouro_seqpacket_accept(ouro_datagram *listener)
{
    int rc = ouro__datagram_check(listener);
    if (rc == 0 && !listener->listens)
        rc = -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct accept *a = ouro__call_new(listener, &accept_kind);
    if (!a)
        return ouro__failed(-ENOMEM);
    a->op = (struct ouro__op){
        .complete = on_accept,
        .sqe = {.opcode = IORING_OP_ACCEPT, .fd = listener->fd, .accept_flags = SOCK_CLOEXEC},
    };
    if (ouro__op_start(listener->loop, &a->op) == 0)
        return &a->c.f;
    ouro__call_discard(&a->c);
    return ouro__failed(-ENOMEM);
}

/* ---- Connecting ------------------------------------------------------------------------------ */

/* What lasts as long as the operation, and is too much for a future. */
struct target {
    ouro_address remote;
    ouro_datagram_options opts;
};

struct connect {
    ouro_future f;
    struct ouro__op op;
    struct target *target;
    int fd;
};

static void connected(struct connect *c, int32_t res)
{
    ouro_loop *loop = c->f.loop;
    ouro_datagram *d;
    int rc = res;
    if (rc == 0)
        rc = ouro__datagram_make(loop, c->fd, AF_UNIX, SOCK_SEQPACKET, &c->target->opts, &d);
    ouro__release(c->target);
    if (rc == 0)
        settle_with(&c->f, d);
    else
        loop->driver->ops->close_fd(loop->driver, c->fd);
    bool stopped = rc == -ECANCELED || rc == -EINTR;
    if (stopped && (c->f.flags & OURO__CANCEL_ASKED))
        ouro__settle(&c->f, OURO_CANCELLED, -ECANCELED);
    else
        ouro__settle_n(&c->f, rc);
}

static void on_connect(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    connected(OURO__CONTAINER(op, struct connect, op), res);
}

static ouro_future *connect_cancel(ouro_future *f)
{
    struct connect *c = OURO__CONTAINER(f, struct connect, f);
    if (ouro__op_cancel(f->loop, &c->op))
        connected(c, -ECANCELED);
    return NULL;
}

static const struct ouro__kind connect_kind = {
    .name = "connection of messages",
    .size = sizeof(struct connect),
    .cancel = connect_cancel,
};

/* All the memory it takes, and the operation; @fd and @target are taken over on success. */
static struct connect *connect_begin(ouro_loop *loop, int fd, struct target *target)
{
    struct connect *c = ouro__future_new(loop, &connect_kind);
    if (!c)
        return NULL;
    c->fd = fd;
    c->target = target;
    c->op = (struct ouro__op){
        .complete = on_connect,
        .sqe =
            {
                .opcode = IORING_OP_CONNECT,
                .fd = fd,
                .addr = (uint64_t)(uintptr_t)&target->remote.as,
                .off = target->remote.size,
            },
    };
    if (ouro__op_start(loop, &c->op) == 0)
        return c;
    ouro__future_discard(&c->f);
    return NULL;
}

ouro_future *ouro_seqpacket_connect(const ouro_address *remote, const ouro_datagram_options *opts)
{
    ouro_loop *loop = NULL;
    ouro_datagram_options all;
    int rc = remote && remote->as.any.sa_family == AF_UNIX ? ouro__datagram_options(opts, &all)
                                                           : -EINVAL;
    if (rc == 0)
        rc = ouro__loop_for_work(&loop);
    if (rc < 0)
        return ouro__failed(rc);
    struct target *target = ouro__alloc(sizeof(*target));
    if (!target)
        return ouro__failed(-ENOMEM);
    *target = (struct target){.remote = *remote, .opts = all};
    int fd = ouro__datagram_socket(AF_UNIX, SOCK_SEQPACKET, &all);
    struct connect *c = fd >= 0 ? connect_begin(loop, fd, target) : NULL;
    if (c)
        return &c->f;
    if (fd >= 0)
        close(fd);
    ouro__release(target);
    return fd >= 0 ? ouro__failed(-ENOMEM) : ouro_ready(fd);
}
