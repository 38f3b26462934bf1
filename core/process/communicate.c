/* SPDX-License-Identifier: MIT */
/*
 * Talking to a child process: all of its input, all of its output, and how it ended.
 *
 * Happy path: a task of the loop's own takes the pipes over and feeds and reads them at the same
 * time, each in a task, so that neither side can be stuck because the other's pipe is full; when
 * all have come to their end it waits for the child.
 *
 * Writing to a pipe that nobody reads raises SIGPIPE, and pipes know no way to ask that it be not:
 * it is blocked in the loop's thread while a child is fed.
 *
 * How it fails: the first error ends the other parts, and so does a cancel. The pipes are closed
 * when the last of them has ended, on every path, by the destructor of the task's argument.
 */
#include "process_int.h"
#include "signals_int.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define FIRST_ROOM ((size_t)4096)

/* What one of the child's pipes brings. */
struct text {
    int fd; /* -1: none */
    char *bytes;
    size_t size;
    size_t room; /* bytes may be so many, and one for the zero */
};

struct talk {
    ouro_process *process; /* a reference */
    int in;                /* -1: none, or closed */
    const char *input;
    size_t left;
    struct text out;
    struct text err;
    ouro_output *output; /* until it is handed out */
};

static void talk_free(void *arg)
{
    struct talk *t = arg;
    ouro__close_fd(&t->in);
    ouro__close_fd(&t->out.fd);
    ouro__close_fd(&t->err.fd);
    ouro__release(t->out.bytes);
    ouro__release(t->err.bytes);
    ouro__release(t->output);
    ouro__process_unref(t->process);
    ouro__release(t);
}

void ouro_output_free(void *output)
{
    ouro_output *o = output;
    if (!o)
        return;
    ouro__release(o->out);
    ouro__release(o->err);
    ouro__release(o);
}

/* ---- The parts ------------------------------------------------------------------------------- */

/* Move up to @size bytes; pipes have no position. */
static int64_t transfer(uint8_t opcode, int fd, const void *bytes, size_t size)
{
    struct io_uring_sqe sqe = {
        .opcode = opcode,
        .fd = fd,
        .off = UINT64_MAX,
        .addr = (uintptr_t)bytes,
        .len = size < INT_MAX ? (uint32_t)size : INT_MAX,
    };
    return ouro_await(ouro_uring_op(&sqe, NULL));
}

static int64_t write_all(struct talk *t)
{
    while (t->left > 0) {
        int64_t n = transfer(IORING_OP_WRITE, t->in, t->input, t->left);
        if (n < 0)
            return n == -EPIPE ? 0 : n; /* it does not want more */
        t->input += n;
        t->left -= (size_t)n;
    }
    return 0;
}

static int64_t feed(void *arg)
{
    struct talk *t = arg;
    ouro__signal_block(SIGPIPE);
    int64_t rc = write_all(t);
    ouro__signal_unblock(SIGPIPE);
    ouro__close_fd(&t->in);
    return rc;
}

static int grow(struct text *text)
{
    size_t room = text->room ? text->room * 2 : FIRST_ROOM;
    char *bytes = room > text->room ? ouro__resize(text->bytes, room + 1) : NULL;
    if (!bytes)
        return -ENOMEM;
    text->bytes = bytes;
    text->room = room;
    return 0;
}

static int64_t read_all(void *arg)
{
    struct text *text = arg;
    int64_t n = 1;
    while (n > 0) {
        if (text->size == text->room && grow(text) < 0)
            return -ENOMEM;
        n = transfer(IORING_OP_READ, text->fd, text->bytes + text->size, text->room - text->size);
        if (n > 0)
            text->size += (size_t)n;
    }
    text->bytes[text->size] = '\0';
    return n;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static int64_t exchange(struct talk *t)
{
    ouro_future *parts[3];
    size_t n = 0;
    if (t->in >= 0)
        parts[n++] = ouro_spawn(feed, t);
    if (t->out.fd >= 0)
        parts[n++] = ouro_spawn(read_all, &t->out);
    if (t->err.fd >= 0)
        parts[n++] = ouro_spawn(read_all, &t->err);
    return ouro_await(ouro_gather(parts, n, OURO_GATHER_ALL, NULL));
}

/* Hand out what was read. */
static int64_t hand_out(struct talk *t, int64_t status)
{
    ouro_output *o = t->output;
    *o = (ouro_output){
        .out = t->out.bytes,
        .out_size = t->out.size,
        .err = t->err.bytes,
        .err_size = t->err.size,
        .status = status,
    };
    t->output = NULL;
    t->out.bytes = NULL;
    t->err.bytes = NULL;
    return ouro_task_return(o, ouro_output_free);
}

static int64_t talk(void *arg)
{
    struct talk *t = arg;
    int64_t rc = exchange(t);
    if (rc < 0)
        return rc;
    int64_t status = ouro_await(ouro_process_wait(t->process));
    return status >= 0 || ouro_signal_of(status) ? hand_out(t, status) : status;
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static struct talk *talk_new(ouro_process *p, const void *input, size_t size)
{
    struct talk *t = ouro__alloc(sizeof(*t));
    ouro_output *output = t ? ouro__alloc(sizeof(*output)) : NULL;
    if (!output) {
        ouro__release(t);
        return NULL;
    }
    *t = (struct talk){
        .process = p,
        .in = ouro_process_take_fd(p, STDIN_FILENO),
        .input = input,
        .left = size,
        .out = {.fd = ouro_process_take_fd(p, STDOUT_FILENO)},
        .err = {.fd = ouro_process_take_fd(p, STDERR_FILENO)},
        .output = output,
    };
    p->refs++;
    p->communicated = true;
    return t;
}

static int check(const ouro_process *p, const void *input, size_t size)
{
    int rc = ouro__process_check(p);
    if (rc < 0)
        return rc;
    if (size > 0 && (!input || !p->piped[STDIN_FILENO]))
        return -EINVAL;
    for (int i = 0; i < 3; i++)
        if (p->piped[i] && p->fds[i] < 0)
            return -EBUSY;
    return p->communicated ? -EBUSY : 0;
}

ouro_future *ouro_process_communicate(ouro_process *p, const void *input, size_t size)
{
    int rc = check(p, input, size);
    if (rc == 0 && p->loop->phase >= OURO__CLOSING)
        rc = -ESHUTDOWN;
    if (rc < 0)
        return ouro__failed(rc);
    struct talk *t = talk_new(p, input, size);
    if (!t) {
        ouro__process_close_fds(p);
        return ouro__failed(-ENOMEM);
    }
    return ouro_spawn_with(talk, t,
                           &(ouro_spawn_options){.name = "communicate", .arg_free = talk_free});
}
