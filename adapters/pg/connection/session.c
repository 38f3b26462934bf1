/* SPDX-License-Identifier: MIT */
/*
 * Sessions: what is sent, what comes, and the end.
 *
 * Happy path: a command is queued, and nothing runs: libpq gets it at once. When the socket brings
 * its results, the pump hands them to the command, ends it, and begins the next, until there is
 * nothing to do but to wait for the socket. The poll for input is armed as long as the session
 * lives, so that the server's end and its notifications are noticed when they happen; but not while
 * a command is held, whose bytes are left to the kernel, and so to the server.
 *
 * How it fails: libpq says that the connection is bad. What it has read before is still handed on,
 * since it tells why; then everything that waits fails with that.
 *
 * The end is the same for all: no poll may hold the socket when it is closed.
 */
#include "session.h"

#include <ouro/memory.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Pieces that are moved in one go, results for the most part, before others have their turn. */
#define PIECES_A_TURN 512

/* What a pump may do yet. */
struct turn {
    unsigned left; /* pieces */
    bool full;     /* libpq has enough to send */
};

/* ---- References ------------------------------------------------------------------------------ */

static void session_free(struct pg_session *s)
{
    ouro__pg_cache_free(s);
    ouro_queue_free(s->notifications);
    ouro_memory_release(s);
}

void ouro__pg_session_unref(struct pg_session *s)
{
    if (s && --s->refs == 0)
        session_free(s);
}

/* ---- The end --------------------------------------------------------------------------------- */

/* Close the socket, if nothing holds it. */
static void finish(struct pg_session *s)
{
    if (!s->db || s->in.poll || s->out.poll)
        return;
    PQfinish(s->db);
    s->db = NULL;
    ouro__pg_closers_tell(s);
    if (s->owner)
        s->owner->gone(s, s->owner_arg);
}

static void stop_waiting(struct pg_session *s, struct pg_wait *w)
{
    bool armed = w->poll;
    if (armed && !ouro__pg_wait_cancel(w))
        ouro__pg_session_unref(s);
}

static void end_line(struct pg_line *line, int64_t rc, const char *why)
{
    struct pg_command *c;
    while ((c = TAILQ_FIRST(line)))
        ouro__pg_command_drop(c, rc, why);
}

/* It is over: tell everybody, let go of the socket. */
static void break_off(struct pg_session *s)
{
    int64_t rc = s->lost ? s->lost : -EBADF;
    const char *why = s->lost && *s->why ? s->why : NULL;
    ouro__pg_session_ref(s);
    struct pg_command *c = s->current;
    s->current = NULL;
    if (c)
        ouro__pg_command_break(c, rc, why);
    end_line(&s->own, rc, why);
    for (ouro_pg *h = s->top, *outer; h; h = outer) {
        outer = h->outer;
        ouro__pg_handle_hold(h);
        end_line(&h->line, rc, why);
        ouro__pg_handle_let_go(h);
    }
    if (s->again) {
        if (ouro_call_cancel(s->again) == 1)
            ouro__pg_session_unref(s);
        s->again = ouro_call_unref(s->again);
    }
    ouro__pg_cancel_forget(s);
    ouro__pg_notices_end(s);
    ouro__pg_notifications_end(s);
    stop_waiting(s, &s->in);
    stop_waiting(s, &s->out);
    if (s->owner && s->lost)
        s->owner->lost(s, s->owner_arg);
    finish(s);
    ouro__pg_session_unref(s);
}

void ouro__pg_session_lose(struct pg_session *s, int64_t why, const char *text)
{
    if (ouro__pg_session_over(s))
        return;
    s->lost = why;
    snprintf(s->why, sizeof s->why, "%s", text ? text : ouro_strerror(why));
    s->why[strcspn(s->why, "\n")] = '\0'; /* libpq's second lines are advice for people */
    if (!s->pumping)
        break_off(s);
}

void ouro__pg_session_close(struct pg_session *s)
{
    if (s->closing)
        return;
    bool was_lost = s->lost;
    s->closing = true;
    if (!was_lost && !s->pumping)
        break_off(s);
}

/* The server is gone, by what libpq says. */
static void lose_bad(struct pg_session *s)
{
    if (s->fatal)
        ouro__pg_session_lose(s, s->fatal, s->error.code == s->fatal ? s->error.message : NULL);
    else
        ouro__pg_session_lose(s, -ECONNRESET, PQerrorMessage(s->db));
}

