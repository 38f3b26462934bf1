/* SPDX-License-Identifier: MIT */
#ifndef OURO_STREAM_H
#define OURO_STREAM_H

#include <ouro/address.h>
#include <ouro/base.h>
#include <ouro/connect.h>
#include <ouro/future.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/**
 * @file stream.h
 * Streams of bytes: TCP and Unix connections, pipes, terminals.
 *
 *     char line[1024];
 *     int64_t n;
 *     while ((n = ouro_await(ouro_stream_read_line(s, line, sizeof line))) > 0)
 *         if ((n = ouro_await(ouro_stream_write(s, line, (size_t)n))) < 0)
 *             break;
 *     ouro_stream_free(s);
 *
 * Reading: one at a time, a second is -EBUSY. What the peer has sent waits in the stream or in the
 * kernel, so a read that is cancelled, or times out, loses nothing: the next one finds it. Bytes
 * are received when a read wants them, straight into its buffer where that is large; what a stream
 * has to keep, or lends, is in buffers that all streams of a loop share, see
 * ouro_stream_buffers_set(). A stream that waits has none of them, and one that nobody reads from
 * leaves all to the kernel, which tells the peer to slow down.
 *
 * Writing: any number at a time; each is written whole, in the order of the calls, and settles when
 * the kernel has all of it. A write that fails or is cancelled half-way says how much went out by
 * ouro_stream_written() and, since the peer cannot tell where it broke off, every later write fails
 * with -EPIPE. One that was cancelled before its first byte, or after its last, does no harm.
 *
 * Closing: whatever is pending then fails with -EBADF, as do later calls. The handle stays valid
 * until it is freed.
 */

/** A stream. Belongs to the loop of the thread that made it. */
typedef struct ouro_stream ouro_stream;

/** Options of streams. Zero is the default of every field. */
typedef struct ouro_stream_options {
    size_t high_water; /**< ouro_stream_put() refuses more when so many copied bytes wait to be
                            sent. Default: 256 KiB */
    size_t low_water;  /**< ouro_stream_drain() settles when no more of them than this wait.
                            Default: a quarter of high_water */
    size_t zero_copy;  /**< writes of at least so many bytes are sent without a copy, where the
                            peer is on another machine and the kernel does not copy all the same:
                            the first time that it does is the last attempt of a stream. In vain
                            it costs 2 to 4 times a copy (loopback, 64 KiB to 1 MiB). SIZE_MAX:
                            none. Default: 64 KiB */
    int no_read_ahead; /**< not 0: take nothing from the kernel but what a read asks for, so that
                            the descriptor can be handed to something else at a known place, or
                            carry descriptors; to read lines is slow then. Default: a read that is
                            small, or looks for something, receives more than it wants */
} ouro_stream_options;

/** Options of ouro_stream_connect(). Zero is the default of every field. */
typedef struct ouro_stream_connect_options {
    ouro_connect_options connect; /**< how it is connected; connect.type stays SOCK_STREAM */
    ouro_stream_options stream;   /**< of the stream */
} ouro_stream_connect_options;

/** What a stream has done. */
typedef struct ouro_stream_stats {
    uint64_t bytes_in;    /**< received from the kernel */
    uint64_t bytes_out;   /**< taken by the kernel */
    uint64_t receives;    /**< times that some were received */
    uint64_t sends;       /**< completions that took bytes */
    uint64_t parked;      /**< times it had to wait for a buffer, since others held them */
    uint64_t paused;      /**< times it stopped listening to the kernel, since nobody read */
    uint64_t zero_copies; /**< sends that were not copied */
    size_t unread;        /**< bytes received, and not read yet */
    size_t unsent;        /**< bytes that wait to be sent */
} ouro_stream_stats;

/**
 * How the streams of a loop share buffers. Zero is the default of every field.
 *
 * A stream takes one when bytes are there that have to be kept together, as a line or a record, or
 * that are lent; it has none while it waits for the first of them. When all are taken, streams
 * stand in line, and get one each, oldest first, as they come back. A read that just wants bytes,
 * or so many of them, has a buffer of its own and never stands in line.
 */
