/* SPDX-License-Identifier: MIT */
#ifndef OURO_SLAB_H
#define OURO_SLAB_H

/*
 * Free lists of small objects, one for each multiple of 16 bytes.
 *
 * Futures, operations and tasks come and go by the million; a loop keeps theirs to itself, so that
 * an allocation is the pop of a list that is in the cache.
 */

#include <stdbool.h>
#include <stddef.h>

#define OURO__SLAB_STEP    16
#define OURO__SLAB_CLASSES 20 /* 16 to 320 bytes; larger objects come from the allocator */

struct ouro__slab {
    struct ouro__slab_slot *free[OURO__SLAB_CLASSES];
    struct ouro__slab_block *blocks;
    unsigned grow[OURO__SLAB_CLASSES]; /* objects in the next block */
    bool bypass;                       /* every object straight from the allocator */
};

struct ouro__slab_slot {
    struct ouro__slab_slot *next;
};

void ouro__slab_init(struct ouro__slab *slab);

/* Give all blocks back, whatever still lives in them. */
void ouro__slab_drop(struct ouro__slab *slab);

/* The slow paths. */
void *ouro__slab_refill(struct ouro__slab *slab, size_t size);
void ouro__slab_return(struct ouro__slab *slab, void *ptr, size_t size);

/* Uninitialised memory for @size bytes, aligned for anything, or NULL. */
static inline void *ouro__slab_alloc(struct ouro__slab *slab, size_t size)
{
    size_t i = (size - 1) / OURO__SLAB_STEP;
    if (i >= OURO__SLAB_CLASSES || !slab->free[i])
        return ouro__slab_refill(slab, size);
    struct ouro__slab_slot *slot = slab->free[i];
    slab->free[i] = slot->next;
    return slot;
}

/* Give @ptr back; @size as it was asked for. */
static inline void ouro__slab_free(struct ouro__slab *slab, void *ptr, size_t size)
{
    size_t i = (size - 1) / OURO__SLAB_STEP;
    if (i >= OURO__SLAB_CLASSES || slab->bypass) {
        ouro__slab_return(slab, ptr, size);
        return;
    }
    struct ouro__slab_slot *slot = ptr;
    slot->next = slab->free[i];
    slab->free[i] = slot;
}

#endif
