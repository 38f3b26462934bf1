/* SPDX-License-Identifier: MIT */
/*
 * ouro_resolve(): names as futures.
 *
 * Numbers become a settled future at once, and so does what is known. Else an asker stands in line
 * for the answer, with a post to this loop that is sent when the answer is there; its future
 * settles then, or at once when it is cancelled. Each asker makes a list of its own of the answer,
 * since the port is its own.
 *
 * How it fails: with words that name the host. A cancel that comes when the answer is on its way
 * waits for it, and the answer wins.
 */
#include "resolve_int.h"

#include <string.h>

#include "address_int.h"

#define DEFAULT_TTL          OURO_SEC(30)
#define DEFAULT_NEGATIVE_TTL OURO_SEC(1)

struct resolve {
    ouro_future f;
    struct ouro__asker *asker;
};

/* ---- Results --------------------------------------------------------------------------------- */

ouro_addresses *ouro_addresses_free(ouro_addresses *addresses)
{
    ouro__release(addresses);
    return NULL;
}

static void drop_addresses(void *ptr)
{
    ouro_addresses_free(ptr);
}

/* A list in one piece, with @port unless that is -1. */
static ouro_addresses *addresses_new(const ouro_address *items, size_t count, int port)
{
    ouro_addresses *list = ouro__alloc(sizeof(*list) + count * sizeof(*items));
    if (!list)
        return NULL;
    list->count = count;
    list->items = (ouro_address *)(list + 1);
    memcpy(list->items, items, count * sizeof(*items));
    for (size_t i = 0; i < count && port >= 0; i++)
        ouro_address_set_port(&list->items[i], port);
    return list;
}

static void settle(ouro_future *f, const ouro_address *items, size_t count, int port)
{
    ouro_addresses *list = addresses_new(items, count, port);
    if (!list) {
        ouro__settle(f, OURO_ERROR, -ENOMEM);
        return;
    }
    f->result.ptr = list;
    f->ptr_free = drop_addresses;
    ouro__settle(f, OURO_VALUE, (int64_t)count);
}

