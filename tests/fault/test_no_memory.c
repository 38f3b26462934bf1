/* SPDX-License-Identifier: MIT */
/*
 * No memory, at every single place where memory is asked for.
 *
 * A few scenarios are run again and again, each time with one allocation more granted before the
 * allocator refuses, once or from then on, until a run needs no more than it gets. A run may fail
 * wherever it likes, but somebody must be told -ENOMEM, every future must settle, every argument
 * and object must be freed exactly once, and every byte must be back at the end.
 *
 * How it fails: a crash, a hang (the suite's timeout, or the fake driver's deadlock message), bytes
 * that were not given back, a refusal that nobody was told of.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ouro/uring.h>

#include "loop_int.h"

TestSuite(no_memory, .timeout = 280);

/* ---- The allocator --------------------------------------------------------------------------- */

struct rationed {
    uint64_t asked;
    uint64_t fail_at; /* the first that is refused, from 1; 0: none */
    bool for_good;    /* so are all that follow */
    uint64_t refused;
    int64_t live;
};

static struct rationed memory;

static bool refuse(struct rationed *m)
{
    m->asked++;
    bool no = m->fail_at && (m->asked == m->fail_at || (m->for_good && m->asked > m->fail_at));
    m->refused += no;
    return no;
}

static void *ration_alloc(size_t size, void *arg)
{
    struct rationed *m = arg;
    if (refuse(m))
        return NULL;
    m->live++;
    void *ptr = malloc(size);
    check(ptr != NULL);
    return ptr;
}

static void *ration_resize(void *ptr, size_t size, void *arg)
{
    struct rationed *m = arg;
    if (refuse(m))
        return NULL;
    m->live += ptr == NULL;
    return realloc(ptr, size);
}

static void ration_release(void *ptr, void *arg)
{
    struct rationed *m = arg;
    m->live -= ptr != NULL;
    free(ptr);
}

/* ---- What the scenarios share ---------------------------------------------------------------- */

static int told; /* results, of any kind, that said -ENOMEM */
static int made; /* arguments and objects handed over */
static int freed;

/* Note what a call or a future came to, and pass it on. */
static int64_t hear(int64_t rc)
{
    told += rc == -ENOMEM;
    return rc;
}

static void count_free(void *ptr)
{
    (void)ptr;
    freed++;
}

static void hear_report(const ouro_report *report, void *arg)
{
    (void)arg;
    hear(report->error);
}

/* ---- Scenario: tasks, gather, timeout, sleep ------------------------------------------------- */

static int64_t nap_and_return(void *arg)
{
    int64_t rc = ouro_await(ouro_sleep(OURO_MS(1)));
    return rc < 0 ? rc : (int64_t)(intptr_t)arg;
}

static int64_t nest(void *arg)
{
    intptr_t depth = (intptr_t)arg;
    if (depth == 0)
        return ouro_await(ouro_timeout(ouro_sleep(OURO_SEC(1)), OURO_MS(1)));
    return ouro_await(ouro_spawn(nest, (void *)(depth - 1)));
}

static int64_t gather_some(ouro_gather_mode mode)
{
    ouro_future *f[6];
    ouro_result r[6];
    for (int i = 0; i < 5; i++)
        f[i] = ouro_spawn(nap_and_return, (void *)(intptr_t)i);
    f[5] = ouro_timeout(ouro_spawn(nap_and_return, NULL), OURO_SEC(1));
    int64_t rc = hear(ouro_await(ouro_gather(f, 6, mode, r)));
    if (rc == 0)
        for (int i = 0; i < 6; i++)
            hear(r[i].n);
    return rc;
}

static int64_t tasks(void *arg)
{
    (void)arg;
    hear(gather_some(OURO_GATHER_ALL));
    hear(gather_some(OURO_GATHER_COLLECT));
    hear(gather_some(OURO_GATHER_FIRST_ERROR));
    hear(ouro_await(ouro_spawn(nest, (void *)(intptr_t)4)));
    hear(ouro_await(ouro_timeout(ouro_sleep(OURO_SEC(1)), OURO_MS(2))));
    made++;
    ouro_spawn_options opts = {.arg_free = count_free, .stack_size = 1 << 18};
    hear(ouro_await(ouro_spawn_with(nap_and_return, NULL, &opts)));
    ouro_detach(ouro_sleep(OURO_MS(1)));
    return hear(ouro_await(ouro_sleep(OURO_MS(5))));
}

/* ---- Scenario: promises, chains, observers, calls, posts ------------------------------------- */

static void seen(ouro_future *f, void *arg)
{
    (void)arg;
    hear(ouro_future_result(f).n);
}

