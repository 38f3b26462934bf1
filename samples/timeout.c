/* SPDX-License-Identifier: MIT */
/*
 * Timeouts: around one future, and around a region of code.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>

static int64_t slow(void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_SEC(10)));
    if (rc == -ECANCELED)
        printf("the slow task cleans up: %s\n", ouro_cancel_reason());
    return rc;
}

static int64_t two_steps(void)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(20)));
    if (rc < 0)
        return rc;
    puts("the first step is done");
    return ouro_await(ouro_sleep(OURO_SEC(10)));
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_timeout(ouro_spawn(slow, NULL), OURO_MS(50)));
    printf("one future: %s\n", ouro_strerror(rc));

    ouro_scope scope;
    rc = ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_MS(100)});
    if (rc < 0)
        return rc;
    rc = ouro_scope_exit(&scope, two_steps());
    printf("a region: %s\n", ouro_strerror(rc));
    return 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
