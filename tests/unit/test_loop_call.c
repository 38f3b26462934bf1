/* SPDX-License-Identifier: MIT */
/*
 * Calls from loop to loop: what comes back, what a cancel does on either side, and what is left
 * when one of the two loops closes.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "other.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(loop_call, .timeout = 60);

static struct other other; /* of the running test, which is a process of its own */

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

/* A test whose body is a task of one loop, while `other` runs. */
#define CallTest(name)                            \
    static int64_t call_##name(void *unused);     \
    Test(loop_call, name)                         \
    {                                             \
        other_begin(&other);                      \
        begin_kernel();                           \
        check_eq(run_main(call_##name, NULL), 0); \
        end();                                    \
        other_finish(&other);                     \
    }                                             \
    static int64_t call_##name(void *unused __attribute__((unused)))

/* ---- What comes back ------------------------------------------------------------------------- */

static int64_t give(void *arg)
{
    return *(int *)arg;
}

static int64_t tell_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    check(ouro_loop_current() == other.loop);
    check(nap(OURO_MS(1)) == 0);
    return ouro_loop_current() == other.loop;
}

CallTest(runs_a_task_on_that_loop_and_returns_what_it_returned)
{
    pthread_t thread;
    int n = 41;
    check_eq(ouro_await(ouro_loop_call(other.loop, give, &n)), 41);
    check_eq(ouro_await(ouro_loop_call(other.loop, tell_thread, &thread)), 1);
    check(pthread_equal(thread, other.thread));
    return 0;
}

CallTest(an_error_comes_back_as_it_is)
{
    int codes[] = {-EIO, -OURO_EWORKEREXIT, -ESHUTDOWN, -ENOMEM};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        check_eq(ouro_await(ouro_loop_call(other.loop, give, &codes[i])), codes[i]);
    return 0;
}

CallTest(an_error_that_nobody_reads_is_reported_here)
{
    int n = -EIO;
    ouro_detach(ouro_loop_call(other.loop, give, &n));
    for (int i = 0; i < 500 && !first_report(OURO_REPORT_UNREAD_ERROR); i++)
        check_eq(nap(OURO_MS(10)), 0);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    return 0;
}

struct thing {
    pthread_t freed_by;
    int freed;
};

static void free_thing(void *arg)
{
    struct thing *thing = arg;
    thing->freed_by = pthread_self();
    thing->freed++;
}

static int64_t give_thing(void *arg)
{
    check_eq(nap(OURO_MS(1)), 0);
    return ouro_task_return(arg, free_thing);
}

CallTest(an_object_comes_along)
{
    struct thing thing = {0};
    int64_t n = -1;
    check(ouro_await_ptr(ouro_loop_call(other.loop, give_thing, &thing), &n) == &thing);
    check_eq(n, 0);
    check_eq(thing.freed, 0);
    return 0;
}

CallTest(an_object_that_nobody_takes_is_destroyed_here)
{
    struct thing thing = {0};
    check_eq(ouro_await(ouro_loop_call(other.loop, give_thing, &thing)), 0);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(thing.freed, 1);
    check(pthread_equal(thing.freed_by, pthread_self()));
    return 0;
}

static const ouro_local key;

static int64_t read_local(void *arg)
{
    (void)arg;
    return ouro_local_get(&key) == NULL;
}

CallTest(the_task_has_no_locals)
{
    check_eq(ouro_local_set(&key, other.loop, NULL), 0);
    check_eq(ouro_await(ouro_spawn(read_local, NULL)), 0);
    check_eq(ouro_await(ouro_loop_call(other.loop, read_local, NULL)), 1);
    return 0;
}

static int64_t read_here(void *arg)
{
    check(ouro_loop_current() != other.loop);
    return read_local(arg);
}

CallTest(on_the_own_loop_it_is_a_spawn)
{
    ouro_loop *here = ouro_loop_current();
    check_eq(ouro_local_set(&key, here, NULL), 0);
    check_eq(ouro_await(ouro_loop_call(here, read_here, NULL)), 0);
    return 0;
}

static char order[8];
static size_t order_length;

static int64_t append(void *arg)
{
    order[order_length++] = *(char *)arg;
    return 0;
}

CallTest(calls_start_in_order)
{
    static char letters[] = "abcde";
    ouro_future *calls[5];
    for (int i = 0; i < 5; i++)
        calls[i] = ouro_loop_call(other.loop, append, &letters[i]);
    check_eq(ouro_await(ouro_gather(calls, 5, OURO_GATHER_ALL, NULL)), 0);
    check_text(order, "abcde");
    return 0;
}

/* Call there, which calls here, and so on. */
static int64_t bounce(void *arg)
{
    ouro_loop **loops = arg;
    static _Atomic int left = 100;
    if (atomic_fetch_sub(&left, 1) <= 0)
        return 1;
    ouro_loop *to = ouro_loop_current() == loops[0] ? loops[1] : loops[0];
    return ouro_await(ouro_loop_call(to, bounce, loops)) + 1;
}

CallTest(loops_may_call_each_other)
{
    ouro_loop *loops[2] = {ouro_loop_current(), other.loop};
    check_eq(bounce(loops), 101);
    return 0;
}

/* ---- Cancelling ------------------------------------------------------------------------------ */

static int runs;

static int64_t count_run(void *arg)
{
    (void)arg;
    runs++;
    return nap(OURO_SEC(1000));
}

CallTest(cancelled_before_it_started_it_never_runs)
{
    other_hold(&other);
    ouro_future *f = ouro_loop_call(other.loop, count_run, NULL);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    other_go_on(&other);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    check_eq(runs, 0);
    return 0;
}

static atomic_int waiting, cleaned;

static int64_t clean_up(void *arg)
{
    ouro_scope s;
    (void)arg;
    atomic_fetch_add(&waiting, 1);
    int64_t rc = nap(OURO_SEC(1000));
    check_eq(ouro_scope_enter(&s, &(ouro_scope_options){.shield = 1}), 0);
    check_eq(nap(OURO_MS(20)), 0);
    check_eq(ouro_scope_exit(&s, 0), 0);
    atomic_fetch_add(&cleaned, 1);
    return rc;
}

static void wait_until_it_waits(void)
{
    while (!atomic_load(&waiting))
        check_eq(nap(OURO_MS(1)), 0);
}

CallTest(a_cancel_is_passed_on_and_the_wait_goes_on_until_the_task_has_answered)
{
    ouro_future *f = ouro_loop_call(other.loop, clean_up, NULL);
    wait_until_it_waits();
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_future_state(f), OURO_PENDING);
    ouro_join(f);
    check_eq(atomic_load(&cleaned), 1);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    check_eq(ouro_cancel(f), 0);
    ouro_unref(f);
    return 0;
}

