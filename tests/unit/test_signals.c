/* SPDX-License-Identifier: MIT */
/*
 * Signals as futures: who gets one, who gets it when that one does not want it, and what is left of
 * the watch when it is over.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(signals, .timeout = 30);

static ouro_signals *watch(int number)
{
    ouro_signals *s = NULL;
    check_eq(ouro_signals_open(&number, 1, &s), 0);
    check(s != NULL);
    return s;
}

static ouro_signals *watch_two(int a, int b)
{
    ouro_signals *s = NULL;
    check_eq(ouro_signals_open((int[]){a, b}, 2, &s), 0);
    return s;
}

static bool is_blocked(int number)
{
    sigset_t set;
    check_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    return sigismember(&set, number);
}

static bool is_pending(int number)
{
    sigset_t set;
    check_eq(sigpending(&set), 0);
    return sigismember(&set, number);
}

/* The line of /proc that tells what the main thread blocks. */
static void read_blocked(char line[64])
{
    char text[64];
    FILE *status = fopen("/proc/self/status", "r");
    check(status != NULL);
    line[0] = '\0';
    while (fgets(text, sizeof text, status))
        if (strncmp(text, "SigBlk:", 7) == 0)
            memcpy(line, text, sizeof text);
    fclose(status);
    check(line[0] != '\0');
}

/* A signal from another process, sent when the loop has gone to sleep. */
static pid_t send_later(int number)
{
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        usleep(20000);
        kill(getppid(), number);
        _exit(0);
    }
    return child;
}

static void reap(pid_t child)
{
    check_eq(waitpid(child, NULL, 0), child);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

KernelTest(signals, a_wait_comes_to_the_number_of_the_signal)
{
    ouro_signals *s = watch_two(SIGUSR1, SIGTERM);
    check_eq(raise(SIGTERM), 0);
    check_eq(ouro_await(ouro_signals_next(s)), SIGTERM);
    ouro_future *f = ouro_signals_next(s);
    check_eq(ouro_await(ouro_sleep(OURO_MS(1))), 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(kill(getpid(), SIGUSR1), 0);
    check_eq(ouro_await(f), SIGUSR1);
    ouro_signals_close(s);
    return 0;
}

KernelTest(signals, one_that_comes_while_the_loop_sleeps_wakes_it)
{
    ouro_signals *s = watch(SIGUSR2);
    pid_t child = send_later(SIGUSR2);
    check_eq(ouro_await(ouro_signals_next(s)), SIGUSR2);
    check_eq(ouro_signals_sender(s), child);
    reap(child);
    child = send_later(SIGTERM);
    check_eq(ouro_await(ouro_signal_wait(SIGTERM)), SIGTERM);
    reap(child);
    ouro_signals_close(s);
    return 0;
}

KernelTest(signals, many_raises_come_once_at_least)
{
    ouro_signals *s = watch(SIGUSR1);
    for (int i = 0; i < 5; i++)
        check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_await(ouro_signals_next(s)), SIGUSR1);
    check_eq(ouro_await(ouro_timeout(ouro_signals_next(s), OURO_MS(1))), -ETIMEDOUT);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_await(ouro_signals_next(s)), SIGUSR1);
    ouro_signals_close(s);
    return 0;
}

KernelTest(signals, real_time_signals_come_as_often_as_they_were_raised)
{
    ouro_signals *s = watch_two(SIGRTMIN, SIGRTMAX);
    for (int i = 0; i < 3; i++)
        check_eq(raise(SIGRTMIN), 0);
    check_eq(raise(SIGRTMAX), 0);
    for (int i = 0; i < 3; i++)
        check_eq(ouro_await(ouro_signals_next(s)), SIGRTMIN);
    check_eq(ouro_await(ouro_signals_next(s)), SIGRTMAX);
    ouro_signals_close(s);
    return 0;
}

KernelTest(signals, those_in_line_are_served_in_order)
{
    ouro_signals *s = watch_two(SIGUSR1, SIGUSR2);
    ouro_future *f[3];
    for (int i = 0; i < 3; i++)
        f[i] = ouro_signals_next(s);
    check_eq(raise(SIGUSR2), 0);
    check_eq(ouro_join(f[0]), SIGUSR2);
    check_eq(ouro_future_state(f[1]), OURO_PENDING);
    check_eq(raise(SIGUSR1), 0);
    check_eq(raise(SIGUSR2), 0);
    check_eq(ouro_await(f[1]), SIGUSR1);
    check_eq(ouro_await(f[2]), SIGUSR2);
    ouro_unref(f[0]);
    ouro_signals_close(s);
    return 0;
}

