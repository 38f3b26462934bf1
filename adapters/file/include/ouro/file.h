/* SPDX-License-Identifier: MIT */
#ifndef OURO_FILE_H
#define OURO_FILE_H

#include <ouro/base.h>
#include <ouro/future.h>

#include <sys/uio.h>

/**
 * @file file.h
 * Files: open, read, write, sync, lock.
 *
 *     ouro_file *f = ouro_await_ptr(ouro_file_open("notes", O_RDONLY, NULL), &rc);
 *     int64_t n = ouro_await(ouro_file_read(f, buf, sizeof(buf), 0));
 *     ouro_await(ouro_file_close(f));
 *     ouro_file_free(f);
 *
 * Every read and write says where; a handle has no position but the one cursor of
 * ouro_file_append(). Operations on one handle run at the same time and in no order: await the one
 * before the next where that matters, a write before its ouro_file_fsync() above all.
 *
 * What the kernel can do at once is done in the call, and the future has settled when it returns;
 * the rest goes through the ring. Large transfers go in slices, between which other tasks run.
 *
 * Nothing here raises a signal: SIGXFSZ is blocked in the loop's thread from its first write to its
 * close, SIGPIPE from the first write to a pipe to the close of its handle.
 *
 * Two ends of a handle. ouro_file_close() is for orderly programs: it waits. ouro_file_free() gives
 * the memory back, and closes what is still open without waiting. An operation that is pending when
 * its handle is closed by another task fails with -EBADF, unless it has its result already.
 */

/** An open file. Belongs to the loop of the thread that opened it. */
typedef struct ouro_file ouro_file;

/** Options of ouro_file_open(). Zero is the default of every field. */
typedef struct ouro_file_options {
    unsigned mode;    /**< permissions of a file that is made, less the umask. Default: 0666 */
    uint64_t resolve; /**< RESOLVE_* of openat2(2): how the path may be walked. Default: freely */
    const ouro_file *at; /**< open folder that a relative path starts from. Default: the current */
    int direct;          /**< not 0: O_DIRECT. Memory, offsets and lengths must be aligned as
                              ouro_stat says, see ouro_aligned_alloc() */
    int registered;      /**< not 0: take a place in the ring's table of files, which saves the
                              kernel a look-up for each operation. Where there is none left, or no
                              table, the file is opened all the same */
} ouro_file_options;

/** A point of the calendar: seconds since 1970 in UTC, and nanoseconds. */
typedef struct ouro_file_time {
    int64_t seconds;      /**< may be negative */
    uint32_t nanoseconds; /**< below 1 000 000 000 */
} ouro_file_time;

/** What there is to know about a file, of statx(2). */
typedef struct ouro_stat {
    uint32_t mode;           /**< type and permissions, S_IFMT and the rest */
    uint32_t links;          /**< hard links */
    uint32_t uid;            /**< owner */
    uint32_t gid;            /**< group */
    uint64_t inode;          /**< number, within its device */
    uint64_t size;           /**< bytes */
    uint64_t blocks;         /**< of 512 bytes, taken up */
    uint64_t mount_id;       /**< of the mount: as statmount(2) knows it, or before Linux 6.8 as
                                  /proc/self/mountinfo does; 0 where the kernel does not say */
    uint64_t attributes;     /**< STATX_ATTR_* */
    uint32_t block_size;     /**< that suits transfers */
    uint32_t device_major;   /**< it is on */
    uint32_t device_minor;   /**< it is on */
    uint32_t special_major;  /**< of a device file */
    uint32_t special_minor;  /**< of a device file */
    uint32_t direct_memory;  /**< alignment of memory for direct transfers; 0: there are none,
                                      or the kernel does not say (before Linux 6.1) */
    uint32_t direct_offset;  /**< alignment of offsets and lengths for them */
    ouro_file_time accessed; /**< atime */
    ouro_file_time modified; /**< mtime */
    ouro_file_time changed;  /**< ctime */
    ouro_file_time born;     /**< btime; zero where the file system keeps none */
    uint64_t reserved[14];   /**< zero; room for the kernel */
} ouro_stat;

/** Advice for ouro_file_advise(). */
typedef enum ouro_advice {
    OURO_ADVICE_NORMAL = 0, /**< nothing special */
    OURO_ADVICE_RANDOM,     /**< no read-ahead */
    OURO_ADVICE_SEQUENTIAL, /**< much of it */
    OURO_ADVICE_WILLNEED,   /**< read it into the cache */
    OURO_ADVICE_DONTNEED,   /**< drop it from there, what is written back already */
    OURO_ADVICE_NOREUSE     /**< it will be used once */
} ouro_advice;

