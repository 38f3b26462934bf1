/* SPDX-License-Identifier: MIT */
/*
 * The kernel driver, through the seam and a real ring. Every test ends by giving the ring back and
 * counting descriptors.
 */
#define _GNU_SOURCE 1

#include "setup.h"

#include "driver_test.h"
#include "refuse.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

/* ---- Submitting and reaping ------------------------------------------------------------------ */

Test(driver, nop_makes_the_round_trip_in_one_enter)
{
    open_driver(64, 0);
    settle();
    nop(42);
    uint64_t before = enters();
    cr_assert_eq(d->ops->submit(d, OURO__NEVER), 0);
    cr_assert_eq(enters(), before + 1);
    struct ouro__completion c[4];
    cr_assert_eq(d->ops->reap(d, c, 4), 1);
    cr_assert_eq(c[0].user_data, 42);
    cr_assert_eq(c[0].res, 0);
    cr_assert_eq(c[0].flags, 0);
    cr_assert_eq(d->ops->reap(d, c, 4), 0);
    close_driver();
}

Test(driver, entries_come_zeroed)
{
    open_driver(8, 0);
    for (int round = 0; round < 20; round++) {
        struct io_uring_sqe *sqe = d->ops->get_sqe(d);
        uint64_t words[sizeof *sqe / sizeof(uint64_t)];
        memcpy(words, sqe, sizeof words);
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            cr_assert_eq(words[i], 0);
        memset(sqe, 0, sizeof *sqe);
        sqe->off = sqe->addr = sqe->len = 77; /* ignored by a NOP */
        sqe->user_data = 1;
        next();
    }
    close_driver();
}

Test(driver, submission_order_is_completion_order)
{
    open_driver(64, 0);
    for (uint64_t i = 0; i < 50; i++)
        nop(i);
    cr_assert_eq(d->ops->submit(d, 0), 0);
    for (uint64_t i = 0; i < 50; i++)
        cr_assert_eq(next().user_data, i);
    close_driver();
}

Test(driver, all_63_bits_below_the_drivers_own_are_the_loops)
{
    open_driver(8, 0);
    nop(~OURO__DRIVER_DATA);
    cr_assert_eq(next().user_data, ~OURO__DRIVER_DATA);
    close_driver();
}

Test(driver, full_queue_gives_null_until_it_is_submitted)
{
    open_driver(8, 0);
    settle();
    unsigned space = d->ops->sq_space(d);
    cr_assert_eq(space, 7, "one slot is the driver's");
    for (unsigned i = 0; i < space; i++) {
        cr_assert_eq(d->ops->sq_space(d), space - i);
        nop(i);
    }
    cr_assert_eq(d->ops->sq_space(d), 0);
    cr_assert_null(d->ops->get_sqe(d));
    cr_assert_eq(d->ops->submit(d, 0), 0);
    cr_assert_eq(d->ops->sq_space(d), space);
    nop(space);
    for (uint64_t i = 0; i <= space; i++)
        cr_assert_eq(next().user_data, i);
    close_driver();
}

WakeTest(driver, full_queue_has_room_for_the_wake_that_was_consumed)
{
    open_driver(8, 0);
    settle();
    d->ops->wake(d);
    cr_assert_eq(d->ops->submit(d, OURO__NEVER), 0);
    struct ouro__completion c[16];
    cr_assert_eq(d->ops->reap(d, c, 16), 0); /* its READ is out of the ring now */
    for (uint64_t i = 0; try_nop(i); i++)
        ;
    cr_assert_eq(d->ops->submit(d, 0), 0);
    cr_assert_eq(d->ops->reap(d, c, 16), 7);
    d->ops->wake(d);
    cr_assert(d->ops->ready(d), "the READ was not put back");
    close_driver();
}

