/* SPDX-License-Identifier: MIT */
/*
 * ouro_gather(): several futures as one.
 *
 * A job watches each child. Outcomes are noted as they come; objects stay in the children until the
 * gather settles, and then go to the caller or are destroyed together. A gather that settles early
 * (FIRST_ERROR) lets go of the caller's array and of each child that is in, and lives on, unseen,
 * until the last is.
 * No memory is the only failure, and then no child is left running unattended.
 */
#include "loop_int.h"
#include "several.h"

struct gather {
    ouro_future f;
    struct ouro__job fork; /* passes a cancel on to the children */
    ouro_result *results;  /* the caller's; NULL: unwanted, or no longer lent */
    size_t n;
    size_t unfinished;
    int64_t error;        /* the first real one, 0: none */
    bool child_cancelled; /* by somebody else */
    bool stopping;        /* the children have been cancelled by us */
    ouro_gather_mode mode;
    struct ouro__part *children; /* gone when the last is in */
};

static bool asked(const struct gather *g)
{
    return g->f.flags & OURO__CANCEL_ASKED;
}

static int64_t outcome(const struct gather *g, const ouro_future *f)
{
    return f->state == OURO_PENDING ? -EAGAIN : ouro__outcome(f, g->stopping || asked(g));
}

/* Fill the caller's array for the last time. Objects go along only with success. */
static void deliver(struct gather *g, bool success)
{
    for (size_t i = 0; g->results && i < g->n; i++) {
        ouro_future *f = g->children[i].f;
        if (!f)
            continue;
        if (g->results[i].n == -EAGAIN) /* its job has not run, but it may have settled */
            g->results[i].n = outcome(g, f);
        if (success && f->state == OURO_VALUE && !(f->flags & OURO__TAKEN))
            g->results[i].ptr = ouro__take(f).ptr;
    }
    g->results = NULL;
}

static void settle(struct gather *g, ouro_state state, int64_t n)
{
    deliver(g, state == OURO_VALUE);
    ouro__settle(&g->f, state, n);
}

static void give_up(struct ouro__part *child)
{
    ouro_future *f = child->f;
    child->f = NULL;
    ouro__unref(f);
}

/* Settle before the last child is in. Those that are in may have been given a lock, which others
 * wait for. */
static void settle_early(struct gather *g, int64_t n)
{
    settle(g, OURO_ERROR, n);
    for (size_t i = 0; i < g->n; i++)
        if (g->children[i].f && !ouro__linked(&g->children[i].job.link))
            give_up(&g->children[i]);
}

/* The last child is in. */
static void finish(struct gather *g)
{
    if (g->f.state == OURO_PENDING) {
        if (asked(g))
            settle(g, OURO_CANCELLED, -ECANCELED);
        else if (g->mode != OURO_GATHER_COLLECT && g->error)
            settle(g, OURO_ERROR, g->error);
        else if (g->mode != OURO_GATHER_COLLECT && g->child_cancelled)
            settle(g, OURO_ERROR, -OURO_ECHILDCANCELLED);
        else
            settle(g, OURO_VALUE, 0);
    }
    ouro__parts_free(g->f.loop, g->children, g->n);
    ouro__unref(&g->f);
}

static void stop_children(struct gather *g)
{
    g->stopping = true;
    for (size_t i = 0; i < g->n; i++)
        if (g->children[i].f)
            ouro__cancel(g->children[i].f);
}

static void child_failed(struct gather *g, int64_t n)
{
    bool first = !g->error && !g->child_cancelled;
    if (n == -OURO_ECHILDCANCELLED)
        g->child_cancelled = true;
    else if (n != -ECANCELED && !g->error)
        g->error = n;
    if (!first || asked(g) || g->f.state != OURO_PENDING)
        return;
    if (g->mode == OURO_GATHER_ALL)
        stop_children(g);
    else if (g->mode == OURO_GATHER_FIRST_ERROR)
        settle_early(g, n);
}

static void child_settled(struct ouro__job *job)
{
    struct ouro__part *child = ouro__part_of(job);
    struct gather *g = child->whole;
    ouro_future *f = child->f;
    int64_t n = outcome(g, f);
    if (!(f->flags & OURO__IMMORTAL))
        f->flags |= OURO__READ;
    if (g->results)
        g->results[child - g->children].n = n;
    if (g->f.state != OURO_PENDING || (!f->result.ptr && !(f->flags & OURO__GRANT)))
        give_up(child); /* now, while its memory is in the cache */
    if (n < 0)
        child_failed(g, n);
    if (--g->unfinished == 0)
        finish(g);
}

bool ouro__gather_let_go(const struct ouro__job *job)
{
    return job->run == child_settled &&
           ((struct gather *)ouro__part_of(job)->whole)->f.state != OURO_PENDING;
}

static void cancel_children(struct ouro__job *fork)
{
    struct gather *g = OURO__CONTAINER(fork, struct gather, fork);
    for (size_t i = 0; i < g->n; i++)
        if (g->children[i].f && !(g->children[i].f->flags & OURO__IMMORTAL))
            ouro__cancel_chain(g->children[i].f);
}

static ouro_future *gather_cancel(ouro_future *f)
{
    struct gather *g = OURO__CONTAINER(f, struct gather, f);
    ouro__list_push(&f->loop->cancelling, &g->fork.link);
    return NULL;
}

static void gather_describe(const ouro_future *f, char *text, size_t size)
{
    const struct gather *g = OURO__CONTAINER(f, const struct gather, f);
    snprintf(text, size, "gather, %zu of %zu done", g->n - g->unfinished, g->n);
}

static bool gather_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    const struct gather *g = OURO__CONTAINER(f, const struct gather, f);
    return ouro__parts_at(g->children, g->n, i, ret_part);
}

static const struct ouro__kind gather_kind = {
    .name = "gather",
    .size = sizeof(struct gather),
    .cancel = gather_cancel,
    .combines = true,
    .describe = gather_describe,
    .part = gather_part,
};

static struct gather *gather_new(ouro_loop *loop, size_t n)
{
    struct ouro__part *children = ouro__parts_new(loop, n);
    if (!children)
        return NULL;
    struct gather *g = ouro__future_new(loop, &gather_kind);
    if (!g) {
        ouro__slab_free(&loop->slab, children, n * sizeof(*children));
        return NULL;
    }
    ouro__ref(&g->f); /* its children's, until the last is in */
    g->children = children;
    g->n = n;
    g->unfinished = n;
    return g;
}

ouro_future *ouro_gather(ouro_future *const *fs, size_t n, ouro_gather_mode mode,
                         ouro_result *results)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return ouro__failed(rc);
    rc = mode > OURO_GATHER_FIRST_ERROR ? -EINVAL : ouro__several_check(fs, n);
    if (rc < 0)
        return ouro__several_refuse(fs, n, rc);
    if (n == 0)
        return ouro_ready(0);
    struct gather *g = gather_new(loop, n);
    if (!g)
        return ouro__several_refuse(fs, n, -ENOMEM);
    g->mode = mode;
    g->results = results;
    g->error = 0;
    g->child_cancelled = false;
    g->stopping = false;
    g->fork = (struct ouro__job){.run = cancel_children};
    for (size_t i = 0; results && i < n; i++)
        results[i] = (ouro_result){-EAGAIN, NULL};
    ouro__parts_take(g->children, fs, n);
    ouro__parts_watch(g->children, n, child_settled, g);
    return &g->f;
}