typedef struct ouro_stream_buffers {
    unsigned count; /**< how many; 2 to 32768. Default: 1024. Memory is touched only for as many as
                         were ever needed at one time */
    size_t size; /**< bytes of each; rounded up to a multiple of 64, 64 to 1 MiB. Default: 64 KiB,
                         where bulk is as cheap as it gets (measured) */
    unsigned share; /**< how many one stream may fill, which limits what can be kept together; 2 at
                         least. Default: 4, but no more than a quarter of them all */
} ouro_stream_buffers;

/** What has become of the buffers. */
typedef struct ouro_stream_buffers_stats {
    unsigned count;   /**< buffers there are; 0: no stream has been read from yet */
    size_t size;      /**< bytes of each */
    unsigned held;    /**< by streams */
    unsigned waiting; /**< streams that wait for one now, oldest first */
    uint64_t empty;   /**< times there was none */
    uint64_t parked;  /**< streams that had to wait, ever */
    uint64_t woken;   /**< streams that got on again */
} ouro_stream_buffers_stats;

OURO_BEGIN_DECLS

/* ---- Making ---------------------------------------------------------------------------------- */

/**
 * Make a stream of a descriptor: a connected stream socket, a pipe or FIFO, a terminal or another
 * character device. Non-blocking mode does not matter and is not changed. See also
 * ouro_stream_connect() and ouro_listener_accept().
 *
 * @param fd          Taken over on success: closed with the stream.
 * @param opts        Copied; NULL for defaults.
 * @param ret_stream  Receives it, yours until ouro_stream_free().
 * @return 0; on failure nothing is written and @p fd stays yours: -EBADF (not open), -EINVAL (NULL;
 *         low_water above high_water), -EOPNOTSUPP (a listening socket, one of datagrams, a
 *         directory or a regular file: use ouro_file_open()), -ENOMEM, -EPERM (no loop on this
 *         thread), -ECHILD, -ESHUTDOWN.
 * @thread Loop thread only.
 */
int ouro_stream_new(int fd, const ouro_stream_options *opts,
                    ouro_stream **ret_stream) OURO_NODISCARD;

/**
 * Connect to a place in words, and have a stream. A host's several addresses are raced, see
 * ouro_connect(); bound it with ouro_timeout().
 *
 * @param where  "example.org:443", "127.0.0.1:80", "[::1]:80", "unix:/path", "unix:@name": see
 *               ouro_connect(). Borrowed until the future settles.
 * @param opts   Copied; NULL for defaults.
 * @return A future, never NULL; its ptr is the stream, n is 0: take it with ouro_await_ptr(), else
 *         it is closed. -EINVAL also for water marks that ouro_stream_new() refuses; else as
 *         ouro_connect().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_connect(const char *where,
                                 const ouro_stream_connect_options *opts) OURO_NODISCARD;

/* ---- Reading --------------------------------------------------------------------------------- */

/**
 * Read what is there, or wait until something is.
 *
 * @param s     Borrowed.
 * @param buf   Lent until the future settles.
 * @param size  Bytes of room.
 * @return A future, never NULL:
 *   - n > 0        bytes in @p buf, up to @p size
 *   - 0            the end: the peer has shut down its sending side; or @p size is 0
 *   - -ECANCELED   nothing was taken from the stream
 *   - -EBADF       the stream is closed, or was while this waited
 *   - -EBUSY       another read is pending
 *   - -ECONNRESET, -ETIMEDOUT, -EIO, ...  the connection broke; bytes that came before were read
 *     first
 *   - -ENOMEM, -EINVAL (NULL; size above SSIZE_MAX), -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_read(ouro_stream *s, void *buf, size_t size) OURO_NODISCARD;

/**
 * Read exactly so much.
 *
 * What a stream may hold (see ouro_stream_buffers) is taken at once or not at all. More than that,
 * or when there are no buffers left, goes to @p buf as it comes; if it breaks off,
 * ouro_stream_got() says how much of it came.
 *
 * @param s     Borrowed.
 * @param buf   Lent until the future settles; if it fails, what is in it is undefined beyond that.
 * @param size  Bytes.
 * @return A future, never NULL: @p size; -ENODATA the stream ended before; else as
 *         ouro_stream_read().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_read_exact(ouro_stream *s, void *buf, size_t size) OURO_NODISCARD;

/**
 * How many bytes the last ouro_stream_read_exact() left in its buffer, if it has failed. They count
 * as read; those that it did not take are still in the stream.
 *
 * @param s  Borrowed.
 * @return Bytes; 0 if it has not failed; -EINVAL (NULL).   @thread Loop thread only.
 */
