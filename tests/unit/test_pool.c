/* SPDX-License-Identifier: MIT */
/*
 * Pools of the user's: how many threads they have and when, what their shutdown makes of jobs, who
 * may give them back and when.
 */
#include "pool_test.h"

#include <string.h>
#include <sys/prctl.h>

TestSuite(pool, .timeout = 60, .init = count_threads_before);

static ouro_pool *pool;

static void make(int threads)
{
    check_eq(ouro_pool_new(threads, NULL, &pool), 0);
}

static void drop(void)
{
    check(ouro_pool_free(pool) == NULL);
}

static ouro_future *offload(ouro_task_fn *fn, void *arg)
{
    return ouro_offload_with(fn, arg, &(ouro_offload_options){.pool = pool});
}

static int64_t nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- Making and freeing ---------------------------------------------------------------------- */

Test(pool, bad_arguments_are_einval_and_write_nothing)
{
    ouro_pool *none = NULL;
    check_eq(ouro_pool_new(0, NULL, &none), -EINVAL);
    check_eq(ouro_pool_new(-1, NULL, &none), -EINVAL);
    check_eq(ouro_pool_new(4097, NULL, &none), -EINVAL);
    check_eq(ouro_pool_new(1, NULL, NULL), -EINVAL);
    check(none == NULL);
    check(ouro_pool_free(NULL) == NULL);
}

Test(pool, one_that_is_not_used_has_no_threads_and_needs_no_loop)
{
    make(4096);
    await_threads(0);
    drop();
}

PoolTest(pool, jobs_of_one_thread_run_in_the_order_in_which_they_were_asked_for)
{
    enum { MANY = 50 };
    static struct gate gates[MANY];
    ouro_future *fs[MANY];
    make(1);
    for (int i = 0; i < MANY; i++)
        fs[i] = offload(pass_gate, &gates[i]);
    for (int i = 0; i < MANY; i++) {
        await_count(&gates[i].entered, 1);
        if (i + 1 < MANY)
            check_eq(gates[i + 1].entered, 0);
        atomic_store(&gates[i].open, 1);
    }
    check_eq(ouro_await(ouro_gather(fs, MANY, OURO_GATHER_ALL, NULL)), 0);
    drop();
    return 0;
}

PoolTest(pool, it_has_as_many_threads_as_jobs_and_no_more_than_it_may)
{
    struct gate g = {0};
    ouro_future *fs[6];
    make(3);
    for (int i = 0; i < 6; i++) {
        fs[i] = offload(pass_gate, &g);
        check_eq(count_threads(), i < 3 ? i + 1 : 3);
    }
    await_count(&g.entered, 3);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(g.entered, 3);
    atomic_store(&g.open, 1);
    check_eq(ouro_await(ouro_gather(fs, 6, OURO_GATHER_ALL, NULL)), 0);
    drop();
    await_threads(0);
    return 0;
}

PoolTest(pool, one_job_after_the_other_needs_one_thread)
{
    make(8);
    for (int i = 0; i < 200; i++) {
        check_eq(ouro_await(offload(nothing, NULL)), 0);
        check_eq(count_threads(), 1);
    }
    drop();
    return 0;
}

static int64_t name_of_thread(void *arg)
{
    return prctl(PR_GET_NAME, arg);
}

static void check_name(const char *asked, const char *want)
{
    char name[32] = "", given[64];
    ouro_pool_options opts = {.name = asked ? strcpy(given, asked) : NULL};
    check_eq(ouro_pool_new(1, &opts, &pool), 0);
    memset(given, 'x', sizeof given); /* it was copied */
    check_eq(ouro_await(offload(name_of_thread, name)), 0);
    check_text(name, want);
    drop();
}

PoolTest(pool, its_threads_have_its_name_as_far_as_that_fits)
{
    check_name(NULL, "ouro");
    check_name("parser", "parser");
    check_name("a name that is far too long", "a name that is ");
    return 0;
}

