/* SPDX-License-Identifier: MIT */
/*
 * Streams: making them, and the end.
 *
 * Happy path: a descriptor is looked at once, for what kind of thing it is. Closing stops both
 * directions, which cancels what they have in the kernel; when the last completion has come, the
 * descriptor is closed, by a call that does not wait, and whoever waits for that is told.
 *
 * The record has a reference for the user's handle and one for the open descriptor. A loop that
 * closes has no operations left and closes the descriptor itself; a handle that is freed later
 * finds nothing to do.
 *
 * How it fails: only in the making. Closing allocates nothing, but for the future to wait for it.
 */
#include "listener_int.h"
#include "stream_int.h"

#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HIGH_WATER ((size_t)256 * 1024)
#define ZERO_COPY  ((size_t)64 * 1024)

/* ---- The end --------------------------------------------------------------------------------- */

static void stream_unref(ouro_stream *s)
{
    assert(s->refs > 0);
    if (--s->refs)
        return;
    ouro_loop *loop = s->loop;
    ouro__release(s);
    ouro_loop_unref(loop);
}

static void let_go_of_fd(ouro_stream *s)
{
    if (s->fd < 0)
        return;
    s->loop->driver->ops->close_fd(s->loop->driver, s->fd);
    s->fd = -1;
    ouro__listeners_retry(s->loop);
}

/* Nothing is in the kernel any more. */
static void closed(ouro_stream *s)
{
    s->state = OURO__STREAM_CLOSED;
    ouro__untie(&s->tie);
    ouro__incoming_drop(s);
    ouro__outgoing_drop(s);
    let_go_of_fd(s);
    ouro__serve_all(&s->closing, 0);
    stream_unref(s);
}

static bool is_quiet(const ouro_stream *s)
{
    return ouro__incoming_is_quiet(s) && ouro__outgoing_is_quiet(s) && ouro__list_empty(&s->passes);
}

static bool is_busy(const ouro_stream *s)
{
    return s->in.reading || ouro__incoming_unread(s) || ouro__outgoing_unsent(s) ||
           !ouro__outgoing_is_quiet(s) || !ouro__list_empty(&s->passes);
}

/* What was received ahead has come back: the first who wants the descriptor has it, if it can be
 * had. */
static void hand_out(ouro_stream *s)
{
    if (is_busy(s)) {
        ouro__serve_all(&s->taking, -EBUSY);
        return;
    }
    int fd = s->fd;
    s->fd = -1;
    s->loop->ops.live_fds++;
    ouro__serve(s->taking.first, fd);
    ouro__stream_begin_close(s);
}

void ouro__stream_op_ended(ouro_stream *s)
{
    if (s->state == OURO__STREAM_CLOSING && is_quiet(s))
        closed(s);
    else if (s->state == OURO__STREAM_OPEN && s->taking.first &&
             (ouro__incoming_is_quiet(s) || s->in.reading))
        hand_out(s);
}

void ouro__stream_begin_close(ouro_stream *s)
{
    if (s->state != OURO__STREAM_OPEN)
        return;
    s->state = OURO__STREAM_CLOSING;
    s->refs++; /* stopping one direction may be all there is to wait for */
    ouro__serve_all(&s->taking, -EBADF);
    ouro__incoming_stop(s, -EBADF);
    ouro__outgoing_stop(s, -EBADF);
    ouro__passes_stop(s);
    ouro__stream_op_ended(s);
    stream_unref(s);
}

static void cut(struct ouro__tie *tie, ouro_loop *loop, bool quietly)
{
    ouro_stream *s = OURO__CONTAINER(tie, ouro_stream, tie);
    if (loop->abandoned && !quietly) {
        s->state = OURO__STREAM_CLOSING; /* for ever: the kernel may still write to our memory */
        return;
    }
    if (!quietly) {
        ouro__stream_begin_close(s);
        return;
    }
    s->state = OURO__STREAM_CLOSED;
    ouro__incoming_drop(s);
    ouro__outgoing_drop(s);
    let_go_of_fd(s);
    stream_unref(s);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static bool is_stream_socket(int fd)
{
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof(int);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
        return false;
    size = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens;
}

/* 0, or why @fd cannot be a stream, be it of a file if @files. */
static int examine(int fd, bool files, bool *ret_is_socket)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *ret_is_socket = S_ISSOCK(st.st_mode);
    if (*ret_is_socket)
        return is_stream_socket(fd) ? 0 : -EOPNOTSUPP;
    bool goes = S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) || (files && S_ISREG(st.st_mode));
    return goes ? 0 : -EOPNOTSUPP;
}

int ouro__stream_settle_options(const ouro_stream_options *opts, ouro_stream_options *ret_opts)
{
    *ret_opts = opts ? *opts : (ouro_stream_options){0};
    if (!ret_opts->high_water)
        ret_opts->high_water = HIGH_WATER;
    if (!ret_opts->low_water)
        ret_opts->low_water = ret_opts->high_water / 4;
    if (!ret_opts->zero_copy)
        ret_opts->zero_copy = ZERO_COPY;
    if (ret_opts->low_water > ret_opts->high_water)
        return -EINVAL;
    if (ret_opts->high_water > SSIZE_MAX)
        ret_opts->high_water = SSIZE_MAX; /* no memory has more */
    return 0;
}

