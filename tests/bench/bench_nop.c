/* SPDX-License-Identifier: MIT */

/*
 * What the way from the kernel to a task costs: operations that do nothing, beside the same ring
 * driven by hand.
 *
 * A round submits a batch, waits for all of it, and goes on. The rival has the set-up flags that
 * the loop asks for and its ring registered, and does with a completion the least there is to do.
 */

#define _GNU_SOURCE 1

#include <liburing.h>

#include "bench.h"

#define MAX_BATCH 128u
#define OPS       40960u

struct job {
    unsigned batch;
    double figure;
};

/* ---- ouro ------------------------------------------------------------------------------------ */

static void one_batch(unsigned n)
{
    ouro_future *ops[MAX_BATCH];
    for (unsigned i = 0; i < n; i++)
        ops[i] = bench_nop();
    for (unsigned i = 0; i < n; i++)
        bench_check(ouro_await(ops[i]), "NOP");
}

static int64_t nops(void *arg)
{
    struct job *job = arg;
    for (unsigned i = 0; i < 20; i++)
        one_batch(job->batch);
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < OPS; i += job->batch)
        one_batch(job->batch);
    job->figure = bench_cpu_per(start, OPS);
    return 0;
}

static double ouro_nops(const void *arg)
{
    struct job job = {.batch = *(const unsigned *)arg};
    bench_run(nops, &job, 0);
    return job.figure;
}

/* ---- A raw ring ------------------------------------------------------------------------------ */

static void ring_batch(struct io_uring *ring, unsigned n)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0;
    for (unsigned i = 0; i < n; i++)
        io_uring_prep_nop(io_uring_get_sqe(ring));
    bench_check(io_uring_submit_and_wait(ring, n), "io_uring_submit_and_wait");
    io_uring_for_each_cqe(ring, head, cqe)
    {
        bench_check(cqe->res, "NOP");
        seen++;
    }
    io_uring_cq_advance(ring, seen);
    if (seen != n)
        bench_fail("%u completions for %u operations", seen, n);
}

static double ring_nops(const void *arg)
{
    unsigned batch = *(const unsigned *)arg;
    struct io_uring ring;
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_TASKRUN_FLAG};
    bench_check(io_uring_queue_init_params(256, &ring, &params), "io_uring_queue_init_params");
    bench_check(io_uring_register_ring_fd(&ring), "io_uring_register_ring_fd");
    for (unsigned i = 0; i < 20; i++)
        ring_batch(&ring, batch);
    uint64_t start = bench_cpu();
    for (unsigned i = 0; i < OPS; i += batch)
        ring_batch(&ring, batch);
    double figure = bench_cpu_per(start, OPS);
    io_uring_queue_exit(&ring);
    return figure;
}

int main(int argc, char **argv)
{
    static const unsigned batches[] = {1, 8, 32, 128};
    static const struct bench_case cases[] = {
        {"nop.1", "ns", ouro_nops, "raw liburing, DEFER + ring fd", .rival = ring_nops,
         .arg = &batches[0], .note = "an operation, its future and its await; for each operation"},
        {"nop.8", "ns", ouro_nops, "raw liburing, DEFER + ring fd", .rival = ring_nops,
         .arg = &batches[1]},
        {"nop.32", "ns", ouro_nops, "raw liburing, DEFER + ring fd", .rival = ring_nops,
         .arg = &batches[2]},
        {"nop.128", "ns", ouro_nops, "raw liburing, DEFER + ring fd", .rival = ring_nops,
         .arg = &batches[3]},
    };
    return bench_main(argc, argv, "Operations that do nothing", cases, BENCH_COUNT(cases));
}
