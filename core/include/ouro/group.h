/* SPDX-License-Identifier: MIT */
#ifndef OURO_GROUP_H
#define OURO_GROUP_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/scope.h>
#include <ouro/task.h>

/**
 * @file group.h
 * Groups of tasks that end together: task groups, nurseries.
 *
 * A task enters a group, spawns children into it, and leaves it, which waits for all of them: no
 * child outlives the function that spawned it. The first that fails cancels the rest and the body
 * of the group as well; what it failed with is what leaving the group returns.
 *
 *     ouro_group group;
 *     int64_t rc = ouro_group_enter(&group, NULL);
 *     if (rc < 0)
 *         return rc;
 *     for (int i = 0; rc == 0 && i < 10; i++)
 *         rc = ouro_group_spawn(&group, fetch, &urls[i]);
 *     return ouro_group_exit(&group, rc);
 *
 * A child that is cancelled is not a failure. Real errors beat cancellation, so that the cause is
 * seen and not its effects.
 *
 * The group is a scope of the task that entered it, and its children belong there: what cancels a
 * scope around it, a deadline or by hand, cancels them at once, and a shield around it holds that
 * back.
 */

/** A group, entered by the task on whose stack it is. Its fields are the library's. */
typedef struct ouro_group {
    ouro_scope scope; /**< private */
    void *members;    /**< private */
} ouro_group;

/** A child's failure, as it is told when its group is over. */
typedef struct ouro_group_error {
    int64_t error;       /**< what it returned, < 0 */
    const char *name;    /**< its name, copied; at most 47 bytes */
    const char *detail;  /**< ouro_future_detail(), or NULL */
    void *const *frames; /**< debug: return addresses, innermost first: where it was spawned; NULL
                              when unknown */
    size_t frame_count;  /**< how many */
} ouro_group_error;

/** Told of a child that has ended; @p result is what it returned. Runs on the loop. */
typedef void ouro_group_child_fn(ouro_future *child, int64_t result, void *arg);

/** Options of ouro_group_enter(). Zero is the default of every field. */
typedef struct ouro_group_options {
    int supervise; /**< not 0: a child that fails leaves the others alone; its error is listed,
                              and not what leaving the group returns */
    int64_t limit; /**< of children alive at once: ouro_group_spawn() waits. Default: none */
    int64_t errors_kept; /**< length of the list of errors; more are counted only. Default: all of
                              them; with supervise, which may last for long, the first 64 */
    ouro_group_child_fn *on_child; /**< called for each child that has ended, before anything else
                                        follows from that; it may start another. Default: none */
    void *arg;                     /**< passed to on_child. Borrowed until the group is left */
    const char *name;              /**< for ouro_tasks_print(); borrowed. Default: none */
} ouro_group_options;

OURO_BEGIN_DECLS

/**
 * Enter a group. It is a scope too, and must be left like one: in the same function, in reverse
 * order. What is left unleft when the task returns is cancelled and reported.
 *
 * @param group  Storage: a local variable; lent until the exit.
 * @param opts   Copied; NULL for defaults.
 * @return 0, -EPERM (not in a task), -ENOMEM, -EINVAL (NULL, a negative limit or errors_kept),
 *         -ECHILD. On failure there is nothing to leave.   @thread Loop thread only, in a task.
 */
int ouro_group_enter(ouro_group *group, const ouro_group_options *opts) OURO_NODISCARD;

/**
 * Start a child. From the body until it leaves, or from another child, as long as one is alive.
 *
 * @param group  Borrowed.
 * @param fn     The child's body.
 * @param arg    Passed to @p fn. Yours; it must live until the group is left.
 * @return 0, or why there is no child: -ECANCELED (the group is cancelled, or this task is; nothing
 *         was started), -ESHUTDOWN (the group is over, or the loop is closing), -ENOMEM, -EINVAL
 *         (NULL), -EPERM (not in a task), -EXDEV, -ECHILD.
 * @thread Loop thread only, in a task.   @suspends While the group is at its limit. Children that
 *         all wait to spawn in their own full group wait for ever.
 */
int ouro_group_spawn(ouro_group *group, ouro_task_fn *fn, void *arg) OURO_NODISCARD;

