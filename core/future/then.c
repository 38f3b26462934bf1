/* SPDX-License-Identifier: MIT */
/*
 * ouro_then(): chains of callbacks.
 *
 * A chain waits for its source, calls its function with it, waits for the future that returns, and
 * settles as that one does. The function runs once whatever happens to the source, so that its
 * argument is never lost; a cancel goes to whichever future is waited for, and later ones are
 * cancelled as they come.
 */
#include "loop_int.h"

struct chain {
    ouro_future f;
    struct ouro__job job;
    ouro_future *source; /* a reference: what is waited for */
    ouro_then_fn *fn;    /* NULL once called */
    void *arg;
    struct ouro__locals *locals;
};

static void finish(struct chain *c)
{
    ouro_future *source = c->source;
    ouro__settle_as(&c->f, source);
    ouro__unref(source);
}

/* Wait for the next link, unless it can never settle. */
static void go_on(struct chain *c, ouro_future *next)
{
    int rc = ouro__future_check(next);
    if (next == &c->f)
        rc = -EDEADLK;
    ouro__unref(c->source);
    if (rc < 0 && rc != -EXDEV)
        ouro__unref(next);
    c->source = rc < 0 ? ouro__failed(rc) : next;
    ouro__watch(c->source, &c->job);
    if (c->f.flags & OURO__CANCEL_ASKED)
        ouro__cancel(c->source);
}

static void source_settled(struct ouro__job *job)
{
    struct chain *c = OURO__CONTAINER(job, struct chain, job);
    ouro_then_fn *fn = c->fn;
    if (!fn) {
        finish(c);
        return;
    }
    c->fn = NULL;
    ouro_loop *loop = c->f.loop;
    struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))fn, c->locals);
    ouro_future *next = fn(c->source, c->arg);
    ouro__callback_leave(loop, before);
    if (next && next != c->source)
        go_on(c, next);
    else
        finish(c);
}

static ouro_future *chain_cancel(ouro_future *f)
{
    return OURO__CONTAINER(f, struct chain, f)->source;
}

static bool chain_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    *ret_part = OURO__CONTAINER(f, const struct chain, f)->source;
    return i == 0;
}

static const struct ouro__kind chain_kind = {
    .name = "then",
    .size = sizeof(struct chain),
    .cancel = chain_cancel,
    .combines = true,
    .part = chain_part,
};

ouro_future *ouro_then(ouro_future *f, ouro_then_fn *fn, void *arg)
{
    ouro_loop *loop;
    int rc = ouro__future_check(f);
    if (rc < 0)
        return ouro__failed(rc);
    rc = fn ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__doom(f, rc);
    struct chain *c = ouro__future_new(loop, &chain_kind);
    if (!c)
        return ouro__doom(f, -ENOMEM);
    c->job.run = source_settled;
    c->source = f;
    c->fn = fn;
    c->arg = arg;
    c->locals = ouro__locals_ref(ouro__locals_current(loop));
    ouro__watch(f, &c->job);
    return &c->f;
}
