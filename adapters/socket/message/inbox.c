/* SPDX-License-Identifier: MIT */
/*
 * Messages that come in.
 *
 * Happy path: the first call that receives makes the buffers and arms one operation, which fills a
 * buffer with every message until it is cancelled. It is in the background: nobody waits for it. A
 * full buffer goes to the end of the order; a call takes from its front what it wants, at once or
 * when something comes, and the next call gives those buffers back to the kernel.
 *
 * A buffer begins with the kernel's own header (struct io_uring_recvmsg_out), then there is room
 * for the sender's name and for control messages, then comes the message. With GRO it holds several
 * datagrams, and the control message that says how long each is; they are handed out one by one.
 *
 * Where the kernel does not choose buffers, the operation is made again for each message, with the
 * buffer that comes next. The rest is the same.
 *
 * How it fails: with no buffer left the operation ends, and is armed again when one comes back. Any
 * other error is kept for the next call, and only then is the operation armed again, so that errors
 * and messages keep their order. A connection's end is remembered.
 */
#include "control.h"
#include "datagram_int.h"

#include <linux/udp.h>
#include <string.h>

#define NAME_ROOM_IP     32u  /* sockaddr_in6 has 28 */
#define NAME_ROOM_UNIX   112u /* sockaddr_un has 110 */
#define BUFFER_ALIGNMENT 64u

/* What users have the socket tell that we do not know of, by its descriptor: were the room too
 * small, the size of segments might be what is missing, and many messages be one. The largest, both
 * stamps of SO_TIMESTAMPING and the address of IPV6_RECVPKTINFO, have 64 and 40 bytes. */
#define OTHER_CONTROL 256u

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static unsigned char *buffer_at(const struct ouro__inbox *in, unsigned id)
{
    return in->memory + id * in->size;
}

static struct io_uring_recvmsg_out *header_at(const struct ouro__inbox *in, unsigned id)
{
    return (struct io_uring_recvmsg_out *)(void *)buffer_at(in, id);
}

static unsigned char *name_at(const struct ouro__inbox *in, unsigned id)
{
    return buffer_at(in, id) + sizeof(struct io_uring_recvmsg_out);
}

static size_t head_size(const struct ouro__inbox *in)
{
    return sizeof(struct io_uring_recvmsg_out) + in->name_room + in->control_room;
}

/* The control messages of a buffer, as the macros want them. */
static struct msghdr control_of(const struct ouro__inbox *in, unsigned id)
{
    return (struct msghdr){
        .msg_control = name_at(in, id) + in->name_room,
        .msg_controllen = header_at(in, id)->controllen,
    };
}

/* The number of the @i-th buffer that holds messages. */
static unsigned held_id(const struct ouro__inbox *in, unsigned i)
{
    return in->order[(in->head + i) & (in->count - 1)];
}

/* ---- Buffers --------------------------------------------------------------------------------- */

/* What can come with a message: descriptors and the sender, or the size of segments; and the
 * time. */
static size_t control_room(const ouro_datagram *d)
{
    size_t time = CMSG_SPACE(sizeof(struct timespec));
    if (d->family != AF_UNIX)
        return round_up(time + CMSG_SPACE(sizeof(int)) + OTHER_CONTROL, 16);
    return round_up(
        time + CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(OURO_FDS_MAX * sizeof(int)), 16);
}

/* Memory that the kernel does not choose from. */
static int plain_buffers(struct ouro__inbox *in)
{
    in->block = ouro__alloc(in->count * in->size + BUFFER_ALIGNMENT);
    if (!in->block)
        return -ENOMEM;
    in->memory = (unsigned char *)round_up((uintptr_t)in->block, BUFFER_ALIGNMENT);
    return 0;
}

static int make_buffers(ouro_datagram *d)
{
    struct ouro__inbox *in = &d->in;
    in->count = d->opts.buffers;
    in->name_room = d->family == AF_UNIX ? NAME_ROOM_UNIX : NAME_ROOM_IP;
    in->control_room = control_room(d);
    in->size = round_up(head_size(in) + d->opts.message_size, BUFFER_ALIGNMENT);
    in->order = ouro__alloc(in->count * sizeof(*in->order));
    if (!in->order)
        return -ENOMEM;
    int rc = ouro__buffer_ring_open(d->loop, in->count, in->size, &in->ring);
    in->memory = in->ring.memory;
    if (rc < 0 && rc != -ENOMEM) {
        in->multishot = false;
        rc = plain_buffers(in);
    }
    if (rc < 0) {
        ouro__release(in->order);
        in->order = NULL;
    }
    return rc;
}

