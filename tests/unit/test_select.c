/* SPDX-License-Identifier: MIT */
/*
 * Select: who wins, what becomes of the others, and of what they had won all the same.
 */
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>

#include <ouro/uring.h>

#include "loop_int.h"

TestSuite(select, .timeout = 60);

/* A task: sleeps, then returns; with stubborn it takes no notice of being cancelled, but in
 * time. */
struct child {
    ouro_ns delay;
    int64_t rc;
    int stubborn;
    int ended;
};

static int64_t be_child(void *arg)
{
    struct child *c = arg;
    int64_t rc = ouro_await(ouro_sleep(c->delay));
    if (rc < 0 && c->stubborn) {
        ouro_scope scope;
        check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1}), 0);
        check_eq(ouro_await(ouro_sleep(OURO_SEC(1))), 0);
        rc = ouro_scope_exit(&scope, 0);
    }
    c->ended++;
    return rc < 0 ? rc : c->rc;
}

static int64_t nap(ouro_ns delay)
{
    return ouro_await(ouro_sleep(delay));
}

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static ouro_future *promised(ouro_promise **ret_promise)
{
    ouro_future *f;
    check_eq(ouro_promise_new(ret_promise, &f), 0);
    return f;
}

static void resolve(ouro_promise *p, int64_t n, int *object)
{
    check_eq(ouro_promise_resolve(p, (ouro_result){n, object}, object ? count_free : NULL), 0);
    ouro_promise_free(p);
}

/* ---- Who wins -------------------------------------------------------------------------------- */

FakeTest(select, the_first_to_settle_wins_and_the_others_are_cancelled_and_waited_for)
{
    struct child c[3] = {{.delay = OURO_SEC(100)},
                         {.delay = OURO_SEC(2), .rc = 5},
                         {.delay = OURO_SEC(100), .stubborn = 1}};
    ouro_future *f[3];
    ouro_result winner;
    ouro_ns start = ouro_now();
    for (int i = 0; i < 3; i++)
        f[i] = ouro_spawn(be_child, &c[i]);
    check_eq(ouro_await(ouro_select(f, 3, &winner)), 1);
    check_eq(winner.n, 5);
    check(winner.ptr == NULL);
    check_eq(ouro_now() - start, OURO_SEC(3)); /* the stubborn one takes a second longer */
    check_eq(c[0].ended + c[2].ended, 2);
    return 0;
}

TaskTest(select, of_several_that_have_settled_already_the_first_in_order_wins)
{
    ouro_future *f[3] = {ouro_sleep(OURO_SEC(100)), ouro_ready(1), ouro_ready(2)};
    ouro_result winner;
    check_eq(ouro_await(ouro_select(f, 3, &winner)), 1);
    check_eq(winner.n, 1);
    return 0;
}

TaskTest(select, of_several_in_one_turn_the_first_to_settle_wins)
{
    ouro_promise *p[2];
    ouro_future *f[2] = {promised(&p[0]), promised(&p[1])};
    ouro_future *s = ouro_select(f, 2, NULL);
    resolve(p[1], 0, NULL);
    resolve(p[0], 0, NULL);
    check_eq(ouro_await(s), 1);
    return 0;
}

TaskTest(select, an_error_wins_like_a_value)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_ready(-EIO)};
    ouro_result winner;
    check_eq(ouro_await(ouro_select(f, 2, &winner)), 1);
    check_eq(winner.n, -EIO);
    return 0;
}

TaskTest(select, one_that_somebody_else_cancelled_wins_as_just_that)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_sleep(OURO_SEC(100))};
    ouro_future *second = ouro_ref(f[1]);
    ouro_result winner;
    ouro_future *s = ouro_select(f, 2, &winner);
    check_eq(ouro_cancel(second), 1);
    ouro_unref(second);
    check_eq(ouro_await(s), 1);
    check_eq(winner.n, -OURO_ECHILDCANCELLED);
    return 0;
}

TaskTest(select, the_same_future_twice_wins_at_its_first_place)
{
    struct child c = {.delay = OURO_MS(1), .rc = 4};
    ouro_future *task = ouro_spawn(be_child, &c);
    ouro_future *f[3] = {ouro_sleep(OURO_SEC(100)), task, task};
    ouro_result winner;
    check_eq(ouro_await(ouro_select(f, 3, &winner)), 1);
    check_eq(winner.n, 4);
    check_eq(c.ended, 1);
    return 0;
}

TaskTest(select, of_one)
{
    ouro_future *f = ouro_ready(3);
    ouro_result winner;
    check_eq(ouro_await(ouro_select(&f, 1, &winner)), 0);
    check_eq(winner.n, 3);
    return 0;
}

TaskTest(select, can_be_nested)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_sleep(OURO_MS(1))};
    ouro_future *g[2] = {ouro_select(f, 2, NULL), ouro_sleep(OURO_SEC(100))};
    ouro_result winner;
    check_eq(ouro_await(ouro_select(g, 2, &winner)), 0);
    check_eq(winner.n, 1);
    return 0;
}

