/* SPDX-License-Identifier: MIT */
/*
 * A file server: a line names a file, the answer is its size and its bytes.
 *
 *     file_server /srv/pub :9000     # then: echo notes.txt | nc localhost 9000
 *     file_server --selftest
 *
 * The bytes go from the kernel's cache to the socket without a stay in this program. A name cannot
 * lead out of the folder: the kernel itself refuses that.
 */
#define _GNU_SOURCE
#include <ouro/ouro.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int64_t refuse(ouro_stream *s, const char *name, int64_t error)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "no %s: %s\n", name, ouro_strerror(error));
    return ouro_await(ouro_stream_write(s, text, (size_t)n));
}

static int64_t send_whole(ouro_stream *s, ouro_file *file)
{
    char head[32];
    ouro_stat st;
    int64_t rc = ouro_await(ouro_file_stat(file, &st));
    if (rc < 0)
        return rc;
    int n = snprintf(head, sizeof(head), "%llu\n", (unsigned long long)st.size);
    rc = ouro_stream_put(s, head, (size_t)n); /* goes out together with what follows */
    return rc < 0 ? rc : ouro_await(ouro_stream_send_file(s, ouro_file_fd(file), 0, st.size));
}

/* Any number of names, one a line. */
static int64_t answer(ouro_stream *s, void *arg)
{
    const ouro_file *folder = arg;
    char name[256];
    int64_t n;
    while ((n = ouro_await(ouro_stream_read_line(s, name, sizeof(name)))) > 0) {
        name[strcspn(name, "\r\n")] = '\0';
        ouro_file *file = ouro_await_ptr(
            ouro_file_open(name, O_RDONLY,
                           &(ouro_file_options){.at = folder, .resolve = RESOLVE_BENEATH}),
            &n);
        n = file ? send_whole(s, file) : refuse(s, name, n);
        ouro_file_free(file);
        if (n < 0)
            break;
    }
    return n;
}

struct request {
    const char *folder;
    const char *place;
    int64_t (*then)(ouro_future *server, const char *place); /* NULL: serve on */
};

static int64_t serve(ouro_file *folder, const struct request *request)
{
    ouro_listener *listener;
    ouro_address address;
    char place[OURO_ADDRESS_TEXT];
    int64_t rc = ouro_listen(request->place, NULL, &listener);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", request->place, ouro_strerror(rc));
        return rc;
    }
    ouro_listener_address(listener, &address);
    ouro_address_print(&address, place, sizeof(place));
    fprintf(stderr, "serving %s at %s\n", request->folder, place);
    ouro_future *server = ouro_serve(listener, answer, folder, NULL);
    rc = request->then ? request->then(ouro_ref(server), place) : 0;
    int64_t ended = ouro_await(server);
    ouro_listener_free(listener);
    return rc < 0 ? rc : ended;
}

static int64_t run(void *arg)
{
    const struct request *request = arg;
    int64_t rc;
    ouro_file *folder = ouro_await_ptr(ouro_file_open(request->folder, O_PATH | O_DIRECTORY, NULL),
                                       &rc);
    if (folder)
        rc = serve(folder, request);
    else
        fprintf(stderr, "%s: %s\n", request->folder, ouro_strerror(rc));
    ouro_file_free(folder);
    return rc;
}

/* ---- The self-test --------------------------------------------------------------------------- */

static int64_t ask(ouro_stream *s)
{
    static const char names[] = "status\n../etc/passwd\nno-such-file\n";
    char line[512];
    int64_t rc = ouro_await(ouro_stream_write(s, names, strlen(names)));
    if (rc > 0)
        rc = ouro_await(ouro_stream_shutdown(s, SHUT_WR));
    while (rc >= 0 && (rc = ouro_await(ouro_stream_read_line(s, line, sizeof(line)))) > 0)
        printf("%s", line);
    return rc;
}

static int64_t ask_and_stop(ouro_future *server, const char *place)
{
    int64_t rc;
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(place, NULL), &rc);
    if (s)
        rc = ask(s);
    ouro_stream_free(s);
    ouro_server_stop(server, OURO_SEC(1));
    ouro_unref(server);
    return rc;
}

static int64_t make_file(const char *path, const char *text)
{
    int64_t rc;
    ouro_file *f = ouro_await_ptr(ouro_file_open(path, O_WRONLY | O_CREAT | O_TRUNC, NULL), &rc);
    if (f)
        rc = ouro_await(ouro_file_write(f, text, strlen(text), 0));
    ouro_file_free(f);
    return rc;
}

static int64_t selftest(void *arg)
{
    (void)arg;
    char folder[] = "/tmp/ouro-files-XXXXXX";
    char path[sizeof(folder) + 8];
    if (!mkdtemp(folder))
        return -errno;
    snprintf(path, sizeof(path), "%s/status", folder);
    int64_t rc = make_file(path, "all is well\n");
    struct request request = {folder, "127.0.0.1:0", ask_and_stop};
    if (rc >= 0)
        rc = run(&request);
    remove(path);
    remove(folder);
    return rc;
}

int main(int argc, char **argv)
{
    int64_t rc = 0;
    if (argc == 2 && strcmp(argv[1], "--selftest") == 0) {
        rc = ouro_run(selftest, NULL, NULL);
    } else if (argc == 3) {
        struct request request = {argv[1], argv[2], NULL};
        rc = ouro_run(run, &request, NULL);
    } else {
        fprintf(stderr, "usage: file_server FOLDER PLACE, such as /srv/pub :9000\n"
                        "       file_server --selftest\n");
        return 2;
    }
    return rc < 0 && rc != -EINTR;
}
