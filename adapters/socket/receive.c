/* SPDX-License-Identifier: MIT */
/*
 * What comes in, as far as the queue of a stream.
 *
 * Happy path: the first read that finds nothing has a multishot receive armed, which goes on, in the
 * background, for as many bytes as the stream may hold; the kernel chooses a buffer for each
 * arrival, or several for a large one. Then, and whenever a receive has ended, the next read that
 * waits arms another, so a stream nobody reads from is left to the kernel and to the peer's window.
 *
 * A small arrival is moved to where the one before it ends, if there is room, so that a stream
 * holds bytes, not buffers with a few bytes each.
 *
 * When the kernel finds no buffer, the receive ends and the stream stands in line. Those in line
 * are called as there are buffers for them, oldest first; each that is called takes one, at once or
 * not at all, and only then goes on as usual.
 *
 * How it fails: an error or the end is kept, and told once the bytes before it have been read. A
 * receive that has to be stopped may bring bytes all the same; they are in the queue then.
 */
#include "receive.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "uapi.h"

#define MOST_AT_ONCE ((size_t)1 << 30) /* that one operation is asked for */

/* ---- The queue ------------------------------------------------------------------------------- */

static void append(struct ouro__incoming *in, uint16_t id, uint32_t n)
{
    struct ouro__piece *pieces = in->buffers->pieces;
    pieces[id].start = 0;
    pieces[id].end = n;
    pieces[id].next = OURO__NO_BUFFER;
    if (in->first == OURO__NO_BUFFER)
        in->first = id;
    else
        pieces[in->last].next = id;
    in->last = id;
}

/* @n bytes in a buffer that is held now. */
static void keep(struct ouro__incoming *in, uint16_t id, uint32_t n)
{
    struct ouro__buffers *b = in->buffers;
    in->unread += n;
    if (in->first != OURO__NO_BUFFER) {
        struct ouro__piece *last = &b->pieces[in->last];
        if (n <= b->size - last->end) {
            memcpy(ouro__buffer_at(b, in->last) + last->end, ouro__buffer_at(b, id), n);
            last->end += n;
            ouro__buffer_give_back(b, id);
            return;
        }
    }
    append(in, id, n);
}

/* The kernel has put @n bytes in @id, and in those after it as far as they go. */
static void keep_filled(struct ouro__incoming *in, uint16_t id, uint32_t n)
{
    struct ouro__buffers *b = in->buffers;
    for (;;) {
        uint32_t room = ouro__buffer_room(b, id);
        uint16_t next = ouro__buffer_after(b, id);
        ouro__buffer_filled(b);
        keep(in, id, n < room ? n : room);
        if (n <= room)
            break;
        n -= room;
        id = next;
    }
    if (b->lent < b->quota / 2)
        ouro__buffers_top_up(b);
}

static int start(ouro_stream *s);

/* Call those in line, as many as there are buffers for. */
static void call_waiting(struct ouro__buffers *b)
{
    while (!ouro__list_empty(&b->waiting) && ouro__buffers_free(b) && !b->cut) {
        struct ouro__link *link = ouro__list_pop(&b->waiting);
        ouro_stream *s = OURO__CONTAINER(link, ouro_stream, in.turn);
        b->woken++;
        s->in.called = true;
        b->called++;
        int rc = start(s);
        if (rc < 0)
            ouro__reading_fail(s, rc);
    }
}

static void give_back(struct ouro__buffers *b, uint16_t id)
{
    ouro__buffer_give_back(b, id);
    if (!ouro__list_empty(&b->waiting))
        call_waiting(b);
}

/* The first buffer of the queue is read. */
static uint16_t unlink_first(struct ouro__incoming *in)
{
    uint16_t id = in->first;
    in->first = in->buffers->pieces[id].next;
    return id;
}

size_t ouro__incoming_take(ouro_stream *s, unsigned char *to, size_t n)
{
    struct ouro__incoming *in = &s->in;
    struct ouro__buffers *b = in->buffers;
    size_t taken = 0;
    while (taken < n && in->first != OURO__NO_BUFFER) {
        struct ouro__piece *p = &b->pieces[in->first];
        size_t some = p->end - p->start;
        if (some > n - taken)
            some = n - taken;
        memcpy(to + taken, ouro__buffer_at(b, in->first) + p->start, some);
        taken += some;
        p->start += (uint32_t)some;
        in->unread -= some;
        if (p->start == p->end)
            give_back(b, unlink_first(in));
    }
    return taken;
}

uint16_t ouro__incoming_lend(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    assert(in->lent == OURO__NO_BUFFER);
    in->lent = unlink_first(in);
    const struct ouro__piece *p = &in->buffers->pieces[in->lent];
    in->unread -= p->end - p->start;
    return in->lent;
}

