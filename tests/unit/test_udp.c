/* SPDX-License-Identifier: MIT */
/*
 * UDP on the loopback, IPv4 and IPv6: messages there and back, many at once, errors that come back.
 */
#define _GNU_SOURCE
#include "datagram_test.h"

#include <linux/net_tstamp.h>

#include <netinet/in.h>
#include <time.h>

TestSuite(udp, .timeout = 60);

/* ---- There and back -------------------------------------------------------------------------- */

static void there_and_back(const char *local)
{
    struct two t = open_two_at(local, NULL);
    ouro_address client = address_of(t.from);
    ouro_message m;
    send_text(t.from, "ping");
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    check_eq(m.size, 4);
    check_eq(m.full_size, 4);
    check_eq(memcmp(m.bytes, "ping", 4), 0);
    check_eq(ouro_address_compare(&m.from, &client), 0);
    check_eq(m.fd_count, 0);
    check_eq(m.time, 0);
    check_eq(ouro_await(ouro_datagram_send_to(t.to, m.bytes, m.size, &m.from)), 4);
    expect(t.from, "ping");
    free_two(&t);
}

KernelTest(udp, a_message_goes_there_and_back)
{
    there_and_back("127.0.0.1:0");
    return 0;
}

KernelTest(udp, a_message_goes_there_and_back_over_ipv6)
{
    there_and_back("[::1]:0");
    return 0;
}

KernelTest(udp, an_empty_message_is_a_message)
{
    struct two t = open_two(NULL);
    char buf[8] = "x";
    ouro_message m;
    for (int i = 0; i < 40; i++) {
        check_eq(ouro_await(ouro_datagram_send(t.from, NULL, 0)), 0);
        check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, &m)), 0);
        check_eq(m.full_size, 0);
    }
    send_text(t.from, "after");
    expect(t.to, "after");
    check_eq(stats_of(t.to).received, 41);
    free_two(&t);
    return 0;
}

KernelTest(udp, what_is_too_long_for_the_buffer_is_cut_off_and_that_is_told)
{
    struct two t = open_two(NULL);
    char buf[4];
    ouro_message m;
    send_text(t.from, "123456789");
    check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, &m)), 4);
    check_eq(memcmp(buf, "1234", 4), 0);
    check_eq(m.size, 4);
    check_eq(m.full_size, 9);
    send_text(t.from, "12");
    check_eq(ouro_await(ouro_datagram_receive(t.to, NULL, 0, &m)), 0);
    check_eq(m.full_size, 2);
    check_eq(stats_of(t.to).cut, 2);
    free_two(&t);
    return 0;
}

KernelTest(udp, what_is_longer_than_message_size_is_cut_off_and_that_is_told)
{
    struct two t = open_two(&(ouro_datagram_options){.message_size = 5});
    ouro_message m;
    send_text(t.from, "123456789");
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    check(m.size >= 5 && m.size < 128); /* rounded up to whole cache lines */
    check_eq(m.full_size, 9);
    free_two(&t);
    t = open_two(&(ouro_datagram_options){.message_size = 16});
    char big[1000] = "";
    check_eq(ouro_await(ouro_datagram_send(t.from, big, sizeof big)), sizeof big);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    check_eq(m.size, 16);
    check_eq(m.full_size, 1000);
    check_eq(stats_of(t.to).cut, 1);
    free_two(&t);
    return 0;
}

KernelTest(udp, the_largest_message_comes_whole_and_a_larger_one_is_refused)
{
    struct two t = open_two(NULL);
    static char big[65508], buf[65508];
    memset(big, 'a', sizeof big);
    check_eq(ouro_await(ouro_datagram_send(t.from, big, 65507)), 65507);
    check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, NULL)), 65507);
    check_eq(memcmp(big, buf, 65507), 0);
    check_eq(ouro_await(ouro_datagram_send(t.from, big, 65508)), -EMSGSIZE);
    send_text(t.from, "on");
    expect(t.to, "on");
    free_two(&t);
    return 0;
}

KernelTest(udp, it_tells_when_a_message_came_if_asked)
{
    struct two t = open_two(&(ouro_datagram_options){.timestamps = 1});
    struct timespec now;
    ouro_message m;
    clock_gettime(CLOCK_REALTIME, &now);
    send_text(t.from, "when");
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    ouro_ns before = OURO_SEC(now.tv_sec) + (ouro_ns)now.tv_nsec;
    check(m.time >= before - OURO_SEC(1) && m.time < before + OURO_SEC(30));
    free_two(&t);
    return 0;
}

