/* SPDX-License-Identifier: MIT */
/*
 * The end of a loop, orderly or not: shut down, given up, closed, or left behind by a fork.
 *
 * Where memory is leaked on purpose, or a signal kills, a child process goes through it. Freed
 * memory is filled with rubbish, so that whoever still reads it does not get away with that.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro/uring.h>

#include "loop_int.h"

static void fill_freed_memory(void)
{
    mallopt(M_PERTURB, 0xdd);
}

TestSuite(closing, .timeout = 30, .init = fill_freed_memory);

static int64_t sleep_for_ever(void *arg)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_FOREVER));
    if (arg)
        *(int64_t *)arg = rc;
    return rc;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void close_it(void)
{
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
}

/* ---- After a fork ---------------------------------------------------------------------------- */

static ouro_loop *loop;
static ouro_future *settled, *failed, *sleeping, *promised;
static ouro_promise *promise;
static ouro_call *call;

static void make_things(void)
{
    loop = ouro_loop_current();
    settled = ouro_ready(1);
    failed = ouro_ready(-EIO);
    sleeping = ouro_sleep(OURO_SEC(100));
    check_eq(ouro_promise_new(&promise, &promised), 0);
    check_eq(ouro_call_later(OURO_SEC(100), nothing, NULL, NULL, &call), 0);
    turns(2);
}

static void drop_things(void)
{
    check_eq(ouro_loop_shutdown(loop, OURO_SEC(1)), 0);
    check_eq(ouro_future_result(failed).n, -EIO);
    check_eq(ouro_future_state(sleeping), OURO_CANCELLED);
    ouro_unref(settled);
    ouro_unref(failed);
    ouro_unref(sleeping);
    ouro_unref(promised);
    ouro_promise_free(promise);
    ouro_call_unref(call);
    end();
}

static int close_then_use_and_release(void)
{
    child_check(ouro_loop_close(loop) == 0);
    child_check(ouro_loop_current() == NULL);
    child_check(ouro_future_result(settled).n == -ECHILD);
    child_check(ouro_future_take(failed).n == -ECHILD);
    child_check(ouro_cancel(sleeping) == -ECHILD);
    child_check(ouro_promise_resolve(promise, (ouro_result){1, NULL}, NULL) == -ECHILD);
    child_check(ouro_call_cancel(call) == -ECHILD);
    child_check(ouro_ref(settled) == settled);
    ouro_unref(settled);
    ouro_unref(settled);
    ouro_unref(failed);
    ouro_unref(sleeping);
    ouro_unref(promised);
    ouro_promise_free(promise);
    ouro_call_unref(call);
    return 0;
}

static int close_then_begin_again_then_release(void)
{
    ouro_loop *mine;
    child_check(ouro_loop_close(loop) == 0);
    child_check(ouro_loop_new(NULL, &mine) == 0);
    ouro_unref(settled);
    ouro_unref(failed);
    child_check(ouro_loop_run_until(mine, ouro_sleep(OURO_MS(1))) == 0);
    ouro_unref(sleeping);
    ouro_promise_free(promise);
    ouro_unref(promised);
    child_check(ouro_loop_close(mine) == 0);
    return 0;
}

Test(closing, a_forked_child_may_release_what_it_holds_after_its_close)
{
    char text[4096];
    begin_kernel();
    make_things();
    check_child(close_then_use_and_release, text, sizeof text);
    check_child(close_then_begin_again_then_release, text, sizeof text);
    drop_things();
}

Test(closing, a_forked_child_may_release_them_in_debug_mode_too)
{
    char text[4096];
    begin_kernel_with(&(ouro_loop_options){.debug = 1});
    make_things();
    check_child(close_then_use_and_release, text, sizeof text);
    check_child(close_then_begin_again_then_release, text, sizeof text);
    drop_things();
}

