/* SPDX-License-Identifier: MIT */
/*
 * What all futures have in common: references, settling, observers, cancelling.
 *
 * Happy path: made pending with two references, watched by jobs, settled once, read or taken, and
 * freed with the last reference. Settling only moves the waiting jobs to the ready list; freeing
 * only puts what needs user code (an object to destroy, an error to report) on the list of the
 * dead, which the loop visits each turn. So both are safe wherever they happen, and neither can
 * fail.
 *
 * Errors that arise before there is a future are static futures, one for each code: they need no
 * memory, so that a function that returns futures always can.
 */
#include "future_int.h"

#include "loop_int.h"

#include <stdarg.h>

/* ---- Errors that need no memory -------------------------------------------------------------- */

static const struct ouro__kind failed_kind = {.name = "failed"};

#define FAILED(code)                                                                   \
    {                                                                                  \
        .kind = &failed_kind, .refs = 1, .state = OURO_ERROR, .flags = OURO__IMMORTAL, \
        .result = {.n = -(code)},                                                      \
    }

/* -EINVAL comes first: it also stands for a code that is missing here. */
/* clang-format off */
static ouro_future failures[] = {
    FAILED(EINVAL),
    FAILED(EAGAIN),
    FAILED(EALREADY),
    FAILED(EBADF),
    FAILED(EBUSY),
    FAILED(ECHILD),
    FAILED(EDEADLK),
    FAILED(ENOMEM),
    FAILED(EOPNOTSUPP),
    FAILED(EOWNERDEAD),
    FAILED(EPERM),
    FAILED(EPIPE),
    FAILED(ESHUTDOWN),
    FAILED(EXDEV),
};
/* clang-format on */

ouro_future *ouro__failed(int rc)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
        if (failures[i].result.n == rc)
            return &failures[i];
    assert(rc == -EINVAL); /* else a code is missing above */
    return failures;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void ouro__future_init(ouro_future *f, ouro_loop *loop, const struct ouro__kind *kind)
{
    ouro__future_init_here(f, loop, kind);
}

void *ouro__future_new(ouro_loop *loop, const struct ouro__kind *kind)
{
    return ouro__future_new_here(loop, kind);
}

static inline void future_free(ouro_future *f)
{
    ouro_loop *loop = f->loop;
    if (f->origin)
        ouro__origin_free(f->origin);
    ouro__list_remove(&f->all);
    ouro__slab_free(&loop->slab, f, f->kind->size);
    loop->futures_live--;
    ouro__loop_handle_gone(loop);
}

void ouro__future_discard(ouro_future *f)
{
    f->loop->pending--;
    future_free(f);
}

static void close_fd(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)giver;
    loop->ops.live_fds--;
    loop->driver->ops->close_fd(loop->driver, (int)result.n);
}

static void forget_fd(struct ouro__giver *giver, ouro_loop *loop)
{
    (void)giver;
    loop->ops.live_fds--;
}

static const struct ouro__giver_kind fd_kind = {.back = close_fd, .taken = forget_fd};

struct ouro__giver ouro__fds = {.kind = &fd_kind};

static bool unread_error(const ouro_future *f)
{
    return f->state == OURO_ERROR && !(f->flags & OURO__READ);
}

static bool owns_object(const ouro_future *f)
{
    return f->ptr_free && !(f->flags & OURO__TAKEN);
}

/* What there is to say about an error. What a doomed future has is the object it would have come
 * to. */
static const char *words_of(const ouro_future *f)
{
    return f->state == OURO_ERROR && !f->doomed ? f->result.ptr : NULL;
}

/* What needs user code, for a future with no references. */
static void bury(ouro_future *f)
{
    const char *words = words_of(f);
    if (unread_error(f))
        ouro__report_future(f, OURO_REPORT_UNREAD_ERROR, f->result.n,
                            words ? words : "failed, and nobody asked for its result");
    if (owns_object(f)) {
        if (f->flags & OURO__GRANT)
            f->giver->kind->back(f->giver, f->loop, f->result);
        else if (f->result.ptr)
            f->ptr_free(f->result.ptr);
    }
    future_free(f);
}

