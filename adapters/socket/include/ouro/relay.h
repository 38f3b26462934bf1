/* SPDX-License-Identifier: MIT */
#ifndef OURO_RELAY_H
#define OURO_RELAY_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/stream.h>

/**
 * @file relay.h
 * From one stream to another: what proxies and tunnels are made of.
 *
 *     int64_t rc = ouro_await(ouro_stream_relay(client, server));
 *
 * No task and no buffer is needed: what one stream has received is sent from where it lies. It goes
 * on at the pace of the slower side.
 */

OURO_BEGIN_DECLS

/**
 * Write to one stream what another brings, until that ends.
 *
 * @param from  Read from; borrowed until the future settles.
 * @param to    Written to; borrowed until the future settles. Others may write to it too, between
 *              two pieces.
 * @return A future, never NULL:
 *   - n >= 0       the bytes written; @p from has ended
 *   - -ECANCELED   all that was read has been written, but for a piece that was on its way
 *   - what ouro_stream_next() or ouro_stream_write() failed with; for a stream that is closed
 *     meanwhile -EBADF
 *   - -ENOMEM, -EINVAL (NULL, twice the same stream), -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_copy(ouro_stream *from, ouro_stream *to) OURO_NODISCARD;

/**
 * Write to each of two streams what the other brings, until both have ended. The end of one is
 * passed on, by shutting the other down for writing, while the other direction goes on. An error in
 * one direction cancels the other.
 *
 * @param a  Borrowed until the future settles.
 * @param b  Borrowed until the future settles.
 * @return A future, never NULL: 0 both have ended; else as ouro_stream_copy(). Close both
 *         afterwards; ouro_stream_stats_get() tells how much went each way.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_relay(ouro_stream *a, ouro_stream *b) OURO_NODISCARD;

OURO_END_DECLS

#endif
