/* SPDX-License-Identifier: MIT */
#ifndef OURO_SPIN_H
#define OURO_SPIN_H

/*
 * Whether to look at the ring for a while before sleeping: the score, apart from the looking.
 *
 * Waking a sleeping thread costs more than many an operation takes, so a loop in conversation with
 * a fast peer does better to stay awake. A loop with nothing to do must not: it spins only after
 * short waits. The first short wait turns spinning on. While it hits it stays on; every miss
 * doubles the number of short waits it takes to try again, every hit halves it. Long waits count
 * for nothing, so an idle loop misses once and then sleeps.
 */

#include <stdbool.h>
#include <stdint.h>

#define OURO__SPIN_PATIENCE_MAX 64u

/* A sleep counts as short up to this many times the limit: what sleepers on both sides lose to
 * being woken would not be lost by one that spins. */
#define OURO__SPIN_SHORT 4u

struct ouro__spin {
    uint64_t limit;    /* ns to look; 0: never */
    unsigned patience; /* short waits still to see before the next try */
    unsigned price;    /* what a miss sets it to */
};

static inline struct ouro__spin ouro__spin_start(uint64_t limit)
{
    return (struct ouro__spin){.limit = limit, .patience = 1, .price = 1};
}

static inline bool ouro__spin_is_due(const struct ouro__spin *s)
{
    return s->limit && !s->patience;
}

static inline void ouro__spin_hit(struct ouro__spin *s)
{
    if (s->price > 1)
        s->price /= 2;
}

static inline void ouro__spin_miss(struct ouro__spin *s)
{
    s->patience = s->price;
    if (s->price < OURO__SPIN_PATIENCE_MAX)
        s->price *= 2;
}

/* A sleep of @ns has ended with a completion. */
static inline void ouro__spin_slept(struct ouro__spin *s, uint64_t ns)
{
    if (s->patience && ns / OURO__SPIN_SHORT <= s->limit)
        s->patience--;
}

/* Tell the processor that this is a loop that waits. */
static inline void ouro__spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
