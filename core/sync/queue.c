/* SPDX-License-Identifier: MIT */
/*
 * Queues between tasks: putting and getting.
 *
 * Happy path: a put finds room, or a getter to hand its item to, and goes on; a get finds an item
 * and goes on. Else they wait in line. A get that makes room lets in the item of the first putter
 * in line at once, so items go in in the order in which they came. With capacity 0 an item goes
 * from putter to getter without being in the queue.
 *
 * No memory is an error of a put that needs a longer queue, and of what makes a future. Filling the
 * room that a get has made, and taking an item back, need none.
 */
#include "queue_int.h"

#include <stdio.h>

static void future_left(struct ouro__waiter *w)
{
    if (!w->task)
        ouro__queue_unpromise(w->of);
}

static const struct ouro__wait_kind put_kind = {
    .name = "queue put",
    .describe = ouro__queue_describe,
};

static const struct ouro__wait_kind get_kind = {
    .name = "queue get",
    .left = future_left,
    .describe = ouro__queue_describe,
};

/* ---- Handing over ---------------------------------------------------------------------------- */

/* The first getter in line has @item. */
static void hand_over(ouro_queue *q, void *item)
{
    struct ouro__waiter *getter = q->getters.first;
    getter->item = item;
    ouro__serve(getter, 0);
}

/* Let @item in, if that needs no waiting: 0, -EAGAIN, -EPIPE, -ENOMEM. Nobody is overtaken: while
 * putters wait, there is no room. */
static inline int let_in(ouro_queue *q, void *item)
{
    if (q->condition != OURO__QUEUE_OPEN)
        return -EPIPE;
    if (!ouro__line_empty(&q->getters))
        hand_over(q, item);
    else if ((int64_t)q->store.count >= q->capacity)
        return -EAGAIN;
    else if (!ouro__store_put(&q->store, item))
        return -ENOMEM;
    q->unfinished++;
    return 0;
}

/* There may be room for one item more: it is for the first putter in line. */
static inline void let_in_first(ouro_queue *q)
{
    struct ouro__waiter *putter = q->putters.first;
    if (!putter)
        return;
    int rc = let_in(q, putter->item);
    if (rc != -EAGAIN)
        ouro__serve(putter, rc);
}

/* With capacity 0: the item of the first putter in line. */
static int take_from_putter(ouro_queue *q, void **ret_item)
{
    struct ouro__waiter *putter = q->putters.first;
    if (!putter)
        return q->condition == OURO__QUEUE_OPEN ? -EAGAIN : -EPIPE;
    *ret_item = putter->item;
    q->unfinished++;
    ouro__serve(putter, 0);
    return 0;
}

/* The next item, if that needs no waiting: 0, -EAGAIN, -EPIPE. The room it leaves is not filled. */
static inline int next_item(ouro_queue *q, void **ret_item)
{
    if (q->condition == OURO__QUEUE_OVER)
        return -EPIPE;
    if (q->store.count == 0)
        return take_from_putter(q, ret_item);
    *ret_item = ouro__store_take(&q->store);
    return 0;
}

static inline int get(ouro_queue *q, void **ret_item)
{
    int rc = next_item(q, ret_item);
    if (rc == 0)
        let_in_first(q);
    return rc;
}

/* It goes where it comes out next, though the queue be full. */
void ouro__queue_take_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)loop;
    ouro_queue *q = OURO__CONTAINER(giver, ouro_queue, giver);
    if (!ouro__line_empty(&q->getters)) {
        hand_over(q, result.ptr);
        ouro__queue_unpromise(q);
        return;
    }
    ouro__store_return(&q->store, result.ptr);
    if (q->condition == OURO__QUEUE_OVER) {
        ouro__queue_finish(q, 1);
        ouro__queue_destroy(q);
    }
    ouro__queue_unref(q);
}

/* ---- Putting --------------------------------------------------------------------------------- */

int ouro_queue_put(ouro_queue *q, void *item)
{
    struct ouro__task *task;
    int rc = ouro__queue_begin(q, &task);
    if (rc < 0)
        return rc;
    rc = let_in(q, item);
    if (rc != -EAGAIN) {
        ouro__wait_spent(task);
        return rc;
    }
    struct ouro__waiter w = {.kind = &put_kind, .of = q, .item = item};
    return (int)ouro__wait_in_line(task, &q->putters, &w);
}

int ouro_queue_try_put(ouro_queue *q, void *item)
{
    int rc = ouro__queue_check(q);
    return rc < 0 ? rc : let_in(q, item);
}

ouro_future *ouro_queue_put_future(ouro_queue *q, void *item)
{
    int rc = ouro__queue_check_future(q);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__waiter w = {.kind = &put_kind, .of = q, .item = item};
    ouro_future *f = ouro__wait_future(q->loop, &q->putters, &w, NULL);
    let_in_first(q);
    return f;
}

/* ---- Getting --------------------------------------------------------------------------------- */

int ouro_queue_get(ouro_queue *q, void **ret_item)
{
    struct ouro__task *task;
    int rc = ret_item ? ouro__queue_begin(q, &task) : -EINVAL;
    if (rc < 0)
        return rc;
    rc = get(q, ret_item);
    if (rc != -EAGAIN) {
        ouro__wait_spent(task);
        return rc;
    }
    struct ouro__waiter w = {.kind = &get_kind, .of = q};
    rc = (int)ouro__wait_in_line(task, &q->getters, &w);
    if (rc == 0)
        *ret_item = w.item;
    return rc;
}

int ouro_queue_try_get(ouro_queue *q, void **ret_item)
{
    int rc = ret_item ? ouro__queue_check(q) : -EINVAL;
    return rc < 0 ? rc : get(q, ret_item);
}

/* Serve the only getter in line, a future, if that is possible. */
static void serve_getter(ouro_queue *q)
{
    void *item;
    int rc = next_item(q, &item);
    if (rc == 0) {
        hand_over(q, item);
        let_in_first(q);
    } else if (rc == -EPIPE) {
        ouro__serve(q->getters.first, rc);
        ouro__queue_unpromise(q);
    }
}

ouro_future *ouro_queue_get_future(ouro_queue *q)
{
    int rc = ouro__queue_check_future(q);
    if (rc == 0 && !ouro__queue_promise(q))
        rc = -ENOMEM;
    if (rc < 0)
        return ouro__failed(rc);
    bool first = ouro__line_empty(&q->getters);
    struct ouro__waiter w = {.kind = &get_kind, .of = q};
    ouro_future *f = ouro__wait_future(q->loop, &q->getters, &w, &q->giver);
    if (f->state != OURO_PENDING)
        ouro__queue_unpromise(q); /* no memory */
    else if (first)
        serve_getter(q);
    return f;
}

/* ---- Looking --------------------------------------------------------------------------------- */

int64_t ouro_queue_size(const ouro_queue *q)
{
    if (!q)
        return -EINVAL;
    return q->condition == OURO__QUEUE_OVER ? 0 : (int64_t)q->store.count;
}

int64_t ouro_queue_unfinished(const ouro_queue *q)
{
    return q ? q->unfinished : -EINVAL;
}

void ouro__queue_describe(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_queue *q = w->of;
    char limit[32] = "";
    if (q->capacity != OURO_UNBOUNDED)
        snprintf(limit, sizeof(limit), " of %lld", (long long)q->capacity);
    snprintf(text, size, "%s%s%lld%s in it", q->name ? q->name : "", q->name ? ", " : "",
             (long long)ouro_queue_size(q), limit);
}
