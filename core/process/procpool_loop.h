/* SPDX-License-Identifier: MIT */
#ifndef OURO_PROCPOOL_LOOP_H
#define OURO_PROCPOOL_LOOP_H

/*
 * A pool of processes as the program sees it.
 *
 * A worker here is a place that processes fill one after the other. It works on one job at a time,
 * and until the job's future has settled; between jobs no operation of it is under way, so that
 * nothing keeps an idle loop alive.
 */

#include "loop_int.h"
#include "procpool_int.h"

#include <sys/socket.h>
#include <sys/uio.h>

struct ouro__process_job;

/* How far a worker is with its job. */
enum ouro__worker_stage {
    OURO__WORKER_RENEWING, /* a new process is to be there before the job is sent */
    OURO__WORKER_BUSY,     /* the job is being sent, or has been */
    OURO__WORKER_OVER,     /* it is no longer the worker's: a new process is to come */
};

struct ouro__worker {
    ouro_procpool *pool;
    struct ouro__link link; /* in the pool's idle ones */
    int socket;             /* to the process; -1: there is none */
    int control;            /* to the zygote */
    bool condemned;         /* a renewal was ordered and has not come */
    enum ouro__worker_stage stage;

    /* The job it has. */
    struct ouro__process_job *job;
    ouro_future *op;       /* that is under way */
    struct ouro__job step; /* goes on when that has settled */
    struct ouro__timer grace;
    size_t done;       /* bytes of what is being sent or received */
    bool answered;     /* what follows is the worker's own word */
    int64_t n;         /* what the job came to; unanswered: 0, or why not */
    ouro_bytes *bytes; /* the result */

    /* Lent to the kernel. */
    struct ouro__request request;
    struct ouro__answer answer;
    struct ouro__renewal renewal; /* the last, so also: which process this is */
    struct msghdr msg;
    struct iovec iov[2];
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
};

struct ouro_procpool {
    _Atomic(ouro_loop *) user; /* the loop that has jobs in it; all that follows is that one's */
    uint64_t jobs;
    struct ouro__link queue; /* jobs that wait for a worker, oldest first */
    struct ouro__link idle;  /* workers, the last used first */
    uint64_t replaced;
    ouro_ns grace;
    struct ouro__worker_plan plan;
    pid_t owner; /* the process it belongs to */
    int zygote;  /* pidfd */
    int count;
    struct ouro__worker workers[];
};

/* Send an order about @w. A zygote that is gone is noticed by whoever waits for the answer. */
void ouro__worker_order(struct ouro__worker *w, enum ouro__order order);

/* Have @w killed and another process take its place. */
void ouro__worker_condemn(struct ouro__worker *w);

/* Prepare @w->msg for the answer to a renewal; take what has come. */
void ouro__worker_expect(struct ouro__worker *w);
void ouro__worker_renew(struct ouro__worker *w);

/* Close the socket of @w, also for copies that a child of ours may have. */
void ouro__worker_hang_up(struct ouro__worker *w);

#endif