int64_t ouro_stream_got(const ouro_stream *s);

/**
 * Read up to a delimiter and with it.
 *
 * @param s               Borrowed.
 * @param buf             Lent until the future settles.
 * @param size            Bytes of room.
 * @param delimiter       Lent until the future settles; it may have any bytes in it.
 * @param delimiter_size  Bytes of it, 1 or more.
 * @return A future, never NULL: the number of bytes in @p buf, the delimiter included; -EMSGSIZE
 *         when it is not in the first @p size bytes, or in as many as the stream may hold, which
 *         stay in the stream, and -ENODATA when the stream ends before it, likewise; -EINVAL
 *         also for a delimiter longer than @p size; else as ouro_stream_read().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_read_until(ouro_stream *s, void *buf, size_t size, const void *delimiter,
                                    size_t delimiter_size) OURO_NODISCARD;

/**
 * Read a line, with its newline, and put a zero behind it.
 *
 * @param s     Borrowed.
 * @param buf   Lent until the future settles.
 * @param size  Bytes of room, 2 or more: one is for the zero.
 * @return A future, never NULL: the length of the line, the newline included; the last one may have
 *         none. 0 the stream has ended. -EMSGSIZE the line does not fit, or is more than
 *         the stream may hold, and stays in the stream; else as ouro_stream_read().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_read_line(ouro_stream *s, char *buf, size_t size) OURO_NODISCARD;

/**
 * Borrow what has come where it lies, without a copy: one buffer of it.
 *
 * @param s          Borrowed.
 * @param ret_bytes  Receives where they are, before the future settles. The bytes count as read,
 *                   and are lent to you until the next call that reads from the stream, or
 *                   ouro_stream_done(), or the stream's close. Writing them back to a stream is
 *                   allowed: await that write first.
 * @return A future, never NULL: the number of bytes; 0 the end; else as ouro_stream_read().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_next(ouro_stream *s, const void **ret_bytes) OURO_NODISCARD;

/**
 * Give back what ouro_stream_next() lent, before something that takes long: others may be waiting
 * for the buffer.
 *
 * @param s  Borrowed; without a loan there is no effect.   @thread Loop thread only.
 */
void ouro_stream_done(ouro_stream *s);

/**
 * Look at what comes next, and leave it there.
 *
 * @param s     Borrowed.
 * @param buf   Lent until the future settles.
 * @param size  Bytes wanted; no more than a stream may hold, or the future fails with -EMSGSIZE.
 * @return A future, never NULL: @p size, or less when the stream ends before; else as
 *         ouro_stream_read().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_peek(ouro_stream *s, void *buf, size_t size) OURO_NODISCARD;

/* ---- Writing --------------------------------------------------------------------------------- */

