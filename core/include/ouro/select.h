/* SPDX-License-Identifier: MIT */
#ifndef OURO_SELECT_H
#define OURO_SELECT_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file select.h
 * Waiting for some of several futures: select, wait, as completed.
 *
 * ouro_select() is for a choice: it takes the futures, the first to settle wins, the rest are
 * cancelled. ouro_wait() and ouro_as_completed() only look: the futures stay yours and are never
 * cancelled.
 */

/** Until when ouro_wait() waits. */
typedef enum ouro_wait_mode {
    OURO_WAIT_ALL = 0, /**< all have settled */
    OURO_WAIT_FIRST,   /**< one has settled */
    OURO_WAIT_ERROR    /**< one has failed, or was cancelled; or all have settled */
} ouro_wait_mode;

/** An iteration over futures in the order in which they settle. */
typedef struct ouro_completions ouro_completions;

OURO_BEGIN_DECLS

/**
 * Wait for the first of several futures to settle; cancel the others, and wait until they have
 * settled too.
 *
 * What a loser won all the same, between its cancel and its end, goes back: an item to its queue, a
 * lock to the next in line, a descriptor is closed, an object is destroyed. Of several that have
 * settled already the first in @p fs wins, and the others go back likewise. A future given twice is
 * consumed once, and wins at its first place.
 *
 * @param fs          @p n futures, all consumed. The array itself is free again when this returns.
 * @param n           How many; 1 or more.
 * @param ret_winner  Receives what the winner came to, error or not, its object yours; one that
 *                    somebody else cancelled reads -OURO_ECHILDCANCELLED. NULL: the object is
 *                    destroyed, and what is granted goes back. Lent until the future settles, and
 *                    written on success alone.
 * @return A future, never NULL.   @owns the caller.
 *   - 0 to n - 1   which one won
 *   - -ECANCELED   the select was cancelled before one settled; one that has a value all the same
 *     wins
 *   - -ENOMEM, -EINVAL (n is 0, a NULL among them), -EDEADLK (the current task among them, which is
 *     not consumed), -EXDEV: this thread's futures were cancelled, and inside a task have settled
 *     when this returns
 *   - -EPERM (no loop on this thread), -ECHILD (forked)
 * @thread Loop thread only.   @suspends Only to fail, inside a task, as said above.
 */
ouro_future *ouro_select(ouro_future *const *fs, size_t n, ouro_result *ret_winner) OURO_NODISCARD;

/**
 * Wait until enough of several futures have settled. Cancels nothing; cancelling it cancels
 * nothing.
 *
 * The end of the time is an answer here, not an error: ask ouro_future_state() who is done. That is
 * why this is the one call with a limit of its own; ouro_timeout() around it fails with -ETIMEDOUT
 * instead. A future given twice counts twice.
 *
 * @param fs     @p n futures, borrowed; kept alive meanwhile. The array itself is free again when
 *               this returns.
 * @param n      How many; 0 is done at once.
 * @param mode   Until when.
 * @param limit  Nanoseconds to wait at most; OURO_FOREVER: no limit. 0: only look.
 * @return A future, never NULL.   @owns the caller.
 *   - 0 to n       how many have settled
 *   - -ECANCELED   the wait was cancelled
 *   - -ENOMEM, -EINVAL (a NULL among them, an unknown mode), -EXDEV, -EDEADLK (the current task
 *     among them), -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_wait(ouro_future *const *fs, size_t n, ouro_wait_mode mode,
                       ouro_ns limit) OURO_NODISCARD;

/**
 * Iterate over futures in the order in which they settle.
 *
 *     while ((i = ouro_await(ouro_completions_next(c))) >= 0)
 *         use(ouro_await(fs[i]));
 *
 * A future given twice comes at both its places.
 *
 * @param fs               @p n futures, borrowed; kept alive meanwhile. The array itself is free
 *                         again when this returns.
 * @param n                How many; 0 is an iteration without a step.
 * @param ret_completions  Receives the iteration, yours until ouro_completions_free().
 * @return 0, -ENOMEM, -EINVAL (NULL), -EXDEV, -EDEADLK, -EPERM (no loop on this thread), -ECHILD,
 *         -ESHUTDOWN. On failure nothing is written.   @thread Loop thread only.
 */
int ouro_as_completed(ouro_future *const *fs, size_t n,
                      ouro_completions **ret_completions) OURO_NODISCARD;

/**
 * The next that settles. Each comes once; one that nobody takes, because its future lost a select
 * or was given up, comes again in the next turn, before others. A wait for it that is cancelled or
 * runs into a timeout takes none.
 *
 * @param c  Borrowed; the future keeps what it needs of it. Several waits at a time are served in
 *           order.
 * @return A future, never NULL: its index in the array, -ENODATA when none is left to come,
 *         -ECANCELED, -ENOMEM, -EINVAL (NULL), -EXDEV, -ECHILD, -ESHUTDOWN; -EPIPE: @p c was freed
 *         meanwhile.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_completions_next(ouro_completions *c) OURO_NODISCARD;

/**
 * End an iteration. Its futures go on.
 *
 * @param c  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only.
 */
ouro_completions *ouro_completions_free(ouro_completions *c);

OURO_END_DECLS

#endif
