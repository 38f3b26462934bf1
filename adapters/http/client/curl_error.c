/* SPDX-License-Identifier: MIT */
/*
 * What libcurl's errors are to our users.
 *
 * libcurl knows more than its codes say: the errno of the socket, and a sentence. The errno may be
 * that of an attempt before the last, so only those are believed that fit.
 */
#include "client_int.h"

#include <ouro/error.h>

#include <errno.h>

#define TOO_LARGE 100 /* CURLE_TOO_LARGE; the headers may be older than the library */

static int64_t errno_of(struct http_easy *e)
{
    long number = 0;
    curl_easy_getinfo(e->curl, CURLINFO_OS_ERRNO, &number);
    return number;
}

/* libcurl does not ask why it got no socket. */
static int64_t connect_error(struct http_easy *e)
{
    int64_t number = errno_of(e), ours = e->client->socket_error;
    if (ours < 0)
        return ours;
    return number > 0 && number != EINPROGRESS && number != EAGAIN ? -number : -ECONNREFUSED;
}

/* Malformed chunks, and what a proxy says, come as errors of receiving, too. */
static int64_t receive_error(struct http_easy *e)
{
    long proxy = 0;
    curl_easy_getinfo(e->curl, CURLINFO_HTTP_CONNECTCODE, &proxy);
    if (proxy >= 300)
        return -ECONNREFUSED;
    switch (errno_of(e)) {
    case ECONNRESET:
        return -ECONNRESET;
    case EPIPE:
        return -EPIPE;
    case ETIMEDOUT:
        return -ETIMEDOUT;
    case EHOSTUNREACH:
        return -EHOSTUNREACH;
    case ENETUNREACH:
        return -ENETUNREACH;
    default:
        return -EPROTO;
    }
}

static int64_t send_error(struct http_easy *e)
{
    return errno_of(e) == ECONNRESET ? -ECONNRESET : -EPIPE;
}

static int64_t tls_error(CURLcode code)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return -EKEYREJECTED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_USE_SSL_FAILED:
        return -ECONNABORTED;
    default:
        return -EIO;
    }
}

/* For libcurl there is not enough memory, or too much of something: a single line of a header that
 * is too long is the former for it, and since 8.6 the latter. */
static int64_t size_error(struct http_easy *e, int64_t otherwise, const char **ret_why)
{
    curl_off_t sent = 0;
    curl_easy_getinfo(e->curl, CURLINFO_PRETRANSFER_TIME_T, &sent);
    if (!sent || e->in.complete)
        return otherwise;
    *ret_why = "the header is too large";
    return -EMSGSIZE;
}

int64_t ouro__http_error(struct http_easy *e, CURLcode code, const char **ret_why)
{
    *ret_why = *e->error ? e->error : curl_easy_strerror(code);
    if ((int)code == TOO_LARGE)
        return size_error(e, -EMSGSIZE, ret_why);
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return size_error(e, -ENOMEM, ret_why);
    case CURLE_URL_MALFORMAT:
        return -EINVAL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -OURO_ENONAME;
    case CURLE_COULDNT_CONNECT:
        return connect_error(e);
    case CURLE_PROXY:
        return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_GOT_NOTHING:
        return -ECONNRESET;
    case CURLE_RECV_ERROR:
        return receive_error(e);
    case CURLE_SEND_ERROR:
        return send_error(e);
    case CURLE_UNSUPPORTED_PROTOCOL: /* the scheme was looked at: it is HTTP/0.9 */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PARTIAL_FILE:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return -EPROTO;
    default:
        return tls_error(code);
    }
}
