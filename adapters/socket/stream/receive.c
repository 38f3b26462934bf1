/* SPDX-License-Identifier: MIT */
/*
 * What comes in, as far as the queue of a stream or the buffer of a reader.
 *
 * Happy path: the first read that finds nothing has a multishot poll armed, which stays, in the
 * background. When it tells that there is something, the read that waits receives it, without
 * waiting, and straight into its own buffer if it just wants bytes; what has to be kept together,
 * or is lent, goes to a buffer of the loop's, taken at that moment. So a stream that waits holds no
 * memory, a read can be cancelled at any time, what nobody reads stays in the kernel, and a burst
 * comes in one piece, which is cheaper by half than many small buffers that the kernel chooses.
 *
 * `readable` is what is known: it is set by the poll, and cleared by a receive that finds nothing,
 * or less than it has room for. That last is not enough when the poll told of more than bytes,
 * since the end and urgent data come without a word of their own; nor where a receive stops at what
 * was passed along with the bytes.
 *
 * What can be neither polled nor received from without waiting, as files and terminals, is read by
 * the ring, into a buffer of the loop's.
 *
 * How it fails: an error or the end is kept, and told once the bytes before it have been read.
 */
#include "receive.h"

#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define MOST_AT_ONCE ((size_t)1 << 30) /* that one receive is asked for */

/* A read of fewer bytes receives more than it wants, so that the next need not. */
#define SMALL_READ 1024u

/* The poll is given up when it has told so many times, and nobody has read. */
#define MOST_UNHEARD 64u

/* A completion of the poll has what the socket has or what it was woken with, which is urgent data
 * as well whenever bytes come; and this, which no socket has. */
#define WOKEN_WITH POLLRDBAND
#define ASKED_FOR  (POLLIN | POLLRDHUP | POLLPRI | WOKEN_WITH)

/* ---- The queue ------------------------------------------------------------------------------- */

static void append(struct ouro__incoming *in, uint16_t id)
{
    if (in->first == OURO__NO_BUFFER)
        in->first = id;
    else
        in->buffers->pieces[in->last].next = id;
    in->last = id;
}

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
        if (p->start == p->end)
            ouro__buffer_give_back(b, unlink_first(in));
    }
    in->unread -= taken;
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
    ouro__buffer_give_back(s->in.buffers, id);
}

static void drop_queue(struct ouro__incoming *in)
{
    while (in->first != OURO__NO_BUFFER)
        ouro__buffer_give_back(in->buffers, unlink_first(in));
    in->unread = 0;
}

/* Where to put what comes: behind what there is, or in a new buffer. OURO__NO_BUFFER: there is
 * none, or for a stream that has bytes no memory. */
static uint16_t place(struct ouro__incoming *in)
{
    struct ouro__buffers *b = in->buffers;
    if (in->first == OURO__NO_BUFFER)
        return ouro__buffer_take(b);
    return b->pieces[in->last].end < b->size ? in->last : ouro__buffer_take_more(b);
}

/* @n bytes were put into @id by place(), or none. */
static void keep(struct ouro__incoming *in, uint16_t id, size_t n)
{
    bool queued = in->first != OURO__NO_BUFFER && in->last == id;
    if (n == 0) {
        if (!queued)
            ouro__buffer_give_back(in->buffers, id);
        return;
    }
    in->buffers->pieces[id].end += (uint32_t)n;
    in->unread += n;
    if (!queued)
        append(in, id);
}

/* ---- One receive ----------------------------------------------------------------------------- */

/* What a receive, or its completion, came to. Returns the bytes it brought. */
static size_t note(ouro_stream *s, ssize_t rc)
{
    struct ouro__incoming *in = &s->in;
    if (rc > 0) {
        in->bytes += (uint64_t)rc;
        in->receives++;
        s->loop->brought += (size_t)rc;
        return (size_t)rc;
    }
    if (rc == -EINTR)
        return 0;
    in->readable = false;
    if (rc == -EAGAIN)
        return 0;
    in->over = true;
    in->error = (int)rc;
    return 0;
}

/* The three ways to receive without waiting. Each returns the bytes, or -1 and errno, and says
 * whether a short receive has left nothing behind. */

static ssize_t from_socket(const ouro_stream *s, void *to, size_t n, bool *ret_all)
{
    *ret_all = s->in.short_is_all;
    return recv(s->fd, to, n, MSG_DONTWAIT);
}

/* A receive stops where descriptors or credentials were passed, and says that they were cut off. */
static ssize_t from_unix(const ouro_stream *s, void *to, size_t n, bool *ret_all)
{
    struct iovec part = {to, n};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t rc = recvmsg(s->fd, &msg, MSG_DONTWAIT);
    *ret_all = !(msg.msg_flags & MSG_CTRUNC);
    return rc;
}

