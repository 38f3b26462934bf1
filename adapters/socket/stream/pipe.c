/* SPDX-License-Identifier: MIT */
/*
 * Pipes, pairs of sockets, and the three descriptors that every program starts with.
 *
 * A program's own three may belong to others as well: the shell, its other children. So a stream
 * has a duplicate to close, and the modes of the file, which the duplicate shares, stay as they
 * are; the ring waits where non-blocking mode would be needed. They may be regular files, which are
 * read and written at their position: that moves along, and is shared like the modes.
 *
 * How it fails: before anything is handed out, and then nothing is left.
 */
#include "stream_int.h"

#include <ouro/pipe.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two streams of two descriptors, which are closed if that fails. */
static int make_both(const int fds[2], const ouro_stream_options *opts, ouro_stream **ret_first,
                     ouro_stream **ret_second)
{
    ouro_stream *one = NULL, *two = NULL;
    int rc = ouro_stream_new(fds[0], opts, &one);
    if (rc == 0)
        rc = ouro_stream_new(fds[1], opts, &two);
    if (rc == 0) {
        *ret_first = one;
        *ret_second = two;
        return 0;
    }
    if (!one)
        close(fds[0]);
    ouro_stream_free(one);
    close(fds[1]);
    return rc;
}

int ouro_pipe(const ouro_stream_options *opts, ouro_stream **ret_read, ouro_stream **ret_write)
{
    int fds[2];
    if (!ret_read || !ret_write)
        return -EINVAL;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    return make_both(fds, opts, ret_read, ret_write);
}

int ouro_socketpair(const ouro_stream_options *opts, ouro_stream **ret_a, ouro_stream **ret_b)
{
    int fds[2];
    if (!ret_a || !ret_b)
        return -EINVAL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    return make_both(fds, opts, ret_a, ret_b);
}

static int stream_of_own(int number, const ouro_stream_options *opts, ouro_stream **ret_stream)
{
    int fd = fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0)
        return errno == EINVAL ? -EMFILE : -errno; /* so few that none may be that high */
    int rc = ouro__stream_new(fd, opts, true, ret_stream);
    if (rc < 0)
        close(fd);
    else
        (*ret_stream)->shared = true;
    return rc;
}

int ouro_stdin(const ouro_stream_options *opts, ouro_stream **ret_stream)
{
    return stream_of_own(STDIN_FILENO, opts, ret_stream);
}

int ouro_stdout(const ouro_stream_options *opts, ouro_stream **ret_stream)
{
    return stream_of_own(STDOUT_FILENO, opts, ret_stream);
}

int ouro_stderr(const ouro_stream_options *opts, ouro_stream **ret_stream)
{
    return stream_of_own(STDERR_FILENO, opts, ret_stream);
}
