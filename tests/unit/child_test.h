/* SPDX-License-Identifier: MIT */
#ifndef OURO_CHILD_TEST_H
#define OURO_CHILD_TEST_H

/*
 * What tests of child processes share. Every test ends without a child: operations and descriptors
 * are counted by the harness, children here.
 */

#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro/uring.h>

/* Whether this process has no child, dead or alive. */
static inline bool has_no_child(void)
{
    siginfo_t info; /* looks, and leaves it to be waited for */
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

/* A task on the kernel, after which no child is left, and SIGPIPE is as it was. */
#define ChildTest(suite, name)                                   \
    static int64_t body_##name(void);                            \
    KernelTest(suite, name)                                      \
    {                                                            \
        sigset_t blocked;                                        \
        int64_t rc = body_##name();                              \
        check(has_no_child());                                   \
        check_eq(pthread_sigmask(SIG_BLOCK, NULL, &blocked), 0); \
        check(!sigismember(&blocked, SIGPIPE));                  \
        return rc;                                               \
    }                                                            \
    static int64_t body_##name(void)

static inline ouro_process *spawn_with(ouro_process_options opts, const char *const *argv)
{
    int64_t rc;
    opts.argv = argv;
    ouro_process *p = ouro_await_ptr(ouro_process_spawn(&opts), &rc);
    check_eq(rc, 0);
    check(p != NULL);
    check(ouro_process_pid(p) > 1);
    return p;
}

static inline ouro_process *spawn_shell(const char *script, ouro_process_options opts)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    return spawn_with(opts, argv);
}

static inline ouro_process *shell(const char *script)
{
    return spawn_shell(script, (ouro_process_options){0});
}

static inline ouro_process *sleeper(void)
{
    const char *argv[] = {"sleep", "1000", NULL};
    return spawn_with((ouro_process_options){0}, argv);
}

static inline int64_t wait_and_free(ouro_process *p)
{
    int64_t status = ouro_await(ouro_process_wait(p));
    ouro_process_free(p);
    return status;
}

static inline void kill_and_free(ouro_process *p)
{
    check_eq(ouro_process_kill(p, SIGKILL), 0);
    check_eq(wait_and_free(p), -OURO_ESIGNALED(SIGKILL));
}

static inline int64_t transfer(uint8_t opcode, int fd, void *bytes, unsigned size)
{
    struct io_uring_sqe sqe = {
        .opcode = opcode, .fd = fd, .addr = (uintptr_t)bytes, .len = size, .off = (uint64_t)-1};
    return ouro_await(ouro_uring_op(&sqe, NULL));
}

/* What comes from one of its pipes, as text. */
static inline const char *read_from(ouro_process *p, int stream)
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
static inline const char *output_of(const char *script, ouro_process_options opts)
{
    opts.out = OURO_PIPE;
    ouro_process *p = spawn_shell(script, opts);
    const char *text = read_from(p, 1);
    check_eq(wait_and_free(p), 0);
    return text;
}

/* Let background work be done, until no child is left. */
static inline void until_no_child_is_left(void)
{
    for (int i = 0; i < 1000 && !has_no_child(); i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
}

/* Until the process has exited, whether it has been reaped or not. */
static inline void until_gone(pid_t pid)
{
    for (int i = 0; i < 5000 && kill(pid, 0) == 0; i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check(kill(pid, 0) < 0);
}

#endif
