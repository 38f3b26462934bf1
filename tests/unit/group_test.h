/* SPDX-License-Identifier: MIT */
#ifndef OURO_GROUP_TEST_H
#define OURO_GROUP_TEST_H

/*
 * What the tests of groups share: children of all sorts.
 */

#include "harness.h"

#include <errno.h>

/* A child: sleeps, then returns. With stubborn it takes no notice of being cancelled, but in
 * time. */
struct child {
    ouro_ns delay;
    int64_t rc;
    int stubborn;
    int started;
    int ended;
    const char *reason;
};

static inline int64_t be_child(void *arg)
{
    struct child *c = arg;
    c->started++;
    int64_t rc = ouro_await(ouro_sleep(c->delay));
    c->reason = ouro_cancel_reason();
    if (rc < 0 && c->stubborn) {
        ouro_scope scope;
        check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
        check_eq(ouro_await(ouro_sleep(OURO_SEC(1))), 0);
        rc = ouro_scope_exit(&scope, 0);
    }
    c->ended++;
    return rc < 0 ? rc : c->rc;
}

static inline void spawn_all(ouro_group *group, struct child *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_eq(ouro_group_spawn(group, be_child, &c[i]), 0);
}

static ouro_group *shared __attribute__((unused)); /* with callbacks and threads */

static inline void enter(ouro_group *group)
{
    check_eq(ouro_group_enter(group, NULL), 0);
}

static inline int64_t return_0(void *arg)
{
    (void)arg;
    return 0;
}

static inline int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

#endif
