/* SPDX-License-Identifier: MIT */
/*
 * A server that sends back what it is sent, on as many processors as it is given.
 *
 *     echo_server [--workers N] [--port P] [--selftest]
 *
 * Each connection is a task in straight-line code. SIGINT and SIGTERM stop it in good order: nobody
 * new is accepted, and who is there has ten seconds to finish. At SIGUSR2 the program at its path
 * takes over from it, and no connection is lost. With --selftest a child process plays some clients
 * and then sends SIGTERM.
 */
#define _GNU_SOURCE
#include <ouro/ouro.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- The server ------------------------------------------------------------------------------ */

/* [echo] */
/* What has come is sent back from where it lies. */
static int64_t echo(ouro_stream *s, void *arg)
{
    const void *bytes;
    int64_t n;
    (void)arg;
    while ((n = ouro_await(ouro_stream_next(s, &bytes))) > 0)
        if ((n = ouro_await(ouro_stream_write(s, bytes, (size_t)n))) < 0)
            break;
    return n;
}
/* [echo] */

static void complain(ouro_future *task, int64_t error, void *arg)
{
    (void)arg;
    fprintf(stderr, "%s: %s\n", ouro_task_name(task), ouro_strerror(error));
}

/* [restart] */
static void tell_restart(int64_t result, const char *why, void *arg)
{
    (void)arg;
    if (result > 0)
        fprintf(stderr, "process %lld takes over\n", (long long)result);
    else
        fprintf(stderr, "still here: %s\n", why ? why : ouro_strerror(result));
}
/* [restart] */

static void announce(const ouro_address *address, void *arg)
{
    char text[OURO_ADDRESS_TEXT];
    (void)arg;
    ouro_address_print(address, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
}

/* ---- The clients of the self-test ------------------------------------------------------------ */

enum { CLIENTS = 8, BULK = 256 * 1024 };
#define PATIENCE OURO_SEC(60)

struct client {
    int number;
    const char *where;
};

static int64_t greet(ouro_stream *s, int number)
{
    char hello[64], answer[64];
    int size = snprintf(hello, sizeof hello, "hello from client %d\n", number);
    int64_t n = ouro_await(ouro_stream_write(s, hello, (size_t)size));
    if (n > 0)
        n = ouro_await(ouro_stream_read_line(s, answer, sizeof answer));
    if (n < 0)
        return n;
    return strcmp(hello, answer) == 0 ? 0 : -EBADMSG;
}

/* More than fits into the sockets on the way: it has to be read while it is being written. */
static int64_t send_bulk(ouro_stream *s, int number)
{
    char *there = malloc(BULK), *back = malloc(BULK);
    int64_t n = -ENOMEM;
    if (there && back) {
        for (int i = 0; i < BULK; i++)
            there[i] = (char)(i * 31 + i / 251 + number);
        ouro_future *both[2] = {ouro_stream_write(s, there, BULK),
                                ouro_stream_read_exact(s, back, BULK)};
        n = ouro_await(ouro_gather(both, 2, OURO_GATHER_ALL, NULL));
        if (n == 0 && memcmp(there, back, BULK) != 0)
            n = -EBADMSG;
    }
    free(there);
    free(back);
    return n;
}

static int64_t play_client(void *arg)
{
    struct client *c = arg;
    int64_t n;
    ouro_stream *s = ouro_await_ptr(ouro_stream_connect(c->where, NULL), &n);
    if (n == 0)
        n = greet(s, c->number);
    if (n == 0)
        n = send_bulk(s, c->number);
    ouro_stream_free(s);
    return n;
}

static int64_t play_clients(void *where)
{
    struct client clients[CLIENTS];
    ouro_future *f[CLIENTS];
    ouro_result came[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){i, where};
        f[i] = ouro_spawn(play_client, &clients[i]);
    }
    ouro_future *all = ouro_gather(f, CLIENTS, OURO_GATHER_COLLECT, came);
    int64_t rc = ouro_await(ouro_timeout(all, PATIENCE)); /* the server may have failed to start */
    for (int i = 0; rc == 0 && i < CLIENTS; i++)
        printf("client %d: %s\n", i, came[i].n == 0 ? "heard itself" : ouro_strerror(came[i].n));
    return rc;
}

/* Called when connections are possible, and before there is any loop or thread: time to fork. */
static void start_clients(const ouro_address *address, void *arg)
{
    char where[OURO_ADDRESS_TEXT];
    pid_t *clients = arg;
    fflush(stdout);
    *clients = fork();
    if (*clients != 0)
        return;
    ouro_address_print(address, where, sizeof where);
    int64_t rc = ouro_run(play_clients, where, NULL);
    fflush(stdout);
    kill(getppid(), SIGTERM);
    _exit(ouro_exit_code(rc));
}

/* ---- The program ----------------------------------------------------------------------------- */

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [--workers N] [--port P] [--selftest]\n", program);
    return 2;
}

/* What a run of the self-test has come to, as an exit status. */
static int judge(pid_t clients, const ouro_server_stats *stats)
{
    int status = 1;
    if (clients > 0)
        waitpid(clients, &status, 0);
    printf("served %llu connections, %llu errors\n", (unsigned long long)stats->accepted,
           (unsigned long long)stats->errors);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"workers", required_argument, NULL, 'w'},
        {"port", required_argument, NULL, 'p'},
        {"selftest", no_argument, NULL, 's'},
        {0},
    };
    ouro_server_stats stats = {0};
    ouro_serve_workers_options opts = {
        .serve = {.on_error = complain},
        .on_listening = announce,
        .restart_signal = SIGUSR2,
        .on_restart = tell_restart,
        .ret_stats = &stats,
    };
    const char *port = "7777";
    int workers = 0;
    int selftest = 0;
    pid_t clients = -1;
    for (int c; (c = getopt_long(argc, argv, "w:p:s", options, NULL)) != -1;) {
        if (c == 'w' && optarg[strspn(optarg, "0123456789")] == '\0')
            workers = atoi(optarg);
        else if (c == 'p')
            port = optarg;
        else if (c == 's')
            selftest = 1;
        else
            return usage(argv[0]);
    }
    if (selftest)
        opts.on_listening = start_clients;
    char where[64];
    snprintf(where, sizeof where, selftest ? "127.0.0.1:0" : ":%s", port);
    int64_t rc = ouro_serve_workers(workers, where, echo, &clients, &opts);
    if (rc < 0 && rc != -EINTR)
        fprintf(stderr, "%s: %s\n", where, ouro_strerror(rc));
    if (rc == 0 && selftest)
        return judge(clients, &stats);
    return ouro_exit_code(rc);
}
