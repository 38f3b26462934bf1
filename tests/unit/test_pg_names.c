/* SPDX-License-Identifier: MIT */
/*
 * Statements with :names: where a name is one, what becomes of it, what is refused, and where
 * errors are found again.
 */
#include "pg_test.h"

TestSuite(pg_names, .timeout = 60);

#define NAMED(...) OURO_PG_PARAMS(__VA_ARGS__)

static ouro_pg_value named(const char *name)
{
    return ouro_pg_named(name, ouro_pg_int(1));
}

/* ---- Where a name is one --------------------------------------------------------------------- */

/* Pairs: what is given, with :a and :b once or more, and what is sent. */
static const char *const cases[][2] = {
    {":a:b", "$1 $2"},
    {"SELECT :a, :b", "SELECT $1, $2"},
    {"SELECT :b, :a, :b", "SELECT $2, $1, $2"},
    {":a,:b\n", "$1,$2\n"},
    {"(:a)+(:b)", "($1)+($2)"},
    {"x=:a AND y=:b", "x=$1 AND y=$2"},
    {"1OR:a AND'x'=:b", "1OR $1 AND'x'=$2"},
    {"x:a 1:b", "x $1 1 $2"},
    /* casts, assignments, slices */
    {":a::int, :b :: text", "$1::int, $2 :: text"},
    {"x::a, y:::b, :a, :b", "x::a, y:::b, $1, $2"},
    {"f(x := :a, y:=:b)", "f(x := $1, y:=$2)"},
    {"v[1:2], v[:a : :b], v[(:a):(:b)]", "v[1:2], v[$1 : $2], v[($1):($2)]"},
    {"v[n : m], : a, :1, :, :a, :b", "v[n : m], : a, :1, :, $1, $2"},
    /* texts */
    {"':a', :a, ':b', :b", "':a', $1, ':b', $2"},
    {"'it''s :a', :a, '''', :b, ''", "'it''s :a', $1, '''', $2, ''"},
    {"'\\', :a, '\\', :b", "'\\', $1, '\\', $2"},
    {"E'\\', :a', :a, e'\\\\', :b", "E'\\', :a', $1, e'\\\\', $2"},
    {"E'x''\\':a', :a, E'', :b", "E'x''\\':a', $1, E'', $2"},
    {"E'x'\n'\\':a', :a, :b", "E'x'\n'\\':a', $1, $2"},
    {"E'x' -- it's\n '\\':a', :a, :b", "E'x' -- it's\n '\\':a', $1, $2"},
    {"E'x' '\\', :a, :b", "E'x' '\\', $1, $2"},
    {"E'x' --\n, '\\', :a, :b", "E'x' --\n, '\\', $1, $2"},
    {"like'\\', :a, namE'\\', :b", "like'\\', $1, namE'\\', $2"},
    {"U&'\\0061 :a', u&'!0061:b' UESCAPE '!', :a, :b",
     "U&'\\0061 :a', u&'!0061:b' UESCAPE '!', $1, $2"},
    {"B'01:a', X'ff:b', N':a', :a, :b", "B'01:a', X'ff:b', N':a', $1, $2"},
    /* names of SQL */
    {"\":a\", :a, \"x\"\":b\", :b", "\":a\", $1, \"x\"\":b\", $2"},
    {"U&\"\\0061:a\", :a, \"it's\", :b", "U&\"\\0061:a\", $1, \"it's\", $2"},
    {"x$y$:a, z$y$:b", "x$y$ $1, z$y$ $2"},
    {"\xc3\xa4$$:a, \xc3\xa4$$:b", "\xc3\xa4$$ $1, \xc3\xa4$$ $2"},
    /* dollar quotes */
    {"$$:a$$, :a, $$:b'$$, :b", "$$:a$$, $1, $$:b'$$, $2"},
    {"$x$ :a $$ :a $y$ $x$, :a, :b", "$x$ :a $$ :a $y$ $x$, $1, $2"},
    {"$x$ $X$ :a $xx$ :b $x$, :a, :b", "$x$ $X$ :a $xx$ :b $x$, $1, $2"},
    {"$x1_$:a$x1_$, :a, :b", "$x1_$:a$x1_$, $1, $2"},
    {"$\xc3\xa4$:a$\xc3\xa4$, :a, :b", "$\xc3\xa4$:a$\xc3\xa4$, $1, $2"},
    {"$x$ $y$x$, :a, :b", "$x$ $y$x$, $1, $2"},
    {"$x $, :a, $ $, :b", "$x $, $1, $ $, $2"},
    {"$$$$:a, $x$$x$:b", "$$$$ $1, $x$$x$ $2"},
    /* comments */
    {"-- :a it's\n:a, :b -- :c", "-- :a it's\n$1, $2 -- :c"},
    {"--:c\r:a - -:b", "--:c\r$1 - -$2"},
    {"/* :c it's */ :a, :b/**/", "/* :c it's */ $1, $2/**/"},
    {"/* /* :c */ :d */ :a, :b", "/* /* :c */ :d */ $1, $2"},
    {"/*/ :c */ :a, /***/:b", "/*/ :c */ $1, /***/$2"},
    {"/*/*/ :c */ :d */ :a, :b", "/*/*/ :c */ :d */ $1, $2"},
    {"/* -- */ :a, -- /*\n:b", "/* -- */ $1, -- /*\n$2"},
    {":a /:b * 2, 3 */ 1", "$1 /$2 * 2, 3 */ 1"},
    {"'/*', :a, '*/', '--', :b", "'/*', $1, '*/', '--', $2"},
    {"@--:c\n:a +/*:d*/:b", "@--:c\n$1 +/*:d*/$2"},
    /* what is not closed reaches to the end */
    {":a, :b, ':c", "$1, $2, ':c"},
    {":a, :b, E'\\':c", "$1, $2, E'\\':c"},
    {":a, :b, E'\\", "$1, $2, E'\\"},
    {":a, :b, \":c", "$1, $2, \":c"},
    {":a, :b, $x$:c$x", "$1, $2, $x$:c$x"},
    {":a, :b, /* /* */ :c", "$1, $2, /* /* */ :c"},
    {":a, :b, --:c", "$1, $2, --:c"},
    {":a, :b:", "$1, $2:"},
    {":a, :b$", "$1, $2$"},
};

