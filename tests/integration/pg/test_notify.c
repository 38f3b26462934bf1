/* SPDX-License-Identifier: MIT */
/*
 * LISTEN and NOTIFY.
 */
#include "pg_test.h"

static void expect(ouro_pg *pg, const char *channel, const char *payload)
{
    int64_t rc;
    ouro_pg_notification *n = ouro_await_ptr(ouro_pg_notified(pg), &rc);
    check_eq(rc, 0);
    check_text(n->channel, channel);
    check_text(n->payload, payload);
    ouro_pg_notification_free(n);
}

KernelTest(pg_notify, comes_to_who_listens)
{
    ouro_pg *pg = connected(), *other = connected();
    check_eq(ouro_await(ouro_pg_listen(pg, "Jobs \"today\"")), 0);
    check_eq(ouro_await(ouro_pg_notify(other, "Jobs \"today\"", "one")), 0);
    check_eq(ouro_await(ouro_pg_notify(other, "Jobs \"today\"", NULL)), 0);
    expect(pg, "Jobs \"today\"", "one");
    expect(pg, "Jobs \"today\"", "");
    check_eq(ouro_await(ouro_pg_unlisten(pg, "Jobs \"today\"")), 0);
    check_eq(ouro_await(ouro_pg_notify(other, "Jobs \"today\"", "two")), 0);
    check_eq(ouro_await(ouro_timeout(ouro_pg_notified(pg), OURO_MS(30))), -ETIMEDOUT);
    ouro_pg_free(pg);
    ouro_pg_free(other);
    return 0;
}

KernelTest(pg_notify, comes_while_statements_run)
{
    ouro_pg *pg = connected();
    check_eq(ouro_await(ouro_pg_listen(pg, "meanwhile_c")), 0);
    ouro_future *busy = ouro_pg_query(pg, "SELECT pg_sleep(0.05)", NULL, 0, NULL);
    pg_admin("NOTIFY meanwhile_c, 'meanwhile'");
    check_eq(ouro_await(busy), 1);
    expect(pg, "meanwhile_c", "meanwhile");
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_notify, waits_for_the_commit)
{
    ouro_pg *pg = connected();
    check_eq(ouro_await(ouro_pg_listen(pg, "commit_c")), 0);
    ouro_pg *tx = begun(pg);
    check_eq(ouro_await(ouro_pg_notify(tx, "commit_c", "x")), 0);
    check_eq(ouro_await(ouro_timeout(ouro_pg_notified(pg), OURO_MS(30))), -ETIMEDOUT);
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    expect(pg, "commit_c", "x");
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_notify, none_is_lost_when_nobody_takes_it)
{
    ouro_pg *pg = connected();
    check_eq(ouro_await(ouro_pg_listen(pg, "taken_c")), 0);
    for (int i = 0; i < 50; i++) {
        ouro_future *f = ouro_pg_notified(pg);
        check_eq(ouro_await(ouro_pg_notify(pg, "taken_c", "x")), 0);
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
        ouro_detach(f);
        ouro_yield();
        expect(pg, "taken_c", "x");
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_notify, a_thousand_in_order)
{
    ouro_pg *pg = connected();
    char text[16];
    check_eq(ouro_await(ouro_pg_listen(pg, "thousand_c")), 0);
    pg_admin("DO $$ BEGIN FOR i IN 0..999 LOOP PERFORM pg_notify('thousand_c', i::text); END LOOP; "
             "END $$");
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "%d", i);
        expect(pg, "thousand_c", text);
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_notify, the_end_of_the_connection)
{
    ouro_pg *pg = connected();
    check_eq(ouro_await(ouro_pg_listen(pg, "end_c")), 0);
    pg_admin("NOTIFY end_c, 'last'");
    char sql[80];
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld)", (long long)ouro_pg_backend(pg));
    check_eq(ouro_await(ouro_sleep(OURO_MS(30))), 0);
    pg_admin(sql);
    for (int i = 0; i < 200 && ouro_pg_state_get(pg) != OURO_PG_LOST; i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    expect(pg, "end_c", "last");
    check_eq(ouro_await(ouro_pg_notified(pg)), -OURO_ESQL_ADMIN_SHUTDOWN);
    ouro_pg_free(pg);

    pg = connected();
    ouro_future *waits = ouro_pg_notified(pg);
    check_eq(ouro_await(ouro_pg_close(pg)), 0);
    check_eq(ouro_await(waits), -EPIPE);
    check_eq(ouro_await(ouro_pg_notified(pg)), -EBADF);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_notify, bad_names)
{
    ouro_pg *pg = connected();
    char name[80];
    memset(name, 'n', sizeof name);
    name[64] = '\0';
    check_eq(ouro_await(ouro_pg_listen(pg, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_listen(pg, "")), -EINVAL);
    check_eq(ouro_await(ouro_pg_listen(pg, name)), -ENAMETOOLONG);
    check_eq(ouro_await(ouro_pg_notify(pg, name, NULL)), -ENAMETOOLONG);
    check_eq(ouro_await(ouro_pg_notify(pg, NULL, NULL)), -EINVAL);
    name[63] = '\0';
    check_eq(ouro_await(ouro_pg_listen(pg, name)), 0);
    check_eq(ouro_await(ouro_pg_unlisten(pg, NULL)), 0);
    check_eq(ouro_await(ouro_pg_notified(NULL)), -EINVAL);
    ouro_pg_free(pg);
    return 0;
}
