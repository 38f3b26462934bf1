/* SPDX-License-Identifier: MIT */
/*
 * The watchdog: it tells of a step that does not end while it does not, and of nothing else.
 *
 * A step that blocks does so until it has been told of, for ten seconds at most; so what is proved
 * does not depend on how fast the machine is. Limits are generous where nothing may be told.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(watchdog, .timeout = 60);

#define SOON  OURO_MS(20)
#define LATER OURO_MS(400)

/* What the watchdog told of last. */
static atomic_int told;
static char told_name[64];
static ouro_ns told_duration;
static size_t told_frames;
static bool told_function;

void block_until_told(int times);

/* Not static, so that the linker knows its name. */
__attribute__((noinline)) void block_until_told(int times)
{
    for (int i = 0; i < 10000 && atomic_load(&told) < times; i++)
        usleep(1000);
}

static void keep(const ouro_blocked *blocked, void *arg)
{
    snprintf(told_name, sizeof told_name, "%s", blocked->name ? blocked->name : "(null)");
    told_duration = blocked->duration;
    told_frames = blocked->frame_count;
    told_function = false;
    for (size_t i = 0; i < blocked->frame_count; i++) {
        Dl_info info;
        bool known = dladdr((const char *)blocked->frames[i] - 1, &info) && info.dli_sname;
        if (known && strcmp(info.dli_sname, "block_until_told") == 0)
            told_function = true;
    }
    atomic_fetch_add((atomic_int *)arg, 1);
}

static int start(ouro_ns limit)
{
    return ouro_watchdog_start(&(ouro_watchdog_options){.limit = limit, .fn = keep, .arg = &told});
}

static int64_t block(void *arg)
{
    block_until_told((int)(intptr_t)arg);
    return atomic_load(&told);
}

static int64_t run_blocking(int times)
{
    ouro_spawn_options opts = {.name = "bad"};
    ouro_future *f = ouro_spawn_with(block, (void *)(intptr_t)times, &opts);
    return ouro_loop_run_until(ouro_loop_current(), f);
}

static int64_t hold_for_a_while(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++)
        usleep(1000);
    return 0;
}

static int disposition(int signal, void (*handler)(int))
{
    struct sigaction now;
    check_eq(sigaction(signal, NULL, &now), 0);
    return !(now.sa_flags & SA_SIGINFO) && now.sa_handler == handler;
}

