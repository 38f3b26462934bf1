/* SPDX-License-Identifier: MIT */
/*
 * Bodies of requests.
 *
 * Happy path: what came behind the header is taken from there; the rest is read when it is asked
 * for, into the body itself where its size is known, else into a feed, out of which chunks are
 * decoded. Where there is nothing to wait for, no task is made.
 *
 * How it fails: an error is kept, and told again. Nobody knows then where the next request would
 * begin. A cancelled wait has taken nothing, and can be repeated.
 */
#include "server_int.h"

#include <ouro/error.h>
#include <ouro/task.h>
#include <ouro/time.h>

#include <errno.h>
#include <string.h>

#define IN_ARENA   4096
#define FIRST_ROOM ((size_t)64 * 1024)
#define DROP_MAX   ((uint64_t)256 * 1024) /* of a body that nobody has read */

static const char go_ahead[] = "HTTP/1.1 100 Continue\r\n\r\n";

static int64_t fail(ouro_http_request *r, int64_t error)
{
    r->body.error = error;
    r->c->broken = true;
    return error;
}

void ouro__http_body_begin(ouro_http_request *r)
{
    struct http_incoming *b = &r->body;
    ouro__http_parser_body_begin(&b->state, &r->head);
    b->over = r->head.body == HTTP_NO_BODY;
    b->continued = !r->head.expect_continue || r->c->at < r->c->size;
}

/* ---- What has come --------------------------------------------------------------------------- */

/* 1: a piece; 0: that was all; -EAGAIN: it has not come yet; or an error. */
static int64_t take(ouro_http_request *r, struct http_text *piece)
{
    struct http_connection *c = r->c;
    struct http_incoming *b = &r->body;
    while (!b->error && !b->over) {
        bool fed = c->at == c->size;
        size_t *at = fed ? &b->feed_at : &c->at;
        size_t end = fed ? b->feed_size : c->size, used;
        const char *bytes = fed ? c->room->feed : c->room->in;
        if (*at == end)
            return -EAGAIN;
        int rc = ouro__http_parser_body_take(&b->state, bytes + *at, end - *at, &used, piece);
        if (rc < 0)
            return fail(r, -OURO_EHTTP(-rc));
        *at += used;
        b->over = rc == 1;
        b->got += piece->size;
        if (piece->size)
            return 1;
    }
    return b->error;
}

/* It was read, and came to this. */
static int64_t heard(ouro_http_request *r, int64_t n)
{
    struct http_connection *c = r->c;
    if (n > 0) {
        c->heard = ouro_now();
        return n;
    }
    if (n == -OURO_ECHILDCANCELLED && c->expired)
        return fail(r, -OURO_EHTTP(408));
    if (n == -ECANCELED || n == -OURO_ECHILDCANCELLED || n == -ENOMEM)
        return n;
    c->gone = true;
    return fail(r, n == 0 ? -ECONNRESET : n);
}

/* Not when the answer has begun, in the midst of which it would stand. */
static int64_t tell_to_go_on(ouro_http_request *r)
{
    if (r->body.continued || r->reply.kind == HTTP_STREAM)
        return 0;
    r->body.continued = true;
    return ouro_stream_put(r->c->stream, go_ahead, sizeof(go_ahead) - 1);
}

static int64_t wait_for(ouro_http_request *r, char *to, size_t size)
{
    struct http_connection *c = r->c;
    int64_t rc = tell_to_go_on(r);
    if (rc < 0)
        return fail(r, rc);
    return heard(r, ouro__http_await(c, HTTP_BODY, ouro_stream_read(c->stream, to, size),
                                     c->server->opts.body_limit));
}

/* Have the feed filled. > 0, or an error. */
static int64_t feed(ouro_http_request *r)
{
    struct http_incoming *b = &r->body;
    struct http_room *room = r->c->room;
    if (!room->feed)
        room->feed = ouro_memory_alloc(HTTP_FEED_ROOM);
    if (!room->feed)
        return -ENOMEM;
    size_t size = HTTP_FEED_ROOM;
    if (b->state.kind == HTTP_SIZED && b->state.left < size)
        size = (size_t)b->state.left;
    int64_t n = wait_for(r, room->feed, size);
    if (n > 0) {
        b->feed_at = 0;
        b->feed_size = (size_t)n;
    }
    return n;
}

