/* SPDX-License-Identifier: MIT */
#ifndef OURO_DIR_H
#define OURO_DIR_H

#include <ouro/base.h>
#include <ouro/future.h>

/**
 * @file dir.h
 * Folders: listed, walked, removed.
 *
 *     ouro_dir *d = ouro_await_ptr(ouro_dir_open(".", NULL), &rc);
 *     const ouro_entry *e;
 *     while ((e = ouro_await_ptr(ouro_dir_next(d), &rc)))
 *         puts(e->name);
 *     ouro_dir_free(d);    rc is 0, or what went wrong
 *
 * The kernel lists folders only in calls that may block, so entries are fetched by jobs of the disk
 * lane, many at a time: opening brings the first, a folder of usual size with that is read and
 * closed, and most calls of next have their entry at once. An entry that nobody takes, since its
 * wait was cancelled or lost a select, comes again.
 */

/** A folder that is being listed. Belongs to the loop of the thread that opened it. */
typedef struct ouro_dir ouro_dir;

/** A tree that is being walked. Belongs to the loop of the thread that opened it. */
typedef struct ouro_walk ouro_walk;

/** What a name stands for. */
typedef enum ouro_entry_type {
    OURO_ENTRY_UNKNOWN = 0, /**< it vanished before it could be told */
    OURO_ENTRY_FILE,        /**< a regular file */
    OURO_ENTRY_FOLDER,      /**< a folder */
    OURO_ENTRY_LINK,        /**< a symbolic link */
    OURO_ENTRY_FIFO,        /**< a pipe with a name */
    OURO_ENTRY_SOCKET,      /**< a unix socket */
    OURO_ENTRY_CHAR_DEVICE, /**< a device of characters: a terminal, /dev/null */
    OURO_ENTRY_BLOCK_DEVICE /**< a device of blocks: a disk */
} ouro_entry_type;

/** One name in a folder; "." and ".." are left out. */
typedef struct ouro_entry {
    const char *name;     /**< within its folder */
    uint64_t inode;       /**< its number in the file system; of a mount point that below it */
    ouro_entry_type type; /**< what it is, links not followed */
} ouro_entry;

/** One name in a tree, or an error. */
typedef struct ouro_walk_entry {
    const char *path;     /**< the path the walk was opened with, and from there */
    const char *name;     /**< the last part of path */
    uint64_t inode;       /**< its number in the file system */
    ouro_entry_type type; /**< what it is; of a link that is followed what that leads to */
    unsigned depth;       /**< 1: in the folder itself */
    int error;            /**< 0, or < 0: the folder at path could not be read (further), and
                               the walk goes on behind it */
} ouro_walk_entry;

/** Options of ouro_dir_open(). Zero is the default of every field. */
typedef struct ouro_dir_options {
    int sorted; /**< not 0: in the order of strcmp(3); the whole folder is read first */
} ouro_dir_options;

/** Options of ouro_walk_open(). Zero is the default of every field. */
typedef struct ouro_walk_options {
    unsigned max_depth;  /**< of entries; 1: the folder itself. Default: no limit */
    int sorted;          /**< not 0: the names of each folder in the order of strcmp(3) */
    int follow_links;    /**< not 0: symbolic links to folders are walked too; one that leads back
                             to a folder around it is the error -ELOOP. Default: they are not, but
                             for the path that the walk begins with */
    int one_file_system; /**< not 0: mount points are told and not entered */
} ouro_walk_options;

OURO_BEGIN_DECLS

/* ---- Listing --------------------------------------------------------------------------------- */

