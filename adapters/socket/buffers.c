/* SPDX-License-Identifier: MIT */
/*
 * The buffers that the streams of a loop share.
 *
 * Happy path: made when the first stream receives, in one piece of memory whose pages are not
 * touched before they are used. The kernel has `quota` of them in a ring it takes them from in
 * order; what a stream has read goes on a stack, and from there the ring is topped up.
 *
 * The ring is the kernel's until it has been taken back, so that comes before its memory is freed;
 * the memory stays as long as a stream has bytes in it, whichever of the two learns of the loop's
 * close first.
 *
 * How it fails: without memory there are none, and the stream that needed them fails. A kernel or a
 * driver that does not choose buffers leaves that to us: a stream then waits with a buffer of its
 * own.
 */
#include "buffers.h"

#include <string.h>

#define DEFAULT_COUNT 1024u
#define DEFAULT_SIZE  ((size_t)4096)
#define DEFAULT_SHARE 16u
#define MAX_COUNT     32768u /* of the kernel */
#define MAX_SIZE      ((size_t)1 << 20)
#define LEAST_SIZE    ((size_t)64)
#define LEAST_SHARE   2u

#define FIRST_QUOTA 32u
#define PAGE        4096u /* the kernel wants its ring at the beginning of one, and that of any size */

/* ---- Life ------------------------------------------------------------------------------------ */

/* Lend the ring to the kernel, or take it back. */
static int enroll(struct ouro__buffers *b, unsigned opcode)
{
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)b->ring,
        .ring_entries = b->count,
        .bgid = OURO__STREAM_GROUP,
    };
    return b->loop->driver->ops->enroll(b->loop->driver, opcode, &reg, 1);
}

void ouro__buffers_unref(struct ouro__buffers *b)
{
    assert(b->refs > 0);
    if (--b->refs)
        return;
    assert(b->held == 0 && ouro__list_empty(&b->waiting));
    ouro__release(b);
}

static void cut(struct ouro__tie *tie, ouro_loop *loop, bool quietly)
{
    struct ouro__buffers *b = OURO__CONTAINER(tie, struct ouro__buffers, tie);
    loop->buffers = NULL;
    b->cut = true;
    if (loop->abandoned && !quietly)
        return; /* the kernel may still write there: it stays for ever */
    if (b->ring && !quietly)
        enroll(b, IORING_UNREGISTER_PBUF_RING);
    ouro__buffers_unref(b);
}

static size_t aligned(size_t at, size_t to)
{
    return (at + to - 1) & ~(to - 1);
}

/* One allocation: the record, what is known of each buffer, the stack of spare ones, the ring, the
 * bytes. NULL: no memory. */
static struct ouro__buffers *allocate(unsigned count, size_t size)
{
    size_t pieces = aligned(sizeof(struct ouro__buffers), 64);
    size_t spares = pieces + count * sizeof(struct ouro__piece);
    size_t ring = spares + count * sizeof(uint16_t);
    size_t ring_size = count * sizeof(struct io_uring_buf);
    size_t all = ring + ring_size + 2 * PAGE + count * size;
    char *memory = ouro__alloc(all);
    if (!memory)
        return NULL;
    struct ouro__buffers *b = (void *)memory;
    memset(memory, 0, ring);
    b->pieces = (void *)(memory + pieces);
    b->spares = (void *)(memory + spares);
    b->ring = (void *)aligned((uintptr_t)memory + ring, PAGE);
    b->bytes = (unsigned char *)aligned((uintptr_t)b->ring + ring_size, PAGE);
    memset(b->ring, 0, ring_size);
    return b;
}

void ouro__buffers_top_up(struct ouro__buffers *b)
{
    while (b->lent < b->quota && b->spare) {
        uint16_t id = b->spares[--b->spare];
        uint16_t slot = b->tail++ & (uint16_t)(b->count - 1);
        b->pieces[id].slot = slot;
        b->ring[slot].addr = (uintptr_t)ouro__buffer_at(b, id);
        b->ring[slot].len = b->size;
        b->ring[slot].bid = id;
        b->lent++;
    }
    /* The ring's tail is where its first entry has a field to spare. */
    __atomic_store_n(&b->ring->resv, b->tail, __ATOMIC_RELEASE);
}

