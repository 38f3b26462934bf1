/* SPDX-License-Identifier: MIT */
/*
 * Several futures at once: checking them, refusing them, watching them.
 *
 * A future may be there twice. That matters to those who are given the futures, since the caller
 * then had one reference for both places, so duplicates are found with a mark, which is set while
 * the parts are filled and cleared when they begin to watch.
 * What can fail is only the room for the parts.
 */
#include "several.h"

#include "loop_int.h"

int ouro__several_check(ouro_future *const *fs, size_t n)
{
    if (!fs && n)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        int rc = ouro__future_check(fs[i]);
        if (rc < 0)
            return rc;
        if (fs[i] == ouro_task_current())
            return -EDEADLK;
    }
    return 0;
}

/* Whether @f is one that can and must be given up. The current task is not: it is more likely
 * borrowed than given. */
static bool ours(const ouro_future *f)
{
    return ouro__future_check(f) == 0 && !(f->flags & OURO__IMMORTAL) && f != ouro_task_current();
}

ouro_future *ouro__several_refuse(ouro_future *const *fs, size_t n, int rc)
{
    struct ouro__task *task = ouro__this_loop->task;
    if (!fs)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        if (!ours(fs[i]))
            continue;
        if (fs[i]->flags & OURO__MARK)
            ouro__ref(fs[i]); /* given twice, with one reference */
        fs[i]->flags |= OURO__MARK;
        ouro__cancel(fs[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (ours(fs[i])) /* before the first wait: others may be given them meanwhile */
            fs[i]->flags &= (uint16_t)~OURO__MARK;
    for (size_t i = 0; i < n; i++) {
        if (!ours(fs[i]))
            continue;
        if (task)
            ouro__task_wait(task, fs[i]);
        ouro__unref(fs[i]);
    }
    return ouro__failed(rc);
}

struct ouro__part *ouro__parts_new(ouro_loop *loop, size_t n)
{
    assert(n > 0);
    if (n > SIZE_MAX / sizeof(struct ouro__part))
        return NULL;
    return ouro__slab_alloc(&loop->slab, n * sizeof(struct ouro__part));
}

void ouro__parts_free(ouro_loop *loop, struct ouro__part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (parts[i].f)
            ouro__unref(parts[i].f);
    ouro__slab_free(&loop->slab, parts, n * sizeof(struct ouro__part));
}

void ouro__parts_take(struct ouro__part *parts, ouro_future *const *fs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        parts[i].f = fs[i];
        if (fs[i]->flags & OURO__MARK)
            ouro__ref(fs[i]);
        else if (!(fs[i]->flags & OURO__IMMORTAL))
            fs[i]->flags |= OURO__MARK;
    }
}

void ouro__parts_borrow(struct ouro__part *parts, ouro_future *const *fs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        parts[i].f = ouro__ref(fs[i]);
}

void ouro__parts_watch(struct ouro__part *parts, size_t n, void (*run)(struct ouro__job *job),
                       void *whole)
{
    for (size_t i = 0; i < n; i++) {
        parts[i].job = (struct ouro__job){.run = run};
        parts[i].whole = whole;
        if (!(parts[i].f->flags & OURO__IMMORTAL))
            parts[i].f->flags &= (uint16_t)~OURO__MARK;
        ouro__watch(parts[i].f, &parts[i].job);
    }
}

void ouro__parts_unwatch(struct ouro__part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ouro__linked(&parts[i].job.link))
            ouro__list_remove(&parts[i].job.link);
}
