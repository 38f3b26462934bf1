/* SPDX-License-Identifier: MIT */
/*
 * A TCP proxy: whoever connects to one place talks to another.
 *
 *     tcp_proxy :8080 example.org:80
 *     tcp_proxy --selftest      # a proxy before a server before a client, all in here
 *
 * A connection is one task with one wait: the relay, which needs neither a buffer nor a task for
 * each direction, passes ends on, and goes at the pace of the slower side. Ctrl-C drains.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static int64_t proxy(ouro_stream *client, void *arg)
{
    const char *target = arg;
    int64_t rc;
    ouro_stream *server = ouro_await_ptr(
        ouro_timeout(ouro_stream_connect(target, NULL), OURO_SEC(5)), &rc);
    if (!server) {
        fprintf(stderr, "%s: %s\n", target, ouro_strerror(rc));
        return rc;
    }
    rc = ouro_await(ouro_stream_relay(client, server));
    ouro_stream_free(server);
    return rc;
}

/* ---- The program ----------------------------------------------------------------------------- */

struct places {
    const char *from;
    const char *to;
};

static int64_t run(void *arg)
{
    const struct places *places = arg;
    ouro_listener *listener;
    int64_t rc = ouro_listen(places->from, NULL, &listener);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", places->from, ouro_strerror(rc));
        return rc;
    }
    fprintf(stderr, "%s goes to %s\n", places->from, places->to);
    rc = ouro_await(ouro_serve(listener, proxy, (void *)(uintptr_t)places->to, NULL));
    ouro_listener_free(listener);
    return rc;
}

/* ---- The self-test --------------------------------------------------------------------------- */

static int64_t shout(ouro_stream *s, void *arg)
{
    (void)arg;
    char line[256];
    int64_t n;
    while ((n = ouro_await(ouro_stream_read_line(s, line, sizeof(line)))) > 0) {
        for (char *c = line; *c; c++)
            if (*c >= 'a' && *c <= 'z')
                *c = (char)(*c - 'a' + 'A');
        n = ouro_await(ouro_stream_write(s, line, (size_t)n));
        if (n < 0)
            break;
    }
    return n < 0 ? n : ouro_await(ouro_stream_write(s, "BYE\n", 4));
}

/* Serve at a free port of this machine, which is written to @place. */
static ouro_future *serve_somewhere(ouro_serve_fn *handler, void *arg, char *place, size_t size,
                                    ouro_listener **ret_listener)
{
    int rc = ouro_listen("127.0.0.1:0", NULL, ret_listener);
    ouro_address address;
    if (rc == 0)
        rc = ouro_listener_address(*ret_listener, &address);
    if (rc < 0)
        return ouro_ready(rc);
    ouro_address_print(&address, place, size);
    return ouro_serve(*ret_listener, handler, arg, NULL);
}

static int64_t talk(const char *place)
{
    int64_t rc;
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(place, NULL), &rc);
    if (!s)
        return rc;
    static const char text[] = "hello\nis anybody there?\n";
    rc = ouro_await(ouro_stream_write(s, text, strlen(text)));
    if (rc > 0)
        rc = ouro_await(ouro_stream_shutdown(s, SHUT_WR));
    char line[256];
    while (rc >= 0 && (rc = ouro_await(ouro_stream_read_line(s, line, sizeof(line)))) > 0)
        printf("through the proxy: %s", line);
    ouro_stream_free(s);
    return rc;
}

static int64_t selftest(void *arg)
{
    (void)arg;
    char server_place[OURO_ADDRESS_TEXT], proxy_place[OURO_ADDRESS_TEXT];
    ouro_listener *server_listener = NULL, *proxy_listener = NULL;
    ouro_future *server = serve_somewhere(shout, NULL, server_place, sizeof(server_place),
                                          &server_listener);
    ouro_future *front = serve_somewhere(proxy, server_place, proxy_place, sizeof(proxy_place),
                                         &proxy_listener);
    int64_t rc = talk(proxy_place);
    ouro_server_stop(front, OURO_SEC(1));
    ouro_server_stop(server, OURO_SEC(1));
    int64_t ended = ouro_await(front);
    printf("the proxy has stopped: %s\n", ouro_strerror(ended));
    ended = ouro_await(server);
    printf("the server has stopped: %s\n", ouro_strerror(ended));
    ouro_listener_free(proxy_listener);
    ouro_listener_free(server_listener);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--selftest") == 0)
        return ouro_run(selftest, NULL, NULL) < 0;
    if (argc != 3) {
        fprintf(stderr, "usage: tcp_proxy FROM TO, both like 127.0.0.1:80 or unix:/path\n"
                        "       tcp_proxy --selftest\n");
        return 2;
    }
    struct places places = {argv[1], argv[2]};
    int64_t rc = ouro_run(run, &places, NULL);
    return rc < 0 && rc != -EINTR;
}
