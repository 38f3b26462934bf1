/* SPDX-License-Identifier: MIT */
/*
 * Streams: rows piece by piece, at the pace of who takes them, in little memory; and what happens
 * to a stream that does not come to its end.
 */
#include "transfer_test.h"

#define SERIES(n) "SELECT generate_series(1, " #n ")"

/* Take it to its end: rows, each a number that follows the one before; or how it failed. */
static int64_t take_all(ouro_pg_stream *s, int64_t *ret_rows)
{
    ouro_pg_result *some;
    int64_t rc, rows = 0;
    while ((some = ouro_await_ptr(ouro_pg_stream_next(s), &rc))) {
        check(rc > 0 && rc <= 256);
        check_eq(ouro_pg_rows(some), rc);
        for (int64_t i = 0; i < rc; i++) {
            int64_t value = 0;
            check_eq(ouro_pg_int_at(some, i, 0, &value), 0);
            check_eq(value, ++rows);
        }
        ouro_pg_result_free(some);
    }
    *ret_rows = rows;
    return rc;
}

/* Take a piece: how many rows it has, or how it failed. */
static int64_t take_some(ouro_pg_stream *s)
{
    int64_t rc;
    ouro_pg_result_free(ouro_await_ptr(ouro_pg_stream_next(s), &rc));
    return rc;
}

static ouro_pg_stream *open_with(ouro_pg *pg, const char *sql, const ouro_pg_query_options *opts)
{
    int64_t rc;
    ouro_pg_stream *s = ouro_await_ptr(ouro_pg_stream_open(pg, sql, NULL, 0, opts), &rc);
    check_eq(rc, 0);
    return s;
}

static ouro_pg_stream *opened(ouro_pg *pg, const char *sql)
{
    return open_with(pg, sql, NULL);
}