static int64_t use_stack(void *arg)
{
    volatile char deep[3 << 20];
    (void)arg;
    for (size_t i = 0; i < sizeof deep; i += 4096)
        deep[i] = 1;
    return deep[4096];
}

PoolTest(pool, its_threads_have_the_stack_they_were_promised_and_never_too_little)
{
    ouro_pool_options opts = {.stack_size = 4 << 20};
    check_eq(ouro_pool_new(1, &opts, &pool), 0);
    check_eq(ouro_await(offload(use_stack, NULL)), 1);
    drop();
    opts.stack_size = 1;
    check_eq(ouro_pool_new(1, &opts, &pool), 0);
    check_eq(ouro_await(offload(nothing, NULL)), 0);
    drop();
    return 0;
}

PoolTest(pool, without_a_single_thread_a_job_is_eagain_and_its_argument_freed)
{
    struct fate fate = {0};
    ouro_pool_options opts = {.stack_size = SIZE_MAX / 4}; /* more than there is address space */
    check_eq(ouro_pool_new(1, &opts, &pool), 0);
    ouro_offload_options job = {.pool = pool, .arg_free = meet_fate};
    check_eq(ouro_await(ouro_offload_with(nothing, &fate, &job)), -EAGAIN);
    check_freed_here(&fate);
    drop();
    return 0;
}

PoolTest(pool, threads_that_were_idle_for_long_enough_end_and_come_back_when_needed)
{
    struct gate g = {0};
    ouro_future *fs[3];
    ouro_pool_options opts = {.idle = OURO_MS(5)};
    check_eq(ouro_pool_new(3, &opts, &pool), 0);
    for (int round = 0; round < 3; round++) {
        atomic_store(&g.open, 0);
        for (int i = 0; i < 3; i++)
            fs[i] = offload(pass_gate, &g);
        check_eq(count_threads(), 3);
        atomic_store(&g.open, 1);
        check_eq(ouro_await(ouro_gather(fs, 3, OURO_GATHER_ALL, NULL)), 0);
        await_threads(0);
    }
    drop();
    return 0;
}

PoolTest(pool, threads_may_stay_idle_for_ever)
{
    ouro_pool_options opts = {.idle = OURO_FOREVER};
    check_eq(ouro_pool_new(3, &opts, &pool), 0);
    check_eq(ouro_await(offload(nothing, NULL)), 0);
    check_eq(ouro_await(ouro_sleep(OURO_MS(20))), 0);
    check_eq(ouro_await(offload(nothing, NULL)), 0);
    drop();
    return 0;
}

PoolTest(pool, when_it_is_freed_what_waits_is_cancelled_and_what_runs_goes_on)
{
    struct gate g = {.n = 9};
    struct fate fates[3] = {0};
    ouro_future *waits[3];
    make(1);
    ouro_future *runs = offload(pass_gate, &g);
    await_count(&g.entered, 1);
    ouro_offload_options opts = {.pool = pool, .arg_free = meet_fate};
    for (int i = 0; i < 3; i++)
        waits[i] = ouro_offload_with(nothing, &fates[i], &opts);
    drop();
    for (int i = 0; i < 3; i++) {
        check_eq(ouro_await(ouro_ref(waits[i])), -OURO_ECHILDCANCELLED);
        check_eq(ouro_future_state(waits[i]), OURO_CANCELLED);
        check_freed_here(&fates[i]);
        ouro_unref(waits[i]);
    }
    check_eq(ouro_cancel(runs), 1); /* it has the pool's lock to ask for */
    check_eq(ouro_future_state(runs), OURO_PENDING);
    atomic_store(&g.open, 1);
    check_eq(ouro_await(runs), 9);
    await_threads(0);
    return 0;
}

static int64_t free_pool(void *arg)
{
    ouro_pool_free(arg);
    return 0;
}

