/* SPDX-License-Identifier: MIT */
/*
 * Streams that connect: what they come to, and that no descriptor is left whatever is cancelled or
 * refused.
 */
#define _GNU_SOURCE
#include "server_test.h"

#include "other.h"

#include <netinet/in.h>

TestSuite(stream_connect, .timeout = 60);

static void place_of(const ouro_listener *l, char where[OURO_ADDRESS_TEXT])
{
    ouro_address a = address_of(l);
    ouro_address_print(&a, where, OURO_ADDRESS_TEXT);
}

static void check_talk(const char *at)
{
    char where[OURO_ADDRESS_TEXT], buf[8] = "";
    ouro_listener *l = listen_with(at, (ouro_listener_options){.unlink_stale = 1});
    ouro_address peer, local, bound = address_of(l);
    place_of(l, where);
    ouro_future *f = ouro_stream_connect(where, NULL);
    ouro_stream *theirs = accept_now(l);
    ouro_stream *ours = take_stream(f);
    check_eq(ouro_stream_peer(ours, &peer), 0);
    check_eq(ouro_address_compare(&peer, &bound), 0);
    check_eq(ouro_stream_local(ours, &local), 0);
    check_eq(ouro_stream_peer(theirs, &peer), 0);
    check_eq(ouro_address_compare(&peer, &local), 0);
    check_eq(ouro_await(ouro_stream_write(ours, "there", 5)), 5);
    check_eq(ouro_await(ouro_stream_read_exact(theirs, buf, 5)), 5);
    check_text(buf, "there");
    check_eq(ouro_await(ouro_stream_write(theirs, "back", 5)), 5);
    check_eq(ouro_await(ouro_stream_read_exact(ours, buf, 5)), 5);
    check_text(buf, "back");
    ouro_stream_free(ours);
    check_eq(ouro_await(ouro_stream_read(theirs, buf, sizeof buf)), 0);
    ouro_stream_free(theirs);
    ouro_listener_free(l);
}

KernelTest(stream_connect, both_ends_talk_over_every_kind_of_place)
{
    check_talk("127.0.0.1:0");
    check_talk("[::1]:0");
    check_talk("unix:@ouro-test-stream-connect");
    check_talk("unix:test_stream_connect.sock");
    return 0;
}

KernelTest(stream_connect, small_writes_are_sent_at_once)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_here();
    place_of(l, where);
    for (int nagle = 0; nagle < 2; nagle++) {
        ouro_stream_connect_options opts = {.connect.socket.nagle = nagle};
        ouro_stream *s = take_stream(ouro_stream_connect(where, &opts));
        check_eq(ouro_sockopt_nodelay(ouro_stream_fd(s)), !nagle);
        ouro_stream_free(s);
    }
    ouro_listener_free(l);
    return 0;
}

KernelTest(stream_connect, one_that_nobody_takes_is_closed)
{
    char where[OURO_ADDRESS_TEXT], byte;
    ouro_listener *l = listen_here();
    place_of(l, where);
    check_eq(ouro_await(ouro_stream_connect(where, NULL)), 0); /* not its object */
    ouro_stream *s = accept_now(l);
    check_eq(ouro_await(ouro_stream_read(s, &byte, 1)), 0);
    ouro_stream_free(s);
    ouro_listener_free(l);
    return 0;
}

KernelTest(stream_connect, refused_it_says_so_and_where)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_here();
    place_of(l, where);
    check_eq(ouro_await(ouro_listener_close(l)), 0);
    ouro_listener_free(l);
    ouro_future *f = ouro_stream_connect(where, NULL);
    check_eq(ouro_await(ouro_ref(f)), -ECONNREFUSED);
    check(ouro_future_detail(f) != NULL);
    check(strstr(ouro_future_detail(f), where) != NULL);
    ouro_unref(f);
    check_eq(ouro_await(ouro_stream_connect("unix:/no/such/path", NULL)), -ENOENT);
    return 0;
}

