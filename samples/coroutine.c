/* SPDX-License-Identifier: MIT */
/*
 * Coroutines: calling ouro_spawn() starts nothing yet; the task runs when the loop gets to it, and
 * awaiting it gives what it returned.
 */
#include <ouro/ouro.h>

#include <stdio.h>

static int64_t square(void *arg)
{
    const int *n = arg;
    printf("squaring %d\n", *n);
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(50)));
    return rc < 0 ? rc : (int64_t)*n * *n;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int n = 7;
    ouro_future *task = ouro_spawn(square, &n);
    puts("the task exists, and has not run");
    int64_t result = ouro_await(task);
    printf("the task returned %lld\n", (long long)result);
    return result < 0 ? result : 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
