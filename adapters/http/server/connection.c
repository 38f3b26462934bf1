/* SPDX-License-Identifier: MIT */
/*
 * A connection: one task that reads a request, has it handled, answers, and begins again.
 *
 * Happy path: what has come is borrowed from the stream and copied into a room, the header is found
 * and parsed there, the handler runs as a task that is started eagerly, so that one that does not
 * wait has ended when it was begun, and the answer is put to be sent at the end of the turn. So
 * several requests that came together are answered together. An idle connection has no room.
 *
 * Time: one alarm a connection, for what is due first: the end of a wait, a look at how much the
 * client has taken, a question whether it is there. A wait moves its deadline; the alarm, when it
 * rings too early, is set anew. That costs nothing while requests are quick.
 *
 * A client that goes away is noticed while it reads, and while a handler waits: from then on a poll
 * looks for the end of what the client sends, and for resets. That end may mean two things: the
 * client has gone, or it has said all it had to say and waits for the answer. Only the client's
 * kernel knows, and says so when something is sent: it resets what nobody can read any more. So when
 * the answer takes its time, something is sent that means nothing.
 *
 * A server that stops ends connections that wait for a request. Who has just connected is about to
 * ask, and is given a moment.
 *
 * How it fails: what cannot be read is answered with a status, and the connection is closed, in a
 * way that lets the client read that. Errors of the stream end the connection.
 */
#include "server_int.h"

#include <ouro/error.h>
#include <ouro/scope.h>
#include <ouro/task.h>
#include <ouro/time.h>
#include <ouro/uring.h>

#include <errno.h>
#include <linux/io_uring.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define ASK_AFTER    OURO_MS(250)      /* the end: answers that are quick need not */
#define HALF_CLOSE   OURO_SEC(1)       /* behind the request, and nothing can be asked: it is one */
#define NEWCOMER     OURO_SEC(1)       /* for the first bytes to come, when the server stops */
#define LINGER       OURO_SEC(2)       /* for a client to see that we have closed */
#define LINGER_BYTES ((size_t)1 << 20) /* that it may still send */
#define LINGER_ROOM  4096
#define UNSENT_MAX   ((size_t)64 * 1024) /* and the next request waits */

/* ---- Time ------------------------------------------------------------------------------------ */

static void rang(void *arg);
static void client_gone(struct http_connection *c);

ouro_ns ouro__http_after(ouro_ns limit)
{
    ouro_ns now = ouro_now();
    return limit > OURO_FOREVER - now ? OURO_FOREVER : now + limit;
}

void ouro__http_alarm_stop(struct http_connection *c)
{
    if (c->alarm) {
        ouro_call_cancel(c->alarm);
        c->alarm = ouro_call_unref(c->alarm);
    }
    c->armed = OURO_FOREVER;
}

/* Without memory there is no limit this time. */
static void arm(struct http_connection *c)
{
    ouro_ns when = c->deadline < c->look_at ? c->deadline : c->look_at;
    if (c->ask_at < when)
        when = c->ask_at;
    if (when >= c->armed)
        return;
    ouro__http_alarm_stop(c);
    if (ouro_call_at(when, rang, c, NULL, &c->alarm) == 0)
        c->armed = when;
}

/* Bytes that the client has taken. What lies in the kernel's buffer does not count: that wakes a
 * writer only when a third of it is free, which may be megabytes. */
static uint64_t progress_of(const struct http_connection *c, size_t *ret_unsent)
{
    ouro_stream_stats stats = {0};
    int queued = 0;
    ouro_stream_stats_get(c->stream, &stats);
    ioctl(ouro_stream_fd(c->stream), SIOCOUTQ, &queued);
    *ret_unsent = stats.unsent;
    return stats.bytes_out - (uint64_t)queued;
}

/* Whether the client takes what is sent: as long as it does, it may be slow. */
static void look_at_progress(struct http_connection *c, ouro_ns now)
{
    size_t unsent;
    uint64_t progress = progress_of(c, &unsent);
    ouro_ns limit = c->server->opts.write_limit;
    c->look_at = OURO_FOREVER;
    if (unsent == 0 && c->doing != HTTP_WRITING)
        return;
    if (progress != c->progress) {
        c->progress = progress;
        c->progress_at = now;
    } else if (now - c->progress_at >= limit) {
        c->too_slow = true;
        ouro_stream_abort(c->stream);
        return;
    }
    c->look_at = limit > OURO_FOREVER - c->progress_at ? OURO_FOREVER : c->progress_at + limit;
}

