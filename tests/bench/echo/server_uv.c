/* SPDX-License-Identifier: MIT */

/*
 * An echo server on libuv: a rival of the echo benchmark.
 *
 * As in the epoll server one large buffer receives for all connections, and what was received is
 * sent at once by uv_try_write(). Only what the socket has no room for is copied and queued; the
 * connection is not read from until that has gone.
 */

#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "server.h"

struct connection {
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_write_t write;
    char *kept;
};

static char buffer[64 * 1024];
static int is_tcp;

static void check(int rc, const char *what)
{
    if (rc == 0)
        return;
    errno = -rc;
    server_fail(what);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    free(c->kept);
    free(c);
}

static void end(struct connection *c)
{
    if (!uv_is_closing((uv_handle_t *)&c->stream))
        uv_close((uv_handle_t *)&c->stream, on_closed);
}

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    (void)handle;
    (void)suggested;
    *ret_buf = uv_buf_init(buffer, sizeof buffer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void on_written(uv_write_t *request, int status)
{
    struct connection *c = request->data;
    free(c->kept);
    c->kept = NULL;
    if (status < 0 || uv_read_start(&c->stream, lend, on_read) < 0)
        end(c);
}

static void write_later(struct connection *c, const char *bytes, size_t n)
{
    uv_read_stop(&c->stream);
    c->kept = malloc(n);
    if (!c->kept)
        server_fail("malloc");
    memcpy(c->kept, bytes, n);
    c->write.data = c;
    uv_buf_t buf = uv_buf_init(c->kept, (unsigned)n);
    if (uv_write(&c->write, &c->stream, &buf, 1, on_written) < 0)
        end(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;
    if (n < 0) {
        end(c);
        return;
    }
    if (n == 0)
        return;
    uv_buf_t all = uv_buf_init(buf->base, (unsigned)n);
    int sent = uv_try_write(stream, &all, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        end(c);
        return;
    }
    ssize_t done = sent < 0 ? 0 : sent;
    if (done < n)
        write_later(c, buf->base + done, (size_t)(n - done));
}

static void init(struct connection *c, uv_loop_t *loop)
{
    check(is_tcp ? uv_tcp_init(loop, &c->tcp) : uv_pipe_init(loop, &c->pipe, 0), "init");
    c->stream.data = c;
}

static void on_connection(uv_stream_t *listener, int status)
{
    check(status, "listen");
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        server_fail("calloc");
    init(c, listener->loop);
    check(uv_accept(listener, &c->stream), "accept");
    check(uv_read_start(&c->stream, lend, on_read), "read");
}

int main(void)
{
    static struct connection listener;
    int domain = 0;
    socklen_t size = sizeof domain;
    if (getsockopt(SERVER_LISTENER, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0)
        server_fail("SO_DOMAIN");
    is_tcp = domain != AF_UNIX;
    init(&listener, uv_default_loop());
    check(is_tcp ? uv_tcp_open(&listener.tcp, SERVER_LISTENER)
                 : uv_pipe_open(&listener.pipe, SERVER_LISTENER),
          "open");
    check(uv_listen(&listener.stream, 4096, on_connection), "listen");
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