Test(pg_names, a_name_is_one_outside_of_quotes_comments_and_casts)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        ouro_pg_value v[] = {named("a"), named("b")};
        struct made m = make(cases[i][0], v, 2);
        check_text(m.s.sql, cases[i][1]);
        check(m.s.given != m.s.sql);
        made_free(&m);
    }
}

Test(pg_names, a_slice_between_names_needs_blanks)
{
    refused("SELECT v[1:n], :a", NAMED(named("a")), -ENOKEY, "no value for :n");
}

Test(pg_names, names_are_letters_digits_and_underscores)
{
    ouro_pg_value v[] = {named("_"), named("A9_b"), named("\xc3\x9f"), named("a"), named("ab")};
    struct made m = make(":_ :A9_b :\xc3\x9f :ab :a.b", v, 5);
    check_text(m.s.sql, "$1 $2 $3 $5 $4.b");
    made_free(&m);
    static const char *const bad[] = {"", "1", "9a", "a b", ":a", "a$", "a-b", "a\n"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char words[32];
        snprintf(words, sizeof words, "not a name: %s", bad[i]);
        ouro_pg_value w[] = {named("a"), named(bad[i])};
        refused("SELECT :a", w, 2, -EINVAL, words);
    }
}

Test(pg_names, names_are_compared_as_they_are)
{
    ouro_pg_value v[] = {named("id"), named("ID"), named("i"), named("idd")};
    struct made m = make(":ID :id :idd :i", v, 4);
    check_text(m.s.sql, "$2 $1 $4 $3");
    made_free(&m);
}

Test(pg_names, a_text_is_not_looked_into_if_no_value_has_a_name)
{
    ouro_pg_value v = ouro_pg_int(1);
    struct made m = make("SELECT $1, :a, ':b", &v, 1);
    check_text(m.s.sql, "SELECT $1, :a, ':b");
    check(m.s.given == m.s.sql);
    made_free(&m);
}

Test(pg_names, values_have_the_numbers_of_their_own_order)
{
    ouro_pg_value v[] = {ouro_pg_named("a", ouro_pg_int(7)), ouro_pg_named("b", ouro_pg_null()),
                         ouro_pg_named("c", ouro_pg_bytes("\0", 1))};
    struct made m = make(":c :b :a", v, 3);
    check_text(m.s.sql, "$3 $2 $1");
    check_text(m.s.values[0], "7");
    check(m.s.values[1] == NULL);
    check_eq(m.s.formats[2], 1);
    made_free(&m);
}