KernelTest(signals, one_that_is_ignored_or_handled_comes_all_the_same)
{
    struct sigaction before, after;
    check(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
    check_eq(sigaction(SIGUSR1, NULL, &before), 0);
    ouro_signals *s = watch(SIGUSR1);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_await(ouro_signals_next(s)), SIGUSR1);
    ouro_signals_close(s);
    check_eq(sigaction(SIGUSR1, NULL, &after), 0);
    check(after.sa_handler == before.sa_handler);
    return 0;
}

KernelTest(signals, the_sender_is_the_one_of_the_last_that_came)
{
    ouro_signals *s = watch(SIGUSR1);
    check_eq(ouro_signals_sender(s), 0);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_signals_sender(s), 0);
    check_eq(ouro_await(ouro_signals_next(s)), SIGUSR1);
    check_eq(ouro_signals_sender(s), getpid());
    check_eq(ouro_signals_sender(NULL), -EINVAL);
    ouro_signals_close(s);
    return 0;
}

/* ---- Waits that are given up ----------------------------------------------------------------- */

KernelTest(signals, a_cancelled_wait_leaves_the_signal_to_the_next)
{
    ouro_signals *s = watch(SIGUSR1);
    ouro_future *first = ouro_signals_next(s), *second = ouro_signals_next(s);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(first), 1);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_await(second), SIGUSR1);
    check_eq(ouro_await(first), -OURO_ECHILDCANCELLED);
    first = ouro_signals_next(s);
    check_eq(ouro_yield(), 0);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_cancel(first), 1);
    check_eq(ouro_await(first), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(ouro_signals_next(s)), SIGUSR1);
    ouro_signals_close(s);
    return 0;
}

KernelTest(signals, one_that_nobody_took_comes_again)
{
    ouro_signals *s = watch_two(SIGUSR1, SIGUSR2);
    for (int i = 0; i < 2; i++) {
        ouro_future *f = ouro_signals_next(s);
        check_eq(raise(i ? SIGUSR1 : SIGUSR2), 0);
        check_eq(ouro_join(f), i ? SIGUSR1 : SIGUSR2);
        ouro_unref(f);
        check_eq(ouro_yield(), 0);
        check_eq(ouro_await(ouro_signals_next(s)), i ? SIGUSR1 : SIGUSR2);
    }
    check_eq(ouro_await(ouro_timeout(ouro_signals_next(s), OURO_MS(1))), -ETIMEDOUT);
    ouro_signals_close(s);
    return 0;
}

KernelTest(signals, one_that_comes_again_goes_to_who_waits_already)
{
    ouro_signals *s = watch(SIGUSR1);
    ouro_future *first = ouro_signals_next(s), *second = ouro_signals_next(s);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_join(first), SIGUSR1);
    check_eq(ouro_future_state(second), OURO_PENDING);
    ouro_unref(first);
    check_eq(ouro_await(second), SIGUSR1);
    ouro_signals_close(s);
    return 0;
}

KernelTest(signals, the_stream_may_be_closed_before_its_futures_are_dropped)
{
    ouro_signals *s = watch(SIGUSR1);
    ouro_future *taken = ouro_signals_next(s), *dropped = ouro_signals_next(s);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_join(taken), SIGUSR1);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_join(dropped), SIGUSR1);
    ouro_signals_close(s);
    check_eq(ouro_await(taken), SIGUSR1);
    ouro_unref(dropped);
    return 0;
}

static int64_t wait_for(void *arg)
{
    return ouro_await(ouro_signals_next(arg));
}

KernelTest(signals, a_task_that_waits_can_be_cancelled)
{
    ouro_signals *s = watch(SIGUSR1);
    ouro_future *task = ouro_spawn(wait_for, s);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(ouro_timeout(ouro_spawn(wait_for, s), OURO_MS(1))), -ETIMEDOUT);
    ouro_signals_close(s);
    return 0;
}

