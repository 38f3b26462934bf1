/* SPDX-License-Identifier: MIT */
#ifndef OURO_LOOP_INT_H
#define OURO_LOOP_INT_H

#include "local_int.h"
#include "memory_int.h"
#include "op.h"
#include "report_int.h"
#include "slab.h"
#include "task_int.h"
#include "timer.h"

#include <ouro/loop.h>
#include <ouro/time.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "driver.h"

/* Something that another thread hands to a loop. */
struct ouro__post {
    struct ouro__job job;    /* runs on the loop */
    struct ouro__post *next; /* the one posted before */

    /* The loop closes, and it will never run: on the loop's thread. @quietly: in the child of a
     * fork, where only memory may be given back. */
    void (*drop)(struct ouro__post *post, bool quietly);
};

/* Something of an adapter's that lives as long as its user likes, and has to know when the loop is
 * closed before. */
struct ouro__tie {
    struct ouro__link link; /* in the loop's `ties` */

    /* The loop is closed, and the tie undone. No operation is left, unless the loop had to abandon
     * some. @quietly: in the child of a fork, where only memory and the child's own descriptors may
     * be given back. */
    void (*cut)(struct ouro__tie *tie, ouro_loop *loop, bool quietly);
};

/* A step longer than this is reported in debug mode. */
#define OURO__SLOW_STEP OURO_MS(100)

/* So many waits in a row need not suspend: as many as Tokio allows. */
#define OURO__BUDGET 128

/* What may still be begun. */
enum ouro__phase {
    OURO__OPEN,
    OURO__CLOSING, /* shutdown has begun: no new work, but what there is may wait to clean up */
    OURO__SHUT,    /* and has ended */
    OURO__CLOSED,  /* only references are left */
};

/* A task's name for after its end, when the name itself may be gone. */
#define OURO__NAME_MAX 48

static inline void ouro__name_copy(char to[OURO__NAME_MAX], const char *name)
{
    snprintf(to, OURO__NAME_MAX, "%s", name);
}

/* What runs now, for the report of a slow step. */
struct ouro__step {
    const char *what;
    char name[OURO__NAME_MAX]; /* empty: it has none */
    ouro_ns began;
    size_t frame_count;
    void *frames[OURO__FRAMES];
};

/* How long steps take, if that is measured. */
struct ouro__steps {
    uint64_t count;
    uint64_t most; /* of one turn */
    ouro_ns longest;
    uint64_t times[OURO_STEP_TIMES]; /* see ouro_loop_stats */
};

struct ouro_loop {
    struct ouro__driver *driver;
    struct ouro__task *task;               /* that runs; NULL: the loop itself or a callback */
    unsigned short_turns;                  /* that may still come before the next whole one */
    unsigned eager;                        /* tasks that were resumed by tasks */
    ouro_future *goal;                     /* to run until it has settled; or NULL */
    bool (*enough)(const ouro_loop *loop); /* what it is run for has come; NULL: nothing special */
    struct ouro__link ready;               /* jobs for the next pass */
    struct ouro__link batch;               /* jobs of this pass */
    struct ouro__link dead; /* futures whose object is to be destroyed or error reported */
    struct ouro__timers timers;
    struct ouro__slab slab;
    struct ouro__ops ops;
    struct ouro__stacks stacks;
    struct ouro__link futures;     /* all that have memory, but for dead ones */
    struct ouro__link calls;       /* calls that have not run */
    struct ouro__link cancelling;  /* gathers whose children are still to be cancelled */
    struct ouro__link leavings;    /* what is to be done when scopes are left */
    struct ouro__link errands;     /* whose work here another thread waits for */
    struct ouro__link signals;     /* open streams of them */
    struct ouro__link processes;   /* children that somebody holds on to, or that have not ended */
    struct ouro__link ties;        /* to adapters' objects */
    struct ouro__link starved;     /* listeners that had no descriptor for a connection */
    struct ouro__buffers *buffers; /* that sockets receive into; NULL: none yet */
    uint16_t next_buffer_group;    /* number for a ring of buffers, if it is free */
    struct ouro__locals *locals;   /* of the callback that runs, or of the loop */
    uint64_t pending;              /* futures that have not settled */
    uint64_t tasks;                /* of them, tasks */
    uint64_t futures_live;
    uint64_t calls_live;
    uint64_t handles; /* futures and calls that have memory */
    uint64_t turns;
    size_t brought; /* bytes that the completions of this turn have brought into memory */
    ouro_ns next_trim;

    enum ouro__phase phase;
    bool running;
    bool stopping;
    bool abandoned;  /* shutdown gave up: the kernel may still write to our memory */
    bool uses_lanes; /* counted among those for which the lanes have threads */
    bool debug;
    bool measured; /* the time that each step takes: in debug mode, or asked for */
    bool stepwise; /* measured or watched, so that tasks do not switch to each other directly */
    ouro_report_fn *report;
    void *report_arg;
    struct ouro__step step;
    struct ouro__steps steps;
    struct ouro__watch *watch; /* its watchdog, or NULL */
    size_t deepest_stack;      /* debug: bytes, and who used them */
    char deepest_name[OURO__NAME_MAX];

