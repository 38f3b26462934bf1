/* SPDX-License-Identifier: MIT */
/*
 * A storm over locks, semaphores, events, conditions and barriers: tasks wait for them in every way
 * there is, and are cancelled, timed out and given up at random. A step is one thing done with one
 * of them.
 *
 * Invariants: a lock has one holder, and is handed on in the order of arrival; permits taken and
 * free are as many as ever; every signal that found somebody ends exactly one wait, which has the
 * mutex again, as has one that failed; every index of a barrier is given out equally often; nothing
 * lives at the end. A wait that is forgotten never ends: on the fake driver a message, on the
 * kernel a timeout.
 *
 * On the fake driver one seed gives one run. On the kernel the seed gives the choices only.
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

enum { WORKERS = 16, HITS = 8, PERMITS = 5, PARTIES = 4 };

static uint64_t taken, refused; /* what waits came to */

static ouro_ns moment(void)
{
    return pick(4) ? pick(OURO_US(100)) : 0;
}

/* ---- Trouble --------------------------------------------------------------------------------- */

static ouro_scope *regions[HITS]; /* what anybody may cancel */
static ouro_future *workers[WORKERS];

static void hit(void)
{
    if (pick(3)) {
        ouro_scope *region = regions[pick(HITS)];
        if (region)
            ouro_scope_cancel(region, "storm");
    } else {
        ouro_future *worker = workers[pick(WORKERS)];
        if (worker)
            ouro_cancel(worker);
    }
}

/* A region that may be cut short. It must be left before another is entered. */
struct region {
    ouro_scope scope;
    ouro_scope **slot;
};

static void enter(struct region *r)
{
    ouro_scope_options opts = {.timeout = pick(4) ? 0 : 1 + moment(), .shield = pick(16) == 0};
    must(ouro_scope_enter(&r->scope, &opts) == 0);
    r->slot = &regions[pick(HITS)];
    *r->slot = &r->scope;
    if (pick(16) == 0)
        ouro_scope_cancel(&r->scope, "storm");
}

static void leave(struct region *r)
{
    if (*r->slot == &r->scope)
        *r->slot = NULL;
    ouro_scope_exit(&r->scope, 0);
}

/* Keep what one has for a while, or not. */
static void dawdle(void)
{
    switch (pick(8)) {
    case 0:
        ouro_await(ouro_sleep(moment()));
        break;
    case 1:
    case 2:
        ouro_yield();
    }
}

static int64_t fail_soon(void *arg)
{
    (void)arg;
    dawdle();
    return -EIO;
}

/* Do something with the future of a wait. Returns its value if it is ours now, else an error.
 * @keep, called back with what it came to, is what keeps it where nobody awaits it. */
static int64_t consume(ouro_future *f, ouro_done_fn *keep)
{
    ouro_result results[2];
    ouro_future *both[2] = {f, NULL};
    switch (pick(8)) {
    case 0:
        ouro_detach(f);
        return -EAGAIN;
    case 1:
        ouro_cancel(f);
        return ouro_await(f);
    case 2:
        return ouro_await(ouro_timeout(f, moment()));
    case 3:
        both[1] = ouro_spawn(fail_soon, NULL);
        return ouro_await(ouro_gather(both, 2, OURO_GATHER_ALL, results));
    case 4:
        both[1] = ouro_sleep(moment());
        if (ouro_await(ouro_gather(both, 2, OURO_GATHER_COLLECT, results)) < 0)
            return -ECANCELED;
        return results[0].n;
    case 5:
        must(ouro_on_done(f, keep, NULL) == 0);
        ouro_unref(f);
        return -EAGAIN;
    case 6:
        both[1] = ouro_sleep(moment());
        return ouro_await(ouro_select(both, 2, results)) == 0 ? results[0].n : -ECANCELED;
    default:
        return ouro_await(f);
    }
}

