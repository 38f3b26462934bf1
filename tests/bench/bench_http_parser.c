/* SPDX-License-Identifier: MIT */

/*
 * A request's header, found and parsed, beside llhttp and http_parser: a short one as load
 * generators send, and one as a browser does. All of them leave the fields in an array.
 */

#include <string.h>

#include "bench.h"
#include "http_rival.h"
#include "parser.h"

#define ROUND 100000u

static const char short_one[] = "GET /api/items/42 HTTP/1.1\r\n" /* 72 bytes */
                                "Host: example.org:808\r\n"
                                "Accept: text/html\r\n\r\n";
static const char long_one[] =
    "GET /articles/2024/a-rather-long-name-of-an-article?page=2&sort=newest&lang=en HTTP/1.1\r\n"
    "Host: www.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n"
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Referer: https://www.example.org/articles/2024/the-article-that-was-before-this-one\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef0123456789abcdef; theme=dark; seen=1,2,3,4,5,"
    "6,7,8,9; consent=all-of-it; "
    "track=no-thanks.....................................................\r\n"
    "If-None-Match: \"5d8c72a5edda8d6a:3239\"\r\n\r\n";

struct request {
    const char *bytes;
    size_t size;
    size_t count;
};

static const struct request small = {short_one, sizeof(short_one) - 1, 2};
static const struct request large = {long_one, sizeof(long_one) - 1, 9};

static double by_ouro(const void *arg)
{
    const struct request *r = arg;
    static const struct http_limits limits = {8192, 65536, 100};
    static struct http_field fields[100];
    size_t count = 0;
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < ROUND; i++) {
        struct http_head head = {.fields = fields};
        int64_t size = ouro__http_header_find(r->bytes, r->size, 0, &limits);
        if (size > 0 && ouro__http_header_parse(r->bytes, (size_t)size, &limits, &head) == 0)
            count += head.count;
    }
    double figure = bench_cpu_per(start, ROUND);
    bench_check(count == ROUND * r->count ? 0 : -1, "ouro has not read it");
    return figure;
}

#if defined(HTTP_HAVE_LLHTTP) || defined(HTTP_HAVE_HTTP_PARSER)
static double by_rival(const struct http_rival *rival, const struct request *r)
{
    uint64_t start = bench_cpu();
    size_t count = rival->parse(r->bytes, r->size, ROUND);
    double figure = bench_cpu_per(start, ROUND);
    bench_check(count == ROUND * r->count ? 0 : -1, rival->name);
    return figure;
}
#endif

#ifdef HTTP_HAVE_LLHTTP
static double by_llhttp(const void *arg)
{
    return by_rival(&http_rival_llhttp, arg);
}
#else
#    define by_llhttp NULL
#endif

#ifdef HTTP_HAVE_HTTP_PARSER
static double by_http_parser(const void *arg)
{
    return by_rival(&http_rival_http_parser, arg);
}
#else
#    define by_http_parser NULL
#endif

#define OLD .more = {{"http_parser", by_http_parser, NULL, "libhttp-parser-dev"}}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
        {"http_parser.small", "ns", by_ouro, "llhttp", .rival = by_llhttp, .arg = &small,
         .package = "libllhttp-dev or node-llhttp", .note = "72 bytes, 2 fields", OLD},
        {"http_parser.large", "ns", by_ouro, "llhttp", .rival = by_llhttp, .arg = &large,
         .package = "libllhttp-dev or node-llhttp", .note = "700 bytes as of a browser, 9 fields",
         OLD},
    };
    return bench_main(argc, argv, "Headers of HTTP requests", cases, BENCH_COUNT(cases));
}
