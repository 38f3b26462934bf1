/* SPDX-License-Identifier: MIT */
/*
 * The loop a test runs in, and the proof that nothing is left of it.
 *
 * One loop at a time, its facts in file-wide variables: every test is a process of its own. end()
 * lets pending work finish and then demands that each of the loop's own counts of living things is
 * zero, that it closes, that the process has the descriptors it had, and that no report went
 * untaken.
 *
 * How it fails: every check ends the test, with the values it saw. From a task's stack that leaves
 * the loop as it is; the process ends with the test.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop_int.h"

#define REPORTS_MAX 256

static struct fake *fake;
static unsigned fds_before;
static struct kept_report reports[REPORTS_MAX];
static bool taken[REPORTS_MAX];
static size_t report_count;
static bool is_child;

/* Criterion cannot be told from a child of the test's process: there it is the exit status that
 * tells. */
static void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!is_child)
        cr_assert_fail("%s", text);
    dprintf(STDERR_FILENO, "%s\n", text);
    _exit(1);
}

void harness_check(int holds, const char *file, int line, const char *condition)
{
    if (!holds)
        fail("%s:%d: not so: %s", file, line, condition);
}

void harness_check_eq(int64_t got, int64_t want, const char *file, int line, const char *got_text,
                      const char *want_text)
{
    if (got != want)
        fail("%s:%d: %s is %lld, not %s (%lld)", file, line, got_text, (long long)got, want_text,
             (long long)want);
}

void harness_check_text(const char *got, const char *want, const char *file, int line,
                        const char *got_text)
{
    bool same = got && want ? strcmp(got, want) == 0 : got == want;
    if (!same)
        fail("%s:%d: %s is \"%s\", not \"%s\"", file, line, got_text, got ? got : "(null)",
             want ? want : "(null)");
}

void harness_child_failed(const char *file, int line, const char *condition)
{
    dprintf(STDERR_FILENO, "%s:%d: in the child, not so: %s\n", file, line, condition);
}

/* Descriptors open in this process; the one used to look is among them each time. */
static unsigned count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;
    check(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* ---- Reports --------------------------------------------------------------------------------- */

static void copy_text(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from ? from : "");
}

static void keep_report(const ouro_report *r, void *arg)
{
    (void)arg;
    check(report_count < REPORTS_MAX);
    struct kept_report *kept = &reports[report_count];
    taken[report_count++] = false;
    kept->kind = r->kind;
    kept->error = r->error;
    kept->duration = r->duration;
    kept->frame_count = r->frame_count;
    copy_text(kept->what, sizeof kept->what, r->what);
    copy_text(kept->name, sizeof kept->name, r->name);
    copy_text(kept->message, sizeof kept->message, r->message);
}

unsigned take_reports(ouro_report_kind kind)
{
    unsigned n = 0;
    for (size_t i = 0; i < report_count; i++)
        if (!taken[i] && reports[i].kind == kind) {
            taken[i] = true;
            n++;
        }
    return n;
}

const struct kept_report *first_report(ouro_report_kind kind)
{
    for (size_t i = 0; i < report_count; i++)
        if (!taken[i] && reports[i].kind == kind)
            return &reports[i];
    return NULL;
}

/* How deep the stacks went is told at every close in debug mode; it is no fault. */
static void check_no_report(void)
{
    for (size_t i = 0; i < report_count; i++)
        if (!taken[i] && reports[i].kind != OURO_REPORT_STACK)
            fail("unexpected report %d about %s \"%s\": %s (%lld)", (int)reports[i].kind,
                 reports[i].what, reports[i].name, reports[i].message, (long long)reports[i].error);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void began(void)
{
    report_count = 0;
    check_eq(ouro_report_set_handler(keep_report, NULL), 0);
}

void begin_kernel_with(const ouro_loop_options *opts)
{
    ouro_loop *loop = NULL;
    fds_before = count_fds();
    int rc = ouro_loop_new(opts, &loop);
    if (rc < 0) {
        char why[256];
        ouro_explain(rc, why, sizeof why);
        fail("no loop: %s", why);
    }
    began();
}

void begin_kernel(void)
{
    begin_kernel_with(NULL);
}

struct fake *begin_fake_with(unsigned sq_size, const ouro_loop_options *opts)
{
    ouro_loop *loop = NULL;
    fds_before = count_fds();
    fake = fake_new(sq_size);
    check_eq(ouro__loop_new_on(&fake->driver, opts, &loop), 0);
    began();
    return fake;
}

struct fake *begin_fake(void)
{
    return begin_fake_with(256, NULL);
}

struct fake *the_fake(void)
{
    return fake;
}

ouro_loop_stats stats(void)
{
    ouro_loop_stats s;
    check_eq(ouro_loop_stats_get(ouro_loop_current(), &s), 0);
    return s;
}

void turn(void)
{
    check(ouro_loop_step(ouro_loop_current(), 0) >= 0);
}

void turns(unsigned n)
{
    while (n-- > 0)
        turn();
}

int64_t run_main(ouro_task_fn *body, void *arg)
{
    return ouro_loop_run_until(ouro_loop_current(), ouro_spawn(body, arg));
}

/* What ends by itself has a hundred turns for it: frees put off to the next turn, last
 * completions, of the background's operations as well. */
static void settle_down(void)
{
    int left = 1;
    for (int i = 0; i < 100 && (left == 1 || (left == 0 && stats().live_operations)); i++)
        left = ouro_loop_step(ouro_loop_current(), OURO_MS(10));
    check_eq(left, 0);
}

static void check_nothing_lives(void)
{
    ouro_loop_stats s = stats();
    check_eq(s.live_futures, 0);
    check_eq(s.live_tasks, 0);
    check_eq(s.live_operations, 0);
    check_eq(s.kernel_operations, 0);
    check_eq(s.live_timers, 0);
    check_eq(s.live_calls, 0);
    check_eq(s.live_stacks, 0);
    check_eq(s.live_fds, 0);
}

void end_closed(void)
{
    check(ouro_loop_current() == NULL);
    if (fake) {
        check(fake->is_closed);
        check(fake->is_freed);
        fake_destroy(fake);
        fake = NULL;
    }
    check_eq(count_fds(), fds_before);
    check_no_report();
}

void end(void)
{
    settle_down();
    check_nothing_lives();
    if (fake)
        check_eq(fake_pending_count(fake), 0);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    end_closed();
}

/* ---- Child processes ------------------------------------------------------------------------- */

static void read_all(int fd, char *text, size_t size)
{
    size_t n = 0;
    char spill[256];
    for (;;) {
        bool fits = n + 1 < size;
        ssize_t got = read(fd, fits ? text + n : spill, fits ? size - 1 - n : sizeof spill);
        if (got <= 0)
            break;
        n += fits ? (size_t)got : 0;
    }
    if (size)
        text[n] = '\0';
}

int in_child(int (*fn)(void), char *text, size_t size)
{
    int ends[2], status = 0;
    check_eq(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves no child behind */
        is_child = true;
        if (text)
            dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(fn());
    }
    close(ends[1]);
    read_all(ends[0], text, size);
    close(ends[0]);
    check_eq(waitpid(child, &status, 0), child);
    return status;
}

void check_child(int (*fn)(void), char *text, size_t size)
{
    int status = in_child(fn, text, size);
    if (status != 0)
        cr_assert_fail("the child ended with status %#x: %s", (unsigned)status, text ? text : "");
}

void live(void *arg)
{
    struct life *life = arg;
    check_eq(life->freed, 0);
    life->ran++;
}

void die(void *arg)
{
    struct life *life = arg;
    life->freed++;
}
