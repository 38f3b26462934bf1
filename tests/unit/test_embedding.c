/* SPDX-License-Identifier: MIT */
/*
 * A loop inside another one: descriptor and timeout together miss nothing and ask for nothing in
 * vain.
 *
 * The other loop is a poll(2) of five seconds that must end within two: an event that is missed
 * makes it run out, a slow machine does not.
 */
#define _GNU_SOURCE
#include "harness.h"
#include "refuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <ouro/uring.h>

TestSuite(embedding, .timeout = 60);

#define POLL_MS 5000
#define PROMPT  OURO_SEC(2)
#define A_WHILE 30000 /* microseconds: until the poll has begun, most likely */

/* ---- What happens meanwhile ------------------------------------------------------------------ */

struct event {
    ouro_loop *loop;
    int fd;
    int calls;
};

static void note(void *arg)
{
    ++*(int *)arg;
}

static void *post_later(void *arg)
{
    struct event *e = arg;
    usleep(A_WHILE);
    check_eq(ouro_loop_post(e->loop, note, &e->calls, NULL), 0);
    return NULL;
}

static void *wake_later(void *arg)
{
    struct event *e = arg;
    usleep(A_WHILE);
    check_eq(ouro_loop_wake(e->loop), 0);
    return NULL;
}

static void *write_later(void *arg)
{
    struct event *e = arg;
    usleep(A_WHILE);
    check_eq(write(e->fd, "x", 1), 1);
    return NULL;
}

/* Be the other loop for one event: the loop asks for no step until it comes, and is then
 * readable. */
static void poll_during(void *(*happen)(void *), struct event *e)
{
    struct pollfd p = {.fd = ouro_loop_fd(e->loop), .events = POLLIN};
    pthread_t thread;
    check(p.fd >= 0);
    check(ouro_loop_timeout(e->loop) > OURO_SEC(10));
    ouro_ns start = ouro_now();
    check_eq(pthread_create(&thread, NULL, happen, e), 0);
    int rc;
    do
        rc = poll(&p, 1, POLL_MS);
    while (rc < 0 && errno == EINTR);
    ouro_ns took = ouro_now() - start;
    check_eq(rc, 1);
    check(took < PROMPT);
    check_eq(pthread_join(thread, NULL), 0);
}

static int64_t nap(void *arg)
{
    (void)arg;
    return ouro_await(ouro_sleep(OURO_MS(1)));
}

static ouro_future *start_read(int fd, char *buf)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buf, .len = 1, .off = (uint64_t)-1};
    return ouro_uring_op(&sqe, NULL);
}

static void open_pipe(int ends[2])
{
    check_eq(pipe2(ends, O_CLOEXEC), 0);
}

