/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_CONNECTION_H
#define OURO_PG_CONNECTION_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/pg_error.h>
#include <ouro/pg_result.h>
#include <ouro/pg_value.h>
#include <ouro/resolve.h>

/**
 * @file pg_connection.h
 * Connections to PostgreSQL, and statements on them.
 *
 *     ouro_pg *pg = ouro_await_ptr(ouro_pg_connect("host=db dbname=app", NULL), &rc);
 *     ouro_pg_result *r = ouro_await_ptr(
 *         ouro_pg_query(pg, "SELECT name FROM users WHERE id = $1",
 *                       OURO_PG_PARAMS(ouro_pg_int(7)), NULL), &rc);
 *
 * Any number of tasks may use one connection: statements stand in line and run one after the other,
 * in the order of the calls. For several at once there are pools (<ouro/pg_pool.h>), for many in
 * one round trip ouro_pg_batch().
 *
 * Statements are copied by the call; nothing of it is borrowed afterwards, but for the struct that
 * options name for the error.
 *
 * Cancelling (ouro_cancel(), a timeout, a scope): a statement that still stands in line never runs.
 * One that runs is cancelled on the server, and the future waits for what the server says: if the
 * statement was done first, that is its result. If the server says nothing within
 * ouro_pg_options.cancel_grace, the future is cancelled and the connection is given up: what became
 * of the statement is then unknown. A later statement is never hit by an earlier one's cancel.
 *
 * When the connection is lost, what runs and what stands in line fails with the reason, and so does
 * every later call. There is no reconnecting but in pools.
 *
 * Closing: whatever is pending fails with -EBADF, as do later calls. The handle stays valid until
 * it is freed. An idle connection keeps no loop running.
 */

/** A connection, a lease of one from a pool, or a transaction on one. Belongs to the loop of the
 *  thread that made it. */
typedef struct ouro_pg ouro_pg;

/** Receives what the server remarks: notices, warnings. Runs on the loop; @p notice is borrowed for
 *  the call. */
typedef void ouro_pg_notice_fn(const ouro_pg_error *notice, void *arg);

/** Options of connections. Zero is the default of every field. */
typedef struct ouro_pg_options {
    ouro_pg_notice_fn *on_notice; /**< default: notices are dropped */
    void *notice_arg;             /**< passed to on_notice. Borrowed while the connection lives */
    int statements;               /**< prepared statements that are kept, the least used goes first.
                                       -1: none, as poolers need that hand a session from one client
                                       to the next. Default: 100 */
    ouro_ns cancel_grace;         /**< for the server to end a statement that is cancelled.
                                       Default: 2 s */
    ouro_ns statement_limit;      /**< statement_timeout of the session, rounded up to milliseconds:
                                       the server itself ends what takes longer, with
                                       OURO_ESQL_QUERY_CANCELED. Default: the server's own */
    ouro_resolve_options names;   /**< how host names are looked up */
} ouro_pg_options;

/** Options of statements. Zero is the default of every field. */
typedef struct ouro_pg_query_options {
    ouro_pg_error *error; /**< filled if the statement fails; lent until the future settles */
    int binary;           /**< not 0: values come in the types' binary form. The getters know those
                               of numbers, booleans, times, UUIDs and bytes; bytes come faster */
    int no_prepare;       /**< not 0: never prepare it. Default: prepared the second time that the
                               connection is given the same text */
} ouro_pg_query_options;

/** One statement of ouro_pg_batch(). */
typedef struct ouro_pg_statement {
    const char *sql;             /**< borrowed for the call */
    const ouro_pg_value *params; /**< borrowed for the call; NULL if there are none */
    size_t param_count;          /**< how many */
} ouro_pg_statement;

/** Options of ouro_pg_batch(). Zero is the default of every field. */
typedef struct ouro_pg_batch_options {
    ouro_pg_error *error; /**< of the first that fails; lent until the future settles */
    int independent;      /**< not 0: each for itself, failures are results. Default: all or none */
    int binary;           /**< see ouro_pg_query_options */
} ouro_pg_batch_options;

/** Where a connection stands. */
typedef enum ouro_pg_state {
    OURO_PG_READY = 0, /**< nothing to do */
    OURO_PG_BUSY,      /**< a statement runs */
    OURO_PG_LOST,      /**< the server has gone: free it */
    OURO_PG_CLOSED     /**< closed, released, committed or rolled back by us */
} ouro_pg_state;

