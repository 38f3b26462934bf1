/* SPDX-License-Identifier: MIT */
/*
 * The tree of tasks: each wait with its details, each task once, whatever the shape.
 *
 * On the fake driver, whose clock stands still, so that what is printed can be compared as it is.
 */
#define _GNU_SOURCE
#include "inspect_test.h"

#include <errno.h>
#include <string.h>

#include <linux/io_uring.h>

#include "loop_int.h"
#include "waiter.h"

TestSuite(inspect, .timeout = 30);

static int64_t join(void *arg)
{
    ouro_join(arg);
    return 0;
}

static int64_t nap(void *arg)
{
    return ouro_await(ouro_sleep(*(ouro_ns *)arg));
}

static ouro_ns second = OURO_SEC(1);

static void cancel_and_end(ouro_future *task)
{
    ouro_cancel(task);
    ouro_unref(task);
    end();
}

/* ---- Each wait ------------------------------------------------------------------------------- */

Test(inspect, a_loop_without_tasks_has_none_to_print)
{
    begin_fake();
    check_text(tree(0), "0 tasks\n");
    end();
}

Test(inspect, a_task_has_not_started_then_waits_then_is_ready)
{
    struct fake *fake = begin_fake();
    ouro_future *task = spawn(nap, &second, "napper");
    check_text(tree(1), "1 task\nnapper: not started\n");
    turn();
    check_text(tree(1), "1 task\nnapper: waits for sleep, due in 1000 ms\n");
    fake_advance(fake, OURO_SEC(1));
    turn();
    check_text(tree(1), "1 task\nnapper: ready\n");
    turn();
    check_text(tree(0), "0 tasks\n");
    ouro_unref(task);
    end();
}

static int64_t print(void *arg)
{
    *(const char **)arg = tree(1);
    return 0;
}

Test(inspect, a_task_that_prints_is_running)
{
    begin_fake();
    const char *text = NULL;
    check_eq(ouro_loop_run_until(ouro_loop_current(), spawn(print, &text, "printer")), 0);
    check_text(text, "1 task\nprinter: running\n");
    end();
}

static int64_t print_two(void *arg)
{
    *(const char **)arg = tree(2);
    return 0;
}

static int64_t start_a_printer(void *arg)
{
    ouro_spawn_options eager = {.name = "printer", .eager = 1};
    return ouro_await(ouro_spawn_with(print_two, arg, &eager));
}

Test(inspect, a_task_that_started_another_eagerly_is_below_it_on_the_stack)
{
    begin_fake();
    const char *text = NULL;
    check_eq(run_main(start_a_printer, &text), 0);
    check_text(text, "2 tasks\n"
                     "task: running, and has started another\n"
                     "printer: running\n");
    end();
}

static const struct {
    ouro_ns delay;
    const char *text;
} naps[] = {
    {OURO_US(250), "1 task\nnapper: waits for sleep, due in 250 us\n"},
    {OURO_MS(9999), "1 task\nnapper: waits for sleep, due in 9999 ms\n"},
    {OURO_SEC(90), "1 task\nnapper: waits for sleep, due in 90 s\n"},
    {OURO_FOREVER, "1 task\nnapper: waits for sleep, for ever\n"},
};

Test(inspect, a_sleep_tells_how_long_it_will_last)
{
    for (size_t i = 0; i < sizeof naps / sizeof *naps; i++) {
        begin_fake();
        ouro_ns delay = naps[i].delay;
        ouro_future *task = spawn(nap, &delay, "napper");
        turn();
        check_text(tree(1), naps[i].text);
        cancel_and_end(task);
    }
}

static ouro_future *operation(uint8_t opcode, int fd)
{
    return ouro_uring_op(&(struct io_uring_sqe){.opcode = opcode, .fd = fd}, NULL);
}

Test(inspect, an_operation_has_its_name_and_descriptor)
{
    struct fake *fake = begin_fake();
    fake->on_cancel = FAKE_CANCEL_BUSY;
    ouro_future *task = spawn(await, operation(IORING_OP_RECV, 7), "reader");
    ouro__loop_run_ready(ouro_loop_current());
    check_text(tree(1), "1 task\nreader: waits for operation recv, fd 7, not submitted yet\n");
    turn();
    check_text(tree(1), "1 task\nreader: waits for operation recv, fd 7\n");
    ouro_cancel(task);
    turn();
    check_text(tree(1), "1 task\nreader: waits for operation recv, fd 7, cancelled: cancelled\n");
    fake_finish(fake, IORING_OP_RECV, 1, 0);
    ouro_unref(task);
    end();
}