Test(driver, reap_takes_no_more_than_asked)
{
    open_driver(64, 0);
    for (uint64_t i = 0; i < 10; i++)
        nop(i);
    cr_assert_eq(d->ops->submit(d, 0), 0);
    struct ouro__completion c[8];
    memset(c, 0xff, sizeof c);
    cr_assert_eq(d->ops->reap(d, c, 0), 0);
    cr_assert_eq(d->ops->reap(d, c, 3), 3);
    cr_assert_eq(c[2].user_data, 2);
    cr_assert_eq(c[3].user_data, UINT64_MAX);
    cr_assert_eq(d->ops->reap(d, c, 8), 7);
    cr_assert_eq(c[6].user_data, 9);
    close_driver();
}

Test(driver, completions_that_are_there_need_no_enter)
{
    open_driver(64, 0);
    settle();
    nop(1);
    nop(2);
    cr_assert_eq(d->ops->submit(d, 0), 0);
    uint64_t before = enters();
    cr_assert(d->ops->ready(d));
    cr_assert_eq(d->ops->submit(d, OURO__NEVER), 0);
    struct ouro__completion c;
    cr_assert_eq(d->ops->reap(d, &c, 1), 1);
    cr_assert(d->ops->ready(d));
    cr_assert_eq(d->ops->reap(d, &c, 1), 1);
    cr_assert_not(d->ops->ready(d));
    cr_assert_eq(enters(), before);
    close_driver();
}

Test(driver, submit_without_wait_and_work_makes_no_enter)
{
    open_driver(64, 0);
    settle();
    uint64_t before = enters();
    for (int i = 0; i < 100; i++)
        cr_assert_eq(d->ops->submit(d, 0), 0);
    cr_assert_eq(enters(), before);
    close_driver();
}

Test(driver, ready_sees_deferred_work_without_an_enter)
{
    open_driver(64, 0);
    int p[2];
    cr_assert_eq(pipe(p), 0);
    char byte = 0;
    read_into(p[0], &byte, 1, 5);
    settle();
    uint64_t before = enters();
    cr_assert_eq(write(p[1], "x", 1), 1);
    cr_assert(d->ops->ready(d));
    cr_assert_eq(enters(), before);
    struct ouro__completion c;
    cr_assert_eq(d->ops->reap(d, &c, 1), 0, "not before the kernel is entered");
    cr_assert_eq(d->ops->submit(d, 0), 0);
    cr_assert_eq(d->ops->reap(d, &c, 1), 1);
    cr_assert_eq(c.res, 1);
    cr_assert_eq(byte, 'x');
    close(p[0]);
    close(p[1]);
    close_driver();
}

Test(driver, full_completion_queue_loses_nothing)
{
    open_driver(8, 0); /* 64 completions fit */
    enum { TOTAL = 5000 };
    uint64_t sent = 0;
    uint64_t taken = 0;
    while (sent < TOTAL) {
        while (sent < TOTAL && try_nop(sent))
            sent++;
        int rc = d->ops->submit(d, 0);
        cr_assert(rc == 0 || rc == -EBUSY || rc == -EAGAIN, "%d", rc);
        if (rc < 0)
            cr_assert_eq(next().user_data, taken++);
    }
    while (taken < TOTAL)
        cr_assert_eq(next().user_data, taken++);
    cr_assert_gt(d->stats.overflows, 0);
    cr_assert_geq(d->stats.submitted, TOTAL);
    settle();
    close_driver();
}

Test(driver, cancelled_read_says_so_and_everything_is_counted)
{
    open_driver(64, 0);
    settle();
    struct ouro__driver_stats before = d->stats;
    int p[2];
    cr_assert_eq(pipe(p), 0);
    char byte = 0;
    read_into(p[0], &byte, 1, 7);
    cr_assert_eq(d->ops->submit(d, 0), 0);
    struct io_uring_sqe *sqe = d->ops->get_sqe(d);
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->fd = -1;
    sqe->addr = 7;
    sqe->user_data = 8;
    bool seen[2] = {false, false};
    for (int i = 0; i < 2; i++) {
        struct ouro__completion c = next();
        cr_assert_eq(c.res, c.user_data == 7 ? -ECANCELED : 0);
        seen[c.user_data == 8] = true;
    }
    cr_assert(seen[0] && seen[1]);
    cr_assert_eq(d->stats.submitted - before.submitted, 2);
    cr_assert_leq(d->stats.enters - before.enters, 3);
    cr_assert_eq(d->stats.overflows, 0);
    cr_assert_eq(d->stats.spins, 0);
    close(p[0]);
    close(p[1]);
    close_driver();
}