/* The child says when it is there: before that, a signal might find it half forked. */
static pid_t fork_a_sleeper(int seconds)
{
    int ready[2];
    char byte;
    if (pipe(ready) < 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        alarm((unsigned)seconds);
        if (write(ready[1], "x", 1) != 1)
            _exit(4);
        for (int i = 0; i < seconds * 10; i++)
            usleep(100000);
        _exit(3);
    }
    if (child > 0 && read(ready[0], &byte, 1) != 1)
        child = -1;
    close(ready[0]);
    close(ready[1]);
    return child;
}

static int64_t interrupt_a_child(void *arg)
{
    int status = 0;
    pid_t child = fork_a_sleeper(20);
    if (child < 0 || kill(child, SIGINT) < 0 || waitpid(child, &status, 0) != child)
        return -EIO;
    *(int *)arg = status;
    return ouro_await(ouro_sleep(OURO_MS(1))); /* it was not ours */
}

static int interrupt_a_child_of_a_run(void)
{
    int status = 0;
    signal(SIGINT, SIG_DFL);
    child_check(ouro_run(interrupt_a_child, &status, NULL) == 0);
    child_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    return 0;
}

Test(closing, sigint_kills_the_forked_child_of_a_run_at_once)
{
    char text[4096];
    check_child(interrupt_a_child_of_a_run, text, sizeof text);
}

/* ---- Given up -------------------------------------------------------------------------------- */

static void ignore_report(const ouro_report *report, void *arg)
{
    (void)report;
    (void)arg;
}

static ouro_cancel_answer later(ouro_promise *p, void *arg)
{
    (void)p;
    (void)arg;
    return OURO_LATER;
}

static struct fake *abandoned_driver(void)
{
    struct fake *fake = fake_new(16);
    if (ouro__loop_new_on(&fake->driver, &(ouro_loop_options){.debug = -1}, &loop) < 0)
        return NULL;
    ouro_report_set_handler(ignore_report, NULL);
    return fake;
}

/* Everything about a future of a loop that is gone. Nothing happens to it any more. */
static int dead_to_the_world(ouro_future *f)
{
    child_check(ouro_future_state(f) == OURO_PENDING);
    child_check(ouro_future_result(f).n < 0);
    child_check(ouro_cancel(f) == -ESHUTDOWN);
    child_check(ouro_cancel(f) == -ESHUTDOWN);
    child_check(ouro_future_state(f) == OURO_PENDING);
    ouro_unref(f);
    return 0;
}

static int cancel_after_a_broken_ring(void)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_READ};
    struct fake *fake = abandoned_driver();
    child_check(fake != NULL);
    ouro_future *sleep = ouro_sleep(OURO_SEC(3));
    ouro_future *op = ouro_uring_op(&sqe, NULL);
    ouro_future *task = ouro_spawn(sleep_for_ever, NULL);
    ouro_loop_step(loop, 0);
    ouro_loop_step(loop, 0);
    ouro_future *parked = ouro_uring_op(&sqe, NULL);
    ouro_future *bounded = ouro_timeout(ouro_sleep(OURO_SEC(3)), OURO_SEC(2));
    fake->fatal = -EBADF;
    child_check(ouro_loop_run(loop) == -EBADF);
    child_check(ouro_loop_shutdown(loop, OURO_MS(10)) < 0);
    child_check(ouro_loop_close(loop) == 0);
    ouro_future *all[] = {sleep, op, task, parked, bounded};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (ouro_future_state(all[i]) == OURO_PENDING)
            child_check(dead_to_the_world(all[i]) == 0);
        else
            ouro_unref(all[i]);
    }
    return 0;
}

Test(closing, what_a_broken_ring_gave_up_can_be_cancelled_after_the_close)
{
    char text[4096];
    check_child(cancel_after_a_broken_ring, text, sizeof text);
}

static int destroyed;

static void count_destroyed(void *ptr)
{
    (void)ptr;
    destroyed++;
}