/* ---- Whose the objects are ------------------------------------------------------------------- */

TaskTest(select, the_winners_object_is_the_callers_and_the_losers_are_destroyed)
{
    int freed[2] = {0, 0};
    ouro_promise *p[2];
    ouro_future *f[2] = {promised(&p[0]), promised(&p[1])};
    ouro_result winner;
    ouro_future *s = ouro_select(f, 2, &winner);
    resolve(p[0], 7, &freed[0]);
    resolve(p[1], 8, &freed[1]);
    check_eq(ouro_await(s), 0);
    check_eq(winner.n, 7);
    check(winner.ptr == &freed[0]);
    check_eq(freed[0], 0);
    check_eq(freed[1], 1);
    return 0;
}

TaskTest(select, without_a_place_for_it_the_winners_object_is_destroyed)
{
    int freed = 0;
    ouro_promise *p;
    ouro_future *f[2] = {promised(&p), ouro_sleep(OURO_SEC(100))};
    resolve(p, 0, &freed);
    check_eq(ouro_await(ouro_select(f, 2, NULL)), 0);
    check_eq(freed, 1);
    return 0;
}

TaskTest(select, a_winner_whose_object_somebody_took_says_so)
{
    int freed = 0;
    ouro_promise *p;
    ouro_future *f = promised(&p);
    ouro_result winner;
    resolve(p, 0, &freed);
    check(ouro_future_take(f).ptr == &freed);
    check_eq(ouro_await(ouro_select(&f, 1, &winner)), 0);
    check_eq(winner.n, -EALREADY);
    check(winner.ptr == NULL);
    check_eq(freed, 0);
    return 0;
}

/* What is granted: permits, of which there are as many as were not taken. */
struct permits {
    struct ouro__giver giver;
    int there;
    struct ouro__line line;
};

static void permit_back(struct ouro__giver *giver, ouro_loop *loop, ouro_result result)
{
    (void)loop;
    (void)result;
    struct permits *p = OURO__CONTAINER(giver, struct permits, giver);
    p->there++;
}

static const struct ouro__wait_kind permit_kind = {.name = "permit"};

static const struct ouro__giver_kind permit_giver = {.back = permit_back};

static ouro_future *ask(struct permits *p)
{
    struct ouro__waiter w = {.kind = &permit_kind, .of = p};
    return ouro__wait_future(ouro_loop_current(), &p->line, &w, &p->giver);
}

static void grant(struct permits *p)
{
    p->there--;
    ouro__serve(p->line.first, 0);
}

TaskTest(select, what_a_loser_was_granted_goes_back_before_the_select_is_told)
{
    struct permits p = {.giver = {.kind = &permit_giver}, .there = 2};
    ouro_future *f[2] = {ask(&p), ask(&p)};
    ouro_result winner;
    ouro_future *s = ouro_select(f, 2, &winner);
    grant(&p);
    grant(&p);
    check_eq(ouro_await(s), 0);
    check_eq(p.there, 1); /* the winner's is the caller's */
    return 0;
}

TaskTest(select, without_a_place_for_it_what_the_winner_was_granted_goes_back)
{
    struct permits p = {.giver = {.kind = &permit_giver}, .there = 2};
    ouro_future *f[2] = {ask(&p), ask(&p)};
    ouro_future *s = ouro_select(f, 2, NULL);
    grant(&p);
    check_eq(ouro_await(s), 0);
    check_eq(p.there, 2);
    check(ouro__line_empty(&p.line)); /* the loser stands in line no more */
    return 0;
}

/* A descriptor that arrives although its operation was cancelled. */
Test(select, a_losers_late_descriptor_is_closed_and_a_winners_is_the_callers)
{
    for (int wins = 0; wins < 2; wins++) {
        struct fake *fake = begin_fake();
        struct io_uring_sqe sqe = {.opcode = IORING_OP_ACCEPT, .fd = 5};
        ouro_promise *p;
        ouro_future *f[2] = {ouro_uring_op(&sqe, &(ouro_uring_options){.result_is_fd = 1}),
                             promised(&p)};
        ouro_result winner = {0, NULL};
        ouro_future *s = ouro_select(f, 2, &winner);
        fake->on_cancel = FAKE_CANCEL_DATA_FIRST;
        fake->late_res = 77;
        turn();
        if (wins)
            fake_finish(fake, IORING_OP_ACCEPT, 77, 0);
        turn();
        if (!wins)
            resolve(p, 0, NULL);
        turns(4);
        check_eq(ouro_future_result(s).n, !wins);
        check_eq(winner.n, wins ? 77 : 0);
        check_eq(fake->closed[77], !wins);
        ouro_unref(s);
        if (wins)
            ouro_promise_free(p);
        end();
    }
}

/* ---- Cancelling it --------------------------------------------------------------------------- */

