/* SPDX-License-Identifier: MIT */
/*
 * Servers: making them, what they serve, and the way to a handler.
 *
 * A service is one listener that is served. It knows its connections, so that those which are idle
 * end when it stops. Its record stays for the next one, or until the server is freed, since the
 * future it belongs to is the caller's.
 */
#include "server_int.h"

#include <ouro/error.h>
#include <ouro/task.h>

#include <errno.h>
#include <string.h>

#define LINE_MAX_DEFAULT    ((size_t)8 * 1024)
#define HEADERS_MAX_DEFAULT ((size_t)64 * 1024)
#define COUNT_MAX_DEFAULT   100
#define BODY_MAX_DEFAULT    ((size_t)1024 * 1024)

/* ---- Making ---------------------------------------------------------------------------------- */

int ouro__http_check(const ouro_http_server *server)
{
    if (!server)
        return -EINVAL;
    return server->loop == ouro_loop_current() ? 0 : -EXDEV;
}

static void default_time(ouro_ns *limit, ouro_ns value)
{
    if (!*limit)
        *limit = value;
}

static void default_size(size_t *limit, size_t value)
{
    if (!*limit)
        *limit = value;
}

static void fill_in(ouro_http_server_options *o)
{
    default_size(&o->line_max, LINE_MAX_DEFAULT);
    default_size(&o->headers_max, HEADERS_MAX_DEFAULT);
    default_size(&o->body_max, BODY_MAX_DEFAULT);
    if (!o->header_count_max)
        o->header_count_max = COUNT_MAX_DEFAULT;
    if (!o->requests_max)
        o->requests_max = 10000;
    default_time(&o->header_limit, OURO_SEC(10));
    default_time(&o->body_limit, OURO_SEC(30));
    default_time(&o->write_limit, OURO_SEC(60));
    default_time(&o->idle_limit, OURO_SEC(75));
}

static bool is_sane(const ouro_http_server_options *o)
{
    size_t most = (size_t)1 << 30;
    return o->header_count_max >= 0 && o->header_count_max <= 10000 && o->line_max <= most &&
           o->headers_max <= most &&
           (!o->name || ouro__http_parser_is_value(o->name, strlen(o->name)));
}

int ouro_http_server_new(const ouro_http_server_options *opts, ouro_http_server **ret_server)
{
    static const ouro_http_server_options defaults;
    if (!opts)
        opts = &defaults;
    if (!ret_server || !is_sane(opts))
        return -EINVAL;
    ouro_future *alive = ouro_ready(0); /* says whether this thread has a loop of its own */
    int rc = (int)ouro_future_result(alive).n;
    ouro_unref(alive);
    if (rc < 0)
        return rc;
    size_t name = opts->name ? strlen(opts->name) + 1 : 0;
    ouro_http_server *server = ouro_memory_alloc(sizeof(*server) + name);
    if (!server)
        return -ENOMEM;
    *server = (ouro_http_server){.loop = ouro_loop_ref(ouro_loop_current()), .opts = *opts};
    fill_in(&server->opts);
    if (name)
        server->opts.name = memcpy(server + 1, opts->name, name);
    server->limits = (struct http_limits){
        .line_max = server->opts.line_max,
        .headers_max = server->opts.headers_max,
        .count_max = (size_t)server->opts.header_count_max,
    };
    *ret_server = server;
    return 0;
}

ouro_http_server *ouro_http_server_free(ouro_http_server *server)
{
    if (!server)
        return NULL;
    for (struct http_service *next; server->services; server->services = next) {
        next = server->services->next;
        ouro_unref(server->services->future);
        ouro_memory_release(server->services);
    }
    for (struct http_room *next; server->spare; server->spare = next) {
        next = server->spare->next;
        ouro__http_room_free(server->spare);
    }
    ouro__http_node_free(&server->root);
    ouro_memory_release(server->layers);
    ouro_loop_unref(server->loop);
    ouro_memory_release(server);
    return NULL;
}

int ouro_http_route(ouro_http_server *server, const char *method, const char *path,
                    ouro_http_handler *handler, void *arg)
{
    int rc = ouro__http_check(server);
    if (rc < 0)
        return rc;
    if (method && path && handler)
        return ouro__http_route_add(server, method, path, handler, arg);
    static const char text[] = "a route needs a method, a path and a handler";
    memcpy(server->error, text, sizeof(text));
    return -EINVAL;
}

const char *ouro_http_server_error(const ouro_http_server *server)
{
    return server ? server->error : "";
}

