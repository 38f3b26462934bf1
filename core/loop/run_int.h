/* SPDX-License-Identifier: MIT */
#ifndef OURO_RUN_INT_H
#define OURO_RUN_INT_H

#include "loop_int.h"

/*
 * What programs of one loop and of several have in common: how a main task is run, and SIGINT.
 */

#define OURO__DEFAULT_GRACE OURO_SEC(10)

/* A loop for the calling thread, as ouro_loop_new(). When there is none, say why on standard error: a
 * program that is one call would end without a word. */
int ouro__main_loop_new(const ouro_loop_options *opts, ouro_loop **ret_loop);

/* The main task as a future, or why there is none. */
ouro_future *ouro__main_spawn(ouro_task_fn *fn, void *arg, const ouro_run_options *opts);

/* Drive @main to its end. With @interruptible, SIGINT cancels it; ouro_loop_stop() does, after
 * @stopped has been told, if that is not NULL. 0, or an error of the ring and @main still
 * pending. */
int ouro__main_run(ouro_loop *loop, ouro_future *main, bool interruptible, void (*stopped)(void));

/* Who SIGINT goes to: the loops of one program, all of which live until it is given back. */
struct ouro__interruptible {
    ouro_loop *const *loops;
    int n;
};

/* Whether SIGINT is @who's from now on. It is not if somebody else has claimed it. */
bool ouro__sigint_claim(const struct ouro__interruptible *who);

/* Give it back. */
void ouro__sigint_disclaim(void);

/* This is the child of a fork: it is nobody's. */
void ouro__sigint_in_child(void);

/* Whether it has come since it was claimed. */
bool ouro__sigint_came(void);

#endif
