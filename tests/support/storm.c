/* SPDX-License-Identifier: MIT */
/*
 * The frame of a storm: its generator and its command line.
 */
#define _GNU_SOURCE
#include "storm.h"

#include <string.h>
#include <time.h>

#include "fake_driver.h"

uint64_t seed, state, steps, goal;

uint64_t pick(uint64_t n)
{
    return fake_random(&state) % n;
}

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [--steps n] [--seed n] [--driver kernel|fake]\n", program);
    return 2;
}

int storm_main(int argc, char **argv, uint64_t default_steps, void (*run)(bool on_fake))
{
    const char *driver = "";
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
    goal = default_steps;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return usage(argv[0]);
        if (strcmp(argv[i], "--steps") == 0)
            goal = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--driver") == 0)
            driver = argv[i + 1];
        else
            return usage(argv[0]);
    }
    seed += seed == 0; /* the generator's one bad state */
    if (strcmp(driver, "kernel") != 0)
        run(true);
    if (strcmp(driver, "fake") != 0)
        run(false);
    return 0;
}
