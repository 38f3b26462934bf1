/* SPDX-License-Identifier: MIT */
/*
 * Batches: many statements in one round trip, all or none, or each for itself.
 */
#include <stdlib.h>

#include "transfer_test.h"

#define DIVISION_BY_ZERO OURO_ESQL('2', '2', '0', '1', '2')

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static ouro_pg_statement plain(const char *sql)
{
    return (ouro_pg_statement){.sql = sql};
}

static int64_t batch(ouro_pg *pg, const ouro_pg_statement *st, size_t n, ouro_result *results)
{
    return ouro_await(ouro_pg_batch(pg, st, n, results, NULL));
}

static int64_t independent(ouro_pg *pg, const ouro_pg_statement *st, size_t n, ouro_result *results)
{
    return ouro_await(
        ouro_pg_batch(pg, st, n, results, &(ouro_pg_batch_options){.independent = 1}));
}

/* The first value of a result, which is freed; -ENODATA: there is none. */
static int64_t value_of(ouro_result *r)
{
    int64_t value = -ENODATA;
    ouro_pg_int_at(r->ptr, 0, 0, &value);
    r->ptr = ouro_pg_result_free(r->ptr);
    return value;
}

static ouro_pg *with_table(void)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE t (i int PRIMARY KEY DEFERRABLE INITIALLY IMMEDIATE,"
                     " x text)"),
             0);
    return pg;
}

/* ---- What it brings -------------------------------------------------------------------------- */

KernelTest(pg_batch, results_come_in_the_order_of_the_statements)
{
    ouro_pg *pg = with_table();
    ouro_pg_value named[] = {ouro_pg_named("a", ouro_pg_int(40)),
                             ouro_pg_named("b", ouro_pg_int(2))};
    ouro_pg_value plus[] = {ouro_pg_int(5)};
    ouro_pg_statement st[] = {
        plain("INSERT INTO t SELECT generate_series(1, 3), 'x'"),
        {"SELECT :a::int + :b::int", named, 2},
        plain("SELECT i FROM t ORDER BY i"),
        {"SELECT 10 + $1::int", plus, 1},
        plain(""),
        plain("DELETE FROM t WHERE i > 1"),
        plain("CREATE TEMP TABLE u ()"),
    };
    ouro_result r[COUNT(st)];
    for (int each = 0; each < 2; each++) {
        check_eq(each ? independent(pg, st, COUNT(st), r) : batch(pg, st, COUNT(st), r), 0);
        check_eq(r[0].n, 3);
        check_eq(r[1].n, 1);
        check_eq(value_of(&r[1]), 42);
        check_eq(r[2].n, 3);
        check_eq(value_of(&r[2]), 1);
        check_eq(value_of(&r[3]), 15);
        check_eq(r[4].n, 0);
        check_eq(r[5].n, 2);
        check_text(ouro_pg_tag(r[5].ptr), "DELETE 2");
        check_eq(r[6].n, 0);
        for (size_t i = 0; i < COUNT(st); i++)
            ouro_pg_result_free(r[i].ptr);
        check_eq(run(pg, "DELETE FROM t"), 1);
        check_eq(run(pg, "DROP TABLE u"), 0);
    }
    check_eq(batch(pg, st, COUNT(st), NULL), 0);
    check_eq(number(pg, "SELECT count(*) FROM t"), 1);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, of_nothing_is_a_success)
{
    ouro_pg *pg = connected();
    check_eq(batch(pg, NULL, 0, NULL), 0);
    check_eq(independent(pg, NULL, 0, NULL), 0);
    check_eq(stats_of(pg).statements, 0);
    check_eq(batch(NULL, NULL, 0, NULL), -EINVAL);
    check_eq(batch(pg, NULL, 1, NULL), -EINVAL);
    check_eq(ouro_await(ouro_pg_close(pg)), 0);
    check_eq(batch(pg, NULL, 0, NULL), -EBADF);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, a_text_that_comes_again_is_prepared_once)
{
    enum { N = 100 };
    ouro_pg *pg = with_table();
    ouro_pg_value v[N];
    ouro_pg_statement st[N];
    for (int i = 0; i < N; i++) {
        v[i] = ouro_pg_int(i);
        st[i] = (ouro_pg_statement){"INSERT INTO t VALUES ($1, 'x')", &v[i], 1};
    }
    ouro_pg_stats before = stats_of(pg);
    check_eq(batch(pg, st, N, NULL), 0);
    ouro_pg_stats s = stats_of(pg);
    check_eq(s.statements - before.statements, N);
    check_eq(s.preparings - before.preparings, 1);
    check_eq(s.prepared - before.prepared, N);
    check_eq(s.known, 1);
    check_eq(number(pg, "SELECT count(*) FROM t"), N);
    for (int i = 0; i < N; i++)
        v[i] = ouro_pg_int(N + i);
    check_eq(independent(pg, st, N, NULL), 0);
    check_eq(stats_of(pg).preparings - before.preparings, 1);
    v[0] = ouro_pg_int(1000);
    check_eq(ouro_await(ouro_pg_query(pg, st[0].sql, v, 1, NULL)), 1); /* it knows it, too */
    check_eq(stats_of(pg).preparings - before.preparings, 1);
    ouro_pg_free(pg);
    ouro_pg *none = connect_with(&(ouro_pg_options){.statements = -1});
    check_eq(batch(none, (ouro_pg_statement[]){plain("SELECT 1"), plain("SELECT 1")}, 2, NULL), 0);
    check_eq(stats_of(none).preparings, 0);
    ouro_pg_free(none);
    return 0;
}

