/* SPDX-License-Identifier: MIT */
#ifndef OURO_SERVE_H
#define OURO_SERVE_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/listener.h>
#include <ouro/loop.h>
#include <ouro/restart.h>
#include <ouro/stream.h>

/**
 * @file serve.h
 * Servers: a task for each connection, a limit of them, and an end in good order.
 *
 *     static int64_t echo(ouro_stream *s, void *arg)
 *     {
 *         char buf[4096];
 *         int64_t n;
 *         while ((n = ouro_await(ouro_stream_read(s, buf, sizeof buf))) > 0)
 *             if ((n = ouro_await(ouro_stream_write(s, buf, (size_t)n))) < 0)
 *                 break;
 *         return n;
 *     }
 *     ...
 *     ouro_await(ouro_serve(listener, echo, NULL, NULL));
 *
 * A server is a future: it settles when it has stopped. To stop it is to cancel it, which awaiting
 * it in a task does when that is cancelled, as by SIGINT; or ouro_server_stop(). It then closes the
 * listener, serves who had connected before, lets the connections there are come to their end for a
 * while, cancels the rest, and waits for them. So nothing of it is left when it has settled.
 *
 * ouro_serve_workers() is a whole program: a loop, a listener and a server on each processor.
 */

/**
 * Serves one connection: the body of its task.
 *
 * @param s    The connection. The server's: it is freed, and so closed, when this has returned.
 *             Flush what was put.
 * @param arg  As given to ouro_serve().
 * @return 0 and up: all is well; < 0 an error, which is counted and told to on_error, and no more.
 */
typedef int64_t ouro_serve_fn(ouro_stream *s, void *arg);

/** Told of a connection that has ended with an error. @p task is its task, borrowed for the call:
 *  ouro_task_name() and ouro_future_detail() say more. Runs on the loop. */
typedef void ouro_serve_error_fn(ouro_future *task, int64_t error, void *arg);

/** Told that the server begins to stop, for handlers that would wait for what never comes: they may
 *  end what is idle. Runs inside the call that stops it, and may cancel, but not stop it again. */
typedef void ouro_serve_stop_fn(void *arg);

/** Options of ouro_serve(). Zero is the default of every field. */
typedef struct ouro_serve_options {
    int64_t limit;     /**< of connections at a time; at the limit nothing is accepted, and whoever
                            connects waits in the kernel's queue. Default: none */
    ouro_ns grace;     /**< how long connections may go on after a cancel. OURO_FOREVER: to their
                            end. Default: 10 s. Closing the loop gives them none: only what
                            ouro_run_options.grace leaves a task that was cancelled */
    size_t stack_size; /**< of the handlers' tasks, bytes. Default: that of ouro_spawn_with() */
    const char *name;  /**< begins the names of their tasks: "NAME 127.0.0.1:54321"; borrowed until
                            it has settled. Default: "connection" */
    ouro_serve_error_fn *on_error; /**< called for each connection that ends with an error, but for
                                        those that the server cancels. Default: they are counted */
    ouro_serve_stop_fn *on_stop; /**< called once, when the server begins to stop. Connections that
                                      had come by then may begin after it. Default: nothing is told;
                                      connections may ask nobody whether it does */
    int keep_listening; /**< not 0: the listener is not closed when the server stops, so that
                             another can go on with it. Default: it is, so that clients turn
                             elsewhere */
} ouro_serve_options;

/** What a server has done. */
typedef struct ouro_server_stats {
    uint64_t accepted;  /**< connections that got a handler */
    uint64_t refused;   /**< that were closed without one: no memory, or it was cut off just then */
    uint64_t errors;    /**< whose handler has returned an error of its own */
    uint64_t cancelled; /**< that were cancelled since they outlived the grace */
    int64_t live;       /**< that are served now */
    int64_t peak;       /**< most at a time */
} ouro_server_stats;

/** Told what has come of a restart: the id of the process that takes over, or an error, with @p why
 *  in words, NULL if there are none. -EALREADY: one was under way, or had succeeded; -ECANCELED: the
 *  server was told to stop meanwhile. Runs on the loop of worker 0. */
typedef void ouro_serve_restart_fn(int64_t result, const char *why, void *arg);

/** Options of ouro_serve_workers(). Zero is the default of every field. */
typedef struct ouro_serve_workers_options {
    ouro_serve_options serve;       /**< of each worker: a limit is each one's */
    ouro_listener_options listener; /**< of each worker; socket.reuse_port is set */
    ouro_run_options run;           /**< of each worker */
    int keep_sigterm;               /**< not 0: leave SIGTERM alone. run.keep_sigint: SIGINT */
    int inherit;        /**< not 0: listen at the sockets that this process was started with
                              (ouro_listen_fds()), if there are any, and not at the place */
    int restart_signal; /**< such as SIGUSR2: has ouro_restart() start this program anew, and ends
                              this process in good order when the new one is ready. Implies
                              inherit. Default: none */
    ouro_restart_options restart;      /**< of the new process; what it has is borrowed until the
                                            call returns */
    ouro_serve_restart_fn *on_restart; /**< called for each such signal. Default: nothing is said */
    void (*on_listening)(const ouro_address *address, void *arg); /**< called once, on the calling
                                        thread, when connections are possible: with port 0 it tells
                                        which. There is no loop or thread yet, so it may fork.
                                        SIGTERM is blocked already. Default: none */
    ouro_server_stats *ret_stats; /**< receives the sums over all workers; peak and live too. Lent
                                       until the call returns. Default: none */
} ouro_serve_workers_options;

