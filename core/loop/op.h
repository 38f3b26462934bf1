/* SPDX-License-Identifier: MIT */
#ifndef OURO_OP_H
#define OURO_OP_H

/*
 * Operations in the hands of the driver.
 *
 * user_data is a slot of the table below and its generation, so that a late completion finds either
 * its operation or nothing. Entries wait in a list until the loop's next visit to the kernel, where
 * they are copied as far as the queue has room; cancels go first and have room kept for them.
 */

#include "future_int.h"

#include <ouro/uring.h>

#include "driver.h"

struct ouro__op;

struct ouro__op_slot {
    struct ouro__op *op; /* NULL: free */
    uint32_t generation; /* 31 bits; next use */
    uint32_t next_free;
};

struct ouro__ops {
    struct ouro__op_slot *slots;
    uint32_t slot_count;
    unsigned cancel_room;      /* entries of the driver's queue kept for cancels */
    uint32_t free_slot;        /* OURO__NO_SLOT: none */
    struct ouro__link queued;  /* to be submitted, oldest first */
    struct ouro__link cancels; /* in the kernel, to be cancelled */
    uint64_t live;             /* not settled */
    uint64_t background;       /* of them, those in the background */
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
