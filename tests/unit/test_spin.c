/* SPDX-License-Identifier: MIT */
/*
 * Looking at the ring before sleeping: when it is due, first as a matter of keeping score, then
 * with the kernel driver, a peer that answers at once, and silence.
 */
#define _GNU_SOURCE 1

#include "driver_test.h"
#include "spin.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

/* ---- The score ------------------------------------------------------------------------------- */

static void miss_times(struct ouro__spin *s, int n)
{
    for (int i = 0; i < n; i++)
        ouro__spin_miss(s);
}

/* How many short sleeps it takes until spinning is due. */
static int short_sleeps_needed(struct ouro__spin s)
{
    int n = 0;
    for (; !ouro__spin_is_due(&s); n++)
        ouro__spin_slept(&s, s.limit);
    return n;
}

Test(spin, every_miss_doubles_the_price_and_every_hit_halves_it)
{
    struct ouro__spin s = ouro__spin_start(1000);
    cr_assert_eq(short_sleeps_needed(s), 1);
    static const int prices[] = {1, 2, 4, 8, 16, 32, 64, 64, 64};
    for (size_t i = 0; i < sizeof prices / sizeof prices[0]; i++) {
        ouro__spin_miss(&s);
        cr_assert_eq(short_sleeps_needed(s), prices[i]);
    }
    for (int price = 32; price > 0; price /= 2) {
        ouro__spin_hit(&s);
        ouro__spin_miss(&s);
        cr_assert_eq(short_sleeps_needed(s), price);
        ouro__spin_hit(&s);
    }
}

Test(spin, only_short_sleeps_count)
{
    struct ouro__spin s = ouro__spin_start(1000);
    miss_times(&s, 3);
    for (int i = 0; i < 1000; i++)
        ouro__spin_slept(&s, 1000 * MS);
    cr_assert_eq(short_sleeps_needed(s), 4);
    ouro__spin_slept(&s, 4000);
    cr_assert_eq(short_sleeps_needed(s), 3);
}

Test(spin, limit_of_zero_is_never_due)
{
    struct ouro__spin s = ouro__spin_start(0);
    for (int i = 0; i < 1000; i++)
        ouro__spin_slept(&s, 0);
    cr_assert_not(ouro__spin_is_due(&s));
}

/* ---- The looking ----------------------------------------------------------------------------- */

static int ping[2];
static int pong[2];
static pthread_t peer;

/* Keep the calling thread on the @n-th processor it may use. False when there is none. */
static bool stay_on(int n)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0)
        return false;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || n--)
            continue;
        CPU_ZERO(&allowed);
        CPU_SET(cpu, &allowed);
        return sched_setaffinity(0, sizeof allowed, &allowed) == 0;
    }
    return false;
}

static bool two_processors(void)
{
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) > 1;
}

static void *answer_each_byte(void *arg)
{
    (void)arg;
    stay_on(1);
    char byte;
    while (read(ping[0], &byte, 1) == 1)
        if (write(pong[1], &byte, 1) != 1)
            break;
    return NULL;
}

/* A peer on another processor: on the same one it would answer before we could look. */
static void open_peer(void)
{
    cr_assert_eq(pipe(ping), 0);
    cr_assert_eq(pipe(pong), 0);
    cr_assert_eq(pthread_create(&peer, NULL, answer_each_byte, NULL), 0);
    stay_on(0);
}

static void close_peer(void)
{
    close(ping[1]);
    pthread_join(peer, NULL);
    close(ping[0]);
    close(pong[0]);
    close(pong[1]);
}

static void converse(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        char byte = 0;
        read_into(pong[0], &byte, 1, 1);
        cr_assert_eq(d->ops->submit(d, 0), 0); /* the answer shall not be there before the READ */
        cr_assert_eq(write(ping[1], "x", 1), 1);
        cr_assert_eq(next().res, 1);
        cr_assert_eq(byte, 'x');
    }
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

/* The processor time of @ms of waits in which nothing comes, each @each ms. */
static uint64_t idle_cost(uint64_t ms, uint64_t each)
{
    uint64_t start = cpu_ns();
    for (uint64_t end = in_ms(ms); d->ops->now(d) < end;)
        cr_assert_eq(d->ops->submit(d, in_ms(each)), 0);
    return cpu_ns() - start;
}

Test(spin, quick_answers_are_caught_spinning_and_silence_ends_it)
{
    if (!two_processors())
        cr_skip_test("one processor: there is no spinning");
    open_driver(64, 20 * MS); /* far more than the answer takes, even on a busy machine */
    open_peer();
    converse(200);
    cr_assert_gt(d->stats.spin_hits, 100);
    cr_assert_leq(d->stats.spin_hits, d->stats.spins);

    /* What is queued is submitted before the looking, or there would be nothing to see. */
    uint64_t misses = d->stats.spins - d->stats.spin_hits;
    for (uint64_t i = 0; i < 20; i++) {
        nop(i);
        cr_assert_eq(next().user_data, i);
    }
    cr_assert_eq(d->stats.spins - d->stats.spin_hits, misses);

    /* Then nothing comes any more: one miss, and no more looking. */
    uint64_t spins = d->stats.spins;
    idle_cost(1, 100);
    cr_assert_eq(d->stats.spins, spins + 1);
    cr_assert_lt(idle_cost(200, 10), 100 * MS);
    cr_assert_eq(d->stats.spins, spins + 1);

    close_peer();
    close_driver();
}

Test(spin, idle_loop_does_not_spin)
{
    open_driver(64, 5 * MS);
    settle();
    cr_assert_lt(idle_cost(200, 1), 100 * MS);
    cr_assert_eq(d->stats.spins, 0);
    close_driver();
}

Test(spin, spin_of_zero_is_never)
{
    open_driver(64, 0);
    open_peer();
    converse(50);
    cr_assert_eq(d->stats.spins, 0);
    close_peer();
    close_driver();
}

Test(spin, spin_ends_with_the_deadline)
{
    if (!two_processors())
        cr_skip_test("one processor: there is no spinning");
    open_driver(64, 10000 * MS);
    settle();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wake_in_20_ms, NULL), 0);
    cr_assert_eq(d->ops->submit(d, in_ms(5000)), 0); /* a short wait, for this limit */
    pthread_join(thread, NULL);
    settle();
    uint64_t deadline = in_ms(20);
    cr_assert_eq(d->ops->submit(d, deadline), 0);
    cr_assert_eq(d->stats.spins, 1);
    cr_assert_eq(d->stats.spin_hits, 0);
    cr_assert_geq(d->ops->now(d), deadline);
    cr_assert_lt(d->ops->now(d), deadline + 2000 * MS);
    close_driver();
}
