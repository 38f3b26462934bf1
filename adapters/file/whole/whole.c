/* SPDX-License-Identifier: MIT */
/*
 * Whole files, read and replaced.
 *
 * Happy path of a read: the file is opened and read on the loop's thread, if that needs no waiting:
 * what is in the kernel's caches already, path and content, is had by openat2(2) with
 * RESOLVE_CACHED and preadv2(2) with RWF_NOWAIT, in a quarter of the time that it takes to wake
 * another thread. What is not there, or is big, is left to a job of the disk lane as it stands,
 * descriptor, bytes and all.
 *
 * Everything is opened with O_NONBLOCK, so that a pipe without a writer is waited for where the job
 * can be told to stop, and not inside open(2).
 *
 * Happy path of a write: one job, by way of a fresh file (fresh.c). How both fail: with the errno
 * of the step and words that name the file. The record of an operation is the job's, and freed when
 * that has ended.
 */
#include "disk.h"
#include "fresh.h"
#include "loop_int.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <ouro/task.h>
#include <ouro/whole.h>

#define AT_ONCE  ((size_t)64 << 10) /* read on the loop's thread: some microseconds */
#define PAGE     ((size_t)4 << 10)  /* the smallest there is */
#define UNSIZED  PAGE               /* first guess for what does not tell its size */
#define PATIENCE 50                 /* milliseconds between looks whether to go on waiting */
#define HOW      (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

/* ---- Reading --------------------------------------------------------------------------------- */

struct reading {
    const char *path;
    size_t limit;
    int fd; /* -1: not open (any more) */
    struct stat st;
    char *bytes;
    size_t size;     /* bytes that are there */
    size_t capacity; /* one less, for the zero behind them */
};

static void reading_free(void *arg)
{
    struct reading *r = arg;
    ouro__disk_close(&r->fd);
    ouro__release(r->bytes);
    ouro__release(r);
}

void ouro_file_bytes_free(void *bytes)
{
    ouro__release(bytes);
}

static bool reserve(struct reading *r, size_t capacity)
{
    char *bytes = ouro__resize(r->bytes, capacity + 1);
    if (!bytes)
        return false;
    r->bytes = bytes;
    r->capacity = capacity;
    return true;
}

/* What @st says about whether it can be read as a whole. */
static int check_file(struct reading *r)
{
    if (fstat(r->fd, &r->st) < 0)
        return -errno;
    if (S_ISDIR(r->st.st_mode))
        return -EISDIR;
    bool sized = S_ISREG(r->st.st_mode) && r->st.st_size > 0;
    return sized && (uint64_t)r->st.st_size > r->limit ? -EFBIG : 0;
}

static int64_t reading_failed(const struct reading *r, int rc)
{
    if (rc == -EFBIG)
        return ouro_task_fail(rc, "%s has more than %zu bytes", r->path, r->limit);
    return ouro_task_fail(rc, "cannot read %s", r->path);
}

/* ---- In a job -------------------------------------------------------------------------------- */

static int open_file(struct reading *r)
{
    r->fd = open(r->path, HOW);
    if (r->fd < 0 && errno == EWOULDBLOCK)
        r->fd = open(r->path, HOW & ~O_NONBLOCK); /* somebody has a lease of it, to be given up */
    return r->fd < 0 ? -errno : 0;
}

/* Wait until there is something to read, or nothing will ever be. */
static int wait_patiently(const struct reading *r)
{
    struct pollfd wanted = {.fd = r->fd, .events = POLLIN};
    while (!ouro_job_cancelled()) {
        int n = poll(&wanted, 1, PATIENCE);
        if (n != 0)
            return n < 0 && errno != EINTR ? -errno : 0;
    }
    return -ECANCELED;
}

/* There may be more than its size said. */
static int make_room(struct reading *r)
{
    if (r->size < r->capacity)
        return 0;
    if (r->size > r->limit)
        return -EFBIG;
    return reserve(r, r->capacity * 2) ? 0 : -ENOMEM;
}

/* 1: there may be more. 0: that was all. */
static int read_more(struct reading *r)
{
    int rc = make_room(r);
    if (rc < 0)
        return rc;
    size_t room = r->capacity - r->size;
    ssize_t n = read(r->fd, r->bytes + r->size, room < OURO__SLICE ? room : OURO__SLICE);
    if (n < 0 && errno == EAGAIN) {
        rc = wait_patiently(r);
        return rc < 0 ? rc : 1;
    }
    if (n < 0)
        return errno == EINTR ? 1 : -errno;
    r->size += (size_t)n;
    if (r->size > r->limit)
        return -EFBIG;
    return n > 0;
}

