/* SPDX-License-Identifier: MIT */
#ifndef OURO_WAITER_H
#define OURO_WAITER_H

/*
 * Lines: who waits for a lock, a permit, an item, in the order in which they came.
 *
 * A task that waits has its node on its own stack, so that waiting needs no memory and cannot fail
 * for want of it. Where a future waits, for a select or a callback, the node is in the future. What
 * is waited for is handed over while the waiter is still in line: whoever leaves it unserved has
 * nothing, whoever was served has it, and a cancel cannot come in between.
 */

#include "future_int.h"

#include <ouro/sync.h>

struct ouro__task;
struct ouro__waiter;

/* What distinguishes waiting for a lock from waiting for an item. */
struct ouro__wait_kind {
    const char *name; /* of what is waited for: "mutex" */

    /* @w has left the line unserved, because it was cancelled: who stood behind it may be able to
     * go on. NULL: nobody is. Runs no user code. */
    void (*left)(struct ouro__waiter *w);

    /* More than the name, for ouro_tasks_print(): "held by 'writer'", "3 of 8 items". NULL: no
     * more. */
    void (*describe)(const struct ouro__waiter *w, char *text, size_t size);

    bool stubborn; /* a cancel does not end the wait */
};

struct ouro__waiter {
    struct ouro__waiter *next;
    struct ouro__waiter *prev;
    struct ouro__line *line; /* NULL: in none */
    const struct ouro__wait_kind *kind;
    void *of;                /* the mutex, the queue, ... */
    struct ouro__task *task; /* that waits; NULL: a future does, see ouro__wait_future() */
    int64_t n;  /* how much is asked for, if that matters; once served, what it came to */
    void *item; /* what is brought along, or handed over */
};

static inline bool ouro__line_empty(const struct ouro__line *line)
{
    return !line->first;
}

void ouro__line_push(struct ouro__line *line, struct ouro__waiter *w);

/* Take @w out of its line, which serves nobody. */
void ouro__line_remove(struct ouro__waiter *w);

/* Stand in @line with @w, whose `kind`, `of`, `n` and `item` are set, until served or cancelled.
 * Returns what it was served with, or -ECANCELED. The object waited for may be gone by then. */
int64_t ouro__wait_in_line(struct ouro__task *task, struct ouro__line *line,
                           struct ouro__waiter *w);

/* Hand over to @w, which leaves its line, and wake it: @n is what its wait comes to. */
void ouro__serve(struct ouro__waiter *w, int64_t n);

/* Serve all of a line with the same. */
void ouro__serve_all(struct ouro__line *line, int64_t n);

/* What @w waits for, in words: "mutex, held by 'writer'". */
void ouro__waiter_describe(const struct ouro__waiter *w, char *text, size_t size);

/* A cancel has come for @w. */
void ouro__waiter_give_up(struct ouro__waiter *w);

/* A future that stands in @line as @w (which is copied) would; @giver takes back what it is served
 * with, n and item, unless somebody takes it (NULL: it need not go back). -ENOMEM as
 * ouro__failed(). */
ouro_future *ouro__wait_future(ouro_loop *loop, struct ouro__line *line,
                               const struct ouro__waiter *w, struct ouro__giver *giver);

/* A future that was served at once. */
ouro_future *ouro__granted_future(ouro_loop *loop, ouro_result result, struct ouro__giver *giver);

#endif
