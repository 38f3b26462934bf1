/* SPDX-License-Identifier: MIT */

/*
 * An echo server on liburing alone, as good as we can write one: a rival of the echo benchmark.
 *
 * Accept and receives are multishot. Buffers that are free lie on a stack, and the kernel's ring of
 * them is topped up from there before each wait, so that the same few are used again and again and
 * stay in the cache. The ring holds so few that a burst runs it dry; a receive that ended for want
 * of buffers waits in a line until there are some again.
 *
 * A connection has one send in flight; what comes in meanwhile goes out with the next. Sends are
 * operations of the ring like all others.
 */

#define _GNU_SOURCE 1

#include <liburing.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server.h"

/* Newer than the oldest liburing that we build with. */
#ifndef IORING_RECVSEND_BUNDLE
#    define IORING_RECVSEND_BUNDLE (1u << 4)
#endif
#define FEATURE_BUNDLE (1u << 14)

#define SUBMISSIONS 1024u
#define COMPLETIONS 8192u
#define BUFFERS     1024u /* in all */
#define BUFFER_SIZE 16384u
#define OFFERED     32u /* to the kernel at a time: a power of two */
#define PIECES      64u /* of one connection, at most */

struct piece {
    uint16_t buffer;
    uint32_t from;
    uint32_t to;
};

struct connection {
    int fd;
    int armed; /* the receive is in the kernel, or waits in the line */
    int sending;
    unsigned first; /* pieces to send, a ring */
    unsigned end;
    struct piece pieces[PIECES];
    struct iovec iov[PIECES];
    struct msghdr message;
    struct connection *next; /* in the line of the receives without buffers */
};

/* In the low bits of an operation's user data; the rest is the connection. */
enum { ACCEPT, RECEIVE, SEND, KIND_MASK = 3 };

static struct io_uring ring;
static unsigned receive_flags = IORING_RECV_MULTISHOT;

static struct {
    struct io_uring_buf_ring *ring;
    char *memory;
    uint16_t free[BUFFERS]; /* a stack */
    unsigned free_count;
    unsigned offered;           /* in the kernel's ring now */
    uint16_t tail;              /* of the kernel's ring */
    uint16_t order[OFFERED];    /* which buffer lies where in it */
    uint16_t position[BUFFERS]; /* and the other way round */
} buffers;

static struct connection *line, **line_end = &line;

/* ---- Buffers --------------------------------------------------------------------------------- */

static char *memory_of(uint16_t buffer)
{
    return buffers.memory + (size_t)buffer * BUFFER_SIZE;
}

static void top_up(void)
{
    int n = 0;
    for (; buffers.offered < OFFERED && buffers.free_count > 0; buffers.offered++) {
        uint16_t buffer = buffers.free[--buffers.free_count];
        uint16_t place = (uint16_t)(buffers.tail + n);
        io_uring_buf_ring_add(buffers.ring, memory_of(buffer), BUFFER_SIZE, buffer,
                              (int)(OFFERED - 1), n++);
        buffers.order[place % OFFERED] = buffer;
        buffers.position[buffer] = place;
    }
    io_uring_buf_ring_advance(buffers.ring, n);
    buffers.tail = (uint16_t)(buffers.tail + n);
}

static void make_buffers(void)
{
    size_t ring_size = OFFERED * sizeof(struct io_uring_buf);
    buffers.memory = mmap(NULL, (size_t)BUFFERS * BUFFER_SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    buffers.ring = mmap(NULL, ring_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                        0);
    if (buffers.memory == MAP_FAILED || buffers.ring == MAP_FAILED)
        server_fail("mmap");
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)buffers.ring, .ring_entries = OFFERED};
    errno = -io_uring_register_buf_ring(&ring, &reg, 0);
    if (errno)
        server_fail("io_uring_register_buf_ring");
    io_uring_buf_ring_init(buffers.ring);
    for (uint16_t i = BUFFERS; i-- > 0;)
        buffers.free[buffers.free_count++] = i;
    top_up();
}

/* ---- Operations ------------------------------------------------------------------------------ */

static struct io_uring_sqe *operation(struct connection *c, unsigned kind)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    if (!sqe)
        server_fail("submission queue");
    sqe->user_data = (uintptr_t)c | kind;
    return sqe;
}

