/* SPDX-License-Identifier: MIT */
/*
 * A soak: a server, its clients, files and datagrams in one loop, for as long as you like:
 *
 *     stress_soak [SECONDS]
 *
 * Clients talk, fall silent, give up half-way, break off, and come back; files are written and read
 * again; datagrams go round. The time is cut into rounds, each of which ends with everybody gone
 * home.
 *
 * Invariants: what comes back is what was sent. After the first two rounds, which warm up, the
 * memory that is in use between rounds does not grow by a byte, and neither does the number of
 * descriptors.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ouro/ouro.h>

#include "storm.h"

enum { ROUNDS = 8, WARM_UP = 2, CLIENTS = 24, FILES = 3, PINGERS = 2, MUCH = 96 * 1024 };

/* ---- What is in use -------------------------------------------------------------------------- */

static atomic_long in_use; /* bytes */

static void *count_alloc(size_t size, void *arg)
{
    (void)arg;
    void *p = malloc(size);
    if (p)
        atomic_fetch_add(&in_use, (long)malloc_usable_size(p));
    return p;
}

static void count_release(void *ptr, void *arg)
{
    (void)arg;
    if (ptr)
        atomic_fetch_sub(&in_use, (long)malloc_usable_size(ptr));
    free(ptr);
}

static void *count_resize(void *ptr, size_t size, void *arg)
{
    (void)arg;
    long before = ptr ? (long)malloc_usable_size(ptr) : 0;
    void *p = realloc(ptr, size);
    if (p)
        atomic_fetch_add(&in_use, (long)malloc_usable_size(p) - before);
    return p;
}

static int descriptors(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    must(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* ---- Clients --------------------------------------------------------------------------------- */

static char place[OURO_ADDRESS_TEXT];
static ouro_ns round_end;
static uint64_t conversations;
static uint64_t broken_off;

static void fill(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)pick(256);
}

/* What a conversation may end with, when somebody breaks it off. */
static bool is_an_end(int64_t rc)
{
    return rc == -ETIMEDOUT || rc == -ECONNRESET || rc == -EPIPE || rc == -EBADF || rc == -ENODATA;
}

static int64_t echo(ouro_stream *s, void *arg)
{
    (void)arg;
    const void *bytes;
    int64_t n;
    while ((n = ouro_await(ouro_stream_next(s, &bytes))) > 0) {
        n = ouro_await(ouro_stream_write(s, bytes, (size_t)n));
        if (n < 0)
            break;
    }
    must(n >= 0 || is_an_end(n) || n == -ECANCELED);
    return 0;
}

struct side {
    ouro_stream *stream;
    unsigned char *bytes;
    size_t size;
};

static int64_t send_all(void *arg)
{
    const struct side *side = arg;
    size_t sent = 0;
    while (sent < side->size) {
        size_t part = 1 + pick(side->size - sent);
        int64_t n = ouro_await(ouro_stream_write(side->stream, side->bytes + sent, part));
        if (n < 0)
            return n;
        sent += part;
    }
    return 0;
}

/* Send and receive at the same time: neither side holds as much as a message. */
static int64_t exchange(ouro_stream *s, unsigned char *out, unsigned char *back)
{
    struct side side = {s, out, 1 + pick(pick(4) ? 512 : MUCH)};
    fill(out, side.size);
    ouro_future *sender = ouro_spawn(send_all, &side);
    ouro_future *reader = ouro_stream_read_exact(s, back, side.size);
    if (pick(8) == 0)
        reader = ouro_timeout(reader, OURO_US(pick(300)));
    int64_t rc = ouro_await(reader);
    if (rc < 0)
        ouro_cancel(sender);
    int64_t sent = ouro_await(sender);
    must(rc < 0 || (sent == 0 && memcmp(out, back, side.size) == 0));
    return rc;
}

static void converse(unsigned char *out, unsigned char *back)
{
    int64_t rc;
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(place, NULL), &rc);
    must(s);
    conversations++;
    for (uint64_t n = pick(20); rc >= 0 && n > 0; n--)
        rc = exchange(s, out, back);
    must(rc >= 0 || is_an_end(rc) || rc == -OURO_ECHILDCANCELLED);
    broken_off += rc < 0;
    if (pick(6) == 0)
        ouro_stream_abort(s);
    else if (rc >= 0 && pick(3) == 0)
        must(ouro_await(ouro_stream_shutdown(s, SHUT_WR)) == 0 &&
             ouro_await(ouro_stream_read(s, back, 1)) == 0);
    if (pick(2))
        must(ouro_await(ouro_stream_close(s)) == 0);
    ouro_stream_free(s);
}

static int64_t client(void *arg)
{
    (void)arg;
    unsigned char *out = malloc(MUCH), *back = malloc(MUCH);
    must(out && back);
    while (ouro_now() < round_end)
        converse(out, back);
    free(out);
    free(back);
    return 0;
}

