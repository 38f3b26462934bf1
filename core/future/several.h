/* SPDX-License-Identifier: MIT */
#ifndef OURO_SEVERAL_H
#define OURO_SEVERAL_H

/*
 * What all share that wait for several futures: gather, select, wait, as completed.
 *
 * Each future is watched by a part. Gather and select are given the references of their caller,
 * wait and as completed take their own; a part holds one either way.
 */

#include "future_int.h"

#include <ouro/error.h>

#include <errno.h>

struct ouro__part {
    struct ouro__job job; /* runs when the future has settled */
    ouro_future *f;       /* a reference; NULL: given up */
    void *whole;          /* what this is a part of */
};

/* 0, or why the caller cannot wait for these: -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN, -EDEADLK (the
 * current task is among them). */
int ouro__several_check(ouro_future *const *fs, size_t n);

/* What was to take these over cannot be had: cancel them, in a task wait until they have settled,
 * since their memory may be on its stack, and give up their references. Another loop's futures are
 * left alone. Returns ouro__failed(@rc). */
ouro_future *ouro__several_refuse(ouro_future *const *fs, size_t n, int rc);

/* Room for @n parts, 1 or more; NULL when there is no memory. */
struct ouro__part *ouro__parts_new(ouro_loop *loop, size_t n);

/* Give the references up, and the room. No job may be waiting. */
void ouro__parts_free(ouro_loop *loop, struct ouro__part *parts, size_t n);

/* Fill @parts with futures that are given: one that is there twice with one reference gets another.
 * To be followed by ouro__parts_watch() at once. */
void ouro__parts_take(struct ouro__part *parts, ouro_future *const *fs, size_t n);

/* The same with futures that are lent. */
void ouro__parts_borrow(struct ouro__part *parts, ouro_future *const *fs, size_t n);

/* Have @run called, in the next turn or later, for each that has settled. */
void ouro__parts_watch(struct ouro__part *parts, size_t n, void (*run)(struct ouro__job *job),
                       void *whole);

/* Take back what has not run. */
void ouro__parts_unwatch(struct ouro__part *parts, size_t n);

static inline struct ouro__part *ouro__part_of(const struct ouro__job *job)
{
    return OURO__CONTAINER(job, struct ouro__part, job);
}

/* For a kind's part(). */
static inline bool ouro__parts_at(const struct ouro__part *parts, size_t n, size_t i,
                                  ouro_future **ret_part)
{
    if (i >= n)
        return false;
    *ret_part = parts[i].f;
    return true;
}

/* What @f came to for who waited for it: a cancel that was not @ours is an error like others. */
static inline int64_t ouro__outcome(const ouro_future *f, bool ours)
{
    if (f->result.n != -ECANCELED || (ours && f->state == OURO_CANCELLED))
        return f->result.n;
    return -OURO_ECHILDCANCELLED;
}

#endif
