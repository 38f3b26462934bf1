/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_POOL_TEST_H
#define OURO_PG_POOL_TEST_H

/* What the tests of pools share. */

#include "pg_test.h"

static inline ouro_pg_pool *pool_at(const char *conninfo, const ouro_pg_pool_options *opts)
{
    ouro_pg_pool *pool;
    check_eq(ouro_pg_pool_new(conninfo, opts, &pool), 0);
    return pool;
}

static inline ouro_pg_pool *pool_of(int max)
{
    return pool_at(pg_conninfo(), &(ouro_pg_pool_options){.max = max});
}

/* A lease, which must come about. */
static inline ouro_pg *leased(ouro_pg_pool *pool)
{
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_pool_acquire(pool), &rc);
    check_eq(rc, 0);
    return pg;
}

static inline ouro_pg_pool_stats pool_stats(const ouro_pg_pool *pool)
{
    ouro_pg_pool_stats st;
    check_eq(ouro_pg_pool_stats_get(pool, &st), 0);
    check_eq(st.total, st.idle + st.leased + st.connecting + st.draining);
    return st;
}

/* A statement of the pool: what ouro_await() says of it. */
static inline int64_t pool_run(ouro_pg_pool *pool, const char *sql)
{
    return ouro_await(ouro_pg_pool_query(pool, sql, NULL, 0, NULL));
}

/* Close, which must leave nothing, and free. */
static inline void pool_over(ouro_pg_pool *pool)
{
    check_eq(ouro_await(ouro_pg_pool_close(pool, OURO_SEC(5))), 0);
    check_eq(pool_stats(pool).total, 0);
    ouro_pg_pool_free(pool);
}

/* Wait until @what holds, which must be soon. */
#define until(what)                                          \
    do {                                                     \
        for (int left = 1000; !(what) && left; left--)       \
            check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0); \
        check(what);                                         \
    } while (0)

static inline void kill_backend(int64_t backend)
{
    char sql[80];
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld)::int", (long long)backend);
    check_eq(pg_admin(sql), 1);
}

#endif
