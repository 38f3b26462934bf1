/* SPDX-License-Identifier: MIT */
/*
 * Connecting: every kind of address, every way to fail, races of several addresses, and that no
 * descriptor is left behind whenever it is cancelled.
 *
 * A peer is silent when the queue of its listener is full: then it leaves a SYN unanswered.
 */
#define _GNU_SOURCE
#include "descriptors.h"
#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "other.h"
#include "resolve_int.h"

TestSuite(connect, .timeout = 100);

/* ---- Peers ----------------------------------------------------------------------------------- */

static ouro_address address(const char *text)
{
    ouro_address a;
    check_eq(ouro_address_parse(text, &a), 0);
    return a;
}

/* A socket that is bound, and its address. */
static int bound(const char *text, int type, ouro_address *ret)
{
    *ret = address(text);
    int fd = socket(ret->as.any.sa_family, type | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    check_eq(bind(fd, &ret->as.any, ret->size), 0);
    check_eq(ouro_sockopt_address(fd, ret), 0);
    return fd;
}

static int listening(const char *text, ouro_address *ret)
{
    int fd = bound(text, SOCK_STREAM, ret);
    check_eq(listen(fd, 128), 0);
    return fd;
}

static const char *printed(const ouro_address *a)
{
    static char text[OURO_ADDRESS_TEXT];
    ouro_address_print(a, text, sizeof text);
    return text;
}

/* Where nobody listens, for as long as the socket is open. */
static int refusing(ouro_address *ret)
{
    return bound("127.0.0.1:0", SOCK_STREAM, ret);
}

/* A listener whose queue is full. */
struct silent {
    int fd;
    int clients[8];
    ouro_address at;
};

static void begin_silence(struct silent *s)
{
    s->fd = bound("127.0.0.1:0", SOCK_STREAM, &s->at);
    check_eq(listen(s->fd, 0), 0);
    for (int i = 0; i < 8; i++) {
        s->clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(s->clients[i], &s->at.as.any, s->at.size) < 0)
            check_eq(errno, EINPROGRESS);
    }
    poll(NULL, 0, 10);
}

static void end_silence(struct silent *s)
{
    for (int i = 0; i < 8; i++)
        close(s->clients[i]);
    close(s->fd);
}

static ouro_future *connect_one(const ouro_address *a)
{
    return ouro_connect_to(a, 1, NULL);
}

/* ---- Success --------------------------------------------------------------------------------- */

/* Whether @where leads to the listener @fd. */
static void check_leads_to(int fd, const char *where, const ouro_connect_options *opts)
{
    int64_t client = ouro_await(ouro_connect(where, opts));
    if (client < 0)
        cr_assert_fail("%s: %s", where, ouro_strerror(client));
    int server = accept(fd, NULL, NULL);
    check(server >= 0);
    check_eq(write((int)client, "hello", 5), 5);
    char text[8];
    check_eq(read(server, text, sizeof text), 5);
    close(server);
    close((int)client);
}

KernelTest(connect, to_every_kind_of_address)
{
    static const char *const kinds[] = {"127.0.0.1:0", "[::1]:0", "unix:@ouro-test-connect"};
    for (size_t i = 0; i < 3; i++) {
        ouro_address at;
        int fd = listening(kinds[i], &at);
        check_leads_to(fd, printed(&at), NULL);
        close(fd);
    }
    ouro_address at;
    char path[64];
    snprintf(path, sizeof path, "unix:/tmp/ouro-test-connect-%d", (int)getpid());
    int fd = listening(path, &at);
    check_leads_to(fd, path, NULL);
    close(fd);
    unlink(path + 5);
    return 0;
}

KernelTest(connect, to_a_name)
{
    ouro_address at;
    int fd = listening("127.0.0.1:0", &at);
    char where[64];
    snprintf(where, sizeof where, "localhost:%d", ouro_address_port(&at));
    check_leads_to(fd, where, NULL); /* [::1] may come first, and is refused */
    check_leads_to(fd, where, &(ouro_connect_options){.names = {.family = OURO_FAMILY_IP4}});
    close(fd);
    ouro_resolve_flush();
    return 0;
}

