/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tree_test.h"

#include <sys/inotify.h>

static ouro_notify *open_notify(void)
{
    ouro_notify *n;
    check_eq(ouro_notify_open(NULL, &n), 0);
    return n;
}

static int64_t add(ouro_notify *n, const char *path, uint32_t mask)
{
    int64_t watch = ouro_await(ouro_notify_add(n, path, mask));
    check(watch >= 1);
    return watch;
}

/* The next event, which must be this. */
static uint32_t check_event(ouro_notify *n, int64_t watch, uint32_t mask, const char *name)
{
    int64_t rc;
    const ouro_notify_event *e = ouro_await_ptr(ouro_notify_next(n), &rc);
    check(e != NULL);
    check_eq(rc, e->mask);
    check_eq(e->watch, watch);
    check_eq(e->mask, mask);
    check(!name == !e->name);
    if (name && e->name)
        check_text(e->name, name);
    return e->cookie;
}

FolderTest(notify, what_happens_in_a_folder_comes_in_its_order)
{
    ouro_notify *n = open_notify();
    int64_t watch = add(n, ".", IN_CREATE | IN_DELETE | IN_MOVE | IN_CLOSE_WRITE);
    make_text("a", "x");
    check_eq(rename("a", "b"), 0);
    check_eq(unlink("b"), 0);
    check_event(n, watch, IN_CREATE, "a");
    check_event(n, watch, IN_CLOSE_WRITE, "a");
    uint32_t cookie = check_event(n, watch, IN_MOVED_FROM, "a");
    check(cookie != 0);
    check_eq(check_event(n, watch, IN_MOVED_TO, "b"), cookie);
    check_event(n, watch, IN_DELETE, "b");
    ouro_notify_free(n);
    return 0;
}

static int64_t write_later(void *unused)
{
    (void)unused;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(5)));
    make_text("file", "x");
    return rc;
}

FolderTest(notify, who_waits_is_woken)
{
    ouro_notify *n = open_notify();
    int64_t watch = add(n, ".", IN_CREATE);
    ouro_future *writer = ouro_spawn(write_later, NULL);
    check_event(n, watch, IN_CREATE, "file");
    check_eq(ouro_await(writer), 0);
    check_eq(ouro_await(ouro_notify_close(n)), 0);
    ouro_notify_free(n);
    return 0;
}

FolderTest(notify, a_watch_of_a_file_has_no_names_and_ends_with_it)
{
    make_text("file", "x");
    ouro_notify *n = open_notify();
    int64_t watch = add(n, "file", IN_MODIFY | IN_DELETE_SELF);
    make_text("file", "yy");
    check_event(n, watch, IN_MODIFY, NULL);
    check_eq(unlink("file"), 0);
    int64_t rc;
    const ouro_notify_event *e;
    do
        e = ouro_await_ptr(ouro_notify_next(n), &rc);
    while (e->mask == IN_MODIFY);
    check_eq(e->mask, IN_DELETE_SELF);
    check_event(n, watch, IN_IGNORED, NULL);
    check_eq(ouro_notify_remove(n, watch), -EINVAL);
    ouro_notify_free(n);
    return 0;
}

FolderTest(notify, a_watch_that_is_removed_says_so_last)
{
    ouro_notify *n = open_notify();
    int64_t watch = add(n, ".", IN_CREATE);
    make_text("before", "");
    check_eq(ouro_notify_remove(n, watch), 0);
    make_text("after", "");
    check_event(n, watch, IN_CREATE, "before");
    check_event(n, watch, IN_IGNORED, NULL);
    check_eq(ouro_await(ouro_timeout(ouro_notify_next(n), OURO_MS(5))), -ETIMEDOUT);
    ouro_notify_free(n);
    return 0;
}

FolderTest(notify, a_cancelled_wait_loses_no_event)
{
    ouro_notify *n = open_notify();
    int64_t watch = add(n, ".", IN_CREATE);
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        ouro_future *f = ouro_notify_next(n);
        if (i % 3 == 0)
            ouro_cancel(f);
        make_text(name, "");
        if (i % 3 == 1)
            check_eq(ouro_await(ouro_sleep(OURO_US(100))), 0); /* it may have been settled */
        ouro_cancel(f);
        ouro_unref(f);
        check_eq(ouro_yield(), 0);
        check_eq(ouro_yield(), 0);
        check_event(n, watch, IN_CREATE, name);
    }
    ouro_notify_free(n);
    return 0;
}

