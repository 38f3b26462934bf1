/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tree_test.h"

#include <stdatomic.h>

/* ---- Helpers --------------------------------------------------------------------------------- */

static ouro_dir *open_dir(const char *path, const ouro_dir_options *opts)
{
    int64_t rc;
    ouro_dir *d = ouro_await_ptr(ouro_dir_open(path, opts), &rc);
    check_eq(rc, 0);
    return d;
}

static ouro_walk *open_walk(const char *path, const ouro_walk_options *opts)
{
    int64_t rc;
    ouro_walk *w = ouro_await_ptr(ouro_walk_open(path, opts), &rc);
    check_eq(rc, 0);
    return w;
}

static void make_tree(const char *const *paths)
{
    for (; *paths; paths++) {
        size_t length = strlen(*paths);
        if ((*paths)[length - 1] == '/')
            check_eq(mkdir(*paths, 0755), 0);
        else
            make_text(*paths, "x");
    }
}

/* What a sorted walk of "t" tells: paths, with a slash behind folders and "!" before errors. */
static const char *walked(ouro_walk_options opts)
{
    static char text[4096];
    char *end = text;
    int64_t rc;
    opts.sorted = 1;
    ouro_walk *w = open_walk("t", &opts);
    const ouro_walk_entry *e;
    *text = '\0';
    while ((e = ouro_await_ptr(ouro_walk_next(w), &rc))) {
        check_text(e->name, strrchr(e->path, '/') + 1);
        end += sprintf(end, "%s%s%s ", e->error ? "!" : "", e->path,
                       e->type == OURO_ENTRY_FOLDER ? "/" : "");
    }
    check_eq(rc, 0);
    ouro_walk_free(w);
    return text;
}

static const char *const small_tree[] = {"t/",  "t/a/", "t/a/one", "t/a/deep/", "t/a/deep/two",
                                         "t/b", "t/c/", "t/c/x",   NULL};

/* ---- Listing --------------------------------------------------------------------------------- */

FolderTest(dir, names_come_with_their_types_and_without_the_dots)
{
    make_text("file", "x");
    check_eq(mkdir("folder", 0755), 0);
    check_eq(symlink("file", "link"), 0);
    check_eq(mkfifo("pipe", 0600), 0);
    ouro_dir *d = open_dir(".", &(ouro_dir_options){.sorted = 1});
    static const ouro_entry wanted[] = {{"file", 0, OURO_ENTRY_FILE},
                                        {"folder", 0, OURO_ENTRY_FOLDER},
                                        {"link", 0, OURO_ENTRY_LINK},
                                        {"pipe", 0, OURO_ENTRY_FIFO}};
    int64_t rc;
    for (int i = 0; i < 4; i++) {
        const ouro_entry *e = ouro_await_ptr(ouro_dir_next(d), &rc);
        struct stat st;
        check_eq(rc, 1);
        check_text(e->name, wanted[i].name);
        check_eq(e->type, wanted[i].type);
        check_eq(lstat(e->name, &st), 0);
        check_eq(e->inode, st.st_ino);
    }
    for (int i = 0; i < 2; i++) {
        check(ouro_await_ptr(ouro_dir_next(d), &rc) == NULL);
        check_eq(rc, 0);
    }
    ouro_dir_free(d);
    return 0;
}

FolderTest(dir, an_empty_folder_has_no_names)
{
    ouro_dir *d = open_dir(".", NULL);
    check_eq(ouro_await(ouro_dir_next(d)), 0);
    ouro_dir_free(d);
    return 0;
}

static void make_many(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "a-rather-long-name-for-a-file-%05u", i);
        int fd = open(name, O_CREAT | O_WRONLY, 0644);
        check(fd >= 0);
        close(fd);
    }
}