static ouro_future *go_on(ouro_future *done, void *arg)
{
    hear(ouro_future_result(done).n);
    return arg ? ouro_sleep(OURO_MS(1)) : NULL;
}

static void called(void *arg)
{
    (void)arg;
}

static ouro_cancel_answer later(ouro_promise *p, void *arg)
{
    (void)p;
    (void)arg;
    return OURO_LATER;
}

/* With arg_free, the argument is the call's once it was accepted, and only then. */
static void accepted(int rc)
{
    made += hear(rc) == 0;
}

static void make_calls(void)
{
    ouro_call *call = NULL;
    accepted(ouro_call_soon(called, NULL, count_free, NULL));
    accepted(ouro_call_later(OURO_MS(1), called, NULL, count_free, NULL));
    accepted(ouro_call_later(OURO_SEC(1), called, NULL, count_free, &call));
    if (call)
        check_eq(ouro_call_cancel(call), 1);
    ouro_call_unref(call);
    for (int i = 0; i < 3; i++)
        accepted(ouro_loop_post(ouro_loop_current(), called, NULL, count_free));
}

static int64_t use_promise(bool cancel)
{
    ouro_promise *p = NULL;
    ouro_future *f = NULL;
    if (hear(ouro_promise_new(&p, &f)) < 0)
        return -ENOMEM;
    check_eq(ouro_promise_on_cancel(p, later, NULL), 0);
    for (int i = 0; i < 3; i++)
        hear(ouro_on_done(f, seen, NULL));
    ouro_future *chain = ouro_then(ouro_ref(f), go_on, NULL);
    chain = ouro_then(chain, go_on, cancel ? NULL : &told);
    if (cancel)
        ouro_cancel(f);
    ouro_yield();
    if (ouro_promise_resolve(p, (ouro_result){2, &made}, count_free) == 0)
        made++;
    ouro_promise_free(p);
    int64_t rc = hear(ouro_await(chain));
    ouro_unref(f);
    return rc;
}

static int64_t promises(void *arg)
{
    (void)arg;
    make_calls();
    hear(use_promise(false));
    hear(use_promise(true));
    hear(ouro_await(ouro_then(ouro_ready(3), go_on, NULL)));
    return hear(ouro_await(ouro_sleep(OURO_MS(3))));
}

/* ---- Scenario: operations, cancel, scopes, locals -------------------------------------------- */

static const ouro_local key = {"key"};
static int read_fd = -1; /* on the kernel, of a pipe that has nothing */

static ouro_future *start(uint8_t opcode)
{
    static char buf[64];
    struct io_uring_sqe sqe = {
        .opcode = opcode, .fd = read_fd, .addr = (uintptr_t)buf, .len = sizeof buf};
    return ouro_uring_op(&sqe, NULL);
}

static int64_t read_in_scope(void *arg)
{
    ouro_scope scope;
    (void)arg;
    int rc = ouro_local_set(&key, &made, count_free);
    made += rc == 0;
    hear(rc);
    rc = ouro_scope_enter(&scope, &(ouro_scope_options){.timeout = OURO_MS(1), .move_on = 1});
    if (hear(rc) < 0)
        return rc;
    int64_t n = hear(ouro_await(start(IORING_OP_READ)));
    return ouro_scope_exit(&scope, n);
}

static int64_t operations(void *arg)
{
    (void)arg;
    ouro_future *f[40];
    int rc = ouro_local_set(&key, &made, count_free);
    made += rc == 0;
    hear(rc);
    hear(ouro_await(ouro_spawn(read_in_scope, NULL)));
    for (int i = 0; i < 40; i++)
        f[i] = start(i % 2 ? IORING_OP_READ : IORING_OP_NOP);
    ouro_yield();
    for (int i = 1; i < 40; i += 2)
        ouro_cancel(f[i]);
    for (int i = 0; i < 40; i++)
        hear(ouro_await(f[i]));
    hear(ouro_await(ouro_timeout(start(IORING_OP_READ), OURO_MS(1))));
    ouro_future *child = ouro_spawn(read_in_scope, NULL);
    ouro_yield();
    ouro_cancel(child);
    return hear(ouro_await(child));
}

/* ---- Scenario: groups, select, wait, as_completed -------------------------------------------- */

static void told_of_child(ouro_future *child, int64_t result, void *arg)
{
    (void)child;
    (void)arg;
    hear(result);
}

