/* SPDX-License-Identifier: MIT */
#ifndef OURO_WHOLE_H
#define OURO_WHOLE_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file whole.h
 * Whole files in one call: read, replaced, copied.
 *
 *     int64_t size;
 *     char *text = ouro_await_ptr(ouro_file_read_all("/etc/hostname", NULL), &size);
 *     if (!text)
 *         return (int)size;
 *     ...
 *     ouro_file_bytes_free(text);
 *
 * Each call is one job of the disk lane (see <ouro/pool.h>), so nothing here can hold up the loop;
 * a small file that is in memory is read at once, without the lane. Paths are lent until the future
 * settles, and relative ones start from the working directory of that time. Every error names the
 * file in ouro_future_detail().
 *
 * A cancel is seen between slices of some MiB, and while a pipe has nothing to read. It ends the
 * future when the descriptors are closed and what was half written is gone.
 */

/** Options of ouro_file_read_all(). Zero is the default of every field. */
typedef struct ouro_read_all_options {
    size_t limit; /**< bytes; a file that has more is -EFBIG, and a big one is not read for it.
                       Default: none */
} ouro_read_all_options;

/** Options of ouro_file_write_atomic(). Zero is the default of every field. */
typedef struct ouro_write_atomic_options {
    uint32_t mode; /**< permission bits, exactly. Default: those of the file that is replaced, or
                         what the umask leaves of 0666 */
    int set_owner; /**< not 0: it is to belong to uid and gid. Default: to who writes it */
    uint32_t uid;  /**< with set_owner; UINT32_MAX leaves the user */
    uint32_t gid;  /**< with set_owner; UINT32_MAX leaves the group */
    int exclusive; /**< not 0: -EEXIST if there is anything of that name */
    int no_sync;   /**< not 0: readers see the old or the new content, but a power failure may
                         leave neither. Default: the file is on the disk before it has its name,
                         and its name before the future settles */
} ouro_write_atomic_options;

/** How far a copy has come. Runs on the loop, in order, at most every 20 ms and once at the end of
 *  a copy that succeeds; @p total is the size the file had at the beginning. */
typedef void ouro_copy_progress_fn(uint64_t done, uint64_t total, void *arg);

/** Options of ouro_file_copy(). Zero is the default of every field. */
typedef struct ouro_copy_options {
    ouro_copy_progress_fn *progress; /**< Default: none */
    void *arg;                       /**< passed to progress. Borrowed until the future settles */
    int exclusive;                   /**< not 0: -EEXIST if there is anything of the target's name.
                                          Default: a file there is replaced when the copy is
                                          whole */
    int in_place;   /**< not 0: write to the target itself, which is emptied first, and keep what
                         was written when the copy fails. A link is followed, and the file that is
                         there keeps its owner and links. Default: a new file takes its place */
    int keep_times; /**< not 0: times of access and modification as those of the source */
    int keep_owner; /**< not 0: user and group as those of the source, and set-id bits; -EPERM if
                         that is not allowed */
    int sync;       /**< not 0: the copy and its name are on the disk when the future settles */
} ouro_copy_options;

OURO_BEGIN_DECLS

/**
 * Read a file to its end.
 *
 * Also what does not tell its size: files of /proc, pipes (to the last writer's close; a named one
 * is waited for), terminals. Such a wait takes up a thread of the disk lane.
 *
 * @param path  Lent until the future settles. A symbolic link is followed.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: how many bytes, and in ptr the bytes with a zero behind them, for
 *         ouro_await_ptr() and then ouro_file_bytes_free().   @owns the caller.
 *   - -EFBIG       more than the limit
 *   - -ENOENT, -EACCES, -ENOTDIR, -ELOOP, -ENAMETOOLONG, -EMFILE, -ENFILE: it could not be opened
 *   - -EISDIR      a folder
 *   - -EIO, ...    of read(2)
 *   - -ECANCELED, -ENOMEM, -EINVAL (NULL), -EAGAIN (no thread), -EPERM (no loop on this thread),
 *     -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_file_read_all(const char *path, const ouro_read_all_options *opts) OURO_NODISCARD;

/**
 * Give back what ouro_file_read_all() read.
 *
 * @param bytes  Consumed; NULL is allowed.   @thread Any.
 */
void ouro_file_bytes_free(void *bytes);

/**
 * Give a file new content, all or nothing: whoever opens it sees the old or the new.
 *
 * The bytes go to a file without a name in the same folder (with a name where the file system has
 * none without), then to the disk, and then it takes the name. A symbolic link of that name is
 * replaced and not followed; other hard links keep the old content. Owner, access lists and
 * attributes of the old file are not kept, its permission bits are.
 *
 * @param path  Lent until the future settles.
 * @param data  Lent until the future settles; may be NULL if @p size is 0.
 * @param size  Bytes.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: @p size.   @owns the caller.   On every failure the old file is
 *         there as it was and nothing else is left; but for an error of the folder's fsync(2),
 *         after which the new one is there, if there is no power failure.
 *   - -EEXIST      with exclusive
 *   - -EISDIR      a folder has that name
 *   - -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENAMETOOLONG, -ELOOP: there can be no such file
 *   - -ENOSPC, -EDQUOT, -EFBIG, -EIO: of write(2), fsync(2)
 *   - -EPERM       the owner may not be set; or no loop on this thread
 *   - -ECANCELED, -ENOMEM, -EINVAL (NULL, mode above 07777), -EMFILE, -ENFILE, -EAGAIN (no thread),
 *     -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_file_write_atomic(const char *path, const void *data, size_t size,
                                    const ouro_write_atomic_options *opts) OURO_NODISCARD;

/**
 * Copy a file: by sharing its blocks where the file system can (FICLONE), within the kernel where
 * that is known to be faster (copy_file_range(2)), else by reading and writing. Holes stay holes.
 *
 * The copy is written to a file without a name beside the target, which gets the target's name when
 * it is whole; so a failure, a cancel or a crash leaves the target as it was. It has the permission
 * bits of the source. Access lists and extended attributes are not copied.
 *
 * A source that grows meanwhile is copied to the end it has when the copy gets there, one that
 * shrinks as far as it goes; changes in the middle may be in the copy or not.
 *
 * @param from  A regular file, or a symbolic link to one. Lent until the future settles.
 * @param to    The name of the copy; no folder, and not the same file. A symbolic link of that name
 *              is replaced. Lent until the future settles.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: how many bytes the copy has.   @owns the caller.
 *   - -EISDIR      @p from or @p to is a folder
 *   - -EINVAL      NULL; @p from is neither file nor folder; both are the same file
 *   - -EEXIST      with exclusive
 *   - -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENAMETOOLONG, -ELOOP: it could not be opened or made
 *   - -ENOSPC, -EDQUOT, -EFBIG, -EIO: of reading or writing
 *   - -EPERM       the owner may not be set; or no loop on this thread
 *   - -ECANCELED, -ENOMEM, -EMFILE, -ENFILE, -EAGAIN (no thread), -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_file_copy(const char *from, const char *to,
                            const ouro_copy_options *opts) OURO_NODISCARD;

OURO_END_DECLS

#endif
