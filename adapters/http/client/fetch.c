/* SPDX-License-Identifier: MIT */
/*
 * Requests: ouro_http_fetch() and what becomes of it.
 *
 * Happy path: the request is checked and laid out, its place found, its name looked up; in the next
 * turn the pump hands it to libcurl, and its answer settles the future. A redirect that is followed
 * begins anew with another URL.
 *
 * How it fails: always with the method, the URL and a reason, in one sentence. A cancel takes it
 * from wherever it is, at once: hooks are called by the loop, never inside libcurl.
 */
#include "client_int.h"

#include <ouro/error.h>
#include <ouro/memory.h>
#include <ouro/time.h>

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define RETOLD_MAX 2u

/* ---- The end --------------------------------------------------------------------------------- */

static void names_found(ouro_future *done, void *arg);

/* An answer that comes all the same is read, so that an error in it is not reported. */
static void ignore_names(ouro_future *done, void *arg)
{
    (void)arg;
    ouro_future_result(done);
}

static void drop_names(struct http_fetch *f)
{
    ouro_off_done(f->names, names_found, f);
    ouro_cancel(f->names);
    if (ouro_future_state(f->names) == OURO_PENDING)
        ouro_on_done(f->names, ignore_names, NULL);
    else
        ignore_names(f->names, NULL);
    f->names = ouro_unref(f->names);
}

/* Off the hop it is at. */
static void leave_hop(struct http_fetch *f)
{
    ouro_http_client *c = f->client;
    if (f->names)
        drop_names(f);
    f->found = ouro_addresses_free(f->found);
    if (f->stage == HTTP_QUEUED)
        ouro__http_place_unqueue(c, f);
    if (f->easy)
        ouro__http_easy_give(f->easy);
    f->easy = NULL;
    if (f->stage == HTTP_RUNNING)
        ouro__http_place_done(c, f);
    if (f->place)
        ouro__http_place_leave(c, f->place);
    f->place = NULL;
}

void ouro__http_fetch_free(struct http_fetch *f)
{
    ouro_http_client *c = f->client;
    leave_hop(f);
    TAILQ_REMOVE(&c->fetches, f, link);
    if (f->source_listed)
        TAILQ_REMOVE(&c->uploads, f, sends);
    c->stats.under_way--;
    ouro_promise_free(f->promise);
    ouro_memory_release(f->moved);
    ouro_memory_release(f);
}

void ouro__http_fetch_fail(struct http_fetch *f, int64_t rc, const char *why)
{
    char url[256];
    f->client->stats.failed++;
    if (f->promise)
        ouro_promise_fail_with(f->promise, rc, "%s %s: %s", f->method,
                               ouro__http_show_url(f->url, url, sizeof url),
                               why ? why : ouro_strerror(rc));
    ouro__http_fetch_free(f);
}

void ouro__http_fetch_disown(struct http_fetch *f)
{
    char url[256];
    if (!f->promise)
        return;
    f->client->stats.failed++;
    ouro_promise_fail_with(f->promise, -EBADF, "%s %s: the client was freed", f->method,
                           ouro__http_show_url(f->url, url, sizeof url));
    ouro_promise_free(f->promise);
    f->promise = NULL;
}

static ouro_cancel_answer asked_to_stop(ouro_promise *p, void *arg)
{
    struct http_fetch *f = arg;
    ouro_http_client *c = f->client;
    ouro__http_enter(c);
    c->stats.failed++;
    c->stats.cancelled++;
    ouro_promise_fail(p, -ECANCELED);
    ouro__http_fetch_free(f);
    ouro__http_leave(c);
    return OURO_LATER;
}

/* ---- One hop --------------------------------------------------------------------------------- */

/* It has its addresses. */
static int queue(struct http_fetch *f)
{
    f->named = ouro_now();
    int rc = ouro__http_pump_soon(f->client);
    if (rc == 0)
        ouro__http_place_queue(f->client, f);
    return rc;
}

/* Take over what the lookup came to. */
static int64_t take_names(struct http_fetch *f, ouro_future *names)
{
    ouro_result r = ouro_future_take(names);
    f->found = r.ptr;
    return r.n < 0 ? r.n : queue(f);
}

static void names_found(ouro_future *done, void *arg)
{
    struct http_fetch *f = arg;
    ouro_http_client *c = f->client;
    int64_t rc = take_names(f, done);
    if (rc < 0) {
        ouro__http_enter(c);
        ouro__http_fetch_fail(f, rc == -ECANCELED ? -ESHUTDOWN : rc, ouro_future_detail(done));
        ouro__http_leave(c);
        return;
    }
    f->names = ouro_unref(f->names);
}