KernelTest(connect, to_a_unix_socket_of_packets)
{
    ouro_address at;
    int fd = bound("unix:@ouro-test-packets", SOCK_SEQPACKET, &at);
    check_eq(listen(fd, 8), 0);
    check_leads_to(fd, "unix:@ouro-test-packets", &(ouro_connect_options){.type = SOCK_SEQPACKET});
    check_eq(ouro_await(ouro_connect("unix:@ouro-test-packets", NULL)), -ECONNREFUSED);
    close(fd);
    return 0;
}

KernelTest(connect, options_are_set_before)
{
    ouro_address at, from = address("127.0.0.2:0"), peer;
    int fd = listening("127.0.0.1:0", &at);
    ouro_connect_options opts = {
        .bind = &from,
        .socket = {.keep_alive = 1,
                   .keepalive = {.idle = OURO_SEC(60), .interval = OURO_SEC(5), .count = 3},
                   .reuse_address = 1,
                   .send_buffer = 16384,
                   .tos = 0x10,
                   .user_timeout = OURO_SEC(7),
                   .congestion = "reno"},
    };
    int client = (int)ouro_await(ouro_connect_to(&at, 1, &opts));
    check(client >= 0);
    int server = accept(fd, NULL, NULL);
    check_eq(ouro_sockopt_peer_address(server, &peer), 0);
    ouro_address_set_port(&peer, 0);
    check_text(printed(&peer), "127.0.0.2:0");
    ouro_keepalive how;
    ouro_ns limit;
    char name[16];
    check_eq(ouro_sockopt_nodelay(client), 1);
    check_eq(ouro_sockopt_keepalive(client, &how), 1);
    check_eq(how.idle, OURO_SEC(60));
    check_eq(how.interval, OURO_SEC(5));
    check_eq(how.count, 3);
    check_eq(ouro_sockopt_reuse_address(client), 1);
    check_eq(ouro_sockopt_send_buffer(client), 32768);
    check_eq(ouro_sockopt_tos(client), 0x10);
    check_eq(ouro_sockopt_user_timeout(client, &limit), 0);
    check_eq(limit, OURO_SEC(7));
    check_eq(ouro_sockopt_congestion(client, name, sizeof name), 0);
    check_text(name, "reno");
    check_eq(fcntl(client, F_GETFD), FD_CLOEXEC);
    close(client);
    close(server);
    int slow = (int)ouro_await(
        ouro_connect_to(&at, 1, &(ouro_connect_options){.socket = {.nagle = 1}}));
    check_eq(ouro_sockopt_nodelay(slow), 0);
    close(slow);
    close(fd);
    return 0;
}

KernelTest(connect, fast_open_is_connected_at_once)
{
    ouro_address at;
    int fd = listening("127.0.0.1:0", &at);
    ouro_connect_options opts = {.fast_open = 1};
    check_leads_to(fd, printed(&at), &opts);
    close(fd);
    return 0;
}

/* ---- Failure --------------------------------------------------------------------------------- */

KernelTest(connect, nobody_there_is_refused_and_named)
{
    ouro_address at;
    char want[OURO_ADDRESS_TEXT + 64];
    int fd = refusing(&at);
    ouro_future *f = ouro_connect(printed(&at), NULL);
    check_eq(ouro_await(ouro_ref(f)), -ECONNREFUSED);
    snprintf(want, sizeof want, "cannot connect to %s: Connection refused", printed(&at));
    check_text(ouro_future_detail(f), want);
    ouro_unref(f);
    close(fd);
    return 0;
}

KernelTest(connect, unix_sockets_fail_in_their_own_ways)
{
    ouro_address at;
    check_eq(ouro_await(ouro_connect("unix:/no/such/socket", NULL)), -ENOENT);
    check_eq(ouro_await(ouro_connect("unix:@ouro-no-such-name", NULL)), -ECONNREFUSED);
    check_eq(ouro_await(ouro_connect("unix:/dev/null", NULL)), -ECONNREFUSED);
    char path[64];
    snprintf(path, sizeof path, "unix:/tmp/ouro-test-dgram-%d", (int)getpid());
    int fd = bound(path, SOCK_DGRAM, &at);
    check_eq(ouro_await(connect_one(&at)), -EPROTOTYPE);
    unlink(path + 5);
    close(fd);
    return 0;
}

