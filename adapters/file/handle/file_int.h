/* SPDX-License-Identifier: MIT */
#ifndef OURO_FILE_INT_H
#define OURO_FILE_INT_H

/*
 * What the parts of the file adapter share: the handle, operations on it, and what a loop keeps for
 * all of them.
 */

#include "loop_int.h"

#include <ouro/file.h>
#include <ouro/path.h>

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

/* ---- What a loop keeps ----------------------------------------------------------------------- */

#define OURO__LENT_MAX 64

/* Memory that the ring knows: its number there is its place in the array. */
struct ouro__lent {
    char *base; /* NULL: free */
    size_t size;
};

/* All that the file operations of one loop have in common. */
struct ouro__files {
    ouro_loop *loop; /* NULL: nothing was asked of it yet */
    struct ouro__tie tie;
    ouro_file_stats stats;
    uint64_t turn;  /* of the loop, in which */
    size_t spent;   /* so many bytes were moved by plain calls */
    unsigned asked; /* and so many pieces left to the disk */

    bool blocks_sigxfsz; /* from the first write to its end */

    uint64_t known_disk; /* the device of a local file system that was asked about last */

    ouro_ns avoid_until; /* plain calls; see route.c */
    ouro_ns avoided;     /* so long, the last time */

    struct ouro__link lockers; /* who waits for a lock, oldest first */

    struct ouro__lent lent[OURO__LENT_MAX];
    unsigned lent_count;
    uint64_t slots;             /* of the ring's table of files, those in use */
    int has_buffers, has_table; /* of the ring: 0 not tried, 1 yes, -1 no */
};

/* The calling thread's, for its @loop. */
struct ouro__files *ouro__files_of(ouro_loop *loop);

/* ---- Routes (route.c) ------------------------------------------------------------------------ */

/* What is known about a file, and so how its operations are done. */
enum ouro__file_kind {
    OURO__FILE_UNKNOWN = 0, /* not asked yet */
    OURO__FILE_MEMORY,      /* regular, on a file system in memory */
    OURO__FILE_LOCAL,       /* regular, on a file system on a disk of this machine */
    OURO__FILE_ELSEWHERE,   /* regular, but who knows what its file system waits for; a folder */
    OURO__FILE_STREAM,      /* a pipe, a terminal: without positions, and it may never answer */
    OURO__FILE_DEVICE       /* a device with positions */
};

enum ouro__route {
    OURO__BY_RING = 0,
    OURO__AT_ONCE, /* by the plain system call, in which it cannot wait for long */
    OURO__TRY,     /* by a system call that fails rather than wait */
};

/* Bytes that one plain call moves at most, and one turn altogether: some 30 us of copying. */
#define OURO__SLICE      ((size_t)128 << 10)
#define OURO__TURN_BYTES ((size_t)256 << 10)

/* What a call that copies nothing counts for. */
#define OURO__CALL_BYTES ((size_t)4 << 10)

/* The same for a direct transfer, which copies nothing. */
#define OURO__DIRECT_SLICE ((size_t)4 << 20)

/* Whether the file system that @fd, which may be an O_PATH, is on, answers at once about a file
 * that it has in memory; @st: what it says of itself, STATX_MNT_ID_UNIQUE asked for. */
bool ouro__answers_at_once(struct ouro__files *files, int fd, const struct statx *st);

/* Whether @fd is a regular file on a file system in memory. */
bool ouro__is_in_memory(ouro_loop *loop, int fd);

/* What it is, found out when it is asked for first. */
enum ouro__file_kind ouro__route_kind(ouro_file *file);

/* How to do it: what is small enough, on @file, now. */
enum ouro__route ouro__route_read(ouro_file *file);
enum ouro__route ouro__route_write(ouro_file *file);
enum ouro__route ouro__route_sync(ouro_file *file);
enum ouro__route ouro__route_stat(ouro_file *file);
enum ouro__route ouro__route_close(ouro_file *file);

/* Whether the task that calls is cancelled: then nothing may be begun that its wait could not take
 * back. */
bool ouro__caller_cancelled(const ouro_loop *loop);

/* Whether something may be done in a call now: the turn has time left, and the task that calls is
 * not cancelled. */
bool ouro__turn_has_time(struct ouro__files *files);

/* So many bytes' worth was done. */
void ouro__turn_spend(struct ouro__files *files, size_t bytes);

/* Something was queued that a disk is to do. */
void ouro__disk_asked(struct ouro__files *files);

/* A plain call that began at @began is over. */
void ouro__call_took(struct ouro__files *files, ouro_ns began);

/* Whether plain calls that may wait are to be left alone for now. */
bool ouro__calls_avoided(struct ouro__files *files);

/* ---- Handles (file.c) ------------------------------------------------------------------------ */

enum {
    OURO__FILE_OPEN,
    OURO__FILE_CLOSING, /* it takes no more work */
    OURO__FILE_CLOSED,  /* the descriptor is gone */
};

struct ouro_file {
    ouro_loop *loop; /* a reference */
    unsigned pins;   /* see below */
    unsigned refs;   /* the user's, that of each operation, and that of what closes it */
    int fd;          /* -1: closed, or never opened */
    int slot;        /* in the ring's table of files; -1: none */
    uint8_t state;
    bool stopping;     /* its works, one by one */
    uint8_t kind;      /* ouro__file_kind */
    bool direct;       /* O_DIRECT */
    bool appends_only; /* O_APPEND */
    bool through;      /* O_DSYNC, O_SYNC: a write waits for the disk */
    bool no_nowait;    /* RWF_NOWAIT is not known there */
    bool locked[2];    /* by a lock on a range, on the whole */
    bool blocks_sigpipe;
    int close_result;
    int64_t written;           /* bytes, through this handle */
    int64_t cursor;            /* of appends; -1: not asked yet */
    ouro_future *asking;       /* for it, in a thread: a reference; or NULL */
    struct ouro__link works;   /* operations under way, see below */
    struct ouro__link appends; /* of them, appends: the first is at work */
    struct ouro__line closers; /* who waits for the end */
    struct ouro__op closing;
};

