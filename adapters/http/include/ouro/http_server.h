/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_SERVER_H
#define OURO_HTTP_SERVER_H

#include <ouro/base.h>
#include <ouro/error.h>
#include <ouro/future.h>
#include <ouro/listener.h>
#include <ouro/serve.h>
#include <ouro/stream.h>

/**
 * @file http_server.h
 * A server of HTTP/1.1 (RFC 9110, RFC 9112).
 *
 * Each connection is a task, and so is each handler: it waits for whatever it likes, in
 * straight-line code. When its client goes away, the handler is cancelled. Requests that come
 * before the answer to the one before (pipelining) are answered in order, one at a time.
 *
 * A client may also shut down its sending side and wait for the answer, which looks the same from
 * here until something is sent: then the system of a client that has gone answers with a reset,
 * which cancels the handler. So 250 ms after such an end, if the handler still waits, "102 Processing"
 * is sent, which HTTP/1.1 has clients overlook (RFC 9110, 15.2), and a comment between the events of
 * ouro_http_send_event(). Where nothing can be sent that means nothing, to HTTP/1.0 and within other
 * replies that are sent piece by piece, an end within 1 s of the request's last byte is taken for a
 * client that waits, a later one for one that has gone; one that was taken for the wrong thing is
 * noticed with the next piece.
 *
 * A handler replies once, by one of the ouro_http_reply calls, which copy and do not wait: what
 * they were given is sent when the handler has returned. Whoever has more to say than memory should
 * hold begins a reply by ouro_http_reply_begin() and sends it piece by piece.
 *
 *     return                            the client sees
 *     0 or more, having replied         the reply
 *     0 or more, without                204, an empty answer
 *     -OURO_EHTTP(404)            404 and a line of text; so for each status from 400 to 599
 *     another error                     500, and on_error is told; the server goes on
 *
 * Requests are read strictly: what RFC 9112 lets be read in two ways is refused, with the status
 * that says why, and the connection is closed.
 *
 * Strings that a request gives are the request's, and valid until its handler returns.
 */

/** A server: routes, middleware and limits. It may serve several listeners. */
typedef struct ouro_http_server ouro_http_server;

/** A request that is being handled, and the reply to it. */
typedef struct ouro_http_request ouro_http_request;

/** What is left of the way to the handler, for middleware. */
typedef struct ouro_http_next ouro_http_next;

/** Handles a request, as a task. See above for what its return leads to. */
typedef int64_t ouro_http_handler(ouro_http_request *r, void *arg);

/**
 * Stands around handlers: does something, calls ouro_http_next_run(), does something more. Returns
 * what that returned, or something else, as a handler does.
 */
typedef int64_t ouro_http_middleware(ouro_http_request *r, ouro_http_next *next, void *arg);

/** Makes a worker's server ready to serve, for ouro_http_serve_workers(). */
typedef int64_t ouro_http_setup_fn(ouro_http_server *server, void *arg);

/** One line of the access log. Everything in it is borrowed for the call. */
typedef struct ouro_http_access {
    const char *client;     /**< address of the peer, without its port; an IPv4 address is written
                                 as one, whatever the listener's family */
    const char *method;     /**< as it came; "-" of a request that could not be read */
    const char *target;     /**< as it came, quoted for a log; "-" likewise */
    int version;            /**< of HTTP, as it came: 10, 11; 0 likewise */
    int status;             /**< of the answer */
    uint64_t bytes;         /**< of the body that was sent */
    ouro_ns time;           /**< from the first byte of the request to the last of the answer */
    const char *user_agent; /**< "-" if there is none */
    const char *referer;    /**< "-" if there is none */
} ouro_http_access;

/** Options of servers. Zero is the default of every field. */
typedef struct ouro_http_server_options {
    size_t line_max;       /**< bytes of the request line: 414. Default: 8 KiB */
    size_t headers_max;    /**< bytes of all header fields: 431. Default: 64 KiB */
    int header_count_max;  /**< how many: 431. Default: 100 */
    size_t body_max;       /**< bytes of a body: 413. Default: 1 MiB. SIZE_MAX: no limit */
    ouro_ns header_limit;  /**< from the first byte of a request to the end of its header: 408.
                                 Default: 10 s */
    ouro_ns body_limit;    /**< between two pieces of a body: 408. Default: 30 s */
    ouro_ns write_limit;   /**< for a client to take a piece of an answer; then the connection is
                                 cut off. Default: 60 s */
    ouro_ns idle_limit;    /**< between two requests. Default: 75 s */
    uint64_t requests_max; /**< on one connection. Default: 10 000 */
    size_t stack_size;     /**< of handlers' tasks. Default: that of ouro_spawn_with() */
    const char *name;      /**< the Server field. Copied. Default: none is sent */
    void (*on_access)(const ouro_http_access *line, void *arg); /**< called for each answer; may
                                 pass it to ouro_http_log_access(). Default: there is no log */
    void (*on_error)(const ouro_http_request *r, int64_t error, const char *detail,
                     void *arg); /**< a handler has failed: @p detail as it gave it to
                                 ouro_task_fail(), or NULL. Default: a line on standard error */
    void *arg;                   /**< passed to both. Borrowed while the server lives */
} ouro_http_server_options;

