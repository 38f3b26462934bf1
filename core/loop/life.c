/* SPDX-License-Identifier: MIT */
/*
 * How a loop is made and unmade.
 *
 * The order of unmaking is what matters: cancel everything, take completions until the kernel owes
 * none, and only then free memory. Tasks are cancelled first, with everything else still working,
 * so that they can clean up; the rest follows. If the deadline passes with something still alive,
 * that is reported, and all memory it might touch is leaked on purpose, since a freed buffer that
 * the kernel writes to is worse.
 *
 * After a fork, the child has a copy of a loop whose ring it must not touch. Its calls fail, and
 * closing releases memory and nothing else.
 */
#include "guard.h"
#include "pool_int.h"
#include "process_int.h"
#include "run_int.h"
#include "signals_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ENTRIES 256u
#define MAX_ENTRIES     32768u
#define DEFAULT_SPIN    OURO_US(50)

/* However short the grace was, the kernel gets this long to give its buffers back. */
#define LEAST_GRACE OURO_MS(100)

/* ---- Fork ------------------------------------------------------------------------------------ */

unsigned ouro__fork_generation;

static void in_child(void)
{
    ouro__fork_generation++;
    ouro__lanes_in_child();
    ouro__sigint_in_child();
    ouro__print_in_child();
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static bool wants_debug(const ouro_loop_options *opts)
{
    if (opts->debug)
        return opts->debug > 0;
    const char *env = getenv("OURO_DEBUG");
    return env && strcmp(env, "1") == 0;
}

static void init_lists(ouro_loop *loop)
{
    ouro__list_init(&loop->ready);
    ouro__list_init(&loop->batch);
    ouro__list_init(&loop->dead);
    ouro__list_init(&loop->futures);
    ouro__list_init(&loop->calls);
    ouro__list_init(&loop->cancelling);
    ouro__list_init(&loop->leavings);
    ouro__list_init(&loop->errands);
    ouro__list_init(&loop->signals);
    ouro__list_init(&loop->processes);
    ouro__list_init(&loop->ties);
    ouro__list_init(&loop->starved);
}

/* 0 when this thread may make a loop. */
static int vacant(void)
{
    if (!ouro__this_loop)
        return 0;
    return ouro__loop_forked(ouro__this_loop) ? -ECHILD : -EBUSY;
}

int ouro__loop_new_on(struct ouro__driver *driver, const ouro_loop_options *opts,
                      ouro_loop **ret_loop)
{
    static const ouro_loop_options defaults;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (!opts)
        opts = &defaults;
    pthread_once(&once, watch_forks);
    int rc = vacant();
    if (rc < 0)
        return rc;
    ouro_loop *loop = ouro__alloc(sizeof(*loop));
    if (!loop)
        return -ENOMEM;
    memset(loop, 0, sizeof(*loop));
    loop->driver = driver;
    loop->debug = wants_debug(opts);
    loop->measured = loop->debug || opts->step_times;
    loop->stepwise = loop->measured;
    loop->report = ouro__report_print;
    loop->thread = &ouro__this_loop;
    loop->fork_generation = ouro__fork_generation;
    atomic_init(&loop->refs, 1);
    atomic_init(&loop->sleeping, 1);
    init_lists(loop);
    ouro__slab_init(&loop->slab);
    ouro__ops_init(&loop->ops, driver->ops->sq_space(driver));
    ouro__stacks_init(&loop->stacks, loop->debug);
    if (loop->debug) {
        ouro__frames_prepare();
        ouro__guard_install();
    }
    ouro__allocator_hold();
    ouro__this_loop = loop;
    *ret_loop = loop;
    return 0;
}

int ouro_loop_new(const ouro_loop_options *opts, ouro_loop **ret_loop)
{
    static const ouro_loop_options defaults;
    if (!opts)
        opts = &defaults;
    if (!ret_loop || opts->entries > MAX_ENTRIES)
        return -EINVAL;
    int rc = vacant();
    if (rc < 0)
        return rc;
    struct ouro__kernel_options options = {
        .entries = opts->entries ? opts->entries : DEFAULT_ENTRIES,
        .spin = opts->spin == OURO_FOREVER ? 0
                : opts->spin               ? opts->spin
                                           : DEFAULT_SPIN,
        .alloc = ouro__alloc,
        .release = ouro__release,
    };
    struct ouro__driver *driver;
    rc = ouro__kernel_driver_new(&options, &driver);
    if (rc < 0)
        return rc;
    rc = ouro__loop_new_on(driver, opts, ret_loop);
    if (rc < 0) {
        driver->ops->close(driver);
        driver->ops->free(driver);
    }
    return rc;
}

/* ---- Shutting down --------------------------------------------------------------------------- */

static bool is_root(const ouro_future *f)
{
    return (f->kind == &ouro__task_kind || f->kind->combines) && !ouro__future_is_awaited(f);
}

/* Cancel every pending future, or of them only the roots of work: tasks, and what combines them,
 * for which nobody waits who would pass a cancel on. What a shielded region waits for is left to
 * it. */
static void cancel_all(ouro_loop *loop, bool only_roots)
{
    struct ouro__link *l = loop->futures.next;
    while (l != &loop->futures) {
        ouro_future *f = ouro__ref(OURO__CONTAINER(l, ouro_future, all));
        struct ouro__task *task = ouro__task_of(f);
        bool wanted = f->state == OURO_PENDING && (!only_roots || is_root(f));
        if (wanted && task)
            ouro__task_cancel(task, "shutdown");
        else if (wanted)
            ouro__cancel(f);
        l = l->next; /* only now: any future but @f may have gone with the cancel */
        ouro__unref(f);
    }
}

static bool has_no_tasks(const ouro_loop *loop)
{
    return loop->tasks == 0;
}

static int end_tasks(ouro_loop *loop, ouro_ns deadline)
{
    int rc = 0;
    loop->enough = has_no_tasks;
    while (rc == 0 && loop->tasks && ouro__loop_now(loop) < deadline) {
        cancel_all(loop, true);
        rc = ouro__loop_turn(loop, deadline);
    }
    return rc;
}

/* Nothing is left, in the background either. */
static bool is_over(const ouro_loop *loop)
{
    return !ouro__loop_alive(loop) && loop->ops.background == 0;
}

static int end_all(ouro_loop *loop, ouro_ns deadline)
{
    int rc = 0;
    loop->enough = is_over;
    do {
        ouro__calls_cancel(loop);
        cancel_all(loop, false);
        ouro__ops_cancel_all(loop);
        if (!is_over(loop))
            rc = ouro__loop_turn(loop, deadline);
    } while (rc == 0 && !is_over(loop) && ouro__loop_now(loop) < deadline);
    return rc;
}

static void abandon(ouro_loop *loop)
{
    loop->abandoned = true;
    OURO__LIST_FOR (l, &loop->futures) {
        ouro_future *f = OURO__CONTAINER(l, ouro_future, all);
        if (f->state == OURO_PENDING)
            ouro__report_future(f, OURO_REPORT_ABANDONED, 0,
                                "did not end before the deadline; its memory is leaked on purpose");
    }
    ouro__errands_give_up(loop);
}

int ouro_loop_shutdown(ouro_loop *loop, ouro_ns grace)
{
    int rc = ouro__loop_check(loop);
    if (rc < 0)
        return rc;
    if (ouro__loop_in_use(loop))
        return -EBUSY;
    loop->running = true;
    loop->phase = OURO__CLOSING;
    loop->abandoned = false; /* a second attempt may do better */
    ouro_ns deadline = ouro__ns_add(ouro__loop_now(loop), grace);
    rc = end_tasks(loop, deadline);
    ouro_ns least = ouro__ns_add(ouro__loop_now(loop), LEAST_GRACE);
    int rest = end_all(loop, deadline > least ? deadline : least);
    rc = rc < 0 ? rc : rest;
    if (!is_over(loop)) {
        abandon(loop);
        rc = -ETIMEDOUT;
    }
    loop->phase = OURO__SHUT;
    loop->running = false;
    loop->enough = NULL;
    return rc;
}

/* ---- Closing --------------------------------------------------------------------------------- */

ouro_loop *ouro_loop_ref(ouro_loop *loop)
{
    if (loop)
        atomic_fetch_add(&loop->refs, 1);
    return loop;
}

ouro_loop *ouro_loop_unref(ouro_loop *loop)
{
    if (!loop || atomic_fetch_sub(&loop->refs, 1) > 1)
        return NULL;
    loop->driver->ops->free(loop->driver);
    ouro__release(loop);
    ouro__allocator_let_go();
    return NULL;
}

void ouro__loop_last_handle_gone(ouro_loop *loop)
{
    if (loop->phase != OURO__CLOSED)
        return;
    ouro__slab_drop(&loop->slab);
    ouro_loop_unref(loop);
}

static void report_leaks(ouro_loop *loop)
{
    OURO__LIST_FOR (l, &loop->futures) {
        ouro_future *f = OURO__CONTAINER(l, ouro_future, all);
        char text[96] = "is still referenced when its loop closes";
        if ((f->flags & OURO__GRANT) && f->giver == &ouro__fds && !(f->flags & OURO__TAKEN))
            snprintf(text, sizeof(text), "still holds descriptor %lld when its loop closes",
                     (long long)f->result.n);
        if (f->state != OURO_PENDING)
            ouro__report_future(f, OURO_REPORT_LEAK, 0, text);
    }
    if (loop->handles > loop->futures_live)
        ouro__report(loop, &(ouro_report){.kind = OURO_REPORT_LEAK,
                                          .what = "call",
                                          .message = "is still referenced when its loop closes"});
    if (loop->deepest_stack > 0) {
        char text[96];
        snprintf(text, sizeof(text), "went deepest of all tasks: %zu bytes of stack",
                 loop->deepest_stack);
        ouro__report(loop, &(ouro_report){.kind = OURO_REPORT_STACK,
                                          .what = "task",
                                          .name = loop->deepest_name,
                                          .message = text});
    }
}

/* What no future can need. Stacks that something may still run on, or the kernel write to, stay. */
static void drop(ouro_loop *loop)
{
    ouro__timers_drop(&loop->timers);
    ouro__ops_drop(&loop->ops);
    if (!loop->abandoned)
        ouro__stacks_drop(&loop->stacks);
}

/* Leave the thread, and leave the memory to those who still refer to it. */
static void let_go(ouro_loop *loop)
{
    loop->phase = OURO__CLOSED;
    ouro__this_loop = NULL;
    ouro__locals_unref(loop, loop->locals);
    loop->locals = NULL;
    loop->handles++; /* one for us, so that the last to go is told apart from none */
    atomic_fetch_add(&loop->refs, 1);
    ouro__loop_handle_gone(loop);
    ouro_loop_unref(loop);
}

static void cut_ties(ouro_loop *loop, bool quietly)
{
    struct ouro__link *link;
    while ((link = ouro__list_pop(&loop->ties))) {
        struct ouro__tie *tie = OURO__CONTAINER(link, struct ouro__tie, link);
        tie->cut(tie, loop, quietly);
    }
}

/* The child of a fork has no ring, no kernel and no user of its own: only memory. What somebody may
 * still refer to stays. */
static int close_in_child(ouro_loop *loop)
{
    if (ouro__loop_in_use(loop))
        return -EBUSY;
    ouro__watch_close(loop, true);
    ouro__posts_close(loop, true);
    ouro__signals_stop_all(loop);
    cut_ties(loop, true);
    drop(loop);
    loop->driver->ops->close_in_child(loop->driver);
    ouro__this_loop = NULL;
    if (loop->handles)
        return 0;
    ouro__slab_drop(&loop->slab);
    ouro_loop_unref(loop);
    return 0;
}

/* The destructors of posts that never ran, and of whatever those destructors drop. */
static void run_last_destructors(ouro_loop *loop)
{
    loop->running = true;
    loop->phase = OURO__SHUT;
    ouro__errands_give_up(loop); /* begun since shutdown gave up */
    ouro__posts_close(loop, false);
    ouro__loop_bury(loop);
    /* What was given up is not run again: it may never end. */
    while (!loop->abandoned && (!ouro__list_empty(&loop->ready) || !ouro__list_empty(&loop->dead)))
        ouro__loop_run_ready(loop);
    loop->running = false;
}

int ouro_loop_close(ouro_loop *loop)
{
    if (!loop)
        return 0;
    if (ouro__loop_forked(loop) && ouro__loop_is_here(loop))
        return close_in_child(loop);
    int rc = ouro__loop_check(loop);
    if (rc < 0)
        return rc;
    if (ouro__loop_in_use(loop) || (!loop->abandoned && ouro__loop_has_work(loop)))
        return -EBUSY;
    if (loop->ops.background && !loop->abandoned)
        ouro_loop_shutdown(loop, 0);
    run_last_destructors(loop);
    ouro__signals_stop_all(loop);
    ouro__processes_let_go(loop);
    cut_ties(loop, false);
    ouro__watch_close(loop, false);
    if (loop->debug) {
        report_leaks(loop);
        ouro__guard_remove();
    }
    drop(loop);
    loop->driver->ops->close(loop->driver);
    ouro__lanes_leave(loop);
    let_go(loop);
    return 0;
}