static ssize_t from_pipe(const ouro_stream *s, void *to, size_t n, bool *ret_all)
{
    const struct iovec part = {to, n};
    *ret_all = false;
    return preadv2(s->fd, &part, 1, -1, RWF_NOWAIT);
}

/* Returns the bytes it brought. */
static inline size_t receive_to(ouro_stream *s, unsigned char *to, size_t n)
{
    struct ouro__incoming *in = &s->in;
    bool all;
    if (n > MOST_AT_ONCE)
        n = MOST_AT_ONCE;
    ssize_t rc = in->is_unix    ? from_unix(s, to, n, &all)
                 : s->is_socket ? from_socket(s, to, n, &all)
                                : from_pipe(s, to, n, &all);
    if (rc < 0 && errno == EOPNOTSUPP && !s->is_socket) {
        in->by_ring = true; /* an old kernel */
        return 0;
    }
    size_t brought = note(s, rc < 0 ? -errno : rc);
    if (brought < n && all && !in->wary)
        in->readable = false;
    return brought;
}

static void stand_in_line(ouro_stream *s)
{
    struct ouro__buffers *b = s->in.buffers;
    b->empty++;
    b->parked++;
    s->in.parked++;
    ouro__list_push(&b->waiting, &s->in.turn);
}

/* How much may go to @room bytes of a buffer. Without reading ahead only what is sure to be
 * wanted. */
static size_t wanted(const ouro_stream *s, const struct ouro__ask *ask, size_t room)
{
    if (!s->opts.no_read_ahead || ask->how == OURO__READ_NEXT)
        return room;
    if (ask->how == OURO__READ_UNTIL || ask->how == OURO__READ_LINE)
        return 1;
    size_t missing = ask->size - ask->done - s->in.unread;
    return missing < room ? missing : room;
}

/* 0 or -ENOMEM. */
static int receive_to_queue(ouro_stream *s, const struct ouro__ask *ask)
{
    struct ouro__incoming *in = &s->in;
    uint16_t id = place(in);
    if (id == OURO__NO_BUFFER && in->first != OURO__NO_BUFFER)
        return -ENOMEM;
    if (id == OURO__NO_BUFFER) {
        stand_in_line(s);
        return 0;
    }
    uint32_t end = in->buffers->pieces[id].end;
    size_t n = wanted(s, ask, in->buffers->size - end);
    keep(in, id, receive_to(s, ouro__buffer_at(in->buffers, id) + end, n));
    return 0;
}

/* Whether the bytes @ask wants go to its own buffer without a stop in the queue: all of many, and
 * any when there is no buffer, so that a read that brings its own need not wait for one. */
static bool goes_direct(const ouro_stream *s, const struct ouro__ask *ask)
{
    const struct ouro__incoming *in = &s->in;
    bool none = !ouro__buffers_have(in->buffers);
    if (ask->how == OURO__READ_SOME)
        return ask->size >= SMALL_READ || s->opts.no_read_ahead || none;
    return ask->how == OURO__READ_EXACT &&
           (ask->done || ask->size > ouro__buffers_share(in->buffers) || none);
}

static void receive_direct(ouro_stream *s, struct ouro__ask *ask)
{
    if (s->in.unread)
        ask->done += ouro__incoming_take(s, ask->buf + ask->done, ask->size - ask->done);
    ask->done += receive_to(s, ask->buf + ask->done, ask->size - ask->done);
}

static void put_back(struct ouro__incoming *in, const unsigned char *bytes, size_t n)
{
    while (n) {
        uint16_t id = place(in);
        uint32_t end = in->buffers->pieces[id].end;
        size_t room = in->buffers->size - end;
        size_t some = n < room ? n : room;
        memcpy(ouro__buffer_at(in->buffers, id) + end, bytes, some);
        keep(in, id, some);
        bytes += some;
        n -= some;
    }
}

/* Exactly so much is often there at once. If it is not, what came goes to the queue, where a cancel
 * leaves it. */
static void receive_frame(ouro_stream *s, struct ouro__ask *ask)
{
    struct ouro__incoming *in = &s->in;
    size_t n = receive_to(s, ask->buf, ask->size);
    if (n == ask->size || n > (size_t)in->buffers->spare * in->buffers->size)
        ask->done = n;
    else
        put_back(in, ask->buf, n);
}

int ouro__incoming_receive(ouro_stream *s, struct ouro__ask *ask)
{
    struct ouro__incoming *in = &s->in;
    if (!in->readable || in->by_ring || in->over || ouro__linked(&in->turn))
        return 0;
    if (goes_direct(s, ask))
        receive_direct(s, ask);
    else if (ask->how == OURO__READ_EXACT && ask->size >= SMALL_READ && !in->unread)
        receive_frame(s, ask);
    else
        return receive_to_queue(s, ask);
    return 0;
}

