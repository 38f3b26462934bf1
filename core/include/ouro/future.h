/* SPDX-License-Identifier: MIT */
#ifndef OURO_FUTURE_H
#define OURO_FUTURE_H

#include <ouro/base.h>

/**
 * @file future.h
 * Futures, promises and what combines them.
 *
 * A future is something that will have a result. Functions that wait return one, never NULL: every
 * failure, no memory included, arrives as its result. It belongs to the loop of the thread that
 * made it and is counted by references; the caller of the function that made it owns one.
 *
 * Combining consumes, inspecting borrows: ouro_await(), ouro_then(), ouro_gather(), ouro_select(),
 * ouro_timeout() and ouro_detach() take the caller's reference over, whatever they return;
 * ouro_join(), ouro_cancel(), ouro_on_done() and the getters do not.
 *
 * Callbacks never run inside the call that registers, resolves or cancels. They run on the loop,
 * in the order in which they became due, in its next turn.
 */

/** Something that will have a result. */
typedef struct ouro_future ouro_future;

/** The producer's end of a future. */
typedef struct ouro_promise ouro_promise;

/** Where a future stands. All but OURO_PENDING are final. */
typedef enum ouro_state {
    OURO_PENDING = 0, /**< it has no result yet */
    OURO_VALUE,       /**< n >= 0 */
    OURO_ERROR,       /**< n < 0 */
    OURO_CANCELLED    /**< it was asked to, by ouro_cancel() or a scope, and did; n is -ECANCELED */
} ouro_state;

/** An observer: @p f has settled. It is borrowed for the call; read it or take from it. */
typedef void ouro_done_fn(ouro_future *f, void *arg);

/**
 * A link of a chain: @p done has settled, go on.
 *
 * @p done is borrowed. Return the next future (its reference passes to the chain), or NULL to pass
 * the outcome of @p done on as it is, object included; returning @p done does the same.
 */
typedef ouro_future *ouro_then_fn(ouro_future *done, void *arg);

/** How ouro_gather() treats failures. A cancelled child counts as one. */
typedef enum ouro_gather_mode {
    OURO_GATHER_ALL = 0,     /**< the first error cancels the rest; settles when all have */
    OURO_GATHER_COLLECT,     /**< errors are results; settles when all have */
    OURO_GATHER_FIRST_ERROR, /**< settles at the first error; the rest run on unattended */
} ouro_gather_mode;

/** What a cancel hook did. */
typedef enum ouro_cancel_answer {
    OURO_ABORTED = 0, /**< the work has stopped: the future is cancelled now */
    OURO_LATER        /**< noted: the promise will still be resolved, and what that says counts */
} ouro_cancel_answer;

/** Called on the loop, at most once and never after @p p was resolved, when its future is
 *  cancelled. It may resolve @p p itself, and free it then. It sees no task-local values. */
typedef ouro_cancel_answer ouro_cancel_hook(ouro_promise *p, void *arg);

OURO_BEGIN_DECLS

/* ---- References and inspection -------------------------------------------------------------- */

/**
 * Add a reference.
 *
 * @param f  Borrowed; NULL is allowed.
 * @return @p f.   @owns the caller has one reference more.   @thread Loop thread only.
 */
ouro_future *ouro_ref(ouro_future *f);

/**
 * Drop a reference. Never cancels: work that is under way goes on by itself.
 *
 * When it was the last, an object nobody took is destroyed and an error nobody read is reported,
 * once. Allowed after the loop was closed, on its thread.
 *
 * @param f  Consumed; NULL is allowed.
 * @return NULL, for `f = ouro_unref(f)`.   @thread Loop thread only; else it is reported as
 *         OURO_REPORT_WRONG_THREAD where it can be, and the reference leaks rather than race.
 */
ouro_future *ouro_unref(ouro_future *f);

/**
 * Let it run, result unwanted: ouro_unref() under the name that says why.
 *
 * @param f  Consumed; NULL is allowed.   @thread Loop thread only.
 */
void ouro_detach(ouro_future *f);

/**
 * Where a future stands.
 *
 * @param f  Borrowed. NULL reads OURO_ERROR.
 * @return Its state.   @thread Loop thread only.
 */
ouro_state ouro_future_state(const ouro_future *f);

/**
 * Read the result without waiting. Repeatable.
 *
 * @param f  Borrowed.
 * @return The result; ptr stays the future's and is valid while you hold a reference. Else n is
 *   - -EAGAIN      pending
 *   - -EALREADY    it was taken
 *   - -ECANCELED   cancelled
 *   - -EINVAL (NULL), -EXDEV (another thread's future), -ECHILD (forked)
 * @thread Loop thread only.
 */
ouro_result ouro_future_result(ouro_future *f);

/**
 * Move the result out without waiting: the object in ptr is the caller's from now on, and so is
 * what the value stands for: a descriptor, a lock, permits.
 *
 * @param f  Borrowed.
 * @return As ouro_future_result().   @owns the caller owns ptr.   @thread Loop thread only.
 */