static bool is_too_much(const ouro_http_request *r)
{
    const struct http_incoming *b = &r->body;
    size_t most = r->c->server->opts.body_max;
    return b->got > most || (b->state.kind == HTTP_SIZED && r->head.size > most);
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* Room for @size bytes and a zero. */
static int whole_reserve(ouro_http_request *r, size_t size)
{
    struct http_incoming *b = &r->body;
    if (size < b->whole_room)
        return 0;
    if (!b->whole && b->state.kind == HTTP_SIZED && r->head.size < IN_ARENA) {
        b->whole_room = (size_t)r->head.size + 1;
        b->whole = ouro__http_take(&r->c->room->arena, b->whole_room);
        return b->whole ? 0 : -ENOMEM;
    }
    size_t room = b->whole_room ? b->whole_room : FIRST_ROOM;
    while (room <= size)
        room *= 2;
    if (b->state.kind == HTTP_SIZED && room > r->head.size)
        room = (size_t)r->head.size + 1;
    char *whole = ouro_memory_resize(b->owned ? b->whole : NULL, room);
    if (!whole)
        return -ENOMEM;
    b->whole = whole;
    b->whole_room = room;
    b->owned = true;
    return 0;
}

/* Add all that is there. 0: that was all; -EAGAIN; or an error. */
static int64_t absorb(ouro_http_request *r)
{
    struct http_incoming *b = &r->body;
    struct http_text piece;
    int64_t rc;
    if (!b->error && is_too_much(r))
        return fail(r, -OURO_EHTTP(413));
    while ((rc = take(r, &piece)) > 0) {
        if (is_too_much(r))
            return fail(r, -OURO_EHTTP(413));
        if (whole_reserve(r, (size_t)b->got) < 0)
            return fail(r, -ENOMEM);
        memcpy(b->whole + b->got - piece.size, piece.at, piece.size);
    }
    if (rc == 0 && b->whole)
        b->whole[b->got] = '\0';
    return rc;
}

/* The rest of a body whose size is known goes to its place. */
static int64_t read_sized(ouro_http_request *r)
{
    struct http_incoming *b = &r->body;
    struct http_text piece;
    size_t used;
    if (whole_reserve(r, (size_t)b->got + 1) < 0)
        return -ENOMEM;
    size_t size = b->whole_room - 1 - (size_t)b->got;
    if (b->state.left < size)
        size = (size_t)b->state.left;
    char *to = b->whole + b->got;
    int64_t n = wait_for(r, to, size);
    if (n > 0) {
        b->over = ouro__http_parser_body_take(&b->state, to, (size_t)n, &used, &piece) == 1;
        b->got += (uint64_t)n;
    }
    return n;
}

static const char *whole_of(const ouro_http_request *r)
{
    return r->body.whole ? r->body.whole : "";
}

static int64_t read_whole(void *arg)
{
    ouro_http_request *r = arg;
    int64_t rc;
    while ((rc = absorb(r)) == -EAGAIN) {
        rc = r->body.state.kind == HTTP_SIZED ? read_sized(r) : feed(r);
        if (rc < 0)
            break;
    }
    if (rc < 0)
        return rc;
    ouro_task_return((void *)(uintptr_t)whole_of(r), NULL);
    return (int64_t)r->body.got;
}

static ouro_future *settled(const void *bytes, uint64_t size)
{
    ouro_promise *p;
    ouro_future *f;
    int rc = ouro_promise_new(&p, &f);
    if (rc < 0)
        return ouro_ready(rc);
    ouro_promise_resolve(p, (ouro_result){(int64_t)size, (void *)(uintptr_t)bytes}, NULL);
    ouro_promise_free(p);
    return f;
}

/* Have @body read on as a task. */
static ouro_future *read_on(ouro_http_request *r, ouro_task_fn *body, const char *name)
{
    ouro_future *f = ouro_spawn_with(body, r, &(ouro_spawn_options){.name = name, .eager = 1});
    if (ouro_future_state(f) == OURO_PENDING)
        r->body.reader = ouro_ref(f);
    return f;
}

/* 0, or why it cannot be read now. */
static int begin(ouro_http_request *r, enum http_body_use use)
{
    if (!r)
        return -EINVAL;
    struct http_incoming *b = &r->body;
    int rc = ouro__http_check(r->c->server);
    if (rc < 0)
        return rc;
    if (b->reader && ouro_future_state(b->reader) == OURO_PENDING)
        return -EBUSY;
    b->reader = ouro_unref(b->reader);
    if (b->use != HTTP_UNREAD && b->use != use)
        return -EBUSY;
    b->use = use;
    return 0;
}

ouro_future *ouro_http_body(ouro_http_request *r)
{
    int64_t rc = begin(r, HTTP_WHOLE);
    if (rc == 0)
        rc = absorb(r);
    if (rc == 0)
        return settled(whole_of(r), r->body.got);
    return rc == -EAGAIN ? read_on(r, read_whole, "body of a request") : ouro_ready(rc);
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

static int64_t next_piece(ouro_http_request *r)
{
    struct http_text piece;
    if (!r->body.error && is_too_much(r))
        return fail(r, -OURO_EHTTP(413));
    int64_t rc = take(r, &piece);
    if (rc <= 0)
        return rc;
    if (is_too_much(r))
        return fail(r, -OURO_EHTTP(413));
    *r->body.ret_bytes = piece.at;
    return (int64_t)piece.size;
}

static int64_t read_piece(void *arg)
{
    ouro_http_request *r = arg;
    int64_t rc;
    while ((rc = next_piece(r)) == -EAGAIN)
        if ((rc = feed(r)) < 0)
            break;
    return rc;
}

ouro_future *ouro_http_body_next(ouro_http_request *r, const void **ret_bytes)
{
    int64_t rc = ret_bytes ? begin(r, HTTP_PIECES) : -EINVAL;
    if (rc == 0) {
        r->body.ret_bytes = ret_bytes;
        rc = next_piece(r);
    }
    return rc == -EAGAIN ? read_on(r, read_piece, "piece of a body") : ouro_ready(rc);
}

/* ---- The end --------------------------------------------------------------------------------- */

/* What nobody has read is in the way of the next request. 1: it is gone. */
int64_t ouro__http_body_drop(ouro_http_request *r)
{
    struct http_incoming *b = &r->body;
    struct http_text piece;
    uint64_t most = b->got + DROP_MAX;
    int64_t rc;
    while ((rc = take(r, &piece)) != 0) {
        if (rc == -EAGAIN)
            rc = b->continued ? feed(r) : -ECANCELED;
        if (rc < 0 || b->got > most)
            return 0;
    }
    return 1;
}

bool ouro__http_may_keep(const ouro_http_request *r)
{
    const struct http_connection *c = r->c;
    const struct http_incoming *b = &r->body;
    if (!r->head.keep_alive || c->broken || c->gone || (c->service && c->service->stopping) ||
        c->served + 1 >= c->server->opts.requests_max)
        return false;
    if (b->over)
        return true;
    return b->continued && (b->state.kind != HTTP_SIZED || b->state.left <= DROP_MAX);
}

void ouro__http_body_stop(ouro_http_request *r)
{
    struct http_incoming *b = &r->body;
    if (!b->reader)
        return;
    ouro_cancel(b->reader);
    ouro_await(b->reader);
    b->reader = NULL;
}

void ouro__http_body_end(ouro_http_request *r)
{
    struct http_connection *c = r->c;
    struct http_incoming *b = &r->body;
    if (b->owned)
        ouro_memory_release(b->whole);
    if (b->feed_at < b->feed_size && c->at == c->size) {
        c->at = 0;
        c->size = b->feed_size - b->feed_at;
        memcpy(c->room->in, c->room->feed + b->feed_at, c->size);
    }
}