/** What a server has done. */
typedef struct ouro_http_server_stats {
    uint64_t connections; /**< accepted */
    uint64_t requests;    /**< handed to a handler or answered 404, 405 */
    uint64_t refused;     /**< that could not be read: 4xx and 5xx of our own */
    uint64_t failed;      /**< whose handler has failed: 500 */
    uint64_t gone;        /**< whose client went away before the answer */
    int64_t live;         /**< connections now */
} ouro_http_server_stats;

/** Options of ouro_http_reply_file(). Zero is the default of every field. */
typedef struct ouro_http_file_options {
    const char *type;          /**< Content-Type. Default: by the file's ending */
    const char *cache_control; /**< the field. Default: none */
    int no_ranges;             /**< not 0: always the whole file */
} ouro_http_file_options;

struct json_t;

OURO_BEGIN_DECLS

/* ---- Making and serving ---------------------------------------------------------------------- */

/**
 * Make a server.
 *
 * @param opts        Copied; NULL for defaults.
 * @param ret_server  Receives it, yours until ouro_http_server_free().
 * @return 0, -ENOMEM, -EINVAL (NULL, a name that is no field value), -EPERM (no loop on this
 *         thread), -ECHILD. On failure nothing is written.   @thread Loop thread only.
 */
int ouro_http_server_new(const ouro_http_server_options *opts,
                         ouro_http_server **ret_server) OURO_NODISCARD;

/**
 * Give a server back. It may not serve any more.
 *
 * @param server  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_http_server *ouro_http_server_free(ouro_http_server *server);

/**
 * Have a handler called for a method and a path.
 *
 * "/users/{id}" takes any one segment there, which ouro_http_param() gives; "/files/{path...}" takes
 * all that is left, at the end only. Of several that fit the one counts whose first difference is a
 * fixed text. GET answers HEAD, too, unless that has a route of its own. A path that is known, but
 * not with this method, is 405; OPTIONS is answered by itself.
 *
 * @param server   Borrowed.
 * @param method   A method's name, such as "GET"; "*" for any. Copied.
 * @param path     Begins with a slash. Copied.
 * @param handler  Called as a task for each such request.
 * @param arg      Passed to @p handler. Borrowed while the server lives.
 * @return 0, -EEXIST (there is such a route, be it with other names), -EINVAL (NULL, a malformed
 *         method or path: ouro_http_server_error() says what), -ENOMEM, -EXDEV, -ECHILD.
 * @thread Loop thread only.
 */
int ouro_http_route(ouro_http_server *server, const char *method, const char *path,
                    ouro_http_handler *handler, void *arg) OURO_NODISCARD;

/**
 * What was wrong with the last ouro_http_route() that failed: a sentence that names the route.
 *
 * @param server  Borrowed.
 * @return The text, borrowed until the next call; "" if none has failed.   @thread Loop thread only.
 */
const char *ouro_http_server_error(const ouro_http_server *server);

/**
 * Put something around every handler, 404 and 405 included. The first that is given is outermost.
 *
 * @param server      Borrowed.
 * @param middleware  Called in the task of each request.
 * @param arg         Passed to it. Borrowed while the server lives.
 * @return 0, -ENOMEM, -EINVAL (NULL), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_http_use(ouro_http_server *server, ouro_http_middleware *middleware,
                  void *arg) OURO_NODISCARD;

/**
 * Go on to the next middleware, or the handler; once.
 *
 * @param r     The request.
 * @param next  As the middleware was given it.
 * @return What the rest of the way returned.   @thread Loop thread only, in that task.
 */
int64_t ouro_http_next_run(ouro_http_request *r, ouro_http_next *next);

