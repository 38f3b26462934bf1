/* SPDX-License-Identifier: MIT */
/*
 * The driver of tests: it executes nothing and completes what it is told to.
 *
 * Invariants: an entry is in exactly one place: the submission queue, the pending list, or
 * answered. Completions are taken in the order in which they were made, or in an order drawn from a
 * seed. Time stands still while anything can be done without it.
 *
 * Happy path: the loop fills entries; submit() moves them to pending, answering NOPs and cancels as
 * it goes; the test completes the others; reap() hands the answers out.
 *
 * How it fails: a mistake of the test (completing what is not there), one of the loop (two
 * operations under one name, a sleep that cannot end, use after close) prints a line and aborts.
 */
#include "fake_driver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_START UINT64_C(1000000000) /* what the clock reads at first; anything but 0 */
#define FAKE_BYTE  'k'                  /* what every read brings */

/* A macro, so that the compiler sees the format and knows that it does not return. */
#define stop(...)                       \
    do {                                \
        fputs("fake driver: ", stderr); \
        fprintf(stderr, __VA_ARGS__);   \
        fputc('\n', stderr);            \
        abort();                        \
    } while (0)

uint64_t fake_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ---- Arrays --------------------------------------------------------------------------------- */

static void *array_at(const struct fake_array *a, size_t i, size_t size)
{
    return (char *)a->items + i * size;
}

static void *array_add(struct fake_array *a, size_t size)
{
    if (a->count == a->room) {
        a->room = a->room ? a->room * 2 : 64;
        a->items = realloc(a->items, a->room * size);
        if (!a->items)
            stop("no memory");
    }
    return array_at(a, a->count++, size);
}

static void array_remove(struct fake_array *a, size_t i, size_t size)
{
    a->count--;
    memmove(array_at(a, i, size), array_at(a, i + 1, size), (a->count - i) * size);
}

/* ---- Completions ----------------------------------------------------------------------------- */

static struct fake *of(struct ouro__driver *d)
{
    struct fake *f = (struct fake *)(void *)d;
    if (f->is_freed)
        stop("used after free");
    return f;
}

void fake_inject(struct fake *f, uint64_t user_data, int32_t res, uint32_t flags)
{
    struct ouro__completion *c = array_add(&f->cq, sizeof *c);
    *c = (struct ouro__completion){.user_data = user_data, .res = res, .flags = flags};
}

static size_t cq_count(const struct fake *f)
{
    return f->cq.count - f->cq_head;
}

/* The index of a pending entry, or the count of them when there is none of that name. */
static size_t find(const struct fake *f, uint64_t user_data)
{
    size_t i = 0;
    while (i < f->pending.count && fake_pending(f, i)->user_data != user_data)
        i++;
    return i;
}

static void write_buffer(const struct io_uring_sqe *sqe, int32_t res)
{
    bool brings = sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_RECV;
    if (brings && res > 0 && sqe->addr && !(sqe->flags & IOSQE_BUFFER_SELECT))
        memset((void *)(uintptr_t)sqe->addr, FAKE_BYTE, (size_t)res);
}

/* An answer goes out unless the entry asked not to hear of success. */
static void answer(struct fake *f, const struct io_uring_sqe *sqe, int32_t res, uint32_t flags)
{
    if (res >= 0 && (sqe->flags & IOSQE_CQE_SKIP_SUCCESS))
        return;
    write_buffer(sqe, res);
    fake_inject(f, sqe->user_data, res, flags);
}

static void complete_at(struct fake *f, size_t i, int32_t res, uint32_t flags)
{
    struct io_uring_sqe sqe = *fake_pending(f, i);
    if (!(flags & IORING_CQE_F_MORE))
        array_remove(&f->pending, i, sizeof sqe);
    answer(f, &sqe, res, flags);
}

void fake_complete(struct fake *f, uint64_t user_data, int32_t res, uint32_t flags)
{
    size_t i = find(f, user_data);
    if (i == f->pending.count)
        stop("nothing pending has user_data %#llx", (unsigned long long)user_data);
    complete_at(f, i, res, flags);
}

void fake_finish(struct fake *f, uint8_t opcode, int32_t res, uint32_t flags)
{
    for (size_t i = 0; i < f->pending.count; i++)
        if (fake_pending(f, i)->opcode == opcode) {
            complete_at(f, i, res, flags);
            return;
        }
    stop("no entry of opcode %u is pending", opcode);
}

void fake_complete_in(struct fake *f, uint64_t delay, uint64_t user_data, int32_t res)
{
    struct fake_event *e = array_add(&f->events, sizeof *e);
    *e = (struct fake_event){.when = f->clock + delay, .cqe = {.user_data = user_data, .res = res}};
}

/* ---- What is there to see -------------------------------------------------------------------- */

size_t fake_pending_count(const struct fake *f)
{
    return f->pending.count;
}

const struct io_uring_sqe *fake_pending(const struct fake *f, size_t i)
{
    if (i >= f->pending.count)
        stop("entry %zu of %zu pending", i, f->pending.count);
    return array_at(&f->pending, i, sizeof(struct io_uring_sqe));
}

