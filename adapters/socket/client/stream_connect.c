/* SPDX-License-Identifier: MIT */
/*
 * Streams that connect, and who is at either end of one.
 *
 * Connecting is ouro_connect()'s; here its descriptor becomes a stream. A cancel goes to it, and
 * what it comes to counts: a connection that is there wins. All that can fail for other reasons
 * than the connection itself is asked for before, but for the memory of the stream.
 */
#include "stream_int.h"

#include <ouro/sockopt.h>

struct connecting {
    ouro_future f;
    struct ouro__job job; /* waits for `inner` */
    ouro_future *inner;
    ouro_stream_options stream;
};

static void drop_stream(void *s)
{
    ouro_stream_free(s);
}

/* @fd is connected. */
static void become_stream(struct connecting *c, int fd)
{
    ouro_stream *s;
    ouro_loop *loop = c->f.loop;
    int rc = ouro__stream_make(loop, fd, true, &c->stream, &s);
    if (rc < 0) {
        loop->driver->ops->close_fd(loop->driver, fd);
        ouro__settle(&c->f, OURO_ERROR, rc);
        return;
    }
    c->f.result.ptr = s;
    c->f.ptr_free = drop_stream;
    ouro__settle(&c->f, OURO_VALUE, 0);
}

static void inner_settled(struct ouro__job *job)
{
    struct connecting *c = OURO__CONTAINER(job, struct connecting, job);
    ouro_future *inner = c->inner;
    if (inner->state == OURO_VALUE)
        become_stream(c, (int)ouro__take(inner).n);
    else
        ouro__settle_as(&c->f, inner);
    ouro__unref(inner);
}

static ouro_future *connecting_cancel(ouro_future *f)
{
    return OURO__CONTAINER(f, struct connecting, f)->inner;
}

static bool connecting_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    *ret_part = OURO__CONTAINER(f, const struct connecting, f)->inner;
    return i == 0;
}

static const struct ouro__kind connecting_kind = {
    .name = "stream that connects",
    .size = sizeof(struct connecting),
    .cancel = connecting_cancel,
    .combines = true,
    .part = connecting_part,
};

ouro_future *ouro_stream_connect(const char *where, const ouro_stream_connect_options *opts)
{
    ouro_loop *loop;
    ouro_stream_options stream;
    int type = opts ? opts->connect.type : 0;
    int rc = ouro__loop_for_wait(&loop);
    if (rc == 0 && type && type != SOCK_STREAM)
        rc = -EINVAL;
    if (rc == 0)
        rc = ouro__stream_settle_options(opts ? &opts->stream : NULL, &stream);
    if (rc < 0)
        return ouro__failed(rc);
    struct connecting *c = ouro__future_new(loop, &connecting_kind);
    if (!c)
        return ouro__failed(-ENOMEM);
    c->job = (struct ouro__job){.run = inner_settled};
    c->stream = stream;
    c->inner = ouro_connect(where, opts ? &opts->connect : NULL);
    ouro__watch(c->inner, &c->job);
    return &c->f;
}

/* ---- Both ends ------------------------------------------------------------------------------- */

/* The descriptor to ask, or why not. */
static int fd_to_ask(const ouro_stream *s, const ouro_address *ret_address)
{
    return s && ret_address ? ouro_stream_fd(s) : -EINVAL;
}

int ouro_stream_peer(const ouro_stream *s, ouro_address *ret_address)
{
    int fd = fd_to_ask(s, ret_address);
    return fd < 0 ? fd : ouro_sockopt_peer_address(fd, ret_address);
}

int ouro_stream_local(const ouro_stream *s, ouro_address *ret_address)
{
    int fd = fd_to_ask(s, ret_address);
    return fd < 0 ? fd : ouro_sockopt_address(fd, ret_address);
}
