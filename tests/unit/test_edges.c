/* SPDX-License-Identifier: MIT */
/*
 * Corners where two rules meet: an owner who lets go of what is joined, a body that returns from
 * inside a scope, a gather that cannot be, a deadline and a cancel in one turn.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ouro/uring.h>

TestSuite(edges, .timeout = 60);

static const ouro_gather_mode all_modes[] = {OURO_GATHER_ALL, OURO_GATHER_COLLECT,
                                             OURO_GATHER_FIRST_ERROR};

static void count_free(void *ptr)
{
    ++*(int *)ptr;
}

static int64_t sleep_for_ever(void *arg)
{
    (void)arg;
    return ouro_await(ouro_sleep(OURO_FOREVER));
}

static int64_t yield_then_42(void *arg)
{
    (void)arg;
    int rc = ouro_yield();
    return rc < 0 ? rc : 42;
}

/* ---- Memory that is refused, and rubbish once it is freed ------------------------------------ */

static bool refusing;

static void *get(size_t size, void *arg)
{
    (void)arg;
    return refusing ? NULL : malloc(size);
}

static void *get_more(void *ptr, size_t size, void *arg)
{
    (void)arg;
    return refusing ? NULL : realloc(ptr, size);
}

static void let_go(void *ptr, void *arg)
{
    (void)arg;
    free(ptr);
}

/* Every object then is one of malloc's own, and no use after free goes well. */
static void use_plain_memory(void)
{
    mallopt(M_PERTURB, 0xdd);
    ouro_allocator plain = {get, get_more, let_go, NULL};
    check_eq(ouro_set_allocator(&plain), 0);
}

/* ---- Joining --------------------------------------------------------------------------------- */

static ouro_future *shared;
static ouro_promise *shared_promise;

static int64_t join_shared(void *arg)
{
    (void)arg;
    return ouro_join(shared);
}

static int64_t owner_lets_go_of_a_sleep(void *arg)
{
    (void)arg;
    shared = ouro_sleep(OURO_MS(5));
    ouro_future *joiner = ouro_spawn(join_shared, NULL);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    ouro_detach(shared);
    return ouro_await(joiner);
}

/* The future settles and loses its last other references before the joiner is resumed. */
static int64_t settle_under_the_joiner(int64_t n, bool cancelled)
{
    check_eq(ouro_promise_new(&shared_promise, &shared), 0);
    ouro_future *joiner = ouro_spawn(join_shared, NULL);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    if (cancelled)
        check_eq(ouro_cancel(joiner), 1);
    if (n < 0)
        check_eq(ouro_promise_fail(shared_promise, n), 0);
    else
        check_eq(ouro_promise_resolve(shared_promise, (ouro_result){n, NULL}, NULL), 0);
    ouro_promise_free(shared_promise);
    ouro_unref(shared);
    return ouro_await(joiner);
}

static int64_t owner_lets_go_of_a_promise(void *arg)
{
    (void)arg;
    check_eq(settle_under_the_joiner(7, false), 7);
    check_eq(settle_under_the_joiner(-EIO, false), -EIO);
    check_eq(settle_under_the_joiner(7, true), 7);
    return settle_under_the_joiner(-EIO, true);
}

static int64_t owner_lets_go_after_a_cancel(void *arg)
{
    (void)arg;
    shared = ouro_sleep(OURO_MS(5));
    ouro_future *joiner = ouro_spawn(join_shared, NULL);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_yield(), 0);
    check_eq(ouro_cancel(joiner), 1);
    check_eq(ouro_cancel(shared), 1);
    shared = ouro_unref(shared);
    return ouro_await(joiner);
}

static void in_both_loops(ouro_task_fn *body, int64_t want)
{
    use_plain_memory();
    begin_fake();
    check_eq(run_main(body, NULL), want);
    end();
    begin_kernel();
    check_eq(run_main(body, NULL), want);
    end();
    check_eq(ouro_set_allocator(NULL), 0);
}

