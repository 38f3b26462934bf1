/* SPDX-License-Identifier: MIT */
/*
 * A storm of child processes and signals, on several loops at once.
 *
 * Every loop has a thread, and tasks that start children, talk to them, wait for them, kill,
 * cancel, give up and forget them, at random. Meanwhile each loop watches a signal of its own and
 * raises it.
 *
 * Invariants: what comes back from a child is what it was sent; a status is one that was possible;
 * a signal that was raised comes. At the end no operation lives in any loop, the process has the
 * descriptors that it had, no signal is blocked, and there is no child, dead or alive.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <ouro/ouro.h>

#include "descriptors.h"
#include "stress.h"

enum { LOOPS = 3, TASKS = 5, ROUNDS = 150, MUCH = 300000 };

static char text[MUCH]; /* what children are sent */

static _Thread_local unsigned seed;

static unsigned pick(unsigned n)
{
    return (unsigned)rand_r(&seed) % n;
}

static ouro_ns moment(void)
{
    return OURO_US(pick(3000));
}

/* ---- Children -------------------------------------------------------------------------------- */

static const char *const quick[] = {"true", NULL};
static const char *const endless[] = {"sleep", "1000", NULL};
static const char *const echo[] = {"cat", NULL};
static const char *const missing[] = {"no-such-program", NULL};

static ouro_process *start(const char *const *argv, ouro_process_options opts)
{
    int64_t rc;
    opts.argv = argv;
    ouro_process *p = ouro_await_ptr(ouro_process_spawn(&opts), &rc);
    must(p ? rc == 0 : rc == -ECANCELED);
    return p;
}

static void wait_for_it(void)
{
    ouro_process *p = start(quick, (ouro_process_options){0});
    must(ouro_await(ouro_process_wait(p)) == 0);
    must(ouro_process_kill(p, SIGKILL) == -ESRCH);
    ouro_process_free(p);
}

static void forget_it(void)
{
    ouro_process *p = start(quick, (ouro_process_options){.in = OURO_PIPE, .out = OURO_PIPE});
    ouro_process_free(p);
    ouro_detach(ouro_process_spawn(&(ouro_process_options){.argv = quick}));
}

static void kill_it(void)
{
    ouro_process *p = start(endless, (ouro_process_options){.new_group = pick(2) == 0});
    ouro_future *f = ouro_process_wait(p);
    must(ouro_await(ouro_timeout(ouro_process_wait(p), moment())) == -ETIMEDOUT);
    must(ouro_process_kill(p, SIGTERM) == 0);
    ouro_process_free(p);
    must(ouro_await(f) == -OURO_ESIGNALED(SIGTERM));
}

static void talk_to_it(void)
{
    int64_t rc;
    size_t size = pick(MUCH);
    ouro_process *p = start(echo, (ouro_process_options){.in = OURO_PIPE, .out = OURO_PIPE});
    ouro_future *f = ouro_process_communicate(p, text, size);
    ouro_output *o = ouro_await_ptr(pick(2) ? ouro_timeout(f, moment()) : f, &rc);
    must(o ? rc == 0 : rc == -ETIMEDOUT);
    must(!o || (o->status == 0 && o->out_size == size && memcmp(o->out, text, size) == 0));
    ouro_output_free(o);
    rc = ouro_await(ouro_process_wait(p));
    must(rc == 0 || rc == -OURO_ESIGNALED(SIGPIPE) ||
         rc == 1); /* it may have found its pipe closed */
    ouro_process_free(p);
}

static void leave_it(void)
{
    ouro_scope scope;
    must(ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = moment() + 1}) == 0);
    ouro_process *p = start(endless, (ouro_process_options){.scope = &scope});
    int64_t rc = p ? ouro_await(ouro_process_wait(p)) : -ECANCELED;
    must(ouro_scope_exit(&scope, rc) == -ETIMEDOUT);
    must(!p || ouro_await(ouro_process_wait(p)) == -OURO_ESIGNALED(SIGKILL));
    ouro_process_free(p);
}

