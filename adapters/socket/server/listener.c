/* SPDX-License-Identifier: MIT */
/*
 * Listeners: connections from the kernel to those who wait for one.
 *
 * Happy path: whoever wants a connection stands in line, and while somebody does, one multishot
 * accept is armed, which the kernel completes for each connection. The first in line has it, as a
 * stream made there and then. One for which nobody waits stays here as a descriptor and, if still
 * nobody has come in the next turn, the accept is cancelled: so a crowd is taken in one go by a
 * program that keeps accepting, and one that does not leaves it to the kernel's queue.
 *
 * A connection that was handed out and not taken is a grant: it comes back, to where it comes out
 * next. Room for that is reserved when the wait begins, so that coming back cannot fail.
 *
 * How it fails: what only the one connection has is skipped. Want of descriptors or memory pauses
 * the listener, until one of our own is closed or a growing time has passed; the connections stay
 * in the kernel's queue meanwhile. Keeping a spare descriptor to accept and drop them with would
 * tell clients sooner, and lose connections that could have been served a moment later. All else is
 * told to those who wait. A stream that cannot be made for want of memory leaves the connection for
 * the next who asks.
 *
 * A close resets what is in the kernel's queue. So for a server the queue is emptied before, as
 * close as can be: who connects between the last look and the close is still turned away.
 *
 * The record has a reference for the user's handle, one until the descriptor is closed, and one for
 * each connection that was asked for and may still come back.
 */
#include "listener_int.h"

#include "queue_store.h"
#include "stream_int.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_PAUSE   OURO_MS(10)
#define LONGEST_PAUSE OURO_SEC(1)
#define SKIPS_IN_ROW  64    /* then it looks as if none could be accepted */
#define LEFT_MAX      65536 /* no queue of the kernel's is longer; new ones may come all the time */

enum state { LISTENING, CLOSING, CLOSED };

struct ouro_listener {
    ouro_loop *loop;           /* a reference */
    struct ouro__tie tie;      /* while the loop is open */
    struct ouro__op op;        /* the accept that is armed, if it is live */
    struct ouro__line line;    /* who waits for a connection */
    struct ouro__line closing; /* who waits for the close */
    struct ouro__store ready;  /* descriptors that came for nobody; empty while somebody waits */
    struct ouro__giver giver;  /* of streams */
    struct ouro__job unwanted; /* looks whether anybody has come for them */
    struct ouro__timer resume; /* ends a pause */
    struct ouro__link starved; /* in the loop's list, while paused */
    struct ouro__listening at;
    ouro_stream_options stream; /* defaults filled in */
    ouro_listener_stats stats;
    ouro_ns pause;    /* the last one; 0: none since a connection came */
    unsigned skips;   /* since a connection came */
    unsigned keepers; /* servers: what has come when it closes is theirs */
    uint32_t refs;
    uint8_t state;   /* enum state */
    bool one_by_one; /* the kernel knows no multishot accept */
    bool reported;
};

static void ref(ouro_listener *l)
{
    l->refs++;
}

static void unref(ouro_listener *l)
{
    assert(l->refs > 0);
    if (--l->refs)
        return;
    ouro_loop *loop = l->loop;
    ouro__store_drop(&l->ready);
    ouro__release(l);
    ouro_loop_unref(loop);
}

/* ---- The line -------------------------------------------------------------------------------- */

/* Whoever was promised a connection has it for good, or does without. */
static void promise_over(ouro_listener *l)
{
    ouro__store_unreserve(&l->ready);
    unref(l);
}

static void left(struct ouro__waiter *w)
{
    ouro_listener *l = w->of;
    l->stats.waiting--;
    promise_over(l);
}

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    ouro_address_print(&((const ouro_listener *)w->of)->at.address, text, size);
}

static const struct ouro__wait_kind accept_kind = {
    .name = "accept", .left = left, .describe = describe};

static void fail_first(ouro_listener *l, int rc)
{
    l->stats.waiting--;
    ouro__serve(l->line.first, rc);
    promise_over(l);
}

