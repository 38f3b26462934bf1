/* SPDX-License-Identifier: MIT */
/*
 * The edges of every type, as the server itself writes them: each value in the text form and in the
 * binary one, and both are the same.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "pg_test.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The one value of an expression, in a form. */
static ouro_pg_result *value_of(ouro_pg *pg, const char *expression, int binary)
{
    char sql[300];
    int64_t rc;
    ouro_pg_query_options opts = {.binary = binary};
    snprintf(sql, sizeof sql, "SELECT %s", expression);
    ouro_pg_result *r = ouro_await_ptr(ouro_pg_query(pg, sql, NULL, 0, &opts), &rc);
    if (rc != 1)
        fprintf(stderr, "%s: %lld\n", sql, (long long)rc);
    check_eq(rc, 1);
    return r;
}

KernelTest(pg_types, whole_numbers)
{
    static const struct {
        const char *sql;
        int rc;
        int64_t value;
    } cases[] = {
        {"(-32768)::int2", 0, INT16_MIN},
        {"32767::int2", 0, INT16_MAX},
        {"(-2147483648)::int4", 0, INT32_MIN},
        {"2147483647::int4", 0, INT32_MAX},
        {"(-9223372036854775808)::int8", 0, INT64_MIN},
        {"9223372036854775807::int8", 0, INT64_MAX},
        {"4294967295::oid", 0, UINT32_MAX},
        {"true", 0, 1},
        {"false", 0, 0},
        {"9223372036854775807::numeric", 0, INT64_MAX},
        {"(-9223372036854775808)::numeric", 0, INT64_MIN},
        {"9223372036854775808::numeric", -ERANGE, 0},
        {"(-9223372036854775809)::numeric", -ERANGE, 0},
        {"1e100::numeric", -ERANGE, 0},
        {"0::numeric(40, 0)", 0, 0},
        {"10000::numeric", 0, 10000},
        {"0.5::numeric", -EBADMSG, 0},
        {"'NaN'::numeric", -EBADMSG, 0},
        {"'2001-02-03'::date", -EBADMSG, 0},
        {"NULL::int4", -ENODATA, 0},
        {"NULL::numeric", -ENODATA, 0},
    };
    ouro_pg *pg = connected();
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        int64_t value = 0;
        ouro_pg_result *r = value_of(pg, cases[i / 2].sql, i % 2);
        int rc = ouro_pg_int_at(r, 0, 0, &value);
        if (rc != cases[i / 2].rc || value != cases[i / 2].value)
            check_text(cases[i / 2].sql, i % 2 ? "(binary)" : "(text)");
        ouro_pg_result_free(r);
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_types, floating_point_numbers)
{
    static const struct {
        const char *sql;
        int rc;
        double value;
    } cases[] = {
        {"1.7976931348623157e308::float8", 0, DBL_MAX},
        {"2.2250738585072014e-308::float8", 0, DBL_MIN},
        {"4.9406564584124654e-324::float8", 0, 4.9406564584124654e-324},
        {"'-infinity'::float8", 0, -INFINITY},
        {"'infinity'::float4", 0, INFINITY},
        {"16777215::float4", 0, 16777215},
        {"(-0.25)::float4", 0, -0.25},
        {"(-1.5)::float4", 0, -1.5},
        {"0.1::numeric", 0, 0.1},
        {"1e-400::numeric", 0, 0.0},
        {"1e400::numeric", -ERANGE, 0},
        {"'-infinity'::numeric", 0, -INFINITY},
        {"12345678901234567890.123456789::numeric", 0, 12345678901234567890.123456789},
        {"9007199254740993::int8", 0, 9007199254740992.0},
        {"NULL::float8", -ENODATA, 0},
    };
    ouro_pg *pg = connected();
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        double value = 0;
        ouro_pg_result *r = value_of(pg, cases[i / 2].sql, i % 2);
        int rc = ouro_pg_double_at(r, 0, 0, &value);
        if (rc != cases[i / 2].rc || value != cases[i / 2].value)
            check_text(cases[i / 2].sql, i % 2 ? "(binary)" : "(text)");
        ouro_pg_result_free(r);
        static const char *const nans[] = {"'NaN'::float8", "'NaN'::float4", "'NaN'::numeric"};
        if (i >= 2 * COUNT(nans))
            continue;
        r = value_of(pg, nans[i / 2], i % 2);
        check_eq(ouro_pg_double_at(r, 0, 0, &value), 0);
        check(isnan(value));
        ouro_pg_result_free(r);
    }
    ouro_pg_free(pg);
    return 0;
}

