/* SPDX-License-Identifier: MIT */
#ifndef OURO_MACHINE_H
#define OURO_MACHINE_H

/*
 * What the machine says of itself, as far as it decides whether and how well io_uring works.
 */

#include <stdint.h>

#define OURO__UNKNOWN   (-1)
#define OURO__UNLIMITED UINT64_MAX

struct ouro__machine {
    char release[65];     /* of the kernel, as uname(2) tells it; may be "" */
    int uring_disabled;   /* kernel.io_uring_disabled, or unknown: the switch is of Linux 6.6 */
    int seccomp;          /* of this process: 0 none, 1 strict, 2 a filter; or unknown */
    unsigned processors;  /* online */
    uint64_t memlock;     /* RLIMIT_MEMLOCK in bytes, soft */
    uint64_t descriptors; /* RLIMIT_NOFILE, soft */
    uint64_t memory_maps; /* vm.max_map_count, 0 when unknown */
};

void ouro__machine_look(struct ouro__machine *ret);

#endif
