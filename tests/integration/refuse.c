/* SPDX-License-Identifier: MIT */
/*
 * Run a program on a kernel that refuses io_uring_setup(2), or something newer, by seccomp:
 *   refuse eperm|enosys|messages|guards PROGRAM ARGUMENT...
 * Messages are those that rings take from any thread, guards the guard pages that split no map: what
 * a kernel before 6.13 does not have.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct refusal {
    const char *word;
    unsigned number; /* of the system call */
    unsigned place;  /* of the argument that tells, */
    unsigned from;   /* which is refused from this on */
    unsigned error;
};

static const struct refusal refusals[] = {
    {"eperm", SYS_io_uring_setup, 0, 0, EPERM},
    {"enosys", SYS_io_uring_setup, 0, 0, ENOSYS},
    {"messages", SYS_io_uring_register, 0, (unsigned)-1, EINVAL},
    {"guards", SYS_madvise, 2, 102, EINVAL},
};

static int refuse(const struct refusal *r)
{
    unsigned offset = (unsigned)(offsetof(struct seccomp_data, args) + 8 * r->place);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->number, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, r->from, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | r->error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
    const struct refusal *r = NULL;
    for (size_t i = 0; argc > 2 && i < sizeof refusals / sizeof refusals[0]; i++)
        if (strcmp(argv[1], refusals[i].word) == 0)
            r = &refusals[i];
    if (!r) {
        fprintf(stderr, "usage: refuse eperm|enosys|messages|guards PROGRAM ARGUMENT...\n");
        return 125;
    }
    if (refuse(r) < 0) {
        perror("refuse: no filter");
        return 77;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