void ouro__inbox_drop(ouro_datagram *d, bool quietly)
{
    struct ouro__inbox *in = &d->in;
    if (!in->order)
        return;
    for (; in->held; in->held--, in->head++) {
        struct msghdr control = control_of(in, held_id(in, 0));
        ouro__control_close_fds(d->loop, &control);
    }
    if (in->ring.block)
        ouro__buffer_ring_close(d->loop, &in->ring, quietly);
    ouro__release(in->block);
    ouro__release(in->order);
    in->order = NULL;
    in->lent = 0;
}

/* ---- Arming ---------------------------------------------------------------------------------- */

static void on_receive(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags);

static void prepare(ouro_datagram *d)
{
    struct ouro__inbox *in = &d->in;
    unsigned id = (in->head + in->held) & (in->count - 1); /* unless the kernel chooses */
    unsigned char *name = name_at(in, id);
    in->msg = (struct msghdr){
        .msg_namelen = (socklen_t)in->name_room,
        .msg_controllen = in->control_room,
    };
    in->op.complete = on_receive;
    in->op.sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_RECVMSG,
        .fd = d->fd,
        .addr = (uint64_t)(uintptr_t)&in->msg,
        .len = 1,
        .msg_flags = MSG_TRUNC | MSG_CMSG_CLOEXEC,
    };
    if (in->multishot) {
        in->op.sqe.ioprio = IORING_RECV_MULTISHOT;
        in->op.sqe.flags = IOSQE_BUFFER_SELECT;
        in->op.sqe.buf_group = in->ring.group;
        return;
    }
    in->msg.msg_name = name;
    in->msg.msg_control = name + in->name_room;
    in->part = (struct iovec){name + in->name_room + in->control_room, in->size - head_size(in)};
    in->msg.msg_iov = &in->part;
    in->msg.msg_iovlen = 1;
}

/* See to it that messages come in, if there is room and nothing against it. 0 or -ENOMEM. */
static int arm(ouro_datagram *d)
{
    struct ouro__inbox *in = &d->in;
    if (d->state != OURO__DATAGRAM_OPEN || ouro__op_live(&in->op) || in->error || in->ended ||
        in->held == in->count)
        return 0;
    prepare(d);
    return ouro__op_start_idle(d->loop, &in->op);
}

/* ---- Handing out ----------------------------------------------------------------------------- */

static void read_control(const ouro_datagram *d, struct cmsghdr *c, ouro_message *m)
{
    const void *data = CMSG_DATA(c);
    struct timespec when;
    struct ucred who;
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
        memcpy(&when, data, sizeof(when));
        m->time = OURO_SEC(when.tv_sec) + (ouro_ns)when.tv_nsec;
    } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS &&
               d->opts.credentials) {
        memcpy(&who, data, sizeof(who));
        m->sender = (ouro_peer){.pid = who.pid, .uid = who.uid, .gid = who.gid};
        m->has_sender = 1;
    }
}

static size_t segment_of(const struct cmsghdr *c)
{
    int size = 0;
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
        memcpy(&size, CMSG_DATA(c), sizeof(size));
    return (size_t)size;
}

/* Look at the first buffer that is not lent. Returns the bytes of each message in it, 0: it is
 * one. */
static size_t read_front(const ouro_datagram *d, ouro_message *m)
{
    const struct ouro__inbox *in = &d->in;
    unsigned id = held_id(in, in->lent);
    const struct io_uring_recvmsg_out *head = header_at(in, id);
    size_t room = in->size - head_size(in), segment = 0;
    *m = (ouro_message){
        .bytes = buffer_at(in, id) + head_size(in),
        .size = head->payloadlen < room ? head->payloadlen : room,
        .full_size = head->payloadlen,
        .fds_cut = (head->flags & MSG_CTRUNC) != 0,
    };
    if (head->namelen && head->namelen <= in->name_room) {
        memcpy(&m->from.as, name_at(in, id), head->namelen);
        m->from.size = head->namelen < sizeof(m->from.as.local) ? head->namelen
                                                                : sizeof(m->from.as.local);
    }
    struct msghdr control = control_of(in, id);
    for (struct cmsghdr *c = ouro__control_next(&control, NULL); c;
         c = ouro__control_next(&control, c)) {
        read_control(d, c, m);
        segment = segment_of(c) ? segment_of(c) : segment;
    }
    m->fds = ouro__control_fds(&control, &m->fd_count);
    return segment < m->size ? segment : 0;
}

