/* SPDX-License-Identifier: MIT */

/*
 * The switch between stacks by itself, below tasks and the loop: 1 coroutine that is resumed and
 * yields, then 8192 of them in turn, whose stacks no cache holds.
 *
 * This is the one program that reaches inside the library. The coroutines never end; the round
 * drops them where they stopped and unmaps their stacks.
 */

#define _GNU_SOURCE 1

#include <stdlib.h>
#include <sys/mman.h>

#include "bench.h"
#include "context.h"
#include "swap.h"

static struct ouro__context outside;

static void yield_for_ever(void *arg)
{
    struct ouro__context *self = arg;
    ouro__context_arrive();
    for (;;)
        ouro__context_switch(self, &outside);
}

static void resume_each(struct ouro__context *inside, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ouro__context_switch(&outside, &inside[i]);
}

static double context_pair(const void *arg)
{
    unsigned n = *(const unsigned *)arg, passes = n < 200000 ? 200000 / n : 1;
    size_t size;
    char *stacks = swap_stacks(n, &size);
    struct ouro__context *inside = bench_alloc(n * sizeof *inside);
    for (unsigned i = 0; i < n; i++)
        ouro__context_make(&inside[i], stacks + i * (size / n), size / n, yield_for_ever,
                           &inside[i]);
    resume_each(inside, n);
    uint64_t start = bench_cpu();
    for (unsigned pass = 0; pass < passes; pass++)
        resume_each(inside, n);
    double figure = bench_cpu_per(start, (double)n * passes);
    for (unsigned i = 0; i < n; i++)
        ouro__context_drop(&inside[i]);
    free(inside);
    munmap(stacks, size);
    return figure;
}

int main(int argc, char **argv)
{
    static const unsigned one = 1, many = 8192;
    static const struct bench_case cases[] = {
        {"switch.1", "ns", context_pair, "swapcontext pair", .rival = swap_pair, .arg = &one,
         BENCH_BUDGET(25), .note = "resume and yield, without the loop"},
        {"switch.8192", "ns", context_pair, "swapcontext pair", .rival = swap_pair, .arg = &many,
         BENCH_BUDGET(60)},
    };
    return bench_main(argc, argv, "Coroutine switch", cases, BENCH_COUNT(cases));
}
