/* SPDX-License-Identifier: MIT */
/*
 * Probing: a table of features, those that ouro uses first, and two rings to try them on, thrown
 * away afterwards.
 *
 * How it fails: only in making the rings. A trial that fails is the answer "no", whatever the
 * reason.
 */
#define _GNU_SOURCE 1

#include "probe.h"

#include "uapi.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct ouro__trial {
    struct io_uring here;
    struct io_uring there;
};

/* System calls by number: the C library does not know them yet. */
#define SYS_CACHESTAT 451
#define SYS_STATMOUNT 457

#define PIDFD_TO_GROUP 4u /* PIDFD_SIGNAL_PROCESS_GROUP */

static bool try_msg_ring(struct ouro__trial *t)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&t->here);
    io_uring_prep_msg_ring(sqe, t->there.ring_fd, 0, 1, 0);
    struct __kernel_timespec second = {.tv_sec = 1};
    struct io_uring_cqe *cqe = NULL;
    if (io_uring_submit_and_wait_timeout(&t->here, &cqe, 1, &second, NULL) < 0 || !cqe)
        return false;
    bool sent = cqe->res == 0;
    io_uring_cqe_seen(&t->here, cqe);
    return sent;
}

static bool try_send_msg_ring(struct ouro__trial *t)
{
    return ouro__ring_tell(t->there.ring_fd, 2) == 0;
}

static bool try_abs_timer(struct ouro__trial *t)
{
    struct io_uring_getevents_arg arg = {0};
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | OURO__ENTER_ABS_TIMER;
    return io_uring_enter2((unsigned)t->here.ring_fd, 0, 0, flags, (void *)&arg, sizeof arg) >= 0;
}

/* liburing does not learn of the new size, so this is the ring's last trial. */
static bool try_resize(struct ouro__trial *t)
{
    struct io_uring_params p = {
        .sq_entries = t->there.sq.ring_entries * 2,
        .cq_entries = t->there.cq.ring_entries * 2,
        .flags = IORING_SETUP_CQSIZE,
    };
    return io_uring_register((unsigned)t->there.ring_fd, OURO__REGISTER_RESIZE_RINGS, &p, 1) == 0;
}

static bool try_guard_install(struct ouro__trial *t)
{
    (void)t;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return false;
    bool guarded = madvise(map, page, OURO__MADV_GUARD_INSTALL) == 0;
    munmap(map, page);
    return guarded;
}

/* The arguments are no good, so a kernel that has the call says anything but ENOSYS. */
static bool try_call(long number)
{
    return syscall(number, -1L, NULL, NULL, 0L, -1L) >= 0 || (errno != ENOSYS && errno != EPERM);
}

static bool try_cachestat(struct ouro__trial *t)
{
    (void)t;
    return try_call(SYS_CACHESTAT);
}

static bool try_statmount(struct ouro__trial *t)
{
    (void)t;
    return try_call(SYS_STATMOUNT);
}

/* Flags are looked at before the descriptor. */
static bool try_pidfd_group(struct ouro__trial *t)
{
    (void)t;
    return syscall(SYS_pidfd_send_signal, -1, 0, NULL, PIDFD_TO_GROUP) >= 0 || errno == EBADF;
}

