/* SPDX-License-Identifier: MIT */
#ifndef OURO_BUFFER_RING_H
#define OURO_BUFFER_RING_H

/*
 * Buffers that the kernel chooses from: memory, and the ring by which it is lent.
 *
 *     struct ouro__buffer_ring ring;
 *     int rc = ouro__buffer_ring_open(loop, 16, 4096, &ring);       all buffers are the kernel's
 *     sqe.flags |= IOSQE_BUFFER_SELECT; sqe.buf_group = ring.group;
 *     ...
 *     uint16_t id = ouro__buffer_ring_id(cqe_flags);                one is ours, with bytes in it
 *     void *bytes = ouro__buffer_ring_at(&ring, id);
 *     ouro__buffer_ring_add(&ring, id);                             and the kernel's again
 *     ouro__buffer_ring_publish(&ring);                             once for many
 *     ...
 *     ouro__buffer_ring_close(loop, &ring, false);                  no operation names the group
 *
 * A loop has 65 536 groups; each ring takes the next that is free. Memory is one block, so opening
 * fails before or after it and never in between.
 */

#include "loop_int.h"

#define OURO__BUFFER_RING_MAX 32768u /* the kernel's limit */

struct ouro__buffer_ring {
    void *block;               /* all its memory */
    struct io_uring_buf *ring; /* page-aligned, `count` entries */
    unsigned char *memory;     /* aligned to 64 bytes, `count` times `size` */
    size_t size;               /* bytes of a buffer */
    unsigned count;            /* a power of two */
    uint16_t group;            /* what an operation names */
    uint16_t tail;             /* entries ever added */
};

/* Lend @count buffers (a power of two, 32768 at most) of @size bytes (a multiple of 64) to the ring
 * of @loop. 0, -ENOMEM, or what enroll() says: -ENOSYS or -EINVAL where the kernel does not choose
 * buffers. On failure there is nothing to close. */
int ouro__buffer_ring_open(ouro_loop *loop, unsigned count, size_t size,
                           struct ouro__buffer_ring *ring);

/* Take it all back, when no operation names the group any more. @quietly: in the child of a fork,
 * or when the driver is closed, where there is memory to free and nothing else. */
void ouro__buffer_ring_close(ouro_loop *loop, struct ouro__buffer_ring *ring, bool quietly);

/* The buffer that a completion with IORING_CQE_F_BUFFER brought. */
static inline uint16_t ouro__buffer_ring_id(uint32_t cqe_flags)
{
    return (uint16_t)(cqe_flags >> IORING_CQE_BUFFER_SHIFT);
}

static inline void *ouro__buffer_ring_at(const struct ouro__buffer_ring *ring, unsigned id)
{
    assert(id < ring->count);
    return ring->memory + id * ring->size;
}

/* Hand a buffer to the kernel, which sees it when it is published. Allocates nothing. */
void ouro__buffer_ring_add(struct ouro__buffer_ring *ring, unsigned id);

static inline void ouro__buffer_ring_publish(struct ouro__buffer_ring *ring)
{
    /* The ring's tail lies where its first entry has a field to spare. */
    __atomic_store_n(&ring->ring[0].resv, ring->tail, __ATOMIC_RELEASE);
}

#endif
