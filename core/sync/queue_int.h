/* SPDX-License-Identifier: MIT */
#ifndef OURO_QUEUE_INT_H
#define OURO_QUEUE_INT_H

/*
 * What the two halves of a queue share: queue.c puts and gets, queue_end.c makes, joins and ends.
 *
 * While getters wait, there is nothing to be had; while putters wait, there is no room. An item
 * that was handed to a future is out, but may come back: from when the future is made until it has
 * been taken or is back, room for it is reserved, and the future refers to the queue. Besides
 * those, only the user does: who waits when the queue is given back is sent away with -EPIPE, and
 * looks at the queue no more.
 */

#include "loop_int.h"
#include "queue_store.h"

/* What can still be done with a queue. */
enum ouro__queue_condition {
    OURO__QUEUE_OPEN,
    OURO__QUEUE_DRAINING, /* no more puts */
    OURO__QUEUE_OVER      /* no more gets either: what is in it is to be destroyed */
};

struct ouro_queue {
    ouro_loop *loop; /* a reference */
    int64_t capacity;
    struct ouro__store store;
    struct ouro__line putters; /* with their items */
    struct ouro__line getters;
    struct ouro__line joiners;
    int64_t unfinished;
    uint64_t
        refs; /* the user's, one for each future that waits for an item or has one, the job's */
    enum ouro__queue_condition condition;
    ouro_free_fn *item_free;
    const char *name;
    struct ouro__giver giver; /* of items to futures */
    struct ouro__job job;     /* destroys items */
};

/* 0, or why @q cannot be used here: -EINVAL, -EXDEV, -ECHILD. */
static inline int ouro__queue_check(const ouro_queue *q)
{
    if (!q)
        return -EINVAL;
    if (!ouro__loop_is_here(q->loop))
        return ouro__wrong_thread(q->loop, "queue");
    return ouro__loop_forked(q->loop) ? -ECHILD : 0;
}

/* 0, or why there can be no future of @q. */
int ouro__queue_check_future(const ouro_queue *q);

/* Why no task can wait for @q, which is not of this thread's loop. */
int ouro__queue_refuse(const ouro_queue *q);

/* Begin to wait in the current task. Not 0: @q may be gone. */
static inline int ouro__queue_begin(const ouro_queue *q, struct ouro__task **ret_task)
{
    *ret_task = NULL; /* gcc does not know that a refusal is an error */
    if (!q || q->loop != ouro__this_loop)
        return ouro__queue_refuse(q);
    return ouro__wait_begin(ret_task);
}

void ouro__queue_unref(ouro_queue *q);

/* A future will wait for an item. False: no memory to take the item back into. */
bool ouro__queue_promise(ouro_queue *q);

/* It has none, or somebody took it. */
void ouro__queue_unpromise(ouro_queue *q);

/* @n items more have been dealt with. */
void ouro__queue_finish(ouro_queue *q, int64_t n);

/* The queue is over: have what is in it destroyed. */
void ouro__queue_destroy(ouro_queue *q);

/* Nobody took an item from its future: see struct ouro__giver. */
void ouro__queue_take_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result);

/* How full @w's queue is. */
void ouro__queue_describe(const struct ouro__waiter *w, char *text, size_t size);

#endif