/**
 * Serve a listener's connections. Else as ouro_serve(): a cancel, or ouro_server_stop(), has it
 * accept no more, and answer what was asked, with "Connection: close"; connections that wait for
 * another request end at once, those on which nothing has come yet 1 s after they were accepted. The
 * callbacks of @p opts are given ouro_http_server_options.arg.
 *
 * @param server  Borrowed until the future has settled.
 * @param l       Borrowed until the future has settled.
 * @param opts    Copied; NULL for defaults.
 * @return A future, never NULL: as ouro_serve().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_http_serve(ouro_http_server *server, ouro_listener *l,
                             const ouro_serve_options *opts) OURO_NODISCARD;

/**
 * Be a server: listen at one place with several workers, each a thread with a loop and a server of
 * its own, and serve until SIGINT or SIGTERM. Else as ouro_serve_workers(), of which it has restarts
 * and inherited sockets, too.
 *
 * @param workers  How many; 0: ouro_cpu_count().
 * @param where    See ouro_listen(). Borrowed.
 * @param setup    Called for each server, in a task of its worker: adds routes and middleware, and
 *                 may wait. Returns 0, or an error that ends all.
 * @param arg      Passed to @p setup, on_listening and on_restart. Shared by all threads.
 * @param server   Options of each server; NULL for defaults. Its callbacks run on all threads.
 * @param opts     Copied; NULL for defaults.
 * @return As ouro_serve_workers(), or what @p setup or ouro_http_server_new() failed with.
 * @thread Any without a loop.   @suspends Blocks the thread.
 */
int64_t ouro_http_serve_workers(int workers, const char *where, ouro_http_setup_fn *setup,
                                void *arg, const ouro_http_server_options *server,
                                const ouro_serve_workers_options *opts);

/**
 * Serve one connection that is there already, in the calling task, to its end.
 *
 * @param server  Borrowed.
 * @param s       Borrowed; what is left of it is yours.
 * @return How many requests were answered; < 0: the stream's error.
 * @thread Loop thread only, in a task.
 */
int64_t ouro_http_serve_stream(ouro_http_server *server, ouro_stream *s);

/**
 * Read the counters.
 *
 * @param server     Borrowed.
 * @param ret_stats  Receives a snapshot. Yours.
 * @return 0, -EINVAL (NULL), -EXDEV, -ECHILD.   @thread Loop thread only.
 */
int ouro_http_server_stats_get(const ouro_http_server *server, ouro_http_server_stats *ret_stats);

/**
 * Write a line of an access log in the combined format, for on_access. Lines of several threads do
 * not mix; those of several processes, as after a restart, do not if @p fp is line buffered.
 *
 * @param line  Borrowed for the call.
 * @param fp    A FILE, as void so that this header needs no <stdio.h>: standard output if NULL.
 * @thread Any.
 */
void ouro_http_log_access(const ouro_http_access *line, void *fp);

/* ---- The request ----------------------------------------------------------------------------- */

/**
 * The method, as it came.
 *
 * @param r  Borrowed.
 * @return Its name.   @thread Loop thread only.
 */
const char *ouro_http_method(const ouro_http_request *r);

/**
 * The path, decoded: without the query, %XX replaced, no empty or dot segments.
 *
 * @param r  Borrowed.
 * @return It begins with a slash.   @thread Loop thread only.
 */
const char *ouro_http_path(const ouro_http_request *r);

/**
 * The target, as it came: the path and the query, not decoded.
 *
 * @param r  Borrowed.
 * @return The text.   @thread Loop thread only.
 */
const char *ouro_http_target(const ouro_http_request *r);

/**
 * A header field, by its name in any case. Of several, their values with commas between.
 *
 * @param r     Borrowed.
 * @param name  Borrowed for the call.
 * @return Its value; NULL if there is none.   @thread Loop thread only.
 */
const char *ouro_http_header(ouro_http_request *r, const char *name);

/**
 * What stands in the path where the route has {name}, decoded.
 *
 * @param r     Borrowed.
 * @param name  Borrowed for the call.
 * @return The text; NULL if the route has no such name.   @thread Loop thread only.
 */
const char *ouro_http_param(const ouro_http_request *r, const char *name);

/**
 * The same as a whole number.
 *
 * @param r          Borrowed.
 * @param name       Borrowed for the call.
 * @param ret_value  Receives it. Written on success alone.
 * @return 0, -ENOENT (no such name), -EBADMSG (no number), -ERANGE.   @thread Loop thread only.
 */