static void cancel_it(void)
{
    int64_t rc;
    ouro_future *f = ouro_process_spawn(&(ouro_process_options){.argv = pick(2) ? quick : missing});
    for (unsigned n = pick(8); n > 0; n--)
        ouro_yield();
    ouro_cancel(f);
    ouro_process *p = ouro_await_ptr(f, &rc);
    must(p ? rc == 0 : rc == -OURO_ECHILDCANCELLED || rc == -ENOENT);
    ouro_process_free(p);
}

static int64_t have_children(void *arg)
{
    static void (*const acts[])(void) = {wait_for_it, forget_it, kill_it,
                                         talk_to_it,  leave_it,  cancel_it};
    (void)arg;
    for (int i = 0; i < ROUNDS; i++)
        acts[pick(sizeof acts / sizeof *acts)]();
    return 0;
}

/* ---- Signals --------------------------------------------------------------------------------- */

/* A raise is followed by a signal, whatever becomes of those who wait before. */
static void raise_one(ouro_signals *s, int number)
{
    ouro_future *other = pick(2) ? ouro_signals_next(s) : NULL;
    ouro_await(ouro_timeout(ouro_signals_next(s), moment() / 8));
    must(raise(number) == 0);
    if (other && pick(2)) {
        ouro_cancel(other);
        other = ouro_unref(other);
    }
    must(ouro_await(other ? other : ouro_signals_next(s)) == number);
}

static int64_t have_signals(void *arg)
{
    int number = *(const int *)arg;
    for (int i = 0; i < ROUNDS; i++) {
        ouro_signals *s = NULL;
        must(ouro_signals_open(&number, 1, &s) == 0);
        for (unsigned n = pick(4); n > 0; n--)
            raise_one(s, number);
        must(raise(number) == 0); /* dropped with the watch */
        ouro_signals_close(s);
    }
    return 0;
}

/* ---- The storm ------------------------------------------------------------------------------- */

static void no_report(const ouro_report *r, void *arg)
{
    (void)arg;
    fprintf(stderr, "report: %s: %s\n", r->what, r->message);
    abort();
}

static int64_t storm(void *number)
{
    ouro_future *f[TASKS + 1];
    must(ouro_report_set_handler(no_report, NULL) == 0);
    for (int i = 0; i < TASKS; i++)
        f[i] = ouro_spawn(have_children, NULL);
    f[TASKS] = ouro_spawn(have_signals, number);
    return ouro_await(ouro_gather(f, TASKS + 1, OURO_GATHER_ALL, NULL));
}

/* Children that were forgotten end by themselves, and are reaped in the background. */
static void until_all_are_reaped(ouro_loop *loop)
{
    ouro_loop_stats s;
    do {
        must(ouro_loop_step(loop, OURO_MS(10)) >= 0);
        must(ouro_loop_stats_get(loop, &s) == 0);
    } while (s.live_futures > 0 || s.kernel_operations > 0);
}

static void *run_loop(void *number)
{
    ouro_loop *loop;
    sigset_t blocked;
    seed = (unsigned)*(const int *)number;
    must(ouro_loop_new(NULL, &loop) == 0);
    must(ouro_loop_run_until(loop, ouro_spawn(storm, number)) == 0);
    must(ouro_loop_run(loop) == 0);
    until_all_are_reaped(loop);
    must(ouro_loop_close(loop) == 0);
    must(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0);
    must(sigisemptyset(&blocked));
    return NULL;
}

int main(void)
{
    static int numbers[LOOPS];
    pthread_t threads[LOOPS];
    for (size_t i = 0; i < MUCH; i++)
        text[i] = (char)(i * 2654435761u >> 24);
    int fds = open_fds();
    for (int i = 0; i < LOOPS; i++) {
        numbers[i] = SIGRTMIN + i;
        must(pthread_create(&threads[i], NULL, run_loop, &numbers[i]) == 0);
    }
    for (int i = 0; i < LOOPS; i++)
        must(pthread_join(threads[i], NULL) == 0);
    must(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    must(open_fds() == fds);
    return 0;
}
