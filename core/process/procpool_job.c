/* SPDX-License-Identifier: MIT */
/*
 * Jobs for processes.
 *
 * Happy path: a job waits in the pool's queue until a worker is idle; one send takes the request
 * and its input there, one receive brings the answer, another the result, and the future settles.
 * Each is an operation of the loop, and the worker's `step` what is done next. This file has the
 * steps last to first.
 *
 * How it fails: the end of the stream where an answer should be, or an answer that makes no sense.
 * Then the zygote is asked to renew the worker, and says how the old one ended. Only then does the
 * future settle: whoever sees it finds the worker back at work. One that is found dead before it is
 * given a job is renewed first.
 *
 * A cancel takes a job out of the queue, or has the zygote ask the worker to stop and later kill
 * it. Receiving goes on meanwhile, so an answer that is on its way still wins. A worker that was
 * asked is renewed in any case: the request may come late, and must not hit its next job.
 *
 * A loop that is shut down cancels the operations themselves. Then the future settles without a
 * renewal, and the next job that is given to the worker waits for that.
 */
#include "procpool_loop.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

/* The length of an operation has 32 bits. */
#define PART_MAX ((size_t)1 << 30)

struct ouro__process_job {
    ouro_future f;
    struct ouro__link link; /* in the pool's queue */
    ouro_procpool *pool;
    struct ouro__worker *worker; /* NULL: in the queue */
    ouro_procpool_fn *fn;
    const void *input;
    size_t size;
};

static void dispatch(ouro_procpool *pool);

static bool asked(const struct ouro__worker *w)
{
    return w->job->f.flags & OURO__CANCEL_ASKED;
}

/* Have the loop execute @sqe, and then @next run. No memory for that is told in the same way. */
static void begin(struct ouro__worker *w, const struct io_uring_sqe *sqe,
                  void (*next)(struct ouro__job *step))
{
    w->op = ouro_uring_op(sqe, NULL);
    w->step.run = next;
    ouro__watch(w->op, &w->step);
}

/* What the operation came to that a step has waited for. */
static int64_t ended(struct ouro__job *step, struct ouro__worker **ret_worker)
{
    struct ouro__worker *w = OURO__CONTAINER(step, struct ouro__worker, step);
    int64_t n = ouro__take(w->op).n;
    ouro__unref(w->op);
    *ret_worker = w;
    return n;
}

/* ---- Settling -------------------------------------------------------------------------------- */

/* The last job lets go of the pool, which another loop may have from then on. */
static void leave(ouro_procpool *pool)
{
    if (--pool->jobs == 0)
        atomic_store(&pool->user, NULL);
}

static void settle(struct ouro__worker *w)
{
    ouro_future *f = &w->job->f;
    if (w->n == -ECANCELED && asked(w)) {
        ouro__settle(f, OURO_CANCELLED, -ECANCELED);
        return;
    }
    if (w->n >= 0) {
        f->result.ptr = w->bytes;
        f->ptr_free = ouro_bytes_free;
        w->bytes = NULL;
    }
    ouro__settle_n(f, w->n);
}

static void finish(struct ouro__worker *w)
{
    ouro_procpool *pool = w->pool;
    settle(w);
    ouro__release(w->bytes);
    w->bytes = NULL;
    w->job = NULL;
    ouro__list_push_front(&pool->idle, &w->link);
    bool more = !ouro__list_empty(&pool->queue);
    leave(pool);
    if (more)
        dispatch(pool);
}

/* ---- Renewing a worker ----------------------------------------------------------------------- */

static void send_request(struct ouro__worker *w);

/* How a worker ended that has not answered. */
static int64_t cause(int status)
{
    return WIFSIGNALED(status) ? -OURO_ESIGNALED(WTERMSIG(status)) : -OURO_EWORKEREXIT;
}

/* The job fails, unless what it came to is known. */
static void fail(struct ouro__worker *w, int64_t n)
{
    if (!w->answered && w->n == 0)
        w->n = n;
}

/* The zygote has answered with @n bytes, none if it is gone, which resets the connection if it had
 * not read its order. */
static void take_renewal(struct ouro__worker *w, int64_t n)
{
    if (n < 0 && n != -ECONNRESET) {
        fail(w, n); /* it still will */
        return;
    }
    w->condemned = false;
    if (n != sizeof(w->renewal)) {
        fail(w, -EPIPE);
        return;
    }
    ouro__worker_renew(w);
    if (w->socket >= 0)
        w->pool->replaced++;
    if (w->stage == OURO__WORKER_OVER)
        fail(w, cause(w->renewal.status));
    else if (w->socket < 0)
        fail(w, w->renewal.error);
}

static void renewed(struct ouro__job *step)
{
    struct ouro__worker *w;
    int64_t n = ended(step, &w);
    if (w->stage == OURO__WORKER_RENEWING && asked(w))
        fail(w, -ECANCELED);
    take_renewal(w, n);
    if (w->stage == OURO__WORKER_RENEWING && w->n == 0)
        send_request(w);
    else
        finish(w);
}

