/* SPDX-License-Identifier: MIT */
/*
 * Listeners: who gets which connection, and that none is lost or leaked whatever is cancelled,
 * closed or refused.
 */
#define _GNU_SOURCE
#include "server_test.h"

#include "other.h"

#include <fcntl.h>

TestSuite(listener, .timeout = 60);

/* ---- Accepting ------------------------------------------------------------------------------- */

KernelTest(listener, an_accept_comes_to_the_stream_of_a_connection)
{
    ouro_listener *l = listen_here();
    ouro_future *f = ouro_listener_accept(l);
    check_eq(ouro_future_state(f), OURO_PENDING);
    int client = dial(l);
    ouro_stream *s = take_stream(f);
    check(are_connected(s, client));
    ouro_address local, bound = address_of(l);
    check_eq(ouro_stream_local(s, &local), 0);
    check_eq(ouro_address_compare(&local, &bound), 0);
    ouro_stream_free(s);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_connection_that_was_there_before_is_accepted)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    expect_stream(accept_now(l), client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, who_waits_is_served_in_order)
{
    enum { N = 20 };
    ouro_future *f[N];
    int client[N];
    ouro_listener *l = listen_here();
    for (int i = 0; i < N; i++)
        f[i] = ouro_listener_accept(l);
    check_eq(listener_stats(l).waiting, N);
    for (int i = 0; i < N; i++)
        client[i] = dial(l);
    for (int i = 0; i < N; i++) {
        expect_stream(take_stream(f[i]), client[i]);
    }
    check_eq(listener_stats(l).accepted, N);
    check_eq(listener_stats(l).waiting, 0);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_crowd_is_accepted_one_after_the_other)
{
    enum { N = 1000 };
    static int client[N];
    if (!may_open(2 * N + 100))
        cr_skip_test("no descriptors for %d connections", N);
    ouro_listener *l = listen_here();
    for (int i = 0; i < N; i++)
        client[i] = dial(l);
    for (int i = 0; i < N; i++) {
        expect_stream(accept_now(l), client[i]);
    }
    check_eq(listener_stats(l).accepted, N);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, small_writes_of_what_is_accepted_are_sent_at_once)
{
    for (int nagle = 0; nagle < 2; nagle++) {
        ouro_listener *l = listen_with("127.0.0.1:0",
                                       (ouro_listener_options){.socket.nagle = nagle});
        int client = dial(l);
        ouro_stream *s = accept_now(l);
        check_eq(ouro_sockopt_nodelay(ouro_stream_fd(s)), !nagle);
        ouro_stream_free(s);
        close(client);
        ouro_listener_free(l);
    }
    return 0;
}

