/* SPDX-License-Identifier: MIT */
/*
 * What is known of names, and who waits to know more.
 *
 * There is one table for the process, behind a lock: a name is the same for all loops, so that
 * workers on several threads ask for it once between them, and what an abandoned lookup learns is
 * there for whoever asks next, though the loop that asked first be closed. It is locked for a look
 * into the table, never while anybody waits.
 *
 * Happy path: the first to ask for a name puts it into the table and sends a lookup to the lane;
 * others who come meanwhile stand in the same line. The lookup's thread puts the answer in and
 * posts to the loop of each who waits. From then on the answer is read from the table, until it is
 * too old for whoever asks, or 1 024 others were used later.
 *
 * A lookup belongs to no loop. Its record goes with it to the thread, and is freed when it has
 * ended, wherever that is. A name that is forgotten while it is being asked for leaves the table at
 * once and ends with its lookup.
 *
 * How it fails: no memory and no thread are told to those who wait, and not kept. In the child of a
 * fork there are no lookups; names that were being asked for are forgotten.
 */
#include "resolve_int.h"

#include <pthread.h>
#include <string.h>

#include "pool_int.h"

#define NAMES_MAX 1024u
#define BUCKETS   1024u /* a power of two */

/* A name that somebody has asked for. */
struct name {
    struct ouro__link link;      /* of its bucket; not linked: forgotten */
    struct ouro__link recent;    /* among those that nobody asks for now, the oldest first */
    struct ouro__answer *answer; /* the last one, or NULL */
    struct lookup *lookup;       /* under way, or NULL */
    struct ouro__question question;
    char texts[];
};

/* A question under way. */
struct lookup {
    struct name *name; /* NULL: it has been answered */
    struct ouro__link askers;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static struct ouro__link buckets[BUCKETS];
static struct ouro__link recent; /* what is known, the least recently used first */
static ouro_resolve_stats stats;

/* ---- Fork, and the first time ---------------------------------------------------------------- */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* The threads that look up are the parent's. What they would have freed is lost here. */
static void in_child(void)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct ouro__link *l = buckets[i].next, *next; l != &buckets[i]; l = next) {
            next = l->next;
            if (OURO__CONTAINER(l, struct name, link)->lookup)
                ouro__list_remove(l);
        }
    stats.under_way = 0;
    pthread_mutex_unlock(&lock);
}

static void init(void)
{
    for (size_t i = 0; i < BUCKETS; i++)
        ouro__list_init(&buckets[i]);
    ouro__list_init(&recent);
    pthread_atfork(before_fork, in_parent, in_child);
}

static void lock_names(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init);
    pthread_mutex_lock(&lock);
}

/* ---- The table ------------------------------------------------------------------------------- */

/* Letters are the same in both cases, RFC 4343. */
static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* FNV-1a. */
static uint32_t hash(uint32_t seed, const char *text)
{
    for (; *text; text++)
        seed = (seed ^ (unsigned char)fold(*text)) * 16777619u;
    return (seed ^ 0xff) * 16777619u;
}

static struct ouro__link *bucket_of(const struct ouro__question *q)
{
    uint32_t h = hash(hash(2166136261u + (uint32_t)q->family, q->host), q->service);
    return &buckets[h & (BUCKETS - 1)];
}

static bool same_host(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b))
        a++, b++;
    return fold(*a) == fold(*b);
}

static struct name *find(const struct ouro__question *q)
{
    struct ouro__link *bucket = bucket_of(q);
    OURO__LIST_FOR (l, bucket) {
        struct name *name = OURO__CONTAINER(l, struct name, link);
        if (name->question.family == q->family && same_host(name->question.host, q->host) &&
            strcmp(name->question.service, q->service) == 0)
            return name;
    }
    return NULL;
}

static struct name *name_new(const struct ouro__question *q)
{
    size_t host_size = strlen(q->host) + 1, service_size = strlen(q->service) + 1;
    struct name *name = ouro__alloc(sizeof(*name) + host_size + service_size);
    if (!name)
        return NULL;
    ouro__allocator_hold(); /* it may outlive every loop */
    *name = (struct name){.question = *q};
    name->question.host = memcpy(name->texts, q->host, host_size);
    name->question.service = memcpy(name->texts + host_size, q->service, service_size);
    ouro__list_push(bucket_of(q), &name->link);
    return name;
}

/* It may have been forgotten before; nobody asks for it. */
static void name_free(struct name *name)
{
    if (ouro__linked(&name->link))
        ouro__list_remove(&name->link);
    if (ouro__linked(&name->recent)) {
        ouro__list_remove(&name->recent);
        stats.known--;
    }
    ouro__answer_unref(name->answer);
    ouro__release(name);
    ouro__allocator_let_go();
}

/* It was used just now. */
static void touch(struct name *name)
{
    ouro__list_remove(&name->recent);
    ouro__list_push(&recent, &name->recent);
}

static void keep(struct name *name)
{
    ouro__list_push(&recent, &name->recent);
    if (++stats.known <= NAMES_MAX)
        return;
    stats.evicted++;
    name_free(OURO__CONTAINER(recent.next, struct name, recent));
}

static struct ouro__answer *fresh_answer(const struct name *name, struct ouro__ages ages)
{
    struct ouro__answer *answer = name->answer;
    if (!answer)
        return NULL;
    ouro_ns limit = answer->rc < 0 ? ages.bad : ages.good;
    ouro_ns now = ouro__names_now();
    return limit && now - answer->born <= limit ? answer : NULL;
}