FolderTest(notify, the_events_of_one_read_are_kept_until_they_are_taken)
{
    ouro_notify *n;
    check_eq(ouro_notify_open(&(ouro_notify_options){.buffer_size = 300}, &n), 0);
    int64_t watch = add(n, ".", IN_CREATE);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        make_text(name, "");
    }
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        check_event(n, watch, IN_CREATE, name);
    }
    ouro_notify_free(n);
    return 0;
}

FolderTest(notify, that_events_were_lost_is_told)
{
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    unsigned most = 16384;
    check(f && fscanf(f, "%u", &most) == 1);
    fclose(f);
    ouro_notify *n = open_notify();
    int64_t watch = add(n, ".", IN_ATTRIB);
    make_text("a", "");
    make_text("b", "");
    for (unsigned i = 0; i < most + 10; i++)
        check_eq(chmod(i % 2 ? "a" : "b", 0600), 0);
    for (unsigned i = 0; i < most; i++)
        check_event(n, watch, IN_ATTRIB, i % 2 ? "a" : "b");
    check_event(n, -1, IN_Q_OVERFLOW, NULL);
    check_eq(chmod("a", 0600), 0);
    check_event(n, watch, IN_ATTRIB, "a");
    ouro_notify_free(n);
    return 0;
}

static int64_t close_notify(void *arg)
{
    return ouro_await(ouro_notify_close(arg));
}

FolderTest(notify, a_close_by_another_task_is_ebadf_for_who_waits)
{
    ouro_notify *n = open_notify();
    add(n, ".", IN_CREATE);
    ouro_future *closer = ouro_spawn(close_notify, n);
    check_eq(ouro_await(ouro_notify_next(n)), -EBADF);
    check_eq(ouro_await(closer), 0);
    check_eq(ouro_await(ouro_notify_next(n)), -EBADF);
    check_eq(ouro_await(ouro_notify_add(n, ".", IN_CREATE)), -EBADF);
    check_eq(ouro_notify_remove(n, 1), -EBADF);
    check_eq(ouro_await(ouro_notify_close(n)), 0);
    ouro_notify_free(n);
    return 0;
}

FolderTest(notify, a_close_waits_for_a_watch_that_is_being_added)
{
    for (int i = 0; i < 50; i++) {
        ouro_notify *n = open_notify();
        ouro_future *adding = ouro_notify_add(n, ".", IN_CREATE);
        check_eq(ouro_await(ouro_notify_close(n)), 0);
        int64_t rc = ouro_await(adding);
        check(rc == -EBADF || rc == 1);
        ouro_notify_free(n);
    }
    return 0;
}

FolderTest(notify, two_waits_at_once_are_ebusy)
{
    ouro_notify *n = open_notify();
    ouro_future *f = ouro_notify_next(n);
    check_eq(ouro_await(ouro_notify_next(n)), -EBUSY);
    ouro_cancel(f);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    ouro_notify_free(n);
    return 0;
}

FolderTest(notify, what_cannot_be_watched_says_which_path)
{
    ouro_notify *n = open_notify();
    check_fails(ouro_notify_add(n, "nothing", IN_MODIFY), -ENOENT, "nothing");
    make_text("file", "");
    check_fails(ouro_notify_add(n, "file", IN_MODIFY | IN_ONLYDIR), -ENOTDIR, "file");
    check_fails(ouro_notify_add(n, "file", 0), -EINVAL, "file");
    check_eq(ouro_await(ouro_notify_add(n, NULL, IN_MODIFY)), -EINVAL);
    check_eq(ouro_await(ouro_notify_add(NULL, "file", IN_MODIFY)), -EINVAL);
    check_eq(ouro_notify_remove(n, 0), -EINVAL);
    check_eq(ouro_notify_remove(n, INT64_MAX), -EINVAL);
    check_eq(ouro_await(ouro_notify_next(NULL)), -EINVAL);
    check_eq(ouro_notify_open(NULL, NULL), -EINVAL);
    ouro_notify *other;
    check_eq(ouro_notify_open(&(ouro_notify_options){.buffer_size = 271}, &other), -EINVAL);
    struct rlimit before = no_more_descriptors();
    check_eq(ouro_notify_open(NULL, &other), -EMFILE);
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ouro_notify_free(n);
    ouro_notify_free(NULL);
    return 0;
}

static int64_t watch_and_leave(void *arg)
{
    ouro_notify *n = arg;
    add(n, ".", IN_CREATE);
    ouro_future *f = ouro_notify_next(n); /* has the queue polled */
    ouro_cancel(f);
    ouro_unref(f);
    return 0;
}

Test(notify, a_queue_that_nobody_waits_for_keeps_no_loop_running)
{
    begin_kernel();
    ouro_notify *n = open_notify();
    check_eq(run_main(watch_and_leave, n), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_notify_free(n);
    end_closed();
}
