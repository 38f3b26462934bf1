/* SPDX-License-Identifier: MIT */
/*
 * Prepared statements that are kept: when they are made, used, forgotten and made anew.
 */
#include "pg_test.h"

static ouro_pg_stats stats_of(ouro_pg *pg)
{
    ouro_pg_stats s;
    check_eq(ouro_pg_stats_get(pg, &s), 0);
    return s;
}

KernelTest(pg_statements, are_prepared_the_second_time)
{
    ouro_pg *pg = connected();
    for (int i = 0; i < 5; i++)
        check_eq(number(pg, "SELECT 42"), 42);
    ouro_pg_stats s = stats_of(pg);
    check_eq(s.preparings, 1);
    check_eq(s.prepared, 4);
    check_eq(s.known, 1);
    check_eq(number(pg, "SELECT count(*) FROM pg_prepared_statements"), 1);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_statements, are_not_prepared_if_that_is_not_wanted)
{
    ouro_pg *pg = connect_with(&(ouro_pg_options){.statements = -1});
    ouro_pg *other = connected();
    ouro_pg_query_options opts = {.no_prepare = 1};
    for (int i = 0; i < 3; i++) {
        check_eq(number(pg, "SELECT 42"), 42);
        check_eq(ouro_await(ouro_pg_query(other, "SELECT 42", NULL, 0, &opts)), 1);
    }
    check_eq(stats_of(pg).preparings, 0);
    check_eq(stats_of(other).preparings, 0);
    ouro_pg_free(pg);
    ouro_pg_free(other);
    return 0;
}

KernelTest(pg_statements, the_least_used_goes)
{
    ouro_pg *pg = connect_with(&(ouro_pg_options){.statements = 3});
    char sql[40];
    for (int i = 0; i < 10; i++) {
        snprintf(sql, sizeof sql, "SELECT %d", i);
        check_eq(number(pg, sql), i);
        check_eq(number(pg, sql), i);
        check_eq(number(pg, sql), i);
    }
    check_eq(stats_of(pg).preparings, 10);
    check_eq(stats_of(pg).known, 3);
    ouro_pg_query_options opts = {.no_prepare = 1};
    int64_t rc, kept = 0;
    ouro_pg_result *r = ouro_await_ptr(
        ouro_pg_query(pg, "SELECT count(*) FROM pg_prepared_statements", NULL, 0, &opts), &rc);
    check_eq(ouro_pg_int_at(r, 0, 0, &kept), 0);
    check_eq(kept, 3);
    ouro_pg_result_free(r);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_statements, a_plan_that_has_become_wrong_is_made_anew)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE t AS SELECT 1 AS a"), 1);
    for (int i = 0; i < 3; i++)
        check_eq(run(pg, "SELECT * FROM t"), 1);
    check_eq(run(pg, "ALTER TABLE t ADD COLUMN b int"), 0);
    for (int i = 0; i < 3; i++)
        check_eq(run(pg, "SELECT * FROM t"), 1);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_statements, that_somebody_deallocated_are_made_anew)
{
    ouro_pg *pg = connected();
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, "SELECT 42"), 42);
    check_eq(run(pg, "DEALLOCATE ALL"), 0);
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, "SELECT 42"), 42);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_statements, that_cannot_be_prepared_fail_each_time)
{
    ouro_pg *pg = connected();
    for (int i = 0; i < 4; i++)
        check_eq(run(pg, "SELECT nonsense"), -OURO_ESQL('4', '2', '7', '0', '3'));
    check_eq(stats_of(pg).known, 0);
    check_eq(number(pg, "SELECT 42"), 42);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_statements, too_long_to_be_kept)
{
    static char sql[20 * 1024];
    ouro_pg *pg = connected();
    memset(sql, ' ', sizeof sql - 1);
    memcpy(sql, "SELECT 42", 9);
    for (int i = 0; i < 3; i++)
        check_eq(number(pg, sql), 42);
    check_eq(stats_of(pg).preparings, 0);
    ouro_pg_free(pg);
    return 0;
}
