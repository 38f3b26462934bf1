/* SPDX-License-Identifier: MIT */
/*
 * Starting a child process, on a thread where that may block: fork and exec stop the caller until
 * the new program is loaded.
 *
 * Happy path: the loop's thread has copied what was asked for. Here the pipes are made, all
 * close-on-exec and above the standard three; posix_spawn(3) sets up the child's streams,
 * directory, group and signals, closes whatever else it has inherited, and executes; a pidfd is
 * opened for it before anybody can have reaped it.
 *
 * How it fails: with the errno of the step that did, the child's included, and all that was opened
 * is closed again. A child for which there is no pidfd is killed and reaped.
 */
#include "process_int.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- What is asked for ----------------------------------------------------------------------- */

#define DEFAULT_PATH "/bin:/usr/bin"
#define FIRST_GIVEN  (STDERR_FILENO + 1)

/* Pointers and bytes that a copy of @list takes. */
static size_t count(const char *const *list, size_t *bytes)
{
    size_t n = 0;
    for (; list[n]; n++)
        *bytes += strlen(list[n]) + 1;
    return n + 1;
}

static char *copy_text(const char *text, char **room)
{
    char *copy = *room;
    size_t size = strlen(text) + 1;
    memcpy(copy, text, size);
    *room += size;
    return copy;
}

static char **copy_list(const char *const *list, char ***slots, char **room)
{
    char **copy = *slots;
    for (; *list; list++)
        *(*slots)++ = copy_text(*list, room);
    *(*slots)++ = NULL;
    return copy;
}

/* Duplicate what the child is given, all of it beyond the numbers that it has there, so that none
 * is in the way of another. 0 or -errno. */
static int keep_given(struct ouro__start *start, const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_GIVEN + (int)n);
        if (fd < 0)
            return -errno;
        start->given[start->given_count++] = fd;
    }
    return 0;
}

static void close_given(struct ouro__start *start)
{
    while (start->given_count)
        close(start->given[--start->given_count]);
}

void ouro__start_free(struct ouro__start *start)
{
    if (start)
        close_given(start);
    ouro__release(start);
}

int ouro__start_new(const ouro_process_options *opts, struct ouro__start **ret_start)
{
    const char *const *env = opts->env ? opts->env : (const char *const *)environ;
    const char *path = getenv("PATH");
    if (!path)
        path = DEFAULT_PATH;
    size_t bytes = strlen(path) + 1 + (opts->cwd ? strlen(opts->cwd) + 1 : 0);
    size_t slot_count = count(opts->argv, &bytes) + count(env, &bytes);
    struct ouro__start *start = ouro__alloc(sizeof(*start) + slot_count * sizeof(char *) +
                                            opts->fd_count * sizeof(int) + bytes);
    if (!start)
        return -ENOMEM;
    char **slots = (char **)(start + 1);
    int *given = (int *)(slots + slot_count);
    char *room = (char *)(given + opts->fd_count);
    *start = (struct ouro__start){
        .argv = copy_list(opts->argv, &slots, &room),
        .env = copy_list(env, &slots, &room),
        .stdio = {opts->in, opts->out, opts->err},
        .new_group = opts->new_group,
        .new_session = opts->new_session,
        .given = given,
        .pidfd = -1,
        .fds = {-1, -1, -1},
    };
    start->path = copy_text(path, &room);
    if (opts->cwd)
        start->cwd = copy_text(opts->cwd, &room);
    int rc = keep_given(start, opts->fds, opts->fd_count);
    if (rc < 0)
        ouro__start_free(start);
    else
        *ret_start = start;
    return rc;
}

/* ---- Pipes ----------------------------------------------------------------------------------- */

static void close_all(int fds[3])
{
    for (int i = 0; i < 3; i++)
        ouro__close_fd(&fds[i]);
}

/* Move a descriptor out of the way of the standard three, which are replaced in the child. */
static int lift(int *fd)
{
    if (*fd > STDERR_FILENO)
        return 0;
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (high < 0)
        return -errno;
    close(*fd);
    *fd = high;
    return 0;
}

/* The pipe of one stream: our end, and the child's. */
static int open_pipe(int stream, int *ours, int *theirs)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *ours = ends[stream == STDIN_FILENO];
    *theirs = ends[stream != STDIN_FILENO];
    int rc = lift(ours);
    return rc < 0 ? rc : lift(theirs);
}

static int open_pipes(struct ouro__start *start, int theirs[3])
{
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++)
        if (start->stdio[i] == OURO_PIPE)
            rc = open_pipe(i, &start->fds[i], &theirs[i]);
    return rc;
}

/* ---- The program ----------------------------------------------------------------------------- */

static bool is_program(const char *file)
{
    struct stat st;
    return stat(file, &st) == 0 && S_ISREG(st.st_mode) &&
           faccessat(AT_FDCWD, file, X_OK, AT_EACCESS) == 0;
}

