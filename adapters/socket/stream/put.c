/* SPDX-License-Identifier: MIT */
/*
 * Bytes that are copied and sent at the end of the turn.
 *
 * They are kept in two buffers: the kernel may be reading one, so only the other may grow and move.
 * When the first is all sent they change places. A stream that has nothing to send has no buffer.
 *
 * How it fails: no memory for the copy, or the mark is passed, and nothing is taken. An error of
 * what was put before is the stream's, and every later call meets it.
 */
#include "send_int.h"

#include <string.h>

#define FIRST_ROOM ((size_t)1024)

void ouro__copies_drop(struct ouro__copies *c)
{
    ouro__release(c->bytes);
    *c = (struct ouro__copies){0};
}

/* Room for @size bytes more, of @most in all. 0 or -ENOMEM. */
static int reserve(struct ouro__copies *c, size_t size, size_t most)
{
    size_t need = c->size + size;
    if (need <= c->room)
        return 0;
    size_t room = c->room ? c->room : FIRST_ROOM;
    while (room < need)
        room *= 2;
    if (room > most)
        room = most;
    char *bytes = ouro__resize(c->bytes, room);
    if (!bytes)
        return -ENOMEM;
    c->bytes = bytes;
    c->room = room;
    return 0;
}

static size_t waiting(const struct ouro__outgoing *out)
{
    return (size_t)(out->put - out->put_sent);
}

void ouro__outgoing_turn_ends(struct ouro__job *job)
{
    ouro__outgoing_begin(OURO__CONTAINER(job, ouro_stream, out.job));
}

int ouro_stream_put(ouro_stream *s, const void *buf, size_t size)
{
    int rc = buf || size == 0 ? ouro__outgoing_check(s) : -EINVAL;
    if (rc < 0 || size == 0)
        return rc;
    struct ouro__outgoing *out = &s->out;
    if (size > s->opts.high_water)
        return -EMSGSIZE;
    if (size > s->opts.high_water - waiting(out))
        return -EAGAIN;
    rc = reserve(&out->filling, size, s->opts.high_water);
    if (rc < 0)
        return rc;
    memcpy(out->filling.bytes + out->filling.size, buf, size);
    out->filling.size += size;
    out->put += size;
    if (!out->flight && !ouro__linked(&out->job.link))
        ouro__ready(s->loop, &out->job);
    return 0;
}

void ouro__outgoing_drained(ouro_stream *s)
{
    struct ouro__outgoing *out = &s->out;
    if (waiting(out) <= s->opts.low_water)
        ouro__serve_all(&out->draining, 0);
    if (waiting(out) == 0) {
        ouro__copies_drop(&out->sending);
        ouro__copies_drop(&out->filling);
    }
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static const struct ouro__wait_kind drain_kind = {.name = "drain of a stream"};

ouro_future *ouro_stream_drain(ouro_stream *s)
{
    int rc = ouro__outgoing_check(s);
    if (rc == -EPIPE && s->out.ends && !s->out.error)
        rc = 0; /* shut down, and what was put before that is still sent */
    if (rc < 0)
        return ouro__outgoing_refuse(rc);
    ouro__outgoing_go_on(s);
    if (waiting(&s->out) <= s->opts.low_water)
        return ouro_ready(0);
    struct ouro__waiter w = {.kind = &drain_kind, .of = s};
    return ouro__wait_future(s->loop, &s->out.draining, &w, NULL);
}

static const struct ouro__kind flush_kind = {
    .name = "flush of a stream",
    .size = sizeof(struct ouro__write),
    .cancel = ouro__write_cancel,
};

ouro_future *ouro_stream_flush(ouro_stream *s)
{
    int rc = ouro__outgoing_check(s);
    if (rc == -EPIPE && s->out.ends && !s->out.error)
        rc = 0;
    if (rc < 0)
        return ouro__outgoing_refuse(rc);
    struct ouro__write *w = ouro__future_new(s->loop, &flush_kind);
    if (!w)
        return ouro__failed(-ENOMEM);
    ouro__write_init(w, s); /* a write of nothing: when it is its turn, all before it is sent */
    return ouro__write_begin(w);
}
