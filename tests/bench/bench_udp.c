/* SPDX-License-Identifier: MIT */
/*
 * UDP on the loopback: what a message costs, beside a loop of plain system calls.
 *
 *   udp.echo      one message there and back, both ends in one thread, so that nobody sleeps
 *   udp.echo64    64 messages there and back: next and send_many, against recvmmsg and sendmmsg
 *   udp.receive   a burst that is waiting in the socket is received, against recvmmsg(2)
 *   udp.send      a burst is sent, against sendmmsg(2), one datagram an entry
 *
 * The rival of the bursts makes the calls that a server would make which has read epoll(7): no GSO,
 * no GRO. Senders and receivers that are not measured are the same on both sides.
 */

#define _GNU_SOURCE 1

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define BURST  64u
#define ROUNDS 300u
#define SIZE   64u

static char payload[BURST][SIZE];

struct ends {
    int to;
    int from;
};

struct job {
    struct ends raw;
    ouro_datagram *to;
    ouro_datagram *from;
    double figure;
    const ouro_datagram_options *opts;
};

static struct ends open_ends(void)
{
    struct ends e = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0)};
    struct sockaddr_in a = {.sin_family = AF_INET};
    socklen_t size = sizeof a;
    int room = 1 << 20;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bench_check(bind(e.to, (void *)&a, size), "bind");
    bench_check(bind(e.from, (void *)&a, size), "bind");
    bench_check(setsockopt(e.to, SOL_SOCKET, SO_RCVBUF, &room, sizeof room), "SO_RCVBUF");
    bench_check(getsockname(e.to, (void *)&a, &size), "getsockname");
    bench_check(connect(e.from, (void *)&a, size), "connect");
    bench_check(getsockname(e.from, (void *)&a, &size), "getsockname");
    bench_check(connect(e.to, (void *)&a, size), "connect");
    return e;
}

static void adopt(struct job *job)
{
    job->raw = open_ends();
    bench_check(ouro_datagram_new(job->raw.to, job->opts, &job->to), "open");
    bench_check(ouro_datagram_new(job->raw.from, job->opts, &job->from), "open");
}

static void give_up(struct job *job)
{
    ouro_datagram_free(job->to);
    ouro_datagram_free(job->from);
}

/* ---- System calls ---------------------------------------------------------------------------- */

struct calls {
    struct mmsghdr messages[BURST];
    struct iovec parts[BURST];
    struct sockaddr_in names[BURST];
};

static void prepare(struct calls *c)
{
    for (unsigned i = 0; i < BURST; i++) {
        c->parts[i] = (struct iovec){payload[i], SIZE};
        c->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &c->parts[i], .msg_iovlen = 1}};
    }
}

static void raw_send(struct calls *c, int fd)
{
    for (unsigned n = 0; n < BURST;) {
        int rc = sendmmsg(fd, &c->messages[n], BURST - n, 0);
        bench_check(rc, "sendmmsg");
        n += (unsigned)rc;
    }
}

/* A server wants to know whom to answer. */
static void raw_receive(struct calls *c, int fd)
{
    for (unsigned i = 0; i < BURST; i++) {
        c->messages[i].msg_hdr.msg_name = &c->names[i];
        c->messages[i].msg_hdr.msg_namelen = sizeof c->names[i];
    }
    for (unsigned n = 0; n < BURST;) {
        int rc = recvmmsg(fd, &c->messages[n], BURST - n, 0, NULL);
        bench_check(rc, "recvmmsg");
        n += (unsigned)rc;
    }
}

static double calls_round(int which)
{
    static struct calls c;
    struct ends e = open_ends();
    uint64_t spent = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        prepare(&c);
        uint64_t start = bench_cpu();
        raw_send(&c, e.from);
        spent += which ? 0 : bench_cpu() - start;
        start = bench_cpu();
        raw_receive(&c, e.to);
        spent += which ? bench_cpu() - start : 0;
    }
    close(e.to);
    close(e.from);
    return (double)spent / (ROUNDS * BURST);
}

static double calls_send(const void *arg)
{
    (void)arg;
    return calls_round(0);
}

static double calls_receive(const void *arg)
{
    (void)arg;
    return calls_round(1);
}

static double calls_echo(const void *arg)
{
    (void)arg;
    struct ends e = open_ends();
    char buf[SIZE];
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < ROUNDS * 16; i++) {
        bench_check(send(e.from, payload[0], SIZE, 0), "send");
        bench_check(recv(e.to, buf, SIZE, 0), "recv");
        bench_check(send(e.to, buf, SIZE, 0), "send");
        bench_check(recv(e.from, buf, SIZE, 0), "recv");
    }
    double figure = bench_cpu_per(start, ROUNDS * 16);
    close(e.to);
    close(e.from);
    return figure;
}

static double calls_echo64(const void *arg)
{
    static struct calls c;
    (void)arg;
    struct ends e = open_ends();
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < ROUNDS; i++) {
        prepare(&c);
        raw_send(&c, e.from);
        raw_receive(&c, e.to);
        raw_send(&c, e.to);
        raw_receive(&c, e.from);
    }
    double figure = bench_cpu_per(start, ROUNDS * BURST);
    close(e.to);
    close(e.from);
    return figure;
}

