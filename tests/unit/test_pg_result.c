/* SPDX-License-Identifier: MIT */
/*
 * Rows on their way in: what the getters make of every type, in text and in binary form, and what
 * they refuse.
 */
#include "pg_test.h"

#include <float.h>
#include <limits.h>
#include <math.h>

TestSuite(pg_result, .timeout = 60);

enum {
    BOOL = 16,
    BYTEA = 17,
    INT8 = 20,
    INT2 = 21,
    INT4 = 23,
    TEXT = 25,
    OID = 26,
    FLOAT4 = 700,
    FLOAT8 = 701,
    VARCHAR = 1043,
    DATE = 1082,
    TIMESTAMP = 1114,
    TIMESTAMPTZ = 1184,
    NUMERIC = 1700,
    UUID = 2950
};

/* Binary data as a text of hexadecimal digits, with blanks where they please. */
static ouro_pg_result *binary_of(Oid type, const char *hex)
{
    char data[1024];
    size_t size = 0;
    for (unsigned byte; sscanf(hex, " %2x", &byte) == 1; size++) {
        data[size] = (char)byte;
        hex += strspn(hex, " ") + 2;
    }
    return one_of(type, 1, data, size);
}

/* ---- The result as a whole ------------------------------------------------------------------- */

static PGresult *table(int rows)
{
    static char names[3][8] = {"id", "name", "id"};
    PGresAttDesc columns[3] = {{.name = names[0], .typid = INT4},
                               {.name = names[1], .typid = TEXT},
                               {.name = names[2], .typid = INT8}};
    PGresult *part = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    check(PQsetResultAttrs(part, 3, columns));
    for (int row = 0; row < rows; row++) {
        char text[16];
        int size = snprintf(text, sizeof text, "%d", row);
        check(PQsetvalue(part, row, 0, text, size));
        check(PQsetvalue(part, row, 1, text, row % 2 ? -1 : size));
        check(PQsetvalue(part, row, 2, text, size));
    }
    return part;
}

Test(pg_result, says_what_it_has)
{
    PGresult *part = table(5);
    ouro_pg_result *r = ouro__pg_result_new(&part, 1);
    check_eq(ouro_pg_rows(r), 5);
    check_eq(ouro_pg_columns(r), 3);
    check_text(ouro_pg_column_name(r, 0), "id");
    check_text(ouro_pg_column_name(r, 1), "name");
    check(ouro_pg_column_name(r, 3) == NULL);
    check(ouro_pg_column_name(r, -1) == NULL);
    check_eq(ouro_pg_column_type(r, 1), TEXT);
    check_eq(ouro_pg_column_type(r, 2), INT8);
    check_eq(ouro_pg_column_type(r, 3), 0);
    check_eq(ouro_pg_column(r, "id"), 0);
    check_eq(ouro_pg_column(r, "name"), 1);
    check_eq(ouro_pg_column(r, "NAME"), -ENOENT);
    check_eq(ouro_pg_column(r, ""), -ENOENT);
    check_eq(ouro_pg_affected(r), 0);
    check_text(ouro_pg_tag(r), "");
    check(ouro_pg_result_free(r) == NULL);
}

Test(pg_result, of_no_rows)
{
    PGresult *part = table(0);
    ouro_pg_result *r = ouro__pg_result_new(&part, 1);
    int64_t n;
    check_eq(ouro_pg_rows(r), 0);
    check_eq(ouro_pg_columns(r), 3);
    check_eq(ouro_pg_int_at(r, 0, 0, &n), -ENOENT);
    ouro_pg_result_free(r);
    part = PQmakeEmptyPGresult(NULL, PGRES_COMMAND_OK);
    r = ouro__pg_result_new(&part, 1);
    check_eq(ouro_pg_rows(r), 0);
    check_eq(ouro_pg_columns(r), 0);
    check_eq(ouro_pg_column(r, "id"), -ENOENT);
    ouro_pg_result_free(r);
}

Test(pg_result, of_one_part_or_of_many_is_read_alike)
{
    PGresult *parts[256];
    for (int i = 0; i < 256; i++) {
        PGresult *whole = table(i + 1);
        parts[i] = PQcopyResult(whole, PG_COPYRES_ATTRS);
        for (int column = 0; column < 3; column++)
            check(PQsetvalue(parts[i], 0, column, PQgetvalue(whole, i, column),
                             PQgetisnull(whole, i, column) ? -1 : PQgetlength(whole, i, column)));
        PQclear(whole);
    }
    PGresult *one = table(256);
    ouro_pg_result *both[] = {ouro__pg_result_new(&one, 1), ouro__pg_result_new(parts, 256)};
    for (int i = 0; i < 2; i++) {
        check_eq(ouro_pg_rows(both[i]), 256);
        check_eq(ouro_pg_column(both[i], "name"), 1);
        for (int64_t row = 0; row < 256; row++) {
            int64_t n = -1;
            check_eq(ouro_pg_int_at(both[i], row, 2, &n), 0);
            check_eq(n, row);
            check_eq(ouro_pg_is_null(both[i], row, 1), row % 2);
        }
        int64_t n;
        check_eq(ouro_pg_int_at(both[i], 256, 0, &n), -ENOENT);
        ouro_pg_result_free(both[i]);
    }
}

