/* SPDX-License-Identifier: MIT */
/*
 * Child processes: waited for and signalled by pidfd.
 *
 * Happy path: what was asked for is copied, a thread of the disk lane starts the child, and the
 * spawn settles with a handle. From then on the child's pidfd is polled through the ring, in the
 * background, so that a child that nobody waits for is reaped all the same but keeps no loop
 * running; when it has ended, it is reaped with one waitid(2) that does not wait, and whoever
 * stands in line is told. A signal goes to the pidfd, and so to no other process that got the
 * number later. None of the system calls made here waits.
 *
 * The record lives as long as somebody has a reference: the user's handle, the child itself until
 * it is reaped, a wait that cannot be cancelled. A scope that is to kill the child finds it by that
 * of the child.
 *
 * How it fails: a child that could not be started is an error of the spawn, with words. If there is
 * no memory to poll a child, whoever wants it next tries again. Closing the loop lets children go
 * on; what has not been reaped then is left to the end of this process.
 */
#include "process_int.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro/pool.h>

#define BY_PIDFD     ((idtype_t)3) /* P_PIDFD, for C libraries before 2.36 */
#define GIVEN_MAX    1000
#define TO_ITS_GROUP 4u /* PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9 */

static bool has_ended(const ouro_process *p)
{
    return p->state == OURO__PROCESS_ENDED;
}

int ouro__process_check(const ouro_process *p)
{
    return p ? ouro__loop_check(p->loop) : -EINVAL;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void ouro__process_close_fds(ouro_process *p)
{
    for (int i = 0; i < 3; i++)
        ouro__close_fd(&p->fds[i]);
}

void ouro__process_unref(ouro_process *p)
{
    assert(p->refs > 0);
    if (--p->refs)
        return;
    ouro_loop *loop = p->loop;
    ouro__close_fd(&p->pidfd);
    if (ouro__linked(&p->link))
        ouro__list_remove(&p->link);
    ouro__release(p);
    ouro_loop_unref(loop);
}

/* There is no child any more, or never was one. */
static void ended(ouro_process *p, int64_t status)
{
    p->state = OURO__PROCESS_ENDED;
    p->status = status;
    ouro__scope_off_leave(&p->leave);
    ouro__serve_all(&p->line, status);
    ouro__process_unref(p);
}

/* Reap it if it has ended. */
static bool reap(ouro_process *p)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(BY_PIDFD, (id_t)p->pidfd, &info, WEXITED | WNOHANG) < 0)
        ended(p, -errno);
    else if (info.si_pid == 0)
        return false;
    else if (info.si_code == CLD_EXITED)
        ended(p, info.si_status);
    else
        ended(p, -OURO_ESIGNALED(info.si_status));
    return true;
}

/* Have it reaped when it ends: 0, or why that cannot be. */
static int poll_it(ouro_process *p)
{
    if (p->poll)
        return 0;
    ouro_future *poll = ouro__poll_in(p->pidfd);
    if (poll->flags & OURO__IMMORTAL)
        return (int)poll->result.n;
    ouro__op_to_background(poll);
    p->poll = poll;
    ouro__watch(poll, &p->polled);
    return 0;
}

/* The poll has ended: since the child has, or by shutdown, after which only who waits has it begun
 * again. */
static void polled(struct ouro__job *job)
{
    ouro_process *p = OURO__CONTAINER(job, ouro_process, polled);
    int64_t n = ouro_future_result(p->poll).n;
    ouro__unref(p->poll);
    p->poll = NULL;
    if (n >= 0 && reap(p))
        return;
    int rc = n >= 0 || !ouro__line_empty(&p->line) ? poll_it(p) : 0;
    if (rc < 0)
        ouro__serve_all(&p->line, rc);
}

void ouro__processes_let_go(ouro_loop *loop)
{
    struct ouro__link *link;
    while ((link = ouro__list_pop(&loop->processes))) {
        ouro_process *p = OURO__CONTAINER(link, ouro_process, link);
        if (p->state == OURO__PROCESS_RUNS && !loop->abandoned && !reap(p))
            ended(p, -ECHILD);
    }
}

/* ---- Signals --------------------------------------------------------------------------------- */

