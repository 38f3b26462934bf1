/* SPDX-License-Identifier: MIT */
/*
 * Whole files, read.
 *
 * Happy path: the file is opened and read on the loop's thread, if that needs no waiting: what is
 * in the kernel's caches already, path and content, is had by openat2(2) with RESOLVE_CACHED and
 * preadv2(2) with RWF_NOWAIT, in a quarter of the time that it takes to wake another thread. Of a
 * small file that is open by then, the ring reads what is missing. What cannot be opened so, is big,
 * or is no regular file, is left to a job of the disk lane as it stands, descriptor, bytes and all.
 *
 * Everything is opened with O_NONBLOCK, so that a pipe without a writer is waited for where the job
 * can be told to stop, and not inside open(2).
 *
 * How it fails: with the errno of the step and words that name the file. What the job works on is
 * its own, and freed when that has ended.
 */
#include "disk.h"
#include "file_int.h"

#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <ouro/task.h>
#include <ouro/whole.h>

#define SMALL    ((size_t)64 << 10) /* read on the loop's thread, some microseconds, or by the ring */
#define PAGE     ((size_t)4 << 10) /* the smallest there is */
#define UNSIZED  PAGE              /* first guess for what does not tell its size */
#define PATIENCE 50                /* milliseconds between looks whether to go on waiting */
#define HOW      (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

/* ---- Reading --------------------------------------------------------------------------------- */

struct reading {
    const char *path;
    size_t limit;
    int fd;        /* -1: not open (any more) */
    mode_t mode;   /* its type */
    uint64_t told; /* its size, as it says */
    char *bytes;
    size_t size;     /* bytes that are there */
    size_t capacity; /* one less, for the zero behind them */
};

static void drop(struct reading *r)
{
    ouro__disk_close(&r->fd);
    ouro__release(r->bytes);
}