/* The hook never lets the promise go, so shutdown has to give it up. */
static int use_an_abandoned_promise(void)
{
    int object;
    ouro_promise *p;
    ouro_future *f;
    child_check(abandoned_driver() != NULL);
    child_check(ouro_promise_new(&p, &f) == 0);
    child_check(ouro_promise_on_cancel(p, later, NULL) == 0);
    ouro_future *bounded = ouro_timeout(ouro_ref(f), OURO_SEC(100));
    child_check(ouro_loop_shutdown(loop, OURO_MS(10)) == -ETIMEDOUT);
    child_check(ouro_loop_close(loop) == 0);
    child_check(dead_to_the_world(bounded) == 0);
    ouro_result value = {1, &object};
    child_check(ouro_promise_resolve(p, value, count_destroyed) == -ESHUTDOWN);
    child_check(ouro_promise_fail(p, -EIO) == -ESHUTDOWN);
    child_check(dead_to_the_world(f) == 0);
    child_check(destroyed == 0); /* what could not be handed in stays ours */
    ouro_promise_free(p);
    return 0;
}

Test(closing, a_promise_of_an_abandoned_loop_says_eshutdown_after_the_close)
{
    char text[4096];
    check_child(use_an_abandoned_promise, text, sizeof text);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static int64_t clean_up_and_stop(void *arg)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_FOREVER));
    check_eq(rc, -ECANCELED);
    check_eq(ouro_loop_stop(ouro_loop_current()), 0);
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
    *(int64_t *)arg = ouro_await(ouro_sleep(OURO_MS(500)));
    return ouro_scope_exit(&scope, 0);
}

/* Were it in effect, the loop would not sleep until the clean-up has ended. */
Test(closing, a_stop_during_shutdown_has_no_effect)
{
    int64_t cleaned = -1;
    begin_fake();
    ouro_detach(ouro_spawn(clean_up_and_stop, &cleaned));
    turns(2);
    uint64_t before = stats().turns;
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(2)), 0);
    check_eq(cleaned, 0);
    check(stats().turns - before < 100);
    check_eq(ouro_loop_run(ouro_loop_current()), 0); /* 1 would mean stopped */
    close_it();
}

/* ---- Shielded regions ------------------------------------------------------------------------ */

/* How the shielded task waits for its children. */
enum way { AWAIT, TIMEOUT, GATHER, CHAIN, NESTED, WAYS };

struct shielded {
    enum way way;
    int flushed; /* children that ended undisturbed */
    int64_t rc;
    bool ended;
};

static int64_t flush(void *arg)
{
    struct shielded *s = arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(20)));
    s->flushed += rc == 0;
    return rc;
}

static int64_t flush_by_another(void *arg)
{
    return ouro_await(ouro_spawn(flush, arg));
}

static ouro_future *flushing(struct shielded *s)
{
    ouro_future *two[2];
    switch (s->way) {
    case TIMEOUT:
        return ouro_timeout(ouro_spawn(flush, s), OURO_SEC(1));
    case GATHER:
        two[0] = ouro_spawn(flush, s);
        two[1] = ouro_timeout(ouro_spawn(flush_by_another, s), OURO_SEC(1));
        return ouro_gather(two, 2, OURO_GATHER_ALL, NULL);
    case CHAIN:
        two[0] = ouro_spawn(flush, s);
        two[0] = ouro_gather(two, 1, OURO_GATHER_COLLECT, NULL);
        return ouro_timeout(two[0], OURO_SEC(1));
    case NESTED:
        return ouro_spawn(flush_by_another, s);
    default:
        return ouro_spawn(flush, s);
    }
}

static int64_t flush_shielded(void *arg)
{
    struct shielded *s = arg;
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
    s->rc = ouro_await(flushing(s));
    int64_t rc = ouro_scope_exit(&scope, s->rc);
    s->ended = true;
    return rc;
}

