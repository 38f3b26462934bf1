/* SPDX-License-Identifier: MIT */
#ifndef OURO_HTTP_SERVER_INT_H
#define OURO_HTTP_SERVER_INT_H

/*
 * What the files of the server share.
 *
 * A connection lives on the stack of its task, and the request that it works on is a part of it.
 * What a request needs in memory is in a room, which a connection has while it is not idle, and
 * which goes back to the server's few spare ones: so idle connections cost little, and busy ones
 * allocate nothing.
 */

#include <ouro/http_server.h>
#include <ouro/loop.h>
#include <ouro/memory.h>

#include <stdbool.h>
#include <time.h>

#include "parser.h"

/* ---- Memory of a request --------------------------------------------------------------------- */

struct http_block {
    struct http_block *next;
    size_t size, room;
    char bytes[];
};

/* Memory that is given back all at once. */
struct http_arena {
    struct http_block *blocks; /* the newest first; the oldest stays */
};

struct http_room {
    struct http_room *next;
    char *in; /* what has come: requests, and bodies behind them */
    size_t in_room;
    char *feed; /* what has come of a body that does not fit there; or NULL */
    struct http_arena arena;
    struct http_field fields[];
};

#define HTTP_IN_ROOM   ((size_t)16 * 1024)
#define HTTP_FEED_ROOM ((size_t)16 * 1024)

struct http_room *ouro__http_room_get(ouro_http_server *server);
void ouro__http_room_put(ouro_http_server *server, struct http_room *room);
void ouro__http_room_free(struct http_room *room);

/* NULL: there is no memory. */
void *ouro__http_take(struct http_arena *a, size_t size);
char *ouro__http_copy(struct http_arena *a, const char *text, size_t size); /* with a zero */
void ouro__http_arena_reset(struct http_arena *a);

/* ---- Routes ---------------------------------------------------------------------------------- */

#define HTTP_PARAMS_MAX 16

struct http_route {
    struct http_route *next; /* of the same path */
    char *method;
    char *name; /* "GET /users/{id}" */
    ouro_http_handler *handler;
    void *arg;
    int param_count;
    char *params[HTTP_PARAMS_MAX]; /* their names, in @name's memory */
};

/* A place in the tree of paths: what may follow there. */
struct http_node {
    char *text; /* the segment that leads here */
    size_t size;
    struct http_node **fixed; /* sorted by their texts */
    size_t fixed_count;
    struct http_node *any;     /* {name} */
    struct http_node *rest;    /* {name...} */
    struct http_route *routes; /* that end here */
};

/* What the tree says about a path. */
struct http_match {
    const struct http_route *route; /* NULL: 404, or 405 if the path is known */
    bool known;
    struct http_text values[HTTP_PARAMS_MAX];
    char allow[256]; /* methods of a path that is known */
};

int ouro__http_route_add(ouro_http_server *server, const char *method, const char *path,
                         ouro_http_handler *handler, void *arg);
void ouro__http_route_find(const struct http_node *root, struct http_text method,
                           struct http_text path, struct http_match *m);
void ouro__http_node_free(struct http_node *node);

/* ---- The server ------------------------------------------------------------------------------ */

struct http_layer {
    ouro_http_middleware *fn;
    void *arg;
};

struct http_connection;

/* One listener that is served. */
struct http_service {
    struct http_service *next;
    ouro_http_server *server;
    ouro_future *future; /* a reference */
    ouro_serve_options user;
    bool stopping;
    struct http_connection *connections;
};

struct ouro_http_server {
    ouro_loop *loop;
    ouro_http_server_options opts; /* defaults filled in; name is ours */
    struct http_limits limits;
    struct http_node root;
    struct http_layer *layers;
    size_t layer_count;
    struct http_service *services;
    struct http_room *spare;
    int spare_count;
    time_t date_at;
    char date[40]; /* "Date: ...\r\n" */
    size_t date_size;
    ouro_http_server_stats stats;
    char error[320];
};

/* 0, -EINVAL, -EXDEV. */
int ouro__http_check(const ouro_http_server *server);

/* ---- A request ------------------------------------------------------------------------------- */

enum http_reply_kind { HTTP_NO_REPLY, HTTP_BYTES, HTTP_FILE, HTTP_STREAM };

struct http_reply {
    enum http_reply_kind kind;
    int status;
    const char *type; /* Content-Type, or NULL */
    const char *bytes;
    uint64_t size;   /* of the body; of a stream what was sent so far */
    uint64_t offset; /* in the file */
    struct ouro_file *file;
    void *owned; /* memory of a body that is too large for the arena */
    char *lines; /* other fields */
    size_t lines_size, lines_room;
    bool keep;   /* a stream's head has promised that the connection stays */
    bool events; /* a stream of whole events */
};

enum http_body_use { HTTP_UNREAD, HTTP_WHOLE, HTTP_PIECES };

struct http_incoming {
    struct http_body state;
    enum http_body_use use;
    bool over;
    bool continued; /* "100 Continue" was sent, or need not be */
    int64_t error;  /* for good */
    uint64_t got;
    char *whole; /* in the arena, or else owned */
    size_t whole_room;
    bool owned;
    size_t feed_at, feed_size;
    ouro_future *reader; /* a task that waits for more; a reference */
    const void **ret_bytes;
};

struct http_pair {
    const char *name;
    const char *value;
};

struct http_pairs {
    struct http_pair *at;
    size_t count;
    bool parsed;
};

