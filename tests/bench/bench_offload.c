/* SPDX-License-Identifier: MIT */

/*
 * Jobs of a thread pool that do nothing: there and back, one at a time and a hundred at once.
 *
 * The loop runs on the processor of the program, the pool's one thread on another, for either side:
 * what is measured is handing over and waking, not where the scheduler happens to put threads. The
 * rival is uv_queue_work(), with a pool of one thread as well.
 */

#define _GNU_SOURCE 1

#include <stdlib.h>

#include "bench.h"

#ifdef BENCH_HAVE_UV
#    include <uv.h>
#endif

#define TRIPS   2000u
#define BATCH   100u
#define BATCHES 50u
#define WARM_UP 100u /* trips that do not count: loops learn from their first waits */

static double took[TRIPS]; /* us */

/* ---- ouro ------------------------------------------------------------------------------------ */

static int64_t do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int64_t move_away(void *arg)
{
    (void)arg;
    return bench_pin(bench_other_cpu());
}

static int64_t go_singly(void *arg)
{
    (void)arg;
    bench_check(ouro_await(ouro_offload(move_away, NULL)), "pinning");
    for (unsigned i = 0; i < WARM_UP + TRIPS; i++) {
        uint64_t start = bench_now();
        bench_check(ouro_await(ouro_offload(do_nothing, NULL)), "ouro_offload");
        if (i >= WARM_UP)
            took[i - WARM_UP] = bench_per(start, 1000.0);
    }
    return 0;
}

static int64_t go_together(void *arg)
{
    ouro_future *jobs[BATCH];
    bench_check(ouro_await(ouro_offload(move_away, NULL)), "pinning");
    uint64_t start = bench_now();
    for (unsigned i = 0; i < BATCHES; i++) {
        for (unsigned j = 0; j < BATCH; j++)
            jobs[j] = ouro_offload(do_nothing, NULL);
        for (unsigned j = 0; j < BATCH; j++)
            bench_check(ouro_await(jobs[j]), "ouro_offload");
    }
    *(double *)arg = bench_per(start, BATCH * BATCHES);
    return 0;
}

static double singly(const void *arg)
{
    if (bench_other_cpu() < 0)
        return bench_skip("jobs of a thread pool: they need a second processor");
    bench_check(ouro_lane_set_threads(OURO_LANE_CPU, 1), "ouro_lane_set_threads");
    bench_run(go_singly, NULL, *(const ouro_ns *)arg);
    return bench_quantile(took, TRIPS, 0.5);
}

static double together(const void *arg)
{
    double each = NAN;
    if (bench_other_cpu() < 0)
        return bench_skip("jobs of a thread pool: they need a second processor");
    bench_check(ouro_lane_set_threads(OURO_LANE_CPU, 1), "ouro_lane_set_threads");
    bench_run(go_together, &each, *(const ouro_ns *)arg);
    return each;
}

/* ---- libuv ----------------------------------------------------------------------------------- */

#ifdef BENCH_HAVE_UV
struct trips {
    uv_work_t reqs[BATCH];
    unsigned at_once;
    unsigned out;    /* of those, not back yet */
    unsigned rounds; /* that are over */
    unsigned until;
    uint64_t start;
};

static void uv_nothing(uv_work_t *req)
{
    (void)req;
}

static void uv_move_away(uv_work_t *req)
{
    (void)req;
    bench_check(bench_pin(bench_other_cpu()), "pinning");
}

static void uv_moved(uv_work_t *req, int status)
{
    (void)req;
    bench_check(status, "uv_queue_work");
}

static void uv_back(uv_work_t *req, int status);

static void uv_send(uv_loop_t *loop, struct trips *t)
{
    if (t->at_once == 1)
        t->start = bench_now();
    t->out = t->at_once;
    for (unsigned i = 0; i < t->at_once; i++) {
        t->reqs[i].data = t;
        bench_check(uv_queue_work(loop, &t->reqs[i], uv_nothing, uv_back), "uv_queue_work");
    }
}

static void uv_back(uv_work_t *req, int status)
{
    struct trips *t = req->data;
    bench_check(status, "uv_queue_work");
    if (--t->out)
        return;
    if (t->at_once == 1 && t->rounds >= WARM_UP)
        took[t->rounds - WARM_UP] = bench_per(t->start, 1000.0);
    if (++t->rounds < t->until)
        uv_send(req->loop, t);
}

static void uv_trips(struct trips *t)
{
    uv_loop_t loop;
    uv_work_t first;
    setenv("UV_THREADPOOL_SIZE", "1", 1); /* read when the pool is made, for the first job */
    bench_check(uv_loop_init(&loop), "uv_loop_init");
    bench_check(uv_queue_work(&loop, &first, uv_move_away, uv_moved), "uv_queue_work");
    uv_run(&loop, UV_RUN_DEFAULT);
    t->start = bench_now();
    uv_send(&loop, t);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

static double uv_singly(const void *arg)
{
    static struct trips t;
    (void)arg;
    if (bench_other_cpu() < 0)
        return NAN;
    t = (struct trips){.at_once = 1, .until = WARM_UP + TRIPS};
    uv_trips(&t);
    return bench_quantile(took, TRIPS, 0.5);
}

static double uv_together(const void *arg)
{
    static struct trips t;
    (void)arg;
    if (bench_other_cpu() < 0)
        return NAN;
    t = (struct trips){.at_once = BATCH, .until = BATCHES};
    uv_trips(&t);
    return bench_per(t.start, BATCH * BATCHES);
}
#endif

int main(int argc, char **argv)
{
    static const ouro_ns spin = 0, no_spin = OURO_FOREVER;
    static const struct bench_case cases[] = {
        {"offload.one", "us", singly, "uv_queue_work", BENCH_UV(uv_singly), .arg = &spin,
         .note = "a job that does nothing, there and back; the median of a round"},
        {"offload.one_no_spin", "us", singly, "uv_queue_work", BENCH_UV(uv_singly), .arg = &no_spin,
         .note = "the same with the loop's look at the ring before a sleep off"},
        {"offload.hundred", "ns", together, "uv_queue_work", BENCH_UV(uv_together), .arg = &spin,
         .note = "a hundred at once, until all are back; for each"},
    };
    return bench_main(argc, argv, "Jobs of a thread pool", cases, BENCH_COUNT(cases));
}
