/* SPDX-License-Identifier: MIT */
/*
 * ouro_loop_call(): a task on another loop, as a future of this one.
 *
 * Happy path: an errand goes there, and its record comes back as a post when the task has answered;
 * that settles the future, which takes over the object. The future itself never leaves its loop.
 *
 * How it fails: a loop there that is closed, or closes, answers -ESHUTDOWN. If this loop has closed
 * before the answer is there, because its shutdown gave up waiting, the object is destroyed there.
 */
#include "errand.h"

#include <ouro/thread.h>

struct loop_call;

/* What travels. */
struct message {
    struct ouro__errand errand;
    struct ouro__post back;
    ouro_loop *home; /* a reference */
    struct loop_call *call;
};

struct loop_call {
    ouro_future f;
    struct message *message; /* a reference, until the answer is there */
};

/* ---- Back home ------------------------------------------------------------------------------- */

static void settle(struct message *m)
{
    ouro_future *f = &m->call->f;
    const struct ouro__outcome *o = &m->errand.outcome;
    int64_t n = o->result.n;
    assert(!o->grant); /* a task's result is none */
    f->result.ptr = o->result.ptr;
    f->ptr_free = o->ptr_free;
    if (n == -ECANCELED && (f->flags & OURO__CANCEL_ASKED))
        ouro__settle(f, OURO_CANCELLED, n);
    else
        ouro__settle_n(f, n);
    ouro__errand_unref(&m->errand);
}

static void back_run(struct ouro__job *job)
{
    settle(OURO__CONTAINER(job, struct message, back.job));
}

static void back_drop(struct ouro__post *post, bool quietly)
{
    struct message *m = OURO__CONTAINER(post, struct message, back);
    if (quietly)
        ouro__errand_unref(&m->errand);
    else
        settle(m);
}

/* ---- There ----------------------------------------------------------------------------------- */

static void call_answer(struct ouro__errand *e)
{
    struct message *m = OURO__CONTAINER(e, struct message, errand);
    if (ouro__post(m->home, &m->back) == 0)
        return;
    const struct ouro__outcome *o = &e->outcome;
    if (o->ptr_free && o->result.ptr)
        o->ptr_free(o->result.ptr);
    ouro__errand_unref(e); /* on behalf of those who have gone */
}

static void message_free(struct ouro__errand *e)
{
    struct message *m = OURO__CONTAINER(e, struct message, errand);
    ouro_loop *home = m->home;
    ouro_loop *there = e->loop;
    ouro__release(m);
    ouro_loop_unref(there);
    ouro_loop_unref(home);
}

static const struct ouro__errand_kind call_errand = {
    .answer = call_answer,
    .free = message_free,
};

/* ---- Calling --------------------------------------------------------------------------------- */

static ouro_future *call_cancel(ouro_future *f)
{
    ouro__errand_stop(&OURO__CONTAINER(f, struct loop_call, f)->message->errand);
    return NULL;
}

static const struct ouro__kind call_kind = {
    .name = "loop call",
    .size = sizeof(struct loop_call),
    .cancel = call_cancel,
};

static struct message *message_new(ouro_loop *home, ouro_loop *there)
{
    struct message *m = ouro__alloc(sizeof(*m));
    if (!m)
        return NULL;
    ouro__errand_init(&m->errand, &call_errand, there, 2);
    m->back = (struct ouro__post){.job = {.run = back_run}, .drop = back_drop};
    m->home = ouro_loop_ref(home);
    return m;
}

static ouro_future *call(ouro_loop *home, ouro_loop *there, ouro_task_fn *fn, void *arg)
{
    struct message *m = message_new(home, there);
    if (!m)
        return ouro__failed(-ENOMEM);
    struct loop_call *c = ouro__future_new(home, &call_kind);
    if (!c) {
        message_free(&m->errand);
        return ouro__failed(-ENOMEM);
    }
    c->message = m;
    m->call = c;
    int rc = ouro__errand_send(&m->errand, fn, arg, &(ouro_spawn_options){.name = "loop call"});
    if (rc < 0) {
        ouro__future_discard(&c->f);
        message_free(&m->errand);
        return ouro__failed(rc);
    }
    return &c->f;
}

ouro_future *ouro_loop_call(ouro_loop *loop, ouro_task_fn *fn, void *arg)
{
    ouro_loop *home;
    int rc = loop && fn ? ouro__loop_for_work(&home) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    if (ouro__loop_forked(loop))
        return ouro__failed(-ECHILD);
    if (loop == home)
        return ouro_spawn(fn, arg);
    return call(home, loop, fn, arg);
}
