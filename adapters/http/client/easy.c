/* SPDX-License-Identifier: MIT */
/*
 * Easy handles: one request each, then the next.
 *
 * To set a handle up is a large part of what a small request costs, so what never changes is set
 * once, and what a plain GET does not need is only set when it was changed before.
 *
 * What libcurl calls back ends here: headers, bodies both ways, and its wish to look a name up,
 * which is refused, since it was told all it needs.
 */
#include "client_int.h"

#include <ouro/memory.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

#define SKIP_MAX (64u * 1024) /* of a body that nobody wants; more is worth another connection */

static int64_t break_off(struct http_fetch *f, int64_t reason, const char *why)
{
    f->reason = reason;
    f->why = why;
    return reason;
}

/* ---- What libcurl calls ---------------------------------------------------------------------- */

/* Whether there still is somebody to be told of what comes. */
static bool is_wanted(const struct http_fetch *f)
{
    return f && f->promise;
}

static bool will_be_followed(const struct http_inbox *in, const struct http_fetch *f)
{
    bool moves = in->status == 301 || in->status == 302 || in->status == 303 || in->status == 307 ||
                 in->status == 308;
    const char *where = moves && f->redirects_max >= 0 ? ouro__http_inbox_field(in, "Location") : 0;
    return where && *where;
}

static size_t on_header(char *line, size_t one, size_t size, void *arg)
{
    struct http_easy *e = arg;
    struct http_fetch *f = e->fetch;
    (void)one;
    if (!is_wanted(f))
        return 0;
    bool was_complete = e->in.complete;
    int64_t rc = ouro__http_inbox_line(&e->in, line, size);
    if (rc < 0) {
        break_off(f, rc, rc == -EMSGSIZE ? "the header is too large" : NULL);
        return 0;
    }
    if (e->in.complete && !was_complete)
        e->in.moving = will_be_followed(&e->in, f);
    return size;
}

/* Room for all of it at once, if it says how much there is. */
static int expect_body(struct http_easy *e)
{
    curl_off_t length = -1;
    struct http_fetch *f = e->fetch;
    if (e->in.body.size ||
        curl_easy_getinfo(e->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) != CURLE_OK ||
        length <= 0)
        return 0;
    if ((uint64_t)length > f->body_max)
        return ouro__http_inbox_field(&e->in, "Content-Encoding") ? 0 : -EMSGSIZE;
    return ouro__http_buffer_reserve(&e->in.body, (size_t)length + 1);
}

static int64_t keep_body(struct http_easy *e, const char *data, size_t size)
{
    struct http_fetch *f = e->fetch;
    int rc = expect_body(e);
    if (rc == 0 && size > f->body_max - e->in.body.size)
        rc = -EMSGSIZE;
    if (rc == 0)
        rc = ouro__http_buffer_add(&e->in.body, data, size);
    return rc < 0 ? break_off(f, rc, rc == -EMSGSIZE ? "the body is too large" : NULL) : 0;
}

static int64_t skip_body(struct http_easy *e, size_t size)
{
    e->in.skipped += size;
    return e->in.skipped > SKIP_MAX ? -EMSGSIZE : 0;
}

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    struct http_easy *e = arg;
    struct http_fetch *f = e->fetch;
    int64_t rc;
    (void)one;
    if (!is_wanted(f) || size == 0)
        return 0;
    if (e->in.moving)
        rc = skip_body(e, size);
    else if (!f->sink)
        rc = keep_body(e, data, size);
    else if ((rc = f->sink(data, size, e->in.status, f->arg)) < 0)
        break_off(f, rc, "the sink has failed");
    return rc < 0 ? 0 : size;
}

static size_t on_source(char *buf, size_t one, size_t size, void *arg)
{
    struct http_easy *e = arg;
    struct http_fetch *f = e->fetch;
    if (!is_wanted(f) || !f->source)
        return CURL_READFUNC_ABORT;
    int64_t n = f->source(buf, one * size, f->arg);
    if (n == -EAGAIN)
        return CURL_READFUNC_PAUSE;
    if (n > (int64_t)(one * size))
        n = -EINVAL;
    if (n >= 0)
        return (size_t)n;
    break_off(f, n, "the source has failed");
    return CURL_READFUNC_ABORT;
}

/* It was told, or the host is a number; else its lookup, on a thread, would be waited for when the
 * request is cancelled. */
