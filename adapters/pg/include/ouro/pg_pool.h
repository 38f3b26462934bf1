/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_POOL_H
#define OURO_PG_POOL_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/pg_connection.h>
#include <ouro/pg_transaction.h>

/**
 * @file pg_pool.h
 * Pools of connections: as many statements at once as there are connections, each by one task.
 *
 * Who finds none free stands in line, oldest first, and is handed the next one directly. The pool
 * makes connections when they are wanted, up to its maximum, and sees to them by itself: one whose
 * server has gone leaves at once, one that is too old or idle for too long is closed, and when none
 * can be made it tries again ever more rarely, while those who wait are told why.
 *
 * What a lease has left behind is tidied up before the next gets the connection: an open
 * transaction is rolled back, a statement that runs is cancelled, and see ouro_pg_reset.
 */

/** A pool. Belongs to the loop of the thread that made it. */
typedef struct ouro_pg_pool ouro_pg_pool;

/** What is undone between one lease of a connection and the next. */
typedef enum ouro_pg_reset {
    OURO_PG_RESET_SMART = 0, /**< transactions, and listening, by calls of this library */
    OURO_PG_RESET_ALL,       /**< DISCARD ALL: settings, locks, temporary tables, too. Costs a round
                                  trip after each lease, before the next gets the connection */
    OURO_PG_RESET_NONE       /**< transactions alone */
} ouro_pg_reset;

/** Options of pools. Zero is the default of every field. */
typedef struct ouro_pg_pool_options {
    ouro_pg_options connection; /**< of each connection */
    int min;                    /**< connections that are kept, however idle. Default: 0 */
    int max;                    /**< connections at most. Default: 10 */
    int max_waiting;            /**< who may stand in line; another is refused with -EAGAIN.
                                     Default: everybody */
    ouro_ns acquire_limit;      /**< longest stand in line: -ETIMEDOUT. Default: 30 s;
                                     OURO_FOREVER: none */
    ouro_ns connect_limit;      /**< longest attempt at a connection. Default: 5 s */
    ouro_ns life;               /**< a connection older than this is replaced when it is not in use;
                                     10 % more or less, so that not all end at once. Default: 1 h;
                                     OURO_FOREVER: never */
    ouro_ns idle;               /**< one unused for so long is closed. Default: 10 min;
                                     OURO_FOREVER: never */
    ouro_ns check_after;        /**< one unused for so long is asked for a sign of life before it is
                                     handed out: for networks that forget silent connections.
                                     Default: never */
    ouro_pg_reset reset;        /**< see there */
} ouro_pg_pool_options;

/** What a pool has, and has done. total is idle + leased + connecting + draining, and never more
 *  than the maximum. */
typedef struct ouro_pg_pool_stats {
    int total;         /**< connections */
    int idle;          /**< that wait to be used */
    int leased;        /**< in use */
    int connecting;    /**< being made */
    int draining;      /**< given back, and being tidied up, or being closed */
    int waiting;       /**< who stand in line */
    uint64_t acquires; /**< leases handed out */
    uint64_t waits;    /**< of these, after standing in line */
    uint64_t timeouts; /**< that stood in line for too long */
    uint64_t refused;  /**< that found the line too long */
    uint64_t made;     /**< connections that were made */
    uint64_t lost;     /**< whose server went away */
    uint64_t retired;  /**< closed for age or idleness */
    uint64_t failures; /**< attempts at a connection that failed */
    ouro_ns waited;    /**< nanoseconds stood in line, all together */
} ouro_pg_pool_stats;

OURO_BEGIN_DECLS

/**
 * Make a pool. Nothing is connected before it is wanted, but for opts->min in the background.
 *
 * @param conninfo  See ouro_pg_connect(). Copied.
 * @param opts      Copied; NULL for defaults.
 * @param ret_pool  Receives it, yours until ouro_pg_pool_free().
 * @return 0, -EINVAL (malformed conninfo, NULL @p ret_pool, min above max, a negative number),
 *         -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN. On failure nothing is
 *         written.   @thread Loop thread only.
 */
