/* SPDX-License-Identifier: MIT */
/*
 * Jobs of process pools: what goes in, what comes out, in what order, and how they are stopped.
 *
 * How workers and the processes around them end is in test_procpool_ends.c.
 */
#define _GNU_SOURCE
#include "procpool_test.h"

#include <pthread.h>
#include <time.h>

TestSuite(procpool, .timeout = 60);

/* ---- Values and bytes ------------------------------------------------------------------------ */

static uint64_t checksum(const unsigned char *data, size_t size)
{
    uint64_t sum = 5381;
    for (size_t i = 0; i < size; i++)
        sum = (sum * 33 + data[i]) & 0x7fffffff;
    return sum;
}

/* The sum of what came in, and all of it back, in pieces. */
JOB(echo)
{
    const unsigned char *data = input;
    for (size_t at = 0, part; at < size; at += part) {
        part = size - at < 50000 ? size - at : 50000;
        check_eq(ouro_reply_write(reply, data + at, part), 0);
    }
    return (int64_t)checksum(data, size);
}

static void check_echo(ouro_procpool *pool, size_t size)
{
    unsigned char *data = malloc(size + 1);
    int64_t n;
    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7 + (i >> 8));
    ouro_bytes *bytes = ouro_await_ptr(ouro_procpool_submit(pool, echo, size ? data : NULL, size),
                                       &n);
    check_eq(n, checksum(data, size));
    check(bytes != NULL);
    check_eq(bytes->size, size);
    check(memcmp(bytes->data, data, size) == 0);
    check_eq(bytes->data[size], 0);
    ouro_bytes_free(bytes);
    free(data);
}

PoolTest(values_and_bytes_of_every_size_go_both_ways, 2)
{
    check_echo(pool, 0);
    check_echo(pool, 1);
    check_echo(pool, 64 << 10);
    check_echo(pool, 5 << 20);
    check_eq(ouro_procpool_replaced(pool), 0);
    return 0;
}

JOB(fail_after_writing)
{
    check_eq(ouro_reply_write(reply, "unwanted", 8), 0);
    return -ENOENT;
}

PoolTest(an_error_that_a_job_returns_is_the_result_and_has_no_bytes, 1)
{
    int64_t n;
    ouro_bytes *bytes = ouro_await_ptr(ouro_procpool_submit(pool, fail_after_writing, NULL, 0), &n);
    check_eq(n, -ENOENT);
    check(bytes == NULL);
    check_echo(pool, 3);
    check_eq(ouro_procpool_replaced(pool), 0);
    return 0;
}

JOB(change_input)
{
    memset((void *)(uintptr_t)input, 'x', size);
    return 0;
}

PoolTest(input_is_a_copy, 1)
{
    char text[] = "unchanged";
    check_eq(ouro_await(ouro_procpool_submit(pool, change_input, text, sizeof text)), 0);
    check_text(text, "unchanged");
    return 0;
}

PoolTest(a_result_that_nobody_wants_is_freed, 1)
{
    check(ouro_await(ouro_procpool_submit(pool, echo, "abc", 3)) > 0);
    ouro_detach(ouro_procpool_submit(pool, echo, "abc", 3));
    return 0;
}

/* ---- The limit ------------------------------------------------------------------------------- */

JOB(write_as_many)
{
    unsigned char byte = 'b';
    int rc = 0;
    for (int i = 0; i < *(const int *)input && rc == 0; i++)
        rc = ouro_reply_write(reply, &byte, 1);
    check_eq(rc, *(const int *)input > 1000 ? -EMSGSIZE : 0);
    return 7;
}

PoolTestWith(a_result_beyond_the_limit_fails_its_job_and_no_other, 1, .result_limit = 1000)
{
    int n = 1000;
    check_eq(ouro_await(ouro_procpool_submit(pool, write_as_many, &n, sizeof n)), 7);
    n = 1001;
    check_eq(ouro_await(ouro_procpool_submit(pool, write_as_many, &n, sizeof n)), -EMSGSIZE);
    n = 1;
    check_eq(ouro_await(ouro_procpool_submit(pool, write_as_many, &n, sizeof n)), 7);
    check_eq(ouro_procpool_replaced(pool), 0);
    return 0;
}

