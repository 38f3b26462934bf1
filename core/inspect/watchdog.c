/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: a thread that notices a step of the loop which does not end.
 *
 * Happy path: the loop counts its steps in `beat`, which the thread looks at four times a limit. A
 * number that stays, and is odd (the loop is not asleep), is a step that takes too long: the thread
 * sends the loop's thread a signal, whose handler leaves its stack and the name of its task in the
 * watch, and tells of it.
 *
 * The handler runs on the loop's own thread, so that it finds its watch without a lock and never
 * after the end of it. It uses what a signal handler may, and backtrace(3), which is loaded before:
 * in that, it is as good as the unwinder. A thread that does not answer, since it has the signal
 * blocked, is told of without a stack. A step that ended before it could answer is not told of.
 */
#include "loop_int.h"
#include "signal_stack.h"

#include <ouro/inspect.h>

#include <execinfo.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define DEFAULT_LIMIT  OURO_MS(100)
#define DEFAULT_SIGNAL SIGURG
#define LEAST_NAP      OURO_MS(1)
#define MOST_NAP       OURO_SEC(3600)
#define ANSWER_NAP     OURO_MS(1)
#define ANSWER_NAPS    200 /* that the thread has to answer */
#define PAUSE \
    OURO_SEC(1) /* this late, the whole process was stopped: nobody was
                                      blocked */
#define FRAMES_MAX 64

enum question {
    NOTHING_ASKED,
    ASKED,     /* what is the thread doing? */
    ANSWERING, /* the handler is at it */
    ANSWERED
};

struct ouro__watch {
    ouro_loop *loop;
    ouro_watchdog_options opts;
    pid_t tid; /* of the loop's thread */
    pthread_t thread;
    sem_t stop;
    bool was_blocked; /* the signal, in that thread */
    bool unanswered;  /* one may still be on its way */

    /* The question, and after that the answer. */
    atomic_int question; /* enum question */
    uint64_t beat;       /* that it is about */
    bool same_step;
    bool has_name;
    char name[OURO__NAME_MAX];
    size_t frame_count;
    void *frames[FRAMES_MAX];
};

/* ---- The answer, on the loop's thread -------------------------------------------------------- */

/* Where the signal came in between; NULL: unknown. */
static void *interrupted_at(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (void *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (void *)(uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return NULL;
#endif
}

/* The stack without the handler's own frames. */
static void leave_stack(struct ouro__watch *w, const void *innermost)
{
    size_t n = ouro__frames(w->frames, FRAMES_MAX);
    size_t skip = 0;
    while (skip < n && w->frames[skip] != innermost)
        skip++;
    if (skip == n)
        skip = 0;
    for (size_t i = skip; i < n; i++)
        w->frames[i - skip] = w->frames[i];
    w->frame_count = n - skip;
}

static void answer(struct ouro__watch *w, const ucontext_t *context)
{
    const ouro_loop *loop = w->loop;
    w->same_step = atomic_load_explicit(&loop->beat, memory_order_relaxed) == w->beat;
    if (w->same_step) {
        leave_stack(w, interrupted_at(context));
        w->has_name = loop->task;
        for (size_t i = 0; w->has_name && i < OURO__NAME_MAX - 1; i++)
            if (!(w->name[i] = loop->task->name[i]))
                break;
    }
    atomic_store(&w->question, ANSWERED);
}

static void on_question(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    int saved = errno;
    struct ouro__watch *w = ouro__this_loop ? ouro__this_loop->watch : NULL;
    int asked = ASKED;
    if (w && atomic_compare_exchange_strong(&w->question, &asked, ANSWERING))
        answer(w, context);
    errno = saved;
}

/* ---- The signal ------------------------------------------------------------------------------ */

/* The process's, with the number of watches that use each. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct claim {
    unsigned users;
    struct sigaction before;
} claims[NSIG];

static bool has_handler(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) ||
           (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static int install(int signal, struct sigaction *ret_before)
{
    struct sigaction action = {
        .sa_sigaction = on_question,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
    };
    if (sigaction(signal, NULL, ret_before) < 0)
        return -EINVAL;
    if (has_handler(ret_before))
        return -EBUSY;
    sigemptyset(&action.sa_mask);
    return sigaction(signal, &action, NULL) < 0 ? -EINVAL : 0;
}

static int claim(int signal)
{
    if (signal <= 0 || signal >= NSIG)
        return -EINVAL;
    pthread_mutex_lock(&lock);
    struct claim *c = &claims[signal];
    int rc = c->users ? 0 : install(signal, &c->before);
    if (rc == 0)
        c->users++;
    pthread_mutex_unlock(&lock);
    return rc;
}

/* Give the signal's action back, unless somebody has changed it meanwhile. */
static void restore(int signal)
{
    struct sigaction now;
    if (sigaction(signal, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
        now.sa_sigaction == on_question)
        sigaction(signal, &claims[signal].before, NULL);
}

static void disclaim(int signal)
{
    pthread_mutex_lock(&lock);
    if (--claims[signal].users == 0)
        restore(signal);
    pthread_mutex_unlock(&lock);
}

/* ---- Fork: the child has no watchdog --------------------------------------------------------- */

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
    for (int signal = 1; signal < NSIG; signal++) {
        if (claims[signal].users)
            restore(signal);
        claims[signal].users = 0;
    }
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, in_parent, in_child);
}

/* ---- The thread ------------------------------------------------------------------------------ */

/* What the thread has seen of the loop. */
struct sight {
    uint64_t beat;
    ouro_ns since;  /* it has stood at that */
    ouro_ns looked; /* when it did so last */
    bool told;
};

static ouro_ns clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return OURO_SEC(now.tv_sec) + (ouro_ns)now.tv_nsec;
}

