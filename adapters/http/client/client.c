/* SPDX-License-Identifier: MIT */
/*
 * Clients: made, freed, counted.
 *
 * A client that is freed while requests are under way fails them, and goes at once; from inside a
 * sink or a source it goes when libcurl has returned. In the child of a fork nothing is freed: the
 * connections are the parent's, and libcurl would say goodbye on them.
 */
#include "client_int.h"

#include <ouro/memory.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

static _Thread_local struct http_clients clients;

struct http_clients *ouro__http_clients(void)
{
    if (!clients.tqh_last)
        TAILQ_INIT(&clients);
    return &clients;
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool options_fit(const ouro_http_client_options *o)
{
    return o->host_max >= 0 && o->total_max >= 0 && o->keep_max >= 0 &&
           o->names.family <= OURO_FAMILY_IP6 &&
           (!o->user_agent || ouro__http_is_value(o->user_agent));
}

static int copy(const char *text, char **ret)
{
    if (!text)
        return 0;
    size_t size = strlen(text) + 1;
    *ret = ouro_memory_alloc(size);
    if (!*ret)
        return -ENOMEM;
    memcpy(*ret, text, size);
    return 0;
}

static int copy_options(ouro_http_client *c, const ouro_http_client_options *o)
{
    c->opts = *o;
    c->opts.host_max = o->host_max ? o->host_max : 100;
    c->opts.total_max = o->total_max ? o->total_max : 1000;
    c->opts.keep_max = o->keep_max ? o->keep_max : 100;
    c->opts.connect_limit = o->connect_limit ? o->connect_limit : OURO_SEC(30);
    c->opts.user_agent = c->opts.proxy = c->opts.ca_file = NULL;
    int rc = copy(o->user_agent ? o->user_agent : "ouro/" OURO_VERSION_STRING, &c->user_agent);
    if (rc == 0)
        rc = copy(o->ca_file, &c->ca_file);
    return rc == 0 ? ouro__http_proxies_init(&c->proxies, o->proxy) : rc;
}

/* ---- libcurl --------------------------------------------------------------------------------- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global = CURLE_FAILED_INIT;

static void init_globally(void)
{
    global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Sessions of TLS are shared by all handles, and so are cookies, if they are kept. */
static int init_handles(ouro_http_client *c)
{
    pthread_once(&once, init_globally);
    if (global != CURLE_OK)
        return -ENOMEM;
    c->multi = curl_multi_init();
    c->share = curl_share_init();
    if (!c->multi || !c->share)
        return -ENOMEM;
    curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    if (c->opts.cookies)
        curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
    ouro__http_drive_init(c);
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void ouro__http_client_destroy(ouro_http_client *c)
{
    struct http_fetch *f;
    ouro__http_drive_finish(c);
    while ((f = TAILQ_FIRST(&c->fetches))) {
        ouro__http_fetch_disown(f);
        ouro__http_fetch_free(f);
    }
    ouro__http_easies_free(c);
    curl_multi_cleanup(c->multi); /* closes connections, by our callback */
    curl_share_cleanup(c->share);
    ouro__http_sockets_free(c);
    ouro__http_places_free(c);
    ouro__http_proxies_free(&c->proxies);
    ouro_memory_release(c->user_agent);
    ouro_memory_release(c->ca_file);
    TAILQ_REMOVE(ouro__http_clients(), c, link);
    ouro_memory_release(c);
}

/* Whether this thread has a loop that takes work: a promise shows that. */
static int check_loop(void)
{
    ouro_promise *p;
    ouro_future *f;
    int rc = ouro_promise_new(&p, &f);
    if (rc < 0)
        return rc;
    ouro_promise_resolve(p, (ouro_result){0, NULL}, NULL);
    ouro_promise_free(p);
    ouro_unref(f);
    return 0;
}

static ouro_http_client *allocate(void)
{
    ouro_http_client *c = ouro_memory_alloc(sizeof(*c));
    if (!c)
        return NULL;
    *c = (ouro_http_client){.loop = ouro_loop_current(), .thread = pthread_self(), .pid = getpid()};
    TAILQ_INIT(&c->changed);
    TAILQ_INIT(&c->fetches);
    TAILQ_INIT(&c->uploads);
    TAILQ_INIT(&c->ready);
    TAILQ_INIT(&c->idle);
    SLIST_INIT(&c->easies);
    TAILQ_INSERT_TAIL(ouro__http_clients(), c, link);
    return c;
}

int ouro_http_client_new(const ouro_http_client_options *opts, ouro_http_client **ret_client)
{
    static const ouro_http_client_options defaults;
    if (!opts)
        opts = &defaults;
    if (!ret_client || !options_fit(opts))
        return -EINVAL;
    int rc = check_loop();
    if (rc < 0)
        return rc;
    ouro_http_client *c = allocate();
    if (!c)
        return -ENOMEM;
    rc = copy_options(c, opts);
    if (rc == 0)
        rc = init_handles(c);
    if (rc == 0)
        *ret_client = c;
    else
        ouro__http_client_destroy(c);
    return rc;
}

ouro_http_client *ouro_http_client_free(ouro_http_client *client)
{
    struct http_fetch *f;
    if (!client || client->freed || client->pid != getpid() ||
        !pthread_equal(client->thread, pthread_self()))
        return NULL;
    client->freed = true;
    TAILQ_FOREACH(f, &client->fetches, link)
    ouro__http_fetch_disown(f);
    if (client->inside == 0)
        ouro__http_client_destroy(client);
    return NULL;
}

int ouro_http_client_stats_get(const ouro_http_client *client, ouro_http_client_stats *ret_stats)
{
    if (!client || !ret_stats)
        return -EINVAL;
    if (client->pid != getpid())
        return -ECHILD;
    if (!pthread_equal(client->thread, pthread_self()))
        return -EXDEV;
    *ret_stats = client->stats;
    return 0;
}