static int64_t call_and_wait(void *arg)
{
    (void)arg;
    return ouro_await(ouro_loop_call(other.loop, clean_up, NULL));
}

CallTest(cancelling_the_task_that_awaits_it_is_passed_on)
{
    ouro_future *task = ouro_spawn(call_and_wait, NULL);
    wait_until_it_waits();
    check_eq(ouro_cancel(task), 1);
    ouro_join(task);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    check_eq(atomic_load(&cleaned), 1);
    ouro_unref(task);
    return 0;
}

static int64_t swallow(void *arg)
{
    atomic_fetch_add(&waiting, 1);
    return nap(OURO_SEC(1000)) == -ECANCELED ? ouro_task_return(arg, free_thing) : -EIO;
}

CallTest(a_result_that_is_there_wins_over_a_cancel)
{
    struct thing thing = {0};
    ouro_future *f = ouro_loop_call(other.loop, swallow, &thing);
    wait_until_it_waits();
    check_eq(ouro_cancel(f), 1);
    check(ouro_await_ptr(f, NULL) == &thing);
    return 0;
}

CallTest(a_timeout_bounds_it)
{
    check_eq(ouro_await(ouro_timeout(ouro_loop_call(other.loop, clean_up, NULL), OURO_MS(5))),
             -ETIMEDOUT);
    check_eq(atomic_load(&cleaned), atomic_load(&waiting));
    return 0;
}

static int64_t cancel_myself(void *arg)
{
    (void)arg;
    check_eq(ouro_cancel(ouro_task_current()), 1);
    return nap(OURO_SEC(1000));
}

static int64_t cancelled_by_nobody(void *arg)
{
    (void)arg;
    return -ECANCELED;
}

CallTest(a_task_that_somebody_else_cancelled_is_no_cancel_of_mine)
{
    ouro_future *f = ouro_loop_call(other.loop, cancel_myself, NULL);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_ERROR);
    ouro_unref(f);
    f = ouro_loop_call(other.loop, cancelled_by_nobody, NULL);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_ERROR);
    ouro_unref(f);
    return 0;
}

/* ---- The other loop closes ------------------------------------------------------------------- */

