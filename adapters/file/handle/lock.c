/* SPDX-License-Identifier: MIT */
/*
 * Locks on files.
 *
 * The kernel has none to wait for that could be cancelled: F_OFD_SETLKW and flock(2) sleep in a
 * thread, and eight of those would fill the lane through which the holder must go to finish. So a
 * wait tries, sleeps, and tries again, 1 ms at first and 32 ms at last. Those of one loop stand in
 * one line: when a handle of the loop unlocks, they try at once, in the order in which they came.
 * Looking costs a system call that does not wait.
 *
 * A lock that was got is a grant: if nobody takes the result, it is given back. Those of a handle
 * are given back when it is closed, before its descriptor is, because the ring may keep the file
 * itself a little longer.
 */
#include "file_int.h"

#include <sys/file.h>

#define FIRST_DELAY OURO_MS(1)
#define LAST_DELAY  OURO_MS(32)

enum { RANGE, WHOLE }; /* of ouro_file.locked */

/* What there is to be locked. */
struct wish {
    struct flock range;
    int how;    /* LOCK_SH, LOCK_EX, LOCK_UN of flock(2), for the whole */
    bool whole; /* by flock(2) */
};

/* A lock that was got: to be given back, or forgotten when somebody has taken it. */
struct grant {
    struct ouro__giver giver;
    ouro_file *file; /* a reference */
    struct wish wish;
};

struct locking {
    struct ouro__work w;
    struct ouro__timer timer;
    struct ouro__job job;      /* tries in the next turn */
    struct ouro__link in_line; /* of the loop's lockers */
    struct grant *grant;       /* ready to be given */
    ouro_ns delay;
};

/* ---- The calls ------------------------------------------------------------------------------- */

static int set(ouro_file *file, const struct wish *w)
{
    int rc = w->whole ? flock(file->fd, w->how | LOCK_NB) : fcntl(file->fd, F_OFD_SETLK, &w->range);
    if (rc < 0)
        return errno == EACCES || errno == EWOULDBLOCK ? -EAGAIN : -errno;
    if (w->how != LOCK_UN)
        file->locked[w->whole ? WHOLE : RANGE] = true;
    return 0;
}

static int wish_for(int how, const ouro_lock_options *opts, struct wish *ret)
{
    static const ouro_lock_options defaults;
    if (!opts)
        opts = &defaults;
    int64_t from = opts->offset, size = opts->length;
    if (from < 0 || size < 0 || from > INT64_MAX - size || (opts->flock && (from || size)))
        return -EINVAL;
    short type = how == LOCK_UN ? F_UNLCK : how == LOCK_EX ? F_WRLCK : F_RDLCK;
    *ret = (struct wish){
        .range = {.l_type = type, .l_whence = SEEK_SET, .l_start = from, .l_len = size},
        .how = how,
        .whole = opts->flock,
    };
    return 0;
}

static int how_of(ouro_lock_mode mode)
{
    return mode == OURO_LOCK_EXCLUSIVE ? LOCK_EX : LOCK_SH;
}

static int check(const ouro_file *f, ouro_lock_mode mode, const ouro_lock_options *opts,
                 ouro_loop **ret_loop, struct wish *ret_wish)
{
    int rc = ouro__file_check(f, ret_loop);
    if (rc == 0 && mode > OURO_LOCK_EXCLUSIVE)
        rc = -EINVAL;
    return rc < 0 ? rc : wish_for(how_of(mode), opts, ret_wish);
}

int ouro_file_try_lock(ouro_file *f, ouro_lock_mode mode, const ouro_lock_options *opts)
{
    ouro_loop *loop;
    struct wish wish;
    int rc = check(f, mode, opts, &loop, &wish);
    return rc < 0 ? rc : set(f, &wish);
}

/* ---- Giving back ----------------------------------------------------------------------------- */

static void wake_lockers(ouro_loop *loop)
{
    if (loop->phase >= OURO__SHUT)
        return;
    OURO__LIST_FOR (link, &ouro__files_of(loop)->lockers) {
        struct locking *l = OURO__CONTAINER(link, struct locking, in_line);
        if (!ouro__linked(&l->job.link))
            ouro__ready(loop, &l->job);
    }
}

int ouro_file_unlock(ouro_file *f, const ouro_lock_options *opts)
{
    ouro_loop *loop;
    struct wish wish;
    int rc = check(f, OURO_LOCK_SHARED, opts, &loop, &wish);
    if (rc == 0)
        rc = wish_for(LOCK_UN, opts, &wish);
    if (rc == 0)
        rc = set(f, &wish);
    if (rc == 0)
        wake_lockers(loop);
    return rc;
}

