/* SPDX-License-Identifier: MIT */
/*
 * Files by name.
 */
#define _GNU_SOURCE
#include "file_test.h"

#include "file_int.h"

#include <linux/fs.h>

TestSuite(path, .timeout = 60);

static void check_words(ouro_future *f, int64_t rc, const char *words)
{
    check_eq(ouro_await(ouro_ref(f)), rc);
    check_text(ouro_future_detail(f), words);
    ouro_unref(f);
}

/* ---- Questions ------------------------------------------------------------------------------- */

FileTest(path, stat_follows_links_unless_told_not_to)
{
    ouro_stat st;
    close_file(file_with("f", "0123"));
    check_eq(symlink("f", "l"), 0);
    check_eq(ouro_await(ouro_path_stat("f", &st, NULL)), 0);
    check_eq(st.size, 4);
    check(S_ISREG(st.mode));
    check_eq(ouro_await(ouro_path_stat("l", &st, NULL)), 0);
    check(S_ISREG(st.mode));
    check_eq(ouro_await(ouro_path_stat("l", &st, &(ouro_path_options){.no_follow = 1})), 0);
    check(S_ISLNK(st.mode));
    check_eq(st.size, 1);
    return 0;
}

/* What lies between the members is nobody's. */
static void check_same(const ouro_stat *a, const ouro_stat *b)
{
    check_eq(a->mode, b->mode);
    check_eq(a->links, b->links);
    check_eq(a->uid, b->uid);
    check_eq(a->gid, b->gid);
    check_eq(a->inode, b->inode);
    check_eq(a->size, b->size);
    check_eq(a->blocks, b->blocks);
    check_eq(a->mount_id, b->mount_id);
    check_eq(a->attributes, b->attributes);
    check_eq(a->block_size, b->block_size);
    check_eq(a->device_major, b->device_major);
    check_eq(a->device_minor, b->device_minor);
    check_eq(a->direct_memory, b->direct_memory);
    check_eq(a->direct_offset, b->direct_offset);
    check_eq(a->modified.seconds, b->modified.seconds);
    check_eq(a->modified.nanoseconds, b->modified.nanoseconds);
    check_eq(a->born.seconds, b->born.seconds);
    check_eq(a->born.nanoseconds, b->born.nanoseconds);
}

/* In a loop without time left for plain calls, the ring answers, and says the same. */
FileTest(path, stat_by_the_ring_says_the_same)
{
    ouro_stat st[2];
    close_file(file_with("f", "0123"));
    symlink("f", "l");
    const ouro_path_options link = {.no_follow = 1};
    for (int i = 0; i < 2; i++) {
        ouro_future *f = ouro_path_stat("l", &st[i], i ? &link : NULL);
        ouro__turn_spend(ouro__files_of(ouro_loop_current()), OURO__TURN_BYTES);
        ouro_future *g = ouro_path_stat("l", &st[1 - i], i ? &link : NULL);
        check_eq(ouro_future_state(g), OURO_PENDING);
        check_eq(ouro_await(f), 0);
        check_eq(ouro_await(g), 0);
        check_same(&st[0], &st[1]);
        check(i ? S_ISLNK(st[0].mode) : S_ISREG(st[0].mode));
    }
    ouro__turn_spend(ouro__files_of(ouro_loop_current()), OURO__TURN_BYTES);
    check_words(ouro_path_stat("g", &st[0], NULL), -ENOENT, "cannot ask about g");
    return 0;
}

