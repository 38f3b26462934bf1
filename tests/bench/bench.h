/* SPDX-License-Identifier: MIT */
#ifndef OURO_BENCH_H
#define OURO_BENCH_H

/*
 * What the benchmark programs share: a clock, interleaved rounds, and one way to show a row.
 *
 * A program is a table of cases. A case has one function for ouro and one for each rival; each call
 * is a round, sets up what it needs, measures, cleans up, and returns one figure in the case's
 * unit. Lower is better, unless the case says otherwise. What a round takes in time, processor time
 * and memory is noted around the call.
 */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <ouro/ouro.h>

/* One round: the figure, or NAN if this machine cannot give it (bench_skip() says why). */
typedef double bench_round(const void *arg);

/* One more rival of a case, beside the first. */
struct bench_rival {
    const char *name;
    bench_round *run;    /* NULL: not built in */
    const void *arg;     /* NULL: that of the case */
    const char *package; /* Debian package that it needs to be built in */
};

enum { BENCH_MORE = 6 };

struct bench_case {
    const char *name; /* what --case takes, "group.thing"; no two programs share one */
    const char *unit;
    bench_round *ouro;
    const char *rival_name; /* NULL: nothing to compare with */
    bench_round *rival;     /* NULL: not built in */
    const void *arg;        /* passed to both */
    const char *package;    /* Debian package that the rival needs to be built in */
    const char *note;       /* a sentence below the table */
    double budget;          /* limit of the figure, if budgeted: the worst that will do */
    int budgeted;
    struct bench_rival more[BENCH_MORE]; /* those after the last have no name */
    int higher;                          /* higher is better */
    int warm;                            /* needs no round that does not count before the others */
};

/* In a case: the figure's limit. */
#define BENCH_BUDGET(limit) .budgeted = 1, .budget = (limit)

/* In a case: a rival on libuv, which the build may lack. */
#ifdef BENCH_HAVE_UV
#    define BENCH_UV(fn) .rival = (fn), .package = "libuv1-dev"
#else
#    define BENCH_UV(fn) .rival = NULL, .package = "libuv1-dev"
#endif

#define BENCH_COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Run the cases that the command line asks for and print the table. The program's exit status. */
int bench_main(int argc, char **argv, const char *title, const struct bench_case *cases, size_t n);

/* How long a round may take that could go on for ever: what the case has left for each of its
 * rounds (--seconds), at most @wish. */
ouro_ns bench_round_time(ouro_ns wish);

/*
 * What a round may tell of itself before it returns its figure:
 *  - microseconds within which half, 90, 99 and 99.9 percent of what it did came back, or NAN;
 *  - processor time for each thing done, in nanoseconds: a second figure, shown as a case NAME.cpu;
 *  - the part of the time that a server's processor was busy: where it idled, something else was
 *    measured;
 *  - what another process used that did the work, instead of what this one did: seconds of
 *    processor time and resident bytes at the peak, or what wait4(2) says of one that has ended.
 */
void bench_latencies(const double us[4]);
void bench_cpu_each(double ns);
void bench_busy(double part);
void bench_used(double cpu_seconds, double peak_memory);
void bench_process(const struct rusage *usage);

/* Print a message and exit with status 1: the measurement itself is broken. */
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Say on stderr, once for each text, why a figure cannot be had. Returns NAN. */
double bench_skip(const char *why);

/* Processor time that the program has taken, in nanoseconds: the clock of all work that does not
 * wait, since other programs do not make it run on. Reading it is a system call. */
uint64_t bench_cpu(void);

/* Processor time since @start, for each of @n. */
double bench_cpu_per(uint64_t start, double n);

/* The monotonic clock, for what waits, and the calling thread's own processor time. */
uint64_t bench_now(void);
uint64_t bench_thread_cpu(void);

/* Time since @start, for each of @n. */
double bench_per(uint64_t start, double n);

/* The value below which the part @q (0 to 1) of @n values lies. Sorts them. */
double bench_quantile(double *values, size_t n, double q);

/* A processor other than the one the program is pinned to, or -1. */
int bench_other_cpu(void);

/* Pin the calling thread. 0, or -1: it may not run there. */
int bench_pin(int cpu);

/* Pin the program, or say that it cannot be. bench_main() does. */
void bench_pin_process(int cpu);

/* Memory, or the end of the program. */
void *bench_alloc(size_t size);

/* Make a loop without debug mode, run a main task in it to the end, close it. */
void bench_run(ouro_task_fn *fn, void *arg, ouro_ns spin);

/* An io_uring operation that does nothing. */
ouro_future *bench_nop(void);

/* One round in a process of its own, where no earlier round has used memory. */
double bench_in_child(bench_round *round, const void *arg);

/* Bytes of memory that the process has in use now. */
double bench_resident(void);

/* End the program unless @rc is a success. */
void bench_check(int64_t rc, const char *what);

#endif
