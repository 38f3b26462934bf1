/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_SESSION_H
#define OURO_PG_SESSION_H

/*
 * A session is a connection to the server and what happens on it: one command at a time, from the
 * lines of its handles.
 *
 * Handles are what users have. The first one of a session is the connection itself, or a lease of
 * it; each open transaction has another. They form a chain from the innermost transaction, `top`,
 * to the base. Each has a line of commands, and only that of the top moves: so what is called on an
 * outer handle waits until the transactions inside it have ended. Commands of the session itself (a
 * rollback of what was freed, the tidying between leases, a fence) go before all of them.
 *
 * A command owns its promise. It ends exactly once, by its kind's end(): with 0 when the server has
 * said all there is, else with the reason why it never ran or was broken off.
 *
 * libpq may call back (notices), and nothing of ours runs inside: its remarks are queued.
 */

#include <ouro/loop.h>
#include <ouro/pg_connection.h>
#include <ouro/pool.h>
#include <ouro/queue.h>

#include <libpq-fe.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "result_int.h"
#include "socket_wait.h"

struct pg_session;
struct pg_command;
struct pg_cache;

TAILQ_HEAD(pg_line, pg_command);

/* What comes after the results of a step. */
enum pg_next {
    PG_OVER, /* nothing */
    PG_SEND, /* another step */
    PG_STAY  /* more results: it is a pipeline */
};

/* What distinguishes a query from a COPY. */
struct pg_command_kind {
    const char *name;

    /* Hand it, or the next step of it, to libpq. 0; 1: there is nothing to do; < 0: that was
     * refused. In the last two cases it ends. */
    int (*send)(struct pg_command *c, PGconn *db);

    /* A result has come; takes it over. */
    void (*result)(struct pg_command *c, PGresult *r);

    /* libpq has no more results of this step. NULL: that is always the end. */
    enum pg_next (*done)(struct pg_command *c);

    /* While `feeding` is set: hand libpq more of what is to be sent. True: there may be room for
     * another piece; false: it has to be rid of that first. */
    bool (*feed)(struct pg_command *c, PGconn *db);

    /* While `copying` is set, in place of results: move a piece. True: go on with results, or call
     * it again; false: wait for the socket. */
    bool (*copy)(struct pg_command *c, PGconn *db);

    /* The socket has something while it is `copying`, and libpq has not read it. NULL: never
     * mind. */
    void (*look)(struct pg_command *c, PGconn *db);

    /* All that has come was handed over, and there will be more. NULL: never mind. */
    void (*drained)(struct pg_command *c);

    /* It is over. 0: the server has answered, and `code` is what it said, 0 a success. < 0: it
     * was broken off, and @why may say more. Settles the promise; the caller frees @c. */
    void (*end)(struct pg_command *c, int64_t rc, const char *why);

    /* Its promise is asked to stop. NULL: out of the line, or cancelled on the server. */
    void (*cancel)(struct pg_command *c);

    /* Its handle is given up while it runs; its promise is failed next. It goes on for nobody, and
     * may not touch what is its user's any more. NULL: it has nothing of the kind. */
    void (*disown)(struct pg_command *c);
};

struct pg_command {
    TAILQ_ENTRY(pg_command) link; /* in a line; not while it runs */
    const struct pg_command_kind *kind;
    struct pg_session *session;
    ouro_pg *handle;       /* on whose behalf; NULL: the session's own, or that has gone */
    ouro_promise *promise; /* NULL: nobody waits */
    ouro_pg_error *error;  /* where its user wants to have the first error; or NULL */
    int64_t code;          /* of that error; 0: none so far */
    bool running;          /* it is session->current */
    bool cancelled;        /* on the server, or that is being tried */
    bool held;             /* nobody wants more of it now: nothing is read */
    bool feeding;          /* see feed() */
    bool copying;          /* see copy() */
    bool stubborn;         /* a cancel stops a part of it alone: it is cancelled until it ends */
    bool embedded;         /* in something else, and not to be freed */
};

