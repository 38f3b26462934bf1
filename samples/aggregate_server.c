/* SPDX-License-Identifier: MIT */
/*
 * An endpoint that fans out: GET /aggregate asks two upstreams at once, and answers with what both
 * said, as one JSON object.
 *
 *     aggregate_server :8000 http://users.internal/ http://posts.internal/
 *     aggregate_server --selftest
 *
 * An upstream that fails is a 502, one that is too slow a 504; either says which it was. When the
 * client goes away, both are cancelled.
 */
#include <ouro/http.h>
#include <ouro/ouro.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define UPSTREAMS 2
#define LIMIT     OURO_SEC(2) /* for each */

static const char *const names[UPSTREAMS] = {"users", "posts"};

struct aggregate {
    ouro_http_client *client;
    const char *urls[UPSTREAMS];
    ouro_ns limit;
};

/* ---- The endpoint ---------------------------------------------------------------------------- */

/* What an upstream said, as JSON; NULL: nothing that is of use. */
static json_t *json_of(const ouro_result *answer)
{
    json_t *json = NULL;
    if (answer->n == 200)
        ouro_http_response_json(answer->ptr, &json);
    return json;
}

/* [endpoint] */
static int64_t complain(ouro_http_request *r, const char *upstream, const ouro_result *answer)
{
    char why[64];
    int status = answer->n == -ETIMEDOUT ? 504 : 502;
    if (answer->n == 200)
        snprintf(why, sizeof why, "its answer is no JSON");
    else if (answer->n >= 100)
        snprintf(why, sizeof why, "it answered with status %lld", (long long)answer->n);
    else
        snprintf(why, sizeof why, "%s", ouro_strerror(answer->n));
    return ouro_http_reply_json(r, status,
                                json_pack("{s:s, s:s}", "upstream", upstream, "error", why));
}

static int64_t merge(ouro_http_request *r, const ouro_result *answers)
{
    json_t *all = json_object();
    for (int i = 0; i < UPSTREAMS; i++) {
        json_t *one = json_of(&answers[i]);
        if (!one) {
            json_decref(all);
            return complain(r, names[i], &answers[i]);
        }
        json_object_set_new(all, names[i], one);
    }
    return ouro_http_reply_json(r, 200, all);
}

static int64_t aggregate(ouro_http_request *r, void *arg)
{
    const struct aggregate *a = arg;
    ouro_future *asked[UPSTREAMS];
    ouro_result answers[UPSTREAMS];
    for (int i = 0; i < UPSTREAMS; i++)
        asked[i] = ouro_timeout(ouro_http_get(a->client, a->urls[i], NULL), a->limit);
    int64_t rc = ouro_await(ouro_gather(asked, UPSTREAMS, OURO_GATHER_COLLECT, answers));
    if (rc < 0)
        return rc;
    rc = merge(r, answers);
    for (int i = 0; i < UPSTREAMS; i++)
        ouro_http_response_free(answers[i].ptr);
    return rc;
}
/* [endpoint] */

/* ---- The server ------------------------------------------------------------------------------ */

/* What is done while it serves; NULL: it serves on. */
typedef int64_t meanwhile(const ouro_address *where, struct aggregate *a);

static int64_t serve_at(ouro_http_server *server, const char *place, struct aggregate *a,
                        meanwhile *then)
{
    ouro_listener *listener;
    ouro_address address;
    char text[OURO_ADDRESS_TEXT];
    int64_t rc = ouro_listen(place, NULL, &listener);
    if (rc < 0) {
        fprintf(stderr, "cannot listen at %s: %s\n", place, ouro_strerror(rc));
        return rc;
    }
    ouro_listener_address(listener, &address);
    ouro_address_print(&address, text, sizeof text);
    fprintf(stderr, "http://%s/aggregate\n", text);
    ouro_future *serving = ouro_http_serve(server, listener, NULL);
    if (then) {
        rc = then(&address, a);
        ouro_server_stop(serving, OURO_SEC(1));
    }
    int64_t ended = ouro_await(serving);
    ouro_listener_free(listener);
    return rc < 0 ? rc : ended;
}

static int64_t serve(const char *place, struct aggregate *a, meanwhile *then)
{
    ouro_http_server *server;
    int64_t rc = ouro_http_client_new(NULL, &a->client);
    if (rc < 0)
        return rc;
    rc = ouro_http_server_new(NULL, &server);
    if (rc == 0) {
        rc = ouro_http_route(server, "GET", "/aggregate", aggregate, a);
        if (rc == 0)
            rc = serve_at(server, place, a, then);
        ouro_http_server_free(server);
    }
    ouro_http_client_free(a->client);
    return rc;
}

