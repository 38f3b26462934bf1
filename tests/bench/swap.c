/* SPDX-License-Identifier: MIT */

/*
 * Coroutines on swapcontext(3), which saves the signal mask with two system calls a switch.
 *
 * The coroutines of a round never end; their stacks are unmapped under them once the round is over,
 * which is allowed because none of them is running then.
 */

#define _GNU_SOURCE 1

#include "swap.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "bench.h"

#define STACK_SIZE (64u * 1024u)

static ucontext_t outside, *inside;
static unsigned running;

char *swap_stacks(unsigned n, size_t *ret_size)
{
    *ret_size = (size_t)n * STACK_SIZE;
    void *p = mmap(NULL, *ret_size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        bench_fail("no memory for %u stacks", n);
    return p;
}

static void yield_for_ever(void)
{
    unsigned self = running;
    for (;;)
        swapcontext(&inside[self], &outside);
}

static void end_at_once(void)
{
}

static void prepare(ucontext_t *c, char *stack, void (*body)(void))
{
    getcontext(c);
    c->uc_stack.ss_sp = stack;
    c->uc_stack.ss_size = STACK_SIZE;
    c->uc_link = &outside;
    makecontext(c, body, 0);
}

static void resume_each(unsigned n)
{
    for (running = 0; running < n; running++)
        swapcontext(&outside, &inside[running]);
}

double swap_pair(const void *arg)
{
    unsigned n = *(const unsigned *)arg, passes = n < 20000 ? 20000 / n : 1;
    size_t size;
    char *stacks = swap_stacks(n, &size);
    inside = bench_alloc(n * sizeof *inside);
    for (unsigned i = 0; i < n; i++)
        prepare(&inside[i], stacks + (size_t)i * STACK_SIZE, yield_for_ever);
    resume_each(n);
    uint64_t start = bench_cpu();
    for (unsigned pass = 0; pass < passes; pass++)
        resume_each(n);
    double figure = bench_cpu_per(start, (double)n * passes);
    free(inside);
    munmap(stacks, size);
    return figure;
}

double swap_spawn(const void *arg)
{
    (void)arg;
    size_t size;
    char *stack = swap_stacks(1, &size);
    ucontext_t coroutine;
    unsigned n = 20000;
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < n; i++) {
        prepare(&coroutine, stack, end_at_once);
        swapcontext(&outside, &coroutine);
    }
    double figure = bench_cpu_per(start, n);
    munmap(stack, size);
    return figure;
}