/** What a lock keeps out. */
typedef enum ouro_lock_mode {
    OURO_LOCK_SHARED = 0, /**< those who want it exclusively; the file must be open for reading */
    OURO_LOCK_EXCLUSIVE   /**< everybody else; the file must be open for writing */
} ouro_lock_mode;

/** Options of locks. Zero is the default of every field. */
typedef struct ouro_lock_options {
    int64_t offset; /**< first byte of the range. Default: the first of the file */
    int64_t length; /**< bytes. Default: to the end of the file, wherever that will be */
    int flock;      /**< not 0: a lock of flock(2), on the whole file, for the sake of programs that
                         use those; offset and length must be 0. Default: a lock on a range that
                         belongs to the handle (F_OFD_SETLK). The two do not see each other */
} ouro_lock_options;

/** What the calling thread's loop has counted. */
typedef struct ouro_file_stats {
    uint64_t at_once; /**< transfers, and slices of them, done in plain calls that did not wait */
    uint64_t by_ring; /**< that went through the ring */
    uint64_t missed;  /**< of those: what was tried at once before, and would have waited */
    uint64_t stalls;  /**< plain calls that took so long that others are avoided for a while */
    uint64_t lock_polls; /**< looks at a lock that another process, or another loop, holds */
} ouro_file_stats;

OURO_BEGIN_DECLS

/* ---- Open and close -------------------------------------------------------------------------- */

/**
 * Open a file, or a folder. It is close-on-exec.
 *
 * A named pipe that nobody reads is waited for when it is opened for writing, as by open(2). When it
 * is opened for reading that may be at once, without a writer, and reads are at its end until one
 * has come.
 *
 * @param path   Lent until the future settles. Ends with a zero; 4 095 bytes at most (PATH_MAX of
 *               the kernel).
 * @param flags  O_* of open(2): O_RDONLY, O_WRONLY | O_CREAT | O_TRUNC, O_DIRECTORY, O_PATH, ...
 *               O_APPEND makes the kernel find the end for each write, see ouro_file_append().
 * @param opts   Copied, and opts->at is kept until the future settles; NULL for defaults.
 * @return A future, never NULL: 0, and an ouro_file in ptr, for ouro_await_ptr(); nobody's is
 *         closed. -ENOENT, -EACCES, -EEXIST, -EISDIR, -ENOTDIR, -ELOOP, -EXDEV (opts->resolve
 *         forbids the way), -EMFILE, -ENFILE, -ENOSPC, -EROFS, ...: ouro_future_detail() names the
 *         file. -ENAMETOOLONG, -EINVAL (NULL, unknown flags; or no O_DIRECT there), -EBADF
 *         (opts->at is closed), -ECANCELED, -ENOMEM, -EPERM (no loop on this thread), -ECHILD,
 *         -ESHUTDOWN. A cancel may come too late: then a file that is made is there.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_open(const char *path, int flags,
                            const ouro_file_options *opts) OURO_NODISCARD;

/**
 * Make a handle of a descriptor. Pipes, terminals and devices too; where there are no positions,
 * offsets are ignored. From the first write to such a thing to its close, SIGPIPE is blocked in the
 * loop's thread: if nobody reads, the write fails with -EPIPE.
 *
 * @param fd        Open. On success the handle's, which closes it; on failure still yours.
 * @param ret_file  Receives the handle, yours until ouro_file_free().
 * @return 0, -EBADF, -EINVAL (NULL), -ENOMEM, -EPERM (no loop), -ECHILD, -ESHUTDOWN. On failure
 *         nothing is written.   @thread Loop thread only.
 */
int ouro_file_from_fd(int fd, ouro_file **ret_file) OURO_NODISCARD;

/**
 * Its descriptor, for calls that are not wrapped here. Valid until the handle is closed.
 *
 * @param f  Borrowed.
 * @return The descriptor, still the handle's; -EBADF (closed), -EINVAL (NULL).
 * @thread Loop thread only.
 */
int ouro_file_fd(const ouro_file *f);

