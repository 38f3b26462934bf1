/* SPDX-License-Identifier: MIT */

/*
 * Calls from another thread: a flood that keeps the loop busy, one call at a time to a loop that is
 * asleep, and the same at short intervals with the loop's spin on and off.
 *
 * The loop runs on the processor of the program, the sender on another. What is sent carries its
 * own time; one-way latency is the median of a round. libuv has no queue of its own, so the rival
 * is what its manual advises: a list under a mutex, and uv_async_send().
 */

#define _GNU_SOURCE 1

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "loop_int.h"

#ifdef BENCH_HAVE_UV
#    include <uv.h>
#endif

#define FLOOD   50000u
#define SINGLES 300u
#define SPIN    OURO_US(50)

/* One round: a sender and a loop, which is reached by post() and left by stop(). */
struct race {
    int (*post)(struct race *race, ouro_call_fn *fn, void *arg);
    void (*stop)(struct race *race);
    void *to; /* the loop, or what stands for it */
    ouro_promise *over;
    unsigned posts;
    unsigned gap_us; /* before each post; 0: all at once */
    atomic_uint arrived;
    uint64_t sent; /* when the last post was, or with a flood the first */
    double took[SINGLES];
};

/* ---- Both sides: sending and arriving -------------------------------------------------------- */

static void arrive(void *arg)
{
    struct race *race = arg;
    unsigned n = atomic_load_explicit(&race->arrived, memory_order_relaxed);
    if (race->gap_us)
        race->took[n] = (double)(bench_now() - race->sent) / 1000.0;
    atomic_store_explicit(&race->arrived, n + 1, memory_order_release);
    if (n + 1 == race->posts)
        race->stop(race);
}

/* Sleeping lets the processor sleep as well, which short gaps have no time for. */
static void wait_gap(unsigned gap_us)
{
    uint64_t until = bench_now() + OURO_US(gap_us);
    if (gap_us >= 100)
        usleep(gap_us);
    while (bench_now() < until)
        ;
}

static void send_singly(struct race *race)
{
    for (unsigned i = 0; i < race->posts; i++) {
        wait_gap(race->gap_us);
        race->sent = bench_now();
        bench_check(race->post(race, arrive, race), "post");
        while (atomic_load_explicit(&race->arrived, memory_order_acquire) <= i)
            ;
    }
}

static void *sender(void *arg)
{
    struct race *race = arg;
    bench_pin(bench_other_cpu());
    if (race->gap_us) {
        send_singly(race);
        return NULL;
    }
    race->sent = bench_now();
    for (unsigned i = 0; i < race->posts; i++)
        bench_check(race->post(race, arrive, race), "post");
    return NULL;
}

static pthread_t start_sender(struct race *race)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, sender, race) != 0)
        bench_fail("no thread");
    return thread;
}

static double outcome(struct race *race, uint64_t end)
{
    if (race->gap_us)
        return bench_quantile(race->took, race->posts, 0.5);
    return (double)(end - race->sent) / race->posts;
}

/* ---- ouro ------------------------------------------------------------------------------------ */

static int post_to_loop(struct race *race, ouro_call_fn *fn, void *arg)
{
    return ouro_loop_post(race->to, fn, arg, NULL);
}

static void resolve_over(struct race *race)
{
    ouro_promise_resolve(race->over, (ouro_result){.n = (int64_t)bench_now()}, NULL);
}

static int64_t receive(void *arg)
{
    struct race *race = arg;
    ouro_future *over;
    bench_check(ouro_promise_new(&race->over, &over), "ouro_promise_new");
    race->to = ouro_loop_current();
    pthread_t thread = start_sender(race);
    int64_t end = ouro_await(over);
    pthread_join(thread, NULL);
    ouro_promise_free(race->over);
    return end;
}

/* As ouro_run(), on a loop that is woken by messages to its ring, or as on older kernels. */
static int64_t run(ouro_task_fn *fn, void *arg, ouro_ns spin, bool no_messages)
{
    struct ouro__kernel_options options = {
        .entries = 256,
        .spin = spin,
        .no_messages = no_messages,
        .alloc = malloc,
        .release = free,
    };
    struct ouro__driver *driver;
    ouro_loop *loop;
    bench_check(ouro__kernel_driver_new(&options, &driver), "a driver");
    bench_check(ouro__loop_new_on(driver, &(ouro_loop_options){.debug = -1}, &loop), "a loop");
    int64_t rc = ouro_loop_run_until(loop, ouro_spawn(fn, arg));
    bench_check(ouro_loop_shutdown(loop, OURO_SEC(1)), "ouro_loop_shutdown");
    ouro_loop_close(loop);
    return rc;
}

