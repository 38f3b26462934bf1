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

#include <errno.h>
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

const char *ouro__pg_cache_name(const struct pg_prepared *p, char *buf)
{
    snprintf(buf, OURO__PG_STATEMENT_NAME, "ouro_%u", p->number);
    return buf;
}

/* ---- On the server --------------------------------------------------------------------------- */

struct deallocation {
    struct pg_command c;
    char sql[OURO__PG_STATEMENT_NAME + 16];
};

static int deallocate_send(struct pg_command *c, PGconn *db)
{
    const struct deallocation *q = (void *)c;
    return PQsendQuery(db, q->sql) ? 0 : ouro__pg_command_refused(c);
}

/* That there is no such statement is as good. */
static void deallocate_result(struct pg_command *c, PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    if (state && strcmp(state, "26000") == 0)
        PQclear(r);
    else
        ouro__pg_command_check(c, r);
}

static void deallocate_end(struct pg_command *c, int64_t rc, const char *why)
{
    (void)c; /* nobody waits for it */
    (void)rc;
    (void)why;
}

static const struct pg_command_kind deallocate_kind = {
    .name = "DEALLOCATE",
    .send = deallocate_send,
    .result = deallocate_result,
    .end = deallocate_end,
};

/* Have the server forget it, before the next statement is sent. 0 or -ENOMEM. */
static int deallocate(struct pg_session *s, const struct pg_prepared *p)
{
    char name[OURO__PG_STATEMENT_NAME];
    struct deallocation *q = ouro__pg_command_own(s, sizeof(*q), &deallocate_kind);
    if (!q)
        return -ENOMEM;
    snprintf(q->sql, sizeof q->sql, "DEALLOCATE %s", ouro__pg_cache_name(p, name));
    ouro__pg_command_queue(&q->c);
    return 0;
}

/* ---- Entries --------------------------------------------------------------------------------- */

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

void ouro__pg_cache_forget(struct pg_session *s, struct pg_prepared *p)
{
    s->stats.known -= p->prepared;
    p->prepared = false;
}

void ouro__pg_cache_renew(struct pg_session *s, struct pg_prepared *p)
{
    ouro__pg_cache_forget(s, p);
    p->number = s->cache->next_number++;
}

void ouro__pg_cache_replace(struct pg_session *s, struct pg_prepared *p)
{
    deallocate(s, p); /* if that fails, the session keeps what nobody asks for */
    ouro__pg_cache_renew(s, p);
}

/* The entry that goes. In a transaction none does that the server has: if somebody else had
 * deallocated it, the transaction would fail for that; and if it has failed, it could not go. */
static struct pg_prepared *least_used(const struct pg_session *s)
{
    bool idle = PQtransactionStatus(s->db) == PQTRANS_IDLE;
    struct pg_prepared *p = TAILQ_FIRST(&s->cache->used);
    while (p && (p->busy || (p->prepared && !idle)))
        p = TAILQ_NEXT(p, used);
    return p;
}

/* Make room for one more. False: there is none. */
static bool make_room(struct pg_session *s, size_t most)
{
    struct pg_cache *cache = s->cache;
    if (cache->count < most)
        return true;
    struct pg_prepared *p = least_used(s);
    if (!p || (p->prepared && deallocate(s, p) < 0))
        return false;
    ouro__pg_cache_forget(s, p);
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
