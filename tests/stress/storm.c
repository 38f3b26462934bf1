/* SPDX-License-Identifier: MIT */
/*
 * A storm: random work of every kind, cancelled at random, and an account of it at the end.
 *
 * Workers make futures: sleeps, promises, operations, tasks, chains, timeouts and gathers of such,
 * a few levels deep. They await, join, detach, cancel and bound them, in scopes or not, while
 * others cancel them. A step is one thing made or done.
 *
 * Invariants: every future settles exactly once; every object, argument and buffer comes back
 * exactly once; a buffer that was given back is never written again; nothing lives at the end.
 * Whatever is waited for ends by itself before long, so a hang is a fault too: on the fake driver a
 * message, on the kernel a timeout.
 *
 * On the fake driver completions are shuffled, cancels are answered in every way there is, submits
 * are refused now and then, and one seed gives one run. On the kernel the seed gives the choices
 * only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/io_uring.h>

#include <ouro/ouro.h>
#include <ouro/uring.h>

#include "fake_driver.h"
#include "loop_int.h"
#include "storm.h"

enum { WORKERS = 16, HITS = 64, QUARANTINE = 512, BUFFER = 32, POISON = 0xa5, DEPTH = 3 };

static struct fake *fake; /* NULL on the kernel */
static int feed[2];       /* on the kernel, the pipe that is read from */

static uint8_t *settled; /* by the number of the future: how often */
static uint64_t made, settled_room;
static int64_t objects, pledges, readings;
static uint64_t reports[16];
static ouro_future *hits[HITS]; /* what anybody may cancel */
static struct reading *quarantine[QUARANTINE];
static unsigned quarantine_next;

static ouro_ns moment(void)
{
    return pick(4) ? pick(OURO_US(300)) : 0;
}

static ouro_future *make(int depth);
static ouro_future *make_any(int depth);
static void act(int depth);

/* ---- The account ----------------------------------------------------------------------------- */

static void has_settled(ouro_future *f, void *arg)
{
    uint64_t id = (uint64_t)(uintptr_t)arg;
    must(ouro_future_state(f) != OURO_PENDING);
    must(settled[id] == 0);
    settled[id]++;
}

/* Give a future a number, and count when it settles. */
static ouro_future *watch(ouro_future *f)
{
    if (made == settled_room) {
        settled_room = settled_room ? settled_room * 2 : 1 << 16;
        settled = realloc(settled, settled_room);
        must(settled != NULL);
    }
    settled[made] = 0;
    must(ouro_on_done(f, has_settled, (void *)(uintptr_t)made) == 0);
    made++;
    return f;
}

static void count_report(const ouro_report *r, void *arg)
{
    (void)arg;
    must(r->kind != OURO_REPORT_LEAK && r->kind != OURO_REPORT_ABANDONED);
    must(r->kind != OURO_REPORT_WRONG_THREAD && r->kind != OURO_REPORT_CYCLE);
    reports[r->kind]++;
}

static void object_free(void *ptr)
{
    objects--;
    free(ptr);
}

static void *object_new(void)
{
    objects++;
    void *ptr = malloc(24);
    must(ptr != NULL);
    return ptr;
}

/* ---- Promises -------------------------------------------------------------------------------- */

/* What will become of a promise: a call keeps it, sooner or later. */
struct pledge {
    ouro_promise *promise;
    int way;
    bool asked; /* its hook was */
};

static void pledge_free(void *arg)
{
    struct pledge *pledge = arg;
    ouro_promise_free(pledge->promise);
    pledges--;
    free(pledge);
}

static void pledge_keep(void *arg)
{
    struct pledge *pledge = arg;
    if (pledge->way == 0)
        return; /* breaks the promise */
    if (pledge->way == 1) {
        ouro_promise_fail(pledge->promise, pledge->asked ? -ECANCELED : -EIO);
        return;
    }
    ouro_result value = {(int64_t)pick(1000), object_new()};
    if (ouro_promise_resolve(pledge->promise, value, object_free) < 0)
        object_free(value.ptr);
}

static ouro_cancel_answer pledge_asked(ouro_promise *p, void *arg)
{
    struct pledge *pledge = arg;
    must(p == pledge->promise);
    must(!pledge->asked);
    pledge->asked = true;
    if (pick(8) == 0)
        must(ouro_promise_resolve(p, (ouro_result){1, NULL}, NULL) == 0);
    return pick(2) ? OURO_ABORTED : OURO_LATER;
}

