/* SPDX-License-Identifier: MIT */
#ifndef OURO_REFUSE_H
#define OURO_REFUSE_H

/*
 * A kernel that refuses what it otherwise gives, by seccomp. A filter stays until the process ends,
 * and every test is a process of its own.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/syscall.h>

#include "filter.h"

/* From now on system call @nr fails with @error if its first argument is @at_least or more. */
static inline void refuse(long nr, int error, unsigned at_least)
{
    cr_assert_eq(filter_call(nr, 0, at_least, error), 0);
}

/* Messages to rings come from no ring of their own, which is descriptor -1. */
static inline void refuse_messages(void)
{
    refuse(SYS_io_uring_register, EINVAL, (unsigned)-1);
}

/* A test that runs twice: its rings are woken by messages first, where there are any, and then by
 * an eventfd. */
#define WakeTest(suite, name)         \
    static void suite##_##name(void); \
    Test(suite, name)                 \
    {                                 \
        suite##_##name();             \
        refuse_messages();            \
        suite##_##name();             \
    }                                 \
    static void suite##_##name(void)

#endif