Test(signals, a_wait_begun_while_polling_is_being_cancelled_is_served)
{
    struct fake *fake = begin_fake();
    ouro_signals *s = watch(SIGUSR1);
    ouro_future *first = ouro_signals_next(s);
    turn();
    check_eq(fake_count(fake, IORING_OP_POLL_ADD), 1);
    check_eq(ouro_cancel(first), 1);
    ouro_future *second = ouro_signals_next(s);
    turns(3);
    check_eq(fake_count(fake, IORING_OP_POLL_ADD), 1);
    check_eq(raise(SIGUSR1), 0);
    fake_finish(fake, IORING_OP_POLL_ADD, POLLIN, 0);
    turns(2);
    check_eq(ouro_future_take(second).n, SIGUSR1);
    ouro_unref(first);
    ouro_unref(second);
    ouro_signals_close(s);
    end();
}

Test(signals, a_cancel_that_the_signal_was_faster_than_loses_nothing)
{
    struct fake *fake = begin_fake();
    ouro_signals *s = watch(SIGUSR1);
    ouro_future *first = ouro_signals_next(s);
    turn();
    fake->on_cancel = FAKE_CANCEL_DATA_FIRST;
    fake->late_res = POLLIN;
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_cancel(first), 1);
    turns(3);
    check_eq(ouro_future_state(first), OURO_CANCELLED);
    ouro_unref(first);
    check_eq(fake_pending_count(fake), 0);
    ouro_future *second = ouro_signals_next(s);
    turn();
    fake_finish(fake, IORING_OP_POLL_ADD, POLLIN, 0);
    turns(2);
    check_eq(ouro_future_take(second).n, SIGUSR1);
    ouro_unref(second);
    ouro_signals_close(s);
    end();
}

Test(signals, polling_that_wakes_for_nothing_goes_on)
{
    struct fake *fake = begin_fake();
    ouro_signals *s = watch(SIGUSR1);
    ouro_future *f = ouro_signals_next(s);
    turn();
    fake_finish(fake, IORING_OP_POLL_ADD, POLLIN, 0);
    turns(2);
    check_eq(ouro_future_state(f), OURO_PENDING);
    check_eq(fake_count(fake, IORING_OP_POLL_ADD), 1);
    fake_finish(fake, IORING_OP_POLL_ADD, -EIO, 0);
    turns(2);
    check_eq(ouro_future_result(f).n, -EIO);
    ouro_unref(f);
    ouro_signals_close(s);
    end();
}

/* ---- The end of a watch ---------------------------------------------------------------------- */

KernelTest(signals, the_mask_is_as_it_was_when_the_watch_has_ended)
{
    sigset_t set;
    char before[64], during[64], after[64];
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    check_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    read_blocked(before);
    ouro_signals *s = watch_two(SIGUSR1, SIGUSR2);
    check(is_blocked(SIGUSR1));
    read_blocked(during);
    check(strcmp(before, during) != 0);
    ouro_signals_close(s);
    read_blocked(after);
    check_text(after, before);
    check(is_blocked(SIGUSR2));
    check_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    return 0;
}

KernelTest(signals, what_came_and_was_not_read_is_dropped_with_the_watch)
{
    ouro_signals *s = watch_two(SIGTERM, SIGRTMIN);
    check_eq(raise(SIGTERM), 0);
    check_eq(kill(getpid(), SIGTERM), 0);
    check_eq(raise(SIGRTMIN), 0);
    check_eq(raise(SIGRTMIN), 0);
    ouro_signals_close(s);
    check(!is_pending(SIGTERM));
    check(!is_blocked(SIGTERM));
    return 0;
}

KernelTest(signals, who_waits_for_a_stream_that_is_closed_gets_epipe)
{
    ouro_signals *s = watch(SIGUSR1);
    ouro_future *first = ouro_signals_next(s), *second = ouro_signals_next(s);
    check_eq(ouro_yield(), 0);
    ouro_signals_close(s);
    check_eq(ouro_await(first), -EPIPE);
    check_eq(ouro_await(second), -EPIPE);
    check(ouro_signals_close(NULL) == NULL);
    return 0;
}