JOB(write_badly)
{
    check_eq(ouro_reply_write(NULL, "a", 1), -EINVAL);
    check_eq(ouro_reply_write(reply, NULL, 0), 0);
    check_eq(ouro_reply_write(reply, "a", 1), 0);
    check_eq(ouro_reply_write(reply, NULL, 1), -EINVAL);
    check_eq(ouro_reply_write(reply, "a", 1), 0);
    return 0;
}

PoolTest(a_job_that_writes_nothing_from_nowhere_fails, 1)
{
    check_eq(await_job(pool, write_badly), -EINVAL);
    return 0;
}

/* ---- Order and number ------------------------------------------------------------------------ */

JOB(note_order)
{
    atomic_store(&board->order[atomic_fetch_add(&board->count, 1)], *(const int *)input);
    return 0;
}

PoolTest(jobs_start_in_the_order_of_submission, 1)
{
    enum { JOBS = 10 };
    int numbers[JOBS];
    ouro_future *f[JOBS];
    for (int i = 0; i < JOBS; i++) {
        numbers[i] = i;
        f[i] = ouro_procpool_submit(pool, note_order, &numbers[i], sizeof numbers[i]);
    }
    check_eq(ouro_await(ouro_gather(f, JOBS, OURO_GATHER_ALL, NULL)), 0);
    for (int i = 0; i < JOBS; i++)
        check_eq(board->order[i], i);
    return 0;
}

JOB(take_a_nap)
{
    usleep(200 * 1000);
    return getpid();
}

JOB(meet_another)
{
    atomic_fetch_add(&board->count, 1);
    for (int i = 0; i < 20000 && atomic_load(&board->count) < 2; i++)
        usleep(1000);
    return atomic_load(&board->count) < 2 ? -ETIMEDOUT : getpid();
}

PoolTest(two_workers_work_at_the_same_time, 2)
{
    ouro_result r[2];
    ouro_future *f[2];
    for (int i = 0; i < 2; i++)
        f[i] = ouro_procpool_submit(pool, meet_another, NULL, 0);
    check_eq(ouro_await(ouro_gather(f, 2, OURO_GATHER_ALL, r)), 0);
    check(r[0].n != r[1].n);
    for (int i = 0; i < 2; i++)
        ouro_bytes_free(r[i].ptr);
    return 0;
}

/* ---- Stopping -------------------------------------------------------------------------------- */

JOB(count_up)
{
    return atomic_fetch_add(&board->count, 1);
}

PoolTest(a_job_cancelled_in_the_queue_never_runs, 1)
{
    ouro_future *busy = ouro_procpool_submit(pool, take_a_nap, NULL, 0);
    ouro_future *waits = ouro_procpool_submit(pool, count_up, NULL, 0);
    check_eq(ouro_cancel(waits), 1);
    check_eq(ouro_future_state(waits), OURO_CANCELLED);
    ouro_unref(waits);
    check(ouro_await(busy) > 0);
    check_eq(await_job(pool, tell_pid) > 0, 1);
    check_eq(board->count, 0);
    check_eq(ouro_procpool_replaced(pool), 0);
    return 0;
}

PoolTestWith(a_job_that_ignores_its_deadline_is_killed, 1, .grace = OURO_MS(10))
{
    ouro_future *f = ouro_procpool_submit(pool, hang, NULL, 0);
    pid_t pid = await_running();
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(50))), -ETIMEDOUT);
    check(is_dead(pid));
    check_eq(ouro_procpool_replaced(pool), 1);
    check_echo(pool, 100);
    return 0;
}

PoolTestWith(a_job_cancelled_before_its_input_has_gone_is_killed_too, 1, .grace = OURO_MS(10))
{
    size_t size = 5 << 20; /* more than a socket holds */
    void *data = calloc(1, size);
    pid_t pid = (pid_t)await_job(pool, tell_pid);
    kill(pid, SIGSTOP);
    ouro_future *f = ouro_procpool_submit(pool, echo, data, size);
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(20))), -ETIMEDOUT);
    wait_dead(pid);
    check_eq(ouro_procpool_replaced(pool), 1);
    free(data);
    return 0;
}

