/* SPDX-License-Identifier: MIT */
/* Clients that do what no client should, and handlers that answer before they have asked. */
#include "server_test.h"

#include <jansson.h>

static int64_t reads_json(ouro_http_request *r, void *arg)
{
    json_t *json;
    int64_t n = ouro_await(ouro_http_body(r));
    (void)arg;
    if (n < 0)
        return n;
    if (ouro_http_json(r, &json) < 0)
        return ouro_http_reply_text(r, 422, ouro_http_json_error(r));
    return ouro_http_reply_json(r, 200, json);
}

/* Brackets, as many as jansson reads, on the stack that a handler has by default. */
KernelTest(abuse, deep_json_does_not_exhaust_the_stack)
{
    static char request[8192];
    site_new(NULL);
    site_route("POST", "/", reads_json);
    site_open(NULL);
    for (size_t i = 0; i < 4; i++) {
        static const int depths[] = {100, 101, 2000, 3900};
        int depth = depths[i], n = snprintf(request, sizeof(request),
                                            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                            "Content-Length: %d\r\n\r\n",
                                            2 * depth);
        char *at = request + n;
        memset(at, '[', (size_t)depth);
        memset(at + depth, ']', (size_t)depth);
        at[2 * depth] = '\0';
        char *a = ask(request);
        check_eq(status_of(a), depth == 100 ? 200 : 422);
        free(a);
    }
    site_close();
    return 0;
}
