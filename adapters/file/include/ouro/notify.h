/* SPDX-License-Identifier: MIT */
#ifndef OURO_NOTIFY_H
#define OURO_NOTIFY_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file notify.h
 * What happens to files and folders, as a stream of events: inotify(7).
 *
 *     ouro_notify *n;
 *     rc = ouro_notify_open(NULL, &n);
 *     int64_t log = ouro_await(ouro_notify_add(n, "log", IN_MODIFY | IN_MOVE_SELF));
 *     while ((e = ouro_await_ptr(ouro_notify_next(n), &rc)))
 *         if (e->watch == log && (e->mask & IN_MODIFY)) ...
 *     ouro_notify_free(n);
 *
 * The bits of masks are those of <sys/inotify.h>.
 *
 * The kernel keeps events until they are read, 16384 of them by default
 * (/proc/sys/fs/inotify/max_queued_events), and then tells that it has lost some. They are read
 * when somebody waits and none is left of the last read, so that is the only bound there is, and a
 * slow reader costs no more memory than one read. An event that nobody takes, since its wait was
 * cancelled or lost a select, comes again.
 */

/** A queue of events. Belongs to the loop of the thread that opened it. */
typedef struct ouro_notify ouro_notify;

/** One event. */
typedef struct ouro_notify_event {
    int64_t watch;   /**< what ouro_notify_add() came to; -1: it is about the queue itself */
    uint32_t mask;   /**< what has happened. IN_Q_OVERFLOW (watch is -1): events were lost, look
                           at everything again. IN_IGNORED: the watch has ended, since it was
                           removed, or what it watched was */
    uint32_t cookie; /**< of IN_MOVED_FROM and IN_MOVED_TO: the same in both halves of one rename */
    const char *name; /**< in a folder that is watched: of which file; else NULL */
} ouro_notify_event;

/** Options of ouro_notify_open(). Zero is the default of every field. */
typedef struct ouro_notify_options {
    size_t buffer_size; /**< bytes that one read may bring: an event takes 16 and its name.
                             Default: 16384; at least 272, which any event fits in */
} ouro_notify_options;

OURO_BEGIN_DECLS

/**
 * Open a queue, which watches nothing yet.
 *
 * @param opts        Copied; NULL for defaults.
 * @param ret_notify  Receives it, yours until ouro_notify_free().
 * @return 0, -EMFILE (also: as many queues as the user may have, 128 by default), -ENFILE, -ENOMEM,
 *         -EINVAL (NULL, a buffer too small or over 1 GiB), -EPERM (no loop on this thread),
 *         -ECHILD, -ESHUTDOWN. On failure nothing is written.   @thread Loop thread only.
 */
int ouro_notify_open(const ouro_notify_options *opts, ouro_notify **ret_notify) OURO_NODISCARD;

/**
 * Watch a file or a folder. Events can come before the future settles.
 *
 * @param n     Borrowed until the future settles.
 * @param path  Lent until the future settles. Names what it leads to now: the watch goes with that
 *              wherever it is moved.
 * @param mask  IN_MODIFY, IN_CREATE, ..., and flags like IN_DONT_FOLLOW, IN_ONLYDIR, IN_MASK_ADD.
 *              A second watch of the same thing replaces its mask, and has the same number.
 * @return A future, never NULL: the watch, a number >= 1 that no later watch has.
 * @owns the caller.
 *   - -ENOENT, -EACCES, -ENOTDIR, -ELOOP, -ENAMETOOLONG: ouro_future_detail() names the path
 *   - -ENOSPC      as many watches as the user may have
 *   - -EINVAL      NULL, a mask without events
 *   - -EEXIST      with IN_MASK_CREATE: it is watched already
 *   - -EBADF       closed
 *   - -ECANCELED, -ENOMEM, -EAGAIN (no thread), -EXDEV, -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_notify_add(ouro_notify *n, const char *path, uint32_t mask) OURO_NODISCARD;

/**
 * End a watch. Its events that are queued still come, and then one that is IN_IGNORED.
 *
 * @param n      Borrowed.
 * @param watch  What ouro_notify_add() came to.
 * @return 0, -EINVAL (NULL, no such watch, or it has ended), -EBADF (closed), -EXDEV, -ECHILD,
 *         -ESHUTDOWN.   @thread Loop thread only.
 */
int ouro_notify_remove(ouro_notify *n, int64_t watch);

/**
 * The next event.
 *
 * @param n  Borrowed; the future keeps what it needs of it. One wait at a time.
 * @return A future, never NULL: its mask, and in ptr a const ouro_notify_event, which is @p n's and
 *         valid until the next call of this function.   @owns the caller.
 *   - -EBADF       closed; also if that happens while it waits
 *   - -EBUSY       another wait is pending
 *   - -ECANCELED, -ENOMEM: and no event is lost. -EINVAL (NULL), -EXDEV, -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_notify_next(ouro_notify *n) OURO_NODISCARD;

/**
 * Close it. Who waits for an event gets -EBADF, and what is queued is lost. Letting go of its
 * watches may take the kernel some milliseconds, so that is done by a job of the disk lane.
 *
 * @param n  Borrowed; stays valid until ouro_notify_free(). May be closed again, by many.
 * @return A future, never NULL: 0 when its descriptor is closed; -EINVAL (NULL), -EXDEV, -ECHILD,
 *         -ENOMEM, -ESHUTDOWN (then ouro_notify_free() does). A cancel only ends the wait for it.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_notify_close(ouro_notify *n) OURO_NODISCARD;

/**
 * Give it back, and close it if that has not been done. Events are gone with it.
 *
 * @param n  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_notify *ouro_notify_free(ouro_notify *n);

OURO_END_DECLS

#endif