Test(pg_result, takes_nothing_over_without_memory)
{
    struct pieces none = {.left = 0};
    memory_of(&none);
    PGresult *part = table(1);
    check(ouro__pg_result_new(&part, 1) == NULL);
    check_eq(PQntuples(part), 1);
    none.left = 1;
    ouro_pg_result *r = ouro__pg_result_new(&part, 1);
    check(r != NULL); /* one piece is all it takes */
    ouro_pg_result_free(r);
    check_eq(none.live, 0);
    ouro_set_allocator(NULL);
}

Test(pg_result, that_is_missing)
{
    int64_t n;
    double d;
    int truth;
    char uuid[OURO_PG_UUID_TEXT];
    const void *data;
    size_t size = 9;
    check_eq(ouro_pg_rows(NULL), -EINVAL);
    check_eq(ouro_pg_columns(NULL), -EINVAL);
    check_eq(ouro_pg_affected(NULL), -EINVAL);
    check_text(ouro_pg_tag(NULL), "");
    check_eq(ouro_pg_column(NULL, "x"), -EINVAL);
    check(ouro_pg_column_name(NULL, 0) == NULL);
    check_eq(ouro_pg_column_type(NULL, 0), 0);
    check_eq(ouro_pg_is_null(NULL, 0, 0), 1);
    check(ouro_pg_text_at(NULL, 0, 0, &size) == NULL);
    check_eq(size, 0);
    check_eq(ouro_pg_int_at(NULL, 0, 0, &n), -EINVAL);
    check_eq(ouro_pg_double_at(NULL, 0, 0, &d), -EINVAL);
    check_eq(ouro_pg_bool_at(NULL, 0, 0, &truth), -EINVAL);
    check_eq(ouro_pg_time_at(NULL, 0, 0, &n), -EINVAL);
    check_eq(ouro_pg_uuid_at(NULL, 0, 0, uuid), -EINVAL);
    check_eq(ouro_pg_bytes_at(NULL, 0, 0, &data, &size), -EINVAL);
    check(ouro_pg_result_free(NULL) == NULL);
}

