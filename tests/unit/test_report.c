/* SPDX-License-Identifier: MIT */
/*
 * Reports: each once, to the handler in force, with the name of what it is about.
 */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

TestSuite(report, .timeout = 30);

static int64_t fail_with_eio(void *arg)
{
    (void)arg;
    return -EIO;
}

Test(report, an_unread_error_of_a_task_names_the_task)
{
    begin_fake();
    ouro_detach(ouro_spawn_with(fail_with_eio, NULL, &(ouro_spawn_options){.name = "doomed"}));
    turns(4);
    const struct kept_report *r = first_report(OURO_REPORT_UNREAD_ERROR);
    check(r != NULL);
    check_eq(r->error, -EIO);
    check_text(r->name, "doomed");
    check_text(r->what, "task");
    check(r->message[0] != '\0');
    check(strchr(r->message, '\n') == NULL);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    end();
}

Test(report, in_debug_mode_it_knows_where_the_thing_was_made)
{
    begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    ouro_detach(ouro_spawn(fail_with_eio, NULL));
    turns(4);
    const struct kept_report *r = first_report(OURO_REPORT_UNREAD_ERROR);
    check(r != NULL);
    check(r->frame_count > 0);
    check_eq(take_reports(OURO_REPORT_UNREAD_ERROR), 1);
    end();
}

Test(report, a_future_that_outlives_its_loop_is_a_leak_in_debug_mode)
{
    begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    ouro_future *f = ouro_ready(1);
    ouro_call *call = NULL;
    turns(2);
    check_eq(ouro_call_soon(free, NULL, NULL, &call), 0);
    turns(2);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    check_eq(take_reports(OURO_REPORT_LEAK), 2);
    ouro_unref(f);
    ouro_call_unref(call);
    end_closed();
}

Test(report, without_debug_mode_a_leak_is_silent)
{
    begin_fake_with(64, &(ouro_loop_options){.debug = -1});
    ouro_future *f = ouro_ready(1);
    check_eq(ouro_loop_close(ouro_loop_current()), 0);
    ouro_unref(f);
    end_closed();
}

static void *unref_it(void *arg)
{
    ouro_unref(arg);
    return NULL;
}

static void *unref_it_with_a_loop(void *arg)
{
    ouro_loop *loop = NULL;
    if (ouro_loop_new(NULL, &loop) < 0)
        return NULL;
    ouro_unref(arg);
    ouro_loop_close(loop);
    return NULL;
}

/* Reported or not, the reference is still there afterwards. */
static void release_elsewhere(void *(*fn)(void *))
{
    pthread_t thread;
    ouro_future *f = ouro_ready(8);
    check_eq(pthread_create(&thread, NULL, fn, f), 0);
    check_eq(pthread_join(thread, NULL), 0);
    turns(2);
    check_eq(ouro_future_result(f).n, 8);
    ouro_unref(f);
}

Test(report, a_release_on_a_wrong_thread_leaves_the_object_alone)
{
    begin_fake();
    release_elsewhere(unref_it);
    take_reports(OURO_REPORT_WRONG_THREAD);
    end();
}

