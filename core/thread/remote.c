/* SPDX-License-Identifier: MIT */
/*
 * Remotes: how a thread without a loop waits for work on one.
 *
 * A remote is an errand whose answer is kept until the last reference goes. Threads sleep on a
 * condition variable; once the answer is there it never changes, and is read without the lock.
 * Whoever drops the last reference posts what nobody took to the loop, which destroys it.
 *
 * How it fails: a loop that closes answers -ESHUTDOWN, so nobody waits for ever. A closed loop runs
 * no destructors any more, so the last reference does it on the spot.
 */
#include "errand.h"

#include <ouro/thread.h>

#include <pthread.h>
#include <time.h>

struct ouro_remote {
    struct ouro__errand errand;
    pthread_mutex_t lock;
    pthread_cond_t answer_came;
    atomic_bool answered;
    atomic_bool claimed; /* somebody has the object, or has seen the descriptor */
};

static ouro_remote *of(struct ouro__errand *e)
{
    return OURO__CONTAINER(e, ouro_remote, errand);
}

/* ---- The end --------------------------------------------------------------------------------- */

static void remote_release(ouro_remote *r)
{
    ouro_loop *loop = r->errand.loop;
    if (!ouro__loop_forked(loop)) { /* else threads that are not here might be waited for */
        pthread_cond_destroy(&r->answer_came);
        pthread_mutex_destroy(&r->lock);
    }
    ouro__release(r);
    ouro_loop_unref(loop);
}

/* Whether the loop has still to do with what came along. */
static bool owes(const ouro_remote *r)
{
    const struct ouro__outcome *o = &r->errand.outcome;
    bool claimed = atomic_load(&r->claimed);
    if (o->grant)
        return !claimed || o->giver->kind->taken;
    return !claimed && o->ptr_free && o->result.ptr;
}

static void settle_up(ouro_remote *r)
{
    const struct ouro__outcome *o = &r->errand.outcome;
    ouro_loop *loop = r->errand.loop;
    if (!o->grant)
        o->ptr_free(o->result.ptr);
    else if (atomic_load(&r->claimed))
        o->giver->kind->taken(o->giver, loop);
    else
        o->giver->kind->back(o->giver, loop, o->result);
}

/* The loop is closed, and what gave out locks and the like has gone with it. */
static void settle_up_late(ouro_remote *r)
{
    const struct ouro__outcome *o = &r->errand.outcome;
    ouro_loop *loop = r->errand.loop;
    if (!o->grant)
        o->ptr_free(o->result.ptr);
    else if (o->giver == &ouro__fds && !atomic_load(&r->claimed))
        loop->driver->ops->close_fd(loop->driver, (int)o->result.n);
}

static void last_run(struct ouro__job *job)
{
    ouro_remote *r = OURO__CONTAINER(job, ouro_remote, errand.start.job);
    settle_up(r);
    remote_release(r);
}

static void last_drop(struct ouro__post *post, bool quietly)
{
    ouro_remote *r = OURO__CONTAINER(post, ouro_remote, errand.start);
    if (!quietly)
        settle_up(r);
    remote_release(r);
}

/* Have the loop settle up. The post that brought the errand has long been used, and can be again.
 * The loop may take it, let the remote go and close, all before ouro__post() has returned. */
static bool send_home(ouro_remote *r)
{
    struct ouro__post *last = &r->errand.start;
    ouro_loop *loop = ouro_loop_ref(r->errand.loop);
    *last = (struct ouro__post){.job = {.run = last_run}, .drop = last_drop};
    bool sent = ouro__post(loop, last) == 0;
    ouro_loop_unref(loop);
    return sent;
}

static void remote_gone(struct ouro__errand *e)
{
    ouro_remote *r = of(e);
    if (owes(r) && !ouro__loop_forked(e->loop)) {
        if (send_home(r))
            return;
        settle_up_late(r);
    }
    remote_release(r);
}

/* ---- The answer ------------------------------------------------------------------------------ */

static void remote_answer(struct ouro__errand *e)
{
    ouro_remote *r = of(e);
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->answered, true);
    pthread_cond_broadcast(&r->answer_came);
    pthread_mutex_unlock(&r->lock);
}

static const struct ouro__errand_kind remote_errand = {
    .answer = remote_answer,
    .free = remote_gone,
};

static struct timespec until(ouro_ns limit)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    ouro_ns ns = ouro__ns_add(OURO_SEC(now.tv_sec) + (ouro_ns)now.tv_nsec, limit);
    return (struct timespec){.tv_sec = (time_t)(ns / OURO_SEC(1)),
                             .tv_nsec = (long)(ns % OURO_SEC(1))};
}

