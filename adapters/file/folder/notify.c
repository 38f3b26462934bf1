/* SPDX-License-Identifier: MIT */
/*
 * Change notification: inotify(7) as a feed.
 *
 * Happy path: somebody waits; the queue is read, which never blocks, and if it was empty, it is
 * polled through the ring, in the background, so that a queue nobody waits for keeps no loop
 * running. What one read brings is a batch. The wait may be cancelled at any time: until a read
 * the events are the kernel's, and after it the batch's.
 *
 * A watch is added by a job of the disk lane, since that walks a path. It is removed here and now,
 * which takes locks and no more. Closing is a job again: the kernel waits for a grace period then.
 *
 * How it fails: no memory is an error of the call, and what was read stays where it is until there
 * is some.
 */
#include "disk.h"
#include "feed.h"

#include <limits.h>
#include <string.h>
#include <sys/inotify.h>

#include <ouro/notify.h>
#include <ouro/task.h>

#define DEFAULT_BUFFER ((size_t)16 << 10)
#define LEAST_BUFFER   (sizeof(struct inotify_event) + 256) /* the longest name, padded */
#define MOST_BUFFER    ((size_t)1 << 30)

struct ouro_notify {
    struct ouro__feed feed;
    char *buffer;
    size_t size; /* of the buffer */
    size_t used; /* read, and in no batch yet */
    int fd;      /* -1: closed */
};

static ouro_notify *notify_of(const struct ouro__feed *feed)
{
    return OURO__CONTAINER(feed, ouro_notify, feed);
}

