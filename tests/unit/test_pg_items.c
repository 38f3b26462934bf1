/* SPDX-License-Identifier: MIT */
/*
 * Arrays on their way in: items in every spelling, what is none, and that they stay.
 */
#include "pg_test.h"

TestSuite(pg_items, .timeout = 60);

#define TEXTS 1009
#define NONE  ((const char *)0)

/* @literal has these items; NONE is NULL. */
static void items_are(const char *literal, const char *const *want, size_t count)
{
    ouro_pg_result *r = text_of(TEXTS, literal);
    const ouro_pg_item *items;
    for (int again = 0; again < 2; again++) {
        check_eq(ouro_pg_items_at(r, 0, 0, &items), count);
        for (size_t i = 0; i < count; i++) {
            check_eq(items[i].data == NULL, want[i] == NULL);
            check_eq(items[i].size, want[i] ? strlen(want[i]) : 0);
            if (want[i])
                check_text(items[i].data, want[i]);
        }
    }
    ouro_pg_result_free(r);
}

#define ITEMS(literal, ...)                                \
    items_are(literal, (const char *const[]){__VA_ARGS__}, \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void fails(const char *literal, int64_t code)
{
    ouro_pg_result *r = text_of(TEXTS, literal);
    const ouro_pg_item *items;
    check_eq(ouro_pg_items_at(r, 0, 0, &items), code);
    check_text(ouro_pg_text_at(r, 0, 0, NULL), literal); /* and it is as it was */
    ouro_pg_result_free(r);
}

Test(pg_items, of_every_spelling)
{
    items_are("{}", NULL, 0);
    ITEMS("{1}", "1");
    ITEMS("{1,-2,3}", "1", "-2", "3");
    ITEMS("{a b, c}", "a b", " c");
    ITEMS("{\"\"}", "");
    ITEMS("{\"\",\"\"}", "", "");
    ITEMS("{\"a,b\",\"{c}\",d}", "a,b", "{c}", "d");
    ITEMS("{\"\\\"\",\"\\\\\",\"a\\\"b\\\\c\"}", "\"", "\\", "a\"b\\c");
    ITEMS("{\" \",\"\n\",\"it's\"}", " ", "\n", "it's");
    ITEMS("{\xc3\xa4,\"\xe2\x82\xac uro\"}", "\xc3\xa4", "\xe2\x82\xac uro");
    ITEMS("{t,f}", "t", "f");
    ITEMS("{NaN,-Infinity,1e-05}", "NaN", "-Infinity", "1e-05");
    ITEMS("{\"2024-01-02 03:04:05+00\"}", "2024-01-02 03:04:05+00");
}

Test(pg_items, null_is_one_only_without_quotes)
{
    ITEMS("{NULL}", NONE);
    ITEMS("{null}", NONE);
    ITEMS("{\"NULL\"}", "NULL");
    ITEMS("{NULL,\"NULL\",NULLS,NUL,\"\",NULL}", NONE, "NULL", "NULLS", "NUL", "", NONE);
}

Test(pg_items, of_what_is_no_array)
{
    static const char *const texts[] = {
        "",         "x",      "1",      "{",        "}",       "{}}",      "{}x",      "{,}",
        "{1,}",     "{,1}",   "{1,,2}", "{1",       "{1,",     "{1}x",     "{1}}",     "{\"",
        "{\"a",     "{\"a\"", "{\"a\\", "{\"a\\\"", "{\"a\\}", "{\"a\"b}", "{a\"b\"}", "{a\\b}",
        "{\"a\"}}", "{1{2}}", "{1}{2}", " {1}",     "{\\}",    "(1,2)",
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        fails(texts[i], -EBADMSG);
}

Test(pg_items, of_several_dimensions_are_refused)
{
    fails("{{1,2},{3,4}}", -EDOM);
    fails("{{}}", -EDOM);
    fails("{1,{2}}", -EDOM);
    fails("[0:1]={1,2}", -EDOM);
    fails("[1:1][2:2]={{1}}", -EDOM);
}

Test(pg_items, of_an_array_that_was_written_by_us)
{
    static const char *const texts[] = {"", "NULL", NULL, "\\\"", "a,b", "{", "}", "\t", "x"};
    ouro_pg_value v = ouro_pg_texts(texts, COUNT(texts));
    struct made m = make("", &v, 1);
    items_are(m.s.values[0], texts, COUNT(texts));
    made_free(&m);
}

Test(pg_items, cut_anywhere)
{
    static const char whole[] = "{a,\"b\\\"c\\\\\",NULL,\"\",{d},\"e\"}";
    for (size_t size = 0; size < sizeof whole; size++) {
        ouro_pg_result *r = one_of(TEXTS, 0, whole, size);
        const ouro_pg_item *items;
        check(ouro_pg_items_at(r, 0, 0, &items) < 0);
        ouro_pg_result_free(r);
    }
}

Test(pg_items, every_short_text_is_an_array_or_is_not)
{
    static const char letters[] = "{},\"\\aN[";
    for (unsigned long n = 0; n < 8ul * 8 * 8 * 8 * 8 * 8; n++) {
        char text[8] = "{";
        unsigned long rest = n;
        for (int i = 1; i < 7; i++, rest /= 8)
            text[i] = letters[rest % 8];
        ouro_pg_result *r = text_of(TEXTS, text);
        const ouro_pg_item *items;
        int64_t count = ouro_pg_items_at(r, 0, 0, &items);
        for (int64_t i = 0; i < count; i++)
            if (items[i].data)
                check_eq(strlen(items[i].data), items[i].size);
        ouro_pg_result_free(r);
    }
}

Test(pg_items, take_the_value_with_them)
{
    ouro_pg_result *r = text_of(TEXTS, "{1,2}");
    const ouro_pg_item *items;
    size_t size = 99;
    int64_t n;
    check_eq(ouro_pg_items_at(r, 0, 0, &items), 2);
    check(ouro_pg_text_at(r, 0, 0, &size) == NULL);
    check_eq(size, 0);
    check_eq(ouro_pg_int_at(r, 0, 0, &n), -EBADMSG);
    check_eq(ouro_pg_is_null(r, 0, 0), 0);
    ouro_pg_result_free(r);
}

Test(pg_items, of_what_is_not_there)
{
    const ouro_pg_item *items;
    ouro_pg_result *r = text_of(TEXTS, NULL);
    check_eq(ouro_pg_items_at(r, 0, 0, &items), -ENODATA);
    check_eq(ouro_pg_items_at(r, 1, 0, &items), -ENOENT);
    check_eq(ouro_pg_items_at(r, 0, 1, &items), -ENOENT);
    check_eq(ouro_pg_items_at(r, -1, 0, &items), -ENOENT);
    check_eq(ouro_pg_items_at(r, 0, 0, NULL), -EINVAL);
    check_eq(ouro_pg_items_at(NULL, 0, 0, &items), -EINVAL);
    ouro_pg_result_free(r);
}

Test(pg_items, of_binary_results_boxes_and_bytes_are_refused)
{
    const ouro_pg_item *items;
    ouro_pg_result *r = one_of(TEXTS, 1, "{1}", 3);
    check_eq(ouro_pg_items_at(r, 0, 0, &items), -EBADMSG);
    ouro_pg_result_free(r);
    r = text_of(1020, "{(1,1),(0,0)}");
    check_eq(ouro_pg_items_at(r, 0, 0, &items), -EBADMSG);
    ouro_pg_result_free(r);
    r = text_of(17, "{1}");
    check_eq(ouro_pg_items_at(r, 0, 0, &items), -EBADMSG);
    ouro_pg_result_free(r);
}

Test(pg_items, of_many_rows_and_columns)
{
    char names[2][2] = {"a", "b"};
    PGresAttDesc columns[2] = {{.name = names[0], .typid = TEXTS},
                               {.name = names[1], .typid = TEXTS}};
    PGresult *part = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    check(PQsetResultAttrs(part, 2, columns));
    for (int row = 0; row < 1000; row++)
        for (int column = 0; column < 2; column++) {
            char text[32];
            int size = snprintf(text, sizeof text, "{%d,\"%d\"}", row, column);
            check(PQsetvalue(part, row, column, text, size));
        }
    ouro_pg_result *r = ouro__pg_result_new(&part, 1);
    for (int again = 0; again < 2; again++)
        for (int row = 0; row < 1000; row++)
            for (int column = 0; column < 2; column++) {
                const ouro_pg_item *items;
                check_eq(ouro_pg_items_at(r, row, column, &items), 2);
                check_eq(atoi(items[0].data), row);
                check_eq(atoi(items[1].data), column);
            }
    ouro_pg_result_free(r);
}

Test(pg_items, are_untouched_when_there_is_no_memory)
{
    for (int left = 1; left <= 3; left++) {
        struct pieces pieces = {.left = left};
        memory_of(&pieces);
        ouro_pg_result *r = text_of(TEXTS, "{1,2}");
        const ouro_pg_item *items;
        int64_t n = ouro_pg_items_at(r, 0, 0, &items);
        check_eq(n, left < 3 ? -ENOMEM : 2);
        if (left < 3)
            check_text(ouro_pg_text_at(r, 0, 0, NULL), "{1,2}");
        pieces.left = 9;
        check_eq(ouro_pg_items_at(r, 0, 0, &items), 2);
        check_text(items[1].data, "2");
        ouro_pg_result_free(r);
        check_eq(pieces.live, 0);
        ouro_set_allocator(NULL);
    }
}
