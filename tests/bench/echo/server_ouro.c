/* SPDX-License-Identifier: MIT */

/*
 * An echo server as a user of ouro writes it: a coroutine a connection, which sends what it has
 * received from where it lies.
 */

#include <ouro/ouro.h>

#include "server.h"

static int64_t echo(ouro_stream *s, void *arg)
{
    (void)arg;
    const void *bytes;
    int64_t n;
    while ((n = ouro_await(ouro_stream_next(s, &bytes))) > 0) {
        n = ouro_await(ouro_stream_write(s, bytes, (size_t)n));
        if (n < 0)
            break;
    }
    return n;
}

static int64_t serve(void *arg)
{
    (void)arg;
    ouro_listener *listener;
    int rc = ouro_listener_from_fd(SERVER_LISTENER, NULL, &listener);
    if (rc < 0)
        return rc;
    int64_t ended = ouro_await(ouro_serve(listener, echo, NULL, NULL));
    ouro_listener_free(listener);
    return ended;
}

int main(void)
{
    return ouro_run(serve, NULL, NULL) < 0;
}