PoolTest(pool, a_job_may_free_its_own_pool)
{
    make(2);
    check_eq(ouro_await(offload(nothing, NULL)), 0);
    check_eq(ouro_await(offload(free_pool, pool)), 0);
    await_threads(0);
    return 0;
}

/* ---- Several loops --------------------------------------------------------------------------- */

static int64_t use_pool_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        struct gate g = {.n = i, .open = 1};
        int64_t n = ouro_await(offload(pass_gate, &g));
        if (n != i)
            return -EIO;
    }
    return 0;
}

static void *run_beside(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)ouro_run(use_pool_much, NULL, NULL);
}

Test(pool, loops_of_several_threads_may_use_one)
{
    pthread_t threads[3];
    void *rc;
    make(2);
    for (int i = 0; i < 3; i++)
        check_eq(pthread_create(&threads[i], NULL, run_beside, NULL), 0);
    for (int i = 0; i < 3; i++) {
        check_eq(pthread_join(threads[i], &rc), 0);
        check(rc == NULL);
    }
    drop();
    await_threads(0);
}

/* ---- Shutdown -------------------------------------------------------------------------------- */

PoolTest(pool, shutdown_of_one_with_no_work_is_0_at_once_and_a_second_is_ealready)
{
    make(2);
    check_eq(ouro_await(ouro_pool_shutdown(pool, 0)), 0);
    check_eq(ouro_await(ouro_pool_shutdown(pool, 0)), -EALREADY);
    drop();
    make(2);
    check_eq(ouro_await(offload(nothing, NULL)), 0);
    check_eq(ouro_await(ouro_pool_shutdown(pool, OURO_FOREVER)), 0);
    await_threads(0);
    drop();
    return 0;
}

Test(pool, shutdown_of_nothing_or_without_a_loop_is_an_error)
{
    make(1);
    ouro_future *f = ouro_pool_shutdown(pool, 0);
    check_eq(ouro_future_result(f).n, -EPERM);
    f = ouro_pool_shutdown(NULL, 0);
    check_eq(ouro_future_result(f).n, -EINVAL);
    begin_kernel();
    check_eq(ouro_loop_shutdown(ouro_loop_current(), 0), 0);
    f = ouro_pool_shutdown(pool, 0);
    check_eq(ouro_future_result(f).n, -ESHUTDOWN);
    end();
    drop();
}

PoolTest(pool, shutdown_lets_all_jobs_end_and_takes_no_more)
{
    struct gate g = {.n = 3};
    ouro_future *fs[4];
    struct fate fate = {0};
    make(2);
    for (int i = 0; i < 4; i++)
        fs[i] = offload(pass_gate, &g);
    await_count(&g.entered, 2);
    ouro_future *shutdown = ouro_pool_shutdown(pool, OURO_SEC(30));
    ouro_offload_options opts = {.pool = pool, .arg_free = meet_fate};
    check_eq(ouro_await(ouro_offload_with(nothing, &fate, &opts)), -ESHUTDOWN);
    check_freed_here(&fate);
    check_eq(ouro_await(ouro_sleep(OURO_MS(5))), 0);
    check_eq(ouro_future_state(shutdown), OURO_PENDING);
    atomic_store(&g.open, 1);
    check_eq(ouro_await(shutdown), 0);
    for (int i = 0; i < 4; i++)
        check_eq(ouro_await(fs[i]), 3);
    await_threads(0);
    drop();
    return 0;
}

/* One that runs and one that waits, in a pool of one thread. */
struct pair {
    struct gate gate;
    struct fate object;
    struct fate arg;
    ouro_future *runs;
    ouro_future *waits;
};

static void start_pair(struct pair *p)
{
    p->gate = (struct gate){.object = &p->object, .object_free = meet_fate};
    make(1);
    p->runs = offload(pass_gate, &p->gate);
    await_count(&p->gate.entered, 1);
    ouro_offload_options opts = {.pool = pool, .arg_free = meet_fate};
    p->waits = ouro_offload_with(nothing, &p->arg, &opts);
}