void ouro__incoming_done(ouro_stream *s)
{
    uint16_t id = s->in.lent;
    s->in.lent = OURO__NO_BUFFER;
    give_back(s->in.buffers, id);
}

/* Give back what is in the queue. Nobody is called before the last, and in a loop that has closed
 * not then either. */
static void drop_queue(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    while (in->first != OURO__NO_BUFFER)
        ouro__buffer_give_back(in->buffers, unlink_first(in));
    in->unread = 0;
    if (in->buffers && !s->cut)
        call_waiting(in->buffers);
}

/* ---- Ways to receive ------------------------------------------------------------------------- */

/* Whether the bytes @ask wants go where it wants them without a stop in the queue: always when
 * there is no buffer for them, so that a read that brings its own need not wait for one. */
static bool goes_direct(const ouro_stream *s, const struct ouro__ask *ask)
{
    const struct ouro__buffers *b = s->in.buffers;
    if (ask->how == OURO__READ_EXACT)
        return ask->size > ouro__buffers_share(b) || !ouro__buffers_free(b);
    return ask->how == OURO__READ_SOME && (s->opts.no_read_ahead || !ouro__buffers_free(b));
}

static bool has_room_behind(const struct ouro__incoming *in)
{
    return in->first != OURO__NO_BUFFER && in->buffers->pieces[in->last].end < in->buffers->size;
}

/* How the bytes for the read that waits are best received. */
static enum ouro__way choose(const ouro_stream *s)
{
    const struct ouro__incoming *in = &s->in;
    if (in->called)
        return in->buffers->ring ? OURO__ONE : OURO__OWN;
    if (goes_direct(s, &in->reading->ask))
        return OURO__DIRECT;
    if (!ouro__buffers_free(in->buffers) && has_room_behind(in))
        return OURO__TAIL;
    if (!in->buffers->ring)
        return OURO__OWN;
    bool one = !s->is_socket || s->opts.no_read_ahead || ouro__buffers_scarce(in->buffers);
    return one ? OURO__ONE : OURO__MULTISHOT;
}

/* Bytes that one buffer may bring: without reading ahead only what the read is sure to want. */
static uint32_t wanted(const ouro_stream *s)
{
    const struct ouro__ask *ask = &s->in.reading->ask;
    size_t n = s->in.buffers->size;
    if (!s->opts.no_read_ahead || ask->how == OURO__READ_NEXT)
        return (uint32_t)n;
    if (ask->how == OURO__READ_UNTIL || ask->how == OURO__READ_LINE)
        return 1;
    size_t missing = ask->size - ask->done - s->in.unread;
    return (uint32_t)(missing < n ? missing : n);
}

static void make_tail(const ouro_stream *s, struct io_uring_sqe *sqe)
{
    const struct ouro__buffers *b = s->in.buffers;
    uint32_t end = b->pieces[s->in.last].end;
    uint32_t n = wanted(s);
    sqe->addr = (uintptr_t)(ouro__buffer_at(b, s->in.last) + end);
    sqe->len = n < b->size - end ? n : b->size - end;
}

/* A multishot ends by itself when the stream holds its share. */
static void make_multishot(const ouro_stream *s, struct io_uring_sqe *sqe)
{
    const struct ouro__buffers *b = s->in.buffers;
    sqe->ioprio = IORING_RECV_MULTISHOT;
    if (s->loop->driver->features & OURO__FEAT_RECVSEND_BUNDLE)
        sqe->ioprio |= OURO__RECVSEND_BUNDLE;
    if (b->limits) {
        size_t left = ouro__buffers_share(b) - s->in.unread;
        sqe->file_index = (uint32_t)(left > b->size ? left : b->size); /* in its other meaning */
    }
}

static void make_direct(const ouro_stream *s, struct io_uring_sqe *sqe)
{
    const struct ouro__ask *ask = &s->in.reading->ask;
    size_t n = ask->size - ask->done;
    sqe->addr = (uintptr_t)(ask->buf + ask->done);
    sqe->len = (uint32_t)(n < MOST_AT_ONCE ? n : MOST_AT_ONCE);
    if (s->is_socket && ask->how == OURO__READ_EXACT)
        sqe->msg_flags = MSG_WAITALL;
}

static void make_poll(struct io_uring_sqe *sqe)
{
    sqe->opcode = IORING_OP_POLL_ADD;
    sqe->off = 0;
    sqe->poll32_events = POLLIN;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    sqe->poll32_events <<= 16; /* the kernel keeps it where the 16 bits of old were */
#endif
}

