/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_STREAM_H
#define OURO_PG_STREAM_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/pg_connection.h>

/**
 * @file pg_stream.h
 * What is too much for the memory: rows piece by piece, and COPY in both directions.
 *
 *     ouro_pg_stream *s = ouro_await_ptr(ouro_pg_stream_open(pg, sql, NULL, 0, NULL), &rc);
 *     ouro_pg_result *some;
 *     while ((some = ouro_await_ptr(ouro_pg_stream_next(s), &rc)))
 *         ...                                                     rc rows, then free them
 *     ouro_pg_stream_free(s);
 *
 * It goes on at the pace of who takes: what is not asked for stays on the server. Meanwhile the
 * connection is taken, and other statements on it wait; so never await one while you have a stream
 * of the same connection open.
 *
 * One that is freed before its end is cancelled on the server.
 */

/** Rows on their way. */
typedef struct ouro_pg_stream ouro_pg_stream;

/** A COPY that is under way. */
typedef struct ouro_pg_copy ouro_pg_copy;

OURO_BEGIN_DECLS

/* ---- Rows ------------------------------------------------------------------------------------ */

/**
 * Run a statement whose rows are taken piece by piece.
 *
 * @param pg      Borrowed until the stream is freed.
 * @param sql     See ouro_pg_query().
 * @param params  See ouro_pg_query().
 * @param count   See ouro_pg_query().
 * @param opts    Copied; NULL for defaults. opts->error is lent until the stream is freed;
 *                no_prepare does not matter, it never is.
 * @return A future, never NULL; its ptr is an ouro_pg_stream. 0: the server has begun to answer, or
 *         as ouro_pg_query().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_stream_open(ouro_pg *pg, const char *sql, const ouro_pg_value *params,
                                 size_t count, const ouro_pg_query_options *opts) OURO_NODISCARD;

/**
 * The next rows: those that are there, at least one. Pieces are small, a few rows, so that they are
 * still in the processor's cache when they are read: how many is the library's affair.
 *
 * One at a time. A cancelled one loses nothing: the next brings what it would have.
 *
 * @param s  Borrowed until the future settles.
 * @return A future, never NULL; its ptr is an ouro_pg_result.
 *   - n > 0        rows
 *   - 0            that was all, and ptr is NULL; again when asked again
 *   - -EBUSY       another waits already
 *   - -EBADF       the stream's connection was closed or released
 *   - < 0          what the statement failed with, after the rows before; again when asked again
 *   - -ECANCELED, -EINVAL (NULL), -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_pg_stream_next(ouro_pg_stream *s) OURO_NODISCARD;

/**
 * Give a stream back. Before its end the statement is cancelled on the server.
 *
 * @param s  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_pg_stream *ouro_pg_stream_free(ouro_pg_stream *s);

/* ---- COPY ------------------------------------------------------------------------------------ */

/**
 * Begin a COPY ... FROM STDIN or a COPY ... TO STDOUT.
 *
 * @param pg    Borrowed until the copy is freed.
 * @param sql   The statement, without parameters. Copied.
 * @param opts  Copied; NULL for defaults. opts->error is lent until the copy is freed; the rest does
 *              not matter.
 * @return A future, never NULL; its ptr is an ouro_pg_copy.
 *   - 0            it has begun
 *   - -OURO_ECOPY  it was no COPY of that kind; what it was has been done
 *   - else as ouro_pg_query()
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_copy_open(ouro_pg *pg, const char *sql,
                               const ouro_pg_query_options *opts) OURO_NODISCARD;

/**
 * Send bytes to a COPY ... FROM STDIN. They need not end where a row does. Settles when they are
 * taken over, which waits while the server is slower.
 *
 * @param c     Borrowed until the future settles.
 * @param data  Borrowed until the future settles.
 * @param size  Bytes.
 * @return A future, never NULL:
 *   - n >= 0       @p size
 *   - -OURO_ESQL(...)  the server has refused something sent before; ouro_pg_copy_end() says it too,
 *                  and with TLS, it alone
 *   - -ECANCELED   nothing of it, or an unknown part, was sent; only ouro_pg_copy_free() is left
 *   - -EBUSY       another call waits
 *   - -EBADMSG     it is a copy of the other direction
 *   - -EPIPE       it has ended
 *   - -EBADF, -EINVAL (NULL), -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_copy_write(ouro_pg_copy *c, const void *data, size_t size) OURO_NODISCARD;

/**
 * End a COPY ... FROM STDIN: all was sent. Its rows are in the table when this succeeds, and not
 * before.
 *
 * @param c  Borrowed until the future settles.
 * @return A future, never NULL: n the number of rows; else as ouro_pg_copy_write(). -ECANCELED: the
 *         server was asked to stop, and did.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_copy_end(ouro_pg_copy *c) OURO_NODISCARD;

/**
 * The next row of a COPY ... TO STDOUT; in the binary format, the next piece.
 *
 * @param c         Borrowed until the future settles.
 * @param ret_data  Receives where it lies, with its newline; lent until the next call on @p c.
 *                  Written on success alone.
 * @return A future, never NULL:
 *   - n > 0        bytes
 *   - 0            that was all
 *   - else as ouro_pg_copy_write()
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_copy_next(ouro_pg_copy *c, const void **ret_data) OURO_NODISCARD;

/**
 * How many rows a copy has brought or taken, by what the server says at its end.
 *
 * @param c  Borrowed.
 * @return The number; 0 before the end. -EINVAL (NULL).   @thread Loop thread only.
 */
int64_t ouro_pg_copy_rows(const ouro_pg_copy *c);

/**
 * Give a copy back. One that has not ended is broken off, and nothing of it stays in the table.
 *
 * @param c  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_pg_copy *ouro_pg_copy_free(ouro_pg_copy *c);

OURO_END_DECLS

#endif