/* ---- Waiting --------------------------------------------------------------------------------- */

Test(driver, deadline_is_kept_and_never_early)
{
    open_driver(64, 0);
    settle();
    static const uint64_t waits[] = {1, 1000, 50000, MS, 5 * MS, 20 * MS};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        uint64_t before = enters();
        uint64_t deadline = d->ops->now(d) + waits[i];
        cr_assert_eq(d->ops->submit(d, deadline), 0);
        uint64_t now = d->ops->now(d);
        cr_assert_geq(now, deadline);
        cr_assert_lt(now, deadline + 1000 * MS);
        cr_assert_leq(enters(), before + 1);
    }
    close_driver();
}

Test(driver, deadline_in_the_past_submits_and_does_not_wait)
{
    open_driver(64, 0);
    settle();
    uint64_t before = enters();
    cr_assert_eq(d->ops->submit(d, 1), 0);
    cr_assert_eq(enters(), before);
    nop(3);
    cr_assert_eq(d->ops->submit(d, 1), 0);
    cr_assert_eq(enters(), before + 1);
    struct ouro__completion c;
    cr_assert_eq(d->ops->reap(d, &c, 1), 1);
    close_driver();
}

static void on_signal(int signo)
{
    (void)signo;
}

static void on_signal_wake(int signo)
{
    (void)signo;
    errno = 12345;
    d->ops->wake(d);
    if (errno != 12345)
        abort();
}

