/* SPDX-License-Identifier: MIT */
/*
 * Unix sockets of messages: datagrams, sequenced packets, names, who is at the other end.
 */
#define _GNU_SOURCE
#include "datagram_test.h"

#include <sys/stat.h>
#include <sys/un.h>

TestSuite(unix_messages, .timeout = 60);

static ouro_address named(const char *prefix)
{
    char name[100];
    ouro_address a;
    snprintf(name, sizeof name, "%s-%d", prefix, (int)getpid());
    check_eq(ouro_address_of_unix(name, &a), 0);
    return a;
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

static void to_a_name(const ouro_address *name)
{
    ouro_address back = named("@ouro-test-back");
    ouro_datagram *to, *from;
    ouro_message m;
    check_eq(ouro_datagram_open(name, NULL, NULL, &to), 0);
    check_eq(ouro_datagram_open(&back, NULL, NULL, &from), 0);
    check_eq(ouro_await(ouro_datagram_send_to(from, "hello", 5, name)), 5);
    check_eq(ouro_await(ouro_datagram_next(to, &m, 1)), 1);
    check_eq(m.size, 5);
    check_eq(ouro_address_compare(&m.from, &back), 0);
    check_eq(ouro_await(ouro_datagram_send_to(to, m.bytes, m.size, &m.from)), 5);
    expect(from, "hello");
    ouro_datagram_free(from);
    ouro_datagram_free(to);
}

KernelTest(unix_messages, datagrams_go_to_names_in_the_file_system)
{
    ouro_address name = named("/tmp/ouro-test");
    to_a_name(&name);
    check_eq(unlink(name.as.local.sun_path), 0);
    return 0;
}

KernelTest(unix_messages, datagrams_go_to_abstract_names_and_leave_no_file)
{
    ouro_address name = named("@ouro-test");
    struct stat st;
    to_a_name(&name);
    check_eq(stat(name.as.local.sun_path + 1, &st), -1);
    return 0;
}

/* A path may fill its field, and the kernel then counts a zero behind it all the same. */
KernelTest(unix_messages, a_sender_whose_name_fills_its_field_can_be_answered)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char path[sizeof(un.sun_path) + 1] = {0}, text[3] = "";
    ouro_address to = named("@ouro-test");
    ouro_datagram *d;
    ouro_message m;
    memset(path, 'x', sizeof(un.sun_path));
    snprintf(path, sizeof path, "/tmp/ouro-test-%0*d", (int)sizeof(un.sun_path) - 15,
             (int)getpid());
    memcpy(un.sun_path, path, sizeof(un.sun_path));
    int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check_eq(bind(s, (const struct sockaddr *)&un, sizeof un), 0);
    check_eq(ouro_datagram_open(&to, NULL, NULL, &d), 0);
    check_eq(sendto(s, "hi", 2, 0, &to.as.any, to.size), 2);
    check_eq(ouro_await(ouro_datagram_next(d, &m, 1)), 1);
    check_eq(ouro_await(ouro_datagram_send_to(d, m.bytes, m.size, &m.from)), 2);
    check_eq(recv(s, text, sizeof text, 0), 2);
    ouro_datagram_free(d);
    close(s);
    check_eq(unlink(path), 0);
    return 0;
}

KernelTest(unix_messages, descriptors_for_an_address_that_is_none_go_to_nobody)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    ouro_address none = {0};
    int fd = 0;
    check_eq(ouro_await(ouro_datagram_send_fds(t.from, "x", 1, &fd, 1, &none)), -EINVAL);
    check_eq(ouro_await(ouro_datagram_send_to(t.from, "x", 1, &none)), -EINVAL);
    free_two(&t);
    return 0;
}

KernelTest(unix_messages, a_sender_without_a_name_is_none)
{
    ouro_address name = named("@ouro-test"), none = {0};
    ouro_datagram *to, *from;
    ouro_message m;
    check_eq(ouro_datagram_open(&name, NULL, NULL, &to), 0);
    check_eq(ouro_datagram_open(NULL, &name, NULL, &from), 0);
    send_text(from, "who?");
    check_eq(ouro_await(ouro_datagram_next(to, &m, 1)), 1);
    check_eq(ouro_address_compare(&m.from, &none), 0);
    check_eq(m.from.size, 0);
    ouro_datagram_free(from);
    ouro_datagram_free(to);
    return 0;
}

