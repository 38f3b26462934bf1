/* SPDX-License-Identifier: MIT */
/*
 * ouro_wait(): until enough of several futures have settled, or until a time.
 *
 * It looks on. Its parts hold references, so that a future whose owner gives it up stays readable
 * here, and are taken out of the futures' waiters however it ends: enough, the time, or a cancel,
 * which goes no further. What is enough already at the start is settled at the start.
 *
 * No memory is the only failure; then nothing was touched.
 */
#include "loop_int.h"
#include "several.h"

#include <ouro/select.h>

struct waiting {
    ouro_future f;
    struct ouro__timer timer;
    struct ouro__part *parts;
    size_t n;
    size_t unfinished; /* parts whose jobs have not run */
    ouro_wait_mode mode;
};

/* Whether @f is what @mode waits for, however the others stand. */
static bool decides(const ouro_future *f, ouro_wait_mode mode)
{
    if (f->state == OURO_PENDING)
        return false;
    return mode == OURO_WAIT_FIRST || (mode == OURO_WAIT_ERROR && f->state != OURO_VALUE);
}

static int64_t count_settled(const struct waiting *w)
{
    int64_t settled = 0;
    for (size_t i = 0; i < w->n; i++)
        settled += w->parts[i].f->state != OURO_PENDING;
    return settled;
}

static void finish(struct waiting *w, ouro_state state, int64_t n)
{
    ouro_loop *loop = w->f.loop;
    ouro__timer_cancel(&loop->timers, &w->timer);
    ouro__parts_unwatch(w->parts, w->n);
    ouro__parts_free(loop, w->parts, w->n);
    ouro__settle(&w->f, state, n);
}

static void part_settled(struct ouro__job *job)
{
    struct ouro__part *part = ouro__part_of(job);
    struct waiting *w = part->whole;
    if (--w->unfinished == 0 || decides(part->f, w->mode))
        finish(w, OURO_VALUE, count_settled(w));
}

bool ouro__wait_looks_on(const struct ouro__job *job)
{
    return job->run == part_settled;
}

static void time_over(struct ouro__timer *timer)
{
    struct waiting *w = OURO__CONTAINER(timer, struct waiting, timer);
    finish(w, OURO_VALUE, count_settled(w));
}

static ouro_future *wait_cancel(ouro_future *f)
{
    finish(OURO__CONTAINER(f, struct waiting, f), OURO_CANCELLED, -ECANCELED);
    return NULL;
}

static void wait_describe(const ouro_future *f, char *text, size_t size)
{
    static const char *const modes[] = {"all", "the first", "the first error"};
    const struct waiting *w = OURO__CONTAINER(f, const struct waiting, f);
    snprintf(text, size, "wait for %s, %lld of %zu done", modes[w->mode],
             (long long)count_settled(w), w->n);
}

static bool wait_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    const struct waiting *w = OURO__CONTAINER(f, const struct waiting, f);
    return ouro__parts_at(w->parts, w->n, i, ret_part);
}

static const struct ouro__kind wait_kind = {
    .name = "wait",
    .size = sizeof(struct waiting),
    .cancel = wait_cancel,
    .combines = true,
    .describe = wait_describe,
    .part = wait_part,
};

static struct waiting *wait_new(ouro_loop *loop, size_t n, ouro_ns limit)
{
    struct ouro__part *parts = ouro__parts_new(loop, n);
    if (!parts)
        return NULL;
    struct waiting *w = ouro__future_new(loop, &wait_kind);
    if (!w)
        goto no_future;
    ouro__timer_init(&w->timer, time_over);
    if (ouro__timer_set(&loop->timers, &w->timer, ouro__ns_add(ouro__loop_now(loop), limit)) < 0)
        goto no_timer;
    w->parts = parts;
    w->n = n;
    w->unfinished = n;
    return w;
no_timer:
    ouro__future_discard(&w->f);
no_future:
    ouro__slab_free(&loop->slab, parts, n * sizeof(*parts));
    return NULL;
}

ouro_future *ouro_wait(ouro_future *const *fs, size_t n, ouro_wait_mode mode, ouro_ns limit)
{
    ouro_loop *loop;
    int rc = ouro__loop_for_wait(&loop);
    if (rc == 0)
        rc = mode > OURO_WAIT_ERROR ? -EINVAL : ouro__several_check(fs, n);
    if (rc < 0)
        return ouro__failed(rc);
    size_t settled = 0;
    bool enough = limit == 0;
    for (size_t i = 0; i < n; i++) {
        settled += fs[i]->state != OURO_PENDING;
        enough |= decides(fs[i], mode);
    }
    if (enough || settled == n)
        return ouro_ready((int64_t)settled);
    struct waiting *w = wait_new(loop, n, limit);
    if (!w)
        return ouro__failed(-ENOMEM);
    w->mode = mode;
    ouro__parts_borrow(w->parts, fs, n);
    ouro__parts_watch(w->parts, n, part_settled, w);
    return &w->f;
}
