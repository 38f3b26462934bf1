/* SPDX-License-Identifier: MIT */
/*
 * ouro_pg_connect().
 *
 * Happy path: what is meant is worked out (conninfo.c), its names are looked up, all at once, and
 * libpq is given numbers beside the names. It connects and signs in step by step, each time that
 * the socket is ready for what it waits for. The poll is one shot and has ended whenever libpq is
 * called, since libpq may close the socket and open another under the same number.
 *
 * Each address has connect_timeout. One that takes longer is left out, with those before it, and
 * libpq begins anew with the rest.
 *
 * How it fails: by the last error that libpq reports, whose text tells of all hosts.
 */
#include "places.h"

#include <ouro/memory.h>
#include <ouro/resolve.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

struct connecting;

/* A name that is looked up. */
struct lookup {
    struct connecting *c;
    ouro_future *f;      /* while it is waited for; a reference */
    ouro_result *result; /* where what it came to goes */
};

struct connecting {
    ouro_promise *promise;
    ouro_pg_options opts;
    struct pg_places places;
    struct lookup *lookups;
    ouro_result *found;        /* what they came to */
    size_t asked;              /* how many there are */
    size_t awaited;            /* of them, that are waited for */
    struct pg_notices notices; /* of the server, before there is a session */
    PGconn *db;
    struct pg_wait wait;
    ouro_call *limit; /* for the address that is being tried */
    size_t trying;    /* its index */
    bool cancelled;
    bool timed_out;
};

static void take_step(struct connecting *c);

/* ---- The end --------------------------------------------------------------------------------- */

static void stop_limit(struct connecting *c)
{
    ouro_call_cancel(c->limit);
    c->limit = ouro_call_unref(c->limit);
}

static void destroy(struct connecting *c)
{
    if (c->limit)
        stop_limit(c);
    PQfinish(c->db);
    ouro_promise_free(c->promise);
    ouro__pg_places_free(&c->places);
    for (size_t i = 0; c->found && i < c->asked; i++)
        ouro_addresses_free(c->found[i].ptr);
    ouro_memory_release(c->found);
    ouro_memory_release(c->lookups);
    ouro__pg_notices_drop(&c->notices);
    ouro_memory_release(c);
}

static void fail(struct connecting *c, int64_t code, const char *text)
{
    if (c->cancelled)
        ouro_promise_fail(c->promise, -ECANCELED);
    else if (text)
        ouro_promise_fail_with(c->promise, code, "cannot connect to PostgreSQL: %s", text);
    else
        ouro_promise_fail(c->promise, code);
    destroy(c);
}

/* What libpq has to say; with @otherwise, if it is none of the reasons that are known. */
static void fail_as_libpq(struct connecting *c, int64_t otherwise)
{
    char text[1024];
    int64_t code = ouro__pg_connect_error(PQerrorMessage(c->db), text, sizeof text);
    fail(c, code == -OURO_ENOSESSION ? otherwise : code, text);
}

static void free_handle(void *pg)
{
    ouro_pg_free(pg);
}

const char *ouro__pg_limit_sql(ouro_ns limit, char *buf, size_t size)
{
    if (!limit || limit == OURO_FOREVER)
        return NULL;
    uint64_t ms = limit / OURO_MS(1) + (limit % OURO_MS(1) != 0);
    snprintf(buf, size, "SET statement_timeout = %d", ms < INT_MAX ? (int)ms : INT_MAX);
    return buf;
}

/* The session's own limit on statements, which connection poolers would not take as an option. */
static int limit_statements(ouro_pg *pg, ouro_ns limit)
{
    char buf[OURO__PG_LIMIT_SQL];
    const char *sql = ouro__pg_limit_sql(limit, buf, sizeof buf);
    return sql ? ouro__pg_simple_own(pg->session, sql) : 0;
}

