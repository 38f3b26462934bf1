/* SPDX-License-Identifier: MIT */
/*
 * Arguments that make no sense, to handles that do: lengths that are negative or wrap around, too
 * many buffers, unknown flags, addresses in every wrong form, ports out of range, names that do not
 * resolve, writes after a shutdown, two readers at once. Each has its code, given at once; nothing
 * is begun, and the handle is as good as before.
 */
#include "handles_test.h"

#include <limits.h>
#include <linux/falloc.h>
#include <stdlib.h>

TestSuite(bad_arguments, .timeout = 60);

#define HUGE_SIZE ((size_t)SSIZE_MAX + 1)

static char buf[4096];

/* What is wrong is told at once, without a wait. */
#define refused(call, code)                                  \
    do {                                                     \
        ouro_future *refused_f = (call);                     \
        check(ouro_future_state(refused_f) != OURO_PENDING); \
        check_eq(ouro_future_result(refused_f).n, (code));   \
        ouro_unref(refused_f);                               \
    } while (0)

/* ---- Files ----------------------------------------------------------------------------------- */

KernelTest(bad_arguments, of_transfers_are_refused)
{
    open_handles();
    ouro_file *f = h.file;
    struct iovec none[1] = {{NULL, 1}};
    struct iovec wraps[2] = {{buf, SIZE_MAX / 2}, {buf, SIZE_MAX / 2 + 2}};
    static struct iovec many[IOV_MAX + 1];
    for (size_t i = 0; i <= IOV_MAX; i++)
        many[i] = (struct iovec){buf, 1};
    refused(ouro_file_read(f, buf, 1, -1), -EINVAL);
    refused(ouro_file_read(f, buf, 1, INT64_MIN), -EINVAL);
    refused(ouro_file_read(f, buf, SIZE_MAX, 0), -EINVAL);
    refused(ouro_file_read(f, buf, HUGE_SIZE, 0), -EINVAL);
    refused(ouro_file_read(f, buf, 2, INT64_MAX - 1), -EINVAL);
    refused(ouro_file_read_exact(f, buf, 2, INT64_MAX - 1), -EINVAL);
    refused(ouro_file_readv(f, many, 0, 0), -EINVAL);
    refused(ouro_file_readv(f, many, -1, 0), -EINVAL);
    refused(ouro_file_readv(f, many, IOV_MAX + 1, 0), -EINVAL);
    refused(ouro_file_readv(f, many, INT_MAX, 0), -EINVAL);
    refused(ouro_file_readv(f, wraps, 2, 0), -EINVAL);
    refused(ouro_file_readv(f, none, 1, 0), -EINVAL);
    refused(ouro_file_write(f, buf, 1, -1), -EINVAL);
    refused(ouro_file_write(f, buf, SIZE_MAX, 0), -EINVAL);
    refused(ouro_file_write(f, buf, 2, INT64_MAX - 1), -EINVAL);
    refused(ouro_file_writev(f, many, -1, 0), -EINVAL);
    refused(ouro_file_writev(f, many, IOV_MAX + 1, 0), -EINVAL);
    refused(ouro_file_writev(f, wraps, 2, 0), -EINVAL);
    refused(ouro_file_append(f, buf, SIZE_MAX), -EINVAL);
    check_eq(ouro_await(ouro_file_writev(f, many, IOV_MAX, 0)), IOV_MAX);
    check_eq(ouro_await(ouro_file_read(f, buf, sizeof(buf), 0)), IOV_MAX);
    free_handles();
    return 0;
}