static void shut_down_while_flushing(enum way way)
{
    struct shielded s = {.way = way, .rc = -1};
    ouro_detach(ouro_spawn(flush_shielded, &s));
    turns(4);
    check(!s.ended);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check(s.ended);
    check_eq(s.rc, 0);
    check_eq(s.flushed, way == GATHER ? 2 : 1);
    close_it();
}

Test(closing, shutdown_leaves_alone_what_a_shielded_region_waits_for)
{
    for (enum way way = 0; way < WAYS; way++) {
        begin_fake();
        shut_down_while_flushing(way);
        begin_kernel();
        shut_down_while_flushing(way);
    }
}

Test(closing, shutdown_cancels_the_children_of_a_detached_gather)
{
    int64_t seen[3] = {1, 1, 1};
    ouro_future *f[3];
    struct fake *fake = begin_fake();
    ouro_ns start = fake->clock;
    for (int i = 0; i < 3; i++)
        f[i] = ouro_spawn(sleep_for_ever, &seen[i]);
    f[2] = ouro_timeout(f[2], OURO_SEC(100));
    ouro_detach(ouro_gather(f, 3, OURO_GATHER_ALL, NULL));
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    for (int i = 0; i < 3; i++)
        check_eq(seen[i], -ECANCELED);
    check_eq(fake->clock, start); /* at once: nobody had to wait for a deadline */
    close_it();
}

static int64_t await_unshielded(void *arg)
{
    return ouro_await(ouro_spawn(sleep_for_ever, arg));
}

Test(closing, shutdown_cancels_what_is_awaited_without_a_shield)
{
    int64_t seen = 1;
    struct fake *fake = begin_fake();
    ouro_ns start = fake->clock;
    ouro_detach(ouro_spawn(await_unshielded, &seen));
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_eq(seen, -ECANCELED);
    check_eq(fake->clock, start);
    close_it();
}

static int64_t fail_at_once(void *arg)
{
    (void)arg;
    return -EIO;
}

Test(closing, shutdown_cancels_what_a_gather_left_running_when_it_failed)
{
    int64_t seen = 1;
    struct fake *fake = begin_fake();
    ouro_ns start = fake->clock;
    ouro_future *f[2] = {ouro_spawn(fail_at_once, NULL), ouro_spawn(sleep_for_ever, &seen)};
    ouro_future *gather = ouro_gather(f, 2, OURO_GATHER_FIRST_ERROR, NULL);
    check_eq(ouro_loop_run_until(ouro_loop_current(), gather), -EIO);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_eq(seen, -ECANCELED);
    check_eq(fake->clock, start);
    close_it();
}

/* Given up by shutdown, which leaks on purpose: in a process of its own. */
static int64_t never_listen(void *arg)
{
    (void)arg;
    for (;;)
        (void)ouro_await(ouro_sleep(OURO_MS(1)));
    return 0;
}

static int64_t leave_a_deaf_task(void *arg)
{
    (void)arg;
    ouro_detach(ouro_spawn(never_listen, NULL));
    return ouro_yield();
}

static int run_with_a_deaf_task(void)
{
    alarm(20); /* it once never returned */
    return (int)ouro_run(leave_a_deaf_task, NULL, &(ouro_run_options){.grace = OURO_MS(50)});
}

Test(closing, a_task_that_never_ends_does_not_keep_run_from_returning)
{
    char text[4096];
    check_eq(in_child(run_with_a_deaf_task, text, sizeof text), 0);
    check(strstr(text, "did not end before the deadline") != NULL);
}

Test(closing, shutdown_goes_on_at_once_when_the_last_task_has_ended)
{
    int64_t seen = 1;
    struct fake *fake = begin_fake();
    ouro_ns start = fake->clock;
    ouro_detach(ouro_spawn(sleep_for_ever, &seen));
    ouro_detach(ouro_sleep(OURO_SEC(3600))); /* no task's, so it is cancelled after them */
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_eq(seen, -ECANCELED);
    check_eq(fake->clock, start);
    close_it();
}
