/* SPDX-License-Identifier: MIT */
/*
 * Cancelling: the task is told at its next wait, cleans up, in a shielded region where that waits
 * too, and ends. Whoever awaits it learns that it was cancelled, which is not the same as being
 * cancelled.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>

static void save_work(void)
{
    ouro_scope shield;
    if (ouro_scope_enter(&shield, &(ouro_scope_options){.shield = 1}) < 0)
        return;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(20)));
    puts(rc < 0 ? "the work is lost" : "the work is saved");
    ouro_scope_exit(&shield, rc);
}

static int64_t worker(void *arg)
{
    (void)arg;
    puts("working");
    int64_t rc = ouro_await(ouro_sleep(OURO_SEC(10)));
    if (rc == -ECANCELED)
        save_work();
    return rc;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    ouro_future *task = ouro_spawn(worker, NULL);
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(50)));
    if (rc < 0)
        return rc;
    ouro_cancel(task);
    rc = ouro_await(task);
    puts(rc == -OURO_ECHILDCANCELLED ? "the task was cancelled" : ouro_strerror(rc));
    return 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