static int wrong_thread_reports(void)
{
    /* The other thread's loop has the handler it started with: the report is a line on stderr. */
    ouro_loop *loop;
    pthread_t thread;
    child_check(ouro_loop_new(NULL, &loop) == 0);
    ouro_future *f = ouro_ready(8);
    child_check(pthread_create(&thread, NULL, unref_it_with_a_loop, f) == 0);
    child_check(pthread_join(thread, NULL) == 0);
    child_check(ouro_future_result(f).n == 8);
    ouro_unref(f);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

Test(report, a_release_on_a_wrong_thread_that_has_a_loop_is_reported_there)
{
    char text[4096];
    check_child(wrong_thread_reports, text, sizeof text);
    check(strncmp(text, "ouro: ", 6) == 0);
}

static void hold_the_loop(void *arg)
{
    fake_advance(arg, OURO_MS(250));
}

Test(report, a_callback_that_holds_the_loop_is_reported_in_debug_mode)
{
    struct fake *fake = begin_fake_with(64, &(ouro_loop_options){.debug = 1});
    check_eq(ouro_call_soon(hold_the_loop, fake, NULL, NULL), 0);
    turns(2);
    const struct kept_report *r = first_report(OURO_REPORT_SLOW_STEP);
    check(r != NULL);
    check_eq(r->duration, OURO_MS(250));
    check_eq(take_reports(OURO_REPORT_SLOW_STEP), 1);
    end();
}

Test(report, without_debug_mode_nobody_watches_the_clock)
{
    struct fake *fake = begin_fake_with(64, &(ouro_loop_options){.debug = -1});
    check_eq(ouro_call_soon(hold_the_loop, fake, NULL, NULL), 0);
    turns(2);
    end();
}

/* ---- Handlers -------------------------------------------------------------------------------- */

static int handled[2];

static void handle(const ouro_report *report, void *arg)
{
    (void)report;
    ++*(int *)arg;
}

static void make_report(void)
{
    ouro_unref(ouro_ready(-EIO));
    turns(2);
}

static int lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static int report_without_handler(void)
{
    ouro_loop *loop;
    child_check(ouro_loop_new(&(ouro_loop_options){.debug = -1}, &loop) == 0);
    ouro_unref(ouro_ready(-ENOENT));
    ouro_loop_step(loop, 0);
    ouro_loop_step(loop, 0);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

Test(report, the_handler_a_loop_starts_with_prints_one_line)
{
    char text[1024];
    check_child(report_without_handler, text, sizeof text);
    check_eq(lines(text), 1);
    check(strstr(text, "ENOENT") || strstr(text, ouro_strerror(-ENOENT)));
}

static int report_after_reset(void)
{
    ouro_loop *loop;
    int count = 0;
    child_check(ouro_loop_new(&(ouro_loop_options){.debug = -1}, &loop) == 0);
    child_check(ouro_report_set_handler(handle, &count) == 0);
    child_check(ouro_report_set_handler(NULL, NULL) == 0);
    ouro_unref(ouro_ready(-EIO));
    ouro_loop_step(loop, 0);
    ouro_loop_step(loop, 0);
    child_check(count == 0);
    child_check(ouro_loop_close(loop) == 0);
    return 0;
}

Test(report, a_null_handler_brings_the_first_one_back)
{
    char text[1024];
    check_child(report_after_reset, text, sizeof text);
    check_eq(lines(text), 1);
}

Test(report, the_handler_set_last_gets_them)
{
    begin_fake();
    check_eq(ouro_report_set_handler(handle, &handled[0]), 0);
    make_report();
    check_eq(ouro_report_set_handler(handle, &handled[1]), 0);
    make_report();
    make_report();
    check_eq(handled[0], 1);
    check_eq(handled[1], 2);
    end();
}

Test(report, without_a_loop_there_is_no_handler_to_set)
{
    check_eq(ouro_report_set_handler(handle, &handled[0]), -EPERM);
}

/* ---- Error text ------------------------------------------------------------------------------ */

Test(report, every_code_has_a_text)
{
    check_text(ouro_strerror(0), "success");
    check_text(ouro_strerror(17), "success");
    check(strstr(ouro_strerror(-ENOENT), strerror(ENOENT)) != NULL ||
          strlen(ouro_strerror(-ENOENT)) > 0);
    check(strlen(ouro_strerror(-OURO_ECHILDCANCELLED)) > 0);
    check(strcmp(ouro_strerror(-OURO_ECHILDCANCELLED), ouro_strerror(-ECANCELED)) != 0);
    int64_t strange[] = {-999999, INT64_MIN, -4095, -5999, INT64_MAX};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        check(ouro_strerror(strange[i]) != NULL);
}

Test(report, explain_counts_like_snprintf_and_terminates)
{
    char buf[512], small[8];
    int codes[] = {-EPERM, -ENOSYS, -ENOMEM, -EOPNOTSUPP, -EBUSY, -EINVAL, -12345};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        size_t n = ouro_explain(codes[i], buf, sizeof buf);
        check(n > 0);
        check_eq(strlen(buf), n < sizeof buf ? n : sizeof buf - 1);
        check_eq(ouro_explain(codes[i], small, sizeof small), n);
        check_eq(strlen(small), sizeof small - 1);
        check_eq(ouro_explain(codes[i], NULL, 0), n);
    }
}
