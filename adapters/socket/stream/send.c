/* SPDX-License-Identifier: MIT */
/*
 * What goes out: the line of writes, and the send in flight.
 *
 * Happy path: the first write is sent straight from the caller's memory. While the kernel has it,
 * others line up and bytes are put; when it lands, what it took is told off from the front of the
 * line, writes that are complete settle, and up to 16 pieces of what waits go out together. Between
 * two sends nothing is ever left lying: either something is in flight, or the line is empty.
 *
 * How it fails: the kernel's error ends the write at the front, and since the peer cannot tell
 * where it broke off, all behind it; but for what is the fault of that write alone and happened
 * before its first byte. A cancelled write that the kernel has not seen is unlinked. One in flight
 * is asked for, and what came of it is known when the send lands: bytes are told off first, so a
 * write that is complete is a success, and the writes that went along with it do not suffer.
 *
 * Pipes know no MSG_NOSIGNAL: SIGPIPE is blocked in the loop's thread from a pipe's first write to
 * its close.
 */
#include "send_int.h"

#include "signals_int.h"

#include <poll.h>
#include <signal.h>

/* A system call of its own for so much. Less is cheaper in the ring, which makes one call for all
 * that a turn sends; 64 KiB took half the time at once. */
#define AT_ONCE ((size_t)8 * 1024)

static void send_landed(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags);

/* ---- Ends of writes -------------------------------------------------------------------------- */

void ouro__write_settle(struct ouro__write *w)
{
    bool cancelled = w->result == -ECANCELED && (w->f.flags & OURO__CANCEL_ASKED);
    if (w->drop)
        w->drop(w);
    if (cancelled)
        ouro__settle(&w->f, OURO_CANCELLED, w->result);
    else
        ouro__settle_n(&w->f, w->result);
}

void ouro__write_end(struct ouro__write *w, int64_t n)
{
    struct ouro__outgoing *out = &w->s->out;
    ouro__list_remove(&w->link);
    out->queued -= w->left;
    w->flying = false;
    if (n < 0 && w->sent > 0)
        out->written = w->sent;
    w->result = n;
    w->ended = true;
    if (w->lent)
        ouro__list_push(&out->lent, &w->link);
    else
        ouro__write_settle(w);
}

/* Nothing goes out any more: @rc. What the kernel has is still to land. */
static void fail_all(ouro_stream *s, int rc)
{
    struct ouro__outgoing *out = &s->out;
    struct ouro__link *next;
    for (struct ouro__link *l = out->writes.next; l != &out->writes; l = next) {
        next = l->next;
        if (!ouro__write_at(l)->flying)
            ouro__write_end(ouro__write_at(l), rc);
    }
    ouro__serve_all(&out->draining, rc);
    ouro__serve_all(&out->shutting, rc);
}

void ouro__write_fail(struct ouro__write *w, int rc)
{
    if (w->sent > 0 && !w->s->out.error)
        w->s->out.error = -EPIPE;
    ouro__write_end(w, rc);
}

/* ---- Telling off ----------------------------------------------------------------------------- */

static struct ouro__write *first(const struct ouro__outgoing *out)
{
    return ouro__list_empty(&out->writes) ? NULL : ouro__write_at(out->writes.next);
}

/* Bytes that were put and go before @w, or before the end. */
static uint64_t put_before(const struct ouro__outgoing *out, const struct ouro__write *w)
{
    return (w ? w->put_before : out->put) - out->put_sent;
}

static bool complete(const struct ouro__outgoing *out, const struct ouro__write *w)
{
    return w->left == 0 && !w->fetch && put_before(out, w) == 0;
}

/* End those at the front of which all is sent, and those that only wait until they are there. */
static void end_complete(struct ouro__outgoing *out)
{
    struct ouro__write *w;
    while ((w = first(out)) && complete(out, w))
        ouro__write_end(w, (int64_t)w->sent);
}

void ouro__outgoing_count(struct ouro__write *w, uint64_t n)
{
    w->sent += n;
    w->s->out.bytes += n;
    w->s->out.sends++;
}