KernelTest(bad_arguments, of_lengths_locks_and_flags_are_refused)
{
    open_handles();
    ouro_file *f = h.file;
    refused(ouro_file_truncate(f, -1), -EINVAL);
    refused(ouro_file_allocate(f, 0, -1, 1), -EINVAL);
    refused(ouro_file_allocate(f, 0, 0, 0), -EINVAL);
    refused(ouro_file_allocate(f, 0, 0, -1), -EINVAL);
    refused(ouro_file_allocate(f, 0, INT64_MAX, 1), -EINVAL);
    check(ouro_await(ouro_file_allocate(f, 1 << 30, 0, 1)) < 0);
    refused(ouro_file_sync_range(f, -1, 0, 0), -EINVAL);
    refused(ouro_file_sync_range(f, 0, -1, 0), -EINVAL);
    refused(ouro_file_advise(f, -1, 0, OURO_ADVICE_NORMAL), -EINVAL);
    refused(ouro_file_advise(f, 0, -1, OURO_ADVICE_NORMAL), -EINVAL);
    refused(ouro_file_advise(f, 0, 0, (ouro_advice)99), -EINVAL);
    refused(ouro_file_lock(f, (ouro_lock_mode)99, NULL), -EINVAL);
    check_eq(ouro_file_try_lock(f, OURO_LOCK_SHARED, &(ouro_lock_options){.offset = -1}), -EINVAL);
    check_eq(ouro_file_try_lock(f, OURO_LOCK_SHARED, &(ouro_lock_options){.length = -1}), -EINVAL);
    check_eq(ouro_file_try_lock(f, OURO_LOCK_SHARED,
                                &(ouro_lock_options){.offset = INT64_MAX, .length = 2}),
             -EINVAL);
    check_eq(ouro_file_try_lock(f, OURO_LOCK_SHARED, &(ouro_lock_options){.flock = 1, .offset = 1}),
             -EINVAL);
    check_eq(ouro_file_unlock(f, &(ouro_lock_options){.offset = -1}), -EINVAL);
    check_eq(came_to(ouro_file_open("/tmp", 1 << 30, NULL)), -EINVAL);
    check_eq(came_to(ouro_file_open("/tmp", O_RDONLY, &(ouro_file_options){.resolve = ~0ull})),
             -EINVAL);
    check_eq(came_to(ouro_path_access("/tmp", 99, NULL)), -EINVAL);
    check_eq(came_to(ouro_path_truncate("/tmp", -1, NULL)), -EINVAL);
    check_eq(came_to(ouro_path_readlink("/tmp", buf, 0, NULL)), -EINVAL);
    check_eq(came_to(ouro_path_rename("/tmp/a", "/tmp/b", &(ouro_path_options){.flags = ~0u})),
             -EINVAL);
    check_eq(came_to(ouro_file_write_atomic("/tmp/x", NULL, 1, NULL)), -EINVAL);
    check_eq(came_to(ouro_file_write_atomic("/tmp/x", "", 0,
                                            &(ouro_write_atomic_options){.mode = 010000})),
             -EINVAL);
    check_eq(came_to(ouro_temp_open(&(ouro_temp_options){.kind = (ouro_temp_kind)9})), -EINVAL);
    check_eq(came_to(ouro_temp_open(&(ouro_temp_options){.prefix = "a/b"})), -EINVAL);
    check_eq(came_to(ouro_notify_add(h.notify, "/tmp", 0)), -EINVAL);
    check_eq(ouro_notify_remove(h.notify, 77), -EINVAL);
    check_eq(ouro_notify_remove(h.notify, -1), -EINVAL);
    check_eq(ouro_notify_remove(h.notify, INT64_MAX), -EINVAL);
    check_eq(came_to(ouro_tree_remove(".")), -EINVAL);
    check_eq(came_to(ouro_tree_remove("/tmp/..")), -EINVAL);
    free_handles();
    return 0;
}

/* ---- Streams --------------------------------------------------------------------------------- */

