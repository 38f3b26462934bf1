/* SPDX-License-Identifier: MIT */
/*
 * No memory, at every single place where work with PostgreSQL asks for it, on whichever thread.
 *
 * Each scenario runs again and again, each time with one allocation more granted before one is
 * refused, until a run needs no more. What a call comes to is what it comes to with memory, or
 * -ENOMEM; nothing hangs, every byte and every descriptor is given back. libpq has memory of its
 * own, which is not refused.
 */
#define _GNU_SOURCE
#include "../integration/pg/pg_test.h"

#include <stdlib.h>
#include <unistd.h>

#include "ration.h"

TestSuite(pg_no_memory, .timeout = 280);

/* A connection for one scenario, or NULL. */
static ouro_pg *try_connect(const char *more, const ouro_pg_options *opts)
{
    char conninfo[600];
    int64_t rc;
    snprintf(conninfo, sizeof conninfo, "%s %s", pg_conninfo(), more);
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, opts), &rc);
    check(pg ? rc == 0 : rc == -ENOMEM);
    return pg;
}

/* What @f comes to: as wanted, or no memory, which may have cost the connection. */
static bool came_to(ouro_future *f, int64_t wanted)
{
    int64_t n = ouro_await(f);
    if (n != wanted && n != -ENOMEM)
        check_eq(n, wanted);
    return n == wanted;
}

static ouro_pg *try_begin(ouro_pg *pg)
{
    int64_t rc;
    ouro_pg *tx = ouro_await_ptr(ouro_pg_begin(pg, NULL), &rc);
    check(tx ? rc == 0 : rc == -ENOMEM);
    return tx;
}

static void ignore_notice(const ouro_pg_error *notice, void *arg)
{
    (void)notice;
    (void)arg;
}

static int64_t connecting(void *unused)
{
    (void)unused;
    ouro_pg_options opts = {.statement_limit = OURO_SEC(60), .on_notice = ignore_notice};
    ouro_pg *pg = try_connect("host=localhost", &opts);
    if (!pg)
        return 0;
    came_to(ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL), 1);
    int64_t rc = ouro_await(ouro_pg_close(pg));
    check(rc == 0 || rc == -ENOMEM);
    ouro_pg_free(pg);
    return 0;
}

static int64_t statements(void *unused)
{
    (void)unused;
    ouro_pg_options opts = {.statements = 1, .on_notice = ignore_notice};
    ouro_pg *pg = try_connect("", &opts);
    if (!pg)
        return 0;
    ouro_pg_value named[] = {ouro_pg_text("x")};
    for (int i = 0; i < 3; i++)
        came_to(ouro_pg_query(pg, "SELECT $1::text", named, 1, NULL), 1);
    for (int i = 0; i < 3; i++)
        came_to(ouro_pg_query(pg, "SELECT 2", NULL, 0, NULL), 1);
    came_to(ouro_pg_script(pg, "DO $$ BEGIN RAISE NOTICE 'x'; END $$; SELECT 1", NULL), 1);
    came_to(ouro_pg_script(pg, "SELECT nonsense", NULL), -OURO_ESQL('4', '2', '7', '0', '3'));
    ouro_pg_free(pg);
    return 0;
}

static int64_t transactions(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    ouro_pg *tx = try_begin(pg);
    if (tx) {
        ouro_pg *inner = try_begin(tx);
        if (inner) {
            came_to(ouro_pg_query(inner, "SELECT 1", NULL, 0, NULL), 1);
            came_to(ouro_pg_rollback(inner), 0);
        }
        inner = try_begin(tx);
        ouro_pg_free(inner);
        came_to(ouro_pg_commit(tx), 0);
    }
    tx = try_begin(pg);
    if (tx) {
        ouro_future *f = ouro_pg_query(tx, "SELECT pg_sleep(20)", NULL, 0, NULL);
        ouro_future *waits = ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL);
        ouro_future *ends = ouro_pg_rollback(tx);
        came_to(f, -EBADF);
        int64_t rc = ouro_await(waits);
        check(rc == 1 || rc == -ENOMEM || rc == -EDEADLK);
        came_to(ends, 0);
    }
    ouro_pg_free(pg);
    return 0;
}

/* Rolled back while a commit of the outer one stands in line, and a statement runs. */
static int64_t commit_in_line(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    ouro_pg *tx = try_begin(pg), *inner = tx ? try_begin(tx) : NULL;
    ouro_future *slow = NULL;
    if (inner)
        slow = ouro_pg_query(inner, "SELECT pg_sleep(20)", NULL, 0, NULL);
    if (slow) {
        int64_t rc = ouro_await(ouro_sleep(OURO_MS(1)));
        check(rc == 0 || rc == -ENOMEM);
        ouro_pg_free(inner);
        came_to(slow, -EBADF);
    }
    if (tx)
        came_to(ouro_pg_commit(tx), 0);
    ouro_pg_free(pg);
    return 0;
}

