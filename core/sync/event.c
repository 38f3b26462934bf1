/* SPDX-License-Identifier: MIT */
/*
 * Events: a flag, and a line of those who wait for it.
 *
 * Only a clear event has a line. Setting it serves all of the line at once, so a clear that follows
 * in the same breath takes nothing from them. Nothing can fail but the making of a future.
 */
#include "sync_int.h"

#include "loop_int.h"

static const struct ouro__wait_kind event_wait = {.name = "event"};

int ouro_event_wait(ouro_event *e)
{
    struct ouro__task *task;
    int rc = e ? ouro__wait_begin(&task) : -EINVAL;
    if (rc < 0)
        return rc;
    if (e->set) {
        ouro__wait_spent(task);
        return 0;
    }
    struct ouro__waiter w = {.kind = &event_wait, .of = e};
    return (int)ouro__wait_in_line(task, &e->line, &w);
}

ouro_future *ouro_event_wait_future(ouro_event *e)
{
    ouro_loop *loop;
    int rc = e ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    if (e->set)
        return ouro_ready(0);
    struct ouro__waiter w = {.kind = &event_wait, .of = e};
    return ouro__wait_future(loop, &e->line, &w, NULL);
}

int ouro_event_set(ouro_event *e)
{
    ouro_loop *loop;
    int rc = e ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    e->set = 1;
    ouro__serve_all(&e->line, 0);
    return 0;
}

int ouro_event_clear(ouro_event *e)
{
    if (!e)
        return -EINVAL;
    e->set = 0;
    return 0;
}

int ouro_event_is_set(const ouro_event *e)
{
    return e && e->set;
}
