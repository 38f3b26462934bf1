/* SPDX-License-Identifier: MIT */
/*
 * The less frequent half of a queue's store: growing, returning, and the heap.
 *
 * The heap keeps each item before its children, by the comparator and among equals by sequence
 * number. New items count up and those that come back count down, so that no two are alike: the
 * order is total, and equals come out as they went in. No memory to grow is the only failure, and
 * changes nothing.
 */
#include "queue_store.h"

#include "memory_int.h"

#include <string.h>

#define FIRST_ROOM 16

void ouro__store_init(struct ouro__store *store, const ouro_queue_options *opts)
{
    *store = (struct ouro__store){
        .order = opts->order, .compare = opts->compare, .compare_arg = opts->compare_arg};
}

void ouro__store_drop(struct ouro__store *store)
{
    ouro__release(store->ring);
}

void ouro__store_forget_order(struct ouro__store *store)
{
    store->compare = NULL;
}

/* ---- Room ------------------------------------------------------------------------------------ */

/* The ring has twice the room: what went round its old end goes behind it. */
static void unwrap(struct ouro__store *store, size_t old_room)
{
    size_t end = store->head + store->count;
    if (end > old_room)
        memcpy(store->ring + old_room, store->ring, (end - old_room) * sizeof(*store->ring));
}

bool ouro__store_grow(struct ouro__store *store)
{
    bool ranked = store->order == OURO_QUEUE_PRIORITY;
    size_t room = store->room ? store->room * 2 : FIRST_ROOM;
    size_t size = ranked ? sizeof(*store->heap) : sizeof(*store->ring);
    void *items = ouro__resize(store->ring, room * size);
    if (!items)
        return false;
    size_t old_room = store->room;
    store->room = room;
    if (ranked) {
        store->heap = items;
    } else {
        store->ring = items;
        unwrap(store, old_room);
    }
    return true;
}

bool ouro__store_reserve(struct ouro__store *store)
{
    if (store->count + store->reserved == store->room && !ouro__store_grow(store))
        return false;
    store->reserved++;
    return true;
}

void ouro__store_return(struct ouro__store *store, void *item)
{
    ouro__store_unreserve(store);
    if (store->order == OURO_QUEUE_PRIORITY) {
        ouro__store_rank(store, item, --store->first);
        return;
    }
    if (store->order == OURO_QUEUE_FIFO) {
        store->head = (store->head - 1) & (store->room - 1);
        store->ring[store->head] = item;
    } else {
        *ouro__store_at(store, store->count) = item;
    }
    store->count++;
}

/* ---- The heap -------------------------------------------------------------------------------- */

static bool before(const struct ouro__store *store, const struct ouro__ranked *a,
                   const struct ouro__ranked *b)
{
    int order = store->compare ? store->compare(a->item, b->item, store->compare_arg) : 0;
    return order < 0 || (order == 0 && a->sequence < b->sequence);
}

void ouro__store_rank(struct ouro__store *store, void *item, int64_t sequence)
{
    struct ouro__ranked *heap = store->heap;
    struct ouro__ranked entry = {item, sequence};
    size_t i = store->count++;
    while (i > 0 && before(store, &entry, &heap[(i - 1) / 2])) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = entry;
}

void *ouro__store_take_least(struct ouro__store *store)
{
    struct ouro__ranked *heap = store->heap;
    void *least = heap[0].item;
    size_t n = --store->count, i = 0;
    struct ouro__ranked last = heap[n];
    for (size_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && before(store, &heap[child + 1], &heap[child]))
            child++;
        if (!before(store, &heap[child], &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return least;
}