const struct ouro__feature ouro__features[OURO__FEATURES] = {
    {.name = "cachestat",
     .since = "6.5",
     .try_it = try_cachestat,
     .what = "what the page cache has of a file is sent without a copy",
     .without = "files are read and then sent"},
    {.name = "statmount",
     .since = "6.8",
     .try_it = try_statmount,
     .what = "a file system's type is known without asking a file server",
     .without = "statfs(2) tells it, which a slow file server holds up"},
    {.name = "pidfd_group",
     .since = "6.9",
     .try_it = try_pidfd_group,
     .what = "signals reach a child's group also after the child's end",
     .without = "kill(2) reaches it while the child has not been waited for"},
    {.name = "send_msg_ring",
     .since = "6.13",
     .try_it = try_send_msg_ring,
     .what = "any thread wakes a loop by a message to its ring",
     .without = "it writes to an eventfd that the ring reads, which costs more"},
    {.name = "guard_install",
     .since = "6.13",
     .try_it = try_guard_install,
     .what = "guard pages of task stacks split no memory map",
     .without = "mprotect(2) splits one for each, and vm.max_map_count bounds the tasks"},
    {.name = "no_iowait",
     .since = "6.15",
     .feat = OURO__FEAT_NO_IOWAIT,
     .cosmetic = true,
     .what = "a sleeping loop counts as idle, not as waiting for a disk",
     .without = "it looks like iowait in top(1), and is idle"},

    {.name = "msg_ring",
     .since = "5.18",
     .try_it = try_msg_ring,
     .what = "rings send each other messages"},
    {.name = "read_multishot",
     .since = "6.7",
     .op = OURO__OP_READ_MULTISHOT,
     .what = "one read for all that a pipe or terminal will bring"},
    {.name = "waitid",
     .since = "6.7",
     .op = OURO__OP_WAITID,
     .what = "child processes are waited for by the ring"},
    {.name = "futex",
     .since = "6.7",
     .op = OURO__OP_FUTEX_WAIT,
     .what = "futexes are waited for by the ring"},
    {.name = "fixed_fd_install",
     .since = "6.8",
     .op = OURO__OP_FIXED_FD_INSTALL,
     .what = "direct descriptors become ordinary ones"},
    {.name = "ftruncate",
     .since = "6.9",
     .op = OURO__OP_FTRUNCATE,
     .what = "files are cut by the ring"},
    {.name = "bundle",
     .since = "6.10",
     .feat = OURO__FEAT_RECVSEND_BUNDLE,
     .what = "one completion for several buffers of a socket"},
    {.name = "bind_listen",
     .since = "6.11",
     .op = OURO__OP_LISTEN,
     .what = "sockets are bound by the ring"},
    {.name = "min_wait",
     .since = "6.12",
     .feat = OURO__FEAT_MIN_TIMEOUT,
     .what = "a wait that gathers completions for a while"},
    {.name = "abs_timer",
     .since = "6.12",
     .try_it = try_abs_timer,
     .what = "waits end at a point in time"},
    {.name = "resize_rings",
     .since = "6.13",
     .try_it = try_resize,
     .what = "queues grow while in use"},
    {.name = "pipe", .since = "6.16", .op = OURO__OP_PIPE, .what = "pipes are made by the ring"},
};

/* What the folders above have in their entries, all of it in Linux 6.1. */
const unsigned char ouro__used_ops[OURO__USED_OPS] = {
    IORING_OP_READV,        IORING_OP_WRITEV,
    IORING_OP_FSYNC,        IORING_OP_READ,
    IORING_OP_WRITE,        IORING_OP_READ_FIXED,
    IORING_OP_WRITE_FIXED,  IORING_OP_POLL_ADD,
    IORING_OP_TIMEOUT,      IORING_OP_SYNC_FILE_RANGE,
    IORING_OP_SENDMSG,      IORING_OP_RECVMSG,
    IORING_OP_SEND,         IORING_OP_RECV,
    IORING_OP_ACCEPT,       IORING_OP_CONNECT,
    IORING_OP_FALLOCATE,    IORING_OP_FADVISE,
    IORING_OP_ASYNC_CANCEL, IORING_OP_CLOSE,
    IORING_OP_OPENAT2,      IORING_OP_STATX,
    IORING_OP_RENAMEAT,     IORING_OP_LINKAT,
    IORING_OP_SYMLINKAT,    IORING_OP_UNLINKAT,
    IORING_OP_MKDIRAT,      IORING_OP_SEND_ZC,
    IORING_OP_SENDMSG_ZC,
};

static bool find(const struct ouro__feature *f, const struct ouro__probe *p, struct ouro__trial *t)
{
    if (f->feat)
        return p->ring.features & f->feat;
    return f->op ? p->ops[f->op] : f->try_it(t);
}

int ouro__probe(unsigned entries, struct ouro__probe *ret)
{
    struct ouro__trial t;
    struct ouro__ring_report second;
    memset(ret, 0, sizeof *ret);
    int rc = ouro__ring_open(entries, &t.here, &ret->ring);
    if (rc < 0)
        return rc;
    rc = ouro__ring_open(entries, &t.there, &second);
    if (rc == 0) {
        ret->ops_known = ouro__ring_ops(&t.here, ret->ops);
        for (size_t i = 0; i < OURO__FEATURES; i++)
            ret->has[i] = find(&ouro__features[i], ret, &t);
        io_uring_queue_exit(&t.there);
    }
    io_uring_queue_exit(&t.here);
    return rc;
}
