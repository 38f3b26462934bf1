/* SPDX-License-Identifier: MIT */
#ifndef OURO_FAKE_DRIVER_H
#define OURO_FAKE_DRIVER_H

/*
 * A driver that is no machine at all: a test decides what completes, when, and with what.
 *
 * What the loop submits becomes pending, in order, and stays so until the test completes it. NOP
 * completes by itself, and a cancel finds its target in one of the ways the kernel has. The clock
 * moves only when the loop would sleep, straight to what ends the sleep; a sleep that nothing can
 * end stops the program with a message.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver.h"

struct fake;

/* How an IORING_OP_ASYNC_CANCEL that finds its target ends; one that finds none says -ENOENT. */
enum fake_cancel {
    FAKE_CANCEL_OBEY = 0,     /* the cancel's 0, then the target's -ECANCELED: io_uring's order */
    FAKE_CANCEL_TARGET_FIRST, /* the same two the other way round */
    FAKE_CANCEL_DATA_FIRST,   /* the target completes with late_res; the cancel comes too late */
    FAKE_CANCEL_BUSY,         /* -EALREADY: the target goes on until the test completes it */
    FAKE_CANCEL_HOLD          /* no answer: cancel and target both wait for the test */
};

/* Sees every entry as it is submitted. Not 0: it has been dealt with, do nothing more. */
typedef int fake_script_fn(struct fake *f, const struct io_uring_sqe *sqe, void *arg);

/* An entry that was submitted, and in which submit(). */
struct fake_record {
    struct io_uring_sqe sqe;
    uint64_t batch;
};

/* A completion that will come when the clock reads @when. */
struct fake_event {
    uint64_t when;
    struct ouro__completion cqe;
};

/* A growing array of one kind of thing. */
struct fake_array {
    void *items;
    size_t count;
    size_t room;
};

#define FAKE_FD_MAX 1024

struct fake {
    struct ouro__driver driver; /* first: the loop's pointer is ours */

    /* Knobs, to be turned at any time. */
    enum fake_cancel on_cancel;
    int32_t late_res;       /* of a target that was faster than its cancel */
    unsigned busy;          /* so many submits fail with busy_error, leaving the queue as it is */
    int busy_error;         /* -EBUSY or -EAGAIN */
    int fatal;              /* not 0: what every submit returns */
    uint64_t shuffle;       /* not 0: the state of a generator that picks the next completion */
    bool keep_log;          /* record every entry; on at first */
    fake_script_fn *script; /* or NULL */
    void *script_arg;

    /* To look at. */
    uint64_t clock;
    uint64_t submits;
    uint64_t waits;               /* submits that had to sleep */
    unsigned closed[FAKE_FD_MAX]; /* close_fd calls by descriptor */
    bool is_closed;
    bool is_closed_in_child;
    bool is_freed;

    /* Inside. */
    atomic_int woken;
    struct io_uring_sqe *sq;
    unsigned sq_size;
    unsigned sq_used;
    struct fake_array pending; /* of struct io_uring_sqe, in order of submission */
    struct fake_array events;  /* of struct fake_event, in no order */
    struct fake_array log;     /* of struct fake_record */
    struct fake_array cq;      /* of struct ouro__completion; those before cq_head are taken */
    size_t cq_head;
};

/* A driver with room for @sq_size entries. It is the loop's until the loop frees it, which only
 * marks it; the memory is the test's until fake_destroy(). */
struct fake *fake_new(unsigned sq_size);
void fake_destroy(struct fake *f);

/* Move the clock. */
void fake_advance(struct fake *f, uint64_t ns);

/* What waits for a completion. fake_find() gives the oldest of @opcode, or NULL. The pointers are
 * good until the next call that submits or completes. */
size_t fake_pending_count(const struct fake *f);
const struct io_uring_sqe *fake_pending(const struct fake *f, size_t i);
const struct io_uring_sqe *fake_find(const struct fake *f, uint8_t opcode);
size_t fake_count(const struct fake *f, uint8_t opcode);

/* Complete a pending entry, now or when the clock gets there. With IORING_CQE_F_MORE in @flags it
 * stays pending. Bytes that a read is said to have brought are written into its buffer at this
 * moment, as the kernel would. A timed completion of what has gone meanwhile is forgotten. */
void fake_complete(struct fake *f, uint64_t user_data, int32_t res, uint32_t flags);
void fake_complete_in(struct fake *f, uint64_t delay, uint64_t user_data, int32_t res);

/* The same for the oldest entry of an opcode, which must be there. */
void fake_finish(struct fake *f, uint8_t opcode, int32_t res, uint32_t flags);

/* A completion that belongs to nothing pending. */
void fake_inject(struct fake *f, uint64_t user_data, int32_t res, uint32_t flags);

/* What was submitted so far, in order. */
size_t fake_log_count(const struct fake *f);
const struct fake_record *fake_log(const struct fake *f, size_t i);
size_t fake_logged(const struct fake *f, uint8_t opcode);

/* A small generator, for tests that want one too. Never 0 from a state that is not 0. */
uint64_t fake_random(uint64_t *state);

#endif
