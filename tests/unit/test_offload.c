/* SPDX-License-Identifier: MIT */
/*
 * Functions that run on other threads: what their futures come to, what a cancel makes of them, who
 * destroys what and where. How a loop ends with jobs under way is in test_offload_end.c.
 */
#include "pool_test.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

TestSuite(offload, .timeout = 60, .init = count_threads_before);

static int64_t twice(void *arg)
{
    return 2 * *(int *)arg;
}

/* ---- What it comes to ------------------------------------------------------------------------ */

PoolTest(offload, a_function_runs_on_another_thread_and_its_return_is_the_value)
{
    struct gate g = {.n = 42, .open = 1};
    check_eq(ouro_await(ouro_offload(pass_gate, &g)), 42);
    check(!pthread_equal(g.thread, pthread_self()));
    return 0;
}

PoolTest(offload, the_loop_goes_on_while_it_runs)
{
    struct gate g = {.n = 1};
    ouro_future *f = ouro_offload(pass_gate, &g);
    for (int i = 0; i < 5; i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    atomic_store(&g.open, 1);
    check_eq(ouro_await(f), 1);
    return 0;
}

PoolTest(offload, an_error_it_returns_is_the_error)
{
    check_eq(ouro_await(ouro_offload(fail, NULL)), -EIO);
    return 0;
}

PoolTest(offload, an_ecanceled_it_makes_up_is_no_cancel_of_the_waiter)
{
    struct gate g = {.n = -ECANCELED, .open = 1};
    ouro_future *f = ouro_offload(pass_gate, &g);
    check_eq(ouro_await(ouro_ref(f)), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_ERROR);
    ouro_unref(f);
    return 0;
}

PoolTest(offload, many_at_once_all_come_back_each_with_its_own_value)
{
    enum { MANY = 500 };
    static int numbers[MANY];
    static ouro_future *fs[MANY];
    static ouro_result results[MANY];
    for (int i = 0; i < MANY; i++) {
        numbers[i] = i;
        fs[i] = ouro_offload(twice, &numbers[i]);
    }
    check_eq(ouro_await(ouro_gather(fs, MANY, OURO_GATHER_ALL, results)), 0);
    for (int i = 0; i < MANY; i++)
        check_eq(results[i].n, 2 * i);
    return 0;
}

/* ---- Objects --------------------------------------------------------------------------------- */

PoolTest(offload, an_object_it_returns_comes_along)
{
    struct fate fate = {0};
    struct gate g = {.open = 1, .object = &fate, .object_free = meet_fate};
    int64_t n = -1;
    check(ouro_await_ptr(ouro_offload(pass_gate, &g), &n) == &fate);
    check_eq(n, 0);
    check_eq(fate.freed, 0);
    return 0;
}

PoolTest(offload, an_object_that_nobody_takes_is_destroyed_on_the_loops_thread)
{
    struct fate fate = {0};
    struct gate g = {.open = 1, .object = &fate, .object_free = meet_fate};
    check_eq(ouro_await(ouro_offload(pass_gate, &g)), 0);
    check_eq(ouro_yield(), 0);
    check_freed_here(&fate);
    return 0;
}

PoolTest(offload, an_error_return_destroys_the_object_on_the_loops_thread)
{
    struct fate fate = {0};
    struct gate g = {.n = -EIO, .open = 1, .object = &fate, .object_free = meet_fate};
    check(ouro_await_ptr(ouro_offload(pass_gate, &g), NULL) == NULL);
    check_freed_here(&fate);
    return 0;
}

static int64_t return_two_objects(void *arg)
{
    struct fate *fates = arg;
    int64_t first = ouro_task_return(&fates[0], meet_fate);
    int64_t second = ouro_task_return(&fates[1], meet_fate);
    return first == 0 && second == 0 && atomic_load(&fates[0].freed) == 1 ? 0 : -EIO;
}

PoolTest(offload, a_second_object_destroys_the_first_inside_the_call)
{
    struct fate fates[2] = {0};
    check(ouro_await_ptr(ouro_offload(return_two_objects, fates), NULL) == &fates[1]);
    check_eq(fates[0].freed, 1);
    check_eq(fates[1].freed, 0);
    return 0;
}

Test(offload, without_a_job_or_a_task_there_is_nothing_to_return_an_object_from)
{
    check_eq(ouro_task_return(NULL, NULL), -EPERM);
    check_eq(ouro_job_cancelled(), 0);
}

/* ---- The argument ---------------------------------------------------------------------------- */

PoolTest(offload, its_argument_is_freed_once_on_the_loops_thread_when_it_has_ended)
{
    struct fate fate = {0};
    ouro_offload_options opts = {.arg_free = meet_fate};
    ouro_future *f = ouro_offload_with(fail, &fate, &opts);
    check_eq(ouro_await(f), -EIO);
    check_freed_here(&fate);
    return 0;
}

PoolTest(offload, what_cannot_be_started_frees_its_argument_inside_the_call)
{
    struct fate fates[3] = {0};
    ouro_offload_options opts = {.arg_free = meet_fate};
    check_eq(ouro_await(ouro_offload_with(NULL, &fates[0], &opts)), -EINVAL);
    opts.lane = (ouro_lane)3;
    check_eq(ouro_await(ouro_offload_with(fail, &fates[1], &opts)), -EINVAL);
    opts.lane = (ouro_lane)-1;
    check_eq(ouro_await(ouro_offload_with(fail, &fates[2], &opts)), -EINVAL);
    for (int i = 0; i < 3; i++)
        check_freed_here(&fates[i]);
    return 0;
}

Test(offload, without_a_loop_it_is_eperm_and_while_one_closes_eshutdown)
{
    struct fate fates[2] = {0};
    ouro_offload_options opts = {.arg_free = meet_fate};
    ouro_future *f = ouro_offload_with(fail, &fates[0], &opts);
    check_eq(ouro_future_result(f).n, -EPERM);
    ouro_unref(f);
    check_freed_here(&fates[0]);
    begin_kernel();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), 0), 0);
    f = ouro_offload_with(fail, &fates[1], &opts);
    check_eq(ouro_future_result(f).n, -ESHUTDOWN);
    ouro_unref(f);
    check_freed_here(&fates[1]);
    end();
}