int ouro__stream_make(ouro_loop *loop, int fd, bool is_socket, const ouro_stream_options *opts,
                      ouro_stream **ret_stream)
{
    ouro_stream *s = ouro__alloc(sizeof(*s));
    if (!s)
        return -ENOMEM;
    memset(s, 0, sizeof(*s));
    s->loop = loop;
    s->tie.cut = cut;
    s->refs = 2;
    s->fd = fd;
    s->is_socket = is_socket;
    s->opts = *opts;
    ouro__list_init(&s->passes);
    ouro__incoming_init(s);
    ouro__outgoing_init(s);
    ouro_loop_ref(loop);
    ouro__tie(loop, &s->tie);
    *ret_stream = s;
    return 0;
}

int ouro__stream_new(int fd, const ouro_stream_options *opts, bool files, ouro_stream **ret_stream)
{
    ouro_loop *loop;
    ouro_stream_options all;
    bool is_socket = false;
    int rc = ret_stream ? ouro__loop_for_wait(&loop) : -EINVAL;
    if (rc == 0)
        rc = ouro__stream_settle_options(opts, &all);
    if (rc == 0)
        rc = examine(fd, files, &is_socket);
    return rc < 0 ? rc : ouro__stream_make(loop, fd, is_socket, &all, ret_stream);
}

int ouro_stream_new(int fd, const ouro_stream_options *opts, ouro_stream **ret_stream)
{
    return ouro__stream_new(fd, opts, false, ret_stream);
}

/* ---- The handle ------------------------------------------------------------------------------ */

/* 0, or why the handle itself cannot be used here. */
static int check_handle(const ouro_stream *s)
{
    if (!s)
        return -EINVAL;
    if (ouro__loop_forked(s->loop))
        return -ECHILD;
    return ouro__loop_is_here(s->loop) ? 0 : ouro__wrong_thread(s->loop, "stream");
}

int ouro__stream_check(const ouro_stream *s)
{
    int rc = check_handle(s);
    if (rc == 0 && s->loop->phase >= OURO__SHUT)
        return -ESHUTDOWN;
    return rc == 0 && s->state != OURO__STREAM_OPEN ? -EBADF : rc;
}

static const struct ouro__wait_kind close_kind = {.name = "close of a stream"};

ouro_future *ouro_stream_close(ouro_stream *s)
{
    int rc = check_handle(s);
    if (rc < 0)
        return ouro__failed(rc);
    ouro__stream_begin_close(s);
    if (s->state == OURO__STREAM_CLOSED)
        return ouro_ready(0);
    struct ouro__waiter w = {.kind = &close_kind, .of = s};
    return ouro__wait_future(s->loop, &s->closing, &w, NULL);
}

int ouro_stream_abort(ouro_stream *s)
{
    int rc = check_handle(s);
    if (rc < 0)
        return rc;
    /* Linger for no time is how sockets are told to; what is no TCP socket does not mind. */
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (s->fd >= 0 && s->is_socket)
        setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    ouro__stream_begin_close(s);
    return 0;
}

ouro_stream *ouro_stream_free(ouro_stream *s)
{
    if (!s || check_handle(s) == -EXDEV)
        return NULL;
    if (!ouro__loop_forked(s->loop))
        ouro__stream_begin_close(s);
    stream_unref(s);
    return NULL;
}

int ouro_stream_fd(const ouro_stream *s)
{
    if (!s)
        return -EINVAL;
    return s->fd >= 0 && s->state == OURO__STREAM_OPEN ? s->fd : -EBADF;
}

int ouro__stream_give_up(ouro_stream *s)
{
    if (s->state != OURO__STREAM_OPEN || is_busy(s) || !ouro__incoming_is_quiet(s))
        return -EBUSY;
    int fd = s->fd;
    s->fd = -1;
    ouro__stream_begin_close(s);
    return fd;
}

static const struct ouro__wait_kind take_kind = {.name = "descriptor of a stream"};

ouro_future *ouro_stream_take_fd(ouro_stream *s)
{
    int rc = ouro__stream_check(s);
    if (rc == 0 && is_busy(s))
        rc = -EBUSY;
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__waiter w = {.kind = &take_kind, .of = s};
    ouro_future *f = ouro__wait_future(s->loop, &s->taking, &w, &ouro__fds);
    if (s->taking.first && ouro__incoming_recall(s))
        ouro__stream_op_ended(s);
    return f;
}

int ouro_stream_stats_get(const ouro_stream *s, ouro_stream_stats *ret_stats)
{
    if (!s || !ret_stats)
        return -EINVAL;
    *ret_stats = (ouro_stream_stats){
        .bytes_in = s->in.bytes,
        .bytes_out = s->out.bytes,
        .receives = s->in.receives,
        .sends = s->out.sends,
        .parked = s->in.parked,
        .paused = s->in.paused,
        .zero_copies = s->out.zero_copies,
        .unread = ouro__incoming_unread(s),
        .unsent = ouro__outgoing_unsent(s),
    };
    return 0;
}
