/* SPDX-License-Identifier: MIT */
/*
 * Files sent over streams.
 *
 * Happy path: the write stands in the stream's line like any other. When it is its turn, the kernel
 * moves a piece of the file from the page cache into the socket by sendfile(2), and after each
 * piece the stream waits until there is room for the next, so that others have their turn. Over
 * loopback that takes a third of the time of reading and sending.
 *
 * The call may wait for neither side: so it is made of what the page cache has, and with the socket
 * in non-blocking mode for as long as the call lasts. What has to come from the disk is read by the
 * ring into a buffer and sent from there; so is all that goes to pipes, to other sockets, and to
 * the standard streams, whose mode belongs to others as well. And so is little, which costs less
 * than these precautions.
 *
 * The file may be cut short or grow meanwhile: what is found is what is sent. How it fails: an
 * error of the file ends this write, and the stream's line with it if a part has gone out.
 */
#include "send_int.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* What is read at a time. Stays below what malloc(3) maps and unmaps each time. */
#define SLICE ((size_t)64 * 1024)

/* Less is copied: with 4 KiB that saves a seventh of the processor's time, at 16 KiB it takes as
 * long (send.file in tests/bench/bench_send.c). */
#define LITTLE (16 * 1024)

/* What the page cache has of a file: cachestat(2), Linux 6.5. */
#define CACHESTAT 451

struct file_write {
    struct ouro__write w;
    char *slice;
    int fd;
    bool by_copy;    /* the kernel cannot move it by itself, or it is too little for that */
    uint64_t offset; /* of the next piece */
    uint64_t end;    /* of the file, when it was last asked */
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

/* @n bytes of the file have gone somewhere; 0: it ends here. */
static void move_on(struct file_write *fw, size_t n)
{
    fw->offset += n;
    fw->unread = n > 0 ? fw->unread - n : 0;
    if (fw->unread == 0)
        fw->w.fetch = NULL;
}

/* ---- By the kernel --------------------------------------------------------------------------- */

/* Whether a piece is in the page cache: what cannot be said is not. */
static bool is_cached(const struct file_write *fw, size_t size)
{
    struct {
        uint64_t from, size;
    } range = {fw->offset, size};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } pages;
    if (syscall(CACHESTAT, fw->fd, &range, &pages, 0) < 0)
        return false;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t first = fw->offset / page, end = (fw->offset + size + page - 1) / page;
    return pages.cached >= end - first;
}

/* Bytes of a piece that are in the file; 0 if that cannot be said. One that has become shorter
 * has fewer pages in the cache. */
static size_t piece_of(struct file_write *fw)
{
    struct stat st;
    if (fw->end <= fw->offset && fstat(fw->fd, &st) == 0)
        fw->end = (uint64_t)st.st_size;
    if (fw->end <= fw->offset)
        return 0;
    uint64_t size = fw->end - fw->offset;
    size = size < fw->unread ? size : fw->unread;
    return size < OURO__SEND_MAX ? (size_t)size : OURO__SEND_MAX;
}

/* sendfile(2) that waits for no room. Bytes, or a negative errno. */
static ssize_t move_now(const ouro_stream *s, const struct file_write *fw, size_t size)
{
    int yes = 1, no = 0;
    off_t offset = (off_t)fw->offset;
    int flags = fcntl(s->fd, F_GETFL);
    if (!(flags & O_NONBLOCK) && ioctl(s->fd, FIONBIO, &yes) < 0)
        return -errno;
    ssize_t n = sendfile(s->fd, fw->fd, &offset, size);
    if (n < 0)
        n = -errno;
    if (!(flags & O_NONBLOCK))
        ioctl(s->fd, FIONBIO, &no);
    return n;
}

static void room_came(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    ouro_stream *s = OURO__CONTAINER(op, ouro_stream, out.op);
    ouro__outgoing_landed(s, res > 0 ? -EINTR : res);
    ouro__stream_op_ended(s);
}

static bool is_tcp(int fd)
{
    int protocol = 0;
    socklen_t size = sizeof(protocol);
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
           protocol == IPPROTO_TCP;
}

/* Move a piece. As ouro__write.fetch; -EOPNOTSUPP: not by the kernel. */
static int move(struct file_write *fw)
{
    ouro_stream *s = fw->w.s;
    size_t size = fw->by_copy ? 0 : piece_of(fw);
    if (size == 0 || !is_cached(fw, size))
        return -EOPNOTSUPP;
    ouro__block_sigpipe(s); /* it knows no MSG_NOSIGNAL */
    ssize_t n = move_now(s, fw, size);
    if (n == -EPIPE || n == -ECONNRESET)
        return (int)n;
    if (n < 0 && n != -EAGAIN) {
        fw->by_copy = true; /* which will meet the same error, if it is one of the file */
        return -EOPNOTSUPP;
    }
    if (n >= 0) {
        move_on(fw, (size_t)n);
        ouro__outgoing_count(&fw->w, (uint64_t)n);
    }
    if (!fw->w.fetch)
        return 1;
    ouro__prepare_poll_out(s);
    s->out.op.complete = room_came;
    return ouro__outgoing_start(s, &s->out.op);
}

/* ---- By a buffer ----------------------------------------------------------------------------- */

/* A read has brought @n bytes; 0: the file ends here. */
static void sliced(struct file_write *fw, size_t n)
{
    struct ouro__write *w = &fw->w;
    move_on(fw, n);
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

/* Have the next slice read, at once if it is in the page cache. */
static int slice(struct file_write *fw)
{
    size_t size = fw->unread < SLICE ? (size_t)fw->unread : SLICE;
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
    struct ouro__op *op = &fw->w.s->out.op;
    op->sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_READ,
        .fd = fw->fd,
        .off = fw->offset,
        .addr = (uintptr_t)fw->slice,
        .len = (uint32_t)size,
    };
    op->complete = read_landed;
    return ouro__outgoing_start(fw->w.s, op);
}

/* ---- The call -------------------------------------------------------------------------------- */

/* As ouro__write.fetch. */
static int fetch(struct ouro__write *w)
{
    struct file_write *fw = file_write_of(w);
    int rc = move(fw);
    return rc == -EOPNOTSUPP ? slice(fw) : rc;
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

/* Where @fd ends, or why this part of it cannot be sent. */
static int64_t examine(int fd, uint64_t offset, uint64_t size)
{
    struct stat st;
    if (offset > INT64_MAX || size > INT64_MAX - offset)
        return -EINVAL;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    return S_ISREG(st.st_mode) ? st.st_size : -EINVAL;
}

static bool goes_by_copy(const struct file_write *fw)
{
    const ouro_stream *s = fw->w.s;
    return fw->unread < LITTLE || fw->end < fw->offset + LITTLE || !s->is_socket || s->shared ||
           !is_tcp(s->fd);
}

ouro_future *ouro_stream_send_file(ouro_stream *s, int fd, uint64_t offset, uint64_t size)
{
    int64_t end = ouro__outgoing_check(s);
    if (end == 0)
        end = examine(fd, offset, size);
    if (end < 0)
        return ouro__outgoing_refuse((int)end);
    struct file_write *fw = ouro__future_new(s->loop, &file_kind);
    if (!fw)
        return ouro__failed(-ENOMEM);
    ouro__write_init(&fw->w, s);
    fw->slice = NULL;
    fw->fd = fd;
    fw->offset = offset;
    fw->end = (uint64_t)end;
    fw->unread = size;
    fw->by_copy = goes_by_copy(fw);
    fw->w.fetch = size > 0 ? fetch : NULL;
    fw->w.drop = drop;
    return ouro__write_begin(&fw->w);
}
