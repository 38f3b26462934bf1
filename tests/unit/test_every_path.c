/* SPDX-License-Identifier: MIT */
/*
 * Every call that is given a path, and every path that is no good: nobody there, something else
 * there, no way there, too long, round in circles, not allowed; and every call that makes
 * something, where nothing can be made: no descriptor, no room on the disk. Each says so with its
 * code, the paths that others have are still there, and nothing is left open.
 */
#define _GNU_SOURCE
#include "file_test.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>

TestSuite(every_path, .timeout = 60);

/* ---- The table ------------------------------------------------------------------------------- */

static char text[PATH_MAX];
static ouro_stat st;

static int64_t came_to(ouro_future *f)
{
    int64_t n = ouro_await(f);
    return n > 0 ? 0 : n;
}

static int64_t watch(const char *path)
{
    ouro_notify *n;
    check_eq(ouro_notify_open(NULL, &n), 0);
    int64_t rc = came_to(ouro_notify_add(n, path, IN_MODIFY));
    ouro_notify_free(n);
    return rc;
}

static int64_t temp_in(const char *path)
{
    return came_to(ouro_temp_open(&(ouro_temp_options){.in = path}));
}

static int64_t keep_at(const char *path)
{
    int64_t rc;
    ouro_temp *t = ouro_await_ptr(ouro_temp_open(&(ouro_temp_options){.in = "."}), &rc);
    check_eq(rc, 0);
    rc = came_to(ouro_temp_keep(t, path, NULL));
    ouro_temp_free(t);
    return rc;
}

enum {
    LOOKS = 1,    /* fails where nobody is */
    MAKES = 2,    /* makes what is not there */
    NO_FOLLOW = 4 /* of a link, the link itself */
};

struct call {
    const char *name;
    int64_t (*make)(const char *path);
    int what;
};

/* clang-format off */
#define CALLS(X) \
    X(file_open, came_to(ouro_file_open(path, O_RDONLY, NULL)), LOOKS) \
    X(file_open_to_write, came_to(ouro_file_open(path, O_WRONLY | O_CREAT, NULL)), MAKES) \
    X(file_read_all, came_to(ouro_file_read_all(path, NULL)), LOOKS) \
    X(file_write_atomic, came_to(ouro_file_write_atomic(path, "x", 1, NULL)), MAKES | NO_FOLLOW) \
    X(file_copy_from, came_to(ouro_file_copy(path, "copy", NULL)), LOOKS) \
    X(file_copy_to, came_to(ouro_file_copy("source", path, NULL)), MAKES | NO_FOLLOW) \
    X(path_stat, came_to(ouro_path_stat(path, &st, NULL)), LOOKS) \
    X(path_access, came_to(ouro_path_access(path, R_OK, NULL)), LOOKS) \
    X(path_rename_from, came_to(ouro_path_rename(path, "renamed", NULL)), LOOKS | NO_FOLLOW) \
    X(path_rename_to, came_to(ouro_path_rename("spare", path, NULL)), MAKES | NO_FOLLOW) \
    X(path_unlink, came_to(ouro_path_unlink(path, NULL)), LOOKS | NO_FOLLOW) \
    X(path_rmdir, came_to(ouro_path_rmdir(path, NULL)), LOOKS | NO_FOLLOW) \
    X(path_mkdir, came_to(ouro_path_mkdir(path, 0777, NULL)), MAKES | NO_FOLLOW) \
    X(path_link_from, came_to(ouro_path_link(path, "linked", NULL)), LOOKS | NO_FOLLOW) \
    X(path_link_to, came_to(ouro_path_link("source", path, NULL)), MAKES | NO_FOLLOW) \
    X(path_symlink, came_to(ouro_path_symlink("x", path, NULL)), MAKES | NO_FOLLOW) \
    X(path_readlink, came_to(ouro_path_readlink(path, text, sizeof(text), NULL)), LOOKS | NO_FOLLOW) \
    X(path_truncate, came_to(ouro_path_truncate(path, 0, NULL)), LOOKS) \
    X(dir_open, came_to(ouro_dir_open(path, NULL)), LOOKS) \
    X(walk_open, came_to(ouro_walk_open(path, NULL)), LOOKS) \
    X(tree_remove, came_to(ouro_tree_remove(path)), LOOKS | NO_FOLLOW) \
    X(notify_add, watch(path), LOOKS) \
    X(temp_open, temp_in(path), LOOKS) \
    X(temp_keep, keep_at(path), MAKES | NO_FOLLOW)
