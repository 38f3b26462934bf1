/* SPDX-License-Identifier: MIT */
/*
 * How a stream ends, and how its reads do: by the peer, by a cancel at any time, by a close from
 * elsewhere, by a loop that goes away.
 */
#define _GNU_SOURCE
#include "stream_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <termios.h>

TestSuite(stream_ends, .timeout = 20);

/* ---- The peer -------------------------------------------------------------------------------- */

KernelTest(stream_ends, at_the_end_every_read_says_so_again_and_again)
{
    int peer;
    char buf[8];
    const void *bytes;
    ouro_stream *s = pair(&peer);
    close(peer);
    for (int i = 0; i < 2; i++) {
        check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 0);
        check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), 0);
        check_eq(ouro_await(ouro_stream_next(s, &bytes)), 0);
        check_eq(ouro_await(ouro_stream_peek(s, buf, 1)), 0);
        check_eq(ouro_await(ouro_stream_read_exact(s, buf, 1)), -ENODATA);
        check_eq(ouro_await(ouro_stream_read_until(s, buf, 8, "x", 1)), -ENODATA);
    }
    ouro_stream_free(s);
    return 0;
}

KernelTest(stream_ends, exact_inside_which_the_stream_ends_leaves_what_came)
{
    int peer;
    char buf[8] = "";
    ouro_stream *s = pair(&peer);
    say(peer, "abc");
    close(peer);
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 6)), -ENODATA);
    check_eq(ouro_stream_got(s), 0);
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 3)), 3);
    check_text(buf, "abc");
    ouro_stream_free(s);
    return 0;
}

KernelTest(stream_ends, a_reset_is_told_by_every_read)
{
    int peer;
    char buf[8];
    const void *bytes;
    ouro_stream *s = tcp_pair(&peer);
    ouro_future *f = ouro_stream_read(s, buf, sizeof buf);
    settle_down();
    reset(peer);
    check_eq(ouro_await(f), -ECONNRESET);
    check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), -ECONNRESET);
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 1)), -ECONNRESET);
    check_eq(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)), -ECONNRESET);
    check_eq(ouro_await(ouro_stream_read_until(s, buf, 8, "x", 1)), -ECONNRESET);
    check_eq(ouro_await(ouro_stream_next(s, &bytes)), -ECONNRESET);
    check_eq(ouro_await(ouro_stream_peek(s, buf, 1)), -ECONNRESET);
    ouro_stream_free(s);
    return 0;
}

KernelTest(stream_ends, what_came_before_a_reset_is_read_before_it)
{
    int peer;
    char buf[8] = "";
    ouro_stream *s = tcp_pair(&peer);
    say(peer, "1234");
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 1)), 1);
    settle_down();
    reset(peer);
    settle_down();
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, 4)), -ECONNRESET);
    check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), 3);
    check_eq(memcmp(buf, "234", 3), 0);
    check_eq(ouro_await(ouro_stream_read(s, buf, sizeof buf)), -ECONNRESET);
    ouro_stream_free(s);
    return 0;
}

KernelTest(stream_ends, a_silent_peer_is_waited_for_as_long_as_one_likes)
{
    int peer;
    char buf[8];
    ouro_stream *s = tcp_pair(&peer);
    check_eq(ouro_await(ouro_timeout(ouro_stream_read(s, buf, 8), OURO_MS(5))), -ETIMEDOUT);
    check_eq(ouro_await(ouro_timeout(ouro_stream_read_exact(s, buf, 8), OURO_MS(5))), -ETIMEDOUT);
    say(peer, "now");
    check_eq(ouro_await(ouro_stream_read(s, buf, 8)), 3);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- Cancels --------------------------------------------------------------------------------- */

static ouro_future *read_some(ouro_stream *s, char *buf)
{
    return ouro_stream_read(s, buf, 8);
}

static ouro_future *read_much(ouro_stream *s, char *buf)
{
    return ouro_stream_read_exact(s, buf, 100000);
}

/* A cancel at every time there is, of a read into the queue or into the reader's buffer. */
static void cancel_at_any_time(ouro_future *(*begin)(ouro_stream *s, char *buf), bool ahead)
{
    static char buf[100000];
    const ouro_stream_options opts = {.no_read_ahead = !ahead};
    int peer;
    ouro_stream *s = pair_with(&peer, &opts);
    ouro_future *f = begin(s, buf); /* not submitted yet */
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    f = begin(s, buf); /* in flight */
    settle_down();
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    f = begin(s, buf); /* its bytes are on the way */
    settle_down();
    say(peer, "first");
    check_eq(ouro_cancel(f), 1);
    int64_t n = ouro_join(f);
    ouro_unref(f);
    check(n == 5 || n == -OURO_ECHILDCANCELLED);
    say(peer, "then");
    size_t left = n == 5 || ouro_stream_got(s) == 5 ? 4 : 9;
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, left)), left);
    check_eq(memcmp(buf, &"firstthen"[9 - left], left), 0);
    say(peer, "settled");
    f = ouro_stream_read(s, buf, 7);
    check_eq(ouro_join(f), 7);
    check_eq(ouro_cancel(f), 0); /* over */
    ouro_unref(f);
    ouro_stream_free(s);
    close(peer);
}

