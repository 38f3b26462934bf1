/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_CLIENT_INT_H
#define OURO_HTTP_CLIENT_INT_H

/*
 * A client is a multi handle of libcurl and what drives it. A request, a fetch here, goes through
 * its hops: one, and one more for each redirect. A hop looks its place up (place.c), has its name
 * looked up, stands in the place's line until a connection may be used for it, and is then an easy
 * handle at work (easy.c), which is lent to it for that time.
 *
 * libcurl is entered from the loop alone (drive.c), never from what it calls back. What it calls
 * back may be code of users, sinks and sources, which may do anything, such as free the client:
 * `inside` says that this has to wait.
 */

#include <ouro/http_client.h>
#include <ouro/loop.h>

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "http_wait.h"

struct http_fetch;
struct http_place;
struct http_easy;

/* ---- Text ------------------------------------------------------------------------------------ */

/* Bytes that grow. */
struct http_buffer {
    char *data;
    size_t size;
    size_t capacity;
};

/* Room for so many more bytes. 0 or -ENOMEM. */
int ouro__http_buffer_reserve(struct http_buffer *b, size_t more);
int ouro__http_buffer_add(struct http_buffer *b, const void *data, size_t size);
void ouro__http_buffer_free(struct http_buffer *b);

/* Where a text is written, or, with at == NULL, how long it would be. */
struct http_ink {
    char *at;
    size_t size;
};

void ouro__http_ink(struct http_ink *ink, const char *text, size_t size);
void ouro__http_ink_text(struct http_ink *ink, const char *text);

/* %XX for whatever is not unreserved in RFC 3986. */
void ouro__http_ink_encoded(struct http_ink *ink, const char *text);

/* A URL or other text for people, cut to @size: without user and password, nor control characters.
 * Returns @buf. */
char *ouro__http_show_url(const char *url, char *buf, size_t size);
char *ouro__http_show(const char *text, char *buf, size_t size);

/* Whether it is a token of RFC 9110; a field's value without control characters but tabs. */
bool ouro__http_is_token(const char *text);
bool ouro__http_is_value(const char *text);

/* The part of a URL before its path: "http://host:port". 0: there is none. */
size_t ouro__http_origin_size(const char *url);

/* ---- Proxies --------------------------------------------------------------------------------- */

struct http_proxy {
    char *url; /* NULL: none */
    char *host;
    char port[6];
};

struct http_proxies {
    struct http_proxy of[2]; /* of http, of https */
    char *exempt;            /* hosts that are reached without; NULL: none */
};

/* As the options say, or else the environment. 0, -ENOMEM, -EINVAL. */
int ouro__http_proxies_init(struct http_proxies *p, const char *option);
void ouro__http_proxies_free(struct http_proxies *p);

/* The one for a host; NULL: none. */
const struct http_proxy *ouro__http_proxy_for(const struct http_proxies *p, bool https,
                                              const char *host);

/* ---- Places ---------------------------------------------------------------------------------- */

TAILQ_HEAD(http_line, http_fetch);

/* Where requests go: the scheme, host and port of a URL, as they were written. */
struct http_place {
    LIST_ENTRY(http_place) chain;
    TAILQ_ENTRY(http_place) link; /* in client.idle, or in client.ready */
    struct http_line line;        /* have their addresses, and wait */
    uint64_t hash;
    unsigned users;   /* fetches that refer to it */
    int active;       /* that libcurl has */
    bool is_idle;     /* in client.idle */
    bool is_ready;    /* in client.ready */
    bool multiplexes; /* it answered in HTTP/2: libcurl shares connections */
    bool is_open;     /* all of its line may go, as far as there is room; else one */
    bool is_number;   /* its host: libcurl needs no help */
    bool https;
    const char *proxy; /* "": none */
    char *host;        /* to be looked up: the proxy's, if there is one */
    char port[6];
    char *origin;       /* scheme, host and port in full, to compare */
    ouro_address *told; /* what libcurl was told */
    size_t told_count;
    ouro_ns told_until; /* it may have forgotten then */
    size_t key_size;
    char key[];
};

/* Find or make that of a URL. 0, -ENOMEM, -EINVAL, -EPROTONOSUPPORT; @ret_why: in words. */
int ouro__http_place_of(ouro_http_client *c, const char *url, struct http_place **ret_place,
                        const char **ret_why);

/* One user less. */
void ouro__http_place_leave(ouro_http_client *c, struct http_place *p);

