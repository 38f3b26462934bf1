/* SPDX-License-Identifier: MIT */
/*
 * Scopes: regions of a task that can be cancelled on their own.
 *
 * They form a stack inside the task, innermost first. Cancelling sets a flag that is never cleared
 * and interrupts the task's wait, if the scope is in effect there; from then on every wait inside
 * sees the flag. Nothing is ever un-cancelled: leaving the scope is what ends it.
 */
#include "loop_int.h"

const char *ouro__scope_cancelled(const struct ouro__task *task, const ouro_scope *scope)
{
    for (; scope; scope = scope->outer) {
        if (scope->flags & OURO__SCOPE_CANCELLED)
            return scope->reason;
        if (scope->flags & OURO__SCOPE_SHIELD)
            return NULL;
    }
    return task->f.flags & OURO__CANCEL_ASKED ? task->cancel_reason : NULL;
}

const char *ouro__task_cancelled(const struct ouro__task *task)
{
    return ouro__scope_cancelled(task, task->scope);
}

void ouro__scopes_tell_groups(struct ouro__task *task)
{
    for (ouro_scope *scope = task->scope; scope; scope = scope->outer) {
        if (!(scope->flags & OURO__SCOPE_GROUP))
            continue;
        const char *reason = ouro__scope_cancelled(task, scope);
        if (reason)
            ouro__group_tell(scope, reason);
    }
}

void ouro__scope_cancel(ouro_scope *scope, const char *reason)
{
    scope->flags |= OURO__SCOPE_CANCELLED;
    scope->reason = reason;
    ouro_future *next = ouro__task_interrupt(ouro__task_of(scope->task));
    ouro__cancel_from(scope->task->loop, next);
}

/* A scope's deadline. Not in the scope itself: a body may return without leaving it, and what it
 * was is then dead stack, while this can still be found and freed. */
struct deadline {
    struct ouro__timer timer;
    ouro_scope *scope;
    struct ouro__task *task;
};

static void expire(struct ouro__timer *timer)
{
    struct deadline *d = OURO__CONTAINER(timer, struct deadline, timer);
    ouro_scope *scope = d->scope;
    scope->deadline = NULL;
    ouro__slab_free(&d->task->f.loop->slab, d, sizeof(*d));
    if (scope->flags & OURO__SCOPE_CANCELLED)
        return;
    scope->flags |= OURO__SCOPE_EXPIRED;
    ouro__scope_cancel(scope, "deadline");
}

static struct deadline *deadline_new(ouro_loop *loop, ouro_scope *scope, ouro_ns when)
{
    struct deadline *d = ouro__slab_alloc(&loop->slab, sizeof(*d));
    if (!d)
        return NULL;
    d->scope = scope;
    d->task = loop->task;
    ouro__timer_init(&d->timer, expire);
    if (ouro__timer_set(&loop->timers, &d->timer, when) == 0)
        return d;
    ouro__slab_free(&loop->slab, d, sizeof(*d));
    return NULL;
}

static void deadline_free(ouro_loop *loop, struct deadline *d)
{
    ouro__timer_cancel(&loop->timers, &d->timer);
    ouro__slab_free(&loop->slab, d, sizeof(*d));
}

int ouro_scope_enter(ouro_scope *scope, const ouro_scope_options *opts)
{
    ouro_loop *loop;
    int rc = scope ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    struct ouro__task *task = loop->task;
    if (!task)
        return -EPERM;
    ouro_ns timeout = opts && opts->timeout ? opts->timeout : OURO_FOREVER;
    *scope = (ouro_scope){.outer = task->scope, .task = &task->f, .flags = OURO__SCOPE_ENTERED};
    if (opts && opts->shield)
        scope->flags |= OURO__SCOPE_SHIELD;
    if (opts && opts->move_on)
        scope->flags |= OURO__SCOPE_MOVE_ON;
    if (timeout != OURO_FOREVER) {
        scope->deadline = deadline_new(loop, scope, ouro__ns_add(ouro__loop_now(loop), timeout));
        if (!scope->deadline) {
            scope->flags = 0;
            return -ENOMEM;
        }
    }
    task->scope = scope;
    return 0;
}

