/* SPDX-License-Identifier: MIT */
/*
 * Why: three fetches of two seconds take six seconds one after the other, and two when gathered.
 *
 *     sync_vs_async [--scale FACTOR]
 *
 * With --scale 0.1 a second lasts a tenth of one; the times printed are still in scaled seconds.
 */
#include <ouro/ouro.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double scale = 1.0;

static ouro_ns seconds(double s)
{
    return (ouro_ns)(s * scale * 1e9);
}

static int64_t fetch_data(void *arg)
{
    const int *id = arg;
    printf("fetch %d: started\n", *id);
    int64_t rc = ouro_await(ouro_sleep(seconds(2)));
    if (rc < 0)
        return rc;
    printf("fetch %d: done\n", *id);
    return *id;
}

static int64_t one_after_the_other(int ids[3])
{
    for (int i = 0; i < 3; i++) {
        int64_t rc = ouro_await(ouro_spawn(fetch_data, &ids[i]));
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int64_t gathered(int ids[3])
{
    ouro_future *fetches[3];
    for (int i = 0; i < 3; i++)
        fetches[i] = ouro_spawn(fetch_data, &ids[i]);
    return ouro_await(ouro_gather(fetches, 3, OURO_GATHER_ALL, NULL));
}

static int64_t timed(const char *what, int64_t (*work)(int ids[3]))
{
    int ids[3] = {1, 2, 3};
    ouro_ns began = ouro_now();
    int64_t rc = work(ids);
    if (rc < 0)
        return rc;
    printf("%s: %d seconds\n", what, (int)((double)(ouro_now() - began) / 1e9 / scale));
    return 0;
}

static int64_t main_task(void *arg)
{
    (void)arg;
    int64_t rc = timed("one after the other", one_after_the_other);
    return rc < 0 ? rc : timed("gathered", gathered);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--scale") == 0)
        scale = strtod(argv[2], NULL);
    if ((argc != 1 && argc != 3) || !(scale > 0) || scale > 1000) {
        fprintf(stderr, "usage: %s [--scale FACTOR]\n", argv[0]);
        return 2;
    }
    return ouro_exit_code(ouro_run(main_task, NULL, NULL));
}
