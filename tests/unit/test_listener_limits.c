/* SPDX-License-Identifier: MIT */
/*
 * Listeners when there is too little: of descriptors, of memory, of what the kernel usually gives.
 */
#define _GNU_SOURCE
#include "server_test.h"

#include "other.h"

#include <linux/io_uring.h>
#include <sys/resource.h>

TestSuite(listener, .timeout = 60);

/* ---- Out of descriptors ---------------------------------------------------------------------- */

enum { FD_ROOM = 256 };

/* Before anything is submitted: the kernel looks at the limit then. */
static void limit_fds(void)
{
    struct rlimit limit;
    check_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = FD_ROOM;
    check_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Take every descriptor there is; gives how many. */
static int take_all_fds(int fds[FD_ROOM])
{
    int n = 0;
    while (n < FD_ROOM && (fds[n] = dup(0)) >= 0)
        n++;
    check_eq(errno, EMFILE);
    return n;
}

KernelTest(listener, without_descriptors_it_pauses_and_goes_on)
{
    int fds[FD_ROOM];
    limit_fds();
    ouro_listener *l = listen_here();
    ouro_future *f = ouro_listener_accept(l);
    int client = dial(l);
    int n = take_all_fds(fds);
    uint64_t turns_before = stats().turns;
    nap(OURO_MS(100));
    check_eq(ouro_future_state(f), OURO_PENDING);
    check(stats().turns - turns_before < 40); /* it does not spin */
    check(listener_stats(l).paused);
    check(listener_stats(l).pauses >= 2);
    const struct kept_report *r = first_report(OURO_REPORT_OVERLOAD);
    check(r != NULL);
    check_eq(r->error, -EMFILE);
    check_text(r->what, "listener");
    check_eq(take_reports(OURO_REPORT_OVERLOAD), 1);
    while (n > 0)
        close(fds[--n]);
    ouro_stream *s = take_stream(ouro_timeout(f, OURO_SEC(5)));
    check(are_connected(s, client));
    check(!listener_stats(l).paused);
    ouro_stream_free(s);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_stream_that_is_closed_ends_the_pause)
{
    int fds[FD_ROOM];
    limit_fds();
    ouro_listener *l = listen_here();
    int first = dial(l);
    ouro_stream *s = accept_now(l);
    int second = dial(l);
    int n = take_all_fds(fds);
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(700)); /* the next try is far away: after 10, 30, 70, 150, 310, 630, 1270 ms */
    check_eq(ouro_future_state(f), OURO_PENDING);
    ouro_ns began = ouro_now();
    ouro_stream_free(s);
    s = take_stream(ouro_timeout(f, OURO_SEC(5)));
    check(ouro_now() - began < OURO_MS(400));
    check(are_connected(s, second));
    ouro_stream_free(s);
    while (n > 0)
        close(fds[--n]);
    close(first);
    close(second);
    take_reports(OURO_REPORT_OVERLOAD);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, closed_or_freed_while_it_pauses_it_leaves_nothing)
{
    int fds[FD_ROOM];
    limit_fds();
    ouro_listener *l = listen_here(), *m = listen_here();
    ouro_future *f = ouro_listener_accept(l), *g = ouro_listener_accept(m);
    int to_l = dial(l), to_m = dial(m);
    int n = take_all_fds(fds);
    nap(OURO_MS(20));
    check(listener_stats(l).paused);
    check(listener_stats(m).paused);
    check_eq(ouro_await(ouro_listener_close(l)), 0);
    check_eq(ouro_await(f), -EBADF);
    ouro_listener_free(m);
    check_eq(ouro_await(g), -EBADF);
    while (n > 0)
        close(fds[--n]);
    close(to_l);
    close(to_m);
    take_reports(OURO_REPORT_OVERLOAD);
    ouro_listener_free(l);
    return 0;
}

/* ---- What a kernel seldom says --------------------------------------------------------------- */

/* A listener in a loop on the fake driver, whose descriptor is real and closed by the test. */
static ouro_listener *begin_scripted(int *ret_fd)
{
    begin_fake();
    ouro_listener *l = listen_here();
    *ret_fd = ouro_listener_fd(l);
    return l;
}

static void end_scripted(ouro_listener *l, int fd)
{
    ouro_listener_free(l);
    turn();
    check_eq(the_fake()->closed[fd], 1);
    close(fd);
    end();
}

static void answer(int32_t res, uint32_t flags)
{
    fake_finish(the_fake(), IORING_OP_ACCEPT, res, flags);
    turns(2);
}