const struct io_uring_sqe *fake_find(const struct fake *f, uint8_t opcode)
{
    for (size_t i = 0; i < f->pending.count; i++)
        if (fake_pending(f, i)->opcode == opcode)
            return fake_pending(f, i);
    return NULL;
}

size_t fake_count(const struct fake *f, uint8_t opcode)
{
    size_t n = 0;
    for (size_t i = 0; i < f->pending.count; i++)
        n += fake_pending(f, i)->opcode == opcode;
    return n;
}

size_t fake_log_count(const struct fake *f)
{
    return f->log.count;
}

const struct fake_record *fake_log(const struct fake *f, size_t i)
{
    if (i >= f->log.count)
        stop("record %zu of %zu", i, f->log.count);
    return array_at(&f->log, i, sizeof(struct fake_record));
}

size_t fake_logged(const struct fake *f, uint8_t opcode)
{
    size_t n = 0;
    for (size_t i = 0; i < f->log.count; i++)
        n += fake_log(f, i)->sqe.opcode == opcode;
    return n;
}

/* ---- Executing entries ----------------------------------------------------------------------- */

static bool is_target(const struct io_uring_sqe *cancel, const struct io_uring_sqe *sqe)
{
    if (sqe->opcode == IORING_OP_ASYNC_CANCEL)
        return false;
    return (cancel->cancel_flags & IORING_ASYNC_CANCEL_ANY) || sqe->user_data == cancel->addr;
}

static void cancel_target(struct fake *f, const struct io_uring_sqe *cancel, size_t i)
{
    switch (f->on_cancel) {
    case FAKE_CANCEL_OBEY:
        answer(f, cancel, 0, 0);
        complete_at(f, i, -ECANCELED, 0);
        break;
    case FAKE_CANCEL_TARGET_FIRST:
        complete_at(f, i, -ECANCELED, 0);
        answer(f, cancel, 0, 0);
        break;
    case FAKE_CANCEL_DATA_FIRST:
        complete_at(f, i, f->late_res, 0);
        answer(f, cancel, -ENOENT, 0);
        break;
    case FAKE_CANCEL_BUSY:
        answer(f, cancel, -EALREADY, 0);
        break;
    case FAKE_CANCEL_HOLD:
        memcpy(array_add(&f->pending, sizeof *cancel), cancel, sizeof *cancel);
        break;
    }
}

static void execute_cancel(struct fake *f, const struct io_uring_sqe *cancel)
{
    for (size_t i = 0; i < f->pending.count; i++)
        if (is_target(cancel, fake_pending(f, i))) {
            cancel_target(f, cancel, i);
            return;
        }
    answer(f, cancel, -ENOENT, 0);
}

static void keep_pending(struct fake *f, const struct io_uring_sqe *sqe)
{
    if (find(f, sqe->user_data) != f->pending.count)
        stop("two operations in flight have user_data %#llx", (unsigned long long)sqe->user_data);
    memcpy(array_add(&f->pending, sizeof *sqe), sqe, sizeof *sqe);
}

static void execute(struct fake *f, const struct io_uring_sqe *sqe)
{
    if (sqe->user_data & OURO__DRIVER_DATA)
        stop("user_data %#llx has the driver's bit", (unsigned long long)sqe->user_data);
    if (f->keep_log) {
        struct fake_record *r = array_add(&f->log, sizeof *r);
        *r = (struct fake_record){.sqe = *sqe, .batch = f->submits};
    }
    f->driver.stats.submitted++;
    if (sqe->opcode == IORING_OP_ASYNC_CANCEL) {
        if (!f->script || !f->script(f, sqe, f->script_arg))
            execute_cancel(f, sqe);
        return;
    }
    if (sqe->opcode == IORING_OP_NOP) {
        answer(f, sqe, 0, 0);
        return;
    }
    keep_pending(f, sqe);
    if (f->script)
        f->script(f, sqe, f->script_arg);
}

/* Completions whose time has come, in order of time; what is no longer pending is forgotten. */
static void deliver_due(struct fake *f)
{
    for (;;) {
        size_t best = f->events.count;
        uint64_t when = f->clock;
        for (size_t i = 0; i < f->events.count; i++) {
            const struct fake_event *e = array_at(&f->events, i, sizeof *e);
            if (e->when <= when && (best == f->events.count || e->when < when)) {
                best = i;
                when = e->when;
            }
        }
        if (best == f->events.count)
            return;
        struct fake_event e = *(struct fake_event *)array_at(&f->events, best, sizeof e);
        array_remove(&f->events, best, sizeof e);
        size_t i = find(f, e.cqe.user_data);
        if (i != f->pending.count)
            complete_at(f, i, e.cqe.res, e.cqe.flags);
    }
}

static uint64_t next_event(const struct fake *f)
{
    uint64_t next = OURO__NEVER;
    for (size_t i = 0; i < f->events.count; i++) {
        const struct fake_event *e = array_at(&f->events, i, sizeof *e);
        if (e->when < next)
            next = e->when;
    }
    return next;
}

void fake_advance(struct fake *f, uint64_t ns)
{
    f->clock += ns;
    deliver_due(f);
}

