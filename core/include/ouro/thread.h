/* SPDX-License-Identifier: MIT */
#ifndef OURO_THREAD_H
#define OURO_THREAD_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/loop.h>
#include <ouro/task.h>

/**
 * @file thread.h
 * Several loops, and threads without one: workers, calls from loop to loop, remotes.
 *
 * A loop never shares what it has. To use more processors, run a loop on each (ouro_run_workers())
 * and have them call each other (ouro_loop_call()). A thread that has no loop starts work on one
 * and waits for it with a remote. Everything else in the library is for the loop's own thread.
 */

/** What another thread waits for with: work on a loop. Counted by its users; any thread. */
typedef struct ouro_remote ouro_remote;

OURO_BEGIN_DECLS

/* ---- Many loops ------------------------------------------------------------------------------ */

/**
 * How many processors this process may use.
 *
 * @return 1 or more.   @thread Any.
 */
int ouro_cpu_count(void);

/**
 * Run a main task on each of several loops, a thread for each, and wait for all of them.
 *
 * All loops are there before any main task runs. The first that fails cancels the others, as SIGINT
 * and ouro_loop_stop() do. The calling thread is one of the workers: number 0. The threads of the
 * others are named "ouro-w1" and so on, and take no signals but those of faults.
 *
 * @param n     How many; 1 or more, at most 1024. ouro_cpu_count() is a good number.
 * @param main  The body of every main task: ouro_worker_index() tells which.
 * @param arg   Passed to each @p main. Yours, and shared by all threads.
 * @param opts  Of each of them; copied; NULL for defaults.
 * @return The sum of what they returned if all succeeded; else the first error that was not the
 *         doing of a cancel; or
 *   - -EINTR       SIGINT cancelled them
 *   - -ECANCELED   ouro_loop_stop() did
 *   - -EINVAL (NULL, @p n out of range), -EAGAIN (no more threads), -ENOMEM, or as ouro_run(): not
 *     all could be started, and no main task has run
 * @thread Any without a loop.   @suspends Blocks the thread.
 */
int64_t ouro_run_workers(int n, ouro_task_fn *main, void *arg, const ouro_run_options *opts);

/**
 * Which worker this thread is.
 *
 * @return 0 and up; -EPERM: none.   @thread Any.
 */
int ouro_worker_index(void);

/**
 * How many workers there are, and the loop of one of them.
 *
 * @return 1 or more; -EPERM: this thread is no worker.   @thread Any.
 */
int ouro_worker_count(void);

/**
 * The loop of another worker, for ouro_loop_call() and ouro_loop_post(). Valid until this worker's
 * main task has returned, also after the other's has: calls then fail with -ESHUTDOWN.
 *
 * @param index  0 to ouro_worker_count() - 1.
 * @return Borrowed; NULL: no such worker.   @thread A worker's.
 */
ouro_loop *ouro_worker_loop(int index);

/* ---- From loop to loop ----------------------------------------------------------------------- */

/**
 * Run a task on another loop and have its answer here. On the own loop it is ouro_spawn().
 *
 * A cancel is passed on to the task, and the wait goes on until it has answered.
 *
 * @param loop  Held by a reference or known to be alive.
 * @param fn    The body; runs on that loop's thread.
 * @param arg   Passed to @p fn. Yours; must live until the future has settled.
 * @return A future of this thread's loop, never NULL. An object that the task returned comes along,
 *         and is destroyed here if nobody takes it; there, if this loop has closed without waiting
 *         for the answer.
 *   - what @p fn returned
 *   - -ECANCELED             cancelled here
 *   - -OURO_ECHILDCANCELLED  the task was cancelled by somebody else
 *   - -ESHUTDOWN             the other loop is closing or has closed, or this one is closing
 *   - -ENOMEM, -EINVAL (NULL), -EPERM (no loop on this thread), -ECHILD (either loop was made
 *     before a fork)
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_loop_call(ouro_loop *loop, ouro_task_fn *fn, void *arg) OURO_NODISCARD;

/* ---- From threads without a loop ------------------------------------------------------------- */

