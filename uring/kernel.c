/* SPDX-License-Identifier: MIT */
/*
 * The kernel driver: io_uring itself behind the seam.
 *
 * Invariants: a completion whose user_data has OURO__DRIVER_DATA never leaves this file. One slot
 * of the submission queue is kept back, so that what the driver itself must submit always fits.
 * There is one io_uring_enter(2) in this file; liburing sets the ring up and takes it down, but it
 * does not submit, because it enters as often as it sees fit.
 *
 * Happy path: the loop fills entries by get_sqe(); submit() shows them to the kernel and waits, all
 * in one enter; the kernel runs what has become ready (with DEFER_TASKRUN it does so nowhere else)
 * and returns at the first completion or at the deadline; reap() copies completions out.
 *
 * Waking: wake() sends the ring a message, which is a completion that it sees at once. A wake that
 * is on its way is enough, so further ones do nothing until its completion is taken. Where rings
 * take no messages (before 6.13), or the kernel has no memory for one, wake() is a write(2) to an
 * eventfd that the ring holds a READ of. When that has completed, the next submit() puts it back;
 * the eventfd counts meanwhile, so no wake is lost. Eventfd and the READ's buffer live until
 * free(), longer than the ring, which close() gives back only when no wake() can still name its
 * descriptor. A loop that is polled from another has a second eventfd, for fd(), which is signalled
 * too.
 *
 * How it fails: a signal or the deadline ends a wait with 0 and nothing to reap. A full completion
 * queue makes the kernel keep what does not fit and say so by a flag; entering again fetches it.
 * -EBUSY and -EAGAIN leave the entries queued for the next submit(). Anything else that enter
 * returns means that the ring is unusable.
 */
#define _GNU_SOURCE 1

#include "setup.h"

#include "driver.h"
#include "spin.h"
#include "uapi.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define WAKE_DATA    (OURO__DRIVER_DATA | 1) /* of the READ */
#define MESSAGE_DATA (OURO__DRIVER_DATA | 2)

#define LOOKS_A_CLOCK 8   /* looks at the ring between two looks at the clock */
#define RETIRE_TRIES  100 /* waits of RETIRE_NS for the READ when the ring is closed */
#define RETIRE_NS     UINT64_C(10000000)

struct kernel {
    struct ouro__driver base;
    struct io_uring ring;
    unsigned enter_flags; /* of every enter */
    struct ouro__spin spin;
    bool takes_messages;
    atomic_bool
        woken; /* and the completion that tells so has not been taken; once closed, for ever */
    atomic_uint wakers; /* threads inside wake() */
    int wake_fd;
    bool wake_armed;     /* the READ is queued or in the kernel */
    uint64_t wake_place; /* once so many entries are submitted, the kernel has it */
    uint64_t wake_count; /* what it reads; nobody looks */
    atomic_int poll_fd;  /* for another loop to poll; -1: nobody asked */
    void (*release)(void *);
};

static struct kernel *of(struct ouro__driver *d)
{
    return (struct kernel *)(void *)d;
}

/* ---- What the ring shows without a system call ----------------------------------------------- */

static uint64_t kernel_now(struct ouro__driver *d)
{
    (void)d;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    return ns ? ns : 1;
}

static bool has_completions(struct kernel *k)
{
    return io_uring_cq_ready(&k->ring) > 0;
}

