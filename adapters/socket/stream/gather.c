/* SPDX-License-Identifier: MIT */
/*
 * What goes out in one send: pieces from the front of the line, up to 16 of them and 256 KiB.
 *
 * Copied bytes and writes are taken in the order in which they came. A write that is in, if only
 * with a part, is marked: from then on a cancel has to ask the kernel. One that is to go without a
 * copy, or has more to be fetched, ends the collection.
 *
 * How it fails: without memory for several pieces the first goes alone, which needs none.
 */
#include "send_int.h"

/* False when it is full: of @size bytes some may be in. */
static bool add(struct ouro__pieces *p, const void *bytes, size_t size)
{
    if (p->count == p->max || p->room == 0)
        return false;
    size_t some = size < p->room ? size : p->room;
    p->parts[p->count++] = (struct iovec){(void *)(uintptr_t)bytes, some};
    p->room -= some;
    return some == size;
}

static bool add_write(struct ouro__pieces *p, struct ouro__write *w)
{
    size_t skip = w->skip;
    if (p->count == p->max || p->room == 0)
        return false;
    w->flying = w->left > 0;
    for (size_t i = 0; i < w->count; i++) {
        size_t size = w->parts[i].iov_len - skip;
        if (size > 0 && !add(p, (const char *)w->parts[i].iov_base + skip, size))
            return false;
        skip = 0;
    }
    return !w->fetch; /* what is still to be fetched comes first */
}

void ouro__collect(struct ouro__outgoing *out, struct ouro__pieces *p)
{
    if (out->sending.at == out->sending.size) {
        struct ouro__copies empty = out->sending;
        out->sending = out->filling;
        out->filling = empty;
        out->filling.size = out->filling.at = 0;
    }
    size_t at = out->sending.at;
    uint64_t put = out->put_sent;
    uint64_t end = put + (out->sending.size - at);
    for (struct ouro__link *l = out->writes.next;; l = l->next) {
        bool last = l == &out->writes;
        uint64_t goal = last ? out->put : ouro__write_at(l)->put_before;
        uint64_t some = (goal < end ? goal : end) - put;
        if (some > 0 && !add(p, out->sending.bytes + at, some))
            return;
        at += some;
        put += some;
        if (last || put < goal || ouro__zero_copy_waits(ouro__write_at(l)))
            return;
        if (!add_write(p, ouro__write_at(l)))
            return;
    }
}

void ouro__unmark(struct ouro__outgoing *out)
{
    OURO__LIST_FOR (l, &out->writes)
        ouro__write_at(l)->flying = false;
}

void ouro__gather_drop(ouro_stream *s)
{
    if (s->out.gather)
        ouro__slab_free(&s->loop->slab, s->out.gather, sizeof(*s->out.gather));
    s->out.gather = NULL;
}

/* The entry that sends one piece. */
static void prepare_one(ouro_stream *s, struct io_uring_sqe *sqe, const struct iovec *piece)
{
    *sqe = (struct io_uring_sqe){
        .opcode = s->is_socket ? IORING_OP_SEND : IORING_OP_WRITE,
        .fd = s->fd,
        .off = s->is_socket ? 0 : UINT64_MAX, /* at the position, if there is one */
        .addr = (uintptr_t)piece->iov_base,
        .len = (uint32_t)piece->iov_len,
        .msg_flags = s->is_socket ? MSG_WAITALL | MSG_NOSIGNAL : 0,
    };
}

static void prepare_several(ouro_stream *s, struct io_uring_sqe *sqe, struct ouro__gather *g,
                            unsigned count)
{
    g->msg = (struct msghdr){.msg_iov = g->parts, .msg_iovlen = count};
    *sqe = (struct io_uring_sqe){
        .opcode = s->is_socket ? IORING_OP_SENDMSG : IORING_OP_WRITEV,
        .fd = s->fd,
        .off = s->is_socket ? 0 : UINT64_MAX,
        .addr = s->is_socket ? (uintptr_t)&g->msg : (uintptr_t)g->parts,
        .len = s->is_socket ? 1 : count,
        .msg_flags = s->is_socket ? MSG_WAITALL | MSG_NOSIGNAL : 0,
    };
}

/* Whether there is more than one piece, and memory to gather them in. */
static bool gather(ouro_stream *s, struct ouro__pieces *p)
{
    if (p->count == 1)
        return false;
    s->out.gather = ouro__slab_alloc(&s->loop->slab, sizeof(*s->out.gather));
    if (!s->out.gather) {
        ouro__unmark(&s->out); /* the first alone needs none */
        *p = (struct ouro__pieces){.parts = p->parts, .max = 1, .room = OURO__SEND_MAX};
        ouro__collect(&s->out, p);
        return false;
    }
    for (unsigned i = 0; i < p->count; i++)
        s->out.gather->parts[i] = p->parts[i];
    return true;
}

void ouro__prepare_send(ouro_stream *s)
{
    struct ouro__write *only = ouro__only_write(s);
    if (only) {
        const struct iovec piece = ouro__only_piece(only);
        only->flying = true;
        prepare_one(s, &s->out.op.sqe, &piece);
        return;
    }
    struct iovec parts[OURO__GATHER];
    struct ouro__pieces p = {.parts = parts, .max = OURO__GATHER, .room = OURO__SEND_MAX};
    ouro__collect(&s->out, &p);
    assert(p.count > 0);
    if (gather(s, &p))
        prepare_several(s, &s->out.op.sqe, s->out.gather, p.count);
    else
        prepare_one(s, &s->out.op.sqe, parts);
}