/* With arg_free, the argument is the child's once there is one. */
static int spawn_child(ouro_group *group, bool wait)
{
    ouro_spawn_options opts = {.arg_free = count_free, .name = "child"};
    int rc = wait ? ouro_group_spawn_with(group, nap_and_return, NULL, &opts, NULL)
                  : ouro_group_try_spawn(group, nap_and_return, NULL, &opts, NULL);
    accepted(rc);
    return rc;
}

static int64_t group_of_some(int supervise, int64_t limit)
{
    ouro_group group;
    ouro_group_options opts = {.supervise = supervise, .limit = limit, .on_child = told_of_child};
    int64_t rc = hear(ouro_group_enter(&group, &opts));
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < 5; i++) {
        rc = spawn_child(&group, i % 2);
        rc = rc == -EAGAIN ? 0 : rc;
    }
    return hear(ouro_group_exit(&group, rc));
}

static void iterate(ouro_future **f, size_t n)
{
    ouro_completions *c;
    if (hear(ouro_as_completed(f, n, &c)) < 0)
        return;
    ouro_future *next = ouro_completions_next(c);
    hear(ouro_join(next));
    ouro_unref(next); /* it comes again */
    for (size_t i = 0; i <= n; i++)
        hear(ouro_await(ouro_completions_next(c)));
    ouro_completions_free(c);
}

static int64_t groups(void *arg)
{
    (void)arg;
    ouro_future *f[8];
    hear(group_of_some(0, 0));
    hear(group_of_some(1, 2));
    for (int i = 0; i < 8; i++)
        f[i] = ouro_spawn(nap_and_return, NULL);
    hear(ouro_await(ouro_wait(f, 8, OURO_WAIT_FIRST, OURO_MS(3))));
    iterate(f, 8);
    for (int i = 0; i < 8; i++)
        hear(ouro_join(f[i]));
    return hear(ouro_await(ouro_select(f, 8, NULL)));
}

/* ---- Scenario: queues ------------------------------------------------------------------------ */

static int compare_numbers(const void *a, const void *b, void *arg)
{
    (void)arg;
    return ((intptr_t)a > (intptr_t)b) - ((intptr_t)a < (intptr_t)b);
}

static int64_t put_some(void *arg)
{
    for (intptr_t i = 0; i < 40; i++)
        accepted(ouro_queue_put(arg, (void *)(i * 7 % 40)));
    return hear(ouro_queue_shutdown(arg, OURO_SHUTDOWN_DRAIN));
}

/* One item, by a future that may take it or leave it. */
static int64_t get_some(ouro_queue *q, bool take)
{
    int64_t n;
    ouro_future *f = ouro_timeout(ouro_queue_get_future(q), OURO_MS(1));
    if (!take)
        return hear(ouro_await(f));
    void *item = ouro_await_ptr(f, &n);
    if (hear(n) == 0)
        count_free(item);
    return n;
}

static int64_t use_queue(int64_t capacity, ouro_queue_order order)
{
    ouro_queue *q = NULL;
    ouro_queue_options opts = {.order = order, .compare = compare_numbers, .item_free = count_free};
    if (hear(ouro_queue_new(capacity, &opts, &q)) < 0)
        return -ENOMEM;
    ouro_future *producer = ouro_spawn(put_some, q);
    ouro_future *put = ouro_queue_put_future(q, NULL);
    for (int i = 0; i < 20; i++)
        get_some(q, i % 3);
    ouro_future *kept = ouro_queue_get_future(q);
    hear(ouro_queue_shutdown(q, OURO_SHUTDOWN_NOW));
    hear(ouro_await(producer));
    accepted((int)ouro_await(put));
    ouro_queue_free(q);
    return hear(ouro_await(kept));
}

static int64_t queues(void *arg)
{
    (void)arg;
    hear(use_queue(OURO_UNBOUNDED, OURO_QUEUE_FIFO));
    hear(use_queue(20, OURO_QUEUE_PRIORITY));
    hear(use_queue(3, OURO_QUEUE_LIFO));
    hear(use_queue(0, OURO_QUEUE_FIFO));
    return hear(ouro_await(ouro_sleep(OURO_MS(1))));
}

/* ---- Scenario: jobs of pools ----------------------------------------------------------------- */

static int64_t compute(void *arg)
{
    if (arg)
        ouro_task_return(arg, count_free);
    return 3;
}

static ouro_future *offload(ouro_pool *pool)
{
    made += 2; /* the argument, and the same as an object if it runs */
    ouro_offload_options opts = {.pool = pool, .arg_free = count_free};
    ouro_future *f = ouro_offload_with(compute, &made, &opts);
    if (ouro_future_state(f) != OURO_PENDING) /* -ENOMEM, and it never will */
        made--;
    return f;
}

