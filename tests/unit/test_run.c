/* SPDX-License-Identifier: MIT */
/*
 * The whole program in one call: its result, its end, and what SIGINT does to it.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(run, .timeout = 30);

static int64_t give(void *arg)
{
    return (int64_t)(intptr_t)arg;
}

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

/* ---- Results --------------------------------------------------------------------------------- */

Test(run, returns_what_main_returned)
{
    check_eq(ouro_run(give, (void *)(intptr_t)0, NULL), 0);
    check_eq(ouro_run(give, (void *)(intptr_t)41, NULL), 41);
    check_eq(ouro_run(give, (void *)(intptr_t)-EIO, NULL), -EIO);
    check(ouro_loop_current() == NULL);
}

static int64_t check_main(void *arg)
{
    (void)arg;
    check(ouro_task_current() != NULL);
    check(ouro_loop_current() != NULL);
    check_eq(nap(OURO_MS(1)), 0);
    return 7;
}

Test(run, main_is_a_task_and_can_wait)
{
    check_eq(ouro_run(check_main, NULL, NULL), 7);
}

static int64_t use_big_stack(void *arg)
{
    volatile char room[900 * 1024];
    (void)arg;
    for (size_t i = 0; i < sizeof room; i += 512)
        room[i] = (char)i;
    return room[512] == (char)512;
}

Test(run, main_has_the_stack_that_was_asked_for)
{
    check_eq(ouro_run(use_big_stack, NULL, &(ouro_run_options){.stack_size = 1 << 20}), 1);
}

Test(run, bad_options_are_einval)
{
    check_eq(ouro_run(NULL, NULL, NULL), -EINVAL);
    check_eq(ouro_run(give, NULL, &(ouro_run_options){.stack_size = SIZE_MAX}), -EINVAL);
    check_eq(ouro_run(give, NULL, &(ouro_run_options){.loop = {.entries = 1u << 30}}), -EINVAL);
    check(ouro_loop_current() == NULL);
    check_eq(ouro_run(give, (void *)(intptr_t)3, NULL), 3);
}

/* ---- The end --------------------------------------------------------------------------------- */

static int cleaned;

