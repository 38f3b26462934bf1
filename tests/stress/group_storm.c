/* SPDX-License-Identifier: MIT */
/*
 * A storm of groups: random trees of them, with selects, waits and iterations inside, cancelled at
 * random, and an account of it at the end.
 *
 * The body of a group spawns children, some of which are such bodies; it selects, waits and
 * iterates, in scopes or not, while others cancel its children, its group and itself, and strangers
 * spawn into its group. A step is one thing made or done.
 *
 * Invariants: every child ends exactly once, and before its group is left; leaving tells the truth
 * about who failed; an iteration gives each index once; every object and every permit comes back;
 * nothing lives at the end. What is waited for ends by itself before long, so a hang is a fault
 * too.
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

#include <linux/io_uring.h>

#include <ouro/ouro.h>
#include <ouro/uring.h>

#include "fake_driver.h"
#include "loop_int.h"
#include "storm.h"

enum { WORKERS = 8, HITS = 32, OPEN = 16, PERMITS = 3, DEPTH = 4, SOME = 6 };

static struct fake *fake; /* NULL on the kernel */

static int64_t objects, families, kids;
static uint64_t groups, children, forgotten, refused, reports[16];
static ouro_future *hits[HITS]; /* what anybody may cancel */

static ouro_ns moment(void)
{
    return pick(4) ? pick(OURO_US(300)) : 0;
}

static void count_report(const ouro_report *r, void *arg)
{
    (void)arg;
    must(r->kind != OURO_REPORT_ABANDONED && r->kind != OURO_REPORT_WRONG_THREAD);
    reports[r->kind]++;
}

/* ---- Objects and permits --------------------------------------------------------------------- */

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

static struct {
    struct ouro__giver giver;
    struct ouro__line line;
    int there;
} permits;

static void permit_release(void)
{
    if (ouro__line_empty(&permits.line))
        permits.there++;
    else
        ouro__serve(permits.line.first, 0);
    must(permits.there <= PERMITS);
}

static void permit_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)giver;
    (void)loop;
    (void)result;
    permit_release();
}

static const struct ouro__giver_kind permit_giver = {.back = permit_back};

static ouro_future *permit_future(void)
{
    static const struct ouro__wait_kind kind = {.name = "permit"};
    if (!permits.there)
        return ouro__wait_future(ouro_loop_current(), &permits.line,
                                 &(struct ouro__waiter){.kind = &kind}, &permits.giver);
    permits.there--;
    return ouro__granted_future(ouro_loop_current(), (ouro_result){0, NULL}, &permits.giver);
}

/* ---- Futures of all kinds -------------------------------------------------------------------- */

static void expose(ouro_future *f)
{
    uint64_t i = pick(HITS);
    ouro_unref(hits[i]);
    hits[i] = ouro_ref(f);
}

static void hit(void)
{
    uint64_t i = pick(HITS);
    if (hits[i])
        ouro_cancel(hits[i]);
    hits[i] = ouro_unref(hits[i]);
}

static int64_t make_object(void *arg)
{
    (void)arg;
    int64_t rc = ouro_await(ouro_sleep(moment()));
    return pick(4) ? ouro_task_return(object_new(), object_free) : rc;
}

static void keep_promise(void *arg)
{
    ouro_result value = {(int64_t)pick(9), object_new()};
    if (ouro_promise_resolve(arg, value, object_free) < 0)
        object_free(value.ptr);
}

static void free_promise(void *arg)
{
    ouro_promise_free(arg);
}

static ouro_future *make_promise(void)
{
    ouro_promise *p;
    ouro_future *f;
    must(ouro_promise_new(&p, &f) == 0);
    must(ouro_call_later(moment(), keep_promise, p, free_promise, NULL) == 0);
    return f;
}

static ouro_future *make_nop(void)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_NOP, .fd = -1};
    return ouro_uring_op(&sqe, NULL);
}

