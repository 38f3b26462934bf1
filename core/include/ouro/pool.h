/* SPDX-License-Identifier: MIT */
#ifndef OURO_POOL_H
#define OURO_POOL_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/task.h>

/**
 * @file pool.h
 * Work for other threads: what computes for long, or blocks and cannot be made to wait politely.
 *
 *     int64_t n = ouro_await(ouro_offload(parse, document));
 *
 * The function runs on a thread of a pool while the loop goes on. Pools do not share threads, so
 * slow work in one cannot starve another. There are three for the whole process, the lanes: their
 * threads are made when they are first needed, block every signal but those of faults of their own,
 * and end when they have been idle for 10 s or the last loop that used them is closed. Make pools
 * of your own for more.
 *
 * A thread cannot be stopped from outside. So a job that is cancelled while it waits in the queue
 * never runs, but one that runs is waited for, and its result wins; ask ouro_job_cancelled() in
 * long jobs, or abandon them. The shutdown of a loop waits for running jobs as long as its grace
 * lasts.
 *
 * What a job leaves is destroyed on the loop's thread: its argument, an object that nobody takes,
 * its hold on task-local values. Where a job outlives its loop, because it was abandoned or had no
 * grace, that is done on the pool's thread when the job has ended.
 *
 * In the child of a fork a pool that was made before is -ECHILD, and the lanes have neither threads
 * nor jobs; a loop that is made there can use them. A job may fork; the child that returns from it
 * ends, as by _exit(0).
 */

/** A number of threads and a queue of jobs. */
typedef struct ouro_pool ouro_pool;

/** The pools that every process has. */
typedef enum ouro_lane {
    OURO_LANE_CPU = 0, /**< for what computes: as many threads as processors */
    OURO_LANE_DISK,    /**< for what may block on a disk or another system: 8 threads */
    OURO_LANE_DNS      /**< for what may block on a name server: 4 threads */
} ouro_lane;

/** Options of ouro_offload_with(). Zero is the default of every field. */
typedef struct ouro_offload_options {
    ouro_pool *pool; /**< borrowed until the future settles. Default: a lane */
    ouro_lane lane;  /**< without a pool. Default: OURO_LANE_CPU */
    ouro_free_fn
        *arg_free;    /**< called with arg exactly once, on the loop's thread or as said above:
                                 when the job has ended, or will never run. Default: none */
    int abandon;      /**< not 0: a cancel does not wait for a job that runs. The future is
                                 cancelled at once, and what the job returns is destroyed when it
                                 comes; arg must stay valid that long, so give an arg_free */
    const char *name; /**< for reports; borrowed until the future settles. Default: "job" */
} ouro_offload_options;

/** Options of ouro_pool_new(). Zero is the default of every field. */
typedef struct ouro_pool_options {
    const char *name;  /**< of its threads, as ps(1) shows them, cut to 15 bytes; copied.
                            Default: "ouro" */
    size_t stack_size; /**< of a thread, bytes; rounded up to what the system takes. Default: the
                            system's */
    ouro_ns idle;      /**< after which a thread that has nothing to do ends. Default: 10 s;
                            OURO_FOREVER: never */
} ouro_pool_options;

OURO_BEGIN_DECLS

/**
 * Run a function on a thread of OURO_LANE_CPU.
 *
 * @param fn   Runs on another thread, and may use there what is for any thread, ouro_task_return()
 *             for an object, ouro_local_get() for the values that hold here now, and
 *             ouro_job_cancelled(). It may make a loop of its own.
 * @param arg  Passed to @p fn. Yours; must live until the future has settled.
 * @return A future, never NULL.   @owns the caller.
 *   - what @p fn returned
 *   - -ECANCELED   cancelled before it ran, and it never will; or it was told to stop, and @p fn
 *     returned that
 *   - -EAGAIN      not one thread could be started
 *   - -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN (the loop is closing), -EINVAL
 *     (NULL)
 * @thread Loop thread only.
 */
ouro_future *ouro_offload(ouro_task_fn *fn, void *arg) OURO_NODISCARD;

/**
 * Run a function on a thread of a chosen pool. Else as ouro_offload().
 *
 * @param fn    See ouro_offload().
 * @param arg   Passed to @p fn. With arg_free it belongs to the job from now on, whatever this
 *              returns: on failure it is freed before the call returns.
 * @param opts  Copied; NULL for defaults.
 * @return See ouro_offload(); -ESHUTDOWN also if the pool is shut down, -EINVAL for an unknown
 *         lane, -ECHILD for a pool from before a fork; -ECANCELED also if it was abandoned, or the
 *         pool was shut down or freed while it waited; -ETIMEDOUT: given up by
 *         ouro_pool_shutdown().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_offload_with(ouro_task_fn *fn, void *arg,
                               const ouro_offload_options *opts) OURO_NODISCARD;

/**
 * Whether the job that runs on this thread was asked to stop. For jobs that are long and look now
 * and then.
 *
 * @return 1: cancelled, abandoned, or given up by the shutdown of its pool. 0; also outside jobs.
 *         @thread Any.
 */
int ouro_job_cancelled(void);

/**
 * Set how many threads a lane may have.
 *
 * @param lane     Which.
 * @param threads  1 to 4096; those beyond it end when their job has.
 * @return 0, -EINVAL (an unknown lane, another number).   @thread Any.
 */
int ouro_lane_set_threads(ouro_lane lane, int threads);

/**
 * Make a pool. Its threads are started when there is work for them.
 *
 * @param threads   How many at most; 1 or more.
 * @param opts      Copied; NULL for defaults.
 * @param ret_pool  Receives it, yours until ouro_pool_free().
 * @return 0, -ENOMEM, -EINVAL (NULL, threads < 1 or > 4096). On failure nothing is written.
 * @thread Any; loops of several threads may use one pool.
 */
int ouro_pool_new(int threads, const ouro_pool_options *opts, ouro_pool **ret_pool) OURO_NODISCARD;

/**
 * Wait until a pool has done its work, and have its threads end. It takes no more jobs from now on.
 *
 * When @p grace has passed, jobs that wait are cancelled, and jobs that run given up: they are told
 * to stop, their futures fail with -ETIMEDOUT, in the next turn of their own loops, and what they
 * return is destroyed when it comes. So their arguments must stay valid that long.
 *
 * @param pool   Borrowed; the future keeps what it needs of it.
 * @param grace  Nanoseconds; 0: at once. OURO_FOREVER: without limit.
 * @return A future, never NULL: 0 all jobs have ended, -ETIMEDOUT some were given up, -EALREADY (it
 *         was shut down before), -ENOMEM, -EINVAL, -EPERM (no loop), -ECHILD, -ESHUTDOWN. A cancel
 *         ends the grace.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pool_shutdown(ouro_pool *pool, ouro_ns grace) OURO_NODISCARD;

/**
 * Give a pool back. Waits for no job: those that wait are cancelled, those that run go on, their
 * futures settle as usual, and the last thread frees what is left. Threads that have nothing to do
 * have ended when this returns. A job may free the pool that it runs in.
 *
 * @param pool  Consumed; NULL is allowed.
 * @return NULL.   @thread Any.
 */
ouro_pool *ouro_pool_free(ouro_pool *pool);

OURO_END_DECLS

#endif
