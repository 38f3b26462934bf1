/* SPDX-License-Identifier: MIT */
#ifndef OURO_LOOP_H
#define OURO_LOOP_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/task.h>

/**
 * @file loop.h
 * The event loop: one for each thread that wants one.
 *
 * A loop belongs to the thread that makes it; what that thread then creates belongs to the loop.
 * Programs that are all ouro need only ouro_run(). The rest is for embedding, for callbacks and
 * for other threads.
 */

/** An event loop. */
typedef struct ouro_loop ouro_loop;

/** A callback that was asked for, as a handle to take it back. */
typedef struct ouro_call ouro_call;

/** A plain callback. */
typedef void ouro_call_fn(void *arg);

/** Options of a loop. Zero is the default of every field. */
typedef struct ouro_loop_options {
    unsigned entries; /**< submission queue entries, rounded up to a power of two, at most 32768;
                           halved while the kernel has no memory for them. Default: 256 */
    ouro_ns spin;     /**< longest look at the ring before a sleep, in busy times. Default: 50 us;
                           OURO_FOREVER: never look. Never on a machine with one processor */
    int debug;        /**< 1 on, -1 off. Default: on if the environment has OURO_DEBUG=1 */
    int step_times;   /**< not 0: measure how long each step takes, for ouro_loop_stats. Reads the
                           clock twice a step. Default: only in debug mode */
} ouro_loop_options;

/** Options of ouro_run(). Zero is the default of every field. */
typedef struct ouro_run_options {
    ouro_loop_options loop; /**< of the loop it makes */
    size_t stack_size;      /**< of the main task. Default: 256 KiB */
    ouro_ns grace;          /**< for what is left when main returns to clean up. Default: 10 s */
    int keep_sigint;        /**< not 0: leave SIGINT alone */
} ouro_run_options;

/** Length of the histogram of step times: the last but one is of those below 1.05 s. */
#define OURO_STEP_TIMES 22

/** Counters of a loop since it was made, and what lives in it now. */
typedef struct ouro_loop_stats {
    uint64_t turns;             /**< of the loop */
    uint64_t enters;            /**< io_uring_enter(2) calls */
    uint64_t submitted;         /**< submission queue entries: operations and cancels */
    uint64_t completed;         /**< completion queue entries taken */
    uint64_t stale;             /**< completions whose operation was gone */
    uint64_t parked;            /**< operations that found the submission queue full and waited */
    uint64_t overflows;         /**< times the kernel's completion queue was full */
    uint64_t wakes;             /**< wake-ups asked for by other threads */
    uint64_t spins;             /**< looks at the ring instead of a sleep */
    uint64_t spin_hits;         /**< of these, the ones that saw a completion */
    uint64_t allocations;       /**< calls of the allocator, all loops, since the process began */
    uint64_t live_futures;      /**< futures that have a reference */
    uint64_t live_tasks;        /**< tasks that have not settled */
    uint64_t live_operations;   /**< operations that have not settled */
    uint64_t kernel_operations; /**< completions the kernel still owes */
    uint64_t live_timers;       /**< deadlines that are set */
    uint64_t live_calls;        /**< callbacks that are due or waiting */
    uint64_t live_stacks;       /**< stacks in use */
    uint64_t live_fds;          /**< descriptors in results that nobody has taken */
    uint64_t ready;             /**< jobs that will run in the next turn */
    uint64_t timers_fired;      /**< deadlines that have passed */

    /* Of a loop that measures its steps, which are those of tasks, callbacks, and jobs of its own:
     * all in debug mode, and with ouro_loop_options.step_times. */
    uint64_t steps;       /**< how many there were */
    uint64_t ready_peak;  /**< most of them in one turn */
    ouro_ns step_longest; /**< the longest */
    uint64_t step_times
        [OURO_STEP_TIMES]; /**< how many took less than 1 us, 2 us, 4 us, ... The last: longer */
} ouro_loop_stats;

OURO_BEGIN_DECLS

/* ---- The whole program ----------------------------------------------------------------------- */

/**
 * Make a loop, run a main task in it to the end, clean up, and close it.
 *
 * When main returns, everything still running is cancelled and has opts->grace to end. The first
 * SIGINT cancels the main task; the second kills the process as if it had no handler. SIGINT is
 * taken over only where its disposition is the default and no other ouro_run() has it, and is given
 * back at the end. If no loop can be made, the reason is also written to standard error, as
 * ouro_explain() has it; who wants it elsewhere makes the loop by ouro_loop_new().
 *
 * @param main  The body of the main task.
 * @param arg   Passed to @p main. Yours.
 * @param opts  Copied; NULL for defaults.
 * @return What @p main returned, or
 *   - -EINTR       SIGINT cancelled it
 *   - -EBUSY       this thread has a loop already
 *   - -EPERM, -ENOSYS, -ENOMEM, -EOPNOTSUPP (kernel too old), ...   no loop could be made: ask
 *     ouro_explain()
 *   - -EINVAL      NULL, or an option beyond its limit
 *   - -ECHILD      this thread's loop was made before a fork
 * @thread Any without a loop.   @suspends Blocks the thread.
 */
