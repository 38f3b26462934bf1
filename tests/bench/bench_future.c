/* SPDX-License-Identifier: MIT */

/*
 * A future from promise to callback, 256 to a turn of the loop, beside what libuv has for "call me
 * in the next turn with a handle I can cancel": an idle handle that stops itself when it is called.
 *
 * Both sides make their object, get one callback through the loop, and free it.
 */

#define _GNU_SOURCE 1

#include <stdlib.h>

#include "bench.h"

#ifdef BENCH_HAVE_UV
#    include <uv.h>
#endif

#define BATCH 256u
#define TURNS 100u

static void count_done(ouro_future *f, void *arg)
{
    unsigned *done = arg;
    (void)f;
    ++*done;
}

static void one_life(unsigned *done)
{
    ouro_promise *p;
    ouro_future *f;
    bench_check(ouro_promise_new(&p, &f), "ouro_promise_new");
    ouro_on_done(f, count_done, done);
    ouro_unref(f);
    ouro_promise_resolve(p, (ouro_result){.n = 1}, NULL);
    ouro_promise_free(p);
}

static void one_batch(void)
{
    unsigned done = 0;
    for (unsigned i = 0; i < BATCH; i++)
        one_life(&done);
    while (done < BATCH)
        ouro_yield();
}

static int64_t many_lives(void *arg)
{
    double *ret_figure = arg;
    one_batch();
    uint64_t start = bench_cpu();
    for (unsigned turn = 0; turn < TURNS; turn++)
        one_batch();
    *ret_figure = bench_cpu_per(start, TURNS * BATCH);
    return 0;
}

static double ouro_callback(const void *arg)
{
    double figure = NAN;
    (void)arg;
    bench_run(many_lives, &figure, 0);
    return figure;
}

/* ---- Plain callbacks ------------------------------------------------------------------------- */

static void count_call(void *arg)
{
    unsigned *done = arg;
    ++*done;
}

static int64_t many_calls(void *arg)
{
    double *ret_figure = arg;
    uint64_t start = 0;
    for (unsigned turn = 0; turn <= TURNS; turn++) {
        unsigned done = 0;
        if (turn == 1)
            start = bench_cpu(); /* the first turn warmed up */
        for (unsigned i = 0; i < BATCH; i++)
            ouro_call_soon(count_call, &done, NULL, NULL);
        while (done < BATCH)
            ouro_yield();
    }
    *ret_figure = bench_cpu_per(start, TURNS * BATCH);
    return 0;
}

static double ouro_soon(const void *arg)
{
    double figure = NAN;
    (void)arg;
    bench_run(many_calls, &figure, 0);
    return figure;
}

/* ---- libuv ----------------------------------------------------------------------------------- */

#ifdef BENCH_HAVE_UV
static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void stop_and_close(uv_idle_t *idle)
{
    unsigned *done = idle->data;
    ++*done;
    uv_idle_stop(idle);
    uv_close((uv_handle_t *)idle, free_handle);
}

static void uv_batch(uv_loop_t *loop)
{
    unsigned done = 0;
    for (unsigned i = 0; i < BATCH; i++) {
        uv_idle_t *idle = bench_alloc(sizeof *idle);
        uv_idle_init(loop, idle);
        idle->data = &done;
        uv_idle_start(idle, stop_and_close);
    }
    while (done < BATCH)
        uv_run(loop, UV_RUN_NOWAIT);
}

static double uv_callback(const void *arg)
{
    (void)arg;
    uv_loop_t loop;
    bench_check(uv_loop_init(&loop), "uv_loop_init");
    uv_batch(&loop);
    uint64_t start = bench_cpu();
    for (unsigned turn = 0; turn < TURNS; turn++)
        uv_batch(&loop);
    double figure = bench_cpu_per(start, TURNS * BATCH);
    uv_loop_close(&loop);
    return figure;
}
#endif

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
        {"future.callback", "ns", ouro_callback, "libuv uv_idle, malloc to close",
         BENCH_UV(uv_callback), BENCH_BUDGET(50),
         .note = "promise and future made, observed, resolved, called back, freed; 256 a turn"},
        {"future.call-soon", "ns", ouro_soon, "libuv uv_idle, malloc to close",
         BENCH_UV(uv_callback), .note = "a plain callback in the next turn; 256 a turn"},
    };
    return bench_main(argc, argv, "Futures and callbacks", cases, BENCH_COUNT(cases));
}