/* ---- The thread ------------------------------------------------------------------------------ */

static int64_t look_at_thread(void *arg)
{
    char *name = arg;
    sigset_t blocked;
    prctl(PR_GET_NAME, name);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    for (int s = 1; s < NSIG; s++) {
        bool fault = s == SIGSEGV || s == SIGBUS || s == SIGFPE || s == SIGILL || s == SIGTRAP ||
                     s == SIGSYS;
        bool open = s == SIGKILL || s == SIGSTOP || s == 32 || s == 33 || fault;
        if (sigismember(&blocked, s) == 1 && open)
            return -s;
        if (sigismember(&blocked, s) == 0 && !open)
            return s;
    }
    return 0;
}

PoolTest(offload, its_thread_blocks_all_signals_but_its_own_faults_and_has_the_lanes_name)
{
    static const char *const names[] = {"ouro-cpu", "ouro-disk", "ouro-dns"};
    for (int lane = OURO_LANE_CPU; lane <= OURO_LANE_DNS; lane++) {
        char name[32] = "";
        ouro_offload_options opts = {.lane = (ouro_lane)lane};
        check_eq(ouro_await(ouro_offload_with(look_at_thread, name, &opts)), 0);
        check_text(name, names[lane]);
    }
    return 0;
}

PoolTest(offload, the_callers_own_signal_mask_stays_as_it_was)
{
    sigset_t before, after;
    struct gate g = {.open = 1};
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    check_eq(ouro_await(ouro_offload(pass_gate, &g)), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int s = 1; s < NSIG; s++)
        check_eq(sigismember(&after, s), sigismember(&before, s));
    return 0;
}

static const ouro_local key = {"key"};

static int64_t try_what_is_for_tasks(void *arg)
{
    (void)arg;
    ouro_future *f = ouro_sleep(1);
    bool all = ouro_future_result(f).n == -EPERM && ouro_await(f) == -EPERM &&
               ouro_yield() == -EPERM && ouro_local_set(&key, NULL, NULL) == -EPERM &&
               ouro_task_current() == NULL && ouro_loop_current() == NULL;
    return all ? 0 : -EIO;
}

PoolTest(offload, in_it_what_needs_a_loop_is_eperm)
{
    check_eq(ouro_await(ouro_offload(try_what_is_for_tasks, NULL)), 0);
    return 0;
}

static int64_t fail_with_words(void *arg)
{
    ouro_task_return(arg, meet_fate); /* which the words take the place of */
    return ouro_task_fail(-EIO, "%s: cut short after %d bytes", "letter", 7);
}

static int64_t succeed_in_spite_of_words(void *arg)
{
    (void)arg;
    ouro_task_fail(-EIO, "never seen");
    return 5;
}