static int read_to_the_end(struct reading *r)
{
    /* One more than its size, so that the read that brings the rest sees the end too. */
    size_t guess = r->st.st_size > 0 ? (size_t)r->st.st_size + 1 : UNSIZED;
    if (r->capacity < guess && !reserve(r, guess))
        return -ENOMEM;
    /* Nobody may have opened a named pipe for writing yet, which reads like its end. */
    int rc = S_ISFIFO(r->st.st_mode) ? wait_patiently(r) : 0;
    if (rc == 0 && r->size && lseek(r->fd, (off_t)r->size, SEEK_SET) < 0)
        rc = -errno;
    if (rc < 0)
        return rc;
    do
        rc = ouro_job_cancelled() ? -ECANCELED : read_more(r);
    while (rc > 0);
    return rc;
}

static int64_t read_in_job(void *arg)
{
    struct reading *r = arg;
    int rc = r->fd < 0 ? open_file(r) : 0;
    if (rc == 0)
        rc = check_file(r);
    if (rc == 0)
        rc = read_to_the_end(r);
    if (rc < 0)
        return reading_failed(r, rc);
    r->bytes[r->size] = '\0';
    ouro_task_return(r->bytes, ouro_file_bytes_free);
    r->bytes = NULL;
    return (int64_t)r->size;
}

/* ---- At once --------------------------------------------------------------------------------- */

/* 1: it is to be left to a job. Without RESOLVE_CACHED (Linux 5.12), always. */
static int open_cached(struct reading *r)
{
    struct open_how how = {.flags = HOW, .resolve = RESOLVE_CACHED};
    r->fd = (int)syscall(SYS_openat2, AT_FDCWD, r->path, &how, sizeof(how));
    if (r->fd >= 0)
        return 0;
    return errno == EAGAIN || errno == EINVAL || errno == ENOSYS || errno == EPERM ? 1 : -errno;
}

/* More than one page: its size says how much. */
static int read_rest(struct reading *r)
{
    int rc = check_file(r);
    size_t size = (size_t)r->st.st_size;
    if (rc < 0 || !S_ISREG(r->st.st_mode) || size < r->size || size > AT_ONCE)
        return rc < 0 ? rc : 1;
    if (!reserve(r, size + 1))
        return -ENOMEM;
    struct iovec room = {.iov_base = r->bytes + r->size, .iov_len = r->capacity - r->size};
    ssize_t n = preadv2(r->fd, &room, 1, (off_t)r->size, RWF_NOWAIT);
    if (n > 0)
        r->size += (size_t)n;
    return r->size == size && n >= 0 ? 0 : 1;
}

/* 0: all of it has been read. 1: not all that is there is in memory. What is not in memory is
 * missing by pages, so within the first page the end of what was read is that of the file, and
 * nobody need ask for its size. */
static int read_cached(struct reading *r)
{
    char page[PAGE];
    struct iovec room = {.iov_base = page, .iov_len = sizeof(page)};
    ssize_t n = preadv2(r->fd, &room, 1, 0, RWF_NOWAIT);
    if (n < 0)
        return 1;
    if ((size_t)n > r->limit)
        return -EFBIG;
    if (!reserve(r, (size_t)n))
        return -ENOMEM;
    memcpy(r->bytes, page, (size_t)n);
    r->size = (size_t)n;
    return r->size < sizeof(page) ? 0 : read_rest(r);
}

static int read_at_once(struct reading *r)
{
    int rc = open_cached(r);
    return rc == 0 ? read_cached(r) : rc;
}

static ouro_future *ready_bytes(ouro_loop *loop, struct reading *r)
{
    static const struct ouro__kind bytes_kind = {.name = "bytes", .size = sizeof(ouro_future)};
    ouro_future *f = ouro__future_new(loop, &bytes_kind);
    if (!f)
        return ouro__failed(-ENOMEM);
    r->bytes[r->size] = '\0';
    f->result.ptr = r->bytes;
    f->ptr_free = ouro_file_bytes_free;
    r->bytes = NULL;
    ouro__settle(f, OURO_VALUE, (int64_t)r->size);
    return f;
}