FolderTest(dir, a_big_folder_comes_in_pieces_and_every_name_once)
{
    enum { COUNT = 5000 };
    make_many(COUNT);
    for (int sorted = 0; sorted < 2; sorted++) {
        ouro_dir *d = open_dir(".", &(ouro_dir_options){.sorted = sorted});
        static bool seen[COUNT];
        memset(seen, 0, sizeof seen);
        unsigned n = 0, last = 0;
        const ouro_entry *e;
        int64_t rc;
        while ((e = ouro_await_ptr(ouro_dir_next(d), &rc))) {
            unsigned i = (unsigned)strtoul(strrchr(e->name, '-') + 1, NULL, 10);
            check(i < COUNT && !seen[i]);
            check(!sorted || n == 0 || i == last + 1);
            seen[i] = true;
            last = i;
            n++;
        }
        check_eq(rc, 0);
        check_eq(n, COUNT);
        ouro_dir_free(d);
    }
    return 0;
}

FolderTest(dir, a_name_that_nobody_took_comes_again)
{
    make_text("a", "");
    make_text("b", "");
    ouro_dir *d = open_dir(".", &(ouro_dir_options){.sorted = 1});
    ouro_unref(ouro_dir_next(d)); /* settled, and not taken */
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    int64_t rc;
    const ouro_entry *e = ouro_await_ptr(ouro_dir_next(d), &rc);
    check_text(e->name, "a");
    e = ouro_await_ptr(ouro_dir_next(d), &rc);
    check_text(e->name, "b");
    ouro_unref(ouro_dir_next(d));
    check_eq(ouro_await(ouro_dir_next(d)), 0);
    ouro_dir_free(d);
    return 0;
}

FolderTest(dir, a_cancelled_wait_loses_no_name)
{
    enum { COUNT = 4000 };
    make_many(COUNT);
    ouro_dir *d = open_dir(".", NULL);
    unsigned n = 0, cancelled = 0;
    int64_t rc = 1;
    while (rc != 0) {
        ouro_future *f = ouro_dir_next(d);
        if (ouro_future_state(f) == OURO_PENDING && cancelled < 3) {
            ouro_cancel(f);
            cancelled++;
        }
        rc = ouro_await(f);
        n += rc == 1;
    }
    check(cancelled > 0);
    check_eq(n, COUNT);
    ouro_dir_free(d);
    return 0;
}

FolderTest(dir, two_waits_at_once_are_ebusy)
{
    make_many(4000);
    ouro_dir *d = open_dir(".", NULL);
    ouro_future *f = ouro_dir_next(d);
    while (ouro_future_state(f) != OURO_PENDING) {
        check_eq(ouro_await(f), 1);
        f = ouro_dir_next(d);
    }
    check_eq(ouro_await(ouro_dir_next(d)), -EBUSY);
    check_eq(ouro_await(f), 1);
    ouro_dir_free(d);
    return 0;
}

static int64_t close_dir(void *arg)
{
    return ouro_await(ouro_dir_close(arg));
}

FolderTest(dir, a_close_by_another_task_is_ebadf_for_who_waits)
{
    make_many(4000);
    ouro_dir *d = open_dir(".", NULL);
    ouro_future *f = ouro_dir_next(d);
    while (ouro_future_state(f) != OURO_PENDING) {
        check_eq(ouro_await(f), 1);
        f = ouro_dir_next(d);
    }
    ouro_future *closer = ouro_spawn(close_dir, d);
    ouro_future *other = ouro_spawn(close_dir, d);
    check_eq(ouro_await(f), -EBADF);
    check_eq(ouro_await(closer), 0);
    check_eq(ouro_await(other), 0);
    check_eq(ouro_await(ouro_dir_close(d)), 0);
    check_eq(ouro_await(ouro_dir_next(d)), -EBADF);
    ouro_dir_free(d);
    return 0;
}

FolderTest(dir, a_folder_that_is_freed_in_the_middle_is_closed)
{
    make_many(4000);
    ouro_dir *d = open_dir(".", NULL);
    check_eq(ouro_await(ouro_dir_next(d)), 1);
    ouro_dir_free(d);
    ouro_unref(ouro_dir_open(".", NULL)); /* and one that nobody takes */
    ouro_dir_free(NULL);
    return 0;
}

