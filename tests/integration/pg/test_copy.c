/* SPDX-License-Identifier: MIT */
/*
 * COPY in both directions: what goes in comes out, the slower side sets the pace, and a copy that
 * does not come to its end leaves nothing in the table and the connection as it was.
 */
#include <stdlib.h>

#include "transfer_test.h"

#define BAD_TEXT OURO_ESQL('2', '2', 'P', '0', '2')

static ouro_pg_copy *opened(ouro_pg *pg, const char *sql)
{
    int64_t rc;
    ouro_pg_copy *c = ouro_await_ptr(ouro_pg_copy_open(pg, sql, NULL), &rc);
    check_eq(rc, 0);
    return c;
}

static int64_t put(ouro_pg_copy *c, const char *text)
{
    return ouro_await(ouro_pg_copy_write(c, text, strlen(text)));
}

static ouro_pg *with_table(void)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE t (i int, x text)"), 0);
    return pg;
}

/* ---- There and back -------------------------------------------------------------------------- */

/* @n rows of CSV with all that needs quotes. Yours to free. */
static char *make_csv(int n, size_t *ret_size)
{
    size_t size = 0;
    char *text = malloc((size_t)n * 80);
    check(text != NULL);
    for (int i = 0; i < n; i++)
        size += (size_t)sprintf(text + size, "%d,\"line\n%d, \"\"said\"\" \xc3\xa4\"\n", i, i * 7);
    *ret_size = size;
    return text;
}

/* All that comes, which must be @want. */
static void check_comes(ouro_pg_copy *c, const char *want, size_t size)
{
    const void *row;
    int64_t n;
    size_t at = 0;
    while ((n = ouro_await(ouro_pg_copy_next(c, &row))) > 0) {
        check(at + (size_t)n <= size);
        check(memcmp(row, want + at, (size_t)n) == 0);
        at += (size_t)n;
    }
    check_eq(n, 0);
    check_eq(at, size);
    check_eq(ouro_await(ouro_pg_copy_next(c, &row)), 0);
}

KernelTest(pg_copy, csv_comes_back_as_it_was)
{
    ouro_pg *pg = with_table();
    size_t size;
    char *csv = make_csv(20000, &size);
    ouro_pg_copy *in = opened(pg, "COPY t FROM STDIN (FORMAT csv)");
    for (size_t at = 0, n = 1; at < size; at += n, n = n * 5 % 70001 + 1) {
        n = n < size - at ? n : size - at;
        check_eq(ouro_await(ouro_pg_copy_write(in, csv + at, n)), n);
    }
    check_eq(ouro_pg_copy_rows(in), 0);
    check_eq(ouro_await(ouro_pg_copy_end(in)), 20000);
    check_eq(ouro_pg_copy_rows(in), 20000);
    check_eq(put(in, "more"), -EPIPE);
    check_eq(ouro_await(ouro_pg_copy_end(in)), -EPIPE);
    check_eq(number(pg, "SELECT count(*) FROM t"), 20000);
    ouro_pg_copy_free(in);
    ouro_pg_copy *out = opened(pg, "COPY t TO STDOUT (FORMAT csv)");
    check_comes(out, csv, size);
    check_eq(ouro_pg_copy_rows(out), 20000);
    ouro_pg_copy_free(out);
    check_eq(number(pg, "SELECT 7"), 7);
    check_eq(stats_of(pg).cancels, 0);
    free(csv);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, binary_comes_back_as_it_was)
{
    ouro_pg *pg = with_table();
    const void *row;
    int64_t n;
    check_eq(run(pg, "INSERT INTO t SELECT i, repeat('x', i) FROM generate_series(1, 2000) i"),
             2000);
    char *all = malloc(3 << 20);
    size_t size = 0;
    ouro_pg_copy *out = opened(pg, "COPY t TO STDOUT (FORMAT binary)");
    while ((n = ouro_await(ouro_pg_copy_next(out, &row))) > 0) {
        memcpy(all + size, row, (size_t)n);
        size += (size_t)n;
    }
    check_eq(n, 0);
    ouro_pg_copy_free(out);
    check_eq(run(pg, "TRUNCATE t"), 0);
    ouro_pg_copy *in = opened(pg, "COPY t FROM STDIN (FORMAT binary)");
    check_eq(ouro_await(ouro_pg_copy_write(in, all, size)), size);
    check_eq(ouro_await(ouro_pg_copy_end(in)), 2000);
    ouro_pg_copy_free(in);
    check_eq(number(pg, "SELECT sum(length(x)) FROM t"), 2001000);
    free(all);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, rows_are_there_at_the_end_and_not_before)
{
    ouro_pg *pg = connected(), *other = connected();
    check_eq(run(pg, "CREATE TABLE copied (i int)"), 0);
    ouro_pg_copy *c = opened(pg, "COPY copied FROM STDIN");
    check_eq(put(c, "1\n2\n"), 4);
    check_eq(put(c, ""), 0);
    check_eq(number(other, "SELECT count(*) FROM copied"), 0);
    check_eq(ouro_await(ouro_pg_copy_end(c)), 2);
    check_eq(number(other, "SELECT count(*) FROM copied"), 2);
    ouro_pg_copy_free(c);
    check_eq(run(pg, "DROP TABLE copied"), 0);
    ouro_pg_free(pg);
    ouro_pg_free(other);
    return 0;
}