Test(inspect, an_operation_without_a_descriptor_has_none)
{
    struct fake *fake = begin_fake();
    ouro_future *task = spawn(await, operation(IORING_OP_SOCKET, 2), "opener");
    turn();
    check_text(tree(1), "1 task\nopener: waits for operation socket\n");
    fake_finish(fake, IORING_OP_SOCKET, -EMFILE, 0);
    turn();
    ouro_unref(task);
    take_reports(OURO_REPORT_UNREAD_ERROR);
    turn();
    take_reports(OURO_REPORT_UNREAD_ERROR);
    end();
}

Test(inspect, a_promise_is_called_that)
{
    begin_fake();
    ouro_promise *p;
    ouro_future *f;
    check_eq(ouro_promise_new(&p, &f), 0);
    ouro_future *task = spawn(await, f, "hopeful");
    turn();
    check_text(tree(1), "1 task\nhopeful: waits for promise\n");
    check_eq(ouro_promise_resolve(p, (ouro_result){0, NULL}, NULL), 0);
    ouro_promise_free(p);
    ouro_unref(task);
    end();
}

static ouro_future *pass(ouro_future *f, void *arg)
{
    (void)f;
    return arg;
}

Test(inspect, combinations_of_one_are_told_in_one_line)
{
    struct fake *fake = begin_fake();
    ouro_future *f = ouro_then(ouro_sleep(OURO_SEC(2)), pass, NULL);
    ouro_future *task = spawn(await, ouro_timeout(f, OURO_SEC(3)), "patient");
    turn();
    check_text(tree(1),
               "1 task\n"
               "patient: waits for timeout, due in 3000 ms: then: sleep, due in 2000 ms\n");
    fake_advance(fake, OURO_SEC(2));
    ouro_unref(task);
    end();
}

Test(inspect, a_timeout_that_has_passed_waits_for_the_end_of_what_it_cancelled)
{
    struct fake *fake = begin_fake();
    fake->on_cancel = FAKE_CANCEL_BUSY;
    ouro_future *f = ouro_timeout(operation(IORING_OP_FSYNC, 5), OURO_SEC(1));
    ouro_future *task = spawn(await, f, "writer");
    turn();
    fake_advance(fake, OURO_SEC(1));
    turns(2);
    check_text(tree(1), "1 task\n"
                        "writer: waits for timeout, which has passed: operation fsync, fd 5\n");
    fake_finish(fake, IORING_OP_FSYNC, 0, 0);
    turns(3);
    ouro_unref(task);
    end();
}

/* ---- Lines ----------------------------------------------------------------------------------- */

struct lock {
    struct ouro__line line;
    const char *holder;
};

static void describe_lock(const struct ouro__waiter *w, char *text, size_t size)
{
    snprintf(text, size, "held by '%s'", ((const struct lock *)w->of)->holder);
}

static const struct ouro__wait_kind lock_kind = {.name = "lock", .describe = describe_lock};
static const struct ouro__wait_kind plain_kind = {.name = "flag"};

static int64_t stand_in_line(void *arg)
{
    struct lock *lock = arg;
    struct ouro__task *task;
    struct ouro__waiter w = {.kind = lock->holder ? &lock_kind : &plain_kind, .of = lock};
    int rc = ouro__wait_begin(&task);
    return rc < 0 ? rc : ouro__wait_in_line(task, &lock->line, &w);
}

Test(inspect, who_stands_in_line_says_for_what_and_who_has_it)
{
    begin_fake();
    struct lock lock = {.holder = "b"};
    struct lock flag = {0};
    ouro_future *a = spawn(stand_in_line, &lock, "a");
    ouro_future *b = spawn(stand_in_line, &flag, "b");
    turn();
    check_text(tree(2), "2 tasks\n"
                        "a: waits for lock, held by 'b'\n"
                        "b: waits for flag\n");
    ouro__serve_all(&lock.line, 0);
    ouro__serve_all(&flag.line, 0);
    check_text(tree(2), "2 tasks\na: ready\nb: ready\n");
    ouro_unref(a);
    ouro_unref(b);
    end();
}

