/* SPDX-License-Identifier: MIT */
/*
 * Servers: one task that accepts, and one for each connection.
 *
 * A server is a future of its own around the task that accepts, so that a cancel means "stop in
 * good order": it does not reach the task, and what a stop interrupts is the scope in which the
 * task accepts, nothing else. The connections are the task's group.
 *
 * Happy path: wait for room, if there is a limit; accept; start the handler; again. A stop cancels
 * the scope of accepting. The listener is closed, who had connected by then is still served, and the
 * task leaves its group, which waits for the last connection; the deadline of the stop cancels the
 * group.
 *
 * How it fails: for want of memory one connection is refused, and the next may be served. What
 * accepting fails with for good ends the server like a stop, and is what it comes to. A handler's
 * error is counted and told.
 */
#include "listener_int.h"

#include <ouro/group.h>
#include <ouro/serve.h>

#include <stdio.h>
#include <string.h>

#define DEFAULT_GRACE OURO_SEC(10)
#define BREATHER      OURO_MS(10) /* when there is no memory to accept with */
#define NAME_SIZE     64

struct server {
    ouro_future f;
    ouro_future *task;           /* that accepts; a reference until it has ended */
    struct ouro__job job;        /* waits for it */
    struct ouro__job asked;      /* a cancel has come */
    struct ouro__timer deadline; /* of the stop */
    struct ouro__line room;      /* the task, at the limit */
    ouro_listener *listener;     /* a reference until the task has ended */
    ouro_serve_fn *handler;
    void *arg;
    ouro_serve_options opts; /* defaults filled in */
    ouro_server_stats stats;
    ouro_scope *accepting; /* while it does */
    ouro_group *group;     /* of the connections, while the task has it */
    ouro_ns when;          /* the stop's deadline */
    bool stopping;
    bool cut; /* the deadline has passed: the connections are cancelled */
};

struct connection {
    struct server *server;
    ouro_stream *stream;
    char name[NAME_SIZE];
};

static const ouro_local current = {.name = "server"};

/* ---- Stopping -------------------------------------------------------------------------------- */

static void cut_off(struct server *sv)
{
    sv->cut = true;
    if (sv->group)
        ouro_group_cancel(sv->group, "the server's grace has passed");
}

static void deadline_passed(struct ouro__timer *timer)
{
    cut_off(OURO__CONTAINER(timer, struct server, deadline));
}

static void bring_forward(struct server *sv, ouro_ns now, ouro_ns when)
{
    struct ouro__timers *timers = &sv->f.loop->timers;
    sv->when = when;
    ouro__timer_cancel(timers, &sv->deadline);
    if (when <= now || ouro__timer_set(timers, &sv->deadline, when) < 0)
        cut_off(sv); /* without memory for a deadline it is now */
}

/* Whether it is news that the server has to stop within @grace. */
static bool stop(struct server *sv, ouro_ns grace)
{
    ouro_ns now = ouro__loop_now(sv->f.loop);
    ouro_ns when = ouro__ns_add(now, grace);
    bool first = !sv->stopping;
    bool sooner = when < sv->when;
    sv->stopping = true;
    if (first && sv->accepting)
        ouro_scope_cancel(sv->accepting, "the server stops");
    if (sooner && !sv->cut)
        bring_forward(sv, now, when);
    if (first && sv->opts.on_stop)
        sv->opts.on_stop(sv->arg);
    return first || sooner;
}

/* ---- Connections ----------------------------------------------------------------------------- */

static int64_t connection_body(void *arg)
{
    struct connection *c = arg;
    return c->server->handler(c->stream, c->server->arg);
}

/* The task has ended; its record stays for its name. */
static void connection_over(void *arg)
{
    struct connection *c = arg;
    c->stream = ouro_stream_free(c->stream);
}

static void connection_free(struct connection *c)
{
    ouro__slab_free(&c->server->f.loop->slab, c, sizeof(*c));
}

static void judge(struct server *sv, ouro_future *task, int64_t result)
{
    if (result >= 0)
        return;
    if (sv->cut && ouro_future_state(task) == OURO_CANCELLED) {
        sv->stats.cancelled++;
        return;
    }
    sv->stats.errors++;
    if (sv->opts.on_error)
        sv->opts.on_error(task, result, sv->arg);
}

static void connection_ended(ouro_future *task, int64_t result, void *arg)
{
    struct server *sv = arg;
    judge(sv, task, result);
    connection_free(ouro__task_of(task)->arg);
    ouro__task_of(task)->name = sv->opts.name; /* the future may stay for longer */
    sv->stats.live--;
    ouro__serve_all(&sv->room, 0);
}

