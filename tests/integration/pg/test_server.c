/* SPDX-License-Identifier: MIT */
/*
 * The servers that the tests of ouro_pg have, tried with libpq alone: if these fail, the rest of
 * the failures says nothing.
 */
#include <criterion/criterion.h>
#include <libpq-fe.h>
#include <string.h>

#include "pg.h"

Test(server, is_there)
{
    cr_assert_eq(pg_admin("SELECT 42"), 42);
}

Test(server, answers_with_zero_what_has_no_value)
{
    cr_assert_eq(pg_admin("SET timezone = 'UTC'"), 0);
}

Test(server, speaks_tls_and_wants_a_password_then)
{
    const char *conninfo = pg_conninfo_tls();
    cr_assert_eq(pg_admin_at(conninfo, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"),
                 1);
    cr_assert_eq(pg_admin_at(conninfo, "SELECT current_user = 'app'"), 1);

    char wrong[600];
    snprintf(wrong, sizeof wrong, "%s password=wrong", conninfo);
    cr_assert_eq(PQping(wrong), PQPING_OK);
    PGconn *connection = PQconnectdb(wrong);
    cr_assert_eq(PQstatus(connection), CONNECTION_BAD);
    cr_assert(strstr(PQerrorMessage(connection), "password authentication failed"));
    PQfinish(connection);
}

Test(server, of_a_tests_own_is_another)
{
    struct pg_private *server = pg_private_start();
    const char *conninfo = pg_private_conninfo(server);
    cr_assert(strcmp(conninfo, pg_conninfo()) != 0);
    pg_admin_at(conninfo, "CREATE TABLE here ()");
    cr_assert_eq(pg_admin("SELECT count(*) FROM pg_class WHERE relname = 'here'"), 0);
    pg_private_stop(server);
}

Test(server, of_a_tests_own_ends_and_begins_again)
{
    struct pg_private *server = pg_private_start();
    const char *conninfo = pg_private_conninfo(server);
    pg_admin_at(conninfo, "CREATE TABLE here ()");
    pg_admin_at(conninfo, "CHECKPOINT");
    pg_private_halt(server);
    cr_assert_eq(PQping(conninfo), PQPING_NO_RESPONSE);
    pg_private_restart(server);
    cr_assert_eq(pg_admin_at(conninfo, "SELECT count(*) FROM here"), 0);
    pg_private_restart(server);
    cr_assert_eq(pg_admin_at(conninfo, "SELECT count(*) FROM here"), 0);
    pg_private_stop(server);
    cr_assert_eq(pg_admin("SELECT 42"), 42);
}
