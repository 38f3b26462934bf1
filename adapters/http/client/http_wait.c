/* SPDX-License-Identifier: MIT */
/*
 * One-shot polls, as futures with an observer.
 *
 * Happy path: the poll completes, the observer lets go of the future, then calls ready(), which may
 * begin the next wait. Every failure, of memory too, reaches ready() as well.
 */
#include "http_wait.h"

#include <ouro/uring.h>

#include <linux/io_uring.h>

static void settled(ouro_future *poll, void *arg)
{
    struct http_wait *w = arg;
    int64_t events = ouro_future_result(poll).n;
    w->poll = ouro_unref(w->poll);
    w->ready(w->arg, events);
}

int ouro__http_wait_begin(struct http_wait *w, int fd, unsigned events)
{
    static const ouro_uring_options background = {.background = 1};
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    events <<= 16; /* the kernel keeps it where the 16 bits of old were */
#endif
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_POLL_ADD,
        .fd = fd,
        .poll32_events = events,
    };
    w->poll = ouro_uring_op(&sqe, &background);
    int rc = ouro_on_done(w->poll, settled, w);
    if (rc == 0)
        return 0;
    ouro_cancel(w->poll);
    w->poll = ouro_unref(w->poll);
    return rc;
}

int ouro__http_wait_cancel(struct http_wait *w)
{
    if (!w->poll)
        return 0;
    if (ouro_cancel(w->poll) >= 0)
        return 1;
    w->poll = ouro_unref(w->poll);
    return 0;
}
