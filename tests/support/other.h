/* SPDX-License-Identifier: MIT */
#ifndef OURO_OTHER_H
#define OURO_OTHER_H

/*
 * A second loop, on a thread of its own, for tests of what passes between loops and threads.
 *
 * It runs until the test lets it go, then ends in the way the test has chosen.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <ouro/ouro.h>

/* How the other loop ends. */
enum other_end {
    OTHER_QUIET = 0, /* with nothing left alive, which is checked */
    OTHER_SHUTDOWN,  /* cancelling what is left */
    OTHER_HASTY,     /* the same with no grace to speak of: what does not end is given up */
};

struct other {
    ouro_loop *loop; /* a reference, until other_join() */
    pthread_t thread;
    ouro_promise *over;
    enum other_end how;
    int shutdown_rc;
    atomic_bool up;
    atomic_uint reports;
};

/* Start it, and wait until it runs. */
void other_begin(struct other *o);

/* Hold its thread in a callback; while that is so, what is sent to it stays in its queue. */
void other_hold(struct other *o);
void other_go_on(struct other *o);

/* Have it end. The reference to it stays, so that it can still be called. */
void other_end(struct other *o, enum other_end how);

/* Wait for the thread, and drop the reference. */
void other_join(struct other *o);

/* All of that for the ordinary case. */
void other_finish(struct other *o);

/* Memory by ration, for each thread on its own: so many allocations are still granted; -1: any
 * number. */
extern _Thread_local int grants;

/* From now on; to be called before there is a loop. */
void ration_memory(void);

#endif
