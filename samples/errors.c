/* SPDX-License-Identifier: MIT */
/*
 * Errors: a task that fails, handled where it is awaited. A failure is a negative return, and await
 * hands it on like any other result.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>

static int64_t risky(void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(50)));
    return rc < 0 ? rc : -ECONNREFUSED;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_spawn(risky, NULL));
    if (rc < 0)
        printf("caught: %s\n", ouro_strerror(rc));
    puts("and life goes on");
    return 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
