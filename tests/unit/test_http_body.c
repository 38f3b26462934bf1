/* SPDX-License-Identifier: MIT */
/*
 * Bodies in pieces, and what may come between them.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "parser.h"

TestSuite(http_body, .timeout = 60);

static const struct http_head chunked = {.body = HTTP_CHUNKED};

/* Take @text in pieces of @step: what ouro__http_parser_body_take() says at last, the body in
 * @ret_body. */
static int take(struct http_body *b, const char *text, size_t size, size_t step, char *ret_body)
{
    size_t at = 0, used, body = 0;
    int rc = 0;
    while (rc == 0 && at < size) {
        struct http_text data;
        rc = ouro__http_parser_body_take(b, text + at, size - at < step ? size - at : step, &used,
                                         &data);
        check(data.at >= text + at && data.at + data.size <= text + at + used);
        memcpy(ret_body + body, data.at, data.size);
        body += data.size;
        at += used;
        check(used > 0 || rc != 0);
    }
    ret_body[body] = '\0';
    return rc;
}

static int take_chunks(const char *text, size_t step, char *ret_body)
{
    struct http_body b;
    ouro__http_parser_body_begin(&b, &chunked);
    return take(&b, text, strlen(text), step, ret_body);
}

Test(http_body, chunks_are_the_same_in_pieces_of_any_size)
{
    static const char text[] = "5\r\nhello\r\n00a;x=\"\\\"y\";z\r\n0123456789\r\n1\r\n!\r\n"
                               "0;last\r\nTrailer: t\r\nOther:\r\n\r\n";
    char body[sizeof text];
    for (size_t step = 1; step <= sizeof text; step++) {
        check_eq(take_chunks(text, step, body), 1);
        check_text(body, "hello0123456789!");
    }
}

Test(http_body, a_body_of_a_given_size_ends_with_its_last_byte)
{
    const struct http_head head = {.body = HTTP_SIZED, .size = 5};
    char body[16];
    for (size_t step = 1; step < 12; step++) {
        struct http_body b;
        ouro__http_parser_body_begin(&b, &head);
        check_eq(take(&b, "helloNEXT", 9, step, body), 1);
        check_text(body, "hello");
        check_eq(b.left, 0);
    }
}

Test(http_body, a_body_may_be_larger_than_memory)
{
    const struct http_head head = {.body = HTTP_SIZED, .size = 999999999999999999};
    struct http_body b;
    struct http_text data;
    size_t used;
    ouro__http_parser_body_begin(&b, &head);
    check_eq(ouro__http_parser_body_take(&b, "hello", 5, &used, &data), 0);
    check_eq(used, 5);
    check_eq(data.size, 5);
    check_eq(b.left, 999999999999999994);

    ouro__http_parser_body_begin(&b, &chunked);
    check_eq(ouro__http_parser_body_take(&b, "fffffffffffffff\r\nhello", 22, &used, &data), 0);
    check_eq(used, 22);
    check_eq(data.size, 5);
    check_eq(b.left, 0xffffffffffffffa);
}

Test(http_body, no_body_takes_nothing)
{
    const struct http_head head = {.body = HTTP_NO_BODY};
    struct http_body b;
    struct http_text data;
    size_t used = 1;
    ouro__http_parser_body_begin(&b, &head);
    check_eq(ouro__http_parser_body_take(&b, "GET", 3, &used, &data), 1);
    check_eq(used, 0);
    check_eq(data.size, 0);
}

Test(http_body, what_is_over_stays_over)
{
    struct http_body b;
    struct http_text data;
    size_t used;
    ouro__http_parser_body_begin(&b, &chunked);
    check_eq(ouro__http_parser_body_take(&b, "0\r\n\r\nGET", 8, &used, &data), 1);
    check_eq(used, 5);
    check_eq(ouro__http_parser_body_take(&b, "GET", 3, &used, &data), 1);
    check_eq(used, 0);
}

Test(http_body, nothing_takes_nothing)
{
    struct http_body b;
    struct http_text data;
    size_t used = 1;
    ouro__http_parser_body_begin(&b, &chunked);
    check_eq(ouro__http_parser_body_take(&b, "", 0, &used, &data), 0);
    check_eq(used, 0);
    check_eq(data.size, 0);
}

Test(http_body, what_is_refused_stays_refused)
{
    struct http_body b;
    struct http_text data;
    size_t used;
    ouro__http_parser_body_begin(&b, &chunked);
    check_eq(ouro__http_parser_body_take(&b, "1\n", 2, &used, &data), -400);
    check_eq(ouro__http_parser_body_take(&b, "0\r\n\r\n", 5, &used, &data), -400);
    check_eq(used, 0);
}

Test(http_body, data_before_an_error_are_given_out_first)
{
    struct http_body b;
    struct http_text data;
    size_t used;
    ouro__http_parser_body_begin(&b, &chunked);
    check_eq(ouro__http_parser_body_take(&b, "2\r\nhiXX", 7, &used, &data), 0);
    check_eq(used, 5);
    check_eq(data.size, 2);
    check_eq(ouro__http_parser_body_take(&b, "XX", 2, &used, &data), -400);
    check_eq(data.size, 0);
}

/* ---- What is read and dropped ---------------------------------------------------------------- */

/* @head, then @n times x, then @tail. */
static int with_filling(const char *head, size_t n, const char *tail)
{
    char *text = malloc(strlen(head) + n + strlen(tail) + 1), *body = malloc(n + 100);
    strcpy(text, head);
    memset(text + strlen(head), 'x', n);
    strcpy(text + strlen(head) + n, tail);
    int rc = take_chunks(text, 1000, body);
    check_eq(take_chunks(text, 1, body), rc);
    free(text);
    free(body);
    return rc;
}

Test(http_body, extensions_may_have_4_KiB)
{
    check_eq(with_filling("1;", 4096, "\r\na\r\n0\r\n\r\n"), 1);
    check_eq(with_filling("1;", 4097, "\r\na\r\n0\r\n\r\n"), -400);
    check_eq(with_filling("1;", 4094, "=y\r\na\r\n0\r\n\r\n"), 1);
    check_eq(with_filling("1;", 4095, "=y\r\na\r\n0\r\n\r\n"), -400);
}

Test(http_body, extensions_of_all_chunks_count)
{
    check_eq(with_filling("1;", 4090, "\r\na\r\n1;bcdefg\r\na\r\n0\r\n\r\n"), 1);
    check_eq(with_filling("1;", 4090, "\r\na\r\n1;bcdefgh\r\na\r\n0\r\n\r\n"), -400);
}

Test(http_body, trailers_may_have_4_KiB_and_count_with_extensions)
{
    check_eq(with_filling("0\r\nA:", 4092, "\r\n\r\n"), 1); /* with CR LF, which is not the end's */
    check_eq(with_filling("0\r\nA:", 4093, "\r\n\r\n"), -400);
    check_eq(with_filling("1;ab\r\nx\r\n0\r\nA:", 4090, "\r\n\r\n"), 1);
    check_eq(with_filling("1;ab\r\nx\r\n0\r\nA:", 4091, "\r\n\r\n"), -400);
}

Test(http_body, data_do_not_count_with_extensions)
{
    check_eq(with_filling("2000;a\r\n", 0x2000, "\r\n0\r\n\r\n"), 1);
}