static void advance(struct ouro__write *w, uint64_t n)
{
    w->left -= n;
    w->sent += n;
    w->s->out.queued -= n;
    while (n > 0) {
        size_t rest = w->parts->iov_len - w->skip;
        if (n < rest) {
            w->skip += n;
            return;
        }
        n -= rest;
        w->skip = 0;
        w->parts++;
        w->count--;
    }
}

/* The kernel has taken @n bytes, from the front. */
static void tell_off(ouro_stream *s, uint64_t n)
{
    struct ouro__outgoing *out = &s->out;
    out->bytes += n;
    out->sends++;
    for (;;) {
        struct ouro__write *w = first(out);
        uint64_t put = put_before(out, w);
        if (put > n)
            put = n;
        out->put_sent += put;
        out->sending.at += put;
        n -= put;
        if (!w)
            break;
        uint64_t some = n < w->left ? n : w->left;
        advance(w, some);
        n -= some;
        if (!complete(out, w))
            break;
        ouro__write_end(w, (int64_t)w->sent);
    }
    assert(n == 0);
    ouro__outgoing_drained(s);
}

/* ---- Sending --------------------------------------------------------------------------------- */

void ouro__block_sigpipe(ouro_stream *s)
{
    if (!s->out.blocks_sigpipe)
        ouro__signal_block(SIGPIPE);
    s->out.blocks_sigpipe = true;
}

int ouro__outgoing_start(ouro_stream *s, struct ouro__op *op)
{
    if (!s->is_socket)
        ouro__block_sigpipe(s);
    int rc = ouro__op_start(s->loop, op);
    if (rc == 0)
        s->out.flight = op;
    return rc;
}

/* Send from the front of the line. 0 or -ENOMEM. */
static int start(ouro_stream *s)
{
    ouro__prepare_send(s);
    s->out.op.complete = send_landed;
    return ouro__outgoing_start(s, &s->out.op);
}

/* Begin what is next. 0; 1: something was fetched without waiting, look again; -ENOMEM. */
static int start_next(ouro_stream *s)
{
    struct ouro__write *w = first(&s->out);
    if (!w || put_before(&s->out, w) > 0)
        return start(s);
    if (ouro__zero_copy_waits(w))
        return ouro__zero_copy_start(w);
    if (w->left > 0)
        return start(s);
    w->flying = true;
    return w->fetch(w);
}

/* There is no memory for an operation: what was put waits until somebody tries again. */
static void no_memory(ouro_stream *s)
{
    ouro__gather_drop(s);
    ouro__unmark(&s->out);
    struct ouro__write *w = first(&s->out);
    if (w)
        ouro__write_fail(w, -ENOMEM);
    fail_all(s, w && s->out.error ? s->out.error : -ENOMEM);
}

void ouro__outgoing_go_on(ouro_stream *s)
{
    struct ouro__outgoing *out = &s->out;
    int rc = 1;
    while (rc > 0 && !out->flight && !out->error) {
        end_complete(out);
        if (ouro__list_empty(&out->writes) && out->put == out->put_sent) {
            ouro__outgoing_finish(s);
            return;
        }
        rc = start_next(s);
    }
    if (rc == -ENOMEM) {
        no_memory(s);
    } else if (rc < 0) {
        out->error = rc;
        ouro__unmark(out);
        fail_all(s, rc);
    }
}

/* ---- Landing --------------------------------------------------------------------------------- */

void ouro__prepare_poll_out(ouro_stream *s)
{
    uint32_t events = POLLOUT;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    events <<= 16; /* the kernel keeps it where the 16 bits of old were */
#endif
    s->out.op.sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_POLL_ADD, .fd = s->fd, .poll32_events = events};
}

/* Whether @rc is the fault of the write at the front, and of nobody else. */
static bool is_its_own_fault(const struct ouro__outgoing *out, int rc)
{
    const struct ouro__write *w = first(out);
    if (!w || !w->flying || put_before(out, w) > 0)
        return false;
    return rc == -EFAULT || rc == -ENOMEM || rc == -ENOBUFS;
}