KernelTest(unix_messages, names_that_nobody_has_or_somebody_has_are_refused)
{
    ouro_address name = named("@ouro-test"), file = named("/tmp/ouro-test-none");
    ouro_datagram *d, *again;
    check_eq(ouro_datagram_open(&name, NULL, NULL, &d), 0);
    check_eq(ouro_datagram_open(&name, NULL, NULL, &again), -EADDRINUSE);
    check_eq(ouro_datagram_open(NULL, &file, NULL, &again), -ENOENT);
    check_eq(ouro_await(ouro_datagram_send_to(d, "x", 1, &file)), -ENOENT);
    ouro_address gone = named("@ouro-test-gone");
    check_eq(ouro_await(ouro_datagram_send_to(d, "x", 1, &gone)), -ECONNREFUSED);
    ouro_datagram_free(d);
    return 0;
}

static int64_t late_reader(void *d)
{
    ouro_await(ouro_sleep(OURO_MS(5)));
    ouro_message m[16];
    int64_t seen = 0;
    while (seen < 1000) {
        int64_t n = ouro_await(ouro_datagram_next(d, m, 16));
        for (int64_t i = 0; i < n; i++, seen++)
            check_eq(*(const int *)m[i].bytes, seen);
        if (n <= 0)
            return n;
    }
    return seen;
}

KernelTest(unix_messages, many_wait_for_room_and_keep_their_order)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    static int numbers[1000];
    static ouro_outgoing out[1000];
    for (int i = 0; i < 1000; i++) {
        numbers[i] = i;
        out[i] = (ouro_outgoing){.bytes = &numbers[i], .size = sizeof i};
    }
    ouro_future *reader = ouro_spawn(late_reader, t.to);
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, 1000)), 1000);
    check_eq(ouro_await(reader), 1000);
    free_two(&t);
    return 0;
}

KernelTest(unix_messages, many_stop_at_the_first_that_fails)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    static char big[4 << 20];
    ouro_outgoing out[] = {
        {.bytes = "a", .size = 1}, {.bytes = big, .size = sizeof big}, {.bytes = "c", .size = 1}};
    check_eq(ouro_await(ouro_datagram_send_many(t.from, out, 3)), 1);
    check_eq(out[0].result, 1);
    check_eq(out[1].result, -EMSGSIZE);
    check_eq(out[2].result, -EAGAIN);
    expect(t.to, "a");
    free_two(&t);
    return 0;
}

KernelTest(unix_messages, many_that_wait_for_room_can_be_cancelled_and_tell_which_went)
{
    struct two t = open_pair(SOCK_DGRAM, NULL);
    static ouro_outgoing out[2000];
    for (int i = 0; i < 2000; i++)
        out[i] = (ouro_outgoing){.bytes = "x", .size = 1};
    ouro_future *f = ouro_datagram_send_many(t.from, out, 2000);
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(20))), -ETIMEDOUT);
    int went = 0;
    while (went < 2000 && out[went].result == 1)
        went++;
    check(went > 0 && went < 2000);
    for (int i = went; i < 2000; i++)
        check_eq(out[i].result, -ECANCELED);
    ouro_message m[16];
    int seen = 0;
    for (int64_t n;
         (n = ouro_await(ouro_timeout(ouro_datagram_next(t.to, m, 16), OURO_MS(20)))) > 0;)
        seen += (int)n;
    check_eq(seen, went);
    free_two(&t);
    return 0;
}

/* ---- Who is there ---------------------------------------------------------------------------- */

KernelTest(unix_messages, a_message_tells_who_sent_it_if_asked)
{
    struct two t = open_pair(SOCK_DGRAM, &(ouro_datagram_options){.credentials = 1});
    ouro_message m;
    send_text(t.from, "me");
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    check(m.has_sender);
    check_eq(m.sender.pid, getpid());
    check_eq(m.sender.uid, getuid());
    check_eq(m.sender.gid, getgid());
    free_two(&t);
    t = open_pair(SOCK_SEQPACKET, NULL);
    send_text(t.from, "not asked");
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    check(!m.has_sender);
    free_two(&t);
    return 0;
}