Test(edges, a_joined_future_lives_on_when_its_owner_lets_go)
{
    in_both_loops(owner_lets_go_of_a_sleep, 0);
    in_both_loops(owner_lets_go_of_a_promise, -EIO);
}

Test(edges, a_joined_future_lives_on_when_the_joiner_was_cancelled_meanwhile)
{
    in_both_loops(owner_lets_go_after_a_cancel, -OURO_ECHILDCANCELLED);
}

/* ---- Scopes that were not left --------------------------------------------------------------- */

static int64_t return_inside(void *arg)
{
    ouro_scope scope;
    (void)arg;
    check_eq(ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_MS(20)}), 0);
    return 7;
}

static int64_t return_inside_three(void *arg)
{
    ouro_scope scope[3];
    (void)arg;
    for (unsigned i = 0; i < 3; i++)
        check_eq(ouro_scope_enter(&scope[i], &(ouro_scope_options){.timeout = OURO_MS(5) * (i + 1),
                                                                   .shield = i == 1}),
                 0);
    check_eq(ouro_await(ouro_sleep(OURO_US(10))), 0);
    return 8;
}

/* The timers of others stay, and stay in order. */
static int64_t leave_scopes_open(void *arg)
{
    enum { N = 20 };
    ouro_future *f[N];
    (void)arg;
    for (unsigned i = 0; i < N; i++)
        f[i] = ouro_sleep(OURO_MS(1) * ((i * 7) % N + 1));
    uint64_t timers = stats().live_timers;
    ouro_spawn_options leaky = {.name = "leaky"}, worse = {.name = "worse"};
    check_eq(ouro_await(ouro_spawn_with(return_inside, NULL, &leaky)), 7);
    check_eq(stats().live_timers, timers);
    check_eq(ouro_await(ouro_spawn_with(return_inside_three, NULL, &worse)), 8);
    check(stats().live_timers <= timers);
    ouro_ns start = ouro_now();
    check_eq(ouro_await(ouro_gather(f, N, OURO_GATHER_ALL, NULL)), 0);
    check(ouro_now() - start < OURO_SEC(10));
    check_eq(stats().live_timers, 0);
    return ouro_await(ouro_sleep(OURO_MS(50)));
}

static void expect_two_leaks(void)
{
    const struct kept_report *r = first_report(OURO_REPORT_LEAK);
    check(r != NULL);
    check_text(r->name, "leaky");
    check_text(r->what, "task");
    check_eq(take_reports(OURO_REPORT_LEAK), 2);
}

Test(edges, a_body_that_returns_inside_a_scope_leaves_no_timer_and_is_reported)
{
    begin_fake();
    check_eq(run_main(leave_scopes_open, NULL), 0);
    expect_two_leaks();
    end();
    begin_kernel();
    check_eq(run_main(leave_scopes_open, NULL), 0);
    expect_two_leaks();
    end();
}

/* ---- Gathers that cannot be ------------------------------------------------------------------ */

TaskTest(edges, a_gather_refused_for_a_null_drops_a_future_given_twice_once)
{
    for (size_t m = 0; m < 3; m++) {
        ouro_future *f = ouro_sleep(OURO_SEC(100));
        ouro_future *fs[3] = {ouro_ref(f), f, NULL};
        fs[1] = fs[0];
        check_eq(ouro_await(ouro_gather(fs, 3, all_modes[m], NULL)), -EINVAL);
        check_eq(ouro_future_state(f), OURO_CANCELLED); /* we have one left */
        ouro_unref(f);
        ouro_future *only = ouro_sleep(OURO_SEC(100));
        ouro_future *twice[3] = {only, only, NULL};
        check_eq(ouro_await(ouro_gather(twice, 3, all_modes[m], NULL)), -EINVAL);
    }
    return 0;
}

static ouro_future *gather_without_memory(ouro_future *const *fs, size_t n)
{
    refusing = true;
    ouro_future *g = ouro_gather(fs, n, OURO_GATHER_ALL, NULL);
    refusing = false;
    return g;
}

