/* SPDX-License-Identifier: MIT */
/*
 * The way down into a tree.
 *
 * Each level is a folder, opened by its name in the one above, read as a whole, and kept open for
 * the sake of what is in it; so no path is ever too long, and nobody can have us follow a link that
 * was put there meanwhile. Of deep levels only the last KEPT are open. On the way back a closed one
 * is opened again as the ".." of that below, or by its path, and must be what it was, by device and
 * inode.
 *
 * How it fails: with the errno of the step, and nothing is entered. A folder that cannot be found
 * again is lost: what is left in it has its names still, but cannot be entered.
 */
#include "tree.h"

#include "disk.h"
#include "memory_int.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define KEPT 16u
#define HOW  (O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC)

static struct ouro__level *last_of(const struct ouro__tree *tree)
{
    return &tree->levels[tree->depth - 1];
}

static bool grow(struct ouro__tree *tree)
{
    if (tree->depth < tree->capacity)
        return true;
    unsigned capacity = tree->capacity ? tree->capacity * 2 : 16;
    struct ouro__level *levels = ouro__resize(tree->levels, capacity * sizeof(*levels));
    if (!levels)
        return false;
    tree->levels = levels;
    tree->capacity = capacity;
    return true;
}

const char *ouro__tree_path(struct ouro__tree *tree, const char *name)
{
    size_t size = strlen(name) + 1;
    struct ouro__text *path = &tree->path;
    if (!ouro__text_reserve(path, size + 1))
        return NULL;
    char *end = path->bytes + path->used;
    if (path->used && end[-1] != '/')
        *end++ = '/';
    memcpy(end, name, size);
    return path->bytes;
}

/* ---- Down ------------------------------------------------------------------------------------ */

/* Whether the folder with @st lies around itself. */
static bool is_around(const struct ouro__tree *tree, const struct stat *st)
{
    for (unsigned i = 0; i < tree->depth; i++)
        if (tree->levels[i].inode == st->st_ino && tree->levels[i].device == st->st_dev)
            return true;
    return false;
}

static int read_level(struct ouro__level *level, int fd, bool sorted)
{
    int rc = ouro__names_read(&level->names, fd, SIZE_MAX);
    if (rc == 0 && sorted)
        ouro__names_sort(&level->names);
    if (rc < 0)
        ouro__names_drop(&level->names);
    return rc;
}

/* Make @fd, whose path is tree->path, the last level. */
static int push(struct ouro__tree *tree, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (tree->depth && tree->one_file_system && st.st_dev != tree->levels[0].device)
        return 1;
    if (is_around(tree, &st))
        return -ELOOP;
    if (!grow(tree))
        return -ENOMEM;
    struct ouro__level level = {
        .fd = fd,
        .device = st.st_dev,
        .inode = st.st_ino,
        .path_end = strlen(tree->path.bytes),
    };
    int rc = read_level(&level, fd, tree->sorted);
    if (rc < 0)
        return rc;
    tree->path.used = level.path_end;
    tree->levels[tree->depth++] = level;
    if (tree->depth > KEPT)
        ouro__disk_close(&tree->levels[tree->depth - KEPT - 1].fd);
    return 0;
}

/* Open @path, from the folder @at, and enter it. */
static int open_level(struct ouro__tree *tree, int at, const char *path, bool follow)
{
    int fd = openat(at, path, HOW | (follow ? 0 : O_NOFOLLOW));
    if (fd < 0)
        return -errno;
    int rc = push(tree, fd);
    if (rc != 0)
        close(fd);
    return rc;
}

int ouro__tree_begin(struct ouro__tree *tree, int from, const char *path, bool follow)
{
    tree->from = from;
    return ouro__tree_path(tree, path) ? open_level(tree, from, path, follow) : -ENOMEM;
}

int ouro__tree_fd(const struct ouro__tree *tree)
{
    return last_of(tree)->fd;
}

int ouro__tree_enter(struct ouro__tree *tree, const char *name)
{
    int fd = ouro__tree_fd(tree);
    if (fd < 0)
        return fd;
    return ouro__tree_path(tree, name) ? open_level(tree, fd, name, tree->follow) : -ENOMEM;
}

const ouro_entry *ouro__tree_next(struct ouro__tree *tree)
{
    struct ouro__level *level = last_of(tree);
    return level->at < level->names.count ? &level->names.list[level->at++] : NULL;
}

/* ---- Up -------------------------------------------------------------------------------------- */

/* Open what should be @level: its descriptor, or an error. */
static int open_again(const struct ouro__level *level, int at, const char *path)
{
    struct stat st;
    int fd = openat(at, path, HOW);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && st.st_ino == level->inode && st.st_dev == level->device)
        return fd;
    close(fd);
    return -ESTALE;
}

void ouro__tree_leave(struct ouro__tree *tree)
{
    struct ouro__level *left = last_of(tree);
    struct ouro__level *level = tree->depth > 1 ? left - 1 : NULL;
    if (level) {
        tree->path.used = level->path_end;
        tree->path.bytes[level->path_end] = '\0';
    }
    if (level && level->fd == -1) {
        level->fd = left->fd < 0 ? left->fd : open_again(level, left->fd, "..");
        if (level->fd < 0)
            level->fd = open_again(level, tree->from, tree->path.bytes);
    }
    if (left->fd >= 0)
        close(left->fd);
    ouro__names_drop(&left->names);
    tree->depth--;
}

void ouro__tree_drop(struct ouro__tree *tree)
{
    for (unsigned i = 0; i < tree->depth; i++) {
        if (tree->levels[i].fd >= 0)
            close(tree->levels[i].fd);
        ouro__names_drop(&tree->levels[i].names);
    }
    ouro__release(tree->levels);
    ouro__release(tree->path.bytes);
    *tree = (struct ouro__tree){0};
}