void ouro__http_look(struct http_connection *c)
{
    size_t unsent;
    if (c->look_at < OURO_FOREVER)
        return;
    c->progress = progress_of(c, &unsent);
    c->progress_at = ouro_now();
    c->look_at = ouro__http_after(c->server->opts.write_limit);
    arm(c);
}

/* Whether the client has its answer, and nothing to wait for, while the handler goes on. */
static bool has_all(const ouro_http_request *r)
{
    return r->reply.kind == HTTP_STREAM && ouro__http_sends_nothing(r);
}

/* Whether the client is still there: it overlooks this, and its kernel resets it if it is not. */
static void ask(struct http_connection *c)
{
    static const char processing[] = "HTTP/1.1 102 Processing\r\n\r\n"; /* RFC 2518, 10.1 */
    c->ask_at = OURO_FOREVER;
    if (has_all(&c->r)) {
        client_gone(c);
        return;
    }
    if (c->r.reply.kind == HTTP_STREAM) {
        ouro__http_events_ask(&c->r);
        return;
    }
    int rc = ouro_stream_put(c->stream, processing, sizeof(processing) - 1);
    (void)rc; /* what is wrong is told by the answer */
}

static void rang(void *arg)
{
    struct http_connection *c = arg;
    ouro_ns now = ouro_now();
    c->alarm = ouro_call_unref(c->alarm);
    c->armed = OURO_FOREVER;
    if (now >= c->ask_at)
        ask(c);
    if (now >= c->look_at)
        look_at_progress(c, now);
    if (now >= c->deadline) {
        c->deadline = OURO_FOREVER;
        c->expired = true;
        ouro_cancel(c->waiting);
    }
    arm(c);
}

static void wait_until(struct http_connection *c, ouro_ns deadline)
{
    c->deadline = deadline;
    arm(c);
}

int64_t ouro__http_await(struct http_connection *c, enum http_doing doing, ouro_future *f,
                         ouro_ns limit)
{
    if (ouro_future_state(f) != OURO_PENDING)
        return ouro_await(f);
    c->doing = doing;
    c->waiting = f;
    c->expired = false;
    if (doing == HTTP_WRITING)
        ouro__http_look(c);
    else
        wait_until(c, ouro__http_after(limit));
    int64_t n = ouro_await(f);
    c->waiting = NULL;
    c->deadline = OURO_FOREVER;
    c->doing = HTTP_HANDLING;
    return n;
}

/* ---- The client's going ---------------------------------------------------------------------- */

static void client_gone(struct http_connection *c)
{
    c->gone = true;
    if (c->handler)
        ouro_cancel(c->handler);
}

/* It sends no more, and a handler waits. HTTP/1.0 knows no interim answers, and in a stream nothing can be said that means
 * nothing, but between two events: there time has to tell, since who only shuts down its sending side
 * does so right behind the request. Behind a body that was not read yet nobody knows when it came:
 * who reads the body learns whether it is whole. */
static void client_shut(struct http_connection *c)
{
    const ouro_http_request *r = &c->r;
    bool can_ask = r->reply.kind == HTTP_STREAM ? r->reply.events : r->head.minor == 1;
    if (has_all(r)) {
        client_gone(c);
    } else if (can_ask) {
        c->ask_at = ouro__http_after(ASK_AFTER);
        arm(c);
    } else if (r->body.over && c->shut_at > c->heard + HALF_CLOSE) {
        client_gone(c);
    }
}

/* The end of what it sends is told again with whatever comes behind it. */
static void client_moved(int32_t events, uint32_t flags, void *arg)
{
    struct http_connection *c = arg;
    (void)flags;
    if (events < 0 || c->gone)
        return;
    if (events & (POLLERR | POLLHUP)) {
        client_gone(c);
    } else if (!c->shut_at) {
        c->shut_at = ouro_now();
        if (c->handler)
            client_shut(c);
    }
}