/* The same, for bodies that have the other loop end. */
#define ClosingTest(name)                            \
    static int64_t closing_##name(void *unused);     \
    Test(loop_call, name)                            \
    {                                                \
        begin_kernel();                              \
        other_begin(&other);                         \
        check_eq(run_main(closing_##name, NULL), 0); \
        other_join(&other);                          \
        end();                                       \
    }                                                \
    static int64_t closing_##name(void *unused __attribute__((unused)))

static int64_t outcome(ouro_future *f)
{
    int64_t n = ouro_future_result(f).n;
    ouro_unref(f);
    return n;
}

Test(loop_call, to_a_closed_loop_it_is_eshutdown_at_once)
{
    int n = 1;
    begin_kernel();
    other_begin(&other);
    ouro_loop *closed = ouro_loop_ref(other.loop);
    other_finish(&other);
    check_eq(outcome(ouro_loop_call(closed, give, &n)), -ESHUTDOWN);
    check_eq(stats().live_futures, 0);
    ouro_loop_unref(closed);
    end();
}

ClosingTest(a_loop_that_shuts_down_cancels_the_task_and_answers_eshutdown)
{
    ouro_future *f = ouro_loop_call(other.loop, clean_up, NULL);
    wait_until_it_waits();
    other_end(&other, OTHER_SHUTDOWN);
    check_eq(ouro_await(f), -ESHUTDOWN);
    check_eq(atomic_load(&cleaned), 1);
    return 0;
}

/* Ends the other loop with calls in its queue: some it finds in shutdown, some only when it
 * closes. */
ClosingTest(whatever_a_closing_loop_has_not_begun_is_answered)
{
    ouro_future *calls[300];
    ouro_result results[300];
    other_hold(&other);
    other_end(&other, OTHER_SHUTDOWN);
    for (int i = 0; i < 300; i++) {
        calls[i] = ouro_loop_call(other.loop, count_run, NULL);
        if (i == 100)
            other_go_on(&other);
    }
    check_eq(ouro_await(ouro_gather(calls, 300, OURO_GATHER_COLLECT, results)), 0);
    for (int i = 0; i < 300; i++)
        check_eq(results[i].n, -ESHUTDOWN);
    return 0;
}

static int64_t call_in_vain(void *arg)
{
    ouro_loop *never_run = arg;
    return ouro_await(ouro_loop_call(never_run, count_run, NULL));
}

static atomic_int called;
static ouro_loop *never_run;

static void *close_with_a_call_in_the_queue(void *arg)
{
    (void)arg;
    check_eq(ouro_loop_new(NULL, &never_run), 0);
    ouro_loop_ref(never_run);
    atomic_store(&called, 1);
    while (atomic_load(&called) < 2)
        usleep(1000);
    check_eq(ouro_loop_close(never_run), 0);
    return NULL;
}

Test(loop_call, that_a_loop_drops_unseen_when_it_closes_is_eshutdown)
{
    pthread_t thread;
    begin_kernel();
    check_eq(pthread_create(&thread, NULL, close_with_a_call_in_the_queue, NULL), 0);
    while (!atomic_load(&called))
        usleep(1000);
    ouro_future *task = ouro_spawn(call_in_vain, never_run);
    turns(2);
    atomic_store(&called, 2);
    check_eq(ouro_loop_run_until(ouro_loop_current(), task), -ESHUTDOWN);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(runs, 0);
    ouro_loop_unref(never_run);
    end();
}

static ouro_cancel_answer not_now(ouro_promise *p, void *arg)
{
    (void)p;
    (void)arg;
    return OURO_LATER;
}

static int64_t never_end(void *arg)
{
    ouro_promise *p;
    ouro_future *f;
    (void)arg;
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_promise_on_cancel(p, not_now, NULL), 0);
    atomic_fetch_add(&waiting, 1);
    return ouro_await(f);
}

static int64_t call_never_end(void *arg)
{
    (void)arg;
    ouro_future *f = ouro_loop_call(other.loop, never_end, NULL);
    wait_until_it_waits();
    other_end(&other, OTHER_HASTY);
    return ouro_await(f);
}

static int given_up_there(void)
{
    other_begin(&other);
    begin_kernel();
    child_check(run_main(call_never_end, NULL) == -ESHUTDOWN);
    child_check(pthread_join(other.thread, NULL) == 0);
    child_check(other.shutdown_rc == -ETIMEDOUT);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    return 0;
}

Test(loop_call, a_task_that_the_other_loop_gives_up_is_eshutdown_here)
{
    check_child(given_up_there, NULL, 0);
}

/* ---- This loop closes ------------------------------------------------------------------------ */

static int64_t give_thing_late(void *arg)
{
    atomic_fetch_add(&waiting, 1);
    nap(OURO_MS(30));
    return ouro_task_return(arg, free_thing);
}

Test(loop_call, shutdown_waits_for_the_answer)
{
    static struct thing thing;
    other_begin(&other);
    begin_kernel();
    ouro_detach(ouro_loop_call(other.loop, clean_up, NULL));
    ouro_detach(ouro_loop_call(other.loop, give_thing_late, &thing));
    while (atomic_load(&waiting) < 2)
        usleep(1000);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(10)), 0);
    check_eq(atomic_load(&cleaned), 1);
    end();
    check_eq(thing.freed, 1);
    check(pthread_equal(thing.freed_by, pthread_self()));
    other_finish(&other);
}