static ouro_future *make_promise(void)
{
    ouro_future *f;
    struct pledge *pledge = calloc(1, sizeof *pledge);
    must(pledge != NULL);
    pledges++;
    must(ouro_promise_new(&pledge->promise, &f) == 0);
    pledge->way = (int)pick(12);
    if (pick(2))
        must(ouro_promise_on_cancel(pledge->promise, pledge_asked, pledge) == 0);
    if (pick(4))
        must(ouro_call_later(moment(), pledge_keep, pledge, pledge_free, NULL) == 0);
    else
        must(ouro_call_soon(pledge_keep, pledge, pledge_free, NULL) == 0);
    return f;
}

/* ---- Operations ------------------------------------------------------------------------------ */

struct reading {
    unsigned char buf[BUFFER];
};

/* The oldest buffer in quarantine makes room; it must be as it was poisoned. */
static void quarantine_add(struct reading *r)
{
    struct reading *old = quarantine[quarantine_next];
    for (int i = 0; old && i < BUFFER; i++)
        must(old->buf[i] == POISON);
    if (old)
        readings--;
    free(old);
    quarantine[quarantine_next] = r;
    quarantine_next = (quarantine_next + 1) % QUARANTINE;
}

static void has_read(ouro_future *f, void *arg)
{
    struct reading *r = arg;
    must(ouro_future_state(f) != OURO_PENDING);
    memset(r->buf, POISON, BUFFER);
    quarantine_add(r);
}

static void cancel_it(void *arg)
{
    ouro_cancel(arg);
}

static void unref_it(void *arg)
{
    ouro_unref(arg);
}

static void feed_some(void)
{
    ssize_t n = write(feed[1], "0123456789", 1 + pick(10));
    must(n > 0 || errno == EAGAIN);
}

static ouro_future *make_read(void)
{
    struct reading *r = calloc(1, sizeof *r);
    must(r != NULL);
    readings++;
    struct io_uring_sqe sqe = {.opcode = IORING_OP_READ,
                               .fd = feed[0],
                               .addr = (uintptr_t)r->buf,
                               .len = BUFFER,
                               .off = (uint64_t)-1};
    ouro_future *f = ouro_uring_op(&sqe, NULL);
    must(ouro_on_done(f, has_read, r) == 0);
    if (!fake && pick(2))
        feed_some();
    if (pick(2))
        return ouro_timeout(watch(f), moment());
    must(ouro_call_later(moment(), cancel_it, ouro_ref(f), unref_it, NULL) == 0);
    return f;
}

static ouro_future *make_nop(void)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .fd = -1};
    return ouro_uring_op(&sqe, NULL);
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

static int64_t child(void *arg)
{
    int depth = (int)(intptr_t)arg;
    for (uint64_t i = pick(4); i > 0; i--)
        act(depth);
    switch (pick(4)) {
    case 0:
        return -EIO;
    case 1:
        return ouro_task_return(object_new(), object_free);
    default:
        return ouro_cancel_reason() ? -ECANCELED : (int64_t)pick(100);
    }
}

static ouro_future *make_task(int depth)
{
    ouro_spawn_options opts = {.eager = pick(4) == 0, .stack_size = pick(4) ? 0 : 32768};
    return ouro_spawn_with(child, (void *)(intptr_t)(depth - 1), &opts);
}

/* ---- Combinations ---------------------------------------------------------------------------- */

static ouro_future *next_link(ouro_future *done, void *arg)
{
    must(ouro_future_state(done) != OURO_PENDING);
    ouro_future_result(done);
    return pick(2) ? make((int)(intptr_t)arg) : NULL;
}

struct gathering {
    size_t n;
    ouro_result results[5];
};

/* The objects of a success are ours, those of a failure have gone. */
static void has_gathered(ouro_future *f, void *arg)
{
    struct gathering *g = arg;
    for (size_t i = 0; i < g->n; i++) {
        if (ouro_future_state(f) != OURO_VALUE)
            must(g->results[i].ptr == NULL);
        else if (g->results[i].ptr)
            object_free(g->results[i].ptr);
    }
    free(g);
}

