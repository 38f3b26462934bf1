/* SPDX-License-Identifier: MIT */
/*
 * Replies with files.
 *
 * Happy path: the file is opened and looked at by the ring, its size and time make a tag, the
 * conditions of the request are judged by that, and the part that is wanted is left to the
 * connection, which has the kernel send it.
 *
 * Of a folder nobody gets out: the kernel itself walks the path below it, and neither ".." nor a
 * link that leads elsewhere is followed (RESOLVE_BENEATH). What is no regular file is not there.
 *
 * How it fails: with a status, for the handler to return.
 */
#include "server_int.h"

#include <ouro/error.h>
#include <ouro/file.h>
#include <ouro/task.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- Conditions (RFC 9110, 13) --------------------------------------------------------------- */

struct facts {
    char tag[48]; /* with its quotes */
    char modified[HTTP_DATE_SIZE];
    int64_t seconds;
    uint64_t size;
};

static void find_facts(const ouro_stat *st, struct facts *f)
{
    f->size = st->size;
    f->seconds = st->modified.seconds;
    snprintf(f->tag, sizeof(f->tag), "\"%llx-%llx\"",
             (unsigned long long)st->modified.seconds * 1000000000u + st->modified.nanoseconds,
             (unsigned long long)st->size);
    ouro__http_date((time_t)f->seconds, f->modified);
}

/* Whether a list of tags has ours. @weak: W/ in front does not matter. */
static bool has_tag(const char *list, const char *tag, bool weak)
{
    size_t size = strlen(tag);
    if (strcmp(list, "*") == 0)
        return true;
    while (*list) {
        list += strspn(list, " \t,");
        bool is_weak = strncmp(list, "W/", 2) == 0;
        list += is_weak ? 2 : 0;
        if ((weak || !is_weak) && strncmp(list, tag, size) == 0 && strchr(" \t,", list[size]))
            return true;
        list += *list == '"' ? 1 + strcspn(list + 1, "\"") : 0;
        list += *list == '"';
        list += strcspn(list, ",");
    }
    return false;
}

/* 0: go on; else the status. */
static int judge(ouro_http_request *r, const struct facts *f)
{
    const char *match = ouro_http_header(r, "If-Match");
    const char *unmodified = match ? NULL : ouro_http_header(r, "If-Unmodified-Since");
    const char *none_match = ouro_http_header(r, "If-None-Match");
    bool gets = r->head_only || strcmp(r->method, "GET") == 0;
    const char *modified = none_match || !gets ? NULL : ouro_http_header(r, "If-Modified-Since");
    int64_t since;
    if (match && !has_tag(match, f->tag, false))
        return 412;
    if (unmodified && (since = ouro__http_date_parse(unmodified)) >= 0 && f->seconds > since)
        return 412;
    if (none_match && has_tag(none_match, f->tag, true))
        return gets ? 304 : 412;
    if (modified && (since = ouro__http_date_parse(modified)) >= 0 && f->seconds <= since)
        return 304;
    return 0;
}

/* ---- Ranges (RFC 9110, 14) ------------------------------------------------------------------- */

static const char *digits(const char *at, uint64_t *ret_n, bool *ret_any)
{
    uint64_t n = 0;
    const char *begin = at;
    for (; *at >= '0' && *at <= '9'; at++)
        n = n > (UINT64_MAX - 9) / 10 ? UINT64_MAX : n * 10 + (uint64_t)(*at - '0');
    *ret_any = at > begin;
    *ret_n = n;
    return at;
}