Test(inspect, tasks_that_hold_what_the_other_waits_for_are_both_shown)
{
    begin_fake();
    struct lock left = {.holder = "b"}, right = {.holder = "a"};
    ouro_future *a = spawn(stand_in_line, &left, "a");
    ouro_future *b = spawn(stand_in_line, &right, "b");
    turn();
    check_text(tree(2), "2 tasks\n"
                        "a: waits for lock, held by 'b'\n"
                        "b: waits for lock, held by 'a'\n");
    ouro_cancel(b);
    ouro_unref(b);
    cancel_and_end(a);
}

Test(inspect, a_future_that_stands_in_line_says_the_same)
{
    begin_fake();
    struct lock lock = {.holder = "x"};
    struct ouro__waiter w = {.kind = &lock_kind, .of = &lock};
    ouro_future *f = ouro__wait_future(ouro_loop_current(), &lock.line, &w, NULL);
    ouro_future *task = spawn(await, ouro_timeout(f, OURO_SEC(1)), "a");
    turn();
    check_text(tree(1), "1 task\na: waits for timeout, due in 1000 ms: lock, held by 'x'\n");
    cancel_and_end(task);
}

/* What a task stood in line with is on its stack: it must not be taken for a future it awaits. */
Test(inspect, a_task_that_was_served_and_then_cancelled_has_what_it_was_served)
{
    begin_fake();
    struct lock lock = {0};
    ouro_future *task = spawn(stand_in_line, &lock, "a");
    turn();
    ouro__serve_all(&lock.line, 5);
    check_eq(ouro_cancel(task), 1);
    turn();
    check_eq(ouro_future_result(task).n, 5);
    ouro_unref(task);
    end();
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

static int64_t gather_two(void *arg)
{
    (void)arg;
    static ouro_ns delays[2] = {OURO_SEC(1), OURO_SEC(2)};
    ouro_future *fs[] = {spawn(nap, &delays[0], "first"), spawn(nap, &delays[1], "second"),
                         ouro_sleep(OURO_SEC(3)), ouro_ready(1)};
    return ouro_await(ouro_gather(fs, 4, OURO_GATHER_ALL, NULL));
}

Test(inspect, a_gather_has_below_it_what_it_still_waits_for)
{
    struct fake *fake = begin_fake();
    ouro_future *task = spawn(gather_two, NULL, "main");
    turns(3);
    check_text(tree(3), "3 tasks\n"
                        "main: waits for gather, 1 of 4 done\n"
                        "    first: waits for sleep, due in 1000 ms\n"
                        "    second: waits for sleep, due in 2000 ms\n"
                        "    sleep, due in 3000 ms\n");
    fake_advance(fake, OURO_SEC(2));
    turns(3);
    check_text(tree(1), "1 task\nmain: waits for gather, 3 of 4 done: sleep, due in 1000 ms\n");
    cancel_and_end(task);
}

Test(inspect, a_task_is_printed_below_the_one_that_awaits_it)
{
    begin_fake();
    ouro_future *inner = spawn(nap, &second, "inner");
    ouro_future *middle = spawn(await, ouro_timeout(inner, OURO_SEC(5)), "middle");
    ouro_future *outer = spawn(await, middle, "outer");
    turn();
    check_text(tree(3), "3 tasks\n"
                        "outer: waits for task 'middle'\n"
                        "    middle: waits for timeout, due in 5000 ms: task 'inner'\n"
                        "        inner: waits for sleep, due in 1000 ms\n");
    cancel_and_end(outer);
}

Test(inspect, a_task_that_several_wait_for_is_printed_once)
{
    begin_fake();
    ouro_future *shared = spawn(nap, &second, "shared");
    ouro_future *a = spawn(join, shared, "a");
    ouro_future *b = spawn(join, shared, "b");
    turn();
    check_text(tree(3), "3 tasks\n"
                        "a: joins task 'shared'\n"
                        "    shared: waits for sleep, due in 1000 ms, awaited by 'b'\n"
                        "b: joins task 'shared'\n"
                        "    task 'shared', see above\n");
    ouro_unref(a);
    ouro_unref(b);
    cancel_and_end(shared);
}

Test(inspect, of_many_that_wait_some_are_named)
{
    begin_fake();
    ouro_future *shared = spawn(nap, &second, "shared");
    ouro_future *f[6];
    for (int i = 0; i < 6; i++)
        f[i] = spawn(join, shared, "j");
    turn();
    check(strstr(tree(7), "due in 1000 ms, awaited by 'j', 'j', 'j', ...\n") != NULL);
    for (int i = 0; i < 6; i++)
        ouro_unref(f[i]);
    cancel_and_end(shared);
}

Test(inspect, a_gather_that_several_wait_for_is_told_in_full_once)
{
    begin_fake();
    ouro_future *fs[] = {ouro_sleep(OURO_SEC(1)), ouro_sleep(OURO_SEC(2))};
    ouro_future *g = ouro_gather(fs, 2, OURO_GATHER_ALL, NULL);
    ouro_future *a = spawn(join, g, "a");
    ouro_future *b = spawn(join, g, "b");
    turn();
    check_text(tree(2), "2 tasks\n"
                        "a: joins gather, 0 of 2 done\n"
                        "    sleep, due in 1000 ms\n"
                        "    sleep, due in 2000 ms\n"
                        "b: joins gather, 0 of 2 done, see above\n");
    ouro_unref(a);
    ouro_unref(b);
    cancel_and_end(g);
}

Test(inspect, a_combination_that_no_task_waits_for_is_a_root)
{
    begin_fake();
    ouro_future *fs[] = {spawn(nap, &second, "a"), spawn(nap, &second, "b")};
    ouro_future *g = ouro_gather(fs, 2, OURO_GATHER_ALL, NULL);
    turn();
    check_text(tree(2), "2 tasks\n"
                        "gather, 0 of 2 done\n"
                        "    a: waits for sleep, due in 1000 ms\n"
                        "    b: waits for sleep, due in 1000 ms\n");
    cancel_and_end(g);
}

static int64_t join_at(void *arg)
{
    ouro_join(*(ouro_future **)arg);
    return 0;
}

Test(inspect, a_ring_of_waits_is_printed_from_its_oldest_task)
{
    begin_fake_with(64, &(ouro_loop_options){.debug = -1});
    ouro_future *a, *b;
    a = spawn(join_at, &b, "a");
    b = spawn(join_at, &a, "b");
    turn();
    check_text(tree(2), "2 tasks\n"
                        "a: joins task 'b', awaited by 'b'\n"
                        "    b: joins task 'a'\n"
                        "        task 'a', see above\n");
    ouro_cancel(a);
    ouro_unref(b);
    turns(3);
    ouro_unref(a);
    end();
}

static int lines_of(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Each awaits the one made before. */
static ouro_future *tower(int height)
{
    ouro_future *f = ouro_sleep(OURO_SEC(1));
    while (height-- > 0)
        f = spawn(await, f, "floor");
    return f;
}

Test(inspect, what_is_too_deep_goes_on_at_the_margin)
{
    begin_fake();
    ouro_future *top = tower(100);
    turn();
    const char *text = tree(100);
    check_eq(lines_of(text), 1 + 100 + 3);
    const char *rest = strstr(text,
                              "    ... goes on below\nfloor: waits for task 'floor', awaited by "
                              "'floor'\n    floor: ");
    check(rest != NULL);
    check(strstr(text, "floor: waits for sleep, due in 1000 ms") != NULL);
    check(strstr(text, "see above") == NULL);
    cancel_and_end(top);
}

Test(inspect, a_long_chain_ends_in_dots_and_its_tasks_are_not_lost)
{
    begin_fake();
    ouro_future *f = spawn(nap, &second, "deep");
    for (int i = 0; i < 20; i++)
        f = ouro_then(f, pass, NULL);
    ouro_future *task = spawn(await, f, "a");
    turn();
    check_text(tree(2), "2 tasks\n"
                        "a: waits for then: then: then: then: then: then: then: then: ...\n"
                        "deep: waits for sleep, due in 1000 ms\n");
    cancel_and_end(task);
}

/* Were every path printed, these would be 2^30 lines. */
Test(inspect, a_future_that_is_twice_in_each_of_many_gathers_is_not_told_for_each_path)
{
    begin_fake();
    ouro_future *f = ouro_sleep(OURO_SEC(1));
    for (int i = 0; i < 30; i++) {
        ouro_future *fs[] = {f, f};
        f = ouro_gather(fs, 2, OURO_GATHER_ALL, NULL);
    }
    ouro_future *task = spawn(await, f, "a");
    turn();
    check(lines_of(tree(1)) < 70);
    cancel_and_end(task);
}

Test(inspect, a_select_has_below_it_what_may_win)
{
    begin_fake();
    ouro_future *fs[] = {ouro_sleep(OURO_SEC(1)), spawn(nap, &second, "b")};
    ouro_future *task = spawn(await, ouro_select(fs, 2, NULL), "a");
    turn();
    check_text(tree(2), "2 tasks\n"
                        "a: waits for select\n"
                        "    sleep, due in 1000 ms\n"
                        "    b: waits for sleep, due in 1000 ms\n");
    cancel_and_end(task);
}

Test(inspect, a_wait_has_below_it_what_it_looks_at)
{
    begin_fake();
    ouro_future *fs[] = {ouro_ready(0), spawn(nap, &second, "b"), spawn(nap, &second, "c")};
    ouro_future *task = spawn(await, ouro_wait(fs, 3, OURO_WAIT_ALL, OURO_FOREVER), "a");
    turn();
    check_text(tree(3), "3 tasks\n"
                        "a: waits for wait for all, 1 of 3 done\n"
                        "    b: waits for sleep, due in 1000 ms\n"
                        "    c: waits for sleep, due in 1000 ms\n");
    for (int i = 0; i < 3; i++) {
        ouro_cancel(fs[i]);
        ouro_unref(fs[i]);
    }
    cancel_and_end(task);
}

/* ---- Groups ---------------------------------------------------------------------------------- */

static int64_t be_in_groups(void *arg)
{
    ouro_group workers, others;
    int64_t rc = ouro_group_enter(&workers, &(ouro_group_options){.name = "workers"});
    check_eq(rc, 0);
    ouro_spawn_options named = {.name = "worker"};
    check_eq(ouro_group_spawn_with(&workers, nap, arg, &named, NULL), 0);
    check_eq(ouro_group_enter(&others, NULL), 0);
    named.name = "other";
    check_eq(ouro_group_spawn_with(&others, nap, arg, &named, NULL), 0);
    check_eq(ouro_group_spawn_with(&others, nap, arg, &named, NULL), 0);
    rc = ouro_group_exit(&others, ouro_await(ouro_sleep(OURO_MS(500))));
    return ouro_group_exit(&workers, rc);
}

Test(inspect, a_task_has_below_it_the_children_of_its_groups)
{
    struct fake *fake = begin_fake();
    ouro_future *task = spawn(be_in_groups, &second, "main");
    turns(2);
    check_text(
        tree(4),
        "4 tasks\n"
        "main: waits for sleep, due in 500 ms, in group, 2 alive, in group, workers, 1 alive\n"
        "    other: waits for sleep, due in 1000 ms\n"
        "    other: waits for sleep, due in 1000 ms\n"
        "    worker: waits for sleep, due in 1000 ms\n");
    fake_advance(fake, OURO_MS(500));
    turns(2);
    check_text(tree(4), "4 tasks\n"
                        "main: waits for group, 2 alive, in group, workers, 1 alive\n"
                        "    other: waits for sleep, due in 500 ms\n"
                        "    other: waits for sleep, due in 500 ms\n"
                        "    worker: waits for sleep, due in 500 ms\n");
    ouro_cancel(task);
    check(strstr(tree(4), "    worker: ready, cancelled: cancelled\n") != NULL);
    turns(5);
    check_text(tree(0), "0 tasks\n");
    ouro_unref(task);
    end();
}

Test(inspect, in_debug_mode_a_child_of_a_group_has_its_place_too)
{
    begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    ouro_future *task = spawn(be_in_groups, &second, "main");
    turns(2);
    const char *child = strstr(tree(4), "    worker: ");
    check(child && strstr(child, ", spawned at ") != NULL);
    cancel_and_end(task);
}

/* ---- Cancelled ------------------------------------------------------------------------------- */

static int64_t nap_shielded(void *arg)
{
    ouro_scope scope;
    int64_t rc = ouro_scope_enter(&scope, &(ouro_scope_options){.shield = 1});
    return rc < 0 ? rc : ouro_scope_exit(&scope, nap(arg));
}

static int64_t nap_in_cancelled_scope(void *arg)
{
    ouro_scope scope;
    int64_t rc = ouro_scope_enter(&scope, NULL);
    check_eq(rc, 0);
    ouro_scope_cancel(&scope, "too late");
    *(const char **)arg = tree(1);
    return ouro_scope_exit(&scope, 0);
}

Test(inspect, a_cancelled_task_says_so_and_why)
{
    begin_fake();
    const char *text = NULL;
    check_eq(ouro_loop_run_until(ouro_loop_current(), spawn(nap_in_cancelled_scope, &text, "a")),
             0);
    check_text(text, "1 task\na: running, cancelled: too late\n");
    end();
}

Test(inspect, a_shield_holds_a_cancel_back)
{
    struct fake *fake = begin_fake();
    ouro_future *task = spawn(nap_shielded, &second, "a");
    turn();
    ouro_cancel(task);
    check_text(tree(1), "1 task\na: waits for sleep, due in 1000 ms, cancelled, but shielded\n");
    fake_advance(fake, OURO_SEC(1));
    ouro_unref(task);
    end();
}

/* ---- Debug mode ------------------------------------------------------------------------------ */

ouro_future *spawn_in_the_open(void);

/* Not static, so that the linker knows its name. */
__attribute__((noinline)) ouro_future *spawn_in_the_open(void)
{
    ouro_future *f = ouro_spawn(nap, &second);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return f;
}

Test(inspect, in_debug_mode_a_task_has_an_age_and_a_place)
{
    struct fake *fake = begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    ouro_future *task = spawn_in_the_open();
    turn();
    fake_advance(fake, OURO_MS(700));
    const char *text = tree(1);
    const char *want = "1 task\ntask: waits for sleep, due in 300 ms, 700 ms old, "
                       "spawned in spawn_in_the_open+0x";
    check(strncmp(text, want, strlen(want)) == 0);
    cancel_and_end(task);
}

static __attribute__((noinline)) ouro_future *spawn_in_secret(void)
{
    ouro_future *f = ouro_spawn(nap, &second);
    __asm__ volatile("" ::: "memory");
    return f;
}

Test(inspect, a_place_that_has_no_name_is_a_module_and_an_offset)
{
    begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    ouro_future *task = spawn_in_secret();
    turn();
    const char *place = strstr(tree(1), ", spawned at ");
    check(place && strstr(place, "(+0x") != NULL);
    cancel_and_end(task);
}

/* ---- Where it is called ---------------------------------------------------------------------- */

static void print_in_callback(void *arg)
{
    *(const char **)arg = tree(0);
}

Test(inspect, callbacks_can_print_too)
{
    begin_fake();
    const char *text = NULL;
    check_eq(ouro_call_soon(print_in_callback, &text, NULL, NULL), 0);
    turn();
    check_text(text, "0 tasks\n");
    end();
}

static int64_t print_to_null(void *arg)
{
    (void)arg;
    FILE *out = fopen("/dev/null", "w");
    setvbuf(out, NULL, _IONBF, 0);
    int64_t n = ouro_tasks_print(out);
    fclose(out);
    return n;
}

Test(inspect, the_smallest_stack_has_room_for_it)
{
    begin_fake();
    ouro_future *top = tower(100);
    ouro_spawn_options small = {.stack_size = 16 << 10};
    ouro_future *task = ouro_spawn_with(print_to_null, NULL, &small);
    check_eq(ouro_loop_run_until(ouro_loop_current(), task), 101);
    cancel_and_end(top);
}

Test(inspect, a_stream_that_cannot_be_written_is_eio)
{
    begin_fake();
    FILE *full = fopen("/dev/full", "w");
    check_eq(ouro_tasks_print(full), -EIO);
    fclose(full);
    end();
}

Test(inspect, without_a_stream_or_a_loop_there_is_nothing_to_print)
{
    check_eq(ouro_tasks_print(stderr), -EPERM);
    begin_fake();
    check_eq(ouro_tasks_print(NULL), -EINVAL);
    end();
}

Test(inspect, a_line_that_is_too_long_is_cut)
{
    begin_fake();
    char name[2000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    ouro_future *task = spawn(nap, &second, name);
    const char *text = tree(1);
    check(strlen(text) < 600);
    check_text(text + strlen(text) - 6, "n ...\n");
    cancel_and_end(task);
}
