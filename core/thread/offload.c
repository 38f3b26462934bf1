/* SPDX-License-Identifier: MIT */
/*
 * ouro_offload(): a function on another thread, as a future.
 *
 * The future belongs to the loop; the job's record goes to the pool and comes back by a post, when
 * it has ended or will never run. Then, on the loop's thread, the argument is freed, the locals are
 * given back, and the future is settled with what the function returned. A cancel takes a job that
 * waits out of the queue and sends its record the same way back; one that runs is told and waited
 * for, unless it was to be abandoned: then the future is settled at once, and forgotten by the
 * record.
 *
 * When the loop is closed before the job has ended, nobody can be told any more: what has to be
 * destroyed is destroyed on the pool's thread. No memory, and no thread, are failures of the start
 * alone.
 */
#include "pool_int.h"
#include "procpool_int.h"

struct offload {
    ouro_future f;
    struct ouro__pool_job *job;
};

_Thread_local struct ouro__pool_job *ouro__job_here;

/* ---- On the pool's thread -------------------------------------------------------------------- */

void ouro__job_run(struct ouro__pool_job *job)
{
    ouro__job_here = job;
    job->n = job->fn(job->arg);
    ouro__job_here = NULL;
}

int ouro_job_cancelled(void)
{
    const struct ouro__pool_job *job = ouro__job_here;
    if (!job)
        return ouro__worker_asked; /* of this process, if it is a worker of a process pool */
    return atomic_load_explicit(&job->cancelled, memory_order_relaxed);
}

/* Replace the object of its result. */
static void set_object(struct ouro__pool_job *job, void *ptr, ouro_free_fn *ptr_free)
{
    void *old = job->ptr;
    ouro_free_fn *old_free = job->ptr_free;
    job->ptr = ptr;
    job->ptr_free = ptr_free;
    if (old_free && old)
        old_free(old);
}

int64_t ouro__job_return(void *ptr, ouro_free_fn *ptr_free)
{
    if (!ouro__job_here)
        return -EPERM;
    ouro__job_here->has_words = false;
    set_object(ouro__job_here, ptr, ptr_free);
    return 0;
}

bool ouro__job_say(char *words)
{
    if (!ouro__job_here)
        return false;
    ouro__job_here->has_words = true;
    set_object(ouro__job_here, words, ouro__release);
    return true;
}

/* The reference to the loop is the poster's: the loop may take the post, and close, before
 * ouro__post() has returned. */
bool ouro__job_deliver(struct ouro__pool_job *job)
{
    ouro_loop *loop = job->loop;
    if (ouro__post(loop, &job->over) < 0)
        return false;
    ouro_loop_unref(loop);
    return true;
}

static void free_arg(const struct ouro__pool_job *job)
{
    if (job->arg_free)
        job->arg_free(job->arg);
}

void ouro__job_end_here(struct ouro__pool_job *job)
{
    ouro_loop *loop = job->loop;
    free_arg(job);
    set_object(job, NULL, NULL);
    ouro__bindings_drop(NULL, job->locals, job->local_count);
    ouro__pool_unref(job->pool);
    ouro__release(job);
    ouro_loop_unref(loop);
}

void ouro__job_give_up(struct ouro__pool_job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_relaxed);
    ouro__post(job->loop, &job->given_up); /* a closed loop has given up by itself */
}

/* ---- On the loop's thread -------------------------------------------------------------------- */

/* The future that @job was to settle; nobody waits for it from now on. NULL: nobody does. */
static ouro_future *detach(struct ouro__pool_job *job)
{
    ouro_future *f = job->f;
    job->f = NULL;
    if (f)
        OURO__CONTAINER(f, struct offload, f)->job = NULL;
    return f;
}

static void settle(struct ouro__pool_job *job)
{
    int64_t n = job->n;
    if ((n < 0) != job->has_words || !job->f)
        set_object(job, NULL, NULL); /* no object of an error, no words of a value */
    ouro_future *f = detach(job);
    if (!f)
        return;
    f->result.ptr = job->ptr;
    f->ptr_free = job->ptr_free;
    bool asked = job->state == OURO__JOB_WITHDRAWN || (f->flags & OURO__CANCEL_ASKED);
    if (n == -ECANCELED && asked)
        ouro__settle(f, OURO_CANCELLED, n);
    else
        ouro__settle_n(f, n);
}

static void over(struct ouro__job *j)
{
    struct ouro__pool_job *job = OURO__CONTAINER(j, struct ouro__pool_job, over.job);
    free_arg(job);
    settle(job);
    ouro__bindings_drop(ouro__this_loop, job->locals, job->local_count);
    ouro__pool_unref(job->pool);
    ouro__release(job);
}

static void drop_over(struct ouro__post *post, bool quietly)
{
    if (quietly)
        ouro__release(OURO__CONTAINER(post, struct ouro__pool_job, over));
    else
        over(&post->job);
}

static void given_up(struct ouro__job *j)
{
    ouro_future *f = detach(OURO__CONTAINER(j, struct ouro__pool_job, given_up.job));
    if (f)
        ouro__settle(f, OURO_ERROR, -ETIMEDOUT);
}

static void drop_given_up(struct ouro__post *post, bool quietly)
{
    if (!quietly)
        given_up(&post->job);
}