/* The kernel tells of resets and ends in any case. Without memory nobody watches. */
void ouro__http_watch(struct http_connection *c)
{
    unsigned events = POLLRDHUP;
    if (c->watch && ouro_future_state(c->watch) == OURO_PENDING)
        return;
    ouro_unref(c->watch);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    events <<= 16; /* the kernel keeps it where the 16 bits of old were */
#endif
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_POLL_ADD,
        .fd = ouro_stream_fd(c->stream),
        .len = IORING_POLL_ADD_MULTI,
        .poll32_events = events,
    };
    ouro_uring_options opts = {.on_cqe = client_moved, .arg = c, .background = 1};
    c->watch = ouro_uring_op(&sqe, &opts);
}

/* The poll holds the socket, which would stay open. */
void ouro__http_unwatch(struct http_connection *c)
{
    if (!c->watch)
        return;
    ouro_cancel(c->watch);
    ouro_await(c->watch);
    c->watch = NULL;
}

/* ---- Reading a header ------------------------------------------------------------------------ */

/* Room for more behind what has come. 0 or -ENOMEM. */
static int make_room(struct http_connection *c, size_t more)
{
    struct http_room *room = c->room;
    if (c->at > 0) {
        memmove(room->in, room->in + c->at, c->size - c->at);
        c->size -= c->at;
        c->at = 0;
    }
    if (more <= room->in_room - c->size)
        return 0;
    size_t size = room->in_room;
    while (size - c->size < more)
        size *= 2;
    char *in = ouro_memory_resize(room->in, size);
    if (!in)
        return -ENOMEM;
    room->in = in;
    room->in_room = size;
    return 0;
}

static bool is_stopping(const struct http_connection *c)
{
    return c->service && c->service->stopping;
}

/* Whether bytes have come that nobody has read. */
static bool has_bytes(const struct http_connection *c)
{
    ouro_stream_stats stats = {0};
    int queued = 0;
    ouro_stream_stats_get(c->stream, &stats);
    ioctl(ouro_stream_fd(c->stream), FIONREAD, &queued);
    return stats.unread > 0 || queued > 0;
}

/* How long a server that stops waits for a request to begin; 0: not at all. */
static ouro_ns time_to_begin(const struct http_connection *c)
{
    ouro_ns limit = c->server->opts.idle_limit, passed = ouro_now() - c->opened;
    if (has_bytes(c))
        return limit;
    if (c->heard || passed >= NEWCOMER)
        return 0;
    return limit < NEWCOMER - passed ? limit : NEWCOMER - passed;
}

void ouro__http_end_idle(struct http_connection *c)
{
    if (c->doing != HTTP_IDLE || !c->waiting)
        return;
    ouro_ns limit = time_to_begin(c);
    if (limit > 0)
        wait_until(c, ouro__http_after(limit));
    else
        ouro_cancel(c->waiting);
}

/* The first bytes after a while: they are waited for without a room. */
static int64_t fill_first(struct http_connection *c)
{
    const void *bytes;
    ouro_ns limit = is_stopping(c) ? time_to_begin(c) : c->server->opts.idle_limit;
    if (limit == 0)
        return 0;
    int64_t n = ouro__http_await(c, HTTP_IDLE, ouro_stream_next(c->stream, &bytes), limit);
    if (n <= 0)
        return n;
    c->heard = ouro_now();
    c->room = ouro__http_room_get(c->server);
    c->at = c->size = 0;
    int rc = c->room ? make_room(c, (size_t)n) : -ENOMEM;
    if (rc == 0) {
        memcpy(c->room->in, bytes, (size_t)n);
        c->size = (size_t)n;
    }
    ouro_stream_done(c->stream);
    return rc < 0 ? rc : n;
}

static int64_t fill_more(struct http_connection *c, ouro_ns limit)
{
    int rc = make_room(c, 1024);
    if (rc < 0)
        return rc;
    char *to = c->room->in + c->size;
    int64_t n = ouro__http_await(
        c, HTTP_HEADER, ouro_stream_read(c->stream, to, c->room->in_room - c->size), limit);
    if (n > 0) {
        c->heard = ouro_now();
        c->size += (size_t)n;
    }
    return n;
}

/* What the wait for a header has come to that is no header. */
static int64_t no_header(struct http_connection *c, int64_t rc, bool began)
{
    if (rc != -OURO_ECHILDCANCELLED)
        return rc;
    return c->expired && began ? ouro__http_refuse(c, 408) : 0;
}

