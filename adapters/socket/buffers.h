/* SPDX-License-Identifier: MIT */
#ifndef OURO_BUFFERS_H
#define OURO_BUFFERS_H

/*
 * Buffers that the streams of a loop receive into.
 *
 * A buffer is with the kernel, which fills it for whichever stream has bytes; or held by a stream
 * until its bytes are read; or spare. The kernel is given few at a time, and the one that came back
 * last first, since that one is in the cache; it gets more when it once runs dry. When all are in
 * use, streams stand in line, and are called, oldest first, as many as there are buffers for.
 */

#include "loop_int.h"

#include <ouro/stream.h>

#include <stdint.h>

#define OURO__NO_BUFFER UINT16_MAX

/* The group by which the kernel knows ours. */
#define OURO__STREAM_GROUP 1u

/* A buffer, and what a stream that holds it has in it. */
struct ouro__piece {
    uint32_t start; /* bytes that are not read yet: from here */
    uint32_t end;
    uint16_t next; /* in the queue of its stream; OURO__NO_BUFFER: the last */
    uint16_t slot; /* of the kernel's ring, where it was put last */
};

struct ouro__buffers {
    ouro_loop *loop;
    struct ouro__tie tie;
    uint32_t refs;  /* the loop's, and one of each stream that has received */
    unsigned count; /* a power of two */
    unsigned share;
    uint32_t size;
    unsigned spare;  /* in `spares` */
    unsigned lent;   /* to the kernel, */
    unsigned quota;  /* and how many that should be */
    unsigned called; /* streams that were in line and whose receive is under way */
    unsigned held;
    uint16_t tail;
    bool limits;                /* the kernel stops a multishot after so many bytes */
    bool cut;                   /* the loop has closed */
    uint16_t *spares;           /* the last is the next to be used */
    struct io_uring_buf *ring;  /* NULL: this kernel does not choose buffers */
    struct ouro__piece *pieces; /* of each buffer */
    unsigned char *bytes;       /* of all */
    struct ouro__link waiting;  /* streams, see ouro__incoming */
    uint64_t empty;
    uint64_t parked;
    uint64_t woken;
};

/* The buffers of @loop, made if there are none, and a reference to them. NULL: no memory. */
struct ouro__buffers *ouro__buffers_get(ouro_loop *loop);
void ouro__buffers_unref(struct ouro__buffers *b);

/* A spare one, to be held; OURO__NO_BUFFER when there is none. */
uint16_t ouro__buffer_take(struct ouro__buffers *b);

/* The kernel has filled @id, which is held now. */
static inline void ouro__buffer_filled(struct ouro__buffers *b)
{
    b->lent--;
    b->held++;
}

/* One that was held is spare again, or the kernel's. Who waits for one is not called yet. */
void ouro__buffer_give_back(struct ouro__buffers *b, uint16_t id);

/* Let the kernel have as many as it should. */
void ouro__buffers_top_up(struct ouro__buffers *b);

/* The kernel has found none: let it have more. */
void ouro__buffers_dry(struct ouro__buffers *b);

/* How many more streams can be called. */
static inline unsigned ouro__buffers_free(const struct ouro__buffers *b)
{
    if (!b->ring)
        return b->spare;
    return b->lent > b->called ? b->lent - b->called : 0;
}

/* Whether a stream had better take one at a time. */
static inline bool ouro__buffers_scarce(const struct ouro__buffers *b)
{
    return b->spare + b->lent < b->count / 4;
}

/* The buffer that the kernel fills after @id, and how much it takes of it. */
static inline uint16_t ouro__buffer_after(const struct ouro__buffers *b, uint16_t id)
{
    return b->ring[(b->pieces[id].slot + 1u) & (b->count - 1)].bid;
}

static inline uint32_t ouro__buffer_room(const struct ouro__buffers *b, uint16_t id)
{
    return b->ring[b->pieces[id].slot].len;
}

static inline unsigned char *ouro__buffer_at(const struct ouro__buffers *b, uint16_t id)
{
    return b->bytes + (size_t)id * b->size;
}

/* Bytes that a stream may hold. */
static inline size_t ouro__buffers_share(const struct ouro__buffers *b)
{
    return (size_t)b->share * b->size;
}

#endif