/* What to tell libcurl about its addresses, in @b; NULL: nothing, or no memory (@ret_rc). */
char *ouro__http_place_say(struct http_place *p, const ouro_addresses *found, struct http_buffer *b,
                           int *ret_rc);

/* Stand in its line. */
void ouro__http_place_queue(ouro_http_client *c, struct http_fetch *f);

/* Take one out of the line, or off the connections. */
void ouro__http_place_unqueue(ouro_http_client *c, struct http_fetch *f);
void ouro__http_place_done(ouro_http_client *c, struct http_fetch *f);

/* It has a connection, or had a failure. */
void ouro__http_place_open(ouro_http_client *c, struct http_place *p);

/* The next that may go to libcurl, out of the line; NULL: none. */
struct http_fetch *ouro__http_place_next(ouro_http_client *c);

/* Whether there is one. */
bool ouro__http_place_waits(const ouro_http_client *c);

void ouro__http_places_free(ouro_http_client *c);

/* ---- Requests -------------------------------------------------------------------------------- */

enum http_stage { HTTP_NAMING, HTTP_QUEUED, HTTP_RUNNING };

struct http_fetch {
    TAILQ_ENTRY(http_fetch) link;  /* in client.fetches */
    TAILQ_ENTRY(http_fetch) turn;  /* in place.line */
    TAILQ_ENTRY(http_fetch) sends; /* in client.uploads, if it has a source */
    ouro_http_client *client;
    ouro_promise *promise; /* NULL: the client was freed inside a sink or source */
    ouro_future *future;   /* no reference: to compare with */
    enum http_stage stage;
    struct http_place *place; /* NULL: between two hops */
    struct http_easy *easy;   /* while it runs */
    ouro_future *names;       /* the lookup, while it is waited for; a reference */
    ouro_addresses *found;

    /* What is asked. */
    const char *method;
    const char *url;
    char *moved; /* the URL, after a redirect */
    struct curl_slist *headers;
    const char *body; /* NULL and no source: none */
    size_t size;
    ouro_http_source *source;
    ouro_http_sink *sink;
    void *arg;
    size_t body_max;
    int redirects_max;
    bool headers_follow;
    bool downgrade;

    /* How it goes. */
    int64_t reason;  /* < 0: why we broke it off, */
    const char *why; /* in words; or NULL */
    int redirects;
    unsigned retold;
    bool source_listed; /* in client.uploads */
    bool resume;        /* its source has more */
    ouro_ns began, named, started;
    struct curl_slist nodes[]; /* of `headers`; behind them all texts */
};

/* Check a request and lay it out in one piece. 0, -ENOMEM, -EINVAL; @why: in words, of
 * HTTP_WHY bytes. */
#define HTTP_WHY 160
int ouro__http_request_new(const char *method, const char *url, const ouro_http_options *opts,
                           struct http_fetch **ret_fetch, char *why);

/* Change it as a redirect with @status from @from to its new URL wants. */
void ouro__http_request_redirect(struct http_fetch *f, int status, bool same_origin);

/* The easy handle has come to its end. */
void ouro__http_fetch_ended(struct http_fetch *f, CURLcode code);

/* Settle it with an error, and forget it. Not from inside libcurl. */
void ouro__http_fetch_fail(struct http_fetch *f, int64_t rc, const char *why);

/* Its promise has failed with -EBADF, and nobody waits any more. */
void ouro__http_fetch_disown(struct http_fetch *f);

/* Take it from wherever it is, and free it. Not from inside libcurl. */
void ouro__http_fetch_free(struct http_fetch *f);

/* ---- Answers --------------------------------------------------------------------------------- */

/* What has come so far. Its memory stays with the easy handle. */
struct http_inbox {
    int status;
    bool complete;           /* the header is; what comes as such later is a trailer */
    bool moving;             /* a redirect that will be followed: its body is nothing to us */
    size_t seen;             /* bytes of headers, those of 1xx too */
    size_t skipped;          /* bytes of such a body */
    size_t fields;           /* of the header */
    struct http_buffer head; /* names and values, a zero behind each */
    struct http_buffer body;
};

void ouro__http_inbox_clear(struct http_inbox *in);
void ouro__http_inbox_free(struct http_inbox *in);

/* A line of a header. 0, or < 0: break off. */
int64_t ouro__http_inbox_line(struct http_inbox *in, const char *line, size_t size);