static size_t make_some(ouro_future **f, bool *is_permit);

/* A select inside another; what it wins goes back. */
static ouro_future *make_select(void)
{
    ouro_future *f[SOME];
    bool is_permit[SOME];
    size_t n = make_some(f, is_permit);
    ouro_future *s = ouro_select(f, n, NULL);
    if (pick(4) == 0)
        expose(s);
    return s;
}

static ouro_future *make(bool *ret_is_permit)
{
    steps++;
    uint64_t way = pick(12);
    *ret_is_permit = way == 0 || way == 1;
    switch (way) {
    case 0:
        return permit_future();
    case 1:
        return ouro_timeout(permit_future(), moment());
    case 2:
        return ouro_ready(pick(4) ? 1 : -ENOENT);
    case 3:
    case 4:
        return make_promise();
    case 5:
    case 6:
        return ouro_spawn(make_object, NULL);
    case 7:
        return make_nop();
    case 8:
        return pick(4) ? ouro_sleep(moment()) : make_select();
    default:
        return ouro_sleep(moment());
    }
}

/* One to SOME futures. */
static size_t make_some(ouro_future **f, bool *is_permit)
{
    size_t n = 1 + pick(SOME);
    for (size_t i = 0; i < n; i++) {
        f[i] = make(&is_permit[i]);
        if (!is_permit[i] && pick(8) == 0) /* a permit that is kept would be missed */
            expose(f[i]);
    }
    return n;
}

/* Read, so that it is not reported, and let go; some are stopped, some go on. */
static void drop_all(ouro_future **f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (pick(2))
            ouro_cancel(f[i]);
        ouro_future_result(f[i]);
        ouro_unref(f[i]);
    }
}

/* ---- Select, wait, as_completed -------------------------------------------------------------- */

static void select_some(void)
{
    ouro_future *f[SOME];
    bool is_permit[SOME];
    ouro_result winner = {-1, NULL};
    size_t n = make_some(f, is_permit);
    ouro_future *s = ouro_select(f, n, &winner);
    if (pick(4) == 0)
        expose(s);
    int64_t i = ouro_await(pick(4) ? s : ouro_timeout(s, moment()));
    if (i < 0) {
        must(i == -ECANCELED || i == -OURO_ECHILDCANCELLED || i == -ETIMEDOUT);
        must(winner.ptr == NULL);
        return;
    }
    must((size_t)i < n);
    must(winner.n >= 0 || winner.ptr == NULL);
    if (winner.ptr)
        object_free(winner.ptr);
    if (is_permit[i] && winner.n >= 0)
        permit_release();
}

static size_t count_settled(ouro_future **f, size_t n)
{
    size_t settled = 0;
    for (size_t i = 0; i < n; i++)
        settled += ouro_future_state(f[i]) != OURO_PENDING;
    return settled;
}

static void wait_for_some(void)
{
    ouro_future *f[SOME];
    bool is_permit[SOME];
    size_t n = make_some(f, is_permit);
    ouro_wait_mode mode = (ouro_wait_mode)pick(3);
    ouro_ns limit = pick(2) ? moment() : OURO_FOREVER;
    size_t before = count_settled(f, n);
    if (limit == OURO_FOREVER) /* and not for all permits at once */
        mode = OURO_WAIT_FIRST;
    ouro_future *w = ouro_wait(f, n, mode, limit);
    if (pick(4) == 0)
        expose(w);
    int64_t rc = ouro_await(w);
    if (rc >= 0) {
        must((size_t)rc >= before);
        must((size_t)rc <= count_settled(f, n));
        must(rc > 0 || limit != OURO_FOREVER);
    } else {
        must(rc == -ECANCELED || rc == -OURO_ECHILDCANCELLED);
    }
    drop_all(f, n);
}