/* The kernel is to choose a buffer, and not before there is something to put into it. */
static void make_choosing(const ouro_stream *s, struct io_uring_sqe *sqe)
{
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = OURO__STREAM_GROUP;
    if (s->is_socket && !s->in.called && !s->in.buffers->lent)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

/* Fill in the receive for the way it goes. */
static void make(const ouro_stream *s, struct io_uring_sqe *sqe)
{
    const struct ouro__incoming *in = &s->in;
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_RECV, .fd = s->fd};
    if (!s->is_socket) {
        sqe->opcode = IORING_OP_READ;
        sqe->off = (uint64_t)-1;
    } else if (in->called) {
        sqe->msg_flags = MSG_DONTWAIT;
    }
    switch ((enum ouro__way)in->way) {
    case OURO__MULTISHOT:
        make_multishot(s, sqe);
        make_choosing(s, sqe);
        break;
    case OURO__ONE:
        sqe->len = wanted(s);
        make_choosing(s, sqe);
        break;
    case OURO__OWN:
        sqe->addr = (uintptr_t)ouro__buffer_at(in->buffers, in->own);
        sqe->len = wanted(s);
        break;
    case OURO__TAIL:
        make_tail(s, sqe);
        break;
    case OURO__DIRECT:
        make_direct(s, sqe);
        break;
    case OURO__POLL:
        make_poll(sqe);
        break;
    }
}

/* ---- Beginning and end of one receive -------------------------------------------------------- */

static void stand_in_line(ouro_stream *s, bool first)
{
    struct ouro__buffers *b = s->in.buffers;
    if (first) {
        ouro__list_push_front(&b->waiting, &s->in.turn);
    } else {
        ouro__list_push(&b->waiting, &s->in.turn);
    }
    call_waiting(b);
    if (ouro__linked(&s->in.turn) && !first) {
        b->parked++;
        s->in.parked++;
    }
}

/* What was set aside for the receive that has ended. */
static void tidy(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    if (in->own != OURO__NO_BUFFER) {
        uint16_t id = in->own;
        in->own = OURO__NO_BUFFER;
        give_back(in->buffers, id);
    }
    if (in->called) {
        in->called = false;
        in->buffers->called--;
        call_waiting(in->buffers);
    }
}

/* What comes next goes behind what is in the queue. */
static void empty_into(ouro_stream *s, struct ouro__ask *ask)
{
    if (s->in.unread)
        ask->done += ouro__incoming_take(s, ask->buf + ask->done, ask->size - ask->done);
}

static int start_as(ouro_stream *s, enum ouro__way way)
{
    struct ouro__incoming *in = &s->in;
    in->way = (uint8_t)way;
    in->cancelled = false;
    if (way == OURO__OWN)
        in->own = ouro__buffer_take(in->buffers);
    else if (way == OURO__DIRECT)
        empty_into(s, &in->reading->ask);
    make(s, &in->op.sqe);
    int rc = ouro__op_start_idle(s->loop, &in->op);
    if (rc < 0)
        tidy(s);
    return rc;
}

static int start(ouro_stream *s)
{
    return start_as(s, choose(s));
}

int ouro__incoming_want(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    if (!in->buffers)
        in->buffers = ouro__buffers_get(s->loop);
    if (!in->buffers)
        return -ENOMEM;
    if (ouro__op_live(&in->op) || ouro__linked(&in->turn))
        return 0;
    enum ouro__way way = choose(s);
    if (way != OURO__OWN || in->buffers->spare)
        return start_as(s, way);
    stand_in_line(s, false);
    return 0;
}

bool ouro__incoming_cancel(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    in->cancelled = true;
    if (!ouro__op_cancel(s->loop, &in->op))
        return false;
    tidy(s);
    return true;
}

/* ---- Completions ----------------------------------------------------------------------------- */

static void arrived(ouro_stream *s, uint32_t n, uint32_t flags)
{
    struct ouro__incoming *in = &s->in;
    if (in->way == OURO__POLL)
        return;
    in->bytes += n;
    in->receives++;
    if (in->way == OURO__DIRECT) {
        in->reading->ask.done += n;
    } else if (in->way == OURO__TAIL) {
        in->buffers->pieces[in->last].end += n;
        in->unread += n;
    } else if (in->way == OURO__OWN) {
        uint16_t id = in->own;
        in->own = OURO__NO_BUFFER;
        keep(in, id, n);
    } else {
        assert(flags & IORING_CQE_F_BUFFER);
        keep_filled(in, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT), n);
    }
}

