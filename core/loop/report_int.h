/* SPDX-License-Identifier: MIT */
#ifndef OURO_REPORT_INT_H
#define OURO_REPORT_INT_H

#include <ouro/error.h>
#include <ouro/future.h>
#include <ouro/loop.h>

#include <stdbool.h>

#define OURO__FRAMES 16

/* Where and when something was created; kept in debug mode only. */
struct ouro__origin {
    ouro_ns born;      /* of the loop's clock */
    const void *place; /* a task: where the caller of ouro_spawn() goes on; or NULL */
    size_t count;
    void *frames[OURO__FRAMES];
};

/* The calling stack; NULL when out of memory. */
struct ouro__origin *ouro__origin_new(ouro_ns now);
void ouro__origin_free(struct ouro__origin *origin);

/* Fill a buffer with the calling stack; returns the number of frames. */
size_t ouro__frames(void **frames, size_t max);

/* Hand a report to the loop's handler. */
void ouro__report(ouro_loop *loop, const ouro_report *report);

/* The same, about a future, with its name and origin filled in. */
void ouro__report_future(ouro_future *f, ouro_report_kind kind, int64_t error, const char *message);

/* To the calling thread's handler: the owner's is for the owner's thread. */
void ouro__report_wrong_thread(const char *what);

/* The handler a loop starts with. */
void ouro__report_print(const ouro_report *report, void *arg);

/* Load what backtrace(3) loads at its first call, on a stack with room for it. */
void ouro__frames_prepare(void);

#endif
