/* SPDX-License-Identifier: MIT */
/*
 * Ten calls of an API that takes a second for each: one after the other they take ten seconds, at
 * the same time they take one.
 *
 *     ten_calls [--scale S]       S: seconds that the API takes for a call; 1 if not given
 *
 * The API is a server in the same loop; nothing else in this program waits.
 */
#include <ouro/http.h>
#include <ouro/ouro.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLS 10

static ouro_ns takes = OURO_SEC(1);

/* ---- The API --------------------------------------------------------------------------------- */

static int64_t answer_slowly(ouro_http_request *r, void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(takes));
    return rc < 0 ? rc : ouro_http_reply_text(r, 200, "done\n");
}

/* ---- The calls ------------------------------------------------------------------------------- */

struct caller {
    ouro_http_client *client;
    char url[OURO_ADDRESS_TEXT + 16];
};

static ouro_future *call(const struct caller *c)
{
    return ouro_http_get(c->client, c->url, NULL);
}

static int64_t one_by_one(const struct caller *c)
{
    int64_t status = 200;
    for (int i = 0; i < CALLS && status == 200; i++)
        ouro_http_response_free(ouro_await_ptr(call(c), &status));
    return status == 200 ? 0 : -1;
}

static int64_t all_at_once(const struct caller *c)
{
    ouro_future *calls[CALLS];
    ouro_result answers[CALLS];
    for (int i = 0; i < CALLS; i++)
        calls[i] = call(c);
    int64_t rc = ouro_await(ouro_gather(calls, CALLS, OURO_GATHER_ALL, answers));
    for (int i = 0; rc == 0 && i < CALLS; i++)
        ouro_http_response_free(answers[i].ptr);
    return rc;
}

/* Say how often a call's own time that took. */
static int64_t tell(const char *how, int64_t (*calls)(const struct caller *c),
                    const struct caller *c)
{
    ouro_ns began = ouro_now();
    int64_t rc = calls(c);
    double times = (double)(ouro_now() - began) / (double)takes;
    fprintf(stderr, "%s: %.2f s\n", how, times * (double)takes / 1e9);
    printf("ten calls %s took as long as %s\n", how,
           times >= CALLS ? "ten"
           : times < 2.5  ? "one"
                          : "several");
    return rc;
}

/* ---------------------------------------------------------------------------------------------- */

static int64_t experiment(const ouro_address *api)
{
    struct caller c;
    char place[OURO_ADDRESS_TEXT];
    int64_t rc = ouro_http_client_new(NULL, &c.client);
    if (rc < 0)
        return rc;
    ouro_address_print(api, place, sizeof place);
    snprintf(c.url, sizeof c.url, "http://%s/", place);
    rc = tell("one after the other", one_by_one, &c);
    if (rc >= 0)
        rc = tell("at the same time", all_at_once, &c);
    ouro_http_client_free(c.client);
    return rc;
}

static int64_t with_server(ouro_http_server *server)
{
    ouro_listener *listener;
    ouro_address address;
    int64_t rc = ouro_http_route(server, "GET", "/", answer_slowly, NULL);
    if (rc == 0)
        rc = ouro_listen("127.0.0.1:0", NULL, &listener);
    if (rc < 0)
        return rc;
    ouro_listener_address(listener, &address);
    ouro_future *serving = ouro_http_serve(server, listener, NULL);
    rc = experiment(&address);
    ouro_server_stop(serving, OURO_SEC(1));
    ouro_await(serving);
    ouro_listener_free(listener);
    return rc;
}

static int64_t run(void *arg)
{
    (void)arg;
    ouro_http_server *server;
    int64_t rc = ouro_http_server_new(NULL, &server);
    if (rc < 0)
        return rc;
    rc = with_server(server);
    ouro_http_server_free(server);
    return rc;
}

int main(int argc, char **argv)
{
    double scale = argc == 3 && strcmp(argv[1], "--scale") == 0 ? strtod(argv[2], NULL) : 1;
    if ((argc != 1 && argc != 3) || !(scale > 0) || scale > 60) {
        fprintf(stderr, "usage: ten_calls [--scale SECONDS]\n");
        return 2;
    }
    takes = (ouro_ns)(scale * 1e9);
    int64_t rc = ouro_run(run, NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "ten_calls: %s\n", ouro_strerror(rc));
    return ouro_exit_code(rc);
}