static int64_t jobs(void *arg)
{
    (void)arg;
    ouro_pool *pool = NULL;
    ouro_future *f[5];
    int rc = ouro_local_set(&key, &made, count_free);
    made += rc == 0;
    hear(rc);
    hear(ouro_await(offload(NULL)));
    if (hear(ouro_pool_new(2, NULL, &pool)) < 0)
        return -ENOMEM;
    for (int i = 0; i < 5; i++)
        f[i] = offload(pool);
    for (int i = 0; i < 5; i++)
        hear(ouro_await(f[i]));
    hear(ouro_await(ouro_pool_shutdown(pool, OURO_SEC(5))));
    ouro_pool_free(pool);
    return hear(ouro_await(ouro_offload(compute, NULL)));
}

/* ---- Scenario: signals and child processes --------------------------------------------------- */

static void use_signals(void)
{
    ouro_signals *s = NULL;
    if (hear(ouro_signals_open((int[]){SIGUSR1, SIGUSR2}, 2, &s)) == 0) {
        ouro_future *first = ouro_signals_next(s), *second = ouro_signals_next(s);
        check_eq(raise(SIGUSR1), 0);
        hear(ouro_join(first));
        ouro_unref(first); /* if it was served, it comes again */
        hear(ouro_await(ouro_timeout(second, OURO_MS(20))));
        hear(ouro_await(ouro_timeout(ouro_signals_next(s), OURO_MS(1))));
    }
    ouro_signals_close(s);
    hear(ouro_await(ouro_timeout(ouro_signal_wait(SIGUSR2), OURO_MS(1))));
}

static ouro_process *spawn_cat(ouro_scope *scope)
{
    const char *argv[] = {"/bin/cat", NULL}, *env[] = {NULL};
    int64_t rc;
    ouro_process *p = ouro_await_ptr(
        ouro_process_spawn(&(ouro_process_options){
            .argv = argv, .env = env, .in = OURO_PIPE, .out = OURO_PIPE, .scope = scope}),
        &rc);
    hear(rc);
    return p;
}

static int64_t children(void *arg)
{
    (void)arg;
    use_signals();
    ouro_process *p = spawn_cat(NULL);
    if (p) {
        hear(ouro_await(ouro_process_communicate(p, "text", 4)));
        hear(ouro_await(ouro_process_wait(p)));
    }
    ouro_process_free(p);
    ouro_scope scope;
    check_eq(ouro_scope_enter(&scope, NULL), 0);
    ouro_process_free(spawn_cat(&scope));
    int64_t rc = ouro_scope_exit(&scope, 0);
    while (waitpid(-1, NULL, 0) > 0) /* what could not be waited for by the loop */
        continue;
    return rc;
}

/* ---- Scenario: reads of streams -------------------------------------------------------------- */

/* A stream to read from, @ret_peer to send to it; NULL: no memory, or whatever it is. */
static ouro_stream *open_stream(int *ret_peer)
{
    int ends[2];
    ouro_stream *s = NULL;
    check_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    *ret_peer = ends[1];
    if (hear(ouro_stream_new(ends[0], NULL, &s)) < 0)
        close(ends[0]);
    return s;
}

static void read_in_all_ways(ouro_stream *s, int peer)
{
    char buf[64];
    const void *bytes;
    check_eq(send(peer, "a line\nand more", 15, 0), 15);
    hear(ouro_await(ouro_stream_read_line(s, buf, sizeof buf)));
    hear(ouro_await(ouro_stream_peek(s, buf, 2)));
    hear(ouro_await(ouro_stream_next(s, &bytes)));
    ouro_future *f = ouro_stream_read_exact(s, buf, 8);
    hear(ouro_await(ouro_sleep(OURO_MS(1))));
    check_eq(send(peer, "12345678;;", 10, 0), 10);
    hear(ouro_await(f));
    hear(ouro_await(ouro_stream_read_until(s, buf, sizeof buf, ";", 1)));
    hear(ouro_await(ouro_timeout(ouro_stream_read_exact(s, buf, 10), OURO_MS(1))));
    shutdown(peer, SHUT_WR);
}

static int64_t streams(void *arg)
{
    (void)arg;
    int peer;
    static char buf[4096];
    hear(ouro_stream_buffers_set(&(ouro_stream_buffers){.count = 4, .size = 64}));
    for (int way = 0; way < 2; way++) {
        ouro_stream *s = open_stream(&peer);
        if (s && way == 0)
            read_in_all_ways(s, peer);
        if (s)
            hear(ouro_await(ouro_timeout(ouro_stream_read(s, buf, sizeof buf), OURO_MS(1))));
        if (s && way == 0)
            hear(ouro_await(ouro_stream_close(s)));
        else if (s)
            close((int)hear(ouro_await(ouro_stream_take_fd(s))));
        ouro_stream_free(s);
        close(peer);
    }
    return 0;
}

