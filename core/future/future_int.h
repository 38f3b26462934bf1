/* SPDX-License-Identifier: MIT */
#ifndef OURO_FUTURE_INT_H
#define OURO_FUTURE_INT_H

/*
 * What every kind of future shares.
 *
 * A pending future holds one reference on itself, which settling drops: work under way needs nobody
 * to hold on to it. Whoever waits has a job in `waiters`; settling moves those jobs to the loop's
 * ready list, and that is all it does, so it can be called from anywhere.
 */

#include "list.h"

#include <ouro/future.h>
#include <ouro/loop.h>

#include <stdarg.h>

struct ouro__origin;

/* What distinguishes a sleep from a task. */
struct ouro__kind {
    const char *name;
    size_t size;

    /* Stop, as far as that is possible: settle now, or see to it that it settles later, or pass the
     * request on. Called once, on a pending future. Returns the future to cancel next, or NULL.
     * Runs no user code, and may not call ouro__cancel(). */
    ouro_future *(*cancel)(ouro_future *f);

    bool combines; /* waits for other futures, and for nothing else */

    /* What it is, for ouro_tasks_print(). NULL: its name says all there is. */
    void (*describe)(const ouro_future *f, char *text, size_t size);

    /* The @i-th of the futures that a pending @f waits for; NULL or settled: no longer. False
     * beyond the last. NULL: it waits for none. */
    bool (*part)(const ouro_future *f, size_t i, ouro_future **ret_part);
};

enum {
    OURO__CANCEL_ASKED = 1 << 0, /* ouro_cancel() reached it */
    OURO__READ = 1 << 1,         /* somebody saw the result */
    OURO__TAKEN = 1 << 2,        /* and took it away */
    OURO__IMMORTAL = 1 << 3,     /* static: not counted, never changed, of no loop */
    OURO__MARK = 1 << 4,         /* for finding a future twice in one array */
    OURO__KIND_1 = 1 << 5,       /* the next three mean what its kind says */
    OURO__KIND_2 = 1 << 6,
    OURO__KIND_3 = 1 << 7,
    OURO__GRANT = 1 << 8,  /* the result is owed back to `giver` unless somebody takes it */
    OURO__MARK_2 = 1 << 9, /* for walks that keep two sets */
};

struct ouro__giver;

/* What distinguishes giving out descriptors from giving out locks. */
struct ouro__giver_kind {
    /* Take @result back. Runs no user code. */
    void (*back)(struct ouro__giver *giver, ouro_loop *loop, ouro_result result);

    /* Somebody took it: it will not come back. NULL: no matter. */
    void (*taken)(struct ouro__giver *giver, ouro_loop *loop);

    bool in_ptr; /* it is the result's ptr, so whoever awaits n alone leaves it */
};

/* Who gave out what is no object but a state of its own: a descriptor, a lock, an item of a queue.
 * An await takes it along with the value; a result that nobody takes goes back. */
struct ouro__giver {
    const struct ouro__giver_kind *kind;
};

struct ouro_future {
    const struct ouro__kind *kind;
    ouro_loop *loop;
    uint32_t refs;
    uint8_t state; /* ouro_state */
    int8_t doomed; /* not 0: whatever it comes to is this error */
    uint16_t flags;
    struct ouro__link waiters;
    ouro_result result; /* of an error, ptr is the text of ouro_future_detail() */
    union {
        ouro_free_fn *ptr_free;    /* of result.ptr */
        struct ouro__giver *giver; /* with OURO__GRANT */
    };
    struct ouro__link all; /* in the loop's list of futures, then of dead ones */
    struct ouro__origin *origin;
};

/* Gives out descriptors: n of the result, closed if nobody takes it. */
extern struct ouro__giver ouro__fds;

/* ---- Life ------------------------------------------------------------------------------------ */

/* The future's own fields, pending, with two references: the caller's and its own. */
void ouro__future_init(ouro_future *f, ouro_loop *loop, const struct ouro__kind *kind);

/* Memory of @kind's size from the loop, initialised as above; NULL when there is none. */
void *ouro__future_new(ouro_loop *loop, const struct ouro__kind *kind);

/* Undo ouro__future_new() for a future nobody has seen. */
void ouro__future_discard(ouro_future *f);

/* A future that has failed with @rc; static, so this always works. */
ouro_future *ouro__failed(int rc);

void ouro__future_release(ouro_future *f);

static inline ouro_future *ouro__ref(ouro_future *f)
{
    if (!(f->flags & OURO__IMMORTAL))
        f->refs++;
    return f;
}

static inline void ouro__unref(ouro_future *f)
{
    if (f->flags & OURO__IMMORTAL)
        return;
    assert(f->refs > 0);
    if (--f->refs == 0)
        ouro__future_release(f);
}

/* ---- Settling -------------------------------------------------------------------------------- */

/* Make @f final and wake whoever waits. @f may be gone afterwards unless the caller has a
 * reference. */
void ouro__settle(ouro_future *f, ouro_state state, int64_t n);

/* Settle with n alone: a value, or an error. */
static inline void ouro__settle_n(ouro_future *f, int64_t n)
{
    ouro__settle(f, n < 0 ? OURO_ERROR : OURO_VALUE, n);
}

/* Settle with the value @result, owed back to @giver. */
void ouro__settle_grant(ouro_future *f, ouro_result result, struct ouro__giver *giver);

/* Formatted text in memory of its own; NULL when there is none. */
char *ouro__format(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

/* A settled future: the error @rc and what there is to say beyond it, for ouro_future_detail(). */
ouro_future *ouro__failed_with(ouro_loop *loop, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Settle @f as @inner did, and move its object over. A cancel of @inner that @f was not asked for
 * is the error -OURO_ECHILDCANCELLED. */
void ouro__settle_as(ouro_future *f, ouro_future *inner);

/* Whether somebody waits for a pending @f who would pass a cancel on to it. */
bool ouro__future_is_awaited(const ouro_future *f);

/* Whether @job is that of a gather which has settled and left this child to itself. */
bool ouro__gather_let_go(const struct ouro__job *job);

/* Whether @job is that of an ouro_wait(), or of an iteration: these cancel nothing. */
bool ouro__wait_looks_on(const struct ouro__job *job);
bool ouro__completions_look_on(const struct ouro__job *job);

/* Have @job run in the turn after @f has settled. */
void ouro__watch(ouro_future *f, struct ouro__job *job);

/* Ask a future, and what it passes the request on to, to stop; no effect on one that has
 * settled. */
void ouro__cancel(ouro_future *f);

/* The same for one of several that a future waits for: to be called from a job in the loop's list
 * `cancelling`, where a kind's cancel() puts it when it has more than one to pass the request on
 * to. NULL is none. */
void ouro__cancel_chain(ouro_future *f);

/* The same, and then those jobs. */
void ouro__cancel_from(ouro_loop *loop, ouro_future *f);

/* Read and take without the checks; @f has settled. */
ouro_result ouro__take(ouro_future *f);

/* What was to follow @f cannot be had: cancel @f and have it settle as the error @rc itself, so
 * that whoever awaits the combination still waits for what the kernel may write to. */
ouro_future *ouro__doom(ouro_future *f, int rc);

#endif
