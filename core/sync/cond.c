/* SPDX-License-Identifier: MIT */
/*
 * Conditions: a line of those who have given up a mutex until they are signalled.
 *
 * A signal moves waiters from this line straight to that of the mutex, which the signaller holds.
 * There no cancel reaches them, so a signal cannot be lost to one; a waiter that is cancelled while
 * still in this line has used up none. Everybody in the line waits with the same mutex; `item` of
 * the waiter is which.
 *
 * How it fails: whatever a wait comes to, the mutex is locked again first, in a wait that no cancel
 * ends.
 */
#include "sync_int.h"

#include "loop_int.h"

static const struct ouro__wait_kind signal_wait = {.name = "condition"};

/* 0: the current task has @m, and everybody who waits for @c does so with it. */
static int usable(const ouro_cond *c, const ouro_mutex *m)
{
    ouro_loop *loop;
    int rc = c && m ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    if (!loop->task || m->owner != loop->task)
        return -EPERM;
    return ouro__line_empty(&c->line) || c->line.first->item == m ? 0 : -EPERM;
}

int ouro_cond_wait(ouro_cond *c, ouro_mutex *m)
{
    int rc = usable(c, m);
    if (rc < 0)
        return rc;
    struct ouro__task *task;
    rc = ouro__wait_begin(&task);
    if (rc < 0)
        return rc;
    struct ouro__waiter w = {.kind = &signal_wait, .of = c, .item = m};
    ouro__mutex_pass_on(m);
    rc = (int)ouro__wait_in_line(task, &c->line, &w);
    if (rc == 0)
        return 0; /* the signal brought the mutex along */
    int relocked = ouro__mutex_relock(m, task);
    return relocked < 0 ? relocked : rc;
}

int64_t ouro_cond_signal(ouro_cond *c, ouro_mutex *m, int64_t n)
{
    int rc = n >= 1 ? usable(c, m) : -EINVAL;
    if (rc < 0)
        return rc;
    int64_t signalled = 0;
    for (struct ouro__waiter *w; (w = c->line.first) && signalled < n; signalled++) {
        ouro__line_remove(w);
        ouro__mutex_line_up(m, w);
    }
    return signalled;
}
