/* SPDX-License-Identifier: MIT */

/*
 * From loop to loop: a call and its answer, and one way to a loop that sleeps.
 *
 * Two threads, each with a ring and pinned to a processor of its own. The rival is what one would
 * write by hand: a slot in shared memory and two eventfds, each of which the other's ring has a
 * READ of. ouro's loops are measured as they come and with their look at the ring before a sleep
 * switched off, since the rival has none.
 */

#define _GNU_SOURCE 1

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench.h"

#define TRIPS 2000u
#define BATCH 32u
#define GAP   OURO_US(300)

/* ---- ouro ------------------------------------------------------------------------------------ */

struct pair {
    double (*measure)(void);
    double figure;
};

static ouro_event over; /* of worker 1's loop */

static int64_t let_go(void *arg)
{
    (void)arg;
    return ouro_event_set(&over);
}

static int64_t note_time(void *arg)
{
    (void)arg;
    return (int64_t)bench_now();
}

static ouro_future *call(void)
{
    return ouro_loop_call(ouro_worker_loop(1), note_time, NULL);
}

static double trips_to_worker(void)
{
    uint64_t start = bench_now();
    for (unsigned i = 0; i < TRIPS; i++)
        bench_check(ouro_await(call()), "a call");
    return bench_per(start, TRIPS) / 1000.0;
}

static double batches_to_worker(void)
{
    ouro_future *calls[BATCH];
    uint64_t start = bench_now();
    for (unsigned i = 0; i < TRIPS / BATCH; i++) {
        for (unsigned k = 0; k < BATCH; k++)
            calls[k] = call();
        bench_check(ouro_await(ouro_gather(calls, BATCH, OURO_GATHER_ALL, NULL)), "calls");
    }
    return bench_per(start, TRIPS / BATCH * BATCH);
}

static double one_way_to_worker(void)
{
    static double took[TRIPS / 10];
    for (unsigned i = 0; i < TRIPS / 10; i++) {
        ouro_await(ouro_sleep(GAP));
        uint64_t sent = bench_now();
        took[i] = (double)((uint64_t)ouro_await(call()) - sent) / 1000.0;
    }
    return bench_quantile(took, TRIPS / 10, 0.5);
}

static int64_t worker_main(void *arg)
{
    struct pair *pair = arg;
    if (ouro_worker_index() == 1) {
        bench_pin(bench_other_cpu());
        return ouro_event_wait(&over);
    }
    pair->figure = pair->measure();
    return ouro_await(ouro_loop_call(ouro_worker_loop(1), let_go, NULL));
}

static double run_pair(double (*measure)(void), ouro_ns spin)
{
    struct pair pair = {.measure = measure};
    if (bench_other_cpu() < 0)
        return bench_skip("calls between threads: they need a second processor");
    over = (ouro_event){0};
    ouro_run_options opts = {.loop = {.debug = -1, .spin = spin}, .keep_sigint = 1};
    bench_check(ouro_run_workers(2, worker_main, &pair, &opts), "ouro_run_workers");
    return pair.figure;
}

static double trips(const void *spin)
{
    return run_pair(trips_to_worker, *(const ouro_ns *)spin);
}

static double batches(const void *spin)
{
    return run_pair(batches_to_worker, *(const ouro_ns *)spin);
}

static double one_way(const void *spin)
{
    return run_pair(one_way_to_worker, *(const ouro_ns *)spin);
}

/* ---- By hand --------------------------------------------------------------------------------- */

/* One of the two threads: its ring has a READ of its bell. */
struct side {
    struct io_uring ring;
    int bell;
    uint64_t count;
};

static struct {
    struct side caller, callee;
    _Atomic uint64_t slot; /* the answer: a point of time; 0: none */
    atomic_uint asked;     /* calls made and not yet taken */
    atomic_bool over;
} hand;

static void side_begin(struct side *s)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    bench_check(io_uring_queue_init_params(64, &s->ring, &p), "a ring");
}

/* Sleep until the bell has rung. */
static void hear(struct side *s)
{
    struct io_uring_cqe *cqe;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&s->ring);
    io_uring_prep_read(sqe, s->bell, &s->count, sizeof s->count, 0);
    bench_check(io_uring_submit_and_wait(&s->ring, 1), "a wait");
    bench_check(io_uring_wait_cqe(&s->ring, &cqe), "a completion");
    io_uring_cqe_seen(&s->ring, cqe);
}