/** What a connection has done. */
typedef struct ouro_pg_stats {
    uint64_t statements; /**< sent to the server, those of batches one by one */
    uint64_t prepared;   /**< of them, by a statement that was prepared before */
    uint64_t preparings; /**< statements that were prepared */
    uint64_t errors;     /**< statements that failed */
    uint64_t cancels;    /**< asked of the server */
    uint64_t notices;    /**< remarks of the server */
    size_t waiting;      /**< statements that stand in line now */
    size_t known;        /**< prepared statements that are kept now */
} ouro_pg_stats;

OURO_BEGIN_DECLS

/* ---- Life ------------------------------------------------------------------------------------ */

/**
 * Connect.
 *
 * The host is looked up by ouro_resolve(), then libpq connects and signs in, step by step, whenever
 * the socket is ready: the loop never waits. Several hosts, TLS, SCRAM, the PG* variables of the
 * environment, service and password files are as libpq has them. connect_timeout counts for each
 * address; in all, there is ouro_timeout().
 *
 * @param conninfo  "host=db dbname=app" or a URI, as libpq reads them; NULL or "" for what the
 *                  environment says. Copied.
 * @param opts      Copied; NULL for defaults.
 * @return A future, never NULL; its ptr is an ouro_pg. An error's detail says which server and why.
 *   - 0                connected
 *   - -OURO_ESQL(...)  the server refused: OURO_ESQL_INVALID_PASSWORD, OURO_ESQL_UNKNOWN_DATABASE,
 *                      ...
 *   - -ECONNREFUSED, -ETIMEDOUT (connect_timeout), -EHOSTUNREACH, -ENOENT (no such unix socket),
 *     -ECONNRESET, ...   nobody is there
 *   - -OURO_ENOSESSION another reason, see the detail: TLS, authentication, a protocol error
 *   - -OURO_ENONAME, -OURO_ETRYAGAIN, ...   no host has an address, see ouro_resolve()
 *   - -EINVAL          @p conninfo is malformed; an option is out of range
 *   - -ECANCELED, -ENOMEM, -EPERM (no loop on this thread), -ECHILD, -ESHUTDOWN
 * @owns the caller: await it with ouro_await_ptr(); free with ouro_pg_free().
 * @thread Loop thread only.
 */
ouro_future *ouro_pg_connect(const char *conninfo, const ouro_pg_options *opts) OURO_NODISCARD;

/**
 * Say goodbye and close. A lease of a pool goes back to it, a transaction is rolled back.
 *
 * @param pg  Borrowed, and valid until ouro_pg_free(). Any number may wait, also later.
 * @return A future, never NULL: 0 it is closed; -ECANCELED (it is being closed all the same),
 *         -ENOMEM (likewise), -EINVAL (NULL), -EXDEV, -ECHILD.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_close(ouro_pg *pg) OURO_NODISCARD;

/**
 * Give a connection, a lease or a transaction back; it is closed if it was not. Neither waits nor
 * fails; what is pending on it fails with -EBADF.
 *
 * A handle of a pool may not be used any more. Where it is, calls fail with -EBADF until the pool
 * has handed out a good many others.
 *
 * @param pg  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close, and in a forked child,
 *         where the server is told nothing.
 */
ouro_pg *ouro_pg_free(ouro_pg *pg);

/* ---- Statements ------------------------------------------------------------------------------ */