/* ---- One command after the other ------------------------------------------------------------- */

static void end_current(struct pg_session *s)
{
    struct pg_command *c = s->current;
    /* Of one that was cancelled again and again, who knows which request has hit it. */
    int64_t code = c->stubborn ? 0 : c->code;
    s->current = NULL;
    c->running = false;
    s->stats.errors += c->code != 0;
    ouro__pg_command_break(c, 0, NULL);
    if (PQstatus(s->db) == CONNECTION_BAD)
        lose_bad(s);
    else
        ouro__pg_cancel_ended(s, code);
}

/* A step is over: send the next one, or end. */
static void step_over(struct pg_session *s)
{
    struct pg_command *c = s->current;
    enum pg_next next = c->kind->done ? c->kind->done(c) : PG_OVER;
    if (next == PG_STAY)
        return;
    if (next == PG_SEND && c->cancelled)
        ouro__pg_command_fail(c, -OURO_ESQL_QUERY_CANCELED);
    else if (next == PG_SEND) {
        int rc = c->kind->send(c, s->db);
        if (rc == 0)
            return;
        if (rc < 0)
            ouro__pg_command_fail(c, rc);
    }
    end_current(s);
}

static struct pg_command *next_command(struct pg_session *s)
{
    if (ouro__pg_cancel_busy(s))
        return ouro__pg_cancel_fence(s);
    struct pg_command *c = TAILQ_FIRST(&s->own);
    struct pg_line *line = c || !s->top ? &s->own : &s->top->line;
    c = TAILQ_FIRST(line);
    if (c) {
        TAILQ_REMOVE(line, c, link);
        s->stats.waiting--;
    }
    return c;
}

static bool begin_next(struct pg_session *s)
{
    struct pg_command *c = next_command(s);
    if (!c)
        return false;
    s->current = c;
    c->running = true;
    s->stats.statements++;
    int rc = c->kind->send(c, s->db);
    if (rc < 0)
        ouro__pg_command_fail(c, rc);
    if (rc != 0)
        end_current(s);
    return true;
}

static void pump_again(void *arg)
{
    struct pg_session *s = arg;
    s->again = ouro_call_unref(s->again);
    ouro__pg_session_pump(s);
    ouro__pg_session_unref(s);
}

/* Let others run before the rest. */
static void pause_pump(struct pg_session *s)
{
    if (s->again)
        return;
    if (ouro_call_soon(pump_again, s, NULL, &s->again) == 0)
        ouro__pg_session_ref(s);
    else
        ouro__pg_session_lose(s, -ENOMEM, NULL);
}

static bool spend(struct pg_session *s, struct turn *turn)
{
    if (turn->left == 0) {
        pause_pump(s);
        return false;
    }
    turn->left--;
    return true;
}

/* Bring the current command forward. False: that takes the socket, or others' turns. */
static bool bring_forward(struct pg_session *s, struct turn *turn)
{
    struct pg_command *c = s->current;
    while (c->feeding && !turn->full) {
        if (!spend(s, turn))
            return false;
        turn->full = !c->kind->feed(c, s->db);
    }
    if (c->held)
        return false;
    if (c->copying)
        return spend(s, turn) && c->kind->copy(c, s->db);
    if (PQisBusy(s->db)) {
        if (c->kind->drained)
            c->kind->drained(c);
        return false;
    }
    if (!spend(s, turn))
        return false;
    PGresult *r = PQgetResult(s->db);
    if (r)
        c->kind->result(c, r);
    else
        step_over(s);
    return true;
}

/* ---- The socket ------------------------------------------------------------------------------ */

static void on_input(void *arg, int64_t events);
static void on_room(void *arg, int64_t events);

static void wait_for(struct pg_session *s, struct pg_wait *w, unsigned events)
{
    if (w->poll)
        return;
    int rc = ouro__pg_wait_begin(w, PQsocket(s->db), events);
    if (rc == 0)
        ouro__pg_session_ref(s);
    else
        ouro__pg_session_lose(s, rc, NULL);
}

/* What cannot be sent now waits for room; while it does, what comes is read all the same, since the
 * server may wait for us to read. But a pump that has paused has read enough. */
