/* SPDX-License-Identifier: MIT */
/* Files as replies: whole, in part, on condition; and what a path may not reach. */
#define _GNU_SOURCE
#include "server_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void make(const char *name, const void *bytes, size_t size)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *fp = fopen(path, "w");
    check(fp != NULL);
    check_eq(fwrite(bytes, 1, size, fp), size);
    fclose(fp);
}

static int64_t serves(ouro_http_request *r, void *arg)
{
    char root[80];
    (void)arg;
    snprintf(root, sizeof(root), "%s/www", folder);
    ouro_http_file_options opts = {
        .type = ouro_http_query(r, "type"),
        .cache_control = ouro_http_query(r, "cache"),
        .no_ranges = ouro_http_query(r, "whole") != NULL,
    };
    return ouro_http_reply_file_in(r, root, ouro_http_param(r, "path"), &opts);
}

/* As a handler may that takes what a client says as it is: the kernel alone stands in the way. */
static int64_t serves_raw(ouro_http_request *r, void *arg)
{
    char root[80];
    (void)arg;
    snprintf(root, sizeof(root), "%s/www", folder);
    return ouro_http_reply_file_in(r, root, ouro_http_query(r, "path"), NULL);
}

static int64_t serves_one(ouro_http_request *r, void *arg)
{
    char path[96];
    (void)arg;
    snprintf(path, sizeof(path), "%s/secret.txt", folder);
    return ouro_http_reply_file(r, path, NULL);
}

static void open_site(void)
{
    char path[256];
    strcpy(folder, "/tmp/ouro-http.XXXXXX");
    check(mkdtemp(folder) != NULL);
    for (const char *const *name = (const char *const[]){"www", "www/sub", "www/empty", NULL};
         *name; name++) {
        snprintf(path, sizeof(path), "%s/%s", folder, *name);
        check_eq(mkdir(path, 0755), 0);
    }
    make("secret.txt", "secret", 6);
    make("www/a.txt", "0123456789", 10);
    make("www/none", "", 0);
    make("www/sub/index.html", "<p>", 3);
    make("www/a b.JSON", "{}", 2);
    snprintf(path, sizeof(path), "%s/www/out", folder);
    check_eq(symlink("../secret.txt", path), 0);
    snprintf(path, sizeof(path), "%s/www/root", folder);
    check_eq(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/www/in", folder);
    check_eq(symlink("a.txt", path), 0);
    snprintf(path, sizeof(path), "%s/www/pipe", folder);
    check_eq(mkfifo(path, 0600), 0);
    site_new(NULL);
    site_route("GET", "/f/{path...}", serves);
    site_route("POST", "/any/{path...}", serves);
    site_route("GET", "/raw", serves_raw);
    site_route("GET", "/one", serves_one);
    site_open(NULL);
}

static void close_site(void)
{
    char command[96];
    site_close();
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    check_eq(system(command), 0);
}

static char *get_with(const char *target, const char *fields)
{
    char request[1024];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n",
             target, fields);
    return ask(request);
}

KernelTest(files, are_sent_with_what_is_known_of_them)
{
    open_site();
    char *a = get("/f/a.txt");
    check_eq(status_of(a), 200);
    check_has(a, "Content-Type: text/plain; charset=utf-8\r\n");
    check_has(a, "Content-Length: 10\r\n");
    check_has(a, "ETag: \"");
    check_has(a, "Last-Modified: ");
    check_has(a, "Accept-Ranges: bytes\r\n");
    check_text(body_of(a), "0123456789");
    free(a);
    a = get("/f/a.txt?type=text/x&cache=no-cache&whole");
    check_has(a, "Content-Type: text/x\r\n");
    check_has(a, "Cache-Control: no-cache\r\n");
    check_hasnt(a, "Accept-Ranges");
    check_text(body_of(a), "0123456789");
    free(a);
    a = get("/f/a%20b.JSON");
    check_has(a, "Content-Type: application/json\r\n");
    free(a);
    check_body(get("/f/none"), "");
    check_body(get("/f/sub/"), "<p>");
    check_body(get("/f/in"), "0123456789");
    check_body(get("/one"), "secret");
    check_status(get("/f/empty"), 404);
    check_status(get("/f/"), 404);
    check_status(get("/f/a.txt/b"), 404);
    check_status(get("/f/pipe"), 404);
    check_status(get("/f/a.txt?cache=a%0d%0ab"), 500);
    a = ask("HEAD /f/a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_has(a, "Content-Length: 10\r\n");
    check_text(body_of(a), "");
    free(a);
    close_site();
    return 0;
}

KernelTest(files, outside_of_the_folder_are_out_of_reach)
{
    static const char *const targets[] = {
        "/f/../secret.txt",
        "/f/%2e%2e/secret.txt",
        "/f/sub/../../secret.txt",
        "/f/..%2fsecret.txt",
        "/f/%2e%2e%2fsecret.txt",
        "/f//etc/passwd",
        "/f/%2fetc/passwd",
        "/f/out",
        "/f/root",
        "/f/in/../../secret.txt",
        "/raw?path=../secret.txt",
        "/raw?path=sub/../../secret.txt",
        "/raw?path=%2fetc%2fpasswd",
        "/raw?path=out",
        "/raw?path=sub/%2e%2e/%2e%2e/secret.txt",
        "/raw?path=....//secret.txt",
    };
    open_site();
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char *a = get(targets[i]);
        check(status_of(a) == 404 || status_of(a) == 400);
        check_hasnt(a, "secret");
        check_hasnt(a, "root:");
        free(a);
    }
    close_site();
    return 0;
}

