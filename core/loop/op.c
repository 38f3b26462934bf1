/* SPDX-License-Identifier: MIT */
/*
 * Operations as futures.
 *
 * An operation keeps its own copy of the entry and waits in `queued`; once a turn the loop copies
 * what fits into the driver's queue. From then on the kernel may write to the caller's memory, and
 * only its last completion settles the future: a cancel is a request, sent from a list of its own
 * with room kept for it, and what the operation itself says is what counts. An operation cancelled
 * before it was handed over is simply unlinked.
 *
 * A slot's generation grows with each use, so a completion that comes too late, or a cancel that
 * finds its target gone, can never touch the next operation in the same slot.
 */
#include "loop_int.h"

#include <poll.h>
#include <string.h>

#define FIRST_SLOTS 64u
#define CANCEL_ROOM 8u /* entries of the queue that only cancels may take; of a small one fewer */

/* user_data of cancels; slot and generation of no operation, since generations start at 1. */
#define CANCEL_DATA UINT64_C(0)

enum {
    IN_KERNEL = OURO__KIND_1,
    RESULT_IS_FD = OURO__KIND_2,
    WAS_PARKED = OURO__KIND_3,
};

struct ouro__op {
    ouro_future f;
    struct ouro__link link; /* in `queued`, or in the kernel and to be cancelled, in `cancels` */
    ouro_uring_cqe_fn *on_cqe;
    void *arg;
    struct io_uring_sqe sqe; /* until submitted; after that only user_data and res below */
};

/* Where the result of a zero-copy send waits for its notification: the entry is submitted and
 * gone. */
static int32_t *early_result(struct ouro__op *op)
{
    return (int32_t *)&op->sqe.len;
}

/* ---- Slots ----------------------------------------------------------------------------------- */

void ouro__ops_init(struct ouro__ops *ops, unsigned queue_size)
{
    *ops = (struct ouro__ops){.free_slot = OURO__NO_SLOT, .cancel_room = queue_size / 4};
    if (ops->cancel_room > CANCEL_ROOM)
        ops->cancel_room = CANCEL_ROOM;
    ouro__list_init(&ops->queued);
    ouro__list_init(&ops->cancels);
}

void ouro__ops_drop(struct ouro__ops *ops)
{
    ouro__release(ops->slots);
    ops->slots = NULL;
}

static bool add_slots(struct ouro__ops *ops)
{
    uint32_t count = ops->slot_count ? ops->slot_count * 2 : FIRST_SLOTS;
    if (count < ops->slot_count)
        return false;
    struct ouro__op_slot *slots = ouro__resize(ops->slots, count * sizeof(*slots));
    if (!slots)
        return false;
    for (uint32_t i = count; i-- > ops->slot_count;) {
        slots[i] = (struct ouro__op_slot){.generation = 1, .next_free = ops->free_slot};
        ops->free_slot = i;
    }
    ops->slots = slots;
    ops->slot_count = count;
    return true;
}

/* Give @op a slot and its user_data. False when there is no memory. */
static bool take_slot(struct ouro__ops *ops, struct ouro__op *op)
{
    if (ops->free_slot == OURO__NO_SLOT && !add_slots(ops))
        return false;
    uint32_t i = ops->free_slot;
    struct ouro__op_slot *slot = &ops->slots[i];
    ops->free_slot = slot->next_free;
    slot->op = op;
    op->sqe.user_data = (uint64_t)slot->generation << 32 | i;
    return true;
}

static void give_slot_back(struct ouro__ops *ops, const struct ouro__op *op)
{
    uint32_t i = (uint32_t)op->sqe.user_data;
    struct ouro__op_slot *slot = &ops->slots[i];
    assert(slot->op == op);
    slot->op = NULL;
    slot->generation = slot->generation == INT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = ops->free_slot;
    ops->free_slot = i;
}

/* The operation that @user_data names; NULL when that has ended. */
static struct ouro__op *find(const struct ouro__ops *ops, uint64_t user_data)
{
    uint32_t i = (uint32_t)user_data;
    if (i >= ops->slot_count || ops->slots[i].generation != user_data >> 32)
        return NULL;
    return ops->slots[i].op;
}

/* ---- To the driver --------------------------------------------------------------------------- */

static void submit_cancels(ouro_loop *loop)
{
    struct ouro__driver *d = loop->driver;
    while (!ouro__list_empty(&loop->ops.cancels)) {
        struct io_uring_sqe *sqe = d->ops->get_sqe(d);
        if (!sqe)
            return;
        struct ouro__link *link = ouro__list_pop(&loop->ops.cancels);
        sqe->opcode = IORING_OP_ASYNC_CANCEL;
        sqe->fd = -1;
        sqe->addr = OURO__CONTAINER(link, struct ouro__op, link)->sqe.user_data;
        sqe->user_data = CANCEL_DATA;
        loop->ops.in_kernel++;
        loop->ops.submitted++;
    }
}

