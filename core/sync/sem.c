/* SPDX-License-Identifier: MIT */
/*
 * Semaphores.
 *
 * Permits are free or somebody's. The first in line never asks for less than is free: whatever
 * changes either, a release or a waiter that leaves, serves from the front for as long as the
 * permits last. Who comes later waits behind, even for fewer, or the one who needs many would never
 * get them.
 *
 * How it fails: a request that no release could fulfil, or a release beyond the bound, is refused
 * and changes nothing.
 */
#include "sync_int.h"

#include "loop_int.h"

static void serve_line(ouro_sem *s)
{
    struct ouro__waiter *w;
    while ((w = s->line.first) && w->n <= s->permits) {
        s->permits -= w->n;
        ouro__serve(w, w->n);
    }
}

static bool take(ouro_sem *s, int64_t n)
{
    if (n > s->permits || !ouro__line_empty(&s->line))
        return false;
    s->permits -= n;
    return true;
}

/* Whoever stood behind one who asked for many may do with what there is. */
static void left(struct ouro__waiter *w)
{
    serve_line(w->of);
}

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_sem *s = w->of;
    snprintf(text, size, "asks for %lld, %lld free", (long long)w->n, (long long)s->permits);
}

static const struct ouro__wait_kind permit_wait = {
    .name = "semaphore",
    .left = left,
    .describe = describe,
};

/* Nobody took the future's result. That more than the bound come back is somebody else's
 * mistake. */
static void take_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)loop;
    ouro_sem *s = OURO__CONTAINER(giver, ouro_sem, giver);
    int64_t room = s->bound - s->permits;
    s->permits += result.n < room ? result.n : room;
    serve_line(s);
}

static const struct ouro__giver_kind permit_giver = {.back = take_back};

int ouro_sem_init(ouro_sem *s, int64_t permits, int64_t bound)
{
    if (!s || permits < 0 || permits > bound)
        return -EINVAL;
    *s = (ouro_sem){.permits = permits, .bound = bound};
    ouro__giver_at(&s->giver)->kind = &permit_giver;
    return 0;
}

static bool obtainable(const ouro_sem *s, int64_t n)
{
    return s && n >= 1 && n <= s->bound;
}

int ouro_sem_acquire(ouro_sem *s, int64_t n)
{
    struct ouro__task *task;
    int rc = obtainable(s, n) ? ouro__wait_begin(&task) : -EINVAL;
    if (rc < 0)
        return rc;
    if (take(s, n)) {
        ouro__wait_spent(task);
        return 0;
    }
    struct ouro__waiter w = {.kind = &permit_wait, .of = s, .n = n};
    int64_t served = ouro__wait_in_line(task, &s->line, &w);
    return served < 0 ? (int)served : 0;
}

int ouro_sem_try_acquire(ouro_sem *s, int64_t n)
{
    ouro_loop *loop;
    int rc = obtainable(s, n) ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    return take(s, n) ? 0 : -EAGAIN;
}

ouro_future *ouro_sem_acquire_future(ouro_sem *s, int64_t n)
{
    ouro_loop *loop;
    int rc = obtainable(s, n) ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__giver *giver = ouro__giver_at(&s->giver);
    if (!take(s, n)) {
        struct ouro__waiter w = {.kind = &permit_wait, .of = s, .n = n};
        return ouro__wait_future(loop, &s->line, &w, giver);
    }
    ouro_future *f = ouro__granted_future(loop, (ouro_result){n, NULL}, giver);
    if (f->flags & OURO__IMMORTAL)
        s->permits += n;
    return f;
}

int ouro_sem_release(ouro_sem *s, int64_t n)
{
    ouro_loop *loop;
    int rc = s && n >= 1 ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    if (n > s->bound - s->permits)
        return -EOVERFLOW;
    s->permits += n;
    serve_line(s);
    return 0;
}

int64_t ouro_sem_permits(const ouro_sem *s)
{
    return s ? s->permits : -EINVAL;
}