KernelTest(udp, a_peer_can_be_chosen_and_dissolved)
{
    struct two t = open_two(NULL);
    ouro_datagram *other = open_udp("127.0.0.1:0", NULL, NULL);
    ouro_address there = address_of(other);
    check_eq(ouro_datagram_connect(t.from, &there), 0);
    send_text(t.from, "other");
    expect(other, "other");
    check_eq(ouro_datagram_connect(t.from, NULL), 0);
    check_eq(ouro_await(ouro_datagram_send(t.from, "x", 1)), -EDESTADDRREQ);
    check_eq(ouro_await(ouro_datagram_send_to(t.from, "back", 4, &t.address)), 4);
    expect(t.to, "back");
    ouro_datagram_free(other);
    free_two(&t);
    return 0;
}

/* ---- Errors that come back ------------------------------------------------------------------- */

/* An address at which nobody is. */
static ouro_address nobody(void)
{
    ouro_datagram *d = open_udp("127.0.0.1:0", NULL, NULL);
    ouro_address a = address_of(d);
    check_eq(ouro_await(ouro_datagram_close(d)), 0);
    ouro_datagram_free(d);
    return a;
}

KernelTest(udp, a_refusal_ends_the_receive_that_waits_and_the_socket_goes_on)
{
    ouro_address gone = nobody();
    ouro_datagram *d;
    char buf[16];
    check_eq(ouro_datagram_open(NULL, &gone, NULL, &d), 0);
    ouro_future *f = ouro_datagram_receive(d, buf, sizeof buf, NULL);
    ouro_yield();
    check_eq(ouro_await(ouro_datagram_send(d, "x", 1)), 1);
    check_eq(ouro_await(f), -ECONNREFUSED);
    ouro_datagram *now;
    check_eq(ouro_datagram_open(&gone, NULL, NULL, &now), 0);
    send_text(d, "there?");
    ouro_message m;
    check_eq(ouro_await(ouro_datagram_next(now, &m, 1)), 1);
    check_eq(ouro_await(ouro_datagram_send_to(now, "yes", 3, &m.from)), 3);
    expect(d, "yes");
    ouro_datagram_free(now);
    ouro_datagram_free(d);
    return 0;
}

KernelTest(udp, a_refusal_that_nobody_waits_for_is_told_once_behind_what_came_before)
{
    struct two t = open_two(NULL);
    ouro_address client = address_of(t.from);
    char buf[16];
    check_eq(ouro_await(ouro_timeout(ouro_datagram_receive(t.from, buf, 1, NULL), OURO_MS(1))),
             -ETIMEDOUT);
    check_eq(ouro_await(ouro_datagram_send_to(t.to, "last", 4, &client)), 4);
    check_eq(ouro_await(ouro_datagram_close(t.to)), 0);
    check_eq(ouro_await(ouro_datagram_send(t.from, "x", 1)), 1);
    ouro_await(ouro_sleep(OURO_MS(5)));
    expect(t.from, "last");
    check_eq(ouro_await(ouro_datagram_receive(t.from, buf, sizeof buf, NULL)), -ECONNREFUSED);
    check_eq(ouro_await(ouro_timeout(ouro_datagram_receive(t.from, buf, 1, NULL), OURO_MS(5))),
             -ETIMEDOUT);
    free_two(&t);
    return 0;
}

KernelTest(udp, a_refusal_is_told_to_a_send_if_nobody_receives)
{
    ouro_address gone = nobody();
    ouro_datagram *d;
    check_eq(ouro_datagram_open(NULL, &gone, NULL, &d), 0);
    check_eq(ouro_await(ouro_datagram_send(d, "x", 1)), 1);
    check_eq(ouro_await(ouro_datagram_send(d, "x", 1)), -ECONNREFUSED);
    check_eq(ouro_await(ouro_datagram_send(d, "x", 1)), 1);
    ouro_datagram_free(d);
    return 0;
}

KernelTest(udp, what_the_kernel_has_no_room_for_it_drops_and_counts)
{
    ouro_datagram_options opts = {.buffers = 1, .message_size = 2048};
    opts.socket.receive_buffer = 4096;
    struct two t = open_two(&opts);
    char block[1000] = "";
    for (int i = 0; i < 100; i++)
        check_eq(ouro_await(ouro_datagram_send(t.from, block, sizeof block)), 1000);
    unsigned came = 0;
    ouro_message m;
    while (ouro_await(ouro_timeout(ouro_datagram_next(t.to, &m, 1), OURO_MS(20))) == 1)
        came++;
    ouro_datagram_stats s = stats_of(t.to);
    check(s.dropped > 0);
    check_eq(s.dropped + came, 100);
    check_eq(s.received, came);
    free_two(&t);
    return 0;
}

/* ---- Many at once ---------------------------------------------------------------------------- */

enum { MANY = 200 };

static char texts[MANY][64];