KernelTest(pg_batch, more_texts_than_are_kept)
{
    enum { N = 60 };
    ouro_pg *pg = connect_with(&(ouro_pg_options){.statements = 7});
    char sql[N][32];
    ouro_pg_statement st[2 * N];
    ouro_result r[2 * N];
    for (int i = 0; i < N; i++) {
        snprintf(sql[i], sizeof sql[i], "SELECT %d", i);
        st[2 * i] = st[2 * i + 1] = plain(sql[i]);
    }
    for (int round = 0; round < 3; round++) {
        check_eq(batch(pg, st, 2 * N, r), 0);
        for (int i = 0; i < 2 * N; i++)
            check_eq(value_of(&r[i]), i / 2);
        check(stats_of(pg).known <= 7);
        check_eq(number(pg, "SELECT 7"), 7);
    }
    check(number(pg, "SELECT count(*) FROM pg_prepared_statements") <= 7);
    ouro_pg_free(pg);
    return 0;
}

/* More than the buffers of both sides hold, in both directions at once. */
KernelTest(pg_batch, large_ones_do_not_stall)
{
    enum { N = 3000, SIZE = 20000 };
    ouro_pg *pg = connected();
    char *text = malloc(SIZE);
    memset(text, 'x', SIZE);
    ouro_pg_value v = ouro_pg_text_of(text, SIZE);
    ouro_pg_statement *st = malloc(N * sizeof(*st));
    ouro_result *r = malloc(N * sizeof(*r));
    for (int i = 0; i < N; i++)
        st[i] = (ouro_pg_statement){"SELECT $1::text", &v, 1};
    for (int each = 0; each < 2; each++) {
        check_eq(each ? independent(pg, st, N, r) : batch(pg, st, N, r), 0);
        for (int i = 0; i < N; i++) {
            size_t size = 0;
            check(ouro_pg_text_at(r[i].ptr, 0, 0, &size) != NULL);
            check_eq(size, SIZE);
            ouro_pg_result_free(r[i].ptr);
        }
    }
    free(st);
    free(r);
    free(text);
    ouro_pg_free(pg);
    return 0;
}

/* ---- Failures -------------------------------------------------------------------------------- */

