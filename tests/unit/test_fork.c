/* SPDX-License-Identifier: MIT */
/*
 * After a fork: the child's loop says -ECHILD to everything, can be closed, and does not disturb
 * the parent's.
 *
 * The child cannot tell Criterion anything; it exits with 1 and a line on standard error.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <unistd.h>

#include <ouro/uring.h>

TestSuite(fork, .timeout = 30);

static ouro_loop *loop;
static ouro_future *sleeping;
static ouro_future *settled;
static ouro_promise *promise;
static ouro_future *promised;

static int64_t one(void *arg)
{
    (void)arg;
    return 1;
}

static void never(void *arg)
{
    (void)arg;
    _exit(9);
}

static int64_t outcome(ouro_future *f)
{
    int64_t n = ouro_future_result(f).n;
    ouro_unref(f);
    return n;
}

static void make_things(void)
{
    begin_kernel();
    loop = ouro_loop_current();
    sleeping = ouro_sleep(OURO_MS(50));
    settled = ouro_ready(4);
    check_eq(ouro_promise_new(&promise, &promised), 0);
    turns(2);
}

static void drop_things(void)
{
    check_eq(ouro_loop_run_until(loop, sleeping), 0);
    check_eq(ouro_promise_resolve(promise, (ouro_result){3, NULL}, NULL), 0);
    ouro_promise_free(promise);
    ouro_unref(promised);
    ouro_unref(settled);
    end();
}

/* ---- In the child ---------------------------------------------------------------------------- */

static int loop_calls_fail(void)
{
    ouro_loop_stats s;
    ouro_loop *other;
    child_check(ouro_loop_run(loop) == -ECHILD);
    child_check(ouro_loop_step(loop, 0) == -ECHILD);
    child_check(ouro_loop_stop(loop) == -ECHILD);
    child_check(ouro_loop_fd(loop) == -ECHILD);
    child_check(ouro_loop_shutdown(loop, OURO_SEC(1)) == -ECHILD);
    child_check(ouro_loop_run_until(loop, settled) == -ECHILD);
    child_check(ouro_loop_stats_get(loop, &s) == -ECHILD);
    child_check(ouro_loop_post(loop, never, NULL, NULL) == -ECHILD);
    child_check(ouro_loop_wake(loop) == -ECHILD);
    child_check(ouro_loop_new(NULL, &other) == -ECHILD);
    child_check(ouro_run(one, NULL, NULL) == -ECHILD);
    child_check(ouro_report_set_handler(NULL, NULL) == -ECHILD);
    return 0;
}

static int future_calls_fail(void)
{
    ouro_promise *p;
    ouro_future *f;
    child_check(ouro_cancel(sleeping) == -ECHILD);
    child_check(ouro_future_result(settled).n == -ECHILD);
    child_check(ouro_future_take(settled).n == -ECHILD);
    child_check(ouro_on_done(sleeping, NULL, NULL) == -ECHILD ||
                ouro_on_done(sleeping, NULL, NULL) == -EINVAL);
    child_check(ouro_promise_resolve(promise, (ouro_result){1, NULL}, NULL) == -ECHILD);
    child_check(ouro_promise_fail(promise, -EIO) == -ECHILD);
    child_check(ouro_promise_new(&p, &f) == -ECHILD);
    child_check(ouro_call_soon(never, NULL, NULL, NULL) == -ECHILD);
    child_check(ouro_call_later(1, never, NULL, NULL, NULL) == -ECHILD);
    return 0;
}

static int what_waits_fails(void)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP};
    child_check(outcome(ouro_spawn(one, NULL)) == -ECHILD);
    child_check(outcome(ouro_sleep(1)) == -ECHILD);
    child_check(outcome(ouro_uring_op(&sqe, NULL)) == -ECHILD);
    child_check(outcome(ouro_ready(1)) == -ECHILD);
    return 0;
}