int ouro_http_param_int(const ouro_http_request *r, const char *name, int64_t *ret_value);

/**
 * A value of the query, as in ?name=value, decoded. The first of several.
 *
 * @param r     Borrowed.
 * @param name  Borrowed for the call.
 * @return The text, "" if it has no value; NULL if it is not there.   @thread Loop thread only.
 */
const char *ouro_http_query(ouro_http_request *r, const char *name);

/**
 * The same as a whole number.
 *
 * @param r          Borrowed.
 * @param name       Borrowed for the call.
 * @param ret_value  Receives it. Written on success alone.
 * @return 0, -ENOENT (it is not there), -EBADMSG (no number), -ERANGE.   @thread Loop thread only.
 */
int ouro_http_query_int(ouro_http_request *r, const char *name, int64_t *ret_value);

/**
 * The address of the client.
 *
 * @param r            Borrowed.
 * @param ret_address  Receives it.
 * @return 0, -ENOTCONN, -EINVAL.   @thread Loop thread only.
 */
int ouro_http_peer(const ouro_http_request *r, ouro_address *ret_address);

/**
 * The whole body. Sends "100 Continue" first, if the client waits for that.
 *
 * @param r  Borrowed until the future settles.
 * @return A future, never NULL; its ptr is the body, which is the request's, with a zero behind it,
 *         n its size in bytes. Asked again, the same.
 *   - n >= 0                   bytes
 *   - -OURO_EHTTP(413)   more than body_max: return it
 *   - -OURO_EHTTP(400)   chunks that make no sense: return it
 *   - -OURO_EHTTP(408)   the client is too slow: return it
 *   - -ECONNRESET              the client has gone
 *   - -EBUSY                   it is being read piece by piece
 *   - -ECANCELED, -ENOMEM, -EINVAL (NULL), -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller; the bytes are the request's: await it with ouro_await_ptr() and free nothing.
 * @thread Loop thread only.
 */
ouro_future *ouro_http_body(ouro_http_request *r) OURO_NODISCARD;

/**
 * The next piece of the body, for what is too large to be held.
 *
 * @param r          Borrowed until the future settles.
 * @param ret_bytes  Receives where it lies, lent until the next call. Written on success alone.
 * @return A future, never NULL: n > 0 bytes; 0 that was all; else as ouro_http_body(). body_max
 *         holds for the sum.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_http_body_next(ouro_http_request *r, const void **ret_bytes) OURO_NODISCARD;

/**
 * A value of a form in the body (application/x-www-form-urlencoded), which has been read by
 * ouro_http_body(). The first of several.
 *
 * @param r     Borrowed.
 * @param name  Borrowed for the call.
 * @return The text; NULL if it is not there, or the body is no form or was not read.
 * @thread Loop thread only.
 */
const char *ouro_http_form(ouro_http_request *r, const char *name);

/**
 * The body as JSON, which has been read by ouro_http_body(). Strict: a key given twice is refused,
 * and so is what is nested more than 100 deep, since it is read, and written, on the stack of a task.
 *
 * @param r         Borrowed.
 * @param ret_json  Receives a value of jansson's, yours: json_decref().
 * @return 0, -EBADMSG (it is none: ouro_http_json_error() says where), -ENODATA (it was not read),
 *         -EINVAL.   @thread Loop thread only.
 */
int ouro_http_json(ouro_http_request *r, struct json_t **ret_json);

/**
 * What was wrong with the JSON: "line 2, column 7: ...".
 *
 * @param r  Borrowed.
 * @return The text; "" if nothing was.   @thread Loop thread only.
 */
const char *ouro_http_json_error(const ouro_http_request *r);

/* ---- The reply ------------------------------------------------------------------------------- */

/**
 * Add a header field to the reply; also after a handler has replied, as middleware may, but not when
 * a reply that is sent piece by piece has begun. Content-Length, Transfer-Encoding, Connection and
 * Date are the server's and refused.
 *
 * @param r      Borrowed.
 * @param name   Copied.
 * @param value  Copied.
 * @return 0, -EINVAL (NULL; a name that is no token; CR, LF, NUL or another control character in
 *         the value; one of the server's own), -EALREADY (the reply has begun), -ENOMEM.
 * @thread Loop thread only.
 */
int ouro_http_reply_header(ouro_http_request *r, const char *name, const char *value);

