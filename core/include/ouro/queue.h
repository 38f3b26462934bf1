/* SPDX-License-Identifier: MIT */
#ifndef OURO_QUEUE_H
#define OURO_QUEUE_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/sync.h>

/**
 * @file queue.h
 * Queues between tasks: producers put, consumers get, and both wait where they have to.
 *
 * An item is a pointer of yours; NULL is one too. It is the queue's from a put that succeeded to
 * the get that hands it out. Waiting needs no memory: see <ouro/sync.h>, whose rules hold here too.
 *
 *     ouro_queue *q;
 *     rc = ouro_queue_new(10, NULL, &q);
 *     ...
 *     while ((rc = ouro_queue_get(q, &item)) == 0) {      in a consumer
 *         work(item);
 *         ouro_queue_task_done(q);
 *     }
 */

/** A queue of pointers. Belongs to the loop of the thread that made it. */
typedef struct ouro_queue ouro_queue;

/** Which item comes out next. */
typedef enum ouro_queue_order {
    OURO_QUEUE_FIFO = 0, /**< the oldest */
    OURO_QUEUE_LIFO,     /**< the youngest: a stack */
    OURO_QUEUE_PRIORITY  /**< the least by the comparator; of equals the oldest */
} ouro_queue_order;

/** Compares two items: < 0 when @p a comes out first, 0 when they are equal. It may not wait, nor
 *  use the queue. */
typedef int ouro_compare_fn(const void *a, const void *b, void *arg);

/** Options of ouro_queue_new(). Zero is the default of every field. */
typedef struct ouro_queue_options {
    ouro_queue_order order;   /**< default: FIFO */
    ouro_compare_fn *compare; /**< for PRIORITY, which needs one */
    void *compare_arg;        /**< passed to compare. Borrowed while the queue lives */
    ouro_free_fn *item_free;  /**< destroys an item that nobody will get: shutdown NOW, or free.
                                   Default: nothing is done */
    const char *name;         /**< for ouro_tasks_print(); borrowed. Default: none */
} ouro_queue_options;

/** How ouro_queue_shutdown() ends a queue. */
typedef enum ouro_shutdown_mode {
    OURO_SHUTDOWN_DRAIN = 0, /**< no more puts; what is in it can still be had */
    OURO_SHUTDOWN_NOW        /**< what is in it is destroyed */
} ouro_shutdown_mode;

OURO_BEGIN_DECLS

/**
 * Make a queue.
 *
 * @param capacity   How many items it holds before a put has to wait. 0: none, so that each put
 *                   waits for its get (a rendezvous). OURO_UNBOUNDED: as many as memory does.
 * @param opts       Copied; NULL for defaults.
 * @param ret_queue  Receives it, yours until ouro_queue_free().
 * @return 0, -ENOMEM, -EINVAL (NULL, a negative capacity, an unknown order, PRIORITY without
 *         a comparator), -EPERM (no loop on this thread), -ECHILD. On failure nothing is written.
 * @thread Loop thread only.
 */
int ouro_queue_new(int64_t capacity, const ouro_queue_options *opts,
                   ouro_queue **ret_queue) OURO_NODISCARD;

/**
 * Give a queue back: shut down NOW, if it was not. Who still waits gets -EPIPE.
 *
 * @param q  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_queue *ouro_queue_free(ouro_queue *q);

/**
 * Put an item in, waiting for room if need be. Items of those who wait go in in the order in which
 * they came, before anything that is put later.
 *
 * @param q     Borrowed.
 * @param item  The queue's once this has returned 0, else still yours.
 * @return 0. -ECANCELED, -EPIPE (shut down), -ENOMEM (no room for a longer queue), -EPERM (not in a
 *         task), -EINVAL (NULL queue), -EXDEV, -ECHILD.
 * @thread Loop thread only, in a task.   @suspends While it is full; and after 128 waits in a row
 *         that did not suspend, once, to let others run.
 */
int ouro_queue_put(ouro_queue *q, void *item) OURO_NODISCARD;

/**
 * Put an item in if that needs no waiting.
 *
 * @param q     Borrowed.
 * @param item  The queue's once this has returned 0, else still yours.
 * @return 0, -EAGAIN (full, or others wait for room), -EPIPE, -ENOMEM, -EINVAL, -EXDEV, -ECHILD.
 * @thread Loop thread only.
 */
int ouro_queue_try_put(ouro_queue *q, void *item) OURO_NODISCARD;

