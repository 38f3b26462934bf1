/* SPDX-License-Identifier: MIT */
/*
 * A user's program in C99, linked with an installed ouro. Two tasks sleep at the same time and
 * their values come back; exit status 0 says that they did.
 */
#include <stdio.h>
#include <string.h>

#include <ouro/ouro.h>
#include <ouro/uring.h>

static int64_t nap(void *arg)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(1)));
    return rc < 0 ? rc : *(int *)arg;
}

static int64_t main_task(void *arg)
{
    int values[2] = {20, 22};
    ouro_future *naps[2];
    ouro_result results[2];
    (void)arg;

    for (int i = 0; i < 2; i++)
        naps[i] = ouro_spawn(nap, &values[i]);
    int64_t rc = ouro_await(ouro_gather(naps, 2, OURO_GATHER_ALL, results));
    return rc < 0 ? rc : results[0].n + results[1].n;
}

int main(void)
{
    int64_t rc = ouro_run(main_task, NULL, NULL);
    if (rc < 0) {
        char why[512];
        ouro_explain(rc, why, sizeof why);
        fprintf(stderr, "%s\n%s\n", ouro_strerror(rc), why);
    }
    printf("C, ouro %s: %d\n", ouro_version(), (int)rc);
    return rc != 42 || strcmp(ouro_version(), OURO_VERSION_STRING) != 0;
}
