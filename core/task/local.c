/* SPDX-License-Identifier: MIT */
/*
 * Task-local values.
 *
 * A list of bindings that is never changed once it can be seen by two: setting a key makes a new
 * head, and copies of the bindings before the one it replaces, so that the length is bounded by the
 * number of keys. The value itself sits in a box that copies share and that is destroyed, by a job
 * on the loop, with the last of them. A job of a pool has copies in an array of its own, for its
 * thread to read: only their boxes are shared with the loop, and counted atomically. No memory is
 * the only failure, and leaves everything as it was.
 */
#include "pool_int.h"

struct ouro__box {
    struct ouro__job job; /* destroys the value */
    void *value;
    ouro_free_fn *value_free;
    atomic_uint refs; /* jobs of pools have some */
};

struct ouro__locals {
    const ouro_local *key;
    struct ouro__box *box;     /* a reference */
    struct ouro__locals *rest; /* a reference */
    uint32_t refs;
};

static struct ouro__locals **current_slot(ouro_loop *loop)
{
    return loop->task ? &loop->task->locals : &loop->locals;
}

struct ouro__locals *ouro__locals_current(ouro_loop *loop)
{
    return *current_slot(loop);
}

struct ouro__locals *ouro__locals_ref(struct ouro__locals *locals)
{
    if (locals)
        locals->refs++;
    return locals;
}

static void box_destroy(struct ouro__job *job)
{
    struct ouro__box *box = OURO__CONTAINER(job, struct ouro__box, job);
    box->value_free(box->value);
    ouro__release(box);
}

static void box_unref(ouro_loop *loop, struct ouro__box *box)
{
    if (atomic_fetch_sub(&box->refs, 1) > 1)
        return;
    if (!box->value_free)
        ouro__release(box);
    else if (loop && loop->phase != OURO__CLOSED)
        ouro__ready(loop, &box->job);
    else
        box_destroy(&box->job);
}

void ouro__locals_unref(ouro_loop *loop, struct ouro__locals *locals)
{
    while (locals && --locals->refs == 0) {
        struct ouro__locals *rest = locals->rest;
        box_unref(loop, locals->box);
        ouro__slab_free(&loop->slab, locals, sizeof(*locals));
        locals = rest;
    }
}

/* A binding of @key to @box, which gains a reference, in front of @rest, which is consumed. */
static struct ouro__locals *bind(ouro_loop *loop, const ouro_local *key, struct ouro__box *box,
                                 struct ouro__locals *rest)
{
    struct ouro__locals *head = ouro__slab_alloc(&loop->slab, sizeof(*head));
    if (!head) {
        ouro__locals_unref(loop, rest);
        return NULL;
    }
    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
    *head = (struct ouro__locals){.key = key, .box = box, .rest = rest, .refs = 1};
    return head;
}

/* @old without @key, as a new list that shares its tail. False when there is no memory. */
static bool without(ouro_loop *loop, struct ouro__locals *old, const ouro_local *key,
                    struct ouro__locals **ret_list)
{
    const struct ouro__locals *found = old;
    while (found && found->key != key)
        found = found->rest;
    if (!found) {
        *ret_list = ouro__locals_ref(old);
        return true;
    }
    struct ouro__locals *list = ouro__locals_ref(found->rest);
    for (; old != found; old = old->rest) {
        list = bind(loop, old->key, old->box, list);
        if (!list)
            return false;
    }
    *ret_list = list;
    return true;
}

static struct ouro__box *box_new(void *value, ouro_free_fn *value_free)
{
    struct ouro__box *box = ouro__alloc(sizeof(*box));
    if (box)
        *box = (struct ouro__box){
            .job = {.run = box_destroy}, .value = value, .value_free = value_free};
    return box;
}

int ouro_local_set(const ouro_local *key, void *value, ouro_free_fn *value_free)
{
    ouro_loop *loop;
    int rc = key ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    struct ouro__box *box = box_new(value, value_free);
    if (!box)
        return -ENOMEM;
    struct ouro__locals **slot = current_slot(loop);
    struct ouro__locals *list;
    if (!without(loop, *slot, key, &list) || !(list = bind(loop, key, box, list))) {
        ouro__release(box);
        return -ENOMEM;
    }
    ouro__locals_unref(loop, *slot);
    *slot = list;
    return 0;
}

/* ---- In jobs of pools ------------------------------------------------------------------------ */

size_t ouro__locals_count(const struct ouro__locals *locals)
{
    size_t n = 0;
    for (; locals; locals = locals->rest)
        n++;
    return n;
}

void ouro__locals_copy(const struct ouro__locals *locals, struct ouro__binding *to)
{
    for (; locals; locals = locals->rest) {
        atomic_fetch_add_explicit(&locals->box->refs, 1, memory_order_relaxed);
        *to++ = (struct ouro__binding){locals->key, locals->box->value, locals->box};
    }
}

void ouro__bindings_drop(ouro_loop *loop, const struct ouro__binding *bindings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        box_unref(loop, bindings[i].box);
}

/* Of the job that runs on this thread, if one does. */
static void *job_local(const ouro_local *key)
{
    const struct ouro__pool_job *job = ouro__job_here;
    for (size_t i = 0; job && i < job->local_count; i++)
        if (job->locals[i].key == key)
            return job->locals[i].value;
    return NULL;
}

void *ouro_local_get(const ouro_local *key)
{
    ouro_loop *loop;
    if (ouro__loop_here(&loop) < 0)
        return job_local(key);
    for (const struct ouro__locals *l = *current_slot(loop); l; l = l->rest)
        if (l->key == key)
            return l->box->value;
    return NULL;
}
