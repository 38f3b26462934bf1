/* SPDX-License-Identifier: MIT */
/*
 * Targets: escapes, segments that say where to go, and the query.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "parser.h"

TestSuite(http_path, .timeout = 60);

/* The path of @target with memory of exactly the sizes that are promised; NULL: refused. */
static char *decode(const char *target, size_t size, size_t *ret_query)
{
    char *copy = malloc(size ? size : 1), *to = malloc(size + 1);
    memcpy(copy, target, size);
    int64_t n = ouro__http_path_decode(copy, size, to, ret_query);
    free(copy);
    if (n >= 0) {
        check_eq(strlen(to), n);
        return to;
    }
    free(to);
    return NULL;
}

static void check_path(const char *target, const char *path)
{
    size_t query = 0, size = strlen(target);
    const char *mark = strchr(target, '?');
    char *to = decode(target, size, &query);
    if (!path)
        cr_expect(to == NULL, "%s: %s rather than an error", target, to);
    else if (!to)
        cr_expect_fail("%s: an error rather than %s", target, path);
    else
        cr_expect(strcmp(to, path) == 0, "%s: %s rather than %s", target, to, path);
    if (to)
        check_eq(query, mark ? (size_t)(mark - target) : size);
    free(to);
}

Test(http_path, plain_paths_stay_as_they_are)
{
    check_path("/", "/");
    check_path("/a", "/a");
    check_path("/a/b.c/d", "/a/b.c/d");
    check_path("/a/", "/a/");
    check_path("/a+b;c=d,e:f@g!$&'()*~_-", "/a+b;c=d,e:f@g!$&'()*~_-");
}

Test(http_path, empty_segments_are_taken_out)
{
    check_path("//", "/");
    check_path("///", "/");
    check_path("//a", "/a");
    check_path("/a//b", "/a/b");
    check_path("/a///b//", "/a/b/");
}

Test(http_path, dot_segments_are_taken_out)
{
    check_path("/.", "/");
    check_path("/./", "/");
    check_path("/./a", "/a");
    check_path("/a/.", "/a/");
    check_path("/a/./b", "/a/b");
    check_path("/a/..", "/");
    check_path("/a/../", "/");
    check_path("/a/../b", "/b");
    check_path("/a/b/..", "/a/");
    check_path("/a/b/../..", "/");
    check_path("/a/b/../../c", "/c");
    check_path("/a//b/./../c", "/a/c");
    check_path("/a/b//../c", "/a/c"); /* as after the empty one has gone */
}

Test(http_path, names_that_begin_with_dots_are_names)
{
    check_path("/...", "/...");
    check_path("/.a", "/.a");
    check_path("/..a/b", "/..a/b");
    check_path("/a./b../.../c", "/a./b../.../c");
    check_path("/.%20/..%20", "/. /.. ");
}

Test(http_path, nothing_leads_above_the_root)
{
    check_path("/..", NULL);
    check_path("/../", NULL);
    check_path("/../a", NULL);
    check_path("/a/../..", NULL);
    check_path("/a/../../b", NULL);
    check_path("/./..", NULL);
    check_path("//..", NULL);
    check_path("/%2e%2e/x", NULL);
    check_path("/.%2E/x", NULL);
    check_path("/%2e./x", NULL);
    check_path("/a/%2e%2e/%2e%2e/x", NULL);
}

Test(http_path, escapes_are_decoded_before_segments_are_looked_at)
{
    check_path("/%61%62", "/ab");
    check_path("/%2e/a", "/a");
    check_path("/a/%2E%2e/b", "/b");
    check_path("/a%20b", "/a b");
    check_path("/%c3%BC", "/\xc3\xbc");
    check_path("/%ff", "/\xff");
    check_path("/a%3Fb", "/a?b");
    check_path("/a%23b", "/a#b");
    check_path("/%7f%0a", "/\x7f\n");
    check_path("/a%5Cb", "/a\\b");
}

Test(http_path, escapes_are_decoded_once)
{
    check_path("/%2541", "/%41");
    check_path("/%252e%252e/x", "/%2e%2e/x");
    check_path("/%252F", "/%2F");
}

/* A slash that is escaped is part of a name, which a decoded path cannot show: RFC 3986, 2.2. */
Test(http_path, an_escaped_slash_is_refused)
{
    check_path("/a%2Fb", NULL);
    check_path("/a%2fb", NULL);
    check_path("/%2F", NULL);
    check_path("/..%2Fa", NULL);
    check_path("/a/..%2f..%2fb", NULL);
    check_path("%2Fa", NULL);
    check_path("/a?b=%2F", "/a"); /* of the query it is as good as any */
}

Test(http_path, malformed_escapes_are_refused)
{
    check_path("/%", NULL);
    check_path("/%4", NULL);
    check_path("/%4?1", NULL);
    check_path("/%zz", NULL);
    check_path("/%4g", NULL);
    check_path("/%-1", NULL);
    check_path("/% 1", NULL);
    check_path("/%%41", NULL);
    check_path("/%u0041", NULL);
}

Test(http_path, zeros_are_refused)
{
    size_t query;
    check_path("/%00", NULL);
    check_path("/a%00b", NULL);
    check(decode("/a\0b", 4, &query) == NULL);
}

Test(http_path, what_begins_with_no_slash_is_no_path)
{
    check_path("", NULL);
    check_path("a", NULL);
    check_path("*", NULL);
    check_path("%61", NULL);
    check_path("./a", NULL);
    check_path("../a", NULL);
}

Test(http_path, a_query_alone_is_one_of_the_root)
{
    check_path("?", "/");
    check_path("?a=b/../c", "/");
}

Test(http_path, the_query_begins_at_the_first_question_mark)
{
    check_path("/?", "/");
    check_path("/a?b", "/a");
    check_path("/a?b?c", "/a");
    check_path("/a?b%zz", "/a"); /* not looked at */
    check_path("/a/..?/../..", "/");
    check_path("/a%3Fb?c", "/a?b");
}

/* ---- Escapes alone --------------------------------------------------------------------------- */

static void check_decodes(const char *text, bool plus, const char *want)
{
    size_t size = strlen(text);
    char *place = malloc(size ? size : 1), *other = malloc(size ? size : 1);
    memcpy(place, text, size);
    int64_t n = ouro__http_percent_decode(place, size, plus, other);
    int64_t m = ouro__http_percent_decode(place, size, plus, place); /* where it lies */
    check_eq(n, want ? (int64_t)strlen(want) : -1);
    check_eq(m, n);
    check(n < 0 || (memcmp(other, want, (size_t)n) == 0 && memcmp(place, want, (size_t)n) == 0));
    free(place);
    free(other);
}

Test(http_path, percent_decoding_takes_plus_for_a_blank_if_asked_to)
{
    check_decodes("", false, "");
    check_decodes("a+b%2B%20", false, "a+b+ ");
    check_decodes("a+b%2B%20", true, "a b+ ");
    check_decodes("%2F%2f", true, "//");
    check_decodes("%0D%0A%ff", false, "\r\n\xff");
    check_decodes("%00", false, NULL);
    check_decodes("%", false, NULL);
    check_decodes("a%4", true, NULL);
    check_decodes("%g1", false, NULL);
}

Test(http_path, every_byte_but_zero_can_be_escaped)
{
    for (int i = 1; i < 256; i++) {
        char text[4], want[2] = {(char)i, '\0'};
        snprintf(text, sizeof(text), i % 2 ? "%%%02x" : "%%%02X", (unsigned)i);
        check_decodes(text, true, want);
    }
}