static int64_t gather_twice_without_memory(void *arg)
{
    (void)arg;
    ouro_future *f = ouro_sleep(OURO_SEC(100));
    ouro_future *twice[2] = {f, f};
    check_eq(ouro_await(gather_without_memory(twice, 2)), -ENOMEM);
    f = ouro_sleep(OURO_SEC(100));
    ouro_future *kept[3] = {ouro_ref(f), f, f};
    check_eq(ouro_await(gather_without_memory(kept, 3)), -ENOMEM);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    return 0;
}

Test(edges, a_gather_refused_for_want_of_memory_drops_a_future_given_twice_once)
{
    in_both_loops(gather_twice_without_memory, 0);
}

Test(edges, a_gather_refused_outside_tasks_drops_a_future_given_twice_once)
{
    use_plain_memory();
    begin_fake();
    ouro_future *f = ouro_spawn(sleep_for_ever, NULL);
    ouro_future *twice[3] = {f, f, NULL};
    turns(2);
    ouro_future *g = ouro_gather(twice, 3, OURO_GATHER_ALL, NULL);
    check_eq(ouro_future_result(g).n, -EINVAL);
    ouro_unref(g);
    f = twice[0] = twice[1] = ouro_sleep(OURO_SEC(100));
    g = gather_without_memory(twice, 2);
    check_eq(ouro_future_result(g).n, -ENOMEM);
    ouro_unref(g);
    end();
    check_eq(ouro_set_allocator(NULL), 0);
}

TaskTest(edges, a_gather_of_the_current_task_is_a_deadlock_and_cancels_only_the_others)
{
    for (size_t m = 0; m < 3; m++) {
        ouro_future *sleep = ouro_sleep(OURO_SEC(100));
        ouro_future *me = ouro_task_current();
        ouro_future *fs[4] = {ouro_ref(sleep), me, ouro_spawn(sleep_for_ever, NULL), me};
        check_eq(ouro_await(ouro_gather(fs, 4, all_modes[m], NULL)), -EDEADLK);
        check_eq(ouro_future_state(sleep), OURO_CANCELLED);
        ouro_unref(sleep);
        check(ouro_cancel_reason() == NULL);
        check_eq(ouro_yield(), 0);
        check_eq(stats().live_tasks, 1);
    }
    return 0;
}

/* ---- Children that say they were cancelled --------------------------------------------------- */

/* Nobody asked this task to: it is a plain error, though it reads like a cancel. */
static int64_t give_up_by_itself(void *arg)
{
    ouro_scope scope;
    (void)arg;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    check_eq(ouro_scope_cancel(&scope, "enough"), 1);
    return ouro_scope_exit(&scope, ouro_await(ouro_sleep(OURO_SEC(100))));
}

TaskTest(edges, a_child_that_ends_as_ecanceled_unasked_is_no_success)
{
    ouro_result r[2];
    ouro_future *f[2] = {ouro_spawn(give_up_by_itself, NULL), ouro_spawn(sleep_for_ever, NULL)};
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, r)), -OURO_ECHILDCANCELLED);
    check_eq(r[0].n, -OURO_ECHILDCANCELLED);
    check_eq(r[1].n, -ECANCELED); /* this one the gather did ask */
    f[0] = ouro_ready(1);
    f[1] = ouro_ready(-ECANCELED);
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, r)), -OURO_ECHILDCANCELLED);
    check_eq(r[0].n, 1);
    f[0] = ouro_ready(-ECANCELED);
    f[1] = ouro_spawn(yield_then_42, NULL);
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_FIRST_ERROR, r)), -OURO_ECHILDCANCELLED);
    f[0] = ouro_spawn(give_up_by_itself, NULL);
    f[1] = ouro_ready(3);
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_COLLECT, r)), 0);
    check_eq(r[0].n, -OURO_ECHILDCANCELLED);
    check_eq(r[1].n, 3);
    return 0;
}

