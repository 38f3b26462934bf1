/* SPDX-License-Identifier: MIT */
/*
 * Prepared statements that no longer are what they were, in transactions too: the transaction in
 * which that shows may fail, no later one, and none for the sake of the keeping itself.
 */
#include "pg_test.h"

static const int64_t no_such_statement = -OURO_ESQL('2', '6', '0', '0', '0');
static const int64_t plan_has_changed = -OURO_ESQL('0', 'A', '0', '0', '0');

/* What a statement comes to in a transaction of its own. */
static int64_t in_transaction(ouro_pg *pg, const char *sql)
{
    ouro_pg *tx = begun(pg);
    int64_t rc = run(tx, sql);
    ouro_pg_free(tx);
    return rc;
}

KernelTest(pg_stale, a_changed_plan_fails_one_transaction_alone)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE t AS SELECT 1 AS a"), 1);
    for (int i = 0; i < 3; i++)
        check_eq(in_transaction(pg, "SELECT * FROM t"), 1);
    check_eq(run(pg, "ALTER TABLE t ADD COLUMN b int"), 0);
    check_eq(in_transaction(pg, "SELECT * FROM t"), plan_has_changed);
    for (int i = 0; i < 3; i++)
        check_eq(in_transaction(pg, "SELECT * FROM t"), 1);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stale, a_deallocated_one_fails_one_transaction_alone)
{
    ouro_pg *pg = connected();
    for (int i = 0; i < 3; i++)
        check_eq(in_transaction(pg, "SELECT 42"), 1);
    check_eq(run(pg, "DEALLOCATE ALL"), 0);
    check_eq(in_transaction(pg, "SELECT 42"), no_such_statement);
    for (int i = 0; i < 3; i++)
        check_eq(in_transaction(pg, "SELECT 42"), 1);
    ouro_pg_free(pg);
    return 0;
}

/* Making room for another has to do with a transaction as little as anything can. */
KernelTest(pg_stale, making_room_breaks_no_transaction)
{
    ouro_pg *pg = connect_with(&(ouro_pg_options){.statements = 1});
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, "SELECT 42"), 42);
    check_eq(ouro_await(ouro_pg_script(pg, "DEALLOCATE ALL", NULL)), 0);
    ouro_pg *tx = begun(pg);
    check_eq(number(tx, "SELECT 43"), 43);
    check_eq(number(tx, "SELECT 43"), 43);
    check_eq(number(tx, "SELECT 43"), 43);
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, "SELECT 44"), 44);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stale, making_room_in_a_failed_transaction_leaves_nothing_behind)
{
    ouro_pg *pg = connect_with(&(ouro_pg_options){.statements = 1});
    ouro_pg_query_options once = {.no_prepare = 1};
    int64_t rc, kept = -1;
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, "SELECT 42"), 42);
    ouro_pg *tx = begun(pg);
    check(run(tx, "SELECT 1 / 0") < 0);
    check_eq(run(tx, "SELECT 43"), -OURO_ESQL_IN_FAILED_TRANSACTION);
    check_eq(ouro_await(ouro_pg_rollback(tx)), 0);
    ouro_pg_result *r = ouro_await_ptr(
        ouro_pg_query(pg, "SELECT count(*) FROM pg_prepared_statements", NULL, 0, &once), &rc);
    check_eq(ouro_pg_int_at(r, 0, 0, &kept), 0);
    ouro_pg_result_free(r);
    ouro_pg_stats s;
    check_eq(ouro_pg_stats_get(pg, &s), 0);
    check_eq(kept, s.known);
    ouro_pg_free(pg);
    return 0;
}

/* Of what went well in the end nobody is told that it failed. */
KernelTest(pg_stale, what_is_mended_is_no_error)
{
    ouro_pg *pg = connected();
    ouro_pg_error e;
    ouro_pg_stats s;
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, "SELECT 42"), 42);
    check_eq(ouro_await(ouro_pg_script(pg, "DEALLOCATE ALL", NULL)), 0);
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, "SELECT 42"), 42);
    check_eq(ouro_pg_error_get(pg, &e), 0);
    check_eq(e.code, 0);
    check_eq(ouro_pg_stats_get(pg, &s), 0);
    check_eq(s.errors, 0);
    ouro_pg_free(pg);
    return 0;
}
