/* SPDX-License-Identifier: MIT */
/*
 * Writes: the calls.
 *
 * A write is a future with a place in the stream's line, see send.c. The caller's array of parts is
 * walked where it is.
 */
#include "send_int.h"

#include <limits.h>

static void describe(const ouro_future *f, char *text, size_t size)
{
    const struct ouro__write *w = OURO__CONTAINER(f, const struct ouro__write, f);
    snprintf(text, size, "write, fd %d, %llu of %llu bytes sent", w->s ? w->s->fd : -1,
             (unsigned long long)w->sent, (unsigned long long)(w->sent + w->left));
}

static const struct ouro__kind write_kind = {
    .name = "write",
    .size = sizeof(struct ouro__write),
    .cancel = ouro__write_cancel,
    .describe = describe,
};

/* Bytes of all @parts, or -EINVAL. */
static int64_t measure(const struct iovec *parts, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        size_t size = parts[i].iov_len;
        if ((!parts[i].iov_base && size > 0) || size > (size_t)SSIZE_MAX - total)
            return -EINVAL;
        total += size;
    }
    return (int64_t)total;
}

static struct ouro__write *write_new(ouro_stream *s, size_t size)
{
    if (ouro__zero_copy_wanted(s, size))
        return ouro__zero_copy_new(s);
    struct ouro__write *w = ouro__future_new(s->loop, &write_kind);
    if (w)
        ouro__write_init(w, s);
    return w;
}

/* @parts NULL: the one part @only. */
static ouro_future *write_parts(ouro_stream *s, const struct iovec *only, const struct iovec *parts,
                                size_t n)
{
    int64_t size = measure(parts ? parts : only, n);
    int rc = size < 0 ? (int)size : ouro__outgoing_check(s);
    if (rc < 0)
        return ouro__outgoing_refuse(rc);
    struct ouro__write *w = write_new(s, (size_t)size);
    if (!w)
        return ouro__failed(-ENOMEM);
    if (!parts)
        w->one = *only;
    w->parts = parts ? parts : &w->one;
    w->count = n;
    w->left = (uint64_t)size;
    return ouro__write_begin(w);
}

ouro_future *ouro_stream_write(ouro_stream *s, const void *buf, size_t size)
{
    const struct iovec only = {(void *)(uintptr_t)buf, size};
    ouro_future *f = NULL;
    if (buf && ouro__stream_is_usable(s))
        f = ouro__write_plainly(s, &write_kind, only);
    return f ? f : write_parts(s, &only, NULL, 1);
}

ouro_future *ouro_stream_writev(ouro_stream *s, const struct iovec *parts, size_t n)
{
    if (n > IOV_MAX || (!parts && n > 0))
        return ouro__failed(-EINVAL);
    const struct iovec none = {NULL, 0};
    return write_parts(s, &none, n > 0 ? parts : NULL, n);
}

int64_t ouro_stream_written(const ouro_stream *s)
{
    return s ? (int64_t)s->out.written : -EINVAL;
}