static int64_t commits(void *arg)
{
    ouro_pg **tx = arg, *mine = *tx;
    *tx = NULL;
    return ouro_await(ouro_pg_commit(mine));
}

static int64_t commit_by_another(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    ouro_pg *tx = try_begin(pg), *inner = tx ? try_begin(tx) : NULL;
    if (inner) {
        ouro_future *slow = ouro_pg_query(inner, "SELECT pg_sleep(20)", NULL, 0, NULL);
        ouro_future *other = ouro_spawn(commits, &tx);
        ouro_yield();
        ouro_yield();
        ouro_pg_free(inner);
        came_to(slow, -EBADF);
        came_to(other, 0);
    }
    ouro_pg_free(tx);
    ouro_pg_free(pg);
    return 0;
}

static int64_t cancelling(void *unused)
{
    (void)unused;
    ouro_pg_options opts = {.cancel_grace = OURO_MS(300)};
    ouro_pg *pg = try_connect("", &opts);
    if (!pg)
        return 0;
    ouro_future *f = ouro_pg_query(pg, "SELECT pg_sleep(20)", NULL, 0, NULL);
    int64_t rc = ouro_await(ouro_timeout(f, OURO_MS(3)));
    check(rc == -ETIMEDOUT || rc == -ENOMEM || rc == -OURO_ECHILDCANCELLED);
    rc = run(pg, "SELECT 1");
    check(rc == 1 || rc == -ENOMEM || rc == -ETIMEDOUT);
    ouro_pg_free(pg);
    return 0;
}

static int64_t notifications(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    if (came_to(ouro_pg_listen(pg, "memory_c"), 0) &&
        came_to(ouro_pg_notify(pg, "memory_c", "x"), 0)) {
        int64_t rc;
        ouro_pg_notification *n = ouro_await_ptr(ouro_timeout(ouro_pg_notified(pg), OURO_SEC(5)),
                                                 &rc);
        check(n ? rc == 0 : rc == -ENOMEM || rc == -EPIPE);
        ouro_pg_notification_free(n);
    }
    came_to(ouro_pg_unlisten(pg, NULL), 0);
    ouro_pg_free(pg);
    return 0;
}

/* A command of its own must not be what the refusal is for. */
static bool is_good(ouro_pg *pg)
{
    int64_t rc = run(pg, "SELECT 1");
    return rc == 1 || rc == -ENOMEM || ouro_pg_state_get(pg) == OURO_PG_LOST;
}

/* Two pieces, and a third that is not taken; rows that are lost are never left out silently. */
static int64_t streaming(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    int64_t rc, rows = 0, first;
    ouro_pg_value v = ouro_pg_named("n", ouro_pg_int(600));
    ouro_pg_stream *s = ouro_await_ptr(
        ouro_pg_stream_open(pg, "SELECT i FROM generate_series(1, :n::int) i", &v, 1, NULL), &rc);
    check(s ? rc == 0 : rc == -ENOMEM);
    for (int pieces = 0; s && pieces < 2; pieces++) {
        ouro_pg_result *r = ouro_await_ptr(ouro_pg_stream_next(s), &rc);
        check(r ? rc > 0 : rc == -ENOMEM);
        if (!r)
            continue;
        check_eq(ouro_pg_int_at(r, 0, 0, &first), 0);
        check_eq(first, rows + 1);
        rows += rc;
        ouro_pg_result_free(r);
    }
    ouro_pg_stream_free(s);
    check(is_good(pg));
    ouro_pg_free(pg);
    return 0;
}

static int64_t streaming_an_error(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    int64_t rc = 0;
    ouro_pg_stream *s = ouro_await_ptr(
        ouro_pg_stream_open(pg, "SELECT 1 / (3 - i) FROM generate_series(1, 3) i", NULL, 0, NULL),
        &rc);
    check(s || rc == -ENOMEM || rc == -OURO_ESQL('2', '2', '0', '1', '2'));
    for (int i = 0; s && i < 4; i++) {
        ouro_pg_result_free(ouro_await_ptr(ouro_pg_stream_next(s), &rc));
        check(rc > 0 || rc == -ENOMEM || rc == -OURO_ESQL('2', '2', '0', '1', '2'));
    }
    ouro_pg_stream_free(s);
    check(is_good(pg));
    ouro_pg_free(pg);
    return 0;
}

static ouro_pg_copy *try_copy(ouro_pg *pg, const char *sql)
{
    int64_t rc;
    ouro_pg_copy *c = ouro_await_ptr(ouro_pg_copy_open(pg, sql, NULL), &rc);
    check(c ? rc == 0 : rc == -ENOMEM);
    return c;
}

