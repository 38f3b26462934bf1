/* SPDX-License-Identifier: MIT */
/*
 * Locks.
 *
 * The owner is a task, of which the mutex holds a reference, or a future, or whoever took it from
 * one: for these the owner is a mark that tells the loop. A mutex with an owner may have a line,
 * one without has none: unlocking makes the first in line the owner before it runs, so nobody can
 * come in between, and a lock that is free can be taken without a look at the line. The reference
 * keeps an owner that ended without unlocking apart from a new task at its address.
 *
 * How it fails: a lock that would never come is refused, because the task has it already or its
 * owner has ended. Unlocking needs nothing and always works.
 */
#include "sync_int.h"

#include "loop_int.h"

/* The owner while a future has the lock: the loop, made odd, so that it is no task. */
static void *future_of(const ouro_loop *loop)
{
    return (char *)(uintptr_t)loop + 1;
}

/* And once somebody took it. Told apart, since before that nobody can unlock: it would come back
 * twice. */
static void *taker_of(const ouro_loop *loop)
{
    return (char *)(uintptr_t)loop + 3;
}

static bool held_by_future(const ouro_mutex *m)
{
    return (uintptr_t)m->owner & 1;
}

static void give_to_task(ouro_mutex *m, struct ouro__task *task)
{
    ouro__ref(&task->f);
    if (task->locks < UINT8_MAX)
        task->locks++;
    m->owner = task;
}

/* 0: somebody has the lock, and will unlock it. -EOWNERDEAD, -EXDEV. */
static int held(const ouro_mutex *m, const ouro_loop *loop)
{
    if (held_by_future(m))
        return m->owner == future_of(loop) || m->owner == taker_of(loop)
                   ? 0
                   : ouro__wrong_thread(loop, "mutex");
    const struct ouro__task *owner = m->owner;
    if (!ouro__loop_is_here(owner->f.loop))
        return ouro__wrong_thread(loop, "mutex");
    return owner->flags & OURO__TASK_RETURNED ? -EOWNERDEAD : 0;
}

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_mutex *m = w->of;
    const struct ouro__task *owner = held_by_future(m) ? NULL : m->owner;
    if (!owner)
        snprintf(text, size, "locked through a future");
    else if (owner->flags & OURO__TASK_RETURNED)
        snprintf(text, size, "its owner has ended");
    else
        snprintf(text, size, "held by '%s'", owner->name);
}

static const struct ouro__wait_kind lock_wait = {.name = "mutex", .describe = describe};

static const struct ouro__wait_kind relock_wait = {
    .name = "mutex",
    .describe = describe,
    .stubborn = true,
};

static int wait_for(ouro_mutex *m, struct ouro__task *task, const struct ouro__wait_kind *kind)
{
    int rc = held(m, task->f.loop);
    if (rc < 0)
        return rc;
    struct ouro__waiter w = {.kind = kind, .of = m};
    return (int)ouro__wait_in_line(task, &m->line, &w);
}

void ouro__mutex_pass_on(ouro_mutex *m)
{
    struct ouro__task *before = held_by_future(m) ? NULL : m->owner;
    struct ouro__waiter *next = m->line.first;
    if (!next) {
        m->owner = NULL;
    } else {
        if (next->task)
            give_to_task(m, next->task);
        else
            m->owner = future_of(ouro__this_loop);
        ouro__serve(next, 0);
    }
    if (before) {
        if (before->locks < UINT8_MAX)
            before->locks--;
        ouro__unref(&before->f);
    }
}

void ouro__mutex_line_up(ouro_mutex *m, struct ouro__waiter *w)
{
    assert(m->owner);
    w->kind = &relock_wait;
    w->of = m;
    ouro__line_push(&m->line, w);
}

int ouro__mutex_relock(ouro_mutex *m, struct ouro__task *task)
{
    if (m->owner)
        return wait_for(m, task, &relock_wait);
    give_to_task(m, task);
    return 0;
}

/* ---- The calls ------------------------------------------------------------------------------- */

int ouro_mutex_lock(ouro_mutex *m)
{
    struct ouro__task *task;
    int rc = m ? ouro__wait_begin(&task) : -EINVAL;
    if (rc < 0)
        return rc;
    if (m->owner)
        return m->owner == task ? -EDEADLK : wait_for(m, task, &lock_wait);
    give_to_task(m, task);
    ouro__wait_spent(task);
    return 0;
}

int ouro_mutex_try_lock(ouro_mutex *m)
{
    ouro_loop *loop;
    int rc = m ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    if (!loop->task)
        return -EPERM;
    if (!m->owner) {
        give_to_task(m, loop->task);
        return 0;
    }
    if (m->owner == loop->task)
        return -EDEADLK;
    rc = held(m, loop);
    return rc < 0 ? rc : -EAGAIN;
}

/* Nobody took the future's result. */
static void take_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)loop;
    (void)result;
    ouro_mutex *m = OURO__CONTAINER(giver, ouro_mutex, giver);
    assert(m->owner == future_of(loop));
    ouro__mutex_pass_on(m);
}

static void has_taken(struct ouro__giver *giver, ouro_loop *loop)
{
    ouro_mutex *m = OURO__CONTAINER(giver, ouro_mutex, giver);
    m->owner = taker_of(loop);
}

static const struct ouro__giver_kind lock_giver = {.back = take_back, .taken = has_taken};

ouro_future *ouro_mutex_lock_future(ouro_mutex *m)
{
    ouro_loop *loop;
    int rc = m ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0 && m->owner)
        rc = held(m, loop);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__giver *giver = ouro__giver_at(&m->giver);
    giver->kind = &lock_giver;
    if (m->owner) {
        struct ouro__waiter w = {.kind = &lock_wait, .of = m};
        return ouro__wait_future(loop, &m->line, &w, giver);
    }
    ouro_future *f = ouro__granted_future(loop, (ouro_result){0, NULL}, giver);
    if (!(f->flags & OURO__IMMORTAL))
        m->owner = future_of(loop);
    return f;
}

static int may_unlock(const ouro_mutex *m, const ouro_loop *loop)
{
    if (!m->owner)
        return -EPERM;
    if (m->owner == loop->task || m->owner == taker_of(loop))
        return 0;
    int rc = held(m, loop);
    if (rc == 0)
        return -EPERM;
    return rc == -EOWNERDEAD ? 0 : rc;
}

int ouro_mutex_unlock(ouro_mutex *m)
{
    ouro_loop *loop;
    int rc = m ? ouro__loop_here(&loop) : -EINVAL;
    if (rc == 0)
        rc = may_unlock(m, loop);
    if (rc == 0)
        ouro__mutex_pass_on(m);
    return rc;
}

int ouro_mutex_locked(const ouro_mutex *m)
{
    return m && m->owner;
}