/**
 * Close a file: take no more work, cancel what is in flight, wait for it, give up its locks, close
 * the descriptor. May be called by many and again; all are told the same.
 *
 * @param f  Borrowed; it stays yours, and ouro_file_free() may be called at once.
 * @return A future, never NULL: 0, or what close(2) had to say, -EIO, -ENOSPC, -EDQUOT: something
 *         that was written before is lost. -EINVAL (NULL), -EXDEV, -ECHILD; -ENOMEM: it is being
 *         closed all the same, but you cannot wait for it. A cancel does not end it.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_close(ouro_file *f) OURO_NODISCARD;

/**
 * Give a handle back. If it is open, it is closed as by ouro_file_close(), and nobody waits.
 *
 * @param f  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_file *ouro_file_free(ouro_file *f);

/* ---- Read and write -------------------------------------------------------------------------- */

/**
 * Read what is there: up to @p len bytes, fewer only at the end of the file. Pipes and terminals
 * give what they have.
 *
 * @param f       Borrowed; the future keeps what it needs of it.
 * @param buf     Lent until the future settles; cancelling does not give it back early.
 * @param len     Bytes; 0 reads nothing.
 * @param offset  In bytes from the beginning of the file.
 * @return A future, never NULL:
 *   - n > 0        bytes now in buf[0 .. n); also of a read that was cancelled half-way
 *   - 0            end of file, or @p len is 0
 *   - -EINVAL      NULL, a negative offset, len or offset + len beyond INT64_MAX; or, of a direct
 *                  file, something is not aligned
 *   - -EBADF       closed, or not open for reading
 *   - -EISDIR, -EIO, -ENXIO, ... of read(2)
 *   - -ECANCELED, -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_read(ouro_file *f, void *buf, size_t len, int64_t offset) OURO_NODISCARD;

/**
 * Read all of @p len bytes.
 *
 * @param f       Borrowed; the future keeps what it needs of it.
 * @param buf     Lent until the future settles.
 * @param len     Bytes.
 * @param offset  In bytes from the beginning of the file.
 * @return A future, never NULL: @p len. -ENODATA: the file ends before; ouro_file_moved() says how
 *         much there was. Else as ouro_file_read().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_read_exact(ouro_file *f, void *buf, size_t len,
                                  int64_t offset) OURO_NODISCARD;

/**
 * Read into several buffers, filled one after the other. Else as ouro_file_read().
 *
 * @param f       Borrowed.
 * @param iov     @p count buffers; the array and they are lent until the future settles.
 * @param count   1 to 1 024 (IOV_MAX of the kernel).
 * @param offset  In bytes from the beginning of the file.
 * @return See ouro_file_read().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_readv(ouro_file *f, const struct iovec *iov, int count,
                             int64_t offset) OURO_NODISCARD;

/**
 * Write all of @p len bytes.
 *
 * @param f       Borrowed; the future keeps what it needs of it.
 * @param buf     Lent until the future settles; cancelling does not give it back early.
 * @param len     Bytes.
 * @param offset  In bytes from the beginning of the file; what lies between its end and there reads
 *                as zeros.
 * @return A future, never NULL: @p len; it is in the kernel's cache, and on the disk after
 *         ouro_file_fsync(). If not all could be written, an error, and ouro_file_moved() says how
 *         much was:
 *   - -ENOSPC, -EDQUOT, -EFBIG, -EIO, -EPIPE, ... of write(2)
 *   - -EINVAL      NULL, a negative offset, len or offset + len beyond INT64_MAX; opened with
 *                  O_APPEND, when only ouro_file_append() writes; or, of a direct file, something
 *                  is not aligned
 *   - -EBADF       closed, or not open for writing
 *   - -ECANCELED, -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_write(ouro_file *f, const void *buf, size_t len,
                             int64_t offset) OURO_NODISCARD;

/**
 * Write several buffers, one after the other. Else as ouro_file_write().
 *
 * @param f       Borrowed.
 * @param iov     @p count buffers; the array and they are lent until the future settles.
 * @param count   1 to 1 024 (IOV_MAX of the kernel).
 * @param offset  In bytes from the beginning of the file.
 * @return See ouro_file_write().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_writev(ouro_file *f, const struct iovec *iov, int count,
                              int64_t offset) OURO_NODISCARD;

/**
 * Write all of @p len bytes at the cursor, and move it behind them.
 *
 * A handle has one cursor. It starts where the file ends when the first append begins, and each
 * append that has begun ends before the next one begins, in the order of the calls. So appends of
 * one handle never mix. With several handles, or processes, open the file with O_APPEND: then the
 * kernel finds the end for each of them.
 *
 * @param f    Borrowed; the future keeps what it needs of it.
 * @param buf  Lent until the future settles.
 * @param len  Bytes.
 * @return A future, never NULL: @p len, or an error as of ouro_file_write(). Where an append breaks
 *         off, the next one goes on. One that is cancelled while it waits for its turn writes
 *         nothing.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_append(ouro_file *f, const void *buf, size_t len) OURO_NODISCARD;

/**
 * How many bytes a read, a write or an append has moved so far; of one that failed, before it did.
 * Keep a reference to ask: `n = ouro_await(ouro_ref(w))`.
 *
 * @param f  Borrowed: what the function returned, not a combination with it.
 * @return Bytes; 0 also for any other future, and NULL.   @thread Loop thread only.
 */
