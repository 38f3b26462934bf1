/* SPDX-License-Identifier: MIT */
/*
 * Reads: what is wanted of the bytes that have come.
 *
 * Happy path: a read looks into the stream's queue, and receives once if that is not enough; then
 * what it wants is there, and the future has settled before anybody could wait for it. Else it is
 * the stream's one reading, and looks again each time that something has come.
 *
 * A search for a delimiter remembers how far it has got, so that a line that comes byte by byte is
 * looked at once.
 *
 * How it fails: the end or an error of the stream comes after the bytes before it. A cancelled read
 * ends at once and leaves the queue as it was.
 */
#include "receive.h"

#include <limits.h>
#include <string.h>

#define MOST_BYTES ((size_t)SSIZE_MAX)

/* ---- Looking into the queue ------------------------------------------------------------------ */

/* A place in the queue. */
struct place {
    uint16_t id;
    size_t at; /* in the buffer's unread bytes */
};

static const unsigned char *bytes_at(const ouro_stream *s, struct place p, size_t *ret_n)
{
    const struct ouro__piece *piece = &s->in.buffers->pieces[p.id];
    *ret_n = piece->end - piece->start - p.at;
    return ouro__buffer_at(s->in.buffers, p.id) + piece->start + p.at;
}

/* @n bytes further than @p, which is as far as the queue goes at most. */
static struct place further(const ouro_stream *s, struct place p, size_t n)
{
    while (n) {
        size_t there;
        bytes_at(s, p, &there);
        if (n < there)
            return (struct place){p.id, p.at + n};
        n -= there;
        p = (struct place){s->in.buffers->pieces[p.id].next, 0};
    }
    return p;
}

/* Whether the @n bytes at @p, which are there, are these. */
static bool matches(const ouro_stream *s, struct place p, const unsigned char *bytes, size_t n)
{
    while (n) {
        size_t some;
        const unsigned char *here = bytes_at(s, p, &some);
        if (some > n)
            some = n;
        if (memcmp(here, bytes, some) != 0)
            return false;
        bytes += some;
        n -= some;
        p = (struct place){s->in.buffers->pieces[p.id].next, 0};
    }
    return true;
}

/* Bytes up to and with the delimiter; 0: it is not there yet. */
static size_t find(const ouro_stream *s, struct ouro__ask *ask)
{
    const size_t n = ask->delimiter_size;
    if (s->in.unread < ask->scanned + n)
        return 0;
    struct place p = further(s, (struct place){s->in.first, 0}, ask->scanned);
    while (ask->scanned + n <= s->in.unread) {
        size_t there;
        const unsigned char *here = bytes_at(s, p, &there);
        const unsigned char *hit = memchr(here, ask->delimiter[0], there);
        size_t skip = hit ? (size_t)(hit - here) : there;
        ask->scanned += skip;
        p = further(s, p, skip);
        if (!hit)
            continue;
        if (ask->scanned + n > s->in.unread)
            return 0;
        if (matches(s, p, ask->delimiter, n))
            return ask->scanned + n;
        ask->scanned++;
        p = further(s, p, 1);
    }
    return 0;
}

static size_t copy(const ouro_stream *s, unsigned char *to, size_t n)
{
    if (n > s->in.unread)
        n = s->in.unread;
    struct place p = {s->in.first, 0};
    for (size_t copied = 0; copied < n;) {
        size_t some;
        const unsigned char *here = bytes_at(s, p, &some);
        if (some > n - copied)
            some = n - copied;
        memcpy(to + copied, here, some);
        copied += some;
        p = (struct place){s->in.buffers->pieces[p.id].next, 0};
    }
    return n;
}

/* ---- Whether a read has what it wants -------------------------------------------------------- */

/* Each returns whether the read is over, and with what. What there is has been looked at: */

static bool at_end(const ouro_stream *s, int64_t at_eof, int64_t *ret_n)
{
    *ret_n = s->in.error ? s->in.error : at_eof;
    return s->in.over;
}

static bool try_some(ouro_stream *s, struct ouro__ask *ask, int64_t *ret_n)
{
    if (s->in.unread && ask->done == 0)
        ask->done = ouro__incoming_take(s, ask->buf, ask->size);
    *ret_n = (int64_t)ask->done;
    return ask->done || ask->size == 0 || at_end(s, 0, ret_n);
}

static bool try_exact(ouro_stream *s, struct ouro__ask *ask, int64_t *ret_n)
{
    size_t missing = ask->size - ask->done;
    bool piecemeal = ask->done || (ask->size > ouro__buffers_share(s->in.buffers));
    if (s->in.unread && (piecemeal || s->in.unread >= missing))
        ask->done += ouro__incoming_take(s, ask->buf + ask->done, missing);
    *ret_n = (int64_t)ask->done;
    return ask->done == ask->size || at_end(s, -ENODATA, ret_n);
}