/* Begin with its URL as it is. 0, or an error, whose words are in f->why. */
static int64_t begin_hop(struct http_fetch *f)
{
    int64_t rc = ouro__http_place_of(f->client, f->url, &f->place, &f->why);
    if (rc < 0) {
        f->why = rc == -ENOMEM ? NULL : f->why;
        return rc;
    }
    f->why = NULL;
    f->names = ouro_resolve(f->place->host, f->place->port, &f->client->opts.names);
    if (ouro_future_state(f->names) == OURO_PENDING)
        return ouro_on_done(f->names, names_found, f);
    rc = take_names(f, f->names);
    if (rc == 0)
        f->names = ouro_unref(f->names);
    else
        f->why = ouro_future_detail(f->names);
    return rc;
}

/* ---- Redirects ------------------------------------------------------------------------------- */

static CURLUcode join(CURLU *u, const char *base, const char *to, char **ret)
{
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, base, 0);
    if (rc == CURLUE_OK)
        rc = curl_url_set(u, CURLUPART_URL, to, CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE);
    if (rc == CURLUE_OK)
        rc = curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    return rc == CURLUE_OK ? curl_url_get(u, CURLUPART_URL, ret, 0) : rc;
}

/* Where a redirect leads to, seen from @base. 0, -ENOMEM, -EPROTO. */
static int64_t redirect_url(const char *base, const char *to, char **ret)
{
    char *url = NULL, *copy = NULL;
    CURLU *u = curl_url();
    CURLUcode rc = u ? join(u, base, to, &url) : CURLUE_OUT_OF_MEMORY;
    if (rc == CURLUE_OK && (copy = ouro_memory_alloc(strlen(url) + 1)))
        memcpy(copy, url, strlen(url) + 1);
    curl_free(url);
    curl_url_cleanup(u);
    *ret = copy;
    if (rc == CURLUE_OK || rc == CURLUE_OUT_OF_MEMORY)
        return copy ? 0 : -ENOMEM;
    return -EPROTO;
}

static int64_t move(struct http_fetch *f)
{
    struct http_place *from = f->place;
    int status = f->easy->in.status;
    if (++f->redirects > f->redirects_max) {
        f->why = "too many redirects";
        return -ELOOP;
    }
    char *url;
    int64_t rc = redirect_url(f->url, ouro__http_inbox_field(&f->easy->in, "Location"), &url);
    if (rc < 0) {
        f->why = rc == -EPROTO ? "redirected to what is no URL" : NULL;
        return rc;
    }
    bool has_source = f->source;
    char *before = f->moved;
    from->users++; /* so that it is still there to compare with */
    leave_hop(f);
    f->url = f->moved = url;
    ouro_memory_release(before);
    rc = begin_hop(f);
    bool same = f->place && strcasecmp(f->place->origin, from->origin) == 0;
    bool worse = f->place && from->https && !f->place->https;
    ouro__http_place_leave(f->client, from);
    ouro__http_request_redirect(f, status, same);
    if (rc == 0 && worse && !f->downgrade) {
        f->why = "redirected from https to http";
        rc = -EPERM;
    } else if (rc == 0 && has_source && f->source) {
        f->why = "redirected, and a source cannot begin again";
        rc = -EIO;
    }
    return rc;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static ouro_ns part(CURL *curl, CURLINFO what, ouro_ns offset)
{
    curl_off_t us = 0;
    curl_easy_getinfo(curl, what, &us);
    return us > 0 ? offset + OURO_US(us) : 0;
}

static void fill(struct http_fetch *f, ouro_http_response *r)
{
    CURL *curl = f->easy->curl;
    long version = 0, connections = 0;
    ouro_ns offset = f->started - f->began;
    curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &version);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connections);
    r->redirects = f->redirects;
    r->reused = connections == 0;
    r->version = version == CURL_HTTP_VERSION_1_0 ? 10 : version == CURL_HTTP_VERSION_1_1 ? 11 : 20;
    if (!f->place->is_number)
        r->timings.resolved = f->named - f->began;
    if (connections) {
        r->timings.connected = part(curl, CURLINFO_CONNECT_TIME_T, offset);
        r->timings.encrypted = part(curl, CURLINFO_APPCONNECT_TIME_T, offset);
    }
    r->timings.first_byte = part(curl, CURLINFO_STARTTRANSFER_TIME_T, offset);
    r->timings.total = ouro_now() - f->began;
    if (version >= CURL_HTTP_VERSION_2_0)
        f->place->multiplexes = true;
}

static void free_response(void *ptr)
{
    ouro_http_response_free(ptr);
}

static void succeed(struct http_fetch *f)
{
    ouro_http_response *r = ouro__http_inbox_take(&f->easy->in, f->url);
    if (!r) {
        ouro__http_fetch_fail(f, -ENOMEM, NULL);
        return;
    }
    fill(f, r);
    if (ouro_promise_resolve(f->promise, (ouro_result){r->status, r}, free_response) < 0)
        ouro_http_response_free(r);
    ouro__http_fetch_free(f);
}