/* ---- What is done when they are left --------------------------------------------------------- */

void ouro__scope_on_leave(ouro_scope *scope, struct ouro__leaving *l)
{
    l->scope = scope;
    l->task = ouro__task_of(scope->task);
    l->next = scope->leavings;
    scope->leavings = l;
    ouro__list_push_front(&scope->task->loop->leavings, &l->link);
}

static void take_out(struct ouro__leaving *l)
{
    ouro__list_remove(&l->link);
    if (!l->scope)
        return;
    struct ouro__leaving **at = &l->scope->leavings;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
}

void ouro__scope_off_leave(struct ouro__leaving *l)
{
    if (ouro__linked(&l->link))
        take_out(l);
}

/* One at a time: each may wait, and the list change meanwhile. */
static void run_leavings(ouro_scope *scope)
{
    struct ouro__leaving *l;
    while ((l = scope->leavings)) {
        take_out(l);
        l->run(l, false);
    }
}

/* The scopes of @task are gone. */
static void forget_leavings(ouro_loop *loop, const struct ouro__task *task)
{
    OURO__LIST_FOR (each, &loop->leavings) {
        struct ouro__leaving *l = OURO__CONTAINER(each, struct ouro__leaving, link);
        if (l->task == task)
            l->scope = NULL;
    }
    struct ouro__link *link = loop->leavings.next;
    while (link != &loop->leavings) {
        struct ouro__leaving *l = OURO__CONTAINER(link, struct ouro__leaving, link);
        link = link->next;
        if (l->task != task)
            continue;
        take_out(l);
        l->run(l, true);
        link = loop->leavings.next;
    }
}

static void leave(ouro_loop *loop, struct ouro__task *task, ouro_scope *scope)
{
    if (scope->deadline)
        deadline_free(loop, scope->deadline);
    scope->flags &= ~(uint32_t)OURO__SCOPE_ENTERED;
    task->scope = scope->outer;
}

int64_t ouro_scope_exit(ouro_scope *scope, int64_t rc)
{
    ouro_loop *loop;
    if (!scope || ouro__loop_here(&loop) < 0 || !loop->task || loop->task->scope != scope)
        return -EINVAL;
    run_leavings(scope);
    leave(loop, loop->task, scope);
    bool mine = rc == -ECANCELED && (scope->flags & OURO__SCOPE_CANCELLED);
    if (!mine || ouro__task_cancelled(loop->task))
        return rc;
    if (scope->flags & OURO__SCOPE_MOVE_ON)
        return 0;
    return scope->flags & OURO__SCOPE_EXPIRED ? -ETIMEDOUT : rc;
}

int ouro_scope_cancel(ouro_scope *scope, const char *reason)
{
    if (!scope || !(scope->flags & OURO__SCOPE_ENTERED))
        return -EINVAL;
    int rc = ouro__future_check(scope->task);
    if (rc < 0)
        return rc;
    if (scope->flags & OURO__SCOPE_CANCELLED)
        return 0;
    ouro__scope_cancel(scope, reason ? reason : "cancelled");
    return 1;
}

int ouro_scope_cancelled(const ouro_scope *scope)
{
    return scope && (scope->flags & OURO__SCOPE_CANCELLED);
}

const char *ouro_cancel_reason(void)
{
    ouro_loop *loop;
    if (ouro__loop_here(&loop) < 0 || !loop->task)
        return NULL;
    return ouro__task_cancelled(loop->task);
}

void ouro__scopes_forget(struct ouro__task *task)
{
    ouro_loop *loop = task->f.loop;
    task->scope = NULL;
    forget_leavings(loop, task);
    for (uint32_t i = 0; i < loop->timers.count; i++) {
        struct ouro__timer *timer = loop->timers.heap[i].timer;
        struct deadline *d = OURO__CONTAINER(timer, struct deadline, timer);
        if (timer->fire != expire || d->task != task)
            continue;
        deadline_free(loop, d);
        i = UINT32_MAX; /* the heap has moved: once more from the start */
    }
}