static int every_call_fails(void)
{
    return loop_calls_fail() || future_calls_fail() || what_waits_fails();
}

Test(fork, in_the_child_every_call_says_echild_and_the_parent_is_undisturbed)
{
    make_things();
    check_child(every_call_fails, NULL, 0);
    drop_things();
}

static int64_t sleep_a_little(void *arg)
{
    (void)arg;
    return ouro_await(ouro_sleep(OURO_MS(1))) < 0 ? -EIO : 6;
}

static int close_and_begin_again(void)
{
    child_check(ouro_loop_close(loop) == 0);
    child_check(ouro_loop_current() == NULL);
    child_check(ouro_run(sleep_a_little, NULL, NULL) == 6);
    ouro_loop *mine;
    child_check(ouro_loop_new(NULL, &mine) == 0);
    child_check(ouro_loop_run_until(mine, ouro_spawn(sleep_a_little, NULL)) == 6);
    child_check(ouro_loop_close(mine) == 0);
    return 0;
}

Test(fork, the_child_can_close_the_loop_and_have_one_of_its_own)
{
    make_things();
    check_child(close_and_begin_again, NULL, 0);
    drop_things();
}

static int release_after_close(void)
{
    child_check(ouro_loop_close(loop) == 0);
    ouro_unref(sleeping);
    ouro_unref(settled);
    ouro_unref(promised);
    ouro_promise_free(promise);
    return 0;
}

static int release_before_close(void)
{
    ouro_unref(sleeping);
    ouro_unref(settled);
    ouro_unref(promised);
    ouro_promise_free(promise);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

Test(fork, the_child_can_release_what_it_inherited)
{
    make_things();
    check_child(release_after_close, NULL, 0);
    check_child(release_before_close, NULL, 0);
    drop_things();
}

/* A read that is in flight across the fork, and a task on its own stack that waits for it. */
static int64_t read_pipe(void *arg)
{
    const int *fd = arg;
    char buf[8];
    struct io_uring_sqe sqe = {.opcode = IORING_OP_READ,
                               .fd = *fd,
                               .addr = (uintptr_t)buf,
                               .len = sizeof buf,
                               .off = (uint64_t)-1};
    return ouro_await(ouro_uring_op(&sqe, NULL));
}

Test(fork, an_operation_of_the_parent_in_flight_completes_in_the_parent)
{
    int ends[2];
    make_things();
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    ouro_future *task = ouro_spawn(read_pipe, &ends[0]);
    turns(3);
    check_eq(stats().kernel_operations, 1);
    check_child(close_and_begin_again, NULL, 0);
    check_eq(ouro_future_state(task), OURO_PENDING);
    check_eq(write(ends[1], "hello", 5), 5);
    check_eq(ouro_loop_run_until(loop, task), 5);
    close(ends[0]);
    close(ends[1]);
    drop_things();
}

/* The fork happens inside a task; the child stays on the task's stack until it exits. */
static int64_t fork_inside(void *arg)
{
    (void)arg;
    check_child(every_call_fails, NULL, 0);
    return ouro_await(ouro_sleep(OURO_MS(1)));
}

static int awaits_fail(void)
{
    child_check(ouro_await(ouro_ref(settled)) == -ECHILD);
    child_check(ouro_join(settled) == -ECHILD);
    child_check(ouro_yield() == -ECHILD);
    ouro_scope scope;
    child_check(ouro_scope_enter(&scope, NULL) == -ECHILD);
    return 0;
}

static int64_t fork_inside_and_wait(void *arg)
{
    (void)arg;
    check_child(awaits_fail, NULL, 0);
    return ouro_await(ouro_sleep(OURO_MS(1)));
}

Test(fork, inside_a_task_the_child_cannot_wait_and_the_parent_can)
{
    make_things();
    check_eq(run_main(fork_inside, NULL), 0);
    check_eq(run_main(fork_inside_and_wait, NULL), 0);
    drop_things();
}