int64_t ouro_run(ouro_task_fn *main, void *arg, const ouro_run_options *opts);

/**
 * A result as an exit status: 0 to 255 as it is, larger values 255, -EINTR 130 as shells have it,
 * every other error 1.
 *
 * @param rc  What ouro_run() returned.
 * @return For exit(3) or main's return.   @thread Any.
 */
int ouro_exit_code(int64_t rc);

/* ---- Making and running ---------------------------------------------------------------------- */

/**
 * Make a loop for the calling thread.
 *
 * @param opts      Copied; NULL for defaults.
 * @param ret_loop  Receives the loop, yours until ouro_loop_close().
 * @return 0, -EBUSY (this thread has one), -ECHILD (and it was made before a fork), -EINVAL, or why
 *         there is no ring: see ouro_explain(). On failure nothing is written.
 * @thread Any without a loop.
 */
int ouro_loop_new(const ouro_loop_options *opts, ouro_loop **ret_loop) OURO_NODISCARD;

/**
 * The calling thread's loop.
 *
 * @return Borrowed; NULL without one.   @thread Any.
 */
ouro_loop *ouro_loop_current(void);

/**
 * Run until nothing is left to wait for, or until ouro_loop_stop().
 *
 * @param loop  The calling thread's.
 * @return 0: nothing is left. 1: stopped. -EBUSY (it is running), -EINVAL (NULL), -EXDEV (another
 *         thread's), -ECHILD (forked), -ESHUTDOWN (closed), or an error of the ring.
 * @thread Loop thread only, outside tasks and callbacks.
 */
int ouro_loop_run(ouro_loop *loop);

/**
 * Run until a future has settled, and take its value.
 *
 * @param loop  The calling thread's.
 * @param f     Consumed, whatever this returns, but for another thread's future or loop. Keep a
 *              reference to look at it afterwards.
 * @return The result of @p f, as ouro_await() tells it, or -EINTR if ouro_loop_stop() came first,
 *         -EBUSY (the loop is running), -EINVAL (NULL), -EXDEV, -ECHILD, -ESHUTDOWN, or an error of
 *         the ring.
 * @thread Loop thread only, outside tasks and callbacks.
 */
int64_t ouro_loop_run_until(ouro_loop *loop, ouro_future *f);

/**
 * Make one turn: what is ready, then what completes within @p max_wait, then timers.
 *
 * @param loop      The calling thread's.
 * @param max_wait  Nanoseconds to wait at most when nothing is ready. 0: do not wait.
 * @return 1 something is left to wait for, 0 nothing is, negative as ouro_loop_run().
 * @thread Loop thread only, outside tasks and callbacks.
 */
int ouro_loop_step(ouro_loop *loop, ouro_ns max_wait);

/**
 * Have the running ouro_loop_run() or ouro_loop_run_until() return after this turn. The next run
 * goes on where this one stopped. Under ouro_run() it cancels the main task.
 *
 * @param loop  The calling thread's.
 * @return 0, -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN.   @thread Loop thread only.
 */
int ouro_loop_stop(ouro_loop *loop);

/**
 * A descriptor that polls readable (POLLIN) when ouro_loop_step() has completions to take: for
 * embedding in another loop, together with ouro_loop_timeout().
 *
 * @param loop  The calling thread's.
 * @return The descriptor, owned by the loop; negative as ouro_loop_stop().   @thread Loop thread
 *         only.
 */
int ouro_loop_fd(ouro_loop *loop);

/**
 * How long another loop may wait on ouro_loop_fd() before it must step.
 *
 * @param loop  The calling thread's.
 * @return Nanoseconds; 0: step now. OURO_FOREVER: until the descriptor is readable.
 * @thread Loop thread only.
 */
ouro_ns ouro_loop_timeout(ouro_loop *loop);

/**
 * Cancel everything and run until all of it has ended.
 *
 * Tasks first, so that they can clean up with the loop still working, shielded regions included;
 * then whatever else is pending. Nothing new can be spawned meanwhile (-ESHUTDOWN).
 *
 * @param loop   The calling thread's.
 * @param grace  Nanoseconds until it gives up. What then remains is reported, and what the kernel
 *               may still write to is leaked, not freed.
 * @return 0 all ended, -ETIMEDOUT something was given up, -EBUSY (running), -EINVAL, -EXDEV,
 *         -ECHILD, -ESHUTDOWN (closed).   @thread Loop thread only, outside tasks and callbacks.
 */
int ouro_loop_shutdown(ouro_loop *loop, ouro_ns grace);