/* What is next, or an error; now and then what was given is dropped, to come again. */
static int64_t next(ouro_completions *c)
{
    ouro_future *f = ouro_completions_next(c);
    if (pick(8) == 0) {
        ouro_join(f);
        ouro_cancel(f);
        ouro_future_result(f);
        ouro_unref(f);
        ouro_yield();
        f = ouro_completions_next(c);
    }
    return ouro_await(pick(4) ? f : ouro_timeout(f, moment()));
}

static void iterate(void)
{
    ouro_future *f[SOME];
    bool is_permit[SOME];
    int seen[SOME] = {0};
    ouro_completions *c;
    size_t n = make_some(f, is_permit);
    must(ouro_as_completed(f, n, &c) == 0);
    int64_t i = 0;
    for (int tries = 0; tries < 50 && i != -ENODATA && i != -ECANCELED; tries++) {
        i = next(c);
        must(i < (int64_t)n);
        must(i >= 0 || i == -ENODATA || i == -ECANCELED || i == -ETIMEDOUT);
        if (i < 0)
            continue;
        must(ouro_future_state(f[i]) != OURO_PENDING);
        must(seen[i]++ == 0);
        if (is_permit[i] && ouro_future_take(f[i]).n >= 0)
            permit_release(); /* others may wait for it */
    }
    for (size_t k = 0; k < n && i == -ENODATA; k++)
        must(seen[k] == 1);
    ouro_completions_free(c);
    drop_all(f, n);
}

/* ---- Groups ---------------------------------------------------------------------------------- */

/* What is known of a group, for as long as anybody of it lives. */
struct family {
    int refs;
    int spawned, ended, failed, told;
    bool left;
};

struct kid {
    struct family *family; /* a reference */
    int depth;
};

/* Groups that strangers may spawn into. */
static struct {
    ouro_group *group;
    struct family *family;
} open[OPEN];

static int64_t be_child(void *arg);

static void family_unref(struct family *family)
{
    if (--family->refs == 0) {
        families--;
        free(family);
    }
}

static struct family *family_new(void)
{
    struct family *family = calloc(1, sizeof *family);
    must(family != NULL);
    family->refs = 1;
    families++;
    return family;
}

static void kid_free(void *arg)
{
    struct kid *kid = arg;
    must(!kid->family->left);
    kid->family->ended++;
    family_unref(kid->family);
    kids--;
    free(kid);
}

static void told(ouro_future *child, int64_t result, void *arg)
{
    must(ouro_future_state(child) != OURO_PENDING);
    must(ouro_task_current() == NULL);
    struct family *family = arg;
    must(!family->left);
    family->told++;
    (void)result;
}

/* How many ways there are to be refused. */
static void check_refusal(int rc)
{
    must(rc == -ECANCELED || rc == -ESHUTDOWN || rc == -EAGAIN);
    refused++;
}

/* A stranger does not wait: he may be a child of the very group. */
static void spawn_into(ouro_group *group, struct family *family, int depth, bool stranger)
{
    steps++;
    struct kid *kid = malloc(sizeof *kid);
    must(kid != NULL);
    *kid = (struct kid){.family = family, .depth = depth};
    family->refs++;
    kids++;
    ouro_spawn_options opts = {.arg_free = kid_free, .eager = pick(4) == 0, .name = "kid"};
    ouro_future *task = NULL;
    bool wait = !stranger && pick(3);
    int rc = wait ? ouro_group_spawn_with(group, be_child, kid, &opts, &task)
                  : ouro_group_try_spawn(group, be_child, kid, &opts, &task);
    if (rc == 0) {
        children++;
        family->spawned++;
        if (pick(3) == 0)
            expose(task);
        if (!stranger && pick(8) == 0)
            ouro_join(task);
        ouro_unref(task);
        return;
    }
    must(task == NULL);
    check_refusal(rc);
    family->refs--;
    kids--;
    free(kid);
}

static void spawn_as_stranger(void)
{
    uint64_t i = pick(OPEN);
    struct family *family = open[i].family;
    if (!family)
        return;
    family->refs++;
    spawn_into(open[i].group, family, 0, true);
    family_unref(family);
}

