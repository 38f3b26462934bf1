/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tree_test.h"

#define MIB ((size_t)1 << 20)

/* Copy "from" to "to", which is to be the same then. */
static void check_copies(size_t size, const ouro_copy_options *opts)
{
    check_eq(ouro_await(ouro_file_copy("from", "to", opts)), size);
    check(same_content("from", "to"));
}

FolderTest(copy, a_file_of_any_size_is_copied)
{
    static const size_t sizes[] = {0, 1, 4097, MIB, 20 * MIB + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file("from", sizes[i]);
        check_copies(sizes[i], NULL);
        check_eq(count_names(), 2);
    }
    return 0;
}

FolderTest(copy, a_copy_has_the_permissions_of_its_source)
{
    make_text("from", "x");
    make_text("to", "something else");
    check_eq(chmod("from", 04751), 0);
    check_copies(1, NULL);
    check_eq(mode_of("to"), 0751);
    check_copies(1, &(ouro_copy_options){.keep_owner = 1});
    check_eq(mode_of("to"), 04751);
    return 0;
}

FolderTest(copy, times_and_owner_are_kept_if_asked_for)
{
    make_text("from", "x");
    const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 2000, .tv_nsec = 7000}};
    check_eq(utimensat(AT_FDCWD, "from", times, 0), 0);
    if (geteuid() == 0)
        check_eq(chown("from", 65534, 65534), 0);
    check_copies(1, &(ouro_copy_options){.keep_times = 1, .keep_owner = 1, .sync = 1});
    struct stat from, to;
    check_eq(stat("from", &from), 0);
    check_eq(stat("to", &to), 0);
    check_eq(to.st_mtim.tv_sec, 2000);
    check_eq(to.st_mtim.tv_nsec, 7000);
    check_eq(to.st_atim.tv_sec, from.st_atim.tv_sec);
    check_eq(to.st_uid, from.st_uid);
    check_eq(to.st_gid, from.st_gid);
    return 0;
}

FolderTest(copy, holes_stay_holes)
{
    int fd = open("from", O_CREAT | O_RDWR, 0644);
    check_eq(ftruncate(fd, 64 * (off_t)MIB), 0);
    check_eq(pwrite(fd, "middle", 6, 32 * (off_t)MIB), 6);
    close(fd);
    check_copies(64 * MIB, NULL);
    struct stat st;
    check_eq(stat("to", &st), 0);
    check(st.st_blocks * 512 < 1 << 20);
    check_eq(truncate("from", 0), 0); /* nothing but a hole */
    check_eq(truncate("from", (off_t)MIB), 0);
    check_copies(MIB, NULL);
    return 0;
}

FolderTest(copy, a_file_of_proc_is_copied_though_it_has_no_size)
{
    check(ouro_await(ouro_file_copy("/proc/version", "to", NULL)) > 10);
    check(same_content("/proc/version", "to"));
    return 0;
}

FolderTest(copy, between_file_systems_it_is_done_by_hand)
{
    if (!mount_small("64m"))
        return 0;
    make_file("from", 10 * MIB + 1);
    check_eq(ouro_await(ouro_file_copy("from", "small/to", NULL)), 10 * MIB + 1);
    check(same_content("from", "small/to"));
    check_eq(ouro_await(ouro_file_copy("small/to", "to", NULL)), 10 * MIB + 1);
    check(same_content("from", "to"));
    unmount_small();
    return 0;
}

/* ---- Progress -------------------------------------------------------------------------------- */

struct progress {
    unsigned calls;
    uint64_t done;
    uint64_t total;
};

static void see(uint64_t done, uint64_t total, void *arg)
{
    struct progress *p = arg;
    check(done >= p->done);
    p->calls++;
    p->done = done;
    p->total = total;
}

FolderTest(copy, progress_is_told_on_the_loop_and_ends_with_all)
{
    struct progress p = {0};
    make_file("from", 30 * MIB);
    check_copies(30 * MIB, &(ouro_copy_options){.progress = see, .arg = &p});
    check(p.calls >= 1);
    check_eq(p.done, 30 * MIB);
    check_eq(p.total, 30 * MIB);
    p = (struct progress){0};
    make_text("from", "");
    check_copies(0, &(ouro_copy_options){.progress = see, .arg = &p});
    check_eq(p.calls, 1);
    return 0;
}