/* Have another process in the place of this one, and go on when it is there. */
static void renew(struct ouro__worker *w)
{
    ouro__worker_hang_up(w);
    if (!w->condemned)
        ouro__worker_condemn(w);
    ouro__worker_expect(w);
    begin(w,
          &(struct io_uring_sqe){
              .opcode = IORING_OP_RECVMSG,
              .fd = w->control,
              .addr = (uintptr_t)&w->msg,
              .len = 1,
              .msg_flags = MSG_CMSG_CLOEXEC,
          },
          renewed);
}

/* The job is no longer the worker's. */
static void over(struct ouro__worker *w)
{
    ouro__timer_cancel(&w->job->f.loop->timers, &w->grace);
    w->stage = OURO__WORKER_OVER;
    if (asked(w))
        fail(w, -ECANCELED);
    if (w->answered && !asked(w))
        finish(w);
    else
        renew(w);
}

/* There will be no answer. Of the end of a stream the zygote knows more. */
static void lose(struct ouro__worker *w, int64_t n)
{
    bool hung_up = n == 0 || n == -EPIPE || n == -ECONNRESET;
    fail(w, hung_up ? 0 : n);
    over(w);
}

/* ---- Talking to a worker --------------------------------------------------------------------- */

/* The worker whose step has moved some bytes; NULL: it is lost. */
static struct ouro__worker *went_on(struct ouro__job *step)
{
    struct ouro__worker *w;
    int64_t n = ended(step, &w);
    if (n <= 0) {
        lose(w, n);
        return NULL;
    }
    w->done += (size_t)n;
    return w;
}

static size_t part(size_t size)
{
    return size < PART_MAX ? size : PART_MAX;
}

static void answered(struct ouro__worker *w, int64_t n)
{
    w->answered = true;
    w->n = n;
    over(w);
}

static void received_result(struct ouro__job *step);

static void receive_result(struct ouro__worker *w)
{
    if (w->done == w->bytes->size) {
        answered(w, w->answer.value);
        return;
    }
    begin(w,
          &(struct io_uring_sqe){
              .opcode = IORING_OP_RECV,
              .fd = w->socket,
              .addr = (uintptr_t)w->bytes->data + w->done,
              .len = (uint32_t)part(w->bytes->size - w->done),
              .msg_flags = MSG_WAITALL,
          },
          received_result);
}

static void received_result(struct ouro__job *step)
{
    struct ouro__worker *w = went_on(step);
    if (!w)
        return;
    receive_result(w);
}

static ouro_bytes *bytes_new(size_t size)
{
    ouro_bytes *bytes = ouro__alloc(sizeof(*bytes) + size + 1);
    if (!bytes)
        return NULL;
    bytes->size = size;
    bytes->data = (unsigned char *)(bytes + 1);
    bytes->data[size] = '\0';
    return bytes;
}

/* Whether a worker in its right mind can have written this. */
static bool makes_sense(const struct ouro__worker *w)
{
    const struct ouro__answer *a = &w->answer;
    return a->magic == OURO__ANSWER_MAGIC && a->size <= w->pool->plan.result_limit &&
           (a->value >= 0 || a->size == 0);
}

static void take_answer(struct ouro__worker *w)
{
    if (!makes_sense(w)) {
        lose(w, -EBADMSG);
        return;
    }
    if (w->answer.value < 0) {
        answered(w, w->answer.value);
        return;
    }
    w->bytes = bytes_new((size_t)w->answer.size);
    if (!w->bytes) {
        lose(w, -ENOMEM);
        return;
    }
    w->done = 0;
    receive_result(w);
}

static void received_answer(struct ouro__job *step);

static void receive_answer(struct ouro__worker *w)
{
    begin(w,
          &(struct io_uring_sqe){
              .opcode = IORING_OP_RECV,
              .fd = w->socket,
              .addr = (uintptr_t)&w->answer + w->done,
              .len = (uint32_t)(sizeof(w->answer) - w->done),
              .msg_flags = MSG_WAITALL,
          },
          received_answer);
}

static void received_answer(struct ouro__job *step)
{
    struct ouro__worker *w = went_on(step);
    if (!w)
        return;
    if (w->done < sizeof(w->answer))
        receive_answer(w);
    else
        take_answer(w);
}

static void sent(struct ouro__job *step)
{
    struct ouro__worker *w = went_on(step);
    if (!w)
        return;
    if (w->done < sizeof(w->request) + w->job->size) {
        send_request(w);
        return;
    }
    w->done = 0;
    receive_answer(w);
}

/* What is left of the request and its input. */
static void send_request(struct ouro__worker *w)
{
    const size_t head = sizeof(w->request);
    size_t at = w->done < head ? w->done : head;
    size_t skip = w->done - at;
    w->stage = OURO__WORKER_BUSY;
    w->iov[0] = (struct iovec){(unsigned char *)&w->request + at, head - at};
    w->iov[1] = (struct iovec){(unsigned char *)w->job->input + skip, part(w->job->size - skip)};
    w->msg = (struct msghdr){.msg_iov = w->iov, .msg_iovlen = 2};
    begin(w,
          &(struct io_uring_sqe){
              .opcode = IORING_OP_SENDMSG,
              .fd = w->socket,
              .addr = (uintptr_t)&w->msg,
              .len = 1,
              .msg_flags = MSG_WAITALL | MSG_NOSIGNAL,
          },
          sent);
}

