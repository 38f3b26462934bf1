/* SPDX-License-Identifier: MIT */
/*
 * ouro_pool_shutdown(): wait until a pool has done its work, but not for ever.
 *
 * A closed pool's threads end when no job waits any more, and the last of them posts to the loop
 * that waits. When the grace has passed before that, the jobs that wait are withdrawn and those
 * that run are given up: their futures are settled by posts to their own loops, which may be many.
 * What the last thread posts is apart from the future, and left behind with the pool when the loop
 * closes first.
 *
 * No memory at the start is the only failure.
 */
#include "pool_int.h"

struct shutdown {
    ouro_future f;
    struct ouro__timer timer; /* the grace */
    ouro_pool *pool;          /* a reference */
    struct end *end;          /* the pool's until it is posted, or taken back */
};

/* What the last thread posts. */
struct end {
    struct ouro__post post;
    struct shutdown *shutdown;
};

static void settle(struct shutdown *s, ouro_state state, int64_t n)
{
    ouro__timer_cancel(&s->f.loop->timers, &s->timer);
    ouro__release(s->end);
    ouro__pool_unref(s->pool);
    ouro__settle(&s->f, state, n);
}

static void all_ended(struct ouro__job *job)
{
    settle(OURO__CONTAINER(job, struct end, post.job)->shutdown, OURO_VALUE, 0);
}

/* Quietly also when the loop was closed first: its future, and what that holds, were given up with
 * it. */
static void drop(struct ouro__post *post, bool quietly)
{
    if (quietly)
        ouro__release(OURO__CONTAINER(post, struct end, post));
    else
        all_ended(&post->job);
}

/* Give up what has not ended. False: there is nothing left to give up, and the end is near. */
static bool give_up(struct shutdown *s)
{
    ouro_pool *pool = s->pool;
    struct ouro__link dropped;
    ouro__list_init(&dropped);
    pthread_mutex_lock(&pool->lock);
    bool some = !ouro__list_empty(&pool->waiting) || !ouro__list_empty(&pool->running);
    ouro__pool_empty(pool, &dropped);
    OURO__LIST_FOR (link, &pool->running)
        ouro__job_give_up(OURO__CONTAINER(link, struct ouro__pool_job, link));
    if (some) {
        assert(pool->end == &s->end->post);
        pool->end = NULL;
        ouro_loop_unref(pool->end_loop);
    }
    pthread_mutex_unlock(&pool->lock);
    ouro__jobs_deliver(&dropped);
    return some;
}

static void grace_over(struct ouro__timer *timer)
{
    struct shutdown *s = OURO__CONTAINER(timer, struct shutdown, timer);
    if (give_up(s))
        settle(s, OURO_ERROR, -ETIMEDOUT);
}

static ouro_future *shutdown_cancel(ouro_future *f)
{
    struct shutdown *s = OURO__CONTAINER(f, struct shutdown, f);
    if (give_up(s))
        settle(s, OURO_CANCELLED, -ECANCELED);
    return NULL;
}

static void shutdown_describe(const ouro_future *f, char *text, size_t size)
{
    ouro__describe_deadline(f, &OURO__CONTAINER(f, const struct shutdown, f)->timer, text, size);
}

static const struct ouro__kind shutdown_kind = {
    .name = "pool shutdown",
    .size = sizeof(struct shutdown),
    .cancel = shutdown_cancel,
    .describe = shutdown_describe,
};

static struct shutdown *shutdown_new(ouro_loop *loop, ouro_ns grace)
{
    struct end *end = ouro__alloc(sizeof(*end));
    struct shutdown *s = end ? ouro__future_new(loop, &shutdown_kind) : NULL;
    if (!s) {
        ouro__release(end);
        return NULL;
    }
    *end = (struct end){.post = {.job = {.run = all_ended}, .drop = drop}, .shutdown = s};
    s->end = end;
    ouro__timer_init(&s->timer, grace_over);
    ouro_ns deadline = grace ? ouro__ns_add(ouro__loop_now(loop), grace) : OURO_FOREVER;
    if (ouro__timer_set(&loop->timers, &s->timer, deadline) < 0) {
        ouro__release(end);
        ouro__future_discard(&s->f);
        return NULL;
    }
    return s;
}

/* Close the pool. -EALREADY: it is closed. */
static int close_pool(ouro_pool *pool, struct shutdown *s)
{
    pthread_mutex_lock(&pool->lock);
    int rc = pool->closed ? -EALREADY : 0;
    bool empty = !pool->threads;
    if (rc == 0) {
        pool->closed = true;
        s->pool = ouro__pool_ref(pool);
        if (!empty) {
            pool->end = &s->end->post;
            pool->end_loop = ouro_loop_ref(s->f.loop);
            ouro__pool_wake_all(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    if (rc == 0 && empty)
        settle(s, OURO_VALUE, 0);
    return rc;
}

ouro_future *ouro_pool_shutdown(ouro_pool *pool, ouro_ns grace)
{
    ouro_loop *loop;
    int rc = pool ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0 && ouro__pool_forked(pool))
        rc = -ECHILD;
    if (rc < 0)
        return ouro__failed(rc);
    struct shutdown *s = shutdown_new(loop, grace);
    if (!s)
        return ouro__failed(-ENOMEM);
    rc = close_pool(pool, s);
    if (rc < 0) {
        ouro__timer_cancel(&loop->timers, &s->timer);
        ouro__release(s->end);
        ouro__future_discard(&s->f);
        return ouro__failed(rc);
    }
    if (grace == 0 && s->f.state == OURO_PENDING)
        grace_over(&s->timer);
    return &s->f;
}