/* 206: *@from and *@size are a part; 416: there is none such; 200: the whole. */
static int parse_range(const char *text, uint64_t whole, uint64_t *from, uint64_t *size)
{
    uint64_t first, last;
    bool has_first, has_last;
    if (strncasecmp(text, "bytes=", 6) != 0)
        return 200;
    const char *at = digits(text + 6, &first, &has_first);
    if (*at++ != '-')
        return 200;
    at = digits(at, &last, &has_last);
    if (*at || (!has_first && !has_last) || (has_first && has_last && last < first))
        return 200; /* malformed, or several of them: RFC 9110, 14.2 lets us */
    if (!has_first) {
        *size = last < whole ? last : whole;
        *from = whole - *size;
        return *size ? 206 : 416;
    }
    if (first >= whole)
        return 416;
    *from = first;
    *size = (has_last && last < whole - 1 ? last : whole - 1) - first + 1;
    return 206;
}

/* A time is as good as a tag when the file cannot have changed again in that second (8.8.2.2). */
static bool is_condition(const char *text, const struct facts *f)
{
    return strcmp(text, f->tag) == 0 ||
           (strcmp(text, f->modified) == 0 && f->seconds < time(NULL) - 1);
}

static int choose_range(ouro_http_request *r, const struct facts *f, uint64_t *from, uint64_t *size)
{
    const char *range = ouro_http_header(r, "Range");
    const char *condition = ouro_http_header(r, "If-Range");
    *from = 0;
    *size = f->size;
    if (!range || strcmp(r->method, "GET") != 0)
        return 200;
    if (condition && !is_condition(condition, f))
        return 200;
    return parse_range(range, f->size, from, size);
}

/* ---- The reply ------------------------------------------------------------------------------- */

static int add_lines(ouro_http_request *r, const struct facts *f,
                     const ouro_http_file_options *opts)
{
    int rc = ouro__http_reply_line(r, "ETag", f->tag);
    if (rc == 0)
        rc = ouro__http_reply_line(r, "Last-Modified", f->modified);
    if (rc == 0 && !opts->no_ranges)
        rc = ouro__http_reply_line(r, "Accept-Ranges", "bytes");
    if (rc == 0 && opts->cache_control)
        rc = ouro__http_reply_line(r, "Cache-Control", opts->cache_control);
    return rc;
}

static int add_range(ouro_http_request *r, int status, uint64_t from, uint64_t size, uint64_t whole)
{
    char text[80];
    if (status == 416)
        snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)whole);
    else
        snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)from,
                 (unsigned long long)(from + size - 1), (unsigned long long)whole);
    return ouro__http_reply_line(r, "Content-Range", text);
}

/* @file is the request's if this returns 0. */
static int64_t reply_with(ouro_http_request *r, ouro_file *file, const ouro_stat *st,
                          const char *path, const ouro_http_file_options *opts)
{
    struct facts f;
    uint64_t from = 0, size = 0;
    find_facts(st, &f);
    int status = judge(r, &f);
    if (status == 412)
        return -OURO_EHTTP(412);
    int rc = add_lines(r, &f, opts);
    if (rc == 0 && status == 0)
        status = opts->no_ranges ? 200 : choose_range(r, &f, &from, &size);
    if (opts->no_ranges)
        size = f.size;
    if (rc == 0 && (status == 206 || status == 416))
        rc = add_range(r, status, from, size, f.size);
    if (rc < 0 || status == 416)
        return rc < 0 ? rc : -OURO_EHTTP(416);
    rc = status == 304 ? 0
                       : ouro__http_reply_type(r, opts->type ? opts->type : ouro__http_mime(path));
    if (rc < 0)
        return rc;
    r->reply.kind = HTTP_FILE;
    r->reply.status = status;
    r->reply.file = file;
    r->reply.offset = from;
    r->reply.size = status == 304 ? 0 : size;
    return 0;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int64_t status_of(int64_t error)
{
    switch (error) {
    case -EACCES:
    case -EPERM:
        return -OURO_EHTTP(403);
    case -ENOENT:
    case -ENOTDIR:
    case -ELOOP:
    case -EXDEV:
    case -ENAMETOOLONG:
    case -EISDIR:
    case -ENXIO:
        return -OURO_EHTTP(404);
    default:
        return error;
    }
}

/* A regular file, or -EISDIR, -ENOENT, ... A named pipe is not waited for. */
static int64_t open_file(const char *path, const ouro_file *at, ouro_file **ret_file, ouro_stat *st)
{
    int64_t rc;
    ouro_file_options opts = {.at = at, .resolve = at ? RESOLVE_BENEATH : 0};
    ouro_file *file = ouro_await_ptr(ouro_file_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &opts),
                                     &rc);
    if (!file)
        return rc;
    rc = ouro_await(ouro_file_stat(file, st));
    if (rc == 0 && !S_ISREG(st->mode))
        rc = S_ISDIR(st->mode) ? -EISDIR : -ENOENT;
    if (rc < 0)
        ouro_file_free(file);
    else
        *ret_file = file;
    return rc;
}