KernelTest(bad_arguments, of_streams_are_refused)
{
    open_handles();
    ouro_stream *s = h.stream;
    struct iovec wraps[2] = {{buf, SIZE_MAX / 2}, {buf, SIZE_MAX / 2 + 2}};
    static struct iovec many[IOV_MAX + 1];
    static const int fds[254];
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    refused(ouro_stream_read(s, buf, HUGE_SIZE), -EINVAL);
    refused(ouro_stream_read_exact(s, buf, HUGE_SIZE), -EINVAL);
    refused(ouro_stream_read_until(s, buf, HUGE_SIZE, "x", 1), -EINVAL);
    refused(ouro_stream_read_until(s, buf, 9, "x", SIZE_MAX), -EINVAL);
    refused(ouro_stream_read_line(s, buf, 0), -EINVAL);
    refused(ouro_stream_read_line(s, buf, 1), -EINVAL);
    refused(ouro_stream_read_line(s, buf, HUGE_SIZE), -EINVAL);
    refused(ouro_stream_peek(s, buf, HUGE_SIZE), -EINVAL);
    refused(ouro_stream_peek(s, buf, 1 << 30), -EMSGSIZE);
    refused(ouro_stream_write(s, buf, HUGE_SIZE), -EINVAL);
    refused(ouro_stream_writev(s, many, IOV_MAX + 1), -EINVAL);
    refused(ouro_stream_writev(s, many, SIZE_MAX), -EINVAL);
    refused(ouro_stream_writev(s, wraps, 2), -EINVAL);
    check_eq(ouro_stream_put(s, buf, 1 << 30), -EMSGSIZE);
    refused(ouro_stream_shutdown(s, -1), -EINVAL);
    refused(ouro_stream_shutdown(s, 99), -EINVAL);
    check_eq(came_to(ouro_stream_send_file(s, -1, 0, 1)), -EBADF);
    check_eq(came_to(ouro_stream_send_file(s, null, 0, 1)), -EINVAL);
    check_eq(came_to(ouro_stream_send_file(s, ouro_file_fd(h.file), UINT64_MAX, 2)), -EINVAL);
    check_eq(came_to(ouro_stream_send_file(s, ouro_file_fd(h.file), INT64_MAX, 1)), -EINVAL);
    check_eq(came_to(ouro_stream_send_fds(s, buf, 1, fds, 0)), -EINVAL);
    check_eq(came_to(ouro_stream_send_fds(s, buf, 1, fds, 254)), -EINVAL);
    check_eq(came_to(ouro_stream_send_fds(s, buf, 1, fds, SIZE_MAX)), -EINVAL);
    check_eq(came_to(ouro_stream_send_fds(s, buf, 0, fds, 1)), -EINVAL);
    check_eq(came_to(ouro_stream_send_fds(s, buf, 1, (int[]){-1}, 1)), -EBADF);
    refused(ouro_stream_receive_fds(s, buf, 0), -EINVAL);
    refused(ouro_stream_copy(s, s), -EINVAL);
    refused(ouro_stream_relay(s, s), -EINVAL);
    check_eq(ouro_stream_new(-1, NULL, &h.peer), -EBADF);
    check_eq(ouro_stream_new(99999, NULL, &h.peer), -EBADF);
    check_eq(ouro_stream_new(0, &(ouro_stream_options){.low_water = 2, .high_water = 1}, &h.peer),
             -EINVAL);
    check_eq(came_to(ouro_stream_write(s, "good", 4)), 4);
    check_eq(came_to(ouro_stream_read_exact(h.peer, buf, 4)), 4);
    close(null);
    free_handles();
    return 0;
}

KernelTest(bad_arguments, of_buffers_are_refused)
{
    check_eq(ouro_stream_buffers_set(&(ouro_stream_buffers){.count = 1}), -EINVAL);
    check_eq(ouro_stream_buffers_set(&(ouro_stream_buffers){.count = 40000}), -EINVAL);
    check_eq(ouro_stream_buffers_set(&(ouro_stream_buffers){.size = 1 << 30}), -EINVAL);
    check_eq(ouro_stream_buffers_set(&(ouro_stream_buffers){.share = 1}), -EINVAL);
    check_eq(ouro_stream_buffers_set(NULL), 0);
    return 0;
}

KernelTest(bad_arguments, writes_after_a_shutdown_are_epipe)
{
    open_handles();
    ouro_stream *s = h.stream;
    struct iovec part = {buf, 1};
    int fd = 0;
    check_eq(came_to(ouro_stream_shutdown(s, SHUT_WR)), 0);
    check_eq(came_to(ouro_stream_write(s, buf, 1)), -EPIPE);
    check_eq(came_to(ouro_stream_writev(s, &part, 1)), -EPIPE);
    check_eq(ouro_stream_put(s, buf, 1), -EPIPE);
    check_eq(came_to(ouro_stream_send_file(s, ouro_file_fd(h.file), 0, 1)), -EPIPE);
    check_eq(came_to(ouro_stream_send_fds(s, buf, 1, &fd, 1)), -EPIPE);
    ouro_stream *near, *far;
    check_eq(ouro_socketpair(NULL, &near, &far), 0);
    check_eq(came_to(ouro_stream_write(far, "in", 2)), 2);
    check_eq(came_to(ouro_stream_copy(near, s)), -EPIPE);
    ouro_stream_free(near);
    ouro_stream_free(far);
    free_handles();
    return 0;
}

