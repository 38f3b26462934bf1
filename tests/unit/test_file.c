/* SPDX-License-Identifier: MIT */
/*
 * Files: open, read, write, close, and how each fails.
 */
#define _GNU_SOURCE
#include "file_test.h"
#include "refuse.h"

#include <signal.h>

TestSuite(file, .timeout = 60);

/* ---- Open and close -------------------------------------------------------------------------- */

FileTest(file, what_was_written_is_read)
{
    char buf[16] = "";
    ouro_file *f = file_with("f", "hello, world");
    check_eq(ouro_await(ouro_file_read(f, buf, 5, 7)), 5);
    check_text(buf, "world");
    close_file(f);
    check_contents("f", "hello, world");
    return 0;
}

FileTest(file, an_open_that_fails_says_why_and_names_the_file)
{
    ouro_future *f = ouro_file_open("nowhere/f", O_RDONLY, NULL);
    check_eq(ouro_await(ouro_ref(f)), -ENOENT);
    check_text(ouro_future_detail(f), "cannot open nowhere/f");
    ouro_unref(f);
    check_eq(ouro_await(ouro_file_open(".", O_WRONLY, NULL)), -EISDIR);
    close_file(file_with("f", ""));
    check_eq(ouro_await(ouro_file_open("f", O_WRONLY | O_CREAT | O_EXCL, NULL)), -EEXIST);
    check_eq(ouro_await(ouro_file_open("f/g", O_RDONLY, NULL)), -ENOTDIR);
    check_eq(ouro_await(ouro_file_open(NULL, O_RDONLY, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_file_open("f", O_RDONLY, &(ouro_file_options){.resolve = 1u << 30})),
             -EINVAL);
    char path[5000];
    memset(path, 'x', sizeof(path));
    path[300] = '\0';
    check_eq(ouro_await(ouro_file_open(path, O_RDONLY, NULL)), -ENAMETOOLONG);
    path[300] = 'x';
    path[sizeof(path) - 1] = '\0';
    check_eq(ouro_await(ouro_file_open(path, O_RDONLY, NULL)), -ENAMETOOLONG);
    return 0;
}

FileTest(file, an_open_file_that_nobody_takes_is_closed)
{
    close_file(file_with("f", "x"));
    ouro_detach(ouro_file_open("f", O_RDONLY, NULL));
    check_eq(ouro_await(ouro_file_open("f", O_RDONLY, NULL)), 0);
    check_eq(ouro_await(ouro_timeout(ouro_file_open("f", O_RDONLY, NULL), 0)), -ETIMEDOUT);
    return 0;
}

FileTest(file, a_close_may_be_asked_for_by_many_and_again)
{
    ouro_file *f = file_with("f", "x");
    ouro_future *a = ouro_file_close(f), *b = ouro_file_close(f);
    check_eq(ouro_await(a), 0);
    check_eq(ouro_await(b), 0);
    check_eq(ouro_await(ouro_file_close(f)), 0);
    check_eq(ouro_file_fd(f), -EBADF);
    char c;
    check_eq(ouro_await(ouro_file_read(f, &c, 1, 0)), -EBADF);
    check_eq(ouro_await(ouro_file_write(f, &c, 1, 0)), -EBADF);
    check_eq(ouro_await(ouro_file_append(f, &c, 1)), -EBADF);
    check_eq(ouro_await(ouro_file_fsync(f)), -EBADF);
    check_eq(ouro_await(ouro_file_truncate(f, 0)), -EBADF);
    check_eq(ouro_await(ouro_file_lock(f, OURO_LOCK_SHARED, NULL)), -EBADF);
    check_eq(ouro_file_try_lock(f, OURO_LOCK_SHARED, NULL), -EBADF);
    ouro_stat st;
    check_eq(ouro_await(ouro_file_stat(f, &st)), -EBADF);
    ouro_file_free(f);
    return 0;
}

FileTest(file, free_closes_what_is_open)
{
    ouro_file *f = file_with("f", "x");
    int fd = ouro_file_fd(f);
    check(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    check(!ouro_file_free(f));
    check_eq(fcntl(fd, F_GETFD), -1);
    check(!ouro_file_free(NULL));
    return 0;
}

Test(file, a_handle_may_be_freed_after_the_loop)
{
    go_to_folder("/dev/shm");
    begin_kernel();
    ouro_file *f;
    int fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    check_eq(ouro_file_from_fd(fd, &f), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ouro_file_free(f);
    check_eq(fcntl(fd, F_GETFD), -1);
    end_closed();
    leave_folder();
}

/* ---- Reads ----------------------------------------------------------------------------------- */

FileTest(file, a_read_ends_where_the_file_does)
{
    char buf[100];
    ouro_file *f = file_with("f", "0123456789");
    check_eq(ouro_await(ouro_file_read(f, buf, sizeof(buf), 0)), 10);
    check_eq(ouro_await(ouro_file_read(f, buf, sizeof(buf), 8)), 2);
    check_eq(ouro_await(ouro_file_read(f, buf, sizeof(buf), 10)), 0);
    check_eq(ouro_await(ouro_file_read(f, buf, sizeof(buf), 1000)), 0);
    check_eq(ouro_await(ouro_file_read(f, buf, 0, 0)), 0);
    close_file(f);
    return 0;
}

FileTest(file, read_exact_fails_at_the_end_and_says_how_much_there_was)
{
    char buf[100] = "";
    ouro_file *f = file_with("f", "0123456789");
    check_eq(ouro_await(ouro_file_read_exact(f, buf, 4, 2)), 4);
    check_text(buf, "2345");
    ouro_future *r = ouro_file_read_exact(f, buf, 5, 8);
    check_eq(ouro_await(ouro_ref(r)), -ENODATA);
    check_eq(ouro_file_moved(r), 2);
    ouro_unref(r);
    check_eq(ouro_file_moved(NULL), 0);
    close_file(f);
    return 0;
}

FileTest(file, vectors_are_filled_and_written_in_order)
{
    char a[3], b[4], c[100];
    ouro_file *f = open_file("f", O_RDWR | O_CREAT);
    struct iovec out[3] = {
        {(void *)(uintptr_t) "one", 3}, {NULL, 0}, {(void *)(uintptr_t) "twothree", 8}};
    check_eq(ouro_await(ouro_file_writev(f, out, 3, 1)), 11);
    struct iovec in[3] = {{a, 3}, {b, 4}, {c, 100}};
    check_eq(ouro_await(ouro_file_readv(f, in, 3, 1)), 11);
    check(memcmp(a, "one", 3) == 0 && memcmp(b, "twot", 4) == 0 && memcmp(c, "hree", 4) == 0);
    check_eq(ouro_await(ouro_file_readv(f, in, 0, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_readv(f, in, 1025, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_readv(f, NULL, 1, 0)), -EINVAL);
    close_file(f);
    return 0;
}

/* Large ones are cut in pieces, which must fit together again. */
FileTest(file, large_transfers_are_whole)
{
    size_t size = ((size_t)5 << 20) + 12345;
    char *out = malloc(size), *in = calloc(1, size);
    fill(out, size);
    ouro_file *f = open_file("f", O_RDWR | O_CREAT);
    check_eq(ouro_await(ouro_file_write(f, out, size, 3)), (int64_t)size);
    check_eq(ouro_await(ouro_file_read(f, in, size, 3)), (int64_t)size);
    check(memcmp(in, out, size) == 0);
    memset(in, 0, size);
    struct iovec iov[4] = {
        {in, 1}, {in + 1, 300000}, {in + 300001, 0}, {in + 300001, size - 300001}};
    check_eq(ouro_await(ouro_file_readv(f, iov, 4, 3)), (int64_t)size);
    check(memcmp(in, out, size) == 0);
    fill(out, size / 2);
    iov[0] = (struct iovec){out, 200000};
    iov[1] = (struct iovec){out + 200000, size - 200000};
    check_eq(ouro_await(ouro_file_writev(f, iov, 2, 0)), (int64_t)size);
    check_eq(ouro_await(ouro_file_read_exact(f, in, size, 0)), (int64_t)size);
    check(memcmp(in, out, size) == 0);
    iov[0] = iov[1] = (struct iovec){NULL, 0}; /* nothing at first */
    iov[2] = (struct iovec){out, size};
    check_eq(ouro_await(ouro_file_writev(f, iov, 3, 0)), (int64_t)size);
    iov[2].iov_base = in;
    check_eq(ouro_await(ouro_file_readv(f, iov, 3, 0)), (int64_t)size);
    check(memcmp(in, out, size) == 0);
    close_file(f);
    free(in);
    free(out);
    return 0;
}

/* What is not in the cache comes by the ring. */
Test(file, a_cold_file_is_read_through_the_ring)
{
    size_t size = (size_t)3 << 20;
    char *out = malloc(size), *in = calloc(1, size);
    go_to_folder("/var/tmp");
    begin_kernel();
    fill(out, size);
    int fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    check_eq(write(fd, out, size), (int64_t)size);
    refuse_cached_reads();
    ouro_file *f;
    check_eq(ouro_file_from_fd(fd, &f), 0);
    check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_file_read(f, in, size, 0)),
             (int64_t)size);
    check(memcmp(in, out, size) == 0);
    ouro_file_stats st;
    check_eq(ouro_file_stats_get(&st), 0);
    check(st.by_ring > 0);
    ouro_file_free(f);
    end();
    leave_folder();
    free(in);
    free(out);
}

static int64_t count_turns(void *arg)
{
    int *turns_seen = arg;
    for (;;) {
        if (ouro_yield() < 0)
            return 0;
        ++*turns_seen;
    }
}

/* 64 MiB out of the cache, and whoever else wants to run does. */
FileTest(file, others_run_while_a_large_cached_file_is_read)
{
    size_t size = (size_t)32 << 20;
    char *buf = calloc(1, size);
    int turns_seen = 0;
    ouro_file *f = open_file("f", O_RDWR | O_CREAT);
    check_eq(ouro_await(ouro_file_write(f, buf, size, 0)), (int64_t)size);
    ouro_future *other = ouro_spawn(count_turns, &turns_seen);
    check_eq(ouro_await(ouro_file_read(f, buf, size, 0)), (int64_t)size);
    check(turns_seen >= 32);
    ouro_cancel(other);
    ouro_await(other);
    close_file(f);
    free(buf);
    return 0;
}

FileTest(file, others_run_between_many_small_reads)
{
    static char buf[64 << 10];
    int turns_seen = 0;
    ouro_file *f = open_file("f", O_RDWR | O_CREAT);
    check_eq(ouro_await(ouro_file_write(f, buf, sizeof(buf), 0)), (int64_t)sizeof(buf));
    ouro_future *other = ouro_spawn(count_turns, &turns_seen);
    for (int i = 0; i < 100; i++)
        check_eq(ouro_await(ouro_file_read(f, buf, sizeof(buf), 0)), (int64_t)sizeof(buf));
    check(turns_seen >= 10);
    ouro_cancel(other);
    ouro_await(other);
    close_file(f);
    return 0;
}

/* ---- Bad input ------------------------------------------------------------------------------- */

FileTest(file, what_makes_no_sense_is_refused)
{
    char c = 'x';
    ouro_file *f = file_with("f", "abc");
    check_eq(ouro_await(ouro_file_read(NULL, &c, 1, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_read(f, NULL, 1, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_read(f, &c, 1, -1)), -EINVAL);
    check_eq(ouro_await(ouro_file_read(f, &c, SIZE_MAX, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_read(f, &c, 2, INT64_MAX - 1)), -EINVAL);
    check_eq(ouro_await(ouro_file_write(f, &c, SIZE_MAX, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_write(f, &c, 1, -1)), -EINVAL);
    check_eq(ouro_await(ouro_file_write(f, NULL, 1, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_append(f, NULL, 1)), -EINVAL);
    check_eq(ouro_await(ouro_file_append(NULL, &c, 1)), -EINVAL);
    check_eq(ouro_await(ouro_file_stat(f, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_file_truncate(f, -1)), -EINVAL);
    check_eq(ouro_await(ouro_file_allocate(f, 0, 0, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_allocate(f, 0, -1, 1)), -EINVAL);
    check_eq(ouro_await(ouro_file_allocate(f, 0, INT64_MAX, 1)), -EINVAL);
    check_eq(ouro_await(ouro_file_sync_range(f, -1, 1, 0)), -EINVAL);
    check_eq(ouro_await(ouro_file_advise(f, 0, -1, OURO_ADVICE_NORMAL)), -EINVAL);
    check_eq(ouro_await(ouro_file_advise(f, 0, 0, (ouro_advice)99)), -EINVAL);
    check_eq(ouro_await(ouro_file_close(NULL)), -EINVAL);
    check_eq(ouro_file_fd(NULL), -EINVAL);
    check_eq(ouro_file_from_fd(999, &(ouro_file *){NULL}), -EBADF);
    check_eq(ouro_file_from_fd(0, NULL), -EINVAL);
    check_eq(ouro_file_stats_get(NULL), -EINVAL);
    close_file(f);
    return 0;
}

FileTest(file, a_pipe_that_nobody_reads_is_epipe_and_kills_nobody)
{
    int fds[2];
    ouro_file *f;
    sigset_t mask;
    for (int direct = 0; direct < 2; direct++) {
        check_eq(pipe2(fds, O_CLOEXEC | (direct ? O_DIRECT : 0)), 0);
        check_eq(ouro_file_from_fd(fds[1], &f), 0);
        close(fds[0]);
        check_eq(ouro_await(ouro_file_write(f, "x", 1, 0)), -EPIPE);
        check_eq(ouro_await(ouro_file_append(f, "x", 1)), -EPIPE);
        close_file(f);
        check_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
        check(!sigismember(&mask, SIGPIPE));
    }
    return 0;
}

/* What @f comes to if it ends by itself; a cancel would hide that it waits. */
static int64_t comes_to(ouro_future *f)
{
    for (int i = 0; i < 100 && ouro_future_state(f) == OURO_PENDING; i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(ouro_future_state(f), OURO_VALUE);
    return ouro_await(f);
}

/* However the buffers are cut into pieces. */
FileTest(file, a_pipe_gives_what_it_has_and_waits_for_no_more)
{
    enum { SLICE = 128 << 10 };
    static char buf[2 * SLICE];
    int fds[2];
    ouro_file *f;
    for (int mode = 0; mode < 2; mode++) {
        check_eq(pipe2(fds, O_CLOEXEC | (mode ? O_DIRECT : 0)), 0);
        check_eq(ouro_file_from_fd(fds[0], &f), 0);
        check(fcntl(fds[1], F_SETPIPE_SZ, 4 * SLICE) >= 0);
        struct iovec iov[] = {{buf, 5}, {buf + 5, sizeof(buf) - 5}};
        check_eq(write(fds[1], "hello", 5), 5);
        check_eq(comes_to(ouro_file_readv(f, iov, 2, 0)), 5);
        if (mode == 0) {
            check_eq(write(fds[1], buf, SLICE), SLICE);
            check_eq(comes_to(ouro_file_read(f, buf, sizeof(buf), 0)), SLICE);
        }
        close_file(f);
        close(fds[1]);
    }
    return 0;
}

FileTest(file, a_named_pipe_is_open_for_writing_when_somebody_reads_it)
{
    int64_t rc;
    char c;
    struct stat st;
    check_eq(mkfifo("p", 0600), 0);
    check_eq(stat("p", &st), 0); /* the name is in the cache */
    check_eq(ouro_await(ouro_file_open("p", O_WRONLY | O_NONBLOCK, NULL)), -ENXIO);
    check_eq(ouro_await(ouro_timeout(ouro_file_open("p", O_WRONLY, NULL), OURO_MS(20))),
             -ETIMEDOUT);
    ouro_future *opening = ouro_file_open("p", O_WRONLY, NULL);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(ouro_future_state(opening), OURO_PENDING);
    int reader = open("p", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ouro_file *f = ouro_await_ptr(opening, &rc);
    check_eq(rc, 0);
    check_eq(ouro_await(ouro_file_write(f, "x", 1, 0)), 1);
    check_eq(read(reader, &c, 1), 1);
    close(reader);
    close_file(f);
    return 0;
}

FileTest(file, a_file_open_the_wrong_way_says_ebadf)
{
    char c = 'x';
    close_file(file_with("f", "abc"));
    ouro_file *f = open_file("f", O_RDONLY);
    check_eq(ouro_await(ouro_file_write(f, &c, 1, 0)), -EBADF);
    check_eq(ouro_await(ouro_file_append(f, &c, 1)), -EBADF);
    close_file(f);
    f = open_file("f", O_WRONLY);
    check_eq(ouro_await(ouro_file_read(f, &c, 1, 0)), -EBADF);
    close_file(f);
    f = open_file(".", O_RDONLY | O_DIRECTORY);
    check_eq(ouro_await(ouro_file_read(f, &c, 1, 0)), -EISDIR);
    close_file(f);
    return 0;
}

/* ---- Where there is no loop ------------------------------------------------------------------ */

Test(file, without_a_loop_there_are_no_files)
{
    ouro_file *f;
    ouro_future *o = ouro_file_open("/dev/null", O_RDONLY, NULL);
    check_eq(ouro_future_result(o).n, -EPERM);
    ouro_unref(o);
    check_eq(ouro_file_from_fd(0, &f), -EPERM);
    ouro_file_stats st;
    check_eq(ouro_file_stats_get(&st), -EPERM);
}