/* Count the operations that are left over for the first time; the others are before them. */
static void count_parked(struct ouro__ops *ops)
{
    for (struct ouro__link *l = ops->queued.prev; l != &ops->queued; l = l->prev) {
        struct ouro__op *op = OURO__CONTAINER(l, struct ouro__op, link);
        if (op->f.flags & WAS_PARKED)
            return;
        op->f.flags |= WAS_PARKED;
        ops->parked++;
    }
}

bool ouro__ops_flush(ouro_loop *loop)
{
    struct ouro__ops *ops = &loop->ops;
    struct ouro__driver *d = loop->driver;
    if (!ouro__ops_waiting(ops))
        return false;
    submit_cancels(loop);
    unsigned space = d->ops->sq_space(d);
    for (; space > ops->cancel_room && !ouro__list_empty(&ops->queued); space--) {
        struct ouro__op *op = OURO__CONTAINER(ops->queued.next, struct ouro__op, link);
        struct io_uring_sqe *sqe = d->ops->get_sqe(d);
        if (!sqe)
            break;
        ouro__list_remove(&op->link);
        *sqe = op->sqe;
        *early_result(op) = 0;
        op->f.flags |= IN_KERNEL;
        ops->in_kernel++;
        ops->submitted++;
    }
    count_parked(ops);
    return ouro__ops_waiting(ops);
}

/* ---- From the driver ------------------------------------------------------------------------- */

static void op_settle(struct ouro__op *op, int32_t res)
{
    ouro_future *f = &op->f;
    struct ouro__ops *ops = &f->loop->ops;
    if (ouro__linked(&op->link))
        ouro__list_remove(&op->link);
    give_slot_back(ops, op);
    ops->live--;
    if (f->flags & OURO__BACKGROUND)
        ops->background--;
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

static void show(struct ouro__op *op, const struct ouro__completion *c)
{
    ouro_loop *loop = op->f.loop;
    if (!op->on_cqe)
        return;
    ouro__beat(loop, true);
    struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))op->on_cqe, NULL);
    op->on_cqe(c->res, c->flags, op->arg);
    ouro__callback_leave(loop, before);
}

/* Not the last: a descriptor in it is the callback's, or nobody's. */
static void more_to_come(struct ouro__op *op, const struct ouro__completion *c)
{
    struct ouro__driver *d = op->f.loop->driver;
    *early_result(op) = c->res;
    if (!op->on_cqe && (op->f.flags & RESULT_IS_FD) && c->res >= 0)
        d->ops->close_fd(d, c->res);
}

void ouro__op_complete(ouro_loop *loop, const struct ouro__completion *c)
{
    struct ouro__ops *ops = &loop->ops;
    ops->completed++;
    if (c->user_data == CANCEL_DATA) {
        ops->in_kernel--;
        return;
    }
    struct ouro__op *op = find(ops, c->user_data);
    if (!op || !(op->f.flags & IN_KERNEL)) {
        ops->stale++;
        return;
    }
    show(op, c);
    if (c->flags & IORING_CQE_F_MORE) {
        more_to_come(op, c);
        return;
    }
    ops->in_kernel--;
    op_settle(op, c->flags & IORING_CQE_F_NOTIF ? *early_result(op) : c->res);
}

/* ---- Operations ------------------------------------------------------------------------------ */

static ouro_future *op_cancel(ouro_future *f)
{
    struct ouro__op *op = OURO__CONTAINER(f, struct ouro__op, f);
    if (f->flags & IN_KERNEL)
        ouro__list_push(&f->loop->ops.cancels, &op->link);
    else
        op_settle(op, -ECANCELED);
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
    const struct ouro__op *op = OURO__CONTAINER(f, const struct ouro__op, f);
    const char *name = ouro__op_name(op->sqe.opcode);
    const char *file = op->sqe.flags & IOSQE_FIXED_FILE ? "fixed file" : "fd";
    const char *where = f->flags & IN_KERNEL ? "" : ", not submitted yet";
    if (has_fd(&op->sqe))
        snprintf(text, size, "operation %s, %s %d%s", name ? name : "?", file, op->sqe.fd, where);
    else
        snprintf(text, size, "operation %s%s", name ? name : "?", where);
}

static const struct ouro__kind op_kind = {
    .name = "operation",
    .size = sizeof(struct ouro__op),
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
    struct ouro__op *op = ouro__future_new(loop, &op_kind);
    if (!op)
        return ouro__failed(-ENOMEM);
    op->sqe = *sqe;
    if (!take_slot(&loop->ops, op)) {
        ouro__future_discard(&op->f);
        return ouro__failed(-ENOMEM);
    }
    op->on_cqe = opts ? opts->on_cqe : NULL;
    op->arg = opts ? opts->arg : NULL;
    if (opts && opts->result_is_fd)
        op->f.flags |= RESULT_IS_FD;
    loop->ops.live++;
    ouro__list_push(&loop->ops.queued, &op->link);
    return &op->f;
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
    f->flags |= OURO__BACKGROUND;
    f->loop->ops.background++;
}