/* ---- The driver's operations ----------------------------------------------------------------- */

static struct io_uring_sqe *op_get_sqe(struct ouro__driver *d)
{
    struct fake *f = of(d);
    if (f->sq_used == f->sq_size)
        return NULL;
    struct io_uring_sqe *sqe = &f->sq[f->sq_used++];
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

static unsigned op_sq_space(struct ouro__driver *d)
{
    struct fake *f = of(d);
    return f->sq_size - f->sq_used;
}

/* Sleep: jump to the deadline or to the next timed completion, whichever comes first. */
static void sleep_until(struct fake *f, uint64_t deadline)
{
    while (cq_count(f) == 0 && f->clock < deadline) {
        uint64_t next = next_event(f);
        if (next > deadline)
            next = deadline;
        if (next == OURO__NEVER)
            stop("deadlock: the loop sleeps, and nothing scripted will wake it (%zu pending)",
                 f->pending.count);
        f->clock = next > f->clock ? next : f->clock;
        deliver_due(f);
    }
}

static int op_submit(struct ouro__driver *d, uint64_t deadline)
{
    struct fake *f = of(d);
    if (f->is_closed)
        stop("submit after close");
    f->driver.stats.enters++;
    if (f->fatal)
        return f->fatal;
    if (f->busy) {
        f->busy--;
        return f->busy_error;
    }
    f->submits++;
    /* A script may not submit, so the queue does not grow underneath. */
    for (unsigned i = 0; i < f->sq_used; i++)
        execute(f, &f->sq[i]);
    f->sq_used = 0;
    deliver_due(f);
    bool woken = atomic_exchange(&f->woken, 0);
    if (woken || cq_count(f) > 0 || deadline <= f->clock)
        return 0;
    f->waits++;
    sleep_until(f, deadline);
    return 0;
}

static unsigned op_reap(struct ouro__driver *d, struct ouro__completion *out, unsigned max)
{
    struct fake *f = of(d);
    unsigned n = 0;
    while (n < max && cq_count(f) > 0) {
        struct ouro__completion *head = array_at(&f->cq, f->cq_head, sizeof *head);
        if (f->shuffle) {
            struct ouro__completion *pick = head + fake_random(&f->shuffle) % cq_count(f);
            struct ouro__completion c = *pick;
            *pick = *head;
            *head = c;
        }
        out[n++] = *head;
        f->cq_head++;
    }
    if (cq_count(f) == 0)
        f->cq_head = f->cq.count = 0;
    return n;
}

static int op_ready(struct ouro__driver *d)
{
    return cq_count(of(d)) > 0;
}

static uint64_t op_now(struct ouro__driver *d)
{
    return of(d)->clock;
}

static void op_wake(struct ouro__driver *d)
{
    atomic_store(&of(d)->woken, 1);
}

static int op_fd(struct ouro__driver *d)
{
    (void)d;
    return -EOPNOTSUPP;
}

static void op_close_fd(struct ouro__driver *d, int fd)
{
    struct fake *f = of(d);
    if (fd < 0 || fd >= FAKE_FD_MAX)
        stop("close of descriptor %d", fd);
    f->closed[fd]++;
}

static void op_close(struct ouro__driver *d)
{
    struct fake *f = of(d);
    if (f->is_closed)
        stop("closed twice");
    f->is_closed = true;
}

static void op_close_in_child(struct ouro__driver *d)
{
    of(d)->is_closed_in_child = true;
}

static void op_free(struct ouro__driver *d)
{
    struct fake *f = of(d);
    if (!f->is_closed && !f->is_closed_in_child)
        stop("freed before it was closed");
    f->is_freed = true;
}

/* No ring, nothing to lend to. */
static int op_enroll(struct ouro__driver *d, unsigned opcode, const void *arg, unsigned count)
{
    (void)d;
    (void)opcode;
    (void)arg;
    (void)count;
    return -ENOSYS;
}

static const struct ouro__driver_ops fake_ops = {
    .get_sqe = op_get_sqe,
    .sq_space = op_sq_space,
    .submit = op_submit,
    .reap = op_reap,
    .ready = op_ready,
    .now = op_now,
    .wake = op_wake,
    .fd = op_fd,
    .enroll = op_enroll,
    .close_fd = op_close_fd,
    .close = op_close,
    .close_in_child = op_close_in_child,
    .free = op_free,
};

struct fake *fake_new(unsigned sq_size)
{
    struct fake *f = calloc(1, sizeof *f);
    if (f)
        f->sq = calloc(sq_size, sizeof *f->sq);
    if (!f || !f->sq)
        stop("no memory");
    f->driver.ops = &fake_ops;
    f->sq_size = sq_size;
    f->clock = FAKE_START;
    f->busy_error = -EBUSY;
    f->keep_log = true;
    atomic_init(&f->woken, 0);
    return f;
}

void fake_destroy(struct fake *f)
{
    if (!f)
        return;
    free(f->sq);
    free(f->pending.items);
    free(f->events.items);
    free(f->log.items);
    free(f->cq.items);
    free(f);
}