int ouro_pg_pool_new(const char *conninfo, const ouro_pg_pool_options *opts,
                     ouro_pg_pool **ret_pool) OURO_NODISCARD;

/**
 * Wait until the pool has a connection, and opts->min of them: for the start of a program.
 *
 * @param pool  Borrowed until the future settles.
 * @return A future, never NULL: 0; what ouro_pg_connect() failed with, if an attempt fails; -EBADF
 *         (closed), -ECANCELED, -ENOMEM, -EINVAL (NULL), -EXDEV, -ECHILD, -ESHUTDOWN.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_pool_ready(ouro_pg_pool *pool) OURO_NODISCARD;

/**
 * Have a connection to yourself. Give it back by ouro_pg_free().
 *
 * @param pool  Borrowed until the future settles.
 * @return A future, never NULL; its ptr is an ouro_pg. A lease that nobody takes goes back.
 *   - 0            here it is
 *   - -ETIMEDOUT   acquire_limit has passed
 *   - -EAGAIN      max_waiting stand in line already
 *   - -EBADF       the pool is closed, or was while this waited
 *   - what ouro_pg_connect() failed with: there is no connection, and the last attempt failed
 *   - -ECANCELED, -ENOMEM, -EINVAL (NULL), -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_pg_pool_acquire(ouro_pg_pool *pool) OURO_NODISCARD;

/**
 * Run one statement on a connection of the pool.
 *
 * A connection that was lost while it was idle is found out before anything is sent, and another
 * used. What was sent is not sent again: whether it was done is unknown if the connection is lost.
 *
 * @param pool    Borrowed until the future settles.
 * @param sql     See ouro_pg_query().
 * @param params  See ouro_pg_query().
 * @param count   See ouro_pg_query().
 * @param opts    See ouro_pg_query().
 * @return A future, never NULL: as ouro_pg_pool_acquire() and ouro_pg_query().
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_pg_pool_query(ouro_pg_pool *pool, const char *sql, const ouro_pg_value *params,
                                size_t count, const ouro_pg_query_options *opts) OURO_NODISCARD;

/**
 * Run a function in a transaction on a connection of the pool: ouro_pg_transact().
 *
 * @param pool  Borrowed until the future settles.
 * @param fn    See ouro_pg_transact().
 * @param arg   See ouro_pg_transact().
 * @param opts  See ouro_pg_transact().
 * @return A future, never NULL: as ouro_pg_pool_acquire() and ouro_pg_transact().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_pool_transact(ouro_pg_pool *pool, ouro_pg_transaction_fn *fn, void *arg,
                                   const ouro_pg_transaction_options *opts) OURO_NODISCARD;

/**
 * Close a pool: who stands in line is sent away with -EBADF, idle connections are closed, and
 * leases that are out have @p grace to come back; then what runs on them is cancelled, and they are
 * closed under their users.
 *
 * @param pool   Borrowed, and valid until ouro_pg_pool_free(). Any number may wait, also later.
 * @param grace  Nanoseconds. 0: at once.
 * @return A future, never NULL: 0 nothing is left; -ETIMEDOUT likewise, but leases had to be taken
 *         away; -ECANCELED (it is being closed all the same), -ENOMEM, -EINVAL (NULL), -EXDEV,
 *         -ECHILD.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_pool_close(ouro_pg_pool *pool, ouro_ns grace) OURO_NODISCARD;

/**
 * Give a pool back; it is closed at once if it was not. Leases that are out stay valid for
 * ouro_pg_free(), and no more.
 *
 * @param pool  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_pg_pool *ouro_pg_pool_free(ouro_pg_pool *pool);

/**
 * Read the counters.
 *
 * @param pool       Borrowed.
 * @param ret_stats  Receives a snapshot. Yours.
 * @return 0, -EINVAL (NULL), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_pg_pool_stats_get(const ouro_pg_pool *pool, ouro_pg_pool_stats *ret_stats);

OURO_END_DECLS

#endif