/* ---- Many ------------------------------------------------------------------------------------ */

/* As many values as there may be, each used twice, in memory that is counted. */
static void many(size_t count)
{
    struct pieces pieces = {.left = 1};
    memory_of(&pieces);
    char(*names)[8] = calloc(count, sizeof *names);
    ouro_pg_value *v = calloc(count, sizeof *v);
    char *sql = calloc(count, 2 * sizeof *names + 2);
    char *p = sql;
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "n%u", (unsigned)i);
        v[i] = named(names[i]);
        p += sprintf(p, ":%s :n%u ", names[i], (unsigned)(count - 1 - i));
    }
    struct made m = make(sql, v, count);
    const char *sent = m.s.sql;
    for (size_t i = 0; i < count; i++) {
        check_eq(strtol(sent + 1, (char **)&sent, 10), i + 1);
        check_eq(strtol(sent + 2, (char **)&sent, 10), count - i);
        sent++;
    }
    check_eq(*sent, 0);
    check_eq(pieces.live, 0);
    check_eq(pieces.left, count > 32 ? 0 : 1); /* a few need no memory */
    made_free(&m);
    ouro_set_allocator(NULL);
    free(sql);
    free(v);
    free(names);
}

Test(pg_names, many_names_are_found)
{
    static const size_t counts[] = {1, 2, 3, 31, 32, 33, 100, 1000, 10000, OURO_PG_PARAMS_MAX};
    for (size_t i = 0; i < COUNT(counts); i++)
        many(counts[i]);
}

Test(pg_names, many_names_need_memory)
{
    struct pieces none = {.left = 0};
    memory_of(&none);
    ouro_pg_value v[33];
    char names[33][4];
    for (size_t i = 0; i < 33; i++) {
        snprintf(names[i], sizeof names[i], "n%u", (unsigned)i);
        v[i] = named(names[i]);
    }
    refused(":n0", v, 33, -ENOMEM, "");
    refused(":n0", v, 32, -EBADSLT, "the statement has no :n1");
    ouro_set_allocator(NULL);
}

/* ---- What is refused ------------------------------------------------------------------------- */

Test(pg_names, every_name_needs_a_value)
{
    refused("SELECT :a, :b", NAMED(named("a")), -ENOKEY, "no value for :b");
    refused("SELECT :a, :A", NAMED(named("a")), -ENOKEY, "no value for :A");
    refused("SELECT :ab, :a", NAMED(named("a")), -ENOKEY, "no value for :ab");
}

Test(pg_names, every_value_needs_to_be_used)
{
    refused("SELECT 1", NAMED(named("a")), -EBADSLT, "the statement has no :a");
    refused("", NAMED(named("a")), -EBADSLT, "the statement has no :a");
    refused("SELECT ':a', x::a, --:a", NAMED(named("a")), -EBADSLT, "the statement has no :a");
    refused("SELECT :b", NAMED(named("b"), ouro_pg_named("c", ouro_pg_null())), -EBADSLT,
            "the statement has no :c");
}

Test(pg_names, no_two_values_have_one_name)
{
    refused("SELECT :a, :b", NAMED(named("a"), named("b"), named("a")), -ENOTUNIQ,
            "two values for :a");
}

Test(pg_names, numbers_have_no_place_among_names)
{
    refused("SELECT :a, $1", NAMED(named("a")), -EINVAL,
            "the values have names, so there can be no $1");
    refused("SELECT :a, $12x", NAMED(named("a")), -EINVAL,
            "the values have names, so there can be no $12");
    ouro_pg_value v = named("a");
    struct made m = make("SELECT :a, '$1', x$1, $$ $1 $$ -- $1", &v, 1);
    check_text(m.s.sql, "SELECT $1, '$1', x$1, $$ $1 $$ -- $1");
    made_free(&m);
}

Test(pg_names, a_complaint_is_cut_between_characters)
{
    char name[400], sql[404];
    for (size_t shift = 0; shift < 2; shift++) {
        memset(name, 'x', shift);
        for (size_t i = shift; i + 1 < sizeof name; i++)
            name[i] = (i - shift) % 2 ? '\xa4' : '\xc3';
        name[399 - (1 - shift)] = '\0';
        snprintf(sql, sizeof sql, ":%s", name);
        struct pg_complaint complaint;
        check_eq(ouro__pg_statement_size(sql, NAMED(named("a")), &complaint), -ENOKEY);
        size_t length = strlen(complaint.text);
        check(length >= sizeof complaint.text - 2);
        check_eq(complaint.text[length - 1], '\xa4');
    }
}