void ouro__future_release(ouro_future *f)
{
    assert(f->state != OURO_PENDING);
    ouro_loop *loop = f->loop;
    if (!unread_error(f) && !owns_object(f)) {
        future_free(f);
        return;
    }
    if (loop->phase == OURO__CLOSED) {
        bury(f); /* the loop is closed: there is no later */
        return;
    }
    ouro__list_remove(&f->all);
    ouro__list_push(&loop->dead, &f->all);
}

void ouro__loop_bury(ouro_loop *loop)
{
    struct ouro__link dead;
    ouro__list_init(&dead);
    ouro__list_splice(&dead, &loop->dead);
    while (!ouro__list_empty(&dead))
        bury(OURO__CONTAINER(dead.next, ouro_future, all));
}

/* Whether the calling thread may touch the count of @f. */
static bool may_release(ouro_future *f)
{
    if (ouro__loop_forked(f->loop))
        return false;
    if (ouro__loop_is_here(f->loop))
        return true;
    ouro__report_wrong_thread(f->kind->name);
    return false;
}

ouro_future *ouro_ref(ouro_future *f)
{
    if (f && ((f->flags & OURO__IMMORTAL) || may_release(f)))
        ouro__ref(f);
    return f;
}

ouro_future *ouro_unref(ouro_future *f)
{
    if (f && ((f->flags & OURO__IMMORTAL) || may_release(f)))
        ouro__unref(f);
    return NULL;
}

void ouro_detach(ouro_future *f)
{
    ouro_loop *loop;
    if (f && (f->flags & OURO__IMMORTAL) && ouro__loop_here(&loop) == 0)
        ouro__report(loop, &(ouro_report){.kind = OURO_REPORT_UNREAD_ERROR,
                                          .error = f->result.n,
                                          .what = "future",
                                          .message = "could not be made, and nobody asked why"});
    ouro_unref(f);
}

/* ---- Settling and reading -------------------------------------------------------------------- */

/* The object of a doomed future is destroyed with it; what it was granted goes back now, before n
 * is overwritten. */
static void give_back(ouro_future *f, int64_t n)
{
    f->flags &= (uint16_t)~OURO__GRANT;
    f->giver->kind->back(f->giver, f->loop, (ouro_result){n, f->result.ptr});
    f->giver = NULL;
    f->result.ptr = NULL;
}

void ouro__settle(ouro_future *f, ouro_state state, int64_t n)
{
    assert(f->state == OURO_PENDING);
    assert(state != OURO_PENDING);
    ouro_loop *loop = f->loop;
    if (f->doomed) {
        if (f->flags & OURO__GRANT)
            give_back(f, n);
        state = OURO_ERROR;
        n = f->doomed;
    }
    f->state = (uint8_t)state;
    f->result.n = n;
    loop->pending--;
    ouro__list_splice(&loop->ready, &f->waiters);
    assert(f->refs > 0 && !(f->flags & OURO__IMMORTAL));
    if (--f->refs == 0)
        ouro__future_release(f);
}

void ouro__settle_grant(ouro_future *f, ouro_result result, struct ouro__giver *giver)
{
    f->flags |= OURO__GRANT;
    f->giver = giver;
    f->result.ptr = result.ptr;
    ouro__settle(f, OURO_VALUE, result.n);
}

ouro_result ouro__take(ouro_future *f)
{
    assert(f->state != OURO_PENDING);
    if (f->flags & OURO__IMMORTAL)
        return f->result;
    f->flags |= OURO__READ;
    if (f->state != OURO_VALUE || !owns_object(f))
        return (ouro_result){f->result.n, f->state == OURO_VALUE ? f->result.ptr : NULL};
    f->flags |= OURO__TAKEN;
    if ((f->flags & OURO__GRANT) && f->giver->kind->taken)
        f->giver->kind->taken(f->giver, f->loop);
    return f->result;
}

/* What @inner owns is @f's from now on: an object, a grant, or the words of an error. The object of
 * a doomed one goes with it. */
static void move_object(ouro_future *f, ouro_future *inner)
{
    if (inner->doomed)
        return;
    f->ptr_free = inner->ptr_free;
    f->result.ptr = inner->result.ptr;
    f->flags |= inner->flags & OURO__GRANT;
    if (!inner->ptr_free)
        return;
    if (inner->state == OURO_VALUE) {
        inner->flags |= OURO__TAKEN;
    } else {
        inner->ptr_free = NULL;
        inner->result.ptr = NULL;
    }
}

