/* SPDX-License-Identifier: MIT */
/*
 * Transactions and savepoints, as handles on top of each other.
 *
 * Happy path: a BEGIN runs in the line of the outer handle; when it has, the new handle is on top,
 * and the outer line stands still. A COMMIT runs in the line of the transaction, behind all that
 * was called on it; when it has, the outer handle is on top again.
 *
 * A transaction that ends otherwise is popped at once and rolled back by a command of the session
 * itself, which goes before all lines: so nothing can slip into it. Without memory for that command
 * the session is given up, and the server rolls back by itself.
 */
#include "transaction_int.h"

#include <ouro/memory.h>
#include <ouro/pg_transaction.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void destroy(void *tx)
{
    ouro_pg_free(tx);
}

/* ---- Its task -------------------------------------------------------------------------------- */

static void task_ended(ouro_future *task, void *arg)
{
    ouro_pg *tx = arg;
    (void)task;
    tx->task = ouro_unref(tx->task);
    ouro__pg_transaction_drop(tx);
}

void ouro__pg_transaction_forget_task(ouro_pg *tx)
{
    if (!tx->task)
        return;
    ouro_off_done(tx->task, task_ended, tx);
    tx->task = ouro_unref(tx->task);
}

/* ---- Rolling back ---------------------------------------------------------------------------- */

struct rollback {
    struct pg_command c;
    char sql[80];
};

static void write_rollback(char *sql, size_t size, unsigned depth)
{
    if (depth <= 1)
        snprintf(sql, size, "ROLLBACK");
    else
        snprintf(sql, size, "ROLLBACK TO SAVEPOINT ouro_%u; RELEASE SAVEPOINT ouro_%u", depth,
                 depth);
}

static int rollback_send(struct pg_command *c, PGconn *db)
{
    return PQsendQuery(db, ((struct rollback *)c)->sql) ? 0 : ouro__pg_command_refused(c);
}

static void plain_result(struct pg_command *c, PGresult *r)
{
    ouro__pg_command_check(c, r);
}

/* What would have ended a transaction could not be sent: the server does it by itself. */
static void lose_unsent(struct pg_command *c, int64_t rc)
{
    if (rc == 0 && c->code == -ENOMEM)
        ouro__pg_session_lose(c->session, c->code, "a transaction could not be ended");
}

static void rollback_end(struct pg_command *c, int64_t rc, const char *why)
{
    lose_unsent(c, rc);
    if (ouro__pg_command_succeeded(c, rc))
        ouro_promise_resolve(c->promise, (ouro_result){0, NULL}, NULL);
    else
        ouro__pg_command_settle(c, rc, why);
}

static void go_on(struct pg_command *c)
{
    (void)c; /* half a rollback would help nobody */
}

static const struct pg_command_kind rollback_kind = {
    .name = "PostgreSQL rollback",
    .send = rollback_send,
    .result = plain_result,
    .end = rollback_end,
    .cancel = go_on,
};

/* Have a transaction of that depth rolled back before anything else happens. @ret receives a future;
 * NULL: nobody wants to know. 0, or why the session had to be given up instead. */
static int roll_back(struct pg_session *s, unsigned depth, ouro_future **ret)
{
    struct rollback *q = ouro__pg_command_own(s, sizeof(*q), &rollback_kind);
    int rc = !q ? -ENOMEM : ret ? ouro__pg_command_promise(&q->c, ret) : 0;
    if (rc < 0) {
        ouro_memory_release(q);
        ouro__pg_session_lose(s, rc, "a transaction could not be rolled back");
        return rc;
    }
    write_rollback(q->sql, sizeof q->sql, depth);
    ouro__pg_command_queue(&q->c);
    return 0;
}

/* 1: @ret is the future of the rollback, if it is wanted. Else there is none: 0, or an error. */
static int64_t end_transaction(ouro_pg *tx, ouro_future **ret)
{
    struct pg_session *s = tx->session;
    if (!s || tx->ending)
        return 0;
    ouro__pg_session_ref(s);
    ouro__pg_handle_pop(tx);
    int64_t rc = s->lost;
    bool over = ouro__pg_session_over(s);
    if (!over)
        rc = roll_back(s, tx->depth, ret);
    ouro__pg_session_unref(s);
    return rc < 0 ? rc : !over;
}