/* No delimiter is in the first bytes; whether that is so for good. */
static bool try_no_longer(const ouro_stream *s, size_t room, int64_t *ret_n)
{
    *ret_n = -EMSGSIZE;
    return s->in.unread >= room || (s->in.unread >= ouro__buffers_share(s->in.buffers));
}

static bool try_until(ouro_stream *s, struct ouro__ask *ask, int64_t *ret_n)
{
    size_t n = find(s, ask);
    if (!n || n > ask->size)
        return try_no_longer(s, n ? n : ask->size, ret_n) || at_end(s, -ENODATA, ret_n);
    *ret_n = (int64_t)ouro__incoming_take(s, ask->buf, n);
    return true;
}

static bool try_line(ouro_stream *s, struct ouro__ask *ask, int64_t *ret_n)
{
    size_t room = ask->size - 1;
    size_t n = find(s, ask);
    if (!n && s->in.over && !s->in.error)
        n = s->in.unread;
    if (n > room || (!n && s->in.unread > room))
        return try_no_longer(s, 0, ret_n);
    if (!n && !at_end(s, 0, ret_n))
        return try_no_longer(s, SIZE_MAX, ret_n);
    if (n || !s->in.error) {
        *ret_n = (int64_t)ouro__incoming_take(s, ask->buf, n);
        ask->buf[n] = 0;
    }
    return true;
}

static bool try_next(ouro_stream *s, struct ouro__ask *ask, int64_t *ret_n)
{
    if (!s->in.unread)
        return at_end(s, 0, ret_n);
    struct place p = {ouro__incoming_lend(s), 0};
    size_t n;
    *ask->ret_bytes = bytes_at(s, p, &n);
    *ret_n = (int64_t)n;
    return true;
}

static bool try_peek(ouro_stream *s, struct ouro__ask *ask, int64_t *ret_n)
{
    *ret_n = -EMSGSIZE;
    if (ask->size > ouro__buffers_share(s->in.buffers))
        return true;
    if (s->in.unread < ask->size && !s->in.over)
        return false;
    if (s->in.unread || ask->size == 0)
        *ret_n = (int64_t)copy(s, ask->buf, ask->size);
    else
        at_end(s, 0, ret_n);
    return true;
}

static bool try(ouro_stream *s, struct ouro__ask *ask, int64_t *ret_n)
{
    switch ((enum ouro__how)ask->how) {
    case OURO__READ_SOME:
        return try_some(s, ask, ret_n);
    case OURO__READ_EXACT:
        return try_exact(s, ask, ret_n);
    case OURO__READ_UNTIL:
        return try_until(s, ask, ret_n);
    case OURO__READ_LINE:
        return try_line(s, ask, ret_n);
    case OURO__READ_NEXT:
        return try_next(s, ask, ret_n);
    case OURO__READ_PEEK:
        return try_peek(s, ask, ret_n);
    }
    return false;
}

/* Whether it would do with any bytes, and there are none: the usual case. */
static bool lacks_any(const ouro_stream *s, const struct ouro__ask *ask)
{
    if (s->in.unread || s->in.over)
        return false;
    return ask->how == OURO__READ_NEXT ||
           (ask->how == OURO__READ_SOME && ask->size > 0 && ask->done == 0);
}

/* Receives once if that may help. */
static bool advance(ouro_stream *s, struct ouro__ask *ask, int64_t *ret_n)
{
    bool lacks = lacks_any(s, ask);
    if (!lacks && try(s, ask, ret_n))
        return true;
    if (lacks && !s->in.readable)
        return false;
    int rc = ouro__incoming_receive(s, ask);
    *ret_n = rc;
    return rc < 0 || try(s, ask, ret_n);
}

/* ---- The read that waits --------------------------------------------------------------------- */

static void settle(struct ouro__reading *r, ouro_state state, int64_t n)
{
    if (n < 0 && r->ask.how == OURO__READ_EXACT)
        r->stream->in.got = (int64_t)r->ask.done;
    ouro__settle(&r->f, state, n);
}

static void finish(ouro_stream *s, ouro_state state, int64_t n)
{
    struct ouro__reading *r = s->in.reading;
    s->in.reading = NULL;
    if (ouro__linked(&s->in.turn))
        ouro__list_remove(&s->in.turn);
    if (ouro__linked(&s->in.job.link))
        ouro__list_remove(&s->in.job.link);
    settle(r, state, n);
}

void ouro__reading_fail(ouro_stream *s, int rc)
{
    bool asked = rc == -ECANCELED && (s->in.reading->f.flags & OURO__CANCEL_ASKED);
    finish(s, asked ? OURO_CANCELLED : OURO_ERROR, rc);
}

void ouro__reading_go_on(ouro_stream *s)
{
    struct ouro__reading *r = s->in.reading;
    int64_t n;
    if (!r)
        return;
    if (advance(s, &r->ask, &n)) {
        finish(s, n < 0 ? OURO_ERROR : OURO_VALUE, n);
        return;
    }
    int rc = ouro__incoming_wait(s);
    if (rc < 0)
        ouro__reading_fail(s, rc);
}

