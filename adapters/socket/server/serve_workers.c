/* SPDX-License-Identifier: MIT */
/*
 * A server on several processors: a whole program in one call.
 *
 * Happy path: a listening socket for each worker is opened before the first of them runs, so that a
 * port that is taken is an error of the call and not of a thread. Each worker then makes a listener
 * of its own, serves until its main task is cancelled, and leaves what it has counted. SIGINT is
 * ouro_run_workers()'s affair; SIGTERM is watched by worker 0, which stops them all the same way.
 *
 * How it fails: as what it is made of does; sockets that no worker has taken over are closed.
 */
#include "listener_int.h"

#include <ouro/serve.h>
#include <ouro/signals.h>
#include <ouro/thread.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORKERS 1024

/* A worker's own; it alone touches it while it runs. */
struct seat {
    struct ouro__listening listening;
    ouro_server_stats stats;
};

struct crew {
    ouro_serve_fn *handler;
    void *arg;
    ouro_serve_workers_options opts;
    bool takes_sigterm;
    bool terminated; /* by SIGTERM */
    int n;
    struct seat seats[];
};

/* The server of this worker, while it runs. */
static _Thread_local ouro_future *mine;

/* ---- Sockets --------------------------------------------------------------------------------- */

/* Another socket beside @first: one of its own at the same port, or the same. */
static int open_beside(const struct ouro__listening *first, const ouro_listener_options *opts,
                       struct ouro__listening *ret_listening)
{
    if (first->address.as.any.sa_family != AF_UNIX)
        return ouro__listening_on(&first->address, opts, ret_listening);
    int fd = fcntl(first->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    *ret_listening = (struct ouro__listening){.fd = fd, .address = first->address};
    return 0;
}

static void close_sockets(struct crew *crew)
{
    for (int i = 0; i < crew->n; i++) {
        struct ouro__listening *listening = &crew->seats[i].listening;
        if (listening->fd < 0)
            continue;
        ouro__listening_unlink(listening);
        close(listening->fd);
    }
}

static int open_sockets(struct crew *crew, const char *where)
{
    ouro_listener_options *opts = &crew->opts.listener;
    if (crew->n > 1)
        opts->socket.reuse_port = 1;
    struct ouro__listening *first = &crew->seats[0].listening;
    int rc = ouro__listening_at(where, opts, first);
    for (int i = 1; rc == 0 && i < crew->n; i++)
        rc = open_beside(first, opts, &crew->seats[i].listening);
    return rc;
}

/* ---- SIGTERM --------------------------------------------------------------------------------- */

static void hurry(void *unused)
{
    (void)unused;
    if (mine)
        ouro_server_stop(mine, 0);
}

static void hurry_all(int n)
{
    for (int i = 0; i < n; i++)
        if (ouro_loop_post(ouro_worker_loop(i), hurry, NULL, NULL) < 0)
            continue; /* it has ended, or the next signal tries again */
}

/* A task of worker 0, cancelled when that has ended. */
static int64_t watch_sigterm(void *arg)
{
    struct crew *crew = arg;
    ouro_signals *signals;
    const int number = SIGTERM;
    int64_t rc = ouro_signals_open(&number, 1, &signals);
    if (rc < 0)
        return rc; /* somebody else watches it */
    while ((rc = ouro_await(ouro_signals_next(signals))) == SIGTERM) {
        if (crew->terminated)
            hurry_all(crew->n);
        crew->terminated = true;
        ouro_loop_stop(ouro_loop_current());
    }
    ouro_signals_close(signals);
    return rc;
}

/* Whether nobody has another idea of what it is for. */
static bool sigterm_is_free(void)
{
    struct sigaction now;
    return sigaction(SIGTERM, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == SIG_DFL;
}

/* ---- A worker -------------------------------------------------------------------------------- */

static int64_t serve_seat(struct crew *crew, struct seat *seat, ouro_listener *l)
{
    ouro_future *server = ouro_serve(l, crew->handler, crew->arg, &crew->opts.serve);
    mine = ouro_ref(server);
    int64_t rc = ouro_await(server);
    if (ouro_server_stats_get(mine, &seat->stats) < 0)
        seat->stats = (ouro_server_stats){0}; /* there never was a server */
    mine = ouro_unref(mine);
    return rc;
}

static int64_t worker(void *arg)
{
    struct crew *crew = arg;
    struct seat *seat = &crew->seats[ouro_worker_index()];
    ouro_listener *l;
    ouro_future *watch = NULL;
    int64_t rc = ouro__listener_make(&seat->listening, &crew->opts.listener, &l);
    if (rc < 0)
        return rc;
    seat->listening.fd = -1;
    if (seat == crew->seats && crew->takes_sigterm)
        watch = ouro_spawn_with(watch_sigterm, crew, &(ouro_spawn_options){.name = "SIGTERM"});
    rc = serve_seat(crew, seat, l);
    ouro_listener_free(l);
    if (watch) {
        ouro_cancel(watch);
        ouro_await(watch);
    }
    return rc;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static struct crew *crew_new(int n, ouro_serve_fn *handler, void *arg,
                             const ouro_serve_workers_options *opts)
{
    size_t size = sizeof(struct crew) + (size_t)n * sizeof(struct seat);
    struct crew *crew = ouro__alloc(size);
    if (!crew)
        return NULL;
    memset(crew, 0, size);
    crew->handler = handler;
    crew->arg = arg;
    if (opts)
        crew->opts = *opts;
    crew->takes_sigterm = !crew->opts.keep_sigterm && sigterm_is_free();
    crew->n = n;
    for (int i = 0; i < n; i++)
        crew->seats[i].listening.fd = -1;
    return crew;
}

static void add_up(const struct crew *crew, ouro_server_stats *sum)
{
    *sum = (ouro_server_stats){0};
    for (int i = 0; i < crew->n; i++) {
        const ouro_server_stats *one = &crew->seats[i].stats;
        sum->accepted += one->accepted;
        sum->refused += one->refused;
        sum->errors += one->errors;
        sum->cancelled += one->cancelled;
        sum->live += one->live;
        sum->peak += one->peak;
    }
}

/* A SIGTERM that comes before it is watched is not lost, and does not kill. */
static int64_t run(struct crew *crew)
{
    sigset_t early, before;
    sigemptyset(&early);
    if (crew->takes_sigterm)
        sigaddset(&early, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &early, &before);
    if (crew->opts.on_listening)
        crew->opts.on_listening(&crew->seats[0].listening.address, crew->arg);
    int64_t rc = ouro_run_workers(crew->n, worker, crew, &crew->opts.run);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (crew->opts.ret_stats)
        add_up(crew, crew->opts.ret_stats);
    return rc == -ECANCELED && crew->terminated ? 0 : rc;
}

int64_t ouro_serve_workers(int workers, const char *where, ouro_serve_fn *handler, void *arg,
                           const ouro_serve_workers_options *opts)
{
    if (workers == 0)
        workers = ouro_cpu_count();
    if (workers < 1 || workers > MAX_WORKERS || !handler)
        return -EINVAL;
    struct crew *crew = crew_new(workers, handler, arg, opts);
    if (!crew)
        return -ENOMEM;
    int64_t rc = open_sockets(crew, where);
    if (rc == 0)
        rc = run(crew);
    close_sockets(crew);
    ouro__release(crew);
    return rc;
}
