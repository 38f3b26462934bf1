/* SPDX-License-Identifier: MIT */
/*
 * Every function of files, sockets and names, called where it should not be: without a handle, with
 * one that is closed, on a thread that has no loop or another one, in the child of a fork, after the
 * loop's close. Each says so with its code; none crashes, hangs, or leaves anything.
 */
#include "handles_test.h"

#include <pthread.h>
#include <sched.h>

TestSuite(every_call, .timeout = 60);

/* ---- The table ------------------------------------------------------------------------------- */

struct call {
    const char *name;
    int64_t (*make)(void);
    int64_t if_closed; /* the handle; the loop */
};

/* clang-format off */

/* Calls of a handle, and what they say if that is closed. */
#define HANDLE_CALLS(X) \
    X(file_read, came_to(ouro_file_read(h.file, g.buf, 1, 0)), -EBADF) \
    X(file_read_exact, came_to(ouro_file_read_exact(h.file, g.buf, 1, 0)), -EBADF) \
    X(file_readv, came_to(ouro_file_readv(h.file, g.iov, 1, 0)), -EBADF) \
    X(file_write, came_to(ouro_file_write(h.file, g.bytes, 1, 0)), -EBADF) \
    X(file_writev, came_to(ouro_file_writev(h.file, g.iov, 1, 0)), -EBADF) \
    X(file_append, came_to(ouro_file_append(h.file, g.bytes, 1)), -EBADF) \
    X(file_fsync, came_to(ouro_file_fsync(h.file)), -EBADF) \
    X(file_fdatasync, came_to(ouro_file_fdatasync(h.file)), -EBADF) \
    X(file_sync_range, came_to(ouro_file_sync_range(h.file, 0, 0, 0)), -EBADF) \
    X(file_stat, came_to(ouro_file_stat(h.file, g.stat)), -EBADF) \
    X(file_truncate, came_to(ouro_file_truncate(h.file, 0)), -EBADF) \
    X(file_allocate, came_to(ouro_file_allocate(h.file, 0, 0, 1)), -EBADF) \
    X(file_advise, came_to(ouro_file_advise(h.file, 0, 0, OURO_ADVICE_NORMAL)), -EBADF) \
    X(file_lock, came_to(ouro_file_lock(h.file, OURO_LOCK_SHARED, NULL)), -EBADF) \
    X(file_try_lock, ouro_file_try_lock(h.file, OURO_LOCK_SHARED, NULL), -EBADF) \
    X(file_unlock, ouro_file_unlock(h.file, NULL), -EBADF) \
    X(file_close, came_to(ouro_file_close(h.file)), 0) \
    X(dir_next, came_to(ouro_dir_next(h.dir)), -EBADF) \
    X(dir_close, came_to(ouro_dir_close(h.dir)), 0) \
    X(walk_next, came_to(ouro_walk_next(h.walk)), -EBADF) \
    X(walk_skip, ouro_walk_skip(h.walk), -EBADF) \
    X(walk_close, came_to(ouro_walk_close(h.walk)), 0) \
    X(notify_add, came_to(ouro_notify_add(h.notify, g.path, IN_MODIFY)), -EBADF) \
    X(notify_remove, ouro_notify_remove(h.notify, 1), -EBADF) \
    X(notify_next, came_to(ouro_notify_next(h.notify)), -EBADF) \
    X(notify_close, came_to(ouro_notify_close(h.notify)), 0) \
    X(temp_keep, came_to(ouro_temp_keep(h.temp, g.path, NULL)), -EBADF) \
    X(temp_close, came_to(ouro_temp_close(h.temp)), 0) \
    X(stream_read, came_to(ouro_stream_read(h.stream, g.buf, 1)), -EBADF) \
    X(stream_read_exact, came_to(ouro_stream_read_exact(h.stream, g.buf, 1)), -EBADF) \
    X(stream_read_until, came_to(ouro_stream_read_until(h.stream, g.buf, 9, "x", 1)), -EBADF) \
    X(stream_read_line, came_to(ouro_stream_read_line(h.stream, g.buf, 9)), -EBADF) \
    X(stream_next, came_to(ouro_stream_next(h.stream, &g.bytes)), -EBADF) \
    X(stream_peek, came_to(ouro_stream_peek(h.stream, g.buf, 1)), -EBADF) \
    X(stream_write, came_to(ouro_stream_write(h.stream, g.buf, 1)), -EBADF) \
    X(stream_writev, came_to(ouro_stream_writev(h.stream, g.iov, 1)), -EBADF) \
    X(stream_send_file, came_to(ouro_stream_send_file(h.stream, 0, 0, 1)), -EBADF) \
    X(stream_put, ouro_stream_put(h.stream, g.buf, 1), -EBADF) \
    X(stream_drain, came_to(ouro_stream_drain(h.stream)), -EBADF) \
    X(stream_flush, came_to(ouro_stream_flush(h.stream)), -EBADF) \
    X(stream_shutdown, came_to(ouro_stream_shutdown(h.stream, SHUT_WR)), -EBADF) \
    X(stream_take_fd, came_to(ouro_stream_take_fd(h.stream)), -EBADF) \
    X(stream_send_fds, came_to(ouro_stream_send_fds(h.stream, g.buf, 1, g.fds, 1)), -EBADF) \
    X(stream_receive_fds, came_to(ouro_stream_receive_fds(h.stream, g.buf, 1)), -EBADF) \
    X(stream_copy, came_to(ouro_stream_copy(h.stream, h.peer)), -EBADF) \
    X(stream_relay, came_to(ouro_stream_relay(h.stream, h.peer)), -EBADF) \
    X(stream_abort, ouro_stream_abort(h.stream), 0) \
    X(stream_close, came_to(ouro_stream_close(h.stream)), 0) \
    X(listener_accept, came_to(ouro_listener_accept(h.listener)), -EBADF) \
    X(serve, came_to(ouro_serve(h.listener, g.handler, NULL, NULL)), -EBADF) \
    X(listener_close, came_to(ouro_listener_close(h.listener)), 0) \
    X(datagram_connect, ouro_datagram_connect(h.datagram, g.address), -EBADF) \
    X(datagram_next, came_to(ouro_datagram_next(h.datagram, g.message, 1)), -EBADF) \
    X(datagram_receive, came_to(ouro_datagram_receive(h.datagram, g.buf, 1, NULL)), -EBADF) \
    X(datagram_send, came_to(ouro_datagram_send(h.datagram, g.buf, 1)), -EBADF) \
    X(datagram_send_to, came_to(ouro_datagram_send_to(h.datagram, g.buf, 1, g.address)), -EBADF) \
    X(datagram_send_many, came_to(ouro_datagram_send_many(h.datagram, g.outgoing, 1)), -EBADF) \
    X(datagram_send_fds, \
      came_to(ouro_datagram_send_fds(h.datagram, g.buf, 1, g.fds, 1, g.address)), -EBADF) \
    X(datagram_close, came_to(ouro_datagram_close(h.datagram)), 0) \
    X(seqpacket_accept, came_to(ouro_seqpacket_accept(h.packets)), -EBADF)

