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
 * A server takes no notice of a request while it is not busy, so one that overtakes its statement on
 * the way is lost: while the statement runs on, the request is made again.
 *
 * How it fails: if all that takes longer than the grace, the session is given up. The thread may
 * hang as long as a network does; it has a pool of its own, so nobody else waits for it.
 */
#include "session.h"

#include <errno.h>

#define DEFAULT_GRACE OURO_SEC(2)
#define PAUSE         OURO_MS(100) /* before a request that had no effect is made again */

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

static void stop_call(struct pg_session *s, ouro_call **call)
{
    if (!*call)
        return;
    if (ouro_call_cancel(*call) == 1)
        ouro__pg_session_unref(s);
    *call = ouro_call_unref(*call);
}

/* It is used up, or cannot be any more: others may be sent. */
static void settle_down(struct pg_session *s)
{
    stop_call(s, &s->cancel.again);
    stop_call(s, &s->cancel.limit);
}

/* Whether what is to be cancelled runs on: until that has ended, nothing but the fence begins. */
static bool runs_on(const struct pg_session *s)
{
    return s->current && s->current != &s->cancel.fence;
}

static int start_job(struct pg_session *s);

static void ask_again(void *arg)
{
    struct pg_session *s = arg;
    s->cancel.again = ouro_call_unref(s->cancel.again);
    if (!s->cancel.job && runs_on(s)) {
        int rc = start_job(s);
        s->stats.cancels++;
        if (rc < 0)
            ouro__pg_session_lose(s, rc, "a statement could not be cancelled");
    }
    ouro__pg_session_unref(s);
}

static void ask_again_later(struct pg_session *s)
{
    if (ouro__pg_session_over(s) || s->cancel.again || !runs_on(s))
        return;
    int rc = ouro_call_later(PAUSE, ask_again, s, NULL, &s->cancel.again);
    if (rc == 0)
        ouro__pg_session_ref(s);
    else
        ouro__pg_session_lose(s, rc, "a statement could not be cancelled");
}

static void asked(ouro_future *job, void *arg)
{
    struct pg_session *s = arg;
    ouro_future_result(job); /* read: if it has failed, the limit is what is left */
    s->cancel.job = ouro_unref(s->cancel.job);
    s->cancel.thread = ouro_pool_free(s->cancel.thread);
    if (!ouro__pg_session_over(s)) {
        if (!s->cancel.lingers)
            settle_down(s);
        ouro__pg_session_pump(s);
        ask_again_later(s);
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

static void out_of_time(void *arg)
{
    struct pg_session *s = arg;
    s->cancel.limit = ouro_call_unref(s->cancel.limit);
    ouro__pg_session_lose(s, -ETIMEDOUT, "the server did not end a statement that was cancelled");
    ouro__pg_session_unref(s);
}

static int start_limit(struct pg_session *s)
{
    ouro_ns grace = s->opts.cancel_grace ? s->opts.cancel_grace : DEFAULT_GRACE;
    if (s->cancel.limit)
        return 0;
    int rc = ouro_call_later(grace, out_of_time, s, NULL, &s->cancel.limit);
    if (rc == 0)
        ouro__pg_session_ref(s);
    return rc;
}

void ouro__pg_cancel_begin(struct pg_session *s)
{
    if (ouro__pg_session_over(s) || s->cancel.job)
        return;
    int rc = start_limit(s);
    if (rc == 0)
        rc = start_job(s);
    s->stats.cancels++;
    s->cancel.lingers = true;
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
    if (code == -OURO_ESQL_QUERY_CANCELED)
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