/* The same for what jobs are told. */
static ouro_notify *notify_at(const void *handle)
{
    return notify_of(ouro__feed_of(handle));
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* The event at *@at, which moves on; NULL at @end. */
static const struct inotify_event *next_event(const char **at, const char *end)
{
    const struct inotify_event *e = (const struct inotify_event *)(const void *)*at;
    if (*at == end)
        return NULL;
    *at += sizeof(*e) + e->len;
    return e;
}

static size_t count_events(const char *at, const char *end)
{
    size_t count = 0;
    while (next_event(&at, end))
        count++;
    return count;
}

/* Events, and behind them the bytes that their names are in. */
static void take_events(ouro_notify_event *events, size_t count, const char *buffer, size_t size)
{
    char *text = (char *)(events + count);
    memcpy(text, buffer, size);
    const char *at = text;
    const struct inotify_event *e;
    while ((e = next_event(&at, text + size)))
        *events++ = (ouro_notify_event){
            .watch = e->wd,
            .mask = e->mask,
            .cookie = e->cookie,
            .name = e->len ? e->name : NULL,
        };
}

/* What is in the buffer becomes a batch. */
static int add_batch(ouro_notify *n)
{
    size_t count = count_events(n->buffer, n->buffer + n->used);
    ouro_notify_event *events = ouro__alloc(count * sizeof(*events) + n->used);
    struct ouro__batch *batch = NULL;
    if (events)
        batch = ouro__batch_new(events, sizeof(*events), count, NULL);
    if (!batch) {
        ouro__release(events);
        return -ENOMEM;
    }
    take_events(events, count, n->buffer, n->used);
    n->used = 0;
    ouro__feed_add(&n->feed, batch);
    return OURO__FEED_MORE;
}

static int poll_queue(ouro_notify *n)
{
    ouro_future *poll = ouro__poll_in(n->fd);
    if (!(poll->flags & OURO__IMMORTAL))
        ouro__op_to_background(poll);
    return ouro__feed_wait_for(&n->feed, poll);
}

static int fetch_events(struct ouro__feed *feed)
{
    ouro_notify *n = notify_of(feed);
    if (!n->used) {
        ssize_t size = read(n->fd, n->buffer, n->size);
        if (size < 0)
            return errno == EAGAIN ? poll_queue(n) : -errno;
        n->used = (size_t)size;
    }
    return add_batch(n);
}

/* There is something to be read; or the poll was cancelled, with the loop, and who waits polls
 * again. */
static int polled(struct ouro__feed *feed, int64_t n)
{
    (void)feed;
    return n < 0 && n != -ECANCELED ? (int)n : 0;
}

static int64_t show_event(struct ouro__feed *feed, const void *record)
{
    (void)feed;
    return ((const ouro_notify_event *)record)->mask;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static bool notify_has_open(const struct ouro__handle *handle)
{
    return notify_at(handle)->fd >= 0;
}

static int64_t shut_notify(void *arg)
{
    ouro__disk_close(&notify_at(arg)->fd);
    return 0;
}

static void notify_destroy(struct ouro__handle *handle)
{
    ouro_notify *n = notify_at(handle);
    ouro__feed_drop(&n->feed);
    ouro__disk_close(&n->fd);
    ouro__release(n->buffer);
    ouro__release(n);
}

static const struct ouro__feed_kind notify_kind = {
    .handle = {.name = "change notification",
               .closing = ouro__feed_closing,
               .has_open = notify_has_open,
               .shut = shut_notify,
               .destroy = notify_destroy},
    .fetch = fetch_events,
    .fetched = polled,
    .show = show_event,
};

/* One without a descriptor. */
static ouro_notify *notify_new(ouro_loop *loop, size_t size)
{
    ouro_notify *n = ouro__alloc(sizeof(*n));
    char *buffer = n ? ouro__alloc(size) : NULL;
    if (!buffer) {
        ouro__release(n);
        return NULL;
    }
    *n = (ouro_notify){.buffer = buffer, .size = size, .fd = -1};
    ouro__feed_init(&n->feed, loop, &notify_kind);
    return n;
}

int ouro_notify_open(const ouro_notify_options *opts, ouro_notify **ret_notify)
{
    ouro_loop *loop;
    size_t size = opts && opts->buffer_size ? opts->buffer_size : DEFAULT_BUFFER;
    bool valid = ret_notify && size >= LEAST_BUFFER && size <= MOST_BUFFER;
    int rc = valid ? ouro__loop_for_work(&loop) : -EINVAL;
    if (rc < 0)
        return rc;
    ouro_notify *n = notify_new(loop, size);
    if (!n)
        return -ENOMEM;
    n->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (n->fd < 0) {
        rc = -errno;
        ouro__handle_unref(&n->feed.handle);
        return rc;
    }
    *ret_notify = n;
    return 0;
}

ouro_future *ouro_notify_next(ouro_notify *n)
{
    return ouro__feed_next(n ? &n->feed : NULL);
}

ouro_future *ouro_notify_close(ouro_notify *n)
{
    return ouro__handle_close(n ? &n->feed.handle : NULL);
}

ouro_notify *ouro_notify_free(ouro_notify *n)
{
    ouro__handle_free(n ? &n->feed.handle : NULL);
    return NULL;
}

/* ---- Watches --------------------------------------------------------------------------------- */

struct adding {
    ouro_notify *n; /* held open */
    const char *path;
    uint32_t mask;
};

static void adding_free(void *arg)
{
    struct adding *a = arg;
    ouro__handle_let_go(&a->n->feed.handle);
    ouro__release(a);
}

static int64_t add_in_job(void *arg)
{
    const struct adding *a = arg;
    if (atomic_load(&a->n->feed.handle.closed))
        return -EBADF;
    int watch = inotify_add_watch(a->n->fd, a->path, a->mask);
    return watch < 0 ? ouro_task_fail(-errno, "cannot watch %s", a->path) : watch;
}

ouro_future *ouro_notify_add(ouro_notify *n, const char *path, uint32_t mask)
{
    int rc = path ? ouro__handle_check(n ? &n->feed.handle : NULL) : -EINVAL;
    if (rc < 0)
        return ouro__failed(rc);
    struct adding *a = ouro__alloc(sizeof(*a));
    if (!a)
        return ouro__failed(-ENOMEM);
    *a = (struct adding){.n = n, .path = path, .mask = mask};
    ouro__handle_hold(&n->feed.handle);
    return ouro__on_disk(add_in_job, a, adding_free, "watch of a path");
}

int ouro_notify_remove(ouro_notify *n, int64_t watch)
{
    int rc = ouro__handle_check(n ? &n->feed.handle : NULL);
    if (rc < 0)
        return rc;
    if (watch < 1 || watch > INT_MAX)
        return -EINVAL;
    return inotify_rm_watch(n->fd, (int)watch) < 0 ? -errno : 0;
}
