/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tree_test.h"

static ouro_temp *open_temp(ouro_temp_options opts)
{
    int64_t rc;
    opts.in = opts.in ? opts.in : ".";
    ouro_temp *t = ouro_await_ptr(ouro_temp_open(&opts), &rc);
    check_eq(rc, 0);
    return t;
}

FolderTest(temp, a_file_has_no_name_and_leaves_nothing)
{
    ouro_temp *t = open_temp((ouro_temp_options){0});
    check_eq(count_names(), 0);
    check(ouro_temp_path(t) == NULL);
    check_eq(write(ouro_temp_fd(t), "hello", 5), 5);
    check_eq(ouro_await(ouro_temp_close(t)), 0);
    check_eq(ouro_temp_fd(t), -EBADF);
    check_eq(ouro_await(ouro_temp_close(t)), 0);
    ouro_temp_free(t);
    ouro_unref(ouro_temp_open(NULL)); /* nobody takes it */
    return 0;
}

FolderTest(temp, a_named_file_is_removed_with_its_handle)
{
    ouro_temp *t = open_temp(
        (ouro_temp_options){.kind = OURO_TEMP_NAMED, .prefix = "a-", .suffix = ".txt"});
    const char *path = ouro_temp_path(t);
    check_eq(strncmp(path, "./a-", 4), 0);
    check_text(path + strlen(path) - 4, ".txt");
    check_eq(mode_of(path), 0600);
    check_eq(write(ouro_temp_fd(t), "hello", 5), 5);
    check(has_text(path, "hello"));
    ouro_temp *other = open_temp((ouro_temp_options){.kind = OURO_TEMP_NAMED});
    check_eq(count_names(), 2);
    check_eq(ouro_await(ouro_temp_close(t)), 0);
    check_eq(count_names(), 1);
    ouro_temp_free(t);
    ouro_temp_free(other);
    check_eq(ouro_await(ouro_sleep(OURO_MS(50))), 0);
    check_eq(count_names(), 0);
    return 0;
}

FolderTest(temp, a_folder_is_removed_with_all_that_is_in_it)
{
    ouro_temp *t = open_temp((ouro_temp_options){.kind = OURO_TEMP_FOLDER});
    check_eq(mode_of(ouro_temp_path(t)), 0700);
    check_eq(ouro_temp_fd(t), -EISDIR);
    char command[256];
    snprintf(command, sizeof command, "mkdir -p %s/a/b && touch %s/a/b/c", ouro_temp_path(t),
             ouro_temp_path(t));
    check_eq(system(command), 0);
    check_eq(chdir("/"), 0); /* it is found again from anywhere */
    check_eq(ouro_await(ouro_temp_close(t)), 0);
    ouro_temp_free(t);
    return 0;
}

FolderTest(temp, tmpdir_says_where)
{
    check_eq(mkdir("here", 0755), 0);
    check_eq(setenv("TMPDIR", "here", 1), 0);
    int64_t rc;
    ouro_temp *t = ouro_await_ptr(ouro_temp_open(&(ouro_temp_options){.kind = OURO_TEMP_NAMED}),
                                  &rc);
    check_eq(strncmp(ouro_temp_path(t), "here/ouro-", 10), 0);
    ouro_temp_free(t);
    return 0;
}

/* ---- Keeping --------------------------------------------------------------------------------- */

static void check_kept(ouro_temp_kind kind)
{
    ouro_temp *t = open_temp((ouro_temp_options){.kind = kind});
    check_eq(write(ouro_temp_fd(t), "new", 3), 3);
    make_text("kept", "old");
    ouro_temp_keep_options exclusive = {.exclusive = 1};
    check_fails(ouro_temp_keep(t, "kept", &exclusive), -EEXIST, "kept");
    check_fails(ouro_temp_keep(t, "nowhere/kept", NULL), -ENOENT, "nowhere/kept");
    check_fails(ouro_temp_keep(t, "/dev/shm/kept", NULL), -EXDEV, "/dev/shm/kept");
    check(has_text("kept", "old"));
    ouro_temp_keep_options opts = {.mode = 0640, .sync = 1};
    check_eq(ouro_await(ouro_temp_keep(t, "kept", &opts)), 0);
    check(has_text("kept", "new"));
    check_eq(mode_of("kept"), 0640);
    check(ouro_temp_path(t) == NULL);
    check_eq(ouro_await(ouro_temp_keep(t, "again", NULL)), -EALREADY);
    check_eq(ouro_await(ouro_temp_close(t)), 0);
    check_eq(ouro_await(ouro_temp_keep(t, "again", NULL)), -EBADF);
    ouro_temp_free(t);
    check(has_text("kept", "new"));
    check_eq(count_names(), 1);
    check_eq(unlink("kept"), 0);
}

FolderTest(temp, a_file_can_be_kept)
{
    check_kept(OURO_TEMP_FILE);
    check_kept(OURO_TEMP_NAMED);
    return 0;
}