/* Microseconds are what the server says they are. */
KernelTest(pg_types, times)
{
    static const char *const cases[] = {
        "'1970-01-01 00:00:00+00'::timestamptz",
        "'1969-12-31 23:59:59.999999+00'::timestamptz",
        "'4713-01-01 00:00:00+00 BC'::timestamptz",
        "'294247-01-10 04:00:54.775806+00'::timestamptz",
        "'2000-02-29 12:00:00.5'::timestamp",
        "'0001-12-31 00:00:00 BC'::timestamp",
        "'9999-12-31 23:59:59.999999'::timestamp",
        "'10000-01-01 00:00:00'::timestamp",
        "'1900-02-28'::date",
        "'4714-11-24 BC'::date",
        "'290000-12-31'::date",
        "'2024-02-29'::date",
    };
    static const char *const zones[] = {"UTC", "Asia/Kathmandu", "America/St_Johns"};
    ouro_pg *pg = connected();
    for (size_t zone = 0; zone < COUNT(zones); zone++) {
        char sql[300];
        snprintf(sql, sizeof sql, "SET TimeZone = '%s'", zones[zone]);
        check_eq(run(pg, sql), 0);
        for (size_t i = 0; i < 2 * COUNT(cases); i++) {
            int64_t us = 0, wanted;
            const char *at = cases[i / 2];
            snprintf(sql, sizeof sql, "SELECT (extract(epoch FROM %s) * 1000000)::int8", at);
            wanted = number(pg, sql);
            ouro_pg_result *r = value_of(pg, at, i % 2);
            int rc = ouro_pg_time_at(r, 0, 0, &us);
            if (rc != 0 || us != wanted)
                check_text(at, i % 2 ? "(binary)" : zones[zone]);
            ouro_pg_result_free(r);
        }
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_types, times_without_an_end)
{
    static const char *const types[] = {"timestamptz", "timestamp", "date"};
    ouro_pg *pg = connected();
    for (size_t i = 0; i < 4 * COUNT(types); i++) {
        char sql[60];
        int64_t us;
        snprintf(sql, sizeof sql, "'%sinfinity'::%s", i % 2 ? "-" : "", types[i / 4]);
        ouro_pg_result *r = value_of(pg, sql, i / 2 % 2);
        check_eq(ouro_pg_time_at(r, 0, 0, &us), 0);
        check(us == (i % 2 ? INT64_MIN : INT64_MAX));
        ouro_pg_result_free(r);
    }
    for (int binary = 0; binary < 2; binary++) { /* the server has more than we count to */
        int64_t us = 7;
        ouro_pg_result *r = value_of(pg, "'294276-12-31 23:59:59.999999+00'::timestamptz", binary);
        check_eq(ouro_pg_time_at(r, 0, 0, &us), -ERANGE);
        check_eq(us, 7);
        ouro_pg_result_free(r);
    }
    ouro_pg_free(pg);
    return 0;
}

KernelTest(pg_types, identifiers_and_bytes)
{
    ouro_pg *pg = connected();
    for (int binary = 0; binary < 2; binary++) {
        char text[OURO_PG_UUID_TEXT];
        const void *data = NULL;
        size_t size = 99;
        ouro_pg_result *r = value_of(pg, "'FFFFFFFF-0000-0000-0000-00000000000A'::uuid", binary);
        check_eq(ouro_pg_uuid_at(r, 0, 0, text), 0);
        check_text(text, "ffffffff-0000-0000-0000-00000000000a");
        ouro_pg_result_free(r);
        r = value_of(pg, "''::bytea", binary);
        check_eq(ouro_pg_bytes_at(r, 0, 0, &data, &size), 0);
        check_eq(size, 0);
        ouro_pg_result_free(r);
        r = value_of(pg, "NULL::bytea", binary);
        check_eq(ouro_pg_bytes_at(r, 0, 0, &data, &size), -ENODATA);
        ouro_pg_result_free(r);
        check_eq(run(pg, "SET bytea_output = 'escape'"), 0);
        r = value_of(pg, "'\\x00275c80ff'::bytea", binary);
        check_eq(ouro_pg_bytes_at(r, 0, 0, &data, &size), 0);
        check_eq(size, 5);
        check(memcmp(data, "\0'\\\x80\xff", 5) == 0);
        ouro_pg_result_free(r);
        check_eq(run(pg, "RESET bytea_output"), 0);
    }
    ouro_pg_free(pg);
    return 0;
}

/* How many items, and the last of them; "" for the SQL NULL. */
static void check_items(ouro_pg *pg, const char *array, int64_t count, const char *last)
{
    const ouro_pg_item *items;
    ouro_pg_result *r = value_of(pg, array, 0);
    check_eq(ouro_pg_items_at(r, 0, 0, &items), count);
    if (count > 0 && last)
        check_text(items[count - 1].data ? items[count - 1].data : "", last);
    ouro_pg_result_free(r);
}

KernelTest(pg_types, arrays)
{
    ouro_pg *pg = connected();
    check_items(pg, "'{}'::int[]", 0, NULL);
    check_items(pg, "ARRAY[NULL]::text[]", 1, "");
    check_items(pg, "ARRAY['NULL', 'a\"b\\c,{}']", 2, "a\"b\\c,{}");
    check_items(pg, "ARRAY[1, -9223372036854775808]::int8[]", 2, "-9223372036854775808");
    check_items(pg, "ARRAY[true, false]", 2, "f");
    check_items(pg, "ARRAY['infinity']::float8[]", 1, "Infinity");
    check_items(pg, "ARRAY['2001-02-03 04:05:06']::timestamp[]", 1, "2001-02-03 04:05:06");
    check_items(pg, "array_agg(i) FROM generate_series(1, 100000) i", 100000, "100000");
    check_items(pg, "ARRAY[[1, 2], [3, 4]]", -EDOM, NULL);
    check_items(pg, "'[0:1]={1,2}'::int[]", -EDOM, NULL);
    check_items(pg, "NULL::int[]", -ENODATA, NULL);
    check_items(pg, "7", -EBADMSG, NULL);
    ouro_pg_free(pg);
    return 0;
}

/* What a type cannot hold is refused by the server, and the connection goes on. */
KernelTest(pg_types, values_beyond_the_edge_are_refused)
{
    static const char *const types[] = {"int2", "int4", "date", "uuid", "bool", "json"};
    ouro_pg *pg = connected();
    for (size_t i = 0; i < COUNT(types); i++) {
        char sql[60];
        ouro_pg_value v = i < 2 ? ouro_pg_int(INT64_MAX) : ouro_pg_text("{nonsense");
        snprintf(sql, sizeof sql, "SELECT $1::%s", types[i]);
        check(ouro_await(ouro_pg_query(pg, sql, &v, 1, NULL)) <=
              -OURO_ESQL('2', '2', '0', '0', '0'));
    }
    ouro_pg_value v = ouro_pg_text("\xff\xfe");
    check_eq(ouro_await(ouro_pg_query(pg, "SELECT $1::text", &v, 1, NULL)),
             -OURO_ESQL('2', '2', '0', '2', '1'));
    check_eq(number(pg, "SELECT 7"), 7);
    ouro_pg_free(pg);
    return 0;
}
