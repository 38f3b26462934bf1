/* SPDX-License-Identifier: MIT */
/*
 * Task-local values.
 *
 * A list of bindings that is never changed once it can be seen by two: setting a key makes a new head, and
 * copies of the bindings before the one it replaces, so that the length is bounded by the number of keys.
 * The value itself sits in a box that copies share and that is destroyed, by a job on the loop, with
 * the last of them. No memory is the only failure, and leaves everything as it was.
 */
#include "loop_int.h"

struct box {
    struct ouro__job job; /* destroys the value */
    void *value;
    ouro_free_fn *value_free;
    uint32_t refs;
};

struct ouro__locals {
    const ouro_local *key;
    struct box *box;           /* a reference */
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
    struct box *box = OURO__CONTAINER(job, struct box, job);
    box->value_free(box->value);
    ouro__release(box);
}

static void box_unref(ouro_loop *loop, struct box *box)
{
    if (--box->refs)
        return;
    if (!box->value_free)
        ouro__release(box);
    else if (loop->phase != OURO__CLOSED)
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
static struct ouro__locals *bind(ouro_loop *loop, const ouro_local *key, struct box *box,
                                 struct ouro__locals *rest)
{
    struct ouro__locals *head = ouro__slab_alloc(&loop->slab, sizeof(*head));
    if (!head) {
        ouro__locals_unref(loop, rest);
        return NULL;
    }
    box->refs++;
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

static struct box *box_new(void *value, ouro_free_fn *value_free)
{
    struct box *box = ouro__alloc(sizeof(*box));
    if (box)
        *box = (struct box){.job = {.run = box_destroy}, .value = value, .value_free = value_free};
    return box;
}

int ouro_local_set(const ouro_local *key, void *value, ouro_free_fn *value_free)
{
    ouro_loop *loop;
    int rc = key ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    struct box *box = box_new(value, value_free);
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

void *ouro_local_get(const ouro_local *key)
{
    ouro_loop *loop;
    if (ouro__loop_here(&loop) < 0)
        return NULL;
    for (const struct ouro__locals *l = *current_slot(loop); l; l = l->rest)
        if (l->key == key)
            return l->box->value;
    return NULL;
}