TaskTest(edges, after_a_first_error_children_that_have_settled_show_their_results)
{
    int freed = 0;
    ouro_promise *p;
    ouro_future *object;
    ouro_result r[4];
    check_eq(ouro_promise_new(&p, &object), 0);
    check_eq(ouro_promise_resolve(p, (ouro_result){9, &freed}, count_free), 0);
    ouro_promise_free(p);
    ouro_future *f[4] = {ouro_ready(-EIO), ouro_ready(7), object, ouro_sleep(OURO_MS(5))};
    check_eq(ouro_await(ouro_gather(f, 4, OURO_GATHER_FIRST_ERROR, r)), -EIO);
    check_eq(r[0].n, -EIO);
    check_eq(r[1].n, 7);
    check_eq(r[2].n, 9);
    check(r[2].ptr == NULL);
    check_eq(r[3].n, -EAGAIN);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(freed, 1);
    return 0;
}

/* ---- Results that are plain numbers ---------------------------------------------------------- */

TaskTest(edges, a_plain_number_stays_readable_after_a_timeout_took_it)
{
    ouro_future *f = ouro_spawn(yield_then_42, NULL);
    check_eq(ouro_await(ouro_timeout(ouro_ref(f), OURO_SEC(100))), 42);
    check_eq(ouro_future_result(f).n, 42);
    check_eq(ouro_join(f), 42);
    check_eq(ouro_await(ouro_timeout(ouro_ref(f), OURO_SEC(100))), 42);
    check_eq(ouro_await(f), 42);
    return 0;
}

TaskTest(edges, a_plain_number_stays_readable_after_a_gather_took_it)
{
    for (size_t m = 0; m < 3; m++) {
        ouro_result r[1] = {{0, NULL}};
        ouro_future *f = ouro_spawn(yield_then_42, NULL);
        ouro_future *fs[1] = {ouro_ref(f)};
        check_eq(ouro_await(ouro_gather(fs, 1, all_modes[m], r)), 0);
        check_eq(r[0].n, 42);
        check_eq(ouro_join(f), 42);
        check_eq(ouro_await(f), 42);
    }
    return 0;
}

/* ---- A deadline and a cancel ----------------------------------------------------------------- */

FakeTest(edges, a_deadline_after_somebody_elses_cancel_in_one_turn_is_not_to_blame)
{
    ouro_future *f = ouro_sleep(OURO_SEC(5));
    ouro_future *bounded = ouro_timeout(ouro_ref(f), OURO_MS(1));
    fake_advance(the_fake(), OURO_MS(3));
    check_eq(ouro_cancel(f), 1);
    ouro_unref(f);
    check_eq(ouro_await(bounded), -OURO_ECHILDCANCELLED);
    bounded = ouro_timeout(ouro_sleep(OURO_SEC(5)), OURO_MS(1)); /* alone, it is */
    fake_advance(the_fake(), OURO_MS(3));
    check_eq(ouro_await(bounded), -ETIMEDOUT);
    return 0;
}

/* ---- Running until --------------------------------------------------------------------------- */

static void stop_here(void *arg)
{
    (void)arg;
    check_eq(ouro_loop_stop(ouro_loop_current()), 0);
}

/* A future with an object that tells when its last reference has gone. */
static ouro_future *witness(int *freed)
{
    ouro_promise *p;
    ouro_future *f;
    check_eq(ouro_promise_new(&p, &f), 0);
    check_eq(ouro_promise_resolve(p, (ouro_result){1, freed}, count_free), 0);
    ouro_promise_free(p);
    return f;
}

static int64_t run_until_inside(void *arg)
{
    return ouro_loop_run_until(ouro_loop_current(), witness(arg));
}

Test(edges, run_until_consumes_its_future_when_the_loop_is_busy)
{
    int freed = 0;
    begin_fake();
    check_eq(run_main(run_until_inside, &freed), -EBUSY);
    turns(2);
    check_eq(freed, 1);
    end();
}

static int64_t return_object_later(void *arg)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(5)));
    return rc < 0 ? rc : ouro_task_return(arg, count_free);
}

