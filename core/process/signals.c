/* SPDX-License-Identifier: MIT */
/*
 * Signals as futures.
 *
 * Happy path: a stream blocks its signals in the loop's thread, so that they stay in the kernel
 * until they are read from a signalfd, which is polled through the ring while somebody waits in
 * line, and only then: a stream alone keeps no loop running. One signal is read for each who waits,
 * the rest stays where it is. Reading is left to the thread, since a worker of the ring would not
 * see what was sent to the thread alone, by raise(3) for one. None of the system calls made here
 * waits.
 *
 * A signal that was handed out and not taken comes again: those are kept as a set, since several of
 * a kind may count as one. One table for the process says which are watched; what a parent watched
 * is free for its forked child.
 *
 * How it fails: opening does all that can fail before it blocks anything. Closing cannot fail.
 */
#include "signals_int.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <ouro/signals.h>

struct ouro_signals {
    ouro_loop *loop;        /* a reference */
    struct ouro__link link; /* in the loop's list while it is open */
    struct ouro__line line;
    struct ouro__giver giver; /* of what those in line are served with */
    ouro_future *poll;        /* a reference; NULL: not polled */
    struct ouro__job polled;
    struct ouro__job unpoll; /* in the loop's list `cancelling` */
    sigset_t watched;
    sigset_t returned; /* read from the kernel, and to come again */
    int64_t sender;
    int fd;        /* -1: closed */
    unsigned refs; /* the user's, and one for each future that may have to be taken back */
};

/* ---- The thread's mask ----------------------------------------------------------------------- */

static _Thread_local struct {
    unsigned times;
    bool was_blocked; /* before the first */
} blocks[_NSIG];

static sigset_t only(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    return set;
}

void ouro__signal_block(int number)
{
    if (blocks[number].times++)
        return;
    sigset_t set = only(number), before;
    pthread_sigmask(SIG_BLOCK, &set, &before);
    blocks[number].was_blocked = sigismember(&before, number);
}