/* Bytes of the next request's header; 0: the connection ends in good order; or an error. */
static int64_t get_header(struct http_connection *c)
{
    size_t seen = 0;
    c->begun = c->heard;
    if (c->at == c->size && c->room) {
        ouro__http_room_put(c->server, c->room);
        c->room = NULL;
        c->at = c->size = 0;
    }
    for (;;) {
        int64_t n = 0;
        if (c->room)
            n = ouro__http_header_find(c->room->in + c->at, c->size - c->at, seen,
                                       &c->server->limits);
        if (n > 0)
            return n;
        if (n < 0)
            return ouro__http_refuse(c, (int)-n);
        if (!c->room) {
            n = fill_first(c);
            c->begun = c->heard;
        } else {
            ouro_ns passed = ouro_now() - c->begun, limit = c->server->opts.header_limit;
            seen = c->size - c->at;
            n = fill_more(c, limit > passed ? limit - passed : 0);
        }
        if (n <= 0)
            return no_header(c, n, c->room);
    }
}

/* ---- One request ----------------------------------------------------------------------------- */

/* Texts end with a zero in place: what follows them in the header is known by now. */
static void end_texts(struct http_connection *c)
{
    ouro_http_request *r = &c->r;
    char *in = c->room->in;
    r->method = in + (r->head.method.at - in);
    r->method[r->head.method.size] = '\0';
    if (r->head.target.at >= in && r->head.target.at < in + c->size) {
        r->target = in + (r->head.target.at - in);
        r->target[r->head.target.size] = '\0';
    } else {
        r->target = ouro__http_copy(&c->room->arena, r->head.target.at, r->head.target.size);
    }
}

/* 0, or minus the status to refuse it with. */
static int parse(struct http_connection *c, size_t size)
{
    ouro_http_request *r = &c->r;
    r->c = c;
    r->start = c->begun;
    r->head.fields = c->room->fields;
    int rc = ouro__http_header_parse(c->room->in + c->at, size, &c->server->limits, &r->head);
    if (rc < 0)
        return rc;
    c->at += size;
    end_texts(c);
    r->head_only = strcmp(r->method, "HEAD") == 0;
    size_t query;
    r->path = ouro__http_take(&c->room->arena, r->head.target.size + 1);
    if (!r->path || !r->target)
        return -503;
    if (strcmp(r->target, "*") == 0)
        memcpy(r->path, "*", 2);
    else if (ouro__http_path_decode(r->head.target.at, r->head.target.size, r->path, &query) < 0)
        return -400;
    ouro__http_body_begin(r);
    return 0;
}

/* Parameters are pieces of a copy of the path. */
static int take_params(ouro_http_request *r, const struct http_match *m)
{
    if (!m->route || m->route->param_count == 0)
        return 0;
    size_t size = strlen(r->path);
    char *copy = ouro__http_copy(&r->c->room->arena, r->path, size);
    if (!copy)
        return -ENOMEM;
    for (int i = 0; i < m->route->param_count; i++) {
        char *at = copy + (m->values[i].at - r->path);
        at[m->values[i].size] = '\0';
        r->params[i] = at;
    }
    return 0;
}

static int64_t handler_body(void *arg)
{
    return ouro__http_handle(arg);
}

static int64_t handle(struct http_connection *c, bool *ret_keep)
{
    ouro_http_request *r = &c->r;
    ouro_spawn_options opts = {
        .name = r->route ? r->route->name : "request without a route",
        .stack_size = c->server->opts.stack_size,
        .eager = 1,
    };
    c->doing = HTTP_HANDLING;
    bool gone = c->gone;
    ouro_future *task = ouro_ref(ouro_spawn_with(handler_body, r, &opts));
    if (ouro_future_state(task) == OURO_PENDING) {
        c->handler = task;
        ouro__http_watch(c);
        if (gone) /* behind this request, before it was read */
            client_gone(c);
        else if (c->shut_at)
            client_shut(c);
    }
    int64_t n = ouro_await(task);
    c->handler = NULL;
    c->ask_at = OURO_FOREVER;
    ouro__http_body_stop(r);
    if (n < 0 && c->gone) {
        c->server->stats.gone++;
        *ret_keep = false;
    } else if (n < 0 && ouro_cancel_reason()) {
        n = -ECANCELED;
    } else {
        n = ouro__http_finish(r, n, ouro_future_detail(task), ret_keep);
    }
    ouro_unref(task);
    if (c->sends)
        ouro__http_sends_end(c, true);
    return n < 0 && c->gone ? 0 : n;
}

