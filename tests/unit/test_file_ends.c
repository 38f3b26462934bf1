/* SPDX-License-Identifier: MIT */
/*
 * How operations on files end when they do not come to their own: cancelled before and after they
 * are submitted, their handle closed by another task, the loop shut down.
 */
#define _GNU_SOURCE
#include "file_test.h"

#include <signal.h>
#include <sys/wait.h>

#include <ouro/scope.h>

TestSuite(file_ends, .timeout = 60);

/* A read that waits for as long as nobody writes to the pipe. */
static ouro_file *pipe_reader(int *ret_writer)
{
    int ends[2];
    ouro_file *f;
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    check_eq(ouro_file_from_fd(ends[0], &f), 0);
    *ret_writer = ends[1];
    return f;
}

/* ---- Cancelled ------------------------------------------------------------------------------- */

FileTest(file_ends, a_read_cancelled_before_it_was_submitted_never_is)
{
    char c = 0;
    int writer;
    ouro_file *f = pipe_reader(&writer);
    check_eq(write(writer, "x", 1), 1);
    ouro_future *r = ouro_file_read(f, &c, 1, 0);
    check_eq(ouro_cancel(r), 1);
    check_eq(ouro_future_state(r), OURO_CANCELLED);
    ouro_unref(r);
    check_eq(ouro_await(ouro_file_read(f, &c, 1, 0)), 1);
    check_eq(c, 'x');
    close_file(f);
    close(writer);
    return 0;
}

FileTest(file_ends, a_read_cancelled_in_flight_gives_its_buffer_back)
{
    char c = 0;
    int writer;
    ouro_file *f = pipe_reader(&writer);
    check_eq(ouro_await(ouro_timeout(ouro_file_read(f, &c, 1, 0), OURO_MS(2))), -ETIMEDOUT);
    check_eq(write(writer, "x", 1), 1);
    check_eq(c, 0);
    check_eq(ouro_await(ouro_file_read(f, &c, 1, 0)), 1);
    close_file(f);
    close(writer);
    return 0;
}

FileTest(file_ends, a_cancel_after_the_result_changes_nothing)
{
    char c;
    ouro_file *f = file_with("f", "x");
    ouro_future *r = ouro_file_read(f, &c, 1, 0);
    while (ouro_future_state(r) == OURO_PENDING)
        ouro_yield();
    check_eq(ouro_cancel(r), 0);
    check_eq(ouro_await(r), 1);
    close_file(f);
    return 0;
}

/* What a cancelled task asks for is not begun, however fast it would be. */
FileTest(file_ends, nothing_is_begun_in_a_cancelled_scope)
{
    ouro_file *f = file_with("f", "abc");
    ouro_scope scope;
    ouro_stat st;
    char c = 0;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_scope_cancel(&scope, "test");
    check_eq(ouro_await(ouro_file_write(f, "xyz", 3, 0)), -ECANCELED);
    check_eq(ouro_await(ouro_file_append(f, "xyz", 3)), -ECANCELED);
    check_eq(ouro_await(ouro_file_read(f, &c, 1, 0)), -ECANCELED);
    check_eq(ouro_await(ouro_file_truncate(f, 0)), -ECANCELED);
    check_eq(ouro_await(ouro_file_stat(f, &st)), -ECANCELED);
    check_eq(ouro_await(ouro_file_fsync(f)), -ECANCELED);
    check_eq(ouro_await(ouro_file_lock(f, OURO_LOCK_EXCLUSIVE, NULL)), -ECANCELED);
    check_eq(ouro_await(ouro_file_open("g", O_CREAT | O_WRONLY, NULL)), -ECANCELED);
    check_eq(ouro_await(ouro_path_stat("f", &st, NULL)), -ECANCELED);
    check_eq(ouro_await(ouro_path_unlink("f", NULL)), -ECANCELED);
    check_eq(ouro_await(ouro_path_mkdir("d/e", 0700, &(ouro_path_options){.parents = 1})),
             -ECANCELED);
    ouro_scope_exit(&scope, 0);
    check_eq(c, 0);
    check_eq(access("g", F_OK), -1);
    check_eq(access("d", F_OK), -1);
    check_contents("f", "abc");
    close_file(f);
    return 0;
}

/* A close is no wait that could be given up: it is what a cancelled task does last. */
FileTest(file_ends, a_close_in_a_cancelled_scope_closes)
{
    ouro_file *f = file_with("f", "abc");
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_scope_cancel(&scope, "test");
    check_eq(ouro_await(ouro_file_close(f)), 0);
    ouro_scope_exit(&scope, 0);
    check_eq(ouro_file_fd(f), -EBADF);
    ouro_file_free(f);
    return 0;
}