/* Nothing in the kernel knows of the reader's buffer. */
static ouro_future *reading_cancel(ouro_future *f)
{
    ouro_stream *s = OURO__CONTAINER(f, struct ouro__reading, f)->stream;
    ouro__reading_fail(s, -ECANCELED);
    if (s->opts.no_read_ahead)
        ouro__incoming_recall(s);
    return NULL;
}

static void reading_describe(const ouro_future *f, char *text, size_t size)
{
    static const char *const names[] = {"read",      "read_exact", "read_until",
                                        "read_line", "next",       "peek"};
    const struct ouro__reading *r = OURO__CONTAINER(f, const struct ouro__reading, f);
    snprintf(text, size, "%s of a stream, fd %d%s", names[r->ask.how], r->stream->fd,
             ouro__linked(&r->stream->in.turn) ? ", in line for a buffer" : "");
}

static const struct ouro__kind reading_kind = {
    .name = "read of a stream",
    .size = sizeof(struct ouro__reading),
    .cancel = reading_cancel,
    .describe = reading_describe,
};

/* @ask, if it is @valid. */
static ouro_future *begin(ouro_stream *s, const struct ouro__ask *ask, bool valid)
{
    int rc = valid ? ouro__stream_check(s) : -EINVAL;
    if (rc == 0 && (s->in.reading || ouro__is_receiving_fds(s)))
        rc = -EBUSY;
    if (ask->how == OURO__READ_EXACT && (rc == 0 || rc == -EBADF))
        s->in.got = 0;
    if (rc < 0)
        return ouro__failed(rc);
    if (!s->in.buffers)
        s->in.buffers = ouro__buffers_get(s->loop);
    struct ouro__reading *r = s->in.buffers ? ouro__future_new(s->loop, &reading_kind) : NULL;
    if (!r)
        return ouro__failed(-ENOMEM);
    r->stream = s;
    r->ask = *ask;
    if (s->in.lent != OURO__NO_BUFFER)
        ouro__incoming_done(s);
    int64_t n;
    if (advance(s, &r->ask, &n)) {
        settle(r, n < 0 ? OURO_ERROR : OURO_VALUE, n);
        return &r->f;
    }
    s->in.reading = r;
    rc = ouro__incoming_wait(s);
    if (rc < 0)
        ouro__reading_fail(s, rc);
    return &r->f;
}

/* ---- Kinds of reads -------------------------------------------------------------------------- */

static bool is_room(const void *buf, size_t size)
{
    return (buf || size == 0) && size <= MOST_BYTES;
}

ouro_future *ouro_stream_read(ouro_stream *s, void *buf, size_t size)
{
    struct ouro__ask ask = {.how = OURO__READ_SOME, .buf = buf, .size = size};
    return begin(s, &ask, is_room(buf, size));
}

ouro_future *ouro_stream_read_exact(ouro_stream *s, void *buf, size_t size)
{
    struct ouro__ask ask = {.how = OURO__READ_EXACT, .buf = buf, .size = size};
    return begin(s, &ask, is_room(buf, size));
}

ouro_future *ouro_stream_read_until(ouro_stream *s, void *buf, size_t size, const void *delimiter,
                                    size_t delimiter_size)
{
    struct ouro__ask ask = {
        .how = OURO__READ_UNTIL,
        .buf = buf,
        .size = size,
        .delimiter = delimiter,
        .delimiter_size = delimiter_size,
    };
    return begin(s, &ask,
                 is_room(buf, size) && delimiter && delimiter_size && delimiter_size <= size);
}

ouro_future *ouro_stream_read_line(ouro_stream *s, char *buf, size_t size)
{
    static const unsigned char newline = '\n';
    struct ouro__ask ask = {
        .how = OURO__READ_LINE,
        .buf = (unsigned char *)buf,
        .size = size,
        .delimiter = &newline,
        .delimiter_size = 1,
    };
    return begin(s, &ask, is_room(buf, size) && size >= 2);
}

ouro_future *ouro_stream_next(ouro_stream *s, const void **ret_bytes)
{
    struct ouro__ask ask = {.how = OURO__READ_NEXT, .ret_bytes = ret_bytes};
    return begin(s, &ask, ret_bytes != NULL);
}

ouro_future *ouro_stream_peek(ouro_stream *s, void *buf, size_t size)
{
    struct ouro__ask ask = {.how = OURO__READ_PEEK, .buf = buf, .size = size};
    return begin(s, &ask, is_room(buf, size));
}

void ouro_stream_done(ouro_stream *s)
{
    if (ouro__stream_check(s) == 0 && s->in.lent != OURO__NO_BUFFER)
        ouro__incoming_done(s);
}

int64_t ouro_stream_got(const ouro_stream *s)
{
    return s ? s->in.got : -EINVAL;
}