void ouro__signal_unblock(int number)
{
    if (--blocks[number].times)
        return;
    sigset_t set = only(number);
    while (sigtimedwait(&set, NULL, &(struct timespec){0}) == number)
        continue; /* several of them, if it is a real-time signal */
    if (!blocks[number].was_blocked)
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- Who watches what ------------------------------------------------------------------------ */

/* For each signal the generation of the process that watches it, counted from 1; 0: nobody does. */
static atomic_uint claims[_NSIG];

static bool claim(int number)
{
    unsigned mine = ouro__fork_generation + 1;
    unsigned now = atomic_load(&claims[number]);
    return now != mine && atomic_compare_exchange_strong(&claims[number], &now, mine);
}

/* Those of @set up to @last, for a loop of generation @mine - 1. */
static void disclaim(const sigset_t *set, int last, unsigned mine)
{
    for (int i = 1; i <= last; i++) {
        unsigned now = mine;
        if (sigismember(set, i))
            atomic_compare_exchange_strong(&claims[i], &now, 0);
    }
}

static int claim_all(const sigset_t *set)
{
    for (int i = 1; i < _NSIG; i++) {
        if (!sigismember(set, i) || claim(i))
            continue;
        disclaim(set, i - 1, ouro__fork_generation + 1);
        return -EBUSY;
    }
    return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void signals_unref(ouro_signals *s)
{
    assert(s->refs > 0);
    if (--s->refs)
        return;
    ouro_loop *loop = s->loop;
    ouro__release(s);
    ouro_loop_unref(loop);
}

/* Nothing will come for those who wait: @rc. */
static void fail_line(ouro_signals *s, int rc)
{
    while (!ouro__line_empty(&s->line)) {
        ouro__serve(s->line.first, rc);
        signals_unref(s);
    }
}

static void stop_polling(ouro_signals *s)
{
    if (!s->poll)
        return;
    ouro__list_remove(&s->polled.link);
    ouro__cancel(s->poll);
    ouro__unref(s->poll);
    s->poll = NULL;
}

/* End watching. In the child of a fork there is a descriptor and a mask to give back, and nothing
 * else. */
static void stop(ouro_signals *s)
{
    if (s->fd < 0)
        return;
    if (!ouro__loop_forked(s->loop)) {
        fail_line(s, -EPIPE);
        stop_polling(s);
    }
    close(s->fd);
    s->fd = -1;
    for (int i = 1; i < _NSIG; i++)
        if (sigismember(&s->watched, i))
            ouro__signal_unblock(i);
    disclaim(&s->watched, _NSIG - 1, s->loop->fork_generation + 1);
    ouro__list_remove(&s->link);
}

void ouro__signals_stop_all(ouro_loop *loop)
{
    while (!ouro__list_empty(&loop->signals))
        stop(OURO__CONTAINER(loop->signals.next, ouro_signals, link));
}

/* ---- Serving --------------------------------------------------------------------------------- */

/* A signal that has come; 0: none has. */
static int take_number(ouro_signals *s)
{
    for (int i = 1; i < _NSIG; i++)
        if (sigismember(&s->returned, i)) {
            sigdelset(&s->returned, i);
            return i;
        }
    struct signalfd_siginfo info;
    if (read(s->fd, &info, sizeof(info)) != sizeof(info))
        return 0;
    s->sender = info.ssi_pid;
    return (int)info.ssi_signo;
}

/* 0, or why it cannot be polled. */
static int start_polling(ouro_signals *s)
{
    if (s->poll)
        return 0;
    ouro_future *poll = ouro__poll_in(s->fd);
    if (poll->flags & OURO__IMMORTAL)
        return (int)poll->result.n;
    s->poll = poll;
    ouro__watch(poll, &s->polled);
    return 0;
}

static void polled(struct ouro__job *job)
{
    ouro_signals *s = OURO__CONTAINER(job, ouro_signals, polled);
    int64_t n = ouro_future_result(s->poll).n;
    bool failed = s->poll->state == OURO_ERROR;
    ouro__unref(s->poll);
    s->poll = NULL;
    int rc = failed ? (int)n : 0;
    while (rc == 0 && !ouro__line_empty(&s->line)) {
        int number = take_number(s);
        if (number == 0)
            break;
        ouro__serve(s->line.first, number);
    }
    if (rc == 0 && !ouro__line_empty(&s->line))
        rc = start_polling(s);
    if (rc < 0)
        fail_line(s, rc);
}

/* Nobody took it: the next in line has it, or whoever comes next. */
static void come_again(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)loop;
    ouro_signals *s = OURO__CONTAINER(giver, ouro_signals, giver);
    if (s->fd >= 0 && !ouro__line_empty(&s->line))
        ouro__serve(s->line.first, result.n);
    else
        sigaddset(&s->returned, (int)result.n);
    signals_unref(s);
}

static void taken(struct ouro__giver *giver, ouro_loop *loop)
{
    (void)loop;
    signals_unref(OURO__CONTAINER(giver, ouro_signals, giver));
}

static const struct ouro__giver_kind signal_giver = {.back = come_again, .taken = taken};

/* ---- Waiting --------------------------------------------------------------------------------- */

static void stop_polling_for_nobody(struct ouro__job *job)
{
    ouro_signals *s = OURO__CONTAINER(job, ouro_signals, unpoll);
    if (s->poll && ouro__line_empty(&s->line))
        ouro__cancel_chain(s->poll);
}

static void left(struct ouro__waiter *w)
{
    ouro_signals *s = w->of;
    if (ouro__line_empty(&s->line) && !ouro__linked(&s->unpoll.link))
        ouro__list_push(&s->loop->cancelling, &s->unpoll.link);
    signals_unref(s);
}

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_signals *s = w->of;
    const char *separator = "";
    *text = '\0';
    for (int number = 1; number < _NSIG && size > 1; number++) {
        if (sigismember(&s->watched, number) != 1)
            continue;
        const char *name = sigabbrev_np(number);
        snprintf(text, size, "%s%s", separator, name ? name : "RT");
        size -= strlen(text);
        text += strlen(text);
        separator = " or ";
    }
}

static const struct ouro__wait_kind signal_kind = {
    .name = "signal", .left = left, .describe = describe};

/* One that comes again, without a wait. */
static ouro_future *next_again(ouro_signals *s)
{
    int number = take_number(s);
    ouro_future *f = ouro__granted_future(s->loop, (ouro_result){number, NULL}, &s->giver);
    if (f->flags & OURO__IMMORTAL)
        sigaddset(&s->returned, number);
    else
        s->refs++;
    return f;
}

