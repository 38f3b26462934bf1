/* SPDX-License-Identifier: MIT */
/*
 * ouro_run(): a whole program in one call.
 *
 * Makes a loop, runs the main task, shuts down, closes. Meanwhile SIGINT is ours, if nobody has claimed it: the
 * first cancels the main task, so that everything unwinds and cleans up; the second is for a program
 * that does not, and does what the default does. The handler touches two atomics and wakes the loop.
 */
#include "loop_int.h"

#include <sched.h>
#include <signal.h>

#define DEFAULT_GRACE OURO_SEC(10)
#define MAIN_STACK    ((size_t)256 << 10)

/* The loop that SIGINT goes to; NULL: nobody's. One ouro_run() of the process has it. */
static _Atomic(ouro_loop *) interrupted;
static atomic_uint interrupts;
static atomic_uint handlers; /* running right now */

static void on_sigint(int signal)
{
    int saved = errno;
    atomic_fetch_add(&handlers, 1);
    ouro_loop *loop = atomic_load(&interrupted);
    bool ours = loop && !ouro__loop_forked(loop); /* not in the child of a fork */
    if (ours && atomic_fetch_add(&interrupts, 1) == 0) {
        ouro_loop_wake(loop);
    } else {
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        raise(signal);
    }
    atomic_fetch_sub(&handlers, 1);
    errno = saved;
}

/* Whether SIGINT is now this loop's. */
static bool claim_sigint(ouro_loop *loop)
{
    struct sigaction now;
    ouro_loop *nobody = NULL;
    if (sigaction(SIGINT, NULL, &now) < 0 || (now.sa_flags & SA_SIGINFO) ||
        now.sa_handler != SIG_DFL)
        return false;
    if (!atomic_compare_exchange_strong(&interrupted, &nobody, loop))
        return false;
    atomic_store(&interrupts, 0);
    struct sigaction action = {.sa_handler = on_sigint, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    return true;
}

/* Give it back, and wait for a handler that another thread may be in: it has the loop. */
static void disclaim_sigint(void)
{
    sigaction(SIGINT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    atomic_store(&interrupted, NULL);
    while (atomic_load(&handlers))
        sched_yield();
}

/* Before each turn: pass SIGINT on to the main task. */
static void pass_sigint_on(ouro_loop *loop)
{
    if (atomic_load(&interrupts))
        ouro__task_cancel(ouro__task_of(loop->goal), "SIGINT");
}

/* What ouro_run() returns for a main task that came to this. */
static int64_t verdict(ouro_future *main, bool has_sigint)
{
    int64_t n = ouro_future_result(main).n;
    bool interrupt = has_sigint && atomic_load(&interrupts);
    return main->state == OURO_CANCELLED && interrupt ? -EINTR : n;
}

static int64_t run_main(ouro_loop *loop, ouro_future *main, const ouro_run_options *opts)
{
    if (!ouro__task_of(main))
        return ouro_future_result(main).n;
    bool has_sigint = !opts->keep_sigint && claim_sigint(loop);
    loop->running = true;
    int64_t rc = ouro__loop_drive(loop, main, has_sigint ? pass_sigint_on : NULL);
    while (rc == 0 && main->state == OURO_PENDING) {
        loop->stopping = false;
        ouro__task_cancel(ouro__task_of(main), "stopped");
        rc = ouro__loop_drive(loop, main, has_sigint ? pass_sigint_on : NULL);
    }
    loop->running = false;
    loop->stopping = false;
    loop->short_turns = 0;
    if (rc == 0)
        rc = verdict(main, has_sigint);
    ouro_unref(main);
    ouro_loop_shutdown(loop, opts->grace ? opts->grace : DEFAULT_GRACE);
    if (has_sigint)
        disclaim_sigint();
    return rc;
}

int64_t ouro_run(ouro_task_fn *main, void *arg, const ouro_run_options *opts)
{
    static const ouro_run_options defaults;
    if (!opts)
        opts = &defaults;
    if (!main)
        return -EINVAL;
    ouro_loop *loop;
    int rc = ouro_loop_new(&opts->loop, &loop);
    if (rc < 0)
        return rc;
    ouro_spawn_options spawn = {
        .name = "main",
        .stack_size = opts->stack_size ? opts->stack_size : MAIN_STACK,
    };
    ouro__print_on_signal(loop);
    int64_t result = run_main(loop, ouro_spawn_with(main, arg, &spawn), opts);
    ouro__print_off_signal(loop);
    ouro_loop_close(loop);
    return result;
}

int ouro_exit_code(int64_t rc)
{
    if (rc == -EINTR)
        return 128 + SIGINT;
    if (rc < 0)
        return 1;
    return rc > 255 ? 255 : (int)rc;
}
