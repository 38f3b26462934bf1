/* SPDX-License-Identifier: MIT */
/*
 * Copies of whole files.
 *
 * Happy path: one job of the disk lane. Source and target are looked at, a fresh file (fresh.c) is
 * filled, gets the attributes and takes the target's name. It is filled by the first of these that
 * the file systems can: sharing the blocks (FICLONE), which takes no time; copy_file_range(2), with
 * the blocks of the target allocated in one go before; reading and writing. Measured on ext4, 1 GiB
 * in the cache: allocating first takes a quarter off each way, copy_file_range() another twentieth
 * off reading and writing; a mapping is written at a quarter of the speed; two threads are no
 * faster than one, since a file has one lock for writing. Holes are looked for only in files that
 * have some.
 *
 * All of it goes in slices, between which the job looks whether it is cancelled and posts to the
 * loop how far it is. There is one post, in the record, which is sent again when it has been
 * handled; the loop reads the latest figure then. The record is counted, since a loop that closes
 * under a job may have the post last.
 *
 * How it fails: with the errno of the step and words that name the file that is to blame. The fresh
 * file vanishes; a target that was written in place stays as far as it was written.
 */
#include "disk.h"
#include "fresh.h"
#include "loop_int.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include <ouro/task.h>
#include <ouro/whole.h>

#define REPORT_EVERY OURO_MS(20)
#define BUFFER       ((size_t)256 << 10) /* of reading and writing: more is slower again */
#define SMALL        ((off_t)1 << 20)    /* not worth the call that allocates its blocks */
#define TO_ITS_END   INT64_MAX

struct copy {
    const char *from;
    const char *to;
    ouro_copy_options opts;
    struct stat st; /* of the source, at the beginning */
    int in;
    int out; /* borrowed from file, or the target itself */
    struct ouro__fresh file;
    char *buffer;
    bool by_hand; /* the kernel does not copy between these two */
    bool allocated;
    const char *failed; /* the path that is to blame */

    ouro_loop *loop;
    struct ouro__post post;
    atomic_uint refs; /* the job's and that of a post on its way */
    atomic_bool posted;
    _Atomic uint64_t done;
    ouro_ns reported;
};

/* ---- Progress -------------------------------------------------------------------------------- */

static void copy_unref(void *arg)
{
    struct copy *c = arg;
    if (atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    ouro_loop_unref(c->loop);
    ouro__release(c);
}

static void show_progress(struct ouro__job *job)
{
    struct copy *c = OURO__CONTAINER(job, struct copy, post.job);
    atomic_exchange(&c->posted, false); /* first: what comes from now on is posted again */
    struct ouro__locals *before = ouro__callback_enter(c->loop, (void (*)(void))c->opts.progress,
                                                       NULL);
    c->opts.progress(atomic_load(&c->done), (uint64_t)c->st.st_size, c->opts.arg);
    ouro__callback_leave(c->loop, before);
    copy_unref(c);
}

static void drop_progress(struct ouro__post *post, bool quietly)
{
    (void)quietly;
    copy_unref(OURO__CONTAINER(post, struct copy, post));
}

static ouro_ns clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (ouro_ns)t.tv_sec * 1000000000u + (ouro_ns)t.tv_nsec;
}

static void post_progress(struct copy *c)
{
    if (!c->opts.progress || atomic_exchange(&c->posted, true))
        return;
    atomic_fetch_add(&c->refs, 1);
    if (ouro__post(c->loop, &c->post) < 0)
        copy_unref(c);
}

/* @n bytes more are copied. -ECANCELED: and no more are wanted. */
static int moved(struct copy *c, ssize_t n)
{
    atomic_fetch_add_explicit(&c->done, (uint64_t)n, memory_order_relaxed);
    ouro_ns now = clock_now();
    if (now - c->reported >= REPORT_EVERY) {
        c->reported = now;
        post_progress(c);
    }
    return ouro_job_cancelled() ? -ECANCELED : 0;
}

/* ---- Content --------------------------------------------------------------------------------- */

static int blame(struct copy *c, const char *path, int rc)
{
    c->failed = path;
    return rc;
}

static int write_at(struct copy *c, size_t size, off_t at)
{
    for (size_t written = 0; written < size;) {
        ssize_t n = pwrite(c->out, c->buffer + written, size - written, at + (off_t)written);
        if (n < 0 && errno != EINTR)
            return blame(c, c->to, -errno);
        if (n > 0)
            written += (size_t)n;
    }
    return 0;
}

