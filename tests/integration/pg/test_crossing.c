/* SPDX-License-Identifier: MIT */
/*
 * Things that cross each other on their ways between us and the server.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "pg_test.h"

/* The request to cancel is there before the whole statement is, and a server that is not busy
 * takes no notice of it. */
KernelTest(pg_crossing, a_cancel_that_overtakes_its_statement_is_not_lost)
{
    enum { SIZE = 48 << 20 };
    char *text = malloc(SIZE);
    check(text != NULL);
    memset(text, 'x', SIZE - 1);
    text[SIZE - 1] = '\0';
    ouro_pg *pg = connected();
    ouro_pg_value v = ouro_pg_text(text);
    ouro_future *f = ouro_pg_query(pg, "SELECT pg_sleep(30), length($1)", &v, 1, NULL);
    free(text);
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(1))), -ETIMEDOUT);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

/* A notification that lies in the socket behind a statement's answer comes with it. */
KernelTest(pg_crossing, a_notification_behind_an_answer_does_not_wait_for_the_next)
{
    ouro_pg *pg = connected();
    check_eq(ouro_await(ouro_pg_listen(pg, "behind_c")), 0);
    ouro_future *f = ouro_pg_query(pg, "SELECT 42", NULL, 0, NULL);
    usleep(30000); /* the answer is there */
    pg_admin("NOTIFY behind_c, 'x'");
    usleep(30000);
    check_eq(ouro_await(f), 1);
    check_eq(ouro_await(ouro_timeout(ouro_pg_notified(pg), OURO_MS(300))), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_crossing, what_is_lost_reports_nothing_any_more)
{
    ouro_pg *pg = connected();
    char sql[80];
    check(ouro_pg_parameter(pg, "TimeZone") != NULL);
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld)::int",
             (long long)ouro_pg_backend(pg));
    check_eq(pg_admin(sql), 1);
    check(run(pg, "SELECT 1") < 0);
    check(ouro_pg_parameter(pg, "TimeZone") == NULL);
    ouro_pg_free(pg);
    return 0;
}
