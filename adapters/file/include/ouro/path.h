/* SPDX-License-Identifier: MIT */
#ifndef OURO_PATH_H
#define OURO_PATH_H

#include <ouro/base.h>
#include <ouro/file.h>
#include <ouro/future.h>

/**
 * @file path.h
 * Files by name: ask, rename, remove, link, make folders.
 *
 * Paths are lent until the future settles, end with a zero, and have 4 095 bytes at most (PATH_MAX
 * of the kernel). ouro_future_detail() of an error names them.
 *
 * A cancel stops an operation that has not begun. One that has begun ends as it ends, and what it
 * came to is told.
 */

/** Options of what is done by path. Zero is the default of every field; those that a call does not
 *  speak of it ignores. */
typedef struct ouro_path_options {
    const ouro_file *at;    /**< open folder that a relative path starts from; kept until the future
                                 settles. Default: the current folder */
    const ouro_file *to_at; /**< the same for the second path of ouro_path_rename() and
                                 ouro_path_link() */
    int no_follow;          /**< not 0: of a symbolic link itself: ouro_path_stat(),
                                 ouro_path_access() */
    int parents;    /**< not 0: ouro_path_mkdir() makes the folders above, too, and is content
                                 with one that is there */
    unsigned flags; /**< ouro_path_rename(): RENAME_NOREPLACE, RENAME_EXCHANGE, ... */
} ouro_path_options;

OURO_BEGIN_DECLS

/**
 * Ask about a file.
 *
 * @param path      Lent until the future settles.
 * @param ret_stat  Filled when the future settles with 0, until when it is lent; else what is in it
 *                  means nothing.
 * @param opts      Copied; NULL for defaults. Knows at, no_follow.
 * @return A future, never NULL: 0, -ENOENT, -EACCES, -ENOTDIR, -ELOOP, -ENAMETOOLONG, -EIO, -EINVAL
 *         (NULL), -EBADF (opts->at is closed), -ECANCELED, -ENOMEM, -EPERM (no loop), -ECHILD,
 *         -ESHUTDOWN.   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_stat(const char *path, ouro_stat *ret_stat,
                            const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Whether the process may do something with a file, judged by its effective user. By the time you
 * act on the answer it may be another: better try, and see.
 *
 * @param path  Lent until the future settles.
 * @param mode  R_OK, W_OK, X_OK, or'ed; F_OK: whether it is there.
 * @param opts  Copied; NULL for defaults. Knows at, no_follow.
 * @return A future, never NULL: 0 it may, -EACCES, -EROFS; else as ouro_path_stat().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_access(const char *path, int mode,
                              const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Rename a file. A file that has the new name is replaced, with nothing in between.
 *
 * @param from  Lent until the future settles.
 * @param to    Likewise.
 * @param opts  Copied; NULL for defaults. Knows at, to_at, flags.
 * @return A future, never NULL: 0, -ENOENT, -EEXIST, -ENOTEMPTY, -EISDIR, -ENOTDIR, -EXDEV (another
 *         file system), -EBUSY, -EROFS, -ENOSPC; else as ouro_path_stat().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_rename(const char *from, const char *to,
                              const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Remove a name; with the last one, the file, once nobody has it open.
 *
 * @param path  Lent until the future settles.
 * @param opts  Copied; NULL for defaults. Knows at.
 * @return A future, never NULL: 0, -EISDIR, -EPERM, -EBUSY, -EROFS; else as ouro_path_stat().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_unlink(const char *path, const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Remove an empty folder.
 *
 * @param path  Lent until the future settles.
 * @param opts  Copied; NULL for defaults. Knows at.
 * @return A future, never NULL: 0, -ENOTEMPTY, -EBUSY, -EROFS; else as ouro_path_stat().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_rmdir(const char *path, const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Make a folder.
 *
 * @param path  Lent until the future settles.
 * @param mode  Permissions, less the umask. 0777 is usual. Folders that parents makes have 0777,
 *              less the umask.
 * @param opts  Copied; NULL for defaults. Knows at, parents.
 * @return A future, never NULL: 0; -EEXIST (with parents only if it is no folder), -EROFS, -ENOSPC,
 *         -EMLINK; else as ouro_path_stat().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_mkdir(const char *path, unsigned mode,
                             const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Give a file one name more.
 *
 * @param from  Its name; of a symbolic link, the link itself. Lent until the future settles.
 * @param to    The new one. Lent until the future settles.
 * @param opts  Copied; NULL for defaults. Knows at, to_at.
 * @return A future, never NULL: 0, -EEXIST, -EXDEV (another file system), -EPERM (a folder, or not
 *         there), -EMLINK, -EROFS, -ENOSPC; else as ouro_path_stat().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_link(const char *from, const char *to,
                            const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Make a symbolic link.
 *
 * @param target  What it says, which need not exist. Lent until the future settles.
 * @param path    The link. Lent until the future settles.
 * @param opts    Copied; NULL for defaults. Knows at, which is for @p path.
 * @return A future, never NULL: 0, -EEXIST, -EROFS, -ENOSPC; else as ouro_path_stat().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_symlink(const char *target, const char *path,
                               const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Read what a symbolic link says.
 *
 * @param path  Lent until the future settles.
 * @param buf   Receives the text and a zero behind it. Lent until the future settles.
 * @param size  Of @p buf in bytes; 4 096 holds every link.
 * @param opts  Copied; NULL for defaults. Knows at.
 * @return A future, never NULL: the length of the text; -ERANGE (it does not fit), -EINVAL (no
 *         symbolic link, or NULL, or size 0); else as ouro_path_stat().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_readlink(const char *path, char *buf, size_t size,
                                const ouro_path_options *opts) OURO_NODISCARD;

/**
 * Set the length of a file, see ouro_file_truncate().
 *
 * @param path    Lent until the future settles.
 * @param length  Bytes.
 * @param opts    Copied; NULL for defaults. Knows at.
 * @return A future, never NULL: 0, -EISDIR, -EFBIG, -EPERM, -EROFS, -ETXTBSY; else as
 *         ouro_path_stat().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_path_truncate(const char *path, int64_t length,
                                const ouro_path_options *opts) OURO_NODISCARD;

OURO_END_DECLS

#endif
