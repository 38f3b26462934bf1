/* SPDX-License-Identifier: MIT */
/* What must not get from one request of a client to another, or to who reads its errors. */
#define _GNU_SOURCE /* strcasestr */
#include "http_test.h"

#include <ouro/ouro.h>

#include <jansson.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>

static const char *with_user(const struct wild *w, const char *user, const char *path)
{
    static char url[512];
    snprintf(url, sizeof url, "http://%s@127.0.0.1:%d%s", user, w->port, path);
    return url;
}

KernelTest(abuse, a_password_in_a_url_is_for_that_request_alone)
{
    struct wild *w = wild_start(NULL), *other = wild_start(NULL);
    ouro_http_client *c = client();
    ouro_http_response *r = answer(ouro_http_get(c, with_user(w, "joe:secret", "/"), NULL));
    check(says(r, "Authorization: Basic am9lOnNlY3JldA=="));
    check(!strstr(r->url, "secret"));
    ouro_http_response_free(r);
    for (int i = 0; i < 2; i++) {
        r = answer(ouro_http_get(c, wild_url(i ? other : w, "/"), NULL));
        check(!says(r, "Authorization"));
        ouro_http_response_free(r);
    }
    ouro_http_client_free(c);
    wild_stop(w);
    wild_stop(other);
    return 0;
}

KernelTest(abuse, a_password_in_a_url_does_not_follow_a_redirect)
{
    char there[256];
    struct wild *other = wild_start(NULL);
    snprintf(there, sizeof there, "HTTP/1.1 307 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
             wild_url(other, "/there"));
    const struct script scripts[] = {{.path = "/", .bytes = there}, {0}};
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    ouro_http_response *r = answer(ouro_http_get(c, with_user(w, "joe:secret", "/"), NULL));
    check_eq(r->redirects, 1);
    check(!says(r, "Authorization"));
    check(!says(r, "secret"));
    ouro_http_response_free(r);
    ouro_http_client_free(c);
    wild_stop(w);
    wild_stop(other);
    return 0;
}

KernelTest(abuse, json_of_an_answer_does_not_exhaust_the_stack)
{
    static char bytes[8192];
    json_t *json = NULL;
    int n = snprintf(bytes, sizeof bytes, "HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n");
    memset(bytes + n, '[', 2000);
    memset(bytes + n + 2000, ']', 2000);
    const struct script scripts[] = {
        {.path = "/deep", .bytes = bytes},
        {.path = "/twice",
         .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"a\":1,\"a\":2}"},
        {.path = "/well", .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}"},
        {0},
    };
    static const int wanted[] = {-EBADMSG, -EBADMSG, 0};
    struct wild *w = wild_start(scripts);
    ouro_http_client *c = client();
    for (size_t i = 0; i < 3; i++) {
        ouro_http_response *r = answer(ouro_http_get(c, wild_url(w, scripts[i].path), NULL));
        check_eq(ouro_http_response_json(r, &json), wanted[i]);
        ouro_http_response_free(r);
    }
    check_eq(json_integer_value(json_object_get(json, "a")), 1);
    json_decref(json);
    check_eq(ouro_http_response_json(NULL, &json), -EINVAL);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

KernelTest(abuse, a_malformed_url_does_not_show_its_password)
{
    static const char *const urls[] = {
        "http://joe:top/secret@127.0.0.1/",  "http://joe:top?secret@127.0.0.1/",
        "http://joe:top#secret@127.0.0.1/",  "http://joe:top/secret",
        "http://joe:topsecret@127.0.0.1:x/", "http://joe:top secret@127.0.0.1/",
    };
    ouro_http_client *c = client();
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        ouro_future *f = ouro_ref(ouro_http_get(c, urls[i], NULL));
        check(ouro_await(f) < 0);
        const char *words = ouro_future_detail(f);
        if (strstr(words, "secret") || strstr(words, "top"))
            check_text(words, "");
        ouro_unref(f);
    }
    ouro_http_client_free(c);
    return 0;
}

/* libcurl would wait for the body of the answer, which does not come. */
KernelTest(abuse, a_body_of_head_is_refused)
{
    struct wild *w = wild_start(NULL);
    ouro_http_client *c = client();
    check_eq(words_of(ouro_timeout(ouro_http_fetch(c, "HEAD", wild_url(w, "/"),
                                                   &(ouro_http_options){.json = "{}"}),
                                   OURO_SEC(2)),
                      NULL),
             -EINVAL);
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}

/* ---- Names ----------------------------------------------------------------------------------- */

static atomic_int name_size;

static struct addrinfo *one_address(int i, struct addrinfo *next)
{
    struct addrinfo *a = calloc(1, sizeof *a + sizeof(struct sockaddr_in));
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)(a + 1);
    *in = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f000001u + (unsigned)i)};
    *a = (struct addrinfo){.ai_family = AF_INET,
                           .ai_socktype = SOCK_STREAM,
                           .ai_addrlen = sizeof *in,
                           .ai_addr = (struct sockaddr *)in,
                           .ai_next = next};
    return a;
}

/* Stands in front of the C library's: every name has as many addresses as is said. */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    (void)host;
    (void)service;
    (void)hints;
    *ret = NULL;
    for (int i = atomic_load(&name_size); i > 0; i--)
        *ret = one_address(i - 1, *ret);
    return 0;
}

void freeaddrinfo(struct addrinfo *a)
{
    for (struct addrinfo *next; a; a = next) {
        next = a->ai_next;
        free(a);
    }
}

/* Two requests that begin at once, when their host had other addresses for the second. */
KernelTest(abuse, addresses_may_change_between_two_requests)
{
    static const struct script scripts[] = {{.path = "/stall", .bytes = "", .then = STALL}, {0}};
    struct wild *w = wild_start(scripts);
    ouro_http_client_options o = {.host_max = 2, .names.ttl = 1};
    ouro_http_client *c = client_with(o);
    char url[64];
    ouro_future *stalled[2], *f[2];
    snprintf(url, sizeof url, "http://changes.test:%d/", w->port);
    for (int round = 0; round < 3; round++) {
        char stall[80];
        snprintf(stall, sizeof stall, "%sstall", url);
        atomic_store(&name_size, 1);
        for (int i = 0; i < 2; i++)
            stalled[i] = ouro_http_get(c, stall, NULL);
        check_eq(ouro_await(ouro_sleep(OURO_MS(50))), 0);
        for (int i = 0; i < 2; i++) {
            atomic_store(&name_size, i ? 60 * (round + 1) : 2);
            f[i] = ouro_http_get(c, url, NULL);
            check_eq(ouro_await(ouro_sleep(OURO_MS(50))), 0);
        }
        for (int i = 0; i < 2; i++)
            ouro_cancel(stalled[i]);
        for (int i = 0; i < 2; i++)
            ouro_http_response_free(answer(f[i]));
        for (int i = 0; i < 2; i++)
            check_eq(ouro_await(stalled[i]), -OURO_ECHILDCANCELLED);
    }
    ouro_http_client_free(c);
    wild_stop(w);
    return 0;
}