/* ---- Lookups --------------------------------------------------------------------------------- */

/* Decide what @asker comes to; from now on it cannot leave. Locked, if anybody else can see it. */
static void decide(struct ouro__asker *asker, struct ouro__answer *answer, int rc)
{
    asker->told = true;
    asker->answer = ouro__answer_ref(answer);
    asker->rc = rc;
}

/* Not locked. */
static void tell(struct ouro__asker *asker)
{
    ouro_loop *loop = asker->loop;
    if (ouro__post(loop, &asker->post) < 0)
        asker->post.drop(&asker->post, true); /* it was closed without waiting */
    ouro_loop_unref(loop);
}

/* A lookup is over; an answer is kept unless the name was forgotten meanwhile. */
static void answered(struct lookup *lookup, struct ouro__answer *answer, int rc)
{
    struct ouro__link askers;
    ouro__list_init(&askers);
    pthread_mutex_lock(&lock);
    struct name *name = lookup->name;
    lookup->name = NULL;
    name->lookup = NULL;
    stats.under_way--;
    OURO__LIST_FOR (l, &lookup->askers)
        decide(OURO__CONTAINER(l, struct ouro__asker, link), answer, rc);
    ouro__list_splice(&askers, &lookup->askers);
    if (answer) {
        ouro__answer_unref(name->answer);
        name->answer = ouro__answer_ref(answer);
    }
    if (name->answer && ouro__linked(&name->link))
        keep(name);
    else
        name_free(name);
    pthread_mutex_unlock(&lock);
    for (struct ouro__link *l; (l = ouro__list_pop(&askers));)
        tell(OURO__CONTAINER(l, struct ouro__asker, link));
}

/* On a thread of the lane. */
static int64_t look_up(void *arg)
{
    struct lookup *lookup = arg;
    int rc;
    struct ouro__answer *answer = ouro__lookup(&lookup->name->question, &rc);
    answered(lookup, answer, rc);
    ouro__answer_unref(answer);
    return 0;
}

/* It has run, or the last loop was closed before it could. */
static void lookup_free(void *arg)
{
    struct lookup *lookup = arg;
    if (lookup->name)
        answered(lookup, NULL, -ESHUTDOWN);
    ouro__release(lookup);
}

static struct lookup *lookup_new(struct name *name)
{
    struct lookup *lookup = ouro__alloc(sizeof(*lookup));
    if (!lookup)
        return NULL;
    lookup->name = name;
    ouro__list_init(&lookup->askers);
    name->lookup = lookup;
    if (ouro__linked(&name->recent)) {
        ouro__list_remove(&name->recent);
        stats.known--;
    }
    stats.lookups++;
    stats.under_way++;
    return lookup;
}

/* Wait for a lookup of @name, or begin one. Locked. *ret_lookup is to be sent to the lane, or NULL.
 * False: no memory. */
static bool join(struct name *name, struct ouro__asker *asker, struct lookup **ret_lookup)
{
    *ret_lookup = NULL;
    if (name->lookup)
        stats.joined++;
    else
        *ret_lookup = lookup_new(name);
    if (name->lookup)
        ouro__list_push(&name->lookup->askers, &asker->link);
    else if (!name->answer)
        name_free(name);
    return asker->link.next != NULL;
}

/* ---- What resolve.c asks for ----------------------------------------------------------------- */

struct ouro__answer *ouro__names_ask(const struct ouro__question *question, struct ouro__ages ages,
                                     struct ouro__asker *asker)
{
    struct lookup *lookup = NULL;
    lock_names();
    struct name *name = find(question);
    struct ouro__answer *answer = name ? fresh_answer(name, ages) : NULL;
    if (answer) {
        *(answer->rc < 0 ? &stats.failures : &stats.hits) += 1;
        if (!name->lookup)
            touch(name);
        ouro__answer_ref(answer);
        pthread_mutex_unlock(&lock);
        return answer;
    }
    if (!name)
        name = name_new(question);
    bool waits = name && join(name, asker, &lookup);
    pthread_mutex_unlock(&lock);
    if (!waits) {
        decide(asker, NULL, -ENOMEM);
        tell(asker);
    }
    int rc = lookup ? ouro__lane_run(ouro__this_loop, OURO_LANE_DNS, look_up, lookup, lookup_free)
                    : 0;
    if (rc < 0) {
        answered(lookup, NULL, rc);
        ouro__release(lookup);
    }
    return NULL;
}

bool ouro__names_leave(struct ouro__asker *asker)
{
    pthread_mutex_lock(&lock);
    bool waits = !asker->told;
    if (waits) {
        ouro__list_remove(&asker->link);
        stats.abandoned++;
    }
    pthread_mutex_unlock(&lock);
    return waits;
}

void ouro__names_count_numeric(void)
{
    lock_names();
    stats.numeric++;
    pthread_mutex_unlock(&lock);
}

size_t ouro_resolve_flush(void)
{
    lock_names();
    size_t forgotten = stats.known;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct ouro__link *l; (l = ouro__list_pop(&buckets[i]));) {
            struct name *name = OURO__CONTAINER(l, struct name, link);
            if (!name->lookup)
                name_free(name);
        }
    pthread_mutex_unlock(&lock);
    return forgotten;
}

ouro_resolve_stats ouro_resolve_counts(void)
{
    lock_names();
    ouro_resolve_stats copy = stats;
    pthread_mutex_unlock(&lock);
    return copy;
}