static int on_lookup(void *resolver, void *unused, void *arg)
{
    struct http_easy *e = arg;
    (void)resolver;
    (void)unused;
    if (e->fetch && e->fetch->place->is_number)
        return 0;
    e->was_refused = true;
    return 1;
}

/* There is a connection: others may share it, or know that they cannot. */
static int on_connection(void *arg, char *there, char *here, int there_port, int here_port)
{
    struct http_easy *e = arg;
    (void)there;
    (void)here;
    (void)there_port;
    (void)here_port;
    if (e->fetch)
        ouro__http_place_open(e->client, e->fetch->place);
    return CURL_PREREQFUNC_OK;
}

/* ---- What stays as it is --------------------------------------------------------------------- */

static long milliseconds(ouro_ns t)
{
    uint64_t ms = t / OURO_MS(1) + (t % OURO_MS(1) != 0);
    return ms > INT_MAX ? INT_MAX : (long)ms;
}

static CURLcode set_callbacks(CURL *h, struct http_easy *e)
{
    CURLcode rc = CURLE_OK;
    rc |= curl_easy_setopt(h, CURLOPT_PRIVATE, e);
    rc |= curl_easy_setopt(h, CURLOPT_ERRORBUFFER, e->error);
    rc |= curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    rc |= curl_easy_setopt(h, CURLOPT_HEADERDATA, e);
    rc |= curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    rc |= curl_easy_setopt(h, CURLOPT_WRITEDATA, e);
    rc |= curl_easy_setopt(h, CURLOPT_READFUNCTION, on_source);
    rc |= curl_easy_setopt(h, CURLOPT_READDATA, e);
    rc |= curl_easy_setopt(h, CURLOPT_RESOLVER_START_FUNCTION, on_lookup);
    rc |= curl_easy_setopt(h, CURLOPT_RESOLVER_START_DATA, e);
    rc |= curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, on_connection);
    rc |= curl_easy_setopt(h, CURLOPT_PREREQDATA, e);
    rc |= curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, ouro__http_socket_open);
    rc |= curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, e->client);
    rc |= curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, ouro__http_socket_close);
    rc |= curl_easy_setopt(h, CURLOPT_CLOSESOCKETDATA, e->client);
    return rc;
}

static CURLcode set_tls(CURL *h, const ouro_http_client *c)
{
    CURLcode rc = CURLE_OK;
    if (c->ca_file) {
        rc |= curl_easy_setopt(h, CURLOPT_CAINFO, c->ca_file);
        rc |= curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
        rc |= curl_easy_setopt(h, CURLOPT_PROXY_CAINFO, c->ca_file);
    }
    if (c->opts.insecure) {
        rc |= curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        rc |= curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
        rc |= curl_easy_setopt(h, CURLOPT_PROXY_SSL_VERIFYPEER, 0L);
        rc |= curl_easy_setopt(h, CURLOPT_PROXY_SSL_VERIFYHOST, 0L);
    }
    return rc;
}

static CURLcode set_rest(CURL *h, const ouro_http_client *c)
{
    CURLcode rc = CURLE_OK;
    bool has_2 = curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_HTTP2;
    long version = has_2 && !c->opts.http1 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
    rc |= curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    rc |= curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    rc |= curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
    rc |= curl_easy_setopt(h, CURLOPT_HTTP_VERSION, version);
    rc |= curl_easy_setopt(h, CURLOPT_ACCEPT_ENCODING, "");
    rc |= curl_easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    rc |= curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(c->opts.connect_limit));
    rc |= curl_easy_setopt(h, CURLOPT_USERAGENT, c->user_agent);
    rc |= curl_easy_setopt(h, CURLOPT_NOPROXY, "");
    rc |= curl_easy_setopt(h, CURLOPT_PROXY, "");
    rc |= curl_easy_setopt(h, CURLOPT_SHARE, c->share);
    if (c->opts.cookies)
        rc |= curl_easy_setopt(h, CURLOPT_COOKIEFILE, "");
    return rc;
}

static void easy_free(struct http_easy *e)
{
    curl_easy_cleanup(e->curl);
    ouro__http_buffer_free(&e->said);
    ouro__http_inbox_free(&e->in);
    ouro_memory_release(e);
}