ouro_future *ouro__pg_transaction_end(ouro_pg *tx)
{
    ouro_future *f;
    int64_t rc = end_transaction(tx, &f);
    return rc == 1 ? f : ouro_ready(rc);
}

void ouro__pg_transaction_drop(ouro_pg *tx)
{
    end_transaction(tx, NULL);
}

ouro_future *ouro_pg_rollback(ouro_pg *tx)
{
    int rc = ouro__pg_check(tx);
    if (rc == -EXDEV || rc == -ECHILD || !tx || (tx->session && !tx->outer))
        return ouro_ready(rc < 0 ? rc : -EINVAL);
    ouro_future *f = rc < 0 ? ouro_ready(rc) : ouro__pg_transaction_end(tx);
    ouro_pg_free(tx);
    return f;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

struct begin {
    struct pg_command c;
    ouro_pg *tx;
    ouro_future *task; /* that called; a reference, or NULL */
    char sql[128];
};

static int begin_send(struct pg_command *c, PGconn *db)
{
    return PQsendQuery(db, ((struct begin *)c)->sql) ? 0 : ouro__pg_command_refused(c);
}

/* It has begun: it is on top. */
static void open_transaction(struct begin *q)
{
    struct pg_session *s = q->c.session;
    ouro_pg *tx = q->tx;
    s->top = tx;
    q->tx = NULL;
    int rc = q->task ? ouro_on_done(q->task, task_ended, tx) : 0;
    if (rc == 0) {
        tx->task = q->task;
        q->task = NULL;
        ouro_promise_resolve(q->c.promise, (ouro_result){0, tx}, destroy);
    } else {
        ouro_promise_fail(q->c.promise, rc);
        ouro_pg_free(tx);
    }
}

static void begin_end(struct pg_command *c, int64_t rc, const char *why)
{
    struct begin *q = (void *)c;
    if (!ouro__pg_command_succeeded(c, rc))
        ouro__pg_command_settle(c, rc, why);
    else if (c->promise)
        open_transaction(q);
    /* Else whoever gave its handle up sees to the transaction, too. */
    ouro_unref(q->task);
    if (q->tx) {
        ouro__pg_handle_detach(q->tx);
        ouro_memory_release(q->tx);
    }
}

static const struct pg_command_kind begin_kind = {
    .name = "PostgreSQL begin",
    .send = begin_send,
    .result = plain_result,
    .end = begin_end,
};

static void write_begin(char *sql, size_t size, const ouro_pg_transaction_options *opts)
{
    static const char *const levels[] = {
        [OURO_PG_ISOLATION_DEFAULT] = "",
        [OURO_PG_READ_COMMITTED] = " ISOLATION LEVEL READ COMMITTED",
        [OURO_PG_REPEATABLE_READ] = " ISOLATION LEVEL REPEATABLE READ",
        [OURO_PG_SERIALIZABLE] = " ISOLATION LEVEL SERIALIZABLE",
    };
    ouro_pg_isolation level = opts->deferrable ? OURO_PG_SERIALIZABLE : opts->isolation;
    snprintf(sql, size, "BEGIN%s%s%s", levels[level],
             opts->read_only || opts->deferrable ? " READ ONLY" : "",
             opts->deferrable ? " DEFERRABLE" : "");
}

static bool options_fit(const ouro_pg *pg, const ouro_pg_transaction_options *opts)
{
    if ((unsigned)opts->isolation > OURO_PG_SERIALIZABLE || opts->attempts < 0)
        return false;
    return !pg->outer || (!opts->isolation && !opts->read_only && !opts->deferrable);
}

ouro_future *ouro_pg_begin(ouro_pg *pg, const ouro_pg_transaction_options *opts)
{
    static const ouro_pg_transaction_options defaults;
    ouro_future *f;
    if (!opts)
        opts = &defaults;
    if (!pg || !options_fit(pg, opts))
        return ouro_ready(-EINVAL);
    struct begin *q = ouro__pg_command_new(pg, sizeof(*q), &begin_kind, &f);
    if (!q)
        return f;
    q->task = ouro_ref(ouro_task_current());
    q->tx = ouro__pg_handle_new(q->c.session, pg);
    if (!q->tx) {
        ouro__pg_command_unmake(&q->c, -ENOMEM);
        return f;
    }
    if (pg->outer)
        snprintf(q->sql, sizeof q->sql, "SAVEPOINT ouro_%u", q->tx->depth);
    else
        write_begin(q->sql, sizeof q->sql, opts);
    ouro__pg_command_queue(&q->c);
    return f;
}

/* ---- Committing ------------------------------------------------------------------------------ */

struct commit {
    struct pg_command c;
    ouro_pg *tx;
    bool failed; /* a statement had, and it is rolled back instead */
};

static int commit_send(struct pg_command *c, PGconn *db)
{
    struct commit *q = (void *)c;
    char sql[80];
    unsigned depth = q->tx->depth;
    q->failed = PQtransactionStatus(db) == PQTRANS_INERROR;
    if (q->failed)
        write_rollback(sql, sizeof sql, depth);
    else if (depth > 1)
        snprintf(sql, sizeof sql, "RELEASE SAVEPOINT ouro_%u", depth);
    else
        snprintf(sql, sizeof sql, "COMMIT");
    return PQsendQuery(db, sql) ? 0 : ouro__pg_command_refused(c);
}

/* A server that has not told us of the failure says so by the tag. */
static void commit_result(struct pg_command *c, PGresult *r)
{
    struct commit *q = (void *)c;
    if (q->tx->depth == 1 && strcmp(PQcmdStatus(r), "ROLLBACK") == 0)
        q->failed = true;
    ouro__pg_command_check(c, r);
}

static void commit_end(struct pg_command *c, int64_t rc, const char *why)
{
    struct commit *q = (void *)c;
    lose_unsent(c, rc);
    if (rc == 0 && q->failed)
        ouro__pg_command_fail(c, -OURO_EROLLEDBACK);
    if (ouro__pg_command_succeeded(c, rc))
        ouro_promise_resolve(c->promise, (ouro_result){0, NULL}, NULL);
    else
        ouro__pg_command_settle(c, rc, why);
    if (q->tx->session)
        ouro__pg_handle_pop(q->tx);
    ouro__pg_handle_discard(q->tx);
}

static void commit_cancel(struct pg_command *c)
{
    struct commit *q = (void *)c;
    struct pg_session *s = c->session;
    unsigned depth = q->tx->depth;
    if (c->running)
        return;
    ouro__pg_session_ref(s);
    ouro__pg_command_drop(c, -ECANCELED, NULL);
    if (!ouro__pg_session_over(s))
        roll_back(s, depth, NULL);
    ouro__pg_session_unref(s);
}

static const struct pg_command_kind commit_kind = {
    .name = "PostgreSQL commit",
    .send = commit_send,
    .result = commit_result,
    .end = commit_end,
    .cancel = commit_cancel,
};

ouro_future *ouro_pg_commit(ouro_pg *tx)
{
    ouro_future *f;
    int rc = ouro__pg_check(tx);
    if (rc == -EXDEV || rc == -ECHILD || !tx || (tx->session && (!tx->outer || tx->ending)))
        return ouro_ready(rc < 0 ? rc : -EINVAL);
    struct commit *q = ouro__pg_command_new(tx, sizeof(*q), &commit_kind, &f);
    if (!q) {
        if (ouro_future_result(f).n != -EDEADLK)
            ouro_pg_free(tx);
        return f;
    }
    q->tx = tx;
    q->failed = false;
    ouro__pg_transaction_forget_task(tx);
    tx->ending = true;
    ouro__pg_command_queue(&q->c);
    return f;
}
