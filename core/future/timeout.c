/* SPDX-License-Identifier: MIT */
/*
 * ouro_timeout(): a future bounded by a deadline.
 *
 * It settles when, and only when, the inner future has: the deadline does no more than cancel that
 * one. So memory that the kernel may still write to is never given back early, and a result that
 * arrives all the same is delivered. A cancel from outside beats the deadline.
 */
#include "loop_int.h"

enum { EXPIRED = OURO__KIND_1 };

struct timeout {
    ouro_future f;
    struct ouro__timer timer;
    struct ouro__job job; /* waits for the inner future */
    ouro_future *inner;
};

static void expire(struct ouro__timer *timer)
{
    struct timeout *t = OURO__CONTAINER(timer, struct timeout, timer);
    if (t->inner->state != OURO_PENDING)
        return; /* it settled first, in this very turn */
    t->f.flags |= EXPIRED;
    ouro__cancel(t->inner);
}

static void inner_settled(struct ouro__job *job)
{
    struct timeout *t = OURO__CONTAINER(job, struct timeout, job);
    ouro_future *inner = t->inner;
    bool expired = (t->f.flags & EXPIRED) && !(t->f.flags & OURO__CANCEL_ASKED);
    ouro__timer_cancel(&t->f.loop->timers, &t->timer);
    if (expired && inner->state == OURO_CANCELLED)
        ouro__settle(&t->f, OURO_ERROR, -ETIMEDOUT);
    else
        ouro__settle_as(&t->f, inner);
    ouro__unref(inner);
}

static ouro_future *timeout_cancel(ouro_future *f)
{
    return OURO__CONTAINER(f, struct timeout, f)->inner;
}

static void timeout_describe(const ouro_future *f, char *text, size_t size)
{
    const struct timeout *t = OURO__CONTAINER(f, const struct timeout, f);
    if (f->flags & EXPIRED)
        snprintf(text, size, "timeout, which has passed");
    else
        ouro__describe_deadline(f, &t->timer, text, size);
}

static bool timeout_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    *ret_part = OURO__CONTAINER(f, const struct timeout, f)->inner;
    return i == 0;
}

static const struct ouro__kind timeout_kind = {
    .name = "timeout",
    .size = sizeof(struct timeout),
    .cancel = timeout_cancel,
    .combines = true,
    .describe = timeout_describe,
    .part = timeout_part,
};

static struct timeout *timeout_new(ouro_loop *loop, ouro_future *inner, ouro_ns limit)
{
    struct timeout *t = ouro__future_new(loop, &timeout_kind);
    if (!t)
        return NULL;
    t->inner = inner;
    t->job.run = inner_settled;
    ouro__timer_init(&t->timer, expire);
    ouro_ns deadline = limit ? ouro__ns_add(ouro__loop_now(loop), limit) : OURO_FOREVER;
    if (ouro__timer_set(&loop->timers, &t->timer, deadline) < 0) {
        ouro__future_discard(&t->f);
        return NULL;
    }
    return t;
}

ouro_future *ouro_timeout(ouro_future *f, ouro_ns limit)
{
    int rc = ouro__future_check(f);
    if (rc < 0)
        return ouro__failed(rc);
    if (f->state != OURO_PENDING || limit == OURO_FOREVER)
        return f;
    struct timeout *t = timeout_new(f->loop, f, limit);
    if (!t)
        return ouro__doom(f, -ENOMEM);
    ouro__watch(f, &t->job);
    if (limit == 0)
        expire(&t->timer);
    return &t->f;
}
