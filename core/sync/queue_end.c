/* SPDX-License-Identifier: MIT */
/*
 * Queues between tasks: making, joining, ending.
 *
 * Happy path: the user makes a queue, joins it or shuts it down, and gives it back, which is a
 * shutdown too. The memory goes when nobody refers to the queue any more: futures may still hold
 * items that could come back.
 *
 * Destructors of items run in a job of the loop, so that no call of the user's finds another of the
 * user's at work beneath it; when the loop is closed there is no later, and they run at once.
 * Nothing here can fail but for what it is given, and memory for a new queue or a future.
 */
#include "queue_int.h"

static const struct ouro__wait_kind join_kind = {
    .name = "queue join",
    .describe = ouro__queue_describe,
};

static void destroy_items(struct ouro__job *job);

/* ---- Making ---------------------------------------------------------------------------------- */

static void has_taken(struct ouro__giver *giver, ouro_loop *loop)
{
    (void)loop;
    ouro__queue_unpromise(OURO__CONTAINER(giver, ouro_queue, giver));
}

static const struct ouro__giver_kind item_giver = {
    .back = ouro__queue_take_back,
    .taken = has_taken,
    .in_ptr = true,
};

static bool makes_sense(const ouro_queue_options *opts)
{
    return opts->order <= OURO_QUEUE_PRIORITY &&
           (opts->order != OURO_QUEUE_PRIORITY || opts->compare);
}

int ouro_queue_new(int64_t capacity, const ouro_queue_options *opts, ouro_queue **ret_queue)
{
    static const ouro_queue_options defaults;
    if (!opts)
        opts = &defaults;
    ouro_loop *loop;
    int rc = ret_queue && capacity >= 0 && makes_sense(opts) ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    ouro_queue *q = ouro__alloc(sizeof(*q));
    if (!q)
        return -ENOMEM;
    *q = (ouro_queue){
        .loop = ouro_loop_ref(loop),
        .capacity = capacity,
        .refs = 1,
        .item_free = opts->item_free,
        .name = opts->name,
        .giver = {.kind = &item_giver},
        .job = {.run = destroy_items},
    };
    ouro__store_init(&q->store, opts);
    *ret_queue = q;
    return 0;
}

/* ---- Who may use it, and who does ------------------------------------------------------------ */

int ouro__queue_refuse(const ouro_queue *q)
{
    int rc = ouro__queue_check(q);
    if (rc < 0)
        return rc;
    return ouro__this_loop ? -EXDEV : -EPERM; /* the queue's own loop is closed */
}

int ouro__queue_check_future(const ouro_queue *q)
{
    ouro_loop *loop;
    int rc = ouro__queue_check(q);
    if (rc == 0)
        rc = ouro__loop_for_wait(&loop);
    return rc == 0 && loop != q->loop ? -EXDEV : rc;
}

void ouro__queue_unref(ouro_queue *q)
{
    assert(q->refs > 0);
    if (--q->refs)
        return;
    ouro_loop *loop = q->loop;
    ouro__store_drop(&q->store);
    ouro__release(q);
    ouro_loop_unref(loop);
}

bool ouro__queue_promise(ouro_queue *q)
{
    if (!ouro__store_reserve(&q->store))
        return false;
    q->refs++;
    return true;
}

void ouro__queue_unpromise(ouro_queue *q)
{
    ouro__store_unreserve(&q->store);
    ouro__queue_unref(q);
}

/* ---- Joining --------------------------------------------------------------------------------- */

void ouro__queue_finish(ouro_queue *q, int64_t n)
{
    q->unfinished -= n < q->unfinished ? n : q->unfinished; /* a task_done() may have come early */
    if (q->unfinished == 0)
        ouro__serve_all(&q->joiners, 0);
}

int ouro_queue_task_done(ouro_queue *q)
{
    int rc = ouro__queue_check(q);
    if (rc < 0)
        return rc;
    if (q->unfinished == 0)
        return -EINVAL;
    ouro__queue_finish(q, 1);
    return 0;
}

int ouro_queue_join(ouro_queue *q)
{
    struct ouro__task *task;
    int rc = ouro__queue_begin(q, &task);
    if (rc < 0)
        return rc;
    if (q->unfinished == 0) {
        ouro__wait_spent(task);
        return 0;
    }
    struct ouro__waiter w = {.kind = &join_kind, .of = q};
    return (int)ouro__wait_in_line(task, &q->joiners, &w);
}

ouro_future *ouro_queue_join_future(ouro_queue *q)
{
    int rc = ouro__queue_check_future(q);
    if (rc < 0)
        return ouro__failed(rc);
    if (q->unfinished == 0)
        return ouro__granted_future(q->loop, (ouro_result){0, NULL}, NULL);
    struct ouro__waiter w = {.kind = &join_kind, .of = q};
    return ouro__wait_future(q->loop, &q->joiners, &w, NULL);
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static void destroy_items(struct ouro__job *job)
{
    ouro_queue *q = OURO__CONTAINER(job, ouro_queue, job);
    while (q->store.count > 0) {
        void *item = ouro__store_take(&q->store);
        if (q->item_free)
            q->item_free(item);
    }
    ouro__queue_unref(q);
}

void ouro__queue_destroy(ouro_queue *q)
{
    assert(q->condition == OURO__QUEUE_OVER);
    if (q->store.count == 0 || ouro__linked(&q->job.link))
        return;
    q->refs++;
    if (q->item_free && q->loop->phase != OURO__CLOSED)
        ouro__ready(q->loop, &q->job);
    else
        destroy_items(&q->job);
}

/* Nobody will put anything in for those who wait for an item. */
static void fail_getters(ouro_queue *q)
{
    while (!ouro__line_empty(&q->getters)) {
        bool is_future = !q->getters.first->task;
        ouro__serve(q->getters.first, -EPIPE);
        if (is_future)
            ouro__queue_unpromise(q);
    }
}

static void shut_down(ouro_queue *q, enum ouro__queue_condition condition)
{
    if (q->condition >= condition)
        return;
    q->condition = condition;
    ouro__serve_all(&q->putters, -EPIPE);
    fail_getters(q);
    if (condition == OURO__QUEUE_OVER) {
        ouro__store_forget_order(&q->store);
        ouro__queue_finish(q, (int64_t)q->store.count);
        ouro__queue_destroy(q);
    }
}

int ouro_queue_shutdown(ouro_queue *q, ouro_shutdown_mode mode)
{
    int rc = mode <= OURO_SHUTDOWN_NOW ? ouro__queue_check(q) : -EINVAL;
    if (rc == 0)
        shut_down(q, mode == OURO_SHUTDOWN_NOW ? OURO__QUEUE_OVER : OURO__QUEUE_DRAINING);
    return rc;
}

ouro_queue *ouro_queue_free(ouro_queue *q)
{
    int rc = ouro__queue_check(q);
    if (rc == 0) {
        shut_down(q, OURO__QUEUE_OVER);
        ouro__serve_all(&q->joiners, -EPIPE);
    }
    if (rc == 0 || rc == -ECHILD) /* in the child of a fork, it is memory and nothing else */
        ouro__queue_unref(q);
    return NULL;
}
