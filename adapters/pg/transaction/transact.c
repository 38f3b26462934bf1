/* SPDX-License-Identifier: MIT */
/*
 * ouro_pg_transact(): a function in a transaction, tried again while others are in the way.
 *
 * It is a task. What the function comes to decides between commit and rollback; a serialization
 * failure or a deadlock, in the function or at the commit, has it start again after a while that
 * doubles, and is never the same for two who met.
 */
#include "transaction_int.h"

#include <ouro/memory.h>
#include <ouro/pg_transaction.h>
#include <ouro/time.h>

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_ATTEMPTS 5
#define FIRST_PAUSE      OURO_MS(5)

struct transact {
    ouro_pg *pg;
    ouro_pg_transaction_fn *fn;
    void *arg;
    ouro_pg_transaction_options opts;
};

static bool may_be_tried_again(int64_t rc)
{
    return rc == -OURO_ESQL_SERIALIZATION_FAILURE || rc == -OURO_ESQL_DEADLOCK;
}

static int64_t try_once(ouro_pg *pg, ouro_pg_transaction_fn *fn, void *arg,
                        const ouro_pg_transaction_options *opts)
{
    int64_t rc;
    ouro_pg *tx = ouro_await_ptr(ouro_pg_begin(pg, opts), &rc);
    if (!tx)
        return rc;
    rc = fn(tx, arg);
    if (rc < 0) {
        ouro_await(ouro_pg_rollback(tx));
        return rc;
    }
    int64_t committed = ouro_await(ouro_pg_commit(tx));
    return committed < 0 ? committed : rc;
}

/* Between half and all of a time that doubles. */
static ouro_ns pause_before(int attempt)
{
    ouro_ns most = FIRST_PAUSE << (attempt < 8 ? attempt : 8);
    return most / 2 + (ouro_ns)random() % (most / 2);
}

int64_t ouro__pg_transact_now(ouro_pg *pg, ouro_pg_transaction_fn *fn, void *arg,
                              const ouro_pg_transaction_options *opts)
{
    int attempts = opts->attempts ? opts->attempts : DEFAULT_ATTEMPTS;
    for (int i = 1;; i++) {
        int64_t rc = try_once(pg, fn, arg, opts);
        if (!may_be_tried_again(rc) || i >= attempts)
            return rc;
        int64_t slept = ouro_await(ouro_sleep(pause_before(i)));
        if (slept < 0)
            return slept;
    }
}

ouro_future *ouro__pg_transact_spawn(ouro_task_fn *body, void *arg, ouro_free_fn *release,
                                     const ouro_pg_transaction_options *opts)
{
    ouro_spawn_options spawn = {
        .name = opts->name ? opts->name : "transaction",
        .arg_free = release,
    };
    return ouro_spawn_with(body, arg, &spawn);
}

static int64_t body(void *arg)
{
    struct transact *t = arg;
    return ouro__pg_transact_now(t->pg, t->fn, t->arg, &t->opts);
}

ouro_future *ouro_pg_transact(ouro_pg *pg, ouro_pg_transaction_fn *fn, void *arg,
                              const ouro_pg_transaction_options *opts)
{
    static const ouro_pg_transaction_options defaults;
    if (!opts)
        opts = &defaults;
    int rc = fn ? ouro__pg_check(pg) : -EINVAL;
    if (rc == 0 && opts->attempts < 0)
        rc = -EINVAL;
    if (rc < 0)
        return ouro_ready(rc);
    struct transact *t = ouro_memory_alloc(sizeof(*t));
    if (!t)
        return ouro_ready(-ENOMEM);
    *t = (struct transact){.pg = pg, .fn = fn, .arg = arg, .opts = *opts};
    return ouro__pg_transact_spawn(body, t, ouro_memory_release, opts);
}