static struct timespec to_timespec(ouro_ns time)
{
    return (struct timespec){(time_t)(time / OURO_SEC(1)), (long)(time % OURO_SEC(1))};
}

/* Have the loop's thread say what it is doing. Whether it is still at it. */
static bool ask(struct ouro__watch *w, uint64_t beat)
{
    struct timespec nap = to_timespec(ANSWER_NAP);
    w->beat = beat;
    w->has_name = false;
    w->frame_count = 0;
    atomic_store(&w->question, ASKED);
    tgkill(getpid(), w->tid, w->opts.signal);
    for (int i = 0; i < ANSWER_NAPS && atomic_load(&w->question) != ANSWERED; i++)
        nanosleep(&nap, NULL);
    int asked = ASKED;
    if (atomic_compare_exchange_strong(&w->question, &asked, NOTHING_ASKED)) {
        w->unanswered = true;
        return atomic_load_explicit(&w->loop->beat, memory_order_relaxed) == beat;
    }
    while (atomic_load(&w->question) != ANSWERED)
        nanosleep(&nap, NULL);
    return w->same_step;
}

/* Not by stdio, whose lock may be just what the loop's thread has. */
static void print(const ouro_blocked *blocked, void *arg)
{
    (void)arg;
    unsigned long long ms = blocked->duration / OURO_MS(1);
    if (!blocked->frame_count)
        dprintf(STDERR_FILENO,
                "ouro: a loop has been held for %llu ms, and its thread does not answer\n", ms);
    else if (blocked->name)
        dprintf(STDERR_FILENO, "ouro: task '%s' has held its loop for %llu ms, and still does:\n",
                blocked->name, ms);
    else
        dprintf(STDERR_FILENO, "ouro: a callback has held its loop for %llu ms, and still does:\n",
                ms);
    backtrace_symbols_fd(blocked->frames, (int)blocked->frame_count, STDERR_FILENO);
}

static void tell(struct ouro__watch *w, ouro_ns duration)
{
    ouro_blocked blocked = {
        .name = w->has_name ? w->name : NULL,
        .duration = duration,
        .frames = w->frames,
        .frame_count = w->frame_count,
    };
    w->opts.fn(&blocked, w->opts.arg);
}

static void look(struct ouro__watch *w, struct sight *s, ouro_ns nap)
{
    uint64_t beat = atomic_load_explicit(&w->loop->beat, memory_order_relaxed);
    ouro_ns now = clock_now();
    bool asleep = !(beat & 1);
    if (beat != s->beat || now - s->looked > nap + PAUSE) {
        s->told = s->told && beat == s->beat;
        s->beat = beat;
        s->since = now;
    } else if (!asleep && !s->told && now - s->since >= w->opts.limit) {
        s->told = true;
        if (ask(w, beat))
            tell(w, now - s->since);
    }
    s->looked = clock_now();
}