static double ouro_race(unsigned posts, unsigned gap_us, ouro_ns spin, bool no_messages)
{
    static struct race race;
    race = (struct race){
        .post = post_to_loop, .stop = resolve_over, .posts = posts, .gap_us = gap_us};
    if (bench_other_cpu() < 0)
        return bench_skip("posts between threads: they need a second processor");
    int64_t end = run(receive, &race, spin, no_messages);
    bench_check(end, "the loop");
    return outcome(&race, (uint64_t)end);
}

/* ---- libuv ----------------------------------------------------------------------------------- */

#ifdef BENCH_HAVE_UV
struct letter {
    struct letter *next;
    ouro_call_fn *fn;
    void *arg;
};

static struct {
    uv_loop_t loop;
    uv_async_t async;
    pthread_mutex_t lock;
    struct letter *first, **last;
    uint64_t end;
} box = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int post_to_box(struct race *race, ouro_call_fn *fn, void *arg)
{
    (void)race;
    struct letter *letter = bench_alloc(sizeof *letter);
    *letter = (struct letter){.fn = fn, .arg = arg};
    pthread_mutex_lock(&box.lock);
    *box.last = letter;
    box.last = &letter->next;
    pthread_mutex_unlock(&box.lock);
    return uv_async_send(&box.async);
}

static void empty_box(uv_async_t *async)
{
    (void)async;
    pthread_mutex_lock(&box.lock);
    struct letter *letter = box.first;
    box.first = NULL;
    box.last = &box.first;
    pthread_mutex_unlock(&box.lock);
    while (letter) {
        struct letter *next = letter->next;
        letter->fn(letter->arg);
        free(letter);
        letter = next;
    }
}

static void note_end(struct race *race)
{
    (void)race;
    box.end = bench_now();
    uv_stop(&box.loop);
}

static double uv_race(unsigned posts, unsigned gap_us)
{
    static struct race race;
    race = (struct race){.post = post_to_box, .stop = note_end, .posts = posts, .gap_us = gap_us};
    if (bench_other_cpu() < 0)
        return NAN;
    box.first = NULL;
    box.last = &box.first;
    bench_check(uv_loop_init(&box.loop), "uv_loop_init");
    bench_check(uv_async_init(&box.loop, &box.async, empty_box), "uv_async_init");
    pthread_t thread = start_sender(&race);
    uv_run(&box.loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
    uv_close((uv_handle_t *)&box.async, NULL);
    uv_run(&box.loop, UV_RUN_DEFAULT);
    uv_loop_close(&box.loop);
    return outcome(&race, box.end);
}

static double uv_flood(const void *arg)
{
    (void)arg;
    return uv_race(FLOOD, 0);
}

static double uv_singles(const void *arg)
{
    return uv_race(SINGLES, *(const unsigned *)arg);
}
#endif

/* ---- Table ----------------------------------------------------------------------------------- */

static double flood(const void *arg)
{
    (void)arg;
    return ouro_race(FLOOD, 0, SPIN, false);
}

static double singles(const void *arg)
{
    return ouro_race(SINGLES, *(const unsigned *)arg, SPIN, false);
}

static double singles_without_spin(const void *arg)
{
    return ouro_race(SINGLES, *(const unsigned *)arg, 0, false);
}

static double singles_by_eventfd(const void *arg)
{
    return ouro_race(SINGLES, *(const unsigned *)arg, 0, true);
}

int main(int argc, char **argv)
{
    static const unsigned long_gap = 300, short_gap = 10;
    static const struct bench_case cases[] = {
        {"post.busy", "ns", flood, "uv_async_send + locked list", BENCH_UV(uv_flood),
         .note = "50 000 posts as fast as they go, from the first post to the last call; for each"},
        {"post.asleep", "us", singles, "uv_async_send + locked list", BENCH_UV(uv_singles),
         .arg = &long_gap, .note = "one way, to a loop that has slept for 300 us"},
        {"post.spin", "us", singles, "ouro, spin off", .rival = singles_without_spin,
         .arg = &short_gap, .note = "one way, 10 us after the last one"},
        {"post.message", "us", singles_without_spin, "ouro, woken by an eventfd",
         .rival = singles_by_eventfd, .arg = &long_gap,
         .note = "one way, to a loop that has slept for 300 us and does not spin"},
    };
    return bench_main(argc, argv, "Calls from another thread", cases, BENCH_COUNT(cases));
}
