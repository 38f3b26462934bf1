/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_TRANSACTION_INT_H
#define OURO_PG_TRANSACTION_INT_H

#include <ouro/pg_transaction.h>

#include "session.h"

/* End an open transaction that was not committed: its line is told -EBADF, it is rolled back before
 * anything else happens, and its handle is detached. A future of the rollback. */
ouro_future *ouro__pg_transaction_end(ouro_pg *tx);

/* The same, and nobody wants to know. */
void ouro__pg_transaction_drop(ouro_pg *tx);

/* The end of its task does not matter any more. */
void ouro__pg_transaction_forget_task(ouro_pg *tx);

/* What ouro_pg_transact() does, in the task that calls. */
int64_t ouro__pg_transact_now(ouro_pg *pg, ouro_pg_transaction_fn *fn, void *arg,
                              const ouro_pg_transaction_options *opts);

/* A task for a transaction, named as the options have it. @arg is released behind it, or at once if
 * there can be no task. */
ouro_future *ouro__pg_transact_spawn(ouro_task_fn *body, void *arg, ouro_free_fn *release,
                                     const ouro_pg_transaction_options *opts);

#endif
