/* SPDX-License-Identifier: MIT */
/*
 * A storm in a queue: random puts and gets of every form, with limits and cancels, until it is shut
 * down.
 *
 * A round is one queue, of a random order and one of four capacities, and workers who use it. Each
 * call is in a scope of its own, which a limit ends and which any other worker may cancel; futures
 * are awaited, bounded, cancelled, gathered with failures, or dropped with their item in them.
 * Somewhere in the middle the queue is drained or ended.
 *
 * Invariants: each piece that was put in is got once or destroyed once, each that was not is its
 * putter's alone; what is unfinished is what the account says; what a get finds in the queue is
 * what comes first among what is known to be in it; pieces go to the getters in the order in which
 * both came, where the order is FIFO and no future may have given any back. A hang is a fault too:
 * every wait has a limit.
 *
 * One seed gives one run on the fake driver; on the kernel it gives the choices only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ouro/ouro.h>

#include "fake_driver.h"
#include "loop_int.h"
#include "storm.h"

enum { WORKERS = 12, ROUND_STEPS = 800, PIECES = ROUND_STEPS + WORKERS };

struct piece {
    int priority;
    uint64_t put;  /* when its putter called, */
    uint64_t get;  /* and the getter that has it */
    bool in;       /* its put has succeeded */
    bool refused;  /* or failed */
    bool in_store; /* known to be in the queue, handed to nobody */
    bool strayed;  /* was in a future, and may have come back */
    int got;
    int destroyed;
};

static uint64_t rounds;
static struct fake *fake; /* NULL on the kernel */

static struct piece pieces[PIECES];
static size_t piece_count;
static uint64_t calls; /* puts and gets of this round: their order */
static uint64_t deeds; /* of any worker: whether somebody else had a turn */
static int64_t done;
static uint64_t observers;
static ouro_queue *q;
static ouro_queue_order order;
static int64_t capacity;
static bool with_futures;
static bool over;                   /* shut down, and seen so */
static ouro_scope *scopes[WORKERS]; /* that may be cancelled */
static uint64_t total_got, total_destroyed, total_refused, total_strayed;

/* ---- The account ----------------------------------------------------------------------------- */

static struct piece *piece_new(void)
{
    must(piece_count < PIECES);
    struct piece *p = &pieces[piece_count++];
    *p = (struct piece){.priority = (int)pick(5), .put = ++calls};
    return p;
}

static int compare(const void *a, const void *b, void *arg)
{
    must(arg == &state);
    return ((const struct piece *)a)->priority - ((const struct piece *)b)->priority;
}

/* Whether @a must come out before @b, if both are in the queue and neither has been out. */
static bool precedes(const struct piece *a, const struct piece *b)
{
    if (order == OURO_QUEUE_PRIORITY && a->priority != b->priority)
        return a->priority < b->priority;
    return order == OURO_QUEUE_LIFO ? a->put > b->put : a->put < b->put;
}

static void destroy(void *ptr)
{
    struct piece *p = ptr;
    must(over);
    must(!p->got && !p->destroyed);
    p->destroyed++;
}

/* Its put has come to @rc. @entered: it is in the queue now, as far as can be told. */
static void note_put(struct piece *p, int64_t rc, bool entered)
{
    must(!p->in && !p->refused);
    if (rc == 0) {
        p->in = true;
        p->in_store = entered && !p->got && !p->destroyed && !p->strayed;
        return;
    }
    must(rc == -EAGAIN || rc == -EPIPE || rc == -ECANCELED || rc == -ETIMEDOUT);
    must(!p->got && !p->destroyed);
    p->refused = true;
}

/* @p left the queue just now: nothing that is known to be in it should have come first. */
static void check_order(const struct piece *p)
{
    if (p->strayed)
        return;
    for (size_t i = 0; i < piece_count; i++)
        must(!pieces[i].in_store || &pieces[i] == p || !precedes(&pieces[i], p));
}

static void note_get(struct piece *p, uint64_t call)
{
    must(!p->got && !p->destroyed && !p->refused);
    p->got++;
    p->get = call;
    p->in_store = false;
}

/* ---- Deeds ----------------------------------------------------------------------------------- */

static void put_one(void)
{
    struct piece *p = piece_new();
    int64_t size = ouro_queue_size(q);
    uint64_t before = deeds;
    int rc = ouro_queue_put(q, p);
    bool alone = deeds == before;
    note_put(p, rc, alone ? ouro_queue_size(q) > size : capacity > 0);
}

static void try_put_one(void)
{
    struct piece *p = piece_new();
    int64_t size = ouro_queue_size(q);
    int rc = ouro_queue_try_put(q, p);
    note_put(p, rc, ouro_queue_size(q) > size);
}

static void get_one(void)
{
    void *item = &calls;
    uint64_t call = ++calls, before = deeds;
    int rc = ouro_queue_get(q, &item);
    if (rc == 0) {
        if (deeds == before)
            check_order(item);
        note_get(item, call);
    } else {
        must(item == &calls);
        must(rc == -ECANCELED || rc == -EPIPE);
    }
}

