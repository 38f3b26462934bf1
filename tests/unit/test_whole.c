/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "refuse.h"
#include "tree_test.h"

static char *read_all(const char *path, int64_t *size)
{
    return ouro_await_ptr(ouro_file_read_all(path, NULL), size);
}

/* Read @path, which must have what a plain reader sees. */
static void check_reads(const char *path, size_t size)
{
    int64_t n;
    char *bytes = read_all(path, &n);
    check(bytes != NULL);
    check_eq(n, size);
    check_eq(bytes[n], 0);
    FILE *f = fopen(path, "r");
    char *wanted = malloc(size + 1);
    check_eq(fread(wanted, 1, size + 1, f), size);
    check_eq(memcmp(bytes, wanted, size), 0);
    fclose(f);
    free(wanted);
    ouro_file_bytes_free(bytes);
}

/* ---- Reading --------------------------------------------------------------------------------- */

FolderTest(whole, a_file_of_any_size_is_read_to_its_end)
{
    static const size_t sizes[] = {1, 4095, 4096, 65536, 65537, 1 << 20, (20 << 20) + 3};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file("file", sizes[i]);
        check_reads("file", sizes[i]);
    }
    return 0;
}

FolderTest(whole, an_empty_file_is_no_bytes_and_a_zero)
{
    make_text("empty", "");
    check_reads("empty", 0);
    return 0;
}

FolderTest(whole, a_file_that_is_not_in_the_cache_is_read_too)
{
    make_file("file", 30000);
    int fd = open("file", O_RDONLY);
    check_eq(fsync(fd), 0);
    check_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    close(fd);
    check_reads("file", 30000);
    return 0;
}

FolderTest(whole, what_is_cached_is_there_at_once)
{
    const char *places[] = {"file", "/dev/shm/ouro-test-whole"}; /* in memory: always */
    for (int i = 0; i < 2; i++) {
        make_text(places[i], "now");
        ouro_future *f = ouro_file_read_all(places[i], NULL);
        check_eq(ouro_future_state(f), OURO_VALUE);
        check_text(ouro_future_result(f).ptr, "now");
        ouro_unref(f); /* and destroys what nobody took */
        unlink(places[i]);
    }
    return 0;
}

/* ---- By the ring ----------------------------------------------------------------------------- */

/* A file of 10 000 bytes, and the fake ring that is to read them. */
static struct fake *begin_cold(void)
{
    go_to_folder("/dev/shm"); /* where opening never waits */
    make_file("cold", 10000);
    refuse_cached_reads();
    return begin_fake();
}

static void end_cold(void)
{
    end();
    leave_folder();
}

/* A read whose first piece is in the ring. */
static ouro_future *read_cold(struct fake *fake, size_t limit)
{
    ouro_future *f = ouro_file_read_all("cold", &(ouro_read_all_options){.limit = limit});
    turn();
    check_eq(ouro_future_state(f), OURO_PENDING);
    check(fake_find(fake, IORING_OP_READ));
    return f;
}

static void ring_reads(struct fake *fake, int32_t res)
{
    fake_finish(fake, IORING_OP_READ, res, 0);
    turn();
}

static void check_came_to(ouro_future *f, int64_t n)
{
    check(ouro_future_state(f) != OURO_PENDING);
    check_eq(ouro_future_result(f).n, n);
    ouro_unref(f);
}

Test(whole, a_small_file_that_is_not_in_the_cache_comes_by_the_ring)
{
    struct fake *fake = begin_cold();
    ouro_future *f = read_cold(fake, 0);
    ring_reads(fake, 10000);
    check_came_to(f, 10000);
    end_cold();
}

Test(whole, a_file_that_grows_or_shrinks_meanwhile_is_read_to_its_end)
{
    struct fake *fake = begin_cold();
    ouro_future *f = read_cold(fake, 0);
    ring_reads(fake, 10001);
    check_eq(fake_find(fake, IORING_OP_READ)->off, 10001);
    ring_reads(fake, 5);
    ring_reads(fake, 0);
    check_came_to(f, 10006);
    f = read_cold(fake, 0);
    ring_reads(fake, 4000);
    ring_reads(fake, 0);
    check_came_to(f, 4000);
    f = read_cold(fake, 10000);
    ring_reads(fake, 10001);
    check(strstr(ouro_future_detail(f), "cold has more than 10000 bytes"));
    check_came_to(f, -EFBIG);
    end_cold();
}