FileTest(path, stat_of_what_is_not_there_says_so)
{
    ouro_stat st;
    close_file(file_with("f", ""));
    check_words(ouro_path_stat("nothing", &st, NULL), -ENOENT, "cannot ask about nothing");
    check_words(ouro_path_stat("nothing", &st, NULL), -ENOENT, "cannot ask about nothing");
    check_eq(ouro_await(ouro_path_stat("f/g", &st, NULL)), -ENOTDIR);
    check_eq(ouro_await(ouro_path_stat("", &st, NULL)), -ENOENT);
    symlink("loop", "loop");
    check_eq(ouro_await(ouro_path_stat("loop", &st, NULL)), -ELOOP);
    char name[5000];
    memset(name, 'x', sizeof(name));
    name[300] = '\0';
    check_eq(ouro_await(ouro_path_stat(name, &st, NULL)), -ENAMETOOLONG);
    name[300] = 'x';
    name[sizeof(name) - 1] = '\0';
    check_eq(ouro_await(ouro_path_stat(name, &st, NULL)), -ENAMETOOLONG);
    check_eq(ouro_await(ouro_path_unlink(name, NULL)), -ENAMETOOLONG);
    check_eq(ouro_await(ouro_path_mkdir(name, 0700, &(ouro_path_options){.parents = 1})),
             -ENAMETOOLONG);
    return 0;
}

/* A device, a file of the kernel's: file systems of which nothing is known. */
FileTest(path, stat_goes_anywhere)
{
    ouro_stat st;
    check_eq(ouro_await(ouro_path_stat("/proc/self/status", &st, NULL)), 0);
    check(S_ISREG(st.mode));
    check_eq(ouro_await(ouro_path_stat("/dev/null", &st, NULL)), 0);
    check(S_ISCHR(st.mode));
    check_eq(st.special_major, 1);
    check_eq(st.special_minor, 3);
    return 0;
}

FileTest(path, access_is_told)
{
    close_file(file_with("f", ""));
    check_eq(chmod("f", 0600), 0);
    symlink("nothing", "l");
    check_eq(ouro_await(ouro_path_access("f", R_OK | W_OK, NULL)), 0);
    check_words(ouro_path_access("f", X_OK, NULL), -EACCES, "cannot use f");
    check_eq(ouro_await(ouro_path_access("l", F_OK, NULL)), -ENOENT);
    check_eq(ouro_await(ouro_path_access("l", F_OK, &(ouro_path_options){.no_follow = 1})), 0);
    check_eq(ouro_await(ouro_path_access("f", 99, NULL)), -EINVAL);
    return 0;
}

/* ---- Names ----------------------------------------------------------------------------------- */

FileTest(path, rename_replaces_or_not)
{
    close_file(file_with("a", "a"));
    close_file(file_with("b", "b"));
    const ouro_path_options keep = {.flags = RENAME_NOREPLACE}, swap = {.flags = RENAME_EXCHANGE};
    check_words(ouro_path_rename("a", "b", &keep), -EEXIST, "cannot rename a to b");
    check_eq(ouro_await(ouro_path_rename("a", "b", &swap)), 0);
    check_contents("a", "b");
    check_eq(ouro_await(ouro_path_rename("a", "b", NULL)), 0);
    check_contents("b", "b");
    check_eq(access("a", F_OK), -1);
    check_eq(ouro_await(ouro_path_rename("a", "b", NULL)), -ENOENT);
    return 0;
}

FileTest(path, names_are_removed)
{
    close_file(file_with("f", ""));
    check_eq(mkdir("d", 0700), 0);
    close_file(file_with("d/f", ""));
    check_eq(ouro_await(ouro_path_unlink("f", NULL)), 0);
    check_words(ouro_path_unlink("f", NULL), -ENOENT, "cannot remove f");
    check_eq(ouro_await(ouro_path_unlink("d", NULL)), -EISDIR);
    check_eq(ouro_await(ouro_path_rmdir("d", NULL)), -ENOTEMPTY);
    check_eq(ouro_await(ouro_path_rmdir("d/f", NULL)), -ENOTDIR);
    check_eq(ouro_await(ouro_path_unlink("d/f", NULL)), 0);
    check_eq(ouro_await(ouro_path_rmdir("d", NULL)), 0);
    return 0;
}

