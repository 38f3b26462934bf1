/* SPDX-License-Identifier: MIT */
/*
 * Temporary files and folders.
 *
 * Happy path: a job makes a fresh file (fresh.c), without a name if that can be, or a folder. It is
 * given a lasting name by another job, or removed by the one that shuts the handle. What has a name
 * keeps the folder it is in open, so that it is found again whatever has become of the working
 * directory.
 *
 * How it fails: with the errno of the step and words; then nothing was made, or nothing has
 * changed. A keep holds the handle open, and only one runs at a time.
 */
#include "disk.h"
#include "fresh.h"
#include "lane_handle.h"
#include "tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <ouro/task.h>
#include <ouro/temp.h>

#define DEFAULT_FOLDER "/tmp"
#define DEFAULT_PREFIX "ouro-"
#define TRIES          100

struct ouro_temp {
    struct ouro__handle handle; /* the first: it is what the opening job returns */
    ouro_temp_options opts;     /* while it is being opened */
    ouro_temp_kind kind;
    int folder;              /* that it is in, O_PATH; -1: it has no name */
    struct ouro__fresh file; /* of a folder only the name */
    char *in;                /* what TMPDIR was; NULL: not asked for */
    char *path;              /* NULL: has none to tell */
    bool busy;               /* it is being kept */
    bool kept;
};

