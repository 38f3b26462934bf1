/* SPDX-License-Identifier: MIT */
/*
 * A web server for the files of a folder, on as many processors as it is given.
 *
 *     static_server [--port P] [--workers N] [FOLDER]
 *     static_server --selftest
 *
 * Ranges, ETags and conditional requests are the library's doing, as is that nobody gets out of the
 * folder. SIGINT lets who is being answered be answered. Each
 * answer is a line on standard output.
 */
#define _GNU_SOURCE
#include <ouro/http_server.h>
#include <ouro/ouro.h>

#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
    const char *port;
    const char *folder;
    int workers;
    int selftest;
};

/* ---- The server ------------------------------------------------------------------------------ */

static int64_t send_file(ouro_http_request *r, void *arg)
{
    ouro_http_file_options opts = {.cache_control = "max-age=60"};
    return ouro_http_reply_file_in(r, arg, ouro_http_param(r, "path"), &opts);
}

static void log_line(const ouro_http_access *line, void *arg)
{
    const struct options *o = arg;
    if (!o->selftest)
        ouro_http_log_access(line, NULL);
}

static int make_server(const struct options *o, ouro_http_server **ret_server)
{
    ouro_http_server_options opts = {
        .name = "static_server",
        .on_access = log_line,
        .arg = (void *)(uintptr_t)o,
    };
    int rc = ouro_http_server_new(&opts, ret_server);
    if (rc < 0)
        return rc;
    rc = ouro_http_route(*ret_server, "GET", "/{path...}", send_file, (void *)(uintptr_t)o->folder);
    if (rc < 0)
        *ret_server = ouro_http_server_free(*ret_server);
    return rc;
}

/* ---- The self-test --------------------------------------------------------------------------- */

/* Asks for a path and prints the status and what the answer says that matters. */
static int64_t ask(const char *where, const char *path, const char *fields)
{
    char request[512], answer[4096];
    size_t size = 0;
    int64_t n;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n",
             path, fields);
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(where, NULL), &n);
    if (n == 0)
        n = ouro_await(ouro_stream_write(s, request, strlen(request)));
    while (n > 0 && size < sizeof answer - 1) {
        n = ouro_await(ouro_stream_read(s, answer + size, sizeof answer - 1 - size));
        size += n > 0 ? (size_t)n : 0;
    }
    answer[size] = '\0';
    ouro_stream_free(s);
    const char *body = strstr(answer, "\r\n\r\n"), *type = strstr(answer, "Content-Type: ");
    printf("%s: %.*s", path, (int)strcspn(answer, "\r"), answer);
    if (type)
        printf(", %.*s", (int)strcspn(type + 14, ";\r"), type + 14);
    printf(" | %.*s\n", body ? (int)strcspn(body + 4, "\n") : 0, body ? body + 4 : "");
    return n;
}

static int64_t try_all(const char *where)
{
    int64_t rc = ask(where, "/", "");
    if (rc >= 0)
        rc = ask(where, "/notes.txt", "");
    if (rc >= 0)
        rc = ask(where, "/notes.txt", "Range: bytes=4-8\r\n");
    if (rc >= 0)
        rc = ask(where, "/notes.txt", "If-None-Match: *\r\n");
    if (rc >= 0)
        rc = ask(where, "/nothing", "");
    if (rc >= 0)
        rc = ask(where, "/%2e%2e/etc/passwd", "");
    return rc;
}

static int write_text(const char *path, const char *text)
{
    FILE *fp = fopen(path, "w");
    if (!fp)
        return -errno;
    fputs(text, fp);
    return fclose(fp) == 0 ? 0 : -errno;
}

/* ---- The program ----------------------------------------------------------------------------- */

static int64_t serve(const struct options *o, ouro_listener *l)
{
    char where[OURO_ADDRESS_TEXT];
    ouro_address address;
    ouro_http_server *server;
    int64_t rc = ouro_listener_address(l, &address);
    if (rc == 0)
        rc = make_server(o, &server);
    if (rc < 0)
        return rc;
    ouro_address_print(&address, where, sizeof where);
    ouro_future *serving = ouro_http_serve(server, l, NULL);
    if (o->selftest) {
        int64_t tried = try_all(where);
        ouro_server_stop(serving, OURO_SEC(1));
        rc = ouro_await(serving);
        rc = tried < 0 ? tried : rc;
    } else {
        if (ouro_worker_index() <= 0)
            fprintf(stderr, "%s at http://%s/\n", o->folder, where);
        rc = ouro_await(serving);
    }
    ouro_http_server_free(server);
    return rc;
}

static int64_t worker(void *arg)
{
    const struct options *o = arg;
    ouro_listener *l;
    char where[64];
    ouro_listener_options opts = {.socket.reuse_port = o->workers != 1};
    snprintf(where, sizeof where, o->selftest ? "127.0.0.1:0" : ":%s", o->port);
    int64_t rc = ouro_listen(where, &opts, &l);
    if (rc < 0) {
        static atomic_flag told = ATOMIC_FLAG_INIT; /* by one worker for all */
        if (!atomic_flag_test_and_set(&told))
            fprintf(stderr, "cannot listen at %s: %s\n", where, ouro_strerror(rc));
        return rc;
    }
    rc = serve(o, l);
    ouro_listener_free(l);
    return rc;
}

static int64_t selftest(struct options *o)
{
    char folder[] = "/tmp/static_server.XXXXXX", path[64];
    if (!mkdtemp(folder))
        return -errno;
    o->folder = folder;
    o->workers = 1;
    snprintf(path, sizeof path, "%s/index.html", folder);
    int64_t rc = write_text(path, "<h1>hello</h1>\n");
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    if (rc == 0)
        rc = write_text(path, "the quick brown fox\n");
    if (rc == 0)
        rc = ouro_run(worker, o, NULL);
    unlink(path);
    snprintf(path, sizeof path, "%s/index.html", folder);
    unlink(path);
    rmdir(folder);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"workers", required_argument, NULL, 'w'},
        {"selftest", no_argument, NULL, 's'},
        {0},
    };
    struct options o = {.port = "8080", .folder = ".", .workers = 1};
    for (int c; (c = getopt_long(argc, argv, "p:w:s", options, NULL)) != -1;) {
        if (c == 'p') {
            o.port = optarg;
        } else if (c == 'w') {
            o.workers = atoi(optarg);
        } else if (c == 's') {
            o.selftest = 1;
        } else {
            fprintf(stderr, "usage: %s [--port P] [--workers N] [FOLDER]\n", argv[0]);
            return 2;
        }
    }
    if (optind < argc)
        o.folder = argv[optind];
    if (o.selftest)
        return ouro_exit_code(selftest(&o));
    if (o.workers == 1)
        return ouro_exit_code(ouro_run(worker, &o, NULL));
    return ouro_exit_code(ouro_run_workers(o.workers, worker, &o, NULL));
}