/* The cancel of the shutdown is there before the call has begun. */
static int close_before_it_begins(void)
{
    static struct thing thing;
    ouro_loop *home;
    other_begin(&other);
    child_check(ouro_loop_new(NULL, &home) == 0);
    other_hold(&other);
    ouro_detach(ouro_loop_call(other.loop, give_thing_late, &thing));
    child_check(ouro_loop_shutdown(home, 1) == -ETIMEDOUT);
    child_check(ouro_loop_close(home) == 0);
    other_go_on(&other);
    other_finish(&other);
    child_check(atomic_load(&waiting) == 0);
    return 0;
}

static atomic_bool home_closed;

static int64_t give_thing_after_close(void *arg)
{
    atomic_fetch_add(&waiting, 1);
    while (!atomic_load(&home_closed))
        nap(OURO_MS(1));
    return ouro_task_return(arg, free_thing);
}

static int answer_after_close(void)
{
    static struct thing thing;
    ouro_loop *home;
    other_begin(&other);
    child_check(ouro_loop_new(NULL, &home) == 0);
    ouro_detach(ouro_loop_call(other.loop, give_thing_after_close, &thing));
    while (!atomic_load(&waiting))
        usleep(100);
    other_hold(&other);
    child_check(ouro_loop_shutdown(home, 1) == -ETIMEDOUT);
    child_check(ouro_loop_close(home) == 0);
    atomic_store(&home_closed, true);
    other_go_on(&other);
    other_finish(&other);
    child_check(thing.freed == 1);
    child_check(pthread_equal(thing.freed_by, other.thread));
    return 0;
}

Test(loop_call, an_answer_to_a_loop_that_has_closed_is_destroyed_there)
{
    char text[4096];
    check_child(answer_after_close, text, sizeof text);
    check(strstr(text, "loop call") != NULL);
    check_child(close_before_it_begins, text, sizeof text);
}

static int64_t call_while_closing(void *arg)
{
    int n = 1;
    (void)arg;
    check_eq(nap(OURO_SEC(1000)), -ECANCELED);
    ouro_future *f = ouro_loop_call(other.loop, give, &n);
    int64_t rc = ouro_future_result(f).n;
    ouro_unref(f);
    check_eq(rc, -ESHUTDOWN);
    return -ECANCELED;
}

Test(loop_call, a_loop_that_is_closing_calls_nobody)
{
    other_begin(&other);
    begin_kernel();
    ouro_detach(ouro_spawn(call_while_closing, NULL));
    turns(2);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(10)), 0);
    end();
    other_finish(&other);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

Test(loop_call, bad_arguments_and_no_loop_are_told)
{
    int n = 1;
    other_begin(&other);
    check_eq(outcome(ouro_loop_call(other.loop, give, &n)), -EPERM);
    begin_kernel();
    check_eq(outcome(ouro_loop_call(NULL, give, &n)), -EINVAL);
    check_eq(outcome(ouro_loop_call(other.loop, NULL, &n)), -EINVAL);
    end();
    other_finish(&other);
}

static int call_in_child(void)
{
    int n = 1;
    child_check(outcome(ouro_loop_call(other.loop, give, &n)) == -ECHILD);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    ouro_loop *fresh;
    child_check(ouro_loop_new(NULL, &fresh) == 0);
    child_check(outcome(ouro_loop_call(other.loop, give, &n)) == -ECHILD);
    child_check(ouro_loop_close(fresh) == 0);
    return 0;
}

Test(loop_call, in_the_child_of_a_fork_it_is_echild)
{
    other_begin(&other);
    begin_kernel();
    check_child(call_in_child, NULL, 0);
    end();
    other_finish(&other);
}

Test(loop_call, no_memory_is_enomem_and_nothing_has_run)
{
    ration_memory();
    other_begin(&other);
    begin_kernel();
    int n = 3;
    grants = 0;
    check_eq(outcome(ouro_loop_call(other.loop, give, &n)), -ENOMEM);
    grants = 1;
    check_eq(outcome(ouro_loop_call(other.loop, give, &n)), -ENOMEM);
    grants = 2;
    ouro_future *f = ouro_loop_call(other.loop, give, &n);
    check_eq(grants, 0); /* two, and none from here to the end */
    check_eq(ouro_loop_run_until(ouro_loop_current(), f), 3);
    grants = -1;
    end();
    other_finish(&other);
}

static int64_t starve(void *arg)
{
    (void)arg;
    grants = 0;
    return 0;
}

Test(loop_call, no_memory_over_there_is_enomem_here)
{
    ration_memory();
    other_begin(&other);
    begin_kernel();
    ouro_loop *here = ouro_loop_current();
    check_eq(ouro_loop_run_until(here, ouro_loop_call(other.loop, starve, NULL)), 0);
    check_eq(ouro_loop_run_until(here, ouro_loop_call(other.loop, starve, NULL)), -ENOMEM);
    end();
    other_finish(&other);
}
