/* SPDX-License-Identifier: MIT */
/*
 * A server on several processors: a whole program in one call.
 *
 * Happy path: the sockets are opened, or were inherited, before the first worker runs, so that a
 * port that is taken is an error of the call and not of a thread. There is a seat for each socket
 * and for each worker: more workers than sockets share them, more sockets than workers are dealt
 * out. Each worker makes a listener for each of its seats, serves them until its main task is
 * cancelled, and leaves what it has counted. SIGINT is ouro_run_workers()'s affair; SIGTERM, and the
 * signal of restarts, are watched by worker 0, which stops them all the same way.
 *
 * A restart is a task of worker 0. It asks each worker for its sockets, since only there it is sure
 * that they are open, and hands them on: the same ones, with who waits in them. A worker that stops
 * has closed its socket for itself alone. While another process has the sockets too, they "live on":
 * what must not be lost by a close, who waits in the queue and a unix socket's path, is left to it.
 * That is so for the old process from the moment that the new one is ready, and for the new one up
 * to that moment.
 *
 * How it fails: as what it is made of does; sockets that no worker has taken over are closed. A
 * restart that fails is told and changes nothing.
 */
#include "listener_int.h"
#include "restart_int.h"

#include <ouro/serve.h>
#include <ouro/signals.h>
#include <ouro/thread.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define MAX_WORKERS 1024
#define WANT_PAUSE  OURO_MS(10)

/* A socket and what serves it. Its worker alone touches it while that runs. */
struct seat {
    struct ouro__listening listening; /* until the listener has it */
    ouro_listener *listener;
    ouro_future *server; /* a reference, while it is served */
    void *own;           /* of the service */
    ouro_server_stats stats;
};

struct crew {
    ouro_service service;
    void *arg;
    ouro_serve_workers_options opts;
    ouro_future *restart;  /* worker 0's; a reference */
    ouro_signals *signals; /* likewise */
    atomic_int serving;    /* workers that have begun */
    bool takes_sigterm;
    bool terminated;        /* by SIGTERM, or another has taken over */
    atomic_bool lives_on;   /* what listens here does so in another process too, and for good */
    struct ouro__path path; /* that is ours to remove, or whose it is by then */
    int workers;
    int sockets;           /* in the first so many seats; the others share them */
    int n;                 /* seats */
    ouro_future **futures; /* one for each */
    struct seat seats[];
};

/* The first seat of a worker; the last one's are followed by no one's. */
static int first_seat(const struct crew *crew, int worker)
{
    return (int)((int64_t)worker * crew->n / crew->workers);
}

