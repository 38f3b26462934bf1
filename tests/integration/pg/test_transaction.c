/* SPDX-License-Identifier: MIT */
/*
 * Transactions and savepoints: what is kept, what is undone, and who has to wait.
 */
#include "pg_test.h"

static ouro_pg *with_table(void)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE t (i int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED)"), 0);
    return pg;
}

static int64_t rows(ouro_pg *pg)
{
    return number(pg, "SELECT count(*) FROM t");
}

KernelTest(pg_transaction, is_kept_by_commit)
{
    ouro_pg *pg = with_table();
    ouro_pg *tx = begun(pg);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    check_eq(rows(pg), 1);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, is_undone_by_rollback_and_by_free)
{
    ouro_pg *pg = with_table();
    ouro_pg *tx = begun(pg);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    check_eq(ouro_await(ouro_pg_rollback(tx)), 0);
    check_eq(rows(pg), 0);
    tx = begun(pg);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    ouro_pg_free(tx);
    check_eq(rows(pg), 0);
    tx = begun(pg);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    check_eq(ouro_await(ouro_pg_close(tx)), 0);
    check_eq(run(tx, "INSERT INTO t VALUES (2)"), -EBADF);
    ouro_pg_free(tx);
    check_eq(rows(pg), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, nobody_takes_it_and_it_is_undone)
{
    ouro_pg *pg = with_table();
    ouro_detach(ouro_pg_begin(pg, NULL));
    check_eq(rows(pg), 0);
    check_eq(run(pg, "VACUUM t"), 0); /* which is refused in a transaction */
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, commit_after_an_error_says_that_it_was_rolled_back)
{
    ouro_pg *pg = with_table();
    ouro_pg *tx = begun(pg);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    check(run(tx, "SELECT 1 / 0") < 0);
    check_eq(run(tx, "SELECT 1"), -OURO_ESQL_IN_FAILED_TRANSACTION);
    check_eq(ouro_await(ouro_pg_commit(tx)), -OURO_EROLLEDBACK);
    check_eq(rows(pg), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, what_commit_refuses_is_undone)
{
    ouro_pg *pg = with_table();
    ouro_pg *tx = begun(pg);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    check_eq(ouro_await(ouro_pg_commit(tx)), -OURO_ESQL_UNIQUE_VIOLATION);
    check_eq(rows(pg), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, in_a_transaction_is_a_savepoint)
{
    ouro_pg *pg = with_table();
    ouro_pg *tx = begun(pg);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    ouro_pg *inner = begun(tx);
    check_eq(run(inner, "INSERT INTO t VALUES (2)"), 1);
    check(run(inner, "SELECT 1 / 0") < 0);
    check_eq(ouro_await(ouro_pg_commit(inner)), -OURO_EROLLEDBACK);
    inner = begun(tx);
    check_eq(run(inner, "INSERT INTO t VALUES (3)"), 1);
    ouro_pg *innermost = begun(inner);
    check_eq(run(innermost, "INSERT INTO t VALUES (4)"), 1);
    check_eq(ouro_await(ouro_pg_rollback(innermost)), 0);
    check_eq(ouro_await(ouro_pg_commit(inner)), 0);
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    check_eq(number(pg, "SELECT sum(i) FROM t"), 4);
    ouro_pg_free(pg);
    return 0;
}

struct others {
    ouro_pg *pg;
    bool committed;
};

static int64_t other_task(void *arg)
{
    struct others *o = arg;
    int64_t n = rows(o->pg);
    check(o->committed);
    return n;
}

KernelTest(pg_transaction, others_wait_until_it_has_ended)
{
    struct others o = {.pg = with_table()};
    ouro_pg *tx = begun(o.pg);
    ouro_future *other = ouro_spawn(other_task, &o);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(run(tx, "INSERT INTO t VALUES (2)"), 1);
    o.committed = true;
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    check_eq(ouro_await(other), 2);
    ouro_pg_free(o.pg);
    return 0;
}

KernelTest(pg_transaction, its_own_task_cannot_wait_for_it)
{
    ouro_pg *pg = with_table();
    ouro_pg *tx = begun(pg), *inner = begun(tx);
    check_eq(run(pg, "SELECT 1"), -EDEADLK);
    check_eq(run(tx, "SELECT 1"), -EDEADLK);
    check_eq(ouro_await(ouro_pg_commit(tx)), -EDEADLK);
    check_eq(run(inner, "SELECT 1"), 1);
    check_eq(ouro_await(ouro_pg_commit(inner)), 0);
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    check_eq(run(pg, "SELECT 1"), 1);
    ouro_pg_free(pg);
    return 0;
}

static int64_t forgetful(void *arg)
{
    ouro_pg **tx = arg;
    int64_t rc;
    *tx = ouro_await_ptr(ouro_pg_begin(*tx, NULL), &rc);
    check_eq(run(*tx, "INSERT INTO t VALUES (1)"), 1);
    return rc;
}

KernelTest(pg_transaction, ends_with_its_task)
{
    ouro_pg *pg = with_table(), *tx = pg;
    check_eq(ouro_await(ouro_spawn(forgetful, &tx)), 0);
    check_eq(rows(pg), 0);
    check_eq(run(tx, "SELECT 1"), -EBADF);
    ouro_pg_free(tx);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, of_the_kind_that_is_asked_for)
{
    ouro_pg *pg = connected();
    int64_t rc;
    ouro_pg_transaction_options opts = {.isolation = OURO_PG_SERIALIZABLE, .read_only = 1};
    ouro_pg *tx = ouro_await_ptr(ouro_pg_begin(pg, &opts), &rc);
    check_eq(number(tx, "SELECT (current_setting('transaction_isolation') = 'serializable' AND "
                        "current_setting('transaction_read_only') = 'on')::int"),
             1);
    check_eq(ouro_await(ouro_pg_begin(tx, &opts)), -EINVAL);
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    opts = (ouro_pg_transaction_options){.deferrable = 1};
    tx = ouro_await_ptr(ouro_pg_begin(pg, &opts), &rc);
    check_eq(number(tx, "SELECT (current_setting('transaction_deferrable') = 'on')::int"), 1);
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    opts = (ouro_pg_transaction_options){.isolation = (ouro_pg_isolation)9};
    check_eq(ouro_await(ouro_pg_begin(pg, &opts)), -EINVAL);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, bad_handles)
{
    ouro_pg *pg = connected();
    check_eq(ouro_await(ouro_pg_commit(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_rollback(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_commit(pg)), -EINVAL);
    check_eq(ouro_await(ouro_pg_rollback(pg)), -EINVAL);
    check_eq(ouro_await(ouro_pg_begin(NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_transact(pg, NULL, NULL, NULL)), -EINVAL);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, a_commit_that_is_cancelled_in_line_is_a_rollback)
{
    ouro_pg *pg = with_table();
    ouro_pg *tx = begun(pg);
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    ouro_future *slow = ouro_pg_query(tx, "SELECT pg_sleep(0.05)", NULL, 0, NULL);
    ouro_future *commit = ouro_pg_commit(tx);
    check_eq(ouro_cancel(commit), 1);
    check_eq(ouro_await(commit), -OURO_ECHILDCANCELLED);
    ouro_await(slow);
    check_eq(rows(pg), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_transaction, freed_with_a_commit_in_line)
{
    for (int deep = 0; deep < 2; deep++) {
        ouro_pg *pg = with_table();
        ouro_pg *outer = deep ? begun(pg) : NULL, *tx = begun(deep ? outer : pg);
        ouro_future *slow = ouro_pg_query(tx, "SELECT pg_sleep(10)", NULL, 0, NULL);
        ouro_future *commit = ouro_pg_commit(tx);
        if (deep)
            ouro_pg_free(outer);
        else
            ouro_pg_free(pg);
        check_eq(ouro_await(slow), -EBADF);
        check_eq(ouro_await(commit), -EBADF);
        if (deep) {
            check_eq(rows(pg), 0);
            ouro_pg_free(pg);
        }
    }
    return 0;
}

static int64_t insert_all(ouro_pg *tx, void *arg)
{
    int *fails = arg;
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    return *fails ? -EIO : 5;
}

KernelTest(pg_transaction, transact_commits_what_succeeds)
{
    ouro_pg *pg = with_table();
    int fails = 1;
    check_eq(ouro_await(ouro_pg_transact(pg, insert_all, &fails, NULL)), -EIO);
    check_eq(rows(pg), 0);
    fails = 0;
    check_eq(ouro_await(ouro_pg_transact(pg, insert_all, &fails, NULL)), 5);
    check_eq(rows(pg), 1);
    ouro_pg_free(pg);
    return 0;
}

enum { COUNTERS = 4 };

/* None writes before all have read, so that they are in each other's way. */
struct counter {
    ouro_pg *pg;
    int *reads; /* by all of them */
};

static int64_t count_up(ouro_pg *tx, void *arg)
{
    struct counter *c = arg;
    int64_t n = number(tx, "SELECT n FROM counters");
    if (n < 0)
        return n;
    for (++*c->reads; *c->reads < COUNTERS;)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    ouro_pg_value v = ouro_pg_int(n + 1);
    int64_t rc = ouro_await(ouro_pg_query(tx, "UPDATE counters SET n = $1", &v, 1, NULL));
    return rc < 0 ? rc : 0;
}

KernelTest(pg_transaction, transact_tries_again_when_others_were_in_the_way)
{
    struct counter c[COUNTERS];
    ouro_future *f[COUNTERS];
    int reads = 0;
    ouro_pg_transaction_options opts = {.isolation = OURO_PG_SERIALIZABLE, .attempts = 50};
    pg_admin("DROP TABLE IF EXISTS counters; CREATE TABLE counters AS SELECT 0 AS n");
    for (int i = 0; i < COUNTERS; i++) {
        c[i] = (struct counter){connected(), &reads};
        f[i] = ouro_pg_transact(c[i].pg, count_up, &c[i], &opts);
    }
    check_eq(ouro_await(ouro_gather(f, COUNTERS, OURO_GATHER_ALL, NULL)), 0);
    check_eq(pg_admin("SELECT n FROM counters"), COUNTERS);
    check(reads > COUNTERS);
    for (int i = 0; i < COUNTERS; i++)
        ouro_pg_free(c[i].pg);
    pg_admin("DROP TABLE counters");
    return 0;
}

static int64_t never_ends(ouro_pg *tx, void *arg)
{
    (void)arg;
    check_eq(run(tx, "INSERT INTO t VALUES (1)"), 1);
    return run(tx, "SELECT pg_sleep(30)");
}

KernelTest(pg_transaction, transact_that_is_cancelled_is_undone)
{
    ouro_pg *pg = with_table();
    check_eq(ouro_await(ouro_timeout(ouro_pg_transact(pg, never_ends, NULL, NULL), OURO_MS(40))),
             -ETIMEDOUT);
    check_eq(rows(pg), 0);
    ouro_pg_free(pg);
    return 0;
}