struct ouro_http_request {
    struct http_connection *c;
    struct http_head head;
    char *method;
    char *target;
    char *path;
    const struct http_route *route; /* or NULL */
    const char *params[HTTP_PARAMS_MAX];
    struct http_match *match;
    struct http_incoming body;
    struct http_reply reply;
    struct http_pairs query;
    struct http_pairs form;
    const char *json_error;
    ouro_ns start;
    bool head_only;
};

/* ---- A connection ---------------------------------------------------------------------------- */

/* What it waits for, and so which limit holds. */
enum http_doing { HTTP_IDLE, HTTP_HEADER, HTTP_BODY, HTTP_HANDLING, HTTP_WRITING, HTTP_LINGERING };

struct http_connection {
    struct http_connection *next, **back; /* of a service */
    ouro_http_server *server;
    struct http_service *service; /* or NULL */
    ouro_stream *stream;
    struct http_room *room; /* NULL while it is idle */
    size_t at, size;        /* of what has come: where the next byte is, and the end */
    enum http_doing doing;
    ouro_future *waiting; /* what the deadline cancels, borrowed */
    ouro_future *handler; /* the task, borrowed; while it waits */
    ouro_future *watch;   /* a poll for the client's going; a reference */
    ouro_call *alarm;
    ouro_ns armed;    /* when it rings, at or before what is due first */
    ouro_ns deadline; /* of what it waits for */
    ouro_ns look_at;  /* how much the client has taken */
    ouro_ns progress_at;
    uint64_t progress; /* bytes sent by then */
    ouro_ns ask_at;    /* whether the client is still there */
    ouro_ns opened;    /* when it was accepted */
    ouro_ns heard;     /* when something came last; 0: never */
    ouro_ns shut_at;   /* when it was seen to send no more; 0: not yet */
    ouro_ns begun;     /* when the first byte of the request did */
    uint64_t served;
    int64_t sends;   /* of a stream's pieces, that have not settled */
    bool expired;    /* the deadline has passed */
    bool gone;       /* so has the client */
    bool broken;     /* nobody knows where the next request would begin */
    bool too_slow;   /* write_limit has passed, and the stream was aborted */
    bool peer_known; /* peer is written */
    char peer[64];
    struct ouro_http_request r;
};

/* From now on the client has to take something in write_limit, until all is sent. */
void ouro__http_look(struct http_connection *c);
void ouro__http_alarm_stop(struct http_connection *c);
ouro_ns ouro__http_after(ouro_ns limit); /* now and @limit */

/* Await @f, which is ended with -OURO_ECHILDCANCELLED and expired when @limit passes; of what is
 * written the stream is ended, see above. */
int64_t ouro__http_await(struct http_connection *c, enum http_doing doing, ouro_future *f,
                         ouro_ns limit);

/* Watch whether the client goes while its handler waits, and stop to. */
void ouro__http_watch(struct http_connection *c);
void ouro__http_unwatch(struct http_connection *c);

/* Its service stops: end it, if it waits for a request and none can be on its way. */
void ouro__http_end_idle(struct http_connection *c);

/* Bodies. */
void ouro__http_body_begin(ouro_http_request *r);
void ouro__http_body_stop(ouro_http_request *r); /* whoever still reads it */
void ouro__http_body_end(ouro_http_request *r);
int64_t ouro__http_body_drop(ouro_http_request *r);

/* Replies. 0 or an error of the stream. */
int64_t ouro__http_finish(ouro_http_request *r, int64_t n, const char *detail, bool *ret_keep);
int64_t ouro__http_refuse(struct http_connection *c, int status);
int64_t ouro__http_put(struct http_connection *c, const char *bytes, size_t size);
bool ouro__http_may_keep(const ouro_http_request *r);
bool ouro__http_has_body(int status);
void ouro__http_reply_drop(ouro_http_request *r);
const char *ouro__http_reason(int status);

/* The head of the reply into the arena; NULL: no memory. */
char *ouro__http_head(ouro_http_request *r, bool keep, size_t *ret_size);

/* 0, -EALREADY, -EINVAL, -ENOMEM. */
int ouro__http_reply_may(const ouro_http_request *r, int status, bool body);
int ouro__http_reply_type(ouro_http_request *r, const char *type);
int ouro__http_reply_line(ouro_http_request *r, const char *name, const char *value);

/* The handler with what stands around it. */
int64_t ouro__http_handle(ouro_http_request *r);

/* Wait for the pieces of a stream that nobody has waited for; or have them cut off. */
int64_t ouro__http_sends_end(struct http_connection *c, bool cut);
bool ouro__http_chunked(const ouro_http_request *r);

/* Whether the head is all of the answer. */
bool ouro__http_sends_nothing(const ouro_http_request *r);

/* Send a comment between two events, which is nothing to who reads them. */
void ouro__http_events_ask(ouro_http_request *r);

void ouro__http_access(ouro_http_request *r, int status, uint64_t bytes, bool known);

int64_t ouro__http_serve(struct http_connection *c);

/* Dates of HTTP: "Sun, 06 Nov 1994 08:49:37 GMT" and back; -1: it is none. */
#define HTTP_DATE_SIZE 30
void ouro__http_date(time_t when, char text[HTTP_DATE_SIZE]);
int64_t ouro__http_date_parse(const char *text);
const char *ouro__http_mime(const char *path);

#endif
