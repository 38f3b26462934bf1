/* SPDX-License-Identifier: MIT */
#ifndef OURO_LOCAL_INT_H
#define OURO_LOCAL_INT_H

#include <ouro/loop.h>

/*
 * Task-local values: an immutable list of (key, value), shared by all who were started from it.
 */
struct ouro__locals;

/* What holds now: the current task's, or that of the loop's current callback. Borrowed; NULL: none. */
struct ouro__locals *ouro__locals_current(ouro_loop *loop);

struct ouro__locals *ouro__locals_ref(struct ouro__locals *locals);
void ouro__locals_unref(ouro_loop *loop, struct ouro__locals *locals);

#endif
