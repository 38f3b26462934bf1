/* SPDX-License-Identifier: MIT */
#ifndef OURO_SEND_INT_H
#define OURO_SEND_INT_H

/*
 * What goes out, for the files that add to it.
 *
 * Writes stand in a list, in the order of the calls. Bytes that are put have no record: each write
 * remembers how many were put before it, which are sent before it. One operation is in flight at a
 * time and takes from the front; what it took is told off in the same order.
 */

#include "stream_int.h"

#include <sys/socket.h>

/* A gathered send has so many pieces at most, as a slab holds. */
#define OURO__GATHER 16

/* More than this in one entry exceeds the buffers of a socket, and is slower. */
#define OURO__SEND_MAX ((size_t)256 * 1024)

struct ouro__gather {
    struct msghdr msg;
    struct iovec parts[OURO__GATHER];
};

/* What is collected. */
struct ouro__pieces {
    struct iovec *parts;
    unsigned count;
    unsigned max;
    size_t room; /* bytes */
};

enum ouro__zero_copy {
    OURO__ZERO_COPY_UNKNOWN, /* where the peer is */
    OURO__ZERO_COPY_OFF,
    OURO__ZERO_COPY_ON,
    OURO__ZERO_COPY_FORCED, /* for tests: wherever the peer is, and whatever the kernel says */
};

struct ouro__write {
    ouro_future f;
    struct ouro__link link;    /* in `writes`, then perhaps in `lent` */
    ouro_stream *s;            /* NULL: closed, and the future waits for the kernel alone */
    const struct iovec *parts; /* what is left of it begins here, */
    size_t count;
    size_t skip;         /* after so many bytes of the first */
    struct iovec one;    /* of one that has one part */
    uint64_t put_before; /* bytes ever put, when it was called */
    uint64_t left;       /* to be sent of `parts` */
    uint64_t sent;
    int64_t result; /* of one in `lent` */
    bool flying;    /* what is in flight, is of it or for it */
    bool lent;      /* a notification of the kernel is to come */
    bool ended;     /* and is all that it waits for */

    /* There is more to send than what is left of `parts`: begin to fetch it. NULL: there is not.
     * 0; 1: it is there, or has turned out not to be; -ENOMEM, or an error of the stream's. */
    int (*fetch)(struct ouro__write *w);

    void (*drop)(struct ouro__write *w); /* before it settles; or NULL */
};

static inline struct ouro__write *ouro__write_at(const struct ouro__link *link)
{
    return OURO__CONTAINER(link, struct ouro__write, link);
}

/* The usual case: the one write there is, of one piece, when nothing else is to be sent. NULL: there
 * is none, more than one, or more to it. */
static inline struct ouro__write *ouro__only_write(const ouro_stream *s)
{
    const struct ouro__link *all = &s->out.writes;
    struct ouro__write *w = ouro__write_at(all->next);
    if (all->next == all || w->link.next != all || s->out.put != s->out.put_sent)
        return NULL;
    return w->count == 1 && w->left > 0 && !w->fetch ? w : NULL;
}

/* What is left of it, as far as it goes into one send. */
static inline struct iovec ouro__only_piece(const struct ouro__write *w)
{
    size_t size = w->left < OURO__SEND_MAX ? (size_t)w->left : OURO__SEND_MAX;
    return (struct iovec){(char *)w->parts->iov_base + w->skip, size};
}

/* gather.c: collect pieces from the front of the line, and mark the writes that are in; take the
 * marks away. */
void ouro__collect(struct ouro__outgoing *out, struct ouro__pieces *p);
void ouro__unmark(struct ouro__outgoing *out);

/* Fill in the stream's operation: send what is at the front, which is something. What it gathers
 * for that stays until this drops it. */
void ouro__prepare_send(ouro_stream *s);
void ouro__gather_drop(ouro_stream *s);

/* 0, or why nothing can be written: as ouro__stream_check(); -EPIPE, or what broke it. */
int ouro__outgoing_check(const ouro_stream *s);

/* A failed future; any code. */
ouro_future *ouro__outgoing_refuse(int rc);

/* Put @w, of @kind and initialised by this but for its pieces, in line, and send what can be sent.
 * Returns its future. */
void ouro__write_init(struct ouro__write *w, ouro_stream *s);
ouro_future *ouro__write_begin(struct ouro__write *w);

/* What a kind of write does when it is cancelled. */
ouro_future *ouro__write_cancel(ouro_future *f);

/* Out of the list: it came to @n. Waits for the kernel's notification, if one is owed. */
void ouro__write_end(struct ouro__write *w, int64_t n);

/* It fails alone if that was before its first byte. Else all behind it will, too. */
void ouro__write_fail(struct ouro__write *w, int rc);

/* It has ended, and the kernel is done with its memory. */
void ouro__write_settle(struct ouro__write *w);

/* Send what is there to be sent, unless something is in flight. */
void ouro__outgoing_go_on(ouro_stream *s);

/* The same for what is new: perhaps the kernel takes it at once. */
void ouro__outgoing_begin(ouro_stream *s);

/* What was in flight has come to @res: bytes sent, or an error. Ends with the stream's end, if that
 * has to wait for nothing else. */
void ouro__outgoing_landed(ouro_stream *s, int32_t res);

/* What is no socket, and sendfile(2), would raise it; until the stream's end. */
void ouro__block_sigpipe(ouro_stream *s);

/* Fill in the stream's operation: wait until there is room. */
void ouro__prepare_poll_out(ouro_stream *s);

/* @n bytes of @w went out by themselves. */
void ouro__outgoing_count(struct ouro__write *w, uint64_t n);

/* Begin what is in flight from now on. 0 or -ENOMEM. */
int ouro__outgoing_start(ouro_stream *s, struct ouro__op *op);

/* shutdown.c: all that was written is sent, and the direction is to be shut down. */
void ouro__outgoing_finish(ouro_stream *s);

/* put.c: the loop's turn ends. */
void ouro__outgoing_turn_ends(struct ouro__job *job);

/* put.c: bytes were sent, or never will be. */
void ouro__outgoing_drained(ouro_stream *s);
void ouro__copies_drop(struct ouro__copies *c);

/* zero_copy.c: whether @w is to be sent without a copy, alone; and begin that. 0 or -ENOMEM. */
bool ouro__zero_copy_waits(const struct ouro__write *w);
int ouro__zero_copy_start(struct ouro__write *w);

/* Whether writes of @size bytes of @s are to be made of this kind, which can be sent so. */
bool ouro__zero_copy_wanted(ouro_stream *s, size_t size);
struct ouro__write *ouro__zero_copy_new(ouro_stream *s);

#endif
