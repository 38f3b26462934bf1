/* SPDX-License-Identifier: MIT */
/*
 * Values on their way out: how each type is written, what is refused, and that a statement lies in
 * the memory it asked for.
 */
#include "pg_test.h"

#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>

TestSuite(pg_params, .timeout = 60);

/* A single value is sent as @text. */
static void written(ouro_pg_value v, const char *text)
{
    struct made m = make("SELECT $1", &v, 1);
    check_text(m.s.values[0], text);
    check_eq(m.s.lengths[0], strlen(text));
    check_eq(m.s.formats[0], 0);
    made_free(&m);
}

/* ---- Single values --------------------------------------------------------------------------- */

Test(pg_params, numbers_are_written_in_decimal)
{
    written(ouro_pg_int(0), "0");
    written(ouro_pg_int(-1), "-1");
    written(ouro_pg_int(INT64_MAX), "9223372036854775807");
    written(ouro_pg_int(INT64_MIN), "-9223372036854775808");
    char text[32];
    for (int64_t n = 1; n < INT64_MAX / 10; n *= 10)
        for (int64_t i = -1; i <= 1; i++)
            for (int64_t sign = -1; sign <= 1; sign += 2) {
                snprintf(text, sizeof text, "%lld", (long long)(sign * (n + i)));
                written(ouro_pg_int(sign * (n + i)), text);
            }
}

Test(pg_params, booleans_are_t_and_f)
{
    written(ouro_pg_bool(0), "f");
    written(ouro_pg_bool(1), "t");
    written(ouro_pg_bool(-7), "t");
}

Test(pg_params, doubles_are_written_with_as_few_digits_as_bring_them_back)
{
    written(ouro_pg_double(0), "0");
    written(ouro_pg_double(-0.0), "-0");
    written(ouro_pg_double(1), "1");
    written(ouro_pg_double(-123456789), "-123456789");
    written(ouro_pg_double(0.1), "0.1");
    written(ouro_pg_double(1.0 / 3), "0.3333333333333333");
    written(ouro_pg_double(0.1 + 0.2), "0.30000000000000004");
    written(ouro_pg_double(1e15), "1e+15");
    written(ouro_pg_double(999999999999999), "999999999999999");
    written(ouro_pg_double(1e300), "1e+300");
    written(ouro_pg_double(DBL_MAX), "1.7976931348623157e+308");
    written(ouro_pg_double(-DBL_MIN), "-2.2250738585072014e-308");
    written(ouro_pg_double(DBL_TRUE_MIN), "4.94065645841247e-324");
    written(ouro_pg_double((double)NAN), "NaN");
    written(ouro_pg_double((double)INFINITY), "Infinity");
    written(ouro_pg_double(-(double)INFINITY), "-Infinity");
}

Test(pg_params, any_double_comes_back)
{
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double number;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        ouro_pg_value v = ouro_pg_double(number);
        struct made m = make("", &v, 1);
        check(strtod(m.s.values[0], NULL) == number);
        made_free(&m);
    }
}

Test(pg_params, doubles_have_a_point_in_every_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    bool found = false;
    for (size_t i = 0; i < COUNT(names); i++)
        if (setlocale(LC_ALL, names[i])) {
            found = true;
            written(ouro_pg_double(-1.25e-10), "-1.25e-10");
            written(ouro_pg_double(0.5), "0.5");
            double back;
            ouro_pg_result *r = text_of(701, "0.5");
            check_eq(ouro_pg_double_at(r, 0, 0, &back), 0);
            check(back == 0.5);
            ouro_pg_result_free(r);
        }
    if (!found)
        cr_skip_test("no locale with a comma is installed");
}

Test(pg_params, texts_are_sent_as_they_are)
{
    written(ouro_pg_text(""), "");
    written(ouro_pg_text("it's; DROP TABLE users; --"), "it's; DROP TABLE users; --");
    written(ouro_pg_text("\xc3\xa4\\\"\n"), "\xc3\xa4\\\"\n");
    written(ouro_pg_text_of("abcdef", 3), "abc");
    written(ouro_pg_text_of("", 0), "");
}

