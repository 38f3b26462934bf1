/* SPDX-License-Identifier: MIT */
#ifndef OURO_PROCESS_H
#define OURO_PROCESS_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/scope.h>

/**
 * @file process.h
 * Child processes: start them, feed them, wait for them.
 *
 *     const char *argv[] = {"sort", "-n", NULL};
 *     ouro_process *p = ouro_await_ptr(ouro_process_spawn(&(ouro_process_options){
 *         .argv = argv, .in = OURO_PIPE, .out = OURO_PIPE}), &rc);
 *     ouro_output *o = ouro_await_ptr(ouro_process_communicate(p, text, length), &rc);
 *
 * A child is known by its pidfd, so that no signal ever hits another process that got its number.
 * Waiting and signalling need no SIGCHLD handler and disturb none; but the program must neither
 * ignore SIGCHLD nor wait for all its children elsewhere, or the status is lost (-ECHILD).
 */

/** A child process. Belongs to the loop of the thread that spawned it. */
typedef struct ouro_process ouro_process;

/** Where a child's standard streams come from or go to. */
typedef enum ouro_stdio {
    OURO_INHERIT = 0, /**< the parent's */
    OURO_NULL,        /**< /dev/null */
    OURO_PIPE,        /**< a pipe of which the parent has the other end */
    OURO_STDOUT       /**< for err alone: the same as out */
} ouro_stdio;

/** Options of ouro_process_spawn(). Zero is the default of every field but argv. */
typedef struct ouro_process_options {
    const char *const
        *argv; /**< arguments, ended by NULL; the first names the program, which is looked for in
                                  PATH unless there is a slash in it */
    const char *const *env; /**< environment, "NAME=value", ended by NULL. Default: the parent's */
    const char *cwd;        /**< working directory. Default: the parent's */
    ouro_stdio in;          /**< standard input. Default: inherited */
    ouro_stdio out;         /**< standard output. Default: inherited */
    ouro_stdio err;         /**< standard error. Default: inherited */
    int new_group;     /**< not 0: it leads a process group of its own, and signals go to the whole
                        group */
    int new_session;   /**< not 0: it leads a session of its own, without a terminal; implies
                          new_group */
    const int *fds;    /**< descriptors that it has as 3, 4 and so on, whatever they are here.
                          Duplicated before the call returns. Default: none */
    size_t fd_count;   /**< how many; 1000 at most */
    ouro_scope *scope; /**< when this scope of the current task is left while the child lives, it is
                                  killed (SIGKILL) and waited for. Default: it goes on by itself */
} ouro_process_options;

/** What a child wrote, and how it ended. */
typedef struct ouro_output {
    char *out;       /**< standard output, and a zero behind it; NULL without a pipe */
    size_t out_size; /**< bytes */
    char *err;       /**< standard error, likewise */
    size_t err_size; /**< bytes */
    int64_t status;  /**< as ouro_process_wait() */
} ouro_output;

OURO_BEGIN_DECLS

/**
 * Start a process. It begins with no signal blocked or ignored, and no descriptors but the three
 * and those that are given to it.
 *
 * @param opts  Everything in it is copied before this returns, and so are the environment and PATH
 *              where they are the parent's. A relative path to the program starts from cwd.
 * @return A future, never NULL: 0, and an ouro_process in ptr, for ouro_await_ptr(); an unwanted
 *         one goes on by itself. -ENOENT, -EACCES, -ENOEXEC, ...: ouro_future_detail() names the
 *         program or the directory. -EINVAL (no argv, an unknown stdio, OURO_STDOUT not for err, a
 *         scope that is not the current task's, too many descriptors), -EBADF (one of them is not
 *         open), -EMFILE, -EAGAIN, -ENOMEM, -EPERM (no loop on this
 *         thread), -ECHILD, -ESHUTDOWN. A cancel comes too late once it is being started: then it
 *         is there.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_process_spawn(const ouro_process_options *opts) OURO_NODISCARD;

/**
 * Its process id, for messages.
 *
 * @param p  Borrowed.
 * @return The id; -EINVAL (NULL).   @thread Loop thread only.
 */
int64_t ouro_process_pid(const ouro_process *p);

/**
 * Our end of one of its pipes: 0 to write its standard input, 1 and 2 to read its output and error.
 *
 * @param p       Borrowed.
 * @param stream  0, 1 or 2.
 * @return The descriptor, still the process's; -EBADF (no pipe, closed or taken), -EINVAL.
 * @thread Loop thread only.
 */
int ouro_process_fd(const ouro_process *p, int stream);

/**
 * The same, yours from now on.
 *
 * @param p       Borrowed.
 * @param stream  0, 1 or 2.
 * @return See ouro_process_fd().   @owns the caller closes it.   @thread Loop thread only.
 */
int ouro_process_take_fd(ouro_process *p, int stream);

/**
 * Wait until it has ended. Any number may wait; all are told the same, also later.
 *
 * @param p  Borrowed; the future keeps what it needs of it.
 * @return A future, never NULL: its exit status, 0 to 255; -OURO_ESIGNALED(s) when signal s killed
 *         it; -ECANCELED (the process goes on), -ECHILD (its status was taken elsewhere, or
 *         forked), -ENOMEM, -EINVAL, -EXDEV, -ESHUTDOWN.   @owns the caller.   @thread Loop thread
 *         only.
 */
ouro_future *ouro_process_wait(ouro_process *p) OURO_NODISCARD;

/**
 * Send it a signal; with new_group, its whole group: since Linux 6.9 also what is left of that when
 * the process itself has ended.
 *
 * @param p       Borrowed.
 * @param number  SIGTERM, ...; 0 only asks whether it is there.
 * @return 0, -ESRCH (it has ended and been waited for, by the loop at the latest), -EINVAL, -EPERM
 *         (it is another user's by now), -EXDEV, -ECHILD, -ESHUTDOWN (the loop is closed).
 * @thread Loop thread only.
 */
int ouro_process_kill(ouro_process *p, int number);

/**
 * Write @p input to its standard input and close that, read its output and error to the end, wait
 * for it. For a deadline put ouro_timeout() around it, then kill the process: it goes on.
 *
 * What the process does not read of the input is no error. On an error or a cancel the pipes are
 * closed, and what was read is lost; only a call that is refused (-EBUSY, -EINVAL, -EXDEV, -ECHILD,
 * -ESHUTDOWN) leaves them as they are.
 *
 * @param p      Borrowed; the future keeps what it needs of it. Once for a process.
 * @param input  Lent until the future settles; NULL without.
 * @param size   Bytes of input.
 * @return A future, never NULL: 0, and an ouro_output in ptr, for ouro_await_ptr(), then
 *         ouro_output_free(); -EBUSY (a pipe was taken or closed), -ECANCELED, -ENOMEM, -EINVAL
 *         (NULL, input without a pipe for it), -EXDEV, -ECHILD, -ESHUTDOWN.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_process_communicate(ouro_process *p, const void *input,
                                      size_t size) OURO_NODISCARD;

/**
 * Destroy what communicate returned.
 *
 * @param output  An ouro_output, consumed; NULL is allowed.   @thread Any.
 */
void ouro_output_free(void *output);

/**
 * Give a process back: its pipes are closed; the process itself goes on, and is waited for by the
 * loop, so that it leaves no zombie while the loop runs. It keeps no loop running, and goes on
 * after the loop's close.
 *
 * @param p  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_process *ouro_process_free(ouro_process *p);

OURO_END_DECLS

#endif
