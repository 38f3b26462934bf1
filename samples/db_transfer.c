/* SPDX-License-Identifier: MIT */
/*
 * Transactions under concurrency: many tasks move money between a few accounts, at once. Whatever
 * they do to each other, none is made and none is lost.
 *
 * A transfer that was in another's way is tried again by ouro_pg_pool_transact(); one that would
 * overdraw an account is refused by the database, and undone.
 */
#include <ouro/ouro.h>
#include <ouro/pg.h>

#include <stdio.h>

#define ACCOUNTS  5
#define TRANSFERS 60

static const char schema[] =
    "DROP TABLE IF EXISTS ouro_accounts;"
    "CREATE TABLE ouro_accounts (id int PRIMARY KEY, balance int NOT NULL CHECK (balance >= 0));"
    "INSERT INTO ouro_accounts SELECT id, 100 FROM generate_series(0, 4) id";

struct transfer {
    ouro_pg_pool *pool;
    int from;
    int to;
    int amount;
};

static ouro_future *change(ouro_pg *tx, int account, int by)
{
    return ouro_pg_query(tx, "UPDATE ouro_accounts SET balance = balance + $1 WHERE id = $2",
                         OURO_PG_PARAMS(ouro_pg_int(by), ouro_pg_int(account)), NULL);
}

/* May run several times; each time it starts from nothing. */
static int64_t move_money(ouro_pg *tx, void *arg)
{
    const struct transfer *t = arg;
    int64_t rc = ouro_await(change(tx, t->to, t->amount));
    if (rc >= 0)
        rc = ouro_await(change(tx, t->from, -t->amount));
    return rc < 0 ? rc : t->amount;
}

static ouro_future *transfer(struct transfer *t)
{
    static const ouro_pg_transaction_options serializable = {
        .isolation = OURO_PG_SERIALIZABLE,
        .attempts = 100,
        .name = "transfer",
    };
    return ouro_pg_pool_transact(t->pool, move_money, t, &serializable);
}

/* What every transfer came to: done, or refused for the one good reason. */
static int64_t count(const ouro_result *r)
{
    int done = 0, refused = 0;
    for (int i = 0; i < TRANSFERS; i++) {
        done += r[i].n >= 0;
        refused += r[i].n == -OURO_ESQL_CHECK_VIOLATION;
        if (r[i].n < 0 && r[i].n != -OURO_ESQL_CHECK_VIOLATION)
            fprintf(stderr, "db_transfer: %s\n", ouro_strerror(r[i].n));
    }
    printf("%d of %d transfers were done or would have overdrawn\n", done + refused, TRANSFERS);
    return done + refused == TRANSFERS ? 0 : -1;
}

static int64_t transfer_all(ouro_pg_pool *pool)
{
    struct transfer t[TRANSFERS];
    ouro_future *f[TRANSFERS];
    ouro_result r[TRANSFERS];
    for (int i = 0; i < TRANSFERS; i++) {
        t[i] = (struct transfer){pool, i % ACCOUNTS, (i * 7 + 1) % ACCOUNTS, 10 + i % 40};
        f[i] = transfer(&t[i]);
    }
    int64_t rc = ouro_await(ouro_gather(f, TRANSFERS, OURO_GATHER_COLLECT, r));
    return rc < 0 ? rc : count(r);
}

static int64_t total(ouro_pg_pool *pool)
{
    int64_t rc, sum = 0;
    ouro_pg_result *r = ouro_await_ptr(
        ouro_pg_pool_query(pool, "SELECT sum(balance) FROM ouro_accounts", NULL, 0, NULL), &rc);
    if (r)
        rc = ouro_pg_int_at(r, 0, 0, &sum);
    ouro_pg_result_free(r);
    return rc < 0 ? rc : sum;
}

static int64_t script(ouro_pg_pool *pool, const char *sql)
{
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_pool_acquire(pool), &rc);
    if (!pg)
        return rc;
    rc = ouro_await(ouro_pg_script(pg, sql, NULL));
    ouro_pg_free(pg);
    return rc;
}

static int64_t run(void *arg)
{
    (void)arg;
    ouro_pg_pool *pool;
    int64_t rc = ouro_pg_pool_new("", &(ouro_pg_pool_options){.max = 8}, &pool);
    if (rc < 0)
        return rc;
    rc = script(pool, schema);
    if (rc >= 0)
        printf("before: %lld\n", (long long)total(pool));
    if (rc >= 0)
        rc = transfer_all(pool);
    if (rc >= 0) {
        printf("after: %lld\n", (long long)total(pool));
        rc = script(pool, "DROP TABLE ouro_accounts");
    }
    ouro_await(ouro_pg_pool_close(pool, OURO_SEC(1)));
    ouro_pg_pool_free(pool);
    return rc < 0 ? rc : 0;
}

int main(void)
{
    int64_t rc = ouro_run(run, NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "db_transfer: %s\n", ouro_strerror(rc));
    return ouro_exit_code(rc);
}