/**
 * Close a loop that is quiet, and drop its maker's reference. Posts that never ran have their
 * arg_free called. In a forked child it releases memory, and the child may make a loop of its own;
 * a child forked inside a task or a callback, as everything under ouro_run() is, can do neither: it
 * should exec or exit.
 *
 * Futures and calls that are still referenced are reported as leaks in debug mode, and stay valid
 * for ouro_unref().
 *
 * @param loop  The calling thread's; NULL is allowed.
 * @return 0, -EBUSY (running, or not quiet: call ouro_loop_shutdown()), -EXDEV, -ESHUTDOWN.
 * @thread Loop thread only, outside tasks and callbacks.
 */
int ouro_loop_close(ouro_loop *loop);

/**
 * Read the counters.
 *
 * @param loop       The calling thread's.
 * @param ret_stats  Receives a snapshot. Yours.
 * @return 0, -EINVAL, -EXDEV, -ECHILD.   @thread Loop thread only. Works after
 *         ouro_loop_shutdown().
 */
int ouro_loop_stats_get(ouro_loop *loop, ouro_loop_stats *ret_stats);

/* ---- Callbacks ------------------------------------------------------------------------------- */

/**
 * Have @p fn called in the next turn.
 *
 * @param fn        Called once on the loop.
 * @param arg       Passed to @p fn. With @p arg_free it is the call's once this has returned 0.
 * @param arg_free  Called with @p arg exactly once: after @p fn, or when it will never run. Or
 *                  NULL.
 * @param ret_call  Receives a handle, yours until ouro_call_unref(); NULL if unwanted.
 * @return 0, -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN (loop is closing),
 *         -EINVAL. On failure @p arg stays yours.   @thread Loop thread only.
 */
int ouro_call_soon(ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free, ouro_call **ret_call);

/**
 * Have @p fn called after @p delay. Else as ouro_call_soon().
 *
 * @param delay     Nanoseconds from now.
 * @param fn        Called once on the loop.
 * @param arg       Passed to @p fn.
 * @param arg_free  See ouro_call_soon().
 * @param ret_call  See ouro_call_soon().
 * @return See ouro_call_soon().   @thread Loop thread only.
 */
int ouro_call_later(ouro_ns delay, ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free,
                    ouro_call **ret_call);

/**
 * Have @p fn called when ouro_now() has reached @p when. Else as ouro_call_soon().
 *
 * @param when      Point of the loop's clock.
 * @param fn        Called once on the loop.
 * @param arg       Passed to @p fn.
 * @param arg_free  See ouro_call_soon().
 * @param ret_call  See ouro_call_soon().
 * @return See ouro_call_soon().   @thread Loop thread only.
 */
int ouro_call_at(ouro_ns when, ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free,
                 ouro_call **ret_call);

/**
 * Take a callback back. Final: after 1 it never runs.
 *
 * @param call  Borrowed.
 * @return 1 removed; its arg_free is called in the next turn. 0: it ran, is running, or was
 *         removed before. -EINVAL (NULL), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_call_cancel(ouro_call *call);

/**
 * Give a handle back. The callback is not affected.
 *
 * @param call  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only.
 */
ouro_call *ouro_call_unref(ouro_call *call);

/* ---- From other threads ---------------------------------------------------------------------- */

/**
 * Add a reference to a loop for the use of another thread.
 *
 * @param loop  Borrowed.
 * @return @p loop.   @thread Any.
 */
ouro_loop *ouro_loop_ref(ouro_loop *loop);

/**
 * Drop such a reference. A closed loop's memory goes with the last one.
 *
 * @param loop  Consumed; NULL is allowed.
 * @return NULL.   @thread Any.
 */
ouro_loop *ouro_loop_unref(ouro_loop *loop);

/**
 * Have @p fn called on another thread's loop. One of the few calls that may be made off the loop's
 * thread, with ouro_loop_wake(), ref/unref and those of <ouro/thread.h>. Posts of one thread run in
 * the order in which they were made.
 *
 * @param loop      The loop; held by a reference or known to be alive.
 * @param fn        Called once, on the loop's thread.
 * @param arg       Passed to @p fn. With @p arg_free it is the post's once this has returned 0.
 * @param arg_free  Called with @p arg on the loop's thread exactly once: after @p fn, or when it
 *                  will never run. Or NULL.
 * @return 0, -ENOMEM, -ESHUTDOWN (closed), -EINVAL (NULL), -ECHILD. On failure @p arg stays yours.
 * @thread Any.
 */
int ouro_loop_post(ouro_loop *loop, ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free);

/**
 * Make a sleeping loop take a turn.
 *
 * @param loop  The loop; held by a reference or known to be alive.
 * @return 0, -EINVAL (NULL), -ESHUTDOWN (closed), -ECHILD.   @thread Any, also in signal handlers.
 */
int ouro_loop_wake(ouro_loop *loop);

OURO_END_DECLS

#endif
