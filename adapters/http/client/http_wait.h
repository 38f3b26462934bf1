/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_WAIT_H
#define OURO_HTTP_WAIT_H

/*
 * Waiting for a socket of libcurl's: one-shot polls, for whose sake no loop runs.
 *
 * While one is armed the kernel holds on to the socket: cancel it and wait for its end before the
 * socket is closed, or its peer sees no end.
 */

#include <ouro/future.h>

#include <stdint.h>

/* The socket is ready, with events of poll(2), or there was an error: < 0, -ECANCELED included. */
typedef void http_ready_fn(void *arg, int64_t events);

struct http_wait {
    ouro_future *poll; /* a reference, while it is armed */
    http_ready_fn *ready;
    void *arg;
};

/* Have ready() called once, in a later turn. 0 or -ENOMEM. */
int ouro__http_wait_begin(struct http_wait *w, int fd, unsigned events);

/* Ask for its end, which ready() is told. True if it will be; false: it was not armed, or its loop
 * is gone, and ready() is never called. */
int ouro__http_wait_cancel(struct http_wait *w);

#endif