static int64_t clean_up(void *arg)
{
    ouro_scope s;
    (void)arg;
    check_eq(nap(OURO_SEC(1000)), -ECANCELED);
    check_text(ouro_cancel_reason(), "shutdown");
    check_eq(ouro_scope_enter(&s, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(nap(OURO_MS(2)), 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    cleaned++;
    return -ECANCELED;
}

static int64_t leave_two_behind(void *arg)
{
    (void)arg;
    ouro_detach(ouro_spawn(clean_up, NULL));
    ouro_detach(ouro_spawn(clean_up, NULL));
    check_eq(nap(OURO_MS(1)), 0);
    return 1;
}

Test(run, what_main_leaves_behind_is_cancelled_and_may_clean_up)
{
    cleaned = 0;
    check_eq(ouro_run(leave_two_behind, NULL, NULL), 1);
    check_eq(cleaned, 2);
}

static int64_t never_end(void *arg)
{
    ouro_scope s;
    (void)arg;
    check_eq(ouro_scope_enter(&s, &(ouro_scope_options){.shield = 1}), 0);
    return ouro_scope_exit(&s, nap(OURO_SEC(1000)));
}

static int64_t leave_a_stubborn_one(void *arg)
{
    (void)arg;
    ouro_detach(ouro_spawn_with(never_end, NULL, &(ouro_spawn_options){.name = "limpet"}));
    return nap(OURO_MS(1)) < 0 ? -EIO : 4;
}

static int run_past_grace(void)
{
    child_check(ouro_run(leave_a_stubborn_one, NULL, &(ouro_run_options){.grace = OURO_MS(20)}) ==
                4);
    return 0;
}

Test(run, what_does_not_end_within_the_grace_is_given_up_by_name)
{
    char text[4096];
    check_child(run_past_grace, text, sizeof text);
    check(strstr(text, "limpet") != NULL);
}

/* ---- Exit codes ------------------------------------------------------------------------------ */

Test(run, a_result_becomes_an_exit_status)
{
    check_eq(ouro_exit_code(0), 0);
    check_eq(ouro_exit_code(7), 7);
    check_eq(ouro_exit_code(255), 255);
    check_eq(ouro_exit_code(256), 255);
    check_eq(ouro_exit_code(INT64_MAX), 255);
    check_eq(ouro_exit_code(-EINTR), 130);
    check_eq(ouro_exit_code(-EIO), 1);
    check_eq(ouro_exit_code(-OURO_ECHILDCANCELLED), 1);
    check_eq(ouro_exit_code(INT64_MIN), 1);
}

/* ---- SIGINT ---------------------------------------------------------------------------------- */

/* Each of these runs in a child with the dispositions of a fresh process. */
static void fresh_sigint(void)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGINT, SIG_DFL);
}

static const char *reason;

static int64_t interrupt_myself(void *arg)
{
    (void)arg;
    raise(SIGINT);
    int64_t rc = nap(OURO_SEC(1000));
    reason = ouro_cancel_reason();
    return rc;
}

static int first_sigint(void)
{
    fresh_sigint();
    child_check(ouro_run(interrupt_myself, NULL, NULL) == -EINTR);
    child_check(reason && strcmp(reason, "SIGINT") == 0);
    return 0;
}

Test(run, the_first_sigint_cancels_main_and_the_result_is_eintr)
{
    check_child(first_sigint, NULL, 0);
}

static int64_t sleep_long(void *arg)
{
    (void)arg;
    return nap(OURO_SEC(1000));
}

static int sigint_from_outside(void)
{
    fresh_sigint();
    pid_t me = getpid();
    pid_t killer = fork();
    child_check(killer >= 0);
    if (killer == 0) {
        usleep(30000);
        kill(me, SIGINT);
        _exit(0);
    }
    child_check(ouro_run(sleep_long, NULL, NULL) == -EINTR);
    waitpid(killer, NULL, 0);
    return 0;
}

Test(run, a_sigint_wakes_a_sleeping_loop)
{
    check_child(sigint_from_outside, NULL, 0);
}

static int64_t swallow_sigint(void *arg)
{
    (void)arg;
    raise(SIGINT);
    return nap(OURO_SEC(1000)) == -ECANCELED ? 12 : -EIO;
}

static int64_t fail_after_sigint(void *arg)
{
    (void)arg;
    raise(SIGINT);
    nap(OURO_SEC(1000));
    return -ENOENT;
}

static int sigint_that_main_survives(void)
{
    fresh_sigint();
    child_check(ouro_run(swallow_sigint, NULL, NULL) == 12);
    child_check(ouro_run(fail_after_sigint, NULL, NULL) == -ENOENT);
    return 0;
}

Test(run, the_result_is_eintr_only_if_main_ended_by_that_cancel)
{
    check_child(sigint_that_main_survives, NULL, 0);
}

static int64_t interrupt_twice(void *arg)
{
    (void)arg;
    raise(SIGINT);
    nap(OURO_SEC(1000));
    raise(SIGINT);
    usleep(100000);
    return 0;
}

static int second_sigint(void)
{
    fresh_sigint();
    ouro_run(interrupt_twice, NULL, NULL);
    return 0;
}

Test(run, the_second_sigint_kills_as_if_there_were_no_handler)
{
    int status = in_child(second_sigint, NULL, 0);
    check(WIFSIGNALED(status));
    check_eq(WTERMSIG(status), SIGINT);
}

static int64_t interrupt_a_child(void *arg)
{
    int status;
    pid_t child = fork();
    (void)arg;
    if (child == 0) {
        raise(SIGINT);
        _exit(0);
    }
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) ? WTERMSIG(status) : -EIO;
}

static int sigint_in_child(void)
{
    fresh_sigint();
    child_check(ouro_run(interrupt_a_child, NULL, NULL) == SIGINT);
    return 0;
}

Test(run, the_child_of_a_fork_has_no_part_in_it)
{
    check_child(sigint_in_child, NULL, 0);
}

static int sigint_after_run(void)
{
    fresh_sigint();
    child_check(ouro_run(give, NULL, NULL) == 0);
    raise(SIGINT);
    return 0;
}

