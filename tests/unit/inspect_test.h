/* SPDX-License-Identifier: MIT */
#ifndef OURO_INSPECT_TEST_H
#define OURO_INSPECT_TEST_H

/*
 * What the tests of ouro_tasks_print() share.
 */

#include "harness.h"

#include <stdio.h>

static char printed[64 << 10];

/* What ouro_tasks_print() prints, which must say that there are so many tasks. */
static inline const char *tree(int64_t tasks)
{
    FILE *out = fmemopen(printed, sizeof printed, "w");
    check(out != NULL);
    check_eq(ouro_tasks_print(out), tasks);
    fclose(out);
    return printed;
}

static inline ouro_future *spawn(ouro_task_fn *fn, void *arg, const char *name)
{
    return ouro_spawn_with(fn, arg, &(ouro_spawn_options){.name = name});
}

static inline int64_t await(void *arg)
{
    return ouro_await(arg);
}

#endif