size_t ouro__incoming_receive_lent(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    struct ouro__buffers *b = in->buffers;
    if (!in->readable || in->unread || in->over || in->by_ring || ouro__linked(&in->turn))
        return 0;
    uint16_t id = ouro__buffer_take(b);
    if (id == OURO__NO_BUFFER)
        return 0;
    size_t n = receive_to(s, ouro__buffer_at(b, id), b->size);
    if (n == 0) {
        ouro__buffer_give_back(b, id);
        return 0;
    }
    assert(in->lent == OURO__NO_BUFFER);
    b->pieces[id].end = (uint32_t)n;
    in->lent = id;
    return n;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void make_poll(const ouro_stream *s, struct io_uring_sqe *sqe)
{
    *sqe = (struct io_uring_sqe){.opcode = IORING_OP_POLL_ADD, .fd = s->fd};
    sqe->len = s->in.by_ring ? 0 : IORING_POLL_ADD_MULTI;
    sqe->poll32_events = ASKED_FOR;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    sqe->poll32_events <<= 16; /* the kernel keeps it where the 16 bits of old were */
#endif
}

static void make_read(const ouro_stream *s, struct io_uring_sqe *sqe)
{
    const struct ouro__incoming *in = &s->in;
    *sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_READ,
        .fd = s->fd,
        .off = (uint64_t)-1,
        .addr = (uintptr_t)ouro__buffer_at(in->buffers, in->own),
        .len = (uint32_t)wanted(s, &in->reading->ask, in->buffers->size),
    };
}

static int start(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    in->cancelled = false;
    in->unheard = 0;
    int rc = ouro__op_start_idle(s->loop, &in->op);
    if (rc < 0 && in->own != OURO__NO_BUFFER) {
        ouro__buffer_give_back(in->buffers, in->own);
        in->own = OURO__NO_BUFFER;
    }
    return rc;
}

static int start_poll(ouro_stream *s)
{
    make_poll(s, &s->in.op.sqe);
    return start(s);
}

/* Have the ring read. */
static int start_read(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    bool has_some = in->first != OURO__NO_BUFFER;
    in->own = has_some ? ouro__buffer_take_more(in->buffers) : ouro__buffer_take(in->buffers);
    if (in->own == OURO__NO_BUFFER && has_some)
        return -ENOMEM;
    if (in->own == OURO__NO_BUFFER) {
        stand_in_line(s);
        return 0;
    }
    make_read(s, &in->op.sqe);
    return start(s);
}

int ouro__incoming_wait(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    in->unheard = 0;
    if (ouro__linked(&in->turn))
        return 0;
    if (in->readable && !in->by_ring) {
        if (!ouro__linked(&in->job.link))
            ouro__ready(s->loop, &in->job); /* one receive in each pass: others want to run */
        return 0;
    }
    if (ouro__op_live(&in->op))
        return 0;
    return in->by_ring ? start_read(s) : start_poll(s);
}

static void go_on(struct ouro__job *job)
{
    ouro__reading_go_on(OURO__CONTAINER(job, ouro_stream, in.job));
}

void ouro__incoming_call(struct ouro__job *job)
{
    struct ouro__buffers *b = OURO__CONTAINER(job, struct ouro__buffers, job);
    b->calling = true;
    for (unsigned n = b->spare; n > 0 && !ouro__list_empty(&b->waiting); n--) {
        struct ouro__link *link = ouro__list_pop(&b->waiting);
        b->woken++;
        ouro__reading_go_on(OURO__CONTAINER(link, ouro_stream, in.turn));
    }
    b->calling = false;
    if (b->spare && !ouro__list_empty(&b->waiting) && !ouro__linked(&b->job.link))
        ouro__ready(b->loop, &b->job); /* some of them took none */
}

/* ---- Completions ----------------------------------------------------------------------------- */

/* Whether there is more to be had than bytes. That there is urgent data is told by what the socket
 * has: each time it is woken for some, it is woken for bytes too, and of two wakes only that is
 * left. */
static bool is_more_than_bytes(int32_t events)
{
    if (events & WOKEN_WITH)
        events &= ~(WOKEN_WITH | POLLPRI);
    return events & ~POLLIN;
}

static void polled(ouro_stream *s, int32_t events)
{
    struct ouro__incoming *in = &s->in;
    in->readable = true;
    in->wary = in->wary || is_more_than_bytes(events);
    if (!in->reading && ++in->unheard == MOST_UNHEARD && ouro__op_live(&in->op)) {
        in->paused++;
        in->cancelled = true;
        ouro__op_cancel(s->loop, &in->op);
    }
}

