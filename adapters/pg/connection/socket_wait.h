/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_SOCKET_WAIT_H
#define OURO_PG_SOCKET_WAIT_H

/*
 * Waiting for a socket of libpq's.
 *
 * One shot, never several: a multishot poll tells of edges, and libpq does not read to the last
 * byte, so bytes would lie there untold. No loop runs for the sake of it. While it is armed the
 * kernel holds on to the socket: cancel it and wait for its end before the socket is closed, or the
 * server sees no end, and never be armed when libpq may open another under the same number.
 */

#include <ouro/future.h>

#include <linux/time_types.h>
#include <stdint.h>

/* The socket is ready, with events of poll(2), or there was an error: < 0, -ECANCELED included. */
typedef void pg_ready_fn(void *arg, int64_t events);

struct pg_wait {
    ouro_future *poll;             /* a reference, while it is armed */
    struct __kernel_timespec time; /* the kernel reads it when it is told of a wait for the time */
    pg_ready_fn *ready;
    void *arg;
};

/* Have ready() called once, in a later turn. 0 or -ENOMEM. */
int ouro__pg_wait_begin(struct pg_wait *w, int fd, unsigned events);

/* The same when @delay has passed: events is then -ETIME. No loop runs for its sake, which is what
 * ouro_call_later() cannot do. */
int ouro__pg_wait_time(struct pg_wait *w, ouro_ns delay);

/* Ask for its end, which ready() is told. True if it will be; false: it was not armed, or its loop
 * is gone, and ready() is never called. */
int ouro__pg_wait_cancel(struct pg_wait *w);

#endif