JOB(stop_when_asked)
{
    atomic_store(&board->pid, getpid());
    while (!ouro_job_cancelled())
        usleep(1000);
    check_eq(ouro_reply_write(reply, "partial", 7), 0);
    return 42;
}

PoolTestWith(what_a_job_answers_that_was_asked_to_stop_wins, 1, .grace = OURO_SEC(30))
{
    ouro_future *f = ouro_timeout(ouro_procpool_submit(pool, stop_when_asked, NULL, 0),
                                  OURO_MS(20));
    int64_t n;
    ouro_bytes *bytes = ouro_await_ptr(f, &n);
    check_eq(n, 42);
    check_text((char *)bytes->data, "partial");
    ouro_bytes_free(bytes);
    return 0;
}

JOB(tell_whether_cancelled)
{
    return ouro_job_cancelled();
}

PoolTestWith(the_next_job_is_not_asked_to_stop, 1, .grace = OURO_SEC(30))
{
    for (int i = 0; i < 20; i++) {
        ouro_future *f = ouro_procpool_submit(pool, stop_when_asked, NULL, 0);
        if (i & 1)
            await_running();
        check_eq(ouro_cancel(f), 1);
        check_eq(ouro_await(f), 42);
        check_eq(await_job(pool, tell_whether_cancelled), 0);
    }
    return 0;
}

JOB(obey)
{
    while (!ouro_job_cancelled())
        usleep(1000);
    return -ECANCELED;
}

PoolTestWith(a_job_that_obeys_is_cancelled, 1, .grace = OURO_SEC(30))
{
    ouro_future *f = ouro_procpool_submit(pool, obey, NULL, 0);
    check_eq(ouro_await(ouro_timeout(f, OURO_MS(10))), -ETIMEDOUT);
    f = ouro_procpool_submit(pool, obey, NULL, 0);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_cancel(f), 0);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(f), OURO_CANCELLED);
    ouro_unref(f);
    return 0;
}

JOB(nap_until_interrupted)
{
    atomic_store(&board->pid, getpid());
    struct timespec t = {.tv_sec = 100};
    return nanosleep(&t, NULL) < 0 && errno == EINTR ? 1 : 0;
}

PoolTestWith(a_system_call_that_a_job_is_in_is_interrupted, 1, .grace = OURO_SEC(30))
{
    ouro_future *f = ouro_procpool_submit(pool, nap_until_interrupted, NULL, 0);
    pid_t pid = await_running();
    while (state_of(pid) != 'S') /* it says that it runs just before it sleeps */
        usleep(1000);
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(f), 1);
    return 0;
}

static int64_t await_hang(void *arg)
{
    return await_job(arg, hang);
}

PoolTestWith(cancelling_the_task_that_waits_cancels_the_job, 1, .grace = OURO_MS(10))
{
    ouro_future *task = ouro_spawn(await_hang, pool);
    pid_t pid = await_running();
    check_eq(ouro_cancel(task), 1);
    check_eq(ouro_join(task), -OURO_ECHILDCANCELLED);
    check_eq(ouro_future_state(task), OURO_CANCELLED);
    check(is_dead(pid));
    ouro_unref(task);
    return 0;
}

PoolTestWith(with_endless_patience_a_job_is_never_killed, 1, .grace = OURO_FOREVER)
{
    ouro_future *f = ouro_procpool_submit(pool, hang, NULL, 0);
    pid_t pid = await_running();
    check_eq(ouro_cancel(f), 1);
    check_eq(ouro_await(ouro_sleep(OURO_MS(300))), 0);
    check_eq(ouro_future_state(f), OURO_PENDING);
    check(!is_dead(pid));
    kill(pid, SIGKILL);
    check_eq(ouro_join(f), -OURO_ECHILDCANCELLED);
    ouro_unref(f);
    return 0;
}