/* Calls that look at a handle, wherever that may be looked at. */
#define LOOKS(X) \
    X(file_fd, ouro_file_fd(h.file), -EBADF) \
    X(temp_fd, ouro_temp_fd(h.temp), -EBADF) \
    X(stream_fd, ouro_stream_fd(h.stream), -EBADF) \
    X(stream_peer, ouro_stream_peer(h.stream, &(ouro_address){0}), -EBADF) \
    X(stream_local, ouro_stream_local(h.stream, &(ouro_address){0}), -EBADF) \
    X(stream_got, ouro_stream_got(h.stream), 0) \
    X(stream_written, ouro_stream_written(h.stream), 0) \
    X(stream_stats_get, ouro_stream_stats_get(h.stream, &(ouro_stream_stats){0}), 0) \
    X(listener_address, ouro_listener_address(h.listener, &(ouro_address){0}), -EBADF) \
    X(listener_fd, ouro_listener_fd(h.listener), -EBADF) \
    X(listener_stats_get, ouro_listener_stats_get(h.listener, &(ouro_listener_stats){0}), 0) \
    X(datagram_fd, ouro_datagram_fd(h.datagram), -EBADF) \
    X(datagram_stats_get, ouro_datagram_stats_get(h.datagram, &(ouro_datagram_stats){0}), 0)

