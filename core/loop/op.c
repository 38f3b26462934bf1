/* SPDX-License-Identifier: MIT */
/*
 * Operations.
 *
 * An operation keeps its own copy of the entry and waits in `queued`; once a turn the loop copies
 * what fits into the driver's queue. From then on the kernel may write to the caller's memory, and
 * only its last completion ends it: a cancel is a request, sent from a list of its own with room
 * kept for it, and what the operation itself says is what counts. An operation cancelled before it
 * was handed over is simply unlinked. What it is for is its owner's: a future, in uring_op.c.
 *
 * A slot's generation grows with each use, so a completion that comes too late, or a cancel that
 * finds its target gone, can never touch the next operation in the same slot.
 */
#include "loop_int.h"
#include "memcheck.h"

#define FIRST_SLOTS 64u
#define CANCEL_ROOM 8u /* entries of the queue that only cancels may take; of a small one fewer */

/* user_data of cancels; slot and generation of no operation, since generations start at 1. */
#define CANCEL_DATA UINT64_C(0)

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
static bool take_slot(struct ouro__ops *ops, struct ouro__op *op, uint32_t flags)
{
    if (ops->free_slot == OURO__NO_SLOT && !add_slots(ops))
        return false;
    uint32_t i = ops->free_slot;
    struct ouro__op_slot *slot = &ops->slots[i];
    ops->free_slot = slot->next_free;
    slot->op = op;
    slot->next_free = flags;
    op->sqe.user_data = (uint64_t)slot->generation << 32 | i;
    return true;
}

static struct ouro__op_slot *slot_of(const struct ouro__ops *ops, const struct ouro__op *op)
{
    struct ouro__op_slot *slot = &ops->slots[(uint32_t)op->sqe.user_data];
    assert(slot->op == op);
    return slot;
}

static void give_slot_back(struct ouro__ops *ops, struct ouro__op *op)
{
    uint32_t i = (uint32_t)op->sqe.user_data;
    struct ouro__op_slot *slot = slot_of(ops, op);
    slot->op = NULL;
    op->sqe.user_data = 0;
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

/* ---- Beginning and end ----------------------------------------------------------------------- */

static int start(ouro_loop *loop, struct ouro__op *op, uint32_t flags)
{
    struct ouro__ops *ops = &loop->ops;
    if (!take_slot(ops, op, flags))
        return -ENOMEM;
    ops->live++;
    if (flags & OURO__OP_BACKGROUND)
        ops->background++;
    ouro__list_push(&ops->queued, &op->link);
    return 0;
}

int ouro__op_start(ouro_loop *loop, struct ouro__op *op)
{
    return start(loop, op, 0);
}

int ouro__op_start_idle(ouro_loop *loop, struct ouro__op *op)
{
    return start(loop, op, OURO__OP_BACKGROUND);
}

void ouro__op_make_idle(ouro_loop *loop, struct ouro__op *op)
{
    slot_of(&loop->ops, op)->next_free |= OURO__OP_BACKGROUND;
    loop->ops.background++;
}

bool ouro__op_in_kernel(const ouro_loop *loop, const struct ouro__op *op)
{
    return slot_of(&loop->ops, op)->next_free & OURO__OP_IN_KERNEL;
}

static void end(struct ouro__ops *ops, struct ouro__op *op)
{
    if (ouro__linked(&op->link))
        ouro__list_remove(&op->link);
    uint32_t flags = slot_of(ops, op)->next_free;
    if (flags & OURO__OP_BACKGROUND)
        ops->background--;
    if (flags & OURO__OP_BACKGROUND && flags & OURO__OP_CANCELLED)
        ops->ending--;
    give_slot_back(ops, op);
    ops->live--;
}

bool ouro__op_cancel(ouro_loop *loop, struct ouro__op *op)
{
    struct ouro__op_slot *slot = slot_of(&loop->ops, op);
    if (!(slot->next_free & OURO__OP_IN_KERNEL)) {
        end(&loop->ops, op);
        return true;
    }
    if (slot->next_free & OURO__OP_CANCELLED)
        return false;
    ouro__list_push(&loop->ops.cancels, &op->link);
    if (slot->next_free & OURO__OP_BACKGROUND)
        loop->ops.ending++;
    slot->next_free |= OURO__OP_CANCELLED;
    return false;
}

void ouro__ops_cancel_all(ouro_loop *loop)
{
    for (uint32_t i = 0; i < loop->ops.slot_count; i++) {
        struct ouro__op *op = loop->ops.slots[i].op;
        if (op && ouro__op_cancel(loop, op))
            op->complete(loop, op, -ECANCELED, 0);
    }
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
        struct ouro__op_slot *slot = slot_of(ops, op);
        if (slot->next_free & OURO__OP_PARKED)
            return;
        slot->next_free |= OURO__OP_PARKED;
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
        slot_of(ops, op)->next_free |= OURO__OP_IN_KERNEL;
        ops->in_kernel++;
        ops->submitted++;
    }
    count_parked(ops);
    return ouro__ops_waiting(ops);
}

/* ---- From the driver ------------------------------------------------------------------------- */

static void tell_memcheck(const struct io_uring_sqe *sqe, int32_t res)
{
    switch (sqe->opcode) {
    case IORING_OP_READ:
    case IORING_OP_READ_FIXED:
    case IORING_OP_RECV:
        if (res > 0 && !(sqe->flags & IOSQE_BUFFER_SELECT))
            ouro__memory_is_written((const void *)(uintptr_t)sqe->addr, (size_t)res);
        break;
    case IORING_OP_STATX:
        if (res == 0)
            ouro__memory_is_written((const void *)(uintptr_t)sqe->off, 256);
        break;
    default:
        break;
    }
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
    if (!op || !(slot_of(ops, op)->next_free & OURO__OP_IN_KERNEL)) {
        ops->stale++;
        return;
    }
    tell_memcheck(&op->sqe, c->res);
    if (!(c->flags & IORING_CQE_F_MORE)) {
        ops->in_kernel--;
        end(ops, op);
    }
    op->complete(loop, op, c->res, c->flags);
}