/* Whether what leaving returned is right, for a body that came to @rc. */
static void check_outcome(const struct family *family, bool supervise, int64_t rc, int64_t got)
{
    bool failed = (family->failed && !supervise) || (rc < 0 && rc != -ECANCELED);
    must(family->spawned == family->ended);
    if (failed)
        must(got < 0 && got != -ECANCELED);
    else if (got == -ECANCELED)
        must(rc == -ECANCELED || ouro_cancel_reason());
    else
        must(got == (rc == -ECANCELED ? 0 : rc));
}

static int64_t act(ouro_group *group, struct family *family, int depth);
static void be_family_in_scope(int depth);

/* What a body does in its group. */
static int64_t live(ouro_group *group, struct family *family, int depth)
{
    int64_t rc = 0;
    for (uint64_t i = pick(6); i > 0 && rc == 0; i--)
        rc = act(group, family, depth);
    if (pick(4) == 0) {
        int64_t joined = ouro_group_join(group);
        must(joined <= 0);
        if (ouro_group_live(group) == 0)
            must(ouro_group_error_count(group) == family->failed);
    }
    return rc ? rc : (int64_t)pick(3);
}

static ouro_group_options some_options(struct family *family)
{
    return (ouro_group_options){.supervise = pick(4) == 0,
                                .limit = pick(3) ? 0 : (int64_t)pick(3) + 1,
                                .errors_kept = pick(2) ? 0 : 1,
                                .on_child = pick(2) ? told : NULL,
                                .arg = family};
}

/* A life with a group. With @may_forget, which is for the body of a task alone, it may not be
 * left. */
static int64_t be_family(int depth, bool may_forget)
{
    ouro_group group;
    struct family *family = family_new();
    ouro_group_options opts = some_options(family);
    uint64_t place = pick(OPEN);
    bool exposed = pick(2) && !open[place].group;
    must(ouro_group_enter(&group, &opts) == 0);
    groups++;
    if (exposed)
        open[place].group = &group, open[place].family = family;
    int64_t rc = live(&group, family, depth);
    bool forget = may_forget && pick(16) == 0;
    int64_t got = forget ? rc : ouro_group_exit(&group, rc);
    if (exposed)
        open[place].group = NULL, open[place].family = NULL;
    if (forget) {
        forgotten++;
    } else {
        check_outcome(family, opts.supervise, rc, got);
        if (opts.on_child)
            must(family->told == family->ended);
        family->left = true;
    }
    family_unref(family);
    return got;
}

static void be_family_in_scope(int depth)
{
    ouro_scope scope;
    ouro_scope_options opts = {
        .timeout = pick(3) ? 1 + moment() : 0, .shield = pick(4) == 0, .move_on = pick(2) == 0};
    must(ouro_scope_enter(&scope, &opts) == 0);
    if (pick(8) == 0)
        ouro_scope_cancel(&scope, "storm");
    ouro_scope_exit(&scope, be_family(depth, false));
}

/* One random deed of a body. An error ends its life. */
static int64_t act(ouro_group *group, struct family *family, int depth)
{
    steps++;
    switch (pick(12)) {
    case 0:
        hit();
        return 0;
    case 1:
        return ouro_yield();
    case 2:
        select_some();
        return 0;
    case 3:
        wait_for_some();
        return 0;
    case 4:
        iterate();
        return 0;
    case 5:
        if (depth > 0)
            be_family_in_scope(depth - 1);
        return 0;
    case 6:
        if (pick(4) == 0)
            ouro_group_cancel(group, "storm");
        return ouro_await(ouro_sleep(moment()));
    case 7:
        if (pick(4) == 0)
            spawn_as_stranger();
        return pick(8) ? 0 : -EIO;
    default:
        spawn_into(group, family, depth - 1, false);
        return 0;
    }
}