Test(whole, a_ring_that_cannot_read_says_which_file)
{
    struct fake *fake = begin_cold();
    ouro_future *f = read_cold(fake, 0);
    ring_reads(fake, -EIO);
    check(strstr(ouro_future_detail(f), "cannot read cold"));
    check_came_to(f, -EIO);
    f = read_cold(fake, 0);
    ring_reads(fake, -EAGAIN); /* for its descriptor does not block, which is changed then */
    check_eq(fcntl(fake_find(fake, IORING_OP_READ)->fd, F_GETFL) & O_NONBLOCK, 0);
    ring_reads(fake, -EAGAIN);
    check_came_to(f, -EAGAIN);
    end_cold();
}

Test(whole, a_cancelled_read_by_the_ring_is_over_when_the_ring_says_so)
{
    struct fake *fake = begin_cold();
    ouro_future *f = ouro_file_read_all("cold", NULL);
    ouro_cancel(f); /* before it was submitted */
    check_came_to(f, -ECANCELED);
    f = read_cold(fake, 0);
    ouro_cancel(f);
    turns(2);
    check_came_to(f, -ECANCELED);
    fake->on_cancel = FAKE_CANCEL_BUSY;
    f = read_cold(fake, 0);
    ouro_cancel(f);
    turns(2);
    check_eq(ouro_future_state(f), OURO_PENDING); /* the ring has its memory */
    ring_reads(fake, 4000);
    check_came_to(f, -ECANCELED);
    f = read_cold(fake, 0);
    ouro_cancel(f);
    turns(2);
    ring_reads(fake, 10000); /* what is there wins */
    check_came_to(f, 10000);
    end_cold();
}

KernelTest(whole, a_file_of_proc_has_no_size_and_is_read_all_the_same)
{
    int64_t n;
    char *text = read_all("/proc/self/status", &n);
    check(n > 100);
    check_eq(strlen(text), n);
    check(strstr(text, "Pid:") != NULL);
    ouro_file_bytes_free(text);
    return 0;
}

static int64_t write_to_pipe(void *arg)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(5)));
    int fd = open(arg, O_WRONLY | O_NONBLOCK);
    check(fd >= 0); /* the reader is there */
    check_eq(write(fd, "one ", 4), 4);
    rc = rc < 0 ? rc : ouro_await(ouro_sleep(OURO_MS(5)));
    check_eq(write(fd, "two", 3), 3);
    close(fd);
    return rc;
}

FolderTest(whole, a_named_pipe_is_read_to_its_last_writers_close)
{
    check_eq(mkfifo("pipe", 0600), 0);
    char pipe[] = "pipe";
    ouro_future *writer = ouro_spawn(write_to_pipe, pipe);
    int64_t n;
    char *text = read_all("pipe", &n);
    check_eq(n, 7);
    check_text(text, "one two");
    ouro_file_bytes_free(text);
    return ouro_await(writer);
}

FolderTest(whole, a_read_of_a_pipe_that_nobody_opens_can_be_cancelled)
{
    check_eq(mkfifo("pipe", 0600), 0);
    check_eq(ouro_await(ouro_timeout(ouro_file_read_all("pipe", NULL), OURO_MS(10))), -ETIMEDOUT);
    return 0;
}

FolderTest(whole, more_than_the_limit_is_efbig)
{
    ouro_read_all_options opts = {.limit = 10};
    make_text("ten", "0123456789");
    make_text("eleven", "0123456789a");
    check_eq(ouro_await(ouro_file_read_all("ten", &opts)), 10);
    check_fails(ouro_file_read_all("eleven", &opts), -EFBIG, "eleven");
    check_fails(ouro_file_read_all("/proc/self/status", &opts), -EFBIG, "/proc/self/status");
    return 0;
}