void ouro__settle_as(ouro_future *f, ouro_future *inner)
{
    assert(inner->state != OURO_PENDING);
    if (inner->state == OURO_CANCELLED) {
        bool asked = f->flags & OURO__CANCEL_ASKED;
        ouro__settle(f, asked ? OURO_CANCELLED : OURO_ERROR,
                     asked ? -ECANCELED : -OURO_ECHILDCANCELLED);
        return;
    }
    if (!(inner->flags & OURO__TAKEN))
        move_object(f, inner);
    if (!(inner->flags & OURO__IMMORTAL))
        inner->flags |= OURO__READ;
    ouro__settle(f, (ouro_state)inner->state, inner->result.n);
}

ouro_state ouro_future_state(const ouro_future *f)
{
    return f ? (ouro_state)f->state : OURO_ERROR;
}

static int64_t readable(const ouro_future *f)
{
    int rc = ouro__future_check(f);
    if (rc < 0)
        return rc;
    if (f->state == OURO_PENDING)
        return -EAGAIN;
    return f->flags & OURO__TAKEN ? -EALREADY : 0;
}

ouro_result ouro_future_result(ouro_future *f)
{
    int64_t rc = readable(f);
    if (rc < 0)
        return (ouro_result){rc, NULL};
    if (!(f->flags & OURO__IMMORTAL))
        f->flags |= OURO__READ;
    return (ouro_result){f->result.n, f->state == OURO_VALUE ? f->result.ptr : NULL};
}

ouro_result ouro_future_take(ouro_future *f)
{
    int64_t rc = readable(f);
    if (rc < 0)
        return (ouro_result){rc, NULL};
    ouro_result result = ouro__take(f);
    if (f->state == OURO_VALUE && !(f->flags & OURO__IMMORTAL))
        f->flags |= OURO__TAKEN;
    return result;
}

const char *ouro_future_detail(const ouro_future *f)
{
    return ouro__future_check(f) < 0 ? NULL : words_of(f);
}

void ouro__watch(ouro_future *f, struct ouro__job *job)
{
    if (f->state == OURO_PENDING)
        ouro__list_push(&f->waiters, &job->link);
    else
        ouro__ready(ouro__this_loop, job);
}

static const struct ouro__kind ready_kind = {.name = "ready", .size = sizeof(ouro_future)};

char *ouro__format(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args) + 1;
    char *text = size > 0 ? ouro__alloc((size_t)size) : NULL;
    if (text)
        vsnprintf(text, (size_t)size, format, again);
    va_end(again);
    return text;
}

