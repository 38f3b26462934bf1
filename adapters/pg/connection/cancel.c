/* SPDX-License-Identifier: MIT */
/*
 * Cancelling on the server.
 *
 * PostgreSQL cancels whatever a session runs when the request arrives, on a connection of its own.
 * So the next statement may be hit by the request for the one before: nothing is sent until that is
 * impossible.
 *
 * Happy path: PQcancel(), which blocks, runs on a thread, until the server has closed that other
 * connection: then the signal has been sent. The statement ends with SQLSTATE 57014, which uses the
 * request up. If it ends otherwise, an empty statement is sent as a fence once the request is out,
 * to be hit in the place of others, and again if it was.
 *
 * A request that arrives before the statement does hits nothing, and the statement runs on; so does
 * one that could not be made. So the server is asked again while the statement has not ended, ever
 * more rarely. Of several requests, some may still be on their way when one has hit: the fence
 * takes those.
 *
 * How it fails: if all that takes longer than the grace, the session is given up. The thread may
 * hang as long as a network does; it has a pool of its own, so nobody else waits for it.
 */
#include "session.h"

#include <ouro/time.h>

#include <errno.h>

#define DEFAULT_GRACE OURO_SEC(2)
#define FIRST_PAUSE   OURO_MS(10) /* before it is asked again */

/* ---- The request ----------------------------------------------------------------------------- */

static int64_t ask(void *arg)
{
    char why[256];
    return PQcancel(arg, why, sizeof why) ? 0 : ouro_task_fail(-EIO, "%s", why);
}

static void free_request(void *arg)
{
    PQfreeCancel(arg);
}

/* It is used up, or cannot be any more: others may be sent. */
static void settle_down(struct pg_session *s)
{
    s->cancel.requests = 0;
    s->cancel.target = NULL;
    if (!s->cancel.limit)
        return;
    if (ouro_call_cancel(s->cancel.limit) == 1)
        ouro__pg_session_unref(s);
    s->cancel.limit = ouro_call_unref(s->cancel.limit);
}

static int start_job(struct pg_session *s);

/* Whether one request was not enough for what runs. */
static bool goes_on(const struct pg_session *s)
{
    return s->current && s->current->stubborn && s->current->cancelled;
}

static void asked(ouro_future *job, void *arg)
{
    struct pg_session *s = arg;
    ouro_future_result(job); /* read: if it has failed, the limit is what is left */
    s->cancel.job = ouro_unref(s->cancel.job);
    s->cancel.thread = ouro_pool_free(s->cancel.thread);
    if (!ouro__pg_session_over(s)) {
        if (goes_on(s))
            start_job(s); /* if that fails, too, the limit is what is left */
        else if (!s->cancel.lingers)
            settle_down(s);
        ouro__pg_session_pump(s);
    }
    ouro__pg_session_unref(s);
}

/* If it runs, it goes on without us. */
static void forget_job(struct pg_session *s)
{
    ouro_cancel(s->cancel.job);
    ouro_future_result(s->cancel.job); /* if it had failed, nobody else reads that */
    s->cancel.job = ouro_unref(s->cancel.job);
    s->cancel.thread = ouro_pool_free(s->cancel.thread);
}

static int start_job(struct pg_session *s)
{
    PGcancel *request = PQgetCancel(s->db);
    if (!request)
        return -ENOMEM;
    int rc = ouro_pool_new(1, &(ouro_pool_options){.name = "pg cancel"}, &s->cancel.thread);
    if (rc < 0) {
        PQfreeCancel(request);
        return rc;
    }
    ouro_offload_options opts = {
        .pool = s->cancel.thread,
        .arg_free = free_request,
        .abandon = 1,
        .name = "PostgreSQL cancel",
    };
    s->cancel.job = ouro_offload_with(ask, request, &opts);
    rc = ouro_on_done(s->cancel.job, asked, s);
    if (rc == 0)
        ouro__pg_session_ref(s);
    else
        forget_job(s);
    return rc;
}