static int send_to_group(const ouro_process *p, int number)
{
    if (syscall(SYS_pidfd_send_signal, p->pidfd, number, NULL, TO_ITS_GROUP) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    /* An older kernel: while it has not been reaped, its number is nobody else's. */
    if (has_ended(p))
        return -ESRCH;
    return kill(-p->pid, number) < 0 ? -errno : 0;
}

static int send_signal(const ouro_process *p, int number)
{
    if (p->has_group)
        return send_to_group(p, number);
    if (has_ended(p))
        return -ESRCH;
    return syscall(SYS_pidfd_send_signal, p->pidfd, number, NULL, 0) < 0 ? -errno : 0;
}

int ouro_process_kill(ouro_process *p, int number)
{
    int rc = ouro__process_check(p);
    if (rc < 0)
        return rc;
    if (number < 0 || number > SIGRTMAX)
        return -EINVAL;
    return send_signal(p, number);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

static void describe(const struct ouro__waiter *w, char *text, size_t size)
{
    const ouro_process *p = w->of;
    snprintf(text, size, "pid %d", (int)p->pid);
}

static const struct ouro__wait_kind wait_kind = {.name = "process", .describe = describe};

static const struct ouro__wait_kind leave_kind = {
    .name = "killed process",
    .describe = describe,
    .stubborn = true,
};

ouro_future *ouro_process_wait(ouro_process *p)
{
    int rc = ouro__process_check(p);
    if (rc == 0 && p->loop->phase >= OURO__SHUT)
        rc = -ESHUTDOWN;
    if (rc == 0 && has_ended(p))
        return ouro_ready(p->status);
    if (rc == 0)
        rc = poll_it(p);
    if (rc < 0)
        return ouro__failed(rc);
    struct ouro__waiter w = {.kind = &wait_kind, .of = p};
    return ouro__wait_future(p->loop, &p->line, &w, NULL);
}

/* Its scope is left: kill it, and unless the scope is gone already wait for its end. */
static void scope_left(struct ouro__leaving *l, bool forgotten)
{
    ouro_process *p = OURO__CONTAINER(l, ouro_process, leave);
    p->refs++;
    p->condemned = true;
    int rc = 0;
    if (p->state == OURO__PROCESS_STARTING) {
        ouro__cancel(p->spawn);
    } else {
        send_signal(p, SIGKILL);
        rc = poll_it(p);
    }
    if (rc == 0 && !forgotten) {
        struct ouro__waiter w = {.kind = &leave_kind, .of = p};
        ouro__wait_in_line(l->task, &p->line, &w);
    }
    ouro__process_unref(p);
}

/* ---- Spawning -------------------------------------------------------------------------------- */

struct spawn {
    ouro_future f;
    struct ouro__job job; /* waits for the start */
    ouro_future *run;     /* a reference */
    struct ouro__start *start;
    ouro_process *p; /* its user's reference, to be handed out */
};

static void drop_handle(void *p)
{
    ouro_process_free(p);
}

static void began(ouro_process *p, const struct ouro__start *start)
{
    p->state = OURO__PROCESS_RUNS;
    p->pid = start->pid;
    p->pidfd = start->pidfd;
    for (int i = 0; i < 3; i++)
        p->fds[i] = start->fds[i];
    if (p->condemned)
        send_signal(p, SIGKILL);
    int rc = poll_it(p);
    if (rc == 0)
        return;
    ouro__serve_all(&p->line, rc);
    ouro__report(p->loop,
                 &(ouro_report){
                     .kind = OURO_REPORT_UNREAD_ERROR,
                     .error = rc,
                     .what = "process",
                     .message = "has begun, and will not be reaped unless it is waited for",
                 });
}

/* The words of a start that failed with @rc. */
static ouro_future *explain(const struct spawn *sp, int rc)
{
    const struct ouro__start *start = sp->start;
    if (start->cwd_failed)
        return ouro__failed_with(sp->f.loop, rc, "cannot change to %s", start->cwd);
    return ouro__failed_with(sp->f.loop, rc, "cannot start %s", start->argv[0]);
}

static void start_ended(struct ouro__job *job)
{
    struct spawn *sp = OURO__CONTAINER(job, struct spawn, job);
    ouro_process *p = sp->p;
    ouro_future *run = sp->run;
    int64_t rc = ouro_future_result(run).n;
    p->spawn = NULL;
    if (rc == 0) {
        began(p, sp->start);
        sp->f.result.ptr = p;
        sp->f.ptr_free = drop_handle;
        ouro__start_free(sp->start);
        ouro__settle(&sp->f, OURO_VALUE, 0);
    } else {
        ouro_future *why = run->state == OURO_CANCELLED ? ouro__ref(run) : explain(sp, (int)rc);
        ended(p, rc);
        ouro__process_unref(p);
        ouro__start_free(sp->start);
        ouro__settle_as(&sp->f, why);
        ouro__unref(why);
    }
    ouro__unref(run);
}

static ouro_future *spawn_cancel(ouro_future *f)
{
    return OURO__CONTAINER(f, struct spawn, f)->run;
}

static void spawn_describe(const ouro_future *f, char *text, size_t size)
{
    const struct spawn *sp = OURO__CONTAINER(f, const struct spawn, f);
    snprintf(text, size, "spawn of process '%s'", sp->start->argv[0]);
}

static bool spawn_part(const ouro_future *f, size_t i, ouro_future **ret_part)
{
    *ret_part = OURO__CONTAINER(f, const struct spawn, f)->run;
    return i == 0;
}

static const struct ouro__kind spawn_kind = {
    .name = "spawn of a process",
    .size = sizeof(struct spawn),
    .cancel = spawn_cancel,
    .combines = true,
    .describe = spawn_describe,
    .part = spawn_part,
};

static bool is_in_scope(const struct ouro__task *task, const ouro_scope *scope)
{
    const ouro_scope *s = task ? task->scope : NULL;
    while (s && s != scope)
        s = s->outer;
    return s != NULL;
}

static int check_options(const ouro_loop *loop, const ouro_process_options *opts)
{
    if (!opts || !opts->argv || !opts->argv[0])
        return -EINVAL;
    if (opts->in > OURO_PIPE || opts->out > OURO_PIPE || opts->err > OURO_STDOUT)
        return -EINVAL;
    if (opts->fd_count > GIVEN_MAX || (opts->fd_count && !opts->fds))
        return -EINVAL;
    return opts->scope && !is_in_scope(loop->task, opts->scope) ? -EINVAL : 0;
}

/* The record of a child that is to be started, with two references: the user's and the child's. */
static ouro_process *process_new(ouro_loop *loop, const ouro_process_options *opts)
{
    ouro_process *p = ouro__alloc(sizeof(*p));
    if (!p)
        return NULL;
    *p = (ouro_process){
        .loop = ouro_loop_ref(loop),
        .state = OURO__PROCESS_STARTING,
        .refs = 2,
        .pidfd = -1,
        .fds = {-1, -1, -1},
        .piped = {opts->in == OURO_PIPE, opts->out == OURO_PIPE, opts->err == OURO_PIPE},
        .has_group = opts->new_group || opts->new_session,
        .polled = {.run = polled},
        .leave = {.run = scope_left},
    };
    ouro__list_push(&loop->processes, &p->link);
    return p;
}

/* All that a spawn takes. 0 or -errno. */
static int spawn_new(ouro_loop *loop, const ouro_process_options *opts, struct spawn **ret_spawn)
{
    struct ouro__start *start;
    int rc = ouro__start_new(opts, &start);
    if (rc < 0)
        return rc;
    ouro_process *p = process_new(loop, opts);
    struct spawn *sp = p ? ouro__future_new(loop, &spawn_kind) : NULL;
    if (sp) {
        sp->job = (struct ouro__job){.run = start_ended};
        sp->start = start;
        sp->p = p;
        p->spawn = &sp->f;
        *ret_spawn = sp;
        return 0;
    }
    if (p) {
        ouro__process_unref(p);
        ouro__process_unref(p);
    }
    ouro__start_free(start);
    return -ENOMEM;
}

ouro_future *ouro_process_spawn(const ouro_process_options *opts)
{
    ouro_loop *loop;
    int rc = ouro__loop_for_work(&loop);
    if (rc == 0)
        rc = check_options(loop, opts);
    if (rc < 0)
        return ouro__failed(rc);
    struct spawn *sp;
    rc = spawn_new(loop, opts, &sp);
    if (rc < 0)
        return ouro__failed(rc);
    if (opts->scope)
        ouro__scope_on_leave(opts->scope, &sp->p->leave);
    sp->run = ouro_offload_with(
        ouro__start_run, sp->start,
        &(ouro_offload_options){.lane = OURO_LANE_DISK, .name = "spawn of a process"});
    ouro__watch(sp->run, &sp->job);
    return &sp->f;
}

/* ---- The handle ------------------------------------------------------------------------------ */

int64_t ouro_process_pid(const ouro_process *p)
{
    return p ? p->pid : -EINVAL;
}

int ouro_process_fd(const ouro_process *p, int stream)
{
    if (!p || stream < 0 || stream > 2)
        return -EINVAL;
    return p->fds[stream] >= 0 ? p->fds[stream] : -EBADF;
}

int ouro_process_take_fd(ouro_process *p, int stream)
{
    int fd = ouro_process_fd(p, stream);
    if (fd >= 0)
        p->fds[stream] = -1;
    return fd;
}

ouro_process *ouro_process_free(ouro_process *p)
{
    if (!p || ouro__loop_forked(p->loop))
        return NULL;
    if (!ouro__loop_is_here(p->loop)) {
        ouro__report_wrong_thread("process");
        return NULL;
    }
    ouro__process_close_fds(p);
    if (p->state == OURO__PROCESS_RUNS && p->loop->phase < OURO__SHUT)
        poll_it(p); /* if there was no memory for that before */
    ouro__process_unref(p);
    return NULL;
}
