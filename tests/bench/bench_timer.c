/* SPDX-License-Identifier: MIT */

/*
 * Starting a timer and cancelling it, as every request with a timeout does, while 1000 or a million
 * others are waiting: first the one just started, then any of those that wait, each of which is
 * replaced by a new one.
 *
 * Deadlines lie anywhere in the next 10 000 seconds; both sides draw the same numbers. ouro reads
 * the clock at each start and makes an object; libuv takes the loop's cached time and restarts a
 * handle that is there.
 */

#define _GNU_SOURCE 1

#include <stdlib.h>

#include "bench.h"

#ifdef BENCH_HAVE_UV
#    include <uv.h>
#endif

#define PAIRS 50000u
#define TURN  500u /* pairs to a turn of the loop */

static uint64_t draw(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* A delay of 100 to 10 100 s, in ms; the same series for the same seed. */
static uint64_t draw_ms(uint64_t *seed)
{
    return 100000 + draw(seed) % 10000000;
}

/* ---- ouro ------------------------------------------------------------------------------------ */

struct job {
    unsigned count;
    ouro_future **live;
    void (*pair)(struct job *job, uint64_t *seed);
    double figure;
};

static void end_sleep(ouro_future *f)
{
    ouro_cancel(f);
    ouro_unref(f);
}

static void start_and_cancel(struct job *job, uint64_t *seed)
{
    (void)job;
    end_sleep(ouro_sleep(OURO_MS(draw_ms(seed))));
}

static void replace_any(struct job *job, uint64_t *seed)
{
    ouro_future **any = &job->live[draw(seed) % job->count];
    end_sleep(*any);
    *any = ouro_sleep(OURO_MS(draw_ms(seed)));
}

static void never(void *arg)
{
    (void)arg;
    bench_fail("a timer that was cancelled fired");
}

static void call_and_cancel(struct job *job, uint64_t *seed)
{
    ouro_call *call;
    (void)job;
    bench_check(ouro_call_later(OURO_MS(draw_ms(seed)), never, NULL, NULL, &call),
                "ouro_call_later");
    ouro_call_cancel(call);
    ouro_call_unref(call);
}

/* The loop gets its turns, too: what a cancel leaves to the next one is part of the figure. */
static double measure_pairs(struct job *job)
{
    uint64_t seed = 2, start = bench_cpu();
    for (unsigned i = 0; i < PAIRS; i += TURN) {
        for (unsigned k = 0; k < TURN; k++)
            job->pair(job, &seed);
        ouro_yield();
    }
    return bench_cpu_per(start, PAIRS);
}

static int64_t among_live(void *arg)
{
    struct job *job = arg;
    uint64_t seed = 1;
    job->live = bench_alloc(job->count * sizeof(ouro_future *));
    for (unsigned i = 0; i < job->count; i++)
        job->live[i] = ouro_sleep(OURO_MS(draw_ms(&seed)));
    (void)measure_pairs(job);
    job->figure = measure_pairs(job);
    for (unsigned i = 0; i < job->count; i++)
        end_sleep(job->live[i]);
    free(job->live);
    return 0;
}

static double run_job(struct job job)
{
    bench_run(among_live, &job, 0);
    return job.figure;
}

static double ouro_short(const void *count)
{
    return run_job((struct job){.count = *(const unsigned *)count, .pair = start_and_cancel});
}

static double ouro_any(const void *count)
{
    return run_job((struct job){.count = *(const unsigned *)count, .pair = replace_any});
}

static double ouro_calls(const void *count)
{
    return run_job((struct job){.count = *(const unsigned *)count, .pair = call_and_cancel});
}

/* ---- libuv ----------------------------------------------------------------------------------- */

#ifdef BENCH_HAVE_UV
struct uv_job {
    uv_loop_t loop;
    uv_timer_t *timers; /* one more than there are live ones */
    unsigned count;
    void (*pair)(struct uv_job *job, uint64_t *seed);
};

static void uv_never(uv_timer_t *timer)
{
    never(timer);
}

static void uv_start_and_stop(struct uv_job *job, uint64_t *seed)
{
    uv_timer_start(&job->timers[job->count], uv_never, draw_ms(seed), 0);
    uv_timer_stop(&job->timers[job->count]);
}

static void uv_replace_any(struct uv_job *job, uint64_t *seed)
{
    uv_timer_t *any = &job->timers[draw(seed) % job->count];
    uv_timer_stop(any);
    uv_timer_start(any, uv_never, draw_ms(seed), 0);
}

static double uv_measure_pairs(struct uv_job *job)
{
    uint64_t seed = 2, start = bench_cpu();
    for (unsigned i = 0; i < PAIRS; i += TURN) {
        for (unsigned k = 0; k < TURN; k++)
            job->pair(job, &seed);
        uv_run(&job->loop, UV_RUN_NOWAIT);
    }
    return bench_cpu_per(start, PAIRS);
}

static double uv_run_job(struct uv_job job)
{
    uint64_t seed = 1;
    job.timers = bench_alloc((job.count + 1) * sizeof *job.timers);
    bench_check(uv_loop_init(&job.loop), "uv_loop_init");
    for (unsigned i = 0; i <= job.count; i++)
        uv_timer_init(&job.loop, &job.timers[i]);
    for (unsigned i = 0; i < job.count; i++)
        uv_timer_start(&job.timers[i], uv_never, draw_ms(&seed), 0);
    (void)uv_measure_pairs(&job);
    double figure = uv_measure_pairs(&job);
    for (unsigned i = 0; i <= job.count; i++)
        uv_close((uv_handle_t *)&job.timers[i], NULL);
    uv_run(&job.loop, UV_RUN_DEFAULT);
    uv_loop_close(&job.loop);
    free(job.timers);
    return figure;
}

static double uv_short(const void *count)
{
    return uv_run_job(
        (struct uv_job){.count = *(const unsigned *)count, .pair = uv_start_and_stop});
}

static double uv_any(const void *count)
{
    return uv_run_job((struct uv_job){.count = *(const unsigned *)count, .pair = uv_replace_any});
}
#endif

#define RIVAL "libuv uv_timer start + stop"

int main(int argc, char **argv)
{
    static const unsigned few = 1000, many = 1000000;
    static const struct bench_case cases[] = {
        {"timer.1000", "ns", ouro_short, RIVAL, BENCH_UV(uv_short), .arg = &few, BENCH_BUDGET(60),
         .note = "sleep made, cancelled, freed; 500 to a turn of the loop"},
        {"timer.1M", "ns", ouro_short, RIVAL, BENCH_UV(uv_short), .arg = &many, BENCH_BUDGET(200)},
        {"timer.any-of-1000", "ns", ouro_any, RIVAL, BENCH_UV(uv_any), .arg = &few,
         BENCH_BUDGET(60), .note = "one of those that wait is cancelled, and a new one started"},
        {"timer.any-of-1M", "ns", ouro_any, RIVAL, BENCH_UV(uv_any), .arg = &many,
         BENCH_BUDGET(200)},
        {"timer.call-1000", "ns", ouro_calls, RIVAL, BENCH_UV(uv_short), .arg = &few,
         .note = "ouro_call_later() and ouro_call_cancel(), as timer.1000"},
        {"timer.call-1M", "ns", ouro_calls, RIVAL, BENCH_UV(uv_short), .arg = &many},
    };
    return bench_main(argc, argv, "Timers", cases, BENCH_COUNT(cases));
}