/* Calls that need no handle but a loop, and what they say after its shutdown. */
#define LOOP_CALLS(X) \
    X(file_open, came_to(ouro_file_open(g.path, O_RDONLY, NULL)), -ESHUTDOWN) \
    X(file_from_fd, ouro_file_from_fd(0, g.ret_file), -ESHUTDOWN) \
    X(file_read_all, came_to(ouro_file_read_all(g.path, NULL)), -ESHUTDOWN) \
    X(file_write_atomic, came_to(ouro_file_write_atomic(g.path, "", 0, NULL)), -ESHUTDOWN) \
    X(file_copy, came_to(ouro_file_copy(g.path, g.path, NULL)), -ESHUTDOWN) \
    X(file_stats_get, ouro_file_stats_get(g.path ? &(ouro_file_stats){0} : NULL), 0) \
    X(path_stat, came_to(ouro_path_stat(g.path, g.stat, NULL)), -ESHUTDOWN) \
    X(path_access, came_to(ouro_path_access(g.path, F_OK, NULL)), -ESHUTDOWN) \
    X(path_rename, came_to(ouro_path_rename(g.path, g.path, NULL)), -ESHUTDOWN) \
    X(path_unlink, came_to(ouro_path_unlink(g.path, NULL)), -ESHUTDOWN) \
    X(path_rmdir, came_to(ouro_path_rmdir(g.path, NULL)), -ESHUTDOWN) \
    X(path_mkdir, came_to(ouro_path_mkdir(g.path, 0777, NULL)), -ESHUTDOWN) \
    X(path_link, came_to(ouro_path_link(g.path, g.path, NULL)), -ESHUTDOWN) \
    X(path_symlink, came_to(ouro_path_symlink(g.path, g.path, NULL)), -ESHUTDOWN) \
    X(path_readlink, came_to(ouro_path_readlink(g.path, g.buf, 9, NULL)), -ESHUTDOWN) \
    X(path_truncate, came_to(ouro_path_truncate(g.path, 0, NULL)), -ESHUTDOWN) \
    X(dir_open, came_to(ouro_dir_open(g.path, NULL)), -ESHUTDOWN) \
    X(walk_open, came_to(ouro_walk_open(g.path, NULL)), -ESHUTDOWN) \
    X(tree_remove, came_to(ouro_tree_remove(g.path ? "/tmp/ouro/no/such/tree" : NULL)), -ESHUTDOWN) \
    X(notify_open, ouro_notify_open(NULL, g.ret_notify), -ESHUTDOWN) \
    X(resolve, came_to(ouro_resolve(g.path ? "127.0.0.1" : NULL, NULL, NULL)), -ESHUTDOWN) \
    X(connect, came_to(ouro_connect(g.path ? "127.0.0.1:1" : NULL, NULL)), -ESHUTDOWN) \
    X(connect_to, came_to(ouro_connect_to(g.address, 1, NULL)), -ESHUTDOWN) \
    X(stream_connect, came_to(ouro_stream_connect(g.path ? "127.0.0.1:1" : NULL, NULL)), -ESHUTDOWN) \
    X(stream_new, ouro_stream_new(0, NULL, g.ret_stream), -ESHUTDOWN) \
    X(stream_buffers_get, \
      ouro_stream_buffers_get(g.path ? &(ouro_stream_buffers_stats){0} : NULL), 0) \
    X(pipe, ouro_pipe(NULL, g.ret_stream, g.ret_other), -ESHUTDOWN) \
    X(socketpair, ouro_socketpair(NULL, g.ret_stream, g.ret_other), -ESHUTDOWN) \
    X(stdin, ouro_stdin(NULL, g.ret_stream), -ESHUTDOWN) \
    X(stdout, ouro_stdout(NULL, g.ret_stream), -ESHUTDOWN) \
    X(stderr, ouro_stderr(NULL, g.ret_stream), -ESHUTDOWN) \
    X(listen, ouro_listen(g.place, NULL, g.ret_listener), -ESHUTDOWN) \
    X(listener_open, ouro_listener_open(g.address, NULL, g.ret_listener), -ESHUTDOWN) \
    X(listener_from_fd, ouro_listener_from_fd(0, NULL, g.ret_listener), -ESHUTDOWN) \
    X(udp_open, ouro_udp_open(g.place, NULL, NULL, g.ret_datagram), -ESHUTDOWN) \
    X(datagram_open, ouro_datagram_open(g.address, NULL, NULL, g.ret_datagram), -ESHUTDOWN) \
    X(datagram_new, ouro_datagram_new(0, NULL, g.ret_datagram), -ESHUTDOWN) \
    X(seqpacket_listen, ouro_seqpacket_listen(g.door, 0, NULL, g.ret_datagram), -ESHUTDOWN) \
    X(seqpacket_connect, came_to(ouro_seqpacket_connect(g.door, NULL)), -ESHUTDOWN)

/* clang-format on */

#define FUNCTION(name, call, closed) \
    static int64_t call_##name(void) \
    {                                \
        return call;                 \
    }
HANDLE_CALLS(FUNCTION)
LOOKS(FUNCTION)
LOOP_CALLS(FUNCTION)

