/* SPDX-License-Identifier: MIT */
/*
 * The event loop: ouro_run() makes one, runs a task in it to its end, and cleans up.
 */
#include <ouro/ouro.h>

#include <stdio.h>

static int64_t main_task(void *arg)
{
    (void)arg;
    puts("Hello");
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(100)));
    if (rc < 0)
        return rc;
    puts("World");
    return 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
