/* SPDX-License-Identifier: MIT */
#ifndef OURO_SYNC_H
#define OURO_SYNC_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file sync.h
 * What tasks of one loop wait for each other with: locks, semaphores, events, conditions, barriers.
 *
 * They are plain structs in your memory, and waiting for one needs no memory of the library's: a
 * call suspends the task, whose place in line is on its own stack. All lines are first come, first
 * served. What is waited for is handed over, not competed for: a permit that is released belongs to
 * the next in line from that moment. A waiter that is cancelled has taken nothing; one that was
 * served has what it waited for, and hears of the cancel at its next wait.
 *
 * In a cancelled scope a call that could wait fails with -ECANCELED even where it would not have
 * to wait; the try_ calls never look. What gives something back never fails for want of memory,
 * never waits and cannot be cancelled.
 *
 * The _future calls are for callbacks, ouro_select(), ouro_gather() and the like. Their future
 * holds what it was given; ouro_await() hands it to you, and if nobody takes it (ouro_future_take()
 * in an ouro_on_done() callback does) it goes back by itself.
 *
 * Everything here belongs to the loop of the thread that uses it; none of it is for other threads.
 * None may go away while somebody waits for it or holds it.
 */

/** A line of waiters, oldest first. All zero is empty. Private. */
typedef struct ouro__line {
    struct ouro__waiter *first; /**< private */
    struct ouro__waiter *last;  /**< private */
} ouro_line;

/** A lock. All zero is unlocked: no call makes one, none destroys it. Its fields are the
 * library's. */
typedef struct ouro_mutex {
    void *owner;    /**< private */
    ouro_line line; /**< private */
    void *giver;    /**< private */
} ouro_mutex;

/** A number of permits. Made by ouro_sem_init(); its fields are the library's. */
typedef struct ouro_sem {
    int64_t permits; /**< private */
    int64_t bound;   /**< private */
    ouro_line line;  /**< private */
    void *giver;     /**< private */
} ouro_sem;

/** A flag to wait for. All zero is clear. Its fields are the library's. */
typedef struct ouro_event {
    int set;        /**< private */
    ouro_line line; /**< private */
} ouro_event;

/** A place to wait for a change of what a mutex protects. All zero is fresh. */
typedef struct ouro_cond {
    ouro_line line; /**< private */
} ouro_cond;

/** A meeting point of a fixed number of tasks. Made by ouro_barrier_init(). */
typedef struct ouro_barrier {
    int64_t parties; /**< private */
    int64_t waiting; /**< private */
    int aborted;     /**< private */
    ouro_line line;  /**< private */
} ouro_barrier;

/** For ouro_sem_init(): no upper bound. */
#define OURO_UNBOUNDED INT64_MAX

OURO_BEGIN_DECLS

/* ---- Mutex ----------------------------------------------------------------------------------- */

/**
 * Lock, waiting in line if need be.
 *
 * Between two awaits nothing else runs, so a lock is only for what must stay whole across one.
 *
 * @param m  Borrowed.
 * @return 0: it is yours. -ECANCELED (nothing taken), -EDEADLK (this task has it), -EOWNERDEAD (its
 *         owner has ended without unlocking it; it is still locked, and anybody may unlock it now,
 *         for which those go on waiting who stood in line before), -EPERM (not in a task), -EINVAL
 *         (NULL), -EXDEV (another loop's has it), -ECHILD.
 * @thread Loop thread only, in a task.   @suspends While somebody else has it; and after 128 waits
 *         in a row that did not, once, to let others run.
 */
int ouro_mutex_lock(ouro_mutex *m) OURO_NODISCARD;

/**
 * Lock if that needs no waiting.
 *
 * @param m  Borrowed.
 * @return 0: it is yours. -EAGAIN: somebody has it. Else as ouro_mutex_lock(), but never
 *         -ECANCELED.
 * @thread Loop thread only, in a task.
 */
int ouro_mutex_try_lock(ouro_mutex *m) OURO_NODISCARD;