/* The pages of a large write that is stopped are a prefix, and the count says how long. */
FileTest(file_ends, a_large_write_cancelled_half_way_says_how_far_it_came)
{
    size_t size = (size_t)16 << 20;
    char *buf = malloc(size);
    memset(buf, 'x', size);
    ouro_file *f = open_file("f", O_RDWR | O_CREAT);
    ouro_future *w = ouro_file_write(f, buf, size, 0);
    ouro_yield();
    ouro_yield();
    check_eq(ouro_cancel(w), 1);
    check_eq(ouro_await(ouro_ref(w)), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(w), OURO_CANCELLED);
    int64_t moved = ouro_file_moved(w);
    struct stat st;
    check_eq(stat("f", &st), 0);
    check_eq(st.st_size, moved);
    check(moved > 0);
    check(moved < (int64_t)size);
    ouro_unref(w);
    ouro_future *r = ouro_file_read(f, buf, (size_t)moved, 0);
    ouro_yield();
    ouro_cancel(r);
    int64_t n = ouro_await(r);
    check(n > 0 || n == -OURO_ECHILDCANCELLED); /* the latter: by the ring */
    close_file(f);
    free(buf);
    return 0;
}

FileTest(file_ends, a_cancelled_append_writes_nothing_and_the_next_one_goes_on)
{
    char *large = malloc(1 << 20);
    memset(large, 'x', 1 << 20);
    ouro_file *f = open_file("f", O_RDWR | O_CREAT);
    ouro_future *a = ouro_file_append(f, large, 1 << 20);
    ouro_future *b = ouro_file_append(f, "bbb", 3);
    ouro_future *c = ouro_file_append(f, "ccc", 3);
    check_eq(ouro_cancel(b), 1);
    check_eq(ouro_await(a), 1 << 20);
    check_eq(ouro_await(b), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(c), 3);
    char tail[10] = "";
    check_eq(ouro_await(ouro_file_read(f, tail, 9, (1 << 20) - 3)), 6);
    check_text(tail, "xxxccc");
    close_file(f);
    free(large);
    return 0;
}

/* ---- Closed ---------------------------------------------------------------------------------- */

static int64_t close_it(void *arg)
{
    return ouro_await(ouro_file_close(arg));
}

FileTest(file_ends, what_is_pending_when_another_task_closes_the_handle_is_ebadf)
{
    char a, b;
    int writer;
    ouro_file *f = pipe_reader(&writer);
    ouro_future *closer;
    ouro_future *in_flight = ouro_file_read(f, &a, 1, 0);
    for (int i = 0; i < 5; i++)
        ouro_yield();
    ouro_future *queued = ouro_file_read(f, &b, 1, 0);
    closer = ouro_spawn(close_it, f);
    check_eq(ouro_await(in_flight), -EBADF);
    check_eq(ouro_await(queued), -EBADF);
    check_eq(ouro_await(closer), 0);
    check_eq(ouro_file_fd(f), -EBADF);
    ouro_file_free(f);
    signal(SIGPIPE, SIG_IGN);
    check_eq(write(writer, "x", 1), -1);
    close(writer);
    return 0;
}

FileTest(file_ends, a_freed_handle_ends_what_is_pending)
{
    char a;
    int writer;
    ouro_file *f = pipe_reader(&writer);
    ouro_future *r = ouro_file_read(f, &a, 1, 0);
    for (int i = 0; i < 5; i++)
        ouro_yield();
    ouro_file_free(f);
    check_eq(ouro_await(r), -EBADF);
    close(writer);
    return 0;
}

FileTest(file_ends, appends_in_line_end_with_their_handle)
{
    char *large = malloc(4 << 20);
    memset(large, 'x', 4 << 20);
    ouro_file *f = open_file("f", O_RDWR | O_CREAT);
    ouro_future *a[10];
    for (int i = 0; i < 10; i++)
        a[i] = ouro_file_append(f, large, 4 << 20);
    ouro_future *closing = ouro_file_close(f);
    for (int i = 0; i < 10; i++)
        check_eq(ouro_await(a[i]), -EBADF);
    check_eq(ouro_await(closing), 0);
    ouro_file_free(f);
    free(large);
    return 0;
}

