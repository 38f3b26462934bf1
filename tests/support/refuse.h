/* SPDX-License-Identifier: MIT */
#ifndef OURO_REFUSE_H
#define OURO_REFUSE_H

/*
 * A kernel that refuses what it otherwise gives, by seccomp. A filter stays until the process ends,
 * and every test is a process of its own.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* From now on system call @nr fails with @error if its first argument is @at_least or more. */
static inline void refuse(long nr, int error, unsigned at_least)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, at_least, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
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
