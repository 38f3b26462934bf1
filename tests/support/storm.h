/* SPDX-License-Identifier: MIT */
#ifndef OURO_STORM_H
#define OURO_STORM_H

/*
 * What storms share: programs that make random work of some kind, on the fake driver and on the
 * kernel, and keep an account of it. On the fake driver one seed gives one run; on the kernel the
 * seed gives the choices only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "stress.h"

extern uint64_t seed;  /* of this run */
extern uint64_t state; /* of the generator */
extern uint64_t steps; /* made so far: the storm counts them */
extern uint64_t goal;  /* steps to make */

/* 0 to @n - 1. */
uint64_t pick(uint64_t n);

/* The whole program: read the options, then @run on the fake driver and on the kernel, or as it is
 * told. */
int storm_main(int argc, char **argv, uint64_t default_steps, void (*run)(bool on_fake));

/* With what it takes to do it again. */
#undef must
#define must(condition)                                                                      \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "%s:%d: seed %llu, step %llu: not so: %s\n", __FILE__, __LINE__, \
                    (unsigned long long)seed, (unsigned long long)steps, #condition);        \
            abort();                                                                         \
        }                                                                                    \
    } while (0)

#endif
