/* SPDX-License-Identifier: MIT */
#ifndef OURO_LOCAL_INT_H
#define OURO_LOCAL_INT_H

#include <ouro/loop.h>

/*
 * Task-local values: an immutable list of (key, value), shared by all who were started from it.
 */
struct ouro__locals;

/* What holds now: the current task's, or that of the loop's current callback. Borrowed; NULL:
 * none. */
struct ouro__locals *ouro__locals_current(ouro_loop *loop);

struct ouro__locals *ouro__locals_ref(struct ouro__locals *locals);
void ouro__locals_unref(ouro_loop *loop, struct ouro__locals *locals);

/* One of them in an array, which another thread may read, and which outlives the loop. */
struct ouro__binding {
    const ouro_local *key;
    void *value;
    struct ouro__box *box; /* a reference */
};

/* How many there are, and copies of them. */
size_t ouro__locals_count(const struct ouro__locals *locals);
void ouro__locals_copy(const struct ouro__locals *locals, struct ouro__binding *to);

/* Give copies back, on the thread of @loop; or, with NULL, on any thread once that loop is
 * closed. */
void ouro__bindings_drop(ouro_loop *loop, const struct ouro__binding *bindings, size_t count);

#endif