/* ---- ouro ------------------------------------------------------------------------------------ */

static void receive_burst(ouro_datagram *d)
{
    static ouro_message m[BURST];
    for (unsigned n = 0; n < BURST;) {
        int64_t rc = ouro_await(ouro_datagram_next(d, m, BURST));
        bench_check(rc, "next");
        n += (unsigned)rc;
    }
}

static int64_t ouro_sends(void *arg)
{
    static ouro_outgoing out[BURST];
    struct job *job = arg;
    uint64_t spent = 0;
    adopt(job);
    for (unsigned i = 0; i < BURST; i++)
        out[i] = (ouro_outgoing){.bytes = payload[i], .size = SIZE};
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t start = bench_cpu();
        bench_check(ouro_await(ouro_datagram_send_many(job->from, out, BURST)), "send_many");
        spent += bench_cpu() - start;
        receive_burst(job->to);
    }
    give_up(job);
    job->figure = (double)spent / (ROUNDS * BURST);
    return 0;
}

static int64_t ouro_receives(void *arg)
{
    static struct calls c;
    struct job *job = arg;
    uint64_t spent = 0;
    adopt(job);
    prepare(&c);
    for (unsigned i = 0; i < ROUNDS; i++) {
        raw_send(&c, job->raw.from);
        uint64_t start = bench_cpu();
        receive_burst(job->to);
        spent += bench_cpu() - start;
    }
    give_up(job);
    job->figure = (double)spent / (ROUNDS * BURST);
    return 0;
}

static int64_t echo(void *d)
{
    ouro_message m;
    for (;;) {
        int64_t rc = ouro_await(ouro_datagram_next(d, &m, 1));
        if (rc < 0)
            return rc;
        bench_check(ouro_await(ouro_datagram_send(d, m.bytes, m.size)), "send");
    }
}

static int64_t ouro_echoes(void *arg)
{
    struct job *job = arg;
    char buf[SIZE];
    adopt(job);
    ouro_future *server = ouro_spawn(echo, job->to);
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < ROUNDS * 16; i++) {
        bench_check(ouro_await(ouro_datagram_send(job->from, payload[0], SIZE)), "send");
        bench_check(ouro_await(ouro_datagram_receive(job->from, buf, SIZE, NULL)), "receive");
    }
    job->figure = bench_cpu_per(start, ROUNDS * 16);
    ouro_await(ouro_datagram_close(job->to));
    ouro_await(server);
    give_up(job);
    return 0;
}

static int64_t echo_all(void *d)
{
    static ouro_message in[BURST];
    static ouro_outgoing out[BURST];
    for (;;) {
        int64_t n = ouro_await(ouro_datagram_next(d, in, BURST));
        if (n < 0)
            return n;
        for (int64_t i = 0; i < n; i++)
            out[i] = (ouro_outgoing){.bytes = in[i].bytes, .size = in[i].size};
        bench_check(ouro_await(ouro_datagram_send_many(d, out, (size_t)n)), "send_many");
    }
}

static int64_t ouro_echoes_many(void *arg)
{
    static ouro_outgoing out[BURST];
    struct job *job = arg;
    adopt(job);
    for (unsigned i = 0; i < BURST; i++)
        out[i] = (ouro_outgoing){.bytes = payload[i], .size = SIZE};
    ouro_future *server = ouro_spawn(echo_all, job->to);
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < ROUNDS; i++) {
        bench_check(ouro_await(ouro_datagram_send_many(job->from, out, BURST)), "send_many");
        receive_burst(job->from);
    }
    job->figure = bench_cpu_per(start, ROUNDS * BURST);
    ouro_await(ouro_datagram_close(job->to));
    ouro_await(server);
    give_up(job);
    return 0;
}

static double run(ouro_task_fn *fn, const void *opts)
{
    struct job job = {.opts = opts};
    bench_run(fn, &job, 0);
    return job.figure;
}

static double ouro_send(const void *arg)
{
    return run(ouro_sends, arg);
}

static double ouro_receive(const void *arg)
{
    return run(ouro_receives, arg);
}

static double ouro_echo(const void *arg)
{
    return run(ouro_echoes, arg);
}

static double ouro_echo64(const void *arg)
{
    return run(ouro_echoes_many, arg);
}

int main(int argc, char **argv)
{
    static const ouro_datagram_options many = {.buffers = 128, .message_size = 2048};
    static const struct bench_case cases[] = {
        {"udp.echo", "ns", ouro_echo, "send + recv", calls_echo, .arg = &many,
         .note = "alone, and the rival never has to wait for anything"},
        {"udp.echo64", "ns", ouro_echo64, "mmsg calls", calls_echo64,
         .note = "64 in flight, with GSO and GRO"},
        {"udp.send", "ns", ouro_send, "sendmmsg", calls_send, .note = "64 in a burst, with GSO"},
        {"udp.receive", "ns", ouro_receive, "recvmmsg", calls_receive, .arg = &many,
         .note = "64 that were sent one by one"},
    };
    return bench_main(argc, argv, "UDP", cases, BENCH_COUNT(cases));
}
