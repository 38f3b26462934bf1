/* SPDX-License-Identifier: MIT */
/*
 * How a loop ends with jobs under way, and what is left of them in the child of a fork.
 */
#include "pool_test.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

TestSuite(offload_end, .timeout = 60, .init = count_threads_before);

/* ---- The end of the loop --------------------------------------------------------------------- */

static struct owned late;
static struct fate late_object;

static int64_t start_late(void *arg)
{
    late = (struct owned){.gate = {.object = &late_object, .object_free = meet_fate}};
    late_object = (struct fate){0};
    ouro_offload_options opts = {.name = "late", .arg_free = meet_fate, .abandon = arg != NULL};
    ouro_future *f = ouro_offload_with(pass_owned_gate, &late, &opts);
    await_count(&late.gate.entered, 1);
    if (arg)
        ouro_cancel(f);
    ouro_detach(f);
    return 0;
}

/* Close it, with nothing pending; its wake-up descriptor stays open as long as a job has to
 * post. */
static void close_quiet(void)
{
    turns(3);
    check_eq(stats().live_futures, 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
}

static void *open_late(void *arg)
{
    (void)arg;
    block_until(&late.gate.entered, 1);
    pause_ms(20);
    atomic_store(&late.gate.open, 1);
    return NULL;
}

Test(offload_end, shutdown_waits_for_what_runs_within_its_grace)
{
    pthread_t thread;
    begin_kernel();
    check_eq(run_main(start_late, NULL), 0);
    check_eq(pthread_create(&thread, NULL, open_late, NULL), 0);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(20)), 0);
    check_eq(late.gate.saw_cancel, 1);
    check_freed_here(&late.fate);
    check_freed_here(&late_object);
    end();
    check_eq(pthread_join(thread, NULL), 0);
    await_threads(0);
}

Test(offload_end, shutdown_takes_back_what_waits)
{
    struct fate fate = {0};
    begin_kernel();
    check_eq(ouro_lane_set_threads(OURO_LANE_CPU, 1), 0);
    check_eq(run_main(start_late, NULL), 0);
    ouro_detach(ouro_offload_with(fail, &fate, &(ouro_offload_options){.arg_free = meet_fate}));
    atomic_store(&late.gate.open, 0);
    late.gate.obey = true;
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(20)), 0);
    check_freed_here(&fate);
    check_freed_here(&late.fate);
    end();
}

Test(offload_end, a_loop_closes_with_an_abandoned_job_and_what_that_leaves_dies_on_its_own_thread)
{
    begin_kernel();
    check_eq(run_main(start_late, &late), 0);
    close_quiet();
    check_eq(late.gate.returned, 0);
    check_eq(late.fate.freed, 0);
    atomic_store(&late.gate.open, 1);
    await_threads(0);
    end_closed();
    check_eq(late.fate.freed, 1);
    check_eq(late_object.freed, 1);
    check(pthread_equal(late.fate.thread, late.gate.thread));
    check(pthread_equal(late_object.thread, late.gate.thread));
}

static const ouro_local key = {"key"};

static int64_t set_local_and_start_late(void *arg)
{
    check_eq(ouro_local_set(&key, arg, meet_fate), 0);
    return start_late(arg);
}

Test(offload_end, task_local_values_of_such_a_job_live_until_it_has_ended)
{
    struct fate fate = {0};
    begin_kernel();
    check_eq(run_main(set_local_and_start_late, &fate), 0);
    close_quiet();
    check_eq(fate.freed, 0);
    atomic_store(&late.gate.open, 1);
    await_threads(0);
    end_closed();
    check_eq(fate.freed, 1);
    check(pthread_equal(fate.thread, late.gate.thread));
}

Test(offload_end, a_lane_with_such_a_job_serves_the_next_loop)
{
    begin_kernel();
    check_eq(run_main(start_late, &late), 0);
    close_quiet();
    begin_kernel();
    check_eq(run_main(offload_one, NULL), 0);
    end();
    await_threads(1);
    begin_kernel();
    check_eq(run_main(offload_one, NULL), 0);
    atomic_store(&late.gate.open, 1);
    block_until(&late.fate.freed, 1);
    check_eq(run_main(offload_one, NULL), 0);
    close_quiet();
    await_threads(0);
}

Test(offload_end, one_that_has_ended_but_was_never_delivered_is_destroyed_by_the_close)
{
    begin_kernel();
    check_eq(run_main(start_late, &late), 0);
    atomic_store(&late.gate.open, 1);
    block_until(&late.gate.returned, 1);
    pause_ms(50); /* the post is there, and no turn is taken */
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_freed_here(&late.fate);
    check_freed_here(&late_object);
    end_closed();
    await_threads(0);
}

