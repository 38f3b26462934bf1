/* SPDX-License-Identifier: MIT */
#ifndef OURO_QUEUE_STORE_H
#define OURO_QUEUE_STORE_H

/*
 * What is in a queue, in the order in which it comes out.
 *
 * A ring for FIFO and LIFO, which differ only in the end that is taken from; for PRIORITY a binary
 * heap, where a sequence number tells equals apart. Room is made when an item comes that needs it,
 * and then kept. For items that are out and may come back room stays reserved, so that coming back
 * cannot fail.
 */

#include <ouro/queue.h>

#include <assert.h>
#include <stdbool.h>

/* An item of the heap. */
struct ouro__ranked {
    void *item;
    int64_t sequence; /* of equals the least comes first */
};

struct ouro__store {
    ouro_queue_order order;
    size_t count;
    size_t reserved; /* for items that may come back */
    size_t room;     /* count + reserved fit in it; a power of two, or 0 */
    size_t head;     /* of the ring: where its oldest item is */
    union {
        void **ring;
        struct ouro__ranked *heap;
    };
    ouro_compare_fn *compare; /* NULL: any order will do */
    void *compare_arg;
    int64_t last;  /* sequence number of the newest item, */
    int64_t first; /* and of the one that came back latest, below all others */
};

void ouro__store_init(struct ouro__store *store, const ouro_queue_options *opts);
void ouro__store_drop(struct ouro__store *store);

/* Nobody cares for the order any more: the comparator is not called again. */
void ouro__store_forget_order(struct ouro__store *store);

/* Reserve room for an item that may come back. False when there is no memory. */
bool ouro__store_reserve(struct ouro__store *store);

static inline void ouro__store_unreserve(struct ouro__store *store)
{
    assert(store->reserved > 0);
    store->reserved--;
}

/* Put an item that comes back into room reserved for it, where it comes out next. */
void ouro__store_return(struct ouro__store *store, void *item);

/* The slow paths. */
bool ouro__store_grow(struct ouro__store *store);
void ouro__store_rank(struct ouro__store *store, void *item, int64_t sequence);
void *ouro__store_take_least(struct ouro__store *store);

static inline void **ouro__store_at(struct ouro__store *store, size_t i)
{
    return &store->ring[(store->head + i) & (store->room - 1)];
}

/* Put a new item in. False when there is no memory for it. */
static inline bool ouro__store_put(struct ouro__store *store, void *item)
{
    if (store->count + store->reserved == store->room && !ouro__store_grow(store))
        return false;
    if (store->order == OURO_QUEUE_PRIORITY)
        ouro__store_rank(store, item, ++store->last);
    else
        *ouro__store_at(store, store->count++) = item;
    return true;
}

/* Take out what is next; there must be something. */
static inline void *ouro__store_take(struct ouro__store *store)
{
    assert(store->count > 0);
    if (store->order == OURO_QUEUE_PRIORITY)
        return ouro__store_take_least(store);
    store->count--;
    if (store->order == OURO_QUEUE_LIFO)
        return *ouro__store_at(store, store->count);
    void *item = store->ring[store->head];
    store->head = (store->head + 1) & (store->room - 1);
    return item;
}

#endif
