/* SPDX-License-Identifier: MIT */
/*
 * ouro_run_workers(): a program that runs a loop on each of several threads.
 *
 * Every worker makes its loop and waits at a gate, which opens when all of them are there: so no
 * main task can ask for a loop that is not. The first main task that fails, or is stopped, has the
 * others cancelled by a post to each; SIGINT wakes all loops, and each cancels its own. The loops
 * of a team are referenced until its last thread has ended, so calls to a worker that has are
 * refused and no more.
 *
 * How it fails: if a thread or a loop cannot be had, the gate tells those that were to go home, and
 * no main task has run.
 */
#include "run_int.h"

#include <ouro/thread.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_WORKERS 1024

struct team;

struct worker {
    struct team *team;
    int index;
    ouro_future *main;      /* NULL: not begun, or over */
    struct ouro__post stop; /* cancels it */
    pthread_t thread;       /* but for number 0 */
    int64_t result;
};

enum gate { SHUT = 0, OPEN, GO_HOME };

struct team {
    ouro_task_fn *fn;
    void *arg;
    ouro_run_options opts;
    bool has_sigint;
    atomic_bool stopping;  /* the main tasks have been cancelled by one of us, */
    const char *reason;    /* for this */
    atomic_bool cancelled; /* and one of them has ended by that, or by SIGINT */
    _Atomic int64_t error; /* the first; 0: none */

    pthread_mutex_t lock;
    pthread_cond_t moved;
    int arrived; /* at the gate */
    int rc;      /* why one came without a loop */
    enum gate gate;

    int n;
    ouro_loop **loops; /* references, by index; NULL: could not be made */
    struct worker workers[];
};

static _Thread_local struct worker *self;

/* ---- The gate -------------------------------------------------------------------------------- */

/* @w has its loop, or @rc says why not. */
static void arrive(struct worker *w, ouro_loop *loop, int rc)
{
    struct team *team = w->team;
    pthread_mutex_lock(&team->lock);
    team->loops[w->index] = rc == 0 ? ouro_loop_ref(loop) : NULL;
    if (rc < 0 && team->rc == 0)
        team->rc = rc;
    team->arrived++;
    pthread_cond_broadcast(&team->moved);
    pthread_mutex_unlock(&team->lock);
}

/* Whether there is work behind it. */
static bool pass_gate(struct team *team)
{
    pthread_mutex_lock(&team->lock);
    while (team->gate == SHUT)
        pthread_cond_wait(&team->moved, &team->lock);
    bool go = team->gate == OPEN;
    pthread_mutex_unlock(&team->lock);
    return go;
}

/* Until the @started have arrived. 0, or why the team is not complete. */
static int await_arrivals(struct team *team, int started)
{
    pthread_mutex_lock(&team->lock);
    while (team->arrived < started)
        pthread_cond_wait(&team->moved, &team->lock);
    int rc = team->rc;
    pthread_mutex_unlock(&team->lock);
    return rc == 0 && started < team->n ? -EAGAIN : rc;
}

