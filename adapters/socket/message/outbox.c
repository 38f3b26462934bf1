/* SPDX-License-Identifier: MIT */
/*
 * Messages that go out, one at a time.
 *
 * Happy path: one SEND, which carries the receiver's address if there is one, or one SENDMSG with a
 * block that has descriptors. A socket that has no room makes the operation wait in the kernel.
 *
 * How it fails: as the kernel says. A message goes whole or not at all, so a cancel leaves nothing
 * half done.
 */
#include "control.h"
#include "datagram_int.h"

#include <limits.h>

struct send {
    struct ouro__call c; /* first */
    struct ouro__op op;
    struct ouro__parcel *parcel; /* or NULL */
};

static struct send *send_of(ouro_future *f)
{
    return OURO__CONTAINER(f, struct send, c.f);
}

static void end(struct send *s, int64_t n)
{
    ouro_datagram *d = s->c.d;
    if (n >= 0) {
        d->stats.sends++;
        d->stats.sent++;
        d->stats.bytes_out += (uint64_t)n;
    }
    ouro__release(s->parcel);
    ouro__call_end(&s->c, n);
}

static void on_sent(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    end(OURO__CONTAINER(op, struct send, op), res);
}

static ouro_future *send_cancel(ouro_future *f)
{
    struct send *s = send_of(f);
    if (ouro__op_cancel(f->loop, &s->op))
        end(s, -ECANCELED);
    return NULL;
}

static void send_describe(const ouro_future *f, char *text, size_t size)
{
    const struct send *s = OURO__CONTAINER(f, const struct send, c.f);
    snprintf(text, size, "send of a message, fd %d", s->c.d->fd);
}

static const struct ouro__kind send_kind = {
    .name = "send of a message",
    .size = sizeof(struct send),
    .cancel = send_cancel,
    .describe = send_describe,
};

/* Begin @sqe; @parcel, or NULL, goes with it. */
static ouro_future *begin(ouro_datagram *d, const struct io_uring_sqe *sqe,
                          struct ouro__parcel *parcel)
{
    struct send *s = ouro__call_new(d, &send_kind);
    if (s) {
        s->parcel = parcel;
        s->op = (struct ouro__op){.complete = on_sent, .sqe = *sqe};
        if (ouro__op_start(d->loop, &s->op) == 0)
            return &s->c.f;
        ouro__call_discard(&s->c);
    }
    ouro__release(parcel);
    return ouro__failed(-ENOMEM);
}

static ouro_future *send_to(ouro_datagram *d, const void *buf, size_t size, const ouro_address *to)
{
    int rc = (buf || !size) && size <= INT_MAX ? ouro__datagram_check_messages(d) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_SEND,
        .fd = d->fd,
        .addr = (uint64_t)(uintptr_t)buf,
        .len = (uint32_t)size,
        .msg_flags = MSG_NOSIGNAL,
    };
    if (to) {
        sqe.addr2 = (uint64_t)(uintptr_t)&to->as;
        sqe.addr_len = (uint16_t)to->size;
    }
    return begin(d, &sqe, NULL);
}

ouro_future *ouro_datagram_send(ouro_datagram *d, const void *buf, size_t size)
{
    return send_to(d, buf, size, NULL);
}

/* An address without a family would be none, and the message go to the one peer. */
static bool is_receiver(const ouro_address *to)
{
    return to->size >= sizeof(sa_family_t);
}

ouro_future *ouro_datagram_send_to(ouro_datagram *d, const void *buf, size_t size,
                                   const ouro_address *to)
{
    if (!to || !is_receiver(to))
        return ouro__failed(-EINVAL);
    return send_to(d, buf, size, to);
}

ouro_future *ouro_datagram_send_fds(ouro_datagram *d, const void *buf, size_t size, const int *fds,
                                    size_t n, const ouro_address *to)
{
    bool sane = (buf || !size) && size <= INT_MAX && (fds || !n) && n <= OURO_FDS_MAX &&
                (!to || is_receiver(to));
    int rc = sane ? ouro__datagram_check_messages(d) : -EINVAL;
    if (rc == 0 && n && d->family != AF_UNIX)
        rc = -EOPNOTSUPP;
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__parcel *p = ouro__parcel_new(buf, size, fds, n);
    if (!p)
        return ouro__failed(-ENOMEM);
    if (to) {
        p->msg.msg_name = (void *)(uintptr_t)&to->as;
        p->msg.msg_namelen = to->size;
    }
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_SENDMSG,
        .fd = d->fd,
        .addr = (uint64_t)(uintptr_t)&p->msg,
        .len = 1,
        .msg_flags = MSG_NOSIGNAL,
    };
    return begin(d, &sqe, p);
}
