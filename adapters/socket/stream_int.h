/* SPDX-License-Identifier: MIT */
#ifndef OURO_STREAM_INT_H
#define OURO_STREAM_INT_H

/*
 * A stream: a descriptor, what comes in, what goes out, and its end.
 *
 * The two directions know nothing of each other. Each may have operations in the kernel; the record
 * stays until the last of them has completed, and only then is the descriptor closed, so that no
 * operation can hit another file of the same number.
 */

#include "loop_int.h"
#include "waiter.h"

#include <ouro/stream.h>

enum ouro__stream_state {
    OURO__STREAM_OPEN,
    OURO__STREAM_CLOSING, /* nothing new; what is in the kernel comes back */
    OURO__STREAM_CLOSED,
};

/* What comes in: receive.c. */
struct ouro__incoming {
    struct ouro__op op; /* the receive that is armed, if it is live */
    uint64_t bytes;
    uint64_t receives;
};

/* What goes out: send.c. */
struct ouro__outgoing {
    struct ouro__op op; /* the send in flight, if it is live */
    uint64_t bytes;
    uint64_t sends;
};

struct ouro_stream {
    ouro_loop *loop;          /* a reference */
    struct ouro__tie tie;     /* while the loop is open */
    uint32_t refs;            /* the user's handle, and one until it is closed */
    int fd;                   /* -1: closed or taken */
    uint8_t state;            /* enum ouro__stream_state */
    bool is_socket;           /* else it is read and written */
    bool cut;                 /* the loop is closed: there are no operations any more */
    ouro_stream_options opts; /* defaults filled in */
    struct ouro__incoming in;
    struct ouro__outgoing out;
    struct ouro__line closing; /* who waits for the close */
};

/* 0 and what @opts, or NULL, come to with defaults filled in; or -EINVAL. */
int ouro__stream_settle_options(const ouro_stream_options *opts, ouro_stream_options *ret_opts);

/* ouro_stream_new() for a descriptor that is known to be fit, with options that are settled. 0, or
 * -ENOMEM: @fd stays the caller's. */
int ouro__stream_make(ouro_loop *loop, int fd, bool is_socket, const ouro_stream_options *opts,
                      ouro_stream **ret_stream);

/* 0, or why @s cannot be used: -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN, -EBADF. */
int ouro__stream_check(const ouro_stream *s);

/* An operation of @s has completed: if it is closing and that was the last, close it. */
void ouro__stream_op_ended(ouro_stream *s);

/* receive.c: begin, without arming anything. 0 or -ENOMEM. */
int ouro__incoming_init(ouro_stream *s);

/* The pending read ends with @rc, and what is in the kernel is cancelled. Allocates nothing. */
void ouro__incoming_stop(ouro_stream *s, int rc);

/* Nothing of it is in the kernel. */
bool ouro__incoming_is_quiet(const ouro_stream *s);

/* Quiet, and stopped: give back buffers and memory. */
void ouro__incoming_drop(ouro_stream *s);

/* Bytes received and not read, lent ones not included. */
size_t ouro__incoming_unread(const ouro_stream *s);

/* send.c: the same for the other direction. */
int ouro__outgoing_init(ouro_stream *s);
void ouro__outgoing_stop(ouro_stream *s, int rc);
bool ouro__outgoing_is_quiet(const ouro_stream *s);
void ouro__outgoing_drop(ouro_stream *s);
size_t ouro__outgoing_unsent(const ouro_stream *s);

#endif