Test(edges, run_until_consumes_its_future_when_it_is_stopped)
{
    int freed = 0;
    begin_fake();
    check_eq(ouro_call_soon(stop_here, NULL, NULL, NULL), 0);
    check_eq(run_main(return_object_later, &freed), -EINTR);
    check_eq(stats().live_tasks, 1);
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(freed, 1);
    end();
}

Test(edges, run_until_consumes_its_future_when_the_ring_is_broken)
{
    int freed = 0;
    struct fake *fake = begin_fake();
    fake->fatal = -EBADF;
    check_eq(run_main(return_object_later, &freed), -EBADF);
    fake->fatal = 0;
    check_eq(ouro_loop_run(ouro_loop_current()), 0);
    check_eq(freed, 1);
    end();
}

/* ---- Debug mode ------------------------------------------------------------------------------ */

static int64_t use_some_stack(void *arg)
{
    volatile char room[20000];
    (void)arg;
    memset((void *)(uintptr_t)room, 1, sizeof room);
    return room[5];
}

static int64_t spawn_by_a_name_that_goes(void *arg)
{
    char *name = strdup("temporary name");
    (void)arg;
    int64_t n = ouro_await(
        ouro_spawn_with(use_some_stack, NULL, &(ouro_spawn_options){.name = name}));
    memset(name, 'X', strlen(name));
    free(name);
    return n;
}

Test(edges, in_debug_mode_a_name_may_be_freed_once_the_task_is_gone)
{
    begin_kernel_with(&(ouro_loop_options){.debug = 1});
    check_eq(run_main(spawn_by_a_name_that_goes, NULL), 1);
    take_reports(OURO_REPORT_SLOW_STEP); /* of a busy machine */
    end();
    const struct kept_report *r = first_report(OURO_REPORT_STACK);
    check(r != NULL);
    check_text(r->name, "temporary name");
}