FolderTest(whole, what_cannot_be_read_says_which_file)
{
    char longest[5000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    check_fails(ouro_file_read_all("nothing", NULL), -ENOENT, "nothing");
    check_fails(ouro_file_read_all("", NULL), -ENOENT, NULL);
    check_fails(ouro_file_read_all(".", NULL), -EISDIR, "cannot read .");
    check_fails(ouro_file_read_all(longest, NULL), -ENAMETOOLONG, "xxx");
    make_text("file", "");
    check_fails(ouro_file_read_all("file/x", NULL), -ENOTDIR, "file/x");
    check_eq(symlink("link", "link"), 0);
    check_fails(ouro_file_read_all("link", NULL), -ELOOP, "link");
    check_eq(ouro_await(ouro_file_read_all(NULL, NULL)), -EINVAL);
    return 0;
}

FolderTest(whole, without_the_right_it_is_eacces)
{
    if (geteuid() != 0) {
        fprintf(stderr, "skipped: needs root, to be somebody else\n");
        return 0;
    }
    check_eq(chmod(".", 0755), 0);
    make_text("secret", "x");
    check_eq(chmod("secret", 0600), 0);
    check_eq(ouro_lane_set_threads(OURO_LANE_DISK, 1), 0);
    check_eq(seteuid(65534), 0);
    check_fails(ouro_file_read_all("secret", NULL), -EACCES, "secret");
    check_fails(ouro_file_write_atomic("new", "x", 1, NULL), -EACCES, "new");
    check_fails(ouro_file_copy("secret", "copy", NULL), -EACCES, "secret");
    check_eq(seteuid(0), 0);
    return 0;
}

FolderTest(whole, without_a_descriptor_it_is_emfile)
{
    make_text("file", "x");
    struct rlimit before = no_more_descriptors();
    check_fails(ouro_file_read_all("file", NULL), -EMFILE, "file");
    check_fails(ouro_file_write_atomic("file", "y", 1, NULL), -EMFILE, "file");
    check_fails(ouro_file_copy("file", "copy", NULL), -EMFILE, "file");
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    check(has_text("file", "x"));
    check_eq(count_names(), 1);
    return 0;
}

/* ---- Replacing ------------------------------------------------------------------------------- */

FolderTest(whole, a_write_makes_a_file_with_what_the_umask_leaves)
{
    mode_t mask = umask(027);
    check_eq(ouro_await(ouro_file_write_atomic("new", "hello", 5, NULL)), 5);
    umask(mask);
    check(has_text("new", "hello"));
    check_eq(mode_of("new"), 0640);
    check_eq(count_names(), 1);
    return 0;
}

FolderTest(whole, a_write_replaces_a_file_and_keeps_its_bits)
{
    make_text("file", "old and long");
    check_eq(chmod("file", 0751), 0);
    int old = open("file", O_RDONLY);
    check_eq(ouro_await(ouro_file_write_atomic("file", "new", 3, NULL)), 3);
    char bytes[16] = "";
    check_eq(read(old, bytes, sizeof bytes), 12); /* who has it open still sees the old one */
    close(old);
    check(has_text("file", "new"));
    check_eq(mode_of("file"), 0751);
    check_eq(count_names(), 1);
    return 0;
}

FolderTest(whole, a_write_of_nothing_empties_a_file)
{
    make_text("file", "old");
    check_eq(ouro_await(ouro_file_write_atomic("file", NULL, 0, NULL)), 0);
    check(has_text("file", ""));
    return 0;
}

FolderTest(whole, mode_and_owner_are_as_asked_for)
{
    ouro_write_atomic_options opts = {.mode = 04711, .no_sync = 1};
    if (geteuid() == 0) {
        opts.set_owner = 1;
        opts.uid = 65534;
        opts.gid = UINT32_MAX;
    }
    check_eq(ouro_await(ouro_file_write_atomic("file", "x", 1, &opts)), 1);
    struct stat st;
    check_eq(stat("file", &st), 0);
    check_eq(st.st_mode & 07777, 04711);
    check_eq(st.st_uid, opts.set_owner ? 65534 : geteuid());
    check_eq(st.st_gid, getegid());
    return 0;
}

FolderTest(whole, an_exclusive_write_leaves_what_is_there)
{
    ouro_write_atomic_options opts = {.exclusive = 1};
    check_eq(ouro_await(ouro_file_write_atomic("file", "first", 5, &opts)), 5);
    check_fails(ouro_file_write_atomic("file", "second", 6, &opts), -EEXIST, "file");
    check(has_text("file", "first"));
    check_eq(count_names(), 1);
    return 0;
}

FolderTest(whole, a_write_replaces_a_link_and_not_what_it_leads_to)
{
    make_text("far", "far");
    check_eq(symlink("far", "near"), 0);
    check_eq(ouro_await(ouro_file_write_atomic("near", "new", 3, NULL)), 3);
    check(has_text("near", "new"));
    check(has_text("far", "far"));
    return 0;
}

FolderTest(whole, where_no_file_can_be_a_write_fails)
{
    char longest[300];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    check_eq(mkdir("folder", 0755), 0);
    check_fails(ouro_file_write_atomic("folder", "x", 1, NULL), -EISDIR, "folder");
    check_fails(ouro_file_write_atomic("folder/", "x", 1, NULL), -EISDIR, "folder");
    check_fails(ouro_file_write_atomic("nowhere/x", "x", 1, NULL), -ENOENT, "nowhere/x");
    check_fails(ouro_file_write_atomic("", "x", 1, NULL), -ENOENT, NULL);
    check_fails(ouro_file_write_atomic(longest, "x", 1, NULL), -ENAMETOOLONG, "xxx");
    check_eq(ouro_await(ouro_file_write_atomic(NULL, "x", 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_file_write_atomic("x", NULL, 1, NULL)), -EINVAL);
    ouro_write_atomic_options opts = {.mode = 010000};
    check_eq(ouro_await(ouro_file_write_atomic("x", "x", 1, &opts)), -EINVAL);
    check_eq(count_names(), 1);
    return 0;
}

FolderTest(whole, a_full_disk_leaves_the_old_file_and_nothing_else)
{
    if (!mount_small("64k"))
        return 0;
    make_text("small/file", "old");
    char *much = calloc(1, 1 << 20);
    check_fails(ouro_file_write_atomic("small/file", much, 1 << 20, NULL), -ENOSPC, "small/file");
    free(much);
    check(has_text("small/file", "old"));
    check_eq(system("test $(ls -A small | wc -l) = 1"), 0);
    unmount_small();
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

FolderTest(whole, a_write_that_is_cancelled_leaves_the_old_file_or_is_whole)
{
    size_t size = (size_t)64 << 20;
    char *much = malloc(size);
    memset(much, 'x', size);
    ouro_write_atomic_options opts = {.no_sync = 1};
    unsigned cancelled = 0;
    for (unsigned i = 0; i < 12; i++) {
        make_text("file", "old");
        ouro_future *f = ouro_file_write_atomic("file", much, size, &opts);
        int64_t n = ouro_await(ouro_timeout(f, OURO_MS(i)));
        struct stat st;
        check_eq(stat("file", &st), 0);
        check(n == -ETIMEDOUT || n == (int64_t)size);
        check_eq(st.st_size, n < 0 ? 3 : n);
        check_eq(count_names(), 1);
        cancelled += n < 0;
    }
    check(cancelled > 0);
    free(much);
    return 0;
}

FolderTest(whole, readers_see_the_old_or_the_new_and_never_a_part)
{
    char a[5000], b[9000];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    ouro_write_atomic_options opts = {.no_sync = 1};
    check_eq(ouro_await(ouro_file_write_atomic("file", a, sizeof a, &opts)), sizeof a);
    for (int i = 0; i < 100; i++) {
        ouro_future *f = ouro_file_write_atomic("file", i % 2 ? a : b, i % 2 ? sizeof a : sizeof b,
                                                &opts);
        while (ouro_future_state(f) == OURO_PENDING) {
            int64_t n;
            char *bytes = read_all("file", &n);
            check(n == sizeof a || n == sizeof b);
            check_eq(memcmp(bytes, n == sizeof a ? a : b, (size_t)n), 0);
            ouro_file_bytes_free(bytes);
            check_eq(ouro_yield(), 0);
        }
        check(ouro_await(f) > 0);
    }
    return 0;
}
