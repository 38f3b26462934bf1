/* SPDX-License-Identifier: MIT */
/*
 * Operations as futures: what users and most of the library wait for.
 *
 * The last completion settles the future. That of a zero-copy send is the notification, and the
 * result is what came before it; descriptors that nobody takes are closed.
 */
#include "loop_int.h"

#include <poll.h>

enum {
    RESULT_IS_FD = OURO__KIND_1,
    IN_BACKGROUND = OURO__KIND_2,
};

struct op_future {
    ouro_future f;
    struct ouro__op op;
    ouro_uring_cqe_fn *on_cqe;
    void *arg;
};

/* Where the result of a zero-copy send waits for its notification: the entry is submitted and
 * gone. */
static int32_t *early_result(struct op_future *o)
{
    return (int32_t *)&o->op.sqe.len;
}

static void settle(struct op_future *o, int32_t res)
{
    ouro_future *f = &o->f;
    struct ouro__ops *ops = &f->loop->ops;
    if (f->flags & IN_BACKGROUND)
        ops->idle--;
    bool stopped = res == -ECANCELED || res == -EINTR;
    if (stopped && (f->flags & OURO__CANCEL_ASKED)) {
        ouro__settle(f, OURO_CANCELLED, -ECANCELED);
        return;
    }
    if (res >= 0 && (f->flags & RESULT_IS_FD)) {
        ops->live_fds++;
        ouro__settle_grant(f, (ouro_result){res, NULL}, &ouro__fds);
        return;
    }
    ouro__settle_n(f, res);
}

static void show(struct op_future *o, int32_t res, uint32_t flags)
{
    ouro_loop *loop = o->f.loop;
    if (!o->on_cqe)
        return;
    ouro__beat(loop, true);
    struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))o->on_cqe, NULL);
    o->on_cqe(res, flags, o->arg);
    ouro__callback_leave(loop, before);
}

/* Not the last: a descriptor in it is the callback's, or nobody's. */
static void more_to_come(struct op_future *o, int32_t res)
{
    struct ouro__driver *d = o->f.loop->driver;
    *early_result(o) = res;
    if (!o->on_cqe && (o->f.flags & RESULT_IS_FD) && res >= 0)
        d->ops->close_fd(d, res);
}

static void op_complete(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    struct op_future *o = OURO__CONTAINER(op, struct op_future, op);
    show(o, res, flags);
    if (flags & IORING_CQE_F_MORE)
        more_to_come(o, res);
    else
        settle(o, flags & IORING_CQE_F_NOTIF ? *early_result(o) : res);
}

static ouro_future *op_cancel(ouro_future *f)
{
    struct op_future *o = OURO__CONTAINER(f, struct op_future, f);
    if (!ouro__op_live(&o->op))
        return NULL; /* its last completion is being shown, and is what it comes to */
    if (ouro__op_cancel(f->loop, &o->op))
        settle(o, -ECANCELED);
    return NULL;
}

/* Whether its `fd` is a descriptor, and one to speak of. */
static bool has_fd(const struct io_uring_sqe *sqe)
{
    switch (sqe->opcode) {
    case IORING_OP_NOP:
    case IORING_OP_TIMEOUT:
    case IORING_OP_MADVISE:
    case IORING_OP_SOCKET:
        return false;
    default:
        return sqe->fd >= 0;
    }
}

static void op_describe(const ouro_future *f, char *text, size_t size)
{
    const struct ouro__op *op = &OURO__CONTAINER(f, const struct op_future, f)->op;
    const char *name = ouro__op_name(op->sqe.opcode);
    const char *file = op->sqe.flags & IOSQE_FIXED_FILE ? "fixed file" : "fd";
    bool waits = ouro__op_live(op) && !ouro__op_in_kernel(f->loop, op);
    const char *where = waits ? ", not submitted yet" : "";
    if (has_fd(&op->sqe))
        snprintf(text, size, "operation %s, %s %d%s", name ? name : "?", file, op->sqe.fd, where);
    else
        snprintf(text, size, "operation %s%s", name ? name : "?", where);
}

static const struct ouro__kind op_kind = {
    .name = "operation",
    .size = sizeof(struct op_future),
    .cancel = op_cancel,
    .describe = op_describe,
};

#define REFUSED_FLAGS (IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS)

ouro_future *ouro_uring_op(const struct io_uring_sqe *sqe, const ouro_uring_options *opts)
{
    ouro_loop *loop;
    int rc = sqe && !(sqe->flags & REFUSED_FLAGS) ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct op_future *o = ouro__future_new(loop, &op_kind);
    if (!o)
        return ouro__failed(-ENOMEM);
    o->op.sqe = *sqe;
    o->op.complete = op_complete;
    if (ouro__op_start(loop, &o->op) < 0) {
        ouro__future_discard(&o->f);
        return ouro__failed(-ENOMEM);
    }
    o->on_cqe = opts ? opts->on_cqe : NULL;
    o->arg = opts ? opts->arg : NULL;
    if (opts && opts->result_is_fd)
        o->f.flags |= RESULT_IS_FD;
    if (opts && opts->background)
        ouro__op_to_background(&o->f);
    return &o->f;
}

ouro_future *ouro__poll_in(int fd)
{
    uint32_t events = POLLIN;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    events <<= 16; /* the kernel keeps it where the 16 bits of old were */
#endif
    struct io_uring_sqe sqe = {.opcode = IORING_OP_POLL_ADD, .fd = fd, .poll32_events = events};
    return ouro_uring_op(&sqe, NULL);
}

void ouro__op_to_background(ouro_future *f)
{
    assert(f->kind == &op_kind && f->state == OURO_PENDING);
    struct op_future *o = OURO__CONTAINER(f, struct op_future, f);
    o->f.flags |= IN_BACKGROUND;
    f->loop->ops.idle++;
    ouro__op_make_idle(f->loop, &o->op);
}