FolderTest(temp, a_folder_can_be_kept_and_replaces_nothing)
{
    ouro_temp *t = open_temp((ouro_temp_options){.kind = OURO_TEMP_FOLDER});
    check_eq(mkdir("kept", 0755), 0);
    check_fails(ouro_temp_keep(t, "kept", NULL), -EEXIST, "kept");
    check_eq(rmdir("kept"), 0);
    check_eq(ouro_await(ouro_temp_keep(t, "kept", NULL)), 0);
    check_eq(ouro_await(ouro_temp_close(t)), 0);
    ouro_temp_free(t);
    check(is_there("kept"));
    return 0;
}

FolderTest(temp, a_close_waits_for_a_keep)
{
    ouro_temp *t = open_temp((ouro_temp_options){.kind = OURO_TEMP_NAMED});
    ouro_future *keep = ouro_temp_keep(t, "kept", &(ouro_temp_keep_options){.sync = 1});
    check_eq(ouro_await(ouro_temp_keep(t, "other", NULL)), -EBUSY);
    check_eq(ouro_await(ouro_temp_close(t)), 0);
    check_eq(ouro_future_state(keep), OURO_VALUE);
    check_eq(ouro_await(keep), 0);
    ouro_temp_free(t);
    check_eq(count_names(), 1);
    return 0;
}

FolderTest(temp, what_cannot_be_made_says_where)
{
    check_fails(ouro_temp_open(&(ouro_temp_options){.in = "nowhere"}), -ENOENT, "nowhere");
    ouro_temp_options opts = {.in = ".", .prefix = "a/b"};
    check_eq(ouro_await(ouro_temp_open(&opts)), -EINVAL);
    char longest[300];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    opts = (ouro_temp_options){.in = ".", .prefix = longest, .kind = OURO_TEMP_NAMED};
    check_fails(ouro_temp_open(&opts), -ENAMETOOLONG, NULL);
    opts.kind = OURO_TEMP_FOLDER;
    check_fails(ouro_temp_open(&opts), -ENAMETOOLONG, NULL);
    opts.kind = (ouro_temp_kind)7;
    check_eq(ouro_await(ouro_temp_open(&opts)), -EINVAL);
    struct rlimit before = no_more_descriptors();
    check_fails(ouro_temp_open(NULL), -EMFILE, "/tmp");
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    check_eq(ouro_temp_fd(NULL), -EINVAL);
    check(ouro_temp_path(NULL) == NULL);
    check(ouro_temp_free(NULL) == NULL);
    check_eq(count_names(), 0);
    return 0;
}

static ouro_temp *left_open;

static int64_t leave_open(void *unused)
{
    (void)unused;
    left_open = open_temp((ouro_temp_options){.kind = OURO_TEMP_FOLDER});
    return 0;
}

Test(temp, what_is_freed_after_the_loops_close_is_removed)
{
    go_to_folder("/tmp");
    begin_kernel();
    check_eq(run_main(leave_open, NULL), 0);
    check_eq(count_names(), 1);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_temp_free(left_open);
    check_eq(count_names(), 0);
    end_closed();
    leave_folder();
}

static int64_t leave_full(void *unused)
{
    (void)unused;
    ouro_temp *t = open_temp((ouro_temp_options){.kind = OURO_TEMP_FOLDER});
    check_eq(chdir(ouro_temp_path(t)), 0);
    for (int i = 0; i < 30000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    check_eq(chdir(".."), 0);
    ouro_temp_free(t);
    return ouro_await(ouro_sleep(OURO_MS(5))); /* it is being removed */
}

Test(temp, a_shutdown_while_a_folder_is_removed_leaves_nothing_of_it)
{
    go_to_folder("/tmp");
    begin_kernel();
    ouro_future *filled = ouro_spawn(leave_full, NULL);
    check_eq(ouro_loop_run_until(ouro_loop_current(), filled), 0);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_eq(count_names(), 0);
    end();
    leave_folder();
}

/* ---- Without files that have no name --------------------------------------------------------- */

FolderTest(temp, where_every_file_has_a_name_it_is_the_same)
{
    refuse_unnamed_files();
    ouro_temp *t = open_temp((ouro_temp_options){0});
    check_eq(count_names(), 1);
    check(ouro_temp_path(t) == NULL);
    check_eq(ouro_await(ouro_temp_close(t)), 0);
    ouro_temp_free(t);
    check_eq(count_names(), 0);
    check_kept(OURO_TEMP_FILE);
    return 0;
}

FolderTest(temp, where_every_file_has_a_name_whole_files_leave_none_either)
{
    refuse_unnamed_files();
    ouro_write_atomic_options exclusive = {.exclusive = 1};
    check_eq(ouro_await(ouro_file_write_atomic("file", "one", 3, &exclusive)), 3);
    check_fails(ouro_file_write_atomic("file", "two", 3, &exclusive), -EEXIST, "file");
    check_eq(ouro_await(ouro_file_write_atomic("file", "three", 5, NULL)), 5);
    check(has_text("file", "three"));
    check_eq(ouro_await(ouro_file_copy("file", "copy", NULL)), 5);
    check(same_content("file", "copy"));
    check_eq(count_names(), 2);
    if (!mount_small("1m"))
        return 0;
    make_file("big", 4 << 20);
    check_fails(ouro_file_copy("big", "small/copy", NULL), -ENOSPC, "small/copy");
    check_eq(system("test $(ls -A small | wc -l) = 0"), 0);
    unmount_small();
    return 0;
}
