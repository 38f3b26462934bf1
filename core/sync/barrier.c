/* SPDX-License-Identifier: MIT */
/*
 * Barriers: the last to come serves everybody who came before it.
 *
 * Indices are given out then, along the line, and not on arrival: who leaves before has never come,
 * and leaves no gap. The line is empty from that moment, so whoever comes next, however early,
 * begins the next round.
 */
#include "sync_int.h"

#include "loop_int.h"

static void left(struct ouro__waiter *w)
{
    ouro_barrier *b = w->of;
    b->waiting--;
}

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_barrier *b = w->of;
    snprintf(text, size, "%lld of %lld have come", (long long)b->waiting, (long long)b->parties);
}

static const struct ouro__wait_kind party_wait = {
    .name = "barrier",
    .left = left,
    .describe = describe,
};

int ouro_barrier_init(ouro_barrier *b, int64_t parties)
{
    if (!b || parties < 1)
        return -EINVAL;
    *b = (ouro_barrier){.parties = parties};
    return 0;
}

static bool made(const ouro_barrier *b)
{
    return b && b->parties >= 1;
}

static bool is_last(const ouro_barrier *b)
{
    return b->waiting == b->parties - 1;
}

/* All have come: begin the next round. Returns the index of the last, who is not in line. */
static int64_t open_up(ouro_barrier *b)
{
    int64_t index = 0;
    while (!ouro__line_empty(&b->line))
        ouro__serve(b->line.first, index++);
    assert(index == b->parties - 1);
    b->waiting = 0;
    return index;
}

static void send_away(ouro_barrier *b)
{
    b->waiting = 0;
    ouro__serve_all(&b->line, -EPIPE);
}

int64_t ouro_barrier_wait(ouro_barrier *b)
{
    struct ouro__task *task;
    int rc = made(b) ? ouro__wait_begin(&task) : -EINVAL;
    if (rc < 0)
        return rc;
    if (b->aborted || is_last(b)) {
        int64_t n = b->aborted ? -EPIPE : open_up(b);
        ouro__wait_spent(task);
        return n;
    }
    struct ouro__waiter w = {.kind = &party_wait, .of = b};
    b->waiting++;
    return ouro__wait_in_line(task, &b->line, &w);
}

ouro_future *ouro_barrier_wait_future(ouro_barrier *b)
{
    ouro_loop *loop;
    int rc = made(b) ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    if (b->aborted)
        return ouro_ready(-EPIPE);
    bool last = is_last(b);
    struct ouro__waiter w = {.kind = &party_wait, .of = b};
    ouro_future *f = last ? ouro_ready(b->parties - 1)
                          : ouro__wait_future(loop, &b->line, &w, NULL);
    if (f->flags & OURO__IMMORTAL)
        return f; /* it could not be made, and has not come */
    if (last)
        open_up(b);
    else
        b->waiting++;
    return f;
}

int ouro_barrier_reset(ouro_barrier *b)
{
    ouro_loop *loop;
    int rc = made(b) ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    b->aborted = 0;
    send_away(b);
    return 0;
}

int ouro_barrier_abort(ouro_barrier *b)
{
    ouro_loop *loop;
    int rc = made(b) ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    b->aborted = 1;
    send_away(b);
    return 0;
}