Test(pg_params, null_is_no_value)
{
    ouro_pg_value nulls[] = {ouro_pg_null(),           ouro_pg_text(NULL),
                             ouro_pg_text_of(NULL, 9), ouro_pg_bytes(NULL, 0),
                             ouro_pg_ints(NULL, 3),    ouro_pg_texts(NULL, 1)};
    struct made m = make("", nulls, COUNT(nulls));
    for (size_t i = 0; i < COUNT(nulls); i++) {
        check(m.s.values[i] == NULL);
        check_eq(m.s.lengths[i], 0);
        check_eq(m.s.formats[i], 0);
    }
    made_free(&m);
}

Test(pg_params, bytes_are_sent_in_binary)
{
    ouro_pg_value v[] = {ouro_pg_bytes("a\0b\xff", 4), ouro_pg_bytes("", 0)};
    struct made m = make("", v, 2);
    check_eq(m.s.formats[0], 1);
    check_eq(m.s.lengths[0], 4);
    check_eq(memcmp(m.s.values[0], "a\0b\xff", 4), 0);
    check_eq(m.s.formats[1], 1);
    check_eq(m.s.lengths[1], 0);
    check(m.s.values[1] != NULL);
    made_free(&m);
}

/* ---- Arrays ---------------------------------------------------------------------------------- */

Test(pg_params, arrays_are_written_in_braces)
{
    static const int64_t ints[] = {1, -2, INT64_MIN, INT64_MAX, 0};
    static const int bools[] = {1, 0, -1};
    static const double doubles[] = {0.5, (double)NAN, -(double)INFINITY, 3, -DBL_MIN};
    written(ouro_pg_ints(ints, 5), "{1,-2,-9223372036854775808,9223372036854775807,0}");
    written(ouro_pg_ints(ints, 1), "{1}");
    written(ouro_pg_ints(NULL, 0), "{}");
    written(ouro_pg_texts(NULL, 0), "{}");
    written(ouro_pg_array(OURO_PG_BOOLS, bools, 3), "{t,f,t}");
    written(ouro_pg_array(OURO_PG_DOUBLES, doubles, 5),
            "{0.5,NaN,-Infinity,3,-2.2250738585072014e-308}");
}

Test(pg_params, texts_in_arrays_are_quoted_whatever_is_in_them)
{
    static const char *const texts[] = {"",   "a",  "NULL", NULL, "a,b", "{}",
                                        "\"", "\\", " x ",  "'",  "\n",  "\xc3\xa4"};
    written(ouro_pg_texts(texts, COUNT(texts)),
            "{\"\",\"a\",\"NULL\",NULL,\"a,b\",\"{}\",\"\\\"\",\"\\\\\",\" x \",\"'\",\"\n\","
            "\"\xc3\xa4\"}");
}

/* ---- Whole statements ------------------------------------------------------------------------ */

Test(pg_params, a_statement_without_values_is_a_text)
{
    struct made m = make("SELECT ':x', :y", NULL, 0);
    check_text(m.s.sql, "SELECT ':x', :y");
    check(m.s.given == m.s.sql);
    made_free(&m);
    m = make("", NULL, 0);
    check_text(m.s.sql, "");
    made_free(&m);
}

Test(pg_params, as_many_values_as_the_protocol_counts)
{
    ouro_pg_value *many = calloc(OURO_PG_PARAMS_MAX + 1, sizeof *many);
    for (size_t i = 0; i <= OURO_PG_PARAMS_MAX; i++)
        many[i] = ouro_pg_int((int64_t)i);
    struct made m = make("VALUES ($1)", many, OURO_PG_PARAMS_MAX);
    check_text(m.s.values[OURO_PG_PARAMS_MAX - 1], "65534");
    made_free(&m);
    refused("VALUES ($1)", many, OURO_PG_PARAMS_MAX + 1, -E2BIG, "");
    free(many);
}

