/* SPDX-License-Identifier: MIT */
#ifndef OURO_PG_POOL_INT_H
#define OURO_PG_POOL_INT_H

/*
 * A pool is a line of those who wait, and members: connections, from the attempt at them until
 * their socket is closed, all of which count.
 *
 * Nothing of the user's runs inside the pool, and whatever changes the one or the other ends by
 * ouro__pg_pool_serve(), which brings them together. It never runs inside itself: see there.
 */

#include <ouro/pg_pool.h>

#include "session.h"
#include "socket_wait.h"

enum pg_member_state {
    PG_CONNECTING,
    PG_IDLE,
    PG_LEASED,
    PG_DRAINING, /* being tidied up, asked for a sign of life, or closed */
    PG_MEMBER_STATES
};

struct pg_member {
    TAILQ_ENTRY(pg_member) all;
    TAILQ_ENTRY(pg_member) idle; /* while it is */
    ouro_pg_pool *pool;          /* a reference */
    enum pg_member_state state;
    ouro_future *attempt;    /* while it is PG_CONNECTING; a reference */
    ouro_pg *base;           /* NULL: not connected yet. What it came with, and single statements
                                of the pool run on; on top of the session unless it is leased */
    struct pg_lease *lease;  /* who has it; NULL with PG_LEASED: a single statement */
    struct pg_command chore; /* the tidying, or the question for a sign of life */
    int step;                /* of the tidying */
    bool asked;              /* the chore is that question */
    bool dying;              /* its socket is being closed, or the server has gone */
    ouro_ns dies;            /* when it is too old */
    ouro_ns idle_since;
    ouro_ns deadline; /* of a chore; OURO_FOREVER: there is none */
};

/* Who stands in line: with a lease to be filled, or a statement to be run. */
struct pg_waiter {
    TAILQ_ENTRY(pg_waiter) link;
    ouro_pg_pool *pool;
    struct pg_lease *lease;     /* that this is part of, or NULL */
    struct pg_command *command; /* or NULL */
    ouro_promise *promise;      /* the lease's, or the command's */
    bool in_line;
    ouro_ns since;
};

/* A handle for users, over and over. `handle` is the first, so that it can be freed as one. */
struct pg_lease {
    ouro_pg handle; /* its session: NULL when the lease is over */
    TAILQ_ENTRY(pg_lease) link;
    ouro_pg_pool *pool;       /* a reference while it is out */
    struct pg_member *member; /* NULL: over, or lost */
    bool out;                 /* a user has it */
    struct pg_waiter waiter;
};

/* Who waits for the pool to be ready, or closed. */
struct pg_watcher {
    TAILQ_ENTRY(pg_watcher) link;
    struct pg_watchers *line;
    ouro_promise *promise;
};
TAILQ_HEAD(pg_watchers, pg_watcher);

struct ouro_pg_pool {
    unsigned refs; /* of the user, members, leases that are out, the alarm, tasks */
    ouro_loop *loop;
    pid_t pid;
    char *conninfo;
    ouro_pg_pool_options opts; /* defaults filled in */
    uint64_t dice;

    TAILQ_HEAD(, pg_member) members;
    TAILQ_HEAD(, pg_member) idle; /* the last used first */
    int total;
    int counts[PG_MEMBER_STATES];
    int dying; /* of those that drain */
    int asked; /* likewise */

    TAILQ_HEAD(pg_waiters, pg_waiter) line;
    int waiting;
    struct pg_watchers ready;
    struct pg_watchers closers;
    TAILQ_HEAD(, pg_lease) leases; /* that nobody has, the one that is free for longest first */
    unsigned free_leases;

    int64_t error; /* of the last attempt; 0: it succeeded, or there was none */
    char why[512];
    unsigned failed; /* attempts in a row */
    ouro_ns retry_at;

    struct pg_wait alarm;
    ouro_ns alarm_at; /* OURO_FOREVER: not wanted */
    bool alarm_moved; /* it was cancelled, to be set anew */

    unsigned holds; /* serving has to wait */
    bool serve;     /* and is wanted */
    bool closing;
    bool closed;
    bool taken_away;  /* leases were, by the close */
    bool shutdown;    /* the loop is ending: nothing can be connected any more */
    ouro_ns grace_at; /* when leases are taken away */

    ouro_pg_pool_stats stats; /* the counters that only grow */
};

/* ---- The pool -------------------------------------------------------------------------------- */

static inline ouro_pg_pool *ouro__pg_pool_ref(ouro_pg_pool *pool)
{
    pool->refs++;
    return pool;
}

void ouro__pg_pool_unref(ouro_pg_pool *pool);

/* 0, or why a call is refused. */
int ouro__pg_pool_refuses(const ouro_pg_pool *pool);