static ouro_future *failed_now(ouro_loop *loop, const struct reading *r, int rc)
{
    if (rc == -EFBIG)
        return ouro__failed_with(loop, rc, "%s has more than %zu bytes", r->path, r->limit);
    return ouro__failed_with(loop, rc, "cannot read %s", r->path);
}

ouro_future *ouro_file_read_all(const char *path, const ouro_read_all_options *opts)
{
    ouro_loop *loop;
    int rc = path ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    size_t limit = opts && opts->limit ? opts->limit : SIZE_MAX;
    struct reading now = {.path = path, .limit = limit, .fd = -1};
    rc = read_at_once(&now);
    if (rc > 0) {
        struct reading *later = ouro__alloc(sizeof(*later));
        if (later) {
            *later = now;
            return ouro__on_disk(read_in_job, later, reading_free, "read of a file");
        }
        rc = -ENOMEM;
    }
    ouro_future *f = rc == 0 ? ready_bytes(loop, &now) : failed_now(loop, &now, rc);
    ouro__disk_close(&now.fd);
    ouro__release(now.bytes);
    return f;
}

/* ---- Replacing ------------------------------------------------------------------------------- */

struct writing {
    const char *path;
    const void *data;
    size_t size;
    ouro_write_atomic_options opts;
    struct ouro__place place;
    struct ouro__fresh file;
    bool keeps_mode; /* of what it replaces */
    mode_t mode;
};

/* Look at what has its name. */
static int look_at_target(struct writing *w)
{
    struct stat st;
    if (fstatat(w->place.folder, w->place.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (w->opts.exclusive)
        return -EEXIST;
    w->keeps_mode = S_ISREG(st.st_mode);
    w->mode = st.st_mode & 07777;
    return 0;
}

/* The owner comes first: a change of it takes set-id bits away. */
static int set_attributes(const struct writing *w)
{
    if (w->opts.set_owner && fchown(w->file.fd, w->opts.uid, w->opts.gid) < 0)
        return -errno;
    if (w->opts.mode)
        return fchmod(w->file.fd, w->opts.mode) < 0 ? -errno : 0;
    return w->keeps_mode && fchmod(w->file.fd, w->mode) < 0 ? -errno : 0;
}

static int fill(struct writing *w)
{
    /* Until it is what it shall be, it is for nobody else. */
    bool exact = w->opts.mode || w->keeps_mode;
    int rc = ouro__fresh_open(&w->file, w->place.folder, exact ? 0600 : 0666);
    if (rc == 0)
        rc = ouro__write_all(w->file.fd, w->data, w->size);
    if (rc == 0)
        rc = set_attributes(w);
    if (rc == 0 && !w->opts.no_sync && fsync(w->file.fd) < 0)
        rc = -errno;
    return rc == 0 && ouro_job_cancelled() ? -ECANCELED : rc;
}

static int replace(struct writing *w)
{
    int rc = look_at_target(w);
    if (rc == 0)
        rc = fill(w);
    if (rc == 0)
        rc = ouro__fresh_keep(&w->file, &w->place, w->opts.exclusive);
    if (rc == 0 && !w->opts.no_sync)
        rc = ouro__sync_folder(w->place.folder, w->file.fd);
    ouro__fresh_drop(&w->file);
    return rc;
}

static int64_t write_in_job(void *arg)
{
    struct writing *w = arg;
    int rc = ouro__place_open(&w->place, w->path);
    if (rc == 0) {
        rc = replace(w);
        ouro__place_close(&w->place);
    }
    return rc < 0 ? ouro_task_fail(rc, "cannot write %s", w->path) : (int64_t)w->size;
}

ouro_future *ouro_file_write_atomic(const char *path, const void *data, size_t size,
                                    const ouro_write_atomic_options *opts)
{
    bool valid = path && (data || size == 0) && size <= INT64_MAX &&
                 (!opts || !(opts->mode & ~07777u));
    if (!valid)
        return ouro__failed(-EINVAL);
    struct writing *w = ouro__alloc(sizeof(*w));
    if (!w)
        return ouro__failed(-ENOMEM);
    *w = (struct writing){.path = path, .data = data, .size = size, .file.fd = -1};
    if (opts)
        w->opts = *opts;
    return ouro__on_disk(write_in_job, w, ouro__release, "write of a file");
}
