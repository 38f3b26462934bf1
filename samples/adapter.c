/* SPDX-License-Identifier: MIT */
/*
 * An adapter in one file: tickers, on a timerfd(2). It is written as one would be in a library of
 * its own, on public headers alone, and has what every adapter has: a handle, a future that can be
 * cancelled, a wait that keeps no loop running, and a close that may come at any time.
 */
#define _GNU_SOURCE
#include <ouro/memory.h>
#include <ouro/ouro.h>
#include <ouro/uring.h>

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- What would be its header ---------------------------------------------------------------- */

/** Ticks, again and again. Belongs to the loop of the thread that made it. */
typedef struct ticker ticker;

/** Make one that ticks every @p period. 0, or < 0: nothing is written. */
int ticker_new(ouro_ns period, ticker **ret_ticker) OURO_NODISCARD;

/** The next tick: how many there were since the last that was told, 1 or more. -ECANCELED: none was
 *  taken, the next wait has them. -EBUSY: another wait is pending. -EBADF: @p t was freed. */
ouro_future *ticker_next(ticker *t) OURO_NODISCARD;

/** End it. A wait that is pending fails with -EBADF. */
ticker *ticker_free(ticker *t);

/* ---- The adapter ----------------------------------------------------------------------------- */

/*
 * Invariants: `promise` is there while somebody waits, `poll` while the kernel looks at fd. Nobody
 * waits without a poll, but there may be a poll for nobody: after a cancel, it serves the next who
 * comes. What is freed while there is a poll is buried when that has ended, since the kernel holds
 * on to fd so long.
 */
struct ticker {
    int fd;
    int freed;
    ouro_future *poll;
    ouro_promise *promise;
};

static void bury(ticker *t)
{
    close(t->fd);
    ouro_memory_release(t);
}

static void settle(ticker *t, int64_t n)
{
    ouro_promise *promise = t->promise;
    t->promise = NULL;
    if (!promise)
        return;
    if (n < 0)
        ouro_promise_fail(promise, n);
    else
        ouro_promise_resolve(promise, (ouro_result){.n = n}, NULL);
    ouro_promise_free(promise);
}

static int start_poll(ticker *t);

/* Never inside start_poll(), whatever happens: on the loop, in a later turn. */
static void polled(ouro_future *poll, void *arg)
{
    ticker *t = arg;
    int64_t n = ouro_future_result(poll).n;
    t->poll = ouro_unref(t->poll);
    if (t->freed) {
        bury(t);
        return;
    }
    if (!t->promise)
        return; /* the ticks stay in the kernel until somebody asks */
    uint64_t ticks;
    if (n >= 0)
        n = read(t->fd, &ticks, sizeof ticks) == sizeof ticks ? (int64_t)ticks : -errno;
    if (n == -EAGAIN)
        n = start_poll(t);
    if (n != 0)
        settle(t, n);
}

static int start_poll(ticker *t)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_POLL_ADD, .fd = t->fd};
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    sqe.poll32_events = (uint32_t)POLLIN << 16;
#else
    sqe.poll32_events = POLLIN;
#endif
    t->poll = ouro_uring_op(&sqe, &(ouro_uring_options){.background = 1});
    int rc = ouro_on_done(t->poll, polled, t);
    if (rc < 0) {
        ouro_cancel(t->poll);
        t->poll = ouro_unref(t->poll);
    }
    return rc;
}

static ouro_cancel_answer cancelled(ouro_promise *promise, void *arg)
{
    ticker *t = arg;
    t->promise = NULL;
    ouro_promise_free(promise);
    return OURO_ABORTED;
}

ouro_future *ticker_next(ticker *t)
{
    ouro_future *next;
    if (!t)
        return ouro_ready(-EINVAL);
    if (t->promise)
        return ouro_failed(-EBUSY, "somebody waits for this ticker already");
    int rc = ouro_promise_new(&t->promise, &next);
    if (rc < 0)
        return ouro_ready(rc);
    ouro_promise_set_name(t->promise, "tick");
    ouro_promise_on_cancel(t->promise, cancelled, t);
    if (!t->poll && (rc = start_poll(t)) < 0)
        settle(t, rc);
    return next;
}

int ticker_new(ouro_ns period, ticker **ret_ticker)
{
    struct itimerspec every = {0};
    if (period == 0 || !ret_ticker)
        return -EINVAL;
    if (!ouro_loop_current())
        return -EPERM;
    every.it_interval.tv_sec = (time_t)(period / OURO_SEC(1));
    every.it_interval.tv_nsec = (long)(period % OURO_SEC(1));
    every.it_value = every.it_interval;
    ticker *t = ouro_memory_alloc(sizeof *t);
    if (!t)
        return -ENOMEM;
    *t = (ticker){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)};
    if (t->fd < 0 || timerfd_settime(t->fd, 0, &every, NULL) != 0) {
        int rc = -errno;
        if (t->fd >= 0)
            close(t->fd);
        ouro_memory_release(t);
        return rc;
    }
    *ret_ticker = t;
    return 0;
}

ticker *ticker_free(ticker *t)
{
    if (!t)
        return NULL;
    settle(t, -EBADF);
    t->freed = 1;
    if (t->poll && ouro_cancel(t->poll) >= 0)
        return NULL;     /* polled() is told, and buries it */
    ouro_unref(t->poll); /* there is none, or its loop has given it up */
    bury(t);
    return NULL;
}

/* ---- A program that uses it ------------------------------------------------------------------ */

static int64_t show_ticks(ticker *t)
{
    int64_t n = ouro_await(ticker_next(t));
    if (n < 0)
        return n;
    puts("a tick");

    n = ouro_await(ouro_timeout(ticker_next(t), 0));
    printf("a wait that is given up at once: %s\n", ouro_strerror(n));

    int64_t rc = ouro_await(ouro_sleep(OURO_MS(100)));
    n = ouro_await(ticker_next(t));
    if (rc < 0 || n < 0)
        return rc < 0 ? rc : n;
    printf("ticks that nobody waited for are told: %s\n", n >= 3 ? "yes" : "no");
    return 0;
}

static int64_t wait_for_one(void *t)
{
    return ouro_await(ticker_next(t));
}

/* Of a ticker that will not tick so soon. It is @t's end. */
static int64_t show_waits(ticker *t)
{
    ouro_future *first = ouro_spawn(wait_for_one, t);
    int64_t rc = ouro_yield();
    printf("a second wait: %s\n", ouro_strerror(ouro_await(ticker_next(t))));
    ticker_free(t);
    printf("the first, when its ticker is freed: %s\n", ouro_strerror(ouro_await(first)));
    return rc;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    ticker *t;
    int64_t rc = ticker_new(OURO_MS(20), &t);
    if (rc < 0)
        return rc;
    rc = show_ticks(t);
    ticker_free(t);
    if (rc == 0)
        rc = ticker_new(OURO_SEC(3600), &t);
    return rc < 0 ? rc : show_waits(t);
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