KernelTest(stream_connect, bad_input_has_clear_codes)
{
    ouro_stream_connect_options dgram = {.connect.type = SOCK_DGRAM};
    ouro_stream_connect_options marks = {.stream = {.high_water = 1, .low_water = 2}};
    check_eq(ouro_await(ouro_stream_connect(NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_stream_connect("", NULL)), -EINVAL);
    check_eq(ouro_await(ouro_stream_connect("127.0.0.1", NULL)), -EINVAL);
    check_eq(ouro_await(ouro_stream_connect("127.0.0.1:65536", NULL)), -ERANGE);
    check_eq(ouro_await(ouro_stream_connect("127.0.0.1:1", &dgram)), -EINVAL);
    check_eq(ouro_await(ouro_stream_connect("127.0.0.1:1", &marks)), -EINVAL);
    ouro_address a;
    check_eq(ouro_stream_peer(NULL, &a), -EINVAL);
    check_eq(ouro_stream_local(NULL, &a), -EINVAL);
    return 0;
}

KernelTest(stream_connect, pipes_have_no_addresses)
{
    int ends[2];
    ouro_address a;
    ouro_stream *s = NULL;
    check_eq(pipe(ends), 0);
    check_eq(ouro_stream_new(ends[0], NULL, &s), 0);
    check_eq(ouro_stream_peer(s, &a), -ENOTSOCK);
    check_eq(ouro_stream_local(s, &a), -ENOTSOCK);
    check_eq(ouro_await(ouro_stream_close(s)), 0);
    check_eq(ouro_stream_peer(s, &a), -EBADF);
    ouro_stream_free(s);
    close(ends[1]);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

/* A place whose queue is full, so that nothing connects there. */
static int fill_queue(ouro_listener *l, int *clients, int room)
{
    ouro_address a = address_of(l);
    int n = 0;
    while (n < room) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fd, &a.as.any, a.size) < 0) {
            close(fd);
            return n;
        }
        clients[n++] = fd;
    }
    return n;
}

KernelTest(stream_connect, one_that_does_not_get_through_can_be_bounded)
{
    int clients[64];
    ouro_listener *l = listen_with("unix:@ouro-test-full", (ouro_listener_options){.backlog = 1});
    int n = fill_queue(l, clients, 64);
    check(n < 64);
    ouro_future *f = ouro_stream_connect("unix:@ouro-test-full", NULL);
    int64_t rc = ouro_await(ouro_timeout(f, OURO_MS(10)));
    check(rc == -ETIMEDOUT || rc == -EAGAIN); /* Linux does not queue those who want to wait */
    while (n > 0)
        close(clients[--n]);
    ouro_listener_free(l);
    return 0;
}

KernelTest(stream_connect, raced_with_a_cancel_no_descriptor_is_left)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_listener *l = listen_here();
    uint64_t random = 11;
    place_of(l, where);
    int before = open_fds();
    int connected = 0;
    for (int i = 0; i < 1000; i++) {
        ouro_future *f = ouro_stream_connect(where, NULL);
        for (uint64_t k = fake_random(&random) % 6; k > 0; k--)
            check_eq(ouro_yield(), 0);
        ouro_cancel(f);
        int64_t n;
        ouro_stream *s = ouro_await_ptr(f, &n);
        check_eq(n, s ? 0 : -OURO_ECHILDCANCELLED);
        connected += s != NULL;
        ouro_stream_free(s);
    }
    check(connected > 0);
    check(connected < 1000);
    nap(OURO_MS(5));
    check_eq(open_fds(), before);
    ouro_listener_free(l);
    return 0;
}

/* ---- No memory ------------------------------------------------------------------------------- */

Test(stream_connect, without_memory_nothing_is_left)
{
    char where[OURO_ADDRESS_TEXT];
    ration_memory();
    grants = -1;
    begin_kernel();
    ouro_listener *l = listen_here();
    place_of(l, where);
    int before = open_fds();
    int64_t n = -1;
    for (int i = 0; n < 0; i++) {
        check(i < 200);
        grants = i;
        ouro_future *f = ouro_stream_connect(where, NULL);
        while (ouro_future_state(f) == OURO_PENDING)
            turn();
        grants = -1;
        n = ouro_future_result(f).n;
        check(n == 0 || n == -ENOMEM);
        ouro_stream_free(n == 0 ? ouro_future_take(f).ptr : NULL);
        ouro_unref(f);
        turns(3);
        check_eq(open_fds(), before);
    }
    ouro_listener_free(l);
    end();
}