int ouro_http_use(ouro_http_server *server, ouro_http_middleware *middleware, void *arg)
{
    int rc = middleware ? ouro__http_check(server) : -EINVAL;
    if (rc < 0)
        return rc;
    struct http_layer *layers = ouro_memory_resize(server->layers,
                                                   (server->layer_count + 1) * sizeof(layers[0]));
    if (!layers)
        return -ENOMEM;
    server->layers = layers;
    layers[server->layer_count++] = (struct http_layer){middleware, arg};
    return 0;
}

int ouro_http_server_stats_get(const ouro_http_server *server, ouro_http_server_stats *ret_stats)
{
    int rc = ret_stats ? ouro__http_check(server) : -EINVAL;
    if (rc == 0)
        *ret_stats = server->stats;
    return rc;
}

/* ---- The way to a handler -------------------------------------------------------------------- */

struct ouro_http_next {
    size_t layer; /* that is next */
    bool ran;
};

static int64_t without_route(ouro_http_request *r)
{
    const struct http_match *m = r->match;
    bool asks = strcmp(r->method, "OPTIONS") == 0;
    if (strcmp(r->path, "*") == 0 && asks)
        return 0;
    if (!m->known)
        return -OURO_EHTTP(404);
    int rc = ouro__http_reply_line(r, "Allow", m->allow);
    if (rc < 0)
        return rc;
    return asks ? 0 : -OURO_EHTTP(405);
}

static int64_t run_from(ouro_http_request *r, size_t layer)
{
    const ouro_http_server *server = r->c->server;
    if (layer == server->layer_count)
        return r->route ? r->route->handler(r, r->route->arg) : without_route(r);
    ouro_http_next next = {.layer = layer + 1};
    return server->layers[layer].fn(r, &next, server->layers[layer].arg);
}

int64_t ouro_http_next_run(ouro_http_request *r, ouro_http_next *next)
{
    if (!r || !next)
        return -EINVAL;
    if (next->ran)
        return -EALREADY;
    next->ran = true;
    return run_from(r, next->layer);
}

int64_t ouro__http_handle(ouro_http_request *r)
{
    return run_from(r, 0);
}

/* ---- Serving --------------------------------------------------------------------------------- */

static void link_in(struct http_connection *c, struct http_service *service)
{
    c->service = service;
    c->next = service->connections;
    c->back = &service->connections;
    if (c->next)
        c->next->back = &c->next;
    service->connections = c;
}

static void unlink_from(struct http_connection *c)
{
    *c->back = c->next;
    if (c->next)
        c->next->back = c->back;
}

static int64_t serve_connection(ouro_stream *s, void *arg)
{
    struct http_service *service = arg;
    struct http_connection c = {.server = service->server, .stream = s};
    link_in(&c, service);
    int64_t rc = ouro__http_serve(&c);
    unlink_from(&c);
    return rc;
}

int64_t ouro_http_serve_stream(ouro_http_server *server, ouro_stream *s)
{
    int rc = s ? ouro__http_check(server) : -EINVAL;
    if (rc == 0 && !ouro_task_current())
        rc = -EPERM;
    if (rc < 0)
        return rc;
    struct http_connection c = {.server = server, .stream = s};
    return ouro__http_serve(&c);
}

/* Those that wait for a request end; the others close when they have answered. */
static void stopping(void *arg)
{
    struct http_service *service = arg;
    service->stopping = true;
    for (struct http_connection *c = service->connections; c; c = c->next)
        ouro__http_end_idle(c);
    if (service->user.on_stop)
        service->user.on_stop(service->server->opts.arg);
}

static void connection_failed(ouro_future *task, int64_t error, void *arg)
{
    struct http_service *service = arg;
    if (service->user.on_error)
        service->user.on_error(task, error, service->server->opts.arg);
}

/* A record that is in use no more, or a new one. */
static struct http_service *service_get(ouro_http_server *server)
{
    struct http_service *service = server->services;
    while (service && ouro_future_state(service->future) == OURO_PENDING)
        service = service->next;
    if (!service) {
        service = ouro_memory_alloc(sizeof(*service));
        if (!service)
            return NULL;
        *service = (struct http_service){.next = server->services, .server = server};
        server->services = service;
    }
    service->future = ouro_unref(service->future);
    service->stopping = false;
    return service;
}

ouro_future *ouro_http_serve(ouro_http_server *server, ouro_listener *l,
                             const ouro_serve_options *opts)
{
    int rc = ouro__http_check(server);
    if (rc < 0)
        return ouro_ready(rc);
    struct http_service *service = service_get(server);
    if (!service)
        return ouro_ready(-ENOMEM);
    ouro_serve_options own = {.name = "http"};
    service->user = opts ? *opts : (ouro_serve_options){.name = NULL};
    if (opts)
        own = *opts;
    own.on_error = connection_failed;
    own.on_stop = stopping;
    ouro_future *f = ouro_serve(l, serve_connection, service, &own);
    service->future = ouro_ref(f);
    return f;
}
