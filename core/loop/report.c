/* SPDX-License-Identifier: MIT */
/*
 * Reports: what went wrong and has no future to say so.
 *
 * A report is made on the spot and lives as long as the handler's call. The handler a loop starts
 * with writes to standard error, which is the one place where the library speaks on its own; a
 * program that wants it elsewhere, or nowhere, sets its own.
 */
#include "pool_int.h"

#include <execinfo.h>
#include <stdio.h>
#include <unistd.h>

size_t ouro__frames(void **frames, size_t max)
{
    int n = backtrace(frames, (int)max);
    return n < 0 ? 0 : (size_t)n;
}

void ouro__frames_prepare(void)
{
    void *frame;
    ouro__frames(&frame, 1);
}

struct ouro__origin *ouro__origin_new(ouro_ns now)
{
    struct ouro__origin *origin = ouro__alloc(sizeof(*origin));
    if (!origin)
        return NULL;
    origin->born = now;
    origin->place = NULL;
    origin->count = ouro__frames(origin->frames, OURO__FRAMES);
    return origin;
}

void ouro__origin_free(struct ouro__origin *origin)
{
    ouro__release(origin);
}

void ouro__report(ouro_loop *loop, const ouro_report *report)
{
    loop->report(report, loop->report_arg);
}

void ouro__report_future(ouro_future *f, ouro_report_kind kind, int64_t error, const char *message)
{
    const char *name = ouro_task_name(f);
    ouro_report report = {
        .kind = kind,
        .error = error,
        .what = f->kind->name,
        .name = name ? name : ouro__job_name(f),
        .message = message,
        .frames = f->origin ? f->origin->frames : NULL,
        .frame_count = f->origin ? f->origin->count : 0,
    };
    ouro__report(f->loop, &report);
}

void ouro__report_wrong_thread(const char *what)
{
    void *frames[OURO__FRAMES];
    ouro_report report = {
        .kind = OURO_REPORT_WRONG_THREAD,
        .what = what,
        .message = "is used by a thread that does not own it",
        .frames = frames,
        .frame_count = ouro__frames(frames, OURO__FRAMES),
    };
    if (ouro__this_loop)
        ouro__report(ouro__this_loop, &report);
    else
        ouro__report_print(&report, NULL);
}

int ouro__wrong_thread(const ouro_loop *loop, const char *what)
{
    if (loop->debug)
        ouro__report_wrong_thread(what);
    return -EXDEV;
}

void ouro__report_print(const ouro_report *report, void *arg)
{
    (void)arg;
    char error[96] = "";
    char duration[48] = "";
    if (report->error)
        snprintf(error, sizeof(error), ": %s (%lld)", ouro_strerror(report->error),
                 (long long)report->error);
    if (report->duration)
        snprintf(duration, sizeof(duration), " for %llu ms",
                 (unsigned long long)(report->duration / OURO_MS(1)));
    fprintf(stderr, "ouro: %s%s%s%s %s%s%s\n", report->what, report->name ? " '" : "",
            report->name ? report->name : "", report->name ? "'" : "", report->message, duration,
            error);
    fflush(stderr);
    if (report->frame_count)
        backtrace_symbols_fd(report->frames, (int)report->frame_count, STDERR_FILENO);
}

int ouro_report_set_handler(ouro_report_fn *fn, void *arg)
{
    ouro_loop *loop;
    int rc = ouro__loop_here(&loop);
    if (rc < 0)
        return rc;
    loop->report = fn ? fn : ouro__report_print;
    loop->report_arg = fn ? arg : NULL;
    return 0;
}
