/* SPDX-License-Identifier: MIT */
/*
 * Servers of several workers: who serves what, and how signals end them.
 */
#define _GNU_SOURCE
#include "server_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

TestSuite(server_workers, .timeout = 60);

enum { WORKERS = 3, CLIENTS = 96 };

/* What the clients, on a thread of their own, find out. */
struct crowd {
    ouro_address address;
    pthread_t thread;
    void *(*play)(void *crowd);
    int served[WORKERS]; /* connections by worker */
    int silent;          /* that ended without an answer */
    int signal;          /* to be sent in the end */
    atomic_int begun;
    atomic_int ended;
};

/* Tell the client which worker it has, and wait until it hangs up. */
static int64_t tell_worker(ouro_stream *s, void *arg)
{
    struct crowd *c = arg;
    char byte = (char)ouro_worker_index();
    atomic_fetch_add(&c->begun, 1);
    check_eq(send(ouro_stream_fd(s), &byte, 1, MSG_NOSIGNAL), 1);
    int64_t n = ouro_await(ouro_stream_read(s, &byte, 1));
    atomic_fetch_add(&c->ended, 1);
    return n;
}

/* The signals that end a server are for its own thread. */
static void start_clients(const ouro_address *address, void *arg)
{
    struct crowd *c = arg;
    sigset_t all, before;
    c->address = *address;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    check_eq(pthread_create(&c->thread, NULL, c->play, c), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* A client that has heard which worker it has. */
static int meet(struct crowd *c)
{
    char byte;
    int fd = try_dial(&c->address);
    check(fd >= 0);
    if (recv(fd, &byte, 1, 0) == 1)
        c->served[(int)byte]++;
    else
        c->silent++;
    return fd;
}

static int64_t serve_crowd(struct crowd *c, const char *where, ouro_serve_workers_options opts)
{
    opts.on_listening = start_clients;
    int64_t rc = ouro_serve_workers(WORKERS, where, tell_worker, c, &opts);
    check_eq(pthread_join(c->thread, NULL), 0);
    return rc;
}

static void *come_and_go(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < CLIENTS; i++)
        close(meet(c));
    while (atomic_load(&c->ended) < CLIENTS)
        usleep(1000);
    kill(getpid(), c->signal);
    return NULL;
}

static void check_shared(const struct crowd *c)
{
    int sum = 0;
    for (int i = 0; i < WORKERS; i++) {
        check(c->served[i] > 0); /* by chance, once in 10^16 runs */
        sum += c->served[i];
    }
    check_eq(sum, CLIENTS);
    check_eq(c->silent, 0);
}

Test(server_workers, workers_share_a_port_and_end_by_sigterm)
{
    struct crowd c = {.play = come_and_go, .signal = SIGTERM};
    ouro_server_stats stats;
    check_eq(serve_crowd(&c, "127.0.0.1:0", (ouro_serve_workers_options){.ret_stats = &stats}), 0);
    check_shared(&c);
    check_eq(stats.accepted, CLIENTS);
    check_eq(stats.errors + stats.cancelled + stats.refused, 0);
    check_eq(stats.live, 0);
    check_eq(try_dial(&c.address), -ECONNREFUSED);
}

Test(server_workers, both_families_are_shared_too)
{
    struct crowd c = {.play = come_and_go, .signal = SIGTERM};
    check_eq(serve_crowd(&c, ":0", (ouro_serve_workers_options){0}), 0);
    check_shared(&c);
}

/* All at once, since with one after the other the same worker may be the quickest each time. */
static void *come_together(void *arg)
{
    struct crowd *c = arg;
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = meet(c);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    while (atomic_load(&c->ended) < CLIENTS)
        usleep(1000);
    kill(getpid(), c->signal);
    return NULL;
}

Test(server_workers, a_unix_socket_is_one_for_all)
{
    const char *path = "test_server_workers.sock";
    struct crowd c = {.play = come_together, .signal = SIGTERM};
    check_eq(serve_crowd(&c, "unix:test_server_workers.sock",
                         (ouro_serve_workers_options){.listener.unlink_stale = 1}),
             0);
    check_eq(c.served[0] + c.served[1] + c.served[2], CLIENTS);
    check_eq(c.silent, 0);
    check(access(path, F_OK) < 0);
}

Test(server_workers, sigint_ends_them_as_it_ends_every_program)
{
    struct crowd c = {.play = come_and_go, .signal = SIGINT};
    check_eq(serve_crowd(&c, "127.0.0.1:0", (ouro_serve_workers_options){0}), -EINTR);
    check_shared(&c);
}

/* ---- The end of connections ------------------------------------------------------------------ */

/* Until nobody listens any more. */
static void until_deaf(struct crowd *c)
{
    int fd;
    while ((fd = try_dial(&c->address)) >= 0) {
        close(fd);
        usleep(1000);
    }
}

static void *stay_a_while(void *arg)
{
    struct crowd *c = arg;
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = meet(c);
    kill(getpid(), c->signal);
    until_deaf(c);
    for (int i = 0; i < CLIENTS; i++) {
        check(!is_hung_up(fds[i])); /* left in peace */
        close(fds[i]);
    }
    return NULL;
}

Test(server_workers, a_signal_lets_connections_come_to_their_end)
{
    struct crowd c = {.play = stay_a_while, .signal = SIGTERM};
    ouro_server_stats stats;
    ouro_serve_workers_options opts = {.serve.grace = OURO_SEC(30), .ret_stats = &stats};
    check_eq(serve_crowd(&c, "127.0.0.1:0", opts), 0);
    check_eq(stats.cancelled, 0);
}

static void *outstay(void *arg)
{
    struct crowd *c = arg;
    int fds[CLIENTS];
    char byte;
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = meet(c);
    kill(getpid(), c->signal);
    if (c->signal == SIGTERM) { /* wait until the first has been seen */
        until_deaf(c);
        kill(getpid(), SIGTERM);
    }
    for (int i = 0; i < CLIENTS; i++) {
        check(recv(fds[i], &byte, 1, 0) <= 0);
        close(fds[i]);
    }
    return NULL;
}

Test(server_workers, a_second_sigterm_cancels_what_is_left)
{
    struct crowd c = {.play = outstay, .signal = SIGTERM};
    ouro_server_stats stats;
    ouro_serve_workers_options opts = {.serve.grace = OURO_FOREVER, .ret_stats = &stats};
    check_eq(serve_crowd(&c, "127.0.0.1:0", opts), 0);
    check(stats.cancelled >= CLIENTS);
    check_eq(c.begun, c.ended);
}

Test(server_workers, what_outlives_the_grace_is_cancelled)
{
    struct crowd c = {.play = outstay, .signal = SIGINT};
    ouro_server_stats stats;
    ouro_serve_workers_options opts = {.serve.grace = OURO_MS(20), .ret_stats = &stats};
    check_eq(serve_crowd(&c, "127.0.0.1:0", opts), -EINTR);
    check_eq(stats.cancelled, CLIENTS);
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static int64_t restarted;

static void note_restart(int64_t result, const char *why, void *arg)
{
    (void)why;
    (void)arg;
    restarted = result;
}

/* The new process is a shell that says it is ready and leaves the socket alone. */
Test(server_workers, a_restart_ends_them_and_leaves_the_path_to_the_new_process)
{
    const char *argv[] = {"sh", "-c", "eval \"echo >&${OURO_READY%%:*}\"", NULL};
    const char *path = "test_server_workers_2.sock";
    struct crowd c = {.play = come_and_go, .signal = SIGUSR2};
    ouro_serve_workers_options opts = {
        .listener.unlink_stale = 1,
        .restart_signal = SIGUSR2,
        .restart.argv = argv,
        .on_restart = note_restart,
    };
    check_eq(serve_crowd(&c, "unix:test_server_workers_2.sock", opts), 0);
    check(restarted > 0);
    check_eq(c.silent, 0);
    check_eq(unlink(path), 0);
}

static void signal_at_once(const ouro_address *address, void *arg)
{
    (void)address;
    (void)arg;
    kill(getpid(), SIGUSR2);
}

static void note_and_stop(int64_t result, const char *why, void *arg)
{
    (void)arg;
    check(strstr(why, "ended with status 3") != NULL);
    restarted = result;
    kill(getpid(), SIGTERM);
}

/* Whichever workers have begun by then, their sockets are there to be handed over. */
Test(server_workers, a_restart_may_be_asked_for_before_any_worker_runs)
{
    const char *argv[] = {"sh", "-c", "exit 3", NULL};
    ouro_serve_workers_options opts = {
        .on_listening = signal_at_once,
        .restart_signal = SIGUSR2,
        .restart.argv = argv,
        .on_restart = note_and_stop,
    };
    for (int i = 0; i < 100; i++) {
        restarted = 0;
        check_eq(ouro_serve_workers(WORKERS, "127.0.0.1:0", tell_worker, NULL, &opts), 0);
        check_eq(restarted, -ESRCH);
    }
}

/* ---- Other ends ------------------------------------------------------------------------------ */

static int64_t stop_the_loop(ouro_stream *s, void *arg)
{
    (void)s;
    (void)arg;
    check_eq(ouro_loop_stop(ouro_loop_current()), 0);
    return 0;
}

static void *come_once(void *arg)
{
    struct crowd *c = arg;
    char byte;
    int fd = try_dial(&c->address);
    check(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
    return NULL;
}

Test(server_workers, a_handler_can_stop_them_all)
{
    struct crowd c = {.play = come_once};
    ouro_serve_workers_options opts = {.on_listening = start_clients};
    check_eq(ouro_serve_workers(WORKERS, "127.0.0.1:0", stop_the_loop, &c, &opts), -ECANCELED);
    check_eq(pthread_join(c.thread, NULL), 0);
}

Test(server_workers, none_runs_when_one_socket_cannot_be_had)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char where[OURO_ADDRESS_TEXT];
    ouro_address a;
    check_eq(ouro_address_parse("127.0.0.1:0", &a), 0);
    check_eq(bind(fd, &a.as.any, a.size), 0);
    check_eq(listen(fd, 1), 0);
    check_eq(ouro_sockopt_address(fd, &a), 0);
    ouro_address_print(&a, where, sizeof where);
    int before = open_fds();
    check_eq(ouro_serve_workers(WORKERS, where, tell_worker, NULL, NULL), -EADDRINUSE);
    check_eq(ouro_serve_workers(WORKERS, "unix:/no/such/folder", tell_worker, NULL, NULL), -ENOENT);
    check_eq(open_fds(), before);
    close(fd);
}

static int ignored;

static void ignore(int number)
{
    (void)number;
    ignored++;
}

static void *come_and_signal_twice(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < CLIENTS; i++)
        close(meet(c));
    kill(getpid(), SIGTERM);
    usleep(20000);
    close(meet(c)); /* still there */
    kill(getpid(), SIGINT);
    return NULL;
}

Test(server_workers, a_sigterm_that_has_a_handler_is_left_to_it)
{
    struct crowd c = {.play = come_and_signal_twice};
    signal(SIGTERM, ignore);
    check_eq(serve_crowd(&c, "127.0.0.1:0", (ouro_serve_workers_options){0}), -EINTR);
    check_eq(ignored, 1);
}

Test(server_workers, one_for_each_processor_is_the_default)
{
    struct crowd c = {.play = come_once};
    ouro_serve_workers_options opts = {.on_listening = start_clients};
    check_eq(ouro_serve_workers(0, "127.0.0.1:0", stop_the_loop, &c, &opts), -ECANCELED);
    check_eq(pthread_join(c.thread, NULL), 0);
}