/* 0 or -ENOMEM. */
static int make(ouro_loop *loop, const ouro_stream_buffers *opts)
{
    struct ouro__buffers *b = allocate(opts->count, opts->size);
    if (!b)
        return -ENOMEM;
    b->loop = loop;
    b->tie.cut = cut;
    b->refs = 1;
    b->count = opts->count;
    b->size = (uint32_t)opts->size;
    b->share = opts->share;
    b->quota = b->count < FIRST_QUOTA ? b->count : FIRST_QUOTA;
    b->limits = true; /* until it says otherwise */
    ouro__list_init(&b->waiting);
    for (unsigned i = b->count; i-- > 0;)
        b->spares[b->spare++] = (uint16_t)i;
    if (enroll(b, IORING_REGISTER_PBUF_RING) < 0)
        b->ring = NULL;
    else
        ouro__buffers_top_up(b);
    loop->buffers = b;
    ouro__tie(loop, &b->tie);
    return 0;
}

/* ---- Giving and taking ----------------------------------------------------------------------- */

struct ouro__buffers *ouro__buffers_get(ouro_loop *loop)
{
    static const ouro_stream_buffers defaults = {DEFAULT_COUNT, DEFAULT_SIZE, DEFAULT_SHARE};
    if (!loop->buffers && make(loop, &defaults) < 0)
        return NULL;
    loop->buffers->refs++;
    return loop->buffers;
}

uint16_t ouro__buffer_take(struct ouro__buffers *b)
{
    if (!b->spare)
        return OURO__NO_BUFFER;
    b->held++;
    return b->spares[--b->spare];
}

void ouro__buffer_give_back(struct ouro__buffers *b, uint16_t id)
{
    assert(b->held > 0);
    b->held--;
    b->spares[b->spare++] = id;
    if (b->ring && !b->cut)
        ouro__buffers_top_up(b);
}

void ouro__buffers_dry(struct ouro__buffers *b)
{
    b->empty++;
    b->quota = b->quota * 2 < b->count ? b->quota * 2 : b->count;
    ouro__buffers_top_up(b);
}

/* ---- For users ------------------------------------------------------------------------------- */

/* 0 and what @opts come to, or -EINVAL. */
static int settle_options(const ouro_stream_buffers *opts, ouro_stream_buffers *ret_opts)
{
    ouro_stream_buffers all = opts ? *opts : (ouro_stream_buffers){0};
    if (!all.count)
        all.count = DEFAULT_COUNT;
    if (!all.size)
        all.size = DEFAULT_SIZE;
    if (all.count > MAX_COUNT || all.size > MAX_SIZE || all.size < LEAST_SIZE ||
        (all.share && all.share < LEAST_SHARE))
        return -EINVAL;
    unsigned count = LEAST_SHARE;
    while (count < all.count)
        count *= 2;
    all.count = count;
    all.size = aligned(all.size, LEAST_SIZE);
    if (!all.share) {
        all.share = count / 4 < DEFAULT_SHARE ? count / 4 : DEFAULT_SHARE;
        if (all.share < LEAST_SHARE)
            all.share = LEAST_SHARE;
    }
    if (all.share > count)
        all.share = count;
    *ret_opts = all;
    return 0;
}

int ouro_stream_buffers_set(const ouro_stream_buffers *opts)
{
    ouro_loop *loop;
    ouro_stream_buffers all;
    int rc = ouro__loop_for_wait(&loop);
    if (rc == 0)
        rc = settle_options(opts, &all);
    if (rc < 0)
        return rc;
    if (loop->buffers && loop->buffers->refs > 1)
        return -EBUSY;
    if (loop->buffers) {
        ouro__untie(&loop->buffers->tie);
        cut(&loop->buffers->tie, loop, false);
    }
    return make(loop, &all);
}

int ouro_stream_buffers_get(ouro_stream_buffers_stats *ret_stats)
{
    ouro_loop *loop;
    int rc = ret_stats ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    *ret_stats = (ouro_stream_buffers_stats){0};
    const struct ouro__buffers *b = loop->buffers;
    if (!b)
        return 0;
    ret_stats->count = b->count;
    ret_stats->size = b->size;
    ret_stats->held = b->held;
    ret_stats->empty = b->empty;
    ret_stats->parked = b->parked;
    ret_stats->woken = b->woken;
    OURO__LIST_FOR (l, &b->waiting)
        ret_stats->waiting++;
    return 0;
}
