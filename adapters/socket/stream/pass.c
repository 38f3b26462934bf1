/* SPDX-License-Identifier: MIT */
/*
 * Descriptors over Unix streams.
 *
 * Happy path: one SENDMSG or RECVMSG on the stream's descriptor, whose memory is one block: what
 * the kernel is told, and what it fills. That of a receive begins with the ouro_passed that the
 * user gets, so that nothing has to be allocated when descriptors are there already.
 *
 * The stream knows its passes: closing it cancels them, and waits for them before the descriptor is
 * closed. A send is what is in flight of the stream, so that writes stand behind it in line.
 *
 * How it fails: as the kernel says. Descriptors that the kernel could not open it has closed; those
 * it has opened are closed with the ouro_passed, whoever has that by then.
 */
#include "control.h"
#include "send_int.h"
#include "stream_int.h"

#include <limits.h>
#include <ouro/datagram.h>
#include <ouro/pass.h>
#include <string.h>
#include <unistd.h>

enum { STREAM_CLOSED = OURO__KIND_1 };

/* What a receive fills. The user's part comes first, and is what is freed. */
struct basket {
    ouro_passed passed;
    struct msghdr msg;
    struct iovec part;
    _Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(OURO_FDS_MAX * sizeof(int))];
};

struct pass {
    ouro_future f;
    struct ouro__link link; /* in the stream's `passes` */
    struct ouro__op op;
    ouro_stream *s;
    struct ouro__parcel *parcel; /* of a send, */
    struct basket *basket;       /* or of a receive */
};

/* ---- Life ------------------------------------------------------------------------------------ */

ouro_passed *ouro_passed_free(ouro_passed *passed)
{
    for (size_t i = 0; passed && i < passed->count; i++)
        if (passed->fds[i] >= 0)
            close(passed->fds[i]);
    ouro__release(passed);
    return NULL;
}

static void drop(void *passed)
{
    ouro_passed_free(passed);
}

/* Bytes have come: what with them, for the user. */
static void fill(struct pass *p)
{
    struct basket *b = p->basket;
    b->passed.fds = ouro__control_fds(&b->msg, &b->passed.count);
    b->passed.cut = (b->msg.msg_flags & MSG_CTRUNC) != 0;
    p->f.result.ptr = &b->passed;
    p->f.ptr_free = drop;
}

/* The stream goes on with what was written meanwhile, unless it broke off in the middle. */
static void sent(ouro_stream *s, int32_t res, size_t size)
{
    if (res > 0) {
        s->out.bytes += (uint64_t)res;
        s->out.sends++;
    }
    if (res > 0 && (size_t)res < size) {
        ouro__outgoing_landed(s, -EPIPE);
        return;
    }
    s->out.flight = NULL;
    ouro__outgoing_go_on(s);
}

static void received(struct pass *p, int32_t res)
{
    if (res <= 0) {
        ouro__release(p->basket);
        return;
    }
    p->s->in.bytes += (uint64_t)res;
    p->s->in.receives++;
    fill(p);
}

static void end(struct pass *p, int32_t res)
{
    ouro_stream *s = p->s;
    bool stopped = res == -ECANCELED || res == -EINTR;
    ouro__list_remove(&p->link);
    if (p->basket)
        received(p, res);
    else
        sent(s, res, p->parcel->part.iov_len);
    ouro__release(p->parcel);
    if (stopped && (p->f.flags & OURO__CANCEL_ASKED))
        ouro__settle(&p->f, OURO_CANCELLED, -ECANCELED);
    else if (stopped && (p->f.flags & STREAM_CLOSED))
        ouro__settle(&p->f, OURO_ERROR, -EBADF);
    else
        ouro__settle_n(&p->f, res);
    ouro__stream_op_ended(s);
}

static void on_end(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    end(OURO__CONTAINER(op, struct pass, op), res);
}

static ouro_future *pass_cancel(ouro_future *f)
{
    struct pass *p = OURO__CONTAINER(f, struct pass, f);
    if (ouro__op_cancel(f->loop, &p->op))
        end(p, -ECANCELED);
    return NULL;
}

static const struct ouro__kind pass_kind = {
    .name = "pass of descriptors",
    .size = sizeof(struct pass),
    .cancel = pass_cancel,
};

