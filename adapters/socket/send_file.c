/* SPDX-License-Identifier: MIT */
/*
 * Files sent over streams.
 *
 * Happy path: the write stands in the stream's line like any other. When it is its turn, a slice of
 * the file is read into a buffer of its own and sent from there, then the next. What is in the page
 * cache is read at once, by a call that refuses to wait for the disk; what is not, by the ring. So a
 * slow disk or a slow peer costs no thread, and no descriptor has to be in non-blocking mode.
 *
 * The file may be cut short or grow meanwhile: what a read finds is what is sent. How it fails: an
 * error of the file ends this write, and the stream's line with it if a part has gone out.
 */
#include "send_int.h"

#include <sys/stat.h>
#include <sys/uio.h>

/* Larger slices are not faster; this one stays below what malloc(3) maps and unmaps each time. */
#define SLICE ((size_t)64 * 1024)

struct file_write {
    struct ouro__write w;
    char *slice;
    int fd;
    uint64_t offset; /* of the next slice */
    uint64_t unread; /* bytes of the file that were asked for, from there on */
};

static struct file_write *file_write_of(struct ouro__write *w)
{
    return OURO__CONTAINER(w, struct file_write, w);
}

static void drop(struct ouro__write *w)
{
    ouro__release(file_write_of(w)->slice);
}

/* A read has brought @n bytes; 0: the file ends here. */
static void sliced(struct file_write *fw, size_t n)
{
    struct ouro__write *w = &fw->w;
    fw->offset += n;
    fw->unread = n > 0 ? fw->unread - n : 0;
    if (fw->unread == 0)
        w->fetch = NULL;
    w->one = (struct iovec){fw->slice, n};
    w->parts = &w->one;
    w->count = 1;
    w->skip = 0;
    w->left = n;
    w->s->out.queued += n;
}

static void read_landed(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    ouro_stream *s = OURO__CONTAINER(op, ouro_stream, out.op);
    struct ouro__write *w = ouro__write_at(s->out.writes.next);
    bool stopped = res == -ECANCELED || res == -EINTR;
    if (res >= 0)
        sliced(file_write_of(w), (size_t)res);
    else if (!stopped)
        ouro__write_fail(w, res);
    ouro__outgoing_landed(s, stopped ? res : -EINTR); /* nothing was sent by this */
    ouro__stream_op_ended(s);
}

static size_t next_size(const struct file_write *fw)
{
    return fw->unread < SLICE ? (size_t)fw->unread : SLICE;
}

/* As ouro__write.fetch. */
static int fetch(struct ouro__write *w)
{
    struct file_write *fw = file_write_of(w);
    size_t size = next_size(fw);
    if (!fw->slice)
        fw->slice = ouro__alloc(size);
    if (!fw->slice)
        return -ENOMEM;
    const struct iovec part = {fw->slice, size};
    ssize_t n = preadv2(fw->fd, &part, 1, (off_t)fw->offset, RWF_NOWAIT);
    if (n >= 0) {
        sliced(fw, (size_t)n);
        return 1;
    }
    struct ouro__op *op = &w->s->out.op;
    op->sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_READ,
        .fd = fw->fd,
        .off = fw->offset,
        .addr = (uintptr_t)fw->slice,
        .len = (uint32_t)size,
    };
    op->complete = read_landed;
    return ouro__outgoing_start(w->s, op);
}

static void describe(const ouro_future *f, char *text, size_t size)
{
    const struct file_write *fw = OURO__CONTAINER(f, const struct file_write, w.f);
    snprintf(text, size, "send of a file, fd %d, %llu bytes sent", fw->fd,
             (unsigned long long)fw->w.sent);
}

static const struct ouro__kind file_kind = {
    .name = "send of a file",
    .size = sizeof(struct file_write),
    .cancel = ouro__write_cancel,
    .describe = describe,
};

/* 0, or why this part of @fd cannot be sent. */
static int examine(int fd, uint64_t offset, uint64_t size)
{
    struct stat st;
    if (offset > INT64_MAX || size > INT64_MAX - offset)
        return -EINVAL;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

ouro_future *ouro_stream_send_file(ouro_stream *s, int fd, uint64_t offset, uint64_t size)
{
    int rc = ouro__outgoing_check(s);
    if (rc == 0)
        rc = examine(fd, offset, size);
    if (rc < 0)
        return ouro__outgoing_refuse(rc);
    struct file_write *fw = ouro__future_new(s->loop, &file_kind);
    if (!fw)
        return ouro__failed(-ENOMEM);
    ouro__write_init(&fw->w, s);
    fw->slice = NULL;
    fw->fd = fd;
    fw->offset = offset;
    fw->unread = size;
    fw->w.fetch = size > 0 ? fetch : NULL;
    fw->w.drop = drop;
    return ouro__write_begin(&fw->w);
}
