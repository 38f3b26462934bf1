/* SPDX-License-Identifier: MIT */
/*
 * A server of HTTP on several processors: the workers of <ouro/serve.h>, each with a server of its
 * own, since what belongs to a loop is not shared.
 *
 * How it fails: a server that cannot be made, or made ready, is the failure of its worker, and so
 * of all.
 */
#include "server_int.h"

#include <errno.h>

struct plan {
    ouro_http_setup_fn *setup;
    void *arg;
    const ouro_http_server_options *server;
};

static ouro_future *start(ouro_listener *l, const ouro_serve_options *opts, void *of,
                          void **ret_own)
{
    const struct plan *plan = of;
    ouro_http_server *server;
    int64_t rc = ouro_http_server_new(plan->server, &server);
    if (rc < 0)
        return ouro_ready(rc);
    *ret_own = server;
    rc = plan->setup(server, plan->arg);
    return rc < 0 ? ouro_ready(rc) : ouro_http_serve(server, l, opts);
}

static void finish(void *own)
{
    ouro_http_server_free(own);
}

int64_t ouro_http_serve_workers(int workers, const char *where, ouro_http_setup_fn *setup,
                                void *arg, const ouro_http_server_options *server,
                                const ouro_serve_workers_options *opts)
{
    struct plan plan = {setup, arg, server};
    ouro_service service = {.start = start, .finish = finish, .of = &plan};
    return setup ? ouro_serve_workers_with(workers, where, &service, arg, opts) : -EINVAL;
}