/* Have @handler called in 20 ms and then every 20 ms: a wait that starts late is not for ever. */
static void alarm_soon(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {{0, 20000}, {0, 20000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void alarm_off(void)
{
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
}

Test(driver, signal_ends_a_wait_without_an_error)
{
    open_driver(64, 0);
    settle();
    alarm_soon(on_signal);
    uint64_t deadline = in_ms(5000);
    cr_assert_eq(d->ops->submit(d, deadline), 0);
    alarm_off();
    cr_assert_lt(d->ops->now(d), deadline);
    struct ouro__completion c;
    cr_assert_eq(d->ops->reap(d, &c, 1), 0);
    close_driver();
}

Test(driver, clock_is_the_monotonic_one)
{
    open_driver(64, 0);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t first = (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
    uint64_t now = d->ops->now(d);
    cr_assert_geq(now, first);
    cr_assert_lt(now - first, 1000 * MS);
    close_driver();
}

/* ---- Waking ---------------------------------------------------------------------------------- */

WakeTest(driver, wake_from_another_thread_ends_a_wait)
{
    open_driver(64, 0);
    settle();
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, wake_in_20_ms, NULL), 0);
        uint64_t deadline = in_ms(5000);
        cr_assert_eq(d->ops->submit(d, deadline), 0);
        cr_assert_lt(d->ops->now(d), deadline);
        cr_assert_eq(pthread_join(thread, NULL), 0);
        struct ouro__completion c;
        cr_assert_eq(d->ops->reap(d, &c, 1), 0, "a wake is no completion of the loop's");
    }
    close_driver();
}

WakeTest(driver, wake_from_a_signal_handler_ends_a_wait_and_keeps_errno)
{
    open_driver(64, 0);
    settle();
    alarm_soon(on_signal_wake);
    uint64_t deadline = in_ms(5000);
    cr_assert_eq(d->ops->submit(d, deadline), 0);
    alarm_off();
    cr_assert_lt(d->ops->now(d), deadline);
    close_driver();
}

WakeTest(driver, wake_before_the_first_submit_is_not_lost)
{
    open_driver(64, 0);
    d->ops->wake(d);
    uint64_t deadline = in_ms(5000);
    cr_assert_eq(d->ops->submit(d, deadline), 0);
    cr_assert_lt(d->ops->now(d), deadline);
    close_driver();
}

WakeTest(driver, wake_between_submits_is_not_lost)
{
    open_driver(64, 0);
    settle();
    for (int i = 0; i < 100; i++) {
        d->ops->wake(d);
        uint64_t deadline = in_ms(5000);
        cr_assert_eq(d->ops->submit(d, deadline), 0);
        cr_assert_lt(d->ops->now(d), deadline);
        struct ouro__completion c;
        cr_assert_eq(d->ops->reap(d, &c, 1), 0);
    }
    close_driver();
}

WakeTest(driver, many_wakes_are_one)
{
    open_driver(64, 0);
    settle();
    for (int i = 0; i < 1000; i++)
        d->ops->wake(d);
    cr_assert_eq(d->ops->submit(d, OURO__NEVER), 0);
    settle();
    uint64_t deadline = in_ms(5);
    cr_assert_eq(d->ops->submit(d, deadline), 0);
    cr_assert_geq(d->ops->now(d), deadline, "an old wake came back");
    close_driver();
}

WakeTest(driver, descriptor_polls_readable_for_completions_and_wakes)
{
    open_driver(64, 0);
    settle();
    struct pollfd p = {.fd = d->ops->fd(d), .events = POLLIN};
    cr_assert_geq(p.fd, 0);
    cr_assert_eq(poll(&p, 1, 0), 0);
    d->ops->wake(d);
    cr_assert_eq(poll(&p, 1, 0), 1);
    settle();
    cr_assert_eq(poll(&p, 1, 0), 0);
    nop(1);
    cr_assert_eq(d->ops->submit(d, 0), 0);
    cr_assert_eq(poll(&p, 1, 0), 1);
    close_driver();
}

Test(driver, wake_gets_through_when_a_message_does_not)
{
    open_driver(64, 0);
    settle();
    struct pollfd p = {.fd = d->ops->fd(d), .events = POLLIN};
    refuse_messages();
    for (int i = 0; i < 10; i++) {
        d->ops->wake(d);
        cr_assert_eq(poll(&p, 1, 0), 1);
        uint64_t deadline = in_ms(5000);
        cr_assert_eq(d->ops->submit(d, deadline), 0);
        cr_assert_lt(d->ops->now(d), deadline);
        settle();
    }
    close_driver();
}

/* ---- The ends -------------------------------------------------------------------------------- */

Test(driver, closes_before_its_first_submit)
{
    open_driver(8, 0);
    close_driver();
}

WakeTest(driver, closes_with_its_own_read_in_flight_and_what_was_not_submitted_is_not_done)
{
    open_driver(8, 0);
    settle();
    int p[2];
    cr_assert_eq(pipe(p), 0);
    for (struct io_uring_sqe *sqe; (sqe = d->ops->get_sqe(d)) != NULL;) {
        sqe->opcode = IORING_OP_WRITE;
        sqe->fd = p[1];
        sqe->addr = (uintptr_t) "x";
        sqe->len = 1;
    }
    d->ops->close(d);
    cr_assert_eq(poll(&(struct pollfd){.fd = p[0], .events = POLLIN}, 1, 0), 0);
    close(p[0]);
    close(p[1]);
    d->ops->free(d);
    cr_assert_eq(open_fds(), fds_before);
}

WakeTest(driver, closes_over_a_full_completion_queue_and_reads_in_flight)
{
    open_driver(8, 0);
    int p[2];
    cr_assert_eq(pipe(p), 0);
    static char byte; /* the read is given up, so the kernel may have its memory for ever */
    read_into(p[0], &byte, 1, 1);
    for (int i = 0; i < 20; i++) {
        while (try_nop(2))
            ;
        d->ops->submit(d, 0);
    }
    d->ops->wake(d);
    d->ops->close(d);
    close(p[0]);
    close(p[1]);
    d->ops->free(d);
    cr_assert_eq(open_fds(), fds_before);
}

static void *wake_for_a_while(void *stop)
{
    while (!__atomic_load_n((bool *)stop, __ATOMIC_ACQUIRE))
        d->ops->wake(d);
    return NULL;
}

WakeTest(driver, wakes_may_race_with_close)
{
    open_driver(8, 0);
    bool stop = false;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wake_for_a_while, &stop), 0);
    for (int i = 0; i < 100; i++) {
        struct ouro__completion c;
        cr_assert_eq(d->ops->submit(d, in_ms(5000)), 0);
        cr_assert_eq(d->ops->reap(d, &c, 1), 0);
    }
    d->ops->close(d);
    usleep(5000);
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    d->ops->free(d);
    cr_assert_eq(open_fds(), fds_before);
}

