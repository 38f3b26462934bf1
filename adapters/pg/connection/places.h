/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_CONNECT_INT_H
#define OURO_PG_CONNECT_INT_H

/*
 * Where a conninfo leads to: hosts, ports and addresses, once service files, the environment and
 * defaults have had their say.
 */

#include <ouro/base.h>
#include <ouro/future.h>

#include <libpq-fe.h>

/* One entry of libpq's lists. */
struct pg_place {
    const char *host; /* a name, a number, a folder; "" is libpq's default */
    const char *addr; /* a number; "": none is needed */
    const char *port; /* "" is libpq's default */
    int unknown;      /* not 0: addr has to be looked up */
};

struct pg_places {
    char *conninfo;
    char *text; /* what the entries point to */
    struct pg_place *items;
    size_t count;
    ouro_ns limit; /* connect_timeout; 0: none */
    int encoded;   /* not 0: client_encoding is said */
};

/* Read @conninfo. 0, -EINVAL and @text says why, -ENOMEM. */
int ouro__pg_places_init(struct pg_places *p, const char *conninfo, char *text, size_t size);
void ouro__pg_places_free(struct pg_places *p);

/* How many names have to be looked up, and the @i-th of them. */
size_t ouro__pg_places_unknown(const struct pg_places *p);
const char *ouro__pg_places_name(const struct pg_places *p, size_t i);

/* They have been, and came to @found, in that order: put each address where its name was. Hosts
 * without one are left out. 0, -ENOMEM, or why no host has any. */
int64_t ouro__pg_places_resolve(struct pg_places *p, const ouro_result *found, char *text,
                                size_t size);

/* Have libpq begin with the entry @first. NULL: no memory. */
PGconn *ouro__pg_places_start(const struct pg_places *p, size_t first);

/* The entry from @first on that libpq says it is at; @first if it cannot be told. */
size_t ouro__pg_places_find(const struct pg_places *p, size_t first, const char *host,
                            const char *addr, const char *port);

/* The code in libpq's message about a failed attempt, and the message in one line. */
int64_t ouro__pg_connect_error(const char *message, char *text, size_t size);

#endif
