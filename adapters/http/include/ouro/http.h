/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_H
#define OURO_HTTP_H

/**
 * @file http.h
 * HTTP on the loop: everything of the library ouro_http, a server of its own and a client that
 * stands on libcurl.
 *
 *     static int64_t hello(ouro_http_request *r, void *arg)
 *     {
 *         return ouro_http_reply_text(r, 200, "hello\n");
 *     }
 *     ...
 *     ouro_http_route(server, "GET", "/hello", hello, NULL);
 *     ouro_await(ouro_http_serve(server, listener, NULL));
 *
 *     ouro_http_response *page = ouro_await_ptr(ouro_http_get(client, url, NULL), &status);
 */

#include <ouro/http_client.h>
#include <ouro/http_server.h>

#endif
