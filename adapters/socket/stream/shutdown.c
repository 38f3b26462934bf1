/* SPDX-License-Identifier: MIT */
/*
 * The end of one direction.
 *
 * Nothing more may be written from the call on; when all that was written before is sent, the
 * kernel is told, by a call that does not wait: the ring would have a worker make it, at ten times
 * the cost. What is no socket has nothing to be told, and is closed instead.
 */
#include "send_int.h"

static const struct ouro__wait_kind shutdown_kind = {.name = "shutdown of a stream"};

void ouro__outgoing_finish(ouro_stream *s)
{
    struct ouro__outgoing *out = &s->out;
    if (!out->ends || out->shut)
        return;
    out->shut = true;
    int rc = s->is_socket && shutdown(s->fd, SHUT_WR) < 0 ? -errno : 0;
    ouro__serve_all(&out->shutting, rc);
    if (!s->is_socket)
        ouro__stream_begin_close(s);
}

/* 0, or why the kernel cannot shut it down. */
static int shut_reading(ouro_stream *s)
{
    if (s->is_socket && shutdown(s->fd, SHUT_RD) < 0)
        return -errno;
    ouro__incoming_shut(s);
    return 0;
}

static ouro_future *shut_writing(ouro_stream *s)
{
    struct ouro__outgoing *out = &s->out;
    if (out->error)
        return ouro__outgoing_refuse(out->error);
    if (out->shut)
        return ouro_ready(0);
    struct ouro__waiter w = {.kind = &shutdown_kind, .of = s};
    ouro_future *f = ouro__wait_future(s->loop, &out->shutting, &w, NULL);
    out->ends = true; /* also when there is no memory to wait for it */
    ouro__outgoing_go_on(s);
    return f;
}

ouro_future *ouro_stream_shutdown(ouro_stream *s, int how)
{
    bool known = how == SHUT_RD || how == SHUT_WR || how == SHUT_RDWR;
    int rc = known ? ouro__stream_check(s) : -EINVAL;
    if (rc == -EBADF && s->out.shut && how == SHUT_WR)
        return ouro_ready(0);
    if (rc == 0 && how != SHUT_WR)
        rc = shut_reading(s);
    if (rc < 0)
        return ouro__outgoing_refuse(rc);
    return how == SHUT_RD ? ouro_ready(0) : shut_writing(s);
}
