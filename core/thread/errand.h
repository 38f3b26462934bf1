/* SPDX-License-Identifier: MIT */
#ifndef OURO_ERRAND_H
#define OURO_ERRAND_H

#include "loop_int.h"

/*
 * Errands: work on a loop for somebody on another thread, who waits for it in a way of his own.
 * What calls from loop to loop and remotes have in common.
 *
 * An errand is a record that both sides count: the loop has a reference until it has answered, a
 * cancel has one while it is under way, and those who wait have theirs. Everything it will ever
 * need is in it.
 */

struct ouro__errand;

/* What distinguishes a call from a remote. */
struct ouro__errand_kind {
    /* The outcome is there: tell those who wait. On the loop's thread. */
    void (*answer)(struct ouro__errand *e);

    /* The last reference has gone, on whatever thread. */
    void (*free)(struct ouro__errand *e);
};

/* What the work came to, and what comes along. */
struct ouro__outcome {
    ouro_result result;
    bool grant;
    union {
        ouro_free_fn *ptr_free;    /* of result.ptr */
        struct ouro__giver *giver; /* with `grant` */
    };
};

struct ouro__errand {
    const struct ouro__errand_kind *kind;
    ouro_loop *loop; /* that does it; a reference */
    atomic_uint refs;
    atomic_bool stop_asked;
    struct ouro__post start;
    struct ouro__post stop;

    /* What follows is the loop's until it has answered. */
    ouro_task_fn *fn;
    void *arg;
    ouro_spawn_options options;
    ouro_future *work;        /* NULL: not begun, or answered */
    struct ouro__job settled; /* waits for the work */
    struct ouro__link link;   /* in the loop's list while it has work */
    struct ouro__outcome outcome;
};

/* With @refs references, one of which is to be the loop's. */
void ouro__errand_init(struct ouro__errand *e, const struct ouro__errand_kind *kind,
                       ouro_loop *loop, unsigned refs);

/* Have the loop run a task. 0; or -ESHUTDOWN: it is closed, and nobody has been told. */
int ouro__errand_send(struct ouro__errand *e, ouro_task_fn *fn, void *arg,
                      const ouro_spawn_options *opts);

/* On the loop's thread: @work, which is consumed, is what it is about. */
void ouro__errand_begin(struct ouro__errand *e, ouro_future *work);

/* Cancel the work, soon. False: that was asked before, or the loop is closed. Any thread. */
bool ouro__errand_stop(struct ouro__errand *e);

void ouro__errand_unref(struct ouro__errand *e);

#endif
