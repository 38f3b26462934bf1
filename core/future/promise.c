/* SPDX-License-Identifier: MIT */
/*
 * Promises: futures whose result somebody hands in.
 *
 * Promise and future are one object with a reference for each end, so that resolving after the
 * consumer has gone, or waiting after the producer has, is harmless. A cancel asks the producer's
 * hook, if there is one, in a job of its own: never inside ouro_cancel(). A promise freed
 * unresolved breaks with -EPIPE, so that a forgotten one cannot hang anybody.
 */
#include "loop_int.h"

struct ouro_promise {
    ouro_future f;
    struct ouro__job job; /* asks the hook, or reports that the promise broke */
    ouro_cancel_hook *hook;
    void *arg;
    const char *name; /* borrowed, or NULL */
};

static void ask_hook(struct ouro__job *job)
{
    ouro_promise *p = OURO__CONTAINER(job, ouro_promise, job);
    ouro_loop *loop = p->f.loop;
    if (p->f.state == OURO_PENDING && p->hook) {
        struct ouro__locals *before = ouro__callback_enter(loop, (void (*)(void))p->hook, NULL);
        ouro_cancel_answer answer = p->hook(p, p->arg);
        ouro__callback_leave(loop, before);
        if (answer == OURO_ABORTED && p->f.state == OURO_PENDING)
            ouro__settle(&p->f, OURO_CANCELLED, -ECANCELED);
    } else if (p->f.state == OURO_PENDING) {
        ouro__settle(&p->f, OURO_CANCELLED, -ECANCELED);
    }
    ouro__unref(&p->f);
}

static ouro_future *promise_cancel(ouro_future *f)
{
    ouro_promise *p = OURO__CONTAINER(f, ouro_promise, f);
    if (!p->hook) {
        ouro__settle(f, OURO_CANCELLED, -ECANCELED);
        return NULL;
    }
    ouro__ref(f);
    p->job.run = ask_hook;
    ouro__ready(f->loop, &p->job);
    return NULL;
}

static void promise_describe(const ouro_future *f, char *text, size_t size)
{
    const char *name = OURO__CONTAINER(f, const ouro_promise, f)->name;
    snprintf(text, size, "%s", name ? name : "promise");
}

static const struct ouro__kind promise_kind = {
    .name = "promise",
    .size = sizeof(ouro_promise),
    .cancel = promise_cancel,
    .describe = promise_describe,
};

int ouro_promise_new(ouro_promise **ret_promise, ouro_future **ret_future)
{
    ouro_loop *loop;
    int rc = ret_promise && ret_future ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    ouro_promise *p = ouro__future_new(loop, &promise_kind);
    if (!p)
        return -ENOMEM;
    p->hook = NULL;
    p->name = NULL;
    p->job.link.next = NULL;
    *ret_future = &p->f;
    ouro__ref(&p->f);
    *ret_promise = p;
    return 0;
}

/* 0 when @p can be resolved. */
static int unresolved(const ouro_promise *p)
{
    int rc = p ? ouro__future_check(&p->f) : -EINVAL;
    if (rc < 0)
        return rc;
    if (p->f.state == OURO_PENDING)
        return 0;
    return p->f.state == OURO_CANCELLED ? -ECANCELED : -EALREADY;
}

int ouro_promise_resolve(ouro_promise *p, ouro_result value, ouro_free_fn *ptr_free)
{
    int rc = unresolved(p);
    if (rc < 0)
        return rc;
    if (value.n < 0)
        return -EINVAL;
    p->f.result.ptr = value.ptr;
    p->f.ptr_free = ptr_free;
    ouro__settle(&p->f, OURO_VALUE, value.n);
    return 0;
}

static int fail(ouro_promise *p, int64_t error, char *detail)
{
    int rc = error < 0 ? unresolved(p) : -EINVAL;
    if (rc < 0) {
        ouro__release(detail);
        return rc;
    }
    if (detail) {
        p->f.result.ptr = detail;
        p->f.ptr_free = ouro__release;
    }
    bool cancelled = error == -ECANCELED && (p->f.flags & OURO__CANCEL_ASKED);
    ouro__settle(&p->f, cancelled ? OURO_CANCELLED : OURO_ERROR, error);
    return 0;
}

int ouro_promise_fail(ouro_promise *p, int64_t error)
{
    return fail(p, error, NULL);
}

int ouro_promise_fail_with(ouro_promise *p, int64_t error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *detail = ouro__format(format, args);
    va_end(args);
    return fail(p, error, detail);
}

int ouro_promise_set_name(ouro_promise *p, const char *name)
{
    int rc = p ? ouro__future_check(&p->f) : -EINVAL;
    if (rc == 0)
        p->name = name;
    return rc;
}

int ouro_promise_on_cancel(ouro_promise *p, ouro_cancel_hook *hook, void *arg)
{
    int rc = p ? ouro__future_check(&p->f) : -EINVAL;
    if (rc < 0)
        return rc;
    p->hook = hook;
    p->arg = arg;
    return 0;
}

static void report_broken(struct ouro__job *job)
{
    ouro_promise *p = OURO__CONTAINER(job, ouro_promise, job);
    ouro__report_future(&p->f, OURO_REPORT_BROKEN_PROMISE, -EPIPE,
                        "its promise was freed before it was resolved");
    ouro__unref(&p->f);
}

static void break_promise(ouro_promise *p)
{
    if (p->f.flags & OURO__CANCEL_ASKED) {
        ouro__settle(&p->f, OURO_CANCELLED, -ECANCELED);
        return;
    }
    ouro__ref(&p->f);
    p->job.run = report_broken;
    ouro__ready(p->f.loop, &p->job);
    ouro__settle(&p->f, OURO_ERROR, -EPIPE);
}

void ouro_promise_free(ouro_promise *p)
{
    if (!p)
        return;
    if (p->f.state == OURO_PENDING && ouro__future_check(&p->f) == 0) {
        p->hook = NULL;
        break_promise(p);
    }
    ouro_unref(&p->f);
}