KernelTest(pg_copy, is_part_of_its_transaction)
{
    ouro_pg *pg = with_table();
    for (int commits = 0; commits < 2; commits++) {
        ouro_pg *tx = begun(pg);
        ouro_pg_copy *c = opened(tx, "COPY t FROM STDIN");
        check_eq(put(c, "1\tx\n"), 4);
        check_eq(ouro_await(ouro_pg_copy_end(c)), 1);
        ouro_pg_copy_free(c);
        check_eq(ouro_await(commits ? ouro_pg_commit(tx) : ouro_pg_rollback(tx)), 0);
        check_eq(number(pg, "SELECT count(*) FROM t"), commits);
    }
    ouro_pg_free(pg);
    return 0;
}

/* ---- Pace ------------------------------------------------------------------------------------ */

static int64_t longest_gap; /* between two turns of the ticker */

static int64_t tick(void *unused)
{
    (void)unused;
    for (ouro_ns last = ouro_now();;) {
        int64_t rc = ouro_await(ouro_sleep(OURO_MS(1)));
        if (rc < 0)
            return rc;
        ouro_ns now = ouro_now();
        if ((int64_t)(now - last) > longest_gap)
            longest_gap = (int64_t)(now - last);
        last = now;
    }
}

/* A table whose every row takes its time. */
static void make_slow(ouro_pg *pg, const char *pause)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "CREATE FUNCTION pg_temp.slow() RETURNS trigger LANGUAGE plpgsql AS $$"
             "BEGIN PERFORM pg_sleep(%s); RETURN NEW; END $$;"
             "CREATE TRIGGER slow BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pg_temp.slow()",
             pause);
    check_eq(ouro_await(ouro_pg_script(pg, sql, NULL)), 0);
}