ouro_result ouro_future_take(ouro_future *f);

/**
 * What there is to say about an error beyond its code: which file, which host.
 *
 * @param f  Borrowed; settled.
 * @return A sentence, valid while you hold a reference; NULL when there is none.
 * @thread Loop thread only.
 */
const char *ouro_future_detail(const ouro_future *f);

/**
 * Ask for a stop. Never fails for want of memory, never runs your code, never frees early.
 *
 * Work that can stop ends OURO_CANCELLED, later, when the kernel has let go of its buffers. Work
 * that has its result, or gets it before the stop reaches it, keeps it. Cancelling a task cancels
 * its outermost scope for good (see <ouro/scope.h>); a gather, a chain or a timeout passes the
 * request on to what it waits for.
 *
 * @param f  Borrowed.
 * @return 1 recorded, 0 no effect (settled, or asked before), -EINVAL (NULL), -EXDEV (another
 *         thread's future), -ECHILD (forked), -ESHUTDOWN (given up by its loop's shutdown).
 * @thread Loop thread only.
 */
int ouro_cancel(ouro_future *f);

/**
 * Have @p fn called once @p f has settled; at once is the next turn. Several may watch one future;
 * they are called in the order of registration.
 *
 * @param f    Borrowed; kept alive until @p fn has run.
 * @param fn   Called exactly once, unless ouro_off_done() or the closing of the loop comes first.
 * @param arg  Passed to @p fn. Yours.
 * @return 0, -ENOMEM, -EINVAL (NULL), -EXDEV, -ECHILD, -EPERM (its loop is closed).
 * @thread Loop thread only.
 */
int ouro_on_done(ouro_future *f, ouro_done_fn *fn, void *arg);

/**
 * Take back the oldest ouro_on_done() with these arguments.
 *
 * @param f    Borrowed.
 * @param fn   As registered.
 * @param arg  As registered.
 * @return 1 removed: @p fn will never run, even if @p f has settled. 0: it ran, is running, or
 *         never was. -EINVAL, -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_off_done(ouro_future *f, ouro_done_fn *fn, void *arg);

/* ---- Making ---------------------------------------------------------------------------------- */

/**
 * A future that has settled already: OURO_VALUE for @p n >= 0, else OURO_ERROR.
 *
 * @param n  Its result.
 * @return A future, never NULL; without a loop or memory, one with -EPERM, -ECHILD or -ENOMEM.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_ready(int64_t n) OURO_NODISCARD;

/**
 * A future that has failed already, and says why, for ouro_future_detail().
 *
 * @param error   < 0.
 * @param format  As printf(3); the text is copied. Without memory there is none.
 * @return A future, never NULL: @p error; -EINVAL (@p error >= 0), -ENOMEM, -EPERM (no loop),
 *         -ECHILD.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_failed(int64_t error, const char *format, ...) OURO_NODISCARD
    __attribute__((format(printf, 2, 3)));

/**
 * A future and the promise that resolves it.
 *
 * @param ret_promise  Receives the producer's end, yours until ouro_promise_free().
 * @param ret_future   Receives the consumer's end, one reference, yours.
 * @return 0, -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN (loop is closing),
 *         -EINVAL (NULL). On failure nothing is written.   @thread Loop thread only.
 */
int ouro_promise_new(ouro_promise **ret_promise, ouro_future **ret_future) OURO_NODISCARD;

/**
 * Settle the future with a value.
 *
 * @param p         Borrowed; still to be freed.
 * @param value     n >= 0, and an object or NULL.
 * @param ptr_free  Destroys value.ptr, on the loop, if nobody takes it; NULL if that needs nothing.
 * @return 0: the future owns value.ptr. In all other cases it stays yours: -EALREADY (resolved
 *         before), -ECANCELED (the future was cancelled), -EINVAL (NULL, n < 0), -EXDEV, -ECHILD.
 * @thread Loop thread only. Never allocates.
 */
int ouro_promise_resolve(ouro_promise *p, ouro_result value, ouro_free_fn *ptr_free);

/**
 * Settle the future with an error.
 *
 * -ECANCELED after a cancel that a hook answered with OURO_LATER makes it OURO_CANCELLED.
 *
 * @param p      Borrowed; still to be freed.
 * @param error  < 0.
 * @return 0, -EALREADY, -ECANCELED, -EINVAL (NULL, @p error >= 0), -EXDEV, -ECHILD.
 * @thread Loop thread only. Never allocates.
 */
int ouro_promise_fail(ouro_promise *p, int64_t error);

/**
 * Settle the future with an error, and say more about it, for ouro_future_detail().
 *
 * @param p       Borrowed; still to be freed.
 * @param error   < 0.
 * @param format  As printf(3); the text is copied. Without memory there is none.
 * @return As ouro_promise_fail().   @thread Loop thread only.
 */
