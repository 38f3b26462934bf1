/* SPDX-License-Identifier: MIT */
/*
 * Restarts: what the new process is told, and what is told of it. Here it is a shell; the whole of
 * it, with a server, is in tests/integration/http/test_restart.c.
 */
#define _GNU_SOURCE
#include "child_test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

TestSuite(restart, .timeout = 60);

#define SAY_READY "eval \"echo >&${OURO_READY%%:*}\"; "

/* A new process that is this script, with our standard input and output as its sockets. */
static ouro_future *begin(const char *script, ouro_ns limit)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    const int fds[] = {STDIN_FILENO, STDOUT_FILENO};
    return ouro_restart(fds, 2, &(ouro_restart_options){.argv = argv, .limit = limit});
}

static void check_fails(ouro_future *f, int64_t rc, const char *why)
{
    check_eq(ouro_await(ouro_ref(f)), rc);
    const char *detail = ouro_future_detail(f);
    check(detail != NULL && strstr(detail, why) != NULL);
    ouro_unref(f);
}

/* The process goes on without us: all that is left here is to see it end. */
ChildTest(restart, one_that_is_ready_goes_on)
{
    int64_t pid = ouro_await(begin(SAY_READY "exec sleep 1000", 0));
    check(pid > 0);
    check_eq(kill((pid_t)pid, 0), 0);
    check_eq(kill((pid_t)pid, SIGKILL), 0);
    until_no_child_is_left();
    return 0;
}

ChildTest(restart, it_is_told_of_its_sockets_and_has_no_other_descriptors)
{
    char path[] = "/tmp/test_restart.XXXXXX", script[256], text[256] = "";
    int fd = mkstemp(path);
    check_eq(setenv("LISTEN_PID", "1", 1), 0); /* of us, and not for it */
    check_eq(setenv("LISTEN_FDNAMES", "x", 1), 0);
    check_eq(setenv("OURO_PATH", "1:1", 1), 0);
    snprintf(
        script, sizeof script,
        "exec >%s; echo $LISTEN_FDS,$LISTEN_PID,$LISTEN_FDNAMES,$OURO_PATH,${OURO_READY%%%%:*}; "
        "ls /proc/$$/fd; " SAY_READY,
        path);
    check(ouro_await(begin(script, 0)) > 0);
    check(pread(fd, text, sizeof text - 1, 0) > 0);
    check_text(text, "2,,,,5\n0\n1\n2\n3\n4\n5\n");
    until_no_child_is_left();
    unlink(path);
    close(fd);
    return 0;
}

/* What it says before it is ready, in a file. */
static void check_says(const char *what, const char *want)
{
    char path[] = "/tmp/test_restart.XXXXXX", script[512], text[1024] = "";
    int fd = mkstemp(path);
    snprintf(script, sizeof script, "{ %s; } >%s 2>&1; " SAY_READY, what, path);
    check(ouro_await(begin(script, 0)) > 0);
    check(pread(fd, text, sizeof text - 1, 0) >= 0);
    check_text(text, want);
    until_no_child_is_left();
    unlink(path);
    close(fd);
}

/* A handler cannot be inherited; what is ignored, and what is blocked as the server's own signals
 * are, could. */