static void reading_free(void *arg)
{
    drop(arg);
    ouro__release(arg);
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

/* Whether it can be read as a whole. @flags: whether its server is asked. */
static int check_file(struct reading *r, int flags)
{
    struct statx st;
    if (statx(r->fd, "", AT_EMPTY_PATH | flags, STATX_TYPE | STATX_SIZE, &st) < 0)
        return -errno;
    if (S_ISDIR(st.stx_mode))
        return -EISDIR;
    r->mode = st.stx_mode;
    r->told = S_ISREG(st.stx_mode) ? st.stx_size : 0;
    return r->told > r->limit ? -EFBIG : 0;
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

/* So much is there now. */
static int grown(struct reading *r, size_t n)
{
    r->size += n;
    return r->size > r->limit ? -EFBIG : 0;
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

/* 1: there may be more. 0: that was all. */
static int read_more(struct reading *r)
{
    int rc = make_room(r);
    if (rc < 0)
        return rc;
    size_t room = r->capacity - r->size;
    ssize_t n = read(r->fd, r->bytes + r->size, room < OURO__JOB_SLICE ? room : OURO__JOB_SLICE);
    if (n < 0 && errno == EAGAIN) {
        rc = wait_patiently(r);
        return rc < 0 ? rc : 1;
    }
    if (n < 0)
        return errno == EINTR ? 1 : -errno;
    rc = grown(r, (size_t)n);
    return rc < 0 ? rc : n > 0;
}

static int read_to_the_end(struct reading *r)
{
    /* One more than its size, so that the read that brings the rest sees the end too. */
    size_t guess = r->told ? r->told + 1 : UNSIZED;
    if (r->capacity < guess && !reserve(r, guess))
        return -ENOMEM;
    /* Nobody may have opened a named pipe for writing yet, which reads like its end. */
    int rc = S_ISFIFO(r->mode) ? wait_patiently(r) : 0;
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
        rc = check_file(r, 0);
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

/* 0: it is open, a small regular file, and there is room for all of it. */
static int prepare_small(struct reading *r)
{
    int rc = check_file(r, AT_STATX_DONT_SYNC);
    if (rc < 0 || !r->told || r->told < r->size || r->told > SMALL)
        return rc < 0 ? rc : 1;
    return reserve(r, r->told + 1) ? 0 : -ENOMEM;
}

/* A read that does not wait. -1: there is no such. */
static ssize_t read_without_waiting(const struct reading *r, char *to, size_t size)
{
    struct iovec room = {.iov_base = to, .iov_len = size};
    ssize_t n = preadv2(r->fd, &room, 1, (off_t)r->size, RWF_NOWAIT);
    if (n < 0 && errno == EOPNOTSUPP && ouro__is_in_memory(ouro_loop_current(), r->fd))
        n = pread(r->fd, to, size, (off_t)r->size);
    return n;
}

/* More than one page: its size says how much. */
static int read_rest(struct reading *r)
{
    int rc = prepare_small(r);
    if (rc != 0)
        return rc;
    ssize_t n = read_without_waiting(r, r->bytes + r->size, r->capacity - r->size);
    if (n > 0)
        r->size += (size_t)n;
    return r->size == r->told && n >= 0 ? 0 : 1;
}

/* 0: all of it has been read. 1: not all that is there is in memory. What is not in memory is
 * missing by pages, so within the first page the end of what was read is that of the file, and
 * nobody need ask for its size. */
static int read_cached(struct reading *r)
{
    char page[PAGE];
    ssize_t n = read_without_waiting(r, page, sizeof(page));
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

/* The result, of @f. */
static int64_t give(ouro_future *f, struct reading *r)
{
    r->bytes[r->size] = '\0';
    f->result.ptr = r->bytes;
    f->ptr_free = ouro_file_bytes_free;
    r->bytes = NULL;
    return (int64_t)r->size;
}

static ouro_future *ready_bytes(ouro_loop *loop, struct reading *r)
{
    static const struct ouro__kind bytes_kind = {.name = "bytes", .size = sizeof(ouro_future)};
    ouro_future *f = ouro__future_new(loop, &bytes_kind);
    if (!f)
        return ouro__failed(-ENOMEM);
    ouro__settle(f, OURO_VALUE, give(f, r));
    return f;
}

static ouro_future *failed_now(ouro_loop *loop, const struct reading *r, int rc)
{
    if (rc == -EFBIG)
        return ouro__failed_with(loop, rc, "%s has more than %zu bytes", r->path, r->limit);
    return ouro__failed_with(loop, rc, "cannot read %s", r->path);
}

/* ---- By the ring ----------------------------------------------------------------------------- */

/* A small file of which something is not in memory. */
struct cold {
    struct ouro__work w;
    struct reading r;
};

static void cold_ended(struct cold *c, int64_t rc)
{
    if (rc == -EFBIG)
        ouro__work_say(&c->w, rc, "%s has more than %zu bytes", c->r.path, c->r.limit);
    else
        ouro__work_say(&c->w, rc, "cannot read %s", c->r.path);
    if (rc == 0)
        rc = give(&c->w.f, &c->r);
    drop(&c->r);
    ouro__work_end(&c->w, rc);
}

/* Have what is missing read. */
static void cold_go_on(struct cold *c)
{
    struct reading *r = &c->r;
    int rc = make_room(r);
    c->w.op.sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_READ,
        .fd = r->fd,
        .off = r->size,
        .addr = (uintptr_t)(r->bytes + r->size),
        .len = (uint32_t)(r->capacity - r->size),
    };
    if (rc == 0)
        rc = ouro__op_start(c->w.f.loop, &c->w.op);
    if (rc < 0)
        cold_ended(c, rc);
    else
        ouro__disk_asked(ouro__files_of(c->w.f.loop));
}

/* Where nothing can be read without waiting, the ring does not wait for such a descriptor. */
static bool may_wait_now(const struct cold *c)
{
    int flags = fcntl(c->r.fd, F_GETFL);
    return (flags & O_NONBLOCK) && fcntl(c->r.fd, F_SETFL, flags & ~O_NONBLOCK) == 0;
}

static void cold_read(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    struct cold *c = OURO__CONTAINER(op, struct cold, w.op);
    bool again = res == -EAGAIN && may_wait_now(c);
    int64_t rc = res < 0 ? res : grown(&c->r, (size_t)res);
    if (rc == 0 && (res == 0 || c->r.size == c->r.told))
        cold_ended(c, 0);
    else if (rc < 0 && !again)
        cold_ended(c, rc);
    else if (c->w.f.flags & OURO__CANCEL_ASKED)
        cold_ended(c, -ECANCELED);
    else
        cold_go_on(c);
}

static void cold_describe(const ouro_future *f, char *text, size_t size)
{
    const struct cold *c = OURO__CONTAINER(f, const struct cold, w.f);
    snprintf(text, size, "read of %s", c->r.path);
}

static const struct ouro__kind cold_kind = {
    .name = "read of a file",
    .size = sizeof(struct cold),
    .cancel = ouro__work_cancel,
    .describe = cold_describe,
};

static_assert(sizeof(struct cold) <= OURO__SLAB_STEP * OURO__SLAB_CLASSES,
              "a read of a small file is not for the slabs any more");

/* ---- In whatever way ------------------------------------------------------------------------- */

/* The rest of what could not be read at once, by the ring or by a job. @r is given away. */
static ouro_future *read_later(ouro_loop *loop, struct reading *r)
{
    if (r->fd >= 0 && prepare_small(r) == 0) {
        struct cold *c = ouro__work_new(loop, &cold_kind, NULL);
        if (!c) {
            drop(r);
            return ouro__failed(-ENOMEM);
        }
        c->w.op.complete = cold_read;
        c->r = *r;
        cold_go_on(c);
        return &c->w.f;
    }
    struct reading *job = ouro__alloc(sizeof(*job));
    if (!job) {
        drop(r);
        return ouro__failed(-ENOMEM);
    }
    *job = *r;
    return ouro__on_disk(read_in_job, job, reading_free, "read of a file");
}

ouro_future *ouro_file_read_all(const char *path, const ouro_read_all_options *opts)
{
    ouro_loop *loop;
    int rc = path ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    size_t limit = opts && opts->limit ? opts->limit : SIZE_MAX;
    struct reading r = {.path = path, .limit = limit, .fd = -1};
    rc = read_at_once(&r);
    if (rc > 0)
        return read_later(loop, &r);
    ouro_future *f = rc == 0 ? ready_bytes(loop, &r) : failed_now(loop, &r, rc);
    drop(&r);
    return f;
}
