/* SPDX-License-Identifier: MIT */
/*
 * Handles: how they are opened, held and closed.
 *
 * Happy path: the memory for a handle is taken, the ring opens the file, and the future settles
 * with the handle. Every operation on it holds a reference and stands in its list. Closing takes no
 * more of them, stops those that are there, and when the last has had its completion, gives up
 * locks and closes the descriptor; so no operation of ours ever meets a number that was used again,
 * and no lock outlives the handle because the ring still had the file. Whoever waits for the close
 * stands in a line.
 *
 * The user's reference is given back by ouro_file_free(), which begins the close if nobody has. A
 * handle that is closed after its loop has no ring any more and closes the descriptor itself.
 *
 * How it fails: opening with the kernel's error, and then there is no handle; closing never does,
 * though the kernel may have something to say about what was written before.
 */
#include "file_int.h"
#include "signals_int.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <linux/openat2.h>

/* ---- What a loop keeps ----------------------------------------------------------------------- */

static _Thread_local struct ouro__files here;

static void loop_closed(struct ouro__tie *tie, ouro_loop *loop, bool quietly)
{
    (void)loop;
    (void)quietly;
    struct ouro__files *files = OURO__CONTAINER(tie, struct ouro__files, tie);
    if (files->blocks_sigxfsz)
        ouro__signal_unblock(SIGXFSZ);
    *files = (struct ouro__files){.loop = NULL};
}

struct ouro__files *ouro__files_of(ouro_loop *loop)
{
    if (!here.loop) {
        here.loop = loop;
        here.tie.cut = loop_closed;
        ouro__list_init(&here.lockers);
        ouro__tie(loop, &here.tie);
    }
    assert(here.loop == loop); /* a thread has one at a time */
    return &here;
}

int ouro_file_stats_get(ouro_file_stats *ret_stats)
{
    ouro_loop *loop;
    int rc = ret_stats ? ouro__loop_here(&loop) : -EINVAL;
    if (rc == 0)
        *ret_stats = ouro__files_of(loop)->stats;
    return rc;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void end_closing(ouro_file *file, int rc);

static ouro_file *file_new(ouro_loop *loop)
{
    ouro_file *file = ouro__alloc(sizeof(*file));
    if (!file)
        return NULL;
    *file = (ouro_file){
        .loop = ouro_loop_ref(loop),
        .refs = 1,
        .fd = -1,
        .slot = -1,
        .cursor = -1,
    };
    ouro__list_init(&file->works);
    ouro__list_init(&file->appends);
    return file;
}

/* How it is open matters to its transfers. */
static void note_flags(ouro_file *file, int flags)
{
    file->direct = flags & O_DIRECT;
    file->appends_only = flags & O_APPEND;
    file->through = flags & O_DSYNC; /* which is in O_SYNC, too */
}

ouro_file *ouro__file_ref(ouro_file *file)
{
    file->refs++;
    return file;
}

int ouro__file_check(const ouro_file *file, ouro_loop **ret_loop)
{
    if (!file)
        return -EINVAL;
    ouro_loop *loop = file->loop;
    if (!ouro__loop_is_here(loop))
        return ouro__wrong_thread(loop, "file");
    if (ouro__loop_forked(loop))
        return -ECHILD;
    if (loop->phase >= OURO__SHUT)
        return -ESHUTDOWN;
    *ret_loop = loop;
    return file->state == OURO__FILE_OPEN ? 0 : -EBADF;
}

int ouro_file_fd(const ouro_file *f)
{
    if (!f)
        return -EINVAL;
    return f->state == OURO__FILE_OPEN ? f->fd : -EBADF;
}

int ouro__file_at(const ouro_file *at, ouro_file **ret_file)
{
    ouro_loop *loop;
    *ret_file = (ouro_file *)(uintptr_t)at; /* the user's is const, and its count is ours */
    return at ? ouro__file_check(at, &loop) : 0;
}

void ouro__file_aim(const ouro_file *file, struct io_uring_sqe *sqe)
{
    sqe->fd = file->slot >= 0 ? file->slot : file->fd;
    if (file->slot >= 0)
        sqe->flags |= IOSQE_FIXED_FILE;
}

/* ---- Closing --------------------------------------------------------------------------------- */

static void describe_closing(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_file *file = w->of;
    snprintf(text, size, "fd %d", file->fd);
}

static const struct ouro__wait_kind closing_kind = {
    .name = "close of a file",
    .describe = describe_closing,
    .stubborn = true,
};

static int close_now(ouro_file *file)
{
    return close(file->fd) < 0 && errno != EINTR ? -errno
                                                 : 0; /* EINTR: it is closed all the same */
}

static void closed_by_ring(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    (void)flags;
    ouro_file *file = OURO__CONTAINER(op, ouro_file, closing);
    if (res == -ECANCELED)
        res = close_now(file); /* the loop is being shut down, and it did not come to that */
    end_closing(file, res == -EINTR ? 0 : res);
}

/* Nobody uses the descriptor any more. */
static void close_descriptor(ouro_file *file)
{
    ouro_loop *loop = file->loop;
    bool has_ring = loop->phase < OURO__SHUT;
    if (file->slot >= 0 && loop->phase < OURO__CLOSED)
        ouro__slot_give(ouro__files_of(loop), file->slot);
    file->slot = -1;
    ouro__file_unlock_all(file);
    file->closing.sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_CLOSE,
        .fd = file->fd,
        .flags = IOSQE_ASYNC, /* by a thread of the kernel's, which is where it may wait */
    };
    file->closing.complete = closed_by_ring;
    if (!has_ring || ouro__route_close(file) == OURO__AT_ONCE ||
        ouro__op_start(loop, &file->closing) < 0)
        end_closing(file, close_now(file));
}

