/* SPDX-License-Identifier: MIT */
/*
 * Replies that are sent piece by piece: in chunks, or to HTTP/1.0, which has none, up to the end of
 * the connection.
 *
 * Happy path: a small piece is put into the stream, a large one written from where it is; either
 * way the caller waits when the client is slower. What is left of pieces that nobody waits for is
 * sent before the end.
 *
 * How it fails: errors of the stream are told to who sends; the handler then returns.
 */
#include "server_int.h"

#include <ouro/error.h>
#include <ouro/scope.h>
#include <ouro/task.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/uio.h>

#define PUT_MAX    ((size_t)16 * 1024)
#define WAITS_FROM ((size_t)64 * 1024)  /* so much unsent, and the sender waits */
#define MARK       ((size_t)256 * 1024) /* of streams, by default: puts beyond it are refused */

/* A piece on its way. */
struct piece {
    struct http_connection *c;
    size_t size;
    size_t head_size;
    char *owned; /* or NULL */
    struct iovec parts[3];
    char head[24];
};

bool ouro__http_chunked(const ouro_http_request *r)
{
    return r->head.minor == 1 && !r->head_only && ouro__http_has_body(r->reply.status);
}

bool ouro__http_sends_nothing(const ouro_http_request *r)
{
    return r->head_only || !ouro__http_has_body(r->reply.status);
}

int64_t ouro_http_reply_begin(ouro_http_request *r, int status, const char *type)
{
    int rc = ouro__http_reply_may(r, status, false);
    if (rc == 0)
        rc = ouro__http_reply_type(r, type);
    if (rc < 0)
        return rc;
    struct http_reply *reply = &r->reply;
    size_t size;
    reply->status = status;
    reply->kind = HTTP_STREAM;
    reply->keep = ouro__http_may_keep(r) && (ouro__http_sends_nothing(r) || r->head.minor == 1);
    char *head = ouro__http_head(r, reply->keep, &size);
    rc = head ? ouro_stream_put(r->c->stream, head, size) : -ENOMEM;
    if (rc == -ENOMEM || rc == -EAGAIN || rc == -EMSGSIZE) {
        reply->kind = HTTP_NO_REPLY;
        return -ENOMEM;
    }
    return 0; /* what is wrong with the stream is told by the next piece */
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

static int64_t outcome(const struct http_connection *c, int64_t n, size_t size)
{
    if (n < 0 && c->too_slow)
        return -ETIMEDOUT;
    if (n == -EBADF)
        return -ECONNRESET;
    return n < 0 ? n : (int64_t)size;
}

static void piece_free(struct piece *p)
{
    p->c->sends--;
    ouro_memory_release(p->owned);
    ouro_memory_release(p);
}

static ouro_future *sent(ouro_future *done, void *arg)
{
    struct piece *p = arg;
    int64_t n = ouro_future_result(done).n;
    bool cancelled = ouro_future_state(done) == OURO_CANCELLED;
    int64_t rc = outcome(p->c, n, p->size);
    piece_free(p);
    return cancelled ? NULL : ouro_ready(rc);
}

/* @f, then what it means; the alarm watches over it. */
static ouro_future *follow(ouro_http_request *r, struct piece *p, ouro_future *f)
{
    struct http_connection *c = r->c;
    c->sends++;
    f = ouro_then(f, sent, p);
    if (ouro_future_state(f) != OURO_PENDING)
        piece_free(p); /* there was no memory, and it will not be called */
    else
        ouro__http_look(c);
    return f;
}

static struct piece *piece_new(ouro_http_request *r, size_t size, char *owned)
{
    struct piece *p = ouro_memory_alloc(sizeof(*p));
    if (p)
        *p = (struct piece){.c = r->c, .size = size, .owned = owned};
    return p;
}

static size_t write_head(const ouro_http_request *r, size_t size, char head[24])
{
    return ouro__http_chunked(r) ? (size_t)snprintf(head, 24, "%zx\r\n", size) : 0;
}

/* 1: it was put; 0: there is no room; or an error. */
static int put_piece(ouro_http_request *r, const char *data, size_t size, size_t *ret_unsent)
{
    ouro_stream *s = r->c->stream;
    ouro_stream_stats stats;
    char head[24];
    ouro_stream_stats_get(s, &stats);
    *ret_unsent = stats.unsent + size;
    if (size > PUT_MAX || stats.unsent + size + 64 > MARK)
        return 0;
    size_t head_size = write_head(r, size, head);
    int rc = ouro_stream_put(s, head, head_size);
    if (rc == 0)
        rc = ouro_stream_put(s, data, size);
    if (rc == 0 && head_size)
        rc = ouro_stream_put(s, "\r\n", 2);
    if (rc == -EAGAIN || rc == -EMSGSIZE || (rc == -ENOMEM && head_size)) {
        ouro_stream_abort(s); /* nobody could tell where the chunk ends */
        return rc == -ENOMEM ? rc : -ENOBUFS;
    }
    return rc < 0 ? rc : 1;
}

static ouro_future *write_piece(ouro_http_request *r, const char *data, size_t size, char *owned)
{
    struct piece *p = piece_new(r, size, owned);
    if (!p) {
        ouro_memory_release(owned);
        return ouro_ready(-ENOMEM);
    }
    p->head_size = write_head(r, size, p->head);
    p->parts[0] = (struct iovec){p->head, p->head_size};
    p->parts[1] = (struct iovec){(void *)(uintptr_t)data, size};
    p->parts[2] = (struct iovec){(void *)(uintptr_t) "\r\n", p->head_size ? 2 : 0};
    return follow(r, p, ouro_stream_writev(r->c->stream, p->parts, 3));
}

/* @owned: memory that @data is in, consumed; or NULL. */
static ouro_future *send_piece(ouro_http_request *r, const char *data, size_t size, char *owned)
{
    struct http_connection *c = r->c;
    size_t unsent;
    if (size == 0 || ouro__http_sends_nothing(r)) {
        ouro_memory_release(owned);
        return ouro_ready(size ? -EPIPE : 0);
    }
    r->reply.size += size;
    r->reply.events = false;
    int rc = put_piece(r, data, size, &unsent);
    if (rc == 0)
        return write_piece(r, data, size, owned);
    ouro_memory_release(owned);
    if (rc < 0)
        return ouro_ready(outcome(c, rc, size));
    struct piece *p = unsent > WAITS_FROM ? piece_new(r, size, NULL) : NULL;
    return p ? follow(r, p, ouro_stream_drain(c->stream)) : ouro_ready((int64_t)size);
}

ouro_future *ouro_http_send(ouro_http_request *r, const void *data, size_t size)
{
    if (!r || (!data && size))
        return ouro_ready(-EINVAL);
    if (r->reply.kind != HTTP_STREAM)
        return ouro_ready(-EBADMSG);
    return send_piece(r, data, size, NULL);
}

/* Who stops the server does not wait for a client that does not read: a cancel ends the flush, and
 * what is left is cut off. But the pieces refer to the connection, so their end is waited for
 * whatever is cancelled. */
int64_t ouro__http_sends_end(struct http_connection *c, bool cut)
{
    ouro_scope scope;
    int64_t rc = 0;
    if (!cut)
        rc = outcome(c,
                     ouro__http_await(c, HTTP_WRITING, ouro_stream_flush(c->stream),
                                      c->server->opts.write_limit),
                     0);
    if (cut || rc < 0)
        ouro_stream_abort(c->stream);
    int shielded = ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1});
    while (c->sends) /* they have settled, and are told so in the next turn */
        ouro_yield();
    if (shielded == 0)
        ouro_scope_exit(&scope, 0);
    return rc;
}

