/* SPDX-License-Identifier: MIT */
#ifndef OURO_FEED_H
#define OURO_FEED_H

/*
 * What listings, walks and notifications have in common: records that are fetched many at a time
 * and handed out one by one.
 *
 * Records belong to a batch. One that was handed out and that nobody takes is found in its batch
 * again, so a batch lives as long as a future has something of it.
 */

#include "lane_handle.h"

struct ouro__feed;

/* Records that were fetched together. */
struct ouro__batch {
    struct ouro__link link; /* in the feed's list; in none: all were handed out */
    struct ouro__giver giver;
    struct ouro__feed *feed;
    void *records; /* released with the batch, and so is what they point to */
    void *text;
    size_t record_size;
    size_t count;
    size_t at;       /* the next to be handed out for the first time */
    size_t out;      /* handed out, and neither taken nor come back */
    size_t returned; /* come back, and marked */
    bool is_back[];  /* the marks, one for each record */
};

/* A batch of @count records, which it owns from now on, with @text. NULL: no memory, and it does
 * not. Any thread. */
struct ouro__batch *ouro__batch_new(void *records, size_t record_size, size_t count, void *text);

/* NULL is allowed. Any thread. */
void ouro__batch_free(struct ouro__batch *batch);

enum {
    OURO__FEED_END = 0,
    OURO__FEED_MORE = 1,  /* there are records now */
    OURO__FEED_WAITS = 2, /* feed->run will bring some */
};

struct ouro__feed_kind {
    struct ouro__handle_kind handle;

    /* There is no record left: fetch some, or begin to. One of the above, or an error. */
    int (*fetch)(struct ouro__feed *feed);

    /* feed->run has come to @n. 0, or an error, and there will be nothing more. */
    int (*fetched)(struct ouro__feed *feed, int64_t n);

    /* What the future of @record comes to; 0: it is to be left out. */
    int64_t (*show)(struct ouro__feed *feed, const void *record);
};

struct ouro__feed {
    struct ouro__handle handle; /* the first: it is what the job that opens a feed returns */
    struct ouro__link batches;  /* oldest first */
    struct ouro__batch *last;   /* in no list, but what was taken of it is still valid */
    ouro_future *waiter;        /* waits for a record; borrowed, it is pending; or NULL */
    ouro_future *run;           /* what is under way: a reference; or NULL */
    struct ouro__job ran;       /* waits for it */
    int over;                   /* not 0: nothing more will come; < 0: and this is to be told */
};

static inline struct ouro__feed *ouro__feed_of(const struct ouro__handle *handle)
{
    return OURO__CONTAINER(handle, struct ouro__feed, handle);
}

/* A feed with one reference. */
void ouro__feed_init(struct ouro__feed *feed, ouro_loop *loop, const struct ouro__feed_kind *kind);

/* For the kind's destroy: all batches. */
void ouro__feed_drop(struct ouro__feed *feed);

/* For the kind's closing: who waits gets -EBADF, what is under way is cancelled. */
void ouro__feed_closing(struct ouro__handle *handle);

/* Add a batch; one that is empty is freed, and NULL is none. */
void ouro__feed_add(struct ouro__feed *feed, struct ouro__batch *batch);

/* Have @run, a future of the feed's loop, be feed->run. OURO__FEED_WAITS, or its error. */
int ouro__feed_wait_for(struct ouro__feed *feed, ouro_future *run);

/* The same for a job of the disk lane: @fn, with the handle. */
int ouro__feed_run(struct ouro__feed *feed, ouro_task_fn *fn);

/* What is public as _next(). NULL is allowed. */
ouro_future *ouro__feed_next(struct ouro__feed *feed);

#endif