static void close_pipe(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

/* ---- Posts ----------------------------------------------------------------------------------- */

WakeTest(embedding, a_post_before_the_first_step_is_seen)
{
    begin_kernel();
    struct event e = {.loop = ouro_loop_current()};
    poll_during(post_later, &e);
    turn();
    check_eq(e.calls, 1);
    end();
}

WakeTest(embedding, a_post_after_steps_is_seen_each_time)
{
    begin_kernel();
    struct event e = {.loop = ouro_loop_current()};
    for (int i = 1; i <= 5; i++) {
        turn();
        poll_during(post_later, &e);
        turn();
        check_eq(e.calls, i);
    }
    end();
}

WakeTest(embedding, a_post_after_a_run_is_seen)
{
    begin_kernel();
    struct event e = {.loop = ouro_loop_current()};
    check_eq(run_main(nap, NULL), 0);
    poll_during(post_later, &e);
    check_eq(ouro_loop_run(e.loop), 0);
    check_eq(e.calls, 1);
    poll_during(post_later, &e);
    check_eq(ouro_loop_run(e.loop), 0);
    check_eq(e.calls, 2);
    end();
}

WakeTest(embedding, a_post_that_was_there_before_asks_for_a_step)
{
    int calls = 0;
    begin_kernel();
    check_eq(ouro_loop_post(ouro_loop_current(), note, &calls, NULL), 0);
    check_eq(ouro_loop_timeout(ouro_loop_current()), 0);
    turn();
    check_eq(calls, 1);
    check_eq(ouro_loop_timeout(ouro_loop_current()), OURO_FOREVER);
    end();
}

/* ---- Wake-ups -------------------------------------------------------------------------------- */

/* A sleep is there throughout, so that the loop has something to wait for. */
static void wake_and_step(struct fake *fake)
{
    ouro_loop *loop = ouro_loop_current();
    ouro_future *f = ouro_sleep(OURO_SEC(1000));
    turns(2);
    for (int i = 0; i < 5; i++) {
        check_eq(ouro_loop_wake(loop), 0);
        check_eq(ouro_loop_timeout(loop), 0);
        check_eq(ouro_loop_timeout(loop), 0); /* asking is no step */
        turn();
        check(ouro_loop_timeout(loop) > OURO_SEC(100));
        turn();
        check(ouro_loop_timeout(loop) > OURO_SEC(100));
    }
    if (fake)
        check_eq(fake->waits, 0);
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    end();
}

WakeTest(embedding, a_wake_asks_for_one_step_and_not_for_ever)
{
    wake_and_step(begin_fake());
    begin_kernel();
    wake_and_step(NULL);
}

WakeTest(embedding, a_wake_before_the_first_step_asks_for_one)
{
    begin_kernel();
    ouro_loop *loop = ouro_loop_current();
    ouro_future *f = ouro_sleep(OURO_SEC(1000));
    check_eq(ouro_loop_wake(loop), 0);
    check_eq(ouro_loop_timeout(loop), 0);
    turn();
    check(ouro_loop_timeout(loop) > OURO_SEC(100));
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    end();
}

WakeTest(embedding, a_wake_while_the_other_loop_polls_makes_it_readable)
{
    begin_kernel();
    struct event e = {.loop = ouro_loop_current()};
    ouro_future *f = ouro_sleep(OURO_SEC(1000));
    for (int i = 0; i < 3; i++) {
        poll_during(wake_later, &e);
        check_eq(ouro_loop_timeout(e.loop), 0);
        turn();
    }
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    end();
}

/* ---- Completions ----------------------------------------------------------------------------- */

/* Each round starts the read in another situation of the loop. */
enum { FRESH, STEPPED, SUBMITTED, AFTER_RUN, SITUATIONS };

static ouro_future *start_read_when(int situation, int fd, char *buf)
{
    if (situation == STEPPED)
        turn();
    if (situation == AFTER_RUN)
        check_eq(run_main(nap, NULL), 0);
    ouro_future *f = start_read(fd, buf);
    if (situation == SUBMITTED)
        turns(2);
    return f;
}

static void see_a_read_complete(int situation)
{
    int ends[2];
    char buf = 0;
    begin_kernel();
    open_pipe(ends);
    struct event e = {.loop = ouro_loop_current(), .fd = ends[1]};
    for (int i = 0; i < 2; i++) {
        ouro_future *f = start_read_when(situation, ends[0], &buf);
        poll_during(write_later, &e);
        turns(2);
        check_eq(ouro_future_result(f).n, 1);
        check_eq(buf, 'x');
        ouro_unref(f);
    }
    close_pipe(ends);
    end();
}

WakeTest(embedding, a_completion_while_the_other_loop_polls_makes_it_readable_at_once)
{
    for (int situation = 0; situation < SITUATIONS; situation++)
        see_a_read_complete(situation);
}

WakeTest(embedding, a_completion_before_the_descriptor_was_asked_for_is_told)
{
    int ends[2];
    char buf = 0;
    begin_kernel();
    open_pipe(ends);
    ouro_future *f = start_read(ends[0], &buf);
    turns(2);
    check_eq(write(ends[1], "x", 1), 1);
    struct pollfd p = {.fd = ouro_loop_fd(ouro_loop_current()), .events = POLLIN};
    check(ouro_loop_timeout(ouro_loop_current()) == 0 || poll(&p, 1, POLL_MS) == 1);
    turns(2);
    check_eq(ouro_future_result(f).n, 1);
    ouro_unref(f);
    close_pipe(ends);
    end();
}

static int64_t echo(void *arg)
{
    const int *fd = arg;
    char buf;
    int64_t n = 0;
    for (int i = 0; i < 50 && n >= 0; i++)
        n = ouro_await(start_read(*fd, &buf));
    return n;
}

static void *write_often(void *arg)
{
    for (int i = 0; i < 50; i++) {
        usleep(300);
        check_eq(write(*(int *)arg, "x", 1), 1);
    }
    return NULL;
}

WakeTest(embedding, descriptor_and_timeout_alone_drive_a_task_without_a_missed_event)
{
    int ends[2];
    pthread_t thread;
    begin_kernel();
    open_pipe(ends);
    ouro_loop *loop = ouro_loop_current();
    ouro_future *task = ouro_spawn(echo, &ends[0]);
    check_eq(pthread_create(&thread, NULL, write_often, &ends[1]), 0);
    while (ouro_future_state(task) == OURO_PENDING) {
        struct pollfd p = {.fd = ouro_loop_fd(loop), .events = POLLIN};
        ouro_ns wait = ouro_loop_timeout(loop);
        check(wait == 0 || wait == OURO_FOREVER);
        check(wait == 0 || poll(&p, 1, POLL_MS) == 1);
        turn();
    }
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(ouro_future_result(task).n, 1);
    ouro_unref(task);
    close_pipe(ends);
    end();
}