/* 0 when @file may be worked with, and then its loop. */
int ouro__file_check(const ouro_file *file, ouro_loop **ret_loop);

ouro_file *ouro__file_ref(ouro_file *file);
void ouro__file_unref(ouro_file *file);

/* Keep the descriptor of @file open for something that is not among its works, and so is not
 * stopped when it is closed. */
ouro_file *ouro__file_pin(ouro_file *file);
void ouro__file_unpin(ouro_file *file);

/* A work of @file has left its list. */
void ouro__file_work_gone(ouro_file *file);

/* Have the sqe work on @file. */
void ouro__file_aim(const ouro_file *file, struct io_uring_sqe *sqe);

/* The handle of a folder that the options name, in *ret_file; NULL: the current one. */
int ouro__file_at(const ouro_file *at, ouro_file **ret_file);

/* Give back all its locks. */
void ouro__file_unlock_all(ouro_file *file);

/* Somebody has unlocked: those of this loop who wait may try. */
void ouro__lockers_wake(ouro_loop *loop);

/* ---- Operations (work.c) --------------------------------------------------------------------- */

/*
 * A future around an operation of the ring that a handle is waiting for when it is closed. The
 * kind's cancel() stops it in any state; closing the handle calls that as well.
 */
struct ouro__work {
    ouro_future f;
    struct ouro__link link; /* in the handle's list; or unlinked */
    ouro_file *file;        /* a reference; NULL: it is of no handle */
    struct ouro__op op;
};

enum { OURO__WORK_CLOSED = OURO__KIND_1 }; /* its handle was closed, and so it stops */

/* A new one of @kind, whose struct begins with a struct ouro__work, for @file or NULL. NULL: no
 * memory. */
void *ouro__work_new(ouro_loop *loop, const struct ouro__kind *kind, ouro_file *file);

/* Settle it: with @n >= 0, an error, or -ECANCELED for what was stopped. It may be gone then. */
void ouro__work_end(struct ouro__work *w, int64_t n);

/* What -ECANCELED means to whoever waits: that, or -EBADF when the handle was closed. */
int64_t ouro__work_verdict(const struct ouro__work *w, int64_t n);

/* A kind's cancel() for those that are in the ring and nowhere else. */
ouro_future *ouro__work_cancel(ouro_future *f);

/* Its words, for ouro__work_end() with an error. */
void ouro__work_say(struct ouro__work *w, int64_t n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One operation of the ring from beginning to end. */
struct ouro__request {
    struct ouro__work w;
    const char *verb;    /* for words about @path: "rename" */
    const char *path;    /* or NULL: about a handle */
    const char *to;      /* a second one, or NULL */
    ouro_file *also;     /* the folder that one starts from: pinned; or NULL */
    ouro_stat *ret_stat; /* where the kernel writes a struct statx, or NULL */
};

/* Make one; fill in its w.op.sqe, then start it. NULL: no memory. */
struct ouro__request *ouro__request_new(ouro_loop *loop, ouro_file *file);
ouro_future *ouro__request_start(struct ouro__request *r);

/* It came to @n, without the ring or with it. */
void ouro__request_end(struct ouro__request *r, int64_t n);

/* What a thread of the disk lane does from beginning to end. */
struct ouro__chore {
    struct ouro__work w;
    struct ouro__job job; /* waits for `run` */
    ouro_future *run;     /* a reference; NULL: it was cancelled before */

    /* Do it, there. @c stays as it is until it returns. 0 or more, or a negative errno. */
    int64_t (*fn)(struct ouro__chore *c);

    const char *verb; /* for words about @path */
    const char *path; /* or NULL: about a handle */
    int fd;           /* of the handle, which with @path is a folder; AT_FDCWD without one */
    int number;       /* what else it needs */
    int64_t offset;
    int64_t length;
    char *buf;
};

/* Do what @what says: all but the first three. @file: the handle, or NULL. */
ouro_future *ouro__chore_start(ouro_file *file, const struct ouro__chore *what);

/* Turn what the kernel has written there into what we say. */
void ouro__stat_convert(ouro_stat *st);

/* What of statx(2) we ask for. */
#define OURO__STAT_MASK                                                            \
    (STATX_BASIC_STATS | STATX_BTIME | OURO__STATX_MNT_ID | OURO__STATX_DIOALIGN | \
     OURO__STATX_MNT_ID_UNIQUE)
#define OURO__STATX_MNT_ID        0x1000u /* Linux 5.8 */
#define OURO__STATX_DIOALIGN      0x2000u /* Linux 6.1 */
#define OURO__STATX_MNT_ID_UNIQUE 0x4000u /* Linux 6.8 */

/* A place in the ring's table for @fd, or -1. */
int ouro__slot_take(struct ouro__files *files, int fd);
void ouro__slot_give(struct ouro__files *files, int slot);

/* The number that the ring knows this memory by, or -1. */
int ouro__lent_find(const struct ouro__files *files, const void *memory, size_t size);

#endif
