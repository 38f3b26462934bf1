/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes.
 *
 * Happy path: what is to be moved is cut in slices; each goes on the spot where that cannot wait
 * for long (see route.c), and through the ring otherwise. A transfer that is done within the call
 * has settled when it returns. When a turn has spent its time on plain calls, the next slice is a
 * job of the next turn, so that a read of a gigabyte from the cache holds nobody up. Appends stand
 * in the line of their handle, and the first of them is at work.
 *
 * A read ends at the first slice that brings nothing: that is the end of the file. A read for a
 * stream is over with its first bytes. A write goes on until all is written.
 *
 * How it ends early: by an error or a cancel, with `moved` saying how far it came. For a read that
 * has brought something that is its result, and the error comes with the next one.
 */
#include "file_int.h"
#include "signals_int.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum what { READ, WRITE };

struct transfer {
    struct ouro__work w;
    struct ouro__job job; /* goes on in the next turn */
    struct ouro__link in_line;
    const struct iovec *iov; /* the first that is not done */
    struct iovec one;        /* for calls that have no array */
    size_t skip;             /* bytes of the first that are done */
    size_t left;
    size_t moved;
    int64_t offset; /* of the next byte */
    int count;      /* of the rest of the array */
    uint8_t what;
    bool exact; /* the end of the file is an error */
    bool append;
};

/* So much of a transfer as one operation does; the same each time it is asked for. */
struct piece {
    const struct iovec *iov; /* several whole elements, or NULL: */
    struct iovec one;        /* one, or a part of it */
    int count;
    size_t size;
};

static void go_on(struct transfer *t);

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* The next elements that are whole and fit into @limit together, or a part of one. */
static struct piece next_piece(const struct transfer *t, size_t limit)
{
    struct piece p = {.iov = t->iov};
    while (t->skip == 0 && p.count < t->count && t->iov[p.count].iov_len <= limit - p.size)
        p.size += t->iov[p.count++].iov_len;
    if (p.count > 1)
        return p;
    size_t rest = t->iov->iov_len - t->skip;
    p.size = rest < limit ? rest : limit;
    p.one = (struct iovec){(char *)t->iov->iov_base + t->skip, p.size};
    p.iov = NULL;
    p.count = 1;
    return p;
}

static size_t limit_of(const struct transfer *t)
{
    return t->w.file->direct ? OURO__DIRECT_SLICE : OURO__SLICE;
}

/* Go behind the elements that are done, empty ones included. */
static void pass_done(struct transfer *t)
{
    while (t->count > 0 && t->skip >= t->iov->iov_len) {
        t->skip -= t->iov->iov_len;
        t->iov++;
        t->count--;
    }
}

static void account(struct transfer *t, size_t n)
{
    t->moved += n;
    t->left -= n;
    t->offset += (int64_t)n;
    t->skip += n;
    pass_done(t);
    if (t->what == WRITE)
        t->w.file->written += (int64_t)n;
    if (t->append)
        t->w.file->cursor = t->offset;
}

/* ---- The end --------------------------------------------------------------------------------- */

/* What it comes to, if @n stopped it: an error, or 0. */
static int64_t result(const struct transfer *t, int64_t n)
{
    bool all = t->what == WRITE || t->exact;
    if (!all && t->moved > 0)
        return (int64_t)t->moved;
    if (n < 0)
        return n;
    return t->exact && t->left ? -ENODATA : (int64_t)t->moved;
}

static void end(struct transfer *t, int64_t n)
{
    ouro_file *file = t->w.file;
    bool first = t->append && file->appends.next == &t->in_line;
    if (ouro__linked(&t->job.link))
        ouro__list_remove(&t->job.link);
    if (t->append)
        ouro__list_remove(&t->in_line);
    if (first && !ouro__list_empty(&file->appends))
        ouro__ready(file->loop,
                    &OURO__CONTAINER(file->appends.next, struct transfer, in_line)->job);
    ouro__work_end(&t->w, result(t, n));
}

/* A read of a pipe or terminal: more of it might never come. That it is one shows when it is tried
 * on the spot, which direct ones are not. */
static bool takes_what_is_there(const struct transfer *t)
{
    ouro_file *file = t->w.file;
    if (t->what != READ || t->exact)
        return false;
    return (file->direct ? ouro__route_kind(file) : file->kind) == OURO__FILE_STREAM;
}

