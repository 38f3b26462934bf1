/* SPDX-License-Identifier: MIT */
/*
 * Run a program on a kernel that refuses io_uring_setup(2), or something newer, by seccomp:
 *   refuse eperm|enosys|messages|guards PROGRAM ARGUMENT...
 * Messages are those that rings take from any thread, guards the guard pages that split no map: what
 * a kernel before 6.13 does not have.
 */
#define _GNU_SOURCE 1

#include "filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct refusal {
    const char *word;
    long number;    /* of the system call */
    unsigned place; /* of the argument that tells, */
    unsigned from;  /* which is refused from this on */
    int error;
};

static const struct refusal refusals[] = {
    {"eperm", SYS_io_uring_setup, 0, 0, EPERM},
    {"enosys", SYS_io_uring_setup, 0, 0, ENOSYS},
    {"messages", SYS_io_uring_register, 0, (unsigned)-1, EINVAL},
    {"guards", SYS_madvise, 2, 102, EINVAL},
};

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
    if (filter_call(r->number, r->place, r->from, r->error) < 0) {
        perror("refuse: no filter");
        return 77;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