PoolTest(offload, an_error_of_a_job_can_have_words)
{
    struct fate fate = {0};
    ouro_future *f = ouro_offload(fail_with_words, &fate);
    check_eq(ouro_await(ouro_ref(f)), -EIO);
    check_text(ouro_future_detail(f), "letter: cut short after 7 bytes");
    ouro_unref(f);
    int64_t n;
    check(ouro_await_ptr(ouro_offload(succeed_in_spite_of_words, NULL), &n) == NULL);
    check_eq(n, 5);
    return 0;
}

static int64_t nap_and_return_object(void *arg)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(1)));
    return rc < 0 ? rc : ouro_task_return(arg, meet_fate);
}

static int64_t run_a_loop(void *arg)
{
    int64_t rc = ouro_run(nap_and_return_object, arg, NULL);
    return rc < 0 || ouro_loop_current() ? -EIO : 6;
}

PoolTest(offload, a_job_may_run_a_loop_of_its_own)
{
    struct fate fate = {0};
    check_eq(ouro_await(ouro_offload(run_a_loop, &fate)), 6);
    check_eq(fate.freed, 1); /* the object was that task's */
    check(!pthread_equal(fate.thread, pthread_self()));
    return 0;
}

/* ---- Task-local values ----------------------------------------------------------------------- */

static const ouro_local other_key = {"other"};

struct seen {
    struct gate gate;
    void *value;
    void *other;
};

static int64_t see_locals(void *arg)
{
    struct seen *seen = arg;
    int64_t n = pass_gate(&seen->gate);
    seen->value = ouro_local_get(&key);
    seen->other = ouro_local_get(&other_key);
    return n;
}

static int64_t set_and_offload(void *arg)
{
    static struct fate fate;
    struct seen *seen = arg;
    check_eq(ouro_local_set(&key, &fate, meet_fate), 0);
    check_eq(ouro_local_set(&other_key, NULL, NULL), 0);
    ouro_detach(ouro_offload(see_locals, seen));
    check_eq(ouro_local_set(&key, NULL, NULL), 0);
    check_eq(ouro_local_set(&other_key, seen, NULL), 0);
    return ouro_task_return(&fate, NULL);
}

PoolTest(offload, it_sees_the_values_that_held_where_it_was_asked_for_even_when_the_task_has_gone)
{
    struct seen seen = {.gate = {.n = 0}};
    struct fate *fate = ouro_await_ptr(ouro_spawn(set_and_offload, &seen), NULL);
    check_eq(ouro_yield(), 0);
    check_eq(fate->freed, 0);
    atomic_store(&seen.gate.open, 1);
    await_count(&seen.gate.returned, 1);
    await_count(&fate->freed, 1);
    check(seen.value == fate);
    check(seen.other == NULL);
    check_freed_here(fate);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

/* A pool of one thread, which a job holds. */
struct held {
    ouro_pool *pool;
    struct gate gate;
    ouro_future *holder;
};

static void hold(struct held *h)
{
    check_eq(ouro_pool_new(1, NULL, &h->pool), 0);
    h->holder = ouro_offload_with(pass_gate, &h->gate, &(ouro_offload_options){.pool = h->pool});
    await_count(&h->gate.entered, 1);
}

static void release(struct held *h)
{
    atomic_store(&h->gate.open, 1);
    check_eq(ouro_await(h->holder), 0);
    check(ouro_pool_free(h->pool) == NULL);
}

PoolTest(offload, one_that_waits_and_is_cancelled_never_runs)
{
    struct held h = {0};
    struct gate g = {0};
    struct fate fate = {0};
    hold(&h);
    ouro_offload_options opts = {.pool = h.pool, .arg_free = meet_fate};
    ouro_future *f = ouro_offload_with(fail, &fate, &opts);
    ouro_future *rest = ouro_offload_with(pass_gate, &g, &(ouro_offload_options){.pool = h.pool});
    check_eq(ouro_cancel(f), 1);
    check_eq(fate.freed, 0); /* never inside the cancel */
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_await(ouro_ref(f)), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    check_freed_here(&fate);
    check_eq(ouro_future_state(h.holder), OURO_PENDING);
    ouro_unref(f);
    atomic_store(&g.open, 1);
    release(&h);
    check_eq(ouro_await(rest), 0);
    return 0;
}

PoolTest(offload, one_that_runs_is_told_and_waited_for_and_its_result_wins)
{
    struct gate g = {.n = 8};
    ouro_future *f = ouro_offload(pass_gate, &g);
    await_count(&g.entered, 1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    atomic_store(&g.open, 1);
    check_eq(ouro_await(f), 8);
    check_eq(g.saw_cancel, 1);
    return 0;
}

PoolTest(offload, one_that_stops_when_it_is_told_to_is_cancelled)
{
    struct gate g = {.obey = true};
    ouro_future *f = ouro_offload(pass_gate, &g);
    await_count(&g.entered, 1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(ouro_ref(f)), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    return 0;
}

PoolTest(offload, a_cancel_that_comes_too_late_changes_nothing)
{
    struct gate g = {.n = 5, .open = 1};
    ouro_future *f = ouro_offload_with(pass_gate, &g, &(ouro_offload_options){.abandon = 1});
    block_until(&g.returned, 1); /* the loop stands still, so it cannot have heard of it */
    pause_ms(20);
    ouro_cancel(f);
    check_eq(ouro_await(f), 5);
    return 0;
}

static int64_t await_gate(void *arg)
{
    return ouro_await(ouro_offload(pass_gate, arg));
}

PoolTest(offload, a_task_that_awaits_it_passes_its_cancel_on)
{
    struct gate g = {.obey = true};
    ouro_future *task = ouro_spawn(await_gate, &g);
    await_count(&g.entered, 1);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(ouro_ref(task)), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    check_eq(g.returned, 1);
    ouro_unref(task);
    return 0;
}

PoolTest(offload, a_timeout_tells_it_to_stop_and_waits_until_it_has)
{
    struct gate g = {.obey = true}, slow = {.n = 3};
    ouro_future *f = ouro_offload(pass_gate, &g);
    await_count(&g.entered, 1);
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(5))), -ETIMEDOUT);
    check_eq(g.returned, 1);
    f = ouro_offload(pass_gate, &slow);
    await_count(&slow.entered, 1);
    f = ouro_timeout(f, OURO_MS(5));
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    atomic_store(&slow.open, 1);
    check_eq(ouro_await(f), 3); /* a value it has anyway is not lost */
    return 0;
}

