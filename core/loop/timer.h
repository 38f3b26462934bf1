/* SPDX-License-Identifier: MIT */
#ifndef OURO_TIMER_H
#define OURO_TIMER_H

/*
 * The loop's deadlines: a heap of four children a node.
 *
 * Order is (deadline, order of setting). The heap holds the deadlines themselves, four to a cache
 * line, so that sifting rarely looks at a timer; each timer knows its place and is removed at
 * once when it is cancelled. Room is found when a timer is added; nothing else can fail.
 */

#include <ouro/base.h>

#include <stdbool.h>

#define OURO__TIMER_IDLE UINT32_MAX /* index of a timer that is not set */

struct ouro__timer {
    ouro_ns deadline;
    uint64_t sequence;
    void (*fire)(struct ouro__timer *timer);
    uint32_t index; /* in the heap */
};

struct ouro__timer_entry {
    ouro_ns deadline;
    struct ouro__timer *timer;
};

struct ouro__timers {
    struct ouro__timer_entry *heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t sequence;
    uint64_t fired;
};

/* An idle timer that will call @fire, on the loop, between completions and the next turn. */
static inline void ouro__timer_init(struct ouro__timer *timer,
                                    void (*fire)(struct ouro__timer *timer))
{
    timer->fire = fire;
    timer->index = OURO__TIMER_IDLE;
}

static inline bool ouro__timer_is_set(const struct ouro__timer *timer)
{
    return timer->index != OURO__TIMER_IDLE;
}

/* The next deadline, OURO_FOREVER when there is none. */
static inline ouro_ns ouro__timers_next(const struct ouro__timers *timers)
{
    return timers->count ? timers->heap[0].deadline : OURO_FOREVER;
}

/* Set an idle timer. OURO_FOREVER leaves it idle: it never fires. 0 or -ENOMEM. */
int ouro__timer_set(struct ouro__timers *timers, struct ouro__timer *timer, ouro_ns deadline);

/* Make it idle; it may be already. */
void ouro__timer_cancel(struct ouro__timers *timers, struct ouro__timer *timer);

/* Fire everything due at @now, in order. */
void ouro__timers_fire(struct ouro__timers *timers, ouro_ns now);

void ouro__timers_drop(struct ouro__timers *timers);

/* @a + @b, never beyond OURO_FOREVER. */
static inline ouro_ns ouro__ns_add(ouro_ns a, ouro_ns b)
{
    return a > OURO_FOREVER - b ? OURO_FOREVER : a + b;
}

#endif