/* ---- Files and datagrams --------------------------------------------------------------------- */

static int64_t write_and_read(void *arg)
{
    (void)arg;
    unsigned char *out = malloc(MUCH), *back = malloc(MUCH);
    char path[] = "/tmp/ouro-soak-XXXXXX";
    int fd = mkstemp(path);
    must(out && back && fd >= 0 && close(fd) == 0);
    while (ouro_now() < round_end) {
        int64_t rc;
        ouro_file *f = ouro_await_ptr(ouro_file_open(path, O_RDWR, NULL), &rc);
        must(f);
        int64_t size = (int64_t)(1 + pick(MUCH));
        int64_t at = (int64_t)pick(1 << 20);
        fill(out, (size_t)size);
        must(ouro_await(ouro_file_write(f, out, (size_t)size, at)) == size);
        must(ouro_await(ouro_file_read_exact(f, back, (size_t)size, at)) == size);
        must(memcmp(out, back, (size_t)size) == 0);
        ouro_file_free(f);
    }
    must(unlink(path) == 0);
    free(out);
    free(back);
    return 0;
}

static int64_t ping(void *arg)
{
    (void)arg;
    ouro_datagram *a, *b;
    ouro_address there;
    must(ouro_udp_open("127.0.0.1:0", NULL, NULL, &a) == 0);
    must(ouro_sockopt_address(ouro_datagram_fd(a), &there) == 0);
    must(ouro_datagram_open(NULL, &there, NULL, &b) == 0);
    while (ouro_now() < round_end) {
        unsigned char bytes[1400];
        size_t size = 1 + pick(sizeof(bytes));
        ouro_message m;
        fill(bytes, size);
        must(ouro_await(ouro_datagram_send(b, bytes, size)) == (int64_t)size);
        must(ouro_await(ouro_datagram_next(a, &m, 1)) == 1);
        must(m.size == size && memcmp(m.bytes, bytes, size) == 0);
    }
    ouro_datagram_free(a);
    ouro_datagram_free(b);
    return 0;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

static int64_t one_round(ouro_ns length)
{
    ouro_future *all[CLIENTS + FILES + PINGERS];
    size_t n = 0;
    round_end = ouro_now() + length;
    for (int i = 0; i < CLIENTS; i++)
        all[n++] = ouro_spawn(client, NULL);
    for (int i = 0; i < FILES; i++)
        all[n++] = ouro_spawn(write_and_read, NULL);
    for (int i = 0; i < PINGERS; i++)
        all[n++] = ouro_spawn(ping, NULL);
    return ouro_await(ouro_gather(all, n, OURO_GATHER_ALL, NULL));
}

/* Until the server has noticed that its clients have gone. */
static void until_quiet(const ouro_future *server)
{
    ouro_server_stats stats;
    do {
        must(ouro_await(ouro_sleep(OURO_MS(5))) == 0);
        must(ouro_server_stats_get(server, &stats) == 0);
    } while (stats.live > 0);
}

static int64_t soak(void *arg)
{
    const ouro_ns *length = arg;
    ouro_listener *listener;
    ouro_address address;
    must(ouro_listen("127.0.0.1:0", NULL, &listener) == 0);
    must(ouro_listener_address(listener, &address) == 0);
    ouro_address_print(&address, place, sizeof(place));
    ouro_future *server = ouro_serve(listener, echo, NULL, NULL);
    long most = 0;
    int fds = 0;
    for (int i = 0; i < ROUNDS; i++) {
        must(one_round(*length / ROUNDS) == 0);
        until_quiet(server);
        long used = atomic_load(&in_use);
        printf("round %d: %llu conversations, %llu broken off; %ld bytes, %d descriptors\n", i + 1,
               (unsigned long long)conversations, (unsigned long long)broken_off, used,
               descriptors());
        must(i < WARM_UP || used <= most);
        must(i < WARM_UP || descriptors() <= fds);
        if (i < WARM_UP) {
            most = used > most ? used : most;
            fds = descriptors() > fds ? descriptors() : fds;
        }
    }
    must(ouro_server_stop(server, OURO_SEC(5)) == 1);
    must(ouro_await(server) == 0);
    ouro_listener_free(listener);
    return 0;
}

int main(int argc, char **argv)
{
    ouro_ns length = OURO_SEC(argc > 1 ? strtoull(argv[1], NULL, 10) : 4);
    ouro_allocator counted = {count_alloc, count_resize, count_release, NULL};
    state = seed = 42;
    must(ouro_set_allocator(&counted) == 0);
    int before = descriptors();
    must(ouro_run(soak, &length, NULL) == 0);
    must(ouro_set_allocator(NULL) == 0);
    must(descriptors() == before);
    must(atomic_load(&in_use) == 0);
    printf("%llu conversations, and nothing is left\n", (unsigned long long)conversations);
    return 0;
}