KernelTest(pg_copy, a_slow_server_sets_the_pace)
{
    enum { SIZE = 64 << 20, ROW = 64 << 10 };
    ouro_pg *pg = with_table();
    make_slow(pg, "0.001");
    char *data = malloc(SIZE);
    memset(data, 'x', SIZE);
    for (size_t at = 0; at < SIZE; at += ROW) {
        data[at] = '1';
        data[at + 1] = '\t';
        data[at + ROW - 1] = '\n';
    }
    long before = resident_kib();
    ouro_ns began = ouro_now();
    ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
    longest_gap = 0;
    ouro_future *ticker = ouro_spawn(tick, NULL);
    check_eq(ouro_await(ouro_pg_copy_write(c, data, SIZE)), SIZE);
    check(ouro_now() - began > OURO_MS(800));
    check(HARNESS_ASAN || resident_kib() - before < 4 * 1024);
    check(HARNESS_ASAN || longest_gap < (int64_t)OURO_MS(100));
    check_eq(ouro_await(ouro_pg_copy_end(c)), SIZE / ROW);
    ouro_cancel(ticker);
    check_eq(ouro_await(ticker), -OURO_ECHILDCANCELLED);
    ouro_pg_copy_free(c);
    free(data);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, little_writes_are_gathered_and_none_piles_up)
{
    ouro_pg *pg = with_table();
    make_slow(pg, "0.0001");
    long before = resident_kib();
    char row[1024];
    int n = snprintf(row, sizeof row, "1\t%1000d\n", 7);
    ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
    for (int i = 0; i < 5000; i++)
        check_eq(ouro_await(ouro_pg_copy_write(c, row, (size_t)n)), n);
    check(HARNESS_ASAN || resident_kib() - before < 2 * 1024);
    check_eq(ouro_await(ouro_pg_copy_end(c)), 5000);
    ouro_pg_copy_free(c);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, who_takes_sets_the_pace)
{
    ouro_pg *pg = connected();
    const void *row;
    int64_t n, rows = 0;
    long before = resident_kib();
    ouro_pg_copy *c = opened(
        pg, "COPY (SELECT generate_series(1, 1000000), repeat('x', 100)) TO STDOUT");
    nap(200);
    check(HARNESS_ASAN || resident_kib() - before < 4 * 1024);
    check_eq(of_backend(pg, "wait_event = 'ClientWrite'"), 1);
    while ((n = ouro_await(ouro_pg_copy_next(c, &row))) > 0)
        check_eq(strtol(row, NULL, 10), ++rows);
    check_eq(n, 0);
    check_eq(rows, 1000000);
    check(HARNESS_ASAN || resident_kib() - before < 4 * 1024);
    ouro_pg_copy_free(c);
    ouro_pg_free(pg);
    return 0;
}

/* ---- Failures -------------------------------------------------------------------------------- */

/* It is seen where the connection is in clear; else it is told at the end. */
KernelTest(pg_copy, a_refusal_in_the_middle_stops_the_writing)
{
    char conninfo[300];
    ouro_pg_error error = {0};
    int64_t rc;
    int i;
    snprintf(conninfo, sizeof conninfo, "%s sslmode=disable", pg_conninfo());
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, NULL), &rc);
    check_eq(rc, 0);
    check_eq(run(pg, "CREATE TEMP TABLE t (i int, x text)"), 0);
    ouro_pg_copy *c = ouro_await_ptr(
        ouro_pg_copy_open(pg, "COPY t FROM STDIN", &(ouro_pg_query_options){.error = &error}), &rc);
    check_eq(put(c, "1\tx\nnonsense\ty\n"), 15);
    char *data = calloc(1, 100000);
    memset(data, '\n', 100000);
    for (i = 0, rc = 1; i < 10000 && rc > 0; i++)
        rc = ouro_await(ouro_pg_copy_write(c, data, 100000));
    check_eq(rc, -BAD_TEXT);
    check(i < 1000);
    check_text(error.sqlstate, "22P02");
    check(strstr(error.context, "COPY t, line 2") != NULL);
    check_eq(put(c, "2\ty\n"), -BAD_TEXT);
    check_eq(words_of(ouro_pg_copy_end(c), "nonsense"), -BAD_TEXT);
    check_eq(ouro_pg_copy_rows(c), 0);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    ouro_pg_copy_free(c);
    free(data);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, a_refusal_is_told_at_the_end)
{
    ouro_pg *pg = with_table();
    ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
    check_eq(put(c, "nonsense\tx\n"), 11);
    check_eq(ouro_await(ouro_pg_copy_end(c)), -BAD_TEXT);
    check_eq(ouro_await(ouro_pg_copy_end(c)), -BAD_TEXT);
    ouro_pg_copy_free(c);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    ouro_pg_free(pg);
    return 0;
}

