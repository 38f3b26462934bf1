/* SPDX-License-Identifier: MIT */
/*
 * Pools of processes: making and unmaking.
 *
 * Happy path: a zygote is forked, has each worker forked as it will later have replacements, and we
 * take their sockets. The end is a control socket shut down, which makes the zygote kill and reap
 * all of them and exit, and we wait for that.
 *
 * These calls block, and make their system calls themselves: there is no loop yet, or none any
 * more.
 */
#include "procpool_loop.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_LIMIT ((size_t)64 << 20)
#define DEFAULT_GRACE OURO_MS(100)
#define DEFAULT_NAME  "ouro-worker"

/* A result has to fit into memory, its header too. */
#define LIMIT_MAX ((size_t)PTRDIFF_MAX / 2)

/* ---- What may be used by the loop as well ---------------------------------------------------- */

void ouro__worker_order(struct ouro__worker *w, enum ouro__order order)
{
    unsigned char byte = (unsigned char)order;
    send(w->control, &byte, sizeof(byte), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void ouro__worker_condemn(struct ouro__worker *w)
{
    w->condemned = true;
    ouro__worker_order(w, OURO__ORDER_RENEW);
}

void ouro__worker_expect(struct ouro__worker *w)
{
    w->iov[0] = (struct iovec){.iov_base = &w->renewal, .iov_len = sizeof(w->renewal)};
    w->msg = (struct msghdr){
        .msg_iov = w->iov,
        .msg_iovlen = 1,
        .msg_control = w->room,
        .msg_controllen = sizeof(w->room),
    };
}

void ouro__worker_renew(struct ouro__worker *w)
{
    assert(w->socket < 0);
    w->condemned = false;
    struct cmsghdr *c = CMSG_FIRSTHDR(&w->msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(&w->socket, CMSG_DATA(c), sizeof(w->socket));
    else if (w->renewal.error == 0)
        w->renewal.error = -EMFILE; /* the kernel had no room for it on our side */
}

void ouro__worker_hang_up(struct ouro__worker *w)
{
    if (w->socket < 0)
        return;
    shutdown(w->socket, SHUT_RDWR);
    close(w->socket);
    w->socket = -1;
}

/* ---- The zygote ------------------------------------------------------------------------------ */

/* 0 if there is no other thread, whose locks a fork would copy and never unlock. */
static int alone(void)
{
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        return -errno;
    int count = 0;
    for (struct dirent *d; (d = readdir(tasks));)
        count += d->d_name[0] != '.';
    closedir(tasks);
    return count == 1 ? 0 : -EBUSY;
}

static int pidfd_of(pid_t pid)
{
    return ouro__lift((int)syscall(SYS_pidfd_open, pid, 0));
}

static int connect_controls(ouro_procpool *pool, int theirs[])
{
    for (int i = 0; i < pool->count; i++) {
        int ends[2];
        int rc = ouro__socket_pair(SOCK_SEQPACKET, ends);
        if (rc < 0)
            return rc;
        pool->workers[i].control = ends[0];
        theirs[i] = ends[1];
    }
    return 0;
}

/* With all signals blocked, so that no handler of the program's ever runs in the zygote. */
static pid_t fork_zygote(ouro_procpool *pool, int us, const int theirs[])
{
    sigset_t all, before;
    sigfillset(&all);
    fflush(NULL); /* what is buffered would be written again by a worker that prints */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        ouro__zygote_run(&pool->plan, us, theirs, pool->count);
    int rc = pid < 0 ? -errno : pid;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static int start_zygote(ouro_procpool *pool, int us, const int theirs[])
{
    pid_t pid = fork_zygote(pool, us, theirs);
    if (pid < 0)
        return pid;
    pool->zygote = pidfd_of(pid);
    if (pool->zygote >= 0)
        return 0;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return pool->zygote;
}

static int connect_zygote(ouro_procpool *pool)
{
    int theirs[OURO__WORKERS_MAX];
    for (int i = 0; i < pool->count; i++)
        theirs[i] = -1;
    int us = pidfd_of(getpid());
    int rc = us < 0 ? us : connect_controls(pool, theirs);
    if (rc == 0)
        rc = start_zygote(pool, us, theirs);
    for (int i = 0; i < pool->count; i++)
        if (theirs[i] >= 0)
            close(theirs[i]);
    if (us >= 0)
        close(us);
    return rc;
}

/* ---- The workers ----------------------------------------------------------------------------- */

static int wait_for_worker(struct ouro__worker *w)
{
    ssize_t n;
    ouro__worker_expect(w);
    do
        n = recvmsg(w->control, &w->msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n != sizeof(w->renewal))
        return n < 0 ? -errno : -EPIPE;
    ouro__worker_renew(w);
    return w->renewal.error;
}

/* All are ordered before the first is waited for: forking is what takes the time. */
static int start_workers(ouro_procpool *pool)
{
    int rc = 0;
    for (int i = 0; i < pool->count; i++)
        ouro__worker_condemn(&pool->workers[i]);
    for (int i = 0; i < pool->count && rc == 0; i++)
        rc = wait_for_worker(&pool->workers[i]);
    return rc;
}

/* ---- The pool -------------------------------------------------------------------------------- */

static void make_plan(struct ouro__worker_plan *plan, const ouro_procpool_options *opts)
{
    size_t limit = opts->result_limit ? opts->result_limit : DEFAULT_LIMIT;
    plan->start = opts->start;
    plan->start_arg = opts->start_arg;
    plan->result_limit = limit < LIMIT_MAX ? limit : LIMIT_MAX;
    snprintf(plan->name, sizeof(plan->name), "%s", opts->name ? opts->name : DEFAULT_NAME);
}

static ouro_procpool *pool_new(int count, const ouro_procpool_options *opts)
{
    size_t size = sizeof(ouro_procpool) + (size_t)count * sizeof(struct ouro__worker);
    ouro_procpool *pool = ouro__alloc(size);
    if (!pool)
        return NULL;
    memset(pool, 0, size);
    make_plan(&pool->plan, opts);
    ouro__list_init(&pool->queue);
    ouro__list_init(&pool->idle);
    pool->grace = opts->grace ? opts->grace : DEFAULT_GRACE;
    pool->owner = getpid();
    pool->zygote = -1;
    pool->count = count;
    for (int i = 0; i < count; i++) {
        struct ouro__worker *w = &pool->workers[i];
        w->pool = pool;
        w->socket = w->control = -1;
        ouro__list_push(&pool->idle, &w->link);
    }
    ouro__allocator_hold();
    return pool;
}

/* End the processes, if there are any, and wait until they have ended. */
static void pool_free(ouro_procpool *pool)
{
    for (int i = 0; i < pool->count; i++) {
        struct ouro__worker *w = &pool->workers[i];
        ouro__worker_hang_up(w);
        if (w->control < 0)
            continue;
        shutdown(w->control, SHUT_RDWR);
        close(w->control);
    }
    if (pool->zygote >= 0) {
        siginfo_t info;
        while (waitid(P_PIDFD, (id_t)pool->zygote, &info, WEXITED) < 0 && errno == EINTR)
            ;
        close(pool->zygote);
    }
    ouro__release(pool);
    ouro__allocator_let_go();
}

int ouro_procpool_new(int workers, const ouro_procpool_options *opts, ouro_procpool **ret_pool)
{
    static const ouro_procpool_options defaults;
    if (!ret_pool || workers < 1 || workers > OURO__WORKERS_MAX)
        return -EINVAL;
    int rc = ouro__this_loop ? -EBUSY : alone();
    if (rc < 0)
        return rc;
    ouro_procpool *pool = pool_new(workers, opts ? opts : &defaults);
    if (!pool)
        return -ENOMEM;
    rc = connect_zygote(pool);
    if (rc == 0)
        rc = start_workers(pool);
    if (rc < 0) {
        pool_free(pool);
        return rc;
    }
    *ret_pool = pool;
    return 0;
}

int ouro_procpool_free(ouro_procpool *pool)
{
    if (!pool)
        return 0;
    if (pool->owner != getpid())
        return -ECHILD;
    if (atomic_load(&pool->user))
        return -EBUSY;
    pool_free(pool);
    return 0;
}

int64_t ouro_procpool_replaced(const ouro_procpool *pool)
{
    return pool ? (int64_t)pool->replaced : -EINVAL;
}

void ouro_bytes_free(void *bytes)
{
    ouro__release(bytes);
}