KernelTest(pg_batch, all_or_none)
{
    ouro_pg *pg = with_table();
    ouro_pg_error error = {0};
    ouro_pg_statement st[] = {
        plain("INSERT INTO t VALUES (1, 'x')"),
        plain("SELECT 7"),
        plain("SELECT 1 / 0"),
        plain("INSERT INTO t VALUES (2, 'x')"),
        plain("INSERT INTO t VALUES (2, 'x')"),
    };
    ouro_result r[COUNT(st)];
    check_eq(
        words_of(ouro_pg_batch(pg, st, COUNT(st), r, &(ouro_pg_batch_options){.error = &error}),
                 "division by zero"),
        -DIVISION_BY_ZERO);
    check_text(error.sqlstate, "22012");
    for (size_t i = 0; i < COUNT(st); i++) {
        check(r[i].ptr == NULL);
        check_eq(r[i].n, i == 2 ? -DIVISION_BY_ZERO : -OURO_EROLLEDBACK);
    }
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    check_eq(stats_of(pg).errors, 1);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, an_error_in_preparing_is_that_of_its_statement)
{
    ouro_pg *pg = with_table();
    ouro_pg_error error = {0};
    ouro_pg_value v[] = {ouro_pg_named("id", ouro_pg_int(1))};
    ouro_pg_statement st[] = {
        plain("INSERT INTO t VALUES (1, 'x')"),
        {"SELECT nonsense, :id::int", v, 1},
        {"SELECT nonsense, :id::int", v, 1},
        plain("SELECT 7"),
    };
    ouro_result r[COUNT(st)];
    int64_t undefined = -OURO_ESQL('4', '2', '7', '0', '3');
    check_eq(
        ouro_await(ouro_pg_batch(pg, st, COUNT(st), r, &(ouro_pg_batch_options){.error = &error})),
        undefined);
    check_eq(r[0].n, -OURO_EROLLEDBACK);
    check_eq(r[1].n, undefined);
    check_eq(r[2].n, -OURO_EROLLEDBACK);
    check_eq(error.position, 8);
    check_eq(independent(pg, st, COUNT(st), r), 0);
    check_eq(r[0].n, 1);
    ouro_pg_result_free(r[0].ptr);
    check_eq(r[1].n, undefined);
    check(r[1].ptr == NULL);
    check_eq(r[2].n, undefined);
    check_eq(value_of(&r[3]), 7);
    check_eq(
        number(pg, "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%sense%'"),
        0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, each_for_itself)
{
    ouro_pg *pg = with_table();
    ouro_pg_error error = {0};
    ouro_pg_statement st[] = {
        plain("INSERT INTO t VALUES (1, 'x')"),
        plain("SELECT 1 / 0"),
        plain("INSERT INTO t VALUES (1, 'x')"),
        plain("INSERT INTO t VALUES (2, 'x')"),
        plain("SELECT nonsense"),
    };
    ouro_result r[COUNT(st)];
    check_eq(ouro_await(ouro_pg_batch(pg, st, COUNT(st), r,
                                      &(ouro_pg_batch_options){.independent = 1, .error = &error})),
             0);
    check_eq(r[0].n, 1);
    check_eq(r[1].n, -DIVISION_BY_ZERO);
    check_eq(r[2].n, -OURO_ESQL_UNIQUE_VIOLATION);
    check_eq(r[3].n, 1);
    check_eq(r[4].n, -OURO_ESQL('4', '2', '7', '0', '3'));
    check_text(error.sqlstate, "22012"); /* of the first */
    for (size_t i = 0; i < COUNT(st); i++) {
        check_eq(r[i].ptr != NULL, r[i].n > 0);
        ouro_pg_result_free(r[i].ptr);
    }
    check_eq(number(pg, "SELECT count(*) FROM t"), 2);
    check_eq(stats_of(pg).errors, 3);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, an_error_of_the_commit_is_an_error)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE d (i int UNIQUE DEFERRABLE INITIALLY DEFERRED)"), 0);
    ouro_pg_statement st[] = {
        plain("INSERT INTO d VALUES (1)"),
        plain("INSERT INTO d VALUES (2), (2)"),
        plain("INSERT INTO d VALUES (3)"),
    };
    ouro_result r[COUNT(st)];
    check_eq(batch(pg, st, COUNT(st), r), -OURO_ESQL_UNIQUE_VIOLATION);
    for (size_t i = 0; i < COUNT(st); i++) {
        check(r[i].ptr == NULL);
        check_eq(r[i].n, -OURO_EROLLEDBACK);
    }
    check_eq(number(pg, "SELECT count(*) FROM d"), 0);
    check_eq(independent(pg, st, COUNT(st), r), 0);
    check_eq(r[0].n, 1);
    check_eq(r[1].n, -OURO_ESQL_UNIQUE_VIOLATION);
    check(r[1].ptr == NULL);
    check_eq(r[2].n, 1);
    ouro_pg_result_free(r[0].ptr);
    ouro_pg_result_free(r[2].ptr);
    check_eq(number(pg, "SELECT count(*) FROM d"), 2);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, in_a_transaction_it_is_a_part_of_that)
{
    ouro_pg *pg = with_table();
    ouro_pg_statement good[] = {plain("INSERT INTO t VALUES (1, 'x')"),
                                plain("INSERT INTO t VALUES (2, 'x')")};
    ouro_pg_statement bad[] = {plain("INSERT INTO t VALUES (3, 'x')"), plain("SELECT 1 / 0")};
    ouro_result r[2];
    ouro_pg *tx = begun(pg);
    check_eq(batch(tx, good, 2, NULL), 0);
    check_eq(ouro_await(ouro_pg_rollback(tx)), 0);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    tx = begun(pg);
    check_eq(batch(tx, good, 2, NULL), 0);
    ouro_pg *inner = begun(tx);
    check_eq(batch(inner, bad, 2, r), -DIVISION_BY_ZERO);
    check_eq(r[0].n, -OURO_EROLLEDBACK);
    check_eq(batch(inner, good, 2, r), -OURO_ESQL_IN_FAILED_TRANSACTION);
    check_eq(ouro_await(ouro_pg_rollback(inner)), 0);
    check_eq(ouro_await(ouro_pg_commit(tx)), 0);
    check_eq(number(pg, "SELECT count(*) FROM t"), 2);
    tx = begun(pg);
    check_eq(independent(tx, bad, 2, r), 0);
    check_eq(r[0].n, 1);
    ouro_pg_result_free(r[0].ptr);
    check_eq(r[1].n, -DIVISION_BY_ZERO);
    check_eq(ouro_await(ouro_pg_commit(tx)), -OURO_EROLLEDBACK);
    check_eq(number(pg, "SELECT count(*) FROM t"), 2);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, what_cannot_be_sent_has_nothing_sent)
{
    ouro_pg *pg = with_table();
    ouro_pg_error error = {0};
    ouro_pg_value v[] = {ouro_pg_named("other", ouro_pg_int(1))};
    ouro_pg_statement st[] = {
        plain("INSERT INTO t VALUES (1, 'x')"),
        {"SELECT :id", v, 1},
        plain("SELECT 7"),
    };
    ouro_result r[3];
    for (int each = 0; each < 2; each++) {
        check_eq(
            words_of(ouro_pg_batch(pg, st, 3, r,
                                   &(ouro_pg_batch_options){.independent = each, .error = &error}),
                     "id"),
            -ENOKEY);
        check_eq(error.code, -ENOKEY);
        check_eq(r[0].n, -OURO_EROLLEDBACK);
        check_eq(r[1].n, -ENOKEY);
        check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    }
    st[1] = plain(NULL);
    check_eq(batch(pg, st, 3, r), -EINVAL);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, copy_in_it_costs_the_connection)
{
    const char *copies[] = {"COPY (SELECT 1) TO STDOUT", "COPY t FROM STDIN"};
    for (int i = 0; i < 4; i++) {
        ouro_pg *pg = with_table();
        ouro_pg_statement st[] = {plain("SELECT 1"), plain(copies[i % 2]), plain("SELECT 2")};
        ouro_result r[3];
        check_eq(i < 2 ? batch(pg, st, 3, r) : independent(pg, st, 3, r), -OURO_ECOPY);
        check_eq(r[1].n, -OURO_ECOPY);
        for (int k = 0; k < 3; k++)
            check(r[k].ptr == NULL);
        check_eq(r[0].n, i < 2 ? -OURO_EROLLEDBACK : 1);
        check_eq(r[2].n, i < 2 ? -OURO_EROLLEDBACK : -OURO_ECOPY);
        check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
        ouro_pg_free(pg);
    }
    return 0;
}

