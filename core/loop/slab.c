/* SPDX-License-Identifier: MIT */
/*
 * Slabs: blocks of equal objects, cut up into a free list.
 *
 * Blocks grow from 16 objects to 1024 and stay until the loop is gone. With an allocator hook or
 * under AddressSanitizer every object is an allocation of its own, so that each can be refused or
 * watched. No memory is the only failure.
 */
#include "slab.h"

#include "memory_int.h"

#include <assert.h>
#include <stdint.h>

#define FIRST_BLOCK 16
#define LAST_BLOCK  1024

struct ouro__slab_block {
    struct ouro__slab_block *next;
};

void ouro__slab_init(struct ouro__slab *slab)
{
    *slab = (struct ouro__slab){.bypass = OURO__NO_SLABS || ouro__allocator_is_custom()};
    for (size_t i = 0; i < OURO__SLAB_CLASSES; i++)
        slab->grow[i] = FIRST_BLOCK;
}

void ouro__slab_drop(struct ouro__slab *slab)
{
    while (slab->blocks) {
        struct ouro__slab_block *block = slab->blocks;
        slab->blocks = block->next;
        ouro__release(block);
    }
    for (size_t i = 0; i < OURO__SLAB_CLASSES; i++)
        slab->free[i] = NULL;
}

/* Cut a new block of class @i into the free list. False when there is no memory. */
static bool add_block(struct ouro__slab *slab, size_t i)
{
    size_t size = (i + 1) * OURO__SLAB_STEP;
    size_t count = slab->grow[i];
    struct ouro__slab_block *block = ouro__alloc(sizeof(*block) + OURO__SLAB_STEP + count * size);
    if (!block)
        return false;
    block->next = slab->blocks;
    slab->blocks = block;
    uintptr_t first = (uintptr_t)(block + 1) + OURO__SLAB_STEP - 1;
    char *at = (char *)(first - first % OURO__SLAB_STEP);
    for (size_t k = count; k-- > 0;) {
        struct ouro__slab_slot *slot = (void *)(at + k * size);
        slot->next = slab->free[i];
        slab->free[i] = slot;
    }
    if (slab->grow[i] < LAST_BLOCK)
        slab->grow[i] *= 2;
    return true;
}

void *ouro__slab_refill(struct ouro__slab *slab, size_t size)
{
    size_t i = (size - 1) / OURO__SLAB_STEP;
    if (slab->bypass || i >= OURO__SLAB_CLASSES)
        return ouro__alloc(size);
    if (!add_block(slab, i))
        return NULL;
    return ouro__slab_alloc(slab, size);
}

void ouro__slab_return(struct ouro__slab *slab, void *ptr, size_t size)
{
    assert(slab->bypass || (size - 1) / OURO__SLAB_STEP >= OURO__SLAB_CLASSES);
    (void)slab;
    (void)size;
    ouro__release(ptr);
}
