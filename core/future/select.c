/* SPDX-License-Identifier: MIT */
/*
 * ouro_select(): the first of several futures, and an end to the others.
 *
 * A job watches each. The first to run has the winner, and cancels the rest; the last settles the
 * select, so nobody is left who could write to a caller's buffer. What the losers won all the same
 * was never taken from them, so it goes back when they go. A cancel of the select cancels them all;
 * then only a value can still win.
 *
 * No memory is the only failure, and then nobody is left running unattended.
 */
#include "loop_int.h"
#include "several.h"

#include <ouro/select.h>

#define NOBODY SIZE_MAX

struct selection {
    ouro_future f;
    struct ouro__job fork; /* passes a cancel on to all */
    struct ouro__part *rivals;
    size_t n;
    size_t unfinished;
    size_t winner;
    ouro_result *ret_winner; /* the caller's, or NULL */
    bool late;               /* a cancel came before any had settled */
};

/* What the winner came to, with its object. */
static ouro_result prize(ouro_future *f)
{
    if (f->flags & OURO__TAKEN)
        return (ouro_result){-EALREADY, NULL};
    ouro_result result = ouro__take(f);
    result.n = ouro__outcome(f, false);
    return result;
}

/* The last has settled. */
static void finish(struct selection *s)
{
    ouro_loop *loop = s->f.loop;
    bool won = s->winner != NOBODY;
    int64_t n = won ? (int64_t)s->winner : -ECANCELED;
    if (won && s->ret_winner && !s->f.doomed)
        *s->ret_winner = prize(s->rivals[s->winner].f);
    ouro__parts_free(loop, s->rivals, s->n);
    ouro__settle(&s->f, won ? OURO_VALUE : OURO_CANCELLED, n);
}

static void rival_settled(struct ouro__job *job)
{
    struct ouro__part *rival = ouro__part_of(job);
    struct selection *s = rival->whole;
    if (!(rival->f->flags & OURO__IMMORTAL))
        rival->f->flags |= OURO__READ;
    if (s->winner == NOBODY && (!s->late || rival->f->state == OURO_VALUE)) {
        s->winner = (size_t)(rival - s->rivals);
        for (size_t i = 0; i < s->n; i++)
            ouro__cancel(s->rivals[i].f);
    }
    if (--s->unfinished == 0)
        finish(s);
}

static void cancel_all(struct ouro__job *fork)
{
    struct selection *s = OURO__CONTAINER(fork, struct selection, fork);
    for (size_t i = 0; i < s->n; i++)
        if (!(s->rivals[i].f->flags & OURO__IMMORTAL))
            ouro__cancel_chain(s->rivals[i].f);
}

static ouro_future *select_cancel(ouro_future *f)
{
    struct selection *s = OURO__CONTAINER(f, struct selection, f);
    s->late = true;
    for (size_t i = 0; i < s->n; i++)
        if (s->rivals[i].f->state != OURO_PENDING)
            s->late = false; /* its job is on its way */
    ouro__list_push(&f->loop->cancelling, &s->fork.link);
    return NULL;
}

static bool select_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    const struct selection *s = OURO__CONTAINER(f, const struct selection, f);
    return ouro__parts_at(s->rivals, s->n, i, ret_part);
}

static const struct ouro__kind select_kind = {
    .name = "select",
    .size = sizeof(struct selection),
    .cancel = select_cancel,
    .combines = true,
    .part = select_part,
};

static struct selection *select_new(ouro_loop *loop, size_t n)
{
    struct ouro__part *rivals = ouro__parts_new(loop, n);
    if (!rivals)
        return NULL;
    struct selection *s = ouro__future_new(loop, &select_kind);
    if (!s) {
        ouro__slab_free(&loop->slab, rivals, n * sizeof(*rivals));
        return NULL;
    }
    s->fork = (struct ouro__job){.run = cancel_all};
    s->rivals = rivals;
    s->n = n;
    s->unfinished = n;
    s->winner = NOBODY;
    s->late = false;
    return s;
}

ouro_future *ouro_select(ouro_future *const *fs, size_t n, ouro_result *ret_winner)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return ouro__failed(rc);
    rc = n == 0 ? -EINVAL : ouro__several_check(fs, n);
    if (rc < 0)
        return ouro__several_refuse(fs, n, rc);
    struct selection *s = select_new(loop, n);
    if (!s)
        return ouro__several_refuse(fs, n, -ENOMEM);
    s->ret_winner = ret_winner;
    ouro__parts_take(s->rivals, fs, n);
    ouro__parts_watch(s->rivals, n, rival_settled, s);
    return &s->f;
}