FolderTest(dir, what_cannot_be_listed_says_which_folder)
{
    make_text("file", "x");
    check_fails(ouro_dir_open("file", NULL), -ENOTDIR, "file");
    check_fails(ouro_dir_open("nothing", NULL), -ENOENT, "nothing");
    check_eq(ouro_await(ouro_dir_open(NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_dir_next(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_dir_close(NULL)), -EINVAL);
    struct rlimit before = no_more_descriptors();
    check_fails(ouro_dir_open(".", NULL), -EMFILE, "cannot list .");
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    return 0;
}

static ouro_dir *left_open;

static int64_t leave_open(void *unused)
{
    (void)unused;
    left_open = open_dir(".", NULL);
    return ouro_await(ouro_dir_next(left_open));
}

Test(dir, a_handle_may_be_freed_after_the_loops_close)
{
    go_to_folder("/tmp");
    make_many(3000);
    begin_kernel();
    check_eq(run_main(leave_open, NULL), 1);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check(ouro_dir_free(left_open) == NULL);
    end_closed();
    leave_folder();
}

/* Holds up the only thread of the lane until its loop is closed. */
static int64_t hold_up(void *began)
{
    atomic_store((atomic_bool *)began, true);
    while (!ouro_job_cancelled())
        usleep(200);
    return 0;
}

static void hold_up_lane(void)
{
    static atomic_bool began;
    atomic_store(&began, false);
    ouro_detach(
        ouro_offload_with(hold_up, &began, &(ouro_offload_options){.lane = OURO_LANE_DISK}));
    while (!atomic_load(&began))
        usleep(200);
}

/* A close, a read, an open in the lane's queue, which the loop's close finds there. */
enum queued { A_CLOSE, A_READ, AN_OPEN, QUEUED };

static int64_t leave_in_queue(void *arg)
{
    enum queued what = *(enum queued *)arg;
    left_open = what == AN_OPEN ? NULL : open_dir(".", NULL);
    hold_up_lane();
    ouro_future *f = what == A_CLOSE   ? ouro_dir_close(left_open)
                     : what == AN_OPEN ? ouro_dir_open(".", NULL)
                                       : ouro_dir_next(left_open);
    while (what == A_READ && ouro_future_state(f) != OURO_PENDING) {
        check_eq(ouro_await(f), 1);
        f = ouro_dir_next(left_open);
    }
    check_eq(ouro_future_state(f), OURO_PENDING);
    ouro_detach(f);
    return 0;
}

static bool folder_is_open(void)
{
    struct stat here, st;
    check_eq(stat(".", &here), 0);
    for (int fd = 0; fd < 100; fd++)
        if (fstat(fd, &st) == 0 && st.st_ino == here.st_ino && st.st_dev == here.st_dev)
            return true;
    return false;
}

Test(dir, what_is_given_up_with_its_loop_is_closed)
{
    go_to_folder("/tmp");
    make_many(3000);
    check_eq(ouro_lane_set_threads(OURO_LANE_DISK, 1), 0);
    for (enum queued what = 0; what < QUEUED; what++) {
        begin_kernel();
        check_eq(run_main(leave_in_queue, &what), 0);
        check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(10)), 0);
        check_eq(ouro_loop_close(ouro_loop_current()), 0);
        check_eq(folder_is_open(), what == A_READ); /* and not only closed when it is freed */
        check(ouro_dir_free(left_open) == NULL);
        end_closed();
    }
    leave_folder();
}

/* ---- Walking --------------------------------------------------------------------------------- */

FolderTest(walk, a_folder_comes_before_what_is_in_it)
{
    make_tree(small_tree);
    check_text(walked((ouro_walk_options){0}),
               "t/a/ t/a/deep/ t/a/deep/two t/a/one t/b t/c/ t/c/x ");
    check_text(walked((ouro_walk_options){.max_depth = 1}), "t/a/ t/b t/c/ ");
    check_text(walked((ouro_walk_options){.max_depth = 2}),
               "t/a/ t/a/deep/ t/a/one t/b t/c/ t/c/x ");
    return 0;
}