/* Completions that are not in the queue yet: work to be run first, or the queue was full. */
static unsigned pending_flags(struct kernel *k)
{
    return IO_URING_READ_ONCE(*k->ring.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static int kernel_ready(struct ouro__driver *d)
{
    return has_completions(of(d)) || pending_flags(of(d));
}

static struct io_uring_sqe *kernel_get_sqe(struct ouro__driver *d)
{
    struct kernel *k = of(d);
    if (io_uring_sq_space_left(&k->ring) < 2)
        return NULL;
    return memset(io_uring_get_sqe(&k->ring), 0, sizeof(struct io_uring_sqe));
}

static unsigned kernel_sq_space(struct ouro__driver *d)
{
    unsigned left = io_uring_sq_space_left(&of(d)->ring);
    return left > 1 ? left - 1 : 0;
}

/* What a wake is for happened before it: the loop, which looks at that after this, will see it. */
static void hear_wake(struct kernel *k, uint64_t user_data)
{
    if (user_data == WAKE_DATA)
        k->wake_armed = false;
    atomic_exchange(&k->woken, false);
}

static unsigned kernel_reap(struct ouro__driver *d, struct ouro__completion *out, unsigned max)
{
    struct kernel *k = of(d);
    const struct io_uring_cq *cq = &k->ring.cq;
    unsigned there = io_uring_cq_ready(&k->ring);
    unsigned seen = 0;
    unsigned n = 0;
    for (; seen < there && n < max; seen++) {
        const struct io_uring_cqe *cqe = &cq->cqes[(*cq->khead + seen) & cq->ring_mask];
        if (cqe->user_data & OURO__DRIVER_DATA)
            hear_wake(k, cqe->user_data);
        else
            out[n++] = (struct ouro__completion){cqe->user_data, cqe->res, cqe->flags};
    }
    io_uring_cq_advance(&k->ring, seen);
    return n;
}

/* ---- Submitting and waiting ------------------------------------------------------------------ */

/* Show the kernel what was filled: the tail is all there is to tell, since liburing has made slot n
 * of the index stand for entry n. Returns how many entries the kernel has not taken, old ones
 * included. */
static unsigned publish(struct kernel *k)
{
    struct io_uring_sq *sq = &k->ring.sq;
    sq->sqe_head = sq->sqe_tail;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    return io_uring_sq_ready(&k->ring);
}

/* Submit @queued entries, run deferred work, and wait for @wait completions, for at most @ns. */
static int enter(struct kernel *k, unsigned queued, unsigned wait, uint64_t ns)
{
    struct __kernel_timespec timeout = {
        .tv_sec = (int64_t)(ns / 1000000000u),
        .tv_nsec = (long long)(ns % 1000000000u),
    };
    struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)&timeout};
    bool timed = wait && ns != OURO__NEVER;
    unsigned flags = k->enter_flags | IORING_ENTER_GETEVENTS | (timed ? IORING_ENTER_EXT_ARG : 0);

    k->base.stats.enters++;
    if (pending_flags(k) & IORING_SQ_CQ_OVERFLOW)
        k->base.stats.overflows++;
    int rc = io_uring_enter2((unsigned)k->ring.enter_ring_fd, queued, wait, flags,
                             timed ? (void *)&arg : NULL, timed ? sizeof arg : 0);
    if (rc > 0)
        k->base.stats.submitted += (unsigned)rc;
    return rc >= 0 || rc == -ETIME || rc == -EINTR ? 0 : rc;
}

/* Have a READ of the eventfd in the ring. The slot kept back is for this. */
static void arm_wake(struct kernel *k)
{
    if (k->wake_armed)
        return;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&k->ring);
    assert(sqe);
    io_uring_prep_read(sqe, k->wake_fd, &k->wake_count, sizeof k->wake_count, 0);
    sqe->user_data = WAKE_DATA;
    k->wake_place = k->base.stats.submitted + io_uring_sq_ready(&k->ring);
    k->wake_armed = true;
}

/* Give the kernel what is queued and let it run what is ready, but do not wait. */
static int submit_only(struct kernel *k)
{
    unsigned queued = publish(k);
    return queued || pending_flags(k) ? enter(k, queued, 0, 0) : 0;
}

/* Look at the ring until it has something or the clock reads @until. */
static bool look(struct kernel *k, uint64_t until)
{
    do {
        for (int i = 0; i < LOOKS_A_CLOCK; i++) {
            if (kernel_ready(&k->base))
                return true;
            ouro__spin_pause();
        }
    } while (kernel_now(&k->base) < until);
    return false;
}

