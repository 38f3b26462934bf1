/* SPDX-License-Identifier: MIT */
/*
 * Listeners: who gets which connection, and that none is lost or leaked whatever is cancelled,
 * closed or refused.
 */
#define _GNU_SOURCE
#include "server_test.h"

#include "other.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>

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
    ouro_stream *s = accept_now(l);
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
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
        ouro_stream *s = take_stream(f[i]);
        check(are_connected(s, client[i]));
        ouro_stream_free(s);
        close(client[i]);
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
    ouro_listener *l = listen_here();
    for (int i = 0; i < N; i++)
        client[i] = dial(l);
    for (int i = 0; i < N; i++) {
        ouro_stream *s = accept_now(l);
        check(are_connected(s, client[i]));
        ouro_stream_free(s);
        close(client[i]);
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
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
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
    ouro_stream *s = accept_now(l);
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
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
    ouro_stream *s = accept_now(l);
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
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
    ouro_stream *s = take_stream(f);
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, one_that_times_out_loses_nothing)
{
    ouro_listener *l = listen_here();
    check_eq(ouro_await(ouro_timeout(ouro_listener_accept(l), OURO_MS(2))), -ETIMEDOUT);
    int client = dial(l);
    ouro_stream *s = take_stream(ouro_timeout(ouro_listener_accept(l), OURO_SEC(30)));
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
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
    ouro_stream *s = take_stream(next);
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
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
        ouro_stream *s = accept_now(l);
        check(are_connected(s, client[i]));
        ouro_stream_free(s);
        close(client[i]);
    }
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, an_await_without_the_object_leaves_the_connection)
{
    ouro_listener *l = listen_here();
    int client = dial(l);
    check_eq(ouro_await(ouro_listener_accept(l)), 0);
    ouro_stream *s = accept_now(l);
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
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
    unsigned before = open_fds();
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
        check(are_connected(s, client));
        ouro_stream_free(s);
        close(client);
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

/* ---- Places ---------------------------------------------------------------------------------- */

static void check_place(const char *where, const char *seen_as)
{
    char text[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_with(where, (ouro_listener_options){.unlink_stale = 1});
    ouro_address a = address_of(l);
    if (a.as.any.sa_family != AF_UNIX) {
        check(ouro_address_port(&a) > 0);
        check_eq(ouro_address_set_port(&a, 1), 0);
    }
    ouro_address_print(&a, text, sizeof text);
    check_text(text, seen_as);
    int client = dial(l);
    ouro_stream *s = accept_now(l);
    ouro_stream_free(s);
    close(client);
    ouro_listener_free(l);
}

KernelTest(listener, all_kinds_of_places_can_be_listened_at)
{
    check_place("127.0.0.1:0", "127.0.0.1:1");
    check_place("0.0.0.0:0", "0.0.0.0:1");
    check_place("[::1]:0", "[::1]:1");
    check_place("unix:@ouro-test-place", "unix:@ouro-test-place");
    check_place("unix:test_listener.sock", "unix:test_listener.sock");
    return 0;
}

static int dial_port(const char *ip, int port)
{
    ouro_address a;
    check_eq(ouro_address_of_ip(ip, port, &a), 0);
    return try_dial(&a);
}

KernelTest(listener, without_a_host_both_families_are_taken)
{
    ouro_listener *l = listen_at(":0");
    ouro_address a = address_of(l);
    int port = ouro_address_port(&a);
    int by4 = dial_port("127.0.0.1", port);
    int by6 = dial_port("::1", port);
    check(by4 >= 0);
    check(by6 >= 0);
    ouro_stream_free(accept_now(l));
    ouro_stream_free(accept_now(l));
    close(by4);
    close(by6);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, ip6_alone_is_an_option)
{
    ouro_listener *l = listen_with("[::]:0", (ouro_listener_options){.socket.v6only = 1});
    ouro_address a = address_of(l);
    int port = ouro_address_port(&a);
    check_eq(dial_port("127.0.0.1", port), -ECONNREFUSED);
    int by6 = dial_port("::1", port);
    check(by6 >= 0);
    close(by6);
    ouro_listener_free(l);
    return 0;
}

static int listen_rc(const char *where, const ouro_listener_options *opts)
{
    ouro_listener *l = NULL;
    int rc = ouro_listen(where, opts, &l);
    check_eq(rc < 0, l == NULL);
    ouro_listener_free(l);
    return rc;
}

KernelTest(listener, bad_places_have_clear_codes)
{
    char long_path[200] = "unix:/tmp/";
    memset(long_path + 10, 'x', sizeof long_path - 11);
    check_eq(listen_rc(NULL, NULL), -EINVAL);
    check_eq(listen_rc("", NULL), -EINVAL);
    check_eq(listen_rc("127.0.0.1", NULL), -EINVAL);
    check_eq(listen_rc("localhost:80", NULL), -EINVAL);
    check_eq(listen_rc(":", NULL), -EINVAL);
    check_eq(listen_rc(":http", NULL), -EINVAL);
    check_eq(listen_rc(":-1", NULL), -EINVAL);
    check_eq(listen_rc(":80 ", NULL), -EINVAL);
    check_eq(listen_rc(":000000000000000000000000000000000080", NULL), -EINVAL);
    check_eq(listen_rc(":65536", NULL), -ERANGE);
    check_eq(listen_rc("127.0.0.1:65536", NULL), -ERANGE);
    check_eq(listen_rc("192.0.2.1:0", NULL), -EADDRNOTAVAIL); /* for documentation: nobody's */
    check_eq(listen_rc(long_path, NULL), -ENAMETOOLONG);
    check_eq(listen_rc("unix:/no/such/folder/socket", NULL), -ENOENT);
    check_eq(ouro_listen("127.0.0.1:0", NULL, NULL), -EINVAL);
    ouro_address none = {0};
    ouro_listener *l = NULL;
    check_eq(ouro_listener_open(&none, NULL, &l), -EAFNOSUPPORT);
    check_eq(ouro_listener_open(NULL, NULL, &l), -EINVAL);
    check(l == NULL);
    return 0;
}

KernelTest(listener, bad_options_have_clear_codes)
{
    const char *here = "127.0.0.1:0";
    check_eq(listen_rc(here, &(ouro_listener_options){.backlog = -1}), -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.fast_open = -1}), -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.defer = OURO_FOREVER}), -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.mode = 07777}), -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.stream = {.low_water = 2, .high_water = 1}}),
             -EINVAL);
    check_eq(listen_rc(here, &(ouro_listener_options){.backlog = 1, .defer = 1, .fast_open = 16}),
             0);
    return 0;
}

