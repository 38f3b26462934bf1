/* SPDX-License-Identifier: MIT */
/*
 * Rings.
 *
 * Happy path: one call with every flag we want makes a ring; the kernel's list of operations shows
 * that it is new enough; three registrations, none of which may fail the whole, make it cheaper
 * and safer.
 *
 * How it fails: step by step. A kernel (or what stands in for one) that does not know a flag
 * answers -EINVAL and names none, so flags go youngest first, a group at a time: in a group are
 * those that make no sense apart. Too little memory for the ring asked for may be enough for half
 * of it. Any other answer is final.
 */
#define _GNU_SOURCE 1

#include "setup.h"

#include "uapi.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#    define RING_TSAN 1
#elif defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define RING_TSAN 1
#    endif
#endif

/* liburing maps and unmaps rings behind ThreadSanitizer's back, which takes one at the address of
 * another that has gone, of another thread perhaps, for the same memory. So it is told what comes
 * after what. */
#ifdef RING_TSAN
#    include <sanitizer/tsan_interface.h>
static char rings;
#    define RING_BEGINS() __tsan_acquire(&rings)
#    define RING_ENDS()   __tsan_release(&rings)
#else
#    define RING_BEGINS() ((void)0)
#    define RING_ENDS()   ((void)0)
#endif

/* The oldest kernel is 6.1, for DEFER_TASKRUN and a year of repairs. Release texts lie (vendors
 * backport, containers pretend), operations do not: this one came with 6.1. */
#define FLOOR_OP IORING_OP_SENDMSG_ZC

/* Threads that io-wq may make for requests that block for good (sockets, pipes). Its own idea is
 * the limit on processes. */
#define WORKERS_UNBOUND 64u

/* Flags, youngest first. Each group can be had without those above it. COOP_TASKRUN is implied by
 * DEFER_TASKRUN and takes its place, with TASKRUN_FLAG, where that is refused. */
static const unsigned groups[] = {
    IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_SUBMIT_ALL,
    IORING_SETUP_CLAMP,
    IORING_SETUP_CQSIZE,
};

#define GROUPS (sizeof groups / sizeof groups[0])

static unsigned all_flags(void)
{
    unsigned flags = 0;
    for (size_t i = 0; i < GROUPS; i++)
        flags |= groups[i];
    return flags;
}

static unsigned clamp(unsigned entries)
{
    if (entries < OURO__ENTRIES_MIN)
        return OURO__ENTRIES_MIN;
    return entries > OURO__ENTRIES_MAX ? OURO__ENTRIES_MAX : entries;
}

/* Completions outnumber submissions: multishot operations bring many, and most of what is in flight
 * was submitted turns ago. A completion takes a quarter of an entry's space. */
static unsigned cq_entries(unsigned entries)
{
    return entries <= 256 ? entries * 8 : entries * 4;
}

int ouro__ring_ladder(ouro__ring_init_fn *init, unsigned entries, struct io_uring *ring,
                      struct ouro__ring_report *ret_report)
{
    unsigned flags = all_flags();
    unsigned want = clamp(entries);
    size_t group = 0;
    for (;;) {
        struct io_uring_params p = {.flags = flags};
        if (flags & IORING_SETUP_CQSIZE)
            p.cq_entries = cq_entries(want);
        int rc = init(want, ring, &p);
        if (rc == -ENOMEM && want > OURO__ENTRIES_MIN) {
            want = clamp(want / 2);
        } else if (rc == -EINVAL && group < GROUPS) {
            flags &= ~groups[group++];
        } else {
            *ret_report = (struct ouro__ring_report){
                .asked = entries,
                .sq_entries = p.sq_entries,
                .cq_entries = p.cq_entries,
                .flags = flags,
                .dropped = all_flags() & ~flags,
                .features = p.features,
            };
            return rc;
        }
    }
}

int ouro__ring_ops(struct io_uring *ring, bool supported[256])
{
    union {
        struct io_uring_probe head;
        char room[sizeof(struct io_uring_probe) + 256 * sizeof(struct io_uring_probe_op)];
    } probe;
    memset(&probe, 0, sizeof probe);
    int rc = io_uring_register_probe(ring, &probe.head, 256);
    if (rc < 0)
        return rc;
    const struct io_uring_probe_op *ops = probe.head.ops;
    for (int i = 0; i < 256; i++)
        supported[i] = i < probe.head.ops_len && (ops[i].flags & IO_URING_OP_SUPPORTED);
    return probe.head.last_op + 1;
}

static int check_floor(struct io_uring *ring)
{
    bool supported[256];
    int rc = ouro__ring_ops(ring, supported);
    if (rc < 0)
        return rc == -EINVAL ? -EOPNOTSUPP : rc; /* the question itself is 5.6 */
    return supported[FLOOR_OP] ? 0 : -EOPNOTSUPP;
}

static bool cap_workers(struct io_uring *ring)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned limits[2] = {processors > 0 ? 2 * (unsigned)processors : 2, WORKERS_UNBOUND};
    return io_uring_register_iowq_max_workers(ring, limits) == 0;
}

/* The system call itself: liburing would set errno in a signal handler, and knows no ring-less
 * calls. */
int ouro__ring_tell(int fd, uint64_t user_data)
{
    int saved = errno;
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_MSG_RING,
        .fd = fd,
        .off = user_data,
    };
    long rc = syscall(SYS_io_uring_register, -1, OURO__REGISTER_SEND_MSG_RING, &sqe, 1);
    rc = rc < 0 ? -errno : rc;
    errno = saved;
    return (int)rc;
}

/* Send the new ring a message, and have it back. */
static bool takes_messages(struct io_uring *ring)
{
    struct io_uring_cqe *cqe;
    if (ouro__ring_tell(ring->ring_fd, 1) < 0 || io_uring_get_events(ring) < 0 ||
        io_uring_peek_cqe(ring, &cqe) < 0)
        return false;
    bool arrived = cqe->user_data == 1;
    io_uring_cqe_seen(ring, cqe);
    return arrived;
}

int ouro__ring_open(unsigned entries, struct io_uring *ring, struct ouro__ring_report *ret_report)
{
    int rc = ouro__ring_ladder(io_uring_queue_init_params, entries, ring, ret_report);
    if (rc < 0)
        return rc;
    RING_BEGINS();
    rc = check_floor(ring);
    if (rc < 0) {
        ouro__ring_close(ring);
        return rc;
    }
    ret_report->fork_safe = io_uring_ring_dontfork(ring) == 0;
    ret_report->workers_capped = cap_workers(ring);
    ret_report->takes_messages = takes_messages(ring);
    ret_report->fd_registered = io_uring_register_ring_fd(ring) == 1;
    return 0;
}

void ouro__ring_close(struct io_uring *ring)
{
    RING_ENDS();
    io_uring_queue_exit(ring);
}