/* A piece of @size came to @n. True: the transfer is over. */
static bool done(struct transfer *t, size_t size, int64_t n)
{
    bool stopped = t->w.f.flags & (OURO__CANCEL_ASKED | OURO__WORK_CLOSED);
    if (n > 0)
        account(t, (size_t)n);
    bool reads = t->what == READ;
    bool short_is_last = reads && t->w.file->direct; /* else the next one tells */
    if (n == 0 && !reads && size > 0)
        n = -EIO; /* a file that takes nothing, and does not say why */
    if (n < 0 || t->left == 0 || (n == 0 && reads))
        end(t, n);
    else if ((short_is_last && (size_t)n < size) || takes_what_is_there(t))
        end(t, 0);
    else if (stopped)
        end(t, -ECANCELED);
    else
        return false;
    return true;
}

/* ---- Through the ring ------------------------------------------------------------------------ */

static void piece_ended(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    struct transfer *t = OURO__CONTAINER(op, struct transfer, w.op);
    if (!done(t, next_piece(t, limit_of(t)).size, res))
        go_on(t);
}

static void aim_at_memory(const struct transfer *t, const struct piece *p, struct io_uring_sqe *sqe)
{
    static const uint8_t opcodes[2][3] = {
        {IORING_OP_READ, IORING_OP_READV, IORING_OP_READ_FIXED},
        {IORING_OP_WRITE, IORING_OP_WRITEV, IORING_OP_WRITE_FIXED},
    };
    const struct ouro__files *files = ouro__files_of(t->w.f.loop);
    bool several = p->iov;
    int lent = several ? -1 : ouro__lent_find(files, p->one.iov_base, p->size);
    sqe->opcode = opcodes[t->what][several ? 1 : lent >= 0 ? 2 : 0];
    sqe->addr = several ? (uintptr_t)p->iov : (uintptr_t)p->one.iov_base;
    sqe->len = several ? (uint32_t)p->count : (uint32_t)p->size;
    if (lent >= 0)
        sqe->buf_index = (uint16_t)lent;
}

static void go_by_ring(struct transfer *t, const struct piece *p)
{
    struct io_uring_sqe *sqe = &t->w.op.sqe;
    ouro_loop *loop = t->w.f.loop;
    *sqe = (struct io_uring_sqe){.off = (uint64_t)t->offset};
    aim_at_memory(t, p, sqe);
    ouro__file_aim(t->w.file, sqe);
    t->w.op.complete = piece_ended;
    int rc = ouro__op_start(loop, &t->w.op);
    if (rc < 0) {
        end(t, rc);
        return;
    }
    struct ouro__files *files = ouro__files_of(loop);
    files->stats.by_ring++;
    if (t->w.file->kind != OURO__FILE_STREAM)
        ouro__disk_asked(files);
}

/* ---- On the spot ----------------------------------------------------------------------------- */

