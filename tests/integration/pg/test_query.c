/* SPDX-License-Identifier: MIT */
/*
 * Statements: values in, rows out, errors, and what is wrong before the server is asked.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "pg_test.h"

static ouro_pg_result *rows_of(ouro_pg *pg, const char *sql, const ouro_pg_value *params,
                               size_t count, int binary)
{
    int64_t rc;
    ouro_pg_query_options opts = {.binary = binary};
    ouro_pg_result *r = ouro_await_ptr(ouro_pg_query(pg, sql, params, count, &opts), &rc);
    check(rc >= 0);
    check(r != NULL);
    return r;
}

KernelTest(pg_query, brings_rows)
{
    ouro_pg *pg = connected();
    ouro_pg_result *r = rows_of(pg, "SELECT i, 'row ' || i AS name FROM generate_series(1, 3) i",
                                NULL, 0, 0);
    int64_t value;
    check_eq(ouro_pg_rows(r), 3);
    check_eq(ouro_pg_columns(r), 2);
    check_eq(ouro_pg_column(r, "name"), 1);
    check_text(ouro_pg_tag(r), "SELECT 3");
    for (int row = 0; row < 3; row++) {
        check_eq(ouro_pg_int_at(r, row, 0, &value), 0);
        check_eq(value, row + 1);
    }
    check_text(ouro_pg_text_at(r, 2, 1, NULL), "row 3");
    ouro_pg_result_free(r);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, says_how_many_rows_were_changed)
{
    ouro_pg *pg = connected();
    check_eq(run(pg, "CREATE TEMP TABLE t (i int)"), 0);
    check_eq(run(pg, "INSERT INTO t SELECT generate_series(1, 5)"), 5);
    check_eq(run(pg, "UPDATE t SET i = i + 1 WHERE i > 3"), 2);
    check_eq(run(pg, "DELETE FROM t"), 5);
    ouro_pg_free(pg);
    return 0;
}

/* Each value goes to the server as a parameter, and comes back in both forms. */
static void round_trip(ouro_pg *pg, int binary)
{
    static const int64_t ints[] = {0, 1, -1, INT64_MAX, INT64_MIN};
    static const double doubles[] = {0.0, 0.1, -1e300, 5e-324, DBL_MAX, INFINITY, -INFINITY};
    int64_t whole;
    double real;
    int truth;
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        ouro_pg_value v = ouro_pg_int(ints[i]);
        ouro_pg_result *r = rows_of(pg, "SELECT $1::int8", &v, 1, binary);
        check_eq(ouro_pg_int_at(r, 0, 0, &whole), 0);
        check_eq(whole, ints[i]);
        ouro_pg_result_free(r);
    }
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        ouro_pg_value v = ouro_pg_double(doubles[i]);
        ouro_pg_result *r = rows_of(pg, "SELECT $1::float8", &v, 1, binary);
        check_eq(ouro_pg_double_at(r, 0, 0, &real), 0);
        check(real == doubles[i]);
        ouro_pg_result_free(r);
    }
    ouro_pg_value nan = ouro_pg_double(NAN);
    ouro_pg_result *r = rows_of(pg, "SELECT $1::float8", &nan, 1, binary);
    check_eq(ouro_pg_double_at(r, 0, 0, &real), 0);
    check(isnan(real));
    ouro_pg_result_free(r);
    for (int i = 0; i < 2; i++) {
        ouro_pg_value v = ouro_pg_bool(i);
        r = rows_of(pg, "SELECT $1::bool", &v, 1, binary);
        check_eq(ouro_pg_bool_at(r, 0, 0, &truth), 0);
        check_eq(truth, i);
        ouro_pg_result_free(r);
    }
}