static void failed(ouro_stream *s, int rc)
{
    struct ouro__outgoing *out = &s->out;
    bool stopped = rc == -ECANCELED || rc == -EINTR;
    if (out->error || (stopped && out->asked) || rc == -EINTR)
        return;
    if (is_its_own_fault(out, rc))
        ouro__write_fail(first(out), rc);
    else
        out->error = rc == -ECANCELED ? -ESHUTDOWN : rc; /* by the loop's end, nobody asked */
}

/* Those of what was in flight that were cancelled, and not complete. */
static void end_cancelled(struct ouro__outgoing *out)
{
    struct ouro__link *next;
    for (struct ouro__link *l = out->writes.next; l != &out->writes; l = next) {
        struct ouro__write *w = ouro__write_at(l);
        next = l->next;
        if (w->f.flags & OURO__CANCEL_ASKED)
            ouro__write_fail(w, -ECANCELED);
    }
}

void ouro__outgoing_landed(ouro_stream *s, int32_t res)
{
    struct ouro__outgoing *out = &s->out;
    out->flight = NULL;
    ouro__gather_drop(s);
    if (res > 0)
        tell_off(s, (uint64_t)res);
    else
        failed(s, res == 0 ? -EIO : res);
    ouro__unmark(out);
    end_complete(out);
    if (out->asked)
        end_cancelled(out);
    out->asked = false;
    if (out->error)
        fail_all(s, out->error);
    else
        ouro__outgoing_go_on(s);
}

/* The same in short for what is usual: all of the only write went out. */
static bool landed_whole(ouro_stream *s, int32_t res)
{
    struct ouro__outgoing *out = &s->out;
    struct ouro__write *w = ouro__only_write(s);
    if (!w || res <= 0 || w->left != (uint32_t)res || out->gather || out->asked || out->error ||
        out->ends)
        return false;
    ouro__outgoing_count(w, w->left);
    out->queued -= w->left;
    w->left = 0;
    ouro__write_end(w, (int64_t)w->sent);
    return true;
}

static void send_landed(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    ouro_stream *s = OURO__CONTAINER(op, ouro_stream, out.op);
    s->out.flight = NULL;
    bool room = op->sqe.opcode == IORING_OP_POLL_ADD;
    if (!room && landed_whole(s, res)) {
        ouro__stream_op_ended(s);
        return;
    }
    if (res == -EAGAIN && !s->out.asked) {
        ouro__prepare_poll_out(s); /* somebody has put it into non-blocking mode */
        if (ouro__outgoing_start(s, op) == 0)
            return; /* with the same marks */
        res = -ENOMEM;
    }
    ouro__outgoing_landed(s, room && res > 0 ? -EINTR : res);
    ouro__stream_op_ended(s);
}

/* ---- Without the ring ------------------------------------------------------------------------ */

