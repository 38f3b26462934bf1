/* SPDX-License-Identifier: MIT */
/*
 * Headers of requests: the table of good and bad ones, whole and in pieces, and the limits.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "http_examples.h"
#include "http_reading.h"

TestSuite(http_parser, .timeout = 60);

static void check_reads(const struct http_example *e, size_t first, size_t step)
{
    struct http_reading r;
    http_read(e->bytes, e->size, first, step, &http_usual_limits, &r);
    cr_expect(r.status == -e->status, "%s, %zu bytes, then by %zu: %d rather than %d", e->name,
              first, step, -r.status, e->status);
    if (e->text) {
        cr_expect(strcmp(r.text, e->text) == 0, "%s, %zu bytes, then by %zu:\n%s\nrather than\n%s",
                  e->name, first, step, r.text, e->text);
        cr_expect(strcmp(r.about, e->about) == 0, "%s, %zu bytes: \"%s\" rather than \"%s\"",
                  e->name, first, r.about, e->about);
    }
    http_reading_free(&r);
}

static void check_in_pieces(const struct http_example *e)
{
    for (size_t step = 1; step < 10; step++)
        check_reads(e, step, step);
    for (size_t split = 0; split < e->size; split++)
        check_reads(e, split, e->size);
}

/* ---- The table ------------------------------------------------------------------------------- */

Test(http_parser, good_requests_are_read)
{
    for (size_t i = 0; i < http_good_count; i++)
        check_reads(&http_good[i], http_good[i].size, 1);
}

Test(http_parser, good_requests_are_read_in_any_pieces)
{
    for (size_t i = 0; i < http_good_count; i++)
        check_in_pieces(&http_good[i]);
}

Test(http_parser, bad_requests_are_refused)
{
    for (size_t i = 0; i < http_bad_count; i++)
        check_reads(&http_bad[i], http_bad[i].size, 1);
}

Test(http_parser, bad_requests_are_refused_in_any_pieces)
{
    for (size_t i = 0; i < http_bad_count; i++)
        check_in_pieces(&http_bad[i]);
}

Test(http_parser, a_part_of_a_good_request_is_not_refused)
{
    for (size_t i = 0; i < http_good_count; i++) {
        struct http_reading whole, part;
        const struct http_example *e = &http_good[i];
        http_read(e->bytes, e->size, e->size, 1, &http_usual_limits, &whole);
        for (size_t size = 0; size < whole.used; size++) {
            http_read(e->bytes, size, size, 1, &http_usual_limits, &part);
            cr_expect(part.status == HTTP_MORE, "%s: %d after %zu of %zu", e->name, part.status,
                      size, whole.used);
            http_reading_free(&part);
        }
        http_reading_free(&whole);
    }
}

Test(http_parser, the_request_ends_where_the_next_begins)
{
    static const char two[] = "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                              "GET /b HTTP/1.1\r\nHost: b\r\n\r\n";
    struct http_reading r;
    http_read(two, sizeof(two) - 1, sizeof(two) - 1, 1, &http_usual_limits, &r);
    check_eq(r.used, strstr(two, "GET") - two);
    http_reading_free(&r);
}

/* ---- The end of the header ------------------------------------------------------------------- */

static int64_t find(const char *text, size_t seen)
{
    return ouro__http_header_find(text, strlen(text), seen, &http_usual_limits);
}

Test(http_parser, the_end_is_found_wherever_the_search_goes_on)
{
    static const char text[] = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nmore\r\n\r\n";
    int64_t end = strstr(text, "more") - text;
    for (size_t seen = 0; seen < (size_t)end; seen++)
        check_eq(find(text, seen), end);
}

Test(http_parser, what_cannot_become_a_request_is_refused_before_its_end)
{
    check_eq(find("GET / HTTP/1.1\n", 0), -400);
    check_eq(find("GET / HTTP/1.1\r\nX: y\n", 0), -400);
    check_eq(find("GET / HTTP/1.1\r\nX: y\n", 20), -400);
    check_eq(find("\n", 0), -400);
    check_eq(find("\rG", 0), -400);
    check_eq(find("\r\n\rG", 0), -400);
    check_eq(find("\x16\x03\x01", 0), -400);
    check_eq(find(" ", 0), -400);
    check_eq(find("\r\n\r\n\r\n\r\n\r\n", 0), -400);
    check_eq(find("\r\n\r\n\r\n\r\n\r", 0), 0);
    check_eq(find("\r", 0), 0);
    check_eq(find("", 0), 0);
}