/**
 * Run one statement.
 *
 * Parameters are $1, $2, ... or, if the values have names, :name. In the latter case a colon before
 * a letter is a parameter wherever SQL has no other meaning for it: not in quotes, comments, ::
 * casts and := . Names may be used several times; each value must be used.
 *
 * @param pg      Borrowed until the future settles.
 * @param sql     One statement. Copied.
 * @param params  Copied, with what they point to; NULL if there are none.
 * @param count   How many, OURO_PG_PARAMS_MAX at most.
 * @param opts    Copied; NULL for defaults.
 * @return A future, never NULL; its ptr is an ouro_pg_result, n the number of rows it has, or those
 *         that were changed.
 *   - n >= 0           done
 *   - -OURO_ESQL(...)  the server refused it, see <ouro/error.h>
 *   - -OURO_ECOPY      it was a COPY: see <ouro/pg_stream.h>. The connection is lost
 *   - -ECANCELED       see above
 *   - -ECONNRESET, or what the server said when it ended the session: the connection is lost
 *   - -ENOKEY          a :name has no value, -ENOTUNIQ two values have one name, -EBADSLT a value
 *                      was not used; the detail names it
 *   - -EINVAL          NULL, values with and without names, an unknown type
 *   - -E2BIG           more than OURO_PG_PARAMS_MAX parameters
 *   - -EILSEQ          a zero byte in a text
 *   - -EDEADLK         this task has a transaction open on the connection, and must use that
 *   - -EBADF           closed, released or ended, or was while this waited
 *   - -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_pg_query(ouro_pg *pg, const char *sql, const ouro_pg_value *params, size_t count,
                           const ouro_pg_query_options *opts) OURO_NODISCARD;

/**
 * Run a script: statements with semicolons between, without parameters. They are one transaction,
 * unless the script says otherwise; the first error ends it.
 *
 * @param pg    Borrowed until the future settles.
 * @param sql   The script. Copied.
 * @param opts  Copied; NULL for defaults. binary and no_prepare do not matter.
 * @return A future, never NULL: as ouro_pg_query(), with the result of the last statement.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_script(ouro_pg *pg, const char *sql,
                            const ouro_pg_query_options *opts) OURO_NODISCARD;

/**
 * Run many statements in one round trip.
 *
 * All or none: outside a transaction they are one. With opts->independent each stands for itself.
 * BEGIN, COMMIT and COPY have no place here.
 *
 * @param pg          Borrowed until the future settles.
 * @param statements  Copied, with what they point to.
 * @param n           How many; 0 is success.
 * @param results     @p n results in the order of @p statements, or NULL. Lent until the future
 *                    settles. After success ptr is an ouro_pg_result and yours, n the number of rows
 *                    or an error. Else ptr is NULL, and n still tells what each came to: the error
 *                    of the one that failed, -OURO_EROLLEDBACK of the others.
 * @param opts        Copied; NULL for defaults.
 * @return A future, never NULL: 0 all succeeded; with independent, all have ended. Else as
 *         ouro_pg_query(), of the first that failed; then nothing was changed. A statement that
 *         cannot be sent, such as one without a value for a :name, fails the whole batch, with
 *         independent too, before anything is sent. A cancel of an independent one leaves done
 *         what was.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_batch(ouro_pg *pg, const ouro_pg_statement *statements, size_t n,
                           ouro_result *results, const ouro_pg_batch_options *opts) OURO_NODISCARD;

/* ---- Looking at it --------------------------------------------------------------------------- */

/**
 * What the last statement that failed on this connection failed with.
 *
 * @param pg         Borrowed.
 * @param ret_error  Receives it; code is 0 if none has failed. Yours.
 * @return 0, -EINVAL (NULL), -EBADF, -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_pg_error_get(const ouro_pg *pg, ouro_pg_error *ret_error);

/**
 * Where it stands.
 *
 * @param pg  Borrowed. NULL is OURO_PG_CLOSED.
 * @return The state.   @thread Loop thread only.
 */
ouro_pg_state ouro_pg_state_get(const ouro_pg *pg);

/**
 * Read the counters of the connection below a handle.
 *
 * @param pg         Borrowed.
 * @param ret_stats  Receives a snapshot. Yours.
 * @return 0, -EINVAL (NULL), -EBADF, -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_pg_stats_get(const ouro_pg *pg, ouro_pg_stats *ret_stats);

/**
 * The process of the session on the server, as pg_stat_activity has it.
 *
 * @param pg  Borrowed.
 * @return Its number; -EINVAL (NULL), -EBADF, -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int64_t ouro_pg_backend(const ouro_pg *pg);

/**
 * A parameter that the server reports, such as "server_version", "TimeZone" or "in_hot_standby".
 *
 * @param pg    Borrowed.
 * @param name  Borrowed for the call.
 * @return Its value, borrowed until the loop's next turn; NULL if it is not reported, or the
 *         connection is closed or lost.   @thread Loop thread only.
 */
const char *ouro_pg_parameter(const ouro_pg *pg, const char *name);

/**
 * Write a name so that SQL takes it for one whatever is in it: in double quotes.
 *
 * @param name  Borrowed for the call.
 * @param buf   Receives the text, always terminated when @p size > 0. Yours.
 * @param size  Capacity of @p buf in bytes; twice the name's length and 3 are enough.
 * @return Length of the whole text in bytes, like snprintf(3); -EINVAL (NULL name).
 * @thread Any.
 */
int64_t ouro_pg_quote_name(const char *name, char *buf, size_t size);

OURO_END_DECLS

#endif
