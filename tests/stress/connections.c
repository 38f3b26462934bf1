/* SPDX-License-Identifier: MIT */
/*
 * Ten thousand connections, a coroutine each:
 *
 *     stress_connections [CONNECTIONS]
 *
 * A forked child is all the clients. First each says something once and falls silent: what the
 * server's process has grown by then is what an idle connection costs, and no more than 6 KiB.
 * Then all of them speak at once, again and again, to a server that keeps what it was lent for a
 * while, with far fewer buffers than there are speakers: all of them get answers, none more often
 * than others by much, since who found no buffer stands in line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro/ouro.h>

#include "storm.h"

enum { BUFFERS = 1024, MESSAGE = 256, ROUNDS = 5, MOST_BYTES = 6 * 1024 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define COUNTS_MEMORY 0
#else
#    define COUNTS_MEMORY 1
#endif

static long connections = STORM_STEPS(10000, 500);

/* ---- The clients, in a process of their own -------------------------------------------------- */

/* One byte each way tells the two processes what the other has done. */
static void tell(int fd)
{
    must(write(fd, "x", 1) == 1);
}

static void hear(int fd)
{
    char c;
    must(read(fd, &c, 1) == 1);
}

static int connect_one(const struct sockaddr_un *to, socklen_t size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0);
    while (connect(fd, (const struct sockaddr *)to, size) < 0)
        must(errno == EAGAIN && poll(NULL, 0, 1) == 0); /* the backlog is full */
    return fd;
}

static void say(int fd)
{
    static const char message[MESSAGE];
    must(send(fd, message, MESSAGE, MSG_NOSIGNAL) == MESSAGE);
}

static void expect(int fd)
{
    char answer[MESSAGE];
    must(recv(fd, answer, MESSAGE, MSG_WAITALL) == MESSAGE);
}

/* Each says so much as it gets answers, until the slowest of them has had ROUNDS. Returns how often
 * the fastest was answered meanwhile. */
static unsigned speak_at_once(const int *fds)
{
    unsigned *answers = calloc((size_t)connections, sizeof(*answers));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    must(answers && epoll >= 0);
    for (long i = 0; i < connections; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
        must(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &e) == 0);
        say(fds[i]);
    }
    unsigned most = 0;
    long satisfied = 0;
    while (satisfied < connections) {
        struct epoll_event ready[256];
        int n = epoll_wait(epoll, ready, 256, 30000);
        must(n > 0); /* nobody is left waiting */
        for (int i = 0; i < n; i++) {
            uint64_t who = ready[i].data.u64;
            expect(fds[who]);
            if (++answers[who] == ROUNDS)
                satisfied++;
            if (answers[who] > most)
                most = answers[who];
            say(fds[who]);
        }
    }
    free(answers);
    close(epoll);
    return most;
}

static void be_clients(const struct sockaddr_un *to, socklen_t size, int orders, int reports)
{
    int *fds = calloc((size_t)connections, sizeof(*fds));
    must(fds);
    for (long i = 0; i < connections; i++) {
        fds[i] = connect_one(to, size);
        say(fds[i]);
        expect(fds[i]);
    }
    tell(reports);
    hear(orders);
    unsigned most = speak_at_once(fds);
    printf("when the last had %d answers, the first had %u\n", ROUNDS, most);
    must(most <= 4 * ROUNDS);
    free(fds);
}

/* ---- The server ------------------------------------------------------------------------------ */

static bool lingers; /* with what it was lent */

static int64_t echo(ouro_stream *s, void *arg)
{
    (void)arg;
    const void *bytes;
    int64_t n;
    while ((n = ouro_await(ouro_stream_next(s, &bytes))) > 0) {
        if (lingers)
            ouro_await(ouro_sleep(OURO_MS(30)));
        n = ouro_await(ouro_stream_write(s, bytes, (size_t)n));
        if (n < 0)
            break;
    }
    return n == -EPIPE || n == -ECONNRESET ? 0 : n;
}

static long resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    must(f && fscanf(f, "%*s %ld", &pages) == 1);
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Until it has noticed that its clients have gone, and the kernel has let go of their streams. */
static void until_quiet(const ouro_future *server)
{
    ouro_server_stats stats;
    ouro_stream_buffers_stats buffers;
    do {
        must(ouro_await(ouro_sleep(OURO_MS(5))) == 0);
        must(ouro_server_stats_get(server, &stats) == 0);
        must(ouro_stream_buffers_get(&buffers) == 0);
    } while (stats.live > 0 || buffers.held > 0);
}

struct pipes {
    ouro_stream *reports;
    int orders;
    int listening;
};

static int64_t serve(void *arg)
{
    struct pipes *pipes = arg;
    ouro_listener *listener;
    char c;
    must(ouro_listener_from_fd(pipes->listening, NULL, &listener) == 0);
    long before = resident();
    ouro_future *server = ouro_serve(listener, echo, NULL, NULL);
    must(ouro_await(ouro_stream_read(pipes->reports, &c, 1)) == 1);
    ouro_await(ouro_sleep(OURO_MS(100)));
    long bytes = (resident() - before) / connections;
    printf("%ld idle connections: %ld bytes resident each\n", connections, bytes);
    must(!COUNTS_MEMORY || bytes <= MOST_BYTES);
    lingers = true;
    tell(pipes->orders);
    must(ouro_await(ouro_stream_read(pipes->reports, &c, 1)) == 0); /* they have gone */
    until_quiet(server);
    ouro_stream_buffers_stats stats;
    must(ouro_stream_buffers_get(&stats) == 0);
    printf("%u buffers; %llu times somebody stood in line for one, %llu got it; %u held, %u wait\n",
           stats.count, (unsigned long long)stats.parked, (unsigned long long)stats.woken,
           stats.held, stats.waiting);
    fflush(stdout);
    must(stats.waiting == 0 && stats.held == 0 && stats.woken <= stats.parked);
    must(connections <= BUFFERS || stats.parked > 0);
    must(ouro_server_stop(server, OURO_SEC(10)) == 1 && ouro_await(server) == 0);
    ouro_listener_free(listener);
    return 0;
}

static int64_t run(void *arg)
{
    int *fds = arg;
    struct pipes pipes = {.orders = fds[1], .listening = fds[2]};
    must(ouro_stream_buffers_set(&(ouro_stream_buffers){.count = BUFFERS, .size = 4096}) == 0);
    must(ouro_stream_new(fds[0], NULL, &pipes.reports) == 0);
    int64_t rc = serve(&pipes);
    ouro_stream_free(pipes.reports);
    return rc;
}

/* As many as the system allows, said if that is fewer than wanted. */
static void allow_descriptors(void)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    if ((long)limit.rlim_cur < connections + 64) {
        connections = (long)limit.rlim_cur - 64;
        printf("no more than %ld connections: that many descriptors are allowed\n", connections);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        connections = strtol(argv[1], NULL, 10);
    allow_descriptors();
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "ouro-connections-%d",
                          (int)getpid());
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int orders[2], reports[2];
    must(bind(listening, (struct sockaddr *)&name, size) == 0 && listen(listening, 4096) == 0);
    must(pipe(orders) == 0 && pipe(reports) == 0);
    fflush(stdout);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        be_clients(&name, size, orders[0], reports[1]);
        fflush(stdout);
        _exit(0);
    }
    close(reports[1]);
    int fds[] = {reports[0], orders[1], listening};
    must(ouro_run(run, fds, NULL) == 0);
    int status;
    must(waitpid(pid, &status, 0) == pid && status == 0);
    return 0;
}
