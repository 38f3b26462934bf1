/* SPDX-License-Identifier: MIT */
/*
 * Socket options: what is set is read back, and what is beyond the limits, or of another kind of
 * socket, has its code.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(sockopt, .timeout = 30);

static int tcp(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int tcp6(void)
{
    return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int udp(void)
{
    return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int udp6(void)
{
    return socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int local(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static ouro_address address(const char *text)
{
    ouro_address a;
    check_eq(ouro_address_parse(text, &a), 0);
    return a;
}

/* Two ends of a TCP connection. */
static void connected(int ends[2])
{
    ouro_address at = address("127.0.0.1:0");
    int listener = tcp();
    check_eq(bind(listener, &at.as.any, at.size), 0);
    check_eq(listen(listener, 1), 0);
    check_eq(ouro_sockopt_address(listener, &at), 0);
    ends[0] = tcp();
    check_eq(connect(ends[0], &at.as.any, at.size), 0);
    ends[1] = accept(listener, NULL, NULL);
    check(ends[1] >= 0);
    close(listener);
}

/* ---- Flags and numbers ----------------------------------------------------------------------- */

Test(sockopt, flags_are_read_back_as_they_were_set)
{
    static const struct {
        const char *name;
        int (*open)(void);
        int (*set)(int fd, int on);
        int (*get)(int fd);
    } flags[] = {
        {"nodelay", tcp, ouro_sockopt_set_nodelay, ouro_sockopt_nodelay},
        {"cork", tcp, ouro_sockopt_set_cork, ouro_sockopt_cork},
        {"reuse_address", tcp, ouro_sockopt_set_reuse_address, ouro_sockopt_reuse_address},
        {"reuse_port", udp, ouro_sockopt_set_reuse_port, ouro_sockopt_reuse_port},
        {"v6only", tcp6, ouro_sockopt_set_v6only, ouro_sockopt_v6only},
        {"broadcast", udp, ouro_sockopt_set_broadcast, ouro_sockopt_broadcast},
        {"gro", udp, ouro_sockopt_set_gro, ouro_sockopt_gro},
        {"multicast_loop", udp, ouro_sockopt_set_multicast_loop, ouro_sockopt_multicast_loop},
        {"multicast_loop", udp6, ouro_sockopt_set_multicast_loop, ouro_sockopt_multicast_loop},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        int fd = flags[i].open();
        for (int on = 1; on >= 0; on--) {
            cr_assert_eq(flags[i].set(fd, on * 7), 0, "%s", flags[i].name);
            cr_assert_eq(flags[i].get(fd), on, "%s", flags[i].name);
        }
        close(fd);
        check_eq(flags[i].set(fd, 1), -EBADF);
        check_eq(flags[i].get(fd), -EBADF);
    }
}

Test(sockopt, numbers_are_read_back_and_have_limits)
{
    static const struct {
        const char *name;
        int (*open)(void);
        int (*set)(int fd, int value);
        int (*get)(int fd);
        int good, want, low, high;
    } numbers[] = {
        {"send_buffer", tcp, ouro_sockopt_set_send_buffer, ouro_sockopt_send_buffer, 32768, 65536,
         0, (1 << 30) + 1},
        {"receive_buffer", tcp, ouro_sockopt_set_receive_buffer, ouro_sockopt_receive_buffer, 32768,
         65536, 0, (1 << 30) + 1},
        {"priority", tcp, ouro_sockopt_set_priority, ouro_sockopt_priority, 6, 6, -1, -2},
        {"tos", tcp, ouro_sockopt_set_tos, ouro_sockopt_tos, 0xb8, 0xb8, -1, 256},
        {"tos", tcp6, ouro_sockopt_set_tos, ouro_sockopt_tos, 0xb8, 0xb8, -1, 256},
        {"ttl", tcp, ouro_sockopt_set_ttl, ouro_sockopt_ttl, 255, 255, -1, 256},
        {"ttl", udp6, ouro_sockopt_set_ttl, ouro_sockopt_ttl, 3, 3, -1, 256},
        {"mss", tcp, ouro_sockopt_set_mss, ouro_sockopt_mss, 1000, 0, 87, 32768},
        {"gso", udp, ouro_sockopt_set_gso, ouro_sockopt_gso, 1200, 1200, -1, 65536},
        {"multicast_ttl", udp, ouro_sockopt_set_multicast_ttl, ouro_sockopt_multicast_ttl, 9, 9, -1,
         256},
        {"multicast_ttl", udp6, ouro_sockopt_set_multicast_ttl, ouro_sockopt_multicast_ttl, 0, 0,
         -1, 256},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int fd = numbers[i].open();
        cr_assert_eq(numbers[i].set(fd, numbers[i].good), 0, "%s", numbers[i].name);
        if (numbers[i].want)
            cr_assert_eq(numbers[i].get(fd), numbers[i].want, "%s", numbers[i].name);
        cr_assert_eq(numbers[i].set(fd, numbers[i].low), -EINVAL, "%s", numbers[i].name);
        cr_assert_eq(numbers[i].set(fd, numbers[i].high), -EINVAL, "%s", numbers[i].name);
        cr_assert_eq(numbers[i].set(fd, INT32_MIN), -EINVAL, "%s", numbers[i].name);
        close(fd);
        check_eq(numbers[i].get(fd), -EBADF);
    }
}