/* What the ring has read into @id joins what came before, if there is room: else each byte of a
 * dribble would hold a buffer. */
static void keep_together(struct ouro__incoming *in, uint16_t id, size_t n)
{
    struct ouro__buffers *b = in->buffers;
    bool follows = n && in->first != OURO__NO_BUFFER;
    uint32_t end = follows ? b->pieces[in->last].end : 0;
    if (!follows || n > b->size - end) {
        keep(in, id, n);
        return;
    }
    memcpy(ouro__buffer_at(b, in->last) + end, ouro__buffer_at(b, id), n);
    keep(in, in->last, n);
    keep(in, id, 0);
}

/* The ring's read is over. 0, or what the read that waits fails with; 1: it waits on. */
static int has_read(ouro_stream *s, int32_t res)
{
    struct ouro__incoming *in = &s->in;
    uint16_t id = in->own;
    in->own = OURO__NO_BUFFER;
    bool stopped = res == -ECANCELED;
    keep_together(in, id, stopped ? 0 : note(s, res));
    if (in->shut)
        drop_queue(in);
    if (stopped && !in->cancelled)
        return res; /* the loop is shut down */
    if (res != -EAGAIN || !in->reading)
        return 0;
    int rc = start_poll(s); /* it is in non-blocking mode */
    return rc < 0 ? rc : 1;
}

static void complete(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    ouro_stream *s = OURO__CONTAINER(op, ouro_stream, in.op);
    struct ouro__incoming *in = &s->in;
    (void)loop;
    (void)flags;
    int rc = 0;
    if (in->own != OURO__NO_BUFFER)
        rc = has_read(s, res);
    else if (res >= 0)
        polled(s, res);
    else if (res != -ECANCELED || !in->cancelled)
        rc = res; /* a cancel that is not ours: the loop is shut down */
    if (rc == 0)
        ouro__reading_go_on(s);
    else if (rc < 0 && in->reading)
        ouro__reading_fail(s, rc);
    if (s->state != OURO__STREAM_OPEN || !ouro__line_empty(&s->taking))
        ouro__stream_op_ended(s);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int domain_of(int fd)
{
    int domain = AF_UNSPEC;
    socklen_t size = sizeof(domain);
    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);
    return domain;
}

static bool is_pipe(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

void ouro__incoming_init(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    in->op.complete = complete;
    in->job.run = go_on;
    in->first = OURO__NO_BUFFER;
    in->last = OURO__NO_BUFFER;
    in->lent = OURO__NO_BUFFER;
    in->own = OURO__NO_BUFFER;
    in->readable = true; /* often something has come by the first read */
    int domain = s->is_socket ? domain_of(s->fd) : AF_UNSPEC;
    in->is_unix = domain == AF_UNIX;
    in->short_is_all = domain == AF_INET || domain == AF_INET6;
    in->by_ring = !s->is_socket && !is_pipe(s->fd);
}

bool ouro__incoming_is_quiet(const ouro_stream *s)
{
    return !ouro__op_live(&s->in.op);
}

bool ouro__incoming_recall(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    if (ouro__linked(&in->turn))
        ouro__list_remove(&in->turn);
    if (ouro__linked(&in->job.link))
        ouro__list_remove(&in->job.link);
    if (!ouro__op_live(&in->op))
        return true;
    in->cancelled = true;
    if (!ouro__op_cancel(s->loop, &in->op))
        return false;
    if (in->own != OURO__NO_BUFFER)
        ouro__buffer_give_back(in->buffers, in->own);
    in->own = OURO__NO_BUFFER;
    return true;
}

void ouro__incoming_stop(ouro_stream *s, int rc)
{
    ouro__incoming_recall(s);
    if (s->in.reading)
        ouro__reading_fail(s, rc);
}

void ouro__incoming_drop(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    if (ouro__linked(&in->turn))
        ouro__list_remove(&in->turn);
    if (!in->buffers)
        return;
    if (in->lent != OURO__NO_BUFFER)
        ouro__incoming_done(s);
    if (in->own != OURO__NO_BUFFER)
        ouro__buffer_give_back(in->buffers,
                               in->own); /* after a fork: the ring reads the parent's */
    in->own = OURO__NO_BUFFER;
    drop_queue(in);
    ouro__buffers_unref(in->buffers);
    in->buffers = NULL;
}

void ouro__incoming_shut(ouro_stream *s)
{
    struct ouro__incoming *in = &s->in;
    in->shut = true;
    in->over = true;
    in->error = 0;
    drop_queue(in);
    ouro__reading_go_on(s);
    ouro__incoming_recall(s);
}