KernelTest(stream_ends, a_read_can_be_cancelled_at_any_time)
{
    cancel_at_any_time(read_some, true);
    return 0;
}

KernelTest(stream_ends, so_can_one_into_the_readers_buffer)
{
    cancel_at_any_time(read_some, false);
    return 0;
}

KernelTest(stream_ends, so_can_one_of_more_than_the_stream_may_hold)
{
    cancel_at_any_time(read_much, true);
    return 0;
}

KernelTest(stream_ends, a_second_reader_is_refused_while_the_first_waits)
{
    int peer;
    char buf[8];
    const void *bytes;
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_read(s, buf, 8);
    check_eq(ouro_await(ouro_stream_read(s, buf, 8)), -EBUSY);
    check_eq(ouro_await(ouro_stream_next(s, &bytes)), -EBUSY);
    check_eq(ouro_await(ouro_stream_peek(s, buf, 1)), -EBUSY);
    say(peer, "x");
    check_eq(ouro_await(f), 1);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- Close ----------------------------------------------------------------------------------- */

static int64_t close_it(void *arg)
{
    return ouro_await(ouro_stream_close(arg));
}

KernelTest(stream_ends, a_read_ends_when_another_task_closes)
{
    static char buf[100000];
    for (int i = 0; i < 3; i++) {
        int peer;
        ouro_stream *s = pair(&peer);
        ouro_future *f = i ? read_much(s, buf) : read_some(s, buf);
        if (i < 2)
            settle_down();
        ouro_future *closer = ouro_spawn(close_it, s);
        check_eq(ouro_await(f), -EBADF);
        check_eq(ouro_await(closer), 0);
        check_eq(recv(peer, buf, 1, 0), 0);
        check_eq(ouro_await(ouro_stream_read(s, buf, 1)), -EBADF);
        check_eq(ouro_await(ouro_stream_close(s)), 0);
        check_eq(ouro_stream_fd(s), -EBADF);
        ouro_stream_free(s);
        close(peer);
    }
    return 0;
}

KernelTest(stream_ends, free_closes_and_gives_all_buffers_back)
{
    int peer;
    char buf[8];
    ouro_stream *s = pair(&peer);
    say(peer, "unread");
    check_eq(ouro_await(ouro_stream_read(s, buf, 1)), 1);
    check_eq(buffers().held, 1);
    check_eq(stream_stats(s).unread, 5);
    ouro_stream_free(s);
    settle_down();
    check_eq(buffers().held, 0);
    check_eq(recv(peer, buf, 1, 0), 0);
    close(peer);
    return 0;
}

KernelTest(stream_ends, free_ends_a_read_that_waits)
{
    int peer;
    char buf[8];
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_read(s, buf, 1);
    settle_down();
    ouro_stream_free(s);
    check_eq(ouro_await(f), -EBADF);
    close(peer);
    return 0;
}

KernelTest(stream_ends, abort_resets)
{
    int peer;
    char c;
    ouro_stream *s = tcp_pair(&peer);
    check_eq(ouro_stream_abort(s), 0);
    check_eq(ouro_await(ouro_stream_close(s)), 0);
    check_eq(recv(peer, &c, 1, 0), -1);
    check_eq(errno, ECONNRESET);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- The descriptor -------------------------------------------------------------------------- */

KernelTest(stream_ends, the_descriptor_can_be_taken_out)
{
    int peer;
    char buf[8];
    ouro_stream *s = pair(&peer);
    int fd = (int)ouro_await(ouro_stream_take_fd(s));
    check(fd >= 0);
    check_eq(ouro_stream_fd(s), -EBADF);
    check_eq(ouro_await(ouro_stream_read(s, buf, 1)), -EBADF);
    say(peer, "x");
    check_eq(recv(fd, buf, 8, 0), 1);
    ouro_stream_free(s);
    close(fd);
    close(peer);
    return 0;
}

KernelTest(stream_ends, the_descriptor_can_be_taken_from_under_an_idle_receive)
{
    int peer;
    char buf[8];
    ouro_stream *s = pair(&peer);
    say(peer, "x");
    check_eq(ouro_await(ouro_stream_read(s, buf, 8)), 1);
    int fd = (int)ouro_await(ouro_stream_take_fd(s));
    check(fd >= 0);
    say(peer, "yz");
    check_eq(recv(fd, buf, 8, 0), 2);
    ouro_stream_free(s);
    close(fd);
    close(peer);
    return 0;
}

KernelTest(stream_ends, the_descriptor_stays_while_something_is_unread_or_pending)
{
    int peer;
    char buf[8];
    ouro_stream *s = pair(&peer);
    ouro_future *f = ouro_stream_read(s, buf, 8);
    check_eq(ouro_await(ouro_stream_take_fd(s)), -EBUSY);
    say(peer, "xy");
    check_eq(ouro_await(f), 2);
    say(peer, "xyz");
    check_eq(ouro_await(ouro_stream_read(s, buf, 1)), 1); /* and receives the rest */
    check_eq(ouro_await(ouro_stream_take_fd(s)), -EBUSY);
    check_eq(ouro_await(ouro_stream_read(s, buf, 8)), 2);
    ouro_future *taken = ouro_stream_take_fd(s);
    f = ouro_stream_read(s, buf, 8);
    check_eq(ouro_await(taken), -EBUSY);
    say(peer, "z");
    check_eq(ouro_await(f), 1);
    ouro_unref(ouro_stream_take_fd(s)); /* nobody takes it: closed */
    settle_down();
    check_eq(recv(peer, buf, 1, 0), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- Bad input ------------------------------------------------------------------------------- */

KernelTest(stream_ends, what_is_no_stream_is_refused)
{
    ouro_stream *s = NULL;
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int dir = open("/", O_RDONLY | O_CLOEXEC);
    check_eq(listen(listener, 1), 0);
    check_eq(ouro_stream_new(udp, NULL, &s), -EOPNOTSUPP);
    check_eq(ouro_stream_new(listener, NULL, &s), -EOPNOTSUPP);
    check_eq(ouro_stream_new(dir, NULL, &s), -EOPNOTSUPP);
    check_eq(ouro_stream_new(-1, NULL, &s), -EBADF);
    check_eq(ouro_stream_new(udp, NULL, NULL), -EINVAL);
    check(s == NULL);
    close(udp);
    close(listener);
    close(dir);
    return 0;
}

KernelTest(stream_ends, bad_arguments_have_clear_codes)
{
    int peer;
    char buf[8];
    ouro_stream *s = pair(&peer);
    check_eq(ouro_await(ouro_stream_read(NULL, buf, 8)), -EINVAL);
    check_eq(ouro_await(ouro_stream_read(s, NULL, 8)), -EINVAL);
    check_eq(ouro_await(ouro_stream_read(s, buf, SIZE_MAX)), -EINVAL);
    check_eq(ouro_await(ouro_stream_read_exact(s, buf, SIZE_MAX)), -EINVAL);
    check_eq(ouro_await(ouro_stream_read_until(s, buf, 8, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_read_until(s, buf, 8, "x", 0)), -EINVAL);
    check_eq(ouro_await(ouro_stream_read_until(s, buf, 8, "123456789", 9)), -EINVAL);
    check_eq(ouro_await(ouro_stream_read_line(s, buf, 1)), -EINVAL);
    check_eq(ouro_await(ouro_stream_next(s, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_stream_take_fd(NULL)), -EINVAL);
    check_eq(ouro_stream_got(NULL), -EINVAL);
    check_eq(ouro_stream_stats_get(s, NULL), -EINVAL);
    check(ouro_stream_free(NULL) == NULL);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

static void *read_elsewhere(void *arg)
{
    char c;
    ouro_future *f = ouro_stream_read(arg, &c, 1);
    check_eq(ouro_future_result(f).n, -EXDEV);
    return NULL;
}

KernelTest(stream_ends, another_thread_is_told_off)
{
    int peer;
    pthread_t thread;
    ouro_stream *s = pair(&peer);
    check_eq(pthread_create(&thread, NULL, read_elsewhere, s), 0);
    check_eq(pthread_join(thread, NULL), 0);
    ouro_stream_free(s);
    close(peer);
    return 0;
}

/* ---- The loop -------------------------------------------------------------------------------- */

static int64_t leave_one_open(void *arg)
{
    int peer;
    char c;
    ouro_stream *s = pair(&peer);
    say(peer, "xy");
    check_eq(ouro_await(ouro_stream_read(s, &c, 1)), 1);
    close(peer);
    *(ouro_stream **)arg = s;
    return 0;
}

Test(stream_ends, an_idle_receive_does_not_keep_the_loop_running)
{
    ouro_stream *s;
    begin_kernel();
    check_eq(run_main(leave_one_open, &s), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    ouro_stream_free(s);
    end();
}

Test(stream_ends, a_stream_may_outlive_its_loop)
{
    ouro_stream *s;
    begin_kernel();
    check_eq(run_main(leave_one_open, &s), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(ouro_stream_fd(s), -EBADF);
    ouro_stream_free(s);
    end_closed();
}

static int64_t wait_for_ever(void *arg)
{
    int peer;
    static char buf[100000];
    ouro_stream **s = arg;
    s[0] = pair(&peer);
    ouro_detach(ouro_stream_read(s[0], buf, 8));
    s[1] = pair(&peer);
    ouro_detach(ouro_stream_read_exact(s[1], buf, sizeof buf));
    settle_down();
    return 0;
}

Test(stream_ends, a_shutdown_ends_reads_that_wait)
{
    ouro_stream *s[2];
    begin_kernel();
    check_eq(run_main(wait_for_ever, s), 0);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_stream_free(s[0]);
    ouro_stream_free(s[1]);
}

static ouro_stream *inherited;

static int use_inherited(void)
{
    char c;
    ouro_future *f = ouro_stream_read(inherited, &c, 1);
    child_check(ouro_future_result(f).n == -ECHILD);
    ouro_loop_close(ouro_loop_current());
    ouro_stream_free(inherited);
    return 0;
}

KernelTest(stream_ends, the_child_of_a_fork_can_only_drop_it)
{
    int peer;
    char c;
    inherited = pair(&peer);
    say(peer, "xyz");
    check_eq(ouro_await(ouro_stream_read(inherited, &c, 1)), 1);
    check_child(use_inherited, NULL, 0);
    check_eq(ouro_await(ouro_stream_read(inherited, &c, 1)), 1);
    say(peer, "!");
    check_eq(ouro_await(ouro_stream_read(inherited, &c, 1)), 1);
    check_eq(ouro_await(ouro_stream_read(inherited, &c, 1)), 1);
    check_eq(c, '!');
    ouro_stream_free(inherited);
    close(peer);
    return 0;
}

/* A raw terminal, which the ring reads. */
static ouro_stream *terminal(int *ret_master)
{
    struct termios raw;
    ouro_stream *s = NULL;
    *ret_master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    check(*ret_master >= 0);
    check_eq(grantpt(*ret_master), 0);
    check_eq(unlockpt(*ret_master), 0);
    int fd = open(ptsname(*ret_master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    check(fd >= 0);
    check_eq(tcgetattr(fd, &raw), 0);
    cfmakeraw(&raw);
    check_eq(tcsetattr(fd, TCSANOW, &raw), 0);
    check_eq(ouro_stream_new(fd, NULL, &s), 0);
    return s;
}

static int close_the_loop(void)
{
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    ouro_stream_free(inherited);
    return 0;
}

Test(stream_ends, the_child_of_a_fork_can_drop_one_that_the_ring_reads)
{
    int master;
    char c;
    begin_kernel();
    inherited = terminal(&master);
    ouro_future *f = ouro_stream_read(inherited, &c, 1);
    turns(2);
    check_eq(buffers().held, 1);
    check_child(close_the_loop, NULL, 0);
    check_eq(write(master, "x", 1), 1);
    while (ouro_future_state(f) == OURO_PENDING)
        turn();
    check_eq(ouro_future_result(f).n, 1);
    ouro_unref(f);
    ouro_stream_free(inherited);
    close(master);
    end();
}

KernelTest(stream_ends, bytes_that_dribble_from_a_terminal_share_a_buffer)
{
    enum { N = 500 };
    int master;
    char line[N + 1];
    ouro_stream *s = terminal(&master);
    ouro_future *f = ouro_stream_read_line(s, line, sizeof line);
    for (int i = 0; i < N; i++) {
        check_eq(write(master, i == N - 1 ? "\n" : "x", 1), 1);
        ouro_await(ouro_sleep(OURO_US(200)));
        check(buffers().held <= 2);
    }
    check_eq(ouro_await(f), N);
    check_eq(line[0], 'x');
    check_eq(line[N - 1], '\n');
    ouro_stream_free(s);
    close(master);
    return 0;
}