Test(pg_result, has_nowhere_to_write)
{
    ouro_pg_result *r = text_of(BYTEA, "\\x00");
    const void *data;
    size_t size;
    check_eq(ouro_pg_column(r, NULL), -EINVAL);
    check_eq(ouro_pg_int_at(r, 0, 0, NULL), -EINVAL);
    check_eq(ouro_pg_double_at(r, 0, 0, NULL), -EINVAL);
    check_eq(ouro_pg_bool_at(r, 0, 0, NULL), -EINVAL);
    check_eq(ouro_pg_time_at(r, 0, 0, NULL), -EINVAL);
    check_eq(ouro_pg_uuid_at(r, 0, 0, NULL), -EINVAL);
    check_eq(ouro_pg_bytes_at(r, 0, 0, NULL, &size), -EINVAL);
    check_eq(ouro_pg_bytes_at(r, 0, 0, &data, NULL), -EINVAL);
    ouro_pg_result_free(r);
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* All getters say @code of a place, and write nothing. */
static void all_say(ouro_pg_result *r, int64_t row, int column, int code)
{
    int64_t n = 7;
    double d = 7;
    int truth = 7;
    char uuid[OURO_PG_UUID_TEXT] = "7";
    const void *data = &n;
    size_t size = 7;
    check_eq(ouro_pg_int_at(r, row, column, &n), code);
    check_eq(ouro_pg_time_at(r, row, column, &n), code);
    check_eq(n, 7);
    check_eq(ouro_pg_double_at(r, row, column, &d), code);
    check(d == 7);
    check_eq(ouro_pg_bool_at(r, row, column, &truth), code);
    check_eq(truth, 7);
    check_eq(ouro_pg_uuid_at(r, row, column, uuid), code);
    check_text(uuid, "7");
    check_eq(ouro_pg_bytes_at(r, row, column, &data, &size), code);
    check(data == &n);
    check_eq(size, 7);
}

Test(pg_result, null_and_what_is_not_there)
{
    for (int format = 0; format < 2; format++) {
        ouro_pg_result *r = one_of(BYTEA, format, NULL, 0);
        all_say(r, 0, 0, -ENODATA);
        all_say(r, 1, 0, -ENOENT);
        all_say(r, 0, 1, -ENOENT);
        all_say(r, -1, 0, -ENOENT);
        all_say(r, 0, -1, -ENOENT);
        all_say(r, INT64_MAX, INT_MAX, -ENOENT);
        all_say(r, INT64_MIN, INT_MIN, -ENOENT);
        all_say(r, INT64_C(1) << 32, 0, -ENOENT);
        size_t size = 7;
        check(ouro_pg_text_at(r, 0, 0, &size) == NULL);
        check_eq(size, 0);
        check(ouro_pg_text_at(r, 0, 1, NULL) == NULL);
        check_eq(ouro_pg_is_null(r, 0, 0), 1);
        check_eq(ouro_pg_is_null(r, 0, 1), 1);
        ouro_pg_result_free(r);
    }
}

Test(pg_result, what_is_something_else)
{
    static const char *const texts[] = {"",         "x",    " 1",         "1 ",   "0x1F",   "1,5",
                                        "--1",      "+",    "-",          ".",    "e5",     "1e",
                                        "1e+",      "1.5.", "inf",        "nan",  "nan(1)", "$1.00",
                                        "INFINITY", "tt",   "01/02/2024", "1_000"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        ouro_pg_result *r = text_of(TEXT, texts[i]);
        all_say(r, 0, 0, -EBADMSG);
        check_text(ouro_pg_text_at(r, 0, 0, NULL), texts[i]);
        check_eq(ouro_pg_is_null(r, 0, 0), 0);
        ouro_pg_result_free(r);
    }
    static const Oid types[] = {BOOL, INT2,      INT4,        INT8,    OID,  FLOAT4, FLOAT8,
                                DATE, TIMESTAMP, TIMESTAMPTZ, NUMERIC, UUID, 600};
    for (size_t i = 0; i < COUNT(types); i++) {
        ouro_pg_result *r = binary_of(types[i], "010203");
        all_say(r, 0, 0, -EBADMSG);
        ouro_pg_result_free(r);
        r = binary_of(types[i], "");
        all_say(r, 0, 0, -EBADMSG);
        ouro_pg_result_free(r);
    }
}

Test(pg_result, a_zero_byte_ends_no_number)
{
    ouro_pg_result *r = one_of(TEXT, 1, "12\0", 3);
    all_say(r, 0, 0, -EBADMSG);
    ouro_pg_result_free(r);
    r = one_of(TEXT, 1, "12\0003", 4);
    all_say(r, 0, 0, -EBADMSG);
    ouro_pg_result_free(r);
}

Test(pg_result, text_is_what_the_server_wrote)
{
    size_t size;
    ouro_pg_result *r = text_of(TEXT, "\xc3\xa4 {\\x}");
    check_text(ouro_pg_text_at(r, 0, 0, &size), "\xc3\xa4 {\\x}");
    check_eq(size, 7);
    ouro_pg_result_free(r);
    r = text_of(TEXT, "");
    check_text(ouro_pg_text_at(r, 0, 0, &size), "");
    check_eq(size, 0);
    check_eq(ouro_pg_is_null(r, 0, 0), 0);
    ouro_pg_result_free(r);
    r = one_of(INT4, 1, "\0\0\0\7", 4);
    check_eq(memcmp(ouro_pg_text_at(r, 0, 0, &size), "\0\0\0\7", 5), 0);
    check_eq(size, 4);
    ouro_pg_result_free(r);
}

/* ---- Whole numbers --------------------------------------------------------------------------- */

static void int_is(ouro_pg_result *r, int code, int64_t want)
{
    int64_t n = 4711;
    check_eq(ouro_pg_int_at(r, 0, 0, &n), code);
    check_eq(n, code ? 4711 : want);
    ouro_pg_result_free(r);
}

Test(pg_result, whole_numbers_of_text)
{
    int_is(text_of(INT4, "0"), 0, 0);
    int_is(text_of(INT2, "-32768"), 0, -32768);
    int_is(text_of(INT8, "9223372036854775807"), 0, INT64_MAX);
    int_is(text_of(INT8, "-9223372036854775808"), 0, INT64_MIN);
    int_is(text_of(NUMERIC, "9223372036854775808"), -ERANGE, 0);
    int_is(text_of(NUMERIC, "-9223372036854775809"), -ERANGE, 0);
    int_is(text_of(NUMERIC, "100000000000000000000000000000000000000000"), -ERANGE, 0);
    int_is(text_of(NUMERIC, "9223372036854775808x"), -EBADMSG, 0);
    int_is(text_of(NUMERIC, "12.00"), 0, 12);
    int_is(text_of(NUMERIC, "-12.0"), 0, -12);
    int_is(text_of(NUMERIC, "12.01"), -EBADMSG, 0);
    int_is(text_of(NUMERIC, "12."), -EBADMSG, 0);
    int_is(text_of(NUMERIC, ".0"), -EBADMSG, 0);
    int_is(text_of(NUMERIC, "NaN"), -EBADMSG, 0);
    int_is(text_of(NUMERIC, "Infinity"), -EBADMSG, 0);
    int_is(text_of(OID, "4294967295"), 0, UINT32_MAX);
    int_is(text_of(TEXT, "007"), 0, 7);
    int_is(text_of(TEXT, "+7"), 0, 7);
    int_is(text_of(TEXT, "00000000000000000000000000007"), 0, 7);
    int_is(text_of(BOOL, "t"), 0, 1);
    int_is(text_of(BOOL, "f"), 0, 0);
    int_is(text_of(BOOL, "1"), -EBADMSG, 0);
    int_is(text_of(TEXT, "t"), -EBADMSG, 0);
    int_is(text_of(FLOAT8, "3"), -EBADMSG, 0);
    int_is(text_of(BYTEA, "123"), -EBADMSG, 0);
}

Test(pg_result, whole_numbers_in_binary)
{
    int_is(binary_of(INT2, "8000"), 0, -32768);
    int_is(binary_of(INT2, "7fff"), 0, 32767);
    int_is(binary_of(INT4, "ffffffff"), 0, -1);
    int_is(binary_of(INT4, "80000000"), 0, INT32_MIN);
    int_is(binary_of(INT8, "8000000000000000"), 0, INT64_MIN);
    int_is(binary_of(INT8, "7fffffffffffffff"), 0, INT64_MAX);
    int_is(binary_of(OID, "ffffffff"), 0, UINT32_MAX);
    int_is(binary_of(BOOL, "01"), 0, 1);
    int_is(binary_of(BOOL, "00"), 0, 0);
    int_is(binary_of(BOOL, "02"), -EBADMSG, 0);
    int_is(binary_of(INT4, "00000001 00"), -EBADMSG, 0);
    int_is(binary_of(FLOAT8, "3ff0000000000000"), -EBADMSG, 0);
    int_is(one_of(VARCHAR, 1, "-42", 3), 0, -42);
}

/* ---- Floating-point numbers ------------------------------------------------------------------ */

static void double_is(ouro_pg_result *r, int code, double want)
{
    double d = 4711;
    check_eq(ouro_pg_double_at(r, 0, 0, &d), code);
    want = code ? 4711 : want;
    check(memcmp(&d, &want, sizeof d) == 0 || (isnan(d) && isnan(want)));
    ouro_pg_result_free(r);
}

Test(pg_result, floating_point_numbers_of_text)
{
    double_is(text_of(FLOAT8, "0"), 0, 0);
    double_is(text_of(FLOAT8, "-0"), 0, -0.0);
    double_is(text_of(FLOAT8, "0.1"), 0, 0.1);
    double_is(text_of(FLOAT4, "0.1"), 0, 0.1);
    double_is(text_of(FLOAT8, "1e+15"), 0, 1e15);
    double_is(text_of(FLOAT8, "1.7976931348623157e+308"), 0, DBL_MAX);
    double_is(text_of(FLOAT8, "5e-324"), 0, DBL_TRUE_MIN);
    double_is(text_of(FLOAT8, "NaN"), 0, (double)NAN);
    double_is(text_of(FLOAT8, "Infinity"), 0, (double)INFINITY);
    double_is(text_of(FLOAT8, "-Infinity"), 0, -(double)INFINITY);
    double_is(text_of(INT8, "9007199254740993"), 0, 9007199254740992.0);
    double_is(text_of(NUMERIC, "0.30000000000000004441"), 0, 0.30000000000000004);
    double_is(text_of(NUMERIC, ".5"), 0, 0.5);
    double_is(text_of(FLOAT8, "1.8e308"), -ERANGE, 0);
    double_is(text_of(FLOAT8, "-1.8e308"), -ERANGE, 0);
    double_is(text_of(FLOAT8, "1e-400"), 0, 0);
    double_is(text_of(BOOL, "t"), -EBADMSG, 0);
    double_is(text_of(BYTEA, "1.5"), -EBADMSG, 0);
}

Test(pg_result, floating_point_numbers_in_binary)
{
    double_is(binary_of(FLOAT4, "3dcccccd"), 0, (double)0.1f);
    double_is(binary_of(FLOAT4, "7f800000"), 0, (double)INFINITY);
    double_is(binary_of(FLOAT8, "3fb999999999999a"), 0, 0.1);
    double_is(binary_of(FLOAT8, "8000000000000000"), 0, -0.0);
    double_is(binary_of(FLOAT8, "7ff8000000000000"), 0, (double)NAN);
    double_is(binary_of(FLOAT8, "0000000000000001"), 0, DBL_TRUE_MIN);
    double_is(binary_of(INT4, "fffffffe"), 0, -2);
    double_is(binary_of(INT8, "0020000000000001"), 0, 9007199254740992.0);
    double_is(binary_of(BOOL, "01"), -EBADMSG, 0);
    double_is(binary_of(DATE, "00000001"), -EBADMSG, 0);
    double_is(one_of(TEXT, 1, "2.5", 3), 0, 2.5);
}

/* ---- Numeric in binary: count, weight, sign, scale, digits ----------------------------------- */

Test(pg_result, whole_numbers_of_binary_numerics)
{
    int_is(binary_of(NUMERIC, "0000 0000 0000 0000"), 0, 0);
    int_is(binary_of(NUMERIC, "0001 0000 0000 0000 0007"), 0, 7);
    int_is(binary_of(NUMERIC, "0001 0000 4000 0000 0007"), 0, -7);
    int_is(binary_of(NUMERIC, "0001 0001 0000 0000 0007"), 0, 70000);
    int_is(binary_of(NUMERIC, "0002 0001 0000 0000 0007 270f"), 0, 79999);
    /* 922 3372 0368 5477 5807, 5808, and one more */
    int_is(binary_of(NUMERIC, "0005 0004 0000 0000 039a 0d2c 0170 1565 16af"), 0, INT64_MAX);
    int_is(binary_of(NUMERIC, "0005 0004 4000 0000 039a 0d2c 0170 1565 16b0"), 0, INT64_MIN);
    int_is(binary_of(NUMERIC, "0005 0004 0000 0000 039a 0d2c 0170 1565 16b0"), -ERANGE, 0);
    int_is(binary_of(NUMERIC, "0005 0004 4000 0000 039a 0d2c 0170 1565 16b1"), -ERANGE, 0);
    int_is(binary_of(NUMERIC, "0001 7fff 0000 0000 0001"), -ERANGE, 0);
    int_is(binary_of(NUMERIC, "0002 0000 0000 0002 0007 0000"), 0, 7);
    int_is(binary_of(NUMERIC, "0002 0000 0000 0002 0007 1388"), -EBADMSG, 0); /* 7.5 */
    int_is(binary_of(NUMERIC, "0001 ffff 0000 0002 1388"), -EBADMSG, 0);      /* 0.5 */
    int_is(binary_of(NUMERIC, "0001 8000 0000 0002 0001"), -EBADMSG, 0);
    int_is(binary_of(NUMERIC, "0000 0000 c000 0000"), -EBADMSG, 0);
    int_is(binary_of(NUMERIC, "0000 0000 d000 0000"), -EBADMSG, 0);
    int_is(binary_of(NUMERIC, "0001 0000 0000 0000"), -EBADMSG, 0); /* a digit is missing */
    int_is(binary_of(NUMERIC, "0000 0000 0000 0000 0001"), -EBADMSG, 0);
    int_is(binary_of(NUMERIC, "ffff 0000 0000 0000 0001"), -EBADMSG, 0);
    int_is(binary_of(NUMERIC, "0001 0000 0000 0000 2710"), -EBADMSG, 0); /* no digit */
    int_is(binary_of(NUMERIC, "0001 0000 1234 0000 0001"), -EBADMSG, 0); /* no sign */
}

Test(pg_result, floating_point_numbers_of_binary_numerics)
{
    double_is(binary_of(NUMERIC, "0000 0000 0000 0000"), 0, 0);
    double_is(binary_of(NUMERIC, "0002 0000 0000 0002 0007 1388"), 0, 7.5);
    double_is(binary_of(NUMERIC, "0001 ffff 4000 0001 03e8"), 0, -0.1);
    double_is(binary_of(NUMERIC, "0001 0010 0000 0000 0001"), 0, 1e64);
    double_is(binary_of(NUMERIC, "0001 0050 0000 0000 0001"), -ERANGE, 0);
    double_is(binary_of(NUMERIC, "0001 fc00 0000 0000 0001"), 0, 0);
    double_is(binary_of(NUMERIC, "0000 0000 c000 0000"), 0, (double)NAN);
    double_is(binary_of(NUMERIC, "0000 0000 d000 0000"), 0, (double)INFINITY);
    double_is(binary_of(NUMERIC, "0000 0000 f000 0000"), 0, -(double)INFINITY);
    double_is(binary_of(NUMERIC, "0000 0000 1234 0000"), -EBADMSG, 0);
    double_is(binary_of(NUMERIC, "0001 0000 0000 0000 2710"), -EBADMSG, 0);
}

/* 2^53 + 1 is the middle between two doubles, and the even one is taken; the least bit more, however
 * far behind, decides for the other. */
Test(pg_result, a_binary_numeric_is_rounded_by_its_last_digit)
{
    static const int counts[] = {5, 100, 201, 250, 3000};
    for (size_t i = 0; i < COUNT(counts); i++)
        for (int last = 0; last < 2; last++) {
            size_t size = 8 + 2 * (size_t)counts[i];
            char *data = calloc(1, size);
            data[0] = (char)(counts[i] >> 8);
            data[1] = (char)counts[i];
            data[3] = 3;
            memcpy(data + 8, "\x23\x2f\x07\xc8\x15\x62\x03\xe1", 8); /* 9007 1992 5474 0993 */
            data[size - 1] = (char)last;
            double_is(one_of(NUMERIC, 1, data, size), 0, 9007199254740992.0 + 2 * last);
            free(data);
        }
}

/* ---- Booleans -------------------------------------------------------------------------------- */

static void bool_is(ouro_pg_result *r, int code, int want)
{
    int truth = 4711;
    check_eq(ouro_pg_bool_at(r, 0, 0, &truth), code);
    check_eq(truth, code ? 4711 : want);
    ouro_pg_result_free(r);
}

Test(pg_result, booleans)
{
    bool_is(text_of(BOOL, "t"), 0, 1);
    bool_is(text_of(BOOL, "f"), 0, 0);
    bool_is(text_of(BOOL, "true"), -EBADMSG, 0);
    bool_is(text_of(BOOL, "\1"), -EBADMSG, 0);
    bool_is(text_of(TEXT, "t"), -EBADMSG, 0);
    bool_is(text_of(INT4, "1"), -EBADMSG, 0);
    bool_is(binary_of(BOOL, "01"), 0, 1);
    bool_is(binary_of(BOOL, "00"), 0, 0);
    bool_is(binary_of(BOOL, "74"), -EBADMSG, 0);
    bool_is(binary_of(BOOL, "0000"), -EBADMSG, 0);
}

/* ---- UUIDs ----------------------------------------------------------------------------------- */

static void uuid_is(ouro_pg_result *r, const char *want)
{
    char text[OURO_PG_UUID_TEXT] = "before";
    check_eq(ouro_pg_uuid_at(r, 0, 0, text), want ? 0 : -EBADMSG);
    check_text(text, want ? want : "before");
    ouro_pg_result_free(r);
}

Test(pg_result, uuids)
{
    static const char id[] = "01234567-89ab-cdef-0123-456789abcdef";
    uuid_is(text_of(UUID, id), id);
    uuid_is(text_of(TEXT, "01234567-89AB-CDEF-0123-456789ABCDEF"), id);
    uuid_is(binary_of(UUID, "0123456789abcdef0123456789abcdef"), id);
    uuid_is(one_of(VARCHAR, 1, id, 36), id);
    uuid_is(text_of(UUID, "01234567-89ab-cdef-0123-456789abcde"), NULL);
    uuid_is(text_of(UUID, "01234567-89ab-cdef-0123-456789abcdef0"), NULL);
    uuid_is(text_of(UUID, "01234567-89ab-cdef-0123-456789abcdeg"), NULL);
    uuid_is(text_of(UUID, "012345678-9ab-cdef-0123-456789abcdef"), NULL);
    uuid_is(text_of(UUID, "0123456789abcdef0123456789abcdef"), NULL);
    uuid_is(one_of(TEXT, 1, "01234567-89ab-cdef-0123-456789abcde\0", 36), NULL);
    uuid_is(binary_of(UUID, "0123456789abcdef0123456789abcd"), NULL);
    uuid_is(binary_of(BYTEA, "0123456789abcdef0123456789abcdef"), NULL);
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* Asked for twice, since the first time changes it; then the text is the bytes, too. */
static void bytes_are(ouro_pg_result *r, const char *want, size_t want_size)
{
    const void *data;
    size_t size;
    for (int again = 0; again < 2; again++) {
        check_eq(ouro_pg_bytes_at(r, 0, 0, &data, &size), 0);
        check_eq(size, want_size);
        check_eq(memcmp(data, want, size), 0);
    }
    check(ouro_pg_text_at(r, 0, 0, &size) == data);
    check_eq(size, want_size);
    check_eq(((const char *)data)[size], 0);
    ouro_pg_result_free(r);
}

static void no_bytes(const char *text)
{
    ouro_pg_result *r = text_of(BYTEA, text);
    const void *data;
    size_t size;
    check_eq(ouro_pg_bytes_at(r, 0, 0, &data, &size), -EBADMSG);
    check_text(ouro_pg_text_at(r, 0, 0, NULL), text);
    ouro_pg_result_free(r);
}

Test(pg_result, bytes_of_hexadecimal_text)
{
    bytes_are(text_of(BYTEA, "\\x"), "", 0);
    bytes_are(text_of(BYTEA, "\\x00"), "\0", 1);
    bytes_are(text_of(BYTEA, "\\x00ff10Ab"), "\0\xff\x10\xab", 4);
    bytes_are(text_of(BYTEA, "\\x5c7830"), "\\x0", 3); /* what comes out looks like what went in */
    no_bytes("\\x0");
    no_bytes("\\x0g");
    no_bytes("\\xg0");
    no_bytes("\\x 00");
    no_bytes("\\X00");
    char text[2 + 512 + 1] = "\\x", want[256];
    for (unsigned i = 0; i < 256; i++) {
        snprintf(text + 2 + 2 * i, 3, "%02x", i);
        want[i] = (char)i;
    }
    bytes_are(text_of(BYTEA, text), want, 256);
    for (int c = 1; c < 256; c++) {
        char one[] = {'\\', 'x', '0', (char)c, '\0'};
        if (!strchr("0123456789abcdefABCDEF", c))
            no_bytes(one);
    }
}

Test(pg_result, bytes_of_escaped_text)
{
    bytes_are(text_of(BYTEA, ""), "", 0);
    bytes_are(text_of(BYTEA, "abc"), "abc", 3);
    bytes_are(text_of(BYTEA, "\\\\"), "\\", 1);
    bytes_are(text_of(BYTEA, "\\000"), "\0", 1);
    bytes_are(text_of(BYTEA, "a\\377\\\\b\\001"), "a\xff\\b\1", 5);
    bytes_are(text_of(BYTEA, "\\\\\\\\x00"), "\\\\x00", 5);
    bytes_are(text_of(BYTEA, "\\\\x00"), "\\x00", 4); /* and is not decoded again */
    no_bytes("\\");
    no_bytes("a\\");
    no_bytes("\\0");
    no_bytes("\\00");
    no_bytes("\\400");
    no_bytes("\\080");
    no_bytes("\\n");
}

/* How many fewer there are is written into the byte behind, or before it when they are many. */
Test(pg_result, bytes_of_escaped_text_of_every_length)
{
    char text[4 * 800 + 1], want[800];
    for (size_t zeros = 0; zeros < 800; zeros++)
        for (size_t slashes = 0; slashes < 3; slashes++) {
            size_t size = 0;
            for (size_t i = 0; i < slashes; i++, size += 2)
                memcpy(text + size, "\\\\", 2);
            for (size_t i = slashes; i < zeros; i++, size += 4)
                memcpy(text + size, "\\000", 4);
            text[size] = '\0';
            memset(want, 0, sizeof want);
            memset(want, '\\', slashes);
            bytes_are(text_of(BYTEA, text), want, zeros > slashes ? zeros : slashes);
        }
}

Test(pg_result, bytes_in_binary)
{
    bytes_are(one_of(BYTEA, 1, "\\x00\0\xff", 6), "\\x00\0\xff", 6);
    bytes_are(one_of(BYTEA, 1, "", 0), "", 0);
}

Test(pg_result, bytes_are_those_of_a_bytea)
{
    const void *data;
    size_t size;
    ouro_pg_result *r = text_of(TEXT, "\\x00");
    check_eq(ouro_pg_bytes_at(r, 0, 0, &data, &size), -EBADMSG);
    ouro_pg_result_free(r);
}

Test(pg_result, bytes_that_were_decoded_are_nothing_else)
{
    ouro_pg_result *r = text_of(BYTEA, "\\x3132");
    const void *data;
    size_t size;
    int64_t n;
    const ouro_pg_item *items;
    check_eq(ouro_pg_bytes_at(r, 0, 0, &data, &size), 0);
    check_eq(ouro_pg_int_at(r, 0, 0, &n), -EBADMSG);
    check_eq(ouro_pg_time_at(r, 0, 0, &n), -EBADMSG);
    check_eq(ouro_pg_items_at(r, 0, 0, &items), -EBADMSG);
    check_eq(ouro_pg_is_null(r, 0, 0), 0);
    ouro_pg_result_free(r);
}

/* ---- Points of time -------------------------------------------------------------------------- */

static void time_is(ouro_pg_result *r, int code, int64_t want)
{
    int64_t us = 4711;
    check_eq(ouro_pg_time_at(r, 0, 0, &us), code);
    check_eq(us, code ? 4711 : want);
    ouro_pg_result_free(r);
}

#define S   INT64_C(1000000)
#define DAY (86400 * S)

Test(pg_result, times_of_text)
{
    time_is(text_of(TIMESTAMP, "1970-01-01 00:00:00"), 0, 0);
    time_is(text_of(TIMESTAMP, "1970-01-01 00:00:00.000001"), 0, 1);
    time_is(text_of(TIMESTAMP, "1969-12-31 23:59:59.999999"), 0, -1);
    time_is(text_of(TIMESTAMP, "1970-01-01 00:00:00.1"), 0, 100000);
    time_is(text_of(TIMESTAMP, "1970-01-01 00:00:00.12345"), 0, 123450);
    time_is(text_of(TIMESTAMP, "2000-01-01 00:00:00"), 0, 946684800 * S);
    time_is(text_of(TIMESTAMP, "2024-02-29 12:34:56"), 0, 1709210096 * S);
    time_is(text_of(TIMESTAMPTZ, "2024-02-29 12:34:56+00"), 0, 1709210096 * S);
    time_is(text_of(TIMESTAMPTZ, "2024-02-29 18:04:56+05:30"), 0, 1709210096 * S);
    time_is(text_of(TIMESTAMPTZ, "2024-02-29 04:34:56.5-08"), 0, 1709210096 * S + 500000);
    time_is(text_of(TIMESTAMPTZ, "1970-01-01 00:00:00-00:44:30"), 0, 2670 * S);
    time_is(text_of(TIMESTAMPTZ, "1970-01-01 00:53:28+00:53:28"), 0, 0);
    time_is(text_of(TEXT, "1970-01-02 00:00:00"), 0, DAY);
    time_is(one_of(TEXT, 1, "1970-01-02", 10), 0, DAY);
    time_is(text_of(TIMESTAMP, "infinity"), 0, INT64_MAX);
    time_is(text_of(DATE, "-infinity"), 0, INT64_MIN);
}

Test(pg_result, dates_of_text)
{
    time_is(text_of(DATE, "1970-01-01"), 0, 0);
    time_is(text_of(DATE, "1970-01-02"), 0, DAY);
    time_is(text_of(DATE, "2000-02-29"), 0, 11016 * DAY);
    time_is(text_of(DATE, "2000-03-01"), 0, 11017 * DAY);
    time_is(text_of(DATE, "1900-03-01"), 0, -25508 * DAY);
    time_is(text_of(DATE, "0001-01-01"), 0, -719162 * DAY);
    time_is(text_of(DATE, "0001-12-31 BC"), 0, -719163 * DAY);
    time_is(text_of(DATE, "0001-02-29 BC"), 0, -719469 * DAY);
    time_is(text_of(DATE, "0044-03-15 BC"), 0, -735160 * DAY);
    time_is(text_of(TIMESTAMP, "0044-03-15 12:00:00 BC"), 0, -735160 * DAY + DAY / 2);
    time_is(text_of(TIMESTAMPTZ, "0044-03-15 12:00:00.5+12 BC"), 0, -735160 * DAY + S / 2);
    time_is(text_of(DATE, "4714-11-24 BC"), 0, -2440588 * DAY);
    time_is(text_of(DATE, "10000-01-01"), 0, 2932897 * DAY);
}

Test(pg_result, times_beyond_what_can_be_counted)
{
    time_is(text_of(DATE, "5874897-12-31"), -ERANGE, 0);
    time_is(text_of(TIMESTAMP, "294276-12-31 23:59:59.999999"), -ERANGE, 0);
    time_is(text_of(DATE, "999999999-12-31"), -ERANGE, 0);
    time_is(text_of(TIMESTAMP, "294247-01-10 04:00:54.775806"), 0, INT64_MAX - 1);
    time_is(text_of(TIMESTAMP, "294247-01-10 04:00:54.775807"), -ERANGE, 0);
    time_is(text_of(TIMESTAMP, "294247-01-10 04:00:54.775808"), -ERANGE, 0);
    time_is(binary_of(DATE, "7ffffffe"), -ERANGE, 0);
    time_is(binary_of(DATE, "80000001"), -ERANGE, 0);
    time_is(binary_of(TIMESTAMP, "7ffffffffffffffe"), -ERANGE, 0);
    /* a microsecond more than the last */
    time_is(binary_of(TIMESTAMP, "7ffca2fec4c82000"), -ERANGE, 0);
}

Test(pg_result, what_is_no_time)
{
    static const char *const texts[] = {
        "1970-01-01 ",
        "1970-01-01 00",
        "1970-01-01 00:00",
        "1970-01-01 00:00:",
        "1970-01-01 00:00:0",
        "1970-01-01 00:00:00.",
        "1970-01-01 00:00:00.0000000",
        "1970-01-01 24:00:00",
        "1970-01-01 00:60:00",
        "1970-01-01 00:00:60",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-01-01 00:00:00 +00",
        "1970-01-01 00:00:00+",
        "1970-01-01 00:00:00+1",
        "1970-01-01 00:00:00+01:",
        "1970-01-01 00:00:00+01:60",
        "1970-01-01 00:00:00+01:00:60",
        "1970-01-01 00:00:00+16",
        "1970-01-01 00:00:00+00 AD",
        "1970-01-01 00:00:00+00 BCE",
        "1970-01-01 BCE",
        "1970-01-01  BC",
        "1970-01-01BC",
        "1970-01-01 B",
        "1970-00-01",
        "1970-13-01",
        "1970-01-00",
        "1970-01-32",
        "1970-04-31",
        "1970-02-29",
        "1900-02-29",
        "0002-02-29 BC",
        "0000-01-01",
        "0000-01-01 BC",
        "970-01-01",
        "1970-1-01",
        "1970-01-1",
        "1970-01-01x",
        "1970/01/01",
        "01/02/2024",
        "01/02/2024 03:04:05 CET",
        "02.01.2024",
        "Tue Jan 02 03:04:05 2024",
        "01-02-2024",
        "2024-01-02 03:04:05 CET",
        "03:04:05",
        "-1970-01-01",
        "1234567890-01-01",
        "Infinity",
        "infinity ",
        "1 day",
        "",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        time_is(text_of(TIMESTAMPTZ, texts[i]), -EBADMSG, 0);
}

Test(pg_result, times_in_binary)
{
    time_is(binary_of(TIMESTAMP, "0000000000000000"), 0, 946684800 * S);
    time_is(binary_of(TIMESTAMPTZ, "ffffffffffffffff"), 0, 946684800 * S - 1);
    time_is(binary_of(TIMESTAMP, "fffca2fec4c82000"), 0, 0);
    time_is(binary_of(DATE, "00000000"), 0, 946684800 * S);
    time_is(binary_of(DATE, "ffffd533"), 0, 0);
    time_is(binary_of(TIMESTAMP, "7fffffffffffffff"), 0, INT64_MAX);
    time_is(binary_of(TIMESTAMPTZ, "8000000000000000"), 0, INT64_MIN);
    time_is(binary_of(DATE, "7fffffff"), 0, INT64_MAX);
    time_is(binary_of(DATE, "80000000"), 0, INT64_MIN);
    time_is(binary_of(TIMESTAMP, "00000000"), -EBADMSG, 0);
    time_is(binary_of(DATE, "0000000000000000"), -EBADMSG, 0);
    time_is(binary_of(INT8, "0000000000000000"), -EBADMSG, 0);
}

/* One after the other, so none is left out and none is there twice. */
Test(pg_result, every_day_of_800_years)
{
    int64_t day = -135140; /* 1600-01-01 */
    for (int year = 1600; year < 2400; year++)
        for (int month = 1; month <= 12; month++) {
            bool leap = year % 4 == 0 && (year % 100 || year % 400 == 0);
            int last = month == 2                                              ? 28 + leap
                       : month == 4 || month == 6 || month == 9 || month == 11 ? 30
                                                                               : 31;
            for (int d = 1; d <= 32; d++) {
                char text[16];
                snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, d);
                if (d <= last)
                    time_is(text_of(DATE, text), 0, DAY * day++);
                else
                    time_is(text_of(DATE, text), -EBADMSG, 0);
            }
        }
}