KernelTest(connect, a_socket_connected_to_itself_is_refused)
{
    ouro_address at;
    int fd = refusing(&at);
    close(fd); /* now the port is free */
    ouro_connect_options opts = {.bind = &at, .socket = {.reuse_address = 1}};
    check_eq(ouro_await(ouro_connect_to(&at, 1, &opts)), -ECONNREFUSED);
    return 0;
}

KernelTest(connect, malformed_places_and_options_are_refused)
{
    static const struct {
        const char *where;
        int code;
    } bad[] = {
        {NULL, -EINVAL},        {"", -EINVAL},
        {"127.0.0.1", -EINVAL}, {"127.0.0.1:0", -EINVAL},
        {":80", -EINVAL},       {"localhost:65536", -ERANGE},
        {"::1:80", -EINVAL},    {"[::1%nosuchinterface]:80", -ENODEV},
        {"unix:", -EINVAL},     {"127.0.0.300:80", -EINVAL},
        {"a b:80", -EINVAL},    {"127.0.0.1:no-such-service", -OURO_ENOSERVICE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t rc = ouro_await(ouro_connect(bad[i].where, NULL));
        cr_assert_eq(rc, bad[i].code, "%zu: %lld", i, (long long)rc);
    }
    ouro_address none = {.size = 0}, at = address("127.0.0.1:1"), ip6 = address("[::1]:0");
    check_eq(ouro_await(ouro_connect_to(NULL, 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_connect_to(&at, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_connect_to(&at, 1025, NULL)), -EINVAL);
    check_eq(ouro_await(connect_one(&none)), -EINVAL);
    const ouro_connect_options wrong[] = {
        {.type = SOCK_DGRAM},
        {.stagger = OURO_MS(10) - 1},
        {.bind = &none},
        {.names = {.family = (ouro_family)9}},
    };
    for (size_t i = 0; i < 4; i++)
        check_eq(ouro_await(ouro_connect("127.0.0.1:1", &wrong[i])), -EINVAL);
    check_eq(ouro_await(ouro_connect_to(&at, 1, &(ouro_connect_options){.bind = &ip6})),
             -EAFNOSUPPORT);
    ouro_resolve_flush();
    return 0;
}

KernelTest(connect, an_option_that_fails_is_named)
{
    ouro_connect_options opts = {.socket = {.congestion = "nosuchcontrol"}};
    ouro_future *f = ouro_connect("127.0.0.1:1", &opts);
    check_eq(ouro_await(ouro_ref(f)), -ENOENT);
    check_text(ouro_future_detail(f),
               "cannot connect to 127.0.0.1:1: congestion: No such file or directory");
    ouro_unref(f);
    ouro_address elsewhere = address("192.0.2.1:0");
    f = ouro_connect("127.0.0.1:1", &(ouro_connect_options){.bind = &elsewhere});
    check_eq(ouro_await(ouro_ref(f)), -EADDRNOTAVAIL);
    check_text(ouro_future_detail(f),
               "cannot connect to 127.0.0.1:1: bind: Cannot assign requested address");
    ouro_unref(f);
    return 0;
}

KernelTest(connect, without_a_descriptor_it_fails)
{
    struct rlimit before, few;
    ouro_address at;
    int fd = listening("127.0.0.1:0", &at);
    check_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)fd + 1;
    check_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    ouro_address both[2] = {at, at};
    int64_t rc = ouro_await(ouro_connect_to(both, 2, NULL));
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    check_eq(rc, -EMFILE);
    close(fd);
    return 0;
}

/* ---- Races ----------------------------------------------------------------------------------- */

KernelTest(connect, the_next_is_tried_beside_one_that_is_silent)
{
    struct silent s;
    ouro_address two[2];
    begin_silence(&s);
    two[0] = s.at;
    int fd = listening("127.0.0.1:0", &two[1]);
    ouro_ns before = ouro_now();
    int64_t client = ouro_await(ouro_connect_to(two, 2, NULL));
    check(client >= 0);
    check(ouro_now() - before >= OURO_MS(250));
    ouro_address peer;
    check_eq(ouro_sockopt_peer_address((int)client, &peer), 0);
    check_eq(ouro_address_compare(&peer, &two[1]), 0);
    close((int)client);
    close(fd);
    end_silence(&s);
    return 0;
}

KernelTest(connect, the_next_is_tried_at_once_when_one_fails)
{
    ouro_address two[2];
    int gone = refusing(&two[0]);
    int fd = listening("127.0.0.1:0", &two[1]);
    int64_t client = ouro_await(
        ouro_connect_to(two, 2, &(ouro_connect_options){.stagger = OURO_FOREVER}));
    check(client >= 0);
    close((int)client);
    close(fd);
    close(gone);
    return 0;
}

KernelTest(connect, one_after_the_other_waits_for_the_first)
{
    struct silent s;
    ouro_address two[2];
    begin_silence(&s);
    two[0] = s.at;
    int fd = listening("127.0.0.1:0", &two[1]);
    ouro_connect_options opts = {.stagger = OURO_FOREVER};
    check_eq(ouro_await(ouro_timeout(ouro_connect_to(two, 2, &opts), OURO_MS(400))), -ETIMEDOUT);
    close(fd);
    end_silence(&s);
    return 0;
}

KernelTest(connect, families_take_turns_and_every_error_is_told)
{
    ouro_address four[4];
    int a = refusing(&four[0]), b = refusing(&four[1]);
    int c = bound("[::1]:0", SOCK_STREAM, &four[2]);
    four[3] = address("224.0.0.1:7"); /* nobody can be connected to a group */
    ouro_future *f = ouro_connect_to(four, 4, NULL);
    check_eq(ouro_await(ouro_ref(f)), -ECONNREFUSED);
    char text[4 * OURO_ADDRESS_TEXT + 128], p[4][OURO_ADDRESS_TEXT];
    for (size_t i = 0; i < 4; i++)
        snprintf(p[i], sizeof p[i], "%s", printed(&four[i]));
    snprintf(text, sizeof text,
             "cannot connect to the addresses: %s: Connection refused; %s: Connection refused; "
             "%s: Connection refused; %s: Network is unreachable",
             p[0], p[2], p[1], p[3]);
    check_text(ouro_future_detail(f), text);
    ouro_unref(f);
    close(a);
    close(b);
    close(c);
    return 0;
}

KernelTest(connect, the_first_error_that_says_more_is_the_result)
{
    ouro_address two[2] = {address("224.0.0.1:7"), address("224.0.0.1:7")};
    check_eq(ouro_await(ouro_connect_to(two, 2, NULL)), -ENETUNREACH);
    int fd = refusing(&two[1]);
    check_eq(ouro_await(ouro_connect_to(two, 2, NULL)), -ECONNREFUSED);
    close(fd);
    return 0;
}

KernelTest(connect, of_many_errors_the_first_eight_are_told)
{
    ouro_address many[12];
    int fd = refusing(&many[0]);
    for (int i = 1; i < 12; i++)
        many[i] = many[0];
    ouro_future *f = ouro_connect_to(many, 12, NULL);
    check_eq(ouro_await(ouro_ref(f)), -ECONNREFUSED);
    check(strstr(ouro_future_detail(f), "; and 4 more") != NULL);
    ouro_unref(f);
    close(fd);
    return 0;
}

KernelTest(connect, addresses_of_another_family_than_the_bound_are_skipped)
{
    ouro_address two[2], from = address("127.0.0.1:0");
    int c = bound("[::1]:0", SOCK_STREAM, &two[0]);
    int fd = listening("127.0.0.1:0", &two[1]);
    int64_t client = ouro_await(ouro_connect_to(two, 2, &(ouro_connect_options){.bind = &from}));
    check(client >= 0);
    close((int)client);
    close(fd);
    close(c);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

KernelTest(connect, cancelled_before_it_is_submitted)
{
    ouro_address at;
    int fd = listening("127.0.0.1:0", &at);
    ouro_future *f = connect_one(&at);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(ouro_ref(f)), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    close(fd);
    return 0;
}

KernelTest(connect, cancelled_in_flight_by_a_timeout)
{
    struct silent s;
    begin_silence(&s);
    check_eq(ouro_await(ouro_timeout(connect_one(&s.at), OURO_MS(20))), -ETIMEDOUT);
    ouro_address many[5] = {s.at, s.at, s.at, s.at, s.at};
    ouro_connect_options opts = {.stagger = OURO_MS(10)};
    check_eq(ouro_await(ouro_timeout(ouro_connect_to(many, 5, &opts), OURO_MS(80))), -ETIMEDOUT);
    end_silence(&s);
    return 0;
}

KernelTest(connect, nothing_is_begun_after_a_cancel)
{
    struct silent s;
    begin_silence(&s);
    ouro_address two[2] = {s.at, s.at};
    ouro_future *f = ouro_connect_to(two, 2, &(ouro_connect_options){.stagger = OURO_MS(20)});
    check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    ouro_cancel(f);
    poll(NULL, 0, 40); /* now the second is due in the very turn in which the first ends */
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    end_silence(&s);
    return 0;
}

KernelTest(connect, cancelled_after_completion_has_no_effect)
{
    ouro_address at;
    int fd = listening("127.0.0.1:0", &at);
    ouro_future *f = connect_one(&at);
    while (ouro_future_state(f) == OURO_PENDING)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(ouro_cancel(f), 0);
    ouro_unref(f); /* nobody took the descriptor, and it is closed */
    close(fd);
    return 0;
}

KernelTest(connect, a_full_unix_listener_is_waited_for_and_can_be_cancelled)
{
    ouro_address at;
    int fd = bound("unix:@ouro-test-full", SOCK_STREAM, &at);
    check_eq(listen(fd, 0), 0);
    int first = (int)ouro_await(connect_one(&at));
    check(first >= 0);
    check_eq(ouro_await(ouro_timeout(connect_one(&at), OURO_MS(20))), -ETIMEDOUT);
    ouro_future *f = connect_one(&at);
    check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    int server = accept(fd, NULL, NULL); /* makes room */
    int second = (int)ouro_await(f);
    check(second >= 0);
    close(first);
    close(second);
    close(server);
    close(fd);
    return 0;
}

KernelTest(connect, of_two_that_are_connected_in_one_turn_the_second_is_closed)
{
    ouro_address two[2];
    int fds[2], clients[2], servers[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = bound(i ? "unix:@ouro-test-turn-1" : "unix:@ouro-test-turn-0", SOCK_STREAM,
                       &two[i]);
        check_eq(listen(fds[i], 0), 0);
        clients[i] = (int)ouro_await(connect_one(&two[i]));
    }
    ouro_future *f = ouro_connect_to(two, 2, &(ouro_connect_options){.stagger = OURO_MS(10)});
    check_eq(ouro_await(ouro_sleep(OURO_MS(40))), 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    for (int i = 0; i < 2; i++)
        servers[i] = accept(fds[i], NULL, NULL); /* makes room */
    poll(NULL, 0, 40);
    int client = (int)ouro_await(f);
    check(client >= 0);
    close(client);
    for (int i = 0; i < 2; i++) {
        close(clients[i]);
        close(servers[i]);
        close(fds[i]);
    }
    return 0;
}

static atomic_bool stuck;

static int stuck_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                             struct addrinfo **ret_list)
{
    (void)host, (void)service, (void)hints, (void)ret_list;
    while (atomic_load(&stuck))
        poll(NULL, 0, 1);
    return EAI_NONAME;
}

KernelTest(connect, cancelled_while_its_name_is_looked_up)
{
    ouro__getaddrinfo = stuck_getaddrinfo;
    atomic_store(&stuck, true);
    check_eq(ouro_await(ouro_timeout(ouro_connect("example.org:80", NULL), OURO_MS(10))),
             -ETIMEDOUT);
    atomic_store(&stuck, false);
    ouro_future *f = ouro_connect("example.org:80", NULL);
    check_eq(ouro_await(ouro_ref(f)), -OURO_ENONAME);
    check_text(ouro_future_detail(f), "cannot resolve example.org:80");
    ouro_unref(f);
    ouro_resolve_flush();
    return 0;
}

static int64_t leave_some_behind(void *arg)
{
    struct silent *s = arg;
    ouro_address many[3] = {s->at, s->at, s->at};
    ouro_detach(ouro_connect_to(many, 3, &(ouro_connect_options){.stagger = OURO_MS(10)}));
    ouro_detach(connect_one(&s->at));
    return ouro_await(ouro_sleep(OURO_MS(15)));
}

Test(connect, a_shutdown_cancels_what_is_under_way)
{
    struct silent s;
    begin_silence(&s);
    int before = dup(0);
    check_eq(ouro_run(leave_some_behind, &s, NULL), 0);
    int after = dup(0);
    check_eq(after, before + 1); /* nothing was left open in between */
    close(before);
    close(after);
    end_silence(&s);
}

/* Take what has come, and reset it, so that no ports are used up. */
static void accept_all(int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        ouro_sockopt_set_linger(fd, 0);
        close(fd);
    }
    check_eq(errno, EAGAIN);
}

/* Ten thousand rounds, of which some are cancelled at once, some in a later turn, some never. */
static void storm(const char *where)
{
    ouro_address both[2];
    int listener = listening(where, &both[0]);
    int connected = 0, cancelled = 0, before = open_fds();
    both[1] = both[0];
    check_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < 10000; i++) {
        ouro_future *f = ouro_connect_to(both, i % 3 ? 1 : 2, NULL);
        for (int k = i % 5; k > 0; k--)
            check_eq(ouro_yield(), 0);
        if (i % 5 < 4)
            ouro_cancel(f);
        int64_t fd = ouro_await(f);
        if (fd >= 0)
            close((int)fd);
        check(fd >= 0 || fd == -OURO_ECHILDCANCELLED);
        connected += fd >= 0;
        cancelled += fd < 0;
        accept_all(listener);
    }
    check(connected >= 2000);
    check(cancelled >= 2000);
    check_eq(open_fds(), before);
    close(listener);
}

KernelTest(connect, ten_thousand_tcp_connects_raced_with_cancel_leave_no_descriptor)
{
    storm("127.0.0.1:0");
    return 0;
}

KernelTest(connect, ten_thousand_unix_connects_raced_with_cancel_leave_no_descriptor)
{
    storm("unix:@ouro-test-storm");
    return 0;
}

/* ---- No memory, no loop ---------------------------------------------------------------------- */

static int64_t connect_with_less_and_less(void *arg)
{
    ouro_address *at = arg;
    char where[32];
    snprintf(where, sizeof where, "localhost:%d", ouro_address_port(at));
    ouro_address both[2] = {*at, *at};
    for (int kind = 0; kind < 3; kind++) {
        int64_t rc = -ENOMEM;
        for (int n = 0; rc == -ENOMEM; n++) {
            grants = n;
            rc = ouro_await(kind == 0   ? connect_one(at)
                            : kind == 1 ? ouro_connect_to(both, 2, NULL)
                                        : ouro_connect(where, NULL));
            grants = -1;
        }
        check(rc >= 0);
        close((int)rc);
    }
    return 0;
}

Test(connect, without_memory_it_fails_and_nothing_is_lost)
{
    ouro_address at;
    ration_memory();
    int fd = listening("127.0.0.1:0", &at);
    begin_kernel();
    check_eq(run_main(connect_with_less_and_less, &at), 0);
    end();
    close(fd);
    ouro_resolve_flush();
}

Test(connect, without_a_loop_nothing_is_opened)
{
    ouro_address at = address("127.0.0.1:1");
    ouro_future *f = ouro_connect("127.0.0.1:1", NULL);
    check_eq(ouro_future_result(f).n, -EPERM);
    ouro_unref(f);
    f = connect_one(&at);
    check_eq(ouro_future_result(f).n, -EPERM);
    ouro_unref(f);
}