/* ---- What was prepared and does not fit any more --------------------------------------------- */

KernelTest(pg_batch, prepares_anew_what_has_gone)
{
    ouro_pg *pg = with_table();
    ouro_pg_statement st[] = {plain("SELECT 1"), plain("SELECT 1"), plain("SELECT 2"),
                              plain("SELECT 2")};
    ouro_result r[COUNT(st)];
    for (int each = 0; each < 2; each++) {
        check_eq(batch(pg, st, COUNT(st), NULL), 0);
        check_eq(ouro_await(ouro_pg_script(pg, "DEALLOCATE ALL", NULL)), 0);
        ouro_pg_error error = {0};
        check_eq(ouro_await(
                     ouro_pg_batch(pg, st, COUNT(st), r,
                                   &(ouro_pg_batch_options){.independent = each, .error = &error})),
                 0);
        check_eq(error.code, 0);
        for (int i = 0; i < (int)COUNT(st); i++)
            check_eq(value_of(&r[i]), 1 + i / 2);
    }
    ouro_pg *tx = begun(pg);
    check_eq(ouro_await(ouro_pg_script(tx, "DEALLOCATE ALL", NULL)), 0);
    check_eq(batch(tx, st, COUNT(st), r), -OURO_ESQL('2', '6', '0', '0', '0'));
    check_eq(ouro_await(ouro_pg_rollback(tx)), 0);
    check_eq(batch(pg, st, COUNT(st), NULL), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, prepares_anew_what_the_tables_have_outgrown)
{
    ouro_pg *pg = with_table();
    ouro_pg_statement st[] = {plain("INSERT INTO t VALUES (1, 'x')"), plain("SELECT 1 / 0"),
                              plain("SELECT * FROM t"), plain("SELECT * FROM t")};
    ouro_result r[COUNT(st)];
    check_eq(batch(pg, st + 2, 2, NULL), 0);
    check_eq(run(pg, "ALTER TABLE t ADD y int"), 0);
    check_eq(independent(pg, st, COUNT(st), r), 0);
    check_eq(r[0].n, 1);
    ouro_pg_result_free(r[0].ptr);
    check_eq(r[1].n, -DIVISION_BY_ZERO);
    check_eq(ouro_pg_columns(r[2].ptr), 3);
    check_eq(value_of(&r[2]), 1);
    check_eq(value_of(&r[3]), 1);
    check_eq(run(pg, "ALTER TABLE t ADD z int"), 0);
    check_eq(batch(pg, st + 2, 2, r), 0);
    check_eq(ouro_pg_columns(r[1].ptr), 4);
    check_eq(value_of(&r[0]), 1);
    check_eq(value_of(&r[1]), 1);
    ouro_pg_free(pg);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

KernelTest(pg_batch, a_cancelled_one_changes_nothing)
{
    ouro_pg *pg = with_table();
    ouro_pg_statement st[] = {plain("INSERT INTO t VALUES (1, 'x')"), plain("SELECT pg_sleep(30)"),
                              plain("INSERT INTO t VALUES (2, 'x')")};
    ouro_result r[COUNT(st)];
    ouro_ns before = ouro_now();
    check_eq(ouro_await(ouro_timeout(ouro_pg_batch(pg, st, 3, r, NULL), OURO_MS(30))), -ETIMEDOUT);
    check(ouro_now() - before < OURO_SEC(1));
    for (int i = 0; i < 3; i++)
        check(r[i].ptr == NULL && r[i].n < 0);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, a_cancelled_one_ends_though_each_is_for_itself)
{
    enum { N = 20 };
    ouro_pg *pg = with_table();
    ouro_pg_statement st[N];
    ouro_result r[N];
    for (int i = 0; i < N; i++)
        st[i] = plain("SELECT pg_sleep(10)");
    st[0] = plain("INSERT INTO t VALUES (1, 'x')");
    st[1] = plain("SELECT 1 / 0");
    ouro_ns before = ouro_now();
    ouro_future *f = ouro_pg_batch(pg, st, N, r, &(ouro_pg_batch_options){.independent = 1});
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(30))), -ETIMEDOUT);
    check(ouro_now() - before < OURO_SEC(2));
    check_eq(r[0].n, 1);
    check_eq(r[1].n, -DIVISION_BY_ZERO);
    for (int i = 0; i < N; i++)
        check(r[i].ptr == NULL);
    check(r[N - 1].n < 0);
    check_eq(number(pg, "SELECT count(*) FROM t"), 1);
    check_eq(number(pg, "SELECT 7"), 7); /* nobody else is hit */
    check_eq(ouro_pg_state_get(pg), OURO_PG_READY);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, is_cancelled_at_every_moment)
{
    enum { N = 200 };
    ouro_pg *pg = with_table();
    char *text = malloc(20000);
    memset(text, 'x', 20000);
    ouro_pg_value v[N][2];
    ouro_pg_statement st[N];
    ouro_result r[N];
    int done = 0;
    for (int i = 0; i < N; i++) {
        v[i][0] = ouro_pg_int(i);
        v[i][1] = ouro_pg_text_of(text, 20000);
        st[i] = (ouro_pg_statement){"INSERT INTO t VALUES ($1, $2)", v[i], 2};
    }
    for (unsigned i = 0; i < 80; i++) {
        int each = i % 2;
        ouro_future *f = ouro_pg_batch(pg, st, N, r, &(ouro_pg_batch_options){.independent = each});
        int64_t rc = ouro_await(ouro_timeout(f, OURO_US(i * 400)));
        check(rc == 0 || rc == -ETIMEDOUT);
        int64_t there = number(pg, "SELECT count(*) FROM t"), good = 0;
        for (int k = 0; k < N; k++) {
            good += r[k].n == 1;
            ouro_pg_result_free(r[k].ptr);
        }
        check_eq(there, good); /* the results say what was done */
        check(each || there == (rc == 0 ? N : 0));
        done += rc == 0;
        check_eq(run(pg, "DELETE FROM t"), there);
    }
    check(done > 0);
    free(text);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_batch, one_in_line_that_is_cancelled_never_runs)
{
    ouro_pg *pg = with_table();
    ouro_pg_statement st[] = {plain("INSERT INTO t VALUES (1, 'x')"), plain("SELECT 1")};
    ouro_result r[2];
    ouro_future *first = ouro_pg_query(pg, "SELECT pg_sleep(0.05)", NULL, 0, NULL);
    ouro_future *f = ouro_pg_batch(pg, st, 2, r, NULL);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check_eq(r[0].n, -ECANCELED);
    check_eq(ouro_await(first), 1);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    check_eq(stats_of(pg).cancels, 0);
    ouro_pg_free(pg);
    return 0;
}