/* A handle. */
struct ouro_pg {
    struct pg_session *session; /* a reference; NULL: closed */
    ouro_pg *outer;             /* of a transaction: what it was begun on */
    struct pg_line line;
    unsigned depth;         /* 0: the base; 1: a transaction; 2: its savepoint, ... */
    bool ending;            /* a commit stands in line: nothing more may */
    bool unwanted;          /* to be freed when nothing holds it */
    unsigned holds;         /* of those on the call stack that look at it */
    ouro_future *task;      /* of a transaction: whose end ends it; a reference, or NULL */
    struct pg_lease *lease; /* of a pool, or NULL: see pool_int.h */
};

/* The server is asked to stop what runs: see cancel.c. */
struct pg_cancel {
    ouro_future *job;          /* that asks, on a thread; a reference */
    ouro_pool *thread;         /* its own: it may hang as long as a network does */
    ouro_call *limit;          /* when to look again */
    ouro_ns pause;             /* how long after that */
    ouro_ns deadline;          /* when the server has had time enough */
    unsigned requests;         /* made, and not seen to have hit */
    struct pg_command *target; /* what is to stop, while it runs; to compare with */
    bool lingers;              /* it was asked, and nothing has shown that the request is used up */
    struct pg_command fence;   /* a statement that is sent to use it up */
};

/* What the server has remarked, and the user has not been told. */
struct pg_notices {
    STAILQ_HEAD(, pg_notice) line;
    ouro_call *call; /* that tells */
    uint64_t count;  /* of those before there was a session */
};

/* Who gets the session when a lease is over. */
struct pg_owner {
    void (*quiet)(struct pg_session *s, void *arg); /* nothing runs and nothing stands in line */
    void (*lost)(struct pg_session *s, void *arg);
    void (*gone)(struct pg_session *s, void *arg); /* its socket is closed */
};

struct pg_session {
    PGconn *db;      /* NULL: gone */
    unsigned refs;   /* of handles, waits, jobs, calls, the owner */
    ouro_loop *loop; /* to compare with, no reference */
    pid_t pid;
    int backend; /* process on the server */
    ouro_pg_options opts;
    int64_t fatal; /* < 0: the server's last word, before it went */
    int64_t lost;  /* < 0: why there is no server any more, */
    char why[512]; /* in words */
    bool closing;
    bool pumping;     /* on the call stack */
    bool unread;      /* the socket was ready while nobody wanted more */
    ouro_call *again; /* the pump has paused to let others run */
    ouro_pg *top;
    struct pg_line own;
    struct pg_command *current;
    struct pg_wait in;
    struct pg_wait out;
    struct pg_cancel cancel;
    struct pg_cache *cache; /* prepared statements; NULL: none yet */
    struct pg_notices notices;
    ouro_queue *notifications;       /* NULL: nobody has asked for any yet */
    bool listening;                  /* by calls of ours, since the last reset */
    TAILQ_HEAD(, pg_closer) closers; /* wait for the socket to be closed */
    ouro_pg_stats stats;
    ouro_pg_error error; /* of the last command that failed */
    const struct pg_owner *owner;
    void *owner_arg;
};

/* ---- Sessions -------------------------------------------------------------------------------- */

/* One on a @db that is connected, which it takes over; with its base handle. 0 or -ENOMEM. */
int ouro__pg_session_new(PGconn *db, const ouro_pg_options *opts, ouro_pg **ret_base);

static inline struct pg_session *ouro__pg_session_ref(struct pg_session *s)
{
    s->refs++;
    return s;
}

void ouro__pg_session_unref(struct pg_session *s);

/* Whether it is lost or closed. */
static inline bool ouro__pg_session_over(const struct pg_session *s)
{
    return s->closing || s->lost;
}

/* The server has gone, or is given up: all that waits is told. @text is copied. */
void ouro__pg_session_lose(struct pg_session *s, int64_t why, const char *text);

/* A future that settles when the socket is closed. */
ouro_future *ouro__pg_session_closed(struct pg_session *s);

/* The socket is closed: tell those who wait for that. */
void ouro__pg_closers_tell(struct pg_session *s);

/* No more: all that waits is told -EBADF, and the socket is closed as soon as no poll holds it. */
void ouro__pg_session_close(struct pg_session *s);