static void fail_line(ouro_listener *l, int rc)
{
    while (!ouro__line_empty(&l->line))
        fail_first(l, rc);
}

/* ---- Handing out ----------------------------------------------------------------------------- */

static void drop(ouro_listener *l, int fd)
{
    l->stats.dropped++;
    l->loop->driver->ops->close_fd(l->loop->driver, fd);
}

static void drop_ready(ouro_listener *l)
{
    while (l->ready.count)
        drop(l, (int)(intptr_t)ouro__store_take(&l->ready));
}

/* The first in line has @fd. If there is no memory for that, he is told, and the next has it. */
static void hand_out(ouro_listener *l, int fd)
{
    ouro_stream *s;
    struct ouro__waiter *w = l->line.first;
    int rc = ouro__stream_make(l->loop, fd, true, &l->stream, &s);
    l->stats.waiting--;
    if (rc < 0) {
        ouro__store_return(&l->ready, (void *)(intptr_t)fd);
        ouro__serve(w, rc);
        unref(l);
        return;
    }
    w->item = s;
    ouro__serve(w, 0);
}

static void serve_line(ouro_listener *l)
{
    while (!ouro__line_empty(&l->line) && l->ready.count)
        hand_out(l, (int)(intptr_t)ouro__store_take(&l->ready));
}

static void take_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)loop;
    ouro_listener *l = OURO__CONTAINER(giver, ouro_listener, giver);
    int fd = l->state == LISTENING || l->keepers ? ouro__stream_give_up(result.ptr) : -EBADF;
    ouro_stream_free(result.ptr);
    if (fd < 0) {
        l->stats.dropped++;
        promise_over(l);
        return;
    }
    l->stats.returned++;
    ouro__store_return(&l->ready, (void *)(intptr_t)fd);
    serve_line(l);
    unref(l);
}

static void taken(struct ouro__giver *giver, ouro_loop *loop)
{
    (void)loop;
    promise_over(OURO__CONTAINER(giver, ouro_listener, giver));
}

static const struct ouro__giver_kind stream_giver = {
    .back = take_back, .taken = taken, .in_ptr = true};

/* ---- Accepting ------------------------------------------------------------------------------- */

static void completed(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags);

/* Have the kernel accept, if somebody waits for that. 0 or -ENOMEM. */
static int arm(ouro_listener *l)
{
    if (ouro__line_empty(&l->line) || ouro__op_live(&l->op) || l->stats.paused ||
        l->state != LISTENING)
        return 0;
    l->op.complete = completed;
    l->op.sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_ACCEPT,
        .fd = l->at.fd,
        .accept_flags = SOCK_CLOEXEC,
        .ioprio = l->one_by_one ? 0 : IORING_ACCEPT_MULTISHOT,
    };
    return ouro__op_start_idle(l->loop, &l->op);
}

/* Serve who waits with what is here, and have more come. */
static void go_on(ouro_listener *l)
{
    serve_line(l);
    if (arm(l) < 0)
        fail_line(l, -ENOMEM);
}

void ouro__listener_rest(ouro_listener *l)
{
    if (ouro__line_empty(&l->line) && ouro__op_live(&l->op) && l->state == LISTENING)
        ouro__op_cancel(l->loop, &l->op);
}

static void look_for_takers(struct ouro__job *job)
{
    ouro__listener_rest(OURO__CONTAINER(job, ouro_listener, unwanted));
}

static void came(ouro_listener *l, int fd)
{
    l->stats.accepted++;
    l->pause = 0;
    l->skips = 0;
    if (l->state != LISTENING && !l->keepers) {
        drop(l, fd);
    } else if (!ouro__line_empty(&l->line)) {
        hand_out(l, fd);
        serve_line(l);
    } else if (!ouro__store_put(&l->ready, (void *)(intptr_t)fd)) {
        drop(l, fd);
        ouro__listener_rest(l);
    } else if (l->state == LISTENING && !ouro__linked(&l->unwanted.link)) {
        ouro__ready(l->loop, &l->unwanted);
    }
}

/* ---- Pausing --------------------------------------------------------------------------------- */