/* "connection 127.0.0.1:54321", or by number where peers have no names. */
static void name_connection(struct connection *c)
{
    ouro_address peer;
    char text[OURO_ADDRESS_TEXT];
    const struct server *sv = c->server;
    if (ouro_stream_peer(c->stream, &peer) == 0 && peer.as.any.sa_family != AF_UNIX)
        ouro_address_print(&peer, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "#%llu", (unsigned long long)sv->stats.accepted + 1);
    snprintf(c->name, sizeof(c->name), "%s %.46s", sv->opts.name, text);
}

/* 0, or why @s, which is the server's, gets no handler. */
static int start(struct server *sv, ouro_stream *s)
{
    struct connection *c = ouro__slab_alloc(&sv->f.loop->slab, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->server = sv;
    c->stream = s;
    name_connection(c);
    ouro_spawn_options opts = {
        .name = c->name,
        .stack_size = sv->opts.stack_size,
        .arg_free = connection_over,
    };
    int rc = ouro_group_try_spawn(sv->group, connection_body, c, &opts, NULL);
    if (rc < 0)
        connection_free(c);
    return rc;
}

static void refuse(struct server *sv, ouro_stream *s)
{
    sv->stats.refused++;
    ouro_stream_free(s);
}

static void start_or_refuse(struct server *sv, ouro_stream *s)
{
    ouro_server_stats *stats = &sv->stats;
    if (start(sv, s) < 0) {
        refuse(sv, s);
        return;
    }
    stats->accepted++;
    if (++stats->live > stats->peak)
        stats->peak = stats->live;
}

/* ---- Accepting ------------------------------------------------------------------------------- */

static const struct ouro__wait_kind room_kind = {.name = "room for a connection"};

static int64_t wait_for_room(struct server *sv)
{
    int64_t rc = 0;
    while (rc == 0 && sv->opts.limit && sv->stats.live >= sv->opts.limit) {
        struct ouro__task *task;
        struct ouro__waiter w = {.kind = &room_kind, .of = sv};
        ouro__listener_rest(sv->listener);
        rc = ouro__wait_begin(&task);
        if (rc == 0)
            rc = ouro__wait_in_line(task, &sv->room, &w);
    }
    return rc;
}

static int64_t breathe(void)
{
    int64_t rc = ouro_await(ouro_sleep(BREATHER));
    return rc == -ENOMEM ? ouro_yield() : rc;
}

static int64_t serve_next(struct server *sv)
{
    int64_t rc = wait_for_room(sv);
    if (rc < 0)
        return rc;
    ouro_stream *s = ouro_await_ptr(ouro_listener_accept(sv->listener), &rc);
    if (s)
        start_or_refuse(sv, s);
    return rc == -ENOMEM ? breathe() : rc;
}

/* Until it is stopped (0), or accepting fails. */
static int64_t accept_all(struct server *sv)
{
    ouro_scope scope;
    int64_t rc = ouro_scope_enter(&scope, NULL);
    if (rc < 0)
        return rc;
    sv->accepting = &scope;
    while (rc == 0 && !sv->stopping)
        rc = serve_next(sv);
    sv->accepting = NULL;
    ouro_scope_exit(&scope, 0);
    return sv->stopping || rc == -EBADF ? 0 : rc;
}

/* Who had connected before the listener was closed. When the connections are cancelled the wait for
 * room is, too, and there is no group to start others in. */
static void serve_left(struct server *sv)
{
    ouro_stream *s = NULL;
    int rc;
    while ((rc = ouro__listener_left(sv->listener, &s)) != -ENOENT)
        if (rc == 0 && wait_for_room(sv) == 0)
            start_or_refuse(sv, s);
        else
            refuse(sv, rc == 0 ? s : NULL);
}

/* ---- The task -------------------------------------------------------------------------------- */

static int64_t serve_group(struct server *sv)
{
    ouro_group group;
    ouro_group_options opts = {
        .supervise = 1,
        .errors_kept = 1, /* they have been told */
        .on_child = connection_ended,
        .arg = sv,
        .name = sv->opts.name,
    };
    int64_t rc = ouro_group_enter(&group, &opts);
    if (rc < 0)
        return rc;
    sv->group = &group;
    rc = accept_all(sv);
    stop(sv, sv->stopping ? OURO_FOREVER : sv->opts.grace);
    if (!sv->opts.keep_listening) {
        ouro_await(ouro_listener_close(sv->listener));
        serve_left(sv);
    } else {
        ouro__listener_rest(sv->listener);
    }
    ouro_group_exit(&group, 0);
    sv->group = NULL;
    return rc;
}

static void drop_current(void *server)
{
    ouro_unref(server);
}

/* Nobody but a loop that gives up cancels the task itself. */
static int64_t body(void *arg)
{
    struct server *sv = arg;
    int64_t rc = ouro_local_set(&current, ouro_ref(&sv->f), drop_current);
    if (rc < 0) {
        ouro_unref(&sv->f);
        return rc;
    }
    return serve_group(sv);
}

/* ---- The future ------------------------------------------------------------------------------ */

static void task_ended(struct ouro__job *job)
{
    struct server *sv = OURO__CONTAINER(job, struct server, job);
    int64_t n = ouro_future_result(sv->task).n;
    bool cancelled = (sv->f.flags & OURO__CANCEL_ASKED) && (n == 0 || n == -ECANCELED);
    ouro__timer_cancel(&sv->f.loop->timers, &sv->deadline);
    ouro__unref(sv->task);
    sv->task = NULL;
    ouro__listener_unkeep(sv->listener);
    if (cancelled)
        ouro__settle(&sv->f, OURO_CANCELLED, -ECANCELED);
    else
        ouro__settle_n(&sv->f, n);
}

static void cancel_asked(struct ouro__job *job)
{
    struct server *sv = OURO__CONTAINER(job, struct server, asked);
    bool closing = sv->f.loop->phase >= OURO__CLOSING;
    if (sv->f.state == OURO_PENDING)
        stop(sv, closing ? 0 : sv->opts.grace);
    ouro__unref(&sv->f);
}

static ouro_future *server_cancel(ouro_future *f)
{
    ouro__ref(f);
    ouro__ready(f->loop, &OURO__CONTAINER(f, struct server, f)->asked);
    return NULL;
}

static void server_describe(const ouro_future *f, char *text, size_t size)
{
    const struct server *sv = OURO__CONTAINER(f, const struct server, f);
    snprintf(text, size, "server, %lld connections%s", (long long)sv->stats.live,
             sv->stopping ? ", stopping" : "");
}

static bool server_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    *ret_part = OURO__CONTAINER(f, const struct server, f)->task;
    return i == 0;
}

