/* SPDX-License-Identifier: MIT */
/*
 * Calls from other threads.
 *
 * Posters push onto a lock-free stack; the loop takes all of it at once, turns it round, and runs
 * what it finds in order. A wake-up costs a system call, so only the poster who finds the loop
 * sleeping makes one: the loop says that it sleeps, then looks at the stack once more, and the
 * poster pushes, then looks at what the loop said, so at least one of them sees the other. A closed
 * loop's stack ends in a mark that no push gets past.
 */
#include "loop_int.h"

/* A call of the user's. */
struct call {
    struct ouro__post post;
    ouro_call_fn *fn;
    void *arg;
    ouro_free_fn *arg_free;
};

static struct ouro__post closed; /* the mark */

bool ouro__posts_waiting(ouro_loop *loop)
{
    return atomic_load(&loop->posts) != NULL;
}

/* Take all there are, oldest first, and leave @mark. */
static struct ouro__post *take_all(ouro_loop *loop, struct ouro__post *mark)
{
    struct ouro__post *newest = atomic_exchange(&loop->posts, mark);
    struct ouro__post *oldest = NULL;
    while (newest && newest != &closed) {
        struct ouro__post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void ouro__posts_take(ouro_loop *loop)
{
    if (!atomic_load_explicit(&loop->posts, memory_order_relaxed))
        return;
    for (struct ouro__post *post = take_all(loop, NULL); post; post = post->next)
        ouro__ready(loop, &post->job);
}

void ouro__posts_close(ouro_loop *loop, bool quietly)
{
    struct ouro__post *post = take_all(loop, &closed);
    while (post) {
        struct ouro__post *next = post->next;
        post->drop(post, quietly);
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

int ouro__post(ouro_loop *loop, struct ouro__post *post)
{
    /* Acquired, since who is refused goes on with what the loop left. */
    post->next = atomic_load_explicit(&loop->posts, memory_order_acquire);
    do {
        if (post->next == &closed)
            return -ESHUTDOWN;
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

/* ---- Calls of the user's --------------------------------------------------------------------- */

static void call_run(struct ouro__job *job)
{
    struct call *call = OURO__CONTAINER(job, struct call, post.job);
    ouro_loop *loop = ouro__this_loop;
    struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))call->fn, NULL);
    call->fn(call->arg);
    if (call->arg_free)
        call->arg_free(call->arg);
    ouro__callback_leave(loop, before);
    ouro__release(call);
}

static void call_drop(struct ouro__post *post, bool quietly)
{
    struct call *call = OURO__CONTAINER(post, struct call, post);
    if (call->arg_free && !quietly)
        call->arg_free(call->arg);
    ouro__release(call);
}

int ouro_loop_post(ouro_loop *loop, ouro_call_fn *fn, void *arg, ouro_free_fn *arg_free)
{
    if (!loop || !fn)
        return -EINVAL;
    if (ouro__loop_forked(loop))
        return -ECHILD;
    struct call *call = ouro__alloc(sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = (struct call){
        .post = {.job = {.run = call_run}, .drop = call_drop},
        .fn = fn,
        .arg = arg,
        .arg_free = arg_free,
    };
    int rc = ouro__post(loop, &call->post);
    if (rc < 0)
        ouro__release(call);
    return rc;
}
