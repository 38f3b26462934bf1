/* SPDX-License-Identifier: MIT */
#ifndef OURO_TEMP_H
#define OURO_TEMP_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file temp.h
 * Temporary files and folders, which remove themselves.
 *
 *     ouro_temp *t = ouro_await_ptr(ouro_temp_open(NULL), &rc);
 *     ... write to ouro_temp_fd(t) ...
 *     rc = ouro_await(ouro_temp_keep(t, "result.txt", NULL));    or not: then nothing is left
 *     ouro_temp_free(t);
 *
 * A file has no name while it need not have one (O_TMPFILE), so that not even a crash leaves it
 * behind. A folder has one always, and is removed with everything in it.
 */

/** A temporary file or folder. Belongs to the loop of the thread that opened it. */
typedef struct ouro_temp ouro_temp;

/** What to open. */
typedef enum ouro_temp_kind {
    OURO_TEMP_FILE = 0, /**< a file without a name, where the file system has such */
    OURO_TEMP_NAMED,    /**< a file with a name, for other programs to open */
    OURO_TEMP_FOLDER    /**< a folder */
} ouro_temp_kind;

/** Options of ouro_temp_open(). Zero is the default of every field. */
typedef struct ouro_temp_options {
    ouro_temp_kind kind; /**< Default: a file without a name */
    const char *in;      /**< the folder to make it in; lent until the future settles. To be kept it
                              must be in the file system that it is kept in. Default: TMPDIR of the
                              environment, or /tmp */
    const char *prefix;  /**< of its name; lent until the future settles. Default: "ouro-" */
    const char *suffix;  /**< of its name, such as ".txt"; likewise. Default: "" */
} ouro_temp_options;

/** Options of ouro_temp_keep(). Zero is the default of every field. */
typedef struct ouro_temp_keep_options {
    uint32_t mode; /**< permission bits, exactly. Default: 0600, as it was made */
    int exclusive; /**< not 0: -EEXIST if there is anything of that name. Default: a file there is
                        replaced */
    int sync;      /**< not 0: content and name are on the disk when the future settles */
} ouro_temp_keep_options;

OURO_BEGIN_DECLS

/**
 * Make a temporary file (mode 0600, open for reading and writing) or folder (mode 0700).
 *
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: 0, and an ouro_temp in ptr, for ouro_await_ptr(); an unwanted one
 *         removes itself.   @owns the caller.
 *   - -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENOSPC, -EMFILE, -ENFILE: ouro_future_detail() names the
 *     folder
 *   - -ENAMETOOLONG  prefix and suffix are too long
 *   - -EINVAL        an unknown kind, or a slash in prefix or suffix
 *   - -ECANCELED, -ENOMEM, -EAGAIN (no thread), -EPERM (no loop on this thread), -ECHILD,
 *     -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_temp_open(const ouro_temp_options *opts) OURO_NODISCARD;

/**
 * The descriptor of a file, for operations and other libraries.
 *
 * @param t  Borrowed.
 * @return The descriptor, still the temporary file's; -EISDIR (a folder), -EBADF (closed), -EINVAL
 *         (NULL).   @thread Loop thread only.
 */
int ouro_temp_fd(const ouro_temp *t);

/**
 * The path of one that has a name.
 *
 * @param t  Borrowed.
 * @return The path, which lives as long as @p t; NULL: it has no name (any more).
 * @thread Loop thread only.
 */
const char *ouro_temp_path(const ouro_temp *t);

/**
 * Give a file a lasting name; or a folder, which then is not replaced. From then on it stays. The
 * descriptor stays open.
 *
 * @param t     Borrowed until the future settles. Nothing else may be pending on it.
 * @param path  In the same file system. Lent until the future settles.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: 0.   @owns the caller.   On a failure it is as temporary as before.
 *   - -EXDEV       @p path is in another file system; or @p t is another thread's
 *   - -EEXIST      with exclusive; or of a folder: there is something of that name
 *   - -EISDIR      a folder has that name
 *   - -EALREADY    it has been kept before
 *   - -EBADF       closed
 *   - -EBUSY       a keep is under way
 *   - -ENOENT, -ENOTDIR, -EACCES, -EROFS, -ENOSPC, -ENAMETOOLONG, -EIO: as of link(2), rename(2)
 *   - -ECANCELED, -ENOMEM, -EINVAL (NULL, mode above 07777), -EAGAIN (no thread), -ECHILD,
 *     -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_temp_keep(ouro_temp *t, const char *path,
                            const ouro_temp_keep_options *opts) OURO_NODISCARD;

/**
 * Close it, and remove it unless it is kept: a folder with everything in it. A keep that is under
 * way comes to its end first.
 *
 * @param t  Borrowed; stays valid until ouro_temp_free(). May be closed again.
 * @return A future, never NULL: 0; of a folder the first error of removing what is in it; -EINVAL
 *         (NULL), -EXDEV, -ECHILD, -ESHUTDOWN, -ENOMEM. A cancel only ends the wait for it.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_temp_close(ouro_temp *t) OURO_NODISCARD;

/**
 * Give it back; close it, if that has not been done, without waiting for it: a job of the disk lane
 * removes it.
 *
 * @param t  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close; then, and where there
 *         is no memory for a job, it is removed before this returns.
 */
ouro_temp *ouro_temp_free(ouro_temp *t);

OURO_END_DECLS

#endif