KernelTest(listener, a_place_that_is_taken_is_refused_unless_it_is_shared)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_here();
    ouro_address a = address_of(l);
    ouro_address_print(&a, where, sizeof where);
    check_eq(listen_rc(where, NULL), -EADDRINUSE);
    check_eq(listen_rc(where, &(ouro_listener_options){.socket.reuse_port = 1}), -EADDRINUSE);
    ouro_listener_free(l);

    l = listen_with("127.0.0.1:0", (ouro_listener_options){.socket.reuse_port = 1});
    a = address_of(l);
    ouro_address_print(&a, where, sizeof where);
    check_eq(listen_rc(where, &(ouro_listener_options){.socket.reuse_port = 1}), 0);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_port_can_be_bound_again_at_once)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_here();
    int client = dial(l);
    ouro_stream *s = accept_now(l);
    ouro_address a = address_of(l);
    ouro_address_print(&a, where, sizeof where);
    check_eq(ouro_await(ouro_stream_close(s)), 0); /* who closes first has to wait: this end */
    ouro_stream_free(s);
    close(client);
    check_eq(ouro_await(ouro_listener_close(l)), 0);
    ouro_listener_free(l);
    check_eq(listen_rc(where, &(ouro_listener_options){.no_reuse_address = 1}), -EADDRINUSE);
    check_eq(listen_rc(where, NULL), 0);
    return 0;
}