Test(signals, a_stream_that_nobody_waits_for_keeps_no_loop_running)
{
    begin_kernel();
    ouro_signals *s = watch(SIGUSR1);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    ouro_future *f = ouro_timeout(ouro_signals_next(s), OURO_MS(1));
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(ouro_future_result(f).n, -ETIMEDOUT);
    ouro_unref(f);
    ouro_signals_close(s);
    end();
}

Test(signals, closing_the_loop_ends_what_it_watches)
{
    begin_kernel();
    ouro_signals *first = watch(SIGUSR1), *second = watch_two(SIGUSR2, SIGTERM);
    ouro_future *f = ouro_signals_next(first);
    check_eq(raise(SIGTERM), 0);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(1)), 0);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    f = ouro_signals_next(second);
    check_eq(ouro_future_result(f).n, -ESHUTDOWN);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2) && !is_blocked(SIGTERM));
    f = ouro_signals_next(second);
    check_eq(ouro_future_result(f).n, -ESHUTDOWN);
    ouro_signals_close(first);
    ouro_signals_close(second);
    end_closed();
    begin_kernel();
    ouro_signals_close(watch_two(SIGUSR1, SIGTERM));
    end();
}

/* ---- Once ------------------------------------------------------------------------------------ */

KernelTest(signals, a_single_wait_watches_until_it_has_settled)
{
    ouro_future *f = ouro_signal_wait(SIGUSR1);
    check(is_blocked(SIGUSR1));
    check_eq(ouro_await(ouro_signal_wait(SIGUSR1)), -EBUSY);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_await(f), SIGUSR1);
    check(!is_blocked(SIGUSR1));
    check_eq(ouro_await(ouro_timeout(ouro_signal_wait(SIGUSR1), OURO_MS(1))), -ETIMEDOUT);
    check(!is_blocked(SIGUSR1));
    f = ouro_signal_wait(SIGUSR1);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    check(!is_blocked(SIGUSR1));
    return 0;
}

KernelTest(signals, a_single_wait_that_nobody_reads_ends_its_watch_too)
{
    ouro_future *f = ouro_signal_wait(SIGUSR1);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_join(f), SIGUSR1);
    ouro_unref(f);
    check(!is_blocked(SIGUSR1));
    check_eq(ouro_await(ouro_timeout(ouro_signal_wait(SIGUSR1), OURO_MS(1))), -ETIMEDOUT);
    return 0;
}

/* ---- Who may watch what ---------------------------------------------------------------------- */

KernelTest(signals, what_cannot_be_watched_is_einval)
{
    static const int bad[] = {0,       -1,      65,        1000,     32,     33,
                              SIGKILL, SIGSTOP, SIGSEGV,   SIGBUS,   SIGFPE, SIGILL,
                              SIGTRAP, SIGSYS,  INT32_MAX, INT32_MIN};
    ouro_signals *s = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_eq(ouro_signals_open((int[]){SIGUSR1, bad[i]}, 2, &s), -EINVAL);
        check_eq(ouro_await(ouro_signal_wait(bad[i])), -EINVAL);
    }
    check_eq(ouro_signals_open(NULL, 1, &s), -EINVAL);
    check_eq(ouro_signals_open((int[]){SIGUSR1}, 0, &s), -EINVAL);
    check_eq(ouro_signals_open((int[]){SIGUSR1}, 1, NULL), -EINVAL);
    check_eq(ouro_await(ouro_signals_next(NULL)), -EINVAL);
    check(s == NULL);
    check(!is_blocked(SIGUSR1));
    return 0;
}

KernelTest(signals, what_somebody_watches_is_ebusy_and_nothing_else_is_lost)
{
    ouro_signals *s = watch(SIGUSR2), *other = NULL;
    check_eq(ouro_signals_open((int[]){SIGUSR1, SIGUSR2, SIGTERM}, 3, &other), -EBUSY);
    check(other == NULL);
    check(!is_blocked(SIGUSR1) && !is_blocked(SIGTERM));
    other = watch_two(SIGUSR1, SIGTERM);
    ouro_signals_close(other);
    ouro_signals_close(s);
    s = watch_two(SIGUSR2, SIGUSR2);
    ouro_signals_close(s);
    return 0;
}