#define ROW(name, call, closed) {"ouro_" #name "()", call_##name, closed},
static const struct call handle_calls[] = {HANDLE_CALLS(ROW)};
static const struct call looks[] = {LOOKS(ROW)};
static const struct call loop_calls[] = {LOOP_CALLS(ROW)};

enum {
    HANDLE_COUNT = sizeof(handle_calls) / sizeof(*handle_calls),
    LOOK_COUNT = sizeof(looks) / sizeof(*looks),
    LOOP_COUNT = sizeof(loop_calls) / sizeof(*loop_calls),
    IF_CLOSED = 1 /* no code: that of the table */
};

/* Threads and children note what they were told; the test looks at it. */
static struct {
    int64_t of_handles[HANDLE_COUNT];
    int64_t of_loops[LOOP_COUNT];
} told;

static void make_handle_calls(void)
{
    for (int i = 0; i < HANDLE_COUNT; i++)
        told.of_handles[i] = handle_calls[i].make();
}

static void make_loop_calls(void)
{
    for (int i = 0; i < LOOP_COUNT; i++)
        told.of_loops[i] = loop_calls[i].make();
}

static void look(void)
{
    for (int i = 0; i < LOOK_COUNT; i++)
        looks[i].make();
}

static void expect_of_handles(int64_t want)
{
    for (int i = 0; i < HANDLE_COUNT; i++)
        harness_check_eq(told.of_handles[i], want == IF_CLOSED ? handle_calls[i].if_closed : want,
                         __FILE__, __LINE__, handle_calls[i].name, "what its header says");
}

static void expect_of_loops(int64_t want)
{
    for (int i = 0; i < LOOP_COUNT; i++)
        harness_check_eq(told.of_loops[i], want == IF_CLOSED ? loop_calls[i].if_closed : want,
                         __FILE__, __LINE__, loop_calls[i].name, "what its header says");
}

/* ---- Nothing, and what is no more ------------------------------------------------------------ */

KernelTest(every_call, with_null_is_einval)
{
    make_handle_calls();
    expect_of_handles(-EINVAL);
    make_loop_calls();
    expect_of_loops(-EINVAL);
    for (int i = 0; i < LOOK_COUNT; i++)
        harness_check_eq(looks[i].make(), -EINVAL, __FILE__, __LINE__, looks[i].name, "-EINVAL");
    return 0;
}

/* What returns nothing, or cannot fail. */
KernelTest(every_call, that_cannot_fail_takes_null)
{
    free_handles();
    ouro_stream_done(NULL);
    ouro_datagram_done(NULL);
    ouro_file_bytes_free(NULL);
    ouro_aligned_free(NULL);
    check(!ouro_passed_free(NULL));
    check(!ouro_temp_path(NULL));
    check_eq(ouro_file_moved(NULL), 0);
    check(!ouro_server_current());
    check_eq(ouro_server_stop(NULL, 0), -EINVAL);
    check_eq(ouro_server_stats_get(NULL, &(ouro_server_stats){0}), -EINVAL);
    check_eq(ouro_file_unregister_memory(NULL), -ENOENT);
    check(ouro_file_register_memory(NULL, 4096) < 0);
    check(!ouro_aligned_alloc(3, 1));
    check(!ouro_aligned_alloc(4096, 0));
    check(!ouro_aligned_alloc(4096, SIZE_MAX));
    return 0;
}

/* With a handle, and without the rest. */
KernelTest(every_call, without_its_other_arguments_is_einval_too)
{
    open_handles();
    static const char *const need_none[] = {
        "file_fsync()",  "file_fdatasync()",   "file_sync_range()", "file_truncate()",
        "file_allocate", "file_advise",        "file_lock",         "file_try_lock",
        "file_unlock",   "_close()",           "dir_next",          "walk_next",
        "walk_skip",     "notify_remove",      "notify_next",       "stream_next",
        "send_file",     "stream_drain",       "stream_flush",      "stream_shutdown",
        "take_fd",       "stream_copy",        "stream_relay",      "stream_abort",
        "accept",        "datagram_connect()",
    };
    for (int i = 0; i < HANDLE_COUNT; i++) {
        bool needs = true;
        for (size_t k = 0; k < sizeof(need_none) / sizeof(*need_none); k++)
            needs &= !strstr(handle_calls[i].name, need_none[k]);
        if (needs)
            harness_check_eq(handle_calls[i].make(), -EINVAL, __FILE__, __LINE__,
                             handle_calls[i].name, "-EINVAL");
    }
    check_eq(came_to(ouro_stream_next(h.stream, NULL)), -EINVAL);
    check_eq(came_to(ouro_stream_copy(h.stream, NULL)), -EINVAL);
    check_eq(came_to(ouro_stream_copy(NULL, h.stream)), -EINVAL);
    check_eq(came_to(ouro_stream_relay(h.stream, NULL)), -EINVAL);
    check_eq(ouro_stream_stats_get(h.stream, NULL), -EINVAL);
    check_eq(ouro_stream_peer(h.stream, NULL), -EINVAL);
    check_eq(ouro_stream_local(h.stream, NULL), -EINVAL);
    check_eq(ouro_listener_address(h.listener, NULL), -EINVAL);
    check_eq(ouro_listener_stats_get(h.listener, NULL), -EINVAL);
    check_eq(ouro_datagram_stats_get(h.datagram, NULL), -EINVAL);
    free_handles();
    return 0;
}