/**
 * Write all of a buffer.
 *
 * @param s     Borrowed.
 * @param buf   Lent until the future settles, which with a zero-copy send is when the kernel has no
 *              more use for it.
 * @param size  Bytes.
 * @return A future, never NULL:
 *   - n == size    the kernel has all of it
 *   - -ECANCELED   nothing went out, or a part: see ouro_stream_written()
 *   - -EPIPE       the peer reads no more, the sending side was shut down, or an earlier write was
 *                  cancelled half-way
 *   - -EBADF       the stream is closed, or was while this waited
 *   - -ECONNRESET, -ETIMEDOUT, ...  the connection broke; later writes fail with the same
 *   - -EFAULT, -ENOBUFS  before its first byte; this write alone
 *   - -ENOMEM, -EINVAL (NULL; size above SSIZE_MAX), -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_write(ouro_stream *s, const void *buf, size_t size) OURO_NODISCARD;

/**
 * Write all of several buffers, as one write.
 *
 * @param s      Borrowed.
 * @param parts  Buffers, each lent until the future settles, and the array too; it is not changed.
 * @param n      How many; 0 to 1024 (IOV_MAX of Linux).
 * @return See ouro_stream_write(); -EINVAL also for more than SSIZE_MAX bytes in all.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_writev(ouro_stream *s, const struct iovec *parts, size_t n) OURO_NODISCARD;

/**
 * Send a part of a file, in its place among the writes.
 *
 * Over TCP what is in the page cache does not come through this program's memory (Linux 6.5, and a
 * file that we own or may write: else the kernel does not say what it has in the cache). The socket
 * is in non-blocking mode for moments then, which those would notice who share it. The rest is
 * read, without blocking, and written. 64 MiB over loopback took 1.1 to 1.3 times as long as by
 * sendfile(2), and a third of what reading and writing took.
 *
 * @param s       Borrowed.
 * @param fd      Of a regular file; lent until the future settles. Its position does not matter.
 * @param offset  Where in the file to begin, bytes.
 * @param size    Bytes; the file may end before.
 * @return A future, never NULL: the bytes sent, less than @p size when the file ends before; else
 *         as ouro_stream_write(), and what reading the file fails with; -EISDIR, -EINVAL (no
 *         regular file; an end above INT64_MAX).
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_send_file(ouro_stream *s, int fd, uint64_t offset,
                                   uint64_t size) OURO_NODISCARD;

/**
 * How much went out of the write that broke off half-way, be it cancelled, cut off by a close or by
 * the connection's end. There is one at most, since none goes out after it.
 *
 * @param s  Borrowed.
 * @return Bytes; 0 if none has; -EINVAL (NULL).   @thread Loop thread only.
 */
int64_t ouro_stream_written(const ouro_stream *s);

/**
 * Have a copy of some bytes sent, and do not wait: many small ones go out together, in the order of
 * all writes, at the end of this turn of the loop.
 *
 * @param s     Borrowed.
 * @param buf   Copied.
 * @param size  Bytes.
 * @return 0; -EAGAIN so much waits already that the high-water mark would be passed: take
 *         ouro_stream_drain() first; -EMSGSIZE more than the high-water mark itself; -ENOMEM,
 *         -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN; -EBADF, -EPIPE, -ECONNRESET, ... as
 *         ouro_stream_write(): also for what was put before and could not be sent. Nothing was
 *         taken then.
 * @thread Loop thread only.
 */
int ouro_stream_put(ouro_stream *s, const void *buf, size_t size) OURO_NODISCARD;

/**
 * Wait until no more than the low-water mark waits to be sent.
 *
 * @param s  Borrowed. Any number may wait.
 * @return A future, never NULL: 0, or why what was put cannot be sent, as ouro_stream_write().
 *         Cancelling changes nothing for what was put.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_drain(ouro_stream *s) OURO_NODISCARD;

/**
 * Wait until all that was written before this call has been sent.
 *
 * @param s  Borrowed. Any number may wait.
 * @return See ouro_stream_drain().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_flush(ouro_stream *s) OURO_NODISCARD;

/* ---- The end --------------------------------------------------------------------------------- */

