/* SPDX-License-Identifier: MIT */
/*
 * Operations on handles and paths, as futures.
 *
 * There are requests, which the ring does, and chores, for which it has no way and a thread of the
 * disk lane does the plain call; transfers have a file of their own.
 *
 * Happy path: a future with the ring's operation inside it stands in the list of its handle, goes
 * through the ring, and settles with what the last completion says. When the handle is closed
 * meanwhile, it is stopped as by a cancel, and what comes of that is -EBADF, since -ECANCELED means
 * that whoever waits was cancelled. A result that is there wins over both.
 *
 * How it fails: by the kernel's error, with words that name the file where there is a path. Without
 * memory for the words, without them.
 */
#include "file_int.h"

#include <ouro/pool.h>

#include <string.h>

/* The kernel's own, which the ring lets out of an open that it has interrupted. */
#define ERESTARTSYS 512

void *ouro__work_new(ouro_loop *loop, const struct ouro__kind *kind, ouro_file *file)
{
    struct ouro__work *w = ouro__future_new(loop, kind);
    if (!w)
        return NULL;
    w->op.sqe = (struct io_uring_sqe){0};
    w->op.link.next = NULL;
    w->link.next = NULL;
    w->file = file ? ouro__file_ref(file) : NULL;
    if (file)
        ouro__list_push(&file->works, &w->link);
    return w;
}

int64_t ouro__work_verdict(const struct ouro__work *w, int64_t n)
{
    if (n == -ERESTARTSYS)
        n = -EINTR;
    bool stopped = n == -ECANCELED || n == -EINTR;
    if (!stopped)
        return n;
    if (w->f.flags & OURO__CANCEL_ASKED)
        return -ECANCELED;
    return w->f.flags & OURO__WORK_CLOSED ? -EBADF : n;
}

void ouro__work_end(struct ouro__work *w, int64_t n)
{
    ouro_file *file = w->file;
    n = ouro__work_verdict(w, n);
    if (ouro__linked(&w->link))
        ouro__list_remove(&w->link);
    if (n == -ECANCELED && (w->f.flags & OURO__CANCEL_ASKED))
        ouro__settle(&w->f, OURO_CANCELLED, n);
    else
        ouro__settle_n(&w->f, n);
    if (!file)
        return;
    ouro__file_work_gone(file);
    ouro__file_unref(file);
}

ouro_future *ouro__work_cancel(ouro_future *f)
{
    struct ouro__work *w = OURO__CONTAINER(f, struct ouro__work, f);
    if (ouro__op_cancel(f->loop, &w->op))
        w->op.complete(f->loop, &w->op, -ECANCELED, 0);
    return NULL;
}

void ouro__work_say(struct ouro__work *w, int64_t n, const char *format, ...)
{
    if (n >= 0 || ouro__work_verdict(w, n) == -ECANCELED)
        return;
    va_list args;
    va_start(args, format);
    w->f.result.ptr = ouro__format(format, args);
    va_end(args);
    w->f.ptr_free = w->f.result.ptr ? ouro__release : NULL;
}

/* ---- Requests -------------------------------------------------------------------------------- */

void ouro__request_end(struct ouro__request *r, int64_t n)
{
    ouro_file *also = r->also;
    if (n >= 0 && r->ret_stat)
        ouro__stat_convert(r->ret_stat);
    if (r->path && r->to)
        ouro__work_say(&r->w, n, "cannot %s %s to %s", r->verb, r->path, r->to);
    else if (r->path)
        ouro__work_say(&r->w, n, "cannot %s %s", r->verb, r->path);
    ouro__work_end(&r->w, n);
    if (also)
        ouro__file_unpin(also);
}

static void request_ended(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    ouro__request_end(OURO__CONTAINER(op, struct ouro__request, w.op), res);
}

static void request_describe(const ouro_future *f, char *text, size_t size)
{
    const struct ouro__request *r = OURO__CONTAINER(f, const struct ouro__request, w.f);
    if (r->path)
        snprintf(text, size, "%s of %s", r->verb, r->path);
    else
        snprintf(text, size, "%s of fd %d", r->verb, r->w.file->fd);
}

static const struct ouro__kind request_kind = {
    .name = "file operation",
    .size = sizeof(struct ouro__request),
    .cancel = ouro__work_cancel,
    .describe = request_describe,
};

struct ouro__request *ouro__request_new(ouro_loop *loop, ouro_file *file)
{
    struct ouro__request *r = ouro__work_new(loop, &request_kind, file);
    if (!r)
        return NULL;
    r->verb = "operation";
    r->path = r->to = NULL;
    r->also = NULL;
    r->ret_stat = NULL;
    r->w.op.complete = request_ended;
    return r;
}