static void check_given_up(struct pair *p)
{
    check_eq(ouro_await(p->runs), -ETIMEDOUT);
    check_eq(ouro_await(ouro_ref(p->waits)), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(p->waits), OURO_CANCELLED);
    check_freed_here(&p->arg);
    ouro_unref(p->waits);
    check_eq(p->gate.returned, 0);
    atomic_store(&p->gate.open, 1);
    await_count(&p->object.freed, 1);
    check_freed_here(&p->object);
    check_eq(p->gate.saw_cancel, 1);
    await_threads(0);
}

PoolTest(pool, shutdown_without_grace_gives_up_what_runs_and_cancels_what_waits)
{
    struct pair p = {0};
    start_pair(&p);
    check_eq(ouro_await(ouro_pool_shutdown(pool, 0)), -ETIMEDOUT);
    check_given_up(&p);
    drop();
    return 0;
}

PoolTest(pool, shutdown_does_so_when_its_grace_has_passed)
{
    struct pair p = {0};
    start_pair(&p);
    ouro_future *shutdown = ouro_pool_shutdown(pool, OURO_MS(10));
    check_eq(ouro_future_state(p.waits), OURO_PENDING);
    check_eq(ouro_await(shutdown), -ETIMEDOUT);
    check_given_up(&p);
    drop();
    return 0;
}

PoolTest(pool, a_cancel_ends_the_grace)
{
    struct pair p = {0};
    start_pair(&p);
    ouro_future *shutdown = ouro_pool_shutdown(pool, OURO_FOREVER);
    check_eq(ouro_cancel(shutdown), 1);
    check_eq(ouro_future_state(shutdown), OURO_CANCELLED);
    check_eq(ouro_await(shutdown), -OURO_ECHILDCANCELLED);
    check_given_up(&p);
    drop();
    return 0;
}

PoolTest(pool, one_that_was_given_up_may_be_freed_before_its_job_ends)
{
    struct pair p = {0};
    start_pair(&p);
    check_eq(ouro_await(ouro_timeout(ouro_pool_shutdown(pool, OURO_FOREVER), OURO_MS(2))),
             -ETIMEDOUT);
    drop();
    check_given_up(&p);
    return 0;
}

PoolTest(pool, a_cancel_after_the_shutdown_gave_up_has_no_effect)
{
    struct gate g = {0};
    make(1);
    ouro_offload_options opts = {.pool = pool, .abandon = 1};
    ouro_future *f = ouro_offload_with(pass_gate, &g, &opts);
    await_count(&g.entered, 1);
    ouro_future *shutdown = ouro_pool_shutdown(pool, 0);
    check_eq(ouro_cancel(f), 1); /* the word of it is still on its way */
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    check_eq(ouro_await(shutdown), -ETIMEDOUT);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    atomic_store(&g.open, 1);
    await_count(&g.returned, 1);
    drop();
    return 0;
}

PoolTest(pool, one_that_ends_before_the_word_that_it_is_given_up_is_given_up)
{
    struct gate g = {0};
    make(1);
    ouro_future *f = offload(pass_gate, &g);
    block_until(&g.entered, 1);
    ouro_future *shutdown = ouro_pool_shutdown(pool, 0);
    atomic_store(&g.open, 1);
    await_threads(0); /* both posts are there, and no turn was taken */
    check_eq(ouro_await(f), -ETIMEDOUT);
    check_eq(ouro_await(shutdown), -ETIMEDOUT);
    drop();
    return 0;
}

PoolTest(pool, a_shutdown_that_is_thrown_away_goes_on_and_the_pool_may_be_freed)
{
    struct gate g = {.n = 2};
    make(1);
    ouro_future *f = offload(pass_gate, &g);
    await_count(&g.entered, 1);
    ouro_detach(ouro_pool_shutdown(pool, OURO_SEC(30)));
    drop();
    atomic_store(&g.open, 1);
    check_eq(ouro_await(f), 2);
    return 0;
}