Test(listener, connections_that_broke_off_are_skipped)
{
    static const int errors[] = {ECONNABORTED, EPROTO, EHOSTUNREACH, ENETDOWN, EPERM, EAGAIN};
    int fd;
    ouro_listener *l = begin_scripted(&fd);
    ouro_future *f = ouro_listener_accept(l);
    turn();
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        answer(-errors[i], 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(listener_stats(l).skipped, 6);
    check_eq(listener_stats(l).pauses, 0);
    answer(900, IORING_CQE_F_MORE);
    check_eq(ouro_future_state(f), OURO_VALUE);
    ouro_stream_free(ouro_future_take(f).ptr);
    check_eq(the_fake()->closed[900], 1);
    ouro_unref(f);
    end_scripted(l, fd);
}

Test(listener, nothing_but_broken_connections_does_not_make_it_spin)
{
    int fd;
    ouro_listener *l = begin_scripted(&fd);
    ouro_future *f = ouro_listener_accept(l);
    turn();
    for (int i = 0; i < 64; i++)
        answer(-EPERM, 0);
    check(listener_stats(l).paused);
    check_eq(fake_count(the_fake(), IORING_OP_ACCEPT), 0);
    check_eq(take_reports(OURO_REPORT_OVERLOAD), 1);
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    end_scripted(l, fd);
}

Test(listener, pauses_grow_to_a_second_and_begin_anew_after_a_connection)
{
    int fd;
    ouro_listener *l = begin_scripted(&fd);
    ouro_future *f = ouro_listener_accept(l);
    ouro_ns pause = OURO_MS(10);
    turn();
    for (int i = 0; i < 10; i++) {
        answer(-ENFILE, 0);
        fake_advance(the_fake(), pause - 1);
        turns(2);
        check_eq(fake_count(the_fake(), IORING_OP_ACCEPT), 0);
        fake_advance(the_fake(), 1);
        turns(3);
        check_eq(fake_count(the_fake(), IORING_OP_ACCEPT), 1);
        pause = pause * 2 < OURO_SEC(1) ? pause * 2 : OURO_SEC(1);
    }
    check_eq(take_reports(OURO_REPORT_OVERLOAD), 1);
    answer(900, 0);
    ouro_stream_free(ouro_future_take(f).ptr);
    ouro_unref(f);
    f = ouro_listener_accept(l);
    turn();
    answer(-ENOBUFS, 0);
    fake_advance(the_fake(), OURO_MS(10));
    turns(3);
    check_eq(fake_count(the_fake(), IORING_OP_ACCEPT), 1);
    check_eq(take_reports(OURO_REPORT_OVERLOAD), 0);
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    end_scripted(l, fd);
}

Test(listener, a_kernel_without_multishot_accept_accepts_one_by_one)
{
    int fd;
    ouro_listener *l = begin_scripted(&fd);
    ouro_future *f = ouro_listener_accept(l), *g = ouro_listener_accept(l);
    turn();
    check_eq(fake_find(the_fake(), IORING_OP_ACCEPT)->ioprio, IORING_ACCEPT_MULTISHOT);
    answer(-EINVAL, 0);
    check_eq(fake_find(the_fake(), IORING_OP_ACCEPT)->ioprio, 0);
    answer(900, 0);
    answer(901, 0);
    ouro_stream_free(ouro_future_take(f).ptr);
    ouro_stream_free(ouro_future_take(g).ptr);
    check_eq(the_fake()->closed[900], 1);
    check_eq(the_fake()->closed[901], 1);
    ouro_unref(f);
    ouro_unref(g);
    end_scripted(l, fd);
}

Test(listener, connections_that_come_while_it_is_closed_are_closed)
{
    int fd;
    ouro_listener *l = begin_scripted(&fd);
    ouro_future *f = ouro_listener_accept(l);
    turn();
    the_fake()->on_cancel = FAKE_CANCEL_BUSY;
    ouro_future *closing = ouro_listener_close(l);
    turns(2);
    check_eq(ouro_future_result(f).n, -EBADF);
    answer(900, IORING_CQE_F_MORE);
    check_eq(the_fake()->closed[900], 1);
    check_eq(the_fake()->closed[fd], 0);
    check_eq(ouro_future_state(closing), OURO_PENDING);
    answer(901, 0);
    check_eq(the_fake()->closed[901], 1);
    check_eq(ouro_future_state(closing), OURO_VALUE);
    ouro_unref(f);
    ouro_unref(closing);
    end_scripted(l, fd);
}

Test(listener, an_error_that_stays_is_told_to_all_who_wait)
{
    int fd;
    ouro_listener *l = begin_scripted(&fd);
    ouro_future *f = ouro_listener_accept(l), *g = ouro_listener_accept(l);
    turn();
    answer(-EOPNOTSUPP, 0);
    check_eq(ouro_future_result(f).n, -EOPNOTSUPP);
    check_eq(ouro_future_result(g).n, -EOPNOTSUPP);
    check_eq(fake_count(the_fake(), IORING_OP_ACCEPT), 0);
    ouro_unref(f);
    ouro_unref(g);
    end_scripted(l, fd);
}

/* ---- No memory ------------------------------------------------------------------------------- */

Test(listener, without_memory_a_connection_waits_for_the_next_who_asks)
{
    ration_memory();
    grants = -1;
    begin_kernel();
    ouro_listener *l = listen_here();
    int64_t n = -1;
    int client = dial(l);
    for (int i = 0; n != 0; i++) { /* for ever more memory, until it is enough */
        check(i < 100);
        ouro_future *f = ouro_listener_accept(l);
        grants = i;
        while (ouro_future_state(f) == OURO_PENDING)
            turn();
        grants = -1;
        n = ouro_future_result(f).n;
        check(n == 0 || n == -ENOMEM);
        if (n == 0)
            ouro_stream_free(ouro_future_take(f).ptr);
        ouro_unref(f);
    }
    check_eq(listener_stats(l).accepted, 1);
    check_eq(listener_stats(l).dropped, 0);
    close(client);
    ouro_listener_free(l);
    end();
}

Test(listener, without_memory_there_is_no_listener_and_no_descriptor_is_left)
{
    ration_memory();
    grants = -1;
    begin_kernel();
    unlink("test_listener_memory.sock");
    unsigned before = open_fds();
    ouro_listener *l = NULL;
    int rc = -1;
    for (int i = 0; rc < 0; i++) {
        check(i < 100);
        grants = i;
        rc = ouro_listen("unix:test_listener_memory.sock", NULL, &l);
        grants = -1;
        check(rc == 0 || rc == -ENOMEM);
        if (rc < 0) {
            check_eq(open_fds(), before);
            check(access("test_listener_memory.sock", F_OK) < 0);
        }
    }
    ouro_listener_free(l);
    end();
}