KernelTest(every_call, of_a_closed_handle_is_ebadf_and_its_close_still_works)
{
    give_arguments();
    open_handles();
    close_handles();
    make_handle_calls();
    expect_of_handles(IF_CLOSED);
    for (int i = 0; i < LOOK_COUNT; i++)
        harness_check_eq(looks[i].make(), looks[i].if_closed, __FILE__, __LINE__, looks[i].name,
                         "what its header says");
    check(!ouro_temp_path(h.temp));
    ouro_stream_done(h.stream);
    ouro_datagram_done(h.datagram);
    free_handles();
    return 0;
}

/* ---- Elsewhere ------------------------------------------------------------------------------- */

static void *without_a_loop(void *unused)
{
    make_handle_calls();
    make_loop_calls();
    look();
    return unused;
}

static void *with_its_own_loop(void *unused)
{
    ouro_loop *loop = NULL;
    if (ouro_loop_new(NULL, &loop) < 0)
        return unused;
    make_handle_calls();
    look();
    ouro_loop_close(loop);
    return unused;
}

static void on_a_thread(void *(*body)(void *))
{
    pthread_t thread;
    memset(&told, 0, sizeof told);
    check_eq(pthread_create(&thread, NULL, body, NULL), 0);
    check_eq(pthread_join(thread, NULL), 0);
}

KernelTest(every_call, on_a_thread_without_a_loop_is_exdev_or_eperm)
{
    give_arguments();
    open_handles();
    on_a_thread(without_a_loop);
    expect_of_handles(-EXDEV);
    expect_of_loops(-EPERM);
    close_handles(); /* they have taken no harm */
    free_handles();
    return 0;
}

KernelTest(every_call, on_the_thread_of_another_loop_is_exdev)
{
    give_arguments();
    open_handles();
    on_a_thread(with_its_own_loop);
    expect_of_handles(-EXDEV);
    close_handles();
    free_handles();
    return 0;
}

static int child_of_the_fork(void)
{
    make_handle_calls();
    make_loop_calls();
    look();
    for (int i = 0; i < HANDLE_COUNT; i++)
        if (told.of_handles[i] != -ECHILD)
            fprintf(stderr, "%s: %lld\n", handle_calls[i].name, (long long)told.of_handles[i]);
    for (int i = 0; i < LOOP_COUNT; i++)
        if (told.of_loops[i] != -ECHILD)
            fprintf(stderr, "%s: %lld\n", loop_calls[i].name, (long long)told.of_loops[i]);
    free_handles();
    return 0;
}

/* The child says what it was told if that is anything but -ECHILD. */
KernelTest(every_call, in_the_child_of_a_fork_is_echild)
{
    char text[4096] = "";
    give_arguments();
    open_handles();
    check_child(child_of_the_fork, text, sizeof(text));
    check_text(text, "");
    close_handles(); /* they have taken no harm */
    free_handles();
    return 0;
}

/* ---- Later ----------------------------------------------------------------------------------- */

static int64_t open_them(void *unused)
{
    (void)unused;
    open_handles();
    return 0;
}

Test(every_call, after_the_loops_close_is_no_use_and_does_no_harm)
{
    give_arguments();
    begin_kernel();
    check_eq(run_main(open_them, NULL), 0);
    ouro_loop *loop = ouro_loop_current();
    check_eq(ouro_loop_shutdown(loop, OURO_SEC(5)), 0);
    make_loop_calls();
    expect_of_loops(IF_CLOSED);
    check_eq(ouro_loop_close(loop), 0);
    make_handle_calls();
    look();
    for (int i = 0; i < HANDLE_COUNT; i++)
        harness_check(told.of_handles[i] <= 0 && told.of_handles[i] != -EAGAIN, __FILE__, __LINE__,
                      handle_calls[i].name);
    make_loop_calls();
    expect_of_loops(-EPERM);
    free_handles();
    end_closed();
}
