/* SPDX-License-Identifier: MIT */
#ifndef OURO_DISK_H
#define OURO_DISK_H

/*
 * Jobs of the disk lane. What is a sequence of calls that may block is best one job: a thread is
 * woken once for all of them, and they are as fast as in any program.
 */

#include "future_int.h"

#include <errno.h>
#include <unistd.h>

#include <ouro/pool.h>

/* So much is moved between looks at ouro_job_cancelled(): some milliseconds' worth. */
#define OURO__JOB_SLICE ((size_t)8 << 20)

/* Have @fn run there. @arg is @arg_free's, which runs exactly once, whatever this returns. */
static inline ouro_future *ouro__on_disk(ouro_task_fn *fn, void *arg, ouro_free_fn *arg_free,
                                         const char *name)
{
    return ouro_offload_with(fn, arg,
                             &(ouro_offload_options){
                                 .lane = OURO_LANE_DISK,
                                 .arg_free = arg_free,
                                 .name = name,
                             });
}

/* Close @fd, if it is one, and forget it. */
static inline void ouro__disk_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

#endif
