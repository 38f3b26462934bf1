/* SPDX-License-Identifier: MIT */
/*
 * A loop on each of several threads: how they begin together, what ends them all, and what SIGINT
 * does.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(workers, .timeout = 60);

#define N 4

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

/* ---- Results --------------------------------------------------------------------------------- */

static pthread_t threads[N];
static atomic_int begun;

static int64_t note_thread(void *arg)
{
    int i = ouro_worker_index();
    check(arg == threads);
    check_eq(ouro_worker_count(), N);
    check(ouro_worker_loop(i) == ouro_loop_current());
    check_text(ouro_task_name(NULL), "main");
    threads[i] = pthread_self();
    atomic_fetch_add(&begun, 1);
    check_eq(nap(OURO_MS(1)), 0);
    return 1 << i;
}

Test(workers, each_runs_main_on_a_thread_of_its_own_and_the_results_are_summed)
{
    check_eq(ouro_run_workers(N, note_thread, threads, NULL), (1 << N) - 1);
    check_eq(begun, N);
    check(pthread_equal(threads[0], pthread_self()));
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++)
            check(!pthread_equal(threads[i], threads[k]));
    check(ouro_loop_current() == NULL);
}

static int64_t return_arg(void *arg)
{
    return *(int64_t *)arg;
}

Test(workers, one_is_enough)
{
    int64_t n = 7;
    check_eq(ouro_run_workers(1, return_arg, &n, NULL), 7);
}

Test(workers, a_sum_does_not_overflow)
{
    int64_t n = INT64_MAX - 1;
    check_eq(ouro_run_workers(3, return_arg, &n, NULL), INT64_MAX);
}