/* clang-format on */

#define FUNCTION(name, call, what)               \
    static int64_t call_##name(const char *path) \
    {                                            \
        return call;                             \
    }
CALLS(FUNCTION)

#define ROW(name, call, what) {"ouro_" #name "()", call_##name, what},
static const struct call calls[] = {CALLS(ROW)};

enum { CALL_COUNT = sizeof(calls) / sizeof(*calls) };

static void each_of(int what, const char *path, int64_t want)
{
    for (int i = 0; i < CALL_COUNT; i++)
        if ((calls[i].what & what) == what)
            harness_check_eq(calls[i].make(path), want, __FILE__, __LINE__, calls[i].name, path);
}

static void each(const char *path, int64_t want)
{
    each_of(0, path, want);
}

static void touch(const char *path)
{
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
}

/* ---- Paths that are no good ------------------------------------------------------------------ */

FileTest(every_path, that_leads_nowhere_is_enoent)
{
    touch("source");
    touch("spare");
    each_of(LOOKS, "nobody", -ENOENT);
    each("no/body", -ENOENT);
    each_of(LOOKS, "", -ENOENT);
    check_eq(access("source", F_OK), 0);
    check_eq(access("spare", F_OK), 0);
    return 0;
}

FileTest(every_path, through_a_file_is_enotdir)
{
    touch("source");
    touch("spare");
    each("source/file", -ENOTDIR);
    return 0;
}

FileTest(every_path, that_is_too_long_is_enametoolong)
{
    static char name[300], path[PATH_MAX + 100];
    touch("source");
    touch("spare");
    memset(name, 'n', 256); /* NAME_MAX is 255 */
    each(name, -ENAMETOOLONG);
    for (size_t i = 0; i < sizeof(path) - 1; i += 2)
        memcpy(path + i, "./", 2);
    path[sizeof(path) - 2] = 'n';
    path[sizeof(path) - 1] = '\0';
    each(path, -ENAMETOOLONG);
    path[PATH_MAX] = '\0'; /* one byte too many, its zero counts */
    path[PATH_MAX - 1] = 'n';
    each_of(LOOKS, path, -ENAMETOOLONG);
    path[PATH_MAX - 1] = '\0';
    check_eq(call_path_stat(path), 0);
    return 0;
}

FileTest(every_path, in_a_circle_is_eloop)
{
    touch("source");
    touch("spare");
    check_eq(symlink("circle", "circle"), 0);
    for (int i = 0; i < CALL_COUNT; i++)
        if (!(calls[i].what & NO_FOLLOW))
            harness_check_eq(calls[i].make("circle"), -ELOOP, __FILE__, __LINE__, calls[i].name,
                             "-ELOOP");
    each("circle/file", -ELOOP);
    return 0;
}

FileTest(every_path, to_a_folder_where_a_file_is_meant_is_eisdir_or_eexist)
{
    ouro_stream *a, *b;
    touch("source");
    touch("spare");
    check_eq(mkdir("folder", 0777), 0);
    check_eq(call_file_open_to_write("folder"), -EISDIR);
    check_eq(call_file_read_all("folder"), -EISDIR);
    check_eq(call_file_write_atomic("folder"), -EISDIR);
    check_eq(call_file_copy_from("folder"), -EISDIR);
    check_eq(call_file_copy_to("folder"), -EISDIR);
    check_eq(call_path_rename_to("folder"), -EISDIR);
    check_eq(call_path_unlink("folder"), -EISDIR);
    check_eq(call_path_truncate("folder"), -EISDIR);
    check_eq(call_temp_keep("folder"), -EISDIR);
    check_eq(call_path_link_from("folder"), -EPERM);
    check_eq(call_path_link_to("folder"), -EEXIST);
    check_eq(call_path_symlink("folder"), -EEXIST);
    check_eq(call_path_mkdir("folder"), -EEXIST);

    ouro_file *f = open_file("folder", O_RDONLY | O_DIRECTORY); /* which may be opened to read */
    check_eq(ouro_await(ouro_file_read(f, text, 1, 0)), -EISDIR);
    check_eq(ouro_await(ouro_file_write(f, text, 1, 0)), -EBADF);
    check_eq(ouro_await(ouro_file_append(f, text, 1)), -EBADF);
    check_eq(ouro_await(ouro_file_truncate(f, 0)), -EINVAL);
    check_eq(ouro_socketpair(NULL, &a, &b), 0);
    check_eq(ouro_await(ouro_stream_send_file(a, ouro_file_fd(f), 0, 1)), -EISDIR);
    check_eq(ouro_stream_new(ouro_file_fd(f), NULL, &a), -EOPNOTSUPP);
    ouro_stream_free(a);
    ouro_stream_free(b);
    close_file(f);
    return 0;
}