/**
 * Open a folder for listing.
 *
 * @param path  Lent until the future settles. Symbolic links are followed.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: 0, and an ouro_dir in ptr, for ouro_await_ptr().
 * @owns the caller.
 *   - -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG, -EMFILE, -ENFILE, -EIO:
 *     ouro_future_detail() names the folder
 *   - -ECANCELED, -ENOMEM, -EINVAL (NULL), -EAGAIN (no thread), -EPERM (no loop on this thread),
 *     -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_dir_open(const char *path, const ouro_dir_options *opts) OURO_NODISCARD;

/**
 * The next entry. What is made or removed meanwhile may be among them or not.
 *
 * @param d  Borrowed; the future keeps what it needs of it. One wait at a time.
 * @return A future, never NULL: 1, and in ptr a const ouro_entry, which is @p d's and valid until
 *         the next call of this function; 0 and NULL at the end.   @owns the caller.
 *   - -EBADF       closed; also if that happens while it waits
 *   - -EBUSY       another wait is pending
 *   - -EIO, ...    of reading the folder, -ENOMEM then too; what was not read yet is left out
 *   - -ECANCELED, -ENOMEM, -EAGAIN (no thread) of the call itself: no entry is lost. -EINVAL
 *     (NULL), -EXDEV, -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_dir_next(ouro_dir *d) OURO_NODISCARD;

/**
 * Close it. Who waits for an entry gets -EBADF.
 *
 * @param d  Borrowed; stays valid until ouro_dir_free(). May be closed again, by many.
 * @return A future, never NULL: 0 when its descriptor is closed; -EINVAL (NULL), -EXDEV, -ECHILD,
 *         -ENOMEM, -ESHUTDOWN (then ouro_dir_free() does). A cancel only ends the wait for it.
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_dir_close(ouro_dir *d) OURO_NODISCARD;

/**
 * Give it back, and close it if that has not been done. Entries are gone with it.
 *
 * @param d  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_dir *ouro_dir_free(ouro_dir *d);

/* ---- Walking --------------------------------------------------------------------------------- */

/**
 * Walk a tree: everything in a folder, each folder before what is in it.
 *
 * A folder is read as a whole and closed; of those that the walk is in at a time, the deepest 16
 * are open, and they are told from what others put in their place meanwhile. So neither depth nor
 * the length of paths has a limit but memory.
 *
 * @param path  The folder. Lent until the future settles; a symbolic link is followed.
 * @param opts  Copied; NULL for defaults.
 * @return A future, never NULL: 0, and an ouro_walk in ptr, for ouro_await_ptr(); else as
 *         ouro_dir_open().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_walk_open(const char *path, const ouro_walk_options *opts) OURO_NODISCARD;

/**
 * The next entry. A folder that cannot be read, has vanished or was replaced by something else is
 * told a second time, with its error, and the walk goes on.
 *
 * @param w  Borrowed; the future keeps what it needs of it. One wait at a time.
 * @return A future, never NULL: 1, and in ptr a const ouro_walk_entry, which is @p w's and valid
 *         until the next call of this function; 0 and NULL at the end; else as ouro_dir_next().
 * @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_walk_next(ouro_walk *w) OURO_NODISCARD;

/**
 * Do not enter the folder that was told last; if that was no folder, leave out the rest of the
 * folder it is in.
 *
 * @param w  Borrowed.
 * @return 0, -EINVAL (NULL), -EXDEV, -ECHILD, -EBADF (closed).   @thread Loop thread only.
 */
int ouro_walk_skip(ouro_walk *w);

/**
 * Close it. Who waits for an entry gets -EBADF.
 *
 * @param w  Borrowed; stays valid until ouro_walk_free(). May be closed again, by many.
 * @return As ouro_dir_close().   @owns the caller.   @thread Loop thread only.
 */
ouro_future *ouro_walk_close(ouro_walk *w) OURO_NODISCARD;

/**
 * Give it back, and close it if that has not been done. Entries are gone with it.
 *
 * @param w  Consumed; NULL is allowed.
 * @return NULL.   @thread Loop thread only. Allowed after the loop's close.
 */
ouro_walk *ouro_walk_free(ouro_walk *w);

/* ---- Removing -------------------------------------------------------------------------------- */

/**
 * Remove what @p path names, a folder with everything in it. Symbolic links are removed and never
 * followed, whatever others do to the tree meanwhile.
 *
 * @param path  Lent until the future settles.
 * @return A future, never NULL: how many files and folders were removed.   @owns the caller.
 *   - the first error, with words that name the path; the rest was removed as far as possible.
 *     What others have removed meanwhile is none
 *   - -ENOENT      there is no such thing
 *   - -ECANCELED   the rest is still there
 *   - -ENOMEM, -EINVAL (NULL; "." or ".."), -EAGAIN (no thread), -EPERM (no loop on this thread),
 *     -ECHILD, -ESHUTDOWN
 * @thread Loop thread only.
 */
ouro_future *ouro_tree_remove(const char *path) OURO_NODISCARD;

OURO_END_DECLS

#endif
