/* SPDX-License-Identifier: MIT */
/*
 * Servers that go away: what waits is told why, and nothing hangs.
 */
#include <stdlib.h>

#include "pg_test.h"

static void kill_backend(ouro_pg *pg)
{
    char sql[80];
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld)::int",
             (long long)ouro_pg_backend(pg));
    check_eq(pg_admin(sql), 1);
}

KernelTest(pg_lost, killed_while_idle)
{
    ouro_pg *pg = connected();
    check_eq(number(pg, "SELECT 7"), 7);
    kill_backend(pg);
    for (int i = 0; i < 200 && ouro_pg_state_get(pg) == OURO_PG_READY; i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST); /* noticed by itself */
    check_eq(run(pg, "SELECT 1"), -OURO_ESQL_ADMIN_SHUTDOWN);
    ouro_pg_free(pg);
    return 0;
}

static int64_t sleeper(void *pg)
{
    return run(pg, "SELECT pg_sleep(30)");
}

KernelTest(pg_lost, killed_while_busy)
{
    ouro_pg *pg = connected();
    ouro_future *first = ouro_spawn(sleeper, pg), *second = ouro_spawn(sleeper, pg);
    check_eq(ouro_await(ouro_sleep(OURO_MS(30))), 0);
    kill_backend(pg);
    check_eq(ouro_await(first), -OURO_ESQL_ADMIN_SHUTDOWN);
    check_eq(ouro_await(second), -OURO_ESQL_ADMIN_SHUTDOWN);
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_lost, killed_in_a_transaction)
{
    ouro_pg *pg = connected();
    ouro_pg *tx = begun(pg);
    kill_backend(pg);
    int64_t rc = run(tx, "SELECT pg_sleep(1)");
    check_eq(rc, -OURO_ESQL_ADMIN_SHUTDOWN);
    check_eq(ouro_await(ouro_pg_commit(tx)), -OURO_ESQL_ADMIN_SHUTDOWN);
    ouro_pg_free(pg);
    pg = connected();
    tx = begun(pg);
    kill_backend(pg);
    check_eq(run(tx, "SELECT pg_sleep(1)"), -OURO_ESQL_ADMIN_SHUTDOWN);
    check_eq(ouro_await(ouro_pg_close(tx)), -OURO_ESQL_ADMIN_SHUTDOWN); /* nothing rolls it back */
    check_eq(ouro_await(ouro_pg_close(tx)), 0);                         /* it is closed */
    ouro_pg_free(tx);
    check_eq(run(pg, "SELECT 1"), -OURO_ESQL_ADMIN_SHUTDOWN);
    tx = ouro_await_ptr(ouro_pg_begin(pg, NULL), &rc);
    check_eq(rc, -OURO_ESQL_ADMIN_SHUTDOWN);
    check(tx == NULL);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_lost, crashed)
{
    struct pg_private *server = pg_private_start();
    int64_t rc;
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(pg_private_conninfo(server), NULL), &rc);
    check_eq(rc, 0);
    ouro_future *f = ouro_spawn(sleeper, pg);
    check_eq(ouro_await(ouro_sleep(OURO_MS(30))), 0);
    pg_private_halt(server);
    rc = ouro_await(f);
    check(rc == -ECONNRESET || rc <= -OURO_ESQL('5', '7', 'P', '0', '1'));
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
    check(run(pg, "SELECT 1") < 0);
    ouro_pg_free(pg);
    pg_private_stop(server);
    return 0;
}

KernelTest(pg_lost, free_with_everything_open)
{
    for (int i = 0; i < 10; i++) {
        ouro_pg *pg = connected();
        ouro_pg *tx = begun(pg), *inner = begun(tx);
        ouro_future *f = ouro_pg_query(inner, "SELECT pg_sleep(30)", NULL, 0, NULL);
        ouro_future *waits = ouro_pg_query(inner, "SELECT 1", NULL, 0, NULL);
        check_eq(ouro_await(ouro_sleep(OURO_US((unsigned)i * 300))), 0);
        ouro_pg_free(pg);
        check_eq(ouro_await(f), -EBADF);
        check_eq(ouro_await(waits), -EBADF);
        check_eq(run(tx, "SELECT 1"), -EBADF);
        ouro_pg_free(inner);
        ouro_pg_free(tx);
    }
    return 0;
}