FileTest(every_path, to_a_file_where_a_folder_is_meant_is_enotdir)
{
    touch("source");
    check_eq(call_dir_open("source"), -ENOTDIR);
    check_eq(call_walk_open("source"), -ENOTDIR);
    check_eq(call_path_rmdir("source"), -ENOTDIR);
    check_eq(call_temp_open("source"), -ENOTDIR);
    check_eq(call_path_readlink("source"), -EINVAL);
    return 0;
}

/* ---- Not allowed ----------------------------------------------------------------------------- */

static int64_t knock_everywhere(void *unused)
{
    (void)unused;
    each("locked/file", -EACCES);
    return 0;
}

static int as_nobody(void)
{
    child_check(setresgid(65534, 65534, 65534) == 0);
    child_check(setresuid(65534, 65534, 65534) == 0);
    touch("source");
    touch("spare");
    begin_kernel();
    int64_t rc = run_main(knock_everywhere, NULL);
    end();
    return rc == 0 ? 0 : 1;
}

Test(every_path, through_a_folder_that_may_not_be_entered_is_eacces)
{
    char said[2048];
    if (geteuid() != 0)
        cr_skip_test("only root can become somebody who is not allowed to do something");
    go_to_folder("/var/tmp");
    check_eq(chmod(".", 0777), 0);
    check_eq(mkdir("locked", 0700), 0);
    check_child(as_nobody, said, sizeof(said));
    leave_folder();
}

/* ---- Nothing to be had ----------------------------------------------------------------------- */

static struct rlimit allowed;

static void allow_no_descriptors(void)
{
    check_eq(getrlimit(RLIMIT_NOFILE, &allowed), 0);
    check_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, allowed.rlim_max}), 0);
}

static void allow_descriptors(void)
{
    check_eq(setrlimit(RLIMIT_NOFILE, &allowed), 0);
}

FileTest(every_path, without_a_descriptor_is_emfile)
{
    static const char *const need_one[] = {
        "file_open()",         "file_open_to_write()", "file_read_all()",
        "file_write_atomic()", "file_copy_from()",     "file_copy_to()",
        "dir_open()",          "walk_open()",          "temp_open()",
    };
    touch("source");
    touch("spare");
    check_eq(ouro_await(ouro_path_access(".", F_OK, NULL)), 0); /* whatever is opened once is */
    allow_no_descriptors();
    for (int i = 0; i < CALL_COUNT; i++)
        for (size_t k = 0; k < sizeof(need_one) / sizeof(*need_one); k++)
            if (strstr(calls[i].name, need_one[k]))
                harness_check_eq(calls[i].make(strstr(need_one[k], "dir") ||
                                                       strstr(need_one[k], "walk") ||
                                                       strstr(need_one[k], "temp")
                                                   ? "."
                                                   : "source"),
                                 -EMFILE, __FILE__, __LINE__, calls[i].name, "-EMFILE");
    allow_descriptors();
    check_eq(call_file_open("source"), 0);
    check_eq(call_dir_open("."), 0);
    return 0;
}