static ouro_ns nap_for(ouro_ns limit)
{
    ouro_ns nap = limit / 4;
    if (nap < LEAST_NAP)
        return LEAST_NAP;
    return nap < MOST_NAP ? nap : MOST_NAP;
}

static void *run(void *arg)
{
    struct ouro__watch *w = arg;
    struct sight s = {.since = clock_now(), .looked = clock_now()};
    ouro_ns nap = nap_for(w->opts.limit);
    struct timespec next;
    do {
        look(w, &s, nap);
        next = to_timespec(clock_now() + nap);
    } while (sem_clockwait(&w->stop, CLOCK_MONOTONIC, &next) < 0);
    return NULL;
}

/* ---- Starting and stopping ------------------------------------------------------------------- */

static struct ouro__watch *watch_new(ouro_loop *loop, const ouro_watchdog_options *opts)
{
    struct ouro__watch *w = ouro__alloc(sizeof(*w));
    if (!w)
        return NULL;
    *w = (struct ouro__watch){.loop = loop, .opts = *opts, .tid = gettid()};
    if (!w->opts.limit)
        w->opts.limit = DEFAULT_LIMIT;
    if (!w->opts.fn)
        w->opts.fn = print;
    if (!w->opts.signal)
        w->opts.signal = DEFAULT_SIGNAL;
    sem_init(&w->stop, 0, 0);
    if (ouro__signal_stack_hold())
        return w;
    ouro__release(w);
    return NULL;
}

static void watch_free(struct ouro__watch *w)
{
    ouro__signal_stack_let_go();
    ouro__release(w);
}

/* The thread handles no signal of the program's. */
static int start_thread(struct ouro__watch *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(w->thread, "ouro-watchdog");
    return rc == 0 ? 0 : -EAGAIN;
}

static sigset_t just(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

/* A worker's thread, for one, has all signals blocked. */
static void let_signal_in(struct ouro__watch *w)
{
    sigset_t set = just(w->opts.signal), before;
    pthread_sigmask(SIG_UNBLOCK, &set, &before);
    w->was_blocked = sigismember(&before, w->opts.signal) == 1;
}

/* One that was not answered may be answered by nobody from now on. */
static void keep_signal_out(struct ouro__watch *w)
{
    sigset_t set = just(w->opts.signal);
    if (w->unanswered)
        sigtimedwait(&set, NULL, &(struct timespec){0});
    if (w->was_blocked)
        pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void end(struct ouro__watch *w)
{
    sem_post(&w->stop);
    pthread_join(w->thread, NULL);
    w->loop->watch = NULL;
    w->loop->stepwise = w->loop->measured;
    keep_signal_out(w);
    disclaim(w->opts.signal);
    watch_free(w);
}

static int begin(struct ouro__watch *w)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    ouro_loop *loop = w->loop;
    pthread_once(&once, watch_forks);
    ouro__frames_prepare();
    int rc = claim(w->opts.signal);
    if (rc < 0)
        return rc;
    let_signal_in(w);
    loop->watch = w;
    ouro__beat(loop, ouro__loop_in_use(loop));
    rc = start_thread(w);
    if (rc < 0) {
        loop->watch = NULL;
        keep_signal_out(w);
        disclaim(w->opts.signal);
        return rc;
    }
    loop->stepwise = true;
    return 0;
}

int ouro_watchdog_start(const ouro_watchdog_options *opts)
{
    static const ouro_watchdog_options defaults;
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return rc;
    if (loop->watch)
        return -EBUSY;
    struct ouro__watch *w = watch_new(loop, opts ? opts : &defaults);
    if (!w)
        return -ENOMEM;
    rc = begin(w);
    if (rc < 0)
        watch_free(w);
    return rc;
}

int ouro_watchdog_stop(void)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return rc;
    if (!loop->watch)
        return 0;
    end(loop->watch);
    return 1;
}

void ouro__watch_close(ouro_loop *loop, bool quietly)
{
    if (!loop->watch)
        return;
    if (quietly)
        watch_free(loop->watch);
    else
        end(loop->watch);
    loop->watch = NULL;
}
