/* SPDX-License-Identifier: MIT */
/*
 * Replies: what a handler says is kept until it has returned, then becomes a head and a body.
 *
 * Happy path: the head is put together by copies alone, the date is written once a second, and both
 * are put into the stream, which sends at the end of the turn. What is large is written, and waited
 * for. How it fails: a handler's error takes the place of what it had replied; errors of the stream
 * end the connection.
 */
#include "server_int.h"

#include <ouro/error.h>
#include <ouro/file.h>
#include <ouro/task.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PUT_MAX  ((size_t)32 * 1024) /* more is not worth a copy */
#define SLICE    ((size_t)256 * 1024)
#define IN_ARENA ((size_t)16 * 1024)

/* ---- Words ----------------------------------------------------------------------------------- */

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *ouro__http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

bool ouro__http_has_body(int status)
{
    return status != 204 && status != 205 && status != 304;
}

/* ---- The head -------------------------------------------------------------------------------- */

static char *add(char *to, const char *text, size_t size)
{
    memcpy(to, text, size);
    return to + size;
}

#define ADD(to, literal) add(to, literal, sizeof(literal) - 1)

static char *add_text(char *to, const char *text)
{
    return add(to, text, strlen(text));
}

static char *add_number(char *to, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    return add(to, digits + at, sizeof(digits) - at);
}

static char *add_status(char *to, int status)
{
    if (status == 200)
        return ADD(to, "HTTP/1.1 200 OK\r\n");
    to = add_number(ADD(to, "HTTP/1.1 "), (unsigned)status);
    to = add_text(ADD(to, " "), ouro__http_reason(status));
    return ADD(to, "\r\n");
}

static char *add_date(char *to, ouro_http_server *server)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != server->date_at) {
        char text[HTTP_DATE_SIZE];
        ouro__http_date(now.tv_sec, text);
        server->date_at = now.tv_sec;
        server->date_size = (size_t)snprintf(server->date, sizeof(server->date), "Date: %s\r\n",
                                             text);
    }
    return add(to, server->date, server->date_size);
}

/* Where the body ends. That of 205 is empty, and unlike with 204 and 304 a client has to be told:
 * RFC 9112, 6.3. */
static char *add_framing(char *to, const ouro_http_request *r)
{
    const struct http_reply *reply = &r->reply;
    if (reply->kind == HTTP_STREAM && reply->status != 205)
        return ouro__http_chunked(r) ? ADD(to, "Transfer-Encoding: chunked\r\n") : to;
    if (reply->status == 204 || reply->status == 304)
        return to;
    return ADD(add_number(ADD(to, "Content-Length: "), reply->size), "\r\n");
}

char *ouro__http_head(ouro_http_request *r, bool keep, size_t *ret_size)
{
    const struct http_reply *reply = &r->reply;
    ouro_http_server *server = r->c->server;
    size_t name = server->opts.name ? strlen(server->opts.name) : 0;
    size_t type = reply->type ? strlen(reply->type) : 0;
    char *head = ouro__http_take(&r->c->room->arena, 320 + name + type + reply->lines_size);
    if (!head)
        return NULL;
    char *to = add_date(add_status(head, reply->status), server);
    if (name)
        to = ADD(add(ADD(to, "Server: "), server->opts.name, name), "\r\n");
    if (type)
        to = ADD(add(ADD(to, "Content-Type: "), reply->type, type), "\r\n");
    to = add_framing(to, r);
    if (!keep)
        to = ADD(to, "Connection: close\r\n");
    else if (r->head.minor == 0)
        to = ADD(to, "Connection: keep-alive\r\n");
    if (reply->lines_size)
        to = add(to, reply->lines, reply->lines_size);
    to = ADD(to, "\r\n");
    *ret_size = (size_t)(to - head);
    return head;
}