KernelTest(pg_query, numbers_come_back_as_they_went)
{
    ouro_pg *pg = connected();
    round_trip(pg, 0);
    round_trip(pg, 1);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, bytes_come_back_as_they_went)
{
    ouro_pg *pg = connected();
    unsigned char all[256];
    const void *data;
    size_t size;
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    for (int binary = 0; binary < 2; binary++) {
        ouro_pg_value v = ouro_pg_bytes(all, sizeof all);
        ouro_pg_result *r = rows_of(pg, "SELECT $1::bytea", &v, 1, binary);
        check_eq(ouro_pg_bytes_at(r, 0, 0, &data, &size), 0);
        check_eq(size, sizeof all);
        check(memcmp(data, all, size) == 0);
        ouro_pg_result_free(r);
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, no_text_is_taken_for_sql)
{
    static const char *const texts[] = {
        "",
        "'",
        "''; DROP TABLE users; --",
        "\\",
        "\\'",
        "\"",
        "$1",
        ":name",
        "{a,b}",
        "NULL",
        "line\nbreak\ttab",
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8d",
        "/* */",
        "%s%n",
        "a\\000b",
    };
    size_t n = sizeof texts / sizeof *texts;
    ouro_pg *pg = connected();
    for (size_t i = 0; i < n; i++) {
        ouro_pg_value v = ouro_pg_text(texts[i]);
        ouro_pg_result *r = rows_of(pg, "SELECT $1::text", &v, 1, 0);
        check_text(ouro_pg_text_at(r, 0, 0, NULL), texts[i]);
        ouro_pg_result_free(r);
    }
    ouro_pg_value all = ouro_pg_texts(texts, n);
    ouro_pg_result *r = rows_of(pg, "SELECT $1::text[], cardinality($1)", &all, 1, 0);
    const ouro_pg_item *items;
    check_eq(ouro_pg_items_at(r, 0, 0, &items), n);
    for (size_t i = 0; i < n; i++)
        check_text(items[i].data, texts[i]);
    ouro_pg_result_free(r);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, arrays_go_where_any_wants_one)
{
    static const int64_t wanted[] = {2, 4, 9};
    ouro_pg *pg = connected();
    ouro_pg_value v = ouro_pg_ints(wanted, 3);
    ouro_pg_result *r = rows_of(pg, "SELECT i FROM generate_series(1, 5) i WHERE i = ANY($1)", &v,
                                1, 0);
    check_eq(ouro_pg_rows(r), 2);
    ouro_pg_result_free(r);
    v = ouro_pg_ints(NULL, 0);
    r = rows_of(pg, "SELECT i FROM generate_series(1, 5) i WHERE i = ANY($1)", &v, 1, 0);
    check_eq(ouro_pg_rows(r), 0);
    ouro_pg_result_free(r);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, values_have_names)
{
    ouro_pg *pg = connected();
    ouro_pg_result *r = rows_of(
        pg,
        "SELECT :a::int + :b::int, ':a', \":b\", $$:a$$ /* :c */ FROM (SELECT 1 AS \":b\") x -- :d",
        OURO_PG_PARAMS(ouro_pg_named("a", ouro_pg_int(40)), ouro_pg_named("b", ouro_pg_int(2))), 0);
    int64_t sum;
    check_eq(ouro_pg_int_at(r, 0, 0, &sum), 0);
    check_eq(sum, 42);
    check_text(ouro_pg_text_at(r, 0, 1, NULL), ":a");
    check_text(ouro_pg_text_at(r, 0, 3, NULL), ":a");
    ouro_pg_result_free(r);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, wrong_names_are_named)
{
    ouro_pg *pg = connected();
    ouro_pg_error error;
    ouro_pg_query_options opts = {.error = &error};
    ouro_pg_value a = ouro_pg_named("a", ouro_pg_int(1)), b = ouro_pg_named("bee", ouro_pg_int(2));
    check_eq(words_of(ouro_pg_query(pg, "SELECT :a, :nothing", &a, 1, &opts), "nothing"), -ENOKEY);
    check_eq(error.code, -ENOKEY);
    ouro_pg_value both[] = {a, b}, twice[] = {a, a}, mixed[] = {a, ouro_pg_int(1)};
    check_eq(words_of(ouro_pg_query(pg, "SELECT :a", both, 2, &opts), "bee"), -EBADSLT);
    check_eq(ouro_await(ouro_pg_query(pg, "SELECT :a", twice, 2, &opts)), -ENOTUNIQ);
    check_eq(ouro_await(ouro_pg_query(pg, "SELECT :a", mixed, 2, &opts)), -EINVAL);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, errors_have_fields)
{
    ouro_pg *pg = connected();
    ouro_pg_error error, kept;
    ouro_pg_query_options opts = {.error = &error};
    check_eq(run(pg, "CREATE TEMP TABLE people (id int PRIMARY KEY, name text NOT NULL)"), 0);
    check_eq(run(pg, "INSERT INTO people VALUES (1, 'Ann')"), 1);
    check_eq(words_of(ouro_pg_query(pg, "INSERT INTO people VALUES (1, 'Bob')", NULL, 0, &opts),
                      "Key (id)=(1) already exists"),
             -OURO_ESQL_UNIQUE_VIOLATION);
    check_text(error.sqlstate, "23505");
    check_text(error.severity, "ERROR");
    check_text(error.table, "people");
    check_text(error.constraint, "people_pkey");
    check_text(error.detail, "Key (id)=(1) already exists.");
    check_eq(error.code, -OURO_ESQL_UNIQUE_VIOLATION);
    check_eq(ouro_pg_error_get(pg, &kept), 0);
    check(memcmp(&kept, &error, sizeof kept) == 0);
    check_eq(run(pg, "INSERT INTO people VALUES (2, NULL)"), -OURO_ESQL_NOT_NULL_VIOLATION);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, positions_are_those_of_what_was_written)
{
    ouro_pg *pg = connected();
    ouro_pg_error error;
    ouro_pg_query_options opts = {.error = &error};
    ouro_pg_value v = ouro_pg_named("a_long_name", ouro_pg_int(1));
    const char *sql = "SELECT '\xc3\xa4', :a_long_name::int, nonsense";
    check_eq(ouro_await(ouro_pg_query(pg, sql, &v, 1, &opts)), -OURO_ESQL('4', '2', '7', '0', '3'));
    check_eq(error.position, 32); /* in characters */
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, what_is_wrong_before_it_is_sent)
{
    static ouro_pg_value many[OURO_PG_PARAMS_MAX + 1];
    ouro_pg *pg = connected();
    ouro_pg_value zero = ouro_pg_text_of("a\0b", 3), odd = {.type = (ouro_pg_type)99};
    check_eq(ouro_await(ouro_pg_query(pg, NULL, NULL, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_query(NULL, "SELECT 1", NULL, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_query(pg, "SELECT $1", NULL, 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_query(pg, "SELECT $1::text", &zero, 1, NULL)), -EILSEQ);
    check_eq(ouro_await(ouro_pg_query(pg, "SELECT $1::text", &odd, 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_pg_query(pg, "SELECT 1", many, OURO_PG_PARAMS_MAX + 1, NULL)), -E2BIG);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, a_wrong_number_of_values_is_the_servers_to_tell)
{
    ouro_pg *pg = connected();
    ouro_pg_value two[] = {ouro_pg_int(1), ouro_pg_int(2)};
    int64_t rc = ouro_await(ouro_pg_query(pg, "SELECT $1::int, $2::int, $3::int", two, 2, NULL));
    check_eq(rc, -OURO_ESQL('0', '8', 'P', '0', '1'));
    check(ouro_await(ouro_pg_query(pg, "SELECT $1::int", two, 2, NULL)) < 0);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, takes_65535_values)
{
    ouro_pg *pg = connected();
    size_t n = OURO_PG_PARAMS_MAX, used = 0;
    ouro_pg_value *values = malloc(n * sizeof *values);
    char *sql = malloc(n * 16 + 64);
    used += (size_t)sprintf(sql, "SELECT cardinality(ARRAY[");
    for (size_t i = 0; i < n; i++) {
        values[i] = ouro_pg_int((int64_t)i);
        used += (size_t)sprintf(sql + used, "%s$%zu::int", i ? "," : "", i + 1);
    }
    sprintf(sql + used, "])");
    ouro_pg_result *r = rows_of(pg, sql, values, n, 0);
    int64_t count;
    check_eq(ouro_pg_int_at(r, 0, 0, &count), 0);
    check_eq(count, n);
    ouro_pg_result_free(r);
    free(values);
    free(sql);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, takes_a_value_of_64_mib)
{
    ouro_pg *pg = connected();
    size_t size = 64u << 20;
    char *data = malloc(size);
    memset(data, 'x', size);
    ouro_pg_value v = ouro_pg_bytes(data, size);
    ouro_pg_result *r = rows_of(pg, "SELECT length($1::bytea)", &v, 1, 0);
    int64_t length;
    check_eq(ouro_pg_int_at(r, 0, 0, &length), 0);
    check_eq(length, size);
    ouro_pg_result_free(r);
    free(data);
    ouro_pg_free(pg);
    return 0;
}

struct shared {
    ouro_pg *pg;
    int started;
    int ended;
};

static int64_t one_of_many(void *arg)
{
    struct shared *s = arg;
    int mine = s->started++;
    int64_t n = number(s->pg, "SELECT pg_sleep(0.001)::text = ''");
    check_eq(n, 1);
    check_eq(s->ended++, mine); /* in the order of the calls */
    return 0;
}

KernelTest(pg_query, many_tasks_stand_in_line_on_one_connection)
{
    struct shared s = {.pg = connected()};
    ouro_future *f[50];
    for (int i = 0; i < 50; i++)
        f[i] = ouro_spawn(one_of_many, &s);
    check_eq(ouro_await(ouro_gather(f, 50, OURO_GATHER_ALL, NULL)), 0);
    check_eq(s.ended, 50);
    ouro_pg_free(s.pg);
    return 0;
}

KernelTest(pg_query, gathered_without_tasks)
{
    ouro_pg *pg = connected();
    ouro_future *f[3] = {
        ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL),
        ouro_pg_query(pg, "SELECT 1 / 0", NULL, 0, NULL),
        ouro_pg_query(pg, "SELECT 3", NULL, 0, NULL),
    };
    ouro_result r[3];
    check_eq(ouro_await(ouro_gather(f, 3, OURO_GATHER_COLLECT, r)), 0);
    check_eq(r[0].n, 1);
    check_eq(r[1].n, -OURO_ESQL('2', '2', '0', '1', '2'));
    check_eq(r[2].n, 1);
    ouro_pg_result_free(r[0].ptr);
    ouro_pg_result_free(r[2].ptr);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, copy_is_not_for_here)
{
    static const char *const copies[] = {"COPY (SELECT 1) TO STDOUT", "COPY u FROM STDIN"};
    for (int i = 0; i < 4; i++) {
        ouro_pg *pg = connected();
        check_eq(run(pg, "CREATE TEMP TABLE u (i int)"), 0);
        check_eq(i < 2 ? run(pg, copies[i]) : ouro_await(ouro_pg_script(pg, copies[i - 2], NULL)),
                 -OURO_ECOPY);
        check_eq(run(pg, "SELECT 1"), -OURO_ECOPY);
        check_eq(ouro_pg_state_get(pg), OURO_PG_LOST);
        ouro_pg_free(pg);
    }
    return 0;
}

static void check_is_empty(int64_t rc, ouro_pg_result *r)
{
    check_eq(rc, 0);
    check_eq(ouro_pg_rows(r), 0);
    check_eq(ouro_pg_columns(r), 0);
    check_text(ouro_pg_tag(r), "");
    ouro_pg_result_free(r);
}

/* The same by whichever call, prepared or not. */
KernelTest(pg_query, an_empty_statement_does_nothing_and_succeeds)
{
    static const char *const texts[] = {"", "-- nothing", " ; ", "/* ; */"};
    ouro_pg *pg = connected();
    for (size_t i = 0; i < 3 * sizeof texts / sizeof *texts; i++) {
        const char *sql = texts[i / 3];
        int64_t rc;
        ouro_pg_result *r = ouro_await_ptr(ouro_pg_query(pg, sql, NULL, 0, NULL), &rc);
        check_is_empty(rc, r);
        r = ouro_await_ptr(ouro_pg_script(pg, sql, NULL), &rc);
        check_is_empty(rc, r);
        ouro_pg_statement st = {sql, NULL, 0};
        ouro_result result;
        check_eq(ouro_await(ouro_pg_batch(pg, &st, 1, &result, NULL)), 0);
        check_is_empty(result.n, result.ptr);
        ouro_pg_stream *s = ouro_await_ptr(ouro_pg_stream_open(pg, sql, NULL, 0, NULL), &rc);
        check_eq(rc, 0);
        check_eq(ouro_await(ouro_pg_stream_next(s)), 0);
        ouro_pg_stream_free(s);
    }
    check(run(pg, "SELECT 1; SELECT 2") < 0);
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, scripts_are_many_statements)
{
    ouro_pg *pg = connected();
    int64_t rc;
    ouro_pg_result *r = ouro_await_ptr(
        ouro_pg_script(pg, "CREATE TEMP TABLE s (i int); INSERT INTO s VALUES (1), (2); TABLE s",
                       NULL),
        &rc);
    check_eq(rc, 2);
    check_eq(ouro_pg_rows(r), 2);
    ouro_pg_result_free(r);
    check_eq(ouro_await(ouro_pg_script(pg, "DELETE FROM s; SELECT 1 / 0", NULL)),
             -OURO_ESQL('2', '2', '0', '1', '2'));
    check_eq(number(pg, "SELECT count(*) FROM s"), 2); /* the whole script was undone */
    check_eq(ouro_await(ouro_pg_script(pg, "", NULL)), 0);
    check_eq(ouro_await(ouro_pg_script(pg, NULL, NULL)), -EINVAL);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, nobody_takes_the_rows)
{
    ouro_pg *pg = connected();
    ouro_detach(ouro_pg_query(pg, "SELECT 1", NULL, 0, NULL));
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_query, a_result_outlives_its_connection)
{
    ouro_pg *pg = connected();
    ouro_pg_result *r = rows_of(pg, "SELECT 'still here'", NULL, 0, 0);
    ouro_pg_free(pg);
    check_text(ouro_pg_text_at(r, 0, 0, NULL), "still here");
    ouro_pg_result_free(r);
    return 0;
}
