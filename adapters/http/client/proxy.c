/* SPDX-License-Identifier: MIT */
/*
 * Which proxy a request goes through.
 *
 * libcurl can read the environment itself; but its proxy's name has to be looked up before it is
 * asked for anything, so it is decided here, once for each client, as libcurl would: http_proxy in
 * small letters only, since a CGI program has what clients send in HTTP_PROXY; all others in both.
 *
 * Proxies of SOCKS get the names of hosts, not addresses: looking those up is theirs, too.
 */
#include "client_int.h"

#include <ouro/memory.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- Reading --------------------------------------------------------------------------------- */

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    char *to = ouro_memory_alloc(size);
    return to ? memcpy(to, text, size) : NULL;
}

static bool is_scheme(const char *scheme)
{
    static const char *const known[] = {"http", "https", "socks5h", "socks4a", NULL};
    for (size_t i = 0; known[i]; i++)
        if (strcmp(known[i], scheme) == 0)
            return true;
    return false;
}

/* The names of schemes under which the proxy looks up, instead of us. */
static int correct_scheme(CURLU *u)
{
    char *scheme = NULL;
    const char *better = NULL;
    if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        return -EINVAL;
    if (strcmp(scheme, "socks5") == 0)
        better = "socks5h";
    else if (strcmp(scheme, "socks4") == 0)
        better = "socks4a";
    int rc = better || is_scheme(scheme) ? 0 : -EINVAL;
    curl_free(scheme);
    if (better && curl_url_set(u, CURLUPART_SCHEME, better, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        rc = -ENOMEM;
    return rc;
}

static int fill(CURLU *u, struct http_proxy *p)
{
    char *url = NULL, *host = NULL, *port = NULL;
    int rc = correct_scheme(u);
    if (rc == 0 && (curl_url_get(u, CURLUPART_URL, &url, 0) != CURLUE_OK ||
                    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK))
        rc = -EINVAL;
    if (rc == 0) {
        const char *usual = strncmp(url, "https:", 6) == 0 ? "443" : "1080"; /* as libcurl has it */
        curl_url_get(u, CURLUPART_PORT, &port, 0);
        snprintf(p->port, sizeof p->port, "%s", port ? port : usual);
        p->url = copy(url);
        p->host = copy(host);
        rc = p->url && p->host ? 0 : -ENOMEM;
    }
    curl_free(url);
    curl_free(host);
    curl_free(port);
    return rc;
}

static int read_proxy(const char *text, struct http_proxy *p)
{
    CURLU *u = curl_url();
    if (!u)
        return -ENOMEM;
    CURLUcode code = curl_url_set(u, CURLUPART_URL, text,
                                  CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME);
    int rc = code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : code == CURLUE_OK ? fill(u, p) : -EINVAL;
    curl_url_cleanup(u);
    return rc;
}

static const char *first_of(const char *a, const char *b)
{
    const char *value = getenv(a);
    if (!value && b)
        value = getenv(b);
    return value && *value ? value : NULL;
}

/* What the environment says, and cannot be understood, is as if it said nothing. */
static int read_environment(struct http_proxies *p)
{
    const char *all = first_of("all_proxy", "ALL_PROXY"), *none = first_of("no_proxy", "NO_PROXY");
    const char *text[2] = {first_of("http_proxy", NULL), first_of("https_proxy", "HTTPS_PROXY")};
    for (int i = 0; i < 2; i++) {
        const char *one = text[i] ? text[i] : all;
        if (one && read_proxy(one, &p->of[i]) == -ENOMEM)
            return -ENOMEM;
    }
    if (none)
        p->exempt = copy(none);
    return none && !p->exempt ? -ENOMEM : 0;
}

int ouro__http_proxies_init(struct http_proxies *p, const char *option)
{
    *p = (struct http_proxies){0};
    if (!option)
        return read_environment(p);
    if (!*option)
        return 0;
    int rc = read_proxy(option, &p->of[0]);
    return rc == 0 ? read_proxy(option, &p->of[1]) : rc;
}

void ouro__http_proxies_free(struct http_proxies *p)
{
    for (int i = 0; i < 2; i++) {
        ouro_memory_release(p->of[i].url);
        ouro_memory_release(p->of[i].host);
    }
    ouro_memory_release(p->exempt);
}

/* ---- Exemptions ------------------------------------------------------------------------------ */

static bool same_bits(const unsigned char *a, const unsigned char *b, int bits)
{
    int whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, (size_t)whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* Whether the number @host is in the network @entry, as 10.0.0.0/8. */
static bool in_network(const char *entry, const char *host)
{
    unsigned char net[16], number[16];
    char text[64];
    int family = strchr(host, ':') ? AF_INET6 : AF_INET, most = family == AF_INET ? 32 : 128;
    const char *slash = strchr(entry, '/');
    int bits = slash ? atoi(slash + 1) : most;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(entry, "/"), entry);
    return bits >= 0 && bits <= most && inet_pton(family, host, number) == 1 &&
           inet_pton(family, text, net) == 1 && same_bits(net, number, bits);
}

/* Whether @host is what @entry names, or ends in it behind a dot. */
static bool is_exempt_by(const char *entry, const char *host)
{
    size_t n, m = strlen(host);
    if (strcmp(entry, "*") == 0 || in_network(entry, host))
        return true;
    entry += *entry == '.';
    n = strlen(entry);
    return n && m >= n && strcasecmp(host + m - n, entry) == 0 &&
           (m == n || host[m - n - 1] == '.');
}

static bool is_exempt(const char *list, const char *host)
{
    char entry[256], bare[256];
    snprintf(bare, sizeof bare, "%s", *host == '[' ? host + 1 : host);
    bare[strcspn(bare, "]")] = '\0';
    while (*list) {
        size_t n = strcspn(list, ", ");
        if (n && n < sizeof entry) {
            memcpy(entry, list, n);
            entry[n] = '\0';
            if (is_exempt_by(entry, bare))
                return true;
        }
        list += n;
        list += strspn(list, ", ");
    }
    return false;
}

const struct http_proxy *ouro__http_proxy_for(const struct http_proxies *p, bool https,
                                              const char *host)
{
    const struct http_proxy *one = &p->of[https];
    if (!one->url || (p->exempt && is_exempt(p->exempt, host)))
        return NULL;
    return one;
}