FakeTest(select, cancelled_before_one_settled_it_cancels_all_and_waits_for_all)
{
    struct child c[2] = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100)}};
    ouro_future *f[2] = {ouro_spawn(be_child, &c[0]), ouro_spawn(be_child, &c[1])};
    ouro_result winner = {11, NULL};
    ouro_future *s = ouro_select(f, 2, &winner);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_cancel(s), 1);
    check_eq(ouro_join(s), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(s), OURO_CANCELLED);
    check_eq(c[0].ended + c[1].ended, 2);
    check_eq(winner.n, 11); /* not written */
    ouro_unref(s);
    return 0;
}

FakeTest(select, cancelled_it_is_won_by_one_that_has_a_value_all_the_same)
{
    struct child c[3] = {{.delay = OURO_SEC(100)},
                         {.delay = OURO_SEC(100), .stubborn = 1, .rc = -EIO},
                         {.delay = OURO_SEC(100), .stubborn = 1, .rc = 6}};
    ouro_future *f[3];
    ouro_result winner;
    for (int i = 0; i < 3; i++)
        f[i] = ouro_spawn(be_child, &c[i]);
    ouro_future *s = ouro_select(f, 3, &winner);
    check_eq(nap(OURO_SEC(1)), 0);
    check_eq(ouro_cancel(s), 1);
    check_eq(ouro_await(s), 2); /* and not by an error that cleaning up came to */
    check_eq(winner.n, 6);
    return 0;
}

TaskTest(select, a_cancel_after_one_has_settled_comes_too_late)
{
    for (int rc = -EIO; rc <= 0; rc += EIO) {
        ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_ready(rc)};
        ouro_result winner;
        ouro_future *s = ouro_select(f, 2, &winner);
        check_eq(ouro_cancel(s), 1);
        check_eq(ouro_await(s), 1);
        check_eq(winner.n, rc);
    }
    return 0;
}

FakeTest(select, a_timeout_around_it_ends_it)
{
    ouro_future *f[2] = {ouro_sleep(OURO_SEC(100)), ouro_sleep(OURO_SEC(200))};
    check_eq(ouro_await(ouro_timeout(ouro_select(f, 2, NULL), OURO_SEC(1))), -ETIMEDOUT);
    return 0;
}

static int64_t select_some(void *arg)
{
    struct child *c = arg;
    ouro_future *f[2] = {ouro_spawn(be_child, &c[0]), ouro_spawn(be_child, &c[1])};
    return ouro_await(ouro_select(f, 2, NULL));
}

FakeTest(select, a_task_that_awaits_it_passes_its_cancel_on)
{
    struct child c[2] = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100)}};
    ouro_future *task = ouro_spawn(select_some, c);
    check_eq(nap(OURO_SEC(1)), 0);
    ouro_cancel(task);
    check_eq(ouro_await(task), -OURO_ECHILDCANCELLED);
    check_eq(c[0].ended + c[1].ended, 2);
    return 0;
}

Test(select, shutdown_cancels_it)
{
    begin_fake();
    struct child c[2] = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100), .stubborn = 1}};
    ouro_future *f[2] = {ouro_spawn(be_child, &c[0]), ouro_spawn(be_child, &c[1])};
    ouro_future *s = ouro_select(f, 2, NULL);
    turns(3);
    check_eq(ouro_loop_shutdown(ouro_loop_current(), OURO_SEC(5)), 0);
    check_eq(c[0].ended + c[1].ended, 2);
    check_eq(ouro_future_state(s), OURO_VALUE); /* the stubborn one had one */
    ouro_unref(s);
    end();
}

/* What was to follow a select could not be had for want of memory. */
TaskTest(select, doomed_it_destroys_what_its_winner_has)
{
    int freed = 0;
    ouro_promise *p;
    ouro_future *f = promised(&p);
    ouro_result winner = {11, NULL};
    ouro_future *s = ouro_select(&f, 1, &winner);
    resolve(p, 0, &freed);
    check_eq(ouro_await(ouro__doom(s, -ENOMEM)), -ENOMEM);
    check_eq(winner.n, 11); /* not written */
    check_eq(freed, 1);
    return 0;
}

/* ---- Bad input ------------------------------------------------------------------------------- */

TaskTest(select, bad_input_is_told_and_nobody_is_left_running)
{
    struct child c[2] = {{.delay = OURO_SEC(100)}, {.delay = OURO_SEC(100)}};
    ouro_future *f[3] = {ouro_spawn(be_child, &c[0]), NULL, ouro_spawn(be_child, &c[1])};
    check_eq(ouro_await(ouro_select(NULL, 0, NULL)), -EINVAL);
    check_eq(ouro_await(ouro_select(NULL, 2, NULL)), -EINVAL);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_await(ouro_select(f, 3, NULL)), -EINVAL);
    check_eq(c[0].ended + c[1].ended, 2);
    f[0] = ouro_task_current();
    f[1] = ouro_sleep(OURO_SEC(100));
    check_eq(ouro_await(ouro_select(f, 2, NULL)), -EDEADLK);
    return 0;
}