/* Whether a wait was a success; any error must be one of those that can be. */
static bool succeeded(int64_t n)
{
    bool known = n >= 0 || n == -ECANCELED || n == -ETIMEDOUT || n == -EIO || n == -EAGAIN ||
                 n == -EPIPE || n == -OURO_ECHILDCANCELLED;
    must(known);
    taken += n >= 0;
    refused += n < 0;
    return n >= 0;
}

/* ---- Locks ----------------------------------------------------------------------------------- */

static ouro_mutex mutex;
static bool held;
static uint64_t next_ticket, last_ticket;

static void hold(void)
{
    must(!held);
    must(ouro_mutex_locked(&mutex));
    held = true;
}

static void unhold(void)
{
    must(held);
    held = false;
}

static void hold_a_while(void)
{
    hold();
    dawdle();
    unhold();
    must(ouro_mutex_unlock(&mutex) == 0);
}

/* Lock; who had to stand in line comes after all who did so before. */
static bool lock(void)
{
    bool waits = ouro_mutex_locked(&mutex);
    uint64_t ticket = ++next_ticket;
    if (!succeeded(ouro_mutex_lock(&mutex)))
        return false;
    must(!waits || ticket > last_ticket);
    if (waits)
        last_ticket = ticket;
    return true;
}

static void keep_lock(ouro_future *f, void *arg)
{
    (void)arg;
    if (ouro_future_take(f).n < 0)
        return;
    hold();
    unhold();
    must(ouro_mutex_unlock(&mutex) == 0);
}

static void mutex_act(void)
{
    struct region r;
    bool mine;
    enter(&r);
    switch (pick(4)) {
    case 0:
        mine = succeeded(ouro_mutex_try_lock(&mutex));
        break;
    case 1:
        mine = succeeded(consume(ouro_mutex_lock_future(&mutex), keep_lock));
        break;
    default:
        mine = lock();
    }
    if (mine)
        hold_a_while();
    leave(&r);
}

static void mutex_check(void)
{
    must(!held);
    must(!ouro_mutex_locked(&mutex));
}

/* ---- Semaphores ------------------------------------------------------------------------------ */

static ouro_sem sem;
static int64_t used; /* permits that somebody has */

static void sem_begin(void)
{
    must(ouro_sem_init(&sem, PERMITS, PERMITS) == 0);
}

static void use(int64_t n)
{
    used += n;
    must(used + ouro_sem_permits(&sem) <= PERMITS);
}

static void unuse(int64_t n)
{
    used -= n;
    must(ouro_sem_release(&sem, n) == 0);
}

static void keep_permits(ouro_future *f, void *arg)
{
    (void)arg;
    int64_t n = ouro_future_take(f).n;
    if (n < 0)
        return;
    use(n);
    unuse(n);
}

static void sem_act(void)
{
    struct region r;
    bool mine;
    int64_t n = 1 + (int64_t)pick(pick(4) ? 2 : PERMITS);
    enter(&r);
    switch (pick(4)) {
    case 0:
        mine = succeeded(ouro_sem_try_acquire(&sem, n));
        break;
    case 1:
        mine = succeeded(consume(ouro_sem_acquire_future(&sem, n), keep_permits));
        break;
    default:
        mine = succeeded(ouro_sem_acquire(&sem, n));
    }
    if (mine) {
        use(n);
        dawdle();
        unuse(n);
    }
    leave(&r);
}

static void sem_check(void)
{
    must(used == 0);
    must(ouro_sem_permits(&sem) == PERMITS);
}

/* ---- Events ---------------------------------------------------------------------------------- */

static ouro_event event;
static uint64_t sets;

static void event_help(void)
{
    sets++;
    must(ouro_event_set(&event) == 0);
    must(ouro_event_clear(&event) == 0);
}

static void keep_nothing(ouro_future *f, void *arg)
{
    (void)arg;
    succeeded(ouro_future_take(f).n);
}

