/* SPDX-License-Identifier: MIT */
#ifndef OURO_PIPE_H
#define OURO_PIPE_H

#include <ouro/base.h>
#include <ouro/stream.h>

/**
 * @file pipe.h
 * Streams that need no address: pipes, pairs of sockets, and what the program was started with.
 *
 *     ouro_stream *in, *out;
 *     if (ouro_stdin(NULL, &in) == 0 && ouro_stdout(NULL, &out) == 0)
 *         ouro_await(ouro_stream_copy(in, out));
 *     ouro_stream_free(in);
 *     ouro_stream_free(out);
 *
 * What is no socket raises SIGPIPE when it is written to and nobody reads. A stream blocks that
 * signal in the loop's thread from its first write until it is closed, and the write fails with
 * -EPIPE; other threads are left alone, and children that ouro_process_start() makes have the
 * signal as usual.
 */

OURO_BEGIN_DECLS

/**
 * Make a pipe. Its descriptors are not inherited by other programs.
 *
 * @param opts       Of both; copied; NULL for defaults.
 * @param ret_read   Receives the end to read from, yours until ouro_stream_free(). Writing to it is
 *                   -EBADF.
 * @param ret_write  Receives the end to write to, likewise.
 * @return 0; on failure nothing is written: -EMFILE, -ENFILE, -EINVAL (NULL; ouro_stream_new()),
 *         -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN.
 * @thread Loop thread only.
 */
int ouro_pipe(const ouro_stream_options *opts, ouro_stream **ret_read,
              ouro_stream **ret_write) OURO_NODISCARD;

/**
 * Make two Unix stream sockets that are connected to each other. Each is read and written. Their
 * descriptors are not inherited by other programs; pass ouro_stream_take_fd() on to a child.
 *
 * @param opts   Of both; copied; NULL for defaults.
 * @param ret_a  Receives one, yours until ouro_stream_free().
 * @param ret_b  Receives the other, likewise.
 * @return See ouro_pipe().   @thread Loop thread only.
 */
int ouro_socketpair(const ouro_stream_options *opts, ouro_stream **ret_a,
                    ouro_stream **ret_b) OURO_NODISCARD;

/**
 * The standard input as a stream: a terminal, a pipe, a socket, /dev/null or a file, which is read
 * from where it stands. It has a descriptor of its own: freeing it leaves 0 open, whose modes are
 * not changed, so that others who have it do not notice.
 *
 * Make one, not several: each receives ahead, and keeps what the others would have read. With
 * no_read_ahead it takes no more than it is asked for, so that a child can read on; a terminal
 * gives a line at a time all the same.
 *
 * A read of a terminal or a file is left to a thread of the kernel's when there is nothing to read
 * at once.
 *
 * @param opts        Copied; NULL for defaults.
 * @param ret_stream  Receives it, yours until ouro_stream_free().
 * @return 0; on failure nothing is written: -EBADF (the program has no standard input),
 *         -EOPNOTSUPP (it is nothing to read bytes from), and as ouro_pipe().
 * @thread Loop thread only.
 */
int ouro_stdin(const ouro_stream_options *opts, ouro_stream **ret_stream) OURO_NODISCARD;

/**
 * The standard output as a stream. What it writes and what printf(3) buffers are in no order: use
 * one, or fflush(3) before. A file is written where it stands, or at its end, if the shell opened
 * it so (`>>`).
 *
 * @param opts        Copied; NULL for defaults.
 * @param ret_stream  Receives it, yours until ouro_stream_free(). That does not flush what was put.
 * @return See ouro_stdin().   @thread Loop thread only.
 */
int ouro_stdout(const ouro_stream_options *opts, ouro_stream **ret_stream) OURO_NODISCARD;

/**
 * The standard error as a stream.
 *
 * @param opts        Copied; NULL for defaults.
 * @param ret_stream  Receives it, yours until ouro_stream_free().
 * @return See ouro_stdout().   @thread Loop thread only.
 */
int ouro_stderr(const ouro_stream_options *opts, ouro_stream **ret_stream) OURO_NODISCARD;

OURO_END_DECLS

#endif