static ouro_future *make_gather(int depth)
{
    ouro_future *f[5];
    struct gathering *g = pick(4) ? calloc(1, sizeof *g) : NULL;
    size_t n = pick(6);
    for (size_t i = 0; i < n; i++)
        f[i] = make(depth - 1);
    if (n && pick(8) == 0) { /* one twice, with nothing to own */
        ouro_unref(f[0]);
        f[0] = n > 1 && pick(2) ? watch(ouro_sleep(moment())) : watch(ouro_ready(1));
        if (n > 1) {
            ouro_unref(f[n - 1]);
            f[n - 1] = f[0];
        }
    }
    ouro_future *all = ouro_gather(f, n, (ouro_gather_mode)pick(3), g ? g->results : NULL);
    if (g) {
        g->n = n;
        must(ouro_on_done(all, has_gathered, g) == 0);
    }
    return all;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static ouro_future *make_any(int depth)
{
    uint64_t way = pick(depth > 0 ? 12 : 6);
    switch (way) {
    case 0:
    case 1:
        return ouro_sleep(moment());
    case 2:
        return make_promise();
    case 3:
        return make_nop();
    case 4:
        return make_read();
    case 5:
        return ouro_ready(pick(4) ? (int64_t)pick(9) : -ENOENT);
    case 6:
    case 7:
        return make_task(depth);
    case 8:
        return ouro_then(make(depth - 1), next_link, (void *)(intptr_t)(depth - 1));
    case 9:
    case 10:
        return ouro_timeout(make(depth - 1), pick(8) ? moment() : OURO_FOREVER);
    default:
        return make_gather(depth);
    }
}

static ouro_future *make(int depth)
{
    steps++;
    return watch(make_any(depth));
}

/* ---- Acting ---------------------------------------------------------------------------------- */

/* Let a random future be found by a random canceller; the one that was there is let go. */
static void expose(ouro_future *f)
{
    uint64_t i = pick(HITS);
    ouro_unref(hits[i]);
    hits[i] = ouro_ref(f);
}

static void hit(void)
{
    uint64_t i = pick(HITS);
    if (!hits[i])
        return;
    ouro_cancel(hits[i]);
    hits[i] = ouro_unref(hits[i]);
}

static void await_in_scope(ouro_future *f)
{
    ouro_scope scope;
    ouro_scope_options opts = {
        .timeout = pick(3) ? 1 + moment() : 0, .shield = pick(4) == 0, .move_on = pick(2) == 0};
    must(ouro_scope_enter(&scope, &opts) == 0);
    if (pick(8) == 0)
        ouro_scope_cancel(&scope, "storm");
    int64_t rc = ouro_await(f);
    if (pick(2))
        act(0);
    ouro_scope_exit(&scope, rc);
}

static void await_object(ouro_future *f)
{
    int64_t n;
    void *ptr = ouro_await_ptr(f, &n);
    if (ptr) {
        must(n >= 0);
        object_free(ptr);
    }
}

static int64_t join_it(void *arg)
{
    return ouro_join(arg);
}

/* A joiner may be cancelled before it runs, so its reference goes with its argument. */
static ouro_future *make_joiner(ouro_future *f)
{
    return watch(
        ouro_spawn_with(join_it, ouro_ref(f), &(ouro_spawn_options){.arg_free = unref_it}));
}

static void consume(ouro_future *f, uint64_t way)
{
    switch (way) {
    case 0:
        ouro_detach(f);
        break;
    case 1:
        ouro_cancel(f);
        ouro_await(f);
        break;
    case 2:
        await_in_scope(f);
        break;
    case 3:
        await_object(f);
        break;
    case 4:
        ouro_join(f);
        ouro_unref(f);
        break;
    case 5:
        ouro_detach(make_joiner(f));
        ouro_await(f);
        break;
    case 6:
        ouro_cancel(f);
        ouro_detach(f);
        break;
    default:
        ouro_await(f);
    }
}

/* One random deed of the current task. */
static void act(int depth)
{
    steps++;
    if (pick(4) == 0)
        hit();
    if (pick(16) == 0)
        ouro_yield();
    ouro_future *f = make(depth);
    if (pick(4) == 0)
        expose(f);
    consume(f, pick(12));
}

static int64_t work(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100 && steps < goal && !ouro_cancel_reason(); i++)
        act(DEPTH);
    return 0;
}