Test(sockopt, ttl_0_is_the_systems)
{
    int fd = tcp();
    int before = ouro_sockopt_ttl(fd);
    check(before > 0);
    check_eq(ouro_sockopt_set_ttl(fd, 7), 0);
    check_eq(ouro_sockopt_set_ttl(fd, 0), 0);
    check_eq(ouro_sockopt_ttl(fd), before);
    close(fd);
}

Test(sockopt, options_of_other_sockets_are_not_supported)
{
    char name[16];
    ouro_tcp_info info;
    int fd = local();
    check_eq(ouro_sockopt_set_nodelay(fd, 1), -EOPNOTSUPP);
    check_eq(ouro_sockopt_nodelay(fd), -EOPNOTSUPP);
    check_eq(ouro_sockopt_set_tos(fd, 1), -EOPNOTSUPP);
    check_eq(ouro_sockopt_set_multicast_ttl(fd, 1), -EOPNOTSUPP);
    check_eq(ouro_sockopt_set_multicast_device(fd, "lo"), -EOPNOTSUPP);
    check_eq(ouro_sockopt_congestion(fd, name, sizeof name), -EOPNOTSUPP);
    check_eq(ouro_sockopt_tcp_info(fd, &info), -EOPNOTSUPP);
    close(fd);
    fd = udp();
    check_eq(ouro_sockopt_nodelay(fd), -EOPNOTSUPP);
    check_eq(ouro_sockopt_set_cork(fd, 1), -EOPNOTSUPP);
    check_eq(ouro_sockopt_keepalive(fd, NULL), -EOPNOTSUPP);
    close(fd);
    fd = tcp();
    check_eq(ouro_sockopt_set_v6only(fd, 1), -EOPNOTSUPP);
    check_eq(ouro_sockopt_set_gso(fd, 1200), -EOPNOTSUPP);
    close(fd);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    check_eq(ouro_sockopt_set_nodelay(fd, 1), -ENOTSOCK);
    check_eq(ouro_sockopt_set_tos(fd, 1), -ENOTSOCK);
    check_eq(ouro_sockopt_apply(fd, NULL, NULL), -ENOTSOCK);
    close(fd);
}

Test(sockopt, v6only_comes_too_late_for_a_bound_socket)
{
    ouro_address at = address("[::1]:0");
    int fd = tcp6();
    check_eq(bind(fd, &at.as.any, at.size), 0);
    check_eq(ouro_sockopt_set_v6only(fd, 1), -EINVAL);
    close(fd);
}

/* ---- Times ----------------------------------------------------------------------------------- */