/* It fails when it has said that it takes data, and before it takes any. */
KernelTest(pg_copy, a_refusal_before_any_data_is_told_at_the_end)
{
    ouro_pg *pg = with_table();
    check_eq(ouro_await(ouro_pg_script(
                 pg,
                 "CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS $$"
                 "BEGIN RAISE 'no' USING ERRCODE = '22P02'; END $$;"
                 "CREATE TRIGGER no BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION "
                 "pg_temp.no()",
                 NULL)),
             0);
    for (int i = 0; i < 3; i++) {
        ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
        nap(i == 1 ? 5 : 0);
        check_eq(put(c, "1\tx\n"), 4);
        if (i < 2)
            check_eq(ouro_await(ouro_pg_copy_end(c)), -BAD_TEXT);
        ouro_pg_copy_free(c);
        check_eq(number(pg, "SELECT 7"), 7);
        check_eq(number(pg, "SELECT 8"), 8);
    }
    ouro_pg_free(pg);
    return 0;
}

/* The server says a lot while it takes rows, and none of it is taken for a refusal. */
KernelTest(pg_copy, remarks_in_the_middle_are_no_refusal)
{
    char conninfo[300];
    int64_t rc;
    snprintf(conninfo, sizeof conninfo, "%s sslmode=disable", pg_conninfo());
    ouro_pg *pg = ouro_await_ptr(ouro_pg_connect(conninfo, NULL), &rc);
    check_eq(rc, 0);
    check_eq(run(pg, "CREATE TEMP TABLE t (i int, x text)"), 0);
    check_eq(ouro_await(ouro_pg_script(
                 pg,
                 "CREATE FUNCTION pg_temp.chat() RETURNS trigger LANGUAGE plpgsql AS $$"
                 "BEGIN RAISE WARNING 'ERROR % %', NEW.i, repeat('E', NEW.i % 5000); RETURN NEW; "
                 "END $$;"
                 "CREATE TRIGGER chat BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION "
                 "pg_temp.chat()",
                 NULL)),
             0);
    ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
    char row[32];
    for (int i = 0; i < 10000; i++) {
        int n = snprintf(row, sizeof row, "%d\tx\n", i);
        check_eq(ouro_await(ouro_pg_copy_write(c, row, (size_t)n)), n);
    }
    check_eq(ouro_await(ouro_pg_copy_end(c)), 10000);
    check_eq(stats_of(pg).notices, 10000);
    ouro_pg_copy_free(c);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, an_error_comes_behind_the_rows_before_it)
{
    ouro_pg *pg = connected();
    const void *row;
    int64_t n, rows = 0;
    ouro_pg_copy *c = opened(
        pg, "COPY (SELECT i + 1 / (701 - i) * 0 FROM generate_series(1, 1000) i) TO STDOUT");
    while ((n = ouro_await(ouro_pg_copy_next(c, &row))) > 0)
        rows++;
    check_eq(n, -OURO_ESQL('2', '2', '0', '1', '2'));
    check_eq(rows, 700);
    check_eq(words_of(ouro_pg_copy_next(c, &row), "division by zero"), n);
    ouro_pg_copy_free(c);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, what_is_no_copy_is_done_and_refused)
{
    ouro_pg *pg = with_table();
    check_eq(ouro_await(ouro_pg_copy_open(pg, "SELECT 1", NULL)), -OURO_ECOPY);
    check_eq(ouro_await(ouro_pg_copy_open(pg, "INSERT INTO t VALUES (1, 'x')", NULL)), -OURO_ECOPY);
    check_eq(number(pg, "SELECT count(*) FROM t"), 1);
    check_eq(ouro_await(ouro_pg_copy_open(pg, "COPY t TO '/dev/null'", NULL)), -OURO_ECOPY);
    check_eq(ouro_await(ouro_pg_copy_open(pg, "COPY nowhere FROM STDIN", NULL)),
             -OURO_ESQL_UNDEFINED_TABLE);
    check_eq(ouro_await(ouro_pg_copy_open(pg, "", NULL)), -OURO_ECOPY);
    check_eq(ouro_await(ouro_pg_copy_open(pg, NULL, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_copy_open(NULL, "COPY t TO STDOUT", NULL)), -EINVAL);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, the_other_direction_is_refused)
{
    ouro_pg *pg = with_table();
    const void *row = "untouched", *was = row;
    ouro_pg_copy *in = opened(pg, "COPY t FROM STDIN");
    check_eq(ouro_await(ouro_pg_copy_next(in, &row)), -EBADMSG);
    check(row == was);
    check_eq(put(in, "1\tx\n"), 4);
    check_eq(ouro_await(ouro_pg_copy_write(in, NULL, 4)), -EINVAL);
    check_eq(ouro_await(ouro_pg_copy_end(in)), 1);
    ouro_pg_copy_free(in);
    ouro_pg_copy *out = opened(pg, "COPY t TO STDOUT");
    check_eq(put(out, "1\tx\n"), -EBADMSG);
    check_eq(ouro_await(ouro_pg_copy_end(out)), -EBADMSG);
    check_eq(ouro_await(ouro_pg_copy_next(out, NULL)), -EINVAL);
    check_comes(out, "1\tx\n", 4);
    ouro_pg_copy_free(out);
    check_eq(ouro_await(ouro_pg_copy_write(NULL, "", 0)), -EINVAL);
    check_eq(ouro_await(ouro_pg_copy_end(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_copy_next(NULL, &row)), -EINVAL);
    check_eq(ouro_pg_copy_rows(NULL), -EINVAL);
    check(ouro_pg_copy_free(NULL) == NULL);
    ouro_pg_free(pg);
    return 0;
}

/* One row at once, and no other for half a minute: the second pushes what is left of the first out
 * of the server's buffer of 8 KiB, and is too small to go before the third. */
#define STALLS                                                          \
    "COPY (SELECT repeat('x', CASE i WHEN 2 THEN 6000 ELSE 20000 END)," \
    " pg_sleep(CASE i WHEN 3 THEN 30 ELSE 0 END)"                       \
    " FROM generate_series(1, 3) i) TO STDOUT"

/* ---- Breaking off ---------------------------------------------------------------------------- */

KernelTest(pg_copy, one_that_is_freed_leaves_nothing)
{
    ouro_pg *pg = with_table();
    for (int i = 0; i < 20; i++) {
        ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
        for (int k = 0; k < i * 100; k++)
            check_eq(put(c, "1\tsome text that takes some room\n"), 33);
        ouro_pg_copy_free(c);
        check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    }
    check_eq(ouro_pg_state_get(pg), OURO_PG_READY);
    check_eq(stats_of(pg).errors, 0); /* that the server did as it was told is none */
    for (int i = 0; i < 20; i++) {
        const void *row;
        ouro_pg_copy *c = opened(pg, "COPY (SELECT generate_series(1, 1000000000)) TO STDOUT");
        for (int k = 0; k < i * 100; k++)
            check(ouro_await(ouro_pg_copy_next(c, &row)) > 0);
        if (i % 2)
            nap(5);
        ouro_pg_copy_free(c);
        check_eq(number(pg, "SELECT 7"), 7);
    }
    ouro_detach(ouro_pg_copy_open(pg, "COPY t FROM STDIN", NULL)); /* nobody takes it */
    ouro_detach(ouro_pg_copy_open(pg, "COPY t TO STDOUT", NULL));
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

/* Bytes for a server that is too slow for them. */
static char *too_much(size_t *ret_size)
{
    size_t size = 32 << 20;
    char *data = malloc(size);
    check(data != NULL);
    for (size_t i = 0; i < size; i += 4)
        memcpy(data + i, "1\tx\n", 4);
    *ret_size = size;
    return data;
}

KernelTest(pg_copy, a_cancelled_write_is_the_end)
{
    ouro_pg *pg = with_table();
    make_slow(pg, "0.5");
    size_t size;
    char *data = too_much(&size);
    ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
    check_eq(ouro_await(ouro_timeout(ouro_pg_copy_write(c, data, size), OURO_MS(50))), -ETIMEDOUT);
    free(data);
    check_eq(put(c, "1\tx\n"), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(ouro_pg_copy_end(c)), -OURO_ECHILDCANCELLED);
    ouro_ns before = ouro_now();
    ouro_pg_copy_free(c);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    check(ouro_now() - before < OURO_SEC(2)); /* it did not sleep over every row */
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, one_waits_at_a_time_and_freeing_ends_that)
{
    ouro_pg *pg = with_table();
    make_slow(pg, "0.5");
    size_t size;
    char *data = too_much(&size);
    ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
    ouro_future *f = ouro_pg_copy_write(c, data, size);
    check_eq(put(c, "1\tx\n"), -EBUSY);
    check_eq(ouro_await(ouro_pg_copy_end(c)), -EBUSY);
    ouro_pg_copy_free(c);
    check_eq(ouro_await(f), -EBADF);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    const void *row;
    c = opened(pg, STALLS);
    check(ouro_await(ouro_pg_copy_next(c, &row)) > 20000);
    f = ouro_pg_copy_next(c, &row);
    check_eq(ouro_await(ouro_pg_copy_next(c, &row)), -EBUSY);
    ouro_pg_copy_free(c);
    check_eq(ouro_await(f), -EBADF);
    check_eq(number(pg, "SELECT 7"), 7);
    free(data);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, a_cancelled_end_stops_the_server)
{
    ouro_pg *pg = with_table();
    make_slow(pg, "30");
    ouro_pg_copy *c = opened(pg, "COPY t FROM STDIN");
    check_eq(put(c, "1\tx\n"), 4);
    ouro_ns before = ouro_now();
    check_eq(ouro_await(ouro_timeout(ouro_pg_copy_end(c), OURO_MS(50))), -ETIMEDOUT);
    check(ouro_now() - before < OURO_SEC(2));
    check_eq(ouro_await(ouro_pg_copy_end(c)), -OURO_ECHILDCANCELLED);
    ouro_pg_copy_free(c);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    c = opened(pg, "COPY t FROM STDIN"); /* freed while it waits for the end */
    check_eq(put(c, "1\tx\n"), 4);
    ouro_future *f = ouro_pg_copy_end(c);
    nap(20);
    ouro_pg_copy_free(c);
    check_eq(ouro_await(f), -EBADF);
    check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, a_cancelled_next_loses_nothing)
{
    ouro_pg *pg = connected();
    const void *row;
    int64_t n, rows = 0;
    int cancelled = 0;
    ouro_pg_copy *c = opened(pg, "COPY (SELECT i, repeat('x', 20000), pg_sleep(0.02)"
                                 " FROM generate_series(1, 20) i) TO STDOUT");
    while ((n = ouro_await(ouro_timeout(ouro_pg_copy_next(c, &row), OURO_MS(7)))) != 0) {
        if (n == -ETIMEDOUT)
            cancelled++;
        else
            check_eq(strtol(row, NULL, 10), ++rows);
    }
    check_eq(rows, 20);
    check(cancelled > 3);
    ouro_pg_copy_free(c);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, a_cancelled_opening_leaves_the_connection)
{
    ouro_pg *pg = with_table();
    for (unsigned i = 0; i < 60; i++) { /* at every moment */
        int64_t rc;
        const char *sql = i % 2 ? "COPY t FROM STDIN" : "COPY (SELECT 1) TO STDOUT";
        ouro_pg_copy *c = ouro_await_ptr(
            ouro_timeout(ouro_pg_copy_open(pg, sql, NULL), OURO_US(i * 15)), &rc);
        check(rc == 0 || rc == -ETIMEDOUT);
        check_eq(c != NULL, rc == 0);
        ouro_pg_copy_free(c);
        check_eq(number(pg, "SELECT count(*) FROM t"), 0);
    }
    check_eq(
        ouro_await(ouro_timeout(
            ouro_pg_copy_open(pg, "COPY (SELECT 1, pg_sleep(30)) TO STDOUT", NULL), OURO_MS(20))),
        -ETIMEDOUT);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, the_connection_is_closed_under_it)
{
    for (int i = 0; i < 4; i++) {
        ouro_pg *pg = with_table();
        make_slow(pg, "30");
        const void *row;
        bool in = i < 2, waits = i % 2;
        ouro_pg_copy *c = opened(pg, in ? "COPY t FROM STDIN" : STALLS);
        ouro_future *f = NULL;
        if (in)
            check_eq(put(c, "1\tx\n"), 4);
        else
            check_eq(ouro_await(ouro_pg_copy_next(c, &row)), 20002);
        if (waits) {
            f = in ? ouro_pg_copy_end(c) : ouro_pg_copy_next(c, &row);
        }
        nap(5);
        check_eq(ouro_await(ouro_pg_close(pg)), 0);
        if (waits)
            check_eq(ouro_await(f), -EBADF);
        check_eq(in ? put(c, "1\tx\n") : ouro_await(ouro_pg_copy_next(c, &row)), -EBADF);
        ouro_pg_copy_free(c);
        ouro_pg_free(pg);
    }
    return 0;
}

KernelTest(pg_copy, its_transaction_ends_under_it)
{
    ouro_pg *pg = with_table();
    const void *row;
    for (int in = 0; in < 2; in++) {
        ouro_pg *tx = begun(pg);
        ouro_pg_copy *c = opened(tx, in ? "COPY t FROM STDIN"
                                        : "COPY (SELECT generate_series(1, 100000000)) TO STDOUT");
        if (in)
            check_eq(put(c, "1\tx\n"), 4);
        check_eq(ouro_await(ouro_pg_rollback(tx)), 0);
        check_eq(in ? put(c, "1\tx\n") : ouro_await(ouro_pg_copy_next(c, &row)), -EBADF);
        check_eq(number(pg, "SELECT count(*) FROM t"), 0);
        ouro_pg_copy_free(c);
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_copy, the_server_goes_under_it)
{
    for (int i = 0; i < 4; i++) {
        ouro_pg *pg = with_table();
        make_slow(pg, "30");
        const void *row;
        bool in = i < 2, waits = i % 2;
        ouro_pg_copy *c = opened(pg, in ? "COPY t FROM STDIN" : STALLS);
        ouro_future *f = NULL;
        if (in)
            check_eq(put(c, "1\tx\n"), 4);
        else
            check_eq(ouro_await(ouro_pg_copy_next(c, &row)), 20002);
        if (waits)
            f = in ? ouro_pg_copy_end(c) : ouro_pg_copy_next(c, &row);
        kill_backend(pg);
        nap(30);
        if (!waits)
            f = in ? ouro_pg_copy_end(c) : ouro_pg_copy_next(c, &row);
        int64_t rc = ouro_await(f);
        while (rc > 0)
            rc = ouro_await(ouro_pg_copy_next(c, &row));
        check(rc == -OURO_ESQL_ADMIN_SHUTDOWN || rc == -ECONNRESET);
        check_eq(in ? put(c, "1\tx\n") : ouro_await(ouro_pg_copy_next(c, &row)), rc);
        check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
        ouro_pg_copy_free(c);
        ouro_pg_free(pg);
    }
    return 0;
}
