/* SPDX-License-Identifier: MIT */
/*
 * Plain callbacks: soon, later, or at a time.
 *
 * A call waits in the timer heap, then as a job in the ready list, then runs. Taking it back
 * removes it from wherever it is, so that "removed" is final; only its argument's destructor, which
 * is user code, still has to wait for the next turn. The handle may outlive the run.
 */
#include "loop_int.h"

enum call_state { WAITING, READY, DONE };

struct ouro_call {
    struct ouro__job job;
    struct ouro__timer timer;
    struct ouro__link link; /* in the loop's list until it has run */
    ouro_loop *loop;
    ouro_call_fn *fn;
    void *arg;
    ouro_free_fn *arg_free;
    struct ouro__locals *locals;
    uint32_t refs;
    enum call_state state;
};

static void call_unref(ouro_call *call)
{
    assert(call->refs > 0);
    if (--call->refs)
        return;
    ouro_loop *loop = call->loop;
    ouro__slab_free(&loop->slab, call, sizeof(*call));
    ouro__loop_handle_gone(loop);
}

/* It runs, or never will. */
static void call_done(ouro_call *call)
{
    call->state = DONE;
    ouro__list_remove(&call->link);
    call->loop->calls_live--;
}

static void call_run(struct ouro__job *job)
{
    ouro_call *call = OURO__CONTAINER(job, ouro_call, job);
    ouro_loop *loop = call->loop;
    call_done(call);
    struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))call->fn,
                                                       call->locals);
    call->fn(call->arg);
    if (call->arg_free)
        call->arg_free(call->arg);
    ouro__callback_leave(loop, before);
    call_unref(call);
}

static void free_arg(struct ouro__job *job)
{
    ouro_call *call = OURO__CONTAINER(job, ouro_call, job);
    call->arg_free(call->arg);
    call_unref(call);
}

static void make_ready(struct ouro__timer *timer)
{
    ouro_call *call = OURO__CONTAINER(timer, ouro_call, timer);
    call->state = READY;
    ouro__ready(call->loop, &call->job);
}

/* A call that has not run leaves its place, and its argument goes in the next turn. */
static void take_back(ouro_call *call)
{
    ouro_loop *loop = call->loop;
    if (call->state == READY)
        ouro__list_remove(&call->job.link);
    ouro__timer_cancel(&loop->timers, &call->timer);
    call_done(call);
    ouro__locals_unref(loop, call->locals);
    if (call->arg_free) {
        call->job.run = free_arg;
        ouro__ready(loop, &call->job);
    } else {
        call_unref(call);
    }
}

void ouro__calls_cancel(ouro_loop *loop)
{
    while (!ouro__list_empty(&loop->calls))
        take_back(OURO__CONTAINER(loop->calls.next, ouro_call, link));
}

static ouro_call *call_new(ouro_loop *loop, ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free)
{
    ouro_call *call = ouro__slab_alloc(&loop->slab, sizeof(*call));
    if (!call)
        return NULL;
    *call = (ouro_call){
        .job = {.run = call_run},
        .loop = loop,
        .fn = fn,
        .arg = arg,
        .arg_free = arg_free,
        .refs = 1,
    };
    ouro__timer_init(&call->timer, make_ready);
    return call;
}

/* @when 0: in the next turn. */
static int call_at(ouro_loop *loop, ouro_ns when, ouro_call *call, ouro_call **ret_call)
{
    if (when && ouro__timer_set(&loop->timers, &call->timer, when) < 0) {
        ouro__slab_free(&loop->slab, call, sizeof(*call));
        return -ENOMEM;
    }
    call->locals = ouro__locals_ref(ouro__locals_current(loop));
    ouro__list_push(&loop->calls, &call->link);
    loop->calls_live++;
    loop->handles++;
    if (!when)
        make_ready(&call->timer);
    if (ret_call) {
        call->refs++;
        *ret_call = call;
    }
    return 0;
}

int ouro_call_soon(ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free, ouro_call **ret_call)
{
    return ouro_call_at(0, fn, arg, arg_free, ret_call);
}

int ouro_call_later(ouro_ns delay, ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free,
                    ouro_call **ret_call)
{
    return ouro_call_at(ouro__ns_add(ouro_now(), delay), fn, arg, arg_free, ret_call);
}

int ouro_call_at(ouro_ns when, ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free,
                 ouro_call **ret_call)
{
    ouro_loop *loop;
    int rc = fn ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    ouro_call *call = call_new(loop, fn, arg, arg_free);
    return call ? call_at(loop, when, call, ret_call) : -ENOMEM;
}

int ouro_call_cancel(ouro_call *call)
{
    if (!call)
        return -EINVAL;
    int rc = ouro__loop_check(call->loop);
    if (rc == -EXDEV || rc == -ECHILD)
        return rc;
    if (call->state == DONE)
        return 0;
    take_back(call);
    return 1;
}

ouro_call *ouro_call_unref(ouro_call *call)
{
    if (call && !ouro__loop_forked(call->loop) && ouro__loop_is_here(call->loop))
        call_unref(call);
    return NULL;
}