/* ---- Cut anywhere ---------------------------------------------------------------------------- */

/* The beginning of a statement is a statement. Whatever it is, it is read to its end and not
 * beyond: every one lies in memory of exactly its size. */
static void cut(const char *sql)
{
    for (size_t size = 0; size <= strlen(sql); size++) {
        char *text = malloc(size + 1);
        memcpy(text, sql, size);
        text[size] = '\0';
        ouro_pg_value v[] = {named("a"), named("b")};
        struct pg_complaint complaint;
        int64_t need = ouro__pg_statement_size(text, v, 2, &complaint);
        check(need > 0 || need == -ENOKEY || need == -EBADSLT || need == -EINVAL);
        if (need > 0) {
            struct made m = make(text, v, 2);
            for (int64_t i = 0; i < (int64_t)m.s.sql_size + 3; i++)
                check(ouro__pg_statement_position(&m.s, i) >= i / 4);
            made_free(&m);
        }
        free(text);
    }
}

Test(pg_names, a_statement_may_be_cut_anywhere)
{
    char both[512];
    for (size_t i = 0; i < COUNT(cases); i++) {
        cut(cases[i][0]);
        snprintf(both, sizeof both, ":a :b %s", cases[i][0]);
        cut(both);
        for (size_t k = 0; k < COUNT(cases); k++) {
            snprintf(both, sizeof both, ":a :b %s%s", cases[i][0], cases[k][0]);
            struct pg_complaint complaint;
            ouro_pg_value v[] = {named("a"), named("b")};
            if (ouro__pg_statement_size(both, v, 2, &complaint) > 0) {
                struct made m = make(both, v, 2);
                made_free(&m);
            }
        }
    }
}

/* ---- Positions ------------------------------------------------------------------------------- */

/* Where in @given the character is that stands at @sent_at in what is sent. */
static void at(const char *given, int64_t sent_at, int64_t given_at)
{
    ouro_pg_value v[] = {named("a"), named("longer")};
    struct made m = make(given, v, 2);
    check_eq(ouro__pg_statement_position(&m.s, sent_at), given_at);
    made_free(&m);
}

Test(pg_names, positions_are_found_in_the_given_text)
{
    /* "SELECT $2, x, $1 FRM" */
    const char *sql = "SELECT :longer, x, :a FRM";
    at(sql, 0, 0);
    at(sql, -1, -1);
    at(sql, 1, 1);
    at(sql, 7, 7);
    at(sql, 8, 8);   /* the name begins where the number does */
    at(sql, 9, 8);   /* and is one thing */
    at(sql, 10, 15); /* the comma */
    at(sql, 12, 17);
    at(sql, 15, 20); /* :a */
    at(sql, 16, 20);
    at(sql, 18, 23); /* FRM */
    at(sql, 21, 26); /* the end */
}

Test(pg_names, positions_count_characters)
{
    /* sent: "\u00e4'\u20ac' $2 \U0001f40d $1x" */
    const char *sql = "\xc3\xa4'\xe2\x82\xac' :longer \xf0\x9f\x90\x8d :a,\xc3\xa4";
    at(sql, 1, 1);
    at(sql, 4, 4);
    at(sql, 6, 6);   /* :longer */
    at(sql, 9, 14);  /* the snake */
    at(sql, 11, 16); /* :a */
    at(sql, 13, 18);
    at(sql, 14, 19);
}

Test(pg_names, positions_know_of_blanks_that_were_put_in)
{
    /* sent: "x $1 $2 y" */
    const char *sql = "x:a:longer y";
    at(sql, 1, 1);
    at(sql, 2, 2);
    at(sql, 3, 2);
    at(sql, 5, 4);
    at(sql, 6, 4);
    at(sql, 8, 11);
    at(sql, 9, 12);
}

Test(pg_names, positions_of_a_text_that_was_not_rewritten_stay)
{
    ouro_pg_value v = ouro_pg_int(1);
    struct made m = make("SELECT $1 :a", &v, 1);
    for (int64_t i = 0; i < 20; i++)
        check_eq(ouro__pg_statement_position(&m.s, i), i);
    made_free(&m);
}
