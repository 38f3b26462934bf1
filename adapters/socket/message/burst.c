/* SPDX-License-Identifier: MIT */
/*
 * Messages that go out, many at a time.
 *
 * Happy path: the messages are packed into shots, each one operation, and a round of shots is
 * handed over in one go. Neighbours of one size for one receiver share a shot, which the kernel
 * cuts into datagrams again (GSO). When the last shot of a round has completed, the next round
 * begins. The memory for a round stays with the socket, so that only its first burst allocates.
 *
 * A round of a Unix socket has one shot: there, messages keep their order, and what has no room
 * waits.
 *
 * How it fails: a shot of several messages that the kernel refuses to cut (a device that cannot, a
 * message larger than the path takes) is taken apart, and its messages go one by one. One that
 * fails alone is told so, and the others go on.
 */
#include "datagram_int.h"

#include <limits.h>
#include <linux/udp.h>
#include <string.h>

#define SHOTS      32u    /* of a round */
#define PARTS      512u   /* messages of a round */
#define SEGMENTS   64u    /* of a shot: UDP_MAX_SEGMENTS, 128 since Linux 6.9 */
#define SHOT_BYTES 65000u /* of a shot: an IP packet has 65 535, headers included */

#define UNTRIED (-EINPROGRESS) /* the result of a message that is still to be sent */

struct shot {
    struct ouro__op op;
    struct burst *burst;
    struct msghdr msg;
    size_t first; /* its messages */
    size_t count;
    _Alignas(struct cmsghdr) unsigned char control[CMSG_SPACE(sizeof(uint16_t))];
};

struct ouro__burst {
    struct shot shots[SHOTS];
    struct iovec parts[PARTS];
};

struct burst {
    struct ouro__call c;
    struct ouro__burst *round;
    ouro_outgoing *messages;
    size_t n;
    size_t next;     /* those before it were handed over, or have a result */
    size_t went;     /* how many */
    unsigned flying; /* shots in the kernel */
    bool one_by_one; /* the kernel does not cut */
    bool stopped;    /* nothing more */
};

static struct burst *burst_of(ouro_future *f)
{
    return OURO__CONTAINER(f, struct burst, c.f);
}

/* ---- Packing --------------------------------------------------------------------------------- */

static bool same_receiver(const ouro_outgoing *a, const ouro_outgoing *b)
{
    if (a->to == b->to)
        return true;
    return a->to && b->to && a->to->size == b->to->size &&
           memcmp(&a->to->as, &b->to->as, a->to->size) == 0;
}

/* How many messages from @first on can share a shot. */
static size_t run_length(const struct burst *b, size_t first, size_t room)
{
    const ouro_outgoing *m = &b->messages[first];
    size_t bytes = m->size, n = 1;
    if (b->one_by_one || b->c.d->family == AF_UNIX || m->size == 0)
        return 1;
    while (n < SEGMENTS && n < room && first + n < b->n) {
        const ouro_outgoing *next = &m[n];
        if (next->result != UNTRIED || next->size == 0 || next->size > m->size ||
            bytes + next->size > SHOT_BYTES || !same_receiver(m, next))
            break;
        bytes += next->size;
        n++;
        if (next->size < m->size)
            break; /* only the last may be shorter */
    }
    return n;
}

static void have_it_cut(struct shot *s, size_t size)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)s->control;
    uint16_t segment = (uint16_t)size;
    c->cmsg_level = IPPROTO_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(segment));
    memcpy(CMSG_DATA(c), &segment, sizeof(segment));
    s->msg.msg_control = s->control;
    s->msg.msg_controllen = sizeof(s->control);
}

static void on_shot(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags);

/* Fill @s with @count messages from @first on, whose bytes @parts will name. */
static void load(struct burst *b, struct shot *s, size_t first, size_t count, struct iovec *parts)
{
    const ouro_outgoing *m = &b->messages[first];
    s->burst = b;
    s->first = first;
    s->count = count;
    s->msg = (struct msghdr){.msg_iov = parts, .msg_iovlen = count};
    if (m->to) {
        s->msg.msg_name = (void *)(uintptr_t)&m->to->as;
        s->msg.msg_namelen = m->to->size;
    }
    for (size_t i = 0; i < count; i++)
        parts[i] = (struct iovec){(void *)(uintptr_t)m[i].bytes, m[i].size};
    if (count > 1)
        have_it_cut(s, m->size);
    s->op = (struct ouro__op){
        .complete = on_shot,
        .sqe =
            {
                .opcode = IORING_OP_SENDMSG,
                .fd = b->c.d->fd,
                .addr = (uint64_t)(uintptr_t)&s->msg,
                .len = 1,
                .msg_flags = MSG_NOSIGNAL,
            },
    };
}

/* Hand over as much as a round takes, and there is memory for. */
static void begin_round(struct burst *b)
{
    unsigned shots = b->c.d->family == AF_UNIX ? 1 : SHOTS;
    size_t parts = 0;
    while (b->flying < shots && parts < PARTS && b->next < b->n) {
        if (b->messages[b->next].result != UNTRIED) {
            b->next++;
            continue;
        }
        struct shot *s = &b->round->shots[b->flying];
        size_t count = run_length(b, b->next, PARTS - parts);
        load(b, s, b->next, count, &b->round->parts[parts]);
        if (ouro__op_start(b->c.d->loop, &s->op) < 0)
            return;
        parts += count;
        b->next += count;
        b->flying++;
    }
}

