/* SPDX-License-Identifier: MIT */
/*
 * Restarting: the process that is to take over is started, given our sockets, and waited for.
 *
 * Happy path: a pair of sockets is made, one of which the new process gets behind those it is to
 * listen at; variables tell it of them. When it says a byte there, it is ready. Before that, it is
 * ours to end; from then on it is not our child but in name.
 *
 * How it fails: a process that ends closes its socket, which is seen here at once; then its status
 * says why. One that does neither has the limit.
 */
#include "loop_int.h"
#include "op.h"
#include "restart_int.h"

#include <ouro/process.h>
#include <ouro/task.h>

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_LIMIT OURO_SEC(10)
#define TO_EXIT       OURO_SEC(1) /* for a process that has closed its socket */
#define SOCKETS_MAX   999
#define ARGV_SIZE     4096
#define ARGUMENTS     "/proc/self/cmdline"

struct restart {
    ouro_future *spawn; /* a reference */
    ouro_process *child;
    int word; /* our end, where the child says that it is ready */
    ouro_ns limit;
};

static void restart_free(void *arg)
{
    struct restart *r = arg;
    ouro_unref(r->spawn);
    ouro_process_free(r->child);
    if (r->word >= 0)
        close(r->word);
    ouro__release(r);
}

/* ---- The new process ------------------------------------------------------------------------- */

/* 0: it is ready; else why not. What it has said before we give up counts, and later it cannot say
 * it any more: so both always believe the same. */
static int64_t wait_until_ready(const struct restart *r)
{
    char byte;
    int64_t n = ouro_await(ouro_timeout(ouro__poll_in(r->word), r->limit));
    if (n < 0)
        shutdown(r->word, SHUT_RD);
    if (recv(r->word, &byte, 1, MSG_DONTWAIT) == 1)
        return 0;
    return n < 0 ? n : -ESRCH;
}

/* Its status, if it ends within @limit; else -ETIMEDOUT. */
static int64_t wait_for_end(const struct restart *r, ouro_ns limit)
{
    return ouro_await(ouro_timeout(ouro_process_wait(r->child), limit));
}

static void put_an_end_to_it(const struct restart *r)
{
    ouro_process_kill(r->child, SIGTERM);
    if (wait_for_end(r, r->limit) != -ETIMEDOUT)
        return;
    ouro_process_kill(r->child, SIGKILL);
    wait_for_end(r, OURO_FOREVER);
}

/* It is not ready, for @rc. */
static int64_t fail(const struct restart *r, int64_t rc)
{
    int pid = (int)ouro_process_pid(r->child);
    int64_t status = rc == -ESRCH ? wait_for_end(r, TO_EXIT) : -ETIMEDOUT;
    if (rc != -ESRCH && rc != -ETIMEDOUT) {
        ouro_process_kill(r->child, SIGTERM);
        return rc;
    }
    if (status == -ETIMEDOUT)
        put_an_end_to_it(r);
    if (rc == -ETIMEDOUT)
        return ouro_task_fail(rc, "process %d was not ready in %g s", pid, (double)r->limit / 1e9);
    if (status >= 0)
        return ouro_task_fail(rc, "process %d ended with status %d before it was ready", pid,
                              (int)status);
    if (ouro_signal_of(status))
        return ouro_task_fail(rc, "process %d was killed by signal %d before it was ready", pid,
                              ouro_signal_of(status));
    return ouro_task_fail(rc, "process %d never said that it is ready", pid);
}

static int64_t restart_body(void *arg)
{
    struct restart *r = arg;
    int64_t rc;
    r->child = ouro_await_ptr(ouro_ref(r->spawn), &rc);
    if (rc < 0) {
        const char *detail = ouro_future_detail(r->spawn);
        return detail ? ouro_task_fail(rc, "%s", detail) : rc;
    }
    rc = wait_until_ready(r);
    if (rc < 0)
        return fail(r, rc);
    char text[64];
    snprintf(text, sizeof(text), "READY=1\nMAINPID=%d", (int)ouro_process_pid(r->child));
    ouro__notify_manager(text);
    return ouro_process_pid(r->child);
}

/* ---- What it is told ------------------------------------------------------------------------- */