/* A field's value; NULL: there is none. */
const char *ouro__http_inbox_field(const struct http_inbox *in, const char *name);

/* Make it an answer, which may take the body over. NULL: no memory. */
ouro_http_response *ouro__http_inbox_take(struct http_inbox *in, const char *url);

/* ---- Easy handles ---------------------------------------------------------------------------- */

struct http_easy {
    SLIST_ENTRY(http_easy) link; /* while it is free */
    CURL *curl;
    ouro_http_client *client;
    struct http_fetch *fetch; /* NULL: free */
    const char *proxy;        /* as it is set */
    bool is_plain;            /* set for GET */
    bool has_headers;
    bool was_refused; /* it wanted to look a name up */
    struct curl_slist say;
    struct http_buffer said; /* its text, which libcurl reads when it begins */
    struct http_inbox in;
    char error[CURL_ERROR_SIZE];
};

/* One that is set for @f, and knows it. 0, -ENOMEM, -EIO. */
int ouro__http_easy_take(ouro_http_client *c, struct http_fetch *f);

/* Out of the multi handle, and free for the next. */
void ouro__http_easy_give(struct http_easy *e);

void ouro__http_easies_free(ouro_http_client *c);

/* What an error is to our users; @ret_why: in words. */
int64_t ouro__http_error(struct http_easy *e, CURLcode code, const char **ret_why);

/* ---- Driving --------------------------------------------------------------------------------- */

struct http_socket;

struct ouro_http_client {
    TAILQ_ENTRY(ouro_http_client) link; /* of this thread */
    ouro_loop *loop;                    /* to compare with, no reference */
    pthread_t thread;
    pid_t pid;
    ouro_http_client_options opts;
    struct http_proxies proxies;
    char *user_agent;
    char *ca_file;
    CURLM *multi;
    CURLSH *share;
    unsigned inside; /* libcurl: it may not be freed */
    bool freed;      /* as soon as that is possible */

    ouro_call *soon; /* the pump's next turn */
    ouro_call *timer;
    ouro_ns timer_at;
    ouro_ns deadline;             /* when libcurl wants to be called; OURO_FOREVER: it does not */
    struct http_socket **sockets; /* by descriptor */
    size_t socket_capacity;
    int64_t socket_error;              /* < 0: why the last one could not be opened */
    TAILQ_HEAD(, http_socket) changed; /* whose polls are not as libcurl wants them */

    struct http_line fetches;
    struct http_line uploads;
    LIST_HEAD(, http_place) places[256];
    TAILQ_HEAD(http_places, http_place) ready; /* have a line, and room for one of it */
    struct http_places idle;                   /* places that nobody uses, oldest first */
    unsigned idle_places;
    int active; /* fetches that libcurl has */
    long kept;  /* connections, as it was told */
    SLIST_HEAD(, http_easy) easies;
    int free_easies;
    ouro_http_client_stats stats;
};

/* Hook a new multi handle up. */
void ouro__http_drive_init(ouro_http_client *c);
void ouro__http_drive_finish(ouro_http_client *c);

/* Around all calls into libcurl that may call back. The second sees to what they came to, and may
 * free the client. */
void ouro__http_enter(ouro_http_client *c);
void ouro__http_leave(ouro_http_client *c);

/* Have lines and sources looked at. 0, -ENOMEM, -ESHUTDOWN. */
int ouro__http_pump_soon(ouro_http_client *c);

/* All requests fail. */
void ouro__http_fail_all(ouro_http_client *c, int64_t rc, const char *why);

/* Options of easy handles: how sockets are made and closed. */
curl_socket_t ouro__http_socket_open(void *arg, curlsocktype purpose,
                                     struct curl_sockaddr *address);
int ouro__http_socket_close(void *arg, curl_socket_t fd);

/* How libcurl says which events it waits for. */
int ouro__http_socket_changed(CURL *curl, curl_socket_t fd, int what, void *arg, void *unused);

/* Arm and disarm polls as it wants. 0 or -ENOMEM. */
int ouro__http_sockets_settle(ouro_http_client *c);
void ouro__http_sockets_free(ouro_http_client *c);

/* Everything of the client. */
void ouro__http_client_destroy(ouro_http_client *c);

/* The clients of this thread. */
TAILQ_HEAD(http_clients, ouro_http_client);
struct http_clients *ouro__http_clients(void);

#endif
