/* SPDX-License-Identifier: MIT */
/*
 * The buffers that the streams of a loop share.
 *
 * Happy path: made when the first stream receives, in one piece of memory whose pages are not
 * touched before they are used. They stay as long as a stream has bytes in one, whichever of the
 * two learns of the loop's close first.
 *
 * How it fails: without memory there are none, and the stream that needed them fails.
 */
#include "buffers.h"

#include <string.h>

/* Large enough for a burst to come in one receive, which is what makes bulk cheap; of a buffer that
 * is used for small messages only the beginning is ever touched. */
#define DEFAULT_COUNT 1024u
#define DEFAULT_SIZE  ((size_t)64 * 1024)
#define DEFAULT_SHARE 4u

#define MAX_COUNT   32768u
#define MAX_SIZE    ((size_t)1 << 20)
#define LEAST_SIZE  ((size_t)64)
#define LEAST_SHARE 2u

/* ---- Life ------------------------------------------------------------------------------------ */

void ouro__buffers_unref(struct ouro__buffers *b)
{
    assert(b->refs > 0);
    if (--b->refs)
        return;
    assert(b->spare == b->count && b->own_spare == b->own_used);
    assert(ouro__list_empty(&b->waiting));
    if (ouro__linked(&b->job.link))
        ouro__list_remove(&b->job.link);
    ouro__release(b);
}

static void let_go(struct ouro__buffers *b)
{
    b->loop->buffers = NULL;
    ouro__buffers_unref(b);
}

static void cut(struct ouro__tie *tie, ouro_loop *loop, bool quietly)
{
    (void)loop;
    (void)quietly;
    let_go(OURO__CONTAINER(tie, struct ouro__buffers, tie));
}

static size_t aligned(size_t at, size_t to)
{
    return (at + to - 1) & ~(to - 1);
}

/* One allocation: the record, what is known of each buffer, which are spare, the bytes. NULL: no
 * memory. */
static struct ouro__buffers *allocate(const ouro_stream_buffers *opts)
{
    size_t own = OURO__NO_BUFFER - opts->count; /* all other numbers; untouched until used */
    size_t own_bytes = aligned(sizeof(struct ouro__buffers), 64);
    size_t pieces = own_bytes + own * sizeof(unsigned char *);
    size_t spares = pieces + (opts->count + own) * sizeof(struct ouro__piece);
    size_t own_spares = spares + opts->count * sizeof(uint16_t);
    size_t bytes = aligned(own_spares + own * sizeof(uint16_t), 64);
    char *memory = ouro__alloc(bytes + opts->count * opts->size);
    if (!memory)
        return NULL;
    struct ouro__buffers *b = (void *)memory;
    *b = (struct ouro__buffers){
        .refs = 1,
        .count = opts->count,
        .share = opts->share,
        .size = (uint32_t)opts->size,
        .spares = (void *)(memory + spares),
        .pieces = (void *)(memory + pieces),
        .bytes = (unsigned char *)memory + bytes,
        .most_own = (unsigned)own,
        .own_spares = (void *)(memory + own_spares),
        .own_bytes = (void *)(memory + own_bytes),
    };
    return b;
}

/* 0 or -ENOMEM. */
static int make(ouro_loop *loop, const ouro_stream_buffers *opts)
{
    struct ouro__buffers *b = allocate(opts);
    if (!b)
        return -ENOMEM;
    b->loop = loop;
    b->tie.cut = cut;
    b->job.run = ouro__incoming_call;
    ouro__list_init(&b->waiting);
    for (unsigned i = b->count; i-- > 0;)
        b->spares[b->spare++] = (uint16_t)i;
    loop->buffers = b;
    ouro__tie(loop, &b->tie);
    return 0;
}

struct ouro__buffers *ouro__buffers_get(ouro_loop *loop)
{
    static const ouro_stream_buffers defaults = {DEFAULT_COUNT, DEFAULT_SIZE, DEFAULT_SHARE};
    if (!loop->buffers && make(loop, &defaults) < 0)
        return NULL;
    loop->buffers->refs++;
    return loop->buffers;
}

/* ---- Buffers of streams' own ----------------------------------------------------------------- */

uint16_t ouro__buffer_take_more(struct ouro__buffers *b)
{
    uint16_t id = ouro__buffer_take(b);
    if (id != OURO__NO_BUFFER)
        return id;
    if (!b->own_spare && b->own_used == b->most_own)
        return OURO__NO_BUFFER;
    unsigned char *bytes = ouro__alloc(b->size);
    if (!bytes)
        return OURO__NO_BUFFER;
    unsigned i = b->own_spare ? b->own_spares[--b->own_spare] : b->own_used++;
    b->own_bytes[i] = bytes;
    b->pieces[b->count + i] = (struct ouro__piece){0, 0, OURO__NO_BUFFER};
    return (uint16_t)(b->count + i);
}

void ouro__buffer_release_own(struct ouro__buffers *b, uint16_t id)
{
    unsigned i = id - b->count;
    ouro__release(b->own_bytes[i]);
    b->own_spares[b->own_spare++] = (uint16_t)i;
}

/* ---- For users ------------------------------------------------------------------------------- */

/* What @all->share comes to in so many buffers. */
static unsigned settle_share(unsigned share, unsigned count)
{
    if (!share)
        share = count / 4 < DEFAULT_SHARE ? count / 4 : DEFAULT_SHARE;
    if (share < LEAST_SHARE)
        share = LEAST_SHARE;
    return share < count ? share : count;
}

/* 0 and what @opts come to, or -EINVAL. */
static int settle_options(const ouro_stream_buffers *opts, ouro_stream_buffers *ret_opts)
{
    ouro_stream_buffers all = opts ? *opts : (ouro_stream_buffers){0};
    if (!all.count)
        all.count = DEFAULT_COUNT;
    if (!all.size)
        all.size = DEFAULT_SIZE;
    if (all.count > MAX_COUNT || all.size > MAX_SIZE || all.size < LEAST_SIZE || all.share == 1)
        return -EINVAL;
    if (all.count < LEAST_SHARE)
        all.count = LEAST_SHARE;
    all.size = aligned(all.size, LEAST_SIZE);
    all.share = settle_share(all.share, all.count);
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
        let_go(loop->buffers);
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
    ret_stats->held = b->count - b->spare + b->own_used - b->own_spare;
    ret_stats->empty = b->empty;
    ret_stats->parked = b->parked;
    ret_stats->woken = b->woken;
    OURO__LIST_FOR (l, &b->waiting)
        ret_stats->waiting++;
    return 0;
}
