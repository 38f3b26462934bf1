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

#include "buffers.h"
#include "loop_int.h"
#include "waiter.h"

#include <ouro/stream.h>

enum ouro__stream_state {
    OURO__STREAM_OPEN,
    OURO__STREAM_CLOSING, /* nothing new; what is in the kernel comes back */
    OURO__STREAM_CLOSED,
};

/* What comes in: receive.c. Bytes that are not read yet are in a queue of buffers. While a read
 * waits, a poll or a read of the ring's is under way, or the stream stands in line for a buffer, or
 * the job is to run. */
struct ouro__incoming {
    struct ouro__op op;            /* the poll, or the ring's read, if it is live */
    struct ouro__buffers *buffers; /* a reference; NULL: nothing was read yet */
    struct ouro__reading *reading; /* who waits, or NULL */
    size_t unread;                 /* bytes in the queue */
    uint16_t first;                /* of the queue; OURO__NO_BUFFER: it is empty */
    uint16_t last;
    uint16_t lent;   /* by ouro_stream_next() */
    uint16_t own;    /* that the ring reads into; OURO__NO_BUFFER: it does not */
    uint8_t unheard; /* times the poll has told, and nobody has read */
    bool by_ring;    /* it is no socket or pipe */
    bool readable;   /* as far as we know */
    bool is_unix;
    bool short_is_all; /* a receive that leaves room has left nothing behind: TCP's, */
    bool wary;         /* but for this stream that is not sure any more */
    bool cancelled;    /* the operation, by us */
    bool shut;         /* what comes is dropped */
    bool over;         /* no more will come, because of: */
    int error;         /* 0: it is the end */
    uint64_t bytes;
    uint64_t receives;
    struct ouro__link turn; /* in the line for buffers */
    struct ouro__job job;   /* goes on with the read that waits */
    int64_t got;            /* see ouro_stream_got() */
    uint64_t parked;
    uint64_t paused;
};

struct ouro__gather;

/* Copied bytes, those from @at on still to be sent. */
struct ouro__copies {
    char *bytes;
    size_t room;
    size_t size;
    size_t at;
};

/* What goes out: send.c. */
struct ouro__outgoing {
    struct ouro__op op;          /* a send, or what has to be waited for before the next */
    struct ouro__op *flight;     /* that, or a zero-copy write's own; NULL: none is in flight */
    struct ouro__gather *gather; /* what it refers to, if it is several pieces */
    struct ouro__link writes;    /* not all sent, in the order of the calls */
    uint64_t put;                /* bytes ever put, */
    uint64_t put_sent;           /* and those of them that were sent */
    size_t queued;               /* bytes that writes have still to send */
    size_t at_once;              /* bytes worth a system call of their own; SIZE_MAX: none are */
    int error;                   /* not 0: nothing goes out any more, and later calls fail so */
    bool asked;                  /* what is in flight was asked to stop */
    bool ends;                   /* to be shut down when all is sent */
    bool shut;                   /* that was done */
    bool blocks_sigpipe;
    uint64_t bytes;
    uint64_t sends;
    uint8_t zero_copy; /* enum ouro__zero_copy */
    uint64_t zero_copies;
    struct ouro__link lent;      /* sent without a copy, and the kernel still reads the memory */
    struct ouro__copies sending; /* put and not sent; while a send is in flight they stay here, */
    struct ouro__copies filling; /* and what is put meanwhile comes here */
    uint64_t written;            /* how much went out of the write that broke off */
    struct ouro__job job;        /* at the end of the turn: send what was put */
    struct ouro__line draining;  /* who waits for the low-water mark */
    struct ouro__line shutting;  /* and who for the shutdown */
};

/* What each message touches comes first, here and in both directions: with many connections it is
 * not in the cache any more when the next one comes. */
struct ouro_stream {
    ouro_loop *loop;          /* a reference */
    uint32_t refs;            /* the user's handle, and one until it is closed */
    int fd;                   /* -1: closed or taken */
    uint8_t state;            /* enum ouro__stream_state */
    bool is_socket;           /* else it is read and written */
    bool shared;              /* its modes are others', too */
    struct ouro__link passes; /* of descriptors, under way */
    struct ouro__line taking; /* who waits for the descriptor */
    struct ouro__incoming in;
    ouro_stream_options opts; /* defaults filled in */
    struct ouro__outgoing out;
    struct ouro__tie tie;      /* while the loop is open */
    struct ouro__line closing; /* who waits for the close */
};

/* 0 and what @opts, or NULL, come to with defaults filled in; or -EINVAL. */
int ouro__stream_settle_options(const ouro_stream_options *opts, ouro_stream_options *ret_opts);

/* ouro_stream_new() for a descriptor that is known to be fit, with options that are settled. 0, or
 * -ENOMEM: @fd stays the caller's. */
int ouro__stream_make(ouro_loop *loop, int fd, bool is_socket, const ouro_stream_options *opts,
                      ouro_stream **ret_stream);

/* The descriptor of a stream that nobody has used, which is closed without it; -EBUSY: somebody
 * has. */
int ouro__stream_give_up(ouro_stream *s);

/* 0, or why @s cannot be used: -EINVAL, -EXDEV, -ECHILD, -ESHUTDOWN, -EBADF. */
int ouro__stream_check(const ouro_stream *s);

/* Whether it is plain to see that @s can be used; false: ouro__stream_check() looks closely. */
static inline bool ouro__stream_is_usable(const ouro_stream *s)
{
    return s && s->loop == ouro__this_loop && s->state == OURO__STREAM_OPEN &&
           !ouro__loop_forked(s->loop) && s->loop->phase < OURO__SHUT;
}

/* An operation of @s has completed: if that was the last, go on with what waits for that. */
void ouro__stream_op_ended(ouro_stream *s);

/* ouro_stream_new(), and of a regular file if @files: the standard streams may be such. */
int ouro__stream_new(int fd, const ouro_stream_options *opts, bool files, ouro_stream **ret_stream);

/* Refuse new work, and close when nothing is in the kernel any more. */
void ouro__stream_begin_close(ouro_stream *s);

/* receive.c: begin, without receiving anything. */
void ouro__incoming_init(ouro_stream *s);

/* The pending read ends with @rc, and what is in the kernel is cancelled. Allocates nothing. */
void ouro__incoming_stop(ouro_stream *s, int rc);

/* Nothing of it is in the kernel. */
bool ouro__incoming_is_quiet(const ouro_stream *s);

/* Quiet, and stopped: give back buffers and memory. */
void ouro__incoming_drop(ouro_stream *s);

/* The direction is shut down: what has not been read is dropped, reads return 0. */
void ouro__incoming_shut(ouro_stream *s);

/* Have nothing received any more until the next read, and see to it that nothing is in the kernel.
 * True: nothing is. Else that comes with the last completion. */
bool ouro__incoming_recall(ouro_stream *s);

/* Bytes received and not read, lent ones not included. */
static inline size_t ouro__incoming_unread(const ouro_stream *s)
{
    return s->in.unread;
}

/* send.c: the same for the other direction. */
void ouro__outgoing_init(ouro_stream *s);
void ouro__outgoing_stop(ouro_stream *s, int rc);
bool ouro__outgoing_is_quiet(const ouro_stream *s);
void ouro__outgoing_drop(ouro_stream *s);
size_t ouro__outgoing_unsent(const ouro_stream *s);

/* pass.c: those under way end with -EBADF. */
void ouro__passes_stop(ouro_stream *s);

/* Whether one of them is a receive. */
bool ouro__is_receiving_fds(const ouro_stream *s);

#endif