/* ---- Abandoning ------------------------------------------------------------------------------ */

PoolTest(offload, one_to_be_abandoned_is_cancelled_at_once_and_destroyed_when_it_comes)
{
    struct fate object = {0};
    struct gate g = {.object = &object, .object_free = meet_fate};
    ouro_future *f = ouro_offload_with(pass_gate, &g, &(ouro_offload_options){.abandon = 1});
    await_count(&g.entered, 1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check_eq(g.returned, 0);
    atomic_store(&g.open, 1);
    await_count(&object.freed, 1);
    check_freed_here(&object);
    check_eq(g.saw_cancel, 1);
    return 0;
}

PoolTest(offload, an_abandoned_one_keeps_its_argument_until_it_has_ended)
{
    static struct owned arg;
    ouro_offload_options opts = {.abandon = 1, .arg_free = meet_fate};
    ouro_future *f = ouro_offload_with(pass_owned_gate, &arg, &opts);
    await_count(&arg.gate.entered, 1);
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(2))), -ETIMEDOUT);
    check_eq(arg.fate.freed, 0);
    atomic_store(&arg.gate.open, 1);
    await_count(&arg.fate.freed, 1);
    check_freed_here(&arg.fate);
    return 0;
}

PoolTest(offload, one_to_be_abandoned_that_waits_never_runs)
{
    struct held h = {0};
    struct fate fate = {0};
    hold(&h);
    ouro_offload_options opts = {.pool = h.pool, .abandon = 1, .arg_free = meet_fate};
    ouro_future *f = ouro_offload_with(fail, &fate, &opts);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check_freed_here(&fate);
    release(&h);
    return 0;
}

/* ---- Futures that nobody waits for ----------------------------------------------------------- */

PoolTest(offload, one_that_is_thrown_away_runs_on_and_its_object_is_destroyed)
{
    struct fate fate = {0};
    struct gate g = {.object = &fate, .object_free = meet_fate};
    ouro_detach(ouro_offload(pass_gate, &g));
    await_count(&g.entered, 1);
    atomic_store(&g.open, 1);
    await_count(&fate.freed, 1);
    check_freed_here(&fate);
    return 0;
}

PoolTest(offload, an_error_that_nobody_reads_is_reported)
{
    ouro_detach(ouro_offload(fail, NULL));
    for (int i = 0; i < 20000 && !first_report(OURO_REPORT_UNREAD_ERROR); i++)
        check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(first_report(OURO_REPORT_UNREAD_ERROR)->error, -EIO);
    check_text(first_report(OURO_REPORT_UNREAD_ERROR)->what, "offload");
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    return 0;
}