static void *watch_on_another_loop(void *arg)
{
    ouro_loop *loop = NULL;
    ouro_signals *s = NULL;
    check_eq(ouro_signals_open((int[]){SIGUSR1}, 1, &s), -EPERM);
    check_eq(ouro_loop_new(NULL, &loop), 0);
    check_eq(ouro_signals_open((int[]){SIGUSR1}, 1, &s), -EBUSY);
    ouro_future *f = ouro_signals_next(arg);
    check_eq(ouro_future_result(f).n, -EXDEV);
    check_eq(ouro_loop_close(loop), 0);
    return NULL;
}

KernelTest(signals, a_signal_belongs_to_one_loop_of_the_process)
{
    pthread_t thread;
    ouro_signals *s = watch(SIGUSR1);
    check_eq(pthread_create(&thread, NULL, watch_on_another_loop, s), 0);
    check_eq(pthread_join(thread, NULL), 0);
    ouro_signals_close(s);
    return 0;
}

static ouro_signals *parents;

static int watch_in_child(void)
{
    ouro_loop *loop = NULL;
    ouro_signals *s = NULL;
    child_check(ouro_signals_open((int[]){SIGUSR1}, 1, &s) == -ECHILD);
    ouro_future *f = ouro_signals_next(parents);
    child_check(ouro_future_result(f).n == -ECHILD);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(!is_blocked(SIGUSR1));
    child_check(ouro_loop_new(NULL, &loop) == 0);
    child_check(ouro_signals_open((int[]){SIGUSR1, SIGUSR2}, 2, &s) == 0);
    ouro_signals_close(parents);
    raise(SIGUSR2);
    child_check(ouro_loop_run_until(loop, ouro_signals_next(s)) == SIGUSR2);
    child_check(ouro_signals_open((int[]){SIGUSR1}, 1, &s) == -EBUSY);
    ouro_signals_close(s);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

static pthread_barrier_t barrier;

/* A loop that the child of a fork cannot close. */
static void *watch_meanwhile(void *arg)
{
    ouro_loop *loop = NULL;
    (void)arg;
    check_eq(ouro_loop_new(NULL, &loop), 0);
    ouro_signals *s = watch(SIGUSR2);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    ouro_signals_close(s);
    check_eq(ouro_loop_close(loop), 0);
    return NULL;
}

Test(signals, a_forked_child_watches_for_itself_and_disturbs_nobody)
{
    char text[512];
    pthread_t thread;
    check_eq(pthread_barrier_init(&barrier, NULL, 2), 0);
    check_eq(pthread_create(&thread, NULL, watch_meanwhile, NULL), 0);
    pthread_barrier_wait(&barrier);
    begin_kernel();
    parents = watch(SIGUSR1);
    check_child(watch_in_child, text, sizeof text);
    check_eq(raise(SIGUSR1), 0);
    check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_signals_next(parents)), SIGUSR1);
    ouro_signals_close(parents);
    end();
    pthread_barrier_wait(&barrier);
    check_eq(pthread_join(thread, NULL), 0);
}

KernelTest(signals, no_descriptor_is_emfile_and_watches_nothing)
{
    struct rlimit before, none;
    ouro_signals *s = NULL;
    check_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    check_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = ouro_signals_open((int[]){SIGUSR1}, 1, &s);
    int64_t once = ouro_await(ouro_signal_wait(SIGUSR1));
    check_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    check_eq(rc, -EMFILE);
    check_eq(once, -EMFILE);
    check(!is_blocked(SIGUSR1));
    s = watch(SIGUSR1);
    ouro_signals_close(s);
    return 0;
}

/* ---- SIGINT ---------------------------------------------------------------------------------- */

static int64_t watch_sigint(void *arg)
{
    ouro_signals *s = watch(SIGINT);
    (void)arg;
    for (int i = 0; i < 3; i++) {
        check_eq(kill(getpid(), SIGINT), 0);
        check_eq(ouro_await(ouro_signals_next(s)), SIGINT);
    }
    ouro_signals_close(s);
    check_eq(kill(getpid(), SIGINT), 0);
    return ouro_await(ouro_sleep(OURO_SEC(100)));
}

Test(signals, sigint_is_the_watchers_and_after_that_the_runs_again)
{
    check_eq(ouro_run(watch_sigint, NULL, NULL), -EINTR);
}