static int64_t run(void *arg)
{
    char **argv = arg;
    struct aggregate a = {.urls = {argv[2], argv[3]}, .limit = LIMIT};
    return serve(argv[1], &a, NULL);
}

/* ---- The self-test --------------------------------------------------------------------------- */

static int64_t users(ouro_http_request *r, void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(50)));
    return rc < 0 ? rc : ouro_http_reply_json(r, 200, json_pack("[s, s]", "Ann", "Bob"));
}

static int64_t posts(ouro_http_request *r, void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(50)));
    return rc < 0 ? rc : ouro_http_reply_json(r, 200, json_pack("{s:i}", "count", 7));
}

static int64_t too_slow(ouro_http_request *r, void *arg)
{
    (void)r;
    (void)arg;
    return ouro_await(ouro_sleep(OURO_SEC(60)));
}

static int64_t broken(ouro_http_request *r, void *arg)
{
    (void)arg;
    return ouro_http_reply_text(r, 200, "this is no JSON\n");
}

static int64_t show(struct aggregate *a, const char *place)
{
    char url[OURO_ADDRESS_TEXT + 32];
    int64_t status;
    snprintf(url, sizeof url, "http://%s/aggregate", place);
    ouro_http_response *page = ouro_await_ptr(ouro_http_get(a->client, url, NULL), &status);
    if (page)
        printf("%lld %s\n", (long long)status, page->body);
    ouro_http_response_free(page);
    return status < 0 ? status : 0;
}

static char upstream[OURO_ADDRESS_TEXT]; /* where the self-test's own upstreams are */

/* Both well, one slow, one broken, one not there. */
static int64_t try_all(const ouro_address *where, struct aggregate *a)
{
    static const char *const second[] = {"posts", "slow", "broken", "nowhere"};
    char place[OURO_ADDRESS_TEXT], urls[2][OURO_ADDRESS_TEXT + 32];
    int64_t rc = 0;
    ouro_address_print(where, place, sizeof place);
    snprintf(urls[0], sizeof urls[0], "http://%s/users", upstream);
    for (size_t i = 0; i < sizeof second / sizeof *second && rc == 0; i++) {
        snprintf(urls[1], sizeof urls[1], "http://%s/%s", upstream, second[i]);
        a->urls[0] = urls[0];
        a->urls[1] = urls[1];
        rc = show(a, place);
    }
    return rc;
}

static int64_t with_upstreams(ouro_http_server *server)
{
    ouro_listener *listener;
    ouro_address address;
    struct aggregate a = {.limit = OURO_MS(200)};
    int64_t rc = ouro_listen("127.0.0.1:0", NULL, &listener);
    if (rc < 0)
        return rc;
    ouro_listener_address(listener, &address);
    ouro_address_print(&address, upstream, sizeof upstream);
    ouro_future *serving = ouro_http_serve(server, listener, NULL);
    rc = serve("127.0.0.1:0", &a, try_all);
    ouro_server_stop(serving, 0);
    ouro_await(serving);
    ouro_listener_free(listener);
    return rc;
}

static int64_t selftest(void *arg)
{
    (void)arg;
    ouro_http_server *server;
    int64_t rc = ouro_http_server_new(NULL, &server);
    if (rc < 0)
        return rc;
    rc = ouro_http_route(server, "GET", "/users", users, NULL);
    if (rc == 0)
        rc = ouro_http_route(server, "GET", "/posts", posts, NULL);
    if (rc == 0)
        rc = ouro_http_route(server, "GET", "/slow", too_slow, NULL);
    if (rc == 0)
        rc = ouro_http_route(server, "GET", "/broken", broken, NULL);
    if (rc == 0)
        rc = with_upstreams(server);
    ouro_http_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    int64_t rc;
    if (argc == 2 && strcmp(argv[1], "--selftest") == 0) {
        rc = ouro_run(selftest, NULL, NULL);
    } else if (argc == 4) {
        rc = ouro_run(run, argv, NULL);
    } else {
        fprintf(stderr, "usage: aggregate_server PLACE USERS-URL POSTS-URL, such as\n"
                        "       aggregate_server :8000 http://localhost:9001/users"
                        " http://localhost:9001/posts\n"
                        "       aggregate_server --selftest\n");
        return 2;
    }
    return ouro_exit_code(rc);
}