/* ---- Walking --------------------------------------------------------------------------------- */

/* A loop on either driver, with as little memory as there is. On failure nothing was made. */
static int make_loop(struct fake **ret_fake, ouro_loop **ret_loop)
{
    if (!*ret_fake)
        return ouro_loop_new(&(ouro_loop_options){.entries = 8}, ret_loop);
    return ouro__loop_new_on(&(*ret_fake)->driver, NULL, ret_loop);
}

static void run_scenario(ouro_task_fn *scenario, struct fake *fake)
{
    ouro_loop *loop = NULL;
    told = made = freed = 0;
    if (hear(make_loop(&fake, &loop)) < 0) {
        check_eq(told, 1);
        return;
    }
    check_eq(ouro_report_set_handler(hear_report, NULL), 0);
    hear(ouro_loop_run_until(loop, ouro_spawn(scenario, NULL)));
    check_eq(ouro_loop_shutdown(loop, OURO_SEC(5)), 0);
    ouro_loop_stats s;
    check_eq(ouro_loop_stats_get(loop, &s), 0);
    check_eq(s.live_futures, 0);
    check_eq(s.live_tasks, 0);
    check_eq(s.kernel_operations, 0);
    check_eq(s.live_timers, 0);
    check_eq(s.live_calls, 0);
    check_eq(s.live_stacks, 0);
    check_eq(ouro_loop_close(loop), 0);
    check_eq(freed, made);
}

/* One run; true if memory was refused in it. */
static bool run_with_failure(ouro_task_fn *scenario, bool on_kernel, uint64_t n, bool for_good)
{
    memory = (struct rationed){.fail_at = n, .for_good = for_good};
    ouro_allocator a = {ration_alloc, ration_resize, ration_release, &memory};
    check_eq(ouro_set_allocator(&a), 0);
    struct fake *fake = on_kernel ? NULL : fake_new(16);
    run_scenario(scenario, fake);
    fake_destroy(fake);
    if (memory.live != 0)
        cr_assert_fail("refusing %s %llu: %lld blocks leaked", for_good ? "from" : "only",
                       (unsigned long long)n, (long long)memory.live);
    if (memory.refused && !told)
        cr_assert_fail("refusing %s %llu: nobody was told -ENOMEM", for_good ? "from" : "only",
                       (unsigned long long)n);
    check_eq(ouro_set_allocator(NULL), 0);
    return memory.refused > 0;
}

/* More and more memory, until a run needs no more than it gets. */
static void walk(ouro_task_fn *scenario, bool on_kernel)
{
    for (int for_good = 0; for_good < 2; for_good++) {
        uint64_t n = 1;
        while (run_with_failure(scenario, on_kernel, n, for_good))
            check(++n < 100000);
        check(n > 10); /* the scenario asked for something */
        cr_log_info("%s, %s: %llu places", on_kernel ? "kernel" : "fake driver",
                    for_good ? "refused for good" : "refused once", (unsigned long long)n - 1);
        check_eq(told, 0);
    }
}

Test(no_memory, tasks_gathers_timeouts_and_sleeps_fail_cleanly_at_every_allocation)
{
    walk(tasks, false);
    walk(tasks, true);
}

Test(no_memory, promises_chains_calls_and_posts_fail_cleanly_at_every_allocation)
{
    walk(promises, false);
    walk(promises, true);
}

Test(no_memory, queues_fail_cleanly_at_every_allocation)
{
    walk(queues, false);
    walk(queues, true);
}

Test(no_memory, operations_scopes_and_locals_fail_cleanly_at_every_allocation)
{
    int ends[2];
    walk(operations, false);
    check_eq(pipe(ends), 0);
    read_fd = ends[0];
    walk(operations, true);
    close(ends[0]);
    close(ends[1]);
}

Test(no_memory, groups_selects_and_waits_fail_cleanly_at_every_allocation)
{
    walk(groups, false);
    walk(groups, true);
}

/* Threads are real: a clock that jumps is not for them. */
Test(no_memory, jobs_of_pools_fail_cleanly_at_every_allocation)
{
    walk(jobs, true);
}

Test(no_memory, reads_of_streams_fail_cleanly_at_every_allocation)
{
    walk(streams, true);
}

Test(no_memory, signals_and_children_fail_cleanly_at_every_allocation)
{
    walk(children, true);
    check_eq(waitpid(-1, NULL, WNOHANG), -1);
}