static void succeed(struct connecting *c)
{
    ouro_pg *pg;
    PQsetErrorVerbosity(c->db, PQERRORS_DEFAULT);
    int rc = PQsetnonblocking(c->db, 1) < 0 ? -ENOMEM : 0;
    if (rc == 0)
        rc = ouro__pg_session_new(c->db, &c->opts, &pg);
    if (rc < 0) {
        fail(c, rc, NULL);
        return;
    }
    c->db = NULL;
    ouro__pg_notices_adopt(pg->session, &c->notices);
    int64_t lost = pg->session->lost; /* no memory to wait for it with */
    if (lost == 0)
        lost = limit_statements(pg, c->opts.statement_limit);
    if (lost == 0) {
        ouro_promise_resolve(c->promise, (ouro_result){0, pg}, free_handle);
        destroy(c);
    } else {
        ouro_pg_free(pg);
        fail(c, lost, NULL);
    }
}

/* ---- One address after the other ------------------------------------------------------------- */

static void out_of_time(void *arg)
{
    struct connecting *c = arg;
    c->limit = ouro_call_unref(c->limit);
    c->timed_out = true;
    ouro__pg_wait_cancel(&c->wait);
}

static int start_limit(struct connecting *c)
{
    if (c->limit)
        stop_limit(c);
    if (!c->places.limit)
        return 0;
    return ouro_call_later(c->places.limit, out_of_time, c, NULL, &c->limit);
}

/* libpq may have gone on to the next address, which has a limit of its own. */
static int follow(struct connecting *c)
{
    size_t at = ouro__pg_places_find(&c->places, c->trying, PQhost(c->db), PQhostaddr(c->db),
                                     PQport(c->db));
    if (at == c->trying && c->limit)
        return 0;
    c->trying = at;
    return start_limit(c);
}

static void wait_for(struct connecting *c, unsigned events)
{
    int rc = follow(c);
    if (rc == 0)
        rc = ouro__pg_wait_begin(&c->wait, PQsocket(c->db), events);
    if (rc < 0)
        fail(c, rc, NULL);
}

/* Begin with the address @first. */
static void start(struct connecting *c, size_t first)
{
    c->trying = first;
    c->timed_out = false;
    c->db = ouro__pg_places_start(&c->places, first);
    if (!c->db) {
        fail(c, -ENOMEM, NULL);
        return;
    }
    PQsetErrorVerbosity(c->db, PQERRORS_VERBOSE); /* the only way to have the SQLSTATE */
    ouro__pg_notices_collect(&c->notices, c->db);
    if (PQstatus(c->db) == CONNECTION_BAD)
        fail_as_libpq(c, -EINVAL); /* it has not even begun: a value makes no sense */
    else
        wait_for(c, POLLOUT); /* as libpq wants it before its first step */
}

static void take_step(struct connecting *c)
{
    switch (PQconnectPoll(c->db)) {
    case PGRES_POLLING_READING:
        wait_for(c, POLLIN);
        break;
    case PGRES_POLLING_WRITING:
        wait_for(c, POLLOUT);
        break;
    case PGRES_POLLING_OK:
        succeed(c);
        break;
    default:
        fail_as_libpq(c, -OURO_ENOSESSION);
    }
}

/* The address that is being tried has had its time. */
static void try_next(struct connecting *c)
{
    char text[160];
    size_t next = c->trying + 1;
    if (next < c->places.count) {
        PQfinish(c->db);
        start(c, next);
        return;
    }
    snprintf(text, sizeof text, "\"%s\", port %s, has not answered in time", PQhost(c->db),
             PQport(c->db));
    fail(c, -ETIMEDOUT, text);
}

