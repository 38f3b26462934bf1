/* SPDX-License-Identifier: MIT */
#ifndef OURO_MACHINE_H
#define OURO_MACHINE_H

/*
 * What the machine says of itself, as far as it decides whether and how well io_uring works.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OURO__UNKNOWN   (-1)
#define OURO__UNLIMITED UINT64_MAX

struct ouro__machine {
    char release[65];      /* of the kernel, as uname(2) tells it; may be "" */
    int uring_disabled;    /* kernel.io_uring_disabled, or unknown: the switch is of Linux 6.6 */
    long long uring_group; /* kernel.io_uring_group: -1 for none, or not known */
    int seccomp;           /* of this process: 0 none, 1 strict, 2 a filter; or unknown */
    unsigned processors;   /* online */
    uint64_t memlock;      /* RLIMIT_MEMLOCK in bytes, soft */
    uint64_t descriptors;  /* RLIMIT_NOFILE, soft */
    uint64_t memory_maps;  /* vm.max_map_count, 0 when unknown */
};

/* Look at this machine, with @root in front of the paths under /proc: "" for what they are, else a
 * folder that has others. */
void ouro__machine_look(struct ouro__machine *ret, const char *root);

/* As much of the file @root@path as fits, terminated; false when there is none, or nothing in it. */
bool ouro__machine_read(const char *root, const char *path, char *buf, size_t size);

/* The number that a file begins with, or @otherwise. */
long long ouro__machine_number(const char *root, const char *path, long long otherwise);

#endif
