/* SPDX-License-Identifier: MIT */
/*
 * Calls from other threads.
 *
 * Posters push onto a lock-free stack; the loop takes all of it at once, turns it round, and runs what it
 * finds in order. A wake-up costs a system call, so only the poster who finds the loop sleeping makes one:
 * the loop says that it sleeps, then looks at the stack once more, and the poster pushes, then looks at what
 * the loop said, so at least one of them sees the other. A closed loop's stack ends in a mark that no
 * push gets past.
 */
#include "loop_int.h"

struct ouro__post {
    struct ouro__job job;
    struct ouro__post *next; /* the one posted before */
    ouro_call_fn *fn;
    void *arg;
    ouro_free_fn *arg_free;
};

static struct ouro__post closed; /* the mark */

static void post_run(struct ouro__job *job)
{
    struct ouro__post *post = OURO__CONTAINER(job, struct ouro__post, job);
    ouro_loop *loop = ouro__this_loop;
    struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))post->fn, NULL);
    post->fn(post->arg);
    if (post->arg_free)
        post->arg_free(post->arg);
    ouro__callback_leave(loop, before);
    ouro__release(post);
}

bool ouro__posts_waiting(ouro_loop *loop)
{
    return atomic_load(&loop->posts) != NULL;
}

void ouro__posts_take(ouro_loop *loop)
{
    if (!atomic_load_explicit(&loop->posts, memory_order_relaxed))
        return;
    struct ouro__post *newest = atomic_exchange(&loop->posts, NULL);
    struct ouro__post *oldest = NULL;
    while (newest) {
        struct ouro__post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    for (; oldest; oldest = oldest->next)
        ouro__ready(loop, &oldest->job);
}

void ouro__posts_close(ouro_loop *loop, bool run_free)
{
    struct ouro__post *post = atomic_exchange(&loop->posts, &closed);
    while (post && post != &closed) {
        struct ouro__post *next = post->next;
        if (run_free && post->arg_free)
            post->arg_free(post->arg);
        ouro__release(post);
        post = next;
    }
}

/* Wake the loop if it sleeps. */
static void rouse(ouro_loop *loop)
{
    if (atomic_exchange(&loop->sleeping, 0)) {
        atomic_fetch_add_explicit(&loop->wakes, 1, memory_order_relaxed);
        loop->driver->ops->wake(loop->driver);
    }
}

int ouro_loop_post(ouro_loop *loop, ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free)
{
    if (!loop || !fn)
        return -EINVAL;
    if (ouro__loop_forked(loop))
        return -ECHILD;
    struct ouro__post *post = ouro__alloc(sizeof(*post));
    if (!post)
        return -ENOMEM;
    *post = (struct ouro__post){
        .job = {.run = post_run}, .fn = fn, .arg = arg, .arg_free = arg_free};
    post->next = atomic_load_explicit(&loop->posts, memory_order_relaxed);
    do {
        if (post->next == &closed) {
            ouro__release(post);
            return -ESHUTDOWN;
        }
    } while (!atomic_compare_exchange_weak(&loop->posts, &post->next, post));
    rouse(loop);
    return 0;
}

int ouro_loop_wake(ouro_loop *loop)
{
    if (!loop)
        return -EINVAL;
    if (ouro__loop_forked(loop))
        return -ECHILD;
    if (atomic_load(&loop->posts) == &closed)
        return -ESHUTDOWN;
    atomic_store(&loop->woken, 1);
    rouse(loop);
    return 0;
}
