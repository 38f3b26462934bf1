/* SPDX-License-Identifier: MIT */
/*
 * Remotes of futures: a thread without a loop waits for what its loop has begun already.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <unistd.h>

#include <ouro/uring.h>

TestSuite(remote, .timeout = 60);

static void *wait_too(void *arg)
{
    ouro_remote *r = arg;
    int64_t n = ouro_remote_wait(r, OURO_FOREVER);
    ouro_remote_free(r);
    return (void *)(intptr_t)n;
}

/* Has the remote, and a thread to wait with it. */
struct waiter {
    ouro_remote *r;
    pthread_t thread;
};

static struct waiter wait_on_thread(ouro_remote *r)
{
    struct waiter w = {.r = r};
    check_eq(pthread_create(&w.thread, NULL, wait_too, ouro_remote_ref(r)), 0);
    return w;
}

static int64_t joined(struct waiter *w)
{
    void *got;
    check_eq(pthread_join(w->thread, &got), 0);
    ouro_remote_free(w->r);
    return (intptr_t)got;
}

Test(remote, of_a_future_has_its_result)
{
    ouro_remote *r;
    begin_kernel();
    check_eq(ouro_remote_new(ouro_sleep(OURO_MS(5)), &r), 0);
    struct waiter w = wait_on_thread(r);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(joined(&w), 0);
    end();
}

Test(remote, of_a_future_that_has_settled_can_be_read_at_once)
{
    ouro_remote *r;
    begin_fake();
    check_eq(ouro_remote_new(ouro_ready(12), &r), 0);
    check_eq(ouro_remote_wait(r, 0), 12);
    check_eq(ouro_remote_wait(r, OURO_FOREVER), 12);
    ouro_remote_free(r);
    check_eq(ouro_remote_new(ouro_spawn(NULL, NULL), &r), 0);
    check_eq(ouro_remote_wait(r, 0), -EINVAL);
    ouro_remote_free(r);
    check_eq(ouro_remote_new(ouro_ready(-EIO), &r), 0);
    check_eq(ouro_remote_wait(r, 0), -EIO);
    ouro_remote_free(r);
    end();
}

Test(remote, of_a_future_cancels_it)
{
    ouro_remote *r;
    begin_kernel();
    check_eq(ouro_remote_new(ouro_sleep(OURO_SEC(1000)), &r), 0);
    check_eq(ouro_remote_wait(r, 0), -EAGAIN);
    struct waiter w = wait_on_thread(r);
    check_eq(ouro_remote_cancel(r), 1);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(joined(&w), -ECANCELED);
    end();
}

Test(remote, a_future_that_its_loop_cancels_says_so)
{
    ouro_remote *r;
    begin_fake();
    ouro_future *f = ouro_sleep(OURO_SEC(1000));
    check_eq(ouro_remote_new(ouro_ref(f), &r), 0);
    check_eq(ouro_cancel(f), 1);
    turns(2);
    check_eq(ouro_remote_wait(r, 0), -OURO_ECHILDCANCELLED);
    ouro_remote_free(r);
    ouro_unref(f);
    end();
}

static ouro_future *open_null(void)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_OPENAT,
        .fd = AT_FDCWD,
        .addr = (uintptr_t) "/dev/null",
        .open_flags = O_RDONLY | O_CLOEXEC,
    };
    return ouro_uring_op(&sqe, &(ouro_uring_options){.result_is_fd = 1});
}

Test(remote, a_descriptor_is_the_waiters_once_it_has_been_seen)
{
    ouro_remote *r;
    begin_kernel();
    check_eq(ouro_remote_new(open_null(), &r), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    int64_t fd = ouro_remote_wait(r, 0);
    check(fd >= 0);
    ouro_remote_free(r);
    turns(2);
    check_eq(close((int)fd), 0);
    end();
}

Test(remote, a_descriptor_that_nobody_saw_is_closed)
{
    ouro_remote *r;
    begin_kernel();
    for (int i = 0; i < 2; i++) {
        check_eq(ouro_remote_new(open_null(), &r), 0);
        if (i == 1)
            check_eq(ouro_loop_run(ouro_loop_current()), 0);
        ouro_remote_free(r);
    }
    end();
}

Test(remote, a_descriptor_that_outlived_its_loop_unseen_is_closed)
{
    ouro_remote *r;
    begin_kernel();
    check_eq(ouro_remote_new(open_null(), &r), 0);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_remote_free(r);
    end_closed();
}

Test(remote, of_a_future_that_others_hold_too_leaves_them_the_value)
{
    ouro_remote *r;
    begin_fake();
    ouro_future *f = ouro_ready(12);
    check_eq(ouro_remote_new(ouro_ref(f), &r), 0);
    check_eq(ouro_remote_wait(r, 0), 12);
    check_eq(ouro_future_result(f).n, 12);
    ouro_unref(f);
    ouro_remote_free(r);
    end();
}