/* ---- Server-sent events ---------------------------------------------------------------------- */

static char *add(char *to, const char *name, const char *text, size_t size)
{
    size_t name_size = strlen(name);
    memcpy(to, name, name_size);
    if (size)
        memcpy(to + name_size, text, size);
    to[name_size + size] = '\n';
    return to + name_size + size + 1;
}

/* Lines end in LF, CR or both. */
static const char *line_end(const char *text, const char **ret_next)
{
    const char *end = text + strcspn(text, "\r\n");
    *ret_next = !*end ? NULL : end + (end[0] == '\r' && end[1] == '\n' ? 2 : 1);
    return end;
}

static size_t event_size(const char *event, const char *id, const char *data)
{
    size_t size = 2;
    size += event ? strlen(event) + 8 : 0;
    size += id ? strlen(id) + 5 : 0;
    for (const char *next; data; data = next)
        size += (size_t)(line_end(data, &next) - data) + 7;
    return size;
}

static size_t write_event(char *to, const char *event, const char *id, const char *data)
{
    const char *begin = to;
    if (event)
        to = add(to, "event: ", event, strlen(event));
    if (id)
        to = add(to, "id: ", id, strlen(id));
    for (const char *next; data; data = next)
        to = add(to, "data: ", data, (size_t)(line_end(data, &next) - data));
    *to++ = '\n';
    return (size_t)(to - begin);
}

static bool is_one_line(const char *text)
{
    return !text || !text[strcspn(text, "\r\n")];
}

ouro_future *ouro_http_send_event(ouro_http_request *r, const char *event, const char *id,
                                  const char *data)
{
    if (!r || !data || !is_one_line(event) || !is_one_line(id))
        return ouro_ready(-EINVAL);
    if (r->reply.kind == HTTP_NO_REPLY) {
        int64_t rc = ouro__http_reply_line(r, "Cache-Control", "no-store");
        if (rc == 0)
            rc = ouro_http_reply_begin(r, 200, "text/event-stream");
        if (rc < 0)
            return ouro_ready(rc);
    }
    if (r->reply.kind != HTTP_STREAM)
        return ouro_ready(-EBADMSG);
    char *text = ouro_memory_alloc(event_size(event, id, data));
    if (!text)
        return ouro_ready(-ENOMEM);
    ouro_future *f = send_piece(r, text, write_event(text, event, id, data), text);
    r->reply.events = true;
    return f;
}

void ouro__http_events_ask(ouro_http_request *r)
{
    size_t unsent;
    if (r->reply.events && put_piece(r, ":\n\n", 3, &unsent) > 0)
        r->reply.size += 3;
}