/* The next bytes by way of a buffer: how many, 0 at the end. */
static ssize_t copy_by_hand(struct copy *c, off_t at, off_t end)
{
    if (!c->buffer)
        c->buffer = ouro__alloc(BUFFER);
    if (!c->buffer)
        return -ENOMEM;
    size_t size = end - at < (off_t)BUFFER ? (size_t)(end - at) : BUFFER;
    ssize_t n;
    do
        n = pread(c->in, c->buffer, size, at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return blame(c, c->from, -errno);
    int rc = write_at(c, (size_t)n, at);
    return rc < 0 ? rc : n;
}

/* The next bytes: how many, 0 at the end. What the kernel cannot copy, or says is empty when its
 * size says otherwise (as files of /proc and /sys do), is copied by hand. */
static ssize_t copy_some(struct copy *c, off_t at, off_t end)
{
    if (c->by_hand)
        return copy_by_hand(c, at, end);
    size_t size = end - at < (off_t)OURO__JOB_SLICE ? (size_t)(end - at) : OURO__JOB_SLICE;
    off_t from = at, to = at;
    ssize_t n = copy_file_range(c->in, &from, c->out, &to, size, 0);
    if (n > 0 || (n == 0 && at > 0))
        return n;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return blame(c, c->to, -errno);
    c->by_hand = true;
    return copy_by_hand(c, at, end);
}

/* Copy from @at to @end, or to where the source ends before; where that is, or an error. */
static off_t copy_range(struct copy *c, off_t at, off_t end)
{
    ssize_t n = 1;
    while (n > 0 && at < end) {
        n = copy_some(c, at, end);
        if (n < 0)
            return n;
        at += n;
        int rc = moved(c, n);
        if (rc < 0)
            return rc;
    }
    return at;
}

/* The pieces between the holes; how long the copy is to be. */
static off_t copy_pieces(struct copy *c)
{
    off_t at = 0;
    for (;;) {
        off_t data = lseek(c->in, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            off_t end = lseek(c->in, 0, SEEK_END); /* a hole is the rest */
            return end < 0 ? blame(c, c->from, -errno) : end;
        }
        off_t hole = data < 0 ? data : lseek(c->in, data, SEEK_HOLE);
        if (data >= 0 && hole < 0 && errno == ENXIO)
            continue; /* it ends before that by now */
        if (hole < 0)
            return blame(c, c->from, -errno);
        at = copy_range(c, data, hole);
        if (at < hole)
            return at; /* an error, or it has become shorter */
    }
}

/* The blocks of the target in one go: they lie together, and that there is no room for them is
 * known before anything is copied. Where that cannot be done, it is not needed. */
static int allocate(struct copy *c)
{
    if (c->st.st_size < SMALL)
        return 0;
    if (fallocate(c->out, FALLOC_FL_KEEP_SIZE, 0, c->st.st_size) == 0)
        c->allocated = true;
    else if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return blame(c, c->to, -errno);
    return 0;
}

static bool has_holes(const struct stat *st)
{
    return (off_t)st->st_blocks * 512 < st->st_size;
}

static int copy_content(struct copy *c)
{
    if (c->st.st_size > 0 && ioctl(c->out, FICLONE, c->in) == 0)
        return moved(c, (ssize_t)c->st.st_size);
    bool sparse = has_holes(&c->st);
    int rc = sparse ? 0 : allocate(c);
    if (rc < 0)
        return rc;
    off_t size = sparse ? copy_pieces(c) : copy_range(c, 0, TO_ITS_END);
    if (size < 0)
        return (int)size;
    atomic_store(&c->done, (uint64_t)size);
    /* A hole at the end is to be there; blocks for what is not there any more are not. */
    bool exact = !sparse && !(c->allocated && size < c->st.st_size);
    return exact || ftruncate(c->out, size) == 0 ? 0 : blame(c, c->to, -errno);
}

/* ---- Attributes ------------------------------------------------------------------------------ */

/* The owner comes first: a change of it takes set-id bits away. A target that was there before
 * keeps its own. */
static int copy_attributes(struct copy *c)
{
    const struct stat *st = &c->st;
    const ouro_copy_options *opts = &c->opts;
    mode_t mode = st->st_mode & (opts->keep_owner ? 07777 : 0777);
    if (opts->keep_owner && fchown(c->out, st->st_uid, st->st_gid) < 0)
        return blame(c, c->to, -errno);
    if ((!opts->in_place || opts->keep_owner) && fchmod(c->out, mode) < 0)
        return blame(c, c->to, -errno);
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    if (opts->keep_times && futimens(c->out, times) < 0)
        return blame(c, c->to, -errno);
    return 0;
}

static int fill(struct copy *c)
{
    int rc = copy_content(c);
    if (rc == 0)
        rc = copy_attributes(c);
    if (rc == 0 && c->opts.sync && fsync(c->out) < 0)
        rc = blame(c, c->to, -errno);
    return rc;
}

/* ---- Source and target ----------------------------------------------------------------------- */

static int open_source(struct copy *c)
{
    c->in = open(c->from, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (c->in < 0 || fstat(c->in, &c->st) < 0)
        return blame(c, c->from, -errno);
    if (S_ISDIR(c->st.st_mode))
        return blame(c, c->from, -EISDIR);
    return S_ISREG(c->st.st_mode) ? 0 : blame(c, c->from, -EINVAL);
}

/* Whether the target, which is there, may be written or replaced. */
static int check_target(struct copy *c, const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return blame(c, c->to, -EISDIR);
    if (st->st_dev == c->st.st_dev && st->st_ino == c->st.st_ino)
        return blame(c, NULL, -EINVAL);
    return 0;
}

/* The target itself. Nothing is changed before it is known not to be the source. */
static int open_target(struct copy *c)
{
    struct stat st;
    int flags = O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    c->out = open(c->to, flags | (c->opts.exclusive ? O_EXCL : 0), c->st.st_mode & 0777);
    if (c->out < 0 || fstat(c->out, &st) < 0)
        return blame(c, c->to, -errno);
    int rc = check_target(c, &st);
    if (rc < 0)
        return rc;
    if (!S_ISREG(st.st_mode))
        return blame(c, c->to, -EINVAL);
    return ftruncate(c->out, 0) < 0 ? blame(c, c->to, -errno) : 0;
}

static int copy_in_place(struct copy *c)
{
    int rc = open_target(c);
    if (rc == 0)
        rc = fill(c);
    if (c->out >= 0 && close(c->out) < 0 && rc == 0)
        rc = blame(c, c->to, -errno);
    return rc;
}

static int copy_to_place(struct copy *c, const struct ouro__place *place)
{
    struct stat st;
    bool is_there = fstatat(place->folder, place->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    int rc = is_there ? check_target(c, &st) : 0;
    if (rc < 0)
        return rc;
    if (is_there && c->opts.exclusive)
        return blame(c, c->to, -EEXIST);
    rc = ouro__fresh_open(&c->file, place->folder, 0600);
    if (rc < 0)
        return blame(c, c->to, rc);
    c->out = c->file.fd;
    rc = fill(c);
    if (rc == 0) {
        rc = ouro__fresh_keep(&c->file, place, c->opts.exclusive);
        if (rc == 0 && c->opts.sync)
            rc = ouro__sync_folder(place->folder, c->out);
        if (rc < 0)
            blame(c, c->to, rc);
    }
    ouro__fresh_drop(&c->file);
    return rc;
}

static int copy_to_target(struct copy *c)
{
    if (c->opts.in_place)
        return copy_in_place(c);
    struct ouro__place place;
    int rc = ouro__place_open(&place, c->to);
    if (rc < 0)
        return blame(c, c->to, rc);
    rc = copy_to_place(c, &place);
    ouro__place_close(&place);
    return rc;
}

/* The one of the two that is to blame comes last. */
static int64_t copy_failed(const struct copy *c, int rc)
{
    if (c->failed == c->to)
        return ouro_task_fail(rc, "cannot copy %s to %s", c->from, c->to);
    if (c->failed == c->from)
        return ouro_task_fail(rc, "cannot copy from %s", c->from);
    if (rc == -EINVAL)
        return ouro_task_fail(rc, "%s and %s are the same file", c->from, c->to);
    return rc;
}

static int64_t copy_in_job(void *arg)
{
    struct copy *c = arg;
    c->reported = clock_now();
    int rc = open_source(c);
    if (rc == 0)
        rc = copy_to_target(c);
    ouro__disk_close(&c->in);
    ouro__release(c->buffer);
    if (rc < 0)
        return copy_failed(c, rc);
    post_progress(c);
    return (int64_t)atomic_load(&c->done);
}

ouro_future *ouro_file_copy(const char *from, const char *to, const ouro_copy_options *opts)
{
    ouro_loop *loop;
    int rc = from && to ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct copy *c = ouro__alloc(sizeof(*c));
    if (!c)
        return ouro__failed(-ENOMEM);
    *c = (struct copy){
        .from = from,
        .to = to,
        .in = -1,
        .file.fd = -1,
        .loop = ouro_loop_ref(loop),
        .post = {.job = {.run = show_progress}, .drop = drop_progress},
        .refs = 1,
    };
    if (opts)
        c->opts = *opts;
    return ouro__on_disk(copy_in_job, c, copy_unref, "copy of a file");
}
