/* SPDX-License-Identifier: MIT */
/*
 * Child processes: how they are waited for and signalled, who reaps them, and what a scope does to
 * those it is to kill.
 */
#define _GNU_SOURCE
#include "child_test.h"

#include <pthread.h>
#include <stdlib.h>

TestSuite(process, .timeout = 60);

/* ---- How they end ---------------------------------------------------------------------------- */

ChildTest(process, a_wait_comes_to_the_exit_status)
{
    check_eq(wait_and_free(shell("exit 0")), 0);
    check_eq(wait_and_free(shell("exit 7")), 7);
    check_eq(wait_and_free(shell("exit 255")), 255);
    return 0;
}

ChildTest(process, a_wait_comes_to_the_signal_that_killed_it)
{
    int64_t status = wait_and_free(shell("kill -TERM $$"));
    check_eq(status, -OURO_ESIGNALED(SIGTERM));
    check_eq(ouro_signal_of(status), SIGTERM);
    check_eq(wait_and_free(shell("kill -KILL $$")), -OURO_ESIGNALED(SIGKILL));
    return 0;
}

ChildTest(process, all_who_wait_are_told_the_same_also_later)
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

ChildTest(process, a_cancelled_wait_leaves_the_child_alone)
{
    ouro_process *p = sleeper();
    check_eq(ouro_await(ouro_timeout(ouro_process_wait(p), OURO_MS(5))), -ETIMEDOUT);
    check_eq(ouro_process_kill(p, 0), 0);
    kill_and_free(p);
    return 0;
}

ChildTest(process, a_wait_may_be_held_longer_than_the_process)
{
    ouro_process *p = shell("exit 9");
    ouro_future *f = ouro_process_wait(p);
    ouro_process_free(p);
    check_eq(ouro_await(f), 9);
    return 0;
}

ChildTest(process, a_status_that_was_taken_elsewhere_is_echild)
{
    ouro_process *p = shell("exit 9");
    check_eq(waitpid((pid_t)ouro_process_pid(p), NULL, 0), ouro_process_pid(p));
    check_eq(wait_and_free(p), -ECHILD);
    return 0;
}

/* ---- Signals --------------------------------------------------------------------------------- */

ChildTest(process, a_signal_can_be_sent_until_it_has_been_waited_for)
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

ChildTest(process, a_signal_to_a_group_reaches_grandchildren)
{
    ouro_process *p = spawn_shell("sleep 1000 & echo $!; wait",
                                  (ouro_process_options){.out = OURO_PIPE, .new_group = 1});
    pid_t grandchild = read_number(p);
    check_eq(getpgid(grandchild), ouro_process_pid(p));
    kill_and_free(p);
    until_gone(grandchild);
    return 0;
}

ChildTest(process, without_a_group_of_its_own_only_the_child_is_signalled)
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

ChildTest(process, a_group_can_be_signalled_after_its_leader_has_ended)
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

/* ---- Who reaps them -------------------------------------------------------------------------- */

ChildTest(process, free_does_not_kill_and_leaves_no_zombie)
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

ChildTest(process, one_that_nobody_waits_for_is_reaped_all_the_same)
{
    ouro_process *p = shell("exit 5");
    until_no_child_is_left();
    check(has_no_child());
    check_eq(ouro_process_kill(p, 0), -ESRCH);
    check_eq(wait_and_free(p), 5);
    return 0;
}

ChildTest(process, an_unwanted_one_is_reaped_too)
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

ChildTest(process, a_spawn_that_is_cancelled_is_there_or_never_was)
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

/* ---- Scopes ---------------------------------------------------------------------------------- */

ChildTest(process, a_scope_that_is_left_kills_its_child_and_waits_for_it)
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

ChildTest(process, a_scope_whose_deadline_passes_kills_its_child)
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

ChildTest(process, a_scope_kills_a_child_that_was_freed_and_leaves_others_alone)
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

ChildTest(process, a_scope_that_is_left_while_its_child_is_being_started_leaves_none)
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

ChildTest(process, a_scope_that_is_never_left_kills_its_child_when_the_task_ends)
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

ChildTest(process, a_cancelled_task_still_waits_for_the_child_its_scope_kills)
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

ChildTest(process, a_cancel_does_not_end_the_wait_for_a_child_that_is_being_killed)
{
    leaving = false;
    ouro_future *task = ouro_spawn(leave_and_be_cancelled, NULL);
    while (!leaving)
        check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), 0);
    return 0;
}

/* ---- Wrong places ---------------------------------------------------------------------------- */

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

ChildTest(process, a_process_belongs_to_its_loop)
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