    /* What other threads touch. */
    const void *thread; /* the owner's thread mark */
    unsigned fork_generation;
    atomic_uint refs;
    _Atomic(struct ouro__post *) posts; /* newest first */
    atomic_int sleeping;                /* in the kernel, or not running at all */
    atomic_int woken;                   /* asked to take a turn */
    _Atomic uint64_t wakes;
    _Atomic uint64_t beat; /* see ouro__beat() */
};

/* The calling thread's loop. Its address tells threads apart. */
extern _Thread_local ouro_loop *ouro__this_loop __attribute__((tls_model("initial-exec")));

/* How often this process has become a forked child. */
extern unsigned ouro__fork_generation;

static inline bool ouro__loop_forked(const ouro_loop *loop)
{
    return loop->fork_generation != ouro__fork_generation;
}

static inline bool ouro__loop_is_here(const ouro_loop *loop)
{
    return loop->thread == (const void *)&ouro__this_loop;
}

/* The loop that something new would belong to. 0, -EPERM (none), -ECHILD. */
static inline int ouro__loop_here(ouro_loop **ret_loop)
{
    ouro_loop *loop = ouro__this_loop;
    if (!loop)
        return -EPERM;
    if (ouro__loop_forked(loop))
        return -ECHILD;
    *ret_loop = loop;
    return 0;
}

/* The same for something to wait for: also -ESHUTDOWN. */
static inline int ouro__loop_for_wait(ouro_loop **ret_loop)
{
    int rc = ouro__loop_here(ret_loop);
    return rc == 0 && (*ret_loop)->phase >= OURO__SHUT ? -ESHUTDOWN : rc;
}

/* The same for new work, which shutdown refuses from its beginning. */
static inline int ouro__loop_for_work(ouro_loop **ret_loop)
{
    int rc = ouro__loop_here(ret_loop);
    return rc == 0 && (*ret_loop)->phase >= OURO__CLOSING ? -ESHUTDOWN : rc;
}

/* -EXDEV: something of @loop is used by another thread, which is reported in debug mode. */
int ouro__wrong_thread(const ouro_loop *loop, const char *what);

/* Whether it is plain to see that @task is not cancelled: no scope, and nobody has asked. */
static inline bool ouro__never_cancelled(const struct ouro__task *task)
{
    return !task->scope && !(task->f.flags & OURO__CANCEL_ASKED);
}

/* Begin to wait in the current task. 0, or -EPERM (no loop, or not in a task), -ECHILD, -ECANCELED:
 * it is cancelled, and others have run meanwhile. */
static inline int ouro__wait_begin(struct ouro__task **ret_task)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return rc;
    struct ouro__task *task = loop->task;
    if (!task)
        return -EPERM;
    *ret_task = task;
    return ouro__never_cancelled(task) ? 0 : ouro__task_may_wait(task);
}

/* What was wanted was there: after many of these in a row, let others run. */
static inline void ouro__wait_spent(struct ouro__task *task)
{
    if (++task->budget > OURO__BUDGET)
        ouro__task_step_aside(task);
}

/* 0, or why @f cannot be used here: -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN (given up at shutdown). */
static inline int ouro__future_check(const ouro_future *f)
{
    if (!f)
        return -EINVAL;
    if (f->flags & OURO__IMMORTAL)
        return 0;
    if (!ouro__loop_is_here(f->loop))
        return ouro__wrong_thread(f->loop, f->kind->name);
    if (ouro__loop_forked(f->loop))
        return -ECHILD;
    return f->loop->phase == OURO__CLOSED && f->state == OURO_PENDING ? -ESHUTDOWN : 0;
}

/* The value of a settled future for whoever awaited it; a descriptor or a lock goes along. */
static inline int64_t ouro__future_value(ouro_future *f)
{
    if (f->flags & OURO__TAKEN)
        return -EALREADY;
    if ((f->flags & OURO__GRANT) && !f->giver->kind->in_ptr)
        return ouro__take(f).n;
    if (!(f->flags & OURO__IMMORTAL))
        f->flags |= OURO__READ;
    return f->result.n;
}

/* Whether something of the loop is on the call stack: a turn, a task or a callback. */
static inline bool ouro__loop_in_use(const ouro_loop *loop)
{
    return loop->running || loop->task;
}

/* 0, or why @loop cannot be used here: -EINVAL, -ESHUTDOWN, -EXDEV, -ECHILD. */
int ouro__loop_check(const ouro_loop *loop);

static inline ouro_ns ouro__loop_now(ouro_loop *loop)
{
    return loop->driver->ops->now(loop->driver);
}

