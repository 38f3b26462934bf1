/* SPDX-License-Identifier: MIT */
/*
 * Statements and transactions on whatever connection is free.
 *
 * A single statement has no lease, and so no more than its own future: it is made without a
 * connection, stands in the pool's line if it must, and is put into the line of a connection that
 * has nothing else to do, where it is sent at once. When the session is quiet again, the connection
 * goes back. A connection that is lost before never had the statement: there is nothing to repeat.
 *
 * A transaction is a task that acquires.
 */
#include <ouro/memory.h>

#include <errno.h>

#include "pg_pool_int.h"
#include "query_int.h"
#include "transaction_int.h"

ouro_future *ouro_pg_pool_query(ouro_pg_pool *pool, const char *sql, const ouro_pg_value *params,
                                size_t count, const ouro_pg_query_options *opts)
{
    ouro_future *f;
    int rc = ouro__pg_pool_refuses(pool);
    if (rc < 0)
        return ouro_ready(rc);
    struct pg_command *c = ouro__pg_query_loose(sql, params, count, opts, &f);
    if (!c)
        return f;
    struct pg_waiter w = {.command = c, .promise = c->promise};
    ouro__pg_line_enter(pool, &w);
    return f;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

struct transact {
    ouro_pg_pool *pool; /* a reference */
    ouro_pg_transaction_fn *fn;
    void *arg;
    ouro_pg_transaction_options opts;
};

static void destroy(void *arg)
{
    struct transact *t = arg;
    ouro__pg_pool_unref(t->pool);
    ouro_memory_release(t);
}

static int64_t body(void *arg)
{
    struct transact *t = arg;
    int64_t rc;
    ouro_future *acquired = ouro_pg_pool_acquire(t->pool);
    ouro_pg *lease = ouro_await_ptr(ouro_ref(acquired), &rc);
    const char *why = lease ? NULL : ouro_future_detail(acquired);
    if (why)
        ouro_task_fail(rc, "%s", why);
    ouro_unref(acquired);
    if (!lease)
        return rc;
    rc = ouro__pg_transact_now(lease, t->fn, t->arg, &t->opts);
    ouro_pg_free(lease);
    return rc;
}

ouro_future *ouro_pg_pool_transact(ouro_pg_pool *pool, ouro_pg_transaction_fn *fn, void *arg,
                                   const ouro_pg_transaction_options *opts)
{
    static const ouro_pg_transaction_options defaults;
    opts = opts ? opts : &defaults;
    int rc = fn && opts->attempts >= 0 ? ouro__pg_pool_refuses(pool) : -EINVAL;
    if (rc < 0)
        return ouro_ready(rc);
    struct transact *t = ouro_memory_alloc(sizeof(*t));
    if (!t)
        return ouro_ready(-ENOMEM);
    *t = (struct transact){.pool = ouro__pg_pool_ref(pool), .fn = fn, .arg = arg, .opts = *opts};
    ouro_spawn_options spawn = {
        .name = opts->name ? opts->name : "transaction",
        .arg_free = destroy,
    };
    return ouro_spawn_with(body, t, &spawn);
}