static void end_pause(ouro_listener *l)
{
    if (!l->stats.paused)
        return;
    l->stats.paused = 0;
    ouro__list_remove(&l->starved);
    ouro__timer_cancel(&l->loop->timers, &l->resume);
}

static void resume(struct ouro__timer *timer)
{
    ouro_listener *l = OURO__CONTAINER(timer, ouro_listener, resume);
    end_pause(l);
    go_on(l);
}

/* Their timers are due now: setting one that was just set finds its room again. */
void ouro__listeners_retry(ouro_loop *loop)
{
    OURO__LIST_FOR (link, &loop->starved) {
        struct ouro__timer *timer = &OURO__CONTAINER(link, ouro_listener, starved)->resume;
        ouro__timer_cancel(&loop->timers, timer);
        int rc = ouro__timer_set(&loop->timers, timer, ouro__loop_now(loop));
        assert(rc == 0);
        (void)rc;
    }
}

static void report(ouro_listener *l, int rc)
{
    char where[OURO_ADDRESS_TEXT];
    if (l->reported)
        return;
    l->reported = true;
    ouro_address_print(&l->at.address, where, sizeof(where));
    ouro__report(l->loop, &(ouro_report){
                              .kind = OURO_REPORT_OVERLOAD,
                              .error = rc,
                              .what = "listener",
                              .name = where,
                              .message = "pauses, and connections wait in the kernel's queue",
                          });
}

static void pause_for(ouro_listener *l, int rc)
{
    l->pause = l->pause ? l->pause * 2 : FIRST_PAUSE;
    if (l->pause > LONGEST_PAUSE)
        l->pause = LONGEST_PAUSE;
    ouro_ns until = ouro__ns_add(ouro__loop_now(l->loop), l->pause);
    if (ouro__timer_set(&l->loop->timers, &l->resume, until) < 0) {
        fail_line(l, -ENOMEM);
        return;
    }
    l->stats.pauses++;
    l->stats.paused = 1;
    ouro__list_push(&l->loop->starved, &l->starved);
    report(l, rc);
}

/* What accept(2) brings of one connection's fate, and none of the listener's. */
static bool is_of_one(int rc)
{
    switch (-rc) {
    case ECONNABORTED:
    case ECONNRESET:
    case EAGAIN:
    case EPROTO:
    case EPERM: /* a filter forbids it */
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return true;
    default:
        return false;
    }
}

