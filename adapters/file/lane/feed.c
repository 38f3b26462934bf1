/* SPDX-License-Identifier: MIT */
/*
 * Records fetched many at a time and handed out one by one.
 *
 * Happy path: a call of next finds a record in the oldest batch and has it at once. When there is
 * none, the kind fetches: there and then, or by a future, which may be a job of the disk lane or a
 * poll. Who waits meanwhile is served when that has settled. A wait that is cancelled leaves the
 * fetch alone; what it brings is there for the next one.
 *
 * One wait at a time: a record is valid until the next call, and with several in line there would
 * be no such moment. A result that nobody takes is a grant, which the batch takes back.
 *
 * How it fails: no memory is an error of one call. An error of a fetch is told once, and then it is
 * the end.
 */
#include "feed.h"

#include "disk.h"

static const struct ouro__feed_kind *kind_of(const struct ouro__feed *feed)
{
    return OURO__CONTAINER(feed->handle.kind, const struct ouro__feed_kind, handle);
}

/* ---- Batches --------------------------------------------------------------------------------- */

static void come_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result);
static void taken(struct ouro__giver *giver, ouro_loop *loop);

static const struct ouro__giver_kind record_giver = {.back = come_back, .taken = taken};

struct ouro__batch *ouro__batch_new(void *records, size_t record_size, size_t count, void *text)
{
    struct ouro__batch *batch = ouro__alloc(sizeof(*batch) + count * sizeof(bool));
    if (!batch)
        return NULL;
    *batch = (struct ouro__batch){
        .giver = {.kind = &record_giver},
        .records = records,
        .text = text,
        .record_size = record_size,
        .count = count,
    };
    for (size_t i = 0; i < count; i++)
        batch->is_back[i] = false;
    return batch;
}

void ouro__batch_free(struct ouro__batch *batch)
{
    if (!batch)
        return;
    ouro__release(batch->records);
    ouro__release(batch->text);
    ouro__release(batch);
}

static void *record_at(const struct ouro__batch *batch, size_t i)
{
    return (char *)batch->records + i * batch->record_size;
}

/* The first that has come back. */
static void *take_returned(struct ouro__batch *batch)
{
    size_t i = 0;
    while (!batch->is_back[i])
        i++;
    batch->is_back[i] = false;
    batch->returned--;
    return record_at(batch, i);
}

/* The next record of @batch that is to be seen, and what its future comes to; NULL: none is
 * left. */
static void *next_in(struct ouro__batch *batch, int64_t *ret_n)
{
    struct ouro__feed *feed = batch->feed;
    const struct ouro__feed_kind *kind = kind_of(feed);
    while (batch->returned || batch->at < batch->count) {
        void *record = batch->returned ? take_returned(batch) : record_at(batch, batch->at++);
        *ret_n = kind->show(feed, record);
        if (*ret_n)
            return record;
    }
    return NULL;
}

void ouro__feed_add(struct ouro__feed *feed, struct ouro__batch *batch)
{
    if (batch && batch->count) {
        batch->feed = feed;
        ouro__list_push(&feed->batches, &batch->link);
    } else {
        ouro__batch_free(batch);
    }
}

/* ---- Giving and taking back ------------------------------------------------------------------ */

static void hand_out(struct ouro__feed *feed, struct ouro__batch *batch, void *record, int64_t n)
{
    ouro_future *f = feed->waiter;
    feed->waiter = NULL;
    batch->out++;
    ouro__handle_ref(&feed->handle);
    ouro__settle_grant(f, (ouro_result){n, record}, &batch->giver);
}

static void taken(struct ouro__giver *giver, ouro_loop *loop)
{
    (void)loop;
    struct ouro__batch *batch = OURO__CONTAINER(giver, struct ouro__batch, giver);
    struct ouro__feed *feed = batch->feed;
    if (--batch->out == 0 && !ouro__linked(&batch->link)) {
        ouro__batch_free(feed->last);
        feed->last = batch;
    }
    ouro__handle_unref(&feed->handle);
}

static void come_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)loop;
    struct ouro__batch *batch = OURO__CONTAINER(giver, struct ouro__batch, giver);
    struct ouro__feed *feed = batch->feed;
    size_t i = (size_t)((char *)result.ptr - (char *)batch->records) / batch->record_size;
    batch->is_back[i] = true;
    batch->returned++;
    batch->out--;
    if (!ouro__linked(&batch->link))
        ouro__list_push_front(&feed->batches, &batch->link);
    ouro__handle_unref(&feed->handle);
}

/* ---- Serving --------------------------------------------------------------------------------- */