static int bind_low_port(void)
{
    if (setresuid(65534, 65534, 65534) < 0)
        return 1;
    ouro_loop *loop = NULL;
    child_check(ouro_loop_new(NULL, &loop) == 0);
    ouro_listener *l = NULL;
    int rc = ouro_listen("127.0.0.1:7", NULL, &l);
    child_check(rc == -EACCES);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

Test(listener, a_privileged_port_is_eacces)
{
    char text[256];
    if (geteuid() != 0)
        cr_skip_test("only root can become somebody else");
    check_child(bind_low_port, text, sizeof text);
}

/* ---- Unix paths ------------------------------------------------------------------------------ */

static const char *const path = "test_listener_path.sock";

static ouro_listener *listen_at_path(ouro_listener_options opts)
{
    char where[64];
    snprintf(where, sizeof where, "unix:%s", path);
    return listen_with(where, opts);
}

static int path_rc(int unlink_stale)
{
    char where[64];
    snprintf(where, sizeof where, "unix:%s", path);
    return listen_rc(where, &(ouro_listener_options){.unlink_stale = unlink_stale});
}

KernelTest(listener, a_path_that_it_bound_goes_with_it)
{
    unlink(path);
    ouro_listener *l = listen_at_path((ouro_listener_options){0});
    check_eq(access(path, F_OK), 0);
    ouro_listener_free(l);
    check(access(path, F_OK) < 0);
    return 0;
}

KernelTest(listener, a_path_that_is_anothers_by_now_stays)
{
    unlink(path);
    ouro_listener *l = listen_at_path((ouro_listener_options){0});
    check_eq(unlink(path), 0);
    ouro_listener *next = listen_at_path((ouro_listener_options){0});
    ouro_listener_free(l);
    check_eq(access(path, F_OK), 0);
    ouro_listener_free(next);
    check(access(path, F_OK) < 0);
    return 0;
}

KernelTest(listener, a_stale_path_is_replaced_on_demand)
{
    unlink(path);
    ouro_address a;
    check_eq(ouro_address_of_unix(path, &a), 0);
    int crashed = socket(AF_UNIX, SOCK_STREAM, 0);
    check_eq(bind(crashed, &a.as.any, a.size), 0);
    close(crashed);
    check_eq(path_rc(0), -EADDRINUSE);
    check_eq(path_rc(1), 0);
    check(access(path, F_OK) < 0);
    return 0;
}

KernelTest(listener, a_path_with_somebody_behind_it_is_not_replaced)
{
    unlink(path);
    ouro_listener *l = listen_at_path((ouro_listener_options){.unlink_stale = 1});
    check_eq(path_rc(1), -EADDRINUSE);
    int client = dial(l);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, a_file_is_never_replaced)
{
    unlink(path);
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(file);
    check_eq(path_rc(1), -EADDRINUSE);
    check_eq(unlink(path), 0);
    return 0;
}

KernelTest(listener, a_path_has_the_permissions_that_were_asked_for)
{
    static const unsigned modes[] = {0600, 0660, 0777};
    mode_t before = umask(0027);
    unlink(path);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct stat st;
        ouro_listener *l = listen_at_path((ouro_listener_options){.mode = modes[i]});
        check_eq(stat(path, &st), 0);
        check_eq(st.st_mode & 0777, modes[i]);
        ouro_listener_free(l);
    }
    umask(before);
    return 0;
}

/* ---- Descriptors that listen already --------------------------------------------------------- */

KernelTest(listener, a_descriptor_that_listens_can_be_taken_over)
{
    ouro_address a;
    check_eq(ouro_address_parse("127.0.0.1:0", &a), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check_eq(bind(fd, &a.as.any, a.size), 0);
    ouro_listener *l = NULL;
    check_eq(ouro_listener_from_fd(fd, NULL, &l), -EINVAL); /* not yet */
    check_eq(listen(fd, 8), 0);
    check_eq(ouro_listener_from_fd(fd, NULL, NULL), -EINVAL);
    check_eq(ouro_listener_from_fd(fd, NULL, &l), 0);
    check_eq(ouro_listener_fd(l), fd);
    int client = dial(l);
    ouro_stream *s = accept_now(l);
    check(are_connected(s, client));
    ouro_stream_free(s);
    close(client);
    ouro_listener_free(l);
    return 0;
}

KernelTest(listener, other_descriptors_are_refused)
{
    ouro_listener *l = NULL;
    int ends[2];
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(ouro_listener_from_fd(ends[0], NULL, &l), -ENOTSOCK);
    close(ends[0]);
    close(ends[1]);
    check_eq(ouro_listener_from_fd(ends[0], NULL, &l), -EBADF);
    check_eq(ouro_listener_from_fd(-1, NULL, &l), -EBADF);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check_eq(ouro_listener_from_fd(udp, NULL, &l), -EOPNOTSUPP);
    close(udp);
    check(l == NULL);
    return 0;
}

KernelTest(listener, a_socket_that_was_shut_down_listens_no_more)
{
    ouro_listener *l = listen_here();
    ouro_future *f = ouro_listener_accept(l);
    nap(OURO_MS(1));
    check_eq(shutdown(ouro_listener_fd(l), SHUT_RDWR), 0);
    check_eq(ouro_await(f), -EINVAL);
    check_eq(ouro_await(ouro_listener_accept(l)), -EINVAL);
    ouro_listener_free(l);
    return 0;
}

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