static int ask_server(struct pg_session *s)
{
    s->stats.cancels++;
    s->cancel.lingers = true;
    s->cancel.requests++;
    return start_job(s);
}

static int look_later(struct pg_session *s);

/* The statement runs still, or the requests are not used up. */
static void look_again(void *arg)
{
    struct pg_session *s = arg;
    int rc = 0;
    s->cancel.limit = ouro_call_unref(s->cancel.limit);
    if (ouro_now() >= s->cancel.deadline)
        ouro__pg_session_lose(s, -ETIMEDOUT,
                              "the server did not end a statement that was cancelled");
    else if (!s->cancel.job && s->cancel.target && s->cancel.target == s->current)
        rc = ask_server(s);
    if (rc == 0 && !ouro__pg_session_over(s))
        rc = look_later(s);
    if (rc < 0)
        ouro__pg_session_lose(s, rc, "a statement could not be cancelled");
    ouro__pg_session_unref(s);
}

static int look_later(struct pg_session *s)
{
    ouro_ns now = ouro_now(), pause = s->cancel.pause;
    ouro_ns left = s->cancel.deadline > now ? s->cancel.deadline - now : 0;
    s->cancel.pause *= 2;
    int rc = ouro_call_later(pause < left ? pause : left, look_again, s, NULL, &s->cancel.limit);
    if (rc == 0)
        ouro__pg_session_ref(s);
    return rc;
}

static int start_limit(struct pg_session *s)
{
    ouro_ns grace = s->opts.cancel_grace ? s->opts.cancel_grace : DEFAULT_GRACE, now = ouro_now();
    if (s->cancel.limit)
        return 0;
    s->cancel.deadline = grace > OURO_FOREVER - now ? OURO_FOREVER : now + grace;
    s->cancel.pause = FIRST_PAUSE;
    return look_later(s);
}

void ouro__pg_cancel_begin(struct pg_session *s)
{
    if (ouro__pg_session_over(s))
        return;
    s->cancel.target = s->current;
    if (s->cancel.job)
        return;
    int rc = start_limit(s);
    if (rc == 0)
        rc = ask_server(s);
    if (rc < 0)
        ouro__pg_session_lose(s, rc, "a statement could not be cancelled");
    else if (s->current && s->current->held)
        ouro__pg_command_resume(s->current); /* what is left of it is read and dropped */
}

/* ---- The fence ------------------------------------------------------------------------------- */

static int fence_send(struct pg_command *c, PGconn *db)
{
    return PQsendQuery(db, "") ? 0 : ouro__pg_command_refused(c);
}

static void fence_result(struct pg_command *c, PGresult *r)
{
    ouro__pg_command_check(c, r);
}

static void fence_end(struct pg_command *c, int64_t rc, const char *why)
{
    (void)rc;
    (void)why;
    if (c->code == 0)
        c->session->cancel.lingers = false; /* it passed: so nothing was on its way */
    else if (c->code == -ENOMEM)
        ouro__pg_session_lose(c->session, c->code, "a statement could not be cancelled");
}

static const struct pg_command_kind fence_kind = {
    .name = "fence",
    .send = fence_send,
    .result = fence_result,
    .end = fence_end,
};

struct pg_command *ouro__pg_cancel_fence(struct pg_session *s)
{
    if (s->cancel.job)
        return NULL;
    s->cancel.fence = (struct pg_command){.kind = &fence_kind, .session = s, .embedded = true};
    return &s->cancel.fence;
}

void ouro__pg_cancel_ended(struct pg_session *s, int64_t code)
{
    s->cancel.target = NULL;
    if (code == -OURO_ESQL_QUERY_CANCELED && s->cancel.requests)
        s->cancel.requests--;
    if (s->cancel.requests == 0)
        s->cancel.lingers = false;
    if (!ouro__pg_cancel_busy(s))
        settle_down(s);
}

void ouro__pg_cancel_forget(struct pg_session *s)
{
    settle_down(s);
    if (!s->cancel.job)
        return;
    if (ouro_off_done(s->cancel.job, asked, s) == 1)
        ouro__pg_session_unref(s);
    forget_job(s);
}
