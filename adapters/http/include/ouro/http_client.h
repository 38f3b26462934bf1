/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_CLIENT_H
#define OURO_HTTP_CLIENT_H

#include <ouro/base.h>
#include <ouro/future.h>
#include <ouro/resolve.h>

/**
 * @file http_client.h
 * A client of HTTP, on libcurl: HTTP/1.1 and 2, TLS, proxies, redirects, cookies, decompression.
 *
 *     ouro_http_response *page = ouro_await_ptr(ouro_http_get(client, url, NULL), &status);
 *     if (!page)
 *         ...                                 status is an error: no answer came
 *     printf("%lld %s\n", (long long)status, page->body);
 *     ouro_http_response_free(page);
 *
 * An answer is a success whatever its status: that is what n says. Errors are for when there is
 * none, and their detail names the URL and the reason.
 *
 * libcurl is driven by the loop's own polls and timers, and is given addresses that ouro_resolve()
 * has found, so nothing here ever blocks. Connections are kept and used again. Timeouts are
 * ouro_timeout() and scopes; a request that is cancelled stops at once.
 */

/** A client: its connections, cookies and limits. Belongs to the loop of the thread that made it. */
typedef struct ouro_http_client ouro_http_client;

/** A field of a header, of a query or of a form. */
typedef struct ouro_http_field {
    const char *name;  /**< borrowed */
    const char *value; /**< borrowed */
} ouro_http_field;

/** When the parts of a request were over, nanoseconds after its beginning; 0: there was no such
 *  part. */
typedef struct ouro_http_timings {
    ouro_ns resolved;   /**< the name was looked up */
    ouro_ns connected;  /**< the connection was there */
    ouro_ns encrypted;  /**< and secured */
    ouro_ns first_byte; /**< of the answer */
    ouro_ns total;      /**< all of it */
} ouro_http_timings;

/** An answer. Freed by ouro_http_response_free(). */
typedef struct ouro_http_response {
    int status;                /**< 200, 404, ...; of the last one, after redirects */
    const char *url;           /**< where it came from, after redirects */
    const char *type;          /**< Content-Type; "" if there is none */
    const char *body;          /**< the bytes, with a zero behind them; "" if they went elsewhere */
    size_t size;               /**< how many */
    size_t header_count;       /**< fields of the header */
    ouro_http_field *headers;  /**< they, in the order in which they came */
    int redirects;             /**< that were followed */
    int reused;                /**< 1: on a connection that was there already */
    int version;               /**< 10, 11, 20 */
    ouro_http_timings timings; /**< see there */
} ouro_http_response;

/**
 * Takes a piece of the answer's body. Runs on the loop.
 *
 * @param data    Borrowed for the call.
 * @param size    Bytes.
 * @param status  Of the answer.
 * @param arg     As given.
 * @return 0; < 0: break the request off with this error.
 */
typedef int ouro_http_sink(const void *data, size_t size, int status, void *arg);

/**
 * Gives a piece of the request's body. Runs on the loop.
 *
 * @param buf   To be filled.
 * @param size  Its capacity in bytes.
 * @param arg   As given.
 * @return Bytes; 0: that was all; -EAGAIN: none now, ouro_http_request_continue() tells when there
 *         are; < 0: break the request off with this error.
 */
typedef int64_t ouro_http_source(void *buf, size_t size, void *arg);

/** Options of clients. Zero is the default of every field. */
typedef struct ouro_http_client_options {
    int host_max;               /**< connections to one host; others wait. Default: 100 */
    int total_max;              /**< connections in all. Default: 1000 */
    int keep_max;               /**< idle connections that are kept. Default: 100 */
    const char *user_agent;     /**< the field. Copied. Default: "ouro/VERSION" */
    const char *proxy;          /**< URL of one for all requests. Copied. Default: what the
                                     environment says: http_proxy, https_proxy, no_proxy; "": none */
    const char *ca_file;        /**< certificates to trust, PEM. Copied. Default: the system's */
    int insecure;               /**< not 0: take any certificate for good. For tests */
    int cookies;                /**< not 0: keep cookies, and send them back */
    int http1;                  /**< not 0: no HTTP/2 */
    ouro_ns connect_limit;      /**< longest attempt at a connection. Default: 30 s */
    ouro_resolve_options names; /**< how names are looked up */
} ouro_http_client_options;

/** Options of requests. Zero is the default of every field. What it points to is copied, but for
 *  data. */
typedef struct ouro_http_options {
    const ouro_http_field
        *headers;                 /**< of the request; Content-Length and Transfer-Encoding are the
                                         client's own and refused */
    size_t header_count;          /**< how many */
    const ouro_http_field *query; /**< added to the URL's, encoded */
    size_t query_count;           /**< how many */
    const ouro_http_field *form;  /**< a body, as application/x-www-form-urlencoded */
    size_t form_count;            /**< how many */
    const char *json;             /**< a body, as application/json: the text */
    const void *data;             /**< a body as it is; borrowed until the future settles */
    size_t size;                  /**< its bytes */
    const char *type;             /**< its Content-Type. Default: application/octet-stream */
    ouro_http_source *source;     /**< a body that is made piece by piece, in chunks. It cannot be
                                         sent again: a redirect that wants that is -EIO */
    ouro_http_sink *sink;         /**< takes the answer's body; response.body stays empty */
    void *arg;                    /**< passed to both. Borrowed until the future settles */
    size_t body_max;              /**< bytes of an answer that is kept: -EMSGSIZE. Default:
                                         64 MiB */
    int redirects_max;            /**< -1: follow none. Default: 10 */
    int headers_follow; /**< not 0: a redirect to another origin (scheme, host and port) is sent all
                             of headers but Host. Default: of them only Accept and its like,
                             Cache-Control, Content-Encoding, -Language and -Type, Expect, Range and
                             User-Agent, since each of the others may be a secret */
    int downgrade;      /**< not 0: a redirect from https to http is followed. Default: -EPERM */
} ouro_http_options;