/* What ends well is in the table as a whole; what does not is not there at all. */
static int64_t copying_in(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    bool table = came_to(ouro_pg_script(pg, "CREATE TEMP TABLE t (i int)", NULL), 0), all = false;
    ouro_pg_copy *c = table ? try_copy(pg, "COPY t FROM STDIN") : NULL;
    if (c)
        all = came_to(ouro_pg_copy_write(c, "1\n2\n", 4), 4) &&
              came_to(ouro_pg_copy_write(c, "3\n", 2), 2) && came_to(ouro_pg_copy_end(c), 3);
    ouro_pg_copy_free(c);
    int64_t rows = number(pg, "SELECT count(*) FROM t");
    if (table && rows >= 0)
        check_eq(rows, all ? 3 : 0);
    c = table ? try_copy(pg, "COPY t FROM STDIN") : NULL; /* and broken off */
    if (c)
        came_to(ouro_pg_copy_write(c, "4\n", 2), 2);
    ouro_pg_copy_free(c);
    check(is_good(pg));
    ouro_pg_free(pg);
    return 0;
}

static int64_t copying_out(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    for (int whole = 1; whole >= 0; whole--) {
        const void *row;
        int64_t n = 1;
        ouro_pg_copy *c = try_copy(pg, "COPY (SELECT i FROM generate_series(1, 4) i) TO STDOUT");
        for (int i = 0; c && i < (whole ? 5 : 1); i++) {
            n = ouro_await(ouro_pg_copy_next(c, &row));
            check(n == (i < 4 ? 2 : 0) || n == -ENOMEM || refused);
        }
        if (c && !refused)
            check_eq(ouro_pg_copy_rows(c), whole ? 4 : 0);
        ouro_pg_copy_free(c);
    }
    check(is_good(pg));
    ouro_pg_free(pg);
    return 0;
}

/* The second time all is prepared; the third fails in the middle, all and each for itself. */
static int64_t batching(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (!pg)
        return 0;
    ouro_pg_value v = ouro_pg_int(1), named = ouro_pg_named("a", ouro_pg_int(2));
    ouro_pg_statement st[] = {
        {"SELECT $1::int", &v, 1}, {"SELECT :a::int", &named, 1}, {"SELECT 3", NULL, 0}};
    ouro_pg_batch_options each = {.independent = 1};
    for (int i = 0; i < 4; i++) {
        ouro_result results[3] = {{0, NULL}, {0, NULL}, {0, NULL}};
        if (i >= 2)
            st[1] = (ouro_pg_statement){"SELECT 1/0", NULL, 0};
        came_to(ouro_pg_batch(pg, st, 3, results, i == 3 ? &each : NULL),
                i == 2 ? -OURO_ESQL('2', '2', '0', '1', '2') : 0);
        for (int k = 0; k < 3; k++)
            ouro_pg_result_free(results[k].ptr);
    }
    check(is_good(pg));
    ouro_pg_free(pg);
    return 0;
}

static int64_t succeeds(ouro_pg *tx, void *arg)
{
    (void)arg;
    return run(tx, "SELECT 1");
}

static int64_t transact(void *unused)
{
    (void)unused;
    ouro_pg *pg = try_connect("", NULL);
    if (pg)
        came_to(ouro_pg_transact(pg, succeeds, NULL, NULL), 1);
    ouro_pg_free(pg);
    return 0;
}

static void run_all(ouro_task_fn *scenario)
{
    check_eq(ouro_set_allocator(&rationed), 0);
    fail_at = 0;
    for (unsigned at = 1; at < 10000; at++) {
        asked = refused = 0;
        begin_kernel();
        atomic_store(&asked, 0);
        fail_at = at;
        ouro_future *f = ouro_spawn(scenario, NULL);
        int64_t n = ouro_loop_run_until(ouro_loop_current(), f);
        fail_at = 0;
        usleep(20000); /* a thread that asks for a cancel, abandoned, has a socket still */
        check(n == 0 || n == -ENOMEM);
        end();
        ouro_resolve_flush();
        check_eq(blocks, 0);
        if (!refused)
            break;
    }
    check_eq(refused, 0);
}

#define Scenario(name)       \
    Test(pg_no_memory, name) \
    {                        \
        run_all(name);       \
    }

Scenario(connecting) Scenario(statements) Scenario(transactions) Scenario(commit_in_line)
    Scenario(commit_by_another) Scenario(cancelling) Scenario(notifications) Scenario(transact)
        Scenario(streaming) Scenario(streaming_an_error) Scenario(copying_in) Scenario(copying_out)
            Scenario(batching)