static void fill(ouro_outgoing *out, size_t size, const ouro_address *to)
{
    for (int i = 0; i < MANY; i++) {
        memset(texts[i], 'a' + i % 26, sizeof texts[i]);
        memcpy(texts[i], &i, sizeof i);
        out[i] = (ouro_outgoing){.bytes = texts[i], .size = size, .to = to};
    }
}

/* Receive all of them, several at a time; returns how many calls it took. */
static unsigned receive_all(ouro_datagram *d, const ouro_outgoing *out)
{
    ouro_message m[MANY];
    unsigned calls = 0;
    for (int64_t got = 0; got < MANY; calls++) {
        int64_t n = ouro_await(ouro_timeout(ouro_datagram_next(d, m, MANY), OURO_SEC(10)));
        check(n > 0);
        for (int64_t i = 0; i < n; i++, got++) {
            check_eq(m[i].size, out[got].size);
            check_eq(m[i].full_size, out[got].size);
            check_eq(memcmp(m[i].bytes, out[got].bytes, out[got].size), 0);
        }
        if (n <= 0)
            break;
    }
    return calls;
}

static void burst_and_receive(const ouro_datagram_options *opts, bool named)
{
    struct two t = open_two(opts);
    static ouro_outgoing out[MANY];
    fill(out, 40, named ? &t.address : NULL);
    ouro_future *f = ouro_datagram_send_many(named ? t.to : t.from, out, MANY);
    check_eq(ouro_await(f), MANY);
    for (int i = 0; i < MANY; i++)
        check_eq(out[i].result, 40);
    receive_all(t.to, out);
    ouro_datagram_stats sent = stats_of(named ? t.to : t.from), got = stats_of(t.to);
    check_eq(sent.sent, MANY);
    check_eq(sent.bytes_out, MANY * 40);
    check_eq(got.received, MANY);
    check_eq(got.bytes_in, MANY * 40);
    check(sent.sends < MANY / 10); /* the kernel cuts */
    if (opts && opts->no_gro)
        check_eq(got.receives, MANY);
    else
        check(got.receives < MANY / 10); /* and need not */
    free_two(&t);
}

KernelTest(udp, many_go_in_one_piece_and_come_in_one_piece)
{
    burst_and_receive(NULL, false);
    burst_and_receive(NULL, true);
    return 0;
}

KernelTest(udp, many_that_went_in_one_piece_come_one_by_one)
{
    burst_and_receive(&(ouro_datagram_options){.no_gro = 1, .message_size = 2048}, false);
    return 0;
}

KernelTest(udp, many_of_all_sizes_and_receivers_arrive_in_order)
{
    struct two t = open_two(NULL);
    ouro_datagram *other = open_udp("127.0.0.1:0", NULL, NULL);
    ouro_address there = address_of(other), same = t.address;
    static ouro_outgoing out[MANY];
    fill(out, 40, &t.address);
    for (int i = 0; i < MANY; i++) {
        out[i].size = (size_t)(i * 7 % 60);
        out[i].to = i % 3 ? &same : &t.address; /* the same place twice */
    }
    out[100].to = &there;
    check_eq(ouro_await(ouro_datagram_send_many(t.to, out, MANY)), MANY);
    ouro_message m;
    check_eq(ouro_await(ouro_datagram_next(other, &m, 1)), 1);
    check_eq(m.size, out[100].size);
    memmove(&out[100], &out[101], (MANY - 101) * sizeof *out);
    out[MANY - 1] = (ouro_outgoing){.bytes = "end", .size = 3};
    check_eq(ouro_await(ouro_datagram_send_to(t.to, "end", 3, &t.address)), 3);
    receive_all(t.to, out);
    ouro_datagram_free(other);
    free_two(&t);
    return 0;
}

KernelTest(udp, the_slices_of_one_piece_can_be_received_one_by_one)
{
    struct two t = open_two(NULL);
    static ouro_outgoing out[MANY];
    char buf[64];
    fill(out, 40, NULL);
    out[9].size = 12;
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, 10)), 10);
    for (int i = 0; i < 10; i++) {
        check_eq(ouro_await(ouro_datagram_receive(t.to, buf, sizeof buf, NULL)), out[i].size);
        check_eq(memcmp(buf, out[i].bytes, out[i].size), 0);
    }
    check_eq(stats_of(t.to).receives, 1);
    free_two(&t);
    return 0;
}

KernelTest(udp, what_else_the_socket_was_told_to_tell_does_not_make_many_messages_one)
{
    struct two t = open_two(NULL);
    int on = 1, stamps = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
    int fd = ouro_datagram_fd(t.to);
    ouro_outgoing out[4];
    ouro_message m[8];
    check_eq(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof stamps), 0);
    check_eq(setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on), 0);
    check_eq(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), 0);
    for (int i = 0; i < 4; i++)
        out[i] = (ouro_outgoing){.bytes = "hello", .size = 5};
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, 4)), 4);
    for (int64_t n = 0; n < 4;) {
        n += ouro_await(ouro_datagram_next(t.to, m, 8));
        check_eq(m[0].size, 5);
    }
    free_two(&t);
    return 0;
}