/* ---- The connection goes --------------------------------------------------------------------- */

KernelTest(pg_batch, the_connection_is_closed_under_it)
{
    for (int i = 0; i < 4; i++) {
        ouro_pg *pg = with_table();
        ouro_pg *tx = i < 2 ? NULL : begun(pg);
        ouro_pg_statement st[] = {plain("SELECT 1"), plain("SELECT pg_sleep(30)"),
                                  plain("SELECT 2")};
        ouro_result r[3];
        ouro_pg_batch_options opts = {.independent = i % 2};
        ouro_future *f = ouro_pg_batch(tx ? tx : pg, st, 3, r, &opts);
        nap(10);
        if (tx) {
            ouro_pg_free(tx);
            memset(r, 0, sizeof r); /* they are not lent any more */
        } else {
            check_eq(ouro_await(ouro_pg_close(pg)), 0);
            check_eq(r[2].n, -EBADF);
            check(r[0].ptr == NULL);
        }
        check_eq(ouro_await(f), -EBADF);
        if (tx)
            check_eq(number(pg, "SELECT 7"), 7);
        check(r[2].ptr == NULL && (!tx || r[2].n == 0));
        ouro_pg_free(pg);
    }
    return 0;
}

KernelTest(pg_batch, the_server_goes_under_it)
{
    for (int each = 0; each < 2; each++) {
        ouro_pg *pg = with_table();
        ouro_pg_statement st[] = {plain("SELECT 1"), plain("SELECT pg_sleep(30)"),
                                  plain("SELECT 2")};
        ouro_result r[3];
        ouro_future *f = ouro_pg_batch(pg, st, 3, r, &(ouro_pg_batch_options){.independent = each});
        nap(20);
        kill_backend(pg);
        check_eq(ouro_await(f), -OURO_ESQL_ADMIN_SHUTDOWN);
        check_eq(r[0].n, each ? 1 : -OURO_EROLLEDBACK);
        check_eq(r[1].n, -OURO_ESQL_ADMIN_SHUTDOWN);
        check(r[0].ptr == NULL && r[2].n < 0);
        check(run(pg, "SELECT 1") < 0);
        ouro_pg_free(pg);
    }
    return 0;
}
