/* SPDX-License-Identifier: MIT */
/*
 * Sockets of messages: making them, and the end.
 *
 * Happy path: a socket gets its options, is bound and connected, none of which waits, and becomes a
 * handle. Closing stops what receives (inbox.c) and the calls that futures wait for; when the last
 * completion has come, the descriptor is closed and whoever waits for that is told.
 *
 * The record has a reference for the user's handle and one for the open descriptor. A loop that
 * closes has no operations left and closes the descriptor itself; a handle that is freed later
 * finds nothing to do.
 *
 * How it fails: only in the making. Closing allocates nothing, but for the future to wait for it.
 */
#include "datagram_int.h"

#include <limits.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_SIZE     ((size_t)65535)
#define MESSAGE_SIZE_MAX ((size_t)1024 * 1024)
#define BUFFERS          16u
#define BUFFERS_MAX      1024u

/* ---- The end --------------------------------------------------------------------------------- */

static void datagram_unref(ouro_datagram *d)
{
    assert(d->refs > 0);
    if (--d->refs)
        return;
    ouro_loop *loop = d->loop;
    ouro__release(d);
    ouro_loop_unref(loop);
}

static void let_go(ouro_datagram *d, bool quietly)
{
    d->state = OURO__DATAGRAM_CLOSED;
    ouro__inbox_drop(d, quietly);
    ouro__release(d->spare);
    d->spare = NULL;
    d->loop->driver->ops->close_fd(d->loop->driver, d->fd);
    d->fd = -1;
}

/* Nothing is in the kernel any more. */
static void closed(ouro_datagram *d)
{
    ouro__untie(&d->tie);
    let_go(d, false);
    ouro__serve_all(&d->closing, 0);
    datagram_unref(d);
}

void ouro__datagram_op_ended(ouro_datagram *d)
{
    if (d->state == OURO__DATAGRAM_CLOSING && ouro__list_empty(&d->calls) &&
        ouro__inbox_is_quiet(d))
        closed(d);
}

static void stop_calls(ouro_datagram *d)
{
    struct ouro__link *l = d->calls.next;
    while (l != &d->calls) {
        struct ouro__call *c = OURO__CONTAINER(l, struct ouro__call, link);
        l = l->next; /* only @c itself may go with the cancel */
        c->f.flags |= OURO__CALL_CLOSED;
        c->f.kind->cancel(&c->f);
    }
}

static void begin_close(ouro_datagram *d)
{
    if (d->state != OURO__DATAGRAM_OPEN)
        return;
    d->refs++; /* the last call to end closes it */
    ouro__inbox_stop(d, -EBADF);
    stop_calls(d);
    d->state = OURO__DATAGRAM_CLOSING;
    ouro__datagram_op_ended(d);
    datagram_unref(d);
}

static void cut(struct ouro__tie *tie, ouro_loop *loop, bool quietly)
{
    ouro_datagram *d = OURO__CONTAINER(tie, ouro_datagram, tie);
    if (quietly) {
        let_go(d, true);
        datagram_unref(d);
    } else if (loop->abandoned) {
        d->state = OURO__DATAGRAM_CLOSING; /* for ever: the kernel may still write to our memory */
    } else {
        begin_close(d);
    }
}

/* ---- Calls ----------------------------------------------------------------------------------- */

void *ouro__call_new(ouro_datagram *d, const struct ouro__kind *kind)
{
    struct ouro__call *c = ouro__future_new(d->loop, kind);
    if (!c)
        return NULL;
    c->d = d;
    ouro__list_push(&d->calls, &c->link);
    return c;
}

void ouro__call_discard(struct ouro__call *c)
{
    ouro__list_remove(&c->link);
    ouro__future_discard(&c->f);
}

