/* SPDX-License-Identifier: MIT */
/*
 * Where a conninfo leads to.
 *
 * libpq looks names up by itself, and blocks while it does. So its lists of hosts, addresses and
 * ports are made here, with an address for each name, before it is told to connect. What the lists
 * are is known to libpq alone: a conninfo may name a service, and the environment has a say. So it
 * is asked to begin a connection with a mode of TLS that does not exist: it works everything out,
 * refuses, and tells by PQconninfo() what it has found.
 */
#include "places.h"

#include <ouro/error.h>
#include <ouro/memory.h>
#include <ouro/resolve.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_SUCH_MODE "?"

static char *copy_of(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = ouro_memory_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static const char *option(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val ? options->val : "";
    return "";
}

static size_t entries(const char *list)
{
    size_t n = 1;
    for (; *list; list++)
        n += *list == ',';
    return n;
}

/* The @i-th entry of a list, copied to *@to, which moves behind it. A list with one entry has it
 * for all. */
static const char *entry(const char *list, size_t i, char **to)
{
    bool one = !strchr(list, ',');
    while (!one && i-- > 0 && list)
        list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL;
    size_t size = list ? strcspn(list, ",") : 0;
    char *text = memcpy(*to, list ? list : "", size);
    text[size] = '\0';
    *to += size + 1;
    return text;
}

/* Whether the name of a host has to be looked up, numbers included. */
static int has_to_be_asked_for(const struct pg_place *p)
{
    return !*p->addr && *p->host && *p->host != '/' && *p->host != '@';
}

static int read_lists(struct pg_places *p, const PQconninfoOption *options)
{
    const char *hosts = option(options, "host"), *addrs = option(options, "hostaddr"),
               *ports = option(options, "port");
    size_t n = *addrs ? entries(addrs) : entries(hosts);
    size_t room = n * (strlen(hosts) + strlen(addrs) + strlen(ports) + 3);
    p->items = ouro_memory_alloc(n * sizeof(*p->items));
    p->text = ouro_memory_alloc(room);
    if (!p->items || !p->text)
        return -ENOMEM;
    char *to = p->text;
    for (size_t i = 0; i < n; i++) {
        struct pg_place *place = &p->items[i];
        place->host = entry(hosts, i, &to);
        place->addr = entry(addrs, i, &to);
        place->port = entry(ports, i, &to);
        place->unknown = has_to_be_asked_for(place);
    }
    p->count = n;
    p->encoded = *option(options, "client_encoding") != '\0';
    return 0;
}

/* libpq takes 1 for 2, and less than that for no limit; it reads none of it unless it waits. */
static int read_limit(struct pg_places *p, const char *value, char *text, size_t size)
{
    char *end;
    errno = 0;
    long limit = strtol(value, &end, 10);
    end += strspn(end, " \t\n\r\f\v");
    if (*end || errno || limit > INT_MAX || limit < INT_MIN) {
        snprintf(text, size, "invalid connect_timeout: \"%s\"", value);
        return -EINVAL;
    }
    p->limit = limit <= 0 ? 0 : OURO_SEC(limit < 2 ? 2 : limit);
    return 0;
}

/* Have libpq work out what is meant. */
static int probe(struct pg_places *p, char *text, size_t size)
{
    const char *keywords[] = {"dbname", "sslmode", NULL};
    const char *values[] = {p->conninfo, NO_SUCH_MODE, NULL};
    PGconn *db = PQconnectStartParams(keywords, values, 1);
    if (!db)
        return -ENOMEM;
    int rc = -EINVAL;
    PQconninfoOption *options = NULL;
    if (strstr(PQerrorMessage(db), "sslmode") && strstr(PQerrorMessage(db), NO_SUCH_MODE)) {
        options = PQconninfo(db);
        rc = options ? read_lists(p, options) : -ENOMEM;
        if (rc == 0)
            rc = read_limit(p, option(options, "connect_timeout"), text, size);
    } else {
        ouro__pg_connect_error(PQerrorMessage(db), text, size);
    }
    PQconninfoFree(options);
    PQfinish(db);
    return rc;
}

/* What libpq quotes of a conninfo may be a password, or a piece of one. */
static void hide_secrets(const char *conninfo, char *text)
{
    bool uri = strncmp(conninfo, "postgresql://", 13) == 0 ||
               strncmp(conninfo, "postgres://", 11) == 0;
    char *first = strchr(text, '"'), *last = strrchr(text, '"');
    if (last != first && (strstr(conninfo, "password") || (uri && strchr(conninfo, '@'))))
        memmove(first + 1 + sprintf(first + 1, "%.*s", (int)(last - first - 1), "..."), last,
                strlen(last) + 1);
}

int ouro__pg_places_init(struct pg_places *p, const char *conninfo, char *text, size_t size)
{
    char *error = NULL;
    *text = '\0';
    PQconninfoOption *options = PQconninfoParse(conninfo, &error);
    if (!options) {
        ouro__pg_connect_error(error ? error : "no memory", text, size);
        hide_secrets(conninfo, text);
        int rc = error ? -EINVAL : -ENOMEM;
        PQfreemem(error);
        return rc;
    }
    PQconninfoFree(options);
    p->conninfo = copy_of(conninfo);
    return p->conninfo ? probe(p, text, size) : -ENOMEM;
}

void ouro__pg_places_free(struct pg_places *p)
{
    ouro_memory_release(p->conninfo);
    ouro_memory_release(p->text);
    ouro_memory_release(p->items);
}

/* ---- Names ----------------------------------------------------------------------------------- */

size_t ouro__pg_places_unknown(const struct pg_places *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->count; i++)
        n += p->items[i].unknown != 0;
    return n;
}

