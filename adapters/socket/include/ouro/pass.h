/* SPDX-License-Identifier: MIT */
#ifndef OURO_PASS_H
#define OURO_PASS_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/stream.h>

/**
 * @file pass.h
 * Descriptors over a Unix stream. For messages see ouro_datagram_send_fds().
 *
 *     ouro_passed *p = ouro_await_ptr(ouro_stream_receive_fds(s, buf, sizeof buf), &n);
 *     int fd = p->fds[0];
 *     p->fds[0] = -1;             // kept; the others are closed
 *     ouro_passed_free(p);
 *
 * A stream has no boundaries: descriptors come with the bytes they were sent with, and a receive
 * ends where such bytes do. Streams that carry them are made with no_read_ahead.
 */

/** Descriptors that came with bytes of a stream. */
typedef struct ouro_passed {
    int *fds;     /**< close-on-exec. Keep one by writing -1 in its place */
    size_t count; /**< how many; 0: the bytes came alone */
    int cut;      /**< not 0: more were sent than could be had, as no more may be open here */
} ouro_passed;

OURO_BEGIN_DECLS

/**
 * Send bytes, and descriptors with the first of them.
 *
 * Writes that follow wait until it has gone; one that broke off half-way ends them with -EPIPE, as
 * a write does.
 *
 * @param s     Borrowed. What was written or put before must have gone; await it first.
 * @param buf   Lent until the future settles.
 * @param size  Bytes, 1 or more: descriptors cannot go alone.
 * @param fds   Copied: the numbers. What is behind them must stay open until the future settles,
 *              and is still yours then.
 * @param n     How many, 1 to 253 (SCM_MAX_FD of Linux).
 * @return A future, never NULL:
 *   - n > 0        bytes that went, with all the descriptors: all of them, unless cancelled
 *                  half-way or the peer has gone
 *   - -ECANCELED   nothing went
 *   - -EBUSY       the stream is still sending something else
 *   - -EBADF       one of @p fds is not open; or the stream is closed, or was while this waited
 *   - -EINVAL      NULL, no bytes, no descriptors or too many, one of a ring of io_uring
 *   - -EOPNOTSUPP  not a Unix socket
 *   - -ETOOMANYREFS  more are on their way than may be open here
 *   - -EPIPE, -ECONNRESET, -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_send_fds(ouro_stream *s, const void *buf, size_t size, const int *fds,
                                  size_t n) OURO_NODISCARD;

/**
 * Receive what bytes there are, and the descriptors that came with them.
 *
 * @param s     Borrowed; made with no_read_ahead.
 * @param buf   Lent until the future settles.
 * @param size  Bytes of room, 1 or more.
 * @return A future, never NULL; for n > 0 its ptr is an ouro_passed, whose descriptors are closed
 *         if nobody takes it.
 *   - n > 0        bytes in @p buf
 *   - 0            the end, and no ouro_passed
 *   - -ECANCELED   nothing was taken
 *   - -EBUSY       another call reads, or bytes are there that were received without descriptors
 *   - -EOPNOTSUPP  not a Unix socket, or one that reads ahead
 *   - -EBADF       the stream is closed, or was while this waited
 *   - -EINVAL (NULL, no room), -ECONNRESET, -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_stream_receive_fds(ouro_stream *s, void *buf, size_t size) OURO_NODISCARD;

/**
 * Close the descriptors that were not kept, and give the rest back.
 *
 * @param passed  Consumed; NULL is allowed.
 * @return NULL.   @thread Any.
 */
ouro_passed *ouro_passed_free(ouro_passed *passed);

OURO_END_DECLS

#endif
