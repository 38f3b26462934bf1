/* SPDX-License-Identifier: MIT */
/*
 * Whole files, replaced.
 *
 * Happy path: one job of the disk lane, by way of a fresh file (fresh.c). How it fails: with the
 * errno of the step and words that name the file; then the old one is as it was.
 */
#include "disk.h"
#include "fresh.h"
#include "memory_int.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <ouro/task.h>
#include <ouro/whole.h>

struct writing {
    const char *path;
    const void *data;
    size_t size;
    ouro_write_atomic_options opts;
    struct ouro__place place;
    struct ouro__fresh file;
    bool keeps_mode; /* of what it replaces */
    mode_t mode;
};

/* Look at what has its name. */
static int look_at_target(struct writing *w)
{
    struct stat st;
    if (fstatat(w->place.folder, w->place.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (w->opts.exclusive)
        return -EEXIST;
    w->keeps_mode = S_ISREG(st.st_mode);
    w->mode = st.st_mode & 07777;
    return 0;
}

/* The owner comes first: a change of it takes set-id bits away. */
static int set_attributes(const struct writing *w)
{
    if (w->opts.set_owner && fchown(w->file.fd, w->opts.uid, w->opts.gid) < 0)
        return -errno;
    if (w->opts.mode)
        return fchmod(w->file.fd, w->opts.mode) < 0 ? -errno : 0;
    return w->keeps_mode && fchmod(w->file.fd, w->mode) < 0 ? -errno : 0;
}

static int fill(struct writing *w)
{
    /* Until it is what it shall be, it is for nobody else. */
    bool exact = w->opts.mode || w->keeps_mode;
    int rc = ouro__fresh_open(&w->file, w->place.folder, exact ? 0600 : 0666);
    if (rc == 0)
        rc = ouro__write_all(w->file.fd, w->data, w->size);
    if (rc == 0)
        rc = set_attributes(w);
    if (rc == 0 && !w->opts.no_sync && fsync(w->file.fd) < 0)
        rc = -errno;
    return rc == 0 && ouro_job_cancelled() ? -ECANCELED : rc;
}

static int replace(struct writing *w)
{
    int rc = look_at_target(w);
    if (rc == 0)
        rc = fill(w);
    if (rc == 0)
        rc = ouro__fresh_keep(&w->file, &w->place, w->opts.exclusive);
    if (rc == 0 && !w->opts.no_sync)
        rc = ouro__sync_folder(w->place.folder, w->file.fd);
    ouro__fresh_drop(&w->file);
    return rc;
}

static int64_t write_in_job(void *arg)
{
    struct writing *w = arg;
    int rc = ouro__place_open(&w->place, w->path);
    if (rc == 0) {
        rc = replace(w);
        ouro__place_close(&w->place);
    }
    return rc < 0 ? ouro_task_fail(rc, "cannot write %s", w->path) : (int64_t)w->size;
}

ouro_future *ouro_file_write_atomic(const char *path, const void *data, size_t size,
                                    const ouro_write_atomic_options *opts)
{
    bool valid = path && (data || size == 0) && size <= INT64_MAX &&
                 (!opts || !(opts->mode & ~07777u));
    if (!valid)
        return ouro__failed(-EINVAL);
    struct writing *w = ouro__alloc(sizeof(*w));
    if (!w)
        return ouro__failed(-ENOMEM);
    *w = (struct writing){.path = path, .data = data, .size = size, .file.fd = -1};
    if (opts)
        w->opts = *opts;
    return ouro__on_disk(write_in_job, w, ouro__release, "write of a file");
}
