/* SPDX-License-Identifier: MIT */
#ifndef OURO_HARNESS_H
#define OURO_HARNESS_H

/*
 * What the tests share: a loop to run in, and the proof that nothing is left of it.
 *
 * A test begins a loop, on the fake driver or on the kernel, does its work, and ends it; the end
 * fails the test if anything still lives in the loop, if a descriptor is open that was not before,
 * or if there was a report that the test has not taken.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <criterion/criterion.h>

#include <ouro/ouro.h>

#include "fake_driver.h"

/* Checks say both values when they fail, and cost nothing while they hold: they are made a million
 * times in some loops, and on small stacks. */
#define check(condition) harness_check((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
#define check_eq(got, want) \
    harness_check_eq((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, #got, #want)
#define check_text(got, want) harness_check_text((got), (want), __FILE__, __LINE__, #got)

void harness_check(int holds, const char *file, int line, const char *condition);
void harness_check_eq(int64_t got, int64_t want, const char *file, int line, const char *got_text,
                      const char *want_text);
void harness_check_text(const char *got, const char *want, const char *file, int line,
                        const char *got_text);

/* Have a loop. begin_fake() gives the driver, which lives until end(). */
void begin_kernel(void);
void begin_kernel_with(const ouro_loop_options *opts);
struct fake *begin_fake(void);
struct fake *begin_fake_with(unsigned sq_size, const ouro_loop_options *opts);

/* Let what is left come to its end, then prove that nothing lives, and close. */
void end(void);

/* Only what end() does last: count descriptors, look for reports nobody took. For tests that close
 * the loop themselves. */
void end_closed(void);

/* Run @body as a task of the loop to its end. */
int64_t run_main(ouro_task_fn *body, void *arg);

/* One turn that does not wait; so many of them. */
void turn(void);
void turns(unsigned n);

ouro_loop_stats stats(void);

/* The driver of the loop, or NULL on the kernel. */
struct fake *the_fake(void);

/* A report as it was kept. */
struct kept_report {
    ouro_report_kind kind;
    int64_t error;
    ouro_ns duration;
    size_t frame_count;
    char what[32];
    char name[64];
    char message[256];
};

/* How many reports of a kind there were; they count as expected from now on. */
unsigned take_reports(ouro_report_kind kind);

/* The oldest report of a kind that was not taken, or NULL. */
const struct kept_report *first_report(ouro_report_kind kind);

/* What a callback and the destructor of its argument did: the argument is one of these. */
struct life {
    int ran;
    int freed;
};

/* The callback, which must come first, and the destructor. */
void live(void *arg);
void die(void *arg);

/* A child process that runs @fn and exits with what it returns, without anything Criterion would do
 * at its exit. Gives the status of waitpid(2). With @text, what it writes on standard error. A
 * check that fails there ends it with 1. */
int in_child(int (*fn)(void), char *text, size_t size);

/* The same for a child that must exit with 0; what it wrote is shown if it does not. */
void check_child(int (*fn)(void), char *text, size_t size);

/* For use in such a child, where Criterion cannot be told: returns 1 from the function. */
#define child_check(condition)                                    \
    do {                                                          \
        if (!(condition)) {                                       \
            harness_child_failed(__FILE__, __LINE__, #condition); \
            return 1;                                             \
        }                                                         \
    } while (0)
void harness_child_failed(const char *file, int line, const char *condition);

/* Whether the process runs under a sanitizer, which changes how a process dies. */
#if defined(__SANITIZE_ADDRESS__)
#    define HARNESS_ASAN 1
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer)
#        define HARNESS_ASAN 1
#    endif
#endif
#ifndef HARNESS_ASAN
#    define HARNESS_ASAN 0
#endif

/*
 * A test whose body is a task. It runs twice, in a loop on the fake driver and in one on the
 * kernel, so it may not count on the clock standing still; FakeTest is for those that do.
 */
#define TaskTest(suite, name)                        \
    static int64_t suite##_##name(void *unused);     \
    Test(suite, name)                                \
    {                                                \
        begin_fake();                                \
        check_eq(run_main(suite##_##name, NULL), 0); \
        end();                                       \
        begin_kernel();                              \
        check_eq(run_main(suite##_##name, NULL), 0); \
        end();                                       \
    }                                                \
    static int64_t suite##_##name(void *unused __attribute__((unused)))

#define FakeTest(suite, name)                        \
    static int64_t suite##_##name(void *unused);     \
    Test(suite, name)                                \
    {                                                \
        begin_fake();                                \
        check_eq(run_main(suite##_##name, NULL), 0); \
        end();                                       \
    }                                                \
    static int64_t suite##_##name(void *unused __attribute__((unused)))

/* For what only a kernel has: signals, processes. */
#define KernelTest(suite, name)                      \
    static int64_t suite##_##name(void *unused);     \
    Test(suite, name)                                \
    {                                                \
        begin_kernel();                              \
        check_eq(run_main(suite##_##name, NULL), 0); \
        end();                                       \
    }                                                \
    static int64_t suite##_##name(void *unused __attribute__((unused)))

#endif