static ouro_future *fail(ouro_loop *loop, int rc, const char *host, const char *service)
{
    return ouro__failed_with(loop, rc, "cannot resolve %s%s%s", host, *service ? ":" : "", service);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void asker_free(struct ouro__asker *asker)
{
    ouro__answer_unref(asker->answer);
    ouro__release(asker);
}

static void told(struct ouro__job *job)
{
    struct ouro__asker *asker = OURO__CONTAINER(job, struct ouro__asker, post.job);
    const struct ouro__answer *answer = asker->answer;
    ouro_future *f = asker->f;
    int rc = answer ? answer->rc : asker->rc;
    if (rc == 0) {
        settle(f, answer->items, answer->count, asker->port);
    } else {
        ouro_future *why = ouro__failed_with(f->loop, rc, "cannot resolve %s", asker->place);
        ouro__settle_as(f, why);
        ouro__unref(why);
    }
    asker_free(asker);
}

static void drop_told(struct ouro__post *post, bool quietly)
{
    if (quietly)
        asker_free(OURO__CONTAINER(post, struct ouro__asker, post));
    else
        told(&post->job);
}

static ouro_future *resolve_cancel(ouro_future *f)
{
    struct ouro__asker *asker = OURO__CONTAINER(f, struct resolve, f)->asker;
    if (!ouro__names_leave(asker))
        return NULL;
    ouro_loop_unref(asker->loop);
    asker_free(asker);
    ouro__settle(f, OURO_CANCELLED, -ECANCELED);
    return NULL;
}

static void resolve_describe(const ouro_future *f, char *text, size_t size)
{
    snprintf(text, size, "lookup of %s", OURO__CONTAINER(f, const struct resolve, f)->asker->place);
}

static const struct ouro__kind resolve_kind = {
    .name = "resolve",
    .size = sizeof(struct resolve),
    .cancel = resolve_cancel,
    .describe = resolve_describe,
};

/* ---- Asking ---------------------------------------------------------------------------------- */

static struct ouro__asker *asker_new(ouro_loop *loop, const char *host, const char *service)
{
    size_t size = strlen(host) + 1 + strlen(service) + 1;
    struct ouro__asker *asker = ouro__alloc(sizeof(*asker) + size);
    if (!asker)
        return NULL;
    *asker = (struct ouro__asker){
        .post = {.job = {.run = told}, .drop = drop_told},
        .loop = ouro_loop_ref(loop),
    };
    snprintf(asker->place, size, "%s%s%s", host, *service ? ":" : "", service);
    return asker;
}

static struct ouro__ages ages_of(const ouro_resolve_options *opts)
{
    if (opts->no_cache)
        return (struct ouro__ages){0, 0};
    return (struct ouro__ages){
        .good = opts->ttl ? opts->ttl : DEFAULT_TTL,
        .bad = opts->negative_ttl ? opts->negative_ttl : DEFAULT_NEGATIVE_TTL,
    };
}

/* The answer was known. */
static void settle_known(struct resolve *r, struct ouro__answer *answer)
{
    struct ouro__asker *asker = r->asker;
    ouro_loop_unref(asker->loop);
    asker->answer = answer;
    told(&asker->post.job);
}

/* Ask for a name. @port: -1 if the service is one, too. */
static ouro_future *ask(ouro_loop *loop, const struct ouro__question *question, int port,
                        const char *service, const ouro_resolve_options *opts)
{
    struct resolve *r = ouro__future_new(loop, &resolve_kind);
    if (!r)
        return ouro__failed(-ENOMEM);
    r->asker = asker_new(loop, question->host, service);
    if (!r->asker) {
        ouro__future_discard(&r->f);
        return ouro__failed(-ENOMEM);
    }
    r->asker->f = &r->f;
    r->asker->port = port;
    struct ouro__answer *answer = ouro__names_ask(question, ages_of(opts), r->asker);
    if (answer)
        settle_known(r, answer);
    return &r->f;
}

static const struct ouro__kind numeric_kind = {.name = "resolve", .size = sizeof(ouro_future)};

static ouro_future *numeric(ouro_loop *loop, const ouro_address *address)
{
    ouro_future *f = ouro__future_new(loop, &numeric_kind);
    if (!f)
        return ouro__failed(-ENOMEM);
    ouro__names_count_numeric();
    settle(f, address, 1, -1);
    return f;
}

/* ---- What is asked for ----------------------------------------------------------------------- */

static bool fits(const ouro_address *a, ouro_family family)
{
    return family == OURO_FAMILY_ANY ||
           (family == OURO_FAMILY_IP4) == (a->as.any.sa_family == AF_INET);
}

/* Whether @host is a number: 1 and its address, 0: it may be a name, or an error. */
static int read_host(const char *host, ouro_family family, ouro_address *ret)
{
    int rc = ouro_address_of_ip(host, 0, ret);
    if (rc == 0)
        return fits(ret, family) ? 1 : -EAFNOSUPPORT;
    return rc == -EINVAL ? ouro__host_check(host) : rc;
}

ouro_future *ouro_resolve(const char *host, const char *service, const ouro_resolve_options *opts)
{
    static const ouro_resolve_options defaults;
    ouro_loop *loop;
    ouro_address address;
    if (!opts)
        opts = &defaults;
    if (!service)
        service = "";
    int rc = host && opts->family <= OURO_FAMILY_IP6 ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    int port = ouro__service_port(service);
    bool named_service = port == -ENOENT;
    int is_number = read_host(host, opts->family, &address);
    if (is_number < 0)
        return fail(loop, is_number, host, service);
    if (port < 0 && !named_service)
        return fail(loop, port, host, service);
    if (is_number && !named_service) {
        ouro_address_set_port(&address, port);
        return numeric(loop, &address);
    }
    struct ouro__question question = {host, named_service ? service : "", opts->family};
    return ask(loop, &question, named_service ? -1 : port, service, opts);
}
