/* SPDX-License-Identifier: MIT */
/*
 * From one stream to another.
 *
 * Happy path: a future that waits for one step after the other: the next buffer of one stream, its
 * write to the other, and so on; at the end, if that is to be passed on, a shutdown. Between two
 * steps others run, however much there is to copy.
 *
 * While a piece is written, the buffer it lies in is ours: whoever closes the stream that it came
 * from would else give it to the next who receives, and the other stream's peer would read that.
 *
 * How it fails: with the step that failed. A cancel goes to the step that is under way, so the copy
 * ends when the kernel has let go of the buffer.
 */
#include "stream_int.h"

#include <sys/socket.h>

#include <ouro/relay.h>

enum { PASS_END_ON = OURO__KIND_1 };

enum phase { READING, WRITING, ENDING };

struct copying {
    ouro_future f;
    struct ouro__job job; /* waits for the step */
    ouro_future *step;    /* a reference */
    ouro_stream *from;
    ouro_stream *to;
    const void *bytes;
    int64_t total; /* that has been written */
    uint8_t phase; /* enum phase */
    uint16_t lent; /* while WRITING: the buffer of `bytes`, and a reference to all of them */
};

static_assert(sizeof(struct copying) <= 160, "a copy outgrew its place");

/* Wait for @next, which a cancel that came before it reaches too. */
static void go_on(struct copying *c, enum phase phase, ouro_future *next)
{
    ouro__unref(c->step);
    c->phase = (uint8_t)phase;
    c->step = next;
    ouro__watch(next, &c->job);
    if (c->f.flags & OURO__CANCEL_ASKED)
        ouro__cancel(next);
}

static void finish(struct copying *c, int64_t n)
{
    ouro_future *step = c->step;
    if (n < 0)
        ouro__settle_as(&c->f, step);
    else
        ouro__settle_n(&c->f, n);
    ouro__unref(step);
}

static void has_ended(struct copying *c)
{
    if (c->f.flags & PASS_END_ON)
        go_on(c, ENDING, ouro_stream_shutdown(c->to, SHUT_WR));
    else
        finish(c, c->total);
}

static void read_on(struct copying *c)
{
    go_on(c, READING, ouro_stream_next(c->from, &c->bytes));
}

static void write_out(struct copying *c, size_t n)
{
    struct ouro__incoming *in = &c->from->in;
    if (in->lent == OURO__NO_BUFFER) {
        read_on(c); /* closed a moment ago, and the bytes are gone: which the next read says */
        return;
    }
    c->lent = in->lent;
    in->lent = OURO__NO_BUFFER;
    in->buffers->refs++;
    go_on(c, WRITING, ouro_stream_write(c->to, c->bytes, n));
}

static void written(struct copying *c)
{
    struct ouro__buffers *b = c->f.loop->buffers;
    ouro__buffer_give_back(b, c->lent);
    ouro__buffers_unref(b);
}

static void step_settled(struct ouro__job *job)
{
    struct copying *c = OURO__CONTAINER(job, struct copying, job);
    int64_t n = ouro_future_result(c->step).n;
    if (c->phase == WRITING)
        written(c);
    if (n < 0) {
        finish(c, n);
    } else if (c->phase == READING && n > 0) {
        write_out(c, (size_t)n);
    } else if (c->phase == READING) {
        has_ended(c);
    } else if (c->phase == WRITING) {
        c->total += n;
        read_on(c);
    } else {
        finish(c, c->total);
    }
}

static ouro_future *copying_cancel(ouro_future *f)
{
    return OURO__CONTAINER(f, struct copying, f)->step;
}

static bool copying_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    *ret_part = OURO__CONTAINER(f, const struct copying, f)->step;
    return i == 0;
}

static const struct ouro__kind copying_kind = {
    .name = "copy of a stream",
    .size = sizeof(struct copying),
    .cancel = copying_cancel,
    .combines = true,
    .part = copying_part,
};

/* 0, or why there can be no copy between them. */
static int check_both(const ouro_stream *from, const ouro_stream *to)
{
    if (from == to)
        return -EINVAL;
    int rc = ouro__stream_check(from);
    return rc < 0 ? rc : ouro__stream_check(to);
}

static ouro_future *copy(ouro_stream *from, ouro_stream *to, unsigned flags)
{
    int rc = check_both(from, to);
    if (rc < 0)
        return ouro__failed(rc);
    struct copying *c = ouro__future_new(from->loop, &copying_kind);
    if (!c)
        return ouro__failed(-ENOMEM);
    c->f.flags |= (uint16_t)flags;
    c->job.run = step_settled;
    c->from = from;
    c->to = to;
    c->total = 0;
    c->phase = READING;
    c->step = ouro_stream_next(from, &c->bytes);
    ouro__watch(c->step, &c->job);
    return &c->f;
}

ouro_future *ouro_stream_copy(ouro_stream *from, ouro_stream *to)
{
    return copy(from, to, 0);
}

ouro_future *ouro_stream_relay(ouro_stream *a, ouro_stream *b)
{
    int rc = check_both(a, b);
    if (rc < 0)
        return ouro__failed(rc);
    ouro_future *ways[] = {copy(a, b, PASS_END_ON), copy(b, a, PASS_END_ON)};
    return ouro_gather(ways, 2, OURO_GATHER_ALL, NULL);
}
