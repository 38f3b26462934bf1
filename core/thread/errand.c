/* SPDX-License-Identifier: MIT */
/*
 * Errands: from the post that brings one to the answer.
 *
 * Happy path: the post starts a task; a job watches it; when it has settled, its outcome moves into
 * the record, and the kind tells those who wait. A cancel is another post. Nothing is allocated on
 * the way, so nothing can get lost on it.
 *
 * How it fails: a loop that closes answers -ESHUTDOWN, for what never began and for work that
 * shutdown gave up. If nobody waits any more, the work is left to itself like any task that was
 * detached: the loop destroys its object, and reports its error.
 */
#include "errand.h"

/* ---- The answer ------------------------------------------------------------------------------ */

/* What those who wait are told of settled work. -ECANCELED is kept for what they have asked for. */
static int64_t told(const struct ouro__errand *e, const ouro_future *work)
{
    if (work->flags & OURO__TAKEN)
        return -EALREADY;
    if (work->state != OURO_CANCELLED)
        return work->result.n;
    if (atomic_load(&e->stop_asked))
        return -ECANCELED;
    return e->loop->phase >= OURO__CLOSING ? -ESHUTDOWN : -OURO_ECHILDCANCELLED;
}

/* What @work owns is the errand's from now on. */
static void move_outcome(struct ouro__errand *e, ouro_future *work)
{
    struct ouro__outcome *o = &e->outcome;
    o->result.n = told(e, work);
    if (work->flags & OURO__IMMORTAL)
        return;
    work->flags |= OURO__READ;
    if (o->result.n < 0)
        return;
    o->result.ptr = work->result.ptr;
    o->grant = work->flags & OURO__GRANT;
    if (o->grant)
        o->giver = work->giver;
    else
        o->ptr_free = work->ptr_free;
    if (o->grant || o->ptr_free)
        work->flags |= OURO__TAKEN;
}

/* There is no work, and will be none. */
static void refuse(struct ouro__errand *e, int rc)
{
    e->outcome.result.n = rc;
    e->kind->answer(e);
    ouro__errand_unref(e);
}

/* The work has settled, or been given up. */
static void finish(struct ouro__errand *e)
{
    ouro_future *work = e->work;
    bool wanted = atomic_load(&e->refs) > 1;
    ouro__list_remove(&e->link);
    e->work = NULL;
    if (work->state == OURO_PENDING)
        e->outcome.result.n = -ESHUTDOWN;
    else if (wanted)
        move_outcome(e, work);
    ouro__unref(work);
    e->kind->answer(e);
    ouro__errand_unref(e);
}

static void work_settled(struct ouro__job *job)
{
    finish(OURO__CONTAINER(job, struct ouro__errand, settled));
}

void ouro__errand_begin(struct ouro__errand *e, ouro_future *work)
{
    e->work = work;
    ouro__list_push(&e->loop->errands, &e->link);
    if (work->state == OURO_PENDING)
        ouro__watch(work, &e->settled);
    else
        finish(e);
}

bool ouro__errand_waits(const struct ouro__job *job)
{
    return job->run == work_settled;
}

void ouro__errands_give_up(ouro_loop *loop)
{
    while (!ouro__list_empty(&loop->errands)) {
        struct ouro__errand *e = OURO__CONTAINER(loop->errands.next, struct ouro__errand, link);
        ouro__list_remove(&e->settled.link);
        finish(e);
    }
}

/* ---- The posts ------------------------------------------------------------------------------- */

static void free_arg(struct ouro__errand *e)
{
    if (e->options.arg_free)
        e->options.arg_free(e->arg);
}

/* The task starts at once: it has come a long way, and need not wait for another turn. */
static void start_run(struct ouro__job *job)
{
    struct ouro__errand *e = OURO__CONTAINER(job, struct ouro__errand, start.job);
    ouro_loop *loop = e->loop;
    struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))e->fn, NULL);
    bool stopped = atomic_load(&e->stop_asked);
    ouro_future *work = NULL;
    if (stopped)
        free_arg(e);
    else
        work = ouro_spawn_with(e->fn, e->arg, &e->options);
    ouro__callback_leave(loop, before);
    if (stopped)
        refuse(e, -ECANCELED);
    else
        ouro__errand_begin(e, work);
}

static void start_drop(struct ouro__post *post, bool quietly)
{
    struct ouro__errand *e = OURO__CONTAINER(post, struct ouro__errand, start);
    if (quietly) {
        ouro__errand_unref(e);
        return;
    }
    free_arg(e);
    refuse(e, -ESHUTDOWN);
}

int ouro__errand_send(struct ouro__errand *e, ouro_task_fn *fn, void *arg,
                      const ouro_spawn_options *opts)
{
    e->start = (struct ouro__post){.job = {.run = start_run}, .drop = start_drop};
    e->fn = fn;
    e->arg = arg;
    e->options = *opts;
    e->options.eager = 1;
    return ouro__post(e->loop, &e->start);
}

static void stop_run(struct ouro__job *job)
{
    struct ouro__errand *e = OURO__CONTAINER(job, struct ouro__errand, stop.job);
    if (e->work)
        ouro__cancel(e->work);
    ouro__errand_unref(e);
}

static void stop_drop(struct ouro__post *post, bool quietly)
{
    (void)quietly;
    ouro__errand_unref(OURO__CONTAINER(post, struct ouro__errand, stop));
}

bool ouro__errand_stop(struct ouro__errand *e)
{
    if (atomic_exchange(&e->stop_asked, true))
        return false;
    atomic_fetch_add(&e->refs, 1);
    if (ouro__post(e->loop, &e->stop) == 0)
        return true;
    ouro__errand_unref(e);
    return false;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void ouro__errand_init(struct ouro__errand *e, const struct ouro__errand_kind *kind,
                       ouro_loop *loop, unsigned refs)
{
    *e = (struct ouro__errand){
        .kind = kind,
        .loop = ouro_loop_ref(loop),
        .stop = {.job = {.run = stop_run}, .drop = stop_drop},
        .settled = {.run = work_settled},
    };
    atomic_init(&e->refs, refs);
}

void ouro__errand_unref(struct ouro__errand *e)
{
    if (atomic_fetch_sub(&e->refs, 1) == 1)
        e->kind->free(e);
}