/* Bring it forward as far as that goes without waiting, then wait for the socket. */
void ouro__pg_session_pump(struct pg_session *s);

/* Read what has come to an idle session, before the loop tells of it: it may be lost. */
void ouro__pg_session_look(struct pg_session *s);

/* Whether nothing runs and nothing is left to be done before the line of the top. */
bool ouro__pg_session_is_quiet(const struct pg_session *s);

/* What limits the session's statements, in @buf; NULL: nothing does. */
#define OURO__PG_LIMIT_SQL 64
const char *ouro__pg_limit_sql(ouro_ns limit, char *buf, size_t size);

/* ---- Commands -------------------------------------------------------------------------------- */

/* A command of @size bytes, which begins with a struct pg_command, for a future of its own.
 * Returns NULL and a future that has failed in @ret if that cannot be. @h is checked. */
void *ouro__pg_command_new(ouro_pg *h, size_t size, const struct pg_command_kind *kind,
                           ouro_future **ret);

/* The same for one that nobody waits for, of the session itself. NULL: no memory. */
void *ouro__pg_command_own(struct pg_session *s, size_t size, const struct pg_command_kind *kind);

/* Give such a one a promise, and its maker the future. 0 or what ouro_promise_new() says. */
int ouro__pg_command_promise(struct pg_command *c, ouro_future **ret);

/* The same as ouro__pg_command_new() without a handle yet: it belongs to whoever made it, who sees
 * to its promise's cancel, too, until it is bound. */
void *ouro__pg_command_loose(size_t size, const struct pg_command_kind *kind, ouro_future **ret);

/* Queue such a one on @h. */
void ouro__pg_command_bind(struct pg_command *c, ouro_pg *h);

/* End one that is in no line and does not run, and free it. */
void ouro__pg_command_break(struct pg_command *c, int64_t rc, const char *why);

/* It will not be queued: its promise, if there is one, fails with @rc, and it is ended and freed. */
void ouro__pg_command_unmake(struct pg_command *c, int64_t rc);

/* Have it run, in its turn. With ouro__pg_command_own(): before all lines. */
void ouro__pg_command_queue(struct pg_command *c);

/* Keep the error in @r: the first one of a command counts. */
void ouro__pg_command_failed(struct pg_command *c, const PGresult *r);

/* It fails with @code, if it has not failed with another; no server said so. */
void ouro__pg_command_fail(struct pg_command *c, int64_t code);

/* What went wrong, for end(), with its arguments: the code, and @text may say more, or is empty. */
int64_t ouro__pg_command_outcome(struct pg_command *c, int64_t rc, const char *why, char *text,
                                 size_t size);

/* Settle the promise with that. */
void ouro__pg_command_settle(struct pg_command *c, int64_t rc, const char *why);

/* What send() returns when libpq has refused: there is no memory, or no server. */
int ouro__pg_command_refused(struct pg_command *c);

/* Whether end() was told of a success. */
static inline bool ouro__pg_command_succeeded(const struct pg_command *c, int64_t rc)
{
    return rc == 0 && c->code == 0;
}

/* End one that is in a line. */
void ouro__pg_command_drop(struct pg_command *c, int64_t rc, const char *why);

/* What happens to a command without a cancel() of its own. */
void ouro__pg_command_cancel(struct pg_command *c);

/* A held command is wanted again. */
void ouro__pg_command_resume(struct pg_command *c);

/* A result that is looked at for success or failure alone; takes it over. True: a success. */
bool ouro__pg_command_check(struct pg_command *c, PGresult *r);

/* Run @sql, which is copied, and settle with 0. */
ouro_future *ouro__pg_simple(ouro_pg *h, const char *sql);

/* The same for the session itself. 0 or -ENOMEM. */
int ouro__pg_simple_own(struct pg_session *s, const char *sql);

/* ---- Cancelling ------------------------------------------------------------------------------ */

/* Ask the server to stop the command that runs. */
void ouro__pg_cancel_begin(struct pg_session *s);

/* The current command has ended with @code. */
void ouro__pg_cancel_ended(struct pg_session *s, int64_t code);

