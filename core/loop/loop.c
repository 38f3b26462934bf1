/* SPDX-License-Identifier: MIT */
/*
 * The event loop: its turn, and the ways to run it.
 *
 * A turn runs what is ready (a snapshot: what that makes ready waits for the next turn), buries the
 * dead, hands queued operations to the driver in the same call that waits, takes a bounded number
 * of completions, and fires the timers that are due; completions first, so that a result beats a
 * deadline. Whatever a turn finds to do makes the wait of that turn zero, so nothing ready is ever
 * slept over.
 *
 * The only failure is one of the ring itself; everything else belongs to some future.
 */
#include "loop_int.h"

#include <string.h>

#define REAP_BATCH  8
#define REAP_MAX    512 /* completions a turn: what comes faster must not keep timers waiting */
#define BROUGHT_MAX ((size_t)256 * 1024) /* what they bring is used while it is in the cache */
#define SHORT_MAX   64 /* turns in a row that only run the ready list and look at the ring */
#define TRIM_EVERY  OURO_SEC(1)

_Thread_local ouro_loop *ouro__this_loop;

ouro_loop *ouro_loop_current(void)
{
    return ouro__this_loop;
}

int ouro__loop_check(const ouro_loop *loop)
{
    if (!loop)
        return -EINVAL;
    if (ouro__loop_forked(loop))
        return -ECHILD;
    if (!ouro__loop_is_here(loop))
        return ouro__wrong_thread(loop, "loop");
    return loop->phase == OURO__CLOSED ? -ESHUTDOWN : 0;
}

/* ---- The turn -------------------------------------------------------------------------------- */

/* Which of the times it is: 0 below 1 us, 1 below 2, 2 below 4, ... */
static unsigned time_class(ouro_ns took)
{
    uint64_t us = took / OURO_US(1);
    unsigned bits = us ? 64 - (unsigned)__builtin_clzll(us) : 0;
    return bits < OURO_STEP_TIMES ? bits : OURO_STEP_TIMES - 1;
}

static void count_step(struct ouro__steps *steps, ouro_ns took)
{
    steps->count++;
    steps->times[time_class(took)]++;
    if (took > steps->longest)
        steps->longest = took;
}

static void report_slow_step(ouro_loop *loop, ouro_ns took)
{
    ouro__report(loop, &(ouro_report){.kind = OURO_REPORT_SLOW_STEP,
                                      .duration = took,
                                      .what = loop->step.what,
                                      .name = loop->step.name[0] ? loop->step.name : NULL,
                                      .message = "held the loop",
                                      .frames = loop->step.frames,
                                      .frame_count = loop->step.frame_count});
}

/* Run one job, and see how long it takes. */
static void run_measured(ouro_loop *loop, struct ouro__job *job)
{
    loop->step.what = "callback";
    loop->step.name[0] = '\0';
    loop->step.frame_count = 0;
    loop->step.began = ouro__loop_now(loop);
    job->run(job);
    ouro_ns took = ouro__loop_now(loop) - loop->step.began;
    count_step(&loop->steps, took);
    if (loop->debug && took > OURO__SLOW_STEP)
        report_slow_step(loop, took);
}

/* Run one job that is measured, watched, or both. */
static void run_step(ouro_loop *loop, struct ouro__job *job)
{
    ouro__beat(loop, true);
    if (loop->measured)
        run_measured(loop, job);
    else
        job->run(job);
}

static void run_batch(ouro_loop *loop)
{
    uint64_t before = loop->steps.count;
    struct ouro__link *link;
    while ((link = ouro__list_pop(&loop->batch))) {
        struct ouro__job *job = OURO__CONTAINER(link, struct ouro__job, link);
        if (loop->stepwise)
            run_step(loop, job);
        else
            job->run(job);
    }
    if (loop->steps.count - before > loop->steps.most)
        loop->steps.most = loop->steps.count - before;
    ouro__loop_bury(loop);
}

void ouro__loop_run_ready(ouro_loop *loop)
{
    ouro__list_splice(&loop->batch, &loop->ready);
    run_batch(loop);
}

static bool has_enough(const ouro_loop *loop)
{
    return loop->enough && loop->enough(loop);
}

/* Something to do that the driver knows nothing of, or nothing any more: no reason to sleep. */
static bool busy(ouro_loop *loop)
{
    return !ouro__list_empty(&loop->ready) || !ouro__list_empty(&loop->dead) ||
           ouro__ops_waiting(&loop->ops) || loop->stopping || has_enough(loop);
}

/* Stacks that stay unused lose their pages, which takes an idle loop up to two extra turns. */
static ouro_ns trim_stacks(ouro_loop *loop, ouro_ns deadline)
{
    if (!ouro__stacks_idle(&loop->stacks))
        return deadline;
    ouro_ns now = ouro__loop_now(loop);
    if (now >= loop->next_trim) {
        ouro__stacks_trim(&loop->stacks);
        loop->next_trim = now + TRIM_EVERY;
    }
    return loop->next_trim < deadline ? loop->next_trim : deadline;
}