/**
 * Reply with bytes.
 *
 * @param r       Borrowed.
 * @param status  200 to 599.
 * @param type    Content-Type; NULL for none. Copied.
 * @param data    Copied.
 * @param size    Bytes.
 * @return 0, for the handler to return; -EALREADY (it has replied), -EINVAL (NULL, another status,
 *         a body where the status has none, a type that is no field value), -ENOMEM.
 * @thread Loop thread only.
 */
int64_t ouro_http_reply(ouro_http_request *r, int status, const char *type, const void *data,
                        size_t size);

/**
 * Reply with text in UTF-8. Else as ouro_http_reply().
 *
 * @param r       Borrowed.
 * @param status  200 to 599.
 * @param text    Copied.
 * @return See ouro_http_reply().   @thread Loop thread only.
 */
int64_t ouro_http_reply_text(ouro_http_request *r, int status, const char *text);

/**
 * Reply with JSON. Else as ouro_http_reply().
 *
 * @param r       Borrowed.
 * @param status  200 to 599.
 * @param json    A value of jansson's. Consumed, whatever this returns; NULL is -ENOMEM, so that
 *                json_pack() can stand here.
 * @return See ouro_http_reply(); -EINVAL: also more than 100 levels deep.   @thread Loop thread only.
 */
int64_t ouro_http_reply_json(ouro_http_request *r, int status, struct json_t *json);

/**
 * Reply with a file: its size and time make an ETag and Last-Modified, conditional requests and
 * ranges are honoured, and the bytes go out of the kernel's cache by themselves.
 *
 * Suspends to open the file. It does not look at what the path means: never give it what a client
 * has sent, but by ouro_http_reply_file_in().
 *
 * @param r     Borrowed.
 * @param path  Borrowed for the call.
 * @param opts  Copied; NULL for defaults.
 * @return 0, for the handler to return; -OURO_EHTTP(404), -OURO_EHTTP(403): likewise;
 *         else as ouro_http_reply().   @thread Loop thread only, in the handler's task.
 */
int64_t ouro_http_reply_file(ouro_http_request *r, const char *path,
                             const ouro_http_file_options *opts);

/**
 * The same for a path below a folder, out of which it cannot lead, not by ".." and not by links.
 *
 * @param r       Borrowed.
 * @param folder  Borrowed for the call.
 * @param path    What the client asked for, such as ouro_http_param(r, "path"). A folder is its
 *                index.html; if the path of the request ends in it, and not in a slash, the reply is
 *                a 301 to where it does, with the query, since links in it are relative to that.
 *                Borrowed for the call.
 * @param opts    Copied; NULL for defaults.
 * @return See ouro_http_reply_file().   @thread Loop thread only, in the handler's task.
 */
int64_t ouro_http_reply_file_in(ouro_http_request *r, const char *folder, const char *path,
                                const ouro_http_file_options *opts);

/**
 * Begin a reply that is sent piece by piece, in chunks. It ends when the handler returns; if that
 * is with an error, the connection is cut off, so that the client can tell.
 *
 * @param r       Borrowed.
 * @param status  200 to 599.
 * @param type    Content-Type; NULL for none.
 * @return As ouro_http_reply().   @thread Loop thread only.
 */
int64_t ouro_http_reply_begin(ouro_http_request *r, int status, const char *type);

/**
 * Send a piece of such a reply. Waits while the client is slower.
 *
 * @param r     Borrowed until the future settles.
 * @param data  Borrowed until the future settles.
 * @param size  Bytes; 0 does nothing.
 * @return A future, never NULL: @p size; -EPIPE, -ECONNRESET (the client has gone); -EPIPE also if
 *         the client has its answer with the head alone, as to HEAD: the handler should return, and
 *         may return this, which is no failure then; -ETIMEDOUT (write_limit), -EBADMSG (no such
 *         reply was begun), -ECANCELED, -ENOMEM, -EINVAL (NULL).
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_http_send(ouro_http_request *r, const void *data, size_t size) OURO_NODISCARD;

/**
 * Send an event of text/event-stream, which begins such a reply if none was.
 *
 * @param r      Borrowed until the future settles.
 * @param event  Its name; NULL for none. Copied.
 * @param id     Its id; NULL for none. Copied.
 * @param data   The text; each of its lines becomes a data line. Copied.
 * @return A future, never NULL: as ouro_http_send(); -EINVAL also for a newline in a name or id.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_http_send_event(ouro_http_request *r, const char *event, const char *id,
                                  const char *data) OURO_NODISCARD;

OURO_END_DECLS

#endif