/* ---- Who does what --------------------------------------------------------------------------- */

/* Between jobs a socket has nothing to say. If it does, that is its end, or nonsense. */
static bool is_well(const struct ouro__worker *w)
{
    struct pollfd p = {.fd = w->socket, .events = POLLIN};
    return w->socket >= 0 && poll(&p, 1, 0) <= 0;
}

/* An idle worker, if possible one that can begin at once; NULL: there is none. */
static struct ouro__worker *choose(ouro_procpool *pool)
{
    OURO__LIST_FOR (l, &pool->idle) {
        struct ouro__worker *w = OURO__CONTAINER(l, struct ouro__worker, link);
        if (is_well(w))
            return w;
    }
    return ouro__list_empty(&pool->idle)
               ? NULL
               : OURO__CONTAINER(pool->idle.next, struct ouro__worker, link);
}

static void out_of_patience(struct ouro__timer *timer)
{
    ouro__worker_condemn(OURO__CONTAINER(timer, struct ouro__worker, grace));
}

static void give(struct ouro__worker *w, struct ouro__process_job *job)
{
    ouro__list_remove(&w->link);
    job->worker = w;
    w->job = job;
    w->request = (struct ouro__request){.fn = job->fn, .size = job->size};
    w->done = 0;
    w->answered = false;
    w->n = 0;
    ouro__timer_init(&w->grace, out_of_patience);
    w->stage = OURO__WORKER_RENEWING;
    if (is_well(w))
        send_request(w);
    else
        renew(w);
}

static void dispatch(ouro_procpool *pool)
{
    while (!ouro__list_empty(&pool->queue)) {
        struct ouro__worker *w = choose(pool);
        if (!w)
            return;
        struct ouro__link *oldest = ouro__list_pop(&pool->queue);
        give(w, OURO__CONTAINER(oldest, struct ouro__process_job, link));
    }
}

/* ---- Submitting ------------------------------------------------------------------------------ */

/* No room for the deadline is no reason to spare the worker. */
static void ask_to_stop(struct ouro__worker *w)
{
    ouro_loop *loop = w->job->f.loop;
    ouro_ns deadline = ouro__ns_add(ouro__loop_now(loop), w->pool->grace);
    ouro__worker_order(w, OURO__ORDER_STOP);
    if (ouro__timer_set(&loop->timers, &w->grace, deadline) < 0)
        ouro__worker_condemn(w);
}

static ouro_future *job_cancel(ouro_future *f)
{
    struct ouro__process_job *job = OURO__CONTAINER(f, struct ouro__process_job, f);
    ouro_procpool *pool = job->pool;
    if (!job->worker) {
        ouro__list_remove(&job->link);
        ouro__settle(f, OURO_CANCELLED, -ECANCELED);
        leave(pool);
    } else if (job->worker->stage == OURO__WORKER_BUSY) {
        ask_to_stop(job->worker);
    }
    return NULL;
}

static void job_describe(const ouro_future *f, char *text, size_t size)
{
    const struct ouro__process_job *job = OURO__CONTAINER(f, const struct ouro__process_job, f);
    const struct ouro__worker *w = job->worker;
    if (!w)
        snprintf(text, size, "process job, queued");
    else if (w->stage == OURO__WORKER_BUSY)
        snprintf(text, size, "process job, pid %d%s", (int)w->renewal.pid,
                 f->flags & OURO__CANCEL_ASKED ? ", asked to stop" : "");
    else
        snprintf(text, size, "process job, worker is being replaced");
}

static const struct ouro__kind job_kind = {
    .name = "process job",
    .size = sizeof(struct ouro__process_job),
    .cancel = job_cancel,
    .describe = job_describe,
};

/* A pool has one loop at a time. Balanced by leave(). */
static int enter(ouro_procpool *pool, ouro_loop *loop)
{
    ouro_loop *nobody = NULL;
    if (pool->owner != getpid())
        return -ECHILD;
    if (atomic_load(&pool->user) != loop &&
        !atomic_compare_exchange_strong(&pool->user, &nobody, loop))
        return -EXDEV;
    pool->jobs++;
    return 0;
}

ouro_future *ouro_procpool_submit(ouro_procpool *pool, ouro_procpool_fn *fn, const void *input,
                                  size_t size)
{
    ouro_loop *loop;
    int rc = pool && fn && (input || size == 0) ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc == 0)
        rc = enter(pool, loop);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__process_job *job = ouro__future_new(loop, &job_kind);
    if (!job) {
        leave(pool);
        return ouro__failed(-ENOMEM);
    }
    job->pool = pool;
    job->worker = NULL;
    job->fn = fn;
    job->input = input;
    job->size = size;
    ouro__list_push(&pool->queue, &job->link);
    dispatch(pool);
    return &job->f;
}
