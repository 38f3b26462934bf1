/* SPDX-License-Identifier: MIT */
#ifndef DRIVER_TEST_H
#define DRIVER_TEST_H

/*
 * A kernel driver to test, and what one does with it all the time. It is closed with a count of
 * descriptors.
 */

#include "descriptors.h"
#include "driver.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static struct ouro__driver *d; /* of the running test, which is a process of its own */
static int fds_before;

static inline void open_driver(unsigned entries, uint64_t spin)
{
    fds_before = open_fds();
    struct ouro__kernel_options options = {
        .entries = entries,
        .spin = spin,
        .alloc = malloc,
        .release = free,
    };
    int rc = ouro__kernel_driver_new(&options, &d);
    char why[512];
    ouro__ring_explain(rc, why, sizeof why);
    cr_assert_eq(rc, 0, "%s", why);
}

static inline void close_driver(void)
{
    d->ops->close(d);
    d->ops->wake(d); /* still allowed */
    d->ops->free(d);
    cr_assert_eq(open_fds(), fds_before);
}

static inline bool try_nop(uint64_t user_data)
{
    struct io_uring_sqe *sqe = d->ops->get_sqe(d);
    if (!sqe)
        return false;
    sqe->opcode = IORING_OP_NOP;
    sqe->user_data = user_data;
    return true;
}

static inline void nop(uint64_t user_data)
{
    cr_assert(try_nop(user_data));
}

static inline void read_into(int fd, void *buf, unsigned len, uint64_t user_data)
{
    struct io_uring_sqe *sqe = d->ops->get_sqe(d);
    cr_assert(sqe);
    sqe->opcode = IORING_OP_READ;
    sqe->fd = fd;
    sqe->addr = (uintptr_t)buf;
    sqe->len = len;
    sqe->user_data = user_data;
}

static inline uint64_t in_ms(uint64_t ms)
{
    return d->ops->now(d) + ms * MS;
}

/* Submit and wait until one completion is there, and take it. */
static inline struct ouro__completion next(void)
{
    struct ouro__completion c;
    uint64_t deadline = in_ms(5000);
    while (d->ops->reap(d, &c, 1) == 0) {
        cr_assert_lt(d->ops->now(d), deadline, "no completion");
        cr_assert_eq(d->ops->submit(d, deadline), 0);
    }
    return c;
}

/* Turn until the driver has put its own READ into the ring and nothing else is left to see. */
static inline void settle(void)
{
    struct ouro__completion c;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(d->ops->submit(d, 0), 0);
        cr_assert_eq(d->ops->reap(d, &c, 1), 0);
    }
    cr_assert_not(d->ops->ready(d));
}

static inline uint64_t enters(void)
{
    return d->stats.enters;
}

static inline void *wake_in_20_ms(void *arg)
{
    (void)arg;
    usleep(20000);
    d->ops->wake(d);
    return NULL;
}

#endif
