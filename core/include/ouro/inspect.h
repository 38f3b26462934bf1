/* SPDX-License-Identifier: MIT */
#ifndef OURO_INSPECT_H
#define OURO_INSPECT_H

#include <stdio.h>

#include <ouro/base.h>

/**
 * @file inspect.h
 * Looking into a running program: what its tasks wait for, and what holds up its loop.
 */

/** A loop was found to be blocked. Everything is borrowed for the time of the call. */
typedef struct ouro_blocked {
    const char *name; /**< of the task that runs; NULL: a callback, or the thread did not answer */
    ouro_ns duration; /**< for how long, so far */
    void *const *frames; /**< the loop thread's stack as it is right now, innermost first */
    size_t frame_count;  /**< how many; 0 if the thread did not answer */
} ouro_blocked;

/** Told of a blocked loop, on the watchdog's thread, while it is still blocked. It may not use the
 * loop. */
typedef void ouro_blocked_fn(const ouro_blocked *blocked, void *arg);

/** Options of ouro_watchdog_start(). Zero is the default of every field. */
typedef struct ouro_watchdog_options {
    ouro_ns limit;       /**< a step that takes longer is told of, once. Default: 100 ms */
    ouro_blocked_fn *fn; /**< default: a line on standard error, and the stack */
    void *arg;           /**< passed to fn. Borrowed until the watchdog is stopped */
    int signal; /**< by which the thread is asked for its stack; while a watchdog runs, its handler
                     is the library's, and the loop's thread has it unblocked. Default: SIGURG,
                     whose default action is none */
} ouro_watchdog_options;

OURO_BEGIN_DECLS

/**
 * Print the tree of tasks of the calling thread's loop: under each the tasks it waits for.
 *
 * For each its name, what it waits for (an operation and its descriptor, a lock and who holds it, a
 * queue and how full it is, a group, a deadline and when that comes), and whether it was cancelled;
 * in debug mode also its age and where it was spawned: the function, if the linker kept its name
 * (-rdynamic), else what addr2line(1) takes. One that several wait for is printed once. Under
 * ouro_run() with OURO_DEBUG=1 in the environment, SIGUSR1 prints it on standard error.
 *
 * @param out  Written to, and flushed.
 * @return How many tasks there are; -EINVAL (NULL), -EPERM (no loop on this thread), -ECHILD, -EIO
 *         (it could not be written).   @thread Loop thread only. Allocates nothing.
 */
int64_t ouro_tasks_print(FILE *out);

/**
 * Have a thread watch the calling thread's loop for steps that take too long: code that blocks or
 * computes where it should await. Such a step is told of while it still runs, once; a loop that
 * sleeps is not blocked. It is watched until ouro_watchdog_stop(), or until the loop is closed; not
 * in the child of a fork. Costs a store a step, and tasks then hand over to each other by way of
 * the loop, as in debug mode.
 *
 * The signal interrupts system calls such as nanosleep(2) early, which is no loss: they are what is
 * being looked for.
 *
 * @param opts  Copied; NULL for defaults.
 * @return 0, -EBUSY (it has one, or the signal has a handler that is not ours), -EPERM (no loop on
 *         this thread), -EAGAIN (no thread), -ENOMEM, -EINVAL (not a signal), -ECHILD.   @thread
 *         Loop thread only.
 */
int ouro_watchdog_start(const ouro_watchdog_options *opts) OURO_NODISCARD;

/**
 * Stop watching the calling thread's loop. With the last one, the signal's action is given back.
 *
 * @return 1 stopped, 0 there was none, -EPERM (no loop on this thread), -ECHILD.   @thread Loop
 *         thread only.
 */
int ouro_watchdog_stop(void);

OURO_END_DECLS

#endif
