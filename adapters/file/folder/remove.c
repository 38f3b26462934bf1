/* SPDX-License-Identifier: MIT */
/*
 * Removing a tree: one job of the disk lane.
 *
 * Happy path: what has the name is unlinked; if it is a folder, the way goes down into it (tree.c,
 * which follows no links), files are unlinked as they come, folders when they have been left. How
 * it fails: the first error is remembered with its path, and the rest goes on; what vanishes by
 * itself is none.
 */
#include "disk.h"
#include "tree.h"

#include "memory_int.h"

#include <fcntl.h>
#include <string.h>

#include <ouro/task.h>

struct removal {
    struct ouro__tree tree;
    int64_t count;
    int error; /* the first */
};

/* An attempt at @name in the last level has come to @rc, 0 or an error. */
static void note(struct removal *r, int rc, const char *name)
{
    if (rc == 0)
        r->count++;
    if (rc == 0 || rc == -ENOENT || r->error)
        return;
    r->error = rc;
    const char *path = ouro__tree_path(&r->tree, name);
    if (path)
        ouro_task_fail(rc, "cannot remove %s", path);
}

static int unlink_at(int folder, const char *name, int flags)
{
    if (folder < 0 && folder != AT_FDCWD)
        return folder; /* it is lost */
    return unlinkat(folder, name, flags) < 0 ? -errno : 0;
}

/* One name. What it stands for may have changed since it was read. */
static void remove_entry(struct removal *r, const ouro_entry *e)
{
    int fd = ouro__tree_fd(&r->tree);
    int rc = -EISDIR;
    if (e->type != OURO_ENTRY_FOLDER)
        rc = unlink_at(fd, e->name, 0);
    if (rc != -EISDIR) {
        note(r, rc, e->name);
        return;
    }
    rc = ouro__tree_enter(&r->tree, e->name);
    if (rc == -ENOTDIR || rc == -ELOOP)
        note(r, unlink_at(fd, e->name, 0), e->name);
    else if (rc != 0)
        note(r, rc, e->name);
}

/* Leave a folder that should be empty now, and remove it. */
static void remove_left(struct removal *r)
{
    ouro__tree_leave(&r->tree);
    struct ouro__level *level = &r->tree.levels[r->tree.depth - 1];
    const char *name = level->names.list[level->at - 1].name;
    note(r, unlink_at(level->fd, name, AT_REMOVEDIR), name);
}

/* All that is in it. 0 or -ECANCELED. */
static int empty(struct removal *r)
{
    for (;;) {
        if (ouro_job_cancelled())
            return -ECANCELED;
        const ouro_entry *e = ouro__tree_next(&r->tree);
        if (e)
            remove_entry(r, e);
        else if (r->tree.depth > 1)
            remove_left(r);
        else
            return 0;
    }
}

static int64_t remove_folder(int from, const char *path)
{
    struct removal r = {.count = 0};
    int rc = ouro__tree_begin(&r.tree, from, path, false);
    if (rc == 0)
        rc = empty(&r);
    if (rc == 0 && !r.error)
        rc = unlink_at(from, path, AT_REMOVEDIR);
    if (rc < 0 && rc != -ECANCELED)
        ouro_task_fail(rc, "cannot remove %s", path);
    ouro__tree_drop(&r.tree);
    if (rc == 0)
        rc = r.error;
    return rc < 0 ? rc : r.count + 1;
}

static int64_t remove_path(int from, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    if (ouro__entry_type(from, path, false) == OURO_ENTRY_FOLDER)
        return remove_folder(from, path);
    int rc = unlink_at(from, path, 0);
    return rc < 0 ? ouro_task_fail(rc, "cannot remove %s", path) : 1;
}

/* Without the slashes at its end, which would have a link followed. */
int64_t ouro__tree_remove(int from, const char *path)
{
    size_t length = strlen(path);
    if (length == 0)
        return -ENOENT;
    while (length > 0 && path[length - 1] == '/')
        length--;
    char *bare = ouro__alloc(length + 1);
    if (!bare)
        return -ENOMEM;
    memcpy(bare, path, length);
    bare[length] = '\0';
    int64_t n = remove_path(from, bare);
    ouro__release(bare);
    return n;
}

static int64_t remove_in_job(void *arg)
{
    return ouro__tree_remove(AT_FDCWD, arg);
}

ouro_future *ouro_tree_remove(const char *path)
{
    if (!path)
        return ouro__failed(-EINVAL);
    return ouro__on_disk(remove_in_job, (void *)(uintptr_t)path, NULL, "removal of a tree");
}