/**
 * Put an item in, as a future: 0 when it is in.
 *
 * In an ouro_select() that another wins it may have gone in all the same: keep a reference to tell.
 *
 * @param q     Borrowed; the future keeps what it needs of it.
 * @param item  The queue's once the future has settled with 0, else still yours.
 * @return A future, never NULL: as ouro_queue_put(), and -ESHUTDOWN.   @owns the caller.
 * @thread Loop thread only.
 */
ouro_future *ouro_queue_put_future(ouro_queue *q, void *item) OURO_NODISCARD;

/**
 * Get the next item, waiting for one if need be.
 *
 * @param q         Borrowed.
 * @param ret_item  Receives the item, yours from now on. Written on success alone.
 * @return 0. -ECANCELED (no item was taken), -EPIPE (shut down, and nothing is left), -EPERM (not
 *         in a task), -EINVAL (NULL), -EXDEV, -ECHILD.
 * @thread Loop thread only, in a task.   @suspends While it is empty; else as ouro_queue_put().
 */
int ouro_queue_get(ouro_queue *q, void **ret_item) OURO_NODISCARD;

/**
 * Get the next item if that needs no waiting.
 *
 * @param q         Borrowed.
 * @param ret_item  Receives the item. Written on success alone.
 * @return 0, -EAGAIN (empty), -EPIPE, -EINVAL, -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_queue_try_get(ouro_queue *q, void **ret_item) OURO_NODISCARD;

/**
 * Get the next item, as a future: 0 and the item in ptr, for ouro_await_ptr().
 *
 * An item that nobody takes from it goes back, to where it comes out next; of several, the last to
 * go back does. One that goes back to a queue that drains is there for who asks again: -EPIPE may
 * have been told meanwhile.
 *
 * @param q  Borrowed; the future keeps what it needs of it.
 * @return A future, never NULL: as ouro_queue_get(), and -ENOMEM, -ESHUTDOWN.   @owns the caller.
 * @thread Loop thread only.
 */
ouro_future *ouro_queue_get_future(ouro_queue *q) OURO_NODISCARD;

/**
 * Say that an item that was got has been dealt with.
 *
 * @param q  Borrowed.
 * @return 0, -EINVAL (NULL; or more often than items were put: nothing has changed), -EXDEV,
 *         -ECHILD.
 * @thread Loop thread only.
 */
int ouro_queue_task_done(ouro_queue *q);

/**
 * Wait until every item that was put in has been dealt with: ouro_queue_task_done() was called for
 * it, or a shutdown destroyed it.
 *
 * @param q  Borrowed.
 * @return 0, -ECANCELED, -EPERM (not in a task), -EINVAL (NULL), -EXDEV, -ECHILD.
 * @thread Loop thread only, in a task.   @suspends While there is something unfinished.
 */
int ouro_queue_join(ouro_queue *q) OURO_NODISCARD;

/**
 * The same as a future: 0 when nothing is unfinished.
 *
 * @param q  Borrowed; the future keeps what it needs of it.
 * @return A future, never NULL: as ouro_queue_join(), and -ENOMEM, -ESHUTDOWN.   @owns the caller.
 * @thread Loop thread only.
 */
ouro_future *ouro_queue_join_future(ouro_queue *q) OURO_NODISCARD;

/**
 * End a queue: puts fail with -EPIPE from now on, those that wait too, whose items stay their
 * putters'.
 *
 * DRAIN: gets go on until it is empty, then fail with -EPIPE. NOW: they fail at once; what is in it
 * counts as dealt with and is destroyed in the next turn. A second call changes nothing, but for
 * NOW after DRAIN.
 *
 * @param q     Borrowed.
 * @param mode  How.
 * @return 0, -EINVAL (NULL, an unknown mode), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_queue_shutdown(ouro_queue *q, ouro_shutdown_mode mode);

/**
 * How many items are in it, those of waiting putters not counted.
 *
 * @param q  Borrowed.
 * @return The number; -EINVAL (NULL).   @thread Loop thread only.
 */
int64_t ouro_queue_size(const ouro_queue *q);

/**
 * How many items were put in and not yet dealt with.
 *
 * @param q  Borrowed.
 * @return The number; -EINVAL (NULL).   @thread Loop thread only.
 */
int64_t ouro_queue_unfinished(const ouro_queue *q);

OURO_END_DECLS

#endif
