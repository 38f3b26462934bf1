/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks ask, as a user of ouro writes it; the listening socket is descriptor 3.
 *
 *     server_ouro hello                 GET /
 *     server_ouro aggregate URL URL     GET /aggregate/{id}: asks URL/{id} of both, and merges
 *     server_ouro upstream              GET /{id}: answers after as many milliseconds
 */
#include <ouro/http.h>
#include <ouro/ouro.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define LISTENER  3
#define UPSTREAMS 2
#define LIMIT     OURO_SEC(2)

static const char *const names[UPSTREAMS] = {"users", "posts"};

struct endpoint {
    ouro_http_client *client;
    const char *urls[UPSTREAMS];
};

/* ---- Handlers -------------------------------------------------------------------------------- */

static int64_t hello(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply(r, 200, "text/plain", "hello world\n", 12);
}

static int64_t upstream(ouro_http_request *r, void *arg)
{
    static const char items[] = "{\"items\": [{\"id\": 1, \"name\": \"Ann\"}, {\"id\": 2, "
                                "\"name\": \"Bob\"}], \"next\": null}";
    int64_t ms, rc = ouro_http_param_int(r, "id", &ms);
    (void)arg;
    if (rc == 0 && ms > 0)
        rc = ouro_await(ouro_sleep(OURO_MS(ms)));
    return rc < 0 ? rc : ouro_http_reply(r, 200, "application/json", items, sizeof items - 1);
}

static int64_t merge(ouro_http_request *r, const ouro_result *answers)
{
    json_t *all = json_object(), *one;
    for (int i = 0; i < UPSTREAMS; i++) {
        if (answers[i].n != 200 || ouro_http_response_json(answers[i].ptr, &one) < 0) {
            json_decref(all);
            return -OURO_EHTTP(502);
        }
        json_object_set_new(all, names[i], one);
    }
    return ouro_http_reply_json(r, 200, all);
}

static int64_t aggregate(ouro_http_request *r, void *arg)
{
    const struct endpoint *e = arg;
    ouro_future *asked[UPSTREAMS];
    ouro_result answers[UPSTREAMS];
    char url[256];
    for (int i = 0; i < UPSTREAMS; i++) {
        snprintf(url, sizeof url, "%s/%s", e->urls[i], ouro_http_param(r, "id"));
        asked[i] = ouro_timeout(ouro_http_get(e->client, url, NULL), LIMIT);
    }
    int64_t rc = ouro_await(ouro_gather(asked, UPSTREAMS, OURO_GATHER_COLLECT, answers));
    if (rc < 0)
        return rc;
    rc = merge(r, answers);
    for (int i = 0; i < UPSTREAMS; i++)
        ouro_http_response_free(answers[i].ptr);
    return rc;
}

/* ---- The server ------------------------------------------------------------------------------ */

static int64_t serve(const char *path, ouro_http_handler *handler, void *arg)
{
    ouro_http_server_options opts = {.requests_max = UINT64_MAX};
    ouro_http_server *server;
    ouro_listener *l;
    int64_t rc = ouro_listener_from_fd(LISTENER, NULL, &l);
    if (rc < 0)
        return rc;
    rc = ouro_http_server_new(&opts, &server);
    if (rc == 0) {
        rc = ouro_http_route(server, "GET", path, handler, arg);
        if (rc == 0)
            rc = ouro_await(ouro_http_serve(server, l, NULL));
        ouro_http_server_free(server);
    }
    ouro_listener_free(l);
    return rc;
}

static int64_t run(void *arg)
{
    char **words = arg;
    if (strcmp(words[0], "hello") == 0)
        return serve("/", hello, NULL);
    if (strcmp(words[0], "upstream") == 0)
        return serve("/{id}", upstream, NULL);
    struct endpoint e = {.urls = {words[1], words[2]}};
    ouro_http_client_options opts = {.host_max = 1000, .total_max = 2000, .keep_max = 2000};
    int64_t rc = ouro_http_client_new(&opts, &e.client);
    if (rc < 0)
        return rc;
    rc = serve("/aggregate/{id}", aggregate, &e);
    ouro_http_client_free(e.client);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4)
        return 2;
    return ouro_exit_code(ouro_run(run, argv + 1, NULL));
}