ouro_future *ouro_signals_next(ouro_signals *s)
{
    int rc = s ? ouro__loop_check(s->loop) : -EINVAL;
    if (rc == 0 && s->loop->phase >= OURO__SHUT)
        rc = -ESHUTDOWN;
    if (rc == 0 && !sigisemptyset(&s->returned))
        return next_again(s);
    if (rc == 0)
        rc = start_polling(s);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__waiter w = {.kind = &signal_kind, .of = s};
    ouro_future *f = ouro__wait_future(s->loop, &s->line, &w, &s->giver);
    if (!(f->flags & OURO__IMMORTAL))
        s->refs++;
    else if (ouro__line_empty(&s->line))
        stop_polling(s);
    return f;
}

int64_t ouro_signals_sender(const ouro_signals *s)
{
    return s ? s->sender : -EINVAL;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

/* Whether it can be watched. What says that an instruction has failed cannot wait until it is
 * read. */
static bool watchable(int number)
{
    static const int fatal[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
        if (number == fatal[i])
            return false;
    sigset_t set;
    sigemptyset(&set);
    return sigaddset(&set, number) == 0; /* nor one that the C library keeps for itself */
}

static int collect(const int *numbers, size_t n, sigset_t *ret_set)
{
    if (!numbers || n == 0)
        return -EINVAL;
    sigemptyset(ret_set);
    for (size_t i = 0; i < n; i++) {
        if (!watchable(numbers[i]))
            return -EINVAL;
        sigaddset(ret_set, numbers[i]);
    }
    return 0;
}

/* A stream with a descriptor, which does not watch yet. */
static int signals_new(ouro_loop *loop, const sigset_t *set, ouro_signals **ret_signals)
{
    ouro_signals *s = ouro__alloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (ouro_signals){
        .loop = ouro_loop_ref(loop),
        .giver = {.kind = &signal_giver},
        .polled = {.run = polled},
        .unpoll = {.run = stop_polling_for_nobody},
        .watched = *set,
        .refs = 1,
    };
    sigemptyset(&s->returned);
    s->fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
    *ret_signals = s;
    if (s->fd >= 0)
        return 0;
    int rc = -errno;
    signals_unref(s);
    return rc;
}

int ouro_signals_open(const int *numbers, size_t n, ouro_signals **ret_signals)
{
    ouro_loop *loop;
    sigset_t set;
    int rc = ret_signals ? collect(numbers, n, &set) : -EINVAL;
    if (rc == 0)
        rc = ouro__loop_for_work(&loop);
    if (rc == 0)
        rc = claim_all(&set);
    if (rc < 0)
        return rc;
    ouro_signals *s = NULL; /* gcc does not know that errno is set */
    rc = signals_new(loop, &set, &s);
    if (rc < 0) {
        disclaim(&set, _NSIG - 1, ouro__fork_generation + 1);
        return rc;
    }
    for (int i = 1; i < _NSIG; i++)
        if (sigismember(&set, i))
            ouro__signal_block(i);
    ouro__list_push(&loop->signals, &s->link);
    *ret_signals = s;
    return 0;
}

ouro_signals *ouro_signals_close(ouro_signals *s)
{
    if (!s)
        return NULL;
    if (!ouro__loop_is_here(s->loop)) {
        ouro__report_wrong_thread("signals");
        return NULL;
    }
    stop(s);
    signals_unref(s);
    return NULL;
}

/* ---- Once ------------------------------------------------------------------------------------ */

/* The wait has ended, and the watch with it: what nobody takes does not come again. */
static ouro_future *watched_once(ouro_future *done, void *arg)
{
    (void)done;
    ouro_signals_close(arg);
    return NULL;
}

ouro_future *ouro_signal_wait(int number)
{
    ouro_signals *s;
    int rc = ouro_signals_open(&number, 1, &s);
    if (rc < 0)
        return ouro_ready(rc);
    ouro_future *next = ouro_signals_next(s);
    ouro_future *f = ouro_then(next, watched_once, s);
    if (f == next || (f->flags & OURO__IMMORTAL))
        ouro_signals_close(s); /* no memory: it was not called */
    return f;
}
