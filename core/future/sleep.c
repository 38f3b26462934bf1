/* SPDX-License-Identifier: MIT */
/*
 * Sleeping: a future around a deadline in the loop's heap.
 *
 * Settled by the heap when the deadline has passed, or at once by a cancel; fails only at the
 * start, for want of memory.
 */
#include "loop_int.h"

#include <ouro/time.h>

struct sleeper {
    ouro_future f;
    struct ouro__timer timer;
};

/* What the library promises a sleeping program; the benchmarks measure it. */
static_assert(sizeof(struct sleeper) <= 128, "a sleeping future outgrew its two cache lines");

static void sleep_over(struct ouro__timer *timer)
{
    struct sleeper *s = OURO__CONTAINER(timer, struct sleeper, timer);
    ouro__settle(&s->f, OURO_VALUE, 0);
}

static ouro_future *sleep_cancel(ouro_future *f)
{
    struct sleeper *s = OURO__CONTAINER(f, struct sleeper, f);
    ouro__timer_cancel(&f->loop->timers, &s->timer);
    ouro__settle(f, OURO_CANCELLED, -ECANCELED);
    return NULL;
}

static void sleep_describe(const ouro_future *f, char *text, size_t size)
{
    const struct sleeper *s = OURO__CONTAINER(f, const struct sleeper, f);
    ouro__describe_deadline(f, &s->timer, text, size);
}

static const struct ouro__kind sleep_kind = {
    .name = "sleep",
    .size = sizeof(struct sleeper),
    .cancel = sleep_cancel,
    .describe = sleep_describe,
};

static ouro_future *sleep_on(ouro_loop *loop, ouro_ns when)
{
    struct sleeper *s = ouro__future_new(loop, &sleep_kind);
    if (!s)
        return ouro__failed(-ENOMEM);
    ouro__timer_init(&s->timer, sleep_over);
    if (ouro__timer_set(&loop->timers, &s->timer, when) < 0) {
        ouro__future_discard(&s->f);
        return ouro__failed(-ENOMEM);
    }
    return &s->f;
}

ouro_future *ouro_sleep(ouro_ns delay)
{
    ouro_loop *loop;
    int rc = ouro__loop_for_wait(&loop);
    if (rc < 0)
        return ouro__failed(rc);
    return sleep_on(loop, ouro__ns_add(ouro__loop_now(loop), delay));
}

ouro_future *ouro_sleep_until(ouro_ns when)
{
    ouro_loop *loop;
    int rc = ouro__loop_for_wait(&loop);
    return rc < 0 ? ouro__failed(rc) : sleep_on(loop, when);
}

ouro_ns ouro_now(void)
{
    ouro_loop *loop;
    return ouro__loop_here(&loop) < 0 ? 0 : ouro__loop_now(loop);
}