static const struct ouro__kind server_kind = {
    .name = "server",
    .size = sizeof(struct server),
    .cancel = server_cancel,
    .combines = true,
    .describe = server_describe,
    .part = server_part,
};

static struct server *server_new(ouro_listener *l, ouro_serve_fn *handler, void *arg,
                                 const ouro_serve_options *opts)
{
    struct server *sv = ouro__future_new(ouro__this_loop, &server_kind);
    if (!sv)
        return NULL;
    memset((char *)sv + sizeof(sv->f), 0, sizeof(*sv) - sizeof(sv->f));
    sv->job.run = task_ended;
    sv->asked.run = cancel_asked;
    ouro__timer_init(&sv->deadline, deadline_passed);
    sv->listener = l;
    sv->handler = handler;
    sv->arg = arg;
    sv->opts = *opts;
    if (!sv->opts.grace)
        sv->opts.grace = DEFAULT_GRACE;
    if (!sv->opts.name)
        sv->opts.name = "connection";
    sv->when = OURO_FOREVER;
    return sv;
}

ouro_future *ouro_serve(ouro_listener *l, ouro_serve_fn *handler, void *arg,
                        const ouro_serve_options *opts)
{
    static const ouro_serve_options defaults;
    if (!opts)
        opts = &defaults;
    bool sane = handler && opts->limit >= 0 && opts->stack_size <= (size_t)1 << OURO__STACK_MAX_LOG;
    int rc = sane ? ouro__listener_check(l) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct server *sv = server_new(l, handler, arg, opts);
    if (!sv)
        return ouro__failed(-ENOMEM);
    sv->task = ouro_spawn_with(body, sv, &(ouro_spawn_options){.name = "server"});
    if (sv->task->flags & OURO__IMMORTAL) {
        rc = (int)sv->task->result.n;
        ouro__future_discard(&sv->f);
        return ouro__failed(rc);
    }
    ouro__listener_keep(l);
    ouro__watch(sv->task, &sv->job);
    return &sv->f;
}

/* ---- About a server -------------------------------------------------------------------------- */

ouro_future *ouro_server_current(void)
{
    return ouro_local_get(&current);
}

static int check(const ouro_future *f)
{
    int rc = ouro__future_check(f);
    return rc == 0 && f->kind != &server_kind ? -EINVAL : rc;
}

int ouro_server_stop(ouro_future *server, ouro_ns grace)
{
    int rc = check(server);
    if (rc < 0)
        return rc;
    return server->state == OURO_PENDING && stop(OURO__CONTAINER(server, struct server, f), grace);
}

int ouro_server_stats_get(const ouro_future *server, ouro_server_stats *ret_stats)
{
    int rc = ret_stats ? check(server) : -EINVAL;
    if (rc == 0)
        *ret_stats = OURO__CONTAINER(server, const struct server, f)->stats;
    return rc;
}