/* Whatever the first does, and whatever the second wants. */
KernelTest(bad_arguments, a_second_reader_is_ebusy)
{
    const void *bytes;
    open_handles();
    ouro_stream *s = h.stream;
    for (int i = 0; i < 7; i++) {
        ouro_future *first = i == 0   ? ouro_stream_read(s, buf, 9)
                             : i == 1 ? ouro_stream_read_exact(s, buf, 9)
                             : i == 2 ? ouro_stream_read_line(s, buf, 9)
                             : i == 3 ? ouro_stream_next(s, &bytes)
                             : i == 4 ? ouro_stream_peek(s, buf, 9)
                             : i == 5 ? ouro_stream_receive_fds(s, buf, 9)
                                      : ouro_stream_copy(s, h.peer);
        refused(ouro_stream_read(s, buf, 9), -EBUSY);
        refused(ouro_stream_read_exact(s, buf, 9), -EBUSY);
        refused(ouro_stream_read_until(s, buf, 9, "x", 1), -EBUSY);
        refused(ouro_stream_read_line(s, buf, 9), -EBUSY);
        refused(ouro_stream_next(s, &bytes), -EBUSY);
        refused(ouro_stream_peek(s, buf, 9), -EBUSY);
        check_eq(came_to(ouro_stream_receive_fds(s, buf, 9)), -EBUSY);
        check_eq(came_to(ouro_stream_take_fd(s)), -EBUSY);
        check_eq(came_to(ouro_stream_copy(s, h.peer)), -EBUSY);
        check_eq(ouro_future_state(first), OURO_PENDING);
        ouro_cancel(first);
        ouro_join(first);
        ouro_unref(first);
    }
    free_handles();
    return 0;
}

/* ---- Messages -------------------------------------------------------------------------------- */

KernelTest(bad_arguments, of_messages_are_refused)
{
    open_handles();
    ouro_datagram *d = h.datagram, *other;
    ouro_address none = {0}, six, one;
    ouro_message m;
    ouro_outgoing out = {buf, (size_t)INT_MAX + 1, NULL, 7};
    int fd = 0;
    check_eq(ouro_address_parse("[::1]:9", &six), 0);
    check_eq(ouro_address_parse("127.0.0.1:9", &one), 0);
    refused(ouro_datagram_next(d, &m, 0), -EINVAL);
    refused(ouro_datagram_send(d, buf, SIZE_MAX), -EINVAL);
    refused(ouro_datagram_send_to(d, buf, (size_t)INT_MAX + 1, &one), -EINVAL);
    check_eq(came_to(ouro_datagram_send_to(d, buf, 65508, &one)), -EMSGSIZE);
    check_eq(came_to(ouro_datagram_send(d, buf, 1)), -EDESTADDRREQ);
    check(came_to(ouro_datagram_send_to(d, buf, 1, &none)) < 0);
    check_eq(came_to(ouro_datagram_send_to(d, buf, 1, &six)), -EAFNOSUPPORT);
    check_eq(came_to(ouro_datagram_send_many(d, &out, 1)), -EINVAL);
    check_eq(out.result, 7);
    check_eq(came_to(ouro_datagram_send_fds(d, buf, 1, &fd, 1, &one)), -EOPNOTSUPP);
    check_eq(ouro_datagram_connect(d, &six), -EAFNOSUPPORT);
    check_eq(came_to(ouro_seqpacket_accept(d)), -EINVAL);
    check_eq(came_to(ouro_datagram_next(h.packets, &m, 1)), -EBADF);
    check_eq(came_to(ouro_datagram_send(h.packets, buf, 1)), -EBADF);
    check_eq(ouro_datagram_open(&one, &six, NULL, &other), -EINVAL);
    check_eq(ouro_datagram_open(&none, NULL, NULL, &other), -EINVAL);
    check_eq(ouro_udp_open("unix:@x", NULL, NULL, &other), -EINVAL);
    check_eq(ouro_udp_open(NULL, NULL, &(ouro_datagram_options){.message_size = 65536}, &other),
             -EINVAL);
    check_eq(ouro_udp_open(NULL, NULL, &(ouro_datagram_options){.buffers = 1025}, &other), -EINVAL);
    check_eq(ouro_seqpacket_listen(&one, 0, NULL, &other), -EINVAL);
    check_eq(ouro_datagram_new(-1, NULL, &other), -EBADF);
    check_eq(ouro_datagram_new(ouro_file_fd(h.file), NULL, &other), -ENOTSOCK);
    check_eq(ouro_datagram_new(ouro_stream_fd(h.stream), NULL, &other), -EOPNOTSUPP);
    free_handles();
    return 0;
}

