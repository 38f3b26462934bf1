/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_TAKEN_H
#define OURO_PG_TAKEN_H

/*
 * What streams and copies have in common: an object of the user's beside the command that is under
 * way. Each knows the other while both live.
 */

#include "session.h"

/* How such a command has ended, as far as its user is concerned. */
struct pg_outcome {
    int64_t code; /* 0: well */
    char text[512];
};

/* The session of the object's loop. */
struct pg_home {
    ouro_loop *loop; /* to compare with, no reference */
    pid_t pid;
};

struct pg_home ouro__pg_home_here(void);

/* Whether a call from here would touch what belongs to the parent of a fork. */
bool ouro__pg_home_is_parents(const struct pg_home *home);

/* A future of how it has ended; of @n, if well. */
ouro_future *ouro__pg_outcome_future(const struct pg_outcome *o, int64_t n);

/* Settle the promise of @c, which is given back, with @value or with a failure. */
void ouro__pg_command_give(struct pg_command *c, ouro_result value, ouro_free_fn *ptr_free);
void ouro__pg_command_refuse(struct pg_command *c, int64_t rc);

/* Settle it with how it has ended; with @n, if well. Nothing if nobody waits. */
void ouro__pg_command_report(struct pg_command *c, const struct pg_outcome *o, int64_t n);

#endif
