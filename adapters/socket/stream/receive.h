/* SPDX-License-Identifier: MIT */
#ifndef OURO_RECEIVE_H
#define OURO_RECEIVE_H

/*
 * Between reads and what they wait for: read.c asks, receive.c gets it.
 */

#include "stream_int.h"

/* What is wanted of the bytes. */
enum ouro__how {
    OURO__READ_SOME,
    OURO__READ_EXACT,
    OURO__READ_UNTIL,
    OURO__READ_LINE,
    OURO__READ_NEXT,
    OURO__READ_PEEK,
};

/* What is asked for, and how far it has got. */
struct ouro__ask {
    unsigned char *buf;
    size_t size;
    size_t done;    /* bytes in @buf that are not in the stream any more */
    size_t scanned; /* bytes in the stream that no delimiter begins in */
    union {
        const unsigned char *delimiter;
        const void **ret_bytes;
    };
    size_t delimiter_size;
    uint8_t how; /* enum ouro__how */
};

struct ouro__reading {
    ouro_future f;
    ouro_stream *stream;
    struct ouro__ask ask;
};

/* read.c: something may have come, or nothing will: settle the read that waits, or have it wait
 * on. */
void ouro__reading_go_on(ouro_stream *s);

/* The read that waits comes to the error @rc. */
void ouro__reading_fail(ouro_stream *s, int rc);

/* receive.c: receive once for @ask, if that need not be waited for. 0, or -ENOMEM. */
int ouro__incoming_receive(ouro_stream *s, struct ouro__ask *ask);

/* The usual case of lending: receive into a buffer that is then lent, when nothing was there
 * before. Returns the bytes; 0: it was not so simple, or none have come. */
size_t ouro__incoming_receive_lent(ouro_stream *s);

/* See to it that the read that waits goes on when there is something. 0, or -ENOMEM. */
int ouro__incoming_wait(ouro_stream *s);

/* Move up to @n bytes out of the queue. Returns how many there were. */
size_t ouro__incoming_take(ouro_stream *s, unsigned char *to, size_t n);

/* Take the first buffer out of the queue, until it is given back. */
uint16_t ouro__incoming_lend(ouro_stream *s);

/* Give back what was lent. */
void ouro__incoming_done(ouro_stream *s);

#endif