FileTest(file_ends, a_close_waits_for_what_cannot_be_stopped)
{
    ouro_file *f = file_with("f", "0123456789");
    ouro_future *t = ouro_file_truncate(f, 5);
    ouro_future *s = ouro_file_fsync(f);
    check_eq(ouro_await(ouro_file_close(f)), 0);
    check(ouro_future_state(t) != OURO_PENDING);
    check(ouro_future_state(s) != OURO_PENDING);
    int64_t rc = ouro_await(t);
    check(rc == 0 || rc == -EBADF);
    rc = ouro_await(s);
    check(rc == 0 || rc == -EBADF);
    ouro_file_free(f);
    return 0;
}

/* The folder that a path starts from, too. */
FileTest(file_ends, a_folder_in_use_is_closed_when_it_is_not)
{
    check_eq(mkdir("d", 0700), 0);
    ouro_file *d = open_file("d", O_RDONLY | O_DIRECTORY);
    ouro_future *o = ouro_file_open("f", O_WRONLY | O_CREAT, &(ouro_file_options){.at = d});
    ouro_future *r = ouro_path_rename("nothing", "g", &(ouro_path_options){.to_at = d});
    ouro_future *m = ouro_path_mkdir("x/y", 0700, &(ouro_path_options){.at = d, .parents = 1});
    check_eq(ouro_await(ouro_file_close(d)), 0);
    check_eq(ouro_await(o), -EBADF);
    check_eq(ouro_await(r), -ENOENT);
    int64_t rc = ouro_await(m);
    check(rc == 0 || rc == -EBADF);
    check_eq(ouro_await(ouro_file_open("f", O_RDONLY, &(ouro_file_options){.at = d})), -EBADF);
    check_eq(ouro_await(ouro_path_unlink("f", &(ouro_path_options){.at = d})), -EBADF);
    check_eq(ouro_await(ouro_path_rename("f", "g", &(ouro_path_options){.to_at = d})), -EBADF);
    ouro_file_free(d);
    return 0;
}

/* ---- The loop -------------------------------------------------------------------------------- */

Test(file_ends, a_shutdown_ends_what_is_pending_and_close_still_works)
{
    go_to_folder("/var/tmp");
    begin_kernel();
    static char a;
    int writer;
    ouro_file *f = pipe_reader(&writer);
    ouro_future *r = ouro_file_read(f, &a, 1, 0);
    turn();
    ouro_loop_shutdown(ouro_loop_current(), 0);
    check_eq(ouro_future_state(r), OURO_CANCELLED);
    ouro_unref(r);
    ouro_file_free(f);
    signal(SIGPIPE, SIG_IGN);
    check_eq(write(writer, "x", 1), -1);
    close(writer);
    end();
    leave_folder();
}

/* A close that the ring was to do when the loop is shut down is done all the same. */
Test(file_ends, a_shutdown_in_the_middle_of_a_close_leaves_nothing_open)
{
    for (int between = 0; between < 3; between++) {
        go_to_folder("/var/tmp");
        begin_kernel();
        char *buf = calloc(1, 4 << 20);
        ouro_file *f;
        int fd = open("f", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        check_eq(ouro_file_from_fd(fd, &f), 0);
        check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_file_write(f, buf, 4 << 20, 0)),
                 4 << 20);
        ouro_future *closing = ouro_file_close(f);
        turns((unsigned)between);
        ouro_file_free(f);
        ouro_loop_shutdown(ouro_loop_current(), 0);
        check_eq(ouro_future_state(closing), OURO_VALUE);
        check_eq(fcntl(fd, F_GETFD), -1);
        ouro_unref(closing);
        end();
        leave_folder();
        free(buf);
    }
}

static int in_a_child_of_a_fork(void)
{
    begin_kernel();
    ouro_file *f;
    child_check(ouro_file_from_fd(dup(0), &f) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        ouro_future *r = ouro_file_read(f, &c, 1, 0);
        int ok = ouro_future_result(r).n == -ECHILD && ouro_file_free(f) == NULL;
        _exit(ok ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    ouro_file_free(f);
    end();
    return status;
}

Test(file_ends, the_child_of_a_fork_cannot_use_a_handle)
{
    check_child(in_a_child_of_a_fork, NULL, 0);
}

struct other {
    ouro_file *f;
    int64_t n;
};

static int64_t use_from_another_thread(void *arg)
{
    struct other *o = arg;
    char c;
    ouro_future *r = ouro_file_read(o->f, &c, 1, 0);
    o->n = ouro_future_result(r).n;
    return 0;
}

FileTest(file_ends, another_thread_cannot_use_a_handle)
{
    struct other o = {.f = file_with("f", "x")};
    check_eq(ouro_await(ouro_offload(use_from_another_thread, &o)), 0);
    check_eq(o.n, -EXDEV);
    close_file(o.f);
    return 0;
}