/* The bytes that the socket took, or -1 and errno; 0: there is nothing that could be sent. */
static ssize_t send_now(ouro_stream *s)
{
    struct ouro__write *only = ouro__only_write(s);
    if (only && !ouro__zero_copy_waits(only)) {
        const struct iovec piece = ouro__only_piece(only);
        only->flying = true;
        return send(s->fd, piece.iov_base, piece.iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    struct iovec parts[OURO__GATHER];
    struct ouro__pieces p = {.parts = parts, .max = OURO__GATHER, .room = OURO__SEND_MAX};
    ouro__collect(&s->out, &p);
    if (p.count == 0)
        return 0; /* an empty write, or one that has to fetch first */
    const struct msghdr msg = {.msg_iov = parts, .msg_iovlen = p.count};
    return sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Offer the socket what is there, by a call that does not wait: what it takes need not be waited
 * for. */
static void send_at_once(ouro_stream *s)
{
    ssize_t n = send_now(s);
    if (n == 0)
        return;
    if (n > 0)
        tell_off(s, (uint64_t)n);
    else if (errno != EAGAIN && errno != EINTR)
        failed(s, -errno);
    ouro__unmark(&s->out);
    if (s->out.error)
        fail_all(s, s->out.error);
}

/* Whether nothing else is to be run, or submitted, in this turn. */
static bool is_alone(const ouro_loop *loop)
{
    return ouro__list_empty(&loop->batch) && ouro__list_empty(&loop->ready) &&
           ouro__list_empty(&loop->ops.queued);
}

static bool may_go_at_once(const ouro_stream *s)
{
    const struct ouro__outgoing *out = &s->out;
    if (!s->is_socket || out->flight || out->error || out->at_once == SIZE_MAX)
        return false;
    return ouro__outgoing_unsent(s) >= out->at_once || is_alone(s->loop);
}

void ouro__outgoing_begin(ouro_stream *s)
{
    if (may_go_at_once(s))
        send_at_once(s);
    ouro__outgoing_go_on(s);
}

/* ---- Cancel ---------------------------------------------------------------------------------- */

ouro_future *ouro__write_cancel(ouro_future *f)
{
    struct ouro__write *w = OURO__CONTAINER(f, struct ouro__write, f);
    ouro_stream *s = w->s;
    if (w->ended)
        return NULL; /* the kernel's notification is all it waits for */
    if (!w->flying) {
        ouro__write_fail(w, -ECANCELED);
        return NULL;
    }
    s->out.asked = true;
    if (ouro__op_cancel(s->loop, s->out.flight))
        ouro__outgoing_landed(s, -ECANCELED);
    return NULL;
}

/* ---- The line -------------------------------------------------------------------------------- */

void ouro__write_init(struct ouro__write *w, ouro_stream *s)
{
    w->s = s;
    w->parts = NULL;
    w->count = 0;
    w->skip = 0;
    w->put_before = s->out.put;
    w->left = 0;
    w->sent = 0;
    w->result = 0;
    w->flying = false;
    w->lent = false;
    w->ended = false;
    w->fetch = NULL;
    w->drop = NULL;
}

ouro_future *ouro__write_begin(struct ouro__write *w)
{
    struct ouro__outgoing *out = &w->s->out;
    ouro__list_push(&out->writes, &w->link);
    out->queued += w->left;
    ouro__outgoing_begin(w->s);
    return &w->f;
}

int ouro__outgoing_check(const ouro_stream *s)
{
    int rc = ouro__stream_check(s);
    if (rc < 0)
        return rc;
    if (s->out.error)
        return s->out.error;
    return s->out.ends ? -EPIPE : 0;
}

ouro_future *ouro__outgoing_refuse(int rc)
{
    bool elsewhere = rc == -EXDEV || rc == -ECHILD || rc == -ESHUTDOWN; /* or no loop at all */
    return elsewhere || rc == -EBADF || rc == -EINVAL ? ouro__failed(rc) : ouro_ready(rc);
}

/* ---- Beginning and end of the direction ------------------------------------------------------ */

void ouro__outgoing_init(ouro_stream *s)
{
    struct ouro__outgoing *out = &s->out;
    ouro__list_init(&out->writes);
    ouro__list_init(&out->lent);
    out->at_once = AT_ONCE;
    out->job.run = ouro__outgoing_turn_ends;
}

void ouro__outgoing_stop(ouro_stream *s, int rc)
{
    struct ouro__outgoing *out = &s->out;
    out->error = rc;
    if (ouro__linked(&out->job.link))
        ouro__list_remove(&out->job.link);
    if (out->flight) {
        out->asked = true;
        if (ouro__op_cancel(s->loop, out->flight))
            ouro__outgoing_landed(s, -ECANCELED);
    }
    fail_all(s, rc);
}

bool ouro__outgoing_is_quiet(const ouro_stream *s)
{
    return !s->out.flight;
}

void ouro__outgoing_drop(ouro_stream *s)
{
    struct ouro__outgoing *out = &s->out;
    struct ouro__link *link;
    while ((link = ouro__list_pop(&out->lent)))
        ouro__write_at(link)->s = NULL; /* the kernel alone has to do with it */
    ouro__copies_drop(&out->sending);
    ouro__copies_drop(&out->filling);
    out->put_sent = out->put;
    if (out->blocks_sigpipe)
        ouro__signal_unblock(SIGPIPE);
    out->blocks_sigpipe = false;
}

size_t ouro__outgoing_unsent(const ouro_stream *s)
{
    return s->out.queued + (size_t)(s->out.put - s->out.put_sent);
}
