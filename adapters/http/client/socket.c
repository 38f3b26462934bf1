/* SPDX-License-Identifier: MIT */
/*
 * Sockets of libcurl's, and polls on them.
 *
 * libcurl says what it waits for, often several times before it comes to a conclusion; polls are
 * armed when it has returned, for what holds then. They are one-shot, so that an answer that is
 * there at once costs one, and an idle connection has none.
 *
 * A socket is closed when its poll has ended: until then the kernel holds on to it, its peer would
 * see no end, and its number must not be another's.
 *
 * Some libcurls (7.88) close a socket that did not come to be a connection behind our back, and may
 * have another under the same number before they say anything. That is noticed when its number
 * comes again; at the end, when its number may be anybody's, by its inode.
 *
 * How it fails: a poll that cannot be had fails all requests of the client, as a shutdown of the
 * loop does, which cancels polls.
 */
#include "client_int.h"

#include <ouro/memory.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct http_socket {
    TAILQ_ENTRY(http_socket) link; /* in client.changed */
    struct http_wait wait;
    ouro_http_client *client; /* not to be used any more if it is closed */
    int fd;
    ino_t inode;
    unsigned wanted; /* events that libcurl waits for */
    unsigned armed;  /* that the poll waits for */
    bool is_changed; /* in client.changed */
    bool is_ending;  /* the poll, by our doing */
    bool is_closed;  /* by libcurl: it is out of the table */
    bool is_gone;    /* behind our back */
};

static void socket_free(struct http_socket *s)
{
    if (!s->is_gone)
        close(s->fd);
    ouro_memory_release(s);
}

/* ---- Opened and closed ----------------------------------------------------------------------- */

static struct http_socket *find(const ouro_http_client *c, int fd)
{
    return fd >= 0 && (size_t)fd < c->socket_capacity ? c->sockets[fd] : NULL;
}

static int make_room(ouro_http_client *c, size_t fd)
{
    size_t capacity = c->socket_capacity ? c->socket_capacity : 64;
    while (capacity <= fd)
        capacity *= 2;
    if (capacity == c->socket_capacity)
        return 0;
    struct http_socket **sockets = ouro_memory_resize(c->sockets, capacity * sizeof(*sockets));
    if (!sockets)
        return -ENOMEM;
    memset(sockets + c->socket_capacity, 0, (capacity - c->socket_capacity) * sizeof(*sockets));
    c->sockets = sockets;
    c->socket_capacity = capacity;
    return 0;
}

static void set_changed(struct http_socket *s, bool is_changed)
{
    if (s->is_changed == is_changed)
        return;
    s->is_changed = is_changed;
    if (is_changed)
        TAILQ_INSERT_TAIL(&s->client->changed, s, link);
    else
        TAILQ_REMOVE(&s->client->changed, s, link);
}

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* Out of the table, and closed when nothing holds it. */
static void let_go(struct http_socket *s)
{
    set_changed(s, false);
    s->client->sockets[s->fd] = NULL;
    s->is_closed = true;
    if (!ouro__http_wait_cancel(&s->wait))
        socket_free(s);
}

/* Its number is another's now. Returns what libcurl wanted of it, which may go for the other too,
 * since libcurl says only what changes. */
static unsigned replace(struct http_socket *s)
{
    unsigned wanted = s->wanted;
    s->is_gone = true;
    let_go(s);
    return wanted;
}

static void on_ready(void *arg, int64_t events);

curl_socket_t ouro__http_socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    ouro_http_client *c = arg;
    (void)purpose;
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    c->socket_error = fd < 0 ? -errno : 0;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    struct http_socket *s = ouro_memory_alloc(sizeof(*s));
    if (!s || make_room(c, (size_t)fd) < 0) {
        c->socket_error = -ENOMEM;
        ouro_memory_release(s);
        close(fd);
        return CURL_SOCKET_BAD;
    }
    *s = (struct http_socket){.client = c,
                              .fd = fd,
                              .inode = inode_of(fd),
                              .wanted = c->sockets[fd] ? replace(c->sockets[fd]) : 0,
                              .wait = {.ready = on_ready, .arg = s}};
    c->sockets[fd] = s;
    if (s->wanted)
        set_changed(s, true);
    return fd;
}

int ouro__http_socket_close(void *arg, curl_socket_t fd)
{
    ouro_http_client *c = arg;
    struct http_socket *s = find(c, fd);
    if (!s)
        return close(fd);
    let_go(s);
    return 0;
}

void ouro__http_sockets_free(ouro_http_client *c)
{
    for (size_t fd = 0; fd < c->socket_capacity; fd++)
        if (c->sockets[fd]) {
            c->sockets[fd]->is_gone = inode_of((int)fd) != c->sockets[fd]->inode;
            let_go(c->sockets[fd]);
        }
    ouro_memory_release(c->sockets);
}

/* ---- Polls ----------------------------------------------------------------------------------- */

int ouro__http_socket_changed(CURL *curl, curl_socket_t fd, int what, void *arg, void *unused)
{
    ouro_http_client *c = arg;
    struct http_socket *s = find(c, fd);
    (void)curl;
    (void)unused;
    if (!s)
        return 0;
    s->wanted = what == CURL_POLL_REMOVE ? 0
                                         : (what & CURL_POLL_IN ? (unsigned)POLLIN : 0) |
                                               (what & CURL_POLL_OUT ? (unsigned)POLLOUT : 0);
    set_changed(s, true);
    return 0;
}

static int settle(struct http_socket *s)
{
    int rc;
    if (s->wait.poll) {
        if (s->armed != s->wanted && !s->is_ending && ouro__http_wait_cancel(&s->wait))
            s->is_ending = true;
        return 0;
    }
    if (!s->wanted)
        return 0;
    rc = ouro__http_wait_begin(&s->wait, s->fd, s->wanted);
    s->armed = s->wanted;
    return rc;
}

int ouro__http_sockets_settle(ouro_http_client *c)
{
    struct http_socket *s;
    while ((s = TAILQ_FIRST(&c->changed))) {
        set_changed(s, false);
        int rc = settle(s);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Errors are told as whatever is waited for: reading, or writing, says what they are. */
static int bits_of(const struct http_socket *s, int64_t events)
{
    int bits = 0;
    if (events & (POLLERR | POLLHUP | POLLNVAL))
        events |= s->wanted;
    if (events & s->wanted & POLLIN)
        bits |= CURL_CSELECT_IN;
    if (events & s->wanted & POLLOUT)
        bits |= CURL_CSELECT_OUT;
    return bits;
}

static void on_ready(void *arg, int64_t events)
{
    struct http_socket *s = arg;
    ouro_http_client *c = s->client;
    if (s->is_closed) {
        socket_free(s);
        return;
    }
    bool was_ending = s->is_ending;
    s->is_ending = false;
    ouro__http_enter(c);
    if (events < 0 && !was_ending)
        ouro__http_fail_all(c, events == -ECANCELED ? -ESHUTDOWN : events,
                            events == -ECANCELED ? "the loop is shut down" : NULL);
    else if (s->wanted) {
        int running;
        set_changed(s, true); /* armed again, unless that changes */
        if (events > 0 && bits_of(s, events))
            curl_multi_socket_action(c->multi, s->fd, bits_of(s, events), &running);
    }
    ouro__http_leave(c);
}
