/* SPDX-License-Identifier: MIT */
#ifndef OURO_TREE_H
#define OURO_TREE_H

/*
 * The way down into a tree: the folders that one is in, outermost first. All calls block: they are
 * for jobs of the disk lane.
 */

#include "listing.h"

#include <sys/types.h>

/* A folder on the way, all of whose names have been read. */
struct ouro__level {
    struct ouro__names names;
    size_t at;       /* the next of them */
    size_t path_end; /* how much of the tree's path is its own */
    int fd;          /* -1: closed to save descriptors; or an error, since it is lost */
    dev_t device;
    ino_t inode;
};

struct ouro__tree {
    struct ouro__level *levels;
    unsigned depth; /* how many; entries of the last have this depth */
    unsigned capacity;
    struct ouro__text path; /* of the last level, and room for a name behind it */
    int from;               /* the folder that it starts from */
    bool sorted;
    bool follow;
    bool one_file_system;
};

/* Enter @path, which starts from the folder @from, and whose names are the first level: 0 or an
 * error. */
int ouro__tree_begin(struct ouro__tree *tree, int from, const char *path, bool follow);

/* The next name of the last level; NULL: there is none. Valid until the level is left. */
const ouro_entry *ouro__tree_next(struct ouro__tree *tree);

/* Its descriptor, or why it is lost. */
int ouro__tree_fd(const struct ouro__tree *tree);

/* The path of @name in it; NULL: no memory. Valid until the next call. */
const char *ouro__tree_path(struct ouro__tree *tree, const char *name);

/* Make the folder @name of the last level the last: 0; 1: it is a mount point not to be entered; or
 * an error: -ELOOP, it is one of those that lie around it. */
int ouro__tree_enter(struct ouro__tree *tree, const char *name);

/* Go back to the one around the last level. */
void ouro__tree_leave(struct ouro__tree *tree);

void ouro__tree_drop(struct ouro__tree *tree);

/* ouro_tree_remove(), here and now, with a path that starts from the folder @from; in a job with
 * words. */
int64_t ouro__tree_remove(int from, const char *path);

#endif
