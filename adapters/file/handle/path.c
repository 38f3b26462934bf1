/* SPDX-License-Identifier: MIT */
/*
 * What is done by path.
 *
 * Names are made, changed and removed by the ring. A question that the cache of names can answer is
 * answered in the call: the path is walked as far as that goes without waiting (RESOLVE_CACHED),
 * and the file it leads to is asked. If that would wait, and for file systems that may have to ask
 * somebody else, the ring or a thread of the disk lane does it.
 *
 * How it fails: with the kernel's error, and words that name the path.
 */
#include "file_int.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/openat2.h>

static const ouro_path_options defaults;

/* ---- By the ring ----------------------------------------------------------------------------- */

static int fd_of(const ouro_file *at)
{
    return at ? at->fd : AT_FDCWD;
}

/* A request about @path, which starts at @at; NULL, and why not. */
static struct ouro__request *request(const char *verb, const char *path, const ouro_file *at,
                                     int *ret_rc)
{
    ouro_loop *loop;
    ouro_file *folder = NULL;
    *ret_rc = path ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (*ret_rc == 0)
        *ret_rc = ouro__file_at(at, &folder);
    if (*ret_rc < 0)
        return NULL;
    struct ouro__request *r = ouro__request_new(loop, folder);
    *ret_rc = r ? 0 : -ENOMEM;
    if (!r)
        return NULL;
    r->verb = verb;
    r->path = path;
    r->w.op.sqe.fd = fd_of(folder);
    r->w.op.sqe.addr = (uintptr_t)path;
    return r;
}

ouro_future *ouro_path_unlink(const char *path, const ouro_path_options *opts)
{
    int rc;
    struct ouro__request *r = request("remove", path, (opts ? opts : &defaults)->at, &rc);
    if (!r)
        return ouro__failed(rc);
    r->w.op.sqe.opcode = IORING_OP_UNLINKAT;
    return ouro__request_start(r);
}

ouro_future *ouro_path_rmdir(const char *path, const ouro_path_options *opts)
{
    int rc;
    struct ouro__request *r = request("remove", path, (opts ? opts : &defaults)->at, &rc);
    if (!r)
        return ouro__failed(rc);
    r->w.op.sqe.opcode = IORING_OP_UNLINKAT;
    r->w.op.sqe.unlink_flags = AT_REMOVEDIR;
    return ouro__request_start(r);
}

/* A request about two paths. */
static ouro_future *go_both(const char *verb, uint8_t opcode, const char *from, const char *to,
                            const ouro_path_options *opts, unsigned flags)
{
    ouro_file *folder;
    int rc = to ? ouro__file_at(opts->to_at, &folder) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__request *r = request(verb, from, opts->at, &rc);
    if (!r)
        return ouro__failed(rc);
    r->to = to;
    r->also = folder ? ouro__file_pin(folder) : NULL;
    r->w.op.sqe.opcode = opcode;
    r->w.op.sqe.len = (uint32_t)fd_of(folder);
    r->w.op.sqe.off = (uintptr_t)to;
    r->w.op.sqe.rename_flags = flags;
    return ouro__request_start(r);
}

ouro_future *ouro_path_rename(const char *from, const char *to, const ouro_path_options *opts)
{
    if (!opts)
        opts = &defaults;
    return go_both("rename", IORING_OP_RENAMEAT, from, to, opts, opts->flags);
}

ouro_future *ouro_path_link(const char *from, const char *to, const ouro_path_options *opts)
{
    return go_both("link", IORING_OP_LINKAT, from, to, opts ? opts : &defaults, 0);
}

ouro_future *ouro_path_symlink(const char *target, const char *path, const ouro_path_options *opts)
{
    int rc = -EINVAL;
    struct ouro__request *r = target ? request("make the link", path, (opts ? opts : &defaults)->at,
                                               &rc)
                                     : NULL;
    if (!r)
        return ouro__failed(rc);
    r->w.op.sqe.opcode = IORING_OP_SYMLINKAT;
    r->w.op.sqe.addr = (uintptr_t)target;
    r->w.op.sqe.off = (uintptr_t)path;
    return ouro__request_start(r);
}

/* ---- Questions ------------------------------------------------------------------------------- */

/* An error that looking again would not change. */
static bool is_final(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EACCES ||
           error == ENAMETOOLONG;
}

/* A descriptor for the file itself, if the cache leads there; else a negative errno, -EAGAIN when
 * the ring had better look. */
static int look_up(const ouro_file *at, const char *path, int no_follow)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC | (uint64_t)(no_follow ? O_NOFOLLOW : 0),
        .resolve = RESOLVE_CACHED,
    };
    int fd = (int)syscall(SYS_openat2, fd_of(at), path, &how, sizeof(how));
    if (fd >= 0)
        return fd;
    return is_final(errno) ? -errno : -EAGAIN;
}

/* Ask without waiting: what the kernel has in memory, if that is all there is to know. -EAGAIN: it
 * is not. */
static int stat_now(struct ouro__files *files, const ouro_file *at, const char *path, int no_follow,
                    ouro_stat *ret_stat)
{
    if (!ouro__turn_has_time(files))
        return -EAGAIN;
    ouro__turn_spend(files, OURO__CALL_BYTES);
    int fd = look_up(at, path, no_follow);
    if (fd < 0)
        return fd;
    struct statx *st = (struct statx *)(void *)ret_stat;
    int rc = statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, OURO__STAT_MASK, st);
    if (rc < 0 || !ouro__answers_at_once(files, fd, st))
        rc = -EAGAIN;
    close(fd);
    return rc;
}

