/* SPDX-License-Identifier: MIT */
/* Which handler a path finds, and which routes cannot be. */
#include "server_test.h"

static int64_t says_where(ouro_http_request *r, void *arg)
{
    char text[256];
    const char *const names[] = {"id", "name", "path", "x"};
    int size = snprintf(text, sizeof(text), "%s", (const char *)arg);
    for (size_t i = 0; i < 4; i++)
        if (ouro_http_param(r, names[i]))
            size += snprintf(text + size, sizeof(text) - (size_t)size, " %s=%s", names[i],
                             ouro_http_param(r, names[i]));
    return ouro_http_reply_text(r, 200, text);
}

static const struct {
    const char *method;
    const char *path;
} table[] = {
    {"GET", "/"},
    {"GET", "/users"},
    {"POST", "/users"},
    {"GET", "/users/"},
    {"GET", "/users/me"},
    {"GET", "/users/{id}"},
    {"DELETE", "/users/{name}"},
    {"POST", "/users/{id}"},
    {"GET", "/users/{id}/posts/{x}"},
    {"GET", "/users/me/likes"},
    {"GET", "/files/{path...}"},
    {"GET", "/files/special"},
    {"HEAD", "/headed"},
    {"GET", "/headed"},
    {"*", "/any"},
    {"PUT", "/any"},
    {"GET", "/{x}/deep/er"},
    {"GET", "/a/{x}/c"},
    {"GET", "/a/b/d"},
};

static const struct {
    const char *method;
    const char *target;
    int status;
    const char *body;
} finds[] = {
    {"GET", "/", 200, "GET /"},
    {"GET", "/users", 200, "GET /users"},
    {"POST", "/users", 200, "POST /users"},
    {"GET", "/users/", 200, "GET /users/"},
    {"GET", "/users/me", 200, "GET /users/me"},
    {"GET", "/users/12", 200, "GET /users/{id} id=12"},
    {"GET", "/users/a%20b", 200, "GET /users/{id} id=a b"},
    {"DELETE", "/users/12", 200, "DELETE /users/{name} name=12"},
    {"POST", "/users/me", 200, "POST /users/{id} id=me"},
    {"GET", "/users/me/posts/3", 200, "GET /users/{id}/posts/{x} id=me x=3"},
    {"GET", "/users/me/likes", 200, "GET /users/me/likes"},
    {"GET", "/files/", 200, "GET /files/{path...} path="},
    {"GET", "/files/a/b/c", 200, "GET /files/{path...} path=a/b/c"},
    {"GET", "/files/special", 200, "GET /files/special"},
    {"GET", "/files/special/x", 200, "GET /files/{path...} path=special/x"},
    {"GET", "/files", 404, NULL},
    {"GET", "/nowhere", 404, NULL},
    {"GET", "/users/1/2/3/4", 404, NULL},
    {"GET", "/users/deep/er", 200, "GET /{x}/deep/er x=users"},
    {"GET", "/a/b/c", 200, "GET /a/{x}/c x=b"},
    {"GET", "/a/b/d", 200, "GET /a/b/d"},
    {"GET", "/a//b/./d", 200, "GET /a/b/d"},
    {"BREW", "/any", 200, "* /any"},
    {"PUT", "/any", 200, "PUT /any"},
    {"OPTIONS", "/any", 200, "* /any"},
    {"PUT", "/users", 405, "GET, HEAD, POST, OPTIONS"},
    {"PATCH", "/users/me", 405, "GET, HEAD, DELETE, POST, OPTIONS"},
    {"OPTIONS", "/users", 204, "GET, HEAD, POST, OPTIONS"},
    {"OPTIONS", "/nowhere", 404, NULL},
    {"OPTIONS", "*", 204, NULL},
    {"get", "/", 405, "GET, HEAD, OPTIONS"},
};

KernelTest(routes, find_what_fits_best)
{
    char request[256], names[32][64];
    site_new(NULL);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        snprintf(names[i], sizeof(names[i]), "%s %s", table[i].method, table[i].path);
        check_eq(ouro_http_route(site.http, table[i].method, table[i].path, says_where, names[i]),
                 0);
    }
    site_open(NULL);
    for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
        snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                 finds[i].method, finds[i].target);
        char *a = ask(request);
        check_eq(status_of(a), finds[i].status);
        if (finds[i].status == 200)
            check_text(body_of(a), finds[i].body);
        if (finds[i].body && finds[i].status != 200) {
            snprintf(request, sizeof(request), "Allow: %s\r\n", finds[i].body);
            check_has(a, request);
        }
        free(a);
    }
    site_close();
    return 0;
}

static const struct {
    const char *method;
    const char *path;
    int rc;
    const char *says;
} faults[] = {
    {"GET", "/a/{other}", -EEXIST, "route GET /a/{other}: there is already GET /a/{id}"},
    {"GET", "/a", -EEXIST, "route GET /a: there is already GET /a"},
    {"GET", "/f/{q...}", -EEXIST, "route GET /f/{q...}: there is already GET /f/{p...}"},
    {"", "/b", -EINVAL, "route  /b: its method is no token"},
    {"G T", "/b", -EINVAL, "route G T /b: its method is no token"},
    {"GET", "b", -EINVAL, "route GET b: its path does not begin with a slash"},
    {"GET", "", -EINVAL, "route GET : its path does not begin with a slash"},
    {"GET", "/x{id}", -EINVAL, "route GET /x{id}: a segment with braces is {name} or {name...}"},
    {"GET", "/{}", -EINVAL, "route GET /{}: a segment with braces is {name} or {name...}"},
    {"GET", "/{...}", -EINVAL, "route GET /{...}: a segment with braces is {name} or {name...}"},
    {"GET", "/{a", -EINVAL, "route GET /{a: a segment with braces is {name} or {name...}"},
    {"GET", "/{a...}/b", -EINVAL, "route GET /{a...}/b: {name...} is not at the end"},
    {"GET", "/{a}/{a}", -EINVAL, "route GET /{a}/{a}: two of its parameters have the same name"},
    {"GET", "/a//b", -EINVAL, "route GET /a//b: it has an empty segment"},
    {"GET", "/a/../b", -EINVAL,
     "route GET /a/../b: it has a dot segment, which no request's path has"},
    {NULL, "/b", -EINVAL, "a route needs a method, a path and a handler"},
    {"GET", NULL, -EINVAL, "a route needs a method, a path and a handler"},
};

KernelTest(routes, that_cannot_be_are_refused_by_name)
{
    site_new(NULL);
    check_text(ouro_http_server_error(site.http), "");
    site_route("GET", "/a", (ouro_http_handler *)says_where);
    site_route("GET", "/a/{id}", says_where);
    site_route("GET", "/f/{p...}", says_where);
    site_route("POST", "/a/{other}", says_where);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        check_eq(ouro_http_route(site.http, faults[i].method, faults[i].path, says_where, NULL),
                 faults[i].rc);
        check_text(ouro_http_server_error(site.http), faults[i].says);
    }
    check_eq(ouro_http_route(site.http, "GET", "/b", NULL, NULL), -EINVAL);
    check_eq(ouro_http_route(NULL, "GET", "/b", says_where, NULL), -EINVAL);
    site.http = ouro_http_server_free(site.http);
    check(!ouro_http_server_free(NULL));
    return 0;
}