/* It may come with a buffer all the same. */
static void nothing_arrived(ouro_stream *s, uint32_t flags)
{
    if (!(flags & IORING_CQE_F_BUFFER))
        return;
    ouro__buffer_filled(s->in.buffers);
    give_back(s->in.buffers, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT));
}

/* The receive has ended with an error. 0: it is none, and the next may do better. 1: the stream
 * stands in line. Else what the read that waits fails with. */
static int look_into(ouro_stream *s, int rc, bool called)
{
    struct ouro__incoming *in = &s->in;
    switch (rc) {
    case -ENOBUFS:
        ouro__buffers_dry(in->buffers);
        if (!in->reading || ouro__buffers_free(in->buffers) || choose(s) == OURO__DIRECT ||
            choose(s) == OURO__TAIL)
            return 0;
        stand_in_line(s, called);
        return 1;
    case -EAGAIN:
        if (!in->reading || s->is_socket)
            return 0;                 /* it was called for nothing */
        rc = start_as(s, OURO__POLL); /* a pipe in non-blocking mode */
        return rc < 0 ? rc : 1;
    case -EINTR:
        return 0;
    case -ECANCELED:
        return in->cancelled ? 0 : rc; /* not by us: the loop is shut down */
    case -EINVAL:
        if (in->way == OURO__MULTISHOT && in->buffers->limits) {
            in->buffers->limits = false; /* this kernel knows none */
            return 0;
        }
        break;
    default:
        break;
    }
    in->over = true;
    in->error = rc;
    return 0;
}

/* The last completion has come. As look_into(). */
static int ended(ouro_stream *s, int res)
{
    struct ouro__incoming *in = &s->in;
    bool called = in->called;
    tidy(s);
    if (res < 0)
        return look_into(s, res, called);
    if (res == 0)
        in->over = true;
    else if (in->way == OURO__MULTISHOT && in->unread >= ouro__buffers_share(in->buffers))
        in->paused++;
    return 0;
}

static void complete(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    ouro_stream *s = OURO__CONTAINER(op, ouro_stream, in.op);
    struct ouro__incoming *in = &s->in;
    (void)loop;
    int rc = 0;
    if (res > 0)
        arrived(s, (uint32_t)res, flags);
    else
        nothing_arrived(s, flags);
    if (in->shut)
        drop_queue(s);
    if (!(flags & IORING_CQE_F_MORE)) {
        rc = ended(s, res);
    } else if (in->unread >= ouro__buffers_share(in->buffers) && !in->cancelled) {
        in->paused++;
        ouro__incoming_cancel(s);
    }
    if (rc < 0 && in->reading)
        ouro__reading_fail(s, rc);
    else if (rc == 0)
        ouro__reading_go_on(s);
    if (s->state != OURO__STREAM_OPEN || !ouro__line_empty(&s->taking))
        ouro__stream_op_ended(s);
}

/* ---- Life ------------------------------------------------------------------------------------ */

void ouro__incoming_init(ouro_stream *s)
{
    s->in.op.complete = complete;
    s->in.first = OURO__NO_BUFFER;
    s->in.last = OURO__NO_BUFFER;
    s->in.lent = OURO__NO_BUFFER;
    s->in.own = OURO__NO_BUFFER;
}

bool ouro__incoming_is_quiet(const ouro_stream *s)
{
    return !ouro__op_live(&s->in.op);
}

bool ouro__incoming_recall(ouro_stream *s)
{
    if (ouro__linked(&s->in.turn))
        ouro__list_remove(&s->in.turn);
    return !ouro__op_live(&s->in.op) || ouro__incoming_cancel(s);
}

/* End the read that waits, now, or when the kernel has let go of its buffer. */
static void stop(ouro_stream *s, int rc)
{
    struct ouro__incoming *in = &s->in;
    in->stopped = rc;
    bool quiet = ouro__incoming_recall(s);
    if (in->reading && (quiet || in->way != OURO__DIRECT))
        ouro__reading_fail(s, rc);
}

void ouro__incoming_stop(ouro_stream *s, int rc)
{
    stop(s, rc);
}

void ouro__incoming_drop(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    if (!in->buffers)
        return;
    if (in->lent != OURO__NO_BUFFER)
        ouro__buffer_give_back(in->buffers, in->lent);
    in->lent = OURO__NO_BUFFER;
    drop_queue(s);
    ouro__buffers_unref(in->buffers);
    in->buffers = NULL;
}

void ouro__incoming_shut(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    in->shut = true;
    in->over = true;
    in->error = 0;
    if (ouro__incoming_recall(s))
        drop_queue(s);
    if (in->reading && !ouro__op_live(&in->op))
        ouro__reading_go_on(s);
}
