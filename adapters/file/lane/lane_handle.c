/* SPDX-License-Identifier: MIT */
/*
 * The end of what jobs of the disk lane open.
 *
 * Happy path: close marks the handle, has the kind fail or cancel what waits, and when the last
 * operation has let go, a job shuts it; then all who wait for that are told. free does the same and
 * drops the user's reference, so that the rest happens behind its back.
 *
 * How it fails: not at all. Where there can be no job, for want of memory or of a loop, closing
 * blocks. An operation that outlives its loop keeps what it uses open, and destroying it closes
 * that.
 */
#include "lane_handle.h"

#include "disk.h"

#include <ouro/task.h>

void ouro__handle_init(struct ouro__handle *handle, ouro_loop *loop,
                       const struct ouro__handle_kind *kind)
{
    *handle = (struct ouro__handle){
        .kind = kind,
        .loop = ouro_loop_ref(loop),
        .refs = 1,
    };
}

void ouro__handle_unref(void *arg)
{
    struct ouro__handle *handle = arg;
    if (atomic_fetch_sub(&handle->refs, 1) > 1)
        return;
    ouro_loop *loop = handle->loop;
    handle->kind->destroy(handle);
    ouro_loop_unref(loop);
}

/* ---- Shutting -------------------------------------------------------------------------------- */

static void end_shutting(struct ouro__handle *handle, int64_t result)
{
    handle->shut = true;
    handle->result = (int)result;
    ouro__serve_all(&handle->closers, result);
}

static void shut_here(struct ouro__handle *handle)
{
    end_shutting(handle, handle->kind->shut(handle));
}

/* If the loop was shut down before the job's turn came, there is something left to do. */
static void shut_job_ended(struct ouro__job *job)
{
    struct ouro__handle *handle = OURO__CONTAINER(job, struct ouro__handle, shut_job);
    int64_t result = ouro_future_result(handle->shutting).n;
    ouro__unref(handle->shutting);
    handle->shutting = NULL;
    if (handle->kind->has_open(handle))
        shut_here(handle);
    else
        end_shutting(handle, result);
    ouro__handle_unref(handle);
}

static ouro_future *begin_shut_job(struct ouro__handle *handle)
{
    if (handle->loop->phase >= OURO__CLOSING)
        return NULL;
    ouro__handle_ref(handle);
    ouro_future *f = ouro__on_disk(handle->kind->shut, handle, ouro__handle_unref, "close");
    return f->flags & OURO__IMMORTAL ? NULL : f;
}

/* Nothing is under way any more. */
static void shut(struct ouro__handle *handle)
{
    if (!handle->kind->has_open(handle)) {
        end_shutting(handle, 0);
        return;
    }
    handle->shutting = begin_shut_job(handle);
    if (!handle->shutting) {
        shut_here(handle);
        return;
    }
    ouro__handle_ref(handle);
    handle->shut_job.run = shut_job_ended;
    ouro__watch(handle->shutting, &handle->shut_job);
}

void ouro__handle_let_go(void *arg)
{
    struct ouro__handle *handle = arg;
    bool last = atomic_fetch_sub(&handle->holds, 1) == 1;
    if (last && ouro__loop_is_here(handle->loop) && atomic_load(&handle->closed))
        shut(handle);
    ouro__handle_unref(handle);
}

/* ---- Opening and closing --------------------------------------------------------------------- */

/* Nobody took it, or nobody is left to: then this may be a thread of the lane. */
static void drop(void *handle)
{
    if (ouro__loop_is_here(((struct ouro__handle *)handle)->loop))
        ouro__handle_free(handle);
    else
        ouro__handle_unref(handle);
}

int64_t ouro__handle_opened(struct ouro__handle *handle)
{
    ouro__handle_ref(handle);
    return ouro_task_return(handle, drop);
}

int ouro__handle_check(const struct ouro__handle *handle)
{
    int rc = handle ? ouro__loop_check(handle->loop) : -EINVAL;
    if (rc == 0 && handle->loop->phase >= OURO__SHUT)
        rc = -ESHUTDOWN;
    return rc == 0 && atomic_load(&handle->closed) ? -EBADF : rc;
}

static void begin_to_close(struct ouro__handle *handle)
{
    if (atomic_exchange(&handle->closed, true))
        return;
    if (handle->kind->closing)
        handle->kind->closing(handle);
    if (atomic_load(&handle->holds) == 0)
        shut(handle);
}

ouro_future *ouro__handle_close(struct ouro__handle *handle)
{
    static const struct ouro__wait_kind close_kind = {.name = "close"};
    int rc = ouro__handle_check(handle);
    if (rc < 0 && rc != -EBADF)
        return ouro__failed(rc);
    begin_to_close(handle);
    if (handle->shut)
        return ouro_ready(handle->result);
    struct ouro__waiter w = {.kind = &close_kind, .of = handle};
    return ouro__wait_future(handle->loop, &handle->closers, &w, NULL);
}

void ouro__handle_free(struct ouro__handle *handle)
{
    if (!handle || ouro__loop_forked(handle->loop))
        return;
    if (!ouro__loop_is_here(handle->loop)) {
        ouro__report_wrong_thread(handle->kind->name);
        return;
    }
    begin_to_close(handle);
    ouro__handle_unref(handle);
}