/* Whether what the client asked for ends in @path, which is no folder's name there. */
static bool lacks_slash(const ouro_http_request *r, const char *path)
{
    size_t size = strlen(r->path), end = strlen(path);
    return r->path[size - 1] != '/' && end < size && r->path[size - end - 1] == '/' &&
           strcmp(r->path + size - end, path) == 0;
}

/* To the same with a slash: "./sub/?query", where the dot keeps a colon from making a scheme. */
static int64_t reply_moved(ouro_http_request *r)
{
    size_t size = strcspn(r->target, "?"), query = strlen(r->target + size);
    const char *name = r->target + size;
    while (name > r->target && name[-1] != '/')
        name--;
    size_t length = (size_t)(r->target + size - name);
    char *to = ouro__http_take(&r->c->room->arena, length + query + 4);
    if (!to)
        return -ENOMEM;
    sprintf(to, "./%.*s/%s", (int)length, name, r->target + size);
    int rc = ouro__http_reply_line(r, "Location", to);
    return rc < 0 ? rc : ouro_http_reply(r, 301, NULL, "", 0);
}

static int64_t reply_path(ouro_http_request *r, const char *path, const ouro_file *at,
                          const ouro_http_file_options *opts)
{
    static const ouro_http_file_options defaults;
    ouro_file *file;
    ouro_stat st;
    int64_t rc = open_file(path, at, &file, &st);
    if (rc == -EISDIR && at) {
        size_t size = strlen(path);
        char *index = ouro__http_take(&r->c->room->arena, size + sizeof("/index.html"));
        if (!index)
            return -ENOMEM;
        memcpy(index, path, size);
        memcpy(index + size, "/index.html", sizeof("/index.html"));
        bool moved = lacks_slash(r, path);
        path = index;
        rc = open_file(path, at, &file, &st);
        if (rc == 0 && moved) {
            ouro_file_free(file);
            return reply_moved(r);
        }
    }
    if (rc < 0)
        return status_of(rc);
    rc = reply_with(r, file, &st, path, opts ? opts : &defaults);
    if (rc < 0)
        ouro_file_free(file);
    return rc;
}

static int check(const ouro_http_request *r, const char *path, const ouro_http_file_options *opts)
{
    const char *cache = opts ? opts->cache_control : NULL;
    if (!path || (cache && !ouro__http_parser_is_value(cache, strlen(cache))))
        return -EINVAL;
    return ouro__http_reply_may(r, 200, true);
}

int64_t ouro_http_reply_file(ouro_http_request *r, const char *path,
                             const ouro_http_file_options *opts)
{
    int rc = check(r, path, opts);
    return rc < 0 ? rc : reply_path(r, path, NULL, opts);
}

int64_t ouro_http_reply_file_in(ouro_http_request *r, const char *folder, const char *path,
                                const ouro_http_file_options *opts)
{
    int rc = folder ? check(r, path, opts) : -EINVAL;
    if (rc < 0)
        return rc;
    int64_t n;
    ouro_file *at = ouro_await_ptr(ouro_file_open(folder, O_PATH | O_DIRECTORY, NULL), &n);
    if (!at)
        return status_of(n);
    path += strspn(path, "/");
    n = reply_path(r, *path ? path : ".", at, opts);
    ouro_file_free(at);
    return n;
}