static void start_accept(void)
{
    struct io_uring_sqe *sqe = operation(NULL, ACCEPT);
    uint64_t tag = sqe->user_data;
    io_uring_prep_multishot_accept(sqe, SERVER_LISTENER, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = tag;
}

static void start_receive(struct connection *c)
{
    struct io_uring_sqe *sqe = operation(c, RECEIVE);
    uint64_t tag = sqe->user_data;
    io_uring_prep_recv(sqe, c->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->ioprio |= (uint16_t)receive_flags;
    sqe->user_data = tag;
    c->armed = 1;
}

static unsigned gather(struct connection *c)
{
    unsigned n = 0;
    for (unsigned i = c->first; i != c->end; i++) {
        const struct piece *p = &c->pieces[i % PIECES];
        c->iov[n++] = (struct iovec){memory_of(p->buffer) + p->from, p->to - p->from};
    }
    return n;
}

static void start_send(struct connection *c)
{
    int flags = MSG_NOSIGNAL | MSG_WAITALL;
    unsigned n = gather(c);
    struct io_uring_sqe *sqe = operation(c, SEND);
    uint64_t tag = sqe->user_data;
    if (n == 1) {
        io_uring_prep_send(sqe, c->fd, c->iov[0].iov_base, c->iov[0].iov_len, flags);
    } else {
        c->message = (struct msghdr){.msg_iov = c->iov, .msg_iovlen = n};
        io_uring_prep_sendmsg(sqe, c->fd, &c->message, (unsigned)flags);
    }
    sqe->user_data = tag;
    c->sending = 1;
}

/* ---- A connection ---------------------------------------------------------------------------- */

/* @n bytes of what was to be sent are gone. */
static void drop(struct connection *c, size_t n)
{
    while (n > 0 && c->first != c->end) {
        struct piece *p = &c->pieces[c->first % PIECES];
        size_t length = p->to - p->from;
        if (n < length) {
            p->from += (uint32_t)n;
            return;
        }
        n -= length;
        buffers.free[buffers.free_count++] = p->buffer;
        c->first++;
    }
}

static void end_if_idle(struct connection *c)
{
    if (c->armed || c->sending)
        return;
    drop(c, SIZE_MAX);
    close(c->fd);
    free(c);
}

static void wait_for_buffers(struct connection *c)
{
    c->next = NULL;
    *line_end = c;
    line_end = &c->next;
    c->armed = 1;
}

static void serve_line(void)
{
    for (unsigned n = buffers.offered; line && n > 0; n--) {
        struct connection *c = line;
        line = c->next;
        if (!line)
            line_end = &line;
        start_receive(c);
    }
}

static void on_bytes(struct connection *c, uint16_t buffer, unsigned n)
{
    uint16_t place = buffers.position[buffer];
    for (; n > 0; place++) {
        unsigned length = n < BUFFER_SIZE ? n : BUFFER_SIZE;
        if (c->end - c->first == PIECES)
            server_fail("more under way than the benchmark sends");
        c->pieces[c->end++ % PIECES] = (struct piece){buffers.order[place % OFFERED], 0, length};
        buffers.offered--;
        n -= length;
    }
    if (!c->sending)
        start_send(c);
}

static void on_receive(struct connection *c, const struct io_uring_cqe *cqe)
{
    c->armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (cqe->res > 0)
        on_bytes(c, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT), (unsigned)cqe->res);
    if (cqe->res == -ENOBUFS)
        wait_for_buffers(c);
    else if (cqe->res > 0 && !c->armed)
        start_receive(c);
    else if (cqe->res <= 0)
        end_if_idle(c);
}

static void on_send(struct connection *c, int res)
{
    c->sending = 0;
    drop(c, res < 0 ? SIZE_MAX : (size_t)res);
    if (c->first != c->end)
        start_send(c);
    else
        end_if_idle(c);
}

static void on_accept(const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            server_fail("calloc");
        c->fd = cqe->res;
        start_receive(c);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        start_accept();
}

static void on_completion(const struct io_uring_cqe *cqe)
{
    struct connection *c = (struct connection *)(uintptr_t)(cqe->user_data & ~(uint64_t)KIND_MASK);
    if ((cqe->user_data & KIND_MASK) == ACCEPT)
        on_accept(cqe);
    else if ((cqe->user_data & KIND_MASK) == RECEIVE)
        on_receive(c, cqe);
    else
        on_send(c, cqe->res);
}

int main(void)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                                              IORING_SETUP_CQSIZE,
                                     .cq_entries = COMPLETIONS};
    errno = -io_uring_queue_init_params(SUBMISSIONS, &ring, &params);
    if (errno)
        server_fail("io_uring_queue_init_params");
    if (params.features & FEATURE_BUNDLE)
        receive_flags |= IORING_RECVSEND_BUNDLE;
    io_uring_register_ring_fd(&ring);
    make_buffers();
    start_accept();
    for (;;) {
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;
        io_uring_submit_and_wait(&ring, 1);
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            on_completion(cqe);
            n++;
        }
        io_uring_cq_advance(&ring, n);
        top_up();
        serve_line();
    }
}