static void event_act(void)
{
    struct region r;
    enter(&r);
    bool was_set = ouro_event_is_set(&event);
    uint64_t before = sets;
    switch (pick(6)) {
    case 0:
        event_help();
        break;
    case 1:
        sets++;
        must(ouro_event_set(&event) == 0);
        dawdle();
        must(ouro_event_clear(&event) == 0);
        break;
    case 2:
        if (succeeded(consume(ouro_event_wait_future(&event), keep_nothing)))
            must(was_set || sets > before);
        break;
    default:
        if (succeeded(ouro_event_wait(&event)))
            must(was_set || sets > before);
    }
    leave(&r);
}

static void event_check(void)
{
    must(!ouro_event_is_set(&event));
}

/* ---- Conditions ------------------------------------------------------------------------------ */

static ouro_cond cond;
static int64_t tokens;    /* what is waited for */
static int64_t signalled; /* waiters, and what became of them */
static int64_t woken;

static void bring_token(int64_t n)
{
    hold();
    tokens++;
    int64_t rc = ouro_cond_signal(&cond, &mutex, n);
    must(rc >= 0);
    signalled += rc;
    dawdle();
    unhold();
    must(ouro_mutex_unlock(&mutex) == 0);
}

static void wait_for_token(void)
{
    int rc = 0;
    hold();
    while (tokens == 0 && rc == 0) {
        unhold();
        rc = ouro_cond_wait(&cond, &mutex);
        hold(); /* whatever it came to */
        woken += rc == 0;
        succeeded(rc);
    }
    tokens -= tokens > 0;
    dawdle();
    unhold();
    must(ouro_mutex_unlock(&mutex) == 0);
}

static void cond_act(void)
{
    struct region r;
    enter(&r);
    if (lock()) {
        if (pick(3) == 0)
            bring_token(pick(4) ? 1 : OURO_UNBOUNDED);
        else
            wait_for_token();
    }
    leave(&r);
}

static void cond_help(void)
{
    if (ouro_mutex_lock(&mutex) == 0)
        bring_token(1);
}

static void cond_check(void)
{
    mutex_check();
    must(signalled == woken);
}

/* ---- Barriers -------------------------------------------------------------------------------- */

static ouro_barrier barrier;
static uint64_t met[PARTIES]; /* how often each index was given out */

static void barrier_begin(void)
{
    must(ouro_barrier_init(&barrier, PARTIES) == 0);
}

static void count_index(int64_t n)
{
    must(n < PARTIES);
    if (succeeded(n))
        met[n]++;
}

static void keep_index(ouro_future *f, void *arg)
{
    (void)arg;
    count_index(ouro_future_result(f).n);
}

static void barrier_act(void)
{
    struct region r;
    enter(&r);
    if (pick(4)) {
        count_index(ouro_barrier_wait(&barrier));
    } else {
        ouro_future *f = ouro_barrier_wait_future(&barrier);
        must(ouro_on_done(f, keep_index, NULL) == 0);
        consume(f, keep_nothing);
    }
    leave(&r);
}

static void barrier_help(void)
{
    if (pick(4) == 0) {
        must(ouro_barrier_abort(&barrier) == 0);
        dawdle();
    }
    must(ouro_barrier_reset(&barrier) == 0);
}

static void barrier_check(void)
{
    for (int i = 1; i < PARTIES; i++)
        must(met[i] == met[0]);
}

/* ---- The storm ------------------------------------------------------------------------------- */

static const struct trial {
    const char *name;
    void (*begin)(void);
    void (*act)(void);   /* a deed of a worker */
    void (*help)(void);  /* for those who wait, so that all waits end one day */
    void (*check)(void); /* when everybody has gone */
} trials[] = {
    {"mutex", NULL, mutex_act, NULL, mutex_check},
    {"semaphore", sem_begin, sem_act, NULL, sem_check},
    {"event", NULL, event_act, event_help, event_check},
    {"condition", NULL, cond_act, cond_help, cond_check},
    {"barrier", barrier_begin, barrier_act, barrier_help, barrier_check},
};

