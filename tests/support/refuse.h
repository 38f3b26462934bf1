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
#include <sys/uio.h>

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

/*
 * Nothing is in the page cache, as reads with RWF_NOWAIT have it. To have files forgotten is no way
 * to this: such a read has the kernel fetch what is missing (filemap_get_pages in mm/filemap.c), and
 * a fast disk brings it before the read ends.
 */
static inline void refuse_cached_reads(void)
{
    cr_assert_eq(filter_call(SYS_preadv2, 5, RWF_NOWAIT, EAGAIN), 0);
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