Test(pg_params, values_of_all_kinds_stand_beside_each_other)
{
    static const int64_t ints[] = {7, 8};
    ouro_pg_value v[] = {ouro_pg_text("a"), ouro_pg_null(), ouro_pg_bytes("\0", 1),
                         ouro_pg_ints(ints, 2), ouro_pg_double(1.5)};
    struct made m = make("SELECT $1, $2, $3, $4, $5", v, COUNT(v));
    check_text(m.s.sql, "SELECT $1, $2, $3, $4, $5");
    check_text(m.s.values[0], "a");
    check(m.s.values[1] == NULL);
    check_eq(m.s.lengths[2], 1);
    check_text(m.s.values[3], "{7,8}");
    check_text(m.s.values[4], "1.5");
    made_free(&m);
}

/* ---- Bad input ------------------------------------------------------------------------------- */

Test(pg_params, pointers_that_are_missing_are_refused)
{
    ouro_pg_value v = ouro_pg_int(1);
    refused(NULL, &v, 1, -EINVAL, "");
    refused("SELECT $1", NULL, 1, -EINVAL, "");
    static const ouro_pg_type types[] = {OURO_PG_TEXT, OURO_PG_BYTES,   OURO_PG_BOOLS,
                                         OURO_PG_INTS, OURO_PG_DOUBLES, OURO_PG_TEXTS};
    for (size_t i = 0; i < COUNT(types); i++) {
        v = ouro_pg_null();
        v.type = types[i];
        if (types[i] >= OURO_PG_BOOLS)
            v.as.array.count = 1;
        refused("SELECT $1", &v, 1, -EINVAL, "");
    }
}

Test(pg_params, unknown_types_are_refused)
{
    ouro_pg_value v = ouro_pg_int(1);
    v.type = (ouro_pg_type)(OURO_PG_TEXTS + 1);
    refused("SELECT $1", &v, 1, -EINVAL, "");
    v = ouro_pg_array((ouro_pg_type)99, NULL, 0);
    refused("SELECT $1", &v, 1, -EINVAL, "");
}

Test(pg_params, a_zero_byte_in_a_text_is_refused)
{
    for (size_t i = 0; i < 4; i++) {
        char text[4] = "abcd";
        text[i] = '\0';
        ouro_pg_value v = ouro_pg_text_of(text, 4);
        refused("SELECT $1", &v, 1, -EILSEQ, "");
    }
}

Test(pg_params, what_libpq_cannot_count_is_refused_unread)
{
    static const size_t sizes[] = {INT_MAX, (size_t)INT_MAX + 1, SIZE_MAX / 2, SIZE_MAX};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        ouro_pg_value v[] = {ouro_pg_text_of("x", sizes[i]), ouro_pg_bytes("x", sizes[i]),
                             ouro_pg_ints((const int64_t[]){1}, sizes[i]),
                             ouro_pg_texts((const char *const[]){"x"}, sizes[i])};
        for (size_t k = 0; k < COUNT(v); k++)
            refused("SELECT $1", &v[k], 1, -EOVERFLOW, "");
    }
}

Test(pg_params, values_that_are_too_much_together_are_refused)
{
    ouro_pg_value v[3];
    size_t third = INT_MAX / 3;
    char *large = calloc(1, third);
    for (size_t i = 0; i < 3; i++)
        v[i] = ouro_pg_bytes(large, third);
    refused("SELECT $1, $2, $3", v, 3, -EOVERFLOW, "");
    struct pg_complaint complaint;
    check(ouro__pg_statement_size("SELECT $1, $2", v, 2, &complaint) > (int64_t)(2 * third));
    free(large);
}

Test(pg_params, values_with_names_and_without_do_not_mix)
{
    static const char words[] = "some values have names and others have none";
    ouro_pg_value v[] = {ouro_pg_named("a", ouro_pg_int(1)), ouro_pg_int(2)};
    refused("SELECT :a", v, 2, -EINVAL, words);
    ouro_pg_value w[] = {v[1], v[0]};
    refused("SELECT :a", w, 2, -EINVAL, words);
}
