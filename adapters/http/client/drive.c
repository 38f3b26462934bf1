/* SPDX-License-Identifier: MIT */
/*
 * Driving libcurl: when it is called, and what is done afterwards.
 *
 * Happy path: requests that may begin wait in lines, and the pump, a call in the next turn, hands
 * all of them over at once. libcurl says for which sockets it waits, and until when; polls and a
 * timer call it again. After each of these calls the requests that have ended are seen to, polls
 * are armed, and the timer is set.
 *
 * The timer is only moved forward: one that comes too early finds that out. While there are no
 * requests there is none, so that an idle client keeps no loop running.
 *
 * How it fails: without memory for a call or a poll, all requests fail, since nothing would bring
 * them forward any more.
 */
#include "client_int.h"

#include <ouro/time.h>

#include <errno.h>

/* How many connections libcurl keeps: it counts those in use, too, when one of them is done. */
static void set_kept(ouro_http_client *c)
{
    long kept = c->opts.keep_max + (c->active > 1 ? c->active - 1 : 0);
    if (kept != c->kept)
        curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, kept);
    c->kept = kept;
}

/* ---- The timer ------------------------------------------------------------------------------- */

static int on_deadline(CURLM *multi, long ms, void *arg)
{
    ouro_http_client *c = arg;
    (void)multi;
    c->deadline = ms < 0 ? OURO_FOREVER : ouro_now() + OURO_MS((ouro_ns)ms);
    return 0;
}

static void stop(ouro_call **call)
{
    if (!*call)
        return;
    ouro_call_cancel(*call);
    *call = ouro_call_unref(*call);
}

static void pump(void *arg);

static void timer_fired(void *arg)
{
    ouro_http_client *c = arg;
    c->timer = ouro_call_unref(c->timer);
    pump(c);
}

static int set_timer(ouro_http_client *c)
{
    if (TAILQ_EMPTY(&c->fetches) || c->deadline == OURO_FOREVER) {
        stop(&c->timer);
        return 0;
    }
    if (c->deadline <= ouro_now())
        return ouro__http_pump_soon(c);
    if (c->timer && c->timer_at <= c->deadline)
        return 0;
    stop(&c->timer);
    c->timer_at = c->deadline;
    return ouro_call_at(c->deadline, timer_fired, c, NULL, &c->timer);
}

/* ---- The pump -------------------------------------------------------------------------------- */

static void pump_now(void *arg)
{
    ouro_http_client *c = arg;
    c->soon = ouro_call_unref(c->soon);
    pump(c);
}

int ouro__http_pump_soon(ouro_http_client *c)
{
    return c->soon ? 0 : ouro_call_soon(pump_now, c, NULL, &c->soon);
}

static void resume_uploads(ouro_http_client *c)
{
    struct http_fetch *f;
    TAILQ_FOREACH(f, &c->uploads, sends)
    if (f->resume) {
        f->resume = false;
        if (f->easy)
            curl_easy_pause(f->easy->curl, CURLPAUSE_CONT);
    }
}

static void start(ouro_http_client *c, struct http_fetch *f)
{
    f->started = ouro_now();
    int rc = ouro__http_easy_take(c, f);
    if (rc < 0)
        ouro__http_fetch_fail(f, rc, NULL);
}

static void pump(void *arg)
{
    ouro_http_client *c = arg;
    struct http_fetch *f;
    int running;
    ouro__http_enter(c);
    resume_uploads(c);
    while (!c->freed && (f = ouro__http_place_next(c)))
        start(c, f);
    if (!c->freed) {
        set_kept(c);
        curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    ouro__http_leave(c);
}

/* ---- Around libcurl -------------------------------------------------------------------------- */

void ouro__http_enter(ouro_http_client *c)
{
    c->inside++;
}

static void take_messages(ouro_http_client *c)
{
    CURLMsg *m;
    int left;
    while (!c->freed && (m = curl_multi_info_read(c->multi, &left))) {
        struct http_easy *e;
        CURLcode code = m->data.result; /* the message goes with the handle */
        if (m->msg != CURLMSG_DONE ||
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&e) != CURLE_OK)
            continue;
        ouro__http_fetch_ended(e->fetch, code);
    }
}

static int settle(ouro_http_client *c)
{
    set_kept(c);
    int rc = ouro__http_place_waits(c) ? ouro__http_pump_soon(c) : 0;
    if (rc == 0)
        rc = ouro__http_sockets_settle(c);
    return rc == 0 ? set_timer(c) : rc;
}

void ouro__http_leave(ouro_http_client *c)
{
    if (c->inside > 1) {
        c->inside--;
        return;
    }
    take_messages(c);
    if (!c->freed) {
        int rc = settle(c);
        if (rc < 0)
            ouro__http_fail_all(c, rc, NULL);
    }
    c->inside--;
    if (c->freed)
        ouro__http_client_destroy(c);
}

void ouro__http_fail_all(ouro_http_client *c, int64_t rc, const char *why)
{
    struct http_fetch *f;
    while ((f = TAILQ_FIRST(&c->fetches)))
        ouro__http_fetch_fail(f, rc, why);
}

/* ---- The beginning and the end --------------------------------------------------------------- */

void ouro__http_drive_init(ouro_http_client *c)
{
    c->deadline = OURO_FOREVER;
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, ouro__http_socket_changed);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_deadline);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)c->opts.host_max);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)c->opts.total_max);
    set_kept(c);
}

void ouro__http_drive_finish(ouro_http_client *c)
{
    stop(&c->soon);
    stop(&c->timer);
}