/* ---- Sequenced packets ----------------------------------------------------------------------- */

static int64_t connect_to(void *name)
{
    int64_t rc;
    ouro_datagram *d = ouro_await_ptr(ouro_seqpacket_connect(name, NULL), &rc);
    check_eq(rc, 0);
    send_text(d, "one");
    send_text(d, "two");
    check_eq(ouro_await(ouro_datagram_send(d, "", 0)), 0);
    expect(d, "answer");
    char buf[8];
    check_eq(ouro_await(ouro_datagram_receive(d, buf, sizeof buf, NULL)), -ENODATA);
    ouro_datagram_free(d);
    return 0;
}

KernelTest(unix_messages, a_connection_of_messages_keeps_boundaries_and_tells_empty_from_ended)
{
    ouro_address name = named("@ouro-test");
    ouro_datagram *listener, *d;
    ouro_message m;
    int64_t rc;
    check_eq(ouro_seqpacket_listen(&name, 0, NULL, &listener), 0);
    ouro_future *client = ouro_spawn(connect_to, &name);
    d = ouro_await_ptr(ouro_seqpacket_accept(listener), &rc);
    check_eq(rc, 0);
    ouro_peer who;
    check_eq(ouro_sockopt_peer(ouro_datagram_fd(d), &who), 0);
    check_eq(who.pid, getpid());
    expect(d, "one");
    expect(d, "two");
    check_eq(ouro_await(ouro_datagram_next(d, &m, 1)), 1);
    check_eq(m.size, 0);
    send_text(d, "answer");
    check_eq(ouro_await(ouro_datagram_close(d)), 0);
    ouro_datagram_free(d);
    check_eq(ouro_await(client), 0);
    ouro_datagram_free(listener);
    return 0;
}

KernelTest(unix_messages, the_end_comes_behind_the_messages_and_stays)
{
    struct two t = open_pair(SOCK_SEQPACKET, NULL);
    ouro_message m[4];
    send_text(t.from, "last");
    check_eq(ouro_await(ouro_datagram_send(t.from, "", 0)), 0);
    check_eq(ouro_await(ouro_datagram_close(t.from)), 0);
    check_eq(ouro_await(ouro_datagram_next(t.to, m, 1)), 1);
    check_eq(m[0].size, 4);
    check_eq(ouro_await(ouro_datagram_next(t.to, m, 1)), 1);
    check_eq(m[0].size, 0);
    check_eq(ouro_await(ouro_datagram_next(t.to, m, 4)), 0);
    check_eq(ouro_await(ouro_datagram_next(t.to, m, 4)), 0);
    check_eq(ouro_await(ouro_datagram_send(t.to, "x", 1)), -EPIPE);
    free_two(&t);
    return 0;
}

KernelTest(unix_messages, a_peer_that_has_not_read_all_resets_the_connection)
{
    struct two t = open_pair(SOCK_SEQPACKET, NULL);
    ouro_message m;
    send_text(t.to, "unread");
    check_eq(ouro_await(ouro_datagram_close(t.from)), 0);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), -ECONNRESET);
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 0);
    free_two(&t);
    return 0;
}

KernelTest(unix_messages, a_message_is_cut_at_message_size_and_the_next_one_is_whole)
{
    struct two t = open_pair(SOCK_SEQPACKET, &(ouro_datagram_options){.message_size = 64});
    char block[3000] = "";
    ouro_message m;
    check_eq(ouro_await(ouro_datagram_send(t.from, block, sizeof block)), sizeof block);
    send_text(t.from, "next");
    check_eq(ouro_await(ouro_datagram_next(t.to, &m, 1)), 1);
    check(m.size >= 64 && m.size < 128);
    check_eq(m.full_size, sizeof block);
    expect(t.to, "next");
    free_two(&t);
    return 0;
}

