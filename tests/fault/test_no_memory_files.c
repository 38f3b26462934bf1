/* SPDX-License-Identifier: MIT */
/*
 * No memory, at every single place where work on whole files and folders asks for it, on whichever
 * thread.
 *
 * Each scenario runs again and again, each time with one allocation more granted before one is
 * refused, until a run needs no more. What a call comes to is what it comes to with memory, or
 * -ENOMEM; every byte and every descriptor is given back, and no file is left that should not be.
 */
#define _GNU_SOURCE
#include "../unit/tree_test.h"

#include <sys/inotify.h>

#include "ration.h"

TestSuite(no_memory_files, .timeout = 280);

/* What @f comes to: as wanted, or no memory. */
static bool came_to(ouro_future *f, int64_t wanted)
{
    int64_t n = ouro_await(f);
    check(n == wanted || n == -ENOMEM);
    return n == wanted;
}

static int64_t whole_files(void *unused)
{
    (void)unused;
    int64_t n;
    void *bytes = ouro_await_ptr(ouro_file_read_all("file", NULL), &n);
    check(bytes ? n == 5 : n == -ENOMEM);
    ouro_file_bytes_free(bytes);
    bytes = ouro_await_ptr(ouro_file_read_all("/proc/self/status", NULL), &n);
    check(bytes ? n > 0 : n == -ENOMEM);
    ouro_file_bytes_free(bytes);
    came_to(ouro_file_read_all("nothing", NULL), -ENOENT);
    came_to(ouro_file_write_atomic("file", "hello", 5, NULL), 5);
    came_to(ouro_file_copy("file", "copy", NULL), 5);
    came_to(ouro_file_copy("/proc/version", "nowhere/copy", NULL), -ENOENT);
    return 0;
}

static int64_t folders(void *unused)
{
    (void)unused;
    int64_t rc;
    ouro_dir *d = ouro_await_ptr(ouro_dir_open("tree", NULL), &rc);
    check(d || rc == -ENOMEM);
    if (d) {
        while (ouro_await_ptr(ouro_dir_next(d), &rc))
            continue;
        check(rc == 0 || rc == -ENOMEM);
        came_to(ouro_dir_close(d), 0);
        ouro_dir_free(d);
    }
    ouro_walk *w = ouro_await_ptr(ouro_walk_open("tree", NULL), &rc);
    check(w || rc == -ENOMEM);
    if (!w)
        return 0;
    while (ouro_await_ptr(ouro_walk_next(w), &rc))
        continue;
    check(rc == 0 || rc == -ENOMEM);
    ouro_walk_free(w);
    return 0;
}

static int64_t temporary(void *unused)
{
    (void)unused;
    for (int kind = 0; kind < 3; kind++) {
        int64_t rc;
        ouro_temp_options opts = {.kind = (ouro_temp_kind)kind, .in = "."};
        ouro_temp *t = ouro_await_ptr(ouro_temp_open(&opts), &rc);
        check(t || rc == -ENOMEM);
        if (!t)
            continue;
        if (came_to(ouro_temp_keep(t, "kept", NULL), 0))
            check_eq(remove("kept"), 0);
        came_to(ouro_temp_close(t), 0);
        ouro_temp_free(t);
    }
    return 0;
}

static int64_t removal(void *unused)
{
    (void)unused;
    check_eq(system("mkdir -p gone/a/b && touch gone/a/b/c"), 0);
    came_to(ouro_tree_remove("gone"), 4);
    came_to(ouro_tree_remove("nothing"), -ENOENT);
    check_eq(system("rm -rf gone"), 0);
    return 0;
}

static int64_t notification(void *unused)
{
    (void)unused;
    ouro_notify *n;
    int rc = ouro_notify_open(NULL, &n);
    check(rc == 0 || rc == -ENOMEM);
    if (rc < 0)
        return 0;
    if (came_to(ouro_notify_add(n, ".", IN_CREATE), 1)) {
        make_text("new", "");
        while (!came_to(ouro_notify_next(n), IN_CREATE))
            continue; /* it is not lost for want of memory */
        check_eq(unlink("new"), 0);
    }
    came_to(ouro_notify_close(n), 0);
    ouro_notify_free(n);
    return 0;
}

static void run_all(ouro_task_fn *scenario)
{
    go_to_folder("/tmp");
    check_eq(system("mkdir -p tree/a/b tree/c && touch tree/a/b/d tree/e"), 0);
    make_text("file", "hello");
    check_eq(ouro_set_allocator(&rationed), 0);
    unsigned names = count_names();
    fail_at = 0;
    for (unsigned at = 1; at < 10000; at++) {
        asked = refused = 0;
        begin_kernel();
        atomic_store(&asked, 0);
        fail_at = at;
        ouro_future *f = ouro_spawn(scenario, NULL);
        int64_t n = ouro_loop_run_until(ouro_loop_current(), f);
        fail_at = 0;
        check(n == 0 || n == -ENOMEM);
        end();
        check_eq(blocks, 0);
        unlink("copy");
        check_eq(count_names(), names);
        if (!refused)
            break;
    }
    check_eq(refused, 0);
    leave_folder();
}

#define Scenario(name)          \
    Test(no_memory_files, name) \
    {                           \
        run_all(name);          \
    }

Scenario(whole_files) Scenario(folders) Scenario(temporary) Scenario(removal) Scenario(notification)
