/* SPDX-License-Identifier: MIT */
/*
 * A web server for the files of a folder, on as many processors as it is given.
 *
 *     static_server [--port P | --at PLACE] [--workers N] [FOLDER]
 *     static_server --selftest
 *
 * Ranges, ETags and conditional requests are the library's doing, as is that nobody gets out of the
 * folder. Each answer is a line on standard output.
 *
 * SIGINT and SIGTERM let who is being answered be answered, for 30 seconds. SIGUSR2 starts the
 * program anew, as it is on disk by then, with the same arguments: the new process gets the sockets,
 * and when it is ready this one ends as by SIGTERM. No connection is refused meanwhile. It can also
 * be started by a socket unit of systemd, as a service of type notify.
 */
#define _GNU_SOURCE
#include <ouro/http_server.h>
#include <ouro/ouro.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
    const char *port;
    const char *at;
    const char *folder;
    int workers;
    int selftest;
};

static const char usage[] =
    "usage: %s [--port P | --at PLACE] [--workers N] [FOLDER]\n"
    "  --port P     listen at this port; default 8080\n"
    "  --at PLACE   listen here instead, such as 127.0.0.1:8080 or unix:/run/site.sock\n"
    "  --workers N  on so many processors; 0: all; default 1\n"
    "Signals: SIGINT and SIGTERM end it in good order, SIGUSR2 has a new process take over.\n"
    "Sockets given by LISTEN_FDS, as systemd does, are served in place of a port.\n";

/* ---- The server ------------------------------------------------------------------------------ */

static int64_t send_file(ouro_http_request *r, void *arg)
{
    const struct options *o = arg;
    ouro_http_file_options opts = {.cache_control = "max-age=60"};
    return ouro_http_reply_file_in(r, o->folder, ouro_http_param(r, "path"), &opts);
}

/* Each worker has a server of its own. */
static int64_t add_routes(ouro_http_server *server, void *o)
{
    return ouro_http_route(server, "GET", "/{path...}", send_file, o);
}

static void log_line(const ouro_http_access *line, void *arg)
{
    (void)arg;
    ouro_http_log_access(line, NULL);
}

static void announce(const ouro_address *address, void *arg)
{
    const struct options *o = arg;
    char where[OURO_ADDRESS_TEXT];
    ouro_address_print(address, where, sizeof where);
    fprintf(stderr, "process %d: %s at http://%s/\n", (int)getpid(), o->folder, where);
}

static void restarted(int64_t result, const char *why, void *arg)
{
    (void)arg;
    if (result > 0)
        fprintf(stderr, "process %d: process %lld takes over\n", (int)getpid(), (long long)result);
    else
        fprintf(stderr, "process %d: no restart: %s (%s)\n", (int)getpid(),
                why ? why : "it did not work", ouro_strerror(result));
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

/* Serve on the loop of the caller, just long enough to be asked. */
static int64_t serve_and_try(void *arg)
{
    ouro_http_server_options opts = {.name = "static_server"};
    ouro_http_server *server = NULL;
    ouro_listener *l = NULL;
    ouro_address address;
    char where[OURO_ADDRESS_TEXT];
    int64_t rc = ouro_http_server_new(&opts, &server);
    if (rc == 0)
        rc = add_routes(server, arg);
    if (rc == 0)
        rc = ouro_listen("127.0.0.1:0", NULL, &l);
    if (rc == 0)
        rc = ouro_listener_address(l, &address);
    if (rc == 0) {
        ouro_address_print(&address, where, sizeof where);
        ouro_future *serving = ouro_http_serve(server, l, NULL);
        int64_t tried = try_all(where);
        ouro_server_stop(serving, OURO_SEC(1));
        rc = ouro_await(serving);
        rc = tried < 0 ? tried : rc;
    }
    ouro_listener_free(l);
    ouro_http_server_free(server);
    return rc;
}

static int64_t selftest(struct options *o)
{
    char folder[] = "/tmp/static_server.XXXXXX", path[64];
    if (!mkdtemp(folder))
        return -errno;
    o->folder = folder;
    snprintf(path, sizeof path, "%s/index.html", folder);
    int64_t rc = write_text(path, "<h1>hello</h1>\n");
    snprintf(path, sizeof path, "%s/notes.txt", folder);
    if (rc == 0)
        rc = write_text(path, "the quick brown fox\n");
    if (rc == 0)
        rc = ouro_run(serve_and_try, o, NULL);
    unlink(path);
    snprintf(path, sizeof path, "%s/index.html", folder);
    unlink(path);
    rmdir(folder);
    return rc;
}

static int64_t serve(struct options *o)
{
    ouro_http_server_options server = {.name = "static_server", .on_access = log_line};
    ouro_serve_workers_options opts = {
        .serve.grace = OURO_SEC(30),
        .on_listening = announce,
        .restart_signal = SIGUSR2,
        .on_restart = restarted,
    };
    char where[OURO_ADDRESS_TEXT];
    snprintf(where, sizeof where, "%s%s", o->at ? "" : ":", o->at ? o->at : o->port);
    int64_t rc = ouro_http_serve_workers(o->workers, where, add_routes, o, &server, &opts);
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "cannot listen at %s: %s\n", where, ouro_strerror(rc));
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},    {"at", required_argument, NULL, 'a'},
        {"workers", required_argument, NULL, 'w'}, {"selftest", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    struct options o = {.port = "8080", .folder = ".", .workers = 1};
    for (int c; (c = getopt_long(argc, argv, "p:a:w:sh", options, NULL)) != -1;) {
        if (c == 'p') {
            o.port = optarg;
        } else if (c == 'a') {
            o.at = optarg;
        } else if (c == 'w' && optarg[strspn(optarg, "0123456789")] == '\0') {
            o.workers = atoi(optarg);
        } else if (c == 's') {
            o.selftest = 1;
        } else {
            fprintf(c == 'h' ? stdout : stderr, usage, argv[0]);
            return c == 'h' ? 0 : 2;
        }
    }
    if (optind < argc)
        o.folder = argv[optind];
    setvbuf(stdout, NULL, _IOLBF, 0); /* a log has whole lines, also while two processes write it */
    return ouro_exit_code(o.selftest ? selftest(&o) : serve(&o));
}
