/* SPDX-License-Identifier: MIT */
/*
 * ouro_connect(): a race of addresses.
 *
 * Happy path: names are resolved, the addresses sorted so that families take turns, and the first
 * is tried. Whenever one fails, and 250 ms after one was begun, the next is begun beside those that
 * are under way. The first that is connected wins; the others are cancelled, and when the last of
 * them has ended, the future settles with the winner's descriptor.
 *
 * At any moment either the names are waited for, or an attempt is under way, or the future has
 * settled. So a cancel always has somebody to pass the request on to, and every descriptor somebody
 * who closes it.
 *
 * How it fails: when the last attempt has, with the first error that says more than "there is no
 * way", and words that tell of each.
 */
#include "connect_int.h"

#include <string.h>

#include "address_int.h"

#define STAGGER       OURO_MS(250) /* RFC 8305, section 5 */
#define STAGGER_MIN   OURO_MS(10)  /* the same */
#define ADDRESSES_MAX 1024
#define WORDS_MAX     8 /* addresses that an error tells of */

struct ouro__connect {
    ouro_future f;
    struct ouro__job job;     /* waits for the names */
    struct ouro__job fork;    /* passes a cancel on to the attempts */
    struct ouro__timer timer; /* the next address may begin */
    ouro_future *names;       /* a reference, while they are waited for */
    const char *where;        /* borrowed; NULL: the caller gave addresses */
    ouro_connect_options opts;
    ouro_address bind; /* where opts.bind points to */
    int winner;        /* its descriptor, or -1 */
    size_t count;
    size_t begun;
    size_t live;
    struct ouro__attempt *attempts;
    struct ouro__attempt only; /* place for them, if there is one */
};

static struct ouro__connect *connect_of(const ouro_future *f)
{
    return OURO__CONTAINER(f, struct ouro__connect, f);
}

