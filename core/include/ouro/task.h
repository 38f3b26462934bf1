/* SPDX-License-Identifier: MIT */
#ifndef OURO_TASK_H
#define OURO_TASK_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file task.h
 * Coroutine tasks: plain C functions that wait in straight-line code.
 *
 * A task runs on a small stack of its own, on the loop's thread, until it awaits; then another
 * runs. Nothing else can happen between two awaits, so plain variables need no lock. A task is a
 * future: cancel it, gather it, put a timeout on it.
 */

/** A task's body. Its return is the task's result: n >= 0 a value, n < 0 an error. */
typedef int64_t ouro_task_fn(void *arg);

/** Options of ouro_spawn_with(). Zero is the default of every field. */
typedef struct ouro_spawn_options {
    const char *name;       /**< for reports; borrowed, must outlive the task's future. Default:
                                 "task" */
    size_t stack_size;      /**< bytes, rounded up to a power of two, at least 16 KiB, at most
                                 1 GiB. Default: 64 KiB */
    ouro_free_fn *arg_free; /**< called with arg exactly once: after the body returned, or when it
                                 will never run. Default: none */
    int eager;              /**< not 0: run up to the first wait before spawn returns */
} ouro_spawn_options;

/** A key of task-local values: its address is its identity. Define it static. */
typedef struct ouro_local {
    const char *name; /**< for you to read in a debugger; may be NULL */
} ouro_local;

OURO_BEGIN_DECLS

/**
 * Start a task. It runs in the next turn of the loop.
 *
 * A task that nobody holds on to runs on all the same. One that is cancelled before it started
 * never runs.
 *
 * @param fn   The body.
 * @param arg  Passed to @p fn. Yours; must live until the task has settled.
 * @return A future, never NULL.   @owns the caller: await, combine or detach it.
 *   - what @p fn returned
 *   - -ECANCELED   cancelled, and @p fn returned -ECANCELED or never ran
 *   - -ENOMEM, -EPERM (no loop on this thread), -ECHILD (forked), -ESHUTDOWN (loop is closing),
 *     -EINVAL (NULL, or a stack size beyond the limit)
 * @thread Loop thread only.
 */
ouro_future *ouro_spawn(ouro_task_fn *fn, void *arg) OURO_NODISCARD;

/**
 * Start a task with a name, a stack size, a destructor or eagerly. Else as ouro_spawn().
 *
 * @param fn    The body.
 * @param arg   Passed to @p fn. With arg_free it belongs to the task from now on, whatever this
 *              returns: on failure it is freed before the call returns.
 * @param opts  Copied; NULL for defaults.
 * @return See ouro_spawn().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_spawn_with(ouro_task_fn *fn, void *arg,
                             const ouro_spawn_options *opts) OURO_NODISCARD;

/**
 * Wait for a future and take its value.
 *
 * Returns only when @p f has settled: buffers on the task's stack are safe whatever happens. If the
 * task is cancelled meanwhile, the cancel is passed on to @p f and the wait goes on; a result that
 * @p f has anyway is returned. In a cancelled scope, a future that has settled is still
 * delivered, and any other is cancelled before it starts.
 *
 * @param f  Consumed. An object in its result is destroyed; ouro_await_ptr() hands it out.
 * @return The result, or
 *   - -ECANCELED             @p f was cancelled because this task is
 *   - -OURO_ECHILDCANCELLED  @p f was cancelled, and this task is not
 *   - -EDEADLK               @p f is the current task, which is not consumed; in debug mode also a
 *                            ring of waits
 *   - -EPERM                 not in a task
 *   - -EXDEV                 another thread's future: it stays yours
 *   - -EINVAL (NULL), -ECHILD (forked)
 * @thread Loop thread only, in a task.   @suspends Yes, but for every result that is there already;
 *         after 128 of those in a row it lets others run once.
 */
int64_t ouro_await(ouro_future *f);

/**
 * Wait for a future and take its object.
 *
 * @param f      Consumed.
 * @param ret_n  Receives what ouro_await() would return; NULL if unwanted.
 * @return The object, or NULL.   @owns the caller.   @thread Loop thread only, in a task.
 * @suspends As ouro_await().
 */
void *ouro_await_ptr(ouro_future *f, int64_t *ret_n);

/**
 * Wait for a future that others own: a cancel ends the wait, not the future.
 *
 * @param f  Borrowed; its object stays where it is.
 * @return As ouro_await(); -ECANCELED also if this task was cancelled and @p f goes on.
 * @thread Loop thread only, in a task.   @suspends As ouro_await().
 */
int64_t ouro_join(ouro_future *f);

/**
 * Let every other task that is ready run once.
 *
 * @return 0, -ECANCELED (this task is cancelled), -EPERM (not in a task), -ECHILD (forked).
 * @thread Loop thread only, in a task.   @suspends Yes.
 */
int ouro_yield(void);

/**
 * The task that runs now.
 *
 * @return Borrowed; NULL outside tasks.   @thread Any.
 */
ouro_future *ouro_task_current(void);

/**
 * A task's name.
 *
 * @param task  Borrowed; NULL for the current task.
 * @return The name it was spawned with; NULL if it is no task.   @thread Loop thread only.
 */
const char *ouro_task_name(const ouro_future *task);

/**
 * Give the running task's result an object: `return ouro_task_return(obj, obj_free);` The same in a
 * job of ouro_offload(), on its thread.
 *
 * @param ptr       The object; the task owns it from now on. One set before is destroyed inside
 *                  this call.
 * @param ptr_free  Destroys it if nobody takes it; NULL if that needs nothing.
 * @return 0, to be returned by the body. -EPERM (not in a task or a job: @p ptr stays yours).
 * @thread In a task, or in a job. An error return of the body destroys the object.
 */
int64_t ouro_task_return(void *ptr, ouro_free_fn *ptr_free);

/**
 * Say more about the error that the running task is about to return: `return ouro_task_fail(-EIO,
 * "%s: cut short", path);` Whoever has its future reads that with ouro_future_detail(); a group
 * lists it. The same in a job of ouro_offload(), on its thread.
 *
 * An object given to ouro_task_return() before is destroyed inside this call.
 *
 * @param error   < 0, to be returned by the body.
 * @param format  As printf(3); the text is copied. Without memory there is none.
 * @return @p error.   @thread Any; outside tasks and jobs nothing else happens.
 */
int64_t ouro_task_fail(int64_t error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * Set a task-local value, in a task or, for the loop's own callbacks, outside one.
 *
 * Tasks and callbacks see the values that held where they were spawned or registered; what they
 * set stays theirs and their children's. Posts, cancel hooks and ouro_uring_op()'s on_cqe see none.
 *
 * @param key        Borrowed for ever: a static object.
 * @param value      The value; NULL is a value too.
 * @param value_free Called once, when nobody can see @p value any more. NULL if nothing is needed.
 * @return 0, -ENOMEM (value stays yours), -EPERM (no loop), -ECHILD, -EINVAL (NULL key).
 * @thread Loop thread only.
 */
int ouro_local_set(const ouro_local *key, void *value, ouro_free_fn *value_free);

/**
 * Read a task-local value.
 *
 * @param key  As set.
 * @return The value, borrowed; NULL when it was never set, or with neither a loop nor a job. In a
 *         job of ouro_offload(): as it was where that was called.
 * @thread Loop thread, or in a job.
 */
void *ouro_local_get(const ouro_local *key);

OURO_END_DECLS

#endif
