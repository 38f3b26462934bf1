/* SPDX-License-Identifier: MIT */
/*
 * Prepared statements of a session, by their text.
 *
 * A statement is prepared the second time that it is seen, since most are never seen again. The
 * least used goes when the cache is full; its name on the server goes before the next statement is
 * sent. Long texts are never prepared: they are generated, and would not come again.
 */
#include "session.h"

#include <ouro/memory.h>

#include <stdio.h>
#include <string.h>

#define DEFAULT_STATEMENTS 100
#define SQL_MAX            (15 * 1024) /* bytes; the limit of asyncpg's cache */
#define BUCKETS            256

struct pg_cache {
    TAILQ_HEAD(, pg_prepared) used; /* the least used first */
    size_t count;
    unsigned next_number;
    struct pg_prepared *buckets[BUCKETS];
};

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t hash_of(const char *sql, size_t size)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)sql[i]) * 1099511628211u;
    return hash;
}

static struct pg_prepared **place_of(struct pg_cache *cache, const struct pg_prepared *p)
{
    struct pg_prepared **place = &cache->buckets[p->hash % BUCKETS];
    while (*place != p)
        place = &(*place)->chained;
    return place;
}

static void take_out(struct pg_cache *cache, struct pg_prepared *p)
{
    *place_of(cache, p) = p->chained;
    TAILQ_REMOVE(&cache->used, p, used);
    cache->count--;
}

const char *ouro__pg_cache_name(const struct pg_prepared *p, char *buf)
{
    snprintf(buf, OURO__PG_STATEMENT_NAME, "ouro_%u", p->number);
    return buf;
}

void ouro__pg_cache_forget(struct pg_session *s, struct pg_prepared *p)
{
    s->stats.known -= p->prepared;
    p->prepared = false;
}

void ouro__pg_cache_renew(struct pg_session *s, struct pg_prepared *p)
{
    char sql[OURO__PG_STATEMENT_NAME + 16], name[OURO__PG_STATEMENT_NAME];
    snprintf(sql, sizeof sql, "DEALLOCATE %s", ouro__pg_cache_name(p, name));
    ouro__pg_simple_own(s, sql); /* if that fails, the session keeps what nobody asks for */
    ouro__pg_cache_forget(s, p);
    p->number = s->cache->next_number++;
}

/* Make room for one more. False: there is none. */
static bool make_room(struct pg_session *s, size_t most)
{
    char sql[OURO__PG_STATEMENT_NAME + 16], name[OURO__PG_STATEMENT_NAME];
    struct pg_cache *cache = s->cache;
    if (cache->count < most)
        return true;
    struct pg_prepared *p = TAILQ_FIRST(&cache->used);
    while (p && p->busy)
        p = TAILQ_NEXT(p, used);
    if (!p)
        return false;
    if (p->prepared) {
        snprintf(sql, sizeof sql, "DEALLOCATE %s", ouro__pg_cache_name(p, name));
        if (ouro__pg_simple_own(s, sql) < 0)
            return false;
        ouro__pg_cache_forget(s, p);
    }
    take_out(cache, p);
    ouro_memory_release(p);
    return true;
}

static struct pg_cache *cache_of(struct pg_session *s)
{
    if (s->cache)
        return s->cache;
    struct pg_cache *cache = ouro_memory_alloc(sizeof(*cache));
    if (!cache)
        return NULL;
    memset(cache, 0, sizeof(*cache));
    TAILQ_INIT(&cache->used);
    return s->cache = cache;
}

static struct pg_prepared *add(struct pg_session *s, const char *sql, size_t size, uint64_t hash)
{
    struct pg_cache *cache = s->cache;
    size_t most = s->opts.statements ? (size_t)s->opts.statements : DEFAULT_STATEMENTS;
    struct pg_prepared *p = make_room(s, most) ? ouro_memory_alloc(sizeof(*p) + size + 1) : NULL;
    if (!p)
        return NULL;
    *p = (struct pg_prepared){
        .chained = cache->buckets[hash % BUCKETS],
        .hash = hash,
        .number = cache->next_number++,
        .size = size,
    };
    memcpy(p->sql, sql, size + 1);
    cache->buckets[hash % BUCKETS] = p;
    TAILQ_INSERT_TAIL(&cache->used, p, used);
    cache->count++;
    return p;
}

struct pg_prepared *ouro__pg_cache_find(struct pg_session *s, const char *sql, size_t size,
                                        bool *ret_seen)
{
    *ret_seen = false;
    if (s->opts.statements < 0 || size > SQL_MAX || !cache_of(s))
        return NULL;
    uint64_t hash = hash_of(sql, size);
    struct pg_prepared *p = s->cache->buckets[hash % BUCKETS];
    while (p && !(p->hash == hash && p->size == size && memcmp(p->sql, sql, size) == 0))
        p = p->chained;
    if (!p)
        return add(s, sql, size, hash);
    *ret_seen = true;
    TAILQ_REMOVE(&s->cache->used, p, used);
    TAILQ_INSERT_TAIL(&s->cache->used, p, used);
    return p;
}

void ouro__pg_cache_free(struct pg_session *s)
{
    struct pg_prepared *p;
    if (!s->cache)
        return;
    while ((p = TAILQ_FIRST(&s->cache->used))) {
        TAILQ_REMOVE(&s->cache->used, p, used);
        ouro_memory_release(p);
    }
    ouro_memory_release(s->cache);
    s->cache = NULL;
    s->stats.known = 0;
}