int64_t ouro_file_moved(const ouro_future *f);

/* ---- Disk and size --------------------------------------------------------------------------- */

/**
 * Wait until all that was written before, and all about the file, is on the disk.
 *
 * An error may be told once, and to one handle: then what was written is lost, and trying again
 * does not bring it back.
 *
 * @param f  Borrowed; the future keeps what it needs of it.
 * @return A future, never NULL: 0; -EIO, -ENOSPC, -EDQUOT, -EINVAL (NULL; or it is something
 *         without a disk), -EBADF (closed), -ECANCELED (it may still happen), -ENOMEM, -EXDEV,
 *         -ECHILD, -ESHUTDOWN.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_fsync(ouro_file *f) OURO_NODISCARD;

/**
 * The same, but for what is not needed to read the data again: times, mostly.
 *
 * @param f  Borrowed.
 * @return See ouro_file_fsync().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_fdatasync(ouro_file *f) OURO_NODISCARD;

/**
 * Have pages of the cache written out: sync_file_range(2). No promise that the data survives a
 * crash, for it writes nothing that tells where the data is.
 *
 * @param f       Borrowed.
 * @param offset  Of the first byte.
 * @param length  Bytes; 0: to the end.
 * @param flags   SYNC_FILE_RANGE_*.
 * @return See ouro_file_fsync(); -ESPIPE.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_sync_range(ouro_file *f, int64_t offset, int64_t length,
                                  unsigned flags) OURO_NODISCARD;

/**
 * Ask about a file.
 *
 * @param f         Borrowed; the future keeps what it needs of it.
 * @param ret_stat  Filled when the future settles with 0, until when it is lent; else what is in it
 *                  means nothing.
 * @return A future, never NULL: 0, -EINVAL (NULL), -EBADF (closed), -EIO, -ECANCELED, -ENOMEM,
 *         -EXDEV, -ECHILD, -ESHUTDOWN.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_stat(ouro_file *f, ouro_stat *ret_stat) OURO_NODISCARD;

/**
 * Set the length of a file: what is beyond is lost, what is added reads as zeros. The cursor of
 * ouro_file_append() stays where it is.
 *
 * @param f       Borrowed; the future keeps what it needs of it.
 * @param length  Bytes.
 * @return A future, never NULL: 0, -EINVAL (NULL, negative, no file that has a length, not open for
 *         writing), -EBADF (closed), -EFBIG, -EPERM, -EIO, -ECANCELED (it may still happen),
 *         -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_truncate(ouro_file *f, int64_t length) OURO_NODISCARD;

/**
 * Take room on the disk, or give it back: fallocate(2).
 *
 * @param f       Borrowed; the future keeps what it needs of it.
 * @param mode    0 takes room and lengthens the file as needed; else FALLOC_FL_*.
 * @param offset  Of the first byte.
 * @param length  Bytes; more than 0.
 * @return A future, never NULL: 0, -ENOSPC, -EDQUOT, -EFBIG, -EOPNOTSUPP (not on this file system),
 *         -ENODEV, -ESPIPE, -EINVAL, -EBADF (closed, not open for writing), -EPERM, -EIO,
 *         -ECANCELED (it may still happen), -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_allocate(ouro_file *f, int mode, int64_t offset,
                                int64_t length) OURO_NODISCARD;

/**
 * Say how a part of the file will be used: posix_fadvise(2).
 *
 * @param f       Borrowed; the future keeps what it needs of it.
 * @param offset  Of the first byte.
 * @param length  Bytes; 0: to the end.
 * @param advice  What to expect.
 * @return A future, never NULL: 0, -EINVAL, -ESPIPE (a pipe), -EBADF (closed), -ECANCELED, -ENOMEM,
 *         -EXDEV, -ECHILD, -ESHUTDOWN.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_advise(ouro_file *f, int64_t offset, int64_t length,
                              ouro_advice advice) OURO_NODISCARD;

/* ---- Locks ----------------------------------------------------------------------------------- */