/* Where the program is: looked for in the PATH that was copied, which posix_spawnp(3) cannot be
 * told of. */
static int find_program(const struct ouro__start *start, char file[PATH_MAX])
{
    const char *name = start->argv[0];
    int rc = -ENOENT;
    if (strchr(name, '/'))
        return snprintf(file, PATH_MAX, "%s", name) < PATH_MAX ? 0 : -ENAMETOOLONG;
    for (const char *dir = start->path, *end; *name; dir = end + 1) {
        end = strchrnul(dir, ':');
        int size = snprintf(file, PATH_MAX, "%.*s%s%s", (int)(end - dir), dir,
                            end > dir ? "/" : "./", name);
        if (size < PATH_MAX && is_program(file))
            return 0;
        if (size < PATH_MAX && access(file, F_OK) == 0)
            rc = -EACCES; /* unless there is a better one */
        if (*end == '\0')
            break;
    }
    return rc;
}

static bool can_enter(const char *dir)
{
    struct stat st;
    return stat(dir, &st) == 0 && S_ISDIR(st.st_mode) &&
           faccessat(AT_FDCWD, dir, X_OK, AT_EACCESS) == 0;
}

/* ---- The child ------------------------------------------------------------------------------- */

/* The child's stream @i. */
static int set_stream(posix_spawn_file_actions_t *actions, ouro_stdio stdio, int i, int theirs)
{
    switch (stdio) {
    case OURO_INHERIT:
        return 0;
    case OURO_NULL:
        return posix_spawn_file_actions_addopen(actions, i, "/dev/null",
                                                i == STDIN_FILENO ? O_RDONLY : O_WRONLY, 0);
    case OURO_PIPE:
        return posix_spawn_file_actions_adddup2(actions, theirs, i);
    case OURO_STDOUT:
        return posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, i);
    }
    return EINVAL;
}

/* Our ends of the pipes are overwritten there, which have done their part by then. */
static int set_given(posix_spawn_file_actions_t *actions, const struct ouro__start *start)
{
    int error = 0;
    for (int i = 0; i < start->given_count && error == 0; i++)
        error = posix_spawn_file_actions_adddup2(actions, start->given[i], FIRST_GIVEN + i);
    return error;
}

/* What the child does before it executes. 0 or an errno. */
static int set_actions(posix_spawn_file_actions_t *actions, const struct ouro__start *start,
                       const int theirs[3])
{
    int error = 0;
    for (int i = 0; i < 3 && error == 0; i++)
        error = set_stream(actions, start->stdio[i], i, theirs[i]);
    if (error == 0 && start->cwd)
        error = posix_spawn_file_actions_addchdir_np(actions, start->cwd);
    if (error == 0)
        error = set_given(actions, start);
    if (error == 0)
        error = posix_spawn_file_actions_addclosefrom_np(actions, FIRST_GIVEN + start->given_count);
    return error;
}

/* What it is. A session of its own has a group of its own. */
static int set_attributes(posix_spawnattr_t *attributes, const struct ouro__start *start)
{
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    if (start->new_session)
        flags |= POSIX_SPAWN_SETSID;
    else if (start->new_group)
        flags |= POSIX_SPAWN_SETPGROUP;
    int error = posix_spawnattr_setflags(attributes, (short)flags);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(attributes, &all);
    return error ? error : posix_spawnattr_setsigmask(attributes, &none);
}

/* 0 or an errno. */
static int execute(struct ouro__start *start, const char *file, const int theirs[3])
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        error = set_actions(&actions, start, theirs);
        if (error == 0)
            error = set_attributes(&attributes, start);
        if (error == 0)
            error = posix_spawn(&start->pid, file, &actions, &attributes, start->argv, start->env);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static int open_pidfd(struct ouro__start *start)
{
    start->pidfd = (int)syscall(SYS_pidfd_open, start->pid, 0);
    int rc = start->pidfd < 0 ? -errno : lift(&start->pidfd);
    if (rc == 0)
        return 0;
    ouro__close_fd(&start->pidfd);
    kill(start->pid, SIGKILL);
    waitpid(start->pid, NULL, 0);
    return rc;
}

static int start_child(struct ouro__start *start, const int theirs[3])
{
    char file[PATH_MAX];
    int rc = find_program(start, file);
    if (rc < 0)
        return rc;
    rc = -execute(start, file, theirs);
    if (rc == 0)
        return open_pidfd(start);
    start->cwd_failed = start->cwd && !can_enter(start->cwd);
    return rc;
}

int64_t ouro__start_run(void *arg)
{
    struct ouro__start *start = arg;
    int theirs[3] = {-1, -1, -1};
    int rc = open_pipes(start, theirs);
    if (rc == 0)
        rc = start_child(start, theirs);
    close_all(theirs);
    close_given(start);
    if (rc < 0)
        close_all(start->fds);
    return rc;
}
