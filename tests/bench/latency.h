/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_LATENCY_H
#define OURO_BENCH_LATENCY_H

/*
 * What loads count latencies with: 32 steps to each power of two, an error of at most 3 %.
 */

#include <stddef.h>
#include <stdint.h>

#define LATENCY_STEP_BITS 5
#define LATENCY_STEPS     (1u << LATENCY_STEP_BITS)

struct latencies {
    uint64_t count;
    uint64_t steps[64 * LATENCY_STEPS];
};

static inline void latency_add(struct latencies *l, uint64_t ns)
{
    unsigned shift = ns < LATENCY_STEPS ? 0
                                        : 63u - (unsigned)__builtin_clzll(ns) - LATENCY_STEP_BITS;
    l->steps[shift * LATENCY_STEPS + (ns >> shift)]++;
    l->count++;
}

/* The latency below which the part @q of all is, in microseconds. */
static inline double latency_quantile(const struct latencies *l, double q)
{
    uint64_t left = (uint64_t)((double)l->count * q);
    size_t i = 0;
    while (i + 1 < sizeof l->steps / sizeof l->steps[0] && l->steps[i] <= left)
        left -= l->steps[i++];
    unsigned shift = i < 2 * LATENCY_STEPS ? 0 : (unsigned)(i / LATENCY_STEPS) - 1;
    return (double)((i - (size_t)shift * LATENCY_STEPS) << shift) / 1000.0;
}

#endif
