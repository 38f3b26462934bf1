/* SPDX-License-Identifier: MIT */
#ifndef OURO_POOL_INT_H
#define OURO_POOL_INT_H

/*
 * Pools of threads, and the jobs that offload.c hands to them.
 *
 * A job's record belongs to its loop's thread, but for what its comment says, from the submission
 * to the delivery. It is apart from the future: a job that was abandoned, or whose loop was closed
 * under it, still has a place to write to. Everything it will ever need is in it, so that ending a
 * job cannot fail.
 */

#include "loop_int.h"

#include <ouro/pool.h>

#include <pthread.h>

#define OURO__POOL_THREADS_MAX 4096

/* Where a job stands; under the pool's lock. */
enum ouro__job_state {
    OURO__JOB_WAITS,
    OURO__JOB_RUNS,
    OURO__JOB_ENDED,
    OURO__JOB_WITHDRAWN, /* before it ran */
};

struct ouro__pool_job {
    /* What the pool's threads touch. */
    struct ouro__link link; /* among those that wait, or run. Under the pool's lock */
    enum ouro__job_state state;
    atomic_bool cancelled; /* what ouro_job_cancelled() says */
    ouro_loop *loop;       /* a reference, until `over` has been posted */
    ouro_task_fn *fn;
    void *arg;
    int64_t n;              /* what it returned */
    struct ouro__post over; /* it has ended, or never will run */

    void *ptr; /* the object that it returned */
    ouro_free_fn *ptr_free;
    bool has_words;  /* the object is what there is to say about its error */
    ouro_pool *pool; /* a reference */
    ouro_future *f;  /* to settle; NULL: it was abandoned */
    ouro_free_fn *arg_free;
    const char *name;
    struct ouro__post given_up; /* the pool does not wait for it any longer */
    bool abandon;
    size_t local_count; /* what the task that asked has set */
    struct ouro__binding locals[];
};

struct ouro_pool {
    pthread_mutex_t lock; /* of what follows */
    struct ouro__link waiting;
    atomic_uint waiting_count; /* read without the lock by a thread that looks for work */
    unsigned hands;            /* threads that are awake and in nobody's code */

    struct ouro__link running;
    struct ouro__link sleepers; /* threads with nothing to do, the latest first */
    unsigned threads;           /* that were started and have not ended, */
    unsigned busy;              /* and of these, in code of the user's */
    unsigned limit;             /* of threads; what is beyond it ends */
    bool looking;               /* a thread is awake because there may soon be work */
    bool closed;                /* takes no more jobs, and has its threads end when none waits */
    bool left;                  /* nobody will join the last thread */
    bool has_ended;         /* a thread has, and is to be joined: by the next that ends, or by */
    pthread_t ended;        /* whoever waits for all */
    pthread_cond_t changed; /* fewer threads, or more of them busy */
    struct ouro__post *end; /* to be posted when the last thread of a closed pool ends, or NULL */
    ouro_loop *end_loop;    /* to this loop; a reference */

    atomic_uint refs; /* its owner's, its threads', its jobs', its shutdown's */
    bool immortal;    /* a lane: not counted */
    unsigned fork_generation;
    char name[16];
    size_t stack_size; /* 0: the system's */
    ouro_ns idle;
};

/* The job that runs on this thread, or NULL. */
extern _Thread_local struct ouro__pool_job *ouro__job_here
    __attribute__((tls_model("initial-exec")));

/* ---- pool.c ---------------------------------------------------------------------------------- */

/* A pool in memory that is there already, with one reference. */
void ouro__pool_init(ouro_pool *pool, const char *name, unsigned limit);
void ouro__pool_unref(ouro_pool *pool);

static inline ouro_pool *ouro__pool_ref(ouro_pool *pool)
{
    if (!pool->immortal)
        atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    return pool;
}

/* Whether it was made before a fork, by which its threads have gone and its lock is in doubt. */
static inline bool ouro__pool_forked(const ouro_pool *pool)
{
    return pool->fork_generation != ouro__fork_generation;
}

/* Queue @job. 0, or -ESHUTDOWN, -EAGAIN (not one thread), and it stays the caller's. */
int ouro__pool_submit(ouro_pool *pool, struct ouro__pool_job *job);

/* Tell @job to stop, and take it back if it has not begun. Where it stood. */
enum ouro__job_state ouro__pool_withdraw(struct ouro__pool_job *job);

/* Take out all that wait: into @jobs, where they are for ouro__jobs_deliver(). Locked. */
void ouro__pool_empty(ouro_pool *pool, struct ouro__link *jobs);
void ouro__jobs_deliver(struct ouro__link *jobs);

/* A new limit of threads: start what work there is for, and have end what is too many. Locked. */
void ouro__pool_set_limit(ouro_pool *pool, unsigned limit);

/* Have all threads look for what has changed. Locked. */
void ouro__pool_wake_all(ouro_pool *pool);

/* Have all threads end, and wait for those that are in nobody's code: at most some microseconds.
 * Those that are busy end by themselves, and are waited for by nobody. Locked; unlocked
 * meanwhile. */
void ouro__pool_end_threads(ouro_pool *pool);

/* ---- lane.c ---------------------------------------------------------------------------------- */

/* The pool of a lane, for the use of @loop until it closes. */
ouro_pool *ouro__lane_enter(ouro_loop *loop, ouro_lane lane);

/* @loop is about to close: the last one ends the lanes' threads. */
void ouro__lanes_leave(ouro_loop *loop);

/* This is the child of a fork: the lanes have no threads, no jobs and no users. */
void ouro__lanes_in_child(void);

/* ---- offload.c ------------------------------------------------------------------------------- */

/* Run @fn on a lane, for nobody's future: no cancel reaches it, no loop waits for it. @arg_free is
 * called as in ouro_offload_with(); without @fn having run, if the last loop closes first. 0, or
 * -ENOMEM, -EAGAIN, and @arg stays the caller's. */
int ouro__lane_run(ouro_loop *loop, ouro_lane lane, ouro_task_fn *fn, void *arg,
                   ouro_free_fn *arg_free);

/* Run it on this thread. */
void ouro__job_run(struct ouro__pool_job *job);

/* It is over: hand it back to its loop. False: that is closed, and ouro__job_end_here() is to
 * follow. */
bool ouro__job_deliver(struct ouro__pool_job *job);
void ouro__job_end_here(struct ouro__pool_job *job);

/* Fail its future now; it runs. Under the pool's lock. */
void ouro__job_give_up(struct ouro__pool_job *job);

/* ouro_task_return() in a job; -EPERM: in none. */
int64_t ouro__job_return(void *ptr, ouro_free_fn *ptr_free);

/* ouro_task_fail() in a job, whose @words are from now on. False: in none, and they are not. */
bool ouro__job_say(char *words);

/* The name of a job by its pending future; NULL: @f is something else. */
const char *ouro__job_name(const ouro_future *f);

#endif
