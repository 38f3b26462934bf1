/* SPDX-License-Identifier: MIT */
/*
 * What wrk is pointed at: "hello", and a handler that waits for a millisecond.
 *
 *     server_ouro PORT
 */
#include <ouro/http_server.h>
#include <ouro/ouro.h>

#include <stdio.h>
#include <stdlib.h>

static int64_t hello(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply(r, 200, "text/plain", "hello world\n", 12);
}

static int64_t slow(ouro_http_request *r, void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(1)));
    return rc < 0 ? rc : ouro_http_reply(r, 200, "text/plain", "hello world\n", 12);
}

static int64_t serve(void *arg)
{
    ouro_http_server *server;
    ouro_listener *l;
    int64_t rc = ouro_listen(arg, NULL, &l);
    if (rc < 0)
        return rc;
    ouro_http_server_options opts = {.requests_max = UINT64_MAX};
    rc = ouro_http_server_new(&opts, &server);
    if (rc == 0)
        rc = ouro_http_route(server, "GET", "/", hello, NULL);
    if (rc == 0)
        rc = ouro_http_route(server, "GET", "/slow", slow, NULL);
    if (rc == 0)
        rc = ouro_await(ouro_http_serve(server, l, NULL));
    ouro_http_server_free(server);
    ouro_listener_free(l);
    return rc;
}

int main(int argc, char **argv)
{
    char where[64];
    if (argc != 2)
        return 2;
    snprintf(where, sizeof(where), "127.0.0.1:%s", argv[1]);
    return ouro_exit_code(ouro_run(serve, where, NULL));
}