static long peak_kib(void)
{
    struct rusage usage;
    check_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

static int64_t on_huge_stacks(void *arg)
{
    ouro_spawn_options huge = {.stack_size = (size_t)256 << 20};
    (void)arg;
    for (int i = 0; i < 5; i++)
        check_eq(ouro_await(ouro_spawn_with(use_some_stack, NULL, &huge)), 1);
    return 0;
}

Test(edges, in_debug_mode_a_task_with_a_huge_stack_stays_small_and_quick)
{
    begin_kernel_with(&(ouro_loop_options){.debug = 1});
    long before = peak_kib();
    ouro_ns start = ouro_now();
    check_eq(run_main(on_huge_stacks, NULL), 0);
    check(ouro_now() - start < OURO_SEC(5));
    if (!HARNESS_ASAN) /* it keeps a shadow of every stack, which costs memory and time */
        check(peak_kib() - before < 32L << 10);
    take_reports(OURO_REPORT_SLOW_STEP);
    end();
}

/* ---- Operations of several completions ------------------------------------------------------- */

struct heard {
    int count;
    int32_t res[8];
};

static void hear(int32_t res, uint32_t flags, void *arg)
{
    struct heard *h = arg;
    (void)flags;
    check(h->count < 8);
    h->res[h->count++] = res;
}

static ouro_future *start_accept(ouro_uring_options *opts)
{
    struct io_uring_sqe sqe = {.opcode = IORING_OP_ACCEPT, .fd = 3};
    opts->result_is_fd = 1;
    ouro_future *f = ouro_uring_op(&sqe, opts);
    turn();
    return f;
}

static void accept_three(struct fake *fake, int32_t last)
{
    fake_finish(fake, IORING_OP_ACCEPT, 40, IORING_CQE_F_MORE);
    fake_finish(fake, IORING_OP_ACCEPT, 41, IORING_CQE_F_MORE);
    turn();
    fake_finish(fake, IORING_OP_ACCEPT, 42, IORING_CQE_F_MORE);
    fake_finish(fake, IORING_OP_ACCEPT, last, 0);
    turns(2);
}

Test(edges, descriptors_of_a_multishot_operation_that_nobody_hears_of_are_closed)
{
    struct fake *fake = begin_fake();
    ouro_future *f = start_accept(&(ouro_uring_options){0});
    accept_three(fake, 43);
    for (int fd = 40; fd < 43; fd++)
        check_eq(fake->closed[fd], 1);
    check_eq(fake->closed[43], 0);
    check_eq(ouro_future_take(f).n, 43); /* the last is the future's, and now ours */
    ouro_unref(f);
    fake->on_cancel = FAKE_CANCEL_BUSY;
    f = start_accept(&(ouro_uring_options){0});
    check_eq(ouro_cancel(f), 1);
    accept_three(fake, 44);
    ouro_unref(f);
    turns(2);
    check_eq(fake->closed[40], 2);
    check_eq(fake->closed[43], 0);
    check_eq(fake->closed[44], 1); /* nobody took it */
    end();
}

Test(edges, descriptors_of_a_multishot_operation_that_somebody_hears_of_are_theirs)
{
    struct heard heard = {0};
    struct fake *fake = begin_fake();
    ouro_future *f = start_accept(&(ouro_uring_options){.on_cqe = hear, .arg = &heard});
    accept_three(fake, -EMFILE);
    check_eq(ouro_future_result(f).n, -EMFILE);
    ouro_unref(f);
    check_eq(heard.count, 4);
    for (int i = 0; i < 3; i++) {
        check_eq(heard.res[i], 40 + i);
        check_eq(fake->closed[40 + i], 0);
    }
    check_eq(heard.res[3], -EMFILE);
    end();
}

Test(edges, the_only_completion_of_an_operation_is_heard_too)
{
    struct heard heard = {0};
    struct fake *fake = begin_fake();
    ouro_future *f = start_accept(&(ouro_uring_options){.on_cqe = hear, .arg = &heard});
    fake_finish(fake, IORING_OP_ACCEPT, 50, 0);
    turns(2);
    check_eq(heard.count, 1);
    check_eq(heard.res[0], 50);
    ouro_unref(f);
    turns(2);
    check_eq(fake->closed[50], 1); /* a future's, as ever */
    end();
}

/* ---- A chain that cannot be ------------------------------------------------------------------ */

static ouro_future *start_read(int fd, char *buf)
{
    struct io_uring_sqe sqe = {
        .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)buf, .len = 8, .off = (uint64_t)-1};
    return ouro_uring_op(&sqe, NULL);
}

static int64_t chain_without_a_link(void *arg)
{
    const int *fd = arg;
    char buf[8];
    ouro_future *read = start_read(*fd, buf);
    check_eq(ouro_await(ouro_sleep(OURO_MS(2))), 0);
    check_eq(stats().kernel_operations, 1);
    check_eq(ouro_await(ouro_then(read, NULL, NULL)), -EINVAL);
    check_eq(stats().kernel_operations, 0);
    return 0;
}

Test(edges, a_chain_without_a_link_ends_when_the_kernel_has_let_go)
{
    int ends[2];
    check_eq(pipe2(ends, O_CLOEXEC), 0);
    begin_kernel();
    check_eq(run_main(chain_without_a_link, &ends[0]), 0);
    end();
    close(ends[0]);
    close(ends[1]);
}

/* The cancel comes too late, and the read has the buffer for another second. */
FakeTest(edges, a_chain_without_a_link_waits_for_what_cannot_be_cancelled)
{
    char buf[8] = "";
    struct fake *fake = the_fake();
    ouro_future *read = start_read(3, buf);
    check_eq(ouro_await(ouro_sleep(OURO_MS(2))), 0);
    fake->on_cancel = FAKE_CANCEL_BUSY;
    ouro_ns start = ouro_now();
    fake_complete_in(fake, OURO_SEC(1), fake_find(fake, IORING_OP_READ)->user_data, 8);
    check_eq(ouro_await(ouro_then(read, NULL, NULL)), -EINVAL);
    check_eq(ouro_now() - start, OURO_SEC(1));
    check_eq(buf[7], 'k');
    check_eq(stats().kernel_operations, 0);
    return 0;
}