/**
 * Lock, as a future: 0 when it is locked.
 *
 * It has no owner then: whoever has taken the future's result (ouro_await() and ouro_future_take()
 * do) unlocks.
 *
 * @param m  Borrowed; must outlive the future.
 * @return A future, never NULL: 0, -ECANCELED, -EOWNERDEAD, -ENOMEM, -EINVAL, -EXDEV, -EPERM (no
 *         loop), -ECHILD, -ESHUTDOWN.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_mutex_lock_future(ouro_mutex *m) OURO_NODISCARD;

/**
 * Unlock: the next in line has it from now on.
 *
 * @param m  Borrowed.
 * @return 0. -EPERM: this task does not have it, or nobody does, or it is in a future that nobody
 *         has taken it from, or no loop is on this thread; nothing has changed. -EINVAL, -EXDEV,
 *         -ECHILD.   @thread Loop thread only.
 */
int ouro_mutex_unlock(ouro_mutex *m);

/**
 * Whether somebody has it.
 *
 * @param m  Borrowed.
 * @return 1 or 0.   @thread Loop thread only.
 */
int ouro_mutex_locked(const ouro_mutex *m);

/* ---- Semaphore ------------------------------------------------------------------------------- */

/**
 * Make a semaphore.
 *
 * @param s        Storage. Nothing has to be given back.
 * @param permits  How many there are to begin with; 0 or more.
 * @param bound    How many there may ever be: a release beyond it is a mistake and is refused.
 *                 OURO_UNBOUNDED: no limit.
 * @return 0, -EINVAL (NULL, negative, permits > bound).   @thread Any, before it is used.
 */
int ouro_sem_init(ouro_sem *s, int64_t permits, int64_t bound) OURO_NODISCARD;

/**
 * Take permits, waiting in line if need be. Who asks for many at the head of the line holds up
 * those behind, so that it is served one day.
 *
 * @param s  Borrowed.
 * @param n  How many, at once or not at all; 1 or more.
 * @return 0: they are yours. -ECANCELED (nothing taken), -EINVAL (NULL, n < 1, n > bound), -EPERM
 *         (not in a task), -ECHILD.
 * @thread Loop thread only, in a task.   @suspends As ouro_mutex_lock().
 */
int ouro_sem_acquire(ouro_sem *s, int64_t n) OURO_NODISCARD;

/**
 * Take permits if that needs no waiting.
 *
 * @param s  Borrowed.
 * @param n  How many; 1 or more.
 * @return 0, -EAGAIN (too few, or others wait), -EINVAL, -EPERM (no loop), -ECHILD.
 * @thread Loop thread only.
 */
int ouro_sem_try_acquire(ouro_sem *s, int64_t n) OURO_NODISCARD;

/**
 * Take permits, as a future whose value is @p n.
 *
 * @param s  Borrowed; must outlive the future.
 * @param n  How many; 1 or more.
 * @return A future, never NULL: n, -ECANCELED, -ENOMEM, -EINVAL, -EPERM (no loop), -ECHILD,
 *         -ESHUTDOWN.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_sem_acquire_future(ouro_sem *s, int64_t n) OURO_NODISCARD;

/**
 * Give permits back, or bring new ones.
 *
 * @param s  Borrowed.
 * @param n  How many; 1 or more.
 * @return 0, -EOVERFLOW (more would be free than the bound; nothing has changed), -EINVAL, -EPERM
 *         (no loop), -ECHILD.
 * @thread Loop thread only.
 */
int ouro_sem_release(ouro_sem *s, int64_t n);

/**
 * How many permits are free.
 *
 * @param s  Borrowed.
 * @return The number; -EINVAL (NULL).   @thread Loop thread only.
 */
int64_t ouro_sem_permits(const ouro_sem *s);

/* ---- Event ----------------------------------------------------------------------------------- */

/**
 * Wait until it is set.
 *
 * @param e  Borrowed.
 * @return 0, -ECANCELED, -EPERM (not in a task), -EINVAL (NULL), -ECHILD.
 * @thread Loop thread only, in a task.   @suspends While it is clear.
 */
int ouro_event_wait(ouro_event *e) OURO_NODISCARD;

/**
 * The same as a future: 0 when it is set.
 *
 * @param e  Borrowed; must outlive the future.
 * @return A future, never NULL: 0, -ECANCELED, -ENOMEM, -EINVAL, -EPERM (no loop), -ECHILD,
 *         -ESHUTDOWN.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_event_wait_future(ouro_event *e) OURO_NODISCARD;

/**
 * Set it: everybody who waits goes on, even if it is cleared at once.
 *
 * @param e  Borrowed.
 * @return 0, -EINVAL (NULL), -EPERM (no loop), -ECHILD.   @thread Loop thread only.
 */