static bool asked(const struct ouro__connect *c)
{
    return c->f.flags & OURO__CANCEL_ASKED;
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* Errors that say no more than that an address is out of reach. */
static bool is_telling(int rc)
{
    switch (-rc) {
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return false;
    default:
        return true;
    }
}

static int error_of(const struct ouro__connect *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (is_telling(c->attempts[i].rc))
            return c->attempts[i].rc;
    return c->attempts[0].rc;
}

static void put_attempt(struct ouro__text *t, const struct ouro__connect *c,
                        const struct ouro__attempt *a)
{
    char address[OURO_ADDRESS_TEXT];
    ouro_address_print(&a->to, address, sizeof address);
    if (c->count > 1 || (c->where && strcmp(c->where, address) != 0))
        ouro__put(t, "%s: ", address);
    if (a->step)
        ouro__put(t, "%s: ", a->step);
    ouro__put(t, "%s", ouro_strerror(a->rc));
}

static void put_all(struct ouro__text *t, const struct ouro__connect *c)
{
    for (size_t i = 0; i < c->count && i < WORDS_MAX; i++) {
        ouro__put(t, "%s", i ? "; " : "");
        put_attempt(t, c, &c->attempts[i]);
    }
    if (c->count > WORDS_MAX)
        ouro__put(t, "; and %zu more", c->count - WORDS_MAX);
}

/* What there is to say, as a settled future. */
static ouro_future *explain(const struct ouro__connect *c)
{
    char words[WORDS_MAX * 160 + OURO_ADDRESS_TEXT], place[OURO_ADDRESS_TEXT] = "the addresses";
    struct ouro__text t = {words, sizeof words, 0};
    if (c->count == 1)
        ouro_address_print(&c->attempts[0].to, place, sizeof place);
    put_all(&t, c);
    return ouro__failed_with(c->f.loop, error_of(c), "cannot connect to %s: %s",
                             c->where ? c->where : place, words);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void settle_as(struct ouro__connect *c, ouro_future *why)
{
    ouro__settle_as(&c->f, why);
    ouro__unref(why);
}

static void free_attempts(struct ouro__connect *c)
{
    if (c->attempts != &c->only)
        ouro__release(c->attempts);
    c->attempts = NULL;
    c->count = 0;
}

/* Nothing is under way any more. */
static void finish(struct ouro__connect *c)
{
    ouro_loop *loop = c->f.loop;
    ouro__timer_cancel(&loop->timers, &c->timer);
    if (c->winner >= 0) {
        free_attempts(c);
        loop->ops.live_fds++;
        ouro__settle_grant(&c->f, (ouro_result){c->winner, NULL}, &ouro__fds);
    } else if (asked(c)) {
        free_attempts(c);
        ouro__settle(&c->f, OURO_CANCELLED, -ECANCELED);
    } else {
        ouro_future *why = explain(c);
        free_attempts(c);
        settle_as(c, why);
    }
}

/* ---- The race -------------------------------------------------------------------------------- */

static bool is_decided(const struct ouro__connect *c)
{
    return c->winner >= 0 || asked(c);
}

/* Have the next one begin when this one has had its head start. False: no memory. */
static bool give_head_start(struct ouro__connect *c)
{
    ouro_loop *loop = c->f.loop;
    if (c->begun == c->count)
        return true;
    ouro_ns when = ouro__ns_add(ouro__loop_now(loop), c->opts.stagger);
    return ouro__timer_set(&loop->timers, &c->timer, when) == 0;
}

/* Begin the next that can be. */
static void begin_next(struct ouro__connect *c)
{
    ouro__timer_cancel(&c->f.loop->timers, &c->timer);
    while (c->begun < c->count) {
        struct ouro__attempt *a = &c->attempts[c->begun++];
        a->rc = ouro__attempt_begin(a, &c->opts);
        if (a->rc < 0)
            continue;
        c->live++;
        if (give_head_start(c))
            return;
    }
}

static void head_start_over(struct ouro__timer *timer)
{
    begin_next(OURO__CONTAINER(timer, struct ouro__connect, timer));
}

static void cancel_attempts(struct ouro__job *fork)
{
    struct ouro__connect *c = OURO__CONTAINER(fork, struct ouro__connect, fork);
    for (size_t i = 0; i < c->begun; i++)
        if (c->attempts[i].op)
            ouro__cancel_chain(c->attempts[i].op);
}

static void won(struct ouro__connect *c, struct ouro__attempt *a)
{
    c->winner = a->fd;
    a->fd = -1;
    ouro__timer_cancel(&c->f.loop->timers, &c->timer);
    cancel_attempts(&c->fork);
}

static void attempt_ended(struct ouro__job *job)
{
    struct ouro__attempt *a = OURO__CONTAINER(job, struct ouro__attempt, job);
    struct ouro__connect *c = a->race;
    ouro_loop *loop = c->f.loop;
    c->live--;
    a->rc = ouro__attempt_end(a, loop, c->opts.type);
    if (a->rc == 0 && c->winner < 0)
        won(c, a);
    else if (a->rc == 0)
        ouro__attempt_close(a, loop); /* so was another, a moment ago */
    else if (!is_decided(c))
        begin_next(c);
    if (c->live == 0)
        finish(c);
}

/* ---- The addresses --------------------------------------------------------------------------- */

static bool may_be_tried(const struct ouro__connect *c, const ouro_address *a)
{
    return !c->opts.bind || c->bind.as.any.sa_family == a->as.any.sa_family;
}

/* The first from @from on that may be tried, and is of @family or, with @other, of another one. */
static size_t seek(const struct ouro__connect *c, const ouro_address *items, size_t count,
                   size_t from, int family, bool other)
{
    while (from < count &&
           (!may_be_tried(c, &items[from]) || (items[from].as.any.sa_family == family) == other))
        from++;
    return from;
}

static void add(struct ouro__connect *c, const ouro_address *to)
{
    c->attempts[c->count++] = (struct ouro__attempt){
        .job = {.run = attempt_ended},
        .race = c,
        .fd = -1,
        .to = *to,
    };
}

/* By turns, one of the preferred family and one of the other. */
static void add_all(struct ouro__connect *c, const ouro_address *items, size_t count)
{
    int family = items[0].as.any.sa_family;
    size_t one = seek(c, items, count, 0, family, false);
    size_t other = seek(c, items, count, 0, family, true);
    while (one < count || other < count) {
        if (one < count)
            add(c, &items[one]);
        if (other < count)
            add(c, &items[other]);
        one = seek(c, items, count, one + 1, family, false);
        other = seek(c, items, count, other + 1, family, true);
    }
}

/* Begin the race, or fail. */
static void run(struct ouro__connect *c, const ouro_address *items, size_t count)
{
    c->attempts = count == 1 ? &c->only : ouro__alloc(count * sizeof(*c->attempts));
    if (!c->attempts) {
        ouro__settle(&c->f, OURO_ERROR, -ENOMEM);
        return;
    }
    add_all(c, items, count);
    if (c->count == 0) {
        free_attempts(c);
        settle_as(c, ouro__failed_with(c->f.loop, -EAFNOSUPPORT,
                                       "cannot connect to %s: no address of the family it is "
                                       "to be connected from",
                                       c->where ? c->where : "the addresses"));
        return;
    }
    begin_next(c);
    if (c->live == 0)
        finish(c);
}

static void named(struct ouro__job *job)
{
    struct ouro__connect *c = OURO__CONTAINER(job, struct ouro__connect, job);
    ouro_future *names = c->names;
    c->names = NULL;
    if (asked(c)) {
        ouro__settle(&c->f, OURO_CANCELLED, -ECANCELED);
        ouro__unref(names);
        return;
    }
    ouro_addresses *found = ouro__take(names).ptr;
    if (!found) {
        settle_as(c, names);
        return;
    }
    ouro__unref(names);
    run(c, found->items, found->count);
    ouro_addresses_free(found);
}

/* ---- The future ------------------------------------------------------------------------------ */

static ouro_future *connect_cancel(ouro_future *f)
{
    struct ouro__connect *c = connect_of(f);
    ouro__timer_cancel(&f->loop->timers, &c->timer);
    if (!c->names)
        ouro__list_push(&f->loop->cancelling, &c->fork.link);
    return c->names;
}

static void connect_describe(const ouro_future *f, char *text, size_t size)
{
    const struct ouro__connect *c = connect_of(f);
    snprintf(text, size, "connect to %s, %zu of %zu addresses tried",
             c->where ? c->where : "addresses", c->begun, c->count);
}

static bool connect_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    const struct ouro__connect *c = connect_of(f);
    if (c->names) {
        *ret_part = c->names;
        return i == 0;
    }
    *ret_part = i < c->begun ? c->attempts[i].op : NULL;
    return i < c->begun;
}

static const struct ouro__kind connect_kind = {
    .name = "connect",
    .size = sizeof(struct ouro__connect),
    .cancel = connect_cancel,
    .combines = true,
    .describe = connect_describe,
    .part = connect_part,
};

static struct ouro__connect *connect_new(ouro_loop *loop, const ouro_connect_options *opts,
                                         const char *where)
{
    struct ouro__connect *c = ouro__future_new(loop, &connect_kind);
    if (!c)
        return NULL;
    c->job = (struct ouro__job){.run = named};
    c->fork = (struct ouro__job){.run = cancel_attempts};
    ouro__timer_init(&c->timer, head_start_over);
    c->names = NULL;
    c->where = where;
    c->opts = *opts;
    if (opts->bind) {
        c->bind = *opts->bind;
        c->opts.bind = &c->bind;
    }
    if (!c->opts.type)
        c->opts.type = SOCK_STREAM;
    if (!c->opts.stagger)
        c->opts.stagger = STAGGER;
    c->winner = -1;
    c->count = c->begun = c->live = 0;
    c->attempts = NULL;
    return c;
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static bool is_place(const ouro_address *a)
{
    const char *name;
    switch (a->as.any.sa_family) {
    case AF_INET:
    case AF_INET6:
        return true;
    case AF_UNIX:
        return ouro__unix_name(a, &name) > 0;
    default:
        return false;
    }
}

static bool are_places(const ouro_address *items, size_t count)
{
    if (!items || count == 0 || count > ADDRESSES_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_place(&items[i]))
            return false;
    return true;
}

static bool options_fit(const ouro_connect_options *opts)
{
    bool type_fits = opts->type == 0 || opts->type == SOCK_STREAM || opts->type == SOCK_SEQPACKET;
    bool stagger_fits = opts->stagger == 0 || opts->stagger >= STAGGER_MIN;
    bool bind_fits = !opts->bind || is_place(opts->bind);
    return type_fits && stagger_fits && bind_fits;
}

static ouro_future *race(ouro_loop *loop, const ouro_connect_options *opts, const char *where,
                         const ouro_address *items, size_t count)
{
    struct ouro__connect *c = connect_new(loop, opts, where);
    if (!c)
        return ouro__failed(-ENOMEM);
    run(c, items, count);
    return &c->f;
}

static ouro_future *race_of_names(ouro_loop *loop, const ouro_connect_options *opts,
                                  const char *where, const ouro_host_port *place)
{
    struct ouro__connect *c = connect_new(loop, opts, where);
    if (!c)
        return ouro__failed(-ENOMEM);
    c->names = ouro_resolve(place->host, place->service, &opts->names);
    if (c->names->state == OURO_PENDING)
        ouro__watch(c->names, &c->job);
    else
        named(&c->job);
    return &c->f;
}

ouro_future *ouro_connect(const char *where, const ouro_connect_options *opts)
{
    static const ouro_connect_options defaults;
    ouro_loop *loop;
    ouro_address address;
    ouro_host_port place;
    if (!opts)
        opts = &defaults;
    int rc = where && options_fit(opts) ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    bool local = strncmp(where, "unix:", 5) == 0;
    rc = local ? ouro_address_parse(where, &address) : ouro_host_port_split(where, &place);
    if (rc == 0 && !local && ouro__service_port(place.service) == 0)
        rc = -EINVAL; /* none, or that of nobody */
    if (rc < 0)
        return ouro__failed_with(loop, rc, "cannot connect to %s: that is no place", where);
    return local ? race(loop, opts, where, &address, 1) : race_of_names(loop, opts, where, &place);
}

ouro_future *ouro_connect_to(const ouro_address *addresses, size_t count,
                             const ouro_connect_options *opts)
{
    static const ouro_connect_options defaults;
    ouro_loop *loop;
    if (!opts)
        opts = &defaults;
    bool fit = are_places(addresses, count) && options_fit(opts);
    int rc = fit ? ouro__loop_for_work(&loop) : -EINVAL;
    return rc < 0 ? ouro__failed(rc) : race(loop, opts, NULL, addresses, count);
}