static const struct {
    const char *range;
    int status;
    const char *content_range; /* or NULL */
    const char *body;
} ranges[] = {
    {"bytes=0-3", 206, "bytes 0-3/10", "0123"},
    {"bytes=3-", 206, "bytes 3-9/10", "3456789"},
    {"bytes=-4", 206, "bytes 6-9/10", "6789"},
    {"bytes=-40", 206, "bytes 0-9/10", "0123456789"},
    {"bytes=9-99", 206, "bytes 9-9/10", "9"},
    {"bytes=8-99999999999999999999999999", 206, "bytes 8-9/10", "89"},
    {"bytes=10-", 416, "bytes */10", NULL},
    {"bytes=99999999999999999999-", 416, "bytes */10", NULL},
    {"bytes=-0", 416, "bytes */10", NULL},
    {"bytes=0-1,3-4", 200, NULL, "0123456789"},
    {"bytes=4-2", 200, NULL, "0123456789"},
    {"bytes=-", 200, NULL, "0123456789"},
    {"bytes=x", 200, NULL, "0123456789"},
    {"lines=1-2", 200, NULL, "0123456789"},
};

static void check_moved(const char *target, const char *where)
{
    char line[256];
    char *a = get(target);
    check_eq(status_of(a), 301);
    snprintf(line, sizeof(line), "\r\nLocation: %s\r\n", where);
    check_has(a, line);
    check_text(body_of(a), "");
    free(a);
}

/* Without the slash relative links of its index would lead elsewhere. Where it leads to is relative,
 * so that no host, and no prefix that a proxy has taken off, has to be known. */
KernelTest(files, of_a_folder_are_seen_from_behind_its_slash)
{
    open_site();
    check_moved("/f/sub", "./sub/");
    check_moved("/f/sub?x=1&y=%0d%0a?", "./sub/?x=1&y=%0d%0a?");
    check_moved("/f/%73ub", "./%73ub/");
    check_moved("/f//sub", "./sub/");
    check_moved("//f/sub", "./sub/");
    check_moved("/f/./sub/../sub", "./sub/");
    check_moved("http://other/f/sub?a", "./sub/?a");
    check_body(get("/f/sub/"), "<p>");
    check_body(get("/f/sub/?x"), "<p>");
    check_body(get("/f/sub/index.html"), "<p>");
    check_body(get("/raw?path=sub"), "<p>"); /* a path of the handler's own is no such place */
    check_body(get("/raw?path=w"), "404 Not Found\n");
    char *a = ask("HEAD /f/sub HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_has(a, "\r\nLocation: ./sub/\r\n");
    free(a);
    close_site();
    return 0;
}

KernelTest(files, are_sent_in_part)
{
    char fields[256];
    open_site();
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        snprintf(fields, sizeof(fields), "Range: %s\r\n", ranges[i].range);
        char *a = get_with("/f/a.txt", fields);
        check_eq(status_of(a), ranges[i].status);
        if (ranges[i].content_range) {
            snprintf(fields, sizeof(fields), "Content-Range: %s\r\n", ranges[i].content_range);
            check_has(a, fields);
        } else {
            check_hasnt(a, "Content-Range");
        }
        if (ranges[i].body)
            check_text(body_of(a), ranges[i].body);
        free(a);
    }
    check_body(get_with("/f/a.txt?whole", "Range: bytes=1-2\r\n"), "0123456789");
    check_status(get_with("/f/none", "Range: bytes=0-\r\n"), 416);
    close_site();
    return 0;
}

/* The value of a field of an answer. */
static void field_of(const char *answer, const char *name, char *to)
{
    const char *at = strstr(answer, name);
    check(at != NULL);
    at += strlen(name) + 2;
    size_t size = strcspn(at, "\r");
    memcpy(to, at, size);
    to[size] = '\0';
}

