/* SPDX-License-Identifier: MIT */
/*
 * The zygote: the process that forks a pool's workers, and is their parent.
 *
 * Happy path: it sleeps in poll(2). An order to renew a worker has that one killed, if it lives;
 * when it has been reaped, another is forked and its socket sent to the program along with how the
 * old one ended. Nothing is forked unasked, so a worker that cannot even start makes jobs fail, and
 * no storm of forks.
 *
 * How it ends: when the program does. A pidfd tells of that, however it came about, and the pool's
 * end is a socket shut down, which is seen even if a child of the program still has a copy of it.
 * Then the workers are killed and reaped. Should the zygote itself be killed, the workers are told
 * by the kernel. Every signal is blocked meanwhile: those for a whole process group are not meant
 * for it.
 */
#include "procpool_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    int control;
    pid_t pid;   /* 0: no worker is there */
    int socket;  /* with a worker: a copy of the program's end */
    int status;  /* how the last one ended */
    bool wanted; /* another, once this one has ended */
};

/* Where the descriptors are in `polls`; the controls follow. */
enum { PARENT, CHILDREN, CONTROLS };

/* One in a process, and only in this one are its pages ever touched. */
static struct zygote {
    const struct ouro__worker_plan *plan;
    pid_t pid;
    int count;
    struct place places[OURO__WORKERS_MAX];
    struct pollfd polls[CONTROLS + OURO__WORKERS_MAX];
} zygote;

/* ---- Descriptors ----------------------------------------------------------------------------- */

void ouro__close_others(const int *keep, int count)
{
    unsigned from = STDERR_FILENO + 1;
    for (int i = 0; i < count; i++) {
        unsigned fd = (unsigned)keep[i];
        if (fd > from)
            close_range(from, fd - 1, 0);
        if (fd >= from)
            from = fd + 1;
    }
    close_range(from, ~0u, 0);
}

int ouro__lift(int fd)
{
    if (fd < 0)
        return -errno;
    if (fd > STDERR_FILENO)
        return fd;
    int lifted = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int rc = lifted < 0 ? -errno : lifted;
    close(fd);
    return rc;
}

int ouro__socket_pair(int type, int ends[2])
{
    int raw[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, raw) < 0)
        return -errno;
    ends[0] = ouro__lift(raw[0]);
    ends[1] = ouro__lift(raw[1]);
    if (ends[0] >= 0 && ends[1] >= 0)
        return 0;
    int rc = ends[0] < 0 ? ends[0] : ends[1];
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return rc;
}

static int by_number(const void *a, const void *b)
{
    const int *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static void keep_descriptors(int parent, const int *controls, int count)
{
    int keep[OURO__WORKERS_MAX + 1];
    memcpy(keep, controls, (size_t)count * sizeof(*keep));
    keep[count] = parent;
    qsort(keep, (size_t)count + 1, sizeof(*keep), by_number);
    ouro__close_others(keep, count + 1);
}

/* ---- Workers --------------------------------------------------------------------------------- */

/* Fork a worker: 0 or -errno. */
static int fork_worker(struct place *p)
{
    int ends[2];
    int rc = ouro__socket_pair(SOCK_STREAM, ends);
    if (rc < 0)
        return rc;
    pid_t pid = fork();
    if (pid == 0)
        ouro__worker_run(zygote.plan, ends[1], zygote.pid);
    rc = pid < 0 ? -errno : 0;
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    p->pid = pid;
    p->socket = ends[0];
    return 0;
}

/* The control socket has room: there is one order at a time to be answered. */
static void answer(const struct place *p, struct ouro__renewal *renewal)
{
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec iov = {.iov_base = renewal, .iov_len = sizeof(*renewal)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (renewal->error == 0) {
        msg.msg_control = room;
        msg.msg_controllen = sizeof(room);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        *c = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET,
            .cmsg_type = SCM_RIGHTS,
            .cmsg_len = CMSG_LEN(sizeof(int)),
        };
        memcpy(CMSG_DATA(c), &p->socket, sizeof(int));
    }
    while (sendmsg(p->control, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void renew(struct place *p)
{
    int rc = fork_worker(p);
    struct ouro__renewal renewal = {.status = p->status, .error = rc, .pid = p->pid};
    p->wanted = false;
    answer(p, &renewal);
}

/* The program is to see the end of the stream, also if a child of the worker has a copy of its
 * end. */
static void hang_up(const struct place *p)
{
    shutdown(p->socket, SHUT_RDWR);
    close(p->socket);
}

static void ended(pid_t pid, int status)
{
    for (int i = 0; i < zygote.count; i++) {
        struct place *p = &zygote.places[i];
        if (p->pid != pid)
            continue;
        p->pid = 0;
        p->status = status;
        hang_up(p);
        if (p->wanted)
            renew(p);
        return;
    }
}

static void reap(void)
{
    struct signalfd_siginfo info;
    if (read(zygote.polls[CHILDREN].fd, &info, sizeof(info)) < 0 && errno != EAGAIN)
        return;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        ended(pid, status);
}

static _Noreturn void end(void)
{
    for (int i = 0; i < zygote.count; i++)
        if (zygote.places[i].pid)
            kill(zygote.places[i].pid, SIGKILL);
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    _exit(0);
}

/* ---- The program ----------------------------------------------------------------------------- */

static void take_order(struct place *p)
{
    unsigned char order;
    ssize_t n = recv(p->control, &order, sizeof(order), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        end();
    if (order == OURO__ORDER_STOP) {
        if (p->pid)
            kill(p->pid, SIGTERM);
        return;
    }
    p->wanted = true;
    if (p->pid)
        kill(p->pid, SIGKILL);
    else
        renew(p);
}

static void listen_on(int parent, const int *controls, int count)
{
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    int fd = ouro__lift(signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK));
    if (fd < 0)
        _exit(1); /* the program reads that from the sockets */
    zygote.count = count;
    zygote.polls[PARENT] = (struct pollfd){.fd = parent, .events = POLLIN};
    zygote.polls[CHILDREN] = (struct pollfd){.fd = fd, .events = POLLIN};
    for (int i = 0; i < count; i++) {
        zygote.places[i].control = controls[i];
        zygote.polls[CONTROLS + i] = (struct pollfd){.fd = controls[i], .events = POLLIN};
    }
}

/* A disposition of the program's would reach the workers, and SIGCHLD ignored would lose how they
 * end. */
static void reset_signals(void)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
}

_Noreturn void ouro__zygote_run(const struct ouro__worker_plan *plan, int parent,
                                const int *controls, int count)
{
    zygote.plan = plan;
    zygote.pid = getpid();
    reset_signals();
    keep_descriptors(parent, controls, count);
    prctl(PR_SET_NAME, plan->name);
    listen_on(parent, controls, count);
    for (;;) {
        if (poll(zygote.polls, (nfds_t)(CONTROLS + count), -1) < 0 && errno != EINTR)
            end();
        if (zygote.polls[PARENT].revents)
            end();
        if (zygote.polls[CHILDREN].revents)
            reap();
        for (int i = 0; i < count; i++)
            if (zygote.polls[CONTROLS + i].revents)
                take_order(&zygote.places[i]);
    }
}
