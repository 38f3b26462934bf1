/* SPDX-License-Identifier: MIT */
/*
 * Files where there is not enough: no room on the disk, no descriptors, no permission, no memory.
 */
#define _GNU_SOURCE
#include "file_test.h"

#include <ouro/memory.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

TestSuite(file_limits, .timeout = 120);

/* ---- No room --------------------------------------------------------------------------------- */

static int64_t fill_the_disk(void *unused)
{
    (void)unused;
    size_t size = (size_t)4 << 20;
    char *buf = calloc(1, size);
    ouro_file *f = open_file("small/f", O_RDWR | O_CREAT);
    ouro_future *w = ouro_file_write(f, buf, size, 0);
    check_eq(ouro_await(ouro_ref(w)), -ENOSPC);
    struct stat st;
    check_eq(stat("small/f", &st), 0);
    check_eq(ouro_file_moved(w), st.st_size);
    check(st.st_size >= 512 << 10 && st.st_size <= 1 << 20);
    ouro_unref(w);

    check_eq(ouro_await(ouro_file_write(f, buf, 4096, st.st_size)), -ENOSPC);
    ouro_future *a = ouro_file_append(f, buf, size);
    check_eq(ouro_await(ouro_ref(a)), -ENOSPC);
    check_eq(ouro_file_moved(a), 0);
    ouro_unref(a);
    struct iovec iov[2] = {{buf, 100}, {buf, size}};
    check_eq(ouro_await(ouro_file_writev(f, iov, 2, st.st_size)), -ENOSPC);
    check_eq(ouro_await(ouro_file_allocate(f, 0, 0, 4 << 20)), -ENOSPC);

    /* With room again, it goes on. */
    check_eq(ouro_await(ouro_file_truncate(f, 0)), 0);
    check_eq(ouro_await(ouro_file_write(f, buf, 4096, 0)), 4096);
    close_file(f);
    free(buf);
    return 0;
}

Test(file_limits, a_write_to_a_full_disk_says_how_much_was_written)
{
    go_to_folder("/var/tmp");
    if (mount_small("1m")) {
        begin_kernel();
        check_eq(run_main(fill_the_disk, NULL), 0);
        end();
        unmount_small();
    }
    leave_folder();
}

/* ---- No more than that ----------------------------------------------------------------------- */

static int64_t write_too_much(void *flags)
{
    size_t size = (size_t)1 << 20;
    char *buf = calloc(1, size);
    ouro_file *f = open_file("f", O_RDWR | O_CREAT | *(int *)flags);
    ouro_future *w = ouro_file_write(f, buf, size, 0);
    check_eq(ouro_await(ouro_ref(w)), -EFBIG);
    check_eq(ouro_file_moved(w), 300000);
    ouro_unref(w);
    check_eq(ouro_await(ouro_file_truncate(f, 400000)), -EFBIG);
    check_eq(ouro_await(ouro_file_allocate(f, 0, 0, 400000)), -EFBIG);
    close_file(f);
    check_eq(ouro_await(ouro_file_write_atomic("f", buf, size, NULL)), -EFBIG);
    struct stat st;
    check_eq(stat("f", &st), 0);
    check_eq(st.st_size, 300000);
    free(buf);
    return 0;
}

/* What the process had blocked, it has blocked afterwards, and nothing else. */
Test(file_limits, a_file_that_gets_too_big_is_efbig_and_kills_nobody)
{
    static int flags[] = {0, O_DSYNC};
    struct rlimit limit = {300000, RLIM_INFINITY};
    check_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (int i = 0; i < 4; i++) {
        sigset_t mask;
        go_to_folder(i < 2 ? "/var/tmp" : "/dev/shm");
        begin_kernel();
        check_eq(run_main(write_too_much, &flags[i % 2]), 0);
        end();
        check_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
        check(!sigismember(&mask, SIGXFSZ));
        leave_folder();
    }
}

/* ---- No descriptors -------------------------------------------------------------------------- */

FileTest(file_limits, without_descriptors_an_open_is_emfile_and_stat_goes_on)
{
    ouro_stat st;
    struct rlimit before, none = {0, 0};
    close_file(file_with("f", "x"));
    check_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none.rlim_max = before.rlim_max;
    check_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ouro_future *o = ouro_file_open("f", O_RDONLY, NULL);
    check_eq(ouro_await(ouro_ref(o)), -EMFILE);
    check_text(ouro_future_detail(o), "cannot open f");
    ouro_unref(o);
    check_eq(ouro_await(ouro_path_stat("f", &st, NULL)), 0);
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    return 0;
}

/* ---- No permission --------------------------------------------------------------------------- */

