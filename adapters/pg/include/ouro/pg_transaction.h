/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_TRANSACTION_H
#define OURO_PG_TRANSACTION_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/pg_connection.h>

/**
 * @file pg_transaction.h
 * Transactions.
 *
 *     ouro_pg *tx = ouro_await_ptr(ouro_pg_begin(pg, NULL), &rc);
 *     ouro_await(ouro_pg_query(tx, "UPDATE ...", NULL, 0, NULL));
 *     rc = ouro_await(ouro_pg_commit(tx));
 *
 * A transaction is a handle of its own. What is called on it is part of it; what others call on the
 * connection meanwhile waits until it has ended. A transaction in a transaction is a savepoint.
 *
 * A transaction that is freed, or whose task ends, without ouro_pg_commit() is rolled back. So is
 * one whose connection is released.
 */

/** What one transaction sees of others, as SQL has it. */
typedef enum ouro_pg_isolation {
    OURO_PG_ISOLATION_DEFAULT = 0, /**< the session's: READ COMMITTED unless it says otherwise */
    OURO_PG_READ_COMMITTED,        /**< each statement sees what was committed before it */
    OURO_PG_REPEATABLE_READ,       /**< all see what was committed before the first */
    OURO_PG_SERIALIZABLE           /**< as if there were no others */
} ouro_pg_isolation;

/** Options of transactions. Zero is the default of every field. */
typedef struct ouro_pg_transaction_options {
    ouro_pg_isolation isolation; /**< not of savepoints */
    int read_only;               /**< not 0: nothing can be changed. Not of savepoints */
    int deferrable;              /**< not 0: SERIALIZABLE and read_only, wait for a moment in which
                                      it can neither fail nor make others fail */
    int attempts;                /**< ouro_pg_transact(): times that it is tried. Default: 5 */
    const char *name;            /**< ouro_pg_transact(): of its task; borrowed until the future
                                      settles. Default: "transaction" */
} ouro_pg_transaction_options;

/** The body of ouro_pg_transact(). It runs as a task. Its result decides: n >= 0 commits. */
typedef int64_t ouro_pg_transaction_fn(ouro_pg *tx, void *arg);

OURO_BEGIN_DECLS

/**
 * Begin a transaction; on a transaction, a savepoint.
 *
 * It belongs to the current task, if there is one: when that ends, it is rolled back.
 *
 * @param pg    Borrowed until the transaction has ended.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL; its ptr is an ouro_pg, to be ended by ouro_pg_commit() or
 *         ouro_pg_rollback(), or freed.
 *   - 0            it has begun
 *   - -EINVAL      NULL, an unknown isolation; isolation, read_only or deferrable of a savepoint
 *   - else as ouro_pg_query()
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_begin(ouro_pg *pg, const ouro_pg_transaction_options *opts) OURO_NODISCARD;

/**
 * Commit, or release a savepoint: after all that was called on the transaction before.
 *
 * @param tx  Consumed, and may not be used any more. NULL, or a handle that is no transaction, is
 *            -EINVAL and stays as it is; so does, with -EDEADLK, one in which this task has another
 *            transaction open.
 * @return A future, never NULL:
 *   - 0                  it is committed
 *   - -OURO_EROLLEDBACK  it is not: a statement had failed, and the server rolled back
 *   - -OURO_ESQL(...)    it is not: a deferred constraint, a serialization failure
 *   - -ECANCELED         before it was sent: it is rolled back. Once it is sent, it goes on
 *   - -ECONNRESET, ...   the connection is lost, and whether it is committed is unknown
 *   - else as ouro_pg_query()
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_commit(ouro_pg *tx) OURO_NODISCARD;

/**
 * Roll back, to the beginning of the transaction or savepoint. What was called on it and has not
 * run never does: -EBADF. Not cancellable.
 *
 * @param tx  Consumed; see ouro_pg_commit().
 * @return A future, never NULL: 0, or as ouro_pg_query().
 * @owns the caller: detach it, if nothing depends on it.   @thread Loop thread only.
 */
ouro_future *ouro_pg_rollback(ouro_pg *tx) OURO_NODISCARD;

/**
 * Run a function in a transaction: commit if it succeeds, roll back if it fails, and try again, a
 * little later, if the server says that others were in the way (serialization failure, deadlock).
 *
 * @param pg    Borrowed until the future settles.
 * @param fn    May be called several times: it should start from nothing each time.
 * @param arg   Passed to @p fn. Yours; must live until the future settles.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL:
 *   - n >= 0       what @p fn returned; it is committed
 *   - < 0          what @p fn returned, or why it could not be begun or committed
 *   - -ECANCELED   cancelled; @p fn was, if it ran, and it is rolled back
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_transact(ouro_pg *pg, ouro_pg_transaction_fn *fn, void *arg,
                              const ouro_pg_transaction_options *opts) OURO_NODISCARD;

OURO_END_DECLS

#endif
