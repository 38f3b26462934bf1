/* SPDX-License-Identifier: MIT */
#ifndef OURO_SURROUNDINGS_H
#define OURO_SURROUNDINGS_H

/*
 * What a process may have here, beyond what decides whether there is a ring: limits of its own, of
 * the container and of the system.
 */

#include "machine.h"

struct ouro__surroundings {
    char container[32];         /* docker, podman, lxc, ...; "": no sign of one */
    uint64_t descriptors_most;  /* RLIMIT_NOFILE, hard */
    uint64_t processes;         /* RLIMIT_NPROC, soft: threads count */
    uint64_t threads_of_system; /* kernel.threads-max, 0 when unknown */
    uint64_t threads_of_group;  /* pids.max of the control groups, 0 when unknown */
    uint64_t memory_of_group;   /* memory.max of them, bytes, 0 when unknown */
    uint64_t listen_queue;      /* net.core.somaxconn, 0 when unknown */
};

/* Look, with @root in front of all paths, as ouro__machine_look() does. */
void ouro__surroundings_look(struct ouro__surroundings *ret, const char *root);

#endif