/* Whether a request may still hit whatever is sent now. */
static inline bool ouro__pg_cancel_busy(const struct pg_session *s)
{
    return s->cancel.job || s->cancel.lingers;
}

/* What has to be sent before anything else may be: the fence, or NULL. */
struct pg_command *ouro__pg_cancel_fence(struct pg_session *s);

/* The session is over. */
void ouro__pg_cancel_forget(struct pg_session *s);

/* ---- Remarks --------------------------------------------------------------------------------- */

/* Receive the server's notices, and tell the user of them in a later turn. */
void ouro__pg_notices_begin(struct pg_session *s);
void ouro__pg_notices_end(struct pg_session *s);

/* The same while there is no session yet: collect them, then hand them to it, or drop them. */
void ouro__pg_notices_collect(struct pg_notices *early, PGconn *db);
void ouro__pg_notices_adopt(struct pg_session *s, struct pg_notices *early);
void ouro__pg_notices_drop(struct pg_notices *early);

/* Move what the server has notified us of to the queue. */
void ouro__pg_notifications_take(struct pg_session *s);
void ouro__pg_notifications_end(struct pg_session *s);

/* What was kept, and what libpq has, is for nobody; who waits is told -EPIPE. */
void ouro__pg_notifications_drop(struct pg_session *s);

/* ---- Prepared statements --------------------------------------------------------------------- */

struct pg_prepared {
    TAILQ_ENTRY(pg_prepared) used; /* by the time of the last use */
    struct pg_prepared *chained;   /* the next of the same hash */
    uint64_t hash;
    unsigned number; /* of its name */
    bool prepared;   /* on the server; else it was only seen */
    bool busy;       /* the current command is about it */
    bool asked;      /* that command, a pipeline, has it prepared on its way */
    size_t size;
    char sql[];
};

/* The entry of a statement, made if need be; NULL: it is not to be prepared. @ret_seen: it was
 * there. */
struct pg_prepared *ouro__pg_cache_find(struct pg_session *s, const char *sql, size_t size,
                                        bool *ret_seen);

/* Name of a prepared statement, for @buf of OURO__PG_STATEMENT_NAME bytes. */
#define OURO__PG_STATEMENT_NAME 32
const char *ouro__pg_cache_name(const struct pg_prepared *p, char *buf);

/* It is not prepared on the server after all. */
void ouro__pg_cache_forget(struct pg_session *s, struct pg_prepared *p);

/* Nor is it any use to prepare it again under that name: it gets another. */
void ouro__pg_cache_renew(struct pg_session *s, struct pg_prepared *p);

/* The same, and have the server forget what it has under that name. Not in a transaction, which
 * would fail if there is nothing. */
void ouro__pg_cache_replace(struct pg_session *s, struct pg_prepared *p);

/* All are forgotten; @s is over, or has discarded them. */
void ouro__pg_cache_free(struct pg_session *s);

/* ---- Handles --------------------------------------------------------------------------------- */

/* 0, or why a call on @h is refused: -EINVAL, -EBADF, -EXDEV, -ECHILD. */
int ouro__pg_check(const ouro_pg *h);

/* A handle on a session, which it refers to; on another, as a transaction. NULL: no memory. */
ouro_pg *ouro__pg_handle_new(struct pg_session *s, ouro_pg *outer);

/* Keep a handle valid while what happens to it may free it: a commit does, however it ends. */
static inline void ouro__pg_handle_hold(ouro_pg *h)
{
    h->holds++;
}

void ouro__pg_handle_let_go(ouro_pg *h);

/* Free it, now or when nothing holds it. */
void ouro__pg_handle_discard(ouro_pg *h);

/* What stands in its line, or runs on its behalf, fails with -EBADF. */
void ouro__pg_handle_clear(ouro_pg *h);

/* It is over for its user: cleared, and without a session. */
void ouro__pg_handle_detach(ouro_pg *h);

/* The transaction has ended on the server, or will before anything else happens: its outer handle
 * is on top. It, and whatever is inside it, is detached. */
void ouro__pg_handle_pop(ouro_pg *tx);

#endif
