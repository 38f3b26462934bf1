/* SPDX-License-Identifier: MIT */
#ifndef OURO_STACK_H
#define OURO_STACK_H

/*
 * Stacks for tasks: mapped in blocks, guarded, reused last in first out.
 *
 * A stack is a power of two bytes, the lowest page of which faults. The one that was put back last
 * is taken first, since its top is in the cache; those that stay unused lose their pages, not
 * their place.
 */

#include "list.h"

#include <stdint.h>

#define OURO__STACK_MIN_LOG 14 /* 16 KiB */
#define OURO__STACK_MAX_LOG 30 /* 1 GiB */
#define OURO__STACK_CLASSES (OURO__STACK_MAX_LOG - OURO__STACK_MIN_LOG + 1)

struct ouro__stack {
    struct ouro__link link; /* in a list of free stacks */
    char *map;              /* the lowest address, which is the guard page */
    size_t size;            /* of the map, guard included */
    unsigned valgrind_id;
};

struct ouro__stack_class {
    struct ouro__link warm; /* free, with pages; the front was used last */
    struct ouro__link cold; /* free, without */
    size_t warm_count;
    size_t warm_low; /* fewest that were free since the last trim: nobody needed those */
};

struct ouro__stacks {
    struct ouro__stack_class classes[OURO__STACK_CLASSES];
    struct ouro__stack_block *blocks;
    size_t live;
    size_t page;
    bool paint; /* fill new stacks with a pattern, to see later how deep they went */
};

void ouro__stacks_init(struct ouro__stacks *stacks, bool paint);

/* Unmap everything, also what is in use. */
void ouro__stacks_drop(struct ouro__stacks *stacks);

/* A stack of at least @size bytes, guard included, at most 1 GiB; NULL when there is no memory. */
struct ouro__stack *ouro__stack_get(struct ouro__stacks *stacks, size_t size);

/* Give it back; nothing may run on it. */
void ouro__stack_put(struct ouro__stacks *stacks, struct ouro__stack *stack);

/* Give the kernel back the pages of stacks that nobody needed since the last call. */
void ouro__stacks_trim(struct ouro__stacks *stacks);

/* Whether a trim would have something to do, now or at its next call. */
bool ouro__stacks_idle(const struct ouro__stacks *stacks);

/* Bytes of a painted stack that were ever used, 1 MiB at most. */
size_t ouro__stack_depth(const struct ouro__stacks *stacks, const struct ouro__stack *stack);

/* The part that may be used: above the guard. */
static inline char *ouro__stack_base(const struct ouro__stacks *stacks,
                                     const struct ouro__stack *stack)
{
    return stack->map + stacks->page;
}

static inline size_t ouro__stack_room(const struct ouro__stacks *stacks,
                                      const struct ouro__stack *stack)
{
    return stack->size - stacks->page;
}

#endif