/* Jobs of another loop are given up there. */
static struct gate elsewhere;

static int64_t be_given_up(void *arg)
{
    (void)arg;
    ouro_future *runs = offload(pass_gate, &elsewhere);
    ouro_future *waits = offload(nothing, NULL);
    int64_t n = ouro_await(waits);
    return ouro_await(runs) == -ETIMEDOUT && n == -OURO_ECHILDCANCELLED ? 0 : -EIO;
}

static void *run_elsewhere(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)ouro_run(be_given_up, NULL, NULL);
}

Test(pool, shutdown_gives_up_jobs_of_other_loops_on_their_own_threads)
{
    pthread_t thread;
    void *rc;
    begin_kernel();
    make(1);
    check_eq(pthread_create(&thread, NULL, run_elsewhere, NULL), 0);
    block_until(&elsewhere.entered, 1);
    pause_ms(50); /* for the one that waits */
    check_eq(ouro_loop_run_until(ouro_loop_current(), ouro_pool_shutdown(pool, OURO_MS(1))),
             -ETIMEDOUT);
    check_eq(pthread_join(thread, &rc), 0);
    check(rc == NULL);
    drop();
    atomic_store(&elsewhere.open, 1);
    await_threads(0);
    end();
}

static int close_while_shutting_down(void)
{
    static struct gate g;
    begin_kernel();
    make(1);
    ouro_detach(offload(pass_gate, &g));
    block_until(&g.entered, 1);
    ouro_detach(ouro_pool_shutdown(pool, OURO_FOREVER));
    /* The shutdown of the loop cancels that of the pool, which gives the job up. */
    child_check(ouro_loop_shutdown(ouro_loop_current(), 0) == 0);
    child_check(take_reports(OURO_REPORT_UNREAD_ERROR) == 1);
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    drop();
    child_check(count_threads() == 1);
    atomic_store(&g.open, 1);
    return threads_become(0) ? 0 : 1;
}

Test(pool, a_loop_may_close_while_it_waits_for_a_shutdown)
{
    char text[4096];
    check_child(close_while_shutting_down, text, sizeof text);
}

/* ---- Fork ------------------------------------------------------------------------------------ */

static int use_parents_pool(void)
{
    struct fate fate = {0};
    ouro_loop *mine;
    child_check(ouro_loop_close(ouro_loop_current()) == 0);
    child_check(ouro_loop_new(NULL, &mine) == 0);
    ouro_offload_options opts = {.pool = pool, .arg_free = meet_fate};
    ouro_future *f = ouro_offload_with(nothing, &fate, &opts);
    child_check(ouro_future_result(f).n == -ECHILD);
    child_check(fate.freed == 1);
    child_check(ouro_future_result(ouro_pool_shutdown(pool, 0)).n == -ECHILD);
    child_check(ouro_pool_free(pool) == NULL);
    child_check(ouro_pool_new(1, NULL, &pool) == 0);
    child_check(ouro_loop_run_until(mine, offload(nothing, NULL)) == 0);
    child_check(ouro_pool_free(pool) == NULL);
    child_check(ouro_loop_close(mine) == 0);
    return threads_become(0) ? 0 : 1;
}

Test(pool, in_the_child_of_a_fork_it_is_echild_and_can_be_freed)
{
    struct gate g = {.n = 1};
    char text[4096];
    begin_kernel();
    make(2);
    ouro_future *f = offload(pass_gate, &g);
    block_until(&g.entered, 1);
    check_child(use_parents_pool, text, sizeof text);
    atomic_store(&g.open, 1);
    check_eq(ouro_loop_run_until(ouro_loop_current(), f), 1);
    drop();
    end();
    await_threads(0);
}