static int64_t knock(void *unused)
{
    (void)unused;
    ouro_stat st;
    char text[8];
    ouro_future *o = ouro_file_open("locked/f", O_RDONLY, NULL);
    check_eq(ouro_await(ouro_ref(o)), -EACCES);
    check_text(ouro_future_detail(o), "cannot open locked/f");
    ouro_unref(o);
    check_eq(ouro_await(ouro_path_stat("locked/f", &st, NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_unlink("locked/f", NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_rename("locked/f", "g", NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_mkdir("locked/d", 0700, NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_rmdir("locked/d", NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_link("locked/f", "g", NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_symlink("f", "locked/l", NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_readlink("locked/l", text, sizeof(text), NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_truncate("locked/f", 0, NULL)), -EACCES);
    check_eq(ouro_await(ouro_path_access("secret", F_OK, NULL)), 0);
    check_eq(ouro_await(ouro_path_access("secret", R_OK, NULL)), -EACCES);
    check_eq(ouro_await(ouro_file_open("secret", O_RDONLY, NULL)), -EACCES);
    return 0;
}

static int as_nobody(void)
{
    child_check(setresgid(65534, 65534, 65534) == 0);
    child_check(setresuid(65534, 65534, 65534) == 0);
    begin_kernel();
    int64_t rc = run_main(knock, NULL);
    end();
    return rc == 0 ? 0 : 1;
}

Test(file_limits, what_is_not_allowed_is_eacces)
{
    if (geteuid() != 0)
        cr_skip_test("only root can become somebody who is not allowed to do something");
    go_to_folder("/var/tmp");
    check_eq(chmod(".", 0755), 0);
    check_eq(mkdir("locked", 0700), 0);
    close(open("locked/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    close(open("secret", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    check_child(as_nobody, NULL, 0);
    leave_folder();
}

/* ---- No memory ------------------------------------------------------------------------------- */

static struct {
    unsigned asked, fail_at, refused;
    int live;
} memory;

static bool refuses(void)
{
    bool no = ++memory.asked == memory.fail_at;
    memory.refused += no;
    return no;
}

static void *ration_alloc(size_t size, void *arg)
{
    (void)arg;
    if (refuses())
        return NULL;
    memory.live++;
    return malloc(size);
}

static void *ration_resize(void *ptr, size_t size, void *arg)
{
    (void)arg;
    if (refuses())
        return NULL;
    memory.live += !ptr;
    return realloc(ptr, size);
}

static void ration_release(void *ptr, void *arg)
{
    (void)arg;
    memory.live -= ptr != NULL;
    free(ptr);
}

/* Whether somebody was told. */
static bool told;

static int64_t tell(int64_t rc)
{
    if (rc == -ENOMEM)
        told = true;
    else
        check(rc >= 0);
    return rc;
}

/* A little of everything, however little memory there is. */
static int64_t use_files(void *unused)
{
    (void)unused;
    int64_t rc;
    char buf[8];
    ouro_stat st;
    ouro_file *f = ouro_await_ptr(ouro_file_open("f", O_RDWR | O_CREAT, NULL), &rc);
    tell(rc);
    tell(ouro_await(ouro_path_mkdir("d/e", 0700, &(ouro_path_options){.parents = 1})));
    if (!f)
        return 0;
    tell(ouro_await(ouro_path_stat("f", &st, NULL)));
    tell(ouro_await(ouro_file_write(f, "hello", 5, 0)));
    tell(ouro_await(ouro_file_append(f, "world", 5)));
    tell(ouro_await(ouro_file_read(f, buf, 8, 0)));
    tell(ouro_await(ouro_file_fsync(f)));
    tell(ouro_await(ouro_file_stat(f, &st)));
    if (tell(ouro_await(ouro_file_lock(f, OURO_LOCK_EXCLUSIVE, NULL))) == 0)
        check_eq(ouro_file_unlock(f, NULL), 0);
    tell(ouro_await(ouro_file_truncate(f, 0)));
    tell(ouro_await(ouro_file_close(f)));
    check_eq(ouro_file_fd(f), -EBADF);
    ouro_file_free(f);
    return 0;
}

static int with_ration(void)
{
    static const ouro_allocator ration = {ration_alloc, ration_resize, ration_release, NULL};
    if (ouro_set_allocator(&ration) < 0)
        return 1;
    for (memory.fail_at = 1;; memory.fail_at++) {
        memory.asked = memory.refused = 0;
        told = false;
        int64_t rc = ouro_run(use_files, NULL, &(ouro_run_options){.loop = {.debug = -1}});
        if (rc == -ENOMEM)
            told = true;
        child_check(rc == 0 || told);
        child_check(memory.live == 0);
        if (!memory.refused)
            break;
        child_check(told);
    }
    return memory.fail_at > 20 ? 0 : 1;
}

Test(file_limits, without_memory_somebody_is_told_and_nothing_is_lost)
{
    go_to_folder("/var/tmp");
    check_child(with_ration, NULL, 0);
    leave_folder();
}