static struct http_easy *easy_new(ouro_http_client *c)
{
    struct http_easy *e = ouro_memory_alloc(sizeof(*e));
    if (!e)
        return NULL;
    *e = (struct http_easy){.client = c, .proxy = "", .curl = curl_easy_init()};
    if (e->curl && set_callbacks(e->curl, e) == CURLE_OK && set_tls(e->curl, c) == CURLE_OK &&
        set_rest(e->curl, c) == CURLE_OK)
        return e;
    easy_free(e);
    return NULL;
}

/* ---- What a request changes ------------------------------------------------------------------ */

static CURLcode set_body(CURL *h, const struct http_fetch *f)
{
    CURLcode rc = curl_easy_setopt(h, CURLOPT_POST, 1L);
    curl_off_t size = f->source ? -1 : (curl_off_t)f->size;
    rc |= curl_easy_setopt(h, CURLOPT_POSTFIELDS, f->source ? NULL : f->body);
    rc |= curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, size);
    return rc;
}

static CURLcode set_method(struct http_easy *e, const struct http_fetch *f)
{
    bool has_body = f->body || f->source, is_get = strcmp(f->method, "GET") == 0;
    bool is_head = !has_body && strcmp(f->method, "HEAD") == 0;
    bool is_plain = is_get && !has_body;
    bool is_usual = is_plain || is_head || (has_body && strcmp(f->method, "POST") == 0);
    CURLcode rc;
    if (is_plain && e->is_plain)
        return CURLE_OK;
    if (has_body)
        rc = set_body(e->curl, f);
    else
        rc = curl_easy_setopt(e->curl, is_head ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1L);
    rc |= curl_easy_setopt(e->curl, CURLOPT_CUSTOMREQUEST, is_usual ? NULL : f->method);
    e->is_plain = is_plain;
    return rc;
}

static CURLcode set_place(struct http_easy *e, struct http_fetch *f)
{
    int told;
    CURLcode rc = CURLE_OK;
    char *say = ouro__http_place_say(f->place, f->found, &e->said, &told);
    if (told < 0)
        return told == -ENOMEM ? CURLE_OUT_OF_MEMORY : CURLE_COULDNT_CONNECT;
    if (say) {
        e->say = (struct curl_slist){say, NULL};
        rc = curl_easy_setopt(e->curl, CURLOPT_RESOLVE, &e->say);
    }
    if (rc == CURLE_OK && e->proxy != f->place->proxy) {
        rc = curl_easy_setopt(e->curl, CURLOPT_PROXY, f->place->proxy);
        e->proxy = f->place->proxy;
    }
    return rc;
}

static CURLcode prepare(struct http_easy *e, struct http_fetch *f)
{
    CURLcode rc = curl_easy_setopt(e->curl, CURLOPT_URL, f->url);
    if (f->headers || e->has_headers)
        rc |= curl_easy_setopt(e->curl, CURLOPT_HTTPHEADER, f->headers);
    e->has_headers = f->headers;
    rc |= set_method(e, f);
    return rc == CURLE_OK ? set_place(e, f) : rc;
}

int ouro__http_easy_take(ouro_http_client *c, struct http_fetch *f)
{
    struct http_easy *e = SLIST_FIRST(&c->easies);
    if (e) {
        SLIST_REMOVE_HEAD(&c->easies, link);
        c->free_easies--;
    } else {
        e = easy_new(c);
    }
    if (!e)
        return -ENOMEM;
    e->fetch = f;
    e->was_refused = false;
    *e->error = '\0';
    ouro__http_inbox_clear(&e->in);
    if (prepare(e, f) == CURLE_OK && curl_multi_add_handle(c->multi, e->curl) == CURLM_OK) {
        f->easy = e;
        return 0;
    }
    easy_free(e);
    return -ENOMEM;
}

void ouro__http_easy_give(struct http_easy *e)
{
    ouro_http_client *c = e->client;
    e->fetch = NULL; /* first: nothing more is for it */
    curl_multi_remove_handle(c->multi, e->curl);
    if (c->freed || c->free_easies >= c->opts.keep_max) {
        easy_free(e);
        return;
    }
    SLIST_INSERT_HEAD(&c->easies, e, link);
    c->free_easies++;
}

void ouro__http_easies_free(ouro_http_client *c)
{
    struct http_easy *e;
    while ((e = SLIST_FIRST(&c->easies))) {
        SLIST_REMOVE_HEAD(&c->easies, link);
        easy_free(e);
    }
}