/* Try to do without the sleep. */
static void spin(struct kernel *k, uint64_t now, uint64_t deadline)
{
    k->base.stats.spins++;
    if (look(k, deadline - now < k->spin.limit ? deadline : now + k->spin.limit)) {
        k->base.stats.spin_hits++;
        ouro__spin_hit(&k->spin);
    } else {
        ouro__spin_miss(&k->spin);
    }
}

static int wait_until(struct kernel *k, uint64_t deadline)
{
    bool timed = deadline != OURO__NEVER;
    uint64_t now = timed || k->spin.limit ? kernel_now(&k->base) : 0;
    if (now < deadline && ouro__spin_is_due(&k->spin) && !kernel_ready(&k->base)) {
        spin(k, now, deadline);
        if (has_completions(k))
            return 0;
        now = kernel_now(&k->base);
    }
    if (now >= deadline)
        return submit_only(k);
    int rc = enter(k, publish(k), 1, timed ? deadline - now : OURO__NEVER);
    if (k->spin.limit && has_completions(k))
        ouro__spin_slept(&k->spin, kernel_now(&k->base) - now);
    return rc;
}

/* Whatever has been told so far is about to be looked at. */
static void clear_poll_fd(struct kernel *k)
{
    uint64_t count;
    while (read(k->poll_fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
}

static int kernel_submit(struct ouro__driver *d, uint64_t deadline)
{
    struct kernel *k = of(d);
    if (k->poll_fd >= 0)
        clear_poll_fd(k);
    arm_wake(k);
    /* Whoever will spin submits first: what is queued is what there may be to see. */
    if (!deadline || has_completions(k) || ouro__spin_is_due(&k->spin)) {
        int rc = submit_only(k);
        if (!deadline || rc < 0 || has_completions(k))
            return rc;
    }
    return wait_until(k, deadline);
}

/* The count overflows after 2^64 signals, and an interrupted write has not happened. errno is not
 * ours: this may be a signal handler. */
static void signal_fd(int fd)
{
    int saved = errno;
    static const uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    errno = saved;
}

static void send_wake(struct kernel *k)
{
    if (k->takes_messages && ouro__ring_tell(k->ring.ring_fd, MESSAGE_DATA) == 0)
        return;
    signal_fd(k->wake_fd);
    /* The kernel would pass it on, but from one eventfd to another only after an RCU grace
     * period. */
    int fd = atomic_load(&k->poll_fd);
    if (fd >= 0)
        signal_fd(fd);
}

static void kernel_wake(struct ouro__driver *d)
{
    struct kernel *k = of(d);
    atomic_fetch_add(&k->wakers, 1);
    if (!atomic_exchange(&k->woken, true))
        send_wake(k);
    atomic_fetch_sub(&k->wakers, 1);
}

/* Not the ring's own descriptor: with DEFER_TASKRUN a completion is work that the ring's thread has
 * still to do, and on 6.18 the arrival of such work does not wake who polls the ring (measured). It
 * does signal a registered eventfd. That costs each completion a little, so it is made on
 * demand. */
static int kernel_fd(struct ouro__driver *d)
{
    struct kernel *k = of(d);
    if (k->poll_fd >= 0)
        return k->poll_fd;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int rc = io_uring_register_eventfd(&k->ring, fd);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    /* What is there already was not told. */
    k->poll_fd = fd;
    if (kernel_ready(d))
        signal_fd(fd);
    return fd;
}

/* ---- The ends -------------------------------------------------------------------------------- */

static void kernel_close_fd(struct ouro__driver *d, int fd)
{
    (void)d;
    close(fd);
}

/* Have the READ out of the kernel, which otherwise might still write to its buffer after the ring's
 * end: taking a ring down only starts the cancelling. The surest way is to let it complete. Entries
 * that were never submitted stay so. */
static void retire_wake(struct kernel *k)
{
    if (k->base.stats.submitted < k->wake_place)
        k->wake_armed = false; /* the kernel has not seen it, and will not */
    if (k->wake_armed)
        signal_fd(k->wake_fd);
    for (int i = 0; k->wake_armed && i < RETIRE_TRIES; i++) {
        struct ouro__completion dropped[16];
        while (kernel_reap(&k->base, dropped, 16) == 16)
            ;
        if (k->wake_armed)
            enter(k, 0, 1, RETIRE_NS);
    }
}

/* From now on wake() does nothing. The number of the ring's descriptor may soon be another
 * file's. */
static void end_wakes(struct kernel *k)
{
    atomic_store(&k->woken, true);
    while (atomic_load(&k->wakers))
        sched_yield();
}

static int kernel_enroll(struct ouro__driver *d, unsigned opcode, const void *arg, unsigned count)
{
    return io_uring_register((unsigned)of(d)->ring.ring_fd, opcode, arg, count);
}

static void kernel_close(struct ouro__driver *d)
{
    struct kernel *k = of(d);
    retire_wake(k);
    end_wakes(k);
    ouro__ring_close(&k->ring);
}

/* In the child the ring's memory is not even mapped, and its READ is the parent's. */
static void kernel_close_in_child(struct ouro__driver *d)
{
    struct kernel *k = of(d);
    k->wake_armed = false;
    atomic_store(&k->woken, true);
    close(k->ring.ring_fd);
}

static void kernel_free(struct ouro__driver *d)
{
    struct kernel *k = of(d);
    if (k->wake_armed)
        return; /* close() could not get it back: better leak than be written to */
    close(k->wake_fd);
    if (k->poll_fd >= 0)
        close(k->poll_fd);
    k->release(k);
}

static const struct ouro__driver_ops kernel_ops = {
    .get_sqe = kernel_get_sqe,
    .sq_space = kernel_sq_space,
    .submit = kernel_submit,
    .reap = kernel_reap,
    .ready = kernel_ready,
    .now = kernel_now,
    .wake = kernel_wake,
    .fd = kernel_fd,
    .enroll = kernel_enroll,
    .close_fd = kernel_close_fd,
    .close = kernel_close,
    .close_in_child = kernel_close_in_child,
    .free = kernel_free,
};

static unsigned enter_flags(const struct ouro__ring_report *report)
{
    unsigned flags = 0;
    if (report->fd_registered)
        flags |= IORING_ENTER_REGISTERED_RING;
    if (report->features & OURO__FEAT_NO_IOWAIT)
        flags |= OURO__ENTER_NO_IOWAIT; /* a sleeping loop is idle, not waiting for a disk */
    return flags;
}

int ouro__kernel_driver_new(const struct ouro__kernel_options *options,
                            struct ouro__driver **ret_driver)
{
    struct kernel *k = options->alloc(sizeof *k);
    if (!k)
        return -ENOMEM;
    memset(k, 0, sizeof *k);
    k->base.ops = &kernel_ops;
    k->release = options->release;
    atomic_init(&k->poll_fd, -1);
    atomic_init(&k->woken, false);
    atomic_init(&k->wakers, 0);
    k->wake_fd = eventfd(0, EFD_CLOEXEC);
    int rc = k->wake_fd < 0 ? -errno : 0;
    struct ouro__ring_report report;
    if (rc == 0)
        rc = ouro__ring_open(options->entries, &k->ring, &report);
    if (rc < 0) {
        if (k->wake_fd >= 0)
            close(k->wake_fd);
        options->release(k);
        return rc;
    }
    k->base.features = report.features;
    k->enter_flags = enter_flags(&report);
    k->takes_messages = report.takes_messages && !options->no_messages;
    /* With one processor, whatever we spin for cannot happen until we stop. */
    k->spin = ouro__spin_start(sysconf(_SC_NPROCESSORS_ONLN) > 1 ? options->spin : 0);
    *ret_driver = &k->base;
    return 0;
}
