/* SPDX-License-Identifier: MIT */
/*
 * Waiting, from inside a task.
 *
 * Happy path: the task's job goes into the waiters of the future, the task suspends, settling moves
 * the job to the ready list, and the loop resumes it. What is settled already costs no switch, but
 * every 128th such wait in a row lets others run, so that a task whose work is always ready cannot
 * starve the rest.
 *
 * In a cancelled scope a wait first cancels what it was to wait for, and still waits for that to
 * settle: with the operation not yet submitted nothing is started, and a buffer on the stack is
 * never given up while the kernel has it. Each such wait passes through the loop once, so that code
 * which ignores its errors cannot spin.
 */
#include "loop_int.h"

#include <stdio.h>

#define IGNORED_LIMIT 100 /* waits after a cancel that look like a bug */

void ouro__task_step_aside(struct ouro__task *task)
{
    ouro__ready(task->f.loop, &task->job);
    ouro__task_suspend(task);
}

/* Until @f has settled, or a cancel has taken the task out of its waiters. */
static void wait_for(struct ouro__task *task, ouro_future *f, uint8_t flags)
{
    task->flags &= (uint8_t) ~(OURO__TASK_JOINING | OURO__TASK_DETACHED);
    task->flags |= flags;
    task->awaiting = f;
    ouro__list_push(&f->waiters, &task->job.link);
    ouro__task_suspend(task);
    task->awaiting = NULL;
    assert(f->state != OURO_PENDING || (task->flags & OURO__TASK_DETACHED));
}

void ouro__task_wait(struct ouro__task *task, ouro_future *f)
{
    if (f->state == OURO_PENDING)
        wait_for(task, f, 0);
}

static void note_ignored_cancel(struct ouro__task *task)
{
    if (task->ignored == UINT8_MAX || ++task->ignored != IGNORED_LIMIT || !task->f.loop->debug)
        return;
    char text[96];
    snprintf(text, sizeof(text), "goes on waiting, %d times since it was cancelled", IGNORED_LIMIT);
    ouro__report_future(&task->f, OURO_REPORT_CANCEL_IGNORED, -ECANCELED, text);
}

/* Follow who awaits whom from @f; whether that leads back to @task. */
static bool leads_back(const ouro_future *f, const struct ouro__task *task)
{
    while (f && f->kind == &ouro__task_kind) {
        const struct ouro__task *other = OURO__CONTAINER(f, const struct ouro__task, f);
        if (other == task)
            return true;
        f = other->flags & OURO__TASK_IN_LINE ? NULL : other->awaiting;
    }
    return false;
}

/* 0, or why the current task cannot wait for @f. */
static int waitable(const struct ouro__task *task, ouro_future *f)
{
    if (f == &task->f)
        return -EDEADLK;
    if (!task->f.loop->debug || f->state != OURO_PENDING || !leads_back(f, task))
        return 0;
    ouro__report_future(f, OURO_REPORT_CYCLE, -EDEADLK, "is waited for by a task it waits for");
    return -EDEADLK;
}

/* The current task, or NULL and why it cannot wait for @f. */
static struct ouro__task *current(ouro_future *f, int *ret_rc)
{
    ouro_loop *loop = ouro__this_loop;
    *ret_rc = f ? ouro__loop_here(&loop) : -EINVAL;
    if (*ret_rc == 0)
        *ret_rc = loop->task ? ouro__future_check(f) : -EPERM;
    if (*ret_rc == 0)
        *ret_rc = waitable(loop->task, f);
    return *ret_rc == 0 ? loop->task : NULL;
}

/* What the wait comes to for the one who waited. -ECANCELED is kept for "you are cancelled". */
static int64_t told(const struct ouro__task *task, int64_t n)
{
    if (n != -ECANCELED || ouro__task_cancelled(task))
        return n;
    return -OURO_ECHILDCANCELLED;
}

int ouro__task_may_wait(struct ouro__task *task)
{
    if (!ouro__task_cancelled(task))
        return 0;
    note_ignored_cancel(task);
    ouro__task_step_aside(task);
    return -ECANCELED;
}

/* Wait for @f, which the task owns. */
static void await(struct ouro__task *task, ouro_future *f)
{
    if (f->state != OURO_PENDING) {
        ouro__wait_spent(task);
        return;
    }
    if (!ouro__never_cancelled(task) && ouro__task_cancelled(task)) {
        note_ignored_cancel(task);
        ouro__cancel(f);
        if (f->state != OURO_PENDING)
            ouro__task_step_aside(task);
    }
    ouro__task_wait(task, f);
}

/* A wait that cannot be: the reference is consumed all the same, but for another thread's future
 * and for the task itself, which is more likely borrowed. */
static int64_t refuse(ouro_future *f, int rc)
{
    bool self = ouro__this_loop && ouro__this_loop->task && f == &ouro__this_loop->task->f;
    if (f && rc != -EXDEV && rc != -ECHILD && !self)
        ouro_unref(f);
    return rc;
}

/* The current task, if it is plain to see that it can wait for @f: a future of the loop that runs
 * it. NULL: look closely. */
static inline struct ouro__task *plainly_current(const ouro_future *f)
{
    const ouro_loop *loop = ouro__this_loop;
    if (!f || !loop || f->loop != loop || loop->debug || ouro__loop_forked(loop) ||
        loop->phase == OURO__CLOSED)
        return NULL;
    return loop->task && f != &loop->task->f ? loop->task : NULL;
}

int64_t ouro_await(ouro_future *f)
{
    int rc;
    struct ouro__task *task = plainly_current(f);
    if (!task)
        task = current(f, &rc);
    if (!task)
        return refuse(f, rc);
    await(task, f);
    int64_t n = ouro__future_value(f);
    ouro__unref(f);
    return told(task, n);
}

void *ouro_await_ptr(ouro_future *f, int64_t *ret_n)
{
    int rc;
    struct ouro__task *task = current(f, &rc);
    ouro_result result = {0, NULL};
    if (!task) {
        result.n = refuse(f, rc);
    } else {
        await(task, f);
        result = ouro_future_take(f);
        ouro__unref(f);
        result.n = told(task, result.n);
    }
    if (ret_n)
        *ret_n = result.n;
    return result.ptr;
}

int64_t ouro_join(ouro_future *f)
{
    int rc;
    struct ouro__task *task = current(f, &rc);
    if (!task)
        return rc;
    ouro__ref(f); /* its owner may give it up while this task waits */
    if (f->state != OURO_PENDING) {
        ouro__wait_spent(task);
    } else if (ouro__task_cancelled(task)) {
        note_ignored_cancel(task);
        ouro__task_step_aside(task);
    } else {
        wait_for(task, f, OURO__TASK_JOINING);
    }
    int64_t n = f->state == OURO_PENDING ? -ECANCELED : told(task, ouro_future_result(f).n);
    ouro__unref(f);
    return n;
}

int ouro_yield(void)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return rc;
    struct ouro__task *task = loop->task;
    if (!task)
        return -EPERM;
    ouro__task_step_aside(task);
    if (!ouro__task_cancelled(task))
        return 0;
    note_ignored_cancel(task);
    return -ECANCELED;
}