static void socket_ready(void *arg, int64_t events)
{
    struct connecting *c = arg;
    if (c->cancelled)
        fail(c, -ECANCELED, NULL);
    else if (c->timed_out)
        try_next(c);
    else if (events < 0)
        fail(c, events == -ECANCELED ? -ESHUTDOWN : events, NULL);
    else
        take_step(c);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static void names_found(struct connecting *c)
{
    char text[256];
    int64_t rc = ouro__pg_places_resolve(&c->places, c->found, text, sizeof text);
    if (rc < 0)
        fail(c, rc, *text ? text : NULL);
    else if (c->cancelled)
        fail(c, -ECANCELED, NULL);
    else
        start(c, 0);
}

static void name_found(ouro_future *done, void *arg)
{
    struct lookup *l = arg;
    struct connecting *c = l->c;
    *l->result = ouro_future_take(done);
    l->f = ouro_unref(l->f);
    if (--c->awaited == 0)
        names_found(c);
}

/* One that cannot be watched is as good as one that has failed. */
static void ask_for_name(struct connecting *c, size_t i)
{
    struct lookup *l = &c->lookups[i];
    *l = (struct lookup){.c = c, .result = &c->found[i]};
    l->f = ouro_resolve(ouro__pg_places_name(&c->places, i), NULL, &c->opts.names);
    int rc = ouro_on_done(l->f, name_found, l);
    if (rc == 0) {
        c->awaited++;
        return;
    }
    ouro_cancel(l->f);
    ouro_future_result(l->f);
    l->f = ouro_unref(l->f);
    *l->result = (ouro_result){rc, NULL};
}

/* Ask for all of them at once. */
static int ask_for_names(struct connecting *c)
{
    size_t n = ouro__pg_places_unknown(&c->places);
    c->lookups = ouro_memory_alloc(n * sizeof(*c->lookups));
    c->found = ouro_memory_alloc(n * sizeof(*c->found));
    if (!c->lookups || !c->found)
        return -ENOMEM;
    c->asked = n;
    for (size_t i = 0; i < n; i++)
        ask_for_name(c, i);
    return c->awaited ? 0 : -ENOMEM;
}

/* ---- The future ------------------------------------------------------------------------------ */

static ouro_cancel_answer asked_to_stop(ouro_promise *p, void *arg)
{
    struct connecting *c = arg;
    (void)p;
    c->cancelled = true;
    for (size_t i = 0; i < c->asked; i++)
        if (c->lookups[i].f)
            ouro_cancel(c->lookups[i].f);
    ouro__pg_wait_cancel(&c->wait);
    return OURO_LATER;
}

static void begin(struct connecting *c)
{
    int rc = 0;
    if (ouro__pg_places_unknown(&c->places) == 0)
        start(c, 0);
    else
        rc = ask_for_names(c);
    if (rc < 0)
        fail(c, rc, NULL);
}

static bool options_fit(const ouro_pg_options *opts)
{
    return opts->statements >= -1 && opts->names.family <= OURO_FAMILY_IP6;
}

ouro_future *ouro_pg_connect(const char *conninfo, const ouro_pg_options *opts)
{
    static const ouro_pg_options defaults;
    ouro_future *f;
    char text[512];
    if (!opts)
        opts = &defaults;
    if (!options_fit(opts))
        return ouro_ready(-EINVAL);
    struct connecting *c = ouro_memory_alloc(sizeof(*c));
    if (!c)
        return ouro_ready(-ENOMEM);
    *c = (struct connecting){.opts = *opts, .wait = {.ready = socket_ready, .arg = c}};
    STAILQ_INIT(&c->notices.line);
    int rc = ouro_promise_new(&c->promise, &f);
    if (rc < 0) {
        ouro_memory_release(c);
        return ouro_ready(rc);
    }
    ouro_promise_on_cancel(c->promise, asked_to_stop, c);
    ouro_promise_set_name(c->promise, "PostgreSQL connect");
    rc = ouro__pg_places_init(&c->places, conninfo ? conninfo : "", text, sizeof text);
    if (rc < 0)
        fail(c, rc, *text ? text : NULL);
    else
        begin(c);
    return f;
}