static void serve(struct ouro__feed *feed, int64_t n)
{
    ouro_future *f = feed->waiter;
    feed->waiter = NULL;
    ouro__settle_n(f, n);
}

/* Serve who waits from what is there. */
static bool serve_record(struct ouro__feed *feed)
{
    while (!ouro__list_empty(&feed->batches)) {
        int64_t n;
        struct ouro__batch *batch = OURO__CONTAINER(feed->batches.next, struct ouro__batch, link);
        void *record = next_in(batch, &n);
        if (record) {
            hand_out(feed, batch, record, n);
            return true;
        }
        ouro__list_remove(&batch->link);
        if (!batch->out)
            ouro__batch_free(batch);
    }
    return false;
}

/* Serve who waits, or see to it that something comes. */
static void go_on(struct ouro__feed *feed)
{
    while (feed->waiter && !serve_record(feed)) {
        int rc = feed->over;
        if (rc < 0)
            feed->over = 1;
        else if (rc == 0 && !feed->run)
            rc = kind_of(feed)->fetch(feed);
        else
            rc = rc ? OURO__FEED_END : OURO__FEED_WAITS;
        if (rc == OURO__FEED_WAITS)
            return;
        if (rc != OURO__FEED_MORE)
            serve(feed, rc);
    }
}

/* ---- Waiting --------------------------------------------------------------------------------- */

struct next {
    ouro_future f;
    struct ouro__feed *feed; /* while it is pending */
};

static ouro_future *next_cancel(ouro_future *f)
{
    OURO__CONTAINER(f, struct next, f)->feed->waiter = NULL;
    ouro__settle(f, OURO_CANCELLED, -ECANCELED);
    return NULL;
}

static void next_describe(const ouro_future *f, char *text, size_t size)
{
    snprintf(text, size, "%s", OURO__CONTAINER(f, const struct next, f)->feed->handle.kind->name);
}

static const struct ouro__kind next_kind = {
    .name = "next",
    .size = sizeof(struct next),
    .cancel = next_cancel,
    .describe = next_describe,
};

ouro_future *ouro__feed_next(struct ouro__feed *feed)
{
    int rc = ouro__handle_check(feed ? &feed->handle : NULL);
    if (rc == 0 && feed->waiter)
        rc = -EBUSY;
    if (rc < 0)
        return ouro__failed(rc);
    struct next *next = ouro__future_new(feed->handle.loop, &next_kind);
    if (!next)
        return ouro__failed(-ENOMEM);
    ouro__batch_free(feed->last);
    feed->last = NULL;
    next->feed = feed;
    feed->waiter = &next->f;
    go_on(feed);
    return &next->f;
}

/* ---- What is under way ----------------------------------------------------------------------- */

static void ran(struct ouro__job *job)
{
    struct ouro__feed *feed = OURO__CONTAINER(job, struct ouro__feed, ran);
    ouro_future *run = feed->run;
    int64_t n = ouro_future_result(run).n;
    feed->run = NULL;
    ouro__unref(run);
    if (!feed->handle.closed) {
        feed->over = kind_of(feed)->fetched(feed, n);
        go_on(feed);
    }
    ouro__handle_let_go(&feed->handle);
}

int ouro__feed_wait_for(struct ouro__feed *feed, ouro_future *run)
{
    if (run->flags & OURO__IMMORTAL)
        return (int)run->result.n;
    ouro__handle_hold(&feed->handle);
    feed->run = run;
    feed->ran.run = ran;
    ouro__watch(run, &feed->ran);
    return OURO__FEED_WAITS;
}

int ouro__feed_run(struct ouro__feed *feed, ouro_task_fn *fn)
{
    struct ouro__handle *handle = &feed->handle;
    ouro__handle_ref(handle);
    return ouro__feed_wait_for(feed,
                               ouro__on_disk(fn, handle, ouro__handle_unref, handle->kind->name));
}

/* ---- Life ------------------------------------------------------------------------------------ */

void ouro__feed_init(struct ouro__feed *feed, ouro_loop *loop, const struct ouro__feed_kind *kind)
{
    ouro__handle_init(&feed->handle, loop, &kind->handle);
    ouro__list_init(&feed->batches);
}

void ouro__feed_closing(struct ouro__handle *handle)
{
    struct ouro__feed *feed = ouro__feed_of(handle);
    if (feed->waiter)
        serve(feed, -EBADF);
    if (feed->run)
        ouro__cancel(feed->run);
}

void ouro__feed_drop(struct ouro__feed *feed)
{
    struct ouro__link *link;
    while ((link = ouro__list_pop(&feed->batches)))
        ouro__batch_free(OURO__CONTAINER(link, struct ouro__batch, link));
    ouro__batch_free(feed->last);
}