Test(run, the_disposition_is_given_back_at_the_end)
{
    int status = in_child(sigint_after_run, NULL, 0);
    check(WIFSIGNALED(status));
    check_eq(WTERMSIG(status), SIGINT);
}

static int64_t still_ignored(void *arg)
{
    (void)arg;
    raise(SIGINT);
    return nap(OURO_MS(1));
}

static int sigint_ignored(void)
{
    struct sigaction now;
    fresh_sigint();
    signal(SIGINT, SIG_IGN);
    child_check(ouro_run(still_ignored, NULL, NULL) == 0);
    child_check(sigaction(SIGINT, NULL, &now) == 0);
    child_check(now.sa_handler == SIG_IGN);
    return 0;
}

Test(run, a_sigint_that_is_ignored_stays_ignored)
{
    check_child(sigint_ignored, NULL, 0);
}

static volatile sig_atomic_t handled;

static void handle(int signal)
{
    (void)signal;
    handled++;
}

static int sigint_handled(void)
{
    struct sigaction now;
    fresh_sigint();
    signal(SIGINT, handle);
    child_check(ouro_run(still_ignored, NULL, NULL) == 0);
    child_check(handled == 1);
    child_check(sigaction(SIGINT, NULL, &now) == 0);
    child_check(now.sa_handler == handle);
    return 0;
}

Test(run, a_sigint_that_has_a_handler_keeps_it)
{
    check_child(sigint_handled, NULL, 0);
}

static int sigint_kept(void)
{
    fresh_sigint();
    ouro_run(interrupt_myself, NULL, &(ouro_run_options){.keep_sigint = 1});
    return 0;
}

Test(run, keep_sigint_leaves_it_alone)
{
    int status = in_child(sigint_kept, NULL, 0);
    check(WIFSIGNALED(status));
    check_eq(WTERMSIG(status), SIGINT);
}

static atomic_int main_runs;

static int64_t run_until_forked(void *arg)
{
    (void)arg;
    atomic_store(&main_runs, 1);
    while (atomic_load(&main_runs) == 1)
        if (nap(OURO_MS(1)) < 0)
            return -EIO;
    return 0;
}

static void *fork_and_run(void *status)
{
    while (!atomic_load(&main_runs))
        usleep(1000);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(ouro_exit_code(ouro_run(interrupt_myself, NULL, NULL)));
    }
    waitpid(child, status, 0);
    atomic_store(&main_runs, 2);
    return NULL;
}

static int run_in_fork(void)
{
    int status = 0;
    pthread_t thread;
    fresh_sigint();
    child_check(pthread_create(&thread, NULL, fork_and_run, &status) == 0);
    child_check(ouro_run(run_until_forked, NULL, NULL) == 0);
    child_check(pthread_join(thread, NULL) == 0);
    child_check(WIFEXITED(status) && WEXITSTATUS(status) == ouro_exit_code(-EINTR));
    return 0;
}

/* A thread without a loop forks while the program runs. */
Test(run, in_the_child_of_a_fork_sigint_goes_to_the_program_that_runs_there)
{
    check_child(run_in_fork, NULL, 0);
}

/* ---- Debug mode by environment --------------------------------------------------------------- */

static int64_t leak_one(void *arg)
{
    *(ouro_future **)arg = ouro_ready(1);
    return 0;
}

static int leak_with_environment(const char *value)
{
    ouro_future *leaked = NULL;
    if (value)
        setenv("OURO_DEBUG", value, 1);
    else
        unsetenv("OURO_DEBUG");
    child_check(ouro_run(leak_one, &leaked, NULL) == 0);
    ouro_unref(leaked);
    return 0;
}

static int leak_in_debug_mode(void)
{
    return leak_with_environment("1");
}

static int leak_without(void)
{
    return leak_with_environment(NULL);
}

Test(run, with_ouro_debug_in_the_environment_a_leak_is_printed)
{
    char text[16384];
    check_child(leak_in_debug_mode, text, sizeof text);
    check(strstr(text, "ouro:") != NULL);
    check_child(leak_without, text, sizeof text);
    check_text(text, "");
}