static void try_get_one(void)
{
    void *item;
    uint64_t call = ++calls;
    int rc = ouro_queue_try_get(q, &item);
    if (rc == 0) {
        check_order(item);
        note_get(item, call);
    } else {
        must(rc == -EAGAIN || rc == -EPIPE);
    }
}

static void stray(struct piece *p)
{
    p->strayed = true;
    p->in_store = false;
    total_strayed++;
}

static void has_put(ouro_future *f, void *arg)
{
    int64_t rc = ouro_future_result(f).n;
    note_put(arg, rc, false);
    observers--;
}

/* If somebody has taken the item already, it is where it will stay. */
static void has_strayed(ouro_future *f, void *arg)
{
    (void)arg;
    struct piece *p = ouro_future_result(f).ptr;
    if (ouro_future_state(f) == OURO_VALUE && p)
        stray(p);
    observers--;
}

static void put_by_future(void)
{
    struct piece *p = piece_new();
    ouro_future *f = ouro_queue_put_future(q, p);
    must(ouro_on_done(f, has_put, p) == 0);
    observers++;
    switch (pick(4)) {
    case 0:
        ouro_detach(f);
        break;
    case 1:
        ouro_cancel(f);
        ouro_unref(f);
        break;
    case 2:
        ouro_await(ouro_timeout(f, 1 + pick(OURO_US(200))));
        break;
    default:
        ouro_await(f);
    }
}

static void await_item(ouro_future *f)
{
    int64_t n;
    void *item = ouro_await_ptr(f, &n);
    if (n == 0)
        note_get(item, 0);
}

static void gather_item(ouro_future *f)
{
    ouro_future *fs[2] = {f, pick(2) ? ouro_ready(-EIO) : ouro_sleep(pick(OURO_US(100)))};
    ouro_result r[2];
    if (ouro_await(ouro_gather(fs, 2, OURO_GATHER_ALL, r)) == 0)
        note_get(r[0].ptr, 0);
}

static void get_by_future(void)
{
    uint64_t way = pick(8);
    ouro_future *f = ouro_queue_get_future(q);
    if (ouro_future_state(f) == OURO_VALUE) { /* out of the queue at once */
        struct piece *p = ouro_future_result(f).ptr;
        check_order(p);
        stray(p);
    }
    if (way < 2)
        f = ouro_timeout(f, 1 + pick(OURO_US(200)));
    must(ouro_on_done(f, has_strayed, NULL) == 0);
    observers++;
    switch (way) {
    case 2:
        ouro_detach(f);
        break;
    case 3:
        ouro_cancel(f);
        ouro_unref(f);
        break;
    case 1:
    case 4:
        ouro_await(f); /* which leaves the item */
        break;
    case 5:
        gather_item(f);
        break;
    default:
        await_item(f);
    }
}

static void finish_one(void)
{
    int64_t unfinished = ouro_queue_unfinished(q), got = 0;
    for (size_t i = 0; i < piece_count; i++)
        got += pieces[i].got;
    if (got == done)
        return;
    done++;
    must(ouro_queue_task_done(q) == 0);
    must(ouro_queue_unfinished(q) == unfinished - 1);
}

static void join(void)
{
    uint64_t before = deeds;
    int rc = ouro_queue_join(q);
    must(rc == 0 || rc == -ECANCELED);
    must(rc < 0 || deeds != before || ouro_queue_unfinished(q) == 0);
}

static void hit(void)
{
    ouro_scope *scope = scopes[pick(WORKERS)];
    if (scope)
        ouro_scope_cancel(scope, "storm");
}

