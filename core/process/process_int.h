/* SPDX-License-Identifier: MIT */
#ifndef OURO_PROCESS_INT_H
#define OURO_PROCESS_INT_H

#include "loop_int.h"

#include <sys/types.h>
#include <unistd.h>

#include <ouro/process.h>

static inline void ouro__close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* What the thread that starts a child is told, and what it tells. One block of memory. */
struct ouro__start {
    char **argv;
    char **env;
    char *cwd;  /* or NULL */
    char *path; /* where to look for the program */
    ouro_stdio stdio[3];
    bool new_group;
    bool new_session;
    int *given; /* duplicates of what it is given, beyond the numbers that they get; closed by us */
    int given_count;

    pid_t pid;
    int pidfd;
    int fds[3];      /* our ends of its pipes, or -1 */
    bool cwd_failed; /* it is the working directory that is to blame */
};

/* Copy all that matters of @opts. 0 or -errno: then nothing is written. */
int ouro__start_new(const ouro_process_options *opts, struct ouro__start **ret_start);

/* NULL is allowed. */
void ouro__start_free(struct ouro__start *start);

/* Start the child of a struct ouro__start: 0 or -errno, and then there is none. Blocks. Any
 * thread. */
int64_t ouro__start_run(void *start);

/* ---- Children -------------------------------------------------------------------------------- */

enum ouro__process_state {
    OURO__PROCESS_STARTING,
    OURO__PROCESS_RUNS,
    OURO__PROCESS_ENDED, /* and it has been waited for, or there never was one */
};

struct ouro_process {
    ouro_loop *loop;        /* a reference */
    struct ouro__link link; /* in the loop's list */
    enum ouro__process_state state;
    unsigned refs; /* the user's, that of a child that has not ended, and those who use it */
    pid_t pid;
    int pidfd;
    int fds[3]; /* our ends of its pipes; -1: none, or no longer ours */
    bool piped[3];
    bool has_group;
    bool condemned; /* to be killed as soon as it is there */
    bool communicated;
    int64_t status;             /* when it has ended */
    struct ouro__line line;     /* who waits for that */
    ouro_future *poll;          /* a reference, in the background; NULL: it is not waited for */
    struct ouro__job polled;    /* waits for the poll */
    ouro_future *spawn;         /* borrowed; while it is being started */
    struct ouro__leaving leave; /* kills it when its scope is left */
};

/* 0, or why @p cannot be used here: -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN. */
int ouro__process_check(const ouro_process *p);

void ouro__process_close_fds(ouro_process *p);
void ouro__process_unref(ouro_process *p);

/* @loop is about to be closed: children go on without it. */
void ouro__processes_let_go(ouro_loop *loop);

#endif
