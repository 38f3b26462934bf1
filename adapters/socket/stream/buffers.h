/* SPDX-License-Identifier: MIT */
#ifndef OURO_BUFFERS_H
#define OURO_BUFFERS_H

/*
 * Buffers that the streams of a loop receive into.
 *
 * A stream takes one when there are bytes for it, so that one that waits has none, and gives it
 * back when they have been read. The one that came back last is the next to be used: it is in the
 * cache, and however many there may be, only as many are ever touched as were needed at one time.
 * When there are none, streams stand in line, and are called, oldest first, as they come back.
 *
 * A stream that has the beginning of a line or a record does not stand in line for the rest: it
 * would hold what the others wait for. It gets a buffer of its own from the allocator, up to its
 * share, which goes back there.
 */

#include "loop_int.h"

#include <ouro/stream.h>

#include <stdint.h>

#define OURO__NO_BUFFER UINT16_MAX

/* A buffer, and what the stream that holds it has in it. */
struct ouro__piece {
    uint32_t start; /* bytes that are not read yet: from here */
    uint32_t end;
    uint16_t next; /* in the queue of its stream; OURO__NO_BUFFER: the last */
};

struct ouro__buffers {
    ouro_loop *loop;
    struct ouro__tie tie;
    uint32_t refs; /* the loop's, and one of each stream that has received */
    unsigned count;
    unsigned share;
    uint32_t size;
    unsigned spare;             /* in `spares`, the last is the next to be used */
    uint16_t *spares;           /* room for all */
    struct ouro__piece *pieces; /* of each buffer, the streams' own behind those of all */
    unsigned char *bytes;       /* of all */
    unsigned most_own;          /* buffers of streams' own, */
    unsigned own_used;          /* so many numbers of which were ever used, */
    unsigned own_spare;         /* and are free again */
    uint16_t *own_spares;       /* room for all */
    unsigned char **own_bytes;  /* of each */
    struct ouro__link waiting;  /* streams, see ouro__incoming */
    struct ouro__job job;       /* calls them */
    bool calling;               /* that is what it does now */
    uint64_t empty;
    uint64_t parked;
    uint64_t woken;
};

/* The buffers of @loop, made if there are none, and a reference to them. NULL: no memory. */
struct ouro__buffers *ouro__buffers_get(ouro_loop *loop);
void ouro__buffers_unref(struct ouro__buffers *b);

/* Whether there is one, and nobody was there first. */
static inline bool ouro__buffers_have(const struct ouro__buffers *b)
{
    return b->spare && (b->calling || ouro__list_empty(&b->waiting));
}

/* One to be held, with nothing in it; OURO__NO_BUFFER when they have none. */
static inline uint16_t ouro__buffer_take(struct ouro__buffers *b)
{
    if (!ouro__buffers_have(b))
        return OURO__NO_BUFFER;
    uint16_t id = b->spares[--b->spare];
    b->pieces[id] = (struct ouro__piece){0, 0, OURO__NO_BUFFER};
    return id;
}

/* One for a stream that holds one already. OURO__NO_BUFFER: no memory. */
uint16_t ouro__buffer_take_more(struct ouro__buffers *b);

/* One from there is free again. */
void ouro__buffer_release_own(struct ouro__buffers *b, uint16_t id);

/* One that was held is spare again. Who waits for it is called in the next pass. */
static inline void ouro__buffer_give_back(struct ouro__buffers *b, uint16_t id)
{
    if (id >= b->count) {
        ouro__buffer_release_own(b, id);
        return;
    }
    assert(b->spare < b->count);
    b->spares[b->spare++] = id;
    if (!ouro__list_empty(&b->waiting) && !ouro__linked(&b->job.link))
        ouro__ready(b->loop, &b->job);
}

static inline unsigned char *ouro__buffer_at(const struct ouro__buffers *b, uint16_t id)
{
    return id < b->count ? b->bytes + (size_t)id * b->size : b->own_bytes[id - b->count];
}

/* Bytes that a stream may hold. */
static inline size_t ouro__buffers_share(const struct ouro__buffers *b)
{
    return (size_t)b->share * b->size;
}

/* receive.c: call those who wait, as many as there are buffers for. */
void ouro__incoming_call(struct ouro__job *job);

#endif