/**
 * Wait for a lock, and take it. It is the handle's: another handle on the same file is somebody
 * else, and taking it again on the same one changes its mode. It ends by ouro_file_unlock() or with
 * the handle's close.
 *
 * The kernel has no lock to wait for that could be cancelled, so the wait looks now and then: after
 * 1 ms, then less often, every 32 ms at last; and at once when a handle of this loop unlocks, in
 * the order in which they came. Each look is a system call on the loop's thread, for which a
 * network file system asks its server.
 *
 * @param f     Borrowed; the future keeps what it needs of it.
 * @param mode  What to keep out.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: 0 it is locked, and unlocked again if nobody takes the result.
 *         -EINVAL (NULL, an unknown mode, a bad range), -EBADF (closed, or not open for what the
 *         mode needs), -ENOLCK, -ECANCELED (not locked), -ENOMEM, -EXDEV, -ECHILD, -ESHUTDOWN.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_file_lock(ouro_file *f, ouro_lock_mode mode,
                            const ouro_lock_options *opts) OURO_NODISCARD;

/**
 * Take a lock if that needs no wait.
 *
 * @param f     Borrowed.
 * @param mode  What to keep out.
 * @param opts  Copied; NULL for defaults.
 * @return 0 it is locked; -EAGAIN somebody else has it; else as ouro_file_lock().
 * @thread Loop thread only.
 */
int ouro_file_try_lock(ouro_file *f, ouro_lock_mode mode,
                       const ouro_lock_options *opts) OURO_NODISCARD;

/**
 * Give a lock back; of a range, any part of what is locked.
 *
 * @param f     Borrowed.
 * @param opts  Copied; NULL for defaults: all of the file.
 * @return 0, also if it was not locked; -EINVAL, -EBADF (closed), -EXDEV, -ECHILD.
 * @thread Loop thread only.
 */
int ouro_file_unlock(ouro_file *f, const ouro_lock_options *opts);

/* ---- Memory for direct and registered transfers ---------------------------------------------- */

/**
 * Memory for direct files.
 *
 * @param alignment  A power of two: ouro_stat.direct_memory, and 4 096 suits all.
 * @param size       Bytes; more than 0.
 * @return Memory, or NULL: there is none, or an argument makes no sense.
 * @owns the caller, until ouro_aligned_free().   @thread Any.
 */
void *ouro_aligned_alloc(size_t alignment, size_t size);

/**
 * Give such memory back.
 *
 * @param memory  Consumed; NULL is allowed.   @thread Any.
 */
void ouro_aligned_free(void *memory);

/**
 * Register memory with the ring of the calling thread's loop: its pages are pinned now, and no more
 * for each direct transfer. Reads and writes that lie within it use that by themselves.
 *
 * Linux counts it against RLIMIT_MEMLOCK. Worth its while for direct files; cached ones gain
 * nothing to speak of.
 *
 * @param memory  Stays yours, and must stay valid until it is unregistered or the loop is closed.
 * @param size    Bytes; up to 1 GiB (the kernel's limit for one buffer).
 * @return 0, -EBUSY (it overlaps with what is registered), -ENOSPC (64 are registered), -ENOMEM
 *         (also: beyond the limit), -EFAULT, -EINVAL, -ENOSYS (not with this loop's driver),
 *         -EPERM (no loop), -ECHILD.   @thread Loop thread only.
 */
int ouro_file_register_memory(void *memory, size_t size) OURO_NODISCARD;

/**
 * Undo that. What is in flight is not disturbed; the pages are let go when it has ended.
 *
 * @param memory  As registered.
 * @return 0, -ENOENT (it is not), -EPERM (no loop), -ECHILD.   @thread Loop thread only.
 */
int ouro_file_unregister_memory(void *memory);

/**
 * What the file operations of this thread's loop have come to.
 *
 * @param ret_stats  Receives the figures.
 * @return 0, -EINVAL (NULL), -EPERM (no loop), -ECHILD.   @thread Loop thread only.
 */
int ouro_file_stats_get(ouro_file_stats *ret_stats);

OURO_END_DECLS

#endif