/**
 * Shut one direction down.
 *
 * SHUT_WR: no more will be written; when what was is sent, the peer reads the end, while we can go
 * on reading. SHUT_RD: what has not been read is dropped, reads return 0. SHUT_RDWR: both. What is
 * no socket is closed when it is shut down for writing.
 *
 * @param s    Borrowed.
 * @param how  SHUT_RD, SHUT_WR or SHUT_RDWR of <sys/socket.h>.
 * @return A future, never NULL: 0, also when that was done before; -ENOTCONN, -EBADF, -ECANCELED
 *         (later writes fail all the same), what pending writes failed with, -ENOMEM, -EINVAL,
 *         -EXDEV, -ECHILD, -ESHUTDOWN.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_shutdown(ouro_stream *s, int how) OURO_NODISCARD;

/**
 * Close: pending reads and writes end with -EBADF, and when the kernel has let go of their buffers,
 * the descriptor is closed. Bytes that the kernel has are still sent; what was put and not flushed
 * is dropped, so flush first.
 *
 * @param s  Borrowed, and valid until ouro_stream_free(). Any number may wait, also later.
 * @return A future, never NULL: 0 it is closed; -ECANCELED (it is being closed all the same),
 *         -ENOMEM (likewise), -EINVAL, -EXDEV, -ECHILD.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_stream_close(ouro_stream *s) OURO_NODISCARD;

/**
 * Close at once, and have a TCP peer told by a reset (RST) that the connection broke off. What the
 * kernel has not sent yet is dropped.
 *
 * @param s  Borrowed; see ouro_stream_close() for what pending calls are told.
 * @return 0, -EINVAL, -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_stream_abort(ouro_stream *s);

/**
 * Give a stream back; it is closed if it was not.
 *
 * @param s  Consumed; NULL is allowed. Futures of its calls may still be awaited.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_stream *ouro_stream_free(ouro_stream *s);

/* ---- Looking --------------------------------------------------------------------------------- */

/**
 * The descriptor, for options of sockets and the like. Do not read from it, write to it or close
 * it.
 *
 * @param s  Borrowed.
 * @return The descriptor, still the stream's; -EBADF (closed), -EINVAL.   @thread Loop thread only.
 */
int ouro_stream_fd(const ouro_stream *s);

/**
 * Who is at the other end.
 *
 * @param s            Borrowed.
 * @param ret_address  Receives it; of a unix socket that was not bound it is one without a name.
 *                     Untouched on failure.
 * @return 0, -ENOTCONN (it is gone), -ENOTSOCK (a pipe or terminal), -EBADF (closed), -EINVAL.
 * @thread Loop thread only.
 */
int ouro_stream_peer(const ouro_stream *s, ouro_address *ret_address);

/**
 * The address of this end.
 *
 * @param s            Borrowed.
 * @param ret_address  Receives it. Untouched on failure.
 * @return 0, -ENOTSOCK, -EBADF (closed), -EINVAL.   @thread Loop thread only.
 */
int ouro_stream_local(const ouro_stream *s, ouro_address *ret_address);

/**
 * Take the descriptor out, and close the rest. What has not been received is the descriptor's.
 *
 * @param s  Borrowed.
 * @return A future, never NULL: the descriptor; -EBUSY (something is pending, or was received and
 *         not read: read that first, or see no_read_ahead), -ECANCELED (the
 *         stream goes on), -EBADF, -ENOMEM, -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN.
 * @owns the caller closes the descriptor; one that nobody takes is closed.
 * @thread Loop thread only.
 */
ouro_future *ouro_stream_take_fd(ouro_stream *s) OURO_NODISCARD;

/**
 * What it has done.
 *
 * @param s          Borrowed.
 * @param ret_stats  Filled.
 * @return 0, -EINVAL.   @thread Loop thread only.
 */
int ouro_stream_stats_get(const ouro_stream *s, ouro_stream_stats *ret_stats);

/**
 * Choose the buffers that the streams of this thread's loop will share, before the first of them
 * receives.
 *
 * @param opts  Copied; NULL for defaults.
 * @return 0; -EBUSY (they are in use already), -EINVAL (a value out of range), -ENOMEM, -EPERM (no
 *         loop on this thread), -ECHILD, -ESHUTDOWN.
 * @thread Loop thread only.
 */
int ouro_stream_buffers_set(const ouro_stream_buffers *opts);

/**
 * What has become of them.
 *
 * @param ret_stats  Filled.
 * @return 0, -EINVAL, -EPERM (no loop on this thread), -ECHILD.   @thread Loop thread only.
 */
int ouro_stream_buffers_get(ouro_stream_buffers_stats *ret_stats);

OURO_END_DECLS

#endif