/**
 * Start a child with options, and have its future. Else as ouro_group_spawn().
 *
 * @param group     Borrowed.
 * @param fn        The child's body.
 * @param arg       Passed to @p fn. With arg_free it is the child's once this has returned 0;
 *                  otherwise it stays yours.
 * @param opts      Copied; NULL for defaults.
 * @param ret_task  Receives the child, one reference, yours, to read its result or to cancel it
 *                  alone; an await that is cancelled cancels the child. NULL if unwanted.
 * @return See ouro_group_spawn().   @thread Loop thread only, in a task.   @suspends As
 *         ouro_group_spawn().
 */
int ouro_group_spawn_with(ouro_group *group, ouro_task_fn *fn, void *arg,
                          const ouro_spawn_options *opts, ouro_future **ret_task) OURO_NODISCARD;

/**
 * Start a child if the group has room for it now. Else as ouro_group_spawn_with().
 *
 * @param group     Borrowed.
 * @param fn        The child's body.
 * @param arg       See ouro_group_spawn_with().
 * @param opts      Copied; NULL for defaults.
 * @param ret_task  See ouro_group_spawn_with().
 * @return See ouro_group_spawn(); -EAGAIN: the group is at its limit, or others wait for room.
 *         -ECANCELED only if the group is cancelled.   @thread Loop thread only; also in callbacks.
 */
int ouro_group_try_spawn(ouro_group *group, ouro_task_fn *fn, void *arg,
                         const ouro_spawn_options *opts, ouro_future **ret_task) OURO_NODISCARD;

/**
 * Cancel the body and every child. Nothing can be spawned from now on. Leaving the group then is no
 * error.
 *
 * @param group   Borrowed; entered and not left.
 * @param reason  Why, in a few words; borrowed while the group lasts. NULL for "cancelled".
 * @return 1 recorded, 0 it was cancelled before, -EINVAL, -EXDEV, -ECHILD.
 * @thread Loop thread only. Never allocates.
 */
int ouro_group_cancel(ouro_group *group, const char *reason);

/**
 * Wait for all children, without leaving yet, so that the list of errors can be read.
 *
 * A cancel that comes meanwhile cancels the children, also if it is that of an inner scope: a
 * deadline around the join ends them, nobody can be spawned from then on, and ouro_scope_exit()
 * tells -ETIMEDOUT.
 *
 * @param group  Borrowed; entered by the current task.
 * @return 0, the first error (without supervise), -ECANCELED (this task was cancelled, and so were
 *         the children), -EINVAL, -EPERM (not the task that entered), -ECHILD.
 * @thread Loop thread only, in a task.   @suspends While a child lives, whatever is cancelled.
 */
int64_t ouro_group_join(ouro_group *group);

/**
 * Leave a group: wait for all children, and free what it has. If @p rc is an error, they are
 * cancelled.
 *
 * @param group  The innermost scope or group of the current task.
 * @param rc     What the body came to.
 * @return The first error, in the order in which children and body ended: a child's (without
 *         supervise), or @p rc if that is a real error. Else -ECANCELED, if the task is cancelled
 *         from outside and that stopped the body or a child; what is around it stays cancelled
 *         either way. Else @p rc, but 0 for the -ECANCELED that is ouro_group_cancel()'s doing.
 *         -EINVAL: not the innermost of the current task; nothing was left.
 * @thread Loop thread only, in a task.   @suspends While a child lives, whatever is cancelled.
 */
int64_t ouro_group_exit(ouro_group *group, int64_t rc);

/**
 * How many children are alive, those included whose spawning tasks were just given room.
 *
 * @param group  Borrowed; entered and not left.
 * @return The number; -EINVAL.   @thread Loop thread only.
 */
int64_t ouro_group_live(const ouro_group *group);

/**
 * How many children have failed so far, those included that the list had no room for.
 *
 * @param group  Borrowed; entered and not left.
 * @return The number; -EINVAL.   @thread Loop thread only.
 */
int64_t ouro_group_error_count(const ouro_group *group);

/**
 * A failure, in the order in which they came.
 *
 * @param group  Borrowed; entered and not left.
 * @param i      0 and up.
 * @return Borrowed until the group is left; NULL beyond the list.   @thread Loop thread only.
 */
const ouro_group_error *ouro_group_error_at(const ouro_group *group, int64_t i);

OURO_END_DECLS

#endif