/* Nobody wants to know any more where the file ends, nor why that could not be found out. */
static void forget_question(ouro_file *file)
{
    if (!file->asking)
        return;
    ouro_future_result(file->asking);
    ouro__unref(file->asking);
    file->asking = NULL;
}

static void end_closing(ouro_file *file, int rc)
{
    file->fd = -1;
    file->state = OURO__FILE_CLOSED;
    file->close_result = rc;
    forget_question(file);
    if (file->blocks_sigpipe)
        ouro__signal_unblock(SIGPIPE);
    file->blocks_sigpipe = false;
    ouro__serve_all(&file->closers, rc);
    ouro__file_unref(file);
}

/* Stop what is under way. An operation that stops at once leaves the list, and so may others. */
static void stop_works(ouro_file *file)
{
    struct ouro__link works;
    ouro__list_init(&works);
    ouro__list_splice(&works, &file->works);
    struct ouro__link *link;
    while ((link = ouro__list_pop(&works))) {
        struct ouro__work *w = OURO__CONTAINER(link, struct ouro__work, link);
        ouro__list_push(&file->works, link);
        w->f.flags |= OURO__WORK_CLOSED;
        ouro_future *next = w->f.kind->cancel(&w->f);
        if (next)
            ouro__cancel(next);
    }
}

static void begin_closing(ouro_file *file)
{
    file->state = OURO__FILE_CLOSING;
    ouro__file_ref(file); /* until it is closed */
    if (file->loop->phase < OURO__CLOSED) {
        file->stopping = true;
        stop_works(file);
        file->stopping = false;
    }
    ouro__file_work_gone(file);
}

void ouro__file_work_gone(ouro_file *file)
{
    if (file->state == OURO__FILE_CLOSING && !file->stopping && !file->pins &&
        ouro__list_empty(&file->works))
        close_descriptor(file);
}

ouro_file *ouro__file_pin(ouro_file *file)
{
    file->pins++;
    return ouro__file_ref(file);
}

void ouro__file_unpin(ouro_file *file)
{
    file->pins--;
    ouro__file_work_gone(file);
    ouro__file_unref(file);
}

void ouro__file_unref(ouro_file *file)
{
    assert(file->refs > 0);
    if (--file->refs)
        return;
    assert(file->fd < 0);
    ouro_loop *loop = file->loop;
    ouro__release(file);
    ouro_loop_unref(loop);
}

ouro_future *ouro_file_close(ouro_file *f)
{
    ouro_loop *loop;
    int rc = ouro__file_check(f, &loop);
    if (rc == -ESHUTDOWN)
        return ouro__failed(rc);
    if (rc < 0 && rc != -EBADF)
        return ouro__failed(rc);
    if (f->state == OURO__FILE_OPEN)
        begin_closing(f);
    if (f->state == OURO__FILE_CLOSED)
        return ouro_ready(f->close_result);
    struct ouro__waiter w = {.kind = &closing_kind, .of = f};
    return ouro__wait_future(f->loop, &f->closers, &w, NULL);
}