KernelTest(unix_messages, connecting_fails_as_the_kernel_says)
{
    ouro_address name = named("@ouro-test"), file = named("/tmp/ouro-test-none");
    ouro_address ip;
    ouro_datagram *d;
    check_eq(ouro_address_of_ip("127.0.0.1", 1, &ip), 0);
    check_eq(ouro_await(ouro_seqpacket_connect(&name, NULL)), -ECONNREFUSED);
    check_eq(ouro_await(ouro_seqpacket_connect(&file, NULL)), -ENOENT);
    check_eq(ouro_await(ouro_seqpacket_connect(&ip, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_seqpacket_connect(NULL, NULL)), -EINVAL);
    check_eq(ouro_seqpacket_listen(&ip, 0, NULL, &d), -EINVAL);
    check_eq(ouro_datagram_open(&file, NULL, NULL, &d), 0);
    check_eq(ouro_await(ouro_seqpacket_connect(&file, NULL)), -EPROTOTYPE);
    check_eq(ouro_await(ouro_seqpacket_accept(d)), -EINVAL);
    check_eq(unlink(file.as.local.sun_path), 0);
    ouro_datagram_free(d);
    return 0;
}

KernelTest(unix_messages, a_full_backlog_makes_connecting_wait_and_that_can_be_cancelled)
{
    ouro_address name = named("@ouro-test");
    ouro_datagram *listener;
    check_eq(ouro_seqpacket_listen(&name, 1, NULL, &listener), 0);
    ouro_future *f[4];
    for (int i = 0; i < 4; i++)
        f[i] = ouro_seqpacket_connect(&name, NULL);
    ouro_await(ouro_sleep(OURO_MS(10)));
    int waits = 0;
    for (int i = 0; i < 4; i++)
        waits += ouro_future_state(f[i]) == OURO_PENDING;
    check(waits > 0);
    for (int i = 0; i < 4; i++) {
        ouro_cancel(f[i]);
        ouro_await(f[i]); /* what was connected is closed, since nobody takes it */
    }
    ouro_datagram_free(listener);
    return 0;
}

KernelTest(unix_messages, accepting_ends_by_cancel_and_by_close)
{
    ouro_address name = named("@ouro-test");
    ouro_datagram *listener;
    ouro_message m;
    check_eq(ouro_seqpacket_listen(&name, 0, NULL, &listener), 0);
    check_eq(ouro_await(ouro_timeout(ouro_seqpacket_accept(listener), OURO_MS(2))), -ETIMEDOUT);
    check_eq(ouro_await(ouro_datagram_next(listener, &m, 1)), -EBADF);
    check_eq(ouro_await(ouro_datagram_send(listener, "x", 1)), -EBADF);
    ouro_future *a = ouro_seqpacket_accept(listener), *b = ouro_seqpacket_accept(listener);
    ouro_await(ouro_sleep(OURO_MS(1)));
    ouro_future *c = ouro_seqpacket_accept(listener); /* not submitted yet */
    check_eq(ouro_await(ouro_datagram_close(listener)), 0);
    check_eq(ouro_await(a), -EBADF);
    check_eq(ouro_await(b), -EBADF);
    check_eq(ouro_await(c), -EBADF);
    check_eq(ouro_await(ouro_seqpacket_accept(listener)), -EBADF);
    ouro_datagram_free(listener);
    return 0;
}

KernelTest(unix_messages, accepting_without_a_descriptor_to_spare_fails_and_can_be_repeated)
{
    ouro_address name = named("@ouro-test");
    ouro_datagram *listener, *client, *d;
    struct rlimit old, tight;
    int64_t rc;
    check_eq(ouro_seqpacket_listen(&name, 0, NULL, &listener), 0);
    client = ouro_await_ptr(ouro_seqpacket_connect(&name, NULL), &rc);
    check_eq(rc, 0);
    check_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = 3;
    check_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    rc = ouro_await(ouro_seqpacket_accept(listener));
    check_eq(ouro_await(ouro_seqpacket_connect(&name, NULL)), -EMFILE);
    check_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    check_eq(rc, -EMFILE);
    d = ouro_await_ptr(ouro_seqpacket_accept(listener), &rc);
    check_eq(rc, 0);
    send_text(client, "still there");
    expect(d, "still there");
    ouro_datagram_free(d);
    ouro_datagram_free(client);
    ouro_datagram_free(listener);
    return 0;
}