static bool is_want(int rc)
{
    return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

static void failed(ouro_listener *l, int rc)
{
    if (l->state != LISTENING || rc == -ECANCELED || rc == -EINTR)
        return;
    if (is_of_one(rc)) {
        l->stats.skipped++;
        if (++l->skips % SKIPS_IN_ROW == 0)
            pause_for(l, rc);
    } else if (is_want(rc)) {
        pause_for(l, rc);
    } else if (rc == -EINVAL && !l->one_by_one && l->stats.accepted == 0) {
        l->one_by_one = true; /* before Linux 5.19; if it was not that, it fails again */
    } else {
        fail_line(l, rc);
    }
}

/* ---- The end --------------------------------------------------------------------------------- */

static void accept_left(ouro_listener *l)
{
    for (int i = 0; i < LEFT_MAX; i++) {
        int fd = accept4(l->at.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            came(l, fd);
        else if (errno == EAGAIN || !is_of_one(-errno))
            return;
    }
}

/* Whom the kernel has accepted for us it would reset. The socket may be shared with other threads,
 * which look at its flags, too, when they close it, and with other processes; it is left to them as
 * it was. */
static void empty_queue(ouro_listener *l)
{
    static pthread_mutex_t flags_lock = PTHREAD_MUTEX_INITIALIZER;
    struct pollfd look = {.fd = l->at.fd, .events = POLLIN};
    if (poll(&look, 1, 0) != 1)
        return;
    pthread_mutex_lock(&flags_lock);
    int flags = fcntl(l->at.fd, F_GETFL);
    if (flags >= 0 && fcntl(l->at.fd, F_SETFL, flags | O_NONBLOCK) == 0) {
        accept_left(l);
        fcntl(l->at.fd, F_SETFL, flags);
    }
    pthread_mutex_unlock(&flags_lock);
}

/* Nothing is in the kernel any more. */
static void closed(ouro_listener *l)
{
    if (l->keepers && !ouro__listening_lives_on(&l->at))
        empty_queue(l);
    l->state = CLOSED;
    ouro__untie(&l->tie);
    l->loop->driver->ops->close_fd(l->loop->driver, l->at.fd);
    l->at.fd = -1;
    ouro__listeners_retry(l->loop);
    ouro__serve_all(&l->closing, 0);
    unref(l);
}

static void begin_close(ouro_listener *l)
{
    if (l->state != LISTENING)
        return;
    l->state = CLOSING;
    ref(l);
    end_pause(l);
    fail_line(l, -EBADF);
    if (ouro__linked(&l->unwanted.link))
        ouro__list_remove(&l->unwanted.link);
    if (!l->keepers)
        drop_ready(l);
    ouro__listening_unlink(&l->at);
    if (!ouro__op_live(&l->op) || ouro__op_cancel(l->loop, &l->op))
        closed(l);
    unref(l);
}

static void completed(ouro_loop *loop, struct ouro__op *op, int32_t res, uint32_t flags)
{
    (void)loop;
    ouro_listener *l = OURO__CONTAINER(op, ouro_listener, op);
    ref(l);
    if (res >= 0)
        came(l, res);
    else
        failed(l, res);
    if (flags & IORING_CQE_F_MORE)
        ; /* still armed */
    else if (l->state == CLOSING)
        closed(l);
    else
        go_on(l);
    unref(l);
}

void ouro__listener_keep(ouro_listener *l)
{
    ref(l);
    l->keepers++;
}

void ouro__listener_unkeep(ouro_listener *l)
{
    assert(l->keepers > 0);
    if (--l->keepers == 0 && l->state != LISTENING)
        drop_ready(l);
    unref(l);
}

int ouro__listener_left(ouro_listener *l, ouro_stream **ret_stream)
{
    if (l->state == LISTENING || l->ready.count == 0)
        return -ENOENT;
    int fd = (int)(intptr_t)ouro__store_take(&l->ready);
    int rc = ouro__stream_make(l->loop, fd, true, &l->stream, ret_stream);
    if (rc < 0)
        drop(l, fd);
    return rc;
}

static void cut(struct ouro__tie *tie, ouro_loop *loop, bool quietly)
{
    ouro_listener *l = OURO__CONTAINER(tie, ouro_listener, tie);
    if (quietly) {
        end_pause(l);
        drop_ready(l);
        l->state = CLOSED;
        close(l->at.fd);
        l->at.fd = -1;
        unref(l);
    } else if (!loop->abandoned) {
        begin_close(l);
    } else {
        l->state = CLOSING; /* for ever */
    }
}

/* ---- Making ---------------------------------------------------------------------------------- */

int ouro__listener_make(const struct ouro__listening *listening, const ouro_listener_options *opts,
                        ouro_listener **ret_listener)
{
    ouro_loop *loop;
    ouro_stream_options stream;
    int rc = ret_listener ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0)
        rc = ouro__stream_settle_options(opts ? &opts->stream : NULL, &stream);
    if (rc < 0)
        return rc;
    ouro_listener *l = ouro__alloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    memset(l, 0, sizeof(*l));
    l->loop = ouro_loop_ref(loop);
    l->tie.cut = cut;
    ouro__store_init(&l->ready, &(ouro_queue_options){.order = OURO_QUEUE_FIFO});
    l->giver.kind = &stream_giver;
    l->unwanted.run = look_for_takers;
    ouro__timer_init(&l->resume, resume);
    l->at = *listening;
    l->stream = stream;
    l->refs = 2;
    ouro__tie(loop, &l->tie);
    *ret_listener = l;
    return 0;
}

/* Listen, when that has come to @rc, or undo it. */
static int make_or_close(int rc, struct ouro__listening *listening,
                         const ouro_listener_options *opts, ouro_listener **ret_listener)
{
    if (rc < 0)
        return rc;
    rc = ouro__listener_make(listening, opts, ret_listener);
    if (rc < 0) {
        ouro__listening_unlink(listening);
        close(listening->fd);
    }
    return rc;
}

int ouro_listen(const char *where, const ouro_listener_options *opts, ouro_listener **ret_listener)
{
    struct ouro__listening listening;
    ouro_loop *loop;
    int rc = ret_listener ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0)
        rc = ouro__listening_at(where, opts, &listening);
    return make_or_close(rc, &listening, opts, ret_listener);
}