ouro_file *ouro_file_free(ouro_file *f)
{
    if (!f || ouro__loop_forked(f->loop))
        return NULL;
    if (!ouro__loop_is_here(f->loop)) {
        ouro__report_wrong_thread("file");
        return NULL;
    }
    if (f->state == OURO__FILE_OPEN)
        begin_closing(f);
    ouro__file_unref(f);
    return NULL;
}

/* ---- Opening --------------------------------------------------------------------------------- */

struct opening {
    struct ouro__work w;
    const char *path;
    ouro_file *file; /* to be handed out */
    bool registered;
    struct open_how how;
};

static void drop_handle(void *file)
{
    ouro_file_free(file);
}

/* Whether it was tried without waiting, and may wait. */
static bool may_wait(const struct opening *o)
{
    bool stopped = o->w.f.flags & (OURO__CANCEL_ASKED | OURO__WORK_CLOSED);
    return !stopped && !(o->how.flags & O_NONBLOCK) && !(o->w.op.sqe.flags & IOSQE_ASYNC);
}

/* The ring tries with O_NONBLOCK first, and of a named pipe that nobody reads this is the end. A
 * thread of the kernel's waits for a reader. */
static bool wait_for_reader(struct opening *o)
{
    o->w.op.sqe.flags |= IOSQE_ASYNC;
    return ouro__op_start(o->w.f.loop, &o->w.op) == 0;
}

static void opened(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)flags;
    struct opening *o = OURO__CONTAINER(op, struct opening, w.op);
    ouro_file *file = o->file;
    if (res == -ENXIO && may_wait(o) && wait_for_reader(o))
        return;
    if (res < 0) {
        ouro__work_say(&o->w, res, "cannot open %s", o->path);
        file->state = OURO__FILE_CLOSED;
        ouro__file_unref(file);
        ouro__work_end(&o->w, res);
        return;
    }
    file->fd = res;
    if (o->registered)
        file->slot = ouro__slot_take(ouro__files_of(loop), res);
    o->w.f.result.ptr = file;
    o->w.f.ptr_free = drop_handle;
    ouro__work_end(&o->w, 0);
}

static void opening_describe(const ouro_future *f, char *text, size_t size)
{
    snprintf(text, size, "open of %s", OURO__CONTAINER(f, const struct opening, w.f)->path);
}

static const struct ouro__kind opening_kind = {
    .name = "open of a file",
    .size = sizeof(struct opening),
    .cancel = ouro__work_cancel,
    .describe = opening_describe,
};

static struct opening *opening_new(ouro_loop *loop, ouro_file *at)
{
    ouro_file *file = file_new(loop);
    struct opening *o = file ? ouro__work_new(loop, &opening_kind, at) : NULL;
    if (o) {
        o->file = file;
        return o;
    }
    if (file) {
        file->state = OURO__FILE_CLOSED;
        ouro__file_unref(file);
    }
    return NULL;
}

static struct open_how how_to(int flags, const ouro_file_options *opts)
{
    if (opts->direct)
        flags |= O_DIRECT;
    bool makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    return (struct open_how){
        .flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
        .mode = !makes       ? 0
                : opts->mode ? opts->mode
                             : 0666,
        .resolve = opts->resolve,
    };
}

ouro_future *ouro_file_open(const char *path, int flags, const ouro_file_options *opts)
{
    static const ouro_file_options defaults;
    ouro_loop *loop;
    ouro_file *at = NULL;
    if (!opts)
        opts = &defaults;
    int rc = path ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0)
        rc = ouro__file_at(opts->at, &at);
    if (rc < 0)
        return ouro__failed(rc);
    struct opening *o = opening_new(loop, at);
    if (!o)
        return ouro__failed(-ENOMEM);
    o->path = path;
    o->registered = opts->registered;
    o->how = how_to(flags, opts);
    note_flags(o->file, (int)o->how.flags);
    o->w.op.complete = opened;
    o->w.op.sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_OPENAT2,
        .fd = at ? at->fd : AT_FDCWD,
        .addr = (uintptr_t)path,
        .len = sizeof(o->how),
        .off = (uintptr_t)&o->how,
    };
    rc = ouro__op_start(loop, &o->w.op);
    if (rc < 0)
        opened(loop, &o->w.op, rc, 0);
    return &o->w.f;
}

int ouro_file_from_fd(int fd, ouro_file **ret_file)
{
    ouro_loop *loop;
    int rc = ret_file ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    ouro_file *file = file_new(loop);
    if (!file)
        return -ENOMEM;
    file->fd = fd;
    note_flags(file, flags);
    *ret_file = file;
    return 0;
}