/** What a client has done. */
typedef struct ouro_http_client_stats {
    uint64_t requests;    /**< begun */
    uint64_t failed;      /**< that brought no answer */
    uint64_t cancelled;   /**< of them, on request */
    uint64_t connections; /**< made */
    uint64_t reused;      /**< requests that found one */
    int64_t under_way;    /**< requests now */
} ouro_http_client_stats;

struct json_t;

OURO_BEGIN_DECLS

/**
 * Make a client.
 *
 * @param opts        Copied; NULL for defaults.
 * @param ret_client  Receives it, yours until ouro_http_client_free().
 * @return 0, -ENOMEM, -EINVAL (NULL, a negative number, a proxy that is no URL), -EPERM (no loop on
 *         this thread), -ECHILD, -ESHUTDOWN. On failure nothing is written.
 * @thread Loop thread only.
 */
int ouro_http_client_new(const ouro_http_client_options *opts,
                         ouro_http_client **ret_client) OURO_NODISCARD;

/**
 * Give a client back. Requests under way fail with -EBADF; idle connections are closed. An idle
 * client keeps no loop running.
 *
 * @param client  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_http_client *ouro_http_client_free(ouro_http_client *client);

/**
 * Make a request with any method.
 *
 * @param client  Borrowed until the future settles.
 * @param method  "GET", "DELETE", ... Copied.
 * @param url     http:// or https://. Copied.
 * @param opts    Copied; NULL for defaults.
 * @return A future, never NULL; its ptr is an ouro_http_response, n its status.
 *   - n >= 100     an answer
 *   - -EINVAL      NULL; a malformed URL or method; several bodies, or one of HEAD; a field's name that is no
 *                  token or the client's own, or a value with a control character in it but a tab:
 *                  the detail names it
 *   - -EPROTONOSUPPORT a scheme other than http and https
 *   - -OURO_ENONAME, -OURO_ETRYAGAIN, ...   see ouro_resolve()
 *   - -ECONNREFUSED, -EHOSTUNREACH, -ETIMEDOUT (connect_limit), -ECONNRESET, -EPIPE,
 *     -EMFILE
 *   - -EPROTO      the answer is no HTTP, or breaks off; a redirect to what is no URL
 *   - -ELOOP       more than redirects_max
 *   - -EPERM       a redirect from https to http, see downgrade
 *   - -EMSGSIZE    more than body_max, or a header of more than 256 KiB
 *   - -EKEYREJECTED the certificate is not to be trusted
 *   - -ECONNABORTED TLS failed otherwise
 *   - what the sink or the source has returned
 *   - -ECANCELED, -EBADF (the client was freed), -ENOMEM, -EIO (else: the detail says why), -EXDEV,
 *     -ECHILD, -ESHUTDOWN
 * @owns the caller: await it with ouro_await_ptr().   @thread Loop thread only.
 */
ouro_future *ouro_http_fetch(ouro_http_client *client, const char *method, const char *url,
                             const ouro_http_options *opts) OURO_NODISCARD;

/**
 * ouro_http_fetch() with GET.
 *
 * @param client  See there.
 * @param url     See there.
 * @param opts    See there.
 * @return See there.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_http_get(ouro_http_client *client, const char *url,
                           const ouro_http_options *opts) OURO_NODISCARD;

/**
 * ouro_http_fetch() with POST.
 *
 * @param client  See there.
 * @param url     See there.
 * @param opts    See there.
 * @return See there.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_http_post(ouro_http_client *client, const char *url,
                            const ouro_http_options *opts) OURO_NODISCARD;

/**
 * There is something to send again, after a source has returned -EAGAIN.
 *
 * @param request  What ouro_http_fetch() returned. Borrowed.
 * @return 0, -EINVAL (NULL, or no such request), -EALREADY (it has settled), -EXDEV, -ECHILD.
 * @thread Loop thread only.
 */
int ouro_http_request_continue(ouro_future *request);

/**
 * A field of an answer's header, by its name in any case; the first of several.
 *
 * @param response  Borrowed.
 * @param name      Borrowed for the call.
 * @return Its value; NULL if there is none.   @thread Any.
 */
const char *ouro_http_response_header(const ouro_http_response *response, const char *name);

/**
 * The body as JSON. Strict: a key given twice is refused, and what is nested more than 100 deep.
 *
 * @param response  Borrowed.
 * @param ret_json  Receives a value of jansson's, yours: json_decref().
 * @return 0, -EBADMSG (it is none), -EINVAL (NULL).   @thread Any.
 */
int ouro_http_response_json(const ouro_http_response *response, struct json_t **ret_json);

/**
 * Give an answer back.
 *
 * @param response  Consumed; NULL is allowed.
 * @return NULL.   @thread Any.
 */
ouro_http_response *ouro_http_response_free(ouro_http_response *response);

/**
 * Read the counters.
 *
 * @param client     Borrowed.
 * @param ret_stats  Receives a snapshot. Yours.
 * @return 0, -EINVAL (NULL), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_http_client_stats_get(const ouro_http_client *client, ouro_http_client_stats *ret_stats);

OURO_END_DECLS

#endif