/** What each worker does, for ouro_serve_workers_with(). */
typedef struct ouro_service {
    /** Begins to serve a listener: runs in a task of the worker, and may wait. @p opts are those of
     *  ouro_serve_workers(), @p ret_own receives what finish() is given; NULL before. Returns what
     *  ouro_serve() or a call on top of it returns, or a future that has failed already. */
    ouro_future *(*start)(ouro_listener *l, const ouro_serve_options *opts, void *of,
                          void **ret_own);
    void (*finish)(void *own); /**< the future has settled: gives back what start() has made. Runs
                                    in the same task, also after a failure. NULL: nothing to do */
    void *of;                  /**< passed to start(). Shared by all threads */
} ouro_service;

OURO_BEGIN_DECLS

/**
 * Run a server.
 *
 * @param l        Borrowed until the future has settled. It is closed when the server stops; free
 *                 it afterwards. Closing it yourself is a way to stop the server, with the grace of
 *                 the options.
 * @param handler  The body of each connection's task.
 * @param arg      Passed to @p handler, on_error and on_stop. Yours; must live until the future has settled.
 * @param opts     Copied; NULL for defaults.
 * @return A future, never NULL. A cancel stops the server with the grace of the options; a second
 *         one is ouro_server_stop() with less.
 *   - 0            it was stopped by ouro_server_stop() or the close of its listener, and all its
 *                  connections have ended
 *   - -ECANCELED   cancelled, and all its connections have ended
 *   - -EBADF       the listener was closed before
 *   - -EINVAL (NULL, a negative limit, a stack size beyond the limit), -ENOMEM, -EPERM (no loop on
 *     this thread), -EXDEV, -ECHILD, -ESHUTDOWN
 *   - other < 0    what accepting failed with for good; the connections there were got the grace
 * @owns the caller: await it; with a reference more (ouro_ref()) it can also be asked and stopped.
 * @thread Loop thread only.
 */
ouro_future *ouro_serve(ouro_listener *l, ouro_serve_fn *handler, void *arg,
                        const ouro_serve_options *opts) OURO_NODISCARD;

/**
 * The server that the current task is a connection of, or a task that such a one has spawned.
 *
 * @return Borrowed, as long as that task lives; NULL: none.   @thread Loop thread only.
 */
ouro_future *ouro_server_current(void);

/**
 * Stop a server: it accepts no more, and what still lives after @p grace is cancelled. Again, with
 * less grace, to hurry it up.
 *
 * @param server  What ouro_serve() has returned. Borrowed.
 * @param grace   Nanoseconds from now; 0: cancel all now. OURO_FOREVER: cancel none.
 * @return 1 recorded, 0 no effect: it has settled, or stops as soon as that anyway; -EINVAL (NULL,
 *         or not a server), -EXDEV, -ECHILD.   @thread Loop thread only; also in its handlers.
 */
int ouro_server_stop(ouro_future *server, ouro_ns grace);

/**
 * What it has done.
 *
 * @param server     What ouro_serve() has returned. Borrowed; also after it has settled.
 * @param ret_stats  Filled.
 * @return 0, -EINVAL (NULL, or not a server), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_server_stats_get(const ouro_future *server, ouro_server_stats *ret_stats);

/**
 * Be a server: listen at one place with several workers, each a thread with a loop of its own, and
 * serve until SIGINT or SIGTERM.
 *
 * TCP: each worker has a socket of its own that is bound to the same port (SO_REUSEPORT), and the
 * kernel spreads connections over them. Unix sockets know no such thing: there the workers share
 * one. All are bound before any worker runs, so that what can go wrong with that does so here.
 *
 * Either signal stops all workers with the grace of opts->serve. A second SIGTERM cancels what is
 * left, a second SIGINT kills the process. Both are taken over only where their disposition is the
 * default.
 *
 * With opts->inherit, sockets that the process was started with are served whatever their number:
 * where there are fewer than workers, several share one; where there are more, a worker serves
 * several. All of them are handed on at a restart. So with restart_signal no connection is lost, in
 * whatever queue it waits and with whatever number of workers the new process is started.
 *
 * ouro_restart_ready() is called when all workers serve.
 *
 * The path of a unix socket is removed by the last process of a chain of restarts that ends in good
 * order, if it is still the same file: not by one that another has taken over from, not by one that
 * was never ready, and not if the socket came from systemd, whose it is. A server that is told to
 * stop while a restart is under way has the new process end, too.
 *
 * @param workers  How many, 1024 at most; 0: ouro_cpu_count().
 * @param where    See ouro_listen(). Borrowed.
 * @param handler  The body of each connection's task; runs on all threads: ouro_worker_index().
 * @param arg      Passed to @p handler, on_error, on_stop and on_listening. Shared by all threads.
 * @param opts     Copied; NULL for defaults.
 * @return 0 stopped by SIGTERM, or all servers were by their handlers; -EINTR by SIGINT;
 *         -ECANCELED by ouro_loop_stop(); or what ouro_listen(), ouro_serve() or ouro_run_workers()
 *         failed with.
 * @thread Any without a loop.   @suspends Blocks the thread.
 */
int64_t ouro_serve_workers(int workers, const char *where, ouro_serve_fn *handler, void *arg,
                           const ouro_serve_workers_options *opts);

/**
 * The same for what is more than a task for each connection, such as a protocol that has a server
 * of its own.
 *
 * @param workers  See ouro_serve_workers().
 * @param where    Likewise.
 * @param service  What each worker does, for each of its listeners. Copied.
 * @param arg      Passed to on_listening and on_restart.
 * @param opts     Copied; NULL for defaults.
 * @return As ouro_serve_workers(), or what a future of @p service failed with.
 * @thread Any without a loop.   @suspends Blocks the thread.
 */
int64_t ouro_serve_workers_with(int workers, const char *where, const ouro_service *service,
                                void *arg, const ouro_serve_workers_options *opts);

OURO_END_DECLS

#endif