/* ---- Landing --------------------------------------------------------------------------------- */

/* What it comes to, when those still untried are told @unsent. */
static int64_t outcome(struct burst *b, int unsent, bool *ret_rest)
{
    int64_t first = 0;
    *ret_rest = false;
    for (size_t i = b->n; i-- > 0;) {
        int64_t *result = &b->messages[i].result;
        if (*result == UNTRIED) {
            *result = unsent;
            *ret_rest = true;
        }
        if (*result < 0)
            first = *result;
    }
    return b->went ? (int64_t)b->went : first;
}

/* Nothing is in the kernel. */
static void end(struct burst *b)
{
    ouro_datagram *d = b->c.d;
    bool asked = b->c.f.flags & (OURO__CANCEL_ASKED | OURO__CALL_CLOSED);
    bool rest;
    int64_t n = outcome(b, asked ? -ECANCELED : b->stopped ? -EAGAIN : -ENOMEM, &rest);
    if (d->spare)
        ouro__release(b->round);
    else
        d->spare = b->round;
    ouro__call_end(&b->c, asked && rest ? -ECANCELED : n);
}

/* Whether a shot of several was refused for being that. */
static bool is_uncut(const struct shot *s, int32_t res)
{
    return s->count > 1 && (res == -EINVAL || res == -EMSGSIZE || res == -EIO ||
                            res == -EOPNOTSUPP || res == -ENOPROTOOPT);
}

static void count_sent(struct burst *b, const struct shot *s)
{
    ouro_datagram_stats *stats = &b->c.d->stats;
    stats->sends++;
    stats->sent += s->count;
    b->went += s->count;
    for (size_t i = 0; i < s->count; i++)
        stats->bytes_out += b->messages[s->first + i].size;
}

static void landed(struct shot *s, int32_t res)
{
    struct burst *b = s->burst;
    bool again = is_uncut(s, res);
    b->flying--;
    if (again) {
        b->one_by_one = true;
        b->next = s->first < b->next ? s->first : b->next;
    }
    if (res == -ECANCELED || res == -EINTR || again)
        return; /* still untried */
    for (size_t i = 0; i < s->count; i++) {
        ouro_outgoing *m = &b->messages[s->first + i];
        m->result = res < 0 ? res : (int64_t)m->size;
    }
    if (res >= 0)
        count_sent(b, s);
    else if (b->c.d->family == AF_UNIX)
        b->stopped = true;
}

static void on_shot(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    struct shot *s = OURO__CONTAINER(op, struct shot, op);
    struct burst *b = s->burst;
    landed(s, res);
    if (b->flying)
        return;
    if (!b->stopped)
        begin_round(b);
    if (!b->flying)
        end(b);
}

static ouro_future *burst_cancel(ouro_future *f)
{
    struct burst *b = burst_of(f);
    b->stopped = true;
    for (unsigned i = 0; i < SHOTS; i++) {
        struct shot *s = &b->round->shots[i];
        if (s->burst == b && ouro__op_live(&s->op) && ouro__op_cancel(f->loop, &s->op))
            landed(s, -ECANCELED);
    }
    if (!b->flying)
        end(b);
    return NULL;
}

static void burst_describe(const ouro_future *f, char *text, size_t size)
{
    const struct burst *b = OURO__CONTAINER(f, const struct burst, c.f);
    snprintf(text, size, "send of %zu messages, fd %d, %zu went", b->n, b->c.d->fd, b->went);
}

static const struct ouro__kind burst_kind = {
    .name = "send of messages",
    .size = sizeof(struct burst),
    .cancel = burst_cancel,
    .describe = burst_describe,
};

/* ---- The call -------------------------------------------------------------------------------- */

/* Memory for a round: the socket's own, unless another burst has it. */
static struct ouro__burst *take_round(ouro_datagram *d)
{
    struct ouro__burst *round = d->spare;
    d->spare = NULL;
    if (round)
        return round;
    round = ouro__alloc(sizeof(*round));
    if (round)
        memset(round, 0, sizeof(*round));
    return round;
}

static ouro_future *begin(ouro_datagram *d, ouro_outgoing *messages, size_t n)
{
    struct ouro__burst *round = take_round(d);
    if (!round)
        return ouro__failed(-ENOMEM);
    struct burst *b = ouro__call_new(d, &burst_kind);
    if (!b) {
        d->spare = round;
        return ouro__failed(-ENOMEM);
    }
    struct ouro__call c = b->c;
    *b = (struct burst){.c = c, .round = round, .messages = messages, .n = n};
    for (size_t i = 0; i < n; i++)
        messages[i].result = UNTRIED;
    begin_round(b);
    if (b->flying == 0) {
        ouro_future *f = &b->c.f;
        end(b);
        return f;
    }
    return &b->c.f;
}

ouro_future *ouro_datagram_send_many(ouro_datagram *d, ouro_outgoing *messages, size_t n)
{
    int rc = messages || !n ? ouro__datagram_check_messages(d) : -EINVAL;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const ouro_outgoing *m = &messages[i];
        bool sane = (m->bytes || !m->size) && m->size <= INT_MAX;
        rc = sane && (!m->to || m->to->size >= sizeof(sa_family_t)) ? 0 : -EINVAL;
    }
    if (rc < 0)
        return ouro__failed(rc);
    return begin(d, messages, n);
}
