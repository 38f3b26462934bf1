/* SPDX-License-Identifier: MIT */
/*
 * Child processes: how they begin, how they are waited for and signalled, who reaps them, and what a scope does
 * to those it is to kill.
 *
 * Every test ends without a child: kernel operations and descriptors are counted by the harness, children here.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro/uring.h>

TestSuite(process, .timeout = 60);

/* ---- What the tests share ------------------------------------------------------------------------------ */

/* Whether this process has no child, dead or alive. */
static bool has_no_child(void)
{
    siginfo_t info; /* looks, and leaves it to be waited for */
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/* A task on the kernel, after which no child is left. */
#define ChildTest(name)               \
    static int64_t body_##name(void); \
    KernelTest(process, name)         \
    {                                 \
        int64_t rc = body_##name();   \
        check(has_no_child());        \
        return rc;                    \
    }                                 \
    static int64_t body_##name(void)

static ouro_process *spawn_with(ouro_process_options opts, const char *const *argv)
{
    int64_t rc;
    opts.argv = argv;
    ouro_process *p = ouro_await_ptr(ouro_process_spawn(&opts), &rc);
    check_eq(rc, 0);
    check(p != NULL);
    check(ouro_process_pid(p) > 1);
    return p;
}

static ouro_process *spawn_shell(const char *script, ouro_process_options opts)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    return spawn_with(opts, argv);
}

static ouro_process *shell(const char *script)
{
    return spawn_shell(script, (ouro_process_options){0});
}

static ouro_process *sleeper(void)
{
    const char *argv[] = {"sleep", "1000", NULL};
    return spawn_with((ouro_process_options){0}, argv);
}

static int64_t wait_and_free(ouro_process *p)
{
    int64_t status = ouro_await(ouro_process_wait(p));
    ouro_process_free(p);
    return status;
}

static void kill_and_free(ouro_process *p)
{
    check_eq(ouro_process_kill(p, SIGKILL), 0);
    check_eq(wait_and_free(p), -OURO_ESIGNALED(SIGKILL));
}

static int64_t transfer(uint8_t opcode, int fd, void *bytes, unsigned size)
{
    struct io_uring_sqe sqe = {
        .opcode = opcode, .fd = fd, .addr = (uintptr_t)bytes, .len = size, .off = (uint64_t)-1};
    return ouro_await(ouro_uring_op(&sqe, NULL));
}

/* What comes from one of its pipes, as text. */
static const char *read_from(ouro_process *p, int stream)
{
    static char text[4096];
    size_t size = 0;
    int64_t n = 1;
    int fd = ouro_process_fd(p, stream);
    check(fd > 2);
    while (n > 0 && size < sizeof text - 1) {
        n = transfer(IORING_OP_READ, fd, text + size, (unsigned)(sizeof text - 1 - size));
        check(n >= 0);
        size += (size_t)n;
    }
    text[size] = '\0';
    return text;
}

/* What a script writes on its standard output. */
static const char *output_of(const char *script, ouro_process_options opts)
{
    opts.out = OURO_PIPE;
    ouro_process *p = spawn_shell(script, opts);
    const char *text = read_from(p, 1);
    check_eq(wait_and_free(p), 0);
    return text;
}

