/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_NOTIFY_H
#define OURO_PG_NOTIFY_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/pg_connection.h>

/**
 * @file pg_notify.h
 * LISTEN and NOTIFY.
 *
 *     ouro_await(ouro_pg_listen(pg, "jobs"));
 *     ouro_pg_notification *n;
 *     while ((n = ouro_await_ptr(ouro_pg_notified(pg), &rc))) {
 *         work(n->payload);
 *         ouro_pg_notification_free(n);
 *     }
 *
 * What comes is kept until somebody takes it, however much that is. When the connection is lost,
 * what was kept can still be had, then ouro_pg_notified() fails. Connect again,
 * listen again, and look at the tables for what has happened in between.
 */

/** A notification. Freed by ouro_pg_notification_free(). */
typedef struct ouro_pg_notification {
    const char *channel; /**< where it was sent */
    const char *payload; /**< what was said; "" if nothing */
    int backend;         /**< the process of the sender's session */
} ouro_pg_notification;

OURO_BEGIN_DECLS

/**
 * Listen to a channel from now on.
 *
 * @param pg       A connection or a lease, borrowed until the future settles.
 * @param channel  A name, taken as it is: no folding of case. 63 bytes at most. Copied.
 * @return A future, never NULL: 0; -EINVAL (NULL, empty), -ENAMETOOLONG; else as ouro_pg_query().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_pg_listen(ouro_pg *pg, const char *channel) OURO_NODISCARD;

/**
 * No longer listen to a channel.
 *
 * @param pg       Borrowed until the future settles.
 * @param channel  See ouro_pg_listen(). NULL: to none at all.
 * @return A future, never NULL: see ouro_pg_listen().   @owns the caller.
 * @thread Loop thread only.
 */
ouro_future *ouro_pg_unlisten(ouro_pg *pg, const char *channel) OURO_NODISCARD;

/**
 * Notify a channel: at once, or when the transaction is committed.
 *
 * @param pg       Borrowed until the future settles.
 * @param channel  See ouro_pg_listen().
 * @param payload  Less than 8000 bytes; NULL for "". Copied.
 * @return A future, never NULL: see ouro_pg_listen().   @owns the caller.
 * @thread Loop thread only.
 */
ouro_future *ouro_pg_notify(ouro_pg *pg, const char *channel, const char *payload) OURO_NODISCARD;

/**
 * The next notification on a connection. Several may wait; each gets one, in the order of the
 * calls.
 *
 * @param pg  Borrowed until the future settles.
 * @return A future, never NULL; its ptr is an ouro_pg_notification. One that nobody takes is there
 *         for the next who asks.
 *   - 0            here it is
 *   - -EPIPE       the connection was closed or lost while this waited; ask again for the reason
 *   - -EBADF       it is closed or released
 *   - -ECANCELED, -EINVAL (NULL), -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 *   - else         why the connection was lost
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_pg_notified(ouro_pg *pg) OURO_NODISCARD;

/**
 * Give a notification back.
 *
 * @param n  Consumed; NULL is allowed.
 * @return NULL.   @thread Any.
 */
ouro_pg_notification *ouro_pg_notification_free(ouro_pg_notification *n);

OURO_END_DECLS

#endif
