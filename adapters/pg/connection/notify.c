/* SPDX-License-Identifier: MIT */
/*
 * LISTEN and NOTIFY.
 *
 * What comes goes to a queue of the session, which is made when somebody first listens or asks;
 * until then libpq keeps it. When the session is over the queue drains: what was kept can be had.
 */
#include <ouro/memory.h>
#include <ouro/pg_notify.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "query_int.h"
#include "session.h"

#define CHANNEL_MAX 63 /* bytes of a name: NAMEDATALEN - 1 */

struct notification {
    ouro_pg_notification shown;
    char text[]; /* channel, payload */
};

/* ---- What comes ------------------------------------------------------------------------------ */

static void destroy(void *item)
{
    ouro_pg_notification_free(item);
}

ouro_pg_notification *ouro_pg_notification_free(ouro_pg_notification *n)
{
    ouro_memory_release(n);
    return NULL;
}

static ouro_pg_notification *copy_of(const PGnotify *from)
{
    size_t channel = strlen(from->relname) + 1, payload = strlen(from->extra) + 1;
    struct notification *n = ouro_memory_alloc(sizeof(*n) + channel + payload);
    if (!n)
        return NULL;
    n->shown.channel = memcpy(n->text, from->relname, channel);
    n->shown.payload = memcpy(n->text + channel, from->extra, payload);
    n->shown.backend = from->be_pid;
    return &n->shown;
}

static int put(struct pg_session *s, const PGnotify *from)
{
    ouro_pg_notification *n = copy_of(from);
    int rc = n ? ouro_queue_try_put(s->notifications, n) : -ENOMEM;
    if (rc < 0)
        ouro_pg_notification_free(n);
    return rc;
}

void ouro__pg_notifications_take(struct pg_session *s)
{
    PGnotify *from;
    if (!s->notifications || ouro__pg_session_over(s))
        return;
    while ((from = PQnotifies(s->db))) {
        int rc = put(s, from);
        PQfreemem(from);
        if (rc < 0) { /* one that is missing would be noticed by nobody */
            ouro__pg_session_lose(s, rc, "a notification could not be kept");
            return;
        }
    }
}

void ouro__pg_notifications_end(struct pg_session *s)
{
    if (s->notifications)
        ouro_queue_shutdown(s->notifications, OURO_SHUTDOWN_DRAIN);
}

void ouro__pg_notifications_drop(struct pg_session *s)
{
    PGnotify *n;
    s->notifications = ouro_queue_free(s->notifications);
    while (s->db && (n = PQnotifies(s->db)))
        PQfreemem(n);
}

static int make_queue(struct pg_session *s)
{
    ouro_queue_options opts = {.item_free = destroy, .name = "PostgreSQL notifications"};
    if (s->notifications)
        return 0;
    int rc = ouro_queue_new(OURO_UNBOUNDED, &opts, &s->notifications);
    if (rc == 0)
        ouro__pg_notifications_take(s);
    return rc;
}

/* ---- Waiting for one ------------------------------------------------------------------------- */

ouro_future *ouro_pg_notified(ouro_pg *pg)
{
    int rc = ouro__pg_check(pg);
    if (rc == 0)
        rc = make_queue(pg->session);
    if (rc < 0)
        return ouro_ready(rc);
    struct pg_session *s = pg->session;
    if (s->lost && ouro_queue_size(s->notifications) == 0)
        return ouro_failed(s->lost, "%s", s->why);
    return ouro_queue_get_future(s->notifications);
}

/* ---- Statements ------------------------------------------------------------------------------ */

/* 0, and a statement about a channel. */
static int about(const char *verb, const char *channel, char *sql, size_t size)
{
    char name[2 * CHANNEL_MAX + 3];
    if (!channel || !*channel)
        return -EINVAL;
    if (strlen(channel) > CHANNEL_MAX)
        return -ENAMETOOLONG;
    ouro_pg_quote_name(channel, name, sizeof name);
    snprintf(sql, size, "%s %s", verb, name);
    return 0;
}

ouro_future *ouro_pg_listen(ouro_pg *pg, const char *channel)
{
    char sql[2 * CHANNEL_MAX + 16];
    int rc = about("LISTEN", channel, sql, sizeof sql);
    if (rc == 0)
        rc = ouro__pg_check(pg);
    if (rc == 0)
        rc = make_queue(pg->session);
    if (rc < 0)
        return ouro_ready(rc);
    pg->session->listening = true;
    return ouro__pg_simple(pg, sql);
}

ouro_future *ouro_pg_unlisten(ouro_pg *pg, const char *channel)
{
    char sql[2 * CHANNEL_MAX + 16];
    int rc = channel ? about("UNLISTEN", channel, sql, sizeof sql) : 0;
    if (rc < 0)
        return ouro_ready(rc);
    return ouro__pg_simple(pg, channel ? sql : "UNLISTEN *");
}

/* Nobody wants the rows of pg_notify(): there is one, and it is empty. */
static ouro_future *drop_rows(ouro_future *done, void *arg)
{
    (void)arg;
    return ouro_future_result(done).n < 0 ? NULL : ouro_ready(0);
}

ouro_future *ouro_pg_notify(ouro_pg *pg, const char *channel, const char *payload)
{
    if (!channel || !*channel)
        return ouro_ready(-EINVAL);
    if (strlen(channel) > CHANNEL_MAX)
        return ouro_ready(-ENAMETOOLONG);
    ouro_pg_value values[] = {ouro_pg_text(channel), ouro_pg_text(payload ? payload : "")};
    ouro_future *sent = ouro_pg_query(pg, "SELECT pg_notify($1, $2)", values, 2, NULL);
    return ouro_then(sent, drop_rows, NULL);
}