int ouro_event_set(ouro_event *e);

/**
 * Clear it: who waits from now on waits for the next ouro_event_set().
 *
 * @param e  Borrowed.
 * @return 0, -EINVAL (NULL).   @thread Loop thread only.
 */
int ouro_event_clear(ouro_event *e);

/**
 * Whether it is set.
 *
 * @param e  Borrowed.
 * @return 1 or 0.   @thread Loop thread only.
 */
int ouro_event_is_set(const ouro_event *e);

/* ---- Condition ------------------------------------------------------------------------------- */

/**
 * Unlock @p m, wait for a signal, lock @p m again. Whatever this returns, but -EPERM, -EINVAL and
 * -ECHILD, @p m is locked again, and waiting for that cannot be cancelled.
 *
 * Wait in a loop around the condition itself: `while (!ready) rc = ouro_cond_wait(&c, &m);`
 *
 * @param c  Borrowed.
 * @param m  Borrowed; locked by this task, by ouro_mutex_lock() or ouro_mutex_try_lock().
 * @return 0: signalled. -ECANCELED: cancelled before a signal reached it, and none was used up.
 *         -EOWNERDEAD: the same, but whoever locked @p m meanwhile has ended without unlocking it;
 *         do that now. -EPERM (this task does not have @p m, or somebody waits with another),
 *         -EINVAL (NULL), -ECHILD.
 * @thread Loop thread only, in a task.   @suspends Yes.
 */
int ouro_cond_wait(ouro_cond *c, ouro_mutex *m) OURO_NODISCARD;

/**
 * Let those who have waited longest go on, as soon as they get their mutex.
 *
 * @param c  Borrowed.
 * @param m  Borrowed; locked by this task: what is signalled was changed under it.
 * @param n  How many of them, 1 or more; OURO_UNBOUNDED: all.
 * @return How many were there. -EPERM (this task does not have @p m, or somebody waits with
 *         another), -EINVAL (NULL, n < 1), -ECHILD.   @thread Loop thread only, in a task.
 */
int64_t ouro_cond_signal(ouro_cond *c, ouro_mutex *m, int64_t n);

/* ---- Barrier --------------------------------------------------------------------------------- */

/**
 * Make a barrier.
 *
 * @param b        Storage. Nothing has to be given back.
 * @param parties  How many must come; 1 or more.
 * @return 0, -EINVAL (NULL, parties < 1).   @thread Any, before it is used.
 */
int ouro_barrier_init(ouro_barrier *b, int64_t parties) OURO_NODISCARD;

/**
 * Wait until all parties have come. Then all go on, and the barrier is ready for its next round,
 * which cannot mix with this one. Who is cancelled while waiting has not come.
 *
 * @param b  Borrowed.
 * @return 0 to parties - 1, another for each, in the order in which they came: exactly one task
 *         gets 0. -ECANCELED, -EPIPE (reset or aborted), -EPERM (not in a task), -EINVAL (NULL, or
 *         never made), -ECHILD.
 * @thread Loop thread only, in a task.   @suspends But for the last to come.
 */
int64_t ouro_barrier_wait(ouro_barrier *b) OURO_NODISCARD;

/**
 * The same as a future.
 *
 * @param b  Borrowed; must outlive the future.
 * @return A future, never NULL: as ouro_barrier_wait(), and -ENOMEM, -ESHUTDOWN.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_barrier_wait_future(ouro_barrier *b) OURO_NODISCARD;

/**
 * Send everybody who waits away with -EPIPE, and begin anew; also after ouro_barrier_abort().
 *
 * @param b  Borrowed.
 * @return 0, -EINVAL (NULL), -EPERM (no loop), -ECHILD.   @thread Loop thread only.
 */
int ouro_barrier_reset(ouro_barrier *b);

/**
 * Send everybody who waits or will come away with -EPIPE, until ouro_barrier_reset().
 *
 * @param b  Borrowed.
 * @return 0, -EINVAL (NULL), -EPERM (no loop), -ECHILD.   @thread Loop thread only.
 */
int ouro_barrier_abort(ouro_barrier *b);

OURO_END_DECLS

#endif