/* The second in which a file was written may yet see another version of it. */
static void make_old(const char *name)
{
    char path[256];
    struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    check_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

KernelTest(files, are_sent_on_condition)
{
    char tag[64], when[64], fields[512];
    open_site();
    make_old("www/a.txt");
    char *a = get("/f/a.txt");
    field_of(a, "ETag", tag);
    field_of(a, "Last-Modified", when);
    free(a);
    const struct {
        const char *pattern;
        const char *value;
        int status;
    } conditions[] = {
        {"If-None-Match: ", tag, 304},
        {"If-None-Match: \"x\", W/", tag, 304},
        {"If-None-Match: ", "*", 304},
        {"If-None-Match: ", "\"other\"", 200},
        {"If-Modified-Since: ", when, 304},
        {"If-Modified-Since: ", "Sun, 06 Nov 1994 08:49:37 GMT", 200},
        {"If-Modified-Since: ", "yesterday", 200},
        {"If-Unmodified-Since: ", when, 200},
        {"If-Unmodified-Since: ", "Sun, 06 Nov 1994 08:49:37 GMT", 412},
        {"If-Match: ", tag, 200},
        {"If-Match: W/", tag, 412},
        {"If-Match: ", "\"other\"", 412},
        {"Range: bytes=1-2\r\nIf-Range: ", tag, 206},
        {"Range: bytes=1-2\r\nIf-Range: ", when, 206},
        {"Range: bytes=1-2\r\nIf-Range: ", "\"other\"", 200},
        {"Range: bytes=1-2\r\nIf-None-Match: ", tag, 304},
    };
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        snprintf(fields, sizeof(fields), "%s%s\r\n", conditions[i].pattern, conditions[i].value);
        a = get_with("/f/a.txt", fields);
        check_eq(status_of(a), conditions[i].status);
        if (conditions[i].status == 304) {
            check_text(body_of(a), "");
            check_hasnt(a, "Content-Length");
            check_has(a, "ETag: ");
        }
        free(a);
    }
    snprintf(fields, sizeof(fields), "If-None-Match: \"x\"\r\nIf-Modified-Since: %s\r\n", when);
    check_status(get_with("/f/a.txt", fields), 200); /* the tag alone counts */
    close_site();
    return 0;
}

KernelTest(files, are_taken_up_again_by_their_time_only_when_that_is_sure)
{
    char fields[256], *end;
    open_site();
    for (int old = 0; old < 2; old++) {
        if (old)
            make_old("www/a.txt");
        char *a = get("/f/a.txt"), *modified = strstr(a, "Last-Modified: ");
        check(modified != NULL);
        modified += strlen("Last-Modified: ");
        end = strstr(modified, "\r\n");
        snprintf(fields, sizeof(fields), "Range: bytes=2-3\r\nIf-Range: %.*s\r\n",
                 (int)(end - modified), modified);
        free(a);
        check_status(get_with("/f/a.txt", fields), old ? 206 : 200);
    }
    check_status(get_with("/f/a.txt", "Range: bytes=2-3\r\nIf-Range: W/\"x\"\r\n"), 200);
    close_site();
    return 0;
}

KernelTest(files, know_units_of_ranges_in_any_case)
{
    open_site();
    check_body(get_with("/f/a.txt", "Range: Bytes=2-3\r\n"), "23");
    check_status(get_with("/f/a.txt", "Range: octets=2-3\r\n"), 200);
    close_site();
    return 0;
}

KernelTest(files, that_are_there_already_end_other_methods_than_get_with_412)
{
    open_site();
    make_old("www/a.txt");
    check_status(ask("POST /any/a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                     "If-None-Match: *\r\nContent-Length: 0\r\n\r\n"),
                 412);
    check_status(ask("POST /any/a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                     "If-Modified-Since: Sun, 06 Nov 2044 08:49:37 GMT\r\n"
                     "Content-Length: 0\r\n\r\n"),
                 200);
    close_site();
    return 0;
}

KernelTest(files, may_be_large)
{
    enum { SIZE = 3 << 20 };
    size_t size;
    open_site();
    char *bytes = malloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i % 251);
    make("www/large.bin", bytes, SIZE);
    ouro_stream *s = dial();
    say(s, "GET /f/large.bin HTTP/1.1\r\nHost: a\r\n\r\n"
           "GET /f/large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=1000-2000000\r\n"
           "Connection: close\r\n\r\n");
    char *a = malloc((size_t)SIZE * 2);
    int64_t n;
    for (size = 0; (n = ouro_await(ouro_stream_read(s, a + size, (size_t)SIZE * 2 - size))) > 0;)
        size += (size_t)n;
    char *first = strstr(a, "\r\n\r\n") + 4;
    check_eq(memcmp(first, bytes, SIZE), 0);
    char *second = strstr(first + SIZE, "\r\n\r\n") + 4;
    check_eq(memcmp(second, bytes + 1000, 1999001), 0);
    check_eq(second + 1999001 - a, size);
    free(a);
    free(bytes);
    ouro_stream_free(s);
    close_site();
    return 0;
}