const char *ouro__pg_places_name(const struct pg_places *p, size_t i)
{
    size_t at = 0;
    while (!p->items[at].unknown || i-- > 0)
        at++;
    return p->items[at].host;
}

/* An address as libpq takes it: a number, without a port. */
static size_t print_number(const ouro_address *a, char *to, size_t size)
{
    char text[OURO_ADDRESS_TEXT];
    ouro_address bare = *a;
    int rc = ouro_address_set_port(&bare, 0);
    ouro_address_print(&bare, text, sizeof text);
    char *from = text, *end = strrchr(text, ':'); /* 1.2.3.4:0, [::1]:0 */
    if (*from == '[') {
        from++;
        end = strchr(from, ']');
    }
    if (rc == 0 && end)
        *end = '\0';
    return (size_t)snprintf(to, size, "%s", from);
}

/* How many entries there will be: one an address. */
static size_t count_found(const struct pg_places *p, const ouro_result *found)
{
    size_t n = 0;
    for (size_t i = 0, asked = 0; i < p->count; i++) {
        const ouro_addresses *a = p->items[i].unknown ? found[asked++].ptr : NULL;
        n += a ? a->count : !p->items[i].unknown;
    }
    return n;
}

static int64_t nobody_found(const struct pg_places *p, const ouro_result *found, char *text,
                            size_t size)
{
    int64_t rc = found[0].n;
    snprintf(text, size, "%s: %s", ouro__pg_places_name(p, 0), ouro_strerror(rc));
    return rc;
}

int64_t ouro__pg_places_resolve(struct pg_places *p, const ouro_result *found, char *text,
                                size_t size)
{
    *text = '\0';
    size_t n = count_found(p, found), used = 0;
    if (n == 0)
        return nobody_found(p, found, text, size);
    struct pg_place *items = ouro_memory_alloc(n * (sizeof(*items) + INET6_ADDRSTRLEN + 24));
    if (!items)
        return -ENOMEM;
    char *numbers = (char *)(items + n);
    for (size_t i = 0, asked = 0; i < p->count; i++) {
        const ouro_addresses *a = p->items[i].unknown ? found[asked++].ptr : NULL;
        for (size_t k = 0; a && k < a->count; k++) {
            items[used] = (struct pg_place){p->items[i].host, numbers, p->items[i].port, 0};
            numbers += print_number(&a->items[k], numbers, INET6_ADDRSTRLEN + 24) + 1;
            used++;
        }
        if (!p->items[i].unknown)
            items[used++] = p->items[i];
    }
    ouro_memory_release(p->items);
    p->items = items;
    p->count = used;
    return 0;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

enum list { HOSTS, ADDRS, PORTS, LISTS };

static const char *field(const struct pg_place *p, int list)
{
    return list == HOSTS ? p->host : list == ADDRS ? p->addr : p->port;
}

/* A list as libpq takes it; NULL: no memory. */
static char *join(const struct pg_places *p, size_t first, int list)
{
    size_t size = 1;
    for (size_t i = first; i < p->count; i++)
        size += strlen(field(&p->items[i], list)) + 1;
    char *text = ouro_memory_alloc(size), *to = text;
    for (size_t i = first; text && i < p->count; i++)
        to += sprintf(to, "%s%s", i > first ? "," : "", field(&p->items[i], list));
    return text;
}

PGconn *ouro__pg_places_start(const struct pg_places *p, size_t first)
{
    char *lists[LISTS] = {join(p, first, HOSTS), join(p, first, ADDRS), join(p, first, PORTS)};
    const char *keywords[] = {
        "fallback_application_name",           "dbname", "host", "hostaddr", "port",
        p->encoded ? NULL : "client_encoding", NULL};
    const char *values[] = {"ouro",       p->conninfo, lists[HOSTS], lists[ADDRS],
                            lists[PORTS], "UTF8",      NULL};
    PGconn *db = NULL;
    if (lists[HOSTS] && lists[ADDRS] && lists[PORTS]) {
        /* An empty list is none: a list of nothing but empty entries is one too many. */
        for (int i = HOSTS; i < LISTS; i++)
            if (strspn(lists[i], ",") == strlen(lists[i]))
                *lists[i] = '\0';
        db = PQconnectStartParams(keywords, values, 1);
    }
    for (int i = HOSTS; i < LISTS; i++)
        ouro_memory_release(lists[i]);
    return db;
}

size_t ouro__pg_places_find(const struct pg_places *p, size_t first, const char *host,
                            const char *addr, const char *port)
{
    for (size_t i = first; i < p->count; i++) {
        const struct pg_place *at = &p->items[i];
        bool same_host = *at->addr ? addr && strcmp(at->addr, addr) == 0
                                   : host && strcmp(at->host, host) == 0;
        if (same_host && port && (!*at->port || strcmp(at->port, port) == 0))
            return i;
    }
    return first;
}
