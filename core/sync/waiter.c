/* SPDX-License-Identifier: MIT */
/*
 * Lines of tasks and futures that wait for what other tasks hold.
 *
 * Happy path: a node goes to the end of the line, its task suspends; whoever releases what it waits
 * for hands it over with ouro__serve(), which takes the node out of the line and makes the task
 * ready. A cancel takes the node out as well, so after either the other finds nothing to do. There
 * is no failure: a task's node is on its stack, and a future that cannot be made stands in no line.
 */
#include "loop_int.h"

#include <string.h>

struct wait_future {
    ouro_future f;
    struct ouro__waiter w;
    struct ouro__giver *giver;
};

void ouro__line_push(struct ouro__line *line, struct ouro__waiter *w)
{
    w->next = NULL;
    w->prev = line->last;
    w->line = line;
    if (line->last)
        line->last->next = w;
    else
        line->first = w;
    line->last = w;
}

void ouro__line_remove(struct ouro__waiter *w)
{
    struct ouro__line *line = w->line;
    assert(line);
    if (w->prev)
        w->prev->next = w->next;
    else
        line->first = w->next;
    if (w->next)
        w->next->prev = w->prev;
    else
        line->last = w->prev;
    w->line = NULL;
}

/* @w is out of its line: wake who waits with it. */
static void wake(struct ouro__waiter *w, ouro_state state, int64_t n)
{
    w->n = n;
    if (w->task) {
        w->task->flags &= (uint8_t)~OURO__TASK_IN_LINE;
        w->task->awaiting = NULL; /* a cancel finds nothing to stop */
        ouro__ready(w->task->f.loop, &w->task->job);
        return;
    }
    struct wait_future *wf = OURO__CONTAINER(w, struct wait_future, w);
    if (state == OURO_VALUE && wf->giver)
        ouro__settle_grant(&wf->f, (ouro_result){n, w->item}, wf->giver);
    else
        ouro__settle(&wf->f, state, n);
}

void ouro__serve(struct ouro__waiter *w, int64_t n)
{
    ouro__line_remove(w);
    wake(w, n < 0 ? OURO_ERROR : OURO_VALUE, n);
}

void ouro__serve_all(struct ouro__line *line, int64_t n)
{
    while (line->first)
        ouro__serve(line->first, n);
}

void ouro__waiter_give_up(struct ouro__waiter *w)
{
    if (w->kind->stubborn)
        return;
    ouro__line_remove(w);
    if (w->kind->left)
        w->kind->left(w);
    wake(w, OURO_CANCELLED, -ECANCELED); /* the last: a future's node goes with it */
}

int64_t ouro__wait_in_line(struct ouro__task *task, struct ouro__line *line, struct ouro__waiter *w)
{
    w->task = task;
    ouro__line_push(line, w);
    task->in_line = w;
    task->flags |= OURO__TASK_IN_LINE;
    ouro__task_suspend(task);
    return w->n;
}

/* ---- As a future ----------------------------------------------------------------------------- */

static ouro_future *wait_cancel(ouro_future *f)
{
    ouro__waiter_give_up(&OURO__CONTAINER(f, struct wait_future, f)->w);
    return NULL;
}

void ouro__waiter_describe(const struct ouro__waiter *w, char *text, size_t size)
{
    int used = snprintf(text, size, "%s", w->kind->name);
    if (!w->kind->describe || used < 0 || (size_t)used + 2 >= size)
        return;
    memcpy(text + used, ", ", 3);
    w->kind->describe(w, text + used + 2, size - (size_t)used - 2);
}

static void wait_describe(const ouro_future *f, char *text, size_t size)
{
    ouro__waiter_describe(&OURO__CONTAINER(f, const struct wait_future, f)->w, text, size);
}

static const struct ouro__kind wait_kind = {
    .name = "wait",
    .size = sizeof(struct wait_future),
    .cancel = wait_cancel,
    .describe = wait_describe,
};

ouro_future *ouro__wait_future(ouro_loop *loop, struct ouro__line *line,
                               const struct ouro__waiter *w, struct ouro__giver *giver)
{
    struct wait_future *wf = ouro__future_new(loop, &wait_kind);
    if (!wf)
        return ouro__failed(-ENOMEM);
    wf->w = *w;
    wf->w.task = NULL;
    wf->giver = giver;
    ouro__line_push(line, &wf->w);
    return &wf->f;
}

ouro_future *ouro__granted_future(ouro_loop *loop, ouro_result result, struct ouro__giver *giver)
{
    static const struct ouro__kind granted_kind = {.name = "wait", .size = sizeof(ouro_future)};
    ouro_future *f = ouro__future_new(loop, &granted_kind);
    if (!f)
        return ouro__failed(-ENOMEM);
    if (giver)
        ouro__settle_grant(f, result, giver);
    else
        ouro__settle_n(f, result.n);
    return f;
}