static int worker_of(const struct crew *crew, int seat)
{
    int worker = (int)((int64_t)seat * crew->workers / crew->n);
    while (first_seat(crew, worker + 1) <= seat)
        worker++;
    return worker;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static int duplicate(const struct ouro__listening *first, struct ouro__listening *ret_listening)
{
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

/* One for each worker, at the same port; a unix socket is one for all. */
static int open_sockets(struct crew *crew, const char *where)
{
    ouro_listener_options *opts = &crew->opts.listener;
    if (crew->workers > 1)
        opts->socket.reuse_port = 1;
    const struct ouro__listening *first = &crew->seats[0].listening;
    int rc = ouro__listening_at(where, opts, &crew->seats[0].listening);
    crew->sockets = 1;
    crew->path = (struct ouro__path){first->has_path, first->device, first->inode};
    if (rc < 0 || first->address.as.any.sa_family == AF_UNIX)
        return rc;
    for (; rc == 0 && crew->sockets < crew->n; crew->sockets++)
        rc = ouro__listening_on(&first->address, opts, &crew->seats[crew->sockets].listening);
    return rc;
}

/* The first @inherited, whatever they turn out to be: they are ours to close. A path is that of the
 * only one, since no process opens more. */
static int take_sockets(struct crew *crew, int inherited)
{
    int rc = 0;
    crew->sockets = inherited;
    for (int i = 0; i < inherited; i++) {
        struct ouro__listening *listening = &crew->seats[i].listening;
        int one = ouro__listening_from(OURO_LISTEN_FDS_FIRST + i, listening);
        listening->fd = OURO_LISTEN_FDS_FIRST + i;
        rc = rc < 0 ? rc : one;
    }
    crew->path = ouro__path_taken();
    if (rc == 0 && crew->path.known)
        ouro__listening_own_path(&crew->seats[0].listening, crew->path.device, crew->path.inode);
    return rc;
}

static int have_sockets(struct crew *crew, const char *where, int inherited)
{
    int rc = inherited ? take_sockets(crew, inherited) : open_sockets(crew, where);
    for (int i = crew->sockets; rc == 0 && i < crew->n; i++)
        rc = duplicate(&crew->seats[i % crew->sockets].listening, &crew->seats[i].listening);
    atomic_store(&crew->lives_on, inherited && ouro__ready_is_awaited());
    for (int i = 0; i < crew->n; i++)
        crew->seats[i].listening.lives_on = &crew->lives_on;
    return rc;
}

/* ---- Restarts -------------------------------------------------------------------------------- */

static void tell(const struct crew *crew, int64_t result, const char *why)
{
    if (crew->opts.on_restart)
        crew->opts.on_restart(result, why, crew->arg);
}

/* On the loop of the seat's worker, which may have yet to begin: a descriptor for its socket. */
static int64_t lend(void *arg)
{
    const struct seat *seat = arg;
    int fd = seat->listener ? ouro_listener_fd(seat->listener) : seat->listening.fd;
    if (fd < 0)
        return -EBADF;
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* All sockets, up to the first that cannot be had; how many, and why in @ret_rc. */
static int borrow_all(struct crew *crew, int *fds, int64_t *ret_rc)
{
    int n = 0;
    int64_t rc = 0;
    while (rc >= 0 && n < crew->sockets) {
        rc = ouro_await(
            ouro_loop_call(ouro_worker_loop(worker_of(crew, n)), lend, &crew->seats[n]));
        if (rc >= 0)
            fds[n++] = (int)rc;
    }
    *ret_rc = rc;
    return n;
}

static const char stops[] = "the server stops";

/* Process @pid is ready: the sockets are its own, unless we have closed them meanwhile. */
static int64_t yield_to(struct crew *crew, int64_t pid)
{
    if (ouro_listener_fd(crew->seats[0].listener) < 0) {
        kill((pid_t)pid, SIGTERM);
        return -ECANCELED;
    }
    crew->terminated = true; /* before anybody learns of it */
    atomic_store(&crew->lives_on, true);
    return pid;
}

static int64_t hand_over(struct crew *crew, int *fds)
{
    int64_t rc;
    int n = borrow_all(crew, fds, &rc);
    ouro_future *f = rc < 0 ? ouro_failed(rc, "%s", rc == -EMFILE ? "too many open files" : stops)
                            : ouro__restart(fds, (size_t)n, &crew->opts.restart, &crew->path);
    for (int i = 0; i < n; i++)
        close(fds[i]);
    int64_t pid = ouro_await(ouro_ref(f));
    rc = pid > 0 ? yield_to(crew, pid) : pid;
    tell(crew, rc, rc == -ECANCELED ? stops : ouro_future_detail(f));
    ouro_unref(f);
    return rc;
}

/* Whatever comes of it is told. */
static int64_t restart(void *arg)
{
    struct crew *crew = arg;
    int *fds = ouro__alloc((size_t)crew->sockets * sizeof(*fds));
    if (!fds) {
        tell(crew, -ENOMEM, NULL);
        return 0;
    }
    int64_t rc = hand_over(crew, fds);
    ouro__release(fds);
    if (rc > 0)
        ouro_loop_stop(ouro_loop_current());
    return 0;
}

/* A task that is at work when this returns, or has failed for want of memory. */
static ouro_future *begin_task(ouro_task_fn *fn, struct crew *crew, const char *name)
{
    return ouro_spawn_with(fn, crew, &(ouro_spawn_options){.name = name, .eager = 1});
}

static void begin_restart(struct crew *crew)
{
    if (crew->terminated) {
        tell(crew, -EALREADY, stops);
        return;
    }
    if (crew->restart && ouro_future_state(crew->restart) == OURO_PENDING) {
        tell(crew, -EALREADY, "a restart is under way");
        return;
    }
    ouro_unref(crew->restart);
    crew->restart = begin_task(restart, crew, "restart");
    if (ouro_future_state(crew->restart) == OURO_ERROR)
        tell(crew, ouro_future_result(crew->restart).n, NULL);
}

/* ---- Signals --------------------------------------------------------------------------------- */

static void stop_now(const struct crew *crew, int worker)
{
    for (int i = first_seat(crew, worker); i < first_seat(crew, worker + 1); i++)
        if (crew->seats[i].server)
            ouro_server_stop(crew->seats[i].server, 0);
}

static void hurry(void *crew)
{
    stop_now(crew, ouro_worker_index());
}

static void hurry_all(struct crew *crew)
{
    for (int i = 0; i < crew->workers; i++)
        if (ouro_loop_post(ouro_worker_loop(i), hurry, crew, NULL) < 0)
            continue; /* it has ended, or the next signal tries again */
}

static void terminate(struct crew *crew)
{
    if (crew->terminated)
        hurry_all(crew);
    crew->terminated = true;
    ouro_loop_stop(ouro_loop_current());
}

/* Which signals are ours. */
static size_t numbers_of(const struct crew *crew, int numbers[2])
{
    size_t n = 0;
    if (crew->takes_sigterm)
        numbers[n++] = SIGTERM;
    if (crew->opts.restart_signal)
        numbers[n++] = crew->opts.restart_signal;
    return n;
}

/* The next, and if there is no memory to wait for it, later. */
static int64_t next_signal(const struct crew *crew)
{
    int64_t number, slept = 0;
    do
        number = ouro_await(ouro_signals_next(crew->signals));
    while (number == -ENOMEM && (slept = ouro_await(ouro_sleep(WANT_PAUSE))) == 0);
    return slept < 0 ? slept : number;
}

/* A task of worker 0, cancelled when that has ended. */
static int64_t watch_signals(void *arg)
{
    struct crew *crew = arg;
    int64_t number;
    while ((number = next_signal(crew)) > 0) {
        if (number == crew->opts.restart_signal)
            begin_restart(crew);
        else
            terminate(crew);
    }
    if (number == -ENOMEM)
        ouro_loop_stop(ouro_loop_current()); /* rather than hear no signal for ever */
    return number;
}

/* 0, or why they are not watched; who serves all the same can be neither stopped nor restarted. */
static int64_t begin_to_watch(struct crew *crew, ouro_future **ret_watch)
{
    int numbers[2];
    size_t n = numbers_of(crew, numbers);
    int64_t rc = n ? ouro_signals_open(numbers, n, &crew->signals) : 0;
    if (n == 0 || rc == -EBUSY)
        return 0; /* somebody else does */
    if (rc < 0)
        return rc;
    *ret_watch = begin_task(watch_signals, crew, "signals");
    return ouro_future_state(*ret_watch) == OURO_ERROR ? ouro_future_result(*ret_watch).n : 0;
}

/* Whether nobody has another idea of what it is for. */
static bool sigterm_is_free(void)
{
    struct sigaction now;
    return sigaction(SIGTERM, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == SIG_DFL;
}

static void end_task(ouro_future *task)
{
    if (!task)
        return;
    ouro_cancel(task);
    ouro_await(task);
}

/* ---- A worker -------------------------------------------------------------------------------- */

static int64_t begin_seat(struct crew *crew, int i)
{
    struct seat *seat = &crew->seats[i];
    int rc = ouro__listener_make(&seat->listening, &crew->opts.listener, &seat->listener);
    if (rc < 0)
        return rc;
    seat->listening.fd = -1;
    const ouro_service *service = &crew->service;
    crew->futures[i] = service->start(seat->listener, &crew->opts.serve, service->of, &seat->own);
    seat->server = ouro_ref(crew->futures[i]);
    return 0;
}

static void end_seat(const struct crew *crew, struct seat *seat)
{
    if (seat->server && ouro_server_stats_get(seat->server, &seat->stats) < 0)
        seat->stats = (ouro_server_stats){0}; /* there never was a server */
    seat->server = ouro_unref(seat->server);
    if (seat->listener && crew->service.finish)
        crew->service.finish(seat->own);
    seat->listener = ouro_listener_free(seat->listener);
}

/* The last worker that has begun says so: from then on the sockets are ours alone. */
static void count_in(struct crew *crew, int first, int end)
{
    for (int i = first; i < end; i++)
        if (ouro_future_state(crew->futures[i]) != OURO_PENDING)
            return;
    if (atomic_fetch_add(&crew->serving, 1) + 1 == crew->workers && ouro_restart_ready() >= 0)
        atomic_store(&crew->lives_on, false);
}

/* Serve the seats from @first on until all have ended, or one of them has failed. */
static int64_t serve_seats(struct crew *crew, int first, int end)
{
    int64_t rc = 0;
    int i = first;
    while (i < end && rc == 0)
        rc = begin_seat(crew, i++);
    int begun = rc < 0 ? i - 1 : i;
    if (rc == 0)
        count_in(crew, first, end);
    for (int j = first; rc < 0 && j < begun; j++)
        ouro_server_stop(crew->futures[j], 0);
    int64_t n = ouro_await(
        ouro_gather(crew->futures + first, (size_t)(begun - first), OURO_GATHER_ALL, NULL));
    for (int j = first; j < i; j++)
        end_seat(crew, &crew->seats[j]);
    return rc < 0 ? rc : n;
}

static int64_t worker(void *arg)
{
    struct crew *crew = arg;
    int self = ouro_worker_index();
    ouro_future *watch = NULL;
    int64_t rc = self == 0 ? begin_to_watch(crew, &watch) : 0;
    if (rc == 0)
        rc = serve_seats(crew, first_seat(crew, self), first_seat(crew, self + 1));
    end_task(watch);
    if (self == 0) {
        end_task(crew->restart);
        crew->restart = NULL;
        ouro_signals_close(crew->signals);
    }
    return rc;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static struct crew *crew_new(int workers, int inherited, const ouro_service *service, void *arg,
                             const ouro_serve_workers_options *opts)
{
    int n = inherited > workers ? inherited : workers;
    size_t size = sizeof(struct crew) + (size_t)n * sizeof(struct seat);
    struct crew *crew = ouro__alloc(size + (size_t)n * sizeof(ouro_future *));
    if (!crew)
        return NULL;
    memset(crew, 0, size);
    crew->service = *service;
    crew->arg = arg;
    if (opts)
        crew->opts = *opts;
    crew->takes_sigterm = !crew->opts.keep_sigterm && sigterm_is_free();
    crew->workers = workers;
    crew->n = n;
    crew->futures = (void *)((char *)crew + size);
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

/* It came when nobody watched any more: it shall not kill. */
static void forget(int number)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    while (sigtimedwait(&set, NULL, &(struct timespec){0}) == number)
        continue;
}

/* A signal that comes before it is watched is not lost, and does not kill. */
static int64_t run(struct crew *crew)
{
    sigset_t early, before;
    int numbers[2];
    sigemptyset(&early);
    for (size_t i = numbers_of(crew, numbers); i-- > 0;)
        sigaddset(&early, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &early, &before);
    if (crew->opts.on_listening)
        crew->opts.on_listening(&crew->seats[0].listening.address, crew->arg);
    int64_t rc = ouro_run_workers(crew->workers, worker, crew, &crew->opts.run);
    if (crew->opts.restart_signal)
        forget(crew->opts.restart_signal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (crew->opts.ret_stats)
        add_up(crew, crew->opts.ret_stats);
    return rc == -ECANCELED && crew->terminated ? 0 : rc;
}

static int64_t serve_sockets(int workers, const char *where, int inherited,
                             const ouro_service *service, void *arg,
                             const ouro_serve_workers_options *opts)
{
    struct crew *crew = crew_new(workers, inherited, service, arg, opts);
    if (!crew) {
        for (int i = 0; i < inherited; i++)
            close(OURO_LISTEN_FDS_FIRST + i);
        return -ENOMEM;
    }
    int64_t rc = have_sockets(crew, where, inherited);
    if (rc == 0)
        rc = run(crew);
    close_sockets(crew);
    ouro__release(crew);
    return rc;
}

int64_t ouro_serve_workers_with(int workers, const char *where, const ouro_service *service,
                                void *arg, const ouro_serve_workers_options *opts)
{
    if (workers == 0)
        workers = ouro_cpu_count();
    if (workers < 1 || workers > MAX_WORKERS || !service || !service->start)
        return -EINVAL;
    int signal = opts ? opts->restart_signal : 0;
    if (signal < 0 || signal > SIGRTMAX)
        return -EINVAL;
    int inherited = signal || (opts && opts->inherit) ? ouro_listen_fds() : 0;
    if (inherited < 0)
        return inherited;
    return serve_sockets(workers, where, inherited, service, arg, opts);
}

/* ---- A task for each connection -------------------------------------------------------------- */

struct connections {
    ouro_serve_fn *handler;
    void *arg;
};

static ouro_future *serve_connections(ouro_listener *l, const ouro_serve_options *opts, void *of,
                                      void **ret_own)
{
    const struct connections *c = of;
    (void)ret_own;
    return ouro_serve(l, c->handler, c->arg, opts);
}

int64_t ouro_serve_workers(int workers, const char *where, ouro_serve_fn *handler, void *arg,
                           const ouro_serve_workers_options *opts)
{
    struct connections c = {handler, arg};
    ouro_service service = {.start = serve_connections, .of = &c};
    return handler ? ouro_serve_workers_with(workers, where, &service, arg, opts) : -EINVAL;
}