static int64_t storm(void *arg)
{
    (void)arg;
    while (steps < goal) {
        ouro_future *workers[WORKERS];
        for (int i = 0; i < WORKERS; i++) {
            workers[i] = watch(ouro_spawn(work, NULL));
            if (pick(4) == 0)
                expose(workers[i]);
        }
        must(ouro_await(watch(ouro_gather(workers, WORKERS, OURO_GATHER_COLLECT, NULL))) == 0);
    }
    return 0;
}

/* ---- The fake driver's part ------------------------------------------------------------------ */

static int script(struct fake *f, const struct io_uring_sqe *sqe, void *arg)
{
    (void)arg;
    if (sqe->opcode == IORING_OP_READ)
        fake_complete_in(f, moment(), sqe->user_data,
                         pick(8) ? (int32_t)pick(BUFFER + 1) : -ECANCELED);
    if (sqe->opcode == IORING_OP_ASYNC_CANCEL) {
        f->on_cancel = (enum fake_cancel)pick(5);
        f->late_res = (int32_t)pick(BUFFER + 1);
        if (f->on_cancel == FAKE_CANCEL_HOLD)
            fake_complete_in(f, moment(), sqe->user_data, 0);
    }
    if (pick(64) == 0) {
        f->busy = (unsigned)pick(3);
        f->busy_error = pick(2) ? -EBUSY : -EAGAIN;
    }
    return 0;
}

static ouro_loop *new_fake_loop(void)
{
    ouro_loop *loop;
    fake = fake_new(32);
    fake->keep_log = false;
    fake->shuffle = seed;
    fake->script = script;
    must(ouro__loop_new_on(&fake->driver, NULL, &loop) == 0);
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
    must(pipe2(feed, O_CLOEXEC) == 0);
    must(fcntl(feed[1], F_SETFL, O_NONBLOCK) == 0);
    return loop;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void check_account(ouro_loop *loop)
{
    ouro_loop_stats s;
    must(ouro_loop_stats_get(loop, &s) == 0);
    must(s.live_futures == 0);
    must(s.live_tasks == 0);
    must(s.live_operations == 0);
    must(s.kernel_operations == 0);
    must(s.live_timers == 0);
    must(s.live_calls == 0);
    must(s.live_stacks == 0);
    must(s.live_fds == 0);
    for (uint64_t i = 0; i < made; i++)
        must(settled[i] == 1);
    must(objects == 0);
    must(pledges == 0);
    for (int i = 0; i < QUARANTINE; i++)
        quarantine_add(NULL);
    must(readings == 0);
    printf(
        "%s, seed %llu: %llu steps, %llu futures, %llu turns, %llu operations, %llu unread errors, "
        "%llu broken promises\n",
        fake ? "fake driver" : "kernel", (unsigned long long)seed, (unsigned long long)steps,
        (unsigned long long)made, (unsigned long long)s.turns, (unsigned long long)s.submitted,
        (unsigned long long)reports[OURO_REPORT_UNREAD_ERROR],
        (unsigned long long)reports[OURO_REPORT_BROKEN_PROMISE]);
    fflush(stdout);
}

static void run(bool on_fake)
{
    printf("%s, seed %llu: %llu steps to go\n", on_fake ? "fake driver" : "kernel",
           (unsigned long long)seed, (unsigned long long)goal);
    fflush(stdout);
    state = seed;
    steps = made = 0;
    memset(reports, 0, sizeof reports);
    ouro_loop *loop = on_fake ? new_fake_loop() : new_kernel_loop();
    must(ouro_report_set_handler(count_report, NULL) == 0);
    must(ouro_loop_run_until(loop, ouro_spawn(storm, NULL)) == 0);
    must(ouro_loop_run(loop) == 0); /* what was detached ends by itself */
    for (int i = 0; i < HITS; i++)
        hits[i] = ouro_unref(hits[i]);
    must(ouro_loop_shutdown(loop, OURO_SEC(10)) == 0);
    check_account(loop);
    must(ouro_loop_close(loop) == 0);
    if (on_fake) {
        must(fake_pending_count(fake) == 0);
        fake_destroy(fake);
        fake = NULL;
    } else {
        close(feed[0]);
        close(feed[1]);
    }
}

int main(int argc, char **argv)
{
    int status = storm_main(argc, argv, STORM_STEPS(1000000, 100000), run);
    free(settled);
    return status;
}
