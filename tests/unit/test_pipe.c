/* SPDX-License-Identifier: MIT */
/*
 * Pipes and pairs of sockets as streams.
 */
#define _GNU_SOURCE
#include "send_test.h"

#include "other.h"

#include <fcntl.h>
#include <ouro/pipe.h>
#include <signal.h>
#include <sys/resource.h>

TestSuite(pipe, .timeout = 60);

#define MUCH ((size_t)64 << 20)

static int64_t read_to_the_end(void *arg)
{
    ouro_stream *s = arg;
    static char buf[65536], want[65536]; /* too much for the stack of a task */
    int64_t n, all = 0;
    while ((n = ouro_await(ouro_stream_read(s, buf, sizeof(buf)))) > 0) {
        fill(want, (size_t)n, (size_t)all);
        check_eq(memcmp(buf, want, (size_t)n), 0);
        all += n;
    }
    check_eq(n, 0);
    return all;
}

static void carry(ouro_stream *from, ouro_stream *to, size_t size)
{
    char *bytes = pattern(size);
    ouro_future *reader = ouro_spawn(read_to_the_end, to);
    size_t sent = 0;
    while (sent < size) {
        size_t some = 1 + sent * 31 % 300000;
        if (some > size - sent)
            some = size - sent;
        check_eq(ouro_await(ouro_stream_write(from, bytes + sent, some)), some);
        sent += some;
    }
    check_eq(ouro_await(ouro_stream_shutdown(from, SHUT_WR)), 0);
    check_eq(ouro_await(reader), size);
    free(bytes);
}

KernelTest(pipe, what_goes_in_comes_out_until_the_end)
{
    ouro_stream *in, *to;
    check_eq(ouro_pipe(NULL, &in, &to), 0);
    carry(to, in, MUCH / 16);
    check_eq(ouro_await(ouro_stream_shutdown(to, SHUT_WR)), 0);
    check_eq(ouro_await(ouro_stream_write(to, "x", 1)), -EBADF);
    ouro_stream_free(in);
    ouro_stream_free(to);
    return 0;
}

KernelTest(pipe, sixty_four_mebibytes_pass_a_pair_of_sockets)
{
    ouro_stream *a, *b;
    check_eq(ouro_socketpair(NULL, &a, &b), 0);
    carry(a, b, MUCH);
    check_eq(ouro_await(ouro_stream_write(b, "back", 4)), 4);
    char back[4];
    check_eq(ouro_await(ouro_stream_read_exact(a, back, 4)), 4);
    ouro_stream_free(a);
    ouro_stream_free(b);
    return 0;
}

static bool sigpipe_is_blocked(void)
{
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, SIGPIPE);
}

KernelTest(pipe, without_a_reader_a_write_is_epipe_and_kills_nobody)
{
    ouro_stream *in, *to;
    check_eq(ouro_pipe(NULL, &in, &to), 0);
    check_eq(ouro_await(ouro_stream_close(in)), 0);
    check(!sigpipe_is_blocked());
    check_eq(ouro_await(ouro_stream_write(to, "x", 1)), -EPIPE);
    check(sigpipe_is_blocked());
    check_eq(ouro_await(ouro_stream_close(to)), 0);
    check(!sigpipe_is_blocked());
    ouro_stream_free(in);
    ouro_stream_free(to);
    return 0;
}

KernelTest(pipe, a_reader_that_leaves_ends_the_write)
{
    ouro_stream *in, *to;
    char *bytes = pattern(1 << 20);
    check_eq(ouro_pipe(NULL, &in, &to), 0);
    ouro_future *f = ouro_stream_write(to, bytes, 1 << 20);
    ouro_await(ouro_sleep(OURO_MS(5)));
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(ouro_await(ouro_stream_close(in)), 0);
    check_eq(ouro_await(f), -EPIPE);
    check_eq(ouro_stream_written(to), 65536);
    ouro_stream_free(in);
    ouro_stream_free(to);
    free(bytes);
    return 0;
}

KernelTest(pipe, non_blocking_mode_does_not_matter)
{
    ouro_stream *in, *to;
    char *bytes = pattern(1 << 20);
    check_eq(ouro_pipe(NULL, &in, &to), 0);
    fcntl(ouro_stream_fd(to), F_SETFL, O_NONBLOCK);
    fcntl(ouro_stream_fd(in), F_SETFL, O_NONBLOCK);
    ouro_future *never = ouro_stream_write(to, bytes, 1 << 20);
    ouro_await(ouro_sleep(OURO_MS(5)));
    check_eq(ouro_future_state(never), OURO_PENDING);
    ouro_cancel(never);
    check_eq(ouro_join(never), -OURO_ECHILDCANCELLED);
    ouro_unref(never);
    check_eq(ouro_stream_written(to), 65536);
    ouro_stream_free(in);
    ouro_stream_free(to);
    check_eq(ouro_pipe(NULL, &in, &to), 0);
    fcntl(ouro_stream_fd(to), F_SETFL, O_NONBLOCK);
    fcntl(ouro_stream_fd(in), F_SETFL, O_NONBLOCK);
    carry(to, in, 1 << 20);
    ouro_stream_free(in);
    ouro_stream_free(to);
    free(bytes);
    return 0;
}

KernelTest(pipe, a_cancelled_write_says_what_went_in)
{
    ouro_stream *in, *to;
    char *bytes = pattern(1 << 20), *got = malloc(1 << 20);
    check_eq(ouro_pipe(NULL, &in, &to), 0);
    ouro_future *f = ouro_stream_write(to, bytes, 1 << 20);
    ouro_await(ouro_sleep(OURO_MS(5)));
    ouro_cancel(f);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    ouro_unref(f);
    int64_t written = ouro_stream_written(to);
    ouro_stream_free(to);
    int64_t n, all = 0;
    while ((n = ouro_await(ouro_stream_read(in, got + all, (size_t)((1 << 20) - all)))) > 0)
        all += n;
    check_eq(all, written);
    ouro_stream_free(in);
    free(bytes);
    free(got);
    return 0;
}

KernelTest(pipe, each_end_goes_one_way)
{
    ouro_stream *in, *to;
    char byte;
    check_eq(ouro_pipe(NULL, &in, &to), 0);
    check_eq(ouro_await(ouro_stream_write(in, "x", 1)), -EBADF);
    check_eq(ouro_await(ouro_stream_read(to, &byte, 1)), -EBADF);
    ouro_stream_free(in);
    ouro_stream_free(to);
    return 0;
}

KernelTest(pipe, what_cannot_be_made_leaves_nothing)
{
    ouro_stream *a, *b;
    check_eq(ouro_pipe(NULL, NULL, &b), -EINVAL);
    check_eq(ouro_socketpair(NULL, &a, NULL), -EINVAL);
    const ouro_stream_options wrong = {.low_water = 2, .high_water = 1};
    check_eq(ouro_pipe(&wrong, &a, &b), -EINVAL);
    check_eq(ouro_socketpair(&wrong, &a, &b), -EINVAL);
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max});
    check_eq(ouro_pipe(NULL, &a, &b), -EMFILE);
    check_eq(ouro_socketpair(NULL, &a, &b), -EMFILE);
    setrlimit(RLIMIT_NOFILE, &before);
    return 0;
}

Test(pipe, needs_a_loop)
{
    ouro_stream *a, *b;
    check_eq(ouro_pipe(NULL, &a, &b), -EPERM);
    check_eq(ouro_stdin(NULL, &a), -EPERM);
}