static int64_t call(const struct transfer *t, const struct piece *p, int flags)
{
    ssize_t n;
    int fd = t->w.file->fd;
    do {
        if (t->what == READ)
            n = preadv2(fd, p->iov ? p->iov : &p->one, p->count, t->offset, flags);
        else if (p->iov)
            n = pwritev(fd, p->iov, p->count, t->offset);
        else
            n = pwrite(fd, p->one.iov_base, p->size, t->offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Read what is in the cache. -EAGAIN: it is not there, or there is no such attempt. */
static int64_t attempt(struct transfer *t, const struct piece *p)
{
    ouro_file *file = t->w.file;
    int64_t n = call(t, p, RWF_NOWAIT);
    if (n == -EAGAIN)
        ouro__files_of(t->w.f.loop)->stats.missed++;
    if (n == -EOPNOTSUPP)
        file->no_nowait = true;
    if (n == -ESPIPE)
        file->kind = OURO__FILE_STREAM;
    return n == -EOPNOTSUPP || n == -ESPIPE ? -EAGAIN : n;
}

static int64_t call_timed(struct transfer *t, const struct piece *p)
{
    struct ouro__files *files = ouro__files_of(t->w.f.loop);
    if (ouro__calls_avoided(files))
        return -EAGAIN;
    ouro_ns began = ouro__loop_now(t->w.f.loop);
    int64_t n = call(t, p, 0);
    ouro__call_took(files, began);
    return n;
}

static enum ouro__route route_of(const struct transfer *t)
{
    return t->what == READ ? ouro__route_read(t->w.file) : ouro__route_write(t->w.file);
}

/* The piece without the ring. -EAGAIN: that cannot be. */
static int64_t at_once(struct transfer *t, const struct piece *p)
{
    enum ouro__route route = route_of(t);
    int64_t n = -EAGAIN;
    if (route == OURO__TRY) {
        n = attempt(t, p);
        if (t->w.file->no_nowait)
            route = route_of(t);
    }
    if (route == OURO__AT_ONCE)
        n = call_timed(t, p);
    if (n >= 0) {
        struct ouro__files *files = ouro__files_of(t->w.f.loop);
        ouro__turn_spend(files, (size_t)n);
        files->stats.at_once++;
    }
    return n;
}

/* ---- Going on -------------------------------------------------------------------------------- */

static void go_on(struct transfer *t)
{
    struct ouro__files *files = ouro__files_of(t->w.f.loop);
    bool by_ring = route_of(t) == OURO__BY_RING;
    for (;;) {
        struct piece p = next_piece(t, limit_of(t));
        if (!by_ring && !ouro__turn_has_time(files)) {
            ouro__ready(t->w.f.loop, &t->job);
            return;
        }
        int64_t n = by_ring ? -EAGAIN : at_once(t, &p);
        if (n == -EAGAIN) {
            go_by_ring(t, &p);
            return;
        }
        if (done(t, p.size, n))
            return;
    }
}

static ouro_future *transfer_cancel(ouro_future *f)
{
    struct transfer *t = OURO__CONTAINER(f, struct transfer, w.f);
    if (ouro__op_live(&t->w.op)) {
        if (ouro__op_cancel(f->loop, &t->w.op))
            end(t, -ECANCELED);
    } else {
        end(t, -ECANCELED); /* between two slices, or in the line of appends */
    }
    return NULL;
}

static void transfer_describe(const ouro_future *f, char *text, size_t size)
{
    const struct transfer *t = OURO__CONTAINER(f, const struct transfer, w.f);
    const char *what = t->append ? "append to" : t->what == READ ? "read of" : "write to";
    snprintf(text, size, "%s fd %d, %zu of %zu bytes", what, t->w.file->fd, t->moved,
             t->moved + t->left);
}

static const struct ouro__kind transfer_kind = {
    .name = "file transfer",
    .size = sizeof(struct transfer),
    .cancel = transfer_cancel,
    .describe = transfer_describe,
};

static_assert(sizeof(struct transfer) <= OURO__SLAB_STEP * OURO__SLAB_CLASSES,
              "a transfer is not for the slabs any more");

int64_t ouro_file_moved(const ouro_future *f)
{
    if (ouro__future_check(f) < 0)
        return 0;
    return f->kind == &transfer_kind
               ? (int64_t)OURO__CONTAINER(f, const struct transfer, w.f)->moved
               : 0;
}

/* ---- Appends --------------------------------------------------------------------------------- */

static int64_t seek_end(struct ouro__chore *c)
{
    int64_t n = lseek(c->fd, 0, SEEK_END);
    if (n >= 0)
        return n;
    /* A pipe does not care where, and a folder has no end: the write will say the rest. */
    return errno == ESPIPE || errno == EINVAL ? 0 : -errno;
}

/* Where the file ends: asked once, and of a file system that has to ask somebody else, in a thread.
 * False: @t goes on when it is known, or has failed. */
static bool find_end(struct transfer *t)
{
    ouro_file *file = t->w.file;
    struct ouro__chore what = {.fn = seek_end, .verb = "search for the end", .fd = file->fd};
    int64_t n;
    if (!file->asking && ouro__route_stat(file) == OURO__AT_ONCE) {
        n = seek_end(&what);
    } else {
        if (!file->asking)
            file->asking = ouro__chore_start(file, &what);
        if (file->asking->state == OURO_PENDING) {
            ouro__watch(file->asking, &t->job);
            return false;
        }
        n = ouro_future_result(file->asking).n;
        ouro__unref(file->asking);
        file->asking = NULL;
    }
    file->cursor = n < 0 ? -1 : n;
    if (n < 0)
        end(t, n);
    return n >= 0;
}

static void resume(struct ouro__job *job)
{
    struct transfer *t = OURO__CONTAINER(job, struct transfer, job);
    ouro_file *file = t->w.file;
    if (t->append && file->cursor < 0) {
        if (file->appends_only)
            file->cursor = 0; /* the kernel finds it for each */
        else if (!find_end(t))
            return;
    }
    if (t->append && t->moved == 0)
        t->offset = file->cursor;
    go_on(t);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

/* The bytes of an array; -EINVAL: an element makes no sense, or all together do not. */
static int64_t total(const struct iovec *iov, int count)
{
    size_t sum = 0;
    if (!iov || count < 1 || count > IOV_MAX)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        if ((!iov[i].iov_base && iov[i].iov_len) || iov[i].iov_len > INT64_MAX - sum)
            return -EINVAL;
        sum += iov[i].iov_len;
    }
    return (int64_t)sum;
}

/* What a call asks for. */
struct wish {
    enum what what;
    const struct iovec *iov;
    int count;
    int64_t offset;
    bool exact;
    bool append;
    bool is_array; /* the caller's, which stays */
};

static int check(const ouro_file *file, const struct wish *w, ouro_loop **ret_loop,
                 size_t *ret_left)
{
    int64_t n = total(w->iov, w->count);
    int rc = ouro__file_check(file, ret_loop);
    if (rc < 0)
        return rc;
    if (n < 0 || w->offset < 0 || w->offset > INT64_MAX - n)
        return -EINVAL;
    if (w->what == WRITE && !w->append && file->appends_only)
        return -EINVAL;
    *ret_left = (size_t)n;
    return 0;
}

/* Who writes beyond the limit of sizes, or to a pipe that nobody reads, is told by its result, and
 * not killed. */
static void mind_signals(ouro_file *file)
{
    struct ouro__files *files = ouro__files_of(file->loop);
    if (!files->blocks_sigxfsz)
        ouro__signal_block(SIGXFSZ);
    files->blocks_sigxfsz = true;
    if (file->blocks_sigpipe || ouro__route_kind(file) != OURO__FILE_STREAM)
        return;
    ouro__signal_block(SIGPIPE);
    file->blocks_sigpipe = true;
}

static ouro_future *start(ouro_file *file, const struct wish *w)
{
    ouro_loop *loop;
    size_t left;
    int rc = check(file, w, &loop, &left);
    if (rc < 0)
        return ouro__failed(rc);
    struct transfer *t = ouro__work_new(loop, &transfer_kind, file);
    if (!t)
        return ouro__failed(-ENOMEM);
    if (w->what == WRITE)
        mind_signals(file);
    t->job = (struct ouro__job){.run = resume};
    t->one = w->iov[0];
    t->iov = w->is_array ? w->iov : &t->one;
    t->count = w->count;
    t->skip = t->moved = 0;
    t->left = left;
    t->offset = w->offset;
    t->what = (uint8_t)w->what;
    t->exact = w->exact;
    t->append = w->append;
    pass_done(t);
    if (w->append)
        ouro__list_push(&file->appends, &t->in_line);
    if (left == 0)
        end(t, 0);
    else if (!w->append)
        go_on(t);
    else if (file->appends.next == &t->in_line)
        resume(&t->job);
    return &t->w.f;
}

ouro_future *ouro_file_read(ouro_file *f, void *buf, size_t len, int64_t offset)
{
    struct iovec iov = {buf, len};
    return start(f, &(struct wish){READ, &iov, 1, offset, false, false, false});
}

ouro_future *ouro_file_read_exact(ouro_file *f, void *buf, size_t len, int64_t offset)
{
    struct iovec iov = {buf, len};
    return start(f, &(struct wish){READ, &iov, 1, offset, true, false, false});
}

ouro_future *ouro_file_readv(ouro_file *f, const struct iovec *iov, int count, int64_t offset)
{
    return start(f, &(struct wish){READ, iov, count, offset, false, false, true});
}

ouro_future *ouro_file_write(ouro_file *f, const void *buf, size_t len, int64_t offset)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    return start(f, &(struct wish){WRITE, &iov, 1, offset, false, false, false});
}

ouro_future *ouro_file_writev(ouro_file *f, const struct iovec *iov, int count, int64_t offset)
{
    return start(f, &(struct wish){WRITE, iov, count, offset, false, false, true});
}

ouro_future *ouro_file_append(ouro_file *f, const void *buf, size_t len)
{
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    return start(f, &(struct wish){WRITE, &iov, 1, 0, false, true, false});
}