KernelTest(listener, what_is_accepted_is_not_inherited_by_programs)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_stream *s = accept_now(l);
    check(fcntl(ouro_stream_fd(s), F_GETFD) & FD_CLOEXEC);
    check(fcntl(ouro_listener_fd(l), F_GETFD) & FD_CLOEXEC);
    ouro_stream_free(s);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_peer_that_has_broken_off_before_does_no_harm)
{
    const struct linger none = {.l_onoff = 1};
    ouro_address peer;
    ouro_listener *l = listen_here();
    int gone = dial(l);
    check_eq(setsockopt(gone, SOL_SOCKET, SO_LINGER, &none, sizeof none), 0);
    close(gone);
    int client = dial(l);
    ouro_stream *s = accept_now(l);
    if (ouro_stream_peer(s, &peer) == -ENOTCONN) { /* Linux hands it out all the same */
        ouro_stream_free(s);
        s = accept_now(l);
    }
    expect_stream(s, client);
    ouro_listener_free(l);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

KernelTest(listener, cancelled_before_it_was_submitted_it_takes_nothing)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_future *f = ouro_listener_accept(l);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    nap(OURO_MS(2));
    expect_stream(accept_now(l), client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, cancelled_in_flight_it_leaves_the_connection_for_the_next)
{
    ouro_listener *l = listen_here();
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(1));
    int client = dial(l); /* accepted as soon as the loop looks */
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    nap(OURO_MS(1));
    check_eq(listener_stats(l).ready + (size_t)listener_stats(l).accepted, 2);
    expect_stream(accept_now(l), client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, cancelled_after_its_completion_it_has_its_result)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(2));
    check_eq(ouro_cancel(f), 0);
    expect_stream(take_stream(f), client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, one_that_times_out_loses_nothing)
{
    ouro_listener *l = listen_here();
    check_eq(ouro_await(ouro_timeout(ouro_listener_accept(l), OURO_MS(2))), -ETIMEDOUT);
    int client = dial(l);
    expect_stream(take_stream(ouro_timeout(ouro_listener_accept(l), OURO_SEC(30))), client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, only_the_one_in_line_that_is_cancelled_leaves_it)
{
    ouro_future *f[3];
    ouro_listener *l = listen_here();
    for (int i = 0; i < 3; i++)
        f[i] = ouro_listener_accept(l);
    check_eq(ouro_cancel(f[1]), 1);
    int first = dial(l);
    int second = dial(l);
    ouro_stream *a = take_stream(f[0]);
    ouro_stream *b = take_stream(f[2]);
    check(are_connected(a, first));
    check(are_connected(b, second));
    check_eq(ouro_await(f[1]), -OURO_ECHILDCANCELLED);
    ouro_stream_free(a);
    ouro_stream_free(b);
    close(first);
    close(second);
    ouro_listener_free(l);
    return 0;
}

/* ---- Connections that nobody took ------------------------------------------------------------ */

KernelTest(listener, a_connection_that_nobody_took_goes_to_the_next_who_asks)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(2));
    check_eq(ouro_future_state(f), OURO_VALUE);
    ouro_unref(f);
    ouro_stream *s = accept_now(l);
    check(are_connected(s, client));
    check_eq(listener_stats(l).returned, 1);
    ouro_stream_free(s);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_connection_that_nobody_took_goes_to_who_waits)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_future *f = ouro_listener_accept(l);
    ouro_future *next = ouro_listener_accept(l);
    nap(OURO_MS(2));
    check_eq(ouro_future_state(f), OURO_VALUE);
    check_eq(ouro_future_state(next), OURO_PENDING);
    ouro_unref(f);
    expect_stream(take_stream(next), client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, it_comes_back_ahead_of_those_that_came_later)
{
    int client[3];
    ouro_listener *l = listen_here();
    for (int i = 0; i < 3; i++)
        client[i] = dial(l);
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(2));
    ouro_unref(f);
    check_eq(ouro_yield(), 0); /* the dead are buried at the end of a turn */
    for (int i = 0; i < 3; i++) {
        expect_stream(accept_now(l), client[i]);
    }
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, an_await_without_the_object_leaves_the_connection)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    check_eq(ouro_await(ouro_listener_accept(l)), 0);
    expect_stream(accept_now(l), client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, an_accept_that_loses_a_race_gives_its_connection_back)
{
    ouro_listener *a = listen_here(), *b = listen_here();
    int to_a = dial(a), to_b = dial(b);
    ouro_future *both[2] = {ouro_listener_accept(a), ouro_listener_accept(b)};
    nap(OURO_MS(2));
    ouro_future *all = ouro_gather(both, 2, OURO_GATHER_COLLECT, NULL);
    check_eq(ouro_await(all), 0); /* both have one, and neither was taken */
    ouro_stream *s = accept_now(a), *t = accept_now(b);
    check(are_connected(s, to_a));
    check(are_connected(t, to_b));
    ouro_stream_free(s);
    ouro_stream_free(t);
    close(to_a);
    close(to_b);
    ouro_listener_free(a);
    ouro_listener_free(b);
    return 0;
}