int ouro__http_reply_line(ouro_http_request *r, const char *name, const char *value)
{
    struct http_reply *reply = &r->reply;
    size_t name_size = strlen(name), value_size = strlen(value);
    size_t need = reply->lines_size + name_size + value_size + 4;
    if (need > reply->lines_room) {
        size_t room = need < 256 ? 256 : need * 2;
        char *lines = ouro__http_take(&r->c->room->arena, room);
        if (!lines)
            return -ENOMEM;
        if (reply->lines_size)
            memcpy(lines, reply->lines, reply->lines_size);
        reply->lines = lines;
        reply->lines_room = room;
    }
    char *to = add(reply->lines + reply->lines_size, name, name_size);
    ADD(add(ADD(to, ": "), value, value_size), "\r\n");
    reply->lines_size = need;
    return 0;
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* In slices, each of which has to be taken in time: how far a write has got is told by its end. */
static int64_t write_slices(struct http_connection *c, const char *bytes, size_t size)
{
    int64_t n = 0;
    for (size_t at = 0; at < size && n >= 0; at += SLICE)
        n = ouro__http_await(
            c, HTTP_WRITING,
            ouro_stream_write(c->stream, bytes + at, size - at < SLICE ? size - at : SLICE),
            c->server->opts.write_limit);
    return n;
}

int64_t ouro__http_put(struct http_connection *c, const char *bytes, size_t size)
{
    ouro_ns limit = c->server->opts.write_limit;
    int64_t rc = size > PUT_MAX ? -EMSGSIZE : ouro_stream_put(c->stream, bytes, size);
    while (rc == -EAGAIN) {
        rc = ouro__http_await(c, HTTP_WRITING, ouro_stream_drain(c->stream), limit);
        if (rc >= 0)
            rc = ouro_stream_put(c->stream, bytes, size);
    }
    if (rc == -EMSGSIZE)
        rc = write_slices(c, bytes, size);
    if (rc >= 0)
        return 0;
    return c->too_slow ? -ETIMEDOUT : rc;
}

static int64_t send_file(ouro_http_request *r)
{
    struct http_connection *c = r->c;
    const struct http_reply *reply = &r->reply;
    int64_t n = ouro__http_await(
        c, HTTP_WRITING,
        ouro_stream_send_file(c->stream, ouro_file_fd(reply->file), reply->offset, reply->size),
        c->server->opts.write_limit);
    if (c->too_slow)
        return -ETIMEDOUT;
    if (n >= 0 && (uint64_t)n < reply->size)
        n = -EIO; /* it has become shorter, and the head has promised more */
    return n < 0 ? n : 0;
}

static int64_t send_reply(ouro_http_request *r, bool keep)
{
    struct http_connection *c = r->c;
    const struct http_reply *reply = &r->reply;
    size_t size;
    char *head = ouro__http_head(r, keep, &size);
    int64_t rc = head ? ouro__http_put(c, head, size) : -ENOMEM;
    if (rc < 0 || r->head_only || reply->size == 0 || !ouro__http_has_body(reply->status))
        return rc;
    return reply->kind == HTTP_FILE ? send_file(r)
                                    : ouro__http_put(c, reply->bytes, (size_t)reply->size);
}

void ouro__http_reply_drop(ouro_http_request *r)
{
    struct http_reply *reply = &r->reply;
    ouro_memory_release(reply->owned);
    ouro_file_free(reply->file);
    reply->owned = NULL;
    reply->file = NULL;
    reply->kind = HTTP_NO_REPLY;
    reply->size = 0;
    reply->type = NULL;
}

/* ---- What a handler has come to -------------------------------------------------------------- */

static void tell(ouro_http_request *r, int64_t error, const char *detail)
{
    const ouro_http_server_options *opts = &r->c->server->opts;
    r->c->server->stats.failed++;
    if (opts->on_error)
        opts->on_error(r, error, detail, opts->arg);
    else
        fprintf(stderr, "%s %s: %s%s%s\n", r->method, r->target, ouro_strerror(error),
                detail ? ": " : "", detail ? detail : "");
}

/* "404 Not Found", in place of whatever was said before. */
static void say_status(ouro_http_request *r, int status)
{
    struct http_reply *reply = &r->reply;
    char text[64];
    ouro__http_reply_drop(r);
    int size = snprintf(text, sizeof(text), "%d %s\n", status, ouro__http_reason(status));
    reply->bytes = ouro__http_copy(&r->c->room->arena, text, (size_t)size);
    reply->size = reply->bytes ? (uint64_t)size : 0;
    reply->kind = HTTP_BYTES;
    reply->status = status;
    reply->type = "text/plain; charset=utf-8";
}

static void reply_error(ouro_http_request *r, int64_t error, const char *detail)
{
    bool is_status = error <= -OURO_EHTTP(400) && error >= -OURO_EHTTP(599);
    if (!is_status) {
        tell(r, error, detail);
        r->reply.lines_size = 0;
    }
    say_status(r, is_status ? (int)-error - OURO_EHTTP(0) : 500);
}

/* A stream whose head has gone out. If that is all, the handler was told so by -EPIPE. */
static int64_t finish_stream(ouro_http_request *r, int64_t n, const char *detail, bool *ret_keep)
{
    int64_t rc = r->c->sends ? ouro__http_sends_end(r->c, false) : 0;
    if (n == -EPIPE && ouro__http_sends_nothing(r))
        n = 0;
    if (n < 0 && rc >= 0) {
        bool is_status = n <= -OURO_EHTTP(400) && n >= -OURO_EHTTP(599);
        if (!is_status)
            tell(r, n, detail);
        ouro_stream_abort(r->c->stream);
        rc = -ECONNABORTED;
    } else if (rc >= 0 && ouro__http_chunked(r)) {
        rc = ouro__http_put(r->c, "0\r\n\r\n", 5);
    }
    ouro__http_access(r, r->reply.status, r->reply.size, true);
    *ret_keep = rc >= 0 && r->reply.keep && ouro__http_may_keep(r);
    return rc;
}

int64_t ouro__http_finish(ouro_http_request *r, int64_t n, const char *detail, bool *ret_keep)
{
    struct http_reply *reply = &r->reply;
    if (reply->kind == HTTP_STREAM)
        return finish_stream(r, n, detail, ret_keep);
    if (n < 0) {
        reply_error(r, n, detail);
    } else if (reply->kind == HTTP_NO_REPLY) {
        reply->kind = HTTP_BYTES;
        reply->status = 204;
    }
    *ret_keep = ouro__http_may_keep(r);
    int64_t rc = send_reply(r, *ret_keep);
    if (rc == -EPIPE || rc == -ECONNRESET)
        r->c->server->stats.gone++;
    else if (rc < 0)
        ouro_stream_abort(r->c->stream);
    bool none = r->head_only || !ouro__http_has_body(reply->status);
    ouro__http_access(r, reply->status, none ? 0 : reply->size, true);
    return rc;
}

int64_t ouro__http_refuse(struct http_connection *c, int status)
{
    ouro_http_request *r = &c->r;
    *r = (ouro_http_request){.c = c, .start = c->begun, .head.minor = 1};
    c->server->stats.refused++;
    c->broken = true;
    say_status(r, status);
    int64_t rc = send_reply(r, false);
    ouro__http_access(r, status, r->reply.size, false);
    return rc;
}

/* ---- What a handler says --------------------------------------------------------------------- */

int ouro__http_reply_may(const ouro_http_request *r, int status, bool body)
{
    if (!r || status < 200 || status > 599 || (body && !ouro__http_has_body(status)))
        return -EINVAL;
    return r->reply.kind == HTTP_NO_REPLY ? 0 : -EALREADY;
}

int ouro__http_reply_type(ouro_http_request *r, const char *type)
{
    if (!type)
        return 0;
    if (!*type || !ouro__http_parser_is_value(type, strlen(type)))
        return -EINVAL;
    char *copy = ouro__http_copy(&r->c->room->arena, type, strlen(type));
    if (!copy)
        return -ENOMEM;
    r->reply.type = copy;
    return 0;
}

/* Fields that say how a message is framed, and so are not a handler's. */
static bool is_ours(const char *name)
{
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0 ||
           strcasecmp(name, "Connection") == 0 || strcasecmp(name, "Date") == 0;
}

int ouro_http_reply_header(ouro_http_request *r, const char *name, const char *value)
{
    if (!r || !name || !value || !ouro__http_parser_is_token(name, strlen(name)) ||
        !ouro__http_parser_is_value(value, strlen(value)) || is_ours(name))
        return -EINVAL;
    if (r->reply.kind == HTTP_STREAM)
        return -EALREADY;
    if (strcasecmp(name, "Content-Type") == 0)
        return ouro__http_reply_type(r, value);
    return ouro__http_reply_line(r, name, value);
}

int64_t ouro_http_reply(ouro_http_request *r, int status, const char *type, const void *data,
                        size_t size)
{
    int rc = data || size == 0 ? ouro__http_reply_may(r, status, size > 0) : -EINVAL;
    if (rc == 0)
        rc = ouro__http_reply_type(r, type);
    if (rc < 0)
        return rc;
    struct http_reply *reply = &r->reply;
    char *copy = size > IN_ARENA ? ouro_memory_alloc(size)
                                 : ouro__http_take(&r->c->room->arena, size);
    if (!copy)
        return -ENOMEM;
    if (size)
        memcpy(copy, data, size);
    reply->owned = size > IN_ARENA ? copy : NULL;
    reply->bytes = copy;
    reply->size = size;
    reply->status = status;
    reply->kind = HTTP_BYTES;
    return 0;
}

int64_t ouro_http_reply_text(ouro_http_request *r, int status, const char *text)
{
    if (!text)
        return -EINVAL;
    return ouro_http_reply(r, status, "text/plain; charset=utf-8", text, strlen(text));
}
