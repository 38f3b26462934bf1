/* SPDX-License-Identifier: MIT */
#ifndef OURO_SYNC_INT_H
#define OURO_SYNC_INT_H

#include "waiter.h"

/* The public structs keep room for a giver, and show none of it. */
static_assert(sizeof(struct ouro__giver) == sizeof(void *), "a giver does not fit its storage");

static inline struct ouro__giver *ouro__giver_at(void **storage)
{
    return (struct ouro__giver *)(void *)storage;
}

/* ---- What a condition does with its mutex ---------------------------------------------------- */

/* The owner is done with @m: the next in line has it. */
void ouro__mutex_pass_on(ouro_mutex *m);

/* Put @w, which is in no line, into that of a locked @m, where no cancel reaches it. */
void ouro__mutex_line_up(ouro_mutex *m, struct ouro__waiter *w);

/* Lock @m whatever is cancelled. 0, or -EOWNERDEAD, -EXDEV. */
int ouro__mutex_relock(ouro_mutex *m, struct ouro__task *task);

#endif