ChildTest(restart, it_has_no_signal_blocked_or_ignored)
{
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    sigaddset(&some, SIGRTMIN);
    check_eq(pthread_sigmask(SIG_BLOCK, &some, &before), 0);
    signal(SIGHUP, SIG_IGN);
    signal(SIGRTMAX, SIG_IGN);
    check_says("grep -E '^Sig(Pnd|Blk|Ign)' /proc/self/status | sed s/180000000$/000000000/",
               "SigPnd:\t0000000000000000\nSigBlk:\t0000000000000000\n"
               "SigIgn:\t0000000000000000\n"); /* but for the two that are the C library's own */
    signal(SIGHUP, SIG_DFL);
    signal(SIGRTMAX, SIG_DFL);
    check_eq(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    return 0;
}

ChildTest(restart, it_has_our_directory_umask_limits_and_group)
{
    char want[256];
    struct rlimit files, fewer;
    check_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
    fewer = (struct rlimit){200, files.rlim_max};
    check_eq(setrlimit(RLIMIT_NOFILE, &fewer), 0);
    mode_t mask = umask(026);
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    check_eq(chdir("/proc"), 0);
    snprintf(want, sizeof want, "/proc\n0026\n200\n%d %d\n", (int)getpgrp(), (int)getsid(0));
    check_says("pwd; umask; ulimit -n; cut -d' ' -f5,6 /proc/$$/stat", want);
    check_eq(fchdir(here), 0);
    close(here);
    umask(mask);
    check_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    return 0;
}

ChildTest(restart, one_that_ends_before_it_is_ready_has_failed)
{
    check_fails(begin("exit 3", 0), -ESRCH, "ended with status 3 before it was ready");
    check_fails(begin("kill -9 $$", 0), -ESRCH, "killed by signal 9 before it was ready");
    return 0;
}

ChildTest(restart, one_that_only_closes_the_socket_is_ended)
{
    check_fails(begin("eval \"exec ${OURO_READY%%:*}>&-\"; exec sleep 1000", OURO_SEC(5)), -ESRCH,
                "never said that it is ready");
    return 0;
}

ChildTest(restart, one_that_is_not_ready_in_time_is_ended)
{
    check_fails(begin("exec sleep 1000", OURO_MS(50)), -ETIMEDOUT, "was not ready in 0.05 s");
    check_fails(begin("trap '' TERM; while :; do sleep 0.01; done", OURO_MS(100)), -ETIMEDOUT,
                "was not ready in 0.1 s");
    return 0;
}

/* Else it would serve on, and so would we. */
ChildTest(restart, one_that_is_late_cannot_say_that_it_is_ready)
{
    char path[] = "/tmp/test_restart.XXXXXX", script[512], text[64] = "";
    int fd = mkstemp(path);
    snprintf(script, sizeof script,
             "trap '' TERM PIPE; until [ -s %s ]; do sleep 0.01; done; exec 2>&-; "
             "if eval \"echo >&${OURO_READY%%%%:*}\"; then echo said; else echo not; fi >>%s",
             path, path);
    ouro_future *f = begin(script, OURO_MS(500));
    check_eq(ouro_await(ouro_sleep(OURO_MS(700))), 0);
    check_eq(pwrite(fd, "given up, ", 10, 0), 10); /* and it has 300 ms before it is killed */
    check_eq(ouro_await(f), -ETIMEDOUT);
    until_no_child_is_left();
    check(pread(fd, text, sizeof text - 1, 0) >= 0);
    check_text(text, "given up, not\n");
    unlink(path);
    close(fd);
    return 0;
}

static int hide_proc(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    return mount("none", "/proc", "tmpfs", 0, NULL) < 0 ? -errno : 0;
}

ChildTest(restart, without_proc_it_says_that_the_arguments_cannot_be_read)
{
    if (hide_proc() < 0)
        cr_skip_test("no right to mount");
    check_fails(ouro_restart(NULL, 0, NULL), -ENOENT, "/proc/self/cmdline, cannot be read");
    check_eq(umount("/proc"), 0);
    return 0;
}

ChildTest(restart, one_that_cannot_be_started_has_failed)
{
    const char *argv[] = {"/nowhere/at/all", NULL};
    check_fails(ouro_restart(NULL, 0, &(ouro_restart_options){.argv = argv}), -ENOENT,
                "cannot start /nowhere/at/all");
    const int fd = -1;
    check_eq(ouro_await(ouro_restart(&fd, 1, NULL)), -EBADF);
    check_eq(ouro_await(ouro_restart(NULL, 1, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_restart(&fd, 1000, NULL)), -EINVAL);
    return 0;
}

ChildTest(restart, one_whose_start_is_cancelled_is_told_to_end)
{
    ouro_future *f = begin("exec sleep 1000", 0);
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(50))), -ETIMEDOUT);
    until_no_child_is_left();
    f = begin("exec sleep 1000", 0);
    check_eq(ouro_await(ouro_timeout(f, 0)), -ETIMEDOUT); /* while it is being started */
    until_no_child_is_left();
    return 0;
}

/* ---- systemd --------------------------------------------------------------------------------- */

/* A manager that is to be told, at an abstract name. */
static int listen_as_manager(void)
{
    char name[64];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(name, sizeof name, "@test_restart.%d", (int)getpid());
    memcpy(a.sun_path + 1, name + 1, strlen(name) - 1);
    check_eq(bind(fd, (struct sockaddr *)&a,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
             0);
    check_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static const char *hear(int fd)
{
    static char text[256];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

ChildTest(restart, the_manager_is_told_of_the_new_process)
{
    char want[64];
    int fd = listen_as_manager();
    int64_t pid = ouro_await(begin(SAY_READY, 0));
    snprintf(want, sizeof want, "READY=1\nMAINPID=%lld", (long long)pid);
    check_text(hear(fd), want);
    check_text(hear(fd), "");
    until_no_child_is_left();
    close(fd);
    return 0;
}

ChildTest(restart, the_manager_is_told_once_that_we_are_ready)
{
    int fd = listen_as_manager();
    check_eq(ouro_restart_ready(), 1);
    check_text(hear(fd), "READY=1");
    check_eq(ouro_restart_ready(), 0);
    check_text(hear(fd), "");
    close(fd);
    return 0;
}

ChildTest(restart, nobody_has_asked_whether_we_are_ready)
{
    check_eq(ouro_restart_ready(), 0);
    return 0;
}

ChildTest(restart, an_address_that_is_none_is_an_error)
{
    check_eq(setenv("NOTIFY_SOCKET", "vsock:1:2", 1), 0);
    check_eq(ouro_restart_ready(), -EINVAL);
    return 0;
}

/* ---- Being given sockets --------------------------------------------------------------------- */

ChildTest(restart, variables_that_make_no_sense_give_nothing)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    check_eq(ouro_listen_fds(), 0);
    check_eq(setenv("LISTEN_FDS", "1", 1), 0);
    check_eq(ouro_listen_fds(), 0); /* for whom? */
    check_eq(setenv("LISTEN_PID", "1", 1), 0);
    check_eq(ouro_listen_fds(), 0); /* for somebody else */
    check(getenv("LISTEN_FDS") != NULL);
    check_eq(setenv("LISTEN_PID", pid, 1), 0);
    check_eq(setenv("LISTEN_FDS", "many", 1), 0);
    check_eq(ouro_listen_fds(), -EINVAL);
    check(getenv("LISTEN_FDS") == NULL);
    check(getenv("LISTEN_PID") == NULL);
    check_eq(setenv("LISTEN_PID", pid, 1), 0);
    check_eq(setenv("LISTEN_FDS", "1000000", 1), 0); /* more than can be open */
    check_eq(ouro_listen_fds(), -EBADF);
    check_eq(ouro_listen_fds(), 0);
    return 0;
}