void ouro__passes_stop(ouro_stream *s)
{
    struct ouro__link *l = s->passes.next;
    while (l != &s->passes) {
        struct pass *p = OURO__CONTAINER(l, struct pass, link);
        l = l->next; /* only @p itself may go with the cancel */
        p->f.flags |= STREAM_CLOSED;
        /* As what is in flight it may have been stopped already. */
        if (!ouro__op_live(&p->op) || ouro__op_cancel(s->loop, &p->op))
            end(p, -ECANCELED);
    }
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static ouro_future *begin(ouro_stream *s, uint8_t opcode, const struct msghdr *msg, uint32_t flags,
                          struct ouro__parcel *parcel, struct basket *basket)
{
    struct pass *p = ouro__future_new(s->loop, &pass_kind);
    if (p) {
        p->s = s;
        p->parcel = parcel;
        p->basket = basket;
        p->op = (struct ouro__op){
            .complete = on_end,
            .sqe =
                {
                    .opcode = opcode,
                    .fd = s->fd,
                    .addr = (uint64_t)(uintptr_t)msg,
                    .len = 1,
                    .msg_flags = flags,
                },
        };
        int rc = parcel ? ouro__outgoing_start(s, &p->op) : ouro__op_start(s->loop, &p->op);
        if (rc == 0) {
            ouro__list_push(&s->passes, &p->link);
            return &p->f;
        }
        ouro__future_discard(&p->f);
    }
    ouro__release(parcel);
    ouro__release(basket);
    return ouro__failed(-ENOMEM);
}

bool ouro__is_receiving_fds(const ouro_stream *s)
{
    OURO__LIST_FOR (l, &s->passes)
        if (OURO__CONTAINER(l, struct pass, link)->basket)
            return true;
    return false;
}

/* 0, or why @s cannot pass descriptors. */
static int check(const ouro_stream *s)
{
    int rc = ouro__stream_check(s);
    int family = 0;
    socklen_t size = sizeof(family);
    if (rc < 0)
        return rc;
    bool local = s->is_socket && getsockopt(s->fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 &&
                 family == AF_UNIX;
    return local ? 0 : -EOPNOTSUPP;
}

ouro_future *ouro_stream_send_fds(ouro_stream *s, const void *buf, size_t size, const int *fds,
                                  size_t n)
{
    bool sane = buf && size && size <= INT_MAX && fds && n && n <= OURO_FDS_MAX;
    int rc = sane ? check(s) : -EINVAL;
    if (rc == 0)
        rc = ouro__outgoing_check(s);
    if (rc == 0 && (!ouro__outgoing_is_quiet(s) || ouro__outgoing_unsent(s)))
        rc = -EBUSY;
    if (rc < 0)
        return ouro__outgoing_refuse(rc);
    struct ouro__parcel *p = ouro__parcel_new(buf, size, fds, n);
    if (!p)
        return ouro__failed(-ENOMEM);
    return begin(s, IORING_OP_SENDMSG, &p->msg, MSG_NOSIGNAL | MSG_WAITALL, p, NULL);
}

ouro_future *ouro_stream_receive_fds(ouro_stream *s, void *buf, size_t size)
{
    int rc = buf && size && size <= INT_MAX ? check(s) : -EINVAL;
    if (rc == 0 && !s->opts.no_read_ahead)
        rc = -EOPNOTSUPP;
    if (rc == 0 && (s->in.reading || ouro__incoming_unread(s) || ouro__is_receiving_fds(s)))
        rc = -EBUSY;
    if (rc < 0)
        return ouro__failed(rc);
    struct basket *b = ouro__alloc(sizeof(*b));
    if (!b)
        return ouro__failed(-ENOMEM);
    memset(b, 0, sizeof(*b));
    b->part = (struct iovec){buf, size};
    b->msg = (struct msghdr){
        .msg_iov = &b->part,
        .msg_iovlen = 1,
        .msg_control = b->control,
        .msg_controllen = sizeof(b->control),
    };
    return begin(s, IORING_OP_RECVMSG, &b->msg, MSG_CMSG_CLOEXEC, NULL, b);
}
