/* SPDX-License-Identifier: MIT */

/*
 * What it costs to send: writes of a stream beside send(2) and a raw ring, files beside sendfile(2)
 * and a loop of read and write, sends without a copy beside those with one.
 *
 * A round sends over loopback TCP, with cubic congestion control, to a thread on another processor
 * that throws away what it receives. Figures are processor time of the sending thread where little
 * is sent at a time, and time by the clock where much is.
 */

#define _GNU_SOURCE 1

#include <arpa/inet.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ouro/stream.h>

#include "bench.h"
#include "send_int.h"

#define FILE_SIZE ((size_t)64 << 20)

struct spec {
    size_t size;  /* of a write */
    size_t count; /* of writes in a round */
    int ring;     /* never at once */
    int zero_copy;
};

/* ---- The peer -------------------------------------------------------------------------------- */

static int sender, receiver;
static pthread_t thread;

static void *drain(void *unused)
{
    static char sink[1 << 20];
    int cpu = bench_other_cpu();
    if (cpu >= 0)
        bench_pin(cpu);
    while (recv(receiver, sink, sizeof(sink), 0) > 0)
        continue;
    return unused;
}

static void open_connection(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    bench_check(bind(listener, (struct sockaddr *)&address, size), "bind");
    bench_check(listen(listener, 1), "listen");
    bench_check(getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
    sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(sender, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    bench_check(connect(sender, (struct sockaddr *)&address, size), "connect");
    receiver = accept(listener, NULL, NULL);
    bench_check(receiver, "accept");
    int one = 1;
    setsockopt(sender, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    close(listener);
    bench_check(-pthread_create(&thread, NULL, drain, NULL), "pthread_create");
}

static void close_connection(void)
{
    shutdown(sender, SHUT_WR);
    pthread_join(thread, NULL);
    close(sender);
    close(receiver);
}

/* Nanoseconds a write since @start, of whatever clock fits its size. */
static uint64_t clock_of(const struct spec *spec)
{
    return spec->size < 65536 ? bench_thread_cpu() : bench_now();
}

static char *bytes_of(const struct spec *spec)
{
    char *bytes = bench_alloc(spec->size);
    memset(bytes, 'x', spec->size);
    return bytes;
}

/* ---- Writes ---------------------------------------------------------------------------------- */

struct job {
    const struct spec *spec;
    double figure;
    int file;
};

static ouro_stream *stream_of(const struct spec *spec)
{
    ouro_stream *s;
    int fd = dup(sender);
    bench_check(ouro_stream_new(fd, NULL, &s), "ouro_stream_new");
    if (spec->ring)
        s->out.at_once = SIZE_MAX;
    if (spec->zero_copy)
        s->out.zero_copy = OURO__ZERO_COPY_FORCED;
    return s;
}

static int64_t write_main(void *arg)
{
    struct job *job = arg;
    const struct spec *spec = job->spec;
    ouro_stream *s = stream_of(spec);
    char *bytes = bytes_of(spec);
    uint64_t start = clock_of(spec);
    for (size_t i = 0; i < spec->count; i++)
        bench_check(ouro_await(ouro_stream_write(s, bytes, spec->size)), "write");
    job->figure = (double)(clock_of(spec) - start) / (double)spec->count;
    free(bytes);
    bench_check(ouro_await(ouro_stream_close(s)), "close");
    ouro_stream_free(s);
    return 0;
}

static double ouro_writes(const void *arg)
{
    struct job job = {.spec = arg};
    open_connection();
    bench_run(write_main, &job, 0);
    close_connection();
    return job.figure;
}

static double plain_sends(const void *arg)
{
    const struct spec *spec = arg;
    open_connection();
    char *bytes = bytes_of(spec);
    uint64_t start = clock_of(spec);
    for (size_t i = 0; i < spec->count; i++)
        bench_check(send(sender, bytes, spec->size, MSG_NOSIGNAL), "send");
    double figure = (double)(clock_of(spec) - start) / (double)spec->count;
    free(bytes);
    close_connection();
    return figure;
}

static void ring_send(struct io_uring *ring, const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct io_uring_cqe *cqe;
        size_t some = size - at < OURO__SEND_MAX ? size - at : OURO__SEND_MAX;
        io_uring_prep_send(io_uring_get_sqe(ring), sender, bytes + at, some,
                           MSG_WAITALL | MSG_NOSIGNAL);
        bench_check(io_uring_submit_and_wait(ring, 1), "io_uring_submit_and_wait");
        bench_check(io_uring_peek_cqe(ring, &cqe), "io_uring_peek_cqe");
        bench_check(cqe->res, "SEND");
        at += (size_t)cqe->res;
        io_uring_cqe_seen(ring, cqe);
    }
}

static double ring_sends(const void *arg)
{
    const struct spec *spec = arg;
    struct io_uring ring;
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_TASKRUN_FLAG};
    bench_check(io_uring_queue_init_params(256, &ring, &params), "io_uring_queue_init_params");
    bench_check(io_uring_register_ring_fd(&ring), "io_uring_register_ring_fd");
    open_connection();
    char *bytes = bytes_of(spec);
    uint64_t start = clock_of(spec);
    for (size_t i = 0; i < spec->count; i++)
        ring_send(&ring, bytes, spec->size);
    double figure = (double)(clock_of(spec) - start) / (double)spec->count;
    free(bytes);
    close_connection();
    io_uring_queue_exit(&ring);
    return figure;
}

/* The same with a copy, as the rival of one without. */
static double ouro_copies(const void *arg)
{
    struct spec spec = *(const struct spec *)arg;
    spec.zero_copy = 0;
    return ouro_writes(&spec);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int open_file(void)
{
    char path[] = "/tmp/ouro-bench-send-XXXXXX";
    static char bytes[1 << 20];
    int fd = mkstemp(path);
    bench_check(fd, "mkstemp");
    unlink(path);
    for (size_t at = 0; at < FILE_SIZE; at += sizeof(bytes))
        bench_check(write(fd, bytes, sizeof(bytes)), "write");
    return fd;
}

static int64_t file_main(void *arg)
{
    struct job *job = arg;
    const struct spec *spec = job->spec;
    ouro_stream *s = stream_of(spec);
    uint64_t start = clock_of(spec);
    for (size_t i = 0; i < spec->count; i++)
        bench_check(ouro_await(ouro_stream_send_file(s, job->file, 0, spec->size)), "send_file");
    job->figure = (double)(clock_of(spec) - start) / (double)spec->count;
    bench_check(ouro_await(ouro_stream_close(s)), "close");
    ouro_stream_free(s);
    return 0;
}

static double ouro_files(const void *arg)
{
    struct job job = {.spec = arg, .file = open_file()};
    open_connection();
    bench_run(file_main, &job, 0);
    close_connection();
    close(job.file);
    return job.figure;
}

static void send_by_kernel(int file, size_t size)
{
    off_t at = 0;
    while ((size_t)at < size)
        bench_check(sendfile(sender, file, &at, size - (size_t)at), "sendfile");
}

static void send_by_copy(int file, size_t size)
{
    static char slice[64 * 1024];
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(file, slice, size - at < sizeof(slice) ? size - at : sizeof(slice),
                          (off_t)at);
        bench_check(n, "pread");
        bench_check(send(sender, slice, (size_t)n, MSG_NOSIGNAL), "send");
        at += (size_t)n;
    }
}

static double plain_files(const struct spec *spec, void (*send_one)(int, size_t))
{
    int file = open_file();
    open_connection();
    uint64_t start = clock_of(spec);
    for (size_t i = 0; i < spec->count; i++)
        send_one(file, spec->size);
    double figure = (double)(clock_of(spec) - start) / (double)spec->count;
    close_connection();
    close(file);
    return figure;
}

static double kernel_files(const void *arg)
{
    return plain_files(arg, send_by_kernel);
}

static double copied_files(const void *arg)
{
    return plain_files(arg, send_by_copy);
}

/* ---- The table ------------------------------------------------------------------------------- */

static const struct spec writes[] = {
    {.size = 64, .count = 20000},
    {.size = 4096, .count = 20000},
    {.size = 65536, .count = 4000},
    {.size = 1 << 20, .count = 400},
    {.size = 64, .count = 20000, .ring = 1},
    {.size = 4096, .count = 20000, .ring = 1},
    {.size = 65536, .count = 4000, .ring = 1},
    {.size = 1 << 20, .count = 400, .ring = 1},
};

static const struct spec zero_copies[] = {
    {.size = 65536, .count = 2000, .zero_copy = 1},
    {.size = 1 << 20, .count = 200, .zero_copy = 1},
};

static const struct spec files[] = {
    {.size = 4096, .count = 10000},  {.size = 16384, .count = 10000},
    {.size = 32768, .count = 5000},  {.size = 65536, .count = 2000},
    {.size = 1 << 20, .count = 200}, {.size = FILE_SIZE, .count = 4},
};

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
        {"send.write.64", "ns", ouro_writes, "send(2)", .rival = plain_sends, .arg = &writes[0],
         .note = "processor time of the sender below 64 KiB, time by the clock from there on"},
        {"send.write.4k", "ns", ouro_writes, "send(2)", .rival = plain_sends, .arg = &writes[1]},
        {"send.write.64k", "ns", ouro_writes, "send(2)", .rival = plain_sends, .arg = &writes[2]},
        {"send.write.1m", "ns", ouro_writes, "send(2)", .rival = plain_sends, .arg = &writes[3]},
        {"send.ring.64", "ns", ouro_writes, "raw liburing", .rival = ring_sends, .arg = &writes[4],
         .note = "streams that are told to use the ring alone"},
        {"send.ring.4k", "ns", ouro_writes, "raw liburing", .rival = ring_sends, .arg = &writes[5]},
        {"send.ring.64k", "ns", ouro_writes, "raw liburing", .rival = ring_sends,
         .arg = &writes[6]},
        {"send.ring.1m", "ns", ouro_writes, "raw liburing", .rival = ring_sends, .arg = &writes[7]},
        {"send.zero_copy.64k", "ns", ouro_writes, "a copy", .rival = ouro_copies,
         .arg = &zero_copies[0],
         .note = "forced: loopback copies all the same, so this is what it costs in vain"},
        {"send.zero_copy.1m", "ns", ouro_writes, "a copy", .rival = ouro_copies,
         .arg = &zero_copies[1]},
        {"send.file.4k", "ns", ouro_files, "sendfile(2)", .rival = kernel_files, .arg = &files[0]},
        {"send.file.16k", "ns", ouro_files, "sendfile(2)", .rival = kernel_files, .arg = &files[1]},
        {"send.file.64k", "ns", ouro_files, "sendfile(2)", .rival = kernel_files, .arg = &files[2]},
        {"send.file.1m", "ns", ouro_files, "sendfile(2)", .rival = kernel_files, .arg = &files[3]},
        {"send.file.64m", "ns", ouro_files, "sendfile(2)", .rival = kernel_files, .arg = &files[4]},
        {"send.copy.1m", "ns", ouro_files, "read and send", .rival = copied_files,
         .arg = &files[3]},
        {"send.copy.64m", "ns", ouro_files, "read and send", .rival = copied_files,
         .arg = &files[4]},
    };
    return bench_main(argc, argv, "Sending", cases, BENCH_COUNT(cases));
}
