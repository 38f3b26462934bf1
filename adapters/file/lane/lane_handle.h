/* SPDX-License-Identifier: MIT */
#ifndef OURO_LANE_HANDLE_H
#define OURO_LANE_HANDLE_H

/*
 * What is opened, used, closed by jobs of the disk lane: the end of it, which is the same for all.
 *
 * Closing takes three steps: nothing new begins, what is under way ends, and then a job closes what
 * is open. Memory goes with the last reference: the user's, and one for each operation, which may
 * outlast the loop.
 */

#include "loop_int.h"
#include "waiter.h"

struct ouro__handle;

struct ouro__handle_kind {
    const char *name;

    /* It is being closed: fail or cancel what waits. NULL: nothing does. */
    void (*closing)(struct ouro__handle *handle);

    /* Whether there is something to close, and closing it, which may block: 0 or an error. */
    bool (*has_open)(const struct ouro__handle *handle);
    ouro_task_fn *shut;

    /* Give back its memory, the handle's own included, and close what is open still. Any thread. */
    void (*destroy)(struct ouro__handle *handle);
};

struct ouro__handle {
    const struct ouro__handle_kind *kind;
    ouro_loop *loop;           /* a reference */
    struct ouro__line closers; /* who wait for the end */
    ouro_future *shutting;     /* a reference to the job that shuts it; or NULL */
    struct ouro__job shut_job; /* waits for that */
    atomic_uint refs;
    atomic_uint holds;  /* operations under way, for which it stays open */
    atomic_bool closed; /* nothing new begins */
    bool shut;          /* nothing is open */
    int result;         /* of shutting it */
};

/* A handle with one reference. */
void ouro__handle_init(struct ouro__handle *handle, ouro_loop *loop,
                       const struct ouro__handle_kind *kind);

static inline void ouro__handle_ref(struct ouro__handle *handle)
{
    atomic_fetch_add_explicit(&handle->refs, 1, memory_order_relaxed);
}

/* As an ouro_free_fn: of what a job was told. Any thread. */
void ouro__handle_unref(void *handle);

/* An operation begins. */
static inline void ouro__handle_hold(struct ouro__handle *handle)
{
    ouro__handle_ref(handle);
    atomic_fetch_add_explicit(&handle->holds, 1, memory_order_relaxed);
}

/* An operation has ended. An ouro_free_fn likewise. */
void ouro__handle_let_go(void *handle);

/* A job that opens it has succeeded, on its thread: the handle is what its future comes to. */
int64_t ouro__handle_opened(struct ouro__handle *handle);

/* 0, or why it cannot be used here: -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN; -EBADF: closed. */
int ouro__handle_check(const struct ouro__handle *handle);

/* What is public under the names of each kind. NULL is allowed. */
ouro_future *ouro__handle_close(struct ouro__handle *handle);
void ouro__handle_free(struct ouro__handle *handle);

#endif
