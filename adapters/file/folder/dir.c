/* SPDX-License-Identifier: MIT */
/*
 * Listing a folder.
 *
 * Happy path: one job opens it and reads the first names; if these are all, it closes it as well,
 * so that a folder of usual size costs one visit to the disk lane. A bigger one is read on, 64 KiB
 * at a time, when all that was read has been handed out. How it fails: with the errno of the open
 * and words, or later with that of reading, which ends the listing.
 */
#include "disk.h"
#include "feed.h"
#include "listing.h"

#include <fcntl.h>

#include <ouro/task.h>

#define AT_A_TIME ((size_t)64 << 10) /* about a thousand names */

struct ouro_dir {
    struct ouro__feed feed; /* the first: its handle is what the opening job returns */
    const char *path;       /* while it is being opened */
    bool sorted;
    int fd;                       /* -1: it has been read to its end */
    struct ouro__batch *incoming; /* from a job that has ended */
};

static ouro_dir *dir_of(const struct ouro__feed *feed)
{
    return OURO__CONTAINER(feed, ouro_dir, feed);
}

/* The same for what jobs are told. */
static ouro_dir *dir_at(const void *handle)
{
    return dir_of(ouro__feed_of(handle));
}

/* ---- On the lane ----------------------------------------------------------------------------- */

static struct ouro__batch *batch_of(struct ouro__names *names)
{
    struct ouro__batch *batch = ouro__batch_new(names->list, sizeof(*names->list), names->count,
                                                names->text.bytes);
    if (batch)
        *names = (struct ouro__names){0};
    return batch;
}

static int64_t read_names(void *arg)
{
    ouro_dir *d = dir_at(arg);
    struct ouro__names names = {0};
    int rc = ouro__names_read(&names, d->fd, d->sorted ? SIZE_MAX : AT_A_TIME);
    if (rc >= 0 && d->sorted)
        ouro__names_sort(&names);
    if (rc >= 0) {
        d->incoming = batch_of(&names);
        rc = d->incoming ? rc : -ENOMEM;
    }
    ouro__names_drop(&names);
    if (rc <= 0)
        ouro__disk_close(&d->fd);
    return rc;
}

static int64_t open_dir(void *arg)
{
    ouro_dir *d = dir_at(arg);
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t rc = d->fd < 0 ? -errno : read_names(arg);
    if (rc < 0)
        return ouro_task_fail(rc, "cannot list %s", d->path);
    ouro__feed_add(&d->feed, d->incoming);
    d->incoming = NULL;
    return ouro__handle_opened(&d->feed.handle);
}

static int64_t shut_dir(void *arg)
{
    ouro__disk_close(&dir_at(arg)->fd);
    return 0;
}

/* ---- As a feed ------------------------------------------------------------------------------- */

static int fetch_names(struct ouro__feed *feed)
{
    return dir_of(feed)->fd < 0 ? OURO__FEED_END : ouro__feed_run(feed, read_names);
}

static int names_fetched(struct ouro__feed *feed, int64_t n)
{
    ouro_dir *d = dir_of(feed);
    ouro__feed_add(feed, d->incoming);
    d->incoming = NULL;
    return n < 0 && n != -ECANCELED ? (int)n : 0;
}

static int64_t show_name(struct ouro__feed *feed, const void *record)
{
    (void)feed;
    (void)record;
    return 1;
}

static bool dir_has_open(const struct ouro__handle *handle)
{
    return dir_at(handle)->fd >= 0;
}

static void dir_destroy(struct ouro__handle *handle)
{
    ouro_dir *d = dir_at(handle);
    ouro__feed_drop(&d->feed);
    ouro__disk_close(&d->fd);
    ouro__batch_free(d->incoming);
    ouro__release(d);
}

static const struct ouro__feed_kind dir_kind = {
    .handle = {.name = "listing of a folder",
               .closing = ouro__feed_closing,
               .has_open = dir_has_open,
               .shut = shut_dir,
               .destroy = dir_destroy},
    .fetch = fetch_names,
    .fetched = names_fetched,
    .show = show_name,
};

ouro_future *ouro_dir_open(const char *path, const ouro_dir_options *opts)
{
    ouro_loop *loop;
    int rc = path ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    ouro_dir *d = ouro__alloc(sizeof(*d));
    if (!d)
        return ouro__failed(-ENOMEM);
    *d = (ouro_dir){.path = path, .sorted = opts && opts->sorted, .fd = -1};
    ouro__feed_init(&d->feed, loop, &dir_kind);
    return ouro__on_disk(open_dir, &d->feed.handle, ouro__handle_unref, "open of a folder");
}

ouro_future *ouro_dir_next(ouro_dir *d)
{
    return ouro__feed_next(d ? &d->feed : NULL);
}

ouro_future *ouro_dir_close(ouro_dir *d)
{
    return ouro__handle_close(d ? &d->feed.handle : NULL);
}

ouro_dir *ouro_dir_free(ouro_dir *d)
{
    ouro__handle_free(d ? &d->feed.handle : NULL);
    return NULL;
}
