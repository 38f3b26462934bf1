/* SPDX-License-Identifier: MIT */

/*
 * Queues: a million items from one producer to one consumer, with room for 128 between them, and
 * with none.
 *
 * The figure is processor time for one put and one get, waits and switches included. The rivals are
 * what others would use: a ring under a mutex between two threads, a Go channel on one processor,
 * asyncio.
 */

#define _GNU_SOURCE 1

#include <pthread.h>

#include "bench.h"
#include "peers.h"

#define ITEMS    1000000u
#define CAPACITY 128

/* ---- ouro ------------------------------------------------------------------------------------ */

static int64_t produce(void *arg)
{
    ouro_queue *q = arg;
    for (unsigned i = 0; i < ITEMS; i++)
        bench_check(ouro_queue_put(q, q), "ouro_queue_put");
    return 0;
}

static int64_t consume(ouro_queue *q)
{
    unsigned strange = 0;
    for (unsigned i = 0; i < ITEMS; i++) {
        void *item;
        bench_check(ouro_queue_get(q, &item), "ouro_queue_get");
        strange += item != q;
    }
    return strange ? -1 : 0;
}

struct trial {
    int64_t capacity;
    double figure;
};

static int64_t produce_and_consume(void *arg)
{
    struct trial *trial = arg;
    ouro_queue *q;
    bench_check(ouro_queue_new(trial->capacity, NULL, &q), "ouro_queue_new");
    uint64_t start = bench_cpu();
    ouro_future *producer = ouro_spawn(produce, q);
    int64_t rc = consume(q);
    trial->figure = bench_cpu_per(start, ITEMS);
    bench_check(ouro_await(producer), "producer");
    ouro_queue_free(q);
    return rc;
}

static double ouro_round(int64_t capacity)
{
    struct trial trial = {.capacity = capacity, .figure = NAN};
    bench_run(produce_and_consume, &trial, 0);
    return trial.figure;
}

static double bounded(const void *arg)
{
    (void)arg;
    return ouro_round(CAPACITY);
}

static double rendezvous(const void *arg)
{
    (void)arg;
    return ouro_round(0);
}

/* ---- Two threads ----------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t has_room, has_items;
    unsigned head, count;
    void *ring[CAPACITY];
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .has_room = PTHREAD_COND_INITIALIZER,
            .has_items = PTHREAD_COND_INITIALIZER};

static void shared_put(void *item)
{
    pthread_mutex_lock(&shared.lock);
    while (shared.count == CAPACITY)
        pthread_cond_wait(&shared.has_room, &shared.lock);
    shared.ring[(shared.head + shared.count++) % CAPACITY] = item;
    pthread_cond_signal(&shared.has_items);
    pthread_mutex_unlock(&shared.lock);
}

static void *shared_get(void)
{
    pthread_mutex_lock(&shared.lock);
    while (shared.count == 0)
        pthread_cond_wait(&shared.has_items, &shared.lock);
    void *item = shared.ring[shared.head];
    shared.head = (shared.head + 1) % CAPACITY;
    shared.count--;
    pthread_cond_signal(&shared.has_room);
    pthread_mutex_unlock(&shared.lock);
    return item;
}

static void *shared_produce(void *arg)
{
    for (unsigned i = 0; i < ITEMS; i++)
        shared_put(arg);
    return NULL;
}

static double two_threads(const void *arg)
{
    (void)arg;
    pthread_t thread;
    unsigned strange = 0;
    uint64_t start = bench_cpu();
    if (pthread_create(&thread, NULL, shared_produce, &shared) != 0)
        bench_fail("no thread");
    for (unsigned i = 0; i < ITEMS; i++)
        strange += shared_get() != &shared;
    pthread_join(thread, NULL);
    return strange ? NAN : bench_cpu_per(start, ITEMS);
}

/* ---- Table ----------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    static const struct bench_peer go_bounded = {"queue.go", {"128"}, "Go: golang-go"};
    static const struct bench_peer go_rendezvous = {"queue.go", {"0"}, "Go: golang-go"};
    static const struct bench_peer asyncio = {"queue.py", {"asyncio", "128"}, "asyncio: python3"};
    static const struct bench_peer uvloop = {
        "queue.py", {"uvloop", "128"}, "uvloop: python3-uvloop"};
    static const struct bench_case cases[] = {
        {"queue.bounded", "ns", bounded, "pthread mutex + cond", .rival = two_threads,
         BENCH_BUDGET(30),
         .note = "an item put and got; 128 fit in; mutex + cond are between two threads",
         .more = {{"Go channel", bench_peer, &go_bounded, NULL},
                  {"asyncio.Queue", bench_peer, &asyncio, NULL},
                  {"asyncio.Queue, uvloop", bench_peer, &uvloop, NULL}}},
        {"queue.rendezvous", "ns", rendezvous, "Go channel, unbuffered", .rival = bench_peer,
         .arg = &go_rendezvous, .note = "none fits in: every item from hand to hand"},
    };
    return bench_main(argc, argv, "Queues", cases, BENCH_COUNT(cases));
}