static int threads(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    check(dir != NULL);
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* ---- What it tells --------------------------------------------------------------------------- */

Test(watchdog, tells_of_a_blocked_step_while_it_runs_with_name_and_stack)
{
    begin_kernel();
    check_eq(start(SOON), 0);
    check_eq(run_blocking(1), 1);
    check_text(told_name, "bad");
    check(told_duration >= SOON);
    check(told_function);
    check_eq(ouro_watchdog_stop(), 1);
    end();
}

Test(watchdog, tells_of_each_blocked_step_once)
{
    begin_kernel();
    check_eq(start(SOON), 0);
    check_eq(run_blocking(1), 1);
    check_eq(run_blocking(2), 2);
    check_eq(run_main(hold_for_a_while, NULL), 0);
    check_eq(atomic_load(&told), 3);
    end();
}

static void block_in_callback(void *arg)
{
    block_until_told((int)(intptr_t)arg);
}

Test(watchdog, a_callback_that_blocks_has_no_name)
{
    begin_kernel();
    check_eq(start(SOON), 0);
    check_eq(ouro_call_soon(block_in_callback, (void *)1, NULL, NULL), 0);
    turn();
    check_eq(atomic_load(&told), 1);
    check_text(told_name, "(null)");
    check(told_function);
    end();
}

static int64_t start_and_block(void *arg)
{
    check_eq(start(SOON), 0);
    return block(arg);
}

Test(watchdog, the_step_that_starts_it_is_watched_already)
{
    begin_kernel();
    check_eq(run_main(start_and_block, (void *)1), 1);
    check(told_function);
    end();
}

static int64_t block_deep_down(void *arg)
{
    volatile char room[9 << 10];
    memset((void *)room, 1, sizeof room);
    return block(arg) + room[17] - 1;
}

Test(watchdog, a_task_with_a_small_stack_is_no_problem)
{
    begin_kernel();
    check_eq(start(SOON), 0);
    /* The first call of a library's function has the linker look for it, on the caller's stack, with
     * all registers saved there: some processors have more of these than would fit. */
    usleep(1);
    block_deep_down((void *)0);
    ouro_spawn_options small = {.stack_size = 16 << 10};
    ouro_future *f = ouro_spawn_with(block_deep_down, (void *)1, &small);
    check_eq(ouro_loop_run_until(ouro_loop_current(), f), 1);
    check(told_function);
    end();
}

static int print_blocked(void)
{
    ouro_loop *loop;
    child_check(ouro_loop_new(&(ouro_loop_options){.debug = -1}, &loop) == 0);
    child_check(ouro_watchdog_start(&(ouro_watchdog_options){.limit = SOON}) == 0);
    ouro_future *f = ouro_spawn_with(hold_for_a_while, NULL, &(ouro_spawn_options){.name = "bad"});
    child_check(ouro_loop_run_until(loop, f) == 0);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

Test(watchdog, without_a_function_it_prints_a_line_and_the_stack)
{
    char text[8192];
    check_child(print_blocked, text, sizeof text);
    check(strncmp(text, "ouro: task 'bad' has held its loop for ", 39) == 0);
    check(strstr(text, " ms, and still does:\n") != NULL);
    check(strchr(text, '[') != NULL);
}

/* ---- What it does not tell ------------------------------------------------------------------- */

static int64_t nap(void *arg)
{
    return ouro_await(ouro_sleep(*(ouro_ns *)arg));
}

Test(watchdog, a_loop_that_sleeps_is_not_blocked)
{
    begin_kernel();
    ouro_ns delay = OURO_MS(1200);
    check_eq(start(LATER), 0);
    check_eq(run_main(nap, &delay), 0);
    check_eq(atomic_load(&told), 0);
    end();
}

Test(watchdog, a_loop_that_does_not_run_is_not_blocked)
{
    begin_kernel();
    check_eq(start(SOON), 0);
    turn();
    hold_for_a_while(NULL);
    check_eq(atomic_load(&told), 0);
    end();
}

static int64_t yield_for(void *arg)
{
    ouro_ns end = ouro_now() + *(ouro_ns *)arg;
    while (ouro_now() < end)
        ouro_yield();
    return 0;
}

Test(watchdog, many_short_steps_are_not_a_long_one)
{
    begin_kernel();
    ouro_ns span = OURO_MS(1200);
    check_eq(start(LATER), 0);
    ouro_future *fs[] = {ouro_spawn(yield_for, &span), ouro_spawn(yield_for, &span)};
    ouro_future *g = ouro_gather(fs, 2, OURO_GATHER_ALL, NULL);
    check_eq(ouro_loop_run_until(ouro_loop_current(), g), 0);
    check_eq(atomic_load(&told), 0);
    end();
}

static int64_t start_and_yield(void *arg)
{
    check_eq(start(LATER), 0);
    return yield_for(arg);
}

/* Tasks that switch to each other without the loop must not look like one long step. */
Test(watchdog, nor_are_those_of_tasks_that_were_at_it_when_it_was_started)
{
    begin_kernel();
    ouro_ns span = OURO_MS(1200);
    ouro_future *fs[] = {ouro_spawn(yield_for, &span), ouro_spawn(start_and_yield, &span)};
    ouro_future *g = ouro_gather(fs, 2, OURO_GATHER_ALL, NULL);
    check_eq(ouro_loop_run_until(ouro_loop_current(), g), 0);
    check_eq(atomic_load(&told), 0);
    end();
}

Test(watchdog, once_stopped_it_tells_of_nothing)
{
    begin_kernel();
    int before = threads();
    check_eq(start(SOON), 0);
    check_eq(threads(), before + 1);
    check_eq(ouro_watchdog_stop(), 1);
    check_eq(threads(), before);
    check_eq(ouro_watchdog_stop(), 0);
    check_eq(run_main(hold_for_a_while, NULL), 0);
    check_eq(atomic_load(&told), 0);
    end();
}

/* ---- Starting and stopping ------------------------------------------------------------------- */

Test(watchdog, a_loop_has_one)
{
    check_eq(ouro_watchdog_start(NULL), -EPERM);
    check_eq(ouro_watchdog_stop(), -EPERM);
    begin_kernel();
    check_eq(ouro_watchdog_start(NULL), 0);
    check_eq(ouro_watchdog_start(NULL), -EBUSY);
    check_eq(ouro_watchdog_stop(), 1);
    check_eq(ouro_watchdog_start(NULL), 0);
    end();
}

Test(watchdog, closing_the_loop_stops_it_and_gives_the_signal_back)
{
    begin_kernel();
    int before = threads();
    check_eq(start(SOON), 0);
    check(!disposition(SIGURG, SIG_DFL));
    end();
    check_eq(threads(), before);
    check(disposition(SIGURG, SIG_DFL));
}

static void handle(int signal)
{
    (void)signal;
}

Test(watchdog, a_signal_that_has_a_handler_is_left_alone)
{
    begin_kernel();
    signal(SIGURG, handle);
    check_eq(ouro_watchdog_start(NULL), -EBUSY);
    check(disposition(SIGURG, handle));
    signal(SIGURG, SIG_IGN);
    check_eq(ouro_watchdog_start(NULL), 0);
    check_eq(ouro_watchdog_stop(), 1);
    check(disposition(SIGURG, SIG_IGN));
    end();
}

Test(watchdog, a_handler_that_came_after_it_stays)
{
    begin_kernel();
    check_eq(ouro_watchdog_start(NULL), 0);
    signal(SIGURG, handle);
    check_eq(ouro_watchdog_stop(), 1);
    check(disposition(SIGURG, handle));
    end();
}

Test(watchdog, what_is_no_signal_is_einval)
{
    begin_kernel();
    int bad[] = {-1, 1000, SIGKILL, SIGSTOP, NSIG};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_eq(ouro_watchdog_start(&(ouro_watchdog_options){.signal = bad[i]}), -EINVAL);
    end();
}

static void block_signal(int how, int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    check_eq(pthread_sigmask(how, &set, NULL), 0);
}

/* The signal's own action would end the process. */
Test(watchdog, a_thread_that_does_not_answer_is_told_of_without_a_stack)
{
    begin_kernel();
    ouro_watchdog_options opts = {.limit = SOON, .fn = keep, .arg = &told, .signal = SIGUSR2};
    check_eq(ouro_watchdog_start(&opts), 0);
    block_signal(SIG_BLOCK, SIGUSR2);
    check_eq(run_blocking(1), 1);
    check_eq(told_frames, 0);
    check_text(told_name, "(null)");
    check_eq(ouro_watchdog_stop(), 1);
    block_signal(SIG_UNBLOCK, SIGUSR2);
    end();
}

Test(watchdog, a_thread_that_has_the_signal_blocked_lets_it_in_meanwhile)
{
    sigset_t now;
    begin_kernel();
    block_signal(SIG_BLOCK, SIGURG);
    check_eq(start(SOON), 0);
    check_eq(run_blocking(1), 1);
    check(told_function);
    check_eq(ouro_watchdog_stop(), 1);
    check_eq(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    check_eq(sigismember(&now, SIGURG), 1);
    end();
}

/* ---- Without memory -------------------------------------------------------------------------- */

static bool refuse;

static void *may_refuse(size_t size, void *arg)
{
    (void)arg;
    return refuse ? NULL : malloc(size);
}

static void *may_resize(void *ptr, size_t size, void *arg)
{
    (void)arg;
    return realloc(ptr, size);
}

static void release(void *ptr, void *arg)
{
    (void)arg;
    free(ptr);
}

Test(watchdog, without_memory_nothing_has_changed)
{
    ouro_allocator allocator = {.alloc = may_refuse, .resize = may_resize, .release = release};
    check_eq(ouro_set_allocator(&allocator), 0);
    begin_kernel();
    refuse = true;
    check_eq(start(SOON), -ENOMEM);
    check(disposition(SIGURG, SIG_DFL));
    refuse = false;
    check_eq(start(SOON), 0);
    end();
}

/* ---- Threads and processes ------------------------------------------------------------------- */

static void *own_loop(void *arg)
{
    ouro_loop *loop;
    check_eq(ouro_loop_new(NULL, &loop), 0);
    check_eq(start(LATER), 0);
    check_eq(ouro_loop_run_until(loop, ouro_sleep(OURO_MS(1))), 0);
    check(!disposition(SIGURG, SIG_DFL));
    check_eq(ouro_loop_close(loop), 0);
    return arg;
}

Test(watchdog, two_loops_share_the_signal)
{
    pthread_t thread;
    begin_kernel();
    check_eq(start(SOON), 0);
    check_eq(pthread_create(&thread, NULL, own_loop, NULL), 0);
    check_eq(run_blocking(1), 1);
    check_text(told_name, "bad");
    check_eq(pthread_join(thread, NULL), 0);
    check(!disposition(SIGURG, SIG_DFL));
    check_eq(run_blocking(2), 2);
    end();
    check(disposition(SIGURG, SIG_DFL));
}

static int in_forked_child(void)
{
    struct sigaction now;
    child_check(sigaction(SIGURG, NULL, &now) == 0);
    child_check(now.sa_handler == SIG_DFL);
    child_check(ouro_watchdog_stop() == -ECHILD);
    child_check(ouro_watchdog_start(NULL) == -ECHILD);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);

    ouro_loop *loop;
    child_check(ouro_loop_new(NULL, &loop) == 0);
    child_check(start(SOON) == 0);
    child_check(run_blocking(2) == 2);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

/* The first is told of before the fork: a thread that is still being started has locks of
 * AddressSanitizer's, which nobody would open in the child. */
Test(watchdog, the_child_of_a_fork_has_none_and_may_have_its_own)
{
    begin_kernel();
    char text[4096];
    check_eq(start(SOON), 0);
    check_eq(run_blocking(1), 1);
    check_child(in_forked_child, text, sizeof text);
    check_eq(run_blocking(2), 2);
    end();
}
