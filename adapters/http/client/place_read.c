/* SPDX-License-Identifier: MIT */
/*
 * The first part of a URL, taken apart by libcurl's own reader, so that it and we never see two
 * different hosts in one text.
 *
 * How it fails: with a sentence, in which there is nothing of the URL.
 */
#include "place_int.h"

#include <ouro/memory.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef CURLU_PUNYCODE
#    define ASCII CURLU_PUNYCODE
#else
#    define ASCII 0
#endif

static bool is_number(const char *host)
{
    unsigned char number[16];
    return *host == '[' || inet_pton(AF_INET, host, number) == 1;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* What ouro_resolve() takes: without brackets, but with the zone. */
static char *bare_host(CURLU *u, const char *host, bool is_proxy)
{
    char *zone = NULL;
    size_t n = strlen(host);
    if (*host == '[' && !is_proxy)
        curl_url_get(u, CURLUPART_ZONEID, &zone, 0);
    size_t size = n + 1 + (zone ? strlen(zone) + 1 : 0);
    char *to = ouro_memory_alloc(size);
    if (to && *host == '[')
        snprintf(to, size, "%.*s%s%s", (int)n - 2, host + 1, zone ? "%" : "", zone ? zone : "");
    else if (to)
        memcpy(to, host, n + 1);
    curl_free(zone);
    return to;
}

static int keep(struct http_place *p, CURLU *u, const char *scheme, const char *host,
                const char *port, const struct http_proxies *proxies)
{
    size_t size = strlen(scheme) + strlen(host) + strlen(port) + 5;
    const struct http_proxy *proxy = ouro__http_proxy_for(proxies, p->https, host);
    const char *look_up = proxy ? proxy->host : host;
    p->proxy = proxy ? proxy->url : "";
    p->is_number = is_number(look_up);
    p->host = bare_host(u, look_up, proxy);
    p->origin = ouro_memory_alloc(size);
    if (!p->host || !p->origin)
        return -ENOMEM;
    snprintf(p->port, sizeof p->port, "%s", proxy ? proxy->port : port);
    snprintf(p->origin, size, "%s://%s:%s", scheme, host, port);
    return 0;
}

static int read_parts(struct http_place *p, CURLU *u, const struct http_proxies *proxies,
                      const char **ret_why)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    int rc = -EINVAL;
    *ret_why = "the URL is malformed";
    if (curl_url_get(u, CURLUPART_HOST, &host, ASCII) != CURLUE_OK || !is_ascii(host)) {
        *ret_why = "the host's name cannot be used; if it has letters that are not ASCII, it can "
                   "be written in punycode";
    } else if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
               curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        p->https = strcmp(scheme, "https") == 0;
        rc = keep(p, u, scheme, host, port, proxies);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    return rc;
}

int ouro__http_place_read(struct http_place *p, const struct http_proxies *proxies,
                          const char **ret_why)
{
    CURLU *u = curl_url();
    if (!u)
        return -ENOMEM;
    int rc;
    CURLUcode code = curl_url_set(u, CURLUPART_URL, p->key, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK) {
        rc = read_parts(p, u, proxies, ret_why);
    } else {
        *ret_why = curl_url_strerror(code);
        rc = code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
    }
    curl_url_cleanup(u);
    return rc;
}