Test(sockopt, keepalive_has_three_numbers)
{
    int fd = tcp();
    ouro_keepalive how = {.idle = OURO_SEC(10) + 1, .interval = OURO_MS(1500), .count = 4}, got;
    check_eq(ouro_sockopt_keepalive(fd, NULL), 0);
    check_eq(ouro_sockopt_set_keepalive(fd, &how), 0);
    check_eq(ouro_sockopt_keepalive(fd, &got), 1);
    check_eq(got.idle, OURO_SEC(11)); /* rounded up */
    check_eq(got.interval, OURO_SEC(2));
    check_eq(got.count, 4);
    check_eq(ouro_sockopt_set_keepalive(fd, &(ouro_keepalive){.count = 0}), 0);
    check_eq(ouro_sockopt_keepalive(fd, &got), 1);
    check_eq(got.count, 4); /* 0 leaves it */
    check_eq(ouro_sockopt_set_keepalive(fd, NULL), 0);
    check_eq(ouro_sockopt_keepalive(fd, NULL), 0);
    const ouro_keepalive bad[] = {
        {.idle = OURO_SEC(32768)}, {.interval = OURO_FOREVER}, {.count = 128}, {.count = -1}};
    for (size_t i = 0; i < 4; i++)
        check_eq(ouro_sockopt_set_keepalive(fd, &bad[i]), -EINVAL);
    check_eq(ouro_sockopt_keepalive(fd, NULL), 0); /* and it is still off */
    close(fd);
}

Test(sockopt, linger_resets_waits_or_leaves_it_to_the_kernel)
{
    int fd = tcp();
    ouro_ns limit;
    check_eq(ouro_sockopt_linger(fd, &limit), 0);
    check(limit == OURO_FOREVER);
    check_eq(ouro_sockopt_set_linger(fd, 0), 0);
    check_eq(ouro_sockopt_linger(fd, &limit), 0);
    check_eq(limit, 0);
    check_eq(ouro_sockopt_set_linger(fd, OURO_MS(1001)), 0);
    check_eq(ouro_sockopt_linger(fd, &limit), 0);
    check_eq(limit, OURO_SEC(2));
    check_eq(ouro_sockopt_set_linger(fd, OURO_SEC(32768)), -EINVAL);
    check_eq(ouro_sockopt_set_linger(fd, OURO_FOREVER), 0);
    check_eq(ouro_sockopt_linger(fd, &limit), 0);
    check(limit == OURO_FOREVER);
    check_eq(ouro_sockopt_linger(fd, NULL), -EINVAL);
    close(fd);
}

Test(sockopt, a_linger_of_zero_resets_the_connection)
{
    int ends[2];
    char byte;
    connected(ends);
    check_eq(ouro_sockopt_set_linger(ends[0], 0), 0);
    close(ends[0]);
    check_eq(poll(&(struct pollfd){.fd = ends[1], .events = POLLIN}, 1, 5000), 1);
    check_eq(ouro_sockopt_take_error(ends[1]), -ECONNRESET);
    check_eq(ouro_sockopt_take_error(ends[1]), 0); /* it was taken */
    check_eq(read(ends[1], &byte, 1), 0);
    close(ends[1]);
}

Test(sockopt, user_timeouts_are_milliseconds)
{
    int fd = tcp();
    ouro_ns limit;
    check_eq(ouro_sockopt_set_user_timeout(fd, OURO_MS(1500) + 1), 0);
    check_eq(ouro_sockopt_user_timeout(fd, &limit), 0);
    check_eq(limit, OURO_MS(1501));
    check_eq(ouro_sockopt_set_user_timeout(fd, OURO_MS(2147483648)), -EINVAL);
    check_eq(ouro_sockopt_set_user_timeout(fd, 0), 0);
    check_eq(ouro_sockopt_user_timeout(fd, &limit), 0);
    check_eq(limit, 0);
    check_eq(ouro_sockopt_user_timeout(fd, NULL), -EINVAL);
    close(fd);
}

/* ---- Names ----------------------------------------------------------------------------------- */

Test(sockopt, congestion_control_has_a_name)
{
    char name[16];
    int fd = tcp();
    check_eq(ouro_sockopt_set_congestion(fd, "reno"), 0);
    check_eq(ouro_sockopt_congestion(fd, name, sizeof name), 0);
    check_text(name, "reno");
    check_eq(ouro_sockopt_congestion(fd, name, 4), -EINVAL);
    check_eq(ouro_sockopt_congestion(fd, NULL, 4), -EINVAL);
    check_eq(ouro_sockopt_set_congestion(fd, "nosuchcontrol"), -ENOENT);
    check_eq(ouro_sockopt_set_congestion(fd, "a-name-of-sixteen"), -EINVAL);
    check_eq(ouro_sockopt_set_congestion(fd, ""), -EINVAL);
    check_eq(ouro_sockopt_set_congestion(fd, NULL), -EINVAL);
    close(fd);
}

