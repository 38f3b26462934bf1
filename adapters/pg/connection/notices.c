/* SPDX-License-Identifier: MIT */
/*
 * What the server says unasked: remarks, and notifications.
 *
 * libpq tells of remarks inside of calls; the user hears of them in a turn of their own, so that
 * whatever is called then finds everything at rest. A remark for which there is no memory is lost.
 *
 * Notifications go to a queue that is made when somebody first asks for one or listens; when the
 * session is over it drains.
 */
#include "session.h"

#include <ouro/memory.h>
#include <ouro/pg_notify.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Remarks --------------------------------------------------------------------------------- */

struct pg_notice {
    STAILQ_ENTRY(pg_notice) next;
    ouro_pg_error what;
};

static void tell(void *arg)
{
    struct pg_session *s = arg;
    struct pg_notice *n;
    s->notices.call = ouro_call_unref(s->notices.call);
    while ((n = STAILQ_FIRST(&s->notices.line))) {
        STAILQ_REMOVE_HEAD(&s->notices.line, next);
        s->opts.on_notice(&n->what, s->opts.notice_arg);
        ouro_memory_release(n);
    }
    ouro__pg_session_unref(s);
}

static void keep(struct pg_notices *kept, const ouro_pg_error *what)
{
    struct pg_notice *n = ouro_memory_alloc(sizeof(*n));
    if (!n)
        return;
    n->what = *what;
    STAILQ_INSERT_TAIL(&kept->line, n, next);
}

static void tell_soon(struct pg_session *s)
{
    if (STAILQ_EMPTY(&s->notices.line) || s->notices.call)
        return;
    if (ouro_call_soon(tell, s, NULL, &s->notices.call) == 0)
        ouro__pg_session_ref(s);
}

/* The last words of a server that ends an idle session come as a remark. */
static void receive(void *arg, const PGresult *r)
{
    struct pg_session *s = arg;
    ouro_pg_error what;
    ouro__pg_error_fill(&what, r, 0);
    s->stats.notices++;
    if (strcmp(what.severity, "FATAL") == 0 || strcmp(what.severity, "PANIC") == 0) {
        what.code = s->fatal = ouro__pg_code(what.sqlstate);
        s->error = what;
    } else if (s->opts.on_notice) {
        keep(&s->notices, &what);
        tell_soon(s);
    }
}

void ouro__pg_notices_begin(struct pg_session *s)
{
    STAILQ_INIT(&s->notices.line);
    PQsetNoticeReceiver(s->db, receive, s);
}

void ouro__pg_notices_drop(struct pg_notices *kept)
{
    struct pg_notice *n;
    while ((n = STAILQ_FIRST(&kept->line))) {
        STAILQ_REMOVE_HEAD(&kept->line, next);
        ouro_memory_release(n);
    }
}

static void collect(void *arg, const PGresult *r)
{
    struct pg_notices *early = arg;
    ouro_pg_error what;
    ouro__pg_error_fill(&what, r, 0);
    early->count++;
    keep(early, &what);
}

void ouro__pg_notices_collect(struct pg_notices *early, PGconn *db)
{
    PQsetNoticeReceiver(db, collect, early);
}

void ouro__pg_notices_adopt(struct pg_session *s, struct pg_notices *early)
{
    s->stats.notices += early->count;
    if (ouro__pg_session_over(s) || !s->opts.on_notice)
        return;
    STAILQ_CONCAT(&s->notices.line, &early->line);
    tell_soon(s);
}

void ouro__pg_notices_end(struct pg_session *s)
{
    ouro__pg_notices_drop(&s->notices);
    if (!s->notices.call)
        return;
    if (ouro_call_cancel(s->notices.call) == 1)
        ouro__pg_session_unref(s);
    s->notices.call = ouro_call_unref(s->notices.call);
}