static void ring_bell(struct side *s)
{
    static const uint64_t one = 1;
    if (write(s->bell, &one, sizeof one) != sizeof one)
        bench_fail("an eventfd does not take a write");
}

static void *answer_calls(void *arg)
{
    (void)arg;
    bench_pin(bench_other_cpu());
    side_begin(&hand.callee);
    for (;;) {
        hear(&hand.callee);
        if (atomic_load(&hand.over))
            break;
        if (atomic_exchange(&hand.asked, 0)) {
            atomic_store(&hand.slot, bench_now());
            ring_bell(&hand.caller);
        }
    }
    io_uring_queue_exit(&hand.callee.ring);
    return NULL;
}

static double trips_by_hand(void)
{
    uint64_t start = bench_now();
    for (unsigned i = 0; i < TRIPS; i++) {
        atomic_fetch_add(&hand.asked, 1);
        ring_bell(&hand.callee);
        hear(&hand.caller);
    }
    return bench_per(start, TRIPS) / 1000.0;
}

/* All of a batch are announced together, and answered together. */
static double batches_by_hand(void)
{
    uint64_t start = bench_now();
    for (unsigned i = 0; i < TRIPS / BATCH; i++) {
        atomic_fetch_add(&hand.asked, BATCH);
        ring_bell(&hand.callee);
        hear(&hand.caller);
    }
    return bench_per(start, TRIPS / BATCH * BATCH);
}

static double one_way_by_hand(void)
{
    static double took[TRIPS / 10];
    for (unsigned i = 0; i < TRIPS / 10; i++) {
        usleep(GAP / 1000);
        uint64_t sent = bench_now();
        atomic_fetch_add(&hand.asked, 1);
        ring_bell(&hand.callee);
        hear(&hand.caller);
        took[i] = (double)(atomic_load(&hand.slot) - sent) / 1000.0;
    }
    return bench_quantile(took, TRIPS / 10, 0.5);
}

static double run_by_hand(double (*measure)(void))
{
    pthread_t thread;
    if (bench_other_cpu() < 0)
        return NAN;
    atomic_store(&hand.over, false);
    hand.caller.bell = eventfd(0, EFD_CLOEXEC);
    hand.callee.bell = eventfd(0, EFD_CLOEXEC);
    side_begin(&hand.caller);
    bench_check(-pthread_create(&thread, NULL, answer_calls, NULL), "a thread");
    double figure = measure();
    atomic_store(&hand.over, true);
    ring_bell(&hand.callee);
    pthread_join(thread, NULL);
    io_uring_queue_exit(&hand.caller.ring);
    close(hand.caller.bell);
    close(hand.callee.bell);
    return figure;
}

static double hand_trips(const void *arg)
{
    (void)arg;
    return run_by_hand(trips_by_hand);
}

static double hand_batches(const void *arg)
{
    (void)arg;
    return run_by_hand(batches_by_hand);
}

static double hand_one_way(const void *arg)
{
    (void)arg;
    return run_by_hand(one_way_by_hand);
}

/* ---- Table ----------------------------------------------------------------------------------- */

#define BY_HAND "two rings, eventfds by hand"

int main(int argc, char **argv)
{
    static const ouro_ns spin = OURO_US(50), no_spin = OURO_FOREVER;
    static const struct bench_case cases[] = {
        {"cross.trip", "us", trips, BY_HAND, .rival = hand_trips, .arg = &spin,
         .note = "call a task on another loop and have its answer, one after the other"},
        {"cross.trip-asleep", "us", trips, BY_HAND, .rival = hand_trips, .arg = &no_spin,
         .note = "the same with the spin off: two wake-ups each"},
        {"cross.batch", "ns", batches, BY_HAND, .rival = hand_batches, .arg = &spin,
         .note =
             "32 calls at a time, for each; by hand there is one bell and no task for all of them"},
        {"cross.one-way", "us", one_way, BY_HAND, .rival = hand_one_way, .arg = &no_spin,
         .note = "from the call to the task's first line, the other loop having slept for 300 us"},
    };
    return bench_main(argc, argv, "Calls from loop to loop", cases, BENCH_COUNT(cases));
}
