/* SPDX-License-Identifier: MIT */
#ifndef OURO_SETUP_H
#define OURO_SETUP_H

/*
 * How a ring is had from this kernel: the most it offers, and at least what ouro needs.
 *
 * liburing.h comes before everything that includes <linux/io_uring.h>, here and wherever both are
 * needed: the two headers share a guard, and liburing's inline functions may need the newer one.
 */

#include <liburing.h>

#include <stdbool.h>

/* A queue is never smaller than this, neither asked for nor after halving, nor larger than that. */
#define OURO__ENTRIES_MIN 8u
#define OURO__ENTRIES_MAX 32768u

/* Makes a ring: io_uring_queue_init_params(), or a test's idea of a kernel. */
typedef int ouro__ring_init_fn(unsigned entries, struct io_uring *ring, struct io_uring_params *p);

/* What was asked for, and what came of it. */
struct ouro__ring_report {
    unsigned asked;      /* entries */
    unsigned sq_entries; /* had */
    unsigned cq_entries;
    unsigned flags;      /* IORING_SETUP_*, had */
    unsigned dropped;    /* IORING_SETUP_*, refused or given up for others that were */
    unsigned features;   /* IORING_FEAT_* */
    bool fd_registered;  /* enter with IORING_ENTER_REGISTERED_RING and ring->enter_ring_fd */
    bool workers_capped; /* io-wq will not make threads without end */
    bool fork_safe;      /* a child does not inherit the ring's memory */
    bool takes_messages; /* from any thread, by ouro__ring_tell() */
};

/* One ring, by asking for less until the kernel agrees: no entries for -ENOMEM, no flags for
 * -EINVAL. 0, or what the kernel said last. */
int ouro__ring_ladder(ouro__ring_init_fn *init, unsigned entries, struct io_uring *ring,
                      struct ouro__ring_report *ret_report);

/* One ring ready for use by the calling thread. 0, -EOPNOTSUPP when the kernel is older than ouro
 * can use, or what ouro__ring_ladder() returned. */
int ouro__ring_open(unsigned entries, struct io_uring *ring, struct ouro__ring_report *ret_report);
void ouro__ring_close(struct io_uring *ring);

/* Have a completion with @user_data appear in the ring with descriptor @fd. 0 or a negative errno.
 * Any thread, any signal handler; allocates nothing here. */
int ouro__ring_tell(int fd, uint64_t user_data);

/* The operations this kernel has: supported[op], true or false. Returns how many it knows, or a
 * negative errno. */
int ouro__ring_ops(struct io_uring *ring, bool supported[256]);

#endif
