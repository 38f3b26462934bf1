/* SPDX-License-Identifier: MIT */
/*
 * Child processes: how they begin, and what happens where they cannot.
 */
#define _GNU_SOURCE
#include "child_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

TestSuite(process_start, .timeout = 60);

/* ---- How they begin -------------------------------------------------------------------------- */

ChildTest(process_start, it_leads_a_group_or_a_session_if_asked_to)
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

ChildTest(process_start, it_has_the_environment_and_the_directory_it_was_given)
{
    const char *env[] = {"A=1", "B=two words", "PATH=/bin:/usr/bin", NULL};
    check_text(output_of("echo $A,$B,$HOME; pwd", (ouro_process_options){.env = env, .cwd = "/"}),
               "1,two words,\n/\n");
    check_eq(setenv("OURO_TEST", "inherited", 1), 0);
    check_text(output_of("echo $OURO_TEST", (ouro_process_options){0}), "inherited\n");
    return 0;
}

ChildTest(process_start, what_it_was_given_is_copied)
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

/* Given in the order that would have the second overwritten by the first, if they were moved in
 * place. */
ChildTest(process_start, it_has_the_descriptors_it_was_given_and_no_others)
{
    int ends[2][2];
    check_eq(pipe2(ends[0], O_CLOEXEC), 0);
    check_eq(pipe2(ends[1], O_CLOEXEC), 0);
    check_eq(write(ends[0][1], "first\n", 6), 6);
    check_eq(write(ends[1][1], "second\n", 7), 7);
    int fds[] = {ends[1][0], ends[0][0], ends[1][0]};
    int64_t rc;
    const char *argv[] = {"sh", "-c", "head -n 1 <&4; head -n 1 <&5; ls /proc/$$/fd", NULL};
    ouro_future *f = ouro_process_spawn(
        &(ouro_process_options){.argv = argv, .out = OURO_PIPE, .fds = fds, .fd_count = 3});
    for (int i = 0; i < 2; i++) /* they were duplicated */
        for (int j = 0; j < 2; j++)
            close(ends[i][j]);
    ouro_process *p = ouro_await_ptr(f, &rc);
    check_eq(rc, 0);
    check_text(read_from(p, 1), "first\nsecond\n0\n1\n2\n3\n4\n5\n");
    check_eq(wait_and_free(p), 0);
    return 0;
}

ChildTest(process_start, descriptors_that_cannot_be_given_are_refused)
{
    const char *argv[] = {"true", NULL};
    int fds[] = {STDOUT_FILENO, -1};
    ouro_process_options opts = {.argv = argv, .fds = fds, .fd_count = 2};
    check_eq(ouro_await(ouro_process_spawn(&opts)), -EBADF);
    opts.fd_count = 1001;
    check_eq(ouro_await(ouro_process_spawn(&opts)), -EINVAL);
    opts.fds = NULL;
    opts.fd_count = 1;
    check_eq(ouro_await(ouro_process_spawn(&opts)), -EINVAL);
    return 0;
}

ChildTest(process_start, it_begins_with_no_signal_blocked_or_ignored)
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

ChildTest(process_start, it_has_no_descriptors_but_the_three)
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

ChildTest(process_start, its_streams_go_where_they_were_sent)
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

ChildTest(process_start, its_pipes_work_where_the_parent_has_closed_the_standard_three)
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

/* ---- What cannot be started ------------------------------------------------------------------ */

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

ChildTest(process_start, what_cannot_be_started_is_named)
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

ChildTest(process_start, bad_options_are_einval)
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

ChildTest(process_start, no_descriptors_is_emfile_and_leaves_no_child)
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