Test(sockopt, a_socket_may_be_bound_to_a_device)
{
    char name[16];
    int fd = tcp();
    check_eq(ouro_sockopt_device(fd, name, sizeof name), 0);
    check_text(name, "");
    int rc = ouro_sockopt_set_device(fd, "lo");
    if (rc == -EPERM)
        cr_skip_test("needs CAP_NET_RAW");
    check_eq(rc, 0);
    check_eq(ouro_sockopt_device(fd, name, sizeof name), 0);
    check_text(name, "lo");
    rc = ouro_sockopt_set_device(fd, NULL);
    if (rc == -EPERM)
        cr_skip_test("who is bound is let go with CAP_NET_RAW alone");
    check_eq(rc, 0);
    check_eq(ouro_sockopt_device(fd, name, sizeof name), 0);
    check_text(name, "");
    check_eq(ouro_sockopt_set_device(fd, "nosuchdevice"), -ENODEV);
    check_eq(ouro_sockopt_set_device(fd, "a-name-of-sixteen"), -EINVAL);
    close(fd);
}

Test(sockopt, packets_may_be_marked)
{
    uint32_t mark = 1;
    int fd = tcp();
    check_eq(ouro_sockopt_mark(fd, &mark), 0);
    check_eq(mark, 0);
    int rc = ouro_sockopt_set_mark(fd, 0xfffffff0);
    if (rc == -EPERM)
        cr_skip_test("needs CAP_NET_ADMIN");
    check_eq(rc, 0);
    check_eq(ouro_sockopt_mark(fd, &mark), 0);
    check_eq(mark, 0xfffffff0);
    check_eq(ouro_sockopt_mark(fd, NULL), -EINVAL);
    close(fd);
}

/* ---- What a connection tells ----------------------------------------------------------------- */

Test(sockopt, tcp_info_tells_of_round_trips_and_bytes)
{
    int ends[2];
    char text[100] = "x";
    ouro_tcp_info info;
    connected(ends);
    check_eq(write(ends[0], text, sizeof text), sizeof text);
    check_eq(read(ends[1], text, sizeof text), sizeof text);
    check_eq(write(ends[1], text, 10), 10);
    check_eq(read(ends[0], text, 10), 10);
    check_eq(ouro_sockopt_tcp_info(ends[0], &info), 0);
    check_eq(info.state, 1);
    check(info.rtt > 0 && info.rtt < OURO_SEC(10));
    check(info.rto >= info.rtt);
    check_eq(info.received, 10);
    check(info.acknowledged >= sizeof text);
    check(info.send_mss > 500);
    check(info.window_segments > 0);
    check_eq(info.lost, 0);
    check_eq(ouro_sockopt_tcp_info(ends[0], NULL), -EINVAL);
    int cpu = ouro_sockopt_incoming_cpu(ends[0]);
    check(cpu >= 0);
    check_eq(ouro_sockopt_set_incoming_cpu(ends[0], 0), 0);
    check_eq(ouro_sockopt_set_incoming_cpu(ends[0], -1), -EINVAL);
    close(ends[0]);
    close(ends[1]);
}

Test(sockopt, both_ends_tell_their_addresses)
{
    int ends[2];
    ouro_address own, peer;
    connected(ends);
    check_eq(ouro_sockopt_address(ends[0], &own), 0);
    check_eq(ouro_sockopt_peer_address(ends[1], &peer), 0);
    check_eq(ouro_address_compare(&own, &peer), 0);
    check_eq(ouro_sockopt_address(ends[0], NULL), -EINVAL);
    close(ends[0]);
    close(ends[1]);
    check_eq(ouro_sockopt_address(ends[0], &own), -EBADF);
    int fd = tcp();
    check_eq(ouro_sockopt_peer_address(fd, &own), -ENOTCONN);
    close(fd);
    fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    check_eq(ouro_sockopt_address(fd, &own), -EAFNOSUPPORT);
    close(fd);
}

