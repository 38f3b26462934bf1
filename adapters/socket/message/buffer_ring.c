/* SPDX-License-Identifier: MIT */
/*
 * Rings of buffers that the kernel chooses from.
 *
 * Happy path: one block of memory holds the ring's entries, on pages of their own as the kernel
 * wants, and the buffers behind them; it is enrolled, and every buffer is added. A buffer belongs
 * to the kernel from the publishing of its entry to the completion that brings it.
 *
 * How it fails: only in the opening.
 */
#include "buffer_ring.h"

#include "memcheck.h"

#include <string.h>
#include <unistd.h>

#define CACHE_LINE  ((size_t)64)
#define GROUP_COUNT 65536u

static void *align_up(void *ptr, size_t alignment)
{
    uintptr_t at = (uintptr_t)ptr;
    return (unsigned char *)ptr + (alignment - at % alignment) % alignment;
}

/* One block, and where things are in it. Only what is used of it is ever touched. */
static int allocate(struct ouro__buffer_ring *ring)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t entries = ring->count * sizeof(struct io_uring_buf);
    if (ring->size > (SIZE_MAX - entries - page - CACHE_LINE) / ring->count)
        return -ENOMEM;
    ring->block = ouro__alloc(page + entries + CACHE_LINE + ring->count * ring->size);
    if (!ring->block)
        return -ENOMEM;
    ring->ring = align_up(ring->block, page);
    ring->memory = align_up((unsigned char *)ring->ring + entries, CACHE_LINE);
    memset(ring->ring, 0, entries);
    ouro__memory_is_written(ring->memory, ring->count * ring->size);
    return 0;
}

/* Enroll it under the next number that no other ring of the loop has. */
static int enroll(ouro_loop *loop, struct ouro__buffer_ring *ring)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)ring->ring,
        .ring_entries = ring->count,
    };
    for (unsigned i = 0; i < GROUP_COUNT; i++) {
        reg.bgid = loop->next_buffer_group++;
        int rc = loop->driver->ops->enroll(loop->driver, IORING_REGISTER_PBUF_RING, &reg, 1);
        if (rc != -EEXIST) {
            ring->group = reg.bgid;
            return rc < 0 ? rc : 0;
        }
    }
    return -ENOMEM;
}

int ouro__buffer_ring_open(ouro_loop *loop, unsigned count, size_t size,
                           struct ouro__buffer_ring *ring)
{
    assert(count && count <= OURO__BUFFER_RING_MAX && (count & (count - 1)) == 0);
    assert(size && size % CACHE_LINE == 0 && size <= UINT32_MAX);
    *ring = (struct ouro__buffer_ring){.count = count, .size = size};
    int rc = allocate(ring);
    if (rc < 0)
        return rc;
    rc = enroll(loop, ring);
    if (rc < 0) {
        ouro__release(ring->block);
        *ring = (struct ouro__buffer_ring){0};
        return rc;
    }
    for (unsigned id = 0; id < count; id++)
        ouro__buffer_ring_add(ring, id);
    ouro__buffer_ring_publish(ring);
    return 0;
}

void ouro__buffer_ring_add(struct ouro__buffer_ring *ring, unsigned id)
{
    struct io_uring_buf *entry = &ring->ring[ring->tail++ & (ring->count - 1)];
    entry->addr = (uint64_t)(uintptr_t)ouro__buffer_ring_at(ring, id);
    entry->len = (uint32_t)ring->size;
    entry->bid = (uint16_t)id;
}

void ouro__buffer_ring_close(ouro_loop *loop, struct ouro__buffer_ring *ring, bool quietly)
{
    if (!ring->block)
        return;
    struct io_uring_buf_reg reg = {.bgid = ring->group};
    if (!quietly)
        loop->driver->ops->enroll(loop->driver, IORING_UNREGISTER_PBUF_RING, &reg, 1);
    ouro__release(ring->block);
    *ring = (struct ouro__buffer_ring){0};
}
