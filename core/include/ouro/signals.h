/* SPDX-License-Identifier: MIT */
#ifndef OURO_SIGNALS_H
#define OURO_SIGNALS_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file signals.h
 * Signals as futures and as streams of events.
 *
 * A signal that is watched is blocked in the watching thread and read from a signalfd(2), so that
 * what follows from it is plain code on the loop. Every thread has its own mask: watch signals
 * before you start threads of your own, which inherit it, or block them there; the library's
 * threads block all signals. When the watch ends, what arrived meanwhile is dropped, and the mask
 * is as it was before.
 *
 * A signal that is raised several times before it is read comes once at least. One that ouro_run()
 * handles (SIGINT, in debug mode SIGUSR1) goes to who watches it.
 */

/** A stream of signals. */
typedef struct ouro_signals ouro_signals;

OURO_BEGIN_DECLS

/**
 * Wait for one signal once: watching begins now and ends with the future.
 *
 * @param number  SIGHUP, SIGTERM, ...
 * @return A future, never NULL.   @owns the caller.
 *   - the number
 *   - -ECANCELED
 *   - -EBUSY   somebody watches it already, in this process
 *   - -EINVAL  not a signal; SIGKILL or SIGSTOP; or one that says that an instruction has failed
 *     (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS)
 *   - -EMFILE, -ENFILE, -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_signal_wait(int number) OURO_NODISCARD;

/**
 * Watch signals.
 *
 * @param numbers      Which; copied.
 * @param n            How many; 1 or more.
 * @param ret_signals  Receives the stream, yours until ouro_signals_close().
 * @return 0, or as ouro_signal_wait(): then none is watched and nothing is written.
 * @thread Loop thread only.
 */
int ouro_signals_open(const int *numbers, size_t n, ouro_signals **ret_signals) OURO_NODISCARD;

/**
 * The next signal. One that nobody takes, since the wait was cancelled, comes again.
 *
 * @param s  Borrowed; the future keeps what it needs of it. Several waits at a time are served in
 *           order.
 * @return A future, never NULL: its number; -ECANCELED, -EPIPE (closed), -ENOMEM, -EINVAL (NULL),
 *         -EXDEV, -ECHILD, -ESHUTDOWN.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_signals_next(ouro_signals *s) OURO_NODISCARD;

/**
 * The process that sent the signal which came last.
 *
 * @param s  Borrowed.
 * @return Its id; 0 when none has come, or it was the kernel; -EINVAL (NULL).   @thread Loop thread
 *         only.
 */
int64_t ouro_signals_sender(const ouro_signals *s);

/**
 * End watching. Waits for the next signal fail with -EPIPE.
 *
 * @param s  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close, which ends what it
 *         still watches: then only the memory is left to give back.
 */
ouro_signals *ouro_signals_close(ouro_signals *s);

OURO_END_DECLS

#endif