static void act(void)
{
    switch (pick(with_futures ? 16 : 12)) {
    case 0:
    case 1:
    case 2:
        put_one();
        break;
    case 3:
        try_put_one();
        break;
    case 4:
    case 5:
    case 6:
        get_one();
        break;
    case 7:
        try_get_one();
        break;
    case 8:
        finish_one();
        break;
    case 9:
        join();
        break;
    case 10:
        hit();
        break;
    case 11:
        ouro_await(ouro_sleep(pick(OURO_US(50))));
        break;
    case 12:
    case 13:
        put_by_future();
        break;
    default:
        get_by_future();
    }
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

/* Every deed has a limit; one in eight is cancelled before it begins. */
static int64_t work(void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;
    for (int n = 0; steps < goal && piece_count < ROUND_STEPS && !(over && pick(8) == 0); n++) {
        ouro_scope scope;
        ouro_scope_options opts = {.timeout = 1 + pick(OURO_US(300))};
        steps++;
        deeds++;
        must(ouro_scope_enter(&scope, &opts) == 0);
        scopes[i] = &scope;
        if (pick(8) == 0)
            ouro_scope_cancel(&scope, "storm");
        act();
        scopes[i] = NULL;
        ouro_scope_exit(&scope, 0);
        deeds++;
        if (n % 32 == 31)
            ouro_yield(); /* so that no call has to, with an item in its hands */
    }
    return 0;
}

static void end_queue(void)
{
    ouro_shutdown_mode mode = pick(2) ? OURO_SHUTDOWN_NOW : OURO_SHUTDOWN_DRAIN;
    must(ouro_queue_shutdown(q, mode) == 0);
    over = true;
    if (pick(2))
        must(ouro_queue_shutdown(q, OURO_SHUTDOWN_NOW) == 0);
}

static int64_t end_early(void *arg)
{
    (void)arg;
    ouro_await(ouro_sleep(OURO_US(100) + pick(OURO_MS(20))));
    end_queue();
    return 0;
}

/* FIFO at both ends. */
static void check_lines(void)
{
    const struct piece *last = NULL;
    for (size_t i = 0; i < piece_count; i++) {
        if (!pieces[i].got)
            continue;
        must(!last || (last->put < pieces[i].put && last->get < pieces[i].get));
        last = &pieces[i];
    }
}

static void check_unfinished(void)
{
    int64_t in = 0, destroyed = 0;
    for (size_t i = 0; i < piece_count; i++) {
        in += pieces[i].in;
        destroyed += pieces[i].destroyed;
    }
    must(ouro_queue_unfinished(q) == in - destroyed - done);
}

static void check_account(void)
{
    for (size_t i = 0; i < piece_count; i++) {
        const struct piece *p = &pieces[i];
        must(p->in != p->refused);
        must(p->got + p->destroyed == p->in);
        total_got += (uint64_t)p->got;
        total_destroyed += (uint64_t)p->destroyed;
        total_refused += p->refused;
    }
}

static void run_round(void)
{
    static const int64_t capacities[] = {0, 1, 7, OURO_UNBOUNDED};
    order = (ouro_queue_order)pick(3);
    capacity = capacities[pick(4)];
    with_futures = pick(2);
    over = false;
    piece_count = 0;
    calls = deeds = 0;
    done = 0;
    ouro_queue_options opts = {
        .order = order, .compare = compare, .compare_arg = &state, .item_free = destroy};
    must(ouro_queue_new(capacity, &opts, &q) == 0);
    ouro_future *tasks[WORKERS + 1];
    for (size_t i = 0; i < WORKERS; i++)
        tasks[i] = ouro_spawn(work, (void *)(uintptr_t)i);
    tasks[WORKERS] = ouro_spawn(end_early, NULL);
    must(ouro_await(ouro_gather(tasks, WORKERS + 1, OURO_GATHER_ALL, NULL)) == 0);
    while (observers)
        ouro_yield();
    ouro_yield(); /* what was dropped last is back */
    ouro_yield(); /* and destroyed */
    check_unfinished();
    ouro_queue_free(q);
    ouro_yield();
    check_account();
    if (order == OURO_QUEUE_FIFO && !with_futures)
        check_lines();
    rounds++;
}

static int64_t storm(void *arg)
{
    (void)arg;
    while (steps < goal)
        run_round();
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static ouro_loop *new_loop(bool on_fake)
{
    ouro_loop *loop;
    if (on_fake) {
        fake = fake_new(32);
        fake->keep_log = false;
        must(ouro__loop_new_on(&fake->driver, NULL, &loop) == 0);
        return loop;
    }
    int rc = ouro_loop_new(NULL, &loop);
    if (rc < 0) {
        char why[256];
        ouro_explain(rc, why, sizeof why);
        fprintf(stderr, "no loop: %s\n", why);
        exit(1);
    }
    return loop;
}

/* Errors of futures that were dropped are of no interest; anything else is a fault. */
static void hear_report(const ouro_report *r, void *arg)
{
    (void)arg;
    must(r->kind == OURO_REPORT_UNREAD_ERROR || r->kind == OURO_REPORT_CANCEL_IGNORED);
}

static void run(bool on_fake)
{
    ouro_loop_stats s;
    state = seed;
    steps = rounds = observers = 0;
    total_got = total_destroyed = total_refused = total_strayed = 0;
    ouro_loop *loop = new_loop(on_fake);
    must(ouro_report_set_handler(hear_report, NULL) == 0);
    must(ouro_loop_run_until(loop, ouro_spawn(storm, NULL)) == 0);
    must(ouro_loop_shutdown(loop, OURO_SEC(10)) == 0);
    must(ouro_loop_stats_get(loop, &s) == 0);
    must(s.live_futures == 0 && s.live_tasks == 0 && s.live_timers == 0 && s.live_stacks == 0);
    must(ouro_loop_close(loop) == 0);
    printf("%s, seed %llu: %llu steps, %llu rounds, %llu got, %llu destroyed, %llu refused, "
           "%llu in futures\n",
           on_fake ? "fake driver" : "kernel", (unsigned long long)seed, (unsigned long long)steps,
           (unsigned long long)rounds, (unsigned long long)total_got,
           (unsigned long long)total_destroyed, (unsigned long long)total_refused,
           (unsigned long long)total_strayed);
    fflush(stdout);
    fake_destroy(fake);
    fake = NULL;
}

int main(int argc, char **argv)
{
    return storm_main(argc, argv, 100000, run);
}