static void count_connections(struct http_fetch *f)
{
    long connections = 0;
    curl_easy_getinfo(f->easy->curl, CURLINFO_NUM_CONNECTS, &connections);
    f->client->stats.connections += (uint64_t)connections;
    f->client->stats.reused += connections == 0 && f->easy->in.status;
}

/* Once more, if libcurl had forgotten the addresses meanwhile. */
static int64_t tell_again(struct http_fetch *f)
{
    f->place->told_until = 0;
    f->retold++;
    leave_hop(f);
    return begin_hop(f);
}

static void fail(struct http_fetch *f, CURLcode code)
{
    const char *why = f->why;
    int64_t rc = f->reason;
    if (rc == 0)
        rc = ouro__http_error(f->easy, code, &why);
    f->place->told_until = 0; /* the addresses may be at fault */
    ouro__http_fetch_fail(f, rc, why);
}

void ouro__http_fetch_ended(struct http_fetch *f, CURLcode code)
{
    int64_t rc = 0;
    bool is_skipped = code == CURLE_WRITE_ERROR && f->reason == 0;
    count_connections(f);
    if (f->easy->in.moving && (code == CURLE_OK || is_skipped))
        rc = move(f);
    else if (code == CURLE_OK)
        succeed(f);
    else if (f->easy->was_refused && f->retold < RETOLD_MAX)
        rc = tell_again(f);
    else
        fail(f, code);
    if (rc < 0)
        ouro__http_fetch_fail(f, rc, f->why);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static void adopt(ouro_http_client *c, struct http_fetch *f, ouro_promise *promise,
                  ouro_future *future)
{
    f->client = c;
    f->promise = promise;
    f->future = future;
    f->began = ouro_now();
    TAILQ_INSERT_TAIL(&c->fetches, f, link);
    if (f->source) {
        TAILQ_INSERT_TAIL(&c->uploads, f, sends);
        f->source_listed = true;
    }
    c->stats.requests++;
    c->stats.under_way++;
    ouro_promise_on_cancel(promise, asked_to_stop, f);
    ouro_promise_set_name(promise, "HTTP request");
}

static ouro_future *refuse(int64_t rc, const char *method, const char *url, const char *why)
{
    char shown_method[32], shown[256];
    return ouro_failed(rc, "%s %s: %s", ouro__http_show(method, shown_method, sizeof shown_method),
                       ouro__http_show_url(url, shown, sizeof shown), why);
}

/* Inside libcurl, where a sink may ask for more, this only stands in line. */
static void begin(struct http_fetch *f)
{
    ouro_http_client *c = f->client;
    ouro__http_enter(c);
    int64_t rc = begin_hop(f);
    if (rc < 0)
        ouro__http_fetch_fail(f, rc, f->why);
    ouro__http_leave(c);
}

ouro_future *ouro_http_fetch(ouro_http_client *client, const char *method, const char *url,
                             const ouro_http_options *opts)
{
    static const ouro_http_options defaults;
    struct http_fetch *f;
    ouro_promise *promise;
    ouro_future *future;
    char why[HTTP_WHY];
    if (!client || !method || !url)
        return ouro_ready(-EINVAL);
    if (client->loop != ouro_loop_current())
        return ouro_ready(-EXDEV);
    if (client->freed)
        return ouro_ready(-EBADF);
    int rc = ouro__http_request_new(method, url, opts ? opts : &defaults, &f, why);
    if (rc == -EINVAL)
        return refuse(rc, method, url, why);
    if (rc == 0) {
        rc = ouro_promise_new(&promise, &future);
        if (rc < 0)
            ouro_memory_release(f);
    }
    if (rc < 0)
        return ouro_ready(rc);
    adopt(client, f, promise, future);
    begin(f);
    return future;
}

ouro_future *ouro_http_get(ouro_http_client *client, const char *url, const ouro_http_options *opts)
{
    return ouro_http_fetch(client, "GET", url, opts);
}

ouro_future *ouro_http_post(ouro_http_client *client, const char *url,
                            const ouro_http_options *opts)
{
    return ouro_http_fetch(client, "POST", url, opts);
}

static struct http_fetch *find_upload(const ouro_future *request)
{
    ouro_http_client *c;
    struct http_fetch *f;
    TAILQ_FOREACH(c, ouro__http_clients(), link)
    TAILQ_FOREACH(f, &c->uploads, sends)
    if (f->future == request)
        return f;
    return NULL;
}

int ouro_http_request_continue(ouro_future *request)
{
    if (!request)
        return -EINVAL;
    struct http_fetch *f = find_upload(request);
    if (f && f->client->pid != getpid())
        return -ECHILD;
    if (f && f->promise) {
        f->resume = true;
        return ouro__http_pump_soon(f->client);
    }
    int64_t n = ouro_future_result(request).n;
    if (n == -EXDEV || n == -ECHILD)
        return (int)n;
    return n == -EAGAIN ? -EINVAL : -EALREADY;
}
