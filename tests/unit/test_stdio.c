/* SPDX-License-Identifier: MIT */
/*
 * The standard streams, whatever the program was started with. Each test is a child process of its
 * own, whose descriptors 0 and 1 are replaced.
 */
#define _GNU_SOURCE
#include "send_test.h"

#include <fcntl.h>
#include <ouro/pipe.h>
#include <pty.h>

TestSuite(stdio, .timeout = 60);

/* Put @fd in the place of @number, which is kept; and back. */
static int kept;

static void become(int number, int fd)
{
    kept = fcntl(number, F_DUPFD_CLOEXEC, 100);
    check_eq(dup2(fd, number), number);
}

static void unbecome(int number)
{
    dup2(kept, number);
    close(kept);
}

static int text_file(const char *text)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    check(fd >= 0);
    check_eq(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void check_file(int fd, const char *want)
{
    char got[256] = "";
    check(pread(fd, got, sizeof(got) - 1, 0) >= 0);
    check_text(got, want);
}

KernelTest(stdio, a_file_is_read_from_where_it_stands)
{
    int fd = text_file("skipped\none\ntwo\n");
    lseek(fd, 8, SEEK_SET);
    become(0, fd);
    ouro_stream *in;
    char line[16];
    check_eq(ouro_stdin(NULL, &in), 0);
    check_eq(ouro_await(ouro_stream_read_line(in, line, sizeof(line))), 4);
    check_text(line, "one\n");
    check_eq(ouro_await(ouro_stream_read_line(in, line, sizeof(line))), 4);
    check_text(line, "two\n");
    check_eq(ouro_await(ouro_stream_read_line(in, line, sizeof(line))), 0);
    check_eq(ouro_await(ouro_stream_read(in, line, sizeof(line))), 0);
    ouro_stream_free(in);
    check(fcntl(0, F_GETFD) >= 0);
    unbecome(0);
    close(fd);
    return 0;
}

KernelTest(stdio, a_file_is_written_where_it_stands_or_at_its_end)
{
    int fd = text_file("0123456789");
    lseek(fd, 2, SEEK_SET);
    become(1, fd);
    ouro_stream *to;
    check_eq(ouro_stdout(NULL, &to), 0);
    check_eq(ouro_await(ouro_stream_write(to, "ab", 2)), 2);
    check_eq(ouro_stream_put(to, "cd", 2), 0);
    check_eq(ouro_await(ouro_stream_flush(to)), 0);
    check_file(fd, "01abcd6789");
    fcntl(1, F_SETFL, O_APPEND);
    check_eq(ouro_await(ouro_stream_write(to, "end", 3)), 3);
    check_file(fd, "01abcd6789end");
    ouro_stream_free(to);
    check(fcntl(1, F_GETFD) >= 0);
    unbecome(1);
    close(fd);
    return 0;
}

KernelTest(stdio, pipes_sockets_and_the_null_device_are_streams_too)
{
    char buf[8];
    int fds[2];
    ouro_stream *in, *to;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    become(0, null);
    check_eq(ouro_stdin(NULL, &in), 0);
    check_eq(ouro_await(ouro_stream_read(in, buf, sizeof(buf))), 0);
    ouro_stream_free(in);
    unbecome(0);
    become(1, null);
    check_eq(ouro_stdout(NULL, &to), 0);
    check_eq(ouro_await(ouro_stream_write(to, "gone", 4)), 4);
    ouro_stream_free(to);
    unbecome(1);
    close(null);
    check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    become(2, fds[0]);
    check_eq(ouro_stderr(NULL, &to), 0);
    check_eq(ouro_await(ouro_stream_write(to, "error", 5)), 5);
    check_eq(read(fds[1], buf, sizeof(buf)), 5);
    ouro_stream_free(to);
    unbecome(2);
    close(fds[0]);
    close(fds[1]);
    check_eq(pipe2(fds, O_CLOEXEC), 0);
    become(0, fds[0]);
    check_eq(write(fds[1], "piped", 5), 5);
    check_eq(ouro_stdin(NULL, &in), 0);
    check_eq(ouro_await(ouro_stream_read(in, buf, sizeof(buf))), 5);
    ouro_future *f = ouro_stream_read(in, buf, sizeof(buf));
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(5))), -ETIMEDOUT);
    check_eq(fcntl(0, F_GETFL) & O_NONBLOCK, 0);
    ouro_stream_free(in);
    unbecome(0);
    close(fds[0]);
    close(fds[1]);
    return 0;
}

KernelTest(stdio, a_terminal_is_read_by_lines_and_a_read_of_it_can_be_cancelled)
{
    int controller, terminal;
    char line[16];
    ouro_stream *in, *to;
    check_eq(openpty(&controller, &terminal, NULL, NULL, NULL), 0);
    become(0, terminal);
    check_eq(ouro_stdin(NULL, &in), 0);
    ouro_future *f = ouro_stream_read_line(in, line, sizeof(line));
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(20))), -ETIMEDOUT);
    f = ouro_stream_read_line(in, line, sizeof(line));
    check_eq(write(controller, "typed\n", 6), 6);
    check_eq(ouro_await(f), 6);
    check_text(line, "typed\n");
    check_eq(fcntl(terminal, F_GETFL) & O_NONBLOCK, 0);
    ouro_stream_free(in);
    unbecome(0);
    become(1, terminal);
    check_eq(ouro_stdout(NULL, &to), 0);
    check_eq(ouro_await(ouro_stream_write(to, "shown", 5)), 5);
    ouro_stream_free(to);
    unbecome(1);
    close(terminal);
    close(controller);
    return 0;
}

KernelTest(stdio, what_is_not_there_or_not_bytes_is_refused)
{
    ouro_stream *s;
    int directory = open("/tmp", O_RDONLY | O_CLOEXEC);
    become(0, directory);
    check_eq(ouro_stdin(NULL, &s), -EOPNOTSUPP);
    check_eq(ouro_stdin(NULL, NULL), -EINVAL);
    close(0);
    check_eq(ouro_stdin(NULL, &s), -EBADF);
    unbecome(0);
    close(directory);
    int file = text_file("x");
    check_eq(ouro_stream_new(file, NULL, &s), -EOPNOTSUPP);
    close(file);
    return 0;
}