/* ---- Lanes ----------------------------------------------------------------------------------- */

PoolTest(offload, lanes_do_not_starve_each_other)
{
    enum { MANY = 40 };
    struct gate g = {0};
    ouro_future *stuck[MANY];
    for (int lane = OURO_LANE_CPU; lane <= OURO_LANE_DNS; lane++) {
        int number = 5;
        for (int i = 0; i < MANY; i++)
            stuck[i] = ouro_offload_with(pass_gate, &g,
                                         &(ouro_offload_options){.lane = (ouro_lane)lane});
        await_count(&g.entered, 1);
        for (int other = OURO_LANE_CPU; other <= OURO_LANE_DNS; other++)
            if (other != lane)
                check_eq(ouro_await(ouro_offload_with(
                             twice, &number, &(ouro_offload_options){.lane = (ouro_lane)other})),
                         10);
        atomic_store(&g.open, 1);
        check_eq(ouro_await(ouro_gather(stuck, MANY, OURO_GATHER_ALL, NULL)), 0);
        atomic_store(&g.open, 0);
        atomic_store(&g.entered, 0);
    }
    return 0;
}

PoolTest(offload, a_lane_has_as_many_threads_as_it_was_set_to)
{
    enum { MANY = 12 };
    struct gate g = {0};
    ouro_future *fs[MANY];
    check_eq(ouro_lane_set_threads(OURO_LANE_DNS, 3), 0);
    for (int i = 0; i < MANY; i++)
        fs[i] = ouro_offload_with(pass_gate, &g, &(ouro_offload_options){.lane = OURO_LANE_DNS});
    await_count(&g.entered, 3);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(g.entered, 3);
    check_eq(ouro_lane_set_threads(OURO_LANE_DNS, 5), 0); /* what waits begins now */
    await_count(&g.entered, 5);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(g.entered, 5);
    check_eq(ouro_lane_set_threads(OURO_LANE_DNS, 1), 0);
    check_eq(count_threads(), 5);
    atomic_store(&g.open, 1);
    check_eq(ouro_await(ouro_gather(fs, MANY, OURO_GATHER_ALL, NULL)), 0);
    await_threads(1);
    return 0;
}

PoolTest(offload, threads_of_a_lane_that_sleep_end_when_there_are_too_many)
{
    struct gate g = {0};
    ouro_future *fs[3];
    check_eq(ouro_lane_set_threads(OURO_LANE_DNS, 3), 0);
    for (int i = 0; i < 3; i++)
        fs[i] = ouro_offload_with(pass_gate, &g, &(ouro_offload_options){.lane = OURO_LANE_DNS});
    await_count(&g.entered, 3);
    atomic_store(&g.open, 1);
    check_eq(ouro_await(ouro_gather(fs, 3, OURO_GATHER_ALL, NULL)), 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(count_threads(), 3);
    check_eq(ouro_lane_set_threads(OURO_LANE_DNS, 1), 0);
    await_threads(1);
    return 0;
}

Test(offload, lanes_can_be_set_before_there_is_a_loop_and_bad_sizes_are_einval)
{
    check_eq(ouro_lane_set_threads(OURO_LANE_DISK, 1), 0);
    check_eq(ouro_lane_set_threads(OURO_LANE_DISK, 0), -EINVAL);
    check_eq(ouro_lane_set_threads(OURO_LANE_DISK, -1), -EINVAL);
    check_eq(ouro_lane_set_threads(OURO_LANE_DISK, 4097), -EINVAL);
    check_eq(ouro_lane_set_threads((ouro_lane)3, 1), -EINVAL);
    check_eq(ouro_lane_set_threads((ouro_lane)-1, 1), -EINVAL);
    await_threads(0);
}

static void *run_a_worker(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)ouro_run(offload_one, NULL, NULL);
}

Test(offload, the_threads_of_the_lanes_last_as_long_as_a_loop_that_used_them)
{
    pthread_t thread;
    void *rc;
    begin_kernel();
    check_eq(run_main(offload_one, NULL), 0);
    unsigned threads = count_threads();
    check(threads > 0);
    check_eq(pthread_create(&thread, NULL, run_a_worker, NULL), 0);
    check_eq(pthread_join(thread, &rc), 0);
    check(rc == NULL);
    check(count_threads() >= threads); /* that was not the last of the loops */
    end();
    await_threads(0);
    begin_kernel();
    check_eq(run_main(offload_one, NULL), 0);
    end();
    await_threads(0);
}