ouro_future *ouro_path_stat(const char *path, ouro_stat *ret_stat, const ouro_path_options *opts)
{
    if (!opts)
        opts = &defaults;
    int rc = -EINVAL;
    struct ouro__request *r = ret_stat ? request("ask about", path, opts->at, &rc) : NULL;
    if (!r)
        return ouro__failed(rc);
    r->ret_stat = ret_stat;
    struct ouro__files *files = ouro__files_of(r->w.f.loop);
    rc = stat_now(files, opts->at, path, opts->no_follow, ret_stat);
    if (rc != -EAGAIN) {
        ouro__request_end(r, rc);
        return &r->w.f;
    }
    r->w.op.sqe.opcode = IORING_OP_STATX;
    r->w.op.sqe.len = OURO__STAT_MASK;
    r->w.op.sqe.off = (uintptr_t)ret_stat;
    r->w.op.sqe.statx_flags = opts->no_follow ? AT_SYMLINK_NOFOLLOW : 0;
    return ouro__request_start(r);
}

/* ---- In a thread ----------------------------------------------------------------------------- */

/* Glibc 2.36 emulates AT_EACCESS in user space; the kernel knows it since 5.8. */
static int64_t ask_access(struct ouro__chore *c)
{
    int flags = AT_EACCESS | (c->offset ? AT_SYMLINK_NOFOLLOW : 0);
    return syscall(SYS_faccessat2, c->fd, c->path, c->number, flags) < 0 ? -errno : 0;
}

static int64_t read_link(struct ouro__chore *c)
{
    ssize_t n = readlinkat(c->fd, c->path, c->buf, (size_t)c->length);
    if (n < 0)
        return -errno;
    if (n == c->length)
        return -ERANGE;
    c->buf[n] = '\0';
    return n;
}

static int64_t truncate_path(struct ouro__chore *c)
{
    int fd = openat(c->fd, c->path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    int rc = ftruncate(fd, c->length) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static bool is_folder(int at, const char *path)
{
    struct stat st;
    return fstatat(at, path, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static int make_folder(int at, const char *path, mode_t mode)
{
    if (mkdirat(at, path, mode) == 0)
        return 0;
    int rc = -errno;
    return rc == -EEXIST && is_folder(at, path) ? 0 : rc;
}

/* Make the folders above it in turn, the uppermost first, then itself. */
static int64_t make_folders(struct ouro__chore *c)
{
    char path[PATH_MAX];
    size_t size = strlen(c->path) + 1;
    if (size > sizeof(path))
        return -ENAMETOOLONG;
    memcpy(path, c->path, size);
    for (char *p = path + 1; size > 1 && *p; p++) {
        if (*p != '/' || p[-1] == '/' || p[strspn(p, "/")] == '\0')
            continue;
        *p = '\0';
        int rc = make_folder(c->fd, path, 0777);
        *p = '/';
        if (rc < 0)
            return rc;
    }
    return make_folder(c->fd, path, (mode_t)c->number);
}

static ouro_future *in_thread(const ouro_path_options *opts, const struct ouro__chore *what)
{
    ouro_file *folder;
    int rc = what->path ? ouro__file_at(opts->at, &folder) : -EINVAL;
    return rc < 0 ? ouro__failed(rc) : ouro__chore_start(folder, what);
}

ouro_future *ouro_path_mkdir(const char *path, unsigned mode, const ouro_path_options *opts)
{
    if (!opts)
        opts = &defaults;
    if (opts->parents)
        return in_thread(opts, &(struct ouro__chore){.fn = make_folders,
                                                     .verb = "make the folder",
                                                     .path = path,
                                                     .number = (int)mode});
    int rc;
    struct ouro__request *r = request("make the folder", path, opts->at, &rc);
    if (!r)
        return ouro__failed(rc);
    r->w.op.sqe.opcode = IORING_OP_MKDIRAT;
    r->w.op.sqe.len = mode;
    return ouro__request_start(r);
}

ouro_future *ouro_path_access(const char *path, int mode, const ouro_path_options *opts)
{
    if (!opts)
        opts = &defaults;
    return in_thread(opts, &(struct ouro__chore){.fn = ask_access,
                                                 .verb = "use",
                                                 .path = path,
                                                 .number = mode,
                                                 .offset = opts->no_follow});
}

ouro_future *ouro_path_readlink(const char *path, char *buf, size_t size,
                                const ouro_path_options *opts)
{
    if (!buf || size == 0 || size > INT_MAX)
        return ouro__failed(-EINVAL);
    return in_thread(opts ? opts : &defaults, &(struct ouro__chore){.fn = read_link,
                                                                    .verb = "read the link",
                                                                    .path = path,
                                                                    .length = (int64_t)size,
                                                                    .buf = buf});
}

ouro_future *ouro_path_truncate(const char *path, int64_t length, const ouro_path_options *opts)
{
    if (length < 0)
        return ouro__failed(-EINVAL);
    return in_thread(opts ? opts : &defaults,
                     &(struct ouro__chore){
                         .fn = truncate_path, .verb = "truncate", .path = path, .length = length});
}
