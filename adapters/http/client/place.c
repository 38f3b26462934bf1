/* SPDX-License-Identifier: MIT */
/*
 * Places: where requests go, and the lines in front of them.
 *
 * A place is found by the first part of a URL, as it is written, so that a URL need be taken apart
 * only when its like was not seen before. It has a line of requests that wait for a connection:
 * libcurl could keep that itself, but counts such a wait as part of the attempt to connect. Places
 * with a line, and room for one of it, take turns.
 *
 * libcurl is told addresses when they are new, or it may have forgotten them: it does so after a
 * minute.
 *
 * Places that nobody uses are kept for the next request, up to a number.
 */
#include "client_int.h"
#include "place_int.h"

#include <ouro/memory.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ouro/time.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define IDLE_MAX 128u
#define FRESH    OURO_SEC(30)
#define STREAMS  100

static uint64_t hash_of(const char *text, size_t size)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        h = (h ^ (unsigned char)text[i]) * 1099511628211u;
    return h ^ h >> 32;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void place_free(struct http_place *p)
{
    LIST_REMOVE(p, chain);
    ouro_memory_release(p->told);
    ouro_memory_release(p->host);
    ouro_memory_release(p->origin);
    ouro_memory_release(p);
}

/* With TLS, one goes first: if its connection speaks HTTP/2, the others share it. */
static bool is_open_at_first(const ouro_http_client *c, const struct http_place *p)
{
    return !p->https || c->opts.http1;
}

static int place_new(ouro_http_client *c, const char *url, size_t size, struct http_place **ret,
                     const char **ret_why)
{
    struct http_place *p = ouro_memory_alloc(sizeof(*p) + size + 1);
    if (!p)
        return -ENOMEM;
    *p = (struct http_place){.hash = hash_of(url, size), .key_size = size};
    memcpy(p->key, url, size);
    p->key[size] = '\0';
    TAILQ_INIT(&p->line);
    LIST_INSERT_HEAD(&c->places[p->hash % 256], p, chain);
    int rc = ouro__http_place_read(p, &c->proxies, ret_why);
    p->is_open = is_open_at_first(c, p);
    if (rc == 0)
        *ret = p;
    else
        place_free(p);
    return rc;
}

/* Whether it is the scheme of @url, which has one. */
static bool has_scheme(const char *url, const char *scheme)
{
    size_t n = strlen(scheme);
    return strncasecmp(url, scheme, n) == 0 && url[n] == ':';
}

int ouro__http_place_of(ouro_http_client *c, const char *url, struct http_place **ret_place,
                        const char **ret_why)
{
    struct http_place *p;
    size_t size = ouro__http_origin_size(url);
    uint64_t hash = hash_of(url, size);
    *ret_why = "the URL has no scheme, as in http://";
    if (size == 0)
        return -EINVAL;
    *ret_why = "the scheme is neither http nor https";
    if (!has_scheme(url, "http") && !has_scheme(url, "https"))
        return -EPROTONOSUPPORT;
    LIST_FOREACH(p, &c->places[hash % 256], chain)
    if (p->hash == hash && p->key_size == size && memcmp(p->key, url, size) == 0)
        break;
    int rc = p ? 0 : place_new(c, url, size, &p, ret_why);
    if (rc < 0)
        return rc;
    if (p->users++ == 0 && p->is_idle) {
        TAILQ_REMOVE(&c->idle, p, link);
        c->idle_places--;
        p->is_idle = false;
    }
    *ret_place = p;
    return 0;
}

void ouro__http_place_leave(ouro_http_client *c, struct http_place *p)
{
    if (--p->users > 0)
        return;
    TAILQ_INSERT_TAIL(&c->idle, p, link);
    p->is_idle = true;
    p->is_open = is_open_at_first(c, p);
    if (c->idle_places++ < IDLE_MAX)
        return;
    p = TAILQ_FIRST(&c->idle);
    TAILQ_REMOVE(&c->idle, p, link);
    c->idle_places--;
    place_free(p);
}