Test(sockopt, a_unix_socket_tells_who_is_there)
{
    int ends[2];
    ouro_peer peer;
    check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    check_eq(ouro_sockopt_peer(ends[0], &peer), 0);
    check_eq(peer.pid, getpid());
    check_eq(peer.uid, getuid());
    check_eq(peer.gid, getgid());
    check_eq(ouro_sockopt_peer(ends[0], NULL), -EINVAL);
    close(ends[0]);
    close(ends[1]);
    int fd = local();
    check_eq(ouro_sockopt_peer(fd, &peer), -ENOTCONN);
    close(fd);
    fd = tcp();
    check_eq(ouro_sockopt_peer(fd, &peer), -EOPNOTSUPP);
    close(fd);
    check_eq(ouro_sockopt_peer(-1, &peer), -EBADF);
}

/* ---- UDP and multicast ----------------------------------------------------------------------- */

/* A socket bound to any port of a family, its address with that of @group. */
static int member(const char *any, ouro_address *group)
{
    ouro_address at = address(any);
    int fd = socket(at.as.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    check_eq(bind(fd, &at.as.any, at.size), 0);
    check_eq(ouro_sockopt_address(fd, &at), 0);
    check_eq(ouro_address_set_port(group, ouro_address_port(&at)), 0);
    return fd;
}

/* Whether what is sent to @group from this machine's own address, out of lo, is heard by @fd. */
static bool hears(int fd, const ouro_address *group)
{
    char text[8];
    ouro_address from = address("127.0.0.1:0");
    int sender = udp();
    check_eq(bind(sender, &from.as.any, from.size), 0);
    check_eq(ouro_sockopt_set_multicast_device(sender, "lo"), 0);
    check_eq(sendto(sender, "hello", 5, 0, &group->as.any, group->size), 5);
    close(sender);
    poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 100);
    return recv(fd, text, sizeof text, 0) == 5;
}

Test(sockopt, groups_are_joined_and_left)
{
    ouro_address group = address("239.255.7.7:0");
    int fd = member("0.0.0.0:0", &group);
    check(!hears(fd, &group));
    check_eq(ouro_sockopt_join(fd, &group, NULL, "lo"), 0);
    check_eq(ouro_sockopt_join(fd, &group, NULL, "lo"), -EADDRINUSE);
    check(hears(fd, &group));
    check_eq(ouro_sockopt_leave(fd, &group, NULL, "lo"), 0);
    check_eq(ouro_sockopt_leave(fd, &group, NULL, "lo"), -EADDRNOTAVAIL);
    check(!hears(fd, &group));
    close(fd);
}

/* Not every machine has a route for these, but all can join. */
Test(sockopt, groups_of_ip6_are_joined_and_left)
{
    ouro_address group = address("[ff01::7:7]:0"), me = address("[::1]:0");
    int fd = member("[::]:0", &group);
    check_eq(ouro_sockopt_join(fd, &group, NULL, "lo"), 0);
    check_eq(ouro_sockopt_join(fd, &group, NULL, "lo"), -EADDRINUSE);
    check_eq(ouro_sockopt_leave(fd, &group, NULL, "lo"), 0);
    check_eq(ouro_sockopt_leave(fd, &group, NULL, "lo"), -EADDRNOTAVAIL);
    check_eq(ouro_sockopt_join(fd, &group, &me, "lo"), 0);
    check_eq(ouro_sockopt_leave(fd, &group, &me, "lo"), 0);
    check_eq(ouro_sockopt_set_multicast_device(fd, "lo"), 0);
    close(fd);
}

Test(sockopt, a_group_may_be_joined_for_one_sender)
{
    ouro_address group = address("232.7.7.7:0"), other = address("232.7.7.8:0");
    ouro_address me = address("127.0.0.1:0"), stranger = address("192.0.2.1:0");
    int fd = member("0.0.0.0:0", &group);
    check_eq(ouro_sockopt_join(fd, &group, &stranger, "lo"), 0);
    check(!hears(fd, &group));
    check_eq(ouro_sockopt_join(fd, &group, &me, "lo"), 0);
    check(hears(fd, &group));
    check_eq(ouro_sockopt_leave(fd, &group, &me, "lo"), 0);
    check(!hears(fd, &group));
    check_eq(ouro_sockopt_leave(fd, &group, &stranger, "lo"), 0);
    check(ouro_sockopt_leave(fd, &other, &me, "lo") < 0);
    close(fd);
}