KernelTest(udp, what_cannot_be_cut_goes_one_by_one)
{
    struct two t = open_two(NULL);
    static ouro_outgoing out[MANY];
    const int on = 1; /* without checksums the kernel does not cut */
    check_eq(setsockopt(ouro_datagram_fd(t.from), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    fill(out, 40, NULL);
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, MANY)), MANY);
    for (int i = 0; i < MANY; i++)
        check_eq(out[i].result, 40);
    check_eq(stats_of(t.from).sends, MANY);
    unsigned seen[MANY] = {0};
    ouro_message m[16];
    for (int got = 0; got < MANY;) {
        int64_t n = ouro_await(ouro_timeout(ouro_datagram_next(t.to, m, 16), OURO_SEC(10)));
        check(n > 0);
        for (int64_t i = 0; i < n; i++, got++)
            seen[*(const int *)m[i].bytes]++;
        if (n <= 0)
            break;
    }
    for (int i = 0; i < MANY; i++)
        check_eq(seen[i], 1);
    free_two(&t);
    return 0;
}

KernelTest(udp, one_without_an_address_is_told_so_and_the_others_go)
{
    struct two t = open_two(NULL);
    const ouro_address wrong = {.as.ip4 = {.sin_family = AF_INET}, .size = 3};
    ouro_outgoing out[] = {{.bytes = "a", .size = 1},
                           {.bytes = "b", .size = 1, .to = &wrong},
                           {.bytes = "c", .size = 1}};
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, 3)), 2);
    check_eq(out[1].result, -EINVAL);
    expect(t.to, "a");
    expect(t.to, "c");
    free_two(&t);
    return 0;
}

KernelTest(udp, one_that_is_too_long_is_told_so_and_the_others_go)
{
    struct two t = open_two(NULL);
    static char big[65508];
    ouro_outgoing out[] = {
        {.bytes = "a", .size = 1}, {.bytes = big, .size = sizeof big}, {.bytes = "c", .size = 1}};
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, 3)), 2);
    check_eq(out[0].result, 1);
    check_eq(out[1].result, -EMSGSIZE);
    check_eq(out[2].result, 1);
    check_eq(ouro_await(ouro_datagram_send_many(t.from, &out[1], 1)), -EMSGSIZE);
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, 0)), 0);
    expect(t.to, "a");
    expect(t.to, "c");
    free_two(&t);
    return 0;
}

/* ---- Groups ---------------------------------------------------------------------------------- */

KernelTest(udp, multicast_on_the_loopback_reaches_who_has_joined)
{
    ouro_datagram *to = open_udp("0.0.0.0:0", NULL, NULL);
    ouro_datagram *from = open_udp("127.0.0.1:0", NULL, NULL);
    ouro_address group, other, source;
    char buf[16];
    check_eq(ouro_address_of_ip("239.1.2.3", 0, &group), 0);
    ouro_address bound = address_of(to);
    check_eq(ouro_address_set_port(&group, ouro_address_port(&bound)), 0);
    check_eq(ouro_address_of_ip("239.1.2.4", ouro_address_port(&bound), &other), 0);
    check_eq(ouro_address_of_ip("127.0.0.1", 0, &source), 0);
    int fd = ouro_datagram_fd(to), out = ouro_datagram_fd(from);
    check_eq(ouro_sockopt_set_multicast_device(out, "lo"), 0);
    check_eq(ouro_sockopt_set_multicast_ttl(out, 0), 0);
    int rc = ouro_sockopt_join(fd, &group, NULL, "lo");
    if (rc < 0) {
        fprintf(stderr, "skipped: no group can be joined on lo: %s\n", ouro_strerror(rc));
    } else {
        check_eq(ouro_await(ouro_datagram_send_to(from, "all", 3, &group)), 3);
        expect(to, "all");
        check_eq(ouro_sockopt_leave(fd, &group, NULL, "lo"), 0);
        check_eq(ouro_await(ouro_datagram_send_to(from, "left", 4, &group)), 4);
        check_eq(ouro_sockopt_join(fd, &other, &source, "lo"), 0);
        check_eq(ouro_await(ouro_datagram_send_to(from, "source", 6, &other)), 6);
        expect(to, "source");
        check_eq(
            ouro_await(ouro_timeout(ouro_datagram_receive(to, buf, sizeof buf, NULL), OURO_MS(5))),
            -ETIMEDOUT);
    }
    ouro_datagram_free(to);
    ouro_datagram_free(from);
    return 0;
}
