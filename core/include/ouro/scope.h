/* SPDX-License-Identifier: MIT */
#ifndef OURO_SCOPE_H
#define OURO_SCOPE_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file scope.h
 * Cancellation as regions of code.
 *
 * Each task has a scope that spans its body, and may enter more inside it. A scope is cancelled by
 * its deadline or by hand, for good: every wait inside it then fails with -ECANCELED, having
 * started and taken nothing, until the code has left the scope. There it turns into -ETIMEDOUT, or
 * into success, if this scope and none around it was the cause. A shielded scope holds outside
 * cancels back until it is left.
 */

/** A region of a task's code. It must live on the task's stack; its fields are the library's. */
typedef struct ouro_scope {
    struct ouro_scope *outer;       /**< private */
    struct ouro_future *task;       /**< private */
    const char *reason;             /**< private */
    void *deadline;                 /**< private */
    struct ouro__leaving *leavings; /**< private */
    uint32_t flags;                 /**< private */
} ouro_scope;

/** Options of ouro_scope_enter(). Zero is the default of every field. */
typedef struct ouro_scope_options {
    ouro_ns timeout; /**< from now; 0: none. OURO_FOREVER: none. For "at once", cancel it */
    int shield;      /**< not 0: cancels from outside wait until the scope is left */
    int move_on;     /**< not 0: on expiry ouro_scope_exit() returns 0, not -ETIMEDOUT */
} ouro_scope_options;

OURO_BEGIN_DECLS

/**
 * Enter a region. It must be left, by ouro_scope_exit(), in the same function and in reverse order.
 *
 * @param scope  Storage: a local variable; lent until the exit.
 * @param opts   Copied; NULL for a scope that is only cancelled by hand.
 * @return 0, -EPERM (not in a task), -ENOMEM (no room for the deadline), -EINVAL (NULL), -ECHILD.
 *         On failure there is nothing to leave.   @thread Loop thread only, in a task.
 */
int ouro_scope_enter(ouro_scope *scope, const ouro_scope_options *opts) OURO_NODISCARD;

/**
 * Leave a region.
 *
 * @param scope  The innermost scope of the current task.
 * @param rc     What the region came to.
 * @return @p rc, but for -ECANCELED that is this scope's own doing and of none around it: that
 *         becomes -ETIMEDOUT after its deadline, or 0 with move_on; a scope cancelled by hand
 *         becomes 0 with move_on and stays -ECANCELED without. -EINVAL: not the innermost scope of
 *         the current task; nothing was left.
 * @thread Loop thread only, in a task.
 */
int64_t ouro_scope_exit(ouro_scope *scope, int64_t rc);

/**
 * Cancel a region, from inside or from another task of the same loop.
 *
 * @param scope   Borrowed; entered and not left.
 * @param reason  Why, in a few words; borrowed while the scope lasts, the first one is kept.
 *                NULL for "cancelled".
 * @return 1 recorded, 0 it was cancelled before, -EINVAL (NULL or not entered), -EXDEV (another
 *         thread's), -ECHILD.   @thread Loop thread only. Never allocates.
 */
int ouro_scope_cancel(ouro_scope *scope, const char *reason);

/**
 * Whether a region was cancelled, by its deadline or by hand.
 *
 * @param scope  Borrowed. May be asked after the exit.
 * @return 1 or 0.   @thread Loop thread only.
 */
int ouro_scope_cancelled(const ouro_scope *scope);

/**
 * Why the current task is being cancelled, if it is.
 *
 * @return The reason of the innermost scope in effect: the text given, "deadline", "cancelled",
 *         "shutdown" or "SIGINT". NULL when not cancelled, shielded, or outside tasks. Borrowed.
 * @thread Loop thread only.
 */
const char *ouro_cancel_reason(void);

OURO_END_DECLS

#endif