/* The next of several messages in one buffer. False: it was the last. */
static bool take_segment(struct ouro__inbox *in, ouro_message *m)
{
    size_t left = in->front.size - in->used;
    *m = in->front;
    m->bytes = (const unsigned char *)m->bytes + in->used;
    m->size = left < in->segment ? left : in->segment;
    m->full_size = m->size;
    in->used += m->size;
    if (in->used == in->front.size)
        in->segment = 0;
    return in->segment != 0;
}

/* Take the next message out of the first buffer that is not lent, and lend that with its last. */
static void take_one(ouro_datagram *d, ouro_message *m)
{
    struct ouro__inbox *in = &d->in;
    if (!in->segment) {
        in->segment = read_front(d, m);
        in->used = 0;
        if (in->segment)
            in->front = *m;
    }
    if (!in->segment || !take_segment(in, m))
        in->lent++;
    d->stats.received++;
    d->stats.bytes_in += m->size;
}

/* What is lent comes back: the kernel may have it. */
static void give_back(ouro_datagram *d)
{
    struct ouro__inbox *in = &d->in;
    if (!in->lent)
        return;
    for (; in->lent; in->lent--, in->held--) {
        unsigned id = held_id(in, 0);
        struct msghdr control = control_of(in, id);
        ouro__control_close_fds(d->loop, &control);
        in->head++;
        if (in->multishot)
            ouro__buffer_ring_add(&in->ring, id);
    }
    if (in->multishot)
        ouro__buffer_ring_publish(&in->ring);
    (void)arm(d); /* without memory, the next call tries again */
}

static int64_t copy_out(ouro_datagram *d, const struct ouro__want *want)
{
    ouro_message m;
    take_one(d, &m);
    if (m.size > want->size)
        m.size = want->size;
    if (m.size)
        memcpy(want->buf, m.bytes, m.size);
    m.bytes = want->buf;
    d->stats.cut += m.size < m.full_size;
    if (want->messages)
        *want->messages = m;
    if (!want->messages || !m.fd_count)
        give_back(d);
    return (int64_t)m.size;
}

static int64_t lend(ouro_datagram *d, const struct ouro__want *want)
{
    size_t n = 0;
    for (; n < want->max && d->in.lent < d->in.held; n++) {
        take_one(d, &want->messages[n]);
        d->stats.cut += want->messages[n].size < want->messages[n].full_size;
    }
    return (int64_t)n;
}

/* Whether a call would not have to wait. */
static bool has_something(const struct ouro__inbox *in)
{
    return in->held > in->lent || in->error || in->ended;
}

/* What a call comes to, when there is something: messages, then an error, then the end. */
static int64_t hand_out(ouro_datagram *d, const struct ouro__want *want)
{
    struct ouro__inbox *in = &d->in;
    if (in->held > in->lent)
        return want->copy ? copy_out(d, want) : lend(d, want);
    int error = in->error;
    in->error = 0;
    if (error) {
        (void)arm(d);
        return error;
    }
    return want->copy ? -ENODATA : 0;
}

static void serve(struct ouro__job *job)
{
    ouro_datagram *d = OURO__CONTAINER(job, ouro_datagram, in.job);
    struct ouro__waiter *w = d->in.line.first;
    if (w && has_something(&d->in))
        ouro__serve(w, hand_out(d, &d->in.want));
}

/* Something has come. A call that takes many waits until the rest of this turn has, too. */
static void wake(ouro_datagram *d)
{
    struct ouro__inbox *in = &d->in;
    if (ouro__line_empty(&in->line) || !has_something(in) || ouro__linked(&in->job.link))
        return;
    in->job.run = serve;
    if (in->want.copy || in->want.max == 1)
        serve(&in->job);
    else
        ouro__ready(d->loop, &in->job);
}

/* ---- Coming in ------------------------------------------------------------------------------- */

/* A buffer is full. */
static void keep(ouro_datagram *d, unsigned id)
{
    struct ouro__inbox *in = &d->in;
    const struct io_uring_recvmsg_out *head = header_at(in, id);
    if (d->type == SOCK_SEQPACKET && head->payloadlen == 0 && head->controllen == 0) {
        in->ended = true;
        if (in->multishot) {
            ouro__buffer_ring_add(&in->ring, id);
            ouro__buffer_ring_publish(&in->ring);
        }
        return;
    }
    in->order[(in->head + in->held) & (in->count - 1)] = (uint16_t)id;
    in->held++;
    d->stats.receives++;
}