Test(http_parser, a_header_that_is_none_is_refused_and_not_read_beyond)
{
    static const char *const texts[] = {"", "\r", "\r\n", "\r\n\r\n", "G\r\n\r\n", "\n\n\n\n"};
    struct http_field fields[4];
    const struct http_limits limits = {100, 100, 4};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t size = strlen(texts[i]);
        char *exact = malloc(size ? size : 1);
        memcpy(exact, texts[i], size);
        struct http_head head = {.fields = fields};
        check_eq(ouro__http_header_parse(exact, size, &limits, &head), -400);
        free(exact);
    }
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* What @text is refused with, in pieces of any size. */
static int status(const char *text, size_t line_max, size_t headers_max, size_t count_max)
{
    const struct http_limits limits = {line_max, headers_max, count_max};
    size_t size = strlen(text);
    struct http_reading whole, parts;
    http_read(text, size, size, 1, &limits, &whole);
    for (size_t step = 1; step < size; step++) {
        http_read(text, size, step, step, &limits, &parts);
        cr_expect(parts.status == whole.status, "by %zu: %d rather than %d", step, parts.status,
                  whole.status);
        http_reading_free(&parts);
    }
    http_reading_free(&whole);
    return whole.status;
}

Test(http_parser, the_first_line_may_have_line_max_bytes)
{
    static const char text[] = "GET /abc HTTP/1.1\r\nHost: a\r\n\r\n"; /* 17 */
    check_eq(status(text, 17, 100, 4), 0);
    check_eq(status(text, 16, 100, 4), -414);
    check_eq(status("\r\n\r\nGET /abc HTTP/1.1\r\nHost: a\r\n\r\n", 17, 100, 4), 0);
    check_eq(status("GET /abc HTTP/1.1", 16, 100, 4), HTTP_MORE);
    check_eq(status("GET /abc HTTP/1.1 and more", 16, 100, 4), -414);
    check_eq(status("GET /abc HTTP/1.1\r", 16, 100, 4), -414);
    check_eq(status("GET /abc HTTP/1.1\n", 16, 100, 4), -400);
}

Test(http_parser, all_fields_may_have_headers_max_bytes_with_their_line_ends)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"; /* 9 + 6 */
    check_eq(status(text, 100, 15, 4), 0);
    check_eq(status(text, 100, 14, 4), -431);
    check_eq(status("GET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyy", 100, 14, 4), -431);
    check_eq(status("GET / HTTP/1.0\r\n\r\n", 100, 0, 4), 0);
    check_eq(status("GET / HTTP/1.0\r\nX:\r\n\r\n", 100, 3, 4), -431);
}

Test(http_parser, the_body_is_no_part_of_what_is_limited)
{
    check_eq(status("PUT / HTTP/1.0\r\nContent-Length: 50\r\n\r\n"
                    "01234567890123456789012345678901234567890123456789",
                    14, 20, 1),
             0);
}

Test(http_parser, there_may_be_count_max_fields)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\n\r\n";
    check_eq(status(text, 100, 100, 3), 0);
    check_eq(status(text, 100, 100, 2), -431);
    check_eq(status("GET / HTTP/1.0\r\n\r\n", 100, 100, 0), 0);
}

Test(http_parser, limits_as_large_as_can_be_are_none)
{
    check_eq(status("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", SIZE_MAX, SIZE_MAX, 3), 0);
}

/* ---- What others need of it ------------------------------------------------------------------ */

Test(http_parser, tokens_and_values_are_told_by_every_byte)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        check_eq(ouro__http_parser_is_token(&c, 1), i != 0 && strchr(token, i) != NULL);
        check_eq(ouro__http_parser_is_value(&c, 1), i == '\t' || (i >= ' ' && i != 127));
    }
    check(!ouro__http_parser_is_token("", 0));
    check(ouro__http_parser_is_value("", 0));
    check(!ouro__http_parser_is_token("a b", 3));
}

/* Values are looked at eight bytes at a time. */
Test(http_parser, no_byte_of_a_long_value_is_overlooked)
{
    for (int i = 0; i < 256; i++)
        for (size_t at = 0; at < 24; at++) {
            char value[24];
            memset(value, 'v', sizeof(value));
            value[at] = (char)i;
            check_eq(ouro__http_parser_is_value(value, sizeof(value)),
                     i == '\t' || (i >= ' ' && i != 127));
            check(ouro__http_parser_is_value(value, at));
        }
}
