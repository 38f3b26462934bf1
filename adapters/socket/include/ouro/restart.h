/* SPDX-License-Identifier: MIT */
#ifndef OURO_RESTART_H
#define OURO_RESTART_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/time.h>

/**
 * @file restart.h
 * A server that another image of its program takes over from, and sockets that come from outside.
 *
 * The old process starts the new one and gives it the sockets it listens at, the same and not
 * copies: connections that nobody has accepted yet wait in them, and one of the two accepts them.
 * Only when the new one has said that it is ready does the old one stop in good order. If it never
 * says so, the old one has lost nothing.
 *
 *     int n = ouro_listen_fds();                    // OURO_LISTEN_FDS_FIRST is the first
 *     ...                                           // listen, if there are none
 *     ouro_restart_ready();
 *     ...
 *     int64_t pid = ouro_await(ouro_restart(fds, n, NULL));
 *     if (pid > 0)
 *         ...                                       // stop accepting, finish, end
 *
 * ouro_serve_workers() does all of this, see its restart_signal.
 *
 * How they are told is what systemd does: descriptors from 3 on, LISTEN_FDS says how many
 * (sd_listen_fds(3)); so a program that takes them can also be started by a socket unit. In place of
 * LISTEN_PID, which a process can set for itself alone, stands OURO_READY=FD:INODE: the socket by
 * which the new process says that it is ready, with any one byte. It proves by its inode that the
 * variables are no leftovers. OURO_PATH=DEVICE:INODE is the file that a unix socket is bound to, if
 * it is for the new process to remove.
 */

/** The first descriptor that a process is given to listen at. */
#define OURO_LISTEN_FDS_FIRST 3

/** Options of ouro_restart(). Zero is the default of every field. */
typedef struct ouro_restart_options {
    const char *const *argv; /**< arguments, ended by NULL; the first is looked for in PATH unless
                                  there is a slash in it. Default: those of this process, so that a
                                  program that was replaced on disk is the new one. Start it with an
                                  absolute path if it changes its directory */
    ouro_ns limit;           /**< for the new process to be ready. Default: 10 s */
} ouro_restart_options;

OURO_BEGIN_DECLS

/**
 * The sockets that this process was started with: by systemd (LISTEN_FDS and LISTEN_PID) or by
 * ouro_restart(). They are numbered from OURO_LISTEN_FDS_FIRST on, and close-on-exec from now on;
 * the variables are removed from the environment. See ouro_listener_from_fd().
 *
 * @return How many, once: they are yours, and later calls return 0, as without any; -EINVAL (the
 *         variables make no sense), -EBADF (one of them is not open).
 * @thread Any, while no other reads or changes the environment.
 */
int ouro_listen_fds(void);

/**
 * Say that this process serves, to whoever started it: to the process that this one takes over from,
 * and with nobody to take over from to systemd (READY=1, Type=notify), if it asked for that
 * by NOTIFY_SOCKET. Says it once.
 *
 * @return 1 said; 0 nobody has asked; < 0: it could not be said: -EINVAL (NOTIFY_SOCKET is no unix
 *         address), negative errno of socket(2) or send(2), such as -EPIPE (who asked has gone).
 * @thread Any.
 */
int ouro_restart_ready(void);

/**
 * Start a new image of this program, hand it the sockets, and wait until it is ready.
 *
 * It has the environment, standard streams, directory, umask, resource limits, process group and
 * session of this process, and no other descriptors. Its signals are as if nobody had touched them:
 * none is blocked, and none ignored, also not SIGHUP for nohup(1); so it can be asked to restart as
 * this one was, once it watches for that, and before that the signal ends it.
 *
 * This process goes on listening; when the future has a value it is time to stop. systemd, if it
 * asked to be told, has heard by then that the new process is the service's main one (MAINPID=).
 *
 * A new process that is not ready within the limit is told to end by SIGTERM, and killed if it has
 * not after as long again; only then the future settles. One whose start is cancelled gets SIGTERM
 * and is not waited for. In both cases it can no longer say that it is ready: ouro_restart_ready()
 * is -EPIPE there. If it has said so before, the restart has succeeded.
 *
 * @param fds   The sockets, which the new process has from OURO_LISTEN_FDS_FIRST on in this order.
 *              Duplicated before this returns. A unix socket's path is not removed by the new one,
 *              but ouro_serve_workers() sees to that.
 * @param n     How many, 999 at most.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: the id of the new process, which is ready; or, and
 *         ouro_future_detail() has it in words,
 *   - -ESRCH      it has ended, or closed the socket of OURO_READY, before it was ready
 *   - -ETIMEDOUT  it was not ready in time
 *   - as ouro_process_spawn(): -ENOENT (no such program, where this process's first argument leads
 *     from its directory or PATH), -EACCES (it cannot be executed) ...
 *   - -ECANCELED, -EINVAL (also: too many sockets), other < 0: negative errno of socketpair(2), or
 *     of reading /proc/self/cmdline
 * @owns the caller.   @thread Loop thread only; none may change the environment meanwhile.
 */
ouro_future *ouro_restart(const int *fds, size_t n,
                          const ouro_restart_options *opts) OURO_NODISCARD;

OURO_END_DECLS

#endif