FolderTest(walk, a_folder_can_be_left_out)
{
    make_tree(small_tree);
    ouro_walk *w = open_walk("t/", &(ouro_walk_options){.sorted = 1});
    char text[256] = "";
    const ouro_walk_entry *e;
    int64_t rc;
    while ((e = ouro_await_ptr(ouro_walk_next(w), &rc))) {
        sprintf(text + strlen(text), "%s:%u ", e->path, e->depth);
        if (strcmp(e->name, "a") == 0)
            check_eq(ouro_walk_skip(w), 0);
    }
    check_text(text, "t/a:1 t/b:1 t/c:1 t/c/x:2 ");
    ouro_walk_free(w);
    return 0;
}

FolderTest(walk, leaving_out_works_beyond_the_batch_and_for_the_rest_of_a_folder)
{
    check_eq(system("mkdir -p t/a/b t/z && cd t/a && touch $(seq 1000 1999) b/x ../z/last"), 0);
    ouro_walk *w = open_walk("t", &(ouro_walk_options){.sorted = 1});
    char text[256] = "";
    const ouro_walk_entry *e;
    int64_t rc;
    while ((e = ouro_await_ptr(ouro_walk_next(w), &rc))) {
        sprintf(text + strlen(text), "%s ", e->path);
        if (strcmp(e->name, "1002") == 0)
            check_eq(ouro_walk_skip(w), 0);
    }
    check_text(text, "t/a t/a/1000 t/a/1001 t/a/1002 t/z t/z/last ");
    ouro_walk_free(w);
    return 0;
}

FolderTest(walk, links_are_followed_if_asked_for_and_never_in_a_circle)
{
    make_tree(small_tree);
    check_eq(symlink("..", "t/c/up"), 0);
    check_eq(symlink("../c", "t/a/side"), 0);
    check_eq(symlink("nowhere", "t/dangling"), 0);
    check_text(walked((ouro_walk_options){0}), "t/a/ t/a/deep/ t/a/deep/two t/a/one t/a/side t/b "
                                               "t/c/ t/c/up t/c/x t/dangling ");
    check_text(walked((ouro_walk_options){.follow_links = 1}),
               "t/a/ t/a/deep/ t/a/deep/two t/a/one t/a/side/ t/a/side/up/ !t/a/side/up/ "
               "t/a/side/x t/b t/c/ t/c/up/ !t/c/up/ t/c/x t/dangling ");
    return 0;
}

FolderTest(walk, a_folder_that_may_not_be_read_is_an_error_and_the_walk_goes_on)
{
    if (geteuid() != 0)
        return 0;
    make_tree(small_tree);
    check_eq(chmod(".", 0755), 0);
    check_eq(chmod("t/a", 0), 0);
    check_eq(seteuid(65534), 0);
    const char *text = walked((ouro_walk_options){0});
    check_eq(seteuid(0), 0);
    check_text(text, "t/a/ !t/a/ t/b t/c/ t/c/x ");
    check_eq(chmod("t/a", 0755), 0);
    return 0;
}

/* So deep that its path is longer than any that the kernel takes. */
static void make_deep(unsigned depth)
{
    char name[101];
    memset(name, 'd', 100);
    name[100] = '\0';
    int top = open(".", O_RDONLY);
    for (unsigned i = 0; i < depth; i++)
        check(mkdir(name, 0755) == 0 && chdir(name) == 0);
    make_text("bottom", "x");
    check_eq(fchdir(top), 0);
    close(top);
}

FolderTest(walk, depth_takes_no_descriptors_and_has_no_limit)
{
    enum { DEPTH = 120 };
    check_eq(mkdir("t", 0755), 0);
    check_eq(chdir("t"), 0);
    make_deep(DEPTH);
    make_text("e", "after it");
    check_eq(chdir(".."), 0);
    struct rlimit before, few;
    check_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 60;
    check_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    ouro_walk *w = open_walk("t", &(ouro_walk_options){.sorted = 1});
    const ouro_walk_entry *e;
    unsigned deepest = 0, errors = 0;
    bool came_back = false;
    int64_t rc;
    while ((e = ouro_await_ptr(ouro_walk_next(w), &rc))) {
        deepest = e->depth > deepest ? e->depth : deepest;
        errors += e->error != 0;
        came_back |= strcmp(e->path, "t/e") == 0;
    }
    check_eq(deepest, DEPTH + 1);
    check_eq(errors, 0);
    check(came_back);
    ouro_walk_free(w);
    check_eq(ouro_await(ouro_tree_remove("t")), DEPTH + 3);
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    return 0;
}