void ouro__file_unlock_all(ouro_file *file)
{
    struct wish range = {.range = {.l_type = F_UNLCK, .l_whence = SEEK_SET}, .how = LOCK_UN};
    struct wish whole = {.how = LOCK_UN, .whole = true};
    if (!file->locked[RANGE] && !file->locked[WHOLE])
        return;
    if (file->locked[RANGE])
        set(file, &range);
    if (file->locked[WHOLE])
        set(file, &whole);
    wake_lockers(file->loop);
}

static void drop_grant(struct grant *g)
{
    ouro_file *file = g->file;
    ouro__release(g);
    ouro__file_unref(file);
}

static void give_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)result;
    struct grant *g = OURO__CONTAINER(giver, struct grant, giver);
    g->wish.range.l_type = F_UNLCK;
    g->wish.how = LOCK_UN;
    if (g->file->fd >= 0 && set(g->file, &g->wish) == 0)
        wake_lockers(loop);
    drop_grant(g);
}

static void taken(struct ouro__giver *giver, ouro_loop *loop)
{
    (void)loop;
    drop_grant(OURO__CONTAINER(giver, struct grant, giver));
}

static const struct ouro__giver_kind grant_kind = {.back = give_back, .taken = taken};

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Leave the line, with the lock or without. */
static void leave(struct locking *l)
{
    ouro__timer_cancel(&l->w.f.loop->timers, &l->timer);
    if (ouro__linked(&l->job.link))
        ouro__list_remove(&l->job.link);
    ouro__list_remove(&l->in_line);
}

static void fail(struct locking *l, int rc)
{
    leave(l);
    drop_grant(l->grant);
    ouro__work_end(&l->w, rc);
}

static void succeed(struct locking *l)
{
    ouro_future *f = &l->w.f;
    leave(l);
    f->flags |= OURO__GRANT;
    f->giver = &l->grant->giver;
    ouro__work_end(&l->w, 0);
}

static void try(struct locking *l)
{
    ouro_loop *loop = l->w.f.loop;
    int rc = set(l->w.file, &l->grant->wish);
    if (rc == -EAGAIN) {
        ouro__files_of(loop)->stats.lock_polls++;
        rc = ouro__timer_set(&loop->timers, &l->timer,
                             ouro__ns_add(ouro__loop_now(loop), l->delay));
        l->delay = l->delay * 2 < LAST_DELAY ? l->delay * 2 : LAST_DELAY;
    } else if (rc == 0) {
        succeed(l);
        return;
    }
    if (rc < 0)
        fail(l, rc);
}

static void try_again(struct ouro__timer *timer)
{
    try(OURO__CONTAINER(timer, struct locking, timer));
}

static void try_now(struct ouro__job *job)
{
    struct locking *l = OURO__CONTAINER(job, struct locking, job);
    ouro__timer_cancel(&l->w.f.loop->timers, &l->timer);
    try(l);
}

static ouro_future *locking_cancel(ouro_future *f)
{
    fail(OURO__CONTAINER(f, struct locking, w.f), -ECANCELED);
    return NULL;
}

static void locking_describe(const ouro_future *f, char *text, size_t size)
{
    snprintf(text, size, "lock of fd %d",
             OURO__CONTAINER(f, const struct locking, w.f)->w.file->fd);
}

static const struct ouro__kind locking_kind = {
    .name = "file lock",
    .size = sizeof(struct locking),
    .cancel = locking_cancel,
    .describe = locking_describe,
};

static struct locking *locking_new(ouro_loop *loop, ouro_file *file, const struct wish *wish)
{
    struct grant *g = ouro__alloc(sizeof(*g));
    struct locking *l = g ? ouro__work_new(loop, &locking_kind, file) : NULL;
    if (!l) {
        ouro__release(g);
        return NULL;
    }
    *g = (struct grant){{&grant_kind}, ouro__file_ref(file), *wish};
    l->grant = g;
    ouro__timer_init(&l->timer, try_again);
    l->job = (struct ouro__job){.run = try_now};
    l->delay = FIRST_DELAY;
    ouro__list_push(&ouro__files_of(loop)->lockers, &l->in_line);
    return l;
}

ouro_future *ouro_file_lock(ouro_file *f, ouro_lock_mode mode, const ouro_lock_options *opts)
{
    ouro_loop *loop;
    struct wish wish;
    int rc = check(f, mode, opts, &loop, &wish);
    if (rc < 0)
        return ouro__failed(rc);
    struct locking *l = locking_new(loop, f, &wish);
    if (!l)
        return ouro__failed(-ENOMEM);
    if (ouro__caller_cancelled(loop))
        ouro__ready(loop, &l->job); /* unless it is cancelled before */
    else
        try(l);
    return &l->w.f;
}