/* ---- The target ------------------------------------------------------------------------------ */

FolderTest(copy, a_target_is_replaced_unless_it_is_to_be_new)
{
    make_text("from", "new");
    make_text("to", "old");
    ouro_copy_options exclusive = {.exclusive = 1};
    check_fails(ouro_file_copy("from", "to", &exclusive), -EEXIST, "to");
    check(has_text("to", "old"));
    exclusive.in_place = 1;
    check_fails(ouro_file_copy("from", "to", &exclusive), -EEXIST, "to");
    check(has_text("to", "old"));
    check_copies(3, NULL);
    check_eq(unlink("to"), 0);
    check_copies(3, &exclusive);
    return 0;
}

FolderTest(copy, in_place_means_the_same_file_with_its_links)
{
    make_text("from", "new");
    make_text("to", "old and longer");
    check_eq(chmod("to", 0600), 0);
    check_eq(link("to", "link"), 0);
    check_copies(3, &(ouro_copy_options){.in_place = 1});
    check(has_text("link", "new"));
    check_eq(mode_of("to"), 0600);
    return 0;
}

FolderTest(copy, a_file_is_not_copied_to_itself)
{
    make_text("from", "precious");
    check_eq(link("from", "link"), 0);
    check_eq(symlink("from", "soft"), 0);
    ouro_copy_options in_place = {.in_place = 1};
    check_fails(ouro_file_copy("from", "from", NULL), -EINVAL, "the same file");
    check_fails(ouro_file_copy("from", "link", NULL), -EINVAL, "the same file");
    check_fails(ouro_file_copy("from", "from", &in_place), -EINVAL, "the same file");
    check_fails(ouro_file_copy("from", "soft", &in_place), -EINVAL, "the same file");
    check(has_text("from", "precious"));
    return 0;
}

FolderTest(copy, what_cannot_be_copied_says_which_file)
{
    char longest[300];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    make_text("from", "x");
    check_eq(mkdir("folder", 0755), 0);
    check_eq(mkfifo("pipe", 0600), 0);
    check_fails(ouro_file_copy("nothing", "to", NULL), -ENOENT, "from nothing");
    check_fails(ouro_file_copy("folder", "to", NULL), -EISDIR, "from folder");
    check_fails(ouro_file_copy("pipe", "to", NULL), -EINVAL, "from pipe");
    check_fails(ouro_file_copy("from", "folder", NULL), -EISDIR, "to folder");
    check_fails(ouro_file_copy("from", "folder/", NULL), -EISDIR, "to folder/");
    check_fails(ouro_file_copy("from", "nowhere/to", NULL), -ENOENT, "to nowhere/to");
    check_fails(ouro_file_copy("from", longest, NULL), -ENAMETOOLONG, "to xxx");
    check_fails(ouro_file_copy("from", "pipe", &(ouro_copy_options){.in_place = 1}), -ENXIO,
                "pipe");
    check_eq(ouro_await(ouro_file_copy(NULL, "to", NULL)), -EINVAL);
    check_eq(ouro_await(ouro_file_copy("from", NULL, NULL)), -EINVAL);
    check_eq(count_names(), 3);
    return 0;
}