static int64_t work(void *arg)
{
    const struct trial *trial = arg;
    for (int i = 0; i < 200 && steps < goal && !ouro_cancel_reason(); i++) {
        steps++;
        if (pick(8) == 0)
            hit();
        trial->act();
    }
    return 0;
}

static bool calm; /* all workers have ended */

static int64_t help(void *arg)
{
    const struct trial *trial = arg;
    while (!calm) {
        trial->help();
        must(ouro_await(ouro_sleep(OURO_US(20))) == 0);
    }
    return 0;
}

static void round_of(const struct trial *trial)
{
    calm = false;
    ouro_future *helper = trial->help ? ouro_spawn(help, (void *)(uintptr_t)trial) : NULL;
    ouro_future *mine[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        mine[i] = ouro_spawn(work, (void *)(uintptr_t)trial);
        workers[i] = ouro_ref(mine[i]);
    }
    must(ouro_await(ouro_gather(mine, WORKERS, OURO_GATHER_COLLECT, NULL)) == 0);
    for (int i = 0; i < WORKERS; i++)
        workers[i] = ouro_unref(workers[i]);
    calm = true;
    if (helper)
        must(ouro_await(helper) == 0);
}

/* What was detached has its turn, and what it was given goes back. */
static void settle_down(const struct trial *trial)
{
    for (int i = 0; i < 10; i++) {
        if (trial->help)
            trial->help();
        must(ouro_await(ouro_sleep(OURO_US(500))) == 0);
    }
}

static int64_t storm(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        const struct trial *trial = &trials[i];
        steps = taken = refused = 0;
        if (trial->begin)
            trial->begin();
        while (steps < goal)
            round_of(trial);
        settle_down(trial);
        trial->check();
        printf("  %s: %llu waits served, %llu not\n", trial->name, (unsigned long long)taken,
               (unsigned long long)refused);
        fflush(stdout);
        must(taken > 0);
        must(refused > 0);
    }
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* What is given up may have failed; nothing else is worth a word. */
static void hear_report(const ouro_report *r, void *arg)
{
    (void)arg;
    must(r->kind == OURO_REPORT_UNREAD_ERROR || r->kind == OURO_REPORT_STACK);
}

static ouro_loop *new_fake_loop(struct fake **ret_fake)
{
    ouro_loop *loop;
    *ret_fake = fake_new(32);
    (*ret_fake)->keep_log = false;
    must(ouro__loop_new_on(&(*ret_fake)->driver, NULL, &loop) == 0);
    return loop;
}

static ouro_loop *new_kernel_loop(void)
{
    ouro_loop *loop;
    int rc = ouro_loop_new(NULL, &loop);
    if (rc < 0) {
        char why[256];
        ouro_explain(rc, why, sizeof why);
        fprintf(stderr, "no loop: %s\n", why);
        exit(1);
    }
    return loop;
}

static void check_nothing_lives(ouro_loop *loop)
{
    ouro_loop_stats s;
    must(ouro_loop_stats_get(loop, &s) == 0);
    must(s.live_futures == 0);
    must(s.live_tasks == 0);
    must(s.live_timers == 0);
    must(s.live_stacks == 0);
}

static void run(bool on_fake)
{
    struct fake *fake = NULL;
    printf("%s, seed %llu: %llu steps for each\n", on_fake ? "fake driver" : "kernel",
           (unsigned long long)seed, (unsigned long long)goal);
    fflush(stdout);
    state = seed;
    signalled = woken = tokens = 0;
    memset(met, 0, sizeof met);
    ouro_loop *loop = on_fake ? new_fake_loop(&fake) : new_kernel_loop();
    must(ouro_report_set_handler(hear_report, NULL) == 0);
    must(ouro_loop_run_until(loop, ouro_spawn(storm, NULL)) == 0);
    must(ouro_loop_run(loop) == 0);
    check_nothing_lives(loop);
    must(ouro_loop_close(loop) == 0);
    if (fake)
        fake_destroy(fake);
}

int main(int argc, char **argv)
{
    return storm_main(argc, argv, STORM_STEPS(100000, 10000), run);
}
