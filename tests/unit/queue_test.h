/* SPDX-License-Identifier: MIT */
#ifndef OURO_QUEUE_TEST_H
#define OURO_QUEUE_TEST_H

/* What the tests of queues share: items that are numbers, tasks that put and get one. */

#include "harness.h"

#include <errno.h>

static inline void *item(int number)
{
    return (void *)(intptr_t)number;
}

static inline int number(const void *item)
{
    return (int)(intptr_t)item;
}

static inline ouro_queue *queue(int64_t capacity, ouro_queue_order order)
{
    ouro_queue *q = NULL;
    check_eq(ouro_queue_new(capacity, &(ouro_queue_options){.order = order}, &q), 0);
    return q;
}

static inline void put_now(ouro_queue *q, int n)
{
    check_eq(ouro_queue_try_put(q, item(n)), 0);
}

/* What comes out without waiting; -1: nothing. */
static inline int get_now(ouro_queue *q)
{
    void *got = NULL;
    int rc = ouro_queue_try_get(q, &got);
    check(rc == 0 || rc == -EAGAIN);
    return rc == 0 ? number(got) : -1;
}

/* A task that puts or gets one item, and what came of it. */
struct user {
    ouro_queue *q;
    int item;
    int64_t rc;
    bool ended;
};

static inline int64_t be_putter(void *arg)
{
    struct user *u = arg;
    u->rc = ouro_queue_put(u->q, item(u->item));
    u->ended = true;
    return u->rc;
}

static inline int64_t be_getter(void *arg)
{
    struct user *u = arg;
    void *got = item(-1);
    u->rc = ouro_queue_get(u->q, &got);
    u->item = number(got);
    u->ended = true;
    return u->rc;
}

static inline int64_t be_joiner(void *arg)
{
    struct user *u = arg;
    u->rc = ouro_queue_join(u->q);
    u->ended = true;
    return u->rc;
}

/* Spawn it and let it run to where it waits. */
static inline ouro_future *start(ouro_task_fn *fn, struct user *u)
{
    ouro_future *f = ouro_spawn(fn, u);
    check_eq(ouro_yield(), 0);
    return f;
}

#endif
