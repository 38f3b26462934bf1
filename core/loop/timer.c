/* SPDX-License-Identifier: MIT */
/*
 * The timer heap; timer.h says what it promises.
 *
 * Invariants: heap[i] is not after any of heap[4i+1 .. 4i+4], and heap[i].timer->index == i. A sift
 * moves a hole, not pairs, so every entry is written once.
 */
#include "timer.h"

#include "memory_int.h"

#include <assert.h>
#include <errno.h>

#define ARITY          4u
#define FIRST_CAPACITY 64u

static bool before(const struct ouro__timer_entry *a, const struct ouro__timer_entry *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return a->timer->sequence < b->timer->sequence;
}

static void put(struct ouro__timers *timers, uint32_t i, struct ouro__timer_entry entry)
{
    timers->heap[i] = entry;
    entry.timer->index = i;
}

/* Fill the hole at @i with @entry or, level by level, with later parents. */
static void sift_up(struct ouro__timers *timers, uint32_t i, struct ouro__timer_entry entry)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / ARITY;
        if (!before(&entry, &timers->heap[parent]))
            break;
        put(timers, i, timers->heap[parent]);
        i = parent;
    }
    put(timers, i, entry);
}

/* The child of @i that comes first; @count when it has none. */
static uint32_t first_child(const struct ouro__timers *timers, uint32_t i)
{
    uint64_t first = (uint64_t)i * ARITY + 1;
    if (first >= timers->count)
        return timers->count;
    uint32_t best = (uint32_t)first;
    uint64_t end = first + ARITY < timers->count ? first + ARITY : timers->count;
    for (uint32_t c = best + 1; c < end; c++)
        if (before(&timers->heap[c], &timers->heap[best]))
            best = c;
    return best;
}

static void sift_down(struct ouro__timers *timers, uint32_t i, struct ouro__timer_entry entry)
{
    for (;;) {
        uint32_t child = first_child(timers, i);
        if (child == timers->count || !before(&timers->heap[child], &entry))
            break;
        put(timers, i, timers->heap[child]);
        i = child;
    }
    put(timers, i, entry);
}

static int grow(struct ouro__timers *timers)
{
    uint32_t capacity = timers->capacity ? timers->capacity + timers->capacity / 2 : FIRST_CAPACITY;
    if (capacity < timers->capacity)
        return -ENOMEM;
    void *heap = ouro__resize(timers->heap, capacity * sizeof(*timers->heap));
    if (!heap)
        return -ENOMEM;
    timers->heap = heap;
    timers->capacity = capacity;
    return 0;
}

int ouro__timer_set(struct ouro__timers *timers, struct ouro__timer *timer, ouro_ns deadline)
{
    assert(!ouro__timer_is_set(timer));
    if (deadline == OURO_FOREVER)
        return 0;
    if (timers->count == timers->capacity && grow(timers) < 0)
        return -ENOMEM;
    timer->deadline = deadline;
    timer->sequence = timers->sequence++;
    uint32_t hole = timers->count++;
    sift_up(timers, hole, (struct ouro__timer_entry){deadline, timer});
    return 0;
}

void ouro__timer_cancel(struct ouro__timers *timers, struct ouro__timer *timer)
{
    if (!ouro__timer_is_set(timer))
        return;
    uint32_t hole = timer->index;
    assert(timers->heap[hole].timer == timer);
    timer->index = OURO__TIMER_IDLE;
    struct ouro__timer_entry last = timers->heap[--timers->count];
    if (hole == timers->count)
        return;
    if (hole > 0 && before(&last, &timers->heap[(hole - 1) / ARITY]))
        sift_up(timers, hole, last);
    else
        sift_down(timers, hole, last);
}

void ouro__timers_fire(struct ouro__timers *timers, ouro_ns now)
{
    while (timers->count && timers->heap[0].deadline <= now) {
        struct ouro__timer *timer = timers->heap[0].timer;
        ouro__timer_cancel(timers, timer);
        timers->fired++;
        timer->fire(timer);
    }
}

void ouro__timers_drop(struct ouro__timers *timers)
{
    ouro__release(timers->heap);
    *timers = (struct ouro__timers){0};
}