/* Show the watchdog that the loop goes on: with a new step (the number is odd), or to sleep (it is
 * even). */
static inline void ouro__beat(ouro_loop *loop, bool busy)
{
    if (!loop->watch)
        return;
    uint64_t last = atomic_load_explicit(&loop->beat, memory_order_relaxed);
    atomic_store_explicit(&loop->beat, (last | 1) + (busy ? 2 : 1), memory_order_relaxed);
}

static inline void ouro__ready(ouro_loop *loop, struct ouro__job *job)
{
    ouro__list_push(&loop->ready, &job->link);
}

/* A callback is about to run, with the values of task-locals it was registered with: takes the
 * reference; returns those of before. */
static inline struct ouro__locals *ouro__callback_enter(ouro_loop *loop, void (*fn)(void),
                                                        struct ouro__locals *locals)
{
    struct ouro__locals *before = loop->locals;
    loop->locals = locals;
    if (loop->debug) {
        loop->step.what = "callback";
        loop->step.frames[0] = (void *)(uintptr_t)fn;
        loop->step.frame_count = 1;
    }
    return before;
}

static inline void ouro__callback_leave(ouro_loop *loop, struct ouro__locals *before)
{
    ouro__locals_unref(loop, loop->locals);
    loop->locals = before;
}

/* Make a loop on any driver. On failure the driver stays the caller's; on success closing frees
 * it. */
int ouro__loop_new_on(struct ouro__driver *driver, const ouro_loop_options *opts,
                      ouro_loop **ret_loop);

/* Run what is ready now, and bury the dead it leaves. */
void ouro__loop_run_ready(ouro_loop *loop);

/* Begin a turn that only runs the ready list, if a whole one would find nothing else to do. */
bool ouro__loop_short_turn(ouro_loop *loop);

/* One turn, waiting until @deadline at most. 0 or an error of the ring. */
int ouro__loop_turn(ouro_loop *loop, ouro_ns deadline);

/* Submit what is queued now, and not when the turn ends: for who has more to come. What goes wrong is
 * met again at the end of the turn. */
void ouro__loop_submit(ouro_loop *loop);

/* Turn until @goal has settled, or the loop is stopped, with @each before every turn. 0 or an error
 * of the ring. */
int ouro__loop_drive(ouro_loop *loop, ouro_future *goal, void (*each)(ouro_loop *loop));

/* The opposite of the next, to stop for. */
bool ouro__loop_is_quiet(const ouro_loop *loop);

/* Whether anything is left that a turn could bring forward, but for what is in the background. */
bool ouro__loop_has_work(const ouro_loop *loop);

/* The same, or something in the background has been cancelled: whose descriptor may be waiting for
 * that to be closed, and a peer for its end. */
bool ouro__loop_alive(const ouro_loop *loop);

/* Destroy and report what died since the last turn. */
void ouro__loop_bury(ouro_loop *loop);

/* An object of a closed loop has gone; the last one takes the slabs with it. */
void ouro__loop_handle_gone(ouro_loop *loop);

/* inspect.c: "NAME, due in 250 ms", of a future around a deadline. */
void ouro__describe_deadline(const ouro_future *f, const struct ouro__timer *timer, char *text,
                             size_t size);

/* post.c: move posts to the ready list; refuse further ones and free those that never ran. */
void ouro__posts_take(ouro_loop *loop);
bool ouro__posts_waiting(ouro_loop *loop);
void ouro__posts_close(ouro_loop *loop, bool quietly);

/* Have @post run on @loop, which the caller has a reference to. 0, or -ESHUTDOWN: it is closed, and
 * @post stays the caller's. Any thread; allocates nothing. */
int ouro__post(ouro_loop *loop, struct ouro__post *post);

/* run_signals.c: from now on SIGUSR1 prints the loop's tasks, if the environment has OURO_DEBUG=1
 * and nobody has claimed the signal; until told off, before it is closed. */
void ouro__print_on_signal(ouro_loop *loop);
void ouro__print_off_signal(ouro_loop *loop);
void ouro__print_in_child(void);

/* watchdog.c: the loop is closed. @quietly: in the child of a fork, where there is no thread to
 * end. */
void ouro__watch_close(ouro_loop *loop, bool quietly);

/* errand.c: whether @job waits on behalf of another thread; tell those who do that they need not
 * wait any more: -ESHUTDOWN. */
bool ouro__errand_waits(const struct ouro__job *job);
void ouro__errands_give_up(ouro_loop *loop);

static inline void ouro__tie(ouro_loop *loop, struct ouro__tie *tie)
{
    ouro__list_push(&loop->ties, &tie->link);
}

static inline void ouro__untie(struct ouro__tie *tie)
{
    if (ouro__linked(&tie->link))
        ouro__list_remove(&tie->link);
}

/* call.c: take back every call that has not run. */
void ouro__calls_cancel(ouro_loop *loop);

#endif