Test(sockopt, what_is_no_group_is_refused)
{
    ouro_address group = address("239.255.7.7:0"), group6 = address("[ff02::7%lo]:0");
    ouro_address me = address("127.0.0.1:0"), me6 = address("[::1]:0");
    int fd = udp();
    check_eq(ouro_sockopt_join(fd, NULL, NULL, NULL), -EINVAL);
    check_eq(ouro_sockopt_join(fd, &me, NULL, NULL), -EINVAL);
    check_eq(ouro_sockopt_join(fd, &group6, NULL, NULL), -EINVAL);
    check_eq(ouro_sockopt_join(fd, &group, &me6, NULL), -EINVAL);
    check_eq(ouro_sockopt_join(fd, &group, NULL, "nosuchdevice"), -ENODEV);
    check_eq(ouro_sockopt_set_multicast_device(fd, "nosuchdevice"), -ENODEV);
    check_eq(ouro_sockopt_set_multicast_device(fd, NULL), 0);
    close(fd);
    check_eq(ouro_sockopt_join(fd, &group, NULL, NULL), -EBADF);
    fd = udp6();
    check_eq(ouro_sockopt_join(fd, &group6, NULL, NULL), 0); /* on the interface of its zone */
    check_eq(ouro_sockopt_leave(fd, &group6, NULL, "lo"), 0);
    close(fd);
}

Test(sockopt, broadcasts_have_to_be_allowed)
{
    ouro_address all = address("127.255.255.255:9");
    int fd = udp();
    check_eq(sendto(fd, "x", 1, 0, &all.as.any, all.size), -1);
    check_eq(errno, EACCES);
    check_eq(ouro_sockopt_set_broadcast(fd, 1), 0);
    check_eq(sendto(fd, "x", 1, 0, &all.as.any, all.size), 1);
    close(fd);
}

/* ---- All at once ----------------------------------------------------------------------------- */

Test(sockopt, one_set_of_options_is_for_all_kinds_of_sockets)
{
    ouro_socket_options opts = {
        .keep_alive = 1,
        .keepalive = {.count = 5},
        .reuse_address = 1,
        .reuse_port = 1,
        .v6only = 1,
        .send_buffer = 20000,
        .receive_buffer = 30000,
        .tos = 8,
        .user_timeout = OURO_SEC(3),
        .congestion = "reno",
    };
    int (*const kinds[])(void) = {tcp, tcp6, udp, udp6, local};
    for (size_t i = 0; i < 5; i++) {
        int fd = kinds[i]();
        const char *failed = "none";
        int rc = ouro_sockopt_apply(fd, &opts, &failed);
        cr_assert_eq(rc, 0, "%zu: %s", i, failed);
        check_text(failed, "none");
        check_eq(ouro_sockopt_send_buffer(fd), 40000);
        check_eq(ouro_sockopt_receive_buffer(fd), 60000);
        check_eq(ouro_sockopt_reuse_address(fd), 1);
        if (i < 4) {
            check_eq(ouro_sockopt_tos(fd), 8);
            check_eq(ouro_sockopt_reuse_port(fd), 1);
        }
        if (i < 2) {
            check_eq(ouro_sockopt_nodelay(fd), 1);
            check_eq(ouro_sockopt_keepalive(fd, NULL), 1);
        }
        if (i == 1)
            check_eq(ouro_sockopt_v6only(fd), 1);
        close(fd);
    }
}

Test(sockopt, the_first_that_fails_is_named_and_ends_it)
{
    const char *failed = NULL;
    int fd = tcp();
    check_eq(ouro_sockopt_apply(fd, &(ouro_socket_options){.send_buffer = -1}, &failed), -EINVAL);
    check_text(failed, "send_buffer");
    check_eq(ouro_sockopt_nodelay(fd), 0);
    check_eq(ouro_sockopt_apply(fd, &(ouro_socket_options){.tos = 256}, &failed), -EINVAL);
    check_text(failed, "tos");
    check_eq(ouro_sockopt_apply(fd, &(ouro_socket_options){.congestion = "nosuch"}, &failed),
             -ENOENT);
    check_text(failed, "congestion");
    check_eq(ouro_sockopt_apply(-1, NULL, &failed), -EBADF);
    check_text(failed, "socket");
    check_eq(ouro_sockopt_apply(fd, NULL, NULL), 0);
    check_eq(ouro_sockopt_nodelay(fd), 1);
    close(fd);
}