static void wait_for_socket(struct pg_session *s)
{
    bool all_sent = PQflush(s->db) != 1; /* an error shows again when we read, and then with why */
    bool held = s->current && s->current->held;
    if (all_sent && s->current && s->current->feeding)
        pause_pump(s);
    if (!held && !s->again && !ouro__pg_session_over(s))
        wait_for(s, &s->in, POLLIN);
    if (!all_sent && !ouro__pg_session_over(s))
        wait_for(s, &s->out, POLLOUT);
}

bool ouro__pg_session_is_quiet(const struct pg_session *s)
{
    return !ouro__pg_session_over(s) && !s->current && TAILQ_EMPTY(&s->own) &&
           !ouro__pg_cancel_busy(s) && (!s->top || (!s->top->outer && TAILQ_EMPTY(&s->top->line)));
}

void ouro__pg_session_pump(struct pg_session *s)
{
    if (s->pumping || ouro__pg_session_over(s))
        return;
    ouro__pg_session_ref(s);
    struct turn turn = {.left = PIECES_A_TURN};
    s->pumping = true;
    while (!ouro__pg_session_over(s) && (s->current || begin_next(s)) &&
           !ouro__pg_session_over(s) && (!s->current || bring_forward(s, &turn)))
        continue;
    s->pumping = false;
    if (ouro__pg_session_over(s))
        break_off(s);
    else
        wait_for_socket(s);
    if (s->owner && ouro__pg_session_is_quiet(s))
        s->owner->quiet(s, s->owner_arg);
    ouro__pg_session_unref(s);
}

/* The connection is bad: what was read before tells why. */
static void read_last_words(struct pg_session *s)
{
    PGresult *r;
    while (s->current && !s->current->copying && (r = PQgetResult(s->db)))
        s->current->kind->result(s->current, r);
    if (s->current && !s->current->copying)
        end_current(s);
    lose_bad(s);
}

static void read_input(struct pg_session *s)
{
    struct pg_command *c = s->current;
    ouro__pg_session_ref(s);
    if (c && c->copying && c->kind->look)
        c->kind->look(c, s->db);
    bool good = PQconsumeInput(s->db);
    PQisBusy(s->db); /* has it look at what came, although nothing may run */
    ouro__pg_notifications_take(s);
    ouro__pg_session_pump(s);
    if (!good && !ouro__pg_session_over(s)) {
        s->pumping = true;
        read_last_words(s);
        s->pumping = false;
        break_off(s);
    }
    ouro__pg_session_unref(s);
}

/* A poll was cancelled, and not by us: the loop is shut down. */
static void poll_failed(struct pg_session *s, int64_t rc)
{
    bool shutdown = rc == -ECANCELED;
    ouro__pg_session_lose(s, shutdown ? -ESHUTDOWN : rc,
                          shutdown ? "the loop was shut down" : "cannot poll the connection");
}

static void on_input(void *arg, int64_t events)
{
    struct pg_session *s = arg;
    if (ouro__pg_session_over(s))
        finish(s);
    else if (events < 0)
        poll_failed(s, events);
    else if (s->current && s->current->held)
        s->unread = true;
    else
        read_input(s);
    ouro__pg_session_unref(s);
}

static void on_room(void *arg, int64_t events)
{
    struct pg_session *s = arg;
    if (ouro__pg_session_over(s))
        finish(s);
    else if (events < 0)
        poll_failed(s, events);
    else
        ouro__pg_session_pump(s);
    ouro__pg_session_unref(s);
}

void ouro__pg_command_resume(struct pg_command *c)
{
    struct pg_session *s = c->session;
    c->held = false;
    if (!s->unread) {
        ouro__pg_session_pump(s);
        return;
    }
    s->unread = false;
    read_input(s);
}

/* ---- The beginning --------------------------------------------------------------------------- */

int ouro__pg_session_new(PGconn *db, const ouro_pg_options *opts, ouro_pg **ret_base)
{
    struct pg_session *s = ouro_memory_alloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct pg_session){
        .db = db,
        .loop = ouro_loop_current(),
        .pid = getpid(),
        .backend = PQbackendPID(db),
        .opts = *opts,
        .in = {.ready = on_input, .arg = s},
        .out = {.ready = on_room, .arg = s},
    };
    TAILQ_INIT(&s->own);
    TAILQ_INIT(&s->closers);
    s->top = ouro__pg_handle_new(s, NULL);
    if (!s->top) {
        ouro_memory_release(s);
        return -ENOMEM;
    }
    ouro__pg_notices_begin(s);
    *ret_base = s->top;
    ouro__pg_session_pump(s);
    return 0;
}