int ouro_promise_fail_with(ouro_promise *p, int64_t error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * Say what the future stands for, for ouro_tasks_print().
 *
 * @param p     Borrowed.
 * @param name  Borrowed until @p p is freed; NULL for "promise".
 * @return 0, -EINVAL (NULL @p p), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_promise_set_name(ouro_promise *p, const char *name);

/**
 * Have @p hook asked when the future is cancelled. Without one, a cancel settles it at once.
 *
 * @param p     Borrowed.
 * @param hook  Replaces an earlier one; NULL removes it.
 * @param arg   Passed to @p hook. Borrowed while @p p lives.
 * @return 0, -EINVAL (NULL), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_promise_on_cancel(ouro_promise *p, ouro_cancel_hook *hook, void *arg);

/**
 * Give the producer's end back.
 *
 * A promise freed unresolved is broken: its future fails with -EPIPE, so that nobody waits for
 * ever, and OURO_REPORT_BROKEN_PROMISE is reported; after a cancel it is just cancelled.
 *
 * @param p  Consumed; NULL is allowed.   @thread Loop thread only. Allowed after the loop's close.
 */
void ouro_promise_free(ouro_promise *p);

/* ---- Combining ------------------------------------------------------------------------------- */

/**
 * When @p f has settled, call @p fn, and settle as the future it returns does.
 *
 * @p fn is called for every outcome, errors and cancels too, exactly once, so that @p arg can be
 * released there; return NULL to pass an error on. A cancel of the chain goes to whichever part is
 * under way; @p fn still runs.
 *
 * @param f    Consumed.
 * @param fn   The next link.
 * @param arg  Passed to @p fn. Yours.
 * @return A future, never NULL.   @owns the caller.
 *   - whatever the last link came to
 *   - -ENOMEM      @p f was cancelled, and has settled; @p fn was not and will not be called
 *   - -EINVAL (NULL), -EPERM, -ECHILD; -EXDEV, -ESHUTDOWN (given up by its loop's shutdown): @p f
 *     stays as it is. @p fn will not be called
 * @thread Loop thread only.
 */
ouro_future *ouro_then(ouro_future *f, ouro_then_fn *fn, void *arg) OURO_NODISCARD;

/**
 * Wait for several futures at once.
 *
 * In each mode a cancel of the gather cancels every unfinished child, and the gather ends
 * OURO_CANCELLED when all have settled. A future given twice is consumed once and has two results,
 * the first of which gets the object.
 *
 * @param fs       @p n futures, all consumed. The array itself is free again when this returns.
 * @param n        How many; 0 is success.
 * @param mode     See ouro_gather_mode.
 * @param results  @p n results in the order of @p fs, or NULL. Lent until the future settles.
 *                 After success their objects are yours, and so are the descriptors, locks and
 *                 permits that were granted; with NULL they are destroyed, closed and given back,
 *                 as they are after an error or a cancel: then ptr is NULL, and n still tells what
 *                 each came to (-EAGAIN: unfinished, in FIRST_ERROR). A child that was cancelled by
 *                 somebody else reads -OURO_ECHILDCANCELLED.
 * @return A future, never NULL.   @owns the caller.
 *   - 0            all succeeded; in COLLECT: all have settled
 *   - error < 0    ALL, FIRST_ERROR: the first error in order of completion; in ALL a real error is
 *                  preferred to a cancelled child
 *   - -ECANCELED   the gather was cancelled
 *   - -ENOMEM, -EINVAL (a NULL among them, an unknown mode), -EDEADLK (the current task among
 *     them, which is not consumed), -EXDEV (another thread's among them): this thread's children
 *     were cancelled, and inside a task have settled when this returns
 *   - -EPERM (no loop on this thread), -ECHILD (forked)
 * @thread Loop thread only.   @suspends Only to fail, inside a task, as said above.
 */
ouro_future *ouro_gather(ouro_future *const *fs, size_t n, ouro_gather_mode mode,
                         ouro_result *results) OURO_NODISCARD;

/**
 * Bound a wait: when @p limit passes first, cancel @p f, wait until it has settled, and fail.
 *
 * A result that is there wins, even over a limit that has passed. The limit is a lower bound: what
 * cannot be interrupted is waited for, since the kernel may still write to its buffer.
 *
 * @param f      Consumed.
 * @param limit  Nanoseconds from now. 0 cancels at once what has not settled; a task that had not
 *               started never does. OURO_FOREVER is no limit.
 * @return A future, never NULL.   @owns the caller.
 *   - the result of @p f, error or not
 *   - -ETIMEDOUT   the limit passed and @p f was cancelled for it
 *   - -ECANCELED   cancelled from outside, which beats the limit
 *   - -ENOMEM      @p f was cancelled, and has settled
 *   - -EINVAL (NULL), -ECHILD; -EXDEV, -ESHUTDOWN (given up by its loop's shutdown): @p f stays as
 *     it is
 * @thread Loop thread only.
 */
ouro_future *ouro_timeout(ouro_future *f, ouro_ns limit) OURO_NODISCARD;

OURO_END_DECLS

#endif