void ouro__http_places_free(ouro_http_client *c)
{
    struct http_place *p;
    while ((p = TAILQ_FIRST(&c->idle))) {
        TAILQ_REMOVE(&c->idle, p, link);
        place_free(p);
    }
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* How many libcurl may have at a time. Those that share connections are as many as servers are told
 * to take on one (RFC 9113), or else libcurl would make another for each that is too much. */
static int limit_of(const ouro_http_client *c, const struct http_place *p)
{
    if (!p->is_open)
        return 1;
    return p->multiplexes && c->opts.host_max < STREAMS ? STREAMS : c->opts.host_max;
}

/* Have it take turns, or not. */
static void update(ouro_http_client *c, struct http_place *p)
{
    bool is_ready = !TAILQ_EMPTY(&p->line) && p->active < limit_of(c, p);
    if (is_ready == p->is_ready)
        return;
    p->is_ready = is_ready;
    if (is_ready)
        TAILQ_INSERT_TAIL(&c->ready, p, link);
    else
        TAILQ_REMOVE(&c->ready, p, link);
}

void ouro__http_place_queue(ouro_http_client *c, struct http_fetch *f)
{
    TAILQ_INSERT_TAIL(&f->place->line, f, turn);
    f->stage = HTTP_QUEUED;
    update(c, f->place);
}

void ouro__http_place_unqueue(ouro_http_client *c, struct http_fetch *f)
{
    TAILQ_REMOVE(&f->place->line, f, turn);
    f->stage = HTTP_NAMING;
    update(c, f->place);
}

void ouro__http_place_done(ouro_http_client *c, struct http_fetch *f)
{
    f->stage = HTTP_NAMING;
    f->place->active--;
    f->place->is_open = true;
    c->active--;
    update(c, f->place);
}

void ouro__http_place_open(ouro_http_client *c, struct http_place *p)
{
    if (p->is_open)
        return;
    p->is_open = true;
    update(c, p);
}

bool ouro__http_place_waits(const ouro_http_client *c)
{
    const struct http_place *p = TAILQ_FIRST(&c->ready);
    return p && (p->multiplexes || c->active < c->opts.total_max);
}

struct http_fetch *ouro__http_place_next(ouro_http_client *c)
{
    if (!ouro__http_place_waits(c))
        return NULL;
    struct http_place *p = TAILQ_FIRST(&c->ready);
    struct http_fetch *f = TAILQ_FIRST(&p->line);
    TAILQ_REMOVE(&p->line, f, turn);
    f->stage = HTTP_RUNNING;
    p->active++;
    c->active++;
    TAILQ_REMOVE(&c->ready, p, link); /* to the end, if it has more */
    p->is_ready = false;
    update(c, p);
    return f;
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static bool is_told(const struct http_place *p, const ouro_addresses *found)
{
    if (p->told_count != found->count || ouro_now() >= p->told_until)
        return false;
    for (size_t i = 0; i < found->count; i++)
        if (ouro_address_compare(&p->told[i], &found->items[i]) != 0)
            return false;
    return true;
}

static int remember(struct http_place *p, const ouro_addresses *found)
{
    size_t size = found->count * sizeof(*found->items);
    ouro_address *told = ouro_memory_resize(p->told, size);
    if (!told)
        return -ENOMEM;
    memcpy(told, found->items, size);
    p->told = told;
    p->told_count = found->count;
    p->told_until = ouro_now() + FRESH;
    return 0;
}

static int say_address(struct http_buffer *b, const ouro_address *a, bool is_first)
{
    char ip[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 4];
    bool is_ip6 = a->as.any.sa_family == AF_INET6;
    const void *bytes = is_ip6 ? (const void *)&a->as.ip6.sin6_addr : &a->as.ip4.sin_addr;
    if (!inet_ntop(a->as.any.sa_family, bytes, ip, sizeof ip))
        return -EAFNOSUPPORT;
    int n = snprintf(text, sizeof text, is_ip6 ? "%s[%s]" : "%s%s", is_first ? "" : ",", ip);
    return ouro__http_buffer_add(b, text, (size_t)n);
}

char *ouro__http_place_say(struct http_place *p, const ouro_addresses *found, struct http_buffer *b,
                           int *ret_rc)
{
    char text[320];
    *ret_rc = 0;
    if (p->is_number || is_told(p, found))
        return NULL;
    b->size = 0;
    int n = snprintf(text, sizeof text, "+%s:%s:", p->host, p->port);
    int rc = ouro__http_buffer_add(b, text, (size_t)n);
    for (size_t i = 0; i < found->count && rc == 0; i++)
        rc = say_address(b, &found->items[i], i == 0);
    if (rc == 0)
        rc = ouro__http_buffer_add(b, "", 1);
    if (rc == 0)
        rc = remember(p, found);
    *ret_rc = rc;
    return rc == 0 ? b->data : NULL;
}
