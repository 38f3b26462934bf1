/* SPDX-License-Identifier: MIT */
/*
 * A user's program in C99, linked with an installed ouro_http. Its server answers its client, with
 * JSON; exit status 0 says that server, client, libcurl and jansson were there.
 */
#include <stdio.h>
#include <string.h>

#include <ouro/http.h>
#include <ouro/ouro.h>

static int64_t hello(ouro_http_request *r, void *arg)
{
    struct json_t *json;
    int64_t n;
    (void)arg;
    ouro_await_ptr(ouro_http_body(r), &n);
    if (n < 0 || ouro_http_json(r, &json) < 0)
        return -OURO_EHTTP(400);
    return ouro_http_reply_json(r, 200, json);
}

static int64_t ask(ouro_http_client *client, const ouro_address *where)
{
    char text[OURO_ADDRESS_TEXT], url[OURO_ADDRESS_TEXT + 16];
    ouro_http_options opts = {.json = "{\"a\":1}"};
    int64_t status;
    ouro_address_print(where, text, sizeof text);
    snprintf(url, sizeof url, "http://%s/hello", text);
    ouro_http_response *page = ouro_await_ptr(ouro_http_post(client, url, &opts), &status);
    printf("HTTP, ouro %s: %d, %s\n", ouro_version(), (int)status, page ? page->body : "no answer");
    int right = page && status == 200 && strstr(page->body, "\"a\"");
    ouro_http_response_free(page);
    return right ? 0 : -1;
}

static int64_t main_task(void *arg)
{
    ouro_http_server *server;
    ouro_http_client *client;
    ouro_listener *l;
    ouro_address where;
    (void)arg;
    if (ouro_http_server_new(NULL, &server) < 0 || ouro_http_client_new(NULL, &client) < 0 ||
        ouro_http_route(server, "POST", "/hello", hello, NULL) < 0 ||
        ouro_listen("127.0.0.1:0", NULL, &l) < 0 || ouro_listener_address(l, &where) < 0)
        return -1;
    ouro_future *serving = ouro_http_serve(server, l, NULL);
    int64_t rc = ask(client, &where);
    ouro_http_client_free(client);
    ouro_server_stop(serving, OURO_SEC(1));
    ouro_await(serving);
    ouro_listener_free(l);
    ouro_http_server_free(server);
    return rc;
}

int main(void)
{
    return ouro_run(main_task, NULL, NULL) != 0;
}
