/* SPDX-License-Identifier: MIT */
#ifndef OURO_TASK_INT_H
#define OURO_TASK_INT_H

#include "context.h"
#include "future_int.h"
#include "stack.h"
#include "waiter.h"

#include <ouro/scope.h>
#include <ouro/task.h>

/*
 * A task: a future whose result is made by a function on a stack of its own.
 *
 * It is in exactly one place: running, in the loop's ready list, in the waiters of the future it
 * awaits, for all of which `job` is its node, or in the line of a lock or the like, with a node on
 * its own stack. Its stack is taken when it first runs and given back when the body has returned.
 */
struct ouro__task {
    ouro_future f;
    struct ouro__job job;
    struct ouro__context context;
    struct ouro__context *back; /* where to go when it suspends */
    struct ouro__stack *stack;
    ouro_task_fn *fn;
    void *arg;
    ouro_free_fn *arg_free;
    const char *name;
    union {
        ouro_future *awaiting;        /* pending, and borrowed from whoever awaits */
        struct ouro__waiter *in_line; /* with OURO__TASK_IN_LINE, on the task's own stack */
    };
    struct ouro_scope *scope;  /* innermost; NULL: only the one that spans the body */
    const char *cancel_reason; /* of that one */
    struct ouro__locals *locals;
    uint32_t stack_size;
    uint8_t ignored; /* waits begun since it was cancelled; stays at its greatest */
    uint8_t locks;   /* mutexes it has locked; stays at its greatest */
    uint8_t budget;  /* waits that did not suspend since it last ran */
    uint8_t flags;
};

enum {
    OURO__TASK_STARTED = 1 << 0,
    OURO__TASK_JOINING = 1 << 1,  /* a cancel ends the wait, not what is awaited */
    OURO__TASK_DETACHED = 1 << 2, /* and has done so */
    OURO__TASK_RETURNED = 1 << 3,
    OURO__TASK_IN_LINE = 1 << 4,   /* it waits for a lock, a queue, ...: no future */
    OURO__TASK_HAS_WORDS = 1 << 5, /* its object is what ouro_task_fail() has to say */
};

enum {
    OURO__SCOPE_ENTERED = 1,
    OURO__SCOPE_CANCELLED = 2,
    OURO__SCOPE_SHIELD = 4,
    OURO__SCOPE_MOVE_ON = 8,
    OURO__SCOPE_EXPIRED = 16,
    OURO__SCOPE_GROUP = 32, /* it is the first member of an ouro_group */
};

extern const struct ouro__kind ouro__task_kind;

static inline struct ouro__task *ouro__task_of(ouro_future *f)
{
    return f->kind == &ouro__task_kind ? OURO__CONTAINER(f, struct ouro__task, f) : NULL;
}

/* ouro_spawn_with(), but for the argument of a task that could not be made: it stays the caller's.
 * @place is where the user's code goes on, to be told where the task comes from. */
ouro_future *ouro__spawn(ouro_task_fn *fn, void *arg, const ouro_spawn_options *opts,
                         const void *place);

/* Why waits of @task fail now; NULL: they do not. */
const char *ouro__task_cancelled(const struct ouro__task *task);

/* Why waits in @scope of @task fail, whatever is cancelled or shielded inside it; NULL: they do
 * not. */
const char *ouro__scope_cancelled(const struct ouro__task *task, const struct ouro_scope *scope);

/* Cancel a scope that is not cancelled yet. */
void ouro__scope_cancel(struct ouro_scope *scope, const char *reason);

/* Have the groups of @task whose scopes are cancelled now cancel their children: jobs in the loop's
 * list `cancelling`. */
void ouro__scopes_tell_groups(struct ouro__task *task);

/* The same for the group of @scope. */
void ouro__group_tell(struct ouro_scope *scope, const char *reason);

/* The child of that group after @*at, NULL before the first; NULL after the last. */
ouro_future *ouro__group_child(const struct ouro_scope *scope, struct ouro__link **at);

/* Its name and how many are alive, in words. */
void ouro__group_describe(const struct ouro_scope *scope, char *text, size_t size);

/* A scope of @task was cancelled: stop its wait, if it waits. Returns what to cancel next, or
 * NULL. */
ouro_future *ouro__task_interrupt(struct ouro__task *task);

/* Cancel the whole of a pending task, for @reason. */
void ouro__task_cancel(struct ouro__task *task, const char *reason);

/* The task that @job is the next step of, or NULL. */
const struct ouro__task *ouro__task_of_job(const struct ouro__job *job);

/* Whether @job is a task's that merely joins what it waits for. */
bool ouro__task_joins(const struct ouro__job *job);

/* The body of @task has returned without leaving its scopes: find what hangs on them, not the
 * scopes. */
void ouro__scopes_forget(struct ouro__task *task);

/* Something to be done when a scope is left. It is in the scope's list and in the loop's, where it
 * can still be found when the scope is gone: see ouro__scopes_forget(). */
struct ouro__leaving {
    struct ouro__link link;
    struct ouro__leaving *next; /* of the same scope, registered earlier */
    struct ouro_scope *scope;   /* NULL: gone */
    struct ouro__task *task;

    /* The current task is about to leave the scope, and may still wait; or, with @forgotten, its
     * body has returned, and the scope is gone. It is out of the list. */
    void (*run)(struct ouro__leaving *l, bool forgotten);
};

/* Have @l->run called when @scope is left, the latest first. */
void ouro__scope_on_leave(struct ouro_scope *scope, struct ouro__leaving *l);
void ouro__scope_off_leave(struct ouro__leaving *l);

/* Suspend the current task. Somebody must have put its job where it will be run. */
void ouro__task_suspend(struct ouro__task *task);

/* Let everything else that is ready run before the current task goes on. */
void ouro__task_step_aside(struct ouro__task *task);

/* Whether a wait of the current task has to fail: -ECANCELED, others having run meanwhile, or 0. */
int ouro__task_may_wait(struct ouro__task *task);

/* Wait in the current task until @f has settled, whatever is cancelled meanwhile. */
void ouro__task_wait(struct ouro__task *task, ouro_future *f);

#endif
