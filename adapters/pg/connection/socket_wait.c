/* SPDX-License-Identifier: MIT */
/*
 * One-shot polls, as futures with an observer.
 *
 * Happy path: the poll completes, the observer lets go of the future, then calls ready(), which may
 * begin the next wait. Every failure, of memory too, reaches ready() as well.
 */
#include "socket_wait.h"

#include <ouro/loop.h>
#include <ouro/uring.h>

#include <linux/io_uring.h>

static void settled(ouro_future *poll, void *arg)
{
    struct pg_wait *w = arg;
    int64_t events = ouro_future_result(poll).n;
    w->poll = ouro_unref(w->poll);
    w->ready(w->arg, events);
}

static int start(struct pg_wait *w, const struct io_uring_sqe *sqe)
{
    static const ouro_uring_options background = {.background = 1};
    w->poll = ouro_uring_op(sqe, &background);
    int rc = ouro_on_done(w->poll, settled, w);
    if (rc == 0)
        return 0;
    ouro_cancel(w->poll);
    w->poll = ouro_unref(w->poll);
    return rc;
}

int ouro__pg_wait_begin(struct pg_wait *w, int fd, unsigned events)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    events <<= 16; /* the kernel keeps it where the 16 bits of old were */
#endif
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_POLL_ADD,
        .fd = fd,
        .poll32_events = events,
    };
    return start(w, &sqe);
}

int ouro__pg_wait_time(struct pg_wait *w, ouro_ns delay)
{
    w->time.tv_sec = (int64_t)(delay / OURO_SEC(1));
    w->time.tv_nsec = (long long)(delay % OURO_SEC(1));
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_TIMEOUT,
        .fd = -1,
        .addr = (uint64_t)(uintptr_t)&w->time,
        .len = 1,
    };
    return start(w, &sqe);
}

int ouro__pg_wait_cancel(struct pg_wait *w)
{
    if (!w->poll)
        return 0;
    if (ouro_cancel(w->poll) >= 0)
        return 1;
    w->poll = ouro_unref(w->poll);
    return 0;
}