/* ---- Places ---------------------------------------------------------------------------------- */

struct place {
    const char *text;
    int of_parse, of_listen, of_connect, of_udp;
};

static const struct place places[] = {
    {"", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {":", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"127.0.0.1", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"127.0.0.1:", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"127.0.0.1:x y", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"127.0.0.1:-1", -EINVAL, -EINVAL, -OURO_ENOSERVICE, -EINVAL},
    {"127.0.0.1:65536", -ERANGE, -ERANGE, -ERANGE, -ERANGE},
    {"127.0.0.1:99999999999999999999", -ERANGE, -ERANGE, -ERANGE, -ERANGE},
    {"127.0.0.1:80 ", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {" 127.0.0.1:80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"127.0.0.256:80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"127.1:80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"0x7f.0.0.1:80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"::1:80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"[::1]", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"[::1]80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"[::1:80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"[:::1]:80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"[fe80::1%no-such]:80", -ENODEV, -ENODEV, -ENODEV, -ENODEV},
    {"[fe80::1%]:80", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"unix:", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"unix:@", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"unix:/tmp/a\\x00b", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
    {"unix:/tmp/\\x", -EINVAL, -EINVAL, -EINVAL, -EINVAL},
};

static void check_place(const struct place *p)
{
    ouro_address a = {.size = 7};
    ouro_listener *l = NULL;
    ouro_datagram *d = NULL;
    const char *file = __FILE__;
    harness_check_eq(ouro_address_parse(p->text, &a), p->of_parse, file, __LINE__, "parse",
                     p->text);
    harness_check_eq(ouro_listen(p->text, NULL, &l), p->of_listen, file, __LINE__, "listen",
                     p->text);
    harness_check_eq(came_to(ouro_connect(p->text, NULL)), p->of_connect, file, __LINE__, "connect",
                     p->text);
    harness_check_eq(came_to(ouro_stream_connect(p->text, NULL)), p->of_connect, file, __LINE__,
                     "stream_connect", p->text);
    harness_check_eq(ouro_udp_open(p->text, NULL, NULL, &d), p->of_udp, file, __LINE__, "udp",
                     p->text);
    harness_check_eq(ouro_udp_open(NULL, p->text, NULL, &d), p->of_udp, file, __LINE__, "udp to",
                     p->text);
    check_eq(a.size, 7); /* untouched */
    check(!l && !d);
}

KernelTest(bad_arguments, places_that_are_none_are_refused_by_all_who_take_them)
{
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
        check_place(&places[i]);
    char long_path[200] = "unix:/";
    memset(long_path + 6, 'p', 150);
    const struct place too_long = {long_path, -ENAMETOOLONG, -ENAMETOOLONG, -ENAMETOOLONG,
                                   -ENAMETOOLONG};
    check_place(&too_long);
    return 0;
}

KernelTest(bad_arguments, of_connecting_listening_and_serving_are_refused)
{
    open_handles();
    ouro_address one, none = {0};
    ouro_listener *l = NULL;
    check_eq(ouro_address_parse("127.0.0.1:9", &one), 0);
    refused(ouro_connect_to(&one, 0, NULL), -EINVAL);
    refused(ouro_connect_to(&one, 1025, NULL), -EINVAL);
    refused(ouro_connect_to(&one, SIZE_MAX, NULL), -EINVAL);
    refused(ouro_connect_to(&none, 1, NULL), -EINVAL);
    check_eq(came_to(ouro_connect("127.0.0.1:0", NULL)), -EINVAL);
    check_eq(came_to(ouro_connect("127.0.0.1:9", &(ouro_connect_options){.type = 99})), -EINVAL);
    check_eq(came_to(ouro_stream_connect(
                 "127.0.0.1:9",
                 &(ouro_stream_connect_options){.stream = {.low_water = 2, .high_water = 1}})),
             -EINVAL);
    check_eq(ouro_listen("127.0.0.1:0", &(ouro_listener_options){.backlog = -1}, &l), -EINVAL);
    check_eq(ouro_listen("localhost:80", NULL, &l), -EINVAL);
    check_eq(ouro_listener_open(&none, NULL, &l), -EAFNOSUPPORT);
    check_eq(ouro_listener_from_fd(-1, NULL, &l), -EBADF);
    check_eq(ouro_listener_from_fd(ouro_file_fd(h.file), NULL, &l), -ENOTSOCK);
    check_eq(ouro_listener_from_fd(ouro_stream_fd(h.stream), NULL, &l), -EINVAL);
    check_eq(ouro_listener_from_fd(ouro_datagram_fd(h.datagram), NULL, &l), -EOPNOTSUPP);
    check_eq(came_to(ouro_serve(h.listener, NULL, NULL, NULL)), -EINVAL);
    check_eq(came_to(ouro_serve(h.listener, no_handler, NULL, &(ouro_serve_options){.limit = -1})),
             -EINVAL);
    check_eq(came_to(ouro_serve(h.listener, no_handler, NULL,
                                &(ouro_serve_options){.stack_size = SIZE_MAX})),
             -EINVAL);
    ouro_future *no_server = ouro_sleep(1);
    check_eq(ouro_server_stop(no_server, 0), -EINVAL);
    check_eq(ouro_server_stats_get(no_server, &(ouro_server_stats){0}), -EINVAL);
    ouro_await(no_server);
    check(!l);
    free_handles();
    return 0;
}

KernelTest(bad_arguments, names_that_do_not_resolve_say_so)
{
    static char label[80], host[300];
    memset(label, 'n', 64);
    for (size_t i = 0; i < 299; i++)
        host[i] = i % 50 == 49 ? '.' : 'h';
    const ouro_resolve_options six = {.family = OURO_FAMILY_IP6}, odd = {.family = (ouro_family)9};
    refused(ouro_resolve("", NULL, NULL), -EINVAL);
    refused(ouro_resolve("two words", NULL, NULL), -EINVAL);
    refused(ouro_resolve("a..b", NULL, NULL), -EINVAL);
    refused(ouro_resolve("127.0.0.256", NULL, NULL), -EINVAL);
    refused(ouro_resolve(label, NULL, NULL), -ENAMETOOLONG);
    refused(ouro_resolve(host, NULL, NULL), -ENAMETOOLONG);
    refused(ouro_resolve("127.0.0.1", "65536", NULL), -ERANGE);
    refused(ouro_resolve("127.0.0.1", "no such", NULL), -EINVAL);
    refused(ouro_resolve("127.0.0.1", NULL, &six), -EAFNOSUPPORT);
    refused(ouro_resolve("127.0.0.1", NULL, &odd), -EINVAL);
    refused(ouro_resolve("fe80::1%no-such", NULL, NULL), -ENODEV);
    int64_t n = came_to(ouro_resolve("nobody.invalid", NULL, NULL));
    check(n == -OURO_ENONAME || n == -OURO_ETRYAGAIN || n == -OURO_ERESOLVER);
    check_eq(came_to(ouro_connect("nobody.invalid:80", NULL)), n);
    check_eq(came_to(ouro_stream_connect("nobody.invalid:80", NULL)), n);
    return 0;
}