KernelTest(listener, one_that_comes_back_to_a_closed_listener_is_closed)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(2));
    check_eq(ouro_await(ouro_listener_close(l)), 0);
    check(!is_hung_up(client));
    ouro_unref(f);
    nap(OURO_MS(2));
    check(is_hung_up(client));
    check_eq(listener_stats(l).dropped, 1);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_thousand_times_ten_rounds_raced_with_a_cancel_leave_the_descriptors_alone)
{
    ouro_listener *l = listen_here();
    int before = open_fds();
    uint64_t served = 0, random = 7;
    for (int i = 0; i < 10000; i++) {
        ouro_future *f = ouro_listener_accept(l);
        unsigned steps = (unsigned)(fake_random(&random) % 4);
        int client = dial(l);
        for (unsigned k = 0; k < steps; k++)
            check_eq(ouro_yield(), 0);
        ouro_cancel(f);
        int64_t n;
        ouro_stream *s = ouro_await_ptr(f, &n);
        check_eq(n, s ? 0 : -OURO_ECHILDCANCELLED);
        served += s != NULL;
        if (!s)
            s = accept_now(l); /* it was left for us */
        expect_stream(s, client);
    }
    check(served > 0);
    check(served < 10000);
    check_eq(open_fds(), before);
    check_eq(listener_stats(l).accepted, 10000);
    check_eq(listener_stats(l).dropped, 0);
    ouro_listener_free(l);
    return 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

static int64_t close_it(void *l)
{
    return ouro_await(ouro_listener_close(l));
}

KernelTest(listener, closed_by_another_task_all_who_wait_are_told)
{
    ouro_future *f[3];
    ouro_listener *l = listen_here();
    for (int i = 0; i < 3; i++)
        f[i] = ouro_listener_accept(l);
    nap(OURO_MS(1));
    ouro_future *closer = ouro_spawn(close_it, l);
    for (int i = 0; i < 3; i++)
        check_eq(ouro_await(f[i]), -EBADF);
    check_eq(ouro_await(closer), 0);
    check_eq(ouro_await(ouro_listener_accept(l)), -EBADF);
    check_eq(ouro_listener_fd(l), -EBADF);
    ouro_address a;
    check_eq(ouro_listener_address(l, &a), -EBADF);
    check_eq(ouro_await(ouro_listener_close(l)), 0);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, connections_that_nobody_asked_for_are_closed_with_it)
{
    ouro_listener *l = listen_here();
    int client[3];
    ouro_future *f = ouro_listener_accept(l);
    for (int i = 0; i < 3; i++)
        client[i] = dial(l);
    ouro_stream *s = take_stream(f);
    check(listener_stats(l).ready <= 2);
    ouro_address a = address_of(l);
    check_eq(ouro_await(ouro_listener_close(l)), 0);
    check_eq(try_dial(&a), -ECONNREFUSED);
    check(!is_hung_up(client[0]));
    check(is_hung_up(client[1]));
    check(is_hung_up(client[2]));
    ouro_stream_free(s);
    for (int i = 0; i < 3; i++)
        close(client[i]);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, freed_while_somebody_waits_it_is_closed)
{
    ouro_listener *l = listen_here();
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(1));
    ouro_listener_free(l);
    check_eq(ouro_await(f), -EBADF);
    check(ouro_listener_free(NULL) == NULL);
    return 0;
}

KernelTest(listener, a_program_that_does_not_accept_leaves_connections_to_the_kernel)
{
    ouro_listener *l = listen_here();
    int client[4];
    client[0] = dial(l);
    ouro_stream *s = accept_now(l);
    nap(OURO_MS(1));
    client[1] = dial(l); /* the accept is armed still, and ends with this one */
    nap(OURO_MS(2));
    client[2] = dial(l);
    client[3] = dial(l);
    nap(OURO_MS(2));
    check_eq(listener_stats(l).ready, 1);
    check_eq(listener_stats(l).accepted, 2);
    ouro_stream_free(s);
    for (int i = 1; i < 4; i++) {
        s = accept_now(l);
        check(are_connected(s, client[i]));
        ouro_stream_free(s);
    }
    for (int i = 0; i < 4; i++)
        close(client[i]);
    ouro_listener_free(l);
    return 0;
}

Test(listener, an_idle_one_does_not_keep_its_loop_running)
{
    begin_kernel();
    ouro_listener *l = listen_here();
    ouro_future *f = ouro_listener_accept(l);
    turn();
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    ouro_listener_free(l);
    end();
}

