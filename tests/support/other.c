/* SPDX-License-Identifier: MIT */
/*
 * A second loop on a thread of its own.
 */
#define _GNU_SOURCE
#include "other.h"

#include "harness.h"

#include <stdlib.h>

#include <sched.h>
#include <unistd.h>

static void count_report(const ouro_report *report, void *arg)
{
    struct other *o = arg;
    if (report->kind != OURO_REPORT_STACK)
        atomic_fetch_add(&o->reports, 1);
}

static void check_quiet(struct other *o)
{
    ouro_loop_stats s;
    int left = 1;
    for (int i = 0; i < 100 && left == 1; i++)
        left = ouro_loop_step(o->loop, OURO_MS(10));
    check_eq(left, 0);
    check_eq(ouro_loop_stats_get(o->loop, &s), 0);
    check_eq(s.live_futures, 0);
    check_eq(s.live_tasks, 0);
    check_eq(s.live_stacks, 0);
    check_eq(s.live_fds, 0);
    check_eq(atomic_load(&o->reports), 0);
}

static void *run_other(void *arg)
{
    struct other *o = arg;
    ouro_future *over;
    ouro_loop *loop;
    check_eq(ouro_loop_new(NULL, &loop), 0);
    check_eq(ouro_report_set_handler(count_report, o), 0);
    check_eq(ouro_promise_new(&o->over, &over), 0);
    o->loop = ouro_loop_ref(loop);
    atomic_store(&o->up, true);
    check_eq(ouro_loop_run_until(loop, over), 0);
    ouro_promise_free(o->over);
    if (o->how == OTHER_QUIET)
        check_quiet(o);
    else
        o->shutdown_rc = ouro_loop_shutdown(loop, o->how == OTHER_HASTY ? 1 : OURO_SEC(10));
    check_eq(ouro_loop_close(loop), 0);
    return NULL;
}

void other_begin(struct other *o)
{
    *o = (struct other){.how = OTHER_QUIET};
    check_eq(pthread_create(&o->thread, NULL, run_other, o), 0);
    while (!atomic_load(&o->up))
        sched_yield();
}

static void hold(void *arg)
{
    struct other *o = arg;
    atomic_store(&o->up, false);
    while (!atomic_load(&o->up))
        sched_yield();
}

void other_hold(struct other *o)
{
    check_eq(ouro_loop_post(o->loop, hold, o, NULL), 0);
    while (atomic_load(&o->up))
        sched_yield();
}

void other_go_on(struct other *o)
{
    atomic_store(&o->up, true);
}

static void let_go(void *arg)
{
    struct other *o = arg;
    check_eq(ouro_promise_resolve(o->over, (ouro_result){0, NULL}, NULL), 0);
}

void other_end(struct other *o, enum other_end how)
{
    o->how = how;
    check_eq(ouro_loop_post(o->loop, let_go, o, NULL), 0);
}

void other_join(struct other *o)
{
    check_eq(pthread_join(o->thread, NULL), 0);
    ouro_loop_unref(o->loop);
}

void other_finish(struct other *o)
{
    other_end(o, OTHER_QUIET);
    other_join(o);
}

/* ---- Memory by ration ------------------------------------------------------------------------ */

_Thread_local int grants = -1;

static void *ration(size_t size, void *arg)
{
    (void)arg;
    if (grants == 0)
        return NULL;
    grants -= grants > 0;
    return malloc(size);
}

static void *ration_again(void *ptr, size_t size, void *arg)
{
    (void)arg;
    return realloc(ptr, size);
}

static void give_back(void *ptr, void *arg)
{
    (void)arg;
    free(ptr);
}

void ration_memory(void)
{
    check_eq(ouro_set_allocator(&(ouro_allocator){ration, ration_again, give_back, NULL}), 0);
}