/* Let background work be done, until no child is left. */
static void until_no_child_is_left(void)
{
    for (int i = 0; i < 1000 && !has_no_child(); i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
}

/* Until the process has exited, whether it has been reaped or not. */
static void until_gone(pid_t pid)
{
    for (int i = 0; i < 5000 && kill(pid, 0) == 0; i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check(kill(pid, 0) < 0);
}

/* ---- How they end ---------------------------------------------------------------------------------------- */

ChildTest(a_wait_comes_to_the_exit_status)
{
    check_eq(wait_and_free(shell("exit 0")), 0);
    check_eq(wait_and_free(shell("exit 7")), 7);
    check_eq(wait_and_free(shell("exit 255")), 255);
    return 0;
}

ChildTest(a_wait_comes_to_the_signal_that_killed_it)
{
    int64_t status = wait_and_free(shell("kill -TERM $$"));
    check_eq(status, -OURO_ESIGNALED(SIGTERM));
    check_eq(ouro_signal_of(status), SIGTERM);
    check_eq(wait_and_free(shell("kill -KILL $$")), -OURO_ESIGNALED(SIGKILL));
    return 0;
}

ChildTest(all_who_wait_are_told_the_same_also_later)
{
    ouro_future *f[20];
    ouro_process *p = shell("sleep 0.02; exit 3");
    for (int i = 0; i < 20; i++)
        f[i] = ouro_process_wait(p);
    check_eq(ouro_cancel(f[4]), 1);
    for (int i = 0; i < 20; i++)
        check_eq(ouro_await(f[i]), i == 4 ? -OURO_ECHILDCANCELLED : 3);
    check_eq(ouro_await(ouro_process_wait(p)), 3);
    check_eq(wait_and_free(p), 3);
    return 0;
}

ChildTest(a_cancelled_wait_leaves_the_child_alone)
{
    ouro_process *p = sleeper();
    check_eq(ouro_await(ouro_timeout(ouro_process_wait(p), OURO_MS(5))), -ETIMEDOUT);
    check_eq(ouro_process_kill(p, 0), 0);
    kill_and_free(p);
    return 0;
}

ChildTest(a_wait_may_be_held_longer_than_the_process)
{
    ouro_process *p = shell("exit 9");
    ouro_future *f = ouro_process_wait(p);
    ouro_process_free(p);
    check_eq(ouro_await(f), 9);
    return 0;
}

ChildTest(a_status_that_was_taken_elsewhere_is_echild)
{
    ouro_process *p = shell("exit 9");
    check_eq(waitpid((pid_t)ouro_process_pid(p), NULL, 0), ouro_process_pid(p));
    check_eq(wait_and_free(p), -ECHILD);
    return 0;
}

/* ---- Signals ---------------------------------------------------------------------------------------------- */

ChildTest(a_signal_can_be_sent_until_it_has_been_waited_for)
{
    ouro_process *p = sleeper();
    check_eq(ouro_process_kill(p, 0), 0);
    check_eq(ouro_process_kill(p, -1), -EINVAL);
    check_eq(ouro_process_kill(p, 65), -EINVAL);
    check_eq(ouro_process_kill(NULL, SIGTERM), -EINVAL);
    check_eq(ouro_process_kill(p, SIGTERM), 0);
    check_eq(ouro_await(ouro_process_wait(p)), -OURO_ESIGNALED(SIGTERM));
    check_eq(ouro_process_kill(p, SIGTERM), -ESRCH);
    check_eq(ouro_process_kill(p, 0), -ESRCH);
    ouro_process_free(p);
    return 0;
}

/* The number that a script has written in its first line. */
static pid_t read_number(ouro_process *p)
{
    char text[32] = "";
    check(transfer(IORING_OP_READ, ouro_process_fd(p, 1), text, sizeof text - 1) > 0);
    return (pid_t)atoi(text);
}

ChildTest(a_signal_to_a_group_reaches_grandchildren)
{
    ouro_process *p = spawn_shell("sleep 1000 & echo $!; wait",
                                  (ouro_process_options){.out = OURO_PIPE, .new_group = 1});
    pid_t grandchild = read_number(p);
    check_eq(getpgid(grandchild), ouro_process_pid(p));
    kill_and_free(p);
    until_gone(grandchild);
    return 0;
}

ChildTest(without_a_group_of_its_own_only_the_child_is_signalled)
{
    ouro_process *p = spawn_shell("sleep 1000 & echo $!; wait",
                                  (ouro_process_options){.out = OURO_PIPE});
    pid_t grandchild = read_number(p);
    check_eq(getpgid(grandchild), getpgid(0));
    kill_and_free(p);
    check_eq(kill(grandchild, SIGKILL), 0);
    until_gone(grandchild);
    return 0;
}

ChildTest(a_group_can_be_signalled_after_its_leader_has_ended)
{
    ouro_process *p = spawn_shell("sleep 1000 & echo $!",
                                  (ouro_process_options){.out = OURO_PIPE, .new_group = 1});
    pid_t grandchild = read_number(p);
    check_eq(ouro_await(ouro_process_wait(p)), 0);
    int rc = ouro_process_kill(p, SIGKILL);
    check(rc == 0 || rc == -ESRCH); /* before Linux 6.9 */
    if (rc < 0)
        kill(grandchild, SIGKILL);
    until_gone(grandchild);
    check_eq(ouro_process_kill(p, SIGKILL), -ESRCH);
    ouro_process_free(p);
    return 0;
}

/* ---- How they begin ----------------------------------------------------------------------------------------- */

ChildTest(it_leads_a_group_or_a_session_if_asked_to)
{
    const char *ids = "set -- $(cat /proc/$$/stat); echo $5 $6";
    char text[64], want[64];
    ouro_process *p = spawn_shell(ids, (ouro_process_options){.out = OURO_PIPE});
    snprintf(want, sizeof want, "%d %d\n", (int)getpgid(0), (int)getsid(0));
    check_text(read_from(p, 1), want);
    check_eq(wait_and_free(p), 0);
    p = spawn_shell(ids, (ouro_process_options){.out = OURO_PIPE, .new_group = 1});
    snprintf(want, sizeof want, "%d %d\n", (int)ouro_process_pid(p), (int)getsid(0));
    check_text(read_from(p, 1), want);
    check_eq(wait_and_free(p), 0);
    p = spawn_shell(ids,
                    (ouro_process_options){.out = OURO_PIPE, .new_group = 1, .new_session = 1});
    snprintf(text, sizeof text, "%d %d\n", (int)ouro_process_pid(p), (int)ouro_process_pid(p));
    check_text(read_from(p, 1), text);
    check_eq(wait_and_free(p), 0);
    return 0;
}

ChildTest(it_has_the_environment_and_the_directory_it_was_given)
{
    const char *env[] = {"A=1", "B=two words", "PATH=/bin:/usr/bin", NULL};
    check_text(output_of("echo $A,$B,$HOME; pwd", (ouro_process_options){.env = env, .cwd = "/"}),
               "1,two words,\n/\n");
    check_eq(setenv("OURO_TEST", "inherited", 1), 0);
    check_text(output_of("echo $OURO_TEST", (ouro_process_options){0}), "inherited\n");
    return 0;
}

ChildTest(what_it_was_given_is_copied)
{
    char script[] = "echo $A; pwd", value[] = "A=1", dir[] = "/";
    const char *argv[] = {"/bin/sh", "-c", script, NULL}, *env[] = {value, NULL};
    ouro_process_options opts = {.argv = argv, .env = env, .cwd = dir, .out = OURO_PIPE};
    int64_t rc;
    ouro_future *f = ouro_process_spawn(&opts);
    memset(script, 'x', sizeof script - 1);
    memset(value, 'x', sizeof value - 1);
    memset(dir, 'x', sizeof dir - 1);
    memset(argv, 0, sizeof argv);
    memset(&opts, 0xff, sizeof opts);
    ouro_process *p = ouro_await_ptr(f, &rc);
    check_eq(rc, 0);
    check_text(read_from(p, 1), "1\n/\n");
    check_eq(wait_and_free(p), 0);
    return 0;
}

ChildTest(it_begins_with_no_signal_blocked_or_ignored)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    check_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    check(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    check(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    const char *argv[] = {"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL};
    ouro_process *p = spawn_with((ouro_process_options){.out = OURO_PIPE}, argv);
    unsigned long blocked, ignored;
    check_eq(sscanf(read_from(p, 1), "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
    check_eq(blocked, 0);
    check_eq(ignored & ~(3ul << 31), 0); /* but for two that are the C library's */
    check_eq(wait_and_free(p), 0);
    check(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    return 0;
}

ChildTest(it_has_no_descriptors_but_the_three)
{
    int leak = dup(0), high = fcntl(0, F_DUPFD, 200);
    check(leak > 2 && high >= 200);
    ouro_process *other = spawn_shell("cat", (ouro_process_options){.in = OURO_PIPE});
    const char *argv[] = {"ls", "/proc/self/fd", NULL};
    ouro_process *p = spawn_with((ouro_process_options){.out = OURO_PIPE}, argv);
    check_text(read_from(p, 1), "0\n1\n2\n3\n"); /* the last is ls's own */
    check_eq(wait_and_free(p), 0);
    close(ouro_process_take_fd(other, 0)); /* so cat ends: nobody else has that end */
    check_eq(wait_and_free(other), 0);
    close(leak);
    close(high);
    return 0;
}

ChildTest(its_streams_go_where_they_were_sent)
{
    ouro_process *p = spawn_shell(
        "cat; echo error >&2",
        (ouro_process_options){.in = OURO_NULL, .out = OURO_PIPE, .err = OURO_STDOUT});
    check_eq(ouro_process_fd(p, 0), -EBADF);
    check_eq(ouro_process_fd(p, 2), -EBADF);
    check_text(read_from(p, 1), "error\n");
    check_eq(wait_and_free(p), 0);
    p = spawn_shell("echo out; echo error >&2",
                    (ouro_process_options){.out = OURO_NULL, .err = OURO_PIPE});
    check_text(read_from(p, 2), "error\n");
    check_eq(wait_and_free(p), 0);
    p = spawn_shell("cat; echo error >&2",
                    (ouro_process_options){.in = OURO_PIPE, .out = OURO_PIPE, .err = OURO_PIPE});
    check_eq(transfer(IORING_OP_WRITE, ouro_process_fd(p, 0), (char[]){"in"}, 2), 2);
    close(ouro_process_take_fd(p, 0));
    check_eq(ouro_process_fd(p, 0), -EBADF);
    check_text(read_from(p, 1), "in");
    check_text(read_from(p, 2), "error\n");
    check_eq(wait_and_free(p), 0);
    return 0;
}

ChildTest(its_pipes_work_where_the_parent_has_closed_the_standard_three)
{
    int saved[3];
    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
        close(i);
    }
    const char *argv[] = {"sh", "-c", "cat; echo error >&2", NULL};
    ouro_process_options opts = {.argv = argv, .in = OURO_PIPE, .out = OURO_PIPE, .err = OURO_PIPE};
    int64_t rc;
    char in[] = "in", out[8] = "", err[8] = "";
    ouro_process *p = ouro_await_ptr(ouro_process_spawn(&opts), &rc);
    int lowest = open("/dev/null", O_RDONLY);
    close(lowest);
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    check_eq(rc, 0);
    check_eq(lowest, 0);
    check_eq(transfer(IORING_OP_WRITE, ouro_process_fd(p, 0), in, 2), 2);
    close(ouro_process_take_fd(p, 0));
    check_eq(transfer(IORING_OP_READ, ouro_process_fd(p, 1), out, sizeof out), 2);
    check_eq(transfer(IORING_OP_READ, ouro_process_fd(p, 2), err, sizeof err), 6);
    check_text(out, "in");
    check_eq(wait_and_free(p), 0);
    return 0;
}

/* ---- What cannot be started ---------------------------------------------------------------------------------- */

static void check_fails(const char *program, const char *cwd, int64_t error, const char *words)
{
    const char *argv[] = {program, NULL};
    int64_t rc;
    ouro_future *f = ouro_process_spawn(
        &(ouro_process_options){.argv = argv, .cwd = cwd, .in = OURO_PIPE, .out = OURO_PIPE});
    check(ouro_await_ptr(ouro_ref(f), &rc) == NULL);
    check_eq(rc, error);
    check_text(ouro_future_detail(f), words);
    ouro_unref(f);
}

static void make_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    check(file != NULL);
    fputs(text, file);
    fclose(file);
    check_eq(chmod(path, mode), 0);
}

ChildTest(what_cannot_be_started_is_named)
{
    char dir[] = "/tmp/ouro-test-XXXXXX", plain[64], broken[64], words[128], lost[64], path[4096];
    check(mkdtemp(dir) != NULL);
    snprintf(plain, sizeof plain, "%s/plain", dir);
    snprintf(broken, sizeof broken, "%s/broken", dir);
    snprintf(lost, sizeof lost, "%s/lost", dir);
    make_file(plain, "text\n", 0644);
    make_file(broken,
              "\x7f"
              "ELF?",
              0755);
    make_file(lost, "#!/no/such/interpreter\n", 0755);
    check_fails("no-such-program", NULL, -ENOENT, "cannot start no-such-program");
    check_fails("/no/such/program", NULL, -ENOENT, "cannot start /no/such/program");
    check_fails("", NULL, -ENOENT, "cannot start ");
    check_fails("/", NULL, -EACCES, "cannot start /");
    check_fails("true", "/no/such/directory", -ENOENT, "cannot change to /no/such/directory");
    snprintf(words, sizeof words, "cannot change to %s", plain);
    check_fails("true", plain, -ENOTDIR, words);
    snprintf(words, sizeof words, "cannot start %s", plain);
    check_fails(plain, "/", -EACCES, words);
    snprintf(words, sizeof words, "cannot start %s", broken);
    check_fails(broken, NULL, -ENOEXEC, words);
    snprintf(words, sizeof words, "cannot start %s", lost);
    check_fails(lost, NULL, -ENOENT, words);

    char *before = strdup(getenv("PATH"));
    snprintf(path, sizeof path, "%s:/no/such/directory:%s", dir, before);
    check_eq(setenv("PATH", path, 1), 0);
    check_fails("plain", NULL, -EACCES, "cannot start plain");
    check_fails("broken", NULL, -ENOEXEC, "cannot start broken");
    check_eq(wait_and_free(shell("exit 4")), 4);
    check_eq(setenv("PATH", before, 1), 0);
    free(before);
    unlink(plain);
    unlink(broken);
    unlink(lost);
    rmdir(dir);
    return 0;
}

ChildTest(bad_options_are_einval)
{
    const char *argv[] = {"true", NULL}, *none[] = {NULL};
    ouro_scope strangers;
    memset(&strangers, 0, sizeof strangers);
    const ouro_process_options bad[] = {
        {.argv = NULL},
        {.argv = none},
        {.argv = argv, .in = OURO_STDOUT},
        {.argv = argv, .out = OURO_STDOUT},
        {.argv = argv, .err = (ouro_stdio)4},
        {.argv = argv, .in = (ouro_stdio)-1},
        {.argv = argv, .scope = &strangers},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_eq(ouro_await(ouro_process_spawn(&bad[i])), -EINVAL);
    check_eq(ouro_await(ouro_process_spawn(NULL)), -EINVAL);
    check_eq(ouro_await(ouro_process_wait(NULL)), -EINVAL);
    check_eq(ouro_process_pid(NULL), -EINVAL);
    check_eq(ouro_process_fd(NULL, 0), -EINVAL);
    check_eq(ouro_process_take_fd(NULL, 0), -EINVAL);
    check(ouro_process_free(NULL) == NULL);
    ouro_process *p = shell("exit 0");
    check_eq(ouro_process_fd(p, -1), -EINVAL);
    check_eq(ouro_process_fd(p, 3), -EINVAL);
    check_eq(ouro_process_take_fd(p, 1), -EBADF);
    check_eq(wait_and_free(p), 0);
    return 0;
}

/* The lowest number that a new descriptor would get, so many more being allowed. */
static void allow_fds(unsigned more, struct rlimit *before)
{
    int next = dup(0);
    close(next);
    check_eq(getrlimit(RLIMIT_NOFILE, before), 0);
    struct rlimit few = *before;
    few.rlim_cur = (rlim_t)next + more;
    check_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
}

ChildTest(no_descriptors_is_emfile_and_leaves_no_child)
{
    const char *argv[] = {"sleep", "1000", NULL};
    ouro_process_options opts = {.argv = argv, .in = OURO_PIPE, .out = OURO_PIPE, .err = OURO_PIPE};
    int64_t rc = -EMFILE;
    unsigned n = 0;
    for (; rc == -EMFILE && n < 20; n++) {
        struct rlimit before;
        allow_fds(n, &before);
        ouro_process *p = ouro_await_ptr(ouro_process_spawn(&opts), &rc);
        check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        check(rc == 0 || rc == -EMFILE);
        if (rc == 0)
            kill_and_free(p);
        else
            check(has_no_child());
    }
    check_eq(rc, 0);
    check(n > 6); /* three pipes at least */
    return 0;
}

/* ---- Who reaps them -------------------------------------------------------------------------------------------- */

ChildTest(free_does_not_kill_and_leaves_no_zombie)
{
    ouro_process *p = spawn_shell("read line; exit 0", (ouro_process_options){.in = OURO_PIPE});
    pid_t pid = (pid_t)ouro_process_pid(p);
    int in = ouro_process_take_fd(p, 0);
    ouro_process_free(p);
    check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    check_eq(kill(pid, 0), 0);
    close(in);
    until_no_child_is_left();
    return 0;
}

ChildTest(one_that_nobody_waits_for_is_reaped_all_the_same)
{
    ouro_process *p = shell("exit 5");
    until_no_child_is_left();
    check(has_no_child());
    check_eq(ouro_process_kill(p, 0), -ESRCH);
    check_eq(wait_and_free(p), 5);
    return 0;
}

ChildTest(an_unwanted_one_is_reaped_too)
{
    const char *argv[] = {"true", NULL};
    ouro_process_options opts = {.argv = argv, .in = OURO_PIPE, .out = OURO_PIPE};
    ouro_detach(ouro_process_spawn(&opts));
    check_eq(ouro_await(ouro_process_spawn(&opts)), 0);
    until_no_child_is_left();
    return 0;
}

Test(process, a_child_that_nobody_waits_for_keeps_no_loop_running)
{
    const char *argv[] = {"sleep", "1000", NULL};
    begin_kernel();
    ouro_loop *loop = ouro_loop_current();
    ouro_future *f = ouro_process_spawn(&(ouro_process_options){.argv = argv});
    check_eq(ouro_loop_run(loop), 0);
    ouro_process *p = ouro_future_take(f).ptr;
    ouro_unref(f);
    pid_t pid = (pid_t)ouro_process_pid(p);
    check_eq(ouro_loop_run(loop), 0);
    check_eq(ouro_loop_step(loop, 0), 0);
    f = ouro_timeout(ouro_process_wait(p), OURO_MS(5));
    check_eq(ouro_loop_run(loop), 0);
    check_eq(ouro_future_result(f).n, -ETIMEDOUT);
    ouro_unref(f);
    check_eq(ouro_loop_close(loop), 0);
    check_eq(kill(pid, 0), 0);
    check_eq(ouro_process_pid(p), pid);
    check_eq(ouro_process_kill(p, SIGKILL), -ESHUTDOWN);
    f = ouro_process_wait(p);
    check_eq(ouro_future_result(f).n, -ESHUTDOWN);
    ouro_process_free(p);
    end_closed();
    kill(pid, SIGKILL);
    check_eq(waitpid(pid, NULL, 0), pid);
}

static int64_t leave_children(void *arg)
{
    pid_t *pids = arg;
    ouro_process *waited_for = sleeper(), *freed = sleeper();
    pids[0] = (pid_t)ouro_process_pid(waited_for);
    pids[1] = (pid_t)ouro_process_pid(freed);
    ouro_detach(ouro_process_wait(waited_for));
    ouro_process_free(waited_for);
    ouro_process_free(freed);
    return 0;
}

Test(process, shutdown_and_close_let_children_go_on)
{
    pid_t pids[2];
    check_eq(ouro_run(leave_children, pids, NULL), 0);
    for (int i = 0; i < 2; i++) {
        check_eq(kill(pids[i], SIGKILL), 0);
        check_eq(waitpid(pids[i], NULL, 0), pids[i]);
    }
}

static int64_t clean_up(void *arg)
{
    ouro_process *p = arg;
    ouro_scope shield;
    check_eq(ouro_await(ouro_process_wait(p)), -ECANCELED);
    check_eq(ouro_scope_enter(&shield, &(ouro_scope_options){.shield = 1}), 0);
    kill_and_free(p);
    return ouro_scope_exit(&shield, -ECANCELED);
}

static int64_t leave_a_keeper(void *arg)
{
    (void)arg;
    ouro_detach(ouro_spawn(clean_up, sleeper()));
    return ouro_yield();
}

Test(process, a_task_that_shutdown_cancels_can_kill_its_child_and_wait)
{
    check_eq(ouro_run(leave_a_keeper, NULL, NULL), 0);
    check(has_no_child());
}

ChildTest(a_spawn_that_is_cancelled_is_there_or_never_was)
{
    const char *argv[] = {"true", NULL};
    for (int i = 0; i < 20; i++) {
        ouro_future *f = ouro_process_spawn(&(ouro_process_options){.argv = argv});
        for (int turns_before = i % 5; turns_before > 0; turns_before--)
            check_eq(ouro_yield(), 0);
        ouro_cancel(f);
        int64_t rc;
        ouro_process *p = ouro_await_ptr(f, &rc);
        check(p ? rc == 0 : rc == -OURO_ECHILDCANCELLED);
        if (p)
            check_eq(wait_and_free(p), 0);
    }
    return 0;
}

/* ---- Scopes ------------------------------------------------------------------------------------------------------ */

ChildTest(a_scope_that_is_left_kills_its_child_and_waits_for_it)
{
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    const char *argv[] = {"sleep", "1000", NULL};
    ouro_process *p = spawn_with((ouro_process_options){.scope = &scope}, argv);
    check_eq(ouro_scope_exit(&scope, 0), 0);
    check(has_no_child());
    check_eq(wait_and_free(p), -OURO_ESIGNALED(SIGKILL));
    return 0;
}

ChildTest(a_scope_whose_deadline_passes_kills_its_child)
{
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_MS(500)}), 0);
    ouro_process *p = spawn_shell(
        "trap '' TERM; sleep 1000",
        (ouro_process_options){.scope = &scope, .new_group = 1, .out = OURO_PIPE});
    int64_t rc = ouro_await(ouro_process_wait(p));
    check_eq(rc, -ECANCELED);
    check_eq(ouro_scope_exit(&scope, rc), -ETIMEDOUT);
    check(has_no_child());
    check_eq(wait_and_free(p), -OURO_ESIGNALED(SIGKILL));
    return 0;
}

ChildTest(a_scope_kills_a_child_that_was_freed_and_leaves_others_alone)
{
    ouro_scope outer, inner;
    check_eq(ouro_scope_enter(&outer, NULL), 0);
    check_eq(ouro_scope_enter(&inner, NULL), 0);
    const char *argv[] = {"sleep", "1000", NULL};
    ouro_process_free(spawn_with((ouro_process_options){.scope = &inner}, argv));
    ouro_process *p = spawn_with((ouro_process_options){.scope = &outer}, argv);
    check_eq(ouro_scope_exit(&inner, 0), 0);
    check_eq(ouro_process_kill(p, SIGTERM), 0);
    check_eq(wait_and_free(p), -OURO_ESIGNALED(SIGTERM));
    check(has_no_child());
    check_eq(ouro_scope_exit(&outer, 0), 0);
    return 0;
}

ChildTest(a_scope_that_is_left_while_its_child_is_being_started_leaves_none)
{
    const char *argv[] = {"sleep", "1000", NULL}, *bad[] = {"/no/such/program", NULL};
    for (int i = 0; i < 30; i++) {
        ouro_scope scope;
        check_eq(ouro_scope_enter(&scope, NULL), 0);
        ouro_process_options opts = {.argv = i % 2 ? argv : bad, .scope = &scope};
        ouro_future *f = ouro_process_spawn(&opts);
        usleep((useconds_t)(i / 2 * 50)); /* the thread that starts it may be anywhere */
        check_eq(ouro_scope_exit(&scope, 0), 0);
        check(has_no_child());
        ouro_await(f);
    }
    return 0;
}

static int64_t return_without_leaving(void *arg)
{
    static ouro_scope scope; /* not on the stack that is gone then */
    const char *argv[] = {"sleep", "1000", NULL};
    (void)arg;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_process_free(spawn_with((ouro_process_options){.scope = &scope}, argv));
    return 0;
}

ChildTest(a_scope_that_is_never_left_kills_its_child_when_the_task_ends)
{
    check_eq(ouro_await(ouro_spawn(return_without_leaving, NULL)), 0);
    until_no_child_is_left();
    check_eq(take_reports(OURO_REPORT_LEAK), 1);
    return 0;
}

static int64_t leave_cancelled(void *arg)
{
    ouro_scope scope;
    (void)arg;
    const char *argv[] = {"sleep", "1000", NULL};
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_process_free(spawn_with((ouro_process_options){.scope = &scope}, argv));
    check_eq(ouro_await(ouro_sleep(OURO_SEC(100))), -ECANCELED);
    int64_t rc = ouro_scope_exit(&scope, -ECANCELED);
    check(has_no_child());
    return rc;
}

ChildTest(a_cancelled_task_still_waits_for_the_child_its_scope_kills)
{
    ouro_future *task = ouro_spawn(leave_cancelled, NULL);
    while (has_no_child())
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    return 0;
}

static bool leaving;

static int64_t leave_and_be_cancelled(void *arg)
{
    ouro_scope scope;
    const char *argv[] = {"sleep", "1000", NULL};
    (void)arg;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_process_free(spawn_with((ouro_process_options){.scope = &scope}, argv));
    leaving = true;
    int64_t rc = ouro_scope_exit(&scope, 0);
    check(has_no_child());
    check(ouro_cancel_reason() != NULL);
    return rc;
}

ChildTest(a_cancel_does_not_end_the_wait_for_a_child_that_is_being_killed)
{
    leaving = false;
    ouro_future *task = ouro_spawn(leave_and_be_cancelled, NULL);
    while (!leaving)
        check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), 0);
    return 0;
}

/* ---- Wrong places -------------------------------------------------------------------------------------------------- */

static void *use_on_another_thread(void *arg)
{
    ouro_process *p = arg;
    const char *argv[] = {"true", NULL};
    check_eq(ouro_process_kill(p, SIGKILL), -EXDEV);
    check_eq(ouro_future_result(ouro_process_wait(p)).n, -EXDEV);
    check_eq(ouro_future_result(ouro_process_spawn(&(ouro_process_options){.argv = argv})).n,
             -EPERM);
    return NULL;
}

ChildTest(a_process_belongs_to_its_loop)
{
    pthread_t thread;
    ouro_process *p = sleeper();
    check_eq(pthread_create(&thread, NULL, use_on_another_thread, p), 0);
    check_eq(pthread_join(thread, NULL), 0);
    kill_and_free(p);
    return 0;
}

static ouro_process *parents;

static int use_in_child(void)
{
    child_check(ouro_process_kill(parents, SIGKILL) == -ECHILD);
    child_check(ouro_future_result(ouro_process_wait(parents)).n == -ECHILD);
    child_check(ouro_process_free(parents) == NULL);
    return 0;
}

KernelTest(process, a_forked_child_cannot_use_it)
{
    char text[512];
    parents = sleeper();
    check_child(use_in_child, text, sizeof text);
    kill_and_free(parents);
    check(has_no_child());
    return 0;
}
