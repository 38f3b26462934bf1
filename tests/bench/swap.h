/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_SWAP_H
#define OURO_BENCH_SWAP_H

#include <stddef.h>

/*
 * The rival of every coroutine row: swapcontext(3), what a C programmer has without a library.
 * Rounds of bench.h.
 */

/* ns for a resume and a yield; @arg is a const unsigned, how many coroutines take turns. */
double swap_pair(const void *arg);

/* ns to prepare a coroutine on a stack that is there, run it to its end, and come back. */
double swap_spawn(const void *arg);

/* @n stacks of 64 KiB side by side, as far apart as those of tasks; for munmap(). */
char *swap_stacks(unsigned n, size_t *ret_size);

#endif