/* How long the driver may wait: 0, or a point of time, having told other threads that we sleep. */
static ouro_ns wait_until(ouro_loop *loop, ouro_ns deadline)
{
    if (deadline == 0 || busy(loop)) {
        /* This turn is the one that was asked for; what woke us is looked at before the next. */
        if (atomic_load_explicit(&loop->woken, memory_order_relaxed))
            atomic_store(&loop->woken, 0);
        return 0;
    }
    ouro_ns timer = ouro__timers_next(&loop->timers);
    deadline = trim_stacks(loop, timer < deadline ? timer : deadline);
    atomic_store(&loop->sleeping, 1);
    if (!ouro__posts_waiting(loop) && !atomic_exchange(&loop->woken, 0))
        return deadline;
    atomic_store(&loop->sleeping, 0);
    return 0;
}

void ouro__loop_submit(ouro_loop *loop)
{
    ouro__ops_flush(loop);
    loop->driver->ops->submit(loop->driver, 0);
}

static void take_completions(ouro_loop *loop)
{
    struct ouro__driver *d = loop->driver;
    struct ouro__completion batch[REAP_BATCH];
    unsigned n = REAP_BATCH;
    loop->brought = 0;
    for (unsigned taken = 0; n == REAP_BATCH && taken < REAP_MAX && loop->brought < BROUGHT_MAX;
         taken += n) {
        n = d->ops->reap(d, batch, REAP_BATCH);
        for (unsigned i = 0; i < n; i++)
            ouro__op_complete(loop, &batch[i]);
    }
}

/* Hand over what is queued, and sleep until @deadline at most if there is nothing else to do. */
static int submit_and_wait(ouro_loop *loop, ouro_ns deadline)
{
    struct ouro__driver *d = loop->driver;
    ouro__ops_flush(loop);
    ouro_ns until = wait_until(loop, deadline);
    ouro__beat(loop, until == 0);
    int rc = d->ops->submit(d, until);
    ouro__beat(loop, true);
    atomic_store_explicit(&loop->sleeping, 0, memory_order_relaxed);
    return rc == -EBUSY || rc == -EAGAIN ? 0 : rc;
}

int ouro__loop_turn(ouro_loop *loop, ouro_ns deadline)
{
    loop->turns++;
    ouro__beat(loop, true);
    atomic_store_explicit(&loop->sleeping, 0, memory_order_relaxed);
    ouro__posts_take(loop);
    ouro__loop_run_ready(loop);
    int rc = submit_and_wait(loop, deadline);
    if (rc == 0) {
        take_completions(loop);
        if (loop->timers.count)
            ouro__timers_fire(&loop->timers, ouro__loop_now(loop));
    }
    ouro__beat(loop, false);
    return rc;
}

bool ouro__loop_has_work(const ouro_loop *loop)
{
    const struct ouro__ops *ops = &loop->ops;
    return loop->pending > ops->idle || loop->calls_live || ops->in_kernel > ops->background ||
           !ouro__list_empty(&loop->ready) || !ouro__list_empty(&loop->dead);
}

bool ouro__loop_alive(const ouro_loop *loop)
{
    return ouro__loop_has_work(loop) || loop->ops.ending;
}

