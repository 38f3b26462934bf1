/* SPDX-License-Identifier: MIT */
#ifndef OURO_DATAGRAM_INT_H
#define OURO_DATAGRAM_INT_H

/*
 * A socket of messages: a descriptor, an inbox, calls in the hands of the kernel, and its end.
 *
 * The record stays until the last of its operations has completed, and only then is the descriptor
 * closed, so that no operation can hit another file of the same number.
 */

#include "buffer_ring.h"
#include "waiter.h"

#include <ouro/datagram.h>

enum ouro__datagram_state {
    OURO__DATAGRAM_OPEN,
    OURO__DATAGRAM_CLOSING, /* nothing new; what is in the kernel comes back */
    OURO__DATAGRAM_CLOSED,
};

/* What the one call that receives wants. */
struct ouro__want {
    ouro_message *messages; /* NULL: no matter, with buf */
    size_t max;
    void *buf; /* with copy */
    size_t size;
    bool copy; /* one message into buf; else messages are lent */
};

/* What comes in: inbox.c. Buffers that hold messages are used in the order in which they came; the
 * first `lent` of them are with the user. */
struct ouro__inbox {
    struct ouro__op op; /* the receive that is armed, if it is live */
    struct msghdr msg;  /* which it fills, or takes its measures from */
    struct iovec part;
    struct ouro__job job; /* serves a call that takes many, when all that is there has come in */
    struct ouro__buffer_ring ring; /* where the kernel chooses the buffer; else there is just */
    void *block;                   /* memory */
    unsigned char *memory;
    uint16_t *order;     /* numbers of the buffers that hold messages, from `head` on; NULL: there
                            are no buffers yet */
    size_t size;         /* bytes of a buffer: a header, a name, control messages, the message */
    size_t name_room;    /* of that */
    size_t control_room; /* and of that */
    unsigned count;      /* buffers, a power of two */
    unsigned head;
    unsigned held; /* that hold messages */
    unsigned lent;
    size_t segment;     /* not 0: the first buffer that is not lent holds several messages, of so
                           many bytes each, */
    ouro_message front; /* this is all of them, */
    size_t used;        /* and so many bytes were handed out */
    bool multishot;
    bool ended;             /* the peer has closed */
    int error;              /* to be told to the next call; 0: none */
    struct ouro__line line; /* the call that waits */
    struct ouro__want want; /* what it wants */
};

struct ouro_datagram {
    ouro_loop *loop;      /* a reference */
    struct ouro__tie tie; /* while the loop is open */
    uint32_t refs;        /* the user's handle, and one until it is closed */
    int fd;               /* -1: closed */
    int family;
    int type;      /* SOCK_DGRAM or SOCK_SEQPACKET */
    uint8_t state; /* enum ouro__datagram_state */
    bool listens;
    ouro_datagram_options opts; /* defaults filled in */
    struct ouro__link calls;    /* operations that futures wait for */
    struct ouro__burst *spare;  /* memory for sending many, or NULL */
    struct ouro__inbox in;
    ouro_datagram_stats stats;
    struct ouro__line closing; /* who waits for the close */
};

/* An operation on a socket that a future waits for. */
struct ouro__call {
    ouro_future f;
    struct ouro__link link; /* in the socket's `calls` */
    ouro_datagram *d;
};

/* 0, or why @d cannot be used: -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN, -EBADF; for messages also
 * -EBADF for a listener. */
int ouro__datagram_check(const ouro_datagram *d);
int ouro__datagram_check_messages(const ouro_datagram *d);

/* Options with their defaults filled in. 0 or -EINVAL. */
int ouro__datagram_options(const ouro_datagram_options *opts, ouro_datagram_options *ret_opts);

/* A new handle of @fd, which it takes over on success. 0 or -ENOMEM, ... */
int ouro__datagram_make(ouro_loop *loop, int fd, int family, int type,
                        const ouro_datagram_options *opts, ouro_datagram **ret);

/* A socket with options set. A descriptor or a negative errno. */
int ouro__datagram_socket(int family, int type, const ouro_datagram_options *opts);

/* The destructor of handles in results. */
void ouro__datagram_drop(void *d);

/* ---- Calls ----------------------------------------------------------------------------------- */

enum { OURO__CALL_CLOSED = OURO__KIND_1 }; /* its socket is closed: -EBADF if it is cancelled */

/* The beginning of a future of @kind, which begins with a struct ouro__call and whose cancel()
 * stops its operations; NULL: no memory. */
void *ouro__call_new(ouro_datagram *d, const struct ouro__kind *kind);

/* Undo it, for one that nobody has seen. */
void ouro__call_discard(struct ouro__call *c);

/* It has ended: with what, after what was asked of it. Settles, and closes a socket that waited for
 * that. */
void ouro__call_end(struct ouro__call *c, int64_t n);

/* ---- What comes in --------------------------------------------------------------------------- */

/* The pending receive ends with @rc, and what is in the kernel is cancelled. Allocates nothing. */
void ouro__inbox_stop(ouro_datagram *d, int rc);

/* Nothing of it is in the kernel. */
bool ouro__inbox_is_quiet(const ouro_datagram *d);

/* Quiet, and stopped: give back descriptors, buffers, memory. */
void ouro__inbox_drop(ouro_datagram *d, bool quietly);

/* An operation of @d has completed: if it is closing and that was the last, close it. */
void ouro__datagram_op_ended(ouro_datagram *d);

#endif