ouro_future *ouro__request_start(struct ouro__request *r)
{
    int rc = ouro__op_start(r->w.f.loop, &r->w.op);
    if (rc < 0)
        ouro__request_end(r, rc);
    return &r->w.f;
}

/* ---- Chores ---------------------------------------------------------------------------------- */

static int64_t run_chore(void *arg)
{
    struct ouro__chore *c = arg;
    return c->fn(c);
}

static void chore_ended(struct ouro__job *job)
{
    struct ouro__chore *c = OURO__CONTAINER(job, struct ouro__chore, job);
    int64_t n = -ECANCELED;
    if (c->run) {
        n = ouro_future_result(c->run).n;
        ouro__unref(c->run);
    }
    if (c->path)
        ouro__work_say(&c->w, n, "cannot %s %s", c->verb, c->path);
    ouro__work_end(&c->w, n);
}

static ouro_future *chore_cancel(ouro_future *f)
{
    return OURO__CONTAINER(f, struct ouro__chore, w.f)->run;
}

static void chore_describe(const ouro_future *f, char *text, size_t size)
{
    const struct ouro__chore *c = OURO__CONTAINER(f, const struct ouro__chore, w.f);
    if (c->path)
        snprintf(text, size, "%s of %s", c->verb, c->path);
    else
        snprintf(text, size, "%s of fd %d", c->verb, c->fd);
}

static bool chore_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    *ret_part = OURO__CONTAINER(f, const struct ouro__chore, w.f)->run;
    return i == 0;
}

static const struct ouro__kind chore_kind = {
    .name = "file operation in a thread",
    .size = sizeof(struct ouro__chore),
    .cancel = chore_cancel,
    .combines = true,
    .describe = chore_describe,
    .part = chore_part,
};

static void copy_wishes(struct ouro__chore *to, const struct ouro__chore *from)
{
    to->fn = from->fn;
    to->verb = from->verb;
    to->path = from->path;
    to->number = from->number;
    to->offset = from->offset;
    to->length = from->length;
    to->buf = from->buf;
}

ouro_future *ouro__chore_start(ouro_file *file, const struct ouro__chore *what)
{
    ouro_loop *loop;
    int rc = file ? ouro__file_check(file, &loop) : ouro__loop_for_wait(&loop);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__chore *c = ouro__work_new(loop, &chore_kind, file);
    if (!c)
        return ouro__failed(-ENOMEM);
    copy_wishes(c, what);
    c->fd = file ? file->fd : AT_FDCWD;
    c->job = (struct ouro__job){.run = chore_ended};
    c->run = NULL;
    if (ouro__caller_cancelled(loop)) { /* then a thread is not even to begin */
        c->w.f.flags |= OURO__CANCEL_ASKED;
        ouro__ready(loop, &c->job);
        return &c->w.f;
    }
    c->run = ouro_offload_with(run_chore, c,
                               &(ouro_offload_options){.lane = OURO_LANE_DISK, .name = what->verb});
    ouro__watch(c->run, &c->job);
    return &c->w.f;
}

/* ---- struct statx ---------------------------------------------------------------------------- */

/* As of Linux 6.1, whatever the C library has. */
struct kernel_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};

struct kernel_stat {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, padding;
    uint64_t inode, size, blocks, attributes_mask;
    struct kernel_time accessed, born, changed, modified;
    uint32_t special_major, special_minor, device_major, device_minor;
    uint64_t mount_id;
    uint32_t direct_memory, direct_offset;
    uint64_t reserved[12];
};

static_assert(sizeof(struct kernel_stat) == 256, "the kernel writes so much");
static_assert(sizeof(ouro_stat) >= 256, "the kernel writes into the caller's answer");

static ouro_file_time time_of(const struct kernel_time *t)
{
    return (ouro_file_time){t->seconds, t->nanoseconds};
}

void ouro__stat_convert(ouro_stat *st)
{
    struct kernel_stat k;
    memcpy(&k, st, sizeof(k));
    *st = (ouro_stat){
        .mode = k.mode,
        .links = k.links,
        .uid = k.uid,
        .gid = k.gid,
        .inode = k.inode,
        .size = k.size,
        .blocks = k.blocks,
        .mount_id = k.mask & (OURO__STATX_MNT_ID | OURO__STATX_MNT_ID_UNIQUE) ? k.mount_id : 0,
        .attributes = k.attributes,
        .block_size = k.block_size,
        .device_major = k.device_major,
        .device_minor = k.device_minor,
        .special_major = k.special_major,
        .special_minor = k.special_minor,
        .direct_memory = k.mask & OURO__STATX_DIOALIGN ? k.direct_memory : 0,
        .direct_offset = k.mask & OURO__STATX_DIOALIGN ? k.direct_offset : 0,
        .accessed = time_of(&k.accessed),
        .modified = time_of(&k.modified),
        .changed = time_of(&k.changed),
        .born = time_of(&k.born),
    };
}