/**
 * Start a task on a loop from any thread.
 *
 * @param loop        Held by a reference or known to be alive.
 * @param fn          The body; runs on that loop's thread.
 * @param arg         Passed to @p fn. With opts->arg_free it is the task's once this has returned
 *                    0, and freed on the loop's thread.
 * @param opts        Copied; NULL for defaults. A name must outlive the task.
 * @param ret_remote  Receives what to wait with, yours until ouro_remote_free(); NULL if unwanted.
 * @return 0, -ESHUTDOWN (closed), -ENOMEM, -EINVAL (NULL, or a stack size beyond the limit),
 *         -ECHILD. On failure
 *         @p arg stays yours. What goes wrong later the remote tells.
 * @thread Any.
 */
int ouro_remote_spawn(ouro_loop *loop, ouro_task_fn *fn, void *arg, const ouro_spawn_options *opts,
                      ouro_remote **ret_remote) OURO_NODISCARD;

/**
 * Make what another thread can wait for a future with.
 *
 * @param f           Consumed, whatever this returns.
 * @param ret_remote  Receives it, yours until ouro_remote_free(); give it to one other thread, or
 *                    use ouro_remote_ref().
 * @return 0, -ENOMEM, -EINVAL, -EPERM (no loop on this thread), -ESHUTDOWN (given up by its loop's
 *         shutdown); -EXDEV (another thread's future, which stays theirs), -ECHILD.   @thread Loop
 *         thread only.
 */
int ouro_remote_new(ouro_future *f, ouro_remote **ret_remote) OURO_NODISCARD;

/**
 * Wait until it has settled.
 *
 * @param r      Borrowed.
 * @param limit  Nanoseconds to wait at most; 0: only look. OURO_FOREVER: without limit.
 * @return The result, which can be read any number of times; a descriptor is yours once you have
 *         seen it. Or
 *   - -ECANCELED             ouro_remote_cancel() stopped it
 *   - -OURO_ECHILDCANCELLED  it was cancelled by somebody else
 *   - -ESHUTDOWN             its loop closes or has closed, and it did not settle before
 *   - -EAGAIN                not in this time
 *   - -EDEADLK               it has not settled, and this is the loop's own thread
 *   - -EINVAL (NULL), -ECHILD (forked before it settled)
 * @thread Any; the loop's own may only look.   @suspends Blocks the thread.
 */
int64_t ouro_remote_wait(ouro_remote *r, ouro_ns limit);

/**
 * Take the object of a result that has come.
 *
 * @param r         Borrowed.
 * @param ret_free  Receives its destructor, NULL if it has none; NULL if unwanted.
 * @return The object, yours; NULL: none, none yet, or it was taken.   @owns the caller.   @thread
 *         Any.
 */
void *ouro_remote_take(ouro_remote *r, ouro_free_fn **ret_free);

/**
 * Ask the work to stop, as ouro_cancel() does on its loop, soon.
 *
 * @param r  Borrowed.
 * @return 1 asked, 0 it has settled or was asked before, -EINVAL (NULL), -ECHILD.   @thread Any.
 *         Never allocates.
 */
int ouro_remote_cancel(ouro_remote *r);

/**
 * Add a reference.
 *
 * @param r  Borrowed; NULL is allowed.
 * @return @p r.   @thread Any.
 */
ouro_remote *ouro_remote_ref(ouro_remote *r);

/**
 * Drop a reference. The work goes on; with the last one, an object nobody took is destroyed on the
 * loop's thread, or here if the loop is closed.
 *
 * @param r  Consumed; NULL is allowed.
 * @return NULL.   @thread Any.
 */
ouro_remote *ouro_remote_free(ouro_remote *r);

OURO_END_DECLS

#endif