static int64_t be_child(void *arg)
{
    struct kid *kid = arg;
    struct family *family = kid->family;
    must(!family->left);
    int64_t rc;
    if (kid->depth > 0 && steps < goal && pick(2))
        rc = be_family(kid->depth, true);
    else
        rc = ouro_await(ouro_sleep(moment()));
    if (pick(8) == 0)
        rc = -EIO;
    must(!family->left);
    if (rc < 0 && rc != -ECANCELED)
        family->failed++;
    return rc;
}

static int64_t work(void *arg)
{
    (void)arg;
    while (steps < goal && !ouro_cancel_reason())
        be_family(DEPTH, false);
    return 0;
}

static int64_t storm(void *arg)
{
    (void)arg;
    while (steps < goal) {
        ouro_future *workers[WORKERS];
        for (int i = 0; i < WORKERS; i++) {
            workers[i] = ouro_spawn(work, NULL);
            if (pick(4) == 0)
                expose(workers[i]);
        }
        must(ouro_await(ouro_gather(workers, WORKERS, OURO_GATHER_COLLECT, NULL)) == 0);
    }
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

static ouro_loop *new_loop(bool on_fake)
{
    ouro_loop *loop;
    if (on_fake) {
        fake = fake_new(32);
        fake->keep_log = false;
        fake->shuffle = seed;
        must(ouro__loop_new_on(&fake->driver, NULL, &loop) == 0);
        return loop;
    }
    int rc = ouro_loop_new(NULL, &loop);
    if (rc < 0) {
        char why[256];
        ouro_explain(rc, why, sizeof why);
        printf("skipped: no loop on this machine: %s\n", why);
        exit(77);
    }
    return loop;
}

static void check_account(ouro_loop *loop)
{
    ouro_loop_stats s;
    must(ouro_loop_stats_get(loop, &s) == 0);
    must(s.live_futures == 0);
    must(s.live_tasks == 0);
    must(s.live_timers == 0);
    must(s.live_calls == 0);
    must(s.live_stacks == 0);
    must(ouro__list_empty(&loop->leavings));
    must(objects == 0);
    must(families == 0);
    must(kids == 0);
    must(permits.there == PERMITS);
    must(ouro__line_empty(&permits.line));
    must(reports[OURO_REPORT_LEAK] == forgotten);
    printf("%s, seed %llu: %llu steps, %llu groups, %llu children, %llu refused, %llu forgotten, "
           "%llu turns\n",
           fake ? "fake driver" : "kernel", (unsigned long long)seed, (unsigned long long)steps,
           (unsigned long long)groups, (unsigned long long)children, (unsigned long long)refused,
           (unsigned long long)forgotten, (unsigned long long)s.turns);
    fflush(stdout);
}

static void run(bool on_fake)
{
    printf("%s, seed %llu: %llu steps to go\n", on_fake ? "fake driver" : "kernel",
           (unsigned long long)seed, (unsigned long long)goal);
    fflush(stdout);
    state = seed;
    steps = groups = children = forgotten = refused = 0;
    memset(reports, 0, sizeof reports);
    permits.giver.kind = &permit_giver;
    permits.there = PERMITS;
    ouro_loop *loop = new_loop(on_fake);
    must(ouro_report_set_handler(count_report, NULL) == 0);
    must(ouro_loop_run_until(loop, ouro_spawn(storm, NULL)) == 0);
    must(ouro_loop_run(loop) == 0); /* what was let go ends by itself */
    for (int i = 0; i < HITS; i++)
        hits[i] = ouro_unref(hits[i]);
    must(ouro_loop_shutdown(loop, OURO_SEC(10)) == 0);
    check_account(loop);
    must(ouro_loop_close(loop) == 0);
    fake_destroy(fake);
    fake = NULL;
}

int main(int argc, char **argv)
{
    return storm_main(argc, argv, STORM_STEPS(500000, 50000), run);
}
