/* SPDX-License-Identifier: MIT */
/*
 * SIGUSR1 under ouro_run(): the tree of tasks on standard error, if debug mode was asked for from
 * outside.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(sigusr1, .timeout = 30);

static int64_t ask_for_it(void *arg)
{
    (void)arg;
    raise(SIGUSR1);
    raise(SIGUSR1);
    return ouro_await(ouro_sleep(OURO_MS(100)));
}

static int print_on_signal(void)
{
    struct sigaction now;
    setenv("OURO_DEBUG", "1", 1);
    child_check(ouro_run(ask_for_it, NULL, NULL) == 0);
    child_check(sigaction(SIGUSR1, NULL, &now) == 0);
    child_check(now.sa_handler == SIG_DFL);
    return 0;
}

Test(sigusr1, in_a_debugged_run_sigusr1_prints_the_tree)
{
    char text[4096];
    check_child(print_on_signal, text, sizeof text);
    check(strncmp(text, "1 task\nmain: waits for sleep, due in ", 37) == 0);
    check(strstr(text + 1, "1 task\n") == NULL); /* two at once are one */
}

static int64_t be_asked_asleep(void *arg)
{
    (void)arg;
    pid_t child = fork();
    if (child == 0) {
        usleep(20000);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(200)));
    return waitpid(child, NULL, 0) == child ? rc : -ECHILD;
}

static int print_when_asleep(void)
{
    setenv("OURO_DEBUG", "1", 1);
    child_check(ouro_run(be_asked_asleep, NULL, NULL) == 0);
    return 0;
}

Test(sigusr1, sigusr1_wakes_a_loop_that_sleeps)
{
    char text[4096];
    check_child(print_when_asleep, text, sizeof text);
    check(strncmp(text, "1 task\nmain: waits for sleep, due in ", 37) == 0);
}

static int no_debug(void)
{
    unsetenv("OURO_DEBUG");
    ouro_run(ask_for_it, NULL, &(ouro_run_options){.loop = {.debug = 1}});
    return 0;
}

Test(sigusr1, without_debug_in_the_environment_sigusr1_does_what_it_does)
{
    int status = in_child(no_debug, NULL, 0);
    check(WIFSIGNALED(status));
    check_eq(WTERMSIG(status), SIGUSR1);
}

static atomic_int handled;

static void handle(int signal)
{
    (void)signal;
    atomic_fetch_add(&handled, 1);
}

static int own_handler(void)
{
    setenv("OURO_DEBUG", "1", 1);
    signal(SIGUSR1, handle);
    child_check(ouro_run(ask_for_it, NULL, NULL) == 0);
    child_check(handled == 2);
    return 0;
}

Test(sigusr1, a_sigusr1_that_has_a_handler_keeps_it)
{
    check_child(own_handler, NULL, 0);
}

static int64_t raise_in_fork(void *arg)
{
    (void)arg;
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        raise(SIGUSR1);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1;
}

static int signal_in_fork(void)
{
    setenv("OURO_DEBUG", "1", 1);
    child_check(ouro_run(raise_in_fork, NULL, NULL) == 1);
    return 0;
}

Test(sigusr1, in_the_child_of_a_fork_sigusr1_does_what_it_does)
{
    check_child(signal_in_fork, NULL, 0);
}

static atomic_int ready;

static int64_t print_together(void *arg)
{
    (void)arg;
    if (atomic_fetch_add(&ready, 1) == 1)
        kill(getpid(), SIGUSR1);
    return ouro_await(ouro_sleep(OURO_MS(200)));
}

static int print_workers(void)
{
    setenv("OURO_DEBUG", "1", 1);
    child_check(ouro_run_workers(2, print_together, NULL, NULL) == 0);
    return 0;
}

Test(sigusr1, each_worker_prints_its_own)
{
    char text[4096];
    check_child(print_workers, text, sizeof text);
    const char *first = strstr(text, "1 task\n");
    check(first != NULL);
    check(strstr(first + 1, "1 task\n") != NULL);
}