FileTest(path, links_are_made_and_read)
{
    char text[16];
    ouro_stat st;
    close_file(file_with("f", "x"));
    check_eq(ouro_await(ouro_path_link("f", "hard", NULL)), 0);
    check_eq(ouro_await(ouro_path_stat("hard", &st, NULL)), 0);
    check_eq(st.links, 2);
    check_eq(ouro_await(ouro_path_link("f", "hard", NULL)), -EEXIST);
    check_eq(ouro_await(ouro_path_symlink("where/ever", "soft", NULL)), 0);
    check_words(ouro_path_symlink("x", "soft", NULL), -EEXIST, "cannot make the link soft");
    check_eq(ouro_await(ouro_path_readlink("soft", text, sizeof(text), NULL)), 10);
    check_text(text, "where/ever");
    check_eq(ouro_await(ouro_path_readlink("soft", text, 11, NULL)), 10);
    check_eq(ouro_await(ouro_path_readlink("soft", text, 10, NULL)), -ERANGE);
    check_words(ouro_path_readlink("f", text, sizeof(text), NULL), -EINVAL,
                "cannot read the link f");
    check_eq(ouro_await(ouro_path_readlink("soft", text, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_readlink("soft", NULL, 10, NULL)), -EINVAL);
    return 0;
}

/* ---- Folders and sizes ----------------------------------------------------------------------- */

FileTest(path, folders_are_made_with_those_above)
{
    const ouro_path_options parents = {.parents = 1};
    check_eq(ouro_await(ouro_path_mkdir("d", 0700, NULL)), 0);
    check_words(ouro_path_mkdir("d", 0700, NULL), -EEXIST, "cannot make the folder d");
    check_eq(ouro_await(ouro_path_mkdir("a/b/c", 0700, NULL)), -ENOENT);
    check_eq(ouro_await(ouro_path_mkdir("a//b/c/", 0700, &parents)), 0);
    check_eq(ouro_await(ouro_path_mkdir("a/b/c", 0700, &parents)), 0);
    check_eq(ouro_await(ouro_path_mkdir("/", 0700, &parents)), 0);
    check_eq(ouro_await(ouro_path_mkdir("", 0700, &parents)), -ENOENT);
    struct stat st;
    check_eq(stat("a/b/c", &st), 0);
    check_eq(st.st_mode & 0777, 0700);
    close_file(file_with("f", ""));
    check_eq(ouro_await(ouro_path_mkdir("f", 0700, &parents)), -EEXIST);
    check_words(ouro_path_mkdir("f/d", 0700, &parents), -EEXIST, "cannot make the folder f/d");
    return 0;
}

FileTest(path, a_length_is_set_by_path)
{
    close_file(file_with("f", "0123456789"));
    check_eq(ouro_await(ouro_path_truncate("f", 3, NULL)), 0);
    check_contents("f", "012");
    check_words(ouro_path_truncate("g", 3, NULL), -ENOENT, "cannot truncate g");
    check_eq(ouro_await(ouro_path_truncate(".", 3, NULL)), -EISDIR);
    check_eq(ouro_await(ouro_path_truncate("f", -1, NULL)), -EINVAL);
    return 0;
}

/* ---- From a folder --------------------------------------------------------------------------- */

FileTest(path, paths_start_from_an_open_folder)
{
    ouro_stat st;
    char text[8];
    check_eq(mkdir("d", 0700), 0);
    check_eq(mkdir("e", 0700), 0);
    ouro_file *d = open_file("d", O_PATH | O_DIRECTORY), *e = open_file("e", O_RDONLY);
    const ouro_path_options in_d = {.at = d}, d_to_e = {.at = d, .to_at = e},
                            parents = {.at = d, .parents = 1};
    int64_t rc;
    ouro_file *f = ouro_await_ptr(
        ouro_file_open("f", O_CREAT | O_WRONLY, &(ouro_file_options){.at = d, .mode = 0640}), &rc);
    check_eq(rc, 0);
    close_file(f);
    check_eq(ouro_await(ouro_path_stat("f", &st, &in_d)), 0);
    check_eq(st.mode & 0777, 0640);
    check_eq(ouro_await(ouro_path_access("f", R_OK, &in_d)), 0);
    check_eq(ouro_await(ouro_path_truncate("f", 9, &in_d)), 0);
    check_eq(ouro_await(ouro_path_symlink("f", "l", &in_d)), 0);
    check_eq(ouro_await(ouro_path_readlink("l", text, sizeof(text), &in_d)), 1);
    check_eq(ouro_await(ouro_path_mkdir("m", 0700, &in_d)), 0);
    check_eq(ouro_await(ouro_path_rmdir("m", &in_d)), 0);
    check_eq(ouro_await(ouro_path_mkdir("m/n", 0700, &parents)), 0);
    check_eq(ouro_await(ouro_path_link("f", "g", &d_to_e)), 0);
    check_eq(ouro_await(ouro_path_rename("f", "h", &d_to_e)), 0);
    check_eq(ouro_await(ouro_path_unlink("l", &in_d)), 0);
    check_eq(access("e/g", F_OK), 0);
    check_eq(access("e/h", F_OK), 0);
    check_eq(access("d/m/n", F_OK), 0);
    check_eq(access("d/f", F_OK), -1);
    close_file(d);
    close_file(e);
    return 0;
}

FileTest(path, a_folder_can_be_a_fence)
{
    check_eq(mkdir("d", 0700), 0);
    ouro_file *d = open_file("d", O_RDONLY | O_DIRECTORY);
    const ouro_file_options fence = {.at = d, .resolve = 0x08}; /* RESOLVE_BENEATH */
    check_eq(ouro_await(ouro_file_open("../f", O_CREAT | O_WRONLY, &fence)), -EXDEV);
    check_eq(ouro_await(ouro_file_open("/etc/passwd", O_RDONLY, &fence)), -EXDEV);
    close_file(d);
    return 0;
}

/* ---- Bad input, and ends --------------------------------------------------------------------- */

FileTest(path, null_is_refused)
{
    ouro_stat st;
    char text[8];
    check_eq(ouro_await(ouro_path_stat(NULL, &st, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_stat("f", NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_access(NULL, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_rename(NULL, "f", NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_rename("f", NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_unlink(NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_rmdir(NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_mkdir(NULL, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_mkdir(NULL, 0, &(ouro_path_options){.parents = 1})), -EINVAL);
    check_eq(ouro_await(ouro_path_link(NULL, "f", NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_symlink(NULL, "f", NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_symlink("f", NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_readlink(NULL, text, 8, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_path_truncate(NULL, 0, NULL)), -EINVAL);
    return 0;
}

FileTest(path, what_is_cancelled_in_time_does_not_happen)
{
    close_file(file_with("f", "x"));
    ouro_future *all[3] = {
        ouro_path_unlink("f", NULL),
        ouro_path_rename("f", "g", NULL),
        ouro_path_mkdir("d", 0700, NULL),
    };
    for (int i = 0; i < 3; i++) {
        check_eq(ouro_cancel(all[i]), 1);
        check_eq(ouro_future_state(all[i]), OURO_CANCELLED);
        ouro_unref(all[i]);
    }
    check_contents("f", "x");
    check_eq(access("d", F_OK), -1);
    return 0;
}

FileTest(path, a_thousand_at_once)
{
    enum { N = 1000 };
    static ouro_future *all[N];
    static char names[N][8];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "d%d", i);
        all[i] = ouro_path_mkdir(names[i], 0700, NULL);
    }
    for (int i = 0; i < N; i++)
        check_eq(ouro_await(all[i]), 0);
    for (int i = 0; i < N; i++)
        all[i] = ouro_path_rmdir(names[i], NULL);
    for (int i = 0; i < N; i++)
        check_eq(ouro_await(all[i]), 0);
    return 0;
}

Test(path, without_a_loop_there_are_no_paths)
{
    ouro_stat st;
    ouro_future *f = ouro_path_stat("/", &st, NULL);
    check_eq(ouro_future_result(f).n, -EPERM);
    f = ouro_path_mkdir("/x", 0, &(ouro_path_options){.parents = 1});
    check_eq(ouro_future_result(f).n, -EPERM);
}