/* In a process of its own, since memory is leaked on purpose. */
static int close_without_grace(void)
{
    begin_kernel();
    if (run_main(start_late, NULL) < 0)
        return 1;
    child_check(ouro_loop_shutdown(ouro_loop_current(), 0) == -ETIMEDOUT);
    const struct kept_report *report = first_report(OURO_REPORT_ABANDONED);
    child_check(report && strcmp(report->what, "offload") == 0);
    child_check(strcmp(report->name, "late") == 0);
    child_check(take_reports(OURO_REPORT_ABANDONED) == 1);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(late.fate.freed == 0);
    atomic_store(&late.gate.open, 1);
    child_check(threads_become(0));
    child_check(late.fate.freed == 1 && late_object.freed == 1);
    child_check(pthread_equal(late.fate.thread, late.gate.thread));
    return 0;
}

/* It ends in time to be delivered by the close, after the shutdown has given up. */
static int end_between_shutdown_and_close(void)
{
    begin_kernel();
    if (run_main(start_late, NULL) < 0)
        return 1;
    child_check(ouro_loop_shutdown(ouro_loop_current(), 0) == -ETIMEDOUT);
    child_check(take_reports(OURO_REPORT_ABANDONED) == 1);
    atomic_store(&late.gate.open, 1);
    for (int i = 0; i < 5000 && !atomic_load(&late.gate.returned); i++)
        pause_ms(1);
    pause_ms(50);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(late.fate.freed == 1 && pthread_equal(late.fate.thread, pthread_self()));
    child_check(late_object.freed == 1);
    return threads_become(0) ? 0 : 1;
}

Test(offload_end, without_grace_it_is_reported_and_a_late_end_is_harmless)
{
    char text[4096];
    check_child(close_without_grace, text, sizeof text);
    check_child(end_between_shutdown_and_close, text, sizeof text);
}

/* ---- Fork ------------------------------------------------------------------------------------ */

static struct gate forked;
static ouro_future *forked_future;

static int offload_again(void)
{
    struct fate fate = {0};
    ouro_loop *loop = ouro_loop_current();
    child_check(count_threads() == 0);
    child_check(ouro_cancel(forked_future) == -ECHILD);
    child_check(ouro_future_result(forked_future).n == -ECHILD);
    ouro_future *f = ouro_offload_with(fail, &fate, &(ouro_offload_options){.arg_free = meet_fate});
    child_check(ouro_future_result(f).n == -ECHILD);
    child_check(fate.freed == 1);
    child_check(ouro_loop_close(loop) == 0);
    ouro_unref(forked_future);
    child_check(ouro_run(offload_one, NULL, NULL) == 0);
    child_check(threads_become(0));
    child_check(ouro_lane_set_threads(OURO_LANE_CPU, 1) == 0);
    child_check(ouro_run(offload_one, NULL, NULL) == 0);
    return 0;
}

Test(offload_end, the_child_of_a_fork_has_no_jobs_and_lanes_that_work)
{
    begin_kernel();
    forked = (struct gate){.n = 7};
    forked_future = ouro_offload(pass_gate, &forked);
    block_until(&forked.entered, 1);
    char text[4096];
    check_child(offload_again, text, sizeof text);
    atomic_store(&forked.open, 1);
    check_eq(ouro_loop_run_until(ouro_loop_current(), forked_future), 7);
    check_eq(run_main(offload_one, NULL), 0);
    end();
}

static int close_with_a_post(void)
{
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(late.fate.freed == 0 && late_object.freed == 0);
    child_check(ouro_run(offload_one, NULL, NULL) == 0);
    return 0;
}

Test(offload_end, a_result_that_was_on_its_way_at_the_fork_is_the_parents)
{
    char text[4096];
    begin_kernel();
    check_eq(run_main(start_late, &late), 0);
    atomic_store(&late.gate.open, 1);
    block_until(&late.gate.returned, 1);
    pause_ms(50);
    check_child(close_with_a_post, text, sizeof text);
    turns(3);
    check_freed_here(&late.fate);
    check_freed_here(&late_object);
    end();
}

/* A job forks. The child that returns from it has nobody to return to, and ends. */
static int64_t fork_in_job(void *arg)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        if (arg)
            _exit(ouro_run(offload_one, NULL, NULL) == 0 ? 3 : 4);
        return 5;
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -EIO;
    return WEXITSTATUS(status);
}

PoolTest(offload_end, a_job_may_fork_and_the_child_may_have_a_loop_or_return)
{
    check_eq(ouro_await(ouro_offload(fork_in_job, &forked)), 3);
    check_eq(ouro_await(ouro_offload(fork_in_job, NULL)), 0);
    return 0;
}
