/* SPDX-License-Identifier: MIT */
/*
 * Writes that the network card reads from the caller's memory.
 *
 * Happy path: a large write has an operation of its own. Its first completion says how much the
 * socket has taken, and the next write may go; the second, the notification, says that nobody reads
 * the memory any more, and settles the write.
 *
 * Where the peer is on this machine the kernel copies all the same, and later, which measures 20 to
 * 60 % slower than a plain send; so there it is not tried. Elsewhere the notification says whether
 * it was copied, and the first that was is the last of its stream: a card that cannot gather, a
 * filter that wants to look.
 *
 * How it fails: what the kernel refuses to do this way, or has no memory to, is sent as a copy, and
 * the stream does so from then on. The socket may be closed while the notification is owed; the
 * write then waits for it alone.
 */
#include "send_int.h"

#include <netinet/in.h>
#include <string.h>

struct zero_copy {
    struct ouro__write w;
    struct ouro__op op;
    bool tried;
};

/* ---- Where the peer is ----------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage room;
};

static bool is_loopback(const union address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *in6 = &a->in6.sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(in6) || (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
}

static bool same_host(const union address *a, const union address *b)
{
    if (a->any.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

/* Whether @fd is connected to another machine. */
static bool peer_is_remote(int fd)
{
    union address peer = {0}, own = {0};
    socklen_t size = sizeof(peer);
    if (getpeername(fd, &peer.any, &size) < 0)
        return false;
    size = sizeof(own);
    if (getsockname(fd, &own.any, &size) < 0)
        return false;
    if (peer.any.sa_family != AF_INET && peer.any.sa_family != AF_INET6)
        return false;
    return !is_loopback(&peer) && !same_host(&peer, &own);
}

bool ouro__zero_copy_wanted(ouro_stream *s, size_t size)
{
    if (size < s->opts.zero_copy || !s->is_socket)
        return false;
    if (s->out.zero_copy == OURO__ZERO_COPY_UNKNOWN)
        s->out.zero_copy = peer_is_remote(s->fd) ? OURO__ZERO_COPY_ON : OURO__ZERO_COPY_OFF;
    return s->out.zero_copy != OURO__ZERO_COPY_OFF;
}

/* ---- Completions ----------------------------------------------------------------------------- */

static void switch_off(ouro_stream *s)
{
    if (s && s->out.zero_copy == OURO__ZERO_COPY_ON)
        s->out.zero_copy = OURO__ZERO_COPY_OFF;
}

/* Nobody reads the memory any more. */
static void notified(struct ouro__write *w, uint32_t usage)
{
    w->lent = false;
    if (usage & IORING_NOTIF_USAGE_ZC_COPIED)
        switch_off(w->s);
    else if (w->s)
        w->s->out.zero_copies++;
    if (!w->ended)
        return; /* the rest goes as a copy, and is not sent yet */
    if (w->s)
        ouro__list_remove(&w->link);
    ouro__write_settle(w);
}

/* Whether it is worth trying as a copy. */
static bool is_about_the_way(int32_t res)
{
    return res == -ENOMEM || res == -ENOBUFS || res == -EOPNOTSUPP || res == -EINVAL;
}

static void landed(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    struct ouro__write *w = &OURO__CONTAINER(op, struct zero_copy, op)->w;
    if (flags & IORING_CQE_F_NOTIF) {
        notified(w, (uint32_t)res);
        return;
    }
    ouro_stream *s = w->s;
    w->lent = flags & IORING_CQE_F_MORE;
    if (is_about_the_way(res)) {
        switch_off(s);
        res = -EINTR; /* again, and it is not tried a second time */
    }
    ouro__outgoing_landed(s, res);
    ouro__stream_op_ended(s);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static const struct ouro__kind zero_copy_kind = {
    .name = "zero-copy write",
    .size = sizeof(struct zero_copy),
    .cancel = ouro__write_cancel,
};

struct ouro__write *ouro__zero_copy_new(ouro_stream *s)
{
    struct zero_copy *z = ouro__future_new(s->loop, &zero_copy_kind);
    if (!z)
        return NULL;
    ouro__write_init(&z->w, s);
    z->op.link.next = NULL;
    z->op.complete = landed;
    z->op.sqe.user_data = 0;
    z->tried = false;
    return &z->w;
}

/* All of it at once: the kernel pins the memory as it goes, and one notification covers it. */
static void prepare_one(const ouro_stream *s, struct io_uring_sqe *sqe, const struct iovec *part)
{
    *sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_SEND_ZC,
        .fd = s->fd,
        .addr = (uintptr_t)part->iov_base,
        .len = part->iov_len < INT32_MAX ? (uint32_t)part->iov_len : INT32_MAX,
    };
}

static void prepare_several(const ouro_stream *s, struct io_uring_sqe *sqe,
                            const struct ouro__write *w)
{
    struct msghdr *msg = &s->out.gather->msg;
    *msg = (struct msghdr){
        .msg_iov = (struct iovec *)(uintptr_t)w->parts,
        .msg_iovlen = w->count,
    };
    *sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_SENDMSG_ZC,
        .fd = s->fd,
        .addr = (uintptr_t)msg,
        .len = 1,
    };
}

bool ouro__zero_copy_waits(const struct ouro__write *w)
{
    if (w->f.kind != &zero_copy_kind || w->s->out.zero_copy == OURO__ZERO_COPY_OFF)
        return false;
    return !OURO__CONTAINER(w, const struct zero_copy, w)->tried;
}

int ouro__zero_copy_start(struct ouro__write *w)
{
    ouro_stream *s = w->s;
    struct zero_copy *z = OURO__CONTAINER(w, struct zero_copy, w);
    assert(w->skip == 0 && w->sent == 0);
    z->tried = true;
    if (w->count > 1) {
        s->out.gather = ouro__slab_alloc(&s->loop->slab, sizeof(*s->out.gather));
        if (!s->out.gather)
            return -ENOMEM;
        prepare_several(s, &z->op.sqe, w);
    } else {
        prepare_one(s, &z->op.sqe, w->parts);
    }
    z->op.sqe.ioprio = IORING_SEND_ZC_REPORT_USAGE;
    z->op.sqe.msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
    w->flying = true;
    return ouro__outgoing_start(s, &z->op);
}