/* See that its numbers fit together. */
void ouro__pg_pool_check(const ouro_pg_pool *pool);

/* Connections that are there, or will be. */
static inline int ouro__pg_pool_live(const ouro_pg_pool *pool)
{
    return pool->total - pool->dying;
}

/* Whether it has a connection, and its minimum of them. */
bool ouro__pg_pool_is_ready(const ouro_pg_pool *pool);

/* The loop is ending: there will be no more connections. */
void ouro__pg_pool_shut_down(ouro_pg_pool *pool);

/* Its last member has gone. */
void ouro__pg_pool_emptied(ouro_pg_pool *pool);

/* It is, or the last attempt has failed. */
void ouro__pg_watchers_tell(struct pg_watchers *line, int64_t rc, const char *why);

/* A number below @n, which is not 0. */
uint64_t ouro__pg_pool_dice(ouro_pg_pool *pool, uint64_t n);

static inline ouro_ns ouro__pg_later(ouro_ns a, ouro_ns b)
{
    return a > OURO_FOREVER - b ? OURO_FOREVER : a + b;
}

/* ---- The line -------------------------------------------------------------------------------- */

/* Bring together who waits and what is idle, and connect if more is wanted. While the pool is held,
 * that waits until it is let go. */
void ouro__pg_pool_serve(ouro_pg_pool *pool);
void ouro__pg_pool_hold(ouro_pg_pool *pool);
void ouro__pg_pool_let_go(ouro_pg_pool *pool);

/* Serve @w, now or in its turn, or refuse it. One with a command is copied. */
void ouro__pg_line_enter(ouro_pg_pool *pool, struct pg_waiter *w);

/* Send all away. */
void ouro__pg_line_fail(ouro_pg_pool *pool, int64_t rc, const char *why);

/* Send those away who have waited for too long. The deadline of the first that is left. */
ouro_ns ouro__pg_line_expire(ouro_pg_pool *pool, ouro_ns now);

/* ---- Members --------------------------------------------------------------------------------- */

/* Begin another attempt. */
void ouro__pg_member_connect(ouro_pg_pool *pool);

/* An attempt has failed. */
void ouro__pg_attempt_failed(ouro_pg_pool *pool, int64_t rc, const char *why);

void ouro__pg_member_move(struct pg_member *m, enum pg_member_state state);

/* Its user has done with it. */
void ouro__pg_member_give_back(struct pg_member *m);

/* Close it. It may be gone when this returns. */
void ouro__pg_member_close(struct pg_member *m);

/* Stop the attempt. It may be gone when this returns. */
void ouro__pg_member_stop(struct pg_member *m);

/* One that is idle, young enough and known to be alive; or NULL. */
struct pg_member *ouro__pg_member_find(ouro_pg_pool *pool);

/* Close what is too old, idle for too long, or has been tidied up for too long. When to look
 * again. */
ouro_ns ouro__pg_members_sweep(ouro_pg_pool *pool, ouro_ns now);

/* ---- Tidying --------------------------------------------------------------------------------- */

/* Whether there is anything to be done after a lease. */
bool ouro__pg_is_tidy(const struct pg_member *m);

/* Do it; quiet() is called when it is done, or the session is lost. */
void ouro__pg_tidy(struct pg_member *m);

/* Ask for a sign of life; likewise. */
void ouro__pg_ask(struct pg_member *m);

/* ---- Leases ---------------------------------------------------------------------------------- */

/* A handle to be filled, with a waiter. NULL: no memory. */
struct pg_lease *ouro__pg_lease_new(ouro_pg_pool *pool);

/* Nobody has got it. */
void ouro__pg_lease_unmake(struct pg_lease *l);

/* Fill it with @m, and hand it to who waits for it. */
void ouro__pg_lease_give(struct pg_lease *l, struct pg_member *m);

/* The user of a lease has done with it: the connection goes back, to be tidied up. */
void ouro__pg_lease_end(ouro_pg *lease);

/* The same, and the handle is kept a while, so that who uses it all the same is told -EBADF. */
void ouro__pg_lease_free(ouro_pg *lease);

/* End them all, and what single statements run: the pool is closed, and the grace is over. */
void ouro__pg_leases_take_away(ouro_pg_pool *pool);

/* Free the handles that are kept. */
void ouro__pg_leases_free(ouro_pg_pool *pool);

/* ---- The alarm ------------------------------------------------------------------------------- */

/* Have a look at everything at @when, or earlier. */
void ouro__pg_alarm_set(ouro_pg_pool *pool, ouro_ns when);

/* It is not wanted any more. */
void ouro__pg_alarm_stop(ouro_pg_pool *pool);

#endif