static ouro_future *offload_cancel(ouro_future *f)
{
    struct ouro__pool_job *job = OURO__CONTAINER(f, struct offload, f)->job;
    switch (ouro__pool_withdraw(job)) {
    case OURO__JOB_WAITS:
        ouro_loop_unref(job->loop);
        ouro__ready(f->loop, &job->over.job);
        break;
    case OURO__JOB_RUNS:
        if (job->abandon)
            ouro__settle(detach(job), OURO_CANCELLED, -ECANCELED);
        break;
    case OURO__JOB_ENDED:
    case OURO__JOB_WITHDRAWN:
        break; /* the post is on its way */
    }
    return NULL;
}

static void offload_describe(const ouro_future *f, char *text, size_t size)
{
    static const char *const states[] = {"queued", "running", "ended", "withdrawn"};
    struct ouro__pool_job *job = OURO__CONTAINER(f, const struct offload, f)->job;
    pthread_mutex_lock(&job->pool->lock);
    unsigned waiting = job->pool->waiting_count;
    enum ouro__job_state state = job->state;
    pthread_mutex_unlock(&job->pool->lock);
    snprintf(text, size, "offload '%s', %s, pool %s has %u in its queue", job->name, states[state],
             job->pool->name, waiting);
}

static const struct ouro__kind offload_kind = {
    .name = "offload",
    .size = sizeof(struct offload),
    .cancel = offload_cancel,
    .describe = offload_describe,
};

const char *ouro__job_name(const ouro_future *f)
{
    if (f->kind != &offload_kind)
        return NULL;
    const struct offload *o = OURO__CONTAINER(f, const struct offload, f);
    return o->job ? o->job->name : NULL;
}

/* ---- Starting -------------------------------------------------------------------------------- */

static struct ouro__pool_job *job_new(ouro_loop *loop, ouro_task_fn *fn, void *arg,
                                      const ouro_offload_options *opts,
                                      const struct ouro__locals *locals)
{
    size_t local_count = ouro__locals_count(locals);
    struct ouro__pool_job *job = ouro__alloc(sizeof(*job) +
                                             local_count * sizeof(struct ouro__binding));
    if (!job)
        return NULL;
    *job = (struct ouro__pool_job){
        .over = {.job = {.run = over}, .drop = drop_over},
        .given_up = {.job = {.run = given_up}, .drop = drop_given_up},
        .loop = ouro_loop_ref(loop),
        .fn = fn,
        .arg = arg,
        .arg_free = opts->arg_free,
        .name = opts->name ? opts->name : "job",
        .abandon = opts->abandon,
        .n = -ECANCELED, /* unless it runs */
        .local_count = local_count,
    };
    job->pool = ouro__pool_ref(opts->pool ? opts->pool : ouro__lane_enter(loop, opts->lane));
    ouro__locals_copy(locals, job->locals);
    return job;
}

/* Undo job_new(), but for the argument. */
static void job_discard(struct ouro__pool_job *job)
{
    ouro_loop_unref(job->loop);
    ouro__bindings_drop(job->loop, job->locals, job->local_count);
    ouro__pool_unref(job->pool);
    ouro__release(job);
}

/* Hand @job over. 0, or an error, and it is still the caller's. */
static int submit(ouro_loop *loop, struct ouro__pool_job *job, ouro_future **ret_future)
{
    struct offload *o = ouro__future_new(loop, &offload_kind);
    if (!o)
        return -ENOMEM;
    o->job = job;
    job->f = &o->f;
    int rc = ouro__pool_submit(job->pool, job);
    if (rc < 0)
        ouro__future_discard(&o->f);
    else
        *ret_future = &o->f;
    return rc;
}

static int check(ouro_task_fn *fn, const ouro_offload_options *opts, ouro_loop **ret_loop)
{
    if (!fn || (!opts->pool && opts->lane > OURO_LANE_DNS))
        return -EINVAL;
    int rc = ouro__loop_for_work(ret_loop);
    return rc == 0 && opts->pool && ouro__pool_forked(opts->pool) ? -ECHILD : rc;
}

static ouro_future *offload(ouro_task_fn *fn, void *arg, const ouro_offload_options *opts)
{
    ouro_loop *loop;
    ouro_future *f;
    int rc = check(fn, opts, &loop);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__pool_job *job = job_new(loop, fn, arg, opts, ouro__locals_current(loop));
    if (!job)
        return ouro__failed(-ENOMEM);
    rc = submit(loop, job, &f);
    if (rc == 0)
        return f;
    job_discard(job);
    return ouro__failed(rc);
}

ouro_future *ouro_offload_with(ouro_task_fn *fn, void *arg, const ouro_offload_options *opts)
{
    static const ouro_offload_options defaults;
    ouro_future *f = offload(fn, arg, opts ? opts : &defaults);
    if ((f->flags & OURO__IMMORTAL) && opts && opts->arg_free)
        opts->arg_free(arg);
    return f;
}

ouro_future *ouro_offload(ouro_task_fn *fn, void *arg)
{
    return ouro_offload_with(fn, arg, NULL);
}

int ouro__lane_run(ouro_loop *loop, ouro_lane lane, ouro_task_fn *fn, void *arg,
                   ouro_free_fn *arg_free)
{
    const ouro_offload_options opts = {.lane = lane, .arg_free = arg_free};
    struct ouro__pool_job *job = job_new(loop, fn, arg, &opts, NULL);
    if (!job)
        return -ENOMEM;
    int rc = ouro__pool_submit(job->pool, job);
    if (rc < 0)
        job_discard(job);
    return rc;
}