static ouro_future *failed(ouro_loop *loop, int64_t error, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

static ouro_future *failed(ouro_loop *loop, int64_t error, const char *format, va_list args)
{
    ouro_future *f = ouro__future_new(loop, &ready_kind);
    if (!f)
        return ouro__failed(-ENOMEM);
    f->result.ptr = ouro__format(format, args);
    f->ptr_free = f->result.ptr ? ouro__release : NULL;
    ouro__settle(f, OURO_ERROR, error);
    return f;
}

ouro_future *ouro__failed_with(ouro_loop *loop, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ouro_future *f = failed(loop, rc, format, args);
    va_end(args);
    return f;
}

ouro_future *ouro_failed(int64_t error, const char *format, ...)
{
    ouro_loop *loop;
    int rc = error < 0 ? ouro__loop_here(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    va_list args;
    va_start(args, format);
    ouro_future *f = failed(loop, error, format, args);
    va_end(args);
    return f;
}

ouro_future *ouro_ready(int64_t n)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return ouro__failed(rc);
    ouro_future *f = ouro__future_new(loop, &ready_kind);
    if (!f)
        return ouro__failed(-ENOMEM);
    ouro__settle_n(f, n);
    return f;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

void ouro__cancel_chain(ouro_future *f)
{
    while (f && f->state == OURO_PENDING && !(f->flags & OURO__CANCEL_ASKED)) {
        f->flags |= OURO__CANCEL_ASKED;
        f = f->kind->cancel(f);
    }
}

/* Chains are followed in a loop and forks queue up, so that the depth of what waits for what costs
 * no stack: the caller may be a task with little of it. */
void ouro__cancel_from(ouro_loop *loop, ouro_future *f)
{
    ouro__cancel_chain(f);
    struct ouro__link *link;
    while ((link = ouro__list_pop(&loop->cancelling))) {
        struct ouro__job *fork = OURO__CONTAINER(link, struct ouro__job, link);
        fork->run(fork);
    }
}

void ouro__cancel(ouro_future *f)
{
    if (!(f->flags & OURO__IMMORTAL))
        ouro__cancel_from(f->loop, f);
}

int ouro_cancel(ouro_future *f)
{
    int rc = ouro__future_check(f);
    if (rc < 0)
        return rc;
    if (f->state != OURO_PENDING || (f->flags & OURO__CANCEL_ASKED))
        return 0;
    ouro__cancel(f);
    return 1;
}

ouro_future *ouro__doom(ouro_future *f, int rc)
{
    if (f->state == OURO_PENDING) {
        assert(rc >= INT8_MIN);
        f->doomed = (int8_t)rc;
        ouro__cancel(f);
        return f;
    }
    ouro__unref(f);
    return ouro__failed(rc);
}

/* ---- Observers ------------------------------------------------------------------------------- */

struct observer {
    struct ouro__job job;
    ouro_future *f; /* a reference */
    ouro_done_fn *fn;
    void *arg;
    struct ouro__locals *locals;
};

static void observer_free(ouro_loop *loop, struct observer *o)
{
    ouro__unref(o->f);
    ouro__slab_free(&loop->slab, o, sizeof(*o));
}

static void observer_run(struct ouro__job *job)
{
    struct observer *o = OURO__CONTAINER(job, struct observer, job);
    ouro_loop *loop = ouro__this_loop;
    struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))o->fn, o->locals);
    o->fn(o->f, o->arg);
    ouro__callback_leave(loop, before);
    observer_free(loop, o);
}

int ouro_on_done(ouro_future *f, ouro_done_fn *fn, void *arg)
{
    int rc = fn ? ouro__future_check(f) : -EINVAL;
    if (rc < 0)
        return rc;
    ouro_loop *loop;
    rc = ouro__loop_here(&loop);
    if (rc < 0)
        return rc;
    struct observer *o = ouro__slab_alloc(&loop->slab, sizeof(*o));
    if (!o)
        return -ENOMEM;
    *o = (struct observer){
        .job = {.run = observer_run},
        .f = ouro__ref(f),
        .fn = fn,
        .arg = arg,
        .locals = ouro__locals_ref(ouro__locals_current(loop)),
    };
    ouro__watch(f, &o->job);
    return 0;
}

/* Whether @job is that of somebody who would let a cancel end his wait, and not pass it on. */
static bool looks_on(const struct ouro__job *job)
{
    return job->run == observer_run || ouro__task_joins(job) || ouro__gather_let_go(job) ||
           ouro__wait_looks_on(job) || ouro__completions_look_on(job) || ouro__errand_waits(job);
}

bool ouro__future_is_awaited(const ouro_future *f)
{
    OURO__LIST_FOR (link, &f->waiters)
        if (!looks_on(OURO__CONTAINER(link, struct ouro__job, link)))
            return true;
    return false;
}

static struct observer *find_observer(struct ouro__link *list, const ouro_future *f,
                                      ouro_done_fn *fn, const void *arg)
{
    OURO__LIST_FOR (link, list) {
        struct ouro__job *job = OURO__CONTAINER(link, struct ouro__job, link);
        struct observer *o = OURO__CONTAINER(job, struct observer, job);
        if (job->run == observer_run && o->f == f && o->fn == fn && o->arg == arg)
            return o;
    }
    return NULL;
}

int ouro_off_done(ouro_future *f, ouro_done_fn *fn, void *arg)
{
    int rc = ouro__future_check(f);
    if (rc < 0)
        return rc;
    ouro_loop *loop = ouro__this_loop;
    if (!loop)
        return 0;
    struct observer *o = f->state == OURO_PENDING ? find_observer(&f->waiters, f, fn, arg) : NULL;
    if (!o)
        o = find_observer(&loop->batch, f, fn, arg);
    if (!o)
        o = find_observer(&loop->ready, f, fn, arg);
    if (!o)
        return 0;
    ouro__list_remove(&o->job.link);
    ouro__locals_unref(loop, o->locals);
    observer_free(loop, o);
    return 1;
}
