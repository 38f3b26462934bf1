/* SPDX-License-Identifier: MIT */
#ifndef OURO_DRIVER_H
#define OURO_DRIVER_H

/*
 * The seam between the loop and what executes its operations.
 *
 * A submission queue entry is the instruction set, a driver is a machine that executes it. The
 * loop fills entries, has them submitted while it waits, and takes completions, each of which names
 * its operation by user_data and nothing else. The kernel driver (kernel.c) is io_uring itself;
 * tests bring one that completes what they like, when they like.
 *
 * Above this line there is no blocking and no I/O system call. All calls are made on the thread
 * that made the driver, but for wake().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/io_uring.h>

/* A deadline that never comes. */
#define OURO__NEVER UINT64_MAX

/* user_data with this bit set belongs to the driver; the loop uses the 63 bits below. */
#define OURO__DRIVER_DATA (UINT64_C(1) << 63)

struct ouro__completion {
    uint64_t user_data;
    int32_t res;
    uint32_t flags; /* IORING_CQE_F_* */
};

/* What a driver has counted. */
struct ouro__driver_stats {
    uint64_t enters;    /* system calls that submitted or waited */
    uint64_t submitted; /* entries executed, the driver's own included */
    uint64_t overflows; /* of enters: those that found the completion queue overflown */
    uint64_t spins;     /* looks before a sleep, */
    uint64_t spin_hits; /* and those that found something */
};

struct ouro__driver {
    const struct ouro__driver_ops *ops;
    uint32_t features; /* IORING_FEAT_*, OURO__FEAT_* */
    struct ouro__driver_stats stats;
};

struct ouro__driver_ops {
    /* A zeroed entry to fill, or NULL when the queue is full. What was filled is submitted, in
     * order, by the next submit(). */
    struct io_uring_sqe *(*get_sqe)(struct ouro__driver *d);

    /* Entries that get_sqe() can still give before a submit(). */
    unsigned (*sq_space)(struct ouro__driver *d);

    /* Hand over what was filled, and wait until a completion is there or the clock reads @deadline
     * (0: do not wait). Returns 0, also when woken or timed out; -EBUSY or -EAGAIN when the kernel
     * wants completions taken first (entries stay queued: take some and call again); else a fatal
     * error of the ring. */
    int (*submit)(struct ouro__driver *d, uint64_t deadline);

    /* Take up to @max completions, in order. Never waits, makes no system call. */
    unsigned (*reap)(struct ouro__driver *d, struct ouro__completion *out, unsigned max);

    /* Whether submit() would find something at once, seen without a system call. */
    int (*ready)(struct ouro__driver *d);

    /* The monotonic clock, nanoseconds, never 0. */
    uint64_t (*now)(struct ouro__driver *d);

    /* Make a waiting submit(), or the next one, return. Any thread, any signal handler, at any time
     * before free(). */
    void (*wake)(struct ouro__driver *d);

    /* A descriptor that polls readable when completions are there, or -errno. */
    int (*fd)(struct ouro__driver *d);

    /* What io_uring_register(2) does: lend the ring buffers, files or memory. Memory that is lent
     * stays until it is taken back the same way, or close(). 0 or more, or a negative errno;
     * -ENOSYS where there is no such thing. */
    int (*enroll)(struct ouro__driver *d, unsigned opcode, const void *arg, unsigned count);

    /* Close a descriptor that an operation returned. */
    void (*close_fd)(struct ouro__driver *d, int fd);

    /* Give the ring back. The loop has drained it, or given up. wake() stays allowed. */
    void (*close)(struct ouro__driver *d);

    /* The process has forked and this is the child: let go of what close() would, without touching
     * the parent's ring. */
    void (*close_in_child)(struct ouro__driver *d);

    /* Free the driver, closed before. Any thread. */
    void (*free)(struct ouro__driver *d);
};

struct ouro__kernel_options {
    unsigned entries;       /* of the submission queue, 8 at least; one is the driver's own */
    uint64_t spin;          /* ns to look at the ring before sleeping; 0: never */
    bool no_messages;       /* be woken by an eventfd even where rings take messages: for tests */
    void *(*alloc)(size_t); /* where the driver's own memory comes from */
    void (*release)(void *);
};

/* The kernel driver. 0 and *ret_driver, or a negative errno: see ouro__ring_explain(). */
int ouro__kernel_driver_new(const struct ouro__kernel_options *options,
                            struct ouro__driver **ret_driver);

/* The kernel's name of an operation, in small letters; NULL for those we have not heard of. */
const char *ouro__op_name(unsigned op);

/* One or two sentences on why a ring could not be had, with what would help. Like snprintf(). */
size_t ouro__ring_explain(int rc, char *buf, size_t size);

#endif