/* ---- Introspection --------------------------------------------------------------------------- */

static void check_printed(const char *want)
{
    char text[4096] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    check(ouro_tasks_print(out) > 0);
    fclose(out);
    if (!strstr(text, want))
        check_text(text, want);
}

PoolTestWith(the_tree_of_tasks_tells_where_a_job_is, 1, .grace = OURO_FOREVER)
{
    char busy[64];
    ouro_future *first = ouro_spawn(await_hang, pool);
    ouro_future *second = ouro_spawn(await_hang, pool);
    pid_t pid = await_running();
    snprintf(busy, sizeof busy, "process job, pid %d\n", (int)pid);
    check_printed(busy);
    check_printed("process job, queued\n");
    ouro_cancel(second);
    ouro_cancel(first);
    snprintf(busy, sizeof busy, "process job, pid %d, asked to stop", (int)pid);
    check_printed(busy);
    kill(pid, SIGKILL);
    check_eq(ouro_await(first), -OURO_ECHILDCANCELLED);
    check_eq(ouro_await(second), -OURO_ECHILDCANCELLED);
    return 0;
}

/* ---- Loops ----------------------------------------------------------------------------------- */

static int64_t use(void *pool)
{
    check_echo(pool, 1000);
    return 0;
}

static int64_t submit_and_leave(void *pool)
{
    for (int i = 0; i < 4; i++)
        ouro_detach(ouro_procpool_submit(pool, hang, NULL, 0));
    await_running();
    return 0;
}

static int two_loops_in_turn(void)
{
    ouro_procpool *pool;
    check_eq(ouro_procpool_new(2, NULL, &pool), 0);
    for (int i = 0; i < 3; i++) {
        begin_kernel();
        check_eq(run_main(use, pool), 0);
        end();
    }
    check_eq(ouro_procpool_free(pool), 0);
    return 0;
}

ProcessTest(a_pool_serves_one_loop_after_the_other, two_loops_in_turn)

    static int loop_shut_down(void)
{
    ouro_procpool *pool;
    begin_board();
    check_eq(ouro_procpool_new(2, &(ouro_procpool_options){.grace = OURO_SEC(30)}, &pool), 0);
    begin_kernel();
    ouro_loop *loop = ouro_loop_current();
    check_eq(run_main(submit_and_leave, pool), 0);
    check_eq(ouro_procpool_free(pool), -EBUSY);
    check_eq(ouro_loop_shutdown(loop, 0), 0);
    check_eq(stats().live_futures, 0);
    check_eq(ouro_loop_close(loop), 0);
    begin_kernel();
    check_eq(run_main(use, pool), 0);
    check_eq(run_main(use, pool), 0);
    end();
    check_eq(ouro_procpool_free(pool), 0);
    check_no_child();
    return 0;
}

ProcessTest(a_loop_can_be_shut_down_while_jobs_run_and_the_next_finds_new_workers, loop_shut_down)

    static atomic_int their_rc;

static int64_t try_to_submit(void *pool)
{
    return ouro_await(ouro_procpool_submit(pool, tell_pid, NULL, 0));
}

static void *other_thread(void *pool)
{
    atomic_store(&their_rc, (int)ouro_run(try_to_submit, pool, NULL));
    return NULL;
}

static int64_t have_another_loop_try(void *pool)
{
    pthread_t thread;
    ouro_future *f = ouro_procpool_submit(pool, take_a_nap, NULL, 0);
    check_eq(pthread_create(&thread, NULL, other_thread, pool), 0);
    check_eq(pthread_join(thread, NULL), 0);
    check_eq(their_rc, -EXDEV);
    check(ouro_await(f) > 0);
    check_eq(pthread_create(&thread, NULL, other_thread, pool), 0);
    check_eq(pthread_join(thread, NULL), 0);
    check(their_rc > 0);
    return 0;
}

PoolTest(two_loops_cannot_have_jobs_in_a_pool_at_once, 2)
{
    return have_another_loop_try(pool);
}

