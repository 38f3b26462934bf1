/* SPDX-License-Identifier: MIT */
/*
 * Routes: a tree of the segments of their paths.
 *
 * A path is walked segment by segment. At each the fixed text is tried first, then {name}, then
 * {name...}, going back when it leads nowhere, so that of several routes that fit the one counts
 * whose first difference is a fixed text. A route fits if it has the method; paths that fit without
 * it are noted for 405.
 *
 * Names of parameters are the routes', not the tree's: "/a/{x}" and "/a/{y}" are the same place.
 *
 * How it fails: a path that makes no sense is told by a sentence, and the tree stays as it is, but
 * for places without routes.
 */
#include "server_int.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SEGMENTS_MAX 64

/* ---- Adding ---------------------------------------------------------------------------------- */

static int compare(const struct http_node *node, const char *text, size_t size)
{
    size_t least = node->size < size ? node->size : size;
    int order = memcmp(node->text, text, least);
    return order ? order : (node->size > size) - (node->size < size);
}

/* Where @text is among the fixed ones, or would be. */
static size_t place(const struct http_node *node, const char *text, size_t size, bool *ret_there)
{
    size_t from = 0, to = node->fixed_count;
    *ret_there = false;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = compare(node->fixed[middle], text, size);
        if (order == 0) {
            *ret_there = true;
            return middle;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct http_node *node_new(const char *text, size_t size)
{
    struct http_node *node = ouro_memory_alloc(sizeof(*node) + size);
    if (!node)
        return NULL;
    *node = (struct http_node){.text = (char *)(node + 1), .size = size};
    memcpy(node->text, text, size);
    return node;
}

static struct http_node *fixed_child(struct http_node *node, const char *text, size_t size)
{
    bool there;
    size_t at = place(node, text, size, &there);
    if (there)
        return node->fixed[at];
    struct http_node **fixed = ouro_memory_resize(node->fixed, (node->fixed_count + 1) *
                                                                   sizeof(struct http_node *));
    if (!fixed)
        return NULL;
    node->fixed = fixed;
    struct http_node *child = node_new(text, size);
    if (!child)
        return NULL;
    memmove(fixed + at + 1, fixed + at, (node->fixed_count - at) * sizeof(struct http_node *));
    fixed[at] = child;
    node->fixed_count++;
    return child;
}

static struct http_node *named_child(struct http_node **child)
{
    if (!*child)
        *child = node_new("", 0);
    return *child;
}

/* What a segment is. */
enum part { FIXED, ANY, REST, MALFORMED };

static enum part part_of(const char *text, size_t size, struct http_text *ret_name)
{
    *ret_name = (struct http_text){text, size};
    if (!memchr(text, '{', size) && !memchr(text, '}', size))
        return FIXED;
    if (size < 3 || text[0] != '{' || text[size - 1] != '}')
        return MALFORMED;
    bool rest = size > 5 && memcmp(text + size - 4, "...", 3) == 0;
    *ret_name = (struct http_text){text + 1, size - 2 - (rest ? 3 : 0)};
    for (size_t i = 0; i < ret_name->size; i++)
        if (strchr("{}./", ret_name->at[i]))
            return MALFORMED;
    return rest ? REST : ANY;
}

/* NULL, or what is wrong with @path; its parameters are counted. */
static const char *fault_of(const char *path, int *ret_params)
{
    struct http_text names[HTTP_PARAMS_MAX];
    int count = 0, segments = 0;
    if (path[0] != '/')
        return "its path does not begin with a slash";
    for (const char *at = path; *at;) {
        size_t size = strcspn(++at, "/");
        struct http_text name;
        enum part part = part_of(at, size, &name);
        if (part == MALFORMED)
            return "a segment with braces is {name} or {name...}";
        if (part == REST && at[size])
            return "{name...} is not at the end";
        if (part == FIXED && size == 0 && at[size])
            return "it has an empty segment";
        if (part == FIXED && ((size == 1 && at[0] == '.') || (size == 2 && !memcmp(at, "..", 2))))
            return "it has a dot segment, which no request's path has";
        if (++segments > SEGMENTS_MAX)
            return "it has more than 64 segments";
        if (part != FIXED && count == HTTP_PARAMS_MAX)
            return "it has more than 16 parameters";
        for (int i = 0; part != FIXED && i < count; i++)
            if (names[i].size == name.size && !memcmp(names[i].at, name.at, name.size))
                return "two of its parameters have the same name";
        if (part != FIXED)
            names[count++] = name;
        at += size;
    }
    *ret_params = count;
    return NULL;
}

static struct http_node *descend(struct http_node *node, const char *path)
{
    for (const char *at = path; node && *at;) {
        size_t size = strcspn(++at, "/");
        struct http_text name;
        switch (part_of(at, size, &name)) {
        case ANY:
            node = named_child(&node->any);
            break;
        case REST:
            node = named_child(&node->rest);
            break;
        case FIXED:
        case MALFORMED:
            node = fixed_child(node, at, size);
            break;
        }
        at += size;
    }
    return node;
}

static struct http_route *route_new(const char *method, const char *path)
{
    size_t method_size = strlen(method) + 1, path_size = strlen(path) + 1;
    struct http_route *route = ouro_memory_alloc(sizeof(*route) + 2 * method_size + 2 * path_size +
                                                 1);
    if (!route)
        return NULL;
    *route = (struct http_route){.method = (char *)(route + 1)};
    route->name = route->method + method_size;
    memcpy(route->method, method, method_size);
    memcpy(route->name, method, method_size - 1);
    route->name[method_size - 1] = ' ';
    memcpy(route->name + method_size, path, path_size);
    char *at = route->name + method_size + path_size; /* the same again, to be cut into names */
    memcpy(at, path, path_size);
    while (*at) {
        struct http_text name;
        size_t size = strcspn(++at, "/");
        if (part_of(at, size, &name) != FIXED) {
            route->params[route->param_count] = at + 1;
            route->params[route->param_count++][name.size] = '\0';
        }
        at += size;
    }
    return route;
}

static int complain(ouro_http_server *server, int rc, const char *method, const char *path,
                    const char *fault)
{
    snprintf(server->error, sizeof(server->error), "route %.40s %.100s: %s", method, path, fault);
    return rc;
}

int ouro__http_route_add(ouro_http_server *server, const char *method, const char *path,
                         ouro_http_handler *handler, void *arg)
{
    int params;
    if (!ouro__http_parser_is_token(method, strlen(method)))
        return complain(server, -EINVAL, method, path, "its method is no token");
    const char *fault = fault_of(path, &params);
    if (fault)
        return complain(server, -EINVAL, method, path, fault);
    struct http_node *node = descend(&server->root, path);
    if (!node)
        return complain(server, -ENOMEM, method, path, "there is no memory");
    struct http_route **end = &node->routes;
    for (; *end; end = &(*end)->next)
        if (strcmp((*end)->method, method) == 0) {
            char text[128];
            snprintf(text, sizeof(text), "there is already %.100s", (*end)->name);
            return complain(server, -EEXIST, method, path, text);
        }
    struct http_route *route = route_new(method, path);
    if (!route)
        return complain(server, -ENOMEM, method, path, "there is no memory");
    route->handler = handler;
    route->arg = arg;
    *end = route;
    return 0;
}

static void finish(struct http_node *node)
{
    for (struct http_route *next; node->routes; node->routes = next) {
        next = node->routes->next;
        ouro_memory_release(node->routes);
    }
    for (size_t i = 0; i < node->fixed_count; i++)
        ouro__http_node_free(node->fixed[i]);
    ouro_memory_release(node->fixed);
    if (node->any)
        ouro__http_node_free(node->any);
    if (node->rest)
        ouro__http_node_free(node->rest);
    *node = (struct http_node){0};
}

/* The root is the server's, and has no text. */
void ouro__http_node_free(struct http_node *node)
{
    bool is_root = !node->text;
    finish(node);
    if (!is_root)
        ouro_memory_release(node);
}

/* ---- Finding --------------------------------------------------------------------------------- */

static bool is(struct http_text t, const char *text)
{
    return strncmp(text, t.at, t.size) == 0 && text[t.size] == '\0';
}

static void allow(struct http_match *m, const char *method)
{
    size_t used = strlen(m->allow), size = strlen(method);
    for (const char *at = m->allow; (at = strstr(at, method)); at += size)
        if ((at == m->allow || at[-1] == ' ') && (at[size] == ',' || !at[size]))
            return; /* it stands there */
    if (used + size + 3 > sizeof(m->allow))
        return;
    if (used) {
        memcpy(m->allow + used, ", ", 2);
        used += 2;
    }
    memcpy(m->allow + used, method, size + 1);
}

/* Whether one of the routes that end here has the method. HEAD is GET's, too. */
static bool pick(const struct http_node *node, struct http_text method, struct http_match *m)
{
    const struct http_route *best = NULL;
    int rank = 0;
    for (const struct http_route *r = node->routes; r; r = r->next) {
        int this = is(method, r->method)                             ? 3
                   : is(method, "HEAD") && !strcmp(r->method, "GET") ? 2
                   : !strcmp(r->method, "*")                         ? 1
                                                                     : 0;
        if (this > rank) {
            rank = this;
            best = r;
        }
    }
    m->route = best;
    if (best || !node->routes)
        return best;
    m->known = true;
    for (const struct http_route *r = node->routes; r; r = r->next) {
        allow(m, r->method);
        if (strcmp(r->method, "GET") == 0)
            allow(m, "HEAD");
    }
    return false;
}

/* @at is behind the slash of a segment, or NULL: the path has ended. */
static bool walk(const struct http_node *node, const char *at, const char *end,
                 struct http_text method, int count, struct http_match *m)
{
    if (!at)
        return pick(node, method, m);
    const char *slash = memchr(at, '/', (size_t)(end - at));
    size_t size = (size_t)((slash ? slash : end) - at);
    const char *next = slash ? slash + 1 : NULL;
    bool there;
    size_t i = place(node, at, size, &there);
    if (there && walk(node->fixed[i], next, end, method, count, m))
        return true;
    if (node->any && size > 0) {
        m->values[count] = (struct http_text){at, size};
        if (walk(node->any, next, end, method, count + 1, m))
            return true;
    }
    if (!node->rest)
        return false;
    m->values[count] = (struct http_text){at, (size_t)(end - at)};
    return pick(node->rest, method, m);
}

void ouro__http_route_find(const struct http_node *root, struct http_text method,
                           struct http_text path, struct http_match *m)
{
    m->route = NULL;
    m->known = false;
    m->allow[0] = '\0';
    if (path.size && path.at[0] == '/')
        walk(root, path.at + 1, path.at + path.size, method, 0, m);
    if (m->known && !m->route)
        allow(m, "OPTIONS");
}
