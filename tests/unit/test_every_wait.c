/* SPDX-License-Identifier: MIT */
/*
 * Every operation on files and sockets that waits for somebody else, and every way in which such a
 * wait ends: what was waited for comes; it is cancelled before it is submitted, in flight, after its
 * completion, by a timeout, in a scope that is cancelled; its handle is closed or freed; the peer
 * goes, in good order or by a reset; the loop shuts down.
 */
#define _GNU_SOURCE
#include "stream_test.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/un.h>

TestSuite(every_wait, .timeout = 110);

enum {
    MUCH = 16 << 20, /* bytes that no socket takes at once */
    ANY = 1,         /* how it ends: not negative */
    BROKEN = 2,      /* -EPIPE or -ECONNRESET, as the kernel likes */
    NEVER = 3        /* such a peer cannot go that way */
};

/* ---- Who is waited for ----------------------------------------------------------------------- */

/* The handles of a wait, and the other side as a plain descriptor. */
static struct {
    ouro_stream *stream, *to;
    ouro_listener *listener;
    ouro_datagram *datagram;
    ouro_file *file, *other;
    ouro_notify *notify;
    ouro_future *ahead; /* a write that stands in the way */
    ouro_address address;
    char path[64], name[64];
    int peer, extra;
    bool tcp;
} w;

static char *much;
static char buf[64];
static const void *bytes;
static ouro_message message;
static ouro_outgoing outgoing;
static struct iovec parts[2];
static char mark;

static void clean(void)
{
    w.stream = ouro_stream_free(w.stream);
    w.to = ouro_stream_free(w.to);
    w.listener = ouro_listener_free(w.listener);
    w.datagram = ouro_datagram_free(w.datagram);
    w.file = ouro_file_free(w.file);
    w.other = ouro_file_free(w.other);
    w.notify = ouro_notify_free(w.notify);
    if (w.ahead) {
        if (ouro_future_state(w.ahead) == OURO_PENDING)
            ouro_join(w.ahead);
        (void)ouro_future_result(w.ahead);
        w.ahead = ouro_unref(w.ahead);
    }
    if (w.peer >= 0)
        close(w.peer);
    if (w.extra >= 0)
        close(w.extra);
    w.peer = w.extra = -1;
    if (w.path[0])
        remove(w.path);
    free(much);
    much = NULL;
}

static void be_nonblocking(int fd)
{
    check_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static void fill_up(int fd)
{
    static const char page[4096];
    be_nonblocking(fd);
    while (write(fd, page, sizeof(page)) > 0)
        ;
}

static void drain_peer(void)
{
    static char page[65536];
    while (read(w.peer, page, sizeof(page)) > 0)
        ;
}

static void set_up_reader(void)
{
    if (w.tcp)
        w.stream = tcp_pair(&w.peer);
    else
        w.stream = pair_with(&w.peer, &(ouro_stream_options){.no_read_ahead = 1});
    check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, (int *)buf), 0);
    w.extra = ((int *)buf)[1];
    check_eq(ouro_stream_new(((int *)buf)[0], NULL, &w.to), 0);
}

static void say_hello(void)
{
    say(w.peer, "hello\n");
}