static int64_t serve_request(struct http_connection *c, size_t size, bool *ret_keep)
{
    struct http_match m;
    ouro_http_request *r = &c->r;
    *r = (ouro_http_request){.head.count = 0};
    *ret_keep = false;
    int rc = parse(c, size);
    if (rc < 0)
        return ouro__http_refuse(c, -rc);
    ouro__http_route_find(&c->server->root, r->head.method,
                          (struct http_text){r->path, strlen(r->path)}, &m);
    r->match = &m;
    r->route = m.route;
    if (take_params(r, &m) < 0)
        return ouro__http_refuse(c, 503);
    c->server->stats.requests++;
    int64_t n = handle(c, ret_keep);
    if (n >= 0) {
        c->served++;
        if (*ret_keep)
            *ret_keep = ouro__http_body_drop(r) > 0;
    }
    if (!r->body.over)
        c->broken = true;
    ouro__http_body_end(r);
    ouro__http_reply_drop(r);
    ouro__http_arena_reset(&c->room->arena);
    return n;
}

/* ---- The connection -------------------------------------------------------------------------- */

/* Close our side, and read what the client still sends: if there were unread bytes when the socket
 * is closed, TCP would reset it, and the client might never see the answer. */
static void linger(struct http_connection *c)
{
    char bytes[LINGER_ROOM];
    size_t left = LINGER_BYTES;
    ouro_ns end = ouro__http_after(LINGER);
    int64_t n = ouro_await(ouro_stream_shutdown(c->stream, SHUT_WR));
    while (n >= 0 && left > 0) {
        ouro_ns now = ouro_now();
        n = now < end
                ? ouro__http_await(c, HTTP_LINGERING,
                                   ouro_stream_read(c->stream, bytes, sizeof(bytes)), end - now)
                : -ETIMEDOUT;
        if (n == 0)
            break;
        left -= n > 0 && (size_t)n < left ? (size_t)n : left;
    }
}

/* A cancel ends all of it but the wait for the kernel to let go of the socket. */
static void finish(struct http_connection *c, int64_t rc)
{
    ouro_scope scope;
    if (rc >= 0)
        rc = ouro__http_await(c, HTTP_WRITING, ouro_stream_flush(c->stream),
                              c->server->opts.write_limit);
    if (rc >= 0 && !c->gone && !c->too_slow && (c->broken || c->at < c->size))
        linger(c);
    int shielded = ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1});
    ouro__http_unwatch(c);
    ouro__http_alarm_stop(c);
    if (c->room)
        ouro__http_room_put(c->server, c->room);
    if (shielded == 0)
        ouro_scope_exit(&scope, 0);
}

/* What a handler begins is put, without a wait, and there has to be room for it: a client that asks
 * more than it reads is answered no more until it reads. */
static int64_t wait_for_room(struct http_connection *c)
{
    ouro_stream_stats stats = {0};
    ouro_stream_stats_get(c->stream, &stats);
    if (stats.unsent <= UNSENT_MAX)
        return 0;
    int64_t rc = ouro__http_await(c, HTTP_WRITING, ouro_stream_drain(c->stream),
                                  c->server->opts.write_limit);
    return rc < 0 && c->too_slow ? -ETIMEDOUT : rc;
}

int64_t ouro__http_serve(struct http_connection *c)
{
    bool keep = true;
    int64_t rc = 1;
    c->armed = c->deadline = c->look_at = c->ask_at = OURO_FOREVER;
    c->opened = ouro_now();
    c->server->stats.connections++;
    c->server->stats.live++;
    while (rc >= 0 && keep) {
        rc = get_header(c);
        if (rc <= 0)
            break;
        int64_t room = wait_for_room(c);
        rc = room < 0 ? room : serve_request(c, (size_t)rc, &keep);
    }
    finish(c, rc);
    c->server->stats.live--;
    return rc < 0 ? rc : (int64_t)c->served;
}