PoolTest(a_pool_with_jobs_is_not_freed, 1)
{
    ouro_future *f = ouro_procpool_submit(pool, take_a_nap, NULL, 0);
    check_eq(ouro_procpool_free(pool), -EBUSY);
    check(ouro_await(f) > 0);
    return 0;
}

/* ---- Bad input ------------------------------------------------------------------------------- */

static int bad_input(void)
{
    ouro_procpool *pool = NULL;
    check_eq(ouro_procpool_new(0, NULL, &pool), -EINVAL);
    check_eq(ouro_procpool_new(-1, NULL, &pool), -EINVAL);
    check_eq(ouro_procpool_new(1025, NULL, &pool), -EINVAL);
    check_eq(ouro_procpool_new(1, NULL, NULL), -EINVAL);
    check(pool == NULL);
    check_eq(ouro_procpool_free(NULL), 0);
    check_eq(ouro_procpool_replaced(NULL), -EINVAL);
    ouro_bytes_free(NULL);
    check_no_child();
    return 0;
}

ProcessTest(a_pool_of_no_or_too_many_workers_is_refused, bad_input)

    PoolTest(a_job_that_cannot_be_is_refused, 1)
{
    check_eq(ouro_await(ouro_procpool_submit(NULL, tell_pid, NULL, 0)), -EINVAL);
    check_eq(ouro_await(ouro_procpool_submit(pool, NULL, NULL, 0)), -EINVAL);
    check_eq(ouro_await(ouro_procpool_submit(pool, tell_pid, NULL, 1)), -EINVAL);
    return 0;
}

static int without_a_loop(void)
{
    ouro_procpool *pool;
    check_eq(ouro_procpool_new(1, NULL, &pool), 0);
    check_eq(ouro_future_result(ouro_procpool_submit(pool, tell_pid, NULL, 0)).n, -EPERM);
    check_eq(ouro_procpool_free(pool), 0);
    return 0;
}

ProcessTest(a_job_needs_a_loop, without_a_loop)

    /* ---- No memory --------------------------------------------------------------------------- */

    /* Each outcome is the right one or -ENOMEM. How many were that. */
    static int some_jobs(ouro_procpool *pool)
{
    int told = 0;
    int64_t n[3];
    ouro_bytes *bytes = ouro_await_ptr(ouro_procpool_submit(pool, echo, "abc", 3), &n[0]);
    ouro_bytes_free(bytes);
    n[1] = await_job(pool, fail_after_writing);
    ouro_future *f = ouro_procpool_submit(pool, hang, NULL, 0);
    ouro_cancel(f);
    n[2] = ouro_await(f);
    int64_t right[3] = {(int64_t)checksum((const unsigned char *)"abc", 3), -ENOENT,
                        -OURO_ECHILDCANCELLED};
    for (int i = 0; i < 3; i++) {
        check(n[i] == right[i] || n[i] == -ENOMEM);
        told += n[i] == -ENOMEM;
    }
    return told;
}

/* Futures, operations, the result, deadlines: wherever memory is missing, a job fails, or is killed
 * at once. */
PoolTestWith(without_memory_jobs_fail_and_the_pool_goes_on, 1, .grace = OURO_MS(1))
{
    int told = 0;
    memory.asked = 0;
    for (int64_t n = 1; memory.asked < n; n++) {
        memory.asked = 0;
        memory.fail_at = n;
        told += some_jobs(pool);
        memory.fail_at = 0;
        if (memory.asked < n)
            break;
        check_echo(pool, 10);
        memory.asked = 0;
    }
    check(told >= 8);
    return 0;
}

PoolTestWith(without_memory_for_a_deadline_there_is_no_patience, 1, .grace = OURO_SEC(1000))
{
    ouro_future *f = ouro_procpool_submit(pool, hang, NULL, 0);
    while (!board->pid)
        ouro_yield();
    memory.fail_at = memory.asked + 1;
    check_eq(ouro_cancel(f), 1);
    check_eq(memory.asked, memory.fail_at);
    check_eq(ouro_await(f), -OURO_ECHILDCANCELLED);
    return 0;
}