static void move_gate(struct team *team, enum gate to)
{
    pthread_mutex_lock(&team->lock);
    team->gate = to;
    pthread_cond_broadcast(&team->moved);
    pthread_mutex_unlock(&team->lock);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static void stop_run(struct ouro__job *job)
{
    struct worker *w = OURO__CONTAINER(job, struct worker, stop.job);
    if (w->main && w->main->state == OURO_PENDING)
        ouro__task_cancel(ouro__task_of(w->main), w->team->reason);
}

static void stop_drop(struct ouro__post *post, bool quietly)
{
    (void)post;
    (void)quietly;
}

/* Cancel every main task, once. A worker whose loop is closed has nothing to be stopped. */
static void stop_all(struct team *team, const char *reason)
{
    if (atomic_exchange(&team->stopping, true))
        return;
    team->reason = reason;
    for (int i = 0; i < team->n; i++) {
        struct worker *w = &team->workers[i];
        w->stop = (struct ouro__post){.job = {.run = stop_run}, .drop = stop_drop};
        ouro__post(team->loops[i], &w->stop);
    }
}

static void stopped_here(void)
{
    stop_all(self->team, "stopped");
}

/* ---- A worker -------------------------------------------------------------------------------- */

static bool team_was_stopped(struct team *team)
{
    return atomic_load(&team->stopping) || (team->has_sigint && ouro__sigint_came());
}

/* Note what the main task came to. An error that is not the team's own doing ends the team. */
static void judge(struct worker *w, int64_t n)
{
    struct team *team = w->team;
    int64_t none = 0;
    w->result = n;
    if (n >= 0)
        return;
    if (w->main->state == OURO_CANCELLED && team_was_stopped(team)) {
        atomic_store(&team->cancelled, true);
        return;
    }
    atomic_compare_exchange_strong(&team->error, &none, n);
    stop_all(team, "another worker failed");
}

static void work(struct worker *w, ouro_loop *loop)
{
    struct team *team = w->team;
    const ouro_run_options *opts = &team->opts;
    int rc = 0;
    ouro__print_on_signal(loop);
    w->main = ouro__main_spawn(team->fn, team->arg, opts);
    if (ouro__task_of(w->main))
        rc = ouro__main_run(loop, w->main, team->has_sigint, stopped_here);
    judge(w, rc < 0 ? rc : ouro_future_result(w->main).n);
    ouro_loop_shutdown(loop, opts->grace ? opts->grace : OURO__DEFAULT_GRACE);
    w->main = ouro_unref(w->main);
    ouro__print_off_signal(loop);
}

static void *worker_thread(void *arg)
{
    struct worker *w = arg;
    char name[16];
    snprintf(name, sizeof(name), "ouro-w%d", w->index);
    pthread_setname_np(pthread_self(), name);
    self = w;
    ouro_loop *loop = NULL;
    int rc = ouro_loop_new(&w->team->opts.loop, &loop);
    arrive(w, loop, rc);
    if (pass_gate(w->team))
        work(w, loop);
    ouro_loop_close(loop);
    return NULL;
}

/* ---- The team -------------------------------------------------------------------------------- */

/* Threads for all but worker 0, as many as can be had. Signals are for the program's own threads,
 * but for those that tell of a fault in this one. Returns how many workers there are now. */
static int start_threads(struct team *team)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int started = 1;
    while (started < team->n && pthread_create(&team->workers[started].thread, NULL, worker_thread,
                                               &team->workers[started]) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* The sum of the results, or what stands in its place. */
static int64_t verdict(struct team *team)
{
    int64_t error = atomic_load(&team->error);
    if (error)
        return error;
    if (atomic_load(&team->cancelled))
        return team->has_sigint && ouro__sigint_came() ? -EINTR : -ECANCELED;
    int64_t sum = 0;
    for (int i = 0; i < team->n; i++)
        if (__builtin_add_overflow(sum, team->workers[i].result, &sum))
            return INT64_MAX;
    return sum;
}

/* As worker 0, from its loop to the end of the last thread. */
static int64_t lead(struct team *team, ouro_loop *loop)
{
    struct ouro__interruptible who = {.loops = team->loops, .n = team->n};
    self = &team->workers[0];
    arrive(self, loop, 0);
    int started = start_threads(team);
    int rc = await_arrivals(team, started);
    if (rc == 0)
        team->has_sigint = !team->opts.keep_sigint && ouro__sigint_claim(&who);
    move_gate(team, rc == 0 ? OPEN : GO_HOME);
    if (rc == 0)
        work(self, loop);
    ouro_loop_close(loop);
    for (int i = 1; i < started; i++)
        pthread_join(team->workers[i].thread, NULL);
    int64_t result = rc == 0 ? verdict(team) : rc;
    if (team->has_sigint)
        ouro__sigint_disclaim();
    for (int i = 1; i < started; i++)
        ouro_loop_unref(team->loops[i]);
    self = NULL;
    return result;
}

static struct team *team_new(int n, ouro_task_fn *fn, void *arg, const ouro_run_options *opts)
{
    size_t size = sizeof(struct team) + (size_t)n * sizeof(struct worker);
    struct team *team = ouro__alloc(size + (size_t)n * sizeof(ouro_loop *));
    if (!team)
        return NULL;
    *team = (struct team){
        .fn = fn,
        .arg = arg,
        .n = n,
        .loops = (void *)((char *)team + size),
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .moved = PTHREAD_COND_INITIALIZER,
    };
    if (opts)
        team->opts = *opts;
    for (int i = 0; i < n; i++) {
        team->workers[i] = (struct worker){.team = team, .index = i};
        team->loops[i] = NULL;
    }
    return team;
}

int64_t ouro_run_workers(int n, ouro_task_fn *main, void *arg, const ouro_run_options *opts)
{
    if (n < 1 || n > MAX_WORKERS || !main)
        return -EINVAL;
    ouro_loop *loop;
    int rc = ouro__main_loop_new(opts ? &opts->loop : NULL, &loop);
    if (rc < 0)
        return rc;
    struct team *team = team_new(n, main, arg, opts);
    if (!team) {
        ouro_loop_close(loop);
        return -ENOMEM;
    }
    int64_t result = lead(team, loop);
    loop = team->loops[0];
    pthread_cond_destroy(&team->moved);
    pthread_mutex_destroy(&team->lock);
    ouro__release(team);
    ouro_loop_unref(loop); /* the last: while there is a loop, the allocator stays */
    return result;
}

/* ---- About workers --------------------------------------------------------------------------- */

int ouro_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int ouro_worker_index(void)
{
    return self ? self->index : -EPERM;
}

int ouro_worker_count(void)
{
    return self ? self->team->n : -EPERM;
}

ouro_loop *ouro_worker_loop(int index)
{
    return self && index >= 0 && index < self->team->n ? self->team->loops[index] : NULL;
}
