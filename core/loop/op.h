/* SPDX-License-Identifier: MIT */
#ifndef OURO_OP_H
#define OURO_OP_H

/*
 * Operations in the hands of the driver.
 *
 * An operation is a record inside whatever it is for: a future, a socket. It stays where it is
 * until its last completion. user_data is a slot of the table below and its generation, so that a
 * late completion finds either its operation or nothing. Entries wait in a list until the loop's
 * next visit to the kernel, where they are copied as far as the queue has room; cancels go first
 * and have room kept for them.
 */

#include "future_int.h"

#include <ouro/uring.h>

#include "driver.h"

struct ouro__op;

/* A completion of @op has come. Without IORING_CQE_F_MORE in @flags it is the last: @op has no slot
 * any more, and may be started again or freed. */
typedef void ouro__op_fn(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags);

struct ouro__op {
    struct ouro__link link; /* in `queued`, or in the kernel and to be cancelled, in `cancels` */
    ouro__op_fn *complete;
    struct io_uring_sqe sqe; /* until submitted; after that only user_data, and res below */
};

struct ouro__op_slot {
    struct ouro__op *op; /* NULL: free */
    uint32_t generation; /* 31 bits; next use */
    uint32_t next_free;  /* of a free one; else OURO__OP_* flags */
};

enum {
    OURO__OP_IN_KERNEL = 1 << 0,
    OURO__OP_PARKED = 1 << 1,     /* was left over once when the queue was full */
    OURO__OP_BACKGROUND = 1 << 2, /* no loop runs for the sake of it */
    OURO__OP_CANCELLED = 1 << 3,  /* as far as we can */
};

struct ouro__ops {
    struct ouro__op_slot *slots;
    uint32_t slot_count;
    unsigned cancel_room;      /* entries of the driver's queue kept for cancels */
    uint32_t free_slot;        /* OURO__NO_SLOT: none */
    struct ouro__link queued;  /* to be submitted, oldest first */
    struct ouro__link cancels; /* in the kernel, to be cancelled */
    uint64_t live;             /* not ended */
    uint64_t background;       /* of them, those in the background, */
    uint64_t idle;             /* and of those, futures */
    uint64_t in_kernel;        /* completions owed, those of cancels included */
    uint64_t stale;
    uint64_t parked;
    uint64_t submitted;
    uint64_t completed;
    uint64_t live_fds; /* descriptors in results that nobody has taken */
};

#define OURO__NO_SLOT UINT32_MAX

/* @queue_size: entries that an empty queue of the driver has room for. */
void ouro__ops_init(struct ouro__ops *ops, unsigned queue_size);
void ouro__ops_drop(struct ouro__ops *ops);

/* Fill the driver's queue. True when something was left over. */
bool ouro__ops_flush(ouro_loop *loop);

/* Have @op done: its sqe and complete are set, and its link is not in a list. -ENOMEM: there is no
 * slot for it; else it completes, at the next visit to the kernel or later. */
int ouro__op_start(ouro_loop *loop, struct ouro__op *op);

/* The same for one in the background. */
int ouro__op_start_idle(ouro_loop *loop, struct ouro__op *op);

/* Put a live operation in the background. */
void ouro__op_make_idle(ouro_loop *loop, struct ouro__op *op);

/* Whether the kernel has seen a live operation. */
bool ouro__op_in_kernel(const ouro_loop *loop, const struct ouro__op *op);

/* Whether @op is started and has not ended. */
static inline bool ouro__op_live(const struct ouro__op *op)
{
    return op->sqe.user_data != 0;
}

/* Ask a live operation to stop. True: it was not submitted yet, and has ended without a completion.
 * False: its last completion is still to come, and says what became of it. */
bool ouro__op_cancel(ouro_loop *loop, struct ouro__op *op);

/* The loop is shut down: the same for all that nobody has asked, and these are told -ECANCELED. */
void ouro__ops_cancel_all(ouro_loop *loop);

/* A completion has come. */
void ouro__op_complete(ouro_loop *loop, const struct ouro__completion *completion);

/* Wait until there is something to read from @fd. */
ouro_future *ouro__poll_in(int fd);

/* Put @f, an operation, in the background: a loop that has nothing else ends. Closing the loop
 * cancels it. */
void ouro__op_to_background(ouro_future *f);

static inline bool ouro__ops_waiting(const struct ouro__ops *ops)
{
    return !ouro__list_empty(&ops->queued) || !ouro__list_empty(&ops->cancels);
}

#endif