FolderTest(walk, a_tree_that_is_removed_meanwhile_is_walked_to_an_end)
{
    check_eq(system("for i in $(seq 40); do mkdir -p t/$i/x; touch t/$i/x/$(seq -s' ' 20 | tr -d "
                    "' ') $(for j in $(seq 20); do echo t/$i/f$j; done); done"),
             0);
    ouro_walk *w = open_walk("t", NULL);
    const ouro_walk_entry *e;
    unsigned n = 0;
    int64_t rc;
    while ((e = ouro_await_ptr(ouro_walk_next(w), &rc))) {
        check(e->error == 0 || e->error == -ENOENT || e->error == -ESTALE);
        if (++n == 100)
            check(ouro_await(ouro_tree_remove("t")) > 0);
    }
    check_eq(rc, 0);
    check(n >= 100);
    ouro_walk_free(w);
    check(!is_there("t"));
    return 0;
}

FolderTest(walk, a_close_in_the_middle_closes_all_that_is_open)
{
    make_tree(small_tree);
    check_eq(system("cd t/a/deep && touch $(seq 3000)"), 0);
    ouro_walk *w = open_walk("t", NULL);
    check_eq(ouro_await(ouro_walk_next(w)), 1);
    check_eq(ouro_await(ouro_walk_close(w)), 0);
    check_eq(ouro_await(ouro_walk_next(w)), -EBADF);
    check_eq(ouro_walk_skip(w), -EBADF);
    ouro_walk_free(w);
    w = open_walk("t", NULL);
    check_eq(ouro_await(ouro_walk_next(w)), 1);
    ouro_walk_free(w);
    check_fails(ouro_walk_open("nothing", NULL), -ENOENT, "nothing");
    check_eq(ouro_walk_skip(NULL), -EINVAL);
    return 0;
}

/* ---- Removing -------------------------------------------------------------------------------- */

FolderTest(tree_remove, a_tree_goes_with_all_that_is_in_it)
{
    make_tree(small_tree);
    check_eq(ouro_await(ouro_tree_remove("t")), 8);
    check_eq(count_names(), 0);
    make_text("file", "x");
    check_eq(ouro_await(ouro_tree_remove("file")), 1);
    check_eq(count_names(), 0);
    return 0;
}

FolderTest(tree_remove, a_link_is_removed_and_what_it_leads_to_is_not)
{
    make_tree(small_tree);
    check_eq(mkdir("keep", 0755), 0);
    make_text("keep/me", "x");
    check_eq(symlink("../keep", "t/link"), 0);
    check_eq(symlink("keep", "link"), 0);
    check_eq(ouro_await(ouro_tree_remove("link/")), 1);
    check_eq(ouro_await(ouro_tree_remove("t")), 9);
    check(has_text("keep/me", "x"));
    check_eq(count_names(), 1);
    return 0;
}

FolderTest(tree_remove, what_cannot_be_removed_is_the_first_error)
{
    check_fails(ouro_tree_remove("nothing"), -ENOENT, "nothing");
    check_eq(ouro_await(ouro_tree_remove("")), -ENOENT);
    check_eq(ouro_await(ouro_tree_remove(".")), -EINVAL);
    check_eq(ouro_await(ouro_tree_remove("./..")), -EINVAL);
    check_eq(ouro_await(ouro_tree_remove("/")), -EINVAL);
    check_eq(ouro_await(ouro_tree_remove(NULL)), -EINVAL);
    if (geteuid() != 0)
        return 0;
    make_tree(small_tree);
    check_eq(system("chmod 755 . && chown -R 65534 t && chown 0 t/a"), 0);
    check_eq(seteuid(65534), 0);
    ouro_future *f = ouro_tree_remove("t");
    check_fails(f, -EACCES, "t/a/");
    check_eq(seteuid(0), 0);
    check(is_there("t/a/one"));
    check(!is_there("t/b"));
    check(!is_there("t/c"));
    return 0;
}