static void set_up_writer(void)
{
    set_up_reader();
    const int size = 64 << 10;
    setsockopt(w.peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    be_nonblocking(w.peer);
    much = calloc(1, MUCH);
    check(much != NULL);
    parts[0] = (struct iovec){much, MUCH / 2};
    parts[1] = (struct iovec){much, MUCH / 2};
}

/* Not a byte more goes. */
static void set_up_full(void)
{
    set_up_reader();
    be_nonblocking(w.peer);
    fill_up(ouro_stream_fd(w.stream));
}

/* Somebody else's write stands in the way. */
static void set_up_queue(void)
{
    set_up_writer();
    w.ahead = ouro_stream_write(w.stream, much, MUCH);
    check_eq(ouro_stream_put(w.stream, much, 100 << 10), 0);
}

static void set_up_file_sender(void)
{
    set_up_reader();
    be_nonblocking(w.peer);
    close(w.extra);
    w.extra = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    check(w.extra >= 0);
    check_eq(ftruncate(w.extra, MUCH), 0);
}

static void set_up_listener(void)
{
    check_eq(ouro_listen("127.0.0.1:0", NULL, &w.listener), 0);
    check_eq(ouro_listener_address(w.listener, &w.address), 0);
}

static void dial(void)
{
    if (w.peer >= 0)
        return;
    w.peer = socket(w.address.as.any.sa_family, w.datagram ? SOCK_SEQPACKET : SOCK_STREAM, 0);
    check_eq(connect(w.peer, &w.address.as.any, w.address.size), 0);
}

static void choose_name(void)
{
    static int n;
    snprintf(w.name, sizeof(w.name), "unix:@ouro-wait-%d-%d", (int)getpid(), n++);
    check_eq(ouro_address_parse(w.name, &w.address), 0);
}

static void set_up_packet_listener(void)
{
    choose_name();
    check_eq(ouro_seqpacket_listen(&w.address, 0, NULL, &w.datagram), 0);
}

static void set_up_messages(void)
{
    check_eq(ouro_udp_open("127.0.0.1:0", NULL, NULL, &w.datagram), 0);
    check_eq(ouro_sockopt_address(ouro_datagram_fd(w.datagram), &w.address), 0);
    w.peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check_eq(connect(w.peer, &w.address.as.any, w.address.size), 0);
}

static void pair_of(int type)
{
    int ends[2];
    check_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
    check_eq(ouro_datagram_new(ends[0], NULL, &w.datagram), 0);
    w.peer = ends[1];
    be_nonblocking(w.peer);
}

static void set_up_packets(void)
{
    pair_of(SOCK_SEQPACKET);
}

/* The other side does not read, and has no room left. */
static void set_up_full_packets(void)
{
    static char *one = &mark;
    pair_of(SOCK_SEQPACKET);
    fill_up(ouro_datagram_fd(w.datagram));
    outgoing = (ouro_outgoing){one, 1, NULL, 0};
}

static void set_up_full_backlog(int type)
{
    choose_name();
    w.peer = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    check_eq(bind(w.peer, &w.address.as.any, w.address.size), 0);
    check_eq(listen(w.peer, 0), 0);
    w.extra = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    check_eq(connect(w.extra, &w.address.as.any, w.address.size), 0);
    be_nonblocking(w.peer);
}

static void set_up_door(void)
{
    set_up_full_backlog(SOCK_STREAM);
}

static void set_up_packet_door(void)
{
    set_up_full_backlog(SOCK_SEQPACKET);
}

static void let_in(void)
{
    int fd = accept(w.peer, NULL, NULL);
    if (fd >= 0)
        close(fd);
}

static void set_up_pipe(void)
{
    int ends[2];
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(ouro_file_from_fd(ends[0], &w.file), 0);
    w.peer = ends[1];
}

static void write_hello(void)
{
    check_eq(write(w.peer, "hello\n", 6), 6);
}

static void set_up_full_pipe(void)
{
    int ends[2];
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    w.peer = ends[0];
    be_nonblocking(w.peer);
    fill_up(ends[1]);
    check_eq(fcntl(ends[1], F_SETFL, 0), 0);
    check_eq(ouro_file_from_fd(ends[1], &w.file), 0);
    parts[0] = (struct iovec){buf, 1};
    parts[1] = (struct iovec){buf, 1};
}

static void choose_path(void)
{
    snprintf(w.path, sizeof(w.path), "/dev/shm/ouro-wait-%d", (int)getpid());
    remove(w.path);
}

static void set_up_lock(void)
{
    int64_t rc;
    choose_path();
    w.file = ouro_await_ptr(ouro_file_open(w.path, O_RDWR | O_CREAT, NULL), &rc);
    w.other = ouro_await_ptr(ouro_file_open(w.path, O_RDWR, NULL), &rc);
    check(w.file && w.other);
    check_eq(ouro_file_try_lock(w.other, OURO_LOCK_EXCLUSIVE, NULL), 0);
}

static void unlock(void)
{
    check_eq(ouro_file_unlock(w.other, NULL), 0);
}

static void set_up_watch(void)
{
    choose_path();
    w.peer = open(w.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    check_eq(ouro_notify_open(NULL, &w.notify), 0);
    check(ouro_await(ouro_notify_add(w.notify, w.path, IN_MODIFY)) > 0);
}

static void set_up_fifo(void)
{
    choose_path();
    check_eq(mkfifo(w.path, 0600), 0);
}

static void use_fifo(void)
{
    int fd = open(w.path, O_WRONLY | O_NONBLOCK | O_CLOEXEC); /* if it is being read */
    if (fd < 0)
        return;
    check_eq(write(fd, "x", 1), 1);
    close(fd);
}

/* ---- The table ------------------------------------------------------------------------------- */

struct wait {
    const char *name;
    void (*set_up)(void);
    ouro_future *(*begin)(void);
    void (*satisfy)(void); /* called again until it is */
    int64_t at_end;        /* when the peer closes */
    int64_t at_reset;      /* when it does so and has not read all */
    bool over_tcp;         /* likewise */
    bool goes_on;          /* after a cancel as if nothing had been */
};

/* clang-format off */
#define WAITS(X) \
    X(stream_read, reader, ouro_stream_read(w.stream, buf, 6), say_hello, 0, BROKEN, 1, 1) \
    X(stream_read_exact, reader, ouro_stream_read_exact(w.stream, buf, 6), say_hello, \
      -ENODATA, BROKEN, 1, 1) \
    X(stream_read_until, reader, ouro_stream_read_until(w.stream, buf, 6, "\n", 1), say_hello, \
      -ENODATA, BROKEN, 1, 1) \
    X(stream_read_line, reader, ouro_stream_read_line(w.stream, buf, 9), say_hello, \
      0, BROKEN, 1, 1) \
    X(stream_next, reader, ouro_stream_next(w.stream, &bytes), say_hello, 0, BROKEN, 1, 1) \
    X(stream_peek, reader, ouro_stream_peek(w.stream, buf, 1), say_hello, 0, BROKEN, 1, 1) \
    X(stream_receive_fds, reader, ouro_stream_receive_fds(w.stream, buf, 9), say_hello, \
      0, BROKEN, 0, 1) \
    X(stream_copy, reader, ouro_stream_copy(w.stream, w.to), end_input, 0, BROKEN, 1, 0) \
    X(stream_relay, reader, ouro_stream_relay(w.stream, w.to), end_both, NEVER, BROKEN, 1, 0) \
    X(stream_write, writer, ouro_stream_write(w.stream, much, MUCH), drain_peer, \
      BROKEN, BROKEN, 1, 0) \
    X(stream_writev, writer, ouro_stream_writev(w.stream, parts, 2), drain_peer, \
      BROKEN, BROKEN, 1, 0) \
    X(stream_send_file, file_sender, ouro_stream_send_file(w.stream, w.extra, 0, MUCH), \
      drain_peer, BROKEN, BROKEN, 1, 0) \
    X(stream_send_fds, full, ouro_stream_send_fds(w.stream, "x", 1, &w.extra, 1), drain_peer, \
      BROKEN, BROKEN, 0, 1) \
    X(stream_drain, queue, ouro_stream_drain(w.stream), drain_peer, BROKEN, BROKEN, 1, 1) \
    X(stream_flush, queue, ouro_stream_flush(w.stream), drain_peer, BROKEN, BROKEN, 1, 1) \
    X(stream_shutdown, queue, ouro_stream_shutdown(w.stream, SHUT_WR), drain_peer, \
      BROKEN, BROKEN, 1, 0) \
    X(listener_accept, listener, ouro_listener_accept(w.listener), dial, NEVER, NEVER, 0, 1) \
    X(seqpacket_accept, packet_listener, ouro_seqpacket_accept(w.datagram), dial, \
      NEVER, NEVER, 0, 1) \
    X(datagram_next, messages, ouro_datagram_next(w.datagram, &message, 1), say_hello, \
      NEVER, NEVER, 0, 1) \
    X(datagram_receive, messages, ouro_datagram_receive(w.datagram, buf, 9, NULL), say_hello, \
      NEVER, NEVER, 0, 1) \
    X(datagram_next_packet, packets, ouro_datagram_next(w.datagram, &message, 1), say_hello, \
      0, -ECONNRESET, 0, 1) \
    X(datagram_receive_packet, packets, ouro_datagram_receive(w.datagram, buf, 9, NULL), \
      say_hello, -ENODATA, -ECONNRESET, 0, 1) \
    X(datagram_send, full_packets, ouro_datagram_send(w.datagram, "x", 1), drain_peer, \
      BROKEN, BROKEN, 0, 1) \
    X(datagram_send_many, full_packets, ouro_datagram_send_many(w.datagram, &outgoing, 1), \
      drain_peer, BROKEN, BROKEN, 0, 1) \
    X(datagram_send_fds, full_packets, \
      ouro_datagram_send_fds(w.datagram, "x", 1, &w.peer, 1, NULL), drain_peer, \
      NEVER, NEVER, 0, 1) \
    X(connect, door, ouro_connect(w.name, NULL), let_in, -ECONNREFUSED, NEVER, 0, 1) \
    X(stream_connect, door, ouro_stream_connect(w.name, NULL), let_in, \
      -ECONNREFUSED, NEVER, 0, 1) \
    X(seqpacket_connect, packet_door, ouro_seqpacket_connect(&w.address, NULL), let_in, \
      -ECONNREFUSED, NEVER, 0, 1) \
    X(file_read, pipe, ouro_file_read(w.file, buf, 6, 0), write_hello, 0, NEVER, 0, 1) \
    X(file_read_exact, pipe, ouro_file_read_exact(w.file, buf, 6, 0), write_hello, \
      -ENODATA, NEVER, 0, 1) \
    X(file_readv, pipe, ouro_file_readv(w.file, &(struct iovec){buf, 6}, 1, 0), write_hello, \
      0, NEVER, 0, 1) \
    X(file_write, full_pipe, ouro_file_write(w.file, buf, 1, 0), drain_peer, \
      -EPIPE, NEVER, 0, 1) \
    X(file_writev, full_pipe, ouro_file_writev(w.file, parts, 2, 0), drain_peer, \
      -EPIPE, NEVER, 0, 1) \
    X(file_append, full_pipe, ouro_file_append(w.file, buf, 1), drain_peer, \
      -EPIPE, NEVER, 0, 1) \
    X(file_lock, lock, ouro_file_lock(w.file, OURO_LOCK_EXCLUSIVE, NULL), unlock, \
      NEVER, NEVER, 0, 1) \
    X(notify_next, watch, ouro_notify_next(w.notify), write_hello, NEVER, NEVER, 0, 1) \
    X(file_read_all, fifo, ouro_file_read_all(w.path, NULL), use_fifo, NEVER, NEVER, 0, 1)
/* clang-format on */

static void end_input(void)
{
    shutdown(w.peer, SHUT_WR);
}

static void end_both(void)
{
    shutdown(w.peer, SHUT_WR);
    shutdown(w.extra, SHUT_WR);
}

#define FUNCTION(name, set_up, call, ...)  \
    static ouro_future *begin_##name(void) \
    {                                      \
        return call;                       \
    }
WAITS(FUNCTION)

#define ROW(name, set_up, call, satisfy, at_end, at_reset, over_tcp, goes_on) \
    {"ouro_" #name "()", set_up_##set_up, begin_##name, satisfy, at_end,      \
     at_reset,           over_tcp,        goes_on},
static const struct wait waits[] = {WAITS(ROW)};
enum { WAIT_COUNT = sizeof(waits) / sizeof(*waits) };

/* ---- The ways -------------------------------------------------------------------------------- */

static const struct wait *now; /* which is tried */

#define hold(condition)    harness_check((condition) ? 1 : 0, __FILE__, __LINE__, now->name)
#define hold_eq(got, want) harness_check_eq((got), (want), __FILE__, __LINE__, now->name, #want)

static ouro_future *begin_wait(void)
{
    w.peer = w.extra = -1;
    w.path[0] = '\0';
    now->set_up();
    ouro_future *f = now->begin();
    hold_eq(ouro_future_state(f), OURO_PENDING);
    return f;
}

static void in_flight(void)
{
    for (int i = 0; i < 3; i++)
        ouro_await(ouro_sleep(OURO_US(500)));
}

static void satisfy(const ouro_future *f)
{
    for (int i = 0; i < 20000 && ouro_future_state(f) == OURO_PENDING; i++) {
        now->satisfy();
        ouro_await(ouro_sleep(OURO_US(50)));
    }
}

/* That nothing was lost or broken by what was cancelled. */
static void goes_on(void)
{
    if (!now->goes_on)
        return;
    ouro_future *f = now->begin();
    satisfy(f);
    hold(ouro_future_state(f) == OURO_VALUE);
    hold(ouro_future_result(f).n >= 0);
    ouro_unref(f);
}

static void is_cancelled(ouro_future *f)
{
    hold_eq(ouro_cancel(f), 1);
    hold_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    hold_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    goes_on();
}

/* Once for every wait; those of streams also over TCP. */
static void each(void (*way)(ouro_future *f))
{
    for (int i = 0; i < WAIT_COUNT; i++) {
        now = &waits[i];
        for (int tcp = 0; tcp <= now->over_tcp; tcp++) {
            w.tcp = tcp;
            way(begin_wait());
            clean();
        }
    }
}

static void comes(ouro_future *f)
{
    in_flight();
    hold_eq(ouro_future_state(f), OURO_PENDING);
    satisfy(f);
    hold_eq(ouro_future_state(f), OURO_VALUE);
    hold_eq(ouro_cancel(f), 0); /* too late, and no matter */
    hold(ouro_future_result(f).n >= 0);
    ouro_unref(f);
}

KernelTest(every_wait, ends_when_what_it_waits_for_comes_and_no_cancel_changes_that)
{
    each(comes);
    return 0;
}

KernelTest(every_wait, can_be_cancelled_before_it_is_submitted)
{
    each(is_cancelled);
    return 0;
}

static void cancelled_in_flight(ouro_future *f)
{
    in_flight();
    is_cancelled(f);
}

KernelTest(every_wait, can_be_cancelled_in_flight)
{
    each(cancelled_in_flight);
    return 0;
}

static void times_out(ouro_future *f)
{
    hold_eq(ouro_await(ouro_timeout(f, OURO_MS(2))), -ETIMEDOUT);
    goes_on();
}

KernelTest(every_wait, for_a_silent_peer_can_be_bounded)
{
    each(times_out);
    return 0;
}

/* What is awaited in a scope that is cancelled does not wait; nor is it begun there. */
static void in_a_cancelled_scope(ouro_future *f)
{
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_scope_cancel(&scope, "test");
    hold_eq(ouro_await(f), -ECANCELED);
    if (now->goes_on)
        hold_eq(ouro_await(now->begin()), -ECANCELED);
    ouro_scope_exit(&scope, 0);
    goes_on();
}

KernelTest(every_wait, is_given_up_in_a_cancelled_scope)
{
    each(in_a_cancelled_scope);
    return 0;
}

/* Close what there is to close, as a task of its own. */
static int64_t close_all(void *unused)
{
    (void)unused;
    ouro_future *closes[] = {
        w.stream ? ouro_stream_close(w.stream) : ouro_ready(0),
        w.listener ? ouro_listener_close(w.listener) : ouro_ready(0),
        w.datagram ? ouro_datagram_close(w.datagram) : ouro_ready(0),
        w.file ? ouro_file_close(w.file) : ouro_ready(0),
        w.notify ? ouro_notify_close(w.notify) : ouro_ready(0),
    };
    return ouro_await(ouro_gather(closes, 5, OURO_GATHER_ALL, NULL));
}

static bool has_handle(void)
{
    return w.stream || w.listener || w.datagram || w.file || w.notify;
}

static void another_task_closes(ouro_future *f)
{
    in_flight();
    if (!has_handle()) {
        is_cancelled(f);
        return;
    }
    ouro_future *closing = ouro_spawn(close_all, NULL);
    hold_eq(ouro_await(f), -EBADF);
    hold_eq(ouro_await(closing), 0);
    hold_eq(ouro_await(now->begin()), -EBADF);
}

KernelTest(every_wait, is_ebadf_when_another_task_closes_its_handle)
{
    each(another_task_closes);
    return 0;
}

static void handle_is_freed(ouro_future *f)
{
    in_flight();
    if (!has_handle()) {
        is_cancelled(f);
        return;
    }
    w.stream = ouro_stream_free(w.stream);
    w.listener = ouro_listener_free(w.listener);
    w.datagram = ouro_datagram_free(w.datagram);
    w.file = ouro_file_free(w.file);
    w.notify = ouro_notify_free(w.notify);
    hold_eq(ouro_await(f), -EBADF);
}

KernelTest(every_wait, is_ebadf_when_its_handle_is_freed)
{
    each(handle_is_freed);
    return 0;
}

/* ---- The peer -------------------------------------------------------------------------------- */

static void ends_as(ouro_future *f, int64_t want)
{
    int64_t n = ouro_await(ouro_timeout(f, OURO_SEC(10)));
    if (want == BROKEN)
        hold(n == -EPIPE || n == -ECONNRESET);
    else
        hold_eq(n, want);
}

static void peer_closes(ouro_future *f)
{
    in_flight();
    if (now->at_end == NEVER) {
        is_cancelled(f);
        return;
    }
    close(w.peer);
    w.peer = -1;
    ends_as(f, now->at_end);
}

KernelTest(every_wait, ends_when_the_peer_closes)
{
    each(peer_closes);
    return 0;
}

static void peer_resets(ouro_future *f)
{
    in_flight();
    if (now->at_reset == NEVER) {
        is_cancelled(f);
        return;
    }
    int fd = w.stream ? ouro_stream_fd(w.stream) : ouro_datagram_fd(w.datagram);
    if (!w.tcp)
        send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* which it will not have read */
    reset(w.peer);
    w.peer = -1;
    ends_as(f, now->at_reset);
}

KernelTest(every_wait, ends_when_the_peer_breaks_the_connection_off)
{
    each(peer_resets);
    return 0;
}

/* ---- The loop -------------------------------------------------------------------------------- */

static ouro_future *left;

static int64_t leave_it(void *unused)
{
    (void)unused;
    left = begin_wait();
    in_flight();
    return 0;
}

Test(every_wait, is_ended_by_the_loops_shutdown)
{
    for (int i = 0; i < WAIT_COUNT; i++) {
        now = &waits[i];
        w.tcp = now->over_tcp;
        begin_kernel();
        check_eq(run_main(leave_it, NULL), 0);
        hold_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
        hold(ouro_future_state(left) != OURO_PENDING);
        hold(ouro_future_result(left).n < 0);
        ouro_unref(left);
        turn(); /* what dies is buried in the next one */
        hold_eq(ouro_loop_close(ouro_loop_current()), 0);
        clean();
        end_closed();
    }
}