static ouro_temp *temp_of(const void *handle)
{
    return OURO__CONTAINER(handle, ouro_temp, handle);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int make_folder(ouro_temp *t, const char *prefix, const char *suffix)
{
    int rc = -EEXIST;
    for (int i = 0; i < TRIES && rc == -EEXIST; i++) {
        if (!ouro__random_name(t->file.name, sizeof(t->file.name), prefix, suffix))
            rc = -ENAMETOOLONG;
        else
            rc = mkdirat(t->folder, t->file.name, 0700) < 0 ? -errno : 0;
    }
    if (rc < 0)
        t->file.name[0] = '\0';
    return rc;
}

static int make(ouro_temp *t)
{
    const char *prefix = t->opts.prefix ? t->opts.prefix : DEFAULT_PREFIX;
    const char *suffix = t->opts.suffix ? t->opts.suffix : "";
    switch (t->kind) {
    case OURO_TEMP_FILE:
        return ouro__fresh_open(&t->file, t->folder, 0600);
    case OURO_TEMP_NAMED:
        return ouro__fresh_open_named(&t->file, t->folder, 0600, prefix, suffix);
    case OURO_TEMP_FOLDER:
        return make_folder(t, prefix, suffix);
    }
    return -EINVAL;
}

/* Its path, from that of the folder it is in. */
static int make_path(ouro_temp *t, const char *in)
{
    if (t->kind == OURO_TEMP_FILE)
        return 0;
    size_t size = strlen(in) + strlen(t->file.name) + 2;
    t->path = ouro__alloc(size);
    if (!t->path)
        return -ENOMEM;
    const char *slash = *in && in[strlen(in) - 1] == '/' ? "" : "/";
    snprintf(t->path, size, "%s%s%s", in, slash, t->file.name);
    return 0;
}

/* Remove it, unless it was kept, and close it. A job that the loop's shutdown stops half-way leaves
 * it open, and what is left in it to whoever comes next. */
static int64_t shut_temp(void *arg)
{
    ouro_temp *t = temp_of(arg);
    int64_t rc = 0;
    if (t->kind == OURO_TEMP_FOLDER && t->file.name[0])
        rc = ouro__tree_remove(t->folder, t->file.name);
    else
        ouro__fresh_drop(&t->file);
    if (rc == -ECANCELED)
        return rc;
    t->file.name[0] = '\0';
    ouro__disk_close(&t->folder);
    return rc < 0 && rc != -ENOENT ? rc : 0;
}

static int64_t open_temp(void *arg)
{
    ouro_temp *t = temp_of(arg);
    const char *in = t->in ? t->in : t->opts.in;
    t->folder = open(in, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc = t->folder < 0 ? -errno : make(t);
    if (rc == 0)
        rc = make_path(t, in);
    if (rc < 0) {
        shut_temp(arg);
        return ouro_task_fail(rc, "cannot make a temporary file or folder in %s", in);
    }
    if (!t->file.name[0])
        ouro__disk_close(&t->folder);
    return ouro__handle_opened(&t->handle);
}

static bool temp_has_open(const struct ouro__handle *handle)
{
    const ouro_temp *t = temp_of(handle);
    return t->file.fd >= 0 || t->folder >= 0;
}

static void temp_destroy(struct ouro__handle *handle)
{
    ouro_temp *t = temp_of(handle);
    shut_temp(handle);
    ouro__disk_close(&t->folder);
    ouro__release(t->in);
    ouro__release(t->path);
    ouro__release(t);
}

static const struct ouro__handle_kind temp_kind = {
    .name = "temporary file",
    .has_open = temp_has_open,
    .shut = shut_temp,
    .destroy = temp_destroy,
};

/* The environment is read here and now: no other thread may. */
static bool choose_folder(ouro_temp *t)
{
    const char *in = getenv("TMPDIR");
    if (t->opts.in)
        return true;
    if (!in || !*in)
        in = DEFAULT_FOLDER;
    size_t size = strlen(in) + 1;
    t->in = ouro__alloc(size);
    if (t->in)
        memcpy(t->in, in, size);
    return t->in != NULL;
}

static bool is_part_of_name(const char *part)
{
    return !part || !strchr(part, '/');
}

ouro_future *ouro_temp_open(const ouro_temp_options *opts)
{
    static const ouro_temp_options defaults;
    ouro_loop *loop;
    opts = opts ? opts : &defaults;
    bool valid = opts->kind <= OURO_TEMP_FOLDER && is_part_of_name(opts->prefix) &&
                 is_part_of_name(opts->suffix);
    int rc = valid ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    ouro_temp *t = ouro__alloc(sizeof(*t));
    if (!t)
        return ouro__failed(-ENOMEM);
    *t = (ouro_temp){.opts = *opts, .kind = opts->kind, .folder = -1, .file.fd = -1};
    ouro__handle_init(&t->handle, loop, &temp_kind);
    if (!choose_folder(t)) {
        ouro__handle_unref(&t->handle);
        return ouro__failed(-ENOMEM);
    }
    return ouro__on_disk(open_temp, &t->handle, ouro__handle_unref, "temporary file");
}

/* ---- Looking --------------------------------------------------------------------------------- */

int ouro_temp_fd(const ouro_temp *t)
{
    if (!t)
        return -EINVAL;
    if (atomic_load(&t->handle.closed))
        return -EBADF;
    return t->kind == OURO_TEMP_FOLDER ? -EISDIR : t->file.fd;
}

const char *ouro_temp_path(const ouro_temp *t)
{
    return t && !t->kept && !atomic_load(&t->handle.closed) ? t->path : NULL;
}

/* ---- Keeping --------------------------------------------------------------------------------- */

struct keeping {
    ouro_temp *t; /* held open */
    const char *path;
    ouro_temp_keep_options opts;
    bool done;
};

static int keep_folder(struct keeping *k, const struct ouro__place *place)
{
    ouro_temp *t = k->t;
    if (k->opts.mode && fchmodat(t->folder, t->file.name, k->opts.mode, 0) < 0)
        return -errno;
    unsigned flags = RENAME_NOREPLACE;
    if (renameat2(t->folder, t->file.name, place->folder, place->name, flags) < 0)
        return -errno;
    t->file.name[0] = '\0';
    return k->opts.sync ? ouro__sync_folder(place->folder, place->folder) : 0;
}

static int keep_file(struct keeping *k, const struct ouro__place *place)
{
    ouro_temp *t = k->t;
    int fd = t->file.fd;
    if (k->opts.mode && fchmod(fd, k->opts.mode) < 0)
        return -errno;
    if (k->opts.sync && fsync(fd) < 0)
        return -errno;
    int rc = ouro__fresh_keep(&t->file, place, k->opts.exclusive);
    return rc == 0 && k->opts.sync ? ouro__sync_folder(place->folder, fd) : rc;
}

static int64_t keep_in_job(void *arg)
{
    struct keeping *k = arg;
    struct ouro__place place;
    int rc = ouro__place_open(&place, k->path);
    if (rc == 0) {
        bool is_folder = k->t->kind == OURO_TEMP_FOLDER;
        rc = is_folder ? keep_folder(k, &place) : keep_file(k, &place);
        ouro__place_close(&place);
    }
    if (rc < 0)
        return ouro_task_fail(rc, "cannot keep a temporary file as %s", k->path);
    k->done = true;
    return 0;
}

static void keeping_free(void *arg)
{
    struct keeping *k = arg;
    k->t->busy = false;
    k->t->kept = k->done;
    ouro__handle_let_go(&k->t->handle);
    ouro__release(k);
}

static int check_keep(const ouro_temp *t, const char *path, const ouro_temp_keep_options *opts)
{
    int rc = path && (!opts || !(opts->mode & ~07777u)) ? 0 : -EINVAL;
    if (rc == 0)
        rc = ouro__handle_check(t ? &t->handle : NULL);
    if (rc == 0 && t->busy)
        rc = -EBUSY;
    return rc == 0 && t->kept ? -EALREADY : rc;
}

ouro_future *ouro_temp_keep(ouro_temp *t, const char *path, const ouro_temp_keep_options *opts)
{
    int rc = check_keep(t, path, opts);
    if (rc < 0)
        return ouro__failed(rc);
    struct keeping *k = ouro__alloc(sizeof(*k));
    if (!k)
        return ouro__failed(-ENOMEM);
    *k = (struct keeping){.t = t, .path = path};
    if (opts)
        k->opts = *opts;
    t->busy = true;
    ouro__handle_hold(&t->handle);
    return ouro__on_disk(keep_in_job, k, keeping_free, "keeping of a temporary file");
}

/* ---- The end --------------------------------------------------------------------------------- */

ouro_future *ouro_temp_close(ouro_temp *t)
{
    return ouro__handle_close(t ? &t->handle : NULL);
}

ouro_temp *ouro_temp_free(ouro_temp *t)
{
    ouro__handle_free(t ? &t->handle : NULL);
    return NULL;
}
