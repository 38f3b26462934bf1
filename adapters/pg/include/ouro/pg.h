/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_H
#define OURO_PG_H

/**
 * @file pg.h
 * PostgreSQL on the loop: everything of the library ouro_pg, which stands on libpq.
 *
 *     ouro_pg_pool *pool;
 *     rc = ouro_pg_pool_new("host=db dbname=app", NULL, &pool);
 *     ...
 *     ouro_pg_result *users = ouro_await_ptr(
 *         ouro_pg_pool_query(pool, "SELECT id, name FROM users WHERE active = :active",
 *                            OURO_PG_PARAMS(ouro_pg_named("active", ouro_pg_bool(1))), NULL), &rc);
 *     for (int64_t row = 0; row < rc; row++)
 *         puts(ouro_pg_text_at(users, row, 1, NULL));
 *     ouro_pg_result_free(users);
 */

#include <ouro/pg_connection.h>
#include <ouro/pg_error.h>
#include <ouro/pg_notify.h>
#include <ouro/pg_pool.h>
#include <ouro/pg_result.h>
#include <ouro/pg_stream.h>
#include <ouro/pg_transaction.h>
#include <ouro/pg_value.h>

#endif