FolderTest(copy, a_full_disk_leaves_nothing)
{
    if (!mount_small("1m"))
        return 0;
    make_file("from", 8 * MIB);
    check_fails(ouro_file_copy("from", "small/to", NULL), -ENOSPC, "small/to");
    check_eq(system("test $(ls -A small | wc -l) = 0"), 0);
    ouro_copy_options in_place = {.in_place = 1};
    check_fails(ouro_file_copy("from", "small/to", &in_place), -ENOSPC, "small/to");
    check(is_there("small/to")); /* as asked for */
    unmount_small();
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

FolderTest(copy, a_copy_that_is_cancelled_before_it_begins_never_does)
{
    make_text("from", "x");
    ouro_future *f = ouro_file_copy("from", "to", NULL);
    check_eq(ouro_cancel(f), 1);
    int64_t n = ouro_await(f); /* or it was quicker */
    check(n == -OURO_ECHILDCANCELLED || n == 1);
    check_eq(is_there("to"), n == 1);
    return 0;
}

static void cancel_it(uint64_t done, uint64_t total, void *arg)
{
    if (done < total)
        ouro_cancel(*(ouro_future **)arg);
}

FolderTest(copy, a_copy_that_is_cancelled_half_way_leaves_the_target_as_it_was)
{
    size_t size = 512 * MIB;
    int fd = open("from", O_CREAT | O_RDWR, 0644);
    check_eq(posix_fallocate(fd, 0, (off_t)size), 0);
    close(fd);
    make_text("to", "old");
    ouro_future *f = NULL;
    f = ouro_file_copy("from", "to", &(ouro_copy_options){.progress = cancel_it, .arg = &f});
    int64_t n = ouro_await(f);
    check(n == -OURO_ECHILDCANCELLED || n == (int64_t)size);
    if (n < 0)
        check(has_text("to", "old"));
    struct stat st;
    check_eq(stat("from", &st), 0);
    check_eq(st.st_size, size);
    check_eq(count_names(), 2);
    return n < 0 ? 0 : -EAGAIN; /* half a gigabyte is too slow to be through before the report */
}

/* ---- Others meanwhile ------------------------------------------------------------------------ */

static int64_t write_on(void *arg)
{
    const bool *over = arg;
    int fd = open("from", O_WRONLY | O_APPEND);
    int n = 0;
    for (; !*over && n < 1000; n++) {
        check_eq(write(fd, "more", 4), 4);
        int64_t rc = ouro_await(ouro_sleep(OURO_US(100)));
        check_eq(rc, 0);
    }
    close(fd);
    return n;
}

FolderTest(copy, a_source_that_grows_is_copied_to_where_it_ends_then)
{
    bool over = false;
    make_file("from", 40 * MIB);
    ouro_future *writer = ouro_spawn(write_on, &over);
    int64_t n = ouro_await(ouro_file_copy("from", "to", NULL));
    over = true;
    check(ouro_await(writer) > 0);
    check(n >= (int64_t)(40 * MIB));
    struct stat st;
    check_eq(stat("to", &st), 0);
    check_eq(st.st_size, n);
    check_eq(truncate("from", n), 0);
    check(same_content("from", "to"));
    return 0;
}

static void cut_it(uint64_t done, uint64_t total, void *arg)
{
    (void)arg;
    if (done < total)
        check_eq(truncate("from", 1000), 0);
}

FolderTest(copy, a_source_that_shrinks_is_copied_as_far_as_it_goes)
{
    int fd = open("from", O_CREAT | O_RDWR, 0644);
    check_eq(posix_fallocate(fd, 0, 256 * (off_t)MIB), 0);
    close(fd);
    int64_t n = ouro_await(ouro_file_copy("from", "to", &(ouro_copy_options){.progress = cut_it}));
    struct stat st;
    check_eq(stat("to", &st), 0);
    check_eq(st.st_size, n);
    check(n <= (int64_t)(256 * MIB));
    check(st.st_blocks * 512 <= n + 65536);
    return 0;
}

FolderTest(copy, copies_to_one_name_race_and_one_of_them_wins_whole)
{
    make_file("from", 3 * MIB);
    make_file("other", 2 * MIB);
    for (int i = 0; i < 20; i++) {
        ouro_future *fs[4];
        for (int j = 0; j < 4; j++)
            fs[j] = ouro_file_copy(j % 2 ? "from" : "other", "to", NULL);
        check_eq(ouro_await(ouro_gather(fs, 4, OURO_GATHER_ALL, NULL)), 0);
        check(same_content("from", "to") || same_content("other", "to"));
        check_eq(count_names(), 3);
    }
    return 0;
}

/* ---- The loop's end -------------------------------------------------------------------------- */

static int64_t copy_until_told(void *unused)
{
    (void)unused;
    return ouro_await(ouro_file_copy("from", "to", NULL));
}

Test(copy, a_shutdown_in_the_middle_leaves_the_target_as_it_was)
{
    go_to_folder("/tmp");
    int fd = open("from", O_CREAT | O_RDWR, 0644);
    check_eq(posix_fallocate(fd, 0, 512 * (off_t)MIB), 0);
    close(fd);
    make_text("to", "old");
    begin_kernel();
    ouro_future *f = ouro_spawn(copy_until_told, NULL);
    turns(3); /* it has begun */
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(20)), 0);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    end();
    check(has_text("to", "old"));
    check_eq(count_names(), 2);
    leave_folder();
}