/* The ring's number is another ring's by then, which must not be told. */
WakeTest(driver, wake_after_close_reaches_nobody)
{
    open_driver(8, 0);
    settle();
    d->ops->close(d);
    struct io_uring strangers[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(io_uring_queue_init(8, &strangers[i], 0), 0);
    d->ops->wake(d);
    for (int i = 0; i < 4; i++) {
        io_uring_get_events(&strangers[i]);
        cr_assert_eq(io_uring_cq_ready(&strangers[i]), 0);
        io_uring_queue_exit(&strangers[i]);
    }
    d->ops->free(d);
    cr_assert_eq(open_fds(), fds_before);
}

Test(driver, close_fd_closes)
{
    open_driver(8, 0);
    int p[2];
    cr_assert_eq(pipe(p), 0);
    d->ops->close_fd(d, p[0]);
    d->ops->close_fd(d, p[1]);
    close_driver();
}

WakeTest(driver, child_of_a_fork_lets_go_without_disturbing_the_parent)
{
    open_driver(64, 0);
    settle();
    int p[2];
    cr_assert_eq(pipe(p), 0);
    char byte = 0;
    read_into(p[0], &byte, 1, 9);
    cr_assert_eq(d->ops->submit(d, 0), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        close(p[1]);
        d->ops->close_in_child(d);
        d->ops->free(d);
        _exit(open_fds() == fds_before ? 0 : 1);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0);

    cr_assert_eq(write(p[1], "y", 1), 1);
    struct ouro__completion c = next();
    cr_assert_eq(c.user_data, 9);
    cr_assert_eq(byte, 'y');
    d->ops->wake(d);
    uint64_t deadline = in_ms(5000);
    cr_assert_eq(d->ops->submit(d, deadline), 0);
    cr_assert_lt(d->ops->now(d), deadline);
    close(p[0]);
    close(p[1]);
    close_driver();
}

static void *have_none(size_t size)
{
    (void)size;
    return NULL;
}

Test(driver, no_memory_is_enomem_and_nothing_stays)
{
    int fds = open_fds();
    struct ouro__kernel_options options = {.entries = 8, .alloc = have_none, .release = free};
    struct ouro__driver *none = NULL;
    cr_assert_eq(ouro__kernel_driver_new(&options, &none), -ENOMEM);
    cr_assert_null(none);
    cr_assert_eq(open_fds(), fds);
}

Test(driver, no_descriptors_is_emfile_and_nothing_stays)
{
    /* Room for none, then for the eventfd alone. */
    int fds = open_fds();
    int next_fd = dup(0);
    close(next_fd);
    for (int room = 0; room < 2; room++) {
        struct rlimit limit = {(rlim_t)(next_fd + room), 20000};
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        struct ouro__kernel_options options = {.entries = 8, .alloc = malloc, .release = free};
        struct ouro__driver *none = NULL;
        cr_assert_eq(ouro__kernel_driver_new(&options, &none), -EMFILE);
        limit.rlim_cur = 1000;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        cr_assert_eq(open_fds(), fds);
    }
}