KernelTest(pg_stream, brings_all_rows_in_order_and_then_its_end)
{
    ouro_pg *pg = connected();
    int64_t rows;
    ouro_pg_stream *s = opened(pg, SERIES(1000));
    check_eq(take_all(s, &rows), 0);
    check_eq(rows, 1000);
    check_eq(take_some(s), 0);
    check_eq(number(pg, "SELECT 7"), 7); /* it has ended: the connection is free */
    check_eq(take_some(s), 0);
    ouro_pg_stream_free(s);
    for (int n = 254; n < 260; n++) { /* around a piece */
        char sql[80];
        snprintf(sql, sizeof sql, "SELECT i FROM generate_series(1, %d) i", n);
        s = opened(pg, sql);
        check_eq(take_all(s, &rows), 0);
        check_eq(rows, n);
        ouro_pg_stream_free(s);
    }
    ouro_pg_stats st;
    check_eq(ouro_pg_stats_get(pg, &st), 0);
    check_eq(st.cancels, 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, takes_parameters_and_statements_without_rows)
{
    ouro_pg *pg = connected();
    int64_t rc, rows;
    ouro_pg_stream *s = ouro_await_ptr(
        ouro_pg_stream_open(pg, "SELECT i FROM generate_series(1, :n) i WHERE :n > 0",
                            OURO_PG_PARAMS(ouro_pg_named("n", ouro_pg_int(300))),
                            &(ouro_pg_query_options){.binary = 1}),
        &rc);
    check_eq(rc, 0);
    check_eq(take_all(s, &rows), 0);
    check_eq(rows, 300);
    ouro_pg_stream_free(s);
    s = opened(pg, SERIES(0));
    check_eq(take_some(s), 0);
    ouro_pg_stream_free(s);
    s = opened(pg, "CREATE TEMP TABLE t (i int)");
    check_eq(take_some(s), 0);
    ouro_pg_stream_free(s);
    s = opened(pg, "INSERT INTO t SELECT generate_series(1, 600) RETURNING i");
    check_eq(take_all(s, &rows), 0);
    check_eq(rows, 600);
    ouro_pg_stream_free(s);
    check_eq(number(pg, "SELECT count(*) FROM t"), 600);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, values_are_as_in_a_whole_result)
{
    ouro_pg *pg = connected();
    const char *sql = "SELECT CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN '' ELSE repeat('x', i) END,"
                      " i * 1.5, i = 7, ('\\x00' || to_hex(i + 16))::bytea"
                      " FROM generate_series(1, 200) i";
    for (int binary = 0; binary < 2; binary++) {
        ouro_pg_query_options opts = {.binary = binary};
        int64_t rc;
        ouro_pg_result *all = ouro_await_ptr(ouro_pg_query(pg, sql, NULL, 0, &opts), &rc), *some;
        check_eq(rc, 200);
        ouro_pg_stream *s = open_with(pg, sql, &opts);
        int64_t row = 0;
        while ((some = ouro_await_ptr(ouro_pg_stream_next(s), &rc))) {
            check_eq(ouro_pg_columns(some), 4);
            check_eq(ouro_pg_column_type(some, 3), 17);
            for (int64_t i = 0; i < rc; i++, row++)
                for (int k = 0; k < 4; k++) {
                    size_t size = 0, size_of_all = 0;
                    const char *a = ouro_pg_text_at(some, i, k, &size);
                    const char *b = ouro_pg_text_at(all, row, k, &size_of_all);
                    check_eq(size, size_of_all);
                    check((!a && !b) || memcmp(a, b, size + 1) == 0);
                }
            ouro_pg_result_free(some);
        }
        check_eq(rc, 0);
        check_eq(row, 200);
        ouro_pg_stream_free(s);
        ouro_pg_result_free(all);
    }
    int64_t rows = 0, n;
    ouro_pg_stream *s = opened(pg, "SELECT FROM generate_series(1, 600)"); /* no columns at all */
    while ((n = take_some(s)) > 0)
        rows += n;
    check_eq(n, 0);
    check_eq(rows, 600);
    ouro_pg_stream_free(s);
    ouro_pg_free(pg);
    return 0;
}

/* Pieces of wide rows have fewer. */
KernelTest(pg_stream, wide_rows_pass_in_little_memory)
{
    ouro_pg *pg = connected();
    long before = resident_kib();
    ouro_pg_stream *s = opened(pg, "SELECT generate_series(1, 400), repeat('x', 1000000)");
    int64_t rows = 0, n;
    while ((n = take_some(s)) > 0)
        rows += n;
    check_eq(rows, 400);
    check(HARNESS_ASAN || resident_kib() - before < 20 * 1024);
    ouro_pg_stream_free(s);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, a_million_rows_pass_in_little_memory)
{
    ouro_pg *pg = connected();
    int64_t rows;
    ouro_pg_stream *s = opened(pg, SERIES(1000));
    take_all(s, &rows);
    ouro_pg_stream_free(s);
    long before = resident_kib();
    s = opened(pg, "SELECT generate_series(1, 1000000), repeat('x', 100)");
    nap(300); /* nobody asks: nothing may pile up */
    check(HARNESS_ASAN || resident_kib() - before < 4 * 1024);
    check_eq(of_backend(pg, "wait_event = 'ClientWrite'"), 1);
    check_eq(take_all(s, &rows), 0);
    check_eq(rows, 1000000);
    check(HARNESS_ASAN || resident_kib() - before < 20 * 1024);
    ouro_pg_stream_free(s);
    ouro_pg_free(pg);
    return 0;
}

/* Each row is more than the server gathers before it sends. */
#define SLOW_ROWS(n, pause) \
    "SELECT i, repeat('x', 20000), pg_sleep(" #pause ") FROM generate_series(1, " #n ") i"

KernelTest(pg_stream, gives_what_is_there)
{
    ouro_pg *pg = connected();
    ouro_ns before = ouro_now();
    ouro_pg_stream *s = opened(pg, SLOW_ROWS(10, 0.1));
    int64_t n = take_some(s);
    check(n >= 1 && n < 5);
    check(ouro_now() - before < OURO_MS(600));
    ouro_pg_stream_free(s);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

#define DIVISION_BY_ZERO OURO_ESQL('2', '2', '0', '1', '2')

KernelTest(pg_stream, an_error_comes_behind_the_rows_before_it)
{
    ouro_pg *pg = connected();
    ouro_pg_error error = {0};
    int64_t rows = 0;
    ouro_pg_stream *s = open_with(pg,
                                  "SELECT i + 1 / (701 - i) * 0 FROM generate_series(1, 1000) i",
                                  &(ouro_pg_query_options){.error = &error});
    check_eq(take_all(s, &rows), -DIVISION_BY_ZERO);
    check_eq(rows, 700);
    check_text(error.sqlstate, "22012");
    check_eq(take_some(s), -DIVISION_BY_ZERO);
    check_eq(words_of(ouro_pg_stream_next(s), "division by zero"), -DIVISION_BY_ZERO);
    check_eq(number(pg, "SELECT 7"), 7);
    check_eq(take_some(s), -DIVISION_BY_ZERO);
    ouro_pg_stream_free(s);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, an_error_before_the_first_row_fails_the_opening)
{
    ouro_pg *pg = connected();
    ouro_pg_error error = {0};
    int64_t rc;
    ouro_pg_stream *s = ouro_await_ptr(
        ouro_pg_stream_open(
            pg, "SELECT :a::int / :b::int, nonsense",
            OURO_PG_PARAMS(ouro_pg_named("a", ouro_pg_int(1)), ouro_pg_named("b", ouro_pg_int(0))),
            &(ouro_pg_query_options){.error = &error}),
        &rc);
    check(!s);
    check_eq(rc, -OURO_ESQL('4', '2', '7', '0', '3'));
    check_eq(error.position, 27); /* in what was written */
    check_eq(ouro_await(ouro_pg_stream_open(pg, "SELECT 1 / 0", NULL, 0, NULL)), -DIVISION_BY_ZERO);
    check_eq(ouro_await(ouro_pg_stream_open(pg, NULL, NULL, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_stream_open(NULL, "SELECT 1", NULL, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_stream_next(NULL)), -EINVAL);
    check(ouro_pg_stream_free(NULL) == NULL);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, a_cancelled_next_loses_nothing)
{
    ouro_pg *pg = connected();
    ouro_pg_result *some;
    int64_t rc, rows = 0;
    int cancelled = 0;
    ouro_pg_stream *s = opened(pg, SLOW_ROWS(20, 0.02));
    for (;;) {
        some = ouro_await_ptr(ouro_timeout(ouro_pg_stream_next(s), OURO_MS(7)), &rc);
        if (rc == -ETIMEDOUT) {
            cancelled++;
            continue;
        }
        if (rc <= 0)
            break;
        for (int64_t i = 0, value = 0; i < rc; i++) {
            check_eq(ouro_pg_int_at(some, i, 0, &value), 0);
            check_eq(value, ++rows);
        }
        ouro_pg_result_free(some);
    }
    check_eq(rc, 0);
    check_eq(rows, 20);
    check(cancelled > 3);
    ouro_pg_stream_free(s);
    check_eq(stats_of(pg).cancels, 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, one_waits_at_a_time)
{
    ouro_pg *pg = connected();
    ouro_pg_stream *s = opened(pg, SLOW_ROWS(2, 0.1));
    check_eq(take_some(s), 1);
    ouro_future *first = ouro_pg_stream_next(s);
    check_eq(take_some(s), -EBUSY);
    check_eq(ouro_await(first), 1);
    check_eq(take_some(s), 0);
    ouro_pg_stream_free(s);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, a_cancelled_opening_ends_on_the_server)
{
    ouro_pg *pg = connected();
    ouro_ns before = ouro_now();
    check_eq(ouro_await(ouro_timeout(ouro_pg_stream_open(pg, "SELECT pg_sleep(30)", NULL, 0, NULL),
                                     OURO_MS(30))),
             -ETIMEDOUT);
    check(ouro_now() - before < OURO_SEC(5));
    check_eq(number(pg, "SELECT 7"), 7);
    for (unsigned i = 0; i < 60; i++) { /* at every moment */
        int64_t rc;
        ouro_future *f = ouro_timeout(ouro_pg_stream_open(pg, SERIES(1000), NULL, 0, NULL),
                                      OURO_US(i * 20));
        ouro_pg_stream *s = ouro_await_ptr(f, &rc);
        check(rc == 0 || rc == -ETIMEDOUT);
        check_eq(s != NULL, rc == 0);
        ouro_pg_stream_free(s);
        check_eq(number(pg, "SELECT 7"), 7);
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, one_in_line_that_is_cancelled_never_runs)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE t (i int)"), 0);
    ouro_future *first = ouro_pg_query(pg, "SELECT pg_sleep(0.05)", NULL, 0, NULL);
    ouro_future *f = ouro_pg_stream_open(pg, "INSERT INTO t VALUES (1)", NULL, 0, NULL);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(first), 1);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, one_that_is_freed_is_cancelled_on_the_server)
{
    ouro_pg *pg = connected();
    for (unsigned i = 0; i < 12; i++) {
        ouro_pg_stream *s = opened(pg, SERIES(1000000000));
        for (unsigned k = 0; k < i; k++)
            check(take_some(s) > 0);
        if (i % 2)
            nap(5); /* it is held */
        ouro_pg_stream_free(s);
        check_eq(number(pg, "SELECT 7"), 7);
    }
    check(stats_of(pg).cancels >= 12);
    ouro_pg_stream *s = opened(pg, SLOW_ROWS(100, 0.1)); /* somebody waits */
    check_eq(take_some(s), 1);
    ouro_future *f = ouro_pg_stream_next(s);
    ouro_pg_stream_free(s);
    check_eq(ouro_await(f), -EBADF);
    ouro_detach(ouro_pg_stream_open(pg, SERIES(1000000000), NULL, 0, NULL)); /* nobody takes it */
    check_eq(number(pg, "SELECT 7"), 7);
    check_eq(ouro_pg_state_get(pg), OURO_PG_READY);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, others_wait_until_it_has_ended)
{
    ouro_pg *pg = connected();
    int64_t rows;
    ouro_pg_stream *s = opened(pg, SERIES(10000));
    ouro_future *other = ouro_pg_query(pg, "SELECT 7", NULL, 0, NULL);
    nap(20);
    check_eq(ouro_future_state(other), OURO_PENDING);
    check_eq(ouro_pg_state_get(pg), OURO_PG_BUSY);
    check_eq(take_all(s, &rows), 0);
    check_eq(ouro_await(other), 1);
    ouro_pg_stream_free(s);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, the_connection_is_closed_under_it)
{
    for (int waits = 0; waits < 3; waits++) {
        ouro_pg *pg = connected();
        ouro_pg_stream *s = opened(pg, waits == 2 ? SLOW_ROWS(100, 0.2) : SERIES(1000000));
        check(take_some(s) > 0);
        ouro_future *f = waits ? ouro_pg_stream_next(s) : ouro_ready(0);
        check_eq(ouro_await(ouro_pg_close(pg)), 0);
        int64_t rc = ouro_await(f);
        check(waits == 0 || rc == -EBADF || (waits == 1 && rc > 0));
        check_eq(take_some(s), -EBADF);
        check_eq(take_some(s), -EBADF);
        ouro_pg_stream_free(s);
        ouro_pg_free(pg);
    }
    ouro_pg *pg = connected(); /* while it opens */
    ouro_future *f = ouro_pg_stream_open(pg, "SELECT pg_sleep(30)", NULL, 0, NULL);
    nap(5);
    ouro_pg_free(pg);
    check_eq(ouro_await(f), -EBADF);
    return 0;
}

KernelTest(pg_stream, its_transaction_ends_under_it)
{
    ouro_pg *pg = connected();
    for (int waits = 0; waits < 2; waits++) {
        ouro_pg *tx = begun(pg);
        ouro_pg_stream *s = opened(tx, waits ? SLOW_ROWS(100, 0.2) : SERIES(100000000));
        check(take_some(s) > 0);
        ouro_future *f = waits ? ouro_pg_stream_next(s) : ouro_ready(-EBADF);
        check_eq(ouro_await(ouro_pg_rollback(tx)), 0);
        check_eq(ouro_await(f), -EBADF);
        check_eq(take_some(s), -EBADF);
        check_eq(number(pg, "SELECT 7"), 7);
        ouro_pg_stream_free(s);
    }
    ouro_pg *tx = begun(pg);
    ouro_future *f = ouro_pg_stream_open(tx, "SELECT pg_sleep(30)", NULL, 0, NULL);
    nap(5);
    ouro_pg_free(tx);
    check_eq(ouro_await(f), -EBADF);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_stream, the_server_goes_under_it)
{
    for (int waits = 0; waits < 2; waits++) {
        ouro_pg *pg = connected();
        int64_t rows = 0;
        ouro_pg_stream *s = opened(pg, waits ? SLOW_ROWS(100, 0.2) : SERIES(10000000));
        ouro_future *f = waits ? ouro_pg_stream_next(s) : NULL;
        kill_backend(pg);
        nap(20);
        int64_t rc = waits ? ouro_await(f) : 1;
        check_eq(rc, 1);
        if (!waits)
            rc = take_all(s, &rows);
        while (waits && (rc = take_some(s)) > 0)
            continue;
        /* One that is stuck in writing may die without a word. */
        check(rc == -OURO_ESQL_ADMIN_SHUTDOWN || (!waits && rc == -ECONNRESET));
        check_eq(take_some(s), rc);
        check(waits || rows >= 8); /* what had come is handed on */
        check(run(pg, "SELECT 1") < 0);
        check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
        ouro_pg_stream_free(s);
        ouro_pg_free(pg);
    }
    return 0;
}

KernelTest(pg_stream, copy_is_refused_and_costs_the_connection)
{
    ouro_pg *pg = connected();
    check_eq(ouro_await(ouro_pg_stream_open(pg, "COPY (SELECT 1) TO STDOUT", NULL, 0, NULL)),
             -OURO_ECOPY);
    check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
    ouro_pg_free(pg);
    return 0;
}

static ouro_pg *left_pg;
static ouro_pg_stream *left_stream;

static int64_t leave_it(void *unused)
{
    (void)unused;
    left_pg = connected();
    left_stream = opened(left_pg, SERIES(1000000));
    nap(5);
    return 0;
}

Test(pg_stream, is_freed_after_the_loop)
{
    begin_kernel();
    check_eq(run_main(leave_it, NULL), 0);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_pg_stream_free(left_stream);
    ouro_pg_free(left_pg);
    end_closed();
}