int ouro_listener_open(const ouro_address *address, const ouro_listener_options *opts,
                       ouro_listener **ret_listener)
{
    struct ouro__listening listening;
    ouro_loop *loop;
    int rc = ret_listener ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0)
        rc = ouro__listening_on(address, opts, &listening);
    return make_or_close(rc, &listening, opts, ret_listener);
}

int ouro_listener_from_fd(int fd, const ouro_listener_options *opts, ouro_listener **ret_listener)
{
    struct ouro__listening listening;
    ouro_loop *loop;
    int rc = ret_listener ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0)
        rc = ouro__listening_from(fd, &listening);
    return rc < 0 ? rc : ouro__listener_make(&listening, opts, ret_listener);
}

/* ---- The handle ------------------------------------------------------------------------------ */

static int check_handle(const ouro_listener *l)
{
    if (!l)
        return -EINVAL;
    if (ouro__loop_forked(l->loop))
        return -ECHILD;
    return ouro__loop_is_here(l->loop) ? 0 : ouro__wrong_thread(l->loop, "listener");
}

int ouro__listener_check(const ouro_listener *l)
{
    int rc = check_handle(l);
    if (rc == 0 && l->loop->phase >= OURO__SHUT)
        return -ESHUTDOWN;
    return rc == 0 && l->state != LISTENING ? -EBADF : rc;
}

ouro_future *ouro_listener_accept(ouro_listener *l)
{
    int rc = ouro__listener_check(l);
    if (rc == 0 && !ouro__store_reserve(&l->ready))
        rc = -ENOMEM;
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__waiter w = {.kind = &accept_kind, .of = l};
    ouro_future *f = ouro__wait_future(l->loop, &l->line, &w, &l->giver);
    if (f->flags & OURO__IMMORTAL) {
        ouro__store_unreserve(&l->ready);
        return f;
    }
    ref(l);
    l->stats.waiting++;
    go_on(l);
    return f;
}

static const struct ouro__wait_kind close_kind = {.name = "close of a listener"};

ouro_future *ouro_listener_close(ouro_listener *l)
{
    int rc = check_handle(l);
    if (rc < 0)
        return ouro__failed(rc);
    begin_close(l);
    if (l->state == CLOSED)
        return ouro_ready(0);
    struct ouro__waiter w = {.kind = &close_kind, .of = l};
    return ouro__wait_future(l->loop, &l->closing, &w, NULL);
}

ouro_listener *ouro_listener_free(ouro_listener *l)
{
    if (!l || check_handle(l) == -EXDEV)
        return NULL;
    if (!ouro__loop_forked(l->loop))
        begin_close(l);
    unref(l);
    return NULL;
}

/* ---- Looking --------------------------------------------------------------------------------- */

int ouro_listener_address(const ouro_listener *l, ouro_address *ret_address)
{
    if (!l || !ret_address)
        return -EINVAL;
    if (l->state != LISTENING)
        return -EBADF;
    *ret_address = l->at.address;
    return 0;
}

int ouro_listener_fd(const ouro_listener *l)
{
    if (!l)
        return -EINVAL;
    return l->state == LISTENING ? l->at.fd : -EBADF;
}

int ouro_listener_stats_get(const ouro_listener *l, ouro_listener_stats *ret_stats)
{
    if (!l || !ret_stats)
        return -EINVAL;
    *ret_stats = l->stats;
    ret_stats->ready = l->ready.count;
    return 0;
}