FileTest(every_path, or_address_without_a_descriptor_is_emfile_too)
{
    ouro_stream *a, *b;
    ouro_listener *l;
    ouro_datagram *d;
    ouro_notify *n;
    ouro_address door;
    check_eq(ouro_address_of_unix("@ouro-every-path", &door), 0);
    ouro_listener *there;
    check_eq(ouro_listen("127.0.0.1:0", NULL, &there), 0);
    ouro_address address;
    check_eq(ouro_listener_address(there, &address), 0);
    allow_no_descriptors();
    check_eq(ouro_pipe(NULL, &a, &b), -EMFILE);
    check_eq(ouro_socketpair(NULL, &a, &b), -EMFILE);
    check_eq(ouro_stdin(NULL, &a), -EMFILE);
    check_eq(ouro_stdout(NULL, &a), -EMFILE);
    check_eq(ouro_stderr(NULL, &a), -EMFILE);
    check_eq(ouro_listen("127.0.0.1:0", NULL, &l), -EMFILE);
    check_eq(ouro_listener_open(&door, NULL, &l), -EMFILE);
    check_eq(ouro_udp_open("127.0.0.1:0", NULL, NULL, &d), -EMFILE);
    check_eq(ouro_datagram_open(&door, NULL, NULL, &d), -EMFILE);
    check_eq(ouro_seqpacket_listen(&door, 0, NULL, &d), -EMFILE);
    check_eq(ouro_await(ouro_seqpacket_connect(&door, NULL)), -EMFILE);
    check_eq(ouro_await(ouro_connect("127.0.0.1:1", NULL)), -EMFILE);
    check_eq(ouro_await(ouro_connect_to(&address, 1, NULL)), -EMFILE);
    check_eq(ouro_await(ouro_stream_connect("unix:@nobody", NULL)), -EMFILE);
    check_eq(ouro_notify_open(NULL, &n), -EMFILE);
    allow_descriptors();
    int64_t fd = ouro_await(ouro_connect_to(&address, 1, NULL));
    check(fd >= 0);
    close((int)fd);
    ouro_listener_free(there);
    return 0;
}

/* A file system of so much, which is full but for some names. */
static const char *mount_full(void)
{
    static char page[4096];
    if (unshare(CLONE_NEWNS) < 0)
        return "no mount name space of our own (needs root)";
    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
    if (mkdir("full", 0700) < 0 || mount("none", "full", "tmpfs", 0, "size=64k,nr_inodes=8") < 0)
        return "no tmpfs of our own (needs root)";
    int fd = open("full/ballast", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    while (write(fd, page, sizeof(page)) > 0)
        ;
    close(fd);
    return NULL;
}

static int64_t make_where_there_is_no_room(void *unused)
{
    (void)unused;
    ouro_file *f = open_file("full/file", O_RDWR | O_CREAT);
    struct iovec iov = {text, 100};
    check_eq(ouro_await(ouro_file_write(f, text, 100, 0)), -ENOSPC);
    check_eq(ouro_await(ouro_file_writev(f, &iov, 1, 0)), -ENOSPC);
    check_eq(ouro_await(ouro_file_append(f, text, 100)), -ENOSPC);
    check_eq(ouro_await(ouro_file_allocate(f, 0, 0, 100)), -ENOSPC);
    check_eq(ouro_await(ouro_file_truncate(f, 100)), 0); /* a hole takes none */
    check_eq(ouro_await(ouro_file_truncate(f, 0)), 0);
    close_file(f);
    check_eq(call_file_write_atomic("full/file"), -ENOSPC);
    check_contents("full/file", "");
    check_eq(ouro_await(ouro_file_copy("source", "full/file", NULL)), -ENOSPC);
    check_contents("full/file", "");

    char name[32]; /* now the names run out, too */
    for (int i = 0; i < 8; i++) {
        snprintf(name, sizeof(name), "full/%d", i);
        touch(name);
    }
    check_eq(call_file_open_to_write("full/new"), -ENOSPC);
    check_eq(call_path_mkdir("full/new"), -ENOSPC);
    check_eq(call_path_symlink("full/new"), -ENOSPC);
    check_eq(call_temp_open("full"), -ENOSPC);
    check_eq(call_file_write_atomic("full/new"), -ENOSPC);
    return 0;
}

Test(every_path, on_a_full_disk_is_enospc)
{
    go_to_folder("/var/tmp");
    const char *why = mount_full();
    if (why)
        cr_skip_test("%s", why);
    touch("source");
    check_eq(truncate("source", 1 << 20), 0);
    int fd = open("source", O_WRONLY | O_CLOEXEC);
    check_eq(pwrite(fd, text, sizeof(text), 0), sizeof(text));
    close(fd);
    begin_kernel();
    check_eq(run_main(make_where_there_is_no_room, NULL), 0);
    end();
    umount("full");
    leave_folder();
}
