/* SPDX-License-Identifier: MIT */
/*
 * Parallel queries with bound parameters: users and posts are asked for at once, on two connections
 * of a pool, and both are there when the slower one is.
 *
 * The database is the one that PGHOST and its like name.
 */
#include <ouro/ouro.h>
#include <ouro/pg.h>

#include <stdio.h>

static const char schema[] =
    "DROP TABLE IF EXISTS ouro_posts, ouro_users;"
    "CREATE TABLE ouro_users (id int PRIMARY KEY, name text NOT NULL, active bool NOT NULL);"
    "CREATE TABLE ouro_posts (id int PRIMARY KEY, author int REFERENCES ouro_users, title text);"
    "INSERT INTO ouro_users VALUES (1, 'Ann', true), (2, 'Bob', false), (3, 'Cleo', true);"
    "INSERT INTO ouro_posts VALUES (1, 1, 'Rings'), (2, 3, 'Queues'), (3, 3, 'Robert''); --')";

/* Each takes a fifth of a second, so that it shows which of them wait for each other. */
static ouro_future *users(ouro_pg_pool *pool, int active)
{
    return ouro_pg_pool_query(
        pool, "SELECT id, name, pg_sleep(0.2) FROM ouro_users WHERE active = :active AND id > 1",
        OURO_PG_PARAMS(ouro_pg_named("active", ouro_pg_bool(active))), NULL);
}

static ouro_future *posts(ouro_pg_pool *pool, const int64_t *authors, size_t count)
{
    return ouro_pg_pool_query(
        pool,
        "SELECT title FROM ouro_posts, pg_sleep(0.2)"
        " WHERE author = ANY(:authors) ORDER BY id",
        OURO_PG_PARAMS(ouro_pg_named("authors", ouro_pg_ints(authors, count))), NULL);
}

static void print(const char *what, const ouro_pg_result *rows, int column)
{
    for (int64_t row = 0; row < ouro_pg_rows(rows); row++)
        printf("%s: %s\n", what, ouro_pg_text_at(rows, row, column, NULL));
}

static int64_t ask(ouro_pg_pool *pool)
{
    static const int64_t authors[] = {1, 3};
    ouro_ns began = ouro_now();
    ouro_future *both[] = {users(pool, 1), posts(pool, authors, 2)};
    ouro_result r[2];
    int64_t rc = ouro_await(ouro_gather(both, 2, OURO_GATHER_ALL, r));
    if (rc < 0)
        return rc;
    print("user", r[0].ptr, 1);
    print("post", r[1].ptr, 0);
    ouro_pg_result_free(r[0].ptr);
    ouro_pg_result_free(r[1].ptr);
    printf("two queries of 200 ms took %s\n",
           ouro_now() - began < OURO_MS(390) ? "less than 400 ms" : "as long as one by one");
    return 0;
}

/* What fails says why: a code to act on, and words. */
static void fail(ouro_pg_pool *pool)
{
    ouro_pg_error error;
    int64_t rc = ouro_await(ouro_pg_pool_query(pool,
                                               "INSERT INTO ouro_users VALUES (1, 'Dora', true)",
                                               NULL, 0, &(ouro_pg_query_options){.error = &error}));
    if (rc == -OURO_ESQL_UNIQUE_VIOLATION)
        printf("refused: %s %s\n", error.message, error.detail);
}

static int64_t script(ouro_pg_pool *pool, const char *sql)
{
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_pool_acquire(pool), &rc);
    if (!pg)
        return rc;
    rc = ouro_await(ouro_pg_script(pg, sql, NULL));
    ouro_pg_free(pg); /* back to the pool */
    return rc;
}

static int64_t run(void *arg)
{
    (void)arg;
    ouro_pg_pool *pool;
    int64_t rc = ouro_pg_pool_new("", &(ouro_pg_pool_options){.max = 2, .min = 2}, &pool);
    if (rc < 0)
        return rc;
    ouro_future *ready = ouro_pg_pool_ready(pool);
    rc = ouro_await(ouro_ref(ready));
    if (rc < 0)
        fprintf(stderr, "db_queries: %s\n", ouro_future_detail(ready));
    ouro_unref(ready);
    if (rc == 0)
        rc = script(pool, schema);
    if (rc >= 0)
        rc = ask(pool);
    if (rc >= 0)
        fail(pool);
    if (rc >= 0)
        rc = script(pool, "DROP TABLE ouro_posts, ouro_users");
    ouro_await(ouro_pg_pool_close(pool, OURO_SEC(1)));
    ouro_pg_pool_free(pool);
    return rc < 0 ? rc : 0;
}

int main(void)
{
    int64_t rc = ouro_run(run, NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "db_queries: %s\n", ouro_strerror(rc));
    return ouro_exit_code(rc);
}