/* What the kernel would have written before the message itself, had it chosen the buffer. */
static void write_head(struct ouro__inbox *in, unsigned id, int32_t res)
{
    *header_at(in, id) = (struct io_uring_recvmsg_out){
        .namelen = in->msg.msg_namelen,
        .controllen = (uint32_t)in->msg.msg_controllen,
        .payloadlen = (uint32_t)res,
        .flags = (uint32_t)in->msg.msg_flags,
    };
}

/* The operation has ended without a message. */
static void failed(ouro_datagram *d, int32_t res)
{
    struct ouro__inbox *in = &d->in;
    if (res == -ENOBUFS && in->multishot)
        d->stats.paused++; /* some may be back by now */
    else if (res == -EINVAL && in->multishot && d->stats.receives == 0)
        in->multishot = false; /* a kernel that fills one buffer at a time */
    else if (res != -ECANCELED && res != -EINTR && res != -EAGAIN)
        in->error = res;
}

static void on_receive(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    ouro_datagram *d = OURO__CONTAINER(op, ouro_datagram, in.op);
    struct ouro__inbox *in = &d->in;
    unsigned next = (in->head + in->held) & (in->count - 1);
    if (flags & IORING_CQE_F_BUFFER) {
        keep(d, ouro__buffer_ring_id(flags));
    } else if (res >= 0 && !in->multishot) {
        write_head(in, next, res);
        keep(d, next);
    } else if (res < 0) {
        failed(d, res);
    }
    if (!(flags & IORING_CQE_F_MORE)) {
        /* At shutdown it is not armed for those who do not wait. */
        bool stopped = res == -ECANCELED && ouro__line_empty(&in->line);
        int rc = stopped || loop->phase >= OURO__SHUT ? 0 : arm(d);
        in->error = rc < 0 ? rc : in->error;
    }
    wake(d);
    if (!(flags & IORING_CQE_F_MORE))
        ouro__datagram_op_ended(d);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

bool ouro__inbox_is_quiet(const ouro_datagram *d)
{
    return !ouro__op_live(&d->in.op);
}

void ouro__inbox_stop(ouro_datagram *d, int rc)
{
    struct ouro__inbox *in = &d->in;
    ouro__serve_all(&in->line, rc);
    if (ouro__linked(&in->job.link))
        ouro__list_remove(&in->job.link);
    if (ouro__op_live(&in->op))
        (void)ouro__op_cancel(d->loop, &in->op);
}

/* ---- The calls ------------------------------------------------------------------------------- */

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_datagram *d = w->of;
    snprintf(text, size, "fd %d", d->fd);
}

static const struct ouro__wait_kind receive_kind = {.name = "message", .describe = describe};

static const struct ouro__kind received_kind = {
    .name = "message",
    .size = sizeof(ouro_future),
};

/* There is something: a future that has it already. */
static ouro_future *receive_now(ouro_datagram *d, const struct ouro__want *want)
{
    ouro_future *f = ouro__future_new(d->loop, &received_kind);
    if (!f)
        return ouro__failed(-ENOMEM);
    ouro__settle_n(f, hand_out(d, want));
    return f;
}

static ouro_future *receive(ouro_datagram *d, const struct ouro__want *want)
{
    struct ouro__inbox *in = &d->in;
    int rc = ouro__line_empty(&in->line) ? 0 : -EBUSY;
    if (rc == 0 && !in->order)
        rc = make_buffers(d);
    if (rc == 0) {
        give_back(d);
        rc = has_something(in) ? 0 : arm(d);
    }
    if (rc < 0)
        return ouro__failed(rc);
    if (has_something(in))
        return receive_now(d, want);
    in->want = *want;
    struct ouro__waiter w = {.kind = &receive_kind, .of = d};
    return ouro__wait_future(d->loop, &in->line, &w, NULL);
}

ouro_future *ouro_datagram_next(ouro_datagram *d, ouro_message *messages, size_t max)
{
    int rc = messages && max ? ouro__datagram_check_messages(d) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    return receive(d, &(struct ouro__want){.messages = messages, .max = max});
}

ouro_future *ouro_datagram_receive(ouro_datagram *d, void *buf, size_t size, ouro_message *ret)
{
    int rc = buf || !size ? ouro__datagram_check_messages(d) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    return receive(
        d, &(struct ouro__want){.messages = ret, .max = 1, .buf = buf, .size = size, .copy = true});
}

void ouro_datagram_done(ouro_datagram *d)
{
    if (ouro__datagram_check_messages(d) == 0 && d->in.order && ouro__line_empty(&d->in.line))
        give_back(d);
}
