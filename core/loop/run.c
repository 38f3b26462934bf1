/* SPDX-License-Identifier: MIT */
/*
 * ouro_run(): a whole program in one call.
 *
 * Makes a loop, runs the main task, shuts down, closes. Meanwhile SIGINT is ours, if nobody has
 * claimed it.
 */
#include "run_int.h"

#include <signal.h>
#include <stdio.h>

#define MAIN_STACK ((size_t)256 << 10)
#define WHY_MAX    1024

ouro_future *ouro__main_spawn(ouro_task_fn *fn, void *arg, const ouro_run_options *opts)
{
    ouro_spawn_options spawn = {
        .name = "main",
        .stack_size = opts->stack_size ? opts->stack_size : MAIN_STACK,
    };
    return ouro_spawn_with(fn, arg, &spawn);
}

/* Before each turn: pass SIGINT on to the main task. */
static void pass_sigint_on(ouro_loop *loop)
{
    if (ouro__sigint_came())
        ouro__task_cancel(ouro__task_of(loop->goal), "SIGINT");
}

int ouro__main_run(ouro_loop *loop, ouro_future *main, bool interruptible, void (*stopped)(void))
{
    void (*each)(ouro_loop *) = interruptible ? pass_sigint_on : NULL;
    loop->running = true;
    int rc = ouro__loop_drive(loop, main, each);
    while (rc == 0 && main->state == OURO_PENDING) {
        loop->stopping = false;
        if (stopped)
            stopped();
        ouro__task_cancel(ouro__task_of(main), "stopped");
        rc = ouro__loop_drive(loop, main, each);
    }
    loop->running = false;
    loop->stopping = false;
    loop->short_turns = 0;
    return rc;
}

/* What ouro_run() returns for a main task that came to this. */
static int64_t verdict(ouro_future *main, bool has_sigint)
{
    int64_t n = ouro_future_result(main).n;
    bool interrupt = has_sigint && ouro__sigint_came();
    return main->state == OURO_CANCELLED && interrupt ? -EINTR : n;
}

static int64_t run_main(ouro_loop *loop, ouro_future *main, const ouro_run_options *opts)
{
    if (!ouro__task_of(main))
        return ouro_future_result(main).n;
    struct ouro__interruptible who = {.loops = &loop, .n = 1};
    bool has_sigint = !opts->keep_sigint && ouro__sigint_claim(&who);
    int64_t rc = ouro__main_run(loop, main, has_sigint, NULL);
    if (rc == 0)
        rc = verdict(main, has_sigint);
    ouro_unref(main);
    ouro_loop_shutdown(loop, opts->grace ? opts->grace : OURO__DEFAULT_GRACE);
    if (has_sigint)
        ouro__sigint_disclaim();
    return rc;
}

int ouro__main_loop_new(const ouro_loop_options *opts, ouro_loop **ret_loop)
{
    char why[WHY_MAX];
    int rc = ouro_loop_new(opts, ret_loop);
    if (rc < 0) {
        ouro_explain(rc, why, sizeof(why));
        fprintf(stderr, "ouro: no loop can be made. %s\n", why);
    }
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
    int rc = ouro__main_loop_new(&opts->loop, &loop);
    if (rc < 0)
        return rc;
    ouro__print_on_signal(loop);
    int64_t result = run_main(loop, ouro__main_spawn(main, arg, opts), opts);
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