static int64_t look_at_name(void *arg)
{
    char name[16], want[16];
    (void)arg;
    if (ouro_worker_index() == 0)
        return 0;
    check_eq(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    snprintf(want, sizeof want, "ouro-w%d", ouro_worker_index());
    check_text(name, want);
    return 1;
}

Test(workers, their_threads_have_names)
{
    check_eq(ouro_run_workers(N, look_at_name, NULL, NULL), N - 1);
}

static int64_t use_big_stack(void *arg)
{
    volatile char room[900 * 1024];
    (void)arg;
    for (size_t i = 0; i < sizeof room; i += 512)
        room[i] = (char)i;
    return room[512] == (char)512;
}

Test(workers, options_are_those_of_each)
{
    check_eq(ouro_run_workers(2, use_big_stack, NULL, &(ouro_run_options){.stack_size = 1 << 20}),
             2);
}

Test(workers, outside_of_one_there_is_no_worker)
{
    check_eq(ouro_worker_index(), -EPERM);
    check_eq(ouro_worker_count(), -EPERM);
    check(ouro_worker_loop(0) == NULL);
    check_eq(ouro_run_workers(N, note_thread, threads, NULL), (1 << N) - 1);
    check_eq(ouro_worker_index(), -EPERM);
    check(ouro_worker_loop(0) == NULL);
    begin_fake();
    check_eq(ouro_worker_index(), -EPERM);
    end();
}

Test(workers, processors_are_those_of_the_affinity)
{
    cpu_set_t all, one;
    check_eq(sched_getaffinity(0, sizeof all, &all), 0);
    check_eq(ouro_cpu_count(), CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    check_eq(sched_setaffinity(0, sizeof one, &one), 0);
    check_eq(ouro_cpu_count(), 1);
    check_eq(sched_setaffinity(0, sizeof all, &all), 0);
}

/* ---- Each other ------------------------------------------------------------------------------ */

static int64_t tell_index(void *arg)
{
    (void)arg;
    return ouro_worker_index();
}

static atomic_int done;

static void wait_for_all(void)
{
    atomic_fetch_add(&done, 1);
    while (atomic_load(&done) < ouro_worker_count())
        if (nap(OURO_MS(1)) < 0)
            return;
}

/* The very first thing that a main task does is to call everybody. */
static int64_t call_everybody(void *arg)
{
    ouro_future *calls[N];
    ouro_result results[N];
    (void)arg;
    check(ouro_worker_loop(-1) == NULL);
    check(ouro_worker_loop(N) == NULL);
    for (int i = 0; i < N; i++)
        calls[i] = ouro_loop_call(ouro_worker_loop(i), tell_index, NULL);
    check_eq(ouro_await(ouro_gather(calls, N, OURO_GATHER_COLLECT, results)), 0);
    for (int i = 0; i < N; i++)
        check_eq(results[i].n, i);
    wait_for_all();
    return 0;
}

Test(workers, all_loops_are_there_before_any_main_runs)
{
    for (int i = 0; i < 50; i++) {
        atomic_store(&done, 0);
        check_eq(ouro_run_workers(N, call_everybody, NULL, NULL), 0);
    }
}

static int64_t outlive_the_others(void *arg)
{
    (void)arg;
    if (ouro_worker_index() != 1)
        return 0;
    int64_t rc = 0;
    while (rc >= 0)
        rc = ouro_await(ouro_loop_call(ouro_worker_loop(0), tell_index, NULL));
    check_eq(rc, -ESHUTDOWN);
    check_eq(ouro_loop_post(ouro_worker_loop(0), live, NULL, NULL), -ESHUTDOWN);
    check_eq(ouro_await(ouro_loop_call(ouro_worker_loop(0), tell_index, NULL)), -ESHUTDOWN);
    return 3;
}

Test(workers, the_loop_of_one_that_has_returned_refuses_calls)
{
    check_eq(ouro_run_workers(2, outlive_the_others, NULL, NULL), 3);
}

/* ---- Failing --------------------------------------------------------------------------------- */

static atomic_int cancelled;

static int64_t fail_or_wait(void *arg)
{
    if (ouro_worker_index() == *(int *)arg) {
        check_eq(nap(OURO_MS(5)), 0);
        return -EIO;
    }
    int64_t rc = nap(OURO_SEC(1000));
    check_eq(rc, -ECANCELED);
    check_text(ouro_cancel_reason(), "another worker failed");
    atomic_fetch_add(&cancelled, 1);
    return rc;
}

Test(workers, the_first_that_fails_cancels_the_others)
{
    for (int failing = 0; failing < N; failing++) {
        atomic_store(&cancelled, 0);
        check_eq(ouro_run_workers(N, fail_or_wait, &failing, NULL), -EIO);
        check_eq(cancelled, N - 1);
    }
}

static int64_t fail_in_turn(void *arg)
{
    (void)arg;
    int i = ouro_worker_index();
    int64_t rc = nap(i == 2 ? OURO_MS(5) : OURO_SEC(1000));
    return rc == 0 ? -EIO : -ENOENT;
}

Test(workers, the_first_error_is_the_one_that_counts)
{
    check_eq(ouro_run_workers(N, fail_in_turn, NULL, NULL), -EIO);
}

static int64_t fail_or_finish(void *arg)
{
    (void)arg;
    if (ouro_worker_index() == 1)
        return -EIO;
    return nap(OURO_SEC(1000)) == -ECANCELED ? 5 : 6;
}

Test(workers, what_the_others_make_of_the_cancel_does_not_matter)
{
    check_eq(ouro_run_workers(N, fail_or_finish, NULL, NULL), -EIO);
}

static int64_t fail_at_once(void *arg)
{
    (void)arg;
    return -EIO;
}

Test(workers, all_may_fail_at_once)
{
    for (int i = 0; i < 50; i++)
        check_eq(ouro_run_workers(N, fail_at_once, NULL, NULL), -EIO);
}

static int64_t cancel_myself(void *arg)
{
    (void)arg;
    if (ouro_worker_index() == 1)
        check_eq(ouro_cancel(ouro_task_current()), 1);
    return nap(OURO_SEC(1000));
}

Test(workers, one_that_cancels_itself_has_failed)
{
    check_eq(ouro_run_workers(2, cancel_myself, NULL, NULL), -ECANCELED);
}

static int64_t stop_or_wait(void *arg)
{
    if (ouro_worker_index() == *(int *)arg)
        check_eq(ouro_loop_stop(ouro_loop_current()), 0);
    int64_t rc = nap(OURO_SEC(1000));
    check_eq(rc, -ECANCELED);
    check_text(ouro_cancel_reason(), "stopped");
    atomic_fetch_add(&cancelled, 1);
    return rc;
}

Test(workers, stopping_one_loop_cancels_them_all)
{
    for (int stopping = 0; stopping < 2; stopping++) {
        atomic_store(&cancelled, 0);
        check_eq(ouro_run_workers(N, stop_or_wait, &stopping, NULL), -ECANCELED);
        check_eq(cancelled, N);
    }
}

static int64_t stop_and_succeed(void *arg)
{
    (void)arg;
    if (ouro_worker_index() == 0)
        check_eq(ouro_loop_stop(ouro_loop_current()), 0);
    return nap(OURO_SEC(1000)) == -ECANCELED ? 2 : -EIO;
}

Test(workers, those_that_finish_their_work_all_the_same_have_succeeded)
{
    check_eq(ouro_run_workers(N, stop_and_succeed, NULL, NULL), 2 * N);
}

static atomic_int cleaned;

static int64_t clean_up(void *arg)
{
    ouro_scope s;
    (void)arg;
    check_eq(nap(OURO_SEC(1000)), -ECANCELED);
    check_eq(ouro_scope_enter(&s, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(nap(OURO_MS(2)), 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    atomic_fetch_add(&cleaned, 1);
    return -ECANCELED;
}

static int64_t leave_one_behind(void *arg)
{
    (void)arg;
    ouro_detach(ouro_spawn(clean_up, NULL));
    return nap(OURO_MS(1));
}

Test(workers, what_main_leaves_behind_may_clean_up_on_each)
{
    check_eq(ouro_run_workers(N, leave_one_behind, NULL, NULL), 0);
    check_eq(cleaned, N);
}

/* ---- Not all can be started ------------------------------------------------------------------ */

static int64_t never(void *arg)
{
    (void)arg;
    check(false);
    return 0;
}

Test(workers, bad_arguments_are_einval)
{
    check_eq(ouro_run_workers(0, never, NULL, NULL), -EINVAL);
    check_eq(ouro_run_workers(-1, never, NULL, NULL), -EINVAL);
    check_eq(ouro_run_workers(1025, never, NULL, NULL), -EINVAL);
    check_eq(ouro_run_workers(2, NULL, NULL, NULL), -EINVAL);
    check_eq(ouro_run_workers(2, never, NULL, &(ouro_run_options){.loop = {.entries = 1u << 30}}),
             -EINVAL);
    check_eq(ouro_run_workers(2, never, NULL, &(ouro_run_options){.stack_size = SIZE_MAX}),
             -EINVAL);
}

static int64_t run_again(void *arg)
{
    (void)arg;
    check_eq(ouro_run_workers(2, never, NULL, NULL), -EBUSY);
    return ouro_worker_index() == 1;
}

Test(workers, a_thread_with_a_loop_is_ebusy)
{
    begin_fake();
    check_eq(ouro_run_workers(2, never, NULL, NULL), -EBUSY);
    end();
    check_eq(ouro_run_workers(2, run_again, NULL, NULL), 1);
}

/* Room for so many descriptors: workers have two each. */
static int64_t run_with_descriptors(int room)
{
    int next = dup(0);
    struct rlimit limit = {(rlim_t)(next + room), 20000}, before;
    close(next);
    check_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit.rlim_max = before.rlim_max;
    check_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    int64_t rc = ouro_run_workers(N, never, NULL, NULL);
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    return rc;
}

Test(workers, if_one_loop_cannot_be_made_no_main_runs)
{
    for (int room = 0; room < 2 * N; room++)
        check_eq(run_with_descriptors(room), -EMFILE);
    check(ouro_loop_current() == NULL);
    check_eq(ouro_run_workers(N, note_thread, threads, NULL), (1 << N) - 1);
}

static int no_threads(void)
{
    struct rlimit none = {0, 0};
    if (setgid(65534) < 0 || setuid(65534) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0)
        return 77;
    child_check(ouro_run_workers(N, never, NULL, NULL) == -EAGAIN);
    child_check(ouro_loop_current() == NULL);
    return 0;
}

Test(workers, no_more_threads_is_eagain_and_no_main_runs)
{
    int status = in_child(no_threads, NULL, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        cr_skip_test("only root can become somebody who may have no threads");
    check_eq(status, 0);
}

static atomic_int grants; /* allocations; -1: any number */

static void *ration(size_t size, void *arg)
{
    (void)arg;
    int left = atomic_load(&grants);
    while (left > 0 && !atomic_compare_exchange_weak(&grants, &left, left - 1))
        ;
    return left ? malloc(size) : NULL;
}

static void *ration_again(void *ptr, size_t size, void *arg)
{
    (void)arg;
    return realloc(ptr, size);
}

static void give_back(void *ptr, void *arg)
{
    (void)arg;
    free(ptr);
}

static int64_t succeed(void *arg)
{
    (void)arg;
    return 1;
}

Test(workers, no_memory_is_enomem_wherever_it_comes)
{
    int64_t rc = -ENOMEM;
    check_eq(ouro_set_allocator(&(ouro_allocator){ration, ration_again, give_back, NULL}), 0);
    for (int i = 0; rc < 0; i++) {
        atomic_store(&grants, i);
        rc = ouro_run_workers(3, succeed, NULL, NULL);
        check(rc == -ENOMEM || rc == 3);
        check(i < 100);
    }
    check_eq(ouro_set_allocator(NULL), 0);
}

/* ---- SIGINT ---------------------------------------------------------------------------------- */

static void fresh_sigint(void)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGINT, SIG_DFL);
}

static int64_t interrupt_or_wait(void *arg)
{
    if (ouro_worker_index() == 0) {
        check_eq(nap(OURO_MS(5)), 0);
        kill(getpid(), SIGINT);
    }
    int64_t rc = nap(OURO_SEC(1000));
    if (rc == -ECANCELED && strcmp(ouro_cancel_reason(), "SIGINT") == 0)
        atomic_fetch_add((atomic_int *)arg, 1);
    return rc;
}

static int first_sigint(void)
{
    fresh_sigint();
    child_check(ouro_run_workers(N, interrupt_or_wait, &cancelled, NULL) == -EINTR);
    child_check(cancelled == N);
    return 0;
}

Test(workers, the_first_sigint_cancels_every_main_and_the_result_is_eintr)
{
    check_child(first_sigint, NULL, 0);
}

/* Worker 0 has returned, and its thread waits for the others. */
static int64_t interrupt_the_rest(void *arg)
{
    (void)arg;
    if (ouro_worker_index() == 0)
        return 0;
    if (ouro_worker_index() == 1) {
        while (ouro_await(ouro_loop_call(ouro_worker_loop(0), tell_index, NULL)) >= 0)
            ;
        kill(getpid(), SIGINT);
    }
    return nap(OURO_SEC(1000));
}

static int sigint_after_worker_0(void)
{
    fresh_sigint();
    child_check(ouro_run_workers(N, interrupt_the_rest, NULL, NULL) == -EINTR);
    return 0;
}

Test(workers, a_sigint_reaches_the_others_when_worker_0_has_returned)
{
    check_child(sigint_after_worker_0, NULL, 0);
}

static int64_t survive_sigint(void *arg)
{
    (void)arg;
    wait_for_all();
    if (ouro_worker_index() == 0)
        kill(getpid(), SIGINT);
    return nap(OURO_SEC(1000)) == -ECANCELED ? 3 : -EIO;
}

static int64_t fail_after_sigint(void *arg)
{
    (void)arg;
    int i = ouro_worker_index();
    wait_for_all();
    if (i == 0)
        kill(getpid(), SIGINT);
    int64_t rc = nap(OURO_SEC(1000));
    return i == 1 ? -ENOENT : rc;
}

static int sigint_survived(void)
{
    fresh_sigint();
    child_check(ouro_run_workers(N, survive_sigint, NULL, NULL) == 3 * N);
    atomic_store(&done, 0);
    child_check(ouro_run_workers(N, fail_after_sigint, NULL, NULL) == -ENOENT);
    return 0;
}

Test(workers, the_result_is_eintr_only_if_nothing_else_went_wrong)
{
    check_child(sigint_survived, NULL, 0);
}

static int64_t interrupt_twice(void *arg)
{
    (void)arg;
    if (ouro_worker_index() == 1)
        kill(getpid(), SIGINT);
    nap(OURO_SEC(1000));
    if (ouro_worker_index() == 1)
        kill(getpid(), SIGINT);
    usleep(1000000);
    return 0;
}

static int second_sigint(void)
{
    fresh_sigint();
    ouro_run_workers(N, interrupt_twice, NULL, NULL);
    return 0;
}

Test(workers, the_second_sigint_kills)
{
    int status = in_child(second_sigint, NULL, 0);
    check(WIFSIGNALED(status));
    check_eq(WTERMSIG(status), SIGINT);
}

static int sigint_given_back(void)
{
    struct sigaction now;
    fresh_sigint();
    child_check(ouro_run_workers(N, succeed, NULL, NULL) == N);
    child_check(sigaction(SIGINT, NULL, &now) == 0);
    child_check(now.sa_handler == SIG_DFL);
    child_check(ouro_run_workers(N, interrupt_or_wait, &cancelled,
                                 &(ouro_run_options){.keep_sigint = 1}) == 0);
    return 0;
}

Test(workers, the_disposition_is_given_back_and_keep_sigint_leaves_it_alone)
{
    int status = in_child(sigint_given_back, NULL, 0);
    check(WIFSIGNALED(status));
    check_eq(WTERMSIG(status), SIGINT);
}

static int64_t look_at_mask(void *arg)
{
    sigset_t mask;
    (void)arg;
    check_eq(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    bool leader = ouro_worker_index() == 0;
    check_eq(sigismember(&mask, SIGINT), !leader);
    check_eq(sigismember(&mask, SIGUSR1), !leader);
    check_eq(sigismember(&mask, SIGSEGV), 0);
    return 0;
}

Test(workers, signals_go_to_the_threads_of_the_program)
{
    sigset_t before, after;
    check_eq(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    check_eq(ouro_run_workers(N, look_at_mask, NULL, NULL), 0);
    check_eq(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    check_eq(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
}