bool ouro__loop_is_quiet(const ouro_loop *loop)
{
    return !ouro__loop_alive(loop);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Begin a turn that does no more than run the ready list, if a whole one would find nothing else to
 * do. */
bool ouro__loop_short_turn(ouro_loop *loop)
{
    if (!loop->short_turns || ouro__list_empty(&loop->ready) || !ouro__list_empty(&loop->dead) ||
        ouro__ops_waiting(&loop->ops) || loop->timers.count || loop->stopping || has_enough(loop) ||
        ouro__posts_waiting(loop) || atomic_load_explicit(&loop->woken, memory_order_relaxed) ||
        loop->driver->ops->ready(loop->driver))
        return false;
    loop->short_turns--;
    loop->turns++;
    ouro__list_splice(&loop->batch, &loop->ready);
    return true;
}

/* A turn, after as many short ones as the ready list and nothing else keeps busy. */
static int run_on(ouro_loop *loop)
{
    loop->short_turns = SHORT_MAX;
    while (ouro__loop_short_turn(loop))
        run_batch(loop);
    return ouro__loop_turn(loop, OURO_FOREVER);
}

/* 0 and running, or why not. */
static int enter(ouro_loop *loop)
{
    int rc = ouro__loop_check(loop);
    if (rc < 0)
        return rc;
    if (ouro__loop_in_use(loop))
        return -EBUSY;
    loop->running = true;
    return 0;
}

/* Not running is as good as asleep: posts have to be announced. */
static void leave(ouro_loop *loop)
{
    loop->running = false;
    loop->stopping = false;
    loop->short_turns = 0;
    loop->enough = NULL;
    atomic_store(&loop->sleeping, 1);
}

int ouro_loop_run(ouro_loop *loop)
{
    int rc = enter(loop);
    if (rc < 0)
        return rc;
    loop->enough = ouro__loop_is_quiet;
    while (rc == 0 && !loop->stopping && (ouro__loop_alive(loop) || ouro__posts_waiting(loop)))
        rc = run_on(loop);
    if (rc == 0 && loop->stopping)
        rc = 1;
    leave(loop);
    return rc;
}

static bool goal_settled(const ouro_loop *loop)
{
    return loop->goal->state != OURO_PENDING;
}

int ouro__loop_drive(ouro_loop *loop, ouro_future *goal, void (*each)(ouro_loop *loop))
{
    int rc = 0;
    loop->goal = goal;
    loop->enough = goal_settled;
    while (rc == 0 && !loop->stopping && goal->state == OURO_PENDING) {
        if (each)
            each(loop);
        rc = run_on(loop);
    }
    loop->goal = NULL;
    loop->enough = NULL;
    return rc;
}

int64_t ouro_loop_run_until(ouro_loop *loop, ouro_future *f)
{
    int rc = ouro__loop_check(loop);
    int frc = ouro__future_check(f);
    if (rc == -EINVAL && frc == 0)
        ouro__unref(f);
    if (rc < 0 || frc < 0)
        return rc < 0 ? rc : frc;
    rc = enter(loop);
    if (rc < 0) {
        ouro__unref(f);
        return rc;
    }
    rc = ouro__loop_drive(loop, f, NULL);
    leave(loop);
    int64_t n = rc < 0 ? rc : -EINTR;
    if (f->state != OURO_PENDING)
        n = ouro__future_value(f);
    ouro__unref(f);
    return n == -ECANCELED ? -OURO_ECHILDCANCELLED : n;
}

int ouro_loop_step(ouro_loop *loop, ouro_ns max_wait)
{
    int rc = enter(loop);
    if (rc < 0)
        return rc;
    struct ouro__driver *d = loop->driver;
    atomic_store(&loop->woken, 0); /* this is the turn that was asked for */
    rc = ouro__loop_turn(loop, max_wait ? ouro__ns_add(ouro__loop_now(loop), max_wait) : 0);
    /* What is still queued goes out now: until the next step, the descriptor is all there is. */
    if (rc == 0) {
        ouro__ops_flush(loop);
        rc = d->ops->submit(d, 0);
    }
    leave(loop);
    if (rc < 0 && rc != -EBUSY && rc != -EAGAIN)
        return rc;
    return ouro__loop_alive(loop) || ouro__posts_waiting(loop);
}

int ouro_loop_stop(ouro_loop *loop)
{
    int rc = ouro__loop_check(loop);
    if (rc == 0)
        loop->stopping = loop->running && loop->phase == OURO__OPEN;
    return rc;
}

int ouro_loop_fd(ouro_loop *loop)
{
    int rc = ouro__loop_check(loop);
    return rc < 0 ? rc : loop->driver->ops->fd(loop->driver);
}

ouro_ns ouro_loop_timeout(ouro_loop *loop)
{
    if (ouro__loop_check(loop) < 0)
        return OURO_FOREVER;
    /* What the descriptor is to tell of must be in the kernel, a wake-up included. */
    ouro__ops_flush(loop);
    if (loop->driver->ops->submit(loop->driver, 0) < 0)
        return 0;
    if (ouro__posts_waiting(loop) || atomic_load(&loop->woken) ||
        loop->driver->ops->ready(loop->driver))
        return 0;
    if (!ouro__loop_alive(loop))
        return OURO_FOREVER;
    if (busy(loop))
        return 0;
    ouro_ns next = ouro__timers_next(&loop->timers);
    if (next == OURO_FOREVER)
        return OURO_FOREVER;
    ouro_ns now = ouro__loop_now(loop);
    return next > now ? next - now : 0;
}

static uint64_t length(const struct ouro__link *list)
{
    uint64_t n = 0;
    OURO__LIST_FOR (link, list)
        n++;
    return n;
}

int ouro_loop_stats_get(ouro_loop *loop, ouro_loop_stats *ret_stats)
{
    int rc = ret_stats ? ouro__loop_check(loop) : -EINVAL;
    if (rc < 0)
        return rc;
    const struct ouro__driver_stats *d = &loop->driver->stats;
    *ret_stats = (ouro_loop_stats){
        .turns = loop->turns,
        .enters = d->enters,
        .submitted = loop->ops.submitted,
        .completed = loop->ops.completed,
        .stale = loop->ops.stale,
        .parked = loop->ops.parked,
        .overflows = d->overflows,
        .wakes = atomic_load(&loop->wakes),
        .spins = d->spins,
        .spin_hits = d->spin_hits,
        .allocations = ouro__allocations(),
        .live_futures = loop->futures_live,
        .live_tasks = loop->tasks,
        .live_operations = loop->ops.live,
        .kernel_operations = loop->ops.in_kernel,
        .live_timers = loop->timers.count,
        .live_calls = loop->calls_live,
        .live_stacks = loop->stacks.live,
        .live_fds = loop->ops.live_fds,
        .ready = length(&loop->ready),
        .ready_peak = loop->steps.most,
        .timers_fired = loop->timers.fired,
        .steps = loop->steps.count,
        .step_longest = loop->steps.longest,
    };
    memcpy(ret_stats->step_times, loop->steps.times, sizeof(ret_stats->step_times));
    return 0;
}