Test(listener, a_loop_that_is_closed_closes_its_listeners)
{
    begin_kernel();
    ouro_listener *l = listen_here();
    ouro_address a = address_of(l);
    ouro_future *f = ouro_listener_accept(l);
    turn();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(try_dial(&a), -ECONNREFUSED);
    ouro_unref(f);
    ouro_listener_free(l);
    end_closed();
}

Test(listener, a_connection_nobody_took_before_the_loops_close_is_closed)
{
    begin_kernel();
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_future *f = ouro_listener_accept(l);
    turn();
    turn();
    check_eq(ouro_future_state(f), OURO_VALUE);
    ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5));
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check(is_hung_up(client));
    ouro_unref(f);
    ouro_listener_free(l);
    close(client);
    end_closed();
}

/* ---- Where it may be used -------------------------------------------------------------------- */

static ouro_listener *shared;

static int use_after_fork(void)
{
    child_check(ouro_future_result(ouro_listener_accept(shared)).n == -ECHILD);
    child_check(ouro_future_result(ouro_listener_close(shared)).n == -ECHILD);
    ouro_listener_free(shared);
    return 0;
}

static int close_loop_after_fork(void)
{
    int fd = ouro_listener_fd(shared);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(fcntl(fd, F_GETFD) < 0);
    ouro_listener_free(shared);
    return 0;
}

Test(listener, a_forked_child_can_only_let_go)
{
    begin_kernel();
    unlink("test_listener_fork.sock");
    shared = listen_at("unix:test_listener_fork.sock");
    ouro_future *f = ouro_listener_accept(shared);
    turn();
    check_child(use_after_fork, NULL, 0);
    check_child(close_loop_after_fork, NULL, 0);
    check_eq(access("test_listener_fork.sock", F_OK), 0);
    int client = dial(shared);
    while (ouro_future_state(f) == OURO_PENDING)
        turn();
    ouro_stream_free(ouro_future_take(f).ptr);
    ouro_unref(f);
    close(client);
    ouro_listener_free(shared);
    end();
}

/* Sockets of this process that are connected to something. */
static unsigned connected_fds(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        n += getpeername(fd, (struct sockaddr *)&peer, &size) == 0;
    }
    return n;
}

static int left_behind(void)
{
    unsigned before = connected_fds();
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(connected_fds() == before - 1);
    ouro_listener_free(shared);
    return 0;
}

Test(listener, the_child_of_a_fork_keeps_no_connection_that_nobody_asked_for)
{
    begin_kernel();
    shared = listen_here();
    ouro_future *f = ouro_listener_accept(shared);
    turn();
    int client = dial(shared);
    while (ouro_future_state(f) == OURO_PENDING)
        turn();
    ouro_unref(f);
    turns(2);
    check_eq(listener_stats(shared).ready, 1);
    check_child(left_behind, NULL, 0);
    close(client);
    ouro_listener_free(shared);
    end();
}

static void *use_elsewhere(void *l)
{
    check_eq(ouro_future_result(ouro_listener_accept(l)).n, -EXDEV);
    check_eq(ouro_future_result(ouro_listener_close(l)).n, -EXDEV);
    ouro_listener_free(l); /* without effect */
    ouro_listener *none = NULL;
    check_eq(ouro_listen("127.0.0.1:0", NULL, &none), -EPERM);
    return NULL;
}

KernelTest(listener, another_thread_is_told_that_it_is_not_its)
{
    pthread_t thread;
    ouro_listener *l = listen_here();
    check_eq(pthread_create(&thread, NULL, use_elsewhere, l), 0);
    check_eq(pthread_join(thread, NULL), 0);
    int client = dial(l);
    ouro_stream_free(accept_now(l));
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, no_listener_is_einval)
{
    ouro_listener_stats some;
    ouro_address a;
    check_eq(ouro_await(ouro_listener_accept(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_listener_close(NULL)), -EINVAL);
    check_eq(ouro_listener_fd(NULL), -EINVAL);
    check_eq(ouro_listener_address(NULL, &a), -EINVAL);
    check_eq(ouro_listener_stats_get(NULL, &some), -EINVAL);
    return 0;
}