static void sleep_on(ouro_remote *r, ouro_ns limit)
{
    struct timespec deadline = until(limit);
    int rc = 0;
    pthread_mutex_lock(&r->lock);
    while (!atomic_load(&r->answered) && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&r->answer_came, &r->lock, &deadline);
    pthread_mutex_unlock(&r->lock);
}

/* 0 once the answer is there, or why it is not. */
static int await_answer(ouro_remote *r, ouro_ns limit)
{
    if (ouro__loop_forked(r->errand.loop))
        return -ECHILD;
    if (limit == 0)
        return -EAGAIN;
    if (ouro__loop_is_here(r->errand.loop))
        return -EDEADLK;
    sleep_on(r, limit);
    return atomic_load(&r->answered) ? 0 : -EAGAIN;
}

int64_t ouro_remote_wait(ouro_remote *r, ouro_ns limit)
{
    if (!r)
        return -EINVAL;
    int rc = atomic_load(&r->answered) ? 0 : await_answer(r, limit);
    if (rc < 0)
        return rc;
    const struct ouro__outcome *o = &r->errand.outcome;
    if (o->grant && !o->giver->kind->in_ptr)
        atomic_store(&r->claimed, true);
    return o->result.n;
}

void *ouro_remote_take(ouro_remote *r, ouro_free_fn **ret_free)
{
    void *ptr = NULL;
    ouro_free_fn *ptr_free = NULL;
    if (r && atomic_load(&r->answered) && r->errand.outcome.result.ptr &&
        !atomic_exchange(&r->claimed, true)) {
        const struct ouro__outcome *o = &r->errand.outcome;
        ptr = o->result.ptr;
        ptr_free = o->grant ? NULL : o->ptr_free;
    }
    if (ret_free)
        *ret_free = ptr_free;
    return ptr;
}

int ouro_remote_cancel(ouro_remote *r)
{
    if (!r)
        return -EINVAL;
    if (ouro__loop_forked(r->errand.loop))
        return -ECHILD;
    return !atomic_load(&r->answered) && ouro__errand_stop(&r->errand);
}

ouro_remote *ouro_remote_ref(ouro_remote *r)
{
    if (r)
        atomic_fetch_add(&r->errand.refs, 1);
    return r;
}

ouro_remote *ouro_remote_free(ouro_remote *r)
{
    if (r)
        ouro__errand_unref(&r->errand);
    return NULL;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static bool wait_init(ouro_remote *r)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    bool made = pthread_cond_init(&r->answer_came, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return made && pthread_mutex_init(&r->lock, NULL) == 0;
}

static ouro_remote *remote_new(ouro_loop *loop, unsigned refs)
{
    ouro_remote *r = ouro__alloc(sizeof(*r));
    if (!r)
        return NULL;
    if (!wait_init(r)) {
        ouro__release(r);
        return NULL;
    }
    atomic_init(&r->answered, false);
    atomic_init(&r->claimed, false);
    ouro__errand_init(&r->errand, &remote_errand, loop, refs);
    return r;
}

int ouro_remote_spawn(ouro_loop *loop, ouro_task_fn *fn, void *arg, const ouro_spawn_options *opts,
                      ouro_remote **ret_remote)
{
    static const ouro_spawn_options defaults;
    if (!opts)
        opts = &defaults;
    if (!loop || !fn || opts->stack_size > (size_t)1 << OURO__STACK_MAX_LOG)
        return -EINVAL;
    if (ouro__loop_forked(loop))
        return -ECHILD;
    ouro_remote *r = remote_new(loop, ret_remote ? 2 : 1);
    if (!r)
        return -ENOMEM;
    int rc = ouro__errand_send(&r->errand, fn, arg, opts);
    if (rc < 0)
        remote_release(r);
    else if (ret_remote)
        *ret_remote = r;
    return rc;
}

/* 0, or why @f cannot be had a remote of; what this thread could not touch stays as it is. */
static int remotable(ouro_future *f, ouro_remote **ret_remote)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc == 0)
        rc = ouro__future_check(f);
    if (rc == -EPERM || rc == -ECHILD || rc == -EXDEV)
        return rc;
    if (rc == 0 && !ret_remote)
        rc = -EINVAL;
    if (rc < 0)
        ouro_unref(f);
    return rc;
}

int ouro_remote_new(ouro_future *f, ouro_remote **ret_remote)
{
    int rc = remotable(f, ret_remote);
    if (rc < 0)
        return rc;
    ouro_remote *r = remote_new(ouro__this_loop, 2);
    if (!r) {
        ouro__unref(f);
        return -ENOMEM;
    }
    ouro__errand_begin(&r->errand, f);
    *ret_remote = r;
    return 0;
}