void ouro__call_end(struct ouro__call *c, int64_t n)
{
    ouro_datagram *d = c->d;
    bool stopped = n == -ECANCELED || n == -EINTR;
    ouro__list_remove(&c->link);
    if (stopped && (c->f.flags & OURO__CANCEL_ASKED))
        ouro__settle(&c->f, OURO_CANCELLED, -ECANCELED);
    else if (stopped && (c->f.flags & OURO__CALL_CLOSED))
        ouro__settle(&c->f, OURO_ERROR, -EBADF);
    else
        ouro__settle_n(&c->f, n);
    ouro__datagram_op_ended(d);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static unsigned power_of_two(unsigned n)
{
    unsigned p = 1;
    while (p < n)
        p *= 2;
    return p;
}

int ouro__datagram_options(const ouro_datagram_options *opts, ouro_datagram_options *ret_opts)
{
    *ret_opts = opts ? *opts : (ouro_datagram_options){0};
    if (ret_opts->message_size > MESSAGE_SIZE_MAX || ret_opts->buffers > BUFFERS_MAX)
        return -EINVAL;
    /* What is received in one piece may be longer than any message of it. */
    if (ret_opts->message_size && ret_opts->message_size < MESSAGE_SIZE)
        ret_opts->no_gro = 1;
    if (!ret_opts->message_size)
        ret_opts->message_size = MESSAGE_SIZE;
    ret_opts->buffers = power_of_two(ret_opts->buffers ? ret_opts->buffers : BUFFERS);
    return 0;
}

static int set(int fd, int option)
{
    const int on = 1;
    return setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)) < 0 ? -errno : 0;
}

/* What the messages are to tell. The end of a sequenced-packet connection looks like an empty
 * message, but for the sender, whom a message always has. */
static int ask_for_more(int fd, int family, int type, const ouro_datagram_options *opts)
{
    int rc = 0;
    if (opts->timestamps)
        rc = set(fd, SO_TIMESTAMPNS);
    if (rc == 0 && family == AF_UNIX && (opts->credentials || type == SOCK_SEQPACKET))
        rc = set(fd, SO_PASSCRED);
    if (rc == 0 && family != AF_UNIX && !opts->no_gro)
        (void)ouro_sockopt_set_gro(fd, 1); /* where the kernel can */
    return rc;
}

int ouro__datagram_make(ouro_loop *loop, int fd, int family, int type,
                        const ouro_datagram_options *opts, ouro_datagram **ret)
{
    int rc = ask_for_more(fd, family, type, opts);
    if (rc < 0)
        return rc;
    ouro_datagram *d = ouro__alloc(sizeof(*d));
    if (!d)
        return -ENOMEM;
    memset(d, 0, sizeof(*d));
    d->loop = ouro_loop_ref(loop);
    d->tie.cut = cut;
    d->refs = 2;
    d->fd = fd;
    d->family = family;
    d->type = type;
    d->opts = *opts;
    d->in.multishot = true;
    ouro__list_init(&d->calls);
    ouro__tie(loop, &d->tie);
    *ret = d;
    return 0;
}

int ouro__datagram_socket(int family, int type, const ouro_datagram_options *opts)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int rc = ouro_sockopt_apply(fd, &opts->socket, NULL);
    if (rc == 0 && opts->broadcast)
        rc = set(fd, SO_BROADCAST);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int connect_to(int fd, const ouro_address *to)
{
    return connect(fd, &to->as.any, to->size) < 0 ? -errno : 0;
}

/* 0 and the family that both addresses have. */
static int family_of(const ouro_address *local, const ouro_address *remote, int *ret_family)
{
    const ouro_address *either = local ? local : remote;
    *ret_family = either ? either->as.any.sa_family : AF_INET;
    if (local && remote && remote->as.any.sa_family != *ret_family)
        return -EINVAL;
    return *ret_family == AF_INET || *ret_family == AF_INET6 || *ret_family == AF_UNIX ? 0
                                                                                       : -EINVAL;
}

int ouro_datagram_open(const ouro_address *local, const ouro_address *remote,
                       const ouro_datagram_options *opts, ouro_datagram **ret)
{
    ouro_loop *loop = NULL;
    ouro_datagram_options all;
    int family;
    int rc = ret ? family_of(local, remote, &family) : -EINVAL;
    if (rc == 0)
        rc = ouro__datagram_options(opts, &all);
    if (rc == 0)
        rc = ouro__loop_for_wait(&loop);
    if (rc < 0)
        return rc;
    int fd = ouro__datagram_socket(family, SOCK_DGRAM, &all);
    if (fd < 0)
        return fd;
    if (local && bind(fd, &local->as.any, local->size) < 0)
        rc = -errno;
    if (rc == 0 && remote)
        rc = connect_to(fd, remote);
    if (rc == 0)
        rc = ouro__datagram_make(loop, fd, family, SOCK_DGRAM, &all, ret);
    if (rc < 0)
        close(fd);
    return rc;
}

static int parse_ip(const char *text, ouro_address *ret)
{
    int rc = ouro_address_parse(text, ret);
    return rc == 0 && ret->as.any.sa_family == AF_UNIX ? -EINVAL : rc;
}