static bool is_ours(const char *variable)
{
    static const char *const names[] = {OURO__COUNT_NAME "=", OURO__PID_NAME "=",
                                        OURO__NAMES_NAME "=", OURO__READY_NAME "=",
                                        OURO__PATH_NAME "="};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* Our environment, with these variables and none that was for us; for ouro__release(). */
static const char **make_env(const char *count, const char *ready, const char *path)
{
    size_t n = 0, size = 0;
    while (environ[size])
        size++;
    const char **env = ouro__alloc((size + 4) * sizeof(*env));
    if (!env)
        return NULL;
    for (size_t i = 0; i < size; i++)
        if (!is_ours(environ[i]))
            env[n++] = environ[i];
    env[n++] = count;
    env[n++] = ready;
    env[n++] = path;
    env[n] = NULL;
    return env;
}

/* Arguments of any length, each with its zero; for ouro__release(). */
static int read_all(int fd, char **ret_text, size_t *ret_size)
{
    char *text = NULL;
    size_t size = 0, room = 0;
    int rc = 1;
    while (rc > 0) {
        if (size == room) {
            room = room ? room * 2 : ARGV_SIZE;
            char *more = ouro__resize(text, room);
            if (!more) {
                rc = -ENOMEM;
                break;
            }
            text = more;
        }
        ssize_t n = read(fd, text + size, room - size);
        rc = n < 0 ? -errno : n > 0;
        size += n > 0 ? (size_t)n : 0;
    }
    if (rc == 0 && (size == 0 || text[size - 1] != '\0'))
        rc = -ENODATA; /* somebody has written over them */
    if (rc < 0)
        ouro__release(text);
    *ret_text = text;
    *ret_size = size;
    return rc;
}

/* The arguments of this process, as it was started: a list, and the text that it points into; both
 * for ouro__release(). */
static int own_arguments(const char ***ret_argv, char **ret_text)
{
    size_t size = 0, n = 0;
    int fd = open(ARGUMENTS, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : read_all(fd, ret_text, &size);
    if (fd >= 0)
        close(fd);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < size; i++)
        n += (*ret_text)[i] == '\0';
    const char **argv = ouro__alloc((n + 1) * sizeof(*argv));
    if (!argv) {
        ouro__release(*ret_text);
        return -ENOMEM;
    }
    const char *at = *ret_text;
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
        argv[i] = at;
    argv[n] = NULL;
    *ret_argv = argv;
    return 0;
}

/* ---- Starting it ----------------------------------------------------------------------------- */

/* With all @n descriptors, of which the last is the one to say "ready" by. */
static ouro_future *spawn(const char *const *argv, const int *fds, size_t n,
                          const struct ouro__path *path)
{
    struct stat st;
    char count[32], ready[64], path_text[64];
    if (fstat(fds[n - 1], &st) < 0)
        return ouro__failed(-errno);
    snprintf(count, sizeof(count), OURO__COUNT_NAME "=%zu", n - 1);
    snprintf(ready, sizeof(ready), OURO__READY_NAME "=%zu:%ju", OURO_LISTEN_FDS_FIRST + n - 1,
             (uintmax_t)st.st_ino);
    snprintf(path_text, sizeof(path_text), OURO__PATH_NAME "=%ju:%ju", (uintmax_t)path->device,
             (uintmax_t)path->inode);
    const char **env = make_env(count, ready, path->known ? path_text : NULL);
    if (!env)
        return ouro__failed(-ENOMEM);
    ouro_future *f = ouro_process_spawn(&(ouro_process_options){
        .argv = argv,
        .env = env,
        .fds = fds,
        .fd_count = n,
    });
    ouro__release(env);
    return f;
}

static ouro_future *spawn_with_arguments(const char *const *argv, const int *fds, size_t n,
                                         const struct ouro__path *path)
{
    const char **own = NULL;
    char *text = NULL;
    if (argv)
        return spawn(argv, fds, n, path);
    int rc = own_arguments(&own, &text);
    if (rc < 0)
        return ouro_failed(rc, "the arguments of this process, in " ARGUMENTS ", cannot be read");
    ouro_future *f = spawn(own, fds, n, path);
    ouro__release(own);
    ouro__release(text);
    return f;
}

/* Both ends of the way to say "ready", and the sockets with the child's end behind them. */
static ouro_future *start(struct restart *r, const int *fds, size_t n, const char *const *argv,
                          const struct ouro__path *path)
{
    int ends[2];
    int *all = ouro__alloc((n + 1) * sizeof(*all));
    if (!all)
        return ouro__failed(-ENOMEM);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        ouro__release(all);
        return ouro__failed(-errno);
    }
    if (n)
        memcpy(all, fds, n * sizeof(*all));
    all[n] = ends[1];
    r->word = ends[0];
    ouro_future *f = spawn_with_arguments(argv, all, n + 1, path);
    close(ends[1]);
    ouro__release(all);
    return f;
}

ouro_future *ouro__restart(const int *fds, size_t n, const ouro_restart_options *opts,
                           const struct ouro__path *path)
{
    static const ouro_restart_options defaults;
    if (!opts)
        opts = &defaults;
    if ((n && !fds) || n > SOCKETS_MAX)
        return ouro__failed(-EINVAL);
    struct restart *r = ouro__alloc(sizeof(*r));
    if (!r)
        return ouro__failed(-ENOMEM);
    *r = (struct restart){.word = -1, .limit = opts->limit ? opts->limit : DEFAULT_LIMIT};
    r->spawn = start(r, fds, n, opts->argv, path);
    ouro_spawn_options how = {.name = "restart", .arg_free = restart_free, .eager = 1};
    return ouro_spawn_with(restart_body, r, &how); /* eager: so a cancel finds it at work */
}

ouro_future *ouro_restart(const int *fds, size_t n, const ouro_restart_options *opts)
{
    return ouro__restart(fds, n, opts, &(struct ouro__path){0});
}
