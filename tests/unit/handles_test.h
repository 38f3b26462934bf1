/* SPDX-License-Identifier: MIT */
#ifndef OURO_HANDLES_TEST_H
#define OURO_HANDLES_TEST_H

/*
 * One handle of each kind, for tests that call everything there is, and arguments that make sense.
 *
 * Where all of it is NULL the same calls are made without anything.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct handles {
    ouro_file *file;
    ouro_dir *dir;
    ouro_walk *walk;
    ouro_notify *notify;
    ouro_temp *temp;
    ouro_stream *stream, *peer;
    ouro_listener *listener;
    ouro_datagram *datagram, *packets; /* packets listens */
    ouro_future *server;
    ouro_addresses *addresses;
};

/* What calls are given besides. */
struct given {
    const char *path, *place;
    void *buf;
    const void *bytes;
    ouro_stat *stat;
    struct iovec *iov;
    const ouro_address *address, *door; /* door: a Unix name that nobody has */
    ouro_message *message;
    ouro_outgoing *outgoing;
    const int *fds;
    ouro_serve_fn *handler;
    /* Where makers write what they have made. */
    ouro_file **ret_file;
    ouro_notify **ret_notify;
    ouro_stream **ret_stream, **ret_other;
    ouro_listener **ret_listener;
    ouro_datagram **ret_datagram;
};

/* The test's; a process has one test. */
static struct handles h;
static struct given g;

static inline int64_t no_handler(ouro_stream *s, void *arg)
{
    (void)s;
    (void)arg;
    return 0;
}

static inline void give_arguments(void)
{
    static char buf[4096];
    static ouro_stat stat;
    static struct iovec iov;
    static ouro_address address, door;
    static ouro_message message;
    static ouro_outgoing outgoing;
    static const int fds[1] = {0};
    static struct handles made;
    iov = (struct iovec){buf, 1};
    outgoing = (ouro_outgoing){buf, 1, &address, 0};
    check_eq(ouro_address_parse("127.0.0.1:9", &address), 0);
    check_eq(ouro_address_of_unix("@ouro-nobody-here", &door), 0);
    g = (struct given){.path = "/tmp",
                       .place = "127.0.0.1:0",
                       .buf = buf,
                       .bytes = buf,
                       .stat = &stat,
                       .iov = &iov,
                       .address = &address,
                       .door = &door,
                       .message = &message,
                       .outgoing = &outgoing,
                       .fds = fds,
                       .handler = no_handler,
                       .ret_file = &made.file,
                       .ret_notify = &made.notify,
                       .ret_stream = &made.stream,
                       .ret_other = &made.peer,
                       .ret_listener = &made.listener,
                       .ret_datagram = &made.datagram};
}

static inline void open_handles(void)
{
    int64_t rc;
    ouro_address door;
    char name[64];
    int fd = memfd_create("ouro", MFD_CLOEXEC);
    check_eq(ouro_file_from_fd(fd, &h.file), 0);
    check((h.dir = ouro_await_ptr(ouro_dir_open("/proc/self", NULL), &rc)) != NULL);
    check((h.walk = ouro_await_ptr(ouro_walk_open("/proc/self/fd", NULL), &rc)) != NULL);
    check_eq(ouro_notify_open(NULL, &h.notify), 0);
    check((h.temp = ouro_await_ptr(ouro_temp_open(NULL), &rc)) != NULL);
    check_eq(ouro_socketpair(&(ouro_stream_options){.no_read_ahead = 1}, &h.stream, &h.peer), 0);
    check_eq(ouro_listen("127.0.0.1:0", NULL, &h.listener), 0);
    check_eq(ouro_udp_open("127.0.0.1:0", NULL, NULL, &h.datagram), 0);
    snprintf(name, sizeof(name), "@ouro-handles-%d", (int)getpid());
    check_eq(ouro_address_of_unix(name, &door), 0);
    check_eq(ouro_seqpacket_listen(&door, 1, NULL, &h.packets), 0);
}

static inline void close_handles(void)
{
    check_eq(ouro_await(ouro_file_close(h.file)), 0);
    check_eq(ouro_await(ouro_dir_close(h.dir)), 0);
    check_eq(ouro_await(ouro_walk_close(h.walk)), 0);
    check_eq(ouro_await(ouro_notify_close(h.notify)), 0);
    check_eq(ouro_await(ouro_temp_close(h.temp)), 0);
    check_eq(ouro_await(ouro_stream_close(h.stream)), 0);
    check_eq(ouro_await(ouro_stream_close(h.peer)), 0);
    check_eq(ouro_await(ouro_listener_close(h.listener)), 0);
    check_eq(ouro_await(ouro_datagram_close(h.datagram)), 0);
    check_eq(ouro_await(ouro_datagram_close(h.packets)), 0);
}

/* Also after the loop's close, and of what there never was. */
static inline void free_handles(void)
{
    check(!ouro_file_free(h.file));
    check(!ouro_dir_free(h.dir));
    check(!ouro_walk_free(h.walk));
    check(!ouro_notify_free(h.notify));
    check(!ouro_temp_free(h.temp));
    check(!ouro_stream_free(h.stream));
    check(!ouro_stream_free(h.peer));
    check(!ouro_listener_free(h.listener));
    check(!ouro_datagram_free(h.datagram));
    check(!ouro_datagram_free(h.packets));
    check(!ouro_addresses_free(h.addresses));
    h = (struct handles){0};
}

/* What a future came to. Outside a task what is pending is no answer. */
static inline int64_t came_to(ouro_future *f)
{
    if (!f)
        return INT64_MIN;
    if (ouro_future_state(f) == OURO_PENDING && ouro_task_current())
        return ouro_await(f);
    int64_t n = ouro_future_result(f).n;
    ouro_unref(f);
    return n;
}

#endif
