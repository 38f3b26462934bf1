/* SPDX-License-Identifier: MIT */
/*
 * Gather, errors included: with OURO_GATHER_COLLECT one failure does not disturb the others, and
 * each outcome stands at its own place.
 */
#include <ouro/ouro.h>

#include <errno.h>
#include <stdio.h>

static int64_t fetch(void *arg)
{
    const int *id = arg;
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(20)));
    if (rc < 0)
        return rc;
    return *id == 2 ? -ETIMEDOUT : *id * 100;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int ids[3] = {1, 2, 3};
    ouro_future *fetches[3];
    ouro_result results[3];
    for (int i = 0; i < 3; i++)
        fetches[i] = ouro_spawn(fetch, &ids[i]);
    int64_t rc = ouro_await(ouro_gather(fetches, 3, OURO_GATHER_COLLECT, results));
    if (rc < 0)
        return rc;
    for (int i = 0; i < 3; i++) {
        if (results[i].n < 0)
            printf("fetch %d failed: %s\n", ids[i], ouro_strerror(results[i].n));
        else
            printf("fetch %d: %lld\n", ids[i], (long long)results[i].n);
    }
    return 0;
}

int main(void)
{
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