int ouro_udp_open(const char *local, const char *remote, const ouro_datagram_options *opts,
                  ouro_datagram **ret)
{
    ouro_address here, there;
    int rc = local ? parse_ip(local, &here) : 0;
    if (rc == 0 && remote)
        rc = parse_ip(remote, &there);
    if (rc < 0)
        return rc;
    return ouro_datagram_open(local ? &here : NULL, remote ? &there : NULL, opts, ret);
}

static int option_of(int fd, int option, int *ret_value)
{
    socklen_t size = sizeof(*ret_value);
    return getsockopt(fd, SOL_SOCKET, option, ret_value, &size) < 0 ? -errno : 0;
}

int ouro_datagram_new(int fd, const ouro_datagram_options *opts, ouro_datagram **ret)
{
    ouro_loop *loop = NULL;
    ouro_datagram_options all;
    int family = 0, type = 0;
    int rc = ret ? ouro__datagram_options(opts, &all) : -EINVAL;
    if (rc == 0)
        rc = ouro__loop_for_wait(&loop);
    if (rc == 0)
        rc = option_of(fd, SO_TYPE, &type);
    if (rc == 0)
        rc = option_of(fd, SO_DOMAIN, &family);
    if (rc == 0 && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        rc = -EOPNOTSUPP;
    return rc < 0 ? rc : ouro__datagram_make(loop, fd, family, type, &all, ret);
}

int ouro_datagram_connect(ouro_datagram *d, const ouro_address *remote)
{
    static const ouro_address nobody = {.size = sizeof(sa_family_t)};
    int rc = ouro__datagram_check_messages(d);
    if (rc == 0 && d->type != SOCK_DGRAM)
        rc = -EINVAL;
    return rc < 0 ? rc : connect_to(d->fd, remote ? remote : &nobody);
}

/* ---- The handle ------------------------------------------------------------------------------ */

/* 0, or why the handle itself cannot be used here. */
static int check_handle(const ouro_datagram *d)
{
    if (!d)
        return -EINVAL;
    if (ouro__loop_forked(d->loop))
        return -ECHILD;
    return ouro__loop_is_here(d->loop) ? 0 : ouro__wrong_thread(d->loop, "datagram socket");
}

int ouro__datagram_check(const ouro_datagram *d)
{
    int rc = check_handle(d);
    if (rc == 0 && d->loop->phase >= OURO__SHUT)
        return -ESHUTDOWN;
    return rc == 0 && d->state != OURO__DATAGRAM_OPEN ? -EBADF : rc;
}

int ouro__datagram_check_messages(const ouro_datagram *d)
{
    int rc = ouro__datagram_check(d);
    return rc == 0 && d->listens ? -EBADF : rc;
}

static const struct ouro__wait_kind close_kind = {.name = "close of a datagram socket"};

ouro_future *ouro_datagram_close(ouro_datagram *d)
{
    int rc = check_handle(d);
    if (rc < 0)
        return ouro__failed(rc);
    begin_close(d);
    if (d->state == OURO__DATAGRAM_CLOSED)
        return ouro_ready(0);
    struct ouro__waiter w = {.kind = &close_kind, .of = d};
    return ouro__wait_future(d->loop, &d->closing, &w, NULL);
}

ouro_datagram *ouro_datagram_free(ouro_datagram *d)
{
    if (!d || check_handle(d) == -EXDEV)
        return NULL;
    if (!ouro__loop_forked(d->loop))
        begin_close(d);
    datagram_unref(d);
    return NULL;
}

void ouro__datagram_drop(void *d)
{
    ouro_datagram_free(d);
}

int ouro_datagram_fd(const ouro_datagram *d)
{
    if (!d)
        return -EINVAL;
    return d->state == OURO__DATAGRAM_OPEN ? d->fd : -EBADF;
}

/* The kernel's own count, the same that SO_RXQ_OVFL attaches to messages. */
static uint64_t dropped_by_kernel(const ouro_datagram *d)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof(memory);
    if (d->fd < 0 || d->family == AF_UNIX)
        return d->stats.dropped;
    if (getsockopt(d->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0)
        return 0;
    return memory[SK_MEMINFO_DROPS];
}

int ouro_datagram_stats_get(const ouro_datagram *d, ouro_datagram_stats *ret_stats)
{
    if (!d || !ret_stats)
        return -EINVAL;
    *ret_stats = d->stats;
    ret_stats->dropped = dropped_by_kernel(d);
    ret_stats->waiting = d->in.held - d->in.lent;
    return 0;
}
